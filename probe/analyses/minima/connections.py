"""Whether two minima are one: hidden units aligned, straight lines and curves between them."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import closing
from copy import deepcopy
from itertools import combinations

import numpy as np
import numpy.typing as npt

from probe._checks import check_integer, chunks, generator
from probe._matching import Correlations, best_pairs, mirror
from probe._parallel import available_workers, in_threads, single_threaded_blas
from probe._progress import Progress, ProgressEvent, silent
from probe.costs import CostName
from probe.curvature import PopulationCost, population_of, vectors_of
from probe.datasets import Dataset
from probe.layers import ACTIVATIONS
from probe.optimizers import Adam
from probe.population import Population
from probe.results import Record

__all__ = ["Connections", "aligned", "connections"]

Floats = npt.NDArray[np.float64]

_LINE = np.linspace(0.0, 1.0, 25)

_BATCH = 100
_BLOCK = 2000
"""Images at a time in activations of all networks."""

_TOGETHER = 14
"""Curves that are trained together, whatever the number of cores: half of those between eight networks."""

_RATE = 0.01
_STAGE = "connections"


class Connections(Record):
    """What lies between networks of one architecture.

    A barrier is how far the cost climbs, on the way from one network to the other, above the straight line between
    the costs of both ends [1]_; 0 where it does not.

    Attributes
    ----------
    members : ndarray of shape (n,), int64
        Numbers of the networks.
    costs : ndarray of shape (n,)
        Mean cost of each on the training images, without weight decay.
    before, after, curved : ndarray of shape (n, n)
        Barriers between all pairs: on the straight line; on the straight line once the second network's units are
        aligned; on a trained curve to the aligned network. Symmetric, zero on the diagonal.
    position : ndarray of shape (n_points,), in [0, 1]
        Where on the way: 0 and 1 are the ends.
    lines_before, lines_after, curves : ndarray of shape (n_pairs, n_points)
        Costs there, pair by pair.
    function_change : float
        Largest change of a logit by alignment, relative to the largest logit: rounding.

    References
    ----------
    .. [1] J. Frankle et al., "Linear Mode Connectivity and the Lottery Ticket Hypothesis", ICML 2020.
    """

    members: npt.NDArray[np.int64]
    costs: Floats
    before: Floats
    after: Floats
    curved: Floats
    position: Floats
    lines_before: Floats
    lines_after: Floats
    curves: Floats
    function_change: float

    @property
    def disjoint(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Pairs that have no network in common, (0, 1), (2, 3), ...: the replicates among all pairs."""
        first = np.arange(0, len(self.members) - 1, 2)
        return first, first + 1

    def replicates(self, name: str) -> Floats:
        """Return the barriers `name` ("before", "after" or "curved") of the pairs in `disjoint`."""
        return np.asarray(getattr(self, name)[self.disjoint])


def aligned(population: Population, reference: int, data: Dataset) -> Population:
    """Return the networks with their hidden units in the order, and with the signs, that go best with one of them.

    Layer by layer, units are matched by the correlations of their activations over the images, by the Hungarian
    method [1]_ [2]_. Networks of tanh, sigmoid and other odd units have a second symmetry beside the order: the sign
    of a unit; it is aligned too. Each network computes the same function as before, which is checked.

    Parameters
    ----------
    population : Population
        Networks, best of float64.
    reference : int
        The one that stays as it is.
    data : Dataset
        Images over which activations are correlated.

    Raises
    ------
    ArithmeticError
        If a network computes something else afterward.

    References
    ----------
    .. [1] H. W. Kuhn, "The Hungarian Method for the Assignment Problem", Naval Research Logistics Quarterly 2, 1955.
    .. [2] Y. Li et al., "Convergent Learning: Do different neural networks learn the same representations?", ICLR
       2016 (matching units by the correlations of their activations).
    """
    check_integer("reference", reference, minimum=0, maximum=len(population) - 1)
    weights, biases = [w.copy() for w in population.weights], [b.copy() for b in population.biases]
    constant = mirror(ACTIVATIONS[population.architecture.activation])
    for layer, likenesses in enumerate(_likenesses(population, reference, data)):
        for k, likeness in enumerate(likenesses):
            if k == reference:
                continue
            _, order, signs = best_pairs(likeness, signed=constant is not None)
            _reorder(weights, biases, layer, k, order, signs, constant or 0.0)
    found = Population(
        population.architecture, population.input_shape, population.class_names, tuple(weights), tuple(biases)
    )
    if not _change(found, population, data) < 1e-3:
        raise ArithmeticError("alignment changed what a network computes")
    return found


