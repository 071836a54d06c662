"""Networks brought to the bottom of where they are: L-BFGS of many networks in lockstep, in float32 and then in float64.

All live networks are evaluated together, so that the images meet the first layers of all of them in one product. Each has
its own line search and its own memory, and drops out once its gradient is small. Directions come from gradients in the
coordinates of `Scaling`: 784-16-16-10 takes 40% of the steps there that it takes in the parameters.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt
from scipy.linalg.blas import saxpy, sdot

from probe._checks import Array
from probe.analyses.minima.scaling import Scaling
from probe.curvature import PopulationCost

__all__ = ["MEMORY", "polished"]

Floats = npt.NDArray[np.float64]

MEMORY = 50
"""Pairs of steps and gradients that L-BFGS remembers. With ten, 784-16-16-10 is left with a gradient a hundred times as
long after as many iterations."""

_SMALL = 1e-7
"""Largest part of a gradient at which a network has arrived."""

_ABOVE_NOISE = 30
"""Times the rounding of a gradient in float32: with a longer gradient than this, float32 knows the way."""

_FALL, _SLOPE = 1e-4, 0.9
"""Share of the promised fall, and of the slope, that a step of Wolfe's must bring and may leave."""

_NOISE_OF_COST = (1e-7, 1e-14)
"""Of a cost in float32 and float64, relative to it. Within it slopes decide, as in Hager and Zhang's search."""

_TRIALS = 25
"""Lengths of one step that are tried."""


def polished(
    function: PopulationCost, vectors: Array, *, iterations: int, stop: threading.Event | None = None
) -> Floats | None:
    """Return where L-BFGS [1]_ gets from each of `vectors` (n_networks, n_parameters), or None once `stop` is set.

    Steps are found by bisection until they meet Wolfe's conditions [2]_, and near
    the bottom, where costs differ by their rounding, by slopes [3]_.

    References
    ----------
    .. [1] D. C. Liu, J. Nocedal, "On the Limited Memory BFGS Method for Large Scale Optimization", Mathematical
       Programming 45, 1989.
    .. [2] A. S. Lewis, M. L. Overton, "Nonsmooth Optimization via Quasi-Newton Methods", Mathematical Programming 141,
       2013.
    .. [3] W. W. Hager, H. Zhang, "A New Conjugate Gradient Method with Guaranteed Descent and an Efficient Line Search",
       SIAM Journal on Optimization 16, 2005.
    """
    descent = _Descent(function, np.array(vectors, dtype=np.float64))
    while len(descent.live.index):
        if stop is not None and stop.is_set():
            return None
        descent.advance(iterations)
    return descent.ends


class _Memory:
    """The last steps of one network and how its gradient changed on them, in float32: they only say where to go."""

    def __init__(self, n_parameters: int) -> None:
        self._steps, self._changes = np.empty((2, MEMORY, n_parameters), np.float32)
        self._inverse = np.empty(MEMORY)
        self._scale, self.count = 1.0, 0

    def add(self, step: Floats, change: Floats) -> None:
        """Remember a step, unless the cost is not seen to curve upward along it."""
        along, square = float(step @ change), float(change @ change)
        if along <= 1e-12 * np.sqrt(square * float(step @ step)):
            return
        row = self.count % MEMORY
        self._steps[row], self._changes[row], self._inverse[row] = step, change, 1 / along
        self._scale = along / square
        self.count += 1

    def direction(self, gradient: Array) -> Array:
        """Return minus the inverse Hessian, as far as it is remembered, times a gradient."""
        length = max(float(np.linalg.norm(gradient)), 1e-300)
        if not self.count:
            return np.asarray(-gradient)
        rest = (gradient / length).astype(np.float32)
        rows = [count % MEMORY for count in range(max(0, self.count - MEMORY), self.count)]
        shares = dict[int, float]()
        for row in reversed(rows):
            shares[row] = self._inverse[row] * sdot(self._steps[row], rest)
            saxpy(self._changes[row], rest, a=-shares[row])
        rest *= np.float32(self._scale)
        for row in rows:
            share = self._inverse[row] * sdot(self._changes[row], rest)
            saxpy(self._steps[row], rest, a=shares[row] - share)
        return rest * np.float32(-length)


@dataclass(slots=True)
class _Live:
    """The networks that are not there yet, a row of each array for each of them.

    `gradient` and `direction` are in the coordinates of `Scaling`; `point` and `way`, the same direction, are in parameters,
    and `largest` is the largest part of the gradient there. A step is sought between `low`, where the cost still falls
    steeply, and `high`, where it has risen.
    """

    index: npt.NDArray[np.intp]
    point: Floats
    cost: Floats
    gradient: Array
    largest: Floats
    memory: npt.NDArray[np.object_]
    direction: Array
    way: Array
    slope: Floats
    step: Floats
    low: Floats
    high: Floats
    n_trials: npt.NDArray[np.int64]
    n_steps: npt.NDArray[np.int64]
    is_double: npt.NDArray[np.bool_]
    near: Floats

    def keep(self, rows: npt.NDArray[np.bool_]) -> None:
        """Leave out the others."""
        for field in fields(self):
            setattr(self, field.name, getattr(self, field.name)[rows])


