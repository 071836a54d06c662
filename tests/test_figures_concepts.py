"""Figures of concepts: colours and dots are those of the result, and labels do not overlap."""

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from test_figures import overlaps

import probe
from probe.analyses.concepts import concepts
from probe.figures.concepts import PARTS, draw, parts_of


@pytest.fixture(scope="module")
def result(trained, digits):
    return concepts(trained, digits, n_images=200, n_permutations=19, n_rotations=39)


@pytest.mark.parametrize("part", PARTS)
def test_labels_do_not_overlap(result, part):
    figure = draw(result, part=part)
    FigureCanvasAgg(figure).draw()
    assert overlaps(figure) == []


def test_colours_are_aurocs_and_dots_those_beyond_permutations(result):
    axes = draw(result, part="units").axes[0]
    layer = result.layers[0]
    np.testing.assert_array_equal(axes.images[0].get_array(), layer.auroc)
    dots = axes.collections[0].get_offsets()
    assert len(dots) == (layer.selectivity > layer.permuted_limit).sum()


def test_wide_layers_show_their_most_selective_units(digits):
    network = probe.train(probe.MLP((60,), "relu"), digits, probe.TrainingConfig(epochs=1)).network
    found = concepts(network, digits, n_images=150, n_permutations=19, n_rotations=19)
    figure = draw(found)
    FigureCanvasAgg(figure).draw()
    assert overlaps(figure) == []
    shown = figure.axes[0].images[0].get_array()
    assert shown.shape[0] == 32
    most = np.sort(found.layers[0].selectivity.max(axis=1))[-32:]
    np.testing.assert_allclose(np.sort(np.abs(shown - 0.5).max(axis=1)), most)


def test_bars_and_dots_are_what_units_are_worth(result):
    figure = draw(result, part="importance")
    left, right = figure.axes[:2]
    layer = result.layers[0]
    np.testing.assert_allclose(
        [bar.get_height() for bar in left.patches[: len(layer.cost_added)]], layer.cost_added_with
    )
    np.testing.assert_allclose(right.collections[0].get_offsets()[:, 1], layer.cost_added)


def test_there_is_no_other_part(result):
    assert parts_of(result) == PARTS
    with pytest.raises(probe.InputError, match="part must be"):
        draw(result, part="nothing")
