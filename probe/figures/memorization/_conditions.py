"""How conditions look and are called, the same in every part: which go together, colours and words."""

from __future__ import annotations

from dataclasses import dataclass, replace

from probe.analyses.memorization import Condition, MemorizationCell
from probe.figures._style import COLOURS, INPUT_COLOURS, blend, spread

__all__ = ["MARKERS", "Group", "Series", "groups_of"]

MARKERS = ("o", "s", "D", "^", "v", "P", "X", "p")
"""Apart where colours are not, in order of the conditions of a group."""

_MOST_GROUPS, _MOST_SERIES = 10, 16
"""What is shown of very many: the first, the last, and some in between, evenly apart."""


@dataclass(frozen=True, slots=True)
class Series:
    """One condition among those that are drawn over each other.

    Attributes
    ----------
    index : int
        Place in the cell's conditions.
    label : str
        What tells it from the others of its group.
    colour, marker : str
    corruption : float or None
        Share of corrupted labels, if that is what tells them apart.
    """

    index: int
    label: str
    colour: str
    marker: str
    corruption: float | None


@dataclass(frozen=True, slots=True)
class Group:
    """Conditions that differ in one factor only, in its order.

    Attributes
    ----------
    label : str
        What they have in common and other groups have not; empty for the only group.
    colour, marker : str
        Where the whole group is one line.
    series : tuple of Series
    """

    label: str
    colour: str
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
    found: dict[tuple[object, ...], list[int]] = {}
    for index, condition in enumerate(conditions):
        key = tuple(getattr(condition, name) for name in varying[1:])
        found.setdefault(key, []).append(index)
    groups = []
    members = list(found.values())
    for place, indices in enumerate(members[k] for k in spread(len(members), _MOST_GROUPS)):
        # A study may list its shares in any order; a picture has one.
        ordered = sorted(indices, key=lambda index: conditions[index].corruption)
        ordered = [ordered[k] for k in spread(len(ordered), _MOST_SERIES)]
        first = conditions[indices[0]]
        label = ", ".join(_words(first, name) for name in varying[1:])
        colour = _shade(first, conditions, varying[1:])
        series = tuple(_series(index, rank, conditions, within) for rank, index in enumerate(ordered))
        groups.append(Group(label, colour, MARKERS[place % len(MARKERS)], series))
    return tuple(groups)


def _levels(conditions: tuple[Condition, ...], name: str) -> list[object]:
    return list(dict.fromkeys(getattr(condition, name) for condition in conditions))


def _series(index: int, rank: int, conditions: tuple[Condition, ...], within: str) -> Series:
    condition = conditions[index]
    if within == "corruption":
        colour = blend(COLOURS["true"], COLOURS["random"], condition.corruption)
    else:
        colour = _shade(condition, conditions, [within])
    return Series(
        index,
        _words(condition, within),
        colour,
        MARKERS[rank % len(MARKERS)],
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
    """Return a colour for the kind of images, the lighter the later its weight decay comes."""
    colour = INPUT_COLOURS[condition.inputs] if "inputs" in factors else COLOURS["reference"]
    decays = _levels(conditions, "weight_decay")
    if "weight_decay" in factors and len(decays) > 1:
        colour = blend(colour, "#ffffff", 0.45 * decays.index(condition.weight_decay) / (len(decays) - 1))
    return colour
