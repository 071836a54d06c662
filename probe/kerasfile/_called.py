"""One call of an operation on tensors, with readers of its arguments that refuse what does not fit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NoReturn

import numpy as np

from probe.kerasfile._calls import Arguments, constant
from probe.kerasfile._config import MAX_AXES, LayerSpec, instead
from probe.kerasfile._steps import Constant, Steps, Value
from probe.safeh5 import printable, shown

__all__ = ["Operation", "OperationCall", "all_names"]

_MISSING: Any = object()

_TYPES = frozenset(
    ["DstT", "Index", "N", "SrcT", "T", "Tdim", "Tidx", "Tpaddings", "Tperm", "Tshape", "dtype", "name"]
)
"""Arguments that are names or types."""


@dataclass(slots=True)
class OperationCall:
    """One call of an operation.

    Attributes
    ----------
    spec : LayerSpec
        The layer that it is in the file.
    operation : str
        What the file calls it.
    arguments : Arguments
        What it is called with.
    read : set
        The arguments that were read, by place or name.
    """

    spec: LayerSpec
    operation: str
    arguments: Arguments
    read: set[int | str] = field(default_factory=set)

    def refuse(self, problem: str) -> NoReturn:
        self.spec.refuse(
            f"is the operation {printable(self.operation, 60)}, which {problem}; {instead(self.spec)}"
        )

    def get(self, place: int | None, *names: str, default: Any = _MISSING) -> Any:
        """Return an argument by its place or one of its names."""
        if place is not None and place < len(self.arguments.by_position):
            self.read.add(place)
            return self.arguments.by_position[place]
        for name in names:
            if name in self.arguments.by_name:
                self.read.add(name)
                return self.arguments.by_name[name]
        if default is _MISSING:
            self.refuse(f"lacks its argument {names[0] if names else place}")
        return default

    def check_rest(self) -> None:
        """Refuse arguments that were not read and say something."""
        places = set(range(len(self.arguments.by_position))) - self.read
        left = {name: value for name, value in self.arguments.by_name.items() if name not in self.read}
        for place in sorted(places):
            left[str(place)] = self.arguments.by_position[place]
        for name, value in left.items():
            if value is not None and value is not False and name not in _TYPES:
                self.refuse(f"is called with {printable(name, 40)} = {shown(value)}, which cannot be read")

    def tensor(self, place: int | None = 0, *names: str) -> Value:
        """Return an argument that is a tensor."""
        value = self.get(
            place, *names, "x", "input", "inputs", "tensor", "input_tensor", "features", "images", "value"
        )
        if not isinstance(value, Value):
            self.refuse(f"takes {shown(value)} where only a tensor can be read")
        return value

    def operand(self, place: int, *names: str) -> Value | Constant:
        """Return an argument that is a tensor, a number or an array of numbers."""
        value = self.get(place, *names)
        if isinstance(value, Value | np.ndarray):
            return value
        found = constant(self.spec, value)
        return found if isinstance(found, np.ndarray) else self.spec.finite(found)

    def tensors(self, *names: str) -> list[Value]:
        """Return an argument that is a list of tensors."""
        value = self.get(0, *names)
        if not isinstance(value, list) or not value or not all(isinstance(item, Value) for item in value):
            self.refuse("takes a list of tensors, and no constants among them")
        return value

    def number(self, place: int | None, *names: str, default: Any = _MISSING) -> float:
        value = self.get(place, *names, default=default)
        return self.spec.finite(value)

    def integer(self, place: int | None, *names: str, default: Any = _MISSING) -> int:
        (value,) = self.integers(place, *names, default=default)
        return value

    def integers(self, place: int | None, *names: str, default: Any = _MISSING) -> tuple[int, ...]:
        """Return an argument that is an integer or a list of integers."""
        value = self.get(place, *names, default=default)
        value = value.tolist() if isinstance(value, np.ndarray) and value.ndim <= 1 else value
        items = value if isinstance(value, list) else [value]
        items = [int(item) if isinstance(item, float) and item.is_integer() else item for item in items]
        if not 0 < len(items) <= MAX_AXES or not all(
            type(item) is int and abs(item) < 1 << 40 for item in items
        ):
            self.refuse(f"takes {shown(value)} where only integers can be read")
        return tuple(items)

    def axes(self) -> tuple[int, ...]:
        """Return the axes that are the second argument; without any, those of the samples would be among them."""
        if self.get(1, "axis", "axes", "reduction_indices") is None:
            self.refuse("goes over all axes, with that of the samples")
        return self.integers(1, "axis", "axes", "reduction_indices")

    def flag(self, *names: str) -> bool:
        value = self.get(None, *names, default=False)
        if value is not None and (type(value) not in (bool, int) or value not in (0, 1)):
            self.refuse(f"takes {shown(value)} where only true or false can be read")
        return bool(value)

    def channels_first(self) -> bool:
        value = self.get(None, "data_format", default=None)
        known = {None: False, "channels_last": False, "NHWC": False, "channels_first": True, "NCHW": True}
        if not isinstance(value, str | None) or value not in known:
            self.refuse(f"has data_format = {shown(value)}, expected channels_last or channels_first")
        return known[value]


Operation = Callable[[OperationCall, Steps], Value | list[Value]]
"""Adds the steps of one call, and returns what they give."""


def all_names(names: str, operation: Operation) -> dict[str, Operation]:
    """Return an operation by all its names."""
    return dict.fromkeys(names.split(), operation)
