"""Where images may lie: a box, or a ball around a gray image that a box may cut."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from probe._checks import Array, InputError, check_number
from probe._signatures import checked

__all__ = ["UNIT_BOX", "Ball", "Box", "Region"]


class Region(Protocol):
    """A closed convex set of images, the same for every pixel."""

    @property
    def name(self) -> str:
        """What it is, in words."""

    @property
    def center(self) -> float:
        """The value of every pixel of the image in the middle."""

    @property
    def low(self) -> float:
        """The least value that a pixel can have."""

    @property
    def high(self) -> float:
        """The greatest value that a pixel can have."""

    def project(self, x: Array) -> Array:
        """Return the nearest images of the region to `x` (n, ...); may overwrite `x`."""

    def inward(self, x: Array, gradient: Array, /) -> Array:
        """Return `gradient` (n, ...) at images `x` of the region, without entries that no pixel can follow."""

    def farthest(self, weights: Array) -> Array:
        """Return the image x of the region with the greatest sum(w * x), for each w of `weights` (n, ...)."""


@checked
@dataclass(frozen=True, slots=True)
class Box:
    """All images with every pixel in [low, high].

    Parameters
    ----------
    low, high : float
        The ends, `low` below `high`.

    Raises
    ------
    InputError
        If an end is no finite number, or `low` is not below `high`.

    Examples
    --------
    >>> Box().project(np.array([[-1.0, 0.5, 2.0]]))
    array([[0. , 0.5, 1. ]])
    """

    low: float = 0.0
    high: float = 1.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "high", check_number("high", self.high))
        object.__setattr__(self, "low", check_number("low", self.low, below=self.high))

    @property
    def name(self) -> str:
        """Such as "the box [0, 1]"."""
        return f"the box [{self.low:g}, {self.high:g}]"

    @property
    def center(self) -> float:
        """The middle between the ends."""
        return (self.low + self.high) / 2

    def project(self, x: Array) -> Array:
        """Return `x` with every pixel clipped to the ends, in place."""
        return np.clip(x, self.low, self.high, out=x)

    def inward(self, x: Array, gradient: Array) -> Array:
        """Return `gradient`, with 0 where a pixel is at an end and the gradient points beyond it."""
        return np.where((x <= self.low) & (gradient < 0) | (x >= self.high) & (gradient > 0), 0, gradient)

    def farthest(self, weights: Array) -> Array:
        """Return `high` where the weight is positive and `low` elsewhere, of the shape of `weights`."""
        return np.where(weights > 0, weights.dtype.type(self.high), weights.dtype.type(self.low))


UNIT_BOX = Box()
"""[0, 1] for every pixel."""


@checked
@dataclass(frozen=True, slots=True)
class Ball:
    """All images no farther than `radius` from the image of which every pixel is `center`, in L2, within a box.

    Parameters
    ----------
    radius : float
        Greatest root of the sum of squared differences, above 0.
    center : float
        Value of every pixel in the middle: 0 bounds the ink, the root of the sum of its squares.
    box : Box or None
        Where pixels must lie too; None for the ball alone. It must hold `center`.

    Raises
    ------
    InputError
        If `radius` is not above 0, or `center` is outside of the box.

    Examples
    --------
    >>> Ball(5.0, box=None).project(np.array([[6.0, 8.0]]))
    array([[3., 4.]])
    >>> Ball(1.25).project(np.array([[6.0, 0.75]]))
    array([[1.  , 0.75]])
    """

    radius: float
    center: float = 0.0
    box: Box | None = UNIT_BOX

    def __post_init__(self) -> None:
        object.__setattr__(self, "radius", check_number("radius", self.radius, above=0))
        object.__setattr__(self, "center", check_number("center", self.center))
        if self.box is not None and not self.box.low <= self.center <= self.box.high:
            raise InputError(f"center must lie in {self.box.name}, got {self.center:g}")

    @property
    def name(self) -> str:
        """Such as "the ball of radius 5 around 0 in the box [0, 1]"."""
        inside = "" if self.box is None else f" in {self.box.name}"
        return f"the ball of radius {self.radius:g} around {self.center:g}{inside}"

    @property
    def low(self) -> float:
        """The least value that a pixel can have."""
        least = self.center - self.radius
        return least if self.box is None else max(least, self.box.low)

    @property
    def high(self) -> float:
        """The greatest value that a pixel can have."""
        most = self.center + self.radius
        return most if self.box is None else min(most, self.box.high)

    def project(self, x: Array) -> Array:
        """Return the nearest images of the region: toward the center by one factor, and clipped to the box."""
        away = x - self.center
        found = self._along(away, np.ones(len(x)))
        outside = self._excess(found) > 0
        if outside.any():
            found[outside] = self._along(away[outside], self._shares(away[outside]))
        found += self.center
        return found

    def inward(self, _x: Array, gradient: Array) -> Array:
        """Return `gradient`: toward the center the projection moves pixels at the ends of the box as well."""
        return gradient

    def farthest(self, weights: Array) -> Array:
        """Return the image from the center along the weights, as far as ball and box allow."""
        if self.box is not None:
            corner = self.box.farthest(weights) - self.center
            # A weight of 0 moves nothing, so that what the ball allows is left for the others.
            corner[weights == 0] = 0
        shares = self._shares(weights)
        found = self._along(weights, shares)
        if self.box is not None:
            inside = self._excess(corner) <= 0
            found[inside] = corner[inside]
        found += self.center
        return found

    def _excess(self, away: Array) -> Array:
        """Return by how much the squares of differences from the center exceed those of the radius."""
        lengths: Array = np.square(away.reshape(len(away), -1)).sum(axis=1)
        return lengths - self.radius**2

    def _along(self, away: Array, shares: Array) -> Array:
        """Return differences from the center times `shares` (n,), clipped to the box."""
        found: Array = away * shares.astype(away.dtype).reshape(-1, *[1] * (away.ndim - 1))
        if self.box is None:
            return found
        return np.clip(found, self.box.low - self.center, self.box.high - self.center, out=found)

    def _shares(self, away: Array) -> Array:
        """Return the factor that brings each difference from the center to the radius, clipped to the box.

        The squared length of what is clipped grows with the squared factor, concave and linear in pieces. So
        Newton's method from below never oversteps, and ends exactly once it is on the last piece.
        """
        squares = np.square(away.reshape(len(away), -1).astype(np.float64))
        wanted = self.radius**2
        total = squares.sum(axis=1)
        factor = np.divide(wanted, total, out=np.zeros(len(away)), where=total > 0)
        if self.box is None:
            return np.asarray(np.sqrt(factor))
        ends = np.where(
            away.reshape(len(away), -1) > 0, self.box.high - self.center, self.box.low - self.center
        )
        limits = np.square(ends)
        for _ in range(squares.shape[1]):
            scaled = factor[:, None] * squares
            free = scaled < limits
            slope = (squares * free).sum(axis=1)
            length = np.where(free, scaled, limits).sum(axis=1)
            rest = np.divide(wanted - length, slope, out=np.zeros_like(slope), where=slope > 0)
            if (rest <= 1e-12 * factor).all():
                break
            factor += np.maximum(rest, 0)
        return np.asarray(np.sqrt(factor))
