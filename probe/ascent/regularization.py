"""What keeps images from being noise: what an ascent moves, what happens to images on the way, and what they cost.

An ascent moves pixels, Fourier coefficients that favor low frequencies, or an image that is blurred. An image is
`A @ parameters`, brought into the region. A step of the parameters along their gradient moves the image by
`A @ A.T @ gradient`; so all that an ascent needs to know is that product. Objectives may count on average over shifts.
Images may cost something for differences of neighbors, and for likeness to other restarts.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np

from probe._checks import Array, InputError, check_integer, check_number
from probe._signatures import checked

__all__ = [
    "PIXELS",
    "Blurred",
    "Fourier",
    "Parameterization",
    "Pixels",
    "Shift",
    "Transform",
    "Variant",
    "likeness",
    "total_variation",
]

_CONTRAST = 12**-0.5
"""Standard deviation of numbers that are uniform in [0, 1]."""

_SMOOTHING = 0.01
"""Pixel differences below this count quadratically in the total variation, so that it has a gradient."""


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
        return _around_gray(self._applied(rng.standard_normal((n, *shape)), 1))

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


def _around_gray(images: Array) -> Array:
    """Return images moved to a mean of 1/2 and scaled to the contrast of uniform noise."""
    axes = tuple(range(1, images.ndim))
    images = images - images.mean(axis=axes, keepdims=True)
    deviation = images.std(axis=axes, keepdims=True)
    return 0.5 + images * (_CONTRAST / np.where(deviation > 0, deviation, 1))


Variant = Callable[[Array], tuple[Array, Callable[[Array], Array]]]
"""Maps images (n, ...) to what the network sees and the way back from a gradient of it."""


class Transform(Protocol):
    """A family of linear maps of images to images of the same shape."""

    @property
    def name(self) -> str:
        """What happens, in words."""

    def check(self, shape: tuple[int, ...]) -> None:
        """Raise unless images of `shape` can be transformed."""

    def variants(self, rng: np.random.Generator) -> list[Variant]:
        """Return the maps that an objective is averaged over in one ascent."""


@checked
@dataclass(frozen=True, slots=True)
class Shift:
    """Shifts by up to `pixels` down, up, left and right; what comes in from outside is 0.

    Parameters
    ----------
    pixels : int
        The most, at least 0.
    draws : int, optional
        How many shifts are drawn, without replacement, at the start of an ascent, which averages over them;
        all (2 * pixels + 1)² without. An ascent takes so many times longer.

    Raises
    ------
    InputError
        If a number is outside its range.

    Examples
    --------
    >>> shifts = Shift(1).variants(np.random.default_rng(0))
    >>> len(shifts), shifts[0](np.arange(4.0).reshape(1, 2, 2))[0].tolist()
    (9, [[[3.0, 0.0], [0.0, 0.0]]])
    """

    pixels: int = 1
    draws: int | None = None

    def __post_init__(self) -> None:
        check_integer("pixels", self.pixels, minimum=0)
        if self.draws is not None:
            check_integer("draws", self.draws, minimum=1, maximum=self._n)

    @property
    def _n(self) -> int:
        return (2 * self.pixels + 1) ** 2

    @property
    def name(self) -> str:
        """Such as "shifts by up to 2 pixels"."""
        drawn = "" if self.draws is None else f", {self.draws} of them drawn"
        return f"shifts by up to {self.pixels} pixel{'s' * (self.pixels != 1)}{drawn}"

    def check(self, shape: tuple[int, ...]) -> None:
        """Raise unless `shape` is that of an image larger than a shift."""
        if len(shape) not in (2, 3):
            raise InputError(f"shifts need images, but the network takes inputs of {shape}")
        if self.pixels >= min(shape[:2]):
            raise InputError(f"pixels must be below the side of the images {shape}, got {self.pixels}")

    def variants(self, rng: np.random.Generator) -> list[Variant]:
        """Return the shifts, all of them or those drawn."""
        places = np.arange(self._n) if self.draws is None else rng.choice(self._n, self.draws, replace=False)
        side = 2 * self.pixels + 1
        return [_shift(int(place) // side - self.pixels, int(place) % side - self.pixels) for place in places]


def _shift(down: int, right: int) -> Variant:
    def moved(x: Array, down: int, right: int) -> Array:
        found = np.zeros_like(x)
        into, out_of = zip(*(_slices(by) for by in (down, right)), strict=True)
        found[:, into[0], into[1]] = x[:, out_of[0], out_of[1]]
        return found

    return lambda x: (moved(x, down, right), lambda gradient: moved(gradient, -down, -right))


def _slices(by: int) -> tuple[slice, slice]:
    """Return where pixels go and where they come from along one axis."""
    if by >= 0:
        return slice(by, None), slice(None, -by if by else None)
    return slice(None, by), slice(-by, None)


def total_variation(x: Array) -> tuple[Array, Array]:
    """Return the smoothed total variation of each image and its gradient.

    Parameters
    ----------
    x : ndarray of shape (n, height, width, ...)

    Returns
    -------
    variation : ndarray of shape (n,)
        The sum over pixels of the length of the gradient between neighbors, rounded off below 0.01.
    gradient : ndarray of the shape of `x`
    """
    down, right = np.zeros_like(x), np.zeros_like(x)
    down[:, :-1] = x[:, 1:] - x[:, :-1]
    right[:, :, :-1] = x[:, :, 1:] - x[:, :, :-1]
    lengths = np.sqrt(down**2 + right**2 + _SMOOTHING**2)
    variation = (lengths - _SMOOTHING).reshape(len(x), -1).sum(axis=1)
    down /= lengths
    right /= lengths
    gradient = -down - right
    gradient[:, 1:] += down[:, :-1]
    gradient[:, :, 1:] += right[:, :, :-1]
    return variation, gradient


def likeness(x: Array, restarts: int, center: float) -> tuple[Array, Array]:
    """Return how alike each image is to the other restarts of its objective, and the gradient of the sum.

    Parameters
    ----------
    x : ndarray of shape (n_objectives * restarts, ...)
        The restarts of one objective follow one another.
    restarts : int
        At least 1; a single restart is like no other.
    center : float
        Taken from every pixel first, so that opposite images have a cosine of -1.

    Returns
    -------
    cosines : ndarray of shape (n_objectives * restarts,), in [-1, 1]
        The mean cosine between an image and each of the others; an image without deviation has a cosine of 0.
    gradient : ndarray of the shape of `x`
        Of the sum of all `cosines`.

    Examples
    --------
    >>> likeness(np.array([[1.0, 0.0], [0.0, 1.0]]), 2, 0.5)[0]
    array([-1., -1.])
    """
    if restarts == 1:
        return np.zeros(len(x), x.dtype), np.zeros_like(x)
    away = x.reshape(-1, restarts, x[0].size) - x.dtype.type(center)
    lengths = np.sqrt(np.square(away).sum(axis=2, keepdims=True))
    inverse = np.divide(1, lengths, out=np.zeros_like(lengths), where=lengths > 0)
    units = away * inverse
    cosines = units @ units.swapaxes(1, 2)
    others = cosines * (1 - np.eye(restarts, dtype=x.dtype))
    total = others.sum(axis=2)
    # Each pair counts twice: in the mean of the one and in that of the other.
    gradient = units.sum(axis=1, keepdims=True) - units - total[:, :, None] * units
    gradient *= inverse * x.dtype.type(2 / (restarts - 1))
    return (total / (restarts - 1)).reshape(len(x)), gradient.reshape(x.shape)
