"""What is measured of units: their values on images, their products with one, and what is lost without them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from probe._checks import Array, InputError, IntArray, chunks
from probe._layout import input_layout, layer_ends
from probe.analyses.concepts.units import logits_without_each
from probe.analyses.unit.card import WeightsKind
from probe.analyses.weights import weight_images
from probe.datasets import Dataset
from probe.layers import Dense
from probe.network import Network

__all__ = [
    "Place",
    "Products",
    "Ranks",
    "all_logits",
    "by_unit",
    "named",
    "outputs_at",
    "places",
    "products",
    "right_without",
    "unit_values",
    "weights_of",
    "with_linear_output",
]

_TOP = 10
"""Images that excite a unit most, and least, that are kept."""

_VALUES = 1 << 20
"""Values that all layers together make at a time: more would not stay in the cache."""


class Place(NamedTuple):
    """Where units are: the layer with their weights, and the one that applies their activation.

    Those of the output are the logits.
    """

    layer: str
    end: str
    is_output: bool


def places(network: Network) -> tuple[Place, ...]:
    """Return the places of all units with weights, in the order of the layers."""
    return tuple(Place(layer, end, end == network.head_name) for layer, end in layer_ends(network).items())


def with_linear_output(network: Network) -> Network:
    """Return a network with the same logits that spares itself what comes after them."""
    layers = (
        layer.with_activation("linear") if layer.name == network.head_name else layer
        for layer in network.layers
    )
    return replace(network, layers=tuple(layers))


def unit_values(network: Network, where: Sequence[Place], images: Array) -> tuple[Array, ...]:
    """Return the pre-activations of the units of each place on images, (n_images, n_units) each; of a channel its mean."""
    parts: dict[str, list[Array]] = {place.layer: [] for place in where}
    for part in chunks(len(images), _rows(network)):
        for name, (before, _) in network.stages(images[part], tuple(parts)).items():
            parts[name].append(by_unit(network, name, before))
    return tuple(np.concatenate(found) for found in parts.values())


class Ranks(NamedTuple):
    """The images on which units are largest and smallest, (n_units, n_top), and the units' values on them."""

    most: npt.NDArray[np.int64]
    least: npt.NDArray[np.int64]
    most_values: Array
    least_values: Array
    medians: Array

    @classmethod
    def of(cls, values: Array) -> Ranks:
        """Return the ranks of values (n_images, n_units); the first of equals."""
        up = np.argsort(-values, axis=0, kind="stable")[:_TOP].T
        down = np.argsort(values, axis=0, kind="stable")[:_TOP].T
        at = [np.take_along_axis(values.T, order, axis=1) for order in (up, down)]
        return cls(up, down, at[0], at[1], np.median(values, axis=0))

    @property
    def indices(self) -> npt.NDArray[np.int64]:
        """All of them."""
        return np.concatenate([self.most.ravel(), self.least.ravel()])


def outputs_at(network: Network, where: Sequence[Place], images: Array) -> tuple[Array, ...]:
    """Return the activations at the end of each place, each of shape (n_images, *shape of its output)."""
    ends = tuple(place.end for place in where)
    parts = [network.stages(images[part], ends) for part in chunks(len(images), _rows(network))]
    return tuple(np.concatenate([part[end][1] for part in parts]) for end in ends)


def by_unit(network: Network, layer: str, values: Array) -> Array:
    """Return values (n_images, ...) of a layer by unit, (n_images, n_units): of a channel the mean over its map."""
    last = np.moveaxis(values, 1 + network.channel_axis(layer), -1)
    return np.asarray(last.mean(axis=tuple(range(1, last.ndim - 1))) if last.ndim > 2 else last)


def all_logits(network: Network, images: Array) -> Array:
    """Return the logits for images, not all at once."""
    return np.concatenate([network.logits(images[part]) for part in chunks(len(images), _rows(network))])


def named(network: Network, logits: Array) -> npt.NDArray[np.int64]:
    """Return the classes that logits (n_images, n_outputs) stand for, as `Network.predict` does."""
    if network.is_one_unit:
        return (logits[:, 0] > 0).astype(np.int64)
    return np.asarray(logits.argmax(axis=1), dtype=np.int64)


