"""What the layers for images have in common: the axis of the channels, padding and the steps of windows."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from typing import Literal

import numpy as np

from probe._checks import Array, InputError, check_choice
from probe.layers._base import Layer, Pair, check_axes
from probe.layers.activations import Pullback

DataFormat = Literal["channels_last", "channels_first"]
DATA_FORMATS = ("channels_last", "channels_first")

Padding = Literal["valid", "same"]
PADDINGS = ("valid", "same")


class ImageLayer(Layer):
    """A layer of images, which computes with the channels last whatever its `data_format` is."""

    __slots__ = ()

    data_format: DataFormat

    def _check_format(self) -> None:
        check_choice(f"data_format of layer '{self.name}'", self.data_format, DATA_FORMATS)

    @abstractmethod
    def _pre_activation(self, x: Array) -> tuple[Array, Pullback]:
        """Do what `pre_activation` does for `x` of shape (n_samples, height, width, channels)."""

    @abstractmethod
    def _output_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Do what `output_shape` does for (height, width, channels)."""

    def pre_activation(self, x: Array) -> tuple[Array, Pullback]:
        """Return the pre-activation of `x`, images with the channels where `data_format` says; its pullback."""
        if self.data_format == "channels_last":
            return self._pre_activation(x)
        z, pullback = self._pre_activation(np.moveaxis(x, 1, -1))
        return np.moveaxis(z, -1, 1), lambda dz: np.moveaxis(pullback(np.moveaxis(dz, 1, -1)), -1, 1)

    def _variable_gradients(self, x: Array, dz: Array) -> dict[str, Array]:
        """Do what `variable_gradients` does for arrays with the channels last."""
        return {}

    def variable_gradients(self, x: Array, dz: Array) -> dict[str, Array]:
        """Return the gradient with respect to each of `trainable`; see `Layer.variable_gradients`."""
        if self.data_format == "channels_first":
            x, dz = np.moveaxis(x, 1, -1), np.moveaxis(dz, 1, -1)
        return self._variable_gradients(x, dz)

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape of one output for images of `input_shape`, without n_samples.

        Raises
        ------
        InputError
            If these are not images, or nothing is left of them.
        """
        last = self.data_format == "channels_last"
        if len(input_shape) != 3:
            axes = "(height, width, channels)" if last else "(channels, height, width)"
            raise InputError(f"layer '{self.name}' takes images {axes}, but gets shape {input_shape}")
        if last:
            return check_axes(self, self._output_shape(input_shape))
        shape = self._output_shape((*input_shape[1:], input_shape[0]))
        return check_axes(self, (shape[-1], *shape[:-1]))


def window_padding(n: int, window: int, stride: int, padding: str) -> tuple[int, int, int]:
    """Return how many windows fit along one axis, and the padding before and after it.

    Parameters
    ----------
    n : int
        Length of the axis.
    window : int
        Length of a window from end to end, with its dilation.
    stride : int
        Step from window to window.
    padding : {"valid", "same"}
        "same" places ceil(n / stride) windows and pads the odd pixel after.

    Examples
    --------
    >>> window_padding(10, 3, 2, "same")
    (5, 0, 1)
    """
    if padding == "valid":
        return (n - window) // stride + 1, 0, 0
    n_windows = -(-n // stride)
    total = max((n_windows - 1) * stride + window - n, 0)
    return n_windows, total // 2, total - total // 2


def windows_of(
    layer: Layer, shape: tuple[int, ...], window: Pair, strides: Pair, padding: str
) -> tuple[Pair, tuple[Pair, Pair]]:
    """Return the numbers of windows along the height and the width, and the padding of each.

    Raises
    ------
    InputError
        If the image is smaller than one window.
    """
    (rows, top, bottom), (columns, left, right) = (
        window_padding(n, size, stride, padding)
        for n, size, stride in zip(shape, window, strides, strict=False)
    )
    if min(rows, columns) <= 0:
        raise InputError(
            f"layer '{layer.name}' needs images of at least {window[0]} x {window[1]}, "
            f"but gets {shape[0]} x {shape[1]}"
        )
    return (rows, columns), ((top, bottom), (left, right))


def padded(x: Array, margins: tuple[Pair, Pair], value: float = 0) -> Array:
    """Return images `x` (n_samples, height, width, channels) with margins of `value`; `x` itself for none."""
    (top, bottom), (left, right) = margins
    if top == bottom == left == right == 0:
        return x
    n_samples, height, width, channels = x.shape
    around = np.full((n_samples, height + top + bottom, width + left + right, channels), value, x.dtype)
    around[:, top : top + height, left : left + width] = x
    return around


def inside(x: Array, margins: tuple[Pair, Pair]) -> Array:
    """Return images without their margins."""
    (top, bottom), (left, right) = margins
    return x[:, top : x.shape[1] - bottom, left : x.shape[2] - right]


Pixels = tuple[slice, slice, slice]


def window_offsets(
    window: Pair, strides: Pair, dilation_rate: Pair, n_windows: Pair
) -> Iterator[tuple[Pair, Pixels]]:
    """Yield each offset (i, j) in a window, row by row, and the pixels that all windows have there.

    `x[pixels]` of padded images `x` has shape (n_samples, *n_windows, channels).
    """
    for i in range(window[0]):
        for j in range(window[1]):
            corner = i * dilation_rate[0], j * dilation_rate[1]
            yield (i, j), (slice(None), *(
                slice(start, start + (count - 1) * stride + 1, stride)
                for start, count, stride in zip(corner, n_windows, strides, strict=True)
            ))  # type: ignore[misc] # fmt: skip
