"""A claim, the decision over networks, and the reason."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from probe._checks import check_choice
from probe.stats.intervals import Interval

__all__ = ["Decision", "Verdict", "decide", "opposite"]

Decision = Literal["supported", "refuted", "inconclusive"]
"""What the data say of a claim; "inconclusive" means that they allow both answers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What was found about one claim. On a claim about a difference, `Difference.verdict` makes it.

    Attributes
    ----------
    key : str
        Name for programs. It stays the same when the wording changes, and is unique in a result.
    title : str
        The claim, in words.
    decision : {"supported", "refuted", "inconclusive"}
        What the data say of it.
    statistic_name : str
        What was measured, such as "AUROC".
    unit : str
        Its unit: "share" for shares of 1, "" for a pure number.
    interval : Interval
        The estimate that decides, with its interval over networks; NaN if there is none.
    null : str
        The null hypothesis, in words.
    sentence : str
        What a reader needs to judge the decision.

    Raises
    ------
    InputError
        If `decision` is not one of the three.

    Examples
    --------
    >>> verdict = Verdict(
    ...     key="slower",
    ...     title="Noise is slower",
    ...     decision="supported",
    ...     statistic_name="ratio of updates",
    ...     unit="",
    ...     interval=Interval(1.2, 1.1, 1.3, 0.95, 10),
    ...     null="equally fast",
    ...     sentence="It took 20% longer.",
    ... )
    >>> verdict.statistic, verdict.to_dict()["interval"]
    (1.2, {'low': 1.1, 'high': 1.3, 'level': 0.95, 'n': 10})
    """

    key: str
    title: str
    decision: Decision
    statistic_name: str
    unit: str
    interval: Interval
    null: str
    sentence: str

    def __post_init__(self) -> None:
        check_choice("decision", self.decision, get_args(Decision))

    @property
    def statistic(self) -> float:
        """The estimate that decides; NaN if there is none."""
        return self.interval.estimate

    def to_dict(self) -> dict[str, object]:
        """Return the verdict as plain values. Numbers may be NaN."""
        interval = {name: getattr(self.interval, name) for name in ("low", "high", "level", "n")}
        return {
            "key": self.key,
            "title": self.title,
            "decision": self.decision,
            "statistic": self.statistic,
            "statistic_name": self.statistic_name,
            "unit": self.unit,
            "interval": interval,
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
        Of a two-sided test of `null` by another method.
    null : float
        The value to exceed.

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


def opposite(decision: Decision) -> Decision:
    """Return what the same data say of the contrary claim.

    Examples
    --------
    >>> opposite("supported"), opposite("inconclusive")
    ('refuted', 'inconclusive')
    """
    if decision == "inconclusive":
        return decision
    return "refuted" if decision == "supported" else "supported"
