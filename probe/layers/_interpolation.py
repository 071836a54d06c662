"""How pixels between pixels are computed: along each axis one matrix, from the pixels of an image to those wanted."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

import numpy as np
import numpy.typing as npt

from probe._checks import Array
from probe.layers.activations import Pullback

__all__ = [
    "COORDINATES",
    "INTERPOLATIONS",
    "Coordinates",
    "Interpolation",
    "axis_matrix",
    "nearest_pixels",
    "resampled",
]

Interpolation = Literal["bilinear", "nearest", "bicubic", "bicubic_clamped", "lanczos3", "lanczos5"]
INTERPOLATIONS = ("bilinear", "nearest", "bicubic", "bicubic_clamped", "lanczos3", "lanczos5")

Coordinates = Literal["half_pixel", "align_corners", "asymmetric"]
COORDINATES = ("half_pixel", "align_corners", "asymmetric")


def _triangle(distance: Array) -> Array:
    return np.asarray(np.maximum(1 - distance, 0))


def _cubic(distance: Array, a: float) -> Array:
    """Return the cubic convolution kernel of R. Keys (1981), of slope `a` at distance 1."""
    near = ((a + 2) * distance - (a + 3)) * distance * distance + 1
    far = a * (((distance - 5) * distance + 8) * distance - 4)
    return np.where(distance <= 1, near, np.where(distance < 2, far, 0))


def _lanczos(distance: Array, radius: int) -> Array:
    return np.where(distance < radius, np.sinc(distance) * np.sinc(distance / radius), 0)


_KERNELS: dict[str, tuple[Callable[[Array], Array], int]] = {
    "bilinear": (_triangle, 1),
    "bicubic": (lambda distance: _cubic(distance, -0.5), 2),
    "bicubic_clamped": (lambda distance: _cubic(distance, -0.75), 2),
    "lanczos3": (lambda distance: _lanczos(distance, 3), 3),
    "lanczos5": (lambda distance: _lanczos(distance, 5), 5),
}
"""The weight of a pixel by its distance, and the distance from which it is 0."""


def _places(n: int, size: int, coordinates: str) -> Array:
    """Return where each of `size` pixels lies among `n`, which lie at 0, 1, ..."""
    at = np.arange(size, dtype=np.float64)
    if coordinates == "align_corners":
        return np.asarray(at * (n - 1) / max(size - 1, 1))
    if coordinates == "asymmetric":
        return at * n / size
    return (at + 0.5) * n / size - 0.5


def nearest_pixels(n: int, size: int, coordinates: str) -> npt.NDArray[np.intp]:
    """Return the index (size,) of the pixel among `n` that "nearest" takes for each."""
    # Halfway between two, the later one.
    nearest = np.floor(_places(n, size, coordinates) + (0.0 if coordinates == "asymmetric" else 0.5))
    return np.asarray(np.clip(nearest, 0, n - 1), np.intp)


def axis_matrix(
    n: int, size: int, interpolation: str, coordinates: str = "half_pixel", *, widened: bool = False
) -> Array:
    """Return the matrix (size, n) that maps `n` pixels along an axis to `size`; its rows sum to 1.

    Parameters
    ----------
    n, size : int
        How many pixels there are and are to be, at least 1.
    interpolation : str
        One of `INTERPOLATIONS`. "bicubic_clamped" repeats the outermost pixels; all others leave out what is outside.
    coordinates : str
        One of `COORDINATES`: pixels have centers, the outermost ones lie on each other, or the first ones do.
    widened : bool
        Whether kernels become wider where pixels become fewer, against aliasing.

    Examples
    --------
    >>> axis_matrix(2, 4, "bilinear")
    array([[1.  , 0.  ],
           [0.75, 0.25],
           [0.25, 0.75],
           [0.  , 1.  ]])
    """
    if interpolation == "nearest":
        return np.asarray(np.eye(n)[nearest_pixels(n, size, coordinates)])
    places = _places(n, size, coordinates)
    kernel, radius = _KERNELS[interpolation]
    width = max(n / size, 1.0) if widened else 1.0
    clamped = interpolation == "bicubic_clamped" or coordinates != "half_pixel"
    margin = math.ceil(radius * width) + 1 if clamped else 0
    pixels = np.arange(-margin, n + margin)
    weights = kernel(np.abs(places[:, None] - pixels) / width)
    matrix = np.zeros((size, n))
    np.add.at(matrix.T, np.clip(pixels, 0, n - 1), weights.T)
    return np.asarray(matrix / matrix.sum(axis=1, keepdims=True))


def resampled(x: Array, rows: Array, columns: Array) -> tuple[Array, Pullback]:
    """Return images `x` (n_samples, height, width, channels) mapped by a matrix along each axis, and the pullback."""
    rows, columns = rows.astype(x.dtype), columns.astype(x.dtype)
    return _mapped(x, rows, columns), lambda dz: _mapped(dz, rows.T, columns.T)


def _mapped(x: Array, rows: Array, columns: Array) -> Array:
    n_samples, height, width, channels = x.shape
    first = np.matmul(rows, x.reshape(n_samples, height, width * channels))
    by_row = first.reshape(n_samples * len(rows), width, channels)
    mapped: Array = np.matmul(columns, by_row)
    return mapped.reshape(n_samples, len(rows), len(columns), channels)
