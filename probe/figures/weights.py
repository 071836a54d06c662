"""Figures of weights as images: of `probe.analyses.weights`, `.paths` and `.structure`, in diverging colors around zero."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.patches import Rectangle

from probe.analyses.paths import ExpandedWeights
from probe.analyses.structure import EDGE_SHARE, LABELS, NULLS, WeightStructure
from probe.analyses.weights import WeightImages
from probe.figures._axes import half_ticks, log_axis, middle_90, write
from probe.figures._grid import INCHES, Grid, Page, by_channel, check_channels_last, check_drawable
from probe.figures._parts import one_panel, panels
from probe.figures._style import COLORS, literal, note_inches, resize
from probe.figures._tiles import SCALES, ColorScale, signed_grid
from probe.stats import Verdict

__all__ = ["PARTS", "SCALES", "page_of", "scale_of", "words"]

_WHAT = {
    "weights": "weight into each unit of '{}'",
    "expanded": "expanded weight (product of the kernels down to the pixels) into each unit of '{}'",
    "kernels": "weight of each filter of '{}'",
    "maps": "weight into each unit of '{}', on the feature maps that it reads",
}

_MOST_IN_PAIRS = 200
"""Units, for both numbers to stand in one line."""

_READING = {
    "moran": " (0: speckle, 1: smooth)",
    "total_variation": " (1: speckle)",
    "spectral_slope": " (0: speckle)",
}
"""What the values of a statistic mean, after its name."""

_NULL_COLORS = {"initialization": COLORS["untrained"], "data-span": COLORS["test"]}
"""In the order of their bars."""


@one_panel()
def images(
    result: WeightImages, ax: Axes, scale: str | None = None, cmap: str = "RdBu_r", **style: Any
) -> list[str]:
    """Draw the images as tiles, on one of the `SCALES`; "robust" without where "shared" leaves most of them blank."""
    check_drawable(result.images)
    colors, page = scale_of(result, scale), page_of(result)
    names, planes = [literal(name) for name in result.unit_names], result.planes
    labels = [str(index % planes) if planes > 1 else names[index] for index in page.images.tolist()]
    divisors = colors.divisors[page.images].reshape(-1, *[1] * (result.images.ndim - 1))
    notes = [words(result, scale)]
    resize(ax, page.grid.inches + 0.75 + note_inches(notes))
    what = _WHAT[result.kind].format(literal(result.layer))
    full = "its largest absolute weight" if colors.kind == "unit" else f"±{colors.limit:.3g}"
    signed_grid(
        ax,
        result.images[page.images] / divisors,
        labels,
        page,
        colors,
        headings=[names[unit] for unit in page.units.tolist()] if planes > 1 else (),
        cmap=cmap,
        what=what,
        fraction=0.04,
        title=f"{what} from red, green and blue;\ngray is zero, full color {full}",
        **style,
    )
    return notes


def scale_of(result: WeightImages, scale: str | None = None) -> ColorScale:
    """Return the scale that the picture uses."""
    return ColorScale.of(result.images, scale, per_unit=result.planes)


def page_of(result: WeightImages) -> Page:
    """Return which images the picture shows, and where."""
    return Page.of_weights(result.images, 2 if result.planes > 1 else 1, n_planes=result.planes)


def words(result: WeightImages, scale: str | None = None) -> str:
    """Return what the colors mean and which units are shown, in sentences."""
    units = "filters" if result.kind == "kernels" else "units"
    shown = page_of(result).note(units, "the largest weights (root of the summed squares)")
    above = f"Above the images: the {units[:-1]}, and the channel that it reads." if result.planes > 1 else ""
    images = f"images, one for each {units[:-1]} and channel," if result.planes > 1 else units
    colors = scale_of(result, scale).words(images)
    return " ".join(part for part in (shown, above, colors) if part)


@panels()
def paths(result: ExpandedWeights, figure: Figure | SubFigure) -> list[str]:
    """Draw expanded weights above, and the mean Jacobian of the same units below."""
    check_drawable(result.expanded)
    page = Page.of_weights(result.expanded, 2, inches=(INCHES - 1.5) / 2)
    names = {unit: literal(result.unit_names[unit]) for unit in page.units.tolist()}
    above = [f"{name}\n{_number(result.cancellation[k], '.0%', 'no path')}" for k, name in names.items()]
    below = [f"{name}\n{_number(result.similarity[k], '.2f', 'all zero')}" for k, name in names.items()]
    resize(figure, 2 * (page.grid.inches + 0.8) + 0.8)
    scales = []
    for where, axes, images, labels, what in zip(
        ("Above", "Below"),
        figure.subplots(2, 1),
        (result.expanded, result.jacobian),
        (above, below),
        (
            f"expanded weights of '{literal(result.layer)}'",
            f"mean Jacobian over {result.n_images:,} images",
        ),
        strict=True,
    ):
        colors = ColorScale.of(images)
        signed_grid(
            axes,
            images[page.units],
            labels,
            page,
            colors,
            what=f"{what}; one scale for all",
            fraction=0.06,
            title=f"{what}; gray is zero, full color ±{colors.limit:.3g}",
        )
        scales.append(f"{where}: {colors.words('units')}" if colors.n_faint else "")
    chance, varied = result.mean_chance_cancellation, result.mean_variation
    random = "" if np.isnan(chance) else f" (with the signs of all weights drawn at random: {chance:.0%})"
    return [
        f"Above: under each unit's name, how much of its sum over paths cancels{random}.",
        "Below: the cosine between the two pictures.",
        "" if np.isnan(varied) else f"Averaging takes away {varied:.0%} of the single images' Jacobians.",
        page.note("units", "the largest expanded weights (root of the summed squares)"),
        *scales,
    ]


def _number(value: float, spec: str, none: str) -> str:
    return none if np.isnan(value) else format(value, spec)


@one_panel()
def units(result: WeightStructure, ax: Axes, cmap: str = "RdBu_r", **style: Any) -> list[str]:
    """Draw the weight images, each with Moran's I, the best Gabor fit, and the nulls that it stands out from."""
    if result.kind != "kernels":
        check_channels_last(result.images)
    mask = result.active if result.images.ndim == 3 else result.active[..., None]
    tiles, n_planes = by_channel(np.where(mask, result.images, 0))
    check_drawable(tiles)
    # Small images have room for one number in a line.
    between = "\n" if len(tiles) > _MOST_IN_PAIRS else " "
    lines = 4 if between == "\n" else 3
    page = Page.of_weights(tiles, lines if n_planes == 1 else 2, n_planes=n_planes)
    colors = ColorScale.of(tiles)
    labels, headings = [_head(result, unit, between) for unit in page.units.tolist()], list[str]()
    if n_planes > 1:
        headings = [label.replace("\n", " ") for label in labels]
        labels = [str(channel) for channel in page.planes.ravel().tolist()]
    active = result.active if tiles.ndim == 3 else result.active[..., None]
    resize(ax, page.grid.inches + 1.35)
    drawn = np.where(active, tiles[page.images], np.nan)
    signed_grid(ax, drawn, labels, page, colors, headings=headings, cmap=cmap, **style)
    if not result.active.all():
        _hatch(ax, page.grid)
    key = ", ".join(f"{NULLS[null.name].letter}: {NULLS[null.name].label}" for null in result.nulls)
    return [
        f"Layer '{literal(result.layer)}'. I: Moran's I. G: best Gabor fit, R². Letters: more structure, at a "
        f"false discovery rate of {result.alpha:.0%}, than {key}.",
        page.note("units", "the largest weights (root of the summed squares)"),
        colors.words("images" if n_planes > 1 else "units"),
        "" if result.active.all() else "Hatched: pixels that are the same in all training images.",
    ]


