"""Where units stand among those of the same layer in other networks: trained alike, not trained, on random labels."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from probe._checks import Array, InputError, IntArray
from probe.analyses.concepts.within import Sample
from probe.analyses.structure.measuring import GABOR, MORAN, Bench
from probe.analyses.structure.view import View
from probe.analyses.unit.card import QUANTILES, STATISTICS, Standing
from probe.analyses.unit.measuring import (
    Place,
    all_logits,
    by_unit,
    named,
    outputs_at,
    places,
    right_without,
    with_linear_output,
)
from probe.controls import Controls
from probe.datasets import Dataset, Split
from probe.network import Network
from probe.stats.auroc import aurocs_within, ranks_within

__all__ = ["GROUPS", "Measured", "Ruler", "standings"]

GROUPS = ("trained", "untrained", "random_label")
"""Control networks that a unit is held against."""


@dataclass(frozen=True, slots=True, eq=False)
class Ruler:
    """What the statistics of units are measured with, the same in all networks.

    Attributes
    ----------
    indices, outputs : tuple of int
        Which of the layers with weights they are in, and which of these layers are the output.
    benches : tuple of (Bench or None)
        Measure weights that are images; None where they are not.
    sample : Sample or None
        Images and concepts; None where images have none.
    data : Dataset or None
        Images on which accuracy is measured; None where it is not.
    """

    indices: tuple[int, ...]
    outputs: tuple[int, ...]
    benches: tuple[Bench | None, ...]
    sample: Sample | None
    data: Dataset | None

    @classmethod
    def of(
        cls, network: Network, where: Sequence[Place], split: Split, sample: Sample | None, data: Dataset
    ) -> Ruler:
        """Return what the units of these layers of `network` are measured with."""
        known = places(network)
        return cls(
            tuple(known.index(place) for place in where),
            tuple(k for k, place in enumerate(where) if place.is_output),
            tuple(_bench(network, place.layer, split) for place in where),
            sample,
            data,
        )

    def statistics(self, k: int) -> tuple[str, ...]:
        """Return what is measured of the k-th layer, of `STATISTICS`."""
        on_pixels = self.benches[k] is not None
        known = {"moran": on_pixels, "gabor": on_pixels}
        known["concept"] = self.sample is not None and k not in self.outputs
        known["lost"] = self.data is not None
        return tuple(name for name in STATISTICS if known.get(name, True))

    def __call__(self, network: Network, chosen: Sequence[IntArray] | None = None) -> Measured:
        """Measure all units of the layers in `network`, or those that are `chosen` of each."""
        network, known = with_linear_output(network), places(network)
        where = [known[index] for index in self.indices]
        hidden = [place for place in where if not place.is_output]
        units = [np.arange(network.n_units(place.layer)) for place in where] if chosen is None else chosen
        right, lost = self._lost(network, where, hidden, units)
        aurocs = dict(zip(hidden, self._aurocs(network, hidden), strict=True))
        tables, told = [], list[Array | None]()
        for k, (place, bench) in enumerate(zip(where, self.benches, strict=True)):
            found = {"norm": _norms(network, place.layer)[units[k]]}
            if lost:
                found["lost"] = lost[k].mean(axis=1)
            if bench is not None:
                measured = bench.meter(bench.view.inside(network).images(network)[units[k]])
                found |= {"moran": measured[:, MORAN], "gabor": measured[:, GABOR]}
            auroc = aurocs.get(place)
            auroc = None if auroc is None else auroc[units[k]]
            if auroc is not None:
                found["concept"] = 0.5 + np.abs(auroc - 0.5).max(axis=1)
            told.append(auroc)
            tables.append(np.stack([found[name] for name in self.statistics(k)], axis=1))
        return Measured(right, tuple(tables), lost, tuple(told))

    def _lost(
        self, network: Network, where: Sequence[Place], hidden: Sequence[Place], units: Sequence[IntArray]
    ) -> tuple[npt.NDArray[np.bool_], tuple[npt.NDArray[np.int8], ...]]:
        """Return which images are right, and what is lost without each unit, if that is measured."""
        if self.data is None:
            return np.zeros(0, bool), ()
        logits = all_logits(network, self.data.images)
        right = named(network, logits) == self.data.labels
        values = dict(zip(hidden, outputs_at(network, hidden, self.data.images), strict=True))
        without = (
            right_without(network, place, values.get(place, logits), self.data, some)
            for place, some in zip(where, units, strict=True)
        )
        return right, tuple(right.astype(np.int8) - each for each in without)

    def _aurocs(self, network: Network, hidden: Sequence[Place]) -> list[Array | None]:
        """Return how well the units of each layer tell each concept within classes, (n_units, n_concepts) each."""
        if self.sample is None or not hidden:
            return [None] * len(hidden)
        outputs = outputs_at(network, hidden, self.sample.images)
        units = [by_unit(network, place.end, each) for place, each in zip(hidden, outputs, strict=True)]
        ranks = ranks_within(np.concatenate(units, axis=1).astype(np.float64), self.sample.classes)
        found = aurocs_within(ranks, self.sample.concepts, self.sample.classes)
        return list(np.split(found, np.cumsum([each.shape[1] for each in units])[:-1]))


class Measured(NamedTuple):
    """What was measured of the units of several layers in one network.

    Attributes
    ----------
    right : ndarray of shape (n_images,), bool
        Which images the whole network classifies right.
    tables : tuple of ndarray of shape (n_units, n_statistics)
        The statistics of each layer's units.
    lost : tuple of ndarray of shape (n_units, n_images), int8
        1 for an image that is right with the unit only, -1 for one that is right without it only.
    aurocs : tuple of (ndarray of shape (n_units, n_concepts) or None)
        How well they tell each concept.
    """

    right: npt.NDArray[np.bool_]
    tables: tuple[Array, ...]
    lost: tuple[npt.NDArray[np.int8], ...]
    aurocs: tuple[Array | None, ...]


def _bench(network: Network, layer: str, split: Split) -> Bench | None:
    """Return what measures the weight images of a layer, if its weights are on pixels."""
    try:
        view = View.of(network, layer)
        if view.kind == "expanded":
            return None
        return Bench.of(view, split, 1, np.random.default_rng(0))
    except InputError:
        return None


def _norms(network: Network, layer: str) -> Array:
    """Return the length of each unit's weights, the root of their summed squares; NaN where one kernel follows another."""
    target = network.layer(layer)
    n_units = network.n_units(layer)
    name, axes = next(iter(target.kernel_axes.items()))
    rows = np.moveaxis(target.variables[name], axes, range(len(axes))).astype(np.float64)
    rows = rows.reshape(math.prod(rows.shape[: len(axes)]), -1)
    if not target.has_one_kernel or len(rows) != n_units:
        return np.full(n_units, np.nan)
    return np.asarray(np.sqrt(np.square(rows).sum(axis=1)))


