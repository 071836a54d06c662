"""What is known of the structure of a layer's weight images."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from probe._checks import Array, check_choice
from probe.results import Columns, Record, Result
from probe.stats import Interval, Verdict

__all__ = ["LABELS", "NULLS", "STATISTICS", "StructureEffect", "StructureNull", "WeightStructure"]

LABELS = {
    "moran": "Moran's I",
    "total_variation": "total variation",
    "spectral_slope": "spectral slope",
    "gabor": "best Gabor fit, R²",
    "sparsity": "sparsity, Gini coefficient",
}
"""Statistics, in words."""

STATISTICS = tuple(LABELS)
"""What is measured of each weight image; see `WeightStructure.values`."""


class _Null(NamedTuple):
    """How a null is called: in words, by a letter in the labels of units, and by the question that it answers."""

    label: str
    letter: str
    question: str


NULLS = {
    "initialization": _Null("untrained weights", "U", "weights as before training: any structure at all?"),
    "data-span": _Null(
        "mixed training images",
        "M",
        "a start plus random combinations of training images: more than the data hand down?",
    ),
    "gaussian": _Null(
        "Gaussian, data's covariance",
        "C",
        "a start plus Gaussian images of the data's covariance: more than pairs of pixels say?",
    ),
    "random-label": _Null(
        "random-label controls",
        "R",
        "units of networks trained on random labels: more than training without a lesson, which may move less?",
    ),
}
"""What weight images are held against."""


class StructureNull(Record):
    """One null, and what the units look like against it.

    Attributes
    ----------
    name : str
        One of `NULLS`.
    values : ndarray of shape (n_null, 5)
        The statistics of weight images drawn from the null.
    p_values : ndarray of shape (n_units,), in (0, 1]
        Of the combined test: as much structure as the unit's, in the statistic in which it stands out most.
    each_p_values : ndarray of shape (n_units, 5), in (0, 1]
        One-sided p-value of each statistic.
    q_values : ndarray of shape (n_units,), in (0, 1]
        `p_values` adjusted by Benjamini and Hochberg over the units of the layer.
    power : float, in [0, 1]
        Share of the positive controls that the combined test rejects at alpha.
    edge_power : float, in [0, 1]
        Share of the positive controls whose Gabor fit alone is rejected at alpha.
    """

    name: str
    values: Array
    p_values: Array
    each_p_values: Array
    q_values: Array
    power: float
    edge_power: float

    @property
    def question(self) -> str:
        """What it asks of the units."""
        return NULLS[self.name].question

    @property
    def means(self) -> Array:
        """Mean of each statistic under the null, of shape (5,)."""
        return np.asarray(self.values.mean(axis=0))


class StructureEffect(Record):
    """How a layer's mean statistic differs from a null's, over networks.

    Attributes
    ----------
    null, statistic : str
        One of `NULLS` and of `STATISTICS`.
    difference : Interval
        Mean over the units of a trained network minus the mean under the null, over the networks: minus that of its
        own start for "initialization"; minus that of the same start and random images, in the proportions of its units,
        for "data-span" and "gaussian"; for "random-label" of the weights' changes alone, minus that of its control network.
    """

    null: str
    statistic: str
    difference: Interval

    @property
    def label(self) -> str:
        """The statistic, in words."""
        return LABELS[self.statistic]


class WeightStructure(Result):
    """Structure of a layer's weight images, unit by unit, against every null.

    Attributes
    ----------
    layer : str
        Name of the layer.
    kind : {"weights", "expanded", "kernels"}
        Weights on pixels, expanded weights of a deeper layer, or kernels of a convolution.
    unit_names : tuple of str
        "0", "1", ...
    images : ndarray of shape (n_units, height, width[, channels])
        The weight images.
    active : ndarray of shape (height, width), bool
        Pixels that are not the same in all training images; only these are measured.
    statistics : tuple of str
        `STATISTICS`.
    values : ndarray of shape (n_units, 5)
        Moran's I of each pixel and its four neighbors, about 0 for speckle and toward 1 for smooth patterns.
        Total variation, the mean absolute difference of neighbors over that of any two pixels, about 1 for speckle.
        Slope of the radially averaged power spectrum in log-log, about 0 for speckle, and 0 for 3 x 3 pixels, which
        have a single frequency. The largest share of the variance that one Gabor function explains, in [0, 1]. Gini
        coefficient of the absolute weights, 0 where all are equal. NaN for a unit whose weights are all equal.
    nulls : tuple of StructureNull
        In the order of `NULLS`; without control networks of the layer's shape there is no "random-label".
    control_images : ndarray of shape (n_controls, height, width[, channels])
        The first positive controls: Gabor functions with noise.
    control_values : ndarray of shape (n_all_controls, 5)
        Statistics of all positive controls.
    alpha : float
        Level of the tests.
    effects : tuple of StructureEffect
        Of the layer of that place in the trained control networks, against each null; empty without control networks.
    edge_share : Interval or None
        Share of a trained control network's units whose Gabor fit is better than 1 - alpha of the control networks' own
        data-span null, over networks.
    verdicts : tuple of Verdict
        Over the control networks; empty without.
    """

    layer: str
    kind: str
    unit_names: tuple[str, ...]
    images: Array
    active: npt.NDArray[np.bool_]
    statistics: tuple[str, ...]
    values: Array
    nulls: tuple[StructureNull, ...]
    control_images: Array
    control_values: Array
    alpha: float
    effects: tuple[StructureEffect, ...]
    edge_share: Interval | None
    verdicts: tuple[Verdict, ...]

    @property
    def n_units(self) -> int:
        """Number of units."""
        return len(self.values)

    @property
    def n_active(self) -> int:
        """Pixels that are measured."""
        return int(self.active.sum())

    @property
    def n_rejected(self) -> tuple[int, ...]:
        """Units with more structure than each null, by the combined test at `alpha`."""
        return tuple(int((null.p_values <= self.alpha).sum()) for null in self.nulls)

    @property
    def n_discovered(self) -> tuple[int, ...]:
        """The same at a false discovery rate of `alpha` over the layer."""
        return tuple(int((null.q_values <= self.alpha).sum()) for null in self.nulls)

    def columns(self) -> Columns:
        """Return one row for each unit: its statistics, and its q-value against each null."""
        columns: Columns = {"unit": self.unit_names}
        columns |= dict(zip(self.statistics, self.values.T, strict=True))
        return columns | {f"q_{null.name}": null.q_values for null in self.nulls}

    def null(self, name: str) -> StructureNull:
        """Return the null called `name`.

        Raises
        ------
        InputError
            If there is none.
        """
        nulls = {null.name: null for null in self.nulls}
        return nulls[check_choice("null", name, nulls)]
