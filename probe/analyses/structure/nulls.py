"""The statistics of weight images: where a layer's images are, what they are held against, and the tests."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from probe._checks import Array, InputError, chunks
from probe.analyses.structure.results import STATISTICS, StructureNull
from probe.controls import reinitialized
from probe.layers import Conv2D, Dense
from probe.network import Network
from probe.population import Population
from probe.stats import gini

__all__ = ["Meter", "View", "against", "combinations", "gabors", "learned_shares", "mixed", "planted_units"]

_FINEST = 1.5, 3.5
"""Least deviation and wavelength of a Gabor function in pixels: finer ones fit single outliers, not edges."""

_MORE = np.array([1, -1, -1, 1, 1])
"""Sign of each statistic in the direction of more structure."""

_SPATIAL = slice(0, 4)
"""Statistics of the combined test. Sparsity depends on the family that weights are drawn from, and not on places."""

_SPAN_IMAGES = 10_000
"""Training images that random combinations are made of, at most."""

_FEWEST_STILL = 20
"""Pixels that never vary from which the size of a unit's start is taken."""


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
    """Measures weight images on the active pixels."""

    def __init__(self, active: npt.NDArray[np.bool_]) -> None:
        self.active = active
        self.shape = active.shape
        self._down = active[1:] & active[:-1]
        self._right = active[:, 1:] & active[:, :-1]
        self._rings = _rings(active.shape)
        self._cosines, self._sines = _bank(active)

    def __call__(self, images: Array) -> Array:
        """Return the statistics (n, 5) of images (n, height, width[, channels]); channels count together."""
        planes = images[..., None] if images.ndim == 3 else images
        planes = planes.astype(np.float32)
        found = np.full((len(planes), len(STATISTICS)), np.nan)
        for rows in chunks(len(planes), 1000):
            found[rows] = self._part(planes[rows])
        return found

    def _part(self, planes: Array) -> Array:
        mean = planes[:, self.active].mean(axis=1)[:, None, None]
        centered = np.where(self.active[None, :, :, None], planes - mean, 0)
        variance = np.square(centered).sum(axis=(1, 2, 3), dtype=np.float64)
        known = variance > 1e-12 * np.maximum(1e-30, np.square(planes).sum(axis=(1, 2, 3), dtype=np.float64))
        variance = np.where(known, variance, np.nan)
        n_values = self.active.sum() * planes.shape[3]
        n_pairs = (self._down.sum() + self._right.sum()) * planes.shape[3]
        above, below = centered[:, 1:][:, self._down], centered[:, :-1][:, self._down]
        right, left = centered[:, :, 1:][:, self._right], centered[:, :, :-1][:, self._right]
        products = (above * below).sum(axis=(1, 2)) + (right * left).sum(axis=(1, 2))
        steps = np.abs(above - below).sum(axis=(1, 2)) + np.abs(right - left).sum(axis=(1, 2))
        inside = planes[:, self.active]
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


