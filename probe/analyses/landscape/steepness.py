"""How steep other directions are than the gradient: random ones, and those that are steepest where lengths are others."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from probe._checks import Array
from probe._parallel import single_threaded_blas
from probe.analyses.landscape.directions import portions, unit_directions
from probe.costs import CostName
from probe.datasets import Dataset
from probe.network import Network
from probe.optimizers import Adam
from probe.parameters import ParameterSpace
from probe.planes import measure_lines
from probe.results import Record
from probe.stats import Claim, Estimate, Interval, Verdict

__all__ = ["DIRECTIONS", "METRICS", "STEEPEST", "Steepness", "largest_estimate", "steepness"]

Floats = npt.NDArray[np.float64]

STEEPEST = Claim(
    key="steepest",
    title="The negative gradient is the direction of steepest descent",
    statistic_name="steepest other direction, as a share of the gradient's slope",
    unit="",
    replicate="directions",
    null="another direction is as steep as the negative gradient",
    threshold=1.0,
    reason="a theorem (Cauchy and Schwarz): as steep is only the negative gradient itself",
    claims_less=True,
    said="the direction to step that decreases the function most quickly",
    minute="7:39",
)

DIRECTIONS = ("gradient", "sign", "diagonal", "Adam")
"""Ways down that are the steepest in the metric of the same place in `METRICS`."""

METRICS = ("Euclidean", "largest component", "diagonal of the Fisher matrix", "Adam's")
"""Ways to measure how long a step is."""

_STEP = 1e-6
"""Steps of finite differences, as a share of the length of the parameters."""

_ROUNDING = 1e-13
"""Differences of the cost in float64 that are rounding."""

_BATCHES = 10
"""Minibatches whose gradients say how large components usually are."""

_WORDS = {"sign": "its signs", "diagonal": "the diagonal natural gradient", "Adam": "Adam's direction"}


class Steepness(Record):
    """How steeply the cost of one network falls in several directions, all of length 1.

    Slopes are central differences of the cost, in float64.

    Attributes
    ----------
    directions, metrics : tuple of str
        Names of the directions that are no random ones, and of ways to measure lengths; each of the first is the steepest
        by one of the second, in this order.
    slopes : ndarray of shape (n_named,)
        How fast the cost falls along each of `directions`, as a share of the length of the gradient.
    random_slopes : ndarray of shape (n_directions,)
        The same of random directions; negative where the cost rises.
    expected_best : float
        What the best of as many random directions comes to in so many dimensions, whatever the network.
    by_metric : ndarray of shape (n_metrics, n_named + 1), at most 1
        How fast the cost falls along each of `directions` and along the best random one for each unit of length, where
        length is measured by each of `metrics`; as a share of the fastest that any direction reaches.
    gradient_norm : float
        Length of the gradient.
    n_parameters : int
        Dimensions.
    error : float
        Largest difference between a slope and what the gradient says, as a share of its length; NaN without a slope.
    """

    directions: tuple[str, ...]
    metrics: tuple[str, ...]
    slopes: Floats
    random_slopes: Floats
    expected_best: float
    by_metric: Floats
    gradient_norm: float
    n_parameters: int
    error: float

    @property
    def verdict(self) -> Verdict:
        """Whether the negative gradient is the steepest of all directions."""
        found = self.estimate
        if found is None:
            return STEEPEST.undecided(
                "The gradient is zero as far as can be measured: no direction leads down."
            )
        pairs = zip(self.directions[1:], self.slopes[1:], strict=True)
        others = ", ".join(f"{slope:.2g} along {_WORDS[name]}" for name, slope in pairs)
        return STEEPEST.verdict(
            found,
            f"As a share of the gradient's slope, the cost falls by {self.best_random:.2g} along the best of "
            f"{len(self.random_slopes):,} random directions ({self.expected_best:.2g} is to be expected in "
            f"{self.n_parameters:,} dimensions), {others}. Slopes differ from what the gradient says by at most "
            f"{self.error:.1g}.",
        )

    @property
    def estimate(self) -> Estimate | None:
        """The steepest of all other directions, as a share of the gradient's slope; None where the gradient is zero."""
        if self.gradient_norm == 0:
            return None
        return largest_estimate(np.concatenate([self.slopes[1:], self.random_slopes]))

    @property
    def best_random(self) -> float:
        """The steepest of the random directions, as a share of the length of the gradient."""
        return float(self.random_slopes.max())

    @property
    def steepest(self) -> tuple[str, ...]:
        """For each of `metrics` the steepest of the directions."""
        return tuple(
            (*self.directions, "a random direction")[k] for k in np.nan_to_num(self.by_metric).argmax(axis=1)
        )


