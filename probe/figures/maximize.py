"""Figures of `probe.analyses.maximize`: the best image for each objective, real images beside it, and the way there."""

from __future__ import annotations

import io
from dataclasses import dataclass, replace
from math import ceil
from typing import TYPE_CHECKING, Any

import numpy as np

from probe._checks import Array, InputError
from probe.analyses.maximize import Maximization
from probe.figures._style import (
    COLOURS,
    MAX_TILES,
    WIDTH,
    Grid,
    by_channel,
    check_drawable,
    footnote,
    fresh,
    image_grid,
    styled,
    text_width,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure
    from PIL.Image import Image

__all__ = ["animation", "draw"]

_MOST_BYTES = 2_000_000
"""What an animation may take at most."""

_HEADING = 16
"""Pixels of a line of text in an animation."""


def draw(result: Maximization, *, figure: Figure | SubFigure | None = None) -> Figure | SubFigure:
    """Draw `result` into `figure`, or a new one, and return it.

    Raises
    ------
    InputError
        If the inputs are no images.
    """
    images = result.best_images
    in_planes = images.ndim == 4 and images.shape[-1] not in (1, 3)
    if result.top is not None and not in_planes:
        return _beside_real(result, figure)
    labels = [
        f"{name}\n{value:.3g}" for name, value in zip(_short(result.names), result.best_values, strict=True)
    ]
    images, labels, columns = by_channel(images, labels)
    images, labels = images[:MAX_TILES], labels[:MAX_TILES]
    check_drawable(images)
    grid = Grid.of(images, labels, columns)
    note = "Above each image: its objective and the value reached."
    with styled():
        figure = fresh(grid.inches + 0.7) if figure is None else figure
        axes = figure.subplots()
        image_grid(axes, images, _fitted(labels, grid), grid, cmap="gray", limits=_limits(result))
        if columns:
            footnote(
                figure, [f"{note} A row is one image, a tile for each of its channels.", _pixels(result)]
            )
            return figure
        if np.isfinite(result.reached).any():
            for k, share in enumerate(result.reached[: len(images)]):
                _bar(axes, grid, k, share)
            note += " " + _BARS
        footnote(figure, [note, _pixels(result), _first(result, len(images))])
    return figure


_BARS = (
    "The bar below: how far the value lies between the bounds that no image can leave; a full bar is proof that none "
    "is higher."
)


def _first(result: Maximization, shown: int) -> str:
    n = len(result.names)
    return "" if shown == n else f"The first {shown} of {n} objectives."


def _beside_real(result: Maximization, figure: Figure | SubFigure | None) -> Figure | SubFigure:
    """Draw for each objective the best image and, to its right, the real images on which it is greatest."""
    assert result.top is not None
    n_top = result.top.images.shape[1]
    shown = min(len(result.names), MAX_TILES // (1 + n_top))
    best, top = result.best_images[:shown], result.top.images[:shown]
    check_drawable(best)
    tiles = np.concatenate([best[:, None], top], axis=1).reshape(-1, *best.shape[1:])
    values = np.concatenate([result.best_values[:shown, None], result.top.values[:shown]], axis=1)
    grid = _Rows.of_rows(shown, 1 + n_top, best.shape[1], best.shape[2])
    with styled():
        figure = fresh(grid.inches + 0.75) if figure is None else figure
        axes = figure.subplots()
        labels = [f"{value:.3g}" for value in values.ravel()]
        image_grid(axes, tiles, labels, grid, cmap="gray", limits=_limits(result))
        for row, name in enumerate(_short(result.names)[:shown]):
            top_pixel, left = grid.corner(row * (1 + n_top))
            axes.text(
                left - 0.5,
                top_pixel - 1 - grid.line,
                _cut(name, grid.font_size, grid.row_inches, "bold"),
                fontsize=grid.font_size,
                fontweight="bold",
                color="#222222",
                ha="left",
                va="bottom",
            )
            _bar(axes, grid, row * (1 + n_top), float(result.reached[row]))
        _framed(axes, grid, [row * (1 + n_top) for row in range(shown)])
        known = np.isfinite(result.reached).any()
        footnote(
            figure,
            [
                f"Framed: the best image found. Right of it, of {result.top.n_images:,} real images the {n_top} on which "
                "the objective is greatest. Above each: the value of the objective.",
                _BARS if known else "",
                _pixels(result),
                _first(result, shown),
            ],
        )
    return figure


@dataclass(frozen=True, slots=True)
class _Rows(Grid):
    """A grid in blocks side by side, each of rows of `per_row` images."""

    per_row: int = 1
    n_blocks: int = 1

    @classmethod
    def of_rows(cls, n_rows: int, per_row: int, height: int, width: int) -> _Rows:
        n_blocks = next((blocks for most, blocks in ((5, 1), (20, 2), (60, 3)) if n_rows <= most), 4)
        n_blocks = max(1, min(n_blocks, 24 // per_row))
        return cls(n_rows * per_row, n_blocks * per_row, height, width, 2, per_row, n_blocks)

    @property
    def rows(self) -> int:
        """Rows of each block."""
        return ceil(self.n // self.per_row / self.n_blocks)

    @property
    def gap(self) -> int:
        """Empty pixels between images: room for the bar."""
        return max(2, round(self.width / 7))

    @property
    def shape(self) -> tuple[int, int]:
        """Size of the whole picture."""
        across = self.columns * (self.width + self.gap) + (self.n_blocks - 1) * self._between
        return self.rows * (self.height + self.gap + self.head), across

    @property
    def _between(self) -> int:
        """Empty pixels between blocks."""
        return max(2, self.width // 2)

    @property
    def _tile_inches(self) -> float:
        across = self.columns + (self.n_blocks - 1) * self._between / (self.width + self.gap)
        return (WIDTH - 0.3) / across

    @property
    def line(self) -> float:
        """Pixels that a line of text takes."""
        return self.font_size * 1.25 / 72 / self._tile_inches * (self.width + self.gap)

    @property
    def row_inches(self) -> float:
        """Width of a row of images."""
        return self.per_row * self._tile_inches

    def corner(self, k: int) -> tuple[int, int]:
        """Return the row and column of the top left pixel of image k."""
        which, column = divmod(k, self.per_row)
        block, row = divmod(which, self.rows)
        top = row * (self.height + self.gap + self.head) + self.head
        left = (block * self.per_row + column) * (self.width + self.gap) + block * self._between
        return top, left


def _bar(axes: Axes, grid: Grid, k: int, share: float) -> None:
    """Draw below image `k` how far up its value is."""
    from matplotlib.patches import Rectangle

    if not np.isfinite(share):
        return
    top, left = grid.corner(k)
    height = 0.5 * grid.gap
    for width, colour in ((1.0, "#d9d9d9"), (share, COLOURS["optimum"])):
        at = left - 0.5, top + grid.height - 0.5 + 0.4 * grid.gap
        axes.add_patch(Rectangle(at, width * grid.width, height, color=colour, linewidth=0, gid="bar"))


def _framed(axes: Axes, grid: Grid, places: list[int]) -> None:
    """Draw a heavy frame around some images."""
    from matplotlib.patches import Rectangle

    for place in places:
        top, left = grid.corner(place)
        axes.add_patch(
            Rectangle(
                (left - 0.5, top - 0.5), grid.width, grid.height, fill=False, color="#222222", linewidth=1.2
            )
        )


def _limits(result: Maximization) -> tuple[float, float]:
    """Return black and white: [0, 1], or further where the region goes beyond."""
    if result.region.low >= 0 and result.region.high <= 1:
        return 0.0, 1.0
    images = result.best_images
    return min(0.0, float(images.min())), max(1.0, float(images.max()))


def _pixels(result: Maximization) -> str:
    low, high = _limits(result)
    colours = (
        "Colours as they are: " if result.images.shape[-1:] == (3,) and result.images.ndim == 5 else "Black "
    )
    if colours.startswith("Colours"):
        return f"{colours}{low:.3g} is none, {high:.3g} full."
    return (
        f"{colours}is {low:.3g} (background), white {high:.3g} (ink)."
        if low == 0
        else (f"{colours}is {low:.3g}, white {high:.3g}.")
    )


def _short(names: tuple[str, ...]) -> list[str]:
    """Return names that fit above small images: without what they all begin with, "unit" and blanks."""
    prefixes = {name.rsplit(" ", 1)[0] for name in names if " unit " in name}
    if len(prefixes) == 1 and all(" unit " in name for name in names):
        return [name.rsplit(" ", 1)[1] for name in names]
    return [name.replace(" unit ", ":") for name in names]


def _fitted(labels: list[str], grid: Grid) -> list[str]:
    """Return labels with their first lines cut to the width of a tile, where they would reach into the next."""
    inches = (WIDTH - 0.3) / grid.columns
    heads = [label.partition("\n") for label in labels]
    return [f"{_cut(head, grid.font_size, inches)}{end}{rest}" for head, end, rest in heads]


def _cut(text: str, size: float, inches: float, weight: str = "normal") -> str:
    """Return `text`, or its beginning and an ellipsis, no wider than `inches`."""
    if text_width(text, size, weight) <= inches:
        return text
    fitting, too_many = 1, len(text)
    while too_many - fitting > 1:
        middle = (fitting + too_many) // 2
        fits = text_width(text[:middle] + "…", size, weight) <= inches
        fitting, too_many = (middle, too_many) if fits else (fitting, middle)
    return text[:fitting].rstrip() + "…"


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
    names = _short(result.names)
    planes, labels, columns = by_channel(result.frames.images[:, -1], names)
    check_drawable(planes[:MAX_TILES])
    film = [by_channel(images, names)[0][:MAX_TILES] for images in result.frames.images.swapaxes(0, 1)]
    scale = max(1, min(6, 84 // planes.shape[2]))
    tiles = _Tiles(Grid.of(film[0], ["x"], columns), scale, labels[:MAX_TILES], _limits(result))
    n_steps = int(result.frames.steps[-1])
    times = [round(1000 * seconds / len(film))] * (len(film) - 1) + [round(500 * seconds)]
    content = b""
    for levels, smaller in ((64, 1), (16, 1), (16, 2), (8, 3), (4, 6)):
        small = replace(tiles, scale=max(1, scale // smaller))
        pictures = [
            small.picture(images, f"step {step} of {n_steps}", levels)
            for images, step in zip(film, result.frames.steps, strict=True)
        ]
        buffer = io.BytesIO()
        pictures[0].save(buffer, "GIF", save_all=True, append_images=pictures[1:], loop=0, duration=times)
        content = buffer.getvalue()
        if len(content) <= _MOST_BYTES:
            return content
    raise InputError(
        f"an animation of {len(names)} objectives in {len(film)} frames takes {len(content):,} bytes, more than "
        f"{_MOST_BYTES:,}: pass fewer objectives or frames"
    )


@dataclass(frozen=True, slots=True)
class _Tiles:
    """How the frames of an animation are laid out."""

    grid: Grid
    scale: int
    labels: list[str]
    limits: tuple[float, float]

    def picture(self, images: Array, heading: str, levels: int) -> Image:
        """Return one frame, in `levels` of grey (or of each colour)."""
        from PIL import Image, ImageDraw, ImageFont

        canvas = self._canvas(images, levels)
        picture = Image.fromarray(canvas)
        pen = ImageDraw.Draw(picture)
        font: Any = ImageFont.truetype(_font_file(), 11)
        ink = (60,) * 3 if canvas.ndim == 3 else 60
        pen.text((4, 2), heading, fill=ink, font=font)
        width = (self.grid.width + self.grid.gap) * self.scale
        for k, label in enumerate(self.labels):
            top, left = self._corner(k)
            pen.text((left, top - _HEADING), _cut(label, 11, width / 72), fill=ink, font=font)
        return picture.quantize(64) if canvas.ndim == 3 else picture

    def _corner(self, k: int) -> tuple[int, int]:
        grid = self.grid
        row, column = divmod(k, grid.columns)
        down = grid.height * self.scale + _HEADING + 4
        return row * down + 2 * _HEADING + 4, 4 + column * (grid.width + grid.gap) * self.scale

    def _canvas(self, images: Array, levels: int) -> Any:
        if images.ndim == 4 and images.shape[-1] == 1:
            images = images[..., 0]
        low, high = self.limits
        shares = np.clip((images - low) / (high - low), 0, 1)
        bytes_ = (np.round(shares * (levels - 1)) * (255 / (levels - 1))).astype(np.uint8)
        grid = self.grid
        last_row = self._corner(grid.n - 1)[0]
        across = 8 + min(grid.n, grid.columns) * (grid.width + grid.gap) * self.scale
        shape = last_row + grid.height * self.scale + 4, max(across, 120), *images.shape[3:]
        canvas = np.full(shape, 255, np.uint8)
        for k, image in enumerate(bytes_):
            top, left = self._corner(k)
            tile = image.repeat(self.scale, axis=0).repeat(self.scale, axis=1)
            canvas[top : top + tile.shape[0], left : left + tile.shape[1]] = tile
        return canvas


def _font_file() -> str:
    from matplotlib.font_manager import findfont

    return findfont("DejaVu Sans")
