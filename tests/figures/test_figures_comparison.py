"""Comparisons drawn: what is matched stands side by side, what is turned is turned, and what is framed is no counterpart."""

from dataclasses import replace

import numpy as np
import planted
import pytest
from pictures import all_overlaps, cut_off, note, rendered

import probe
from probe.figures import parts_of

PARTS = ("units", "similarities", "layers", "abilities", "examples")


@pytest.fixture(scope="module")
def result():
    return planted.comparison()


@pytest.mark.parametrize("part", PARTS)
def test_no_text_lies_over_another_or_leaves_the_figure(part, result):
    figure = rendered(result, part=part)
    assert all_overlaps(figure) == [] == cut_off(figure)


def test_weights_of_a_pair_stand_one_above_the_other_on_one_scale(result):
    figure = rendered(result, part="units", layer=0)
    layer, axes = result.layers[0], figure.axes[0]
    labels = [text.get_text() for text in axes.texts]
    assert len(labels) == 16
    for k, label in enumerate(labels):
        first, second = layer.pairs[k]
        turned = " ⇅" if layer.signs[k] < 0 else ""
        assert label == f"{first} · {second}{turned}\n{layer.similarity[k]:.2f}"
    framed = [patch for patch in axes.patches if patch.get_gid() == "unmatched"]
    assert len(framed) == (~layer.is_matched).sum() > 0
    assert "it is turned here" in note(figure) and "Framed: no more alike than chance." in note(figure)
    limit = float(figure.axes[1].get_xticks()[-1])
    assert limit == pytest.approx(np.abs([layer.first_images, layer.second_images]).max(), rel=1e-6)
    # The first tile: A's image, a white gap, and B's.
    pixels = np.asarray(axes.images[0].get_array()).astype(float)
    middle, above = axes.texts[0].get_position()
    left, top = round(middle - 13.5), round(above + 1)
    tile = pixels[top : top + 58, left : left + 28]
    redness = tile[..., 0] - tile[..., 2]
    for rows, image in ((slice(0, 28), layer.first_images[0]), (slice(30, 58), layer.second_images[0])):
        assert np.corrcoef(redness[rows].ravel(), image.ravel())[0, 1] > 0.9
    assert (tile[28:30, :, 3] == 0).all()


def test_units_without_images_are_said_to_have_none(result):
    layers = tuple(replace(layer, drawn=np.zeros(0, np.int64)) for layer in result.layers)
    bare = replace(result, layers=layers)
    assert "units" not in parts_of(bare)
    with pytest.raises(
        probe.InputError, match="part 'units' has nothing to show: no weights of matched units"
    ):
        probe.plot(bare, part="units")
    half = replace(result, layers=(layers[0], result.layers[1]))
    assert "hidden_1" in rendered(half, part="units").axes[1].get_xlabel()
    with pytest.raises(
        probe.InputError, match="layer must be one whose weights form images, and those of layer 0"
    ):
        probe.plot(half, part="units", layer=0)
    with pytest.raises(probe.InputError, match="layer must be an integer from 0 to 1, got 2"):
        probe.plot(half, part="similarities", layer=2)


def test_partners_stand_on_the_diagonal_with_their_sign_undone():
    result = planted.comparison(12, 20)
    figure = rendered(result, part="similarities")
    layer = result.layers[0]
    before, after = (np.asarray(axes.images[0].get_array()) for axes in figure.axes[:2])
    np.testing.assert_allclose(before, layer.correlations)
    np.testing.assert_allclose(after.diagonal(), layer.similarity, atol=1e-12)
    assert sorted(np.abs(after).ravel()) == pytest.approx(sorted(np.abs(before).ravel()))
    dots = next(found for found in figure.axes[1].collections if found.get_gid() == "matched")
    assert dots.get_offsets()[:, 0].tolist() == np.flatnonzero(layer.is_matched).tolist()
    names = [label.get_text() for label in figure.axes[1].get_xticklabels()]
    assert names[:12] == [str(unit) for unit in layer.pairs[:, 1]] and len(names) == 20


def test_bars_are_as_long_as_the_counts(result):
    figure = rendered(result, part="abilities")
    above, below = figure.axes
    widths = [bar.get_width() for bar in above.patches]
    assert widths == result.abilities.totals.tolist()
    shown = np.array([bar.get_width() for bar in below.patches]).reshape(2, -1)
    np.testing.assert_array_equal(shown, [-result.abilities.counts[:, 1], result.abilities.counts[:, 2]])
    assert [label.get_text() for label in below.get_yticklabels()] == list(result.abilities.class_names)


def test_of_many_classes_those_are_shown_on_which_both_differ_most():
    result = planted.comparison(classes=planted.numbered(100, "class {}"))
    figure = rendered(result, part="abilities")
    only = result.abilities.counts[:, 1:3].sum(axis=1)
    names = [label.get_text() for label in figure.axes[1].get_yticklabels()]
    assert len(names) == 30 and "30 of 100 classes" in note(figure)
    assert min(only[int(name.split()[1])] for name in names) >= np.sort(only)[-30]


def test_layers_that_are_compared_are_framed(result):
    axes = rendered(result, part="layers").axes[0]
    frames = [patch.get_xy() for patch in axes.patches if patch.get_gid() == "compared"]
    assert frames == [(-0.46, -0.46), (0.54, 0.54)]
    np.testing.assert_allclose(axes.images[0].get_array(), result.cka)


def test_examples_say_what_the_other_network_says(result):
    figure = rendered(result, part="examples")
    for axes, names, other in zip(
        figure.axes, (result.abilities.first_names, result.abilities.second_names), (2, 1), strict=True
    ):
        assert [text.get_text() for text in axes.texts] == [f"{one[0]}\nnot {one[other]}" for one in names]


@pytest.mark.parametrize("shape", [(28, 28, 3), (8, 8), (3, 3)])
def test_colors_and_small_kernels_are_drawn(shape):
    for part in ("units", "examples"):
        assert rendered(planted.comparison(5, 9, shape), part=part).axes
