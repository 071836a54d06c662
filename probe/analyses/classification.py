"""How well a network classifies test images: what it takes for what, how surely, and how far that can be trusted."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.special import expit, log_expit, log_softmax, logsumexp, softmax

from probe._checks import Array, check_integer, chunks, generator
from probe._signatures import checked
from probe.datasets import Split
from probe.fitting import fitted
from probe.network import Network
from probe.results import Columns, Record, Result
from probe.stats import Interval, count_estimate

__all__ = ["BINS", "Calibration", "Classification", "JudgedImages", "classification"]

BINS = 15
"""Equally wide bins of confidence from 0 to 1."""

_SURE = 0.9
"""Confidence from which a wrong answer counts as given with confidence."""

_N_WRONG, _N_OTHERS = 20, 10
"""Images that are kept of those that the network is wrong about, and of each other kind."""

_N_PAIRS = 5
"""Pairs of classes that are named: those that are confused most often."""

_PART = 500
"""Images at a time."""


class JudgedImages(Record):
    """Some test images, and what the network says of them.

    Attributes
    ----------
    images : ndarray of shape (n_images, *image_shape), in [0, 1]
    indices : ndarray of shape (n_images,), int64
        Which of the test images they are.
    labels, predictions : ndarray of shape (n_images,), int64
        Their classes, and those that the network names.
    confidences : ndarray of shape (n_images,), in [0, 1]
        Its output for the class that it names.
    """

    images: Array
    indices: npt.NDArray[np.int64]
    labels: npt.NDArray[np.int64]
    predictions: npt.NDArray[np.int64]
    confidences: Array


class Calibration(Record):
    """How often the network is right where it is so sure: over `BINS` equally wide bins of confidence.

    Attributes
    ----------
    counts : ndarray of shape (n_bins,), int64
        Images in each bin.
    confidences : ndarray of shape (n_bins,), in [0, 1], or NaN
        Their mean confidence; NaN of an empty bin.
    accuracies, low, high : ndarray of shape (n_bins,), in [0, 1], or NaN
        Share of them that the network is right about, with Clopper and Pearson's exact 95% interval.
    error : float, in [0, 1]
        Expected calibration error: the distance between accuracy and mean confidence, averaged over the images.
    """

    counts: npt.NDArray[np.int64]
    confidences: Array
    accuracies: Array
    low: Array
    high: Array
    error: float


class Classification(Result):
    """How well a network classifies test images.

    Attributes
    ----------
    class_names : tuple of str
    noun : str
        What one image is called.
    confusion : ndarray of shape (n_classes, n_classes), int64
        Images of each class (rows) that the network puts in each class (columns).
    accuracy : Interval
        Share of the images that it puts in their class, with the exact 95% interval over images.
    top_5_accuracy : float, in [0, 1], or NaN
        Share of the images whose class is among the five with the largest outputs; NaN for five classes or fewer.
    n_sure_and_wrong : int
        Images that it is wrong about with a confidence of at least 0.9.
    wrong : JudgedImages
        The images that it is wrong about with the highest confidence, the highest first; 20 at most.
    surest : JudgedImages
        Those that it is right about with the highest confidence; 10 at most.
    least_sure : JudgedImages
        Those with the lowest confidence, the lowest first; 10 at most.
    calibration : Calibration
    brier_score : float, at least 0
        Squared differences between the outputs and what they should be (1 for the class, 0 for the others), summed over the
        classes and averaged over the images. 0 is perfect.
    log_loss : float
        Mean of the negative logarithm of the output for the class, in nats; sigmoid outputs are divided by their sum first.
    """

    class_names: tuple[str, ...]
    noun: str
    confusion: npt.NDArray[np.int64]
    accuracy: Interval
    top_5_accuracy: float
    n_sure_and_wrong: int
    wrong: JudgedImages
    surest: JudgedImages
    least_sure: JudgedImages
    calibration: Calibration
    brier_score: float
    log_loss: float

    def summary(self) -> str:
        """Return the accuracy with its interval, and the other numbers, in lines of text."""
        first, *numbers = Result.summary(self).splitlines()
        return "\n".join([first, f"accuracy: {self.accuracy:.2%;images}", *numbers])

    @property
    def n_images(self) -> int:
        """Test images that were classified."""
        return int(self.confusion.sum())

    @property
    def n_wrong(self) -> int:
        """Images that the network puts in a wrong class."""
        return self.n_images - int(np.trace(self.confusion))

    @property
    def sure(self) -> float:
        """Confidence from which a wrong answer counts as given with confidence."""
        return _SURE

    @property
    def chance(self) -> float:
        """How often answers would be right that have nothing to do with the images, but name each class as often."""
        return float((self.confusion.sum(axis=0) * self.confusion.sum(axis=1)).sum() / self.n_images**2)

    @property
    def precision(self) -> Array:
        """Share of the images put in each class that belong there, of shape (n_classes,); NaN where there are none."""
        return _share(np.diag(self.confusion), self.confusion.sum(axis=0))

    @property
    def recall(self) -> Array:
        """Share of the images of each class that are put there, of shape (n_classes,); NaN where there are none."""
        return _share(np.diag(self.confusion), self.confusion.sum(axis=1))

    @property
    def f1(self) -> Array:
        """Harmonic mean of precision and recall, of shape (n_classes,); NaN for a class without images and answers."""
        return _share(2 * np.diag(self.confusion), self.confusion.sum(axis=0) + self.confusion.sum(axis=1))

    @property
    def most_confused(self) -> tuple[tuple[str, str, int], ...]:
        """The class, the class named in its place, and how often, of the five pairs that are confused most often."""
        errors = self.confusion - np.diag(np.diag(self.confusion))
        order = np.argsort(-errors, axis=None, kind="stable")[:_N_PAIRS]
        pairs = [np.unravel_index(index, errors.shape) for index in order]
        return tuple(
            (self.class_names[row], self.class_names[column], int(errors[row, column]))
            for row, column in pairs
            if errors[row, column]
        )

    def columns(self) -> Columns:
        """Return one row for each class."""
        return {
            "class": self.class_names,
            "n_images": self.confusion.sum(axis=1),
            "n_named": self.confusion.sum(axis=0),
            "precision": self.precision,
            "recall": self.recall,
            "f1": self.f1,
        }


@checked
def classification(
    network: Network,
    split: Split,
    *,
    n_images: int | None = None,
    seed: int | np.random.Generator = 0,
) -> Classification:
    """Classify test images, and say what the network takes for what, how surely, and how far that can be trusted.

    The confidence of an answer is the network's output for the class that it names.

    Parameters
    ----------
    network : Network
        A network that was trained on such data.
    split : Split
        Data. The test images are used.
    n_images : int, optional
        Test images to use, drawn at random, at least 1; all by default.
    seed : int or numpy.random.Generator
        Draws the images if not all are used.

    Returns
    -------
    Classification

    Raises
    ------
    InputError
        If the image shape or the classes do not fit, or there are fewer test images than `n_images`.

    References
    ----------
    .. [1] C. Guo et al., "On Calibration of Modern Neural Networks", ICML 2017 (reliability, calibration error).
    .. [2] G. W. Brier, "Verification of Forecasts Expressed in Terms of Probability", Monthly Weather Review 78, 1950.

    Examples
    --------
    >>> import probe
    >>> split = probe.load_dataset("digits")
    >>> config = probe.TrainingConfig(epochs=40, batch_size=20)
    >>> network = probe.train(probe.MLP(hidden=(32,)), split, config).network
    >>> found = classification(network, split)
    >>> print(f"{found.accuracy:.1%;images}", found.most_confused[0])  # doctest: +SKIP
    90.4% (86.9% to 93.3%, 355 images) ('1', '9', 6)
    >>> found.confusion.shape, int(found.confusion.sum())
    ((10, 10), 355)
    """
    network = fitted(network, split)
    test, indices = split.test, np.arange(len(split.test))
    if n_images is not None:
        check_integer("n_images", n_images, minimum=1, maximum=len(test))
        indices = np.sort(generator(seed).choice(len(test), n_images, replace=False))
        test = test.take(indices)
    logits = np.concatenate([network.logits(test.images[part]) for part in chunks(len(test), _PART)])
    outputs, log_outputs = _outputs(logits.astype(np.float64), network.output_name)
    labels, predictions = test.labels, outputs.argmax(axis=1)
    rows = np.arange(len(labels))
    confidences, hits = outputs[rows, predictions], predictions == labels
    confusion = np.zeros((network.n_classes, network.n_classes), np.int64)
    np.add.at(confusion, (labels, predictions), 1)
    true = outputs[rows, labels]
    # Confidences near 1 round to the same number: the others then say which is the surest.
    order = np.lexsort((log_outputs[rows, predictions], confidences))

    def judged(chosen: npt.NDArray[np.int64]) -> JudgedImages:
        return JudgedImages(
            images=test.images[chosen],
            indices=indices[chosen],
            labels=labels[chosen],
            predictions=predictions[chosen],
            confidences=confidences[chosen],
        )

    surest_first = order[::-1]
    n_above = (outputs > true[:, None]).sum(axis=1)
    return Classification(
        class_names=network.class_names,
        noun=split.noun,
        confusion=confusion,
        accuracy=count_estimate(int(hits.sum()), len(hits)).interval,
        top_5_accuracy=float((n_above < 5).mean()) if network.n_classes > 5 else np.nan,
        n_sure_and_wrong=int((~hits & (confidences >= _SURE)).sum()),
        wrong=judged(surest_first[~hits[surest_first]][:_N_WRONG]),
        surest=judged(surest_first[hits[surest_first]][:_N_OTHERS]),
        least_sure=judged(order[:_N_OTHERS]),
        calibration=_calibration(confidences, hits),
        brier_score=float(((outputs**2).sum(axis=1) - 2 * true + 1).mean()),
        log_loss=float(-log_outputs[rows, labels].mean()),
    )


def _outputs(logits: Array, output: str) -> tuple[Array, Array]:
    """Return the outputs of logits (n_images, n_classes), and the logarithms of what they are of their sum."""
    if output == "sigmoid":
        log_outputs = log_expit(logits)
        return expit(logits), log_outputs - logsumexp(log_outputs, axis=1, keepdims=True)
    return softmax(logits, axis=1), log_softmax(logits, axis=1)


def _calibration(confidences: Array, hits: npt.NDArray[np.bool_]) -> Calibration:
    bins = np.minimum((confidences * BINS).astype(np.int64), BINS - 1)
    counts = np.bincount(bins, minlength=BINS)
    right = np.bincount(bins[hits], minlength=BINS)
    intervals = [
        count_estimate(int(k), int(n)).interval if n else None for k, n in zip(right, counts, strict=True)
    ]
    ends = [(np.nan, np.nan) if each is None else (each.low, each.high) for each in intervals]
    low, high = np.array(ends).T
    gaps = np.abs(np.bincount(bins, confidences - hits, minlength=BINS))
    return Calibration(
        counts=counts,
        confidences=_share(np.bincount(bins, confidences, minlength=BINS), counts),
        accuracies=_share(right, counts),
        low=low,
        high=high,
        error=float(gaps.sum() / len(hits)),
    )


def _share(part: npt.NDArray[np.generic], whole: npt.NDArray[np.int64]) -> Array:
    """Return `part` over `whole`; NaN where there is nothing."""
    shares = np.full(len(whole), np.nan)
    np.divide(part, whole, out=shares, where=whole > 0)
    return shares
