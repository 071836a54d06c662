"""Sentences below the figures: what lines and bands stand for, and who is missing."""

from __future__ import annotations

from collections.abc import Sequence

from probe.analyses.memorization import MemorizationCell
from probe.figures.memorization._conditions import Group

__all__ = ["diverged_words", "left_out_words", "replicates_words"]

_MOST_NAMED = 8


def replicates_words(n: int) -> str:
    """Return what `probe.figures._style.replicates` draws of n networks."""
    if n == 1:
        return "One network each."
    if n < 10:
        return f"Thick: median of {n} networks; thin: each of them."
    return f"Line: median of {n} networks; band: their middle 90%."


def left_out_words(cell: MemorizationCell, groups: Sequence[Group]) -> str:
    """Return how many of the conditions are shown, if not all."""
    shown = sum(len(group.series) for group in groups)
    n = len(cell.conditions)
    return "" if shown == n else f"Shown: {shown} of {n} conditions, evenly apart."


def diverged_words(cell: MemorizationCell) -> str:
    """Return which networks diverged; empty if none did."""
    counts = cell.diverged.sum(axis=1)
    named = [f"{count} with {cell.named(index)}" for index, count in enumerate(counts) if count]
    if not named:
        return ""
    more = f"; and some with {len(named) - _MOST_NAMED} more conditions" if len(named) > _MOST_NAMED else ""
    return f"Diverged, of {cell.n_replicates} networks: {'; '.join(named[:_MOST_NAMED])}{more}."
