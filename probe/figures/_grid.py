"""Images as tiles of one picture of bounded size, whatever the number of units and the size of an image.

Every figure of many images takes its `Page`: which of them are shown, and where they stand.
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass, replace
from math import ceil
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from probe._checks import Array, InputError, IntArray
from probe.figures._style import DOTS, HEIGHT, WIDTH

__all__ = [
    "ACROSS",
    "INCHES",
    "MAX_COLUMNS",
    "MAX_TILES",
    "Grid",
    "Page",
    "by_channel",
    "check_channels_last",
    "check_drawable",
    "lone",
    "strongest",
    "without_channel",
]

MAX_TILES = 512
"""Images in one picture."""

MAX_COLUMNS = 32
"""Images side by side."""

MAX_CHANNELS = 16
"""Channels shown of each unit where they are more than `MAX_COLUMNS`."""

INCHES = HEIGHT - 3.0
"""Height of a grid: what is left of a figure by its title, its color bar and its notes."""

ACROSS = WIDTH - 0.3
"""Width of a grid in inches: what is left of a figure by its margins."""

_LONGEST = 4
"""How many times as long as wide a tile is at most; the pixels of longer images are drawn wider."""

_LONE = 400
"""Pixels of an image by itself, in each direction, at most about."""


@dataclass(frozen=True, slots=True)
class Grid:
    """Where `n` images stand as tiles of one picture, in pixels of the images; `height` and `width` are those of a tile."""

    n: int
    columns: int
    height: int
    width: int
    label_lines: int  # of text above each image
    _: KW_ONLY
    per_unit: int = 1  # images that belong together and stand side by side, a little apart from others
    step: tuple[int, int] = (1, 1)  # every so many-th row and column is drawn: those that there are dots for
    stretch: tuple[int, int] = (1, 1)  # each is repeated so often, so that a single one is seen
    across: float = ACROSS  # inches of the whole picture

    @classmethod
    def of(
        cls,
        n_units: int,
        size: tuple[int, ...],
        label_lines: int,
        *,
        per_unit: int = 1,
        abreast: int | None = None,
        inches: float = INCHES,
        across: float = ACROSS,
    ) -> Self:
        """Return the grid for the units that fit, at most `n_units`, with images of `size` (height, width).

        `abreast` units stand side by side, or more if they are too high otherwise; as many as usual without.
        """
        ratio = min(_LONGEST, max(size) / min(size))
        shape = (10 * ratio, 10) if size[0] > size[1] else (10, 10 * ratio)
        few = ((10, 5), (32, 8), (70, 10), (200, 16))
        usual = next((columns for limit, columns in few if n_units * per_unit <= limit), MAX_COLUMNS)
        first = max(1, usual // per_unit) if abreast is None else abreast
        for units_abreast in range(first, max(first, MAX_COLUMNS // per_unit) + 1):
            columns = units_abreast * per_unit
            tile = round(shape[0]), round(shape[1])
            rough = cls(n_units * per_unit, columns, *tile, label_lines, per_unit=per_unit, across=across)
            if rough.inches <= inches:
                break
        dots = rough._tile_inches * DOTS / (rough.width + rough.gap)
        down, aside = (max(1, round(n / (dots * drawn))) for n, drawn in zip(size, shape, strict=True))
        height, width = ceil(size[0] / down), ceil(size[1] / aside)
        tall, wide = stretch = _stretch(height, width)
        grid = replace(rough, height=height * tall, width=width * wide, step=(down, aside), stretch=stretch)
        rows = max(1, int(inches / (grid.inches / grid.rows)))
        return replace(grid, n=min(n_units, rows * units_abreast) * per_unit)

    @property
    def gap(self) -> int:
        """Empty pixels between images."""
        return max(1, round(self.width / 14))

    @property
    def between(self) -> int:
        """Further empty pixels between the images of two units."""
        return 2 * self.gap if 1 < self.per_unit < self.columns else 0

    @property
    def font_size(self) -> float:
        """Points, such that a short label is no wider than its image."""
        return float(np.clip(self._tile_inches * 72 / 7, 4.5, 9.0))

    @property
    def line(self) -> float:
        """Pixels that a line of text takes."""
        return self.font_size * 1.35 / 72 / self._tile_inches * (self.width + self.gap)

    @property
    def head(self) -> int:
        """Pixels above each image that its label takes."""
        return ceil(self.label_lines * self.line) + 1

    @property
    def rows(self) -> int:
        """Images one above the other."""
        return ceil(self.n / self.columns)

    @property
    def shape(self) -> tuple[int, int]:
        """Size of the whole picture."""
        return self.rows * (self.height + self.gap + self.head), self._pixels_across

    @property
    def inches(self) -> float:
        """Height of the whole picture in a figure of the common width."""
        return self.across * self.shape[0] / self.shape[1]

    @property
    def unit_inches(self) -> float:
        """Width of the images of one unit."""
        return self.per_unit * self._tile_inches

    @property
    def note(self) -> str:
        """What the reader has to know of the pixels, in a sentence; empty where each is drawn once, as a square."""
        return f"Of the pixels: {self.words}." if self.words else ""

    @property
    def words(self) -> str:
        """The same as a part of a sentence."""
        facts = (
            (self.step, ("row", "column"), "one {1} in {0} of an image is drawn"),
            (self.stretch, ("high", "wide"), "pixels are drawn {0} times as {1} as they are"),
        )
        return "; ".join(
            text.format(times, name)
            for both, names, text in facts
            for times, name in zip(both, names, strict=True)
            if times > 1
        )

    @property
    def _pixels_across(self) -> int:
        units = ceil(self.columns / self.per_unit)
        return self.columns * (self.width + self.gap) + (units - 1) * self.between

    @property
    def _tile_inches(self) -> float:
        return self.across * (self.width + self.gap) / self._pixels_across

    def corner(self, k: int) -> tuple[int, int]:
        """Return the row and column of the top left pixel of image k."""
        row, column = divmod(k, self.columns)
        top = row * (self.height + self.gap + self.head) + self.head
        return top, column * (self.width + self.gap) + column // self.per_unit * self.between

    def fitted(self, images: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return images (n, height, width, ...) with as many pixels as a tile has."""
        return _stretched(images[:, :: self.step[0], :: self.step[1]], self.stretch)


