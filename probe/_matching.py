"""Units matched by what they do: correlations over images, the assignment that goes best with them, and symmetries."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from probe.layers import Activation

__all__ = ["HOMOGENEOUS", "Correlations", "Pairs", "best_pairs", "mirror"]

Floats = npt.NDArray[np.float64]

HOMOGENEOUS = frozenset({"relu", "leaky_relu", "linear"})
"""Activations f with f(c z) = c f(z) for every c > 0."""

_STILL = 1e-9
"""Units whose deviation over the images is smaller are the same on all of them: they correlate with nothing."""


class Correlations:
    """Correlations of units over samples, summed up block by block: of no more than a block there are activations.

    Examples
    --------
    >>> sums, rows = Correlations(), np.array([[1.0, 2.0, 4.0], [3.0, 1.0, 1.0]])
    >>> for block in (rows[:, :2], rows[:, 2:]):
    ...     sums.add(block, -block)
    >>> bool(np.allclose(sums.values(), -np.corrcoef(rows)))
    True
    """

    def __init__(self) -> None:
        self._n = 0
        self._centers: tuple[Floats, Floats] | None = None
        self._sums = self._squares = (np.zeros(0), np.zeros(0))
        self._products = np.zeros(0)

    def add(self, first: npt.NDArray[np.floating], second: npt.NDArray[np.floating]) -> None:
        """Add a block: activations of shape (n_units, n_samples), and (..., n_units, n_samples) of others."""
        both = first.astype(np.float64), second.astype(np.float64)
        if self._centers is None:
            # Close to the mean, so that nothing is lost in the difference of squares.
            self._centers = tuple(values.mean(axis=-1, keepdims=True) for values in both)
            self._sums = self._squares = tuple(np.zeros(values.shape[:-1]) for values in both)  # type: ignore[assignment]
            self._products = np.zeros((*second.shape[:-2], len(first), second.shape[-2]))
        assert self._centers is not None
        left, right = (values - center for values, center in zip(both, self._centers, strict=True))
        self._n += first.shape[-1]
        self._sums = self._sums[0] + left.sum(axis=-1), self._sums[1] + right.sum(axis=-1)
        self._squares = (
            self._squares[0] + (left * left).sum(axis=-1),
            self._squares[1] + (right * right).sum(axis=-1),
        )
        self._products = self._products + np.matmul(left, np.swapaxes(right, -1, -2))

    def values(self) -> Floats:
        """Return the correlations, (..., n_units, n_units); zero for units that are the same on all samples."""
        means = [total / self._n for total in self._sums]
        deviations = [
            np.sqrt((square / self._n - mean**2).clip(0))
            for square, mean in zip(self._squares, means, strict=True)
        ]
        covariance = self._products / self._n - means[0][:, None] * means[1][..., None, :]
        scale = deviations[0][:, None] * deviations[1][..., None, :]
        known = (deviations[0] > _STILL)[:, None] & (deviations[1] > _STILL)[..., None, :]
        found: Floats = np.divide(covariance, scale, out=np.zeros_like(covariance), where=known)
        return found


class Pairs(NamedTuple):
    """Which units belong together: `first[k]` and `second[k]`, with `signs[k]` 1, or -1 if one is the other upside down."""

    first: npt.NDArray[np.intp]
    second: npt.NDArray[np.intp]
    signs: Floats


def best_pairs(
    correlations: Floats, *, signed: bool, gain: Callable[[Floats], Floats] = lambda likeness: likeness
) -> Pairs:
    """Return the pairs with the largest sum of gains, by the Hungarian method; as many as the smaller side has units.

    Parameters
    ----------
    correlations : ndarray of shape (n_first, n_second)
        Of units of one layer with those of another.
    signed : bool
        Whether the sign of a unit is a symmetry: units that are each other's negative are alike then.
    gain : callable
        What a pair is worth by its correlation, or by the absolute value of it if `signed`.

    Examples
    --------
    >>> best_pairs(np.array([[0.1, -0.9], [0.8, 0.2]]), signed=True)
    Pairs(first=array([0, 1]), second=array([1, 0]), signs=array([-1.,  1.]))
    """
    from scipy.optimize import linear_sum_assignment

    first, second = linear_sum_assignment(
        gain(np.abs(correlations) if signed else correlations), maximize=True
    )
    is_turned = signed & (correlations[first, second] < 0)
    return Pairs(first, second, np.where(is_turned, -1.0, 1.0))


def mirror(activation: Activation) -> float | None:
    """Return the constant c with f(-z) = c - f(z), or None if there is none.

    Examples
    --------
    >>> from probe.layers import ACTIVATIONS
    >>> mirror(ACTIVATIONS["sigmoid"]), mirror(ACTIVATIONS["tanh"]), mirror(ACTIVATIONS["relu"])
    (1.0, 0.0, None)
    """
    return None if activation.odd_about is None else 2 * activation.odd_about
