"""Extreme eigenvalues of the Hessians of many networks: Lanczos iterations in lockstep, in float32, checked in float64."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from probe._checks import Array
from probe.analyses.minima.symmetry import null_directions
from probe.curvature import PopulationCost
from probe.results import Record

__all__ = ["LANCZOS_VECTORS", "Extremes", "extreme_eigenvalues"]

Floats = npt.NDArray[np.float64]

LANCZOS_VECTORS = 100
"""So many before anything is decided, because most eigenvalues crowd near zero and near the weight decay: with few the
iteration comes to rest in the crowd, and what is below it is not seen."""

_RESTARTS = 12
_KEPT_LOW, _KEPT_HIGH = 45, 5
"""Ritz vectors from both ends of the spectrum with which a restart begins."""

_TOLERANCE = 1e-4
"""Of eigenvalues, relative to the largest."""


class Extremes(Record):
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

    The directions in which symmetries of a network leave every cost unchanged are left out: at every minimum the curvature
    along them is 0 and says nothing.

    Both ends come from one Krylov space. It is built in float32, whose rounding is a thousandth of the tolerance; the
    eigenvalues and the residual are those of its vectors in float64. The tolerance is relative to the largest: most
    eigenvalues of a network's Hessian crowd near zero, where a relative one would never be reached. Where it is not
    reached, the residual says how far the answer is off. `vectors` are the networks' (n_networks, n_parameters), in
    float64.

    References
    ----------
    .. [1] K. Wu, H. Simon, "Thick-Restart Lanczos Method for Large Symmetric Eigenvalue Problems", SIAM Journal on Matrix
       Analysis and Applications 22, 2000.
    """
    rng = np.random.default_rng([seed, 6])
    nulls = [null_directions(function, vector) for vector in vectors]
    starts = _without(nulls, rng.normal(size=vectors.shape))
    # Lanczos finds no more vectors than there are directions beside those of the symmetries.
    if function.n_parameters - max(map(len, nulls)) <= LANCZOS_VECTORS:
        ends: Array = np.stack([_dense(function, *both) for both in zip(vectors, nulls, strict=True)])
    else:
        ends = _Lanczos(function, vectors, nulls, starts).ends()
    at = function.at(vectors)
    values = np.empty((2, len(vectors)))
    for end in (1, 0):
        directions = _without(nulls, ends[:, end])
        directions /= np.maximum(np.linalg.norm(directions, axis=1, keepdims=True), 1e-30)
        products = _without(nulls, at.product(directions))
        values[end] = np.einsum("ij,ij->i", directions, products)
    # The last ones were those of the smallest.
    residual = np.linalg.norm(products - values[0][:, None] * directions, axis=1)
    return Extremes(smallest=values[0], largest=values[1], residual=residual)


def _without(nulls: Sequence[Floats], directions: Array) -> Floats:
    """Return what is left of each network's direction beside those of its orthonormal basis."""
    rest = np.array(directions, dtype=np.float64)
    for row, null in zip(rest, nulls, strict=True):
        row -= (null @ row) @ null
    return rest


def _dense(function: PopulationCost, vector: Floats, null: Floats) -> Floats:
    """Return the eigenvectors at both ends of the whole Hessian of a small network."""
    n = len(vector)
    nulls = [null] * n
    hessian = _without(nulls, function.at(np.tile(vector, (n, 1))).product(_without(nulls, np.eye(n))))
    return np.asarray(np.linalg.eigh((hessian + hessian.T) / 2)[1][:, [0, -1]].T)


