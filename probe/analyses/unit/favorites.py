"""The images that units would like best, looked for or taken from what was found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from probe._checks import Array, IntArray
from probe.analyses.maximize import Maximization, maximize
from probe.analyses.unit.measuring import Place, places
from probe.network import Network
from probe.objectives import unit

__all__ = ["Favorite", "favorites_of", "images_of", "maximized"]


class Favorite(NamedTuple):
    """An image that a unit likes, its value there, and bounds on that value."""

    image: Array
    value: float
    lower: float
    upper: float


def maximized(network: Network, chosen: Mapping[Place, IntArray], rng: np.random.Generator) -> Maximization:
    """Return what gradient ascent finds for the chosen units."""
    objectives = [unit(place.layer, int(k)) for place, units in chosen.items() for k in units]
    return maximize(network, objectives, seed=rng)


def favorites_of(network: Network, found: Sequence[Maximization]) -> dict[tuple[str, int], Favorite]:
    """Return the favorite image of each unit that was looked for, the best one of several."""
    best = dict[tuple[str, int], Favorite]()
    outputs = [place.layer for place in places(network) if place.is_output]
    for one in found:
        images, values = one.best_images, one.best_values
        for k, objective in enumerate(one.objectives):
            (weight, term), *more = network.terms_of(objective)
            if more or weight <= 0 or term.position is not None or term.stage != "pre_activation":
                continue
            key = (next(iter(outputs), "") if term.layer is None else term.layer, term.index)
            numbers = (float(each) / weight for each in (values[k], one.bounds.lower[k], one.bounds.upper[k]))
            favorite = Favorite(images[k], *numbers)
            if key not in best or favorite.value > best[key].value:
                best[key] = favorite
    return best


def images_of(found: Sequence[Favorite | None], shape: tuple[int, ...]) -> Array | None:
    """Return favorite images (n_units, *shape), NaN where there is none; None if there is none at all."""
    if not any(found):
        return None
    return np.stack([np.full(shape, np.nan, np.float32) if one is None else one.image for one in found])
