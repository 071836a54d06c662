"""Layers that normalize each input by itself, over groups of channels, neighboring channels, or to unit length."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from probe._checks import Array, InputError, check_choice, check_integer, check_number
from probe._signatures import checked
from probe.layers._base import (
    DATA_FORMATS,
    DataFormat,
    Layer,
    Shape,
    check_variables,
    keep_arrays,
    sample_axis,
)
from probe.layers.activations import Pullback

__all__ = ["GroupNormalization", "LocalResponseNormalization", "UnitNormalization"]


@checked
@dataclass(frozen=True, slots=True, eq=False)
class GroupNormalization(Layer):
    """Each group of channels less its mean, divided by its standard deviation, times gamma, plus beta.

    Parameters
    ----------
    name : str
        The layer's name in its network.
    gamma, beta : ndarray of shape (channels,), float32 or float64, or None
        Scale and shift of each channel; None for a layer without.
    groups : int
        Into how many groups, in order, the channels are split; -1 for one group for each channel.
    axis : int
        The axis of the channels, counted with that of the samples (which is 0) or from the last (-1).
    epsilon : float
        Added to the variance; at least 0.

    Raises
    ------
    InputError
        If shapes, types or settings do not fit.

    References
    ----------
    .. [1] Y. Wu, K. He, "Group Normalization", ECCV 2018.
    """

    initial_values: ClassVar[Mapping[str, float]] = {"gamma": 1.0, "beta": 0.0}

    name: str
    gamma: Array | None
    beta: Array | None
    groups: int = 32
    axis: int = -1
    epsilon: float = 1e-3

    def __post_init__(self) -> None:
        keep_arrays(self)
        check_integer(f"axis of layer '{self.name}'", self.axis, minimum=-32, maximum=32)
        check_number(f"epsilon of layer '{self.name}'", self.epsilon, minimum=0)
        check_integer(f"groups of layer '{self.name}'", self.groups, minimum=-1)
        if self.groups == 0:
            raise InputError(
                f"groups of layer '{self.name}' must be at least 1, or -1 for each channel, got 0"
            )

    def own_channel_axis(self, shape: Shape) -> int:
        """Return the axis that is split into groups."""
        return sample_axis(self, self.axis, len(shape))

    @property
    def keeps_units(self) -> bool:
        """True: each value stays where it is, among others of its own input."""
        return True

    def pre_activation(self, x: Array) -> tuple[Array, Pullback]:
        """Return the normalized `x` (n_samples, ...), and its pullback."""
        index = sample_axis(self, self.axis, x.ndim - 1) + 1
        normal, inverse = self._normalized(x)
        gamma = None if self.gamma is None else _along(self.gamma, index, x.ndim)
        z = normal if gamma is None else normal * gamma
        if self.beta is not None:
            z = z + _along(self.beta, index, x.ndim)

        def pullback(dz: Array) -> Array:
            dn, axes = self._grouped(dz if gamma is None else dz * gamma)
            n, _ = self._grouped(normal)
            mean, along = (each.mean(axis=axes, keepdims=True) for each in (dn, dn * n))
            dx: Array = inverse * (dn - mean - n * along)
            return dx.reshape(x.shape)

        return z, pullback

    def _normalized(self, x: Array) -> tuple[Array, Array]:
        """Return `x` normalized over each group, and what its groups were multiplied by."""
        grouped, axes = self._grouped(x)
        centered = grouped - grouped.mean(axis=axes, keepdims=True)
        variance = (centered * centered).mean(axis=axes, keepdims=True)
        inverse = 1 / np.sqrt(variance + x.dtype.type(self.epsilon))
        return (centered * inverse).reshape(x.shape), inverse

    def _grouped(self, x: Array) -> tuple[Array, tuple[int, ...]]:
        """Return `x` with its channels in two axes, of groups and within them, and all axes within groups."""
        index = sample_axis(self, self.axis, x.ndim - 1) + 1
        channels = x.shape[index]
        groups = channels if self.groups == -1 else self.groups
        grouped = x.reshape(*x.shape[:index], groups, channels // groups, *x.shape[index + 1 :])
        return grouped, tuple(axis for axis in range(1, grouped.ndim) if axis != index)

    def variable_gradients(self, x: Array, dz: Array) -> dict[str, Array]:
        """Return the gradients of gamma and beta, where there are."""
        index = sample_axis(self, self.axis, x.ndim - 1) + 1
        others = tuple(axis for axis in range(x.ndim) if axis != index)
        gradients = {"beta": dz.sum(axis=others)}
        if self.gamma is not None:
            gradients["gamma"] = (dz * self._normalized(x)[0]).sum(axis=others)
        return {name: gradients[name] for name in self.trainable}

    @classmethod
    def variable_shapes(cls, input_shape: Shape, settings: Mapping[str, Any]) -> dict[str, Shape]:
        """Return one gamma and one beta for each channel."""
        axis = settings["axis"]
        channels = input_shape[axis - 1 if axis > 0 else axis]
        return {"gamma": (channels,), "beta": (channels,)}

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return `input_shape`."""
        channels = input_shape[sample_axis(self, self.axis, len(input_shape))]
        if self.groups > 0 and channels % self.groups:
            raise InputError(
                f"layer '{self.name}': {channels} channels cannot be split into {self.groups} groups"
            )
        return check_variables(self, input_shape)


