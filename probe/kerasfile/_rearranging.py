"""Operations on tensors that move values: shapes, parts, joins, margins, sizes and pools of images."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from probe._errors import InputError
from probe.kerasfile._called import Operation, OperationCall, all_names
from probe.kerasfile._config import MAX_AXES, Shape
from probe.kerasfile._steps import Steps, Value
from probe.layers import AveragePooling2D, Flatten, Layer, MaxPooling2D, Pad, Resizing
from probe.safeh5 import printable, shown

__all__ = ["REARRANGING"]


def _concatenated(call: OperationCall, steps: Steps) -> Value:
    return steps.joined(call.tensors("values", "xs"), call.integer(1, "axis", default=0))


def _stacked(call: OperationCall, steps: Steps) -> Value:
    xs, axis = call.tensors("values", "xs", "x"), call.integer(1, "axis", default=0)
    return steps.joined([steps.expanded(x, axis) for x in xs], axis)


def _reshaped(call: OperationCall, steps: Steps) -> Value:
    x, value = call.tensor(0), call.get(1, "newshape", "shape", "target_shape")
    sizes = value.tolist() if isinstance(value, np.ndarray) else value
    items = [-1 if size is None else size for size in sizes] if isinstance(sizes, list) else []
    items = [int(size) if isinstance(size, float) and size.is_integer() else size for size in items]
    is_known = all(type(size) is int and (size == -1 or 0 < size < 1 << 40) for size in items)
    if not 1 < len(items) <= MAX_AXES or not is_known or items[0] != -1:
        call.refuse(f"has the shape {shown(sizes)}, where -1 or null for the samples and sizes can be read")

    def target(shape: Shape) -> Shape:
        rest = tuple(items[1:])
        if -1 not in rest and math.prod(rest) != math.prod(shape):
            raise InputError(f"a shape of {rest} mixes samples of shape {shape}, which cannot be read")
        return rest

    return steps.reshaped(x, target)


def _transposed(call: OperationCall, steps: Steps) -> Value:
    x = call.tensor(0, "a")
    if call.get(1, "axes", "perm", default=None) is None:
        call.refuse("turns the axis of the samples around with all others")
    axes = call.integers(1, "axes", "perm")
    return steps.permuted(x, lambda rank: [axis % rank if -rank <= axis < rank else -1 for axis in axes])


def _swapped(call: OperationCall, steps: Steps) -> Value:
    x, first, second = call.tensor(0), call.integer(1, "axis1"), call.integer(2, "axis2")

    def order(rank: int) -> list[int]:
        axes = list(range(rank))
        axes[first], axes[second] = axes[second], axes[first]
        return axes

    return steps.permuted(x, partial(_in_range, order))


def _moved(call: OperationCall, steps: Steps) -> Value:
    x, source, target = call.tensor(0), call.integers(1, "source"), call.integers(2, "destination")

    def order(rank: int) -> list[int]:
        sizes = np.moveaxis(np.broadcast_to(0, tuple(range(1, rank + 1))), source, target).shape
        return [size - 1 for size in sizes]

    return steps.permuted(x, partial(_in_range, order))


def _in_range(order: Callable[[int], list[int]], rank: int) -> list[int]:
    try:
        return order(rank)
    except (IndexError, ValueError):
        raise InputError(f"axes are named that tensors of {rank} axes lack") from None


def _expanded(call: OperationCall, steps: Steps) -> Value:
    return steps.expanded(call.tensor(0), call.integer(1, "axis"))


def _squeezed(call: OperationCall, steps: Steps) -> Value:
    x, axis = call.tensor(0), call.get(1, "axis", "squeeze_dims", default=None)
    axes = None if axis is None or axis == [] else call.integers(1, "axis", "squeeze_dims")

    def target(shape: Shape) -> Shape:
        rank = len(shape) + 1
        gone = {index for index, size in enumerate(shape, 1) if size == 1}
        gone = gone if axes is None else {index % rank for index in axes}
        if not gone.issubset({index for index, size in enumerate(shape, 1) if size == 1}):
            raise InputError(f"axes {axes} of inputs of shape {shape} are not all of length 1")
        return tuple(size for index, size in enumerate(shape, 1) if index not in gone)

    return steps.reshaped(x, target)


def _item(call: OperationCall, steps: Steps) -> Value:
    x, key = call.tensor(0), call.get(1, "key", "slice_spec")
    return _item_of(steps, x, key if isinstance(key, list) else [key])


def _item_of(steps: Steps, x: Value, key: list[Any]) -> Value:
    """Add x[key], for slices, integers, an Ellipsis and None."""
    known = all(
        part is None or part is Ellipsis or type(part) is int or isinstance(part, slice) for part in key
    )
    if not known or key.count(Ellipsis) > 1 or len(key) > MAX_AXES:
        raise InputError(f"takes the part {shown(key)}, where only slices and integers can be read")
    if any(isinstance(part, slice) and part.step == 0 for part in key):
        raise InputError("takes a part with steps of 0")

    def full(rank: int) -> list[Any]:
        taken = sum(part is not None and part is not Ellipsis for part in key)
        if taken > rank:
            raise InputError(f"the part {shown(key)} is of more axes than tensors with {rank} axes have")
        at = key.index(Ellipsis) if Ellipsis in key else len(key)
        whole = [*key[:at], *[slice(None)] * (rank - taken), *key[at + 1 :]]
        if whole[0] not in (slice(None), slice(None, None, 1), slice(0, None, None), slice(0, None, 1)):
            raise InputError("a part of the samples is taken, which cannot be read")
        return whole[1:]

    def parts(shape: Shape) -> list[slice]:
        found = [part for part in full(len(shape) + 1) if part is not None]
        for part, size in zip(found, shape, strict=True):
            if type(part) is int and not -size <= part < size:
                raise InputError(f"index {part} lies outside of inputs of shape {shape}")
        return [
            slice(part, None if part == -1 else part + 1) if type(part) is int else part for part in found
        ]

    def target(shape: Shape) -> Shape:
        sizes = iter(shape)
        kept = list[int]()
        for part in full(len(shape) + 1):
            if part is None:
                kept.append(1)
            elif type(part) is int:
                next(sizes)
            else:
                kept.append(next(sizes))
        return tuple(kept)

    if any(isinstance(part, slice) and part != slice(None) for part in key[1:]) or any(
        type(part) is int for part in key
    ):
        x = steps.part(x, parts)
    return steps.reshaped(x, target) if any(part is None or type(part) is int for part in key) else x


def _strided(call: OperationCall, steps: Steps) -> Value:
    """Add the part that a StridedSlice of TensorFlow's graphs takes."""
    x = call.tensor(0)
    begin, end, strides = (call.integers(place) for place in (1, 2, 3))
    if not len(begin) == len(end) == len(strides):
        call.refuse(
            f"begins at {shown(list(begin))}, ends at {shown(list(end))} and has the steps {shown(list(strides))}"
        )
    masks = {
        name: call.integer(None, f"{name}_mask", default=0)
        for name in ("begin", "end", "ellipsis", "new_axis", "shrink_axis")
    }
    key = list[Any]()
    for k, (first, last, step) in enumerate(zip(begin, end, strides, strict=True)):
        has = {name: bool(mask >> k & 1) for name, mask in masks.items()}
        if has["ellipsis"]:
            key.append(Ellipsis)
        elif has["new_axis"]:
            key.append(None)
        elif has["shrink_axis"]:
            key.append(first)
        else:
            key.append(slice(None if has["begin"] else first, None if has["end"] else last, step))
    return _item_of(steps, x, key)


