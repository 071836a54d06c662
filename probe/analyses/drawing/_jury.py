"""Judges of what images show, who know the data and not the network that made the images."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from itertools import combinations_with_replacement
from typing import Any

import numpy as np
import numpy.typing as npt

from probe._cache import Kept
from probe._checks import Array, chunks
from probe._parallel import single_threaded_blas
from probe.controls import Controls
from probe.datasets import Dataset, Split
from probe.results import Record

__all__ = ["JUDGES", "KINDS", "MEASURES", "DrawnImages", "Jury"]

KINDS = {
    "optimized": "what the network draws",
    "smoothed": "what it draws smoothed",
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

_MEASURED_ON = 1_000
"""Training images that say what is usual, at most; and as many mixtures."""

_MIXED = 2, 3, 5
"""Images in a mixture."""

_PART = 500
"""Images at a time."""


class DrawnImages(Record):
    """Images of one kind, and what others make of them.

    Attributes
    ----------
    name : {"optimized", "smoothed", "real", "class means", "noise", "shuffled"}
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
    """Real images to measure by, and judges that learned from them.

    Where `is_kept`, commands keep what the judges learned, and `key` names what it depends on; elsewhere that is "".
    """

    def __init__(self, split: Split, rng: np.random.Generator, *, is_kept: bool = False) -> None:
        place = Kept(_Learned, "judges", split, rng) if is_kept else None
        self.key = "" if place is None else place.key
        self._known = _some(split.train, _REFERENCES, rng)
        self._rows = _rows(self._known.images)
        self._squares = np.einsum("nd,nd->n", self._rows, self._rows)
        found = None if place is None else place.load()
        if found is None:
            with single_threaded_blas():  # what is kept depends on no number of threads
                found = self._learn(split, rng)
            found = found if place is None else place.save(found)
        self._components, self._regression = found.components, found.regression
        self._usual, self._plausibility = found.usual, found.plausibility

    def _learn(self, split: Split, rng: np.random.Generator) -> _Learned:
        self._components = _Components.of(self._rows)
        learned_from = _some(self._known, _LEARNED_FROM, rng)
        rows = self._components.project(_rows(learned_from.images))
        regression = _Linear.fitted(rows, learned_from.labels, C=0.05, max_iter=100, tol=1e-2)
        held_out = self._looked_at(_some(split.test, _HELD_OUT, rng).images)
        real = self._looked_at(_some(self._known, _MEASURED_ON, rng).images, skip=1)
        mixed = [self._looked_at(self.mixtures(_MEASURED_ON // len(_MIXED), of, rng)) for of in _MIXED]
        plausibility = _Plausibility.of(
            real.looks, np.concatenate([each.looks for each in mixed]), held_out.looks
        )
        return _Learned(self._components, regression, np.sort(held_out.measures, axis=0), plausibility)

    def judge(
        self, name: str, images: Array, intended: npt.NDArray[np.int64], controls: Controls | None = None
    ) -> DrawnImages:
        """Say what images show, and whether they could be real; trained control networks are asked too."""
        seen = self._looked_at(images)
        percentiles = np.stack(
            [
                np.searchsorted(usual, values) / len(usual)
                for usual, values in zip(self._usual.T, seen.measures.T, strict=True)
            ],
            axis=1,
        )
        judged = [
            _most(self._known.labels[seen.nearest], self._known.n_classes),
            self._regression.predict(seen.components),
            np.full(len(images), -1) if controls is None else _voted(images, controls),
        ]
        return DrawnImages(
            name=name,
            images=images,
            intended=intended,
            percentiles=percentiles,
            judged=np.stack(judged).astype(np.int64),
            plausible=self._plausibility.judge(seen.looks),
        )

    def nearest(self, images: Array) -> tuple[Array, npt.NDArray[np.int64]]:
        """Return the training image nearest to each, and their classes."""
        indices = self._looked_at(images).nearest[:, 0]
        return self._known.images[indices], self._known.labels[indices]

    def mixtures(self, n: int, of: int, rng: np.random.Generator) -> Array:
        """Return weighted averages of `of` training images."""
        weights = rng.dirichlet(np.full(of, 3.0), n).astype(np.float32)
        chosen = rng.integers(len(self._known), size=(n, of))
        return np.asarray(np.einsum("mk,mk...->m...", weights, self._known.images[chosen]))

    def _looked_at(self, images: Array, *, skip: int = 0) -> _Looks:
        """Return what is measured of images; `skip` 1 leaves out the nearest training image, which is itself."""
        rows = _rows(images)
        parts = [self._neighbors(rows[part], skip) for part in chunks(len(rows), _PART)]
        distances, nearest = (np.concatenate(each) for each in zip(*parts, strict=True))
        components = self._components.project(rows)
        left = np.linalg.norm(rows - self._components.back(components), axis=1)
        return _Looks(rows, distances, nearest, components, left, _variation(images))

    def _neighbors(self, rows: Array, skip: int) -> tuple[Array, npt.NDArray[np.int64]]:
        """Return the distance to the nearest training image, and the indices of the nearest ones."""
        squares = self._squares - 2 * (rows @ self._rows.T)
        n = min(skip + _NEIGHBORS, len(self._rows))
        found = np.argpartition(squares, n - 1, axis=1)[:, :n]
        order = np.argsort(np.take_along_axis(squares, found, axis=1), axis=1, kind="stable")
        nearest = np.take_along_axis(found, order, axis=1)[:, skip:]
        # Anew from the difference: in the sum above small distances are lost to rounding.
        return np.linalg.norm(rows - self._rows[nearest[:, 0]], axis=1), nearest


@dataclass(frozen=True, slots=True, eq=False)
class _Looks:
    """Images (n, n_pixels), and of each what is nearest and how far, principal components, what these leave, variation."""

    rows: Array
    distances: Array
    nearest: npt.NDArray[np.int64]
    components: Array
    left: Array
    variation: Array

    @property
    def measures(self) -> Array:
        """What `MEASURES` names, (n, 4)."""
        return np.stack([self.distances, self.left, self.rows.mean(axis=1), self.variation], axis=1)

    @property
    def looks(self) -> Array:
        """What tells real images from others, (n, 6).

        Distance to the nearest training image, residual, ink, total variation, and variation and gray for the ink there is.
        """
        ink, gray = self.rows.sum(axis=1), (self.rows * (1 - self.rows)).sum(axis=1)
        per = ink + 1e-3 * self.rows.shape[1]
        looks = [self.distances, self.left, ink, self.variation, self.variation / per, gray / per]
        return np.stack(looks, axis=1).astype(np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class _Components:
    """Principal components of images: their mean (n_pixels,), and axes (n_components, n_pixels)."""

    mean: Array
    axes: Array

    @classmethod
    def of(cls, rows: Array) -> _Components:
        from sklearn.decomposition import PCA

        found = PCA(_VARIANCE, svd_solver="covariance_eigh").fit(rows)
        return cls(found.mean_, np.ascontiguousarray(found.components_))

    def project(self, rows: Array) -> Array:
        return np.asarray(rows @ self.axes.T - self.mean @ self.axes.T)

    def back(self, components: Array) -> Array:
        return np.asarray(components @ self.axes + self.mean)


@dataclass(frozen=True, slots=True, eq=False)
class _Linear:
    """A logistic regression. Of two classes it has one row of weights."""

    weights: Array
    biases: Array
    classes: npt.NDArray[np.int64]

    @classmethod
    def fitted(cls, rows: Array, labels: npt.NDArray[Any], **settings: Any) -> _Linear:
        """Return it fitted, perhaps before the last digit of its optimum, which a judge need not have."""
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.linear_model import LogisticRegression

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model = LogisticRegression(**settings).fit(rows, labels)
        return cls(np.ascontiguousarray(model.coef_), model.intercept_, model.classes_.astype(np.int64))

    def scores(self, rows: Array) -> Array:
        """Return (n_rows, n_classes); of two classes (n_rows, 1), above 0 for the second."""
        return np.asarray(rows @ self.weights.T + self.biases)

    def predict(self, rows: Array) -> npt.NDArray[np.int64]:
        """Return the class of each row."""
        scores = self.scores(rows)
        chosen = scores.argmax(axis=1) if scores.shape[1] > 1 else (scores[:, 0] > 0).astype(np.int64)
        return np.asarray(self.classes[chosen])


@dataclass(frozen=True, slots=True, eq=False)
class _Scale:
    """Mean and standard deviation of each column, for a column that is constant 1."""

    mean: Array
    deviation: Array

    @classmethod
    def of(cls, values: Array) -> _Scale:
        deviation = values.std(axis=0)
        return cls(values.mean(axis=0), np.where(deviation > 0, deviation, 1.0))

    def __call__(self, values: Array) -> Array:
        return np.asarray((values - self.mean) / self.deviation)


def _cubic(values: Array) -> Array:
    """Return all products of up to three columns."""
    chosen = [
        each for degree in (1, 2, 3) for each in combinations_with_replacement(range(values.shape[1]), degree)
    ]
    return np.stack([values[:, list(each)].prod(axis=1) for each in chosen], axis=1)


@dataclass(frozen=True, slots=True, eq=False)
class _Plausibility:
    """Whether images could be real ones: usual in all looks, and not taken for mixtures of real images.

    `middle`, `below` and `above` are what is usual of each look, `oddest` how far off an image may be. `reader` tells real
    images from mixtures by products of the looks, scaled before and after; `least` is the score of a real one at least.
    """

    middle: Array
    below: Array
    above: Array
    before: _Scale
    after: _Scale
    reader: _Linear
    oddest: float = np.inf
    least: float = -np.inf

    @classmethod
    def of(cls, real: Array, mixed: Array, held_out: Array) -> _Plausibility:
        low, middle, high = np.quantile(real, [0.05, 0.5, 0.95], axis=0)
        # Only asked of images that are usual in all looks: it need not know others.
        looks = np.concatenate([real, mixed])
        before = _Scale.of(looks)
        products = _cubic(before(looks))
        after = _Scale.of(products)
        reader = _Linear.fitted(after(products), np.arange(len(looks)) < len(real), max_iter=300)
        found = cls(middle, middle - low, high - middle, before, after, reader)
        return replace(
            found,
            oddest=float(np.quantile(found._oddity(held_out), PASS[0])),
            least=float(np.quantile(found._singleness(held_out), 1 - PASS[1])),
        )

    def judge(self, looks: Array) -> npt.NDArray[np.bool_]:
        """Return which images could be real."""
        is_single = self._singleness(looks) >= self.least
        return np.asarray((self._oddity(looks) <= self.oddest) & is_single)

    def _singleness(self, looks: Array) -> Array:
        return self.reader.scores(self.after(_cubic(self.before(looks))))[:, 0]

    def _oddity(self, looks: Array) -> Array:
        """Return how far off the least usual look is, in spreads; near, well explained and without gray is never odd."""
        off = looks - self.middle
        spreads = np.where(off > 0, off / np.maximum(self.above, 1e-12), -off / np.maximum(self.below, 1e-12))
        spreads[:, [0, 1, 5]] = np.where(off[:, [0, 1, 5]] > 0, spreads[:, [0, 1, 5]], 0)
        return np.asarray(spreads.max(axis=1))


@dataclass(frozen=True, slots=True, eq=False)
class _Learned:
    """What a jury learned from data."""

    components: _Components
    regression: _Linear
    usual: Array
    plausibility: _Plausibility


def _voted(images: Array, controls: Controls) -> npt.NDArray[np.int64]:
    """Return the class that most of the trained control networks see."""
    votes = [member.predict(images) for member in controls.trained.networks()]
    return _most(np.stack(votes, axis=1), controls.trained.network(0).n_classes)


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
