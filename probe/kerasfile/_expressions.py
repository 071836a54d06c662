"""What a user says that a layer computes, such as "x / 127.5 - 1": parsed into steps, never evaluated.

The language has x (what the layer reads), numbers, [lists, of numbers] along the last axis, + - * / and parentheses, x ** n,
and functions by name: activations such as relu(x), and those of `_CALLED`.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np

from probe._errors import InputError, ModelFileError
from probe.kerasfile._steps import Constant, Program, Steps, Value
from probe.layers import ACTIVATIONS, FUNCTIONS, CenterCrop, Cropping2D, LogSoftmax, Resizing, Softmax
from probe.safeh5 import listed, printable

__all__ = ["replacement"]

MOST_LETTERS = 500
"""Longest expression."""

_RESIZED = {
    "resize": "half_pixel",
    "resize_align_corners": "align_corners",
    "resize_asymmetric": "asymmetric",
}
"""Where the pixels of each kind of `resize` lie; TensorFlow 1 had the others, the last by default."""

_CALLED = ("clip", "crop", "maximum", "minimum", *_RESIZED, "center_crop")
"""Functions beside the activations; `_Reading.called` says what they take."""


@dataclass(frozen=True, slots=True)
class _Scaled:
    """A tensor that is still to be multiplied and shifted: sums and products of numbers make one layer."""

    value: Value
    scale: Constant = 1.0
    shift: Constant = 0.0


_Term = _Scaled | Constant

_OPERATORS: dict[type[ast.operator], str] = {
    ast.Add: "add",
    ast.Sub: "subtract",
    ast.Mult: "multiply",
    ast.Div: "divide",
    ast.Pow: "power",
}


def replacement(layer: str, expression: str) -> Program:
    """Return what an expression says that a layer computes.

    Raises
    ------
    ModelFileError
        If it is none of this language, or does not depend on x.

    Examples
    --------
    >>> len(replacement("scale", "relu(x / 127.5 - 1)").steps)
    2
    """
    reading = _Reading(layer, expression)
    if len(expression) > MOST_LETTERS:
        reading.refuse(f"has more than {MOST_LETTERS} letters")
    try:
        tree = ast.parse(expression.strip(), mode="eval")
        found = reading.term(tree.body)
        if not isinstance(found, _Scaled):
            reading.refuse("does not depend on x")
        return reading.steps.program(reading.tensor(found))
    except ModelFileError:
        raise
    except InputError as error:
        reading.refuse(str(error))
    except (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError, ZeroDivisionError):
        reading.refuse("is no expression such as x / 127.5 - 1")


class _Reading:
    """One expression, and the steps that it makes."""

    def __init__(self, layer: str, expression: str) -> None:
        self.layer, self.expression = layer, expression
        self.steps = Steps()

    def refuse(self, problem: str) -> NoReturn:
        raise ModelFileError(
            f"the replacement of layer '{printable(self.layer, 60)}', {printable(repr(self.expression), 120)}, {problem}"
        )

    def tensor(self, scaled: _Scaled) -> Value:
        """Return the tensor, with what it is still to be multiplied by and shifted."""
        is_itself = all(
            not isinstance(constant, np.ndarray) and constant == neutral
            for constant, neutral in ((scaled.scale, 1.0), (scaled.shift, 0.0))
        )
        return scaled.value if is_itself else self.steps.scaled(scaled.value, scaled.scale, scaled.shift)

    def term(self, node: ast.expr) -> _Term:
        match node:
            case ast.Name(id="x"):
                return _Scaled(Value(-1))
            case ast.Constant(value=int() | float() as value) if not isinstance(value, bool):
                return self.finite(float(value))
            case ast.List(elts=[_, *_] as items) | ast.Tuple(elts=[_, *_] as items):
                return np.array([self.number(item) for item in items])
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return self.combined("multiply", self.term(operand), -1.0)
            case ast.UnaryOp(op=ast.UAdd(), operand=operand):
                return self.term(operand)
            case ast.BinOp(left=left, op=operator, right=right) if type(operator) in _OPERATORS:
                return self.combined(_OPERATORS[type(operator)], self.term(left), self.term(right))
            case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]):
                return self.called(name, arguments)
        return self.unknown(node)

    def unknown(self, node: ast.expr) -> NoReturn:
        what = printable(ast.unparse(node), 40)
        self.refuse(
            f"has {what!r}, which is none of x, numbers, lists of numbers, + - * / **, parentheses, "
            f"{', '.join(_CALLED)} and activations such as relu"
        )

    def number(self, node: ast.expr) -> float:
        value = self.term(node)
        if not isinstance(value, float):
            self.refuse(f"has {printable(ast.unparse(node), 40)!r} where a number belongs")
        return value

    def finite(self, value: float) -> float:
        if not abs(value) < 1e30:
            self.refuse("has a number that is none or too large")
        return value

    def combined(self, kind: str, a: _Term, b: _Term) -> _Term:
        """Return a combination of two terms; constants are folded where they can be."""
        if not isinstance(a, _Scaled) and not isinstance(b, _Scaled):
            if kind == "power" and not (isinstance(a, float) and isinstance(b, float)):
                self.refuse("has a power of or with a list")
            folded: Constant = _FOLDED[kind](a, b)
            if not np.all(np.isfinite(folded)):
                self.refuse("has a number that is none or too large")
            return folded
        if kind == "power":
            if not isinstance(a, _Scaled) or not isinstance(b, float):
                self.refuse("has a power other than of x with a number above it")
            return _Scaled(self.steps.power(self.tensor(a), b))
        if isinstance(a, _Scaled) and isinstance(b, _Scaled):
            return _Scaled(self.steps.binary(kind, self.tensor(a), self.tensor(b)))
        if isinstance(b, _Scaled):
            assert not isinstance(a, _Scaled)
            match kind:
                case "subtract":
                    return _Scaled(b.value, -b.scale, a - b.shift)
                case "divide":
                    return _Scaled(self.steps.activated(self.tensor(b), "reciprocal"), a)
            a, b = b, a
        assert isinstance(a, _Scaled)
        assert not isinstance(b, _Scaled)
        match kind:
            case "add":
                return _Scaled(a.value, a.scale, a.shift + b)
            case "subtract":
                return _Scaled(a.value, a.scale, a.shift - b)
            case "multiply":
                return _Scaled(a.value, a.scale * b, a.shift * b)
        if not np.all(b):
            self.refuse("divides by zero")
        return _Scaled(a.value, a.scale / b, a.shift / b)

    def called(self, name: str, arguments: list[ast.expr]) -> _Term:
        if not arguments:
            self.refuse(f"has {printable(name, 40)}() without what it is of")
        first = self.term(arguments[0])
        if not isinstance(first, _Scaled):
            self.refuse(f"has {printable(name, 40)} of what does not depend on x")
        x = self.tensor(first)
        if name in ("maximum", "minimum") and len(arguments) == 2:
            other = self.term(arguments[1])
            return _Scaled(
                self.steps.binary(name, x, self.tensor(other) if isinstance(other, _Scaled) else other)
            )
        numbers = [self.number(argument) for argument in arguments[1:]]
        made = self.applied(name, x, numbers)
        if made is None:
            self.refuse(
                f"has {printable(name, 40)} of {len(arguments)} arguments; known are clip(x, low, high), maximum(x, y), "
                "minimum(x, y), crop(x, top, bottom, left, right), center_crop(x, height, width), resize(x, height, "
                f"width), {', '.join(list(_RESIZED)[1:])} and of x alone "
                f"{listed([*ACTIVATIONS, *FUNCTIONS, 'softmax', 'log_softmax'], 60)}"
            )
        return _Scaled(made)

    def applied(self, name: str, x: Value, numbers: list[float]) -> Value | None:
        """Return a function of x and numbers, or None if there is none."""
        softmaxes: dict[str, Any] = {"softmax": Softmax, "log_softmax": LogSoftmax}
        whole = [int(number) for number in numbers if number.is_integer() and 0 <= number < 1 << 20]
        are_whole = len(whole) == len(numbers)
        match name, len(numbers):
            case "clip", 2:
                return self.steps.clipped(x, *numbers)
            case "crop", 4 if are_whole:
                return self.steps.layer(Cropping2D, x, cropping=((whole[0], whole[1]), (whole[2], whole[3])))
            case "center_crop", 2 if are_whole:
                return self.steps.layer(CenterCrop, x, height=whole[0], width=whole[1])
            case _, 2 if are_whole and name in _RESIZED:
                return self.steps.layer(
                    Resizing, x, height=whole[0], width=whole[1], coordinates=_RESIZED[name]
                )
            case _, 0 if name in ACTIVATIONS or name in FUNCTIONS:
                return self.steps.activated(x, name)
            case _, 0 if name in softmaxes:
                return self.steps.activated(x, softmaxes[name]())
        return None


_FOLDED: dict[str, Callable[[Any, Any], Any]] = {
    "add": lambda a, b: a + b,
    "subtract": lambda a, b: a - b,
    "multiply": lambda a, b: a * b,
    "divide": lambda a, b: a / b,
    "power": lambda a, b: math.pow(a, b),
}
"""Arithmetic of constants."""
