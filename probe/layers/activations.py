"""Activation functions: a value, a slope, and so the way forward and the way back.

Elementwise activations know `value(z, out)` and `slope(z, y, out)`, so that a population of networks
can run them in place in its buffers, and a network can run them on fresh arrays: one formula for both.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from probe._checks import Array, check_choice

__all__ = [
    "ACTIVATIONS",
    "LEAKY_RELU_SLOPE",
    "Activation",
    "Elementwise",
    "Pullback",
    "Softmax",
    "activation_named",
    "softmax",
]

Pullback = Callable[[Any], Any]
"""Maps dC/dy to dC/dx: arrays of the shapes of y and of x."""

LEAKY_RELU_SLOPE = 0.2
"""Slope of `leaky_relu` below zero: that of the function of this name in Keras 3."""


class Activation(Protocol):
    """What a layer applies to its pre-activations."""

    @property
    def name(self) -> str:
        """The name it has in files and on the command line."""
        ...

    def forward(self, z: Array) -> tuple[Array, Pullback]:
        """Return the activation of `z` (n_samples, ...) and the map from dC/dy to dC/dz."""
        ...


@dataclass(frozen=True, slots=True)
class Elementwise:
    """An activation that treats every number alone.

    Attributes
    ----------
    name : str
        The name it has in files and on the command line.
    value : callable
        `value(z, out)` writes f(z) to `out` (which may be `z` itself) and returns it.
    slope : callable
        `slope(z, y, out)` writes f'(z) to `out`, given y = f(z), and returns it.
    slope_from_output : bool
        Whether `slope` looks at y only, so that `value` may overwrite z.
    """

    name: str
    value: Callable[[Array, Array], Array]
    slope: Callable[[Array, Array, Array], Array]
    slope_from_output: bool = True

    def forward(self, z: Array) -> tuple[Array, Pullback]:
        """Return f(z), of the shape of `z`, and the map from dC/dy to dC/dz."""
        # Large |z| overflows in exp on the way to the right limit.
        with np.errstate(over="ignore"):
            y = self.value(z, np.empty_like(z))
        return y, lambda dy: dy * self.slope(z, y, np.empty_like(z))


@dataclass(frozen=True, slots=True)
class Softmax:
    """Softmax over one axis: positive outputs that sum to one."""

    axis: int = -1
    name: str = "softmax"

    def forward(self, z: Array) -> tuple[Array, Pullback]:
        """Return softmax(z), of the shape of `z`, and the map from dC/dy to dC/dz."""
        y = softmax(z, self.axis, np.empty_like(z))
        return y, lambda dy: y * (dy - (dy * y).sum(axis=self.axis, keepdims=True))


def softmax(z: Array, axis: int, out: Array) -> Array:
    """Write exp(z) / sum(exp(z)) over `axis` to `out` (which may be `z`) and return it.

    Examples
    --------
    >>> z = np.array([[0.0, np.log(3.0)]])
    >>> softmax(z, -1, np.empty_like(z))
    array([[0.25, 0.75]])
    """
    np.subtract(z, z.max(axis=axis, keepdims=True), out=out)
    np.exp(out, out=out)
    out /= out.sum(axis=axis, keepdims=True)
    return out


def _sigmoid(z: Array, out: Array) -> Array:
    # exp overflows to inf below -88 in float32, and 1 / (1 + inf) is the right value, 0.
    np.negative(z, out=out)
    np.exp(out, out=out)
    out += 1
    return np.reciprocal(out, out=out)


def _sigmoid_slope(_z: Array, y: Array, out: Array) -> Array:
    np.subtract(1, y, out=out)
    return np.multiply(out, y, out=out)


def _tanh_slope(_z: Array, y: Array, out: Array) -> Array:
    np.multiply(y, y, out=out)
    return np.subtract(1, out, out=out)


def _relu(z: Array, out: Array) -> Array:
    return np.maximum(z, 0, out=out)


def _relu_slope(_z: Array, y: Array, out: Array) -> Array:
    return np.greater(y, 0, out=out, dtype=bool, casting="unsafe")


def _leaky_relu(z: Array, out: Array) -> Array:
    return np.maximum(z, z * z.dtype.type(LEAKY_RELU_SLOPE), out=out)


def _leaky_relu_slope(_z: Array, y: Array, out: Array) -> Array:
    _relu_slope(y, y, out)
    out *= 1 - LEAKY_RELU_SLOPE
    out += LEAKY_RELU_SLOPE
    return out


def _elu(z: Array, out: Array) -> Array:
    negative = np.expm1(np.minimum(z, 0))
    np.maximum(z, 0, out=out)
    out += negative
    return out


def _elu_slope(_z: Array, y: Array, out: Array) -> Array:
    # Below zero y = exp(z) - 1, so the slope exp(z) is y + 1.
    np.minimum(y, 0, out=out)
    out += 1
    return out


def _normal_cdf(z: Array) -> Array:
    from scipy.special import ndtr

    return np.asarray(ndtr(z), dtype=z.dtype)


def _gelu(z: Array, out: Array) -> Array:
    return np.multiply(z, _normal_cdf(z), out=out)


def _gelu_slope(z: Array, _y: Array, out: Array) -> Array:
    density = np.exp(-0.5 * z * z) * z.dtype.type(1 / np.sqrt(2 * np.pi))
    return np.add(_normal_cdf(z), z * density, out=out)


def _softplus(z: Array, out: Array) -> Array:
    return np.logaddexp(z, z.dtype.type(0), out=out)


def _softplus_slope(_z: Array, y: Array, out: Array) -> Array:
    # y = log(1 + exp(z)), so the slope sigmoid(z) is 1 - exp(-y).
    np.negative(y, out=out)
    np.expm1(out, out=out)
    return np.negative(out, out=out)


def _linear(z: Array, out: Array) -> Array:
    if out is not z:
        np.copyto(out, z)
    return out


def _linear_slope(_z: Array, _y: Array, out: Array) -> Array:
    out.fill(1)
    return out


def _step(z: Array, out: Array) -> Array:
    return np.greater(z, 0, out=out, dtype=bool, casting="unsafe")


def _step_slope(_z: Array, _y: Array, out: Array) -> Array:
    out.fill(0)
    return out


ACTIVATIONS: dict[str, Elementwise] = {
    activation.name: activation
    for activation in (
        Elementwise("sigmoid", _sigmoid, _sigmoid_slope),
        Elementwise("tanh", lambda z, out: np.tanh(z, out=out), _tanh_slope),
        Elementwise("relu", _relu, _relu_slope),
        Elementwise("leaky_relu", _leaky_relu, _leaky_relu_slope),
        Elementwise("elu", _elu, _elu_slope),
        Elementwise("gelu", _gelu, _gelu_slope, slope_from_output=False),
        Elementwise("softplus", _softplus, _softplus_slope),
        Elementwise("linear", _linear, _linear_slope),
        Elementwise("step", _step, _step_slope),
    )
}
"""The elementwise activations by name.

`step` is 1 above zero and 0 elsewhere; its slope is zero everywhere, so gradient descent cannot move a
network that uses it. `gelu` is the exact form z * Phi(z), `elu` has alpha = 1.

References
----------
.. [1] D. Hendrycks, K. Gimpel, "Gaussian Error Linear Units", 2016 (gelu).
.. [2] D.-A. Clevert, T. Unterthiner, S. Hochreiter, "Fast and Accurate Deep Network Learning by
   Exponential Linear Units", ICLR 2016 (elu).
"""


def activation_named(name: str) -> Activation:
    """Return the activation called `name`: one of `ACTIVATIONS`, or softmax over the last axis.

    Raises
    ------
    InputError
        If there is none of this name.
    """
    check_choice("activation", name, [*ACTIVATIONS, "softmax"])
    return Softmax() if name == "softmax" else ACTIVATIONS[name]
