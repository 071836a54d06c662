"""A quantity of each network against the corruption of what it was taught."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from probe.analyses.memorization import MemorizationCell
from probe.figures.memorization._conditions import Group, Series, groups_of
from probe.figures.memorization._labels import End, end_labels, fit, legend, panel_inches
from probe.stats import bootstrap_interval

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

__all__ = ["Factor", "name_groups", "points"]

_BESIDE = 0.012
"""How far points stand to the left, and means to the right, of the place of a condition."""

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Factor:
    """The horizontal axis: where conditions stand, those of several groups slightly beside each other.

    Attributes
    ----------
    groups : tuple of Group
    places : dict of str to float
        By what conditions are called in their group.
    ticks : tuple of str
    axis_label : str
    """

    groups: tuple[Group, ...]
    places: dict[str, float]
    ticks: tuple[str, ...]
    axis_label: str

    @classmethod
    def of(cls, cell: MemorizationCell) -> Factor:
        """Return the axis for a cell: to scale where the shares of corrupted labels are far enough apart."""
        groups = groups_of(cell)
        shares = {series.label: series.corruption for group in groups for series in group.series}
        known = sorted((share, label) for label, share in shares.items() if share is not None)
        if len(known) < 2:
            ticks = tuple(label.replace(" ", "\n", 1) for label in shares)
            return cls(groups, dict(zip(shares, _even(len(shares)), strict=True)), ticks, "")
        ticks, label = tuple(f"{100 * share:g}" for share, _ in known), "corrupted labels (%)"
        if min(np.diff([share for share, _ in known])) >= 0.09:
            return cls(groups, {name: share for share, name in known}, ticks, label)
        even = _even(len(known))
        places = {name: place for (_, name), place in zip(known, even, strict=True)}
        return cls(groups, places, ticks, f"{label}, not to scale")

    def place(self, group: int, series: Series) -> float:
        """Return where the networks of one condition stand."""
        n = len(self.groups)
        gap = min(np.diff(sorted(self.places.values())), default=1.0)
        return self.places[series.label] + (group - (n - 1) / 2) * min(0.05, 0.7 * gap / n)

    def colour(self, group: int, series: Series) -> str:
        """Return the colour of a condition: its own if there is one group, else the group's."""
        return series.colour if len(self.groups) == 1 else self.groups[group].colour

    def show(self, axes: Axes) -> None:
        """Label the horizontal axis."""
        axes.set_xlim(-0.13, 1.13)
        axes.set_xticks(list(self.places.values()), labels=self.ticks)
        axes.grid(visible=False, axis="x")
        axes.set_xlabel(self.axis_label)


def _even(n: int) -> list[float]:
    return np.linspace(0, 1, n).tolist() if n > 1 else [0.5]


def points(axes: Axes, factor: Factor, values: Floats, *, limit: float | None = None) -> list[End]:
    """Draw values (n_conditions, n_replicates), NaN where there is none: points, means and intervals.

    With a limit, missing values count as at the limit in the mean, which is then hollow; where all are
    missing, none is drawn. Returned are the right ends of the groups.
    """
    ends = []
    for rank, group in enumerate(factor.groups):
        line = [_one(axes, factor, rank, series, values[series.index], limit) for series in group.series]
        # Kinds of images have no order that a line could follow.
        if factor.axis_label:
            axes.plot(*zip(*line, strict=True), color=group.colour, linewidth=0.8, zorder=1, gid="joined")
        last = next((k for k in reversed(range(len(line))) if np.isfinite(line[k][1])), None)
        x, y = (line[-1][0], np.nan) if last is None else line[last]
        if limit is not None and last != len(line) - 1:
            x, y = line[-1][0], limit
        ends.append(End(x, y, group.label, group.colour, group.marker))
    return ends


def _one(
    axes: Axes, factor: Factor, rank: int, series: Series, values: Floats, limit: float | None
) -> tuple[float, float]:
    """Draw the networks of one condition; return where their mean is, NaN if there is none."""
    known = values[np.isfinite(values)]
    x, colour = factor.place(rank, series), factor.colour(rank, series)
    if not len(known):
        return x + _BESIDE, np.nan
    axes.plot(
        np.full(len(known), x - _BESIDE), known, ".", color=colour, alpha=0.5, markersize=5, gid="networks"
    )
    counted = known if limit is None else np.where(np.isfinite(values), values, limit)
    interval = bootstrap_interval(counted)
    if interval.n > 1:
        axes.vlines(x + _BESIDE, interval.low, interval.high, color=colour, linewidth=1.8, zorder=3)
    face = colour if limit is None or len(known) == len(values) else "white"
    axes.plot(
        x + _BESIDE,
        interval.estimate,
        factor.groups[rank].marker,
        color=colour,
        markerfacecolor=face,
        markersize=7,
        zorder=4,
        gid="mean",
    )
    return x + _BESIDE, interval.estimate


def name_groups(figure: Figure | SubFigure, axes: Axes, ends: list[End]) -> None:
    """Name the groups at the right of the last axes, if there are several."""
    inches = panel_inches(figure, 1)
    if len(ends) < 2:
        return
    if fit(ends, inches):
        end_labels(axes, ends, inches)
    else:
        legend(figure, ends)
