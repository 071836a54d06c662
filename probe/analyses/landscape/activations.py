"""Gradient descent without slopes: step activations beside the network's own.

With steps the output layer still has a slope. So directions are compared for the hidden layers alone, where the
gradient of a network with steps is zero though the cost is not flat.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from probe._checks import Array
from probe._progress import ProgressEvent
from probe.analyses.landscape.descent import STEPS, decreases
from probe.analyses.landscape.minibatches import descended
from probe.analyses.landscape.path import (
    Look,
    affordable_updates,
    hidden_activation,
    last_hidden,
    records,
    with_activation,
)
from probe.datasets import Split
from probe.network import Network
from probe.parameters import ParameterSpace
from probe.results import Record
from probe.stats import Claim, Verdict, mean_estimate
from probe.training import learning_rate_for

__all__ = ["CONTINUOUS", "LOOKED", "StepActivations", "step_activations"]

Floats = npt.NDArray[np.float64]

CONTINUOUS = Claim(
    key="continuous",
    title="Gradient descent needs continuous activations",
    statistic_name="test accuracy lost with steps",
    unit="share",
    replicate="networks",
    null="with step activations gradient descent reaches the same test accuracy",
    threshold=0.0,
    reason="no accuracy lost",
    subject="kind",
    said="artificial neurons have continuously ranging activations",
    minute="10:09",
)
"""Over fresh starts of the network's layers: what it would have become can only be said of others."""

KINDS = ("own", "step", "output only")

_N_RECORDS = 12

LOOKED = 2
"""Starts at which directions are compared: each looks like the others, and looking is what costs most."""

_SMALLEST = 1e-4
"""Share of the usual rate below which none is tried."""


class StepActivations(Record):
    """Gradient descent with step activations, beside that with the network's own.

    Attributes
    ----------
    kinds : tuple of str
        "own" (the network's activations), "step" (steps in all hidden layers) and "output only" (own activations,
        with only what lies behind the last hidden activation trained).
    activation : str
        What "own" is.
    updates : ndarray of shape (n_records,), int64
        Updates after which costs were recorded, from 0.
    cost, accuracy : ndarray of shape (n_kinds, n_networks, n_records)
        Mean cost on training images and share of right test images. NaN from where a network diverged.
    moved : ndarray of shape (n_kinds, n_networks)
        How far the hidden layers' parameters moved, as a share of the length they began with.
    zero_share : ndarray of shape (n_kinds, n_networks), in [0, 1]
        Share of the hidden layers' gradient components that are exactly zero at the start.
    own_zero_share : float, in [0, 1]
        The same of the network itself, with steps in place of its activations.
    steps : ndarray of shape (n_steps,)
        Lengths of steps, as shares of the length of the hidden layers' parameters.
    along_gradient : ndarray of shape (2, 2, n_steps)
        Decrease of the cost along the negative gradient of the hidden layers alone, with the first two kinds of
        activations, at the first two starts; zero where the gradient is.
    along_random : ndarray of shape (2, 2, n_steps, 3)
        The least, the median and the greatest decrease along random directions of the hidden layers.
    n_directions : int
        Random directions for each network.
    learning_rates : ndarray of shape (n_kinds,)
        Of each kind: the one that brought the first start furthest down, of the usual one and ever smaller ones.
    verdict : Verdict
        Over paired networks: whether continuous activations are needed.
    """

    kinds: tuple[str, ...]
    activation: str
    updates: npt.NDArray[np.int64]
    cost: Floats
    accuracy: Floats
    moved: Floats
    zero_share: Floats
    own_zero_share: float
    steps: Floats
    along_gradient: Floats
    along_random: Floats
    n_directions: int
    learning_rates: Floats
    verdict: Verdict

    @property
    def final_accuracy(self) -> Floats:
        """Accuracies at the end, (n_kinds, n_networks); NaN where a network diverged."""
        return self.accuracy[:, :, -1]

    @property
    def hides_a_way_down(self) -> bool:
        """Whether with steps, at the first start, the gradient is zero where some random direction lowers the cost."""
        return bool(not self.along_gradient[1, 0].any() and (self.along_random[1, 0, :, 2] > 0).any())


