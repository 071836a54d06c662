"""Costs on lines and planes through a network: thousands of points that differ by multiples of few directions.

The first layers' products are linear in the coordinates, so they are computed once for the origin and once
for each direction, and not at every point.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from probe._checks import (
    Array,
    InputError,
    check_finite,
    check_floats,
    check_integer,
    check_shape,
    chunks,
    even_chunks,
)
from probe._graph import Graph, joined
from probe._parallel import in_threads, single_threaded_blas
from probe._signatures import checked
from probe.costs import Evaluation, cost_values, label_positions
from probe.layers import Layer
from probe.parameters import ParameterSpace

__all__ = ["measure_lines", "measure_plane"]

Floats = npt.NDArray[np.float64]
Task = TypeVar("Task")

_VALUES, _PARAMETERS = 600_000, 8
"""Values of the widest moving layer at a time: they stay in a cache between one step and the next. More where
layers have over eight times as many parameters, which are computed anew for each part of the images.
"""

_VALUES_FOR_THREADS = 100_000
"""Values of the widest layer from which a second thread pays."""

_CHUNK = 64
"""Points that a thread takes at a time."""


@checked
def measure_plane(
    space: ParameterSpace,
    images: Array,
    labels: npt.NDArray[np.int64],
    directions: Array,
    coordinates: npt.ArrayLike,
    *,
    origin: Array | None = None,
    workers: int = 1,
) -> Evaluation:
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
    Evaluation
        Of the shape of `coordinates` without its last axis.

    Raises
    ------
    InputError
        If shapes do not fit or a coordinate is not finite.

    Examples
    --------
    >>> from probe.layers import Dense
    >>> from probe.network import Network
    >>> kernel = np.array([[1.0, 0.0], [2.0, -1.0]], dtype=np.float32)
    >>> space = ParameterSpace(Network((Dense("output", kernel, kernel[0] * 0, "softmax"),), input_shape=(2,)))
    >>> images, labels = np.ones((1, 2), dtype=np.float32), np.array([0])
    >>> measure_plane(space, images, labels, space.vector[None], [[-1.0], [0.0]]).cost.round(3)
    array([0.693, 0.018])
    """
    check_integer("workers", workers, minimum=1)
    images, labels = space.checked(images, labels)
    directions = _directions(space, directions)
    points = check_floats("coordinates", coordinates, largest=1e30)
    if points.ndim == 0 or points.shape[-1] != len(directions):
        raise InputError(
            f"coordinates must have shape (..., {len(directions)}), one for each direction, got {points.shape}"
        )
    flat = points.reshape(-1, len(directions))
    parts = list(chunks(len(flat), _CHUNK))
    totals = np.zeros((len(flat), 2))
    plane = _PlaneCosts(space, origin)
    for taken in plane.parts(len(images)):
        fixed = plane.before(images[taken], labels[taken])
        ends = plane.ends(fixed, directions)

        def measured(
            chunk: slice, stop: threading.Event, fixed: _FixedValues = fixed, ends: _Ends = ends
        ) -> None:
            totals[chunk] += plane.along(flat[chunk], directions, fixed, ends)

        _run(measured, parts, workers if plane.pays_threads(len(images)) else 1)
    costs, hits = (totals / len(images)).T
    return Evaluation(costs.reshape(points.shape[:-1]), hits.reshape(points.shape[:-1]))


@checked
def measure_lines(
    space: ParameterSpace,
    images: Array,
    labels: npt.NDArray[np.int64],
    directions: Array,
    lengths: npt.ArrayLike,
    *,
    workers: int = 1,
) -> Evaluation:
    """Measure the networks at these distances along each of many directions.

    Parameters
    ----------
    space, images, labels, workers
        As for `measure_plane`.
    directions : ndarray of shape (n_directions, n_parameters)
        One for each line through the network.
    lengths : array of shape (n_points,)
        How much of the direction, for each point of a line.

    Returns
    -------
    Evaluation
        Of shape (n_directions, n_points).
    """
    check_integer("workers", workers, minimum=1)
    images, labels = space.checked(images, labels)
    directions = _directions(space, directions)
    points = check_floats("lengths", lengths, largest=1e30)
    check_shape("lengths", points.shape, (None,))
    points = points[:, None]
    totals = np.zeros((len(directions), len(points), 2))
    plane = _PlaneCosts(space, None)
    for taken in plane.parts(len(images)):
        fixed = plane.before(images[taken], labels[taken])

        def measured(k: int, stop: threading.Event, fixed: _FixedValues = fixed) -> None:
            line = directions[k : k + 1]
            totals[k] += plane.along(points, line, fixed, plane.ends(fixed, line))

        _run(measured, range(len(directions)), workers if plane.pays_threads(len(images)) else 1)
    totals /= len(images)
    return Evaluation(totals[..., 0].copy(), totals[..., 1].copy())


