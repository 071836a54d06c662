"""How well scores tell two kinds of samples apart: the area under the receiver operating characteristic (AUROC).

It is the probability that a sample of the first kind scores higher than one of the second, ties counted half. Within
strata, such as classes, it is that of two samples of the same stratum: of all pairs of a sample of each kind in one
stratum, the share in which the first is higher. A stratum with m samples of one kind and k of the other so has the weight
m k, and one of a single kind has none.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from probe._checks import Array
from probe.stats.estimates import Estimate, count_estimate, normal_estimate
from probe.stats.intervals import Interval

__all__ = [
    "StratifiedAurocs",
    "auroc_estimate",
    "auroc_interval",
    "auroc_of_rank_sums",
    "aurocs",
    "aurocs_within",
    "paired_aurocs",
    "pairs_within",
    "ranks_within",
    "stratified_aurocs",
]


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


def ranks_within(values: Array, strata: npt.NDArray[np.int64]) -> Array:
    """Return the rank of each sample in its stratum by each score (n_samples, n_scores), from 1; ties share the mean."""
    from scipy.stats import rankdata

    ranks = np.empty(values.shape)
    for stratum in np.unique(strata):
        there = strata == stratum
        ranks[there] = rankdata(values[there], axis=0)
    return ranks


def pairs_within(groups: npt.NDArray[np.bool_], strata: npt.NDArray[np.int64]) -> tuple[Array, Array]:
    """Return how many members of each group (n_groups, n_samples), and others, each stratum has: (n_groups, n_strata)."""
    strata = np.unique(strata, return_inverse=True)[1]
    n_members = np.stack([np.bincount(strata, group, strata.max() + 1) for group in groups])
    return n_members.astype(np.float64), (np.bincount(strata) - n_members).astype(np.float64)


def aurocs_within(ranks: Array, groups: npt.NDArray[np.bool_], strata: npt.NDArray[np.int64]) -> Array:
    """Return the AUROC within strata of each score for each group.

    Parameters
    ----------
    ranks : ndarray of shape (n_samples, n_scores)
        Of `ranks_within`.
    groups : ndarray of shape (n_groups, n_samples), bool
        Each with members and others in one stratum at least.
    strata : ndarray of shape (n_samples,), int64
        The stratum of each sample.

    Returns
    -------
    ndarray of shape (n_scores, n_groups), in [0, 1]

    Examples
    --------
    >>> strata = np.array([0, 0, 1, 1, 1])
    >>> ranks = ranks_within(np.array([[1.0], [2.0], [30.0], [20.0], [10.0]]), strata)
    >>> aurocs_within(ranks, np.array([[False, True, True, False, False]]), strata)
    array([[1.]])
    """
    n_members, n_others = pairs_within(groups, strata)
    least = (n_members * (n_members + 1) / 2).sum(axis=1)
    sums = ranks.T @ groups.T.astype(np.float64)
    return np.asarray((sums - least) / (n_members * n_others).sum(axis=1))


@dataclass(frozen=True, slots=True, eq=False)
class StratifiedAurocs:
    """AUROCs within strata, and what each sample adds to their errors.

    Attributes
    ----------
    values : ndarray of shape (n_scores,), in [0, 1]
        The AUROC of each score.
    influences : ndarray of shape (n_samples, n_scores)
        Their sum of squares over the samples is the variance of the AUROC by DeLong; that of a weighted sum of columns is
        the variance of that sum of AUROCs.
    n_effective : float
        Of no score is the variance above v (1 - v) / n_effective.
    """

    values: Array
    influences: Array
    n_effective: float

    def standard_error(self, influence: Array) -> float:
        """Return the standard error of a weighted sum of AUROCs from the same sum of influences (n_samples,).

        Where it is zero, as where all pairs are in order, it is that of one error more.
        """
        error = float(np.sqrt(np.square(influence).sum()))
        return error if error > 0 else 1 / (self.n_effective + 2)


def stratified_aurocs(
    scores: Array, members: npt.NDArray[np.bool_], strata: npt.NDArray[np.int64]
) -> StratifiedAurocs:
    """Return AUROCs within strata with their errors over samples, by DeLong's placements [1]_ in each stratum.

    Parameters
    ----------
    scores : ndarray of shape (n_samples, n_scores)
        Only those of the same stratum are compared.
    members : ndarray of shape (n_scores, n_samples), bool
        Which samples each score should tell. Where no stratum has members and others, the AUROC is 0.5.
    strata : ndarray of shape (n_samples,), int64
        The stratum of each sample.

    References
    ----------
    .. [1] E. DeLong, D. DeLong, D. Clarke-Pearson, "Comparing the Areas under Two or More Correlated Receiver Operating
       Characteristic Curves: A Nonparametric Approach", Biometrics 44, 1988.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> members, strata = rng.random(400) < 0.5, rng.integers(4, size=400)
    >>> found = stratified_aurocs((members + 10 * strata + rng.normal(size=400))[:, None], members[None], strata)
    >>> found.values.round(2), round(found.standard_error(found.influences[:, 0]), 3)
    (array([0.77]), 0.024)
    """
    strata = np.unique(strata, return_inverse=True)[1]
    values, influences, n_effective = np.empty(scores.shape[1]), np.empty(scores.shape), np.inf
    for k, (score, members_of) in enumerate(zip(scores.T, members, strict=True)):
        n_members, n_others = (each[0] for each in pairs_within(members_of[None], strata))
        weights = n_members * n_others / max(1, (n_members * n_others).sum())
        placed = _placements(score, members_of, strata)
        values[k], influences[:, k] = _summed(placed, members_of, strata, weights)
        both = weights > 0
        if not both.any():
            values[k], influences[:, k] = 0.5, 0.0
            continue
        fewest = np.minimum(n_members, n_others)[both]
        n_effective = min(n_effective, 1 / float((weights[both] ** 2 / fewest).sum()))
    return StratifiedAurocs(values, influences, n_effective)


def _placements(score: Array, members: npt.NDArray[np.bool_], strata: npt.NDArray[np.int64]) -> Array:
    """Return for each sample how many of the other kind in its stratum lie below it, ties counted half: (n_samples,)."""
    order = np.lexsort((score, strata))
    ordered, of, kind = score[order], strata[order], members[order]
    first = np.append(True, (np.diff(of) != 0) | (np.diff(ordered) != 0))
    tie = np.cumsum(first) - 1
    starts = np.flatnonzero(first)
    placed = np.empty(len(score))
    for asked in (True, False):
        counted = np.append(0, np.cumsum(kind != asked))
        ends = np.append(starts[1:], len(score))
        below = (counted[starts] + counted[ends])[tie] / 2
        before = counted[np.searchsorted(of, np.arange(of[-1] + 1))]
        there = kind == asked
        placed[order[there]] = (below - before[of])[there]
    return placed


def _summed(
    placed: Array, members: npt.NDArray[np.bool_], strata: npt.NDArray[np.int64], weights: Array
) -> tuple[float, Array]:
    """Return the weighted sum of the strata's AUROCs, and what each sample adds to its error."""
    influences, value = np.empty(len(placed)), 0.0
    n_kinds = [np.bincount(strata[kind], minlength=len(weights)) for kind in (members, ~members)]
    for kind, n, n_other, sign in zip((members, ~members), n_kinds, n_kinds[::-1], (1, -1), strict=True):
        of, shares = strata[kind], placed[kind] / np.maximum(n_other, 1)[strata[kind]]
        means = np.bincount(of, shares, len(weights)) / np.maximum(n, 1)
        scale = weights / np.sqrt(np.maximum(n, 1) * np.maximum(n - 1, 1))
        influences[kind] = sign * scale[of] * (shares - means[of])
        value = float((weights * means).sum()) if sign > 0 else value
    return value, influences


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
    value = interval.estimate
    on_logits = (logit(interval.high) - logit(interval.low)) / (2 * norm.ppf((1 + level) / 2))
    error = float(on_logits * value * (1 - value))
    return normal_estimate(value, error, n=interval.n, scale="share", level=level)


def _wins(ordered: Array, others: Array) -> Array:
    """Return for each of `others`, in rising order, the share of `ordered` that is higher, ties counted half."""
    asked = np.sort(others)
    below = np.searchsorted(ordered, asked)
    not_above = below.copy()
    tied = ordered[np.minimum(below, len(ordered) - 1)] == asked
    not_above[tied] = np.searchsorted(ordered, asked[tied], side="right")
    return np.asarray(1 - (below + not_above) / (2 * len(ordered)))
