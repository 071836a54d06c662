"""How units tell concepts: AUROCs, their nulls, probes and ablation."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from probe._checks import Array, InputError, chunks
from probe.layers import BatchNormalization, Layer
from probe.network import Network
from probe.stats.auroc import auroc_of_rank_sums
from probe.stats.auroc import aurocs as aurocs_of_ranks

__all__ = [
    "LayerValues",
    "ablated",
    "aurocs",
    "chance_deviations",
    "hidden_layers",
    "largest_of_permuted",
    "largest_of_rotated",
    "layer_values",
    "p_values",
    "probe_aurocs",
    "selectivities",
]

_FOLDS = 5

_BATCH = 500
"""Images whose feature maps are kept at a time."""

_CELLS = 4

_BLOCK_VALUES = 1 << 20
"""Values that are ranked at a time."""


def hidden_layers(network: Network) -> tuple[str, ...]:
    """Return the layers with weights that are not the output, or raise if there is none.

    Where such a layer is linear and its activation is a layer of its own, that layer is meant.
    """
    ends = {layer.name: _activated(network, layer) for layer in network.layers if layer.has_kernels}
    found = tuple(end for end in ends.values() if end != network.head_name)
    if not found:
        raise InputError("the network must have a hidden layer with weights to look for concepts in")
    return found


def _activated(network: Network, layer: Layer) -> str:
    """Return the name of the layer that applies the activation of `layer`, itself where none does."""
    after = layer
    while after.activation.name == "linear" and after.name != network.head_name:
        readers = [
            each for each, read in zip(network.layers, network.wiring, strict=True) if after.name in read
        ]
        if len(readers) != 1 or not readers[0].keeps_units:
            return layer.name
        after = readers[0]
    return after.name


@dataclass(frozen=True, slots=True, eq=False)
class LayerValues:
    """What a layer is on images.

    Attributes
    ----------
    units : ndarray of shape (n_images, n_units), float64
        Activations; of a channel the mean over its map.
    basis : ndarray of shape (n_images, n_units), float64
        What is rotated, each unit with mean 0 and variance 1, or 0 where it is dead. Pre-activations of a layer of
        units: random weights are a random basis of these, and not of what a rectifier leaves of them. Of feature maps
        the same as `units`, because the mean of a linear map is the mean of the image.
    features : ndarray of shape (n_images, n_features), float64
        What a linear probe reads: activations, and feature maps averaged over 4 x 4 cells.
    """

    units: Array
    basis: Array
    features: Array


def layer_values(network: Network, layers: tuple[str, ...], x: Array) -> dict[str, LayerValues]:
    """Return what layers are on images (n_images, *input_shape), by name."""
    parts: dict[str, list[tuple[Array, Array, Array]]] = {name: [] for name in layers}
    for part in chunks(len(x), _BATCH):
        after, before = network.activations(x[part]), network.pre_activations(x[part])
        for name in layers:
            parts[name].append(_parts_of(network, name, after[name], before[name]))
    found = {}
    for name, pieces in parts.items():
        units, basis, features = (
            np.concatenate(piece).astype(np.float64) for piece in zip(*pieces, strict=True)
        )
        found[name] = LayerValues(units, _standardized(basis), features)
    return found


def _parts_of(network: Network, name: str, after: Array, before: Array) -> tuple[Array, Array, Array]:
    """Return units, basis and features of a batch."""
    if after.ndim == 2:
        return after, before, after
    maps = np.moveaxis(after, _channel_axis(network, name), -1)
    means = maps.mean(axis=tuple(range(1, maps.ndim - 1)))
    return means, means, _cells(maps).reshape(len(maps), -1)


def _cells(maps: Array) -> Array:
    """Return feature maps (n, height, width, channels) averaged over cells, at most 4 x 4 of them."""
    for axis in range(1, maps.ndim - 1):
        length = maps.shape[axis]
        cuts = np.linspace(0, length, min(_CELLS, length), endpoint=False).astype(int)
        counts = np.diff(np.append(cuts, length)).reshape([-1 if k == axis else 1 for k in range(maps.ndim)])
        maps = np.add.reduceat(maps, cuts, axis=axis) / counts
    return maps


def _standardized(values: Array) -> Array:
    """Return columns with mean 0 and variance 1; 0 where a unit is the same on all images but for rounding."""
    centered = values - values.mean(axis=0)
    deviation = centered.std(axis=0)
    dead = deviation <= 1e-6 * np.abs(values).max(axis=0)
    return np.asarray(np.where(dead, 0, centered / np.where(dead, 1, deviation)))


def _channel_axis(network: Network, name: str) -> int:
    layer = network.layer(name)
    return 1 if layer.channels_first else -1


def aurocs(values: Array, concepts: npt.NDArray[np.bool_]) -> Array:
    """Return the AUROC (n_units, n_concepts) of every unit (n_images, n_units) for every concept (n_concepts, n_images).

    Ties count half; every concept has images with it and without.
    """
    from scipy.stats import rankdata

    return aurocs_of_ranks(rankdata(values, axis=0), concepts)


def selectivities(values: Array, concepts: npt.NDArray[np.bool_]) -> Array:
    """Return how far the AUROC of the best unit is from 0.5 for each concept, up or down: (n_concepts,)."""
    return np.asarray(np.abs(aurocs(values, concepts) - 0.5).max(axis=0))


def chance_deviations(concepts: npt.NDArray[np.bool_]) -> Array:
    """Return the standard deviation (n_concepts,) of an AUROC by chance, without ties: larger for rare concepts."""
    n_with = concepts.sum(axis=1)
    n_without = concepts.shape[1] - n_with
    return np.asarray(np.sqrt((n_with + n_without + 1) / (12 * n_with * n_without)))


def largest_of_permuted(
    values: Array, concepts: npt.NDArray[np.bool_], n_draws: int, rng: np.random.Generator
) -> Array:
    """Return the largest selectivity of all units and concepts (n_draws,) with the images of the concepts permuted.

    Selectivities are in `chance_deviations`, so that the rarest concept does not set the limit for all.
    """
    from scipy.stats import rankdata

    ranks, spread = rankdata(values, axis=0), chance_deviations(concepts)
    orders = (rng.permutation(len(values)) for _ in range(n_draws))
    return np.array(
        [(np.abs(aurocs_of_ranks(ranks[order], concepts) - 0.5) / spread).max() for order in orders]
    )


def largest_of_rotated(
    basis: Array, concepts: npt.NDArray[np.bool_], n_draws: int, rng: np.random.Generator
) -> Array:
    """Return the largest selectivity of an axis (n_draws, n_concepts) in random rotations of a basis (n_images, n_units).

    Rotations are uniform over all of them: the QR decomposition of a Gaussian matrix, with the signs of R taken out.
    """
    n_images, n_units = basis.shape
    indicators = concepts.T.astype(np.float32)
    pairs = concepts.sum(axis=1) * (~concepts).sum(axis=1)
    columns = np.ascontiguousarray(basis.T, np.float32)
    block = max(1, _BLOCK_VALUES // basis.size)
    found = []
    for begin in range(0, n_draws, block):
        q, r = np.linalg.qr(rng.standard_normal((min(block, n_draws - begin), n_units, n_units)))
        rotations = q * np.sign(np.diagonal(r, axis1=1, axis2=2))[:, None, :]
        rotated = rotations.reshape(-1, n_units).astype(np.float32) @ columns
        # Half-integers about 0, so that their sums are exact enough in float32.
        off = (_nearly_ranks(rotated) - np.float32((n_images + 1) / 2)) @ indicators / pairs
        found.append(np.abs(off).reshape(-1, n_units, len(concepts)).max(axis=1))
    return np.concatenate(found).astype(np.float64)


def _nearly_ranks(values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return the rank of each value in its row; those closer than a step of the row's range may be in any order.

    There are 2^21 steps for 2,000 images. A value and its place are packed into one integer: to sort these takes a
    third of the time of sorting places by values. Images are in random order, so that ties fall at random.
    """
    n_rows, n_images = values.shape
    bits = max(1, (n_images - 1).bit_length())
    low = values.min(axis=1, keepdims=True)
    span = values.max(axis=1, keepdims=True) - low
    largest = np.float32(2 ** min(32 - bits, 22) - 1)
    steps = ((values - low) * (largest / np.where(span > 0, span, 1))).astype(np.uint32)
    packed = (steps << np.uint32(bits)) | np.arange(n_images, dtype=np.uint32)
    packed.sort(axis=1)
    places = (packed & np.uint32(2**bits - 1)).astype(np.int64)
    places += np.arange(n_rows)[:, None] * n_images
    found = np.empty(values.size, np.float32)
    found[places] = np.arange(1, n_images + 1, dtype=np.float32)
    return found.reshape(values.shape)


