"""A convolution without shared weights: at each place of the image other filters."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from probe._checks import Array, InputError
from probe._signatures import checked
from probe.layers._base import DataFormat, ImageLayer, Pair, keep_activation, keep_arrays, keep_pair
from probe.layers._windows import window_offsets, windows_of
from probe.layers.activations import Activation, Pullback

__all__ = ["LocallyConnected2D"]


@checked
@dataclass(frozen=True, slots=True, eq=False)
class LocallyConnected2D(ImageLayer):
    """Filters correlated with an image, with other weights for each window.

    Parameters
    ----------
    name : str
        The layer's name in its network.
    kernel : ndarray of shape (n_windows, n_in, filters), float32 or float64
        Weights, window by window, row by row; in a window pixels come row by row, each with its channels.
    bias : ndarray of shape (n_rows, n_columns, filters), of the type of `kernel`, or None
        Biases of each window; None for a layer without.
    kernel_size : (int, int)
        Height and width of a window, at least 1.
    strides : (int, int)
        Steps from window to window, at least 1.
    activation_name : str or Activation
        As in `Dense`.
    data_format : {"channels_last", "channels_first"}
        Which axis of an image is that of the channels.

    Raises
    ------
    InputError
        If shapes, types or settings do not fit.
    """

    is_affine = True
    kernel_axes: ClassVar[Mapping[str, tuple[int, ...]]] = {"kernel": (2,)}
    initial_values: ClassVar[Mapping[str, float]] = {"bias": 0.0}

    name: str
    kernel: Array
    bias: Array | None = None
    kernel_size: Pair = field(default=(1, 1), kw_only=True)
    strides: Pair = field(default=(1, 1), kw_only=True)
    activation_name: str | Activation = field(default="linear", kw_only=True)
    data_format: DataFormat = field(default="channels_last", kw_only=True)

    def __post_init__(self) -> None:
        if self.kernel.ndim != 3 or 0 in self.kernel.shape:
            raise InputError(
                f"layer '{self.name}': kernel must have three axes, got shape {self.kernel.shape}"
            )
        keep_arrays(self)
        keep_pair(self, "kernel_size", minimum=1)
        keep_pair(self, "strides", minimum=1)
        keep_activation(self)
        self._check_format()
        n_windows, _, filters = self.kernel.shape
        if self.bias is not None and (
            self.bias.ndim != 3
            or self.bias.shape[2] != filters
            or math.prod(self.bias.shape[:2]) != n_windows
        ):
            raise InputError(
                f"layer '{self.name}': bias must have shape (n_rows, n_columns, {filters}) of {n_windows} windows, "
                f"got {self.bias.shape}"
            )

    @property
    def n_filters(self) -> int:
        """Number of filters, which is that of the channels of the output."""
        return int(self.kernel.shape[2])

    @property
    def n_channels(self) -> int:
        """How many channels images have."""
        return int(self.kernel.shape[1]) // math.prod(self.kernel_size)

    def n_multiplications(self, output_shape: tuple[int, ...]) -> int:
        """Return how many multiplications with weights one output costs: each weight is used once."""
        return self.kernel.size

    def _output_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        (rows, columns), _ = windows_of(self, shape, self.kernel_size, self.strides, "valid")
        expected = rows * columns, math.prod(self.kernel_size) * shape[2]
        if self.kernel.shape[:2] != expected or (
            self.bias is not None and self.bias.shape[:2] != (rows, columns)
        ):
            raise InputError(
                f"layer '{self.name}' has a kernel of shape {self.kernel.shape}, which does not fit images of "
                f"{shape[0]} x {shape[1]} with {shape[2]} channels: it needs {(*expected, self.n_filters)}"
            )
        return rows, columns, self.n_filters

    def _places(self, shape: tuple[int, ...]) -> list[tuple[slice, slice, slice]]:
        """Return, for each place in a window, the pixels that all windows have there."""
        (rows, columns), _ = windows_of(self, shape, self.kernel_size, self.strides, "valid")
        return [
            pixels for _, pixels in window_offsets(self.kernel_size, self.strides, (1, 1), (rows, columns))
        ]

    def _unfolded(self, x: Array) -> Array:
        """Return the windows of images as (n_windows, n_samples, n_in)."""
        places = [x[pixels] for pixels in self._places(x.shape[1:])]
        windows = np.stack(places, axis=-2)
        return windows.reshape(len(x), *self.kernel.shape[:2]).transpose(1, 0, 2)

    def _pre_activation(self, x: Array) -> tuple[Array, Pullback]:
        shape = x.shape
        rows, columns, filters = self._output_shape(shape[1:])
        z = (
            np.matmul(self._unfolded(x), self.kernel)
            .transpose(1, 0, 2)
            .reshape(len(x), rows, columns, filters)
        )
        if self.bias is not None:
            z = z + self.bias

        def pullback(dz: Array) -> Array:
            deltas = dz.reshape(len(dz), rows * columns, filters).transpose(1, 0, 2)
            windows = np.matmul(deltas, self.kernel.transpose(0, 2, 1)).transpose(1, 0, 2)
            parts = windows.reshape(len(dz), rows, columns, math.prod(self.kernel_size), shape[3])
            dx = np.zeros((len(dz), *shape[1:]), windows.dtype)
            for pixels, part in zip(self._places(shape[1:]), np.moveaxis(parts, 3, 0), strict=True):
                dx[pixels] += part
            return dx

        return z, pullback

    def _variable_gradients(self, x: Array, dz: Array) -> dict[str, Array]:
        n_windows, _, filters = self.kernel.shape
        deltas = dz.reshape(len(dz), n_windows, filters).transpose(1, 0, 2)
        gradients = {
            "kernel": np.matmul(self._unfolded(x).transpose(0, 2, 1), deltas),
            "bias": dz.sum(axis=0),
        }
        return {name: gradients[name] for name in self.trainable}
