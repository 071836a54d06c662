"""A claim, what the networks say of it, and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from probe._checks import check_choice
from probe.stats.intervals import Interval

__all__ = ["Decision", "Verdict", "decide"]

Decision = Literal["supported", "refuted", "inconclusive"]
"""What the data say of a claim; "inconclusive" where they could be either way."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was found about one claim.

    Attributes
    ----------
    claim : str
        The claim, in words.
    decision : {"supported", "refuted", "inconclusive"}
        What the data say of it.
    statistic : float
        The estimate that decides; NaN where there is none.
    interval : Interval
        Its interval over networks.
    null : str
        The null hypothesis, in words.
    sentence : str
        What a reader needs to judge the decision.

    Raises
    ------
    InputError
        If `decision` is none of the three.

    Examples
    --------
    >>> interval = Interval(0.2, 0.1, 0.3, 0.95, 10)
    >>> verdict = Verdict("Noise is slower", "supported", 0.2, interval, "equally fast", "It took 20% longer.")
    >>> verdict.numbers()["interval"]
    [0.1, 0.3]
    """

    claim: str
    decision: Decision
    statistic: float
    interval: Interval
    null: str
    sentence: str

    def __post_init__(self) -> None:
        check_choice("decision", self.decision, get_args(Decision))

    def numbers(self) -> dict[str, object]:
        """Return the verdict as plain values, the interval as [low, high]. Numbers may be NaN."""
        return {
            "claim": self.claim,
            "decision": self.decision,
            "statistic": self.statistic,
            "interval": [self.interval.low, self.interval.high],
            "null": self.null,
            "sentence": self.sentence,
        }


def decide(interval: Interval, p_value: float, *, null: float) -> Decision:
    """Return whether an estimate lies above `null`, by two methods that must agree.

    Parameters
    ----------
    interval : Interval
        Of the estimate, by one method.
    p_value : float in [0, 1] or NaN
        Of the two-sided test of `null` by another.
    null : float
        The value to be above.

    Returns
    -------
    {"supported", "refuted", "inconclusive"}
        "supported" if the test rejects at 1 - ``interval.level`` and the interval lies above `null`,
        "refuted" if the test rejects and the interval lies below it, else "inconclusive".

    Examples
    --------
    >>> decide(Interval(0.2, 0.1, 0.3, 0.95, 5), 0.2, null=0)
    'inconclusive'
    """
    if p_value < 1 - interval.level:
        if interval.low > null:
            return "supported"
        if interval.high < null:
            return "refuted"
    return "inconclusive"
