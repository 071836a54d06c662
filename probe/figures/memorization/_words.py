"""Sentences below the figures: what lines and bands stand for, and who is missing."""

from __future__ import annotations

from probe.analyses.memorization import MemorizationCell

__all__ = ["diverged_words", "replicates_words"]


def replicates_words(n: int) -> str:
    """Return what `probe.figures._style.replicates` draws of n networks."""
    if n == 1:
        return "One network each."
    if n < 10:
        return f"Thick: median of {n} networks; thin: each of them."
    return f"Line: median of {n} networks; band: their middle 90%."


def diverged_words(cell: MemorizationCell) -> str:
    """Return which networks diverged; empty if none did."""
    counts = cell.diverged.sum(axis=1)
    named = [f"{count} with {cell.named(index)}" for index, count in enumerate(counts) if count]
    if not named:
        return ""
    return f"Diverged, of {cell.n_replicates} networks: {'; '.join(named)}."
