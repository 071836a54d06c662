"""Layers that make images smaller or larger and learn nothing: pooling, padding and cropping."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from probe._checks import Array, InputError, check_choice, check_integer
from probe._signatures import checked
from probe.layers._base import PADDINGS, DataFormat, ImageLayer, Padding, Pair, keep_pair
from probe.layers._windows import inside, padded, reach, window_offsets, windows_of
from probe.layers.activations import Pullback

__all__ = [
    "AveragePooling2D",
    "Cropping2D",
    "GlobalAveragePooling2D",
    "GlobalMaxPooling2D",
    "MaxPooling2D",
    "ZeroPadding2D",
]

Margins = tuple[Pair, Pair]
"""((top, bottom), (left, right))."""


@dataclass(frozen=True, slots=True)
class _Pooling(ImageLayer):
    """What the two poolings have in common."""

    name: str
    pool_size: Pair = (2, 2)
    strides: Pair | None = None
    padding: Padding | Margins = "valid"
    data_format: DataFormat = "channels_last"

    def __post_init__(self) -> None:
        self._check_format()
        keep_pair(self, "pool_size", minimum=1)
        if self.strides is not None:
            keep_pair(self, "strides", minimum=1)
        if isinstance(self.padding, str):
            check_choice(f"padding of layer '{self.name}'", self.padding, PADDINGS)
            return
        _keep_margins(self, "padding")
        if any(max(pair) >= size for pair, size in zip(self.padding, self._span, strict=True)):
            raise InputError(
                f"layer '{self.name}': padding must be less than a window, {self._span[0]} x {self._span[1]}, "
                f"got {self.padding}"
            )

    @property
    def _steps(self) -> Pair:
        return self.pool_size if self.strides is None else self.strides

    @property
    def is_in_keras(self) -> bool:  # type: ignore[override]
        """Whether its padding has a name, and its windows are dense."""
        return isinstance(self.padding, str) and self._dilation == (1, 1)

    @property
    def _dilation(self) -> Pair:
        return (1, 1)

    @property
    def _span(self) -> Pair:
        """Height and width of a window from end to end."""
        return reach(self.pool_size, self._dilation)

    def _windows(self, shape: tuple[int, ...]) -> tuple[Pair, Margins]:
        return windows_of(self, shape, self._span, self._steps, self.padding)

    def _offsets(self, n_windows: Pair) -> list[tuple[slice, slice, slice]]:
        return [
            pixels for _, pixels in window_offsets(self.pool_size, self._steps, self._dilation, n_windows)
        ]

    def _give(self, dx: Array, pixels: tuple[slice, slice, slice], values: Array) -> None:
        """Add `values` to those pixels of `dx`; put them there where no other window has these."""
        if all(step >= size for step, size in zip(self._steps, self._span, strict=True)):
            dx[pixels] = values
        else:
            dx[pixels] += values

    def _output_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        return (*self._windows(shape)[0], shape[2])


@checked
@dataclass(frozen=True, slots=True)
class MaxPooling2D(_Pooling):
    """The greatest value of each window, for each channel.

    Where several are the greatest, the gradient goes to the first of them, row by row, as in Keras.

    Parameters
    ----------
    name : str
        The layer's name in its network.
    pool_size : (int, int)
        Height and width of a window, at least 1.
    strides : (int, int), optional
        Steps from window to window; `pool_size` by default.
    padding : {"valid", "same"} or ((top, bottom), (left, right))
        "valid" uses windows inside the image only; "same" places ceil(n / stride) windows. Or how many rows and
        columns there are around the image. What lies outside of the image does not count.
    data_format : {"channels_last", "channels_first"}
        Which axis of an image is that of the channels.
    dilation_rate : (int, int)
        Steps within a window, at least 1.

    Examples
    --------
    >>> image = np.array([[1.0, 2.0, 5.0], [4.0, 3.0, 5.0]]).reshape(1, 2, 3, 1)
    >>> MaxPooling2D("pool", padding="same").forward(image)[0].ravel()
    array([4., 5.])
    """

    is_monotone = is_channelwise = selects = True

    dilation_rate: Pair = (1, 1)

    def __post_init__(self) -> None:
        keep_pair(self, "dilation_rate", minimum=1)
        super(MaxPooling2D, self).__post_init__()

    @property
    def _dilation(self) -> Pair:
        return self.dilation_rate

    def _pre_activation(self, x: Array) -> tuple[Array, Pullback]:
        n_windows, margins = self._windows(x.shape[1:])
        offsets = self._offsets(n_windows)
        around = padded(x, margins, -np.inf)
        z = around[offsets[0]].copy()
        for pixels in offsets[1:]:
            np.maximum(z, around[pixels], out=z)

        def pullback(dz: Array) -> Array:
            dx = np.zeros(around.shape, dz.dtype)
            left = dz.copy()
            for pixels in offsets[:-1]:
                part = left * (around[pixels] == z)
                self._give(dx, pixels, part)
                left -= part
            # The last pixel is the greatest where no other was.
            self._give(dx, offsets[-1], left)
            return inside(dx, margins)

        return z, pullback


@checked
@dataclass(frozen=True, slots=True)
class AveragePooling2D(_Pooling):
    """The mean of each window, for each channel.

    Parameters
    ----------
    name, pool_size, strides, padding, data_format
        As in `MaxPooling2D`; with padding each mean is over those of its pixels that are inside.
    """

    is_affine = is_monotone = is_channelwise = True

    def _pre_activation(self, x: Array) -> tuple[Array, Pullback]:
        n_windows, margins = self._windows(x.shape[1:])
        offsets = self._offsets(n_windows)
        around = padded(x, margins)
        shape = around.shape
        counts = self._counts(x.shape[1:3], margins, n_windows).astype(x.dtype)
        z = around[offsets[0]].copy()
        for pixels in offsets[1:]:
            z += around[pixels]
        z /= counts

        def pullback(dz: Array) -> Array:
            share = dz / counts
            dx = np.zeros(shape, share.dtype)
            for pixels in offsets:
                self._give(dx, pixels, share)
            return inside(dx, margins)

        return z, pullback

    def _counts(self, size: tuple[int, ...], margins: Margins, n_windows: Pair) -> Array:
        """Return how many pixels of each window are inside, of shape (n_rows, n_columns, 1)."""
        rows, columns = (
            np.minimum(starts + window, n) - np.maximum(starts, 0)
            for n, (before, _), window, stride, count in zip(
                size, margins, self.pool_size, self._steps, n_windows, strict=True
            )
            for starts in [np.arange(count) * stride - before]
        )
        return np.outer(rows, columns)[:, :, None].astype(np.float64)


@dataclass(frozen=True, slots=True)
class _GlobalPooling(ImageLayer):
    """What the two poolings of whole images have in common."""

    name: str
    keepdims: bool = False
    data_format: DataFormat = "channels_last"

    def __post_init__(self) -> None:
        self._check_format()
        if not isinstance(self.keepdims, (bool, np.bool_)):
            raise InputError(f"layer '{self.name}': keepdims must be True or False, got {self.keepdims!r}")

    def _output_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        if min(shape[:2]) <= 0:
            raise InputError(f"layer '{self.name}' needs images of at least one pixel, but gets {shape}")
        return (1, 1, shape[2]) if self.keepdims else (shape[2],)


@checked
@dataclass(frozen=True, slots=True)
class GlobalMaxPooling2D(_GlobalPooling):
    """The greatest value of each channel.

    Where several are the greatest they share the gradient, as in Keras.

    Parameters
    ----------
    name : str
        The layer's name in its network.
    keepdims : bool
        Whether the output is an image of one pixel.
    data_format : {"channels_last", "channels_first"}
        Which axis of an image is that of the channels.
    """

    is_monotone = is_channelwise = selects = True

    def _pre_activation(self, x: Array) -> tuple[Array, Pullback]:
        greatest = x.max(axis=(1, 2), keepdims=True)

        def pullback(dz: Array) -> Array:
            taken: Array = (x == greatest).astype(dz.dtype)
            taken *= dz.reshape(greatest.shape) / taken.sum(axis=(1, 2), keepdims=True)
            return taken

        return greatest if self.keepdims else greatest[:, 0, 0], pullback


@checked
@dataclass(frozen=True, slots=True)
class GlobalAveragePooling2D(_GlobalPooling):
    """The mean of each channel.

    Parameters
    ----------
    name, keepdims, data_format
        As in `GlobalMaxPooling2D`.
    """

    is_affine = is_monotone = is_channelwise = True

    def _pre_activation(self, x: Array) -> tuple[Array, Pullback]:
        shape = x.shape
        n_samples, height, width, channels = shape

        def pullback(dz: Array) -> Array:
            share = dz.reshape(n_samples, 1, 1, channels) / (height * width)
            return np.ascontiguousarray(np.broadcast_to(share, shape))

        # In float32 the sum of many pixels, one after another, would be off by the rounding of each.
        means = x.mean(axis=(1, 2), dtype=np.float64, keepdims=self.keepdims)
        return means.astype(x.dtype), pullback


def _keep_margins(layer: ImageLayer, setting: str) -> None:
    """Keep ((top, bottom), (left, right)), or raise."""
    value = getattr(layer, setting)
    try:
        (top, bottom), (left, right) = value
    except (TypeError, ValueError):
        raise InputError(
            f"layer '{layer.name}': {setting} must be ((top, bottom), (left, right)), got {value!r}"
        ) from None
    margins = tuple(
        tuple(check_integer(f"layer '{layer.name}': {setting}", size, minimum=0) for size in pair)
        for pair in ((top, bottom), (left, right))
    )
    object.__setattr__(layer, setting, margins)


@checked
@dataclass(frozen=True, slots=True)
class ZeroPadding2D(ImageLayer):
    """Rows and columns of zeros around each image.

    Parameters
    ----------
    name : str
        The layer's name in its network.
    padding : ((top, bottom), (left, right)), int
        Number of rows and columns on each side; at least 0.
    data_format : {"channels_last", "channels_first"}
        Which axis of an image is that of the channels.
    """

    is_affine = is_monotone = is_channelwise = True

    name: str
    padding: Margins = ((1, 1), (1, 1))
    data_format: DataFormat = "channels_last"

    def __post_init__(self) -> None:
        self._check_format()
        _keep_margins(self, "padding")

    def _pre_activation(self, x: Array) -> tuple[Array, Pullback]:
        return padded(x, self.padding), lambda dz: inside(dz, self.padding)

    def _output_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        height, width, channels = shape
        return height + sum(self.padding[0]), width + sum(self.padding[1]), channels


@checked
@dataclass(frozen=True, slots=True)
class Cropping2D(ImageLayer):
    """Each image without its outer rows and columns.

    Parameters
    ----------
    name : str
        The layer's name in its network.
    cropping : ((top, bottom), (left, right)), int
        Number of rows and columns cut off on each side; at least 0.
    data_format : {"channels_last", "channels_first"}
        Which axis of an image is that of the channels.
    """

    is_affine = is_monotone = is_channelwise = True

    name: str
    cropping: Margins = ((0, 0), (0, 0))
    data_format: DataFormat = "channels_last"

    def __post_init__(self) -> None:
        self._check_format()
        _keep_margins(self, "cropping")

    def _pre_activation(self, x: Array) -> tuple[Array, Pullback]:
        return inside(x, self.cropping), lambda dz: padded(dz, self.cropping)

    def _output_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        height, width = shape[0] - sum(self.cropping[0]), shape[1] - sum(self.cropping[1])
        if min(height, width) <= 0:
            raise InputError(
                f"layer '{self.name}' crops {self.cropping} off images of {shape[0]} x {shape[1]}: nothing is left"
            )
        return height, width, shape[2]
