"""Operations on tensors that compute number by number, or along axes: sums, activations, means, products."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, Literal

import numpy as np

from probe._checks import Array
from probe._errors import InputError
from probe.kerasfile._called import Operation, OperationCall, all_names
from probe.kerasfile._steps import Constant, Steps, Value, part_of
from probe.layers import (
    Dense,
    Elu,
    LeakyRelu,
    LocalResponseNormalization,
    LogSoftmax,
    Relu,
    Softmax,
    UnitNormalization,
)
from probe.safeh5 import shown

__all__ = ["ARITHMETIC"]


def _binary(kind: str, call: OperationCall, steps: Steps) -> Value:
    return _of_two(
        steps, kind, call.operand(0, "x1", "x", "a", "value"), call.operand(1, "x2", "y", "b", "bias")
    )


def _of_two(steps: Steps, kind: str, a: Value | Constant, b: Value | Constant) -> Value:
    if not isinstance(a, Value) and not isinstance(b, Value):
        raise InputError("takes no tensor")
    return steps.binary(kind, a, b)


def _negative(call: OperationCall, steps: Steps) -> Value:
    return steps.scaled(call.tensor(0), -1.0)


def _log_of_one_more(call: OperationCall, steps: Steps) -> Value:
    return steps.activated(steps.scaled(call.tensor(0), 1.0, 1.0), "log")


def _exponential_less_one(call: OperationCall, steps: Steps) -> Value:
    return steps.scaled(steps.activated(call.tensor(0), "exponential"), 1.0, -1.0)


def _bias_add(call: OperationCall, steps: Steps) -> Value:
    if call.channels_first():
        call.refuse("adds to channels that come first, which cannot be read")
    return _binary("add", call, steps)


def _sum_of_all(call: OperationCall, steps: Steps) -> Value:
    first, *others = call.tensors("inputs")
    for other in others:
        first = steps.binary("add", first, other)
    return first


def _squared_difference(call: OperationCall, steps: Steps) -> Value:
    return steps.activated(_binary("subtract", call, steps), "square")


def _power(call: OperationCall, steps: Steps) -> Value:
    x, exponent = call.tensor(0, "x1", "x"), call.operand(1, "x2", "y")
    if not isinstance(exponent, float):
        call.refuse("has an exponent that is no number")
    return steps.power(x, exponent)


def _activated(activation: Any, call: OperationCall, steps: Steps) -> Value:
    return steps.activated(call.tensor(0), activation)


def _gelu(call: OperationCall, steps: Steps) -> Value:
    x = call.tensor(0)
    return steps.activated(x, "gelu_tanh" if call.flag("approximate") else "gelu")


def _with_slope(call: OperationCall, steps: Steps) -> Value:
    x = call.tensor(0)
    return steps.activated(x, LeakyRelu(call.number(1, "negative_slope", "alpha", default=0.2)))


def _elu(call: OperationCall, steps: Steps) -> Value:
    x = call.tensor(0)
    return steps.activated(x, Elu(call.number(1, "alpha", default=1.0)))


def _keras_relu(call: OperationCall, steps: Steps) -> Value:
    x = call.tensor(0)
    top = call.get(None, "max_value", default=None)
    slope, threshold = (call.number(None, name, default=0.0) for name in ("negative_slope", "threshold"))
    return steps.activated(x, Relu(None if top is None else call.spec.finite(top), slope, threshold))


def _softmax(kind: Any, call: OperationCall, steps: Steps) -> Value:
    x = call.tensor(0, "logits")
    axis = call.get(1, "axis", default=-1)
    axes = (-1,) if axis is None else call.integers(1, "axis", default=-1)
    if 0 in axes:
        call.refuse("works over the axis of the samples")
    return steps.activated(x, kind(axes[0] if len(axes) == 1 else axes))


def _reduced(kind: str, call: OperationCall, steps: Steps) -> Value:
    x = call.tensor(0)
    return steps.reduced(x, kind, call.axes(), keepdims=call.flag("keepdims", "keep_dims"))


def _variance(call: OperationCall, steps: Steps) -> Value:
    x = call.tensor(0)
    return steps.variance(x, call.axes(), keepdims=call.flag("keepdims", "keep_dims"))


def _deviation(call: OperationCall, steps: Steps) -> Value:
    return steps.activated(_variance(call, steps), "sqrt")


def _rsqrt(call: OperationCall, steps: Steps) -> Value:
    return steps.power(call.tensor(0), -0.5)


def _unit(bounds: Literal["length", "square"], call: OperationCall, steps: Steps) -> Value:
    """Add vectors of length 1; epsilon bounds the length, as in Keras, or its square, as in TensorFlow."""
    x, axes = call.tensor(0), call.integers(1, "axis", "dim", default=-1)
    if call.number(None, "order", default=2) != 2:
        call.refuse("has an order other than 2")
    epsilon = call.get(None, "epsilon", default=None)
    least = (1e-7 if bounds == "length" else 1e-12) if epsilon is None else call.spec.finite(epsilon)
    return steps.layer(
        UnitNormalization, x, axis=axes, epsilon=least * least if bounds == "length" else least
    )


def _passed_on(call: OperationCall, steps: Steps) -> Value:
    x, kind = call.tensor(0), call.get(1, "dtype", "DstT", default=None)
    name = kind.removeprefix("DT_").lower() if isinstance(kind, str) else ""
    if kind is not None and name not in ("float", "float32", "float64", "double"):
        call.refuse(f"makes {shown(kind)} of its input, where float32 and float64 can be read")
    return steps.activated(x, "linear")


def _clipped(call: OperationCall, steps: Steps) -> Value:
    x = call.tensor(0, "t")
    low = call.number(1, "x_min", "clip_value_min", "min_value")
    return steps.clipped(x, low, call.number(2, "x_max", "clip_value_max", "max_value"))


def _multiplied(call: OperationCall, steps: Steps) -> Value:
    x, kernel = call.tensor(0, "x1", "a"), call.operand(1, "x2", "b")
    if not isinstance(kernel, np.ndarray) or kernel.ndim != 2:
        call.refuse("multiplies tensors as matrices, which can be read with a constant matrix only")
    matrix: Array = kernel.astype(steps.dtype)
    return steps.add(lambda name, _shapes: Dense(name, matrix), x)


def _gray(call: OperationCall, steps: Steps) -> Value:
    x = call.tensor(0)
    # Rec. 601, as TensorFlow has it.
    matrix = np.array([[0.2989], [0.5870], [0.1140]], steps.dtype)
    if call.channels_first():
        call.refuse("takes images with their channels first, which cannot be read")
    return steps.add(lambda name, _shapes: Dense(name, matrix), x)


def _responses(call: OperationCall, steps: Steps) -> Value:
    x, radius = call.tensor(0), call.integer(1, "depth_radius", default=5)
    size = 2 * radius + 1
    bias, alpha, beta = (
        call.number(place, name, default=value)
        for place, (name, value) in enumerate((("bias", 1.0), ("alpha", 1.0), ("beta", 0.5)), start=2)
    )
    # TensorFlow multiplies the sum of the squares, and not their mean.
    return steps.layer(LocalResponseNormalization, x, size=size, alpha=alpha * size, beta=beta, k=bias)


def _celu(call: OperationCall, steps: Steps) -> Value:
    x, alpha = call.tensor(0), call.number(1, "alpha", default=1.0)
    if alpha <= 0:
        call.refuse(f"has alpha = {alpha:g}, expected a number above 0")
    return steps.scaled(steps.activated(steps.scaled(x, 1 / alpha), "elu"), alpha)


def _with_default(activation: str, setting: str, default: float, call: OperationCall, steps: Steps) -> Value:
    """Add an activation whose setting has only one value that can be read."""
    x, value = call.tensor(0), call.number(1, setting, default=default)
    if value != default:
        call.refuse(f"has {setting} = {value:g}, expected {default:g}")
    return steps.activated(x, activation)


def _gated(call: OperationCall, steps: Steps) -> Value:
    x, axis = call.tensor(0), call.integer(1, "axis", default=-1)
    first, second = (steps.part(x, partial(part_of, axis, 2, number)) for number in range(2))
    return steps.binary("multiply", first, steps.activated(second, "sigmoid"))


def _named(names: Mapping[str, str]) -> dict[str, Operation]:
    """Return the operations that are an activation, by all their names."""
    return {
        name: partial(_activated, activation)
        for names_, activation in names.items()
        for name in names_.split()
    }


ARITHMETIC: dict[str, Operation] = {
    **all_names("Add math.add __operators__.add add AddV2", partial(_binary, "add")),
    **all_names("Subtract math.subtract __operators__.sub subtract Sub", partial(_binary, "subtract")),
    **all_names("Multiply math.multiply __operators__.mul multiply Mul", partial(_binary, "multiply")),
    **all_names("Divide TrueDivide math.truediv math.divide __operators__.truediv divide truediv RealDiv Div",
           partial(_binary, "divide")),
    **all_names("Maximum math.maximum maximum", partial(_binary, "maximum")),
    **all_names("Minimum math.minimum minimum", partial(_binary, "minimum")),
    **all_names("nn.bias_add BiasAdd", _bias_add),
    **all_names("math.add_n AddN", _sum_of_all),
    **all_names("math.squared_difference SquaredDifference", _squared_difference),
    **all_names("Power math.pow __operators__.pow pow Pow", _power),
    **_named({
        "Relu nn.relu": "relu",
        "Relu6 nn.relu6": "relu6",
        "Sigmoid math.sigmoid nn.sigmoid sigmoid": "sigmoid",
        "Tanh math.tanh nn.tanh tanh": "tanh",
        "Softplus math.softplus nn.softplus": "softplus",
        "Softsign nn.softsign": "softsign",
        "Silu nn.silu nn.swish": "silu",
        "HardSigmoid": "hard_sigmoid",
        "HardSilu": "hard_silu",
        "HardTanh": "hard_tanh",
        "Selu nn.selu": "selu",
        "LogSigmoid math.log_sigmoid": "log_sigmoid",
        "TanhShrink": "tanh_shrink",
        "SparsePlus": "sparse_plus",
        "SparseSigmoid": "sparse_sigmoid",
        "Exp math.exp exp": "exponential",
        "Log math.log": "log",
        "Erf math.erf": "erf",
        "Absolute Abs math.abs abs": "abs",
        "Square math.square square": "square",
        "Sqrt math.sqrt sqrt": "sqrt",
        "Reciprocal math.reciprocal Inv": "reciprocal",
    }),
    **all_names("Negative math.negative __operators__.neg negative Neg", _negative),
    **all_names("Log1p math.log1p", _log_of_one_more),
    **all_names("Expm1 math.expm1", _exponential_less_one),
    **all_names("Gelu nn.gelu", _gelu),
    **all_names("LeakyRelu nn.leaky_relu", _with_slope),
    **all_names("Elu nn.elu", _elu),
    **all_names("keras.activations.relu", _keras_relu),
    **all_names("Softmax nn.softmax", partial(_softmax, Softmax)),
    **all_names("LogSoftmax nn.log_softmax", partial(_softmax, LogSoftmax)),
    **{name: partial(_reduced, kind)
       for kind in ("mean", "sum", "max", "min")
       for name in (kind.capitalize(), f"math.reduce_{kind}", f"reduce_{kind}")},
    **all_names("Amax", partial(_reduced, "max")),
    **all_names("Amin", partial(_reduced, "min")),
    **all_names("Var math.reduce_variance", _variance),
    **all_names("Std math.reduce_std", _deviation),
    **all_names("Rsqrt math.rsqrt", _rsqrt),
    **all_names("Normalize", partial(_unit, "length")),
    **all_names("math.l2_normalize nn.l2_normalize linalg.l2_normalize", partial(_unit, "square")),
    **all_names("Cast cast Identity identity StopGradient stop_gradient convert_to_tensor ConvertToTensor Copy", _passed_on),
    **all_names("Clip clip_by_value ClipByValue", _clipped),
    **all_names("Matmul Dot linalg.matmul matmul MatMul", _multiplied),
    **all_names("RGBToGrayscale image.rgb_to_grayscale", _gray),
    **all_names("nn.local_response_normalization", _responses),
    **all_names("Celu", _celu),
    **all_names("HardShrink", partial(_with_default, "hard_shrink", "threshold", 0.5)),
    **all_names("SoftShrink", partial(_with_default, "soft_shrink", "threshold", 0.5)),
    **all_names("Squareplus", partial(_with_default, "squareplus", "b", 4.0)),
    **all_names("Glu", _gated),
}  # fmt: skip
"""What can be read, by all names that files have for it."""
