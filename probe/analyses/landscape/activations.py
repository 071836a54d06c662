"""Gradient descent without slopes: step activations beside the network's own.

With steps the output layer still has a slope. So directions are compared for the hidden layers alone, where the
gradient of a network with steps is zero though the cost is not flat.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from probe._checks import Array
from probe._progress import Progress, ProgressEvent
from probe.analyses.landscape.descent import STEPS
from probe.analyses.landscape.directions import measure_many_lines, unit_directions
from probe.analyses.landscape.learning import (
    affordable_updates,
    descended,
    hidden_activation,
    rate_for,
    records,
    with_activation,
)
from probe.analyses.landscape.results import StepActivations
from probe.costs import CostName
from probe.datasets import Dataset
from probe.network import Network
from probe.parameters import ParameterSpace
from probe.planes import measure_lines
from probe.stats import Verdict, paired_difference

__all__ = ["step_activations"]

Floats = npt.NDArray[np.float64]

KINDS = ("own", "step", "output only")

_N_RECORDS = 12


def step_activations(
    starts: Sequence[Network],
    train: Dataset,
    measured: Dataset,
    test: Dataset,
    *,
    cost: CostName,
    updates: int,
    n_directions: int,
    workers: int,
    rng: np.random.Generator,
    progress: Progress,
) -> StepActivations | None:
    """Train each of `starts` with its own activations, with steps, and with only its output layer moving.

    At the starts, the negative gradient of the hidden layers is held against random directions in them. Costs are
    those of the images of `measured`, accuracies those of `test`. None if there is no hidden layer that learns, or none
    with an activation.
    """
    name = hidden_activation(starts[0])
    if name == "step":
        # There is nothing to take the slope from: then sigmoids stand in for continuous activations.
        starts = [with_activation(start, "sigmoid") for start in starts]
        name = hidden_activation(starts[0])
    if not name or not _places(ParameterSpace(starts[0], cost))[0]:
        return None
    rate = rate_for(starts[0])
    stops = records(affordable_updates(starts[0], updates), _N_RECORDS)
    shape = (len(KINDS), len(starts))
    costs, accuracies = np.full((2, *shape, len(stops)), np.nan)
    moved, zero = np.zeros((2, *shape))
    along, random = np.zeros((2, len(starts), len(STEPS))), np.zeros((2, len(starts), len(STEPS), 3))
    for k, (start, seed) in enumerate(zip(starts, rng.integers(2**31, size=len(starts)), strict=True)):
        for kind, network in enumerate((start, with_activation(start, "step"), start)):
            space = ParameterSpace(network, cost)
            hidden, output = _places(space)
            # The same images in the same order for each kind.
            way = descended(
                space,
                train,
                moved=output if KINDS[kind] == "output only" else [*hidden, *output],
                learning_rate=rate,
                stops=stops,
                rng=np.random.default_rng(seed),
            )
            for place, vector in enumerate(way):
                if not np.isfinite(vector).all():
                    break
                costs[kind, k, place] = space.measure(measured.images, measured.labels, vector)[0]
                accuracies[kind, k, place] = space.measure(test.images, test.labels, vector)[1]
            begun, ended = (np.concatenate([v[place] for place in hidden]) for v in (space.vector, vector))
            moved[kind, k] = np.linalg.norm(ended - begun) / np.linalg.norm(begun)
            gradient = space.gradient(measured.images, measured.labels)[1]
            zero[kind, k] = np.mean(np.concatenate([gradient[place] for place in hidden]) == 0)
            if kind < len(along):
                # The same directions for each kind.
                along[kind, k], random[kind, k] = _compared(
                    space, measured, gradient, n_directions, workers, np.random.default_rng([seed, 1])
                )
        progress(ProgressEvent("step activations", k + 1, len(starts)))
    return StepActivations(
        KINDS,
        name,
        stops,
        costs,
        accuracies,
        moved,
        zero,
        STEPS,
        along,
        random,
        n_directions,
        rate,
        _verdict(name, accuracies, moved, zero),
    )


def _places(space: ParameterSpace) -> tuple[list[slice], list[slice]]:
    """Return where the parameters of the hidden layers lie, and those of the last layer that learns."""
    last = space.parts[-1].layer
    hidden = [part.place for part in space.parts if part.layer != last]
    return hidden, [part.place for part in space.parts if part.layer == last]


def _compared(
    space: ParameterSpace,
    measured: Dataset,
    gradient: Array,
    n_directions: int,
    workers: int,
    rng: np.random.Generator,
) -> tuple[Floats, Floats]:
    """Return the decrease of the cost along the hidden layers' negative gradient, and along random directions.

    Of the first (n_steps,), of the others the lowest, the median and the highest (n_steps, 3).
    """
    images, labels, hidden = measured.images, measured.labels, _places(space)[0]
    steps = STEPS * np.linalg.norm(np.concatenate([space.vector[place] for place in hidden]))
    downhill = np.zeros_like(gradient)
    for place in hidden:
        downhill[place] = -gradient[place]
    norm = np.linalg.norm(downhill)
    if norm > 0:
        downhill /= norm
    ours = measure_lines(space, images, labels, downhill[None], steps, workers=workers)
    others = measure_many_lines(
        space,
        images,
        labels,
        lambda n: unit_directions(space, n, rng, hidden),
        n_directions,
        steps,
        workers=workers,
    )
    here = measure_lines(space, images, labels, downhill[None], [0.0]).cost[0]
    return here - ours.cost[0], np.quantile(here - others.cost, [0, 0.5, 1], axis=0).T


def _verdict(name: str, accuracy: np.ndarray, moved: np.ndarray, zero: np.ndarray) -> Verdict:
    # A network that diverged has learned nothing that lasts.
    final = np.nan_to_num(accuracy[:, :, -1], nan=0.0)
    found = paired_difference(final[0] - final[1])
    own, step, output = final.mean(axis=1)
    still = "do not move at all" if not moved[1].any() else f"move by {moved[1].mean():.0%} of their length"
    return Verdict(
        "Continuous activations are needed for gradient descent",
        found.decision(),
        found.estimate,
        found.interval,
        "with step activations gradient descent reaches the same test accuracy",
        f"With steps, {zero[1].mean():.0%} of the hidden layers' gradient is exactly zero and their weights {still}. "
        f"What is learned is the output layer's: {step:.1%} of the test images are right, {own:.1%} with {name}, and "
        f"{output:.1%} with {name} where only the output layer is trained. Difference {found.estimate:.1%} "
        f"({found.interval.low:.1%} to {found.interval.high:.1%}, {found.n} networks).",
    )
