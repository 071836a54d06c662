"""How many times as many updates one condition takes as another, over paired networks."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from probe._checks import InputError, check_number
from probe._signatures import checked
from probe.stats.comparisons import paired_difference
from probe.stats.intervals import Interval, bootstrap_interval
from probe.stats.verdict import Decision, decide

__all__ = ["UpdatesRatio", "ratio_of_updates"]

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class UpdatesRatio:
    """How many times as many updates one condition took as another.

    Attributes
    ----------
    estimate : Interval
        The ratio with its bootstrap interval over networks; above 1 where the first condition is slower.
    p_value : float in [0, 1]
        Of the two-sided paired t test of equal times; NaN with one replicate.
    method : {"log-ratio", "restricted-mean"}
        "log-ratio": the geometric mean of the paired ratios, if every network finished. "restricted-mean": the ratio
        of the mean updates up to the limit, if some did not.
    n_censored : tuple of (int, int)
        Networks of each condition that did not finish within the limit.
    """

    estimate: Interval
    p_value: float
    method: Literal["log-ratio", "restricted-mean"]
    n_censored: tuple[int, int]

    @property
    def decision(self) -> Decision:
        """Whether the first condition takes more updates.

        "supported" if the t test rejects at 1 - ``estimate.level`` and the bootstrap interval lies above 1;
        "refuted" if the test rejects and the interval lies below 1; else "inconclusive", as it is with one
        replicate and where no network of either condition finished.
        """
        return decide(self.estimate, self.p_value, null=1.0)


@checked
def ratio_of_updates(
    slower: Floats, faster: Floats, *, limit: float, level: float = 0.95, seed: int = 0
) -> UpdatesRatio:
    """Return how many times as many updates `slower` took as `faster`, over paired networks.

    Where every network got done, this is the geometric mean of the paired ratios, and the paired t test is
    of their logarithms. Where some did not (right-censored), it is the ratio of the restricted mean times
    [1]_ [2]_, the means of min(updates, limit), and the test is of the paired differences of these. Such a
    ratio is one up to this limit: of a condition that would take far longer it says less than the truth.

    Parameters
    ----------
    slower, faster : ndarray of shape (n_replicates,), in (0, limit] or NaN
        Updates until a training accuracy was reached, NaN where it was not. Networks at one place are a
        pair. The names say what is claimed, not what was found.
    limit : float
        Updates that networks were trained for, above 0.
    level : float
        Confidence level in (0, 1).
    seed : int
        Of the bootstrap.

    Raises
    ------
    InputError
        If shapes differ or an entry is not in (0, limit], or `limit`, `level` or `seed` is out of range.

    References
    ----------
    .. [1] P. Royston, M. K. B. Parmar, "Restricted mean survival time: an alternative to the hazard ratio
       for the design and analysis of randomized trials with a time-to-event outcome", BMC Medical
       Research Methodology 13, 2013.
    .. [2] H. Uno et al., "Moving Beyond the Hazard Ratio in Quantifying the Between-Group Difference in
       Survival Analysis", Journal of Clinical Oncology 32, 2014.

    Examples
    --------
    >>> noise, true = np.array([800.0, 900.0, 700.0, 900.0]), np.array([200.0, 300.0, 200.0, 200.0])
    >>> found = ratio_of_updates(noise, true, limit=1000)
    >>> round(found.estimate.estimate, 2), found.method, found.decision
    (3.71, 'log-ratio', 'supported')
    >>> found = ratio_of_updates(np.array([800.0, np.nan, np.nan, 900.0]), true, limit=1000)
    >>> round(found.estimate.estimate, 2), found.method, found.n_censored
    (4.11, 'restricted-mean', (2, 0))
    """
    check_number("limit", limit, above=0)
    slower, faster = _times("slower", slower, limit), _times("faster", faster, limit)
    if slower.shape != faster.shape:
        raise InputError(
            "slower and faster must be paired, one entry of each for a replicate, got "
            f"{slower.size} and {faster.size}"
        )
    n_censored = (int(np.isnan(slower).sum()), int(np.isnan(faster).sum()))
    if any(n_censored):
        times = np.stack([slower, faster], axis=1)
        times[np.isnan(times)] = limit
        p_value = paired_difference(times[:, 0] - times[:, 1], level=level).p_value
        ratio = bootstrap_interval(times, statistic=_ratio_of_means, level=level, seed=seed)
        return UpdatesRatio(ratio, p_value, "restricted-mean", n_censored)
    logs = np.log(slower) - np.log(faster)
    p_value = paired_difference(logs, level=level).p_value
    mean = bootstrap_interval(logs, level=level, seed=seed)
    ratio = Interval(math.exp(mean.estimate), math.exp(mean.low), math.exp(mean.high), level, mean.n)
    return UpdatesRatio(ratio, p_value, "log-ratio", n_censored)


def _times(name: str, updates: Floats, limit: float) -> Floats:
    times = np.asarray(updates, dtype=np.float64)
    if times.ndim != 1 or times.size == 0:
        raise InputError(f"{name} must have shape (n_replicates,), got {times.shape}")
    wrong = times[~(np.isnan(times) | ((times > 0) & (times <= limit)))]
    if wrong.size:
        raise InputError(
            f"{name} must be updates above 0 and at most the limit of {limit:g}, or NaN where that was not "
            f"enough; got {wrong[0]:g}"
        )
    return times


def _ratio_of_means(slower: Floats, faster: Floats, axis: int) -> Floats:
    ratio: Floats = np.divide(slower.mean(axis), faster.mean(axis))
    return ratio
