"""The way of gradient descent on minibatches, for networks of any layers: its cost, and where it leads."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from probe._checks import Array, DivergedError
from probe._progress import Progress, ProgressEvent
from probe.analyses.landscape.minibatches import descended
from probe.analyses.landscape.plane import axis_along, principal
from probe.costs import CostName
from probe.datasets import Dataset
from probe.layers import ACTIVATIONS
from probe.network import Network
from probe.parameters import ParameterSpace
from probe.planes import measure_plane
from probe.results import Record
from probe.training import learning_rate_for, smaller_rates

__all__ = [
    "Look",
    "TrainingPath",
    "affordable_updates",
    "hidden_activation",
    "last_hidden",
    "records",
    "training_path",
    "with_activation",
]

Floats = npt.NDArray[np.float64]

_DESCENT = 5_000_000_000
"""Multiplications for one image times updates, a minute of one core: a small convolutional network gets all updates."""

_FEWEST_UPDATES = 60

_LINE = np.linspace(-0.25, 1.25, 61)

_N_RECORDS = 41
_N_WALKS = 20
_WALK_DIMENSIONS = 2000


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """How all parts of a landscape are looked at.

    Attributes
    ----------
    data : Dataset
        Images that costs are means over.
    cost : {"cross-entropy", "quadratic"}
        Cost to measure.
    workers : int
        Threads that work at the same time.
    progress : callable
        Called on the way.
    """

    data: Dataset
    cost: CostName
    workers: int
    progress: Progress


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


def training_path(
    start: Network, train: Dataset, look: Look, *, updates: int, rng: np.random.Generator
) -> TrainingPath:
    """Train from `start` on `train`."""
    space, images, labels = ParameterSpace(start, look.cost), look.data.images, look.data.labels
    stops = records(affordable_updates(start, updates), _N_RECORDS)
    path, rate = _path(space, train, stops, rng, look)
    end = path[-1]
    costs, accuracies = np.array([space.measure(images, labels, point) for point in path]).T
    line = measure_plane(
        space, images, labels, (end - path[0])[None], _LINE[:, None], origin=path[0], workers=look.workers
    )
    components, projected, explained = principal(path)
    axes = axis_along(projected[:, 0]), axis_along(projected[:, 1])
    grid = np.stack(np.meshgrid(*axes), axis=-1)
    plane = measure_plane(space, images, labels, components, grid, origin=end, workers=look.workers)
    lengths = np.linalg.norm(np.diff(path, axis=0), axis=1).astype(np.float64)
    return TrainingPath(
        updates=stops,
        cost=costs,
        accuracy=accuracies,
        line=_LINE,
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
    rng: np.random.Generator,
    look: Look,
) -> tuple[Array, float]:
    """Return the parameters on the way, and the rate: a smaller one where gradient descent diverges."""
    seed, everything = int(rng.integers(2**31)), [slice(None)]
    for rate in smaller_rates(learning_rate_for(hidden_activation(space.network))):
        points = []
        way = descended(space, train, everything, rate, stops, np.random.default_rng(seed), look.workers)
        for point in way:
            points.append(point)
            look.progress(ProgressEvent("path", len(points), len(stops)))
        if np.isfinite(points[-1]).all():
            return np.stack(points), rate
    raise DivergedError(f"gradient descent diverges from this network's start even at rate {rate:g}")


def _walk_shares(lengths: Floats, dimensions: int, rng: np.random.Generator) -> Floats:
    """Return the mean shares of the first two components of random walks with these steps."""
    shares = np.zeros((_N_WALKS, 2))
    for k in range(_N_WALKS):
        steps = rng.normal(size=(len(lengths), dimensions))
        steps *= (lengths / np.linalg.norm(steps, axis=1))[:, None]
        shares[k] = principal(np.vstack([np.zeros(dimensions), np.cumsum(steps, axis=0)]))[2]
    return np.asarray(shares.mean(axis=0))


def affordable_updates(network: Network, most: int) -> int:
    """Return `most`, or fewer updates for a network whose images cost many multiplications."""
    return max(min(most, _FEWEST_UPDATES), min(most, _DESCENT // network.n_multiplications))


def hidden_activation(network: Network) -> str:
    """Return the activations of the layers before the output, named once each, such as "sigmoid"."""
    names = (network.layers[index].activation.name for index in _hidden(network))
    return ", ".join(dict.fromkeys(names))


def last_hidden(network: Network) -> tuple[str, ...]:
    """Return the names of the layers up to the last activation in front of the output; none where there is no such."""
    places = _hidden(network)
    return network.layer_names[: places[-1] + 1] if places else ()


def _hidden(network: Network) -> list[int]:
    head = network.layer_names.index(network.head_name)
    return [
        index
        for index in range(head)
        if network.layers[index].activation.name in ACTIVATIONS.keys() - {"linear"}
    ]


def with_activation(network: Network, name: str) -> Network:
    """Return `network` with the activation `name` in place of every other in front of its output layer."""
    layers = list(network.layers)
    for index in _hidden(network):
        layers[index] = layers[index].with_activation(name)
    return replace(network, layers=tuple(layers))


def records(n_updates: int, n_records: int) -> npt.NDArray[np.int64]:
    """Return after how many updates to look: 0, the last, and between them ever less often."""
    return np.unique(np.rint(n_updates * np.linspace(0, 1, n_records) ** 2).astype(np.int64))
