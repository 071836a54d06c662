"""What takes the place of code in a file: steps, each of which becomes a layer once the shapes of its inputs are known.

An operation on tensors and an expression in place of a Lambda layer are both a `Program` of such steps.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from probe._checks import Array
from probe._errors import InputError
from probe.kerasfile._config import LayerSpec, Shape
from probe.kerasfile._images import IMAGES
from probe.kerasfile._kinds import LayerKind, Settings, Variables
from probe.layers import (
    Activation,
    ActivationLayer,
    Add,
    Affine,
    Clip,
    Concatenate,
    Divide,
    Layer,
    Maximum,
    Minimum,
    Multiply,
    Permute,
    Power,
    Reduce,
    Rescaling,
    Reshape,
    Slice,
    Subtract,
)

__all__ = ["MERGES", "STEP", "Constant", "Program", "Step", "StepSpec", "Steps", "Value", "part_of"]

Made = Callable[[str, tuple[Shape, ...]], Layer]
"""Maps a name and the shapes of the inputs to the layer."""

Constant = float | Array

MERGES: dict[str, type[Layer]] = {
    "add": Add,
    "subtract": Subtract,
    "multiply": Multiply,
    "divide": Divide,
    "maximum": Maximum,
    "minimum": Minimum,
}
"""The operations of two tensors."""


@dataclass(frozen=True, slots=True)
class Value:
    """A tensor: what the step with this number gives, or -1 - k for the k-th tensor that is put in."""

    index: int


@dataclass(frozen=True, slots=True)
class Step:
    """One layer to be, and the tensors that it reads; see `Value`."""

    made: Made
    reads: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Program:
    """Steps in the order of evaluation, and the tensors that come out of them."""

    steps: tuple[Step, ...]
    outputs: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class StepSpec(LayerSpec):
    """A step as a layer of the model: it has no settings and no weights in the file."""

    step: Step | None = None


class _StepKind(LayerKind):
    """How steps are read: they know which layer they are."""

    __slots__ = ()

    def read_for(self, spec: LayerSpec, shapes: Sequence[Shape]) -> Settings:
        """Return the layer itself."""
        assert isinstance(spec, StepSpec)
        assert spec.step is not None
        layer = spec.step.made(spec.name, tuple(shapes))
        return {"layer": layer, "activation_name": layer.activation}

    def variable_shapes(self, spec: LayerSpec, shape: Shape) -> Variables:
        """Return none: what the layer is made of is not stored as weights."""
        return {}

    def prepared(self, variables: Mapping[str, Array]) -> dict[str, Array | None]:
        """Return none."""
        return {}

    def build(self, spec: LayerSpec, settings: Settings, prepared: object) -> Layer:
        """Return the layer that was made."""
        layer: Layer = settings["layer"]
        return layer

    def shape_of(self, spec: LayerSpec, settings: Settings, shapes: Sequence[Shape], most: int) -> Shape:
        """Return the shape of one output, where what the layer of the same class in a file needs is not too much."""
        shape = super().shape_of(spec, settings, shapes, most)
        layer: Layer = settings["layer"]
        kind = IMAGES.get(layer.keras_name)
        if kind is not None:
            kind.check_buffer(LayerSpec(layer.keras_name, spec.name, kind.written(layer)), shapes[0], most)
        return shape

    def output_shape_for(self, spec: LayerSpec, settings: Settings, shapes: Sequence[Shape]) -> Shape:
        """Return what the layer says."""
        layer: Layer = settings["layer"]
        return layer.output_shape(*shapes)


STEP = _StepKind(ActivationLayer)
"""How all steps are read."""


@dataclass(slots=True)
class Steps:
    """The steps so far."""

    dtype: type[np.floating] = np.float32
    steps: list[Step] = field(default_factory=list)

    def program(self, *outputs: Value) -> Program:
        """Return the program that gives `outputs`; what is put in is passed on by a layer of its own."""
        ends = [self.activated(value, "linear") if value.index < 0 else value for value in outputs]
        return Program(tuple(self.steps), tuple(value.index for value in ends))

    def add(self, made: Made, *reads: Value) -> Value:
        """Add a step, and return its value."""
        self.steps.append(Step(made, tuple(value.index for value in reads)))
        return Value(len(self.steps) - 1)

    def layer(self, kind: Callable[..., Layer], /, *reads: Value, **settings: object) -> Value:
        """Add a layer whose settings do not depend on shapes."""
        return self.add(lambda name, _shapes: kind(name, **settings), *reads)

    def activated(self, x: Value, activation: str | Activation) -> Value:
        """Add an activation."""
        return self.layer(ActivationLayer, x, activation_name=activation)

    def scaled(self, x: Value, scale: Constant = 1.0, shift: Constant = 0.0) -> Value:
        """Add x * scale + shift; arrays go with all of x as NumPy broadcasts, with the axis of the samples."""
        if not isinstance(scale, np.ndarray) and not isinstance(shift, np.ndarray):
            return self.layer(Rescaling, x, scale=scale, offset=shift)
        return self.add(partial(_affine, self.dtype, scale, shift), x)

    def binary(self, kind: str, a: Value | Constant, b: Value | Constant) -> Value:
        """Add one of `MERGES`, of a tensor and a tensor or constant, in this order.

        Raises
        ------
        InputError
            If there is no such layer; the message says what the operation does that is not read.
        """
        if isinstance(a, Value) and isinstance(b, Value):
            return self.add(partial(_merge, MERGES[kind]), a, b)
        x, constant = (a, b) if isinstance(a, Value) else (b, a)
        assert isinstance(x, Value)
        assert not isinstance(constant, Value)
        match kind:
            case "add":
                return self.scaled(x, 1.0, constant)
            case "subtract":
                return self.scaled(x, 1.0, -constant) if x is a else self.scaled(x, -1.0, constant)
            case "multiply":
                return self.scaled(x, constant)
            case "divide" if x is a:
                if not np.all(constant):
                    raise InputError("divides by zero")
                return self.scaled(x, 1 / constant)
            case "divide":
                return self.scaled(self.activated(x, "reciprocal"), constant)
        if isinstance(constant, np.ndarray):
            raise InputError(f"takes the {kind} of a tensor and an array, where only numbers can be read")
        return self.clipped(x, *((constant, None) if kind == "maximum" else (None, constant)))

    def clipped(self, x: Value, low: float | None, high: float | None) -> Value:
        """Add max(low, min(x, high)); None for no limit."""
        return self.activated(x, Clip(low, high))

    def power(self, x: Value, exponent: float) -> Value:
        """Add x to the power of a number."""
        named = {1.0: "linear", 2.0: "square", 0.5: "sqrt", -1.0: "reciprocal"}
        return self.activated(x, named.get(exponent) or Power(exponent))

    def reduced(self, x: Value, kind: str, axes: tuple[int, ...], *, keepdims: bool) -> Value:
        """Add a mean, sum, maximum or minimum over axes, counted with that of the samples."""
        return self.layer(Reduce, x, kind=kind, axes=axes, keepdims=keepdims)

    def variance(self, x: Value, axes: tuple[int, ...], *, keepdims: bool) -> Value:
        """Add the variance over axes."""
        deviation = self.add(partial(_merge, Subtract), x, self.reduced(x, "mean", axes, keepdims=True))
        return self.reduced(self.activated(deviation, "square"), "mean", axes, keepdims=keepdims)

    def permuted(self, x: Value, order: Callable[[int], Sequence[int]]) -> Value:
        """Add an order of axes; `order` maps their number, with that of the samples, to the order of all."""

        def made(name: str, shapes: tuple[Shape, ...]) -> Layer:
            axes = list(order(len(shapes[0]) + 1))
            if axes[:1] != [0]:
                raise InputError(f"layer '{name}' moves the axis of the samples, which is not read")
            return Permute(name, tuple(axes[1:]))

        return self.add(made, x)

    def reshaped(self, x: Value, target: Callable[[Shape], Shape]) -> Value:
        """Add another shape; `target` maps the shape of one sample to it."""
        return self.add(lambda name, shapes: Reshape(name, target(shapes[0])), x)

    def expanded(self, x: Value, axis: int) -> Value:
        """Add an axis of length 1, which is `axis` of the result, counted with that of the samples."""

        def target(shape: Shape) -> Shape:
            index = axis % (len(shape) + 2) - 1
            if not -len(shape) - 2 <= axis < len(shape) + 2 or index < 0:
                raise InputError(
                    f"axis {axis} cannot be put into inputs of shape {shape} with their samples in front"
                )
            return (*shape[:index], 1, *shape[index:])

        return self.reshaped(x, target)

    def joined(self, xs: Sequence[Value], axis: int) -> Value:
        """Add the tensors one after the other along an axis."""
        return xs[0] if len(xs) == 1 else self.layer(Concatenate, *xs, axis=axis)

    def part(self, x: Value, parts: Callable[[Shape], Sequence[slice]]) -> Value:
        """Add a part of each sample; `parts` maps its shape to one slice for each axis."""

        def made(name: str, shapes: tuple[Shape, ...]) -> Layer:
            found = list(parts(shapes[0]))
            return Slice(
                name,
                tuple(part.start for part in found),
                tuple(part.stop for part in found),
                tuple(1 if part.step is None else part.step for part in found),
            )

        return self.add(made, x)


def part_of(axis: int, n: int, number: int, shape: Shape) -> list[slice]:
    """Return slices of a sample for one of `n` equal parts along an axis, counted with that of the samples."""
    index = axis % (len(shape) + 1) - 1
    if not -len(shape) - 1 <= axis <= len(shape) or index < 0 or shape[index] % n:
        raise InputError(f"inputs of shape {shape} cannot be split into {n} parts along axis {axis}")
    size = shape[index] // n
    own = slice(number * size, (number + 1) * size)
    return [own if k == index else slice(None) for k in range(len(shape))]


def _merge(kind: type[Layer], name: str, shapes: tuple[Shape, ...]) -> Layer:
    # Of tensors, unlike of layers, the axis of the samples of one would meet another axis of the other.
    if len({len(shape) for shape in shapes}) > 1:
        raise InputError(
            f"layer '{name}' takes tensors of different numbers of axes: {', '.join(map(str, shapes))}"
        )
    layer: Layer = kind(name)  # type: ignore[call-arg]
    return layer


def _affine(
    dtype: type[np.floating], scale: Constant, shift: Constant, name: str, shapes: tuple[Shape, ...]
) -> Layer:
    rank = len(shapes[0])

    def array(constant: Constant, neutral: float) -> Array | None:
        if not isinstance(constant, np.ndarray):
            return None if constant == neutral else np.full((1,) * rank, constant, dtype)
        # All samples have one and the same.
        inner = constant[0] if constant.ndim == rank + 1 and constant.shape[0] == 1 else constant
        return inner.astype(dtype)

    return Affine(name, array(scale, 1.0), array(shift, 0.0))
