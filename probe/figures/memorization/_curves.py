"""Curves over training: accuracies, their peak on test images, and how local what was learned is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from probe.analyses.memorization import Memorization, MemorizationCell
from probe.figures._labels import End, end_labels, fit, name_ends
from probe.figures._parts import panels
from probe.figures._style import COLOURS, log_axis, replicates, resize
from probe.figures.memorization._conditions import (
    Group,
    Series,
    cell_of,
    diverged_words,
    groups_of,
    left_out_words,
    panel_inches,
    replicates_words,
    row_inches,
)
from probe.figures.memorization._points import NETWORKS_NOTE, Factor, points

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

__all__ = ["curves", "peak", "sensitivity"]

_PANELS = {
    "train_accuracy": "on the labels taught",
    "true_accuracy": "on their true labels",
    "test_accuracy": "on test images",
}

_CHANCE = "Dashed: always naming the commonest class ({:.1%})."


@panels()
def curves(result: Memorization, figure: Figure | SubFigure, cell: int = 0) -> list[str]:
    """Draw learning curves: on the labels taught, on the true labels of the same images, and on test images."""
    networks = cell_of(result, cell)
    groups = groups_of(networks)
    updates = networks.updates_per_epoch * np.arange(1, networks.cost.shape[2] + 1)
    resize(figure, 0.95 + len(groups) * row_inches(groups, 2.35, lines=1))
    grid = figure.subplots(len(groups), len(_PANELS), sharex=True, sharey=True, squeeze=False)
    for row, group in zip(grid, groups, strict=True):
        _row(row, networks, group, updates)
        row[-1].axhline(result.chance, color=COLOURS["reference"], linestyle="--", linewidth=1)
    for axes, title in zip(grid[0], _PANELS.values(), strict=True):
        axes.set_title(title, loc="left")
    grid[-1, 1].set_xlabel("updates (minibatches)")
    log_axis(grid[0, 0], "x", *_around(updates))
    rows = [[_accuracy_end(networks, series) for series in group.series] for group in groups]
    name_ends(figure, grid[:, -1], rows, panel_inches(figure, len(groups)))
    return [
        replicates_words(networks.n_replicates),
        _CHANCE.format(result.chance),
        diverged_words(networks),
        left_out_words(networks, groups),
    ]


def _row(row: np.ndarray, cell: MemorizationCell, group: Group, updates: np.ndarray) -> None:
    for axes, name in zip(row, _PANELS, strict=True):
        for series in group.series:
            values = getattr(cell, name)[series.index]
            replicates(axes, updates, values, series.color, series.marker)
        axes.set_ylim(0, 1.03)
    row[0].set_ylabel(_below(group, "accuracy"))


def _accuracy_end(cell: MemorizationCell, series: Series) -> End:
    last = cell.test_accuracy[series.index, :, -1]
    last = last[np.isfinite(last)]
    y = float(np.median(last)) if len(last) else np.nan
    return End(cell.updates_per_epoch * cell.cost.shape[2], y, series.label, series.color, series.marker)


@panels()
def peak(result: Memorization, figure: Figure | SubFigure, cell: int = 0) -> list[str]:
    """Draw test accuracy against epochs, with the best epoch of each condition marked."""
    networks = cell_of(result, cell)
    groups = groups_of(networks)
    epochs = np.arange(1, networks.cost.shape[2] + 1)
    resize(figure, 1.15 + len(groups) * row_inches(groups, 2.4, lines=2))
    column = figure.subplots(len(groups), 1, sharex=True, sharey=True, squeeze=False)[:, 0]
    for axes, group in zip(column, groups, strict=True):
        _peaks(axes, networks, group, epochs)
        axes.axhline(result.chance, color=COLOURS["reference"], linestyle="--", linewidth=1)
        axes.set_ylabel(_below(group, "accuracy on test images"))
    column[-1].set_xlabel("epoch")
    log_axis(column[0], "x", *_around(epochs))
    column[0].set_ylim(*_limits(networks, result.chance))
    rows = [[_peak_end(networks, series) for series in group.series] for group in groups]
    name_ends(figure, column, rows, panel_inches(figure, len(groups), taken=1.0))
    return [
        replicates_words(networks.n_replicates),
        "Circle: median best epoch and accuracy. Drop: from there to the end, the best epoch being chosen on one half of "
        "the test images and measured on the other.",
        _CHANCE.format(result.chance),
        diverged_words(networks),
        left_out_words(networks, groups),
    ]


def _peaks(axes: Axes, cell: MemorizationCell, group: Group, epochs: npt.NDArray[np.int64]) -> None:
    for series in group.series:
        replicates(axes, epochs, cell.test_accuracy[series.index], series.color)
    for series in group.series:
        epoch, accuracy = _peak(cell, series)
        axes.plot([epoch, epochs[-1]], [accuracy] * 2, color=series.color, linewidth=0.8, linestyle=":")
        axes.plot(
            [epoch], [accuracy], "o", color=series.color, markersize=8, markeredgecolor="black", gid="peak"
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


def _peak_end(cell: MemorizationCell, series: Series) -> End:
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
    return End(cell.cost.shape[2], y, series.label, series.color, detail=detail)


def _is_unmeasured(result: Memorization) -> str:
    is_measured = any(
        (np.isfinite(cell.sensitivity_gini) | np.isfinite(cell.critical_ratio)).any() for cell in result.cells
    )
    return "" if is_measured else "it was not measured, which dynamics='sensitivity' does"


@panels(empty=_is_unmeasured)
def sensitivity(result: Memorization, figure: Figure | SubFigure, cell: int = 0) -> list[str]:
    """Draw the Gini coefficient of loss-sensitivity by epoch, and the critical sample ratio."""
    networks = cell_of(result, cell)
    groups = groups_of(networks)
    resize(figure, 1.6 + (len(groups) + 1) * row_inches(groups, 2.3, lines=1))
    column = figure.subplots(len(groups) + 1, 1, squeeze=False)[:, 0]
    inches = panel_inches(figure, len(groups) + 1, taken=1.5)
    _gini_curves(column[:-1], networks, groups)
    rows = [[_gini_end(networks, series) for series in group.series] for group in groups]
    name_ends(figure, column[:-1], rows, inches)
    _ratios(column[-1], networks, inches)
    n = networks.n_replicates
    return [
        replicates_words(n),
        "A curve ends with the last network that was trained." if n > 1 else "",
        NETWORKS_NOTE if n > 1 else "",
        diverged_words(networks),
        left_out_words(networks, groups),
    ]


def _gini_curves(column: np.ndarray, cell: MemorizationCell, groups: Sequence[Group]) -> None:
    """Draw the Gini coefficient after each epoch, a group in each axes of a column."""
    epochs = np.arange(1, cell.cost.shape[2] + 1)
    for axes, group in zip(column, groups, strict=True):
        for series in group.series:
            replicates(axes, epochs, cell.sensitivity_curve[series.index], series.color)
        axes.set_ylim(0, _top(cell.sensitivity_curve))
        log_axis(axes, "x", *_around(epochs))
        axes.set_ylabel(_below(group))
    column[0].set_title("Gini coefficient of loss-sensitivity", loc="left")
    column[-1].set_xlabel("epoch")


def _ratios(axes: Axes, cell: MemorizationCell, inches: float) -> None:
    """Draw the critical sample ratio of every network against what it was taught."""
    factor = Factor.of(cell)
    ends = points(axes, factor, cell.critical_ratio)
    axes.set_ylim(0, _top(cell.critical_ratio))
    factor.show(axes)
    axes.set_title("critical sample ratio", loc="left")
    if len(ends) > 1 and fit(ends, inches):
        end_labels(axes, ends, inches)


def _top(values: np.ndarray) -> float:
    return 1.1 * float(values[np.isfinite(values)].max(initial=0)) or 1.0


def _gini_end(cell: MemorizationCell, series: Series) -> End:
    """Return where the median of the networks still trained ends."""
    curve = cell.sensitivity_curve[series.index]
    known = np.flatnonzero(np.isfinite(curve).any(axis=0))
    if not len(known):
        return End(curve.shape[1], np.nan, series.label, series.color)
    last = known[-1]
    return End(float(last + 1), float(np.nanmedian(curve[:, last])), series.label, series.color)


def _below(group: Group, *words: str) -> str:
    """Return the name of a group, if it has one, with words below it."""
    return "\n".join([*group.label.split(", "), *words] if group.label else words)


def _around(x: npt.NDArray[np.int64]) -> tuple[float, float]:
    """Return limits of a logarithmic axis with a little room at both ends, for the markers there."""
    first, last = float(x[0]), float(x[-1])
    room = max(last / first, 2.0) ** 0.03
    return first / room, max(last, 1.5 * first if last == first else last) * room
