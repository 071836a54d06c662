"""Figures of `probe.analyses.classification`: the surest mistakes, what is taken for what, and calibration."""

from __future__ import annotations

from math import ceil
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure, SubFigure
from matplotlib.ticker import PercentFormatter

from probe._checks import Array
from probe.analyses.classification import Classification, JudgedImages
from probe.figures._axes import Look, log_axis, spread
from probe.figures._grid import Grid
from probe.figures._parts import one_panel, panels
from probe.figures._style import COLORS, WIDTH, cut, literal, note_inches, resize, text_width
from probe.figures._tiles import image_grid

__all__ = ["PARTS"]

_ABREAST = 10
"""Images side by side."""

_NUMBERS, _NAMES = 16, 32
"""Classes up to which each cell has its number, and each row its name."""

_CELLS = 200
"""Cells side by side: of more classes several share one."""

_SHORT = 4
"""Letters of a name, up to which two fit above an image."""

_SIDE = 5.0
"""Width of the matrix in inches, about."""

_NAME_INCHES = 1.1
"""Width of the name of a class beside the matrix."""


@panels()
def examples(result: Classification, figure: Figure | SubFigure) -> list[str]:
    """Draw the images with the surest mistakes, those with the least sure answers and those with the surest right ones."""
    groups = {
        f"The surest mistakes ({len(result.wrong.labels)} of {result.n_wrong:,})": result.wrong,
        "The least sure answers": result.least_sure,
        "The surest right answers": result.surest,
    }
    shown = {title: group for title, group in groups.items() if len(group.labels)}
    # Names that do not fit beside each other stand one above the other.
    break_at = "\n" if max(map(len, result.class_names)) > _SHORT else " "
    across, lines = WIDTH - 0.6, 2 + break_at.count("\n")
    grids = [
        Grid.of(len(group.labels), group.images.shape[1:3], lines, abreast=_ABREAST, across=across)
        for group in shown.values()
    ]
    notes = [
        "Above each: its class, what the network says where that is another class (after the arrow), and its confidence."
    ]
    heights = [grid.inches + 0.5 for grid in grids]
    resize(figure, sum(heights) + note_inches(notes))
    axes = np.ravel(figure.subplots(len(shown), 1, height_ratios=heights, squeeze=False))
    for (title, group), grid, each in zip(shown.items(), grids, axes, strict=True):
        _strip(each, result, group, grid, break_at)
        each.set_title(title, fontsize=9.5)
    return notes


def _strip(axes: Axes, result: Classification, group: JudgedImages, grid: Grid, break_at: str) -> None:
    names = [literal(name) for name in result.class_names]
    labels = [
        f"{names[label]}{f'{break_at}→ {names[named]}' if named != label else ''}\n{confidence:.1%}"
        for label, named, confidence in zip(
            group.labels.tolist(), group.predictions.tolist(), group.confidences.tolist(), strict=True
        )
    ]
    image_grid(axes, _visible(group.images), labels, grid, cmap="gray", limits=(0.0, 1.0))


def _visible(images: Array) -> Array:
    """Return images that can be drawn: of more channels than three, or of two, the mean over them."""
    return images if images.ndim != 4 or images.shape[-1] in (1, 3) else images.mean(axis=-1)


@one_panel(height=6.4)
def confusion(result: Classification, ax: Axes, cmap: str = "Blues", **style: Any) -> list[str]:
    """Draw which share of the images of each class is put in each class."""
    counts, n = result.confusion, len(result.class_names)
    totals = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, totals, out=np.zeros(counts.shape), where=totals > 0)
    together = ceil(n / _CELLS)
    for axis in (0, 1):
        shares = np.maximum.reduceat(shares, range(0, n, together), axis=axis)
    # Mistakes are rare beside what is right: the root makes them visible.
    look: Look = {"cmap": cmap, "norm": PowerNorm(0.5, 0, 1), "interpolation": "nearest"} | style
    image = ax.imshow(shares, extent=(-0.5, n - 0.5, n - 0.5, -0.5), **look)
    ax.grid(visible=False)
    ticks = spread(n, _NAMES)
    names = [cut(result.class_names[k], 8, _NAME_INCHES) for k in ticks]
    turned = max(text_width(name, 8) for name in names) > 0.9 * _SIDE / len(names)
    ax.set_xticks(ticks, names, fontsize=8, rotation=90 if turned else 0)
    ax.set_yticks(ticks, names, fontsize=8)
    ax.set(xlabel="class that the network names", ylabel="class")
    if n <= _NUMBERS:
        size = 8 if n > 6 else 10
        for row, column in np.argwhere(counts > 0).tolist():
            color = "white" if shares[row, column] > 0.4 else "#222222"
            number = f"{counts[row, column]:,}"
            ax.text(column, row, number, ha="center", va="center", color=color, fontsize=size)
    bar = ax.figure.colorbar(image, ax=ax, fraction=0.04, ticks=[0, 0.01, 0.05, 0.2, 0.5, 1])
    bar.ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    bar.set_label("share of the images of the class")
    return [
        f"Numbers: how many of {result.n_images:,} test images." * (n <= _NUMBERS),
        f"Each cell is the largest share of {together} by {together} pairs of classes." * (together > 1),
        f"Named: {len(ticks)} of {n:,} classes, evenly apart." * (len(ticks) < n),
    ]


@panels(height=5.2)
def reliability(result: Classification, figure: Figure | SubFigure) -> list[str]:
    """Draw how often the network is right against how sure it is, and how often it is how sure."""
    found = result.calibration
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    some = found.counts > 0
    middle = found.accuracies[some]
    errors = np.clip([middle - found.low[some], found.high[some] - middle], 0, None)
    above.plot([0, 1], [0, 1], color=COLORS["reference"], linestyle="--", linewidth=1)
    above.errorbar(
        found.confidences[some],
        middle,
        yerr=errors,
        fmt="o",
        color=COLORS["test"],
        ecolor=COLORS["test"],
        elinewidth=1.2,
        capsize=2.5,
        markersize=5,
    )
    above.set(xlim=(0, 1.01), ylim=(0, 1.02), ylabel="share that is right")
    edges = np.linspace(0, 1, len(found.counts) + 1)
    below.bar(edges[:-1], found.counts, width=np.diff(edges), align="edge", color=COLORS["test"], alpha=0.55)
    log_axis(below, "y", 0.8, 1.3 * float(found.counts.max()))
    below.set(xlabel="confidence", ylabel="images")
    return [
        "Dots: bins of confidence with their exact 95% intervals over images. On the dashed line confidence is the share "
        "that is right; below it the network is too sure.",
        f"Calibration error: {found.error:.3f}.",
    ]


PARTS = (examples, confusion, reliability)
