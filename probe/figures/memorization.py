"""Figure of `probe.analyses.memorization`: learning curves on true and on random labels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from probe.analyses.memorization import Memorization
from probe.figures._style import COLOURS, band, fresh, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

__all__ = ["draw"]


def draw(result: Memorization, *, figure: Figure | SubFigure | None = None) -> Figure | SubFigure:
    """Draw `result` into `figure`, or a new one, and return it."""
    updates = result.updates_per_epoch * np.arange(1, result.true.cost.shape[1] + 1)
    with styled():
        figure = fresh(3.4) if figure is None else figure
        train, test = figure.subplots(1, 2, sharey=True)
        for arm in result.arms:
            band(train, updates, arm.train_accuracy, COLOURS[arm.name])
            band(test, updates, arm.test_accuracy, COLOURS[arm.name])
        test.axhline(result.chance, color=COLOURS["reference"], linestyle="--", linewidth=1)
        for axes, title in ((train, "on the labels trained on"), (test, "on test images, true labels")):
            axes.set_title(title, loc="left")
            axes.set(xscale="log", xlabel="updates (minibatches)", ylim=(0, 1.03))
            axes.margins(x=0)
        train.set_ylabel("accuracy")
        _name_curves(result, train, test, updates)
    return figure


def _name_curves(result: Memorization, train: Axes, test: Axes, updates: npt.NDArray[np.int64]) -> None:
    middle = np.median(result.random.train_accuracy, axis=0)
    place = int(np.argmax(middle >= 0.6)) if (middle >= 0.6).any() else len(middle) - 1
    style: dict[str, Any] = {"fontsize": 10, "fontweight": "bold"}
    train.annotate(
        "random labels ",
        (updates[place], middle[place]),
        ha="right",
        va="bottom",
        color=COLOURS["random"],
        **style,
    )
    train.text(updates[0], 0.97, " true labels", ha="left", va="bottom", color=COLOURS["true"], **style)
    end = updates[-1]
    true_end = float(np.median(result.true.test_accuracy[:, -1]))
    test.text(end, true_end - 0.04, "true labels ", ha="right", va="top", color=COLOURS["true"], **style)
    # Clear of every member's curve, not only of the median.
    above = max(float(result.random.test_accuracy.max()), result.chance) + 0.02
    test.text(end, above, "random labels ", ha="right", va="bottom", color=COLOURS["random"], **style)
    box = {"facecolor": "white", "edgecolor": "none", "pad": 1, "alpha": 0.8}
    test.text(
        updates[0], 0.01, " dashed: always the commonest class", ha="left", va="bottom", fontsize=9, bbox=box
    )
