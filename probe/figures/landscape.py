"""Figures of `probe.landscape`: directions, components, step activations, the way down, and what is around."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from probe.analyses.landscape import Components, Landscape, TrainingPath
from probe.figures._parts import panels
from probe.figures._style import COLOURS, band, literal, log_axis, log_bar, replicates, spread

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

__all__ = ["PARTS"]

_KIND_COLOURS = {"own": COLOURS["true"], "step": COLOURS["random"], "output only": COLOURS["untrained"]}

_CMAP = "cividis"

_MOST_PARTS = 16
"""Arrays of parameters whose components are drawn: the first, the last, and some in between, evenly apart."""

Floats = npt.NDArray[np.float64]


def _no_activations(result: Landscape) -> str:
    return "" if result.activations else "no hidden layer has an activation"


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
        axes.set_title(title, loc="left")
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
    axes.fill_between(steps, low, high, color=COLOURS["noise"], alpha=0.35, linewidth=0)
    axes.plot(steps, middle, color=COLOURS["noise"], linewidth=1.5)
    axes.plot(steps, along, color=COLOURS["true"], marker="o", markersize=4)
    axes.axhline(0, color=COLOURS["reference"], linewidth=0.8)
    axes.set_yscale("symlog", linthresh=scale)
    log_axis(axes, "x", float(steps[0]) * 0.85, float(steps[-1]) * 1.2)
    axes.set_xlabel("length of the step")
    _label_symlog(axes)
    best = int(along.argmax())
    if not along.any():
        best = len(steps) // 2
    if along[best] > 0 or not along.any():
        axes.annotate(
            "negative gradient" if along.any() else "negative gradient: zero",
            (steps[best], along[best]),
            xytext=(0, 9),
            textcoords="offset points",
            ha="right" if best > len(steps) // 2 else "center",
            color=COLOURS["true"],
            fontsize=9,
        )
    axes.margins(y=0.22)
    axes.text(
        0.03,
        0.05,
        "random directions",
        transform=axes.transAxes,
        color="#9c4f7f",
        fontsize=9,
        va="bottom",
    )


def _label_symlog(axes: Axes) -> None:
    """Keep to three or four ticks with short numbers on an axis that is linear around zero."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    low, high = axes.get_ylim()
    decades = [10.0**k for k in range(-9, 6) if _threshold(axes) <= 10.0**k <= max(high, -low)]
    # The same sizes on both sides of zero, the greatest among them.
    sizes = decades[::-2] if len(decades) > 2 else decades
    ticks = [sign * size for sign in (-1, 1) for size in sizes if low <= sign * size <= high]
    axes.yaxis.set_major_locator(FixedLocator(sorted([0.0, *ticks])))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}".replace("-", "−")))
    axes.yaxis.set_minor_locator(NullLocator())


def _threshold(axes: Axes) -> float:
    return float(getattr(axes.yaxis.get_transform(), "linthresh", 0.0))


@panels(height=4.4)
def gradient(landscape: Landscape, figure: Figure | SubFigure) -> list[str]:
    """Draw the components of the gradient by size, and the largest by name."""
    left, right = figure.subplots(1, 2, width_ratios=(1.0, 1.15))
    trained = landscape.descent.components[0]
    _draw_sizes(left, trained)
    _draw_largest(right, trained)
    n_parts = len(trained.parts)
    few = f" Shown: {_MOST_PARTS} of {n_parts} arrays, evenly apart." if n_parts > _MOST_PARTS else ""
    most = ", ".join(
        f"{components.n_for_most:,} of {components.n_parameters:,} {where}"
        for components, where in zip(
            landscape.descent.components, ("in this network", "in a fresh start"), strict=False
        )
    )
    return [
        "Left: all components of this network's gradient, array by array. Right: the largest ones, with the sign in "
        f"which descent changes the weight.{few}",
        f"The fewest components that make 90% of the gradient's squared length: {most}.",
    ]


def _draw_sizes(axes: Axes, components: Components) -> None:
    from matplotlib import colormaps

    shown = [(name, sizes[sizes > 0]) for name, sizes in zip(components.parts, components.sizes, strict=True)]
    shown = [(name, sizes) for name, sizes in shown if sizes.size]
    if not shown:
        axes.text(0.5, 0.5, "all components are zero", transform=axes.transAxes, ha="center")
        return
    shown = [shown[place] for place in spread(len(shown), _MOST_PARTS)]
    colours = colormaps["viridis"](np.linspace(0.0, 0.85, len(shown)))
    for (name, sizes), colour in zip(shown, colours, strict=True):
        places = np.unique(np.geomspace(1, sizes.size, 200).astype(int)) - 1
        dashed = "--" if not name.endswith("kernel") else "-"
        marker = "o" if places.size == 1 else ""
        axes.plot(
            places + 1, sizes[places], color=colour, label=literal(name, 22), linestyle=dashed, marker=marker
        )
    largest = max(float(sizes[0]) for _, sizes in shown)
    smallest = max(min(float(np.quantile(sizes, 0.02)) for _, sizes in shown), largest * 1e-7)
    log_axis(axes, "x", 0.8, 1.4 * max(sizes.size for _, sizes in shown))
    axes.set_yscale("log")
    axes.set_ylim(smallest / 2, largest * 2)
    axes.set(xlabel="rank", ylabel="size of the component")
    axes.legend(
        fontsize=7.5 if len(shown) <= 8 else 6,
        edgecolor="none",
        framealpha=0.75,
        loc="lower left",
        ncols=1 if len(shown) <= 8 or max(len(name) for name, _ in shown) > 16 else 2,
    )


