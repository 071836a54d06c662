"""Layers of several inputs: sums, products, quotients, extremes and concatenation."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from functools import reduce
from itertools import accumulate
from typing import ClassVar

import numpy as np

from probe._checks import Array, InputError, check_integer
from probe._signatures import checked
from probe.layers._base import Layer, sample_axis
from probe.layers.activations import Pullback

__all__ = ["Add", "Average", "Concatenate", "Divide", "Maximum", "Merge", "Minimum", "Multiply", "Subtract"]


class Merge(Layer):
    """A layer of several inputs, which it takes one by one; its pullback returns one gradient for each.

    Attributes
    ----------
    n_inputs_min : int
        The least number of inputs.
    n_inputs_max : int or None
        The greatest number of inputs; None for any.
    """

    __slots__ = ()

    n_inputs_min: ClassVar[int] = 2
    n_inputs_max: ClassVar[int | None] = None

    @abstractmethod
    def pre_activation(self, *xs: Array) -> tuple[Array, Pullback]:
        """Return the value for inputs `xs` (n_samples, ...), and the map from dC/dz to a tuple of the dC/dx."""

    @abstractmethod
    def output_shape(self, *input_shapes: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape of one output for inputs of these shapes, all without n_samples.

        Raises
        ------
        InputError
            If there are too few or too many inputs, or their shapes do not go together.
        """

    def forward(self, *xs: Array) -> tuple[Array, Pullback]:
        """Return the output for inputs `xs` (n_samples, ...), and the map from dC/dy to a tuple of the dC/dx."""
        return self.pre_activation(*xs)


def _check_count(layer: Merge, count: int) -> None:
    low, high = layer.n_inputs_min, layer.n_inputs_max
    if count < low or (high is not None and count > high):
        rule = f"exactly {low}" if low == high else f"at least {low}"
        raise InputError(f"layer '{layer.name}' takes {rule} inputs, but gets {count}")


def _aligned(xs: tuple[Array, ...]) -> tuple[Array, ...]:
    """Return arrays of the same number of axes: samples of fewer get axes of length 1 in front of their own."""
    n_axes = max(x.ndim for x in xs)
    return tuple(x.reshape(len(x), *[1] * (n_axes - x.ndim), *x.shape[1:]) for x in xs)


def _summed_to(gradient: Array, shape: tuple[int, ...]) -> Array:
    """Sum a gradient over the axes along which an input of `shape` was repeated."""
    sizes = (shape[0], *[1] * (gradient.ndim - len(shape)), *shape[1:])
    axes = tuple(axis for axis, size in enumerate(sizes) if size == 1 and gradient.shape[axis] != 1)
    return (gradient.sum(axis=axes, keepdims=True) if axes else gradient).reshape(shape)


