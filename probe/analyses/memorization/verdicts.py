"""What a study says of the published claims about memorization, one verdict a claim.

The replicate is the network. Conditions are compared within replicates, where start, images and order are
the same. The margins for "equal" are fixed here, before any data are seen. Intervals are 95% each; nothing
is corrected for the number of claims.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from probe.analyses.memorization.results import MemorizationCell
from probe.stats import (
    Decision,
    Interval,
    Verdict,
    equivalence,
    paired_difference,
    ratio_of_updates,
)
from probe.stats.verdict import opposite

__all__ = ["EQUAL_TEST", "EQUAL_TRAIN", "MEMORIZED", "SMALL_DROP", "UNFORGETTABLE", "verdicts_of"]

Floats = npt.NDArray[np.float64]
_MEASURED = {
    "sensitive": ("difference of critical sample ratios", "share"),
    "concentrated": ("difference of Gini coefficients", ""),
    "fitted": ("difference of training accuracies", "share"),
    "slower": ("ratio of updates", ""),
    "chance": ("test accuracy above guessing", "share"),
    "peak": ("loss of test accuracy after its peak", "share"),
    "never-forgotten": ("share of the examples learned", "share"),
    "forgotten-more": ("difference of forgetting events", ""),
}
"""What each kind of verdict measures, and its unit."""

EQUAL_TRAIN = 0.01
"""Training accuracies that differ by less than 1 point count as equal."""

EQUAL_TEST = 0.02
"""Test accuracies within 2 points of chance count as chance."""

SMALL_DROP = 0.005
"""A loss of test accuracy below half a point counts as none."""

UNFORGETTABLE = 0.01
"""Up to 1% of the examples count as "no example"."""

MEMORIZED = 0.9
"""Training accuracy from which on a network has learned enough of its labels to show what that does."""


@dataclass(frozen=True, slots=True)
class _Claim:
    """A claim of a kind of `_MEASURED` about one condition of a cell."""

    cell: MemorizationCell
    index: int
    kind: str
    title: str
    null: str

    def verdict(self, decision: Decision, interval: Interval, sentence: str) -> Verdict:
        cell, (statistic_name, unit) = self.cell, _MEASURED[self.kind]
        start = f"{cell.architecture}, {cell.n_samples:,} images, {cell.n_replicates} replicates: "
        return Verdict(
            subject="kind",
            replicate="networks",
            threshold=np.nan,
            reason="",
            p_value=np.nan,
            key=f"{self.kind}/{cell.names[self.index]}",
            title=self.title,
            decision=decision,
            statistic_name=statistic_name,
            unit=unit,
            interval=interval,
            null=self.null,
            sentence=f"{start}{sentence}.",
        )

    def differs(self, differences: Floats, sentence: str, *, number: str) -> Verdict:
        """Judge that a difference is above zero; `sentence` has a gap for it, formatted as `number`."""
        if not np.isfinite(differences).all():
            return self.without(differences)
        test = paired_difference(differences)
        return self.verdict(test.decision(), test.interval, sentence.format(format(test, number)))

    def without(self, values: Floats) -> Verdict:
        """Leave it open where a replicate has no value."""
        missing = int((~np.isfinite(values)).sum())
        why = "because a network diverged, or there was no example of the kind"
        return self.undecided(f"{missing} of {len(values)} replicates have no value, {why}")

    def undecided(self, why: str) -> Verdict:
        interval = Interval(np.nan, np.nan, np.nan, 0.95, self.cell.n_replicates)
        return self.verdict("inconclusive", interval, why)

    def unknown(self, values: Floats) -> Verdict | None:
        """Return the verdict where a replicate has no value, or learned too little to show what memorizing does."""
        if not np.isfinite(values).all():
            return self.without(values)
        final = self.cell.train_accuracy[self.index, :, -1]
        few = int((final < MEMORIZED).sum())
        if few == 0:
            return None
        return self.undecided(
            f"{few} of {len(final)} networks learned less than {MEMORIZED:.0%} of the labels that they were taught"
        )


def verdicts_of(cell: MemorizationCell, guess: float) -> tuple[Verdict, ...]:
    """Return the verdicts on the claims that the conditions of `cell` bear on.

    `guess` is the expected test accuracy of naming classes at random, as often as they occur.
    """
    verdicts: list[Verdict] = []
    for index, (condition, reference) in enumerate(zip(cell.conditions, cell.references, strict=True)):
        if reference is not None and reference != index:
            verdicts += _against_reference(cell, index, reference)
        if condition.corruption == 1:
            verdicts.append(_chance(cell, index, guess))
        if condition.has_images and cell.n_examples[index, :, 1].any():
            partly = condition.corruption < 1
            verdicts += [_peak(cell, index)] if partly else []
            verdicts.append(_never_forgotten(cell, index))
            verdicts += [_forgotten_more(cell, index)] if partly else []
    return tuple(verdicts)


def _against_reference(cell: MemorizationCell, index: int, reference: int) -> Iterator[Verdict]:
    yield _as_well(cell, index, reference)
    yield _slower(cell, index, reference)
    name = cell.names[index]
    if np.isfinite(cell.critical_ratio).any():
        yield _Claim(
            cell,
            index,
            "sensitive",
            f"The critical sample ratio is higher after training on {name} than on true labels",
            "the same critical sample ratio",
        ).differs(
            cell.critical_ratio[index] - cell.critical_ratio[reference],
            "the share of test images with another class predicted nearby differed by {} points from that after true labels",
            number=".2p;",
        )
    if np.isfinite(cell.sensitivity_curve).any():
        yield _concentrated(cell, index, reference)


def _concentrated(cell: MemorizationCell, index: int, reference: int) -> Verdict:
    """Compare how unequally the loss-sensitivity is spread, over the epochs that both conditions were trained for."""
    name, n_common = cell.names[index], cell.common_epochs[index]
    with_corrupted, with_true = cell.common_gini[index]
    final, published = (values[[reference, index]] for values in (cell.final_gini, cell.sensitivity_gini))
    epochs = f"first {n_common} epochs" if n_common > 1 else "first epoch"
    sentence = (
        f"over the {epochs}, as many as all networks of both conditions were trained for, the Gini coefficient of the "
        f"loss-sensitivity after an epoch was on average {with_true.mean():.3f} with true labels and "
        f"{with_corrupted.mean():.3f} with {name}, a difference of {{}}"
    )
    if np.isfinite([final, published]).all():
        sentence += (
            f"; after the last epoch of each network, which is another one for each, it was {final[0].mean():.3f} and "
            f"{final[1].mean():.3f}; this verdict does not use Arpit et al.'s own coefficient, of the mean over all "
            "epochs of each network, which mixes labels with how long they were trained on "
            f"({published[0].mean():.3f} and {published[1].mean():.3f})"
        )
    claim = _Claim(
        cell,
        index,
        "concentrated",
        f"Loss-sensitivity is concentrated on fewer examples with true labels than with {name}",
        "the same Gini coefficient of the loss-sensitivity over the same epochs",
    )
    return claim.differs(with_true - with_corrupted, sentence, number=".3f;")


def _as_well(cell: MemorizationCell, index: int, reference: int) -> Verdict:
    final, name = cell.train_accuracy[:, :, -1], cell.names[index]
    claim = _Claim(
        cell,
        index,
        "fitted",
        f"Networks fit {name} as well as true labels",
        f"training accuracies differ by at least {EQUAL_TRAIN:.0%}",
    )
    differences = final[index] - final[reference]
    if not np.isfinite(differences).all():
        return claim.without(differences)
    test = equivalence(differences, margin=EQUAL_TRAIN)
    sentence = (
        f"training accuracy was {_mean(final[index])} on {name} and {_mean(final[reference])} on true labels, a "
        f"difference of {test.interval:.2p;} points"
    )
    late = int(np.isnan(cell.updates[index, :, -1]).sum())
    if late:
        sentence += (
            f"; {late} of {cell.n_replicates} networks had not fitted {name} when training ended after "
            f"{cell.limit:,} updates, so this says nothing about longer training"
        )
    return claim.verdict(test.decision, test.interval, sentence)


def _slower(cell: MemorizationCell, index: int, reference: int) -> Verdict:
    updates, name = cell.updates[:, :, -1], cell.names[index]
    claim = _Claim(
        cell,
        index,
        "slower",
        f"Networks take longer to fit {name} than true labels",
        "the same number of updates",
    )
    if cell.diverged[[index, reference]].any():
        return claim.without(np.where(cell.diverged[[index, reference]].any(axis=0), np.nan, 0.0))
    if np.isnan(updates[[index, reference]]).all():
        return claim.undecided(f"no network fitted either kind of labels within {cell.limit:,} updates")
    test = ratio_of_updates(updates[index], updates[reference], limit=cell.limit)
    sentence = f"{name} took {test.estimate:.1f;} times as many updates to fit everything as true labels"
    if test.method == "restricted-mean":
        late, early = test.n_censored
        sentence += (
            f"; a ratio of mean updates up to the limit of {cell.limit:,}, within which {late} of {cell.n_replicates} "
            f"networks did not fit {name}, and {early} did not fit true labels"
        )
        if late and not early:
            sentence += ", so without a limit the ratio would be larger"
    return claim.verdict(test.decision, test.estimate, sentence)


def _chance(cell: MemorizationCell, index: int, guess: float) -> Verdict:
    final = cell.test_accuracy[index, :, -1]
    claim = _Claim(
        cell,
        index,
        "chance",
        f"Fitting {cell.names[index]} teaches nothing about the test images",
        f"test accuracy is at least {EQUAL_TEST:.0%} away from that of guessing, {guess:.1%}",
    )
    if (unknown := claim.unknown(final)) is not None:
        return unknown
    test = equivalence(final - guess, margin=EQUAL_TEST)
    above = f"{test.interval:.2p;} points more than by guessing ({guess:.1%})"
    return claim.verdict(
        test.decision, test.interval, f"{_mean(final)} of the test images were right, {above}"
    )


def _peak(cell: MemorizationCell, index: int) -> Verdict:
    drop = cell.drop[index]
    claim = _Claim(
        cell,
        index,
        "peak",
        f"Test accuracy peaks early, and falls while {cell.names[index]} are memorized",
        f"no loss of test accuracy between its peak and the end; to refute: a loss of at least {SMALL_DROP:.1%}",
    )
    if (unknown := claim.unknown(drop)) is not None:
        return unknown
    test = paired_difference(drop)
    above, small = test.decision(), test.decision(SMALL_DROP)
    ends = test.interval
    change = Interval(-ends.estimate, -ends.high, -ends.low, ends.level, ends.n)
    sentence = (
        f"test accuracy was best after epoch {int(np.median(cell.peak_epoch[index]))} (median), at "
        f"{_mean(cell.peak_accuracy[index])}, and changed by {change:.2p;} points from there to the end; the peak is chosen "
        "on one half of the test images and measured on the other"
    )
    return claim.verdict("refuted" if small == "refuted" else above, ends, sentence)


def _never_forgotten(cell: MemorizationCell, index: int) -> Verdict:
    exposed = cell.n_exposed[index, :, 1]
    claim = _Claim(
        cell,
        index,
        "never-forgotten",
        f"With {cell.names[index]}, no wrongly labeled example is learned and never forgotten",
        f"{UNFORGETTABLE:.0%} of the wrongly labeled examples are learned and never forgotten",
    )
    share = np.where(exposed > 0, cell.n_never_forgotten[index, :, 1] / np.maximum(exposed, 1), np.nan)
    share[cell.diverged[index]] = np.nan
    if (unknown := claim.unknown(share)) is not None:
        return unknown
    test = paired_difference(share)
    return claim.verdict(
        # The claim is that the share is small: that it lies above 1% speaks against it.
        opposite(test.decision(UNFORGETTABLE)),
        test.interval,
        f"{test.interval:.1%;} of the wrongly labeled examples that were learned before a network's last epoch "
        "had no forgetting event, judged after every epoch until training ended, at the latest when everything was "
        "fitted; what is learned late has little time to be forgotten",
    )


def _forgotten_more(cell: MemorizationCell, index: int) -> Verdict:
    right, wrong = cell.mean_forgetting[index].T
    claim = _Claim(
        cell,
        index,
        "forgotten-more",
        f"With {cell.names[index]}, wrongly labeled examples are forgotten more often than rightly labeled ones",
        "the same number of forgetting events",
    )
    sentence = "on average a wrongly labeled example had {} forgetting events more than a rightly labeled one"
    return claim.differs(wrong - right, sentence, number=".2f;")


def _mean(values: Floats) -> str:
    """Return a mean share in per cent, never rounded up to a whole."""
    mean = float(values.mean())
    return f"{mean:.1%}" if mean < 0.9995 or mean == 1 else f"{np.floor(mean * 1e4) / 1e2:.2f}%"
