"""Calls of layers and operations: the tensors that they read, and the constants that stand between these.

Keras 3 writes every argument of a call. Keras 2 writes the tensors of the first argument, each with all that is passed by
name beside it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeGuard

import numpy as np

from probe.kerasfile._config import MAX_AXES, LayerSpec
from probe.kerasfile._steps import Value
from probe.layers import Augmentation, Noise
from probe.safeh5 import listed, printable, shown

__all__ = [
    "MAX_INPUTS",
    "MAX_NODES",
    "Arguments",
    "Call",
    "Reference",
    "flattened",
    "is_reference",
    "operation_call",
    "plain_call",
    "reference",
]

MAX_INPUTS = 2000
"""Most tensors that one call reads."""

MAX_NODES = 2000
"""Greatest number of a call, or of an output of one."""

MAX_VALUES = 1 << 20
"""Most numbers of one constant."""

_IGNORED_ARGUMENTS = {"mask": (None,), "training": (None, False)}

_ACTIVE = frozenset(
    [
        "BatchNormalization",
        "BatchNormalizationV1",
        "BatchNormalizationV2",
        "Dropout",
        "RandomCrop",
        "Sequential",
        "Functional",
        "Model",
        *Noise.KINDS,
        *Augmentation.KINDS,
    ]
)
"""Classes that compute something else in training, or may hold such layers."""

_IGNORED_BY_KERAS3 = _IGNORED_ARGUMENTS | {"training": (None, False, True)}
"""At prediction Keras 3 puts the model's own `training` in place of that of a call."""

_CONSTANT = "_CONSTANT_VALUE"
"""What Keras 2 writes in place of a layer where a constant is the first argument."""


class Reference(NamedTuple):
    """A tensor: output `tensor` of the call `node` of the layer `name`."""

    name: str
    node: int
    tensor: int


Call = tuple[Reference, ...]
"""The tensors that one call of a layer reads."""


@dataclass(frozen=True, slots=True)
class Arguments:
    """What an operation is called with: constants, and a `Value` in place of every tensor."""

    by_position: tuple[Any, ...]
    by_name: Mapping[str, Any]


def flattened(value: object, is_leaf: Callable[[object], bool], path: str = "") -> list[tuple[str, Any]]:
    """Return the leaves of nested lists and objects, each with the keys of the objects around it.

    Objects go by their keys in the order of the alphabet, as Keras has them.

    Examples
    --------
    >>> flattened({"b": 1, "a": [2, {"c": 3}]}, lambda value: isinstance(value, int))
    [('a', 2), ('a/c', 3), ('b', 1)]
    """
    if is_leaf(value) or not isinstance(value, list | dict):
        return [(path, value)]
    if isinstance(value, list):
        return [leaf for item in value for leaf in flattened(item, is_leaf, path)]
    inner = ((f"{path}/{key}".lstrip("/"), value[key]) for key in sorted(value))
    return [leaf for key, item in inner for leaf in flattened(item, is_leaf, key)]


def plain_call(spec: LayerSpec, node: object, keys: tuple[str, ...] = ()) -> Call:
    """Return what one of a layer's inbound nodes reads; arguments that could change what it computes are refused.

    Of a model whose inputs have names, `keys`, tensors with the same names are taken, whatever their order.
    """
    is_new = isinstance(node, dict) and "args" in node
    given: Any = node
    if isinstance(node, dict) and is_new:
        arguments = node["args"]
        if not isinstance(arguments, list) or len(arguments) != 1:
            spec.refuse(f"is called with {shown(arguments)}, expected one tensor or one list of tensors")
        _check_arguments(spec, node.get("kwargs"), _IGNORED_BY_KERAS3)
        (given,) = arguments
    elif not isinstance(node, list | dict):
        spec.refuse(f"is called with {shown(node)}, expected a list of [name, node, tensor]")
    is_tensor, read = (_is_described, _keras_tensor) if is_new else (is_reference, reference)
    if isinstance(given, dict) and not is_tensor(given):
        tensors = _by_keys(spec, flattened(given, is_tensor), keys)
    else:
        tensors = given if isinstance(given, list) and not is_tensor(given) else [given]
    reads = [read(spec, tensor) for tensor in tensors]
    for tensor in () if is_new else tensors:
        _check_arguments(spec, tensor[3] if len(tensor) == 4 else {})
    return _counted(spec, reads)


def _is_described(value: object) -> bool:
    """Return whether a value of Keras 3 is no object with names of tensors."""
    return isinstance(value, dict) and "class_name" in value


def _by_keys(spec: LayerSpec, named: list[tuple[str, Any]], keys: tuple[str, ...]) -> list[Any]:
    """Return the tensors that a model is called with by name, in the order of its inputs."""
    found = dict(named)
    if len(found) != len(named) or found.keys() != set(keys):
        spec.refuse(
            f"is called with tensors named {listed(found)}, and takes {listed(keys, none='such without names')}"
        )
    return [found[key] for key in keys]


