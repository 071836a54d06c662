"""Figures of `probe.minima`: how good the minima are, how they are curved, and what lies between them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from probe._checks import InputError, check_integer
from probe.analyses.minima import Connections, Minima, WidthMinima
from probe.analyses.minima.results import CLEARLY
from probe.figures._axes import Look, half_ticks, log_axis, middle_90, spread
from probe.figures._parts import panels
from probe.figures._style import COLORS, literal

__all__ = ["PARTS"]

_MOST_LABELS = 12

_WAYS = (
    ("lines_before", "straight", COLORS["random"]),
    ("lines_after", "straight, aligned", COLORS["true"]),
    ("curves", "curve", COLORS["test"]),
)


def _no_curvature(result: Minima) -> str:
    return "" if any(width.n_measured for width in result.widths) else "no curvature was measured"


def _no_connections(result: Minima) -> str:
    measured = any(width.connections is not None for width in result.widths)
    return "" if measured else "what lies between networks was not measured"


def _looks(result: Minima) -> list[tuple[WidthMinima, npt.NDArray[np.float64], str]]:
    """Return each architecture with its color and its name, which is "" where there are too many names."""
    n = len(result.widths)
    colors = np.asarray(colormaps["viridis"](np.linspace(0.0, 0.82, n) if n > 1 else [0.25]))
    named = spread(n, _MOST_LABELS)
    names = [literal(width.shape, 18) if k in named else "" for k, width in enumerate(result.widths)]
    return list(zip(result.widths, colors, names, strict=True))


@panels(height=4.3)
def costs(result: Minima, figure: Figure | SubFigure) -> list[str]:
    """Draw the test accuracies of all networks by hidden layers, and their costs."""
    left, right = figure.subplots(1, 2, width_ratios=(1.15, 1.0))
    looks = _looks(result)
    for place, (width, color, name) in enumerate(looks):
        _draw_strip(left, place, width, color, result.margin)
        estimate = width.train_test.estimate
        correlation = "–" if np.isnan(estimate) else f"{estimate:+.2f}"
        style: Look = {"color": color, "markersize": 3, "alpha": 0.6, "markeredgewidth": 0}
        label = f"{name}: {correlation}" if name else None
        right.plot(width.train_cost, width.test_cost, "o", label=label, **style)
    named = {place: name for place, (_, _, name) in enumerate(looks) if name}
    left.set_xticks([*named], [*named.values()], rotation=30 if len(looks) > 6 else 0)
    left.set(xlim=(-0.6, len(looks) - 0.4), xlabel="hidden units", ylabel="test accuracy, %")
    left.grid(visible=False, axis="x")
    right.set(xlabel="training cost", ylabel="test cost")
    if len(looks) > 1:
        right.set(xscale="log", yscale="log")
        (left_end, right_end), (low, high) = right.get_xlim(), right.get_ylim()
        log_axis(right, "x", left_end, right_end, fewest=3)
        log_axis(right, "y", low, high, fewest=3)
    right.legend(title="correlation", fontsize=8, title_fontsize=8, markerscale=2, loc="best")
    failed = sum(width.n_failed for width in result.widths)
    return [
        f"Each point is one network. Left: the gray box is the margin, {100 * result.margin:.2g} points around the median, "
        "in which nine in ten must lie to count as equal; the bar spans the middle 90%. Right: the same networks by their "
        "costs, with the correlation for each kind.",
        f"{failed} failed runs are not shown but counted in the table." if failed else "No run failed.",
    ]


def _draw_strip(
    axes: Axes, place: int, width: WidthMinima, color: npt.NDArray[np.float64], margin: float
) -> None:
    known = 100 * width.test_accuracy[~width.is_diverged]
    if not known.size:
        return
    low, middle, high = middle_90(known)
    box: Look = {"color": COLORS["untrained"], "alpha": 0.3, "linewidth": 0}
    axes.fill_between([place - 0.38, place + 0.38], middle - 50 * margin, middle + 50 * margin, **box)
    # Points beside each other in a fixed pattern, so that equal results are equal pictures.
    shift = 0.3 * ((np.arange(known.size) * 0.618034) % 1 - 0.5)
    few: Look = {"markersize": 2.6, "alpha": 0.55} if known.size > 30 else {"markersize": 4.5, "alpha": 0.8}
    axes.plot(place - 0.08 + shift, known, "o", color=color, markeredgewidth=0, **few)
    axes.plot([place + 0.25] * 2, [low, high], color=color, linewidth=4, solid_capstyle="butt")
    axes.plot([place + 0.19, place + 0.31], [middle] * 2, color=COLORS["reference"], linewidth=1.6)


@panels(height=4.1, empty=_no_curvature)
def curvature(result: Minima, figure: Figure | SubFigure) -> list[str]:
    """Draw the extreme eigenvalues of all networks against their gradients and their costs."""
    left, right = figure.subplots(1, 2)
    for width, color, name in _looks(result):
        minimum = width.is_minimum
        for chosen, face in ((minimum, color), (~minimum & np.isfinite(width.smallest), "none")):
            if not chosen.any():
                continue
            relative = width.smallest[chosen] / width.largest[chosen]
            off = width.residual[chosen] / width.largest[chosen]
            slope = np.maximum(width.gradient_norm[chosen], 1e-12)
            left.vlines(slope, relative - off, relative + off, color=color, linewidth=0.6, alpha=0.35)
            marks: Look = {"color": color, "markersize": 4, "markerfacecolor": face, "markeredgewidth": 0.8}
            left.plot(slope, relative, "o", **marks)
            right.plot(width.largest[chosen], width.train_cost[chosen], "o", **marks)
        if name:
            right.plot([], [], "o", color=color, label=name, markersize=4)
    left.axhline(0, color=COLORS["reference"], linewidth=0.8)
    left.set_xscale("log")
    log_axis(left, "x", *left.get_xlim())
    left.set(xlabel="length of the gradient", ylabel="smallest / largest eigenvalue")
    low, high = left.get_ylim()
    reach = max(abs(low), abs(high), 3 * CLEARLY)
    left.set_ylim(-1.1 * reach, 1.1 * reach)
    left.locator_params(axis="y", nbins=5)
    right.set(xlabel="largest eigenvalue", ylabel="training cost")
    right.legend(title="hidden units", fontsize=8, title_fontsize=8)
    n_minima, n_measured, n_negative = (
        sum(getattr(width, name) for width in result.widths)
        for name in ("n_minima", "n_measured", "n_negative")
    )
    return [
        "Extreme eigenvalues of the Hessian of each network's training cost with weight decay; thin lines: within this "
        f"there is one. Filled: a minimum, {n_minima} of {n_measured}: small gradient and no clearly negative eigenvalue. "
        f"Open: {n_negative} low-loss points with a clearly negative eigenvalue, {n_measured - n_minima - n_negative} with "
        "too much slope left to say."
    ]


@panels(height=4.6, empty=_no_connections)
def connections(result: Minima, figure: Figure | SubFigure, cell: int | None = None) -> list[str]:
    """Draw barriers before and after alignment, and the costs on the way; of the first architecture that was measured."""
    measured = [k for k, width in enumerate(result.widths) if width.connections is not None]
    if cell is None:
        cell = measured[0]
    width = result.widths[check_integer("cell", cell, minimum=0, maximum=len(result.widths) - 1)]
    between = width.connections
    if between is None:
        known = ", ".join(map(str, measured))
        raise InputError(f"cell must be one between whose networks paths were measured, {known}; got {cell}")
    grid = figure.add_gridspec(1, 3, width_ratios=(1.0, 1.0, 1.35))
    _draw_matrices(figure, [figure.add_subplot(grid[0, k]) for k in range(2)], between)
    axes = figure.add_subplot(grid[0, 2])
    for name, label, color in _WAYS:
        lines = getattr(between, name)
        low, middle, high = np.quantile(lines, [0.0, 0.5, 1.0], axis=0)
        axes.fill_between(between.position, low, high, color=color, alpha=0.15, linewidth=0)
        axes.plot(between.position, middle, color=color, linewidth=2, label=label)
    axes.set(xlabel="place between two networks", ylabel="training cost", xlim=(0, 1), ylim=(0, None))
    half_ticks(axes)
    axes.legend(fontsize=8, loc="upper center", bbox_to_anchor=(0.5, 1.22))
    return [
        f"{len(between.members)} networks {width.name}. Left: how far the cost climbs on the straight line between two "
        "networks, above the line between their costs, before and after the second's units are put in the order, and "
        "given the signs, of the first's; on one scale.",
        "Right: costs on the way, median and range over all pairs, also on a trained quadratic Bézier curve.",
    ]


PARTS = (costs, curvature, connections)


def _draw_matrices(figure: Figure | SubFigure, cells: list[Axes], between: Connections) -> None:
    largest = max(float(between.before.max()), float(between.after.max()), 1e-9)
    n = len(between.members)
    for axes, values, name in zip(cells, (between.before, between.after), ("before", "aligned"), strict=True):
        drawn = axes.imshow(values, cmap="cividis", vmin=0, vmax=largest)
        axes.set_title(f"{name}: mean {values[np.triu_indices(n, 1)].mean():.2g}", loc="center", fontsize=9)
        axes.grid(visible=False)
        step = max(1, n // _MOST_LABELS + (n > _MOST_LABELS))
        ticks, names = range(0, n, step), between.members[::step].tolist()
        axes.set_xticks(ticks, names, fontsize=8)
        axes.set_yticks(ticks, names if axes is cells[0] else [], fontsize=8)
    cells[0].set_ylabel("network")
    bar = figure.colorbar(drawn, ax=cells, location="bottom", label="barrier", shrink=0.8)
    bar.ax.locator_params(nbins=5)
