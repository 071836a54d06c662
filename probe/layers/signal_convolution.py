"""Convolutions of signals: the twins of those of images.

As in Keras these are correlations, and the kernels are those of the twins without the axis of the rows.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal

import numpy as np

from probe._checks import Array, check_choice
from probe._signatures import checked
from probe.layers._base import DataFormat, Padding
from probe.layers.activations import Activation
from probe.layers.convolution import Conv2D, Conv2DTranspose, DepthwiseConv2D, SeparableConv2D
from probe.layers.signals import SignalLayer

__all__ = ["Conv1D", "Conv1DTranspose", "DepthwiseConv1D", "SeparableConv1D"]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class _Convolution(SignalLayer):
    """What the convolutions of signals have in common: all but the kernels."""

    is_affine = True
    initial_values: ClassVar[Mapping[str, float]] = {"bias": 0.0}

    strides: int = 1
    padding: Padding = "valid"
    dilation_rate: int = 1
    activation_name: str | Activation = "linear"
    data_format: DataFormat = "channels_last"

    def __post_init__(self) -> None:
        self._keep()

    @property
    def n_filters(self) -> int:
        """Number of filters, which is that of the channels of the output."""
        name, axes = list(self.kernel_axes.items())[-1]
        return math.prod(self.variables[name].shape[axis] for axis in axes)


@checked
@dataclass(frozen=True, slots=True, eq=False)
class Conv1D(_Convolution):
    """A convolution of signals: each filter correlated with the signal, then the activation.

    Parameters
    ----------
    name : str
        The layer's name in its network.
    kernel : ndarray of shape (steps, channels / groups, filters), float32 or float64
        Weights.
    bias : ndarray of shape (filters,), of the type of `kernel`, or None
        Biases; None for a layer without.
    strides, dilation_rate : int
        Steps from window to window, and within a window; at least 1.
    padding : {"valid", "same", "causal"}
        As in `Conv2D`; "causal" pads with zeros before the first step only, so that no value looks ahead.
    groups : int
        Into how many groups, in order, channels and filters are split.
    activation_name : str or Activation
        As in `Dense`.
    data_format : {"channels_last", "channels_first"}
        Which axis of a signal is that of the channels.

    Examples
    --------
    >>> steps = np.array([-1.0, 1.0]).reshape(2, 1, 1)
    >>> Conv1D("steps", steps, padding="causal").forward(np.array([[[1.0], [4.0], [2.0]]]))[0].ravel()
    array([ 1.,  3., -2.])
    """

    kernel_axes: ClassVar[Mapping[str, tuple[int, ...]]] = {"kernel": (2,)}
    twin_kind = Conv2D

    name: str
    kernel: Array
    bias: Array | None = None
    groups: int = field(default=1, kw_only=True)
    padding: Literal["valid", "same", "causal"] = field(default="valid", kw_only=True)  # type: ignore[assignment]

    def __post_init__(self) -> None:
        check_choice(f"padding of layer '{self.name}'", self.padding, ("valid", "same", "causal"))
        self._keep()

    @property
    def _n_before(self) -> int:
        return (self.kernel.shape[0] - 1) * self.dilation_rate if self.padding == "causal" else 0

    def _led(self, x: Array) -> tuple[Array, int]:
        margins = [(0, 0)] * 3
        margins[2 if self.channels_first else 1] = (self._n_before, 0)
        return (np.pad(x, margins) if self._n_before else x), self._n_before

    def _led_shape(self, image: tuple[int, ...]) -> tuple[int, ...]:
        shape = [*image]
        shape[2 if self.channels_first else 1] += self._n_before
        return tuple(shape)


@checked
@dataclass(frozen=True, slots=True, eq=False)
class DepthwiseConv1D(_Convolution):
    """A convolution of each channel of a signal with kernels of its own.

    Parameters
    ----------
    name : str
        The layer's name in its network.
    kernel : ndarray of shape (steps, channels, multiplier), float32 or float64
        Weights; channel c of the signal becomes the channels c * multiplier and following of the output.
    bias : ndarray of shape (channels * multiplier,), of the type of `kernel`, or None
        Biases; None for a layer without.
    strides, padding, dilation_rate, activation_name, data_format
        As in `Conv1D`, without "causal".
    """

    kernel_axes: ClassVar[Mapping[str, tuple[int, ...]]] = {"kernel": (1, 2)}
    twin_kind = DepthwiseConv2D

    name: str
    kernel: Array
    bias: Array | None = None


@checked
@dataclass(frozen=True, slots=True, eq=False)
class SeparableConv1D(_Convolution):
    """A convolution of each channel of a signal with kernels of its own, then a mixture of the channels at each step.

    Parameters
    ----------
    name : str
        The layer's name in its network.
    depthwise_kernel : ndarray of shape (steps, channels, multiplier), float32 or float64
        Weights of the first step.
    pointwise_kernel : ndarray of shape (1, channels * multiplier, filters), of the same type
        Weights of the second step.
    bias : ndarray of shape (filters,), of the same type, or None
        Biases, added after both; None for a layer without.
    strides, padding, dilation_rate, activation_name, data_format
        As in `Conv1D`, without "causal".
    """

    kernel_axes: ClassVar[Mapping[str, tuple[int, ...]]] = {
        "depthwise_kernel": (1, 2),
        "pointwise_kernel": (2,),
    }
    twin_kind = SeparableConv2D

    name: str
    depthwise_kernel: Array
    pointwise_kernel: Array
    bias: Array | None = None

    def fans(self, kernel: str) -> tuple[int, int]:
        """Return the fans of a kernel; a filter of the first step reads one channel."""
        fan_in, fan_out = super(SeparableConv1D, self).fans(kernel)
        return (fan_in // self.depthwise_kernel.shape[1] if kernel == "depthwise_kernel" else fan_in), fan_out


@checked
@dataclass(frozen=True, slots=True, eq=False)
class Conv1DTranspose(_Convolution):
    """The way back through a convolution of signals, as a layer.

    Parameters
    ----------
    name : str
        The layer's name in its network.
    kernel : ndarray of shape (steps, filters, channels), float32 or float64
        Weights; note that the filters come before the channels.
    bias : ndarray of shape (filters,), of the type of `kernel`, or None
        Biases; None for a layer without.
    strides, padding, dilation_rate, activation_name, data_format
        As in `Conv2DTranspose`, of one axis.
    output_padding : int, optional
        Steps more than the least that leads here, below the stride; None as `padding` says.
    """

    kernel_axes: ClassVar[Mapping[str, tuple[int, ...]]] = {"kernel": (1,)}
    twin_kind = Conv2DTranspose

    name: str
    kernel: Array
    bias: Array | None = None
    output_padding: int | None = field(default=None, kw_only=True)
