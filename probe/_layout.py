"""Which axis of a network's inputs and feature maps is that of the channels, and which layers put out its hidden units."""

from __future__ import annotations

from probe.layers import DataFormat, ImageLayer, Layer, Permute
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

    An image layer says so for what it puts out. Other layers keep the axes as they are, but a `Permute`
    moves them, and what a `Reshape` or a `Flatten` makes of them is not known.

    Examples
    --------
    >>> from probe.layers import ActivationLayer, MaxPooling2D
    >>> layers = MaxPooling2D("max", data_format="channels_first"), ActivationLayer("rectified", "relu")
    >>> map_layout(Network(layers, input_shape=(3, 8, 8)), "rectified")
    'channels_first'
    """
    moves, at = list[Permute](), network.layer(layer)
    while not isinstance(at, ImageLayer):
        if isinstance(at, Permute):
            moves.append(at)
        elif _changes_shape(network, at):
            return None
        read = _first_read(network, at)
        if isinstance(read, int):
            layout = input_layout(network) if read == 0 else None
            break
        at = network.layer(read)
    else:
        layout = at.data_format
    axis = None if layout is None else _axis_of(layout)
    for move in reversed(moves):
        axis = None if axis is None else move.dims.index(axis + 1)
    return None if axis is None else _LAYOUTS.get(axis)


def input_layout(network: Network) -> DataFormat | None:
    """Return where the channels are in the network's inputs; None where no image layer says so.

    Examples
    --------
    >>> from probe.layers import GlobalMaxPooling2D
    >>> pooling = GlobalMaxPooling2D("max", data_format="channels_first")
    >>> input_layout(Network((pooling,), input_shape=(3, 8, 8)))
    'channels_first'
    """
    if len(network.input_shape) != 3:
        return None
    layouts = (_said_below(network, layer) for layer in network.layers if isinstance(layer, ImageLayer))
    return next((layout for layout in layouts if layout is not None), None)


def _said_below(network: Network, layer: ImageLayer) -> DataFormat | None:
    """Return what an image layer says of the inputs, if only layers that move or keep axes are below it."""
    axis, read = _axis_of(layer.data_format), _first_read(network, layer)
    while isinstance(read, str):
        below = network.layer(read)
        if isinstance(below, Permute):
            axis = below.dims[axis] - 1
        elif isinstance(below, ImageLayer) or _changes_shape(network, below):
            return None
        read = _first_read(network, below)
    return _LAYOUTS.get(axis) if read == 0 else None


def _changes_shape(network: Network, layer: Layer) -> bool:
    """Return whether a layer moves values to other axes, nobody says which, or has other axes than it reads."""
    n_axes = len(network.input_shapes_of(layer.name)[0]), len(network.layer_shapes[layer.name])
    return (layer.rearranges and not layer.is_elementwise) or n_axes[0] != n_axes[1]


def _axis_of(layout: DataFormat) -> int:
    return 0 if layout == "channels_first" else 2


def _first_read(network: Network, layer: Layer) -> str | int:
    """Return what a layer reads; of several, which have the same axes, the first."""
    return network.wiring[network.layer_names.index(layer.name)][0]
