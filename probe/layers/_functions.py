"""The formulas of `FUNCTIONS`: values, slopes and second derivatives, as in `_formulas`."""

from __future__ import annotations

import numpy as np

from probe._checks import Array

_ROOT = float(np.sqrt(2 / np.pi))
_CUBE = 0.044715
"""The constants of GELU by tanh."""


def sign(z: Array, _y: Array, out: Array) -> Array:
    return np.sign(z, out=out)


def minus_one(_z: Array, _y: Array, out: Array) -> Array:
    out.fill(-1)
    return out


def two(_z: Array, _y: Array, out: Array) -> Array:
    out.fill(2)
    return out


def square_slope(z: Array, _y: Array, out: Array) -> Array:
    return np.multiply(z, 2, out=out)


def sqrt(z: Array, out: Array) -> Array:
    with np.errstate(invalid="ignore"):
        return np.sqrt(z, out=out)


def sqrt_slope(_z: Array, y: Array, out: Array) -> Array:
    with np.errstate(divide="ignore"):
        return np.divide(0.5, y, out=out)


def sqrt_curvature(_z: Array, y: Array, out: Array) -> Array:
    with np.errstate(divide="ignore"):
        return np.divide(-0.25, y * y * y, out=out)


def reciprocal(z: Array, out: Array) -> Array:
    with np.errstate(divide="ignore"):
        return np.divide(1, z, out=out)


def reciprocal_slope(_z: Array, y: Array, out: Array) -> Array:
    np.multiply(y, y, out=out)
    return np.negative(out, out=out)


def reciprocal_curvature(_z: Array, y: Array, out: Array) -> Array:
    np.multiply(y, y, out=out)
    out *= y
    out *= 2
    return out


def log(z: Array, out: Array) -> Array:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.log(z, out=out)


def log_slope(_z: Array, y: Array, out: Array) -> Array:
    # 1 / z, where z is exp(y).
    np.negative(y, out=out)
    return np.exp(out, out=out)


def log_curvature(_z: Array, y: Array, out: Array) -> Array:
    np.multiply(y, -2, out=out)
    np.exp(out, out=out)
    return np.negative(out, out=out)


def erf(z: Array, out: Array) -> Array:
    from scipy.special import erf as error_function

    return np.asarray(error_function(z, out=out))


def erf_slope(z: Array, _y: Array, out: Array) -> Array:
    np.multiply(z, z, out=out)
    np.negative(out, out=out)
    np.exp(out, out=out)
    out *= 2 / np.sqrt(np.pi)
    return out


def erf_curvature(z: Array, y: Array, out: Array) -> Array:
    erf_slope(z, y, out)
    out *= -2 * z
    return out


def _bent(z: Array) -> tuple[Array, Array]:
    """Return tanh(u) and du/dz, where u = sqrt(2 / pi) (z + 0.044715 z^3)."""
    squared = z * z
    return np.tanh(_ROOT * z * (1 + _CUBE * squared)), _ROOT * (1 + 3 * _CUBE * squared)


def gelu_tanh(z: Array, out: Array) -> Array:
    share = (1 + _bent(z)[0]) / 2
    return np.multiply(z, share, out=out)


def gelu_tanh_slope(z: Array, _y: Array, out: Array) -> Array:
    t, du = _bent(z)
    out[...] = (1 + t + z * (1 - t * t) * du) / 2
    return out


def gelu_tanh_curvature(z: Array, _y: Array, out: Array) -> Array:
    t, du = _bent(z)
    first = (1 - t * t) * du
    out[...] = first + z * ((1 - t * t) * _ROOT * 6 * _CUBE * z - 2 * t * du * first) / 2
    return out
