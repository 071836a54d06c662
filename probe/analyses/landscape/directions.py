"""Random directions through a network, drawn a few at a time, and the cost along them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from probe._checks import Array
from probe.parameters import Measured, ParameterSpace
from probe.planes import measure_lines

__all__ = ["measure_many_lines", "unit_directions"]

_VALUES = 1 << 24
"""Values of all directions that are held at a time: a network of a million parameters gets 16."""


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
