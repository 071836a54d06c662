"""The statistics of weight images: how alike neighbors are, how fine the patterns, how well a Gabor function fits."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from probe._checks import Array, chunks
from probe.analyses.structure.results import STATISTICS
from probe.stats import gini

__all__ = ["FINEST", "Meter", "gabors", "meter_of"]

FINEST = 1.5, 3.5
"""Least deviation and wavelength of a Gabor function in pixels: finer ones fit single outliers, not edges."""


def gabors(
    shape: tuple[int, int],
    row: npt.ArrayLike,
    column: npt.ArrayLike,
    angle: npt.ArrayLike,
    wavelength: npt.ArrayLike,
    sigma: npt.ArrayLike,
    phase: npt.ArrayLike,
) -> Array:
    """Return Gabor functions (n, height, width), one for each entry of the parameters, which broadcast.

    `row`, `column`, `wavelength` and `sigma` are in pixels, `angle` and `phase` in radians; the wave runs along `angle`,
    counted from the columns' axis.
    """
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    row, column, angle, wavelength, sigma, phase = (
        np.asarray(values, np.float64)[..., None, None]
        for values in (row, column, angle, wavelength, sigma, phase)
    )
    across = (columns - column) * np.cos(angle) + (rows - row) * np.sin(angle)
    window = np.exp(-((columns - column) ** 2 + (rows - row) ** 2) / (2 * sigma**2))
    return np.asarray(window * np.cos(2 * np.pi * across / wavelength + phase))


class Meter:
    """Measures weight images on the active pixels.

    `bank` are the Gabor functions that are tried: row, column, angle, wavelength and deviation of each.
    """

    def __init__(self, active: npt.NDArray[np.bool_]) -> None:
        self.active = active
        self.shape = active.shape
        self._down = active[1:] & active[:-1]
        self._right = active[:, 1:] & active[:, :-1]
        self._rings = _rings(active.shape)
        self.bank, self._cosines, self._sines = _bank(active)

    def __call__(self, images: Array) -> Array:
        """Return the statistics (n, 5) of images (n, height, width[, channels]); channels count together."""
        planes = images[..., None] if images.ndim == 3 else images
        planes = planes.astype(np.float32)
        found = np.full((len(planes), len(STATISTICS)), np.nan)
        for rows in chunks(len(planes), 1000):
            found[rows] = self._part(planes[rows])
        return found

    def best_of_bank(self, images: Array) -> npt.NDArray[np.int64]:
        """Return the index in `bank` of the function that explains most of each image (n, height, width[, channels])."""
        planes = images[..., None] if images.ndim == 3 else images
        values = np.moveaxis(planes[:, self.active], 2, 1).astype(np.float32)
        values -= values.mean(axis=2, keepdims=True)
        explained = np.square(values @ self._cosines.T) + np.square(values @ self._sines.T)
        return np.asarray(explained.sum(axis=1).argmax(axis=1))

    def _part(self, planes: Array) -> Array:
        inside = planes[:, self.active]
        mean = inside.mean(axis=1)[:, None, None]
        centered = np.where(self.active[None, :, :, None], planes - mean, 0)
        variance = np.square(centered).sum(axis=(1, 2, 3), dtype=np.float64)
        known = variance > 1e-12 * np.maximum(1e-30, np.square(planes).sum(axis=(1, 2, 3), dtype=np.float64))
        # The mean of values that are all the same may be rounded, and leave some variance.
        known &= np.ptp(inside, axis=1).any(axis=1)
        variance = np.where(known, variance, np.nan)
        n_values = self.active.sum() * planes.shape[3]
        n_pairs = (self._down.sum() + self._right.sum()) * planes.shape[3]
        above, below = centered[:, 1:][:, self._down], centered[:, :-1][:, self._down]
        right, left = centered[:, :, 1:][:, self._right], centered[:, :, :-1][:, self._right]
        products = (above * below).sum(axis=(1, 2)) + (right * left).sum(axis=(1, 2))
        steps = np.abs(above - below).sum(axis=(1, 2)) + np.abs(right - left).sum(axis=(1, 2))
        apart = np.where(known, _mean_difference(inside), np.nan)
        return np.stack(
            [
                products / n_pairs * n_values / variance,
                steps / n_pairs / apart,
                np.where(known, self._slopes(centered), np.nan),
                self._fits(centered) / variance,
                np.where(known, gini(np.abs(inside).reshape(len(inside), -1)), np.nan),
            ],
            axis=1,
        )

    def _slopes(self, centered: Array) -> Array:
        """Return the slopes of the power spectra, averaged over rings of one frequency and over channels."""
        power = np.square(np.abs(np.fft.fft2(centered, axes=(1, 2)))).sum(axis=3).reshape(len(centered), -1)
        n_rings = int(self._rings.max())
        if n_rings < 2:  # 3 x 3 pixels have one frequency, and no slope
            return np.zeros(len(centered))
        radial = np.stack(
            [power[:, self._rings == ring].mean(axis=1) for ring in range(1, n_rings + 1)], axis=1
        )
        frequency = np.log(np.arange(1, n_rings + 1))
        frequency -= frequency.mean()
        logs = np.log(np.maximum(radial, np.finfo(np.float64).tiny))
        return np.asarray(logs @ frequency / np.square(frequency).sum())

    def _fits(self, centered: Array) -> Array:
        """Return the largest squared length of a projection on a pair of Gabor functions."""
        values = np.moveaxis(centered[:, self.active], 2, 1)
        found = np.empty(len(values))
        # Few rows at a time, so that the projections on all pairs stay in the cache.
        for rows in chunks(len(values), 100):
            planes = values[rows].reshape(-1, values.shape[2])
            along, across = planes @ self._cosines.T, planes @ self._sines.T
            along *= along
            across *= across
            along += across
            found[rows] = along.reshape(-1, values.shape[1], along.shape[1]).sum(axis=1).max(axis=1)
        return found


def _mean_difference(values: Array) -> Array:
    """Return the mean absolute difference of two different values (n, n_values, channels), averaged over channels."""
    n_values = values.shape[1]
    ranks = 2 * np.arange(1, n_values + 1) - n_values - 1
    ordered = np.sort(values, axis=1).astype(np.float64)
    sums = np.einsum("nvc,v->n", ordered, ranks)
    return np.asarray(2 * sums / (n_values * (n_values - 1) * values.shape[2]))


def _rings(shape: tuple[int, ...]) -> npt.NDArray[np.int64]:
    """Return for each frequency of a 2-D transform its distance from zero in whole cycles; 0 beyond the shorter axis."""
    rows, columns = (np.fft.fftfreq(n) * n for n in shape)
    distance = np.rint(np.hypot(rows[:, None], columns[None])).astype(np.int64)
    distance[distance > min(shape) // 2] = 0
    flat: npt.NDArray[np.int64] = distance.reshape(-1)
    return flat


def _bank(active: npt.NDArray[np.bool_]) -> tuple[Array, Array, Array]:
    """Return Gabor functions: parameters (n, 5), and orthonormal pairs of zero mean on the active pixels (n, n_active)."""
    height, width = active.shape
    size = min(height, width)
    step = max(1, size // 9)
    rows, columns = (
        places.ravel() for places in np.mgrid[step // 2 : height : step, step // 2 : width : step]
    )
    bank, cosines, sines = list[Array](), list[Array](), list[Array]()
    for sigma in np.unique(np.maximum(FINEST[0], size * np.array([0.055, 0.09, 0.14]))):
        for wavelength in np.unique(np.maximum(FINEST[1], size * np.array([0.14, 0.21, 0.32, 0.5]))):
            for angle in np.arange(8) * np.pi / 8:
                same = (np.full(len(rows), value) for value in (angle, wavelength, sigma))
                bank.append(np.stack([rows, columns, *same], axis=1))
                for phase, found in ((0.0, cosines), (-np.pi / 2, sines)):
                    waves = gabors((height, width), rows, columns, angle, wavelength, sigma, phase)
                    found.append(waves[:, active].astype(np.float32))
    first, second = np.concatenate(cosines), np.concatenate(sines)
    first -= first.mean(axis=1, keepdims=True)
    second -= second.mean(axis=1, keepdims=True)
    first = _unit_length(first)
    second -= (first * second).sum(axis=1, keepdims=True) * first
    return np.concatenate(bank), first, _unit_length(second)


def _unit_length(rows: Array) -> Array:
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(np.where(lengths > 1e-3, rows / np.maximum(lengths, 1e-3), 0), dtype=np.float32)


def meter_of(active: npt.NDArray[np.bool_]) -> Meter:
    """Return the meter for these pixels; the last few are kept, since their Gabor functions take long to make."""
    return _meter(active.shape, active.tobytes())


@lru_cache(maxsize=4)
def _meter(shape: tuple[int, int], active: bytes) -> Meter:
    return Meter(np.frombuffer(active, bool).reshape(shape))
