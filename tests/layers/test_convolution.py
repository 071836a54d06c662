import re
from itertools import product

import numpy as np
import pytest
from scipy.signal import correlate2d

from probe._checks import InputError
from probe.layers import Conv2D, Conv2DTranspose, DepthwiseConv2D, SeparableConv2D, _windows

RNG = np.random.default_rng(17)
X = RNG.normal(size=(2, 7, 8, 4))
STRIDES, DILATIONS = ((1, 1), (2, 3)), ((1, 1), (2, 1))


def by_scipy(x, kernel, strides, padding, dilation_rate):
    """One image (height, width, channels) with SciPy: dilate the kernel, correlate everywhere, take steps."""
    rows, columns, channels, filters = kernel.shape
    spans = [(size - 1) * step + 1 for size, step in zip((rows, columns), dilation_rate, strict=True)]
    dilated = np.zeros((*spans, channels, filters))
    dilated[:: dilation_rate[0], :: dilation_rate[1]] = kernel
    margins = [(0, 0), (0, 0)]
    if padding == "same":
        for axis, (n, span, stride) in enumerate(zip(x.shape, spans, strides, strict=False)):
            total = max((int(np.ceil(n / stride)) - 1) * stride + span - n, 0)
            margins[axis] = (total // 2, total - total // 2)
    x = np.pad(x, [*margins, (0, 0)])
    maps = [
        sum(correlate2d(x[:, :, c], dilated[:, :, c, f], "valid") for c in range(channels))
        for f in range(filters)
    ]
    return np.stack(maps, axis=-1)[:: strides[0], :: strides[1]]


@pytest.mark.parametrize(
    ("strides", "padding", "dilation_rate", "groups"),
    list(product(STRIDES, ("valid", "same"), DILATIONS, (1, 2, 4))),
)
def test_a_convolution_is_scipys(strides, padding, dilation_rate, groups):
    kernel, bias = RNG.normal(size=(3, 2, 4 // groups, 8)), RNG.normal(size=8)
    steps = {"strides": strides, "padding": padding, "dilation_rate": dilation_rate}
    z, _ = Conv2D("c", kernel, bias, **steps, groups=groups).pre_activation(X)
    for sample in range(2):
        parts = [
            by_scipy(channels, filters, strides, padding, dilation_rate)
            for channels, filters in zip(
                np.split(X[sample], groups, axis=-1), np.split(kernel, groups, axis=-1), strict=True
            )
        ]
        np.testing.assert_allclose(z[sample], np.concatenate(parts, axis=-1) + bias, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(
    ("strides", "padding", "dilation_rate"), list(product(STRIDES, ("valid", "same"), DILATIONS))
)
def test_depthwise_is_a_convolution_of_as_many_groups_as_channels(strides, padding, dilation_rate):
    kernel, bias = RNG.normal(size=(3, 2, 4, 2)), RNG.normal(size=8)
    steps = {"strides": strides, "padding": padding, "dilation_rate": dilation_rate}
    ours = DepthwiseConv2D("d", kernel, bias, **steps)
    grouped = Conv2D("c", kernel.reshape(3, 2, 1, 8), bias, **steps, groups=4)
    np.testing.assert_allclose(
        ours.pre_activation(X)[0], grouped.pre_activation(X)[0], rtol=1e-10, atol=1e-12
    )
    assert ours.output_shape(X.shape[1:]) == grouped.output_shape(X.shape[1:])


def test_separable_is_depthwise_then_a_mixture_of_channels():
    first, second, bias = RNG.normal(size=(3, 3, 4, 2)), RNG.normal(size=(1, 1, 8, 5)), RNG.normal(size=5)
    ours = SeparableConv2D("s", first, second, bias, strides=(2, 2), padding="same", activation_name="relu")
    depthwise = DepthwiseConv2D("d", first, np.zeros(8), strides=(2, 2), padding="same")
    mixture = Conv2D("c", second, bias, activation_name="relu")
    np.testing.assert_allclose(
        ours.forward(X)[0], mixture.forward(depthwise.forward(X)[0])[0], rtol=1e-10, atol=1e-12
    )
    assert list(ours.variables) == ["depthwise_kernel", "pointwise_kernel", "bias"]


@pytest.mark.parametrize(("strides", "padding"), list(product(STRIDES, ("valid", "same"))))
def test_a_transposed_convolution_is_the_way_back_of_a_convolution(strides, padding):
    kernel = RNG.normal(size=(3, 3, 4, 5))
    conv = Conv2D("c", kernel, np.zeros(5), strides=strides, padding=padding)
    ours = Conv2DTranspose("t", kernel, np.zeros(4), strides=strides, padding=padding)
    x = RNG.normal(size=(2, 3, 4, 5))
    shape = ours.output_shape(x.shape[1:])
    z, pullback = conv.pre_activation(np.zeros((2, *shape)))
    assert z.shape == x.shape
    np.testing.assert_allclose(ours.pre_activation(x)[0], pullback(x), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(
    ("padding", "output_padding", "expected"),
    [("valid", None, 8), ("same", None, 6), ("valid", (1, 1), 8), ("same", (0, 0), 5), ("same", (1, 1), 6)],
)
def test_the_size_after_a_transposed_convolution(padding, output_padding, expected):
    kernel = (4, 4) if output_padding is None else (3, 3)
    layer = Conv2DTranspose(
        "t",
        np.ones((*kernel, 1, 1)),
        np.zeros(1),
        strides=(2, 2),
        padding=padding,
        output_padding=output_padding,
    )
    assert layer.output_shape((3, 3, 1)) == (expected, expected, 1)


@pytest.mark.parametrize("layer", ["conv", "grouped", "strided", "transpose"])
def test_blocks_of_any_size_give_the_same(monkeypatch, layer):
    layer = {
        "conv": Conv2D("c", RNG.normal(size=(3, 3, 4, 4)), np.ones(4), padding="same"),
        "grouped": Conv2D("c", RNG.normal(size=(3, 3, 2, 4)), np.ones(4), groups=2),
        "strided": Conv2D(
            "c", RNG.normal(size=(3, 3, 4, 4)), np.ones(4), strides=(2, 1), dilation_rate=(2, 2)
        ),
        "transpose": Conv2DTranspose("t", RNG.normal(size=(3, 3, 2, 4)), np.ones(2), strides=(2, 2)),
    }[layer]
    whole, pullback = layer.pre_activation(X)
    gradient = pullback(whole)
    for size in (1, 3000, 20000):
        monkeypatch.setattr(_windows, "_BLOCK_BYTES", size)
        z, pullback = layer.pre_activation(X)
        np.testing.assert_allclose(z, whole, rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(pullback(whole), gradient, rtol=1e-12, atol=1e-10)


@pytest.mark.parametrize("settings", [{}, {"padding": "same"}, {"strides": (2, 1), "dilation_rate": (2, 2)}])
@pytest.mark.parametrize("groups", [1, 2])
def test_windows_unfolded_by_their_places_give_the_same(monkeypatch, settings, groups):
    kernel = RNG.normal(size=(3, 2, X.shape[3] // groups, 4))
    layer, found = Conv2D("c", kernel, np.arange(4.0), groups=groups, **settings), []
    for least in (0, 1000):
        monkeypatch.setattr(_windows, "_SIDE_BY_SIDE", least)
        z, _ = layer.pre_activation(X)
        found.append((z, *layer.variable_gradients(X, np.cos(z)).values()))
    for by_window, by_place in zip(*found, strict=True):
        np.testing.assert_allclose(by_place, by_window, rtol=1e-12, atol=1e-12)


def test_memory_is_bounded_by_the_batch_and_not_by_its_windows():
    import tracemalloc

    layer = Conv2D("c", np.ones((7, 7, 8, 8), np.float32), np.zeros(8, np.float32), padding="same")
    x = np.ones((16, 64, 64, 8), np.float32)
    tracemalloc.start()
    try:
        z, pullback = layer.pre_activation(x)
        pullback(z)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # Unfolded, the windows would take 49 times as much as the images.
    assert peak < 6 * x.nbytes


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: Conv2D("c", np.ones((3, 3, 2)), np.ones(2)),
            "kernel must have four axes, got shape (3, 3, 2)",
        ),
        (
            lambda: Conv2D("c", np.ones((3, 0, 2, 1)), np.ones(1)),
            "must have four axes, got shape (3, 0, 2, 1)",
        ),
        (
            lambda: Conv2D("c", np.ones((3, 3, 2, 4)), np.ones(3)),
            "bias must have shape (4,) for a kernel of shape (3, 3, 2, 4), got (3,)",
        ),
        (
            lambda: Conv2D("c", np.ones((3, 3, 2, 4), "f4"), np.ones(4)),
            "kernel and bias must both be float32 or both float64, got float32 and float64",
        ),
        (
            lambda: Conv2D("c", np.ones((3, 3, 2, 4)), np.ones(4), strides=(0, 1)),
            "strides must be an integer of at least 1, got 0",
        ),
        (
            lambda: Conv2D("c", np.ones((3, 3, 2, 4)), np.ones(4), strides=2),
            "strides must be two integers, got 2",
        ),
        (
            lambda: Conv2D("c", np.ones((3, 3, 2, 4)), np.ones(4), dilation_rate=(True, 1)),
            "dilation_rate must be an integer of at least 1, got True",
        ),
        (
            lambda: Conv2D("c", np.ones((3, 3, 2, 4)), np.ones(4), groups=3),
            "4 filters cannot be split into 3",
        ),
        (
            lambda: Conv2D("c", np.ones((3, 3, 2, 4)), np.ones(4), padding="full"),
            "one of valid, same; got 'full'",
        ),
        (
            lambda: Conv2D("c", np.ones((3, 3, 2, 4)), np.ones(4), data_format="NHWC"),
            "one of channels_last, channels_first; got 'NHWC'",
        ),
        (lambda: Conv2D("c", np.ones((3, 3, 2, 4)), np.ones(4), activation_name="swish"), "got 'swish'"),
        (
            lambda: DepthwiseConv2D("c", np.ones((3, 3, 2, 2)), np.ones(2)),
            "bias must have shape (4,) for a kernel of shape (3, 3, 2, 2), got (2,)",
        ),
        (
            lambda: SeparableConv2D("c", np.ones((3, 3, 2, 2)), np.ones((1, 1, 2, 3)), np.ones(3)),
            "pointwise_kernel must have shape (1, 1, 4, filters) for a depthwise_kernel of shape (3, 3, 2, 2)",
        ),
        (
            lambda: Conv2DTranspose(
                "c", np.ones((3, 3, 2, 4)), np.ones(2), strides=(2, 2), output_padding=(2, 0)
            ),
            "output_padding must be below strides (2, 2), got (2, 0)",
        ),
    ],
)
def test_what_does_not_fit_is_refused_by_name(make, message):
    with pytest.raises(InputError, match=f"(^layer 'c'|of layer 'c'|activation).*{re.escape(message)}"):
        make()


@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        (Conv2D("c", np.ones((3, 3, 2, 4)), np.ones(4)), (8, 8), "takes images (height, width, channels)"),
        (
            Conv2D("c", np.ones((3, 3, 2, 4)), np.ones(4), data_format="channels_first"),
            (8, 8),
            "takes images (channels, height, width), but gets shape (8, 8)",
        ),
        (
            Conv2D("c", np.ones((3, 3, 2, 4)), np.ones(4)),
            (8, 8, 3),
            "takes images of 2 channels, but gets 3 channels (8 x 8 pixels)",
        ),
        (
            Conv2D("c", np.ones((3, 3, 2, 4)), np.ones(4), dilation_rate=(4, 1)),
            (8, 8, 2),
            "needs images of at least 9 x 3, but gets 8 x 8",
        ),
        (
            Conv2DTranspose("c", np.ones((3, 3, 2, 4)), np.ones(2)),
            (8, 8, 3),
            "takes images of 4 channels, but gets 3 channels",
        ),
        (
            Conv2DTranspose("c", np.ones((4, 4, 2, 4)), np.ones(2), padding="same"),
            (0, 8, 4),
            "leaves nothing of images of 0 x 8 pixels",
        ),
    ],
)
def test_images_that_do_not_fit_are_refused(layer, shape, message):
    with pytest.raises(InputError, match=f"^layer 'c'.*{re.escape(message)}"):
        layer.output_shape(shape)


def test_shapes_of_huge_images_cost_nothing():
    layer = Conv2D("c", np.ones((3, 3, 2, 4)), np.ones(4), strides=(2, 2), padding="same")
    assert layer.output_shape((10**12, 10**12, 2)) == (5 * 10**11, 5 * 10**11, 4)
