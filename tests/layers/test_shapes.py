import re

import numpy as np
import pytest

from probe._checks import InputError
from probe.layers import (
    ActivationLayer,
    Cropping2D,
    Dense,
    Flatten,
    Noise,
    Permute,
    Softmax,
    UpSampling2D,
    ZeroPadding2D,
)

X = np.arange(2 * 3 * 4 * 2.0).reshape(2, 3, 4, 2)


def test_flatten_with_the_channels_first_moves_them_last():
    np.testing.assert_array_equal(
        Flatten("f", "channels_first").forward(np.moveaxis(X, -1, 1))[0], Flatten("f").forward(X)[0]
    )


def test_permute_counts_the_axes_of_one_input_from_one():
    np.testing.assert_array_equal(Permute("p", (3, 1, 2)).forward(X)[0], np.moveaxis(X, -1, 1))
    assert Permute("p", [3, 1, 2]).output_shape((3, 4, 2)) == (2, 3, 4)


def test_padding_and_cropping_cancel():
    padded = ZeroPadding2D("z", [[1, 2], [0, 3]]).forward(X)[0]
    np.testing.assert_array_equal(padded, np.pad(X, [(0, 0), (1, 2), (0, 3), (0, 0)]))
    np.testing.assert_array_equal(Cropping2D("c", ((1, 2), (0, 3))).forward(padded)[0], X)


def test_upsampling_repeats_rows_and_columns():
    np.testing.assert_array_equal(
        UpSampling2D("u", (2, 3)).forward(X)[0], X.repeat(2, axis=1).repeat(3, axis=2)
    )


def test_noise_does_nothing_and_keeps_its_settings():
    np.testing.assert_array_equal(Noise("n", "SpatialDropout2D", 0.5).forward(X)[0], X)
    assert Noise("n", "SpatialDropout2D", 0.5).settings == {"rate": 0.5}
    assert Noise("n", "GaussianNoise", 2.0).settings == {"stddev": 2.0}
    assert Noise("n", "ActivityRegularization", 0.1, 0.2).settings == {"l1": 0.1, "l2": 0.2}


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Flatten("s", "NCHW"), "one of channels_last, channels_first; got 'NCHW'"),
        (lambda: Permute("s", (1, 3)), "dims must hold each of 1 to 2 once, got (1, 3)"),
        (lambda: Permute("s", (0, 1)), "must be an integer of at least 1, got 0"),
        (lambda: Permute("s", (2, 1)).output_shape((3,)), "takes inputs of 2 axes, but gets shape (3,)"),
        (lambda: ZeroPadding2D("s", 1), "padding must be ((top, bottom), (left, right)), got 1"),
        (lambda: ZeroPadding2D("s", ((1, -1), (0, 0))), "padding must be an integer of at least 0, got -1"),
        (
            lambda: Cropping2D("s", ((1, 1),)),
            "cropping must be ((top, bottom), (left, right)), got ((1, 1),)",
        ),
        (lambda: Cropping2D("s", ((2, 1), (0, 0))).output_shape((3, 3, 1)), "nothing is left"),
        (lambda: UpSampling2D("s", (2, 0)), "size must be an integer of at least 1, got 0"),
        (lambda: UpSampling2D("s", interpolation="bilinear"), "one of nearest; got 'bilinear'"),
        (lambda: Noise("s", "Dropout3", 0.5), "must be one of ActivityRegularization"),
        (lambda: Noise("s", "AlphaDropout", 1.5), "must be a finite number at least 0 and at most 1"),
        (
            lambda: ActivationLayer("s", Softmax(2)).output_shape((3,)),
            "axis 2 must be one of 1 to 1 or -1 to -1",
        ),
        (lambda: ActivationLayer("s", Softmax((0, 1))).output_shape((3,)), "axis 0 must be one of 1 to 1"),
        (
            lambda: Dense("s", np.ones((2, 3)), np.zeros(3), Softmax(3)).output_shape((2,)),
            "axis 3 must be one of",
        ),
    ],
)
def test_what_does_not_fit_is_refused_by_name(make, message):
    with pytest.raises(InputError, match=f"layer 's'.*{re.escape(message)}"):
        make()


def test_shapes_of_huge_images_cost_nothing():
    assert ZeroPadding2D("z", ((10**9, 10**9), (0, 0))).output_shape((1, 1, 1)) == (2 * 10**9 + 1, 1, 1)
    assert UpSampling2D("u", (10**9, 10**9)).output_shape((2, 2, 1)) == (2 * 10**9, 2 * 10**9, 1)
    assert Flatten("f").output_shape((10**12, 10**12)) == (10**24,)
