"""Which axis of what the layers of a network read and put out is that of the units or channels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from probe.layers import Flatten, Layer, Permute, Reshape

__all__ = ["channel_axes"]

Shape = tuple[int, ...]


def channel_axes(
    layers: Sequence[Layer], sources: Sequence[Sequence[int]], shapes: Mapping[int, Shape]
) -> dict[int, int]:
    """Return which axis of one output of each layer, and of one input, counts units or channels.

    Most layers treat all axes alike and do not say. They have the axis of what they read, or of what reads them. A
    `Permute` moves it; what a `Reshape` makes of it is not known.

    Parameters
    ----------
    layers : sequence of Layer
        In the order of evaluation.
    sources : sequence of sequence of int
        For each layer the indices that it reads; -1 - k stands for the k-th input of the network.
    shapes : mapping of int to tuple of int
        Shape of one output of each layer, by its index, and of the inputs.

    Returns
    -------
    dict of int to int
        By the indices of `shapes`. Missing are those of which no layer says it.

    Examples
    --------
    >>> from probe.layers import ActivationLayer, MaxPooling2D
    >>> layers = MaxPooling2D("max", data_format="channels_first"), ActivationLayer("rectified", "relu")
    >>> channel_axes(layers, ((-1,), (0,)), {-1: (3, 8, 8), 0: (3, 4, 4), 1: (3, 4, 4)})
    {-1: 0, 0: 0, 1: 0}
    """
    axes = {index: 0 for index, shape in shapes.items() if len(shape) == 1}
    joined = list(enumerate(zip(layers, sources, strict=True)))
    # What a layer reads decides before what reads it. A second turn serves layers beside those that say it.
    for _ in range(2):
        for index, (layer, read) in joined:
            found = None if index in axes else _put_out(layer, index, read, shapes, axes)
            if found is not None:
                axes[index] = found
        for index, (layer, read) in reversed(joined):
            for source in read:
                found = None if source in axes else _read(layer, index, source, shapes, axes)
                if found is not None:
                    axes[source] = found
    return dict(sorted(axes.items()))


def _put_out(
    layer: Layer, index: int, read: Sequence[int], shapes: Mapping[int, Shape], axes: Mapping[int, int]
) -> int | None:
    """Return the axis of what a layer puts out, by what it says and what it reads."""
    shape = shapes[index]
    own = layer.own_channel_axis(shape)
    if own is not None and not layer.keeps_units:
        return own
    # What is as large as the output goes before what is repeated along some axes.
    alike = [source for source in read if source in axes and len(shapes[source]) == len(shape)]
    if not alike or isinstance(layer, Reshape | Flatten):
        return own
    axis = axes[min(alike, key=lambda source: shapes[source] != shape)]
    return layer.dims.index(axis + 1) if isinstance(layer, Permute) else axis


def _read(
    layer: Layer, index: int, source: int, shapes: Mapping[int, Shape], axes: Mapping[int, int]
) -> int | None:
    """Return the axis of what a layer reads, by what it says and by its output."""
    own = layer.own_channel_axis(shapes[source])
    if own is not None:
        return own
    if index not in axes or len(shapes[source]) != len(shapes[index]) or isinstance(layer, Reshape | Flatten):
        return None
    return layer.dims[axes[index]] - 1 if isinstance(layer, Permute) else axes[index]
