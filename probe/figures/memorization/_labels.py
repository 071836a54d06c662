"""Names of curves beside their right ends, moved apart where they would overlap."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from probe.figures._style import WIDTH, blend, text_width
from probe.figures.memorization._conditions import Group

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure
    from matplotlib.transforms import Transform

__all__ = ["LINE", "End", "apart", "around", "end_labels", "fit", "legend", "panel_inches", "row_inches"]

LINE = 0.175
"""Height of a line of text in inches, with the space to the next."""


@dataclass(frozen=True, slots=True)
class End:
    """The right end of a curve, in data coordinates (y is NaN if it has none), and its name."""

    x: float
    y: float
    name: str
    colour: str
    marker: str = "none"
    detail: str = ""

    @property
    def n_lines(self) -> int:
        """Lines of text."""
        return 1 + (self.detail.count("\n") + 1 if self.detail else 0)


def row_inches(groups: Sequence[Group], usual: float, *, lines: int) -> float:
    """Return the height of a row of axes that has room for a name of so many lines for each condition."""
    return max(usual, LINE * lines * max(len(group.series) for group in groups) + 0.35)


def panel_inches(figure: Figure | SubFigure, rows: int, taken: float = 0.85) -> float:
    """Return about how high each of `rows` axes will be, `taken` inches being text above and below."""
    return float((figure.bbox.height / figure.dpi - taken) / rows - 0.15)


def around(x: npt.NDArray[np.int64]) -> tuple[float, float]:
    """Return limits of a logarithmic axis with a little room at both ends, for the markers there."""
    first, last = float(x[0]), float(x[-1])
    room = max(last / first, 2.0) ** 0.03
    return first / room, max(last, 1.5 * first if last == first else last) * room


def fit(ends: Sequence[End], inches: float) -> bool:
    """Return whether the names have room beside an axes of that height."""
    return sum(end.n_lines for end in ends) * LINE <= inches


def apart(wanted: npt.NDArray[np.float64], sizes: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the places in [0, 1] nearest to `wanted` at which labels of these sizes do not overlap.

    Labels keep their order. With the sizes taken out, places must only not fall: an isotonic regression.
    """
    from scipy.optimize import isotonic_regression

    order = np.argsort(wanted, kind="stable")
    below = np.cumsum(sizes[order]) - sizes[order] / 2
    free = isotonic_regression(wanted[order] - below).x
    places = np.empty(len(wanted))
    places[order] = np.clip(free, 0, max(0.0, 1 - float(sizes.sum()))) + below
    return places


def end_labels(axes: Axes, ends: Sequence[End], inches: float) -> None:
    """Name curves at the right of an axes `inches` high, with a thin line to each end."""
    low, high = axes.transScale.transform([(1, y) for y in axes.get_ylim()])[:, 1]
    scaled = np.array([axes.transScale.transform((1, end.y))[1] for end in ends])
    # Curves that have no end, as those of networks that all diverged, are named at the foot.
    wanted = np.nan_to_num((scaled - low) / (high - low), nan=-1.0)
    places = apart(wanted, np.array([end.n_lines * LINE / inches for end in ends]))
    for end, place in zip(ends, places, strict=True):
        _name(axes, end, float(place))


def _name(axes: Axes, end: End, place: float) -> None:
    from matplotlib.transforms import ScaledTranslation

    def line(centre: float) -> Transform:
        """Return where text stands that is `centre` lines above the middle of the label."""
        return axes.transAxes + ScaledTranslation(0.2, centre * LINE, axes.figure.dpi_scale_trans)

    below = end.n_lines - 1
    style: dict[str, Any] = {"fontsize": 9, "ha": "left", "va": "center", "annotation_clip": False}
    known = bool(np.isfinite(end.y))
    axes.annotate(
        end.name,
        (end.x, end.y) if known else (1, place),
        xycoords="data" if known else "axes fraction",
        xytext=(1, place),
        textcoords=line(below / 2),
        arrowprops={"arrowstyle": "-", "color": end.colour, "linewidth": 0.8, "shrinkA": 1, "shrinkB": 0}
        | {"relpos": (0, 0.5)}
        if known
        else None,
        fontweight="bold",
        # Darker than the curve: light colours are hard to read as letters.
        color=blend(end.colour, "#000000", 0.2),
        **style,
    )
    if end.detail:
        axes.annotate(
            end.detail,
            (1, place),
            xycoords="axes fraction",
            xytext=(1, place),
            textcoords=line(-0.5),
            color="#333333",
            **style,
        )


def legend(figure: Figure | SubFigure, ends: Sequence[End]) -> None:
    """Name curves in one legend above the axes, where they are too many to be named beside it."""
    from matplotlib.lines import Line2D

    lines = [Line2D([], [], color=e.colour, linewidth=2, marker=e.marker, markersize=5) for e in ends]
    names = [f"{e.name}: {e.detail}" if e.detail else e.name for e in ends]
    columns = max(1, int(WIDTH / (0.65 + max(text_width(name, 9) for name in names))))
    figure.legend(lines, names, loc="outside upper left", ncols=columns, fontsize=9, frameon=False)