def step_activations(
    network: Network,
    starts: Sequence[Network],
    split: Split,
    look: Look,
    *,
    updates: int,
    n_directions: int,
    rng: np.random.Generator,
) -> StepActivations | None:
    """Train each of `starts` with its own activations, with steps, and with only its output layers moving.

    They are fresh starts of the layers of `network`. At the first two, the negative gradient of the hidden layers is held
    against random directions in them. Accuracies are those of the test images. None if there is no hidden layer that learns
    and has an activation.
    """
    name = hidden_activation(starts[0])
    if name == "step":
        # There is nothing to take the slope from: then sigmoids stand in for continuous activations.
        starts = [with_activation(start, "sigmoid") for start in starts]
        name = hidden_activation(starts[0])
    if not name or not _places(ParameterSpace(starts[0], look.cost))[0]:
        return None
    stops = records(affordable_updates(starts[0], updates), _N_RECORDS)
    shape = (len(KINDS), len(starts))
    costs, accuracies = np.full((2, *shape, len(stops)), np.nan)
    moved, zero = np.zeros((2, *shape))
    along, random = np.zeros((2, LOOKED, len(STEPS))), np.zeros((2, LOOKED, len(STEPS), 3))
    rates = np.zeros(len(KINDS))
    for k, (start, seed) in enumerate(zip(starts, rng.integers(2**31, size=len(starts)), strict=True)):
        for kind, trained in enumerate((start, with_activation(start, "step"), start)):
            space = ParameterSpace(trained, look.cost)
            hidden, output = _places(space)
            moving = output if KINDS[kind] == "output only" else [*hidden, *output]
            way = _Way(space, split, look, moving, stops, int(seed))
            if k == 0:
                rates[kind], found = way.at_its_best(learning_rate_for(hidden_activation(start)))
            else:
                found = way.at_rate(rates[kind])
            costs[kind, k], accuracies[kind, k], ended = found
            begun, ended = (np.concatenate([v[place] for place in hidden]) for v in (space.vector, ended))
            moved[kind, k] = np.linalg.norm(ended - begun) / np.linalg.norm(begun)
            zero[kind, k], gradient = _zero_share(space, look)
            if kind < len(along) and k < LOOKED:
                # The same directions for each kind.
                direction_rng = np.random.default_rng([seed, 1])
                along[kind, k], others = decreases(space, look, gradient, n_directions, direction_rng, hidden)
                random[kind, k] = np.quantile(others, [0, 0.5, 1], axis=0).T
        look.progress(ProgressEvent("step activations", k + 1, len(starts)))
    own_zero_share = _zero_share(ParameterSpace(with_activation(network, "step"), look.cost), look)[0]
    return StepActivations(
        kinds=KINDS,
        activation=name,
        updates=stops,
        cost=costs,
        accuracy=accuracies,
        moved=moved,
        zero_share=zero,
        own_zero_share=own_zero_share,
        steps=STEPS,
        along_gradient=along,
        along_random=random,
        n_directions=n_directions,
        learning_rates=rates,
        verdict=_verdict(name, costs, accuracies, moved, own_zero_share, 1 / split.test.n_classes),
    )


def _zero_share(space: ParameterSpace, look: Look) -> tuple[float, Array]:
    """Return the share of the hidden layers' gradient that is exactly zero, and the whole gradient."""
    gradient = space.gradient(look.data.images, look.data.labels)[1]
    hidden = np.concatenate([gradient[place] for place in _places(space)[0]])
    return float((hidden == 0).mean()), gradient


def _places(space: ParameterSpace) -> tuple[list[slice], list[slice]]:
    """Return where the parameters up to the last hidden activation lie, and those behind it."""
    below = last_hidden(space.network)
    hidden = [part.place for part in space.parts if part.layer in below]
    return hidden, [part.place for part in space.parts if part.layer not in below]


@dataclass(frozen=True, slots=True)
class _Way:
    """Gradient descent from one start, with the same images in the same order whenever it is gone."""

    space: ParameterSpace
    split: Split
    look: Look
    moved: Sequence[slice]
    stops: npt.NDArray[np.int64]
    seed: int

    def at_its_best(self, rate: float) -> tuple[float, tuple[Floats, Floats, Array]]:
        """Return a rate, and what `at_rate` finds: the best of `rate` and ever smaller ones, until they do worse."""
        best, least = rate, rate * _SMALLEST
        found = self.at_rate(best)
        while (smaller := best / 10) >= 0.99 * least:
            other = self.at_rate(smaller)
            if found[0][-1] <= other[0][-1]:
                break
            best, found = smaller, other
        return best, found

    def at_rate(self, rate: float) -> tuple[Floats, Floats, Array]:
        """Return costs and accuracies (n_records,) on the way, NaN from where it diverged, and where it ended."""
        costs, accuracies = np.full((2, len(self.stops)), np.nan)
        rng, measured, test = np.random.default_rng(self.seed), self.look.data, self.split.test
        way = descended(self.space, self.split.train, self.moved, rate, self.stops, rng, self.look.workers)
        for index, vector in enumerate(way):
            if not np.isfinite(vector).all():
                break
            costs[index] = self.space.measure(measured.images, measured.labels, vector)[0]
            accuracies[index] = self.space.measure(test.images, test.labels, vector)[1]
        return costs, accuracies, vector


def _verdict(
    name: str, cost: Floats, accuracy: Floats, moved: Floats, zero_share: float, chance: float
) -> Verdict:
    # A network that diverged has learned nothing that lasts: it guesses.
    final = np.where(np.isnan(accuracy[:, :, -1]), chance, accuracy[:, :, -1])
    own, step, output = final.mean(axis=1)
    fell = np.nan_to_num(cost[0, :, -1], nan=np.inf) < cost[0, :, 0]
    shifts = moved[1][np.isfinite(moved[1])]
    still = f"move by {shifts.mean():.0%} of their length" if shifts.any() else "do not move at all"
    diverged = int(np.isnan(accuracy[:, :, -1]).sum())
    lost = mean_estimate(final[0] - final[1])
    verdict = CONTINUOUS.verdict(
        lost,
        f"With steps {zero_share:.0%} of the gradient of the hidden layers is exactly zero, and from {len(fell)} fresh "
        f"starts they {still}: {step:.1%} of the test images are right, {own:.1%} with {name}, and {output:.1%} with {name} "
        f"where only what is behind them is trained."
        + (f" {diverged} runs diverged and count as guessing." if diverged else "")
        + (
            ""
            if fell.all()
            else f" With {name} the cost did not fall in all networks, which decides nothing."
        ),
    )
    return verdict if fell.all() else replace(verdict, decision="inconclusive")
