"""What kind a network is: its layers in words and as an architecture."""

from __future__ import annotations

import math

from probe._signatures import checked
from probe.layers import ACTIVATIONS, Dense
from probe.network import Network
from probe.population import MLP

__all__ = ["architecture_of", "kind_of"]


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
    >>> import numpy as np
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
