"""What is measured of the weight images of one network: the same for the one at hand and for each control network."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from probe._checks import Array, InputError
from probe.analyses.structure.edges import edge_like, fits
from probe.analyses.structure.meter import Meter, meter_of
from probe.analyses.structure.nulls import Draws, Start, p_values, planted_units
from probe.analyses.structure.results import STATISTICS
from probe.analyses.structure.view import View
from probe.datasets import Split
from probe.network import Network
from probe.stats import Estimate, count_estimate

__all__ = ["GABOR", "MORAN", "Bench", "Counts", "Measured", "Planted", "measured"]

MORAN, GABOR = STATISTICS.index("moran"), STATISTICS.index("gabor")

_MOST_BLOCKS = 16
"""Times `n_null` draws that are made at most until it is settled which units are edges."""

_N_PLANTED = 100
_FEWEST_ACTIVE = 9
"""Pixels in which training images vary: a pattern of fewer is none."""

_PLANTED_SHARE = 0.8
"""Share of the variance of a planted unit that is a Gabor function."""


@dataclass(frozen=True, slots=True, eq=False)
class Bench:
    """What the weight images of one layer are measured with, on one data set."""

    view: View
    meter: Meter
    draws: Draws

    @classmethod
    def of(cls, view: View, split: Split, n_null: int, rng: np.random.Generator) -> Bench:
        """Return what `view` is measured with; `n_null` draws are made at a time."""
        train = view.seen(split.train.images, rng)
        kernels = view.kind == "kernels"
        active = np.ones(train.shape[1:3], bool) if kernels else _active(split.train.images)
        if min(active.shape) < 3:
            raise InputError(
                f"weight images must be 3 x 3 at least, but those of '{view.name}' are "
                f"{active.shape[0]} x {active.shape[1]}"
            )
        if active.sum() < _FEWEST_ACTIVE:
            raise InputError(
                f"the training images must vary in at least {_FEWEST_ACTIVE} pixels to judge weights on them, but they "
                f"vary in {active.sum()}"
            )
        meter = meter_of(active)
        return cls(view, meter, Draws(train, meter, n_null, rng))

    def fewer(self, n_null: int, rng: np.random.Generator) -> Bench:
        """Return the same with `n_null` other draws at a time."""
        return Bench(self.view, self.meter, self.draws.others(n_null, rng))


def _active(images: Array) -> npt.NDArray[np.bool_]:
    varied = (images != images[:1]).any(axis=0)
    return np.asarray(varied.any(axis=-1) if varied.ndim == 3 else varied)


@dataclass(frozen=True, slots=True)
class Counts:
    """Units of a layer: all, those whose weights are not all the same, those with structure, and edge detectors."""

    n_units: int
    n_varied: int
    n_structured: int
    n_edges: int

    def estimates(self) -> dict[str, Estimate]:
        """Return the shares of units that have more structure than chance, and of those that are edge detectors.

        Where all weights are the same there is neither structure nor chance: such units do not count for the first, which is
        missing where there are no others.
        """
        found = {"edges": count_estimate(self.n_edges, self.n_units)}
        if self.n_varied:
            found["random"] = count_estimate(self.n_structured, self.n_varied)
        return found


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """The weight images of one network (n_units, height, width[, channels]), and what they are against "data-span".

    `values` and `each_p` are (n_units, 5), `explained` is (n_units, 2) of `fits`, and `null` holds draws in the proportions
    of the units.
    """

    images: Array
    values: Array
    start: Start
    null: Array
    each_p: Array
    combined_p: Array
    explained: Array
    is_edge: npt.NDArray[np.bool_]

    def counts(self, alpha: float) -> Counts:
        """Return how many units have more structure than chance, and how many are edge detectors."""
        n_structured = int((self.combined_p <= alpha).sum())
        return Counts(len(self.values), int(self.varied.sum()), n_structured, int(self.is_edge.sum()))

    @property
    def varied(self) -> npt.NDArray[np.bool_]:
        """Which units have weights that are not all the same."""
        return np.asarray(np.isfinite(self.values[:, MORAN]))


def measured(network: Network, bench: Bench, alpha: float) -> Measured:
    """Measure the layer of the same place in a network."""
    images = bench.view.inside(network).images(network)
    values = bench.meter(images)
    start = Start.of(images, bench.meter.active, bench.view.kind, bench.draws.quiet)
    explained = fits(images, values, bench.meter)
    alike = edge_like(explained)
    each, combined = np.ones(values.shape), np.ones(len(values))
    pooled = list[Array]()
    for level in np.unique(start.levels):
        units = start.levels == level
        null = bench.draws.measured(start, int(level))
        for block in range(1, _MOST_BLOCKS):
            each[units], combined[units] = p_values(values[units], null)
            if _settled(each[units & alike, GABOR], len(null), len(values), alpha):
                break
            null = np.concatenate([null, bench.draws.measured(start, int(level), block)])
        pooled.append(null[: max(1, round(bench.draws.n * units.mean()))])
    is_edge = alike & (each[:, GABOR] <= alpha)
    return Measured(images, values, start, np.concatenate(pooled), each, combined, explained, is_edge)


def _settled(p: Array, n_null: int, n_units: int, alpha: float) -> bool:
    """Return whether other draws would change the share of units with p-values up to `alpha` by a hundredth at most."""
    error = np.sqrt(alpha * (1 - alpha) / n_null)
    return bool((np.abs(p - alpha) < 2 * error).sum() <= 0.01 * n_units)


@dataclass(frozen=True, slots=True, eq=False)
class Planted:
    """Positive controls: Gabor functions beside draws of "data-span", and the shares of them that the tests find."""

    images: Array
    values: Array
    random_power: float
    start_power: float
    edge_power: float

    @classmethod
    def of(cls, found: Measured, bench: Bench, alpha: float, rng: np.random.Generator) -> Planted:
        """Plant Gabor functions where a unit of `found` would have one."""
        start, middle = found.start, int(np.median(found.start.levels))
        rest = bench.draws.images(start, middle)
        rest = rest[np.arange(_N_PLANTED) % len(rest)]
        images = planted_units(bench.meter.active, rest, _PLANTED_SHARE, rng)
        values, levels = bench.meter(images), start.with_learned(middle, _PLANTED_SHARE)
        each, combined = p_values(values, bench.draws.measured(start, levels))
        edges = edge_like(fits(images, values, bench.meter)) & (each[:, GABOR] <= alpha)
        _, untrained = p_values(values, bench.draws.measured(start, 0))
        return cls(
            images, values, *(float(np.mean(hits)) for hits in (combined <= alpha, untrained <= alpha, edges))
        )
