"""Gradient ascent from many random images at once, each with a step length of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from probe._checks import Array, InputError, check_integer, check_number, generator, readonly
from probe._progress import Progress, ProgressEvent, silent
from probe.ascent.parameterizations import Parameterization, Pixels
from probe.ascent.penalties import likeness, total_variation
from probe.ascent.regions import Box, Region
from probe.ascent.transforms import Transform, Variant
from probe.network import Network
from probe.objectives import AnyObjective, Combination, Objective

__all__ = ["Ascent", "ascend"]

_FIRST_STEP = 0.1
_GROWTH, _SHRINKAGE, _LARGEST_STEP = 1.5, 0.5, 1e4


@dataclass(frozen=True, slots=True, eq=False)
class Ascent:
    """Where the ascents ended, for every objective and restart.

    Attributes
    ----------
    images : ndarray of shape (n_objectives, n_restarts, *input_shape), in the region
        Where each ascent ended.
    values, start_values : ndarray of shape (n_objectives, n_restarts)
        The objective alone, scored on exactly `images`, and on the images that the ascents started from.
    traces : ndarray of shape (n_objectives, n_restarts, n_steps + 1)
        The objective on average over the transform, less what the image costs, on the way. With diversity the
        sum over restarts never falls; without, none of them does.
    frames : ndarray of shape (n_objectives, n_frames, *input_shape) or None
        Images on the way of the restart that climbed highest, the first and the last among them.
    frame_steps : ndarray of shape (n_frames,), int64, or None
        After how many steps.
    """

    images: Array
    values: Array
    start_values: Array
    traces: Array
    frames: Array | None = None
    frame_steps: npt.NDArray[np.int64] | None = None

    def __post_init__(self) -> None:
        for name in ("images", "values", "start_values", "traces"):
            object.__setattr__(self, name, readonly(getattr(self, name)))
        if self.frames is not None and self.frame_steps is not None:
            object.__setattr__(self, "frames", readonly(self.frames))
            object.__setattr__(self, "frame_steps", readonly(self.frame_steps))

    @property
    def best_restarts(self) -> npt.NDArray[np.int64]:
        """Restart that climbed highest, costs included, for each objective: (n_objectives,)."""
        return np.asarray(self.traces[..., -1].argmax(axis=1), dtype=np.int64)


def ascend(
    network: Network,
    objectives: Sequence[AnyObjective],
    *,
    restarts: int = 4,
    steps: int = 200,
    parameterization: Parameterization = Pixels(),
    transform: Transform | None = None,
    region: Region = Box(),
    l2: float = 0.0,
    total_variation: float = 0.0,
    diversity: float = 0.0,
    seed: int | np.random.Generator = 0,
    progress: Progress = silent,
    keep: int | None = None,
) -> Ascent:
    """Climb from random images towards the maximum of each objective in a region.

    All objectives and restarts climb in one batch. A step goes along the gradient, as far as the region
    allows; if it does not raise

        mean over the transform of objective(x) - l2 * sum(x²) - total_variation * TV(x) - diversity * likeness(x)

    the image stays and the next step is half as long; otherwise the next is longer by a half. TV is the sum
    over pixels of the length of the gradient between neighbours, rounded off below 0.01. The likeness is the
    mean cosine between an image and the other restarts of its objective, each less the region's center; with
    diversity the restarts of an objective step together, where that raises their sum.

    Parameters
    ----------
    network : Network
        Of one input; for another range of inputs than the region's pass `network.for_range(low, high)`.
    objectives : sequence of Objective or Combination
        At least one.
    restarts, steps : int
        Random starting images for each objective, and steps of each ascent; at least 1.
    parameterization : Pixels, Fourier or Blurred
        What is moved.
    transform : Shift, optional
        What an objective is averaged over.
    region : Box or Ball
        Where images may lie.
    l2, total_variation, diversity : float
        Weights of what images cost, at least 0.
    seed : int or numpy.random.Generator
        Draws the starting images, then what the transform draws.
    progress : callable
        Called with a `ProgressEvent` after each step.
    keep : int, optional
        About how many frames to keep of the way, at least 2: closer at the beginning, where images change most.

    Raises
    ------
    InputError
        If an argument is outside its range, or the network has no such unit or class.

    Examples
    --------
    >>> from probe.layers import Dense
    >>> kernel = np.array([[1.0], [-2.0]], dtype=np.float32)
    >>> network = Network((Dense("output", kernel, np.zeros(1, np.float32)),), input_shape=(2,))
    >>> ascend(network, [Objective("output", 0)], restarts=1).images
    array([[[1., 0.]]], dtype=float32)
    """
    chosen = checked_objectives(objectives)
    shape = network.input_shape
    check_integer("restarts", restarts, minimum=1)
    check_integer("steps", steps, minimum=1)
    if keep is not None:
        check_integer("keep", keep, minimum=2)
    for name, weight in (("l2", l2), ("total_variation", total_variation), ("diversity", diversity)):
        check_number(name, weight, minimum=0)
    if total_variation > 0 and len(shape) not in (2, 3):
        raise InputError(f"total_variation needs images, but the network takes inputs of {shape}")
    parameterization.check(shape)
    if transform is not None:
        transform.check(shape)
    rng = generator(seed)
    batch = [objective for objective in chosen for _ in range(restarts)]
    start = parameterization.start(rng, len(batch), shape).astype(network.dtype)
    hill = _Hill(
        network.objective_function(batch),
        [] if transform is None else transform.variants(rng),
        region,
        restarts,
        l2,
        total_variation,
        diversity,
    )
    climb = _Climb(hill, parameterization, start)
    start_values = hill.function(climb.x)[0]
    wanted = None if keep is None else _spread_steps(steps, keep)
    traces, frames = [climb.score], [climb.x.copy()]
    for step in range(1, steps + 1):
        climb.step()
        traces.append(climb.score)
        if wanted is not None and step in wanted:
            frames.append(climb.x.copy())
        progress(ProgressEvent("maximising", step, steps))

    def by_objective(values: npt.NDArray[np.generic]) -> Any:
        return values.reshape(len(chosen), restarts, *values.shape[1:])

    found = Ascent(
        by_objective(climb.x),
        by_objective(hill.function(climb.x)[0]),
        by_objective(start_values),
        by_objective(np.stack(traces, axis=1)),
    )
    if wanted is None:
        return found
    best = np.arange(len(chosen)) * restarts + found.best_restarts
    kept = np.stack([frame[best] for frame in frames], axis=1)
    return Ascent(found.images, found.values, found.start_values, found.traces, kept, np.array([0, *wanted]))


def checked_objectives(objectives: Sequence[AnyObjective]) -> tuple[AnyObjective, ...]:
    """Return objectives as a tuple of at least one, or raise."""
    if isinstance(objectives, Objective | Combination):
        raise InputError(f"objectives must be a list such as [probe.class_logit(0)], got one {objectives!r}")
    found = tuple(objectives)
    if not found:
        raise InputError("objectives must hold at least one, such as probe.class_logit(0), got none")
    for objective in found:
        if not isinstance(objective, Objective | Combination):
            raise InputError(f"objectives must hold objectives such as probe.class_logit(0), got {objective!r}")
    return found


def _spread_steps(steps: int, keep: int) -> list[int]:
    """Return about `keep` - 1 of the steps from 1 to `steps`, the last among them, closer at the beginning."""
    places = np.ceil(steps * np.linspace(0, 1, keep)[1:] ** 2)
    return sorted({int(place) for place in places})


@dataclass(frozen=True, slots=True)
class _Hill:
    """What is climbed: the height of each image and its slope."""

    function: Any
    variants: list[Variant]
    region: Region
    restarts: int
    l2: float
    total_variation: float
    diversity: float

    def scored(self, x: Array) -> tuple[Array, Array]:
        """Return the height of each image (n,) and the gradient (n, ...) of the sum of all heights."""
        values, gradient = self._expected(x)
        if self.l2 > 0:
            values = values - self.l2 * np.square(x).reshape(len(x), -1).sum(axis=1)
            gradient = gradient - 2 * self.l2 * x
        if self.total_variation > 0:
            variation, slope = total_variation(x)
            values = values - self.total_variation * variation
            gradient = gradient - self.total_variation * slope
        if self.diversity > 0:
            cosines, slope = likeness(x, self.restarts, self.region.center)
            values = values - self.diversity * cosines
            gradient = gradient - self.diversity * slope
        return values, gradient

    def _expected(self, x: Array) -> tuple[Array, Array]:
        """Return the objective of each image and its gradient, on average over the transform."""
        if not self.variants:
            values, gradient = self.function(x)
            return values, gradient
        share = x.dtype.type(1 / len(self.variants))
        total, slope = np.zeros(len(x), x.dtype), np.zeros_like(x)
        for variant in self.variants:
            seen, back = variant(x)
            values, gradient = self.function(seen)
            total += share * values
            slope += share * back(gradient)
        return total, slope

    def risen(self, score: Array, before: Array) -> npt.NDArray[np.bool_]:
        """Return which images are higher than before; with diversity, the restarts of an objective together."""
        if self.diversity == 0:
            return score >= before
        rise = (score - before).reshape(-1, self.restarts).sum(axis=1, dtype=np.float64)
        return np.repeat(rise >= 0, self.restarts)


class _Climb:
    """A batch of images on their way up."""

    def __init__(self, hill: _Hill, parameterization: Parameterization, start: Array) -> None:
        self._hill, self._parameterization = hill, parameterization
        self._made = start
        """What the parameters make, before it is brought into the region."""
        self.x = hill.region.project(start.copy())
        if parameterization.any_image:
            self._made = self.x
        self._lengths = np.full(len(start), _FIRST_STEP, start.dtype)
        self.score, gradient = hill.scored(self.x)
        self._direction = self._uphill(self.x, gradient)

    def step(self) -> None:
        """Try one step for each image and keep those that raise its score."""
        made = self._direction * self._column(self._lengths)
        made += self._made
        anchored = self._parameterization.any_image
        candidate = self._hill.region.project(made if anchored else made.copy())
        if anchored:
            made = candidate
        score, gradient = self._hill.scored(candidate)
        risen = self._hill.risen(score, self.score)
        self._lengths *= np.where(
            risen, self._lengths.dtype.type(_GROWTH), self._lengths.dtype.type(_SHRINKAGE)
        )
        np.minimum(self._lengths, _LARGEST_STEP, out=self._lengths)
        if not risen.any():
            return
        if risen.all():
            self.x, self._made, self.score = candidate, made, score
            self._direction = self._uphill(candidate, gradient)
            return
        self.score = np.where(risen, score, self.score)
        self.x[risen] = candidate[risen]
        if not anchored:
            self._made[risen] = made[risen]
        self._direction[risen] = self._uphill(candidate[risen], gradient[risen])

    def _column(self, values: Array) -> Array:
        return values.reshape(-1, *[1] * (self.x.ndim - 1))

    def _uphill(self, x: Array, gradient: Array) -> Array:
        """Return the way of the parameters' gradient within the region, scaled to a largest entry of 1."""
        direction = self._parameterization.spread(self._hill.region.inward(x, gradient))
        largest = np.abs(direction).reshape(len(x), -1).max(axis=1)
        largest[largest == 0] = 1
        return direction / self._column(largest)
