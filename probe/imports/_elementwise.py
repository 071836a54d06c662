"""Operations on every number alone: activations, and arithmetic of values, constants and numbers."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Literal

import numpy as np

from probe._checks import Array
from probe.imports._assembly import Operand, Value
from probe.imports._shapes import ShapeOperations
from probe.layers import (
    Activation,
    ActivationLayer,
    Add,
    Affine,
    Clip,
    Divide,
    LogSoftmax,
    Maximum,
    Merge,
    Minimum,
    Multiply,
    Power,
    Rescaling,
    Softmax,
    Subtract,
    activation_from,
)

__all__ = ["ElementwiseOperations"]

Binary = Literal["add", "subtract", "multiply", "divide", "maximum", "minimum"]

_ARITHMETIC: dict[str, tuple[Callable[[Array, Array], Array], Callable[[str], Merge]]] = {
    "add": (np.add, Add),
    "subtract": (np.subtract, Subtract),
    "multiply": (np.multiply, Multiply),
    "divide": (np.true_divide, Divide),
    "maximum": (np.maximum, Maximum),
    "minimum": (np.minimum, Minimum),
}


class ElementwiseOperations(ShapeOperations):
    """What treats every number alone, and softmax."""

    __slots__ = ()

    def elementwise(self, x: Value | Array, activation: str | Activation) -> Value | Array:
        """Return an activation of `x`: a name of `probe.layers.ACTIVATIONS`, or one with settings."""
        if isinstance(x, np.ndarray):
            return activation_from(activation).forward(x)[0]
        layer = ActivationLayer(self.free(), activation)
        if x.repeated is not None:
            return replace(self.add(layer, replace(x, repeated=None)), repeated=x.repeated)
        return self.add(layer, x)

    def softmax(self, x: Value, axis: int = -1, *, log: bool = False) -> Value | Array:
        """Return softmax over one axis, or its logarithm."""
        place = self.axis(axis, x.shape) - 1 - len(x.shape)
        return self.elementwise(x, LogSoftmax(place) if log else Softmax(place))

    def rescale(self, x: Value | Array, scale: float = 1.0, offset: float = 0.0) -> Value | Array:
        """Return x * scale + offset."""
        if isinstance(x, np.ndarray):
            return np.asarray(x * scale + offset)
        if (scale, offset) == (1, 0):
            return x
        if not (math.isfinite(scale) and math.isfinite(offset)):
            self.refuse(f"computes x * {scale:g} + {offset:g}", "use finite numbers")
        return self.add(Rescaling(self.free(), scale, offset), x)

    def power(self, x: Value | Array, exponent: float) -> Value | Array:
        """Return `x` to a power."""
        if isinstance(x, np.ndarray):
            return np.asarray(np.power(x, exponent))
        known = {1.0: "linear", 2.0: "square", 0.5: "sqrt", -1.0: "reciprocal"}.get(float(exponent))
        return x if known == "linear" else self.elementwise(x, known or Power(float(exponent)))

    def clip(self, x: Value | Array, low: float | None, high: float | None) -> Value | Array:
        """Return `x` within limits; None or infinite for none."""
        low, high = -math.inf if low is None else low, math.inf if high is None else high
        if isinstance(x, np.ndarray):
            return np.clip(x, low, high)
        named = {(0.0, math.inf): "relu", (0.0, 6.0): "relu6", (-1.0, 1.0): "hard_tanh"}.get((low, high))
        if named is None:
            return self.elementwise(
                x, Clip(None if low == -math.inf else float(low), None if high == math.inf else float(high))
            )
        return self.elementwise(x, named)

    def binary(self, kind: Binary, a: Operand, b: Operand) -> Value | Array:
        """Return a sum, difference, product, quotient, maximum or minimum, broadcast as NumPy does."""
        function, merge = _ARITHMETIC[kind]
        if not isinstance(a, Value) and not isinstance(b, Value):
            with np.errstate(all="ignore"):
                return np.asarray(function(np.asarray(a), np.asarray(b)))
        if isinstance(a, Value) and isinstance(b, Value):
            return self._merged(merge, a, b)
        if isinstance(b, Value):
            return self._with_constant_first(kind, np.asarray(a), b)
        assert isinstance(a, Value)
        return self._with_constant(kind, a, np.asarray(b))

    def _merged(self, merge: Callable[[str], Merge], a: Value, b: Value) -> Value:
        if len(a.shape) != len(b.shape):
            self.refuse(
                f"joins samples of shapes {a.shape} and {b.shape}, of which one has the samples on another axis",
                "give both as many axes",
            )
        wanted = np.broadcast_shapes(a.repeated or a.shape, b.repeated or b.shape)
        if np.broadcast_shapes(a.shape, b.shape) == wanted:
            a, b = replace(a, repeated=None), replace(b, repeated=None)
        return self.add(merge(self.free()), a, b)

    def _with_constant_first(self, kind: Binary, a: Array, b: Value) -> Value | Array:
        if kind == "subtract":
            return self._with_constant("add", self._value(self.rescale(b, -1.0)), a)
        if kind == "divide":
            return self._with_constant("multiply", self._value(self.elementwise(b, "reciprocal")), a)
        return self._with_constant(kind, b, a)

    def _with_constant(self, kind: Binary, x: Value, constant: Array) -> Value | Array:
        if constant.size == 1 and constant.ndim <= len(x.shape) + 1:
            return self._with_number(kind, x, float(constant.reshape(-1)[0]))
        shift = self.sample(constant, len(x.shape))
        shape = np.broadcast_shapes(x.repeated or x.shape, shift.shape)
        if shape != (x.repeated or x.shape):
            x = replace(x, repeated=shape)
        if kind in ("add", "subtract"):
            values = self.building.array(shift, kind, np.negative if kind == "subtract" else None)
            return self.add(Affine(self.free(), None, values), x)
        if kind in ("multiply", "divide"):
            values = self.building.array(shift, kind, np.reciprocal if kind == "divide" else None)
            return self.add(Affine(self.free(), values), x)
        # max(x, c) is relu(x - c) + c, and min(x, c) is c - relu(c - x).
        sign = 1 if kind == "maximum" else -1
        above = self._value(self.rescale(self._value(self._with_constant("subtract", x, constant)), sign))
        rectified = self._value(self.elementwise(above, "relu"))
        return self._with_constant("add", self._value(self.rescale(rectified, sign)), constant)

    def _with_number(self, kind: Binary, x: Value, number: float) -> Value | Array:
        match kind:
            case "add":
                return self.rescale(x, 1.0, number)
            case "subtract":
                return self.rescale(x, 1.0, -number)
            case "multiply":
                return self.rescale(x, number)
            case "divide":
                return self.rescale(x, 1 / number if number else math.inf)
            case "maximum":
                return self.clip(x, number, None)
        return self.clip(x, None, number)

    def _value(self, operand: Value | Array) -> Value:
        assert isinstance(operand, Value)
        return operand
