"""Candidates on their way: networks that are trained rung by rung."""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from probe._parallel import available_workers, in_threads, single_threaded_blas
from probe._progress import Progress, ProgressEvent
from probe.analyses.search.results import SearchCandidate
from probe.costs import CostName
from probe.datasets import Dataset, Split
from probe.population import MLP, Population, initial_population
from probe.stats.concentration import finite_median
from probe.training import PopulationResult, Shard, TrainingConfig, train_shards

__all__ = ["Training", "Trial", "accuracies"]

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]


class Trial:
    """A candidate and its networks on their way.

    Parameters
    ----------
    architecture, cost, rate, role
        As in `SearchCandidate`.
    parts : Split
        Images to train on, and those for validation.
    rngs : sequence of numpy.random.Generator
        One for each network: its start.
    """

    def __init__(
        self,
        architecture: MLP,
        cost: CostName,
        rate: float,
        role: str,
        parts: Split,
        rngs: Sequence[np.random.Generator],
    ) -> None:
        train = parts.train
        self.architecture, self.cost, self.rate, self.role = architecture, cost, rate, role
        self.networks = initial_population(architecture, train.image_shape, train.class_names, rngs=rngs)
        self.validation = list[Floats]()
        self._n_parameters = sum(part[0].size for part in (*self.networks.weights, *self.networks.biases))
        self._failed = np.zeros(len(rngs), np.bool_)
        self._n_epochs, self._n_images, self._chance = 0, len(train), 1 / train.n_classes
        self._seconds = np.zeros(len(rngs))

    def rank(self) -> tuple[float, int]:
        """Return what the best has least of; of equals the smaller network, then the one named first, is better."""
        return -float(self.validation[-1].mean()), self._n_parameters

    def advance(
        self, networks: Population, accuracy: Floats, failed: Bools, seconds: Floats, n_epochs: int
    ) -> None:
        """Take the networks after a rung. One that has failed stays so, whatever its last weights do."""
        self.networks, self._failed = networks, self._failed | failed
        self.validation.append(np.where(self._failed, self._chance, accuracy))
        self._n_epochs += n_epochs
        self._seconds += seconds

    def candidate(self, test_accuracy: Floats, *, finalist: bool) -> SearchCandidate:
        """Return what came of it, with the networks' accuracy on test images, from `accuracies`."""
        first, *rest = (weights[0].size for weights in self.networks.weights)
        return SearchCandidate(
            hidden=tuple(self.architecture.hidden),
            activation=self.architecture.activation,
            cost=self.cost,
            learning_rate=self.rate,
            n_parameters=self._n_parameters,
            role=self.role,
            finalist=finalist,
            n_epochs=self._n_epochs,
            training_flops=(4 * first + 6 * sum(rest)) * self._n_images * self._n_epochs,
            training_seconds=finite_median(self._seconds),
            validation_accuracy=np.stack(self.validation),
            test_accuracy=np.where(self._failed, self._chance, test_accuracy),
            failed=self._failed,
        )


@dataclass(frozen=True, slots=True, eq=False)
class Training:
    """What all rungs have in common.

    Attributes
    ----------
    parts : Split
        Images to train on, and those for validation.
    batch_size : int
        Images in a minibatch.
    orders : numpy.random.Generator
        The orders of the images follow from it.
    """

    parts: Split
    batch_size: int
    orders: np.random.Generator

    def train(self, trials: Sequence[Trial], n_epochs: int, progress: Progress, stage: str) -> None:
        """Train the networks of all trials further.

        Raises
        ------
        KeyboardInterrupt
            If Ctrl-C ended it early.
        """
        together = _groups(trials)
        shards = {key: self._shards(group) for key, group in together.items()}
        done, total = 0, n_epochs * sum(len(found) for found in shards.values())
        for cost in dict.fromkeys(cost for cost, _ in shards):
            groups = [key for key in shards if key[0] == cost]
            config = TrainingConfig(n_epochs, self.batch_size, cost=cost, evaluation="end")
            found = train_shards(
                [shard for key in groups for shard in shards[key]],
                config,
                progress=_after(done, total, progress, stage),
            )
            if any(result.interrupted for result in found):
                raise KeyboardInterrupt
            done += len(found) * n_epochs
            rest = iter(found)
            for key in groups:
                _hand_back(together[key], [next(rest) for _ in shards[key]], n_epochs)

    def _shards(self, group: Sequence[Trial]) -> list[Shard]:
        """Return a shard for each place: networks there of all learning rates share an order, those of a trial do not."""
        members = [trial.networks for trial in group]
        rates = np.array([trial.rate for trial in group])
        rngs = self.orders.spawn(1)[0].spawn(len(members[0]))
        return [
            Shard(
                _members([(networks, k) for networks in members]),
                self.parts,
                rng,
                learning_rates=rates,
                measures_train=False,
            )
            for k, rng in enumerate(rngs)
        ]


