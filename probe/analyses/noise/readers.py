"""What stacked networks say of images: confidence, scores, calibration; and how well scores tell images apart."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from probe._checks import Array
from probe.analyses.noise.ladder_results import THRESHOLDS
from probe.layers import ACTIVATIONS
from probe.population import Population

__all__ = ["Found", "Reader", "forward", "found_in", "temperatures_of"]

_ECE_BINS = 15
_PART = 2_000
"""Images at a time."""


class Reader:
    """What networks of one kind say of images; logits (n_networks, n_images, n_classes)."""

    def __init__(self, logits: Callable[[Array], Array], output: str) -> None:
        self.logits, self._output = logits, output

    def scores(self, images: Array, temperatures: Array | None = None) -> list[Array]:
        """Return confidence, log-odds, maximum logit and energy of every image, (n_networks, n_images) each."""
        parts = [
            self._part(self.logits(images[k : k + _PART]), temperatures) for k in range(0, len(images), _PART)
        ]
        return [np.concatenate(columns, axis=1) for columns in zip(*parts, strict=True)]

    def _part(self, logits: Array, temperatures: Array | None) -> tuple[Array, Array, Array, Array]:
        logits = logits.astype(np.float64)
        if temperatures is not None:
            logits = logits / temperatures[:, None, None]
        largest = logits.max(axis=2)
        energy = largest + np.log(np.exp(logits - largest[:, :, None]).sum(axis=2))
        if self._output == "sigmoid":
            return (
                ACTIVATIONS["sigmoid"].value(largest.copy(), np.empty_like(largest)),
                largest,
                largest,
                energy,
            )
        # exp(energy - largest) - 1 is the odds against; near certainty it is lost to rounding, so it is summed anew.
        rest = np.exp(logits - largest[:, :, None])
        np.put_along_axis(rest, logits.argmax(axis=2)[:, :, None], 0.0, axis=2)
        with np.errstate(divide="ignore"):
            log_odds = -np.log(rest.sum(axis=2))
        return np.exp(largest - energy), log_odds, largest, energy

    def calibration_error(
        self, images: Array, labels: npt.NDArray[np.int64], temperatures: Array | None = None
    ) -> Array:
        """Return the expected calibration error of every network, (n_networks,)."""
        confidence = self.scores(images, temperatures)[0]
        predicted = np.concatenate(
            [self.logits(images[k : k + _PART]).argmax(axis=2) for k in range(0, len(images), _PART)], axis=1
        )
        bins = np.minimum((confidence * _ECE_BINS).astype(np.int64), _ECE_BINS - 1)
        return np.array(
            [
                np.abs(np.bincount(b, c - h, minlength=_ECE_BINS)).sum() / len(images)
                for b, c, h in zip(bins, confidence, predicted == labels, strict=True)
            ]
        )


def forward(population: Population) -> Callable[[Array], Array]:
    """Return what computes the logits of all networks; the first layer of all is one product."""
    activation = ACTIVATIONS[population.architecture.activation]

    def logits(images: Array) -> Array:
        rows = images.reshape(len(images), -1)
        first = population.weights[0]
        values = (first.reshape(-1, first.shape[2]) @ rows.T).reshape(len(first), -1, len(rows))
        for place, bias in enumerate(population.biases):
            if place > 0:
                with np.errstate(over="ignore"):  # exp overflows where a sigmoid is 0
                    values = population.weights[place] @ activation.value(values, np.empty_like(values))
            values = values + bias[:, :, None]
        return values.transpose(0, 2, 1)

    return logits


def temperatures_of(reader: Reader, images: Array, labels: npt.NDArray[np.int64]) -> Array:
    """Return the temperature of each network that minimises the cross-entropy on these images."""
    from scipy.optimize import minimize_scalar
    from scipy.special import logsumexp

    logits = np.concatenate(
        [reader.logits(images[k : k + _PART]) for k in range(0, len(images), _PART)], axis=1
    ).astype(np.float64)
    rows = np.arange(len(labels))

    def fitted(own: Array) -> float:
        def cost(log_temperature: float) -> float:
            scaled = own / np.exp(log_temperature)
            return float((logsumexp(scaled, axis=1) - scaled[rows, labels]).mean())

        return float(
            np.exp(minimize_scalar(cost, bounds=(-3, 5), method="bounded", options={"xatol": 1e-3}).x)
        )

    return np.array([fitted(own) for own in logits])


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """Of networks on images of one kind: confidence (n_networks,), shares (n_networks, 3), AUROCs (3, n_networks)."""

    confidence: Array
    share_above: Array
    auroc: Array


def found_in(scores: list[Array], real: list[Array]) -> Found:
    """Return what `scores` (from `Reader.scores`) say of images, beside those of real images, sorted along each row."""
    confidence = scores[0]
    return Found(
        confidence.mean(axis=1),
        np.stack([(confidence >= limit).mean(axis=1) for limit in THRESHOLDS], axis=1),
        np.stack([_aurocs(r, s) for r, s in zip(real[1:], scores[1:], strict=True)]),
    )


def _aurocs(real: Array, noise: Array) -> Array:
    """Return for each network the probability that a real image scores higher; `real` is sorted, ties count half."""
    found = np.empty(len(real))
    for k, (one, other) in enumerate(zip(real, noise, strict=True)):
        ordered = np.sort(other)
        below, upto = (np.searchsorted(one, ordered, side=side) for side in ("left", "right"))
        found[k] = 1 - (below + upto).mean() / 2 / len(one)
    return found
