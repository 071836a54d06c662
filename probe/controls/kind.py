"""What kind a network is: its layers in words and as an architecture, and the same layers before training."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np

from probe._checks import (
    Array,
    check_rng,
    frozen_copy,
)
from probe._signatures import checked
from probe.layers import ACTIVATIONS, Dense, Layer
from probe.network import Network
from probe.population import MLP

__all__ = ["architecture_of", "kind_of", "reinitialized"]


def kind_of(network: Network) -> str:
    """Return the layers of a network in a few words, such as "784-16-16-10 sigmoid"."""
    architecture = architecture_of(network)
    if architecture is not None:
        return architecture.named(math.prod(network.input_shape), network.n_classes)
    n_learned = sum(bool(layer.variables) for layer in network.layers)
    return f"of {n_learned} layers with {network.n_parameters:,} parameters"


@checked
def architecture_of(network: Network) -> MLP | None:
    """Return the widths and the activation of a chain of dense layers; None where gradient descent has none to copy.

    Examples
    --------
    >>> kernel = np.eye(3, dtype=np.float32)
    >>> layers = Dense("hidden", kernel, kernel[0], "tanh"), Dense("output", kernel, kernel[0], "softmax")
    >>> architecture_of(Network(layers, input_shape=(3,))).hidden
    (3,)
    """
    hidden = network.dense_layers[:-1]
    only_dense = all(isinstance(layer, Dense) for layer in network.layers if layer.variables)
    kinds = {_activation_after(network, layer) for layer in hidden}
    if len(kinds) == 1 and kinds <= ACTIVATIONS.keys() - {"step"} and only_dense and network.is_chain:
        return MLP(hidden=[layer.n_units for layer in hidden], activation=kinds.pop())
    return None


def _activation_after(network: Network, dense: Dense) -> str:
    """Return the name of a dense layer's activation, which may be the layer after it; "" if it has settings."""
    after = network.layers[network.layers.index(dense) :]
    for index, layer in enumerate(after):
        if index and isinstance(layer, Dense):
            break
        if layer.activation.name != "linear":
            return "" if layer.activation.settings else layer.activation.name
    return "linear"


@checked
def reinitialized(network: Network, *, rng: np.random.Generator) -> Network:
    """Return `network` with weights as before training: what the same graph computes when it learned nothing.

    Kernels are drawn as Keras draws them by default (uniform within sqrt(6 / (fan_in + fan_out))), or from
    N(0, 2 / fan_in) where a rectifier follows; biases are zero, normalizations learn nothing. What is a setting of
    the data and not learned (rescaling, `Normalization`) stays.

    Parameters
    ----------
    network : Network
        Of any layers; one that is called twice keeps one set of weights.
    rng : numpy.random.Generator
        Draws the kernels.

    References
    ----------
    .. [1] X. Glorot, Y. Bengio, "Understanding the difficulty of training deep feedforward neural
       networks", AISTATS 2010.
    .. [2] K. He et al., "Delving Deep into Rectifiers", ICCV 2015.

    Examples
    --------
    >>> kernel = np.eye(3, dtype=np.float32)
    >>> network = Network((Dense("output", kernel, kernel[0]),), input_shape=(3,))
    >>> fresh = reinitialized(network, rng=np.random.default_rng(0)).layers[0]
    >>> fresh.bias, bool(np.abs(fresh.kernel).max() <= 1)
    (array([0., 0., 0.], dtype=float32), True)
    """
    check_rng(rng)
    drawn: dict[int, Array] = {}
    layers = []
    for layer in network.layers:
        fresh: dict[str, Any] = {}
        for name, values in layer.variables.items():
            initial = drawn.get(id(values))
            if initial is None:
                initial = drawn[id(values)] = frozen_copy(_unlearned(layer, name, values, rng))
            fresh[name] = initial
        fields = {name: values for name, values in fresh.items() if getattr(layer, name, None) is not None}
        layers.append(replace(layer, **fields) if fields else layer)  # type: ignore[type-var]
    return replace(network, layers=tuple(layers))


def _unlearned(layer: Layer, name: str, values: Array, rng: np.random.Generator) -> Array:
    """Return what a layer's variable is before training; itself where it is not learned."""
    if name in layer.initial_values:
        return np.full_like(values, layer.initial_values[name])
    if name not in layer.kernel_axes:
        return values
    fan_in, fan_out = layer.fans(name)
    if layer.activation.initialization == "he":
        return rng.normal(0, math.sqrt(2 / fan_in), values.shape).astype(values.dtype)
    limit = math.sqrt(6 / (fan_in + fan_out))
    return rng.uniform(-limit, limit, values.shape).astype(values.dtype)
