"""What units are on images, and what a network says without one of them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from probe._checks import Array, InputError, IntArray, chunks
from probe._layout import hidden_ends
from probe.analyses.concepts.within import standardized
from probe.network import Network

__all__ = ["LayerValues", "hidden_layers", "layer_values", "logits_without_each"]

_BATCH = 500
"""Images whose feature maps are kept at a time."""

_CELLS = 4

_LOGITS = 1 << 23
"""Logits that are kept at a time: 32 MiB in float32."""


def hidden_layers(network: Network) -> tuple[str, ...]:
    """Return the layers with weights that are not the output, or raise if there is none.

    Where such a layer is linear and its activation is a layer of its own, that layer is meant.
    """
    found = tuple(hidden_ends(network).values())
    if not found:
        raise InputError("the network must have a hidden layer with weights to look for concepts in")
    return found


@dataclass(frozen=True, slots=True, eq=False)
class LayerValues:
    """What a layer is on images.

    Attributes
    ----------
    units : ndarray of shape (n_images, n_units), float64
        Activations; of a channel the mean over its map.
    basis : ndarray of shape (n_images, n_units), float64
        What is rotated, each unit with mean 0 and variance 1, or 0 where it is dead. Pre-activations of a layer of
        units: random weights are a random basis of these, and not of what a rectifier leaves of them. Of feature maps
        the same as `units`, because the mean of a linear map is the mean of the image.
    features : ndarray of shape (n_images, n_features), float64
        What a linear probe reads: activations, and feature maps averaged over 4 x 4 cells.
    """

    units: Array
    basis: Array
    features: Array


def layer_values(network: Network, layers: tuple[str, ...], x: Array) -> dict[str, LayerValues]:
    """Return what layers are on images (n_images, *input_shape), by name."""
    parts: dict[str, list[tuple[Array, Array, Array]]] = {name: [] for name in layers}
    for part in chunks(len(x), _BATCH):
        for name, (before, after) in network.stages(x[part], layers).items():
            parts[name].append(_parts_of(network, name, after, before))
    found = {}
    for name, pieces in parts.items():
        units, basis, features = (
            np.concatenate(piece).astype(np.float64) for piece in zip(*pieces, strict=True)
        )
        found[name] = LayerValues(units, standardized(basis), features)
    return found


def _parts_of(network: Network, name: str, after: Array, before: Array) -> tuple[Array, Array, Array]:
    """Return units, basis and features of a batch."""
    if after.ndim == 2:
        return after, before, after
    maps = np.moveaxis(after, 1 + network.channel_axis(name), -1)
    means = maps.mean(axis=tuple(range(1, maps.ndim - 1)))
    return means, means, _cells(maps).reshape(len(maps), -1)


def _cells(maps: Array) -> Array:
    """Return feature maps (n, height, width, channels) averaged over cells, at most 4 x 4 of them."""
    for axis in range(1, maps.ndim - 1):
        length = maps.shape[axis]
        cuts = np.linspace(0, length, min(_CELLS, length), endpoint=False).astype(int)
        counts = np.diff(np.append(cuts, length)).reshape([-1 if k == axis else 1 for k in range(maps.ndim)])
        maps = np.add.reduceat(maps, cuts, axis=axis) / counts
    return maps


def logits_without_each(
    network: Network, layer: str, units: IntArray, constants: Array, x: Array
) -> Iterator[Array]:
    """Yield the logits for images with a constant in place of one of `units` and the next, few at a time."""
    n_logits = len(x) * math.prod(network.layer_shapes[network.head_name])
    for some in chunks(len(units), max(1, _LOGITS // n_logits)):
        yield from network.logits_without(x, layer, units[some].tolist(), constants[some])
