"""What a memorization study found, over its replicates."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from probe._checks import InputError
from probe.analyses.memorization.design import Condition, MemorizationDesign
from probe.results import Columns, Record, Result
from probe.stats import Estimate, Verdict, count_estimate, mean_estimate
from probe.stats.concentration import finite_median

__all__ = ["FORGETTING_BINS", "ConditionSummary", "Examples", "Memorization", "MemorizationCell"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

FORGETTING_BINS = 11
"""Examples are counted by 0, 1, ... 9 forgetting events, and by 10 or more."""


class Examples(Record):
    """The hardest and the easiest examples of one condition, over all of its networks.

    Harder is what was never learned, then what was learned later, forgotten more often, and left with a
    smaller margin. An image that came up in several replicates stands for its hardest (easiest) time.

    Attributes
    ----------
    cell : int
        Which networks: index in `Memorization.cells`, and
    condition : str
        their condition.
    indices : ndarray of shape (n_examples,)
        Indices into the training data.
    images : ndarray of shape (n_examples, height, width[, channels]), in [0, 1]
        As in the training data.
    taught, true_labels : ndarray of shape (n_examples,)
        Classes.
    first_learned : ndarray of shape (n_examples,)
        Epoch, or 0 for never.
    forgetting : ndarray of shape (n_examples,)
        Forgetting events.
    n_hardest : int
        The first of them are the hardest, hardest first; the others the easiest, easiest first.
    """

    cell: int
    condition: str
    indices: Ints
    images: npt.NDArray[np.float32]
    taught: Ints
    true_labels: Ints
    first_learned: Ints
    forgetting: Ints
    n_hardest: int


class ConditionSummary(Record):
    """What the networks of one condition did, in the median over those that did not diverge.

    Attributes
    ----------
    name : str
        What tells the condition from the others of its cell.
    n_diverged : int
    wrong_labels : float, in [0, 1]
        Share of the labels taught that are wrong, in the mean.
    train_accuracy, true_accuracy, test_accuracy : float, in [0, 1], or NaN
        After the last epoch, as in `MemorizationCell`.
    peak_accuracy : float, in [0, 1], or NaN
        Test accuracy at its peak.
    peak_epoch : float
        Epoch of that peak.
    updates : tuple of float
        Updates until each threshold was reached; NaN where a network did not reach it.
    n_reached : tuple of int
        Networks that reached each threshold.
    """

    name: str
    n_diverged: int
    wrong_labels: float
    train_accuracy: float
    true_accuracy: float
    test_accuracy: float
    peak_accuracy: float
    peak_epoch: float
    updates: tuple[float, ...]
    n_reached: tuple[int, ...]


class MemorizationCell(Record):
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
    n_examples, n_learned : ndarray of shape (n_conditions, n_replicates, 2)
        Examples with a right [0] and with a wrong label [1], as in the arrays below; and those of them that were classified
        as taught after at least one epoch.
    forgetting : ndarray of shape (n_conditions, n_replicates, 2, FORGETTING_BINS)
        Of the learned ones, how many were forgotten 0, 1, ... times; the last bin is open.
    n_exposed, n_never_forgotten : ndarray of shape (n_conditions, n_replicates, 2)
        Of the learned ones, those learned before the network's last epoch, which could still be forgotten; and of these
        those without a forgetting event until training ended.
    mean_forgetting, margin : ndarray of shape (n_conditions, n_replicates, 2)
        Forgetting events per learned example, and median final margin in logits; NaN where there is none.
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

    @property
    def n_replicates(self) -> int:
        """Networks of each condition."""
        return int(self.cost.shape[1])

    @property
    def names(self) -> tuple[str, ...]:
        """What tells each condition from the others, in words."""
        return tuple(condition.named(among=self.conditions) for condition in self.conditions)

    @property
    def final_accuracy(self) -> dict[str, Floats]:
        """The accuracies after the last epoch: "train", "true" and "test", of shape (n_conditions, n_replicates)."""
        kinds = {"train": self.train_accuracy, "true": self.true_accuracy, "test": self.test_accuracy}
        return {kind: curves[:, :, -1] for kind, curves in kinds.items()}

    @property
    def summaries(self) -> tuple[ConditionSummary, ...]:
        """The conditions in a few numbers each."""
        final, peak, epochs = self.final_accuracy, self.peak_accuracy, self.peak_epoch
        return tuple(
            ConditionSummary(
                name=name,
                n_diverged=int(self.diverged[index].sum()),
                wrong_labels=float(1 - self.label_agreement[index].mean()),
                train_accuracy=finite_median(final["train"][index]),
                true_accuracy=finite_median(final["true"][index]),
                test_accuracy=finite_median(final["test"][index]),
                peak_accuracy=finite_median(peak[index]),
                peak_epoch=float(np.median(epochs[index])),
                updates=tuple(np.median(self.updates[index], axis=0).tolist()),
                n_reached=tuple(np.isfinite(self.updates[index]).sum(axis=0).tolist()),
            )
            for index, name in enumerate(self.names)
        )

    @property
    def peak_epoch(self) -> Ints:
        """Epoch (from 1) of each network's best test accuracy, of shape (n_conditions, n_replicates)."""
        return np.asarray(np.nan_to_num(self.test_accuracy, nan=-1.0).argmax(axis=2) + 1)

    @property
    def peak_accuracy(self) -> Floats:
        """Test accuracy of each network at its peak, free of the luck of choosing the best epoch.

        Of shape (n_conditions, n_replicates); NaN for networks that diverged. A peak chosen on the images that it is
        measured on is too high by luck. Here it is chosen on one half of the test images and measured on the other, both
        ways round, and averaged.
        """
        peaks = np.nan_to_num(self.half_accuracy, nan=-1.0).argmax(axis=2)
        other = np.take_along_axis(self.half_accuracy, peaks[:, :, None, ::-1], axis=2)[:, :, 0]
        return np.where(self.diverged, np.nan, other.mean(axis=2))

    @property
    def drop(self) -> Floats:
        """How much test accuracy each network lost between its peak and its end, in [-1, 1], as `peak_accuracy`."""
        return np.asarray(self.peak_accuracy - self.half_accuracy[:, :, -1].mean(axis=2))

    @property
    def references(self) -> tuple[int | None, ...]:
        """The condition with true labels and images that each condition is compared with; None without one."""
        of_decay = {
            condition.weight_decay: index
            for index, condition in reversed(list(enumerate(self.conditions)))
            if condition.is_reference
        }
        return tuple(of_decay.get(condition.weight_decay) for condition in self.conditions)

    def fitted(self, condition: int) -> Estimate:
        """Return the share of the networks of a condition that fitted all their labels within `limit` updates."""
        n_fitted = int(np.isfinite(self.updates[condition, :, -1]).sum())
        return count_estimate(n_fitted, self.n_replicates)

    def slowdown(self, condition: int, reference: int, threshold: int = -1) -> Estimate | None:
        """Return how many times as many updates one condition took as another, over pairs of networks.

        A network of the condition that did not reach the threshold counts with `limit`, so that the ratio is at least this.
        None where one of the other condition did not, or a network diverged.
        """
        late, early = self.updates[[condition, reference], :, threshold]
        if self.diverged[[condition, reference]].any() or np.isnan(early).any():
            return None
        return mean_estimate(np.where(np.isnan(late), self.limit, late) / early, scale="ratio")

    @property
    def common_epochs(self) -> Ints:
        """Epochs that all networks of each condition and of its reference were trained for, but those that diverged."""
        common = np.zeros(len(self.conditions), np.int64)
        for index, reference in enumerate(self.references):
            if reference is not None:
                pair = [index, reference]
                trained = self.n_trained[pair][~self.diverged[pair]]
                common[index] = trained.min(initial=self.cost.shape[2])
        return common

    @property
    def common_gini(self) -> Floats:
        """The mean of `sensitivity_curve` over the common epochs, of each condition [0] and of its reference [1].

        Of shape (n_conditions, 2, n_replicates), so labels are compared and not how long they were trained on: random
        labels take more epochs, and the coefficient of one network changes as it learns. NaN for networks that diverged,
        where it was not measured, where no gradient was left in one of these epochs, and without a reference.
        """
        means = np.full((len(self.conditions), 2, self.n_replicates), np.nan)
        for index, (reference, n_epochs) in enumerate(zip(self.references, self.common_epochs, strict=True)):
            if reference is not None:
                pair = [index, reference]
                mean = self.sensitivity_curve[pair, :, :n_epochs].mean(axis=2)
                means[index] = np.where(self.diverged[pair], np.nan, mean)
        return means

    @property
    def final_gini(self) -> Floats:
        """`sensitivity_curve` after the last epoch of each network, of shape (n_conditions, n_replicates)."""
        last = np.maximum(self.n_trained - 1, 0)[:, :, None]
        final = np.take_along_axis(self.sensitivity_curve, last, axis=2)[:, :, 0]
        return np.where(self.diverged, np.nan, final)


