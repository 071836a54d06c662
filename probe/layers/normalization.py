"""Layers that shift and scale by a mean and a variance: measured, given, or each input's own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from probe._checks import Array, InputError, check_integer, check_number
from probe._signatures import checked
from probe.layers._base import Layer, Shape, check_variables, keep_arrays, sample_axis
from probe.layers.activations import Pullback

__all__ = ["BatchNormalization", "LayerNormalization", "Normalization"]

_LEAST_DEVIATION = 1e-7
"""What Keras' Normalization divides by where the variance is zero."""


def _keep_axes(layer: Layer, axis: object) -> None:
    """Keep one or several axes as a tuple of integers, or raise."""
    axes = tuple(axis) if isinstance(axis, (tuple, list)) else (axis,)
    axes = tuple(check_integer(f"axis of layer '{layer.name}'", one, minimum=-32, maximum=32) for one in axes)
    object.__setattr__(layer, "axis", axes)


def _along(values: Array, indices: list[int], n_axes: int) -> Array:
    """Return `values`, one axis for each of `indices`, in a shape that broadcasts with samples of `n_axes`."""
    shape = [1] * (n_axes + 1)
    for index, size in zip(indices, values.shape, strict=True):
        shape[index + 1] = size
    return values.reshape(shape)


class _AlongAxes(Layer):
    """A layer with arrays that have one value for each index along its `axis`, one axis or several."""

    __slots__ = ()

    @classmethod
    def variable_shapes(cls, input_shape: Shape, settings: Mapping[str, Any]) -> dict[str, Shape]:
        """Return the sizes of the inputs along the axes, for every array."""
        indices = sorted(
            axis - 1 if axis > 0 else axis + len(input_shape) for axis in _axes(settings["axis"])
        )
        sizes = tuple(input_shape[index] for index in indices)
        return dict.fromkeys([*cls.initial_values, *sorted(cls.measured)], sizes)

    def _indices(self, shape: Shape) -> list[int]:
        """Return the axes as indices into `shape` without that of the samples, in order, or raise."""
        layer: Any = self
        indices = sorted(sample_axis(self, axis, len(shape)) for axis in _axes(layer.axis))
        if len(set(indices)) != len(indices):
            raise InputError(
                f"layer '{self.name}': axis {layer.axis} names one axis twice for inputs of shape {shape}"
            )
        return indices

    def variable_gradients(self, x: Array, dz: Array) -> dict[str, Array]:
        """Return the gradients of gamma and beta, where there are."""
        if not self.trainable:
            return {}
        layer: Any = self
        normal = x if layer.gamma is None else replace(layer, gamma=None, beta=None).pre_activation(x)[0]
        indices = self._indices(x.shape[1:])
        others = tuple(axis for axis in range(dz.ndim) if axis - 1 not in indices)
        gradients = {"gamma": (dz * normal).sum(axis=others), "beta": dz.sum(axis=others)}
        return {name: gradients[name] for name in self.trainable}

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return `input_shape`."""
        self._indices(input_shape)
        return check_variables(self, input_shape)


def _axes(axis: int | tuple[int, ...]) -> tuple[int, ...]:
    return axis if isinstance(axis, tuple) else (axis,)


@checked
@dataclass(frozen=True, slots=True, eq=False)
class BatchNormalization(_AlongAxes):
    """Batch normalization as it is at inference: (x - mean) / sqrt(variance + epsilon) * gamma + beta.

    Parameters
    ----------
    name : str
        The layer's name in its network.
    gamma, beta : ndarray of shape (n,) or None
        Scale and shift; None for a layer without.
    moving_mean, moving_variance : ndarray of shape (n,), float32 or float64
        What was measured in training. Where variance + epsilon is negative the output is not a number.
    axis : int
        The axis that keeps its values apart, counted with that of the samples (which is 0) or from the last.
    epsilon : float
        At least 0.

    Raises
    ------
    InputError
        If shapes, types or settings do not fit.

    References
    ----------
    .. [1] S. Ioffe, C. Szegedy, "Batch Normalization: Accelerating Deep Network Training by Reducing Internal
       Covariate Shift", ICML 2015.
    """

    is_affine = is_elementwise = True
    initial_values: ClassVar[Mapping[str, float]] = {
        "gamma": 1.0,
        "beta": 0.0,
        "moving_mean": 0.0,
        "moving_variance": 1.0,
    }
    measured = frozenset({"moving_mean", "moving_variance"})

    name: str
    gamma: Array | None
    beta: Array | None
    moving_mean: Array
    moving_variance: Array
    axis: int = -1
    epsilon: float = 1e-3

    def __post_init__(self) -> None:
        shapes = {values.shape for values in self.variables.values()}
        if len(shapes) != 1 or any(len(shape) != 1 or 0 in shape for shape in shapes):
            listed = ", ".join(f"{name} {values.shape}" for name, values in self.variables.items())
            raise InputError(f"layer '{self.name}': all arrays must have one shape (n,), got {listed}")
        keep_arrays(self)
        check_integer(f"axis of layer '{self.name}'", self.axis, minimum=-32, maximum=32)
        check_number(f"epsilon of layer '{self.name}'", self.epsilon, minimum=0)

    def own_channel_axis(self, shape: Shape) -> int:
        """Return the axis that keeps its values apart."""
        return sample_axis(self, self.axis, len(shape))

    def pre_activation(self, x: Array) -> tuple[Array, Pullback]:
        """Return the normalized `x` (n_samples, ...), and its pullback."""
        indices = self._indices(x.shape[1:])
        with np.errstate(invalid="ignore", divide="ignore"):
            inverse = 1 / np.sqrt(self.moving_variance + self.moving_variance.dtype.type(self.epsilon))
        scale: Array = inverse if self.gamma is None else inverse * self.gamma
        scale = _along(scale, indices, x.ndim - 1)
        z = x - _along(self.moving_mean, indices, x.ndim - 1)
        z *= scale
        if self.beta is not None:
            z += _along(self.beta, indices, x.ndim - 1)
        return z, lambda dz: dz * scale


@checked
@dataclass(frozen=True, slots=True, eq=False)
class LayerNormalization(_AlongAxes):
    """Each input less its mean, divided by its standard deviation, times gamma, plus beta.

    Parameters
    ----------
    name : str
        The layer's name in its network.
    gamma, beta : ndarray of the sizes of the inputs along `axis`, or None
        Scale and shift; None for a layer without.
    axis : tuple of int
        The axes over which mean and variance are taken, counted with that of the samples or from the last.
    epsilon : float
        Added to the variance; at least 0.

    Raises
    ------
    InputError
        If shapes, types or settings do not fit.

    References
    ----------
    .. [1] J. L. Ba, J. R. Kiros, G. E. Hinton, "Layer Normalization", 2016.
    """

    initial_values: ClassVar[Mapping[str, float]] = {"gamma": 1.0, "beta": 0.0}

    name: str
    gamma: Array | None
    beta: Array | None
    axis: tuple[int, ...] = (-1,)
    epsilon: float = 1e-3

    def __post_init__(self) -> None:
        _keep_axes(self, self.axis)
        keep_arrays(self)
        for name, values in self.variables.items():
            if values.ndim != len(self.axis):
                raise InputError(
                    f"layer '{self.name}': {name} must have one axis for each of {self.axis}, "
                    f"got shape {values.shape}"
                )
        check_number(f"epsilon of layer '{self.name}'", self.epsilon, minimum=0)

    @property
    def keeps_units(self) -> bool:
        """True: each value stays where it is, among others of its own input."""
        return True

    def pre_activation(self, x: Array) -> tuple[Array, Pullback]:
        """Return the normalized `x` (n_samples, ...), and its pullback."""
        indices = self._indices(x.shape[1:])
        axes = tuple(index + 1 for index in indices)
        centered = x - x.mean(axis=axes, keepdims=True)
        inverse = 1 / np.sqrt(
            (centered * centered).mean(axis=axes, keepdims=True) + x.dtype.type(self.epsilon)
        )
        normal = centered * inverse
        z = normal
        gamma = None if self.gamma is None else _along(self.gamma, indices, x.ndim - 1)
        if gamma is not None:
            z = z * gamma
        if self.beta is not None:
            z = z + _along(self.beta, indices, x.ndim - 1)

        def pullback(dz: Array) -> Array:
            dn = dz if gamma is None else dz * gamma
            along = (dn * normal).mean(axis=axes, keepdims=True)
            dx: Array = inverse * (dn - dn.mean(axis=axes, keepdims=True) - normal * along)
            return dx

        return z, pullback


@checked
@dataclass(frozen=True, slots=True, eq=False)
class Normalization(_AlongAxes):
    """Inputs less a mean, divided by a standard deviation: (x - mean) / max(sqrt(variance), 1e-7).

    Parameters
    ----------
    name : str
        The layer's name in its network.
    mean, variance : ndarray of the sizes of the inputs along `axis`, float32 or float64
        What the inputs are normalized by; the variance is at least 0.
    axis : tuple of int
        The axes that keep their values apart, counted with that of the samples or from the last; () for one
        mean and one variance.
    invert : bool
        Whether to go the other way: mean + x * max(sqrt(variance), 1e-7).

    Raises
    ------
    InputError
        If shapes, types or settings do not fit.
    """

    is_affine = is_elementwise = True
    measured = frozenset({"mean", "variance"})

    name: str
    mean: Array
    variance: Array
    axis: tuple[int, ...] = (-1,)
    invert: bool = False

    def __post_init__(self) -> None:
        _keep_axes(self, self.axis)
        keep_arrays(self)
        for name, values in self.variables.items():
            if values.ndim != len(self.axis) or values.shape != self.mean.shape:
                raise InputError(
                    f"layer '{self.name}': {name} must have one axis for each of {self.axis}, as mean, "
                    f"got shape {values.shape}"
                )
        if (self.variance < 0).any():
            raise InputError(
                f"layer '{self.name}': variance must not be negative, got {float(self.variance.min()):g}"
            )
        if not isinstance(self.invert, (bool, np.bool_)):
            raise InputError(f"layer '{self.name}': invert must be True or False, got {self.invert!r}")

    def pre_activation(self, x: Array) -> tuple[Array, Pullback]:
        """Return the normalized `x` (n_samples, ...), and its pullback."""
        indices = self._indices(x.shape[1:])
        mean = _along(self.mean, indices, x.ndim - 1)
        deviation = np.maximum(np.sqrt(self.variance), self.variance.dtype.type(_LEAST_DEVIATION))
        deviation = _along(deviation, indices, x.ndim - 1)
        if self.invert:
            return mean + x * deviation, lambda dz: dz * deviation
        return (x - mean) / deviation, lambda dz: dz / deviation
