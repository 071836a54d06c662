"""Judges of what images show, who know the data and not the network that made the images."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import numpy.typing as npt

from probe._checks import Array
from probe.controls import Controls
from probe.datasets import Dataset, Split
from probe.results import Record

__all__ = ["JUDGES", "KINDS", "MEASURES", "PLAUSIBLE", "DrawnImages", "Jury"]

KINDS = {
    "optimized": "what the network draws",
    "real": "held-out images",
    "class means": "class means",
    "noise": "uniform noise",
    "shuffled": "shuffled pixels",
}
"""Kinds of images, in words."""

MEASURES = ("nearest", "residual", "ink", "total_variation")
"""What is measured of each image; see `DrawnImages.percentiles`."""

JUDGES = ("nearest neighbors", "logistic regression", "other networks")
"""Who says which class an image shows: never the network that made it."""

PLAUSIBLE = 0.95
"""A plausible image is no farther from real ones, by distance and by residual, than this share of held-out images."""

_REFERENCES, _HELD_OUT = 10_000, 1_000
"""Training images that images are held against, and test images that say what is usual, at most."""

_LEARNED_FROM = 4_000
"""Training images of the logistic regression, at most."""

_VARIANCE = 0.9
"""Share of the training images' variance that the principal components hold."""

_NEIGHBORS = 5


class DrawnImages(Record):
    """Images of one kind, and what others make of them.

    Attributes
    ----------
    name : {"optimized", "real", "class means", "noise", "shuffled"}
        What kind.
    images : ndarray of shape (n_images, *image_shape), in [0, 1]
        The images.
    intended : ndarray of shape (n_images,), int64
        The class that each should show; of noise a class at random.
    percentiles : ndarray of shape (n_images, 4), in [0, 1]
        Share of held-out real images that have less: distance to the nearest training image, residual after
        projection on the principal components of the training images, ink (mean pixel), total variation.
    judged : ndarray of shape (3, n_images), int64
        The class that each of `JUDGES` sees; -1 for a judge that there is none of.
    """

    name: str
    images: Array
    intended: npt.NDArray[np.int64]
    percentiles: Array
    judged: npt.NDArray[np.int64]

    @property
    def label(self) -> str:
        """What kind, in words."""
        return KINDS[self.name]

    @property
    def n_images(self) -> int:
        """Number of images."""
        return len(self.images)

    @property
    def median_percentiles(self) -> Array:
        """Median of each of `MEASURES` over the images, (4,)."""
        return np.asarray(np.median(self.percentiles, axis=0))

    @property
    def plausible(self) -> npt.NDArray[np.bool_]:
        """Whether each image is as close to real ones as 95% of held-out images, by distance and residual: (n_images,)."""
        return np.asarray((self.percentiles[:, :2] <= PLAUSIBLE).all(axis=1))

    @property
    def plausible_share(self) -> float:
        """Share of the images that are plausible."""
        return float(self.plausible.mean())

    @property
    def agreement(self) -> Array:
        """Share of images in which each judge sees what was intended, (3,); NaN for a judge that there is none of."""
        absent = (self.judged < 0).all(axis=1)
        return np.where(absent, np.nan, (self.judged == self.intended).mean(axis=1))

    @property
    def recognized_share(self) -> float:
        """Share of the images in which nearest neighbors and logistic regression see what was intended, on average."""
        return float(self.agreement[:2].mean())


class Jury:
    """Real images to measure by, and judges that learned from them."""

    def __init__(self, split: Split, controls: Controls | None, rng: np.random.Generator) -> None:
        from sklearn.decomposition import PCA
        from sklearn.neighbors import NearestNeighbors

        self._known = _some(split.train, _REFERENCES, rng)
        self._controls = controls
        rows = _rows(self._known.images)
        self._neighbors = NearestNeighbors(n_neighbors=_NEIGHBORS, algorithm="brute").fit(rows)
        self._components = PCA(_VARIANCE, svd_solver="covariance_eigh").fit(rows)
        learned_from = _some(self._known, _LEARNED_FROM, rng)
        self._regression = _regression(
            self._components.transform(_rows(learned_from.images)), learned_from.labels
        )
        usual = self._measured(_some(split.test, _HELD_OUT, rng).images)[0]
        self._usual = np.sort(usual, axis=0)

    def judge(
        self, name: str, images: Array, intended: npt.NDArray[np.int64], *, networks: bool = True
    ) -> DrawnImages:
        measured, neighbors, components = self._measured(images)
        percentiles = np.stack(
            [
                np.searchsorted(usual, values) / len(usual)
                for usual, values in zip(self._usual.T, measured.T, strict=True)
            ],
            axis=1,
        )
        seen_nearby = _most(self._known.labels[neighbors], self._known.n_classes)
        judged = [seen_nearby, self._regression.predict(components)]
        judged.append(
            self._voted(images) if networks and self._controls is not None else np.full(len(images), -1)
        )
        return DrawnImages(
            name=name,
            images=images,
            intended=intended,
            percentiles=percentiles,
            judged=np.stack(judged).astype(np.int64),
        )

    def nearest(self, images: Array) -> tuple[Array, npt.NDArray[np.int64]]:
        """Return the training image nearest to each, and their classes."""
        indices = self._neighbors.kneighbors(_rows(images), 1, return_distance=False)[:, 0]
        return self._known.images[indices], self._known.labels[indices]

    def _measured(self, images: Array) -> tuple[Array, npt.NDArray[np.int64], Array]:
        """Return the measures (n, 4), the indices of the nearest training images (n, k), and the components."""
        rows = _rows(images)
        distances, nearest = self._neighbors.kneighbors(rows)
        components = self._components.transform(rows)
        left = np.linalg.norm(rows - self._components.inverse_transform(components), axis=1)
        measures = np.stack([distances[:, 0], left, rows.mean(axis=1), _variation(images)], axis=1)
        return measures, nearest, components

    def _voted(self, images: Array) -> npt.NDArray[np.int64]:
        """Return the class that most of the trained control networks see."""
        assert self._controls is not None
        votes = [member.predict(images) for member in self._controls.trained.networks()]
        return _most(np.stack(votes, axis=1), len(self._controls.trained.class_names))


def _most(votes: npt.NDArray[np.int64], n_classes: int) -> npt.NDArray[np.int64]:
    """Return the class with most of the votes (n_images, n_voters) on each image, the first of those that tie."""
    counts = np.stack([np.bincount(seen, minlength=n_classes) for seen in votes])
    return np.asarray(counts.argmax(axis=1))


def _some(data: Dataset, most: int, rng: np.random.Generator) -> Dataset:
    return data if len(data) <= most else data.sample(most, rng=rng)


def _rows(images: Array) -> Array:
    return images.reshape(len(images), -1).astype(np.float32, copy=False)


def _variation(images: Array) -> Array:
    """Return the sum of absolute differences of neighboring pixels."""
    down, right = (np.abs(np.diff(images, axis=axis)).reshape(len(images), -1) for axis in (1, 2))
    return np.asarray(down.sum(axis=1) + right.sum(axis=1))


def _regression(rows: Array, labels: npt.NDArray[np.int64]) -> Any:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    with warnings.catch_warnings():
        # A judge of 90% does as well; it need not be the last digit of the optimum.
        warnings.simplefilter("ignore", ConvergenceWarning)
        return LogisticRegression(C=0.05, max_iter=100).fit(rows, labels)
