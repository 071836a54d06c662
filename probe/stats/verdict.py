"""A claim, what decides it, whom it is about, and what was found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from probe._checks import InputError, brief, check_choice, check_number
from probe._signatures import checked
from probe.stats.estimates import Decision, Estimate, count_estimate
from probe.stats.intervals import Interval

__all__ = ["Agreement", "Claim", "Decision", "Subject", "Verdict", "holm"]

Subject = Literal["network", "kind", "general"]
"""Whom a claim is about: the network at hand, networks trained like it, or networks in general."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """What a claim about one network comes to in networks trained like it.

    Attributes
    ----------
    decision : {"supported", "refuted", "inconclusive"}
        That of the network at hand.
    decisions : tuple of str
        That of each other network, by the same rule.
    statistics : tuple of float
        The statistic of each.
    """

    decision: Decision
    decisions: tuple[Decision, ...]
    statistics: tuple[float, ...]

    def __post_init__(self) -> None:
        for decision in (self.decision, *self.decisions):
            check_choice("decision", decision, get_args(Decision))

    @property
    def interval(self) -> Interval:
        """Share of the networks with the decision of the network at hand, with its exact interval."""
        return count_estimate(self.decisions.count(self.decision), len(self.decisions)).interval

    @property
    def is_unusual(self) -> bool:
        """Whether the network at hand is decided otherwise than most networks trained like it."""
        return self.decision != "inconclusive" and self.interval.high < 0.5

    @property
    def sentence(self) -> str:
        """What to add to what was found of the network at hand."""
        n, counts = len(self.decisions), {name: self.decisions.count(name) for name in get_args(Decision)}
        if self.decision == "inconclusive":
            return (
                f"Of {n} networks trained like it, this is supported for {counts['supported']} and refuted for "
                f"{counts['refuted']}."
            )
        same = f"{counts[self.decision]} of {n} networks trained like it"
        ends = f"{self.interval.low:.0%} to {self.interval.high:.0%}"
        if self.is_unusual:
            return f"This network is unusual: {same} get the same answer ({ends})."
        return f"The same for {same} ({ends})."

    def to_dict(self) -> dict[str, object]:
        """Return the agreement as plain values."""
        return {
            "n_agree": self.decisions.count(self.decision),
            "n": len(self.decisions),
            "low": self.interval.low,
            "high": self.interval.high,
            "statistics": list(self.statistics),
            "decisions": list(self.decisions),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What was found about one claim.

    Attributes
    ----------
    key : str
        Name for programs. It stays the same when the wording changes, and is unique in a result.
    title : str
        The claim, in words.
    subject : {"network", "kind", "general"}
        Whom it is about: the network at hand, networks trained like it, or networks in general.
    decision : {"supported", "refuted", "inconclusive"}
        What the data say of it.
    statistic_name : str
        What was measured, such as "AUROC".
    unit : str
        Its unit: "share" for shares of 1, "" for a pure number.
    interval : Interval
        The estimate that decides, with its interval over replicates; NaN if there is none.
    replicate : str
        What the interval is over: "units", "images", "classes", "networks", ...
    null : str
        The null hypothesis, in words.
    threshold : float
        The value that the statistic is decided against; NaN if it is not one value.
    reason : str
        Why this threshold.
    p_value : float in [0, 1]
        Two-sided, of the threshold; NaN if there was no test.
    sentence : str
        What a reader needs to judge the decision.
    agreement : Agreement or None
        What it comes to in networks trained like it; None if that was not asked.
    said, minute : str
        The words of the video that it is about, and where they are said, such as "14:44"; "" where the video says nothing
        of the kind. A verdict with words of the video is primary, others are exploratory.

    Raises
    ------
    InputError
        If `decision` or `subject` is not one of the three.

    Examples
    --------
    >>> claim = Claim(
    ...     key="noise",
    ...     title="It is sure of noise",
    ...     statistic_name="share of images",
    ...     unit="share",
    ...     replicate="images",
    ...     threshold=0.5,
    ...     reason="most images",
    ...     null="half of the images",
    ... )
    >>> verdict = claim.verdict(count_estimate(90, 100), "90 of 100 get at least 0.9.")
    >>> verdict.statistic, verdict.decision, verdict.to_dict()["interval"]["n"]
    (0.9, 'supported', 100)
    """

    key: str
    title: str
    subject: Subject
    decision: Decision
    statistic_name: str
    unit: str
    interval: Interval
    replicate: str
    null: str
    threshold: float
    reason: str
    p_value: float
    sentence: str
    agreement: Agreement | None = None
    said: str = ""
    minute: str = ""

    def __post_init__(self) -> None:
        check_choice("decision", self.decision, get_args(Decision))
        check_choice("subject", self.subject, get_args(Subject))

    @property
    def is_primary(self) -> bool:
        """Whether it is about words of the video; all other verdicts are exploratory."""
        return bool(self.said)

    @property
    def statistic(self) -> float:
        """The estimate that decides; NaN if there is none."""
        return self.interval.estimate

    def to_dict(self) -> dict[str, object]:
        """Return the verdict as plain values. Numbers may be NaN."""
        return {
            "key": self.key,
            "title": self.title,
            "subject": self.subject,
            "decision": self.decision,
            "statistic": self.statistic,
            "statistic_name": self.statistic_name,
            "unit": self.unit,
            "interval": {name: getattr(self.interval, name) for name in ("low", "high", "level", "n")},
            "replicate": self.replicate,
            "null": self.null,
            "threshold": self.threshold,
            "reason": self.reason,
            "p_value": self.p_value,
            "sentence": self.sentence,
            "agreement": None if self.agreement is None else self.agreement.to_dict(),
            "said": self.said,
            "minute": self.minute,
        }


