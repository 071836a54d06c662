"""Hidden units of two networks on the same images: correlations, similarity of layers, and what chance gives."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil, prod, sqrt

import numpy as np
import numpy.typing as npt

from probe._checks import Array, chunks
from probe._layout import hidden_ends
from probe._matching import Correlations, mirror
from probe.network import Network
from probe.training import reinitialized

__all__ = [
    "N_ORDERS",
    "Values",
    "aligned_layers",
    "cka_of",
    "correlated",
    "permuted_best",
    "rows_of",
    "shared_layers",
    "untrained_values",
    "values_of",
]

Floats = npt.NDArray[np.float64]

N_ORDERS = 39
"""Random orders of the images, and untrained networks for the similarity of layers: 1 in 40 is as good by chance."""

_SIDE = 8
"""Places along an axis of a feature map that are looked at: more are evenly apart."""

_CKA_IMAGES = 500
"""Images on which layers are compared as a whole."""

_BATCH, _BATCH_VALUES = 1000, 1 << 23
"""Images at a time, at most, and values of all layers on them."""


@dataclass(frozen=True, slots=True, eq=False)
class Values:
    """Activations of a hidden layer.

    Attributes
    ----------
    layer : str
        Name of the layer with the weights.
    end : str
        Name of the layer that puts the activations out.
    values : ndarray of shape (n_images, n_places, n_units), float32
        One place for a layer of units.
    places : tuple of int
        Shape of the whole feature maps; () for a layer of units.
    is_signed : bool
        Whether the sign of a unit is a symmetry.
    """

    layer: str
    end: str
    values: Array
    places: tuple[int, ...]
    is_signed: bool

    @property
    def n_units(self) -> int:
        """Units, or channels."""
        return int(self.values.shape[2])

    @property
    def rows(self) -> Array:
        """Each unit in a row, (n_units, n_images * n_places)."""
        return self.values.reshape(-1, self.n_units).T

    def means(self) -> Values:
        """Return the mean of each channel in place of its map."""
        return Values(
            self.layer, self.end, self.values.mean(axis=1, keepdims=True), self.places, self.is_signed
        )


def values_of(network: Network, images: Array) -> list[Values]:
    """Return the activations of all hidden layers on images (n_images, *input_shape), in order."""
    ends = hidden_ends(network)
    parts: dict[str, list[Array]] = {name: [] for name in ends}
    n_values = sum(map(prod, network.layer_shapes.values()))
    for part in chunks(len(images), max(1, min(_BATCH, _BATCH_VALUES // n_values))):
        activations = network.activations(images[part])
        for name, end in ends.items():
            parts[name].append(_placed(activations[end], network.channel_axis(end)))
    found = []
    for name, end in ends.items():
        shape, axis = network.layer_shapes[end], network.channel_axis(end)
        places = shape[:axis] + shape[axis + 1 :]
        is_signed = mirror(network.layer(end).activation) is not None
        found.append(Values(name, end, np.concatenate(parts[name]), places, is_signed))
    return found


def _placed(values: Array, channel_axis: int) -> Array:
    """Return activations (n_images, ...) as (n_images, n_places, n_units), of large maps some places evenly apart."""
    maps = np.moveaxis(values, 1 + channel_axis, -1)
    steps = [slice(None, None, ceil(length / _SIDE)) for length in maps.shape[1:-1]]
    return np.ascontiguousarray(maps[:, *steps]).reshape(len(maps), -1, maps.shape[-1])


def correlated(first: Values, second: Values) -> Floats:
    """Return the correlations of all units of both over images, and over places where the maps are of one size."""
    if first.places != second.places:
        first, second = first.means(), second.means()
    sums = Correlations()
    sums.add(first.rows, second.rows)
    return sums.values()


def untrained_values(
    network: Network, images: Array, n: int, rng: np.random.Generator
) -> Iterator[list[Values]]:
    """Give the activations of networks of the same layers that learned nothing, one network after the other."""
    for _ in range(n):
        yield values_of(reinitialized(network, rng=rng), images)


def permuted_best(first: Values, second: Values, *, signed: bool, rng: np.random.Generator) -> float:
    """Return the best correlation of any two units with the images of the second in random orders."""
    orders = (rng.permutation(len(second.values)) for _ in range(N_ORDERS))
    turned = (
        Values(second.layer, second.end, second.values[order], second.places, second.is_signed)
        for order in orders
    )
    likenesses = (correlated(first, other) for other in turned)
    return max(float((np.abs(one) if signed else one).max()) for one in likenesses)


def rows_of(values: Values) -> Floats:
    """Return a layer on images, (n_images, n_features), for `cka_of`: centered, and of one length for all layers.

    Of more features than images as many are left as there are images, with the same products of all images.
    """
    rows = values.values[:_CKA_IMAGES].reshape(min(len(values.values), _CKA_IMAGES), -1).astype(np.float64)
    rows = rows - rows.mean(axis=0)
    if rows.shape[1] > len(rows):
        rows = np.asarray(np.linalg.qr(rows.T, mode="r")).T
    length = float(np.linalg.norm(rows.T @ rows))
    return np.asarray(rows / sqrt(length) if length > 0 else rows)


def cka_of(first: Floats, second: Floats) -> float:
    """Return linear centered kernel alignment [1]_ of two layers by their `rows_of`; 0 for a layer that is constant.

    References
    ----------
    .. [1] S. Kornblith et al., "Similarity of Neural Network Representations Revisited", ICML 2019.
    """
    return min(1.0, float(np.square(first.T @ second).sum()))


def aligned_layers(similarity: Floats) -> list[tuple[int, int]]:
    """Return pairs of layers in order, as many as the shallower has, whose similarities have the largest sum.

    Examples
    --------
    >>> aligned_layers(np.array([[0.9, 0.8, 0.1], [0.2, 0.3, 0.7]]))
    [(0, 0), (1, 2)]
    """
    n_first, n_second = similarity.shape
    if n_first > n_second:
        return [(i, j) for j, i in aligned_layers(similarity.T)]
    best = np.full((n_first + 1, n_second + 1), -np.inf)
    best[0] = 0
    for i in range(n_first):
        for j in range(n_second):
            best[i + 1, j + 1] = max(best[i + 1, j], best[i, j] + similarity[i, j])
    pairs, i, j = list[tuple[int, int]](), n_first, n_second
    while i:
        if best[i, j] > best[i, j - 1]:
            i -= 1
            pairs.append((i, j - 1))
        j -= 1
    return pairs[::-1]


def shared_layers(first: Sequence[Values], second: Sequence[Values], cka: Floats) -> list[tuple[int, int]]:
    """Return which layers to compare: all, one by one, where there are as many; else those that go best together."""
    if len(first) == len(second):
        return [(k, k) for k in range(len(first))]
    return aligned_layers(cka)