def _along(values: Array, index: int, n_axes: int) -> Array:
    """Return one value for each channel in a shape that broadcasts with arrays of `n_axes`."""
    return values.reshape([-1 if axis == index else 1 for axis in range(n_axes)])


@checked
@dataclass(frozen=True, slots=True)
class UnitNormalization(Layer):
    """Each input divided by its length along one axis or several: x / sqrt(max(sum(x**2), epsilon)).

    Parameters
    ----------
    name : str
        The layer's name in its network.
    axis : tuple of int
        The axes over which the squares are summed, counted with that of the samples (which is 0) or from the last.
    epsilon : float
        The least squared length that is divided by; above 0.
    """

    KERAS_EPSILON: ClassVar[float] = 1e-24

    name: str
    axis: tuple[int, ...] = (-1,)
    epsilon: float = KERAS_EPSILON

    @property
    def is_in_keras(self) -> bool:  # type: ignore[override]
        """Whether it has one axis, and the epsilon of Keras."""
        return self.epsilon == self.KERAS_EPSILON and len(self.axis) == 1

    def __post_init__(self) -> None:
        axes = self.axis if isinstance(self.axis, (tuple, list)) else (self.axis,)
        axes = tuple(
            check_integer(f"axis of layer '{self.name}'", one, minimum=-32, maximum=32) for one in axes
        )
        object.__setattr__(self, "axis", axes)
        check_number(f"epsilon of layer '{self.name}'", self.epsilon, above=0)

    @property
    def keeps_units(self) -> bool:
        """True: each value stays where it is, among others of its own input."""
        return True

    def pre_activation(self, x: Array) -> tuple[Array, Pullback]:
        """Return `x` (n_samples, ...) of unit length, and its pullback."""
        axes = tuple(sample_axis(self, axis, x.ndim - 1) + 1 for axis in self.axis)
        squared = (x * x).sum(axis=axes, keepdims=True)
        inverse = 1 / np.sqrt(np.maximum(squared, x.dtype.type(self.epsilon)))
        z = x * inverse

        def pullback(dz: Array) -> Array:
            along = (dz * z).sum(axis=axes, keepdims=True) * (squared > self.epsilon)
            dx: Array = inverse * (dz - z * along)
            return dx

        return z, pullback

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return `input_shape`."""
        for axis in self.axis:
            sample_axis(self, axis, len(input_shape))
        return input_shape


@checked
@dataclass(frozen=True, slots=True)
class LocalResponseNormalization(Layer):
    """Each value divided by what its neighbors in other channels are: x / (k + alpha * mean of squares)**beta.

    The mean is over `size` channels around its own, of which those outside count as 0; as in PyTorch and ONNX.

    Parameters
    ----------
    name : str
        The layer's name in its network.
    size : int
        How many channels are looked at, at least 1; of an even number one more before than after.
    alpha, beta, k : float
        The constants of the formula.
    data_format : {"channels_last", "channels_first"}
        Which axis of an input is that of the channels.

    References
    ----------
    .. [1] A. Krizhevsky, I. Sutskever, G. Hinton, "ImageNet Classification with Deep Convolutional Neural
       Networks", NeurIPS 2012.
    """

    is_in_keras = False

    name: str
    size: int
    alpha: float = 1e-4
    beta: float = 0.75
    k: float = 1.0
    data_format: DataFormat = "channels_last"

    def __post_init__(self) -> None:
        check_choice(f"data_format of layer '{self.name}'", self.data_format, DATA_FORMATS)
        check_integer(f"size of layer '{self.name}'", self.size, minimum=1)
        for setting in ("alpha", "beta", "k"):
            check_number(f"{setting} of layer '{self.name}'", getattr(self, setting))

    def own_channel_axis(self, shape: Shape) -> int:
        """Return the axis that `data_format` names."""
        return 0 if self.data_format == "channels_first" else len(shape) - 1

    @property
    def keeps_units(self) -> bool:
        """True: each value stays where it is, among others of its own input."""
        return True

    def pre_activation(self, x: Array) -> tuple[Array, Pullback]:
        """Return the normalized `x` (n_samples, ...), and its pullback."""
        share = x.dtype.type(self.alpha / self.size)
        base = self._summed(x * x, self.size // 2) * share + x.dtype.type(self.k)
        factor = base ** x.dtype.type(-self.beta)
        z = x * factor

        def pullback(dz: Array) -> Array:
            inner = self._summed(dz * z / base, (self.size - 1) // 2)
            dx: Array = dz * factor - 2 * self.beta * share * x * inner
            return dx

        return z, pullback

    def _summed(self, values: Array, before: int) -> Array:
        """Return for each channel the sum over the `before` channels before it, its own and those after it."""
        axis = 1 if self.data_format == "channels_first" else -1
        channels = np.moveaxis(values, axis, 0)
        n, total = len(channels), np.zeros_like(channels)
        for offset in range(max(-before, 1 - n), min(self.size - before, n)):
            total[max(-offset, 0) : n - max(offset, 0)] += channels[max(offset, 0) : n + min(offset, 0)]
        return np.moveaxis(total, 0, axis)

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return `input_shape`."""
        if not input_shape:
            raise InputError(f"layer '{self.name}' takes inputs with channels, but gets shape ()")
        return input_shape
