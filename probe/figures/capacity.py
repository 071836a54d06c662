"""Figure of `probe.analyses.capacity`: images learned by heart against the number of parameters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from probe.analyses.capacity import Capacity
from probe.figures._style import COLOURS, WIDTH, footnote, fresh, log_axis, styled, text_width

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

__all__ = ["draw"]

Floats = npt.NDArray[np.float64]

_FONT_SIZE = 9.0
_ARROW = 0.3
"""Inches of the arrow of a lower bound."""


def draw(result: Capacity, *, figure: Figure | SubFigure | None = None) -> Figure | SubFigure:
    """Draw `result` into `figure`, or a new one, and return it."""
    with styled():
        figure = fresh(4.6) if figure is None else figure
        axes = figure.subplots()
        x, y = _limits(result)
        log_axis(axes, "x", *x)
        log_axis(axes, "y", *y)
        axes.set(xlabel="parameters (weights and biases)", ylabel="images whose random labels are fitted")
        room = _Room.of(figure, x, y)
        _points(axes, result, y[0], room)
        _reference(axes, x, y, room)
        for index, name in enumerate(result.architectures):
            _name(axes, result, index, name, y[0], room)
        footnote(figure, _notes(result))
    return figure


def _limits(result: Capacity) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return limits with about as much room at all sides; capacities of 0 stand on the lower edge."""
    counts = result.n_parameters
    found = result.capacities[result.capacities > 0]
    low, high = (int(found.min()), int(found.max())) if len(found) else (1, 10)
    return _around(counts.min(), counts.max(), 0.2), _around(low, high, 0.15)


def _around(low: float, high: float, share: float) -> tuple[float, float]:
    """Return limits with room for labels, and at least a factor of 8 apart, so that there are ticks."""
    room = max(1.35 * (high / low) ** share, (8 * low / high) ** 0.5)
    return low / room, high * room


def _points(axes: Axes, result: Capacity, floor: float, room: _Room) -> None:
    """Draw each search and the means. Searches stand left of the mean, or they would lie under it."""
    n = result.capacities.shape[1]
    for index, count in enumerate(result.n_parameters):
        for value, censored in zip(result.capacities[index], result.censored[index], strict=True):
            marker = "^" if censored else "o" if value else "v"
            face = COLOURS["random"] if marker == "o" else "white"
            place = (count * room.factor(-0.09 if n > 1 else 0), value or floor)
            axes.plot(
                *place,
                marker,
                color=COLOURS["random"],
                markerfacecolor=face,
                markersize=5,
                clip_on=False,
                gid="search",
            )
            room.take(*room.inches(*place), 0.1, 0.1)
        if n > 1 and result.capacities[index].any():
            _mean(axes, result, index, floor, room)


def _mean(axes: Axes, result: Capacity, index: int, floor: float, room: _Room) -> None:
    count, mean, colour = result.n_parameters[index], result.interval(index), COLOURS["reference"]
    bound = result.is_lower_bound(index)
    # A mean of few and of none at all may lie below everything that was found.
    place = (count, max(mean.estimate, floor))
    low, high = max(mean.low, floor), place[1] if bound else mean.high
    axes.vlines(count, low, high, color=colour, linewidth=1.8)
    for value in np.geomspace(low, high, 5):
        room.take(*room.inches(count, value), 0.1, 0.1)
    if bound:
        _arrow(axes, place, colour, room)
    face = "white" if bound else colour
    axes.plot(*place, "D", color=colour, markerfacecolor=face, markersize=7, gid="mean")
    room.take(*room.inches(*place), 0.14, 0.14)


def _arrow(axes: Axes, place: tuple[float, float], colour: str, room: _Room) -> None:
    """Draw an arrow upwards: the interval has no upper end."""
    axes.annotate(
        "",
        place,
        xytext=(0, 72 * _ARROW),
        textcoords="offset points",
        arrowprops={"arrowstyle": "<-", "color": colour, "linewidth": 1.8, "shrinkA": 0, "shrinkB": 0},
        annotation_clip=False,
    )
    x, y = room.inches(*place)
    room.take(x, y + _ARROW / 2, 0.14, _ARROW)


def _reference(axes: Axes, x: tuple[float, float], y: tuple[float, float], room: _Room) -> None:
    """Draw where there are as many parameters as images, if that is inside the axes."""
    low, high = max(x[0], y[0]), min(x[1], y[1])
    if low >= high:
        return
    axes.plot([low, high], [low, high], color="#777777", linewidth=0.8, gid="reference", zorder=1)
    for value in np.geomspace(low, high, 40):
        room.take(*room.inches(value, value), 0.04, 0.04)
    _label(axes, "parameters = images", (high, high), room, "#555555")


