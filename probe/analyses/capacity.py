"""How many random labels can a network learn by heart? Bisection over the number of images."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from itertools import product

import numpy as np
import numpy.typing as npt

from probe._checks import InputError, check_integer, check_number, check_once, kept_seed, readonly
from probe._parallel import gathered, single_threaded_blas
from probe._progress import Progress, ProgressEvent, silent
from probe._signatures import checked
from probe.datasets import Split, permuted_labels
from probe.population import MLP, initial_population
from probe.stats import Interval, bootstrap_interval
from probe.training import PreparedData, Shard, ShardRun, TrainingConfig

__all__ = [
    "CAPACITY_CONFIG",
    "Capacity",
    "CapacityDesign",
    "CapacityFit",
    "CapacityKey",
    "CapacityTrial",
    "capacity",
    "capacity_of",
    "next_number",
    "run_capacity_fit",
    "run_capacity_trial",
]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

CAPACITY_CONFIG = TrainingConfig(
    epochs=300, batch_size=100, optimizer="adam", schedule="cosine", stop="fitted"
)
"""What networks may spend on one number of images. Their learning rates are those of the design."""

_LARGEST = 10_000
"""Most images tried where nothing is said, if there are as many."""


@checked
@dataclass(frozen=True, slots=True)
class CapacityDesign:
    """A search for the capacity of several architectures.

    Parameters
    ----------
    architectures : tuple of MLP
        Shapes of networks.
    config : TrainingConfig
        What a network may spend; its learning rate is not used.
    rates : tuple of float, above 0
        Learning rates that are all tried on every number of images.
    starts : int
        Networks for each learning rate, with starts and labels of their own, at least 1.
    replicates : int
        Searches for each architecture, each with an order of images of its own, at least 1. A search does
        not depend on how many there are.
    updates : int
        Least number of updates that a network may spend, at least 1: on few images, of which an epoch is a
        minibatch or two, it may take more epochs than the configuration says.
    largest : int, optional
        Most images tried, at least 2; `settled` refuses more than there are. Without, 10,000, or all where
        there are fewer.
    tolerance : float, above 0
        The search ends when the next number that failed is at most this share above the largest that fitted.
    seed : int
        Everything random follows from it.

    Raises
    ------
    InputError
        If a value is outside its range.
    """

    architectures: tuple[MLP, ...]
    config: TrainingConfig = CAPACITY_CONFIG
    rates: tuple[float, ...] = (0.001, 0.003, 0.01)
    starts: int = 3
    replicates: int = 3
    updates: int = 6000
    largest: int | None = None
    tolerance: float = 0.1
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.architectures or not self.rates:
            raise InputError("architectures and rates must hold at least one value")
        for rate in self.rates:
            check_number("rates", rate, above=0)
        for name, minimum in (
            ("starts", 1),
            ("replicates", 1),
            ("updates", 1),
            ("seed", 0),
        ):
            check_integer(name, getattr(self, name), minimum=minimum)
        if self.largest is not None:
            check_integer("largest", self.largest, minimum=2)
        check_number("tolerance", self.tolerance, above=0)
        if self.config.stop != "fitted":
            raise InputError(f"config must have stop='fitted', got {self.config.stop!r}")

    @property
    def keys(self) -> tuple[CapacityKey, ...]:
        """All trials, replicate after replicate."""
        return tuple(
            CapacityKey(architecture, replicate)
            for replicate, architecture in product(range(self.replicates), range(len(self.architectures)))
        )

    def settled(self, split: Split) -> CapacityDesign:
        """Return the design for these data, in which `largest` is a number.

        Raises
        ------
        InputError
            If there are fewer training images than `largest`.
        """
        there = len(split.train)
        if self.largest is None:
            return replace(self, largest=min(_LARGEST, there))
        if self.largest > there:
            raise InputError(
                f"largest must be an integer from 2 to {there}, the number of training images, got {self.largest}"
            )
        return self

    def check_distinct(self) -> None:
        """Raise if an architecture or a learning rate is there twice."""
        check_once("architectures", self.architectures)
        check_once("rates", self.rates)

    def to_dict(self) -> dict[str, object]:
        """Return the design as plain values, for a manifest or results.json."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class CapacityKey:
    """Where a search stands in the design; with a number of images, where one population of it stands."""

    architecture: int
    replicate: int
    n_samples: int | None = None

    @property
    def name(self) -> str:
        """A name for files."""
        tried = "" if self.n_samples is None else f"-n{self.n_samples:06d}"
        return f"capacity-a{self.architecture}-r{self.replicate:04d}{tried}"


