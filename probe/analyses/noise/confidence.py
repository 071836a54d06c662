"""How confident a network is on images that are no digits."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from probe._checks import Array, InputError, check_integer, generator
from probe._signatures import checked
from probe.analyses.noise.readers import (
    KINDS,
    SCORES,
    THRESHOLDS,
    Read,
    Reader,
    auroc_over_images,
    temperatures_of,
)
from probe.datasets import Dataset, Split, gaussian_noise, norm_matched_noise, pixel_shuffled, uniform_noise
from probe.fitting import fitted
from probe.network import Network
from probe.results import Columns, Record
from probe.stats import Interval

__all__ = ["ConditionConfidence", "NoiseConfidence", "noise_confidence"]


class ConditionConfidence(Record):
    """A network's confidence on one kind of image.

    Attributes
    ----------
    name : str
        Kind of image.
    confidences : ndarray of shape (n_images,), in [0, 1]
        Largest output for each image.
    share_above : float, in [0, 1]
        Share of images with a confidence above `NoiseConfidence.threshold`. Compared, as for `auroc`, before
        rounding: by the log-odds of the predicted class, since confidences near 1 are all the same float.
    class_shares : ndarray of shape (n_classes,), in [0, 1]
        Share of images that is put in each class.
    entropy : float, in [0, log2(n_classes)]
        Entropy of `class_shares` in bits: 0 if every image is put in one class.
    auroc : float, in [0, 1], or NaN
        Probability that a real image gets a higher confidence than one of these, with ties counted
        half: 0.5 if confidence tells nothing, 1 if it tells them apart. NaN for the real images.
    auroc_over_images : Interval or None
        `auroc` with DeLong's 95% interval: other images would give another number within it. It says nothing of other
        networks, which `noise_severity` does. None for the real images.
    shares_confident : ndarray of shape (3,), in [0, 1]
        Share of images with a largest output of at least each of `THRESHOLDS`: 0.5, 0.9 and 0.99.
    score_aurocs : ndarray of shape (3,), in [0, 1], or NaN
        As `auroc`, real images positive, by each of `SCORES`: maximum softmax, maximum logit, and energy. NaN for the
        real images.
    """

    name: str
    confidences: Array
    share_above: float
    class_shares: Array
    entropy: float
    auroc: float
    auroc_over_images: Interval | None
    shares_confident: Array
    score_aurocs: Array

    @property
    def label(self) -> str:
        """Kind of image, in words."""
        return KINDS[self.name]

    @property
    def n_images(self) -> int:
        """Number of images."""
        return len(self.confidences)

    @property
    def median(self) -> float:
        """Median confidence."""
        return float(np.median(self.confidences))


class NoiseConfidence(Read):
    """A network's confidence on real images and on four kinds of noise.

    Attributes
    ----------
    conditions : tuple of ConditionConfidence
        "real", "uniform", "gaussian", "shuffled" and "norm-matched", in this order.
    threshold : float, in [0, 1]
        Median confidence of the correctly classified real images.
    accuracy : float, in [0, 1]
        Share of the real images that is classified right.
    class_names : tuple of str
        Names of the classes.
    examples : ndarray of shape (n_conditions, n_examples, *image_shape), in [0, 1]
        A few images of each kind.
    calibration_error : float, in [0, 1]
        Expected calibration error on real images: the distance between mean confidence and accuracy in each of 15 equally
        wide bins of confidence, averaged with the images in each as weights. Over half of the real images.
    temperature : float
        By which the logits are divided so that the cross-entropy on the other half of the real images is least: above 1
        if the network is too sure.
    scaled_calibration_error : float, in [0, 1]
        The calibration error with the logits divided by `temperature`. All three are NaN of a single image.
    """

    conditions: tuple[ConditionConfidence, ...]
    threshold: float
    accuracy: float
    class_names: tuple[str, ...]
    examples: Array
    calibration_error: float
    temperature: float
    scaled_calibration_error: float

    @property
    def largest_entropy(self) -> float:
        """Entropy of predicted classes that are all alike, in bits."""
        return float(np.log2(len(self.class_names)))

    def columns(self) -> Columns:
        """Return one row for each kind of image."""
        conditions = self.conditions
        columns: Columns = {"images": [condition.label for condition in conditions]}
        for name in ("median", "share_above", "entropy", "auroc"):
            columns[name] = [getattr(condition, name) for condition in conditions]
        for index, threshold in enumerate(THRESHOLDS):
            columns[f"share_of_{threshold:g}"] = [
                condition.shares_confident[index] for condition in conditions
            ]
        return columns

    def condition(self, name: str) -> ConditionConfidence:
        """Return the condition called `name`."""
        return next(condition for condition in self.conditions if condition.name == name)


@checked
def noise_confidence(
    network: Network, split: Split, *, n_images: int | None = None, seed: int | np.random.Generator = 0
) -> NoiseConfidence:
    """Compare a network's confidence on test images with that on noise.

    Four kinds of noise, as many images of each as of real ones: "uniform" on [0, 1]; "gaussian" with the
    mean and standard deviation of the test pixels, clipped to [0, 1]; "shuffled": test images with the
    pixels of each in random order; "norm-matched": uniform noise scaled to the Euclidean norms of the test
    images. How confident the network is on noise (`share_above`), in how many classes it puts it
    (`entropy`) and whether its confidence tells noise from real images (`auroc`) are separate questions.

    Parameters
    ----------
    network : Network
        A network that was trained on such data.
    split : Split
        Data. The test images are used; their labels define the threshold.
    n_images : int, optional
        Test images to use, drawn at random; all by default.
    seed : int or numpy.random.Generator
        Draws the noise, and the test images if not all are used.

    Raises
    ------
    InputError
        If the image shape or the classes do not fit, or no image is classified right.

    References
    ----------
    .. [1] D. Hendrycks, K. Gimpel, "A Baseline for Detecting Misclassified and Out-of-Distribution
       Examples in Neural Networks", ICLR 2017.
    .. [2] C. Guo et al., "On Calibration of Modern Neural Networks", ICML 2017 (temperature, calibration error).
    .. [3] W. Liu et al., "Energy-based Out-of-distribution Detection", NeurIPS 2020.
    .. [4] D. Hendrycks et al., "Scaling Out-of-Distribution Detection for Real-World Settings", ICML 2022
       (maximum logit).
    """
    network = fitted(network, split)
    test, rng = split.test, generator(seed)
    if n_images is not None:
        check_integer("n_images", n_images, minimum=1, maximum=len(test))
        test = test.sample(n_images, rng=rng)
    rngs = rng.spawn(5)
    images = {
        "real": test.images,
        "uniform": uniform_noise(len(test), test.image_shape, rng=rngs[0]),
        "gaussian": gaussian_noise(len(test), test.images, rng=rngs[1]),
        "shuffled": pixel_shuffled(test.images, rng=rngs[2]),
        "norm-matched": norm_matched_noise(test.images, rng=rngs[3]),
    }
    reader = Reader(lambda x: network.logits(x).T[None], network.output_name)
    seen = {name: _Seen.by(network, x) for name, x in images.items()}
    real = seen["real"]
    correct = real.predictions == test.labels
    if not correct.any():
        raise InputError(
            "the network classifies no test image right, so its confidence on them is no threshold"
        )
    threshold = float(np.median(real.scores[correct]))
    calibration_error, temperature, scaled_calibration_error = _calibration(reader, test, rngs[4])
    return NoiseConfidence(
        conditions=tuple(
            _condition(name, found, real, threshold, network.n_classes) for name, found in seen.items()
        ),
        threshold=float(np.median(real.confidences[correct])),
        accuracy=float(correct.mean()),
        class_names=network.class_names,
        examples=np.stack([x[:10] for x in images.values()]),
        calibration_error=calibration_error,
        temperature=temperature,
        scaled_calibration_error=scaled_calibration_error,
    )


def _calibration(reader: Reader, test: Dataset, rng: np.random.Generator) -> tuple[float, float, float]:
    """Return the calibration error, the temperature, and the error with it; NaN of a single image."""
    if len(test) < 2:
        return np.nan, np.nan, np.nan
    fitted_on, judged_on = (
        test.take(np.sort(half)) for half in np.array_split(rng.permutation(len(test)), 2)
    )
    temperatures = temperatures_of(reader, fitted_on.images, fitted_on.labels)
    before, after = (
        float(reader.calibration_error(judged_on.images, judged_on.labels, scale)[0])
        for scale in (None, temperatures)
    )
    return before, float(temperatures[0]), after


@dataclass(frozen=True, slots=True, eq=False)
class _Seen:
    """What a network says of some images."""

    confidences: Array
    scores: Array
    predictions: npt.NDArray[np.int64]
    largest_logits: Array
    energies: Array

    @property
    def by_score(self) -> tuple[Array, Array, Array]:
        """What orders images as each of `SCORES` does, and does not saturate."""
        return self.scores, self.largest_logits, self.energies

    @classmethod
    def by(cls, network: Network, x: Array) -> _Seen:
        """Return the largest output, the same on a scale that does not saturate, and the class."""
        from scipy.special import logsumexp

        logits = network.logits(x).astype(np.float64)
        places = np.arange(len(logits)), logits.argmax(axis=1)
        scores = logits[places]
        if network.output_name != "sigmoid":
            others = logits.copy()
            others[places] = -np.inf
            scores = scores - logsumexp(others, axis=1)
        confidences = network.predict_proba(x).max(axis=1)
        return cls(confidences, scores, places[1], logits[places], logsumexp(logits, axis=1))


def _condition(name: str, found: _Seen, real: _Seen, threshold: float, n_classes: int) -> ConditionConfidence:
    from scipy.stats import entropy
    from sklearn.metrics import roc_auc_score

    counts = np.bincount(found.predictions, minlength=n_classes)
    auroc, over_images, by_score = np.nan, None, np.full(len(SCORES), np.nan)
    if name != "real":
        is_real: npt.NDArray[np.int64] = np.repeat([1, 0], [len(real.scores), len(found.scores)])
        by_score = np.array(
            [
                roc_auc_score(is_real, np.concatenate(pair))
                for pair in zip(real.by_score, found.by_score, strict=True)
            ]
        )
        auroc, over_images = float(by_score[0]), auroc_over_images(real.scores, found.scores)
    return ConditionConfidence(
        name=name,
        confidences=found.confidences,
        share_above=float((found.scores > threshold).mean()),
        class_shares=counts / counts.sum(),
        entropy=float(entropy(counts, base=2)),
        auroc=auroc,
        auroc_over_images=over_images,
        shares_confident=np.array([(found.confidences >= limit).mean() for limit in THRESHOLDS]),
        score_aurocs=by_score,
    )
