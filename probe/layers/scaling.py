"""Layers that scale: by constants, or by learned slopes below zero."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from probe._checks import Array, InputError, check_integer, check_number
from probe._signatures import checked
from probe.layers._base import Layer, keep_arrays
from probe.layers.activations import Pullback

__all__ = ["PReLU", "Rescaling"]


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
            kept = tuple(
                check_number(f"{setting} of layer '{self.name}'", one)
                for one in (value if several else [value])
            )
            if not kept:
                raise InputError(f"{setting} of layer '{self.name}' must hold at least one number, got ()")
            object.__setattr__(self, setting, kept if several else kept[0])

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
class PReLU(Layer):
    """A rectifier with a slope of its own for each value: x above zero, alpha * x below.

    Parameters
    ----------
    name : str
        The layer's name in its network.
    alpha : ndarray of the shape of one input, 1 along the shared axes, float32 or float64
        Slopes below zero; at zero the slope is 0, as in Keras.
    shared_axes : tuple of int
        The axes along which all values share one slope, counted from 1 (0 is that of the samples).

    Raises
    ------
    InputError
        If shapes or types do not fit.

    References
    ----------
    .. [1] K. He, X. Zhang, S. Ren, J. Sun, "Delving Deep into Rectifiers", ICCV 2015.
    """

    is_elementwise = True
    initial_values: ClassVar[Mapping[str, float]] = {"alpha": 0.0}

    name: str
    alpha: Array
    shared_axes: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        keep_arrays(self, self.variables)
        axes = tuple(
            check_integer(f"shared_axes of layer '{self.name}'", axis, minimum=1, maximum=self.alpha.ndim)
            for axis in self.shared_axes
        )
        object.__setattr__(self, "shared_axes", axes)
        if 0 in self.alpha.shape or any(self.alpha.shape[axis - 1] != 1 for axis in axes):
            raise InputError(
                f"layer '{self.name}': alpha must have length 1 along the shared axes {axes}, "
                f"got shape {self.alpha.shape}"
            )

    @property
    def variables(self) -> dict[str, Array]:
        """The slopes."""
        return {"alpha": self.alpha}

    def pre_activation(self, x: Array) -> tuple[Array, Pullback]:
        """Return the rectified `x` (n_samples, ...), and its pullback."""
        slope = np.where(
            x > 0, self.alpha.dtype.type(1), np.where(x < 0, self.alpha, self.alpha.dtype.type(0))
        )
        return x * slope, lambda dz: dz * slope

    def variable_gradients(self, x: Array, dz: Array) -> dict[str, Array]:
        """Return the gradient of the slopes."""
        below = dz * np.minimum(x, 0)
        shared = (0, *self.shared_axes)
        return {"alpha": below.sum(axis=shared, keepdims=True)[0]}

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return `input_shape`."""
        expected = tuple(1 if axis in self.shared_axes else size for axis, size in enumerate(input_shape, 1))
        if self.alpha.shape != expected:
            raise InputError(
                f"layer '{self.name}' has slopes of shape {self.alpha.shape}, which do not fit inputs of shape "
                f"{input_shape}: it needs {expected}"
            )
        return input_shape
