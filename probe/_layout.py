"""Which axis of a network's inputs and feature maps is that of the channels, and which layers put out its hidden units."""

from __future__ import annotations

from probe.layers import DataFormat, Layer
from probe.network import Network

__all__ = ["hidden_ends", "input_layout", "layer_ends", "map_layout"]

_LAYOUTS: dict[int, DataFormat] = {0: "channels_first", 2: "channels_last"}
"""By the axis of the channels, of images with three axes."""


def hidden_ends(network: Network) -> dict[str, str]:
    """Return, for each hidden layer with weights, the layer that applies its activation: itself where none does.

    Examples
    --------
    >>> from probe.layers import ActivationLayer, Dense
    >>> import numpy as np
    >>> kernel = np.eye(2)
    >>> layers = Dense("hidden", kernel), ActivationLayer("rectified", "relu"), Dense("output", kernel)
    >>> hidden_ends(Network(layers, input_shape=(2,)))
    {'hidden': 'rectified'}
    """
    return {name: end for name, end in layer_ends(network).items() if end != network.head_name}


def layer_ends(network: Network) -> dict[str, str]:
    """Return, for each layer with weights, the layer that applies its activation: itself where none does."""
    return {layer.name: _activated(network, layer) for layer in network.layers if layer.has_kernels}


def _activated(network: Network, layer: Layer) -> str:
    """Return the name of the layer that applies the activation of `layer`, itself where none does."""
    after = layer
    while after.activation.name == "linear" and after.name != network.head_name:
        readers = [
            each for each, read in zip(network.layers, network.wiring, strict=True) if after.name in read
        ]
        if len(readers) != 1 or not readers[0].keeps_units:
            return layer.name
        after = readers[0]
    return after.name


def map_layout(network: Network, layer: str) -> DataFormat | None:
    """Return where the channels are in the feature maps that `layer` puts out; None where no layer says so.

    Examples
    --------
    >>> from probe.layers import ActivationLayer, MaxPooling2D
    >>> layers = MaxPooling2D("max", data_format="channels_first"), ActivationLayer("rectified", "relu")
    >>> map_layout(Network(layers, input_shape=(3, 8, 8)), "rectified")
    'channels_first'
    """
    return _layout(network, layer, network.layer_shapes[layer])


def input_layout(network: Network) -> DataFormat | None:
    """Return where the channels are in the network's inputs; None where no layer says so.

    Examples
    --------
    >>> from probe.layers import GlobalMaxPooling2D
    >>> pooling = GlobalMaxPooling2D("max", data_format="channels_first")
    >>> input_layout(Network((pooling,), input_shape=(3, 8, 8)))
    'channels_first'
    """
    return _layout(network, 0, network.input_shape)


def _layout(network: Network, source: str | int, shape: tuple[int, ...]) -> DataFormat | None:
    axis = network.channel_axes.get(source) if len(shape) == 3 else None
    return None if axis is None else _LAYOUTS.get(axis)
