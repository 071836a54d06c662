"""Networks trained on parts of the samples, and how much each sample's own presence helps."""

from __future__ import annotations

import math
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from probe._bars import ShownProgress
from probe._checks import DivergedError, InputError, readonly
from probe._parallel import single_threaded_blas
from probe._progress import Progress
from probe._signatures import checked
from probe.analyses.scores.results import (
    SCORES_CONFIG,
    SHARD_SIZE,
    MemorizationScores,
    ScoresDesign,
    ScoresKey,
    ScoresTrial,
    balanced_masks,
)
from probe.datasets import Dataset, LabelCorruption, Split, permuted_labels, redrawn_labels
from probe.population import MLP, initial_population
from probe.study import DesignedStudy, run_study
from probe.training import PreparedData, Shard, ShardRun, TrainingConfig, training_seconds

__all__ = ["ScoresStudy", "memorization_scores"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

_N_MOST = 16
"""Examples whose images a result keeps."""


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
    progress: ShownProgress = "auto",
) -> MemorizationScores:
    """Estimate how much each training example is memorized.

    Every network is trained on a random part of the samples. The memorization of an example is the
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
        How networks are trained; by default for at most 60 epochs, until each has fitted its samples.
    n_samples : int
        Training images to score, drawn at random; at least 2 and at most all.
    n_networks : int
        Networks, each trained on a part of the images; at least so many that every image is seen and left out twice.
        The standard error of a score is at most about ``0.5 / sqrt(n_networks * share * (1 - share))``: 0.077 for 200
        and a share of 0.7.
    share : float, in (0, 1)
        Share of the samples that each network is trained on.
    corruption : float, in [0, 1]
        Share of the labels to corrupt, the same for all networks.
    label_corruption : {"permute", "uniform"}
        How labels are corrupted: permuted among themselves, which keeps the class counts, or drawn anew.
    seed : int or numpy.random.Generator
        Everything random follows from it; from a generator a seed is drawn.
    workers : int, optional
        Trials that run at the same time, in processes where those pay; by default as many as there are cores, or one if
        all is quickly done. The result does not depend on it.
    progress : callable, "auto" or None
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
    >>> result = memorization_scores(
    ...     probe.MLP((32,), "relu"), split, n_samples=100, n_networks=40, corruption=0.2
    ... )
    >>> wrong = result.is_corrupted
    >>> bool(result.scores[wrong].mean() > 2 * result.scores[~wrong].mean())
    True
    """
    assert callable(progress)
    study = ScoresStudy.of(
        architecture,
        split,
        config,
        n_samples=n_samples,
        n_networks=n_networks,
        share=share,
        corruption=corruption,
        label_corruption=label_corruption,
        seed=seed,
    )
    return run_study(study, split, workers=workers, progress=progress)


@dataclass(frozen=True)
class ScoresStudy(DesignedStudy[ScoresKey, ScoresTrial, MemorizationScores]):
    """The networks of a design, a trial for every 20 of them."""

    design: ScoresDesign

    name: ClassVar[str] = "memorization scores"
    stage: ClassVar[str] = "scores"
    trial: ClassVar[type[ScoresTrial]] = ScoresTrial
    default_architectures: ClassVar[tuple[MLP, ...]] = (MLP((64,), "relu"),)
    default_training: ClassVar[TrainingConfig] = SCORES_CONFIG

    @staticmethod
    def _designed(split: Split, **options: Any) -> ScoresDesign:
        architectures = options.pop("architectures")
        if len(architectures) != 1:
            raise InputError(f"architectures must be one, got {len(architectures)}")
        design = ScoresDesign(architectures[0], **options)
        design.check_fits(split)
        return design

    def run(self, key: ScoresKey, given: None, split: Split, stop: threading.Event) -> ScoresTrial | None:
        """Train the networks of one trial and ask them for all samples."""
        _, sample, labels = _taught_sample(self.design, split)
        # Networks are judged by examples they were not trained on, so one test image is enough for the engine.
        data = replace(split, train=sample.with_labels(labels), test=split.test.take(slice(0, 1)))
        streams, index = _streams(self.design), self.design.keys.index(key)
        members = slice(key.first, min(key.first + SHARD_SIZE, self.design.n_networks))
        group = _Group(
            self.design.architecture,
            data,
            _masks(self.design)[members],
            streams["start"].spawn(self.design.n_networks)[members],
            streams["order"].spawn(len(self.design.keys))[index],
        )
        return _trained_answers(group, stop, config=self.design.config)

    def seconds(self, keys: Sequence[ScoresKey], split: Split) -> float:
        """Return about how long one core takes."""
        design = self.design
        each = design.architecture.n_parameters(math.prod(split.train.image_shape), split.train.n_classes)
        return len(keys) * training_seconds(SHARD_SIZE * each, design.n_samples, design.config)

    def combine(
        self, done: Mapping[ScoresKey, ScoresTrial], split: Split, progress: Progress
    ) -> MemorizationScores:
        """Return what the trials that are done come to."""
        trials = [done[key] for key in self.design.keys if key in done]
        interrupted = len(trials) < len(self.design.keys)
        if not trials:
            raise KeyboardInterrupt
        answers = ScoresTrial.joined(trials)
        chosen, sample, labels = _taught_sample(self.design, split)
        proportions = _proportions(answers, self.design.n_networks, interrupted=interrupted)
        most = np.lexsort((proportions["standard_errors"], -proportions["scores"]))[:_N_MOST].astype(np.int64)
        return MemorizationScores(
            **proportions,
            labels=labels,
            true_labels=sample.labels,
            sample_indices=chosen,
            most_memorized=most,
            images=sample.images[most],
            class_names=sample.class_names,
            architecture=self.design.architecture.named(sample.images[0].size, sample.n_classes),
            share=float(self.design.share),
            corruption=float(self.design.corruption),
            n_diverged=int(answers.is_diverged.sum()),
            interrupted=interrupted,
        )

    def note(self, trials: Sequence[ScoresTrial]) -> str:
        """Return the number of networks."""
        return f"{sum(len(trial.is_right) for trial in trials)} networks"


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
    shard = Shard(start, group.data, group.order_rng, sample_weights=group.masks)
    with single_threaded_blas():
        outcome = ShardRun(shard, PreparedData.of(group.data, config), config, stop, lambda cost: None).run()
        if outcome.interrupted:
            return None
        networks = outcome.population.networks()
        is_right = np.stack([network.predict(train.images) == train.labels for network in networks])
    return ScoresTrial(masks=group.masks, is_right=is_right, is_diverged=outcome.diverged_epoch > 0)


def _taught(sample: Dataset, kind: LabelCorruption, fraction: float, rng: np.random.Generator) -> Ints:
    if kind == "permute":
        return permuted_labels(sample.labels, rng=rng, fraction=fraction)
    return redrawn_labels(sample.labels, sample.n_classes, rng=rng, fraction=fraction)
