"""What the populations say of two claims: that minima are about equal, and that small networks find poor ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from probe.analyses.minima.results import WidthMinima
from probe.stats import Interval, Verdict, bootstrap_interval
from probe.stats.verdict import decide

__all__ = ["correlation", "intervals", "middle_range", "relative_deviation", "verdicts_of"]

Floats = npt.NDArray[np.float64]

_FEWEST = 10
"""Networks below which the middle 90% are not known at all."""


def middle_range(values: Floats, axis: int = -1) -> Any:
    """Return the range of the middle 90%."""
    low, high = np.quantile(values, [0.05, 0.95], axis=axis)
    return high - low


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


def verdicts_of(widths: Sequence[WidthMinima], margin: float) -> tuple[Verdict, ...]:
    """Return a verdict for each architecture, and one over the narrowest and the widest."""
    found = tuple(_equal(width, margin) for width in widths)
    sizes = [width.n_parameters for width in widths]
    if len(set(sizes)) < 2:
        return found
    return (*found, _poor(widths[int(np.argmin(sizes))], widths[int(np.argmax(sizes))]))


def _equal(width: WidthMinima, margin: float) -> Verdict:
    spread = width.spread
    enough = spread.n >= _FEWEST
    decision = "supported" if spread.high < margin else "refuted" if spread.low > margin else "inconclusive"
    return Verdict(
        f"The minima that networks {width.name} reach are of about equal quality",
        decision if enough else "inconclusive",  # type: ignore[arg-type]
        spread.estimate,
        spread,
        f"the middle 90% of test accuracies lie {margin:.1%} or more apart",
        f"The middle 90% of {spread.n} networks lie within {spread.estimate:.2%} of test accuracy "
        f"({spread.low:.2%} to {spread.high:.2%}); declared equal before: less than {margin:.1%}. {_failed(width)} Test "
        f"costs on two halves of the test images correlate by {width.split_half.estimate:.2f}: "
        + (
            "differences are real." if width.split_half.low > 0.5 else "differences are partly of the sample."
        ),
    )


def _failed(width: WidthMinima) -> str:
    return f"{width.n_failed} runs failed and count as guessing." if width.n_failed else "No run failed."


def _poor(narrow: WidthMinima, wide: WidthMinima) -> Verdict:
    """Judge by the relative spread of test costs: Brown and Forsythe's test, and a bootstrap of the ratio."""
    from scipy import stats

    one, other = (width.test_cost[~width.is_diverged] for width in (narrow, wide))
    claim = "Small networks can reach poor minima, large ones hardly"
    null = "test costs spread as much, relative to their mean, in small networks as in large ones"
    if min(len(one), len(other)) < _FEWEST:
        nothing = Interval(np.nan, np.nan, np.nan, 0.95, min(len(one), len(other)))
        return Verdict(
            claim, "inconclusive", np.nan, nothing, null, f"Fewer than {_FEWEST} networks of one width."
        )
    n = min(len(one), len(other))
    # Starts of different widths are not paired; the first n of each are drawn alone.
    ratio = _ratio_interval(one[:n], other[:n])
    p_value = float(stats.levene(one / one.mean(), other / other.mean(), center="median").pvalue)
    poor = [float((values > 1.1 * np.median(values)).mean()) for values in (one, other)]
    failed = (
        f" Failed runs: {narrow.n_failed} and {wide.n_failed}." if narrow.n_failed or wide.n_failed else ""
    )
    return Verdict(
        claim,
        decide(ratio, p_value, null=1.0),
        ratio.estimate,
        ratio,
        null,
        f"Relative to their mean, test costs of {narrow.name} spread {ratio.estimate:.2f} times as much as those of "
        f"{wide.name} ({ratio.low:.2f} to {ratio.high:.2f}, {n} networks each). More than 10% above the median of their "
        f"kind end {poor[0]:.1%} and {poor[1]:.1%}.{failed}",
    )


def _ratio_interval(one: Floats, other: Floats) -> Interval:
    """Return the ratio of relative deviations with a bootstrap interval over both groups, each drawn alone."""
    rng = np.random.default_rng(0)
    draws = 4999
    parts = [
        relative_deviation(values[rng.integers(len(values), size=(draws, len(values)))])
        for values in (one, other)
    ]
    estimate = float(relative_deviation(one) / max(float(relative_deviation(other)), 1e-12))
    low, high = np.quantile(parts[0] / np.maximum(parts[1], 1e-12), [0.025, 0.975])
    return Interval(estimate, float(low), float(high), 0.95, len(one))


def intervals(width_values: dict[str, Any], n_classes: int) -> dict[str, Interval]:
    """Return the four intervals of a `WidthMinima` from its arrays."""
    alive = ~width_values["is_diverged"]
    # A network that diverged guesses: it is counted, not left out.
    accuracy = np.where(alive, width_values["test_accuracy"], 1 / n_classes)
    train, test = width_values["train_cost"][alive], width_values["test_cost"][alive]
    halves = width_values["half_cost"][alive]
    nothing = Interval(np.nan, np.nan, np.nan, 0.95, int(alive.sum()))
    found = {"spread": bootstrap_interval(accuracy, statistic=middle_range)}
    if alive.sum() < 3:
        return found | dict.fromkeys(("relative_deviation", "train_test", "split_half"), nothing)
    return found | {
        "relative_deviation": bootstrap_interval(test, statistic=relative_deviation),
        "train_test": bootstrap_interval(np.stack([train, test], axis=1), statistic=correlation),
        "split_half": bootstrap_interval(halves, statistic=correlation),
    }
