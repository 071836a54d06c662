"""Activations: what they are, those of every number alone, and softmax.

Elementwise activations know `value(z, out)` and `slope(z, y, out)`, so that a population of networks
can run them in place in its buffers, and a network can run them on fresh arrays: one formula for both.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np

from probe._checks import Array, InputError, brief, check_choice, check_integer
from probe._signatures import checked
from probe.layers import _formulas as f
from probe.layers import _functions as g
from probe.layers._formulas import LEAKY_RELU_SLOPE

__all__ = [
    "ACTIVATIONS",
    "FUNCTIONS",
    "LEAKY_RELU_SLOPE",
    "Activation",
    "Elementwise",
    "Line",
    "LogSoftmax",
    "Pullback",
    "Softmax",
    "activation_from",
    "activation_named",
    "softmax",
]

Pullback = Callable[[Any], Any]
"""Maps dC/dy to dC/dx: arrays of the shapes of y and of x."""

Line = tuple[float, float]
"""Slope and constant of a straight line."""


class Activation(ABC):
    """What a layer applies to its pre-activations. Subclasses are frozen dataclasses and say what they are.

    Attributes
    ----------
    name : str
        The name it has in files and on the command line.
    turning_point : float or None
        It is monotone up to here and never falls after it; -inf if it never falls, None if neither is so.
    odd_about : float or None
        The value m for which f(-z) = 2 m - f(z), such as 0.5 for sigmoid; None if there is none.
    initialization : {"glorot", "he"}
        How kernels in front of it start by default.
    """

    __slots__ = ()

    name: str
    turning_point: float | None = None
    odd_about: float | None = None
    initialization: Literal["glorot", "he"] = "glorot"

    @property
    def settings(self) -> dict[str, Any]:
        """What it takes beside its name, by the names that Keras gives it; {} where the name says it all."""
        return {}

    @property
    def axes(self) -> tuple[int, ...]:
        """The axes that it works over, counted with that of the samples; () for an elementwise activation."""
        return ()

    @property
    def asymptotes(self) -> tuple[Line, Line] | None:
        """The straight lines that it approaches far below and far above zero; None if there are none."""
        return None

    @abstractmethod
    def forward(self, z: Array) -> tuple[Array, Pullback]:
        """Return the activation of `z` (n_samples, ...) and the map from dC/dy to dC/dz."""


@checked
@dataclass(frozen=True, slots=True)
class Elementwise(Activation):
    """An activation that treats every number alone.

    Parameters
    ----------
    value : callable
        `value(z, out)` writes f(z) to `out` (which may be `z` itself) and returns it.
    slope : callable
        `slope(z, y, out)` writes f'(z) to `out`, activation y = f(z), and returns it.
    curvature : callable
        `curvature(z, y, out)` writes f''(z) to `out`, activation y = f(z), and returns it; zero at kinks.
    slope_from_output : bool
        Whether `slope` and `curvature` look at y only, so that `value` may overwrite z.
    name, turning_point, odd_about, asymptotes, initialization
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
        Elementwise("sigmoid", f.sigmoid, f.sigmoid_slope, f.sigmoid_curvature, odd_about=0.5, asymptotes=(_ZERO, _ONE)),
        Elementwise("tanh", np.tanh, f.tanh_slope, f.tanh_curvature, odd_about=0.0, asymptotes=(_MINUS_ONE, _ONE)),
        Elementwise("relu", f.relu, f.relu_slope, f.zero, initialization="he", asymptotes=(_ZERO, _SAME)),
        Elementwise("leaky_relu", f.leaky_relu, f.leaky_relu_slope, f.zero,
                    initialization="he", asymptotes=((LEAKY_RELU_SLOPE, 0.0), _SAME)),
        Elementwise("elu", f.elu, f.elu_slope, f.elu_curvature, initialization="he", asymptotes=(_MINUS_ONE, _SAME)),
        Elementwise("gelu", f.gelu, f.gelu_slope, f.gelu_curvature,
                    slope_from_output=False, turning_point=-0.7517915246935645, initialization="he",
                    asymptotes=(_ZERO, _SAME)),
        Elementwise("softplus", f.softplus, f.softplus_slope, f.softplus_curvature,
                    initialization="he", asymptotes=(_ZERO, _SAME)),
        Elementwise("linear", f.linear, f.linear_slope, f.zero, odd_about=0.0, asymptotes=(_SAME, _SAME)),
        Elementwise("step", f.step, f.zero, f.zero, asymptotes=(_ZERO, _ONE)),
        Elementwise("relu6", partial(f.clip, low=0, high=6), partial(f.slope_within, low=0, high=6), f.zero,
                    asymptotes=(_ZERO, (0.0, 6.0))),
        Elementwise("selu", f.selu, f.selu_slope, f.selu_curvature,
                    asymptotes=((0.0, -f.SELU_SCALE * f.SELU_ALPHA), (f.SELU_SCALE, 0.0))),
        Elementwise("celu", f.elu, f.elu_slope, f.elu_curvature, asymptotes=(_MINUS_ONE, _SAME)),
        Elementwise("silu", f.silu, f.silu_slope, f.silu_curvature,
                    slope_from_output=False, turning_point=-1.2784645427610738, asymptotes=(_ZERO, _SAME)),
        Elementwise("mish", f.mish, f.mish_slope, f.mish_curvature,
                    slope_from_output=False, turning_point=-1.192431214515419, asymptotes=(_ZERO, _SAME)),
        Elementwise("softsign", f.softsign, f.softsign_slope, f.softsign_curvature,
                    odd_about=0.0, asymptotes=(_MINUS_ONE, _ONE)),
        Elementwise("squareplus", f.squareplus, f.squareplus_slope, f.squareplus_curvature, asymptotes=(_ZERO, _SAME)),
        Elementwise("exponential", np.exp, f.output, f.output),
        Elementwise("log_sigmoid", f.log_sigmoid, f.log_sigmoid_slope, f.log_sigmoid_curvature, asymptotes=(_SAME, _ZERO)),
        Elementwise("hard_sigmoid", f.hard_sigmoid, partial(f.slope_within, low=0, high=1, slope=1 / 6), f.zero,
                    odd_about=0.5, asymptotes=(_ZERO, _ONE)),
        Elementwise("hard_sigmoid_v2", f.hard_sigmoid_v2, partial(f.slope_within, low=0, high=1, slope=0.2), f.zero,
                    odd_about=0.5, asymptotes=(_ZERO, _ONE)),
        Elementwise("hard_silu", f.hard_silu, f.hard_silu_slope, f.hard_silu_curvature,
                    slope_from_output=False, turning_point=-1.5, asymptotes=(_ZERO, _SAME)),
        Elementwise("hard_tanh", partial(f.clip, low=-1, high=1), partial(f.slope_within, low=-1, high=1), f.zero,
                    odd_about=0.0, asymptotes=(_MINUS_ONE, _ONE)),
        Elementwise("tanh_shrink", f.tanh_shrink, f.tanh_shrink_slope, f.tanh_shrink_curvature,
                    slope_from_output=False, odd_about=0.0, asymptotes=((1.0, 1.0), (1.0, -1.0))),
        Elementwise("hard_shrink", f.hard_shrink, f.shrink_slope, f.zero, odd_about=0.0, asymptotes=(_SAME, _SAME)),
        Elementwise("soft_shrink", f.soft_shrink, f.shrink_slope, f.zero,
                    odd_about=0.0, asymptotes=((1.0, 0.5), (1.0, -0.5))),
        Elementwise("sparse_plus", f.sparse_plus, f.sparse_plus_slope, f.sparse_plus_curvature, asymptotes=(_ZERO, _SAME)),
        Elementwise("sparse_sigmoid", f.sparse_sigmoid, partial(f.slope_within, low=0, high=1, slope=0.5), f.zero,
                    odd_about=0.5, asymptotes=(_ZERO, _ONE)),
    )
}  # fmt: skip
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


