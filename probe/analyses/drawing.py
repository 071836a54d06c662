"""Whether a network can draw: the images it likes best, judged by others than itself."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from probe._checks import Array, InputError, check_integer, generator, readonly
from probe._progress import Progress, ProgressEvent, silent
from probe._signatures import checked
from probe.ascent import ascend
from probe.controls import Controls
from probe.datasets import Dataset, Split, pixel_shuffled, uniform_noise
from probe.fitting import fitted
from probe.network import Network
from probe.objectives import class_logit
from probe.stats import Decision, Verdict, paired_difference

__all__ = ["JUDGES", "MEASURES", "Drawing", "DrawnImages", "drawing"]

MEASURES = ("nearest", "residual", "ink", "total_variation")
"""What is measured of each image; see `DrawnImages.percentiles`."""

JUDGES = ("nearest neighbours", "logistic regression", "other networks")
"""Who says which class an image shows: never the network that made it."""

_PLAUSIBLE = 0.95
"""A plausible image is no farther from real ones, by distance and by residual, than this share of held-out images."""

_HALF = 0.5
"""Share of plausible images from which a network is said to draw."""

_REFERENCES, _HELD_OUT = 10_000, 1_000
"""Training images that images are held against, and test images that say what is usual, at most."""

_LEARNED_FROM = 4_000
"""Training images of the logistic regression, at most."""

_VARIANCE = 0.9
"""Share of the training images' variance that the principal components hold."""

_NEIGHBOURS = 5


@dataclass(frozen=True, slots=True, eq=False)
class DrawnImages:
    """Images of one kind, and what others make of them.

    Attributes
    ----------
    name : {"optimised", "real", "class means", "noise", "shuffled"}
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

    def __post_init__(self) -> None:
        for name in ("images", "intended", "percentiles", "judged"):
            object.__setattr__(self, name, readonly(getattr(self, name)))

    @property
    def plausible(self) -> npt.NDArray[np.bool_]:
        """Whether each image is as close to real ones as 95% of held-out images, by distance and residual: (n_images,)."""
        return np.asarray((self.percentiles[:, :2] <= _PLAUSIBLE).all(axis=1))

    @property
    def agreement(self) -> Array:
        """Share of images in which each judge sees what was intended, (3,); NaN for a judge that there is none of."""
        absent = (self.judged < 0).all(axis=1)
        return np.where(absent, np.nan, (self.judged == self.intended).mean(axis=1))


@dataclass(frozen=True, slots=True, eq=False)
class Drawing:
    """What a network draws, beside images that are digits and images that are not.

    Attributes
    ----------
    class_names : tuple of str
        Names of the classes.
    n_restarts : int
        Optimised images of each class; they are in `kinds[0]`, class by class.
    values : ndarray of shape (n_classes, n_restarts)
        The logit that each reaches in the network.
    best : ndarray of shape (n_classes,), int64
        Place of each class's highest among its restarts.
    nearest : ndarray of shape (n_classes, *image_shape)
        The training image nearest to the best one of each class.
    nearest_classes : ndarray of shape (n_classes,), int64
        The classes of these.
    kinds : tuple of DrawnImages
        "optimised", and for comparison: "real" and "class means" are digits, "noise" and "shuffled" are not.
    plausible_share : ndarray of shape (n_networks,), in [0, 1]
        Of each trained control network's own optimised images; empty without control networks.
    recognised_share : ndarray of shape (n_networks,), in [0, 1]
        Share of each control network's images in which judges see what was intended: the mean of nearest neighbours and
        logistic regression.
    verdicts : tuple of Verdict
        Over the control networks; empty without.
    """

    class_names: tuple[str, ...]
    n_restarts: int
    values: Array
    best: npt.NDArray[np.int64]
    nearest: Array
    nearest_classes: npt.NDArray[np.int64]
    kinds: tuple[DrawnImages, ...]
    plausible_share: Array
    recognised_share: Array
    verdicts: tuple[Verdict, ...]

    def __post_init__(self) -> None:
        for name in ("values", "best", "nearest", "nearest_classes", "plausible_share", "recognised_share"):
            object.__setattr__(self, name, readonly(getattr(self, name)))

    def kind(self, name: str) -> DrawnImages:
        """Return the images of one kind.

        Raises
        ------
        InputError
            If there is no such kind.
        """
        found = [kind for kind in self.kinds if kind.name == name]
        if not found:
            raise InputError(
                f"name must be one of {', '.join(kind.name for kind in self.kinds)}, got {name!r}"
            )
        return found[0]

    @property
    def best_places(self) -> npt.NDArray[np.int64]:
        """Place of each class's best image in `kinds[0]`: (n_classes,)."""
        return np.asarray(np.arange(len(self.best)) * self.n_restarts + self.best)


