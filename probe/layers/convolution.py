"""Convolution layers: plain and grouped, one channel at a time, separable, and transposed.

As in Keras these are correlations: the kernel is not flipped.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from probe._checks import Array, InputError, check_choice, check_integer
from probe._signatures import checked
from probe.layers._base import (
    PADDINGS,
    DataFormat,
    ImageLayer,
    Padding,
    Pair,
    check_bias,
    keep_activation,
    keep_arrays,
    keep_pair,
)
from probe.layers._windows import (
    correlate,
    correlate_each,
    correlate_pullback,
    each_kernel_gradient,
    kernel_gradient,
    padded,
    reach,
    spread,
    spread_each,
    summed,
    windows_of,
)
from probe.layers.activations import Activation, Pullback

__all__ = ["Conv2D", "Conv2DTranspose", "DepthwiseConv2D", "SeparableConv2D"]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class _Convolution(ImageLayer):
    """What the convolution layers have in common: all but the kernels, which `kernel_axes` names."""

    is_affine = True
    initial_values: ClassVar[Mapping[str, float]] = {"bias": 0.0}

    strides: Pair = (1, 1)
    padding: Padding = "valid"
    dilation_rate: Pair = (1, 1)
    activation_name: str | Activation = "linear"
    data_format: DataFormat = "channels_last"

    def __post_init__(self) -> None:
        for name, kernel in self._kernels.items():
            if kernel.ndim != 4 or 0 in kernel.shape:
                raise InputError(f"layer '{self.name}': {name} must have four axes, got shape {kernel.shape}")
        keep_arrays(self)
        self._check_format()
        keep_pair(self, "strides", minimum=1)
        keep_pair(self, "dilation_rate", minimum=1)
        check_choice(f"padding of layer '{self.name}'", self.padding, PADDINGS)
        keep_activation(self)
        self._check_settings()
        check_bias(self, self.n_filters, list(self._kernels.values())[-1])

    def _check_settings(self) -> None:
        """Check what only this kind has."""

    @property
    def _kernels(self) -> dict[str, Array]:
        return {name: getattr(self, name) for name in self.kernel_axes}

    @property
    def n_filters(self) -> int:
        """Number of filters, which is that of the channels of the output."""
        name, axes = list(self.kernel_axes.items())[-1]
        return math.prod(getattr(self, name).shape[axis] for axis in axes)

    def _with_bias(self, gradients: dict[str, Array], dz: Array) -> dict[str, Array]:
        """Return the gradients of the kernels, and that of the bias if there is one."""
        has_bias = "bias" in self.variables
        return gradients | ({"bias": summed(dz)} if has_bias else {})

    @property
    def _n_channels(self) -> int:
        """How many channels images have."""
        return int(next(iter(self._kernels.values())).shape[2])

    def _check_channels(self, shape: tuple[int, ...]) -> None:
        """Raise unless images of `shape` (height, width, channels) have as many channels as the kernel takes."""
        if shape[2] != self._n_channels:
            raise InputError(
                f"layer '{self.name}' takes images of {self._n_channels} channels, but gets {shape[2]} channels "
                f"({shape[0]} x {shape[1]} pixels)"
            )

    def _windows(self, shape: tuple[int, ...]) -> tuple[Pair, tuple[Pair, Pair]]:
        """Return the numbers of windows in images of `shape` (height, width, channels), and the padding."""
        self._check_channels(shape)
        window = reach(next(iter(self._kernels.values())).shape, self.dilation_rate)
        return windows_of(self, shape, window, self.strides, self.padding)

    def _output_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        return (*self._windows(shape)[0], self.n_filters)


@checked
@dataclass(frozen=True, slots=True, eq=False)
class Conv2D(_Convolution):
    """A two-dimensional convolution: each filter correlated with the image, then the activation.

    Parameters
    ----------
    name : str
        The layer's name in its network.
    kernel : ndarray of shape (rows, columns, channels / groups, filters), float32 or float64
        Weights.
    bias : ndarray of shape (filters,), of the type of `kernel`, or None
        Biases; None for a layer without.
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

    Examples
    --------
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
    bias: Array | None = None
    groups: int = field(default=1, kw_only=True)

    def _check_settings(self) -> None:
        check_integer(f"groups of layer '{self.name}'", self.groups, minimum=1)
        if self.n_filters % self.groups:
            raise InputError(
                f"layer '{self.name}': {self.n_filters} filters cannot be split into {self.groups} groups"
            )

    @property
    def _n_channels(self) -> int:
        return int(self.kernel.shape[2]) * self.groups

    def _pre_activation(self, x: Array) -> tuple[Array, Pullback]:
        _, margins = self._windows(x.shape[1:])
        settings = self.strides, self.dilation_rate, self.groups
        shape = x.shape[1:]
        z = correlate(padded(x, margins), self.kernel, *settings, self.bias)
        return z, lambda dz: correlate_pullback(dz, self.kernel, shape, margins, *settings)

    def _variable_gradients(self, x: Array, dz: Array) -> dict[str, Array]:
        _, margins = self._windows(x.shape[1:])
        settings = self.kernel.shape, self.strides, self.dilation_rate, self.groups
        return self._with_bias({"kernel": kernel_gradient(padded(x, margins), dz, *settings)}, dz)


