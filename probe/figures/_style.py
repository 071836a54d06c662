"""One look for every figure: sizes, fonts, and one meaning for each colour.

The colours are Okabe and Ito's, which stay apart for colour-blind readers; every curve is also named in
words beside it. Figures have a white ground of their own, so that they read the same on a dark page.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import ceil, floor, log10
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from probe._checks import InputError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.cm import ScalarMappable
    from matplotlib.colorbar import Colorbar
    from matplotlib.figure import Figure, SubFigure

__all__ = [
    "COLOURS",
    "INPUT_COLOURS",
    "MAX_COLUMNS",
    "MAX_TILES",
    "WIDTH",
    "Grid",
    "band",
    "blend",
    "by_channel",
    "check_drawable",
    "footnote",
    "fresh",
    "image_grid",
    "log_axis",
    "log_bar",
    "log_ticks",
    "replicates",
    "styled",
    "text_width",
]

WIDTH = 8.0
"""Width of every figure in inches; at 160 dots an inch, 1280 pixels."""

COLOURS = {
    "true": "#0072B2",
    "real": "#0072B2",
    "train": "#0072B2",
    "random": "#D55E00",
    "noise": "#CC79A7",
    "test": "#009E73",
    "untrained": "#999999",
    "optimum": "#E69F00",
    "reference": "#444444",
}

INPUT_COLOURS = {
    "none": COLOURS["true"],
    "pixel-permutation": "#56B4E9",
    "pixel-shuffle": "#882255",
    "gaussian": COLOURS["noise"],
}
"""Of what was done to the images; apart from each other in grey too."""

MAX_TILES = 1024
"""Images in one grid; a layer with more units shows the first ones, and the figure says so."""

MAX_COLUMNS = 32
"""Images side by side in one grid."""

_STYLE: dict[Any, Any] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 10,
    "axes.titlesize": 10,
    "axes.labelsize": 10,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#444444",
    "axes.grid": True,
    "grid.color": "#e6e6e6",
    "axes.axisbelow": True,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "savefig.dpi": 160,
    "figure.dpi": 110,
    # Names of classes and layers are text, whatever signs they hold.
    "text.parse_math": False,
}


@contextmanager
def styled() -> Iterator[None]:
    """Apply the style to what is drawn inside."""
    import matplotlib as mpl

    with mpl.rc_context(_STYLE):
        yield


def fresh(height: float) -> Figure:
    """Return an empty figure of the common width and `height` inches, independent of pyplot."""
    from matplotlib.figure import Figure

    return Figure(figsize=(WIDTH, height), layout="constrained", dpi=160)


def band(axes: Axes, x: npt.NDArray[Any], values: npt.NDArray[Any], colour: str) -> None:
    """Draw replicates (n_replicates, n_points): the median, and the range or members around it.

    With fewer than ten replicates each is a thin line; with ten or more a band spans the middle 90%, and a
    note in the axes says so. Points at which all replicates are NaN are left out.
    """
    replicates(axes, x, values, colour)
    if len(values) >= 10 and not any(text.get_gid() == "band" for text in axes.texts):
        note = "band: middle 90%"
        axes.text(0.98, 0.5, note, transform=axes.transAxes, ha="right", va="top", fontsize=9, gid="band")


def replicates(
    axes: Axes, x: npt.NDArray[Any], values: npt.NDArray[Any], colour: str, marker: str = "none"
) -> None:
    """Draw replicates as `band` does, without the note; `marker` stands at a few places of the median."""
    known = ~np.isnan(values).all(axis=0)
    x, values = x[known], values[:, known]
    if 1 < len(values) < 10:
        axes.plot(x, values.T, color=colour, linewidth=0.6, alpha=0.45)
    elif len(values) > 1:
        low, high = np.nanquantile(values, [0.05, 0.95], axis=0)
        axes.fill_between(x, low, high, color=colour, alpha=0.2, linewidth=0)
    # A curve of one point is seen only by its marker.
    shape = "o" if len(x) == 1 and marker == "none" else marker
    axes.plot(
        x,
        np.nanmedian(values, axis=0),
        color=colour,
        linewidth=2,
        marker=shape,
        markersize=5,
        markeredgecolor="white",
        markeredgewidth=0.6,
        markevery=_on_log_scale(x),
    )


def _on_log_scale(x: npt.NDArray[Any]) -> list[int]:
    """Return the places of about seven of the points `x`, evenly apart on a logarithmic scale."""
    if not len(x):
        return []
    if x[0] <= 0:
        return list(range(len(x)))
    wanted = np.geomspace(x[0], x[-1], 7)
    return sorted({int(np.abs(x - place).argmin()) for place in wanted})


def blend(first: str, second: str, share: float) -> str:
    """Return the colour that is `share` of the way from `first` to `second`."""
    from matplotlib.colors import to_hex, to_rgb

    mixed = (1 - share) * np.array(to_rgb(first)) + share * np.array(to_rgb(second))
    return to_hex((mixed[0], mixed[1], mixed[2]))


def text_width(text: str, size: float, weight: str = "normal") -> float:
    """Return the width of one line of text in inches."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import TextToPath

    font = FontProperties(family="DejaVu Sans", size=size, weight=weight)
    return float(TextToPath().get_text_width_height_descent(text, font, ismath=False)[0]) / 72


