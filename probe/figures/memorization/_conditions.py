"""How conditions look and are called, the same in every part: which go together, colors, words and heights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from probe._checks import check_integer
from probe.analyses.memorization import Condition, Memorization, MemorizationCell
from probe.figures._labels import LINE
from probe.figures._style import COLOURS, INPUT_COLOURS, blend, spread

if TYPE_CHECKING:
    from matplotlib.figure import Figure, SubFigure

__all__ = [
    "Group",
    "Series",
    "cell_of",
    "diverged_words",
    "groups_of",
    "left_out_words",
    "panel_inches",
    "replicates_words",
    "row_inches",
]

_MARKERS = ("o", "s", "D", "^", "v", "P", "X", "p")
"""Apart where colors are not, in order of the conditions of a group."""

_MOST_GROUPS, _MOST_SERIES = 10, 16
"""What is shown of very many: the first, the last, and some in between, evenly apart."""

_MOST_NAMED = 8
"""Conditions of which a footnote says that networks diverged."""


def cell_of(result: Memorization, cell: int) -> MemorizationCell:
    """Return a cell of a result, or raise if there is none of that number."""
    return result.cells[check_integer("cell", cell, minimum=0, maximum=len(result.cells) - 1)]


@dataclass(frozen=True, slots=True)
class Series:
    """One condition among those that are drawn over each other.

    Attributes
    ----------
    index : int
        Place in the cell's conditions.
    label : str
        What tells it from the others of its group.
    color, marker : str
    corruption : float or None
        Share of corrupted labels, if that is what tells them apart.
    """

    index: int
    label: str
    color: str
    marker: str
    corruption: float | None


@dataclass(frozen=True, slots=True)
class Group:
    """Conditions that differ in one factor only, in its order.

    Attributes
    ----------
    label : str
        What they have in common and other groups have not; empty for the only group.
    color, marker : str
        Where the whole group is one line.
    series : tuple of Series
    """

    label: str
    color: str
    marker: str
    series: tuple[Series, ...]


def groups_of(cell: MemorizationCell) -> tuple[Group, ...]:
    """Return the conditions in groups.

    Within a group the corruption of labels varies; if it never does, that of the images; if neither does,
    the weight decay. At most 10 groups of 16, evenly apart; the table on the page has all.
    """
    conditions = cell.conditions
    varying = [
        name for name in ("corruption", "inputs", "weight_decay") if len(_levels(conditions, name)) > 1
    ]
    within = varying[0] if varying else "corruption"
    members_of: dict[tuple[object, ...], list[int]] = {}
    for index, condition in enumerate(conditions):
        key = tuple(getattr(condition, name) for name in varying[1:])
        members_of.setdefault(key, []).append(index)
    groups = []
    members = list(members_of.values())
    for rank, indices in enumerate(members[k] for k in spread(len(members), _MOST_GROUPS)):
        # A study may list its shares in any order; a picture has one.
        ordered = sorted(indices, key=lambda index: conditions[index].corruption)
        ordered = [ordered[k] for k in spread(len(ordered), _MOST_SERIES)]
        first = conditions[indices[0]]
        label = ", ".join(_words(first, name) for name in varying[1:])
        color = _shade(first, conditions, varying[1:])
        series = tuple(_series(index, order, conditions, within) for order, index in enumerate(ordered))
        groups.append(Group(label, color, _MARKERS[rank % len(_MARKERS)], series))
    return tuple(groups)


def _levels(conditions: tuple[Condition, ...], name: str) -> list[object]:
    return list(dict.fromkeys(getattr(condition, name) for condition in conditions))


def _series(index: int, rank: int, conditions: tuple[Condition, ...], within: str) -> Series:
    condition = conditions[index]
    if within == "corruption":
        color = blend(COLOURS["true"], COLOURS["random"], condition.corruption)
    else:
        color = _shade(condition, conditions, [within])
    return Series(
        index,
        _words(condition, within),
        color,
        _MARKERS[rank % len(_MARKERS)],
        condition.corruption if within == "corruption" else None,
    )


def _words(condition: Condition, factor: str) -> str:
    if factor == "corruption":
        return replace(condition, inputs="none").named(among=(condition,))
    if factor == "inputs":
        words = {"none": "true images", "gaussian": "Gaussian images"}
        return words.get(condition.inputs, condition.inputs.replace("-", " "))
    return f"weight decay {condition.weight_decay:g}" if condition.weight_decay else "no weight decay"


def _shade(condition: Condition, conditions: tuple[Condition, ...], factors: list[str]) -> str:
    """Return a color for the kind of images, the lighter the later its weight decay comes."""
    color = INPUT_COLOURS[condition.inputs] if "inputs" in factors else COLOURS["reference"]
    decays = _levels(conditions, "weight_decay")
    if "weight_decay" in factors and len(decays) > 1:
        color = blend(color, "#ffffff", 0.45 * decays.index(condition.weight_decay) / (len(decays) - 1))
    return color


def row_inches(groups: Sequence[Group], usual: float, *, lines: int) -> float:
    """Return the height of a row of axes that has room for a name of so many lines for each condition."""
    return max(usual, LINE * lines * max(len(group.series) for group in groups) + 0.35)


def panel_inches(figure: Figure | SubFigure, rows: int, taken: float = 0.85) -> float:
    """Return about how high each of `rows` axes will be, `taken` inches being text above and below."""
    return float((figure.bbox.height / figure.dpi - taken) / rows - 0.15)


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
    named = [f"{count} with {cell.names[index]}" for index, count in enumerate(counts) if count]
    if not named:
        return ""
    more = f"; and some with {len(named) - _MOST_NAMED} more conditions" if len(named) > _MOST_NAMED else ""
    return f"Diverged, of {cell.n_replicates} networks: {'; '.join(named[:_MOST_NAMED])}{more}."