def _blocks(data: Dataset) -> Iterator[Floats]:
    return (data.images[part].astype(np.float64) for part in chunks(len(data), _BLOCK))


def _likenesses(population: Population, reference: int, data: Dataset) -> list[Floats]:
    """Return, for each hidden layer, correlations over images (n_networks, n_units, n_units).

    Of the reference's units with each network's, [k, i, j] of its unit i with unit j of network k; zero for units that
    are the same on all images.
    """
    layers = [Correlations() for _ in population.architecture.hidden]
    for x in _blocks(data):
        for sums, values in zip(layers, population.activations(x), strict=True):
            sums.add(values[reference], values)
    return [sums.values() for sums in layers]


def _change(now: Population, before: Population, data: Dataset) -> float:
    """Return the largest change of a logit over the images, relative to the largest logit."""
    change = largest = 0.0
    for x in _blocks(data):
        was = before.logits(x)
        change = max(change, float(np.abs(now.logits(x) - was).max()))
        largest = max(largest, float(np.abs(was).max()))
    return change / max(1e-30, largest)


def _reorder(
    weights: list[npt.NDArray[np.floating]],
    biases: list[npt.NDArray[np.floating]],
    layer: int,
    k: int,
    order: npt.NDArray[np.intp],
    signs: Floats,
    constant: float,
) -> None:
    """Give network k's units in `layer` this order and these signs, and the next layer what it needs for that."""
    weights[layer][k] = weights[layer][k][order] * signs[:, None]
    biases[layer][k] = biases[layer][k][order] * signs
    above = weights[layer + 1][k][:, order]
    # f(-z) = c - f(z): where the sign changes, w f(z) is w c - w f(-z).
    biases[layer + 1][k] = biases[layer + 1][k] + constant * above[:, signs < 0].sum(axis=1)
    weights[layer + 1][k] = above * signs


def connections(
    population: Population,
    data: Dataset,
    *,
    cost: CostName = "cross-entropy",
    weight_decay: float = 0.0,
    updates: int = 2400,
    seed: int | np.random.Generator = 0,
    progress: Progress = silent,
) -> Connections:
    """Measure what lies between all pairs of networks.

    Parameters
    ----------
    population : Population
        At least 2 networks.
    data : Dataset
        The images that they were trained on.
    cost : {"cross-entropy", "quadratic"}
        What to measure.
    weight_decay : float
        Of the curves' training, at least 0: that of the networks, or else the curves would run below them. It is not in
        the costs.
    updates : int
        Of Adam, for the middle of the quadratic Bézier curves [1]_; at least 0.
    seed : int or numpy.random.Generator
        Draws places on the curves and minibatches.
    progress : callable
        Called with a `ProgressEvent` for each network, and at the end.

    Raises
    ------
    InputError
        If there are fewer than 2 networks.

    References
    ----------
    .. [1] T. Garipov et al., "Loss Surfaces, Mode Connectivity, and Fast Ensembling of DNNs", NeurIPS 2018.
    """
    n = len(population)
    check_integer("the number of networks", n, minimum=2)
    check_integer("updates", updates, minimum=0)
    x: Floats = data.images.reshape(len(data), -1).astype(np.float64)
    function = PopulationCost(population.architecture, x, data.labels, len(population.class_names), cost)
    vectors = vectors_of(population).astype(np.float64)
    costs = function.costs(vectors)
    double = population_of(vectors, population)
    pairs = list(combinations(range(n), 2))
    ends, change = np.empty((len(pairs), vectors.shape[1])), 0.0
    before, after = np.empty((2, len(pairs), len(_LINE)))
    pair = 0
    for i in range(n - 1):
        turned = aligned(double, i, data)
        change = max(change, _change(turned, double, data))
        others = vectors_of(turned)
        for j in range(i + 1, n):
            before[pair] = function.costs(_between(vectors[i], vectors[j]))
            after[pair] = function.costs(_between(vectors[i], others[j]))
            ends[pair] = others[j]
            pair += 1
        progress(ProgressEvent(_STAGE, i + 1, n))
    begins = vectors[[i for i, _ in pairs]]
    middles = _middles(function, begins, ends, weight_decay, updates, generator(seed))
    curves = np.stack([function.costs(_curve(*three)) for three in zip(begins, middles, ends, strict=True)])
    progress(ProgressEvent(_STAGE, n, n))
    return Connections(
        members=np.arange(n),
        costs=costs,
        before=_matrix(n, pairs, before),
        after=_matrix(n, pairs, after),
        curved=_matrix(n, pairs, curves),
        position=_LINE,
        lines_before=before,
        lines_after=after,
        curves=curves,
        function_change=change,
    )


