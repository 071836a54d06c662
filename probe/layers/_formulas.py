"""The formulas of the elementwise activations: values, slopes and second derivatives.

`value(z, out)` writes f(z) to `out`, which may be `z`. `slope(z, y, out)` and `curvature(z, y, out)` write f'(z) and
f''(z), given y = f(z). At a kink the slope is that of the side toward zero slope or the left, and the curvature 0.
Where the slope needs only y, z may have been overwritten by it, and the curvature too looks at y alone.
"""

from __future__ import annotations

import numpy as np

from probe._checks import Array

LEAKY_RELU_SLOPE = 0.2
"""Slope of `leaky_relu` below zero: that of the function of this name in Keras 3."""

_SHRINK = 0.5
"""Where `hard_shrink` and `soft_shrink` begin."""

SELU_ALPHA = 1.6732632423543772848170429916717
SELU_SCALE = 1.0507009873554804934193349852946


def zero(_z: Array, _y: Array, out: Array) -> Array:
    out.fill(0)
    return out


def output(_z: Array, y: Array, out: Array) -> Array:
    np.copyto(out, y)
    return out


def clip(z: Array, out: Array, low: float, high: float) -> Array:
    return np.clip(z, low, high, out=out)


def slope_within(_z: Array, y: Array, out: Array, low: float, high: float, slope: float = 1) -> Array:
    return np.multiply((y > low) & (y < high), y.dtype.type(slope), out=out)


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


def hard_sigmoid(z: Array, out: Array) -> Array:
    np.add(z, 3, out=out)
    np.clip(out, 0, 6, out=out)
    return np.divide(out, 6, out=out)


def hard_sigmoid_v2(z: Array, out: Array) -> Array:
    np.multiply(z, 0.2, out=out)
    out += 0.5
    return np.clip(out, 0, 1, out=out)


def hard_silu(z: Array, out: Array) -> Array:
    return np.multiply(z, hard_sigmoid(z, np.empty_like(z)), out=out)


def hard_silu_slope(z: Array, _y: Array, out: Array) -> Array:
    # z (z + 3) / 6 within (-3, 3), and z above.
    np.multiply(z, 1 / 3, out=out)
    out += 0.5
    out[z <= -3] = 0
    out[z >= 3] = 1
    return out


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


def hard_silu_curvature(z: Array, _y: Array, out: Array) -> Array:
    return np.multiply(np.abs(z) < 3, z.dtype.type(1 / 3), out=out)


def sparse_plus_curvature(_z: Array, y: Array, out: Array) -> Array:
    return np.multiply((y > 0) & (y < 1), y.dtype.type(0.5), out=out)


def sigmoid(z: Array, out: Array) -> Array:
    # exp overflows to inf below -88 in float32, and 1 / (1 + inf) is the right value, 0.
    np.negative(z, out=out)
    np.exp(out, out=out)
    out += 1
    return np.reciprocal(out, out=out)


def sigmoid_slope(_z: Array, y: Array, out: Array) -> Array:
    np.subtract(1, y, out=out)
    return np.multiply(out, y, out=out)


def tanh_slope(_z: Array, y: Array, out: Array) -> Array:
    np.multiply(y, y, out=out)
    return np.subtract(1, out, out=out)


def elu(z: Array, out: Array) -> Array:
    negative = np.expm1(np.minimum(z, 0))
    np.maximum(z, 0, out=out)
    out += negative
    return out


def elu_slope(_z: Array, y: Array, out: Array) -> Array:
    # Below zero y = exp(z) - 1, so the slope exp(z) is y + 1.
    np.minimum(y, 0, out=out)
    out += 1
    return out


def selu(z: Array, out: Array) -> Array:
    negative = np.expm1(np.minimum(z, 0))
    negative *= SELU_ALPHA
    np.maximum(z, 0, out=out)
    out += negative
    out *= SELU_SCALE
    return out


def selu_slope(_z: Array, y: Array, out: Array) -> Array:
    # Below zero y = scale * alpha * (exp(z) - 1), so the slope is y + scale * alpha.
    above = y > 0
    np.add(y, SELU_SCALE * SELU_ALPHA, out=out)
    out[above] = SELU_SCALE
    return out


def _normal_cdf(z: Array) -> Array:
    from scipy.special import ndtr

    return np.asarray(ndtr(z), dtype=z.dtype)


def gelu(z: Array, out: Array) -> Array:
    return np.multiply(z, _normal_cdf(z), out=out)


def gelu_slope(z: Array, _y: Array, out: Array) -> Array:
    density = np.exp(-0.5 * z * z) * z.dtype.type(1 / np.sqrt(2 * np.pi))
    return np.add(_normal_cdf(z), z * density, out=out)


def softplus(z: Array, out: Array) -> Array:
    return np.logaddexp(z, z.dtype.type(0), out=out)


def softplus_slope(_z: Array, y: Array, out: Array) -> Array:
    # y = log(1 + exp(z)), so the slope sigmoid(z) is 1 - exp(-y).
    np.negative(y, out=out)
    np.expm1(out, out=out)
    return np.negative(out, out=out)


def silu(z: Array, out: Array) -> Array:
    return np.multiply(z, sigmoid(z, np.empty_like(z)), out=out)


def silu_slope(z: Array, _y: Array, out: Array) -> Array:
    # s + z s (1 - s), where s is the sigmoid of z.
    with np.errstate(over="ignore"):
        share = sigmoid(z, np.empty_like(z))
    np.subtract(1, share, out=out)
    out *= z
    out += 1
    out *= share
    return out