def _draw_largest(axes: Axes, components: Components) -> None:
    places = np.arange(len(components.names))[::-1]
    colours = [COLOURS["true"] if value > 0 else COLOURS["random"] for value in components.values]
    axes.barh(places, components.values, color=colours, height=0.7)
    axes.axvline(0, color=COLOURS["reference"], linewidth=0.8)
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
        _draw_directions(
            axes, result.steps, result.along_gradient[kind, 0], result.along_random[kind, 0], scale
        )
        axes.set_title(f"{name}, hidden layers only", loc="left")
    left.set_ylabel("decrease of the cost")
    nowhere = result.zero_share[1] == 1
    best = result.along_random[1, :, :, 2].max(axis=1)
    zero = (
        f"With steps the gradient is exactly zero in {int(nowhere.sum())} of {nowhere.size} fresh starts."
        if not nowhere.all()
        else f"With steps the gradient is exactly zero in all {nowhere.size} fresh starts: it points nowhere."
    )
    if nowhere.all() and (best > 0).all():
        zero += (
            " Yet there is a way down: at both starts where it was sought, some random direction lowers the cost by "
            f"{_range(best)}."
        )
    return [
        "Decrease of the mean cost when only the hidden layers of a fresh start move; below zero the cost rises. "
        f"Lengths are shares of the length of their parameters. Band: all of {result.n_directions:,} random directions.",
        zero,
    ]


@panels(height=3.9, empty=_no_activations)
def activations(landscape: Landscape, figure: Figure | SubFigure) -> list[str]:
    """Draw cost and accuracy on the way, with the network's activations, with steps, and with the output only."""
    result = landscape.activations
    assert result is not None
    left, right = figure.subplots(1, 2)
    names = {
        "own": result.activation,
        "step": "step",
        "output only": f"{result.activation},\noutput only",
    }
    x = result.updates.astype(float)
    left.set_ylabel("cost on training images")
    right.set_ylabel("right test images, %")
    for axes, values, top in ((left, result.cost, None), (right, 100 * result.accuracy, 100)):
        ends = []
        for kind, rows in zip(result.kinds, values, strict=True):
            band(axes, x, rows, _KIND_COLOURS[kind])
            known = rows[:, ~np.isnan(rows).all(axis=0)]
            ends.append((float(np.nanmedian(known[:, -1])), names[kind], _KIND_COLOURS[kind]))
        axes.set_xlabel("updates")
        axes.set_xlim(0, x[-1] * 1.42)
        axes.set_xticks([tick for tick in axes.get_xticks() if 0 <= tick <= x[-1]])
        # What runs off the top has lost more than a start could.
        axes.set_ylim(0, 1.3 * float(np.nanmax(values[:, :, 0])) if top is None else top)
        _label_ends(axes, x[-1], ends)
    kinds = (f"with {result.activation}", "with steps", "for the output only")
    rates = [f"{rate:g} {kind}" for rate, kind in zip(result.learning_rates, kinds, strict=True)]
    own_zero = result.zero_share[0].mean()
    return [
        f"{result.cost.shape[1]} fresh starts, each trained three times on the same minibatches; thick: median. Rates, "
        f"the best for the first start: {', '.join(rates)}.",
        f"With steps {result.zero_share[1].mean():.0%} of the hidden layers' gradient is exactly zero; with "
        f"{result.activation} {own_zero:.0%}{', as of inputs that are dark in all images' if own_zero else ''}.",
    ]


def _label_ends(axes: Axes, x: float, ends: list[tuple[float, str, str]]) -> None:
    """Write names beside the ends of curves, moved apart where they would lie over each other."""
    low, high = axes.get_ylim()
    ordered = sorted(ends)
    halves = [0.035 * (name.count("\n") + 1) * (high - low) for _, name, _ in ordered]
    places: list[float] = []
    for (value, _, _), half, below in zip(ordered, halves, [0.0, *halves], strict=False):
        places.append(max(value, places[-1] + below + half) if places else max(value, low + half))
    excess = max(0.0, places[-1] + halves[-1] - high)
    for (_, name, colour), place in zip(ordered, places, strict=True):
        # All together move down where the highest would leave the axes.
        axes.text(x * 1.03, place - excess, name, color=colour, fontsize=9, va="center", linespacing=1.0)


