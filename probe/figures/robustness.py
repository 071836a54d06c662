"""Figure of `probe.analyses.robustness`: a specification curve for each claim."""

from __future__ import annotations

from textwrap import fill

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from probe._checks import check_choice
from probe.analyses.robustness import FACTORS, Robustness
from probe.figures._parts import panels
from probe.figures._style import COLORS, literal, resize

__all__ = ["PARTS"]

_LOOKS = (
    (COLORS["true"], "o", "supported"),
    (COLORS["random"], "X", "refuted"),
    ("#9a9a9a", "d", "inconclusive"),
)
"""Color, marker and name of each decision."""


@panels()
def robustness(result: Robustness, figure: Figure | SubFigure, *, claim: str | None = None) -> list[str]:
    """Draw what each network of every setting comes to for one claim, and what the settings are."""
    index = 0 if claim is None else result.claims.index(check_choice("claim", claim, result.claims))
    levels = [(factor, level) for factor in FACTORS for level in result.levels(factor)]
    resize(figure, 2.6 + 0.19 * len(levels))
    statistics = result.statistics[index]
    medians = np.nanmedian(
        np.where(np.isnan(statistics).all(axis=1, keepdims=True), -np.inf, statistics), axis=1
    )
    order = np.argsort(medians, kind="stable")
    curve, dots = figure.subplots(2, 1, sharex=True, height_ratios=(2.2, 0.19 * len(levels)))
    _curve(curve, result, index, order)
    for row, (factor, level) in enumerate(levels):
        has = np.array([getattr(result, factor)[k] == level for k in order])
        at = np.flatnonzero(has)
        dots.plot(at, np.full(len(at), row), "s", color=COLORS["reference"], markersize=4)
        if row and levels[row - 1][0] != factor:
            dots.axhline(row - 0.5, color="#c4c4c4", linewidth=0.8)
    dots.set_yticks(range(len(levels)), [literal(level, 16) for _, level in levels], fontsize=8)
    dots.set(ylim=(len(levels) - 0.5, -0.5), xticks=[], xlabel="settings, by the median of their networks")
    dots.grid(visible=False)
    return []


def _curve(axes: Axes, result: Robustness, index: int, order: np.ndarray) -> None:
    for decision, (color, marker, name) in enumerate(_LOOKS):
        column, member = np.nonzero(result.decisions[index][order] == decision)
        values = result.statistics[index][order][column, member]
        axes.plot(
            column,
            values,
            marker,
            color=color,
            markersize=4.5,
            alpha=0.75,
            linestyle="",
            label=name,
            markeredgewidth=0,
        )
    axes.axhline(result.thresholds[index], color=COLORS["reference"], linewidth=1, linestyle="--")
    axes.set_ylabel(fill(result.statistic_names[index], 26), fontsize=9)
    if result.units[index] == "share":
        axes.set_ylim(-0.04, 1.04)
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=3, borderpad=0.1, handletextpad=0.2)


PARTS = (robustness,)