@dataclass(frozen=True, slots=True, eq=False)
class CapacityFit:
    """What the population of one number of images did.

    Attributes
    ----------
    fitted_share : ndarray of shape (n_rates,), in [0, 1]
        Share of the starts that fitted all images, at each learning rate.
    """

    fitted_share: Floats

    def __post_init__(self) -> None:
        object.__setattr__(self, "fitted_share", readonly(self.fitted_share))


@dataclass(frozen=True, slots=True, eq=False)
class CapacityTrial:
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

    def __post_init__(self) -> None:
        for name in self.__slots__:
            object.__setattr__(self, name, readonly(getattr(self, name)))

    @classmethod
    def begun(cls, design: CapacityDesign) -> CapacityTrial:
        """Return a search in which nothing has been tried yet."""
        return cls(np.zeros(0, np.int64), np.zeros((0, len(design.rates))))

    def after(self, n_samples: int, fit: CapacityFit) -> CapacityTrial:
        """Return the search with one more number tried."""
        return CapacityTrial(
            np.append(self.tried, n_samples), np.vstack([self.fitted_share, fit.fitted_share])
        )

    @property
    def fits(self) -> npt.NDArray[np.bool_]:
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


@dataclass(frozen=True, slots=True, eq=False)
class Capacity:
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
    censored: npt.NDArray[np.bool_]
    trials: tuple[tuple[CapacityTrial, ...], ...]
    design: CapacityDesign
    interrupted: bool = False

    def __post_init__(self) -> None:
        for name in ("n_parameters", "capacities", "censored"):
            object.__setattr__(self, name, readonly(getattr(self, name)))

    def is_lower_bound(self, architecture: int) -> bool:
        """Whether a search of an architecture never failed, so that the mean capacity is at least what is said."""
        return bool(self.censored[architecture].any())

    def interval(self, architecture: int) -> Interval:
        """Return the mean capacity of an architecture, with a bootstrap interval over its replicates.

        A search that fitted all images allowed is censored: its capacity is at least that number. With one of
        these, the estimate and the lower end, both with that number in its place, are lower bounds, and
        the upper end is infinite.
        """
        found = bootstrap_interval(self.capacities[architecture].astype(np.float64))
        return replace(found, high=np.inf) if self.is_lower_bound(architecture) else found


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
    >>> found = capacity(probe.MLP((4,), "relu"), split, few, **quick)
    >>> found.architectures
    ('64-4-10 relu',)
    """
    design = CapacityDesign(
        (architectures,) if isinstance(architectures, MLP) else tuple(architectures),
        CAPACITY_CONFIG if config is None else config,
        tuple(rates),
        starts,
        replicates,
        updates,
        largest,
        tolerance,
        kept_seed(seed),
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

    found = gathered(search, keys, workers=workers, report=report)
    done = {keys[index]: trial for index, trial in found.items()}
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
    return None if share is None else CapacityFit(share)


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


def _by_rate(fitted: npt.NDArray[np.bool_], n_rates: int) -> Floats:
    return np.asarray(fitted.reshape(n_rates, -1).mean(axis=1))


def capacity_of(design: CapacityDesign, done: dict[CapacityKey, CapacityTrial], split: Split) -> Capacity:
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
        tuple(mlp.named(n_in, n_classes) for mlp in design.architectures),
        np.array([mlp.n_parameters(n_in, n_classes) for mlp in design.architectures], np.int64),
        np.array([[trial.capacity for trial in row] for row in trials], np.int64),
        np.array([[trial.is_censored for trial in row] for row in trials]),
        trials,
        design,
        interrupted=len(done) < len(design.keys),
    )
