"""One trial: some networks of one architecture, trained, polished and measured."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from probe._checks import Array, readonly
from probe._parallel import single_threaded_blas
from probe.analyses.minima.design import MinimaDesign, MinimaKey
from probe.analyses.minima.polish import Extremes, extreme_eigenvalues, polished
from probe.curvature import PopulationCost, population_of, vectors_of
from probe.datasets import Dataset, Split
from probe.population import Population, initial_population
from probe.training import PreparedData, Shard, ShardRun

__all__ = ["MinimaTrial", "run_minima_trial"]

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class MinimaTrial:
    """What the networks of one trial are, each array of shape (n_networks,) unless it says otherwise.

    Attributes
    ----------
    train_cost, test_cost : ndarray
        Mean costs without weight decay; NaN where the network diverged, as everything below.
    half_cost : ndarray of shape (n_networks, 2)
        Test costs on two halves of the test images, drawn at random.
    train_accuracy, test_accuracy : ndarray, in [0, 1]
    half_accuracy : ndarray of shape (n_networks, 2), in [0, 1]
        Test accuracies on the two halves.
    gradient_norm, trained_norm : ndarray
        Length of the gradient of the training cost with weight decay: at the end, and before polishing.
    smallest, largest, residual : ndarray
        Extreme eigenvalues of the Hessian of the same cost, and within what of the smallest there is one; NaN where
        not measured.
    is_diverged : ndarray of bool
        Networks whose training failed.
    weights, biases : tuple of ndarray
        The parameters of those networks that lines are drawn between, the first of the trial; none for others.
    """

    train_cost: Floats
    test_cost: Floats
    half_cost: Floats
    train_accuracy: Floats
    test_accuracy: Floats
    half_accuracy: Floats
    gradient_norm: Floats
    trained_norm: Floats
    smallest: Floats
    largest: Floats
    residual: Floats
    is_diverged: npt.NDArray[np.bool_]
    weights: tuple[Array, ...] = ()
    biases: tuple[Array, ...] = ()

    def __post_init__(self) -> None:
        for name in self.__slots__:
            value = getattr(self, name)
            kept = tuple(map(readonly, value)) if isinstance(value, tuple) else readonly(value)
            object.__setattr__(self, name, kept)


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
    found = {
        name: np.full((n_networks, 2) if name.startswith("half") else n_networks, np.nan)
        for name in MinimaTrial.__slots__
        if name not in ("is_diverged", "weights", "biases")
    }
    vectors = vectors_of(population).astype(_dtype(design))
    if len(alive):
        down = _polished(design, population, train, vectors[alive], stop)
        if down is None:
            return None
        vectors[alive], trained_norm, norm, extremes = down
        found["trained_norm"][alive], found["gradient_norm"][alive] = trained_norm, norm
        for name in ("smallest", "largest", "residual"):
            found[name][alive] = getattr(extremes, name)
        final = population_of(vectors[alive], population)
        on_train, *on_halves = (
            final.evaluate(data, design.config.cost) for data in (train, *design.halves(test))
        )
        halves = np.stack([(half.cost, half.accuracy) for half in on_halves], axis=-1)
        shares = np.array([len(half) for half in design.halves(test)]) / len(test)
        found["train_cost"][alive], found["train_accuracy"][alive] = on_train.cost, on_train.accuracy
        found["half_cost"][alive], found["half_accuracy"][alive] = halves
        found["test_cost"][alive], found["test_accuracy"][alive] = halves @ shares
    kept = max(0, min(key.count, design.n_connected - key.first))
    whole = population_of(vectors, population)
    return MinimaTrial(
        **found,
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
    narrow = _narrowed(population_of(vectors, population), lit)
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
        extremes = extreme_eigenvalues(function, points, seed=design.seed)
    else:
        extremes = Extremes(*np.full((3, len(points)), np.nan))
    gradient = function.gradient(points)[1]
    ended = population_of(points, narrow)
    wide = np.zeros((len(points), ended.weights[0].shape[1], lit.size), points.dtype)
    wide[:, :, lit] = ended.weights[0]
    whole = replace(ended, input_shape=population.input_shape, weights=(wide, *ended.weights[1:]))
    lengths = np.asarray(np.linalg.norm(gradient, axis=1))
    return vectors_of(whole), np.asarray(before), lengths, extremes


def _dtype(design: MinimaDesign) -> str:
    """Return the type to measure in: float64 for slopes and curvature at the bottom."""
    return "float64" if design.polish or design.curvature == "extremes" else design.config.dtype


def _narrowed(population: Population, lit: npt.NDArray[np.bool_]) -> Population:
    """Return the networks with the inputs `lit` only."""
    first = population.weights[0][:, :, lit]
    return replace(population, input_shape=(int(lit.sum()),), weights=(first, *population.weights[1:]))
