"""Figures of `probe.landscape`: directions, components, step activations, the way down, and what is around."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure, SubFigure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from probe.analyses.landscape import Components, Landscape, Steepness, TrainingPath
from probe.figures._axes import (
    Look,
    band,
    beside,
    log_axis,
    log_bar,
    middle_90,
    replicates,
    shown_of,
    spread,
    write,
)
from probe.figures._labels import End, name_ends
from probe.figures._parts import panels
from probe.figures._style import COLORS, literal, size_of

__all__ = ["PARTS"]

_KIND_COLORS = {"own": COLORS["true"], "step": COLORS["random"], "output only": COLORS["untrained"]}

_MOST_PARTS = 16
"""Arrays of parameters whose components are drawn: the first, the last, and some in between, evenly apart."""

Floats = npt.NDArray[np.float64]


def _no_activations(result: Landscape) -> str:
    return "" if result.activations else "no hidden layer has an activation, or it was not asked for"


def _no_path(result: Landscape) -> str:
    return "" if result.path else "the path was not asked for"


def _no_surface(result: Landscape) -> str:
    return "" if result.surface else "the surface was not asked for"


@panels(height=4.1)
def steepness(landscape: Landscape, figure: Figure | SubFigure) -> list[str]:
    """Draw how steep each direction is beside the gradient, and which is the steepest by other metrics."""
    result = landscape.descent.steepness
    left, right = figure.subplots(1, 2, width_ratios=(1.0, 1.3))
    _draw_slopes(left, result)
    _draw_metrics(right, result)
    return [
        f"Left: how fast the cost falls along directions of length 1, as a share of the length of the gradient; "
        f"points: {len(result.random_slopes):,} random directions, of which the best is at "
        f"{result.best_random:.2g}; dotted: what "
        f"{result.n_parameters:,} dimensions alone let the best one reach, {result.expected_best:.2g}; the "
        "line at 1 is what "
        "no direction exceeds.",
        "Right: the same for each unit of length, with lengths measured in four ways, as a share of the steepest possible: "
        "each way has its own steepest direction.",
    ]


def _draw_slopes(axes: Axes, result: Steepness) -> None:
    n_named = len(result.directions)
    shift = 0.5 * ((np.arange(len(result.random_slopes)) * 0.618034) % 1 - 0.5)
    look: Look = {"color": COLORS["noise"], "alpha": 0.6, "markersize": 3.5, "markeredgewidth": 0}
    axes.plot(result.random_slopes, n_named + shift, "o", **look)
    for row, slope in enumerate(result.slopes):
        color = COLORS["true"] if row == 0 else COLORS["random"]
        axes.plot([0, slope], [row, row], color=color, linewidth=2)
        axes.plot(slope, row, "o", color=color, markersize=6)
    axes.plot([result.expected_best] * 2, [n_named - 0.4, n_named + 0.4], ":", color=COLORS["reference"])
    axes.axvline(1, color=COLORS["reference"], linewidth=1.2)
    axes.axvline(0, color=COLORS["untrained"], linewidth=0.8)
    low = min(0.0, float(result.random_slopes.min()))
    axes.set(
        xlim=(low - 0.04, 1.08), ylim=(n_named + 0.6, -0.6), xlabel="slope, as a share of the gradient's"
    )
    axes.set_yticks(range(n_named + 1), [*(_DIRECTIONS[name] for name in result.directions), "random"])
    axes.grid(visible=False, axis="y")


def _draw_metrics(axes: Axes, result: Steepness) -> None:
    shares = np.nan_to_num(result.by_metric)
    axes.imshow(shares, cmap="cividis", vmin=0, vmax=1, aspect="auto")
    for row, column in np.ndindex(*shares.shape):
        share = shares[row, column]
        look: Look = {"fontweight": "bold" if column == shares[row].argmax() and share > 0 else "normal"}
        color = "black" if share > 0.55 else "white"
        axes.text(column, row, f"{share:.2f}", ha="center", va="center", fontsize=9, color=color, **look)
    names = [*(_DIRECTIONS[name] for name in result.directions), "best random"]
    axes.set_xticks(range(len(names)), [name.replace(" ", "\n", 1) for name in names], fontsize=8)
    axes.set_yticks(range(len(result.metrics)), [_METRICS[name] for name in result.metrics], fontsize=8)
    axes.set(xlabel="direction", ylabel="length measured by")
    axes.grid(visible=False)


_DIRECTIONS = {
    "gradient": "gradient",
    "sign": "its signs",
    "diagonal": "diagonal natural",
    "Adam": "Adam's",
}

_METRICS = {
    "Euclidean": "all squares",
    "largest component": "largest\ncomponent",
    "diagonal of the Fisher matrix": "Fisher\ndiagonal",
    "Adam's": "Adam's\nscale",
}


@panels(height=4.1)
def descent(landscape: Landscape, figure: Figure | SubFigure) -> list[str]:
    """Draw the decrease of the cost along the negative gradient and along random directions."""
    result = landscape.descent
    left, right = figure.subplots(1, 2)
    for axes, k, title in ((left, 1, "A fresh start"), (right, 0, "This network")):
        random = result.along_random[k]
        band_of = np.stack([random.min(axis=1), np.median(random, axis=1), random.max(axis=1)], axis=1)
        along = result.along_gradient[k]
        _draw_directions(axes, result.steps, along, band_of, _straight(along, band_of))
        axes.set_title(title)
    left.set_ylabel("decrease of the cost")
    ahead = result.wins_up_to[1:]
    return [
        f"Decrease of the mean cost over {result.n_images:,} training images; below zero the cost rises. Lengths are "
        f"shares of the length of all parameters. Band: all of {result.n_directions:,} random directions.",
        f"No random direction does better up to a step of {_range(ahead)} in {len(ahead)} fresh starts, and of "
        f"{result.wins_up_to[0]:.2g} in this network.",
    ]


def _range(values: npt.NDArray[np.float64]) -> str:
    low, high = f"{values.min():.2g}", f"{values.max():.2g}"
    return low if low == high else f"{low} to {high}"


def _straight(along: Floats, random: Floats) -> float:
    """Return up to which size an axis is best linear: what the shortest step brings."""
    return float(max(np.abs(along[..., 0]).max(), np.abs(random[..., 0, :]).max(), 1e-9))


def _draw_directions(axes: Axes, steps: Floats, along: Floats, random: Floats, scale: float) -> None:
    """Draw decreases along the gradient (n_steps,), and the least, median and greatest of others (n_steps, 3)."""
    low, middle, high = random.T
    axes.fill_between(steps, low, high, color=COLORS["noise"], alpha=0.35, linewidth=0)
    axes.plot(steps, middle, color=COLORS["noise"], linewidth=1.5)
    axes.plot(steps, along, color=COLORS["true"], marker="o", markersize=4)
    axes.axhline(0, color=COLORS["reference"], linewidth=0.8)
    axes.set_yscale("symlog", linthresh=scale)
    log_axis(axes, "x", float(steps[0]) * 0.85, float(steps[-1]) * 1.2)
    axes.set_xlabel("length of the step")
    _label_symlog(axes)
    best = int(along.argmax()) if along.any() else len(steps) // 2
    if along[best] > 0 or not along.any():
        text = "negative gradient" if along.any() else "negative gradient: zero"
        align = "right" if best > len(steps) // 2 else "center"
        beside(axes, text, (steps[best], along[best]), (0, 9), ha=align, color=COLORS["true"], fontsize=9)
    axes.margins(y=0.22)
    write(axes, 0.03, 0.05, "random directions", color="#9c4f7f", va="bottom")


def _label_symlog(axes: Axes) -> None:
    """Keep to three or four ticks with short numbers on an axis that is linear around zero."""
    low, high = axes.get_ylim()
    threshold = float(getattr(axes.yaxis.get_transform(), "linthresh", 0.0))
    decades = [10.0**k for k in range(-9, 6) if threshold <= 10.0**k <= max(high, -low)]
    # The same sizes on both sides of zero, the greatest among them.
    sizes = decades[::-2] if len(decades) > 2 else decades
    ticks = [sign * size for sign in (-1, 1) for size in sizes if low <= sign * size <= high]
    axes.yaxis.set_major_locator(FixedLocator(sorted([0.0, *ticks])))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}".replace("-", "−")))
    axes.yaxis.set_minor_locator(NullLocator())


@panels(height=4.4)
def gradient(landscape: Landscape, figure: Figure | SubFigure) -> list[str]:
    """Draw the components of the gradient by size, and the largest by name."""
    left, right = figure.subplots(1, 2, width_ratios=(1.0, 1.15))
    trained = landscape.descent.components[0]
    _draw_sizes(left, trained)
    _draw_largest(right, trained)
    both = zip(landscape.descent.components, ("in this network", "in a fresh start"), strict=False)
    most = ", ".join(f"{each.n_for_most:,} of {each.n_parameters:,} {where}" for each, where in both)
    return [
        "Left: all components of this network's gradient, array by array. Right: the largest ones, with the sign in "
        "which descent changes the weight.",
        shown_of(min(len(trained.parts), _MOST_PARTS), len(trained.parts), "arrays"),
        f"The fewest components that make 90% of the gradient's squared length: {most}.",
    ]


def _draw_sizes(axes: Axes, components: Components) -> None:
    pairs = zip(components.parts, components.sizes, strict=True)
    shown = [(name, sizes[sizes > 0]) for name, sizes in pairs if (sizes > 0).any()]
    if not shown:
        write(axes, 0.5, 0.5, "all components are zero", ha="center", fontsize=10)
        return
    shown = [shown[k] for k in spread(len(shown), _MOST_PARTS)]
    colors = colormaps["viridis"](np.linspace(0.0, 0.85, len(shown)))
    for (name, sizes), color in zip(shown, colors, strict=True):
        ranks = np.unique(np.geomspace(1, sizes.size, 200).astype(int))
        dashed, marker = "-" if name.endswith("kernel") else "--", "o" if ranks.size == 1 else ""
        label = literal(name, 22)
        axes.plot(ranks, sizes[ranks - 1], label=label, color=color, linestyle=dashed, marker=marker)
    largest = max(float(sizes[0]) for _, sizes in shown)
    smallest = max(min(float(np.quantile(sizes, 0.02)) for _, sizes in shown), largest * 1e-7)
    log_axis(axes, "x", 0.8, 1.4 * max(sizes.size for _, sizes in shown))
    axes.set(yscale="log", ylim=(smallest / 2, largest * 2), xlabel="rank", ylabel="size of the component")
    size = 7.5 if len(shown) <= 8 else 6
    columns = 1 if len(shown) <= 8 or max(len(name) for name, _ in shown) > 16 else 2
    box: Look = {"loc": "lower left", "frameon": True, "edgecolor": "none", "framealpha": 0.75}
    axes.legend(fontsize=size, ncols=columns, **box)


def _draw_largest(axes: Axes, components: Components) -> None:
    places = np.arange(len(components.names))[::-1]
    colors = [COLORS["true"] if value > 0 else COLORS["random"] for value in components.values]
    axes.barh(places, components.values, color=colors, height=0.7)
    axes.axvline(0, color=COLORS["reference"], linewidth=0.8)
    axes.set_yticks(places, [literal(name, 28) for name in components.names], fontsize=8)
    axes.set_xlabel("negative gradient")
    axes.locator_params(axis="x", nbins=4)
    axes.grid(visible=False, axis="y")


@panels(height=4.1, empty=_no_activations)
def slopes(landscape: Landscape, figure: Figure | SubFigure) -> list[str]:
    """Draw the decrease of the cost when only the hidden layers move, with their activations and with steps."""
    result = landscape.activations
    assert result is not None
    left, right = figure.subplots(1, 2, sharey=True)
    scale = _straight(result.along_gradient[:, 0], result.along_random[:, 0])
    for axes, kind, name in zip((left, right), (0, 1), (result.activation, "step"), strict=True):
        along, random = result.along_gradient[kind, 0], result.along_random[kind, 0]
        _draw_directions(axes, result.steps, along, random, scale)
        axes.set_title(f"{name}, hidden layers only")
    left.set_ylabel("decrease of the cost")
    nowhere = result.zero_share[1] == 1
    best = result.along_random[1, :, :, 2].max(axis=1)
    where = f"{int(nowhere.sum())} of {nowhere.size} fresh starts."
    if nowhere.all():
        where = f"all {nowhere.size} fresh starts: it points nowhere."
    down = (
        "Yet there is a way down: at both starts where it was sought, some random direction lowers the cost by "
        f"{_range(best)}."
    )
    return [
        "Decrease of the mean cost when only the hidden layers of a fresh start move; below zero the cost rises. "
        f"Lengths are shares of the length of their parameters. Band: all of {result.n_directions:,} random directions.",
        f"With steps the gradient is exactly zero in {where}",
        down if nowhere.all() and (best > 0).all() else "",
    ]


@panels(height=3.9, empty=_no_activations)
def activations(landscape: Landscape, figure: Figure | SubFigure) -> list[str]:
    """Draw cost and accuracy on the way, with the network's activations, with steps, and with the output only."""
    result = landscape.activations
    assert result is not None
    left, right = figure.subplots(1, 2)
    x = result.updates.astype(float)
    names = (result.activation, ""), ("step", ""), ("output only", result.activation)
    ends = []
    colors, accuracies = [_KIND_COLORS[kind] for kind in result.kinds], 100 * result.accuracy
    for color, cost, accuracy, (name, detail) in zip(colors, result.cost, accuracies, names, strict=True):
        band(left, x, cost, color)
        band(right, x, accuracy, color)
        known = accuracy[:, ~np.isnan(accuracy).all(axis=0)]
        ends.append(End(x[-1], float(np.nanmedian(known[:, -1])), name, color, detail=detail))
    # What runs off the top has lost more than a start could.
    left.set(ylabel="cost on training images", ylim=(0, 1.3 * np.nanmax(result.cost[:, :, 0])))
    right.set(ylabel="right test images, %", ylim=(0, 100))
    for axes in (left, right):
        axes.set_xlabel("updates")
        axes.locator_params(axis="x", integer=True)
    name_ends(figure, [right], [ends], size_of(figure)[1] - 1.4)
    kinds = (f"with {result.activation}", "with steps", "for the output only")
    rates = [f"{rate:g} {kind}" for rate, kind in zip(result.learning_rates, kinds, strict=True)]
    own_zero = result.zero_share[0].mean()
    return [
        f"{result.cost.shape[1]} fresh starts, each trained three times on the same minibatches; thick: median. Rates, "
        f"the best for the first start: {', '.join(rates)}.",
        f"With steps {result.zero_share[1].mean():.0%} of the hidden layers' gradient is exactly zero; with "
        f"{result.activation} {own_zero:.0%}{', as of inputs that are dark in all images' if own_zero else ''}.",
    ]


