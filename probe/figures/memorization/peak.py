"""Test accuracy against epochs, with the best epoch of each condition marked."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from probe.analyses.memorization import Memorization, MemorizationCell
from probe.figures._style import COLOURS, footnote, fresh, log_axis, replicates
from probe.figures.memorization._conditions import Group, Series, groups_of
from probe.figures.memorization._labels import End, around, end_labels, fit, legend, panel_inches, row_inches
from probe.figures.memorization._words import diverged_words, left_out_words, replicates_words

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

__all__ = ["draw"]


def draw(result: Memorization, cell: int, figure: Figure | SubFigure | None) -> Figure | SubFigure:
    """Draw test accuracy and its peaks of one cell into `figure`, or a new one, and return it."""
    found = result.cells[cell]
    groups = groups_of(found)
    epochs = np.arange(1, found.cost.shape[2] + 1)
    figure = fresh(1.15 + len(groups) * row_inches(groups, 2.4, lines=2)) if figure is None else figure
    column = figure.subplots(len(groups), 1, sharex=True, sharey=True, squeeze=False)[:, 0]
    for axes, group in zip(column, groups, strict=True):
        _curves(axes, found, group, epochs)
        axes.axhline(result.chance, color=COLOURS["reference"], linestyle="--", linewidth=1)
        label = "\n".join([*group.label.split(", "), "accuracy"]) if group.label else "accuracy"
        axes.set_ylabel(label + " on test images")
    column[-1].set_xlabel("epoch")
    log_axis(column[0], "x", *around(epochs))
    column[0].set_ylim(*_limits(found, result.chance))
    _name_curves(figure, column, found, groups)
    marks = "Circle: median best epoch and accuracy. Drop: from there to the end, the best epoch being chosen on one "
    chance = f"Dashed: always naming the commonest class ({result.chance:.1%})."
    notes = [
        replicates_words(found.n_replicates),
        marks + "half of the test images and measured on the other.",
    ]
    footnote(figure, [*notes, chance, diverged_words(found), left_out_words(found, groups)])
    return figure


def _curves(axes: Axes, cell: MemorizationCell, group: Group, epochs: npt.NDArray[np.int64]) -> None:
    for series in group.series:
        replicates(axes, epochs, cell.test_accuracy[series.index], series.colour)
    for series in group.series:
        epoch, accuracy = _peak(cell, series)
        axes.plot([epoch, epochs[-1]], [accuracy] * 2, color=series.colour, linewidth=0.8, linestyle=":")
        axes.plot(
            [epoch], [accuracy], "o", color=series.colour, markersize=8, markeredgecolor="black", gid="peak"
        )


def _peak(cell: MemorizationCell, series: Series) -> tuple[float, float]:
    """Return the median best epoch and accuracy; NaN if all networks diverged at once."""
    known = np.isfinite(cell.test_accuracy[series.index]).any(axis=1)
    if not known.any():
        return np.nan, np.nan
    epoch, accuracy = (values[series.index][known] for values in (cell.peak_epoch, cell.peak_accuracy))
    return float(np.median(epoch)), float(np.median(accuracy))


def _limits(cell: MemorizationCell, chance: float) -> tuple[float, float]:
    """Return limits as narrow as the curves allow: a drop may be of few points."""
    known = cell.test_accuracy[np.isfinite(cell.test_accuracy)]
    low, high = (
        min(chance, *known.min(initial=1, keepdims=True)),
        max(chance, *known.max(initial=0, keepdims=True)),
    )
    margin = 0.06 * max(high - low, 0.02)
    return max(0.0, low - margin), high + 1.5 * margin


def _name_curves(
    figure: Figure | SubFigure, column: np.ndarray, cell: MemorizationCell, groups: tuple[Group, ...]
) -> None:
    inches = panel_inches(figure, len(groups), taken=1.0)
    rows = [[_end(cell, series) for series in group.series] for group in groups]
    if all(fit(ends, inches) for ends in rows):
        for axes, ends in zip(column, rows, strict=True):
            end_labels(axes, ends, inches)
    else:
        legend(figure, [end for ends in rows for end in ends])


def _end(cell: MemorizationCell, series: Series) -> End:
    last = cell.test_accuracy[series.index, :, -1]
    last = last[np.isfinite(last)]
    drops = cell.drop[series.index]
    drops = drops[np.isfinite(drops)]
    epoch, accuracy = _peak(cell, series)
    detail = f"{accuracy:.1%} at epoch {epoch:g}" if np.isfinite(accuracy) else "all diverged"
    if len(drops):
        # Adding 0 makes a rounded -0 a 0.
        detail += f", drop {round(100 * float(np.median(drops)), 1) + 0:.1f} points"
    y = float(np.median(last)) if len(last) else np.nan
    return End(cell.cost.shape[2], y, series.label, series.colour, detail=detail)
