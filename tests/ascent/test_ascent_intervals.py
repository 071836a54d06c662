"""Intervals: whatever a layer or an activation puts out lies within, and no wider than it must be."""

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from probe.ascent.intervals import Range, activation_range, pre_activation_range
from probe.layers import (
    ACTIVATIONS,
    FUNCTIONS,
    GLU,
    ActivationLayer,
    AdaptiveAveragePooling2D,
    Add,
    Affine,
    Augmentation,
    Average,
    AveragePooling2D,
    BatchNormalization,
    Broadcast,
    CenterCrop,
    Clip,
    Concatenate,
    Conv1D,
    Conv2D,
    Conv2DTranspose,
    Cropping2D,
    Dense,
    DepthwiseConv2D,
    Divide,
    Dropout,
    Elu,
    Flatten,
    GlobalAveragePooling2D,
    GlobalMaxPooling2D,
    GroupNormalization,
    Layer,
    LayerNormalization,
    LeakyRelu,
    LocallyConnected2D,
    LogSoftmax,
    Maximum,
    MaxPooling2D,
    Minimum,
    Multiply,
    Noise,
    Normalization,
    Pad,
    Permute,
    Power,
    PReLU,
    Reduce,
    Relu,
    Rescaling,
    Reshape,
    Resizing,
    SeparableConv1D,
    SeparableConv2D,
    Slice,
    Softmax,
    Subtract,
    UnitNormalization,
    UpSampling2D,
    ZeroPadding2D,
)


def values(*shape):
    return np.asarray(np.random.default_rng(sum(shape) * 100 + len(shape)).normal(size=shape))


IMAGE = (5, 6, 2)
LAYERS = {
    "dense": (Dense("l", values(4, 3), values(3)), (4,)),
    "dense, no bias": (Dense("l", values(4, 3), None), (4,)),
    "conv": (Conv2D("l", values(3, 2, 2, 4), values(4), strides=(2, 1), padding="same"), IMAGE),
    "conv, groups": (Conv2D("l", values(2, 2, 1, 4), values(4), groups=2, dilation_rate=(2, 2)), IMAGE),
    "conv, channels first": (Conv2D("l", values(2, 2, 5, 3), values(3), data_format="channels_first"), IMAGE),
    "depthwise": (DepthwiseConv2D("l", values(2, 2, 2, 3), values(6)), IMAGE),
    "separable": (SeparableConv2D("l", values(2, 2, 2, 3), values(1, 1, 6, 4), values(4)), IMAGE),
    "transpose": (Conv2DTranspose("l", values(3, 2, 3, 2), values(3), strides=(2, 2), padding="same"), IMAGE),
    "max": (MaxPooling2D("l", padding="same"), IMAGE),
    "average": (AveragePooling2D("l", (3, 2), padding="same"), IMAGE),
    "global max": (GlobalMaxPooling2D("l"), IMAGE),
    "global average": (GlobalAveragePooling2D("l", keepdims=True), IMAGE),
    "padding": (ZeroPadding2D("l", ((1, 0), (2, 3))), IMAGE),
    "cropping": (Cropping2D("l", ((1, 0), (2, 1))), IMAGE),
    "upsampling": (UpSampling2D("l", (2, 3)), IMAGE),
    "batch normalization": (
        BatchNormalization("l", values(2), values(2), values(2), values(2) ** 2), IMAGE),
    "layer normalization": (LayerNormalization("l", values(2), values(2)), IMAGE),
    "layer normalization, axes": (LayerNormalization("l", None, values(5, 6), axis=(2, 1)), IMAGE),
    "layer normalization, a vector": (LayerNormalization("l", values(4), None, epsilon=0.0), (4,)),
    "normalization": (Normalization("l", values(2), values(2) ** 2), IMAGE),
    "rescaling": (Rescaling("l", (2.0, -3.0), (0.0, 1.0)), IMAGE),
    "prelu": (PReLU("l", values(5, 6, 2)), IMAGE),
    "group normalization": (GroupNormalization("l", values(4), values(4), 2), (3, 4)),
    "group normalization, each channel": (GroupNormalization("l", None, values(5), -1, 1), IMAGE),
    "unit normalization": (UnitNormalization("l"), IMAGE),
    "affine": (Affine("l", values(2), values(6, 1)), IMAGE),
    "glu": (GLU("l", 1), (4, 3)),
    "reduce": (Reduce("l", "mean", (1, 2)), IMAGE),
    "greatest": (Reduce("l", "max", (-1,)), IMAGE),
    "slice": (Slice("l", (1, None, 0), (None, -1, None), (2, 1, 1)), IMAGE),
    "pad": (Pad("l", ((1, 0), (2, 3), (0, 0)), "reflect"), IMAGE),
    "broadcast": (Broadcast("l", (2, 4, 3)), (4, 1)),
    "resizing": (Resizing("l", 3, 9), IMAGE),
    "center crop": (CenterCrop("l", 3, 2), IMAGE),
    "adaptive average": (AdaptiveAveragePooling2D("l", (2, 4)), IMAGE),
    "augmentation": (Augmentation("l", "RandomFlip"), IMAGE),
    "max, margins": (MaxPooling2D("l", (2, 2), (2, 1), ((1, 0), (1, 2)), dilation_rate=(2, 3)), IMAGE),
    "locally connected": (
        LocallyConnected2D("l", values(20, 12, 3), values(4, 5, 3), kernel_size=(2, 2)), (5, 6, 3)),
    "conv of signals": (Conv1D("l", values(3, 2, 4), values(4), padding="causal", strides=2), (6, 2)),
    "separable of signals": (SeparableConv1D("l", values(3, 2, 2), values(1, 4, 3), values(3)), (6, 2)),
    "divide": (Divide("l"), (3,), (2, 3)),
    "permute": (Permute("l", (3, 1, 2)), IMAGE),
    "reshape": (Reshape("l", (6, 10)), IMAGE),
    "flatten": (Flatten("l", "channels_first"), IMAGE),
    "dropout": (Dropout("l", 0.3), IMAGE),
    "noise": (Noise("l", "GaussianNoise", 0.3), IMAGE),
    "add": (Add("l"), IMAGE, IMAGE, (1, 1, 2)),
    "average of three": (Average("l"), IMAGE, IMAGE, IMAGE),
    "maximum": (Maximum("l"), IMAGE, IMAGE),
    "minimum": (Minimum("l"), IMAGE, IMAGE),
    "concatenate": (Concatenate("l"), IMAGE, IMAGE),
    "subtract": (Subtract("l"), IMAGE, (1, 1, 2)),
    "multiply": (Multiply("l"), IMAGE, IMAGE, IMAGE),
}  # fmt: skip
ACTIVE = {name: name for name in ACTIVATIONS} | {
    "softmax": "softmax",
    "log_softmax": LogSoftmax(),
    "softmax over two axes": Softmax((1, 2)),
    "capped relu": Relu(3.0, 0.2, 1.0),
    "leaky": LeakyRelu(0.3),
    "leaky, falling": LeakyRelu(-0.7),
    "elu": Elu(0.5),
    "elu, falling": Elu(-0.8),
    **{name: FUNCTIONS[name] for name in ("abs", "negative", "square", "erf", "gelu_tanh")},
    "power": Power(4.0),
    "clip": Clip(-0.5, None),
}


