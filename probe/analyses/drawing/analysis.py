"""Whether a network can draw: the images it likes best, judged by others than itself."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt

from probe._bars import ShownProgress
from probe._cache import kept
from probe._checks import Array, check_choice, generator
from probe._progress import ProgressEvent
from probe._signatures import AtLeast, checked
from probe.analyses.drawing._artist import Artist
from probe.analyses.drawing._jury import JUDGES, MEASURES, DrawnImages, Jury
from probe.ascent import ascend
from probe.controls import Controls
from probe.datasets import Split, pixel_shuffled, uniform_noise
from probe.fitting import fitted
from probe.network import Network
from probe.objectives import class_logit
from probe.population import MLP
from probe.results import Columns, Result
from probe.stats import Claim, Estimate, Verdict, count_estimate, mean_estimate
from probe.training import TrainingConfig, TrainingResult, train

__all__ = ["Drawing", "drawing", "primary_estimates"]

DRAWS = Claim(
    key="drawing",
    title="The network has no idea how to draw",
    statistic_name="share of classes drawn",
    unit="share",
    replicate="classes",
    null="it draws half of the classes",
    threshold=0.5,
    reason="most classes; of held-out images nine in ten count as drawn, of averages of two one in twenty at most",
    claims_less=True,
    said="it has no idea how to draw them",
    minute="15:34",
)
"""A class is drawn if most of its images are, plain or smoothed."""

DEPTH = Claim(
    key="hidden",
    title="Its hidden layers help it draw",
    statistic_name="classes drawn, less those that a linear softmax draws",
    unit="share",
    replicate="classes",
    null="as many classes as without hidden layers",
    threshold=0.0,
    reason="what a network without hidden layers draws",
)

SMOOTHED = {"l2": 0.35, "total_variation": 0.35}
"""Penalties of the smoothed ascent, for logits whose mean slope is 1: weights that are all twice as large draw alike."""

RESTARTS, STEPS = 4, 200

_N_DARK = 20
"""Images on which the slope of the logits is measured."""

_LINEAR = TrainingConfig(epochs=5, batch_size=50, learning_rate=0.1)
_LINEAR_LEARNS = 10_000
"""Training images of the linear softmax, at most: 89 to 91% of MNIST's test images are right then."""


class Drawing(Result):
    """What a network draws, beside images of the data and images that are none.

    Attributes
    ----------
    class_names : tuple of str
        Names of the classes.
    noun : str
        What an image shows, such as "digit".
    n_restarts : int
        Optimized images of each class; they are in `kinds[0]`, class by class.
    values : ndarray of shape (n_classes, n_restarts)
        The logit that each reaches in the network.
    best : ndarray of shape (n_classes,), int64
        Index of each class's highest among its restarts.
    nearest : ndarray of shape (n_classes, *image_shape)
        The training image nearest to the best one of each class.
    nearest_classes : ndarray of shape (n_classes,), int64
        The classes of these.
    kinds : tuple of DrawnImages
        "optimized" and "smoothed" are this network's; for comparison: "real" are images of the data, "class means", "noise"
        and "shuffled" are not.
    artists : tuple of Artist
        This network; with controls an untrained one and one that learned random labels; and a linear softmax.
    classes_drawn : ndarray of shape (n_networks,), int64
        Classes that each trained control network draws; empty without control networks.
    verdicts : tuple of Verdict
        About this network; the control networks stand beside it.
    """

    class_names: tuple[str, ...]
    noun: str
    n_restarts: int
    values: Array
    best: npt.NDArray[np.int64]
    nearest: Array
    nearest_classes: npt.NDArray[np.int64]
    kinds: tuple[DrawnImages, ...]
    artists: tuple[Artist, ...]
    classes_drawn: npt.NDArray[np.int64]
    verdicts: tuple[Verdict, ...]

    @property
    def judges(self) -> tuple[str, ...]:
        """Who says which class an image shows, in the order of `DrawnImages.judged`."""
        return JUDGES

    @property
    def n_classes(self) -> int:
        """Number of classes."""
        return len(self.class_names)

    @property
    def n_drawn(self) -> int:
        """Classes that this network draws."""
        return self.artists[0].n_drawn

    @property
    def best_indices(self) -> npt.NDArray[np.int64]:
        """Index of each class's best image in `kinds[0]`: (n_classes,)."""
        return np.asarray(np.arange(len(self.best)) * self.n_restarts + self.best)

    def columns(self) -> Columns:
        """Return one row for each kind of image."""
        columns: Columns = {
            "images": [kind.label for kind in self.kinds],
            "drawn": [kind.drawn_share for kind in self.kinds],
            "plausible": [kind.plausible_share for kind in self.kinds],
        }
        columns |= {
            name: [kind.median_percentiles[k] for kind in self.kinds] for k, name in enumerate(MEASURES)
        }
        return columns | {judge: [kind.agreement[k] for kind in self.kinds] for k, judge in enumerate(JUDGES)}

    def kind(self, name: str) -> DrawnImages:
        """Return the images of one kind.

        Raises
        ------
        InputError
            If there is no such kind.
        """
        kinds = {kind.name: kind for kind in self.kinds}
        return kinds[check_choice("name", name, kinds)]