class _Elementwise(Merge):
    """A merge number by number, which repeats axes of length 1, and axes that an input lacks in front, as NumPy does."""

    __slots__ = ()

    def output_shape(self, *input_shapes: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape of the inputs, with the greater of 1 and n along each axis."""
        _check_count(self, len(input_shapes))
        n_axes = max(len(shape) for shape in input_shapes)
        aligned = [[1] * (n_axes - len(shape)) + list(shape) for shape in input_shapes]
        if any(len(set(sizes) - {1}) > 1 for sizes in zip(*aligned, strict=True)):
            listed = ", ".join(map(str, input_shapes))
            raise InputError(f"layer '{self.name}' cannot merge inputs of shapes {listed}")
        return tuple(max(sizes) for sizes in zip(*aligned, strict=True))

    def pre_activation(self, *xs: Array) -> tuple[Array, Pullback]:
        """Return what the layer makes of `xs`, and the map from dC/dz to a tuple of the dC/dx."""
        z, pullback = self._merged(_aligned(xs))
        shapes = [x.shape for x in xs]

        def to_inputs(dz: Array) -> tuple[Array, ...]:
            return tuple(_summed_to(one, shape) for one, shape in zip(pullback(dz), shapes, strict=True))

        return z, to_inputs

    @abstractmethod
    def _merged(self, xs: tuple[Array, ...]) -> tuple[Array, Pullback]:
        """Return the value for inputs of as many axes, and the map to gradients of the shape of the value."""


@checked
@dataclass(frozen=True, slots=True)
class Add(_Elementwise):
    """The sum of the inputs."""

    is_affine = is_monotone = True

    name: str

    def _merged(self, xs: tuple[Array, ...]) -> tuple[Array, Pullback]:
        return reduce(np.add, xs), lambda dz: (dz,) * len(xs)


@checked
@dataclass(frozen=True, slots=True)
class Subtract(_Elementwise):
    """The first input less the second."""

    is_affine = True

    n_inputs_max: ClassVar[int | None] = 2

    name: str

    def _merged(self, xs: tuple[Array, ...]) -> tuple[Array, Pullback]:
        return np.subtract(*xs), lambda dz: (dz, -dz)


@checked
@dataclass(frozen=True, slots=True)
class Multiply(_Elementwise):
    """The product of the inputs."""

    name: str

    def _merged(self, xs: tuple[Array, ...]) -> tuple[Array, Pullback]:
        def pullback(dz: Array) -> tuple[Array, ...]:
            others = ([other for k, other in enumerate(xs) if k != index] for index in range(len(xs)))
            return tuple(reduce(np.multiply, rest, dz) for rest in others)

        return reduce(np.multiply, xs), pullback


@checked
@dataclass(frozen=True, slots=True)
class Divide(_Elementwise):
    """The first input divided by the second; infinite or not a number where that is 0."""

    is_in_keras = False

    n_inputs_max: ClassVar[int | None] = 2

    name: str

    def _merged(self, xs: tuple[Array, ...]) -> tuple[Array, Pullback]:
        _, divisor = xs
        with np.errstate(divide="ignore", invalid="ignore"):
            z = np.divide(*xs)

        def pullback(dz: Array) -> tuple[Array, ...]:
            with np.errstate(divide="ignore", invalid="ignore"):
                first = dz / divisor
                return first, -first * z

        return z, pullback


@checked
@dataclass(frozen=True, slots=True)
class Average(_Elementwise):
    """The mean of the inputs."""

    is_affine = is_monotone = True

    name: str

    def _merged(self, xs: tuple[Array, ...]) -> tuple[Array, Pullback]:
        return reduce(np.add, xs) / len(xs), lambda dz: (dz / len(xs),) * len(xs)


class _Extreme(_Elementwise):
    """The greatest or the least of the inputs, number by number; where several are, the gradient goes to the first."""

    __slots__ = ()

    is_monotone = True
    _pick: ClassVar[np.ufunc]

    def _merged(self, xs: tuple[Array, ...]) -> tuple[Array, Pullback]:
        z = reduce(self._pick, xs)

        def pullback(dz: Array) -> tuple[Array, ...]:
            gradients = []
            untaken = np.ones(z.shape, bool)
            for x in xs:
                taken = untaken & (x == z)
                untaken &= ~taken
                gradients.append(dz * taken)
            return tuple(gradients)

        return z, pullback


@checked
@dataclass(frozen=True, slots=True)
class Maximum(_Extreme):
    """The greatest of the inputs, number by number; where several are, the gradient goes to the first."""

    _pick = np.maximum

    name: str


@checked
@dataclass(frozen=True, slots=True)
class Minimum(_Extreme):
    """The least of the inputs, number by number; where several are, the gradient goes to the first."""

    _pick = np.minimum

    name: str


@checked
@dataclass(frozen=True, slots=True)
class Concatenate(Merge):
    """The inputs one after the other along one axis.

    Parameters
    ----------
    name : str
        The layer's name in its network.
    axis : int
        The axis, counted with that of the samples (which is 0) or from the last (-1).

    Examples
    --------
    >>> Concatenate("both").output_shape((8, 8, 3), (8, 8, 5))
    (8, 8, 8)
    """

    is_affine = is_monotone = True

    name: str
    axis: int = -1

    def __post_init__(self) -> None:
        check_integer(f"axis of layer '{self.name}'", self.axis, minimum=-32, maximum=32)

    def pre_activation(self, *xs: Array) -> tuple[Array, Pullback]:
        """Return `xs` in one array, and the map from dC/dz to a tuple of the dC/dx."""
        ends = list(accumulate(x.shape[self.axis] for x in xs))[:-1]
        return np.concatenate(xs, self.axis), lambda dz: tuple(np.split(dz, ends, self.axis))

    def output_shape(self, *input_shapes: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape of the inputs, with the sum of their lengths along the axis."""
        _check_count(self, len(input_shapes))
        index = sample_axis(self, self.axis, len(input_shapes[0]))
        rests = {(*shape[:index], *shape[index + 1 :], len(shape)) for shape in input_shapes}
        if len(rests) != 1:
            listed = ", ".join(map(str, input_shapes))
            raise InputError(
                f"layer '{self.name}' cannot join inputs of shapes {listed} along axis {self.axis}"
            )
        shape = list(input_shapes[0])
        shape[index] = sum(shape[index] for shape in input_shapes)
        return tuple(shape)
