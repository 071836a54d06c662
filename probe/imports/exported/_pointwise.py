"""Aten operations on every number alone, and reductions."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from probe.imports._building import Operations
from probe.layers import Elu, LeakyRelu, Relu

__all__ = ["POINTWISE", "SAME"]


def _named(name: str) -> Callable[..., Any]:
    return lambda at, x: at.elementwise(x, name)


def gelu(at: Operations, x: Any, approximate: str = "none") -> Any:
    return at.elementwise(x, "gelu" if approximate == "none" else "gelu_tanh")


def leaky_relu(at: Operations, x: Any, negative_slope: float = 0.01) -> Any:
    return at.elementwise(x, LeakyRelu(float(negative_slope)))


def rrelu(at: Operations, x: Any, lower: float = 1 / 8, upper: float = 1 / 3, training: bool = False) -> Any:
    if training:
        at.refuse("is random at prediction too", "call module.eval() before the export")
    return leaky_relu(at, x, (lower + upper) / 2)


def elu(at: Operations, x: Any, alpha: float = 1, scale: float = 1, input_scale: float = 1) -> Any:
    if input_scale != 1:
        at.refuse(f"has input_scale={input_scale}", "1 can be taken over")
    return at.rescale(at.elementwise(x, "elu" if alpha == 1 else Elu(float(alpha))), float(scale))


def celu(at: Operations, x: Any, alpha: float = 1) -> Any:
    return at.rescale(at.elementwise(at.rescale(x, 1 / alpha), "celu"), float(alpha))


def softplus(at: Operations, x: Any, beta: float = 1, threshold: float = 20) -> Any:
    if threshold < 20:
        at.refuse(f"has threshold={threshold}", "20, the default, can be taken over")
    return at.rescale(at.elementwise(at.rescale(x, float(beta)), "softplus"), 1 / beta)


def threshold(at: Operations, x: Any, threshold: float, value: float) -> Any:
    if value != 0 or threshold < 0:
        at.refuse(f"has threshold={threshold}, value={value}", "0 and a value of 0 can be taken over")
    return at.elementwise(x, Relu(threshold=float(threshold)))


def hardshrink(at: Operations, x: Any, lambd: float = 0.5) -> Any:
    if lambd == 0.5:
        return at.elementwise(x, "hard_shrink")
    scaled = at.elementwise(at.rescale(x, 0.5 / lambd), "hard_shrink")
    return at.rescale(scaled, lambd / 0.5)


def softshrink(at: Operations, x: Any, lambd: float = 0.5) -> Any:
    scaled = at.elementwise(at.rescale(x, 0.5 / lambd), "soft_shrink")
    return at.rescale(scaled, lambd / 0.5)


def hardtanh(at: Operations, x: Any, min_val: float = -1, max_val: float = 1) -> Any:
    return at.clip(x, min_val, max_val)


def clamp(at: Operations, x: Any, min: Any = None, max: Any = None) -> Any:
    if all(one is None or isinstance(one, int | float) for one in (min, max)):
        return at.clip(x, min, max)
    x = x if min is None else at.binary("maximum", x, min)
    return x if max is None else at.binary("minimum", x, max)


def prelu(at: Operations, x: Any, weight: Any) -> Any:
    return at.prelu(x, np.asarray(weight))


def glu(at: Operations, x: Any, dim: int = -1) -> Any:
    n = x.shape[at.axis(dim, x.shape) - 1]
    values, gates = at.split(x, [n // 2, n // 2], dim)
    return at.binary("multiply", values, at.elementwise(gates, "sigmoid"))


def softmax(log: bool) -> Callable[..., Any]:
    return lambda at, x, dim, half_to_float=False: at.softmax(x, dim, log=log)


def power(at: Operations, x: Any, exponent: Any) -> Any:
    if not isinstance(exponent, int | float):
        exponent = np.asarray(exponent).item()
    return at.power(x, float(exponent))


def _binary(kind: Any) -> Callable[..., Any]:
    def apply(at: Operations, x: Any, other: Any, alpha: float = 1, rounding_mode: str | None = None) -> Any:
        if rounding_mode is not None:
            at.refuse(f"rounds ({rounding_mode})", "it has no gradient, and cannot be taken over")
        return at.binary(kind, x, other if alpha == 1 else at.binary("multiply", other, float(alpha)))

    return apply


def rsub(at: Operations, x: Any, other: Any, alpha: float = 1) -> Any:
    return _binary("subtract")(at, other, x, alpha)


def addcmul(at: Operations, x: Any, tensor1: Any, tensor2: Any, value: float = 1) -> Any:
    return at.binary("add", x, at.binary("multiply", at.binary("multiply", tensor1, tensor2), float(value)))


def _reduced(kind: Any) -> Callable[..., Any]:
    def reduce(at: Operations, x: Any, dim: Any = None, keepdim: bool = False) -> Any:
        axes = [dim] if isinstance(dim, int) else dim
        return at.reduce(x, kind, axes or None, keepdim)

    return reduce


def _greatest(kind: Any) -> Callable[..., Any]:
    def reduce(at: Operations, x: Any, dim: int, keepdim: bool = False) -> Any:
        return [at.reduce(x, kind, [dim], keepdim), None]

    return reduce


def variance(
    at: Operations, x: Any, dim: Any = None, correction: float | None = 1, keepdim: bool = False,
    unbiased: bool | None = None,
) -> Any:  # fmt: skip
    axes = [dim] if isinstance(dim, int) else dim
    if not axes:
        at.refuse("takes the variance over the axis of the samples", "name the other axes")
    n = math.prod(x.shape[at.axis(axis, x.shape) - 1] for axis in axes)
    correction = correction if unbiased is None else float(unbiased)
    centered = at.binary("subtract", x, at.reduce(x, "mean", axes, True))
    mean = at.reduce(at.power(centered, 2.0), "mean", axes, keepdim)
    return at.rescale(mean, n / (n - (1 if correction is None else correction)))


def deviation(at: Operations, x: Any, **settings: Any) -> Any:
    return at.power(variance(at, x, **settings), 0.5)


def variance_and_mean(at: Operations, x: Any, dim: Any = None, keepdim: bool = False, **settings: Any) -> Any:
    return [variance(at, x, dim, keepdim=keepdim, **settings), _reduced("mean")(at, x, dim, keepdim)]


def norm(
    at: Operations, x: Any, ord: float = 2, dim: Any = None, keepdim: bool = False, p: Any = None
) -> Any:
    order = ord if p is None else p
    axes = [dim] if isinstance(dim, int) else dim
    if order == 1:
        return at.reduce(at.elementwise(x, "abs"), "sum", axes, keepdim)
    if order == math.inf:
        return at.reduce(at.elementwise(x, "abs"), "max", axes, keepdim)
    if order != 2:
        at.refuse(f"takes the norm of order {order}", "1, 2 and infinity can be taken over")
    return at.power(at.reduce(at.power(x, 2.0), "sum", axes, keepdim), 0.5)


def _same(at: Operations, x: Any, *_: Any, **__: Any) -> Any:
    return x


_ACTIVATIONS = {
    "abs": "abs",
    "erf": "erf",
    "exp": "exponential",
    "hardsigmoid": "hard_sigmoid",
    "hardswish": "hard_silu",
    "log": "log",
    "log_sigmoid": "log_sigmoid",
    "mish": "mish",
    "neg": "negative",
    "reciprocal": "reciprocal",
    "relu": "relu",
    "relu6": "relu6",
    "selu": "selu",
    "sigmoid": "sigmoid",
    "silu": "silu",
    "softsign": "softsign",
    "special_erf": "erf",
    "sqrt": "sqrt",
    "square": "square",
    "tanh": "tanh",
}

SAME = [
    "_to_copy",
    "alias",
    "clone",
    "contiguous",
    "detach",
    "lift",
    "lift_fresh",
    "lift_fresh_copy",
    "positive",
    "resolve_conj",
    "resolve_neg",
    "to",
    "type_as",
]
"""Operations that pass values on, perhaps in another type."""

POINTWISE: Mapping[str, Callable[..., Any]] = {
    **{name: _named(activation) for name, activation in _ACTIVATIONS.items()},
    **dict.fromkeys(SAME, _same),
    "log_sigmoid_forward": lambda at, x: [at.elementwise(x, "log_sigmoid"), None],
    "rsqrt": lambda at, x: at.power(x, -0.5),
    "gelu": gelu,
    "leaky_relu": leaky_relu,
    "rrelu": rrelu,
    "elu": elu,
    "celu": celu,
    "softplus": softplus,
    "threshold": threshold,
    "hardshrink": hardshrink,
    "softshrink": softshrink,
    "hardtanh": hardtanh,
    "clamp": clamp,
    "clamp_min": lambda at, x, min: clamp(at, x, min),
    "clamp_max": lambda at, x, max: clamp(at, x, None, max),
    "clip": clamp,
    "prelu": prelu,
    "_prelu_kernel": prelu,
    "glu": glu,
    **dict.fromkeys(("softmax", "_softmax", "_safe_softmax"), softmax(False)),
    **dict.fromkeys(("log_softmax", "_log_softmax"), softmax(True)),
    "pow.Tensor_Scalar": power,
    "pow.Tensor_Tensor": power,
    "add": _binary("add"),
    "sub": _binary("subtract"),
    "subtract": _binary("subtract"),
    "mul": _binary("multiply"),
    "multiply": _binary("multiply"),
    "div": _binary("divide"),
    "divide": _binary("divide"),
    "true_divide": _binary("divide"),
    "rsub": rsub,
    "addcmul": addcmul,
    **dict.fromkeys(("maximum", "max.other"), _binary("maximum")),
    **dict.fromkeys(("minimum", "min.other"), _binary("minimum")),
    "mean": _reduced("mean"),
    "sum": _reduced("sum"),
    "amax": _reduced("max"),
    "amin": _reduced("min"),
    "max.dim": _greatest("max"),
    "min.dim": _greatest("min"),
    **dict.fromkeys(("var.correction", "var.dim"), variance),
    **dict.fromkeys(("std.correction", "std.dim"), deviation),
    "var_mean.correction": variance_and_mean,
    **dict.fromkeys(("linalg_vector_norm", "norm"), norm),
}
"""What becomes activations, arithmetic and reductions; see `OPERATIONS`."""
