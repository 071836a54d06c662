"""Layers that shift and scale by constants, and by arrays that are learned."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from probe._checks import Array, InputError, check_number
from probe._signatures import checked
from probe.layers._base import Layer, Shape, keep_arrays
from probe.layers.activations import Pullback

__all__ = ["Affine", "Rescaling"]


@checked
@dataclass(frozen=True, slots=True)
class Rescaling(Layer):
    """Inputs times a scale plus an offset: x * scale + offset.

    Parameters
    ----------
    name : str
        The layer's name in its network.
    scale, offset : float or tuple of float
        One number, or one for each value along the last axis.

    Raises
    ------
    InputError
        If one is no finite number.

    Examples
    --------
    >>> Rescaling("to one", scale=1 / 255).forward(np.array([[0.0, 51.0, 255.0]]))[0]
    array([[0. , 0.2, 1. ]])
    """

    is_affine = is_elementwise = True

    name: str
    scale: float | tuple[float, ...]
    offset: float | tuple[float, ...] = 0.0

    def __post_init__(self) -> None:
        for setting in ("scale", "offset"):
            value = getattr(self, setting)
            several = isinstance(value, (tuple, list))
            numbers = tuple(
                check_number(f"{setting} of layer '{self.name}'", one)
                for one in (value if several else [value])
            )
            if not numbers:
                raise InputError(f"{setting} of layer '{self.name}' must hold at least one number, got ()")
            object.__setattr__(self, setting, numbers if several else numbers[0])

    def pre_activation(self, x: Array) -> tuple[Array, Pullback]:
        """Return the rescaled `x` (n_samples, ...), and its pullback."""
        scale = np.asarray(self.scale, x.dtype)
        return x * scale + np.asarray(self.offset, x.dtype), lambda dz: dz * scale

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return `input_shape`."""
        for setting, value in (("scale", self.scale), ("offset", self.offset)):
            if isinstance(value, tuple) and len(value) > 1 and input_shape[-1:] != (len(value),):
                raise InputError(
                    f"layer '{self.name}' has {len(value)} values of {setting}, which do not fit "
                    f"inputs of shape {input_shape}"
                )
        return input_shape


@checked
@dataclass(frozen=True, slots=True, eq=False)
class Affine(Layer):
    """Inputs times a scale plus a shift, both learned: x * scale + shift.

    Parameters
    ----------
    name : str
        The layer's name in its network.
    scale, shift : ndarray that goes with one input as NumPy broadcasts, float32 or float64, or None
        Along each axis, counted from the last, as long as the input or 1. None for a layer without, but not both.
        Where an input is to be repeated, a `Broadcast` comes first.

    Raises
    ------
    InputError
        If types do not fit, or there is neither.

    Examples
    --------
    >>> Affine("doubled", scale=np.array([2.0])).forward(np.array([[1.0, 3.0]]))[0]
    array([[2., 6.]])
    """

    is_affine = is_elementwise = True
    is_in_keras = False
    initial_values: ClassVar[Mapping[str, float]] = {"scale": 1.0, "shift": 0.0}

    name: str
    scale: Array | None = None
    shift: Array | None = None

    def __post_init__(self) -> None:
        if not self.variables:
            raise InputError(f"layer '{self.name}' must have a scale or a shift, got neither")
        keep_arrays(self)

    def pre_activation(self, x: Array) -> tuple[Array, Pullback]:
        """Return x * scale + shift for `x` (n_samples, ...), and its pullback."""
        z, scale = x, self.scale
        if scale is not None:
            z = z * scale
        if self.shift is not None:
            z = z + self.shift
        return z, lambda dz: dz if scale is None else dz * scale

    def variable_gradients(self, x: Array, dz: Array) -> dict[str, Array]:
        """Return the gradients of the scale and of the shift, where there are."""
        gradients = {"scale": dz * x, "shift": dz}
        return {name: _summed_to(gradients[name], values.shape) for name, values in self.variables.items()}

    @classmethod
    def variable_shapes(cls, input_shape: Shape, settings: Mapping[str, Any]) -> dict[str, Shape]:
        """Return the shapes of the arrays among the settings, which follow from nothing else."""
        arrays = ((name, settings.get(name)) for name in cls.initial_values)
        return {name: values.shape for name, values in arrays if values is not None}

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return `input_shape`."""
        for name, values in self.variables.items():
            if not _fits(values.shape, input_shape):
                raise InputError(
                    f"layer '{self.name}' has a {name} of shape {values.shape}, which does not fit inputs of shape "
                    f"{input_shape}: along each axis it must have their length or 1"
                )
        return input_shape


def _fits(shape: Shape, input_shape: Shape) -> bool:
    """Return whether an array of `shape` broadcasts to `input_shape`."""
    at_end = input_shape[len(input_shape) - len(shape) :]
    return len(shape) <= len(input_shape) and all(
        size in (1, n) for size, n in zip(shape, at_end, strict=True)
    )


def _summed_to(gradient: Array, shape: Shape) -> Array:
    """Sum a gradient (n_samples, ...) over the samples and over the axes along which an array was repeated."""
    in_front = tuple(range(gradient.ndim - len(shape)))
    summed = gradient.sum(axis=in_front)
    axes = tuple(axis for axis, size in enumerate(shape) if size == 1)
    return np.asarray(summed.sum(axis=axes, keepdims=True))
