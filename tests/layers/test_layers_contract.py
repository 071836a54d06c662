"""What every layer keeps, whatever it computes and whatever its settings are."""

import numpy as np
import pytest
from every_layer import ALONE, EVERYTHING, arguments, changed, inputs

from probe.layers import Merge


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


@pytest.mark.parametrize("case", [case for case, (layer, _) in ALONE.items() if layer.variables])
def test_a_layer_of_float32_computes_in_float32_and_near_the_same_in_float64(case):
    layer, shape = ALONE[case]
    (x,) = inputs([shape])
    y, pullback = layer.forward(x)
    dy = np.random.default_rng(4).normal(size=y.shape)
    near, near_pullback = layer.astype(np.float32).forward(x.astype(np.float32))
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
        if "data_format" in arguments(layer) and "softmax" not in case and "flatten" not in case
    ],
)
def test_channels_first_is_channels_last_with_the_axis_moved(case):
    layer, shape = ALONE[case]
    first = changed(layer, "data_format", "channels_first")
    (x,) = inputs([shape])
    y, pullback = layer.forward(x)
    moved, moved_pullback = first.forward(np.moveaxis(x, -1, 1))
    np.testing.assert_array_equal(moved, np.moveaxis(y, -1, 1))
    assert first.output_shape((shape[-1], *shape[:-1])) == moved.shape[1:]
    dy = np.random.default_rng(4).normal(size=y.shape)
    np.testing.assert_allclose(
        moved_pullback(np.moveaxis(dy, -1, 1)), np.moveaxis(pullback(dy), -1, 1), rtol=1e-12, atol=1e-12
    )


@pytest.mark.parametrize("case", ALONE)
def test_the_gradient_of_what_is_learned_is_the_derivative(case, numeric_gradient):
    layer, shape = ALONE[case]
    (x,) = inputs([shape], 3)
    dz = np.random.default_rng(4).normal(size=layer.pre_activation(x)[0].shape)
    gradients = layer.variable_gradients(x, dz)
    assert tuple(gradients) == layer.trainable
    assert set(layer.trainable) <= set(layer.variables)
    for name, gradient in gradients.items():

        def cost(at, name=name):
            return float((dz * changed(layer, name, at).pre_activation(x)[0]).sum())

        values = layer.variables[name]
        assert gradient.shape == values.shape
        np.testing.assert_allclose(gradient, numeric_gradient(cost, values), rtol=2e-6, atol=2e-8)


@pytest.mark.parametrize(
    "case",
    [
        case
        for case, (layer, _) in ALONE.items()
        if "data_format" in arguments(layer) and layer.trainable and "softmax" not in case
    ],
)
def test_what_is_learned_has_the_same_gradient_with_the_channels_first(case):
    layer, shape = ALONE[case]
    first = changed(layer, "data_format", "channels_first")
    (x,) = inputs([shape], 3)
    dz = np.random.default_rng(4).normal(size=layer.pre_activation(x)[0].shape)
    expected = layer.variable_gradients(x, dz)
    found = first.variable_gradients(np.moveaxis(x, -1, 1), np.moveaxis(dz, -1, 1))
    for name, gradient in expected.items():
        np.testing.assert_allclose(found[name], gradient, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("case", [case for case, (layer, _) in ALONE.items() if not layer.has_kernels])
def test_variables_have_the_shapes_that_the_class_promises(case):
    layer, shape = ALONE[case]
    promised = layer.variable_shapes(shape, arguments(layer))
    assert {name: values.shape for name, values in layer.variables.items()}.items() <= promised.items()


@pytest.mark.parametrize("case", [case for case, (layer, _) in ALONE.items() if layer.variables])
def test_variables_are_read_only(case):
    for array in ALONE[case][0].variables.values():
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0