def steepness(
    network: Network,
    data: Dataset,
    *,
    cost: CostName,
    n_directions: int,
    rng: np.random.Generator,
    workers: int = 1,
) -> Steepness:
    """Measure slopes at `network`, over the images of `data`."""
    space = ParameterSpace(network.astype(np.float64), cost)
    with single_threaded_blas():
        gradient = space.gradient(data.images, data.labels)[1]
        named, lengths = _named(space, data, gradient)
        step = _STEP * float(np.linalg.norm(space.vector))
        norm = float(np.linalg.norm(gradient))
        slopes, expected, by_metric = [], [], []
        for n in (0, *portions(space, n_directions)):
            directions = unit_directions(space, n, rng) if n else named
            ends = measure_lines(space, data.images, data.labels, directions, [-step, step], workers=workers)
            slopes.append((ends.cost[:, 0] - ends.cost[:, 1]) / (2 * step))
            expected.append(-directions @ gradient)
            by_metric.append(_relative_rates(gradient, directions, lengths))
    measured, rates = np.concatenate(slopes), np.concatenate(by_metric, axis=1)
    if norm * step <= _ROUNDING:
        # Where nothing falls in any direction there is no steepest one.
        measured, norm, error = np.zeros_like(measured), 0.0, np.nan
    else:
        error = float(np.abs(measured - np.concatenate(expected)).max()) / norm
        measured = measured / norm
    n_named = len(DIRECTIONS)
    best = rates[:, n_named:].max(axis=1, keepdims=True)
    return Steepness(
        directions=DIRECTIONS,
        metrics=METRICS,
        slopes=measured[:n_named],
        random_slopes=measured[n_named:],
        expected_best=_expected_best(n_directions, space.n_parameters),
        by_metric=np.concatenate([rates[:, :n_named], best], axis=1),
        gradient_norm=norm,
        n_parameters=space.n_parameters,
        error=error,
    )


def _named(space: ParameterSpace, data: Dataset, gradient: Array) -> tuple[Array, tuple[Array, Array]]:
    """Return the directions of `DIRECTIONS`, and the weights of squares in the last two of `METRICS`."""
    squares = np.zeros_like(gradient)
    batches = np.array_split(np.arange(len(data)), min(_BATCHES, len(data)))
    for batch in batches:
        squares += space.gradient(data.images[batch], data.labels[batch])[1] ** 2 / len(batches)
    # Components that are hardly ever there would rule the whole direction without the mean.
    diagonal = squares + max(float(squares.mean()), np.finfo(np.float64).tiny)
    adam = np.sqrt(squares) + Adam().epsilon
    directions = np.stack([-gradient, -np.sign(gradient), -gradient / diagonal, -gradient / adam])
    norms = np.linalg.norm(directions, axis=1, keepdims=True)
    return np.divide(directions, norms, out=np.zeros_like(directions), where=norms > 0), (diagonal, adam)


def _relative_rates(gradient: Array, directions: Array, lengths: tuple[Array, Array]) -> Floats:
    """Return how fast the cost falls for each unit of each metric, as a share of the fastest, (n_metrics, n)."""
    falls = -directions @ gradient
    metrics = [
        (np.linalg.norm(directions, axis=1), np.linalg.norm(gradient)),
        (np.abs(directions).max(axis=1), np.abs(gradient).sum()),
    ]
    metrics += [
        (np.sqrt(directions**2 @ weights), np.sqrt((gradient**2 / weights).sum())) for weights in lengths
    ]
    # Without a gradient nothing falls.
    return np.stack([falls / np.maximum(length * most, 1e-300) for length, most in metrics])


def _expected_best(n_directions: int, n_parameters: int) -> float:
    """Return the expected largest of so many cosines with a fixed direction.

    A cosine is about normal with deviation 1 / sqrt(n_parameters); the largest of n normal values is at Blom's score.
    """
    from scipy import stats

    score = float(stats.norm.ppf((n_directions - 0.375) / (n_directions + 0.25)))
    return score / float(np.sqrt(n_parameters)) if n_directions > 1 else 0.0


def largest_estimate(values: Floats) -> Estimate:
    """Return the largest of values over directions.

    One value above a null shows that not all are below. That so many are below it by chance has the probability 1/2^n
    if only half of all directions were.
    """
    largest, n = float(values.max()), len(values)

    def tails(null: float) -> tuple[float, float]:
        return (0.0, 1.0) if largest > null else (1.0, 0.5**n)

    return Estimate(Interval(largest, np.nan, np.nan, 0.95, n), "exact", tails)
