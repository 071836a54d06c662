"""Gradient ascent from many random images at once, each with a step length of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from probe._checks import Array, InputError, check_integer, check_number, generator
from probe._progress import Progress, ProgressEvent, silent
from probe._signatures import checked
from probe.ascent.regions import UNIT_BOX, Region
from probe.ascent.regularization import (
    PIXELS,
    Parameterization,
    Transform,
    Variant,
    likeness,
    total_variation,
)
from probe.network import Network
from probe.objectives import AnyObjective
from probe.results import Record

__all__ = ["Ascent", "Frames", "affordable_ascents", "ascend", "checked_objectives"]

_FIRST_STEP = 0.1
_GROWTH, _SHRINKAGE, _LARGEST_STEP = 1.5, 0.5, 1e4

_LOOK_EVERY, _WORTHWHILE = 10, 0.9
"""After how many steps the batch is made smaller, if no more than this share of it still moves."""

_MOST_FRAMES = 10_000

_CLIMBING, _FEWEST_STARTS, _FEWEST_STEPS = 300_000_000_000, 2, 50
"""Multiplications of all ascents together where the caller does not choose how many there are, and what is kept of them."""

_LARGEST_WEIGHT = 1e30
"""Of a penalty: float32 holds its products with sums of squares."""

_GOLDEN = (5**0.5 - 1) / 2


class Frames(Record):
    """Images on the way up.

    Attributes
    ----------
    images : ndarray of shape (n_objectives, n_frames, *input_shape)
        Of the restart that climbed highest; the first is where it started, the last where it ended.
    steps : ndarray of shape (n_frames,), int64
        After how many steps; closer at the beginning, where images change most.
    """

    images: Array
    steps: npt.NDArray[np.int64]


class Ascent(Record):
    """Where the ascents ended, for every objective and restart.

    Attributes
    ----------
    images : ndarray of shape (n_objectives, n_restarts, *input_shape), in the region
        Where each ascent ended.
    values, start_values : ndarray of shape (n_objectives, n_restarts)
        The objective alone, scored anew on exactly `images`, and on the random images that the ascents started from.
    traces : ndarray of shape (n_objectives, n_restarts, n_steps + 1)
        The objective on average over the transform, less what the image costs, on the way. With diversity the
        sum over restarts never falls; without, none of them does.
    frames : Frames or None
        Images on the way, where they were asked for.
    """

    images: Array
    values: Array
    start_values: Array
    traces: Array
    frames: Frames | None = None

    @property
    def best_restarts(self) -> npt.NDArray[np.int64]:
        """Restart that climbed highest, costs included, for each objective: (n_objectives,)."""
        return np.asarray(self.traces[..., -1].argmax(axis=1), dtype=np.int64)


@checked
def ascend(
    network: Network,
    objectives: Sequence[AnyObjective],
    *,
    restarts: int = 4,
    steps: int = 200,
    parameterization: Parameterization = PIXELS,
    transform: Transform | None = None,
    region: Region = UNIT_BOX,
    l2: float = 0.0,
    total_variation: float = 0.0,
    diversity: float = 0.0,
    seed: int | np.random.Generator = 0,
    progress: Progress = silent,
    keep: int | None = None,
) -> Ascent:
    """Climb from random images toward the maximum of each objective in a region.

    The ascents start from noise in [0, 1], each times a brightness of its own, which is spread evenly over
    [0, 1) from restart to restart, and brought into the region.

    What is climbed, in which steps, and all arguments are those of `probe.maximize`. With diversity the restarts of an
    objective step together, where that raises their sum.

    Parameters
    ----------
    seed : int or numpy.random.Generator
        Draws the starting images, then what the transform draws.
    keep : int, optional
        About how many frames to keep of the way, at least 2: closer at the beginning, where images change most.

    Raises
    ------
    InputError
        If an argument is outside its range, or the network has no such unit or class.

    Examples
    --------
    >>> from probe.layers import Dense
    >>> from probe.objectives import Objective
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
        if keep > _MOST_FRAMES:
            raise InputError(f"keep must be at most {_MOST_FRAMES}, got {keep}")
    for name, weight in (("l2", l2), ("total_variation", total_variation), ("diversity", diversity)):
        if check_number(name, weight, minimum=0) > _LARGEST_WEIGHT:
            raise InputError(f"{name} must be at most {_LARGEST_WEIGHT:g}, got {weight:g}")
    if total_variation > 0 and len(shape) not in (2, 3):
        raise InputError(f"total_variation needs images, but the network takes inputs of {shape}")
    parameterization.check(shape)
    if transform is not None:
        transform.check(shape)
    rng = generator(seed)
    batch = [objective for objective in chosen for _ in range(restarts)]
    brightness = _brightness(rng, len(batch)).reshape(-1, *[1] * len(shape))
    start = (brightness * parameterization.start(rng, len(batch), shape)).astype(network.dtype)
    hill = _Hill(
        network,
        batch,
        network.objective_function(batch),
        [] if transform is None else transform.variants(rng),
        region,
        restarts,
        l2,
        total_variation,
        diversity,
    )
    climb = _Climb(hill, parameterization, start)
    start_values = hill.function(climb.images)[0]
    wanted = None if keep is None else _spread_steps(steps, keep)
    traces, frames = [climb.scores], [climb.images.copy()]
    for step in range(1, steps + 1):
        climb.step()
        traces.append(climb.scores)
        if wanted is not None and step in wanted:
            frames.append(climb.images.copy())
        progress(ProgressEvent("maximizing", step, steps))

    def by_objective(values: npt.NDArray[np.generic]) -> Any:
        return values.reshape(len(chosen), restarts, *values.shape[1:])

    found = Ascent(
        images=by_objective(climb.images),
        values=by_objective(hill.function(climb.images)[0]),
        start_values=by_objective(start_values),
        traces=by_objective(np.stack(traces, axis=1)),
    )
    if wanted is None:
        return found
    best = np.arange(len(chosen)) * restarts + found.best_restarts
    images = np.stack([frame[best] for frame in frames], axis=1)
    return replace(found, frames=Frames(images=images, steps=np.array([0, *wanted])))


