"""The picture of published figures: every row with its decision, on its own scale, and what is far out as an arrow."""

from dataclasses import replace

import planted
from matplotlib.colors import to_hex
from pictures import all_overlaps, cut_off, rendered

from probe.figures.verification import _LOOKS, _REACH
from probe.stats import Interval


def test_every_row_is_drawn_at_its_place_with_its_decision():
    result = planted.verification()
    figure = rendered(result)
    assert all_overlaps(figure) == [] == cut_off(figure)
    (axes,) = figure.axes
    texts = [label.get_text() for label in axes.get_yticklabels()]
    points = {line.get_ydata()[0]: line for line in axes.lines if len(line.get_xdata()) == 1}
    for row in result.rows:
        point = points[texts.index(row.claim)]
        inside = min(max(row.relative[0], -_REACH), _REACH)
        assert point.get_xdata()[0] == inside
        assert to_hex(point.get_color()) == to_hex(_LOOKS[row.decision][0])
        assert (point.get_marker() in "<>") == (inside != row.relative[0])
    assert {row.decision for row in result.rows} == set(_LOOKS)


def test_the_sources_head_their_rows():
    result = planted.verification()
    labels = rendered(result).axes[0].get_yticklabels()
    heads = [label.get_text() for label in labels if label.get_fontweight() == "bold"]
    assert heads == list(result.sources)


def test_decisions_differ_in_color_and_in_shape():
    assert (
        len({to_hex(color) for color, _, _ in _LOOKS.values()})
        == len({look[1] for look in _LOOKS.values()})
        == 3
    )


def test_an_interval_without_ends_is_a_point():
    result = planted.verification(3)
    row = replace(result.rows[0], interval=Interval(0.5, float("nan"), float("nan"), 0.95, 8))
    figure = rendered(replace(result, rows=(row,)))
    assert [len(line.get_xdata()) for line in figure.axes[0].lines] == [1, 0, 0, 0]


def test_a_hundred_rows_of_long_claims_fit():
    figure = rendered(planted.verification(90, "A long claim that goes on and on, " * 4 + "{}"))
    assert all_overlaps(figure) == [] == cut_off(figure)
