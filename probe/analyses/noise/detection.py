"""How well a score tells images of one kind from another: the area under the ROC curve, and its interval."""

from __future__ import annotations

import numpy as np

from probe._checks import Array
from probe.stats import Interval

__all__ = ["auroc_over_images", "aurocs"]


def aurocs(real: Array, noise: Array) -> Array:
    """Return for each network the probability that a real image scores higher, ties counted half.

    Parameters
    ----------
    real : ndarray of shape (n_networks, n_real)
        Scores of real images, the positive class, in rising order for each network.
    noise : ndarray of shape (n_networks, n_noise)
        Scores of other images, in any order.

    Returns
    -------
    ndarray of shape (n_networks,), in [0, 1]

    Examples
    --------
    >>> aurocs(np.array([[1.0, 1.0, 2.0]]), np.array([[1.0, 0.0]]))
    array([0.83333333])
    """
    return np.array([_wins(one, other).mean() for one, other in zip(real, noise, strict=True)])


def auroc_over_images(real: Array, noise: Array, *, level: float = 0.95) -> Interval:
    """Return the AUROC of one network with DeLong's interval, which speaks of other images and not of other networks.

    The interval is taken on the scale of log-odds, so that its ends stay in [0, 1].

    Parameters
    ----------
    real, noise : ndarray of shape (n_real,) and (n_noise,)
        Scores; real images are the positive class.
    level : float
        Confidence level in (0, 1).

    Returns
    -------
    Interval
        Its `n` counts the images of both kinds. The ends are NaN where the variance is zero, as it is where every image
        is told apart, or not known, as of a single image.

    References
    ----------
    .. [1] E. DeLong, D. DeLong, D. Clarke-Pearson, "Comparing the Areas under Two or More Correlated Receiver Operating
       Characteristic Curves: A Nonparametric Approach", Biometrics 44, 1988.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> found = auroc_over_images(rng.normal(1, 1, 400), rng.normal(0, 1, 400))
    >>> round(found.estimate, 2), round(found.low, 2), round(found.high, 2)
    (0.75, 0.72, 0.79)
    """
    from scipy.special import expit, logit
    from scipy.stats import norm

    of_noise = _wins(np.sort(real), noise)
    of_real = 1 - _wins(np.sort(noise), real)
    estimate, n = float(of_noise.mean()), len(real) + len(noise)
    none = Interval(estimate, np.nan, np.nan, level, n)
    if min(len(real), len(noise)) < 2:
        return none
    variance = of_real.var(ddof=1) / len(real) + of_noise.var(ddof=1) / len(noise)
    if variance == 0:
        return none
    half = norm.ppf((1 + level) / 2) * np.sqrt(variance) / (estimate * (1 - estimate))
    low, high = expit(logit(estimate) + np.array([-half, half]))
    return Interval(estimate, float(low), float(high), level, n)


def _wins(ordered: Array, others: Array) -> Array:
    """Return for each of `others`, in rising order, the share of `ordered` that is higher, ties counted half."""
    asked = np.sort(others)
    below = np.searchsorted(ordered, asked)
    not_above = below.copy()
    tied = ordered[np.minimum(below, len(ordered) - 1)] == asked
    not_above[tied] = np.searchsorted(ordered, asked[tied], side="right")
    return np.asarray(1 - (below + not_above) / (2 * len(ordered)))
