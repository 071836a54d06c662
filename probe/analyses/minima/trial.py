"""One trial: some networks of one architecture, trained, polished and measured.

They are brought to the bottom of where they are by L-BFGS, and the curvature there is read by Lanczos iteration.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import fields, replace

import numpy as np
import numpy.typing as npt

from probe._checks import Array, chunks
from probe._parallel import single_threaded_blas
from probe.analyses.minima.design import Measured, MinimaDesign, MinimaKey
from probe.analyses.minima.polish import MEMORY, polished
from probe.analyses.minima.spectrum import LANCZOS_VECTORS, Extremes, extreme_eigenvalues
from probe.curvature import PopulationCost, population_of, vectors_of
from probe.datasets import Dataset, Split
from probe.population import Population, initial_population
from probe.training import PreparedData, Shard, ShardRun

__all__ = ["MinimaTrial", "run_minima_trial"]

Floats = npt.NDArray[np.float64]

_TOGETHER = 32_000_000
"""Values of networks that are worked on together: in float32 128 MB."""


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
        vectors[alive], trained_norm, norm, found = down
        measured["trained_norm"][alive], measured["gradient_norm"][alive] = trained_norm, norm
        for name in ("smallest", "largest", "residual") if found else ():
            measured[name][alive] = np.concatenate([getattr(some, name) for some in found])
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
) -> tuple[Array, Floats, Floats, list[Extremes]] | None:
    """Return the parameters at the bottom, the lengths of the gradients before and there, and the eigenvalues if asked."""
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
    found = list[Extremes]()
    for rows in _together(function, len(points)):
        if design.polish:
            down = polished(function, points[rows], iterations=design.polish, stop=stop)
            if down is None:
                return None
            points[rows] = down
        if design.curvature == "extremes":
            seen, inside = _without_dark(function, points[rows], narrow)
            found.append(extreme_eigenvalues(seen, inside, seed=design.seed))
    gradient = function.gradient(points)[1]
    ended = population_of(points, narrow)
    first = np.zeros((len(points), ended.weights[0].shape[1], lit.size), points.dtype)
    first[:, :, lit] = ended.weights[0]
    whole = replace(ended, input_shape=population.input_shape, weights=(first, *ended.weights[1:]))
    lengths = np.asarray(np.linalg.norm(gradient, axis=1))
    return vectors_of(whole), np.asarray(before), lengths, found


def _together(function: PopulationCost, n_networks: int) -> Iterator[slice]:
    """Split networks into groups whose memories, bases and saved passes leave room for all else."""
    of_each = max(2 * MEMORY, LANCZOS_VECTORS) * function.n_parameters
    of_each += 3 * sum(function.sizes[1:]) * len(function.x)
    return chunks(n_networks, max(1, _TOGETHER // of_each))


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
