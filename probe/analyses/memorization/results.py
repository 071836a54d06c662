"""What a memorisation study found, over its replicates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from probe._checks import InputError, readonly
from probe.analyses.memorization.design import THRESHOLDS, Condition, MemorizationDesign
from probe.analyses.memorization.examples import Examples
from probe.analyses.memorization.trial import MemorizationTrial
from probe.datasets import Split
from probe.stats import UpdatesRatio, Verdict, gini, ratio_of_updates

__all__ = ["FORGETTING_BINS", "Memorization", "MemorizationCell"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

FORGETTING_BINS = 11
"""Examples are counted by 0, 1, ... 9 forgetting events, and by 10 or more."""


@dataclass(frozen=True, slots=True, eq=False)
class MemorizationCell:
    """The networks of one architecture and one number of samples.

    The first two axes of every array are conditions and replicates; replicate r is the same start, images
    and order in all conditions. A network frozen because it had fitted everything keeps its last values.

    Attributes
    ----------
    architecture : str
        Such as "784-128-10 relu".
    n_parameters : int
        Weights and biases of one network.
    n_samples : int
        Training images.
    updates_per_epoch : int
        Minibatches in an epoch.
    limit : int
        Updates after which training ended at the latest.
    conditions : tuple of Condition
        What was compared.
    cost : ndarray of shape (n_conditions, n_replicates, n_epochs)
        Mean cost on the labels trained on; NaN once diverged.
    train_accuracy, true_accuracy, test_accuracy : ndarray of the same shape, in [0, 1]
        On the labels trained on, on the true labels of the same images, and on test images.
    half_accuracy : ndarray of shape (n_conditions, n_replicates, n_epochs, 2), in [0, 1]
        On each half of the test images.
    updates : ndarray of shape (n_conditions, n_replicates, n_thresholds)
        Updates until the training accuracy, taken after each epoch, first reached each threshold; NaN
        where it did not within the epochs trained (right-censored).
    label_agreement : ndarray of shape (n_conditions, n_replicates), in [0, 1]
        Share of the labels taught that are right, be it by chance.
    diverged : ndarray of shape (n_conditions, n_replicates), bool
    n_trained : ndarray of shape (n_conditions, n_replicates)
        Epochs that each network was trained for, until it was frozen or diverged.
    n_examples : ndarray of shape (n_conditions, n_replicates, 2)
        Examples with a right [0] and with a wrong label [1]; so in the arrays below.
    n_learned : ndarray of shape (n_conditions, n_replicates, 2)
        Those classified as taught after at least one epoch.
    forgetting : ndarray of shape (n_conditions, n_replicates, 2, FORGETTING_BINS)
        Of the learned ones, how many were forgotten 0, 1, ... times; the last bin is open.
    n_exposed : ndarray of shape (n_conditions, n_replicates, 2)
        Of the learned ones, those learned before the network's last epoch, which could still be forgotten.
    n_never_forgotten : ndarray of shape (n_conditions, n_replicates, 2)
        Of these, those without a forgetting event until training ended.
    mean_forgetting : ndarray of shape (n_conditions, n_replicates, 2)
        Forgetting events per learned example; NaN where there is none.
    margin : ndarray of shape (n_conditions, n_replicates, 2)
        Median final margin in logits; NaN where there is none.
    sensitivity_gini : ndarray of shape (n_conditions, n_replicates), in [0, 1)
        Gini coefficient, over the examples, of their loss-sensitivity averaged over all epochs that the
        network was trained for, as [1]_ defines it; NaN where not measured. How long networks were trained
        goes into it: `common_gini` compares over the same epochs.
    sensitivity_curve : ndarray of shape (n_conditions, n_replicates, n_epochs), in [0, 1)
        Gini coefficient of the loss-sensitivity after each epoch by itself; NaN where not measured, and from
        the epoch on in which the network was not trained any more.
    critical_ratio : ndarray of shape (n_conditions, n_replicates), in [0, 1]
        Critical sample ratio on test images; NaN where not measured.

    References
    ----------
    .. [1] D. Arpit et al., "A Closer Look at Memorization in Deep Networks", ICML 2017, section 3.2.
    """

    architecture: str
    n_parameters: int
    n_samples: int
    updates_per_epoch: int
    limit: int
    conditions: tuple[Condition, ...]
    cost: Floats
    train_accuracy: Floats
    true_accuracy: Floats
    test_accuracy: Floats
    half_accuracy: Floats
    updates: Floats
    label_agreement: Floats
    diverged: npt.NDArray[np.bool_]
    n_trained: Ints
    n_examples: Ints
    n_learned: Ints
    forgetting: Ints
    n_exposed: Ints
    n_never_forgotten: Ints
    mean_forgetting: Floats
    margin: Floats
    sensitivity_gini: Floats
    sensitivity_curve: Floats
    critical_ratio: Floats

    def __post_init__(self) -> None:
        for name in self.__slots__:
            value = getattr(self, name)
            if isinstance(value, np.ndarray):
                object.__setattr__(self, name, readonly(value))

    @classmethod
    def of(
        cls,
        design: MemorizationDesign,
        conditions: Sequence[Condition],
        trials: Sequence[MemorizationTrial],
        split: Split,
        *,
        architecture: int,
        size: int,
    ) -> MemorizationCell:
        """Return what `trials`, one for each replicate, found."""
        mlp, n_samples = design.architectures[architecture], design.n_samples[size]
        n_in, n_classes = split.train.images[0].size, split.train.n_classes
        per_epoch = -(-n_samples // min(design.config.batch_size, n_samples))
        n_epochs = max(trial.n_epochs for trial in trials)

        def curves(name: str) -> Floats:
            return np.stack([_lengthened(getattr(trial, name), n_epochs) for trial in trials], axis=1)

        summaries = [_DynamicsSummary.of(trial, split.train.labels) for trial in trials]

        def summed(name: str) -> npt.NDArray[np.generic]:
            return np.stack([getattr(summary, name) for summary in summaries], axis=1)

        return cls(
            architecture=mlp.named(n_in, n_classes),
            n_parameters=mlp.n_parameters(n_in, n_classes),
            n_samples=n_samples,
            updates_per_epoch=per_epoch,
            limit=per_epoch * design.config.epochs,
            conditions=tuple(conditions),
            cost=curves("cost"),
            train_accuracy=curves("train_accuracy"),
            true_accuracy=curves("true_accuracy"),
            test_accuracy=curves("test_accuracy"),
            half_accuracy=curves("half_accuracy"),
            updates=np.stack([trial.updates(THRESHOLDS, per_epoch) for trial in trials], axis=1),
            label_agreement=np.stack(
                [(t.labels == split.train.labels[t.sample_indices]).mean(axis=1) for t in trials], axis=1
            ),
            diverged=np.stack([trial.diverged_epoch > 0 for trial in trials], axis=1),
            n_trained=np.stack([trial.n_trained for trial in trials], axis=1),
            n_examples=np.asarray(summed("n_examples"), np.int64),
            n_learned=np.asarray(summed("n_learned"), np.int64),
            forgetting=np.asarray(summed("forgetting"), np.int64),
            n_exposed=np.asarray(summed("n_exposed"), np.int64),
            n_never_forgotten=np.asarray(summed("n_never_forgotten"), np.int64),
            mean_forgetting=np.asarray(summed("mean_forgetting"), np.float64),
            margin=np.asarray(summed("margin"), np.float64),
            sensitivity_gini=np.stack([_sensitivity_gini(trial) for trial in trials], axis=1),
            sensitivity_curve=np.stack([_sensitivity_curve(trial, n_epochs) for trial in trials], axis=1),
            critical_ratio=np.stack([trial.critical_ratio for trial in trials], axis=1),
        )

    @property
    def n_replicates(self) -> int:
        """Networks of each condition."""
        return int(self.cost.shape[1])

    @property
    def peak_epoch(self) -> Ints:
        """Epoch (from 1) of each network's best test accuracy, of shape (n_conditions, n_replicates)."""
        return np.asarray(np.nan_to_num(self.test_accuracy, nan=-1.0).argmax(axis=2) + 1)

    @property
    def peak_accuracy(self) -> Floats:
        """Test accuracy of each network at its peak, free of the luck of choosing the best epoch.

        A peak chosen on the images that it is measured on is too high by luck. Here it is chosen on one
        half of the test images and measured on the other, both ways round, and averaged.

        Returns
        -------
        ndarray of shape (n_conditions, n_replicates), in [0, 1]
            NaN for networks that diverged.
        """
        peaks = np.nan_to_num(self.half_accuracy, nan=-1.0).argmax(axis=2)
        other = np.take_along_axis(self.half_accuracy, peaks[:, :, None, ::-1], axis=2)[:, :, 0]
        return np.where(self.diverged, np.nan, other.mean(axis=2))

    @property
    def drop(self) -> Floats:
        """How much test accuracy each network lost between its peak and its end, as in `peak_accuracy`.

        Returns
        -------
        ndarray of shape (n_conditions, n_replicates), in [-1, 1]
            NaN for networks that diverged.
        """
        return np.asarray(self.peak_accuracy - self.half_accuracy[:, :, -1].mean(axis=2))

    def common_epochs(self, index: int, reference: int) -> int:
        """Return how many epochs all networks of two conditions were trained for, but those that diverged."""
        arms = [index, reference]
        return int(self.n_trained[arms][~self.diverged[arms]].min(initial=self.cost.shape[2]))

    def common_gini(self, index: int, reference: int) -> Floats:
        """Return the mean of `sensitivity_curve` over the epochs that all networks of two conditions saw.

        So labels are compared and not how long they were trained on: fitting random labels takes more
        epochs, and the coefficient of one network changes as it learns.

        Returns
        -------
        ndarray of shape (2, n_replicates), in [0, 1)
            For conditions `index` and `reference`; NaN for networks that diverged, where it was not
            measured, and where no gradient was left in one of these epochs.
        """
        arms = [index, reference]
        means = self.sensitivity_curve[arms, :, : self.common_epochs(index, reference)].mean(axis=2)
        return np.where(self.diverged[arms], np.nan, means)

    @property
    def final_gini(self) -> Floats:
        """`sensitivity_curve` after the last epoch of each network, of shape (n_conditions, n_replicates)."""
        last = np.maximum(self.n_trained - 1, 0)[:, :, None]
        found = np.take_along_axis(self.sensitivity_curve, last, axis=2)[:, :, 0]
        return np.where(self.diverged, np.nan, found)

    def named(self, index: int) -> str:
        """Return what tells condition `index` from the others, in words."""
        return self.conditions[index].named(among=self.conditions)

    def reference(self, index: int) -> int | None:
        """Return the condition with true labels and images that condition `index` is compared with."""
        decay = self.conditions[index].weight_decay
        found = [
            place
            for place, condition in enumerate(self.conditions)
            if condition.is_reference and condition.weight_decay == decay
        ]
        return found[0] if found else None


