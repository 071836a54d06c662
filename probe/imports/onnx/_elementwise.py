"""Operators that treat every number alone, softmax, and the sums and products of values."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Literal

import numpy as np

from probe.imports._building import Value
from probe.imports.onnx._call import Above, Call, Erf, Operand
from probe.layers import (
    Activation,
    ActivationLayer,
    Elu,
    LeakyRelu,
    LogSoftmax,
    PReLU,
    Relu,
    Rescaling,
    Softmax,
)

__all__ = ["ELEMENTWISE"]

Handler = Callable[[Call], Operand | list[Operand]]

Binary = Literal["add", "subtract", "multiply", "divide", "maximum", "minimum"]


def _named(name: str) -> Handler:
    return lambda call: call.at.elementwise(call.value(), name)


def _close(a: float, b: float) -> bool:
    return math.isclose(a, b, rel_tol=1e-5, abs_tol=1e-7)


def _activation(make: Callable[[Call], Activation | str]) -> Handler:
    return lambda call: call.at.elementwise(call.value(), make(call))


def _selu(call: Call) -> str:
    alpha, gamma = call.node.real("alpha", 1.67326319217681), call.node.real("gamma", 1.05070102214813)
    if not (_close(alpha, 1.67326319217681) and _close(gamma, 1.05070102214813)):
        call.node.refuse(f"has alpha={alpha:g} and gamma={gamma:g}; only those of SELU are read")
    return "selu"


def _celu(call: Call) -> str:
    if call.node.real("alpha", 1.0) != 1:
        call.node.refuse("has an alpha that is not 1, which is not read")
    return "celu"


def _hard_sigmoid(call: Call) -> Operand:
    alpha, beta = call.node.real("alpha", 0.2), call.node.real("beta", 0.5)
    name = "hard_sigmoid_v2" if _close(alpha, 0.2) else "hard_sigmoid" if _close(alpha, 1 / 6) else None
    if name is not None and beta == 0.5:
        return call.at.elementwise(call.value(), name)
    return call.at.clip(call.at.rescale(call.value(), alpha, beta), 0.0, 1.0)


def _gelu(call: Call) -> str:
    kind = call.node.text("approximate", "none")
    if kind not in ("none", "tanh"):
        call.node.refuse(f"has approximate={kind!r}, which is not read")
    return "gelu" if kind == "none" else "gelu_tanh"


def _clip(call: Call) -> Operand:
    if call.node.opset < 11:
        low, high = call.node.real("min", -math.inf), call.node.real("max", math.inf)
        # What is left out is the smallest and the greatest number of 32 bits.
        low, high = (bound if abs(bound) < 3.4e38 else None for bound in (low, high))  # type: ignore[assignment]
    else:
        low, high = call.number(1), call.number(2)  # type: ignore[assignment]
    return call.at.clip(call.value(), low, high)


def _prelu(call: Call) -> Operand:
    x, slopes = call.value(), call.weight(1)
    n_axes = len(x.shape)
    # In the first sets of operators the slopes were those of the channels, wherever they lie.
    by_channel = slopes.ndim == 1 and len(slopes) not in (1, x.shape[-1]) and len(slopes) == x.shape[0]
    shape = (len(slopes), *[1] * (n_axes - 1)) if by_channel else (1,) * (n_axes - slopes.ndim) + slopes.shape
    if len(shape) == n_axes + 1 and shape[0] == 1:
        shape = shape[1:]
    if len(shape) != n_axes or any(a not in (1, n) for a, n in zip(shape, x.shape, strict=True)):
        call.node.refuse(f"has slopes of shape {slopes.shape} for values of shape {x.shape}")
    shared = tuple(axis for axis, size in enumerate(shape, start=1) if size == 1)
    alpha = call.at.building.array(slopes, shape, lambda values: values.reshape(shape))
    return call.at.add(PReLU(call.at.free(), alpha, shared), x)


def _softmax(kind: type[Softmax] | type[LogSoftmax]) -> Handler:
    def make(call: Call) -> Operand:
        x = call.value()
        older = call.node.opset < 13
        first = call.axis(call.node.integer("axis", 1 if older else -1), x)
        if first == 0:
            call.node.refuse("works along the axis of the samples; keep that axis as it is")
        n_axes = len(x.shape)
        axes = range(first, n_axes + 1) if older else [first]
        if call.is_last and x.shape[first - 1 :].count(1) == n_axes - 1 and first == 1:
            # Classes in images of one pixel: the outputs of a classifier are a vector.
            x = call.at.flatten(x)  # type: ignore[assignment]
            return call.at.elementwise(x, kind())
        # Those of length 1 add nothing.
        axes = [axis - n_axes - 1 for axis in axes if x.shape[axis - 1] > 1] or [-1]
        return call.at.elementwise(x, kind(axes[0] if len(axes) == 1 else tuple(axes)))

    return make


def _binary(kind: Binary) -> Handler:
    def make(call: Call) -> Operand:
        first, second = (*call.values, None, None)[:2]
        for one, other in ((first, second), (second, first)):
            gelu = _with_erf(call, kind, one, other) if isinstance(one, Erf) else None
            if gelu is not None:
                return gelu
        a, b = call.operand(0), _aligned(call)
        if kind == "multiply":
            gated = _gated(call, a, b) or _gated(call, b, a)
            if gated is not None:
                return gated
            for one, other in ((a, b), (b, a)):
                if isinstance(one, Value) and isinstance(other, np.ndarray) and other.size == 1:
                    scaled = _unscaled(call, one, float(other.reshape(-1)[0]))
                    if scaled is not None:
                        return scaled
        if kind == "subtract" and isinstance(a, np.ndarray) and a.size == 1 and isinstance(b, Value):
            return call.at.rescale(b, -1.0, float(a.reshape(-1)[0]))
        if a is None or b is None:
            call.node.refuse("lacks an input")
        return call.at.binary(kind, a, b)  # type: ignore[arg-type]

    return make


def _aligned(call: Call) -> Operand:
    """Return the second operand, whose axes begin at one of the first's in the first sets of operators."""
    b, node = call.operand(1), call.node
    if node.opset < 7 and node.integer("broadcast", 0) and isinstance(b, np.ndarray):
        axis = node.integer("axis", -1)
        x = call.value()
        if axis >= 0:
            return b.reshape(*b.shape, *[1] * (len(x.shape) + 1 - axis - b.ndim))
    return b


