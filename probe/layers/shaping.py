"""Layers that reduce axes, cut from them, add to them or repeat along them, of inputs of any shape, and learn nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from probe._checks import Array, InputError, check_choice, check_integer, check_number
from probe._signatures import checked
from probe.layers._base import Layer, Pair, Shape, sample_axis
from probe.layers.activations import Pullback

__all__ = ["Broadcast", "Pad", "Reduce", "Slice"]

Kind = Literal["mean", "sum", "max", "min"]
KINDS = ("mean", "sum", "max", "min")

Mode = Literal["constant", "reflect", "edge"]
MODES = ("constant", "reflect", "edge")


@checked
@dataclass(frozen=True, slots=True)
class Reduce(Layer):
    """The mean, sum, maximum or minimum of each input along some of its axes.

    Where several values are the greatest or the least, they share the gradient, as in Keras and PyTorch.

    Parameters
    ----------
    name : str
        The layer's name in its network.
    kind : {"mean", "sum", "max", "min"}
        What is taken.
    axes : tuple of int
        The axes along which it is taken, counted with that of the samples (which is 0) or from the last (-1).
    keepdims : bool
        Whether these axes stay, with length 1.

    Raises
    ------
    InputError
        If there are no axes, or no such kind.

    Examples
    --------
    >>> Reduce("total", "sum", (1,)).forward(np.array([[1.0, 2.0, 4.0]]))[0]
    array([7.])
    """

    is_monotone = True
    is_in_keras = False

    name: str
    kind: Kind
    axes: tuple[int, ...]
    keepdims: bool = False

    def __post_init__(self) -> None:
        check_choice(f"kind of layer '{self.name}'", self.kind, KINDS)
        if not isinstance(self.keepdims, (bool, np.bool_)):
            raise InputError(f"layer '{self.name}': keepdims must be True or False, got {self.keepdims!r}")
        axes = tuple(
            check_integer(f"axes of layer '{self.name}'", axis, minimum=-32, maximum=32) for axis in self.axes
        )
        if not axes:
            raise InputError(f"layer '{self.name}': axes must name at least one axis, got ()")
        object.__setattr__(self, "axes", axes)

    @property
    def is_affine(self) -> bool:  # type: ignore[override]
        """Whether it takes a mean or a sum."""
        return self.kind in ("mean", "sum")

    def pre_activation(self, x: Array) -> tuple[Array, Pullback]:
        """Return what is taken of `x` (n_samples, ...), and its pullback."""
        axes = tuple(index + 1 for index in self._indices(x.shape[1:]))
        shape = x.shape
        kept = tuple(1 if axis in axes else size for axis, size in enumerate(shape))
        # In float32 the sum of many values, one after another, would be off by the rounding of each.
        exactly = {"dtype": np.float64} if self.is_affine else {}
        z: Array = getattr(np, self.kind)(x, axis=axes, keepdims=True, **exactly).astype(x.dtype)

        def pullback(dz: Array) -> Array:
            share = dz.reshape(kept)
            if self.kind in ("max", "min"):
                taken: Array = (x == z).astype(dz.dtype)
                taken *= share / np.maximum(taken.sum(axis=axes, keepdims=True), 1)
                return taken
            if self.kind == "mean":
                share = share / np.prod([shape[axis] for axis in axes], dtype=dz.dtype)
            return np.ascontiguousarray(np.broadcast_to(share, shape))

        return (z if self.keepdims else z.squeeze(axes)), pullback

    def _indices(self, shape: Shape) -> list[int]:
        """Return the axes as indices into `shape`, without that of the samples, or raise."""
        indices = sorted(sample_axis(self, axis, len(shape)) for axis in self.axes)
        if len(set(indices)) != len(indices):
            raise InputError(
                f"layer '{self.name}': axes {self.axes} name one axis twice for inputs of shape {shape}"
            )
        return indices

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return `input_shape` without the axes, or with length 1 there."""
        indices = self._indices(input_shape)
        if 0 in (input_shape[index] for index in indices):
            raise InputError(f"layer '{self.name}' needs values to reduce, but gets shape {input_shape}")
        sizes = (1 if index in indices else size for index, size in enumerate(input_shape))
        return tuple(size for index, size in enumerate(sizes) if self.keepdims or index not in indices)


