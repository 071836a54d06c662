"""Figure of `probe.analyses.capacity`: images learned by heart against the number of parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from probe.analyses.capacity import Capacity
from probe.figures._labels import Room, inches_of
from probe.figures._parts import one_panel
from probe.figures._style import COLOURS, log_axis
from probe.stats import Interval

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["PARTS"]

_ARROW = 0.3
"""Inches of the arrow of a lower bound."""


@one_panel(height=4.6)
def capacity(result: Capacity, ax: Axes, **style: Any) -> list[str]:
    """Draw a point for each search and the mean of each architecture; `style` goes to the searches."""
    x, y = _limits(result)
    log_axis(ax, "x", *x)
    log_axis(ax, "y", *y)
    ax.set(xlabel="parameters (weights and biases)", ylabel="images whose random labels are fitted")
    room = Room(ax, inches_of(ax, 0.75, 0.85))
    _points(result, room, style)
    _reference(room)
    for index, name in enumerate(result.architectures):
        mean = float(result.capacities[index].mean())
        name += f": ≥ {mean:,.0f}" if result.is_lower_bound[index] else ""
        _label(room, name, float(result.n_parameters[index]), max(mean, y[0]), "#222222")
    return _notes(result)


PARTS = (capacity,)


def _limits(result: Capacity) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return limits with about as much room at all sides; capacities of 0 stand on the lower edge."""
    counts = result.n_parameters
    fitted = result.capacities[result.capacities > 0]
    low, high = (int(fitted.min()), int(fitted.max())) if len(fitted) else (1, 10)
    return _around(counts.min(), counts.max(), 0.2), _around(low, high, 0.15)


def _around(low: float, high: float, share: float) -> tuple[float, float]:
    """Return limits with room for labels, and at least a factor of 8 apart, so that there are ticks."""
    room = max(1.35 * (high / low) ** share, (8 * low / high) ** 0.5)
    return low / room, high * room


def _points(result: Capacity, room: Room, style: dict[str, Any]) -> None:
    """Draw each search and the means. Searches stand left of the mean, or they would lie under it."""
    n, floor = result.capacities.shape[1], room.axes.get_ylim()[0]
    low, high = room.axes.get_xlim()
    beside = (high / low) ** (-0.09 / room.size[0]) if n > 1 else 1.0
    means = result.intervals
    for index, count in enumerate(result.n_parameters.tolist()):
        for value, censored in zip(result.capacities[index], result.censored[index], strict=True):
            marker = "^" if censored else "o" if value else "v"
            look: dict[str, Any] = {
                "color": COLOURS["random"],
                "markerfacecolor": COLOURS["random"] if marker == "o" else "white",
                "markersize": 5,
            }
            point = count * beside, value or floor
            room.axes.plot(*point, marker, clip_on=False, gid="search", **look | style)
            room.take(*point, 0.1, 0.1)
        if n > 1 and result.capacities[index].any():
            _mean(room, count, means[index])


def _mean(room: Room, count: float, mean: Interval) -> None:
    color, floor, is_bound = COLOURS["reference"], room.axes.get_ylim()[0], np.isinf(mean.high)
    # A mean of few and of none at all may lie below everything that was found.
    point = (count, max(mean.estimate, floor))
    low, high = max(mean.low, floor), point[1] if is_bound else mean.high
    room.axes.vlines(count, low, high, color=color, linewidth=1.8)
    room.take_line((count, low), (count, high), 0.1)
    if is_bound:
        _arrow(point, color, room)
    face = "white" if is_bound else color
    room.axes.plot(*point, "D", color=color, markerfacecolor=face, markersize=7, gid="mean")
    room.take(*point, 0.14, 0.14)


def _arrow(point: tuple[float, float], color: str, room: Room) -> None:
    """Draw an arrow upwards: the interval has no upper end."""
    room.axes.annotate(
        "",
        point,
        xytext=(0, 72 * _ARROW),
        textcoords="offset points",
        arrowprops={"arrowstyle": "<-", "color": color, "linewidth": 1.8, "shrinkA": 0, "shrinkB": 0},
        annotation_clip=False,
    )
    x, y = room.inches(*point)
    room.boxes.append((x, y + _ARROW / 2, 0.14, _ARROW))


def _reference(room: Room) -> None:
    """Draw where there are as many parameters as images, if that is inside the axes."""
    (left, right), (bottom, top) = room.axes.get_xlim(), room.axes.get_ylim()
    low, high = max(left, bottom), min(right, top)
    if low >= high:
        return
    room.axes.plot([low, high], [low, high], color="#777777", linewidth=0.8, gid="reference", zorder=1)
    for value in np.geomspace(low, high, 160).tolist():
        room.take(value, value, 0.04, 0.04)
    _label(room, "parameters = images", high, high, "#555555")


def _label(room: Room, text: str, x: float, y: float, color: str) -> None:
    room.label(text, x, y, line_from=0.3, color=color)


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
