"""From a graph of aten operations to a network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from probe._checks import InputError
from probe.imports._building import Building, Operations, Value
from probe.imports.exported._aten import EXACT, OPERATIONS
from probe.imports.exported._constants import CONSTANTS, NUMBERS, sizes_made
from probe.imports.exported._merging import merged
from probe.imports.exported._program import Node, Program, Reference, layer_name, referred
from probe.network import Network

__all__ = ["translated"]

_OF_NO_EFFECT = frozenset(
    {
        "device",
        "dtype",
        "generator",
        "implicit",
        "layout",
        "memory_format",
        "non_blocking",
        "pin_memory",
        "copy",
    }
)
"""Arguments that say how, and not what."""

_REALS, _HALVES = ("float32", "float64"), ("float16", "bfloat16")
"""Types of real numbers, as PyTorch names them."""

_MOST_NUMBER = 1 << 62
"""Sizes are integers of 64 bits."""

_GROWTH = 1 << 22
"""Values of computed constants that any program may have: 16 MiB in float32."""

_CHECKS = frozenset(
    {
        "_assert_async",
        "_assert_scalar",
        "_assert_tensor_metadata",
        "sym_constrain_range",
        "sym_constrain_range_for_size",
    }
)
"""Operations that give nothing."""

_VIEWS = frozenset(
    [
        "alias",
        "chunk",
        "detach",
        "expand",
        "expand_as",
        "flatten",
        "narrow",
        "permute",
        "reshape",
        "select",
        "slice",
        "split",
        "split_with_sizes",
        "squeeze",
        "t",
        "transpose",
        "unbind",
        "unflatten",
        "unsqueeze",
        "view",
        "view_as",
        "getitem",
    ]
)
"""Operations whose results may share their memory with what they read."""


def translated(
    program: Program,
    source: str,
    class_names: tuple[str, ...] = (),
    given: Mapping[str, tuple[int, ...]] | None = None,
) -> Network:
    """Return the network of a program.

    Parameters
    ----------
    program : Program
        The graph.
    source : str
        What errors call it: the name of a file, or "module".
    class_names : tuple of str
        Names of the classes; () for none.
    given : mapping of str to tuple of int, optional
        For inputs by name the shape that the network takes, where it is not that with the channels last.

    Raises
    ------
    InputError
        If an operation is not known, or not as it is used; the message names it, its line and what to do.
    """
    kinds = [values.dtype for values in program.constants.values() if values.dtype.kind == "f"]
    dtype = np.float64 if np.dtype(np.float64) in kinds else np.float32
    # What a program computes beforehand may grow, but not beyond its weights.
    budget = _GROWTH + 4 * sum(one.size for one in program.constants.values())
    building = Building(source, batch=program.batch, dtype=dtype, budget=budget)
    values: dict[str, Any] = dict(program.constants)
    for name, shape in program.inputs.items():
        if len(shape) < 2 or 0 in shape:
            raise InputError(
                f"{source}: input '{name}' has shape {shape}, expected samples first and values after them"
            )
        if shape[0] != program.batch:
            raise InputError(
                f"{source}: input '{name}' has {shape[0]} samples, another input {program.batch}"
            )
        values[name] = building.input(shape[1:], name, (given or {}).get(name))
    nodes = merged(program.nodes)
    changes = _Changes(nodes, program.outputs)
    for index, node in enumerate(nodes):
        place = building.at(layer_name(node), node.target.removesuffix(".default"), node.line)
        result = _result(place, node, values)
        values[node.name] = result
        _check_shape(place, result, program.shapes.get(node.name))
        if isinstance(result, Value):
            read = [name for name in referred(list(node.arguments.values())) if _has_value(values[name])]
            _check_type(place, node, program.types, read)
        changed = changes.at(index, node, place)
        if changed is not None:
            values[changed] = result
    outputs = [values[name] for name in program.outputs if name in values]
    known = [value for value in outputs if isinstance(value, Value)]
    if not known or len(known) != len(program.outputs):
        raise InputError(f"{source}: an output depends on no input; return what is computed from the inputs")
    return building.finish([place_of_output(building, value) for value in known], class_names)


def place_of_output(building: Building, value: Value) -> Value:
    """Return an output without axes that are repeated only in name."""
    return building.at("output", "output").solid(value)


def _result(place: Operations, node: Node, values: Mapping[str, Any]) -> Any:
    """Return what a node gives: a value, a constant, a number, or a list of these."""
    library, _, *overload = node.target.split(".")
    operation = _operation(node)
    try:
        arguments = {
            "x" if name in ("self", "input") else name: _resolved(argument, values)
            for name, argument in node.arguments.items()
            if name not in _OF_NO_EFFECT
        }
    except KeyError as error:
        place.refuse(f"reads {error}, which nothing before it gives")
    if operation in _CHECKS:
        return None
    if library == "operator" and operation in NUMBERS:
        try:
            return _number(operation, list(arguments.values()))
        except (ArithmeticError, LookupError, TypeError) as error:
            place.refuse(f"cannot be computed: {str(error)[:200]}")
    names = (f"{operation}.{'.'.join(overload)}", operation)
    is_constant = not any(_has_value(argument) for argument in arguments.values())
    tables = (CONSTANTS, OPERATIONS) if is_constant else (OPERATIONS,)
    found = next((table[name] for table in tables for name in names if name in table), None)
    if library not in ("aten", "operator", "probe") or found is None:
        place.refuse(
            "cannot be taken over",
            "write it with other operations, or pass the part of the network in front of it",
        )
    try:
        with np.errstate(all="ignore"):
            if not is_constant:
                return found(place, **arguments)
            place.building.reserve(*sizes_made(operation, arguments))
            return (
                found(**arguments) if any(name in CONSTANTS for name in names) else found(place, **arguments)
            )
    except InputError as error:
        if str(error).startswith(f"{place.building.source}: "):
            raise
        place.refuse(f"cannot be taken over: {error}")
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, AssertionError) as error:
        place.refuse(f"has arguments that cannot be taken over: {str(error)[:200]}")


def _operation(node: Node) -> str:
    """Return what a node does, without the mark of writing over what it reads."""
    operation = node.target.split(".")[1]
    return operation if operation.startswith("__") else operation.removesuffix("_")


def _number(operation: str, arguments: Sequence[Any]) -> Any:
    """Return what an operator of Python gives for numbers, or takes from a list."""
    if operation != "getitem" and not all(isinstance(one, int | float) for one in arguments):
        raise TypeError("it takes numbers")
    result = NUMBERS[operation](*arguments)
    if isinstance(result, int) and abs(result) > _MOST_NUMBER:
        raise OverflowError("the result has more than 62 bits")
    return result


def _resolved(argument: object, values: Mapping[str, Any]) -> Any:
    if isinstance(argument, Reference):
        return values[argument.name]
    if isinstance(argument, list | tuple):
        return [_resolved(one, values) for one in argument]
    return argument


def _has_value(argument: object) -> bool:
    if isinstance(argument, list | tuple):
        return any(map(_has_value, argument))
    return isinstance(argument, Value)


def _check_shape(place: Operations, value: object, wanted: tuple[int | None, ...] | None) -> None:
    """Raise if what was built has another shape than the program says."""
    if wanted is None or not isinstance(value, Value | np.ndarray):
        return
    found = value.shape
    if isinstance(value, Value):
        found = (place.building.batch, *(value.repeated or value.shape))
    if len(found) != len(wanted) or any(
        size not in (None, got) for size, got in zip(wanted, found, strict=True)
    ):
        place.refuse(f"gives values of shape {wanted}, but what was taken over gives {found}")


def _check_type(place: Operations, node: Node, types: Mapping[str, str], read: Sequence[str]) -> None:
    """Raise if a node computes in a type whose results differ from those in real numbers; `read` depends on inputs."""
    made, known = types.get(node.name, "float32"), {types.get(name, "float32") for name in read}
    if made in _REALS or (made in _HALVES and not known.intersection(_REALS)):
        return
    if made in _HALVES:
        place.refuse(f"rounds values that depend on the input to {made}", "keep them float32")
    if known.intersection((*_REALS, *_HALVES)):
        place.refuse("makes integers or truth values of values that depend on the input", "keep them real")
    if _operation(node) not in EXACT:
        place.refuse(
            f"computes in {made}, whose results wrap around or are cut off",
            "convert the input first, as in x.float()",
        )


class _Changes:
    """Which operations write over what they read, and whether anything else would see it."""

    def __init__(self, nodes: Sequence[Node], outputs: Sequence[str]) -> None:
        self._root: dict[str, str] = {}
        self._relatives: dict[str, set[str]] = {}
        self._defined = {node.name: index for index, node in enumerate(nodes)}
        self._last_read: dict[str, int] = dict.fromkeys(outputs, len(nodes))
        for index, node in enumerate(nodes):
            read = referred(list(node.arguments.values()))
            for name in read:
                self._last_read[name] = max(index, self._last_read.get(name, -1))
            operation = node.target.split(".")[1]
            if read and (operation in _VIEWS or _writes(operation)):
                root = self._root.get(read[0], read[0])
                self._root[node.name] = root
                self._relatives.setdefault(root, {root}).add(node.name)

    def at(self, index: int, node: Node, place: Operations) -> str | None:
        """Return the name of what a node writes over; None if it writes nothing."""
        if not _writes(node.target.split(".")[1]):
            return None
        (changed, *_) = referred(list(node.arguments.values())) or ("",)
        root = self._root.get(changed, changed)
        for name in self._relatives.get(root, {root}) - {changed, node.name}:
            if self._defined.get(name, -1) < index < self._last_read.get(name, -1):
                place.refuse(
                    "writes over values that are read elsewhere as well",
                    "use the operation that returns a new tensor",
                )
        return changed


def _writes(operation: str) -> bool:
    return operation.endswith("_") and not operation.startswith("__")
