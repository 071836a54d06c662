"""How local what was learned is: Gini coefficient of loss-sensitivity by epoch, and critical sample ratio."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from probe.analyses.memorization import Memorization, MemorizationCell
from probe.figures._style import footnote, fresh, log_axis, replicates
from probe.figures.memorization._against import Factor, points
from probe.figures.memorization._conditions import Group, groups_of
from probe.figures.memorization._labels import End, around, end_labels, fit, legend, panel_inches, row_inches
from probe.figures.memorization._words import diverged_words, left_out_words, replicates_words

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

__all__ = ["draw"]

_GINI, _RATIO = "Gini coefficient of loss-sensitivity", "critical sample ratio"


def draw(result: Memorization, cell: int, figure: Figure | SubFigure | None) -> Figure | SubFigure:
    """Draw both measures of one cell into `figure`, or a new one, and return it."""
    found = result.cells[cell]
    groups = groups_of(found)
    n_rows = len(groups) + 1
    figure = fresh(1.6 + n_rows * row_inches(groups, 2.3, lines=1)) if figure is None else figure
    column = figure.subplots(n_rows, 1, squeeze=False)[:, 0]
    _curves(figure, column[:-1], found, groups)
    _points(figure, column[-1], found)
    ends = "A curve ends with the last network that was trained." if found.n_replicates > 1 else ""
    dots = (
        "Points: networks. Large: their mean, with a 95% bootstrap interval."
        if found.n_replicates > 1
        else ""
    )
    footnote(
        figure,
        [
            replicates_words(found.n_replicates),
            ends,
            dots,
            diverged_words(found),
            left_out_words(found, groups),
        ],
    )
    return figure


def _curves(
    figure: Figure | SubFigure, column: np.ndarray, cell: MemorizationCell, groups: tuple[Group, ...]
) -> None:
    """Draw the Gini coefficient after each epoch, a group in each axes of a column."""
    epochs = np.arange(1, cell.cost.shape[2] + 1)
    rows = [[_end(cell, series.index, series.label, series.colour) for series in g.series] for g in groups]
    inches = panel_inches(figure, len(groups) + 1, taken=1.5)
    fits = all(fit(ends, inches) for ends in rows)
    for axes, group, ends in zip(column, groups, rows, strict=True):
        for series in group.series:
            replicates(axes, epochs, cell.sensitivity_curve[series.index], series.colour)
        axes.set_ylim(0, _top(cell.sensitivity_curve))
        log_axis(axes, "x", *around(epochs))
        if group.label:
            axes.set_ylabel("\n".join(group.label.split(", ")))
        if fits:
            end_labels(axes, ends, inches)
    if not fits:
        legend(figure, [end for ends in rows for end in ends])
    column[0].set_title(_GINI, loc="left")
    column[-1].set_xlabel("epoch")


def _points(figure: Figure | SubFigure, axes: Axes, cell: MemorizationCell) -> None:
    """Draw the critical sample ratio of every network against what it was taught."""
    factor = Factor.of(cell)
    ends = points(axes, factor, cell.critical_ratio)
    axes.set_ylim(0, _top(cell.critical_ratio))
    factor.show(axes)
    axes.set_title(_RATIO, loc="left")
    inches = panel_inches(figure, len(ends) + 1, taken=1.5)
    if len(ends) > 1 and fit(ends, inches):
        end_labels(axes, ends, inches)


def _top(values: np.ndarray) -> float:
    return 1.1 * float(values[np.isfinite(values)].max(initial=0)) or 1.0


def _end(cell: MemorizationCell, index: int, label: str, colour: str) -> End:
    """Return where the median of the networks still trained ends."""
    curve = cell.sensitivity_curve[index]
    known = np.flatnonzero(np.isfinite(curve).any(axis=0))
    if not len(known):
        return End(curve.shape[1], np.nan, label, colour)
    last = known[-1]
    return End(float(last + 1), float(np.nanmedian(curve[:, last])), label, colour)
