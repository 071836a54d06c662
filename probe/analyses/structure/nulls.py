"""What weight images are held against: draws of starts, and of starts with random combinations of training images."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

from probe._checks import Array
from probe.analyses.structure.meter import FINEST, Meter, gabors

__all__ = ["Draws", "Start", "p_values", "planted_units", "quiet_directions"]

_MORE = np.array([1, -1, -1, 1, 1])
"""Sign of each statistic in the direction of more structure."""

_SPATIAL = slice(0, 4)
"""Statistics of the combined test. Sparsity depends on the family that weights are drawn from, and not on places."""

_FEWEST_STILL = 200
"""Weights on pixels that never vary, of all units, from which a start is estimated."""

_MOST_VALUES = 1_024
"""Values of an image in which directions without energy are sought; of larger images the middle is taken."""

_QUIET = 0.1
"""Share of all directions that counts as those in which training images have least energy."""

_LEVELS = 20
"""Learned shares are rounded to one in so many, so that units can have draws in common."""


@dataclass(frozen=True, slots=True, eq=False)
class Start:
    """How the weights of a layer were drawn before training, as far as the trained weights show it.

    Attributes
    ----------
    values : ndarray of shape (n_values,)
        Weights of mean 0 and variance 1 in ascending order: the family. Those on pixels that never vary, which plain
        gradient descent leaves as they were or changes alike; where there are too few, all weights of the layer, which are
        of that family where little was learned, and else hardly show it.
    shares : ndarray of shape (n_units,), in [0, 1]
        Share of each unit's mean square on active pixels that was learned. The rest has the size of the start: that of the
        weights on pixels that never vary, or, where these are too few, along directions in which training images have next
        to no energy, and so gradient descent changes next to nothing.
    error : float
        Standard error of the size of the start in one unit, relative to it.
    """

    values: Array
    shares: Array
    error: float

    @classmethod
    def of(cls, images: Array, active: npt.NDArray[np.bool_], kind: str, quiet: Callable[[], Array]) -> Start:
        """Return the start of weight images (n_units, height, width[, channels]).

        `quiet` gives directions as `quiet_directions` does; `kind` is as in `View`.
        """
        images = images.astype(np.float64)
        size = _mean_square(images, active)
        still = images[:, ~active].reshape(len(images), -1)
        still = still - still.mean(axis=1, keepdims=True) if still.size else still
        alike = kind != "expanded"
        if still.size >= _FEWEST_STILL and still.shape[1] >= 2 and still.any():
            level = np.square(still).sum(axis=1) / (still.shape[1] - 1)
            values, n_values = still, still.size if alike else still.shape[1]
        else:
            level = np.square(_middle(images).reshape(len(images), -1) @ quiet().T).mean(axis=1)
            if not alike:  # too few values to tell units apart
                level = size * (level.sum() / size.sum() if size.any() else 1.0)
            values = images[:, active].reshape(len(images), -1)
            values, n_values = values - values.mean(axis=1, keepdims=True), len(images) * len(quiet())
        # Weights of one layer started alike; expanded ones are scaled by the layers above, each in its own way.
        level = np.full(len(images), level.mean()) if alike else level
        spread = np.sqrt(np.square(values).mean(axis=1, keepdims=True))
        known = np.flatnonzero(spread[:, 0] > 0)
        pool = np.sort((values[known] / spread[known]).ravel()) if known.size else np.array([-1.0, 1.0])
        shares = 1 - np.minimum(1, level / np.where(size > 0, size, 1))
        # A mean square of n values of variance 1 has the variance (kurtosis - 1) / n; the unit's own start is such a sample.
        n_active = active.sum() * (images.shape[3] if images.ndim == 4 else 1)
        error = np.sqrt((np.mean(pool**4) - 1) * (1 / n_values + 1 / n_active))
        return cls(pool.astype(np.float32), np.where(size > 0, shares, 0.0), float(error))

    @property
    def levels(self) -> npt.NDArray[np.int64]:
        """The shares as whole numbers from 0 to 20: units of one level are held against the same draws."""
        return np.rint(self.shares * _LEVELS).astype(np.int64)

    def with_learned(self, level: int, share: float) -> int:
        """Return the level of a unit `share` of which is something learned, and the rest like units of `level`."""
        return round(_LEVELS - (1 - share) * (_LEVELS - level))


def quiet_directions(train: Array) -> Array:
    """Return the tenth of directions in which images (n, height, width[, channels]) have least energy: (n, n_values).

    They are orthonormal. Of large images they are those of the middle.
    """
    flat = _middle(train).reshape(len(train), -1).astype(np.float64)
    n = max(1, round(_QUIET * flat.shape[1]))
    _, directions = np.linalg.eigh(flat.T @ flat / len(flat))
    return np.asarray(directions[:, :n].T)


def _middle(images: Array) -> Array:
    """Return the middle of images (n, height, width[, channels]), as much as has `_MOST_VALUES` values."""
    height, width = images.shape[1:3]
    channels = images.shape[3] if images.ndim == 4 else 1
    side = int(np.sqrt(_MOST_VALUES / channels))
    top, left = max(0, (height - side) // 2), max(0, (width - side) // 2)
    return images[:, top : top + min(side, height), left : left + min(side, width)]


class Draws:
    """Draws of both nulls, made as they are needed; all networks that are measured have them in common.

    A draw is a start and a random combination of training images, in given shares. Of "initialization" the share of the
    combination is 0.
    """

    def __init__(self, train: Array, meter: Meter, n: int, rng: np.random.Generator) -> None:
        self.meter, self.n = meter, n
        self._train, self._rng = train, rng
        self._parts = list[tuple[Array, Array, Array]]()
        self._measured = dict[tuple[Start, int, int], Array]()
        self.quiet = cache(lambda: quiet_directions(train))

    def others(self, n: int, rng: np.random.Generator) -> Draws:
        """Return new draws of the same nulls, `n` at a time."""
        return Draws(self._train, self.meter, n, rng)

    def images(self, start: Start, level: int, block: int = 0) -> Array:
        """Return the weight images (n, height, width[, channels]) of a block of draws."""
        ranks, learned, errors = self._part(block)
        n_values = len(start.values)
        first = start.values[np.minimum((ranks * n_values).astype(np.int64), n_values - 1)]
        if not level:
            return first
        # How much was learned is known with an error, which the draws have too.
        rest = np.clip((1 - level / _LEVELS) * (1 + start.error * errors), 0, 1)
        return scaled(first, np.sqrt(rest), self.meter.active) + _times(learned, np.sqrt(1 - rest))

    def measured(self, start: Start, level: int, block: int = 0) -> Array:
        """Return the statistics (n, 5) of a block of draws; those that have none are left out."""
        key = start, level, block
        if key not in self._measured:
            found = self.meter(self.images(*key))
            self._measured[key] = found[np.isfinite(found).all(axis=1)]
        return self._measured[key]

    def _part(self, block: int) -> tuple[Array, Array, Array]:
        """Return the ranks of the starts' weights in their family, in [0, 1), the combinations, and normal errors."""
        while len(self._parts) <= block:
            flat = self._train.reshape(len(self._train), -1).astype(np.float32)
            shape = self.n, *self._train.shape[1:]
            ranks = self._rng.random(shape, np.float32)
            sums = self._rng.standard_normal((self.n, len(flat)), dtype=np.float32) @ flat
            learned = scaled(sums.reshape(shape), np.ones(self.n), self.meter.active)
            self._parts.append((ranks, learned, self._rng.standard_normal(self.n)))
        return self._parts[block]


