"""Intervals over replicates. The replicate is the network, never the image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from probe._checks import InputError, check_number

__all__ = ["Interval", "mean_interval"]


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate with a confidence interval.

    Attributes
    ----------
    estimate, low, high : float
        The estimate and the ends of its interval; the ends are NaN where there is one replicate.
    level : float
        Confidence level in (0, 1).
    n : int
        Replicates.
    """

    estimate: float
    low: float
    high: float
    level: float
    n: int


def mean_interval(values: npt.NDArray[np.float64], *, level: float = 0.95) -> Interval:
    """Return the mean of `values` with Student's t interval.

    Parameters
    ----------
    values : ndarray of shape (n_replicates,)
        One finite value for each replicate, taken to be independent and about normal.
    level : float
        Confidence level in (0, 1).

    Raises
    ------
    InputError
        If there is no value or one is not finite.

    Examples
    --------
    >>> interval = mean_interval(np.array([1.0, 2.0, 3.0]))
    >>> round(interval.low, 2), interval.estimate, round(interval.high, 2)
    (-0.48, 2.0, 4.48)
    """
    from scipy import stats

    check_number("level", level, above=0, below=1)
    values = np.asarray(values, dtype=np.float64)
    if values.ndim != 1 or values.size == 0 or not np.isfinite(values).all():
        raise InputError(f"values must be one finite number for each replicate, got {values!r}")
    mean = float(values.mean())
    if values.size == 1:
        return Interval(mean, np.nan, np.nan, level, 1)
    half = float(stats.t.ppf(0.5 + level / 2, values.size - 1) * stats.sem(values))
    return Interval(mean, mean - half, mean + half, level, values.size)
