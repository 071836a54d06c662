"""Figure of `probe.analyses.drawing`: what the network draws, what it is nearest to, and where it stands among images."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from probe.analyses.drawing import JUDGES, MEASURES, Drawing
from probe.figures._axes import Look, half_ticks, middle_90
from probe.figures._grid import check_drawable, lone
from probe.figures._parts import panels
from probe.figures._style import COLORS, literal

__all__ = ["PARTS"]

_SHOWN = 10
"""Classes side by side, at most."""

_COLORS = {
    "optimized": COLORS["optimum"],
    "real": COLORS["real"],
    "class means": COLORS["test"],
    "noise": COLORS["noise"],
    "shuffled": COLORS["random"],
}

_TITLES = {
    "nearest": "distance to the\nnearest training image",
    "residual": "left over by\nprincipal components",
    "ink": "ink",
    "total_variation": "total variation",
}


@panels(7.6)
def drawing(result: Drawing, figure: Figure | SubFigure) -> list[str]:
    """Draw each class's best image, where all images stand among held-out ones, and what the judges see."""
    check_drawable(result.nearest)
    n_classes = len(result.class_names)
    n_shown = min(_SHOWN, n_classes)
    # A judge that there is none of sees nothing.
    judges = [
        name for name, share in zip(JUDGES, result.kinds[0].agreement, strict=True) if not np.isnan(share)
    ]
    judges[-1] = "most " * (judges[-1] == JUDGES[2]) + judges[-1]
    above, middle, below = figure.subfigures(3, 1, height_ratios=[3.1, 2.4, 1.9])  # type: ignore[misc]
    _images(above, result, n_shown)
    axes = middle.subplots(1, len(MEASURES), sharey=True)
    for column, measure in enumerate(MEASURES):
        _percentiles(axes[column], result, column)
        axes[column].set_title(_TITLES[measure], fontsize=9)
    middle.supxlabel("percentile among held-out images", fontsize=9)
    _judges(below.subplots(), result)
    return [
        f"Under each drawing: what {', '.join(judges)} see. Dots: median; bars: middle 90% of the images of a "
        "kind. Dashed: chance.",
        "" if n_shown == n_classes else f"The first {n_shown} of {n_classes:,} classes.",
    ]


PARTS = (drawing,)


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
            panel.set(xticks=[], yticks=[])
        axes[0, k].set_title(literal(result.class_names[k], 9), loc="center", fontsize=9)
        axes[0, k].set_xlabel(literal("/".join(seen), 9), fontsize=8)
        axes[1, k].set_xlabel(literal(result.class_names[result.nearest_classes[k]], 9), fontsize=8)
    for panel, name in zip(axes[:, 0], ("drawn", "nearest", "mean"), strict=True):
        panel.set_ylabel(name, fontsize=9)


def _percentiles(axes: Axes, result: Drawing, column: int) -> None:
    for row, kind in enumerate(result.kinds):
        low, middle, high = middle_90(kind.percentiles[:, column])
        color = _COLORS[kind.name]
        axes.plot([low, high], [row, row], color=color, linewidth=5, alpha=0.45, solid_capstyle="butt")
        dot: Look = {"marker": "o", "markersize": 6, "markeredgecolor": "white"}
        axes.plot([middle], [row], color=color, clip_on=False, zorder=3, **dot)
    axes.set_yticks(range(len(result.kinds)), [kind.label for kind in result.kinds])
    axes.set(xlim=(0, 1), ylim=(len(result.kinds) - 0.5, -0.5))
    half_ticks(axes)
    axes.grid(visible=False, axis="y")


def _judges(axes: Axes, result: Drawing) -> None:
    """Draw in how many images of each kind the judges see what was intended."""
    places, width = np.arange(len(result.kinds)), 0.25
    colors = [_COLORS[kind.name] for kind in result.kinds]
    for index, (judge, hatch) in enumerate(zip(JUDGES, ("", "///", "..."), strict=True)):
        shares = np.array([kind.agreement[index] for kind in result.kinds])
        if np.isnan(shares).all():
            continue
        look: Look = {"color": colors, "alpha": 0.75, "hatch": hatch, "edgecolor": "white"}
        axes.bar(places + (index - 1) * width, shares, width * 0.92, label=judge, **look)
    chance = 1 / len(result.class_names)
    axes.axhline(chance, color=COLORS["reference"], linewidth=1, linestyle="--")
    axes.set_xticks(places, [kind.label for kind in result.kinds])
    axes.set(ylim=(0, 1), ylabel="judged as\nintended")
    axes.grid(visible=False, axis="x")
    where: Look = {"loc": "lower right", "bbox_to_anchor": (1, 1), "borderpad": 0.1}
    legend = axes.legend(fontsize=8, ncols=len(JUDGES), **where)
    for handle in legend.legend_handles:
        handle.set_facecolor("#888888")  # type: ignore[union-attr]
