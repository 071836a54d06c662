"""Whether a unit of the last hidden layer recognizes loops: measured within classes, for any network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from probe._cache import kept
from probe._checks import Array, check_integer
from probe._signatures import checked
from probe.analyses.concepts.pixels import has_loop
from probe.analyses.concepts.selectivity import largest_of_rotated
from probe.analyses.concepts.units import LayerValues, hidden_layers, layer_values
from probe.analyses.concepts.within import FEWEST_CLASSES, Sample, standardized
from probe.datasets import Split
from probe.fitting import fitted
from probe.network import Network
from probe.stats import Estimate, Interval, normal_estimate
from probe.stats.auroc import StratifiedAurocs, aurocs_within, ranks_within

__all__ = [
    "ASKED",
    "FEWEST_LOOPS",
    "LEAST",
    "N_IMAGES",
    "PLANTED",
    "LoopSample",
    "LoopTelling",
    "kept_powers",
    "loop_sample",
    "loops_told",
    "planted_powers",
    "primary_estimates",
    "with_power",
]

LEAST = 0.7
"""AUROC within classes that a unit must have at least to recognize loops.

From 0.7 on discrimination counts as acceptable [1]_. Linear probes on the pixels of MNIST have 0.63, 0.66 and 0.69 within
classes, fitted on 500, 5,000 and 20,000 images: a unit above has put pieces together.

