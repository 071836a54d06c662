"""What is known of many minima in the end."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from probe.analyses.minima.connections import Connections
from probe.analyses.minima.design import Measured
from probe.results import Columns, Result
from probe.stats import Estimate, Interval, Verdict, bootstrap_interval, count_estimate
from probe.stats.concentration import finite_median

__all__ = [
    "CLEARLY",
    "LEFT",
    "Minima",
    "WidthMinima",
    "correlation",
    "intervals",
    "middle_range",
    "relative_deviation",
]

Floats = npt.NDArray[np.float64]

CLEARLY = 1e-4
"""A negative eigenvalue is clearly so if it is further below zero than this share of the largest, and the residual."""

LEFT = 1e-3
"""Share of the cost that may be left to fall, in a bowl of `CLEARLY` times the largest curvature, where a gradient
counts as small."""

_MEASURED = (
    "train_cost",
    "test_cost",
    "train_accuracy",
    "test_accuracy",
    "gradient_norm",
    "trained_norm",
    "smallest",
    "largest",
    "residual",
)
"""What is measured of each network, a number each."""

_FEWEST_FOR_RANGE = 40
"""Networks below which the bootstrap's interval of a middle 90% is too narrow: of 30 it covers 87%, of 40 93%, of 80 95%."""


class WidthMinima(Measured):
    """The networks of one architecture.

    Attributes
    ----------
    name : str
        Such as "784-16-16-10 sigmoid".
    hidden : tuple of int
        Units of each hidden layer.
    n_parameters : int
        Of one network.
    spread : Interval
        Range of the middle 90% of test accuracies, a failed run counting as guessing; with an interval from 40 networks on.
    relative_deviation : Interval
        Standard deviation of the test costs over their mean, a failed run counting as guessing.
    train_test : Interval
        Correlation of training and test cost over networks that did not fail.
    split_half, split_half_accuracy : Interval
        Correlation over networks that did not fail of the test costs, and of the accuracies, on two halves of the
        test images: 1 where the differences between networks are real, 0 where they are of the test sample.
    connections : Connections or None
        What lies between the first networks, if it was measured.
    """

    name: str
    hidden: tuple[int, ...]
    n_parameters: int
    spread: Interval
    relative_deviation: Interval
    train_test: Interval
    split_half: Interval
    split_half_accuracy: Interval
    connections: Connections | None = None

    @property
    def shape(self) -> str:
        """Units of the hidden layers, such as "16-16"; "none" without."""
        return "-".join(map(str, self.hidden)) or "none"

    @property
    def n_networks(self) -> int:
        """Number of networks, those that failed too."""
        return len(self.test_cost)

    @property
    def n_failed(self) -> int:
        """Networks whose training failed."""
        return int(self.is_diverged.sum())

    @property
    def n_measured(self) -> int:
        """Networks whose curvature was measured."""
        return int(np.isfinite(self.smallest).sum())

    @property
    def from_median(self) -> Floats:
        """How far each test accuracy lies from the median of the other networks, (n_networks,); a failed run is at 0."""
        accuracy = np.where(self.is_diverged, 0.0, self.test_accuracy)
        return np.array([one - np.median(np.delete(accuracy, k)) for k, one in enumerate(accuracy)])

    def within(self, margin: float) -> Estimate:
        """Return the share of networks that lie within `margin` altogether: within half of it from the median of the others.

        A failed run lies outside.
        """
        near = (np.abs(self.from_median) <= margin / 2) & ~self.is_diverged
        return count_estimate(int(near.sum()), self.n_networks)

    @property
    def is_negative(self) -> npt.NDArray[np.bool_]:
        """Where the smallest eigenvalue is clearly negative: below zero by more than it may be off."""
        return np.asarray(self.smallest < -(self.residual + CLEARLY * self.largest))

    @property
    def is_flat(self) -> npt.NDArray[np.bool_]:
        """Where the gradient is small: in a bowl as flat as `CLEARLY` of the largest curvature little is left to fall."""
        return np.asarray(self.gradient_norm**2 <= LEFT * self.train_cost * 2 * CLEARLY * self.largest)

    @property
    def is_minimum(self) -> npt.NDArray[np.bool_]:
        """Where the gradient is small and no eigenvalue is clearly negative: a minimum, as far as could be measured."""
        return self.is_flat & ~self.is_negative & np.isfinite(self.smallest)

    @property
    def n_minima(self) -> int:
        """Networks that are minima, as far as could be measured."""
        return int(self.is_minimum.sum())

    @property
    def n_negative(self) -> int:
        """Networks with a clearly negative eigenvalue: points of low cost from which there is still a way down."""
        return int(self.is_negative.sum())

    @property
    def medians(self) -> dict[str, float]:
        """Median of each array over the networks for which it is known; NaN where it is not known of any."""
        return {name: finite_median(getattr(self, name)) for name in _MEASURED}