def operation_call(spec: LayerSpec, node: object) -> tuple[Call, Arguments]:
    """Return what one call of an operation reads, and all that it is called with."""
    reading = _Reading(spec)
    if isinstance(node, dict):
        by_position, by_name = node.get("args"), node.get("kwargs")
        if not isinstance(by_position, list) or not isinstance(by_name, dict):
            spec.refuse(f"is called with {shown(node)}, expected lists of arguments")
        arguments = Arguments(
            tuple(reading.keras3(value) for value in by_position),
            {name: reading.keras3(value) for name, value in by_name.items()},
        )
    else:
        if not isinstance(node, list) or not node:
            spec.refuse(f"is called with {shown(node)}, expected a list of [name, node, tensor]")
        is_one = isinstance(node[0], str)
        tensors = [node] if is_one else node
        first = [reading.tensor_or_constant(tensor) for tensor in tensors]
        kwargs = [tensor[3] for tensor in tensors if len(tensor) == 4]
        named = kwargs[0] if kwargs else {}
        if not isinstance(named, dict) or any(other != named for other in kwargs):
            spec.refuse(f"is called with the arguments {shown(kwargs)}, expected one object")
        arguments = Arguments(
            (first[0] if is_one else first,), {name: reading.keras2(value) for name, value in named.items()}
        )
    return _counted(spec, reading.reads), arguments


@dataclass(slots=True)
class _Reading:
    """The tensors of one call so far."""

    spec: LayerSpec
    reads: list[Reference] = field(default_factory=list)

    def value(self, tensor: Reference) -> Value:
        self.reads.append(tensor)
        return Value(-len(self.reads))

    def tensor_or_constant(self, described: object) -> Any:
        if isinstance(described, list) and len(described) in (3, 4) and described[0] == _CONSTANT:
            return self.keras2(described[2])
        return self.value(reference(self.spec, described))

    def keras2(self, described: object) -> Any:
        if is_reference(described):
            return self.value(reference(self.spec, described))
        if isinstance(described, list):
            return [self.keras2(item) for item in described]
        if isinstance(described, dict):
            if described.get("class_name") == "__ellipsis__":
                return Ellipsis
            if described.keys() == {"start", "stop", "step"}:
                return self.slice(described, self.keras2)
        return described

    def keras3(self, described: object) -> Any:
        if isinstance(described, list):
            return [self.keras3(item) for item in described]
        if not isinstance(described, dict):
            return described
        config = described.get("config")
        settings = config if isinstance(config, dict) else {}
        match described.get("class_name"):
            case "__keras_tensor__":
                return self.value(_keras_tensor(self.spec, described))
            case "__numpy__" | "__tensor__":
                return constant(self.spec, settings.get("value"))
            case "__slice__":
                return self.slice(settings, self.keras3)
            case "__ellipsis__":
                return Ellipsis
        return described

    def slice(self, settings: Mapping[str, Any], read: Callable[[object], Any]) -> slice:
        ends = [read(settings.get(key)) for key in ("start", "stop", "step")]
        if not all(end is None or (type(end) is int and abs(end) < 1 << 62) for end in ends):
            self.spec.refuse(f"takes the part {shown(dict(settings))}, where integers or null can be read")
        return slice(*ends)


def constant(spec: LayerSpec, value: object) -> Any:
    """Return a number as it is and nested lists of numbers as an array; refuse what is neither."""
    shape: list[int] = []
    items: list[Any] = [value]
    while isinstance(items[0], list):
        sizes = {len(item) if isinstance(item, list) else -1 for item in items}
        if len(sizes) != 1 or not items[0] or len(shape) > MAX_AXES or math.prod(shape) > MAX_VALUES:
            spec.refuse("is called with nested lists that are no regular array of numbers")
        shape.append(len(items[0]))
        items = [number for item in items for number in item]
    if not all(type(number) in (int, float, bool) for number in items):
        spec.refuse(f"is called with {shown(value)}, which holds no numbers")
    if not shape:
        return value
    numbers = [spec.finite(number) for number in items]
    return np.array(numbers, np.float64).reshape(shape)


def _counted(spec: LayerSpec, reads: list[Reference]) -> Call:
    if not 0 < len(reads) <= MAX_INPUTS:
        spec.refuse(f"is called with {len(reads)} tensors, expected 1 to {MAX_INPUTS}")
    return tuple(reads)


def is_reference(value: object) -> TypeGuard[list[Any]]:
    """Return whether a value is a tensor as Keras 2 writes it."""
    return isinstance(value, list) and len(value) in (3, 4) and isinstance(value[0], str)


def reference(spec: LayerSpec, value: object) -> Reference:
    """Return the tensor that Keras 2 writes as `value`, or raise."""
    if not is_reference(value) or not all(type(k) is int and 0 <= k <= MAX_NODES for k in value[1:3]):
        spec.refuse(f"refers to a tensor as {shown(value)}, expected [name, node, tensor]")
    return Reference(*value[:3])


def _keras_tensor(spec: LayerSpec, value: object) -> Reference:
    config = value.get("config") if isinstance(value, dict) else None
    if not isinstance(value, dict) or value.get("class_name") != "__keras_tensor__":
        spec.refuse(f"is called with {shown(value)}, which is no tensor of the model")
    return reference(spec, config.get("keras_history") if isinstance(config, dict) else None)


def _check_arguments(
    spec: LayerSpec, arguments: object, ignoring: Mapping[str, tuple[object, ...]] = _IGNORED_ARGUMENTS
) -> None:
    """Refuse arguments of a call that could change what the layer computes."""
    if not isinstance(arguments, dict):
        spec.refuse(f"is called with the arguments {shown(arguments)}, expected an object")
    if spec.class_name not in _ACTIVE:
        ignoring = _IGNORED_BY_KERAS3
    for key, value in arguments.items():
        value = bool(value) if key == "training" and type(value) is int and value in (0, 1) else value
        if not any(value is ignored for ignored in ignoring.get(key, ())):
            spec.refuse(f"is called with {printable(key, 40)} = {shown(value)}, which cannot be read")
