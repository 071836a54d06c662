"""Figures of networks against their parameters: of `probe.analyses.search` (errors) and `.capacity` (labels learned)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from probe.analyses.capacity import Capacity
from probe.analyses.search import ArchitectureSearch, SearchFront
from probe.figures._axes import Look, around, beside, log_axis
from probe.figures._labels import Room, inches_of
from probe.figures._parts import one_panel, panels
from probe.figures._style import COLORS, blend, resize, size_of, text_width
from probe.stats import Interval

__all__ = ["PARTS"]

_ARROW = 0.3
"""Inches of the arrow of a lower bound of a capacity."""

_HEIGHT, _FOOT, _ROW = 6.3, 0.78, 0.24
"""Inches of the figure of a search, of the notes below everything, and of one rung."""

_FONT_SIZE = 8.5
_PALE = "#9a9a9a"
_KEPT = COLORS["true"]

_Box = tuple[float, float, float, float]
"""Left and lower end, width and height, in inches."""


@panels()
def search(result: ArchitectureSearch, figure: Figure | SubFigure) -> list[str]:
    """Draw the errors of all candidates against their parameters and their seconds, and how many went on."""
    below = _ROW * len(result.rungs)
    resize(figure, _HEIGHT + below)
    boxes = _boxes(figure, below)
    left, right, rungs = (_axes(figure, k, box) for k, box in enumerate(boxes))
    parameters = [candidate.n_parameters for candidate in result.candidates]
    seconds = [candidate.training_seconds for candidate in result.candidates]
    intervals = {k: result.candidates[k].validation_interval() for k in result.last_rung}
    left.set(xlabel="parameters (weights and biases)", ylabel="wrong on validation images (%)")
    right.set_xlabel("seconds of training one network")
    for axes, box, front, prices in (
        (left, boxes[0], result.by_parameters, parameters),
        (right, boxes[1], result.by_seconds, seconds),
    ):
        known = [price for price in prices if not math.isnan(price)]
        log_axis(axes, "x", *around(min(known), max(known), 0.1, apart=4))
        log_axis(axes, "y", *_errors(result, intervals))
        _Panel(Room(axes, box[2:], _FONT_SIZE, "bold"), result, front, prices, intervals).draw()
    right.tick_params(labelleft=False)
    _rungs(rungs, result, boxes[2])
    return _notes(result, left.get_ylim())


def _boxes(figure: Figure | SubFigure, below: float) -> tuple[_Box, _Box, _Box]:
    """Return where the two panels and the rungs stand: fixed, so that labels can be put exactly where there is room."""
    width, height = size_of(figure)
    # Only a figure of its own has notes.
    foot = _FOOT if isinstance(figure, Figure) else 0.08
    left, between, right, top, bottom = 0.62, 0.3, 0.12, 0.12, foot + below + 0.62
    across, up = (width - left - between - right) / 2, height - top - bottom
    first, second = (left + column * (across + between) for column in (0, 1))
    return (first, bottom, across, up), (second, bottom, across, up), (left + 0.3, foot, 2 * across, below)


def _axes(figure: Figure | SubFigure, index: int, box: _Box) -> Axes:
    axes = figure.add_subplot(3, 1, index + 1)
    width, height = size_of(figure)
    axes.set_position((box[0] / width, box[1] / height, box[2] / width, box[3] / height))
    return axes


@dataclass(frozen=True, slots=True, eq=False)
class _Panel:
    """Errors against what candidates cost.

    `prices` are of all candidates, `intervals` of those trained to the end.
    """

    room: Room
    result: ArchitectureSearch
    front: SearchFront
    prices: Sequence[float]
    intervals: Mapping[int, Interval]

    @property
    def axes(self) -> Axes:
        """With limits that hold the front and all that was trained to the end."""
        return self.room.axes

    def draw(self) -> None:
        """Draw everything; names last, where the marks have left room."""
        result, front = self.result, self.front
        self._steps(front.all_rungs, _PALE, "--")
        self._steps(front.last_rung, blend(_KEPT, "#ffffff", 0.45), "-")
        for k in dict.fromkeys((*result.best_rates, result.reference, *front.last_rung, *front.all_rungs)):
            draw = self._kept if k in self.intervals else self._dropped
            if not math.isnan(self.prices[k]):
                draw(int(k))
        for k in front.last_rung:
            self._test(int(k))
        for k in dict.fromkeys((result.best, result.reference, *front.last_rung, *front.all_rungs)):
            self._name(int(k))

    def _place(self, k: int, accuracy: float | None = None) -> tuple[float, float]:
        """Return where a candidate stands with its accuracy on validation images, or another; on an edge if beyond it."""
        accuracy = self.result.candidates[k].validation if accuracy is None else accuracy
        return self.prices[k], float(np.clip(_percent(accuracy), *self.axes.get_ylim()))

    def _steps(self, front: npt.NDArray[np.int64], color: str, style: str) -> None:
        """Draw the least error for each price: a level from one of the front to the next."""
        x, y = (list(values) for values in zip(*(self._place(k) for k in front), strict=True))
        x, y = [*x, self.axes.get_xlim()[1]], [*y, y[-1]]
        look: Look = {"color": color, "linewidth": 1.2, "zorder": 2}
        self.axes.plot(x, y, style, drawstyle="steps-post", gid="front", **look)
        for k in range(len(x) - 1):
            self.room.take_line((x[k], y[k]), (x[k + 1], y[k]))
            self.room.take_line((x[k + 1], y[k]), (x[k + 1], y[k + 1]))

    def _dropped(self, k: int) -> None:
        point = self._place(k)
        marker = "^" if _percent(self.result.candidates[k].validation) > self.axes.get_ylim()[1] else "o"
        look: Look = {"color": _PALE, "markerfacecolor": "white", "markersize": 4, "zorder": 3}
        self.room.mark(*point, marker, 0.09, 0.09, clip_on=False, gid="dropped", **look)

    def _kept(self, k: int) -> None:
        """Draw a candidate trained to the end."""
        result, point, interval = self.result, self._place(k), self.intervals[k]
        marker, size, color, on_top = "o", 5.0, _KEPT, 4
        if k == result.reference:
            marker, size, color, on_top = "D", 6.5, COLORS["reference"], 5
        if k == result.best:
            marker, size, color, on_top = "*", 14.0, COLORS["random"], 6
        (x, low), (_, high) = (self._place(k, end) for end in (interval.high, interval.low))
        self.room.bar(x, low, high, 0.04, color=color, linewidth=1.2, zorder=on_top - 1)
        look: Look = {"color": color, "markersize": size, "markeredgecolor": "white", "markeredgewidth": 0.6}
        inches = size / 72 + 0.02
        self.room.mark(*point, marker, inches, inches, zorder=on_top, clip_on=False, gid="kept", **look)

    def _test(self, k: int) -> None:
        """Draw the error on test images."""
        point = self._place(k, self.result.candidates[k].test)
        look: Look = {"color": COLORS["test"], "markersize": 11, "markeredgewidth": 2, "zorder": 3.5}
        self.room.mark(*point, "_", 0.17, 0.06, gid="test", **look)

    def _name(self, k: int) -> None:
        """Write the name of a candidate as near to it as there is room, with a line to it from further away."""
        kept, text = k in self.intervals, self.result.candidates[k].label.replace(", quadratic", ", quad.")
        self.room.label(
            f"video: {text}" if k == self.result.reference else text,
            *self._place(k),
            line_from=0.14,
            # Those that were dropped are named where there is room beside them; the others wherever there is.
            most=2.0 if kept else 0.45,
            color="#222222" if kept else "#6b6b6b",
            weight="bold" if k == self.result.best else "normal",
            zorder=7,
        )


def _percent(accuracy: float) -> float:
    """Return the share of wrong answers in percent."""
    return 100 * (1 - accuracy)


def _errors(result: ArchitectureSearch, intervals: Mapping[int, Interval]) -> tuple[float, float]:
    """Return limits of the errors in percent: what was dropped and is on no front may lie beyond."""
    kept = {*result.last_rung, *result.by_parameters.all_rungs, *result.by_seconds.all_rungs}
    errors = [_percent(result.candidates[k].validation) for k in kept]
    fronts = {*result.by_parameters.last_rung, *result.by_seconds.last_rung}
    errors += [_percent(result.candidates[k].test) for k in fronts]
    errors += [_percent(end) for found in intervals.values() for end in (found.low, found.high)]
    # There is no error of 0 on a logarithmic scale: half an image is the least that is told from it.
    least = 50 / len(result.validation_samples)
    return around(max(least, min(errors)), max(2 * least, *errors), 0.12, apart=4)


def _rungs(axes: Axes, result: ArchitectureSearch, box: _Box) -> None:
    """Draw how many candidates each rung had, with their best accuracy."""
    counts = [rung.n_candidates for rung in result.rungs]
    words = [
        f"{count} candidate{'s' * (count > 1)}, the best wrong on {_percent(rung.best_validation):.3g}% of validation images"
        for count, rung in zip(counts, result.rungs, strict=True)
    ]
    # The bars are short enough for the words beside the longest.
    room = size_of(axes.figure)[0] - box[0] - 0.1 - max(text_width(text, _FONT_SIZE) for text in words)
    axes.barh(range(len(counts)), counts, height=0.7, color="#d5d5d5")
    shrink = max(2.6, box[2] / max(room, 0.2))
    axes.set(xlim=(0, shrink * max(counts)), ylim=(len(counts) - 0.4, -0.6), xticks=[])
    names = [f"{rung.n_epochs} epoch" + "s" * (rung.n_epochs > 1) for rung in result.rungs]
    axes.set_yticks(range(len(counts)), names)
    axes.tick_params(left=False)
    axes.grid(visible=False)
    axes.spines[["left", "bottom"]].set_visible(False)
    for row, (count, text) in enumerate(zip(counts, words, strict=True)):
        beside(axes, text, (count, row), (5, 0), va="center", fontsize=_FONT_SIZE)


def _notes(result: ArchitectureSearch, limits: tuple[float, float]) -> list[str]:
    errors = [_percent(result.candidates[k].validation) for k in result.best_rates]
    return [
        f"Points: mean of {len(result.chosen.test_accuracy)} networks at their best learning rate. Filled: trained to the "
        "end, with a 95% interval over networks; hollow: dropped before, with fewer epochs. Star: the choice. Diamond: "
        "the video's network. Lines: the least error for so little, of those trained to the end (solid) and of all "
        "(dashed). Green: the error on test images.",
        "Triangles: wrong on more." if max(errors) > limits[1] else "",
        "On the lower edge: no error." if min(errors) < limits[0] else "",
    ]


@one_panel(height=4.6)
def capacity(result: Capacity, ax: Axes, **style: Any) -> list[str]:
    """Draw a point for each search and the mean of each architecture; `style` goes to the searches."""
    counts, fitted = result.n_parameters, result.capacities[result.capacities > 0]
    low, high = (int(fitted.min()), int(fitted.max())) if len(fitted) else (1, 10)
    log_axis(ax, "x", *around(counts.min(), counts.max(), 0.2, times=1.35, apart=8))
    # Capacities of 0 stand on the lower edge.
    log_axis(ax, "y", *around(low, high, 0.15, times=1.35, apart=8))
    ax.set(xlabel="parameters (weights and biases)", ylabel="images whose random labels are fitted")
    room = Room(ax, inches_of(ax, 0.75, 0.85))
    _points(result, room, style)
    _reference(room)
    for index, name in enumerate(result.architectures):
        mean = float(result.capacities[index].mean())
        name += f": ≥ {mean:,.0f}" if result.is_lower_bound[index] else ""
        point = float(counts[index]), max(mean, ax.get_ylim()[0])
        room.label(name, *point, line_from=0.3, color="#222222")
    return _capacity_notes(result)


def _points(result: Capacity, room: Room, style: dict[str, Any]) -> None:
    """Draw each search and the means. Searches stand left of the mean, or they would lie under it."""
    n, floor = result.capacities.shape[1], room.axes.get_ylim()[0]
    low, high = room.axes.get_xlim()
    left = (high / low) ** (-0.09 / room.size[0]) if n > 1 else 1.0
    means, color = result.intervals, COLORS["random"]
    for index, count in enumerate(result.n_parameters.tolist()):
        for value, censored in zip(result.capacities[index], result.censored[index], strict=True):
            marker = "^" if censored else "o" if value else "v"
            face = color if marker == "o" else "white"
            look: Look = {"color": color, "markerfacecolor": face, "markersize": 5}
            point = count * left, value or floor
            room.mark(*point, marker, 0.1, 0.1, clip_on=False, gid="search", **look | style)
        if n > 1 and result.capacities[index].any():
            _mean(room, count, means[index])


def _mean(room: Room, count: float, mean: Interval) -> None:
    color, floor, is_bound = COLORS["reference"], room.axes.get_ylim()[0], np.isinf(mean.high)
    # A mean of few and of none at all may lie below everything that was found.
    point = (count, max(mean.estimate, floor))
    low, high = max(mean.low, floor), point[1] if is_bound else mean.high
    room.bar(count, low, high, 0.1, color=color, linewidth=1.8)
    if is_bound:
        # The interval has no upper end.
        arrow = {"arrowstyle": "<-", "color": color, "linewidth": 1.8, "shrinkA": 0, "shrinkB": 0}
        beside(room.axes, "", point, (0, 72 * _ARROW), arrowprops=arrow, annotation_clip=False)
        x, y = room.inches(*point)
        room.boxes.append((x, y + _ARROW / 2, 0.14, _ARROW))
    face = "white" if is_bound else color
    room.mark(*point, "D", 0.14, 0.14, color=color, markerfacecolor=face, markersize=7, gid="mean")


def _reference(room: Room) -> None:
    """Draw where there are as many parameters as images, if that is inside the axes."""
    (left, right), (bottom, top) = room.axes.get_xlim(), room.axes.get_ylim()
    low, high = max(left, bottom), min(right, top)
    if low >= high:
        return
    room.axes.plot([low, high], [low, high], color="#777777", linewidth=0.8, gid="reference", zorder=1)
    for value in np.geomspace(low, high, 160).tolist():
        room.take(value, value, 0.04, 0.04)
    room.label("parameters = images", high, high, line_from=0.3, color="#555555")


def _capacity_notes(result: Capacity) -> list[str]:
    is_one = result.capacities.shape[1] == 1
    several = "Circles: searches. Diamonds: their mean, with a 95% interval."
    more = "" if is_one else ", and so is a hollow mean with an arrow"
    bound = f"Triangle upwards: all images allowed were fitted, so a lower bound{more}."
    none = "Triangle downwards, on the edge: no number of images was fitted."
    return [
        "One search each." if is_one else several,
        bound if result.censored.any() else "",
        none if (result.capacities == 0).any() else "",
    ]


PARTS = (search, capacity)
