"""Figures of maximizing inputs: what is drawn is what the result holds, and no label lies over another."""

import io
from dataclasses import replace

import numpy as np
import planted
import pytest
from pictures import all_texts, clashes, note, rendered
from PIL import Image
from result_checks import check_result

import probe
from probe.analyses.maximize import TopImages
from probe.ascent import Ball, Frames
from probe.figures.maximize import animation


@pytest.fixture(scope="module")
def network(trained):
    return trained


@pytest.fixture(scope="module")
def found(network, digits):
    objectives = [
        *(probe.class_logit(k) for k in range(10)),
        *(probe.unit("hidden_1", k) for k in range(12)),
        probe.class_logit(3) - probe.class_logit(8) + 0.5 * probe.unit("hidden_1", 0) - probe.class_logit(1),
    ]
    return probe.maximize(network, objectives, restarts=2, steps=30, images=digits.test, n_top=5, frames=6)


def many(n, shape, n_top, name="hidden_1 unit {}"):
    """A result of `n` objectives with images of `shape`."""
    rng = np.random.default_rng(0)
    images = rng.random((n, 1, *shape)).astype(np.float32)
    values = rng.normal(0, 100, size=(n, 1)).astype(np.float32)
    dense = probe.layers.Dense("o", np.ones((4, 1), np.float32), np.zeros(1, np.float32))
    base = probe.maximize(probe.Network((dense,), (4,)), [probe.unit("o", 0)], restarts=1, steps=1)
    top = TopImages(
        images=rng.random((n, n_top, *shape)).astype(np.float32), values=rng.normal(0, 100, (n, n_top)),
        indices=np.zeros((n, n_top), np.int64), n_images=60_000, medians=np.zeros(n),
    ) if n_top else None  # fmt: skip
    return replace(
        base,
        objectives=tuple(probe.unit("hidden_1", k) for k in range(n)),
        names=tuple(name.format(k) for k in range(n)),
        images=images,
        values=values,
        traces=np.zeros((n, 1, 2)),
        bounds=planted.bounds(values[:, 0] - 300.0, values[:, 0] + 100.0),
        top=top,
    )


@pytest.mark.parametrize(
    ("n", "shape", "n_top"),
    [
        *((n, (28, 28), n_top) for n in (1, 2, 10, 42) for n_top in (0, 5)),
        *((10, shape, n_top) for shape in ((8, 8), (12, 30), (32, 32, 3)) for n_top in (0, 3)),
        (160, (8, 8), 0),
        (160, (8, 8), 2),
    ],
)
def test_labels_of_any_number_of_objectives_do_not_overlap(n, shape, n_top):
    figure = rendered(many(n, shape, n_top))
    assert clashes(all_texts(figure)) == []
    width, height = figure.get_size_inches()
    assert height < 5 * width


@pytest.mark.parametrize("n_top", [0, 5])
def test_long_names_are_cut_to_their_place(n_top):
    result = many(
        42,
        (28, 28),
        n_top,
        "class {} - class 8 + 0.5 a_layer_of_a_long_name unit 4 after activation - 2 another_layer unit 33",
    )
    figure = rendered(result)
    assert clashes(all_texts(figure)) == []
    assert any("…" in text for text, _ in all_texts(figure))


def test_the_best_image_stands_before_the_real_images_that_have_the_greatest_values(found, digits):
    figure = rendered(found)
    (image,) = figure.axes[0].images
    canvas = np.asarray(image.get_array())
    gray = np.where(canvas[..., 3] > 0, canvas[..., 0] / 255, np.nan)
    shown = gray[~np.isnan(gray)]
    tiles = np.concatenate([found.best_images[:, None], found.top.images], axis=1)
    assert shown.size == tiles.size
    np.testing.assert_allclose(np.sort(shown), np.sort(tiles.ravel()), atol=0.01)
    labels = [text for text, _ in all_texts(figure)]
    for k in range(23):
        assert f"{found.best_values[k]:.3g}" in labels
        for value in found.top.values[k]:
            assert f"{value:.3g}" in labels
    assert {"0", "9", "hidden_1:0", "hidden_1:11"} <= set(labels)
    assert f"of {len(digits.test)} real images the 5" in note(figure)