def p_values(best: Array, null: Array) -> Array:
    """Return the share of draws (n_draws, n_concepts) that are as large as `best` (n_concepts,), the own counted in."""
    # Sums of ranks in float32 differ in the last digits where AUROCs are equal.
    return np.asarray((1 + (null >= best - 1e-6).sum(axis=0)) / (1 + len(null)))


def probe_aurocs(features: Array, concepts: npt.NDArray[np.bool_], seed: int) -> Array:
    """Return the AUROC (n_concepts,) of linear probes on features (n_images, n_features), out of fold in five folds.

    A probe is a ridge regression of the concept on standardized features, for two classes a regularized linear
    discriminant. The penalty is the number of features: 16 units are hardly held back, 784 pixels do not overfit.
    """
    from scipy.stats import rankdata
    from sklearn.linear_model import Ridge
    from sklearn.model_selection import KFold

    features = features[:, (features != features[:1]).any(axis=0)]
    if not features.shape[1]:
        return np.full(len(concepts), 0.5)
    targets = concepts.T.astype(np.float64)
    scores = np.empty(targets.shape)
    for train, test in KFold(_FOLDS, shuffle=True, random_state=seed).split(features):
        mean, deviation = features[train].mean(axis=0), features[train].std(axis=0)
        scale = np.where(deviation > 0, deviation, 1)
        reader = Ridge(features.shape[1], solver="cholesky")
        reader.fit((features[train] - mean) / scale, targets[train])
        scores[test] = reader.predict((features[test] - mean) / scale).reshape(len(test), -1)
    sums = (rankdata(scores, axis=0) * targets).sum(axis=0)
    return auroc_of_rank_sums(sums, concepts.sum(axis=1), len(features))


def ablated(network: Network, layer: str, unit: int, mean: float) -> Network:
    """Return `network` with a unit, or a channel everywhere in its map, replaced by a constant."""
    shape = network.layer_shapes[layer]
    axis = _channel_axis(network, layer)
    n_units = shape[axis]
    kept = np.ones(n_units, network.dtype)
    kept[unit] = 0
    zeros, ones = np.zeros(n_units, network.dtype), np.ones(n_units, network.dtype)
    name = next(
        f"ablated_{k}" for k in range(len(network.layers) + 1) if f"ablated_{k}" not in network.layer_names
    )
    mask = BatchNormalization(
        name, kept, (1 - kept) * network.dtype.type(mean), zeros, ones, axis=axis, epsilon=0.0
    )
    layers, wiring = list[Layer](), []
    for each, read in zip(network.layers, network.wiring, strict=True):
        layers.append(each)
        wiring.append(tuple(name if source == layer else source for source in read))
        if each.name == layer:
            layers.append(mask)
            wiring.append((layer,))
    return replace(network, layers=tuple(layers), wiring=tuple(wiring))