@checked
def drawing(
    network: Network,
    split: Split,
    *,
    controls: Controls | None = None,
    restarts: int = 4,
    steps: int = 200,
    l2: float = 0.0,
    total_variation: float = 0.0,
    seed: int | np.random.Generator = 0,
    progress: Progress = silent,
) -> Drawing:
    """Let a network draw every class, and have others judge what comes out.

    The images climb in [0, 1] towards the highest logit of each class, from random ones. They are held against
    training images, with held-out test images as the measure of what is usual, and shown to judges that know the
    data and not the network: nearest neighbours, logistic regression on principal components, and networks of other
    seeds. That the network itself recognises them says nothing: they were made for it.

    Parameters
    ----------
    network : Network
        That was trained on data such as these.
    split : Split
        The data.
    controls : Controls, optional
        From `probe.control_networks`: the networks among the judges, and those whose own drawings the verdicts are about.
    restarts, steps : int
        Random starts for each class, and steps of each ascent; at least 1.
    l2, total_variation : float
        Weights of the regularisers of the ascent, at least 0.
    seed : int or numpy.random.Generator
        Draws starts, references and the other kinds of images.
    progress : callable
        Called after each network.

    Raises
    ------
    InputError
        If shapes or classes do not fit, or an argument is outside its range.

    References
    ----------
    .. [1] A. Nguyen, J. Yosinski, J. Clune, "Deep Neural Networks are Easily Fooled", CVPR 2015.

    Examples
    --------
    >>> import probe
    >>> split = probe.load_dataset("digits")
    >>> network = probe.train(probe.MLP(hidden=(16,)), split).network
    >>> found = drawing(network, split, restarts=2, steps=20)
    >>> found.kind("optimised").percentiles.shape
    (20, 4)
    """
    check_integer("restarts", restarts, minimum=1)
    network = fitted(network, split)
    if controls is not None:
        controls.check_of(network)
    starts, references, kinds_rng = generator(seed).spawn(3)
    n_classes, start = network.n_classes, int(starts.integers(2**31))

    def drawn_by(artist: Network) -> tuple[Array, Array]:
        found = ascend(
            artist,
            [class_logit(k) for k in range(n_classes)],
            restarts=restarts,
            steps=steps,
            l2=l2,
            total_variation=total_variation,
            seed=start,
        )
        return found.images.reshape(-1, *artist.input_shape).astype(np.float32), found.values

    jury = _Jury(split, controls, references)
    images, values = drawn_by(network)
    intended = np.repeat(np.arange(n_classes), restarts)
    kinds = (
        jury.judge("optimised", images, intended),
        *(jury.judge(name, *found) for name, found in _reference_images(split, kinds_rng).items()),
    )
    plausible, recognised = list[float](), list[float]()
    for k in range(0 if controls is None else len(controls)):
        assert controls is not None
        theirs, _ = drawn_by(controls.trained.network(k))
        found = jury.judge("optimised", theirs, intended, networks=False)
        plausible.append(float(found.plausible.mean()))
        recognised.append(float(found.agreement[:2].mean()))
        progress(ProgressEvent("drawing digits", k + 1, len(controls)))
    best = values.argmax(axis=1)
    nearest, nearest_classes = jury.nearest(images[np.arange(n_classes) * restarts + best])
    shares = np.array(plausible), np.array(recognised)
    verdicts = () if controls is None else _verdicts(*shares, n_classes, kinds, controls)
    return Drawing(
        split.train.class_names, restarts, values, best, nearest, nearest_classes, kinds, *shares, verdicts
    )


def _reference_images(
    split: Split, rng: np.random.Generator
) -> dict[str, tuple[Array, npt.NDArray[np.int64]]]:
    """Return images that are digits, and images that are not, with the classes that they should show."""
    test = split.test.sample(min(200, len(split.test)), rng=rng)
    classes = np.unique(split.train.labels)
    means = np.stack([split.train.images[split.train.labels == k].mean(axis=0) for k in classes])
    noise = uniform_noise(len(test), test.image_shape, rng=rng)
    return {
        "real": (test.images, test.labels),
        "class means": (means.astype(np.float32), classes.astype(np.int64)),
        "noise": (noise, rng.choice(classes, len(noise)).astype(np.int64)),
        "shuffled": (pixel_shuffled(test.images, rng=rng), test.labels),
    }


