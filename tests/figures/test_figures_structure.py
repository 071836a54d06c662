"""Figures of the structure of weight images: what is drawn is what the result holds, and labels do not overlap."""

import numpy as np
import pytest
from pictures import overlaps, rendered, visible_texts
from recipes_of_tests import quick_controls

import probe
from probe.analyses.structure import weight_structure
from probe.figures import parts_of
from probe.layers import Dense, Flatten
from probe.network import Network


@pytest.fixture(scope="module")
def result(trained, digits):
    return weight_structure(trained, digits, n_null=99)


@pytest.mark.parametrize("n_units", [1, 16, 64, 160])
def test_units_of_any_number_have_labels_that_do_not_overlap(n_units, digits):
    kernel = np.random.default_rng(0).normal(size=(64, n_units)).astype(np.float32)
    layers = (
        Flatten("flatten"),
        Dense("hidden", kernel, np.zeros(n_units, np.float32), "relu"),
        Dense("output", np.ones((n_units, 10), np.float32), np.zeros(10, np.float32), "softmax"),
    )
    found = weight_structure(Network(layers, (8, 8)), digits, n_null=49)
    figure = rendered(found, part="units")
    assert overlaps(figure) == []
    labels = [text for text, _ in visible_texts(figure)]
    moran = found.values[:, 0]
    for k in range(n_units):
        number = f"{moran[k]:.2f}".replace("0.", ".", 1)
        assert any(label.startswith(f"{k}\nI {number}") for label in labels)


def test_each_unit_names_the_nulls_that_it_has_more_structure_than(result):
    figure = rendered(result, part="units")
    labels = {
        text.partition("\n")[0]: text.rpartition("\n")[2]
        for text, _ in visible_texts(figure)
        if text.count("\n") == 2
    }
    letters = {"U": "initialization", "M": "data-span"}
    for k, name in enumerate(result.unit_names):
        found = {letter for letter, null in letters.items() if result.null(null).q_values[k] <= result.alpha}
        assert set(labels[name].replace("–", "").split()) == found
    assert any(label != "–" for label in labels.values())


def test_inactive_pixels_are_hatched_and_have_no_color(result):
    figure = rendered(result, part="units")
    pixels = figure.axes[0].images[0].get_array()
    n_shown = (np.asarray(pixels)[..., 3] > 0).sum()
    assert n_shown == result.active.sum() * len(result.images)
    assert not result.active.all()
    assert sum(patch.get_hatch() is not None for patch in figure.axes[0].patches) == len(result.images)


def test_the_statistics_show_every_unit_and_every_null(result):
    figure = rendered(result, part="statistics")
    assert overlaps(figure) == []
    for column, axes in enumerate(figure.axes[:5]):
        dots = axes.collections[0].get_offsets()
        np.testing.assert_allclose(np.sort(dots[:, 0]), np.sort(result.values[:, column]))
        assert len(axes.patches) == len(result.nulls) + 1
        low, high = np.quantile(result.null("initialization").values[:, column], [0.05, 0.95])
        assert axes.patches[0].get_x() == pytest.approx(low)
        assert axes.patches[0].get_width() == pytest.approx(high - low)


def test_what_decides_is_drawn_with_its_threshold(trained, digits):
    found = weight_structure(
        trained, digits, controls=quick_controls(trained, digits, 6, epochs=3), n_null=49
    )
    figure = rendered(found, part="shares")
    assert overlaps(figure) == []
    tests, random, fits, edges = figure.axes
    p_values = found.null("data-span").p_values
    for axes, values, hits, limit in (
        (tests, p_values, p_values <= 0.05, 0.05),
        (fits, found.gabor_fits, found.is_edge, 2 / 3),
    ):
        hollow, filled = (np.asarray(dots.get_offsets())[:, 0] for dots in axes.collections)
        np.testing.assert_allclose(np.sort(filled), np.sort(values[hits]))
        np.testing.assert_allclose(np.sort(hollow), np.sort(values[~hits]))
        assert axes.lines[0].get_xdata()[0] == pytest.approx(limit)
    for axes, key in ((random, "random"), (edges, "edges")):
        verdict = found.verdict(key)
        interval, middle, threshold = (np.asarray(line.get_xdata()) for line in axes.lines)
        assert interval.tolist() == [verdict.interval.low, verdict.interval.high]
        assert middle == [verdict.statistic] and threshold[0] == 0.5
        others = np.asarray(axes.collections[0].get_offsets())[:, 0]
        np.testing.assert_allclose(others, np.sort(verdict.agreement.statistics))
        assert verdict.decision in [text.get_text() for text in axes.texts]


def test_there_is_no_other_part(result):
    assert parts_of(result) == ("units", "shares", "statistics")
    with pytest.raises(probe.InputError, match="part must be"):
        probe.plot(result, part="nothing")
