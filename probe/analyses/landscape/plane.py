"""The cost on one plane through a network: that of its own way through training, or a random one."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

from probe._checks import Array, InputError, check_integer, generator
from probe._signatures import checked
from probe.costs import CostName
from probe.datasets import Split
from probe.film import Film
from probe.fitting import fitted
from probe.network import Network
from probe.parameters import ParameterSpace
from probe.planes import measure_plane
from probe.results import Record

__all__ = ["RESOLUTION", "CostPlane", "axis_along", "cost_plane", "filter_directions", "principal"]

Floats = npt.NDArray[np.float64]

RESOLUTION = 31
"""Points along each side of a plane."""

_MARGIN = 0.25
"""How far the plane goes beyond the path, as a share of the path's length along each axis."""

_BLOCK = 100_000
"""Parameters at a time in products of points."""

_WORK, _FEWEST_IMAGES, _FEWEST_POINTS = 20_000_000_000, 50, 11
"""Multiplications of a plane, a few seconds: a costly network is measured on fewer images, then at fewer points."""


class CostPlane(Record):
    """The cost on a plane through a network.

    Attributes
    ----------
    kind : {"path", "random"}
        The plane of the first two principal components of the network's way through training; or a random one, in which each
        filter moves by up to its own length.
    axes : tuple of ndarray of shape (n,)
        Coordinates of the grid, along the first and the second axis; the network is at (0, 0).
    cost : ndarray of shape (n, n), in [0, inf)
        `cost[j, i]` is the cost at (axes[0][i], axes[1][j]).
    updates : ndarray of shape (n_moments,), int64
        Updates of the weights at each moment of the path; none on a random plane.
    projected : ndarray of shape (n_moments, 2)
        The path on the plane, in units of the parameters, seen from its end.
    path_cost : ndarray of shape (n_moments,), in [0, inf)
        Cost at the moments themselves, which lie beside the plane.
    explained : ndarray of shape (2,), in [0, 1]
        Shares of the path's variance that the two axes have; NaN on a random plane.
    n_images : int
        Training images that the costs are means over.
    """

    kind: Literal["path", "random"]
    axes: tuple[Floats, Floats]
    cost: Floats
    updates: npt.NDArray[np.int64]
    projected: Floats
    path_cost: Floats
    explained: Floats
    n_images: int


@checked
def cost_plane(
    network: Network,
    split: Split,
    *,
    film: Film | None = None,
    cost: CostName = "cross-entropy",
    resolution: int = RESOLUTION,
    n_images: int = 200,
    seed: int | np.random.Generator = 0,
) -> CostPlane:
    """Measure the cost on a plane through a network.

    Parameters
    ----------
    network : Network
        A network with one input and one output value for each class.
    split : Split
        Data.
    film : Film, optional
        The network on its way through training, such as `probe.load_film` reads. The plane is that of the way's first two
        principal components; without, it is a random one, filter by filter as long as the network [1]_.
    cost : {"cross-entropy", "quadratic"}
        Cost to measure.
    resolution : int
        Points along each side, at least 3 and odd; fewer, at least 11, for a slow network.
    n_images : int
        Training images to average over, at least 1, drawn at random; fewer, at least 50, for a slow network.
    seed : int or numpy.random.Generator
        Draws the images, and the directions of a random plane.

    Raises
    ------
    InputError
        If the network does not fit the data or the film, or an argument is outside its range.

    References
    ----------
    .. [1] H. Li et al., "Visualizing the Loss Landscape of Neural Nets", NeurIPS 2018.

    Examples
    --------
    >>> import probe
    >>> split, config = probe.load_dataset("digits"), probe.TrainingConfig(epochs=5)
    >>> trained = probe.train(probe.MLP(hidden=(8,)), split, config, frames=9)
    >>> plane = cost_plane(trained.network, split, film=trained.film)
    >>> plane.kind, plane.cost.shape, plane.projected.shape
    ('path', (31, 31), (9, 2))
    """
    check_integer("n_images", n_images, minimum=1)
    if check_integer("resolution", resolution, minimum=3) % 2 == 0:
        raise InputError(f"resolution must be odd, so that the network is in the middle, got {resolution}")
    space = ParameterSpace(fitted(network, split), cost)
    resolution, n_images = _affordable(space.network, resolution, min(n_images, len(split.train)))
    image_rng, direction_rng = generator(seed).spawn(2)
    data = split.train.sample(n_images, rng=image_rng)
    images, labels = data.images, data.labels
    path = np.empty((0, space.n_parameters), space.vector.dtype) if film is None else _path(film, space)
    if film is None:
        directions = filter_directions(space, 2, direction_rng)
        projected, explained = np.empty((0, 2)), np.full(2, np.nan)
        axes = (np.linspace(-1.0, 1.0, resolution),) * 2
    else:
        directions, projected, explained = principal(path)
        axes = axis_along(projected[:, 0], resolution), axis_along(projected[:, 1], resolution)
    grid = np.stack(np.meshgrid(*axes), axis=-1)
    return CostPlane(
        kind="random" if film is None else "path",
        axes=axes,
        cost=measure_plane(space, images, labels, directions, grid).cost,
        updates=np.empty(0, np.int64) if film is None else film.updates,
        projected=projected,
        path_cost=np.array([space.measure(images, labels, point)[0] for point in path]),
        explained=explained,
        n_images=n_images,
    )