def test_a_tile_stands_where_its_label_says(found):
    figure = rendered(found)
    axes = figure.axes[0]
    canvas = np.asarray(axes.images[0].get_array())[..., 0] / 255
    values = [text for text in axes.texts if text.get_text() == f"{found.top.values[4, 2]:.3g}"]
    matches = 0
    for text in values:
        x, y = text.get_position()
        left, top = round(x - 4 + 0.5), round(y + 1)
        tile = canvas[top : top + 8, left : left + 8]
        matches += np.abs(tile - found.top.images[4, 2]).max() < 1 / 250
    assert matches == 1


def test_the_bar_is_as_long_as_the_share_of_the_way_between_the_bounds(found):
    for result in (found, replace(found, top=None)):
        bars = [patch for patch in rendered(result).axes[0].patches if patch.get_gid() == "bar"]
        lengths = np.array([bar.get_width() for bar in bars[1::2]])
        np.testing.assert_allclose(lengths, result.reached * 8)


def test_without_bounds_there_is_no_bar(found):
    n = len(found.names)
    nothing = planted.bounds(np.full(n, -np.inf), np.full(n, np.inf), "cube")
    figure = rendered(replace(found, bounds=nothing))
    assert not [patch for patch in figure.axes[0].patches if patch.get_gid() == "bar"]
    assert not any("bar" in text for text, _ in all_texts(figure))


def test_a_region_beyond_black_and_white_is_drawn_from_its_darkest_to_its_brightest(network):
    result = probe.maximize(network, [probe.class_logit(3)], region=Ball(9.0, box=None), steps=40)
    figure = rendered(result)
    low, high = result.best_images.min(), result.best_images.max()
    assert low < 0
    assert f"Black is {min(0, low):.3g}, white {max(1, high):.3g}" in note(figure)


def frames_of(content):
    picture = Image.open(io.BytesIO(content))
    found = []
    for place in range(picture.n_frames):
        picture.seek(place)
        found.append((np.asarray(picture.convert("L")), picture.info))
    return found


def test_an_animation_loops_and_ends_with_the_best_images(found):
    content = animation(found)
    frames = frames_of(content)
    assert len(frames) == len(found.frames.steps)
    assert frames[0][1]["loop"] == 0
    assert len(content) < 2_000_000
    last = frames[-1][0]
    # Tiles of 8 pixels, 6 times as large, below two lines of text.
    np.testing.assert_allclose(last[36 : 36 + 48 : 6, 4 : 4 + 48 : 6] / 255, found.best_images[0], atol=0.02)
    assert (last == 60).any()


def test_a_large_animation_is_made_smaller():
    rng = np.random.default_rng(0)
    result = many(60, (28, 28), 0)
    noise = rng.random((60, 40, 28, 28)).astype(np.float32)
    content = animation(replace(result, frames=Frames(images=noise, steps=np.arange(40))))
    assert len(content) < 2_000_000
    assert len(frames_of(content)) == 40


def test_colors_are_animated_as_colors():
    rng = np.random.default_rng(0)
    colors = rng.random((2, 3, 8, 8, 3)).astype(np.float32)
    content = animation(replace(many(2, (8, 8, 3), 0), frames=Frames(images=colors, steps=np.arange(3))))
    picture = np.asarray(Image.open(io.BytesIO(content)).convert("RGB"), float)
    assert np.ptp(picture, axis=2).max() > 50


def test_without_frames_nothing_can_be_animated(found):
    with pytest.raises(probe.InputError, match="result has no frames: pass frames=30"):
        animation(replace(found, frames=None))


def test_a_result_shows_itself(found):
    check_result(found)
