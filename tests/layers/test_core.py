import re

import numpy as np
import pytest

from probe._checks import InputError
from probe.layers import (
    ACTIVATIONS,
    ActivationLayer,
    Dense,
    Dropout,
    Flatten,
    Layer,
    Noise,
    Permute,
    Reshape,
    Softmax,
)

RNG = np.random.default_rng(7)


def dense(n_in=4, n_units=3, activation="linear", dtype=np.float64, name="hidden"):
    rng = np.random.default_rng(n_in * 100 + n_units)
    return Dense(
        name,
        rng.normal(size=(n_in, n_units)).astype(dtype),
        rng.normal(size=n_units).astype(dtype),
        activation,
    )


LAYERS = {
    **{
        f"dense-{name}": (dense(activation=name), (4,))
        for name in (*ACTIVATIONS, "softmax")
        if name != "step"
    },
    "dense on the last axis": (dense(), (2, 4)),
    "flatten": (Flatten("flatten"), (2, 3)),
    "reshape": (Reshape("reshape", (3, -1)), (2, 3)),
    "activation": (ActivationLayer("act", "gelu"), (2, 3)),
    "softmax over the last axis": (ActivationLayer("act", "softmax"), (2, 3)),
    "dropout": (Dropout("dropout", 0.5), (2, 3)),
}


