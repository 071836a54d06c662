"""The film of a training in the group `/probe/film`: half-precision weights of some moments, and how good they were.

The last moment is the network of the file itself, so it is not there.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from probe._checks import InputError
from probe.film import MOST_FRAMES, MOST_VALUES, Film
from probe.network import Network
from probe.safeh5 import File, Group, printable, shown

__all__ = ["MEASURED", "MOST_ARRAYS", "film_in"]

MEASURED = ("cost", "test_accuracy")
"""Arrays of one number for each moment."""

MOST_ARRAYS = 4_000
"""Most arrays of a network that a film has: those of 2,000 layers."""


def film_in(file: File, group: Group, network: Network) -> Film:
    """Return the film that a group holds of `network`, the one of the file.

    Raises
    ------
    InputError
        If it is damaged, of another network, or larger than what is written. It is the error of `file`.
    """
    parts = _parts(file, group)
    shape, _ = file.describe(group, "updates", kinds="i")
    if len(shape) != 1 or not 1 <= shape[0] <= MOST_FRAMES:
        file.refuse(
            group.name, f"has updates of shape {shape}, expected those of 1 to {MOST_FRAMES:,} moments"
        )
    (n,) = shape
    last = {
        f"{layer.name}/{name}": values for layer in network.layers for name, values in layer.variables.items()
    }
    unknown = next((name for name in parts if name not in last), None)
    if unknown is not None:
        file.refuse(group.name, f"has {shown(unknown)}, which the network has not")
    if n * sum(last[name].size for name in parts) > MOST_VALUES:
        file.refuse(group.name, f"has more than the {MOST_VALUES:,} values that are read")
    file.check_claims([(group, str(index)) for index in range(len(parts))])
    updates = file.array(group, "updates", kinds="i", shape=(n,)).astype(np.int64)
    measured = {name: file.array(group, name, shape=(n,)).astype(np.float64) for name in MEASURED}
    parameters = {}
    for index, (name, scale) in enumerate(parts.items()):
        before = file.array(group, str(index), shape=(n - 1, *last[name].shape)).astype(last[name].dtype)
        with np.errstate(over="ignore"):
            scaled = before * last[name].dtype.type(scale)
        parameters[name] = np.concatenate([scaled, last[name][None]])
    bad = next(
        (name for name, values in (parameters | measured).items() if not np.isfinite(values).all()), None
    )
    if bad is not None:
        file.refuse(group.name, f"has {printable(bad)} that are NaN or infinite")
    try:
        return Film(last=network, updates=updates, parameters=parameters, **measured)
    except InputError as error:
        file.refuse(group.name, f"holds no film: {printable(error, 200)}")


def _parts(file: File, group: Group) -> dict[str, float]:
    """Return the scale of each array by its name."""
    stored: Any = file.json(group, "parameters")
    place = f"attribute 'parameters' of {group.name}"
    if not isinstance(stored, list) or not 1 <= len(stored) <= MOST_ARRAYS:
        file.refuse(place, f"must be a list of 1 to {MOST_ARRAYS:,} arrays")
    parts = dict[str, float]()
    for part in stored:
        name, scale = (part.get("name"), part.get("scale")) if isinstance(part, dict) else (None, None)
        is_new = isinstance(name, str) and name not in parts
        if not (is_new and isinstance(scale, float) and math.isfinite(scale) and scale > 0):
            file.refuse(place, f"must hold a name of its own and a scale above 0 each, got {shown(part)}")
        parts[str(name)] = scale
    return parts
