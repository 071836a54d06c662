"""Networks of any layers as they are before training."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np

from probe._checks import Array, check_rng, frozen_copy
from probe._signatures import checked
from probe.layers import Layer
from probe.network import Network

__all__ = ["reinitialized"]


@checked
def reinitialized(network: Network, *, rng: np.random.Generator) -> Network:
    """Return `network` with weights as before training: what the same graph computes when it learned nothing.

    Kernels are drawn as Keras draws them by default (uniform within sqrt(6 / (fan_in + fan_out))), or from
    N(0, 2 / fan_in) where a rectifier follows; biases are zero, normalizations learn nothing. What is a setting of
    the data and not learned (rescaling, `Normalization`) stays.

    Parameters
    ----------
    network : Network
        Of any layers; one that is called twice keeps one set of weights.
    rng : numpy.random.Generator
        Draws the kernels.

    References
    ----------
    .. [1] X. Glorot, Y. Bengio, "Understanding the difficulty of training deep feedforward neural
       networks", AISTATS 2010.
    .. [2] K. He et al., "Delving Deep into Rectifiers", ICCV 2015.

    Examples
    --------
    >>> from probe.layers import Dense
    >>> kernel = np.eye(3, dtype=np.float32)
    >>> network = Network((Dense("output", kernel, kernel[0]),), input_shape=(3,))
    >>> fresh = reinitialized(network, rng=np.random.default_rng(0)).layers[0]
    >>> fresh.bias, bool(np.abs(fresh.kernel).max() <= 1)
    (array([0., 0., 0.], dtype=float32), True)
    """
    check_rng(rng)
    drawn: dict[int, Array] = {}
    layers = []
    for layer in network.layers:
        fresh: dict[str, Any] = {}
        for name, values in layer.variables.items():
            initial = drawn.get(id(values))
            if initial is None:
                initial = drawn[id(values)] = frozen_copy(_unlearned(layer, name, values, rng))
            fresh[name] = initial
        fields = {name: values for name, values in fresh.items() if getattr(layer, name, None) is not None}
        layers.append(replace(layer, **fields) if fields else layer)  # type: ignore[type-var]
    return replace(network, layers=tuple(layers))


def _unlearned(layer: Layer, name: str, values: Array, rng: np.random.Generator) -> Array:
    """Return what a layer's variable is before training; itself where it is not learned."""
    if name in layer.initial_values:
        return np.full_like(values, layer.initial_values[name])
    if name not in layer.kernel_axes:
        return values
    fan_in, fan_out = layer.fans(name)
    if layer.activation.initialization == "he":
        return rng.normal(0, math.sqrt(2 / fan_in), values.shape).astype(values.dtype)
    limit = math.sqrt(6 / (fan_in + fan_out))
    return rng.uniform(-limit, limit, values.shape).astype(values.dtype)
