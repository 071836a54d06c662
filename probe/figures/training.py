"""Figure of a training history: cost and accuracy after each epoch."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure, SubFigure

from probe.figures._axes import band, beside
from probe.figures._parts import panels
from probe.figures._style import COLORS
from probe.training import PopulationResult, TrainingHistory, TrainingResult

__all__ = ["PARTS"]


@panels(height=3.1)
def training(result: TrainingHistory | TrainingResult | PopulationResult, figure: Figure | SubFigure) -> None:
    """Draw the history of one network or of a population."""
    history = result if isinstance(result, TrainingHistory) else result.history
    epochs = np.arange(1, history.n_epochs + 1)
    cost, accuracy = figure.subplots(1, 2)
    band(cost, epochs, np.atleast_2d(history.cost), COLORS["train"])
    cost.set(xlabel="epoch", ylabel="cost on the training data", ylim=(0, None))
    lowest = 1.0
    for name, label, align, up in (("train", "training", "bottom", 4), ("test", "test", "top", -5)):
        values = np.atleast_2d(getattr(history, f"{name}_accuracy"))
        band(accuracy, epochs, values, COLORS[name])
        ends = values[~np.isnan(values).all(axis=1)]
        if not len(ends):
            continue
        last = float(np.nanmedian(ends[:, -1]))
        lowest = min(lowest, float(np.nanmin(values)))
        look = {"ha": "right", "va": align, "color": COLORS[name], "fontweight": "bold"}
        beside(accuracy, f"{label} {last:.1%}", (epochs[-1], last), (-2, up), **look)
    accuracy.set(xlabel="epoch", ylabel="accuracy", ylim=(max(0.0, lowest - 0.05), 1.02))
    for axes in (cost, accuracy):
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.margins(x=0.02)


PARTS = (training,)
