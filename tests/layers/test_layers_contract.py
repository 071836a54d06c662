"""What every layer keeps, whatever it computes and whatever its settings are."""

from itertools import product

import numpy as np
import pytest

from probe.layers import (
    Add,
    Average,
    AveragePooling2D,
    BatchNormalization,
    Concatenate,
    Conv2D,
    Conv2DTranspose,
    Cropping2D,
    DepthwiseConv2D,
    Flatten,
    GlobalAveragePooling2D,
    GlobalMaxPooling2D,
    LayerNormalization,
    LeakyRelu,
    Maximum,
    MaxPooling2D,
    Merge,
    Minimum,
    Multiply,
    Noise,
    Normalization,
    Permute,
    PReLU,
    Rescaling,
    SeparableConv2D,
    Softmax,
    Subtract,
    UpSampling2D,
    ZeroPadding2D,
)

FORMATS = ("channels_last", "channels_first")


def values(*shape):
    return np.asarray(np.random.default_rng(sum(shape) * 100 + len(shape)).normal(size=shape))


def conv(name="conv", kernel=(3, 2), channels=2, filters=4, **settings):
    groups = settings.get("groups", 1)
    return Conv2D(name, values(*kernel, channels // groups, filters), values(filters), **settings)


def depthwise(kernel=(3, 2), channels=2, multiplier=2, **settings):
    return DepthwiseConv2D(
        "depthwise", values(*kernel, channels, multiplier), values(channels * multiplier), **settings
    )


def separable(kernel=(3, 2), channels=2, multiplier=2, **settings):
    return SeparableConv2D(
        "separable",
        values(*kernel, channels, multiplier),
        values(1, 1, channels * multiplier, 3),
        values(3),
        **settings,
    )


def transpose(kernel=(3, 2), channels=2, filters=3, **settings):
    return Conv2DTranspose("transpose", values(*kernel, filters, channels), values(filters), **settings)


IMAGE = (5, 6, 2)
STEPS = {
    f"{padding} {strides} {dilation}": {"padding": padding, "strides": strides, "dilation_rate": dilation}
    for padding, strides, dilation in product(("valid", "same"), ((1, 1), (2, 1), (2, 3)), ((1, 1), (2, 2)))
}
POOLS = {
    f"{padding} {size} {strides}": {"padding": padding, "pool_size": size, "strides": strides}
    for padding, size, strides in product(("valid", "same"), ((2, 2), (3, 2)), (None, (1, 1), (3, 1)))
}
ALONE = {
    **{f"conv {key}": (conv(**steps), IMAGE) for key, steps in STEPS.items()},
    **{f"conv groups {key}": (conv(groups=2, **steps), IMAGE) for key, steps in STEPS.items()},
    **{f"depthwise {key}": (depthwise(**steps), IMAGE) for key, steps in STEPS.items()},
    **{f"separable {key}": (separable(**steps), IMAGE) for key, steps in STEPS.items()},
    **{f"transpose {key}": (transpose(**steps), (3, 4, 2)) for key, steps in STEPS.items()},
    "conv, far more filters than channels": (conv(channels=2, filters=9, padding="same"), IMAGE),
    "conv, one pixel": (conv(kernel=(1, 1), strides=(2, 2)), IMAGE),
    "conv, activation with settings": (conv(activation_name=LeakyRelu(0.1)), IMAGE),
    "conv, no bias": (Conv2D("c", values(2, 2, 2, 3), np.zeros(3), use_bias=False), IMAGE),
    **{
        f"transpose, output padding, {padding}": (
            transpose(strides=(3, 2), padding=padding, output_padding=(2, 1)),
            (3, 4, 2),
        )
        for padding in ("valid", "same")
    },
    "transpose, kernel within its stride": (transpose(kernel=(1, 2), strides=(3, 3)), (3, 4, 2)),
    **{f"max {key}": (MaxPooling2D("max", **pool), IMAGE) for key, pool in POOLS.items()},
    **{f"average {key}": (AveragePooling2D("average", **pool), IMAGE) for key, pool in POOLS.items()},
    "global max": (GlobalMaxPooling2D("max"), IMAGE),
    "global max, kept": (GlobalMaxPooling2D("max", keepdims=True), IMAGE),
    "global average": (GlobalAveragePooling2D("average"), IMAGE),
    "global average, kept": (GlobalAveragePooling2D("average", keepdims=True), IMAGE),
    "zero padding": (ZeroPadding2D("pad", ((1, 0), (2, 3))), IMAGE),
    "cropping": (Cropping2D("crop", ((1, 0), (2, 1))), IMAGE),
    "cropping of nothing": (Cropping2D("crop"), IMAGE),
    "upsampling": (UpSampling2D("up", (2, 3)), IMAGE),
    "batch normalisation": (
        BatchNormalization("bn", values(2), values(2), values(2), values(2) ** 2), IMAGE),
    "batch normalisation, no gamma, axis 1": (
        BatchNormalization("bn", None, values(5), values(5), values(5) ** 2, axis=1), IMAGE),
    "batch normalisation, no beta": (
        BatchNormalization("bn", values(4), None, values(4), values(4) ** 2, epsilon=0.1), (4,)),
    "layer normalisation": (LayerNormalization("ln", values(2), values(2)), IMAGE),
    "layer normalisation, two axes, no gamma": (
        LayerNormalization("ln", None, values(5, 6), axis=(1, 2)), IMAGE),
    "layer normalisation, nothing learned": (LayerNormalization("ln", None, None, axis=(-1, 1)), IMAGE),
    "normalisation": (Normalization("n", values(2), values(2) ** 2), IMAGE),
    "normalisation by one mean": (Normalization("n", values(), np.asarray(values() ** 2), axis=()), IMAGE),
    "normalisation, two axes, inverted": (
        Normalization("n", values(5, 2), values(5, 2) ** 2, axis=(1, 3), invert=True), IMAGE),
    "rescaling": (Rescaling("r", 1 / 255, -0.5), IMAGE),
    "rescaling of channels": (Rescaling("r", (2.0, 3.0), (0.0, 1.0)), IMAGE),
    "prelu": (PReLU("p", values(5, 6, 2)), IMAGE),
    "prelu, shared": (PReLU("p", values(1, 1, 2), shared_axes=(1, 2)), IMAGE),
    "permute": (Permute("p", (3, 1, 2)), IMAGE),
    "flatten, channels first": (Flatten("f", "channels_first"), IMAGE),
    "noise": (Noise("noise", "GaussianNoise", 0.3), IMAGE),
    "conv, softmax over the channels": (conv(activation_name=Softmax(-1)), IMAGE),
}  # fmt: skip
SHAPES = ((2, 3, 2), (2, 3, 2), (2, 3, 2))
TOGETHER = {
    **{
        f"{kind.__name__.lower()} of {count}": (kind("merge"), SHAPES[:count])
        for kind, count in product((Add, Multiply, Average, Maximum, Minimum), (2, 3))
    },
    **{
        f"{kind.__name__.lower()}, repeated along an axis": (kind("merge"), ((2, 3, 2), (1, 1, 2)))
        for kind in (Add, Subtract, Multiply, Average, Maximum, Minimum)
    },
    "subtract": (Subtract("merge"), SHAPES[:2]),
    "concatenate": (Concatenate("merge"), ((2, 3, 2), (2, 3, 1), (2, 3, 4))),
    "concatenate, axis 1": (Concatenate("merge", 1), ((2, 3), (4, 3))),
}


def inputs(shapes, n_samples=2, dtype=np.float64):
    rng = np.random.default_rng(11)
    return [rng.normal(size=(n_samples, *shape)).astype(dtype) for shape in shapes]


EVERYTHING = {key: (layer, (shape,)) for key, (layer, shape) in ALONE.items()} | TOGETHER


@pytest.mark.parametrize("case", EVERYTHING)
def test_the_pullback_is_the_derivative(case, numeric_gradient):
    layer, shapes = EVERYTHING[case]
    xs = inputs(shapes)
    y, pullback = layer.forward(*xs)
    dy = np.random.default_rng(4).normal(size=y.shape)
    gradients = pullback(dy)
    if not isinstance(layer, Merge):
        gradients = (gradients,)
    for place, (x, gradient) in enumerate(zip(xs, gradients, strict=True)):

        def cost(at, place=place):
            return float((dy * layer.forward(*xs[:place], at, *xs[place + 1 :])[0]).sum())

        assert gradient.shape == x.shape
        np.testing.assert_allclose(gradient, numeric_gradient(cost, x), rtol=2e-6, atol=2e-8)


@pytest.mark.parametrize("case", EVERYTHING)
def test_the_output_has_the_promised_shape(case):
    layer, shapes = EVERYTHING[case]
    promised = layer.output_shape(*shapes)
    assert all(type(size) is int for size in promised)
    for n_samples in (0, 3):
        assert layer.forward(*inputs(shapes, n_samples))[0].shape == (n_samples, *promised)


@pytest.mark.parametrize("case", EVERYTHING)
def test_each_sample_is_alone_and_no_input_is_touched(case):
    layer, shapes = EVERYTHING[case]
    xs = inputs(shapes, 4)
    kept = [x.copy() for x in xs]
    y, pullback = layer.forward(*xs)
    dy = np.ones_like(y)
    pullback(dy)
    np.testing.assert_allclose(layer.forward(*(x[2:3] for x in xs))[0], y[2:3], rtol=1e-12, atol=1e-12)
    for x, before in zip([*xs, dy], [*kept, np.ones_like(y)], strict=True):
        np.testing.assert_array_equal(x, before)


@pytest.mark.parametrize("case", [case for case, (layer, _) in EVERYTHING.items() if not layer.variables])
def test_a_layer_without_weights_keeps_the_type(case):
    layer, shapes = EVERYTHING[case]
    xs = inputs(shapes, dtype=np.float32)
    y, pullback = layer.forward(*xs)
    gradients = pullback(np.ones_like(y))
    found = gradients if isinstance(layer, Merge) else (gradients,)
    assert {y.dtype, *(gradient.dtype for gradient in found)} == {np.dtype(np.float32)}
    assert layer.n_parameters == 0


def as_type(layer, dtype):
    """Return a layer of the same settings whose arrays are of `dtype`."""
    settings = {
        name: value.astype(dtype) if isinstance(value, np.ndarray) else value
        for name, value in ((name, getattr(layer, name)) for name in layer.__dataclass_fields__)
        if name != "_activation"
    }
    return type(layer)(**settings)


@pytest.mark.parametrize("case", [case for case, (layer, _) in ALONE.items() if layer.variables])
def test_a_layer_of_float32_computes_in_float32_and_near_the_same_in_float64(case):
    layer, shape = ALONE[case]
    (x,) = inputs([shape])
    y, pullback = layer.forward(x)
    dy = np.random.default_rng(4).normal(size=y.shape)
    near, near_pullback = as_type(layer, np.float32).forward(x.astype(np.float32))
    gradient = near_pullback(dy.astype(np.float32))
    assert near.dtype == gradient.dtype == np.float32
    np.testing.assert_allclose(near, y, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(gradient, pullback(dy), rtol=1e-3, atol=1e-3)
    assert layer.n_parameters == sum(values.size for values in layer.variables.values()) > 0


@pytest.mark.parametrize(
    "case",
    [
        case
        for case, (layer, _) in ALONE.items()
        if "data_format" in layer.__dataclass_fields__ and "softmax" not in case and "flatten" not in case
    ],
)
def test_channels_first_is_channels_last_with_the_axis_moved(case):
    layer, shape = ALONE[case]
    fields = {name: getattr(layer, name) for name in layer.__dataclass_fields__ if name != "_activation"}
    first = type(layer)(**(fields | {"data_format": "channels_first"}))
    (x,) = inputs([shape])
    y, pullback = layer.forward(x)
    moved, moved_pullback = first.forward(np.moveaxis(x, -1, 1))
    np.testing.assert_array_equal(moved, np.moveaxis(y, -1, 1))
    assert first.output_shape((shape[-1], *shape[:-1])) == moved.shape[1:]
    dy = np.random.default_rng(4).normal(size=y.shape)
    np.testing.assert_allclose(
        moved_pullback(np.moveaxis(dy, -1, 1)), np.moveaxis(pullback(dy), -1, 1), rtol=1e-12, atol=1e-12
    )


def changed(layer, name, values):
    fields = {field: getattr(layer, field) for field in layer.__dataclass_fields__ if field != "_activation"}
    return type(layer)(**(fields | {name: values}))


@pytest.mark.parametrize("case", ALONE)
def test_the_gradient_of_what_is_learned_is_the_derivative(case, numeric_gradient):
    layer, shape = ALONE[case]
    (x,) = inputs([shape], 3)
    dz = np.random.default_rng(4).normal(size=layer.linear(x)[0].shape)
    gradients = layer.variable_gradients(x, dz)
    assert tuple(gradients) == layer.learned
    assert set(layer.learned) <= set(layer.variables)
    for name, gradient in gradients.items():

        def cost(at, name=name):
            return float((dz * changed(layer, name, at).linear(x)[0]).sum())

        values = layer.variables[name]
        assert gradient.shape == values.shape
        np.testing.assert_allclose(gradient, numeric_gradient(cost, values), rtol=2e-6, atol=2e-8)


@pytest.mark.parametrize(
    "case",
    [
        case
        for case, (layer, _) in ALONE.items()
        if "data_format" in layer.__dataclass_fields__ and layer.learned and "softmax" not in case
    ],
)
def test_what_is_learned_has_the_same_gradient_with_the_channels_first(case):
    layer, shape = ALONE[case]
    first = changed(layer, "data_format", "channels_first")
    (x,) = inputs([shape], 3)
    dz = np.random.default_rng(4).normal(size=layer.linear(x)[0].shape)
    expected = layer.variable_gradients(x, dz)
    found = first.variable_gradients(np.moveaxis(x, -1, 1), np.moveaxis(dz, -1, 1))
    for name, gradient in expected.items():
        np.testing.assert_allclose(found[name], gradient, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("case", [case for case, (layer, _) in ALONE.items() if layer.variables])
def test_variables_are_read_only(case):
    for array in ALONE[case][0].variables.values():
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0