def _in_type(name: str, values: Array, space: ParameterSpace) -> Array:
    with np.errstate(over="ignore"):
        typed: Array = np.asarray(values, dtype=space.vector.dtype)
    check_finite(name, typed)
    return typed


def _directions(space: ParameterSpace, directions: Array) -> Array:
    typed = _in_type("directions", directions, space)
    check_shape("directions", typed.shape, (None, space.n_parameters))
    return typed


def _run(function: Callable[[Task, threading.Event], None], tasks: Sequence[Task], workers: int) -> None:
    with (
        single_threaded_blas(),
        closing(in_threads(function, tasks, workers=workers, stop=threading.Event())) as done,
    ):
        for _ in done:
            pass


_Ends = dict[int, tuple[Array, ...]]
"""For layers by index, what each direction gives as a pre-activation."""


class _FixedValues(NamedTuple):
    """What a part of the images gives before any point is chosen, by indices of layers.

    `live` are the activations that do not depend on the parameters, `origin` the pre-activations of the origin in
    layers that are linear in the parameters.
    """

    live: dict[int, Array]
    origin: dict[int, Array]
    labels: npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class _Roles:
    """Which layers up to the logits are the same at all points, which can be combined, and which are neither."""

    still: list[int]
    combined: list[int]
    moving: list[int]

    @classmethod
    def of(cls, graph: Graph, head: int) -> _Roles:
        roles = cls([], [], [])
        for index in graph.ancestors([head]):
            layer, sources = graph.layers[index], graph.sources[index]
            depends = any(source in roles.moving for source in sources)
            if not layer.trainable and not depends:
                roles.still.append(index)
                continue
            if layer.has_one_kernel and not depends:
                roles.combined.append(index)
            roles.moving.append(index)
        return roles