def _flipped(call: OperationCall, steps: Steps) -> Value:
    x, axes = call.tensor(0), call.axes()

    def parts(shape: Shape) -> list[slice]:
        rank = len(shape) + 1
        turned = {axis % rank for axis in axes}
        if 0 in turned:
            raise InputError("the samples are turned around, which cannot be read")
        return [slice(None, None, -1) if axis in turned else slice(None) for axis in range(1, rank)]

    return steps.part(x, parts)


def _padded(call: OperationCall, steps: Steps) -> Value:
    x, margins = call.tensor(0), call.get(1, "pad_width", "paddings")
    rows = margins.astype(int).tolist() if isinstance(margins, np.ndarray) else margins
    mode = str(call.get(2, "mode", default="constant")).lower()
    value = call.get(3, "constant_values", default=None)
    number = 0.0 if value is None else call.spec.finite(value)
    pairs = (
        [tuple(row) for row in rows]
        if isinstance(rows, list) and all(isinstance(row, list) for row in rows)
        else []
    )
    regular = all(len(pair) == 2 and all(type(n) is int and 0 <= n < 1 << 28 for n in pair) for pair in pairs)
    if len(pairs) < 2 or not regular or pairs[0] != (0, 0):
        call.refuse(
            f"has the margins {shown(rows)}, expected a pair for each axis, and none around the samples"
        )
    if mode not in ("constant", "reflect", "edge"):
        call.refuse(f"pads by {printable(mode, 20)}, expected constant, reflect or edge")
    return steps.layer(Pad, x, margins=tuple(pairs[1:]), mode=mode, value=number)


