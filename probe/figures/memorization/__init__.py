"""Figures of `probe.analyses.memorization` and `.scores`: one part for each question that a study answers.

Those of a study draw one of its cells, `cell`, from 0.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from probe.analyses.memorization import Memorization, MemorizationCell
from probe.figures._axes import Look, beside, log_axis, replicates
from probe.figures._labels import End, end_labels, fit, name_ends
from probe.figures._parts import panels
from probe.figures._style import COLORS, resize, size_of
from probe.figures.memorization._conditions import (
    BESIDE,
    NETWORKS_NOTE,
    Factor,
    Group,
    Series,
    cell_of,
    diverged_note,
    groups_note,
    groups_of,
    points,
    replicates_note,
    row_inches,
)
from probe.figures.memorization._examples import examples, forgetting, scores

__all__ = ["PARTS"]

_PANELS = {
    "train_accuracy": "on the labels taught",
    "true_accuracy": "on their true labels",
    "test_accuracy": "on test images",
}

_CHANCE = "Dashed: always naming the commonest class ({:.1%})."

_THRESHOLDS = (0.9, 1.0)

_ROW = 0.062
"""Height of a row of counts above the limit, as a share of the axes."""


@panels()
def curves(result: Memorization, figure: Figure | SubFigure, cell: int = 0) -> list[str]:
    """Draw learning curves: on the labels taught, on the true labels of the same images, and on test images."""
    networks = cell_of(result, cell)
    groups = groups_of(networks)
    updates = networks.updates_per_epoch * np.arange(1, networks.cost.shape[2] + 1)
    resize(figure, 0.95 + len(groups) * row_inches(groups, 2.35, lines=1))
    grid = figure.subplots(len(groups), len(_PANELS), sharex=True, sharey=True, squeeze=False)
    for row, group in zip(grid, groups, strict=True):
        for axes, name in zip(row, _PANELS, strict=True):
            for series in group.series:
                replicates(axes, updates, getattr(networks, name)[series.index], series.color, series.marker)
            axes.set_ylim(0, 1.03)
        row[0].set_ylabel(_below(group, "accuracy"))
        row[-1].axhline(result.chance, color=COLORS["reference"], linestyle="--", linewidth=1)
    for axes, title in zip(grid[0], _PANELS.values(), strict=True):
        axes.set_title(title)
    grid[-1, 1].set_xlabel("updates (minibatches)")
    log_axis(grid[0, 0], "x", *_around(updates))
    last = networks.test_accuracy[:, :, -1]
    rows = [
        [_end(series, updates[-1], last[series.index], series.marker) for series in group.series]
        for group in groups
    ]
    name_ends(figure, grid[:, -1], rows, _panel_inches(figure, len(groups)))
    return _notes(networks, groups, _CHANCE.format(result.chance))


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
        axes.axhline(networks.limit, color=COLORS["reference"], linestyle="--", linewidth=1)
        _censored(axes, factor, networks.limit, ~np.isfinite(updates))
        factor.show(axes)
        axes.set_title(f"to {result.thresholds[index]:.0%} training accuracy")
    row[0].set_ylabel("updates (minibatches)")
    # Above the limit is room for a row of counts of each group.
    low = 0.6 * min([networks.limit / 2, *networks.updates[np.isfinite(networks.updates)].tolist()])
    head = min(0.6, 0.05 + _ROW * len(factor.groups))
    log_axis(row[0], "y", low, low * (networks.limit / low) ** (1 / (1 - head)))
    if len(ends) > 1:
        name_ends(figure, row[-1:], [ends], _panel_inches(figure, 1))
    missing = ~np.isfinite(networks.updates[:, :, shown])
    n = networks.n_replicates
    which = f"that many of {n} networks" if n > 1 else "the network"
    is_mixed = (missing.any(axis=1) & ~missing.all(axis=1)).any()
    return [
        NETWORKS_NOTE if n > 1 else replicates_note(n),
        f"Dashed: the limit of {networks.limit:,} updates.",
        f"Triangle: {which} did not get there." if missing.any() else "",
        "Hollow: a mean with these counted at the limit, so at least that." if is_mixed else "",
        groups_note(networks, factor.groups),
    ]


def _censored(axes: Axes, factor: Factor, limit: int, missing: npt.NDArray[np.bool_]) -> None:
    """Mark at the limit how many networks did not get there; each group has a row for its counts."""
    for rank, group in enumerate(factor.groups):
        for series in group.series:
            count = int(missing[series.index].sum())
            if not count:
                continue
            x, color = factor.place(rank, series) + BESIDE, factor.color(rank, series)
            look: Look = {"color": color, "markerfacecolor": "white", "markersize": 8, "zorder": 5}
            axes.plot([x], [limit], "^", gid="censored", **look)
            style = {"ha": "center", "va": "bottom", "fontsize": 8, "fontweight": "bold", "color": color}
            beside(axes, str(count), (x, limit), (0, 6 + 11 * rank), **style)


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
        axes.axhline(result.chance, color=COLORS["reference"], linestyle="--", linewidth=1)
        axes.set_ylabel(_below(group, "accuracy on test images"))
    column[-1].set_xlabel("epoch")
    log_axis(column[0], "x", *_around(epochs))
    # As narrow as the curves allow: a drop may be of few points.
    known = networks.test_accuracy[np.isfinite(networks.test_accuracy)]
    low, high = known.min(initial=result.chance), known.max(initial=result.chance)
    margin = 0.06 * max(high - low, 0.02)
    column[0].set_ylim(max(0.0, low - margin), high + 1.5 * margin)
    rows = [[_peak_end(networks, series) for series in group.series] for group in groups]
    name_ends(figure, column, rows, _panel_inches(figure, len(groups), taken=1.0))
    return _notes(
        networks,
        groups,
        "Circle: median best epoch and accuracy. Drop: from there to the end, the best epoch being chosen on one half of "
        "the test images and measured on the other.",
        _CHANCE.format(result.chance),
    )


def _peaks(axes: Axes, cell: MemorizationCell, group: Group, epochs: npt.NDArray[np.int64]) -> None:
    for series in group.series:
        replicates(axes, epochs, cell.test_accuracy[series.index], series.color)
    circle: Look = {"marker": "o", "markersize": 8, "markeredgecolor": "black", "gid": "peak"}
    for series in group.series:
        epoch, accuracy = _peak(cell, series)
        axes.plot([epoch, epochs[-1]], [accuracy] * 2, color=series.color, linewidth=0.8, linestyle=":")
        axes.plot([epoch], [accuracy], color=series.color, linestyle="none", **circle)


def _peak(cell: MemorizationCell, series: Series) -> tuple[float, float]:
    """Return the median best epoch and accuracy; NaN if all networks diverged at once."""
    known = np.isfinite(cell.test_accuracy[series.index]).any(axis=1)
    if not known.any():
        return np.nan, np.nan
    epoch, accuracy = (values[series.index][known] for values in (cell.peak_epoch, cell.peak_accuracy))
    return float(np.median(epoch)), float(np.median(accuracy))


def _peak_end(cell: MemorizationCell, series: Series) -> End:
    drops = cell.drop[series.index]
    drops = drops[np.isfinite(drops)]
    epoch, accuracy = _peak(cell, series)
    detail = f"{accuracy:.1%} at epoch {epoch:g}" if np.isfinite(accuracy) else "all diverged"
    if len(drops):
        # Adding 0 makes a rounded -0 a 0.
        detail += f", drop {round(100 * float(np.median(drops)), 1) + 0:.1f} points"
    return _end(series, cell.cost.shape[2], cell.test_accuracy[series.index, :, -1], detail=detail)


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
    *column, below = figure.subplots(len(groups) + 1, 1, squeeze=False)[:, 0]
    inches = _panel_inches(figure, len(groups) + 1, taken=1.5)
    epochs = np.arange(1, networks.cost.shape[2] + 1)
    rows = []
    for axes, group in zip(column, groups, strict=True):
        for series in group.series:
            replicates(axes, epochs, networks.sensitivity_curve[series.index], series.color)
        axes.set_ylim(0, _top(networks.sensitivity_curve))
        log_axis(axes, "x", *_around(epochs))
        axes.set_ylabel(_below(group))
        rows.append([_gini_end(networks, series) for series in group.series])
    column[0].set_title("Gini coefficient of loss-sensitivity")
    column[-1].set_xlabel("epoch")
    name_ends(figure, column, rows, inches)
    factor = Factor.of(networks)
    ends = points(below, factor, networks.critical_ratio)
    below.set_ylim(0, _top(networks.critical_ratio))
    factor.show(below)
    below.set_title("critical sample ratio")
    if len(ends) > 1 and fit(ends, inches):
        end_labels(below, ends, inches)
    several = ["A curve ends with the last network that was trained.", NETWORKS_NOTE]
    return _notes(networks, groups, *several * (networks.n_replicates > 1))


def _top(values: np.ndarray) -> float:
    return 1.1 * float(values[np.isfinite(values)].max(initial=0)) or 1.0


def _gini_end(cell: MemorizationCell, series: Series) -> End:
    """Return where the median of the networks still trained ends."""
    curve = cell.sensitivity_curve[series.index]
    known = np.flatnonzero(np.isfinite(curve).any(axis=0))
    last = known[-1] if len(known) else curve.shape[1] - 1
    return _end(series, last + 1, curve[:, last])


def _end(series: Series, x: float, values: np.ndarray, marker: str = "none", detail: str = "") -> End:
    """Return the end of a curve at `x`, at the median of the values that are numbers."""
    known = values[np.isfinite(values)]
    y = float(np.median(known)) if len(known) else np.nan
    return End(float(x), y, series.label, series.color, marker, detail)


def _notes(cell: MemorizationCell, groups: Sequence[Group], *own: str) -> list[str]:
    return [replicates_note(cell.n_replicates), *own, diverged_note(cell), groups_note(cell, groups)]


def _panel_inches(figure: Figure | SubFigure, rows: int, taken: float = 0.85) -> float:
    """Return about how high each of `rows` axes will be, `taken` inches being text above and below."""
    return (size_of(figure)[1] - taken) / rows - 0.15


def _below(group: Group, *words: str) -> str:
    """Return the name of a group, if it has one, with words below it."""
    return "\n".join([*group.label.split(", "), *words] if group.label else words)


def _around(x: npt.NDArray[np.int64]) -> tuple[float, float]:
    """Return limits of a logarithmic axis with a little room at both ends, for the markers there."""
    first, last = float(x[0]), float(x[-1])
    room = max(last / first, 2.0) ** 0.03
    return first / room, max(last, 1.5 * first if last == first else last) * room


PARTS = (curves, time, peak, examples, forgetting, sensitivity, scores)
