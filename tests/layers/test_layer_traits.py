"""What layers and activations say of themselves is true, of every kind."""

import numpy as np
import pytest
from every_layer import EVERYTHING, IMAGE, arguments, changed, conv, inputs, transpose

from probe import layers
from probe.layers import (
    ACTIVATIONS,
    FUNCTIONS,
    LAYERS,
    Clip,
    Elu,
    LeakyRelu,
    LogSoftmax,
    Merge,
    Power,
    Relu,
    Softmax,
)

CASES = EVERYTHING | {
    "conv, channels first": (conv(channels=5, data_format="channels_first"), (IMAGE,)),
    "transpose, channels first": (transpose(channels=5, data_format="channels_first"), (IMAGE,)),
}


def pre_activation(layer, *xs):
    return layer.pre_activation(*xs)[0]


def variants(layer, shapes, n=5):
    """Return pairs of inputs of one sample, near and far."""
    rng = np.random.default_rng(3)
    return [
        [[scale * rng.normal(size=(1, *shape)) for shape in shapes] for _ in range(2)]
        for scale in (0.1, 1.0, 5.0, 1.0, 1.0)[:n]
    ]


def test_every_kind_of_layer_is_held_to_what_it_says():
    assert set(LAYERS.values()) == {type(layer) for layer, _ in CASES.values()}
    assert LAYERS.keys() <= set(layers.__all__)


@pytest.mark.parametrize("case", CASES)
def test_affine_layers_are_those_whose_values_mix_as_their_inputs_do(case):
    layer, shapes = CASES[case]
    mixes = all(
        np.allclose(
            pre_activation(layer, *(0.3 * x + 0.7 * y for x, y in zip(xs, ys, strict=True))),
            0.3 * pre_activation(layer, *xs) + 0.7 * pre_activation(layer, *ys),
        )
        for xs, ys in variants(layer, shapes)
    )
    assert mixes == layer.is_affine


@pytest.mark.parametrize("case", CASES)
def test_elementwise_layers_are_those_where_a_value_moves_only_its_own(case):
    layer, shapes = CASES[case]
    (x,) = inputs(shapes[:1], 1) if not isinstance(layer, Merge) else [None]
    if x is None:
        assert not layer.is_elementwise
        return
    z = pre_activation(layer, x)
    alone = z.shape == x.shape
    for index in range(x.size) if alone else ():
        moved = x.copy()
        moved.flat[index] += 0.5
        alone &= set(np.flatnonzero(pre_activation(layer, moved) != z)) <= {index}
    assert layer.is_elementwise <= alone
    # The promise is kept by a layer that makes it; one that is a mixture of one value does not count.
    if alone:
        assert layer.is_elementwise or layer.rearranges or "cropping of nothing" in case


@pytest.mark.parametrize("case", CASES)
def test_monotone_layers_never_fall(case):
    layer, shapes = CASES[case]
    if not layer.is_monotone:
        return
    rng = np.random.default_rng(5)
    for xs, _ in variants(layer, shapes):
        higher = [x + rng.random(x.shape) * (rng.random(x.shape) < 0.5) for x in xs]
        assert (pre_activation(layer, *higher) >= pre_activation(layer, *xs) - 1e-12).all()


@pytest.mark.parametrize("case", CASES)
def test_layers_that_select_do_so_before_or_after_a_function_that_never_falls(case):
    layer, shapes = CASES[case]
    selects = all(
        np.isin(pre_activation(layer, *xs), np.concatenate([x.ravel() for x in xs])).all()
        and np.array_equal(pre_activation(layer, *map(np.tanh, xs)), np.tanh(pre_activation(layer, *xs)))
        and not np.array_equal(pre_activation(layer, *map(np.negative, xs)), -pre_activation(layer, *xs))
        for xs, _ in variants(layer, shapes)
    )
    assert selects >= layer.selects


