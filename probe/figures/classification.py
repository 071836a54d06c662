"""Figures of `probe.analyses.classification`: the surest mistakes, what is taken for what, and how far confidence is right."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure, SubFigure
from matplotlib.ticker import PercentFormatter

from probe._checks import Array
from probe.analyses.classification import Classification, JudgedImages
from probe.figures._axes import spread
from probe.figures._grid import Grid
from probe.figures._parts import one_panel, panels
from probe.figures._style import COLORS, WIDTH, cut, note_inches, resize
from probe.figures._tiles import image_grid

__all__ = ["PARTS"]

_ABREAST = 10
"""Images side by side."""

_NUMBERS, _NAMES = 16, 32
"""Classes up to which each cell has its number, and each row its name."""

_NAME_INCHES = 1.1
"""Width of the name of a class beside the matrix."""


@panels()
def examples(result: Classification, figure: Figure | SubFigure) -> list[str]:
    """Draw the images with the surest mistakes, those with the least sure answers and those with the surest right ones."""
    groups = {
        f"wrong, and the surest of it ({len(result.wrong.labels)} of {result.n_wrong:,})": result.wrong,
        "least sure, right or wrong": result.least_sure,
        "right, and the surest of it": result.surest,
    }
    shown = {title: group for title, group in groups.items() if len(group.labels)}
    across = WIDTH - 0.6
    grids = [
        Grid.of(len(group.labels), group.images.shape[1:3], 2, abreast=_ABREAST, across=across)
        for group in shown.values()
    ]
    notes = [
        "Above each: its class, what the network says where that is another class (after the arrow), and its confidence."
    ]
    heights = [grid.inches + 0.4 for grid in grids]
    resize(figure, sum(heights) + note_inches(notes))
    axes = np.ravel(figure.subplots(len(shown), 1, height_ratios=heights, squeeze=False))
    for (title, group), grid, each in zip(shown.items(), grids, axes, strict=True):
        _strip(each, result, group, grid)
        each.set_title(title, fontsize=9.5)
    return notes


def _strip(axes: Axes, result: Classification, group: JudgedImages, grid: Grid) -> None:
    names = result.class_names
    labels = [
        f"{names[label]}{f' → {names[named]}' if named != label else ''}\n{confidence:.0%}"
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
    # Mistakes are rare beside what is right: the root makes them visible.
    look = {"cmap": cmap, "norm": PowerNorm(0.5, 0, 1), "interpolation": "nearest"} | style
    image = ax.imshow(shares, **look)
    ax.grid(visible=False)
    ticks = spread(n, _NAMES)
    names = [cut(result.class_names[k], 8, _NAME_INCHES) for k in ticks]
    turned = n > 10 or any(len(name) > 3 for name in names)
    ax.set_xticks(ticks, names, fontsize=8, rotation=90 if turned else 0)
    ax.set_yticks(ticks, names, fontsize=8)
    ax.set(xlabel="class that the network names", ylabel="class")
    if n <= _NUMBERS:
        for row, column in np.argwhere(counts > 0).tolist():
            color = "white" if shares[row, column] > 0.4 else "#222222"
            ax.text(
                column,
                row,
                f"{counts[row, column]:,}",
                ha="center",
                va="center",
                color=color,
                fontsize=8 if n > 6 else 10,
            )
    bar = ax.figure.colorbar(image, ax=ax, fraction=0.04, ticks=[0, 0.01, 0.05, 0.2, 0.5, 1])
    bar.ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    bar.set_label("share of the images of the class")
    return [
        f"Numbers: how many of {result.n_images:,} test images." * (n <= _NUMBERS),
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
    above.text(0.02, 0.97, "surer than it should be:\nbelow the dashed line", va="top", fontsize=9)
    edges = np.linspace(0, 1, len(found.counts) + 1)
    below.bar(edges[:-1], found.counts, width=np.diff(edges), align="edge", color=COLORS["test"], alpha=0.55)
    below.set(xlabel="confidence", ylabel="images")
    return [
        "Dots: bins of confidence with their exact 95% intervals over images. On the dashed line confidence is the share "
        "that is right.",
        f"Calibration error: {found.error:.3f}.",
    ]


PARTS = (examples, confusion, reliability)
