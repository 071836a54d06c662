"""Layers of any shape: what they refuse, and what they do at the edges."""

import re

import numpy as np
import pytest

from probe._checks import InputError
from probe.layers import (
    GLU,
    AdaptiveAveragePooling2D,
    Affine,
    Augmentation,
    AveragePooling2D,
    Broadcast,
    CenterCrop,
    Clip,
    Conv1D,
    GroupNormalization,
    LocallyConnected2D,
    LocalResponseNormalization,
    MaxPooling1D,
    MaxPooling2D,
    Noise,
    Pad,
    Power,
    Reduce,
    Resizing,
    Slice,
    UnitNormalization,
)

ONES = np.ones


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Reduce("s", "median", (1,)), "must be one of mean, sum, max, min; got 'median'"),
        (lambda: Reduce("s", "mean", ()), "axes must name at least one axis, got ()"),
        (lambda: Reduce("s", "mean", (0,)).output_shape((3,)), "axis 0 must be one of 1 to 1"),
        (lambda: Reduce("s", "mean", (1, -1)).output_shape((3,)), "axes (1, -1) name one axis twice"),
        (lambda: Reduce("s", "mean", (2,)).output_shape((3,)), "axis 2 must be one of 1 to 1 or -1 to -1"),
        (lambda: Slice("s", (0,), (1, 2), (1,)), "must hold one entry for each axis"),
        (lambda: Slice("s", (0,), (1,), (0,)), "steps must be other than 0, got (0,)"),
        (lambda: Slice("s", (4,), (2,), (1,)).output_shape((3,)), "leaves nothing of inputs of shape (3,)"),
        (
            lambda: Slice("s", (4,), (2,), (1,)).output_shape((3, 3)),
            "takes inputs of 1 axes, but gets shape (3, 3)",
        ),
        (lambda: Pad("s", ((1, -1),)), "must be an integer of at least 0, got -1"),
        (lambda: Pad("s", ((1, 1),), "wrap"), "must be one of constant, reflect, edge; got 'wrap'"),
        (
            lambda: Pad("s", ((3, 0),), "reflect").output_shape((3,)),
            "mirrors 3 values of an axis of length 3",
        ),
        (lambda: Pad("s", ((3, 0),)).output_shape((3, 1)), "takes inputs of 1 axes"),
        (lambda: Broadcast("s", (2, 3)).output_shape((2,)), "cannot repeat inputs of shape (2,) to (2, 3)"),
        (lambda: Broadcast("s", (3,)).output_shape((1, 3)), "cannot repeat inputs of shape (1, 3) to (3,)"),
        (lambda: Affine("s"), "must have a scale or a shift, got neither"),
        (
            lambda: Affine("s", ONES(3)).output_shape((4, 2)),
            "has a scale of shape (3,), which does not fit inputs",
        ),
        (
            lambda: Affine("s", None, ONES((2, 1))).output_shape((2,)),
            "has a shift of shape (2, 1), which does not fit",
        ),
        (lambda: Affine("s", ONES(3), ONES(3, "f4")), "scale and shift must both be float32 or both float64"),
        (lambda: GroupNormalization("s", None, None, 0), "must be at least 1, or -1 for each channel, got 0"),
        (
            lambda: GroupNormalization("s", None, None, 3).output_shape((4,)),
            "4 channels cannot be split into 3 groups",
        ),
        (lambda: GroupNormalization("s", ONES(3), None, 1).output_shape((4,)), "has gamma of shape (3,)"),
        (lambda: UnitNormalization("s", (1,), 0.0), "must be a finite number above 0"),
        (lambda: UnitNormalization("s", (2,)).output_shape((3,)), "axis 2 must be one of 1 to 1"),
        (lambda: LocalResponseNormalization("s", 0), "must be an integer of at least 1, got 0"),
        (lambda: GLU("s", 1).output_shape((3, 2)), "halves axis 1, but gets shape (3, 2)"),
        (lambda: Resizing("s", 0, 3), "must be an integer of at least 1, got 0"),
        (lambda: Resizing("s", 3, 3, "area"), "got 'area'"),
        (lambda: Resizing("s", 3, 3, coordinates="corner"), "got 'corner'"),
        (
            lambda: Resizing("s", 3, 3, crop_to_aspect_ratio=True, pad_to_aspect_ratio=True),
            "can crop to the aspect ratio or pad to it, not both",
        ),
        (lambda: CenterCrop("s", 3, 3).output_shape((4, 4)), "takes images (height, width, channels)"),
        (lambda: AdaptiveAveragePooling2D("s", (1, 0)), "must be an integer of at least 1, got 0"),
        (
            lambda: MaxPooling2D("s", (2, 2), padding=((2, 0), (0, 0))),
            "padding must be less than a window, 2 x 2",
        ),
        (
            lambda: AveragePooling2D("s", (2, 2), padding=((1, -1), (0, 0))),
            "an integer of at least 0, got -1",
        ),
        (lambda: MaxPooling1D("s", 0), "must be an integer of at least 1, got 0"),
        (
            lambda: MaxPooling1D("s").output_shape((3, 3, 3)),
            "takes signals (steps, channels), but gets shape (3, 3, 3)",
        ),
        (lambda: Conv1D("s", ONES((2, 3))), "kernel must have three axes, got shape (2, 3)"),
        (lambda: Conv1D("s", ONES((2, 3, 1)), padding="full"), "one of valid, same, causal; got 'full'"),
        (
            lambda: Conv1D("s", ONES((2, 3, 1))).output_shape((5, 2)),
            "takes images of 3 channels, but gets 2 channels",
        ),
        (lambda: LocallyConnected2D("s", ONES((4, 2))), "kernel must have three axes, got shape (4, 2)"),
        (
            lambda: LocallyConnected2D("s", ONES((4, 2, 3)), ONES(3)),
            "bias must have shape (n_rows, n_columns, 3)",
        ),
        (
            lambda: LocallyConnected2D("s", ONES((4, 2, 3)), kernel_size=(1, 1)).output_shape((3, 3, 2)),
            "it needs (9, 2, 3)",
        ),
        (lambda: Augmentation("s", "RandomNothing"), "must be one of AugMix"),
        (lambda: Noise("s", "StochasticDepth", 1.5), "at least 0 and at most 1"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(make, message):
    with pytest.raises(InputError, match=f"layer 's'.*{re.escape(message)}"):
        make()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Clip(1.0, 0.0), "low of clip must be no more than high 0, got 1"),
        (lambda: Power(float("inf")), "exponent of power must be a finite number"),
    ],
)
def test_settings_of_activations_that_do_not_fit_are_refused(make, message):
    with pytest.raises(InputError, match=re.escape(message)):
        make()


