import re
from itertools import product

import numpy as np
import pytest

from probe._checks import InputError
from probe.layers import (
    AveragePooling2D,
    Cropping2D,
    GlobalAveragePooling2D,
    GlobalMaxPooling2D,
    MaxPooling2D,
    Reduce,
    UpSampling2D,
    ZeroPadding2D,
)

X = np.random.default_rng(23).normal(size=(2, 7, 8, 3))


def windows(x, size, strides, padding):
    """Yield each window of one image as it is inside, with its place."""
    height, width, _ = x.shape
    for row, column in product(
        *(
            range(-(-n // step) if padding == "same" else (n - window) // step + 1)
            for n, window, step in zip((height, width), size, strides, strict=True)
        )
    ):
        corner = []
        for n, window, step, at in zip((height, width), size, strides, (row, column), strict=True):
            total = max((-(-n // step) - 1) * step + window - n, 0) if padding == "same" else 0
            corner.append(at * step - total // 2)
        (top, left) = corner
        yield (row, column), x[max(top, 0) : top + size[0], max(left, 0) : left + size[1]]


@pytest.mark.parametrize(
    ("size", "strides", "padding"),
    list(product(((2, 2), (3, 2), (1, 4)), ((1, 1), (2, 3), (4, 1)), ("valid", "same"))),
)
def test_pooling_looks_at_the_pixels_that_are_inside(size, strides, padding):
    greatest = MaxPooling2D("m", size, strides, padding).forward(X)[0]
    mean = AveragePooling2D("a", size, strides, padding).forward(X)[0]
    seen = 0
    for sample in range(len(X)):
        for place, window in windows(X[sample], size, strides, padding):
            np.testing.assert_array_equal(greatest[sample][place], window.max(axis=(0, 1)))
            np.testing.assert_allclose(mean[sample][place], window.mean(axis=(0, 1)), rtol=1e-12)
            seen += 1
    assert seen * X.shape[-1] == greatest.size == mean.size


def test_strides_are_the_size_of_a_window_unless_given():
    assert MaxPooling2D("m", (3, 2)).output_shape((7, 8, 3)) == (2, 4, 3)
    assert AveragePooling2D("a", (3, 2), padding="same").output_shape((7, 8, 3)) == (3, 4, 3)


def test_the_gradient_of_a_tie_goes_to_the_first_of_the_window_row_by_row():
    x = np.array([[0.0, 5.0, 5.0], [5.0, 5.0, 0.0]]).reshape(1, 2, 3, 1)
    _, pullback = MaxPooling2D("m", (2, 2), (1, 1)).forward(x)
    dx = pullback(np.array([[1.0, 10.0]]).reshape(1, 1, 2, 1))
    np.testing.assert_array_equal(dx.reshape(2, 3), [[0, 11, 0], [0, 0, 0]])


def test_the_gradient_of_equal_negative_values_stays_inside_the_image():
    x = np.full((1, 3, 3, 1), -2.0)
    y, pullback = MaxPooling2D("m", (2, 2), (2, 2), "same").forward(x)
    assert (y == -2).all()
    np.testing.assert_array_equal(pullback(np.ones_like(y)).reshape(3, 3), [[1, 0, 1], [0, 0, 0], [1, 0, 1]])


def test_global_pooling_is_over_all_pixels_and_ties_share_the_gradient():
    np.testing.assert_array_equal(GlobalMaxPooling2D("m").forward(X)[0], X.max(axis=(1, 2)))
    np.testing.assert_allclose(GlobalAveragePooling2D("a").forward(X)[0], X.mean(axis=(1, 2)), rtol=1e-12)
    _, pullback = GlobalMaxPooling2D("m").forward(np.array([[3.0, 1.0], [3.0, 2.0]]).reshape(1, 2, 2, 1))
    np.testing.assert_array_equal(pullback(np.ones((1, 1))).ravel(), [0.5, 0, 0.5, 0])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: MaxPooling2D("p", (0, 2)), "pool_size must be an integer of at least 1, got 0"),
        (lambda: MaxPooling2D("p", 2), "pool_size must be two integers, got 2"),
        (lambda: AveragePooling2D("p", (2, 2), (1, -1)), "strides must be an integer of at least 1, got -1"),
        (lambda: AveragePooling2D("p", padding="full"), "one of valid, same; got 'full'"),
        (lambda: GlobalMaxPooling2D("p", keepdims=1), "keepdims must be True or False, got 1"),
        (lambda: GlobalMaxPooling2D("p", data_format="first"), "one of channels_last, channels_first"),
        (
            lambda: MaxPooling2D("p", (3, 3)).output_shape((2, 5, 1)),
            "needs images of at least 3 x 3, but gets 2 x 5",
        ),
        (lambda: MaxPooling2D("p").output_shape((4, 4)), "takes images (height, width, channels)"),
        (
            lambda: GlobalAveragePooling2D("p").output_shape((0, 4, 2)),
            "at least one pixel, but gets (0, 4, 2)",
        ),
    ],
)
def test_what_does_not_fit_is_refused_by_name(make, message):
    with pytest.raises(InputError, match=f"layer 'p'.*{re.escape(message)}"):
        make()


Y = np.arange(2 * 3 * 4 * 2.0).reshape(2, 3, 4, 2)


def test_padding_and_cropping_cancel():
    padded = ZeroPadding2D("z", [[1, 2], [0, 3]]).forward(Y)[0]
    np.testing.assert_array_equal(padded, np.pad(Y, [(0, 0), (1, 2), (0, 3), (0, 0)]))
    np.testing.assert_array_equal(Cropping2D("c", ((1, 2), (0, 3))).forward(padded)[0], Y)


def test_upsampling_repeats_rows_and_columns():
    np.testing.assert_array_equal(
        UpSampling2D("u", (2, 3)).forward(Y)[0], Y.repeat(2, axis=1).repeat(3, axis=2)
    )


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ZeroPadding2D("s", 1), "padding must be ((top, bottom), (left, right)), got 1"),
        (lambda: ZeroPadding2D("s", ((1, -1), (0, 0))), "padding must be an integer of at least 0, got -1"),
        (
            lambda: Cropping2D("s", ((1, 1),)),
            "cropping must be ((top, bottom), (left, right)), got ((1, 1),)",
        ),
        (lambda: Cropping2D("s", ((2, 1), (0, 0))).output_shape((3, 3, 1)), "nothing is left"),
        (lambda: UpSampling2D("s", (2, 0)), "size must be an integer of at least 1, got 0"),
        (lambda: UpSampling2D("s", interpolation="area"), "got 'area'"),
    ],
)
def test_margins_and_sizes_that_do_not_fit_are_refused_by_name(make, message):
    with pytest.raises(InputError, match=f"layer 's'.*{re.escape(message)}"):
        make()


def test_shapes_of_huge_images_cost_nothing():
    assert ZeroPadding2D("z", ((10**9, 10**9), (0, 0))).output_shape((1, 1, 1)) == (2 * 10**9 + 1, 1, 1)
    assert UpSampling2D("u", (10**9, 10**9)).output_shape((2, 2, 1)) == (2 * 10**9, 2 * 10**9, 1)


@pytest.mark.parametrize("layer", [GlobalAveragePooling2D("mean"), Reduce("mean", "mean", (1, 2))])
def test_means_of_many_pixels_are_as_exact_as_float32_is(layer):
    x = np.random.default_rng(0).uniform(size=(2, 112, 112, 5)).astype("f4")
    means = layer.forward(x)[0]
    assert means.dtype == np.float32
    np.testing.assert_allclose(means, x.astype("f8").mean(axis=(1, 2)), rtol=1.2e-7)