def _lengthened(curve: Floats, n_epochs: int) -> Floats:
    """Return curves (n_conditions, n, ...) held at their last values up to `n_epochs`."""
    missing = n_epochs - curve.shape[1]
    return np.concatenate([curve, np.repeat(curve[:, -1:], missing, axis=1)], axis=1)


def _sensitivity_gini(trial: MemorizationTrial) -> Floats:
    if trial.sensitivity is None:
        return np.full(len(trial.cost), np.nan)
    known = np.asarray(np.isfinite(trial.sensitivity).all(axis=1))
    found = gini(np.where(known[:, None], trial.sensitivity, 0).astype(np.float64))
    return np.where(known, found, np.nan)


def _sensitivity_curve(trial: MemorizationTrial, n_epochs: int) -> Floats:
    curve = np.full((len(trial.cost), n_epochs), np.nan)
    if trial.sensitivity_gini is not None:
        curve[:, : trial.n_epochs] = trial.sensitivity_gini
    return curve


@dataclass(frozen=True, slots=True, eq=False)
class _DynamicsSummary:
    """A trial's dynamics, by whether the label taught is right [0] or wrong [1]."""

    n_examples: Ints
    n_learned: Ints
    forgetting: Ints
    n_exposed: Ints
    n_never_forgotten: Ints
    mean_forgetting: Floats
    margin: Floats

    @classmethod
    def of(cls, trial: MemorizationTrial, labels: Ints) -> _DynamicsSummary:
        n_conditions = len(trial.labels)
        true_labels = labels[trial.sample_indices]
        counts = np.zeros((n_conditions, 2), np.int64)
        learned_counts = np.zeros((n_conditions, 2), np.int64)
        exposed, never = np.zeros((n_conditions, 2), np.int64), np.zeros((n_conditions, 2), np.int64)
        bins = np.zeros((n_conditions, 2, FORGETTING_BINS), np.int64)
        last_epoch = np.where(trial.fitted_epoch > 0, trial.fitted_epoch, trial.n_epochs)
        mean, margin = np.full((n_conditions, 2), np.nan), np.full((n_conditions, 2), np.nan)
        for condition in range(n_conditions):
            wrong = trial.labels[condition] != true_labels
            learned = trial.first_learned[condition] > 0
            for side, there in enumerate((~wrong, wrong)):
                counts[condition, side] = there.sum()
                events = trial.forgetting[condition][there & learned]
                learned_counts[condition, side] = len(events)
                early = there & learned & (trial.first_learned[condition] < last_epoch[condition])
                exposed[condition, side] = early.sum()
                never[condition, side] = (trial.forgetting[condition][early] == 0).sum()
                clipped = np.minimum(events, FORGETTING_BINS - 1)
                bins[condition, side] = np.bincount(clipped, minlength=FORGETTING_BINS)
                if len(events):
                    mean[condition, side] = events.mean()
                if there.any():
                    margin[condition, side] = np.median(trial.margin[condition][there])
        return cls(counts, learned_counts, bins, exposed, never, mean, margin)


