"""Whether a network can draw: the images it likes best, judged by others than itself."""

from __future__ import annotations

from typing import Annotated

import numpy as np
import numpy.typing as npt

from probe._checks import Array, check_choice, generator
from probe._progress import Progress, ProgressEvent, silent
from probe._signatures import AtLeast, checked
from probe.analyses.drawing._jury import JUDGES, MEASURES, PLAUSIBLE, DrawnImages, Jury
from probe.ascent import ascend
from probe.controls import Controls
from probe.datasets import Split, pixel_shuffled, uniform_noise
from probe.fitting import fitted
from probe.network import Network
from probe.objectives import class_logit
from probe.results import Columns, Result
from probe.stats import Verdict, paired_difference
from probe.stats.verdict import opposite

__all__ = ["Drawing", "drawing"]

_HALF = 0.5
"""Share of plausible images from which a network is said to draw."""


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
    plausible_share : ndarray of shape (n_networks,), in [0, 1]
        Of each trained control network's own optimized images; empty without control networks.
    recognized_share : ndarray of shape (n_networks,), in [0, 1]
        Share of each control network's images in which judges see what was intended: the mean of nearest neighbors and
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
    recognized_share: Array
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

    def drawn_by(artist: Network) -> tuple[Array, Array]:
        climbed = ascend(
            artist,
            [class_logit(k) for k in range(n_classes)],
            restarts=restarts,
            steps=steps,
            l2=l2,
            total_variation=total_variation,
            seed=start,
        )
        return climbed.images.reshape(-1, *artist.input_shape).astype(np.float32), climbed.values

    jury = Jury(split, controls, references)
    images, values = drawn_by(network)
    intended = np.repeat(np.arange(n_classes), restarts)
    kinds = (
        jury.judge("optimized", images, intended),
        *(jury.judge(name, *others) for name, others in _reference_images(split, kinds_rng).items()),
    )
    plausible, recognized, verdicts = np.empty(0), np.empty(0), tuple[Verdict, ...]()
    if controls is not None:
        shares = []
        for k, artist in enumerate(controls.trained.networks()):
            judged = jury.judge("optimized", drawn_by(artist)[0], intended, networks=False)
            shares.append((judged.plausible_share, judged.recognized_share))
            progress(ProgressEvent("drawing digits", k + 1, len(controls)))
        plausible, recognized = (np.array(column) for column in zip(*shares, strict=True))
        verdicts = _verdicts(plausible, recognized, n_classes, kinds, controls)
    best = values.argmax(axis=1)
    nearest, nearest_classes = jury.nearest(images[np.arange(n_classes) * restarts + best])
    return Drawing(
        class_names=split.train.class_names,
        n_restarts=restarts,
        values=values,
        best=best,
        nearest=nearest,
        nearest_classes=nearest_classes,
        kinds=kinds,
        plausible_share=plausible,
        recognized_share=recognized,
        verdicts=verdicts,
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


def _verdicts(
    plausible: npt.NDArray[np.float64],
    recognized: npt.NDArray[np.float64],
    n_classes: int,
    kinds: tuple[DrawnImages, ...],
    controls: Controls,
) -> tuple[Verdict, ...]:
    draws, seen = paired_difference(plausible), paired_difference(recognized)
    real = next(kind for kind in kinds if kind.name == "real")
    return (
        draws.verdict(
            key="plausible",
            title="The network has no idea how to draw a digit",
            decision=opposite(draws.decision(_HALF)),
            statistic_name="share of drawn images",
            unit="share",
            null=f"half of what a network draws is as close to real images as {PLAUSIBLE:.0%} of held-out ones are",
            sentence=(
                f"Of what a network draws, {draws:.0%} is as close to training images, by distance and by what principal "
                f"components leave over, as {PLAUSIBLE:.0%} of held-out images are; of held-out images themselves "
                f"{real.plausible_share:.0%}.{controls.caveat}"
            ),
        ),
        seen.verdict(
            key="recognized",
            title="Others recognize what the network draws",
            above=1 / n_classes,
            statistic_name="share of drawn images",
            unit="share",
            null=f"judges see the class that was meant by chance, {1 / n_classes:.0%}",
            sentence=(
                f"Nearest neighbors and logistic regression see the class that was meant in {seen:.0%} of what a network "
                f"draws; in held-out images in {real.recognized_share:.0%}.{controls.caveat}"
            ),
        ),
    )
