"""What the control networks say of the structure of weight images: every number is one for each network."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from probe._checks import Array
from probe.analyses.structure.meter import Meter
from probe.analyses.structure.nulls import View, combinations, mixed
from probe.analyses.structure.results import NULLS, STATISTICS, StructureEffect
from probe.controls import Controls
from probe.stats import Difference, Interval, Verdict, equivalence, paired_difference

__all__ = ["Over"]

_EQUAL_MORAN = 0.05
"""Differences of Moran's I below this count as none."""

_EDGES = 0.25
"""Share of units that a Gabor must explain better than 1 - alpha of the data-span null, for "edges" to be said."""

_POWER = 0.8
"""Share of true edge filters that must be found before "no edges" is said."""


_DRAWS = 600
"""Draws of each null over all control networks, at least: the 95th percentile of it is then known to a hundredth."""

_PARTS = "data-span", "gaussian"


class Over:
    """What the control networks say: every number is one for each network.

    Their starts are known, and so is how much of each unit was learned: each unit has draws from the nulls in just its
    proportions, whatever the network at hand.
    """

    def __init__(
        self,
        controls: Controls,
        view: View,
        measure: Meter,
        train: Array,
        planted: Array,
        alpha: float,
        rng: np.random.Generator,
    ) -> None:
        def by_network(images: Array) -> Array:
            return measure(images).reshape(len(controls), -1, len(STATISTICS))

        self._controls, self._level = controls, f"{1 - alpha:.0%}"
        start, learned = view.parts(controls.trained, controls.untrained)
        shuffled_start, shuffled_learned = view.parts(controls.random_label, controls.untrained)
        self._trained = by_network(start + learned)
        self._untrained = by_network(view.of_population(controls.untrained))
        self._shuffled = by_network(shuffled_start + shuffled_learned)
        self._learned, self._shuffled_learned = by_network(learned), by_network(shuffled_learned)
        shares = share_of(start, learned, measure.active)
        self._shares = shares.mean(), share_of(shuffled_start, shuffled_learned, measure.active).mean()
        repeats = math.ceil(_DRAWS / len(start))
        # Repeats of a unit stand together, so that those of a network do.
        start, shares = np.repeat(start, repeats, axis=0), np.repeat(shares, repeats)
        sums = combinations(train, len(start), rng)
        self._nulls = {name: by_network(mixed(start, sums[name], shares, measure.active)) for name in _PARTS}
        gabor = STATISTICS.index("gabor")
        limit = float(np.nanquantile(self._nulls["data-span"][:, :, gabor], 1 - alpha))
        self._edge_shares = (self._trained[:, :, gabor] > limit).mean(axis=1)
        self._edge_power = float((planted[:, gabor] > limit).mean())

    @classmethod
    def of(
        cls,
        controls: Controls,
        view: View,
        measure: Meter,
        train: Array,
        planted: Array,
        alpha: float,
        rng: np.random.Generator,
    ) -> Over | None:
        """Return what the control networks say of the layer at the same place, or None where they have no such layer.

        `train` are training images (n_images, height, width[, channels]), `planted` the statistics of planted edges.
        """
        same_images = controls.trained.input_shape[:2] == measure.shape
        if view.kind == "kernels" or not same_images or not (controls.copies or view.place == 0):
            return None
        return cls(controls, view, measure, train, planted, alpha, rng)

    def _difference(self, statistic: str, null: str) -> Difference:
        """Return trained minus null, within networks: from random labels in what was learned, else in the weights."""
        place = STATISTICS.index(statistic)
        pairs = {
            "initialization": (self._trained, self._untrained),
            "random-label": (self._learned, self._shuffled_learned),
        } | {name: (self._trained, self._nulls[name]) for name in _PARTS}
        found, expected = pairs[null]
        return paired_difference(_finite_mean(found[:, :, place]) - _finite_mean(expected[:, :, place]))

    def effects(self) -> tuple[StructureEffect, ...]:
        """Return trained minus null for every null and statistic."""
        return tuple(
            StructureEffect(
                null=name, statistic=statistic, difference=self._difference(statistic, name).interval
            )
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
            key="random",
            title="The weight images look almost random",
            decision=same.decision,
            statistic_name="difference of Moran's I",
            unit="",
            interval=found.interval,
            null=f"the same Moran's I as before training, to within {_EQUAL_MORAN:g}",
            sentence=(
                f"Moran's I, how alike neighbouring weights are, minus that of the same networks' starts: {found:.3f}; "
                f"within {_EQUAL_MORAN:g} would count as random.{self._controls.caveat}"
            ),
        )

    def _inherited(self) -> Verdict:
        found = self._difference("moran", "data-span")
        return Verdict(
            key="smoother-than-images",
            title="The weight images are smoother than random combinations of training images",
            decision=found.decision(),
            statistic_name="difference of Moran's I",
            unit="",
            interval=found.interval,
            null="the Moran's I of random combinations of training images, beside the same starts in the same proportions",
            sentence=(
                f"Moran's I minus that of the same starts with random combinations of training images: {found:.3f}. "
                f"Gradient descent adds up images, so that much smoothness comes with the data.{self._controls.caveat}"
            ),
        )

    def _from_labels(self) -> Verdict:
        found = self._difference("moran", "random-label")
        whole = paired_difference(
            _finite_mean(self._trained[:, :, 0]) - _finite_mean(self._shuffled[:, :, 0])
        )
        edges = self._difference("gabor", "random-label")
        true, random = self._shares
        return Verdict(
            key="smoother-than-random-labels",
            title="What is learned from true labels is smoother than what is learned from random ones",
            decision=found.decision(),
            statistic_name="difference of Moran's I",
            unit="",
            interval=found.interval,
            null="the same Moran's I of the weights' changes as in control networks trained on permuted labels",
            sentence=(
                f"Moran's I of the weights' changes, minus that of control networks with the same starts, images and order, "
                f"and permuted labels: {found:.3f}; of the best Gabor fit: {edges:.3f}. Of the weights as they stand the "
                f"first is {whole:.3f}, but random labels also move weights less: {random:.0%} of their mean square was "
                f"learned, and {true:.0%} from true labels.{self._controls.caveat}"
            ),
        )

    def _edges(self) -> Verdict:
        share, power = paired_difference(self._edge_shares), self._edge_power
        decision = share.decision(_EDGES)
        if decision == "refuted" and power < _POWER:
            decision = "inconclusive"
        chance = "random combinations of training images"
        return Verdict(
            key="edges",
            title="The units of the layer are edge detectors",
            decision=decision,
            statistic_name="share of units",
            unit="share",
            interval=share.interval,
            null=f"at most {_EDGES:.0%} of the units fit a Gabor function better than {self._level} of {chance}",
            sentence=(
                f"A Gabor function, a little edge or bar, fits {share:.0%} of the units better than {self._level} of "
                f"{chance}; above {_EDGES:.0%} would count as edges. Of true edge filters under noise the test finds "
                f"{power:.0%}.{self._controls.caveat}"
            ),
        )


def share_of(start: Array, learned: Array, active: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    """Return the share of the squares of both on active pixels that is in `learned`; 0 where both are zero."""
    first, second = (
        np.square(part[:, active].reshape(len(part), -1)).sum(axis=1, dtype=np.float64)
        for part in (start, learned)
    )
    whole = first + second
    return np.asarray(second / np.where(whole > 0, whole, 1))


def _finite_mean(values: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """Return the mean over the units of each network (n_networks, n_units) that have a value; 0 where none has."""
    known = np.isfinite(values)
    sums = np.where(known, values, 0).sum(axis=1, dtype=np.float64)
    return np.asarray(sums / np.maximum(known.sum(axis=1), 1))
