"""The transposed convolution."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from probe._checks import Array, InputError
from probe._signatures import checked
from probe.layers._base import Pair, check_bias, keep_pair
from probe.layers._convolution import Convolution
from probe.layers._correlation import correlate, kernel_gradient, reach, spread
from probe.layers._images import DataFormat, Padding
from probe.layers.activations import Activation, Pullback

__all__ = ["Conv2DTranspose"]


@checked
@dataclass(frozen=True, slots=True, eq=False)
class Conv2DTranspose(Convolution):
    """The way back through a convolution, as a layer: each pixel becomes a window, and windows add up.

    Parameters
    ----------
    name : str
        The layer's name in its network.
    kernel : ndarray of shape (rows, columns, filters, channels), float32 or float64
        Weights; note that the filters come before the channels.
    bias : ndarray of shape (filters,), of the type of `kernel`
        Biases; zeros for a layer without.
    strides : (int, int)
        How far the windows of neighbouring pixels are apart, at least 1.
    padding : {"valid", "same"}
        "valid" keeps all that the windows cover; "same" cuts it to n * stride.
    output_padding : (int, int), optional
        Rows and columns more than the least that leads here, each below its stride; None as `padding` says.
    dilation_rate, activation_name, data_format, use_bias
        As in `Conv2D`.

    Raises
    ------
    InputError
        If shapes, types or settings do not fit.
    """

    kernel_axes: ClassVar[Mapping[str, tuple[int, ...]]] = {"kernel": (2,)}

    name: str
    kernel: Array
    bias: Array
    strides: Pair = (1, 1)
    padding: Padding = "valid"
    output_padding: Pair | None = None
    dilation_rate: Pair = (1, 1)
    activation_name: str | Activation = "linear"
    data_format: DataFormat = "channels_last"
    use_bias: bool = True
    _activation: Activation = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._keep()
        if self.output_padding is not None:
            keep_pair(self, "output_padding", self.output_padding, minimum=0)
            if any(extra >= step for extra, step in zip(self.output_padding, self.strides, strict=True)):
                raise InputError(
                    f"layer '{self.name}': output_padding must be below strides {self.strides}, "
                    f"got {self.output_padding}"
                )
        check_bias(self, self.bias, self.n_filters, self.kernel.shape, self.use_bias)

    @property
    def _kernels(self) -> dict[str, Array]:
        return {"kernel": self.kernel}

    @property
    def n_filters(self) -> int:
        """Number of filters, which is that of the channels of the output."""
        return int(self.kernel.shape[2])

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

        return spread(x, self.kernel, frame, *steps)[inside] + self.bias, pullback

    def _variable_gradients(self, x: Array, dz: Array) -> dict[str, Array]:
        steps = self.strides, self.dilation_rate
        found = kernel_gradient(self._around(dz, x.shape[1:]), x, self.kernel.shape, *steps)
        return self._with_bias({"kernel": found}, dz)

    def _output_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        channels = self.kernel.shape[3]
        if shape[2] != channels:
            raise InputError(
                f"layer '{self.name}' takes images of {channels} channels, but gets {shape[2]} channels "
                f"({shape[0]} x {shape[1]} pixels)"
            )
        (height, width), _ = self._sizes(shape)
        if min(height, width) <= 0:
            raise InputError(
                f"layer '{self.name}' leaves nothing of images of {shape[0]} x {shape[1]} pixels"
            )
        return height, width, self.n_filters
