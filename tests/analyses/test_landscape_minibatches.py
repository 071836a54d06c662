"""Gradient descent by the engine of training, against the same by the gradients of any network."""

from dataclasses import replace

import numpy as np
import pytest

import probe
from probe.analyses.landscape import minibatches
from probe.analyses.landscape.minibatches import _AnyWay, _DenseWay, descended
from probe.layers import Dense, Flatten, Relu
from probe.parameters import ParameterSpace
from probe.population import initial_population

STOPS = np.array([0, 3, 40])


def network(split, hidden=(8, 6), activation="sigmoid", output="softmax"):
    shape = probe.MLP(hidden, "relu" if activation == "step" else activation, output)
    train = split.train
    rngs = [np.random.default_rng(1)]
    made = initial_population(shape, train.image_shape, train.class_names, rngs=rngs).network(0)
    if activation != "step":
        return made
    return replace(made, layers=tuple(
        layer.with_activation("step") if layer.activation.name == "relu" else layer for layer in made.layers
    ))  # fmt: skip


def ways(space, split, moved, rate=0.1):
    """Return where gradient descent goes, and which of the two ways it took."""
    taken = []

    def noted(kind):
        return lambda *args: taken.append(kind) or kind(*args)

    with pytest.MonkeyPatch.context() as patch:
        for kind in (_AnyWay, _DenseWay):
            patch.setattr(minibatches, kind.__name__, noted(kind))
        found = np.stack(list(descended(space, split.train, moved, rate, STOPS, np.random.default_rng(0))))
    return found, *taken


def without_engine(space, split, moved, rate=0.1):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(minibatches, "_dense_layers", lambda *_: None)
        return ways(space, split, moved, rate)


@pytest.mark.parametrize("cost", ["cross-entropy", "quadratic"])
@pytest.mark.parametrize("output", ["softmax", "sigmoid"])
@pytest.mark.parametrize("activation", ["sigmoid", "tanh", "relu", "step", "gelu"])
def test_both_ways_lead_to_the_same_place(digits, activation, output, cost):
    space = ParameterSpace(network(digits, (8, 6), activation, output), cost)
    fast, slow = ways(space, digits, [slice(None)]), without_engine(space, digits, [slice(None)])
    assert (fast[1], slow[1]) == (_DenseWay, _AnyWay)
    np.testing.assert_array_equal(fast[0][0], space.vector)
    assert np.abs(fast[0][2] - space.vector).max() > 1e-3
    np.testing.assert_allclose(fast[0], slow[0], atol=1e-5)


@pytest.mark.parametrize("n_moved", [1, 2])
def test_layers_that_do_not_move_stay_to_the_bit(digits, n_moved):
    space = ParameterSpace(network(digits))
    moved = [part.place for part in space.parts[-2 * n_moved :]]
    fast, slow = ways(space, digits, moved), without_engine(space, digits, moved)
    assert (fast[1], slow[1]) == (_DenseWay, _AnyWay)
    still = slice(0, moved[0].start)
    np.testing.assert_array_equal(fast[0][:, still], np.tile(space.vector[still], (3, 1)))
    np.testing.assert_allclose(fast[0], slow[0], atol=1e-6)


def test_a_network_without_hidden_layers(digits):
    space = ParameterSpace(network(digits, ()))
    fast, slow = ways(space, digits, [slice(None)]), without_engine(space, digits, [slice(None)])
    assert (fast[1], slow[1]) == (_DenseWay, _AnyWay)
    np.testing.assert_allclose(fast[0], slow[0], atol=1e-5)


def test_a_rate_at_which_it_diverges_leads_out_of_the_finite(digits):
    space = ParameterSpace(network(digits, activation="relu"))
    for found, _ in (f(space, digits, [slice(None)], 1e30) for f in (ways, without_engine)):
        assert not np.isfinite(found[-1]).all()


def test_other_networks_go_the_way_of_any(digits):
    chain = network(digits)
    *below, last = chain.layers
    first = next(layer for layer in below if isinstance(layer, Dense))
    others = {
        "no bias": (*below, replace(last, bias=None)),
        "two activations": tuple(
            layer.with_activation("tanh") if layer is first else layer for layer in chain.layers
        ),
        "an activation with settings": tuple(
            replace(layer, activation_name=Relu(max_value=1.0)) if isinstance(layer, Dense) and layer is not last else layer
            for layer in chain.layers
        ),
        "channels first": (Flatten("flatten", "channels_first"), *chain.layers[1:]),
    }  # fmt: skip
    for layers in others.values():
        assert minibatches._dense_layers(ParameterSpace(replace(chain, layers=layers)), [slice(None)]) is None
    space = ParameterSpace(chain)
    assert minibatches._dense_layers(space, [slice(None)]) is not None
    # Half of a layer.
    assert minibatches._dense_layers(space, [slice(0, 4)]) is None
