"""Recipes of edits, as the page writes them: JSON that may come from anybody."""

from __future__ import annotations

import json
from dataclasses import MISSING, fields
from typing import Any

from probe._checks import InputError, brief, check_choice
from probe._signatures import checked
from probe.interventions.edits import EDITS, MOST_EDITS, Edit
from probe.safeh5 import DEFAULT_LIMITS, DamagedError, check_json, printable

__all__ = ["read_edits"]


@checked
def read_edits(text: str) -> tuple[Edit, ...]:
    """Return the edits of a recipe, as the page writes it.

    Parameters
    ----------
    text : str
        A JSON array such as `[{"op": "silence", "layer": "hidden_1", "unit": 4}]`. Ops are silence, clone and flip (layer,
        unit), prune (share, and a layer if not all) and noise (scale, seed, and a layer if not all).

    Raises
    ------
    InputError
        If it is no such array, has more than 1,000 edits, an unknown op, or keys or values that the op does not have.

    Examples
    --------
    >>> read_edits('[{"op": "prune", "share": 0.5}]')
    (Prune(share=0.5, layer=None),)
    """
    try:
        check_json(text, "the recipe", DEFAULT_LIMITS)
        recipe = json.loads(text, object_pairs_hook=_without_repeats, parse_constant=_refused_constant)
    except (DamagedError, ValueError, RecursionError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"the recipe is no JSON that is read: {printable(error, 120)}") from None
    if not isinstance(recipe, list):
        raise InputError(f"the recipe must be a JSON array of edits, got {brief(recipe, 60)}")
    if len(recipe) > MOST_EDITS:
        raise InputError(f"the recipe must have at most {MOST_EDITS:,} edits, got {len(recipe):,}")
    return tuple(_edit(item, number) for number, item in enumerate(recipe, start=1))


def _edit(item: object, number: int) -> Edit:
    if not isinstance(item, dict):
        raise InputError(f"edit {number} must be a JSON object with an op, got {brief(item, 60)}")
    check_choice(f"op of edit {number}", item.get("op"), EDITS)
    kind = EDITS[item["op"]]
    given: dict[str, Any] = {key: value for key, value in item.items() if key != "op"}
    known = {field.name: field.default for field in fields(kind)}
    needed = [name for name, default in known.items() if default is MISSING]
    if not set(needed) <= set(given) <= set(known):
        words = ", ".join(needed) + ", and layer if it is one layer's" * ("layer" not in needed)
        raise InputError(
            f"edit {number} ({kind.op}) must have {words}; got {printable(', '.join(given) or 'none', 120)}"
        )
    if "layer" in given and not isinstance(given["layer"], str):
        raise InputError(f"edit {number} ({kind.op}): layer must be a name, got {brief(given['layer'], 60)}")
    return kind(**given)


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        raise InputError(
            f"the recipe has an object with a key twice: {printable([key for key, _ in pairs], 120)}"
        )
    return made


def _refused_constant(name: str) -> None:
    raise InputError(f"the recipe must hold finite numbers, got {name}")
