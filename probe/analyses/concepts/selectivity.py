"""How well units tell concepts within classes, and how well the best of them would by chance or as any direction."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import numpy.typing as npt

from probe._checks import Array
from probe.stats.auroc import aurocs_within, pairs_within, ranks_within

__all__ = [
    "aurocs",
    "chance_deviations",
    "largest_of_permuted",
    "largest_of_rotated",
    "p_values",
    "permuted_within",
    "selectivities",
]

_BLOCK_VALUES = 1 << 20
"""Values that are ranked at a time."""


def aurocs(values: Array, concepts: npt.NDArray[np.bool_], classes: npt.NDArray[np.int64]) -> Array:
    """Return the AUROC within classes (n_units, n_concepts) of every unit (n_images, n_units) for every concept.

    Ties count half; every concept (n_concepts, n_images) has images with it and without in one class.
    """
    return aurocs_within(ranks_within(values, classes), concepts, classes)


def selectivities(values: Array, concepts: npt.NDArray[np.bool_], classes: npt.NDArray[np.int64]) -> Array:
    """Return how far the AUROC of the best unit is from 0.5 for each concept, up or down: (n_concepts,)."""
    return np.asarray(np.abs(aurocs(values, concepts, classes) - 0.5).max(axis=0))


def chance_deviations(concepts: npt.NDArray[np.bool_], classes: npt.NDArray[np.int64]) -> Array:
    """Return the standard deviation (n_concepts,) of an AUROC by chance, without ties: larger for rare concepts."""
    n_with, n_without = pairs_within(concepts, classes)
    variances = (n_with * n_without * (n_with + n_without + 1) / 12).sum(axis=1)
    return np.asarray(np.sqrt(variances) / (n_with * n_without).sum(axis=1))


def permuted_within(classes: npt.NDArray[np.int64], rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """Return a random order of the images (n_images,) in which each takes the place of one of its class."""
    order = np.empty(len(classes), np.int64)
    order[np.argsort(classes, kind="stable")] = np.lexsort((rng.random(len(classes)), classes))
    return order


def largest_of_permuted(
    values: Array,
    concepts: npt.NDArray[np.bool_],
    classes: npt.NDArray[np.int64],
    n_draws: int,
    rng: np.random.Generator,
) -> Array:
    """Return the largest selectivity of all units and concepts (n_draws,) with the images permuted within classes.

    Selectivities are in `chance_deviations`, so that the rarest concept does not set the limit for all.
    """
    ranks, spread = ranks_within(values, classes), chance_deviations(concepts, classes)
    orders = (permuted_within(classes, rng) for _ in range(n_draws))
    return np.array(
        [(np.abs(aurocs_within(ranks[order], concepts, classes) - 0.5) / spread).max() for order in orders]
    )


def largest_of_rotated(
    basis: Array,
    concepts: npt.NDArray[np.bool_],
    classes: npt.NDArray[np.int64],
    n_draws: int,
    rng: np.random.Generator,
) -> Array:
    """Return the largest selectivity of an axis (n_draws, n_concepts) in random rotations of a basis (n_images, n_units).

    Selectivity is within classes. Rotations are uniform over all of them: the QR decomposition of a Gaussian matrix, with
    the signs of R taken out.
    """
    n_units, order = basis.shape[1], np.argsort(classes, kind="stable")
    ends = np.append(0, np.unique(classes, return_counts=True)[1].cumsum()).tolist()
    indicators = concepts[:, order].T.astype(np.float32)
    pairs = np.prod(pairs_within(concepts, classes), axis=0).sum(axis=1)
    columns = np.ascontiguousarray(basis[order].T, np.float32)
    block = max(1, _BLOCK_VALUES // basis.size)
    found = []
    for begin in range(0, n_draws, block):
        q, r = np.linalg.qr(rng.standard_normal((min(block, n_draws - begin), n_units, n_units)))
        rotations = q * np.sign(np.diagonal(r, axis1=1, axis2=2))[:, None, :]
        rotated = rotations.reshape(-1, n_units).astype(np.float32) @ columns
        for start, end in pairwise(ends):
            # Half-integers about 0, so that their sums are exact enough in float32.
            rotated[:, start:end] = _nearly_ranks(rotated[:, start:end]) - np.float32((end - start + 1) / 2)
        off = rotated @ indicators / pairs
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
