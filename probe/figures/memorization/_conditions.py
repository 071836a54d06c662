"""How conditions look, are called and stand beside each other, the same in every picture of a memorization study."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes

from probe._checks import check_integer
from probe.analyses.memorization import Condition, Memorization, MemorizationCell
from probe.figures._axes import Look, shown_of, spread
from probe.figures._labels import LINE, End
from probe.figures._style import COLORS, INPUT_COLORS, blend
from probe.stats import mean_estimate

__all__ = [
    "BESIDE",
    "NETWORKS_NOTE",
    "Factor",
    "Group",
    "Series",
    "cell_of",
    "diverged_note",
    "groups_note",
    "groups_of",
    "points",
    "replicates_note",
    "row_inches",
]

NETWORKS_NOTE = "Points: networks. Large: their mean, with a 95% interval."

BESIDE = 0.012
"""How far points stand to the left, and means to the right, of the place of a condition."""

_MARKERS = ("o", "s", "D", "^", "v", "P", "X", "p")
"""Apart where colors are not, in order of the conditions of a group."""

_MOST_GROUPS, _MOST_SERIES = 10, 16
"""What is shown of very many: the first, the last, and some in between, evenly apart."""

_MOST_NAMED = 8
"""Conditions of which a footnote says that networks diverged."""

Floats = npt.NDArray[np.float64]


def cell_of(result: Memorization, cell: int) -> MemorizationCell:
    """Return a cell of a result, or raise if there is none of that number."""
    return result.cells[check_integer("cell", cell, minimum=0, maximum=len(result.cells) - 1)]


@dataclass(frozen=True, slots=True)
class Series:
    """One condition among those that are drawn over each other."""

    index: int  # in the cell's conditions
    label: str  # what tells it from the others of its group
    color: str
    marker: str
    corruption: float | None  # share of corrupted labels, if that is what tells them apart


@dataclass(frozen=True, slots=True)
class Group:
    """Conditions that differ in one factor only, in its order; color and marker are those of the whole group as one line."""

    label: str  # what they have in common and other groups have not; empty for the only group
    color: str
    marker: str
    series: tuple[Series, ...]


def groups_of(cell: MemorizationCell) -> tuple[Group, ...]:
    """Return the conditions in groups.

    Within a group the corruption of labels varies; if it never does, that of the images; if neither does,
    the weight decay. At most 10 groups of 16, evenly apart; the table on the page has all.
    """
    conditions = cell.conditions
    varying = [
        name for name in ("corruption", "inputs", "weight_decay") if len(_levels(conditions, name)) > 1
    ]
    within = varying[0] if varying else "corruption"
    members_of: dict[tuple[object, ...], list[int]] = {}
    for index, condition in enumerate(conditions):
        key = tuple(getattr(condition, name) for name in varying[1:])
        members_of.setdefault(key, []).append(index)
    groups, members = [], list(members_of.values())
    for rank, indices in enumerate(members[k] for k in spread(len(members), _MOST_GROUPS)):
        # A study may list its shares in any order; a picture has one.
        ordered = sorted(indices, key=lambda index: conditions[index].corruption)
        shown = [ordered[k] for k in spread(len(ordered), _MOST_SERIES)]
        first, common = conditions[indices[0]], varying[1:]
        label = ", ".join(_words(first, name) for name in common)
        series = tuple(_series(index, order, conditions, within) for order, index in enumerate(shown))
        marker = _MARKERS[rank % len(_MARKERS)]
        groups.append(Group(label, _shade(first, conditions, common), marker, series))
    return tuple(groups)


def _levels(conditions: tuple[Condition, ...], name: str) -> list[object]:
    return list(dict.fromkeys(getattr(condition, name) for condition in conditions))


def _series(index: int, rank: int, conditions: tuple[Condition, ...], within: str) -> Series:
    condition, share = conditions[index], None
    color = _shade(condition, conditions, [within])
    if within == "corruption":
        share = condition.corruption
        color = blend(COLORS["true"], COLORS["random"], share)
    return Series(index, _words(condition, within), color, _MARKERS[rank % len(_MARKERS)], share)


def _words(condition: Condition, factor: str) -> str:
    if factor == "corruption":
        return replace(condition, inputs="none").named(among=(condition,))
    if factor == "inputs":
        words = {"none": "true images", "gaussian": "Gaussian images"}
        return words.get(condition.inputs, condition.inputs.replace("-", " "))
    return f"weight decay {condition.weight_decay:g}" if condition.weight_decay else "no weight decay"


def _shade(condition: Condition, conditions: tuple[Condition, ...], factors: list[str]) -> str:
    """Return a color for the kind of images, the lighter the later its weight decay comes."""
    color = INPUT_COLORS[condition.inputs] if "inputs" in factors else COLORS["reference"]
    decays = _levels(conditions, "weight_decay")
    if "weight_decay" in factors and len(decays) > 1:
        color = blend(color, "#ffffff", 0.45 * decays.index(condition.weight_decay) / (len(decays) - 1))
    return color


def row_inches(groups: Sequence[Group], usual: float, *, lines: int) -> float:
    """Return the height of a row of axes that has room for a name of so many lines for each condition."""
    return max(usual, LINE * lines * max(len(group.series) for group in groups) + 0.35)


def replicates_note(n: int) -> str:
    """Return what `probe.figures._axes.replicates` draws of n networks."""
    if n == 1:
        return "One network each."
    if n < 10:
        return f"Thick: median of {n} networks; thin: each of them."
    return f"Line: median of {n} networks; band: their middle 90%."


def groups_note(cell: MemorizationCell, groups: Sequence[Group]) -> str:
    """Return how many of the conditions are shown, if not all."""
    return shown_of(sum(len(group.series) for group in groups), len(cell.conditions), "conditions")


def diverged_note(cell: MemorizationCell) -> str:
    """Return which networks diverged; empty if none did."""
    counts = cell.diverged.sum(axis=1)
    named = [f"{count} with {cell.names[index]}" for index, count in enumerate(counts) if count]
    if not named:
        return ""
    more = f"; and some with {len(named) - _MOST_NAMED} more conditions" if len(named) > _MOST_NAMED else ""
    return f"Diverged, of {cell.n_replicates} networks: {'; '.join(named[:_MOST_NAMED])}{more}."


@dataclass(frozen=True, slots=True)
class Factor:
    """The horizontal axis: where conditions stand, those of several groups slightly beside each other."""

    groups: tuple[Group, ...]
    places: dict[str, float]  # by what conditions are called in their group
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
        line = [
            _condition(axes, factor, rank, series, values[series.index], limit) for series in group.series
        ]
        # Kinds of images have no order that a line could follow.
        if factor.axis_label:
            axes.plot(*zip(*line, strict=True), color=group.color, linewidth=0.8, zorder=1, gid="joined")
        last = next((k for k in reversed(range(len(line))) if np.isfinite(line[k][1])), None)
        x, y = (line[-1][0], np.nan) if last is None else line[last]
        if limit is not None and last != len(line) - 1:
            x, y = line[-1][0], limit
        ends.append(End(x, y, group.label, group.color, group.marker))
    return ends


def _condition(
    axes: Axes, factor: Factor, rank: int, series: Series, values: Floats, limit: float | None
) -> tuple[float, float]:
    """Draw the networks of one condition; return where their mean is, NaN if there is none."""
    known = values[np.isfinite(values)]
    x, color = factor.place(rank, series), factor.color(rank, series)
    if not len(known):
        return x + BESIDE, np.nan
    at = np.full(len(known), x - BESIDE)
    axes.plot(at, known, ".", color=color, alpha=0.5, markersize=5, gid="networks")
    counted = known if limit is None else np.where(np.isfinite(values), values, limit)
    interval = mean_estimate(counted.astype(np.float64)).interval
    if interval.n > 1:
        axes.vlines(x + BESIDE, interval.low, interval.high, color=color, linewidth=1.8, zorder=3)
    face = color if limit is None or len(known) == len(values) else "white"
    look: Look = {"color": color, "markerfacecolor": face, "markersize": 7, "zorder": 4}
    axes.plot(x + BESIDE, interval.estimate, factor.groups[rank].marker, gid="mean", **look)
    return x + BESIDE, interval.estimate
