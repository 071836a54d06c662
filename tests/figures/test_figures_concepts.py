"""Figures of concepts: what is drawn is what the result holds, and labels do not overlap."""

from dataclasses import replace

import numpy as np
import pytest
from pictures import overlaps, rendered, visible_texts

import probe
from probe.analyses.concepts import concepts
from probe.figures import parts_of
from probe.layers import Dense, Flatten
from probe.network import Network

PARTS = ("units", "loops", "probes", "importance")


@pytest.fixture(scope="module")
def result(trained, digits):
    return concepts(trained, digits, n_permutations=19, n_rotations=99)


def wide(n_units, split):
    rng = np.random.default_rng(0)
    layers = (
        Flatten("flatten"),
        Dense(
            "hidden", rng.normal(size=(64, n_units)).astype(np.float32), np.zeros(n_units, np.float32), "relu"
        ),
        Dense(
            "output", rng.normal(size=(n_units, 10)).astype(np.float32), np.zeros(10, np.float32), "softmax"
        ),
    )
    return concepts(Network(layers, (8, 8)), split, n_permutations=19, n_rotations=19)


@pytest.mark.parametrize("n_units", [1, 16, 100])
def test_labels_of_any_number_of_units_do_not_overlap(n_units, digits):
    result = wide(n_units, digits)
    for part in PARTS:
        assert overlaps(rendered(result, part=part)) == [], part


@pytest.mark.parametrize("part", PARTS)
def test_labels_of_several_layers_do_not_overlap(result, part):
    assert overlaps(rendered(result, part=part)) == []


def test_the_colors_are_the_areas_on_one_scale_centered_at_a_half(result):
    figure = rendered(result, part="units")
    limits = {axes.images[0].get_clim() for axes in figure.axes if axes.images}
    assert len(limits) == 1
    low, high = limits.pop()
    assert low + high == pytest.approx(1)
    for axes, layer in zip(figure.axes, result.layers, strict=False):
        np.testing.assert_array_equal(np.asarray(axes.images[0].get_array()), layer.auroc)
        assert len(axes.collections[0].get_offsets()) == (layer.selectivity > layer.permuted_limit).sum()


def test_dots_mark_what_is_beyond_permutations_and_rings_what_is_unit_aligned(result):
    first = result.layers[0]
    q = np.ones(len(result.names))
    q[[0, 2]] = 0.01
    limit = np.full(len(result.names), 0.05)
    marked = replace(result, layers=(replace(first, aligned_q=q, permuted_limit=limit),))
    axes = rendered(marked, part="units").axes[0]
    dots, rings = axes.collections
    assert len(dots.get_offsets()) == (first.selectivity > 0.05).sum()
    assert {tuple(map(int, at)) for at in rings.get_offsets()} == {(k, first.best_units[k]) for k in (0, 2)}
    none = replace(first, aligned_q=q, permuted_limit=limit + 0.5)
    assert len(rendered(replace(result, layers=(none,)), part="units").axes[0].collections) == 1


def test_probes_stand_at_their_areas_in_the_order_of_the_concepts(result):
    axes = rendered(result, part="probes").axes[0]
    lines = {line.get_label(): line.get_ydata() for line in axes.lines}
    np.testing.assert_allclose(lines["pixels"], result.pixel_probe_auroc)
    for layer in result.layers:
        np.testing.assert_allclose(lines[f"'{layer.layer}'"], layer.probe_auroc)
        np.testing.assert_allclose(lines[f"'{layer.layer}' untrained"], layer.untrained_probe_auroc)
    np.testing.assert_allclose(lines["principal components"], result.layers[0].components_auroc)
    assert [label.get_text() for label in axes.get_xticklabels()] == list(result.names)


def test_units_stand_at_their_areas_for_loops_beside_what_is_asked_for(result):
    found = result.loops
    left, right = rendered(result, part="loops").axes
    told = {tuple(at) for dots in left.collections for at in dots.get_offsets().tolist()}
    assert told == set(enumerate(np.maximum(found.auroc, 1 - found.auroc).tolist()))
    filled = left.collections[1].get_offsets()[:, 0]
    assert set(filled) == set(found.chosen.tolist())
    for axes in (left, right):
        (line,) = (line for line in axes.lines if line.get_gid() == "threshold")
        assert set(line.get_ydata()) == {found.threshold}
    (bar,) = right.containers
    (segment,) = bar.lines[2][0].get_segments()
    np.testing.assert_allclose(segment[:, 1], [found.chosen_auroc.low, found.chosen_auroc.high])
    at = [line.get_ydata()[0] for line in right.lines if len(line.get_xdata()) == 1]
    for value in (found.layer_auroc, found.pixel_auroc, found.components_auroc, 0.5):
        assert value in at


def test_what_networks_trained_alike_have_is_drawn_if_there_are_any(result):
    def controls(found):
        right = rendered(replace(result, loops=found), part="loops").axes[1]
        return [dots for dots in right.collections if dots.get_gid() == "controls"]

    assert controls(result.loops) == []
    values = np.array([0.51, 0.62])
    (dots,) = controls(replace(result.loops, control_auroc=values))
    np.testing.assert_allclose(dots.get_offsets()[:, 1], values)


def test_loops_that_do_not_vary_within_classes_are_not_drawn(result):
    with pytest.raises(probe.InputError, match="vary within fewer than two classes"):
        probe.plot(replace(result, loops=None), part="loops")


def test_dots_and_rings_are_explained_only_where_there_are_any(result):
    layer = replace(result.layers[0], aligned_q=np.ones(len(result.names)))
    said = rendered(replace(result, layers=(layer,)), part="units").get_supxlabel()
    assert "Dots" in said
    assert "Rings" not in said
    ringed = replace(layer, aligned_q=np.zeros(len(result.names)), permuted_limit=np.zeros(len(result.names)))
    assert "Rings" in rendered(replace(result, layers=(ringed,)), part="units").get_supxlabel()


def test_bars_are_the_cost_added_with_the_concept_and_without(result):
    figure = rendered(result, part="importance")
    for place, layer in enumerate(result.layers):
        bars, dots = figure.axes[2 * place], figure.axes[2 * place + 1]
        heights = [patch.get_height() for patch in bars.patches]
        np.testing.assert_allclose(heights, [*layer.cost_added_with, *layer.cost_added_without])
        at = dots.collections[0].get_offsets()
        np.testing.assert_allclose(at, np.stack([layer.selectivity.max(axis=1), layer.cost_added], axis=1))


def test_larger_layers_say_that_the_most_selective_units_are_shown(small_digits):
    result = wide(100, small_digits)
    figure = rendered(result, part="units")
    shown = figure.axes[0].images[0].get_array()
    assert shown.shape[0] == 32
    most = np.sort(result.layers[0].selectivity.max(axis=1))[-32:]
    np.testing.assert_allclose(np.sort(np.abs(shown - 0.5).max(axis=1)), most)
    assert "32 most selective" in figure.get_supxlabel()
    labels = [text for text, _ in visible_texts(figure)]
    assert str(result.layers[0].selectivity.max(axis=1).argmax()) in labels


def test_there_is_no_other_part(result):
    assert parts_of(result) == PARTS
    with pytest.raises(probe.InputError, match="part must be"):
        probe.plot(result, part="nothing")
