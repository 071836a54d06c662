"""What may happen to an image before the network sees it; an objective then counts on average over it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from probe._checks import Array, InputError, check_integer
from probe._signatures import checked

__all__ = ["Shift", "Transform", "Variant"]

Variant = Callable[[Array], tuple[Array, Callable[[Array], Array]]]
"""Maps images (n, ...) to what the network sees and the way back from a gradient of it."""


class Transform(Protocol):
    """A family of linear maps of images to images of the same shape."""

    @property
    def name(self) -> str:
        """What happens, in words."""
        ...

    def check(self, shape: tuple[int, ...]) -> None:
        """Raise unless images of `shape` can be transformed."""
        ...

    def variants(self, rng: np.random.Generator) -> list[Variant]:
        """Return the maps that an objective is averaged over in one ascent."""
        ...


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
