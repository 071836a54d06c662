"""What was published beside what was found: a table."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from probe.analyses.verification.rows import SOURCES, Row, Size
from probe.results import Columns, Record, Result
from probe.stats import Claim, Decision, Estimate, Interval, Verdict

__all__ = ["Verification", "VerifiedRow", "met"]

_MET = Claim(
    key="verified",
    title="Most of what was published comes out within its tolerance",
    statistic_name="share of rows within",
    unit="share",
    replicate="rows",
    subject="general",
    threshold=0.5,
    reason="most rows; those that are undecided count as not met",
    null="half of the rows lie within",
)


class VerifiedRow(Record):
    """One row of the table: what was published, and ours.

    Attributes
    ----------
    key, source, where, claim, setup, differs, known, unit : str
        As in `Row`.
    published, tolerated : str
        What was published, and the tolerance with its reason, as text.
    ours : str
        What was found, with its 95% interval over networks, as text.
    low, high : float
        What was published, as numbers; infinite where a range is open.
    tolerance : float
        How far ours may lie outside, as it was declared.
    interval : Interval
        Ours, with its 95% interval; without ends where nothing is random or all networks are equal.
    decision : {"supported", "refuted", "inconclusive"}
        Whether the interval lies within the tolerance, outside of it, or neither.
    values : ndarray of shape (n_networks,) or (n_networks, n_columns)
        Of single networks, which the estimate is of.
    remark : str
        What is known of why, if it lies outside.
    """

    key: str
    source: str
    where: str
    claim: str
    setup: str
    differs: str
    known: str
    unit: str
    published: str
    tolerated: str
    ours: str
    low: float
    high: float
    tolerance: float
    interval: Interval
    decision: Decision
    values: npt.NDArray[np.float64]
    remark: str = ""

    @classmethod
    def of(cls, row: Row, values: npt.NDArray[np.float64]) -> VerifiedRow:
        """Return what the values of networks say of a row."""
        interval = row.interval(values)
        ours = row.written(interval.estimate)
        if math.isfinite(interval.low) and math.isfinite(interval.high):
            ours += f" ({row.written(interval.low)} to {row.written(interval.high)})"
        decision = row.decision(interval)
        return cls(
            **{
                name: getattr(row, name)
                for name in ("key", "source", "where", "claim", "setup", "differs", "known", "unit")
            },
            published=row.published,
            tolerated=row.tolerated,
            ours=ours,
            low=row.low,
            high=row.high,
            tolerance=row.tolerance,
            interval=interval,
            decision=decision,
            values=values,
            remark="" if decision == "supported" else row.remark,
        )

    @property
    def relative(self) -> tuple[float, float, float]:
        """Ours and the ends of its interval, on an axis where the tolerated band ends at -1 and 1.

        Of a range that is open on one side, the closed end is at -1 (or at 1), and the unit is its distance from 0, or 1.
        """
        bottom, top = self.low - self.tolerance, self.high + self.tolerance
        closed = top if math.isinf(bottom) else bottom
        half = (top - bottom) / 2 if math.isfinite(top - bottom) else 0.0
        half = half or abs(closed) or 1.0
        # Of one number without a tolerance the middle is that number.
        center = closed if bottom == top else closed - half if math.isinf(bottom) else closed + half
        estimate, low, high = (
            (value - center) / half
            for value in (self.interval.estimate, self.interval.low, self.interval.high)
        )
        return estimate, low, high


class Verification(Result):
    """Published figures and directions beside ours, and whether ours lies within a tolerance that was declared before.

    Attributes
    ----------
    rows : tuple of VerifiedRow
        The table, source by source.
    size : {"small", "medium", "full"}
        How much was trained.
    n_networks : int
        Networks of each kind.
    verdict : Verdict
        Whether most of the table is met.
    left_out : tuple of str
        Keys of rows that were not asked for, or cannot be compared at this size or on these data.
    interrupted : bool
        Whether experiments are missing.
    """

    rows: tuple[VerifiedRow, ...]
    size: Size
    n_networks: int
    verdict: Verdict
    left_out: tuple[str, ...] = ()
    interrupted: bool = False

    @property
    def counts(self) -> dict[str, int]:
        """Rows by decision: within the tolerance, outside of it, and undecided."""
        decisions = [row.decision for row in self.rows]
        return {name: decisions.count(name) for name in ("supported", "refuted", "inconclusive")}

    @property
    def sources(self) -> dict[str, str]:
        """The sources that there are rows of, by name."""
        there = {row.source for row in self.rows}
        return {name: text for name, text in SOURCES.items() if name in there}

    def of_source(self, source: str) -> tuple[VerifiedRow, ...]:
        """Return the rows of one source."""
        return tuple(row for row in self.rows if row.source == source)

    def columns(self) -> Columns:
        """Return one row for each row of the table."""
        names = (
            "source",
            "where",
            "claim",
            "published",
            "ours",
            "tolerance",
            "decision",
            "tolerated",
            "differs",
            "remark",
        )
        return {
            "row": [row.key for row in self.rows],
            **{name: [getattr(row, name) for row in self.rows] for name in names},
        }


def met(rows: Sequence[VerifiedRow]) -> Verdict:
    """Return whether most rows lie within their tolerance: counted, for rows are no sample of anything."""
    n, within, outside = (
        len(rows),
        *(sum(row.decision == name for row in rows) for name in ("supported", "refuted")),
    )
    decision: Decision = "inconclusive"
    if max(within, outside) > n / 2:
        decision = "supported" if within > outside else "refuted"
    undecided = n - within - outside
    return _MET.verdict(
        Estimate(Interval(within / n, np.nan, np.nan, 0.95, n), "none", lambda null: (np.nan, np.nan)),
        f"{within} of {n} rows lie within the tolerance that was declared for them, {outside} outside, and {undecided} "
        "cannot be decided.",
        decision=decision,
    )
