"""The limit of the output at infinity is exact: by closed forms, and by inputs so far away that nothing changes."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import softmax

import probe
from probe.analyses.noise import confidence_limit
from probe.layers import (
    ActivationLayer,
    Add,
    AveragePooling2D,
    BatchNormalization,
    Conv2D,
    Dense,
    Flatten,
    LeakyRelu,
    MaxPooling2D,
    Multiply,
    Relu,
)
from probe.network import Network

RNG = np.random.default_rng


def values(*shape, seed=0):
    return RNG(seed).normal(size=shape)


def chain(activation, output="softmax", seed=0, width=7):
    layers = (
        Dense("a", values(5, width, seed=seed), values(width, seed=seed + 1), activation),
        Dense("b", values(width, width, seed=seed + 2), values(width, seed=seed + 3), activation),
        Dense("output", values(width, 4, seed=seed + 4), values(4, seed=seed + 5), output),
    )
    return Network(layers, (5,))


def far(network, directions, t):
    return network.logits(directions * t), network.outputs(directions * t)


PIECEWISE = ["linear", "relu", "leaky_relu", Relu(negative_slope=0.2, threshold=0.3), LeakyRelu(0.1)]


@pytest.mark.parametrize("activation", PIECEWISE, ids=str)
def test_piecewise_linear_networks_are_straight_lines_far_away(activation):
    network, directions = chain(activation), values(60, 5, seed=9)
    found = confidence_limit(network, directions)
    for t in (1e4, 1e6):
        logits, outputs = far(network, directions, t)
        np.testing.assert_allclose(logits, found.constants + found.slopes * t, rtol=1e-9, atol=1e-6)
    np.testing.assert_allclose(outputs, found.outputs, atol=1e-9)
    np.testing.assert_allclose(found.confidences, 1)
    assert not found.saturated.any()


@pytest.mark.parametrize(
    "activation", ["sigmoid", "tanh", "hard_sigmoid", "hard_tanh", Relu(max_value=6.0)], ids=str
)
def test_saturating_networks_have_a_finite_limit(activation):
    network, directions = chain(activation), values(60, 5, seed=9)
    found = confidence_limit(network, directions)
    np.testing.assert_allclose(far(network, directions, 1e7)[0], found.constants, atol=1e-6)
    assert found.saturated.all()
    assert (found.confidences < 1).all()
    assert found.confidences.min() < 0.99
    np.testing.assert_allclose(found.outputs.sum(axis=1), 1)


@pytest.mark.parametrize("activation", ["elu", "selu", "gelu", "softplus", "silu", "mish"])
def test_smooth_rectifiers_have_the_limit_of_their_asymptotes(activation):
    network, directions = chain(activation), values(60, 5, seed=9)
    found = confidence_limit(network, directions)
    logits, outputs = far(network, directions, 1e6)
    np.testing.assert_allclose(logits, found.constants + found.slopes * 1e6, rtol=1e-9, atol=1e-5)
    np.testing.assert_allclose(outputs, found.outputs, atol=1e-9)


def test_softsign_comes_near_its_limit_as_one_over_t():
    network, directions = chain("softsign"), values(60, 5, seed=9)
    found = confidence_limit(network, directions)
    for t in (1e5, 1e7):
        assert np.abs(far(network, directions, t)[0] - found.constants).max() < 1e3 / t


def test_the_limit_by_hand():
    # Two rectifiers: along (1, 0) only the first grows, along (-1, 0) only the second, along (0, 1) none.
    first = np.array([[1.0, -2.0], [0.0, 0.0]])
    second = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 3.0]])
    layers = (
        Dense("hidden", first, np.array([0.5, -0.25]), "relu"),
        Dense("output", second, np.array([0.0, 1.0, 0.0]), "softmax"),
    )
    found = confidence_limit(Network(layers, (2,)), np.array([[1.0, 0], [-1, 0], [0, 1]]))
    np.testing.assert_allclose(found.slopes, [[1, 0, 0], [0, 0, 6], [0, 0, 0]])
    np.testing.assert_allclose(found.constants[2], [0.5, 1, 0])
    np.testing.assert_array_equal(found.classes, [0, 2, 1])
    np.testing.assert_allclose(found.outputs[2], softmax([0.5, 1, 0]))
    np.testing.assert_array_equal(found.saturated, [False, False, True])


def test_logits_that_rise_together_share_the_limit():
    kernel = np.array([[2.0, 2.0, 1.0]])
    layers = (Dense("output", kernel, np.array([0.0, np.log(3), 9.0]), "softmax"),)
    found = confidence_limit(Network(layers, (1,)), np.array([[1.0]]))
    np.testing.assert_allclose(found.outputs, [[0.25, 0.75, 0]])


def test_sigmoid_outputs_go_to_zero_or_one_each_by_itself():
    kernel = np.array([[2.0, -2.0, 0.0]])
    layers = (Dense("output", kernel, np.array([0.0, 0.0, 0.7]), "sigmoid"),)
    found = confidence_limit(Network(layers, (1,)), np.array([[1.0]]))
    np.testing.assert_allclose(found.outputs, [[1, 0, 1 / (1 + np.exp(-0.7))]])


def test_it_goes_through_convolutions_pooling_and_branches():
    layers = (
        Conv2D("conv", values(3, 3, 1, 4), values(4), padding="same", activation_name="relu"),
        MaxPooling2D("pool", (2, 2), (2, 2)),
        BatchNormalization("bn", values(4), values(4), values(4), np.abs(values(4)) + 0.5),
        Conv2D("again", values(3, 3, 4, 4, seed=1), values(4), padding="same", activation_name="leaky_relu"),
        Add("add"),
        AveragePooling2D("mean", (2, 2), (2, 2)),
        Flatten("flatten"),
        Dense("output", values(16, 5), values(5), "softmax"),
    )
    wiring = ((0,), ("conv",), ("pool",), ("bn",), ("bn", "again"), ("add",), ("mean",), ("flatten",))
    network, directions = Network(layers, (8, 8, 1), wiring=wiring), values(30, 8, 8, 1, seed=5)
    found = confidence_limit(network, directions)
    np.testing.assert_allclose(
        network.logits(directions * 1e6), found.constants + found.slopes * 1e6, rtol=1e-9, atol=1e-5
    )


@pytest.mark.parametrize("padding", ["valid", "same"])
def test_max_pooling_takes_of_equal_slopes_the_greater_constant(padding):
    layers = (
        MaxPooling2D("pool", (2, 2), (2, 2), padding),
        Flatten("flatten"),
        Dense("output", np.eye(9 if padding == "same" else 4), np.zeros(9 if padding == "same" else 4)),
    )
    bias = ActivationLayer("none", "linear")
    shift = Dense("shift", np.eye(25), values(25), "linear")
    from probe.layers import Reshape

    front = (Flatten("rows"), shift, bias, Reshape("image", (5, 5, 1)))
    network = Network((*front, *(replace(each) for each in layers)), (5, 5, 1))
    network = replace(
        network, layers=(*network.layers[:-1], replace(network.layers[-1], activation_name="softmax"))
    )
    directions = np.round(values(40, 5, 5, 1, seed=3))  # many slopes are the same
    found = confidence_limit(network, directions)
    np.testing.assert_allclose(
        network.logits(directions * 1e6), found.constants + found.slopes * 1e6, atol=1e-8
    )


def test_rectifier_networks_become_certain_and_sigmoid_ones_do_not(digits):
    """Hein et al. 2019."""
    config = probe.TrainingConfig(epochs=15, batch_size=20, learning_rate=0.1)
    directions = RNG(0).random((100, 8, 8))
    relu = probe.train(probe.MLP((12, 9), "relu"), digits, config).network
    sigmoid = probe.train(probe.MLP((12, 9), "sigmoid"), digits, replace(config, learning_rate=1.0)).network
    np.testing.assert_allclose(confidence_limit(relu, directions).confidences, 1)
    assert confidence_limit(sigmoid, directions).confidences.max() < 1


def test_what_has_no_limit_is_named():
    with pytest.raises(probe.InputError, match="that of 'a' is exponential"):
        confidence_limit(chain("exponential"), values(2, 5))
    layers = (
        Dense("a", values(5, 4), values(4)),
        Multiply("product"),
        Dense("output", values(4, 3), values(3), "softmax"),
    )
    network = Network(layers, (5,), wiring=((0,), ("a", "a"), ("product",)))
    with pytest.raises(probe.InputError, match="'product' is a Multiply"):
        confidence_limit(network, values(2, 5))
    layers = (
        MaxPooling2D("pool", (3, 3), (1, 1)),
        Flatten("flatten"),
        Dense("output", values(4, 3), values(3), "softmax"),
    )
    with pytest.raises(probe.InputError, match="without overlap, but 'pool' has strides"):
        confidence_limit(Network(layers, (4, 4, 1)), values(2, 4, 4, 1))
    with pytest.raises(probe.InputError, match="directions must"):
        confidence_limit(chain("relu"), values(2, 6))