class _Lanczos:
    """Orthonormal bases of Krylov spaces of many Hessians, and what those are in them."""

    def __init__(
        self, function: PopulationCost, vectors: Array, nulls: Sequence[Floats], starts: Floats
    ) -> None:
        self._function = function.on(function.x.astype(np.float32))
        self._vectors, self._nulls = vectors, list(nulls)
        self._rng = np.random.default_rng(0)
        n, size = vectors.shape
        self._bases = np.empty((n, LANCZOS_VECTORS + 1, size), np.float32)
        self._projected = np.zeros((n, LANCZOS_VECTORS, LANCZOS_VECTORS))
        self._add(0, starts.astype(np.float32))

    def ends(self) -> Array:
        """Return the vectors (n_networks, 2, n_parameters) of the smallest and the largest eigenvalue, as found."""
        found = np.empty((len(self._vectors), 2, self._vectors.shape[1]))
        index, begin = np.arange(len(found)), 0
        for restart in range(_RESTARTS + 1):
            left_over = self._fill(begin)
            values, vectors = np.linalg.eigh(self._projected)
            error = np.abs(vectors[:, -1][:, [0, -1]]) * left_over[:, None]
            scale = np.stack([values[:, -1] - values[:, 0], np.abs(values[:, -1])], axis=1)
            done = (error <= _TOLERANCE * scale).all(axis=1) | (restart == _RESTARTS)
            found[index[done]] = self._combined(vectors[:, :, [0, -1]], done)
            if done.all():
                break
            index, begin = index[~done], _KEPT_LOW + _KEPT_HIGH
            self._restart(values, vectors, ~done)
        return found

    def _fill(self, begin: int) -> Floats:
        """Add vectors until there are `LANCZOS_VECTORS`; return how long what is outside of them is."""
        at = self._function.at(self._vectors)
        for last in range(begin, LANCZOS_VECTORS):
            shares, length = self._add(last + 1, at.product(self._bases[:, last]))
            self._projected[:, : last + 1, last] = self._projected[:, last, : last + 1] = shares
        return length

    def _add(self, count: int, vector: Array) -> tuple[Floats, Floats]:
        """Make a vector the next of its basis of `count`; return its shares of the others, and the length of the rest."""
        before = np.linalg.norm(vector, axis=1)
        shares, rest = self._apart(count, vector)
        length = np.linalg.norm(rest, axis=1)
        # In a space that the Hessian does not leave, only rounding is left: any other direction is as good.
        empty = length <= 1e-6 * before
        if empty.any():
            length[empty] = 0
            rest[empty] = self._rng.normal(size=(int(empty.sum()), rest.shape[1]))
            rest = self._apart(count, rest)[1]
        self._bases[:, count] = rest / np.linalg.norm(rest, axis=1, keepdims=True)
        return shares, length

    def _apart(self, count: int, vector: Array) -> tuple[Floats, Array]:
        """Split vectors into their shares of the first `count` of their bases, and the rest beside symmetries."""
        bases, shares = self._bases[:, :count], np.zeros((len(vector), count))
        for _ in range(2):
            # Twice, or rounding would leave some of the others in it.
            share = np.matmul(bases, vector[:, :, None])
            vector = vector - np.matmul(share.transpose(0, 2, 1), bases)[:, 0]
            vector = _without(self._nulls, vector).astype(np.float32)
            shares += share[:, :, 0]
        return shares, vector

    def _combined(self, shares: Floats, rows: npt.NDArray[np.bool_]) -> Array:
        """Return the vectors (n_networks, n_vectors, n_parameters) that have these shares of their bases."""
        return np.asarray(
            np.matmul(shares[rows].transpose(0, 2, 1).astype(np.float32), self._bases[rows, :-1])
        )

    def _restart(self, values: Floats, vectors: Floats, rows: npt.NDArray[np.bool_]) -> None:
        """Go on with a few Ritz vectors of some networks, and what was outside."""
        kept = np.r_[:_KEPT_LOW, LANCZOS_VECTORS - _KEPT_HIGH : LANCZOS_VECTORS]
        combined, outside = self._combined(vectors[:, :, kept], rows), self._bases[rows, -1]
        self._bases = self._bases[rows]
        self._bases[:, : len(kept)], self._bases[:, len(kept)] = combined, outside
        self._projected = values[rows][:, kept, None] * np.eye(len(kept), LANCZOS_VECTORS)
        self._projected = np.pad(self._projected, ((0, 0), (0, LANCZOS_VECTORS - len(kept)), (0, 0)))
        self._vectors = self._vectors[rows]
        self._nulls = [null for null, row in zip(self._nulls, rows, strict=True) if row]
