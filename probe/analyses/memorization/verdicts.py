"""What a study says of the published claims about memorisation, one verdict a claim.

The replicate is the network. Conditions are compared within replicates, where start, images and order are
the same. The margins for "equal" are fixed here, before any data are seen. Intervals are 95% each; nothing
is corrected for the number of claims.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np
import numpy.typing as npt

from probe.analyses.memorization.results import MemorizationCell
from probe.stats import (
    Decision,
    Interval,
    Verdict,
    bootstrap_interval,
    equivalence,
    paired_difference,
    ratio_of_updates,
)

__all__ = ["EQUAL_TEST", "EQUAL_TRAIN", "SMALL_DROP", "UNFORGETTABLE", "verdicts_of"]

Floats = npt.NDArray[np.float64]
Unit = Literal["points", "times", "%", "events", "gini"]

EQUAL_TRAIN = 0.01
"""Training accuracies that differ by less than 1 point count as equal."""

EQUAL_TEST = 0.02
"""Test accuracies within 2 points of chance count as chance."""

SMALL_DROP = 0.005
"""A loss of test accuracy below half a point counts as none."""

UNFORGETTABLE = 0.01
"""Up to 1% of the examples count as "no example"."""


def verdicts_of(cell: MemorizationCell, guess: float) -> tuple[Verdict, ...]:
    """Return the verdicts on the claims that the conditions of `cell` bear on.

    Parameters
    ----------
    cell : MemorizationCell
        One architecture and number of samples.
    guess : float in [0, 1]
        Expected test accuracy of naming classes at random, as often as they occur.
    """
    found: list[Verdict] = []
    for index, condition in enumerate(cell.conditions):
        reference = cell.reference(index)
        if reference is not None and reference != index:
            found += _against_reference(cell, index, reference)
        if condition.corruption == 1:
            found.append(_chance(cell, index, guess))
        if 0 < condition.corruption < 1:
            found.append(_peak(cell, index))
        if cell.n_examples[index, :, 1].any():
            found.append(_never_forgotten(cell, index))
            if 0 < condition.corruption < 1:
                found.append(_forgotten_more(cell, index))
    return tuple(found)


def _against_reference(cell: MemorizationCell, index: int, reference: int) -> Iterator[Verdict]:
    yield _as_well(cell, index, reference)
    yield _slower(cell, index, reference)
    name = cell.named(index)
    if np.isfinite(cell.critical_ratio).any():
        yield _differs(
            cell,
            f"The critical sample ratio is higher after training on {name} than on true labels",
            cell.critical_ratio[index] - cell.critical_ratio[reference],
            "the same critical sample ratio",
            "the share of test images with another predicted class nearby was {} higher",
            unit="points",
        )
    if np.isfinite(cell.sensitivity_gini).any():
        yield _differs(
            cell,
            f"Loss-sensitivity is concentrated on fewer examples with true labels than with {name}",
            cell.sensitivity_gini[reference] - cell.sensitivity_gini[index],
            "the same Gini coefficient of the loss-sensitivity",
            "with true labels the Gini coefficient was {} higher",
            unit="gini",
        )


def _as_well(cell: MemorizationCell, index: int, reference: int) -> Verdict:
    final = cell.train_accuracy[:, :, -1]
    name = cell.named(index)
    claim = f"Networks fit {name} as well as true labels"
    null = f"training accuracies differ by at least {EQUAL_TRAIN:.0%}"
    differences = final[index] - final[reference]
    if not np.isfinite(differences).all():
        return _open(cell, claim, null, differences)
    found = equivalence(differences, margin=EQUAL_TRAIN)
    sentence = (
        f"training accuracy was {_mean(final[index])} on {name} and {_mean(final[reference])} on true labels, a "
        f"difference of {_points(found.interval)}"
    )
    late = int(np.isnan(cell.updates[index, :, -1]).sum())
    if late:
        sentence += (
            f"; {late} of {cell.n_replicates} networks had not fitted {name} when training ended after "
            f"{cell.limit:,} updates, so this says nothing about longer training"
        )
    return _verdict(cell, claim, found.decision, found.interval, null, sentence)


def _slower(cell: MemorizationCell, index: int, reference: int) -> Verdict:
    updates = cell.updates[:, :, -1]
    found = ratio_of_updates(updates[index], updates[reference], limit=cell.limit)
    name = cell.named(index)
    sentence = (
        f"{name} took {_plain(found.estimate, 'times')} as many updates to fit everything as true labels"
    )
    if found.method == "restricted-mean":
        late, early = found.n_censored
        sentence += (
            f"; a ratio of mean updates up to the limit of {cell.limit:,}, within which {late} of {cell.n_replicates} "
            f"networks did not fit {name}, and {early} did not fit true labels"
        )
        if late and not early:
            sentence += ", so without a limit the ratio would be larger"
    claim = f"Networks take longer to fit {name} than true labels"
    return _verdict(cell, claim, found.decision, found.estimate, "the same number of updates", sentence)


def _chance(cell: MemorizationCell, index: int, guess: float) -> Verdict:
    final = cell.test_accuracy[index, :, -1]
    name = cell.named(index)
    claim = f"Fitting {name} teaches nothing about the test images"
    null = f"test accuracy is at least {EQUAL_TEST:.0%} away from that of guessing, {guess:.1%}"
    if not np.isfinite(final).all():
        return _open(cell, claim, null, final)
    found = equivalence(final - guess, margin=EQUAL_TEST)
    sentence = f"{_mean(final)} of the test images were right, {_points(found.interval)} more than by guessing ({guess:.1%})"
    return _verdict(cell, claim, found.decision, found.interval, null, sentence)


def _peak(cell: MemorizationCell, index: int) -> Verdict:
    drop = cell.drop[index]
    name, epoch = cell.named(index), int(np.median(cell.peak_epoch[index]))
    claim = f"Test accuracy peaks early, and falls while {name} are memorised"
    null = "no loss of test accuracy between its peak and the end"
    if not np.isfinite(drop).all():
        return _open(cell, claim, null, drop)
    found = paired_difference(drop)
    decision = found.decision()
    if found.n > 1 and found.interval.high < SMALL_DROP:
        decision = "refuted"
    sentence = (
        f"test accuracy was best after epoch {epoch} (median) with {_mean(cell.peak_accuracy[index])}, and fell by "
        f"{_points(found.interval)} from there to the end"
    )
    return _verdict(cell, claim, decision, found.interval, null, sentence)


def _never_forgotten(cell: MemorizationCell, index: int) -> Verdict:
    wrong = cell.n_examples[index, :, 1]
    interval = bootstrap_interval(cell.forgetting[index, :, 1, 0] / np.maximum(wrong, 1))
    decision: Decision = "inconclusive"
    if interval.n > 1 and interval.high <= UNFORGETTABLE:
        decision = "supported"
    elif interval.n > 1 and interval.low > UNFORGETTABLE:
        decision = "refuted"
    return _verdict(
        cell,
        f"With {cell.named(index)}, no wrongly labelled example is learned and never forgotten again",
        decision,
        interval,
        f"over {UNFORGETTABLE:.0%} of the wrongly labelled examples are learned and never forgotten",
        f"{_plain(interval, '%')} of the wrongly labelled examples were learned without a forgetting event, judged "
        "after every epoch trained",
    )


def _forgotten_more(cell: MemorizationCell, index: int) -> Verdict:
    right, wrong = cell.mean_forgetting[index].T
    return _differs(
        cell,
        f"With {cell.named(index)}, wrongly labelled examples are forgotten more often than rightly labelled ones",
        wrong - right,
        "the same number of forgetting events",
        "on average a wrongly labelled example had {} forgetting events more than a rightly labelled one",
        unit="events",
    )


def _differs(
    cell: MemorizationCell, claim: str, differences: Floats, null: str, sentence: str, *, unit: Unit
) -> Verdict:
    """Return the verdict that a difference is above zero; `sentence` has a gap for it."""
    if not np.isfinite(differences).all():
        return _open(cell, claim, null, differences)
    found = paired_difference(differences)
    text = _points(found.interval) if unit == "points" else _plain(found.interval, unit)
    return _verdict(cell, claim, found.decision(), found.interval, null, sentence.format(text))


def _verdict(
    cell: MemorizationCell, claim: str, decision: Decision, interval: Interval, null: str, sentence: str
) -> Verdict:
    start = f"{cell.architecture}, {cell.n_samples:,} images, {cell.n_replicates} replicates: "
    return Verdict(claim, decision, interval.estimate, interval, null, f"{start}{sentence}.")


def _open(cell: MemorizationCell, claim: str, null: str, values: Floats) -> Verdict:
    """Return the verdict where a network diverged, or had nothing to be measured on."""
    missing = int((~np.isfinite(values)).sum())
    interval = Interval(np.nan, np.nan, np.nan, 0.95, len(values))
    sentence = (
        f"{missing} of {len(values)} replicates have no value, because a network diverged or fitted nothing"
    )
    return _verdict(cell, claim, "inconclusive", interval, null, sentence)


def _mean(values: Floats) -> str:
    """Return a mean share in per cent, never rounded up to a whole."""
    mean = float(values.mean())
    return f"{mean:.1%}" if mean < 0.9995 or mean == 1 else f"{np.floor(mean * 1e4) / 1e2:.2f}%"


def _points(interval: Interval) -> str:
    """Return a difference of shares in percentage points, with its interval."""
    estimate = f"{100 * interval.estimate:.2f} points"
    if interval.n < 2:
        return estimate
    return f"{estimate} ({interval.level:.0%} interval {100 * interval.low:.2f} to {100 * interval.high:.2f})"


def _plain(interval: Interval, unit: Unit) -> str:
    """Return an estimate with its interval."""
    scale, ending = (100, "%") if unit == "%" else (1, " times" if unit == "times" else "")
    digits = 3 if unit == "gini" else 2 if unit == "events" else 1
    estimate = f"{scale * interval.estimate:.{digits}f}{ending}"
    if interval.n < 2:
        return estimate
    ends = f"{scale * interval.low:.{digits}f} to {scale * interval.high:.{digits}f}"
    return f"{estimate} ({interval.level:.0%} interval {ends})"
