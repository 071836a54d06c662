"""Updates until training accuracies were reached, against the corruption of the labels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from probe.analyses.memorization import Memorization, MemorizationCell
from probe.figures._style import COLOURS, footnote, fresh, log_axis
from probe.figures.memorization._against import Factor, name_groups, points
from probe.figures.memorization._words import left_out_words

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

__all__ = ["draw"]

_THRESHOLDS = (0.9, 1.0)
_ROW = 0.062
"""Height of a row of counts above the limit, as a share of the axes."""


def draw(result: Memorization, cell: int, figure: Figure | SubFigure | None) -> Figure | SubFigure:
    """Draw the updates that one cell's networks took into `figure`, or a new one, and return it."""
    found = result.cells[cell]
    factor = Factor.of(found)
    figure = fresh(3.9) if figure is None else figure
    shown = [place for place, threshold in enumerate(result.thresholds) if threshold in _THRESHOLDS]
    row = figure.subplots(1, len(shown), sharey=True, squeeze=False)[0]
    ends = []
    for axes, place in zip(row, shown, strict=True):
        updates = found.updates[:, :, place]
        ends = points(axes, factor, updates, limit=found.limit)
        axes.axhline(found.limit, color=COLOURS["reference"], linestyle="--", linewidth=1)
        _censored(axes, factor, found.limit, ~np.isfinite(updates))
        factor.show(axes)
        axes.set_title(f"to {result.thresholds[place]:.0%} training accuracy", loc="left")
    row[0].set_ylabel("updates (minibatches)")
    _limits(row[0], factor, found)
    name_groups(figure, row[-1], ends)
    footnote(figure, [*_notes(found, shown), left_out_words(found, factor.groups)])
    return figure


def _censored(axes: Axes, factor: Factor, limit: int, missing: npt.NDArray[np.bool_]) -> None:
    """Mark at the limit how many networks did not get there; each group has a row for its counts."""
    for rank, group in enumerate(factor.groups):
        for series in group.series:
            count = int(missing[series.index].sum())
            if not count:
                continue
            x = factor.place(rank, series) + 0.012
            colour = factor.colour(rank, series)
            axes.plot(
                [x],
                [limit],
                "^",
                color=colour,
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
                color=colour,
            )


def _limits(axes: Axes, factor: Factor, cell: MemorizationCell) -> None:
    """Leave room above the limit for a row of counts of each group."""
    reached = cell.updates[np.isfinite(cell.updates)]
    low = 0.6 * min([cell.limit / 2, *reached.tolist()])
    head = min(0.6, 0.05 + _ROW * len(factor.groups))
    log_axis(axes, "y", low, low * (cell.limit / low) ** (1 / (1 - head)))


def _notes(cell: MemorizationCell, shown: list[int]) -> list[str]:
    missing = ~np.isfinite(cell.updates[:, :, shown])
    notes = ["Points: networks. Large: their mean, with a 95% bootstrap interval."]
    if cell.n_replicates == 1:
        notes = ["One network each."]
    notes.append(f"Dashed: the limit of {cell.limit:,} updates.")
    if missing.any():
        which = f"that many of {cell.n_replicates} networks" if cell.n_replicates > 1 else "the network"
        notes.append(f"Triangle: {which} did not get there.")
    if (missing.any(axis=1) & ~missing.all(axis=1)).any():
        notes.append("Hollow: a mean with these counted at the limit, so at least that.")
    return notes
