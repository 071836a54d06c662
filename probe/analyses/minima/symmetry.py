"""Directions along which no data can tell networks apart, and so no cost changes: they say nothing about a minimum."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise, product

import numpy as np
import numpy.typing as npt

from probe._checks import Array
from probe._matching import HOMOGENEOUS
from probe.curvature import PopulationCost

__all__ = ["null_directions"]

Floats = npt.NDArray[np.float64]

_INDEPENDENT = 1e-9
"""Directions whose rest, beside those before, is shorter than this share of their length are the same once more."""


def null_directions(function: PopulationCost, vector: Array) -> Floats:
    """Return an orthonormal basis of the directions in which symmetries of its networks leave a cost unchanged.

    A softmax does not see a constant that is added to all output biases. Where the weights and the bias of a unit with a
    positively homogeneous activation, such as a rectifier, are multiplied by c, and what reads it is divided by c, the
    network computes the same [1]_; units without an activation can be mixed as well. But weight decay sees all this, so that
    it counts only without. At a point without slope the
    Hessian is exactly zero along all of these.

    Parameters
    ----------
    function : PopulationCost
        Of networks of one shape.
    vector : ndarray of shape (n_parameters,)
        Where.

    Returns
    -------
    ndarray of shape (n_directions, n_parameters)

    References
    ----------
    .. [1] L. Dinh, R. Pascanu, S. Bengio, Y. Bengio, "Sharp Minima Can Generalize For Deep Nets", ICML 2017.

    Examples
    --------
    >>> from probe.population import MLP
    >>> x, labels = np.eye(4), np.array([0, 1, 0, 1])
    >>> [len(null_directions(PopulationCost(MLP((3,), name), x, labels, 2), np.ones(23))) for name in ("tanh", "relu")]
    [1, 4]
    """
    basis = list[Floats]()
    for direction in _symmetries(function, np.asarray(vector, np.float64)):
        length = float(np.linalg.norm(direction))
        for _ in range(2):
            # Twice, or rounding would leave some of the others in it.
            for other in basis:
                direction = direction - (other @ direction) * other
        rest = float(np.linalg.norm(direction))
        if rest > _INDEPENDENT * length:
            basis.append(direction / rest)
    return np.array(basis).reshape(len(basis), len(vector))


def _symmetries(function: PopulationCost, vector: Floats) -> Iterator[Floats]:
    places = list(_places(function))
    if function.architecture.output == "softmax":
        shift = np.zeros_like(vector)
        shift[places[-1][1]] = 1
        yield shift
    if function.weight_decay or function.architecture.activation not in HOMOGENEOUS:
        return
    for (weights, biases, n_in), (above, _, n_units) in pairwise(places):
        into, bias, out = (
            vector[weights].reshape(-1, n_in),
            vector[biases],
            vector[above].reshape(-1, n_units),
        )
        for unit, other in product(range(n_units), repeat=2):
            # Units without any activation can be mixed, too.
            if unit != other and function.architecture.activation != "linear":
                continue
            change = np.zeros_like(vector)
            change[weights].reshape(-1, n_in)[unit] = into[other]
            change[biases][unit] = bias[other]
            change[above].reshape(-1, n_units)[:, other] = -out[:, unit]
            yield change


def _places(function: PopulationCost) -> Iterator[tuple[slice, slice, int]]:
    """Give for each layer where its weights (n_out, n_in) and its biases lie in a vector, and `n_in`."""
    end = 0
    for n_in, n_out in pairwise(function.sizes):
        middle = end + n_out * n_in
        yield slice(end, middle), slice(middle, middle + n_out), n_in
        end = middle + n_out