def scaled(images: Array, sizes: npt.ArrayLike, active: npt.NDArray[np.bool_]) -> Array:
    """Return images with a root mean square of `sizes` on active pixels; zero ones as they are."""
    root = np.sqrt(_mean_square(images, active))
    return _times(images, np.asarray(sizes) / np.where(root > 0, root, 1))


def _times(images: Array, factors: Array) -> Array:
    return np.asarray(images * factors.astype(np.float32).reshape(-1, *[1] * (images.ndim - 1)))


def _mean_square(images: Array, active: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    inside = images[:, active].reshape(len(images), -1)
    return np.asarray(np.square(inside).mean(axis=1, dtype=np.float64))


def planted_units(
    active: npt.NDArray[np.bool_], rest: Array, share: float, rng: np.random.Generator
) -> Array:
    """Return Gabor functions at random, as wide as in simple cells, beside `rest` (n, height, width[, channels]).

    They have `share` of the mean square, `rest` has the other part.
    """
    n, shape = len(rest), rest.shape[1:]
    size = min(shape[:2])
    rows, columns = np.nonzero(active)
    chosen = rng.integers(0, len(rows), n)
    sigma = np.maximum(FINEST[0], size * rng.uniform(0.07, 0.14, n))
    found = gabors(
        (shape[0], shape[1]),
        rows[chosen],
        columns[chosen],
        rng.uniform(0, np.pi, n),
        np.maximum(FINEST[1], sigma * rng.uniform(1.5, 3, n)),
        sigma,
        rng.uniform(0, 2 * np.pi, n),
    )
    found = found if len(shape) == 2 else np.repeat(found[..., None], shape[2], axis=-1)
    planted = scaled(found, np.sqrt(share), active) + scaled(rest, np.sqrt(1 - share), active)
    return planted.astype(np.float32)


def p_values(values: Array, null: Array) -> tuple[Array, Array]:
    """Return the one-sided p-values (n, 5) of `values` among the draws `null`, and those of the combined test (n,).

    The combined test is a min-p test over the four spatial statistics, each in the direction of more structure, ranked
    among the draws and the unit together, so that it is exact where unit and draws are exchangeable.
    """
    from scipy.stats import rankdata

    n_null = len(null)
    each, combined = np.ones(values.shape), np.ones(len(values))
    # One row for each statistic.
    oriented = np.ascontiguousarray((null * _MORE).T)
    # Of the draws themselves: how many draws, itself included, have at least as much.
    ranks = rankdata(-oriented, method="max", axis=1)
    for k, unit in enumerate(values * _MORE):
        if not np.isfinite(unit).all():
            continue
        at_least = unit[:, None] >= oriented
        own = 1 + (oriented >= unit[:, None]).sum(axis=1)
        each[k] = own / (n_null + 1)
        pooled = (ranks + at_least)[_SPATIAL].min(axis=0)
        combined[k] = (1 + (pooled <= own[_SPATIAL].min()).sum()) / (n_null + 1)
    return each, combined
