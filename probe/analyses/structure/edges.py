"""Whether a weight image is an edge detector: how much of it one Gabor function explains, and how much one Gaussian."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from probe._checks import Array
from probe.analyses.structure.meter import FINEST, Meter
from probe.analyses.structure.results import STATISTICS

__all__ = ["EDGE_SHARE", "edge_like", "fits"]

EDGE_SHARE = 2 / 3
"""Share of a unit's variance that one Gabor function explains in an edge detector: twice as much as all else."""

_CLEARLY = 0.9
"""What a Gabor function may leave of the variance that the best Gaussian leaves, to be a better description than it."""

_WORTH_REFINING = EDGE_SHARE / 2
"""Best fit of the bank below which no Gabor function reaches `EDGE_SHARE`: refining adds a fifth at most."""

_ROUNDS = 15
_LONGEST = 3.0
"""Length of a window along the wave's crests, in deviations across them, at most."""

Fit = Callable[[Array], Array]


def fits(images: Array, measured: Array, meter: Meter) -> Array:
    """Return the R² of the best Gabor function and of the best Gaussian, (n, 2).

    Windows may be round or up to three times as long as wide. A search from the best of a coarse bank goes along one
    parameter after the other. An image that the bank says is far from any Gabor function keeps the R² of the bank. Gaussians
    are only fitted where a Gabor function explains `EDGE_SHARE`; elsewhere their R² is NaN.

    Parameters
    ----------
    images : ndarray of shape (n, height, width[, channels])
        Weight images.
    measured : ndarray of shape (n, 5)
        Their statistics.
    meter : Meter
        Has the bank and the active pixels.
    """
    found = np.stack([measured[:, STATISTICS.index("gabor")], np.full(len(images), np.nan)], axis=1)
    planes = images if images.ndim == 4 else images[..., None]
    values = np.moveaxis(planes[:, meter.active], 2, 1).astype(np.float32)
    places = _Places(meter.active)
    near = np.flatnonzero(found[:, 0] >= _WORTH_REFINING)
    if near.size:
        start = meter.bank[meter.best_of_bank(images[near])]
        found[near, 0] = np.fmax(found[near, 0], places.gabor(_of_unit_length(values[near]), start))
    like = np.flatnonzero(found[:, 0] >= EDGE_SHARE)
    if like.size:
        found[like, 1] = places.gaussian(_of_unit_length(values[like]))
    return found


def edge_like(explained: Array) -> npt.NDArray[np.bool_]:
    """Return which fits (n, 2) of `fits` are those of edges: the Gabor function explains most, and more than a blob."""
    gabor, gaussian = np.fmin(explained, 1).T
    return np.asarray((gabor >= EDGE_SHARE) & (1 - gabor < _CLEARLY * (1 - gaussian)))


