"""What aten operations compute of constants alone, such as weights that are normalized or masked, in NumPy."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from probe._checks import Array

__all__ = ["CONSTANTS", "NUMBERS"]


def sizes_made(operation: str, arguments: Mapping[str, Any]) -> Sequence[int]:
    """Return sizes whose product is no less than the values that an operation makes of constants."""
    if operation == "arange":
        start, end, step = (arguments.get(key) for key in ("start", "end", "step"))
        n_steps = (start or 0) if end is None else (end - (start or 0)) / (step or 1)
        return [math.ceil(abs(n_steps)) + 1]
    if "size" in arguments:
        return [max(0, n) for n in arguments["size"]]
    if operation in ("repeat", "tile"):
        times = arguments.get("repeats") or arguments.get("dims") or ()
        return [np.size(arguments["x"]), *(max(0, n) for n in times)]
    arrays = [one for value in arguments.values() for one in (value if isinstance(value, list) else [value])]
    shapes = [one.shape for one in arrays if isinstance(one, np.ndarray)]
    if operation in ("cat", "concat", "stack", "index", "index_select"):
        return [sum(map(math.prod, shapes))]
    if operation in ("mm", "matmul", "mv", "dot", "vdot", "inner", "linear", "addmm"):
        return [math.prod(shape) // max(1, min(shape[-2:], default=1)) for shape in shapes]
    return np.broadcast_shapes(*shapes)


def _filled(size: Sequence[int], fill_value: Any) -> Array:
    shape = tuple(int(n) for n in size)
    return np.full(shape, fill_value, np.float32)


def _arange(start: float = 0, end: float | None = None, step: float = 1) -> Array:
    start, end = (0, start) if end is None else (start, end)
    return np.arange(start, end, step)


def _norm_except(v: Array, dim: int) -> Array:
    axes = tuple(axis for axis in range(v.ndim) if axis != dim % v.ndim) if dim != -1 else None
    return np.asarray(np.sqrt((v * v).sum(axis=axes, keepdims=True)))


def _weight_norm(v: Array, g: Array, dim: int = 0) -> Array:
    return v * (g / _norm_except(v, dim))


def _weight_norm_interface(v: Array, g: Array, dim: int = 0) -> list[Any]:
    return [_weight_norm(v, g, dim), _norm_except(v, dim)]


def _dot(
    x: Array, other: Any = None, tensor: Any = None, vec: Any = None, mat2: Any = None, vec2: Any = None
) -> Array:
    factor = next(one for one in (other, tensor, vec, mat2, vec2) if one is not None)
    return np.asarray(x @ factor)


def _index(x: Any, indices: Sequence[Any]) -> Array:
    return np.asarray(x[tuple(slice(None) if one is None else one for one in indices)])


CONSTANTS: Mapping[str, Callable[..., Any]] = {
    "_weight_norm": _weight_norm,
    "_weight_norm_interface": _weight_norm_interface,
    **dict.fromkeys(("mv", "dot", "vdot", "mm", "matmul", "inner"), _dot),
    "full": _filled,
    "zeros": lambda size: _filled(size, 0),
    "ones": lambda size: _filled(size, 1),
    "new_zeros": lambda x, size: _filled(size, 0),
    "new_ones": lambda x, size: _filled(size, 1),
    "new_full": lambda x, size, fill_value: _filled(size, fill_value),
    "zeros_like": np.zeros_like,
    "ones_like": np.ones_like,
    "scalar_tensor": lambda s: np.asarray(s, np.float32),
    "arange": _arange,
    "index": _index,
    "sign": np.sign,
    "cos": np.cos,
    "sin": np.sin,
    "eq": lambda x, other: np.asarray(x == other),
    "ne": lambda x, other: np.asarray(x != other),
    "gt": lambda x, other: np.asarray(x > other),
    "ge": lambda x, other: np.asarray(x >= other),
    "lt": lambda x, other: np.asarray(x < other),
    "le": lambda x, other: np.asarray(x <= other),
    "where": np.where,
    "item": lambda x: np.asarray(x).item(),
}
"""By the names of the operations, with the arguments of their schemas, as in `OPERATIONS`."""

NUMBERS: Mapping[str, Callable[..., Any]] = {
    "getitem": operator.getitem,
    "add": operator.add,
    "sub": operator.sub,
    "mul": operator.mul,
    "floordiv": operator.floordiv,
    "truediv": operator.truediv,
    "mod": operator.mod,
    "neg": operator.neg,
    **{name: getattr(operator, name) for name in ("eq", "ne", "lt", "le", "gt", "ge")},
}
"""What programs compute of sizes, and take from lists."""
