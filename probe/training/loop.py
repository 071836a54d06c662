"""Training networks and populations: shards made, run side by side, and joined again."""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import closing
from dataclasses import replace
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from probe._bars import ShownProgress
from probe._checks import (
    InputError,
    check_floats,
    check_integer,
    check_labels,
    check_number,
    check_shape,
    generator,
)
from probe._parallel import interrupts_as, single_threaded_blas
from probe._processes import NO_PROCESS, Told, Worker, in_processes, place
from probe._progress import Progress, ProgressEvent, silent
from probe._signatures import checked
from probe.datasets import Dataset, Split
from probe.film import Film, moments
from probe.fitting import class_names_for
from probe.network import Network
from probe.population import MLP, Population, initial_population
from probe.training.config import DEFAULT_TRAINING, TrainingConfig, layered_training
from probe.training.filming import films_of, updates_per_epoch
from probe.training.graph import train_network
from probe.training.initial import reinitialized
from probe.training.results import PopulationResult, TrainingHistory, TrainingResult
from probe.training.shard import PreparedData, Shard, ShardOutcome, ShardRun

__all__ = ["train", "train_population", "train_shards", "training_seconds"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_Watched = tuple[Shard, PreparedData, TrainingConfig]
"""A shard, its data and how it is trained."""

_STEP_SECONDS, _VALUE_SECONDS = 1.5e-4, 8e-11
"""What a minibatch takes on one core, measured: for itself, and for each of its samples and each weight. Evaluations are
in it."""


@checked
def train(
    architecture: MLP | Network,
    split: Split,
    config: TrainingConfig | None = None,
    *,
    seed: int | np.random.Generator = 0,
    frames: int | None = None,
    progress: ShownProgress = "auto",
) -> TrainingResult:
    """Train one network.

    Parameters
    ----------
    architecture : MLP or Network
        Its shape; or a network of any layers, of which a fresh one is trained, with weights drawn anew.
    split : Split
        Training data, and test data for the history.
    config : TrainingConfig, optional
        `DEFAULT_TRAINING` by default: 20 epochs at a learning rate that falls from 1 along a cosine. For a network of any
        layers `probe.training.layered_training`: Adam at 0.001, and minibatches of 32 like three epochs of MNIST.
    seed : int or numpy.random.Generator
        Start of the weights and order of the data follow from it.
    frames : int, optional
        Moments whose weights the result's `film` keeps, at least 2, the start and the end among them; dense in the first
        epoch. No film without.
    progress : callable, "auto" or None
        Called with a `ProgressEvent` after each epoch.

    Returns
    -------
    TrainingResult
        The same as member 0 of a population of one.

    Examples
    --------
    >>> import probe
    >>> config = TrainingConfig(epochs=30, batch_size=20)
    >>> trained = train(MLP(hidden=(16,)), probe.load_dataset("digits"), config, seed=0)
    >>> bool(trained.history.test_accuracy[-1] > 0.9)
    True
    """
    assert callable(progress)
    if isinstance(architecture, Network):
        return _trained_like(architecture, split, config, seed, frames, progress)
    result = train_population(
        architecture, split, config, n_networks=1, seed=seed, frames=frames, progress=progress
    )
    return TrainingResult(
        network=result.population.network(0),
        history=result.history.member(0),
        diverged_epoch=int(result.diverged_epoch[0]),
        interrupted=result.interrupted,
        film=result.films[0] if result.films else None,
    )


def _trained_like(
    network: Network,
    split: Split,
    config: TrainingConfig | None,
    seed: int | np.random.Generator,
    frames: int | None,
    progress: Progress,
) -> TrainingResult:
    """Train a fresh network of the layers of `network`."""
    config = layered_training(len(split.train)) if config is None else config
    start_rng, rng = generator(seed).spawn(2)
    network = network.with_input_shape(split.train.image_shape)
    network = replace(network, class_names=class_names_for(network, split)).astype(config.dtype)
    start = reinitialized(network, rng=start_rng)
    until = config.until if config.stop == "fitted" else None
    return train_network(start, split, config, rng=rng, until=until, frames=frames, progress=progress)


@checked
def train_population(
    architecture: MLP,
    split: Split,
    config: TrainingConfig | None = None,
    *,
    n_networks: int,
    seed: int | np.random.Generator = 0,
    labels: Ints | None = None,
    learning_rates: Floats | None = None,
    sample_weights: npt.NDArray[Any] | None = None,
    start: Population | None = None,
    shard_size: int = 16,
    workers: int | None = None,
    frames: int | None = None,
    progress: ShownProgress = "auto",
) -> PopulationResult:
    """Train many networks of one architecture together.

    Parameters
    ----------
    architecture, split, config, seed, frames, progress
        As for `train`.
    n_networks : int
        How many, at least 1.
    labels : ndarray of shape (n_networks, n_samples), int64, optional
        What each network is taught; the data set's own labels without.
    learning_rates : ndarray of shape (n_networks,), optional
        In place of `config.learning_rate`, each above 0.
    sample_weights : ndarray of shape (n_networks, n_samples), bool or float, at least 0, optional
        Which samples each network is trained on, or how much each counts in the mean of its minibatch. At least one
        counts for each network.
    start : Population, optional
        Networks to start from; drawn from `seed` without, member k the same whatever `n_networks` is.
    shard_size : int
        Networks that share the order of the data. Part of the experiment: another size gives other
        networks, another number of workers does not.
    workers : int, optional
        How many shards are trained at the same time, by default as many as there are cores, or one if it is quickly
        done. Small networks are trained in processes, as threads would wait for each other's Python; large ones, or on
        free-threaded Python all, in threads. The networks are the same.

    Raises
    ------
    InputError
        If an argument is outside its range or does not fit the others.
    """
    assert callable(progress)
    config = DEFAULT_TRAINING if config is None else config
    check_integer("n_networks", n_networks, minimum=1)
    check_integer("shard_size", shard_size, minimum=1)
    labels = None if labels is None else np.asarray(labels)
    learning_rates = None if learning_rates is None else np.asarray(learning_rates)
    sample_weights = None if sample_weights is None else np.asarray(sample_weights)
    _check_members(split.train, n_networks, labels, learning_rates, sample_weights)
    start_rng, order_rng = generator(seed).spawn(2)
    if start is None:
        start = initial_population(
            architecture,
            split.train.image_shape,
            split.train.class_names,
            rngs=start_rng.spawn(n_networks),
            dtype=config.dtype,
        )
    _check_start(start, architecture, split, n_networks, config)
    stops = () if frames is None else moments(config.epochs, updates_per_epoch(split, config), frames)
    parts = [slice(k, min(k + shard_size, n_networks)) for k in range(0, n_networks, shard_size)]
    shards = [
        Shard(
            start.take(part),
            split,
            rng,
            None if labels is None else labels[part],
            None if learning_rates is None else learning_rates[part],
            None if sample_weights is None else sample_weights[part],
            moments=stops,
        )
        for part, rng in zip(parts, order_rng.spawn(len(parts)), strict=True)
    ]
    return _joined(train_shards(shards, config, workers=workers, progress=progress))


@checked
def train_shards(
    shards: Sequence[Shard],
    config: TrainingConfig,
    *,
    workers: int | None = None,
    progress: Progress = silent,
    stage: str = "training",
) -> list[PopulationResult]:
    """Train each shard, several at the same time, and return their results in order.

    BLAS is held to one thread meanwhile: the products are small, and two threads on each would be slower
    than one thread on each of two shards. Ctrl-C gives up the epochs under way and returns what was
    done, with `interrupted` set on the shards that were not; it raises if no epoch was complete.

    Parameters
    ----------
    shards : sequence of Shard
        At least one.
    config, workers, progress
        As for `train_population`.
    stage : str
        What progress events say is being done.
    """
    if len(shards) == 0:
        raise InputError("shards must hold at least one shard, got none")
    if workers is not None:
        check_integer("workers", workers, minimum=1)
    splits = {id(shard.split): shard.split for shard in shards}
    data = {key: PreparedData.of(split, config) for key, split in splits.items()}
    watched = [(shard, data[id(shard.split)], config) for shard in shards]
    largest = max(_size(shard) for shard in shards)
    seconds = sum(training_seconds(_size(shard), len(held.x_train), config) for shard, held, _ in watched)
    where, workers = place(seconds, workers, len(shards), size=largest * config.batch_size)
    monitor = _Monitor(progress, stage, len(shards) * config.epochs)
    done = dict[int, ShardOutcome]()
    with single_threaded_blas():
        if where == "processes":
            done = _outcomes_of_processes(monitor, watched, workers)
        left = [index for index in range(len(shards)) if index not in done]
        if left:
            done |= zip(
                left,
                _outcomes(monitor, [watched[index] for index in left], min(workers, len(left))),
                strict=True,
            )
    outcomes = [done[index] for index in range(len(shards))]
    films = [films_of(shard, outcome, config) for shard, outcome in zip(shards, outcomes, strict=True)]
    return _trimmed(outcomes, films)


def _outcomes(monitor: _Monitor, watched: Sequence[_Watched], workers: int) -> list[ShardOutcome]:
    """Return what comes of each shard in this process, also where Ctrl-C told them to stop."""
    if workers == 1:
        with interrupts_as(monitor.stop):
            return [monitor.watch(*each) for each in watched]
    with ThreadPoolExecutor(workers) as pool:
        futures = []
        try:
            futures += [pool.submit(monitor.watch, *each) for each in watched]
            wait(futures, return_when=FIRST_EXCEPTION)
        except KeyboardInterrupt:
            pass  # what was done until here is returned, marked as interrupted
        finally:
            # Of no effect when all are done; after an error or Ctrl-C it ends the shards still running.
            monitor.stop.set()
    return [future.result() for future in futures]


def _outcomes_of_processes(
    monitor: _Monitor, watched: Sequence[_Watched], workers: int
) -> dict[int, ShardOutcome]:
    """Return what comes of the shards in other processes, by their index.

    Some are missing after Ctrl-C, where processes cannot be started, and where one of them was killed.
    """
    # The largest first, so that no process is left alone with one.
    order = sorted(range(len(watched)), key=lambda index: -_size(watched[index][0]))
    tasks = [
        (replace(shard, split=data), data, config) for shard, data, config in (watched[k] for k in order)
    ]
    heard, outcomes = np.zeros(len(tasks)), dict[int, ShardOutcome]()

    def hear(told: Told) -> None:
        for task, (reached, cost) in enumerate(told):
            for _ in range(int(reached) - int(heard[task])):
                monitor.advance(cost)
            if reached > heard[task] and reached % 1:
                monitor.tell(reached % 1)
            heard[task] = reached

    try:
        with (
            interrupts_as(monitor.stop),
            closing(
                in_processes(_trained_there, tasks, workers=workers, stop=monitor.stop, told=hear)
            ) as found,
        ):
            for task, outcome in found:
                outcomes[order[task]] = outcome
                monitor.close(outcome)
    except NO_PROCESS:
        # No room for processes, or one was killed: what is missing is trained here, from the start.
        monitor.take_back(sum(int(n) for task, n in enumerate(heard) if order[task] not in outcomes))
    return outcomes


def _trained_there(task: _Watched, worker: Worker) -> ShardOutcome:
    """Train a shard in another process."""
    n_epochs = 0

    def advance(cost: float) -> None:
        nonlocal n_epochs
        n_epochs += 1
        worker.tell(n_epochs, cost)

    stop = cast(threading.Event, worker)  # all that is asked of it is whether it is set
    return ShardRun(
        *task, stop, advance, lambda share: worker.tell(n_epochs + min(share, 0.99), math.nan)
    ).run()


@checked
def training_seconds(n_weights: int, n_samples: int, config: TrainingConfig) -> float:
    """Return about how long one core trains networks of so many weights in all, together, if nothing ends it early.

    Examples
    --------
    >>> round(training_seconds(16 * 12_704, 60_000, TrainingConfig(epochs=10, batch_size=100)))
    11
    """
    check_integer("n_weights", n_weights, minimum=1)
    check_integer("n_samples", n_samples, minimum=1)
    size = min(config.batch_size, n_samples)
    n_updates = config.epochs * math.ceil(n_samples / size)
    return n_updates * (_STEP_SECONDS + _VALUE_SECONDS * n_weights * size)


def _size(shard: Shard) -> int:
    """Return the number of weights of all networks of a shard."""
    return sum(w.size for w in shard.start.weights)


class _Monitor:
    """Counts epochs over all shards, reports them, and carries the wish to stop."""

    def __init__(self, progress: Progress, stage: str, total: int) -> None:
        self.stop = threading.Event()
        self._progress, self._stage, self._total = progress, stage, total
        self._lock = threading.Lock()
        self._done = 0

    def watch(self, shard: Shard, data: PreparedData, config: TrainingConfig) -> ShardOutcome:
        outcome = ShardRun(shard, data, config, self.stop, self.advance, self.tell).run()
        self.close(outcome)
        return outcome

    def close(self, outcome: ShardOutcome) -> None:
        """Count the epochs that a shard did not need."""
        if not self.stop.is_set():
            self.advance(math.nan, outcome.history.n_epochs - outcome.n_epochs)

    def tell(self, share: float) -> None:
        """Report the share of an epoch that is done."""
        with self._lock:
            note = f"{min(share, 1):.0%} of an epoch"
            self._progress(ProgressEvent(self._stage, self._done, self._total, note))

    def advance(self, cost: float, epochs: int = 1) -> None:
        """Report epochs, the last with its cost."""
        if epochs == 0:
            return
        with self._lock:
            self._done += epochs
            note = f"cost {cost:.4f}" if math.isfinite(cost) else ""
            self._progress(ProgressEvent(self._stage, self._done, self._total, note))

    def take_back(self, epochs: int) -> None:
        """Take epochs for not done that are lost."""
        with self._lock:
            self._done -= epochs


def _trimmed(outcomes: Sequence[ShardOutcome], films: Sequence[tuple[Film, ...]]) -> list[PopulationResult]:
    """Return the shards' results with histories of one length: that of the longest."""
    n_epochs = max(outcome.n_epochs for outcome in outcomes)
    if n_epochs == 0:
        raise KeyboardInterrupt
    return [
        PopulationResult(
            population=outcome.population,
            history=outcome.history.first(n_epochs),
            diverged_epoch=outcome.diverged_epoch,
            fitted_epoch=outcome.fitted_epoch,
            interrupted=outcome.interrupted,
            films=filmed,
        )
        for outcome, filmed in zip(outcomes, films, strict=True)
    ]


def _joined(results: Sequence[PopulationResult]) -> PopulationResult:
    """Return one result for all shards' networks, in order."""
    first = results[0].population
    layers = range(len(first.weights))
    population = Population(
        first.architecture,
        first.input_shape,
        first.class_names,
        tuple(np.concatenate([r.population.weights[layer] for r in results]) for layer in layers),
        tuple(np.concatenate([r.population.biases[layer] for r in results]) for layer in layers),
    )
    return PopulationResult(
        population=population,
        history=TrainingHistory.joined([r.history for r in results]),
        diverged_epoch=np.concatenate([r.diverged_epoch for r in results]),
        fitted_epoch=np.concatenate([r.fitted_epoch for r in results]),
        interrupted=any(r.interrupted for r in results),
        films=tuple(film for r in results for film in r.films),
    )


def _check_members(
    train: Dataset,
    n_networks: int,
    labels: Ints | None,
    learning_rates: Floats | None,
    sample_weights: npt.NDArray[Any] | None,
) -> None:
    if labels is not None:
        check_shape("labels", labels.shape, (n_networks, len(train)))
        check_labels("labels", labels.reshape(-1), labels.size, train.n_classes)
    if learning_rates is not None:
        check_shape("learning_rates", learning_rates.shape, (n_networks,))
        check_number("the smallest of learning_rates", np.min(learning_rates), above=0)
        check_number("the largest of learning_rates", np.max(learning_rates), above=0)
    if sample_weights is not None:
        check_shape("sample_weights", sample_weights.shape, (n_networks, len(train)))
        if sample_weights.dtype != bool:
            check_number(
                "the smallest of sample_weights",
                check_floats("sample_weights", sample_weights).min(),
                minimum=0,
            )
        if not sample_weights.any(axis=1).all():
            raise InputError("sample_weights must have a weight above 0 for each network")


def _check_start(
    start: Population, architecture: MLP, split: Split, n_networks: int, config: TrainingConfig
) -> None:
    expected = (architecture, split.train.image_shape, split.train.class_names, n_networks, config.dtype)
    found = (
        start.architecture,
        start.input_shape,
        start.class_names,
        len(start),
        str(start.weights[0].dtype),
    )
    names = ("architecture", "input shape", "class names", "number of networks", "dtype")
    for name, want, have in zip(names, expected, found, strict=True):
        if want != have:
            raise InputError(f"start must have the {name} {want}, got {have}")
