"""What the trials of a memorization study come to: cells, examples and verdicts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt

from probe._checks import DivergedError
from probe.analyses.memorization.design import (
    THRESHOLDS,
    Condition,
    ConditionsOf,
    MemorizationDesign,
    TrialKey,
)
from probe.analyses.memorization.results import FORGETTING_BINS, Examples, Memorization, MemorizationCell
from probe.analyses.memorization.trial import MemorizationTrial, sampled_test
from probe.analyses.memorization.verdicts import verdicts_of
from probe.datasets import Dataset, Split
from probe.stats import gini

__all__ = ["memorization_of"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_EXAMPLES = 16
"""Hardest examples kept of a condition, and as many of the easiest."""


def memorization_of(
    design: MemorizationDesign,
    conditions: ConditionsOf,
    done: Mapping[TrialKey, MemorizationTrial],
    split: Split,
) -> Memorization:
    """Return what the trials that are done come to.

    A cell takes the replicates of which the trial is done; cells without any are left out.

    Raises
    ------
    DivergedError
        If all networks diverged.
    """
    test = sampled_test(design, split)
    shares = np.bincount(test.labels) / len(test)
    cells: list[MemorizationCell] = []
    examples: list[Examples] = []
    for (architecture, size), compared in conditions.items():
        keys = [
            key for key in design.keys if key in done and (key.architecture, key.size) == (architecture, size)
        ]
        if not keys:
            continue
        trials = [done[key] for key in keys]
        cell = _cell(design, keys[0], compared, trials, split)
        examples += [
            _examples(trials, len(cells), index, cell.names[index], split.train) for index in _shown(compared)
        ]
        cells.append(cell)
    if all(cell.diverged.all() for cell in cells):
        rates = sorted({condition.learning_rate for cell in cells for condition in cell.conditions})
        raise DivergedError(
            f"all networks diverged at learning_rate {', '.join(f'{rate:g}' for rate in rates)}; pass a smaller one"
        )
    guess, are_several = float((shares**2).sum()), len(conditions) > 1
    verdicts = [
        verdict
        for cell in cells
        for verdict in verdicts_of(
            cell, guess, f"{cell.architecture}, {cell.n_samples} images" if are_several else ""
        )
    ]
    return Memorization(
        cells=tuple(cells),
        thresholds=THRESHOLDS,
        verdicts=tuple(verdicts),
        examples=tuple(examples),
        design=design,
        class_names=split.train.class_names,
        n_test=len(test),
        chance=float(shares.max()),
        interrupted=len(done) < len(design.keys),
    )


def _shown(conditions: Sequence[Condition]) -> list[int]:
    """Return the conditions whose examples are shown: true labels, and the least corrupted ones."""
    shares = [
        (condition.corruption, index)
        for index, condition in enumerate(conditions)
        if condition.inputs == "none"
    ]
    true = [index for share, index in shares if share == 0][:1]
    corrupted = sorted((share, index) for share, index in shares if share > 0)[:1]
    return true + [index for _, index in corrupted]


def _cell(
    design: MemorizationDesign,
    key: TrialKey,
    conditions: Sequence[Condition],
    trials: Sequence[MemorizationTrial],
    split: Split,
) -> MemorizationCell:
    """Return what `trials` found, one for each replicate of the architecture and number of samples of `key`."""
    mlp, n_samples = design.architectures[key.architecture], design.n_samples[key.size]
    n_in, n_classes = split.train.images[0].size, split.train.n_classes
    per_epoch = -(-n_samples // min(design.config.batch_size, n_samples))
    n_epochs = max(trial.n_epochs for trial in trials)
    curves = ("cost", "train_accuracy", "true_accuracy", "test_accuracy", "half_accuracy")
    dynamics = [_dynamics(trial, split.train.labels) for trial in trials]

    def stacked(per_trial: Iterable[npt.NDArray[Any]]) -> npt.NDArray[Any]:
        return np.stack(list(per_trial), axis=1)

    return MemorizationCell(
        architecture=mlp.named(n_in, n_classes),
        n_parameters=mlp.n_parameters(n_in, n_classes),
        n_samples=n_samples,
        updates_per_epoch=per_epoch,
        limit=per_epoch * design.config.epochs,
        conditions=tuple(conditions),
        **{name: stacked(_lengthened(getattr(trial, name), n_epochs) for trial in trials) for name in curves},
        updates=stacked(trial.updates(THRESHOLDS, per_epoch) for trial in trials),
        label_agreement=stacked(
            (trial.labels == split.train.labels[trial.sample_indices]).mean(axis=1) for trial in trials
        ),
        diverged=stacked(trial.diverged_epoch > 0 for trial in trials),
        n_trained=stacked(trial.n_trained for trial in trials),
        **{name: stacked(one[name] for one in dynamics) for name in dynamics[0]},
        sensitivity_gini=stacked(map(_sensitivity_gini, trials)),
        sensitivity_curve=stacked(_sensitivity_curve(trial, n_epochs) for trial in trials),
        critical_ratio=stacked(trial.critical_ratio for trial in trials),
    )


def _lengthened(curve: Floats, n_epochs: int) -> Floats:
    """Return curves (n_conditions, n, ...) held at their last values up to `n_epochs`."""
    missing = n_epochs - curve.shape[1]
    return np.concatenate([curve, np.repeat(curve[:, -1:], missing, axis=1)], axis=1)


def _sensitivity_gini(trial: MemorizationTrial) -> Floats:
    if trial.sensitivity is None:
        return np.full(len(trial.cost), np.nan)
    known = np.asarray(np.isfinite(trial.sensitivity).all(axis=1))
    coefficients = gini(np.where(known[:, None], trial.sensitivity, 0).astype(np.float64))
    return np.where(known, coefficients, np.nan)


def _sensitivity_curve(trial: MemorizationTrial, n_epochs: int) -> Floats:
    curve = np.full((len(trial.cost), n_epochs), np.nan)
    if trial.sensitivity_gini is not None:
        curve[:, : trial.n_epochs] = trial.sensitivity_gini
    return curve


def _dynamics(trial: MemorizationTrial, labels: Ints) -> dict[str, npt.NDArray[Any]]:
    """Return the fields of a cell that count a trial's examples, by whether the label taught is right [0] or wrong [1]."""
    shape = len(trial.labels), 2
    names = ("n_examples", "n_learned", "n_exposed", "n_never_forgotten")
    counts = {name: np.zeros(shape, np.int64) for name in names}
    bins = np.zeros((*shape, FORGETTING_BINS), np.int64)
    mean, margin = np.full(shape, np.nan), np.full(shape, np.nan)
    is_wrong = trial.labels != labels[trial.sample_indices]
    last_epoch = np.where(trial.fitted_epoch > 0, trial.fitted_epoch, trial.n_epochs)
    for condition, side in product(range(len(trial.labels)), range(2)):
        members, at = is_wrong[condition] == side, (condition, side)
        first_learned, forgetting = trial.first_learned[condition], trial.forgetting[condition]
        events = forgetting[members & (first_learned > 0)]
        early = members & (first_learned > 0) & (first_learned < last_epoch[condition])
        counts["n_examples"][at] = members.sum()
        counts["n_learned"][at] = len(events)
        counts["n_exposed"][at] = early.sum()
        counts["n_never_forgotten"][at] = (forgetting[early] == 0).sum()
        bins[at] = np.bincount(np.minimum(events, FORGETTING_BINS - 1), minlength=FORGETTING_BINS)
        if len(events):
            mean[at] = events.mean()
        if members.any():
            margin[at] = np.median(trial.margin[condition][members])
    return {**counts, "forgetting": bins, "mean_forgetting": mean, "margin": margin}


