"""What each of two networks gets right on the same images."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from probe._checks import Array
from probe.analyses.comparison.results import Abilities
from probe.datasets import Dataset
from probe.network import Network
from probe.stats import Estimate, Interval, count_estimate

__all__ = ["abilities_of", "better"]

_EXAMPLES = 16
"""Images that only one gets right that are kept of each kind."""

_BATCH = 500


def abilities_of(networks: tuple[Network, Network], test: Dataset) -> Abilities:
    """Return who gets which images right, and how far both agree."""
    n_classes = test.n_classes
    parts = [
        tuple(network.predict_proba(test.images[at : at + _BATCH]) for network in networks)
        for at in range(0, len(test), _BATCH)
    ]
    first, second = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    said = first.argmax(axis=1), second.argmax(axis=1)
    right = said[0] == test.labels, said[1] == test.labels
    kind = np.where(right[0], np.where(right[1], 0, 1), np.where(right[1], 2, 3))
    counts = np.zeros((n_classes, 4), np.int64)
    np.add.at(counts, (test.labels, kind), 1)
    n_agree = int((said[0] == said[1]).sum())
    ordered = {side: _most_different(kind == side, first, second, test.labels) for side in (1, 2)}
    _, only_first, only_second, _ = counts.sum(axis=0).tolist()
    estimate = better(only_first, only_second)
    return Abilities(
        class_names=test.class_names,
        counts=counts,
        difference=_difference(estimate, only_first, only_second, len(test)),
        p_value=np.nan if estimate is None else estimate.p_value(0.5),
        agreement=count_estimate(n_agree, len(test)).interval,
        chance=_by_chance(*said, np.zeros(len(test), np.int64), n_classes),
        chance_within=_by_chance(*said, test.labels, n_classes),
        first_images=test.images[ordered[1]],
        second_images=test.images[ordered[2]],
        first_names=_names(test, said, ordered[1]),
        second_names=_names(test, said, ordered[2]),
    )


def better(only_first: int, only_second: int) -> Estimate | None:
    """Return the share of the second among images that one of both gets right; None where there are none."""
    n = only_first + only_second
    return count_estimate(only_second, n) if n else None


def _difference(estimate: Estimate | None, only_first: int, only_second: int, n: int) -> Interval:
    """Return the difference of accuracies; its interval holds the images fixed that one of both gets right."""
    if estimate is None:
        return Interval(0.0, np.nan, np.nan, 0.95, n)
    share, only_one = estimate.interval, only_first + only_second
    low, high = ((2 * end - 1) * only_one / n for end in (share.low, share.high))
    return Interval((only_second - only_first) / n, low, high, share.level, n)


def _by_chance(
    first: npt.NDArray[np.int64], second: npt.NDArray[np.int64], strata: npt.NDArray[np.int64], n_classes: int
) -> float:
    """Return how often both would say the same if their answers had nothing to do with each other within strata."""
    counts = np.zeros((2, int(strata.max()) + 1, n_classes))
    for side, said in enumerate((first, second)):
        np.add.at(counts[side], (strata, said), 1)
    sizes = counts[0].sum(axis=1)
    products = (counts[0] * counts[1]).sum(axis=1)
    return float((products[sizes > 0] / sizes[sizes > 0]).sum() / sizes.sum())


def _most_different(
    chosen: npt.NDArray[np.bool_], first: Array, second: Array, labels: npt.NDArray[np.int64]
) -> npt.NDArray[np.intp]:
    """Return the chosen images on which both differ most in how sure they are of the true class."""
    rows = np.arange(len(labels))
    apart = np.abs(first[rows, labels] - second[rows, labels])
    return np.asarray([row for row in np.argsort(-apart, kind="stable") if chosen[row]][:_EXAMPLES], np.intp)


def _names(
    test: Dataset, said: tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]], rows: npt.NDArray[np.intp]
) -> tuple[tuple[str, str, str], ...]:
    names = test.class_names
    return tuple((names[test.labels[row]], names[said[0][row]], names[said[1][row]]) for row in rows)
