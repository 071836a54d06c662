"""What is known of two networks in the end."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from probe._checks import Array
from probe.results import Columns, Record, Result
from probe.stats import Decision, Interval, Verdict

__all__ = ["ALPHA", "SAME", "Abilities", "ClaimPair", "Comparison", "LayerPair"]

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

ALPHA = 0.05
"""False discovery rate of what is called matched."""

SAME = 1e-4
"""Weights that differ by less, relative to their length, differ by rounding."""


class LayerPair(Record):
    """A hidden layer of one network beside one of the other, with their units matched by what they do.

    Attributes
    ----------
    first, second : str
        Names of the layers: those that put out the units' activations.
    n_first, n_second : int
        Their units, or channels.
    correlations : ndarray of shape (n_first, n_second), in [-1, 1]
        Of the activations of all units of both over test images; 0 for a unit that is the same on all of them.
    pairs : ndarray of shape (n_pairs, 2), int64
        Units of the first and of the second that go best together, in the order of the first.
    signs : ndarray of shape (n_pairs,)
        -1 where one unit is the other upside down, for activations for which that is a symmetry; else 1.
    scales : ndarray of shape (n_pairs,)
        How many times as large the first's activation is, for activations for which that is a symmetry; else 1.
    similarity : ndarray of shape (n_pairs,), in [-1, 1]
        Correlation of their activations, with the sign undone.
    chance : ndarray of shape (n_pairs,), in [0, 1]
        What the best match with an untrained network reaches in 5% of draws: the larger of both units'.
    p_values, q_values : ndarray of shape (n_pairs,), in [0, 1]
        Share of untrained networks whose best match is as good, the larger of both units'; and with the correction for
        the number of pairs [1]_.
    permuted : float
        The best match of any two units when the images of one network are in random order, at most.
    weight_similarity : ndarray of shape (n_pairs,), in [-1, 1]
        Cosine of the weights and biases into both, of matched units below, with symmetries undone; NaN where they are
        not of one shape.
    weight_change : ndarray of shape (n_pairs,)
        Length of their difference, relative to the weights of the first.
    weight_chance : float
        Size that the cosine of two units that are no pair exceeds for one in twenty; NaN where there are none.
    cka : float in [0, 1]
        Similarity of both layers as a whole: linear centered kernel alignment.
    cka_permuted, cka_untrained : float in [0, 1]
        What it reaches in 5% of random orders of the images, and beside an untrained layer.
    drawn : ndarray of shape (n_drawn,), int64
        Indices of the pairs whose weights are kept as images: all, or of many the most alike and those that changed most.
    first_images, second_images : ndarray of shape (n_drawn * planes, height, width[, channels])
        Their weights as images, symmetries undone in the second; empty where they form none.
    planes : int
        Images of each unit.

    References
    ----------
    .. [1] Y. Benjamini, Y. Hochberg, "Controlling the False Discovery Rate", Journal of the Royal Statistical Society B 57,
       1995.
    """

    first: str
    second: str
    n_first: int
    n_second: int
    correlations: Floats
    pairs: Integers
    signs: Floats
    scales: Floats
    similarity: Floats
    chance: Floats
    p_values: Floats
    q_values: Floats
    permuted: float
    weight_similarity: Floats
    weight_change: Floats
    weight_chance: float
    cka: float
    cka_permuted: float
    cka_untrained: float
    drawn: Integers
    first_images: Array
    second_images: Array
    planes: int

    @property
    def is_matched(self) -> npt.NDArray[np.bool_]:
        """Which pairs have the same weights, or are more alike than untrained units and than images in random order give."""
        return np.asarray((self.q_values <= ALPHA) & (self.similarity > self.permuted) | self.is_same)

    @property
    def is_same(self) -> npt.NDArray[np.bool_]:
        """Which pairs have the same weights, up to order, sign, scale and rounding."""
        return np.asarray(self.weight_change < SAME)

    @property
    def n_matched(self) -> int:
        """Pairs that are more alike than chance."""
        return int(self.is_matched.sum())

    @property
    def n_same(self) -> int:
        """Pairs with the same weights."""
        return int(self.is_same.sum())

    @property
    def n_turned(self) -> int:
        """Matched pairs of which one is the other upside down."""
        return int((self.is_matched & (self.signs < 0)).sum())

    @property
    def median_similarity(self) -> float:
        """Median of `similarity`."""
        return float(np.median(self.similarity))

    @property
    def median_chance(self) -> float:
        """Median of `chance`."""
        return float(np.median(self.chance))

    @property
    def unmatched_first(self) -> Integers:
        """Units of the first without a counterpart."""
        return np.setdiff1d(np.arange(self.n_first), self.pairs[self.is_matched, 0])

    @property
    def unmatched_second(self) -> Integers:
        """Units of the second without a counterpart."""
        return np.setdiff1d(np.arange(self.n_second), self.pairs[self.is_matched, 1])

    @property
    def changed(self) -> Integers:
        """Indices of the pairs, the one that changed most first: by weights where these compare, else by activations."""
        known = np.isfinite(self.weight_change).all()
        return np.argsort(-self.weight_change if known else self.similarity, kind="stable").astype(np.int64)


class Abilities(Record):
    """What each of two networks gets right on the same test images.

    Attributes
    ----------
    class_names : tuple of str
    counts : ndarray of shape (n_classes, 4), int64
        Images of each class that both get right, only the first, only the second, and neither.
    difference : Interval
        Accuracy of the second less that of the first, with the interval that belongs to McNemar's exact test.
    p_value : float
        Of that test: of the images that one of them gets right, each gets half. NaN where there are none.
    agreement : Interval
        Share of images that both name alike.
    chance, chance_within : float in [0, 1]
        The same for networks that answer as often with each class, but in no relation: over all images; and among the
        images of each class, where it is what their accuracies alone make of it.
    first_images, second_images : ndarray of shape (n_images, height, width[, channels])
        Images that only the first and only the second gets right, those first on which they differ most.
    first_names, second_names : tuple of tuple of str
        For each of these the true class, and what the first and what the second says.
    """

    class_names: tuple[str, ...]
    counts: Integers
    difference: Interval
    p_value: float
    agreement: Interval
    chance: float
    chance_within: float
    first_images: Array
    second_images: Array
    first_names: tuple[tuple[str, str, str], ...]
    second_names: tuple[tuple[str, str, str], ...]

    @property
    def totals(self) -> Integers:
        """Images that both get right, only the first, only the second, and neither: (4,)."""
        return np.asarray(self.counts.sum(axis=0))

    @property
    def n_images(self) -> int:
        """Number of test images."""
        return int(self.counts.sum())

    @property
    def accuracies(self) -> tuple[float, float]:
        """Share of images that each gets right."""
        both, first, second, _ = (self.totals / self.n_images).tolist()
        return both + first, both + second

    @property
    def only_one(self) -> int:
        """Images that exactly one of them gets right."""
        return int(self.totals[1] + self.totals[2])


class ClaimPair(Record):
    """A primary claim about one network, asked of both.

    Attributes
    ----------
    key, title, statistic_name, unit, replicate : str
        Of the claim.
    threshold : float
        What it is decided against.
    first, second : Interval
        The statistic of each, with its interval; NaN where an analysis cannot be done.
    first_decision, second_decision : {"supported", "refuted", "inconclusive"}
        What it comes to for each.
    difference : Interval
        The second less the first. From both intervals [1]_, as if these were independent: what they share, such as the
        images, makes it wider than it need be.

    References
    ----------
    .. [1] G. Y. Zou, A. Donner, "Construction of confidence limits about effect measures: a general approach", Statistics
       in Medicine 27, 2008.
    """

    key: str
    title: str
    statistic_name: str
    unit: str
    replicate: str
    threshold: float
    first: Interval
    second: Interval
    first_decision: Decision
    second_decision: Decision
    difference: Interval

    @property
    def is_decided(self) -> bool:
        """Whether the two differ: the interval of the difference leaves 0 out."""
        return self.difference.low > 0 or self.difference.high < 0


class Comparison(Result):
    """What two networks have in common, what changed, and what only one of them can do.

    Attributes
    ----------
    first_layers, second_layers : tuple of str
        Names of their hidden layers.
    layers : tuple of LayerPair
        Layers that were compared: all, in order, where there are as many; else those whose order goes best together.
    cka : ndarray of shape (n_first_layers, n_second_layers), in [0, 1]
        Similarity of every layer of one with every layer of the other.
    abilities : Abilities
    claims : tuple of ClaimPair
        The primary claims about one network, asked of both.
    n_images : int
        Test images that units are compared on.
    n_null : int
        Untrained networks of each kind that units are held against.
    logit_change : float
        Largest difference of a logit over these images, relative to the largest logit.
    verdicts : tuple of Verdict
    """

    first_layers: tuple[str, ...]
    second_layers: tuple[str, ...]
    layers: tuple[LayerPair, ...]
    cka: Floats
    abilities: Abilities
    claims: tuple[ClaimPair, ...]
    n_images: int
    n_null: int
    logit_change: float
    verdicts: tuple[Verdict, ...]

    @property
    def is_same(self) -> bool:
        """Whether both compute the same, up to rounding."""
        return self.logit_change < SAME

    @property
    def alone_first(self) -> tuple[str, ...]:
        """Layers of the first without a counterpart."""
        return tuple(name for name in self.first_layers if name not in {layer.first for layer in self.layers})

    @property
    def alone_second(self) -> tuple[str, ...]:
        """Layers of the second without a counterpart."""
        return tuple(
            name for name in self.second_layers if name not in {layer.second for layer in self.layers}
        )

    def columns(self) -> Columns:
        """Return one row for each pair of units."""
        rows = [(layer, k) for layer in self.layers for k in range(len(layer.pairs))]
        return {
            "first_layer": [layer.first for layer, _ in rows],
            "second_layer": [layer.second for layer, _ in rows],
            "first_unit": [int(layer.pairs[k, 0]) for layer, k in rows],
            "second_unit": [int(layer.pairs[k, 1]) for layer, k in rows],
            **{
                name: [getattr(layer, name)[k].item() for layer, k in rows]
                for name in ("similarity", "chance", "q_values", "is_matched", "weight_similarity", "is_same")
            },
        }
