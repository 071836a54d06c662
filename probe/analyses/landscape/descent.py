"""The negative gradient against random directions of the same length."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from probe._checks import Array
from probe._progress import Progress, ProgressEvent
from probe.analyses.landscape.directions import STEPS, decreases
from probe.analyses.landscape.results import Components, Descent
from probe.costs import CostName
from probe.network import Network
from probe.parameters import ParameterSpace
from probe.stats import Interval, Verdict, paired_difference

__all__ = ["descent"]

_N_NAMED = 12
_MOST = 0.9


def descent(
    networks: Sequence[Network],
    images: Array,
    labels: npt.NDArray[np.int64],
    *,
    cost: CostName,
    n_directions: int,
    workers: int,
    rng: np.random.Generator,
    progress: Progress,
) -> Descent:
    """Compare directions at each of `networks`, the first the one looked at, the others fresh starts."""
    rows = []
    components = []
    for k, network in enumerate(networks):
        space = ParameterSpace(network, cost)
        length = float(np.linalg.norm(space.vector))
        before, gradient = space.gradient(images, labels)
        norm = float(np.linalg.norm(gradient))
        if k < 2:
            components.append(_components(space, gradient))
        ours, others = decreases(space, images, labels, gradient, n_directions, rng, workers=workers)
        rows.append((length, norm, before, ours, others.T.astype(np.float32)))
        progress(ProgressEvent("directions", k + 1, len(networks)))
    lengths, norms, costs, along, random = (np.array(column) for column in zip(*rows, strict=True))
    return Descent(
        STEPS, lengths, norms, costs, along, random, tuple(components), len(images), _verdict(along, random)
    )


def _components(space: ParameterSpace, gradient: Array) -> Components:
    sizes = np.abs(gradient)
    largest = np.argsort(-sizes, kind="stable")[:_N_NAMED]
    squares = np.sort(np.square(gradient, dtype=np.float64))[::-1]
    total = squares.sum()
    most = int(np.searchsorted(np.cumsum(squares), _MOST * total) + 1) if total > 0 else 0
    return Components(
        tuple(space.named(int(index)) for index in largest),
        -gradient[largest],
        tuple(f"{part.layer} {part.variable}" for part in space.parts),
        tuple(np.sort(sizes[part.place])[::-1].copy() for part in space.parts),
        most,
    )


def _verdict(along: npt.NDArray[np.float64], random: npt.NDArray[np.float32]) -> Verdict:
    """Judge the fresh starts, at the shortest step."""
    n_directions = random.shape[2]
    ours, best = along[1:, 0], random[1:, 0].max(axis=1).astype(np.float64)
    # Where the gradient is zero nothing falls along it, and any random direction that gains beats it.
    advantage = np.divide(ours - best, np.abs(ours), out=-np.ones_like(ours), where=ours != 0)
    found = paired_difference(advantage)
    ends = found.interval
    times = Interval(1 - found.estimate, 1 - ends.high, 1 - ends.low, ends.level, ends.n)
    return Verdict(
        key="steepest",
        title="The negative gradient is the direction of steepest descent",
        decision=found.decision(),
        statistic_name="decrease of the cost, relative to the gradient's",
        unit="",
        interval=found.interval,
        null=f"the best of {n_directions:,} random directions of the same length lowers the cost as much",
        sentence=(
            f"With steps of {STEPS[0]:g} of the length of the parameters, "
            + (
                f"the best of {n_directions:,} random directions lowers the cost {times:.2f;fresh starts} times as much as "
                "the negative gradient"
                if (ours > 0).all()
                else "the cost does not fall along the negative gradient in "
                f"{int((ours <= 0).sum())} of {found.n} fresh starts"
            )
            + f"; the gradient is ahead in {int((advantage > 0).sum())} of {found.n}."
        ),
    )
