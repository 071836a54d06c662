"""Which examples are learned by heart? Each is scored by how much its own presence in the training data helps."""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from probe._checks import (
    DivergedError,
    InputError,
    check_choice,
    check_integer,
    check_number,
    generator,
    readonly,
)
from probe._parallel import gathered, single_threaded_blas
from probe._progress import Progress, ProgressEvent, silent
from probe.datasets import LABEL_CORRUPTIONS, Dataset, LabelCorruption, Split, permuted_labels, redrawn_labels
from probe.population import MLP, initial_population
from probe.training import PreparedData, Shard, ShardRun, TrainingConfig, useful_workers

__all__ = ["SCORES_CONFIG", "MemorizationScores", "balanced_masks", "memorization_scores"]

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
        The examples, as places in the training data, ascending.
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
        Everything random follows from it.
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
    config = SCORES_CONFIG if config is None else config
    check_integer("n_samples", n_samples, minimum=2, maximum=len(split.train))
    check_integer("n_networks", n_networks, minimum=1)
    check_number("share", share, above=0, below=1)
    check_number("corruption", corruption, minimum=0, maximum=1)
    check_choice("label_corruption", label_corruption, LABEL_CORRUPTIONS)
    _check_enough(n_networks, n_samples, share)
    sample_rng, label_rng, mask_rng, start_rng, order_rng = generator(seed).spawn(5)
    chosen = np.sort(sample_rng.permutation(len(split.train))[:n_samples])
    sample = split.train.take(chosen)
    labels = _taught(sample, label_corruption, corruption, label_rng)
    # Networks are judged by examples they were not trained on, so one test image is enough for the engine.
    data = replace(split, train=sample.with_labels(labels), test=split.test.take(slice(0, 1)))
    masks = balanced_masks(n_networks, n_samples, share=share, rng=mask_rng)
    start_rngs = start_rng.spawn(n_networks)
    groups = [slice(k, min(k + _SHARD_SIZE, n_networks)) for k in range(0, n_networks, _SHARD_SIZE)]
    tasks = [
        _Group(architecture, data, masks[group], start_rngs[group], rng)
        for group, rng in zip(groups, order_rng.spawn(len(groups)), strict=True)
    ]
    if workers is None:
        sizes = architecture.n_parameters(sample.images[0].size, sample.n_classes)
        workers = useful_workers(min(_SHARD_SIZE, n_networks) * sizes)
    check_integer("workers", workers, minimum=1)

    def report(done: dict[int, _Answers]) -> None:
        progress(ProgressEvent("scores", sum(len(a.is_right) for a in done.values()), n_networks, "networks"))

    done = gathered(partial(_trained_answers, config=config), tasks, workers=workers, report=report)
    interrupted = len(done) < len(tasks)
    if not done:
        raise KeyboardInterrupt
    answers = _Answers.joined(list(done.values()))
    proportions = _proportions(answers, n_networks, interrupted=interrupted)
    most = np.lexsort((proportions["standard_errors"], -proportions["scores"]))[:_N_MOST].astype(np.int64)
    return MemorizationScores(
        **proportions,
        labels=labels,
        true_labels=sample.labels,
        sample_indices=chosen.astype(np.int64),
        most_memorized=most,
        images=sample.images[most],
        class_names=sample.class_names,
        architecture=architecture.named(sample.images[0].size, sample.n_classes),
        share=float(share),
        corruption=float(corruption),
        n_diverged=int(answers.is_diverged.sum()),
        interrupted=interrupted,
    )


def _proportions(answers: _Answers, n_networks: int, *, interrupted: bool) -> dict[str, Any]:
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


@dataclass(frozen=True, slots=True, eq=False)
class _Answers:
    """Which samples networks classify as taught, (n_networks, n_samples), and which networks diverged."""

    masks: Mask
    is_right: Mask
    is_diverged: Mask

    @classmethod
    def joined(cls, answers: Sequence[_Answers]) -> _Answers:
        """Return the answers of several groups as one."""
        return cls(*(np.concatenate([getattr(a, name) for a in answers]) for name in cls.__slots__))


def _trained_answers(group: _Group, stop: threading.Event, *, config: TrainingConfig) -> _Answers | None:
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
    return _Answers(group.masks, is_right, outcome.diverged_epoch > 0)


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
