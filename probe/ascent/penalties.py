"""What an image can cost beside its objective: differences of neighbors, and likeness to other restarts."""

from __future__ import annotations

import numpy as np

from probe._checks import Array

__all__ = ["likeness", "total_variation"]

_SMOOTHING = 0.01
"""Pixel differences below this count quadratically in the total variation, so that it has a gradient."""


def total_variation(x: Array) -> tuple[Array, Array]:
    """Return the smoothed total variation of each image and its gradient.

    Parameters
    ----------
    x : ndarray of shape (n, height, width, ...)

    Returns
    -------
    variation : ndarray of shape (n,)
        The sum over pixels of the length of the gradient between neighbors, rounded off below 0.01.
    gradient : ndarray of the shape of `x`
    """
    down, right = np.zeros_like(x), np.zeros_like(x)
    down[:, :-1] = x[:, 1:] - x[:, :-1]
    right[:, :, :-1] = x[:, :, 1:] - x[:, :, :-1]
    lengths = np.sqrt(down**2 + right**2 + _SMOOTHING**2)
    variation = (lengths - _SMOOTHING).reshape(len(x), -1).sum(axis=1)
    down /= lengths
    right /= lengths
    gradient = -down - right
    gradient[:, 1:] += down[:, :-1]
    gradient[:, :, 1:] += right[:, :, :-1]
    return variation, gradient


def likeness(x: Array, restarts: int, center: float) -> tuple[Array, Array]:
    """Return how alike each image is to the other restarts of its objective, and the gradient of the sum.

    Parameters
    ----------
    x : ndarray of shape (n_objectives * restarts, ...)
        The restarts of one objective follow one another.
    restarts : int
        At least 1; a single restart is like no other.
    center : float
        Taken from every pixel first, so that opposite images have a cosine of -1.

    Returns
    -------
    cosines : ndarray of shape (n_objectives * restarts,), in [-1, 1]
        The mean cosine between an image and each of the others; an image without deviation has a cosine of 0.
    gradient : ndarray of the shape of `x`
        Of the sum of all `cosines`.

    Examples
    --------
    >>> likeness(np.array([[1.0, 0.0], [0.0, 1.0]]), 2, 0.5)[0]
    array([-1., -1.])
    """
    if restarts == 1:
        return np.zeros(len(x), x.dtype), np.zeros_like(x)
    away = x.reshape(-1, restarts, x[0].size) - x.dtype.type(center)
    lengths = np.sqrt(np.square(away).sum(axis=2, keepdims=True))
    inverse = np.divide(1, lengths, out=np.zeros_like(lengths), where=lengths > 0)
    units = away * inverse
    cosines = units @ units.swapaxes(1, 2)
    others = cosines * (1 - np.eye(restarts, dtype=x.dtype))
    total = others.sum(axis=2)
    # Each pair counts twice: in the mean of the one and in that of the other.
    gradient = units.sum(axis=1, keepdims=True) - units - total[:, :, None] * units
    gradient *= inverse * x.dtype.type(2 / (restarts - 1))
    return (total / (restarts - 1)).reshape(len(x)), gradient.reshape(x.shape)
