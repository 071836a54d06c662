"""Layers that bring images to another size: resizing, upsampling, cropping to the middle, and pooling."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Literal

import numpy as np

from probe._checks import Array, InputError, check_choice, check_integer, check_number
from probe._signatures import checked
from probe.layers._base import DataFormat, ImageLayer, Pair, keep_pair
from probe.layers._interpolation import (
    COORDINATES,
    INTERPOLATIONS,
    Coordinates,
    Interpolation,
    axis_matrix,
    resampled,
)
from probe.layers.activations import Pullback

__all__ = ["AdaptiveAveragePooling2D", "CenterCrop", "Resizing", "UpSampling2D"]


@dataclass(frozen=True, slots=True)
class _Sized(ImageLayer):
    """What the layers have in common whose outputs have a height and a width of their own."""

    is_affine = is_channelwise = True

    name: str
    height: int
    width: int

    def _check_size(self) -> None:
        for setting in ("height", "width"):
            check_integer(f"{setting} of layer '{self.name}'", getattr(self, setting), minimum=1)

    def _output_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        if min(shape[:2]) < 1:
            raise InputError(f"layer '{self.name}' needs images of at least one pixel, but gets {shape}")
        return self.height, self.width, shape[2]


@checked
@dataclass(frozen=True, slots=True)
class Resizing(_Sized):
    """Each image at another height and width.

    Parameters
    ----------
    name : str
        The layer's name in its network.
    height, width : int
        Number of rows and columns of the output, at least 1.
    interpolation : {"bilinear", "nearest", "bicubic", "bicubic_clamped", "lanczos3", "lanczos5"}
        How pixels between pixels are computed. "bicubic" is that of Keras (slope -0.5, without what is outside),
        "bicubic_clamped" that of PyTorch and ONNX (slope -0.75, with the outermost pixels repeated).
    coordinates : {"half_pixel", "align_corners", "asymmetric"}
        Where pixel i of the output lies among those of the input: at (i + 0.5) * n_in / n_out - 0.5, as in Keras; at
        i * (n_in - 1) / (n_out - 1); or at i * n_in / n_out. "nearest" rounds this, half of it up, but "asymmetric"
        down.
    data_format : {"channels_last", "channels_first"}
        Which axis of an image is that of the channels.
    crop_to_aspect_ratio, pad_to_aspect_ratio : bool
        Whether the image is first cropped, or padded with `fill_value`, to the shape of the output.
    fill_value : float
        What an image is padded with.
    antialias : bool
        Whether more pixels count where the image becomes smaller.

    Raises
    ------
    InputError
        If settings do not fit.

    References
    ----------
    .. [1] R. Keys, "Cubic Convolution Interpolation for Digital Image Processing", IEEE Transactions on Acoustics,
       Speech, and Signal Processing 29, 1981.

    Examples
    --------
    >>> image = np.array([[0.0, 1.0]]).reshape(1, 1, 2, 1)
    >>> Resizing("wide", 1, 4).forward(image)[0].ravel()
    array([0.  , 0.25, 0.75, 1.  ])
    """

    interpolation: Interpolation = "bilinear"
    coordinates: Coordinates = "half_pixel"
    data_format: DataFormat = "channels_last"
    crop_to_aspect_ratio: bool = field(default=False, kw_only=True)
    pad_to_aspect_ratio: bool = field(default=False, kw_only=True)
    fill_value: float = field(default=0.0, kw_only=True)
    antialias: bool = field(default=False, kw_only=True)

    def __post_init__(self) -> None:
        self._check_format()
        self._check_size()
        check_choice(f"interpolation of layer '{self.name}'", self.interpolation, INTERPOLATIONS)
        check_choice(f"coordinates of layer '{self.name}'", self.coordinates, COORDINATES)
        object.__setattr__(
            self, "fill_value", check_number(f"fill_value of layer '{self.name}'", self.fill_value)
        )
        if self.crop_to_aspect_ratio and self.pad_to_aspect_ratio:
            raise InputError(f"layer '{self.name}' can crop to the aspect ratio or pad to it, not both")

    @property
    def is_in_keras(self) -> bool:  # type: ignore[override]
        """Whether pixels lie where Keras has them."""
        return self.coordinates == "half_pixel" and self.interpolation != "bicubic_clamped"

    @property
    def is_monotone(self) -> bool:  # type: ignore[override]
        """Whether no pixel has a negative weight."""
        return self.interpolation in ("bilinear", "nearest")

    def _pre_activation(self, x: Array) -> tuple[Array, Pullback]:
        rows, columns = self._matrices(x.shape[1], x.shape[2])
        fill = x.dtype.type(self.fill_value if self.pad_to_aspect_ratio else 0)
        # Rows of the matrices sum to 1, so that margins of 0 stand for those of the fill value.
        z, pullback = resampled(x - fill if fill else x, rows, columns)
        return (z + fill if fill else z), pullback

    def _matrices(self, height: int, width: int) -> tuple[Array, Array]:
        """Return the matrices of the two axes, for images of `height` times `width`."""
        tall, wide = (
            int(width * self.height / self.width),
            int(height * self.width / self.height),
        )
        sizes = height, width
        if self.crop_to_aspect_ratio:
            sizes = max(min(height, tall), 1), max(min(width, wide), 1)
        elif self.pad_to_aspect_ratio:
            sizes = _padded_sizes((height, width), (tall, wide))
        rows, columns = (
            self._matrix(n, inner, size)
            for n, inner, size in zip((height, width), sizes, (self.height, self.width), strict=True)
        )
        return rows, columns

    def _matrix(self, n: int, inner: int, size: int) -> Array:
        """Return the matrix from `n` pixels, of which the middle `inner` count or around which there are margins."""
        matrix = axis_matrix(inner, size, self.interpolation, self.coordinates, widened=self.antialias)
        start = abs(n - inner) // 2
        if inner >= n:
            return matrix[:, start : start + n]
        whole = np.zeros((size, n))
        whole[:, start : start + inner] = matrix
        return whole


def _padded_sizes(size: Pair, wanted: Pair) -> Pair:
    """Return height and width after padding: along one axis, and by as much before as after."""
    margins = [max(want - n, 0) // 2 for n, want in zip(size, wanted, strict=True)]
    if margins[0]:
        margins[1] = 0
    return size[0] + 2 * margins[0], size[1] + 2 * margins[1]


@checked
@dataclass(frozen=True, slots=True)
class CenterCrop(_Sized):
    """The middle of each image; one that is too small is resized and cropped to the aspect ratio instead.

    Parameters
    ----------
    name : str
        The layer's name in its network.
    height, width : int
        Number of rows and columns of the output, at least 1.
    data_format : {"channels_last", "channels_first"}
        Which axis of an image is that of the channels.
    """

    is_monotone = True

    data_format: DataFormat = "channels_last"

    def __post_init__(self) -> None:
        self._check_format()
        self._check_size()

    def _pre_activation(self, x: Array) -> tuple[Array, Pullback]:
        shape = x.shape
        top, left = (shape[1] - self.height) // 2, (shape[2] - self.width) // 2
        if min(shape[1] - self.height, shape[2] - self.width) < 0:
            resizing = Resizing(self.name, self.height, self.width, crop_to_aspect_ratio=True)
            return resizing.pre_activation(x)
        middle = np.s_[:, top : top + self.height, left : left + self.width]

        def pullback(dz: Array) -> Array:
            dx = np.zeros(shape, dz.dtype)
            dx[middle] = dz
            return dx

        return x[middle], pullback


@checked
@dataclass(frozen=True, slots=True)
class AdaptiveAveragePooling2D(ImageLayer):
    """The means of windows that split each image into so many rows and columns as evenly as can be.

    Window i of m along an axis of n pixels begins at floor(i * n / m) and ends before ceil((i + 1) * n / m).

    Parameters
    ----------
    name : str
        The layer's name in its network.
    output_size : (int, int)
        Number of rows and columns of the output, at least 1.
    data_format : {"channels_last", "channels_first"}
        Which axis of an image is that of the channels.

    Examples
    --------
    >>> image = np.array([[1.0, 2.0, 6.0]]).reshape(1, 1, 3, 1)
    >>> AdaptiveAveragePooling2D("pool", (1, 2)).forward(image)[0].ravel()
    array([1.5, 4. ])
    """

    is_affine = is_monotone = is_channelwise = True

    name: str
    output_size: Pair
    data_format: DataFormat = "channels_last"

    def __post_init__(self) -> None:
        self._check_format()
        keep_pair(self, "output_size", minimum=1)

    def _pre_activation(self, x: Array) -> tuple[Array, Pullback]:
        rows, columns = (
            _window_means(n, size) for n, size in zip(x.shape[1:3], self.output_size, strict=True)
        )
        return resampled(x, rows, columns)

    def _output_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        if min(shape[:2]) < 1:
            raise InputError(f"layer '{self.name}' needs images of at least one pixel, but gets {shape}")
        return (*self.output_size, shape[2])


def _window_means(n: int, size: int) -> Array:
    """Return the matrix (size, n) that takes the mean of each window."""
    begins = np.arange(size) * n // size
    ends = -(-np.arange(1, size + 1) * n // size)
    pixels = np.arange(n)
    inside = (pixels >= begins[:, None]) & (pixels < ends[:, None])
    return np.asarray(inside / inside.sum(axis=1, keepdims=True))


@checked
@dataclass(frozen=True, slots=True)
class UpSampling2D(ImageLayer):
    """Each pixel repeated in both directions.

    Parameters
    ----------
    name : str
        The layer's name in its network.
    size : (int, int)
        How many rows and columns each pixel becomes; at least 1.
    data_format : {"channels_last", "channels_first"}
        Which axis of an image is that of the channels.
    interpolation : {"nearest", "bilinear", "bicubic", "lanczos3", "lanczos5"}
        How pixels between pixels are computed, as in `Resizing`.
    """

    is_affine = is_channelwise = True

    INTERPOLATIONS: ClassVar[tuple[str, ...]] = ("nearest", "bilinear", "bicubic", "lanczos3", "lanczos5")

    name: str
    size: Pair = (2, 2)
    data_format: DataFormat = "channels_last"
    interpolation: Literal["nearest", "bilinear", "bicubic", "lanczos3", "lanczos5"] = "nearest"

    @property
    def is_monotone(self) -> bool:  # type: ignore[override]
        """Whether no pixel has a negative weight."""
        return self.interpolation in ("nearest", "bilinear")

    def __post_init__(self) -> None:
        self._check_format()
        keep_pair(self, "size", minimum=1)
        check_choice(f"interpolation of layer '{self.name}'", self.interpolation, self.INTERPOLATIONS)

    def _pre_activation(self, x: Array) -> tuple[Array, Pullback]:
        rows, columns = self.size
        n_samples, height, width, channels = x.shape
        if self.interpolation != "nearest":
            matrices = (
                axis_matrix(n, n * size, self.interpolation)
                for n, size in zip((height, width), self.size, strict=True)
            )
            return resampled(x, *matrices)
        tiles = (n_samples, height, rows, width, columns, channels)
        z = np.broadcast_to(x[:, :, None, :, None], tiles).reshape(
            n_samples, height * rows, width * columns, channels
        )
        return z, lambda dz: dz.reshape(tiles).sum(axis=(2, 4))

    def _output_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        return shape[0] * self.size[0], shape[1] * self.size[1], shape[2]
