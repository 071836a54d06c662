"""Networks brought to the bottom of where they are, and the curvature there: SciPy's optimiser and Lanczos iteration."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from probe._checks import Array
from probe.curvature import Linearized, PopulationCost

__all__ = ["Extremes", "extreme_eigenvalues", "polished"]

Floats = npt.NDArray[np.float64]

_MEMORY = 50
"""Pairs of steps and gradients that L-BFGS remembers. With ten, 784-16-16-10 is left with a gradient a hundred times as
long after as many iterations."""

_LANCZOS_VECTORS = 100
"""So many, because most eigenvalues crowd near zero and near the weight decay: with few the iteration comes to rest in
the crowd, and what is below it is not seen."""

_LANCZOS_RESTARTS = 12
_TOLERANCE = 1e-4
"""Of eigenvalues, relative to the largest."""


def polished(
    function: PopulationCost, vectors: Array, *, iterations: int, stop: threading.Event | None = None
) -> Floats | None:
    """Return where L-BFGS gets from each of `vectors` (n_networks, n_parameters); None once `stop` is set.

    Parameters
    ----------
    function : PopulationCost
        In float64.
    vectors : ndarray of shape (n_networks, n_parameters)
        Starts.
    iterations : int
        Most iterations of each.
    """
    from scipy.optimize import minimize

    settings = {"maxiter": iterations, "maxcor": _MEMORY, "maxfun": 4 * iterations, "ftol": 0.0, "gtol": 1e-7}
    found = np.array(vectors, dtype=np.float64)

    def value(point: Floats) -> tuple[float, Floats]:
        if stop is not None and stop.is_set():
            raise _Stopped
        costs, gradients = function.gradient(point[None])
        return float(costs[0]), np.asarray(gradients[0])

    try:
        for k, start in enumerate(found):
            found[k] = minimize(value, start, jac=True, method="L-BFGS-B", options=settings).x
    except _Stopped:
        return None
    return found


class _Stopped(Exception):
    """The study was told to stop."""


@dataclass(frozen=True, slots=True, eq=False)
class Extremes:
    """Extreme eigenvalues of Hessians, each array of shape (n_networks,).

    Attributes
    ----------
    smallest, largest : ndarray
        The eigenvalues, as Lanczos finds them.
    residual : ndarray
        Length of H v - smallest v: an eigenvalue lies within this distance, though a lower one can have been missed.
    """

    smallest: Floats
    largest: Floats
    residual: Floats


def extreme_eigenvalues(function: PopulationCost, vectors: Array, *, seed: int = 0) -> Extremes:
    """Return the smallest and the largest eigenvalue of each network's Hessian, by Lanczos iteration [1]_.

    The smallest is sought as the largest of ``largest - H``, so that its tolerance is relative to the largest: most
    eigenvalues of a network's Hessian crowd near zero, where a relative one would never be reached.

    Parameters
    ----------
    function : PopulationCost
        In float64.
    vectors : ndarray of shape (n_networks, n_parameters)
        Where.
    seed : int
        Of the first vectors.

    References
    ----------
    .. [1] R. B. Lehoucq, D. C. Sorensen, C. Yang, "ARPACK Users' Guide", SIAM 1998.
    """
    rng = np.random.default_rng([seed, 6])
    found = np.empty((3, len(vectors)))
    for k, vector in enumerate(vectors):
        at = function.at(vector[None])

        def product(direction: Floats, at: Linearized = at) -> Floats:
            return np.asarray(at.product(direction.reshape(1, -1))[0])

        start = rng.normal(size=len(vector))
        largest, _ = _top(product, start)
        # With room above the largest the shifted matrix is positive, also where all eigenvalues are negative.
        shift = max(largest, 0.0) + 1e-12
        gap, direction = _top(lambda v, shift=shift: shift * v - product(v), start)  # type: ignore[misc]
        smallest = shift - gap
        residual = float(np.linalg.norm(product(direction) - smallest * direction))
        found[:, k] = smallest, largest, residual
    return Extremes(*found)


def _top(product: Callable[[Floats], Floats], start: Floats) -> tuple[float, Floats]:
    """Return the largest eigenvalue of a symmetric operator with its vector, as far as Lanczos got."""
    from scipy.sparse.linalg import ArpackError, LinearOperator, eigsh

    n = len(start)
    if n <= _LANCZOS_VECTORS:
        values, vectors = np.linalg.eigh(np.stack([product(row) for row in np.eye(n)]))
        return float(values[-1]), np.asarray(vectors[:, -1])
    operator = LinearOperator((n, n), matvec=product, dtype=np.float64)
    settings = {"k": 1, "which": "LA", "v0": start, "ncv": _LANCZOS_VECTORS}
    for looser in (1, 30):
        # A looser answer comes with a residual that says how loose it is.
        try:
            values, vectors = eigsh(
                operator, tol=looser * _TOLERANCE, maxiter=looser * _LANCZOS_RESTARTS, **settings
            )
        except ArpackError:
            continue
        return float(values[0]), np.asarray(vectors[:, 0])
    # Where all directions curve alike, as where all units are dead, ARPACK finds no second one and gives up.
    direction = start / np.linalg.norm(start)
    return float(direction @ product(direction)), direction
