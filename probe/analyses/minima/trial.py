"""One trial: some networks of one architecture, trained, polished and measured.

They are brought to the bottom of where they are by SciPy's optimizer, and the curvature there is read by Lanczos iteration.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import fields, replace

import numpy as np
import numpy.typing as npt

from probe._checks import Array
from probe._parallel import single_threaded_blas
from probe.analyses.minima.design import Measured, MinimaDesign, MinimaKey
from probe.analyses.minima.symmetry import null_directions
from probe.curvature import Linearized, PopulationCost, population_of, vectors_of
from probe.datasets import Dataset, Split
from probe.population import Population, initial_population
from probe.results import Record
from probe.training import PreparedData, Shard, ShardRun

__all__ = ["Extremes", "MinimaTrial", "extreme_eigenvalues", "polished", "run_minima_trial"]

Floats = npt.NDArray[np.float64]

_MEMORY = 50
"""Pairs of steps and gradients that L-BFGS remembers. With ten, 784-16-16-10 is left with a gradient a hundred times as
long after as many iterations."""

_LANCZOS_VECTORS = 100
"""So many, because most eigenvalues crowd near zero and near the weight decay: with few the iteration comes to rest in
the crowd, and what is below it is not seen."""

_LANCZOS_RESTARTS = 12
_TOLERANCE = 1e-4
"""Of eigenvalues, relative to the largest."""


class MinimaTrial(Measured):
    """The networks of one trial.

    Attributes
    ----------
    weights, biases : tuple of ndarray
        The parameters of those networks that lines are drawn between, the first of the trial; none for others.
    """

    weights: tuple[Array, ...] = ()
    biases: tuple[Array, ...] = ()


def run_minima_trial(
    design: MinimaDesign, key: MinimaKey, split: Split, stop: threading.Event | None = None
) -> MinimaTrial | None:
    """Return the trial at `key`, or None once `stop` is set.

    It depends on the design without its number of networks, on the key and on the data, and on nothing else.
    """
    stop = threading.Event() if stop is None else stop
    architecture = design.architectures[key.architecture]
    data = design.samples(split)
    seeds = [[design.seed, 2, key.architecture, key.first + k] for k in range(key.count)]
    start = initial_population(
        architecture,
        data.image_shape,
        data.class_names,
        rngs=[np.random.default_rng(seed) for seed in seeds],
        dtype=design.config.dtype,
    )
    order_rng = np.random.default_rng([design.seed, 3, key.architecture, key.first])
    with single_threaded_blas():
        few = Split(data, split.test, split.name)
        prepared = PreparedData.of(few, design.config)
        run = ShardRun(Shard(start, few, order_rng), prepared, design.config, stop, lambda cost: None)
        outcome = run.run()
        if outcome.interrupted:
            return None
        failed = outcome.diverged_epoch > 0
        return _measured(design, key, outcome.population, failed, data, split.test, stop)


def _measured(
    design: MinimaDesign,
    key: MinimaKey,
    population: Population,
    failed: npt.NDArray[np.bool_],
    train: Dataset,
    test: Dataset,
    stop: threading.Event,
) -> MinimaTrial | None:
    alive = np.flatnonzero(~failed)
    n_networks = len(failed)
    measured = {
        field.name: np.full((n_networks, 2) if field.name.startswith("half") else n_networks, np.nan)
        for field in fields(Measured)
        if field.name != "is_diverged"
    }
    vectors = vectors_of(population).astype(_dtype(design))
    if len(alive):
        down = _polished(design, population, train, vectors[alive], stop)
        if down is None:
            return None
        vectors[alive], trained_norm, norm, extremes = down
        measured["trained_norm"][alive], measured["gradient_norm"][alive] = trained_norm, norm
        for name in ("smallest", "largest", "residual"):
            measured[name][alive] = getattr(extremes, name)
        final = population_of(vectors[alive], population)
        on_train, *on_halves = (
            final.evaluate(data, design.config.cost) for data in (train, *design.halves(test))
        )
        halves = np.stack([(half.cost, half.accuracy) for half in on_halves], axis=-1)
        shares = np.array([len(half) for half in design.halves(test)]) / len(test)
        measured["train_cost"][alive], measured["train_accuracy"][alive] = on_train.cost, on_train.accuracy
        measured["half_cost"][alive], measured["half_accuracy"][alive] = halves
        measured["test_cost"][alive], measured["test_accuracy"][alive] = halves @ shares
    kept = max(0, min(key.count, design.n_connected - key.first))
    whole = population_of(vectors, population)
    return MinimaTrial(
        **measured,
        is_diverged=failed,
        weights=tuple(w[:kept].copy() for w in whole.weights) if kept else (),
        biases=tuple(b[:kept].copy() for b in whole.biases) if kept else (),
    )


def _polished(
    design: MinimaDesign, population: Population, train: Dataset, vectors: Array, stop: threading.Event
) -> tuple[Array, Floats, Floats, Extremes] | None:
    """Return the parameters at the bottom, the lengths of the gradients before and there, and the eigenvalues."""
    x = train.images.reshape(len(train), -1)
    # Pixels that are dark in every image have no part in the cost, and with weight decay their weights go to zero.
    lit = (x != 0).any(axis=0)
    every = np.ones_like(lit)
    if design.config.weight_decay == 0 or not design.polish or not lit.any():
        lit = every
    wide = population_of(vectors, population)
    narrow = replace(
        wide, input_shape=(int(lit.sum()),), weights=(wide.weights[0][:, :, lit], *wide.weights[1:])
    )
    function = PopulationCost(
        population.architecture,
        x[:, lit].astype(_dtype(design)),
        train.labels,
        train.n_classes,
        design.config.cost,
        design.config.weight_decay,
    )
    points = vectors_of(narrow)
    before = np.linalg.norm(function.gradient(points)[1], axis=1)
    if design.polish:
        down = polished(function, points, iterations=design.polish, stop=stop)
        if down is None:
            return None
        points = down
    if design.curvature == "extremes":
        extremes = extreme_eigenvalues(*_without_dark(function, points, narrow), seed=design.seed)
    else:
        nothing = np.full(len(points), np.nan)
        extremes = Extremes(smallest=nothing, largest=nothing, residual=nothing)
    gradient = function.gradient(points)[1]
    ended = population_of(points, narrow)
    first = np.zeros((len(points), ended.weights[0].shape[1], lit.size), points.dtype)
    first[:, :, lit] = ended.weights[0]
    whole = replace(ended, input_shape=population.input_shape, weights=(first, *ended.weights[1:]))
    lengths = np.asarray(np.linalg.norm(gradient, axis=1))
    return vectors_of(whole), np.asarray(before), lengths, extremes


def _without_dark(function: PopulationCost, points: Array, like: Population) -> tuple[PopulationCost, Array]:
    """Return the cost without the pixels that are dark in every image, where nothing at all depends on their weights."""
    lit = (function.x != 0).any(axis=0)
    if function.weight_decay or lit.all() or not lit.any():
        return function, points
    seen = PopulationCost(
        function.architecture, function.x[:, lit], function.labels, function.sizes[-1], function.cost
    )
    wide = population_of(points, like)
    weights = (wide.weights[0][:, :, lit], *wide.weights[1:])
    return seen, vectors_of(replace(wide, input_shape=(int(lit.sum()),), weights=weights))


def _dtype(design: MinimaDesign) -> str:
    """Return the type to measure in: float64 for slopes and curvature at the bottom."""
    return "float64" if design.polish or design.curvature == "extremes" else design.config.dtype


def polished(
    function: PopulationCost, vectors: Array, *, iterations: int, stop: threading.Event | None = None
) -> Floats | None:
    """Return where L-BFGS gets from each of `vectors` (n_networks, n_parameters) in float64; None once `stop` is set."""
    from scipy.optimize import minimize

    settings = {"maxiter": iterations, "maxcor": _MEMORY, "maxfun": 4 * iterations, "ftol": 0.0, "gtol": 1e-7}
    points = np.array(vectors, dtype=np.float64)

    def value(point: Floats) -> tuple[float, Floats]:
        if stop is not None and stop.is_set():
            raise _Stopped
        costs, gradients = function.gradient(point[None])
        return float(costs[0]), np.asarray(gradients[0])

    try:
        for k, start in enumerate(points):
            points[k] = minimize(value, start, jac=True, method="L-BFGS-B", options=settings).x
    except _Stopped:
        return None
    return points


class _Stopped(Exception):
    """The study was told to stop."""


class Extremes(Record):
    """Extreme eigenvalues of Hessians, each array of shape (n_networks,).

    Attributes
    ----------
    smallest, largest : ndarray
        The eigenvalues, as Lanczos finds them.
    residual : ndarray
        Length of H v - smallest v: an eigenvalue lies within this distance, though a lower one can have been missed.
    """

    smallest: Floats
    largest: Floats
    residual: Floats


def extreme_eigenvalues(function: PopulationCost, vectors: Array, *, seed: int = 0) -> Extremes:
    """Return the smallest and the largest eigenvalue of each network's Hessian, by Lanczos iteration [1]_.

    The directions in which symmetries of a network leave every cost unchanged are left out: at every minimum the curvature
    along them is 0 and says nothing.

    The smallest is sought as the largest of ``largest - H``, so that its tolerance is relative to the largest: most
    eigenvalues of a network's Hessian crowd near zero, where a relative one would never be reached. `vectors` are the
    networks' (n_networks, n_parameters), in float64.

    References
    ----------
    .. [1] R. B. Lehoucq, D. C. Sorensen, C. Yang, "ARPACK Users' Guide", SIAM 1998.
    """
    rng = np.random.default_rng([seed, 6])
    smallest, largest, residual = np.empty((3, len(vectors)))
    for k, vector in enumerate(vectors):
        at, null = function.at(vector[None]), null_directions(function, vector)

        def product(direction: Floats, at: Linearized = at, null: Floats = null) -> Floats:
            inside = _without(null, direction.reshape(-1))
            return _without(null, np.asarray(at.product(inside[None])[0]))

        start = _without(null, rng.normal(size=len(vector)))
        largest[k], _ = _top(product, start)
        # With room above the largest the shifted matrix is positive, also where all eigenvalues are negative; and what is
        # left out, at zero, is never on top.
        shift = max(float(largest[k]), 0.0) + 1e-12

        def gap_product(direction: Floats, shift: float = shift, null: Floats = null) -> Floats:
            return shift * _without(null, direction.reshape(-1)) - product(direction)

        gap, direction = _top(gap_product, start)
        smallest[k] = shift - gap
        residual[k] = np.linalg.norm(product(direction) - smallest[k] * direction)
    return Extremes(smallest=smallest, largest=largest, residual=residual)


def _without(null: Floats, direction: Floats) -> Floats:
    """Return what is left of a direction beside those of an orthonormal basis."""
    return direction - (null @ direction) @ null


def _top(product: Callable[[Floats], Floats], start: Floats) -> tuple[float, Floats]:
    """Return the largest eigenvalue of a symmetric operator with its vector, as far as Lanczos got."""
    from scipy.sparse.linalg import ArpackError, LinearOperator, eigsh

    n = len(start)
    if n <= _LANCZOS_VECTORS:
        values, vectors = np.linalg.eigh(np.stack([product(row) for row in np.eye(n)]))
        return float(values[-1]), np.asarray(vectors[:, -1])
    operator = LinearOperator((n, n), matvec=product, dtype=np.float64)
    settings = {"k": 1, "which": "LA", "v0": start, "ncv": _LANCZOS_VECTORS}
    for looser in (1, 30):
        # A looser answer comes with a residual that says how loose it is.
        try:
            values, vectors = eigsh(
                operator, tol=looser * _TOLERANCE, maxiter=looser * _LANCZOS_RESTARTS, **settings
            )
        except ArpackError:
            continue
        return float(values[0]), np.asarray(vectors[:, 0])
    # Where all directions curve alike, as where all units are dead, ARPACK finds no second one and gives up.
    direction = start / np.linalg.norm(start)
    return float(direction @ product(direction)), direction