@panels(height=4.1, empty=_no_path)
def path(landscape: Landscape, figure: Figure | SubFigure) -> list[str]:
    """Draw the cost on the straight line from start to end, and the path on its plane."""
    result = landscape.path
    assert result is not None
    left, right = figure.subplots(1, 2)
    left.plot(result.line, result.line_cost, color=COLORS["true"])
    for at, name in ((0, "start"), (1, "end")):
        left.axvline(at, color=COLORS["untrained"], linewidth=0.8)
        left.text(at, 0.97, f" {name}", transform=left.get_xaxis_transform(), fontsize=9, va="top")
    left.set(xlabel="place on the straight line", ylabel="cost", ylim=(0, None))
    _draw_plane(right, result)
    shares = ", ".join(f"{share:.0%}" for share in result.explained)
    chance = ", ".join(f"{share:.0%}" for share in result.random_walk)
    rise = "never climbs above its ends" if result.rise == 0 else f"climbs {result.rise:.3g} above its ends"
    return [
        f"Left: the cost on the straight line from start to end {rise}. Right: {result.updates[-1]:,} updates at rate "
        f"{result.learning_rate:g}, on the first two principal components of the path; the cost of the plane in color.",
        f"They have {shares} of the path's variance; of a random walk with such steps {chance}.",
    ]


