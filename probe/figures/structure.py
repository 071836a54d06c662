"""Figures of `probe.analyses.structure`: the weight images with their numbers, and the statistics beside the nulls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from probe.analyses.structure import LABELS, NULLS, WeightStructure
from probe.figures._grid import (
    Page,
    by_channel,
    check_channels_last,
    check_drawable,
    framed,
    image_grid,
    lengths,
)
from probe.figures._parts import one_panel, panels
from probe.figures._scale import ColorScale
from probe.figures._style import COLOURS, literal, resize

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

__all__ = ["PARTS"]

_MOST_IN_PAIRS = 200
"""Units, for both numbers to stand in one line."""

_READING = {
    "moran": " (0: speckle, 1: smooth)",
    "total_variation": " (1: speckle)",
    "spectral_slope": " (0: speckle)",
}
"""What the values of a statistic mean, after its name."""

_COLOURS = {
    "initialization": COLOURS["untrained"],
    "random-label": COLOURS["random"],
    "gaussian": COLOURS["noise"],
    "data-span": COLOURS["test"],
}
"""Of the nulls, in the order of their bars."""


@one_panel()
def units(result: WeightStructure, ax: Axes, cmap: str = "RdBu_r", **style: Any) -> list[str]:
    """Draw the weight images, each with Moran's I, the best Gabor fit, and the nulls that it stands out from."""
    from matplotlib.patches import Rectangle

    moran, gabor = (result.values[:, result.statistics.index(name)] for name in ("moran", "gabor"))
    if result.kind != "kernels":
        check_channels_last(result.images)
    mask = result.active if result.images.ndim == 3 else result.active[..., None]
    tiles, n_planes = by_channel(np.where(mask, result.images, 0))
    check_drawable(tiles)
    height, width = tiles.shape[1:3]
    # Small images have room for one number in a line.
    between = "\n" if len(tiles) > _MOST_IN_PAIRS else " "
    lines = 4 if between == "\n" else 3
    page = Page.of(lengths(tiles).reshape(-1, n_planes), (height, width), lines if n_planes == 1 else 2)
    colors, grid, shown = ColorScale.of(tiles), page.grid, page.images
    heads = [
        f"{literal(result.unit_names[k])}\nI {_short(moran[k])}{between}G {_short(gabor[k])}\n{_beyond(result, k)}"
        for k in page.units.tolist()
    ]
    labels, headings = heads, list[str]()
    if n_planes > 1:
        labels = [str(channel) for channel in page.planes.ravel().tolist()]
        headings = [head.replace("\n", " ") for head in heads]
    active = result.active if tiles.ndim == 3 else result.active[..., None]
    resize(ax, grid.inches + 1.35)
    drawn = image_grid(
        ax,
        np.where(active, tiles[shown], np.nan),
        labels,
        grid,
        cmap=cmap,
        limits=(-colors.limit, colors.limit),
        headings=headings,
        **style,
    )
    framed(ax, grid, np.flatnonzero(colors.clipped[shown]).tolist(), apart=0.4)
    if not result.active.all():
        for k in range(len(shown)):
            top, left = grid.corner(k)
            hatched = Rectangle((left - 0.5, top - 0.5), grid.width, grid.height, hatch="//////", zorder=-1)
            hatched.set(facecolor="#f4f4f4", edgecolor="#bbbbbb", linewidth=0)
            ax.add_patch(hatched)
    if not (tiles.ndim == 4 and tiles.shape[-1] == 3):
        colors.bar(ax, drawn)
    left_out = page.words("units", "the largest weights (root of the summed squares)")
    key = ", ".join(f"{NULLS[null.name].letter}: {NULLS[null.name].label}" for null in result.nulls)
    return [
        f"Layer '{literal(result.layer)}'. I: Moran's I. G: best Gabor fit, R². Letters: more structure, at a "
        f"false discovery rate of {result.alpha:.0%}, than {key}.",
        f"Shown: {left_out}." if left_out else "",
        colors.words("images" if n_planes > 1 else "units"),
        "" if result.active.all() else "Hatched: pixels that are the same in all training images.",
    ]


@panels(height=6.4)
def statistics(result: WeightStructure, figure: Figure | SubFigure) -> list[str]:
    """Draw each statistic of every unit, above bars of the nulls and of the positive controls."""
    grid = figure.subplots(3, 2).ravel()
    known = {null.name for null in result.nulls}
    nulls = [name for name in _COLOURS if name in known]
    names = ["this network", *(NULLS[name].label for name in nulls), "planted Gabor units"]
    for column, (axes, statistic) in enumerate(zip(grid, result.statistics, strict=False)):
        rows = [(result.null(name).values[:, column], _COLOURS[name]) for name in nulls]
        rows.append((result.control_values[:, column], COLOURS["optimum"]))
        _panel(axes, result.values[:, column], rows)
        axes.set_title(f"{LABELS[statistic]}{_READING.get(statistic, '')}", loc="left")
        axes.set_yticks(range(len(names)), names if column % 2 == 0 else [""] * len(names))
    grid[-1].set_axis_off()
    return [
        f"Dots: the {len(result.values)} units of layer '{literal(result.layer)}'. Bars: the middle 90% of each "
        "null, with its median. Planted: Gabor functions with a fifth of noise, which the test has to find."
    ]


PARTS = (units, statistics)


def _panel(axes: Axes, units: np.ndarray, rows: list[tuple[np.ndarray, str]]) -> None:
    known = units[np.isfinite(units)]
    axes.use_sticky_edges = False
    # A little apart, always in the same way, so that dots on one another can be told.
    heights = (np.arange(len(known)) % 5 - 2) * 0.11
    axes.scatter(known, heights, s=16, color=COLOURS["real"], edgecolor="white", linewidth=0.4, zorder=3)
    for place, (values, colour) in enumerate(rows, start=1):
        low, middle, high = np.nanquantile(values, [0.05, 0.5, 0.95])
        axes.barh(place, high - low, left=low, height=0.5, color=colour, alpha=0.55)
        axes.plot([middle, middle], [place - 0.25, place + 0.25], color=colour, linewidth=2)
    axes.set_ylim(len(rows) + 0.6, -0.6)
    axes.grid(visible=False, axis="y")


def _beyond(result: WeightStructure, unit: int) -> str:
    """Return the letters of the nulls that a unit has more structure than."""
    found = [NULLS[null.name].letter for null in result.nulls if null.q_values[unit] <= result.alpha]
    return " ".join(found) if found else "–"


def _short(value: float) -> str:
    return "–" if np.isnan(value) else f"{value:.2f}".replace("0.", ".", 1)
