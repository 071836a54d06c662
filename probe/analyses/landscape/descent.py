"""The negative gradient against random directions of the same length, which are drawn a few at a time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from probe._checks import Array, check_integer
from probe._progress import ProgressEvent
from probe._signatures import checked
from probe.analyses.landscape.directions import measure_many_lines, unit_directions
from probe.analyses.landscape.path import Look
from probe.analyses.landscape.steepness import Steepness, steepness
from probe.network import Network
from probe.parameters import ParameterSpace
from probe.results import Record
from probe.stats import Verdict

__all__ = ["STEPS", "Components", "Descent", "affordable_looks", "decreases", "descent"]

Floats = npt.NDArray[np.float64]

STEPS = np.geomspace(1e-3, 1.0, 7)
"""Lengths of steps, as shares of the length of the parameters that move."""

_LOOKING = 2_000_000_000_000
"""Multiplications of looking along all directions at one network, some thirty seconds of one core."""

_FEWEST_IMAGES, _FEWEST_DIRECTIONS = 50, 30
"""What is looked at at least."""

_N_NAMED = 12
_MOST = 0.9


class Components(Record):
    """The components of one gradient by size.

    Attributes
    ----------
    names : tuple of str
        The largest ones, such as "hidden_1 kernel[350, 3]", the largest first.
    values : ndarray of shape (len(names),)
        The negative gradient there: what descent adds to this weight, up to the rate.
    parts : tuple of str
        Arrays of the network, such as "hidden_1 kernel", in order.
    sizes : tuple of ndarray
        For each part the absolute components, the largest first.
    n_for_most : int
        The fewest components that make 90% of the squared length of the gradient.
    """

    names: tuple[str, ...]
    values: Array
    parts: tuple[str, ...]
    sizes: tuple[Array, ...]
    n_for_most: int

    @property
    def n_parameters(self) -> int:
        """Number of all components."""
        return sum(part.size for part in self.sizes)


class Descent(Record):
    """How much the cost falls along the negative gradient, and along random directions of the same length.

    The first network is the one looked at; the others are up to two fresh starts of its layers.

    Attributes
    ----------
    steps : ndarray of shape (n_steps,)
        Lengths of the step, as shares of the length of a network's parameter vector.
    lengths : ndarray of shape (n_networks,)
        Lengths of the parameter vectors.
    gradient_norm : ndarray of shape (n_networks,)
        Lengths of the gradients.
    cost : ndarray of shape (n_networks,)
        Cost before the step.
    along_gradient : ndarray of shape (n_networks, n_steps)
        Decrease of the cost along the negative gradient; negative where it rises.
    along_random : ndarray of shape (n_networks, n_steps, n_directions), float32
        Likewise, along random directions.
    components : tuple of Components
        Of the network's own gradient, and of the first fresh start's.
    n_images : int
        Training images that costs and gradients are means over.
    steepness : Steepness
        How steep other directions are than the gradient of the network itself, in several ways to measure lengths.
    """

    steps: Floats
    lengths: Floats
    gradient_norm: Floats
    cost: Floats
    along_gradient: Floats
    along_random: npt.NDArray[np.float32]
    components: tuple[Components, ...]
    n_images: int
    steepness: Steepness

    @property
    def verdict(self) -> Verdict:
        """Whether the negative gradient is the network's direction of steepest descent."""
        return self.steepness.verdict

    @property
    def n_directions(self) -> int:
        """Random directions for each network."""
        return int(self.along_random.shape[2])

    @property
    def best_random(self) -> npt.NDArray[np.float32]:
        """Decrease along the best random direction of each network and step."""
        return np.asarray(self.along_random.max(axis=2))

    @property
    def n_wins(self) -> npt.NDArray[np.int64]:
        """For each network, at how many of the steps, from the shortest on, no random direction does better."""
        wins = self.along_gradient >= self.best_random
        return np.asarray(np.where(wins.all(axis=1), wins.shape[1], wins.argmin(axis=1)), np.int64)

    @property
    def wins_up_to(self) -> Floats:
        """For each network the longest step up to which no random direction does better; 0 where one always does."""
        return np.concatenate([[0.0], self.steps])[self.n_wins]