def standings(
    ruler: Ruler, tables: Sequence[Array], kept: Sequence[Sequence[int]], controls: Controls
) -> list[Standing]:
    """Return where units with these statistics, a table for each layer, stand among those of the control networks.

    Those columns of the tables are `kept` that `ruler` measures.
    """
    groups = [[ruler(network).tables for network in getattr(controls, name).networks()] for name in GROUPS]
    found = []
    for k, table in enumerate(tables):
        values = table[:, kept[k]]
        pools = [np.concatenate([one[k] for one in group]) for group in groups]
        found.append(
            Standing(
                statistics=ruler.statistics(k),
                values=values,
                groups=GROUPS,
                n_networks=len(controls),
                n_units=len(pools[0]),
                n_images=0 if ruler.data is None else len(ruler.data),
                quantiles=np.stack([_by_statistic(_quantiles, pool, values) for pool in pools]),
                percentiles=np.stack([_by_statistic(_shares_below, pool, values).T for pool in pools]),
            )
        )
    return found


def _by_statistic(function: Callable[[Array, Array], Array], pool: Array, values: Array) -> Array:
    """Return what `function` says of each statistic, of those units of the pool that have it: (n_statistics, ...)."""
    columns = zip(pool.T, values.T, strict=True)
    return np.stack([function(column[np.isfinite(column)], own) for column, own in columns])


def _quantiles(pool: Array, values: Array) -> Array:
    return np.quantile(pool, QUANTILES) if pool.size else np.full(len(QUANTILES), np.nan)


def _shares_below(pool: Array, values: Array) -> Array:
    """Return the share of the pool below each value (n_units,), ties counted half; NaN where there is nothing to compare."""
    if not pool.size:
        return np.full(len(values), np.nan)
    ordered = np.sort(pool)
    below = (np.searchsorted(ordered, values) + np.searchsorted(ordered, values, "right")) / (2 * len(pool))
    return np.asarray(np.where(np.isfinite(values), below, np.nan))
