"""What many minima say of two claims: that they are about equal, and that small networks find poor ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from probe.analyses.minima.results import WidthMinima
from probe.stats import FEWEST, Claim, Verdict, mean_estimate

__all__ = ["EQUAL", "FEWEST_TO_CALL_EQUAL", "verdicts_of"]

Floats = npt.NDArray[np.float64]

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

_POOR = 1.1
"""A network is poor if its test cost is more than this many times the median of its kind. Fixed before anything is
measured."""

_MOSTLY = 0.9
"""Share of the networks that must be minima for all to be called so."""


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
    failed = f" {n_failed} runs failed and count as outside." if n_failed else ""
    verdict = EQUAL.verdict(
        found,
        f"{n_near} of {width.n_networks} networks lie within {_points(margin / 2)} of the median test accuracy of the "
        f"others; the middle 90% lie within {width.spread:.2p;} points, declared equal before: {_points(margin)}."
        f"{few}{failed} "
        f"{_minima(width)} {_real(width)}",
        key=EQUAL.key if is_alone else f"{EQUAL.key}/{width.name}",
        title=f"The {called} that networks {width.name} reach are of about equal quality",
    )
    return verdict if width.n_networks >= FEWEST else replace(verdict, decision="inconclusive")


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
        f"Relative to their median, test costs of {narrow.name} lie {found:.2f;} times as far from it as those of "
        f"{wide.name} ({n} networks each, geometric mean). Poor, more than {_POOR - 1:.0%} above the median "
        "of their kind, are "
        f"{poor[0]:.1%} and {poor[1]:.1%}.{failed} {_both_minima(narrow, wide)}",
    )
    if verdict.decision == "supported" and not poor[0] > poor[1]:
        return replace(verdict, decision="inconclusive")
    return verdict


def _deviations(costs: Floats) -> Floats:
    """Return how far each cost lies from the median of the others, relative to it; rounding where it does not."""
    medians = np.array([np.median(np.delete(costs, k)) for k in range(len(costs))])
    return np.asarray(np.maximum(np.abs(costs - medians), 1e-12) / np.maximum(medians, 1e-12))
