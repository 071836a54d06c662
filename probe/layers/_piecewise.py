"""Elementwise activations with kinks; at a kink the slope is that of the side towards zero slope or the left.

Each is a pair of functions: `value(z, out)`, where `out` may be `z`, and `slope(z, y, out)`.
"""

from __future__ import annotations

import numpy as np

from probe._checks import Array

LEAKY_RELU_SLOPE = 0.2
"""Slope of `leaky_relu` below zero: that of the function of this name in Keras 3."""

_SHRINK = 0.5
"""Where `hard_shrink` and `soft_shrink` begin."""


def relu(z: Array, out: Array) -> Array:
    return np.maximum(z, 0, out=out)


def relu_slope(_z: Array, y: Array, out: Array) -> Array:
    return np.greater(y, 0, out=out, dtype=bool, casting="unsafe")


def leaky_relu(z: Array, out: Array) -> Array:
    return np.maximum(z, z * z.dtype.type(LEAKY_RELU_SLOPE), out=out)


def leaky_relu_slope(_z: Array, y: Array, out: Array) -> Array:
    relu_slope(y, y, out)
    out *= 1 - LEAKY_RELU_SLOPE
    out += LEAKY_RELU_SLOPE
    return out


def linear(z: Array, out: Array) -> Array:
    if out is not z:
        np.copyto(out, z)
    return out


def linear_slope(_z: Array, _y: Array, out: Array) -> Array:
    out.fill(1)
    return out


def step(z: Array, out: Array) -> Array:
    return np.greater(z, 0, out=out, dtype=bool, casting="unsafe")


def step_slope(_z: Array, _y: Array, out: Array) -> Array:
    out.fill(0)
    return out


def _slope_between(low: float, high: float, y: Array, out: Array, slope: float = 1) -> Array:
    """Write `slope` where low < y < high and zero elsewhere."""
    return np.multiply((y > low) & (y < high), y.dtype.type(slope), out=out)


def relu6(z: Array, out: Array) -> Array:
    return np.clip(z, 0, 6, out=out)


def relu6_slope(_z: Array, y: Array, out: Array) -> Array:
    return _slope_between(0, 6, y, out)


def hard_sigmoid(z: Array, out: Array) -> Array:
    np.add(z, 3, out=out)
    np.clip(out, 0, 6, out=out)
    return np.divide(out, 6, out=out)


def hard_sigmoid_slope(_z: Array, y: Array, out: Array) -> Array:
    return _slope_between(0, 1, y, out, 1 / 6)


def hard_sigmoid_v2(z: Array, out: Array) -> Array:
    np.multiply(z, 0.2, out=out)
    out += 0.5
    return np.clip(out, 0, 1, out=out)


def hard_sigmoid_v2_slope(_z: Array, y: Array, out: Array) -> Array:
    return _slope_between(0, 1, y, out, 0.2)


def hard_silu(z: Array, out: Array) -> Array:
    return np.multiply(z, hard_sigmoid(z, np.empty_like(z)), out=out)


def hard_silu_slope(z: Array, _y: Array, out: Array) -> Array:
    # z (z + 3) / 6 within (-3, 3), and z above.
    np.multiply(z, 1 / 3, out=out)
    out += 0.5
    out[z <= -3] = 0
    out[z >= 3] = 1
    return out


def hard_tanh(z: Array, out: Array) -> Array:
    return np.clip(z, -1, 1, out=out)


def hard_tanh_slope(_z: Array, y: Array, out: Array) -> Array:
    return _slope_between(-1, 1, y, out)


def hard_shrink(z: Array, out: Array) -> Array:
    return np.multiply(z, np.abs(z) > _SHRINK, out=out)


def soft_shrink(z: Array, out: Array) -> Array:
    return np.subtract(z, np.clip(z, -_SHRINK, _SHRINK), out=out)


def shrink_slope(_z: Array, y: Array, out: Array) -> Array:
    return np.not_equal(y, 0, out=out, dtype=None, casting="unsafe")


def sparse_sigmoid(z: Array, out: Array) -> Array:
    np.add(z, 1, out=out)
    out *= 0.5
    return np.clip(out, 0, 1, out=out)


def sparse_sigmoid_slope(_z: Array, y: Array, out: Array) -> Array:
    return _slope_between(0, 1, y, out, 0.5)


def sparse_plus(z: Array, out: Array) -> Array:
    # The bow (z + 1)^2 / 4 between -1 and 1, and z itself above.
    bow = np.clip(z, -1, 1)
    bow += 1
    bow *= bow
    bow *= 0.25
    np.subtract(z, 1, out=out)
    np.maximum(out, 0, out=out)
    out += bow
    return out


def sparse_plus_slope(_z: Array, y: Array, out: Array) -> Array:
    # In the bow y = slope^2.
    np.clip(y, 0, 1, out=out)
    return np.sqrt(out, out=out)


# Second derivatives, `curvature(z, y, out)`: zero but for two, and at kinks, where there is none.


def no_curvature(_z: Array, _y: Array, out: Array) -> Array:
    out.fill(0)
    return out


def hard_silu_curvature(z: Array, _y: Array, out: Array) -> Array:
    return np.multiply(np.abs(z) < 3, z.dtype.type(1 / 3), out=out)


def sparse_plus_curvature(_z: Array, y: Array, out: Array) -> Array:
    return np.multiply((y > 0) & (y < 1), y.dtype.type(0.5), out=out)
