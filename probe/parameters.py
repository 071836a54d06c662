"""All that a network learned as one vector, and the cost of a data set as a function of it.

A network of any layers is a point; lines and planes through it are where landscapes are looked at.
"""

from __future__ import annotations

import math
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from typing import get_args

import numpy as np
import numpy.typing as npt

from probe._checks import (
    Array,
    InputError,
    check_choice,
    check_images,
    check_labels,
    check_shape,
    even_chunks,
    readonly,
)
from probe._parallel import in_turn
from probe._signatures import checked
from probe.costs import CostName, OutputName, cost_values, label_positions, logit_gradient
from probe.layers import Layer
from probe.network import Network

__all__ = ["ParameterSpace", "Part", "output_of"]

Labels = npt.NDArray[np.int64]

_MOST_SAMPLES, _VALUES = 4000, 1_000_000
"""Images at a time in a gradient, at most, and values that all layers make of them: a cache holds most of these."""


@dataclass(frozen=True, slots=True)
class Part:
    """Where one array of a network lies in the vector.

    Attributes
    ----------
    layer, variable : str
        Name of the first layer that has it, and Keras' name of the array.
    place : slice
        Its values in the vector.
    shape : tuple of int
        Its shape.
    filter_axes : tuple of int
        The axes that count units or filters: all values at one index of these are one filter. () where each
        value is alone, as in biases and scales.
    """

    layer: str
    variable: str
    place: slice
    shape: tuple[int, ...]
    filter_axes: tuple[int, ...]


@checked
def output_of(network: Network) -> OutputName:
    """Return "sigmoid" for a network with sigmoid outputs; else "softmax", which its logits are read with."""
    return "sigmoid" if network.output_name == "sigmoid" else "softmax"


