"""How confident a network is of images: its scores and calibration, and what it says of four kinds of noise."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from probe._checks import Array, InputError, check_integer, chunks, generator
from probe._signatures import checked
from probe.analyses.noise.results import (
    CALIBRATION_BINS,
    CONFIDENT,
    KINDS,
    N_IMAGES,
    NOISE,
    SCORES,
    THRESHOLDS,
    ConditionConfidence,
    NoiseConfidence,
)
from probe.controls import Controls
from probe.datasets import Dataset, Split, gaussian_noise, norm_matched_noise, pixel_shuffled, uniform_noise
from probe.fitting import fitted
from probe.layers import ACTIVATIONS
from probe.network import Network
from probe.stats import Claim, Estimate, Verdict, count_estimate
from probe.stats.auroc import auroc_estimate, auroc_interval, paired_aurocs

__all__ = ["Reader", "Scores", "noise_confidence", "noise_images", "primary_estimates", "temperatures_of"]

_PART = 500
"""Images at a time."""

SURE = Claim(
    key="noise",
    title="Given pure noise, the network confidently names a class",
    statistic_name=f"share of images with a confidence of at least {CONFIDENT:g}",
    unit="share",
    replicate="images",
    null=f"half of the images get a confidence of at least {CONFIDENT:g}",
    threshold=0.5,
    reason="most images",
    said="confidently gives you some nonsense answer",
    minute="15:24",
)
"""Of uniform noise; the same is asked of the other kinds, which the video does not show."""

TELLS = Claim(
    key="detects",
    title="Its confidence tells noise from images all the same",
    statistic_name="AUROC",
    unit="",
    replicate="images",
    null="real images and uniform noise get a higher confidence equally often",
    threshold=0.5,
    reason="what confidence that tells nothing gives",
)


@checked
def noise_confidence(
    network: Network,
    split: Split,
    *,
    controls: Controls | None = None,
    n_images: int = N_IMAGES,
    seed: int | np.random.Generator = 0,
) -> NoiseConfidence:
    """Compare a network's confidence on test images with that on noise.

    Four kinds of noise: "uniform" on [0, 1]; "gaussian" with the mean and standard deviation of the test pixels, clipped to
    [0, 1]; "shuffled": test images with the pixels of each in random order; "norm-matched": uniform noise scaled to the
    Euclidean norms of the test images. How confident the network is on noise (`shares_confident`), in how many classes it
    puts it (`entropy`) and whether its confidence tells noise from real images (`auroc`) are separate questions.

    Parameters
    ----------
    network : Network
        A network that was trained on such data.
    split : Split
        Data. The test images are used.
    controls : Controls, optional
        From `probe.control_networks`. The verdicts are about `network`; with controls they say for how many networks
        trained like it the answer is the same.
    n_images : int
        Images of each kind of noise, at least 1. As many test images are drawn, or all if there are fewer.
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
    check_integer("n_images", n_images, minimum=1, maximum=1_000_000)
    if controls is not None:
        controls.check_of(network)
    image_rng, half_rng = generator(seed).spawn(2)
    images, test = noise_images(split, n_images, image_rng)
    images["real"] = test.images
    reader = Reader.of(network)
    logits = {name: reader.logits(x) for name, x in images.items()}
    seen = {name: Scores.of(each, reader.output) for name, each in logits.items()}
    predictions = {name: each[0].argmax(axis=0) for name, each in logits.items()}
    correct = predictions["real"] == test.labels
    if not correct.any():
        raise InputError(
            "the network classifies no test image right, so its confidence on them is no threshold"
        )
    calibration_error, temperature, scaled_calibration_error = _calibration(reader, test, half_rng)
    scaled = Scores.of(logits["uniform"] / temperature, reader.output).confidence
    conditions = tuple(
        _condition(name, found, seen["real"], predictions[name], network.n_classes)
        for name, found in seen.items()
    )
    result = NoiseConfidence(
        conditions=conditions,
        threshold=float(np.median(seen["real"].confidence[0, correct])),
        accuracy=float(correct.mean()),
        class_names=network.class_names,
        examples=np.stack([np.resize(x, (10, *x.shape[1:])) for x in images.values()]),
        calibration_error=calibration_error,
        temperature=temperature,
        scaled_calibration_error=scaled_calibration_error,
        scaled_share=float((scaled >= CONFIDENT).mean()) if np.isfinite(temperature) else np.nan,
        noun=split.noun,
        verdicts=(),
    )
    others = [] if controls is None else [_estimates(one, images) for one in controls.like_it]
    return _with_verdicts(result, _estimates(network, images), others)


@checked
def primary_estimates(
    network: Network, split: Split, *, n_images: int = N_IMAGES, seed: int | np.random.Generator = 0
) -> dict[str, Estimate]:
    """Return the statistic of the claim "noise" as `noise_confidence` measures it, and nothing else of what it measures.

    Examples
    --------
    >>> import probe
    >>> split = probe.load_dataset("digits")
    >>> network = probe.train(probe.MLP(hidden=(16,)), split).network
    >>> found = primary_estimates(network, split)["noise"].interval
    >>> found == noise_confidence(network, split).verdicts[0].interval
    True
    """
    check_integer("n_images", n_images, minimum=1, maximum=1_000_000)
    network = fitted(network, split)
    rng = generator(seed).spawn(1)[0].spawn(2)[1]
    return {SURE.key: _sure(network, uniform_noise(n_images, split.test.image_shape, rng=rng))}


