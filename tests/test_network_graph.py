"""Networks that are no chains: branches, shared layers, several inputs and outputs, feature maps."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from subjects import ablated

import probe
from probe import _parallel
from probe._checks import InputError
from probe._graph import Graph, activated
from probe.layers import (
    ActivationLayer,
    Add,
    Average,
    Concatenate,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    GlobalAveragePooling2D,
    GlobalMaxPooling2D,
    MaxPooling2D,
    Multiply,
    Permute,
)
from probe.network import Network
from probe.objectives import class_logit, unit


def dense(name, n_in, n_units, activation="linear", seed=0):
    rng = np.random.default_rng(seed + n_in * 100 + n_units)
    return Dense(name, rng.normal(size=(n_in, n_units)), rng.normal(size=n_units), activation)


def conv(name, shape, activation="linear", seed=0, **settings):
    rng = np.random.default_rng(seed)
    return Conv2D(
        name,
        rng.normal(size=shape) / 3,
        rng.normal(size=shape[-1]) / 3,
        activation_name=activation,
        **settings,
    )


def branched():
    """Return a network with a skip connection, a shared layer and a product of branches."""
    shared = dense("shared@0", 4, 4, "tanh")
    again = Dense("shared@1", shared.kernel, shared.bias, "tanh")
    layers = (
        dense("stem", 6, 4, "tanh"),
        shared,
        again,
        Add("skip"),
        Multiply("product"),
        Concatenate("both"),
        dense("output", 8, 3, "softmax"),
    )
    wiring = (
        (0,),
        ("stem",),
        ("shared@0",),
        ("stem", "shared@1"),
        ("stem", "shared@0"),
        ("skip", "product"),
        ("both",),
    )
    return Network(layers, (6,), ("a", "b", "c"), wiring)


def by_hand(net, x):
    found = {}
    stem, shared, out = net.layer("stem"), net.layer("shared@0"), net.layer("output")
    found["stem"] = np.tanh(x @ stem.kernel + stem.bias)
    first = np.tanh(found["stem"] @ shared.kernel + shared.bias)
    second = np.tanh(first @ shared.kernel + shared.bias)
    found["both"] = np.concatenate([found["stem"] + second, found["stem"] * first], axis=1)
    found["logits"] = found["both"] @ out.kernel + out.bias
    return found


def x_of(*shape, seed=5):
    return np.random.default_rng(seed).random(shape)


def test_branches_compute_what_they_compute_by_hand():
    net, x = branched(), x_of(7, 6)
    expected = by_hand(net, x)
    np.testing.assert_allclose(net.logits(x), expected["logits"], rtol=1e-12)
    found = net.activations(x)
    np.testing.assert_allclose(found["both"], expected["both"], rtol=1e-12)
    assert list(found) == list(net.layer_names)
    assert not net.is_chain


@pytest.mark.parametrize(
    "objective",
    [
        probe.class_logit(1),
        probe.unit("stem", 2),
        probe.unit("stem", 2, stage="activation"),
        probe.unit("shared@0", 0, stage="activation"),
        probe.unit("shared@1", 3),
        probe.unit("both", 6, stage="activation"),
        probe.unit("output", 0, stage="activation"),
    ],
    ids=lambda o: o.name,
)
def test_gradients_add_up_over_the_branches(objective, numeric_gradient):
    net, x = branched(), x_of(3, 6)

    def value(at):
        stage = net.pre_activations(at) if objective.stage == "pre_activation" else net.activations(at)
        return float(stage[objective.layer or "output"][:, objective.index].sum())

    np.testing.assert_allclose(
        net.input_gradient(x, objective), numeric_gradient(value, x), rtol=1e-6, atol=1e-9
    )


def test_a_mixed_batch_of_objectives_in_branches_is_each_alone():
    net, x = branched(), x_of(4, 6)
    objectives = [
        probe.unit("skip", 1),
        probe.class_logit(2),
        probe.unit("product", 0),
        probe.unit("stem", 3),
    ]
    values, gradients = net.objective_gradient(x, objectives)
    for row, objective in enumerate(objectives):
        value, gradient = net.objective_gradient(x[row : row + 1], [objective])
        np.testing.assert_allclose(values[row], value[0], rtol=1e-12)
        np.testing.assert_allclose(gradients[row], gradient[0], rtol=1e-12)


def test_the_pullback_of_the_logits_is_the_gradient():
    net, x = branched(), x_of(5, 6)
    logits, pullback = net.logits_vjp(x)
    np.testing.assert_allclose(logits, net.logits(x), rtol=1e-12)
    seed = np.zeros_like(logits)
    seed[:, 2] = 1
    np.testing.assert_allclose(pullback(seed), net.input_gradient(x, probe.class_logit(2)), rtol=1e-12)


def test_shared_weights_count_once():
    net = branched()
    assert net.n_parameters == 6 * 4 + 4 + 4 * 4 + 4 + 8 * 3 + 3
    assert net.layer("shared@0").kernel is net.layer("shared@1").kernel


def convolutional(**settings):
    layers = (
        conv("conv_1", (3, 3, 2, 5), "tanh", padding="same", **settings),
        MaxPooling2D("pool", (2, 2)),
        conv("conv_2", (2, 2, 5, 4), "tanh", seed=1),
        GlobalAveragePooling2D("mean"),
        dense("output", 4, 3, "softmax"),
    )
    return Network(layers, (6, 8, 2))


@pytest.mark.parametrize("position", [None, (1, 2)])
@pytest.mark.parametrize("stage", ["pre_activation", "activation"])
def test_a_channel_of_a_feature_map_is_an_objective(stage, position, numeric_gradient):
    net, x = convolutional(), x_of(2, 6, 8, 2)
    objective = probe.unit("conv_2", 3, stage=stage, position=position)
    maps = (net.pre_activations if stage == "pre_activation" else net.activations)(x)["conv_2"][..., 3]
    expected = maps.mean(axis=(1, 2)) if position is None else maps[:, 1, 2]
    values, gradients = net.objective_gradient(x, [objective] * 2)
    np.testing.assert_allclose(values, expected, rtol=1e-12)

    def value(at):
        return float(net.objective_gradient(at, [objective] * 2)[0].sum())

    np.testing.assert_allclose(gradients, numeric_gradient(value, x), rtol=1e-5, atol=1e-8)


def test_channels_and_positions_that_are_not_there_are_refused():
    net, x = convolutional(), x_of(1, 6, 8, 2)
    with pytest.raises(InputError, match="channel of layer 'conv_2' must be from 0 to 3, got 4"):
        net.input_gradient(x, probe.unit("conv_2", 4))
    with pytest.raises(
        InputError, match=r"position in layer 'conv_2' must lie in a map of shape \(2, 3\), got \(2, 0\)"
    ):
        net.input_gradient(x, probe.unit("conv_2", 0, position=(2, 0)))
    with pytest.raises(InputError, match="position in layer 'output' must be None"):
        net.input_gradient(x, probe.unit("output", 0, position=(0,)))


def test_channels_first_maps_have_their_channels_first():
    layers = (
        conv("conv", (3, 3, 2, 5), data_format="channels_first"),
        Flatten("flatten"),
        dense("output", 5 * 4 * 6, 3),
    )
    net, x = Network(layers, (2, 6, 8)), x_of(2, 2, 6, 8)
    maps = net.activations(x)["conv"]
    assert maps.shape == (2, 5, 4, 6)
    values, _ = net.objective_gradient(x, [probe.unit("conv", 4), probe.unit("conv", 4, position=(3, 5))])
    np.testing.assert_allclose(values, [maps[0, 4].mean(), maps[1, 4, 3, 5]], rtol=1e-12)


def test_a_batch_is_the_same_in_parts(monkeypatch):
    net, x = convolutional(), x_of(5, 6, 8, 2)
    whole, objectives = net.activations(x), [probe.class_logit(k % 3) for k in range(5)]
    gradients = net.objective_gradient(x, objectives)
    monkeypatch.setattr("probe._graph._BATCH_VALUES", 2 * 6 * 8 * 5)
    for name, values in net.activations(x).items():
        np.testing.assert_allclose(values, whole[name], rtol=1e-12)
    for part, expected in zip(net.objective_gradient(x, objectives), gradients, strict=True):
        np.testing.assert_allclose(part, expected, rtol=1e-12)


def test_several_inputs_are_a_tuple():
    layers = (Concatenate("both"), dense("output", 5, 2))
    net = Network(layers, (2,), wiring=((0, 1), ("both",)), more_input_shapes=((3,),))
    a, b = x_of(4, 2), x_of(4, 3, seed=6)
    np.testing.assert_allclose(
        net.logits((a, b)), np.concatenate([a, b], axis=1) @ layers[1].kernel + layers[1].bias
    )
    with pytest.raises(InputError, match="x must be 2 arrays, one for each input, got 1"):
        net.logits(a)
    with pytest.raises(InputError, match=r"as many samples, got \[4, 3\]"):
        net.logits((a, b[:3]))
    with pytest.raises(InputError, match="takes 2 inputs; gradients and analyses need a network of one"):
        net.input_gradient(a, probe.class_logit(0))


def test_several_outputs_are_chosen_from():
    layers = (dense("stem", 6, 4, "tanh"), dense("a", 4, 2, "softmax", 1), dense("b", 4, 3, "sigmoid", 2))
    net = Network(layers, (6,), wiring=((0,), ("stem",), ("stem",)), output_names=("b", "a"))
    x = x_of(4, 6)
    b, a = net.all_outputs(x)
    assert (a.shape, b.shape, net.n_classes) == ((4, 2), (4, 3), 0)
    with pytest.raises(
        InputError, match=r"has 2 outputs: 'b', 'a'. Pass network.truncate\('b'\), or --output"
    ):
        net.logits(x)
    only = net.truncate("a")
    assert only.layer_names == ("stem", "a")
    np.testing.assert_array_equal(only.outputs(x), a)
    assert only.n_classes == 2


def test_logits_are_found_before_layers_that_pass_on():
    layers = (
        conv("conv", (3, 3, 1, 2), "softmax"),
        Dropout("drop", 0.5),
        Permute("permute", (3, 1, 2)),
        Flatten("flatten"),
    )
    net, x = Network(layers, (3, 3, 1)), x_of(4, 3, 3, 1)
    z = net.pre_activations(x)["conv"].reshape(4, 2)
    np.testing.assert_array_equal(net.logits(x), z)
    np.testing.assert_allclose(net.outputs(x).sum(axis=1), 1)
    assert net.head_name == "conv"


def test_outputs_that_are_maps_have_no_classes():
    net = Network((conv("conv", (3, 3, 1, 2)),), (5, 5, 1))
    assert net.outputs(x_of(2, 5, 5, 1)).shape == (2, 3, 3, 2)
    with pytest.raises(InputError, match=r"puts out \(3, 3, 2\), not one value for each class"):
        net.predict(x_of(2, 5, 5, 1))


@pytest.mark.parametrize(
    ("wiring", "message"),
    [
        (((0,),), "wiring must say for each of 2 layers what it reads, got 1"),
        (((0,), ("b",)), "layer 'b' reads 'b', which does not come before it"),
        (((1,), ("a",)), "layer 'a' reads 1, which does not come before it"),
        (((0,), ("a", "a")), "layer 'b' takes one input, but wiring gives it 2"),
        (((0,), ()), "layer 'b' takes one input, but wiring gives it 0"),
    ],
)
def test_wiring_that_makes_no_sense_is_refused(wiring, message):
    with pytest.raises(InputError, match=message):
        Network((dense("a", 2, 2), dense("b", 2, 2)), (2,), wiring=wiring)


def test_a_range_is_a_layer_in_front():
    net = branched()
    ranged, x = net.with_input_range(-1, 1), x_of(3, 6)
    np.testing.assert_allclose(ranged.logits(x), net.logits(2 * x - 1), rtol=1e-12)
    assert net.with_input_range(0, 1) is net
    with pytest.raises(InputError, match="range of the inputs must be from low to high, got 1 to 1"):
        net.with_input_range(1, 1)


@pytest.mark.parametrize(
    ("ours", "theirs"), [((3, 6, 8), (6, 8, 3)), ((1, 6, 8), (6, 8)), ((6, 8, 1), (6, 8)), ((48,), (6, 8))]
)
def test_images_are_laid_out_as_the_network_takes_them(ours, theirs):
    net = Network((Flatten("flatten"), dense("output", int(np.prod(ours)), 2)), ours)
    x = x_of(2, *theirs)
    taken = np.moveaxis(x, 3, 1) if len(theirs) == 3 else x.reshape(2, *ours)
    np.testing.assert_allclose(net.with_input_shape(theirs).logits(x), net.logits(taken), rtol=1e-12)


def test_only_what_is_needed_is_computed():
    class Bomb(Dropout):
        def pre_activation(self, x):
            raise AssertionError("computed though nobody reads it")

    layers = (dense("stem", 2, 2), Bomb("side", 0.1), Average("mean"), dense("output", 2, 2))
    net = Network(layers, (2,), wiring=((0,), ("stem",), ("stem", "stem"), ("mean",)))
    assert net.logits(x_of(1, 2)).shape == (1, 2)


def test_ancestors_are_in_order():
    graph = Graph((), ((-1,), (0,), (0,), (1, 2), (3,)), {}, {})
    assert graph.ancestors([3]) == [0, 1, 2, 3]
    assert graph.last_readers([0, 1, 2, 3]) == {0: [-1], 1: [], 2: [0], 3: [1, 2]}


def two_inputs(**names):
    layers = Concatenate("both"), Dense("output", np.random.default_rng(0).normal(size=(5, 2)), np.zeros(2))
    return Network(layers, (2,), wiring=((0, 1), ("both",)), more_input_shapes=((3,),), **names)


def test_several_inputs_may_come_as_a_list_or_by_name():
    net, a, b = (
        two_inputs(),
        np.random.default_rng(1).normal(size=(4, 2)),
        np.random.default_rng(2).normal(size=(4, 3)),
    )
    expected = net.outputs((a, b))
    assert net.input_names == ("input_1", "input_2")
    named = two_inputs(input_names=("left", "right"))
    for given in (net.outputs([a, b]), named.outputs({"right": b, "left": a}), net.logits([a, b])):
        np.testing.assert_array_equal(given, expected)
    np.testing.assert_array_equal(net.predict([a, b]), expected.argmax(axis=1))
    np.testing.assert_array_equal(net.activations({"input_1": a, "input_2": b})["output"], expected)
    assert named.truncate("both").input_names == ("left", "right")
    for given, message in (
        ([a], "x must be 2 arrays, one for each input, got 1"),
        ({"left": a}, "x must hold one array for each of the inputs 'left', 'right', got 'left'"),
        ({"left": a, "wrong": b}, "inputs 'left', 'right', got 'left', 'wrong'"),
        ({}, "inputs 'left', 'right', got none"),
        ([b, a], r"x must have shape \(n, 2\), got \(4, 3\)"),
    ):
        with pytest.raises(InputError, match=message):
            named.outputs(given)
    for names, message in ((("a",), "input_names must name 2 inputs, got 1"), (("a", "a"), "got a twice")):
        with pytest.raises(InputError, match=message):
            two_inputs(input_names=names)


def test_one_input_may_come_as_a_list_or_by_name_too():
    net, x = (
        Network((Dense("output", np.eye(2), np.zeros(2)),), (2,)),
        np.random.default_rng(0).normal(size=(4, 2)),
    )
    for given in ([x], [*x], x.tolist(), {"input_1": x}, (x,)):
        np.testing.assert_array_equal(net.outputs(given), x)
    np.testing.assert_array_equal(net.outputs([x[0]]), x[:1])


def test_layers_that_share_arrays_share_them_in_another_type():
    kernel, bias = np.eye(3, dtype=np.float32), np.ones(3, np.float32)
    first = Dense("first", kernel, bias, "tanh")
    network = Network((first, Dense("again", first.kernel, first.bias)), (3,))
    exact = network.astype(np.float64)
    assert exact.layers[0].kernel is exact.layers[1].kernel
    assert exact.dtype == np.float64
    assert exact.n_parameters == network.n_parameters == 12
    np.testing.assert_allclose(exact.logits(np.eye(3)), network.logits(np.eye(3)), rtol=1e-6)


def test_only_what_follows_a_layer_is_computed_anew_without_its_units(monkeypatch):
    rng = np.random.default_rng(0)
    dense = [Dense(name, rng.normal(size=(5, 5)), rng.normal(size=5), "tanh") for name in "abcd"]
    wiring = ((0,), ("a",), ("a",), ("b", "c"), ("sum",))
    network = probe.Network((*dense[:3], Add("sum"), dense[3]), (5,), wiring=wiring)
    x, constants = rng.normal(size=(7, 5)), np.array([0.5, -1.0])
    for layer in ("a", "b", "sum"):
        expected = [ablated(network, layer, k, c).logits(x) for k, c in zip((3, 0), constants, strict=True)]
        np.testing.assert_allclose(network.logits_without(x, layer, [3, 0], constants), np.stack(expected))
    counts = Counter()
    forward = Dense.pre_activation
    monkeypatch.setattr(Dense, "pre_activation", lambda self, x: counts.update(self.name) or forward(self, x))
    network.logits_without(x, "b", [3, 0, 1], np.zeros(3))
    assert counts == {"a": 1, "b": 1, "c": 1, "d": 3}
    assert network.logits_without(x, "b", [], np.zeros(0)).shape == (0, 7, 5)
    with pytest.raises(InputError, match="layer must be a hidden one, got 'd', which is the output"):
        network.logits_without(x, "d", [0], np.zeros(1))
    with pytest.raises(InputError, match="units must be"):
        network.logits_without(x, "b", [5], np.zeros(1))
    with pytest.raises(InputError, match="constants must be one for each of 2 units, got 1"):
        network.logits_without(x, "b", [0, 1], np.zeros(1))


def test_work_counts_products_and_what_is_put_out():
    layers = Dense("a", np.zeros((5, 7))), Dense("b", np.zeros((7, 3)))
    assert probe.Network(layers, (5,)).work == 5 * 7 + 7 * 3 + 80 * (7 + 3)


def pooled(activation, pooling=None):
    """Two convolutions, each with an activation and pooling behind it; the second activation is a layer."""
    rng = np.random.default_rng(0)

    def draw(*shape):
        return rng.normal(size=shape).astype(np.float32)

    layers = (
        Conv2D("conv", draw(3, 3, 1, 4), draw(4), activation_name=activation),
        MaxPooling2D("pool", (2, 2), (1, 1), "same"),
        Conv2D("deep", draw(2, 2, 4, 5), draw(5)),
        ActivationLayer("act", activation),
        pooling or MaxPooling2D("small"),
        Flatten("flat"),
    )
    n_in = Network(layers, (9, 9, 1)).layer_shapes["flat"][0]
    return Network((*layers, Dense("output", draw(n_in, 3), draw(3), "softmax")), (9, 9, 1))


def at_once(network):
    """The same network, with every activation right behind its layer."""
    plain = network.with_layers(network.layers)
    object.__setattr__(plain, "_graph", replace(network._graph, postponed={}))
    return plain


@pytest.mark.parametrize("pooling", [None, GlobalMaxPooling2D("small")])
@pytest.mark.parametrize("activation", ["relu", "tanh", "sigmoid", "step"])
def test_activations_behind_pooling_change_nothing(activation, pooling):
    network = pooled(activation, pooling)
    plain, x = at_once(network), np.random.default_rng(1).normal(size=(6, 9, 9, 1)).astype(np.float32)
    assert network._graph.postponed == {0: 1, 3: 4}
    np.testing.assert_allclose(network.logits(x), plain.logits(x), rtol=1e-6)
    for name, values in plain.activations(x).items():
        np.testing.assert_array_equal(network.activations(x)[name], values)
    objectives = [
        unit("conv", 1),
        unit("act", 2),
        unit("pool", 0),
        unit("small", 3),
        class_logit(0),
        class_logit(2),
    ]
    for ours, theirs in zip(
        network.objective_gradient(x, objectives), plain.objective_gradient(x, objectives), strict=True
    ):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)
    slopes = np.random.default_rng(2).normal(size=(6, 3)).astype(np.float32)
    for (array, ours), (same, theirs) in zip(
        network.parameter_vjp(x)[1](slopes), plain.parameter_vjp(x)[1](slopes), strict=True
    ):
        assert array is same
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)
    for layer in ("conv", "pool", "act"):
        np.testing.assert_allclose(
            network.logits_without(x, layer, [0], np.zeros(1)), plain.logits_without(x, layer, [0], np.zeros(1)),
            rtol=1e-5, atol=1e-5,
        )  # fmt: skip


@pytest.mark.parametrize("activation", ["gelu", "abs"])
def test_an_activation_that_falls_stays_in_front_of_pooling(activation):
    assert pooled(activation)._graph.postponed == {}


@pytest.mark.parametrize("activation", ["sqrt", "log"])
def test_what_is_no_number_below_zero_stays_in_front_of_pooling(activation):
    layers = (ActivationLayer("act", activation), MaxPooling2D("pool"))
    graph = Network((*layers, Flatten("flat")), (2, 2, 1))._graph
    assert graph.postponed == {}


def test_small_products_hold_blas_to_one_thread(monkeypatch):
    found = []

    def watched(layer, z):
        found.append(_parallel._BLAS_LIMIT.is_held)
        return activated(layer, z)

    monkeypatch.setattr("probe._graph.activated", watched)
    network, x = pooled("relu"), np.zeros((2, 9, 9, 1), np.float32)
    network.logits(x)
    network.objective_gradient(x, [class_logit(0)] * 2)
    assert found and all(found) and not _parallel._BLAS_LIMIT.is_held
    found.clear()
    branched().logits(np.zeros((2, 6), np.float32))
    assert found and all(found)
    found.clear()
    wide = Network((Dense("wide", np.zeros((600, 500), np.float32), np.zeros(500, np.float32)),), (600,))
    wide.logits(np.zeros((2, 600), np.float32))
    assert found and not any(found)


def test_threads_that_share_a_batch_change_nothing(monkeypatch):
    monkeypatch.setattr("probe._graph._BATCH_VALUES", 2 * 7 * 7 * 4)
    network, x = pooled("relu"), np.random.default_rng(1).normal(size=(9, 9, 9, 1)).astype(np.float32)
    objectives = [class_logit(k % 3) for k in range(9)]
    found = []
    for workers in (1, 3):
        monkeypatch.setattr("probe._graph.free_workers", lambda workers=workers: workers)
        found.append((network.logits(x), *network.objective_gradient(x, objectives)))
    for alone, shared in zip(*found, strict=True):
        np.testing.assert_array_equal(alone, shared)
