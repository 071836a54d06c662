"""One node of a graph together with what it reads: how an operator's function asks for values and constants."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from probe.imports._building import Operations, Value
from probe.imports.onnx._model import AnyArray, Node

__all__ = ["Above", "Call", "Erf", "Operand"]


@dataclass(frozen=True, slots=True)
class Erf:
    """scale * erf(x / sqrt(2)) + offset, which may become a GELU, and is layers where it does not."""

    of: Value
    scale: float = 1.0
    offset: float = 0.0

    def value(self, at: Operations) -> Value:
        """Return it by itself."""
        bent = at.elementwise(at.rescale(self.of, 0.5**0.5), "erf")
        made = at.rescale(bent, self.scale, self.offset)
        assert isinstance(made, Value)
        return made


@dataclass(frozen=True, slots=True)
class Above:
    """Where a value is greater than a number, which is no layer, but part of how a softplus is written."""

    of: Value
    bound: float


Operand = Value | AnyArray | Above | Erf | None
"""What a node reads or makes; None for what is left out."""


@dataclass(frozen=True, slots=True)
class Call:
    """A node, the values that it reads, and the operations that make layers of it.

    Attributes
    ----------
    node : Node
        The node.
    at : Operations
        The operations, under the name of the node.
    values : list of Operand
        What it reads, in its order.
    most_values : int
        Most values that one layer puts out for one input.
    is_last : bool
        Whether what it makes is what the network puts out.
    """

    node: Node
    at: Operations
    values: list[Operand]
    most_values: int
    is_last: bool

    def operand(self, index: int) -> Operand:
        """Return what it reads at an index; None where that is left out."""
        value = self.values[index] if index < len(self.values) else None
        return value.value(self.at) if isinstance(value, Erf) else value

    def value(self, index: int = 0) -> Value:
        """Return a value that depends on the input, or refuse."""
        value = self.operand(index)
        if not isinstance(value, Value):
            self.node.refuse(f"needs a value that depends on the image as its input {index + 1}")
        return value

    def constant(self, index: int) -> AnyArray | None:
        """Return an array that is known beforehand, None where it is left out, or refuse."""
        array = self.operand(index)
        if array is not None and not isinstance(array, np.ndarray):
            self.node.refuse(
                f"has an input {index + 1} that depends on the image; only constants are read there, such as weights"
            )
        return array

    def weight(self, index: int, n_axes: int | None = None) -> AnyArray:
        """Return an array that must be there, perhaps with so many axes."""
        array = self.constant(index)
        if array is None:
            self.node.refuse(f"lacks its input {index + 1}")
        if n_axes is not None and array.ndim != n_axes:
            self.node.refuse(
                f"has an input {index + 1} of shape {array.shape}, where {n_axes} axes are needed"
            )
        return array

    def numbers(self, index: int) -> list[int] | None:
        """Return integers that are known beforehand; None where they are left out."""
        array = self.constant(index)
        return None if array is None else [int(number) for number in array.reshape(-1)]

    def number(self, index: int) -> float | None:
        """Return one number that is known beforehand; None where it is left out."""
        array = self.constant(index)
        if array is None or array.size == 0:
            return None
        if array.size > 1:
            self.node.refuse(f"has an input {index + 1} of shape {array.shape}, where one number is needed")
        return float(array.reshape(-1)[0])

    def full_shape(self, value: Value) -> tuple[int, ...]:
        """Return the shape of a value with its samples."""
        return (self.at.building.batch, *(value.shape if value.repeated is None else value.repeated))

    def axis(self, axis: int, value: Value) -> int:
        """Return an axis of a value, counted from the first, which is that of the samples."""
        n_axes = len(value.shape) + 1
        if not -n_axes <= axis < n_axes:
            self.node.refuse(f"works along axis {axis} of values of shape {value.shape}")
        return axis % n_axes

    def check_size(self, *shape: int) -> None:
        """Refuse to make more values for one input than the limits say."""
        if math.prod(shape) > self.most_values:
            self.node.refuse(f"puts out shape {shape}, more than the {self.most_values} values that are read")