def noise_images(split: Split, n_images: int, rng: np.random.Generator) -> tuple[dict[str, Array], Dataset]:
    """Return images of each of `KINDS` by name, and the test images that those of the first kind are, with their labels.

    Of a seed all analyses get the same images; test images are used several times where there are fewer than asked for.
    """
    rngs = rng.spawn(5)
    chosen = np.sort(rngs[0].permutation(len(split.test))[:n_images])
    test = split.test.take(chosen)
    real = np.resize(test.images, (n_images, *test.image_shape))
    images = {
        "real": real,
        "uniform": uniform_noise(n_images, test.image_shape, rng=rngs[1]),
        "gaussian": gaussian_noise(n_images, split.test.images, rng=rngs[2]),
        "shuffled": pixel_shuffled(real, rng=rngs[3]),
        "norm-matched": norm_matched_noise(real, rng=rngs[4]),
    }
    return images, test


def _sure(network: Network, images: Array) -> Estimate:
    """Return the share of images that a network is confident of."""
    confidence = Reader.of(network).scores(images).confidence
    return count_estimate(int((confidence >= CONFIDENT).sum()), len(images))


def _estimates(network: Network, images: Mapping[str, Array]) -> dict[str, Estimate]:
    """Return the statistics of all claims about one network, by key."""
    network = network.with_two_logits()
    found = {_key(kind): _sure(network, images[kind]) for kind in NOISE}
    real, noise = (Reader.of(network).scores(images[kind]).log_odds[0] for kind in ("real", "uniform"))
    return found | {TELLS.key: auroc_estimate(real, noise)}


def _key(kind: str) -> str:
    return SURE.key if kind == "uniform" else f"{SURE.key}/{kind}"


def _with_verdicts(
    result: NoiseConfidence, own: dict[str, Estimate], others: list[dict[str, Estimate]]
) -> NoiseConfidence:
    verdicts = list[Verdict]()
    what = "class" if result.noun == "image" else result.noun
    for kind in NOISE:
        key, condition = _key(kind), result.condition(kind)
        changed: dict[str, Any] = {} if kind == "uniform" else {"key": key, "said": "", "minute": ""}
        named = "pure noise" if kind == "uniform" else KINDS[kind]
        verdicts.append(
            SURE.verdict(
                own[key],
                f"{condition.share_confident:.0%} of {condition.n_images:,} images of {KINDS[kind]} get a confidence of at "
                f"least {CONFIDENT:g}; the median is {condition.median:.2f}. {condition.called(result.class_names)}",
                others=[each[key] for each in others],
                title=f"Given {named}, the network confidently names a {what}",
                **changed,
            )
        )
    auroc = result.condition("uniform").auroc
    meaning = f"it is surer of real {result.noun}s than of uniform noise"
    if auroc < 0.5:
        meaning = f"it is surer of uniform noise than of real {result.noun}s"
    aurocs = [f"{result.condition(kind).auroc:.2f} of {KINDS[kind]}" for kind in NOISE[1:]]
    verdicts.append(
        TELLS.verdict(
            own[TELLS.key],
            f"In {max(auroc, 1 - auroc):.0%} of pairs {meaning}: an AUROC of {auroc:.2f}. "
            f"Of other kinds: {', '.join(aurocs)}.",
            others=[each[TELLS.key] for each in others],
            title=f"Its confidence tells noise from {result.noun}s all the same",
        )
    )
    return replace(result, verdicts=tuple(verdicts))


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


def _condition(
    name: str, found: Scores, real: Scores, predictions: npt.NDArray[np.int64], n_classes: int
) -> ConditionConfidence:
    from scipy.stats import entropy

    counts = np.bincount(predictions, minlength=n_classes)
    auroc, over_images, by_score = np.nan, None, np.full(len(SCORES), np.nan)
    if name != "real":
        by_score = found.aurocs_below(real.ordered())[:, 0]
        auroc, over_images = float(by_score[0]), auroc_interval(real.log_odds[0], found.log_odds[0])
    confidences = found.confidence[0]
    return ConditionConfidence(
        name=name,
        confidences=confidences,
        class_shares=counts / counts.sum(),
        entropy=float(entropy(counts, base=2)),
        auroc=auroc,
        auroc_over_images=over_images,
        shares_confident=np.array([(confidences >= limit).mean() for limit in THRESHOLDS]),
        score_aurocs=by_score,
    )


class Reader:
    """What networks of one kind say of images; `logits` gives (n_networks, n_classes, n_images)."""

    def __init__(self, logits: Callable[[Array], Array], output: str) -> None:
        self._logits, self.output = logits, output

    @classmethod
    def of(cls, network: Network) -> Reader:
        """Return what one network says."""
        return cls(lambda x: network.logits(x).T[None], network.output_name)

    def logits(self, images: Array) -> Array:
        """Return the logits of all images, (n_networks, n_classes, n_images), float64."""
        parts = [self._logits(images[part]) for part in chunks(len(images), _PART)]
        return np.concatenate(parts, axis=2).astype(np.float64)

    def scores(self, images: Array) -> Scores:
        """Return the scores of every image."""
        return Scores.joined(
            [
                Scores.of(self._logits(images[part]).astype(np.float64), self.output)
                for part in chunks(len(images), _PART)
            ]
        )

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

    def aurocs_below(self, real: Scores) -> Array:
        """Return how well each of `SCORES` tells these from real images, which are `ordered`: (3, n_networks)."""
        pairs = (
            (real.log_odds, self.log_odds),
            (real.largest, self.largest),
            (real.energy, self.energy),
        )
        return np.stack([paired_aurocs(*pair) for pair in pairs])


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