@pytest.mark.parametrize("case", LAYERS)
def test_the_pullback_is_the_derivative(case, numeric_gradient):
    layer, shape = LAYERS[case]
    rng = np.random.default_rng(3)
    x = rng.normal(size=(3, *shape))
    y, pullback = layer.forward(x)
    dy = rng.normal(size=y.shape)
    expected = numeric_gradient(lambda at: float((dy * layer.forward(at)[0]).sum()), x)
    np.testing.assert_allclose(pullback(dy), expected, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("case", LAYERS)
def test_the_output_has_the_promised_shape(case):
    layer, shape = LAYERS[case]
    assert isinstance(layer, Layer)
    assert layer.forward(np.zeros((5, *shape)))[0].shape == (5, *layer.output_shape(shape))


@pytest.mark.parametrize("case", LAYERS)
def test_forward_is_the_activation_of_the_linear_part(case):
    layer, shape = LAYERS[case]
    x = np.random.default_rng(3).normal(size=(3, *shape))
    np.testing.assert_array_equal(
        layer.forward(x)[0], layer.activation.forward(layer.pre_activation(x)[0])[0]
    )


def test_dense_is_a_sum_over_inputs():
    layer = dense(activation="relu")
    x = RNG.normal(size=(5, 4))
    for sample in range(5):
        for unit in range(3):
            z = layer.bias[unit] + sum(x[sample, i] * layer.kernel[i, unit] for i in range(4))
            assert layer.forward(x)[0][sample, unit] == pytest.approx(max(z, 0))


def test_flatten_and_reshape_go_row_by_row():
    x = np.arange(12.0).reshape(2, 2, 3)
    flat = Flatten("flatten").forward(x)[0]
    np.testing.assert_array_equal(flat, [np.arange(6), np.arange(6, 12)])
    np.testing.assert_array_equal(Reshape("back", (2, 3)).forward(flat)[0], x)


def test_dropout_and_linear_change_nothing():
    x = RNG.normal(size=(2, 3))
    for layer in (Dropout("d", 0.9), ActivationLayer("a", "linear")):
        np.testing.assert_array_equal(layer.forward(x)[0], x)


@pytest.mark.parametrize(
    ("target", "shape", "expected"),
    [((2, 3), (6,), (2, 3)), ((-1,), (2, 3), (6,)), ((2, -1), (6,), (2, 3)), ((6, 1, -1), (6,), (6, 1, 1))],
)
def test_reshape_fills_in_the_open_axis(target, shape, expected):
    assert Reshape("r", target).output_shape(shape) == expected


@pytest.mark.parametrize("target", [(5,), (4, -1), (-1, -1), (0, -1), (-2, -3), (2, 2)])
def test_a_reshape_that_does_not_fit_is_refused(target):
    message = f"layer 'r' cannot reshape (6,) to {target}"
    with pytest.raises(InputError, match=re.escape(message)):
        Reshape("r", target).output_shape((6,))


@pytest.mark.parametrize(
    ("kernel", "bias", "message"),
    [
        (np.zeros(3), np.zeros(3), "kernel must have shape (n_in, n_units), got (3,)"),
        (np.zeros((0, 3)), np.zeros(3), "kernel must have shape (n_in, n_units), got (0, 3)"),
        (np.zeros((2, 3)), np.zeros(2), "bias must have shape (3,) for a kernel of shape (2, 3), got (2,)"),
        (
            np.zeros((2, 3), np.float32),
            np.zeros(3),
            "kernel and bias must both be float32 or both float64, got float32 and float64",
        ),
        (np.zeros((2, 3), int), np.zeros(3, int), "both be float32 or both float64, got int64 and int64"),
    ],
)
def test_weights_that_do_not_fit_are_refused(kernel, bias, message):
    with pytest.raises(InputError, match=f"^layer 'h': .*{re.escape(message)}"):
        Dense("h", kernel, bias)


def test_an_unknown_activation_is_refused_when_the_layer_is_made():
    with pytest.raises(InputError, match=r"activation must be one of .*; got 'swish'"):
        Dense("h", np.zeros((2, 3)), np.zeros(3), "swish")
    with pytest.raises(InputError, match=r"activation must be one of .*; got 'swish'"):
        ActivationLayer("a", "swish")


@pytest.mark.parametrize("rate", [-0.1, 1.1, np.nan])
def test_a_dropout_rate_is_a_share(rate):
    with pytest.raises(
        InputError, match="rate of layer 'd' must be a finite number at least 0 and at most 1"
    ):
        Dropout("d", rate)


def test_dense_refuses_another_number_of_inputs():
    with pytest.raises(InputError, match=re.escape("layer 'hidden' takes 4 inputs, but gets shape (5,)")):
        dense().output_shape((5,))
    with pytest.raises(InputError, match=re.escape("layer 'hidden' takes 4 inputs, but gets shape ()")):
        dense().output_shape(())


def test_weights_are_read_only_and_the_callers_own_do_not_leak_in():
    kernel, bias = np.ones((2, 3)), np.ones(3)
    layer = Dense("h", kernel, bias)
    kernel[:] = 5
    bias[:] = 5
    np.testing.assert_array_equal(layer.kernel, np.ones((2, 3)))
    np.testing.assert_array_equal(layer.bias, np.ones(3))
    for values in (layer.kernel, layer.bias):
        with pytest.raises(ValueError, match="read-only"):
            values[...] = 0
    with pytest.raises(AttributeError):
        layer.name = "other"


def test_a_dense_layer_of_view_weights_does_not_follow_what_they_view():
    kernel = np.ones((3, 2))
    layer = Dense("h", kernel.T, np.zeros(3))
    kernel[:] = 5
    np.testing.assert_array_equal(layer.kernel, np.ones((2, 3)))


X = np.arange(2 * 3 * 4 * 2.0).reshape(2, 3, 4, 2)


def test_flatten_with_the_channels_first_moves_them_last():
    np.testing.assert_array_equal(
        Flatten("f", "channels_first").forward(np.moveaxis(X, -1, 1))[0], Flatten("f").forward(X)[0]
    )


def test_permute_counts_the_axes_of_one_input_from_one():
    np.testing.assert_array_equal(Permute("p", (3, 1, 2)).forward(X)[0], np.moveaxis(X, -1, 1))
    assert Permute("p", [3, 1, 2]).output_shape((3, 4, 2)) == (2, 3, 4)


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


def test_the_shape_of_a_huge_image_costs_nothing():
    assert Flatten("f").output_shape((10**12, 10**12)) == (10**24,)


def test_a_layer_without_bias_holds_none():
    layer = Dense("h", np.ones((2, 3)))
    assert layer.bias is None and list(layer.variables) == ["kernel"] and layer.n_parameters == 6
    np.testing.assert_array_equal(layer.forward(np.array([[1.0, 2.0]]))[0], [[3.0, 3.0, 3.0]])
    with pytest.raises(InputError, match="bias must be a NumPy array of numbers or None, got False"):
        Dense("h", np.ones((2, 3)), False)
