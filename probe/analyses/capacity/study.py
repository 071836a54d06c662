"""Bisection over the number of images."""

from __future__ import annotations

import math
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from probe._bars import ShownProgress
from probe._parallel import single_threaded_blas
from probe._progress import Progress
from probe._signatures import checked
from probe.analyses.capacity.results import (
    CAPACITY_CONFIG,
    Capacity,
    CapacityDesign,
    CapacityFit,
    CapacityKey,
    CapacityTrial,
)
from probe.datasets import Split, permuted_labels
from probe.population import MLP, initial_population
from probe.study import DesignedStudy, run_study
from probe.training import PreparedData, Shard, ShardRun, TrainingConfig, training_seconds

__all__ = ["CapacityStudy", "capacity", "capacity_of", "next_number"]

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


@checked
def capacity(
    architectures: MLP | Sequence[MLP],
    split: Split,
    config: TrainingConfig | None = None,
    *,
    rates: Sequence[float] = (0.001, 0.003, 0.01),
    starts: int = 3,
    replicates: int = 3,
    updates: int = 6000,
    largest: int | None = None,
    tolerance: float = 0.1,
    seed: int | np.random.Generator = 0,
    workers: int | None = None,
    progress: ShownProgress = "auto",
) -> Capacity:
    """Find the largest number of random labels that networks of each architecture fit.

    The number of images is doubled until they are no longer fitted, then the gap is halved until it is
    small. On every number a population is trained: several starts, each with random labels of its own, at
    several learning rates. What is found is what gradient descent reaches with this much training, a lower
    bound of what some weights could represent.

    Parameters
    ----------
    architectures : MLP or sequence of MLP
        Shapes of networks.
    split : Split
        The images come from its training data.
    config : TrainingConfig, optional
        What a network may spend; its learning rate is not used. `CAPACITY_CONFIG` without: 300 epochs of Adam in
        batches of 100.
    rates : sequence of float
        Learning rates, above 0, that are all tried on every number of images.
    starts : int
        Networks for each learning rate, with starts and labels of their own, at least 1.
    replicates : int
        Searches for each architecture, each with an order of images of its own, at least 1. More can be added later.
    updates : int
        Least number of updates that a network may spend, at least 1: on few images, of which an epoch is a
        minibatch or two, it may take more epochs than the configuration says.
    largest : int, optional
        Most images to try, at least 2 and at most all. By default 10,000, or all if there are fewer.
    tolerance : float
        The search ends when the next number that failed is at most this share above the largest that fitted; above 0.
    seed : int or numpy.random.Generator
        Everything random follows from it; from a generator a seed is drawn, which `design.seed` keeps.
    workers : int, optional
        Trials that run at the same time, in processes where those pay; by default as many as there are cores, or one if
        all is quickly done. The result does not depend on it.
    progress : callable, "auto" or None
        Called with a `ProgressEvent` after each population.

    Raises
    ------
    InputError
        If an argument is outside its range, or an architecture or a learning rate is there twice.

    References
    ----------
    .. [1] C. Zhang et al., "Understanding deep learning requires rethinking generalization", ICLR 2017,
       theorem 1: two layers with 2n + d weights can represent any labels of n points in d dimensions.
    .. [2] D. Arpit et al., "A Closer Look at Memorization in Deep Networks", ICML 2017.

    Examples
    --------
    >>> import probe
    >>> few = TrainingConfig(epochs=20, batch_size=20, optimizer="adam", stop="fitted")
    >>> split = probe.load_dataset("digits")
    >>> quick = {"rates": (0.03,), "replicates": 1, "updates": 100, "largest": 64}
    >>> result = capacity(probe.MLP((4,), "relu"), split, few, **quick)
    >>> result.architectures
    ('64-4-10 relu',)
    """
    assert callable(progress)
    study = CapacityStudy.of(
        architectures,
        split,
        config,
        rates=tuple(rates),
        starts=starts,
        replicates=replicates,
        updates=updates,
        largest=largest,
        tolerance=tolerance,
        seed=seed,
    )
    return run_study(study, split, workers=workers, progress=progress)