def between(shape, rng, width):
    middle = rng.normal(size=(1, *shape))
    return Range(middle - width * rng.random(middle.shape), middle + width * rng.random(middle.shape))


def draws(read, rng, n):
    """Return values within, half of them at one end or the other."""
    at = rng.random((n, *read.low.shape[1:]))
    at = np.where(rng.random(at.shape) < 0.5, np.round(at), at)
    return read.low + at * (read.high - read.low)


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("width", [0.0, 0.3, 3.0])
def test_whatever_a_layer_computes_lies_within(name, width):
    layer, *shapes = LAYERS[name]
    rng = np.random.default_rng(1)
    read = [between(shape, rng, width) for shape in shapes]
    if isinstance(layer, Divide):
        # A divisor that can be 0 has no bound; see below.
        read[1] = Range(np.abs(read[1].low) + 0.1, np.abs(read[1].low) + 0.1 + width)
    found = pre_activation_range(layer, read)
    assert found.is_finite
    assert found.low.shape[1:] == layer.output_shape(*shapes)
    y = layer.pre_activation(*(draws(one, rng, 300) for one in read))[0]
    assert (y >= found.low - 1e-9).all()
    assert (y <= found.high + 1e-9).all()


EXACT = [
    name for name in LAYERS if "normalization" not in name or name in ("normalization", "batch normalization")
]


@pytest.mark.parametrize("name", EXACT)
def test_one_value_stays_one_value(name):
    # Intervals without width hold exactly what the layer computes.
    layer, *shapes = LAYERS[name]
    rng = np.random.default_rng(2)
    read = [between(shape, rng, 0.0) for shape in shapes]
    y = layer.pre_activation(*(one.low for one in read))[0]
    found = pre_activation_range(layer, read)
    np.testing.assert_allclose(found.low, y, atol=1e-9)
    np.testing.assert_allclose(found.high, y, atol=1e-9)


