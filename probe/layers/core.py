"""Dense, Flatten, Reshape and the layers that only activate or, at inference, do nothing."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from probe._checks import Array, InputError, check_number, frozen_copy
from probe.layers._base import Layer
from probe.layers.activations import Activation, Pullback, activation_named

__all__ = ["ActivationLayer", "Dense", "Dropout", "Flatten", "Reshape"]


@dataclass(frozen=True, slots=True, eq=False)
class Dense(Layer):
    """A fully connected layer: y = activation(x @ kernel + bias).

    Parameters
    ----------
    name : str
        The layer's name in its network.
    kernel : ndarray of shape (n_in, n_units), float32 or float64
        Weights.
    bias : ndarray of shape (n_units,), of the type of `kernel`
        Biases; zeros for a layer without.
    activation_name : str
        A key of `probe.layers.ACTIVATIONS`, or "softmax".

    Raises
    ------
    InputError
        If shapes or types do not fit, or there is no such activation.
    """

    name: str
    kernel: Array
    bias: Array
    activation_name: str = "linear"
    _activation: Activation = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if self.kernel.ndim != 2 or 0 in self.kernel.shape:
            raise InputError(
                f"layer '{self.name}': kernel must have shape (n_in, n_units), got {self.kernel.shape}"
            )
        if self.kernel.dtype not in (np.float32, np.float64) or self.bias.dtype != self.kernel.dtype:
            raise InputError(
                f"layer '{self.name}': kernel and bias must both be float32 or both float64, "
                f"got {self.kernel.dtype} and {self.bias.dtype}"
            )
        if self.bias.shape != self.kernel.shape[1:]:
            raise InputError(
                f"layer '{self.name}': bias must have shape {self.kernel.shape[1:]} for a kernel of shape "
                f"{self.kernel.shape}, got {self.bias.shape}"
            )
        object.__setattr__(self, "kernel", frozen_copy(self.kernel))
        object.__setattr__(self, "bias", frozen_copy(self.bias))
        object.__setattr__(self, "_activation", activation_named(self.activation_name))

    @property
    def activation(self) -> Activation:
        """The activation named `activation_name`."""
        return self._activation

    @property
    def n_units(self) -> int:
        """Number of units."""
        return int(self.kernel.shape[1])

    def linear(self, x: Array) -> tuple[Array, Pullback]:
        """Return x @ kernel + bias for `x` of shape (n_samples, ..., n_in), and its pullback."""
        return x @ self.kernel + self.bias, lambda dz: dz @ self.kernel.T

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return `input_shape` with its last axis replaced by the number of units."""
        n_in = self.kernel.shape[0]
        if not input_shape or input_shape[-1] != n_in:
            raise InputError(f"layer '{self.name}' takes {n_in} inputs, but gets shape {input_shape}")
        return (*input_shape[:-1], self.n_units)


class _NoWeights(Layer):
    """A layer that passes its input on."""

    __slots__ = ()

    def linear(self, x: Array) -> tuple[Array, Pullback]:
        """Return `x` itself."""
        return x, lambda dz: dz

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return `input_shape`."""
        return input_shape


@dataclass(frozen=True, slots=True)
class Flatten(_NoWeights):
    """All axes but the first in one, row by row: (n_samples, height, width) to (n_samples, height*width)."""

    name: str

    def linear(self, x: Array) -> tuple[Array, Pullback]:
        """Return `x` as (n_samples, n), and its pullback."""
        shape = x.shape
        return x.reshape(len(x), -1), lambda dz: dz.reshape(shape)

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the number of values of one input, as a shape."""
        return (math.prod(input_shape),)


@dataclass(frozen=True, slots=True)
class Reshape(_NoWeights):
    """One input in another shape, row by row.

    Parameters
    ----------
    name : str
        The layer's name in its network.
    target_shape : tuple of int
        Shape of one output, without n_samples; one entry may be -1.
    """

    name: str
    target_shape: tuple[int, ...]

    def linear(self, x: Array) -> tuple[Array, Pullback]:
        """Return `x` in the target shape, and its pullback."""
        shape = x.shape
        return x.reshape(len(x), *self.target_shape), lambda dz: dz.reshape(shape)

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the target shape, with -1 filled in."""
        given = [size for size in self.target_shape if size != -1]
        n_in, known, open_axes = math.prod(input_shape), math.prod(given), self.target_shape.count(-1)
        fits = open_axes <= 1 and min(given, default=1) > 0
        if not fits or (n_in % known if open_axes else n_in != known):
            raise InputError(f"layer '{self.name}' cannot reshape {input_shape} to {self.target_shape}")
        return tuple(n_in // known if size == -1 else size for size in self.target_shape)


@dataclass(frozen=True, slots=True)
class ActivationLayer(_NoWeights):
    """An activation as a layer of its own.

    Parameters
    ----------
    name : str
        The layer's name in its network.
    activation_name : str
        A key of `probe.layers.ACTIVATIONS`, or "softmax" (over the last axis).
    """

    name: str
    activation_name: str

    def __post_init__(self) -> None:
        activation_named(self.activation_name)

    @property
    def activation(self) -> Activation:
        """The activation named `activation_name`."""
        return activation_named(self.activation_name)


@dataclass(frozen=True, slots=True)
class Dropout(_NoWeights):
    """Dropout as it is at inference: it passes its input on. `rate`, in [0, 1], is kept for the file."""

    name: str
    rate: float

    def __post_init__(self) -> None:
        check_number(f"rate of layer '{self.name}'", self.rate, minimum=0, maximum=1)
