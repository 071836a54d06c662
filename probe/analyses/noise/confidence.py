"""How confident networks are of images: their scores and calibration, and one network on four kinds of noise."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from probe._checks import Array, InputError, check_integer, chunks, generator
from probe._signatures import checked
from probe.analyses.noise.results import (
    CALIBRATION_BINS,
    SCORES,
    THRESHOLDS,
    ConditionConfidence,
    NoiseConfidence,
)
from probe.datasets import Dataset, Split, gaussian_noise, norm_matched_noise, pixel_shuffled, uniform_noise
from probe.fitting import fitted
from probe.layers import ACTIVATIONS
from probe.network import Network
from probe.stats.auroc import auroc_interval

__all__ = ["Reader", "Scores", "noise_confidence", "temperatures_of"]

_PART = 500
"""Images at a time."""


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
        auroc, over_images = float(by_score[0]), auroc_interval(real.scores, found.scores)
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


class Reader:
    """What networks of one kind say of images; `logits` gives (n_networks, n_classes, n_images)."""

    def __init__(self, logits: Callable[[Array], Array], output: str) -> None:
        self._logits, self.output = logits, output

    def logits(self, images: Array) -> Array:
        """Return the logits of all images, (n_networks, n_classes, n_images), float64."""
        parts = [self._logits(images[part]) for part in chunks(len(images), _PART)]
        return np.concatenate(parts, axis=2).astype(np.float64)

    def scores(self, images: Array, *temperatures: Array | None) -> list[Scores]:
        """Return the scores of every image, once for each of the temperatures (n_networks,); None for 1."""
        slices = chunks(len(images), _PART)
        parts = [self._part(self._logits(images[part]), temperatures) for part in slices]
        return [Scores.joined(of_one) for of_one in zip(*parts, strict=True)]

    def _part(self, logits: Array, temperatures: Sequence[Array | None]) -> list[Scores]:
        return [
            Scores.of(
                logits if scale is None else logits / scale[:, None, None].astype(logits.dtype), self.output
            )
            for scale in temperatures
        ]

    def calibration_error(
        self, images: Array, labels: npt.NDArray[np.int64], temperatures: Array | None = None
    ) -> Array:
        """Return the expected calibration error of every network, (n_networks,), over `CALIBRATION_BINS` bins."""
        logits = self.logits(images)
        right = logits.argmax(axis=1) == labels
        if temperatures is not None:
            logits /= temperatures[:, None, None]
        errors = []
        for confidence, hits in zip(Scores.of(logits, self.output).confidence, right, strict=True):
            bins = np.minimum((confidence * CALIBRATION_BINS).astype(np.int64), CALIBRATION_BINS - 1)
            errors.append(np.abs(np.bincount(bins, confidence - hits)).sum() / len(hits))
        return np.array(errors)


@dataclass(frozen=True, slots=True, eq=False)
class Scores:
    """What networks say of images, (n_networks, n_images) each.

    The largest output, its log-odds (which keep apart what the output rounds to 1), the largest logit, and the energy:
    log sum exp of the logits.
    """

    confidence: Array
    log_odds: Array
    largest: Array
    energy: Array

    @classmethod
    def of(cls, logits: Array, output: str) -> Scores:
        """Return the scores of logits (n_networks, n_classes, n_images)."""
        largest = logits.max(axis=1)
        others = np.exp(logits - largest[:, None])
        # The largest is left out of the sum, where the odds against it would be lost to rounding.
        first = others == 1
        others[first] = 0
        odds = others.sum(axis=1) + (np.count_nonzero(first, axis=1) - 1).astype(others.dtype)
        energy = largest + np.log1p(odds)
        if output == "sigmoid":
            return cls(
                ACTIVATIONS["sigmoid"].value(largest.copy(), np.empty_like(largest)), largest, largest, energy
            )
        with np.errstate(divide="ignore"):
            return cls(1 / (1 + odds), -np.log(odds), largest, energy)

    @classmethod
    def joined(cls, parts: Sequence[Scores]) -> Scores:
        """Return the scores of the images of all parts."""
        names = ("confidence", "log_odds", "largest", "energy")
        return cls(*(np.concatenate([getattr(part, name) for part in parts], axis=1) for name in names))

    def ordered(self) -> Scores:
        """Return each score in rising order, network by network."""
        return Scores(
            self.confidence, *(np.sort(each, axis=1) for each in (self.log_odds, self.largest, self.energy))
        )


def temperatures_of(reader: Reader, images: Array, labels: npt.NDArray[np.int64]) -> Array:
    """Return the temperature of each network that minimizes the cross-entropy on these images.

    Sigmoid outputs have a cross-entropy each, which are added up.
    """
    from scipy.optimize import minimize_scalar
    from scipy.special import logsumexp

    columns = np.arange(len(labels))

    def cost(own: Array) -> float:
        right = own[labels, columns]
        against = np.logaddexp(0, own).sum(axis=0) if reader.output == "sigmoid" else logsumexp(own, axis=0)
        return float((against - right).mean())

    def fitted(own: Array) -> float:
        found = minimize_scalar(
            lambda log_temperature: cost(own * np.exp(-log_temperature)),
            bounds=(-3, 5),
            method="bounded",
            options={"xatol": 1e-3},
        )
        return float(np.exp(found.x))

    return np.array([fitted(own) for own in reader.logits(images)])
