"""Figure of `probe.noise_severity`: confidence and detectability on the way from images to noise and beyond."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from probe._checks import Array
from probe.analyses.noise import GROUPS, NoiseSeverity
from probe.figures._parts import panels
from probe.figures._style import COLOURS, replicates

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

__all__ = ["PARTS"]

_COLOURS = {
    "trained": COLOURS["true"],
    "temperature-scaled": COLOURS["test"],
    "untrained": COLOURS["untrained"],
    "random-label": COLOURS["random"],
}

_MARKERS = {"trained": "o", "temperature-scaled": "^", "untrained": "s", "random-label": "D"}

_WAYS = {
    "blend": "share of uniform noise blended in",
    "shuffle": "share of pixels shuffled",
    "norm": "uniform noise, times",
}

_INFINITY = 512.0
"""Where infinity stands on the axis of factors."""


@panels(5.6)
def severity(result: NoiseSeverity, figure: Figure | SubFigure) -> list[str]:
    """Draw confidence above and AUROC below, for each of three ways from images to noise and beyond."""
    from matplotlib.lines import Line2D

    axes = figure.subplots(2, 3, sharey="row")
    for column, way in enumerate(_WAYS):
        x, conditions = _steps(result, way)
        _confidence(axes[0, column], result, x, conditions)
        _detected(axes[1, column], result, x, conditions)
        for row in (0, 1):
            _axis(axes[row, column], way, x)
        axes[1, column].set_xlabel(_WAYS[way])
    _infinity(axes[0, 2], result)
    axes[0, 0].set_ylabel("mean maximum softmax")
    axes[1, 0].set_ylabel("AUROC, real against these")
    handles = [
        Line2D(
            [], [], color=_COLOURS[group], marker=_MARKERS[group], markersize=5, label=group.replace("-", " ")
        )
        for group in result.groups
    ]
    handles.append(Line2D([], [], color=COLOURS["reference"], linestyle="--", label="this network"))
    figure.legend(handles=handles, loc="outside upper center", ncols=len(handles), frameon=False, fontsize=9)
    spread = ", with the middle 90%" if result.n_networks >= 10 else ", each a thin line"
    return [
        f"{result.n_images:,} images at each step.",
        f"Median over {result.n_networks} networks{spread}." if result.groups else "",
        "∞: the exact limit. AUROC by the maximum softmax, real test images positive; 0.5: no telling them apart.",
    ]


PARTS = (severity,)


def _steps(result: NoiseSeverity, way: str) -> tuple[Array, list[int]]:
    """Return the severities of one way and the indices of their conditions; a way starts at images or at noise."""
    ends = {"blend": ("real", "uniform"), "shuffle": ("real", "shuffled"), "norm": ("uniform",)}
    chosen = [
        (condition.severity, index)
        for index, condition in enumerate(result.conditions)
        if condition.family in (way, *ends[way])
    ]
    chosen.sort()
    return np.array([severity for severity, _ in chosen]), [index for _, index in chosen]


def _confidence(axes: Axes, result: NoiseSeverity, x: Array, conditions: list[int]) -> None:
    for group, name in enumerate(result.groups):
        replicates(axes, x, result.confidence[group][:, conditions], _COLOURS[name], _MARKERS[name])
    axes.plot(x, result.own_confidence[conditions], color=COLOURS["reference"], linestyle="--", linewidth=1.5)
    axes.set_ylim(0, 1.02)


def _detected(axes: Axes, result: NoiseSeverity, x: Array, conditions: list[int]) -> None:
    for group, name in enumerate(result.groups):
        if name != GROUPS[1]:  # nearly the same order of images as without the temperature
            replicates(axes, x, result.auroc[group][:, conditions], _COLOURS[name], _MARKERS[name])
    axes.plot(x, result.own_auroc[0, conditions], color=COLOURS["reference"], linestyle="--", linewidth=1.5)
    axes.axhline(0.5, color="#888888", linewidth=0.8)
    axes.set_ylim(0, 1.02)


def _infinity(axes: Axes, result: NoiseSeverity) -> None:
    own = result.own_mean_limit
    axes.plot(
        [_INFINITY],
        [np.nan if own is None else own],
        marker="_",
        markersize=12,
        markeredgewidth=2,
        color=COLOURS["reference"],
    )
    if result.limit.size and np.isfinite(result.limit).all():
        low, middle, high = np.quantile(result.limit, [0.05, 0.5, 0.95])
        axes.plot([_INFINITY, _INFINITY], [low, high], color=_COLOURS["trained"], linewidth=5, alpha=0.3)
        axes.plot(
            [_INFINITY], [middle], marker="o", color=_COLOURS["trained"], markeredgecolor="white", zorder=3
        )


def _axis(axes: Axes, way: str, x: Array) -> None:
    if way != "norm":
        axes.set_xticks([0, 0.5, 1], ["0", "½", "1"])
        axes.set_xlim(-0.04, 1.04)
        return
    axes.set_xscale("log", base=2)
    axes.set_xlim(0.8, _INFINITY * 1.6)
    axes.set_xticks([*x, _INFINITY], [*(f"{severity:g}" for severity in x), "∞"])
    axes.minorticks_off()
