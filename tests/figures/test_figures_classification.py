"""The pictures of mistakes: legible for 2 to 1,000 classes, and true to the numbers."""

import numpy as np
import planted
import pytest
from pictures import note, overlaps, rendered
from test_figures_bounds import size_of

from probe.figures._style import MAX_PIXELS, png_of


@pytest.mark.parametrize("n", [2, 10, 100, 1000])
@pytest.mark.parametrize("part", ["examples", "confusion", "reliability"])
def test_any_number_of_classes_can_be_read(n, part):
    result = planted.classified([f"class {k}" for k in range(n)], (16, 12, 3))
    figure = rendered(result, part=part)
    assert overlaps(figure) == []
    assert max(size_of(png_of(figure))) <= MAX_PIXELS


def test_the_matrix_has_the_number_of_every_cell_and_names_beside_it():
    result = planted.classified(["cat", "dog", "owl"])
    axes = rendered(result, part="confusion").axes[0]
    for text in axes.texts:
        column, row = text.get_position()
        assert text.get_text() == f"{result.confusion[row, column]:,}"
    assert len(axes.texts) == (result.confusion > 0).sum()
    assert [label.get_text() for label in axes.get_yticklabels()] == ["cat", "dog", "owl"]


def test_of_very_many_classes_no_mistake_is_lost_between_two_cells():
    result = planted.classified([str(k) for k in range(1000)])
    figure = rendered(result, part="confusion")
    (image,) = figure.axes[0].images
    shares = result.confusion / result.confusion.sum(axis=1, keepdims=True)
    shown = image.get_array()
    assert shown.shape == (200, 200)
    for row, column in np.argwhere(shares > 0):
        assert shown[row // 5, column // 5] >= shares[row, column]
    assert "Each cell is the largest share of 5 by 5 pairs of classes." in note(figure)


def test_above_each_image_stands_what_it_is_and_what_the_network_says():
    result = planted.classified(["a", "b"])
    first = rendered(result).axes[0].texts[0].get_text()
    names = [result.class_names[k] for k in (result.wrong.labels[0], result.wrong.predictions[0])]
    assert first == f"{' → '.join(names)}\n100.0%"


def test_dots_are_the_bins_that_hold_images():
    result = planted.classified(["a", "b"])
    above, below = rendered(result, part="reliability").axes
    dots = next(line for line in above.lines if line.get_marker() == "o")
    some = result.calibration.counts > 0
    np.testing.assert_allclose(dots.get_ydata(), result.calibration.accuracies[some])
    assert [bar.get_height() for bar in below.patches] == result.calibration.counts.tolist()
