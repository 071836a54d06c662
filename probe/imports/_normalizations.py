"""Normalizations, products with weights, and what does nothing at prediction."""

from __future__ import annotations

import numpy as np

from probe._checks import Array
from probe.imports._assembly import Place, Value
from probe.layers import (
    BatchNormalization,
    Dense,
    Dropout,
    GroupNormalization,
    LayerNormalization,
    LocalResponseNormalization,
    PReLU,
)

__all__ = ["NormalizationOperations"]


class NormalizationOperations(Place):
    """Normalizations of values whose channels are the first axis, and layers with weights of any shape."""

    __slots__ = ()

    def linear(self, x: Value, weight: Array, bias: Array | None = None) -> Value:
        """Return x @ weight.T + bias over the last axis; `weight` is (n_out, n_in)."""
        return self.dense(x, self.building.array(weight, "transposed", np.transpose), bias)

    def dense(self, x: Value, kernel: Array, bias: Array | None = None) -> Value:
        """Return x @ kernel + bias over the last axis; `kernel` is (n_in, n_out)."""
        array = self.building.array
        if kernel.ndim != 2 or not x.shape or x.shape[-1] != kernel.shape[0]:
            self.refuse(
                f"multiplies values of shape {x.shape} with weights of shape {kernel.shape}",
                "the shapes of the inputs are not those that it was made for",
            )
        return self.add(Dense(self.free(), array(kernel), None if bias is None else array(bias)), x)

    def batch_norm(
        self,
        x: Value,
        gamma: Array | None,
        beta: Array | None,
        mean: Array | None,
        variance: Array | None,
        epsilon: float = 1e-5,
    ) -> Value:
        """Return each channel normalized by what was measured in training."""
        if mean is None or variance is None:
            self.refuse(
                "normalizes each batch by itself",
                "call module.eval() before the export, and use track_running_stats=True",
            )
        self.axis(1, x.shape)
        array = self.building.array
        scale, shift = self._learned(gamma), self._learned(beta)
        layer = BatchNormalization(
            self.free(), scale, shift, array(mean), array(variance), axis=1, epsilon=epsilon
        )
        return self.add(layer, x)

    def _learned(self, values: Array | None) -> Array | None:
        return None if values is None else self.building.array(values)

    def layer_norm(
        self, x: Value, gamma: Array | None, beta: Array | None, n_axes: int = 1, epsilon: float = 1e-5
    ) -> Value:
        """Return each sample normalized over its last `n_axes` axes."""
        axes = tuple(range(-n_axes, 0))
        scale, shift = self._learned(gamma), self._learned(beta)
        return self.add(LayerNormalization(self.free(), scale, shift, axis=axes, epsilon=epsilon), x)

    def group_norm(
        self, x: Value, groups: int, gamma: Array | None, beta: Array | None, epsilon: float = 1e-5
    ) -> Value:
        """Return each group of channels of each sample normalized."""
        scale, shift = self._learned(gamma), self._learned(beta)
        layer = GroupNormalization(self.free(), scale, shift, groups=groups, axis=1, epsilon=epsilon)
        return self.add(layer, x)

    def instance_norm(
        self, x: Value, gamma: Array | None, beta: Array | None, epsilon: float = 1e-5
    ) -> Value:
        """Return each channel of each sample normalized."""
        return self.group_norm(x, x.shape[0], gamma, beta, epsilon)

    def local_response_norm(self, x: Value, size: int, alpha: float, beta: float, k: float) -> Value:
        """Return each value divided by (k + alpha / size * the sum of squares of `size` channels) ** beta."""
        self.images(x)
        layer = LocalResponseNormalization(
            self.free(), size, alpha=alpha, beta=beta, k=k, data_format="channels_first"
        )
        return self.add(layer, x)

    def prelu(self, x: Value, slopes: Array) -> Value:
        """Return rectified values; `slopes` has one number, or one for each channel."""
        shape = (slopes.size, *(1 for _ in x.shape[1:]))
        alpha = self.building.array(slopes, shape, lambda values: np.reshape(values, shape))
        shared = tuple(axis for axis, size in enumerate(shape, start=1) if size == 1)
        return self.add(PReLU(self.free(), alpha, shared), x)

    def dropout(self, x: Value, rate: float) -> Value:
        """Return the values as they are, by a layer that says what training did."""
        return self.add(Dropout(self.free(), rate), x)
