"""What a search for capacities tries, and what the searches come to."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product

import numpy as np
import numpy.typing as npt

from probe._checks import InputError, check_integer, check_number, check_once
from probe._signatures import checked
from probe.datasets import Split
from probe.population import MLP
from probe.results import Columns, Record, Result
from probe.stats import Interval, mean_estimate
from probe.training import TrainingConfig

__all__ = ["CAPACITY_CONFIG", "Capacity", "CapacityDesign", "CapacityFit", "CapacityKey", "CapacityTrial"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

CAPACITY_CONFIG = TrainingConfig(
    epochs=300, batch_size=100, optimizer="adam", schedule="cosine", stop="fitted"
)
"""What networks may spend on one number of images. Their learning rates are those of the design."""

_LARGEST = 10_000
"""Most images tried where nothing is said, if there are as many."""


@checked
@dataclass(frozen=True, slots=True)
class CapacityDesign:
    """A search for the capacity of several architectures.

    Its fields are as in `capacity`, but `architectures` and `rates` are tuples. `settled` refuses a `largest` of more than
    all images.

    Raises
    ------
    InputError
        If a value is outside its range.
    """

    architectures: tuple[MLP, ...]
    config: TrainingConfig = CAPACITY_CONFIG
    rates: tuple[float, ...] = (0.001, 0.003, 0.01)
    starts: int = 3
    replicates: int = 3
    updates: int = 6000
    largest: int | None = None
    tolerance: float = 0.1
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.architectures or not self.rates:
            raise InputError("architectures and rates must hold at least one value")
        for rate in self.rates:
            check_number("rates", rate, above=0)
        for name, minimum in (("starts", 1), ("replicates", 1), ("updates", 1), ("seed", 0)):
            check_integer(name, getattr(self, name), minimum=minimum)
        if self.largest is not None:
            check_integer("largest", self.largest, minimum=2)
        check_number("tolerance", self.tolerance, above=0)
        if self.config.stop != "fitted":
            raise InputError(f"config must have stop='fitted', got {self.config.stop!r}")

    @property
    def keys(self) -> tuple[CapacityKey, ...]:
        """All trials, replicate after replicate."""
        return tuple(
            CapacityKey(architecture, replicate)
            for replicate, architecture in product(range(self.replicates), range(len(self.architectures)))
        )

    def settled(self, split: Split) -> CapacityDesign:
        """Return the design for these data, in which `largest` is a number.

        Raises
        ------
        InputError
            If there are fewer training images than `largest`.
        """
        there = len(split.train)
        if self.largest is None:
            return replace(self, largest=min(_LARGEST, there))
        if self.largest > there:
            raise InputError(
                f"largest must be an integer from 2 to {there}, the number of training images, got {self.largest}"
            )
        return self

    def check_distinct(self) -> None:
        """Raise if an architecture or a learning rate is there twice."""
        check_once("architectures", self.architectures)
        check_once("rates", self.rates)


@dataclass(frozen=True, slots=True)
class CapacityKey:
    """Where a search stands in the design; with a number of images, where one population of it stands."""

    architecture: int
    replicate: int
    n_samples: int | None = None

    @property
    def name(self) -> str:
        """A name for files."""
        tried = "" if self.n_samples is None else f"-n{self.n_samples:06d}"
        return f"capacity-a{self.architecture}-r{self.replicate:04d}{tried}"


class CapacityFit(Record):
    """What the population of one number of images did.

    Attributes
    ----------
    fitted_share : ndarray of shape (n_rates,), in [0, 1]
        Share of the starts that fitted all images, at each learning rate.
    """

    fitted_share: Floats


class CapacityTrial(Record):
    """One search.

    Attributes
    ----------
    tried : ndarray of shape (n_tried,)
        Numbers of images, in the order in which they were tried.
    fitted_share : ndarray of shape (n_tried, n_rates), in [0, 1]
        Share of the starts that fitted them all, at each learning rate.
    """

    tried: Ints
    fitted_share: Floats

    @classmethod
    def begun(cls, design: CapacityDesign) -> CapacityTrial:
        """Return a search in which nothing has been tried yet."""
        return cls(tried=np.zeros(0, np.int64), fitted_share=np.zeros((0, len(design.rates))))

    def after(self, n_samples: int, fit: CapacityFit) -> CapacityTrial:
        """Return the search with one more number tried."""
        shares = np.vstack([self.fitted_share, fit.fitted_share])
        return CapacityTrial(tried=np.append(self.tried, n_samples), fitted_share=shares)

    @property
    def fits(self) -> Bools:
        """Whether each number counts as fitted: by at least half of the starts at one of the rates."""
        return np.asarray((self.fitted_share >= 0.5).any(axis=1))

    @property
    def capacity(self) -> int:
        """The largest number that was fitted; 0 if none was."""
        return int(self.tried[self.fits].max(initial=0))

    @property
    def is_censored(self) -> bool:
        """Whether no number failed, so that the capacity is at least the largest number tried."""
        return bool(self.fits.all())


class Capacity(Result):
    """The largest number of random labels that networks fitted.

    Attributes
    ----------
    architectures : tuple of str
        Such as "784-16-16-10 sigmoid".
    n_parameters : ndarray of shape (n_architectures,)
        Weights and biases of one network.
    capacities : ndarray of shape (n_architectures, n_replicates)
        Largest number of images of which all random labels were fitted, by at least half of the starts at
        one of the learning rates, within what the design lets them spend; 0 if no number was.
    censored : ndarray of shape (n_architectures, n_replicates), bool
        Whether all numbers up to the largest allowed were fitted.
    trials : tuple of tuple of CapacityTrial
        The searches, by architecture and replicate.
    design : CapacityDesign
    interrupted : bool
        Whether Ctrl-C ended the work early; then only the replicates done for all architectures are here.
    """

    architectures: tuple[str, ...]
    n_parameters: Ints
    capacities: Ints
    censored: Bools
    trials: tuple[tuple[CapacityTrial, ...], ...]
    design: CapacityDesign
    interrupted: bool = False

    @property
    def is_lower_bound(self) -> Bools:
        """Whether a search of each architecture never failed, so that its mean capacity is at least what is said."""
        return np.asarray(self.censored.any(axis=1))

    @property
    def intervals(self) -> tuple[Interval, ...]:
        """The mean capacity of each architecture, with an interval over its replicates.

        A search that fitted all images allowed is censored: its capacity is at least that number. With one of
        these, the estimate and the lower end, both with that number in its place, are lower bounds, and
        the upper end is infinite.
        """
        means = [_mean(row.astype(np.float64)) for row in self.capacities]
        return tuple(
            replace(mean, high=np.inf) if is_bound else mean
            for mean, is_bound in zip(means, self.is_lower_bound, strict=True)
        )

    @property
    def labels_per_parameter(self) -> tuple[float, ...]:
        """Mean capacity of each architecture for each of its parameters."""
        counts = self.n_parameters.tolist()
        return tuple(mean.estimate / count for mean, count in zip(self.intervals, counts, strict=True))

    def columns(self) -> Columns:
        """Return a row for each architecture."""
        return {
            "architecture": self.architectures,
            "parameters": self.n_parameters,
            "random labels fitted": [mean.estimate for mean in self.intervals],
            "low": [mean.low for mean in self.intervals],
            "high": [mean.high for mean in self.intervals],
            "is lower bound": self.is_lower_bound,
            "labels per parameter": self.labels_per_parameter,
        }


def _mean(capacities: Floats) -> Interval:
    """Return a mean capacity, at least 0, with its interval; the mean itself where all are equal."""
    found = mean_estimate(capacities).interval
    if len(capacities) == 1:
        return found
    low, high = np.nan_to_num([found.low, found.high], nan=found.estimate)
    return replace(found, low=max(0.0, float(low)), high=float(high))
