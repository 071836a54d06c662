"""Inputs that maximise the logit of a class, a unit or a channel, by gradient ascent in [0, 1]."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from probe._checks import Array, InputError, check_integer, check_number, generator, readonly
from probe._progress import Progress, ProgressEvent, silent
from probe.network import Network
from probe.objectives import Objective

__all__ = ["Maximization", "maximize"]

_FIRST_STEP = 0.1
_GROWTH, _SHRINKAGE, _LARGEST_STEP = 1.5, 0.5, 1e4
_SMOOTHING = 0.01
"""Pixel differences below this count quadratically in the total variation, so that it has a gradient."""


@dataclass(frozen=True, slots=True, eq=False)
class Maximization:
    """The images found, for every objective and restart.

    Attributes
    ----------
    objectives : tuple of Objective
        What was maximised.
    names : tuple of str
        A label for each objective.
    images : ndarray of shape (n_objectives, n_restarts, *input_shape), in [0, 1]
        Where each ascent ended.
    values : ndarray of shape (n_objectives, n_restarts)
        The objective, without regularisers, scored anew on exactly `images`.
    start_values : ndarray of shape (n_objectives, n_restarts)
        The same on the random images that the ascents started from.
    traces : ndarray of shape (n_objectives, n_restarts, n_steps + 1)
        The regularised objective on the way; it never falls.
    confidences : ndarray of shape (n_objectives, n_restarts), in [0, 1]
        The network's largest output on `images`; NaN for a network without classes.
    predictions : ndarray of shape (n_objectives, n_restarts), int64
        The class that the network puts them in; -1 for a network without classes.
    l2, total_variation : float
        Weights of the regularisers.
    """

    objectives: tuple[Objective, ...]
    names: tuple[str, ...]
    images: Array
    values: Array
    start_values: Array
    traces: Array
    confidences: Array
    predictions: npt.NDArray[np.int64]
    l2: float
    total_variation: float

    def __post_init__(self) -> None:
        for name in ("images", "values", "start_values", "traces", "confidences", "predictions"):
            object.__setattr__(self, name, readonly(getattr(self, name)))

    @property
    def best_restarts(self) -> npt.NDArray[np.int64]:
        """Restart that climbed highest, regularisers included, for each objective: (n_objectives,)."""
        return np.asarray(self.traces[..., -1].argmax(axis=1), dtype=np.int64)

    @property
    def best_images(self) -> Array:
        """Image of the best restart for each objective, of shape (n_objectives, *input_shape)."""
        return self.images[np.arange(len(self.images)), self.best_restarts]

    @property
    def best_values(self) -> Array:
        """Value on the image of the best restart for each objective, of shape (n_objectives,)."""
        return self.values[np.arange(len(self.values)), self.best_restarts]


def maximize(
    network: Network,
    objectives: Sequence[Objective],
    *,
    restarts: int = 4,
    steps: int = 200,
    l2: float = 0.0,
    total_variation: float = 0.0,
    seed: int | np.random.Generator = 0,
    progress: Progress = silent,
) -> Maximization:
    """Find inputs in [0, 1] that maximise each objective.

    All objectives and restarts climb in one batch. A step goes along the gradient, as far as the box
    allows; if it does not raise the regularised objective

        objective(x) - l2 * sum(x²) - total_variation * TV(x)

    the image stays and the next step is half as long; otherwise the next is longer. TV is the sum over
    pixels of the length of the gradient between neighbours, rounded off below 0.01.

    Parameters
    ----------
    network : Network
        Its inputs are taken to range over [0, 1]; for another range pass `network.for_range(low, high)`.
    objectives : sequence of Objective
        From `probe.class_logit` and `probe.unit`; at least one.
    restarts : int
        Random uniform starting images for each objective, at least 1.
    steps : int
        Steps of each ascent, at least 1.
    l2, total_variation : float
        Weights of the regularisers, at least 0. Total variation needs inputs of shape (height, width) or
        (height, width, channels).
    seed : int or numpy.random.Generator
        Draws the starting images.
    progress : callable
        Called with a `ProgressEvent` after each step.

    Raises
    ------
    InputError
        If an argument is outside its range, or the network has no such unit or class.

    References
    ----------
    .. [1] D. Erhan et al., "Visualizing Higher-Layer Features of a Deep Network", 2009.
    .. [2] K. Simonyan, A. Vedaldi, A. Zisserman, "Deep Inside Convolutional Networks", 2013 (l2).
    .. [3] A. Mahendran, A. Vedaldi, "Understanding Deep Image Representations by Inverting Them",
       CVPR 2015 (total variation).

    Examples
    --------
    >>> from probe.layers import Dense
    >>> kernel = np.array([[1.0], [-2.0]], dtype=np.float32)
    >>> network = Network((Dense("output", kernel, np.zeros(1, np.float32)),), input_shape=(2,))
    >>> maximize(network, [Objective("output", 0)], restarts=1).images
    array([[[1., 0.]]], dtype=float32)
    """
    if isinstance(objectives, Objective):
        raise InputError(f"objectives must be a list such as [probe.class_logit(0)], got one {objectives!r}")
    objectives = tuple(objectives)
    if not objectives:
        raise InputError("objectives must hold at least one, such as probe.class_logit(0), got none")
    check_integer("restarts", restarts, minimum=1)
    check_integer("steps", steps, minimum=1)
    check_number("l2", l2, minimum=0)
    check_number("total_variation", total_variation, minimum=0)
    if total_variation > 0 and len(network.input_shape) not in (2, 3):
        raise InputError(
            f"total_variation needs images, but the network takes inputs of {network.input_shape}"
        )
    rng = generator(seed)
    batch = [objective for objective in objectives for _ in range(restarts)]
    start = rng.random((len(batch), *network.input_shape)).astype(network.dtype)
    ascent = _Ascent(network, batch, start, l2, total_variation)
    traces = [ascent.score]
    for step in range(steps):
        ascent.step()
        traces.append(ascent.score)
        progress(ProgressEvent("maximising", step + 1, steps))

    def by_objective(values: npt.NDArray[np.generic]) -> Any:
        return values.reshape(len(objectives), restarts, *values.shape[1:])

    confidences, predictions = _classified(network, ascent.x)
    return Maximization(
        objectives,
        tuple(_label(objective, network) for objective in objectives),
        by_objective(ascent.x),
        by_objective(network.objective_gradient(ascent.x, batch)[0]),
        by_objective(network.objective_gradient(start, batch)[0]),
        by_objective(np.stack(traces, axis=1)),
        by_objective(confidences),
        by_objective(predictions),
        float(l2),
        float(total_variation),
    )


def _classified(network: Network, x: Array) -> tuple[Array, npt.NDArray[np.int64]]:
    """Return the largest output for each image and its class; NaN and -1 where the network has no classes."""
    if not network.n_classes:
        return np.full(len(x), np.nan, network.dtype), np.full(len(x), -1)
    return network.predict_proba(x).max(axis=1), network.predict(x)


def _label(objective: Objective, network: Network) -> str:
    if objective.layer is None:
        return network.class_names[objective.index]
    return objective.name


class _Ascent:
    """A batch of images on their way up, each with a step length of its own."""

    def __init__(
        self,
        network: Network,
        objectives: Sequence[Objective],
        start: Array,
        l2: float,
        total_variation: float,
    ) -> None:
        self._network, self._objectives = network, objectives
        self._l2, self._total_variation = l2, total_variation
        self.x = start.copy()
        self._lengths = np.full(len(start), _FIRST_STEP, start.dtype)
        self.score, gradient = self._scored(self.x)
        self._direction = self._uphill(self.x, gradient)

    def step(self) -> None:
        """Try one step for each image and keep those that raise its score."""
        candidate = self._direction * self._column(self._lengths)
        candidate += self.x
        np.clip(candidate, 0, 1, out=candidate)
        score, gradient = self._scored(candidate)
        risen = score >= self.score
        self._lengths *= np.where(
            risen, self._lengths.dtype.type(_GROWTH), self._lengths.dtype.type(_SHRINKAGE)
        )
        np.minimum(self._lengths, _LARGEST_STEP, out=self._lengths)
        if not risen.any():
            return
        if risen.all():
            self.x, self.score, self._direction = candidate, score, self._uphill(candidate, gradient)
            return
        self.score = np.where(risen, score, self.score)
        self.x[risen] = candidate[risen]
        self._direction[risen] = self._uphill(candidate[risen], gradient[risen])

    def _column(self, values: Array) -> Array:
        return values.reshape(-1, *[1] * (self.x.ndim - 1))

    def _uphill(self, x: Array, gradient: Array) -> Array:
        """Return the gradient without what points out of the box, scaled to a largest entry of 1."""
        direction = np.where((x <= 0) & (gradient < 0) | (x >= 1) & (gradient > 0), 0, gradient)
        largest = np.abs(direction).reshape(len(x), -1).max(axis=1)
        largest[largest == 0] = 1
        direction /= self._column(largest)
        return direction

    def _scored(self, x: Array) -> tuple[Array, Array]:
        """Return the regularised objective of each image and its gradient."""
        values, gradient = self._network.objective_gradient(x, self._objectives)
        if self._l2 > 0:
            values = values - self._l2 * np.square(x).reshape(len(x), -1).sum(axis=1)
            gradient = gradient - 2 * self._l2 * x
        if self._total_variation > 0:
            variation, slope = _total_variation(x)
            values = values - self._total_variation * variation
            gradient = gradient - self._total_variation * slope
        return values, gradient


def _total_variation(x: Array) -> tuple[Array, Array]:
    """Return the smoothed total variation of each image (n, height, width, ...) and its gradient."""
    down, right = np.zeros_like(x), np.zeros_like(x)
    down[:, :-1] = x[:, 1:] - x[:, :-1]
    right[:, :, :-1] = x[:, :, 1:] - x[:, :, :-1]
    lengths = np.sqrt(down**2 + right**2 + _SMOOTHING**2)
    variation = (lengths - _SMOOTHING).reshape(len(x), -1).sum(axis=1)
    down /= lengths
    right /= lengths
    gradient = -down - right
    gradient[:, 1:] += down[:, :-1]
    gradient[:, :, 1:] += right[:, :, :-1]
    return variation, gradient
