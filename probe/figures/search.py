"""Figure of `probe.analyses.search`: error against parameters and against time, and how many went on."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from probe.analyses.search import ArchitectureSearch, SearchFront
from probe.figures._labels import Room
from probe.figures._parts import panels
from probe.figures._style import COLOURS, blend, log_axis, resize, text_width
from probe.stats import Interval

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

__all__ = ["PARTS"]

_HEIGHT, _FOOT, _ROW = 6.3, 0.78, 0.24
"""Inches of the figure, of the notes below everything, and of one rung."""

_FONT_SIZE = 8.5
_PALE = "#9a9a9a"
_KEPT = COLOURS["true"]


@panels()
def search(result: ArchitectureSearch, figure: Figure | SubFigure) -> list[str]:
    """Draw the errors of all candidates against their parameters and their seconds, and how many went on."""
    below = _ROW * len(result.rungs)
    resize(figure, _HEIGHT + below)
    parameters = [candidate.n_parameters for candidate in result.candidates]
    seconds = [candidate.training_seconds for candidate in result.candidates]
    frame = _Frame.of(figure, below)
    intervals = {k: result.candidates[k].validation_interval() for k in result.last_rung}
    left = _Panel.of(frame, 0, result, result.by_parameters, parameters, intervals)
    left.axes.set(xlabel="parameters (weights and biases)", ylabel="wrong on validation images (%)")
    right = _Panel.of(frame, 1, result, result.by_seconds, seconds, intervals)
    right.axes.set_xlabel("seconds of training one network")
    right.axes.tick_params(labelleft=False)
    for panel in (left, right):
        panel.draw()
    _rungs(frame, result, below)
    return _notes(result, left.axes.get_ylim())


PARTS = (search,)


@dataclass(frozen=True, slots=True, eq=False)
class _Frame:
    """Where axes stand in a figure, in inches: fixed, so that labels can be put exactly where there is room."""

    figure: Figure | SubFigure
    size: tuple[float, float]
    foot: float
    bottom: float

    @classmethod
    def of(cls, figure: Figure | SubFigure, below: float) -> _Frame:
        """Return the frame of a figure whose rungs take so many inches below the panels."""
        from matplotlib.figure import Figure

        size = figure.bbox.width / figure.dpi, figure.bbox.height / figure.dpi
        # Only a figure of its own has notes.
        foot = _FOOT if isinstance(figure, Figure) else 0.08
        return cls(figure, size, foot, foot + below + 0.62)

    def panel(self, column: int) -> tuple[float, float, float, float]:
        """Return the left and lower end, the width and the height of one of the two panels."""
        left, between, right, top = 0.62, 0.3, 0.12, 0.12
        width = (self.size[0] - left - between - right) / 2
        return left + column * (width + between), self.bottom, width, self.size[1] - top - self.bottom

    def axes(self, place: int, box: tuple[float, float, float, float]) -> Axes:
        """Return new axes in a box."""
        axes = self.figure.add_subplot(3, 1, place + 1)
        left, low, width, height = box
        axes.set_position(
            (left / self.size[0], low / self.size[1], width / self.size[0], height / self.size[1])
        )
        return axes


@dataclass(frozen=True, slots=True, eq=False)
class _Panel:
    """Errors against what candidates cost.

    `prices` are of all candidates, `intervals` of those trained to the end.
    """

    axes: Axes
    room: Room
    result: ArchitectureSearch
    front: SearchFront
    prices: Sequence[float]
    intervals: Mapping[int, Interval]

    @classmethod
    def of(
        cls,
        frame: _Frame,
        column: int,
        result: ArchitectureSearch,
        front: SearchFront,
        prices: Sequence[float],
        intervals: Mapping[int, Interval],
    ) -> _Panel:
        """Return an empty panel, with limits that hold the front and all that was trained to the end."""
        box = frame.panel(column)
        axes = frame.axes(column, box)
        known = [price for price in prices if not math.isnan(price)]
        x, y = _around(min(known), max(known), 0.1), _errors(result, intervals)
        log_axis(axes, "x", *x)
        log_axis(axes, "y", *y)
        room = Room(axes, (box[2], box[3]), _FONT_SIZE, "bold")
        return cls(axes, room, result, front, prices, intervals)

    def draw(self) -> None:
        """Draw everything; names last, where the marks have left room."""
        result, front = self.result, self.front
        self._steps(front.all_rungs, _PALE, "--")
        self._steps(front.last_rung, blend(_KEPT, "#ffffff", 0.45), "-")
        for k in dict.fromkeys((*result.best_rates, result.reference, *front.last_rung, *front.all_rungs)):
            if math.isnan(self.prices[k]):
                continue
            if k in self.intervals:
                self._kept(int(k))
            else:
                self._dropped(int(k))
        for k in front.last_rung:
            self._test(int(k))
        for k in dict.fromkeys((result.best, result.reference, *front.last_rung, *front.all_rungs)):
            self._name(int(k))

    def _place(self, k: int, accuracy: float | None = None) -> tuple[float, float]:
        """Return where a candidate stands with its accuracy on validation images, or another; on an edge if beyond it."""
        accuracy = self.result.candidates[k].validation if accuracy is None else accuracy
        return self.prices[k], float(np.clip(_percent(accuracy), *self.axes.get_ylim()))

    def _steps(self, front: npt.NDArray[np.int64], colour: str, style: str) -> None:
        """Draw the least error for each price: a level from one of the front to the next."""
        x, y = (list(values) for values in zip(*(self._place(k) for k in front), strict=True))
        x, y = [*x, self.axes.get_xlim()[1]], [*y, y[-1]]
        self.axes.plot(
            x, y, style, drawstyle="steps-post", color=colour, linewidth=1.2, zorder=2, gid="front"
        )
        for k in range(len(x) - 1):
            self.room.take_line((x[k], y[k]), (x[k + 1], y[k]))
            self.room.take_line((x[k + 1], y[k]), (x[k + 1], y[k + 1]))

    def _dropped(self, k: int) -> None:
        place, beyond = (
            self._place(k),
            _percent(self.result.candidates[k].validation) > self.axes.get_ylim()[1],
        )
        self.axes.plot(
            *place,
            "^" if beyond else "o",
            color=_PALE,
            markerfacecolor="white",
            markersize=4,
            zorder=3,
            clip_on=False,
            gid="dropped",
        )
        self.room.take(*place, 0.09, 0.09)

    def _kept(self, k: int) -> None:
        """Draw a candidate trained to the end."""
        result, place = self.result, self._place(k)
        marker, size, colour, on_top = "o", 5.0, _KEPT, 4
        if k == result.reference:
            marker, size, colour, on_top = "D", 6.5, COLOURS["reference"], 5
        if k == result.best:
            marker, size, colour, on_top = "*", 14.0, COLOURS["random"], 6
        interval = self.intervals[k]
        (_, low), (_, high) = (self._place(k, end) for end in (interval.high, interval.low))
        self.axes.vlines(place[0], low, high, color=colour, linewidth=1.2, zorder=on_top - 1)
        self.axes.plot(
            *place,
            marker,
            color=colour,
            markersize=size,
            markeredgecolor="white",
            markeredgewidth=0.6,
            zorder=on_top,
            clip_on=False,
            gid="kept",
        )
        self.room.take_line((place[0], low), (place[0], high))
        self.room.take(*place, size / 72 + 0.02, size / 72 + 0.02)

    def _test(self, k: int) -> None:
        """Draw the error on test images."""
        place = self._place(k, self.result.candidates[k].test)
        self.axes.plot(
            *place, "_", color=COLOURS["test"], markersize=11, markeredgewidth=2, zorder=3.5, gid="test"
        )
        self.room.take(*place, 0.17, 0.06)

    def _name(self, k: int) -> None:
        """Write the name of a candidate as near to it as there is room, with a line to it from further away."""
        candidate, place, kept = self.result.candidates[k], self._place(k), k in self.intervals
        text = candidate.label.replace(", quadratic", ", quad.")
        text = f"video: {text}" if k == self.result.reference else text
        self.room.label(
            text,
            *place,
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
    return _around(max(least, min(errors)), max(2 * least, *errors), 0.12)


def _around(low: float, high: float, share: float) -> tuple[float, float]:
    """Return limits with room for marks and labels, at least a factor of 4 apart."""
    room = max((high / low) ** share, (4 * low / high) ** 0.5, 1.1)
    return low / room, high * room


def _rungs(frame: _Frame, result: ArchitectureSearch, height: float) -> None:
    """Draw how many candidates each rung had, with their best accuracy."""
    left, _, width, _ = frame.panel(0)
    axes = frame.axes(2, (left + 0.3, frame.foot, 2 * width, height))
    counts = [rung.n_candidates for rung in result.rungs]
    places = range(len(counts))
    words = [
        f"{count} candidate{'s' * (count > 1)}, the best wrong on {_percent(rung.best_validation):.3g}% of validation images"
        for count, rung in zip(counts, result.rungs, strict=True)
    ]
    # The bars are short enough for the words beside the longest.
    room = frame.size[0] - left - 0.4 - max(text_width(text, _FONT_SIZE) for text in words)
    shrink = max(2.6, 2 * width / max(room, 0.2))
    axes.barh(places, counts, height=0.7, color="#d5d5d5")
    axes.set(xlim=(0, shrink * max(counts)), ylim=(len(counts) - 0.4, -0.6), xticks=[])
    axes.set_yticks(places, [f"{rung.n_epochs} epoch" + "s" * (rung.n_epochs > 1) for rung in result.rungs])
    axes.tick_params(left=False)
    axes.grid(visible=False)
    axes.spines[["left", "bottom"]].set_visible(False)
    for place, (count, text) in enumerate(zip(counts, words, strict=True)):
        axes.annotate(
            text,
            (count, place),
            xytext=(5, 0),
            textcoords="offset points",
            va="center",
            fontsize=_FONT_SIZE,
        )


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