def mish(z: Array, out: Array) -> Array:
    return np.multiply(z, np.tanh(softplus(z, np.empty_like(z))), out=out)


def mish_slope(z: Array, _y: Array, out: Array) -> Array:
    # t + z (1 - t^2) sigmoid(z), where t = tanh(softplus(z)).
    share = np.tanh(softplus(z, np.empty_like(z)))
    with np.errstate(over="ignore"):
        sigmoid(z, out)
    out *= z
    out *= 1 - share * share
    out += share
    return out


def softsign(z: Array, out: Array) -> Array:
    size = np.abs(z)
    size += 1
    return np.divide(z, size, out=out)


def softsign_slope(_z: Array, y: Array, out: Array) -> Array:
    np.abs(y, out=out)
    np.subtract(1, out, out=out)
    return np.multiply(out, out, out=out)


def log_sigmoid(z: Array, out: Array) -> Array:
    np.negative(z, out=out)
    softplus(out, out)
    return np.negative(out, out=out)


def log_sigmoid_slope(_z: Array, y: Array, out: Array) -> Array:
    # exp(y) = sigmoid(z), and the slope is 1 - sigmoid(z).
    np.expm1(y, out=out)
    return np.negative(out, out=out)


def tanh_shrink(z: Array, out: Array) -> Array:
    return np.subtract(z, np.tanh(z), out=out)


def tanh_shrink_slope(z: Array, _y: Array, out: Array) -> Array:
    np.tanh(z, out=out)
    return np.multiply(out, out, out=out)


def squareplus(z: Array, out: Array) -> Array:
    # (z + sqrt(z^2 + 4)) / 2; below zero its other form, 2 / (sqrt(z^2 + 4) - z), does not cancel.
    root = np.hypot(z, z.dtype.type(2))
    root += np.abs(z)
    root *= 0.5
    below = z < 0
    np.copyto(out, root)
    np.reciprocal(root, out=out, where=below)
    return out


def squareplus_slope(_z: Array, y: Array, out: Array) -> Array:
    # z = y - 1 / y, so the slope is y^2 / (y^2 + 1) = 1 / (1 + 1 / y^2).
    with np.errstate(divide="ignore", over="ignore"):
        np.reciprocal(y, out=out)
        np.multiply(out, out, out=out)
    out += 1
    return np.reciprocal(out, out=out)


def sigmoid_curvature(_z: Array, y: Array, out: Array) -> Array:
    np.subtract(1, y, out=out)
    out *= y
    out *= 1 - 2 * y
    return out


def tanh_curvature(_z: Array, y: Array, out: Array) -> Array:
    np.multiply(y, y, out=out)
    out -= 1
    out *= y
    out *= 2
    return out


def elu_curvature(_z: Array, y: Array, out: Array) -> Array:
    np.add(y, 1, out=out)
    out[y >= 0] = 0
    return out


def selu_curvature(_z: Array, y: Array, out: Array) -> Array:
    np.add(y, SELU_SCALE * SELU_ALPHA, out=out)
    out[y > 0] = 0
    return out


def gelu_curvature(z: Array, _y: Array, out: Array) -> Array:
    np.multiply(z, z, out=out)
    density = np.exp(-0.5 * out) * z.dtype.type(1 / np.sqrt(2 * np.pi))
    np.subtract(2, out, out=out)
    out *= density
    return out


def softplus_curvature(_z: Array, y: Array, out: Array) -> Array:
    # s (1 - s), where s = 1 - exp(-y).
    np.exp(-y, out=out)
    out *= 1 - out
    return out


def silu_curvature(z: Array, _y: Array, out: Array) -> Array:
    with np.errstate(over="ignore"):
        share = sigmoid(z, np.empty_like(z))
    np.subtract(1, 2 * share, out=out)
    out *= z
    out += 2
    out *= share * (1 - share)
    return out


def mish_curvature(z: Array, _y: Array, out: Array) -> Array:
    # 2 t' + z t'', where t = tanh(softplus(z)) and s = sigmoid(z).
    t = np.tanh(softplus(z, np.empty_like(z)))
    with np.errstate(over="ignore"):
        share = sigmoid(z, np.empty_like(z))
    first = (1 - t * t) * share
    np.subtract(1 - share, 2 * t * share, out=out)
    out *= z
    out += 2
    out *= first
    return out


def softsign_curvature(_z: Array, y: Array, out: Array) -> Array:
    np.subtract(1, np.abs(y), out=out)
    np.multiply(out * out, out, out=out)
    out *= -2 * np.sign(y)
    return out


def log_sigmoid_curvature(_z: Array, y: Array, out: Array) -> Array:
    # -s (1 - s), where s = exp(y).
    np.exp(y, out=out)
    out *= out - 1
    return out


def tanh_shrink_curvature(z: Array, _y: Array, out: Array) -> Array:
    np.tanh(z, out=out)
    out *= 2 * (1 - out * out)
    return out


def squareplus_curvature(_z: Array, y: Array, out: Array) -> Array:
    # 2 / (z^2 + 4)^(3/2), where the root of z^2 + 4 is y + 1 / y.
    with np.errstate(divide="ignore", over="ignore"):
        np.reciprocal(y, out=out)
        out += y
        np.multiply(out * out, out, out=out)
    np.reciprocal(out, out=out)
    out *= 2
    return out
