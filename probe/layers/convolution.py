"""Convolution layers: plain and grouped, one channel at a time, and separable.

As in Keras these are correlations: the kernel is not flipped.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from probe._checks import Array, InputError, check_integer
from probe._signatures import checked
from probe.layers._base import Pair, check_bias
from probe.layers._convolution import Convolution
from probe.layers._correlation import (
    correlate,
    correlate_each,
    correlate_pullback,
    correlate_rows,
    each_kernel_gradient,
    kernel_gradient,
    spread_each,
    takes_rows,
)
from probe.layers._images import DataFormat, Padding, padded
from probe.layers.activations import Activation, Pullback

__all__ = ["Conv2D", "DepthwiseConv2D", "SeparableConv2D"]


@checked
@dataclass(frozen=True, slots=True, eq=False)
class Conv2D(Convolution):
    """A two-dimensional convolution: each filter correlated with the image, then the activation.

    Parameters
    ----------
    name : str
        The layer's name in its network.
    kernel : ndarray of shape (rows, columns, channels / groups, filters), float32 or float64
        Weights.
    bias : ndarray of shape (filters,), of the type of `kernel`
        Biases; zeros for a layer without.
    strides : (int, int)
        Steps from window to window, at least 1.
    padding : {"valid", "same"}
        "valid" uses windows inside the image only; "same" pads with zeros to ceil(n / stride) windows, the
        odd row or column at the bottom and right.
    dilation_rate : (int, int)
        Steps within a window, at least 1.
    groups : int
        Into how many groups, in order, channels and filters are split.
    activation_name : str or Activation
        A key of `probe.layers.ACTIVATIONS`, "softmax" or "log_softmax", or an activation with settings.
    data_format : {"channels_last", "channels_first"}
        Which axis of an image is that of the channels.
    use_bias : bool
        Whether the bias is one of the layer's variables; it must be zero otherwise.

    Raises
    ------
    InputError
        If shapes, types or settings do not fit.

    Examples
    --------
    >>> import numpy as np
    >>> edges = np.array([-1.0, 1.0]).reshape(1, 2, 1, 1)
    >>> layer = Conv2D("edges", edges, np.zeros(1))
    >>> image = np.array([[1.0, 1.0, 4.0], [3.0, 2.0, 1.0]]).reshape(1, 2, 3, 1)
    >>> layer.forward(image)[0][0, :, :, 0]
    array([[ 0.,  3.],
           [-1., -1.]])
    """

    kernel_axes: ClassVar[Mapping[str, tuple[int, ...]]] = {"kernel": (3,)}

    name: str
    kernel: Array
    bias: Array
    strides: Pair = (1, 1)
    padding: Padding = "valid"
    dilation_rate: Pair = (1, 1)
    groups: int = 1
    activation_name: str | Activation = "linear"
    data_format: DataFormat = "channels_last"
    use_bias: bool = True
    _activation: Activation = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._keep()
        check_integer(f"groups of layer '{self.name}'", self.groups, minimum=1)
        if self.n_filters % self.groups:
            raise InputError(
                f"layer '{self.name}': {self.n_filters} filters cannot be split into {self.groups} groups"
            )
        check_bias(self, self.bias, self.n_filters, self.kernel.shape, self.use_bias)

    @property
    def _kernels(self) -> dict[str, Array]:
        return {"kernel": self.kernel}

    @property
    def n_filters(self) -> int:
        """Number of filters, which is that of the channels of the output."""
        return int(self.kernel.shape[3])

    def _pre_activation(self, x: Array) -> tuple[Array, Pullback]:
        _, margins = self._windows(x.shape[1:], self.kernel, self.kernel.shape[2] * self.groups)
        settings = self.strides, self.dilation_rate, self.groups
        shape = x.shape[1:]
        if self.strides == (1, 1) and self.groups == 1 and takes_rows(shape, self.kernel, margins):
            z = correlate_rows(x, self.kernel, margins, self.dilation_rate, self.bias)
        else:
            z = correlate(padded(x, margins), self.kernel, *settings, self.bias)
        return z, lambda dz: correlate_pullback(dz, self.kernel, shape, margins, *settings)

    def _variable_gradients(self, x: Array, dz: Array) -> dict[str, Array]:
        _, margins = self._windows(x.shape[1:], self.kernel, self.kernel.shape[2] * self.groups)
        settings = self.strides, self.dilation_rate, self.groups
        found = kernel_gradient(padded(x, margins), dz, self.kernel.shape, *settings)
        return self._with_bias({"kernel": found}, dz)

    def _output_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        n_windows, _ = self._windows(shape, self.kernel, self.kernel.shape[2] * self.groups)
        return (*n_windows, self.n_filters)


@checked
@dataclass(frozen=True, slots=True, eq=False)
class DepthwiseConv2D(Convolution):
    """A convolution of each channel with kernels of its own.

    Parameters
    ----------
    name : str
        The layer's name in its network.
    kernel : ndarray of shape (rows, columns, channels, multiplier), float32 or float64
        Weights; channel c of the image becomes the channels c * multiplier and following of the output.
    bias : ndarray of shape (channels * multiplier,), of the type of `kernel`
        Biases; zeros for a layer without.
    strides, padding, dilation_rate, activation_name, data_format, use_bias
        As in `Conv2D`.

    Raises
    ------
    InputError
        If shapes, types or settings do not fit.
    """

    kernel_axes: ClassVar[Mapping[str, tuple[int, ...]]] = {"kernel": (2, 3)}

    name: str
    kernel: Array
    bias: Array
    strides: Pair = (1, 1)
    padding: Padding = "valid"
    dilation_rate: Pair = (1, 1)
    activation_name: str | Activation = "linear"
    data_format: DataFormat = "channels_last"
    use_bias: bool = True
    _activation: Activation = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._keep()
        check_bias(self, self.bias, self.n_filters, self.kernel.shape, self.use_bias)

    @property
    def _kernels(self) -> dict[str, Array]:
        return {"kernel": self.kernel}

    @property
    def n_filters(self) -> int:
        """Number of channels of the output."""
        return int(self.kernel.shape[2] * self.kernel.shape[3])

    def _pre_activation(self, x: Array) -> tuple[Array, Pullback]:
        z, pullback = _each_channel(self, x, self.kernel)
        z += self.bias
        return z, pullback

    def _variable_gradients(self, x: Array, dz: Array) -> dict[str, Array]:
        return self._with_bias({"kernel": _each_kernel_gradient(self, x, dz, self.kernel)}, dz)

    def _output_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        n_windows, _ = self._windows(shape, self.kernel, self.kernel.shape[2])
        return (*n_windows, self.n_filters)


def _each_channel(layer: Convolution, x: Array, kernel: Array) -> tuple[Array, Pullback]:
    """Return the correlation of each channel with its kernels, and the pullback."""
    n_windows, margins = layer._windows(x.shape[1:], kernel, kernel.shape[2])
    (top, bottom), (left, right) = margins
    _, height, width, _ = x.shape
    frame = height + top + bottom, width + left + right
    steps = layer.strides, layer.dilation_rate

    def pullback(dz: Array) -> Array:
        dx = spread_each(dz, kernel, frame, *steps)
        return dx[:, top : top + height, left : left + width]

    return correlate_each(padded(x, margins), kernel, *steps, n_windows), pullback


def _each_kernel_gradient(layer: Convolution, x: Array, dz: Array, kernel: Array) -> Array:
    """Return the gradient with respect to `kernel` of the correlation of each channel with its kernels."""
    _, margins = layer._windows(x.shape[1:], kernel, kernel.shape[2])
    return each_kernel_gradient(padded(x, margins), dz, kernel.shape, layer.strides, layer.dilation_rate)


@checked
@dataclass(frozen=True, slots=True, eq=False)
class SeparableConv2D(Convolution):
    """A convolution of each channel with kernels of its own, then a mixture of the channels at each pixel.

    Parameters
    ----------
    name : str
        The layer's name in its network.
    depthwise_kernel : ndarray of shape (rows, columns, channels, multiplier), float32 or float64
        Weights of the first step.
    pointwise_kernel : ndarray of shape (1, 1, channels * multiplier, filters), of the same type
        Weights of the second step.
    bias : ndarray of shape (filters,), of the same type
        Biases, added after both; zeros for a layer without.
    strides, padding, dilation_rate
        As in `Conv2D`; of the first step.
    activation_name, data_format, use_bias
        As in `Conv2D`.

    Raises
    ------
    InputError
        If shapes, types or settings do not fit.
    """

    kernel_axes: ClassVar[Mapping[str, tuple[int, ...]]] = {
        "depthwise_kernel": (2, 3),
        "pointwise_kernel": (3,),
    }

    name: str
    depthwise_kernel: Array
    pointwise_kernel: Array
    bias: Array
    strides: Pair = (1, 1)
    padding: Padding = "valid"
    dilation_rate: Pair = (1, 1)
    activation_name: str | Activation = "linear"
    data_format: DataFormat = "channels_last"
    use_bias: bool = True
    _activation: Activation = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._keep()
        _, _, channels, multiplier = self.depthwise_kernel.shape
        found = self.pointwise_kernel.shape
        if found[:3] != (1, 1, channels * multiplier):
            raise InputError(
                f"layer '{self.name}': pointwise_kernel must have shape (1, 1, {channels * multiplier}, filters) "
                f"for a depthwise_kernel of shape {self.depthwise_kernel.shape}, got {found}"
            )
        check_bias(self, self.bias, self.n_filters, found, self.use_bias)

    @property
    def _kernels(self) -> dict[str, Array]:
        return {"depthwise_kernel": self.depthwise_kernel, "pointwise_kernel": self.pointwise_kernel}

    @property
    def n_filters(self) -> int:
        """Number of filters, which is that of the channels of the output."""
        return int(self.pointwise_kernel.shape[3])

    def fans(self, kernel: str) -> tuple[int, int]:
        """Return the fans of a kernel; a filter of the first step reads one channel."""
        fan_in, fan_out = super(SeparableConv2D, self).fans(kernel)
        return (fan_in // self.depthwise_kernel.shape[2] if kernel == "depthwise_kernel" else fan_in), fan_out

    def _pre_activation(self, x: Array) -> tuple[Array, Pullback]:
        depthwise, pullback = _each_channel(self, x, self.depthwise_kernel)
        z = correlate(depthwise, self.pointwise_kernel, bias=self.bias)
        mix = self.pointwise_kernel[0, 0]
        return z, lambda dz: pullback(dz @ mix.T)

    def _variable_gradients(self, x: Array, dz: Array) -> dict[str, Array]:
        depthwise, _ = _each_channel(self, x, self.depthwise_kernel)
        mix = self.pointwise_kernel
        found = {
            "depthwise_kernel": _each_kernel_gradient(self, x, dz @ mix[0, 0].T, self.depthwise_kernel),
            "pointwise_kernel": kernel_gradient(depthwise, dz, mix.shape),
        }
        return self._with_bias(found, dz)

    def _output_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        n_windows, _ = self._windows(shape, self.depthwise_kernel, self.depthwise_kernel.shape[2])
        return (*n_windows, self.n_filters)
