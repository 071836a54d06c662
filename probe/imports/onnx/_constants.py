"""Operators on arrays that are known beforehand: weights that are rearranged, and arithmetic on shapes.

What depends on no input is computed here, once, and what it takes is counted before it is taken.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np

from probe.imports.onnx._model import AnyArray, Node

__all__ = ["FOLDED", "OPEN_BATCH", "Budget", "axes_of", "fold", "slices_of"]

OPEN_BATCH = 2_147_483_647
"""Stands for the number of samples where it is open: a prime that no size of a model is a multiple of."""

GROWTH = 32 << 20
"""What computed arrays may take beyond four times the size of the file, in bytes."""

_TO_NUMPY = {
    1: "f4",
    2: "u1",
    3: "i1",
    5: "i2",
    6: "i4",
    7: "i8",
    9: "?",
    10: "f4",
    11: "f8",
    12: "u4",
    13: "u8",
    16: "f4",
}
"""Types that a Cast makes; half precision becomes float32, as everywhere."""


class Budget:
    """An account of the bytes that computed arrays take, all of them together."""

    def __init__(self, most: int) -> None:
        self.most = self._left = most

    def take(self, node: Node, shape: tuple[int, ...], itemsize: int) -> None:
        """Take what an array takes off the account before it is made, or refuse the node."""
        self._left -= math.prod(shape) * itemsize
        if self._left < 0:
            node.refuse(f"makes a constant of shape {shape}: all together take more than {self.most} bytes")


Arguments = list[AnyArray | None]
Fold = Callable[[Node, Arguments, Budget], AnyArray | list[AnyArray]]


def fold(node: Node, arguments: Arguments, budget: Budget) -> list[AnyArray]:
    """Return what a node makes of arrays; None among `arguments` is one that is left out.

    Raises
    ------
    ModelFileError
        If the arrays do not go together, or the result is too large.
    """
    try:
        with np.errstate(all="ignore"):
            made = FOLDED[node.op](node, arguments, budget)
    except (
        ArithmeticError,
        AttributeError,
        IndexError,
        KeyError,
        TypeError,
        ValueError,
        MemoryError,
    ) as error:
        if type(error).__module__.startswith("probe"):
            raise
        node.refuse(f"gets arrays that do not go together: {str(error)[:120]}")
    node.check_all_asked()
    return made if isinstance(made, list) else [made]


def _constant(node: Node, _: Arguments, budget: Budget) -> AnyArray:
    tensor = node.tensor("value")
    if tensor is not None:
        return tensor.array()
    if node.has("value_float"):
        return np.array(node.real("value_float", 0.0), np.float32)
    if node.has("value_int"):
        return np.array(node.integer("value_int", 0), np.int64)
    if node.has("value_floats"):
        return np.array(node.reals("value_floats"), np.float32)
    if not node.has("value_ints"):
        node.refuse("holds no array of numbers")
    return np.array(node.integers("value_ints"), np.int64)


def _constant_of_shape(node: Node, arguments: Arguments, budget: Budget) -> AnyArray:
    shape = _sizes(_given(arguments))
    tensor = node.tensor("value")
    value = np.zeros(1, np.float32) if tensor is None else tensor.array()
    budget.take(node, shape, value.itemsize)
    return np.full(shape, value.reshape(-1)[0])


def _given(arguments: Arguments, index: int = 0) -> AnyArray:
    """Return an array that must be there."""
    array = arguments[index] if index < len(arguments) else None
    if array is None:
        raise ValueError(f"input {index + 1} is left out")
    return array


def _sizes(array: AnyArray) -> tuple[int, ...]:
    """Return a shape; an open number of samples counts as one, since constants are the same for all."""
    sizes = tuple(1 if int(size) == OPEN_BATCH else int(size) for size in array.reshape(-1))
    if any(size < 0 for size in sizes) or len(sizes) > 32:
        raise ValueError(f"shape {sizes[:8]}")
    return sizes


def _expand(node: Node, arguments: Arguments, budget: Budget) -> AnyArray:
    array = _given(arguments)
    shape = np.broadcast_shapes(array.shape, _sizes(_given(arguments, 1)))
    budget.take(node, shape, array.itemsize)
    return np.broadcast_to(array, shape).copy()


def _tile(node: Node, arguments: Arguments, budget: Budget) -> AnyArray:
    array, counts = _given(arguments), _sizes(_given(arguments, 1))
    budget.take(node, tuple(n * count for n, count in zip(array.shape, counts, strict=True)), array.itemsize)
    return np.tile(array, counts)


def _range(node: Node, arguments: Arguments, budget: Budget) -> AnyArray:
    start, stop, step = (_given(arguments, index).reshape(-1)[0] for index in range(3))
    budget.take(node, (max(0, math.ceil((stop - start) / step)),), start.itemsize)
    return np.arange(start, stop, step).astype(start.dtype)


def _elementwise(function: Callable[..., AnyArray]) -> Fold:
    def folded(node: Node, arguments: Arguments, budget: Budget) -> AnyArray:
        arrays = [one for one in arguments if one is not None]
        shape = np.broadcast_shapes(*(one.shape for one in arrays))
        budget.take(node, shape, 8)
        result = arrays[0] if len(arrays) > 1 else function(arrays[0])
        for other in arrays[1:]:
            result = function(result, other)
        return np.asarray(result)

    return folded


def _divided(first: AnyArray, second: AnyArray) -> AnyArray:
    """Divide as ONNX does: integers towards zero."""
    if first.dtype.kind in "iu" and second.dtype.kind in "iu":
        quotient = np.abs(first) // np.abs(second)
        return np.asarray(quotient * np.sign(first) * np.sign(second)).astype(first.dtype)
    return np.asarray(first / second)


def _mod(node: Node, arguments: Arguments, budget: Budget) -> AnyArray:
    function = np.fmod if node.integer("fmod", 0) else np.mod
    return _elementwise(function)(node, arguments, budget)  # type: ignore[return-value]


def _power(first: AnyArray, second: AnyArray) -> AnyArray:
    if first.dtype.kind in "iu" and np.any(second < 0):
        raise ValueError("an integer to a negative power")
    return np.asarray(np.power(first, second)).astype(first.dtype)


def _where(node: Node, arguments: Arguments, budget: Budget) -> AnyArray:
    condition, first, second = (_given(arguments, index) for index in range(3))
    budget.take(node, np.broadcast_shapes(condition.shape, first.shape, second.shape), first.itemsize)
    return np.where(condition, first, second)


def _cast(node: Node, arguments: Arguments, budget: Budget) -> AnyArray:
    to = node.integer("to", 1)
    node.ignore("saturate")
    if to not in _TO_NUMPY:
        node.refuse(f"makes values of the type {to} of ONNX, which are not read")
    array = _given(arguments)
    if array.dtype != _TO_NUMPY[to]:
        budget.take(node, array.shape, 8)
    return array.astype(_TO_NUMPY[to], copy=False)


def _gather(node: Node, arguments: Arguments, budget: Budget) -> AnyArray:
    array, indices = _given(arguments), _given(arguments, 1)
    axis = node.integer("axis", 0)
    budget.take(node, (indices.size, *array.shape[:axis], *array.shape[axis:][1:]), array.itemsize)
    return np.asarray(np.take(array, indices, axis=axis))


def _concat(node: Node, arguments: Arguments, budget: Budget) -> AnyArray:
    arrays = [one for one in arguments if one is not None]
    budget.take(node, (sum(one.size for one in arrays),), 8)
    return np.concatenate(arrays, node.integer("axis", 1))


def axes_of(node: Node, arguments: Arguments, index: int) -> list[int] | None:
    """Return the axes that a node names, as an attribute or, in newer sets of operators, as an input."""
    axes = node.integers("axes")
    if axes is None and len(arguments) > index and arguments[index] is not None:
        axes = [int(axis) for axis in arguments[index].reshape(-1)]  # type: ignore[union-attr]
    return axes


def _squeeze(node: Node, arguments: Arguments, budget: Budget) -> AnyArray:
    array, axes = _given(arguments), axes_of(node, arguments, 1)
    return np.squeeze(array, None if axes is None else tuple(axes))


def _unsqueeze(node: Node, arguments: Arguments, budget: Budget) -> AnyArray:
    axes = axes_of(node, arguments, 1)
    if axes is None:
        raise ValueError("its axes are left out")
    return np.expand_dims(_given(arguments), tuple(axes))


def _reshape(node: Node, arguments: Arguments, budget: Budget) -> AnyArray:
    array, wanted = _given(arguments), node.integers("shape")
    if wanted is None:
        wanted = [int(size) for size in _given(arguments, 1).reshape(-1)]
    if not node.integer("allowzero", 0):
        wanted = [array.shape[k] if size == 0 else size for k, size in enumerate(wanted)]
    return array.reshape([1 if size == OPEN_BATCH else size for size in wanted])


def _transpose(node: Node, arguments: Arguments, budget: Budget) -> AnyArray:
    return np.transpose(_given(arguments), node.integers("perm"))


def _flatten(node: Node, arguments: Arguments, budget: Budget) -> AnyArray:
    array, axis = _given(arguments), node.integer("axis", 1)
    return array.reshape(math.prod(array.shape[:axis]), -1)


def slices_of(node: Node, arguments: Arguments) -> list[tuple[int, int, int, int]] | None:
    """Return (axis, start, stop, step) of a Slice; None if what it names is not known beforehand."""
    if node.opset < 10:
        starts, ends, axes = (node.integers(name) for name in ("starts", "ends", "axes"))
        steps = None
    else:
        given = [*arguments[1:], None, None, None, None][:4]
        starts, ends, axes, steps = (
            None if one is None else [int(value) for value in one.reshape(-1)] for one in given
        )
    if starts is None or ends is None:
        return None
    axes = list(range(len(starts))) if axes is None else axes
    steps = [1] * len(starts) if steps is None else steps
    return list(zip(axes, starts, ends, steps, strict=True))


def _slice(node: Node, arguments: Arguments, budget: Budget) -> AnyArray:
    array, slices = _given(arguments), slices_of(node, arguments)
    if slices is None:
        raise ValueError("its starts and ends are left out")
    cut = [slice(None)] * array.ndim
    for axis, start, stop, step in slices:
        # Python's slice counts a stop below -n from the start, ONNX clips it.
        ends_before = step < 0 and stop < -array.shape[axis]
        cut[axis] = slice(start, None if ends_before else stop, step)
    return array[tuple(cut)]


def _split(node: Node, arguments: Arguments, budget: Budget) -> list[AnyArray]:
    array, axis = _given(arguments), node.integer("axis", 0)
    sizes = split_sizes(node, arguments, array.shape[axis])
    return np.split(array, np.cumsum(sizes)[:-1].tolist(), axis)


def split_sizes(node: Node, arguments: Arguments, length: int) -> list[int]:
    """Return the lengths of the parts that a Split makes of an axis of a length."""
    sizes = node.integers("split")
    if sizes is None and len(arguments) > 1 and arguments[1] is not None:
        sizes = [int(size) for size in arguments[1].reshape(-1)]
    if sizes is None:
        count = node.integer("num_outputs", len(node.outputs))
        each = -(-length // max(1, count))
        sizes = [min(each, length - k * each) for k in range(count)]
    if sum(sizes) != length or min(sizes, default=0) < 0 or len(sizes) != len(node.outputs):
        node.refuse(f"splits an axis of length {length} into {sizes[:20]}")
    return sizes


def _reduce(function: Callable[..., AnyArray]) -> Fold:
    def folded(node: Node, arguments: Arguments, budget: Budget) -> AnyArray:
        array, axes = arguments[0], axes_of(node, arguments, 1)
        assert array is not None
        if node.integer("noop_with_empty_axes", 0) and not axes:
            return array
        keepdims = bool(node.integer("keepdims", 1))
        result = function(array, axis=tuple(axes) if axes else None, keepdims=keepdims)
        return np.asarray(result).astype(array.dtype)

    return folded


def _matmul(node: Node, arguments: Arguments, budget: Budget) -> AnyArray:
    first, second = _given(arguments), _given(arguments, 1)
    if first.ndim != 2 or second.ndim != 2:
        node.refuse("multiplies constants that are no matrices")
    if first.shape[0] * first.shape[1] * second.shape[1] > 1 << 28:
        node.refuse("multiplies constants that are too large to do it here")
    budget.take(node, (first.shape[0], second.shape[1]), 8)
    return np.asarray(first @ second)


def _shape(node: Node, arguments: Arguments, budget: Budget) -> AnyArray:
    return shape_part(node, _given(arguments).shape)


def shape_part(node: Node, shape: tuple[int, ...]) -> AnyArray:
    """Return what a Shape makes of values of `shape`, with the samples."""
    start, end = node.integer("start", 0), node.integer("end", len(shape))
    return np.array(shape, np.int64)[start:end]


def _size(node: Node, arguments: Arguments, budget: Budget) -> AnyArray:
    return np.array(_given(arguments).size, np.int64)


def _same(node: Node, arguments: Arguments, budget: Budget) -> AnyArray:
    return _given(arguments)


FOLDED: Mapping[str, Fold] = {
    "Abs": _elementwise(np.abs),
    "Add": _elementwise(np.add),
    "And": _elementwise(np.logical_and),
    "Cast": _cast,
    "Ceil": _elementwise(np.ceil),
    "Concat": _concat,
    "Constant": _constant,
    "ConstantOfShape": _constant_of_shape,
    "Div": _elementwise(_divided),
    "Equal": _elementwise(np.equal),
    "Exp": _elementwise(np.exp),
    "Expand": _expand,
    "Flatten": _flatten,
    "Floor": _elementwise(np.floor),
    "Gather": _gather,
    "Greater": _elementwise(np.greater),
    "GreaterOrEqual": _elementwise(np.greater_equal),
    "Identity": _same,
    "Less": _elementwise(np.less),
    "LessOrEqual": _elementwise(np.less_equal),
    "Log": _elementwise(np.log),
    "MatMul": _matmul,
    "Max": _elementwise(np.maximum),
    "Min": _elementwise(np.minimum),
    "Mod": _mod,
    "Mul": _elementwise(np.multiply),
    "Neg": _elementwise(np.negative),
    "Not": _elementwise(np.logical_not),
    "Or": _elementwise(np.logical_or),
    "Pow": _elementwise(_power),
    "Range": _range,
    "Reciprocal": _elementwise(np.reciprocal),
    "ReduceMax": _reduce(np.max),
    "ReduceMean": _reduce(np.mean),
    "ReduceMin": _reduce(np.min),
    "ReduceProd": _reduce(np.prod),
    "ReduceSum": _reduce(np.sum),
    "Reshape": _reshape,
    "Round": _elementwise(np.round),
    "Shape": _shape,
    "Sigmoid": _elementwise(lambda x: 1 / (1 + np.exp(-x))),
    "Size": _size,
    "Slice": _slice,
    "Split": _split,
    "Sqrt": _elementwise(np.sqrt),
    "Squeeze": _squeeze,
    "Sub": _elementwise(np.subtract),
    "Tile": _tile,
    "Transpose": _transpose,
    "Unsqueeze": _unsqueeze,
    "Where": _where,
}
"""What computes each operator on arrays, of every version of the set."""
