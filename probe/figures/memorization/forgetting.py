"""How often learned examples were forgotten again, for those with right and with wrong labels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from probe.analyses.memorization import FORGETTING_BINS, Memorization, MemorizationCell
from probe.figures._style import COLOURS, footnote, fresh, spread
from probe.stats import bootstrap_interval

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

__all__ = ["draw"]

_MOST_PANELS = 27
"""Conditions shown: the first, the last, and some in between, evenly apart."""

# Hatched, so that they are told apart in grey.
_SIDES = (("right labels", COLOURS["true"], ""), ("wrong labels", COLOURS["random"], "////"))


def draw(result: Memorization, cell: int, figure: Figure | SubFigure | None) -> Figure | SubFigure:
    """Draw the forgetting of each corrupted condition into `figure`, or a new one, and return it."""
    found = result.cells[cell]
    corrupted = np.flatnonzero((found.n_examples[:, :, 1] > 0).any(axis=1))
    n_corrupted = len(corrupted)
    corrupted = corrupted[spread(n_corrupted, _MOST_PANELS)]
    columns = min(2 if len(corrupted) == 4 else 3, len(corrupted))
    rows = -(-len(corrupted) // columns)
    figure = fresh(1.0 + 2.2 * rows) if figure is None else figure
    grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    for axes, index in zip(grid.flat, corrupted, strict=False):
        for side in range(2):
            _bars(axes, found, int(index), side)
        axes.set_title(found.named(int(index)).replace(", ", ",\n"), loc="left")
    for axes in grid.flat[len(corrupted) :]:
        axes.set_axis_off()
    _label(grid, len(corrupted))
    handles = [
        bars for bars in grid[0, 0].containers if bars.get_label() in dict.fromkeys(s[0] for s in _SIDES)
    ]
    figure.legend(handles=handles, loc="outside upper left", ncols=2, frameon=False, fontsize=9)
    bars = (
        "Bars: mean over networks, with a 95% bootstrap interval."
        if found.n_replicates > 1
        else "One network each."
    )
    few = f"Shown: {len(corrupted)} of {n_corrupted} conditions, evenly apart."
    few = few if len(corrupted) < n_corrupted else ""
    footnote(figure, ["Shares of the examples that were ever learned.", bars, few])
    return figure


def _bars(axes: Axes, cell: MemorizationCell, index: int, side: int) -> None:
    """Draw the shares of examples by how often they were forgotten, over the networks that learned any."""
    name, colour, hatch = _SIDES[side]
    learned = cell.n_learned[index, :, side]
    shares = cell.forgetting[index, :, side][learned > 0] / learned[learned > 0, None]
    places = np.arange(FORGETTING_BINS) + (side - 0.5) * 0.42
    height = shares.mean(axis=0) if len(shares) else np.zeros(FORGETTING_BINS)
    axes.bar(places, height, 0.4, color=colour, hatch=hatch, edgecolor="white", linewidth=0, label=name)
    if len(shares) < 2:
        return
    for place, column in zip(places, shares.T, strict=True):
        interval = bootstrap_interval(column)
        axes.vlines(place, interval.low, interval.high, color="#222222", linewidth=1)


def _label(grid: np.ndarray, n_shown: int) -> None:
    from matplotlib.ticker import PercentFormatter

    ticks = range(0, FORGETTING_BINS, 2)
    names = [*map(str, ticks[:-1]), f"{FORGETTING_BINS - 1}+"]
    for axes in grid.flat:
        axes.set_xticks(list(ticks), labels=names)
        axes.grid(visible=False, axis="x")
        axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        axes.set_ylim(0, None)
    for axes in grid[:, 0]:
        axes.set_ylabel("learned examples")
    # Where the last row is not full, the row above it has axes that nothing is below.
    for place in range(max(0, n_shown - grid.shape[1]), n_shown):
        axes = grid.flat[place]
        axes.set_xlabel("forgetting events")
        axes.tick_params(labelbottom=True)
