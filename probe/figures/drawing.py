"""Figure of `probe.analyses.drawing`: what the network draws, what it is nearest to, and where it stands among images."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from probe.analyses.drawing import JUDGES, MEASURES, Drawing
from probe.figures._grid import check_drawable, lone
from probe.figures._parts import panels
from probe.figures._style import COLOURS, literal

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

__all__ = ["PARTS"]

_SHOWN = 10
"""Classes side by side, at most."""

_COLOURS = {
    "optimized": COLOURS["optimum"],
    "real": COLOURS["real"],
    "class means": COLOURS["test"],
    "noise": COLOURS["noise"],
    "shuffled": COLOURS["random"],
}

_TITLES = {
    "nearest": "distance to the\nnearest training image",
    "residual": "left over by\nprincipal components",
    "ink": "ink",
    "total_variation": "total variation",
}


@panels(7.6)
def drawing(result: Drawing, figure: Figure | SubFigure) -> list[str]:
    """Draw each class's best image, where all images stand among held-out ones, and what the judges see.

    Raises
    ------
    InputError
        If the images cannot be drawn.
    """
    check_drawable(result.nearest)
    n_classes = len(result.class_names)
    n_shown = min(_SHOWN, n_classes)
    above, middle, below = figure.subfigures(3, 1, height_ratios=[3.1, 2.4, 1.9])  # type: ignore[misc]
    _images(above, result, n_shown)
    axes = middle.subplots(1, len(MEASURES), sharey=True)
    for column, measure in enumerate(MEASURES):
        _percentiles(axes[column], result, column)
        axes[column].set_title(_TITLES[measure], loc="left", fontsize=9)
    middle.supxlabel("percentile among held-out images", fontsize=9)
    _judges(below.subplots(), result)
    return [
        f"Under each drawing: what {', '.join(_judges_of(result))} see. Dots: median; bars: middle 90% of the images of a "
        "kind. Dashed: chance.",
        "" if n_shown == n_classes else f"The first {n_shown} of {n_classes:,} classes.",
    ]


PARTS = (drawing,)


def _judges_of(result: Drawing) -> list[str]:
    absent = np.isnan(result.kinds[0].agreement)
    names = [name for name, missing in zip(JUDGES, absent, strict=True) if not missing]
    return [*names[:-1], "most " * (names[-1] == JUDGES[2]) + names[-1]]


def _images(figure: SubFigure, result: Drawing, n_shown: int) -> None:
    drawn = result.kind("optimized")
    means = result.kind("class means").images
    axes = figure.subplots(3, n_shown, squeeze=False)
    for k in range(n_shown):
        index = result.best_indices[k]
        seen = [result.class_names[judge] if judge >= 0 else "–" for judge in drawn.judged[:, index].tolist()]
        for row, image in enumerate((drawn.images[index], result.nearest[k], means[min(k, len(means) - 1)])):
            panel: Axes = axes[row, k]
            panel.imshow(lone(image[None])[0], cmap="gray", vmin=0, vmax=1, interpolation="nearest")
            panel.set_xticks([])
            panel.set_yticks([])
            panel.grid(visible=False)
        axes[0, k].set_title(literal(result.class_names[k], 9), fontsize=9)
        axes[0, k].set_xlabel(literal("/".join(seen), 9), fontsize=8)
        axes[1, k].set_xlabel(literal(result.class_names[result.nearest_classes[k]], 9), fontsize=8)
    for row, name in enumerate(("drawn", "nearest", "mean")):
        axes[row, 0].set_ylabel(name, fontsize=9)


def _percentiles(axes: Axes, result: Drawing, column: int) -> None:
    for row, kind in enumerate(result.kinds):
        low, middle, high = np.quantile(kind.percentiles[:, column], [0.05, 0.5, 0.95])
        colour = _COLOURS[kind.name]
        axes.plot([low, high], [row, row], color=colour, linewidth=5, alpha=0.45, solid_capstyle="butt")
        dot = {"marker": "o", "markersize": 6, "markeredgecolor": "white"}
        axes.plot([middle], [row], color=colour, clip_on=False, zorder=3, **dot)  # type: ignore[arg-type]
    axes.set_yticks(range(len(result.kinds)), [kind.label for kind in result.kinds])
    axes.set_ylim(len(result.kinds) - 0.5, -0.5)
    axes.set_xlim(0, 1)
    axes.set_xticks([0, 0.5, 1], ["0", "½", "1"])
    axes.grid(visible=False, axis="y")


def _judges(axes: Axes, result: Drawing) -> None:
    """Draw in how many images of each kind the judges see what was intended."""
    width = 0.25
    for index, (judge, hatch) in enumerate(zip(JUDGES, ("", "///", "..."), strict=True)):
        shares = np.array([kind.agreement[index] for kind in result.kinds])
        if np.isnan(shares).all():
            continue
        axes.bar(
            np.arange(len(shares)) + (index - 1) * width,
            shares,
            width * 0.92,
            color=[_COLOURS[kind.name] for kind in result.kinds],
            alpha=0.75,
            hatch=hatch,
            edgecolor="white",
            label=judge,
        )
    chance = 1 / len(result.class_names)
    axes.axhline(chance, color=COLOURS["reference"], linewidth=1, linestyle="--")
    axes.set_xticks(range(len(result.kinds)), [kind.label for kind in result.kinds])
    axes.set_ylim(0, 1)
    axes.set_ylabel("judged as\nintended")
    axes.grid(visible=False, axis="x")
    legend = axes.legend(
        loc="lower right", bbox_to_anchor=(1, 1), fontsize=8, frameon=False, ncols=len(JUDGES), borderpad=0.1
    )
    for handle in legend.legend_handles:
        handle.set_facecolor("#888888")  # type: ignore[union-attr]