class Minima(Result):
    """Where many networks of one or several architectures end.

    Attributes
    ----------
    widths : tuple of WidthMinima
        One for each architecture.
    margin : float
        Range of accuracies that was declared equal before.
    n_train, n_test : int
        Training images of each network, and test images.
    weight_decay : float
        Of training and polishing.
    polish : int
        Most iterations of L-BFGS.
    verdicts : tuple of Verdict
        Whether minima are of about equal quality, for each architecture; and, with several architectures, whether
        small networks can reach poor minima.
    interrupted : bool
        Whether Ctrl-C ended the work early; then only the networks done by then count.
    """

    widths: tuple[WidthMinima, ...]
    margin: float
    n_train: int
    n_test: int
    weight_decay: float
    polish: int
    verdicts: tuple[Verdict, ...]
    interrupted: bool = False

    @property
    def cells(self) -> tuple[str, ...]:
        """Names of the architectures."""
        return tuple(width.name for width in self.widths)

    @property
    def is_measured(self) -> bool:
        """Whether the curvature of any network is known."""
        return any(width.n_measured for width in self.widths)

    @property
    def is_connected(self) -> bool:
        """Whether it is known what lies between networks of any architecture."""
        return any(width.connections is not None for width in self.widths)

    def columns(self) -> Columns:
        """Return one row for each network."""
        names = [width.name for width in self.widths for _ in range(width.n_networks)]
        columns: Columns = {"architecture": names}
        for name in (*_MEASURED, "is_minimum", "is_diverged"):
            columns[name] = np.concatenate([getattr(width, name) for width in self.widths])
        return columns


def intervals(values: dict[str, Any], n_classes: int, guessing: float) -> dict[str, Interval]:
    """Return the intervals of a `WidthMinima` from its arrays.

    A network that diverged guesses: it is counted, not left out, but for the correlations.
    """
    alive = ~values["is_diverged"]
    accuracy = np.where(alive, values["test_accuracy"], 1 / n_classes)
    cost = np.where(alive, values["test_cost"], guessing)
    spread = bootstrap_interval(accuracy, statistic=middle_range)
    if spread.n < _FEWEST_FOR_RANGE:
        spread = replace(spread, low=np.nan, high=np.nan)
    judged = {
        "spread": spread,
        "relative_deviation": bootstrap_interval(cost, statistic=relative_deviation),
    }
    pairs = {
        "train_test": np.stack([values["train_cost"], values["test_cost"]], axis=1),
        "split_half": values["half_cost"],
        "split_half_accuracy": values["half_accuracy"],
    }
    nothing = Interval(np.nan, np.nan, np.nan, 0.95, int(alive.sum()))
    for name, both in pairs.items():
        # Without differences there is nothing to correlate.
        enough = alive.sum() >= 3 and np.ptp(both[alive], axis=0).min() > 1e-12
        judged[name] = bootstrap_interval(both[alive], statistic=correlation) if enough else nothing
    return judged


def middle_range(values: Floats, axis: int = -1) -> Any:
    """Return the range of the middle 90%; 0 where it is rounding."""
    low, high = np.quantile(values, [0.05, 0.95], axis=axis)
    return np.where(high - low > 1e-12, high - low, 0.0)


def relative_deviation(values: Floats, axis: int = -1) -> Any:
    """Return the standard deviation over the mean; 0 where both are."""
    mean = values.mean(axis=axis)
    return np.divide(values.std(axis=axis, ddof=1), mean, out=np.zeros_like(mean), where=mean > 0)


def correlation(one: Floats, other: Floats, axis: int = -1) -> Any:
    """Return Pearson's correlation; 0 where one does not vary."""
    a = one - one.mean(axis=axis, keepdims=True)
    b = other - other.mean(axis=axis, keepdims=True)
    lengths = np.sqrt((a * a).sum(axis=axis) * (b * b).sum(axis=axis))
    product = (a * b).sum(axis=axis)
    return np.divide(product, lengths, out=np.zeros_like(product), where=lengths > 0)