def footnote(figure: Figure | SubFigure, sentences: Sequence[str]) -> None:
    """Write below all axes what the marks mean, in as many lines as the width asks for."""
    from textwrap import fill

    inches = figure.bbox.width / figure.dpi
    text = fill(" ".join(sentence for sentence in sentences if sentence), max(30, int(inches * 15.5)))
    figure.supxlabel(text, x=0.01, ha="left", fontsize=8.5, color="#333333", linespacing=1.25)


def log_ticks(low: float, high: float, fewest: int = 2) -> list[float]:
    """Return ticks of a logarithmic axis: 1, 10, 100, ... or as many between as make `fewest`; evenly apart if none do."""
    from matplotlib.ticker import MaxNLocator

    decades = range(floor(log10(low)) - 1, ceil(log10(high)) + 1)
    for steps in ((1,), (1, 3), (1, 2, 5), (1, 2, 3, 5, 7), range(1, 10)):
        ticks = [step * 10.0**decade for decade in decades for step in steps]
        ticks = [tick for tick in ticks if low <= tick <= high]
        if len(ticks) >= fewest:
            return ticks
    ticks = [float(tick) for tick in MaxNLocator(5).tick_values(low, high) if low <= tick <= high]
    return ticks or [low, high]


def log_bar(bar: Colorbar, low: float, high: float) -> None:
    """Give a logarithmic colour bar from `low` to `high` few ticks with plain numbers."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    bar.ax.yaxis.set_major_locator(FixedLocator(log_ticks(low, high, 3)))
    bar.ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.3g}"))
    bar.ax.yaxis.set_minor_locator(NullLocator())


def log_axis(axes: Axes, which: Literal["x", "y"], low: float, high: float, fewest: int = 2) -> None:
    """Make an axis logarithmic from `low` to `high`, with ticks that have room: 1, 10, 100, 1k, 10k, ..."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter

    decades = range(floor(log10(low)) - 1, ceil(log10(high)) + 1)
    ticks = log_ticks(low, high, fewest)
    minor = [step * 10.0**decade for decade in decades for step in range(2, 10)]
    axes.set(**{f"{which}scale": "log", f"{which}lim": (low, high)})
    axis = axes.xaxis if which == "x" else axes.yaxis
    axis.set_major_locator(FixedLocator(ticks))
    axis.set_major_formatter(FuncFormatter(lambda value, _: _compact(value)))
    axis.set_minor_locator(FixedLocator([tick for tick in minor if low <= tick <= high]))
    axis.set_minor_formatter(NullFormatter())


def _compact(value: float) -> str:
    """Return a number in few letters.

    Examples
    --------
    >>> _compact(200), _compact(1500), _compact(1e6)
    ('200', '1.5k', '1M')
    """
    for unit, letter in ((1e6, "M"), (1e3, "k")):
        if value >= unit:
            return f"{value / unit:g}{letter}"
    return f"{value:g}"


def by_channel(
    images: npt.NDArray[Any], labels: Sequence[str]
) -> tuple[npt.NDArray[Any], list[str], int | None]:
    """Return images (n, height, width[, channels]) with labels and a number of columns, ready for a grid.

    Images of another number of channels than 1 or 3 become one grey image for each channel, a row of them
    for each image.
    """
    channels = images.shape[3] if images.ndim == 4 else 1
    if channels in (1, 3):
        return images, list(labels), None
    planes = np.moveaxis(images, 3, 1).reshape(-1, *images.shape[1:3])
    heads = [label.partition("\n") for label in labels]
    names = [f"{head}:{channel}{end}{rest}" for head, end, rest in heads for channel in range(channels)]
    return planes, names, channels if channels <= MAX_COLUMNS else None


