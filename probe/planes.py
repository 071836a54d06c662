"""Costs on lines and planes through a network: thousands of points that differ by multiples of few directions.

The first layers' products are linear in the coordinates, so they are computed once for the origin and once
for each direction, and not at every point.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from probe._checks import Array, InputError, check_finite, check_shape
from probe._graph import Graph, activated, joined
from probe._parallel import in_threads, single_threaded_blas
from probe.costs import cost_values, label_positions
from probe.layers import Conv2D, Conv2DTranspose, Dense, DepthwiseConv2D, Layer
from probe.parameters import Measured, ParameterSpace

__all__ = ["measure_plane"]

Floats = npt.NDArray[np.float64]

_LINEAR = (Conv2D, Conv2DTranspose, Dense, DepthwiseConv2D)
"""Layers whose pre-activation is linear in all that they learn, so that it can be combined from a few."""

_VALUES = 200_000
"""Values of the widest moving layer at a time: they stay in the cache between one step and the next."""

_LEAST_SAMPLES = 250
_CHUNK = 64
"""Points that a thread takes at a time."""


def measure_plane(
    space: ParameterSpace,
    images: Array,
    labels: npt.NDArray[np.int64],
    directions: Array,
    coordinates: npt.ArrayLike,
    *,
    origin: Array | None = None,
    workers: int = 1,
) -> Measured:
    """Measure the networks at ``origin + coordinates @ directions``.

    Parameters
    ----------
    space : ParameterSpace
        Of the network.
    images : ndarray of shape (n_samples, *input_shape), float
        Images.
    labels : ndarray of shape (n_samples,), int64
        Their classes.
    directions : ndarray of shape (n_directions, n_parameters)
        One for a line, two for a plane, or more.
    coordinates : array of shape (..., n_directions)
        How much of each direction, for each point.
    origin : ndarray of shape (n_parameters,), optional
        Where all coordinates are zero; the network itself without.
    workers : int
        Threads. The result does not depend on it.

    Returns
    -------
    Measured
        Of the shape of `coordinates` without its last axis.

    Raises
    ------
    InputError
        If shapes do not fit or a coordinate is not finite.

    Examples
    --------
    >>> from probe.network import Network
    >>> kernel = np.array([[1.0, 0.0], [2.0, -1.0]], dtype=np.float32)
    >>> space = ParameterSpace(Network((Dense("output", kernel, kernel[0] * 0, "softmax"),), input_shape=(2,)))
    >>> images, labels = np.ones((1, 2), dtype=np.float32), np.array([0])
    >>> measure_plane(space, images, labels, space.vector[None], [[-1.0], [0.0]]).cost.round(3)
    array([0.693, 0.018])
    """
    images, labels = space.checked(images, labels)
    directions = np.asarray(directions, dtype=space.vector.dtype)
    check_shape("directions", directions.shape, (None, space.n_parameters))
    points = np.asarray(coordinates, dtype=np.float64)
    check_finite("coordinates", points)
    if points.ndim == 0 or points.shape[-1] != len(directions):
        raise InputError(
            f"coordinates must have shape (..., {len(directions)}), one for each direction, got {points.shape}"
        )
    start = space.vector if origin is None else np.asarray(origin, dtype=space.vector.dtype)
    check_shape("origin", start.shape, (space.n_parameters,))
    walk = _Walk(space, start, directions)
    flat = points.reshape(-1, len(directions))
    chunks = [slice(begin, begin + _CHUNK) for begin in range(0, len(flat), _CHUNK)]
    costs, hits = np.zeros(len(flat)), np.zeros(len(flat), np.int64)
    with single_threaded_blas():
        for begin in range(0, len(images), walk.n_samples):
            taken = slice(begin, begin + walk.n_samples)
            seen = walk.before(images[taken])

            def measured(
                chunk: slice, stop: threading.Event, seen: _Seen = seen, taken: slice = taken
            ) -> None:
                others: Floats | None = None
                for k in range(*chunk.indices(len(flat))):
                    # Along a row of the grid all coordinates but the first are the same, and so is what they add.
                    if others is None or not np.array_equal(flat[k, 1:], others):
                        others = flat[k, 1:]
                        bases = {place: _base(values, others) for place, values in seen.combined.items()}
                    cost, hit = walk.at(flat[k], seen, bases, labels[taken])
                    costs[k] += cost
                    hits[k] += hit

            stop = threading.Event()
            with closing(in_threads(measured, chunks, workers=workers, stop=stop)) as done:
                for _ in done:
                    pass
    shape = points.shape[:-1]
    return Measured((costs / len(images)).reshape(shape), (hits / len(images)).reshape(shape))


class _Seen(NamedTuple):
    """What a part of the images gives before any point is chosen, by places of layers.

    `live` are the activations that do not depend on the parameters, `combined` the pre-activations of the origin
    and of each direction in layers that are linear in the parameters.
    """

    live: dict[int, Array]
    combined: dict[int, tuple[Array, ...]]


@dataclass(frozen=True, slots=True)
class _Roles:
    """Which layers up to the logits are the same at all points, which can be combined, and which are neither."""

    still: list[int]
    combined: list[int]
    moving: list[int]

    @classmethod
    def of(cls, graph: Graph, head: int) -> _Roles:
        found = cls([], [], [])
        for place in graph.ancestors([head]):
            layer, sources = graph.layers[place], graph.sources[place]
            depends = any(source in found.moving for source in sources)
            if not layer.learned and not depends:
                found.still.append(place)
                continue
            if isinstance(layer, _LINEAR) and not depends:
                found.combined.append(place)
            found.moving.append(place)
        return found


class _Walk:
    """The way of images through the networks of a plane."""

    def __init__(self, space: ParameterSpace, origin: Array, directions: Array) -> None:
        network = space.network
        self._space, self._origin, self._directions = space, origin, directions
        self._graph = joined(network.layers, network.wiring, network.input_shapes)
        self._head = network.layer_names.index(network.head_name)
        self._roles = _Roles.of(self._graph, self._head)
        self._rebuilt = [
            network.layers[place]
            for place in self._roles.moving
            if place not in self._roles.combined and network.layers[place].learned
        ]
        shapes = list(self._graph.shapes.values())
        widest = max(int(np.prod(shapes[place])) for place in self._roles.moving)
        self.n_samples = max(_LEAST_SAMPLES, _VALUES // widest)

    def before(self, images: Array) -> _Seen:
        """Return what no point changes."""
        layers = self._graph.layers
        live = {-1: images}
        for place in self._roles.still:
            z = layers[place].linear(*self._read(place, live))[0]
            live[place] = activated(layers[place], z)[0]
        chosen = [layers[place] for place in self._roles.combined]
        vectors = [self._origin, *self._directions]
        ends = [self._space.layers_at(vector, chosen) for vector in vectors]
        combined = {
            place: tuple(end[layers[place].name].linear(*self._read(place, live))[0] for end in ends)
            for place in self._roles.combined
        }
        return _Seen(live, combined)

    def at(
        self, point: Floats, seen: _Seen, bases: dict[int, Array], labels: npt.NDArray[np.int64]
    ) -> tuple[float, int]:
        """Return the sum of the costs and the number of hits at a point."""
        layers = self._layers_at(point)
        live = dict(seen.live)
        # Far out values overflow, and the cost says so.
        with np.errstate(over="ignore", invalid="ignore"):
            for place in self._roles.moving:
                if place in seen.combined:
                    first = seen.combined[place][1]
                    z: Array = first * first.dtype.type(point[0])
                    z += bases[place]
                else:
                    layer = layers.get(self._graph.layers[place].name, self._graph.layers[place])
                    z = layer.linear(*self._read(place, live))[0]
                if place == self._head:
                    break
                live[place] = activated(self._graph.layers[place], z)[0]
            logits = np.ascontiguousarray(self._space.network.after_head(z)[0].T)[None]
            positions = label_positions(labels[None], (1, logits.shape[1], logits.shape[2]))
            costs = cost_values(self._space.cost, self._space.output, logits, positions)
        return float(costs.sum(dtype=np.float64)), _hits(logits[0], labels)

    def _layers_at(self, point: Floats) -> dict[str, Layer]:
        if not self._rebuilt:
            return {}
        vector = self._origin + point.astype(self._origin.dtype) @ self._directions
        return self._space.layers_at(vector, self._rebuilt)

    def _read(self, place: int, live: dict[int, Array]) -> Sequence[Array]:
        return [live[source] for source in self._graph.sources[place]]


def _hits(logits: Array, labels: npt.NDArray[np.int64]) -> int:
    """Return for how many samples argmax(logits (n_classes, n_samples)) is the label; several times as fast."""
    largest = logits.max(axis=0)
    if np.count_nonzero(logits == largest) == logits.shape[1]:
        return int(np.count_nonzero(logits[labels, np.arange(len(labels))] == largest))
    # Ties, of which argmax takes the first; or no numbers, which equal nothing.
    return int(np.count_nonzero(logits.argmax(axis=0) == labels))


def _base(values: tuple[Array, ...], others: Floats) -> Array:
    """Return values[0] + sum of others[k] * values[k + 2]: what all directions but the first add."""
    found: Array = values[0]
    for factor, direction in zip(others, values[2:], strict=True):
        found = found + direction * direction.dtype.type(factor)
    return found
