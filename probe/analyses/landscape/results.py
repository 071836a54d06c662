"""What is known of a network's landscape in the end."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from probe._checks import Array, readonly
from probe.stats import Verdict

__all__ = [
    "Components",
    "Descent",
    "Landscape",
    "LossSurface",
    "StepActivations",
    "TrainingPath",
]

Floats = npt.NDArray[np.float64]


class _ReadOnly:
    """Makes the arrays of a frozen dataclass refuse writes."""

    __slots__ = ()

    def __post_init__(self) -> None:
        for field in fields(self):  # type: ignore[arg-type]
            value: Any = getattr(self, field.name)
            if isinstance(value, np.ndarray):
                object.__setattr__(self, field.name, readonly(value))


@dataclass(frozen=True, slots=True, eq=False)
class Components(_ReadOnly):
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

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", readonly(self.values))
        object.__setattr__(self, "sizes", tuple(readonly(part) for part in self.sizes))

    @property
    def n_parameters(self) -> int:
        """Number of all components."""
        return sum(part.size for part in self.sizes)


@dataclass(frozen=True, slots=True, eq=False)
class Descent(_ReadOnly):
    """How much the cost falls along the negative gradient, and along random directions of the same length.

    The first network is the one looked at; the others are fresh starts of its layers.

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
    verdict : Verdict
        Over the fresh starts: whether the negative gradient is the steepest direction.
    """

    steps: Floats
    lengths: Floats
    gradient_norm: Floats
    cost: Floats
    along_gradient: Floats
    along_random: npt.NDArray[np.float32]
    components: tuple[Components, ...]
    n_images: int
    verdict: Verdict

    @property
    def n_directions(self) -> int:
        """Random directions for each network."""
        return int(self.along_random.shape[2])

    @property
    def n_wins(self) -> npt.NDArray[np.int64]:
        """For each network, at how many of the steps, from the shortest on, no random direction does better."""
        wins = self.along_gradient >= self.along_random.max(axis=2)
        return np.asarray(np.where(wins.all(axis=1), wins.shape[1], wins.argmin(axis=1)), np.int64)

    @property
    def wins_up_to(self) -> Floats:
        """For each network the longest step up to which no random direction does better; 0 where one always does."""
        return np.concatenate([[0.0], self.steps])[self.n_wins]


@dataclass(frozen=True, slots=True, eq=False)
class StepActivations(_ReadOnly):
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
    steps: Floats
    along_gradient: Floats
    along_random: Floats
    n_directions: int
    learning_rates: Floats
    verdict: Verdict


@dataclass(frozen=True, slots=True, eq=False)
class TrainingPath(_ReadOnly):
    """The way of gradient descent from a fresh start of the network's layers.

    Attributes
    ----------
    updates : ndarray of shape (n_records,), int64
        Updates after which the parameters were recorded, from 0.
    cost, accuracy : ndarray of shape (n_records,)
        On the images of the surface, at these points.
    line : ndarray of shape (n_points,)
        Places on the straight line: 0 is the start, 1 the end.
    line_cost, line_accuracy : ndarray of shape (n_points,)
        There.
    projected : ndarray of shape (n_records, 2)
        The path on its first two principal components, in units of the parameters; the end is (0, 0).
    explained : ndarray of shape (2,), in [0, 1]
        Shares of the path's variance that the two components have.
    random_walk : ndarray of shape (2,), in [0, 1]
        The same of a random walk with steps of the same lengths: what a path without direction would show.
    axes : tuple of ndarray of shape (n,)
        Coordinates of the plane's grid, along the first and the second component.
    plane_cost : ndarray of shape (n, n)
        Cost on the plane through the end, `plane_cost[j, i]` at (axes[0][i], axes[1][j]).
    learning_rate : float
        Of plain gradient descent on minibatches of 100.
    """

    updates: npt.NDArray[np.int64]
    cost: Floats
    accuracy: Floats
    line: Floats
    line_cost: Floats
    line_accuracy: Floats
    projected: Floats
    explained: Floats
    random_walk: Floats
    axes: tuple[Floats, Floats]
    plane_cost: Floats
    learning_rate: float

    def __post_init__(self) -> None:
        _ReadOnly.__post_init__(self)
        object.__setattr__(self, "axes", (readonly(self.axes[0]), readonly(self.axes[1])))

    @property
    def rise(self) -> float:
        """How far the cost climbs on the straight line above the higher of its ends; 0 where by no more than rounding."""
        between = (self.line >= 0) & (self.line <= 1)
        higher = max(self.cost[0], self.cost[-1])
        climb = self.line_cost[between].max() - higher
        return float(climb) if climb > 1e-5 * higher else 0.0


@dataclass(frozen=True, slots=True, eq=False)
class LossSurface(_ReadOnly):
    """The cost around a network, in random directions in which each filter is as long as the network's.

    Attributes
    ----------
    coordinates : ndarray of shape (n,)
        Places along each direction; 0 is the network.
    planes : ndarray of shape (n_planes, n, n)
        Costs on planes of two directions each.
    line_coordinates : ndarray of shape (m,)
        Places along the lines.
    lines, line_accuracy : ndarray of shape (n_lines, m)
        Costs and accuracies along single directions.
    cost, accuracy : float
        At the network itself.
    n_images : int
        Training images that all this is measured on.
    """

    coordinates: Floats
    planes: Floats
    line_coordinates: Floats
    lines: Floats
    line_accuracy: Floats
    cost: float
    accuracy: float
    n_images: int

    @property
    def lowest_share(self) -> float:
        """Share of the lines on which no point is lower than the network by more than rounding."""
        return float((~(self.lines < self.cost * (1 - 1e-5))).all(axis=1).mean())


@dataclass(frozen=True, slots=True, eq=False)
class Landscape:
    """The cost around and along the way of one network.

    Attributes
    ----------
    descent : Descent
        The negative gradient against random directions.
    activations : StepActivations or None
        What gradient descent does without slopes; None for a network without a hidden layer that has any.
    path : TrainingPath
        The way down, and the straight line.
    surface : LossSurface
        What is around the network.
    """

    descent: Descent
    activations: StepActivations | None
    path: TrainingPath
    surface: LossSurface

    @property
    def verdicts(self) -> tuple[Verdict, ...]:
        """On the steepest direction, and on continuous activations where there are any."""
        steps = () if self.activations is None else (self.activations.verdict,)
        return (self.descent.verdict, *steps)
