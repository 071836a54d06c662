"""Labels that do not lie over each other: wherever there is room in axes, or beside the right ends of curves."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from math import inf
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.lines import Line2D
from matplotlib.transforms import ScaledTranslation
from scipy.optimize import isotonic_regression

from probe.figures._axes import Look, beside
from probe.figures._style import WIDTH, blend, size_of, text_width

__all__ = ["LINE", "End", "Room", "apart", "end_labels", "fit", "inches_of", "name_ends"]

Floats = npt.NDArray[np.float64]

LINE = 0.175
"""Height of a line of text in inches, with the space to the next."""

_REACH = 2.4
"""How far the middle of a label may be from its point, in inches, to each side."""


@dataclass(slots=True)
class Room:
    """What is taken of logarithmic axes: boxes (x, y, width, height) about their middles, in inches.

    The axes have the limits that they will have. `size` is their width and height in inches, or an estimate; distances of
    labels from their points are exact. `weight` is that of the heaviest letters of a label.
    """

    axes: Axes
    size: tuple[float, float]
    font_size: float = 9.0
    weight: str = "normal"
    boxes: list[tuple[float, float, float, float]] = field(default_factory=list)

    def inches(self, x: float, y: float) -> tuple[float, float]:
        """Return where a point stands, from the lower left corner."""
        (left, right), (low, high) = self.axes.get_xlim(), self.axes.get_ylim()
        across, up = np.log(x / left) / np.log(right / left), np.log(y / low) / np.log(high / low)
        return float(across) * self.size[0], float(up) * self.size[1]

    def take(self, x: float, y: float, width: float, height: float) -> None:
        """Keep labels off a box of so many inches about a point."""
        self.boxes.append((*self.inches(x, y), width, height))

    def take_line(self, start: tuple[float, float], end: tuple[float, float], width: float = 0.04) -> None:
        """Keep labels off a line along an axis."""
        (left, low), (right, high) = self.inches(*start), self.inches(*end)
        middle = (left + right) / 2, (low + high) / 2
        self.boxes.append((*middle, abs(right - left) + width, abs(high - low) + width))

    def mark(self, x: float, y: float, marker: str, width: float, height: float, **look: Any) -> None:
        """Draw a marker of so many inches at a point, and keep labels off it."""
        self.axes.plot(x, y, marker, **look)
        self.take(x, y, width, height)

    def bar(self, x: float, low: float, high: float, width: float, **look: Any) -> None:
        """Draw a line upwards, and keep labels off it."""
        self.axes.vlines(x, low, high, **look)
        self.take_line((x, low), (x, high), width)

    def label(
        self, text: str, x: float, y: float, *, line_from: float, most: float = inf, **style: Any
    ) -> None:
        """Write `text` as near to a point as there is room, with a thin line to it from `line_from` inches on.

        A label whose edge would be more than `most` inches away is left out. Without such a limit it stands above its
        point where there is no room at all.
        """
        offset = self._offset(text, x, y, most)
        if offset is None:
            if most < inf:
                return
            offset = 0.0, 0.2
        distance = np.hypot(max(0.0, abs(offset[0]) - text_width(text, self.font_size) / 2), offset[1])
        line = {"arrowstyle": "-", "color": "#999999", "linewidth": 0.6, "shrinkA": 0, "shrinkB": 4}
        style |= {"ha": "center", "va": "center", "fontsize": self.font_size, "annotation_clip": False}
        points = 72 * offset[0], 72 * offset[1]
        beside(self.axes, text, (x, y), points, arrowprops=line if distance > line_from else None, **style)

    def _offset(self, text: str, x: float, y: float, most: float) -> tuple[float, float] | None:
        """Return the nearest free place for a label, in inches from its point, and take it; None if there is none."""
        width = text_width(text, self.font_size, self.weight) + 0.08
        height = round(0.0189 * self.font_size, 2)
        steps = np.linspace(-_REACH, _REACH, 97), np.linspace(-_REACH, _REACH, 121)
        across, up = (grid.ravel() for grid in np.meshgrid(*steps))
        # By the distance of the point from the box, not from its middle: a label is wide. Right before left.
        distance = np.hypot(np.maximum(0, np.abs(across) - width / 2), up)
        order = np.lexsort((-across, np.abs(across).round(9), distance.round(3)))
        point_x, point_y = self.inches(x, y)
        free = self._is_free(point_x + across[order], point_y + up[order], width, height)
        free &= distance[order] <= most
        if not free.any():
            return None
        chosen = order[int(free.argmax())]
        self.boxes.append((point_x + across[chosen], point_y + up[chosen], width, height))
        return float(across[chosen]), float(up[chosen])

    def _is_free(self, x: Floats, y: Floats, width: float, height: float) -> npt.NDArray[np.bool_]:
        right, top = self.size[0] - width / 2, self.size[1] - height / 2
        free = (width / 2 <= x) & (x <= right) & (height / 2 <= y) & (y <= top)
        for box_x, box_y, box_width, box_height in self.boxes:
            is_aside = np.abs(x - box_x) >= (width + box_width) / 2
            free &= is_aside | (np.abs(y - box_y) >= (height + box_height) / 2)
        return np.asarray(free)


def inches_of(axes: Axes, aside: float, below: float) -> tuple[float, float]:
    """Return about how large axes will be, with so many inches of text beside and below them."""
    place, (width, height) = axes.get_subplotspec(), size_of(axes.figure)
    if place is None:
        box = axes.get_position()
        return width * box.width, height * box.height
    rows, columns = place.get_gridspec().get_geometry()
    return width * len(place.colspan) / columns - aside, height * len(place.rowspan) / rows - below


@dataclass(frozen=True, slots=True)
class End:
    """The right end of a curve, in data coordinates (y is NaN if it has none), and its name."""

    x: float
    y: float
    name: str
    color: str
    marker: str = "none"
    detail: str = ""

    @property
    def n_lines(self) -> int:
        """Lines of text."""
        return 1 + (self.detail.count("\n") + 1 if self.detail else 0)


def name_ends(
    figure: Figure | SubFigure, column: Iterable[Axes], rows: Sequence[Sequence[End]], inches: float
) -> None:
    """Name curves beside axes `inches` high, a row of them each; in one legend if they do not fit beside all."""
    if all(fit(ends, inches) for ends in rows):
        for axes, ends in zip(column, rows, strict=True):
            end_labels(axes, ends, inches)
    else:
        _legend(figure, [end for ends in rows for end in ends])


def fit(ends: Sequence[End], inches: float) -> bool:
    """Return whether the names have room beside an axes of that height."""
    return sum(end.n_lines for end in ends) * LINE <= inches


def apart(wanted: Floats, sizes: Floats) -> Floats:
    """Return the positions in [0, 1] nearest to `wanted` at which labels of these sizes do not overlap.

    Labels keep their order. With the sizes taken out, positions must only not fall: an isotonic regression.
    """
    order = np.argsort(wanted, kind="stable")
    below = np.cumsum(sizes[order]) - sizes[order] / 2
    free = isotonic_regression(wanted[order] - below).x
    positions = np.empty(len(wanted))
    positions[order] = np.clip(free, 0, max(0.0, 1 - float(sizes.sum()))) + below
    return positions


def end_labels(axes: Axes, ends: Sequence[End], inches: float) -> None:
    """Name curves at the right of an axes `inches` high, with a thin line to each end."""
    low, high = axes.transScale.transform([(1, y) for y in axes.get_ylim()])[:, 1]
    scaled = np.array([axes.transScale.transform((1, end.y))[1] for end in ends])
    # Curves that have no end, as those of networks that all diverged, are named at the foot.
    wanted = np.nan_to_num((scaled - low) / (high - low), nan=-1.0)
    positions = apart(wanted, np.array([end.n_lines * LINE / inches for end in ends]))
    for end, position in zip(ends, positions.tolist(), strict=True):
        # Darker than the curve: light colors are hard to read as letters.
        style: Look = {"fontweight": "bold", "color": blend(end.color, "#000000", 0.2)}
        if np.isfinite(end.y):
            line = {"arrowstyle": "-", "color": end.color, "linewidth": 0.8, "shrinkA": 1, "shrinkB": 0}
            style |= {"xy": (end.x, end.y), "arrowprops": line | {"relpos": (0, 0.5)}}
        _beside_axes(axes, end.name, position, (end.n_lines - 1) / 2, **style)
        if end.detail:
            _beside_axes(axes, end.detail, position, -0.5, color="#333333")


def _beside_axes(axes: Axes, text: str, position: float, n_lines: float, **style: Any) -> None:
    """Write text at the right of axes, so many lines above a height; with a line to the point `xy` if there is one."""
    above = axes.transAxes + ScaledTranslation(0.2, n_lines * LINE, axes.figure.dpi_scale_trans)
    look: Look = {"fontsize": 9, "ha": "left", "va": "center", "annotation_clip": False}
    if "xy" not in style:
        look |= {"xy": (1, position), "xycoords": "axes fraction"}
    axes.annotate(text, xytext=(1, position), textcoords=above, **look | style)


def _legend(figure: Figure | SubFigure, ends: Sequence[End]) -> None:
    """Name curves in one legend above the axes, where they are too many to be named beside it."""
    lines = [Line2D([], [], color=e.color, linewidth=2, marker=e.marker, markersize=5) for e in ends]
    names = [f"{e.name}: {e.detail}" if e.detail else e.name for e in ends]
    columns = max(1, int(WIDTH / (0.65 + max(text_width(name, 9) for name in names))))
    figure.legend(lines, names, loc="outside upper left", ncols=columns)
