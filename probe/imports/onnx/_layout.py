"""The inputs of a graph: their open axes, and where the channels of images are."""

from __future__ import annotations

import math

from probe._errors import ModelFileError
from probe.imports._building import Building, Value
from probe.imports.onnx._constants import OPEN_BATCH
from probe.imports.onnx._model import DTYPES, Graph, Input, quoted

__all__ = ["batch_of", "graph_input"]

Shape = tuple[int, ...]

_CHANNELS = (1, 3, 4)
"""Gray, color, and color with transparency."""

_DECISIVE = ("Conv", "MaxPool", "AveragePool", "BatchNormalization", "GlobalAveragePool", "ConvTranspose")
"""Operators whose images have the channels first."""

_PASSING = ("Add", "Cast", "Clip", "Div", "Identity", "Mul", "Pad", "Pow", "Relu", "Sub")
"""Operators that leave images as they are, in front of others."""

_MOST_STEPS = 30


def batch_of(graph: Graph, inputs: list[Input]) -> int:
    """Return the number of samples that the graph is for; `OPEN_BATCH` where it is open."""
    sizes = {shape[0] for one in inputs if (shape := one.shape)}
    fixed = {size for size in sizes if isinstance(size, int) and size > 0}
    if len(fixed) > 1:
        raise ModelFileError(f"its inputs have several numbers of samples, {sorted(fixed)[:4]}")
    return fixed.pop() if fixed else OPEN_BATCH


def graph_input(building: Building, graph: Graph, one: Input, given: Shape | None) -> Value:
    """Return an input of a graph as an input of the network, whose images have the channels last.

    Parameters
    ----------
    building : Building
        Where it becomes an input.
    graph : Graph
        The graph.
    one : Input
        The input.
    given : tuple of int or None
        Shape of one input of the network, as the caller has it.

    Raises
    ------
    ModelFileError
        If it is no array of numbers with an axis of samples, has open axes and nothing is given, or `given` does not
        fit.
    """
    name = quoted(one.name)
    if one.kind not in DTYPES:
        raise ModelFileError(f"the input {name} holds no numbers; an image classifier takes an array")
    if one.shape is not None and len(one.shape) < 2:
        raise ModelFileError(
            f"the input {name} has the shape {_shown(one)}, without an axis of samples in front"
        )
    sizes = (
        None if one.shape is None else tuple(n if isinstance(n, int) and n > 0 else 0 for n in one.shape[1:])
    )
    if sizes is None or 0 in sizes:
        if given is None:
            axes = "no shape" if sizes is None else f"open axes, {_shown(one)}"
            raise ModelFileError(
                f"the input {name} has {axes}; say how large its images are: --input-shape 224,224,3, or "
                "input_shape=(224, 224, 3) in Python"
            )
        sizes = _filled(graph, one, sizes, given)
    if given is not None and math.prod(given) != math.prod(sizes):
        raise ModelFileError(f"the input {name} has the shape {_shown(one)}, and {given} does not fit it")
    if len(sizes) == 3 and not _channels_first(graph, one, sizes):
        return building.input(sizes, one.name, sizes if given is None else given)
    return building.input(sizes, one.name, given)


def _filled(graph: Graph, one: Input, sizes: Shape | None, given: Shape) -> Shape:
    """Return the sizes of an input with those of `given` where they are open."""
    first = (given[-1], *given[:-1]) if len(given) == 3 else (1, *given)
    last = given if len(given) == 3 else (*given, 1)
    candidates = [given] if len(given) != 2 else [given, first, last]
    if len(given) == 3:
        candidates = [first, last] if _channels_first(graph, one, sizes or first) else [last, first]
    candidates.append((math.prod(given),))
    for candidate in candidates:
        if sizes is None or (
            len(sizes) == len(candidate)
            and all(n in (0, wanted) for n, wanted in zip(sizes, candidate, strict=True))
        ):
            return candidate
    raise ModelFileError(
        f"the input {quoted(one.name)} has the shape {_shown(one)}, and {given} does not fit it"
    )


def _shown(one: Input) -> str:
    return f"({', '.join(str(n) or '?' for n in (one.shape or ())[:8])})"[:80]


def _channels_first(graph: Graph, one: Input, sizes: Shape) -> bool:
    """Return whether images have the channels first: by what reads them, else by their shape."""
    readers: dict[str, list[int]] = {}
    for index, node in enumerate(graph.nodes):
        for read in node.inputs[:1]:
            readers.setdefault(read, []).append(index)
    open_ = [one.name]
    for _ in range(_MOST_STEPS):
        if not open_:
            break
        for index in readers.get(open_.pop(0), []):
            node = graph.nodes[index]
            if node.op in _DECISIVE:
                return True
            if node.op == "Transpose":
                return node.integers("perm") not in ([0, 3, 1, 2], [0, 3, 2, 1])
            if node.op in _PASSING:
                open_ += node.outputs[:1]
    return sizes[0] in _CHANNELS or sizes[-1] not in _CHANNELS
