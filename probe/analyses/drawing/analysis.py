"""Whether a network can draw: the images it likes best, judged by others than itself."""

from __future__ import annotations

from typing import Annotated

import numpy as np
import numpy.typing as npt

from probe._checks import Array, check_choice, generator
from probe._progress import Progress, ProgressEvent, silent
from probe._signatures import AtLeast, checked
from probe.analyses.drawing._jury import JUDGES, MEASURES, DrawnImages, Jury
from probe.ascent import ascend
from probe.controls import Controls
from probe.datasets import Split, pixel_shuffled, uniform_noise
from probe.fitting import fitted
from probe.network import Network
from probe.objectives import class_logit
from probe.results import Columns, Result
from probe.stats import Claim, Estimate, Verdict, count_estimate

__all__ = ["Drawing", "drawing"]

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

SMOOTHED = {"l2": 0.02, "total_variation": 0.05}
"""Penalties of the smoothed ascent."""


class Drawing(Result):
    """What a network draws, beside images that are digits and images that are not.

    Attributes
    ----------
    class_names : tuple of str
        Names of the classes.
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
        "optimized", and for comparison: "real" and "class means" are digits, "noise" and "shuffled" are not.
    smoothed : DrawnImages
        What the network draws where roughness and ink are penalized, judged in the same way.
    classes_drawn : ndarray of shape (n_networks,), in [0, 1]
        Share of the classes that each trained control network draws; empty without control networks.
    verdicts : tuple of Verdict
        About this network; the control networks stand beside it.
    """

    class_names: tuple[str, ...]
    n_restarts: int
    values: Array
    best: npt.NDArray[np.int64]
    nearest: Array
    nearest_classes: npt.NDArray[np.int64]
    kinds: tuple[DrawnImages, ...]
    smoothed: DrawnImages
    classes_drawn: Array
    verdicts: tuple[Verdict, ...]

    @property
    def judges(self) -> tuple[str, ...]:
        """Who says which class an image shows, in the order of `DrawnImages.judged`."""
        return JUDGES

    @property
    def best_indices(self) -> npt.NDArray[np.int64]:
        """Index of each class's best image in `kinds[0]`: (n_classes,)."""
        return np.asarray(np.arange(len(self.best)) * self.n_restarts + self.best)

    def columns(self) -> Columns:
        """Return one row for each kind of image."""
        columns: Columns = {
            "images": [kind.label for kind in self.kinds],
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
    restarts: Annotated[int, AtLeast(1)] = 4,
    steps: Annotated[int, AtLeast(1)] = 200,
    l2: float = 0.0,
    total_variation: float = 0.0,
    seed: int | np.random.Generator = 0,
    progress: Progress = silent,
) -> Drawing:
    """Let a network draw every class, and have others judge what comes out.

    From random images, gradient ascent in [0, 1] raises the logit of each class. The results are compared with training
    images; held-out test images show which distances are usual. Then judges that do not know the network say which
    class they see: nearest neighbors, logistic regression on principal components, and networks of other seeds. That
    the network itself recognizes them means nothing: they were made for it.

    Parameters
    ----------
    network : Network
        A network that was trained on such data.
    split : Split
        Data.
    controls : Controls, optional
        From `probe.control_networks`. They judge the images, and the verdicts are about their own drawings.
    restarts : int
        Random starts for each class, at least 1.
    steps : int
        Steps of each ascent, at least 1.
    l2, total_variation : float
        Weights of the penalties of the ascent, at least 0; see `probe.maximize`.
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
    >>> found.kind("optimized").percentiles.shape
    (20, 4)
    """
    network = fitted(network, split)
    if controls is not None:
        controls.check_of(network)
    starts, references, kinds_rng = generator(seed).spawn(3)
    n_classes, start = network.n_classes, int(starts.integers(2**31))

    jury = Jury(split, controls, references)
    intended = np.repeat(np.arange(n_classes), restarts)

    def drawn_by(artist: Network, *, networks: bool) -> tuple[DrawnImages, DrawnImages, Array]:
        judged, values = list[DrawnImages](), list[Array]()
        for penalties in ({"l2": l2, "total_variation": total_variation}, SMOOTHED):
            logits = [class_logit(k) for k in range(n_classes)]
            climbed = ascend(artist, logits, restarts=restarts, steps=steps, seed=start, **penalties)
            images = climbed.images.reshape(-1, *artist.input_shape).astype(np.float32)
            judged.append(jury.judge("optimized", images, intended, networks=networks))
            values.append(climbed.values)
        return judged[0], judged[1], values[0]

    own, smoothed, values = drawn_by(network, networks=True)
    kinds = (
        own,
        *(jury.judge(name, *others) for name, others in _reference_images(split, kinds_rng).items()),
    )
    others = list[Estimate]()
    for k, artist in enumerate(() if controls is None else controls.trained.networks()):
        others.append(_classes_drawn(*drawn_by(artist, networks=False)[:2]))
        progress(ProgressEvent(f"drawing {split.noun}s", k + 1, 0 if controls is None else len(controls)))
    best = values.argmax(axis=1)
    nearest, nearest_classes = jury.nearest(own.images[np.arange(n_classes) * restarts + best])
    return Drawing(
        class_names=split.train.class_names,
        n_restarts=restarts,
        values=values,
        best=best,
        nearest=nearest,
        nearest_classes=nearest_classes,
        kinds=kinds,
        smoothed=smoothed,
        classes_drawn=np.array([other.interval.estimate for other in others]),
        verdicts=(_verdict(own, smoothed, kinds, others, split.noun),),
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


def _verdict(
    own: DrawnImages, smoothed: DrawnImages, kinds: tuple[DrawnImages, ...], others: list[Estimate], noun: str
) -> Verdict:
    real = next(kind for kind in kinds if kind.name == "real")
    found = _classes_drawn(own, smoothed)
    return DRAWS.verdict(
        found,
        f"Of {found.interval.n} classes the network draws {round(found.interval.estimate * found.interval.n)}: most images "
        f"of these could be real ones and are recognized by others. Of all its images this is so for {own.drawn_share:.0%}, "
        f"of the smoothed ones for {smoothed.drawn_share:.0%}; of held-out images for {real.drawn_share:.0%}.",
        others=others,
        title=f"The network has no idea how to draw a {noun}",
    )


def _classes_drawn(plain: DrawnImages, smoothed: DrawnImages) -> Estimate:
    """Return for how many classes most images are drawn, by the plain or by the smoothed ascent."""
    classes = np.unique(plain.intended)
    drawn = [
        max(float(images.drawn[images.intended == k].mean()) for images in (plain, smoothed)) > 0.5
        for k in classes
    ]
    return count_estimate(int(np.sum(drawn)), len(classes))
