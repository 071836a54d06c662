"""Learning curves: on the labels taught, on the true labels of the same images, and on test images."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from probe.analyses.memorization import Memorization, MemorizationCell
from probe.figures._style import COLOURS, footnote, fresh, log_axis, replicates
from probe.figures.memorization._conditions import Group, groups_of
from probe.figures.memorization._labels import End, around, end_labels, fit, legend, panel_inches, row_inches
from probe.figures.memorization._words import diverged_words, left_out_words, replicates_words

if TYPE_CHECKING:
    from matplotlib.figure import Figure, SubFigure

__all__ = ["draw"]

_PANELS = {
    "train_accuracy": "on the labels taught",
    "true_accuracy": "on their true labels",
    "test_accuracy": "on test images",
}


def draw(result: Memorization, cell: int, figure: Figure | SubFigure | None) -> Figure | SubFigure:
    """Draw the curves of one cell into `figure`, or a new one, and return it."""
    found = result.cells[cell]
    groups = groups_of(found)
    updates = found.updates_per_epoch * np.arange(1, found.cost.shape[2] + 1)
    figure = fresh(0.95 + len(groups) * row_inches(groups, 2.35, lines=1)) if figure is None else figure
    grid = figure.subplots(len(groups), len(_PANELS), sharex=True, sharey=True, squeeze=False)
    for row, group in zip(grid, groups, strict=True):
        _row(row, found, group, updates)
        row[-1].axhline(result.chance, color=COLOURS["reference"], linestyle="--", linewidth=1)
    for axes, title in zip(grid[0], _PANELS.values(), strict=True):
        axes.set_title(title, loc="left")
    grid[-1, 1].set_xlabel("updates (minibatches)")
    log_axis(grid[0, 0], "x", *around(updates))
    _name_curves(figure, grid[:, -1], found, groups)
    chance = f"Dashed: always naming the commonest class ({result.chance:.1%})."
    footnote(
        figure,
        [replicates_words(found.n_replicates), chance, diverged_words(found), left_out_words(found, groups)],
    )
    return figure


def _row(row: np.ndarray, cell: MemorizationCell, group: Group, updates: np.ndarray) -> None:
    for axes, name in zip(row, _PANELS, strict=True):
        for series in group.series:
            values = getattr(cell, name)[series.index]
            replicates(axes, updates, values, series.colour, series.marker)
        axes.set_ylim(0, 1.03)
    label = "\n".join([*group.label.split(", "), "accuracy"]) if group.label else "accuracy"
    row[0].set_ylabel(label)


def _name_curves(
    figure: Figure | SubFigure, column: np.ndarray, cell: MemorizationCell, groups: tuple[Group, ...]
) -> None:
    inches = panel_inches(figure, len(groups))
    rows = [_ends(cell, group) for group in groups]
    if all(fit(ends, inches) for ends in rows):
        for axes, ends in zip(column, rows, strict=True):
            end_labels(axes, ends, inches)
    else:
        legend(figure, [end for ends in rows for end in ends])


def _ends(cell: MemorizationCell, group: Group) -> list[End]:
    ends, x = [], cell.updates_per_epoch * cell.cost.shape[2]
    for series in group.series:
        last = cell.test_accuracy[series.index, :, -1]
        y = float(np.median(last[np.isfinite(last)])) if np.isfinite(last).any() else np.nan
        ends.append(End(x, y, series.label, series.colour, series.marker))
    return ends
