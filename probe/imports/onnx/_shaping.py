"""Operators that move, cut, join and reduce values, products with weights, and those of classical machine learning."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Literal

import numpy as np

from probe.imports._building import Value
from probe.imports.onnx._call import Call, Operand
from probe.imports.onnx._constants import OPEN_BATCH, axes_of, shape_part, slices_of, split_sizes

__all__ = ["SHAPING"]

Handler = Callable[[Call], Operand | list[Operand]]


def _matmul(call: Call) -> Operand:
    x, kernel = call.operand(0), call.operand(1)
    if isinstance(x, Value) and isinstance(kernel, Value):
        call.node.refuse(
            "multiplies two values that depend on the image, as attention does, which is not read; "
            "only products with weights are"
        )
    return call.at.dense(call.value(), call.weight(1, 2))


def _gemm(call: Call) -> Operand:
    x, kernel, bias, node = call.value(), call.weight(1, 2), call.constant(2), call.node
    alpha, beta = node.real("alpha", 1.0), node.real("beta", 1.0)
    node.integer("broadcast", 1)
    if node.integer("transA", 0):
        node.refuse("has transA=1, which mixes the samples of a batch")
    if len(x.shape) != 1:
        node.refuse(f"gets values of shape {x.shape}; it takes one axis")
    if node.integer("transB", 0):
        kernel = kernel.T
    if alpha != 1:
        kernel = kernel * kernel.dtype.type(alpha)
    if bias is not None:
        bias = bias if beta == 1 else bias * bias.dtype.type(beta)
        if bias.ndim > 2 or (bias.ndim == 2 and len(bias) != 1) or bias.size not in (1, kernel.shape[1]):
            node.refuse(f"has an input 3 of shape {bias.shape} for {kernel.shape[1]} units")
        bias = np.broadcast_to(bias.reshape(-1), kernel.shape[1:])
    return call.at.dense(x, kernel, bias)


def _reshape(call: Call) -> Operand:
    x, wanted = call.value(), call.node.integers("shape") or call.numbers(1)
    if wanted is None:
        call.node.refuse("lacks its shape")
    full = call.full_shape(x)
    if not call.node.integer("allowzero", 0):
        if any(size == 0 and k >= len(full) for k, size in enumerate(wanted)):
            call.node.refuse(f"makes {wanted} of samples of shape {x.shape}")
        wanted = [full[k] if size == 0 else size for k, size in enumerate(wanted)]
    if len(wanted) > 8 or any(size < -1 or size == 0 for size in wanted) or wanted.count(-1) > 1:
        call.node.refuse(f"makes {wanted[:8]} of samples of shape {x.shape}")
    if len(wanted) == 1 and math.prod(x.shape) == 1:
        # One number for each sample, such as the output of a single unit.
        return x
    if wanted[0] == 1 and full[0] == OPEN_BATCH and -1 not in wanted[1:] and len(wanted) > 1:
        # Written for a single sample: the others are treated alike.
        wanted = [-1, *wanted[1:]]
    return call.at.reshape(x, wanted)


def _flatten(call: Call) -> Operand:
    x, axis = call.value(), call.node.integer("axis", 1)
    if axis % (len(x.shape) + 1) != 1:
        call.node.refuse(f"has axis={axis} for samples of shape {x.shape}, and mixes the samples of a batch")
    return call.at.flatten(x)


def _axes(call: Call) -> list[int] | None:
    call.constant(1)
    return axes_of(call.node, call.values, 1)  # type: ignore[arg-type]


def _squeeze(call: Call) -> Operand:
    x, axes = call.value(), _axes(call)
    if axes is not None and any(call.axis(axis, x) == 0 for axis in axes):
        call.node.refuse("removes the axis of the samples; keep that axis as it is")
    return call.at.squeeze(x, None if axes is None else [call.axis(axis, x) for axis in axes])


def _unsqueeze(call: Call) -> Operand:
    x, axes = call.value(), _axes(call) or []
    n_axes = len(x.shape) + 1 + len(axes)
    if any(not -n_axes <= axis < n_axes for axis in axes):
        call.node.refuse(f"has axes={axes} for samples of shape {x.shape}")
    y: Operand = x
    for axis in sorted(axis % n_axes for axis in axes):
        if axis == 0:
            call.node.refuse("moves the axis of the samples; keep that axis first")
        y = call.at.unsqueeze(y, axis)  # type: ignore[arg-type]
    return y


def _transpose(call: Call) -> Operand:
    x = call.value()
    order = call.node.integers("perm") or list(range(len(x.shape) + 1))[::-1]
    if sorted(order) != list(range(len(x.shape) + 1)):
        call.node.refuse(f"has perm={order[:8]} for samples of shape {x.shape}")
    return call.at.permute(x, order)


def _concat(call: Call) -> Operand:
    axis = call.node.integer("axis", 1)
    if any(not isinstance(value, Value | np.ndarray) for value in call.values):
        call.node.refuse("lacks an input, or joins something that is no value")
    call.check_size(sum(math.prod(v.shape) for v in call.values if isinstance(v, Value)))
    return call.at.concat(call.values, axis)  # type: ignore[arg-type]


def _split(call: Call) -> list[Operand]:
    x = call.value()
    axis = call.axis(call.node.integer("axis", 0), x)
    sizes = split_sizes(
        call.node, [None, *map(call.constant, range(1, len(call.values)))], call.full_shape(x)[axis]
    )
    return list(call.at.split(x, sizes, axis))


def _slice(call: Call) -> Operand:
    x = call.value()
    slices = slices_of(call.node, [None, *map(call.constant, range(1, len(call.values)))])
    if slices is None:
        call.node.refuse("cuts at places that are not known beforehand")
    y: Operand = x
    for axis, start, stop, step in slices:
        index = call.axis(axis, x)
        y = call.at.slice(y, index, start, stop, step)  # type: ignore[arg-type]
    return y


def _gather(call: Call) -> Operand:
    x = call.operand(0)
    if not isinstance(x, Value):
        call.node.refuse("looks values up by the image, as an embedding does, which is not read")
    chosen = call.weight(1)
    axis = call.axis(call.node.integer("axis", 0), x)
    n = call.full_shape(x)[axis]
    if chosen.size and not -n <= chosen.min() <= chosen.max() < n:
        call.node.refuse(f"picks indices outside of an axis of length {n}")
    if chosen.ndim == 0:
        return call.at.select(x, axis, int(chosen))
    if chosen.ndim != 1 or not chosen.size:
        call.node.refuse(
            f"picks an array of indices of shape {chosen.shape}; only one or a list of them is read"
        )
    call.check_size(math.prod(x.shape) // n * chosen.size)
    return call.at.take(x, axis, chosen.tolist())


def _expand(call: Call) -> Operand:
    x, sizes = call.value(), call.numbers(1)
    full = call.full_shape(x)
    if sizes is None or len(sizes) > len(full):
        call.node.refuse(f"makes {sizes} of samples of shape {x.shape}")
    sizes = [1] * (len(full) - len(sizes)) + sizes
    wanted = [n if size in (1, n) else size for n, size in zip(full, sizes, strict=True)]
    if any(n not in (1, size) for n, size in zip(full[1:], wanted[1:], strict=True)) or min(wanted) < 1:
        call.node.refuse(f"makes {sizes} of samples of shape {x.shape}")
    call.check_size(*wanted[1:])
    return call.at.expand(x, wanted)


def _reduce(kind: Literal["mean", "sum", "max", "min"]) -> Handler:
    return lambda call: _reduced(call, call.value(), kind)


def _reduced(call: Call, x: Value, kind: Literal["mean", "sum", "max", "min"]) -> Operand:
    axes = _axes(call)
    keepdims = bool(call.node.integer("keepdims", 1))
    is_noop = call.node.integer("noop_with_empty_axes", 0)
    if not axes:
        if is_noop:
            return x
        call.node.refuse("reduces over the axis of the samples too; name the other axes")
    return call.at.reduce(x, kind, [call.axis(axis, x) for axis in axes], keepdims)


def _norm(call: Call) -> Operand:
    """Return the root of the sum of squares, the sum of squares, or the sum of absolute values."""
    bent = call.at.elementwise(call.value(), "abs" if call.node.op == "ReduceL1" else "square")
    total = _reduced(call, bent, "sum")  # type: ignore[arg-type]
    return call.at.elementwise(total, "sqrt") if call.node.op == "ReduceL2" else total  # type: ignore[arg-type]


def _shape(call: Call) -> Operand:
    return shape_part(call.node, call.full_shape(call.value()))


def _size(call: Call) -> Operand:
    return np.array(math.prod(call.full_shape(call.value())), np.int64)


def _scaler(call: Call) -> Operand:
    """Return (x - offset) * scale, as scikit-learn's scalers do."""
    offset, scale = (
        np.array(call.node.reals(name) or [default], np.float32)
        for name, default in (("offset", 0), ("scale", 1))
    )
    return call.at.binary("multiply", call.at.binary("subtract", call.value(), offset), scale)


SHAPING: Mapping[str, Handler] = {
    "Concat": _concat,
    "Expand": _expand,
    "Flatten": _flatten,
    "Gather": _gather,
    "Gemm": _gemm,
    "MatMul": _matmul,
    "ReduceL1": _norm,
    "ReduceL2": _norm,
    "ReduceMax": _reduce("max"),
    "ReduceMean": _reduce("mean"),
    "ReduceMin": _reduce("min"),
    "ReduceSum": _reduce("sum"),
    "ReduceSumSquare": _norm,
    "Reshape": _reshape,
    "Shape": _shape,
    "Size": _size,
    "Slice": _slice,
    "Split": _split,
    "Squeeze": _squeeze,
    "Transpose": _transpose,
    "Unsqueeze": _unsqueeze,
    "ai.onnx.ml.Scaler": _scaler,
}
"""What makes layers of each operator, of every version of the set."""