def test_where_several_are_the_greatest_they_share_the_gradient():
    x = np.array([[3.0, 1.0, 3.0], [2.0, 2.0, 2.0]])
    _, pullback = Reduce("r", "max", (1,)).forward(x)
    np.testing.assert_allclose(pullback(np.array([1.0, 3.0])), [[0.5, 0, 0.5], [1, 1, 1]])


def test_the_shape_of_huge_inputs_costs_nothing():
    assert Slice("s", (1,), (None,), (10,)).output_shape((10**12,)) == (10**11,)
    assert Pad("p", ((10**9, 0),)).output_shape((1,)) == (10**9 + 1,)
    assert Resizing("r", 10**9, 10**9).output_shape((1, 1, 3)) == (10**9, 10**9, 3)


@pytest.mark.parametrize(("strides", "grid"), [((1, 1), (4, 3)), ((2, 1), (2, 3)), ((3, 2), (2, 2))])
def test_a_locally_connected_layer_has_filters_of_its_own_at_each_window(strides, grid):
    rng = np.random.default_rng(0)
    x, kernel = rng.normal(size=(2, 5, 5, 3)), rng.normal(size=(grid[0] * grid[1], 2 * 3 * 3, 4))
    found = LocallyConnected2D("l", kernel, kernel_size=(2, 3), strides=strides).forward(x)[0]
    assert found.shape == (2, *grid, 4)
    for place, (row, column) in enumerate(np.ndindex(grid)):
        top, left = row * strides[0], column * strides[1]
        window = x[:, top : top + 2, left : left + 3].reshape(2, -1)
        np.testing.assert_allclose(found[:, row, column], window @ kernel[place], rtol=1e-12)