def _head(result: WeightStructure, unit: int, between: str) -> str:
    """Return the name of a unit, its numbers, and the letters of the nulls that it has more structure than."""
    numbers = between.join(
        f"{letter} {_number(value, '.2f', '–').replace('0.', '.', 1)}"
        for letter, value in (
            ("I", result.values[unit, result.statistics.index("moran")]),
            ("G", result.values[unit, result.statistics.index("gabor")]),
        )
    )
    beyond = [NULLS[null.name].letter for null in result.nulls if null.q_values[unit] <= result.alpha]
    return f"{literal(result.unit_names[unit])}\n{numbers}\n{' '.join(beyond) or '–'}"


def _hatch(axes: Axes, grid: Grid) -> None:
    """Draw hatches behind all tiles, seen where these have no color."""
    for k in range(grid.n):
        top, left = grid.corner(k)
        hatched = Rectangle((left - 0.5, top - 0.5), grid.width, grid.height, hatch="//////", zorder=-1)
        hatched.set(facecolor="#f4f4f4", edgecolor="#bbbbbb", linewidth=0)
        axes.add_patch(hatched)


@panels(height=4.4)
def shares(result: WeightStructure, figure: Figure | SubFigure) -> list[str]:
    """Draw what makes each unit count for "random" and "edges", and beside it the share of units that decides."""
    grid = figure.subplots(2, 2, width_ratios=(3, 2))
    p_values, lowest = result.null("data-span").p_values, 1e-3
    random, edges = result.verdict("random"), result.verdict("edges")
    _counted(grid[0, 0], np.maximum(p_values, lowest), p_values <= result.alpha, result.alpha)
    log_axis(grid[0, 0], "x", lowest / 1.4, 1.4)
    grid[0, 0].set_xlabel(
        f"p-value against {NULLS['data-span'].label}; left of {result.alpha:g}: more structure"
    )
    _counted(grid[1, 0], result.gabor_fits, result.is_edge, EDGE_SHARE)
    grid[1, 0].set(xlim=(-0.03, 1.03), xlabel="R² of the best Gabor function; from ⅔ on: may be an edge")
    for axes, verdict, what in zip(
        grid[:, 1], (random, edges), ("more structure", "edge detectors"), strict=True
    ):
        _share(axes, verdict)
        axes.set_xlabel(f"share of units: {what}")
    missed = ((result.gabor_fits >= EDGE_SHARE) & ~result.is_edge).any()
    return [
        f"Left: the {result.n_units} units of layer '{literal(result.layer)}'; filled ones count.",
        "From ⅔ on, a unit that is not filled is fitted as well by a blob, or no better than chance is."
        * bool(missed),
        "Right: their share with its exact 95% interval, and the line at half of the units that decides.",
        "Small dots: networks trained like it." * (random.agreement is not None),
    ]


