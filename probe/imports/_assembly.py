"""Layers and how they are joined, while a network is built: what `Building` and its operations stand on."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import NoReturn

import numpy as np
import numpy.typing as npt

from probe._checks import Array, InputError, frozen_copy
from probe.layers import (
    ActivationLayer,
    Affine,
    Broadcast,
    Conv2D,
    Dense,
    DepthwiseConv2D,
    Layer,
    Permute,
    Rescaling,
    Reshape,
)
from probe.network import Network
from probe.safeh5 import DEFAULT_LIMITS

__all__ = ["Assembly", "Operand", "Place", "Shape", "Value"]

Shape = tuple[int, ...]

_MOST_LAYERS = 5000
"""The largest image classifiers have about 1,000."""

_MOST_CONSTANT = 1 << 28
"""Values of one constant that is computed: 1 GiB in float32."""


@dataclass(frozen=True, slots=True, eq=False)
class Value:
    """What a layer puts out, or an input of the network.

    Attributes
    ----------
    source : str or int
        The layer's name; k for the k-th input.
    shape : tuple of int
        Shape of one sample, with the channels first.
    repeated : tuple of int, optional
        The shape that `expand` gave it: axes of length 1 count as longer, and nothing is copied yet.
    """

    source: str | int
    shape: Shape
    repeated: Shape | None = None


Operand = Value | Array | float
"""What elementwise operations take: a value, a constant or a number."""


class Assembly:
    """The layers of a network, while they are collected.

    Parameters
    ----------
    source : str
        What is read: the name of a file, or "module". Refusals begin with it.
    batch : int
        How many samples the sizes in the graph are for: reshaping to (batch, ...) keeps samples apart.
    dtype : float32 or float64
        The type of all arrays.
    budget : int, optional
        Values that computed constants may have, all together; any number by default.
    """

    def __init__(
        self, source: str, *, batch: int = 1, dtype: npt.DTypeLike = np.float32, budget: int | None = None
    ) -> None:
        self.source = source
        self.batch = batch
        self.dtype = np.dtype(dtype)
        self._layers: dict[str, Layer] = {}
        self._reads: dict[str, tuple[Value, ...]] = {}
        self._numbers: dict[str, int] = {}
        self.budget = budget
        self._inputs: list[tuple[str, Shape]] = []
        self._arrays: dict[tuple[int, object], tuple[npt.NDArray[np.generic], Array]] = {}

    def input(self, shape: Shape, name: str = "", given: Shape | None = None) -> Value:
        """Return the next input of the network.

        Parameters
        ----------
        shape : tuple of int
            What the graph takes, without the samples: images (channels, height, width).
        name : str
            Its name; "input_1", ... by default.
        given : tuple of int, optional
            What the network takes instead: (height, width, channels) by default for images. A layer in front moves
            the axes, or reshapes.
        """
        number = len(self._inputs)
        moves = len(shape) == 3 and given in (None, (*shape[1:], shape[0]))
        if given is None:
            given = (*shape[1:], shape[0]) if moves else shape
        self._inputs.append((name or f"input_{number + 1}", given))
        value = Value(number, given)
        if moves:
            return self.add(Permute(self.free_name("channels_first"), (3, 1, 2)), value)
        return value if given == shape else self.add(Reshape(self.free_name("channels_first"), shape), value)

    def add(self, layer: Layer, *read: Value) -> Value:
        """Return what a layer makes of values."""
        try:
            shape = layer.output_shape(*(value.shape for value in read))
        except InputError as error:
            raise InputError(f"{self.source}: {error}") from None
        if math.prod(shape) > DEFAULT_LIMITS.activation_values:
            raise InputError(
                f"{self.source}: layer '{layer.name}' would put out {math.prod(shape):,} values for one input, more than "
                f"the {DEFAULT_LIMITS.activation_values:,} that are computed"
            )
        if len(self._layers) >= _MOST_LAYERS:
            raise InputError(f"{self.source}: it becomes more than the {_MOST_LAYERS:,} layers that are made")
        self._layers[layer.name] = layer
        self._reads[layer.name] = read
        return Value(layer.name, shape)

    def before(self, value: Value) -> tuple[Layer, Value] | None:
        """Return the layer that puts out a value, and the first that it reads; None for an input."""
        if isinstance(value.source, int):
            return None
        return self._layers[value.source], self._reads[value.source][0]

    def made_by(self, value: Value) -> tuple[Layer, tuple[Value, ...]] | None:
        """Return the layer that puts out a value, and all that it reads; None for an input."""
        return (
            None if isinstance(value.source, int) else (self._layers[value.source], self._reads[value.source])
        )

    def reserve(self, *sizes: int) -> None:
        """Count the values of a constant before it is computed, the product of `sizes`, or raise if there are too many."""
        n_values = math.prod(int(size) for size in sizes)
        if self.budget is not None:
            self.budget -= n_values
        if n_values > _MOST_CONSTANT or (self.budget is not None and self.budget < 0):
            raise InputError(
                f"{self.source}: it computes constants of {n_values:,} values, more than are made"
            )

    def free_name(self, name: str) -> str:
        """Return `name`, or the first of name_1, name_2, ... that no layer has."""
        # Layers stay, and so do the numbers that are taken.
        number = self._numbers.get(name, 0)
        free = f"{name}_{number}" if number else name
        while free in self._layers:
            number += 1
            free = f"{name}_{number}"
        self._numbers[name] = number
        return free

    def array(
        self,
        values: npt.NDArray[np.generic],
        key: object = None,
        change: Callable[[Array], Array] | None = None,
    ) -> Array:
        """Return a constant in the type of the network, perhaps transposed or the like; the same one for the same `key`.

        Layers that share weights are given the same array, and share it.

        Raises
        ------
        InputError
            If a value is not finite.
        """
        known = self._arrays.get((id(values), key))
        if known is None:
            if 0 in values.strides:
                self.reserve(values.size)
            with np.errstate(over="ignore"):
                array = values.astype(self.dtype)
            if not np.isfinite(array).all():
                raise InputError(
                    f"{self.source}: a weight of shape {array.shape} has values that are not finite"
                )
            array = np.ascontiguousarray(array if change is None else change(array)).copy()
            # The values are kept, so that no other array gets their identity.
            known = self._arrays[id(values), key] = values, frozen_copy(array)
        return known[1]

    def finish(self, outputs: Sequence[Value], class_names: tuple[str, ...] = ()) -> Network:
        """Return the network that puts out `outputs`, without the layers that none of them needs.

        An activation, and a shift of the units or channels, become part of the layer with weights in front of them,
        if nothing else reads that.
        """
        outputs = [self._as_layer(value) for value in outputs]
        needed = self._needed(outputs)
        layers = {name: layer for name, layer in self._layers.items() if name in needed}
        reads = {name: tuple(value.source for value in self._reads[name]) for name in layers}
        ends = [str(value.source) for value in outputs]
        readers = Counter([*ends, *(source for read in reads.values() for source in read)])
        became: dict[str | int, str] = {}
        for name, layer in list(layers.items()):
            reads[name] = tuple(became.get(source, source) for source in reads[name])
            source = reads[name][0]
            joined = (
                None if isinstance(source, int) or readers[source] > 1 else _joined(layers[source], layer)
            )
            if joined is not None:
                layers[str(source)] = joined
                del layers[name], reads[name]
                became[name], readers[source] = str(source), readers[name]
        ends = [became.get(end, end) for end in ends]
        names, shapes = zip(*self._inputs, strict=True)
        return Network(
            tuple(layers.values()),
            shapes[0],
            class_names,
            tuple(reads.values()),
            tuple(dict.fromkeys(ends)),
            shapes[1:],
            names,
        )

    def _as_layer(self, value: Value) -> Value:
        """Return an output as what a layer puts out; an input gets one that passes it on."""
        if isinstance(value.source, int):
            return self.add(ActivationLayer(self.free_name("output"), "linear"), value)
        return value

    def _needed(self, outputs: Sequence[Value]) -> set[str]:
        needed: set[str] = set()
        open_ = [value.source for value in outputs]
        while open_:
            source = open_.pop()
            if isinstance(source, str) and source not in needed:
                needed.add(source)
                open_ += [value.source for value in self._reads[source]]
        return needed


def _joined(front: Layer, layer: Layer) -> Layer | None:
    """Return one layer that does what two do, if the second is an activation or a bias; else None."""
    if not front.has_kernels or front.activation.name != "linear":
        return None
    if isinstance(layer, ActivationLayer):
        return front.with_activation(layer.activation_name)
    if not isinstance(front, Conv2D | Dense | DepthwiseConv2D) or front.bias is not None:
        return None
    n_units = front.n_units if isinstance(front, Dense) else front.n_filters
    if isinstance(layer, Rescaling) and layer.scale == 1 and isinstance(layer.offset, int | float):
        return replace(front, bias=np.full(n_units, layer.offset, front.kernel.dtype))
    shape = (n_units,) if isinstance(front, Dense) else (n_units, 1, 1)
    if not isinstance(layer, Affine) or layer.scale is not None or layer.shift is None:
        return None
    fits = layer.shift.size == n_units and layer.shift.shape[-len(shape) :] == shape
    return replace(front, bias=layer.shift.reshape(n_units)) if fits else None


@dataclass(frozen=True, slots=True)
class Place:
    """One node of a graph: what its layers are called, and what errors say of it."""

    building: Assembly
    name: str
    operation: str
    where: str = ""

    def refuse(self, problem: str, remedy: str = "") -> NoReturn:
        """Raise an error that names the operation, its line or node, and a remedy."""
        where = f" at {self.where}" if self.where else ""
        end = f"; {remedy}" if remedy else ""
        raise InputError(f"{self.building.source}: {self.operation}{where} {problem}{end}")

    def free(self, part: str = "") -> str:
        """Return a free name for a layer; with a `part`, that of a step beside the main one."""
        return self.building.free_name(f"{self.name}_{part}" if part else self.name)

    def add(self, layer: Layer, *read: Value) -> Value:
        """Return what a layer makes of values."""
        return self.building.add(layer, *map(self.solid, read))

    def solid(self, value: Value) -> Value:
        """Return a value with its repeated axes as they are written."""
        if value.repeated is None:
            return value
        layer = Broadcast(self.free("repeated"), value.repeated)
        return self.building.add(layer, replace(value, repeated=None))

    def axis(self, axis: int, shape: Shape) -> int:
        """Return an axis, counted with that of the samples, as an index of at least 1; refuse that of the samples."""
        index = axis + len(shape) + 1 if axis < 0 else axis
        if index == 0:
            self.refuse("works along the axis of the samples", "keep that axis as it is")
        if not 1 <= index <= len(shape):
            self.refuse(f"works along axis {axis} of values of shape {shape}")
        return index

    def images(self, value: Value, n_axes: int = 3) -> Shape:
        """Return the shape of images (channels, height, width), or of signals for two axes, or refuse."""
        if len(value.shape) != n_axes:
            self.refuse(f"gets values of shape {value.shape}", "it takes (channels, height, width)")
        return value.shape

    def n_values(self, value: Value) -> int:
        """Return how many values a sample has."""
        return math.prod(value.shape)