def _name(axes: Axes, result: Capacity, index: int, name: str, floor: float, room: _Room) -> None:
    mean = float(result.capacities[index].mean())
    name += f": ≥ {mean:,.0f}" if result.is_lower_bound(index) else ""
    _label(axes, name, (float(result.n_parameters[index]), max(mean, floor)), room, "#222222")


def _label(axes: Axes, text: str, place: tuple[float, float], room: _Room, colour: str) -> None:
    """Write `text` as near to a place as there is room, with a thin line to it from further away."""
    dx, dy = room.offset(text, *room.inches(*place))
    far = np.hypot(dx, dy) > 0.3 + text_width(text, _FONT_SIZE) / 2
    axes.annotate(
        text,
        place,
        xytext=(72 * dx, 72 * dy),
        textcoords="offset points",
        ha="center",
        va="center",
        fontsize=_FONT_SIZE,
        color=colour,
        annotation_clip=False,
        arrowprops={"arrowstyle": "-", "color": "#999999", "linewidth": 0.6, "shrinkA": 0, "shrinkB": 5}
        if far
        else None,
    )


def _notes(result: Capacity) -> list[str]:
    n = result.capacities.shape[1]
    notes = [
        "One search each."
        if n == 1
        else "Circles: searches. Diamonds: their mean, with a 95% bootstrap interval."
    ]
    if result.censored.any():
        more = "" if n == 1 else ", and so is a hollow mean with an arrow"
        notes.append(f"Triangle upwards: all images allowed were fitted, so a lower bound{more}.")
    if (result.capacities == 0).any():
        notes.append("Triangle downwards, on the edge: no number of images was fitted.")
    return notes


@dataclass(slots=True)
class _Room:
    """What is taken of the axes: boxes (x, y, width, height) about their middles, in inches.

    The size of the axes is an estimate, as it is known only once all text around them is; offsets of labels
    from their points are exact.
    """

    size: tuple[float, float]
    x: tuple[float, float]
    y: tuple[float, float]
    boxes: list[tuple[float, float, float, float]]

    @classmethod
    def of(cls, figure: Figure | SubFigure, x: tuple[float, float], y: tuple[float, float]) -> _Room:
        """Return the room in an axes that fills a figure and has these limits."""
        scale = figure.bbox.width / figure.dpi / WIDTH
        height = figure.bbox.height / figure.dpi
        return cls((WIDTH * scale - 0.75, height - 0.85), x, y, [])

    def inches(self, x: float, y: float) -> tuple[float, float]:
        """Return where a point stands, from the lower left corner."""
        across, up = (np.log(v / low) / np.log(high / low) for v, (low, high) in ((x, self.x), (y, self.y)))
        return float(across) * self.size[0], float(up) * self.size[1]

    def factor(self, inches: float) -> float:
        """Return what moves a number of parameters by so many inches."""
        return float((self.x[1] / self.x[0]) ** (inches / self.size[0]))

    def take(self, x: float, y: float, width: float, height: float) -> None:
        """Keep labels off a box."""
        self.boxes.append((x, y, width, height))

    def offset(self, text: str, x: float, y: float) -> tuple[float, float]:
        """Return the nearest free place for a label, from its point, and take it."""
        width, height = text_width(text, _FONT_SIZE) + 0.08, 0.17
        offsets = [(dx, dy) for dx in np.linspace(-2.4, 2.4, 49) for dy in np.linspace(-2.4, 2.4, 97)]

        def distance(offset: tuple[float, float]) -> tuple[float, float]:
            beside = max(0.0, abs(offset[0]) - width / 2)
            return round(float(np.hypot(beside, offset[1])), 3), abs(offset[0])

        # By the distance of the point from the box, not from its middle: a label is wide.
        for dx, dy in sorted(offsets, key=distance):
            if self._is_free(x + dx, y + dy, width, height):
                self.take(x + dx, y + dy, width, height)
                return float(dx), float(dy)
        return 0.0, 0.2

    def _is_free(self, x: float, y: float, width: float, height: float) -> bool:
        inside = width / 2 <= x <= self.size[0] - width / 2 and height / 2 <= y <= self.size[1] - height / 2
        return inside and not any(
            abs(x - bx) < (width + bw) / 2 and abs(y - by) < (height + bh) / 2
            for bx, by, bw, bh in self.boxes
        )