class _PlaneCosts:
    """What images cost the networks of a plane."""

    def __init__(self, space: ParameterSpace, origin: Array | None) -> None:
        network = space.network
        self._space = space
        self._origin = space.vector if origin is None else _in_type("origin", origin, space)
        check_shape("origin", self._origin.shape, (space.n_parameters,))
        self._graph = joined(network.layers, network.wiring, network.input_shapes)
        self._head = network.layer_names.index(network.head_name)
        self._later = self._graph.postponed_without([self._head, *self._graph.sources[self._head]])
        self._roles = _Roles.of(self._graph, self._head)
        self._combined = [network.layers[index] for index in self._roles.combined]
        self._rebuilt = [
            network.layers[index]
            for index in self._roles.moving
            if index not in self._roles.combined and network.layers[index].trainable
        ]
        self._slots = space.places(self._rebuilt)
        shapes = list(self._graph.shapes.values())
        self._widest = max(int(np.prod(shapes[index])) for index in self._roles.moving)
        n_rebuilt = sum(slot.stop - slot.start for slot in self._slots)
        self._n_samples = max(1, max(_VALUES, n_rebuilt // _PARAMETERS) // self._widest)

    def parts(self, n_images: int) -> list[slice]:
        """Split the images so that what moves stays in the cache."""
        return list(even_chunks(n_images, self._n_samples))

    def pays_threads(self, n_images: int) -> bool:
        """Return whether arrays are so large that threads wait for memory and BLAS, and not for Python."""
        return bool(min(n_images, self._n_samples) * self._widest >= _VALUES_FOR_THREADS)

    def before(self, images: Array, labels: npt.NDArray[np.int64]) -> _FixedValues:
        """Return what no point changes."""
        layers = self._graph.layers
        live = {-1: images}
        for index in self._roles.still:
            z = layers[index].pre_activation(*self._read(index, live))[0]
            live[index] = self._graph.finished(index, z, self._later)[1]
        return _FixedValues(live, self._combinable(self._origin, live), labels)

    def ends(self, fixed: _FixedValues, directions: Array) -> _Ends:
        """Return what each direction gives in the layers that are linear in it."""
        each = [self._combinable(direction, fixed.live) for direction in directions]
        return {index: tuple(one[index] for one in each) for index in self._roles.combined}

    def _combinable(self, vector: Array, live: dict[int, Array]) -> dict[int, Array]:
        layers = self._space.layers_at(vector, self._combined)
        return {
            index: layers[layer.name].pre_activation(*self._read(index, live))[0]
            for index, layer in zip(self._roles.combined, self._combined, strict=True)
        }

    def along(self, points: Floats, directions: Array, fixed: _FixedValues, ends: _Ends) -> Floats:
        """Return the sums of the costs and the numbers of hits at points (n_points, n_directions)."""
        totals, others = np.empty((len(points), 2)), None
        # One array for all points: fresh memory costs more than what is computed in it.
        room = {index: np.empty_like(origin) for index, origin in fixed.origin.items()}
        for k, point in enumerate(points):
            # Along a row of the grid all coordinates but the first are the same, and so is what they add.
            if others is None or not np.array_equal(point[1:], others):
                others = point[1:]
                bases = {index: _base(fixed.origin[index], ends[index][1:], others) for index in ends}
            totals[k] = self._at(point, directions, fixed, ends, bases, room)
        return totals

    def _at(
        self,
        point: Floats,
        directions: Array,
        fixed: _FixedValues,
        ends: _Ends,
        bases: dict[int, Array],
        room: dict[int, Array],
    ) -> tuple[float, int]:
        layers = self._layers_at(point, directions)
        live = dict(fixed.live)
        # Far out values overflow, and the cost says so.
        with np.errstate(over="ignore", invalid="ignore"):
            for index in self._roles.moving:
                if index in ends:
                    first = ends[index][0]
                    z = np.multiply(first, first.dtype.type(point[0]), out=room[index])
                    z += bases[index]
                else:
                    layer = layers.get(self._graph.layers[index].name, self._graph.layers[index])
                    z = layer.pre_activation(*self._read(index, live))[0]
                if index == self._head:
                    break
                live[index] = self._graph.finished(index, z, self._later)[1]
            logits = np.ascontiguousarray(self._space.network.after_head(z)[0].T)[None]
            positions = label_positions(fixed.labels[None], (1, logits.shape[1], logits.shape[2]))
            costs = cost_values(self._space.cost, self._space.output, logits, positions)
        return float(costs.sum(dtype=np.float64)), _hits(logits[0], fixed.labels)

    def _layers_at(self, point: Floats, directions: Array) -> dict[str, Layer]:
        if not self._rebuilt:
            return {}
        vector = self._origin.copy()
        for slot in self._slots:
            for factor, direction in zip(point, directions, strict=True):
                if factor != 0:
                    vector[slot] += direction[slot] * direction.dtype.type(factor)
        return self._space.layers_at(vector, self._rebuilt)

    def _read(self, index: int, live: dict[int, Array]) -> Sequence[Array]:
        return [live[source] for source in self._graph.sources[index]]


def _hits(logits: Array, labels: npt.NDArray[np.int64]) -> int:
    """Return for how many samples argmax(logits (n_classes, n_samples)) is the label; several times as fast."""
    largest = logits.max(axis=0)
    if np.count_nonzero(logits == largest) == logits.shape[1]:
        return int(np.count_nonzero(logits[labels, np.arange(len(labels))] == largest))
    # Ties, of which argmax takes the first; or no numbers, which equal nothing.
    return int(np.count_nonzero(logits.argmax(axis=0) == labels))


def _base(origin: Array, directions: Sequence[Array], factors: Floats) -> Array:
    """Return the origin and what all directions but the first add to it."""
    for factor, direction in zip(factors, directions, strict=True):
        if factor != 0:
            origin = origin + direction * direction.dtype.type(factor)
    return origin