def _split(call: OperationCall, steps: Steps) -> list[Value]:
    x, where = call.tensor(0), call.integers(1, "indices_or_sections", "num_or_size_splits")
    axis, is_count = (
        call.integer(2, "axis", default=0),
        not isinstance(call.get(1, "indices_or_sections", "num_or_size_splits"), list),
    )
    if axis == 0:
        call.refuse("splits the samples")
    is_sizes = "num_or_size_splits" in call.arguments.by_name
    n = where[0] if is_count else len(where) + (not is_sizes)
    if not 0 < n <= MAX_AXES * 32:
        call.refuse(f"makes {n} parts")

    def parts(number: int, shape: Shape) -> list[slice]:
        index = axis % (len(shape) + 1) - 1
        size = shape[index] if 0 <= index < len(shape) else 0
        if is_count:
            ends = [size * k // n for k in range(n + 1)]
        else:
            ends = [0, *(np.cumsum(where).tolist() if is_sizes else [*where, size])]
        if (is_count and size % n) or size == 0 or ends != sorted(ends) or ends[-1] != size:
            raise InputError(f"inputs of shape {shape} cannot be split into {n} parts along axis {axis}")
        return [
            slice(ends[number], ends[number + 1]) if k == index else slice(None) for k in range(len(shape))
        ]

    return [steps.part(x, partial(parts, number)) for number in range(n)]


def _resized(call: OperationCall, steps: Steps) -> Value:
    x, size = call.tensor(0), call.integers(1, "size")
    if call.get(None, "fill_mode", default="constant") != "constant":
        call.refuse("fills by another mode than constant")
    kind = str(call.get(2, "interpolation", "method", default="bilinear")).lower()
    if len(size) != 2 or min(size) < 1:
        call.refuse(f"has the size {shown(list(size))}, expected a height and a width")
    data_format = "channels_first" if call.channels_first() else "channels_last"
    return steps.layer(
        Resizing,
        x,
        height=size[0],
        width=size[1],
        interpolation=kind,
        data_format=data_format,
        **{name: call.flag(name) for name in ("antialias", "crop_to_aspect_ratio", "pad_to_aspect_ratio")},
        fill_value=call.number(None, "fill_value", default=0.0),
    )


def _pooled(kind: Callable[..., Layer], call: OperationCall, steps: Steps) -> Value:
    x = call.tensor(0)
    window = _square(call, call.integers(1, "pool_size", "ksize"))
    strides = call.get(2, "strides", default=None)
    steps_ = window if strides is None else _square(call, call.integers(2, "strides"))
    padding = str(call.get(3, "padding", default="valid")).lower()
    if padding not in ("valid", "same"):
        call.refuse(f"has padding = {printable(padding, 20)}, expected valid or same")
    data_format = "channels_first" if call.channels_first() else "channels_last"
    return steps.layer(kind, x, pool_size=window, strides=steps_, padding=padding, data_format=data_format)


def _square(call: OperationCall, sizes: tuple[int, ...]) -> tuple[int, int]:
    inner = (
        sizes * 2 if len(sizes) == 1 else sizes[1:3] if len(sizes) == 4 and sizes[::3] == (1, 1) else sizes
    )
    if len(inner) != 2 or min(inner) < 1:
        call.refuse(f"has windows of {shown(list(sizes))}, expected those of images")
    return inner[0], inner[1]


REARRANGING: dict[str, Operation] = {
    **all_names("Concatenate concat ConcatV2", _concatenated),
    **all_names("Stack stack Pack", _stacked),
    **all_names("Reshape reshape", _reshaped),
    **all_names("Transpose transpose compat.v1.transpose", _transposed),
    **all_names("Swapaxes", _swapped),
    **all_names("Moveaxis", _moved),
    **all_names("ExpandDims expand_dims", _expanded),
    **all_names("Squeeze squeeze compat.v1.squeeze", _squeezed),
    **all_names("GetItem __operators__.getitem", _item),
    **all_names("StridedSlice", _strided),
    **all_names("Flip reverse", _flipped),
    **all_names("Pad PadV2 pad compat.v1.pad MirrorPad", _padded),
    **all_names("Split split", _split),
    **all_names("Resize image.resize", _resized),
    **all_names("keras.backend.batch_flatten", lambda call, steps: steps.layer(Flatten, call.tensor(0))),
    **all_names("MaxPool nn.max_pool nn.max_pool2d compat.v1.nn.max_pool", partial(_pooled, MaxPooling2D)),
    **all_names("AveragePool nn.avg_pool nn.avg_pool2d compat.v1.nn.avg_pool", partial(_pooled, AveragePooling2D)),
}  # fmt: skip
"""What can be read, by all names that files have for it."""
