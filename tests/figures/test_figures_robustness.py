"""Specification curves: networks, thresholds and the squares of levels are where they belong, with names of any length."""

import numpy as np
import planted
import pytest
from matplotlib.colors import to_hex
from pictures import all_overlaps, cut_off, rendered

import probe
from probe.analyses.robustness import CLAIMS
from probe.figures.robustness import _LOOKS

FACTORS = ("recipe", "length", "architecture", "data")


@pytest.mark.parametrize("claim", CLAIMS)
def test_every_network_is_drawn_over_its_setting_with_its_decision(claim):
    result = planted.robustness()
    figure = rendered(result, claim=claim)
    assert all_overlaps(figure) == [] == cut_off(figure)
    curve = figure.axes[0]
    index = result.claims.index(claim)
    statistics = result.statistics[index]
    order = np.argsort(np.median(statistics, axis=1), kind="stable")
    *dots, threshold = curve.lines
    assert [line.get_label() for line in dots] == ["supported", "refuted", "inconclusive"]
    drawn = np.hstack(
        [[*line.get_data(), np.full(len(line.get_xdata()), k)] for k, line in enumerate(dots)]
    ).T
    column, member = np.indices(statistics.shape)
    expected = np.column_stack(
        [
            column.ravel(),
            statistics[order[column], member].ravel(),
            result.decisions[index][order[column], member].ravel(),
        ]
    )
    np.testing.assert_allclose(drawn[np.lexsort(drawn.T)], expected[np.lexsort(expected.T)])
    assert set(threshold.get_ydata()) == {CLAIMS[claim].threshold}
    low, high = curve.get_ylim()
    assert low <= statistics.min() and statistics.max() <= high
    if CLAIMS[claim].unit == "share":
        assert low <= 0 and high >= 1
    assert curve.get_ylabel().replace("\n", " ") == CLAIMS[claim].statistic_name


def test_decisions_differ_in_color_and_in_shape():
    assert len({to_hex(color) for color, _, _ in _LOOKS}) == len({shape for _, shape, _ in _LOOKS}) == 3


def test_the_squares_say_what_each_setting_is():
    result = planted.robustness(recipes=("modern", "video"), lengths=4, widths=2, data=("digits",))
    dots = rendered(result, claim="edges").axes[1]
    statistics = result.statistics[result.claims.index("edges")]
    order = np.argsort(np.median(statistics, axis=1), kind="stable")
    levels = [(factor, level) for factor in FACTORS for level in result.levels(factor)]
    assert [label.get_text() for label in dots.get_yticklabels()] == [level for _, level in levels]
    squares = [line for line in dots.lines if line.get_marker() == "s"]
    for row, ((factor, level), line) in enumerate(zip(levels, squares, strict=True)):
        at = [k for k, setting in enumerate(order) if getattr(result, factor)[setting] == level]
        assert line.get_xdata().tolist() == at
        assert set(line.get_ydata()) == {row}
    # A line between two factors.
    between = [line.get_ydata()[0] for line in dots.lines if line.get_marker() != "s"]
    assert between == [1.5, 5.5, 7.5]
    # From top to bottom.
    low, high = dots.get_ylim()
    assert low > len(levels) - 1 and high < 0


def test_settings_of_which_nothing_can_be_said_come_first_and_empty():
    result = planted.robustness(lengths=2, widths=1, data=("mnist",))
    result.statistics.flags.writeable = True
    result.statistics[:, 2] = np.nan
    figure = rendered(result)
    levels = [(factor, level) for factor in FACTORS for level in result.levels(factor)]
    squares = [line for line in figure.axes[1].lines if line.get_marker() == "s"]
    first = {pair for pair, line in zip(levels, squares, strict=True) if 0 in line.get_xdata()}
    assert first == {(factor, getattr(result, factor)[2]) for factor in FACTORS}
    shown = np.concatenate(
        [line.get_xdata()[np.isfinite(line.get_ydata())] for line in figure.axes[0].lines[:-1]]
    )
    assert set(shown) == {1, 2, 3}


def test_long_names_and_many_settings_have_room():
    names = ("mnist", "digits", "a file with a long name, which somebody has", "y" * 300)
    result = planted.robustness(
        recipes=("modern", "video", "a recipe of some length"), lengths=6, widths=9, data=names
    )
    assert result.n_settings == 648
    figure = rendered(result, claim="drawing")
    assert all_overlaps(figure) == [] == cut_off(figure)
    assert all(len(label.get_text()) <= 16 for label in figure.axes[1].get_yticklabels())


def test_no_other_claim_can_be_drawn():
    with pytest.raises(probe.InputError, match="claim must be one of random, edges, loops, noise, drawing"):
        probe.plot(planted.robustness(), claim="beauty")
