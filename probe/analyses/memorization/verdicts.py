"""What a study says of the published claims about memorization, one verdict a claim.

The replicate is the network. Conditions are compared within replicates, where start, images and order are
the same. The margins are fixed here, before any data are seen.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from probe.analyses.memorization.results import MemorizationCell
from probe.stats import FEWEST, Claim, Estimate, Verdict, mean_estimate

__all__ = [
    "MEMORIZED",
    "RANDOM_LABELS",
    "SLOWER",
    "SMALL_DROP",
    "TEACHES",
    "UNFORGETTABLE",
    "verdicts_of",
]

Floats = npt.NDArray[np.float64]

TEACHES = 0.02
"""Test accuracies up to 2 points above guessing count as guessing: two standard errors on 1,000 test images."""

SMALL_DROP = 0.005
"""A loss of test accuracy below half a point counts as none: one standard error on 2,000 test images."""

UNFORGETTABLE = 0.01
"""Up to 1% of the examples count as "no example"."""

MEMORIZED = 0.9
"""Training accuracy from which on a network has learned enough of its labels to show what that does."""


def _claim(key: str, title: str, statistic_name: str, *, reason: str = "no difference", **more: Any) -> Claim:
    """Declare a claim about networks of a kind; {name} in its title is the condition that it is about."""
    fields: dict[str, Any] = {"threshold": 0.0, "unit": "share", "null": "no difference"} | more
    return Claim(
        key=key,
        title=title,
        statistic_name=statistic_name,
        replicate="networks",
        subject="kind",
        reason=reason,
        **fields,
    )


RANDOM_LABELS = _claim(
    "random-labels",
    "Such networks fit {name} completely",
    "share of networks that fit them",
    threshold=0.5,
    null="half of such networks fit them",
    reason="most networks, within the updates that were declared before",
    said="the same training accuracy",
    minute="18:15",
)

SLOWER = _claim(
    "slower",
    "Networks take longer to fit {name} than true labels",
    "ratio of updates",
    threshold=1.0,
    unit="",
    null="the same number of updates",
    said="went down very slowly",
    minute="18:52",
)

_SENSITIVE = _claim(
    "sensitive",
    "The critical sample ratio is higher after training on {name} than on true labels",
    "difference of critical sample ratios",
    null="the same critical sample ratio",
)

_CONCENTRATED = _claim(
    "concentrated",
    "Loss-sensitivity is concentrated on fewer examples with true labels than with {name}",
    "difference of Gini coefficients",
    unit="",
    null="the same Gini coefficient of the loss-sensitivity over the same epochs",
)

_CHANCE = _claim(
    "chance",
    "Fitting {name} teaches nothing about the test images",
    "test accuracy above guessing",
    threshold=TEACHES,
    null=f"test accuracy is {TEACHES:.0%} above that of guessing",
    reason="two standard errors of guessing on 1,000 test images",
    claims_less=True,
)

_PEAK = _claim(
    "peak",
    "Test accuracy peaks early, and falls while {name} are memorized",
    "loss of test accuracy after its peak",
    threshold=SMALL_DROP,
    null=f"a loss of test accuracy of {SMALL_DROP:.1%} between its peak and the end",
    reason="one standard error of an accuracy on 2,000 test images",
)

_NEVER_FORGOTTEN = _claim(
    "never-forgotten",
    "With {name}, no wrongly labeled example is learned and never forgotten",
    "share of the examples learned",
    threshold=UNFORGETTABLE,
    null=f"{UNFORGETTABLE:.0%} of the wrongly labeled examples are learned and never forgotten",
    reason="one example in a hundred, next to none",
    claims_less=True,
)

_FORGOTTEN_MORE = _claim(
    "forgotten-more",
    "With {name}, wrongly labeled examples are forgotten more often than rightly labeled ones",
    "difference of forgetting events",
    unit="",
    null="the same number of forgetting events",
)


@dataclass(frozen=True, slots=True)
class _About:
    """One condition of a cell, as claims are made about it.

    `where` tells the cell from others of the study; "" for the only one.
    """

    cell: MemorizationCell
    index: int
    where: str

    @property
    def name(self) -> str:
        return self.cell.names[self.index]

    def verdict(self, claim: Claim, estimate: Estimate | None, sentence: str, **more: Any) -> Verdict:
        """Return the verdict on a claim of this condition; undecided without an estimate."""
        cell, condition = self.cell, self.cell.conditions[self.index]
        start = f"{cell.architecture}, {cell.n_samples:,} images, {cell.n_replicates} replicates: {sentence}."
        if cell.n_replicates < FEWEST:
            start += f" Fewer than {FEWEST} replicates decide nothing."
        is_random = condition.corruption == 1 and condition.inputs == "none"
        more["title"] = claim.title.format(name=self.name)
        # The video speaks of wholly random labels, and of no others.
        if not is_random:
            more |= {"said": "", "minute": ""}
        is_alone = self.name == "random labels" and not self.where
        more["key"] = claim.key if is_alone else "/".join(filter(None, (claim.key, self.name, self.where)))
        if estimate is None:
            return claim.undecided(start, n=cell.n_replicates, **more)
        return claim.verdict(estimate, start, **more)

    def of_values(
        self, claim: Claim, values: Floats, sentence: str, *, number: str, memorized: bool = False
    ) -> Verdict:
        """Judge a mean; `sentence` has a gap for it, formatted as `number`.

        It is left open where a replicate has no value, or, where the claim is of what is `memorized`, learned too little.
        """
        final = self.cell.train_accuracy[self.index, :, -1]
        if missing := int((~np.isfinite(values)).sum()):
            return self.verdict(claim, None, _missing(missing, len(values)))
        if memorized and (few := int((final < MEMORIZED).sum())):
            learned = f"learned less than {MEMORIZED:.0%} of the labels that they were taught"
            return self.verdict(claim, None, f"{few} of {len(final)} networks {learned}")
        found = mean_estimate(values)
        return self.verdict(claim, found, sentence.format(format(found, number)))


def _missing(n: int, of: int) -> str:
    why = "because a network diverged, or there was no example of the kind"
    return f"{n} of {of} replicates have no value, {why}"


def verdicts_of(cell: MemorizationCell, guess: float, where: str = "") -> tuple[Verdict, ...]:
    """Return the verdicts on the claims that the conditions of `cell` bear on.

    `guess` is the expected test accuracy of naming classes at random, as often as they occur; `where` tells the cell from
    others of its study.
    """
    verdicts: list[Verdict] = []
    for index, (condition, reference) in enumerate(zip(cell.conditions, cell.references, strict=True)):
        about = _About(cell, index, where)
        if reference is not None and reference != index:
            verdicts += _against_reference(about, reference)
        if condition.corruption == 1:
            verdicts.append(_chance(about, guess))
        if condition.has_images and cell.n_examples[index, :, 1].any():
            partly = condition.corruption < 1
            verdicts += [_peak(about)] if partly else []
            verdicts.append(_never_forgotten(about))
            verdicts += [_forgotten_more(about)] if partly else []
    return tuple(verdicts)


def _against_reference(about: _About, reference: int) -> Iterator[Verdict]:
    cell, index = about.cell, about.index
    yield _fits(about, reference)
    yield _slower(about, reference)
    if np.isfinite(cell.critical_ratio).any():
        yield about.of_values(
            _SENSITIVE,
            cell.critical_ratio[index] - cell.critical_ratio[reference],
            "the share of test images with another class predicted nearby differed by {} points from that after true labels",
            number=".2p;",
        )
    if np.isfinite(cell.sensitivity_curve).any():
        yield _concentrated(about, reference)


def _fits(about: _About, reference: int) -> Verdict:
    """Count the networks that fit.

    Training stops where everything is fitted, so that the accuracies of those that fit are equal by construction.
    """
    cell, index = about.cell, about.index
    n_fitted = int(np.isfinite(cell.updates[index, :, -1]).sum())
    n_true = int(np.isfinite(cell.updates[reference, :, -1]).sum())
    final = cell.train_accuracy[:, :, -1]
    found = cell.fitted(index)
    sentence = (
        f"within the {cell.limit:,} updates that were declared before, {n_fitted} of {cell.n_replicates} networks fitted "
        f"all {about.name}, and {n_true} all true labels; training accuracy was {_mean(final[index])} and "
        f"{_mean(final[reference])}"
    )
    if n_fitted < cell.n_replicates:
        sentence += "; of longer training this says nothing"
    return about.verdict(RANDOM_LABELS, found, sentence)


def _slower(about: _About, reference: int) -> Verdict:
    cell, index = about.cell, about.index
    n, diverged = cell.n_replicates, cell.diverged[[index, reference]].any(axis=0)
    if diverged.any():
        return about.verdict(SLOWER, None, _missing(int(diverged.sum()), n))
    late, early = np.isnan(cell.updates[[index, reference], :, -1]).sum(axis=1)
    found = cell.slowdown(index, reference)
    if found is None:
        return about.verdict(
            SLOWER, None, f"{early} of {n} networks did not fit true labels within {cell.limit:,} updates"
        )
    sentence = f"{about.name} took {found:.1f;} times as many updates to fit everything as true labels"
    if not late:
        return about.verdict(SLOWER, found, sentence)
    sentence += (
        f"; {late} of {n} networks did not fit {about.name} within {cell.limit:,} updates and count with these, so that the "
        "ratio is at least this"
    )
    return about.verdict(SLOWER, replace(found, has_power=False), sentence)


def _concentrated(about: _About, reference: int) -> Verdict:
    """Compare how unequally the loss-sensitivity is spread, over the epochs that both conditions were trained for."""
    cell, index, name = about.cell, about.index, about.name
    n_common = cell.common_epochs[index]
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
    return about.of_values(_CONCENTRATED, with_true - with_corrupted, sentence, number=".3f;")


def _chance(about: _About, guess: float) -> Verdict:
    final = about.cell.test_accuracy[about.index, :, -1]
    sentence = (
        f"{_mean(final)} of the test images were right, {{}} points more than by guessing ({guess:.1%})"
    )
    return about.of_values(_CHANCE, final - guess, sentence, number=".2p;", memorized=True)


def _peak(about: _About) -> Verdict:
    cell, index = about.cell, about.index
    sentence = (
        f"test accuracy was best after epoch {int(np.median(cell.peak_epoch[index]))} (median), at "
        f"{_mean(cell.peak_accuracy[index])}, and fell by {{}} points from there to the end; the peak is chosen on one half "
        "of the test images and measured on the other"
    )
    return about.of_values(_PEAK, cell.drop[index], sentence, number=".2p;", memorized=True)


def _never_forgotten(about: _About) -> Verdict:
    cell, index = about.cell, about.index
    exposed = cell.n_exposed[index, :, 1]
    share = np.where(exposed > 0, cell.n_never_forgotten[index, :, 1] / np.maximum(exposed, 1), np.nan)
    share[cell.diverged[index]] = np.nan
    sentence = (
        "{} of the wrongly labeled examples that were learned before a network's last epoch had no forgetting event, judged "
        "after every epoch until training ended, at the latest when everything was fitted; what is learned late has little "
        "time to be forgotten"
    )
    return about.of_values(_NEVER_FORGOTTEN, share, sentence, number=".1%;", memorized=True)


def _forgotten_more(about: _About) -> Verdict:
    right, wrong = about.cell.mean_forgetting[about.index].T
    sentence = "on average a wrongly labeled example had {} forgetting events more than a rightly labeled one"
    return about.of_values(_FORGOTTEN_MORE, wrong - right, sentence, number=".2f;")


def _mean(values: Floats) -> str:
    """Return a mean share in per cent, never rounded up to a whole."""
    mean = float(values.mean())
    if np.isnan(mean):
        return "–"
    return f"{mean:.1%}" if mean < 0.9995 or mean == 1 else f"{np.floor(mean * 1e4) / 1e2:.2f}%"
