"""What an ascent moves: pixels, Fourier coefficients that favor low frequencies, or an image that is blurred.

An image is `A @ parameters`, brought into the region. A step of the parameters along their gradient moves the
image by `A @ A.T @ gradient`; so all that an ascent needs to know is that product.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from probe._checks import Array, InputError, check_number
from probe._signatures import checked

__all__ = ["PIXELS", "Blurred", "Fourier", "Parameterization", "Pixels"]

_CONTRAST = 12**-0.5
"""Standard deviation of numbers that are uniform in [0, 1]."""


class Parameterization(ABC):
    """A linear map from parameters to images: a blur of some kind, which is its own way back.

    Attributes
    ----------
    any_image : bool
        Whether a clipped image is again one of some parameters, from which the ascent goes on.
    """

    __slots__ = ()

    any_image: ClassVar[bool] = False
    _needs: ClassVar[str]

    @property
    @abstractmethod
    def name(self) -> str:
        """What is moved, in words."""

    @abstractmethod
    def _applied(self, images: Array, times: int) -> Array:
        """Return `images` (n, height, width, ...) after so many times the map."""

    def check(self, shape: tuple[int, ...]) -> None:
        """Raise unless images of `shape` can be made of such parameters."""
        if len(shape) not in (2, 3):
            raise InputError(f"{self._needs} images, but the network takes inputs of {shape}")

    def start(self, rng: np.random.Generator, n: int, shape: tuple[int, ...]) -> Array:
        """Return `n` random images, about 1/2 and with the contrast of uniform noise, not yet clipped."""
        return _around_grey(self._applied(rng.standard_normal((n, *shape)), 1))

    def spread(self, gradient: Array) -> Array:
        """Return how the images move when the parameters follow `gradient` (n, ...) of the pixels."""
        return self._applied(gradient, 2)


@dataclass(frozen=True, slots=True)
class Pixels(Parameterization):
    """Every pixel on its own.

    Examples
    --------
    >>> Pixels().spread(np.array([[1.0, -2.0]]))
    array([[ 1., -2.]])
    """

    any_image = True

    @property
    def name(self) -> str:
        """What is moved, in words."""
        return "pixels"

    def _applied(self, images: Array, times: int) -> Array:
        return images

    def check(self, shape: tuple[int, ...]) -> None:
        """Take any shape."""

    def start(self, rng: np.random.Generator, n: int, shape: tuple[int, ...]) -> Array:
        """Return uniform noise in [0, 1)."""
        return rng.random((n, *shape))


PIXELS = Pixels()
"""Every pixel on its own."""


@checked
@dataclass(frozen=True, slots=True)
class Fourier(Parameterization):
    """Fourier coefficients, each divided by a power of its frequency; channels apart.

    Parameters
    ----------
    decay : float
        The power, at least 0; 1 is the spectrum of photographs, and 0 that of pixels.

    Raises
    ------
    InputError
        If `decay` is no finite number or below 0.

    References
    ----------
    .. [1] C. Olah, A. Mordvintsev, L. Schubert, "Feature Visualization", Distill, 2017: the coefficients are
       divided by max(f, 1 / max(height, width)), f in cycles per pixel.

    Examples
    --------
    >>> point = np.zeros((1, 8, 8))
    >>> point[0, 4, 4] = 1.0
    >>> moved = Fourier().spread(point)[0]
    >>> bool(moved[4, 4] > moved[4, 5] > moved[4, 7])
    True
    """

    _needs = "Fourier coefficients need"

    decay: float = 1.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "decay", check_number("decay", self.decay, minimum=0))

    @property
    def name(self) -> str:
        """Such as "Fourier coefficients, decay 1"."""
        return f"Fourier coefficients, decay {self.decay:g}"

    def _applied(self, images: Array, times: int) -> Array:
        from scipy import fft

        height, width = images.shape[1:3]
        frequencies = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width))
        scale = np.maximum(frequencies * max(height, width), 1) ** (-self.decay * times)
        scale = scale.astype(images.dtype).reshape(*scale.shape, *[1] * (images.ndim - 3))
        coefficients = fft.rfft2(images, axes=(1, 2))
        coefficients *= scale
        return np.asarray(fft.irfft2(coefficients, s=(height, width), axes=(1, 2), overwrite_x=True))


@checked
@dataclass(frozen=True, slots=True)
class Blurred(Parameterization):
    """An image behind a Gaussian blur; channels apart, and what lies outside of the image counts as 0.

    Parameters
    ----------
    sigma : float
        Standard deviation of the blur in pixels, above 0.

    Raises
    ------
    InputError
        If `sigma` is no finite number above 0.

    Examples
    --------
    >>> Blurred(1.0).spread(np.ones((1, 9, 9)))[0, 4, 4:].round(2)
    array([1.  , 0.99, 0.96, 0.84, 0.56])
    """

    _needs = "blurring needs"

    sigma: float = 1.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "sigma", check_number("sigma", self.sigma, above=0))

    @property
    def name(self) -> str:
        """Such as "an image blurred by 1 pixel"."""
        return f"an image blurred by {self.sigma:g} pixel{'s' * (self.sigma != 1)}"

    def _applied(self, images: Array, times: int) -> Array:
        n, height, width, *rest = images.shape
        down, across = (
            np.linalg.matrix_power(self._matrix(size), times).astype(images.dtype) for size in (height, width)
        )
        blurred = np.moveaxis(images.reshape(n, height, width, -1), 3, 1)
        blurred = down @ blurred @ across
        return np.moveaxis(blurred, 1, 3).reshape(n, height, width, *rest)

    def _matrix(self, size: int) -> Array:
        """Return the blur along an axis of `size` pixels: symmetric, so that it is its own way back."""
        places = np.arange(-size + 1, size)
        weights = np.exp(-0.5 * (places / self.sigma) ** 2)
        weights /= weights.sum()
        lags = np.arange(size)[:, None] - np.arange(size)
        return np.asarray(weights[lags + size - 1])


def _around_grey(images: Array) -> Array:
    """Return images moved to a mean of 1/2 and scaled to the contrast of uniform noise."""
    axes = tuple(range(1, images.ndim))
    images = images - images.mean(axis=axes, keepdims=True)
    deviation = images.std(axis=axes, keepdims=True)
    return 0.5 + images * (_CONTRAST / np.where(deviation > 0, deviation, 1))