References
----------
.. [1] D. W. Hosmer, S. Lemeshow, "Applied Logistic Regression", 2nd edition, 2000, section 5.2.4.
"""

MOST = 0.95
"""AUROC above which no more is asked for, however well rotations tell loops: they all come near 1 then."""

PLANTED = (0.65, 0.7, 0.75, 0.8, 0.9)
"""AUROCs within classes of planted units."""

ASKED = 0.8
"""The one of these that must be found before a network can be said to have no such unit: excellent discrimination."""

FEWEST_LOOPS = 5
"""Images with a loop, and without one, that a class must have; half of them judge."""

N_IMAGES = 3_000
"""Test images, of which those of the classes count that loops vary in: so many find planted units of 0.8 on MNIST."""

_N_ROTATIONS = 59

_N_PLANTED = 12
"""Planted units of each size: how far they are found on average, and how much that varies, gives the power."""

_ENOUGH = 0.8
"""Share of planted units that must be found where it is said that there is none."""

_MOST_UNITS = 64
"""Units of the layer that they are planted in, at most."""


@dataclass(frozen=True, slots=True, eq=False)
class LoopSample:
    """Images of the classes that loops vary in, and what a linear probe on their pixels tells about loops there."""

    sample: Sample
    pixels: StratifiedAurocs

    def __len__(self) -> int:
        return len(self.sample)


@dataclass(frozen=True, slots=True, eq=False)
class LoopTelling:
    """How well the last hidden layer of a network tells loops within classes.

    Attributes
    ----------
    layer : str
        Its name.
    auroc : ndarray of shape (n_units,), in [0, 1]
        Of each unit.
    chosen : tuple of int
        The best unit in each half of the images.
    unit : Interval
        AUROC of the unit that one half chose on the other half, both ways; the interval is that of `margin`, about it.
    layer_auroc : float
        Of a linear probe on the layer.
    threshold : float
        AUROC that is asked for.
    margin, layer_margin : Estimate
        How far the unit lies above the threshold, and the layer above the pixels.
    rotated : float
        AUROC that the best unit of 95% of random rotations of the layer stays below; NaN where that is not needed.
    n_features : int
        What the probe reads.
    """

    layer: str
    auroc: Array
    chosen: tuple[int, int]
    unit: Interval
    layer_auroc: float
    threshold: float
    margin: Estimate
    layer_margin: Estimate
    rotated: float
    n_features: int


@checked
def loop_sample(split: Split, *, n_images: int = N_IMAGES, seed: int = 0) -> LoopSample | None:
    """Return test images in which loops vary within classes; None if they do in fewer than two classes.

    Parameters
    ----------
    split : Split
        Data.
    n_images : int
        Test images to draw these from.
    seed : int
        Draws the images.
    """
    check_integer("n_images", n_images, minimum=1)
    check_integer("seed", seed, minimum=0)
    test = split.test.sample(min(n_images, len(split.test)), rng=np.random.default_rng(seed))
    every = Sample(test.images, test.labels, has_loop(test.images)[None])
    mixed = every.mixed(FEWEST_LOOPS)[0]
    if mixed.sum() < FEWEST_CLASSES:
        return None
    kept = mixed[every.classes]
    sample = Sample(every.images[kept], every.classes[kept], every.concepts[:, kept])
    return LoopSample(sample, sample.told(sample.scores(sample.pixels)))


@checked
def primary_estimates(
    network: Network,
    split: Split,
    *,
    images: LoopSample | None = None,
    n_images: int = N_IMAGES,
    seed: int = 0,
) -> dict[str, Estimate]:
    """Return what decides the claims about words of the video, by their keys: nothing where the images cannot say it.

    Parameters
    ----------
    network : Network
        Any network of such images with a hidden layer.
    split : Split
        Data. Its test images are used.
    images : LoopSample, optional
        From `loop_sample`, to be shared between networks.
    n_images, seed : int
        Of `loop_sample`, and `seed` also draws rotations.
    """
    images = loop_sample(split, n_images=n_images, seed=seed) if images is None else images
    if images is None:
        return {}
    told = loops_told(fitted(network, split), images, seed=seed)
    return {"loops": with_power(told.margin, planted_powers(images, len(told.auroc), seed=seed))}


def loops_told(network: Network, images: LoopSample, *, seed: int) -> LoopTelling:
    """Return how well the last hidden layer of a network tells loops."""
    name = hidden_layers(network)[-1]
    values = layer_values(network, (name,), images.sample.images)[name]
    return _told(name, values, images, lambda _: _rotated(values.basis, images.sample, seed))


def _rotated(basis: Array, sample: Sample, seed: int) -> float:
    """Return the AUROC that the best unit of 95% of random rotations stays below."""
    rng = np.random.default_rng(seed)
    drawn = largest_of_rotated(basis, sample.concepts, sample.classes, _N_ROTATIONS, rng)
    return 0.5 + float(np.quantile(drawn, 0.95))


def _told(
    name: str, values: LayerValues, images: LoopSample, rotated_at: Callable[[float], float]
) -> LoopTelling:
    sample, n = images.sample, len(images)
    auroc, chosen, scores = _cross_chosen(values.units, sample)
    unit = sample.told(scores[:, None])
    layer = sample.told(sample.scores(standardized(values.features)))
    told, held = float(unit.values[0]), float(layer.values[0])
    influence, of_layer = unit.influences[:, 0], layer.influences[:, 0]
    threshold, share, rotated = LEAST, 0.0, np.nan
    # More is asked for only of a unit that may have what is asked for at least.
    least = normal_estimate(told - LEAST, unit.standard_error(influence), n=n).decision(0.0)
    if held > LEAST and values.basis.shape[1] > 1 and least != "refuted":
        rotated = rotated_at(held)
        between = (held + rotated) / 2
        if between > MOST:
            threshold = MOST
        elif between > LEAST:
            threshold, share = between, (1 + _slope(held, rotated)) / 2
    above_pixels = layer.standard_error(of_layer - images.pixels.influences[:, 0])
    margin = normal_estimate(told - threshold, unit.standard_error(influence - share * of_layer), n=n)
    low, high = (float(np.clip(threshold + end, 0, 1)) for end in (margin.interval.low, margin.interval.high))
    return LoopTelling(
        layer=name,
        auroc=auroc,
        chosen=chosen,
        unit=replace(margin.interval, estimate=told, low=low, high=high),
        layer_auroc=held,
        threshold=threshold,
        margin=margin,
        layer_margin=normal_estimate(held - float(images.pixels.values[0]), above_pixels, n=n),
        rotated=rotated,
        n_features=values.features.shape[1],
    )


def _slope(held: float, rotated: float) -> float:
    """Return how far the AUROC of a rotation moves with that of the layer, of which it keeps a share of the distance."""
    from scipy.stats import norm

    of_layer, of_rotation = norm.ppf(held), norm.ppf(rotated)
    return float(of_rotation / of_layer * norm.pdf(of_rotation) / norm.pdf(of_layer))


def _cross_chosen(units: Array, sample: Sample) -> tuple[Array, tuple[int, int], Array]:
    """Return the units' AUROCs, the best unit in each half, and each image's value of the unit that the other half chose.

    Values are turned over where that unit goes down for loops.
    """
    halves, classes, strata = sample.halves, sample.classes, sample.strata
    ranks = ranks_within(units, strata)
    scores, chosen = np.empty(len(units)), list[int]()
    for half in (0, 1):
        there = halves == half
        off = aurocs_within(ranks[there], sample.concepts[:, there], classes[there])[:, 0] - 0.5
        best = int(np.abs(off).argmax())
        chosen.append(best)
        scores[~there] = units[~there, best] * np.sign(off[best])
    return aurocs_within(ranks, sample.concepts, strata)[:, 0], (chosen[0], chosen[1]), scores


def planted_powers(images: LoopSample, n_units: int, *, seed: int) -> Array:
    """Return how often a planted unit of each AUROC in `PLANTED` would be found: (5,), in [0, 1].

    It is normal with and without a loop, in a layer whose other units tell nothing.
    """
    from scipy.stats import norm

    rng, n_units = np.random.default_rng(seed), min(n_units, _MOST_UNITS)
    # Rotations leave a planted unit of any size the same share of its distance from chance.
    values = _with_planted(images.sample, n_units, PLANTED[-1], rng)
    held = images.sample.read_off(values)[0]
    ratio = norm.ppf(_rotated(values, images.sample, seed)) / norm.ppf(held)

    def rotated_at(held: float) -> float:
        return float(norm.cdf(ratio * norm.ppf(held)))

    powers = []
    for auroc in PLANTED:
        pivots = []
        for _ in range(_N_PLANTED):
            values = _with_planted(images.sample, n_units, auroc, rng)
            margin = _told("", LayerValues(values, values, values), images, rotated_at).margin.interval
            pivots.append(margin.estimate / (margin.high - margin.estimate))
        powers.append(norm.cdf((np.mean(pivots) - 1) / np.std(pivots, ddof=1)))
    return np.array(powers)


def kept_powers(images: LoopSample, n_units: int, *, seed: int) -> Array:
    """Return `planted_powers`, which commands keep."""
    sample, n_units = images.sample, min(n_units, _MOST_UNITS)
    depends = sample.images, sample.classes, sample.concepts, n_units, seed
    return kept(
        _Powers, "planted", lambda: _Powers(planted_powers(images, n_units, seed=seed)), *depends
    ).values


@dataclass(frozen=True, slots=True, eq=False)
class _Powers:
    """Of planted units."""

    values: Array


def with_power(margin: Estimate, powers: Array) -> Estimate:
    """Return an estimate that knows whether a unit of `ASKED` would have been found, from `planted_powers`."""
    return replace(margin, has_power=bool(powers[PLANTED.index(ASKED)] >= _ENOUGH))


def _with_planted(sample: Sample, n_units: int, auroc: float, rng: np.random.Generator) -> Array:
    from scipy.stats import norm

    values: Array = rng.normal(size=(len(sample), n_units))
    values[:, 0] += np.sqrt(2) * norm.ppf(auroc) * sample.concepts[0]
    return standardized(values)
