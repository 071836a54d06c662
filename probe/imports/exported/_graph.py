"""The graph of an exported program, from JSON that may come from anybody."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from probe._errors import ModelFileError, printable
from probe.imports.exported._program import Node, Program, Reference, referred, shown_line
from probe.safeh5 import shown

__all__ = ["Graph", "parsed_graph"]

_NAME = re.compile(r"\w{1,200}", re.ASCII)

_OPEN_BATCH = 2
"""How many samples stand for any number."""

_MOST_NODES = 20_000
_MOST_SIZE = 1 << 28

_TYPES = {
    1: "uint8", 2: "int8", 3: "int16", 4: "int32", 5: "int64", 6: "float16", 7: "float32", 8: "float64", 12: "bool",
    13: "bfloat16", 28: "uint16",
}  # fmt: skip
"""Types of tensors by their numbers."""

_FLOATS = {"Infinity": math.inf, "-Infinity": -math.inf, "NaN": math.nan}

_WEIGHTS = {
    "parameter": ("parameter_name", "weights"),
    "buffer": ("buffer_name", "weights"),
    "tensor_constant": ("tensor_constant_name", "constants"),
}


@dataclass(frozen=True, slots=True)
class Graph:
    """A program whose weights are not read yet.

    Attributes
    ----------
    weights : mapping of str to tuple of str
        For the graph's inputs that are weights, and that it reads, their names in the module, and "weights" or "constants".
    state_shapes : mapping of str to tuple of int
        Shapes of the module's `state_dict`, by name.
    bare : Program
        The program without weights.
    """

    weights: Mapping[str, tuple[str, str]]
    state_shapes: Mapping[str, tuple[int, ...]]
    bare: Program

    def program(self, constants: Mapping[str, npt.NDArray[np.generic]]) -> Program:
        """Return the program with its weights."""
        bare = self.bare
        return replace(bare, constants=constants)


def parsed_graph(described: Any, input_shape: tuple[int, ...] | None = None) -> Graph:
    """Return the graph that JSON describes, or raise; `input_shape` (with the channels last) fills open sizes."""
    module = _entry(described, "graph_module", dict)
    graph, signature = _entry(module, "graph", dict), _entry(module, "signature", dict)
    tensors = _entry(graph, "tensor_values", dict)
    shapes = {
        _name(name): tuple(_size(one) for one in _entry(meta, "sizes", list))
        for name, meta in tensors.items()
    }
    types = {name: _TYPES.get(_entry(meta, "dtype", int), "?") for name, meta in tensors.items()}
    weights, inputs, states = dict[str, tuple[str, str]](), list[str](), dict[str, tuple[int, ...]]()
    for spec in _entry(signature, "input_specs", list):
        kind, said = _single(spec)
        if kind in _WEIGHTS:
            key, where = _WEIGHTS[kind]
            name, own = _entry(said, key, str), _name(_entry(_entry(said, "arg", dict), "name", str))
            weights[own] = name, where
            if kind == "parameter" or (kind == "buffer" and said.get("persistent", True)):
                states[name] = tuple(size or 0 for size in shapes.get(own, ()))
        elif kind == "user_input":
            arg_kind, arg = _single(_entry(said, "arg", dict))
            if arg_kind == "as_tensor":
                inputs.append(_name(_entry(arg, "name", str)))
        else:
            raise ModelFileError(f"has an input of kind {shown(kind)}; only tensors are taken over")
    outputs = []
    for spec in _entry(signature, "output_specs", list):
        kind, said = _single(spec)
        if kind == "user_output":
            arg_kind, arg = _single(_entry(said, "arg", dict))
            if arg_kind == "as_tensor":
                outputs.append(_name(_entry(arg, "name", str)))
    described_nodes = _entry(graph, "nodes", list)
    if len(described_nodes) > _MOST_NODES:
        raise ModelFileError(
            f"has {len(described_nodes)} operations, more than the {_MOST_NODES} that are read"
        )
    nodes = tuple(node for one in described_nodes for node in _nodes(one))
    read = {name for node in nodes for name in referred(list(node.arguments.values()))} | set(outputs)
    weights = {own: said for own, said in weights.items() if own in read}
    batch, sized = _sized(inputs, shapes, input_shape)
    return Graph(weights, states, Program(sized, {}, nodes, tuple(outputs), shapes, batch, types))


def _sized(
    inputs: list[str], shapes: Mapping[str, tuple[int | None, ...]], input_shape: tuple[int, ...] | None
) -> tuple[int, dict[str, tuple[int, ...]]]:
    """Return the number of samples, and the shapes of the inputs with open sizes filled."""
    sized = dict[str, tuple[int, ...]]()
    firsts = {shapes[name][0] for name in inputs if shapes.get(name)} or {1}
    batch = next(iter(firsts - {None}), _OPEN_BATCH)
    assert batch is not None
    for name in inputs:
        shape = shapes.get(name, ())
        rest = shape[1:]
        if None in rest and input_shape is not None and len(input_shape) == len(rest) and len(inputs) == 1:
            wanted = (input_shape[-1], *input_shape[:-1]) if len(input_shape) == 3 else input_shape
            if all(size in (None, given) for size, given in zip(rest, wanted, strict=True)):
                rest = wanted
        if None in rest:
            raise ModelFileError(
                f"input '{name}' leaves sizes open, {tuple('?' if size is None else size for size in shape)}; pass "
                "--input-shape HEIGHT,WIDTH,CHANNELS, or export it with sizes that are fixed"
            )
        sized[name] = (batch, *(size or 0 for size in rest))
    return batch, sized


def _nodes(described: Any) -> Iterator[Node]:
    """Give an operation, and what takes single results from one that gives several."""
    target = _entry(described, "target", str).removeprefix("torch.ops.").removeprefix("_")
    if not re.fullmatch(r"\w+(\.\w+)+", target, re.ASCII) or len(target) > 200:
        raise ModelFileError(f"has an operation {shown(target)}, which is no name of one")
    metadata = described.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    arguments = {}
    for index, one in enumerate(_entry(described, "inputs", list)):
        name = one.get("name") if isinstance(one, dict) else None
        arguments[name if isinstance(name, str) and name else str(index)] = _argument(
            _entry(one, "arg", dict)
        )
    results = _entry(described, "outputs", list)
    path, kind = _module(metadata.get("nn_module_stack"))
    trace = metadata.get("stack_trace")
    line = printable(shown_line(trace[-8000:]), 150) if isinstance(trace, str) else ""
    names = [name for one in results for name in _results(one)]
    single = len(results) == 1 and "as_tensors" not in results[0] and len(names) == 1
    name = names[0] if single else f"{'+'.join(map(str, names[:1]))}+"
    yield Node(name, target, arguments, path, kind, line)
    if not single:
        for index, one in enumerate(names):
            if one is not None:
                yield Node(one, "operator.getitem", {"0": Reference(name), "1": index}, path, kind, line)


def _results(described: Any) -> list[str]:
    """Return the names of what an operation gives."""
    kind, said = _single(described)
    if kind == "as_tensors" and isinstance(said, list):
        return [_name(_entry(one, "name", str)) for one in said]
    if kind in ("as_sym_int", "as_sym_float", "as_sym_bool"):
        return [_name(_entry(said, "as_name", str))]
    return [_name(_entry(said, "name", str))] if isinstance(said, dict) and "name" in said else ["none"]


def _module(stack: Any) -> tuple[str, str]:
    """Return path and class of the innermost module."""
    if not isinstance(stack, str):
        return "", ""
    *_, path, kind = ["", "", *stack.rsplit(";", 1)[-1].split(",")]
    if not re.fullmatch(r"(\w+(\.\w+)*)?", path, re.ASCII) or path.startswith("_empty_") or len(path) > 200:
        return "", ""
    return path, kind[:200]


def _argument(described: Mapping[str, Any]) -> Any:
    """Return an argument of an operation: a reference, a number, text, a list of these, or None."""
    kind, said = _single(described)
    match kind:
        case "as_none":
            return None
        case "as_tensor" | "as_tensors" | "as_nested_tensors":
            return _references(said)
        case "as_optional_tensor":
            return _argument(said)
        case "as_optional_tensors" | "as_sym_ints" | "as_sym_floats" | "as_sym_bools" if isinstance(
            said, list
        ):
            return [_argument(one) for one in said]
        case "as_sym_int" | "as_sym_float" | "as_sym_bool" if isinstance(said, dict):
            return _argument(said)
        case "as_name" if isinstance(said, str):
            return Reference(_name(said))
        case "as_float":
            return _FLOATS.get(said, said) if isinstance(said, str) else said
    # Integers and the like are what they are; of a device or a graph no operation here takes anything.
    return said if isinstance(said, bool | int | float | str | list) else str(kind)


def _references(said: Any) -> Any:
    if isinstance(said, list):
        return [_references(one) for one in said]
    return Reference(_name(_entry(said, "name", str)))


def _entry(described: Any, key: str, kind: type) -> Any:
    value = described.get(key) if isinstance(described, dict) else None
    if not isinstance(value, kind):
        raise ModelFileError(f"has a graph without {key}, as torch.export.save writes it")
    return value


def _single(described: Any) -> tuple[str, Any]:
    """Return the only key of a mapping and its value."""
    if not isinstance(described, dict) or len(described) != 1:
        raise ModelFileError(f"has {shown(described)} in its graph, expected one kind of entry")
    return next(iter(described.items()))


def _name(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ModelFileError(f"has a value called {shown(name)}, which is no name of one")
    return name


def _size(described: Any) -> int | None:
    kind, said = _single(described)
    if kind != "as_int":
        return None
    if type(said) is not int or not 0 <= said <= _MOST_SIZE:
        raise ModelFileError(f"has a size of {shown(said)} in its graph")
    return said
