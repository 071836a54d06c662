"""Which examples are learned by heart? Each is scored by how much its own presence in the training data helps."""

from __future__ import annotations

import math
import threading
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from probe._checks import (
    DivergedError,
    InputError,
    check_choice,
    check_integer,
    check_number,
    kept_seed,
    readonly,
)
from probe._parallel import gathered, single_threaded_blas
from probe._progress import Progress, ProgressEvent, silent
from probe._signatures import checked
from probe.datasets import LABEL_CORRUPTIONS, Dataset, LabelCorruption, Split, permuted_labels, redrawn_labels
from probe.population import MLP, initial_population
from probe.training import PreparedData, Shard, ShardRun, TrainingConfig, useful_workers

__all__ = [
    "SCORES_CONFIG",
    "MemorizationScores",
    "ScoresDesign",
    "ScoresKey",
    "ScoresTrial",
    "balanced_masks",
    "memorization_scores",
    "run_scores_trial",
    "scores_of",
]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

SCORES_CONFIG = TrainingConfig(
    epochs=60, batch_size=50, learning_rate=0.1, optimizer="momentum", stop="fitted"
)
"""Trains 784-128-10 on 700 digits, 20% of them with wrong labels, until they are fitted: some 20 epochs."""

_SHARD_SIZE = 20
"""Networks that share the order of the data. Larger shards are no faster, and 200 networks make ten of these."""

_N_MOST = 16
"""Examples whose images a result keeps."""