def _bank(active: npt.NDArray[np.bool_]) -> tuple[Array, Array]:
    """Return pairs of orthonormal Gabor functions of zero mean on the active pixels, (n_pairs, n_active) each."""
    height, width = active.shape
    size = min(height, width)
    step = max(1, size // 9)
    rows, columns = (
        places.ravel() for places in np.mgrid[step // 2 : height : step, step // 2 : width : step]
    )
    cosines, sines = list[Array](), list[Array]()
    for sigma in np.unique(np.maximum(_FINEST[0], size * np.array([0.055, 0.09, 0.14]))):
        for wavelength in np.unique(np.maximum(_FINEST[1], size * np.array([0.14, 0.21, 0.32, 0.5]))):
            for angle in np.arange(8) * np.pi / 8:
                for phase, found in ((0.0, cosines), (-np.pi / 2, sines)):
                    waves = gabors((height, width), rows, columns, angle, wavelength, sigma, phase)
                    found.append(waves[:, active].astype(np.float32))
    first, second = np.concatenate(cosines), np.concatenate(sines)
    first -= first.mean(axis=1, keepdims=True)
    second -= second.mean(axis=1, keepdims=True)
    first = _unit_length(first)
    second -= (first * second).sum(axis=1, keepdims=True) * first
    return first, _unit_length(second)


def _unit_length(rows: Array) -> Array:
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(np.where(lengths > 1e-3, rows / np.maximum(lengths, 1e-3), 0), dtype=np.float32)


@dataclass(frozen=True, slots=True)
class View:
    """Where a layer's weight images are, in this network and in others of its shape."""

    name: str
    kind: str
    n_below: int
    window: tuple[int, ...] = ()

    @classmethod
    def of(cls, network: Network, layer: str) -> View:
        """Return where the weight images of `layer` are, or raise if it has none."""
        weighted = [each for each in network.layers if isinstance(each, (Dense, Conv2D))]
        if not weighted:
            raise InputError("the network must have a dense layer or a convolution, but has none")
        name = weighted[0].name if layer == "first" else layer
        target = network.layer(name)
        if not isinstance(target, (Dense, Conv2D)):
            raise InputError(
                f"layer must be dense or a convolution, got '{name}'; pass one of "
                f"{', '.join(each.name for each in weighted)}"
            )
        before = [each for each in network.truncate(name).layers if each.variables and each.name != name]
        learned = [each for each in before if each.has_kernels]
        if isinstance(target, Conv2D):
            if learned:
                raise InputError(f"layer must be a first convolution to have kernels on pixels, got '{name}'")
            return cls(name, "kernels", 0, target.kernel.shape[:2])
        if any(not isinstance(each, Dense) for each in learned) or not network.truncate(name).is_chain:
            raise InputError(
                f"layer must be dense with only dense layers below it to have weight images, got '{name}'"
            )
        if len(network.input_shape) not in (2, 3):
            raise InputError(f"the network must take images, but its inputs have shape {network.input_shape}")
        return cls(name, "expanded" if learned else "weights", len(learned))

    def images(self, network: Network) -> Array:
        """Return the weight images (n_units, height, width[, channels]) of this layer in `network`."""
        if self.kind == "kernels":
            kernel = network.layer(self.name).variables["kernel"]
            planes = np.moveaxis(kernel, 3, 0).astype(np.float32)
            return planes[..., 0] if planes.shape[-1] == 1 else planes
        part = network.truncate(self.name)
        linear = replace(part, layers=tuple(each.with_activation("linear") for each in part.layers))
        _, pullback = linear.logits_vjp(
            np.zeros((network.n_units(self.name), *network.input_shape), network.dtype)
        )
        found: Array = pullback(np.eye(network.n_units(self.name), dtype=network.dtype)).astype(np.float32)
        return found

    def of_population(self, population: Population) -> Array:
        """Return the images of all networks' layer at this place: (n_networks * n_units, height, width[, channels])."""
        product = population.weights[0]
        for weights in population.weights[1 : self.n_below + 1]:
            product = weights @ product
        return product.reshape(-1, *population.input_shape).astype(np.float32)

    def parts(self, trained: Population, untrained: Population) -> tuple[Array, Array]:
        """Return what of the images of trained networks comes from their start, and what from training: they add up.

        Training moves the first layer's weights along sums of training images. Images of deeper layers are those of the
        first, mixed by the trained layers above: sums of starts, and sums of training images.
        """
        first = untrained.weights[0]
        start, learned = (
            self.of_population(replace(trained, weights=(weights, *trained.weights[1:])))
            for weights in (first, trained.weights[0] - first)
        )
        return start, learned

    def untrained(self, network: Network, n_images: int, rng: np.random.Generator) -> Array:
        """Return weight images of this layer in networks before training."""
        found, n_found = list[Array](), 0
        part = network.truncate(self.name)
        while n_found < n_images:
            found.append(self.images(reinitialized(part, rng=rng)))
            n_found += len(found[-1])
        return np.concatenate(found)[:n_images]

    def seen(self, images: Array, rng: np.random.Generator) -> Array:
        """Return training images as the layer sees them: whole, or of a convolution a window of each at random."""
        chosen = images[rng.choice(len(images), min(len(images), _SPAN_IMAGES), replace=False)]
        return self._windows(chosen, rng) if self.kind == "kernels" else chosen

    def _windows(self, images: Array, rng: np.random.Generator) -> Array:
        shape = self.window
        rows = rng.integers(0, images.shape[1] - shape[0] + 1, len(images))
        columns = rng.integers(0, images.shape[2] - shape[1] + 1, len(images))
        windows = np.lib.stride_tricks.sliding_window_view(images, shape[:2], axis=(1, 2))
        found: Array = windows[np.arange(len(images)), rows, columns]
        return np.moveaxis(found, 1, -1) if found.ndim == 4 else found


def learned_shares(view: View, images: Array, start: Array, active: npt.NDArray[np.bool_]) -> Array:
    """Return which share of the mean square of each unit's weights on active pixels was learned, in [0, 1].

    The rest is what the weights started with. Its size is seen at pixels that never vary: there gradient descent
    changes all weights of a unit alike, or, where the value is zero, not at all. Where there are too few of them it is
    that of `start`, networks before training.
    """
    still = images[:, ~active].reshape(len(images), -1)
    if still.shape[1] >= _FEWEST_STILL:
        level = still.var(axis=1, dtype=np.float64)
        # Weights of one layer started alike; expanded ones are scaled by the layers above, each in its own way.
        level = level if view.kind == "expanded" else np.full(len(images), level.mean())
    else:
        level = np.full(len(images), _mean_square(start, active).mean())
    size = _mean_square(images, active)
    return np.asarray(1 - np.minimum(1, level / np.where(size > 0, size, 1)))


def combinations(train: Array, n: int, rng: np.random.Generator) -> dict[str, Array]:
    """Return random sums of training images (n_images, ...), and Gaussian images of their covariance: `n` of each."""
    flat = train.reshape(len(train), -1).astype(np.float32)
    weights = rng.standard_normal((n, len(flat)), dtype=np.float32)
    sums = weights @ flat
    # The same draws serve both: of images less their mean, random sums are Gaussian with the images' covariance.
    centered = sums - weights.sum(axis=1, keepdims=True) * flat.mean(axis=0)
    shape = n, *train.shape[1:]
    return {"data-span": sums.reshape(shape), "gaussian": centered.reshape(shape)}


def mixed(start: Array, learned: Array, shares: Array, active: npt.NDArray[np.bool_]) -> Array:
    """Return sums of starts and of what was learned, `shares` of their mean square on active pixels being learned."""
    found: Array = _scaled(start, np.sqrt(1 - shares), active)
    found += _scaled(learned.reshape(start.shape), np.sqrt(shares), active)
    return found


def _scaled(images: Array, size: Array, active: npt.NDArray[np.bool_]) -> Array:
    """Return images with root mean squares of `size` on active pixels; zero ones as they are."""
    root = np.sqrt(_mean_square(images, active))
    factor = (size / np.where(root > 0, root, 1)).astype(np.float32)
    return np.asarray(images * factor.reshape(-1, *[1] * (images.ndim - 1)))


def _mean_square(images: Array, active: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    inside = images[:, active].reshape(len(images), -1)
    return np.asarray(np.square(inside).mean(axis=1, dtype=np.float64))


def planted_units(
    active: npt.NDArray[np.bool_], shape: tuple[int, ...], n: int, rng: np.random.Generator
) -> Array:
    """Return Gabor functions at random, a fifth of their variance replaced by white noise."""
    height, width = shape[:2]
    size = min(height, width)
    rows, columns = np.nonzero(active)
    chosen = rng.integers(0, len(rows), n)
    found = gabors(
        (height, width),
        rows[chosen],
        columns[chosen],
        rng.uniform(0, np.pi, n),
        np.maximum(_FINEST[1], size * rng.uniform(0.15, 0.45, n)),
        np.maximum(_FINEST[0], size * rng.uniform(0.06, 0.14, n)),
        rng.uniform(0, 2 * np.pi, n),
    )
    found /= np.sqrt(np.square(found[:, active]).mean(axis=1))[:, None, None]
    noise = rng.standard_normal(found.shape)
    mixed = (np.sqrt(0.8) * found + np.sqrt(0.2) * noise).astype(np.float32)
    return mixed if len(shape) == 2 else np.repeat(mixed[..., None], shape[2], axis=-1)


def against(name: str, null: Array, values: Array, planted: Array, alpha: float) -> StructureNull:
    """Return the tests of units with statistics `values` (n_units, 5) against draws (n_null, 5) of a null.

    `planted` are the statistics of planted units, from which the power comes.
    """
    from scipy.stats import false_discovery_control

    null = null[np.isfinite(null).all(axis=1)]
    each, combined = _p_values(values, null)
    each_control, combined_control = _p_values(planted, null)
    gabor = STATISTICS.index("gabor")
    return StructureNull(
        name=name,
        values=null,
        p_values=combined,
        each_p_values=each,
        q_values=false_discovery_control(combined),
        power=float((combined_control <= alpha).mean()),
        edge_power=float((each_control[:, gabor] <= alpha).mean()),
    )


def _p_values(values: Array, null: Array) -> tuple[Array, Array]:
    """Return the one-sided p-values (n, 5) of `values` among `null`, and those of the combined test (n,)."""
    from scipy.stats import rankdata

    n_null = len(null)
    each, combined = np.ones(values.shape), np.ones(len(values))
    oriented = null * _MORE
    # Of the draws themselves: how many draws, itself included, have at least as much.
    ranks = rankdata(-oriented, method="max", axis=0)
    for k, unit in enumerate(values * _MORE):
        if not np.isfinite(unit).all():
            continue
        at_least = unit >= oriented
        own = 1 + (oriented >= unit).sum(axis=0)
        each[k] = own / (n_null + 1)
        pooled = (ranks + at_least)[:, _SPATIAL].min(axis=1)
        combined[k] = (1 + (pooled <= own[_SPATIAL].min()).sum()) / (n_null + 1)
    return each, combined
