"""Certificates: no image has a value beyond, and in a first layer some image has it."""

from itertools import pairwise, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import probe
from probe.ascent import Ball, Box, ascend, certify
from probe.layers import (
    Add,
    BatchNormalization,
    Conv2D,
    Dense,
    Flatten,
    GlobalAveragePooling2D,
    Layer,
    MaxPooling2D,
    Multiply,
)
from probe.objectives import class_logit, direction, unit

ACTIVATIONS = ["sigmoid", "relu", "tanh", "leaky_relu", "gelu", "silu", "softplus", "elu"]
REGIONS = [Box(), Box(-1.0, 2.0), Ball(0.8), Ball(0.7, center=0.5), Ball(1.1, box=None)]


def deep(seed, activation, sizes=(4, 3, 3, 2), dtype=np.float32):
    rng = np.random.default_rng(seed)
    pairs = list(pairwise(sizes))
    layers = [
        Dense(f"hidden_{k + 1}", rng.normal(0, 1.5, pair).astype(dtype), rng.normal(size=pair[1]).astype(dtype),
              activation if k < len(pairs) - 1 else "softmax")
        for k, pair in enumerate(pairs)
    ]  # fmt: skip
    return probe.Network((Flatten("flatten"), *layers), (2, sizes[0] // 2))


OBJECTIVES = [
    *(unit("hidden_1", k) for k in range(3)),
    unit("hidden_1", 0, stage="activation"),
    unit("hidden_1", 0) - 2 * unit("hidden_1", 1),
    *(unit("hidden_2", k) for k in range(3)),
    direction("hidden_2", [1.0, -2.0, 0.5]),
    class_logit(0),
    class_logit(0) - class_logit(1),
    -class_logit(1) + unit("hidden_1", 2),
    unit("hidden_3", 0, stage="activation"),
]


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("region", REGIONS, ids=lambda region: region.name)
def test_no_image_of_a_grid_has_a_value_beyond_the_bounds(activation, region):
    for seed in range(3):
        network = deep(seed, activation)
        bounds = certify(network, OBJECTIVES, region)
        axis = np.linspace(region.low, region.high, 7)
        x = np.array(list(product(axis, repeat=4)), np.float32).reshape(-1, 2, 2)
        values = network.objective_values(region.project(x), OBJECTIVES)
        assert (values <= bounds.upper).all()
        assert (values >= bounds.lower).all()
        assert bounds.unbounded_layers == ("",) * len(OBJECTIVES)


@pytest.mark.parametrize("region", REGIONS, ids=lambda region: region.name)
def test_no_ascent_has_a_value_beyond_the_bounds(region):
    for seed in range(3):
        network = deep(seed, ACTIVATIONS[seed])
        bounds = certify(network, OBJECTIVES, region)
        found = ascend(network, OBJECTIVES, restarts=3, steps=60, region=region)
        assert (found.values <= bounds.upper[:, None]).all()
        assert (found.values >= bounds.lower[:, None]).all()


@given(seed=st.integers(0, 9999))
@settings(max_examples=20)
def test_in_a_first_layer_the_bounds_are_those_of_all_corners(seed):
    network = deep(seed, "relu")
    objectives = [*OBJECTIVES[:3], OBJECTIVES[4], direction("hidden_1", [0.3, 2.0, -1.0])]
    bounds = certify(network, objectives)
    corners = np.array(list(product((0.0, 1.0), repeat=4)), np.float32).reshape(-1, 2, 2)
    values = network.objective_values(corners, objectives)
    assert bounds.exact.all()
    np.testing.assert_allclose(bounds.upper, values.max(axis=0), atol=1e-4)
    np.testing.assert_allclose(bounds.lower, values.min(axis=0), atol=1e-4)


@pytest.mark.parametrize("region", REGIONS[2:], ids=lambda region: region.name)
def test_in_a_ball_the_bounds_of_a_first_layer_are_reached(region):
    network = deep(7, "sigmoid")
    objectives = OBJECTIVES[:3]
    bounds = certify(network, objectives, region)
    kernel, bias = network.layer("hidden_1").kernel.T.astype(float), network.layer("hidden_1").bias
    ends = (region.farthest(kernel.copy()) * kernel).sum(axis=1) + bias
    np.testing.assert_allclose(bounds.upper, ends, atol=1e-4)
    found = ascend(network, objectives, restarts=2, steps=200, region=region)
    np.testing.assert_allclose(bounds.shares(found.values), 1, atol=1e-4)


def test_in_a_ball_alone_the_bound_is_the_norm_of_the_weights():
    network = deep(7, "sigmoid")
    kernel, bias = network.layer("hidden_1").kernel, network.layer("hidden_1").bias
    upper = certify(network, [unit("hidden_1", 1)], Ball(1.7, box=None)).upper[0]
    assert upper == pytest.approx(1.7 * np.linalg.norm(kernel[:, 1]) + bias[1], rel=1e-5)


def test_terms_of_one_layer_are_bounded_together():
    network = deep(1, "tanh")
    together = certify(network, [class_logit(0) - class_logit(1)]).upper[0]
    first, second = certify(network, [class_logit(0), -class_logit(1)]).upper
    assert together < first + second - 0.1


def test_bounds_are_exact_for_a_hidden_unit_that_reads_separate_pixels():
    # Each hidden unit reads a pixel of its own, so that intervals forget nothing.
    layers = (
        Dense("hidden", np.diag([2.0, -3.0]), np.array([-0.5, 1.0]), "relu"),
        Dense("output", np.array([[1.0], [-1.0]]), np.zeros(1)),
    )
    network = probe.Network(layers, (2,))
    bounds = certify(network, [unit("output", 0)])
    assert not bounds.exact[0]
    assert (bounds.lower[0], bounds.upper[0]) == (pytest.approx(-1.0), pytest.approx(1.5))


def image_network():
    rng = np.random.default_rng(0)

    def normal(*shape):
        return rng.normal(size=shape).astype(np.float32)

    layers = (
        Conv2D("conv_1", normal(3, 3, 1, 2), normal(2), padding="same", activation_name="relu"),
        BatchNormalization("norm", normal(2), normal(2), normal(2), normal(2) ** 2),
        Conv2D("conv_2", normal(3, 3, 2, 2), normal(2), padding="same", activation_name="silu"),
        Add("add"),
        Multiply("gate"),
        MaxPooling2D("pool"),
        GlobalAveragePooling2D("mean"),
        Dense("output", normal(2, 3), normal(3), "softmax"),
    )
    wiring = (
        (0,),
        ("conv_1",),
        ("norm",),
        ("norm", "conv_2"),
        ("add", "conv_1"),
        ("gate",),
        ("pool",),
        ("mean",),
    )
    return probe.Network(layers, (4, 4, 1), wiring=wiring)  # fmt: skip


@pytest.mark.parametrize("region", REGIONS[:3], ids=lambda region: region.name)
def test_graphs_of_convolutions_are_bounded(region):
    network = image_network()
    objectives = [
        *(class_logit(k) for k in range(3)),
        unit("conv_1", 1),
        unit("conv_2", 1, position=(2, 3)),
        unit("pool", 0),
        unit("conv_1", 0) - unit("conv_1", 0, position=(1, 1)),
    ]
    bounds = certify(network, objectives, region)
    assert bounds.exact.tolist() == [False] * 3 + [True, False, False, True]
    rng = np.random.default_rng(1)
    x = region.project(rng.normal(0.5, 1, size=(3000, 4, 4, 1)).astype(np.float32))
    values = network.objective_values(x, objectives)
    assert (values <= bounds.upper).all()
    assert (values >= bounds.lower).all()
    found = ascend(network, objectives, restarts=3, steps=100, region=region)
    assert (found.values <= bounds.upper[:, None]).all()
    shares = bounds.shares(found.values.max(axis=1))
    np.testing.assert_allclose(shares[bounds.exact], 1, atol=1e-3)


def test_the_mean_of_a_first_convolution_is_bounded_exactly():
    # Windows overlap: bounds position by position would not be reached together.
    network = image_network()
    objective = unit("conv_1", 0)
    gradient, value = (
        network.input_gradient(np.zeros((1, 4, 4, 1), np.float32), objective),
        network.objective_gradient(np.zeros((1, 4, 4, 1), np.float32), [objective])[0][0],
    )
    assert certify(network, [objective]).upper[0] == pytest.approx(value + gradient.clip(0).sum(), rel=1e-5)


def test_another_range_is_part_of_the_network():
    network = deep(2, "relu").with_input_range(-1, 1)
    bounds = certify(network, [unit("hidden_1", 0)])
    kernel, bias = network.layer("hidden_1").kernel[:, 0], network.layer("hidden_1").bias[0]
    assert bounds.exact[0]
    assert bounds.upper[0] == pytest.approx(np.abs(kernel).sum() + bias, rel=1e-5)


def test_a_share_is_of_the_range_between_the_bounds():
    network = deep(3, "relu")
    bounds = certify(network, [unit("hidden_1", 0), -unit("hidden_1", 0)])
    np.testing.assert_allclose(bounds.lower[1], -bounds.upper[0])
    middle = (bounds.lower + bounds.upper) / 2
    np.testing.assert_allclose(bounds.shares(middle), 0.5)
    np.testing.assert_allclose(
        bounds.shares(np.stack([bounds.lower, bounds.upper], axis=1)), [[0, 1], [0, 1]]
    )


class Cubed(Layer):
    """A layer that the certificates do not know."""

    __slots__ = ("name",)

    def __init__(self, name):
        self.name = name

    def pre_activation(self, x):
        return x**3, lambda dz: dz * 3 * x**2

    def output_shape(self, input_shape):
        return input_shape


def strange(last_activation):
    layers = (
        Flatten("flatten"),
        Cubed("cube"),
        Dense("hidden", np.ones((4, 2)), np.zeros(2), last_activation),
        Dense("output", np.ones((2, 2)), np.zeros(2)),
    )
    return probe.Network(layers, (2, 2))


def test_the_layer_without_bounds_is_named():
    bounds = certify(strange("relu"), [class_logit(0), unit("flatten", 0)])
    assert bounds.unbounded_layers == ("cube", "")
    assert bounds.upper[0] == np.inf
    assert np.isnan(bounds.shares(np.array([1.0, 1.0]))).tolist() == [True, False]


def test_what_saturates_behind_it_is_bounded_again():
    bounds = certify(strange("sigmoid"), [class_logit(0)])
    assert bounds.unbounded_layers == ("",)
    assert bounds.upper[0] == pytest.approx(2.0)