_GATES = {"sigmoid": "silu", "hard_sigmoid": "hard_silu"}
"""What x times an activation of x is called."""


def _gated(call: Call, x: Operand, gate: Operand) -> Operand:
    """Return x * sigmoid(x) and its like as one activation; None if it is none."""
    if not isinstance(x, Value) or not isinstance(gate, Value):
        return None
    before = call.at.building.before(gate)
    if before is None or not isinstance(before[0], ActivationLayer) or before[1].source != x.source:
        return None
    name = _GATES.get(before[0].activation.name)
    return None if name is None else call.at.elementwise(x, name)


def _scaling(call: Call, x: Value) -> tuple[Value, float] | None:
    """Return what was scaled by one number, and the number; None if `x` is nothing of that kind."""
    before = call.at.building.before(x)
    if before is None or not isinstance(before[0], Rescaling) or x.repeated is not None:
        return None
    scale, offset = before[0].scale, before[0].offset
    return (before[1], float(scale)) if isinstance(scale, float | int) and offset == 0 else None


def _unscaled(call: Call, x: Value, factor: float) -> Operand:
    """Return what was scaled by one number and is now by its inverse; None if that is not so."""
    scaling = _scaling(call, x)
    return scaling[0] if scaling is not None and scaling[1] * factor == 1 else None


def _greater(call: Call) -> Operand:
    return Above(call.value(), float("nan") if (bound := call.number(1)) is None else bound)


def _where(call: Call) -> Operand:
    """Return a softplus that is written as the identity far above zero, where that is what it is."""
    above, x, y = (call.operand(index) for index in range(3))
    before = call.at.building.before(y) if isinstance(y, Value) else None
    if (
        not isinstance(above, Above)
        or not isinstance(x, Value)
        or before is None
        or before[0].activation.name != "softplus"
        or not before[1].source == x.source == above.of.source
        or above.bound < 20
    ):
        call.node.refuse("chooses by the image between two values, which is not read")
    return y