class _Jury:
    """Real images to measure by, and judges that learned from them."""

    def __init__(self, split: Split, controls: Controls | None, rng: np.random.Generator) -> None:
        from sklearn.decomposition import PCA
        from sklearn.neighbors import NearestNeighbors

        self._known = _some(split.train, _REFERENCES, rng)
        self._controls = controls
        rows = _rows(self._known.images)
        self._neighbours = NearestNeighbors(n_neighbors=_NEIGHBOURS, algorithm="brute").fit(rows)
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
        measured, neighbours, components = self._measured(images)
        percentiles = np.stack(
            [
                np.searchsorted(usual, values) / len(usual)
                for usual, values in zip(self._usual.T, measured.T, strict=True)
            ],
            axis=1,
        )
        seen_nearby = _most(self._known.labels[neighbours], self._known.n_classes)
        judged = [seen_nearby, self._regression.predict(components)]
        judged.append(
            self._voted(images) if networks and self._controls is not None else np.full(len(images), -1)
        )
        return DrawnImages(name, images, intended, percentiles, np.stack(judged).astype(np.int64))

    def nearest(self, images: Array) -> tuple[Array, npt.NDArray[np.int64]]:
        """Return the training image nearest to each, and their classes."""
        places = self._neighbours.kneighbors(_rows(images), 1, return_distance=False)[:, 0]
        return self._known.images[places], self._known.labels[places]

    def _measured(self, images: Array) -> tuple[Array, npt.NDArray[np.int64], Array]:
        """Return the measures (n, 4), the places of the nearest training images (n, k), and the components."""
        rows = _rows(images)
        distances, places = self._neighbours.kneighbors(rows)
        components = self._components.transform(rows)
        left = np.linalg.norm(rows - self._components.inverse_transform(components), axis=1)
        measures = np.stack([distances[:, 0], left, rows.mean(axis=1), _variation(images)], axis=1)
        return measures, places, components

    def _voted(self, images: Array) -> npt.NDArray[np.int64]:
        """Return the class that most of the trained control networks see."""
        assert self._controls is not None
        votes = [self._controls.trained.network(k).predict(images) for k in range(len(self._controls))]
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
    """Return the sum of absolute differences of neighbouring pixels."""
    down, right = (np.abs(np.diff(images, axis=axis)).reshape(len(images), -1) for axis in (1, 2))
    return np.asarray(down.sum(axis=1) + right.sum(axis=1))


def _regression(rows: Array, labels: npt.NDArray[np.int64]) -> Any:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    with warnings.catch_warnings():
        # A judge of 90% does as well; it need not be the last digit of the optimum.
        warnings.simplefilter("ignore", ConvergenceWarning)
        return LogisticRegression(C=0.05, max_iter=100).fit(rows, labels)


def _verdicts(
    plausible: Array,
    recognised: Array,
    n_classes: int,
    kinds: tuple[DrawnImages, ...],
    controls: Controls,
) -> tuple[Verdict, ...]:
    draws = paired_difference(np.asarray(plausible, np.float64))
    seen = paired_difference(np.asarray(recognised, np.float64))
    opposite: dict[Decision, Decision] = {
        "supported": "refuted",
        "refuted": "supported",
        "inconclusive": "inconclusive",
    }
    real = next(kind for kind in kinds if kind.name == "real")
    decision = draws.decision(_HALF)
    return (
        Verdict(
            key="plausible",
            title="The network has no idea how to draw a digit",
            decision=opposite[decision],
            statistic_name="share of drawn images",
            unit="share",
            interval=draws.interval,
            null=f"half of what a network draws is as close to real images as {_PLAUSIBLE:.0%} of held-out ones are",
            sentence=(
                f"Of what a network draws, {draws:.0%} is as close to training images, by distance and by what principal "
                f"components leave over, as {_PLAUSIBLE:.0%} of held-out images are; of held-out images themselves "
                f"{real.plausible.mean():.0%}.{controls.caveat}"
            ),
        ),
        Verdict(
            key="recognized",
            title="Others recognise what the network draws",
            decision=seen.decision(1 / n_classes),
            statistic_name="share of drawn images",
            unit="share",
            interval=seen.interval,
            null=f"judges see the class that was meant by chance, {1 / n_classes:.0%}",
            sentence=(
                f"Nearest neighbours and logistic regression see the class that was meant in {seen:.0%} of what a network "
                f"draws; in held-out images in {real.agreement[:2].mean():.0%}.{controls.caveat}"
            ),
        ),
    )
