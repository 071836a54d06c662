"""One number over replicates, with an interval that covers and a test that agrees with it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from probe._checks import InputError, check_choice, check_integer, check_number
from probe._signatures import checked
from probe.stats.intervals import Interval, replicates

__all__ = [
    "FEWEST",
    "Decision",
    "Estimate",
    "Method",
    "Scale",
    "count_estimate",
    "mean_estimate",
    "normal_estimate",
]

FEWEST = 6
"""Replicates from which a mean can decide: six equal ones are the fewest that a sign test at 95% rejects with."""

_N_RESAMPLES = 9_999

_MANY = 40
"""Replicates from which the mean of shares is left to the bootstrap: fewer may miss a heap of rare large ones."""

_ROUNDING = 1e-10
"""Values that differ by less, relative to the largest, differ by rounding."""

Decision = Literal["supported", "refuted", "inconclusive"]
"""What the data say of a claim; "inconclusive" means that they allow both answers."""

Scale = Literal["difference", "ratio", "share"]
Method = Literal["studentized bootstrap", "t", "bounded", "sign test", "exact", "normal", "none"]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Estimate:
    """A number over replicates.

    Attributes
    ----------
    interval : Interval
        The number with its confidence interval; the ends are NaN where the data give none.
    method : {"studentized bootstrap", "t", "bounded", "sign test", "exact", "normal", "none"}
        What interval and test are made by; "none" where there is nothing to make them of.
    has_power : bool
        Whether an effect of the size asked about would have been found. Where not, finding little says little: it refutes
        no claim, and supports none that claims less.
    """

    interval: Interval
    method: Method
    _tails: Callable[[float], tuple[float, float]] = field(repr=False)
    has_power: bool = True

    def __format__(self, spec: str) -> str:
        """Return the number with its interval, as `Interval` formats it."""
        return format(self.interval, spec)

    def p_value(self, null: float) -> float:
        """Return the two-sided p-value of `null`, twice the smaller tail; NaN where nothing can be tested."""
        return float(np.minimum(1.0, 2 * min(self._tails(null))))

    def one_sided(self, null: float) -> tuple[float, float]:
        """Return the p-values of "not above `null`" and of "not below `null`"."""
        return self._tails(null)

    def decision(self, null: float) -> Decision:
        """Return whether the number lies above `null`: "supported", below it: "refuted", or neither can be said.

        A number decides where the test rejects at 1 - ``interval.level``, which is where the interval leaves `null` out.
        Means over fewer than six replicates decide nothing.
        """
        too_few = self.method != "exact" and self.interval.n < FEWEST
        if too_few or not self.p_value(null) < 1 - self.interval.level:
            return "inconclusive"
        above, below = self._tails(null)
        return "supported" if above < below else "refuted"


@checked
def mean_estimate(
    values: npt.NDArray[np.float64], *, scale: Scale = "difference", level: float = 0.95, seed: int = 0
) -> Estimate:
    """Return the mean of independent replicates, with an interval by a method that covers.

    The studentized bootstrap [1]_ resamples the ratio of the mean to its standard error, and so follows skewness that
    Student's t does not know. Shares of fewer than 40 replicates, or with few different values, may hide what none of
    these replicates shows: they get the interval of a count whose hits are the sum of the shares, which is at least as
    wide as needed for any distribution on [0, 1] that has that mean. Where all replicates are equal there is no
    interval, and a sign test decides. Fewer than six replicates get Student's t interval and decide nothing.
    `scripts/coverage.py` measures all of this.

    Parameters
    ----------
    values : ndarray of shape (n_replicates,)
        One finite value for each replicate.
    scale : {"difference", "ratio", "share"}
        "ratio": values above 0, whose geometric mean is estimated, on the scale of logarithms. "share": values in [0, 1].
    level : float
        Confidence level in (0, 1).
    seed : int
        Of the resamples.

    Raises
    ------
    InputError
        If a value is missing, not finite, or outside the range of `scale`; or `level` or `seed` is out of range.

    References
    ----------
    .. [1] B. Efron, R. J. Tibshirani, "An Introduction to the Bootstrap", 1993, section 12.5.

    Examples
    --------
    >>> found = mean_estimate(np.array([1.0, 2.0, 3.0, 2.0, 2.5, 1.5, 2.2]))
    >>> found.method, found.decision(0.0), found.decision(2.0)
    ('studentized bootstrap', 'supported', 'inconclusive')
    >>> nothing = mean_estimate(np.zeros(12), scale="share")
    >>> f"{nothing:.0%}", nothing.method
    ('0% (0% to 26%, 12 networks)', 'bounded')
    """
    check_number("level", level, above=0, below=1)
    check_integer("seed", seed, minimum=0)
    check_choice("scale", scale, get_args(Scale))
    values = replicates("values", values)
    if scale == "share":
        if values.min() < 0 or values.max() > 1:
            raise InputError(f"shares must lie in [0, 1], got {values.min():g} to {values.max():g}")
        if values.size < _MANY or len(np.unique(values)) < values.size / 2:
            return _of_hits(float(values.sum()), values.size, level, "bounded")
    if scale == "ratio":
        if values.min() <= 0:
            raise InputError(f"ratios must be above 0, got {values.min():g}")
        return _on_logarithms(mean_estimate(np.log(values), level=level, seed=seed))
    mean, n = float(values.mean()), values.size
    if np.ptp(values) <= _ROUNDING * np.abs(values).max():
        return _of_equal(mean, n, level)
    if n < FEWEST:
        return _of_normal(values, level)
    return _studentized(values, level, seed, bounded=scale == "share")


@checked
def count_estimate(n_hits: int, n: int, *, level: float = 0.95) -> Estimate:
    """Return a share of independent replicates with the exact interval of Clopper and Pearson [1]_.

    Parameters
    ----------
    n_hits : int
        Replicates that have a property, at most `n`.
    n : int
        All replicates, at least 1.
    level : float
        Confidence level in (0, 1).

    Raises
    ------
    InputError
        If a number is out of range.

    References
    ----------
    .. [1] C. J. Clopper, E. S. Pearson, "The Use of Confidence or Fiducial Limits Illustrated in the Case of the
       Binomial", Biometrika 26, 1934.

    Examples
    --------
    >>> f"{count_estimate(17, 20):.0%}", count_estimate(17, 20).decision(0.5)
    ('85% (62% to 97%, 20 networks)', 'supported')
    """
    check_integer("n", n, minimum=1)
    check_integer("n_hits", n_hits, minimum=0, maximum=n)
    check_number("level", level, above=0, below=1)
    return _of_hits(float(n_hits), n, level, "exact")


@checked
def normal_estimate(
    value: float,
    standard_error: float,
    *,
    n: int,
    scale: Literal["difference", "share"] = "difference",
    level: float = 0.95,
) -> Estimate:
    """Return a number that is about normal over many replicates, from its standard error.

    Parameters
    ----------
    value : float
        The number, such as an AUROC.
    standard_error : float
        Of `value` itself on both scales, above 0.
    n : int
        Replicates that it is of, at least 1.
    scale : {"difference", "share"}
        "share": `value` lies in (0, 1), and its log-odds are about normal. Both ends of the interval are in (0, 1) then.
    level : float
        Confidence level in (0, 1).

    Raises
    ------
    InputError
        If a number is out of range.

    Examples
    --------
    >>> found = normal_estimate(0.9, 0.04, n=200, scale="share")
    >>> f"{found:.2f;images}", found.decision(0.7)
    ('0.90 (0.79 to 0.96, 200 images)', 'supported')
    """
    from scipy import stats
    from scipy.special import expit, logit

    check_integer("n", n, minimum=1)
    check_number("level", level, above=0, below=1)
    check_number("standard_error", standard_error, above=0)
    check_number("value", value)
    check_choice("scale", scale, ("difference", "share"))
    if scale == "share":
        check_number("value", value, above=0, below=1)
    logits = scale == "share"
    center = float(logit(value)) if logits else value
    error = standard_error / (value * (1 - value)) if logits else standard_error
    half = float(stats.norm.ppf(0.5 + level / 2)) * error
    low, high = center - half, center + half
    if logits:
        low, high = float(expit(low)), float(expit(high))

    def tails(null: float) -> tuple[float, float]:
        pivot = (center - (float(logit(null)) if logits else null)) / error
        return float(stats.norm.sf(pivot)), float(stats.norm.cdf(pivot))

    return Estimate(Interval(value, low, high, level, n), "normal", tails)


def _of_hits(hits: float, n: int, level: float, method: Method) -> Estimate:
    """Return the share of hits among `n`; hits of a sum of shares need not be whole."""
    from scipy import stats

    rest, outside = n - hits, (1 - level) / 2
    # Sums of shares that miss a whole number by rounding only.
    none, all_hit = math.isclose(hits, 0, abs_tol=1e-9), math.isclose(rest, 0, abs_tol=1e-9)
    low = 0.0 if none else float(stats.beta.ppf(outside, hits, rest + 1))
    high = 1.0 if all_hit else float(stats.beta.ppf(1 - outside, hits + 1, rest))

    def tails(null: float) -> tuple[float, float]:
        above = 1.0 if none else float(stats.beta.cdf(null, hits, rest + 1))
        below = 1.0 if all_hit else float(stats.beta.sf(null, hits + 1, rest))
        return above, below

    return Estimate(Interval(hits / n, low, high, level, n), method, tails)


def _of_equal(mean: float, n: int, level: float) -> Estimate:
    def tails(null: float) -> tuple[float, float]:
        if math.isclose(mean, null, abs_tol=1e-300):
            return 1.0, 1.0
        return (0.5**n, 1.0) if mean > null else (1.0, 0.5**n)

    return Estimate(Interval(mean, np.nan, np.nan, level, n), "sign test", tails)


def _of_normal(values: Floats, level: float) -> Estimate:
    from scipy import stats

    mean, n = float(values.mean()), values.size
    error = float(stats.sem(values))
    half = float(stats.t.ppf(0.5 + level / 2, n - 1)) * error

    def tails(null: float) -> tuple[float, float]:
        pivot = (mean - null) / error
        return float(stats.t.sf(pivot, n - 1)), float(stats.t.cdf(pivot, n - 1))

    return Estimate(Interval(mean, mean - half, mean + half, level, n), "t", tails)


def _on_logarithms(found: Estimate) -> Estimate:
    logs = found.interval
    estimate, low, high = (float(np.exp(end)) for end in (logs.estimate, logs.low, logs.high))

    def tails(null: float) -> tuple[float, float]:
        if null <= 0:
            raise InputError(f"the null of a ratio must be above 0, got {null:g}")
        return found.one_sided(math.log(null))

    return Estimate(Interval(estimate, low, high, logs.level, logs.n), found.method, tails)


def _studentized(values: Floats, level: float, seed: int, *, bounded: bool) -> Estimate:
    mean, n = float(values.mean()), values.size
    error = float(values.std(ddof=1)) / math.sqrt(n)
    drawn = values[np.random.default_rng(seed).integers(n, size=(_N_RESAMPLES, n))]
    off, errors = drawn.mean(axis=1) - mean, drawn.std(axis=1, ddof=1) / math.sqrt(n)
    # A resample of one value over and over says that the mean is certain to be off, which is as far as can be.
    with np.errstate(divide="ignore", invalid="ignore"):
        pivots = np.sort(np.where(errors > _ROUNDING * error, off / errors, np.copysign(np.inf, off)))
    # The quantiles that are pivots themselves: (1 + 9,999) shares of 2.5%.
    rank = max(1, math.floor((1 - level) / 2 * (_N_RESAMPLES + 1)))
    low, high = mean - pivots[-rank] * error, mean - pivots[rank - 1] * error
    if bounded:
        low, high = max(0.0, low), min(1.0, high)

    def tails(null: float) -> tuple[float, float]:
        pivot = (mean - null) / error
        as_high = 1 + (pivots >= pivot).sum()
        as_low = 1 + (pivots <= pivot).sum()
        return float(as_high / (_N_RESAMPLES + 1)), float(as_low / (_N_RESAMPLES + 1))

    return Estimate(Interval(mean, float(low), float(high), level, n), "studentized bootstrap", tails)
