"""What every result can do, checked on one: show itself, become plain values and a table, be plotted into axes."""

import dataclasses
import json
import re
from unittest.mock import patch

import pytest
from markupsafe import Markup
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from probe import InputError
from probe.figures import parts_of
from probe.pages._drawing import Drawn
from probe.results import Record


def check_result(result):
    for record in records(result):
        lines = repr(record).splitlines()
        assert len(lines) <= 5 and max(map(len, lines)) <= 100
    assert json.loads(json.dumps(result.to_dict(), allow_nan=True)).keys() == result.to_dict().keys()
    columns = result.columns()
    assert len(columns) > 1
    assert len({len(column) for column in columns.values()}) == 1
    frame = result.to_frame()
    assert list(frame.columns) == list(columns) and len(frame) == len(next(iter(columns.values())))
    assert result.summary().startswith(f"{type(result).__name__}: ")
    assert '<img alt="' in result._repr_html_()
    for part in parts_of(result) or (None,):
        check_part(result, part)


def check_part(result, part):
    """Check that a part is drawn into a new figure or into given axes, others left alone, and what options it has."""
    new = result.plot(part=part)
    assert isinstance(new, Figure) and new.axes
    figure = Figure((12, 10), layout="constrained")
    grid = figure.subplots(2, 2)
    others = [axes for axes in grid.flat if axes is not grid[0, 1]]
    before = [state(axes) for axes in others]
    assert result.plot(part=part, ax=grid[0, 1]) is grid[0, 1]
    FigureCanvasAgg(figure).draw()
    assert [state(axes) for axes in others] == before
    with pytest.raises(InputError, match="no_such_option"):
        result.plot(part=part, no_such_option=1)


def state(axes):
    """Return what a picture that is drawn elsewhere must not change."""
    kinds = [type(child).__name__ for child in axes.get_children()]
    return kinds, axes.get_xlim(), axes.get_ylim(), axes.axison, axes.get_title(), axes.get_xlabel()


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
    return html_of(section).striptags()


def html_of(section):
    """Return the HTML of a section without its pictures, which take most of the time and say nothing here."""
    with patch("probe.pages._drawing.Easel.drawn", lambda self, drawings: [Drawn(b"", b"")] * len(drawings)):
        return section.rendered().html


def table_rows(section):
    """Return the rows of each table of a section, cell by cell, without their headers."""
    return [
        [
            [Markup(cell).striptags() for cell in re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.S)]
            for row in re.findall(r"<tr>.*?</tr>", table[table.index("<tbody>") :], re.S)
        ]
        for table in re.findall(r"<table>.*?</table>", html_of(section), re.S)
    ]


def verdicts_in(value):
    """Yield every verdict that is somewhere in plain values."""
    if isinstance(value, dict):
        if {"decision", "statistic", "key"} <= value.keys():
            yield value
        else:
            for item in value.values():
                yield from verdicts_in(item)
    elif isinstance(value, list):
        for item in value:
            yield from verdicts_in(item)
