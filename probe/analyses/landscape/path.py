"""The way of gradient descent, the straight line from its start to its end, and the plane that it lies in."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from probe._checks import Array, DivergedError
from probe._progress import Progress, ProgressEvent
from probe.analyses.landscape.learning import affordable_updates, descended, hidden_activation, records
from probe.analyses.landscape.results import TrainingPath
from probe.costs import CostName
from probe.datasets import Dataset
from probe.network import Network
from probe.parameters import ParameterSpace
from probe.planes import measure_plane
from probe.training import learning_rate_for, smaller_rates

__all__ = ["training_path"]

Floats = npt.NDArray[np.float64]

LINE = np.linspace(-0.25, 1.25, 61)

_N_RECORDS = 41
_RESOLUTION = 31
_MARGIN = 0.25
_N_WALKS = 20
_WALK_DIMENSIONS = 2000
_BLOCK = 100_000
"""Parameters at a time in products of points."""


def training_path(
    start: Network,
    train: Dataset,
    images: Array,
    labels: npt.NDArray[np.int64],
    *,
    cost: CostName,
    updates: int,
    workers: int,
    rng: np.random.Generator,
    progress: Progress,
) -> TrainingPath:
    """Train from `start` on `train`; measure on `images` and `labels`."""
    space = ParameterSpace(start, cost)
    stops = records(affordable_updates(start, updates), _N_RECORDS)
    path, rate = _path(space, train, stops, learning_rate_for(hidden_activation(start)), rng, progress)
    end = path[-1]
    costs, accuracies = np.array([space.measure(images, labels, point) for point in path]).T
    line = measure_plane(
        space, images, labels, (end - path[0])[None], LINE[:, None], origin=path[0], workers=workers
    )
    components, projected, explained = _principal(path)
    axes = _axis(projected[:, 0]), _axis(projected[:, 1])
    grid = np.stack(np.meshgrid(*axes), axis=-1)
    plane = measure_plane(space, images, labels, components, grid, origin=end, workers=workers)
    lengths = np.linalg.norm(np.diff(path, axis=0), axis=1).astype(np.float64)
    return TrainingPath(
        stops,
        costs,
        accuracies,
        LINE,
        line.cost,
        line.accuracy,
        projected,
        explained,
        _walk_shares(lengths, min(space.n_parameters, _WALK_DIMENSIONS), rng),
        axes,
        plane.cost,
        rate,
    )


def _path(
    space: ParameterSpace,
    train: Dataset,
    stops: npt.NDArray[np.int64],
    largest_rate: float,
    rng: np.random.Generator,
    progress: Progress,
) -> tuple[Array, float]:
    """Return the parameters on the way, with a smaller rate where gradient descent diverges."""
    seed = int(rng.integers(2**31))
    for rate in smaller_rates(largest_rate):
        points = []
        everything = [slice(0, space.n_parameters)]
        way = descended(
            space, train, moved=everything, learning_rate=rate, stops=stops, rng=np.random.default_rng(seed)
        )
        for point in way:
            points.append(point)
            progress(ProgressEvent("path", len(points), len(stops)))
        if np.isfinite(points[-1]).all():
            return np.stack(points), rate
    raise DivergedError(f"gradient descent diverges from this network's start even at rate {rate:g}")


def _principal(path: Array) -> tuple[Array, Floats, Floats]:
    """Return the first two principal components, the path on them seen from its end, and their shares.

    From the products of the points with each other: a path has few points of many parameters.
    """
    centred = path - path.mean(axis=0, dtype=np.float64).astype(path.dtype)
    products = np.zeros((len(path), len(path)))
    for begin in range(0, path.shape[1], _BLOCK):
        block = centred[:, begin : begin + _BLOCK].astype(np.float64)
        products += block @ block.T
    variances, scores = np.linalg.eigh(products)
    variances, scores = variances[::-1].clip(0), scores[:, ::-1]
    kept = min(2, int((variances > 1e-12 * variances[0]).sum())) if variances[0] > 0 else 0
    components, seen, shares = np.zeros((2, path.shape[1]), path.dtype), np.zeros((len(path), 2)), np.zeros(2)
    for k in range(kept):
        length = np.sqrt(variances[k])
        along = scores[:, k] * length
        # Both signs are components; with these the path comes from the left and from above.
        sign = -1.0 if (along[0] - along[-1] > 0) == (k == 0) else 1.0
        components[k] = (sign / length * scores[:, k]).astype(path.dtype) @ centred
        seen[:, k] = sign * (along - along[-1])
        shares[k] = variances[k] / variances.sum()
    return components, seen, shares


def _axis(values: Floats) -> Floats:
    low, high = float(values.min()), float(values.max())
    margin = _MARGIN * max(high - low, 1e-3)
    return np.linspace(low - margin, high + margin, _RESOLUTION)


def _walk_shares(lengths: Floats, dimensions: int, rng: np.random.Generator) -> Floats:
    """Return the mean shares of the first two components of random walks with these steps."""
    found = np.zeros((_N_WALKS, 2))
    for k in range(_N_WALKS):
        steps = rng.normal(size=(len(lengths), dimensions))
        steps *= (lengths / np.linalg.norm(steps, axis=1))[:, None]
        found[k] = _principal(np.vstack([np.zeros(dimensions), np.cumsum(steps, axis=0)]))[2]
    return np.asarray(found.mean(axis=0))
