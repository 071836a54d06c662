"""The cost around a network, in many random directions of filter-normalised length."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from probe._checks import Array
from probe._progress import Progress, ProgressEvent
from probe.analyses.landscape.directions import measure_many_lines
from probe.analyses.landscape.results import LossSurface
from probe.costs import CostName
from probe.network import Network
from probe.parameters import ParameterSpace
from probe.planes import measure_plane

__all__ = ["loss_surface"]

_LINE = np.linspace(-1.0, 1.0, 41)


def loss_surface(
    network: Network,
    images: Array,
    labels: npt.NDArray[np.int64],
    *,
    cost: CostName = "cross-entropy",
    resolution: int = 31,
    n_planes: int = 8,
    n_lines: int = 100,
    workers: int = 1,
    rng: np.random.Generator,
    progress: Progress,
) -> LossSurface:
    """Measure `n_planes` planes of `resolution` squared points and `n_lines` lines through the network."""
    space = ParameterSpace(network, cost)
    # An odd number has the network itself in the middle.
    coordinates = np.linspace(-1.0, 1.0, resolution)
    grid = np.stack(np.meshgrid(coordinates, coordinates), axis=-1)
    planes = np.empty((n_planes, resolution, resolution))
    for k in range(n_planes):
        found = measure_plane(space, images, labels, _directions(space, 2, rng), grid, workers=workers)
        planes[k] = found.cost
        progress(ProgressEvent("surface", k + 1, n_planes))
    lines = measure_many_lines(
        space, images, labels, lambda n: _directions(space, n, rng), n_lines, _LINE, workers=workers
    )
    here = space.measure(images, labels)
    return LossSurface(
        coordinates,
        planes,
        _LINE,
        lines.cost,
        lines.accuracy,
        *here,
        len(images),
    )


def _directions(space: ParameterSpace, n: int, rng: np.random.Generator) -> Array:
    drawn = rng.standard_normal((n, space.n_parameters)).astype(space.vector.dtype)
    return np.stack([space.filter_normalized(direction) for direction in drawn])
