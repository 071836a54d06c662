"""Layers as they are while a network learns: dropout and noise act, batch normalization looks at the batch."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np

from probe._checks import Array
from probe.layers import BatchNormalization, Dropout, Layer, Noise
from probe.layers.activations import Pullback

__all__ = ["Moments", "in_training", "looks_at_batches"]

Moments = dict[str, tuple[Array, Array]]
"""Means and variances that layers of batch normalization saw last, by the names of the layers."""


def looks_at_batches(layers: Iterable[Layer]) -> bool:
    """Return whether what a layer makes of an image in training depends on the others of its minibatch."""
    return any(isinstance(layer, BatchNormalization) for layer in layers)


def in_training(layer: Layer, channel_axis: int, rng: np.random.Generator, moments: Moments) -> Layer:
    """Return a layer, with its channels along an axis of one output, as it is while the network learns.

    Itself if that makes no difference.
    """
    if isinstance(layer, BatchNormalization):
        ours = {name.name: getattr(layer, name.name) for name in fields(layer)}
        return _BatchMoments(**ours, moments=moments)
    if isinstance(layer, Dropout) and layer.rate:
        return _Multiplied(layer.name, layer.rate, "Dropout", channel_axis, rng)
    if (
        isinstance(layer, Noise)
        and layer.rate
        and layer.kind not in ("ActivityRegularization", "AlphaDropout")
    ):
        return _Multiplied(layer.name, layer.rate, layer.kind, channel_axis, rng)
    return layer


@dataclass(frozen=True, slots=True, eq=False)
class _BatchMoments(BatchNormalization):
    """Batch normalization by the moments of the batch, which it leaves in `moments`."""

    is_affine = is_elementwise = False

    moments: Moments = field(default_factory=dict)

    def _normal(self, x: Array) -> tuple[Array, Array, tuple[int, ...]]:
        """Return the standardized values, what they were multiplied by, and the axes of the moments."""
        axis = self.axis % x.ndim
        others = tuple(k for k in range(x.ndim) if k != axis)
        mean, variance = x.mean(axis=others, keepdims=True), x.var(axis=others, keepdims=True)
        self.moments[self.name] = mean.reshape(-1), variance.reshape(-1)
        inverse = 1 / np.sqrt(variance + x.dtype.type(self.epsilon))
        return (x - mean) * inverse, inverse, others

    def pre_activation(self, x: Array) -> tuple[Array, Pullback]:
        """Return the normalized `x` (n_samples, ...), and its pullback."""
        normal, inverse, others = self._normal(x)
        gamma, beta = (
            None if values is None else values.reshape(inverse.shape) for values in (self.gamma, self.beta)
        )

        def pullback(dz: Array) -> Array:
            scaled = dz if gamma is None else dz * gamma
            along = (scaled * normal).mean(axis=others, keepdims=True)
            return np.asarray(inverse * (scaled - scaled.mean(axis=others, keepdims=True) - normal * along))

        z = normal if gamma is None else normal * gamma
        return z if beta is None else z + beta, pullback

    def variable_gradients(self, x: Array, dz: Array) -> dict[str, Array]:
        """Return the gradients of gamma and beta, where there are."""
        normal, _, others = self._normal(x)
        found = {"gamma": (dz * normal).sum(axis=others), "beta": dz.sum(axis=others)}
        return {name: found[name] for name in self.trainable}


@dataclass(frozen=True, slots=True, eq=False)
class _Multiplied(Layer):
    """Dropout, and the noise of layers that multiply or add, drawn anew at every call."""

    name: str
    rate: float
    kind: str
    channel_axis: int
    rng: Any

    def pre_activation(self, x: Array) -> tuple[Array, Pullback]:
        """Return `x` with noise, and its pullback."""
        if self.kind == "GaussianNoise":
            return x + self._normal(x) * x.dtype.type(self.rate), lambda dz: dz
        if self.kind == "GaussianDropout":
            factor = 1 + self._normal(x) * x.dtype.type(np.sqrt(self.rate / (1 - self.rate)))
        else:
            kept = self.rng.random(self._dropped_together(x), np.float32) >= self.rate
            factor = kept.astype(x.dtype) / x.dtype.type(max(1 - self.rate, 1e-7))
        return x * factor, lambda dz: dz * factor

    def _dropped_together(self, x: Array) -> tuple[int, ...]:
        """Return the shape of a mask for `x`: 1 along the axes whose values are dropped together."""
        if self.kind == "StochasticDepth":
            return len(x), *(1,) * (x.ndim - 1)
        if self.kind.startswith("Spatial"):
            alone = (0, 1 + self.channel_axis % (x.ndim - 1))
            return tuple(n if axis in alone else 1 for axis, n in enumerate(x.shape))
        return x.shape

    def _normal(self, x: Array) -> Array:
        drawn: Array = self.rng.standard_normal(x.shape, np.float32).astype(x.dtype)
        return drawn

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return `input_shape`."""
        return input_shape
