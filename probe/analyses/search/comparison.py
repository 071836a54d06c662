"""Whether the network chosen is better than the video's, over networks of each."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from probe.analyses.search.results import SearchCandidate
from probe.stats import Decision, Interval, Verdict
from probe.stats.verdict import decide

__all__ = ["compared", "difference"]

Floats = npt.NDArray[np.float64]

_LEVEL = 0.95
_N_RESAMPLES = 9_999
"""As many as `probe.stats.bootstrap_interval` draws."""

_ROUNDING = 1e-10
"""Accuracies are quotients: those that differ by less differ by rounding."""


def compared(chosen: SearchCandidate, videos: SearchCandidate, n_images: int) -> Verdict:
    """Return whether `chosen` is right on more test images than `videos`, both trained on `n_images`."""
    described = f"{_described(chosen)} puts {chosen.test:.2%} of the test images in the right class"
    if chosen.label == videos.label:
        # A network is not better than itself, whatever the spread over its starts.
        apart = Interval(0.0, 0.0, 0.0, _LEVEL, len(chosen.test_accuracy))
        decision: Decision = "refuted"
        sentence = f"The search chose the video's network itself: {described}, at the rate chosen."
    else:
        apart, p_value = difference(chosen.test_accuracy, videos.test_accuracy)
        decision = decide(apart, p_value, null=0)
        sentence = (
            f"{described}, the video's {_described(videos)} {videos.test:.2%}: a difference of {apart:.2p;} points "
            f"({apart.n} networks of each, Welch's t test: {_probability(p_value)}). Both were trained for "
            f"{chosen.n_epochs} epochs on {n_images:,} images, each at the learning rate that was best on validation "
            "images; what more training would bring to either is not said."
        )
    return Verdict(
        key="better",
        title="The architecture chosen is better than the video's",
        decision=decision,
        statistic_name="difference of test accuracies",
        unit="share",
        interval=apart,
        null="on test images both are right equally often",
        sentence=sentence,
    )


def difference(one: Floats, other: Floats) -> tuple[Interval, float]:
    """Return the difference of the means of independent networks, and the p-value of none.

    Parameters
    ----------
    one, other : ndarray of shape (n_networks,)
        At least two finite values of each, as many of the one as of the other.

    Returns
    -------
    interval : Interval
        Of the mean of `one` less that of `other`; the ends by the bootstrap, each side drawn for itself, those of
        the percentiles.
    p_value : float in [0, 1]
        Of Welch's two-sided t test [1]_. Where neither side has any spread to measure by, that of the test by
        permutation, 2 n! n! / (2n)!.

    References
    ----------
    .. [1] B. L. Welch, "The Generalization of 'Student's' Problem when Several Different Population Variances are
       Involved", Biometrika 34, 1947.

    Examples
    --------
    >>> interval, p_value = difference(np.array([0.9, 0.92, 0.94]), np.array([0.8, 0.83, 0.83]))
    >>> round(interval.estimate, 3), interval.low > 0, round(p_value, 3)
    (0.1, True, 0.003)
    """
    from scipy import stats

    estimate, n = float(one.mean() - other.mean()), len(one)
    if max(np.ptp(one), np.ptp(other)) <= _ROUNDING:
        p_value = 1.0 if abs(estimate) <= _ROUNDING else 2 / math.comb(2 * n, n)
        return Interval(estimate, estimate, estimate, _LEVEL, n), p_value
    # From the moments: given the values, SciPy warns where one side has no spread, which the test does not mind.
    moments = [part for values in (one, other) for part in (values.mean(), values.std(ddof=1), n)]
    p_value = float(stats.ttest_ind_from_stats(*moments, equal_var=False).pvalue)
    rng = np.random.default_rng(0)
    drawn = (rng.choice(values, (_N_RESAMPLES, n)).mean(axis=1) for values in (one, other))
    low, high = np.quantile(next(drawn) - next(drawn), [(1 - _LEVEL) / 2, (1 + _LEVEL) / 2])
    return Interval(estimate, float(low), float(high), _LEVEL, n), p_value


def _described(candidate: SearchCandidate) -> str:
    return f"{candidate.label} (rate {candidate.learning_rate:g}, {candidate.n_parameters:,} parameters)"


def _probability(p_value: float) -> str:
    return "p < 0.0001" if p_value < 0.0001 else f"p = {p_value:.2g}"
