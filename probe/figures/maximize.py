"""Figures of `probe.analyses.maximize`: the best image for each objective, real images beside it, and the way there."""

from __future__ import annotations

import io
import math
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.font_manager import findfont
from matplotlib.patches import Rectangle
from PIL import Image, ImageDraw, ImageFont

from probe._checks import Array, InputError, IntArray
from probe.analyses.maximize import Maximization
from probe.figures._grid import (
    ACROSS,
    INCHES,
    MAX_COLUMNS,
    MAX_TILES,
    Grid,
    Page,
    check_channels_last,
    check_drawable,
    strongest,
    without_channel,
)
from probe.figures._parts import one_panel
from probe.figures._style import COLORS, WIDTH, cut, literal, resize
from probe.figures._tiles import framed, image_grid

__all__ = ["PARTS", "animation"]

_MOST_BYTES = 2_000_000
"""What an animation may take at most."""

_MOST_PIXELS = 100_000_000
"""What the frames of an animation have together, unless there are very many."""

_HEADING = 16
"""Pixels of a line of text in an animation."""

_BARS = (
    "The bar below: how far the value lies between the bounds that no image can leave; a full bar is proof that none "
    "is higher."
)


@one_panel()
def images(result: Maximization, ax: Axes, cmap: str = "gray", **style: Any) -> list[str]:
    """Draw the best image for each objective, and beside it the real images on which the objective is greatest."""
    n_planes = _n_planes(result)
    style |= {"cmap": cmap, "limits": _limits(result)}
    if result.top is not None and n_planes == 1:
        return _beside_real(result, ax, style)
    page, names = _page(result, n_planes, INCHES, ACROSS), _short(result.names)
    grid, units = page.grid, page.units.tolist()
    labels, headings = [f"{names[k]}\n{result.best_values[k]:.3g}" for k in units], list[str]()
    note = "Above each image: its objective and the value reached."
    if n_planes > 1:
        headings = [label.replace("\n", ": ") for label in labels]
        labels = [str(channel) for channel in page.planes.ravel().tolist()]
        note = "Above the images of each objective: its value; above each image: its channel."
    resize(ax, grid.inches + 0.9)
    image_grid(ax, _tiles(_best(result, page.units), page), labels, grid, headings=headings, **style)
    if n_planes == 1 and np.isfinite(result.reached).any():
        for index, unit in enumerate(units):
            _bar(ax, grid, index, float(result.reached[unit]))
        note += " " + _BARS
    return [note, _pixels(result), _left_out(page)]


def _n_planes(result: Maximization) -> int:
    """Return how many gray images make one image: 1, or its channels where they are not 1 or 3."""
    images = result.images[:, 0]
    check_channels_last(images)
    n_planes = images.shape[3] if images.ndim == 4 and images.shape[3] not in (1, 3) else 1
    if n_planes == 1:
        check_drawable(images)
    return n_planes


def _best(result: Maximization, units: IntArray) -> Array:
    """Return the best images of some objectives, without a copy of all."""
    return np.asarray(result.images[units, result.best_restarts[units]])


def _tiles(images: Array, page: Page) -> Array:
    """Return the tiles of the shown objectives' images."""
    if page.n_planes == 1:
        return images
    planes = np.moveaxis(images, 3, 1)
    return planes[np.arange(len(planes))[:, None], page.planes].reshape(-1, *planes.shape[2:])


def _page(result: Maximization, n_planes: int, inches: float, across: float) -> Page:
    """Return the objectives shown: all, or those with the highest values, and of their images the brightest channels."""
    size = result.images.shape[2:4]
    if n_planes == 1:
        return Page.of(result.best_values, size, 2, inches=inches, across=across)
    images = _best(result, np.arange(len(result.names)))
    strengths = np.sqrt(np.einsum("nhwc,nhwc->nc", images, images))
    return Page.of(strengths, size, 2, values=result.best_values, inches=inches, across=across)


def _left_out(page: Page) -> str:
    return page.note("objectives", "the highest values", "the brightest pixels (root of the summed squares)")