FUNCTIONS: dict[str, Elementwise] = {
    function.name: function
    for function in (
        Elementwise("abs", np.abs, g.sign, f.zero,
                    slope_from_output=False, turning_point=0.0, asymptotes=((-1.0, 0.0), _SAME)),
        Elementwise("negative", np.negative, g.minus_one, f.zero,
                    turning_point=math.inf, odd_about=0.0, asymptotes=((-1.0, 0.0), (-1.0, 0.0))),
        Elementwise("square", np.square, g.square_slope, g.two, slope_from_output=False, turning_point=0.0),
        Elementwise("sqrt", g.sqrt, g.sqrt_slope, g.sqrt_curvature),
        Elementwise("reciprocal", g.reciprocal, g.reciprocal_slope, g.reciprocal_curvature, turning_point=None),
        Elementwise("log", g.log, g.log_slope, g.log_curvature),
        Elementwise("erf", g.erf, g.erf_slope, g.erf_curvature,
                    slope_from_output=False, odd_about=0.0, asymptotes=(_MINUS_ONE, _ONE)),
        Elementwise("gelu_tanh", g.gelu_tanh, g.gelu_tanh_slope, g.gelu_tanh_curvature,
                    slope_from_output=False, turning_point=-0.7524614220710162, initialization="he",
                    asymptotes=(_ZERO, _SAME)),
    )
}  # fmt: skip
"""Other functions of every number alone, by name: what networks from elsewhere compute on their way.

They are no choices for networks that are trained here. `sqrt` and `log` are not a number below zero; `gelu_tanh` is GELU
by tanh, 0.5 z (1 + tanh(sqrt(2 / pi) (z + 0.044715 z^3))).
"""


