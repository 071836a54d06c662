"""What the twins say of the structure of weight images: every number is one for each network."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from probe.analyses.structure.meter import Meter
from probe.analyses.structure.nulls import View
from probe.analyses.structure.results import NULLS, STATISTICS, StructureEffect, StructureNull
from probe.controls import Twins
from probe.stats import Difference, Interval, Verdict, equivalence, paired_difference

__all__ = ["Over"]

_EQUAL_MORAN = 0.05
"""Differences of Moran's I below this count as none."""

_EDGES = 0.25
"""Share of units that a Gabor must explain better than 95% of the data-span null, for "edges" to be said of a layer."""

_POWER = 0.8
"""Share of true edge filters that must be found before "no edges" is said."""


class Over:
    """What the twins say: every number is one for each network."""

    def __init__(
        self, twins: Twins, view: View, measure: Meter, nulls: Sequence[StructureNull], alpha: float
    ) -> None:
        self._twins, self._nulls = twins, {null.name: null for null in nulls}
        self._trained, self._untrained, self._shuffled = (
            measure(view.of_population(population)).reshape(len(twins), -1, len(STATISTICS))
            for population in (twins.trained, twins.untrained, twins.random_label)
        )
        gabor = STATISTICS.index("gabor")
        limit = float(np.quantile(self._nulls["data-span"].values[:, gabor], 1 - alpha))
        self._edge_shares = (self._trained[:, :, gabor] > limit).mean(axis=1)

    @classmethod
    def of(
        cls, twins: Twins, view: View, measure: Meter, nulls: Sequence[StructureNull], alpha: float
    ) -> Over | None:
        """Return what the twins say of the layer at the same place, or None where they have no such layer."""
        same_images = twins.trained.input_shape[:2] == measure.shape
        if view.kind == "kernels" or not same_images or not (twins.copies or view.place == 0):
            return None
        return cls(twins, view, measure, nulls, alpha)

    def _difference(self, statistic: str, null: str) -> Difference:
        """Return trained minus null: within pairs for starts and random labels, else minus the null's mean."""
        place = STATISTICS.index(statistic)
        trained = _finite_mean(self._trained[:, :, place])
        pairs = {"initialization": self._untrained, "random-label": self._shuffled}
        if null in pairs:
            return paired_difference(trained - _finite_mean(pairs[null][:, :, place]))
        return paired_difference(trained - float(self._nulls[null].values[:, place].mean()))

    def effects(self) -> tuple[StructureEffect, ...]:
        """Return trained minus null for every null and statistic."""
        return tuple(
            StructureEffect(name, statistic, self._difference(statistic, name).interval)
            for name in NULLS
            for statistic in STATISTICS
        )

    def edge_share(self) -> Interval:
        """Return the share of units that a Gabor fits better than combinations of images."""
        return paired_difference(self._edge_shares).interval

    def verdicts(self) -> tuple[Verdict, ...]:
        """Return the verdicts on the layer."""
        return self._random(), self._inherited(), self._from_labels(), self._edges()

    def _random(self) -> Verdict:
        found = self._difference("moran", "initialization")
        same = equivalence(
            _finite_mean(self._trained[:, :, 0]) - _finite_mean(self._untrained[:, :, 0]), margin=_EQUAL_MORAN
        )
        return Verdict(
            "The weight images look almost random",
            same.decision,
            found.estimate,
            found.interval,
            f"the same Moran's I as before training, to within {_EQUAL_MORAN:g}",
            f"Neighbouring weights are alike: Moran's I is {_ranged(found)} above that of the same networks' starts. "
            f"{self._twins.sentence}",
        )

    def _inherited(self) -> Verdict:
        found = self._difference("moran", "data-span")
        return Verdict(
            "The weight images are smoother than random combinations of training images",
            found.decision(),
            found.estimate,
            found.interval,
            "the Moran's I of random combinations of training images",
            f"Moran's I differs from that of random combinations of training images by {_ranged(found)}: gradient "
            f"descent adds up images, so that much smoothness comes with the data. {self._twins.sentence}",
        )

    def _from_labels(self) -> Verdict:
        found = self._difference("moran", "random-label")
        return Verdict(
            "True labels give the weight images more structure than random labels do",
            found.decision(),
            found.estimate,
            found.interval,
            "the same Moran's I as in twins trained on permuted labels",
            f"Moran's I is {_ranged(found)} above that of twins with the same starts, images and order, and permuted "
            f"labels. {self._twins.sentence}",
        )

    def _edges(self) -> Verdict:
        share, power = paired_difference(self._edge_shares), self._nulls["data-span"].edge_power
        decision = share.decision(_EDGES)
        if decision == "refuted" and power < _POWER:
            decision = "inconclusive"
        chance = (
            "random combinations of training images" if "data-span" in self._nulls else "untrained networks"
        )
        return Verdict(
            "The units of the layer are edge detectors",
            decision,
            share.estimate,
            share.interval,
            f"at most {_EDGES:.0%} of the units fit a Gabor function better than 95% of {chance}",
            f"A Gabor function, a little edge or bar, fits {_shared(share)} of the units better than 95% of {chance}; "
            f"above {_EDGES:.0%} would count as edges. Of true edge filters under noise the test finds {power:.0%}. "
            f"{self._twins.sentence}",
        )


def _finite_mean(values: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """Return the mean over the units of each network (n_networks, n_units) that have a value; 0 where none has."""
    known = np.isfinite(values)
    sums = np.where(known, values, 0).sum(axis=1, dtype=np.float64)
    return np.asarray(sums / np.maximum(known.sum(axis=1), 1))


def _ranged(found: Difference) -> str:
    low, high = found.interval.low, found.interval.high
    return f"{found.estimate:.3f} ({low:.3f} to {high:.3f}, {found.n} networks)"


def _shared(found: Difference) -> str:
    low, high = found.interval.low, found.interval.high
    return f"{found.estimate:.0%} ({low:.0%} to {high:.0%}, {found.n} networks)"
