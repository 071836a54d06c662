"""What is known of one unit, and where it stands among others."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

from probe._checks import Array
from probe.results import Columns, Record, Result
from probe.stats import Interval

__all__ = [
    "QUANTILES",
    "STATISTICS",
    "RankedImages",
    "Standing",
    "UnitCard",
    "WeightsKind",
]

WeightsKind = Literal["image", "planes", "vector"]

STATISTICS = {
    "norm": "length of the weights",
    "moran": "Moran's I of the weights",
    "gabor": "best Gabor fit of the weights, R²",
    "concept": "AUROC of its best concept",
    "lost": "accuracy lost without it",
}
"""What a unit is compared in, in words."""

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
"""Quantiles of the units of control networks."""


class Standing(Record):
    """Where units stand among the units of the same layer in control networks.

    Unit 4 of one network is not unit 4 of another, so a unit is compared with all units of the layer at once.

    Attributes
    ----------
    statistics : tuple of str
        What they are compared in, of `STATISTICS`: Moran's I and the Gabor fit where the weights are on pixels, the AUROC
        for hidden units.
    values : ndarray of shape (n_units, n_statistics)
        Of the network's units. The AUROC is that of the concept that a unit tells best, up or down, in [0.5, 1].
    groups : tuple of str
        "trained" like the network, "untrained", and trained on "random_label" images.
    n_networks : int
        Control networks of each group.
    n_units : int
        Units of the layer in all networks of a group together.
    n_images : int
        Test images on which accuracy was measured; 0 where it was not.
    quantiles : ndarray of shape (n_groups, n_statistics, 5)
        `QUANTILES` of the units of each group; NaN where no unit has the statistic.
    percentiles : ndarray of shape (n_groups, n_units, n_statistics), in [0, 1]
        Share of the units of each group with less than the unit; ties count half.
    """

    statistics: tuple[str, ...]
    values: Array
    groups: tuple[str, ...]
    n_networks: int
    n_units: int
    n_images: int
    quantiles: Array
    percentiles: Array

    @property
    def labels(self) -> tuple[str, ...]:
        """The statistics in words."""
        return tuple(STATISTICS[name] for name in self.statistics)


class RankedImages(Record):
    """Test images in the order of a unit's values.

    Attributes
    ----------
    images : ndarray of shape (n_top, *image_shape), in [0, 1]
    labels : ndarray of shape (n_top,), int64
        Their classes.
    values : ndarray of shape (n_top,)
        The pre-activation; of a channel its mean over the map.
    indices : ndarray of shape (n_top,), int64
        Which test images they are.
    """

    images: Array
    labels: npt.NDArray[np.int64]
    values: Array
    indices: npt.NDArray[np.int64]


class UnitCard(Result):
    """The card of one unit.

    Attributes
    ----------
    layer, kind, activation, is_output, n_units_in_layer, weights_kind, weights_limit, reads
        As in `LayerCards`.
    unit : int
        Its number in the layer, from 0.
    name : str
        What it is called: after a class in the output, else its number.
    weights : ndarray of shape (height, width[, 3]), (n_planes, height, width) or (n_in,)
        The weights into it.
    bias : float
    products : ndarray
        Weights times what they multiply, for the image that excites it most, `most.images[0]`.
    position : tuple of int
        Row and column of the map that the products are about; () for a unit without positions.
    products_sum, pre_activation : float
        The sum of all products, and what the network computes: that sum plus the bias.
    favorite : ndarray of shape image_shape, in [0, 1], or None
        The image that it would like best, as far as gradient ascent found.
    favorite_value, favorite_lower, favorite_upper : float
        The pre-activation there, and bounds on it over all images; NaN without.
    most, least : RankedImages
        The test images that excite it most and least.
    median : float
        Median of the pre-activation over the `n_looked_at` test images.
    n_looked_at : int
        Test images that these are of.
    concept_names : tuple of str
        Concepts that test images have; none for an output unit.
    auroc : ndarray of shape (n_concepts,), in [0, 1]
        How well it tells each of them within classes.
    permuted_limit : ndarray of shape (n_concepts,), in [0, 0.5], or None
        As in `LayerCards`.
    accuracy : float
        Of the whole network, on the images on which accuracy without the unit was measured.
    lost : Interval
        Accuracy lost when the unit is replaced by its mean, over these images.
    lost_by_class : ndarray of shape (n_classes,), in [-1, 1]
        The same over the images of each class.
    n_by_class : ndarray of shape (n_classes,), int64
        Images of each class.
    standing : Standing or None
        Where it stands among units of control networks: of one unit.
    class_names : tuple of str
    noun : str
        What an image of the data is called.
    missing : tuple of str
        What the card does not have, and why, in sentences.
    """

    layer: str
    unit: int
    name: str
    kind: str
    activation: str
    is_output: bool
    n_units_in_layer: int
    weights_kind: WeightsKind
    weights: Array
    weights_limit: float
    reads: str
    bias: float
    products: Array
    position: tuple[int, ...]
    products_sum: float
    pre_activation: float
    favorite: Array | None
    favorite_value: float
    favorite_lower: float
    favorite_upper: float
    most: RankedImages
    least: RankedImages
    median: float
    n_looked_at: int
    concept_names: tuple[str, ...]
    auroc: Array
    permuted_limit: Array | None
    accuracy: float
    lost: Interval
    lost_by_class: Array
    n_by_class: npt.NDArray[np.int64]
    standing: Standing | None
    class_names: tuple[str, ...]
    noun: str
    missing: tuple[str, ...]

    @property
    def address(self) -> str:
        """The layer and the number of the unit, as the command line takes them."""
        return f"{self.layer}:{self.unit}"

    @property
    def favorite_share(self) -> float:
        """How far up the favorite is: 0 at the lower bound, 1 at the upper; NaN without bounds."""
        span = self.favorite_upper - self.favorite_lower
        if not np.isfinite(span):
            return np.nan
        return float(np.clip((self.favorite_value - self.favorite_lower) / span, 0, 1)) if span > 0 else 1.0

    @property
    def best_concepts(self) -> npt.NDArray[np.int64]:
        """The concepts in the order of how well it tells them, up or down: (n_concepts,)."""
        return np.asarray(np.argsort(-np.abs(self.auroc - 0.5), kind="stable"))

    @property
    def worst_class(self) -> int:
        """The class that loses most accuracy without it."""
        return int(np.argmax(np.nan_to_num(self.lost_by_class, nan=-np.inf)))

    def columns(self) -> Columns:
        """Return one row for each class: what its images lose without the unit."""
        return {"class": self.class_names, "accuracy_lost": self.lost_by_class, "n_images": self.n_by_class}
