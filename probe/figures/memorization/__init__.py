"""Figures of `probe.analyses.memorization`: one part for each question that a study answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from probe._checks import InputError, check_choice, check_integer
from probe.analyses.memorization import Memorization
from probe.figures._style import styled
from probe.figures.memorization import curves, examples, forgetting, peak, sensitivity, time

if TYPE_CHECKING:
    from matplotlib.figure import Figure, SubFigure

__all__ = ["PARTS", "draw", "parts_of"]

PARTS: dict[str, Callable[[Memorization, int, Figure | SubFigure | None], Figure | SubFigure]] = {
    "curves": curves.draw,
    "time": time.draw,
    "peak": peak.draw,
    "examples": examples.draw,
    "forgetting": forgetting.draw,
    "sensitivity": sensitivity.draw,
}
"""What draws which part of a result: `(result, cell, figure)`."""


def draw(
    result: Memorization,
    *,
    figure: Figure | SubFigure | None = None,
    part: str | None = None,
    cell: int | None = None,
) -> Figure | SubFigure:
    """Draw a part of one cell of `result` into `figure`, or a new one, and return it."""
    part = next(iter(PARTS)) if part is None else check_choice("part", part, PARTS)
    cell = 0 if cell is None else check_integer("cell", cell, minimum=0, maximum=len(result.cells) - 1)
    reason = _why_empty(result, part)
    if reason:
        raise InputError(
            f"part {part!r} has nothing to show: {reason}; draw one of {', '.join(parts_of(result))}"
        )
    with styled():
        return PARTS[part](result, cell, figure)


def parts_of(result: Memorization) -> tuple[str, ...]:
    """Return the parts that have something to show."""
    return tuple(part for part in PARTS if not _why_empty(result, part))


def _why_empty(result: Memorization, part: str) -> str:
    """Return why there is nothing to show of a part; empty if there is."""
    if part == "examples" and not result.examples:
        return "no condition has its own images, so no examples were kept"
    if part == "forgetting" and not any((cell.n_examples[:, :, 1] > 0).any() for cell in result.cells):
        return "no label was corrupted"
    if part == "sensitivity" and not any(
        (np.isfinite(cell.sensitivity_gini) | np.isfinite(cell.critical_ratio)).any() for cell in result.cells
    ):
        return "it was not measured, which dynamics='sensitivity' does"
    return ""