class Memorization(Result):
    """What a memorization study found.

    Attributes
    ----------
    cells : tuple of MemorizationCell
        One for each architecture and number of samples.
    thresholds : tuple of float
        Training accuracies that `MemorizationCell.updates` refers to.
    verdicts : tuple of Verdict
        What the study says of the claims about memorization, cell by cell.
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

    @property
    def wrong_labels(self) -> dict[float, float]:
        """The mean share of labels that are wrong for each share above 0 that was corrupted, over all networks."""
        wrong: dict[float, list[float]] = {}
        for cell in self.cells:
            for condition, agreement in zip(cell.conditions, cell.label_agreement, strict=True):
                if condition.corruption > 0:
                    wrong.setdefault(condition.corruption, []).extend((1 - agreement).tolist())
        return {share: float(np.mean(shares)) for share, shares in sorted(wrong.items())}

    def columns(self) -> Columns:
        """Return a row for each condition of each cell, with medians over its networks."""
        rows = [(cell, summary) for cell in self.cells for summary in cell.summaries]
        medians = ("wrong_labels", "train_accuracy", "true_accuracy", "test_accuracy", "peak_accuracy")
        return {
            "architecture": [cell.architecture for cell, _ in rows],
            "samples": [cell.n_samples for cell, _ in rows],
            "trained on": [summary.name for _, summary in rows],
            **{name.replace("_", " "): [getattr(summary, name) for _, summary in rows] for name in medians},
            "peak epoch": [summary.peak_epoch for _, summary in rows],
            **{
                f"updates to {threshold:.0%}": [summary.updates[k] for _, summary in rows]
                for k, threshold in enumerate(self.thresholds)
            },
        }

    def slowdown(self, threshold: float = 1.0, *, condition: int = -1, cell: int = 0) -> Estimate | None:
        """Return how many times as many updates a condition took as true labels did.

        Parameters
        ----------
        threshold : float
            Training accuracy to reach, one of `thresholds`.
        condition : int
            Index in the cell's conditions; by default the last.
        cell : int
            Index in `cells`.

        Returns
        -------
        Estimate or None
            As `MemorizationCell.slowdown`; None, too, if the design has no condition of true labels and images.

        Raises
        ------
        InputError
            If the threshold is not one of those recorded.
        """
        if threshold not in self.thresholds:
            names = ", ".join(f"{known:g}" for known in self.thresholds)
            raise InputError(f"threshold must be one of {names}; got {threshold!r}")
        networks = self.cells[cell]
        reference = networks.references[condition]
        if reference is None:
            return None
        return networks.slowdown(condition, reference, self.thresholds.index(threshold))