@checked
class ParameterSpace:
    """The vectors of parameters that a network's layers can hold.

    Parameters
    ----------
    network : Network
        Of any layers, with one input and one value for each class. What its layers measured, such as moving
        means, is held fixed. An array that several layers share is in the vector once.
    cost : {"cross-entropy", "quadratic"}
        What to measure, see `probe.costs.cost_values`. Outputs other than sigmoid are read as softmax of the
        logits.

    Attributes
    ----------
    parts : tuple of Part
        What lies where, in the order of the layers.
    n_parameters : int
        Length of the vector.
    vector : ndarray of shape (n_parameters,)
        The network itself.

    Raises
    ------
    InputError
        If the network has no classes or learned nothing, or there is no such cost.

    Examples
    --------
    >>> from probe.layers import Dense
    >>> kernel = np.array([[1.0, 0.0], [2.0, -1.0]], dtype=np.float32)
    >>> space = ParameterSpace(Network((Dense("output", kernel, kernel[0] * 0, "softmax"),), input_shape=(2,)))
    >>> space.vector
    array([ 1.,  0.,  2., -1.,  0.,  0.], dtype=float32)
    >>> cost, gradient = space.gradient(np.ones((1, 2), dtype=np.float32), np.array([0]))
    >>> gradient.round(3)
    array([-0.018,  0.018, -0.018,  0.018, -0.018,  0.018], dtype=float32)
    """

    def __init__(self, network: Network, cost: CostName = "cross-entropy") -> None:
        check_choice("cost", cost, get_args(CostName))
        network.check_classes()
        if network.more_input_shapes:
            raise InputError(f"a landscape needs a network of one input, got {len(network.input_shapes)}")
        network = network.with_two_logits()
        self.network, self.cost, self.output = network, cost, output_of(network)
        self._places: dict[int, slice] = {}
        # Looking the arrays of a layer up takes longer than a small layer's products.
        self._arrays = {
            layer.name: {name: layer.variables[name] for name in layer.trainable} for layer in network.layers
        }
        parts, arrays, end = [], [], 0
        for layer in network.layers:
            for name, values in self._arrays[layer.name].items():
                if id(values) in self._places:
                    continue
                place = slice(end, end + values.size)
                self._places[id(values)] = place
                axes = layer.kernel_axes.get(name, ())
                parts.append(Part(layer.name, name, place, values.shape, axes))
                arrays.append(values.reshape(-1))
                end += values.size
        if not arrays:
            raise InputError(
                "a landscape needs a network that learned something, but no layer has parameters"
            )
        self.parts, self.n_parameters = tuple(parts), end
        self.vector: Array = readonly(np.concatenate(arrays).astype(network.dtype, copy=False))

    @checked
    def at(self, vector: Array) -> Network:
        """Return the network with the parameters of `vector` (n_parameters,)."""
        return self._at(vector)[0]

    def layers_at(self, vector: Array, layers: Sequence[Layer]) -> dict[str, Layer]:
        """Return some of the network's layers, by name, with the parameters of `vector` (n_parameters,)."""
        arrays = dict[int, Array]()
        return {layer.name: self._layer_at(layer, vector, arrays) for layer in layers}

    def places(self, layers: Sequence[Layer]) -> list[slice]:
        """Return where what some of the network's layers learned lies in the vector, each array once."""
        keys = {id(values): None for layer in layers for values in self._arrays[layer.name].values()}
        return [self._places[key] for key in keys]

    def layers_in(self, places: Sequence[slice]) -> frozenset[str]:
        """Return the names of the layers that learned what lies in some of `places` of the vector."""
        held = np.zeros(self.n_parameters, bool)
        for place in places:
            held[place] = True
        return frozenset(
            name
            for name, arrays in self._arrays.items()
            if any(held[self._places[id(values)]].any() for values in arrays.values())
        )

    def _at(self, vector: Array) -> tuple[Network, dict[int, slice]]:
        """Return the network at `vector`, and where each of its arrays lies in it."""
        check_shape("vector", vector.shape, (self.n_parameters,))
        arrays = dict[int, Array]()
        layers = tuple(self._layer_at(layer, vector, arrays) for layer in self.network.layers)
        places = {id(array): self._places[key] for key, array in arrays.items()}
        return self.network.with_layers(layers), places

    def _layer_at(self, layer: Layer, vector: Array, arrays: dict[int, Array]) -> Layer:
        """Return `layer` with its values in `vector`; `arrays` holds those made before, by what they replace."""
        changed = {}
        for name, values in self._arrays[layer.name].items():
            if id(values) not in arrays:
                fresh = vector[self._places[id(values)]].reshape(values.shape).astype(values.dtype)
                # As `frozen_copy` leaves an array, which is known again, and shared.
                fresh.flags.writeable = False
                arrays[id(values)] = fresh
            changed[name] = arrays[id(values)]
        return layer.with_arrays(changed) if changed else layer

    def gradient(
        self,
        images: Array,
        labels: Labels,
        vector: Array | None = None,
        *,
        learning: Container[str] | None = None,
        workers: int = 1,
    ) -> tuple[float, Array]:
        """Return the mean cost over the images, and its gradient.

        Parameters
        ----------
        images : ndarray of shape (n_samples, *input_shape), float
            Images.
        labels : ndarray of shape (n_samples,), int64
            Their classes.
        vector : ndarray of shape (n_parameters,), optional
            Where; at the network itself without.
        learning : container of str, optional
            Names of the layers whose gradients are wanted; the others are zero. All layers without.
        workers : int
            Threads that share the images, where these take many parts. The result does not depend on it.

        Returns
        -------
        cost : float
        gradient : ndarray of shape (n_parameters,)
        """
        network, places = (self.network, self._places) if vector is None else self._at(vector)

        def of_part(taken: slice) -> tuple[float, Array]:
            logits, pullback = network.parameter_vjp(images[taken], learning)
            stacked = np.ascontiguousarray(logits.T)[None]
            positions = label_positions(labels[None, taken], _shape(stacked))
            costs = cost_values(self.cost, self.output, stacked, positions)
            slopes = logit_gradient(self.cost, self.output, stacked, positions)[0].T / len(images)
            gradient = np.zeros(self.n_parameters, network.dtype)
            for values, found in pullback(np.ascontiguousarray(slopes, logits.dtype)):
                gradient[places[id(values)]] += found.reshape(-1)
            return float(costs.sum(dtype=np.float64)), gradient

        parts = in_turn(of_part, self._parts(len(images)), workers=workers)
        total, gradient = next(parts)
        for cost, found in parts:
            total += cost
            gradient += found
        return total / len(images), gradient

    def measure(self, images: Array, labels: Labels, vector: Array | None = None) -> tuple[float, float]:
        """Return the mean cost and the accuracy over the images.

        Parameters
        ----------
        images, labels, vector
            As for `gradient`.
        """
        network = self.network if vector is None else self.at(vector)
        total, hits = 0.0, 0
        for taken in self._parts(len(images)):
            with np.errstate(over="ignore", invalid="ignore"):
                stacked = np.ascontiguousarray(network.logits(images[taken]).T)[None]
                positions = label_positions(labels[None, taken], _shape(stacked))
                costs = cost_values(self.cost, self.output, stacked, positions)
            total += float(costs.sum(dtype=np.float64))
            hits += int((stacked[0].argmax(axis=0) == labels[taken]).sum())
        return total / len(images), hits / len(images)

    def _parts(self, n_images: int) -> Iterator[slice]:
        """Split images so that what all layers make of them fits in memory."""
        values = sum(math.prod(shape) for shape in self.network.layer_shapes.values())
        size = max(1, min(_MOST_SAMPLES, _VALUES // max(1, values)))
        return even_chunks(n_images, size)

    def checked(self, images: Array, labels: Labels) -> tuple[Array, Labels]:
        """Return images and labels in the types that everything here takes, or raise if they do not fit."""
        images, labels = np.asarray(images), np.asarray(labels)
        check_images("images", images, self.network.input_shape)
        check_labels("labels", labels, len(images), self.network.n_classes)
        return images.astype(self.network.dtype, copy=False), labels

    def filter_normalized(self, direction: Array) -> Array:
        """Return `direction` (n_parameters,) with each filter scaled to the length that it has in the network.

        A filter is all incoming weights of a unit, or the kernel of a channel. Biases, and the scales and shifts
        of normalizations, do not move: their part of the direction is zero, as in [1]_.

        References
        ----------
        .. [1] H. Li et al., "Visualizing the Loss Landscape of Neural Nets", NeurIPS 2018.
        """
        normalized = np.zeros_like(direction)
        for part in self.parts:
            if not part.filter_axes:
                continue
            ours = self.vector[part.place].reshape(part.shape)
            theirs = direction[part.place].reshape(part.shape)
            within = tuple(axis for axis in range(len(part.shape)) if axis not in part.filter_axes)
            lengths = np.linalg.norm(_as_rows(ours, within), axis=-1)
            drawn = np.linalg.norm(_as_rows(theirs, within), axis=-1)
            factor = np.divide(lengths, drawn, out=np.zeros_like(lengths), where=drawn > 0)
            factor = np.expand_dims(factor, within)
            normalized[part.place] = (theirs * factor).reshape(-1)
        return normalized

    def named(self, index: int) -> str:
        """Return which parameter the value at `index` of the vector is, such as "hidden_1 kernel[350, 3]"."""
        part = next(part for part in self.parts if part.place.start <= index < part.place.stop)
        where = np.unravel_index(index - part.place.start, part.shape)
        return f"{part.layer} {part.variable}[{', '.join(str(int(k)) for k in where)}]"


def _shape(stacked: Array) -> tuple[int, int, int]:
    n_networks, n_classes, n_samples = stacked.shape
    return n_networks, n_classes, n_samples


def _as_rows(values: Array, within: Sequence[int]) -> Array:
    """Return `values` with the axes `within` flattened into the last."""
    moved = np.moveaxis(values, within, range(-len(within), 0))
    return moved.reshape(*moved.shape[: -len(within)], -1)