@dataclass(frozen=True)
class CapacityStudy(DesignedStudy[CapacityKey, CapacityFit, Capacity]):
    """The searches of a design with a number for `largest`, which all try their next number at the same time."""

    design: CapacityDesign

    name: ClassVar[str] = "capacity"
    stage: ClassVar[str] = "capacity"
    trial: ClassVar[type[CapacityFit]] = CapacityFit
    counted: ClassVar[str] = "replicates"
    default_architectures: ClassVar[tuple[MLP, ...]] = (MLP((64,), "relu"),)
    default_training: ClassVar[TrainingConfig] = CAPACITY_CONFIG

    @staticmethod
    def _designed(split: Split, **options: Any) -> CapacityDesign:
        design = CapacityDesign(**options)
        design.check_distinct()
        return design.settled(split)

    def keys(self, done: Mapping[CapacityKey, CapacityFit], split: Split) -> tuple[CapacityKey, ...]:
        """Return the numbers of images that were tried, and of each search that is not over the next one."""
        return tuple(key for search in self.design.keys for key in self._followed(search, done, split)[0])

    def run(self, key: CapacityKey, given: None, split: Split, stop: threading.Event) -> CapacityFit | None:
        """Train the population of one number of images."""
        assert key.n_samples is not None
        with single_threaded_blas():
            share = _fitted_share(self.design, key, split, key.n_samples, stop)
        return None if share is None else CapacityFit(fitted_share=share)

    def seconds(self, keys: Sequence[CapacityKey], split: Split) -> float:
        """Return about how long one core takes, where no network fits before its time."""
        design, n_in = self.design, math.prod(split.train.image_shape)
        sizes = [mlp.n_parameters(n_in, split.train.n_classes) for mlp in design.architectures]
        n = design.starts * len(design.rates)
        return sum(
            training_seconds(n * sizes[key.architecture], key.n_samples or 1, design.config) for key in keys
        )

    def combine(self, done: Mapping[CapacityKey, CapacityFit], split: Split, progress: Progress) -> Capacity:
        """Return what the searches that are over come to."""
        followed = {search: self._followed(search, done, split) for search in self.design.keys}
        over = {search: trial for search, (keys, trial) in followed.items() if len(keys) == len(trial.tried)}
        return capacity_of(self.design, over, split)

    def _followed(
        self, search: CapacityKey, done: Mapping[CapacityKey, CapacityFit], split: Split
    ) -> tuple[list[CapacityKey], CapacityTrial]:
        """Return the numbers that a search has tried, with the next one unless it is over, and the search so far."""
        keys, trial = list[CapacityKey](), CapacityTrial.begun(self.design)
        while (n_samples := next_number(self.design, trial, split)) is not None:
            keys.append(replace(search, n_samples=n_samples))
            if keys[-1] not in done:
                break
            trial = trial.after(n_samples, done[keys[-1]])
        return keys, trial


def next_number(design: CapacityDesign, trial: CapacityTrial, split: Split) -> int | None:
    """Return how many images a search tries next, or None if it is over."""
    largest = design.settled(split).largest
    assert largest is not None
    if not len(trial.tried):
        return min(largest, max(2 * split.train.n_classes, 16))
    fitting = trial.capacity
    failing = int(trial.tried[~trial.fits].min(initial=largest + 1))
    close = failing <= max(fitting + 1, fitting * (1 + design.tolerance))
    if fitting >= largest or failing <= 2 or close:
        return None
    if failing > largest:
        return min(2 * fitting, largest)
    # In the middle on a logarithmic scale: capacities range over orders of magnitude.
    middle: int = round((max(fitting, 1) * failing) ** 0.5)
    return min(max(middle, fitting + 1), failing - 1)


def _fitted_share(
    design: CapacityDesign, key: CapacityKey, split: Split, n: int, stop: threading.Event
) -> Floats | None:
    """Return the share of starts that fit random labels of the first `n` images, at each learning rate."""
    seeds = np.random.SeedSequence(design.seed, spawn_key=(key.replicate,)).spawn(2 + design.starts)
    image_rng, order_rng, *start_rngs = [np.random.default_rng(seed) for seed in seeds]
    train = split.train.take(image_rng.permutation(len(split.train))[:n])
    data = replace(split, train=train, test=split.test.take(slice(0, 1)))
    start_streams = [rng.spawn(2) for rng in start_rngs]
    labels = [permuted_labels(train.labels, rng=label_rng) for _, label_rng in start_streams]
    n_rates = len(design.rates)
    start = initial_population(
        design.architectures[key.architecture],
        train.image_shape,
        train.class_names,
        rngs=[rng for rng, _ in start_streams],
        dtype=design.config.dtype,
    )
    shard = Shard(
        start.take(np.tile(np.arange(len(start)), n_rates)),
        data,
        order_rng,
        labels=np.tile(np.stack(labels), (n_rates, 1)),
        learning_rates=np.repeat(np.array(design.rates), design.starts),
    )
    # The question is settled, and training ends, once half of the starts at one rate have fitted.
    settled = threading.Event()

    def look(cost: float) -> None:
        if stop.is_set() or (_by_rate(run.is_fitted, n_rates) >= 0.5).any():
            settled.set()

    config = design.config
    per_epoch = -(-n // min(config.batch_size, n))
    config = replace(config, epochs=max(config.epochs, -(-design.updates // per_epoch)))
    run = ShardRun(shard, PreparedData.of(data, config), config, settled, look)
    run.run()
    return None if stop.is_set() else _by_rate(run.is_fitted, n_rates)


def _by_rate(fitted: Bools, n_rates: int) -> Floats:
    return np.asarray(fitted.reshape(n_rates, -1).mean(axis=1))


def capacity_of(design: CapacityDesign, done: Mapping[CapacityKey, CapacityTrial], split: Split) -> Capacity:
    """Return what the searches that are done come to; KeyboardInterrupt if no replicate is done for all architectures."""
    architectures = range(len(design.architectures))
    whole = [
        replicate
        for replicate in range(design.replicates)
        if all(CapacityKey(architecture, replicate) in done for architecture in architectures)
    ]
    if not whole:
        raise KeyboardInterrupt
    trials = tuple(tuple(done[CapacityKey(a, replicate)] for replicate in whole) for a in architectures)
    n_in, n_classes = split.train.images[0].size, split.train.n_classes
    return Capacity(
        architectures=tuple(mlp.named(n_in, n_classes) for mlp in design.architectures),
        n_parameters=np.array([mlp.n_parameters(n_in, n_classes) for mlp in design.architectures], np.int64),
        capacities=np.array([[trial.capacity for trial in row] for row in trials], np.int64),
        censored=np.array([[trial.is_censored for trial in row] for row in trials]),
        trials=trials,
        design=design,
        interrupted=len(done) < len(design.keys),
    )
