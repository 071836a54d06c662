"""What stacked networks say of images: confidence, scores, calibration; and how well scores tell images apart."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from probe._checks import Array, chunks
from probe.analyses.noise.detection import aurocs
from probe.analyses.noise.severity_results import THRESHOLDS
from probe.layers import ACTIVATIONS

__all__ = [
    "CALIBRATION_BINS",
    "Found",
    "Reader",
    "Scores",
    "calibration_error",
    "found_in",
    "temperatures_of",
]

CALIBRATION_BINS = 15
"""Equally wide bins of confidence from 0 to 1, over which the calibration error is taken."""

_PART = 500
"""Images at a time."""


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
        """Return the expected calibration error of every network, (n_networks,)."""
        logits = self.logits(images)
        right = logits.argmax(axis=1) == labels
        if temperatures is not None:
            logits /= temperatures[:, None, None]
        confidence = Scores.of(logits, self.output).confidence
        return np.array(
            [calibration_error(found, hits) for found, hits in zip(confidence, right, strict=True)]
        )


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


def calibration_error(confidence: Array, right: npt.NDArray[np.bool_]) -> float:
    """Return the expected calibration error of one network over `CALIBRATION_BINS` equally wide bins."""
    bins = np.minimum((confidence * CALIBRATION_BINS).astype(np.int64), CALIBRATION_BINS - 1)
    return float(np.abs(np.bincount(bins, confidence - right)).sum() / len(right))


def temperatures_of(reader: Reader, images: Array, labels: npt.NDArray[np.int64]) -> Array:
    """Return the temperature of each network that minimises the cross-entropy on these images.

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


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """Of networks on images of one kind: confidence (n_networks,), shares (n_networks, 3), AUROCs (3, n_networks)."""

    confidence: Array
    share_above: Array
    auroc: Array


def found_in(scores: Scores, real: Scores) -> Found:
    """Return what `scores` say of images, beside those of real images, which are `ordered`."""
    confidence = scores.confidence
    pairs = (
        (real.log_odds, scores.log_odds),
        (real.largest, scores.largest),
        (real.energy, scores.energy),
    )
    return Found(
        confidence.mean(axis=1),
        np.stack([(confidence >= limit).mean(axis=1) for limit in THRESHOLDS], axis=1),
        np.stack([aurocs(*pair) for pair in pairs]),
    )
