"""One trial: all networks of one replicate, one architecture and one number of samples."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from probe._parallel import single_threaded_blas
from probe.analyses.memorization.design import Condition, MemorizationDesign, TrialKey
from probe.datasets import Dataset, Split, corrupted_inputs, permuted_labels, redrawn_labels
from probe.population import initial_population
from probe.results import Record
from probe.sensitivity import critical_samples
from probe.training import PreparedData, Shard, ShardOutcome, ShardRun

__all__ = ["MemorizationTrial", "run_trial", "sampled_test"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_CRITICAL_IMAGES = 500
"""Test images that the critical sample ratio is taken over: its own standard error is at most 2.2 points."""


class MemorizationTrial(Record):
    """What the networks of one trial did; the first axis of all arrays but one are the conditions.

    Attributes
    ----------
    cost, train_accuracy, true_accuracy, test_accuracy, half_accuracy, critical_ratio : ndarray
        As in `MemorizationCell`, of one replicate.
    fitted_epoch, diverged_epoch : ndarray of shape (n_conditions,)
        Epoch (from 1) after which a network was frozen because it had fitted everything, or in which it
        diverged; 0 for neither.
    sample_indices : ndarray of shape (n_samples,)
        The images, as indices into the training data.
    labels : ndarray of shape (n_conditions, n_samples), int16
        What was taught.
    first_learned, forgetting : ndarray of shape (n_conditions, n_samples), int32
    margin : ndarray of shape (n_conditions, n_samples), float32
        The dynamics, see `probe.training.ExampleDynamics`.
    sensitivity : ndarray of shape (n_conditions, n_samples), float32, or None
        Loss-sensitivity, where it was measured.
    sensitivity_gini : ndarray of shape (n_conditions, n_epochs), in [0, 1), or None
        Its Gini coefficient after each epoch by itself, see `probe.training.ExampleDynamics`.
    """

    cost: Floats
    train_accuracy: Floats
    true_accuracy: Floats
    test_accuracy: Floats
    half_accuracy: Floats
    fitted_epoch: Ints
    diverged_epoch: Ints
    sample_indices: Ints
    labels: npt.NDArray[np.int16]
    first_learned: npt.NDArray[np.int32]
    forgetting: npt.NDArray[np.int32]
    margin: npt.NDArray[np.float32]
    sensitivity: npt.NDArray[np.float32] | None
    sensitivity_gini: Floats | None
    critical_ratio: Floats

    @property
    def n_epochs(self) -> int:
        """Epochs until nothing was left to train."""
        return int(self.cost.shape[1])

    @property
    def n_trained(self) -> Ints:
        """Epochs that each network was trained for and stayed finite in, of shape (n_conditions,)."""
        ended = np.where(self.fitted_epoch > 0, self.fitted_epoch, self.diverged_epoch - 1)
        return np.where((self.fitted_epoch > 0) | (self.diverged_epoch > 0), ended, self.n_epochs)

    def updates(self, thresholds: Sequence[float], updates_per_epoch: int) -> Floats:
        """Return the updates until the training accuracy first reached each threshold, (n_conditions, n_thresholds).

        NaN where it did not within the epochs trained (right-censored).
        """
        reached = self.train_accuracy[:, None, :] >= np.array(thresholds)[:, None]
        epochs = reached.argmax(axis=2) + 1.0
        return np.where(reached.any(axis=2), epochs * updates_per_epoch, np.nan)


def _stream(design: MemorizationDesign, key: TrialKey, name: str) -> np.random.Generator:
    """Return random numbers of one replicate, always from the beginning, so that all that use them share them."""
    names = ("start", "order", "sample", "labels", "inputs", "critical")
    spawn_key = ({"study": 0, "pilot": 1}[key.stage], key.replicate, names.index(name))
    return np.random.default_rng(np.random.SeedSequence(design.seed, spawn_key=spawn_key))


def sampled_test(design: MemorizationDesign, split: Split) -> Dataset:
    """Return the test images that all networks of a study are judged by."""
    rng = np.random.default_rng(np.random.SeedSequence(design.seed, spawn_key=(2,)))
    return split.test.sample(min(design.n_test, len(split.test)), rng=rng)


def run_trial(
    design: MemorizationDesign,
    key: TrialKey,
    conditions: Sequence[Condition],
    split: Split,
    stop: threading.Event | None = None,
    after_epoch: Callable[[], None] = lambda: None,
) -> MemorizationTrial | None:
    """Train the networks of one trial of a study, one for each of `conditions`; None once `stop` is set.

    `after_epoch` is called after every epoch of every group of networks that are trained together.
    """
    stop = threading.Event() if stop is None else stop
    n_samples = design.n_samples[key.size]
    # The first of one order: a smaller sample is a part of a larger one.
    chosen = np.sort(_stream(design, key, "sample").permutation(len(split.train))[:n_samples])
    sample = replace(split, train=split.train.take(chosen), test=sampled_test(design, split))
    architecture = design.architectures[key.architecture]
    start = initial_population(
        architecture,
        sample.train.image_shape,
        sample.train.class_names,
        rngs=[_stream(design, key, "start")],
        dtype=design.config.dtype,
    )
    labels = np.stack(
        [_taught(design, condition, sample.train, _stream(design, key, "labels")) for condition in conditions]
    )
    groups: dict[tuple[str, float], list[int]] = {}
    for index, condition in enumerate(conditions):
        groups.setdefault((condition.inputs, condition.weight_decay), []).append(index)
    outcomes: list[tuple[list[int], ShardOutcome]] = []
    ratio = np.full(len(conditions), np.nan)
    with single_threaded_blas():
        for (_, decay), members in groups.items():
            inputs = conditions[members[0]].inputs
            data = corrupted_inputs(sample, inputs, rng=_stream(design, key, "inputs"))
            config = replace(design.config, weight_decay=decay)
            rates = np.array([conditions[member].learning_rate for member in members])
            shard = Shard(
                start.take(np.zeros(len(members), np.int64)),
                data,
                _stream(design, key, "order"),
                labels=labels[members],
                learning_rates=None if (rates == config.learning_rate).all() else rates,
                dynamics=design.dynamics,
            )
            prepared = PreparedData.of(data, config)
            outcome = ShardRun(shard, prepared, config, stop, lambda cost: after_epoch()).run()
            if outcome.interrupted:
                return None
            outcomes.append((members, outcome))
            if design.dynamics == "sensitivity":
                ratio[members] = _critical_ratios(design, key, outcome, data.test)
    return _joined(outcomes, chosen, labels, ratio)


def _taught(
    design: MemorizationDesign, condition: Condition, train: Dataset, rng: np.random.Generator
) -> Ints:
    if design.label_corruption == "permute":
        return permuted_labels(train.labels, rng=rng, fraction=condition.corruption)
    return redrawn_labels(train.labels, train.n_classes, rng=rng, fraction=condition.corruption)


def _critical_ratios(
    design: MemorizationDesign, key: TrialKey, outcome: ShardOutcome, test: Dataset
) -> Floats:
    images = test.images[:_CRITICAL_IMAGES]
    ratios = [
        critical_samples(
            network,
            images,
            radius=design.critical_radius,
            seed=_stream(design, key, "critical"),
        ).ratio
        for network in outcome.population.networks()
    ]
    return np.where(outcome.diverged_epoch > 0, np.nan, ratios)


def _joined(
    outcomes: Sequence[tuple[list[int], ShardOutcome]], chosen: Ints, labels: Ints, ratio: Floats
) -> MemorizationTrial:
    """Return the groups of a trial as one, its networks in the order of the conditions."""
    order = np.argsort(np.concatenate([members for members, _ in outcomes]))
    n_epochs = max(outcome.n_epochs for _, outcome in outcomes)
    dynamics = [outcome.dynamics for _, outcome in outcomes if outcome.dynamics is not None]

    def ordered(parts: Sequence[object], name: str) -> Any:
        return np.concatenate([getattr(part, name) for part in parts])[order]

    measured = dynamics[0].sensitivity is not None
    histories, done = [outcome.history for _, outcome in outcomes], [outcome for _, outcome in outcomes]
    return MemorizationTrial(
        cost=ordered(histories, "cost")[:, :n_epochs],
        train_accuracy=ordered(histories, "train_accuracy")[:, :n_epochs],
        true_accuracy=ordered(dynamics, "true_accuracy")[:, :n_epochs],
        test_accuracy=ordered(histories, "test_accuracy")[:, :n_epochs],
        half_accuracy=ordered(dynamics, "half_accuracy")[:, :n_epochs],
        fitted_epoch=ordered(done, "fitted_epoch"),
        diverged_epoch=ordered(done, "diverged_epoch"),
        sample_indices=chosen.astype(np.int64),
        labels=labels.astype(np.int16),
        first_learned=ordered(dynamics, "first_learned"),
        forgetting=ordered(dynamics, "forgetting"),
        margin=ordered(dynamics, "margin"),
        sensitivity=ordered(dynamics, "sensitivity") if measured else None,
        sensitivity_gini=ordered(dynamics, "sensitivity_gini")[:, :n_epochs] if measured else None,
        critical_ratio=ratio,
    )