def _rows(network: Network) -> int:
    """Return how many inputs are computed at a time."""
    return max(1, _VALUES // sum(math.prod(shape) for shape in network.layer_shapes.values()))


def right_without(
    network: Network, place: Place, values: Array, data: Dataset, units: IntArray
) -> npt.NDArray[np.bool_]:
    """Return which images are classified right, (n_units, n_images), with each unit replaced by its mean over them.

    `values` are the activations of a hidden layer, or the logits for the output.
    """
    if place.is_output:
        changed: Iterator[Array] = (_with_mean(values, unit) for unit in units)
    else:
        means = by_unit(network, place.end, values).mean(axis=0)
        changed = logits_without_each(network, place.end, units, means[units], data.images)
    right = np.array([named(network, logits) == data.labels for logits in changed], dtype=bool)
    return right.reshape(len(units), len(data))


def _with_mean(logits: Array, unit: int) -> Array:
    changed = logits.copy()
    changed[:, unit] = logits[:, unit].mean()
    return changed


class Products(NamedTuple):
    """What each unit makes of one image.

    Attributes
    ----------
    values : ndarray of shape (n_units, ...)
        Weights times what they multiply, laid out as the weights where these form an image of the whole input, else as
        the layer's input, channels last.
    sums : ndarray of shape (n_units,), float64
        Sums of all products of a unit.
    pre_activations : ndarray of shape (n_units,)
        What the network computes: the sum and the bias.
    positions : ndarray of shape (n_units, 2), int64
        Row and column in the feature map that they are about, that of the largest value; -1 where there is none.
    """

    values: Array
    sums: npt.NDArray[np.float64]
    pre_activations: Array
    positions: npt.NDArray[np.int64]


def products(network: Network, layer: str, units: IntArray, images: Array) -> Products:
    """Return the products of the weights of unit `units[i]` of a layer with what it reads of `images[i]`."""
    target, (shape,) = network.layer(layer), network.input_shapes_of(layer)
    source = network.wiring[network.layer_names.index(layer)][0]
    inputs = images if isinstance(source, int) else network.truncate(source).outputs(images)
    inputs = inputs.astype(network.dtype)
    before, pullback = target.pre_activation(inputs)
    axis = 1 + network.channel_axis(layer)
    rows = np.arange(len(units))
    maps = np.moveaxis(before, axis, 1)[rows, units]
    flat = maps.reshape(len(units), -1)
    best = flat.argmax(axis=1)
    chosen = np.zeros((len(units), flat.shape[1]), before.dtype)
    chosen[rows, best] = 1
    gradient = np.zeros_like(before)
    np.moveaxis(gradient, axis, 1)[rows, units] = chosen.reshape(maps.shape)
    found = pullback(gradient) * inputs
    sums = found.reshape(len(units), -1).sum(axis=1, dtype=np.float64)
    positions = np.full((len(units), 2), -1)
    if maps.ndim == 3:
        positions = np.stack(np.unravel_index(best, maps.shape[1:]), axis=1)
    if isinstance(target, Dense) and len(shape) == 1:
        found = weights_of(network, layer, units, kernel=found.T)[1]
    else:
        own = target.own_channel_axis(shape)
        found = found if own is None else np.moveaxis(found, 1 + own, -1)
    return Products(found, sums, flat[rows, best], positions.astype(np.int64))


def weights_of(
    network: Network, layer: str, units: IntArray, *, kernel: Array | None = None
) -> tuple[WeightsKind, Array]:
    """Return what the weights of some units are, and the weights: (n_units, ...).

    "image": (n_units, height, width[, 3]), laid out as the pixels that they read. "planes": (n_units, n_planes, height,
    width), an image for each channel that they read. "vector": (n_units, n_in); n_in is 0 where one map after the other
    weighs the input. With a `kernel` (n_in, n_units) the same of a dense layer that had it for these units.
    """
    target, own = network.layer(layer), kernel
    if not target.has_one_kernel:
        return "vector", np.zeros((len(units), 0), network.dtype)
    if own is None and isinstance(target, Dense):
        own = target.kernel[:, units]
    part = network.truncate(layer)
    if own is not None:
        assert isinstance(target, Dense)
        few = replace(target, kernel=np.ascontiguousarray(own), bias=None, activation_name="linear")
        part = replace(part, layers=(*part.layers[:-1], few), class_names=(), is_regression=True)
    try:
        # Where no layer says where the channels are, the data do: theirs are last.
        found = weight_images(part, layer, layout=None if input_layout(network) else "channels_last")
    except InputError:
        found = None
    if found is None or found.kind == "expanded":
        if own is None:
            axes = next(iter(target.kernel_axes.values()))
            values = np.moveaxis(next(iter(target.variables.values())), axes, range(len(axes)))
            own = values.reshape(-1, *values.shape[len(axes) :])[units].reshape(len(units), -1).T
        return "vector", np.asarray(own.T)
    chosen = found.images.reshape(len(found.unit_names), found.planes, *found.images.shape[1:])
    if own is None:
        chosen = chosen[units]
    return ("image", chosen[:, 0]) if found.planes == 1 else ("planes", chosen)