def check_drawable(images: npt.NDArray[Any]) -> None:
    """Raise unless images (n, ...) can be drawn: (height, width), or with 1 or 3 channels."""
    if images.ndim not in (3, 4) or (images.ndim == 4 and images.shape[-1] not in (1, 3)):
        raise InputError(
            f"images must have shape (height, width) or (height, width, 1 or 3) to be drawn, got {images.shape[1:]}"
        )


@dataclass(frozen=True, slots=True)
class Grid:
    """Where images stand as tiles of one picture, in pixels of the images.

    Attributes
    ----------
    n : int
        Images.
    columns : int
        Images side by side.
    height, width : int
        Size of one image.
    label_lines : int
        Lines of text above each image.
    """

    n: int
    columns: int
    height: int
    width: int
    label_lines: int

    @classmethod
    def of(cls, images: npt.NDArray[Any], labels: Sequence[str], columns: int | None = None) -> Grid:
        """Return the grid for images (n, height, width[, channels]), n at most `MAX_TILES`."""
        shapes = ((10, 5), (32, 8), (70, 10), (200, 16), (MAX_TILES, MAX_COLUMNS))
        if columns is None:
            columns = next(columns for limit, columns in shapes if len(images) <= limit)
        lines = max(label.count("\n") + 1 for label in labels)
        return cls(len(images), columns, images.shape[1], images.shape[2], lines)

    @property
    def gap(self) -> int:
        """Empty pixels between images."""
        return max(1, round(self.width / 14))

    @property
    def font_size(self) -> float:
        """Points, such that a short label is no wider than its image."""
        return float(np.clip(self._tile_inches * 72 / 7, 4.5, 9.0))

    @property
    def head(self) -> int:
        """Pixels above each image that its label takes."""
        inches = self.label_lines * self.font_size * 1.35 / 72
        return ceil(inches / self._tile_inches * (self.width + self.gap)) + 1

    @property
    def shape(self) -> tuple[int, int]:
        """Size of the whole picture."""
        rows = ceil(self.n / self.columns)
        return rows * (self.height + self.gap + self.head), self.columns * (self.width + self.gap)

    @property
    def inches(self) -> float:
        """Height of the whole picture in a figure of the common width."""
        return (WIDTH - 0.3) * self.shape[0] / self.shape[1]

    @property
    def _tile_inches(self) -> float:
        return (WIDTH - 0.3) / self.columns

    def corner(self, k: int) -> tuple[int, int]:
        """Return the row and column of the top left pixel of image k."""
        top = (k // self.columns) * (self.height + self.gap + self.head) + self.head
        return top, (k % self.columns) * (self.width + self.gap)


def image_grid(
    axes: Axes,
    images: npt.NDArray[Any],
    labels: Sequence[str],
    grid: Grid,
    *,
    cmap: str,
    limits: tuple[float, float],
) -> ScalarMappable:
    """Draw images (n, height, width[, 1 or 3]) as tiles of one picture, each with a label above it.

    Returns what a colour bar needs.

    Three channels are drawn as red, green and blue, `limits` being black and full colour.
    """
    if images.ndim == 4 and images.shape[-1] == 1:
        images = images[..., 0]
    from matplotlib.cm import ScalarMappable
    from matplotlib.collections import PatchCollection
    from matplotlib.colors import Normalize
    from matplotlib.patches import Rectangle

    canvas = np.full((*grid.shape, *images.shape[3:]), np.nan, np.float32)
    frames = []
    for k, (image, label) in enumerate(zip(images, labels, strict=True)):
        top, left = grid.corner(k)
        canvas[top : top + grid.height, left : left + grid.width] = image
        frames.append(Rectangle((left - 0.5, top - 0.5), grid.width, grid.height))
        axes.text(
            left + grid.width / 2 - 0.5,
            top - 1,
            label,
            ha="center",
            va="bottom",
            fontsize=grid.font_size,
            color="#222222",
            linespacing=1.15,
        )
    scale = ScalarMappable(Normalize(*limits), cmap)
    if canvas.ndim == 3:
        colours = (canvas - limits[0]) / (limits[1] - limits[0])
        pixels = np.where(np.isnan(colours), 1.0, np.clip(colours, 0, 1))
    else:
        # As bytes, because matplotlib takes ten times the memory to colour numbers itself.
        pixels = scale.to_rgba(canvas, bytes=True)
    axes.imshow(pixels, interpolation="nearest")
    axes.add_collection(PatchCollection(frames, facecolor="none", edgecolor="#999999", linewidth=0.5))
    axes.set_axis_off()
    return scale