@checked
@dataclass(frozen=True, slots=True, eq=False)
class DepthwiseConv2D(_Convolution):
    """A convolution of each channel with kernels of its own.

    Parameters
    ----------
    name : str
        The layer's name in its network.
    kernel : ndarray of shape (rows, columns, channels, multiplier), float32 or float64
        Weights; channel c of the image becomes the channels c * multiplier and following of the output.
    bias : ndarray of shape (channels * multiplier,), of the type of `kernel`, or None
        Biases; None for a layer without.
    strides, padding, dilation_rate, activation_name, data_format
        As in `Conv2D`.
    """

    kernel_axes: ClassVar[Mapping[str, tuple[int, ...]]] = {"kernel": (2, 3)}

    name: str
    kernel: Array
    bias: Array | None = None

    def _pre_activation(self, x: Array) -> tuple[Array, Pullback]:
        z, pullback = _each_channel(self, x, self.kernel)
        if self.bias is not None:
            z += self.bias
        return z, pullback

    def _variable_gradients(self, x: Array, dz: Array) -> dict[str, Array]:
        return self._with_bias({"kernel": _each_kernel_gradient(self, x, dz, self.kernel)}, dz)


def _each_channel(layer: _Convolution, x: Array, kernel: Array) -> tuple[Array, Pullback]:
    """Return the correlation of each channel with its kernels, and the pullback."""
    n_windows, margins = layer._windows(x.shape[1:])
    (top, bottom), (left, right) = margins
    _, height, width, _ = x.shape
    frame = height + top + bottom, width + left + right
    steps = layer.strides, layer.dilation_rate

    def pullback(dz: Array) -> Array:
        dx = spread_each(dz, kernel, frame, *steps)
        return dx[:, top : top + height, left : left + width]

    return correlate_each(padded(x, margins), kernel, *steps, n_windows), pullback


def _each_kernel_gradient(layer: _Convolution, x: Array, dz: Array, kernel: Array) -> Array:
    """Return the gradient with respect to `kernel` of the correlation of each channel with its kernels."""
    _, margins = layer._windows(x.shape[1:])
    return each_kernel_gradient(padded(x, margins), dz, kernel.shape, layer.strides, layer.dilation_rate)


@checked
@dataclass(frozen=True, slots=True, eq=False)
class SeparableConv2D(_Convolution):
    """A convolution of each channel with kernels of its own, then a mixture of the channels at each pixel.

    Parameters
    ----------
    name : str
        The layer's name in its network.
    depthwise_kernel : ndarray of shape (rows, columns, channels, multiplier), float32 or float64
        Weights of the first step.
    pointwise_kernel : ndarray of shape (1, 1, channels * multiplier, filters), of the same type
        Weights of the second step.
    bias : ndarray of shape (filters,), of the same type, or None
        Biases, added after both; None for a layer without.
    strides, padding, dilation_rate
        As in `Conv2D`; of the first step.
    activation_name, data_format
        As in `Conv2D`.
    """

    kernel_axes: ClassVar[Mapping[str, tuple[int, ...]]] = {
        "depthwise_kernel": (2, 3),
        "pointwise_kernel": (3,),
    }

    name: str
    depthwise_kernel: Array
    pointwise_kernel: Array
    bias: Array | None = None

    def _check_settings(self) -> None:
        _, _, channels, multiplier = self.depthwise_kernel.shape
        if self.pointwise_kernel.shape[:3] != (1, 1, channels * multiplier):
            raise InputError(
                f"layer '{self.name}': pointwise_kernel must have shape (1, 1, {channels * multiplier}, filters) "
                f"for a depthwise_kernel of shape {self.depthwise_kernel.shape}, "
                f"got {self.pointwise_kernel.shape}"
            )

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
        gradients = {
            "depthwise_kernel": _each_kernel_gradient(self, x, dz @ mix[0, 0].T, self.depthwise_kernel),
            "pointwise_kernel": kernel_gradient(depthwise, dz, mix.shape),
        }
        return self._with_bias(gradients, dz)


