"""Operations that move, join and cut values, and those that reduce axes. Constants give constants."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Literal

import numpy as np

from probe._checks import Array
from probe.imports._assembly import Operand, Place, Shape, Value
from probe.layers import (
    Affine,
    Concatenate,
    Flatten,
    GlobalAveragePooling2D,
    GlobalMaxPooling2D,
    Pad,
    Permute,
    Reduce,
    Reshape,
    Slice,
    ZeroPadding2D,
)

__all__ = ["ShapeOperations"]

_REDUCTIONS: dict[str, Callable[..., Array]] = {"mean": np.mean, "sum": np.sum, "max": np.max, "min": np.min}


_MOST_PARTS = 1024
"""Parts of an axis that are put together in another order."""


def _runs(indices: Sequence[int]) -> list[range]:
    """Return indices as ranges, one after the other.

    Examples
    --------
    >>> _runs([2, 1, 0, 5, 5, 7])
    [range(2, -1, -1), range(5, 6), range(5, 9, 2)]
    """
    runs, first = list[range](), 0
    while first < len(indices):
        start, *rest = indices[first : first + 2]
        step = (rest[0] - start if rest else 0) or 1
        last = first + 1
        while last < len(indices) and indices[last] - indices[last - 1] == step:
            last += 1
        runs.append(range(start, indices[last - 1] + step, step))
        first = last
    return runs


class ShapeOperations(Place):
    """What changes shapes: axes of values are counted with that of the samples, of constants as they are."""

    __slots__ = ()

    def reshape(self, x: Value | Array, sizes: Sequence[int]) -> Value | Array:
        """Return `x` in the shape `sizes`, with the samples first; one may be -1."""
        if isinstance(x, np.ndarray):
            return x.reshape(tuple(sizes))
        x = self.solid(x)
        total = self.building.batch * self.n_values(x)
        wanted = [int(size) for size in sizes]
        if wanted.count(-1) == 1 and (known := -math.prod(wanted)):
            wanted[wanted.index(-1)] = total // known
        if math.prod(wanted) != total or not wanted or wanted[0] != self.building.batch:
            self.refuse(
                f"makes {tuple(sizes[:8])} of samples of shape {x.shape}, and mixes the samples of a batch",
                "keep the first axis, such as in x.flatten(1)",
            )
        shape = tuple(wanted[1:])
        if shape == x.shape:
            return x
        flat = len(shape) == 1
        return self.add(Flatten(self.free()) if flat else Reshape(self.free(), shape), x)

    def flatten(self, x: Value | Array, first: int = 1, last: int = -1) -> Value | Array:
        """Return `x` with the axes from `first` to `last` in one."""
        shape = x.shape if isinstance(x, np.ndarray) else self._full(x)
        first, last = first % max(len(shape), 1), last % max(len(shape), 1)
        return self.reshape(x, (*shape[:first], math.prod(shape[first : last + 1]), *shape[last + 1 :]))

    def unsqueeze(self, x: Value | Array, axis: int) -> Value | Array:
        """Return `x` with an axis of length 1 more."""
        if isinstance(x, np.ndarray):
            return np.expand_dims(x, axis)
        shape = self._full(x)
        index = axis + len(shape) + 1 if axis < 0 else axis
        return self.reshape(x, (*shape[:index], 1, *shape[index:]))

    def squeeze(self, x: Value | Array, axes: Sequence[int] | None = None) -> Value | Array:
        """Return `x` without axes of length 1; all of one sample by default."""
        if isinstance(x, np.ndarray):
            chosen = range(x.ndim) if axes is None else [axis % x.ndim for axis in axes]
            return np.squeeze(x, tuple(axis for axis in chosen if x.shape[axis] == 1))
        shape = self._full(x)
        chosen = range(1, len(shape)) if axes is None else [self.axis(axis, x.shape) for axis in axes]
        return self.reshape(x, [n for axis, n in enumerate(shape) if axis not in chosen or n != 1])

    def permute(self, x: Value | Array, axes: Sequence[int]) -> Value | Array:
        """Return `x` with its axes in another order; that of the samples stays first."""
        if isinstance(x, np.ndarray):
            return np.transpose(x, tuple(axes))
        x = self.solid(x)
        order = [axis % (len(x.shape) + 1) for axis in axes]
        if order[0] != 0:
            self.refuse("moves the axis of the samples", "keep that axis first")
        before = self.building.before(x)
        if before is not None and isinstance(before[0], Permute):
            layer, x = before
            order = [0, *(layer.dims[axis - 1] for axis in order[1:])]  # type: ignore[attr-defined]
        if order == sorted(order):
            return x
        return self.add(Permute(self.free(), tuple(order[1:])), x)

    def transpose(self, x: Value | Array, first: int, second: int) -> Value | Array:
        """Return `x` with two axes exchanged."""
        n_axes = x.ndim if isinstance(x, np.ndarray) else len(x.shape) + 1
        order = list(range(n_axes))
        if n_axes:
            order[first], order[second] = order[second], order[first]
        return self.permute(x, order)

    def expand(self, x: Value | Array, sizes: Sequence[int]) -> Value | Array:
        """Return `x` with axes of length 1 repeated; -1 keeps a length."""
        shape = x.shape if isinstance(x, np.ndarray) else self._full(x)
        own = (1,) * (len(sizes) - len(shape)) + tuple(shape)
        wanted = tuple(n if size == -1 else int(size) for n, size in zip(own, sizes, strict=True))
        if isinstance(x, np.ndarray):
            return np.broadcast_to(x, wanted)
        if len(wanted) != len(shape):
            self.refuse(f"makes {wanted} of samples of shape {x.shape}", "keep the first axis")
        return x if wanted[1:] == x.shape else replace(x, repeated=wanted[1:])

    def concat(self, values: Sequence[Value | Array], axis: int) -> Value | Array:
        """Return values one after the other along an axis; constants among them are the same for all samples."""
        if all(isinstance(value, np.ndarray) for value in values):
            return np.concatenate(values, axis)  # type: ignore[arg-type]
        known = [value for value in values if isinstance(value, Value)]
        index = self.axis(axis, known[0].shape)
        joined = [self._among(value, known[0], index) for value in values]
        return joined[0] if len(joined) == 1 else self.add(Concatenate(self.free(), axis=index), *joined)

    def _among(self, value: Value | Array, like: Value, index: int) -> Value:
        """Return a constant as a value: a sample times zero, plus the constant."""
        if isinstance(value, Value):
            return value
        shift = self.sample(value, len(like.shape))
        n = shift.shape[index - 1]
        one = self.slice(like, index, 0, 1)
        margins = tuple((0, n - 1) if k == index - 1 else (0, 0) for k in range(len(like.shape)))
        room = self.pad(one, margins)  # type: ignore[arg-type]
        zero = np.zeros(1, self.building.dtype)
        return self.add(Affine(self.free("constant"), zero, self.building.array(shift)), room)

    def sample(self, constant: Array, n_axes: int) -> Array:
        """Return a constant as it goes with one sample of `n_axes` axes: without the axis of the samples."""
        if constant.ndim <= n_axes:
            return constant
        first: Array = constant[:1]
        alike = len(constant) == 1 or bool((constant == first).all())
        if constant.ndim > n_axes + 1 or not alike:
            self.refuse(f"takes a constant of shape {constant.shape}, which is not the same for all samples")
        return np.asarray(first[0])

    def slice(
        self, x: Value | Array, axis: int, start: int | None, stop: int | None, step: int = 1
    ) -> Value | Array:
        """Return a part of `x` along one axis, as Python slices."""
        if isinstance(x, np.ndarray):
            cut = [slice(None)] * x.ndim
            cut[axis] = slice(start, stop, step)
            return x[tuple(cut)]
        shape = self._full(x)
        n = shape[axis]
        start, stop, step = slice(start, stop, step).indices(n)
        if (start, step) == (0, 1) and stop == n:
            return x
        index = self.axis(axis, x.shape) - 1
        if not range(start, stop, step):
            self.refuse(f"takes {start}:{stop}:{step} of {n}", "something must be left")
        x = self.solid(x)
        starts, stops, steps = ([default] * len(x.shape) for default in (None, None, 1))
        starts[index], stops[index], steps[index] = start, stop if stop >= 0 else None, step
        return self.add(Slice(self.free(), tuple(starts), tuple(stops), tuple(steps)), x)  # type: ignore[arg-type]

    def take(self, x: Value | Array, axis: int, indices: Sequence[int]) -> Value | Array:
        """Return what is at indices of an axis: one part for each run of them with the same step."""
        if isinstance(x, np.ndarray):
            return np.take(x, np.asarray(indices), axis)
        n = self._full(x)[axis]
        if not len(indices) or any(not -n <= index < n for index in indices):
            self.refuse(f"picks indices outside of an axis of length {n}")
        runs = _runs([int(index) % n for index in indices])
        if len(runs) > _MOST_PARTS:
            self.refuse(
                f"picks {len(runs)} parts of an axis, each of which would be a layer",
                f"at most {_MOST_PARTS} are made",
            )
        ends = [run[-1] + run.step for run in runs]
        parts = [
            self.slice(x, axis, run.start, end if end >= 0 else None, run.step)
            for run, end in zip(runs, ends, strict=True)
        ]
        return self.concat(parts, axis)

    def select(self, x: Value | Array, axis: int, index: int) -> Value | Array:
        """Return what is at one index of an axis, without the axis."""
        if isinstance(x, np.ndarray):
            return np.asarray(np.take(x, index, axis))
        n = self._full(x)[axis]
        start = index % n
        return self.squeeze(self.slice(x, axis, start, start + 1), [axis])

    def split(self, x: Value | Array, sizes: Sequence[int], axis: int) -> list[Value | Array]:
        """Return parts of these lengths along an axis."""
        ends = np.cumsum([0, *sizes]).tolist()
        return [self.slice(x, axis, *pair) for pair in pairwise(ends)]

    def repeat(self, x: Value, times: Sequence[int]) -> Value | Array:
        """Return `x` repeated along its axes, that of the samples first."""
        if isinstance(x, np.ndarray):
            return np.tile(x, tuple(times))
        if len(times) != len(x.shape) + 1 or times[0] != 1:
            self.refuse(f"repeats samples of shape {x.shape} by {tuple(times)}", "keep the first axis")
        value: Value | Array = x
        for axis, count in enumerate(times):
            value = self.concat([value] * count, axis) if count > 1 else value
        return value

    def pad(
        self,
        x: Value,
        margins: Sequence[tuple[int, int]],
        mode: Literal["constant", "reflect", "edge"] = "constant",
        value: float = 0.0,
    ) -> Value:
        """Return `x` with margins (before, after) on each axis of one sample; negative ones cut off."""
        result: Value | Array = x
        for axis, (before, after) in enumerate(margins, start=1):
            if before < 0 or after < 0:
                result = self.slice(result, axis, max(0, -before), x.shape[axis - 1] + min(0, after))
        kept = tuple((max(0, before), max(0, after)) for before, after in margins)
        if not any(sum(kept, ())):
            return result  # type: ignore[return-value]
        if mode == "constant" and value == 0 and len(kept) == 3 and kept[0] == (0, 0):
            layer = ZeroPadding2D(self.free(), (kept[1], kept[2]), data_format="channels_first")
            return self.add(layer, result)  # type: ignore[arg-type]
        return self.add(Pad(self.free(), kept, mode, value), result)  # type: ignore[arg-type]

    def reduce(
        self, x: Value | Array, kind: Literal["mean", "sum", "max", "min"], axes: Sequence[int] | None,
        keepdims: bool = False,  # noqa: FBT001, FBT002
    ) -> Value | Array:  # fmt: skip
        """Return the mean, sum, maximum or minimum over axes; None for all."""
        if isinstance(x, np.ndarray):
            over = None if axes is None else tuple(axes)
            return np.asarray(_REDUCTIONS[kind](x, axis=over, keepdims=keepdims))
        if axes is None:
            self.refuse("reduces over the axis of the samples", "name the other axes")
        chosen = tuple(sorted(self.axis(axis, x.shape) for axis in axes))
        pooling = {"mean": GlobalAveragePooling2D, "max": GlobalMaxPooling2D}.get(kind)
        if pooling is not None and chosen == (2, 3) and len(x.shape) == 3:
            return self.add(pooling(self.free(), keepdims=keepdims, data_format="channels_first"), x)
        return self.add(Reduce(self.free(), kind, chosen, keepdims=keepdims), x)

    def _full(self, x: Value) -> Shape:
        """Return the shape with the samples."""
        return (self.building.batch, *(x.shape if x.repeated is None else x.repeated))

    def is_constant(self, *operands: Operand) -> bool:
        """Return whether no operand depends on the inputs."""
        return not any(isinstance(one, Value) for one in operands)