def _counted(axes: Axes, values: np.ndarray, counts: np.ndarray, limit: float) -> None:
    """Draw a dot for each unit, filled where it counts, and the limit that it has to pass."""
    heights = _apart(len(values))
    color = COLORS["real"]
    for hits, face in ((~counts, "white"), (counts, color)):
        axes.scatter(
            values[hits], heights[hits], s=26, facecolor=face, edgecolor=color, linewidth=1, zorder=3
        )
    axes.axvline(limit, color=COLORS["reference"], linestyle="--", linewidth=1.2)
    axes.set(ylim=(-0.6, 0.6), yticks=[])


def _share(axes: Axes, verdict: Verdict) -> None:
    """Draw a share of units with its interval and the threshold, and below it those of networks trained like this one."""
    low, high, middle = verdict.interval.low, verdict.interval.high, verdict.statistic
    axes.plot([low, high], [0.25, 0.25], color=COLORS["real"], linewidth=2)
    axes.plot([middle], [0.25], "o", color=COLORS["real"], markersize=7, markeredgecolor="white")
    if verdict.agreement is not None:
        others = np.sort(verdict.agreement.statistics)
        # Equal ones stand on one another.
        above = np.arange(len(others)) - np.searchsorted(others, others)
        heights = -0.5 + 0.5 * above / max(5, above.max())
        axes.scatter(others, heights, s=10, color=COLORS["untrained"], linewidth=0)
    axes.axvline(verdict.threshold, color=COLORS["reference"], linestyle="--", linewidth=1.2)
    axes.set(xlim=(-0.03, 1.03), ylim=(-0.6, 0.6), yticks=[])
    half_ticks(axes)
    write(axes, 0.98, 0.97, verdict.decision, ha="right", va="top")


def _apart(n: int) -> np.ndarray:
    """Return heights for `n` dots, a little apart and always in the same way, so that dots on one another can be told."""
    return (np.arange(n) % 5 - 2) * 0.11


@panels(height=5.4)
def statistics(result: WeightStructure, figure: Figure | SubFigure) -> list[str]:
    """Draw each statistic of every unit, above bars of the nulls and of the positive controls."""
    grid = figure.subplots(3, 2).ravel()
    known = {null.name for null in result.nulls}
    nulls = [name for name in _NULL_COLORS if name in known]
    names = ["this network", *(NULLS[name].label for name in nulls), "planted Gabor units"]
    for column, (axes, statistic) in enumerate(zip(grid, result.statistics, strict=False)):
        rows = [(result.null(name).values[:, column], _NULL_COLORS[name]) for name in nulls]
        rows.append((result.control_values[:, column], COLORS["optimum"]))
        _statistic(axes, result.values[:, column], rows)
        axes.set_title(f"{LABELS[statistic]}{_READING.get(statistic, '')}")
        axes.set_yticks(range(len(names)), names if column % 2 == 0 else [""] * len(names))
    grid[-1].set_axis_off()
    return [
        f"Dots: the {len(result.values)} units of layer '{literal(result.layer)}'. Bars: the middle 90% of each "
        "null, with its median. Planted: Gabor functions beside a fifth of chance, which the tests have to find."
    ]


def _statistic(axes: Axes, units: np.ndarray, rows: list[tuple[np.ndarray, str]]) -> None:
    known = units[np.isfinite(units)]
    axes.use_sticky_edges = False
    axes.scatter(
        known, _apart(len(known)), s=16, color=COLORS["real"], edgecolor="white", linewidth=0.4, zorder=3
    )
    for row, (values, color) in enumerate(rows, start=1):
        low, middle, high = middle_90(values)
        axes.barh(row, high - low, left=low, height=0.5, color=color, alpha=0.55)
        axes.plot([middle, middle], [row - 0.25, row + 0.25], color=color, linewidth=2)
    axes.set_ylim(len(rows) + 0.6, -0.6)
    axes.grid(visible=False, axis="y")


PARTS = (images, paths, units, shares, statistics)
