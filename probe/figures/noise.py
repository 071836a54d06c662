"""Figure of `probe.analyses.noise`: examples, confidences and predicted classes of each kind of image."""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING

import numpy as np

from probe.analyses.noise import ConditionConfidence, NoiseConfidence
from probe.figures._grid import check_drawable, lone
from probe.figures._parts import panels
from probe.figures._style import COLOURS, literal, resize

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

__all__ = ["PARTS"]

_N_EXAMPLES = 3


@panels()
def confidence(result: NoiseConfidence, figure: Figure | SubFigure) -> None:
    """Draw a row for each kind of image: examples, confidences and predicted classes."""
    check_drawable(_drawn(result.examples[0]))
    rows = len(result.conditions)
    resize(figure, 1.25 * rows + 0.7)
    axes = figure.subplots(rows, 3, width_ratios=[1.25, 2.1, 1.6], squeeze=False)
    for row, condition in enumerate(result.conditions):
        _examples(axes[row, 0], result.examples[row], condition)
        _confidences(axes[row, 1], condition, result)
        _classes(axes[row, 2], condition, result.class_names)
    for row in range(rows - 1):
        for column in (1, 2):
            axes[row, column].tick_params(labelbottom=False)
    axes[-1, 1].set_xlabel("largest output; dashed: median of right test images")
    axes[-1, 2].set_xlabel("predicted class")
    axes[0, 1].set_title("confidence (share of images)", loc="left")
    axes[0, 2].set_title("predicted class (share)", loc="left")


PARTS = (confidence,)


def _colour(condition: ConditionConfidence) -> str:
    return COLOURS["real" if condition.name == "real" else "noise"]


def _drawn(images: np.ndarray) -> np.ndarray:
    """Return images that can be drawn: of more channels than three, or of two, the mean over them."""
    return images if images.ndim != 4 or images.shape[-1] in (1, 3) else images.mean(axis=-1)


def _examples(axes: Axes, images: np.ndarray, condition: ConditionConfidence) -> None:
    shown = lone(_drawn(images[:_N_EXAMPLES]))
    axes.set_axis_off()
    axes.set_title(condition.label, loc="left", fontsize=10)
    gap = np.ones((shown.shape[1], max(1, shown.shape[2] // 14), *shown.shape[3:]))
    strip = [part for image in shown for part in (image, gap)][:-1]
    axes.imshow(np.concatenate(strip, axis=1), cmap="gray", vmin=0, vmax=1, interpolation="nearest")


def _confidences(axes: Axes, condition: ConditionConfidence, result: NoiseConfidence) -> None:
    weights = np.full(len(condition.confidences), 1 / len(condition.confidences))
    axes.hist(
        condition.confidences, bins=np.linspace(0, 1, 41).tolist(), weights=weights, color=_colour(condition)
    )
    axes.axvline(result.threshold, color=COLOURS["reference"], linestyle="--", linewidth=1)
    axes.set(xlim=(0, 1.02), ylim=(0, 1), yticks=[0, 0.5, 1], xticks=[0, 0.25, 0.5, 0.75, 1])
    note = f"{condition.share_above:.1%} above dashed"
    if condition.name != "real":
        note += f"\nAUROC {condition.auroc:.2f}"
    axes.text(0.02, 0.94, note, transform=axes.transAxes, ha="left", va="top", fontsize=9)


def _classes(axes: Axes, condition: ConditionConfidence, names: tuple[str, ...]) -> None:
    places = np.arange(len(names))
    axes.bar(places, condition.class_shares, color=_colour(condition), width=0.8)
    axes.set(ylim=(0, 1), yticks=[0, 0.5, 1])
    step = max(1, ceil(len(names) / 14))
    shown = [literal(name, 12) for name in names[::step]]
    axes.set_xticks(places[::step], labels=shown, rotation=90 if max(map(len, shown)) > 3 else 0)
    axes.grid(visible=False, axis="x")
    axes.text(
        0.98,
        0.94,
        f"entropy {condition.entropy:.2f} bit",
        transform=axes.transAxes,
        ha="right",
        va="top",
        fontsize=9,
    )
