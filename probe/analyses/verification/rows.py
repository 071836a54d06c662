"""What was published, how far ours may lie from it, and what ours says of that."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from probe._checks import InputError, check_choice, check_integer, check_number
from probe._signatures import checked
from probe.stats import FEWEST, Decision, Interval, bootstrap_interval, count_estimate, mean_estimate

__all__ = ["SIZES", "SOURCES", "STATISTICS", "Known", "Row", "Size", "Statistic", "best_of_three", "decided"]

Floats = npt.NDArray[np.float64]

Size = Literal["small", "medium", "full"]
_TINY = 1e-4
"""Numbers below are written with an exponent."""

SIZES: tuple[Size, ...] = get_args(Size)
"""How much is trained; "full" is what was published, as far as the data are there."""

Known = Literal["digits", "sentence", "account"]
"""How a figure is known: printed in a table or a transcript, said in a sentence, or told by accounts of the source."""

Statistic = Literal[
    "mean", "ratio", "count", "best of three", "spread", "correlation", "correlations", "exact"
]

SOURCES: Mapping[str, str] = {
    "lesson": '3Blue1Brown, "Gradient descent, how neural networks learn", 2017',
    "nielsen": 'M. A. Nielsen, "Neural Networks and Deep Learning", 2015',
    "hendrycks": 'D. Hendrycks, K. Gimpel, "A Baseline for Detecting Misclassified and Out-of-Distribution Examples in '
    'Neural Networks", ICLR 2017',
    "zhang": 'C. Zhang et al., "Understanding deep learning requires rethinking generalization", ICLR 2017',
    "arpit": 'D. Arpit et al., "A Closer Look at Memorization in Deep Networks", ICML 2017',
    "toneva": 'M. Toneva et al., "An Empirical Study of Example Forgetting during Deep Neural Network Learning", ICLR 2019',
    "choromanska": 'A. Choromanska et al., "The Loss Surfaces of Multilayer Networks", AISTATS 2015',
    "li": 'H. Li et al., "Visualizing the Loss Landscape of Neural Nets", NeurIPS 2018',
    "garipov": 'T. Garipov et al., "Loss Surfaces, Mode Connectivity, and Fast Ensembling of DNNs", NeurIPS 2018',
}
"""The sources by name, in the order of the page."""


@checked
@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A published figure, or a published direction, and how far ours may lie from it: declared before the table is run.

    Attributes
    ----------
    key : str
        Its name, which begins with that of its source.
    source : str
        One of `SOURCES`.
    where : str
        Chapter, table or section.
    claim : str
        What was published, in words.
    setup : str
        How it was found there.
    differs : str
        Where ours is done otherwise; "" for nowhere.
    low, high : float
        What was published: one number twice, or a range; infinite where it is open.
    spread : float
        Standard deviation between networks, at least 0: of pilot networks that the table does not use.
    rounding : float
        What rounding, or words such as "about", leave open on both sides, at least 0.
    reason : str
        Why this tolerance, beside that.
    known : {"digits", "sentence", "account"}
        Printed in a table or a transcript, said in a sentence, or told by accounts of the source.
    unit : {"share", "", "times"}
        Of the numbers: a share of 1, a pure number, or a ratio.
    digits : int
        Digits after the point, of a share in per cent.
    statistic : str
        What the networks come to, one of `STATISTICS`.
    size : {"small", "medium", "full"}
        The smallest size at which it can be compared.
    carries : bool
        Whether it can be asked of other data than MNIST.
    remark : str
        What is known of why ours lies elsewhere, where it does. Written after results; the tolerance is not.

    Raises
    ------
    InputError
        If a name is unknown or a number out of range.
    """

    key: str
    source: str
    where: str
    claim: str
    setup: str
    differs: str = ""
    low: float = -math.inf
    high: float = math.inf
    spread: float = 0.0
    rounding: float = 0.0
    reason: str = ""
    known: Known = "sentence"
    unit: Literal["share", "", "times"] = "share"
    digits: int = 2
    statistic: Statistic = "mean"
    size: Size = "small"
    carries: bool = False
    remark: str = ""

    def __post_init__(self) -> None:
        check_choice("source", self.source, SOURCES)
        check_choice("known", self.known, get_args(Known))
        check_choice("statistic", self.statistic, STATISTICS)
        check_choice("size", self.size, SIZES)
        for name in ("low", "high"):
            if not _is_infinite(getattr(self, name)):
                check_number(name, getattr(self, name))
        if self.low > self.high or (math.isinf(self.low) and math.isinf(self.high)):
            raise InputError(
                "low and high must be a number twice, or a range that is open on one side at most, got "
                f"{self.low} and {self.high}"
            )
        check_number("spread", self.spread, minimum=0)
        check_number("rounding", self.rounding, minimum=0)
        check_integer("digits", self.digits, minimum=0, maximum=12)
        check_choice("unit", self.unit, ("share", "", "times"))

    @property
    def tolerance(self) -> float:
        """How far ours may lie outside of what was published: two standard deviations between networks, and rounding."""
        return 2 * self.spread + self.rounding

    @property
    def published(self) -> str:
        """What was published, as text."""
        if self.low == self.high:
            return self.written(self.low)
        if math.isinf(self.high):
            return f"above {self.written(self.low)}"
        if math.isinf(self.low):
            return f"below {self.written(self.high)}"
        return f"{self.written(self.low)} to {self.written(self.high)}"

    @property
    def tolerated(self) -> str:
        """The tolerance and why it is that, as text."""
        parts = []
        if self.spread:
            parts.append(f"two standard deviations between networks of {self._short(self.spread)}")
        if self.rounding:
            parts.append(f"{self._short(self.rounding)} for rounding")
        why = "; ".join(part for part in (" and ".join(parts), self.reason) if part)
        return f"{self._short(self.tolerance)}: {why}" if self.tolerance else f"none: {why}"

    def _short(self, value: float) -> str:
        return f"{100 * value:.3g}%" if self.unit == "share" else f"{value:.3g}"

    def written(self, value: float) -> str:
        """Return a number of this row as text."""
        if self.unit == "share":
            return f"{100 * value:.{self.digits}f}%"
        return f"{value:.0e}" if 0 < abs(value) < _TINY else f"{value:,.{self.digits}f}"

    def interval(self, values: Floats) -> Interval:
        """Return what values of networks, (n_networks,) or (n_networks, n_columns), come to."""
        return STATISTICS[self.statistic](values)

    def decision(self, interval: Interval) -> Decision:
        """Return whether ours lies within the tolerance."""
        if self.statistic != "exact" and interval.n < FEWEST:
            return "inconclusive"
        return decided(interval, self.low - self.tolerance, self.high + self.tolerance)


