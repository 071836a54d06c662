"""Bisection over the number of images, and what the searches come to."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from probe._checks import InputError, check_integer, kept_seed
from probe._parallel import gathered, single_threaded_blas
from probe._progress import Progress, ProgressEvent, silent
from probe._signatures import checked
from probe.analyses.capacity.design import CAPACITY_CONFIG, CapacityDesign, CapacityKey
from probe.datasets import Split, permuted_labels
from probe.population import MLP, initial_population
from probe.results import Columns, Record, Result
from probe.stats import Interval, bootstrap_interval
from probe.training import PreparedData, Shard, ShardRun, TrainingConfig

__all__ = [
    "Capacity",
    "CapacityFit",
    "CapacityTrial",
    "capacity",
    "capacity_of",
    "next_number",
    "run_capacity_fit",
    "run_capacity_trial",
]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


class CapacityFit(Record):
    """What the population of one number of images did.

    Attributes
    ----------
    fitted_share : ndarray of shape (n_rates,), in [0, 1]
        Share of the starts that fitted all images, at each learning rate.
    """

    fitted_share: Floats


class CapacityTrial(Record):
    """One search.

    Attributes
    ----------
    tried : ndarray of shape (n_tried,)
        Numbers of images, in the order in which they were tried.
    fitted_share : ndarray of shape (n_tried, n_rates), in [0, 1]
        Share of the starts that fitted them all, at each learning rate.
    """

    tried: Ints
    fitted_share: Floats

    @classmethod
    def begun(cls, design: CapacityDesign) -> CapacityTrial:
        """Return a search in which nothing has been tried yet."""
        return cls(tried=np.zeros(0, np.int64), fitted_share=np.zeros((0, len(design.rates))))

    def after(self, n_samples: int, fit: CapacityFit) -> CapacityTrial:
        """Return the search with one more number tried."""
        shares = np.vstack([self.fitted_share, fit.fitted_share])
        return CapacityTrial(tried=np.append(self.tried, n_samples), fitted_share=shares)

    @property
    def fits(self) -> Bools:
        """Whether each number counts as fitted: by at least half of the starts at one of the rates."""
        return np.asarray((self.fitted_share >= 0.5).any(axis=1))

    @property
    def capacity(self) -> int:
        """The largest number that was fitted; 0 if none was."""
        return int(self.tried[self.fits].max(initial=0))

    @property
    def is_censored(self) -> bool:
        """Whether no number failed, so that the capacity is at least the largest number tried."""
        return bool(self.fits.all())


class Capacity(Result):
    """The largest number of random labels that networks fitted.

    Attributes
    ----------
    architectures : tuple of str
        Such as "784-16-16-10 sigmoid".
    n_parameters : ndarray of shape (n_architectures,)
        Weights and biases of one network.
    capacities : ndarray of shape (n_architectures, n_replicates)
        Largest number of images of which all random labels were fitted, by at least half of the starts at
        one of the learning rates, within what the design lets them spend; 0 if no number was.
    censored : ndarray of shape (n_architectures, n_replicates), bool
        Whether all numbers up to the largest allowed were fitted.
    trials : tuple of tuple of CapacityTrial
        The searches, by architecture and replicate.
    design : CapacityDesign
    interrupted : bool
        Whether Ctrl-C ended the work early; then only the replicates done for all architectures are here.
    """

    architectures: tuple[str, ...]
    n_parameters: Ints
    capacities: Ints
    censored: Bools
    trials: tuple[tuple[CapacityTrial, ...], ...]
    design: CapacityDesign
    interrupted: bool = False

    @property
    def is_lower_bound(self) -> Bools:
        """Whether a search of each architecture never failed, so that its mean capacity is at least what is said."""
        return np.asarray(self.censored.any(axis=1))

    @property
    def intervals(self) -> tuple[Interval, ...]:
        """The mean capacity of each architecture, with a bootstrap interval over its replicates.

        A search that fitted all images allowed is censored: its capacity is at least that number. With one of
        these, the estimate and the lower end, both with that number in its place, are lower bounds, and
        the upper end is infinite.
        """
        means = [bootstrap_interval(row.astype(np.float64)) for row in self.capacities]
        return tuple(
            replace(mean, high=np.inf) if is_bound else mean
            for mean, is_bound in zip(means, self.is_lower_bound, strict=True)
        )

    @property
    def labels_per_parameter(self) -> tuple[float, ...]:
        """Mean capacity of each architecture for each of its parameters."""
        counts = self.n_parameters.tolist()
        return tuple(mean.estimate / count for mean, count in zip(self.intervals, counts, strict=True))

    def columns(self) -> Columns:
        """Return a row for each architecture."""
        return {
            "architecture": self.architectures,
            "parameters": self.n_parameters,
            "random labels fitted": [mean.estimate for mean in self.intervals],
            "low": [mean.low for mean in self.intervals],
            "high": [mean.high for mean in self.intervals],
            "is lower bound": self.is_lower_bound,
            "labels per parameter": self.labels_per_parameter,
        }


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
    workers: int = 1,
    progress: Progress = silent,
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
    config, rates, starts, replicates, updates, tolerance
        As in `CapacityDesign`.
    largest : int, optional
        Most images tried, at least 2 and at most all. Without, 10,000, or all where there are fewer.
    seed : int or numpy.random.Generator
        Everything random follows from it; from a generator a seed is drawn, which `design.seed` keeps.
    workers : int
        Threads that run searches at the same time. The result does not depend on it.
    progress : callable
        Called with a `ProgressEvent` after each search.

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
    design = CapacityDesign(
        architectures=(architectures,) if isinstance(architectures, MLP) else tuple(architectures),
        config=CAPACITY_CONFIG if config is None else config,
        rates=tuple(rates),
        starts=starts,
        replicates=replicates,
        updates=updates,
        largest=largest,
        tolerance=tolerance,
        seed=kept_seed(seed),
    )
    design.check_distinct()
    design = design.settled(split)
    check_integer("workers", workers, minimum=1)
    keys = design.keys

    def report(done: dict[int, CapacityTrial]) -> None:
        latest = list(done.values())[-1]
        least = "at least " if latest.is_censored else ""
        progress(ProgressEvent("capacity", len(done), len(keys), f"{least}{latest.capacity:,} images"))

    def search(key: CapacityKey, stop: threading.Event) -> CapacityTrial | None:
        return run_capacity_trial(design, key, split, stop)

    trials = gathered(search, keys, workers=workers, report=report)
    done = {keys[index]: trial for index, trial in trials.items()}
    return capacity_of(design, done, split)


def run_capacity_trial(
    design: CapacityDesign, key: CapacityKey, split: Split, stop: threading.Event | None = None
) -> CapacityTrial | None:
    """Search for the capacity of one architecture; None if `stop` was set on the way."""
    design = design.settled(split)
    trial = CapacityTrial.begun(design)
    while (n := next_number(design, trial, split)) is not None:
        fit = run_capacity_fit(design, replace(key, n_samples=n), split, stop)
        if fit is None:
            return None
        trial = trial.after(n, fit)
    return trial


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


def run_capacity_fit(
    design: CapacityDesign, key: CapacityKey, split: Split, stop: threading.Event | None = None
) -> CapacityFit | None:
    """Train the population of one number of images, `key.n_samples`; None if `stop` was set on the way."""
    if key.n_samples is None:
        raise InputError("key must say with n_samples how many images to try, got None")
    stop = threading.Event() if stop is None else stop
    with single_threaded_blas():
        share = _fitted_share(design, key, split, key.n_samples, stop)
    return None if share is None else CapacityFit(fitted_share=share)


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
    """Return what the searches that are done come to.

    Raises
    ------
    KeyboardInterrupt
        If no replicate is done for all architectures.
    """
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