def _draw_plane(axes: Axes, result: TrainingPath) -> None:
    costs = np.where(np.isfinite(result.plane_cost), result.plane_cost, np.nan)
    _draw_costs([axes], *result.axes, costs[None])
    axes.plot(*result.projected.T, color="white", linewidth=2.6)
    axes.plot(*result.projected.T, color="#D55E00", linewidth=1.4)
    for index, name in ((0, "start"), (-1, "end")):
        x, y = result.projected[index]
        axes.plot(x, y, marker="o", color="#D55E00", markeredgecolor="white", markersize=6)
        style: Look = {"ha": "center", "va": "top", "fontsize": 9, "color": "black", "fontweight": "bold"}
        # The plane is dark at its bottom and bright at its top, and a label may lie on either.
        box = {"boxstyle": "round,pad=0.15", "facecolor": "white", "edgecolor": "none", "alpha": 0.85}
        beside(axes, name, (x, y), (0, -9), bbox=box, **style)
    axes.set(xlabel="first component", ylabel="second component")


def _draw_costs(cells: list[Axes], x: Floats, y: Floats, costs: Floats, **bar: Any) -> None:
    """Draw costs (n_cells, n_y, n_x) over planes, on one logarithmic scale with a color bar."""
    low = max(float(np.nanmin(costs)), 1e-6)
    high = max(float(np.nanmax(costs)), low * 1.01)
    look: Look = {"cmap": "cividis", "norm": LogNorm(low, high), "rasterized": True}
    for axes, values in zip(cells, costs, strict=True):
        drawn = axes.pcolormesh(x, y, values, shading="nearest", **look)
        axes.grid(visible=False)
    beside_all = cells if len(cells) > 1 else cells[0]
    log_bar(cells[0].figure.colorbar(drawn, ax=beside_all, label="cost", **bar), low, high)


