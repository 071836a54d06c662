"""Concepts within classes: which classes have images of both kinds, and what linear probes read off there.

The class alone tells most concepts well: nearly every 0 has a loop, and no 1. So only images of the same class are compared.
They are in two halves. What is chosen or fitted on one half is judged on the other, and both are put together.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from probe._checks import Array
from probe.stats.auroc import StratifiedAurocs, pairs_within, ranks_within, stratified_aurocs

__all__ = ["FEWEST", "FEWEST_CLASSES", "Sample", "principal_components", "standardized"]

FEWEST = 3
"""Images with a concept, and without it, that a class must have to say anything about the concept."""

FEWEST_CLASSES = 2
"""Classes with that many that there must be."""


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """Images with their classes, and which of them have which concepts.

    Attributes
    ----------
    images : ndarray of shape (n_images, *image_shape)
        Any images.
    classes : ndarray of shape (n_images,), int64
        Their classes.
    concepts : ndarray of shape (n_concepts, n_images), bool
        Which images have each concept.
    """

    images: Array
    classes: npt.NDArray[np.int64]
    concepts: npt.NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.images)

    def mixed(self, fewest: int) -> npt.NDArray[np.bool_]:
        """Return which classes have so many images with each concept, and so many without: (n_concepts, n_classes)."""
        n_classes = int(self.classes.max()) + 1
        of_class = self.classes == np.arange(n_classes)[:, None]
        n_with = self.concepts.astype(np.int64) @ of_class.T
        n_without = np.bincount(self.classes, minlength=n_classes) - n_with
        return np.asarray(np.minimum(n_with, n_without) >= fewest)

    @property
    def halves(self) -> npt.NDArray[np.int64]:
        """The half of each image, 0 or 1: each class is halved, and with it a single concept."""
        groups = self.classes if len(self.concepts) > 1 else 2 * self.classes + self.concepts[0]
        halves = np.empty(len(groups), np.int64)
        for group in np.unique(groups):
            there = np.flatnonzero(groups == group)
            halves[there] = (np.arange(len(there)) + group) % 2
        return halves

    @property
    def pixels(self) -> Array:
        """The images as features, (n_images, n_pixels), in multiples of the standard deviation of all."""
        pixels = self.images.reshape(len(self.images), -1).astype(np.float64)
        deviation = float(pixels.std())
        return pixels / deviation if deviation > 0 else pixels

    def only(self, concepts: npt.NDArray[np.bool_]) -> Sample:
        """Return the same images with some of the concepts (n_concepts,)."""
        return replace(self, concepts=self.concepts[concepts])

    @property
    def strata(self) -> npt.NDArray[np.int64]:
        """Class and half of each image: only images that agree in both are compared."""
        return np.asarray(2 * self.classes + self.halves)

    def told(self, scores: Array) -> StratifiedAurocs:
        """Return how well scores (n_images, n_concepts) tell the concepts within classes."""
        return stratified_aurocs(scores, self.concepts, self.strata)

    def scores(self, features: Array) -> Array:
        """Return what linear probes that learn what differs within classes say of each concept: (n_images, n_concepts)."""
        return _probe_scores(features, self.concepts, self.halves, self.classes)

    def read_off(self, features: Array) -> Array:
        """Return the AUROCs (n_concepts,) of linear probes on features (n_images, n_features) within classes."""
        return _values(self.scores(features), self.concepts, self.strata)

    def overall(self, features: Array) -> Array:
        """Return the AUROCs (n_concepts,) of linear probes where images of all classes are compared."""
        halves = self.halves
        scores = _probe_scores(features, self.concepts, halves, np.zeros(len(halves), np.int64))
        return _values(scores, self.concepts, halves)

    @property
    def of_class(self) -> Array:
        """The AUROCs (n_concepts,) of the class alone where images of all classes are compared."""
        return self.overall(np.sqrt(len(self.images)) * np.eye(int(self.classes.max()) + 1)[self.classes])


def _values(scores: Array, concepts: npt.NDArray[np.bool_], strata: npt.NDArray[np.int64]) -> Array:
    """Return how well scores (n_images, n_concepts) tell each its concept within strata: (n_concepts,)."""
    n_with, n_without = pairs_within(concepts, strata)
    least = (n_with * (n_with + 1) / 2).sum(axis=1)
    sums = (ranks_within(scores, strata) * concepts.T).sum(axis=0)
    n_pairs = (n_with * n_without).sum(axis=1)
    return np.asarray(np.where(n_pairs > 0, (sums - least) / np.maximum(n_pairs, 1), 0.5))


def _probe_scores(
    features: Array,
    concepts: npt.NDArray[np.bool_],
    halves: npt.NDArray[np.int64],
    groups: npt.NDArray[np.int64],
) -> Array:
    """Return what linear probes say of each concept, (n_images, n_concepts), fitted on the half that an image is not in.

    A probe is a ridge regression of the concept on the features, for two classes a regularized linear discriminant. Both
    are centered within groups, so that a probe learns what differs within them. The penalty is the number of features:
    16 units are hardly held back, 784 pixels do not overfit.
    """
    scores = np.empty((len(features), len(concepts)))
    for half in (0, 1):
        seen = halves != half
        x = _centered(features[seen], groups[seen])
        y = _centered(concepts[:, seen].T.astype(np.float64), groups[seen])
        scores[~seen] = features[~seen] @ _ridge(x, y)
    return scores


def _ridge(x: Array, y: Array) -> Array:
    n_images, n_features = x.shape
    if n_features > n_images:
        return np.asarray(x.T @ np.linalg.solve(x @ x.T + n_features * np.eye(n_images), y))
    return np.asarray(np.linalg.solve(x.T @ x + n_features * np.eye(n_features), x.T @ y))


def _centered(values: Array, groups: npt.NDArray[np.int64]) -> Array:
    centered = values.astype(np.float64)
    for group in np.unique(groups):
        there = groups == group
        centered[there] -= centered[there].mean(axis=0)
    return centered


def standardized(values: Array) -> Array:
    """Return columns with mean 0 and variance 1; 0 where a unit is the same on all images but for rounding."""
    centered = values - values.mean(axis=0)
    deviation = centered.std(axis=0)
    dead = deviation <= 1e-6 * np.abs(values).max(axis=0)
    return np.asarray(np.where(dead, 0, centered / np.where(dead, 1, deviation)))


def principal_components(pixels: Array) -> Array:
    """Return the principal components of images (n_images, n_pixels), largest first, each with variance 1 or 0."""
    centered = pixels - pixels.mean(axis=0)
    if centered.shape[1] > len(centered):
        values, vectors = np.linalg.eigh(centered @ centered.T)
        found = vectors * np.sqrt(np.maximum(values, 0))
    else:
        found = centered @ np.linalg.eigh(centered.T @ centered)[1]
    return standardized(found[:, ::-1])