def _affordable(network: Network, resolution: int, n_images: int) -> tuple[int, int]:
    """Return how many points along a side and how many images: fewer images, then fewer points, for a costly network."""
    each = network.n_multiplications
    n_images = max(min(n_images, _FEWEST_IMAGES), min(n_images, _WORK // (each * resolution**2)))
    side = int((_WORK / (each * n_images)) ** 0.5)
    return max(min(resolution, _FEWEST_POINTS), min(resolution, side - (side % 2 == 0))), n_images


def _path(film: Film, space: ParameterSpace) -> Array:
    """Return the parameters at each moment of a film (n_moments, n_parameters)."""
    film = film.of(space.network)
    path: Array = np.repeat(space.vector[None], len(film), axis=0)
    for part in space.parts:
        values = film.parameters.get(f"{part.layer}/{part.variable}")
        if values is not None:
            path[:, part.place] = values.reshape(len(film), -1)
    return path


def principal(path: Array) -> tuple[Array, Floats, Floats]:
    """Return the first two principal components, the path on them seen from its end, and their shares.

    From the products of the points with each other: a path has few points of many parameters.
    """
    centered = path - path.mean(axis=0, dtype=np.float64).astype(path.dtype)
    products = np.zeros((len(path), len(path)))
    for begin in range(0, path.shape[1], _BLOCK):
        block = centered[:, begin : begin + _BLOCK].astype(np.float64)
        products += block @ block.T
    variances, scores = np.linalg.eigh(products)
    variances, scores = variances[::-1].clip(0), scores[:, ::-1]
    kept = min(2, int((variances > 1e-12 * variances[0]).sum())) if variances[0] > 0 else 0
    components, seen, shares = np.zeros((2, path.shape[1]), path.dtype), np.zeros((len(path), 2)), np.zeros(2)
    for k in range(kept):
        length = np.sqrt(variances[k])
        along = scores[:, k] * length
        # Both signs are components; with these the path comes from the left and from above.
        sign = -1.0 if (along[0] - along[-1] > 0) == (k == 0) else 1.0
        components[k] = (sign / length * scores[:, k]).astype(path.dtype) @ centered
        seen[:, k] = sign * (along - along[-1])
        shares[k] = variances[k] / variances.sum()
    return components, seen, shares


def axis_along(values: Floats, resolution: int = RESOLUTION) -> Floats:
    """Return coordinates that go a little beyond both ends of `values`."""
    low, high = float(values.min()), float(values.max())
    margin = _MARGIN * max(high - low, 1e-3)
    return np.linspace(low - margin, high + margin, resolution)


def filter_directions(space: ParameterSpace, n: int, rng: np.random.Generator) -> Array:
    """Return `n` random directions, (n, n_parameters), in which each filter is as long as the network's."""
    drawn = rng.standard_normal((n, space.n_parameters)).astype(space.vector.dtype)
    return np.stack([space.filter_normalized(direction) for direction in drawn])