def accuracies(trials: Sequence[Trial], test: Dataset) -> list[Floats]:
    """Return the networks' accuracy on `test` for each trial; all networks of one architecture are asked together."""
    groups = dict[MLP, list[Trial]]()
    for trial in trials:
        groups.setdefault(trial.architecture, []).append(trial)
    # The widest first, so that none is left alone at the end.
    architectures = sorted(groups, key=lambda architecture: -sum(architecture.hidden))

    def asked(architecture: MLP, stop: threading.Event) -> Floats:
        chosen = [(trial.networks, k) for trial in groups[architecture] for k in range(len(trial.networks))]
        return _members(chosen).evaluate(test).accuracy

    found, workers = dict[Trial, Floats](), available_workers()
    tasks = in_threads(asked, architectures, workers=workers, stop=threading.Event())
    with single_threaded_blas(), closing(tasks):
        for index, accuracy in tasks:
            group = groups[architectures[index]]
            found |= zip(group, np.split(accuracy, len(group)), strict=True)
    return [found[trial] for trial in trials]


def _groups(trials: Sequence[Trial]) -> dict[tuple[CostName, MLP], list[Trial]]:
    """Return the trials that differ in nothing but the learning rate, so that they can be trained together."""
    groups: dict[tuple[CostName, MLP], list[Trial]] = {}
    for trial in trials:
        groups.setdefault((trial.cost, trial.architecture), []).append(trial)
    return groups


def _hand_back(group: Sequence[Trial], found: Sequence[PopulationResult], n_epochs: int) -> None:
    """Give each trial of a group its networks, one out of each shard."""
    for index, trial in enumerate(group):
        trial.advance(
            _members([(result.population, index) for result in found]),
            np.array([result.history.test_accuracy[index, -1] for result in found]),
            np.array([result.diverged_epoch[index] > 0 for result in found]),
            np.array([_seconds_of(result, index) for result in found]),
            n_epochs,
        )


def _seconds_of(result: PopulationResult, index: int) -> float:
    """Return the seconds of one network: each epoch's, divided by the networks that were trained in it.

    Epochs from that of a divergence on are not recorded, and count as those before; NaN where there are none.
    """
    seconds = result.history.seconds
    recorded = np.isfinite(seconds)
    mine = recorded[index]
    if not mine.any():
        return math.nan
    return float((seconds[index] / recorded.sum(axis=0).clip(1))[mine].mean() * seconds.shape[1])


def _after(done: int, total: int, progress: Progress, stage: str) -> Progress:
    """Return what reports training as a part of a longer one."""
    return lambda event: progress(ProgressEvent(stage, done + event.done, total, event.note))


def _members(chosen: Sequence[tuple[Population, int]]) -> Population:
    """Return single networks of equally shaped populations as one population."""
    first = chosen[0][0]
    layers = range(len(first.weights))
    return Population(
        first.architecture,
        first.input_shape,
        first.class_names,
        tuple(np.stack([networks.weights[layer][k] for networks, k in chosen]) for layer in layers),
        tuple(np.stack([networks.biases[layer][k] for networks, k in chosen]) for layer in layers),
    )