@checked
@dataclass(frozen=True, slots=True)
class Slice(Layer):
    """A part of each input: along each axis from a start to a stop in steps.

    Parameters
    ----------
    name : str
        The layer's name in its network.
    starts, stops : tuple of int or None
        One for each axis of one input, without that of the samples; negative ones count from the end, None is the
        end itself, and what lies beyond it does not count, as in Python.
    steps : tuple of int
        One for each axis, other than 0; a negative one goes backwards.

    Raises
    ------
    InputError
        If there are not as many starts as stops and steps.

    Examples
    --------
    >>> Slice("odd", (1,), (None,), (2,)).forward(np.arange(6.0)[None])[0]
    array([[1., 3., 5.]])
    """

    is_affine = is_monotone = True
    is_in_keras = False

    name: str
    starts: tuple[int | None, ...]
    stops: tuple[int | None, ...]
    steps: tuple[int, ...]

    def __post_init__(self) -> None:
        if not len(self.starts) == len(self.stops) == len(self.steps):
            raise InputError(
                f"layer '{self.name}': starts, stops and steps must hold one entry for each axis, got "
                f"{self.starts}, {self.stops} and {self.steps}"
            )
        for setting in ("starts", "stops"):
            ends = tuple(
                None
                if end is None
                else check_integer(f"{setting} of layer '{self.name}'", end, minimum=-(1 << 62))
                for end in getattr(self, setting)
            )
            object.__setattr__(self, setting, ends)
        steps = tuple(
            check_integer(f"steps of layer '{self.name}'", step, minimum=-(1 << 62)) for step in self.steps
        )
        if 0 in steps:
            raise InputError(f"layer '{self.name}': steps must be other than 0, got {self.steps}")
        object.__setattr__(self, "steps", steps)

    def _part(self) -> tuple[slice, ...]:
        return slice(None), *map(slice, self.starts, self.stops, self.steps)

    def pre_activation(self, x: Array) -> tuple[Array, Pullback]:
        """Return the part of `x` (n_samples, ...), and its pullback."""
        shape, part = x.shape, self._part()

        def pullback(dz: Array) -> Array:
            dx = np.zeros(shape, dz.dtype)
            dx[part] = dz
            return dx

        return x[part], pullback

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape of the part."""
        if len(input_shape) != len(self.steps):
            raise InputError(
                f"layer '{self.name}' takes inputs of {len(self.steps)} axes, but gets shape {input_shape}"
            )
        parts = zip(input_shape, self._part()[1:], strict=True)
        shape = tuple(len(range(*part.indices(size))) for size, part in parts)
        if 0 in shape:
            raise InputError(f"layer '{self.name}' leaves nothing of inputs of shape {input_shape}")
        return shape


@checked
@dataclass(frozen=True, slots=True)
class Pad(Layer):
    """Each input with margins along its axes.

    Parameters
    ----------
    name : str
        The layer's name in its network.
    margins : tuple of (int, int)
        How many values come before and after, for each axis of one input, without that of the samples; at least 0.
    mode : {"constant", "reflect", "edge"}
        What they are: `value`, the input mirrored at its outermost values, or these repeated.
    value : float
        What margins hold if `mode` is "constant".

    Raises
    ------
    InputError
        If a margin is negative, or there is no such mode.

    Examples
    --------
    >>> Pad("mirrored", ((2, 1),), "reflect").forward(np.array([[1.0, 2.0, 4.0]]))[0]
    array([[4., 2., 1., 2., 4., 2.]])
    """

    is_affine = is_monotone = True
    is_in_keras = False

    name: str
    margins: tuple[Pair, ...]
    mode: Mode = "constant"
    value: float = 0.0

    def __post_init__(self) -> None:
        check_choice(f"mode of layer '{self.name}'", self.mode, MODES)
        value = check_number(f"value of layer '{self.name}'", self.value)
        object.__setattr__(self, "value", value)
        pairs = [tuple(pair) if isinstance(pair, (tuple, list)) else () for pair in self.margins]
        if any(len(pair) != 2 for pair in pairs):
            raise InputError(
                f"layer '{self.name}': margins must hold (before, after) for each axis, got {self.margins}"
            )
        margins = tuple(
            tuple(check_integer(f"margins of layer '{self.name}'", size, minimum=0) for size in pair)
            for pair in pairs
        )
        object.__setattr__(self, "margins", margins)

    def pre_activation(self, x: Array) -> tuple[Array, Pullback]:
        """Return `x` (n_samples, ...) with its margins, and its pullback."""
        shape = x.shape
        fill = {"constant_values": self.value} if self.mode == "constant" else {}
        z = np.pad(x, ((0, 0), *self.margins), self.mode, **fill)  # type: ignore[call-overload]

        def pullback(dz: Array) -> Array:
            for axis, ((before, after), size) in enumerate(
                zip(self.margins, shape[1:], strict=True), start=1
            ):
                if before or after:
                    dz = np.moveaxis(self._folded(np.moveaxis(dz, axis, 0), before, after, size), 0, axis)
            return dz

        return z, pullback

    def _folded(self, dz: Array, before: int, after: int, size: int) -> Array:
        """Return the gradient along the first axis without its margins, which is added where these came from."""
        inner = dz[before : before + size]
        if self.mode == "constant":
            return inner
        inner = inner.copy()
        origins = np.pad(np.arange(size), (before, after), self.mode)
        for place in (*range(before), *range(before + size, before + size + after)):
            inner[origins[place]] += dz[place]
        return inner

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return `input_shape` with the margins."""
        if len(input_shape) != len(self.margins):
            raise InputError(
                f"layer '{self.name}' takes inputs of {len(self.margins)} axes, but gets shape {input_shape}"
            )
        for size, pair in zip(input_shape, self.margins, strict=True):
            if self.mode == "reflect" and max(pair) >= size:
                raise InputError(
                    f"layer '{self.name}' mirrors {max(pair)} values of an axis of length {size}: there must be more"
                )
        return tuple(size + sum(pair) for size, pair in zip(input_shape, self.margins, strict=True))


