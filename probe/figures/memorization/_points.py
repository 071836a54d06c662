"""A quantity of each network against the corruption of what it was taught, such as the updates until it was learned."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from probe.analyses.memorization import Memorization, MemorizationCell
from probe.figures._labels import End, name_ends
from probe.figures._parts import panels
from probe.figures._style import COLOURS, log_axis
from probe.figures.memorization._conditions import (
    Group,
    Series,
    cell_of,
    groups_of,
    left_out_words,
    panel_inches,
)
from probe.stats import bootstrap_interval

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

__all__ = ["NETWORKS_NOTE", "Factor", "points", "time"]

NETWORKS_NOTE = "Points: networks. Large: their mean, with a 95% bootstrap interval."

_THRESHOLDS = (0.9, 1.0)
_ROW = 0.062
"""Height of a row of counts above the limit, as a share of the axes."""

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

    def color(self, group: int, series: Series) -> str:
        """Return the color of a condition: its own if there is one group, else the group's."""
        return series.color if len(self.groups) == 1 else self.groups[group].color

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
            axes.plot(*zip(*line, strict=True), color=group.color, linewidth=0.8, zorder=1, gid="joined")
        last = next((k for k in reversed(range(len(line))) if np.isfinite(line[k][1])), None)
        x, y = (line[-1][0], np.nan) if last is None else line[last]
        if limit is not None and last != len(line) - 1:
            x, y = line[-1][0], limit
        ends.append(End(x, y, group.label, group.color, group.marker))
    return ends


def _one(
    axes: Axes, factor: Factor, rank: int, series: Series, values: Floats, limit: float | None
) -> tuple[float, float]:
    """Draw the networks of one condition; return where their mean is, NaN if there is none."""
    known = values[np.isfinite(values)]
    x, color = factor.place(rank, series), factor.color(rank, series)
    if not len(known):
        return x + _BESIDE, np.nan
    axes.plot(
        np.full(len(known), x - _BESIDE), known, ".", color=color, alpha=0.5, markersize=5, gid="networks"
    )
    counted = known if limit is None else np.where(np.isfinite(values), values, limit)
    interval = bootstrap_interval(counted)
    if interval.n > 1:
        axes.vlines(x + _BESIDE, interval.low, interval.high, color=color, linewidth=1.8, zorder=3)
    face = color if limit is None or len(known) == len(values) else "white"
    axes.plot(
        x + _BESIDE,
        interval.estimate,
        factor.groups[rank].marker,
        color=color,
        markerfacecolor=face,
        markersize=7,
        zorder=4,
        gid="mean",
    )
    return x + _BESIDE, interval.estimate


@panels(height=3.9)
def time(result: Memorization, figure: Figure | SubFigure, cell: int = 0) -> list[str]:
    """Draw the updates that the networks of one cell took, against the corruption of their labels."""
    networks = cell_of(result, cell)
    factor = Factor.of(networks)
    shown = [index for index, threshold in enumerate(result.thresholds) if threshold in _THRESHOLDS]
    row = figure.subplots(1, len(shown), sharey=True, squeeze=False)[0]
    ends: list[End] = []
    for axes, index in zip(row, shown, strict=True):
        updates = networks.updates[:, :, index]
        ends = points(axes, factor, updates, limit=networks.limit)
        axes.axhline(networks.limit, color=COLOURS["reference"], linestyle="--", linewidth=1)
        _censored(axes, factor, networks.limit, ~np.isfinite(updates))
        factor.show(axes)
        axes.set_title(f"to {result.thresholds[index]:.0%} training accuracy", loc="left")
    row[0].set_ylabel("updates (minibatches)")
    _limits(row[0], factor, networks)
    if len(ends) > 1:
        name_ends(figure, row[-1:], [ends], panel_inches(figure, 1))
    return [*_notes(networks, shown), left_out_words(networks, factor.groups)]


def _censored(axes: Axes, factor: Factor, limit: int, missing: npt.NDArray[np.bool_]) -> None:
    """Mark at the limit how many networks did not get there; each group has a row for its counts."""
    for rank, group in enumerate(factor.groups):
        for series in group.series:
            count = int(missing[series.index].sum())
            if not count:
                continue
            x = factor.place(rank, series) + 0.012
            color = factor.color(rank, series)
            axes.plot(
                [x],
                [limit],
                "^",
                color=color,
                markerfacecolor="white",
                markersize=8,
                zorder=5,
                gid="censored",
            )
            axes.annotate(
                str(count),
                (x, limit),
                xytext=(0, 6 + 11 * rank),
                textcoords="offset points",
                ha="center",
                va="bottom",
                fontsize=8,
                fontweight="bold",
                color=color,
            )


def _limits(axes: Axes, factor: Factor, cell: MemorizationCell) -> None:
    """Leave room above the limit for a row of counts of each group."""
    reached = cell.updates[np.isfinite(cell.updates)]
    low = 0.6 * min([cell.limit / 2, *reached.tolist()])
    head = min(0.6, 0.05 + _ROW * len(factor.groups))
    log_axis(axes, "y", low, low * (cell.limit / low) ** (1 / (1 - head)))


def _notes(cell: MemorizationCell, shown: list[int]) -> list[str]:
    missing = ~np.isfinite(cell.updates[:, :, shown])
    notes = [NETWORKS_NOTE]
    if cell.n_replicates == 1:
        notes = ["One network each."]
    notes.append(f"Dashed: the limit of {cell.limit:,} updates.")
    if missing.any():
        which = f"that many of {cell.n_replicates} networks" if cell.n_replicates > 1 else "the network"
        notes.append(f"Triangle: {which} did not get there.")
    if (missing.any(axis=1) & ~missing.all(axis=1)).any():
        notes.append("Hollow: a mean with these counted at the limit, so at least that.")
    return notes