@panels(height=6.4, empty=_no_surface)
def surface(landscape: Landscape, figure: Figure | SubFigure) -> list[str]:
    """Draw quantiles of the cost over planes around the network, and the cost along lines."""
    result = landscape.surface
    assert result is not None
    grid = figure.add_gridspec(2, 3, height_ratios=(1.0, 1.0))
    with np.errstate(invalid="ignore"):
        levels = middle_90(result.planes, axis=0)
    cells = [figure.add_subplot(grid[0, k]) for k in range(3)]
    n_planes = len(result.planes)
    for axes, name in zip(cells, ("5% quantile", "median", "95% quantile"), strict=True):
        axes.set_title(
            f"{name} of {n_planes} planes" if n_planes > 1 else "this plane", loc="center", fontsize=9
        )
        axes.set_aspect("equal")
        axes.set(xticks=[-1, 0, 1], yticks=[-1, 0, 1] if axes is cells[0] else [])
        axes.plot(0, 0, marker="+", color="white", markersize=9, markeredgewidth=1.5, zorder=3)
    _draw_costs(cells, result.coordinates, result.coordinates, levels, shrink=0.9)
    axes = figure.add_subplot(grid[1, :])
    finite = np.where(np.isfinite(result.lines), result.lines, np.nan)
    replicates(axes, result.line_coordinates, finite, COLORS["true"])
    axes.axhline(result.cost, color=COLORS["reference"], linewidth=0.8)
    axes.set_yscale("log")
    log_axis(axes, "y", *axes.get_ylim(), fewest=3)
    axes.set(xlabel="place along a random direction (1: each filter moved by its own length)", ylabel="cost")
    axes.set_xlim(-1, 1)
    return [
        f"Mean cost over {result.n_images:,} training images; + and the horizontal line are the network itself, "
        f"{result.cost:.3g}. Random directions in which each filter is as long as the network's; biases do not move.",
        f"Below: median and middle 90% of {len(result.lines)} lines; on {result.lowest_share:.0%} of them no point is "
        "lower than the network.",
    ]


PARTS = (steepness, descent, gradient, slopes, activations, path, surface)