@checked
@dataclass(frozen=True, slots=True)
class _OverAxes(Activation):
    """An activation that works over one axis, or over several together."""

    axis: int | tuple[int, ...] = -1

    def __post_init__(self) -> None:
        if not self.axes:
            raise InputError(f"axis of {self.name} must name at least one axis, got ()")
        for axis in self.axes:
            check_integer(f"axis of {self.name}", axis, minimum=-32, maximum=32)

    @property
    def settings(self) -> dict[str, Any]:
        """The axis, unless it is the last."""
        return {} if self.axis == -1 else {"axis": self.axis}

    @property
    def axes(self) -> tuple[int, ...]:
        """The axes over which probabilities sum to one, counted with that of the samples."""
        return tuple(self.axis) if isinstance(self.axis, (tuple, list)) else (self.axis,)


@checked
@dataclass(frozen=True, slots=True)
class Softmax(_OverAxes):
    """Softmax over one axis, or over several together: positive outputs that sum to one."""

    name = "softmax"

    def forward(self, z: Array) -> tuple[Array, Pullback]:
        """Return softmax(z), of the shape of `z`, and the map from dC/dy to dC/dz."""
        y = softmax(z, self.axis, np.empty_like(z))
        return y, lambda dy: y * (dy - (dy * y).sum(axis=self.axis, keepdims=True))


@checked
@dataclass(frozen=True, slots=True)
class LogSoftmax(_OverAxes):
    """The logarithm of softmax over one axis, or over several together."""

    name = "log_softmax"

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


_NAMED: dict[str, Activation] = {
    **ACTIVATIONS,
    **FUNCTIONS,
    "log_softmax": LogSoftmax(),
    "softmax": Softmax(),
}


@checked
def activation_named(name: str) -> Activation:
    """Return the activation called `name`: one of `ACTIVATIONS` or `FUNCTIONS`, or (log_)softmax over the last axis."""
    check_choice("activation", name, _NAMED)
    return _NAMED[name]


def activation_from(activation: str | Activation) -> Activation:
    """Return `activation` itself, or the activation of this name; raise if it is neither."""
    if isinstance(activation, str):
        return _NAMED[activation] if activation in _NAMED else activation_named(activation)
    if not isinstance(activation, Activation):
        raise InputError(
            f"activation must be a name or an activation such as Softmax(), got {brief(activation)}"
        )
    return activation


def shortest(activation: Activation) -> str | Activation:
    """Return the name of an activation where that says it all, and the activation itself elsewhere."""
    return activation.name if _NAMED.get(activation.name) == activation else activation
