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

__all__ = ["JUDGES", "KINDS", "MEASURES", "DrawnImages", "Jury"]

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

PASS = 0.98, 0.985
"""Share of held-out images that each of two questions lets through: is it usual, and is it one image and no mixture?"""

_REFERENCES, _HELD_OUT = 10_000, 1_000
"""Training images that images are held against, and test images that say what is usual, at most."""

_LEARNED_FROM = 4_000
"""Training images of the logistic regression, at most."""

_VARIANCE = 0.9
"""Share of the training images' variance that the principal components hold."""

_NEIGHBORS = 5

_MEASURED_ON = 1_500
"""Training images that say what is usual, at most; and as many mixtures."""

_MIXED = 2, 3, 5
"""Images in a mixture."""


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
    plausible : ndarray of shape (n_images,), bool
        Whether each could be a real image: as usual as 98% of held-out images in distance, residual, ink, variation and
        gray, and taken for one image, not for a mixture of several, as 98.5% of them are.
    """

    name: str
    images: Array
    intended: npt.NDArray[np.int64]
    percentiles: Array
    judged: npt.NDArray[np.int64]
    plausible: npt.NDArray[np.bool_]

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
    def recognized(self) -> npt.NDArray[np.bool_]:
        """Whether nearest neighbors or logistic regression see what was intended: (n_images,)."""
        return np.asarray((self.judged[:2] == self.intended).any(axis=0))

    @property
    def drawn(self) -> npt.NDArray[np.bool_]:
        """Whether each counts as drawn, plausible and recognized: (n_images,)."""
        return np.asarray(self.plausible & self.recognized)

    @property
    def drawn_share(self) -> float:
        """Share of the images that count as drawn."""
        return float(self.drawn.mean())

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
        held_out = _some(split.test, _HELD_OUT, rng).images
        self._usual = np.sort(self._measured(held_out)[0], axis=0)
        self._plausibility = _Plausibility(self, held_out, rng)

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
            plausible=self._plausibility.of(images),
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

    def looks(self, images: Array, *, skip: int = 0) -> Array:
        """Return what tells real images from others (n, 6); `skip` 1 leaves out the nearest image, which is itself.

        Distance to the nearest training image, residual, ink, total variation, and variation and gray for the ink there is.
        """
        rows = _rows(images)
        distances = self._neighbors.kneighbors(rows)[0][:, skip]
        left = np.linalg.norm(
            rows - self._components.inverse_transform(self._components.transform(rows)), axis=1
        )
        ink, variation, gray = rows.sum(axis=1), _variation(images), (rows * (1 - rows)).sum(axis=1)
        per = ink + 1e-3 * rows.shape[1]
        return np.stack([distances, left, ink, variation, variation / per, gray / per], axis=1)

    def known(self, n: int, rng: np.random.Generator) -> Array:
        """Return some of the training images that others are held against."""
        return _some(self._known, n, rng).images

    def mixtures(self, n: int, of: int, rng: np.random.Generator) -> Array:
        """Return weighted averages of `of` training images."""
        weights = rng.dirichlet(np.full(of, 3.0), n).astype(np.float32)
        chosen = rng.integers(len(self._known), size=(n, of))
        return np.asarray(np.einsum("mk,mk...->m...", weights, self._known.images[chosen]))

    def _voted(self, images: Array) -> npt.NDArray[np.int64]:
        """Return the class that most of the trained control networks see."""
        assert self._controls is not None
        votes = [member.predict(images) for member in self._controls.trained.networks()]
        return _most(np.stack(votes, axis=1), len(self._controls.trained.class_names))


class _Plausibility:
    """Whether images could be real ones: usual in all looks, and not taken for mixtures of real images."""

    def __init__(self, jury: Jury, held_out: Array, rng: np.random.Generator) -> None:
        from sklearn.ensemble import HistGradientBoostingClassifier

        self._jury = jury
        real = jury.looks(jury.known(_MEASURED_ON, rng), skip=1)
        mixed = [jury.looks(jury.mixtures(_MEASURED_ON // len(_MIXED), of, rng)) for of in _MIXED]
        low, self._middle, high = np.quantile(real, [0.05, 0.5, 0.95], axis=0)
        self._below, self._above = self._middle - low, high - self._middle
        looks = np.concatenate([real, *mixed])
        is_real = np.arange(len(looks)) < len(real)
        self._reader = HistGradientBoostingClassifier(random_state=0).fit(looks, is_real)
        looks = jury.looks(held_out)
        self._oddest = float(np.quantile(self._oddity(looks), PASS[0]))
        self._least = float(np.quantile(self._single(looks), 1 - PASS[1]))

    def of(self, images: Array) -> npt.NDArray[np.bool_]:
        looks = self._jury.looks(images)
        return np.asarray((self._oddity(looks) <= self._oddest) & (self._single(looks) >= self._least))

    def _oddity(self, looks: Array) -> Array:
        """Return how far off the least usual look is, in spreads; near, well explained and without gray is never odd."""
        off = looks - self._middle
        spreads = np.where(off > 0, off / np.maximum(self._above, 1e-12), -off / np.maximum(self._below, 1e-12))
        spreads[:, [0, 1, 5]] = np.where(off[:, [0, 1, 5]] > 0, spreads[:, [0, 1, 5]], 0)
        return np.asarray(spreads.max(axis=1))

    def _single(self, looks: Array) -> Array:
        return np.asarray(self._reader.predict_proba(looks)[:, 1])


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