@checked
@dataclass(frozen=True, slots=True)
class ScoresDesign:
    """Networks that are each trained on a part of the same samples; a trial trains some of them.

    Parameters
    ----------
    architecture : MLP
        Shape of the networks.
    config : TrainingConfig
        How they are trained.
    n_samples, n_networks, share, corruption, label_corruption
        As for `memorization_scores`.
    seed : int
        Everything random follows from it.

    Raises
    ------
    InputError
        If a value is outside its range.
    """

    architecture: MLP
    config: TrainingConfig = SCORES_CONFIG
    n_samples: int = 1000
    n_networks: int = 200
    share: float = 0.7
    corruption: float = 0.0
    label_corruption: LabelCorruption = "permute"
    seed: int = 0

    def __post_init__(self) -> None:
        check_integer("n_samples", self.n_samples, minimum=2)
        check_integer("n_networks", self.n_networks, minimum=1)
        check_number("share", self.share, above=0, below=1)
        check_number("corruption", self.corruption, minimum=0, maximum=1)
        check_choice("label_corruption", self.label_corruption, LABEL_CORRUPTIONS)
        check_integer("seed", self.seed, minimum=0)
        _check_enough(self.n_networks, self.n_samples, self.share)

    @property
    def keys(self) -> tuple[ScoresKey, ...]:
        """All trials."""
        return tuple(ScoresKey(first) for first in range(0, self.n_networks, _SHARD_SIZE))

    def check_fits(self, split: Split) -> None:
        """Raise unless the data have as many training images as the design asks for."""
        check_integer("n_samples", self.n_samples, minimum=2, maximum=len(split.train))

    def to_dict(self) -> dict[str, object]:
        """Return the design as plain values, for a manifest."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class ScoresKey:
    """Which networks a trial trains: up to 20 from number `first` on."""

    first: int

    @property
    def name(self) -> str:
        """A name for files."""
        return f"networks-{self.first:05d}"


@dataclass(frozen=True, slots=True, eq=False)
class ScoresTrial:
    """What the networks of one trial say of all samples.

    Attributes
    ----------
    masks : ndarray of shape (n_networks, n_samples), bool
        Which samples each network was trained on.
    is_right : ndarray of shape (n_networks, n_samples), bool
        Which it classifies as taught.
    is_diverged : ndarray of shape (n_networks,), bool
    """

    masks: Mask
    is_right: Mask
    is_diverged: Mask

    def __post_init__(self) -> None:
        for name in self.__slots__:
            object.__setattr__(self, name, readonly(getattr(self, name)))

    @classmethod
    def joined(cls, trials: Sequence[ScoresTrial]) -> ScoresTrial:
        """Return several trials as one."""
        return cls(*(np.concatenate([getattr(trial, name) for trial in trials]) for name in cls.__slots__))


@dataclass(frozen=True, slots=True, eq=False)
class MemorizationScores:
    """How much each example was memorised rather than inferred from the others.

    Attributes
    ----------
    scores : ndarray of shape (n_samples,), in [-1, 1]
        `accuracy_in` less `accuracy_out`. Near 0 for what is learned from the other examples (or not at
        all), near 1 for what is right only if it was learned by heart.
    standard_errors : ndarray of shape (n_samples,), in (0, 1)
        Of the scores: of a difference of two proportions, the networks being the replicates. One success
        and one failure are added to each group first, [1]_, or else it would be 0 wherever all networks of
        both groups agree. It holds for other networks trained on other parts of these samples, not
        for other samples.
    accuracy_in, accuracy_out : ndarray of shape (n_samples,), in [0, 1]
        Share of the networks trained with and without the example that classify it as it was taught.
    n_in, n_out : ndarray of shape (n_samples,), int64, at least 1
        How many networks these are.
    labels, true_labels : ndarray of shape (n_samples,), int64
        What was taught, and what the data say.
    sample_indices : ndarray of shape (n_samples,), int64
        The examples, as indices into the training data, ascending.
    most_memorized : ndarray of shape (n_most,), int64
        Places, in the arrays above, of the (up to 16) examples of the highest scores, the highest first.
    images : ndarray of shape (n_most, height, width[, channels]), float32, in [0, 1]
        Their images.
    class_names : tuple of str
        Names of the classes.
    architecture : str
        Such as "784-128-10 relu".
    share : float, in (0, 1)
        Share of the samples that each network was trained on.
    corruption : float, in [0, 1]
        Share of the labels that took part in the corruption; by chance some of these are right.
    n_diverged : int
        Networks that diverged; they count for nothing above.
    interrupted : bool
        Whether Ctrl-C ended the work early; then only the networks done by then count.

    References
    ----------
    .. [1] A. Agresti, B. Caffo, "Simple and Effective Confidence Intervals for Proportions and Differences
       of Proportions Result from Adding Two Successes and Two Failures", The American Statistician 54, 2000.
    """

    scores: Floats
    standard_errors: Floats
    accuracy_in: Floats
    accuracy_out: Floats
    n_in: Ints
    n_out: Ints
    labels: Ints
    true_labels: Ints
    sample_indices: Ints
    most_memorized: Ints
    images: npt.NDArray[np.float32]
    class_names: tuple[str, ...]
    architecture: str
    share: float
    corruption: float
    n_diverged: int = 0
    interrupted: bool = False

    def __post_init__(self) -> None:
        for name in self.__slots__:
            if isinstance(getattr(self, name), np.ndarray):
                object.__setattr__(self, name, readonly(getattr(self, name)))

    @property
    def is_corrupted(self) -> Mask:
        """Which examples were taught with a wrong label, of shape (n_samples,)."""
        return np.asarray(self.labels != self.true_labels)

    @property
    def n_networks(self) -> int:
        """Networks that the scores come from."""
        return int(self.n_in[0] + self.n_out[0])


@checked
def memorization_scores(
    architecture: MLP,
    split: Split,
    config: TrainingConfig | None = None,
    *,
    n_samples: int = 1000,
    n_networks: int = 200,
    share: float = 0.7,
    corruption: float = 0.0,
    label_corruption: LabelCorruption = "permute",
    seed: int | np.random.Generator = 0,
    workers: int | None = None,
    progress: Progress = silent,
) -> MemorizationScores:
    """Estimate how much each training example is memorised.

    Every network is trained on a random part of the samples. The memorisation of an example is the
    probability that a network trained with it classifies it as taught, less the probability that one
    trained without it does, [1]_. Both are estimated from all networks at once: each example is
    left out of the same number of them, up to one.

    Parameters
    ----------
    architecture : MLP
        Shape of the networks.
    split : Split
        The samples come from its training data; its test data are not used.
    config : TrainingConfig, optional
        `SCORES_CONFIG` without: 60 epochs at most, and each network stops when it has fitted its samples.
    n_samples : int
        Samples, drawn at random; at least 2 and at most all.
    n_networks : int
        At least so many that every example is seen and left out twice. The standard error of a score is
        at most about ``0.5 / sqrt(n_networks * share * (1 - share))``: 0.077 for 200 and a share of 0.7.
    share : float, in (0, 1)
        Share of the samples that each network is trained on.
    corruption : float, in [0, 1]
        Share of the labels that are corrupted, the same for all networks.
    label_corruption : {"permute", "uniform"}
        How: permuted among themselves or drawn anew.
    seed : int or numpy.random.Generator
        Everything random follows from it; from a generator a seed is drawn.
    workers : int, optional
        Threads that train networks at the same time; by default as many as pay. The result does not depend
        on it.
    progress : callable
        Called with a `ProgressEvent` after each group of networks.

    Raises
    ------
    InputError
        If an argument is outside its range.
    DivergedError
        If so many networks diverged that an example is left without one of its probabilities.
    KeyboardInterrupt
        If Ctrl-C came before each example had been seen and left out.

    References
    ----------
    .. [1] V. Feldman, C. Zhang, "What Neural Networks Memorize and Why: Discovering the Long Tail via
       Influence Estimation", NeurIPS 2020. There 2,000 networks are trained on 70% of the data each.

    Examples
    --------
    >>> import probe
    >>> split = probe.load_dataset("digits")
    >>> found = memorization_scores(
    ...     probe.MLP((32,), "relu"), split, n_samples=100, n_networks=40, corruption=0.2
    ... )
    >>> wrong = found.is_corrupted
    >>> bool(found.scores[wrong].mean() > 2 * found.scores[~wrong].mean())
    True
    """
    design = ScoresDesign(
        architecture,
        SCORES_CONFIG if config is None else config,
        n_samples,
        n_networks,
        share,
        corruption,
        label_corruption,
        kept_seed(seed),
    )
    design.check_fits(split)
    if workers is None:
        sizes = architecture.n_parameters(split.train.images[0].size, split.train.n_classes)
        workers = useful_workers(min(_SHARD_SIZE, n_networks) * sizes)
    check_integer("workers", workers, minimum=1)

    def report(done: dict[int, ScoresTrial]) -> None:
        progress(ProgressEvent("scores", sum(len(t.is_right) for t in done.values()), n_networks, "networks"))

    def trial(key: ScoresKey, stop: threading.Event) -> ScoresTrial | None:
        return run_scores_trial(design, key, split, stop)

    keys = design.keys
    found = gathered(trial, keys, workers=workers, report=report)
    return scores_of(design, {keys[index]: done for index, done in found.items()}, split)


def run_scores_trial(
    design: ScoresDesign, key: ScoresKey, split: Split, stop: threading.Event | None = None
) -> ScoresTrial | None:
    """Train the networks of one trial and ask them for all samples; None if `stop` was set on the way."""
    stop = threading.Event() if stop is None else stop
    _, sample, labels = _taught_sample(design, split)
    # Networks are judged by examples they were not trained on, so one test image is enough for the engine.
    data = replace(split, train=sample.with_labels(labels), test=split.test.take(slice(0, 1)))
    streams, index = _streams(design), design.keys.index(key)
    members = slice(key.first, min(key.first + _SHARD_SIZE, design.n_networks))
    group = _Group(
        design.architecture,
        data,
        _masks(design)[members],
        streams["start"].spawn(design.n_networks)[members],
        streams["order"].spawn(len(design.keys))[index],
    )
    return _trained_answers(group, stop, config=design.config)


def scores_of(
    design: ScoresDesign, done: Mapping[ScoresKey, ScoresTrial], split: Split
) -> MemorizationScores:
    """Return what the trials that are done come to.

    Raises
    ------
    DivergedError
        If so many networks diverged that an example is left without one of its probabilities.
    KeyboardInterrupt
        If so few trials are done that it is.
    """
    trials = [done[key] for key in design.keys if key in done]
    interrupted = len(trials) < len(design.keys)
    if not trials:
        raise KeyboardInterrupt
    answers = ScoresTrial.joined(trials)
    chosen, sample, labels = _taught_sample(design, split)
    proportions = _proportions(answers, design.n_networks, interrupted=interrupted)
    most = np.lexsort((proportions["standard_errors"], -proportions["scores"]))[:_N_MOST].astype(np.int64)
    return MemorizationScores(
        **proportions,
        labels=labels,
        true_labels=sample.labels,
        sample_indices=chosen,
        most_memorized=most,
        images=sample.images[most],
        class_names=sample.class_names,
        architecture=design.architecture.named(sample.images[0].size, sample.n_classes),
        share=float(design.share),
        corruption=float(design.corruption),
        n_diverged=int(answers.is_diverged.sum()),
        interrupted=interrupted,
    )


def _streams(design: ScoresDesign) -> dict[str, np.random.Generator]:
    """Return the random numbers of the whole design, begun anew."""
    names = ("sample", "labels", "masks", "start", "order")
    return dict(zip(names, np.random.default_rng(design.seed).spawn(len(names)), strict=True))


def _taught_sample(design: ScoresDesign, split: Split) -> tuple[Ints, Dataset, Ints]:
    """Return the indices of the samples in the training data, the samples, and what is taught of them."""
    streams = _streams(design)
    chosen = np.sort(streams["sample"].permutation(len(split.train))[: design.n_samples]).astype(np.int64)
    sample = split.train.take(chosen)
    return chosen, sample, _taught(sample, design.label_corruption, design.corruption, streams["labels"])


@lru_cache(maxsize=2)
def _masks(design: ScoresDesign) -> Mask:
    """Return the masks of all networks, which follow from each other: every trial needs those before its own."""
    rng = _streams(design)["masks"]
    return readonly(balanced_masks(design.n_networks, design.n_samples, share=design.share, rng=rng))


def _proportions(answers: ScoresTrial, n_networks: int, *, interrupted: bool) -> dict[str, Any]:
    """Return the fields of `MemorizationScores` that are counted over the networks."""
    masks, is_right = (part[~answers.is_diverged] for part in (answers.masks, answers.is_right))
    n_in, n_out = masks.sum(axis=0), (~masks).sum(axis=0)
    if min(n_in.min(), n_out.min()) == 0:
        if interrupted:
            raise KeyboardInterrupt
        raise DivergedError(
            f"{answers.is_diverged.sum()} of {n_networks} networks diverged, so that some examples were not both "
            "seen and left out by the others; lower the learning rate"
        )
    right_in, right_out = (masks & is_right).sum(axis=0), (~masks & is_right).sum(axis=0)
    accuracy_in, accuracy_out = right_in / n_in, right_out / n_out
    return {
        "scores": accuracy_in - accuracy_out,
        "standard_errors": np.sqrt(_variance(right_in, n_in) + _variance(right_out, n_out)),
        "accuracy_in": accuracy_in,
        "accuracy_out": accuracy_out,
        "n_in": n_in,
        "n_out": n_out,
    }


def _variance(successes: Ints, n: Ints) -> Floats:
    """Return the variance of a proportion after one success and one failure more."""
    proportion = (successes + 1) / (n + 2)
    return np.asarray(proportion * (1 - proportion) / (n + 2))


def balanced_masks(n_networks: int, n_samples: int, *, share: float, rng: np.random.Generator) -> Mask:
    """Draw which samples each network is trained on, such that each is left out of about as many networks.

    Parameters
    ----------
    n_networks, n_samples : int
        At least 1.
    share : float, in (0, 1)
        Share of the samples that each network is trained on; ``round(share * n_samples)`` of them.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    ndarray of shape (n_networks, n_samples), bool
        After every row, the numbers of networks that each sample was left out of differ by at most 1.

    Examples
    --------
    >>> masks = balanced_masks(4, 6, share=0.5, rng=np.random.default_rng(0))
    >>> masks.sum(axis=1), masks.sum(axis=0)
    (array([3, 3, 3, 3]), array([2, 2, 2, 2, 2, 2]))
    """
    n_left_out = n_samples - round(share * n_samples)
    masks = np.ones((n_networks, n_samples), np.bool_)
    times = np.zeros(n_samples, np.int64)
    for mask in masks:
        left_out = np.lexsort((rng.random(n_samples), times))[:n_left_out]
        mask[left_out] = False
        times[left_out] += 1
    return masks


@dataclass(frozen=True, slots=True, eq=False)
class _Group:
    """Networks that are trained together."""

    architecture: MLP
    data: Split
    masks: Mask
    start_rngs: list[np.random.Generator]
    order_rng: np.random.Generator


def _trained_answers(group: _Group, stop: threading.Event, *, config: TrainingConfig) -> ScoresTrial | None:
    """Train some networks and ask them for all samples; None if `stop` was set on the way."""
    train = group.data.train
    start = initial_population(
        group.architecture,
        train.image_shape,
        train.class_names,
        rngs=group.start_rngs,
        dtype=config.dtype,
    )
    shard = Shard(start, group.data, group.order_rng, sample_masks=group.masks)
    with single_threaded_blas():
        outcome = ShardRun(shard, PreparedData.of(group.data, config), config, stop, lambda cost: None).run()
        if outcome.interrupted:
            return None
        networks = (outcome.population.network(k) for k in range(len(start)))
        is_right = np.stack([network.predict(train.images) == train.labels for network in networks])
    return ScoresTrial(group.masks, is_right, outcome.diverged_epoch > 0)


def _taught(sample: Dataset, kind: LabelCorruption, fraction: float, rng: np.random.Generator) -> Ints:
    if kind == "permute":
        return permuted_labels(sample.labels, rng=rng, fraction=fraction)
    return redrawn_labels(sample.labels, sample.n_classes, rng=rng, fraction=fraction)


def _check_enough(n_networks: int, n_samples: int, share: float) -> None:
    """Raise unless every sample is seen at least twice and left out at least twice."""
    n_in = round(share * n_samples)
    rarer = min(n_in, n_samples - n_in)
    if rarer == 0:
        raise InputError(
            f"share must be such that some of {n_samples} samples are seen and some left out, got {share:g}"
        )
    needed = math.ceil(2 * n_samples / rarer)
    if n_networks < needed:
        raise InputError(
            f"n_networks must be at least {needed} with a share of {share:g}, so that every example is seen "
            f"twice and left out twice, got {n_networks}"
        )
