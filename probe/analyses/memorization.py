"""Does the same network also learn random labels? The paired experiment of Zhang et al., with replicates."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from probe._checks import DivergedError, InputError, check_integer, generator, readonly
from probe._progress import Progress, silent
from probe.datasets import Split, permuted_labels
from probe.population import MLP, Population, initial_population
from probe.stats import Interval, mean_interval
from probe.training import Shard, TrainingConfig, train_shards

__all__ = ["DEFAULT_CONFIG", "THRESHOLDS", "LabelArm", "Memorization", "memorization"]

Floats = npt.NDArray[np.float64]

THRESHOLDS = (0.5, 0.9, 0.99, 1.0)
"""Training accuracies whose first epoch is recorded."""

DEFAULT_CONFIG = TrainingConfig(epochs=300, batch_size=50, learning_rate=0.1, stop="fitted")


@dataclass(frozen=True, slots=True, eq=False)
class LabelArm:
    """The networks trained on one kind of labels; row r of every array is replicate r.

    Attributes
    ----------
    name : {"true", "random"}
        Kind of labels.
    cost : ndarray of shape (n_replicates, n_epochs)
        Mean cost on the labels trained on.
    train_accuracy : ndarray of shape (n_replicates, n_epochs), in [0, 1]
        On the labels trained on.
    test_accuracy : ndarray of shape (n_replicates, n_epochs), in [0, 1]
        On the test images and their true labels.
    updates : ndarray of shape (n_replicates, n_thresholds)
        Updates until the training accuracy, taken after each epoch, first reached each threshold; NaN
        where it did not within the epochs trained (right-censored).
    """

    name: str
    cost: Floats
    train_accuracy: Floats
    test_accuracy: Floats
    updates: Floats

    def __post_init__(self) -> None:
        for name in ("cost", "train_accuracy", "test_accuracy", "updates"):
            object.__setattr__(self, name, readonly(getattr(self, name)))


@dataclass(frozen=True, slots=True, eq=False)
class Memorization:
    """Networks trained on true and on random labels of the same images.

    Attributes
    ----------
    true, random : LabelArm
        The two arms; replicate r has the same start and the same order of the data in both.
    thresholds : tuple of float
        Training accuracies that `LabelArm.updates` refers to.
    updates_per_epoch : int
        Minibatches in an epoch.
    n_samples : int
        Training images.
    n_test : int
        Test images.
    chance : float, in [0, 1]
        Test accuracy of always naming the test data's most frequent class.
    label_agreement : ndarray of shape (n_replicates,), in [0, 1]
        Share of random labels that are right by chance.
    architecture : str
        What was trained, such as "784-64-10 relu".
    config : TrainingConfig
        How.
    interrupted : bool
        Whether Ctrl-C ended the work early; then only the replicates that were done are here.
    """

    true: LabelArm
    random: LabelArm
    thresholds: tuple[float, ...]
    updates_per_epoch: int
    n_samples: int
    n_test: int
    chance: float
    label_agreement: Floats
    architecture: str
    config: TrainingConfig
    interrupted: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "label_agreement", readonly(self.label_agreement))

    @property
    def arms(self) -> tuple[LabelArm, LabelArm]:
        """True labels, then random ones."""
        return self.true, self.random

    @property
    def n_replicates(self) -> int:
        """Pairs of networks."""
        return len(self.true.cost)

    def slowdown(self, threshold: float = 1.0) -> Interval | None:
        """Return how many times as many updates random labels took to reach a training accuracy.

        The geometric mean over replicates of the paired ratio, with Student's t interval of its logarithm;
        None if a network did not get there.
        """
        if threshold not in self.thresholds:
            names = ", ".join(f"{known:g}" for known in self.thresholds)
            raise InputError(f"threshold must be one of {names}; got {threshold!r}")
        place = self.thresholds.index(threshold)
        ratios = np.log(self.random.updates[:, place] / self.true.updates[:, place])
        if not np.isfinite(ratios).all():
            return None
        interval = mean_interval(ratios)
        ends = np.exp([interval.estimate, interval.low, interval.high])
        return Interval(float(ends[0]), float(ends[1]), float(ends[2]), interval.level, interval.n)


def memorization(
    architecture: MLP,
    split: Split,
    config: TrainingConfig | None = None,
    *,
    n_samples: int = 1000,
    replicates: int = 5,
    n_test: int = 2000,
    seed: int | np.random.Generator = 0,
    workers: int | None = None,
    progress: Progress = silent,
) -> Memorization:
    """Train pairs of networks on true and on permuted labels of the same images.

    Each replicate draws its own images, start, order and permutation; its two networks share all but the
    labels. A permutation keeps how often each class occurs.

    Parameters
    ----------
    architecture : MLP
        Shape of all networks.
    split : Split
        The images come from its training data; the test data measure what was learned.
    config : TrainingConfig, optional
        By default up to 300 epochs of plain gradient descent in batches of 50 at a rate of 0.1, until
        everything is fitted.
    n_samples : int
        Training images for each replicate, at least 2.
    replicates : int
        Pairs of networks, at least 1.
    n_test : int
        Test images, drawn at random, that are classified after every epoch; at most all.
    seed : int or numpy.random.Generator
        Everything random follows from it.
    workers : int, optional
        Threads, as for `probe.train_population`. The result does not depend on it.
    progress : callable
        Called with a `ProgressEvent` after each epoch.

    Raises
    ------
    InputError
        If an argument is outside its range.

    References
    ----------
    .. [1] C. Zhang et al., "Understanding deep learning requires rethinking generalization", ICLR 2017.
    .. [2] D. Arpit et al., "A Closer Look at Memorization in Deep Networks", ICML 2017.
    """
    config = DEFAULT_CONFIG if config is None else config
    if config.evaluation != "epoch":
        raise InputError(
            f"config must have evaluation='epoch' for learning curves, got {config.evaluation!r}"
        )
    check_integer("n_samples", n_samples, minimum=2, maximum=len(split.train))
    check_integer("replicates", replicates, minimum=1)
    check_integer("n_test", n_test, minimum=1)
    test_rng, replicate_rng = generator(seed).spawn(2)
    n_test = min(n_test, len(split.test))
    test = split.test.take(np.sort(test_rng.choice(len(split.test), n_test, replace=False)))
    shards, agreement = [], []
    for rng in replicate_rng.spawn(replicates):
        start_rng, order_rng, sample_rng, label_rng = rng.spawn(4)
        chosen = np.sort(sample_rng.choice(len(split.train), n_samples, replace=False))
        sample = split.train.take(chosen)
        shuffled = permuted_labels(sample.labels, rng=label_rng)
        one = initial_population(
            architecture, sample.image_shape, sample.class_names, rngs=[start_rng], dtype=config.dtype
        )
        data = replace(split, train=sample, test=test)
        shards.append(Shard(_twice(one), data, order_rng, labels=np.stack([sample.labels, shuffled])))
        agreement.append(float((shuffled == sample.labels).mean()))
    results = train_shards(shards, config, workers=workers, progress=progress, stage="memorising")
    done = [not result.interrupted for result in results]
    if not any(done):
        raise KeyboardInterrupt
    results = [result for result, kept in zip(results, done, strict=True) if kept]
    if any(result.diverged for result in results):
        raise DivergedError(
            f"a network diverged at learning_rate {config.learning_rate:g}; pass a configuration with a smaller one"
        )
    updates_per_epoch = -(-n_samples // min(config.batch_size, n_samples))

    def arm(name: str, member: int) -> LabelArm:
        cost, train, test = (
            np.stack([getattr(result.history, field)[member] for result in results])
            for field in ("cost", "train_accuracy", "test_accuracy")
        )
        return LabelArm(name, cost, train, test, _updates(train, updates_per_epoch))

    sizes = architecture.layer_sizes(split.train.images[0].size, split.train.n_classes)
    return Memorization(
        arm("true", 0),
        arm("random", 1),
        THRESHOLDS,
        updates_per_epoch,
        n_samples,
        n_test,
        float(np.bincount(test.labels).max() / len(test)),
        np.array(agreement)[done],
        f"{'-'.join(map(str, sizes))} {architecture.activation}",
        config,
        interrupted=not all(done),
    )


def _twice(population: Population) -> Population:
    """Return a population of one as two equal members."""
    return replace(
        population,
        weights=tuple(np.repeat(w, 2, axis=0) for w in population.weights),
        biases=tuple(np.repeat(b, 2, axis=0) for b in population.biases),
    )


def _updates(accuracy: Floats, updates_per_epoch: int) -> Floats:
    """Return the updates until each threshold was first reached, of shape (n_replicates, n_thresholds)."""
    reached = accuracy[:, None, :] >= np.array(THRESHOLDS)[:, None]
    epochs = reached.argmax(axis=2) + 1.0
    return np.where(reached.any(axis=2), epochs * updates_per_epoch, np.nan)
