"""Populations of minima in words."""

from __future__ import annotations

import numpy as np

from probe.analyses.minima import Minima, WidthMinima
from probe.report.page import Claim, Picture, Section, Table
from probe.stats import Interval

__all__ = ["minima_sections"]

Part = tuple[Section, tuple[Claim, ...]]


def minima_sections(result: Minima) -> tuple[Part, ...]:
    """Return how good the minima are, how they are curved, and what lies between them."""
    parts = [_costs(result)]
    if any(width.is_measured for width in result.widths):
        parts.append((_curvature(result), ()))
    if any(width.connections is not None for width in result.widths):
        parts.append((_connections(result), ()))
    return tuple(parts)


def _costs(result: Minima) -> Part:
    total = sum(len(width.test_cost) for width in result.widths)
    lead = (
        f"{total:,} networks were trained on the same {result.n_train:,} images from different starts"
        + (
            f", and brought down by at most {result.polish:,} iterations of L-BFGS. "
            if result.polish
            else ". "
        )
        + f"Before anything was measured it was declared that minima are about equal where the middle 90% of their test "
        f"accuracies, on {result.n_test:,} images, lie less than {result.margin:.1%} apart. Whether differences are real "
        "or of the test sample is read off its halves: where the order of the networks is the same on both, it is real.",
    )
    picture = Picture(
        "costs",
        result,
        "Each point is one network. Left: the test costs; a short bar says that it hardly matters where one starts. Right: "
        "training against test cost; a cloud without direction says that the better minimum on the training images is not "
        "the better network.",
        "Test costs of all networks by hidden layer, and against their training costs.",
        view={"part": "costs"},
    )
    table = Table(
        "Networks by hidden layer: median test accuracy, range of the middle 90% (a failed run counts as guessing), "
        "standard deviation of the test cost over its mean, correlations over networks of training and test cost, and of "
        "test costs and accuracies on two halves of the test images. Intervals are 95%, over networks.",
        (
            "hidden",
            "networks",
            "failed",
            "test accuracy",
            "middle 90%",
            "relative deviation",
            "train/test",
            "halves, cost",
            "halves, accuracy",
        ),
        tuple(_row(width) for width in result.widths),
    )
    numbers = {width.name: _numbers(width) for width in result.widths}
    claims = tuple(
        Claim(verdict.title, verdict.sentence, "minima", verdict, "costs") for verdict in result.verdicts
    )
    return Section("minima", "Are they equally good?", lead, (picture,), (table,), numbers), claims


def _row(width: WidthMinima) -> tuple[str, ...]:
    return (
        _hidden(width),
        f"{len(width.test_cost):,}",
        str(width.n_failed),
        f"{np.nanmedian(width.test_accuracy):.2%}" if width.n_failed < len(width.test_cost) else "–",
        format(width.spread, ".2%;"),
        format(width.relative_deviation, ".2%;"),
        format(width.train_test, ".2f;"),
        format(width.split_half, ".2f;"),
        format(width.split_half_accuracy, ".2f;"),
    )


def _hidden(width: WidthMinima) -> str:
    return "-".join(map(str, width.hidden)) or "none"


def _numbers(width: WidthMinima) -> dict[str, object]:
    def of(interval: Interval) -> dict[str, float]:
        return {"estimate": interval.estimate, "low": interval.low, "high": interval.high}

    return {
        "n_parameters": width.n_parameters,
        "n_networks": len(width.test_cost),
        "n_failed": width.n_failed,
        "median_test_accuracy": _median(width.test_accuracy),
        "median_test_cost": _median(width.test_cost),
        "median_train_cost": _median(width.train_cost),
        "spread_of_test_accuracy": of(width.spread),
        "relative_deviation_of_test_cost": of(width.relative_deviation),
        "train_test_correlation": of(width.train_test),
        "split_half_correlation": of(width.split_half),
        "split_half_correlation_of_accuracy": of(width.split_half_accuracy),
        "median_gradient_norm": _median(width.gradient_norm),
        "test_cost": width.test_cost,
        "train_cost": width.train_cost,
        "test_accuracy": width.test_accuracy,
    }


def _median(values: np.ndarray) -> float:
    known = values[np.isfinite(values)]
    return float(np.median(known)) if known.size else np.nan


