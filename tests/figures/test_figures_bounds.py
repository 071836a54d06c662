"""No picture takes more than its bound, whatever the network: of size, of memory, and of the time of an animation."""

import io
import json
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import planted
import pytest
from matplotlib.figure import Figure
from pictures import note, overlaps, rendered, visible_texts
from PIL import Image
from test_figures_memorization import PARTS, conditions_of, synthetic
from test_figures_search import synthetic as synthetic_search

import probe
from probe.figures._grid import INCHES, MAX_TILES, Grid, Page
from probe.figures._style import HEIGHT, MAX_PIXELS, WIDTH, png_of
from probe.figures.maximize import animation


def size_of(png):
    return struct.unpack(">II", png[16:24])


@pytest.mark.parametrize("case", planted.CASES)
def test_pictures_of_large_networks_stay_within_4000_pixels_and_600_megabytes(case):
    program = Path(planted.__file__)
    run = subprocess.run([sys.executable, program, case], capture_output=True, text=True, check=True)
    found = json.loads(run.stdout)
    assert len(found["sizes"]) >= 6
    for name, (width, height) in found["sizes"].items():
        assert (width, 300 < height <= MAX_PIXELS) == (1280, True), name
    assert found["megabytes"] <= 600
    assert run.stderr == ""


@pytest.mark.parametrize("part", PARTS)
def test_pictures_of_studies_of_many_conditions_stay_within_the_bound(part):
    shares = tuple(np.linspace(0, 1, 31).round(3).tolist())
    conditions = conditions_of(shares, ("none", "gaussian"), tuple(np.geomspace(1e-5, 1e-2, 7).tolist()))
    classes = tuple(f"class number {k}" for k in range(1000))
    result = synthetic(conditions, 3, n_epochs=30, names=classes)
    figure = probe.plot(result, part=part)
    words = note(figure)
    n_shown = {"examples": None, "forgetting": 420}.get(part, 434)
    assert n_shown is None or f"of {n_shown} conditions, evenly apart" in words
    assert max(size_of(png_of(figure))) <= MAX_PIXELS


def test_searches_and_studies_of_many_shapes_stay_within_the_bound():
    many = synthetic_search(tuple(range(4, 64, 2)), (1, 2, 3), ("relu", "tanh"))
    assert max(size_of(png_of(probe.plot(many)))) <= MAX_PIXELS


def test_a_figure_that_is_larger_is_saved_with_fewer_dots():
    figure = Figure((8, 400), dpi=160)
    figure.subplots().plot([0, 1])
    assert size_of(png_of(figure)) == (80, 4000)
    # What it held is free.
    assert figure.axes == []


def test_strongest_units_come_first_and_the_figure_says_so():
    result = planted.dense(2000)
    figure = rendered(result)
    labels = [text.get_text() for text in figure.axes[0].texts]
    order = np.argsort(-np.linalg.norm(result.images.reshape(2000, -1), axis=1), kind="stable")
    assert labels == [str(k) for k in order[:MAX_TILES]]
    assert "the 512 of 2,000 units with the largest weights" in note(figure)
    assert overlaps(figure) == []


def test_the_highest_values_come_first_among_many_objectives():
    result = planted.maximization(2000)
    figure = rendered(result)
    best = result.best_values
    shown = [float(text.get_text().split("\n")[1]) for text in figure.axes[0].texts]
    np.testing.assert_allclose(shown, np.sort(best)[::-1][: len(shown)], rtol=0.01)
    assert "of 2,000 objectives with the highest values" in note(figure)


def test_a_dense_layer_on_feature_maps_shows_units_side_by_side():
    result = planted.on_maps(40, 2, 6)
    figure = rendered(result)
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert texts[:80] == ["0", "1"] * 40
    assert texts[80:] == [str(k) for k in range(40)]
    assert overlaps(figure) == []
    # The images of unit 3, and no others, stand where its heading is.
    pixels = figure.axes[0].images[0].get_array()
    page = Page.of(np.ones((40, 2)), (6, 6), 2, inches=INCHES)
    top, left = page.grid.corner(6)
    tile = pixels[top : top + 6, left : left + 6, 0]
    assert np.corrcoef(tile.ravel(), result.images[6].ravel())[0, 1] > 0.5


def test_of_many_channels_the_strongest_are_shown_for_each_unit():
    result = planted.on_maps(3, 100, 4)
    figure = rendered(result)
    texts = [text.get_text() for text in figure.axes[0].texts]
    lengths = np.linalg.norm(result.images.reshape(3, 100, -1), axis=2)
    for unit in range(3):
        order = np.argsort(-lengths[unit], kind="stable")[:16]
        assert texts[16 * unit : 16 * unit + 16] == [str(k) for k in order]
    words = note(figure)
    assert "of each the 16 of 100 channels with the largest weights" in words


@pytest.mark.parametrize("shape", [(200, 1), (1, 200), (28, 28), (5000, 4), (3, 900), (1000, 1000)])
@pytest.mark.parametrize("n_units", [1, 12, 64, 512])
def test_any_grid_fits_in_a_figure_and_its_tiles_can_be_seen(shape, n_units):
    grid = Grid.of(n_units, shape, 2)
    images = np.zeros((grid.n, *shape), np.float32)
    assert grid.fitted(images).shape == (grid.n, grid.height, grid.width)
    assert 1 <= grid.n <= n_units
    assert grid.inches <= HEIGHT - 2
    assert max(grid.height / grid.width, grid.width / grid.height) < 6
    # Not many more pixels than there are dots.
    assert grid.shape[1] < 2.3 * WIDTH * 160
    bottom, right = (a + b for a, b in zip(grid.corner(grid.n - 1), (grid.height, grid.width), strict=True))
    assert bottom <= grid.shape[0]
    assert right <= grid.shape[1]


def test_pixels_that_are_left_out_or_stretched_are_said_to_be():
    words = note(rendered(planted.dense(64, (3000, 1))))
    assert "times as wide as they are" in words
    assert "one row in" in words


@pytest.mark.parametrize(
    ("n", "shape"), [(2000, (28, 28)), (30, (300, 300, 3)), (64, (400, 1)), (20, (7, 7, 512))]
)
def test_animations_stay_within_the_bound(n, shape):
    content = animation(planted.maximization(n, shape, frames=3))
    picture = Image.open(io.BytesIO(content))
    assert picture.n_frames == 3
    assert max(picture.size) <= MAX_PIXELS
    assert len(content) <= 2_000_000


def test_concepts_of_many_layers_show_some_of_them():
    figure = rendered(planted.concepts(53, 64))
    titles = [axes.get_title("left") for axes in figure.axes[:-1]]
    assert len(titles) == 12
    assert (titles[0], titles[-1]) == ("'hidden_0', unit", "'hidden_52', unit")
    assert "Shown: 12 of 53 layers" in note(figure)
    assert overlaps(figure) == []
    assert visible_texts(figure)
