"""What is known of many minima in the end."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from probe.analyses.minima.connections import Connections
from probe.results import Columns, Record, Result
from probe.stats import Interval, Verdict

__all__ = ["CLEARLY", "LEFT", "Minima", "WidthMinima"]

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


class WidthMinima(Record):
    """The networks of one architecture, each array of shape (n_networks,) unless it says otherwise.

    Attributes
    ----------
    name : str
        Such as "784-16-16-10 sigmoid".
    hidden : tuple of int
        Units of each hidden layer.
    n_parameters : int
        Of one network.
    train_cost, test_cost : ndarray
        Mean costs without weight decay; NaN where training failed, as in all that follows.
    half_cost, half_accuracy : ndarray of shape (n_networks, 2)
        On two halves of the test images, drawn at random.
    train_accuracy, test_accuracy : ndarray, in [0, 1]
    gradient_norm, trained_norm : ndarray
        Length of the gradient of the cost with weight decay, at the end and before polishing.
    smallest, largest, residual : ndarray
        Extreme eigenvalues of the Hessian as Lanczos found them; an eigenvalue lies within the residual of the
        smallest, and one below it can have been missed. NaN where not measured.
    is_diverged : ndarray of bool
        Failed runs.
    spread : Interval
        Range of the middle 90% of test accuracies, a failed run counting as guessing.
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
    train_cost: Floats
    test_cost: Floats
    half_cost: Floats
    train_accuracy: Floats
    test_accuracy: Floats
    half_accuracy: Floats
    gradient_norm: Floats
    trained_norm: Floats
    smallest: Floats
    largest: Floats
    residual: Floats
    is_diverged: npt.NDArray[np.bool_]
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
        return {name: _median(getattr(self, name)) for name in _MEASURED}


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


def _median(values: Floats) -> float:
    known = values[np.isfinite(values)]
    return float(np.median(known)) if known.size else np.nan