@checked
@dataclass(frozen=True, slots=True)
class Broadcast(Layer):
    """Each input repeated to a shape, as NumPy does: along axes of length 1, and along axes that it lacks in front.

    Parameters
    ----------
    name : str
        The layer's name in its network.
    shape : tuple of int
        Shape of one output, without n_samples; each entry at least 1.

    Examples
    --------
    >>> Broadcast("rows", (2, 3)).forward(np.array([[1.0, 2.0, 4.0]]))[0]
    array([[[1., 2., 4.],
            [1., 2., 4.]]])
    """

    is_affine = is_monotone = True
    is_in_keras = False

    name: str
    shape: tuple[int, ...]

    def __post_init__(self) -> None:
        sizes = tuple(check_integer(f"shape of layer '{self.name}'", size, minimum=1) for size in self.shape)
        object.__setattr__(self, "shape", sizes)

    def pre_activation(self, x: Array) -> tuple[Array, Pullback]:
        """Return `x` (n_samples, ...) repeated, and its pullback."""
        before = x.shape
        aligned = x.reshape(len(x), *[1] * (len(self.shape) + 1 - x.ndim), *before[1:])
        axes = tuple(axis for axis, size in enumerate(aligned.shape[1:], start=1) if size == 1)
        z = np.broadcast_to(aligned, (len(x), *self.shape))
        return z, lambda dz: dz.sum(axis=axes, keepdims=True).reshape(before)

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape."""
        at_end = self.shape[len(self.shape) - len(input_shape) :]
        if len(input_shape) > len(self.shape) or any(
            size not in (1, n) for size, n in zip(input_shape, at_end, strict=True)
        ):
            raise InputError(
                f"layer '{self.name}' cannot repeat inputs of shape {input_shape} to {self.shape}"
            )
        return self.shape