def _beside_real(result: Maximization, ax: Axes, style: dict[str, Any]) -> list[str]:
    """Draw for each objective the best image and, to its right, the real images on which it is greatest."""
    assert result.top is not None
    per_row = min(1 + result.top.images.shape[1], MAX_COLUMNS)
    # Rows of images are told apart where as many single ones were not.
    most = min(len(result.names), 2 * MAX_TILES // per_row)
    usual = next((blocks for limit, blocks in ((5, 1), (20, 2), (60, 3)) if most <= limit), 4)
    abreast = max(1, min(usual, 24 // per_row))
    grid = _Rows.of(most, result.images.shape[2:4], 2, per_unit=per_row, abreast=abreast)
    shown, n_objectives = grid.n // per_row, len(result.names)
    units = strongest(result.best_values, shown)
    tops = result.top.images[units, : per_row - 1]
    tiles = np.concatenate([_best(result, units)[:, None], tops], axis=1).reshape(-1, *tops.shape[2:])
    real_values = result.top.values[units, : per_row - 1]
    values = np.concatenate([result.best_values[units, None], real_values], axis=1)
    names, labels = _short(result.names), [f"{value:.3g}" for value in values.ravel()]
    resize(ax, grid.inches + 0.95)
    image_grid(ax, tiles, labels, grid, headings=[names[k] for k in units.tolist()], **style)
    for row, unit in enumerate(units.tolist()):
        _bar(ax, grid, row * per_row, float(result.reached[unit]))
    framed(ax, grid, [row * per_row for row in range(shown)])
    few = f"Shown: the {shown} of {n_objectives:,} objectives with the highest values, the highest first."
    return [
        f"Framed: the best image found. Right of it, of {result.top.n_images:,} real images the {per_row - 1} on which the "
        "objective is greatest. Above each: the value of the objective.",
        _BARS if np.isfinite(result.reached).any() else "",
        _pixels(result),
        few if shown < n_objectives else "",
        grid.note,
    ]


@dataclass(frozen=True, slots=True)
class _Rows(Grid):
    """A grid in blocks side by side, each of rows of `per_unit` images."""

    @property
    def gap(self) -> int:
        """Empty pixels between images: room for the bar."""
        return max(2, round(self.width / 7))

    @property
    def between(self) -> int:
        """Empty pixels between blocks."""
        return max(2, self.width // 2)

    def corner(self, k: int) -> tuple[int, int]:
        """Return the row and column of the top left pixel of image k."""
        which, column = divmod(k, self.per_unit)
        block, row = divmod(which, self.rows)
        top = row * (self.height + self.gap + self.head) + self.head
        left = (block * self.per_unit + column) * (self.width + self.gap) + block * self.between
        return top, left


def _bar(axes: Axes, grid: Grid, k: int, share: float) -> None:
    """Draw below image `k` how far up its value is."""
    if not np.isfinite(share):
        return
    top, left = grid.corner(k)
    height = 0.5 * grid.gap
    at = left - 0.5, top + grid.height - 0.5 + 0.4 * grid.gap
    for width, color in ((1.0, "#d9d9d9"), (share, COLORS["optimum"])):
        axes.add_patch(Rectangle(at, width * grid.width, height, color=color, linewidth=0, gid="bar"))


def _limits(result: Maximization) -> tuple[float, float]:
    """Return black and white: [0, 1], or further where the region goes beyond."""
    if result.region.low >= 0 and result.region.high <= 1:
        return 0.0, 1.0
    images = result.best_images
    return min(0.0, float(images.min())), max(1.0, float(images.max()))


def _pixels(result: Maximization) -> str:
    low, high = _limits(result)
    if result.images.ndim == 5 and result.images.shape[-1] == 3:
        return f"Colors as they are: {low:.3g} is none, {high:.3g} full."
    background, ink = (" (background)", " (ink)") if low == 0 else ("", "")
    return f"Black is {low:.3g}{background}, white {high:.3g}{ink}."


def _short(names: tuple[str, ...]) -> list[str]:
    """Return names that fit above small images: without what they all begin with, "unit" and blanks."""
    prefixes = {name.rsplit(" ", 1)[0] for name in names}
    if len(prefixes) == 1 and all(" unit " in name for name in names):
        return [name.rsplit(" ", 1)[1] for name in names]
    return [literal(name.replace(" unit ", ":"), 200) for name in names]


def animation(result: Maximization, *, seconds: float = 4.0) -> bytes:
    """Return the way up as a GIF that loops: all objectives side by side, at most 2 MB.

    Parameters
    ----------
    result : Maximization
        With frames: `probe.maximize(..., frames=30)`.
    seconds : float
        How long the way takes; the last frame stays for as long as half of it.

    Raises
    ------
    InputError
        If the result has no frames, or the inputs are no images.

    Examples
    --------
    >>> import probe
    >>> split = probe.load_dataset("digits")
    >>> network = probe.train(probe.MLP(hidden=(4,)), split, probe.TrainingConfig(epochs=2)).network
    >>> found = probe.maximize(network, [probe.class_logit(3)], steps=20, frames=4)
    >>> animation(found)[:6]
    b'GIF89a'
    """
    if result.frames is None:
        raise InputError("result has no frames: pass frames=30, or another number of at least 2, to maximize")
    n_planes, content = _n_planes(result), b""
    for across in (WIDTH, WIDTH / 2, WIDTH / 4):
        content = _film(result, _page(result, n_planes, across, across), seconds)
        if len(content) <= _MOST_BYTES:
            return content
    raise InputError(
        f"an animation of {len(result.names)} objectives in {len(result.frames.steps)} frames takes {len(content):,} "
        f"bytes, more than {_MOST_BYTES:,}: pass fewer objectives or frames"
    )


def _film(result: Maximization, page: Page, seconds: float) -> bytes:
    """Return the way up as a GIF, in as few colors and as small as it takes to be small enough, if it can be."""
    assert result.frames is not None
    names, left_out = _short(result.names), _left_out(page)
    labels = [
        names[unit] + (f":{channel}" if page.n_planes > 1 else "")
        for unit, channels in zip(page.units.tolist(), page.planes.tolist(), strict=True)
        for channel in channels
    ]
    frames = result.frames.images.swapaxes(0, 1)
    film = [page.grid.fitted(_tiles(images[page.units], page)) for images in frames]
    scale = max(1, min(6, 84 // page.grid.width))
    tiles_of = partial(_Tiles, page.grid, labels=labels, limits=_limits(result))
    while scale > 1 and len(film) * math.prod(tiles_of(scale).size) > _MOST_PIXELS:
        scale -= 1
    n_steps = int(result.frames.steps[-1])
    times = [round(1000 * seconds / len(film))] * (len(film) - 1) + [round(500 * seconds)]
    ways = ((64, 1), (16, 1), (16, 2), (8, 3), (4, 6))
    content = b""
    for levels, size in dict.fromkeys((levels, max(1, scale // smaller)) for levels, smaller in ways):
        small = tiles_of(size)
        pictures = [
            small.picture(images, f"step {step} of {n_steps}. {left_out}".rstrip(". "), levels)
            for images, step in zip(film, result.frames.steps, strict=True)
        ]
        buffer = io.BytesIO()
        pictures[0].save(buffer, "GIF", save_all=True, append_images=pictures[1:], loop=0, duration=times)
        content = buffer.getvalue()
        if len(content) <= _MOST_BYTES:
            break
    return content


@dataclass(frozen=True, slots=True)
class _Tiles:
    """How the frames of an animation are laid out."""

    grid: Grid
    scale: int
    labels: list[str]
    limits: tuple[float, float]

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of a frame."""
        grid = self.grid
        across = 8 + min(grid.n, grid.columns) * (grid.width + grid.gap) * self.scale
        return self._corner(grid.n - 1)[0] + grid.height * self.scale + 4, max(across, 120)

    def picture(self, images: Array, heading: str, levels: int) -> Image.Image:
        """Return one frame, in `levels` of gray (or of each color)."""
        canvas = self._canvas(images, levels)
        picture = Image.fromarray(canvas)
        pen = ImageDraw.Draw(picture)
        font: Any = ImageFont.truetype(findfont("DejaVu Sans"), 11)
        ink = (60,) * 3 if canvas.ndim == 3 else 60
        pen.text((4, 2), cut(heading, 11, self.size[1] / 72), fill=ink, font=font)
        width = (self.grid.width + self.grid.gap) * self.scale
        for k, label in enumerate(self.labels):
            top, left = self._corner(k)
            pen.text((left, top - _HEADING), cut(label, 11, width / 72), fill=ink, font=font)
        return picture.quantize(64) if canvas.ndim == 3 else picture

    def _corner(self, k: int) -> tuple[int, int]:
        grid = self.grid
        row, column = divmod(k, grid.columns)
        down = grid.height * self.scale + _HEADING + 4
        return row * down + 2 * _HEADING + 4, 4 + column * (grid.width + grid.gap) * self.scale

    def _canvas(self, images: Array, levels: int) -> Any:
        images, (low, high) = without_channel(images), self.limits
        canvas = np.full((*self.size, *images.shape[3:]), 255, np.uint8)
        for k, image in enumerate(images):
            shares = np.clip((image - low) / (high - low), 0, 1)
            bytes_ = (np.round(shares * (levels - 1)) * (255 / (levels - 1))).astype(np.uint8)
            top, left = self._corner(k)
            tile = bytes_.repeat(self.scale, axis=0).repeat(self.scale, axis=1)
            canvas[top : top + tile.shape[0], left : left + tile.shape[1]] = tile
        return canvas


PARTS = (images,)