@dataclass(frozen=True, slots=True, eq=False)
class Memorization:
    """What a memorisation study found.

    Attributes
    ----------
    cells : tuple of MemorizationCell
        One for each architecture and number of samples.
    thresholds : tuple of float
        Training accuracies that `MemorizationCell.updates` refers to.
    verdicts : tuple of Verdict
        What the study says of the claims about memorisation, cell by cell.
    examples : tuple of Examples
        Hardest and easiest images of each cell.
    design : MemorizationDesign
        What was asked for.
    class_names : tuple of str
    n_test : int
        Test images.
    chance : float, in [0, 1]
        Test accuracy of always naming the test data's most frequent class.
    interrupted : bool
        Whether Ctrl-C ended the work early; then only the replicates that were done are here.
    """

    cells: tuple[MemorizationCell, ...]
    thresholds: tuple[float, ...]
    verdicts: tuple[Verdict, ...]
    examples: tuple[Examples, ...]
    design: MemorizationDesign
    class_names: tuple[str, ...]
    n_test: int
    chance: float
    interrupted: bool = False

    @property
    def n_replicates(self) -> int:
        """Networks of each condition in the first cell."""
        return self.cells[0].n_replicates

    def slowdown(self, threshold: float = 1.0, *, condition: int = -1, cell: int = 0) -> UpdatesRatio | None:
        """Return how many times as many updates a condition took as true labels did.

        Parameters
        ----------
        threshold : float
            Training accuracy to reach, one of `thresholds`.
        condition : int
            Place in the cell's conditions; by default the last.
        cell : int
            Place in `cells`.

        Returns
        -------
        UpdatesRatio or None
            None if the design has no condition of true labels and images to compare with.

        Raises
        ------
        InputError
            If the threshold is not one of those recorded.
        """
        if threshold not in self.thresholds:
            names = ", ".join(f"{known:g}" for known in self.thresholds)
            raise InputError(f"threshold must be one of {names}; got {threshold!r}")
        found = self.cells[cell]
        reference = found.reference(condition)
        if reference is None:
            return None
        updates = found.updates[:, :, self.thresholds.index(threshold)]
        return ratio_of_updates(updates[condition], updates[reference], limit=found.limit)
