"""Figures of `probe.minima`: how good the minima are, how they are curved, and what lies between them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from probe._checks import InputError, check_integer
from probe.analyses.minima import Connections, Minima, WidthMinima
from probe.analyses.minima.results import CLEARLY
from probe.figures._parts import panels
from probe.figures._style import COLOURS, literal, log_axis, spread

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

__all__ = ["PARTS"]

_MOST_LABELS = 12

_WAYS = (
    ("lines_before", "straight", COLOURS["random"]),
    ("lines_after", "straight, aligned", COLOURS["true"]),
    ("curves", "curve", COLOURS["test"]),
)


def _no_curvature(result: Minima) -> str:
    return "" if any(width.n_measured for width in result.widths) else "no curvature was measured"


def _no_connections(result: Minima) -> str:
    measured = any(width.connections is not None for width in result.widths)
    return "" if measured else "what lies between networks was not measured"


def _colours(n: int) -> npt.NDArray[np.float64]:
    from matplotlib import colormaps

    return np.asarray(colormaps["viridis"](np.linspace(0.0, 0.82, n) if n > 1 else [0.25]))


def _short(width: WidthMinima) -> str:
    return literal(width.shape, 18)


def _correlation(width: WidthMinima) -> str:
    correlation = width.train_test.estimate
    return "–" if np.isnan(correlation) else f"{correlation:+.2f}"


@panels(height=4.3)
def costs(result: Minima, figure: Figure | SubFigure) -> list[str]:
    """Draw the costs of all networks, by hidden layers and by training cost."""
    left, right = figure.subplots(1, 2, width_ratios=(1.15, 1.0))
    colours = _colours(len(result.widths))
    named = spread(len(result.widths), _MOST_LABELS)
    for place, (width, colour) in enumerate(zip(result.widths, colours, strict=True)):
        _draw_strip(left, place, width, colour)
        right.plot(
            width.train_cost,
            width.test_cost,
            "o",
            color=colour,
            markersize=3,
            alpha=0.6,
            markeredgewidth=0,
            label=f"{_short(width)}: {_correlation(width)}" if place in named else None,
        )
    crowded = len(result.widths) > 6
    left.set_xticks(named, [_short(result.widths[k]) for k in named], rotation=30 if crowded else 0)
    left.set_xlim(-0.6, len(result.widths) - 0.4)
    left.set(xlabel="hidden units", ylabel="test cost")
    left.grid(visible=False, axis="x")
    right.set(xlabel="training cost", ylabel="test cost")
    if len(result.widths) > 1:
        left.set_yscale("log")
        right.set(xscale="log", yscale="log")
        for axes, which in ((left, "y"), (right, "y"), (right, "x")):
            low, high = axes.get_ylim() if which == "y" else axes.get_xlim()
            log_axis(axes, which, low, high, fewest=3)  # type: ignore[arg-type]
    right.legend(title="correlation", fontsize=8, title_fontsize=8, frameon=False, markerscale=2, loc="best")
    failed = sum(width.n_failed for width in result.widths)
    return [
        "Each point is one network. Left: the bar spans the middle 90%, the line is the median. Right: the same networks "
        "by training cost, with the correlation for each kind.",
        f"{failed} failed runs are not shown but counted in the table." if failed else "No run failed.",
    ]


def _draw_strip(axes: Axes, place: int, width: WidthMinima, colour: npt.NDArray[np.float64]) -> None:
    known = width.test_cost[~width.is_diverged]
    if not known.size:
        return
    # Points beside each other in a fixed pattern, so that equal results are equal pictures.
    shift = 0.3 * ((np.arange(known.size) * 0.618034) % 1 - 0.5)
    axes.plot(place - 0.08 + shift, known, "o", color=colour, markersize=2.6, alpha=0.55, markeredgewidth=0)
    low, middle, high = np.quantile(known, [0.05, 0.5, 0.95])
    axes.plot([place + 0.25] * 2, [low, high], color=colour, linewidth=4, solid_capstyle="butt")
    axes.plot([place + 0.19, place + 0.31], [middle] * 2, color=COLOURS["reference"], linewidth=1.6)


@panels(height=4.1, empty=_no_curvature)
def curvature(result: Minima, figure: Figure | SubFigure) -> list[str]:
    """Draw the extreme eigenvalues of all networks against their gradients and their costs."""
    left, right = figure.subplots(1, 2)
    colours = _colours(len(result.widths))
    named = spread(len(result.widths), _MOST_LABELS)
    for place, (width, colour) in enumerate(zip(result.widths, colours, strict=True)):
        minimum = width.is_minimum
        for chosen, face in ((minimum, colour), (~minimum & np.isfinite(width.smallest), "none")):
            if not chosen.any():
                continue
            relative = width.smallest[chosen] / width.largest[chosen]
            off = width.residual[chosen] / width.largest[chosen]
            slope = np.maximum(width.gradient_norm[chosen], 1e-12)
            left.vlines(slope, relative - off, relative + off, color=colour, linewidth=0.6, alpha=0.35)
            marks = {
                "marker": "o",
                "linestyle": "none",
                "markersize": 4,
                "markerfacecolor": face,
                "markeredgecolor": colour,
                "markeredgewidth": 0.8,
            }
            left.plot(slope, relative, **marks)
            right.plot(width.largest[chosen], width.train_cost[chosen], **marks)
        if place in named:
            right.plot([], [], "o", color=colour, label=_short(width), markersize=4)
    left.axhline(0, color=COLOURS["reference"], linewidth=0.8)
    left.set_xscale("log")
    log_axis(left, "x", *left.get_xlim())
    left.set(xlabel="length of the gradient", ylabel="smallest / largest eigenvalue")
    low, high = left.get_ylim()
    reach = max(abs(low), abs(high), 3 * CLEARLY)
    left.set_ylim(-1.1 * reach, 1.1 * reach)
    left.locator_params(axis="y", nbins=5)
    right.set(xlabel="largest eigenvalue", ylabel="training cost")
    right.legend(title="hidden units", fontsize=8, title_fontsize=8, frameon=False)
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
    """Draw barriers between networks before and after alignment, and the costs on the way.

    Parameters
    ----------
    result : Minima
        From `probe.minima`.
    figure : Figure or SubFigure
        Where to draw.
    cell : int, optional
        Which architecture; the first that was measured without.

    Raises
    ------
    InputError
        If there is no such architecture, or nothing was measured between its networks.
    """
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
    for name, label, colour in _WAYS:
        lines = getattr(between, name)
        low, middle, high = np.quantile(lines, [0.0, 0.5, 1.0], axis=0)
        axes.fill_between(between.position, low, high, color=colour, alpha=0.15, linewidth=0)
        axes.plot(between.position, middle, color=colour, linewidth=2, label=label)
    axes.set(xlabel="place between two networks", ylabel="training cost", xlim=(0, 1), ylim=(0, None))
    axes.set_xticks([0, 0.5, 1], ["0", "½", "1"])
    axes.legend(fontsize=8, frameon=False, loc="upper center", bbox_to_anchor=(0.5, 1.22), ncols=1)
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
        axes.set_title(f"{name}: mean {values[np.triu_indices(n, 1)].mean():.2g}", fontsize=9)
        axes.grid(visible=False)
        step = max(1, n // _MOST_LABELS + (n > _MOST_LABELS))
        axes.set_xticks(range(0, n, step), between.members[::step].tolist(), fontsize=8)
        axes.set_yticks(
            range(0, n, step), between.members[::step].tolist() if axes is cells[0] else [], fontsize=8
        )
    cells[0].set_ylabel("network")
    bar = figure.colorbar(drawn, ax=cells, location="bottom", label="barrier", shrink=0.8)
    bar.ax.locator_params(nbins=5)