def _between(one: Floats, other: Floats) -> Floats:
    """Return the points of the straight line, of shape (n_points, n_parameters)."""
    return one + _LINE[:, None] * (other - one)


def _curve(one: Floats, middle: Floats, other: Floats) -> Floats:
    """Return the points of the quadratic Bézier curve."""
    t = _LINE[:, None]
    return (1 - t) ** 2 * one + 2 * t * (1 - t) * middle + t**2 * other


def _middles(
    function: PopulationCost,
    one: Floats,
    other: Floats,
    weight_decay: float,
    updates: int,
    rng: np.random.Generator,
) -> Floats:
    """Return middles (n_pairs, n_parameters) of curves of low mean cost; several parts of them are trained at a time."""
    middles, parts = np.empty_like(one), list(chunks(len(one), _TOGETHER))

    def train(part: slice, stop: threading.Event) -> None:
        middles[part] = _bent(function, one, other, part, weight_decay, updates, deepcopy(rng), stop)

    tasks = in_threads(train, parts, workers=available_workers(), stop=threading.Event())
    with single_threaded_blas(), closing(tasks):
        for _ in tasks:
            pass
    return middles


def _bent(
    function: PopulationCost,
    begins: Floats,
    ends: Floats,
    part: slice,
    weight_decay: float,
    updates: int,
    rng: np.random.Generator,
    stop: threading.Event,
) -> Floats:
    """Return the middles of a part of all curves, trained together by Adam: all see the same images."""
    one, other = begins[part], ends[part]
    middle = (one + other) / 2
    adam, flat = Adam(), middle.reshape(-1)
    state = adam.init(flat)
    size = min(_BATCH, len(function.x))
    for update in range(updates):
        if stop.is_set():
            break
        rows = rng.choice(len(function.x), size, replace=False)
        batch = PopulationCost(
            function.architecture,
            function.x[rows],
            function.labels[rows],
            function.sizes[-1],
            function.cost,
            weight_decay,
        )
        t = rng.uniform(size=(len(begins), 1))[part]
        points = (1 - t) ** 2 * one + 2 * t * (1 - t) * middle + t**2 * other
        gradient = 2 * t * (1 - t) * batch.gradient(points)[1]
        rate = _RATE * 0.5 * (1 + np.cos(np.pi * update / updates))
        adam.apply(flat, gradient.reshape(-1), state, float(rate), update + 1)
    return middle


def _matrix(n: int, pairs: Sequence[tuple[int, int]], lines: Floats) -> Floats:
    """Return the barriers of all pairs as a symmetric matrix."""
    straight = lines[:, :1] + _LINE * (lines[:, -1:] - lines[:, :1])
    found = np.zeros((n, n))
    for (i, j), height in zip(pairs, (lines - straight).max(axis=1), strict=True):
        found[i, j] = found[j, i] = max(0.0, float(height))
    return found