def _erf(call: Call) -> Operand:
    scaling = _scaling(call, call.value())
    if scaling is None or not _close(scaling[1], 0.5**0.5):
        return call.at.elementwise(call.value(), "erf")
    return Erf(scaling[0])


def _with_erf(call: Call, kind: Binary, erf: Erf, other: Operand) -> Operand:
    """Return the sum or product of a half of a GELU and a number, or the GELU; None if it is something else."""
    if isinstance(other, np.ndarray) and other.size == 1:
        number = float(other.reshape(-1)[0])
        if kind == "add":
            return Erf(erf.of, erf.scale, erf.offset + number)
        if kind == "multiply":
            return Erf(erf.of, erf.scale * number, erf.offset * number)
    inner, factor = None, 0.0
    if kind == "multiply" and isinstance(other, Value) and _close(erf.scale, erf.offset):
        inner, factor = (
            (other, 1.0) if other.source == erf.of.source else _scaling(call, other) or (None, 0.0)
        )
    if inner is None or inner.source != erf.of.source:
        return None
    return call.at.rescale(call.at.elementwise(erf.of, "gelu"), 2 * erf.scale * factor)


def _power(call: Call) -> Operand:
    exponent = call.number(1)
    if exponent is None:
        call.node.refuse("lacks its exponent")
    return call.at.power(call.value(), exponent)


def _many(kind: Binary) -> Handler:
    def make(call: Call) -> Operand:
        result = call.operand(0)
        for index in range(1, len(call.values)):
            result = call.at.binary(kind, result, call.operand(index))  # type: ignore[arg-type]
        return result

    return make


def _mean(call: Call) -> Operand:
    total = _many("add")(call)
    return call.at.rescale(total, 1 / len(call.values))  # type: ignore[arg-type]


def _cast(call: Call) -> Operand:
    to = call.node.integer("to", 1)
    call.node.ignore("saturate")
    if to not in (1, 10, 11, 16):
        call.node.refuse("makes integers of values that depend on the image, which is not read")
    return call.value()


def _dropout(call: Call) -> Operand:
    ratio = call.node.real("ratio", 0.5) if call.node.opset < 12 else call.number(1)
    call.node.ignore("seed", "is_test")
    if call.constant(2) is not None and call.number(2):
        call.node.refuse("is in training mode; export the model in eval() mode")
    return call.at.dropout(call.value(), 0.5 if ratio is None else min(max(ratio, 0.0), 1.0))


ELEMENTWISE: Mapping[str, Handler] = {
    "Abs": _named("abs"),
    "Add": _binary("add"),
    "Cast": _cast,
    "Celu": _activation(_celu),
    "Clip": _clip,
    "Div": _binary("divide"),
    "Dropout": _dropout,
    "Elu": _activation(lambda call: Elu(call.node.real("alpha", 1.0))),
    "Erf": _erf,
    "Exp": _named("exponential"),
    "Gelu": _activation(_gelu),
    "Greater": _greater,
    "HardSigmoid": _hard_sigmoid,
    "HardSwish": _named("hard_silu"),
    "Identity": lambda call: call.operand(0),
    "LeakyRelu": _activation(lambda call: LeakyRelu(call.node.real("alpha", 0.01))),
    "Log": _named("log"),
    "LogSoftmax": _softmax(LogSoftmax),
    "Max": _many("maximum"),
    "Mean": _mean,
    "Min": _many("minimum"),
    "Mish": _named("mish"),
    "Mul": _binary("multiply"),
    "Neg": lambda call: call.at.rescale(call.value(), -1.0),
    "PRelu": _prelu,
    "Pow": _power,
    "Reciprocal": _named("reciprocal"),
    "Relu": _named("relu"),
    "Selu": _activation(_selu),
    "Sigmoid": _named("sigmoid"),
    "Softmax": _softmax(Softmax),
    "Softplus": _named("softplus"),
    "Softsign": _named("softsign"),
    "Sqrt": _named("sqrt"),
    "Sub": _binary("subtract"),
    "Sum": _many("add"),
    "Tanh": _named("tanh"),
    "ThresholdedRelu": _activation(lambda call: Relu(threshold=call.node.real("alpha", 1.0))),
    "Where": _where,
}
"""What makes layers of each operator, of every version of the set."""
