"""The figure of drawings: labels do not overlap, and what is drawn is what the result holds."""

from dataclasses import replace

import matplotlib
import numpy as np
import pytest
from pictures import all_overlaps, cut_off, rendered
from recipes_of_tests import quick_controls

from probe.analyses.drawing import drawing


@pytest.fixture(scope="module")
def result(trained, digits):
    return drawing(trained, digits, controls=quick_controls(trained, digits, 2), restarts=2, steps=20)


def shown_images(axes, row):
    """Return the levels of the images of a row as bytes."""
    canvas = axes.images[0].get_array()[..., 0]
    frames = [path.get_extents() for path in axes.collections[0].get_paths()[10 * row : 10 * row + 10]]
    return [
        canvas[round(f.y0 + 0.5) : round(f.y1 + 0.5), round(f.x0 + 0.5) : round(f.x1 + 0.5)] for f in frames
    ]


def levels(images):
    return matplotlib.colormaps["gray"](images, bytes=True)[..., 0]


def test_each_class_has_its_drawings_its_nearest_image_and_its_mean(result):
    axes = rendered(result).axes[0]
    plain = result.kind("optimized").images[result.best_indices]
    np.testing.assert_array_equal(shown_images(axes, 0), levels(plain))
    np.testing.assert_array_equal(shown_images(axes, 3), levels(result.nearest))
    np.testing.assert_array_equal(shown_images(axes, 4), levels(result.kind("class means").images))
    for row, artist in ((1, result.artists[0]), (2, result.artists[-1])):
        for k, image in enumerate(shown_images(axes, row)):
            own = levels(artist.smoothed.images[2 * k : 2 * k + 2])
            assert any(np.array_equal(image, each) for each in own)
    texts = [text.get_text() for text in axes.texts]
    assert texts[:10] == list(result.class_names)
    seen = result.kind("optimized").judged[:, result.best_indices].T
    assert texts[50:60] == ["/".join(map(str, judges)) for judges in seen]
    assert texts[80:90] == [result.class_names[k] for k in result.nearest_classes]


def test_what_counts_as_drawn_is_framed_and_nothing_else(result):
    own = result.artists[0]
    drawn = np.arange(20) == result.best_indices[4]
    plain = replace(own.plain, plausible=drawn, judged=np.tile(own.plain.intended, (3, 1)))
    nothing = replace(own.smoothed, plausible=drawn & False)
    others = [replace(artist, smoothed=nothing) for artist in result.artists]
    figure = rendered(replace(result, artists=(replace(others[0], plain=plain), *others[1:])))
    (frame,) = [patch for patch in figure.axes[0].patches if patch.get_gid() == "framed"]
    fifth = figure.axes[0].collections[0].get_paths()[4].get_extents()
    np.testing.assert_allclose(frame.get_bbox().bounds, fifth.bounds)


def test_bars_and_dots_are_the_shares_and_the_classes_drawn(result):
    shares, classes = rendered(result).axes[-2:]
    kinds = result.kinds
    expected = [kind.plausible_share for kind in kinds] + [kind.drawn_share for kind in kinds]
    np.testing.assert_allclose([bar.get_width() for bar in shares.patches], expected)
    dots = [line for line in classes.lines if line.get_marker() == "o"]
    counts = [result.artists[0].n_drawn, *result.classes_drawn, *(a.n_drawn for a in result.artists[1:])]
    assert [dot.get_xdata()[0] for dot in dots] == counts
    dashed = next(line for line in classes.lines if line.get_linestyle() == "--")
    assert dashed.get_xdata()[0] == 5


def test_texts_do_not_lie_over_each_other_or_leave_the_figure(result):
    figure = rendered(result)
    assert all_overlaps(figure) == []
    assert cut_off(figure) == []


def test_a_judge_that_there_is_none_of_is_a_dash(trained, digits):
    figure = rendered(drawing(trained, digits, restarts=1, steps=5))
    assert figure.axes[0].texts[50].get_text().endswith("/–")
    assert len(figure.axes[-1].get_yticklabels()) == 2
