"""What is known of the structure of a layer's weight images."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from probe._checks import Array, check_choice
from probe.results import Columns, Record, Result
from probe.stats import Verdict

__all__ = ["LABELS", "NULLS", "STATISTICS", "StructureNull", "WeightStructure"]

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
    "initialization": _Null(
        "untrained weights", "U", "weights as before training: is there any structure at all?"
    ),
    "data-span": _Null(
        "mixed training images",
        "M",
        "a start plus random combinations of training images: is there more than the data hand down?",
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
        The statistics of weight images drawn from the null; of "data-span" in the proportions of the units.
    p_values : ndarray of shape (n_units,), in (0, 1]
        Of the combined test: as much structure as the unit's, in the statistic in which it stands out most.
    each_p_values : ndarray of shape (n_units, 5), in (0, 1]
        One-sided p-value of each statistic.
    q_values : ndarray of shape (n_units,), in (0, 1]
        `p_values` adjusted by Benjamini and Hochberg over the units of the layer.
    power : float, in [0, 1]
        Share of the positive controls that the combined test rejects at alpha.
    """

    name: str
    values: Array
    p_values: Array
    each_p_values: Array
    q_values: Array
    power: float

    @property
    def question(self) -> str:
        """What it asks of the units."""
        return NULLS[self.name].question

    @property
    def means(self) -> Array:
        """Mean of each statistic under the null, of shape (5,)."""
        return np.asarray(self.values.mean(axis=0))


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
        have a single frequency. The largest share of the variance that one Gabor function of a bank explains, in [0, 1].
        Gini coefficient of the absolute weights, 0 where all are equal. NaN for a unit whose weights are all equal.
    learned_shares : ndarray of shape (n_units,), in [0, 1]
        Share of each unit's mean square that was learned; the rest is its start.
    nulls : tuple of StructureNull
        In the order of `NULLS`.
    gabor_fits : ndarray of shape (n_units,), in [0, 1]
        R² of the best Gabor function, refined from that of the bank where it explains a third.
    gaussian_fits : ndarray of shape (n_units,), in [0, 1] or NaN
        R² of the best Gaussian; NaN where no Gabor function explains two thirds.
    is_edge : ndarray of shape (n_units,), bool
        Whether a unit is an edge detector: a Gabor function explains two thirds of it, clearly more than a Gaussian does,
        and more than of the "data-span" draws at 1 - alpha.
    edge_power : float, in [0, 1]
        Share of the positive controls that are found to be edge detectors.
    control_images : ndarray of shape (n_controls, height, width[, channels])
        The first positive controls: Gabor functions, a fifth of whose variance is a draw of "data-span".
    control_values : ndarray of shape (n_all_controls, 5)
        Statistics of all positive controls.
    alpha : float
        Level of the tests.
    verdicts : tuple of Verdict
        "random" and "edges" are about this network, with its control networks beside it.
        "smoother-than-random-labels" is about networks of its kind, and needs control networks.
    """

    layer: str
    kind: str
    unit_names: tuple[str, ...]
    images: Array
    active: npt.NDArray[np.bool_]
    statistics: tuple[str, ...]
    values: Array
    learned_shares: Array
    nulls: tuple[StructureNull, ...]
    gabor_fits: Array
    gaussian_fits: Array
    is_edge: npt.NDArray[np.bool_]
    edge_power: float
    control_images: Array
    control_values: Array
    alpha: float
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
    def n_edges(self) -> int:
        """Units that are edge detectors."""
        return int(self.is_edge.sum())

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
        columns |= {"gabor_fit": self.gabor_fits, "is_edge": self.is_edge}
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

    def verdict(self, key: str) -> Verdict:
        """Return the verdict with this key.

        Raises
        ------
        InputError
            If there is none.
        """
        verdicts = {verdict.key: verdict for verdict in self.verdicts}
        return verdicts[check_choice("key", key, verdicts)]
