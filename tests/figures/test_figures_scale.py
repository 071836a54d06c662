"""Colors of weight images: one scale for all by default, and none that leaves most of them blank without a word."""

import numpy as np
import pytest
from pictures import note, overlaps, rendered
from planted import paths
from test_figures import colors, drawn_colors
from test_figures import weights as planted

import probe
from probe.analyses.weights import WeightImages
from probe.figures._tiles import ColorScale


def one_dominates(n_units=50, n_large=4, times=2000.0, shape=(8, 8)):
    images = np.random.default_rng(0).normal(0, 0.05, (n_units, *shape)).astype(np.float32)
    images[:n_large] *= times
    names = tuple(str(k) for k in range(n_units))
    return WeightImages(
        images=images, layer="hidden", kind="weights", unit_names=names, scale=float(np.abs(images).max())
    )


def framed(figure):
    return [patch for patch in figure.axes[0].patches if patch.get_gid() == "framed"]


def test_where_few_units_leave_the_others_blank_the_scale_is_robust_and_says_so():
    result = one_dominates()
    figure = probe.plot(result)
    assert "46 of 50 units are faint on a shared scale" in note(figure)
    assert "99% of the weights are within" in note(figure)
    assert len(framed(figure)) == 4
    assert "(4 of 50)" in note(figure)
    limit = figure.axes[1].get_xlim()[1]
    others = np.abs(result.images[4:])
    assert limit == pytest.approx(np.quantile(others, 0.99), rel=1e-5)
    # The others can be seen: each has a strong color somewhere.
    assert (others.reshape(46, -1).max(axis=1) > 0.5 * limit).all()
    np.testing.assert_array_equal(drawn_colors(figure), colors(result.images, "RdBu_r", -limit, limit))
    assert overlaps(rendered(result)) == []


def test_frames_stand_around_the_units_that_are_beyond():
    figure = probe.plot(one_dominates(n_units=12, n_large=1))
    (frame,) = framed(figure)
    tiles = figure.axes[0].collections[0].get_paths()
    inside = [
        frame.get_path().transformed(frame.get_patch_transform()).contains_point(p.vertices[:4].mean(axis=0))
        for p in tiles
    ]
    assert inside == [True, *[False] * 11]


@pytest.mark.parametrize(("n_large", "kind"), [(24, "robust"), (25, "shared"), (26, "shared"), (0, "shared")])
def test_the_scale_is_robust_only_where_more_than_half_would_be_blank(n_large, kind):
    scale = ColorScale.of(one_dominates(n_large=n_large).images)
    assert (scale.kind, scale.n_faint) == (kind, 50 - n_large if n_large else 0)


def test_some_faint_units_are_counted_on_a_shared_scale():
    result = one_dominates(n_large=40)
    assert "One scale for all" in note(probe.plot(result))
    assert "10 of 50 units are faint on it" in note(probe.plot(result))
    assert framed(probe.plot(result)) == []
    assert "faint" not in note(probe.plot(planted(16)))


def test_outliers_among_outliers_are_left_out_too():
    images = one_dominates(n_large=10).images.copy()
    images[0] *= 1000
    scale = ColorScale.of(images)
    assert scale.kind == "robust"
    assert scale.n_outliers == 10
    assert scale.limit < 0.3


def test_units_without_weights_do_not_count_and_are_drawn():
    images = one_dominates(n_large=0).images.copy()
    images[5:] = 0
    scale = ColorScale.of(images)
    assert (scale.kind, scale.n_faint) == ("shared", 45)
    blank = ColorScale.of(images * 0)
    assert (blank.kind, blank.limit) == ("shared", 1.0)
    for kind in ("shared", "robust", "unit"):
        nothing = WeightImages(
            images=images * 0, layer="hidden", kind="weights", unit_names=tuple("0" * 50), scale=0.0
        )
        rendered(nothing)
        probe.plot(nothing, scale=kind)


def test_a_scale_can_be_chosen():
    result = one_dominates()
    shared = probe.plot(result, scale="shared")
    assert shared.axes[1].get_xlim()[1] == pytest.approx(result.scale)
    assert "46 of 50 units are faint on it" in note(shared)
    unit = probe.plot(result, scale="unit")
    own = np.abs(result.images).reshape(50, -1).max(axis=1)
    scaled = result.images / own[:, None, None]
    np.testing.assert_array_equal(drawn_colors(unit), colors(scaled, "RdBu_r", -1, 1))
    assert "Each unit on a scale of its own" in note(unit)
    robust = probe.plot(planted(16), scale="robust")
    limit = np.quantile(np.abs(planted(16).images), 0.99)
    assert robust.axes[1].get_xlim()[1] == pytest.approx(limit, rel=1e-4)
    assert "faint" not in note(robust)


def test_the_images_of_one_unit_share_its_scale():
    images = np.random.default_rng(0).normal(size=(6, 4, 4)).astype(np.float32)
    images[1] *= 10
    scale = ColorScale.of(images, "unit", per_unit=2)
    largest = np.abs(images).reshape(3, -1).max(axis=1)
    np.testing.assert_allclose(scale.divisors, largest.repeat(2))


def test_colors_of_three_channels_have_the_scale_too():
    images = one_dominates(shape=(6, 6, 3)).images
    result = WeightImages(
        images=images,
        layer="conv",
        kind="kernels",
        unit_names=tuple(map(str, range(50))),
        scale=float(np.abs(images).max()),
    )
    figure = probe.plot(result)
    assert "46 of 50 filters are faint" in note(figure)
    assert "full color ±0." in figure.axes[0].get_title("left")


def test_what_is_no_scale_is_refused():
    with pytest.raises(probe.InputError, match="scale must be"):
        probe.plot(planted(4), scale="log")
    with pytest.raises(probe.InputError, match="scale must be left out for 'paths', got 'unit'"):
        probe.plot(paths(3), scale="unit")
