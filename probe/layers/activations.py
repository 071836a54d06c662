"""Activation functions: a value, a slope, and so the way forward and the way back.

Elementwise activations know `value(z, out)` and `slope(z, y, out)`, so that a population of networks
can run them in place in its buffers, and a network can run them on fresh arrays: one formula for both.
Those that look at a whole axis are classes of their own, as are those with settings in `rectifiers`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from probe._checks import Array, InputError, brief, check_choice, check_integer
from probe._signatures import checked
from probe.layers import _piecewise, _smooth
from probe.layers._activation import Activation, Line, Pullback
from probe.layers._piecewise import LEAKY_RELU_SLOPE

__all__ = [
    "ACTIVATIONS",
    "LEAKY_RELU_SLOPE",
    "Elementwise",
    "LogSoftmax",
    "Softmax",
    "activation_from",
    "activation_named",
    "softmax",
]


@checked
@dataclass(frozen=True, slots=True)
class Elementwise(Activation):
    """An activation that treats every number alone.

    Parameters
    ----------
    name : str
        The name it has in files and on the command line.
    value : callable
        `value(z, out)` writes f(z) to `out` (which may be `z` itself) and returns it.
    slope : callable
        `slope(z, y, out)` writes f'(z) to `out`, given y = f(z), and returns it.
    curvature : callable
        `curvature(z, y, out)` writes f''(z) to `out`, given y = f(z), and returns it; zero at kinks.
    slope_from_output : bool
        Whether `slope` and `curvature` look at y only, so that `value` may overwrite z.
    turning_point, odd_about, asymptotes, initialization
        As in `Activation`.
    """

    name: str
    value: Callable[[Array, Array], Array]
    slope: Callable[[Array, Array, Array], Array]
    curvature: Callable[[Array, Array, Array], Array]
    slope_from_output: bool = True
    turning_point: float | None = -math.inf
    odd_about: float | None = None
    asymptotes: tuple[Line, Line] | None = None
    initialization: Literal["glorot", "he"] = "glorot"

    def forward(self, z: Array) -> tuple[Array, Pullback]:
        """Return f(z), of the shape of `z`, and the map from dC/dy to dC/dz."""
        # Large |z| overflows in exp on the way to the right limit.
        with np.errstate(over="ignore"):
            y = self.value(z, np.empty_like(z))
        return y, lambda dy: dy * self.slope(z, y, np.empty_like(z))


_ZERO, _ONE, _MINUS_ONE, _SAME = (0.0, 0.0), (0.0, 1.0), (0.0, -1.0), (1.0, 0.0)
"""Asymptotes: slope and constant."""

ACTIVATIONS: dict[str, Elementwise] = {
    activation.name: activation
    for activation in (
        Elementwise(
            "sigmoid",
            _smooth.sigmoid,
            _smooth.sigmoid_slope,
            _smooth.sigmoid_curvature,
            odd_about=0.5,
            asymptotes=(_ZERO, _ONE),
        ),
        Elementwise(
            "tanh",
            _smooth.tanh,
            _smooth.tanh_slope,
            _smooth.tanh_curvature,
            odd_about=0.0,
            asymptotes=(_MINUS_ONE, _ONE),
        ),
        Elementwise(
            "relu",
            _piecewise.relu,
            _piecewise.relu_slope,
            _piecewise.no_curvature,
            initialization="he",
            asymptotes=(_ZERO, _SAME),
        ),
        Elementwise(
            "leaky_relu",
            _piecewise.leaky_relu,
            _piecewise.leaky_relu_slope,
            _piecewise.no_curvature,
            initialization="he",
            asymptotes=((LEAKY_RELU_SLOPE, 0.0), _SAME),
        ),
        Elementwise(
            "elu",
            _smooth.elu,
            _smooth.elu_slope,
            _smooth.elu_curvature,
            initialization="he",
            asymptotes=(_MINUS_ONE, _SAME),
        ),
        Elementwise(
            "gelu",
            _smooth.gelu,
            _smooth.gelu_slope,
            _smooth.gelu_curvature,
            slope_from_output=False,
            turning_point=-0.7517915246935645,
            initialization="he",
            asymptotes=(_ZERO, _SAME),
        ),
        Elementwise(
            "softplus",
            _smooth.softplus,
            _smooth.softplus_slope,
            _smooth.softplus_curvature,
            initialization="he",
            asymptotes=(_ZERO, _SAME),
        ),
        Elementwise(
            "linear",
            _piecewise.linear,
            _piecewise.linear_slope,
            _piecewise.no_curvature,
            odd_about=0.0,
            asymptotes=(_SAME, _SAME),
        ),
        Elementwise(
            "step", _piecewise.step, _piecewise.step_slope, _piecewise.no_curvature, asymptotes=(_ZERO, _ONE)
        ),
        Elementwise(
            "relu6",
            _piecewise.relu6,
            _piecewise.relu6_slope,
            _piecewise.no_curvature,
            asymptotes=(_ZERO, (0.0, 6.0)),
        ),
        Elementwise(
            "selu",
            _smooth.selu,
            _smooth.selu_slope,
            _smooth.selu_curvature,
            asymptotes=((0.0, -_smooth.SELU_SCALE * _smooth.SELU_ALPHA), (_smooth.SELU_SCALE, 0.0)),
        ),
        Elementwise(
            "celu", _smooth.elu, _smooth.elu_slope, _smooth.elu_curvature, asymptotes=(_MINUS_ONE, _SAME)
        ),
        Elementwise(
            "silu",
            _smooth.silu,
            _smooth.silu_slope,
            _smooth.silu_curvature,
            slope_from_output=False,
            turning_point=-1.2784645427610738,
            asymptotes=(_ZERO, _SAME),
        ),
        Elementwise(
            "mish",
            _smooth.mish,
            _smooth.mish_slope,
            _smooth.mish_curvature,
            slope_from_output=False,
            turning_point=-1.192431214515419,
            asymptotes=(_ZERO, _SAME),
        ),
        Elementwise(
            "softsign",
            _smooth.softsign,
            _smooth.softsign_slope,
            _smooth.softsign_curvature,
            odd_about=0.0,
            asymptotes=(_MINUS_ONE, _ONE),
        ),
        Elementwise(
            "squareplus",
            _smooth.squareplus,
            _smooth.squareplus_slope,
            _smooth.squareplus_curvature,
            asymptotes=(_ZERO, _SAME),
        ),
        Elementwise(
            "exponential", _smooth.exponential, _smooth.exponential_slope, _smooth.exponential_curvature
        ),
        Elementwise(
            "log_sigmoid",
            _smooth.log_sigmoid,
            _smooth.log_sigmoid_slope,
            _smooth.log_sigmoid_curvature,
            asymptotes=(_SAME, _ZERO),
        ),
        Elementwise(
            "hard_sigmoid",
            _piecewise.hard_sigmoid,
            _piecewise.hard_sigmoid_slope,
            _piecewise.no_curvature,
            odd_about=0.5,
            asymptotes=(_ZERO, _ONE),
        ),
        Elementwise(
            "hard_sigmoid_v2",
            _piecewise.hard_sigmoid_v2,
            _piecewise.hard_sigmoid_v2_slope,
            _piecewise.no_curvature,
            odd_about=0.5,
            asymptotes=(_ZERO, _ONE),
        ),
        Elementwise(
            "hard_silu",
            _piecewise.hard_silu,
            _piecewise.hard_silu_slope,
            _piecewise.hard_silu_curvature,
            slope_from_output=False,
            turning_point=-1.5,
            asymptotes=(_ZERO, _SAME),
        ),
        Elementwise(
            "hard_tanh",
            _piecewise.hard_tanh,
            _piecewise.hard_tanh_slope,
            _piecewise.no_curvature,
            odd_about=0.0,
            asymptotes=(_MINUS_ONE, _ONE),
        ),
        Elementwise(
            "tanh_shrink",
            _smooth.tanh_shrink,
            _smooth.tanh_shrink_slope,
            _smooth.tanh_shrink_curvature,
            slope_from_output=False,
            odd_about=0.0,
            asymptotes=((1.0, 1.0), (1.0, -1.0)),
        ),
        Elementwise(
            "hard_shrink",
            _piecewise.hard_shrink,
            _piecewise.shrink_slope,
            _piecewise.no_curvature,
            odd_about=0.0,
            asymptotes=(_SAME, _SAME),
        ),
        Elementwise(
            "soft_shrink",
            _piecewise.soft_shrink,
            _piecewise.shrink_slope,
            _piecewise.no_curvature,
            odd_about=0.0,
            asymptotes=((1.0, 0.5), (1.0, -0.5)),
        ),
        Elementwise(
            "sparse_plus",
            _piecewise.sparse_plus,
            _piecewise.sparse_plus_slope,
            _piecewise.sparse_plus_curvature,
            asymptotes=(_ZERO, _SAME),
        ),
        Elementwise(
            "sparse_sigmoid",
            _piecewise.sparse_sigmoid,
            _piecewise.sparse_sigmoid_slope,
            _piecewise.no_curvature,
            odd_about=0.5,
            asymptotes=(_ZERO, _ONE),
        ),
    )
}
"""The elementwise activations by name, each as the function of this name in Keras 3.

