"""What is known of many minima in the end, and what it says of two claims.

The claims are that minima are about equal, and that small networks find poor ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from probe.analyses.minima.connections import Connections
from probe.analyses.minima.design import Measured
from probe.results import Columns, Result
from probe.stats import Claim, Estimate, Interval, Verdict, bootstrap_interval, count_estimate, mean_estimate
from probe.stats.concentration import finite_median

__all__ = [
    "CLEARLY",
    "EQUAL",
    "FEWEST_TO_CALL_EQUAL",
    "LEFT",
    "Minima",
    "WidthMinima",
    "correlation",
    "intervals",
    "middle_range",
    "relative_deviation",
    "verdicts_of",
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

EQUAL = Claim(
    key="minima",
    title="The minima that such networks reach are of about equal quality",
    statistic_name="share of networks within the margin",
    unit="share",
    replicate="networks",
    null="nine in ten networks lie within the margin",
    threshold=0.9,
    reason="the middle 90% of networks; the margin was declared before anything was measured",
    subject="kind",
    said="actually of equal quality",
    minute="19:43",
)

_SPREAD = Claim(
    key="poor",
    title="Small networks can reach poor minima, large ones hardly",
    statistic_name="ratio of relative deviations from the median",
    unit="",
    replicate="networks",
    null="test costs lie as far from their median, relative to it, in small networks as in large ones",
    threshold=1.0,
    reason="as far",
    subject="kind",
)

FEWEST_TO_CALL_EQUAL = 36
"""Networks that can be called equal if all lie within the margin: with fewer, one in ten may well be elsewhere."""

_FEWEST_FOR_RANGE = 40
"""Networks below which the bootstrap's interval of a middle 90% is too narrow: of 30 it covers 87%, of 40 93%, of 80 95%."""

_POOR = 1.1
"""A network is poor if its test cost is more than this many times the median of its kind. Fixed before anything is
measured."""

_MOSTLY = 0.9
"""Share of the networks that must be minima for all to be called so."""


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


def verdicts_of(widths: Sequence[WidthMinima], margin: float, guessing: float) -> tuple[Verdict, ...]:
    """Return a verdict for each architecture, and one over the narrowest and the widest.

    Accuracies within `margin` were declared equal; a failed run counts with `guessing`, the cost of a network that guesses.
    """
    equal = tuple(_equal(width, margin, is_alone=len(widths) == 1) for width in widths)
    sizes = [width.n_parameters for width in widths]
    if len(set(sizes)) < 2:
        return equal
    return (*equal, _poor(widths[int(np.argmin(sizes))], widths[int(np.argmax(sizes))], guessing))


def _equal(width: WidthMinima, margin: float, *, is_alone: bool) -> Verdict:
    found, n_failed = width.within(margin), width.n_failed
    n_near = round(found.interval.estimate * width.n_networks)
    few = (
        f" Fewer than {FEWEST_TO_CALL_EQUAL} networks cannot support this, even if all lie there."
        if width.n_networks < FEWEST_TO_CALL_EQUAL
        else ""
    )
    called = "minima" if width.is_minimum.mean() >= _MOSTLY else "low-loss points"
    failed = f"{n_failed} runs failed and count as outside." if n_failed else "No run failed."
    return EQUAL.verdict(
        found,
        f"{n_near} of {width.n_networks} networks lie within {_points(margin / 2)} of the median test accuracy of the "
        f"others (95% interval of the share: {found.interval.low:.0%} to {found.interval.high:.0%}); the middle 90% lie "
        f"within {width.spread:.2p;} points, declared equal before: {_points(margin)}.{few} {failed} "
        f"{_minima(width)} {_real(width)}",
        key=EQUAL.key if is_alone else f"{EQUAL.key}/{width.name}",
        title=f"The {called} that networks {width.name} reach are of about equal quality",
    )


def _points(share: float) -> str:
    return f"{100 * share:.2g} point" + "s" * (share != 0.01)


def _minima(width: WidthMinima) -> str:
    if not width.n_measured:
        return "Whether they are minima was not measured."
    return f"{width.n_minima} of {width.n_networks} are minima by gradient and curvature."


def _both_minima(narrow: WidthMinima, wide: WidthMinima) -> str:
    if not (narrow.n_measured and wide.n_measured):
        return "Whether they are minima was not measured."
    counts = [f"{width.n_minima} of {width.n_networks}" for width in (narrow, wide)]
    return f"Minima by gradient and curvature are {counts[0]} and {counts[1]}."


def _real(width: WidthMinima) -> str:
    """Say whether the differences in accuracy are of the networks or of the test images."""
    halves = width.split_half_accuracy
    if not width.n_failed and np.ptp(width.test_accuracy) <= 1e-12:
        return "All are right on equally many test images, so that accuracy does not tell them apart."
    if np.isnan(halves.estimate):
        return "How far their differences are those of the test images is not known."
    meaning = (
        "the differences are real"
        if halves.low > 0.5
        else "most of the differences are of the test images"
        if halves.high < 0.5
        else "how many of the differences are of the test images is open"
    )
    return f"Accuracies on two halves of the test images correlate by {halves.estimate:.2f}: {meaning}."


def _poor(narrow: WidthMinima, wide: WidthMinima, guessing: float) -> Verdict:
    """Judge by how far test costs lie from their median, and by whether any small network is poor.

    A spread without a poor network is none of poor minima, however sure.
    """
    costs = [np.where(width.is_diverged, guessing, width.test_cost) for width in (narrow, wide)]
    # Starts of different widths are not paired; the first n of each are drawn alone, and stand beside each other by chance.
    n = min(map(len, costs))
    poor = [float((values[:n] > _POOR * np.median(values[:n])).mean()) for values in costs]
    one, other = (_deviations(values[:n]) for values in costs)
    found = mean_estimate(one / other, scale="ratio")
    failed = (
        f" Failed runs, which count as guessing: {narrow.n_failed} and {wide.n_failed}."
        if narrow.n_failed or wide.n_failed
        else ""
    )
    verdict = _SPREAD.verdict(
        found,
        f"Relative to their median, test costs of {narrow.name} lie {found:.2f;} times as far from it as those of {wide.name} "
        f"({n} networks each, geometric mean). Poor, more than {_POOR - 1:.0%} above the median of their kind, are "
        f"{poor[0]:.1%} and {poor[1]:.1%}.{failed} {_both_minima(narrow, wide)}",
    )
    if verdict.decision == "supported" and not poor[0] > poor[1]:
        return replace(verdict, decision="inconclusive")
    return verdict


def _deviations(costs: Floats) -> Floats:
    """Return how far each cost lies from the median of the others, relative to it; rounding where it does not."""
    medians = np.array([np.median(np.delete(costs, k)) for k in range(len(costs))])
    return np.asarray(np.maximum(np.abs(costs - medians), 1e-12) / np.maximum(medians, 1e-12))


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