@checked
def affordable_looks(
    network: Network, n_images: int, n_directions: int, multiplications: int = _LOOKING
) -> tuple[int, int]:
    """Return how many images and directions to look along: fewer images, then fewer directions, for a slow network."""
    check_integer("n_images", n_images, minimum=1)
    check_integer("n_directions", n_directions, minimum=1)
    check_integer("multiplications", multiplications, minimum=1)
    each = network.work * len(STEPS)
    n_images = max(min(n_images, _FEWEST_IMAGES), min(n_images, multiplications // (each * n_directions)))
    return n_images, max(
        min(n_directions, _FEWEST_DIRECTIONS), min(n_directions, multiplications // (each * n_images))
    )


def descent(
    networks: Sequence[Network], look: Look, *, n_directions: int, rng: np.random.Generator
) -> Descent:
    """Compare directions at each of `networks`, the first the one looked at, the others fresh starts."""
    rows, components = [], []
    for k, network in enumerate(networks):
        space = ParameterSpace(network, look.cost)
        length = float(np.linalg.norm(space.vector))
        before, gradient = space.gradient(look.data.images, look.data.labels)
        norm = float(np.linalg.norm(gradient))
        if k < 2:
            components.append(_components(space, gradient))
        ours, others = decreases(space, look, gradient, n_directions, rng)
        rows.append((length, norm, before, ours, others.T.astype(np.float32)))
        look.progress(ProgressEvent("directions", k + 1, len(networks)))
    lengths, norms, costs, along, random = (np.array(column) for column in zip(*rows, strict=True))
    return Descent(
        steps=STEPS,
        lengths=lengths,
        gradient_norm=norms,
        cost=costs,
        along_gradient=along,
        along_random=random,
        components=tuple(components),
        n_images=len(look.data),
        steepness=steepness(
            networks[0], look.data, cost=look.cost, n_directions=n_directions, rng=rng, workers=look.workers
        ),
    )


def _components(space: ParameterSpace, gradient: Array) -> Components:
    sizes = np.abs(gradient)
    largest = np.argsort(-sizes, kind="stable")[:_N_NAMED]
    squares = np.sort(np.square(gradient, dtype=np.float64))[::-1]
    total = squares.sum()
    most = int(np.searchsorted(np.cumsum(squares), _MOST * total) + 1) if total > 0 else 0
    return Components(
        names=tuple(space.named(int(index)) for index in largest),
        values=-gradient[largest],
        parts=tuple(f"{part.layer} {part.variable}" for part in space.parts),
        sizes=tuple(np.sort(sizes[part.place])[::-1].copy() for part in space.parts),
        n_for_most=most,
    )


def decreases(
    space: ParameterSpace,
    look: Look,
    gradient: Array,
    n_directions: int,
    rng: np.random.Generator,
    moved: Sequence[slice] = (slice(None),),
) -> tuple[Floats, Floats]:
    """Return how much the cost falls along the negative gradient (n_steps,), and along others (n_directions, n_steps).

    All have the same lengths, `STEPS`, and lie in the parts `moved` of the parameters. Along a gradient of zero nothing
    falls.
    """
    steps = STEPS * np.linalg.norm(np.concatenate([space.vector[part] for part in moved]))
    downhill = np.zeros_like(gradient)
    for part in moved:
        downhill[part] = -gradient[part]
    norm = np.linalg.norm(downhill)
    if norm > 0:
        downhill /= norm
    # No step at all is measured in the same way, so that it makes no difference at all.
    ours = measure_many_lines(space, look, lambda _: downhill[None], 1, [0.0, *steps]).cost[0]
    others = measure_many_lines(
        space, look, lambda n: unit_directions(space, n, rng, moved), n_directions, steps
    )
    return ours[0] - ours[1:], ours[0] - others.cost
