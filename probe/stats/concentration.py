"""How a quantity is distributed: how unequally, and around what."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from probe._checks import InputError, check_finite, check_integer
from probe._signatures import checked

__all__ = ["finite_median", "gini"]


@checked
def gini(values: npt.NDArray[np.float64], axis: int = -1) -> npt.NDArray[np.float64]:
    """Return the Gini coefficient: half the mean absolute difference of two values, relative to the mean.

    It is 0 if all values are equal, and 1 - 1/n if one of n values holds everything.

    Parameters
    ----------
    values : ndarray of shape (..., n_values), at least 0
        Such as the loss-sensitivity of every example.
    axis : int
        Along which values are compared.

    Returns
    -------
    ndarray of the shape of `values` without `axis`, in [0, 1)
        A NumPy scalar for one axis; NaN where all values are 0.

    Raises
    ------
    InputError
        If there is no value, one is negative or not finite, or there is no such axis.

    References
    ----------
    .. [1] C. Gini, "Variabilità e mutabilità", 1912.

    Examples
    --------
    >>> gini(np.array([[1.0, 1.0, 1.0, 1.0], [0.0, 0.0, 0.0, 5.0]]))
    array([0.  , 0.75])
    """
    values = np.asarray(values, dtype=np.float64)
    if values.size == 0:
        raise InputError(f"values must hold at least one value along each axis, got shape {values.shape}")
    if values.ndim == 0:
        raise InputError("values must have at least one axis, got a single number")
    check_integer("axis", axis, minimum=-values.ndim, maximum=values.ndim - 1)
    check_finite("values", values)
    if values.min() < 0:
        raise InputError(f"values must be at least 0, got {values.min():g}")
    ordered = np.sort(np.moveaxis(values, axis, -1), axis=-1)
    n, largest = ordered.shape[-1], ordered[..., -1:]
    # Relative to the largest no sum overflows; as differences of opposite ranks no term is below zero.
    shares = np.divide(ordered, largest, out=np.full_like(ordered, np.nan), where=largest > 0)
    ranks = 2 * np.arange(1, n + 1) - n - 1
    apart = (ranks * (shares - shares[..., ::-1])).sum(axis=-1) / 2
    found: npt.NDArray[np.float64] = apart / (n * shares.sum(axis=-1))
    return found


def finite_median(values: npt.NDArray[np.float64]) -> float:
    """Return the median of the values that are finite; NaN where none is.

    Examples
    --------
    >>> finite_median(np.array([1.0, np.nan, 3.0])), finite_median(np.array([np.nan]))
    (2.0, nan)
    """
    known = values[np.isfinite(values)]
    return float(np.median(known)) if known.size else float("nan")
