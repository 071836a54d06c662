"""Figures of `probe.analyses.noise`: how sure a network is of noise, and on the way from images to noise and beyond."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.lines import Line2D

from probe._checks import Array
from probe.analyses.noise import GROUPS, ConditionConfidence, NoiseConfidence, NoiseSeverity
from probe.figures._axes import half_ticks, middle_90, replicates, write
from probe.figures._grid import check_drawable, lone
from probe.figures._parts import panels
from probe.figures._style import COLORS, literal, resize

__all__ = ["PARTS"]

_N_EXAMPLES = 3

_GROUP_COLORS = {
    "trained": COLORS["true"],
    "temperature-scaled": COLORS["test"],
    "untrained": COLORS["untrained"],
    "random-label": COLORS["random"],
}

_MARKERS = {"trained": "o", "temperature-scaled": "^", "untrained": "s", "random-label": "D"}

_WAYS = {
    "blend": "share of uniform noise blended in",
    "shuffle": "share of pixels shuffled",
    "norm": "uniform noise, times",
}

_INFINITY = 512.0
"""Where infinity stands on the axis of factors."""


@panels()
def confidence(result: NoiseConfidence, figure: Figure | SubFigure) -> None:
    """Draw a row for each kind of image: examples, confidences and predicted classes."""
    check_drawable(_drawn(result.examples[0]))
    rows = len(result.conditions)
    resize(figure, 1.25 * rows + 0.7)
    axes = figure.subplots(rows, 3, width_ratios=[1.25, 2.1, 1.6], squeeze=False)
    for row, condition in enumerate(result.conditions):
        color = COLORS["real" if condition.name == "real" else "noise"]
        _examples(axes[row, 0], result.examples[row], condition.label)
        _confidences(axes[row, 1], condition, result.threshold, color)
        _classes(axes[row, 2], condition, result.class_names, color)
    for row in range(rows - 1):
        for column in (1, 2):
            axes[row, column].tick_params(labelbottom=False)
    axes[-1, 1].set_xlabel("largest output; dashed: median of right test images")
    axes[-1, 2].set_xlabel("predicted class")
    axes[0, 1].set_title("confidence (share of images)")
    axes[0, 2].set_title("predicted class (share)")


def _drawn(images: np.ndarray) -> np.ndarray:
    """Return images that can be drawn: of more channels than three, or of two, the mean over them."""
    return images if images.ndim != 4 or images.shape[-1] in (1, 3) else images.mean(axis=-1)


def _examples(axes: Axes, images: np.ndarray, title: str) -> None:
    shown = lone(_drawn(images[:_N_EXAMPLES]))
    axes.set_axis_off()
    axes.set_title(title)
    gap = np.ones((shown.shape[1], max(1, shown.shape[2] // 14), *shown.shape[3:]))
    strip = [part for image in shown for part in (image, gap)][:-1]
    axes.imshow(np.concatenate(strip, axis=1), cmap="gray", vmin=0, vmax=1, interpolation="nearest")


def _confidences(axes: Axes, condition: ConditionConfidence, threshold: float, color: str) -> None:
    weights = np.full(len(condition.confidences), 1 / len(condition.confidences))
    axes.hist(condition.confidences, bins=np.linspace(0, 1, 41).tolist(), weights=weights, color=color)
    axes.axvline(threshold, color=COLORS["reference"], linestyle="--", linewidth=1)
    axes.set(xlim=(0, 1.02), ylim=(0, 1), yticks=[0, 0.5, 1], xticks=[0, 0.25, 0.5, 0.75, 1])
    note = f"{condition.share_above:.1%} above dashed"
    if condition.name != "real":
        note += f"\nAUROC {condition.auroc:.2f}"
    write(axes, 0.02, 0.94, note, ha="left", va="top")


def _classes(axes: Axes, condition: ConditionConfidence, names: tuple[str, ...], color: str) -> None:
    axes.bar(range(len(names)), condition.class_shares, color=color, width=0.8)
    axes.set(ylim=(0, 1), yticks=[0, 0.5, 1])
    step = max(1, ceil(len(names) / 14))
    shown = [literal(name, 12) for name in names[::step]]
    axes.set_xticks(range(0, len(names), step), labels=shown, rotation=90 if max(map(len, shown)) > 3 else 0)
    axes.grid(visible=False, axis="x")
    write(axes, 0.98, 0.94, f"entropy {condition.entropy:.2f} bit", ha="right", va="top")


@panels(5.6)
def severity(result: NoiseSeverity, figure: Figure | SubFigure) -> list[str]:
    """Draw confidence above and AUROC below, for each of three ways from images to noise and beyond."""
    axes = figure.subplots(2, 3, sharey="row")
    for column, way in enumerate(_WAYS):
        x, conditions = _steps(result, way)
        _curves(axes[0, column], x, result.groups, result.confidence, result.own_confidence, conditions)
        # With a temperature the order of images is nearly the same.
        groups = ["" if name == GROUPS[1] else name for name in result.groups]
        _curves(axes[1, column], x, groups, result.auroc, result.own_auroc[0], conditions)
        axes[1, column].axhline(0.5, color="#888888", linewidth=0.8)
        for row in (0, 1):
            _axis(axes[row, column], way, x)
        axes[1, column].set_xlabel(_WAYS[way])
    _infinity(axes[0, 2], result)
    axes[0, 0].set_ylabel("mean maximum softmax")
    axes[1, 0].set_ylabel("AUROC, real against these")
    handles = [
        Line2D(
            [],
            [],
            color=_GROUP_COLORS[name],
            marker=_MARKERS[name],
            markersize=5,
            label=name.replace("-", " "),
        )
        for name in result.groups
    ]
    handles.append(Line2D([], [], color=COLORS["reference"], linestyle="--", label="this network"))
    figure.legend(handles=handles, loc="outside upper center", ncols=len(handles))
    spread = ", with the middle 90%" if result.n_networks >= 10 else ", each a thin line"
    return [
        f"{result.n_images:,} images at each step.",
        f"Median over {result.n_networks} networks{spread}." if result.groups else "",
        "∞: the exact limit. AUROC by the maximum softmax, real test images positive; 0.5: no telling them apart.",
    ]


def _steps(result: NoiseSeverity, way: str) -> tuple[Array, list[int]]:
    """Return the severities of one way and the indices of their conditions; a way starts at images or at noise."""
    ends = {"blend": ("real", "uniform"), "shuffle": ("real", "shuffled"), "norm": ("uniform",)}
    chosen = sorted(
        (condition.severity, index)
        for index, condition in enumerate(result.conditions)
        if condition.family in (way, *ends[way])
    )
    return np.array([severity for severity, _ in chosen]), [index for _, index in chosen]


def _curves(
    axes: Axes, x: Array, groups: Sequence[str], values: Array, own: Array, conditions: list[int]
) -> None:
    """Draw the values of each named group of networks, and dashed those of this network."""
    for name, of_group in zip(groups, values, strict=True):
        if name:
            replicates(axes, x, of_group[:, conditions], _GROUP_COLORS[name], _MARKERS[name])
    axes.plot(x, own[conditions], color=COLORS["reference"], linestyle="--", linewidth=1.5)
    axes.set_ylim(0, 1.02)


def _infinity(axes: Axes, result: NoiseSeverity) -> None:
    own = np.nan if result.own_mean_limit is None else result.own_mean_limit
    dash = {"marker": "_", "markersize": 12, "markeredgewidth": 2}
    axes.plot([_INFINITY], [own], color=COLORS["reference"], **dash)  # type: ignore[arg-type]
    if result.limit.size and np.isfinite(result.limit).all():
        low, middle, high = middle_90(result.limit)
        color = _GROUP_COLORS["trained"]
        axes.plot([_INFINITY, _INFINITY], [low, high], color=color, linewidth=5, alpha=0.3)
        axes.plot([_INFINITY], [middle], marker="o", color=color, markeredgecolor="white", zorder=3)


def _axis(axes: Axes, way: str, x: Array) -> None:
    if way != "norm":
        half_ticks(axes)
        axes.set_xlim(-0.04, 1.04)
        return
    axes.set_xscale("log", base=2)
    axes.set_xlim(0.8, _INFINITY * 1.6)
    axes.set_xticks([*x, _INFINITY], [*(f"{severity:g}" for severity in x), "∞"])
    axes.minorticks_off()


PARTS = (confidence, severity)
