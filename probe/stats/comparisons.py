"""Whether two conditions differ, and whether they are the same, over paired networks."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from probe._checks import check_number
from probe._signatures import checked
from probe.stats.intervals import Interval, bootstrap_interval, replicates
from probe.stats.verdict import Decision, Verdict, decide

__all__ = ["Difference", "Equivalence", "equivalence", "paired_difference"]

_ROUNDING = 1e-10
"""Values that differ by less, relative to the largest, differ by rounding: accuracies are quotients."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A mean difference within pairs of networks.

    Attributes
    ----------
    estimate : float
        Mean of the differences.
    interval : Interval
        Its bootstrap interval over networks.
    standard_error : float
        Standard error of the mean, at least 0; NaN with one replicate.
    p_value : float in [0, 1]
        Of the two-sided paired t test of no difference; NaN with one replicate.
    n : int
        Replicates.
    """

    estimate: float
    interval: Interval
    standard_error: float
    p_value: float
    n: int

    def __format__(self, spec: str) -> str:
        """Return the estimate with its interval, as `Interval` formats it."""
        return format(self.interval, spec)

    def decision(self, null: float = 0.0) -> Decision:
        """Return whether the mean difference lies above `null`.

        Two methods must agree: the two-sided t test rejects `null` at 1 - ``interval.level``, and the bootstrap
        interval lies above it. With five replicates the bootstrap alone errs about three times as often as it
        should, and the t test alone needs normal data.

        Parameters
        ----------
        null : float
            The difference to exceed; any finite value.

        Returns
        -------
        {"supported", "refuted", "inconclusive"}
            "supported" if it lies above, "refuted" if it lies below by the same rule, else "inconclusive".

        Raises
        ------
        InputError
            If `null` is not finite.
        """
        check_number("null", null)
        p_value = _two_sided(self.estimate, null, self.standard_error, self.n)
        return decide(self.interval, p_value, null=null)

    def verdict(
        self,
        *,
        key: str,
        title: str,
        statistic_name: str,
        null: str,
        sentence: str,
        unit: str = "",
        above: float = 0.0,
        decision: Decision | None = None,
    ) -> Verdict:
        """Return the verdict on a claim that the mean difference lies above a value.

        Parameters
        ----------
        key, title, statistic_name, null, sentence, unit : str
            As in `Verdict`.
        above : float
            The value.
        decision : {"supported", "refuted", "inconclusive"}, optional
            What the data say, where the claim is another one, or more than this difference decides; by default
            ``self.decision(above)``.

        Examples
        --------
        >>> ahead = paired_difference(np.array([0.1, 0.2, 0.1, 0.2, 0.2]))
        >>> words = {"key": "ahead", "title": "The first is ahead", "statistic_name": "difference", "null": "a draw"}
        >>> ahead.verdict(sentence=f"It is ahead by {ahead:.2f}.", **words).decision
        'supported'
        """
        return Verdict(
            key=key,
            title=title,
            decision=self.decision(above) if decision is None else decision,
            statistic_name=statistic_name,
            unit=unit,
            interval=self.interval,
            null=null,
            sentence=sentence,
            subject="kind",
            replicate="networks",
            threshold=above,
            reason="",
            p_value=_two_sided(self.estimate, above, self.standard_error, self.n),
        )


@checked
def paired_difference(differences: npt.NDArray[np.float64], *, level: float = 0.95) -> Difference:
    """Return the mean of paired differences with its bootstrap interval and the paired t test.

    If all differences are equal and not zero, they have no spread, and the t test would be certain after two
    networks. Then the p-value is that of the sign test, 2^(1 - n). It needs six networks to decide at 95%.

    Parameters
    ----------
    differences : ndarray of shape (n_replicates,)
        One finite difference for each pair of networks.
    level : float
        Confidence level in (0, 1).

    Raises
    ------
    InputError
        If there is no difference or one is not finite, or `level` is out of range.

    References
    ----------
    .. [1] Student, "The Probable Error of a Mean", Biometrika 6, 1908.

    Examples
    --------
    >>> found = paired_difference(np.array([1.0, 2.0, 3.0, 2.0, 2.5]))
    >>> found.estimate, round(found.p_value, 4), found.decision(), found.decision(null=2.0)
    (2.1, 0.0032, 'supported', 'inconclusive')
    """
    differences = replicates("differences", differences)
    interval = bootstrap_interval(differences, level=level)
    error = _standard_error(differences)
    p_value = _two_sided(interval.estimate, 0.0, error, interval.n)
    return Difference(interval.estimate, interval, error, p_value, interval.n)


@dataclass(frozen=True, slots=True)
class Equivalence:
    """Whether a mean difference is smaller than a margin.

    Attributes
    ----------
    margin : float
        Differences inside (-margin, margin) count as none.
    difference : Difference
        Mean of the differences, with the two-sided test and the bootstrap interval over networks.
    t_interval : Interval
        Student's t interval of level 1 - 2 alpha, for tests at alpha = 1 - ``interval.level``. It lies inside the
        margin exactly if the tests reject.
    p_value : float in [0, 1]
        The larger of the two one-sided tests' p-values; NaN with one replicate.
    """

    margin: float
    difference: Difference
    t_interval: Interval
    p_value: float

    @property
    def interval(self) -> Interval:
        """Mean of the differences with its bootstrap interval over networks."""
        return self.difference.interval

    @property
    def decision(self) -> Decision:
        """Whether the conditions are equivalent.

        "supported" if ``p_value`` is below 1 - ``interval.level``. "refuted" if the difference lies beyond the
        margin by the rule of `Difference.decision`: conditions that do not differ are called different with a
        probability of at most 1 - ``interval.level``, both sides together. Otherwise "inconclusive", also with one
        replicate. If all differences are equal, their value decides.
        """
        if self.p_value < 1 - self.interval.level:
            return "supported"
        if self.difference.standard_error == 0:
            # A hundredth between accuracies is a margin of 0.01 but for rounding.
            size = abs(self.difference.estimate)
            beyond = size > self.margin and not math.isclose(size, self.margin)
        else:
            above = self.difference.decision(self.margin) == "supported"
            beyond = above or self.difference.decision(-self.margin) == "refuted"
        return "refuted" if beyond else "inconclusive"


@checked
def equivalence(differences: npt.NDArray[np.float64], *, margin: float, level: float = 0.95) -> Equivalence:
    """Return whether the mean of paired differences lies within a margin, by two one-sided t tests [1]_.

    The null hypothesis is a mean difference of at least `margin` in size. Not finding a difference is no support.
    If all differences are equal, as when all networks fit all labels, their value decides: the p-value is 0 inside
    the margin and 1 elsewhere.

    Parameters
    ----------
    differences : ndarray of shape (n_replicates,)
        One finite difference for each pair of networks.
    margin : float
        Above 0; fixed before the data are seen.
    level : float
        In (0.5, 1). Each test has the level 1 - `level`, which is also the rate of false equivalence.

    Raises
    ------
    InputError
        If there is no difference or one is not finite, or `margin` or `level` is out of range.

    References
    ----------
    .. [1] D. J. Schuirmann, "A Comparison of the Two One-Sided Tests Procedure and the Power Approach for
       Assessing the Equivalence of Average Bioavailability", Journal of Pharmacokinetics and
       Biopharmaceutics 15, 1987.

    Examples
    --------
    >>> found = equivalence(np.array([0.001, -0.002, 0.0, 0.003, 0.001]), margin=0.01)
    >>> found.decision, round(found.p_value, 4)
    ('supported', 0.0002)
    """
    from scipy import stats

    check_number("margin", margin, above=0)
    check_number("level", level, above=0.5, below=1)
    differences = replicates("differences", differences)
    difference = paired_difference(differences, level=level)
    mean, error, n = difference.estimate, difference.standard_error, difference.n
    half = float(stats.t.ppf(level, n - 1)) * error if n > 1 else np.nan
    t_interval = Interval(mean, mean - half, mean + half, 2 * level - 1, n)
    if n < 2:
        p_value = np.nan
    elif error == 0:
        p_value = 0.0 if abs(mean) < margin and not math.isclose(abs(mean), margin) else 1.0
    else:
        p_value = float(stats.t.sf((margin - abs(mean)) / error, n - 1))
    return Equivalence(margin, difference, t_interval, p_value)


def _standard_error(differences: npt.NDArray[np.float64]) -> float:
    """Return the standard error of the mean: NaN for one replicate, 0 where only rounding differs."""
    if differences.size < 2:
        return np.nan
    if np.ptp(differences) <= _ROUNDING * np.abs(differences).max():
        return 0.0
    return float(differences.std(ddof=1) / np.sqrt(differences.size))


def _two_sided(estimate: float, null: float, standard_error: float, n: int) -> float:
    """Return the p-value of `null`: of the t test, or of the sign test where there is no spread."""
    from scipy import stats

    if n < 2:
        return np.nan
    if standard_error == 0:
        return 1.0 if math.isclose(estimate, null) else 2.0 ** (1 - n)
    return float(2 * stats.t.sf(abs(estimate - null) / standard_error, n - 1))