@panels(height=4.1)
def path(landscape: Landscape, figure: Figure | SubFigure) -> list[str]:
    """Draw the cost on the straight line from start to end, and the path on its plane."""
    result = landscape.path
    left, right = figure.subplots(1, 2)
    left.plot(result.line, result.line_cost, color=COLOURS["true"])
    left.axvline(0, color=COLOURS["untrained"], linewidth=0.8)
    left.axvline(1, color=COLOURS["untrained"], linewidth=0.8)
    for at, name in ((0, "start"), (1, "end")):
        left.text(at, 0.97, f" {name}", transform=left.get_xaxis_transform(), fontsize=9, va="top")
    left.set(xlabel="place on the straight line", ylabel="cost", ylim=(0, None))
    _draw_plane(right, result)
    shares = ", ".join(f"{share:.0%}" for share in result.explained)
    chance = ", ".join(f"{share:.0%}" for share in result.random_walk)
    rise = "never climbs above its ends" if result.rise == 0 else f"climbs {result.rise:.3g} above its ends"
    return [
        f"Left: the cost on the straight line from start to end {rise}. Right: {result.updates[-1]:,} updates at rate "
        f"{result.learning_rate:g}, on the first two principal components of the path; the cost of the plane in colour.",
        f"They have {shares} of the path's variance; of a random walk with such steps {chance}.",
    ]


def _draw_plane(axes: Axes, result: TrainingPath) -> None:
    from matplotlib.colors import LogNorm

    costs = np.where(np.isfinite(result.plane_cost), result.plane_cost, np.nan)
    low = max(float(np.nanmin(costs)), 1e-6)
    high = max(float(np.nanmax(costs)), low * 1.01)
    norm = LogNorm(low, high)
    drawn = axes.pcolormesh(*result.axes, costs, cmap=_CMAP, norm=norm, shading="nearest", rasterized=True)
    axes.plot(*result.projected.T, color="white", linewidth=2.6)
    axes.plot(*result.projected.T, color="#D55E00", linewidth=1.4)
    for place, name in ((0, "start"), (-1, "end")):
        x, y = result.projected[place]
        axes.plot(x, y, marker="o", color="#D55E00", markeredgecolor="white", markersize=6)
        axes.annotate(
            name,
            (x, y),
            xytext=(0, -7),
            textcoords="offset points",
            ha="center",
            va="top",
            fontsize=9,
            color="white",
            fontweight="bold",
        )
    axes.grid(visible=False)
    axes.set(xlabel="first component", ylabel="second component")
    log_bar(axes.figure.colorbar(drawn, ax=axes, label="cost"), low, high)


@panels(height=6.4)
def surface(landscape: Landscape, figure: Figure | SubFigure) -> list[str]:
    """Draw quantiles of the cost over planes around the network, and the cost along lines."""
    from matplotlib.colors import LogNorm

    result = landscape.surface
    grid = figure.add_gridspec(2, 3, height_ratios=(1.0, 1.0))
    with np.errstate(invalid="ignore"):
        levels = np.nanquantile(result.planes, [0.05, 0.5, 0.95], axis=0)
    low, high = max(float(np.nanmin(levels)), 1e-6), float(np.nanmax(levels))
    norm = LogNorm(low, max(high, low * 1.01))
    cells = [figure.add_subplot(grid[0, k]) for k in range(3)]
    names = ("5% quantile", "median", "95% quantile")
    if len(result.planes) == 1:
        names = ("this plane",) * 3
    for axes, values, name in zip(cells, levels, names, strict=True):
        drawn = axes.pcolormesh(
            result.coordinates,
            result.coordinates,
            values,
            cmap=_CMAP,
            norm=norm,
            shading="nearest",
            rasterized=True,
        )
        axes.set_title(
            f"{name} of {len(result.planes)} planes" if len(result.planes) > 1 else name, fontsize=9
        )
        axes.set_aspect("equal")
        axes.grid(visible=False)
        axes.set_xticks([-1, 0, 1])
        axes.set_yticks([-1, 0, 1] if axes is cells[0] else [])
        axes.plot(0, 0, marker="+", color="white", markersize=9, markeredgewidth=1.5)
    log_bar(figure.colorbar(drawn, ax=cells, label="cost", shrink=0.9), low, high)
    axes = figure.add_subplot(grid[1, :])
    finite = np.where(np.isfinite(result.lines), result.lines, np.nan)
    replicates(axes, result.line_coordinates, finite, COLOURS["true"])
    axes.axhline(result.cost, color=COLOURS["reference"], linewidth=0.8)
    axes.set_yscale("log")
    low, high = axes.get_ylim()
    log_axis(axes, "y", low, high, fewest=3)
    axes.set(xlabel="place along a random direction (1: each filter moved by its own length)", ylabel="cost")
    axes.set_xlim(-1, 1)
    return [
        f"Mean cost over {result.n_images:,} training images; + and the horizontal line are the network itself, "
        f"{result.cost:.3g}. Random directions in which each filter is as long as the network's; biases do not move.",
        f"Below: median and middle 90% of {len(result.lines)} lines; on {result.lowest_share:.0%} of them no point is "
        "lower than the network.",
    ]


PARTS = (descent, gradient, slopes, activations, path, surface)