class _Descent:
    """L-BFGS of many networks, a trial of each at a time."""

    def __init__(self, double: PopulationCost, points: Floats) -> None:
        n = len(points)
        self.ends = points.copy()
        self._costs = double.on(double.x.astype(np.float32)), double
        self._scaling = Scaling(double, points)
        gradient = self._costs[0].gradient(points)[1]
        # How near float32 can bring a network is measured where it begins.
        rounding = np.abs(gradient - double.gradient(points)[1]).max(axis=1)
        cost, gradient, largest = self._evaluated(np.arange(n), points, np.zeros(n, bool))
        self.live = _Live(
            index=np.arange(n),
            point=points.copy(),
            cost=cost,
            gradient=gradient,
            largest=largest,
            memory=np.array([_Memory(points.shape[1]) for _ in range(n)], dtype=object),
            direction=np.empty_like(gradient),
            way=np.empty_like(gradient),
            slope=np.empty(n),
            step=np.ones(n),
            low=np.zeros(n),
            high=np.full(n, np.inf),
            n_trials=np.zeros(n, np.int64),
            n_steps=np.zeros(n, np.int64),
            is_double=np.zeros(n, bool),
            near=np.maximum(2 * _SMALL, _ABOVE_NOISE * rounding),
        )
        self._turn(np.ones(n, bool))

    def advance(self, iterations: int) -> None:
        """Try a step of each live network: it is taken, or another length comes next."""
        live = self.live
        point = live.point + live.step[:, None] * live.way
        cost, gradient, largest = self._evaluated(live.index, point, live.is_double)
        slope = np.einsum("ij,ij->i", gradient, live.direction, dtype=np.float64)
        noise = np.where(live.is_double, *_NOISE_OF_COST[::-1]) * np.abs(live.cost)
        falls = cost <= live.cost + _FALL * live.step * live.slope
        falls |= (cost <= live.cost + noise) & (slope <= (2 * _FALL - 1) * live.slope)
        is_flat = slope >= _SLOPE * live.slope
        taken = falls & is_flat
        for row in np.flatnonzero(taken):
            length = np.float32(live.step[row])
            live.memory[row].add(length * live.direction[row], gradient[row] - live.gradient[row])
        live.high = np.where(falls, live.high, live.step)
        live.low = np.where(falls & ~is_flat, live.step, live.low)
        live.step = np.where(np.isfinite(live.high), (live.low + live.high) / 2, 2 * live.step)
        live.n_trials += 1
        live.point[taken], live.cost[taken] = point[taken], cost[taken]
        live.gradient[taken], live.largest[taken] = gradient[taken], largest[taken]
        live.n_steps += taken
        self._settle(taken, iterations)

    def _settle(self, taken: npt.NDArray[np.bool_], iterations: int) -> None:
        """Go on in float64 where float32 ends, and let go of those that are there, or get no further."""
        live = self.live
        ends = ~taken & (live.n_trials >= _TRIALS)
        over = ~live.is_double & (ends | (taken & (live.largest <= live.near)))
        if over.any():
            live.is_double |= over
            live.cost[over], live.gradient[over], live.largest[over] = self._evaluated(
                live.index[over], live.point[over], live.is_double[over]
            )
        there = live.is_double & (live.largest <= _SMALL)
        done = there | (live.n_steps >= iterations) | (ends & ~over)
        self._turn((taken | over) & ~done)
        if done.any():
            self.ends[live.index[done]] = live.point[done]
            live.keep(~done)

    def _turn(self, rows: npt.NDArray[np.bool_]) -> None:
        """Begin the next step of these networks."""
        live = self.live
        for row in np.flatnonzero(rows):
            memory, gradient = live.memory[row], live.gradient[row]
            direction = memory.direction(gradient)
            if not (slope := float(direction @ gradient)) < 0:
                memory.count = 0
                direction = memory.direction(gradient)
                slope = float(direction @ gradient)
            live.direction[row], live.slope[row] = direction, slope
        live.way[rows] = self._scaling.directions(live.index[rows], live.direction[rows])
        live.step[rows], live.low[rows], live.high[rows], live.n_trials[rows] = 1, 0, np.inf, 0

    def _evaluated(
        self, index: npt.NDArray[np.intp], points: Floats, is_double: npt.NDArray[np.bool_]
    ) -> tuple[Floats, Array, Floats]:
        """Return costs, gradients in the coordinates of the scaling, and the largest parts of those in the parameters."""
        cost, gradient = np.empty(len(points)), np.empty_like(points)
        for kind, function in enumerate(self._costs):
            if (rows := is_double == kind).any():
                cost[rows], gradient[rows] = function.gradient(points[rows])
        return cost, self._scaling.gradients(index, gradient), np.abs(gradient).max(axis=1)