@checked
def affordable_ascents(
    network: Network, n_objectives: int, restarts: int, steps: int
) -> tuple[int, int, int]:
    """Return for how many objectives, from how many starts and in how many steps to climb: fewer for a slow network.

    Of a network that costs many multiplications there are first fewer restarts, then fewer steps, then fewer objectives.

    Examples
    --------
    >>> from probe.layers import Dense
    >>> kernel = np.zeros((784, 10), np.float32)
    >>> affordable_ascents(Network((Dense("output", kernel, kernel[0]),), input_shape=(784,)), 10, 8, 300)
    (10, 8, 300)
    """
    for name, value in (("n_objectives", n_objectives), ("restarts", restarts), ("steps", steps)):
        check_integer(name, value, minimum=1)
    # Forward, and as much again for the way back to the image.
    most = _CLIMBING // (2 * network.work)
    restarts = max(min(restarts, _FEWEST_STARTS), min(restarts, most // (n_objectives * steps)))
    steps = max(min(steps, _FEWEST_STEPS), min(steps, most // (n_objectives * restarts)))
    return max(1, min(n_objectives, most // (restarts * steps))), restarts, steps


def checked_objectives(objectives: Sequence[AnyObjective]) -> tuple[AnyObjective, ...]:
    """Return objectives as a tuple of at least one, or raise."""
    found = tuple(objectives)
    if not found:
        raise InputError("objectives must hold at least one, such as probe.class_logit(0), got none")
    return found


def _brightness(rng: np.random.Generator, n: int) -> Array:
    """Return `n` numbers in [0, 1), uniform together, of which any few in a row are spread evenly.

    Ascents from bright noise end low where it drives the first layer into saturation, ascents from dark noise
    where all begins alike: on the video's network dark starts found logits of 12.9 where bright ones found 5.6.
    """
    return (rng.random() + _GOLDEN * np.arange(n)) % 1


def _spread_steps(steps: int, keep: int) -> list[int]:
    """Return about `keep` - 1 of the steps from 1 to `steps`, the last among them, closer at the beginning."""
    places = np.ceil(steps * np.linspace(0, 1, keep)[1:] ** 2)
    return sorted({int(place) for place in places})


@dataclass(frozen=True, slots=True)
class _Hill:
    """What is climbed: the height of each image and its slope."""

    network: Network
    objectives: list[AnyObjective]
    function: Any
    variants: list[Variant]
    region: Region
    restarts: int
    l2: float
    total_variation: float
    diversity: float

    def of_rows(self, rows: npt.NDArray[np.intp]) -> _Hill:
        """Return the hill of some of the images."""
        return replace(self, function=self.network.objective_function([self.objectives[row] for row in rows]))

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
            expected: tuple[Array, Array] = self.function(x)
            return expected
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
    """A batch of images on their way up. Those that nothing moves any more leave it."""

    def __init__(self, hill: _Hill, parameterization: Parameterization, start: Array) -> None:
        self._hill, self._parameterization = hill, parameterization
        self._any_image = parameterization.any_image
        self._found = hill.region.project(start.copy())
        """All images; those still in the batch as they were when it was last made smaller."""
        self._rows = np.arange(len(start))
        """Which of the images are in the batch."""
        self._x = self._found.copy()
        self._made = self._x if self._any_image else start
        """What the parameters make, before it is brought into the region."""
        self._spare = np.empty_like(start)
        self._lengths = np.full(len(start), _FIRST_STEP, start.dtype)
        self.scores, gradient = hill.scored(self._x)
        """The heights of all images (n,)."""
        self._direction = self._uphill(self._x, gradient)
        self._steps = 0

    @property
    def images(self) -> Array:
        """All images (n, ...)."""
        self._found[self._rows] = self._x
        return self._found

    def step(self) -> None:
        """Try one step for each image and keep those that raise its score."""
        strides = self._strides().reshape(-1, *[1] * (self._x.ndim - 1))
        made = np.multiply(self._direction, strides, out=self._spare)
        made += self._made
        candidate = self._hill.region.project(made if self._any_image else made.copy())
        if self._any_image:
            made = candidate
        score, gradient = self._hill.scored(candidate)
        before = self.scores[self._rows]
        risen = self._hill.risen(score, before)
        self._lengths *= np.where(
            risen, self._lengths.dtype.type(_GROWTH), self._lengths.dtype.type(_SHRINKAGE)
        )
        np.minimum(self._lengths, _LARGEST_STEP, out=self._lengths)
        stays = np.flatnonzero(~risen)
        if len(stays) < len(risen):
            direction = self._uphill(candidate, gradient)
            candidate[stays], direction[stays] = self._x[stays], self._direction[stays]
            if not self._any_image:
                made[stays] = self._made[stays]
            self._spare = self._made
            self._x, self._made, self._direction = candidate, made, direction
            scores = self.scores.copy()
            scores[self._rows] = np.where(risen, score, before)
            self.scores = scores
        else:
            self._spare = made
        self._steps += 1
        if self._steps % _LOOK_EVERY == 0:
            self._leave()

    def _strides(self) -> Array:
        """Return by what to multiply each direction: the step's length for its largest entry."""
        flat = self._direction.reshape(len(self._direction), -1)
        largest = np.maximum(flat.max(axis=1), -flat.min(axis=1))
        found: Array = np.divide(self._lengths, largest, out=np.zeros_like(largest), where=largest > 0)
        return found

    def _uphill(self, x: Array, gradient: Array) -> Array:
        """Return the way of the parameters' gradient.

        Pixels at an end of the region may point out of it: the projection takes them back. Parameters of many
        pixels must not be moved by those that cannot follow.
        """
        if self._any_image:
            return gradient
        direction: Array = self._parameterization.spread(self._hill.region.inward(x, gradient))
        return direction

    def _leave(self) -> None:
        """Take those out of the batch that no gradient moves, if they are many."""
        if self._hill.diversity > 0:  # the height of an image depends on others
            return
        inward = self._hill.region.inward(self._x, self._direction) if self._any_image else self._direction
        moving = np.flatnonzero(inward.reshape(len(inward), -1).any(axis=1))
        if not len(moving) or len(moving) > _WORTHWHILE * len(self._rows):
            return
        self._found[self._rows] = self._x
        self._rows = self._rows[moving]
        self._x, self._direction, self._lengths = (
            values[moving] for values in (self._x, self._direction, self._lengths)
        )
        self._made = self._x if self._any_image else self._made[moving]
        self._spare = np.empty_like(self._x)
        self._hill = self._hill.of_rows(self._rows)
