"""Figures of `probe.minima`: how good the minima are, how they are curved, and what lies between them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from probe._checks import check_choice, check_integer
from probe.analyses.minima import Connections, Minima, WidthMinima
from probe.analyses.minima.results import CLEARLY
from probe.figures._style import COLOURS, footnote, fresh, literal, log_axis, spread, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

__all__ = ["PARTS", "draw", "parts_of"]

PARTS = ("costs", "curvature", "connections")

_HEIGHTS = {"costs": 4.3, "curvature": 4.1, "connections": 4.6}

_MOST_LABELS = 12

_WAYS = (
    ("lines_before", "straight", COLOURS["random"]),
    ("lines_after", "straight, aligned", COLOURS["true"]),
    ("curves", "curve", COLOURS["test"]),
)


def parts_of(result: Minima) -> tuple[str, ...]:
    """Return the parts that have something to show."""
    shown = {
        "costs": True,
        "curvature": any(width.is_measured for width in result.widths),
        "connections": any(width.connections is not None for width in result.widths),
    }
    return tuple(part for part in PARTS if shown[part])


def draw(
    result: Minima, *, figure: Figure | SubFigure | None = None, part: str = "costs", cell: int | None = None
) -> Figure | SubFigure:
    """Draw one part of `result` into `figure`, or a new one, and return it.

    Parameters
    ----------
    result : Minima
        From `probe.minima`.
    figure : Figure or SubFigure, optional
        Where to draw.
    part : {"costs", "curvature", "connections"}
        Costs of all networks; their curvature; barriers between the first ones.
    cell : int, optional
        For "connections": which architecture; the first that they were measured for without.
    """
    check_choice("part", part, PARTS)
    with styled():
        drawn = fresh(_HEIGHTS[part]) if figure is None else figure
        if part == "costs":
            _draw_costs(drawn, result)
        elif part == "curvature":
            _draw_curvature(drawn, result)
        else:
            _draw_connections(drawn, _chosen(result, cell))
    return drawn


def _chosen(result: Minima, cell: int | None) -> WidthMinima:
    if cell is None:
        measured = [width for width in result.widths if width.connections is not None]
        return measured[0] if measured else result.widths[0]
    return result.widths[check_integer("cell", cell, minimum=0, maximum=len(result.widths) - 1)]


def _colours(n: int) -> npt.NDArray[np.float64]:
    from matplotlib import colormaps

    return np.asarray(colormaps["viridis"](np.linspace(0.0, 0.82, n) if n > 1 else [0.25]))


def _short(width: WidthMinima) -> str:
    return literal("-".join(map(str, width.hidden)) or "none", 18)


def _correlation(width: WidthMinima) -> str:
    found = width.train_test.estimate
    return "–" if np.isnan(found) else f"{found:+.2f}"


def _draw_costs(figure: Figure | SubFigure, result: Minima) -> None:
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
    footnote(
        figure,
        (
            "Each point is one network. Left: the bar spans the middle 90%, the line is the median. Right: the same "
            "networks by training cost, with the correlation for each kind.",
            f"{failed} failed runs are not shown but counted in the table." if failed else "No run failed.",
        ),
    )


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


def _draw_curvature(figure: Figure | SubFigure, result: Minima) -> None:
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
    n_minima = sum(int(width.is_minimum.sum()) for width in result.widths)
    n_measured = sum(int(np.isfinite(width.smallest).sum()) for width in result.widths)
    n_negative = sum(int(width.is_negative.sum()) for width in result.widths)
    footnote(
        figure,
        (
            "Extreme eigenvalues of the Hessian of each network's training cost with weight decay; thin lines: within this "
            f"there is one. Filled: a minimum, {n_minima} of {n_measured}: small gradient and no clearly negative "
            f"eigenvalue. Open: {n_negative} low-loss points with a clearly negative eigenvalue, "
            f"{n_measured - n_minima - n_negative} with too much slope left to say.",
        ),
    )


def _draw_connections(figure: Figure | SubFigure, width: WidthMinima) -> None:
    found = width.connections
    if found is None:
        axes = figure.subplots()
        axes.text(0.5, 0.5, "no connections were measured", transform=axes.transAxes, ha="center")
        axes.set_axis_off()
        return
    grid = figure.add_gridspec(1, 3, width_ratios=(1.0, 1.0, 1.35))
    _draw_matrices(figure, [figure.add_subplot(grid[0, k]) for k in range(2)], found)
    axes = figure.add_subplot(grid[0, 2])
    for name, label, colour in _WAYS:
        lines = getattr(found, name)
        low, middle, high = np.quantile(lines, [0.0, 0.5, 1.0], axis=0)
        axes.fill_between(found.place, low, high, color=colour, alpha=0.15, linewidth=0)
        axes.plot(found.place, middle, color=colour, linewidth=2, label=label)
    axes.set(xlabel="place between two networks", ylabel="training cost", xlim=(0, 1), ylim=(0, None))
    axes.set_xticks([0, 0.5, 1], ["0", "½", "1"])
    axes.legend(fontsize=8, frameon=False, loc="upper center", bbox_to_anchor=(0.5, 1.22), ncols=1)
    footnote(
        figure,
        (
            f"{len(found.members)} networks {width.name}. Left: how far the cost climbs on the straight line between two "
            "networks, above the line between their costs, before and after the second's units are put in the order, and "
            "given the signs, of the first's; on one scale.",
            "Right: costs on the way, median and range over all pairs, also on a trained quadratic Bézier curve.",
        ),
    )


def _draw_matrices(figure: Figure | SubFigure, cells: list[Axes], found: Connections) -> None:
    largest = max(float(found.before.max()), float(found.after.max()), 1e-9)
    n = len(found.members)
    for axes, values, name in zip(cells, (found.before, found.after), ("before", "aligned"), strict=True):
        drawn = axes.imshow(values, cmap="cividis", vmin=0, vmax=largest)
        axes.set_title(f"{name}: mean {values[np.triu_indices(n, 1)].mean():.2g}", fontsize=9)
        axes.grid(visible=False)
        step = max(1, n // _MOST_LABELS + (n > _MOST_LABELS))
        axes.set_xticks(range(0, n, step), found.members[::step].tolist(), fontsize=8)
        axes.set_yticks(
            range(0, n, step), found.members[::step].tolist() if axes is cells[0] else [], fontsize=8
        )
    cells[0].set_ylabel("network")
    bar = figure.colorbar(drawn, ax=cells, location="bottom", label="barrier", shrink=0.8)
    bar.ax.locator_params(nbins=5)
