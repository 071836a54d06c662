"""How well scores tell two kinds of samples apart: the area under the receiver operating characteristic (AUROC).

It is the probability that a sample of the first kind scores higher than one of the second, ties counted half.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from probe._checks import Array
from probe.stats.estimates import Estimate, count_estimate
from probe.stats.intervals import Interval

__all__ = ["auroc_estimate", "auroc_interval", "auroc_of_rank_sums", "aurocs", "paired_aurocs"]


def aurocs(ranks: Array, groups: npt.NDArray[np.bool_]) -> Array:
    """Return the AUROC of each score for each group of samples: whether members of the group score higher.

    Parameters
    ----------
    ranks : ndarray of shape (n_samples, n_scores)
        Ranks of the samples by each score, from 1; those that tie share the mean rank.
    groups : ndarray of shape (n_groups, n_samples), bool
        Each with members and others.

    Returns
    -------
    ndarray of shape (n_scores, n_groups), in [0, 1]

    Examples
    --------
    >>> aurocs(np.array([[1.0], [2.5], [2.5], [4.0]]), np.array([[False, True, False, True]]))
    array([[0.875]])
    """
    sums = ranks.T @ groups.T.astype(np.float64)
    return auroc_of_rank_sums(sums, groups.sum(axis=1), groups.shape[1])


def auroc_of_rank_sums(sums: Array, n_members: npt.NDArray[np.int64], n_samples: int) -> Array:
    """Return AUROCs from the sums (..., n_groups) of the ranks of the members of each group."""
    n_others = n_samples - n_members
    return np.asarray((sums - n_members * (n_members + 1) / 2) / (n_members * n_others))


def paired_aurocs(positive: Array, negative: Array) -> Array:
    """Return for each network the AUROC of its scores.

    Parameters
    ----------
    positive : ndarray of shape (n_networks, n_positive)
        Scores of samples that should score higher, in rising order for each network.
    negative : ndarray of shape (n_networks, n_negative)
        Scores of the others, in any order.

    Returns
    -------
    ndarray of shape (n_networks,), in [0, 1]

    Examples
    --------
    >>> paired_aurocs(np.array([[1.0, 1.0, 2.0]]), np.array([[1.0, 0.0]]))
    array([0.83333333])
    """
    return np.array([_wins(one, other).mean() for one, other in zip(positive, negative, strict=True)])


def auroc_interval(positive: Array, negative: Array, *, level: float = 0.95) -> Interval:
    """Return the AUROC with DeLong's interval [1]_ over samples, on the scale of log-odds, so that it stays in [0, 1].

    Parameters
    ----------
    positive, negative : ndarray of shape (n_positive,) and (n_negative,)
        Scores.
    level : float
        Confidence level in (0, 1).

    Returns
    -------
    Interval
        Its `n` counts the samples of both kinds. The ends are NaN where the variance is zero, as it is where all samples
        are told apart, or not known, as of a single sample.

    References
    ----------
    .. [1] E. DeLong, D. DeLong, D. Clarke-Pearson, "Comparing the Areas under Two or More Correlated Receiver Operating
       Characteristic Curves: A Nonparametric Approach", Biometrics 44, 1988.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> found = auroc_interval(rng.normal(1, 1, 400), rng.normal(0, 1, 400))
    >>> round(found.estimate, 2), round(found.low, 2), round(found.high, 2)
    (0.75, 0.72, 0.79)
    """
    from scipy.special import expit, logit
    from scipy.stats import norm

    of_negative = _wins(np.sort(positive), negative)
    of_positive = 1 - _wins(np.sort(negative), positive)
    estimate, n = float(of_negative.mean()), len(positive) + len(negative)
    unknown = Interval(estimate, np.nan, np.nan, level, n)
    if min(len(positive), len(negative)) < 2:
        return unknown
    variance = of_positive.var(ddof=1) / len(positive) + of_negative.var(ddof=1) / len(negative)
    if variance == 0:
        return unknown
    half = norm.ppf((1 + level) / 2) * np.sqrt(variance) / (estimate * (1 - estimate))
    low, high = expit(logit(estimate) + np.array([-half, half]))
    return Interval(estimate, float(low), float(high), level, n)


def auroc_estimate(positive: Array, negative: Array, *, level: float = 0.95) -> Estimate:
    """Return the AUROC over samples: the interval of `auroc_interval`, and the test that agrees with it.

    Where all samples are told apart, DeLong's variance is zero. The interval is then the exact one of as many pairs as there
    are samples of the rarer kind, all of which are told apart.

    Examples
    --------
    >>> found = auroc_estimate(np.arange(20.0), np.arange(20.0) - 30)
    >>> found.decision(0.5), round(found.interval.low, 2), found.method
    ('supported', 0.83, 'exact')
    """
    from scipy.special import logit
    from scipy.stats import norm

    interval = auroc_interval(positive, negative, level=level)
    fewest = min(len(positive), len(negative))
    if interval.estimate in (0, 1) and fewest > 1:
        return count_estimate(round(interval.estimate * fewest), fewest, level=level)
    if np.isnan(interval.low):
        return Estimate(interval, "none", lambda null: (1.0, 1.0))
    error = (logit(interval.high) - logit(interval.low)) / (2 * norm.ppf((1 + level) / 2))

    def tails(null: float) -> tuple[float, float]:
        off = (logit(interval.estimate) - logit(null)) / error
        return float(norm.sf(off)), float(norm.cdf(off))

    return Estimate(interval, "DeLong", tails)


def _wins(ordered: Array, others: Array) -> Array:
    """Return for each of `others`, in rising order, the share of `ordered` that is higher, ties counted half."""
    asked = np.sort(others)
    below = np.searchsorted(ordered, asked)
    not_above = below.copy()
    tied = ordered[np.minimum(below, len(ordered) - 1)] == asked
    not_above[tied] = np.searchsorted(ordered, asked[tied], side="right")
    return np.asarray(1 - (below + not_above) / (2 * len(ordered)))