`step` is 1 above zero and 0 elsewhere; its slope is zero everywhere, so gradient descent cannot move a
network that uses it. `gelu` is the exact form z * Phi(z); `elu` and `celu` have alpha = 1 and are the same.
`hard_sigmoid` is that of Keras 3, clip(z / 6 + 0.5, 0, 1); `hard_sigmoid_v2` is that of Keras 2,
clip(0.2 z + 0.5, 0, 1). `step` and `hard_sigmoid_v2` are the names that Keras does not know.

References
----------
.. [1] D. Hendrycks, K. Gimpel, "Gaussian Error Linear Units", 2016 (gelu).
.. [2] D.-A. Clevert, T. Unterthiner, S. Hochreiter, "Fast and Accurate Deep Network Learning by
   Exponential Linear Units", ICLR 2016 (elu).
.. [3] G. Klambauer et al., "Self-Normalizing Neural Networks", NeurIPS 2017 (selu and its two constants).
.. [4] D. Misra, "Mish: A Self Regularized Non-Monotonic Activation Function", BMVC 2020 (mish).
.. [5] J. T. Barron, "Squareplus: A Softplus-Like Algebraic Rectifier", 2021 (squareplus, with b = 4).
"""


def _as_axes(name: str, axis: int | tuple[int, ...]) -> tuple[int, ...]:
    axes = tuple(axis) if isinstance(axis, (tuple, list)) else (axis,)
    if not axes:
        raise InputError(f"axis of {name} must name at least one axis, got ()")
    for one in axes:
        check_integer(f"axis of {name}", one, minimum=-32, maximum=32)
    return axes


@checked
@dataclass(frozen=True, slots=True)
class Softmax(Activation):
    """Softmax over one axis, or over several together: positive outputs that sum to one."""

    axis: int | tuple[int, ...] = -1
    name: str = "softmax"

    def __post_init__(self) -> None:
        _as_axes(self.name, self.axis)

    @property
    def settings(self) -> dict[str, Any]:
        """The axis, unless it is the last."""
        return {} if self.axis == -1 else {"axis": self.axis}

    @property
    def axes(self) -> tuple[int, ...]:
        """The axes that sum to one, counted with that of the samples."""
        return _as_axes(self.name, self.axis)

    def forward(self, z: Array) -> tuple[Array, Pullback]:
        """Return softmax(z), of the shape of `z`, and the map from dC/dy to dC/dz."""
        y = softmax(z, self.axis, np.empty_like(z))
        return y, lambda dy: y * (dy - (dy * y).sum(axis=self.axis, keepdims=True))


@checked
@dataclass(frozen=True, slots=True)
class LogSoftmax(Activation):
    """The logarithm of softmax over one axis, or over several together."""

    name: str = field(default="log_softmax", init=False, repr=False)

    axis: int | tuple[int, ...] = -1

    def __post_init__(self) -> None:
        _as_axes(self.name, self.axis)

    @property
    def settings(self) -> dict[str, Any]:
        """The axis, unless it is the last."""
        return {} if self.axis == -1 else {"axis": self.axis}

    @property
    def axes(self) -> tuple[int, ...]:
        """The axes over which the probabilities sum to one, counted with that of the samples."""
        return _as_axes(self.name, self.axis)

    def forward(self, z: Array) -> tuple[Array, Pullback]:
        """Return log(softmax(z)), of the shape of `z`, and the map from dC/dy to dC/dz."""
        shifted = z - z.max(axis=self.axis, keepdims=True)
        y = shifted - np.log(np.exp(shifted).sum(axis=self.axis, keepdims=True))
        return y, lambda dy: dy - np.exp(y) * dy.sum(axis=self.axis, keepdims=True)


def softmax(z: Array, axis: int | tuple[int, ...], out: Array) -> Array:
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


_OVER_AXES: dict[str, Activation] = {"log_softmax": LogSoftmax(), "softmax": Softmax()}


@checked
def activation_named(name: str) -> Activation:
    """Return the activation called `name`: one of `ACTIVATIONS`, or (log_)softmax over the last axis.

    Raises
    ------
    InputError
        If there is none of this name.
    """
    check_choice("activation", name, [*ACTIVATIONS, *_OVER_AXES])
    return _OVER_AXES[name] if name in _OVER_AXES else ACTIVATIONS[name]


def activation_from(given: str | Activation) -> Activation:
    """Return `given` itself, or the activation of this name.

    Raises
    ------
    InputError
        If there is none of this name, or `given` is neither a name nor an activation.
    """
    if isinstance(given, str):
        return activation_named(given)
    if not callable(getattr(given, "forward", None)) or not isinstance(getattr(given, "name", None), str):
        raise InputError(f"activation must be a name or an activation such as Softmax(), got {brief(given)}")
    return given


def shortest(activation: Activation) -> str | Activation:
    """Return the name of an activation where that says it all, and the activation itself elsewhere."""
    known = activation.name in ACTIVATIONS or activation.name in _OVER_AXES
    return activation.name if known and activation_named(activation.name) == activation else activation