@pytest.mark.parametrize("name", ACTIVE)
@pytest.mark.parametrize("width", [0.1, 1.0, 6.0])
def test_whatever_an_activation_puts_out_lies_within_and_reaches_the_ends(name, width):
    layer = ActivationLayer("a", ACTIVE[name])
    rng = np.random.default_rng(3)
    before = between((5, 6), rng, width)
    found = activation_range(layer, before)
    y = layer.activation.forward(draws(before, rng, 300))[0]
    assert (y >= found.low - 1e-9).all()
    assert (y <= found.high + 1e-9).all()
    if not layer.activation.axes:
        fine = before.low + np.linspace(0, 1, 4001)[:, None, None] * (before.high - before.low)
        y = layer.activation.forward(fine)[0]
        np.testing.assert_allclose(y.min(axis=0), found.low[0], atol=5e-3)
        np.testing.assert_allclose(y.max(axis=0), found.high[0], atol=5e-3)


@pytest.mark.parametrize("name", ["gelu", "silu", "mish", "hard_silu"])
def test_the_lowest_value_of_an_activation_that_dips_is_known(name):
    activation = ACTIVATIONS[name]

    def value(z):
        return float(activation.forward(np.array([[z]]))[0][0, 0])

    lowest = minimize_scalar(value, bounds=(-5, 0), method="bounded", options={"xatol": 1e-10}).fun
    found = activation_range(ActivationLayer("a", name), Range(np.full((1, 1), -9.0), np.full((1, 1), 9.0)))
    assert found.low[0, 0] == pytest.approx(lowest, abs=1e-12)


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_a_share_of_two_is_bounded_exactly(name):
    layer = ActivationLayer("a", name)
    before = Range(np.array([[-1.0, 0.5]]), np.array([[2.0, 0.7]]))
    found = activation_range(layer, before)
    worst = layer.activation.forward(np.array([[-1.0, 0.7]]))[0][0, 0]
    best = layer.activation.forward(np.array([[2.0, 0.5]]))[0][0, 0]
    np.testing.assert_allclose([found.low[0, 0], found.high[0, 0]], [worst, best])


def test_a_quotient_has_no_bound_where_the_divisor_can_be_zero():
    first = Range(np.ones((1, 3)), np.full((1, 3), 2.0))
    second = Range(np.array([[-1.0, 0.5, -4.0]]), np.array([[1.0, 4.0, -0.5]]))
    found = pre_activation_range(Divide("d"), [first, second])
    np.testing.assert_array_equal(found.low, [[-np.inf, 0.25, -4.0]])
    np.testing.assert_array_equal(found.high, [[np.inf, 4.0, -0.25]])


@pytest.mark.parametrize("name", ["sqrt", "log", "reciprocal"])
def test_what_is_no_number_could_be_anything(name):
    found = activation_range(ActivationLayer("a", name), Range(np.array([[-1.0]]), np.array([[4.0]])))
    assert not found.is_finite


def test_affine_layers_are_those_whose_values_mix_as_their_inputs_do():
    rng = np.random.default_rng(5)
    for name, (layer, *shapes) in LAYERS.items():
        xs, ys = ([rng.normal(size=(1, *shape)) for shape in shapes] for _ in range(2))
        mixed = layer.pre_activation(*(0.3 * x + 0.7 * y for x, y in zip(xs, ys, strict=True)))[0]
        expected = 0.3 * layer.pre_activation(*xs)[0] + 0.7 * layer.pre_activation(*ys)[0]
        assert np.allclose(mixed, expected) == layer.is_affine, name


def test_what_is_not_known_could_be_anything():
    class Strange(Layer):
        name = "strange"

        def pre_activation(self, x):
            return np.sin(x), lambda dz: dz * np.cos(x)

        def output_shape(self, shape):
            return shape

    found = pre_activation_range(Strange(), [Range(np.zeros((1, 2)), np.ones((1, 2)))])
    np.testing.assert_array_equal(found.low, [[-np.inf, -np.inf]])
    after = pre_activation_range(Dense("d", np.array([[0.0], [1.0]]), np.zeros(1)), [found])
    np.testing.assert_array_equal([after.low, after.high], [[[-np.inf]], [[np.inf]]])
    settled = activation_range(ActivationLayer("a", "sigmoid"), after)
    np.testing.assert_array_equal([settled.low, settled.high], [[[0.0]], [[1.0]]])
