"""Random directions of length 1, and the cost along them, a few at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import numpy.typing as npt

from probe._checks import Array
from probe.analyses.landscape.path import Look
from probe.costs import Evaluation
from probe.parameters import ParameterSpace
from probe.planes import measure_lines

__all__ = ["measure_many_lines", "portions", "unit_directions"]

_VALUES = 1 << 24
"""Values of all directions that are held at a time: a network of a million parameters gets 16."""


def portions(space: ParameterSpace, n_directions: int) -> Iterator[int]:
    """Split `n_directions` into numbers of directions that can be held at a time."""
    most = max(1, _VALUES // space.n_parameters)
    for done in range(0, n_directions, most):
        yield min(most, n_directions - done)


def measure_many_lines(
    space: ParameterSpace,
    look: Look,
    draw: Callable[[int], Array],
    n_directions: int,
    lengths: npt.ArrayLike,
) -> Evaluation:
    """Return what `measure_lines` does for the directions that `draw(n)` gives, without holding them all."""
    images, labels = look.data.images, look.data.labels
    measured = [
        measure_lines(space, images, labels, draw(n), lengths, workers=look.workers)
        for n in portions(space, n_directions)
    ]
    return Evaluation(
        np.concatenate([part.cost for part in measured]),
        np.concatenate([part.accuracy for part in measured]),
    )


def unit_directions(
    space: ParameterSpace, n: int, rng: np.random.Generator, moved: Sequence[slice] = (slice(None),)
) -> Array:
    """Return `n` random directions of length 1, (n, n_parameters), in the parts `moved` of the parameters."""
    directions: Array = np.zeros((n, space.n_parameters), space.vector.dtype)
    for part in moved:
        directions[:, part] = rng.standard_normal(directions[:, part].shape, dtype=np.float32)
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    return directions
