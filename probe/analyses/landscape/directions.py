"""The negative gradient beside random directions, which are drawn a few at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from probe._checks import Array
from probe.parameters import Measured, ParameterSpace
from probe.planes import measure_lines

__all__ = ["STEPS", "decreases", "measure_many_lines", "unit_directions"]

Floats = npt.NDArray[np.float64]

STEPS = np.geomspace(1e-3, 1.0, 7)
"""Lengths of steps, as shares of the length of the parameters that move."""

_VALUES = 1 << 24
"""Values of all directions that are held at a time: a network of a million parameters gets 16."""


def decreases(
    space: ParameterSpace,
    images: Array,
    labels: npt.NDArray[np.int64],
    gradient: Array,
    n_directions: int,
    rng: np.random.Generator,
    *,
    moved: Sequence[slice] | None = None,
    workers: int = 1,
) -> tuple[Floats, Floats]:
    """Return how much the cost falls along the negative gradient (n_steps,), and along others (n_directions, n_steps).

    All have the same lengths, `STEPS`, and lie in the parts `moved` of the parameters, or in all. Along a gradient of
    zero nothing falls.
    """
    places = [slice(None)] if moved is None else moved
    steps = STEPS * np.linalg.norm(np.concatenate([space.vector[place] for place in places]))
    downhill = np.zeros_like(gradient)
    for place in places:
        downhill[place] = -gradient[place]
    norm = np.linalg.norm(downhill)
    if norm > 0:
        downhill /= norm
    # The place itself in the same way, so that no step at all is no difference at all.
    ours = measure_lines(space, images, labels, downhill[None], [0.0, *steps], workers=workers).cost[0]
    others = measure_many_lines(
        space,
        images,
        labels,
        lambda n: unit_directions(space, n, rng, moved),
        n_directions,
        steps,
        workers=workers,
    )
    return ours[0] - ours[1:], ours[0] - others.cost


def measure_many_lines(
    space: ParameterSpace,
    images: Array,
    labels: npt.NDArray[np.int64],
    draw: Callable[[int], Array],
    n_directions: int,
    lengths: npt.ArrayLike,
    *,
    workers: int = 1,
) -> Measured:
    """Return what `measure_lines` does for the directions that `draw(n)` gives, without holding them all."""
    most = max(1, _VALUES // space.n_parameters)
    found = [
        measure_lines(space, images, labels, draw(min(most, n_directions - done)), lengths, workers=workers)
        for done in range(0, n_directions, most)
    ]
    return Measured(
        np.concatenate([part.cost for part in found]), np.concatenate([part.accuracy for part in found])
    )


def unit_directions(
    space: ParameterSpace, n: int, rng: np.random.Generator, moved: Sequence[slice] | None = None
) -> Array:
    """Return `n` random directions of length 1, (n, n_parameters); only in the parts `moved` of it, if given."""
    found: Array = np.zeros((n, space.n_parameters), space.vector.dtype)
    for place in [slice(None)] if moved is None else moved:
        found[:, place] = rng.standard_normal(found[:, place].shape, dtype=np.float32)
    found /= np.linalg.norm(found, axis=1, keepdims=True)
    return found
