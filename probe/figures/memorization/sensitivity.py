"""How local what was learned is: Gini coefficient of loss-sensitivity and critical sample ratio."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from probe.analyses.memorization import Memorization
from probe.figures._style import footnote, fresh
from probe.figures.memorization._against import Factor, name_groups, points
from probe.figures.memorization._words import diverged_words

if TYPE_CHECKING:
    from matplotlib.figure import Figure, SubFigure

__all__ = ["draw"]


def draw(result: Memorization, cell: int, figure: Figure | SubFigure | None) -> Figure | SubFigure:
    """Draw both measures of one cell into `figure`, or a new one, and return it."""
    found = result.cells[cell]
    factor = Factor.of(found)
    figure = fresh(3.5) if figure is None else figure
    panels = {
        "Gini coefficient of loss-sensitivity": found.sensitivity_gini,
        "critical sample ratio": found.critical_ratio,
    }
    row, ends = figure.subplots(1, 2), []
    for axes, (title, values) in zip(row, panels.items(), strict=True):
        ends = points(axes, factor, values)
        known = values[np.isfinite(values)]
        axes.set_ylim(0, 1.1 * float(known.max(initial=0)) or 1.0)
        factor.show(axes)
        axes.set_title(title, loc="left")
    name_groups(figure, row[-1], ends)
    what = "Points: networks. Large: their mean, with a 95% bootstrap interval."
    footnote(figure, [what if found.n_replicates > 1 else "One network each.", diverged_words(found)])
    return figure