@pytest.mark.parametrize("case", CASES)
def test_layers_that_rearrange_hold_the_values_that_they_read(case):
    layer, shapes = CASES[case]
    holds = not isinstance(layer, Merge) and all(
        np.array_equal(np.sort(pre_activation(layer, x).ravel()), np.sort(x.ravel()))
        for (x,), _ in variants(layer, shapes)
    )
    assert layer.rearranges <= holds
    assert not layer.rearranges or (layer.is_affine and layer.is_monotone)
    assert layer.passes_on == (layer.rearranges and layer.activation.name == "linear")


@pytest.mark.parametrize("case", [case for case, (layer, _) in CASES.items() if layer.is_channelwise])
def test_channelwise_layers_do_with_two_channels_what_they_do_with_one(case):
    layer, (shape,) = CASES[case]
    x, y = (each[..., :1] for each in inputs([shape] * 2, 2))
    apart = [pre_activation(layer, one) for one in (x, y)]
    together = pre_activation(layer, np.concatenate([x, y], axis=-1))
    np.testing.assert_allclose(together, np.concatenate(apart, axis=-1), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("case", [case for case, (layer, _) in CASES.items() if layer.keeps_units])
def test_layers_that_keep_units_put_out_as_many_as_they_read(case):
    layer, shapes = CASES[case]
    assert layer.output_shape(*shapes) == shapes[0]


WITH_KERNELS = [case for case, (layer, _) in CASES.items() if layer.has_kernels]


def test_layers_with_kernels_are_those_that_have_variables_of_this_name():
    for layer, _ in CASES.values():
        assert set(layer.kernel_axes) == {name for name in layer.variables if name.endswith("kernel")}


@pytest.mark.parametrize("case", WITH_KERNELS)
def test_the_axes_of_a_kernel_count_the_units_that_it_alone_feeds(case):
    layer, shapes = CASES[case]
    xs = inputs(shapes, 2)
    name, axes = list(layer.kernel_axes.items())[-1]
    kernel = layer.variables[name]
    n_units = int(np.prod([kernel.shape[axis] for axis in axes]))
    shape = layer.output_shape(*shapes)
    channels = layer.own_channel_axis(shape)
    assert shape[channels] == n_units
    z = pre_activation(layer, *xs)
    for unit in range(n_units):
        index = [slice(None)] * kernel.ndim
        for axis, at in zip(axes, np.unravel_index(unit, [kernel.shape[axis] for axis in axes]), strict=True):
            index[axis] = at
        stronger = kernel.copy()
        stronger[tuple(index)] += 1.0
        moved = pre_activation(changed(layer, name, stronger), *xs) != z
        others = tuple(axis for axis in range(z.ndim) if axis != 1 + channels)
        assert np.flatnonzero(moved.any(axis=others)).tolist() == [unit]


@pytest.mark.parametrize("case", WITH_KERNELS)
def test_a_layer_of_one_kernel_is_linear_in_all_that_it_learns(case):
    layer, shapes = CASES[case]
    xs = inputs(shapes, 2)
    names, rng = layer.trainable, np.random.default_rng(0)
    first, second = ({n: rng.normal(size=layer.variables[n].shape) for n in names} for _ in range(2))

    def at(arrays):
        return pre_activation(type(layer)(**(arguments(layer) | arrays)), *xs)

    total = at({n: first[n] + second[n] for n in names})
    assert np.allclose(total, at(first) + at(second)) == layer.has_one_kernel


@pytest.mark.parametrize("case", WITH_KERNELS)
def test_fans_are_those_of_keras(case):
    layer, _ = CASES[case]
    for name in layer.kernel_axes:
        fan_in, fan_out = layer.fans(name)
        shape = layer.variables[name].shape
        window = int(np.prod(shape[:-2]))
        assert fan_in == (window if name == "depthwise_kernel" else window * shape[-2])
        assert fan_out == window * shape[-1]


def test_every_variable_is_drawn_or_starts_at_a_value_or_is_a_setting():
    for layer, _ in CASES.values():
        assert not set(layer.kernel_axes) & set(layer.initial_values)
        assert set(layer.trainable) <= set(layer.kernel_axes) | set(layer.initial_values)


SETTINGS = {
    "capped relu": Relu(3.0, 0.2, 1.0),
    "plain relu": Relu(),
    "leaky": LeakyRelu(0.3),
    "leaky, falling": LeakyRelu(-0.7),
    "elu": Elu(0.5),
    "elu, falling": Elu(-0.8),
    "cube": Power(3.0),
    "fourth power": Power(4.0),
    "root": Power(0.3),
    "inverse square": Power(-2.0),
    "clip": Clip(-1.0, 1.0),
    "clip below": Clip(0.5),
    "softmax": Softmax(),
    "log_softmax": LogSoftmax(),
}
ALL_ACTIVATIONS = ACTIVATIONS | FUNCTIONS | SETTINGS


def of(activation, z):
    with np.errstate(over="ignore"):
        return activation.forward(np.asarray(z, dtype=np.float64))[0]


@pytest.mark.parametrize("name", ALL_ACTIVATIONS)
def test_an_activation_is_monotone_up_to_its_turning_point_and_never_falls_after_it(name):
    activation = ALL_ACTIVATIONS[name]
    z = np.linspace(-20, 20, 4001)
    z = z[np.isfinite(of(activation, z))]
    if activation.turning_point is None:
        steps = np.diff(of(activation, z))
        assert activation.axes or ((steps > 0).any() and (steps < 0).any())
        return
    below, above = (
        of(activation, part) for part in (z[z <= activation.turning_point], z[z >= activation.turning_point])
    )
    assert (np.diff(above) >= -1e-12).all()
    assert (np.diff(below) <= 1e-12).all() or (np.diff(below) >= -1e-12).all()
    falls = (np.diff(of(activation, z)) < -1e-12).any()
    assert falls <= (activation.turning_point > -np.inf)


@pytest.mark.parametrize("name", [name for name in ALL_ACTIVATIONS if not ALL_ACTIVATIONS[name].axes])
def test_an_odd_activation_is_one_and_no_other_is(name):
    activation = ALL_ACTIVATIONS[name]
    z = np.linspace(0.01, 8, 97)
    sums = of(activation, z) + of(activation, -z)
    is_odd = np.allclose(sums, sums[0]) and np.isclose(of(activation, [0.0])[0], sums[0] / 2)
    assert is_odd == (activation.odd_about is not None)
    if is_odd:
        np.testing.assert_allclose(sums, 2 * activation.odd_about, atol=1e-12)


@pytest.mark.parametrize("name", [name for name in ALL_ACTIVATIONS if ALL_ACTIVATIONS[name].asymptotes])
def test_an_activation_approaches_its_asymptotes(name):
    activation = ALL_ACTIVATIONS[name]
    for sign, (slope, constant) in zip((-1, 1), activation.asymptotes, strict=True):
        far = sign * np.array([1e3, 1e5, 1e6])
        distance = np.abs(of(activation, far) - (slope * far + constant))
        assert distance[-1] < 1e-5 and (np.diff(distance) <= 1e-9).all()


def test_only_what_has_no_asymptotes_says_that_it_has_none():
    none = {name for name in ALL_ACTIVATIONS if ALL_ACTIVATIONS[name].asymptotes is None}
    assert none == {
        "exponential", "softmax", "log_softmax", "log", "sqrt", "square", "reciprocal", "cube", "fourth power",
        "root", "inverse square",
    }  # fmt: skip


def test_kernels_in_front_of_rectifiers_start_as_he_has_it():
    he = {name for name in ALL_ACTIVATIONS if ALL_ACTIVATIONS[name].initialization == "he"}
    assert he == {
        "relu", "leaky_relu", "elu", "gelu", "gelu_tanh", "softplus",
        "capped relu", "plain relu", "leaky", "leaky, falling", "elu, falling",
    }  # fmt: skip