def _examples(
    trials: Sequence[MemorizationTrial], cell: int, condition: int, name: str, train: Dataset
) -> Examples:
    """Return the hardest and the easiest examples of one condition of a cell over its networks."""
    fields = ("first_learned", "forgetting", "margin", "labels")
    values = {field: np.concatenate([getattr(t, field)[condition] for t in trials]) for field in fields}
    indices = np.concatenate([trial.sample_indices for trial in trials])
    never = values["first_learned"] == 0
    order = np.lexsort((-values["margin"], values["forgetting"], values["first_learned"], never))
    # Of every image the first row in this order, and in the opposite one.
    hardest, easiest = (
        side[np.sort(np.unique(indices[side], return_index=True)[1])][:_EXAMPLES]
        for side in (order[::-1], order)
    )
    easiest = easiest[~np.isin(indices[easiest], indices[hardest])]
    rows = np.concatenate([hardest, easiest])
    return Examples(
        cell=cell,
        condition=name,
        indices=indices[rows],
        images=train.images[indices[rows]],
        taught=values["labels"][rows].astype(np.int64),
        true_labels=train.labels[indices[rows]],
        first_learned=values["first_learned"][rows].astype(np.int64),
        forgetting=values["forgetting"][rows].astype(np.int64),
        n_hardest=len(hardest),
    )