@checked
@dataclass(frozen=True, slots=True, eq=False)
class Conv2DTranspose(_Convolution):
    """The way back through a convolution, as a layer: each pixel becomes a window, and windows add up.

    Parameters
    ----------
    name : str
        The layer's name in its network.
    kernel : ndarray of shape (rows, columns, filters, channels), float32 or float64
        Weights; note that the filters come before the channels.
    bias : ndarray of shape (filters,), of the type of `kernel`, or None
        Biases; None for a layer without.
    strides : (int, int)
        How far the windows of neighboring pixels are apart, at least 1.
    padding : {"valid", "same"}
        "valid" keeps all that the windows cover; "same" cuts it to n * stride.
    output_padding : (int, int), optional
        Rows and columns more than the least that leads here, each below its stride; None as `padding` says.
    dilation_rate, activation_name, data_format
        As in `Conv2D`.
    """

    kernel_axes: ClassVar[Mapping[str, tuple[int, ...]]] = {"kernel": (2,)}

    name: str
    kernel: Array
    bias: Array | None = None
    output_padding: Pair | None = field(default=None, kw_only=True)

    def _check_settings(self) -> None:
        if self.output_padding is not None:
            keep_pair(self, "output_padding", minimum=0)
            if any(extra >= step for extra, step in zip(self.output_padding, self.strides, strict=True)):
                raise InputError(
                    f"layer '{self.name}': output_padding must be below strides {self.strides}, "
                    f"got {self.output_padding}"
                )

    @property
    def _n_channels(self) -> int:
        return int(self.kernel.shape[3])

    def _sizes(self, shape: tuple[int, ...]) -> tuple[Pair, Pair]:
        """Return height and width of the output, and how much is cut off before it."""
        extras = (None, None) if self.output_padding is None else self.output_padding
        span = reach(self.kernel.shape, self.dilation_rate)
        sizes, cuts = [], []
        for n, window, stride, extra in zip(shape, span, self.strides, extras, strict=False):
            covered = (n - 1) * stride + window
            if self.padding == "valid":
                size = covered + (max(stride - window, 0) if extra is None else extra)
            else:
                size = n * stride if extra is None else covered - 2 * (window // 2) + extra
            sizes.append(size)
            cuts.append(max(covered - size, 0) // 2 if self.padding == "same" else 0)
        return (sizes[0], sizes[1]), (cuts[0], cuts[1])

    def _frame(self, shape: tuple[int, ...]) -> tuple[Pair, tuple[slice, ...]]:
        """Return height and width of all that the windows cover, and what of it is the output."""
        sizes, cuts = self._sizes(shape)
        span = reach(self.kernel.shape, self.dilation_rate)
        rows, columns = (
            max((n - 1) * stride + window, cut + size)
            for n, stride, window, cut, size in zip(shape, self.strides, span, cuts, sizes, strict=False)
        )
        (height, width), (top, left) = sizes, cuts
        return (rows, columns), np.s_[:, top : top + height, left : left + width]

    def _around(self, dz: Array, shape: tuple[int, ...]) -> Array:
        """Return dC/dz in the frame of all that the windows cover."""
        frame, inside = self._frame(shape)
        around = np.zeros((len(dz), *frame, dz.shape[3]), dz.dtype)
        around[inside] = dz
        return around

    def _pre_activation(self, x: Array) -> tuple[Array, Pullback]:
        shape = x.shape[1:]
        frame, inside = self._frame(shape)
        steps = self.strides, self.dilation_rate

        def pullback(dz: Array) -> Array:
            return correlate(self._around(dz, shape), self.kernel, *steps)[:, : shape[0], : shape[1]]

        z = spread(x, self.kernel, frame, *steps)[inside]
        return (z.copy() if self.bias is None else z + self.bias), pullback

    def _variable_gradients(self, x: Array, dz: Array) -> dict[str, Array]:
        around, steps = self._around(dz, x.shape[1:]), (self.strides, self.dilation_rate)
        return self._with_bias({"kernel": kernel_gradient(around, x, self.kernel.shape, *steps)}, dz)

    def _output_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        self._check_channels(shape)
        (height, width), _ = self._sizes(shape)
        if min(height, width) <= 0:
            raise InputError(
                f"layer '{self.name}' leaves nothing of images of {shape[0]} x {shape[1]} pixels"
            )
        return height, width, self.n_filters
