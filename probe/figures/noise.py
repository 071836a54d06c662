"""Figures of `probe.analyses.noise`: how sure a network is of noise, on the way there and beyond, and what makes it so."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.lines import Line2D

from probe._checks import Array
from probe.analyses.noise import CONFIDENT, ConditionConfidence, NoiseConfidence, NoiseSeverity
from probe.figures._axes import Look, half_ticks, middle_90, replicates, write
from probe.figures._grid import check_drawable, lone
from probe.figures._parts import panels
from probe.figures._style import COLORS, literal, resize

__all__ = ["PARTS"]

_N_EXAMPLES = 3

_GROUP_COLORS = {
    "trained": COLORS["true"],
    "untrained": COLORS["untrained"],
    "few-labels": COLORS["test"],
    "random-label": COLORS["random"],
}

_MARKERS = {"trained": "o", "untrained": "s", "few-labels": "^", "random-label": "D"}

_PAIRS = (("untrained", "trained"), ("random-label", "few-labels"))
"""Groups whose networks are compared one by one."""

_SHORT = {
    "untrained": "before training",
    "trained": "after training",
    "random-label": "labels permuted",
    "few-labels": "own labels",
}

_WAYS = {
    "blend": "share of uniform noise blended in",
    "shuffle": "share of pixels shuffled",
    "norm": "uniform noise, times",
}

_INFINITY = 512.0
"""Where infinity stands on the axis of factors."""


@panels()
def confidence(result: NoiseConfidence, figure: Figure | SubFigure) -> list[str]:
    """Draw a row for each kind of image: examples, how many get at least which confidence, and predicted classes."""
    check_drawable(_drawn(result.examples[0]))
    rows = len(result.conditions)
    resize(figure, 1.25 * rows + 1.0)
    axes = figure.subplots(rows, 3, width_ratios=[1.25, 2.1, 1.6], squeeze=False)
    for row, condition in enumerate(result.conditions):
        color = COLORS["real" if condition.name == "real" else "noise"]
        _examples(axes[row, 0], result.examples[row], condition.label)
        _confidences(axes[row, 1], condition, color)
        _classes(axes[row, 2], condition, result.class_names, color)
    for row in range(rows - 1):
        for column in (1, 2):
            axes[row, column].tick_params(labelbottom=False)
    axes[-1, 1].set_xlabel("confidence")
    axes[-1, 2].set_xlabel("predicted class")
    axes[0, 1].set_title("share of images with at least this confidence")
    axes[0, 2].set_title("predicted class (share)")
    return [
        f"Dot: the share with at least {CONFIDENT:g} (dashed, upright); above the level dashed line it is most images.",
    ]


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


def _confidences(axes: Axes, condition: ConditionConfidence, color: str) -> None:
    ordered = np.sort(condition.confidences)
    shares = 1 - np.arange(len(ordered)) / len(ordered)
    x, y = np.concatenate([[0], ordered, [1]]), np.concatenate([[1], shares, [0]])
    # Of very many steps those are drawn that can be seen.
    kept = np.unique(np.linspace(0, len(x) - 1, 400).astype(int))
    axes.fill_between(x[kept], y[kept], color=color, alpha=0.3, linewidth=0, step="pre")
    axes.step(x[kept], y[kept], color=color, linewidth=1.5)
    line: Look = {"color": COLORS["reference"], "linestyle": "--", "linewidth": 1}
    axes.axvline(CONFIDENT, **line)
    axes.axhline(0.5, **line)
    axes.plot(
        [CONFIDENT],
        [condition.share_confident],
        "o",
        color=color,
        markeredgecolor="white",
        zorder=3,
        clip_on=False,
    )
    axes.set(xlim=(0, 1.02), ylim=(0, 1.03), yticks=[0, 0.5, 1], xticks=[0, 0.25, 0.5, 0.75, 1])
    note = f"{condition.share_confident:.1%} at least {CONFIDENT:g}"
    if condition.name != "real":
        note += f"\nAUROC {condition.auroc:.2f}"
    # Where there is room: below a curve that stays up, right of one that comes down early.
    if np.median(ordered) >= 0.5:
        write(axes, 0.02, 0.06, note, ha="left", va="bottom")
    else:
        write(axes, 0.84, 0.94, note, ha="right", va="top")


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
        _curves(axes[1, column], x, result.groups, result.auroc, result.own_auroc[0], conditions)
        axes[1, column].axhline(0.5, color="#888888", linewidth=0.8)
        for row in (0, 1):
            _axis(axes[row, column], way, x)
        axes[1, column].set_xlabel(_WAYS[way])
    _infinity(axes[0, 2], result)
    axes[0, 0].set_ylabel("mean maximum softmax")
    axes[1, 0].set_ylabel("AUROC, real against these")
    handles = [
        Line2D([], [], color=_GROUP_COLORS[name], marker=_MARKERS[name], markersize=5, label=_SHORT[name])
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


@panels(3.0, empty=lambda result: "" if result.groups else "there are no control networks to compare")
def origins(result: NoiseSeverity, figure: Figure | SubFigure) -> list[str]:
    """Draw the confidence on uniform noise of each pair of networks: before and after training, permuted and own labels."""
    at = result.index("uniform")
    for axes, pair in zip(figure.subplots(1, 2, sharey=True), _PAIRS, strict=True):
        before, after = (result.confidence[result.groups.index(name)][:, at] for name in pair)
        for first, second in zip(before, after, strict=True):
            color = _GROUP_COLORS[pair[1] if second > first else pair[0]]
            axes.plot([0, 1], [first, second], color=color, linewidth=1, alpha=0.7)
        for x, (name, values) in enumerate(zip(pair, (before, after), strict=True)):
            look: Look = {"color": _GROUP_COLORS[name], "marker": _MARKERS[name], "zorder": 3}
            axes.scatter(np.full(len(values), x), values, s=22, edgecolors="white", linewidths=0.5, **look)
        axes.axhline(
            result.own_confidence[at], color=COLORS["reference"], linestyle="--", linewidth=1, zorder=0
        )
        axes.set_xticks([0, 1], [_SHORT[name] for name in pair])
        axes.set(xlim=(-0.3, 1.3), ylim=(0, 1.02))
        axes.set_title(f"{int((after > before).sum())} of {len(after)} rise")
        axes.grid(visible=False, axis="x")
    figure.axes[0].set_ylabel("mean maximum softmax\non uniform noise")
    return [
        "A line for each network and its pair. Dashed: this network. Half of the lines would rise by chance."
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
        replicates(axes, x, of_group[:, conditions], _GROUP_COLORS[name], _MARKERS[name])
    axes.plot(x, own[conditions], color=COLORS["reference"], linestyle="--", linewidth=1.5)
    axes.set_ylim(0, 1.02)


def _infinity(axes: Axes, result: NoiseSeverity) -> None:
    own = np.nan if result.own_mean_limit is None else result.own_mean_limit
    dash = {"marker": "_", "markersize": 12, "markeredgewidth": 2}
    axes.plot([_INFINITY], [own], color=COLORS["reference"], **dash)  # type: ignore[arg-type]
    if result.limit.size:
        low, middle, high = middle_90(result.limit.mean(axis=1))
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


PARTS = (confidence, severity, origins)