@checked
def drawing(
    network: Network,
    split: Split,
    *,
    controls: Controls | None = None,
    restarts: Annotated[int, AtLeast(1)] = RESTARTS,
    steps: Annotated[int, AtLeast(1)] = STEPS,
    l2: float = 0.0,
    total_variation: float = 0.0,
    seed: int | np.random.Generator = 0,
    progress: ShownProgress = "auto",
) -> Drawing:
    """Let a network draw every class, and have others judge what comes out.

    From random images, gradient ascent in [0, 1] raises the logit of each class, as it is and smoothed. An image counts as
    drawn if it could be real and is recognized by others. It could be real if held-out test images are as far from training
    images, as rough and as dark, and if it is taken for one image and not for a mixture of several. Those who recognize it
    do not know the network: nearest neighbors, and logistic regression on principal components. Networks of other seeds are
    asked too, and do not count. That the network itself recognizes its images means nothing: they were made for it.

    Parameters
    ----------
    network : Network
        A network that was trained on such data.
    split : Split
        Data.
    controls : Controls, optional
        From `probe.control_networks`. They draw too: the trained ones beside the verdict, one untrained and one that learned
        random labels in the picture.
    restarts : int
        Random starts for each class, at least 1.
    steps : int
        Steps of each ascent, at least 1.
    l2, total_variation : float
        Weights of the penalties of the plain ascent, at least 0; see `probe.maximize`.
    seed : int or numpy.random.Generator
        Draws starts, references and the other kinds of images.
    progress : callable, "auto" or None
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
    >>> found.kind("optimized").percentiles.shape
    (20, 4)
    """
    assert callable(progress)
    network = fitted(network, split)
    if controls is not None:
        controls.check_of(network)
    start_rng, jury_rng, kinds_rng = generator(seed).spawn(3)
    studio = _Studio(
        Jury(split, jury_rng, is_kept=True),
        restarts,
        steps,
        {"l2": l2, "total_variation": total_variation},
        start_rng,
    )
    own, values = studio.drawn_by("network", network, controls)
    artists, others = [own], list[Artist]()
    if controls is not None:
        beside = {"untrained": controls.untrained, "random-label": controls.random_label}
        artists += [studio.drawn_beside(name, group.network(0)) for name, group in beside.items()]
        for k, artist in enumerate(controls.like_it):
            others.append(studio.drawn_beside("network", artist))
            progress(ProgressEvent(f"drawing {split.noun}s", k + 1, len(controls)))
    artists.append(studio.drawn_beside("linear", fitted(_linear_softmax(split), split)))
    references = _reference_images(split, kinds_rng)
    best = values.argmax(axis=1)
    nearest, nearest_classes = studio.jury.nearest(own.plain.images[np.arange(len(best)) * restarts + best])
    result = Drawing(
        class_names=split.train.class_names,
        noun=split.noun,
        n_restarts=restarts,
        values=values,
        best=best,
        nearest=nearest,
        nearest_classes=nearest_classes,
        kinds=(
            own.plain,
            own.smoothed,
            *(studio.jury.judge(name, *images, controls) for name, images in references.items()),
        ),
        artists=tuple(artists),
        classes_drawn=np.array([other.n_drawn for other in others], np.int64),
        verdicts=(),
    )
    return _with_verdicts(result, others, is_deep=_has_hidden_layers(network))


@checked
def primary_estimates(network: Network, split: Split, *, seed: int = 0) -> dict[str, Estimate]:
    """Return the statistic of the claim "drawing" as `drawing` measures it, and nothing else of what it measures.

    The judges are made once for data and seed.

    Examples
    --------
    >>> import probe
    >>> split = probe.load_dataset("digits")
    >>> network = probe.train(probe.MLP(hidden=(16,)), split).network
    >>> found = primary_estimates(network, split)["drawing"].interval
    >>> found == drawing(network, split).verdicts[0].interval
    True
    """
    start_rng, _, _ = generator(seed).spawn(3)
    studio = _Studio(_jury(split, seed), RESTARTS, STEPS, {}, start_rng)
    return {DRAWS.key: _share(studio.drawn_by("network", fitted(network, split))[0])}


@lru_cache(maxsize=2)
def _jury(split: Split, seed: int) -> Jury:
    return Jury(split, generator(seed).spawn(3)[1])


