"""A graph of operations as both readers give it: that of modules in memory, and that of .pt2 files."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

__all__ = ["Node", "Program", "Reference", "layer_name", "referred", "shown_line"]

_FRAME = re.compile(r'File "([^"]*)", line (\d+), in [^\n]*\n\s*([^\n]*)')

_OF_TORCH = re.compile(r"(site|dist)-packages[/\\]torch[/\\]")

_LEAVES = "torch.nn."
_CONTAINER = "torch.nn.modules.container."


@dataclass(frozen=True, slots=True)
class Reference:
    """What another node, an input or a weight gives, by its name."""

    name: str


@dataclass(frozen=True, slots=True)
class Node:
    """One operation.

    Attributes
    ----------
    name : str
        Name of what it gives: a tensor, or a list that "operator.getitem" takes from.
    target : str
        The operation, such as "aten.conv2d.default" or "operator.getitem".
    arguments : mapping of str to object
        By the names of the operation's schema: references, numbers, text, lists of these, or None; for functions of
        Python in their order.
    path, kind : str
        Path and class of the innermost module, such as "features.0" and "torch.nn.modules.conv.Conv2d".
    line : str
        The line of the user's code, for messages; "" if it is not known.
    """

    name: str
    target: str
    arguments: Mapping[str, object]
    path: str = ""
    kind: str = ""
    line: str = ""


@dataclass(frozen=True, slots=True)
class Program:
    """A graph of operations.

    Attributes
    ----------
    inputs : mapping of str to tuple of int
        Shape of each input by its name, with the samples first.
    constants : mapping of str to ndarray
        Weights and other tensors that depend on no input, by the names that nodes have for them.
    nodes : tuple of Node
        In the order of evaluation.
    outputs : tuple of str
        Names of what it puts out.
    shapes : mapping of str to tuple of (int or None)
        Shapes that values are known to have, with the samples; None for an unknown length.
    batch : int
        How many samples the shapes are for.
    types : mapping of str to str
        Types of values as PyTorch names them, such as "float32", as far as they are known.
    """

    inputs: Mapping[str, tuple[int, ...]]
    constants: Mapping[str, npt.NDArray[np.generic]]
    nodes: tuple[Node, ...]
    outputs: tuple[str, ...]
    shapes: Mapping[str, tuple[int | None, ...]] = field(default_factory=dict)
    batch: int = 1
    types: Mapping[str, str] = field(default_factory=dict)


def referred(argument: object) -> list[str]:
    """Return the names that an argument of an operation refers to."""
    if isinstance(argument, Reference):
        return [argument.name]
    if isinstance(argument, list | tuple):
        return [name for one in argument for name in referred(one)]
    return []


def layer_name(node: Node) -> str:
    """Return a name for the layer that a node becomes: that of its module, or of the operation in it.

    Examples
    --------
    >>> layer_name(Node("x", "aten.conv2d.default", {}, "body.0.conv", "torch.nn.modules.conv.Conv2d"))
    'body/0/conv'
    >>> layer_name(Node("x", "aten.linear.default", {}, "head.3", "torch.nn.modules.linear.Linear"))
    'head/linear_3'
    >>> layer_name(Node("x", "aten.relu_.default", {}, "body.0", "mine.Block"))
    'body/0/relu'
    """
    *parents, own = node.path.split(".")
    if node.path and node.kind.startswith(_LEAVES) and not node.kind.startswith(_CONTAINER):
        own = f"{node.kind.rsplit('.', 1)[-1].lower()}_{own}" if own.isdigit() else own
        return "/".join([*parents, own])
    operation = node.target.split(".")[1].strip("_")
    return "/".join([*parents, own, operation]) if node.path else operation


def shown_line(trace: str) -> str:
    r"""Return the innermost line of a stack trace that is not PyTorch's own, for messages.

    Examples
    --------
    >>> shown_line('File "/home/me/net.py", line 8, in forward\n    return x.cumsum(1)')
    'net.py, line 8 (return x.cumsum(1)),'
    """
    frames = [frame for frame in _FRAME.findall(trace) if not _OF_TORCH.search(frame[0])]
    if not frames:
        return ""
    path, number, code = frames[-1]
    name = path.replace("\\", "/").rsplit("/", 1)[-1]
    return f"{name}, line {number} ({code.strip()[:80]}),"
