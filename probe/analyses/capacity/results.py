"""What a search tried, and what the searches come to."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from probe.analyses.capacity.design import CapacityDesign
from probe.results import Columns, Record, Result
from probe.stats import Interval, bootstrap_interval

__all__ = ["Capacity", "CapacityFit", "CapacityTrial"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


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
        """The mean capacity of each architecture, with a bootstrap interval over its replicates.

        A search that fitted all images allowed is censored: its capacity is at least that number. With one of
        these, the estimate and the lower end, both with that number in its place, are lower bounds, and
        the upper end is infinite.
        """
        means = [bootstrap_interval(row.astype(np.float64)) for row in self.capacities]
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
