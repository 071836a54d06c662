"""What keeps images from being noise: objectives count on average over shifts, and images cost something.

They cost for differences of neighbors, and for likeness to other restarts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from probe._checks import Array, InputError, check_integer
from probe._signatures import checked

__all__ = ["Shift", "Transform", "Variant", "likeness", "total_variation"]

_SMOOTHING = 0.01
"""Pixel differences below this count quadratically in the total variation, so that it has a gradient."""

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