def _is_infinite(value: object) -> bool:
    return isinstance(value, float) and math.isinf(value)


def decided(interval: Interval, low: float, high: float) -> Decision:
    """Return whether an estimate lies within bounds: two one-sided tests, at 2.5% each for a 95% interval [1]_.

    Returns
    -------
    {"supported", "refuted", "inconclusive"}
        Its interval lies within them, outside of them, or neither. The estimate decides where all replicates are equal.

    References
    ----------
    .. [1] D. J. Schuirmann, "A comparison of the Two One-Sided Tests Procedure and the Power Approach for assessing the
       equivalence of average bioavailability", Journal of Pharmacokinetics and Biopharmaceutics 15, 1987.

    Examples
    --------
    >>> decided(Interval(0.5, 0.4, 0.6, 0.95, 8), 0.3, 0.7), decided(Interval(0.5, 0.4, 0.6, 0.95, 8), 0.55, 1.0)
    ('supported', 'inconclusive')
    >>> decided(Interval(0.5, 0.4, 0.6, 0.95, 8), 0.7, 1.0)
    'refuted'
    """
    if not math.isfinite(interval.estimate):
        return "inconclusive"
    lower, upper = (end if math.isfinite(end) else interval.estimate for end in (interval.low, interval.high))
    if low <= lower and upper <= high:
        return "supported"
    return "refuted" if upper < low or lower > high else "inconclusive"


def best_of_three(values: Floats, axis: int = -1) -> Floats:
    """Return the mean over all threes of their largest value: what the best of three runs comes to.

    Examples
    --------
    >>> float(best_of_three(np.array([1.0, 2.0, 3.0])))
    3.0
    >>> float(best_of_three(np.array([0.0, 1.0, 2.0, 3.0])))  # 3 in three of four threes, and 2
    2.75
    """
    n = values.shape[axis]
    # The k-th smallest is the largest of so many threes.
    chances = np.array([math.comb(k, 2) for k in range(n)]) / math.comb(n, 3)
    return np.asarray(np.moveaxis(np.sort(values, axis=axis), axis, -1) @ chances)


def _spread(one: Floats, other: Floats, axis: int = -1) -> Floats:
    """Return how many times as much the first costs vary as the second ones, relative to their means."""
    deviations = [each.std(axis=axis, ddof=1) / each.mean(axis=axis) for each in (one, other)]
    return np.asarray(deviations[0] / deviations[1])


def _correlation(one: Floats, other: Floats, axis: int = -1) -> Floats:
    one, other = (each - each.mean(axis=axis, keepdims=True) for each in (one, other))
    return np.asarray((one * other).sum(axis) / np.sqrt((one**2).sum(axis) * (other**2).sum(axis)))


def _correlations(one: Floats, other: Floats, third: Floats, fourth: Floats, axis: int = -1) -> Floats:
    """Return by how much the correlation of the first two is above that of the last two."""
    return _correlation(one, other, axis) - _correlation(third, fourth, axis)


def _exact(values: Floats) -> Interval:
    return Interval(float(values[0]), np.nan, np.nan, 0.95, 1)


STATISTICS: Mapping[str, Callable[[Floats], Interval]] = {
    "mean": lambda values: mean_estimate(values).interval,
    "ratio": lambda values: mean_estimate(values, scale="ratio").interval,
    "count": lambda values: count_estimate(int(values.sum()), len(values)).interval,
    "best of three": lambda values: bootstrap_interval(values, statistic=best_of_three),
    "spread": lambda values: bootstrap_interval(values, statistic=_spread),
    "correlation": lambda values: bootstrap_interval(values, statistic=_correlation),
    "correlations": lambda values: bootstrap_interval(values, statistic=_correlations),
    "exact": _exact,
}
"""What makes an estimate with a 95% interval of the values of networks."""