@dataclass(frozen=True, slots=True, eq=False)
class Page:
    """Which of many images a figure shows, and where they stand.

    All in their order where they fit; else those that are strongest, the strongest first.
    """

    units: IntArray  # (n_shown,)
    planes: IntArray  # (n_shown, n_planes_shown): the images of each of them
    n_units: int
    n_planes: int
    grid: Grid

    @classmethod
    def of_weights(
        cls, images: npt.NDArray[Any], label_lines: int, *, n_planes: int = 1, inches: float = INCHES
    ) -> Page:
        """Return the page for images (n_units x n_planes, height, width[, channels]); their lengths are the strengths."""
        rows = images.reshape(len(images), -1)
        lengths = np.sqrt(np.einsum("ij,ij->i", rows, rows)).reshape(-1, n_planes)
        return cls.of(lengths, images.shape[1:3], label_lines, inches=inches)

    @classmethod
    def of(
        cls,
        strengths: Array,
        size: tuple[int, ...],
        label_lines: int,
        *,
        inches: float,
        across: float = ACROSS,
        values: Array | None = None,
    ) -> Page:
        """Return the page for images of `size` (height, width) with `strengths` of shape (n_units[, n_planes]).

        Units are as strong as all their images together, or as their `values` say.
        """
        table = strengths.reshape(len(strengths), -1)
        n_units, n_planes = table.shape
        per_unit = n_planes if n_planes <= MAX_COLUMNS else MAX_CHANNELS
        most = min(n_units, MAX_TILES // per_unit)
        grid = Grid.of(most, size, label_lines, per_unit=per_unit, inches=inches, across=across)
        if values is None:
            values = np.sqrt(np.square(table).sum(axis=1)) if n_planes > 1 else table[:, 0]
        units = strongest(values, grid.n // per_unit)
        planes = np.stack([strongest(table[unit], per_unit) for unit in units])
        return cls(units, planes, n_units, n_planes, grid)

    @property
    def images(self) -> IntArray:
        """Which images are shown, with those of unit 0 first, then those of unit 1, and so on."""
        return np.asarray((self.units[:, None] * self.n_planes + self.planes).ravel())

    def note(self, units: str, which: str, channels: str = "the largest weights") -> str:
        """Return what is shown, as "Shown: the 64 of 2,000 units with the largest weights."; empty if all is, as it is."""
        shown, per_unit = len(self.units), self.grid.per_unit
        of_units = f"the {shown} of {self.n_units:,} {units} with {which}, the strongest first"
        of_each = f"of each the {per_unit} of {self.n_planes:,} channels with {channels}"
        facts = of_units * (shown < self.n_units), of_each * (per_unit < self.n_planes), self.grid.words
        words = "; ".join(fact for fact in facts if fact)
        return f"Shown: {words}." if words else ""


def strongest(strengths: Array, n: int) -> IntArray:
    """Return the indices of all strengths, or of the `n` greatest, the greatest first."""
    # What is not a number comes last.
    order = np.argsort(-np.nan_to_num(strengths, nan=-np.inf), kind="stable")
    return np.arange(len(strengths)) if len(strengths) <= n else order[:n]


def by_channel(images: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], int]:
    """Return images (n, height, width[, channels]), one gray one for each channel unless 1 or 3, and how many of each."""
    channels = images.shape[3] if images.ndim == 4 else 1
    if channels in (1, 3):
        return images, 1
    return np.moveaxis(images, 3, 1).reshape(-1, *images.shape[1:3]), channels


def check_drawable(images: npt.NDArray[Any]) -> None:
    """Raise unless images (n, ...) can be drawn: (height, width), or with 1 or 3 channels."""
    if images.ndim not in (3, 4) or (images.ndim == 4 and images.shape[-1] not in (1, 3)):
        raise InputError(
            f"images must have shape (height, width) or (height, width, 1 or 3) to be drawn, got {images.shape[1:]}"
        )


def check_channels_last(images: npt.NDArray[Any]) -> None:
    """Raise if the second axis of inputs (n, ...) may be that of their channels: it is not guessed."""
    if images.ndim == 4 and images.shape[3] not in (1, 3) and images.shape[1] in (1, 3):
        channels, *size = images.shape[1:]
        raise InputError(
            f"images of shape {images.shape[1:]} may have the channels first: give the analysis "
            f"network.with_input_shape({tuple(size) if channels == 1 else (*size, channels)}), which takes them last"
        )


def lone(images: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return images (n, height, width[, 1 or 3]) with no more pixels than are seen; long ones get wider ones."""
    down, aside = (max(1, round(n / _LONE)) for n in images.shape[1:3])
    thin = without_channel(images)[:, ::down, ::aside]
    return _stretched(thin, _stretch(*thin.shape[1:3]))


def _stretch(height: int, width: int) -> tuple[int, int]:
    """Return how often rows and columns are repeated, so that no tile is more than `_LONGEST` times as long as wide."""
    return max(1, round(width / height / _LONGEST)), max(1, round(height / width / _LONGEST))


def _stretched(images: npt.NDArray[Any], stretch: tuple[int, int]) -> npt.NDArray[Any]:
    for axis, times in enumerate(stretch, start=1):
        images = images if times == 1 else images.repeat(times, axis=axis)
    return images


def without_channel(images: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return images (n, height, width, 1) without the last axis, and others as they are."""
    return images[..., 0] if images.ndim == 4 and images.shape[-1] == 1 else images
