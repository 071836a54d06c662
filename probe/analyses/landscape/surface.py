"""The cost on lines and planes: on the way of gradient descent, and around a network."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from probe._checks import Array, DivergedError
from probe._progress import Progress, ProgressEvent
from probe.analyses.landscape.descent import measure_many_lines
from probe.analyses.landscape.learning import affordable_updates, descended, hidden_activation, records
from probe.costs import CostName
from probe.datasets import Dataset
from probe.network import Network
from probe.parameters import ParameterSpace
from probe.planes import measure_plane
from probe.results import Record
from probe.training import learning_rate_for, smaller_rates

__all__ = ["LossSurface", "TrainingPath", "loss_surface", "training_path"]

Floats = npt.NDArray[np.float64]

_PATH_LINE = np.linspace(-0.25, 1.25, 61)

_N_RECORDS = 41
_RESOLUTION = 31
_MARGIN = 0.25
_N_WALKS = 20
_WALK_DIMENSIONS = 2000
_BLOCK = 100_000
"""Parameters at a time in products of points."""

_SURFACE_LINE = np.linspace(-1.0, 1.0, 41)


class TrainingPath(Record):
    """The way of gradient descent from a fresh start of the network's layers.

    Attributes
    ----------
    updates : ndarray of shape (n_records,), int64
        Updates after which the parameters were recorded, from 0.
    cost, accuracy : ndarray of shape (n_records,)
        On the images of the surface, at these points.
    line : ndarray of shape (n_points,)
        Places on the straight line: 0 is the start, 1 the end.
    line_cost, line_accuracy : ndarray of shape (n_points,)
        There.
    projected : ndarray of shape (n_records, 2)
        The path on its first two principal components, in units of the parameters; the end is (0, 0).
    explained : ndarray of shape (2,), in [0, 1]
        Shares of the path's variance that the two components have.
    random_walk : ndarray of shape (2,), in [0, 1]
        The same of a random walk with steps of the same lengths: what a path without direction would show.
    axes : tuple of ndarray of shape (n,)
        Coordinates of the plane's grid, along the first and the second component.
    plane_cost : ndarray of shape (n, n)
        Cost on the plane through the end, `plane_cost[j, i]` at (axes[0][i], axes[1][j]).
    learning_rate : float
        Of plain gradient descent on minibatches of 100.
    """

    updates: npt.NDArray[np.int64]
    cost: Floats
    accuracy: Floats
    line: Floats
    line_cost: Floats
    line_accuracy: Floats
    projected: Floats
    explained: Floats
    random_walk: Floats
    axes: tuple[Floats, Floats]
    plane_cost: Floats
    learning_rate: float

    @property
    def rise(self) -> float:
        """How far the cost climbs on the straight line above the higher of its ends; 0 where by no more than rounding."""
        between = (self.line >= 0) & (self.line <= 1)
        higher = max(self.cost[0], self.cost[-1])
        climb = self.line_cost[between].max() - higher
        return float(climb) if climb > 1e-5 * higher else 0.0


class LossSurface(Record):
    """The cost around a network, in random directions in which each filter is as long as the network's.

    Attributes
    ----------
    coordinates : ndarray of shape (n,)
        Places along each direction; 0 is the network.
    planes : ndarray of shape (n_planes, n, n)
        Costs on planes of two directions each.
    line_coordinates : ndarray of shape (m,)
        Places along the lines.
    lines, line_accuracy : ndarray of shape (n_lines, m)
        Costs and accuracies along single directions.
    cost, accuracy : float
        At the network itself.
    n_images : int
        Training images that all this is measured on.
    """

    coordinates: Floats
    planes: Floats
    line_coordinates: Floats
    lines: Floats
    line_accuracy: Floats
    cost: float
    accuracy: float
    n_images: int

    @property
    def lowest_share(self) -> float:
        """Share of the lines on which no point is lower than the network by more than rounding."""
        return float((~(self.lines < self.cost * (1 - 1e-5))).all(axis=1).mean())

    @property
    def line_median(self) -> Floats:
        """Median cost over the lines at each of `line_coordinates`."""
        return np.asarray(np.median(self.lines, axis=0))

    @property
    def line_band(self) -> Floats:
        """The middle 90% of the costs there, (2, m)."""
        return np.asarray(np.quantile(self.lines, [0.05, 0.95], axis=0))


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
        space, images, labels, (end - path[0])[None], _PATH_LINE[:, None], origin=path[0], workers=workers
    )
    components, projected, explained = _principal(path)
    axes = _axis(projected[:, 0]), _axis(projected[:, 1])
    grid = np.stack(np.meshgrid(*axes), axis=-1)
    plane = measure_plane(space, images, labels, components, grid, origin=end, workers=workers)
    lengths = np.linalg.norm(np.diff(path, axis=0), axis=1).astype(np.float64)
    return TrainingPath(
        updates=stops,
        cost=costs,
        accuracy=accuracies,
        line=_PATH_LINE,
        line_cost=line.cost,
        line_accuracy=line.accuracy,
        projected=projected,
        explained=explained,
        random_walk=_walk_shares(lengths, min(space.n_parameters, _WALK_DIMENSIONS), rng),
        axes=axes,
        plane_cost=plane.cost,
        learning_rate=rate,
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
    shares = np.zeros((_N_WALKS, 2))
    for k in range(_N_WALKS):
        steps = rng.normal(size=(len(lengths), dimensions))
        steps *= (lengths / np.linalg.norm(steps, axis=1))[:, None]
        shares[k] = _principal(np.vstack([np.zeros(dimensions), np.cumsum(steps, axis=0)]))[2]
    return np.asarray(shares.mean(axis=0))


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
        planes[k] = measure_plane(
            space, images, labels, _directions(space, 2, rng), grid, workers=workers
        ).cost
        progress(ProgressEvent("surface", k + 1, n_planes))
    lines = measure_many_lines(
        space, images, labels, lambda n: _directions(space, n, rng), n_lines, _SURFACE_LINE, workers=workers
    )
    cost_here, accuracy = space.measure(images, labels)
    return LossSurface(
        coordinates=coordinates,
        planes=planes,
        line_coordinates=_SURFACE_LINE,
        lines=lines.cost,
        line_accuracy=lines.accuracy,
        cost=cost_here,
        accuracy=accuracy,
        n_images=len(images),
    )


def _directions(space: ParameterSpace, n: int, rng: np.random.Generator) -> Array:
    drawn = rng.standard_normal((n, space.n_parameters)).astype(space.vector.dtype)
    return np.stack([space.filter_normalized(direction) for direction in drawn])