@checked
@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A claim, declared before anything is measured.

    Attributes
    ----------
    key, title, statistic_name, unit, replicate, null, threshold, reason, subject, said, minute
        As in `Verdict`.
    claims_less : bool
        Whether the claim is that the statistic lies below the threshold.

    Raises
    ------
    InputError
        If a field is none of what it must be.
    """

    key: str
    title: str
    statistic_name: str
    unit: str
    replicate: str
    null: str
    threshold: float
    reason: str
    subject: Subject = "network"
    claims_less: bool = False
    said: str = ""
    minute: str = ""

    def __post_init__(self) -> None:
        check_choice("subject", self.subject, get_args(Subject))
        check_number("threshold", self.threshold)

    def decision(self, estimate: Estimate) -> Decision:
        """Return what an estimate says of the claim."""
        above = estimate.decision(self.threshold)
        if above == "refuted" and not estimate.has_power:
            return "inconclusive"
        return _opposite(above) if self.claims_less else above

    def verdict(
        self,
        estimate: Estimate,
        sentence: str,
        *,
        others: Sequence[Estimate] = (),
        **changed: Any,
    ) -> Verdict:
        """Return what was found.

        Parameters
        ----------
        estimate : Estimate
            The statistic of the subject.
        sentence : str
            What a reader needs to judge it.
        others : sequence of Estimate
            The same statistic of networks trained like the one at hand.
        **changed
            Fields of the verdict that are not those of the claim, such as a title with the name of a layer.
        """
        decision = self.decision(estimate)
        agreement = None
        if others:
            agreement = Agreement(
                decision=decision,
                decisions=tuple(self.decision(other) for other in others),
                statistics=tuple(other.interval.estimate for other in others),
            )
        fields: dict[str, Any] = {
            "decision": decision,
            "key": self.key,
            "title": self.title,
            "subject": self.subject,
            "statistic_name": self.statistic_name,
            "unit": self.unit,
            "replicate": self.replicate,
            "null": self.null,
            "threshold": self.threshold,
            "reason": self.reason,
            "said": self.said,
            "minute": self.minute,
        }
        return Verdict(
            interval=estimate.interval,
            p_value=estimate.p_value(self.threshold),
            sentence=sentence,
            agreement=agreement,
            **(fields | changed),
        )

    def undecided(self, why: str, *, n: int = 0, **changed: Any) -> Verdict:
        """Return the verdict where there is nothing to decide from; `why` is its sentence."""
        nothing = Estimate(Interval(np.nan, np.nan, np.nan, 0.95, n), "none", lambda null: (np.nan, np.nan))
        return self.verdict(nothing, why, **changed)


@checked
def holm(p_values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return p-values adjusted for their number, so that one error in all of them is as rare as in one test [1]_.

    Parameters
    ----------
    p_values : ndarray of shape (n,), in [0, 1] or NaN
        NaN where nothing was tested; it stays NaN and counts as no test.

    Raises
    ------
    InputError
        If they are no such numbers.

    References
    ----------
    .. [1] S. Holm, "A Simple Sequentially Rejective Multiple Test Procedure", Scandinavian Journal of Statistics 6, 1979.

    Examples
    --------
    >>> holm(np.array([0.01, 0.04, np.nan, 0.03])).round(2)
    array([0.03, 0.06,  nan, 0.06])
    """
    p_values = np.asarray(p_values)
    if p_values.ndim != 1 or p_values.dtype.kind not in "fiu" or (p_values < 0).any() or (p_values > 1).any():
        raise InputError(f"p_values must be numbers from 0 to 1, or NaN, got {brief(p_values)}")
    adjusted = np.full(len(p_values), np.nan)
    tested = np.flatnonzero(~np.isnan(p_values))
    order = tested[np.argsort(p_values[tested], kind="stable")]
    factors = np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(1, np.maximum.accumulate(factors * p_values[order]))
    return adjusted


def _opposite(decision: Decision) -> Decision:
    """Return what the same data say of the contrary claim."""
    if decision == "inconclusive":
        return decision
    return "refuted" if decision == "supported" else "supported"