class _Studio:
    """Where all networks draw alike: from the same starts, before the same jury."""

    def __init__(
        self, jury: Jury, restarts: int, steps: int, penalties: dict[str, Any], rng: np.random.Generator
    ) -> None:
        self.jury, self._restarts, self._steps, self._penalties = jury, restarts, steps, penalties
        self._start = int(rng.integers(2**31))

    def drawn_beside(self, name: str, artist: Network) -> Artist:
        """Return what a network draws that others may be held against too, and which is kept for them."""
        depends = artist, self.jury.key, self._restarts, self._steps, self._penalties, self._start
        return kept(Artist, "artist", lambda: self.drawn_by(name, artist)[0], name, *depends)

    def drawn_by(self, name: str, artist: Network, controls: Controls | None = None) -> tuple[Artist, Array]:
        """Return what a network draws, and the logits of its plain images (n_classes, n_restarts)."""
        logits = [class_logit(k) for k in range(artist.n_classes)]
        slope = self._slope(artist)
        smooth: dict[str, Any] = {name: weight * slope for name, weight in SMOOTHED.items()}
        plain, smoothed = (
            ascend(artist, logits, restarts=self._restarts, steps=self._steps, seed=self._start, **penalties)
            for penalties in (self._penalties, smooth)
        )
        intended = np.repeat(np.arange(artist.n_classes), self._restarts)
        images = [
            np.asarray(each.images, np.float32).reshape(-1, *artist.input_shape) for each in (plain, smoothed)
        ]
        judged = [
            self.jury.judge(kind, drawn, intended, controls)
            for kind, drawn in zip(("optimized", "smoothed"), images, strict=True)
        ]
        return Artist(name=name, plain=judged[0], smoothed=judged[1]), plain.values

    def _slope(self, artist: Network) -> float:
        """Return the mean absolute slope of the logits over the pixels of dark random images."""
        shape = (_N_DARK, *artist.input_shape)
        dark = (0.3 * np.random.default_rng(self._start).random(shape)).astype(np.float32)
        slopes = [artist.input_gradient(dark, class_logit(k)) for k in range(artist.n_classes)]
        return float(np.mean([np.abs(each).mean() for each in slopes]))


def _linear_softmax(split: Split) -> Network:
    """Return a network without hidden layers, trained on some of the images."""
    data = split.train
    if len(data) > _LINEAR_LEARNS:
        data = data.sample(_LINEAR_LEARNS, rng=np.random.default_rng(0))
    config = replace(_LINEAR, epochs=max(_LINEAR.epochs, 20_000 // len(data)))
    part = Split(data, split.test, split.name)

    def trained() -> TrainingResult:
        result = train(MLP(hidden=()), part, config, seed=0)
        if result.interrupted:
            raise KeyboardInterrupt
        return result

    return kept(TrainingResult, "linear", trained, part, config).network


def _has_hidden_layers(network: Network) -> bool:
    return any(layer.has_kernels and layer.name != network.head_name for layer in network.layers)


def _reference_images(
    split: Split, rng: np.random.Generator
) -> dict[str, tuple[Array, npt.NDArray[np.int64]]]:
    """Return images of the data, and images that are none, with the classes that they should show."""
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


def _share(artist: Artist) -> Estimate:
    """Return the share of the classes that a network draws."""
    return count_estimate(artist.n_drawn, len(artist.draws))


def _with_verdicts(result: Drawing, others: list[Artist], *, is_deep: bool) -> Drawing:
    own, linear, real = result.artists[0], result.artists[-1], result.kind("real")
    what = "its classes" if result.noun == "image" else f"a {result.noun}"
    verdicts = [
        DRAWS.verdict(
            _share(own),
            f"It draws {own.n_drawn} of {result.n_classes} classes: most images of such a class could be real, and others "
            f"recognize them. This is so for {own.plain.drawn_share:.0%} of all its images, {own.smoothed.drawn_share:.0%} "
            f"of the smoothed ones, and {real.drawn_share:.0%} of held-out images.",
            others=[_share(other) for other in others],
            title=f"The network has no idea how to draw {what}",
        )
    ]
    # Where neither draws anything there is nothing that hidden layers could be seen to add.
    if is_deep and (own.n_drawn or linear.n_drawn):

        def added(artist: Artist) -> Estimate:
            return mean_estimate(artist.draws.astype(np.float64) - linear.draws)

        verdicts.append(
            DEPTH.verdict(
                added(own),
                f"Of {result.n_classes} classes it draws {own.n_drawn}, and a linear softmax, which has no hidden layers, "
                f"{linear.n_drawn}.",
                others=[added(other) for other in others],
            )
        )
    return replace(result, verdicts=tuple(verdicts))
