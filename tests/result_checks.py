"""What every result can do, checked on one: show itself, become plain values and a table, be plotted into axes."""

import dataclasses
import json
import re

from markupsafe import Markup
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from probe.figures import parts_of
from probe.results import Record


def check_result(result):
    for record in records(result):
        assert len(repr(record).splitlines()) <= 5
    assert json.loads(json.dumps(result.to_dict(), allow_nan=True)).keys() == result.to_dict().keys()
    columns = result.columns()
    assert len(columns) > 1
    assert len({len(column) for column in columns.values()}) == 1
    for part in parts_of(result) or (None,):
        figure = Figure((12, 10), layout="constrained")
        axes = figure.subplots(2, 2)
        assert result.plot(part=part, ax=axes[0, 1]) is axes[0, 1]
        FigureCanvasAgg(figure).draw()
        assert not axes[1, 0].lines and not axes[1, 0].images


def records(value):
    """Give a result and all records in it."""
    if isinstance(value, Record):
        yield value
        for field in dataclasses.fields(value):
            yield from records(getattr(value, field.name))
    elif isinstance(value, tuple):
        for item in value:
            yield from records(item)


def words(section):
    """Return the text of a section of a page, in one line."""
    return section.rendered().html.striptags()


def table_rows(section):
    """Return the rows of each table of a section, cell by cell, without their headers."""
    return [
        [
            [Markup(cell).striptags() for cell in re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.S)]
            for row in re.findall(r"<tr>.*?</tr>", table[table.index("<tbody>") :], re.S)
        ]
        for table in re.findall(r"<table>.*?</table>", section.rendered().html, re.S)
    ]