def _curvature(result: Minima) -> Section:
    measured = [width for width in result.widths if width.is_measured]
    n_minima = sum(int(width.is_minimum.sum()) for width in measured)
    n_negative = sum(int(width.is_negative.sum()) for width in measured)
    total = sum(int(np.isfinite(width.smallest).sum()) for width in measured)
    others = total - n_minima - n_negative
    lead = (
        "A minimum has no slope and curves upwards in every direction. At each network the extreme eigenvalues of the "
        "Hessian were found by Lanczos iteration, on exact products with it. "
        f"{n_minima:,} of {total:,} networks are minima by these two signs; "
        + (
            f"{n_negative:,} with a clearly negative eigenvalue are low-loss points: there is still a way down."
            if n_negative
            else "none has a clearly negative eigenvalue."
        )
        + (f" The other {others:,} have too much slope left to say." if others else "")
        + " A softmax does not see a constant that is added to all output biases, so that the smallest eigenvalue at a "
        "minimum of networks with one is 0.",
    )
    picture = Picture(
        "curvature",
        result,
        "Left: the smallest eigenvalue, as a share of the largest, against the length of the gradient. A point whose "
        "line lies below zero has a way down. Right: the sharpest direction of each network against its training cost.",
        "Smallest eigenvalues against gradients, and largest eigenvalues against costs.",
        view={"part": "curvature"},
    )
    rows = tuple(
        (
            _hidden(width),
            f"{_median(width.trained_norm):.1e}",
            f"{_median(width.gradient_norm):.1e}",
            f"{_median(width.smallest):+.1e}",
            f"{_median(width.residual):.1e}",
            f"{_median(width.largest):.3g}",
            f"{int(width.is_minimum.sum())} of {len(width.smallest)}",
        )
        for width in measured
    )
    table = Table(
        "Medians over the networks: length of the gradient after training and at the end, extreme eigenvalues, and within "
        "what of the smallest there is one.",
        ("hidden", "trained", "at the end", "smallest", "within", "largest", "minima"),
        rows,
    )
    numbers = {
        width.name: {
            "n_minima": int(width.is_minimum.sum()),
            "n_clearly_negative": int(width.is_negative.sum()),
            "smallest": width.smallest,
            "largest": width.largest,
            "residual": width.residual,
            "gradient_norm": width.gradient_norm,
        }
        for width in measured
    }
    return Section("curvature", "Are they minima?", lead, (picture,), (table,), numbers)


def _connections(result: Minima) -> Section:
    measured = [(k, width) for k, width in enumerate(result.widths) if width.connections is not None]
    lead = (
        "The units of a hidden layer have no order, so one and the same network can be written in many ways. Here each "
        "second network's units are put in the order that goes best with the first's, and units of odd activations, such "
        "as sigmoid and tanh, are given the sign that does; this changes nothing that it computes. What then falls of the "
        "barrier between two networks was of names. What is left may be of functions, or of an order that goes together "
        "better still: units are matched layer by layer.",
    )
    pictures = tuple(
        Picture(
            f"connections_{k + 1}",
            result,
            f"{width.name}: barriers between networks before and after alignment, and the costs on the way. A flat blue "
            "line joins two networks through networks as good, once their units are in one order; a flat green one joins "
            "them by a curve.",
            "Two matrices of barriers, and curves of the cost between networks.",
            view={"part": "connections", "cell": k},
        )
        for k, width in measured
    )
    rows, numbers = [], {}
    for _, width in measured:
        found = width.connections
        assert found is not None
        first, second = found.disjoint
        means = {name: getattr(found, name)[first, second] for name in ("before", "after", "curved")}
        rows.append(
            (
                _hidden(width),
                f"{found.costs.mean():.3g}",
                *(
                    f"{values.mean():.3g} ({values.min():.3g} to {values.max():.3g})"
                    for values in means.values()
                ),
            )
        )
        numbers[width.name] = {
            "costs": found.costs,
            "before": found.before,
            "after": found.after,
            "curved": found.curved,
            "logit_change_by_alignment": found.function_change,
        }
    table = Table(
        "Mean training cost of the networks, and barriers between pairs that have no network in common: mean, and range. "
        "The picture's means are over all pairs.",
        ("hidden", "cost", "straight", "straight, aligned", "curve"),
        tuple(rows),
    )
    return Section("connections", "What lies between them?", lead, pictures, (table,), numbers)