class _Places:
    """The active pixels, and searches for the functions that fit values (n, channels, n_active) of unit length there."""

    def __init__(self, active: npt.NDArray[np.bool_]) -> None:
        self._rows, self._columns = (places.astype(np.float32) for places in np.nonzero(active))
        self._shape, self._size = active.shape, min(active.shape)

    def gabor(self, values: Array, start: Array) -> Array:
        """Return the R² of the best Gabor functions; `start` (n, 5) are row, column, angle, wavelength and deviation."""

        def explained(p: Array) -> Array:
            window, along = self._window(p[:, 0], p[:, 1], p[:, 2], np.exp(p[:, 4]), np.exp(p[:, 5]))
            wave = along * (2 * np.pi / np.exp(p[:, 3]))[:, None]
            first, second = _centered(window * np.cos(wave)), _centered(window * np.sin(wave))
            one, two, both = _dot(first, first), _dot(second, second), _dot(first, second)
            on_first, on_second = _on(values, first), _on(values, second)
            squares = np.square(on_first).sum(axis=1) * two + np.square(on_second).sum(axis=1) * one
            squares -= 2 * both * (on_first * on_second).sum(axis=1)
            rest = one * two - both**2
            alone = np.square(on_first).sum(axis=1) / np.maximum(one, 1e-12)
            # Where the two are the same function, one of them is all there is.
            return np.asarray(np.where(rest > 1e-4 * one * two, squares / np.maximum(rest, 1e-12), alone))

        place, size = np.array([2.0, 2.0]) * max(1, self._size / 28), self._size
        low = np.array([0, 0, -np.inf, np.log(FINEST[1]), np.log(FINEST[0]), 0])
        high = np.array(
            [*(n - 1 for n in self._shape), np.inf, np.log(size / 2), np.log(size / 5), np.log(_LONGEST)]
        )
        first = np.concatenate([start[:, :3], np.log(start[:, 3:]), np.full((len(start), 1), 0.1)], axis=1)
        return _climbed(
            explained, first, np.array([*place, np.pi / 16, 0.2, 0.2, 0.2]), low, np.maximum(low, high)
        )

    def gaussian(self, values: Array) -> Array:
        """Return the R² of the best Gaussians."""

        def explained(p: Array) -> Array:
            window, _ = self._window(p[:, 0], p[:, 1], p[:, 2], np.exp(p[:, 3]), np.exp(p[:, 4]))
            window = _centered(window)
            return np.asarray(
                np.square(_on(values, window)).sum(axis=1) / np.maximum(_dot(window, window), 1e-12)
            )

        size = self._size
        step = max(1, size // 9)
        places = (
            np.mgrid[step // 2 : self._shape[0] : step, step // 2 : self._shape[1] : step].reshape(2, -1).T
        )
        widths = np.geomspace(1, size / 3, 5)
        bank = np.array([(*place, 0, np.log(width), 0.1) for width in widths for place in places])
        window, _ = self._window(bank[:, 0], bank[:, 1], bank[:, 2], np.exp(bank[:, 3]), np.exp(bank[:, 4]))
        window = _centered(window)
        lengths = np.maximum(np.sqrt(_dot(window, window)), 1e-3)[:, None]
        best = np.square(values @ (window / lengths).T).sum(axis=1).argmax(axis=1)
        low = np.array([0, 0, -np.inf, np.log(0.6), 0])
        high = np.array([*(n - 1 for n in self._shape), np.inf, np.log(size / 2), np.log(_LONGEST)])
        steps = np.array([step / 2, step / 2, np.pi / 8, 0.25, 0.25])
        return _climbed(explained, bank[best], steps, low, high)

    def _window(
        self, row: Array, column: Array, angle: Array, width: Array, longer: Array
    ) -> tuple[Array, Array]:
        """Return Gaussians (n, n_active), `longer` times as long as wide, and how far each pixel is along `angle`."""
        down, right = self._rows - row[:, None], self._columns - column[:, None]
        cosine, sine = np.cos(angle)[:, None], np.sin(angle)[:, None]
        along, aside = right * cosine + down * sine, down * cosine - right * sine
        far = np.square(along) + np.square(aside / longer[:, None])
        return np.exp(-far / (2 * np.square(width))[:, None]), along


def _climbed(explained: Fit, start: Array, steps: Array, low: Array, high: Array) -> Array:
    """Return the largest values of `explained` that a search along each of its parameters finds from `start`."""
    at = np.clip(start, low, high).astype(np.float32)
    sizes = np.tile(steps.astype(np.float32), (len(at), 1))
    best = explained(at)
    for _ in range(_ROUNDS):
        for k in range(at.shape[1]):
            moved = np.zeros(len(at), bool)
            for sign in (1, -1):
                there = at.copy()
                there[:, k] = np.clip(there[:, k] + sign * sizes[:, k], low[k], high[k])
                value = explained(there)
                better = value > best
                at[better], best[better] = there[better], value[better]
                moved |= better
            sizes[:, k] *= np.where(moved, 1.2, 0.5)
    return np.asarray(best, np.float64)


def _of_unit_length(values: Array) -> Array:
    """Return values (n, channels, n_active) less their means, with a sum of squares of 1."""
    centered = values - values.mean(axis=2, keepdims=True)
    return np.asarray(centered / np.sqrt(np.square(centered).sum(axis=(1, 2), keepdims=True)))


def _centered(rows: Array) -> Array:
    found: Array = rows - rows.mean(axis=1, keepdims=True)
    return found


def _dot(one: Array, other: Array) -> Array:
    return np.asarray(np.einsum("nv,nv->n", one, other))


def _on(values: Array, rows: Array) -> Array:
    """Return the products of each channel with its row: (n, channels)."""
    return np.asarray(np.einsum("ncv,nv->nc", values, rows))
