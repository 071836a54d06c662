"""Operations on tensors, by the names that files give them: `program_of` makes layers of one call.

Keras 3 names the class of an operation (`keras.src.ops`), Keras 2 a function of TensorFlow (TFOpLambda, SlicingOpLambda)
or a node of its graphs (TensorFlowOpLayer). Each is looked up in `OPERATIONS`; none is ever called.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NoReturn

import numpy as np

from probe._checks import Array
from probe._errors import InputError, ModelFileError
from probe.kerasfile._calls import Arguments, constant
from probe.kerasfile._config import MAX_AXES, LayerSpec, Shape, instead, parse_json
from probe.kerasfile._steps import Constant, Program, Steps, Value
from probe.layers import (
    AveragePooling2D,
    Dense,
    Elu,
    Flatten,
    Layer,
    LeakyRelu,
    LocalResponseNormalization,
    LogSoftmax,
    MaxPooling2D,
    Pad,
    Relu,
    Resizing,
    Softmax,
    UnitNormalization,
)
from probe.safeh5 import printable, shown

__all__ = ["OPERATIONS", "operation_of", "program_of"]

_MISSING: Any = object()

_IGNORED = {"name", "dtype", "conjugate", "transpose_a", "transpose_b", "adjoint_a", "adjoint_b", "a_is_sparse",
            "b_is_sparse", "initial", "preserve_aspect_ratio", "antialias", "crop_to_aspect_ratio", "pad_to_aspect_ratio",
            "fill_mode", "fill_value", "T", "Tidx", "Tshape", "Tperm", "Tpaddings", "Tdim", "N", "DstT", "SrcT", "Truncate",
            "Index", "_cloned", "data_format", "synchronized"}  # fmt: skip
"""Arguments that mean nothing where they are null, false or a type; see `_Call.check_rest`."""


@dataclass(slots=True)
class _Call:
    """One call of an operation, with readers that refuse what does not fit."""

    spec: LayerSpec
    operation: str
    arguments: Arguments
    read: set[int | str] = field(default_factory=set)

    def refuse(self, problem: str) -> NoReturn:
        self.spec.refuse(
            f"is the operation {printable(self.operation, 60)}, which {problem}; {instead(self.spec)}"
        )

    def get(self, place: int | None, *names: str, default: Any = _MISSING) -> Any:
        """Return an argument by its place or one of its names."""
        if place is not None and place < len(self.arguments.by_position):
            self.read.add(place)
            return self.arguments.by_position[place]
        for name in names:
            if name in self.arguments.by_name:
                self.read.add(name)
                return self.arguments.by_name[name]
        if default is _MISSING:
            self.refuse(f"lacks its argument {names[0] if names else place}")
        return default

    def check_rest(self) -> None:
        """Refuse arguments that were not read and say something."""
        places = set(range(len(self.arguments.by_position))) - self.read
        left = {name: value for name, value in self.arguments.by_name.items() if name not in self.read}
        for place in sorted(places):
            left[str(place)] = self.arguments.by_position[place]
        for name, value in left.items():
            is_type = name in ("dtype", "name") or (name in _IGNORED and isinstance(value, (str, dict)))
            if value is not None and value is not False and not is_type:
                self.refuse(f"is called with {printable(name, 40)} = {shown(value)}, which cannot be read")

    def tensor(self, place: int | None = 0, *names: str) -> Value:
        """Return an argument that is a tensor."""
        value = self.get(place, *names, "x", "input", "inputs", "tensor", "input_tensor", "features", "images", "value")
        if not isinstance(value, Value):
            self.refuse(f"takes {shown(value)} where only a tensor can be read")
        return value

    def operand(self, place: int, *names: str) -> Value | Constant:
        """Return an argument that is a tensor, a number or an array of numbers."""
        value = self.get(place, *names)
        if isinstance(value, Value | np.ndarray):
            return value
        found = constant(self.spec, value)
        return found if isinstance(found, np.ndarray) else self.spec.finite(found)

    def tensors(self, *names: str) -> list[Value]:
        """Return an argument that is a list of tensors."""
        value = self.get(0, *names)
        if not isinstance(value, list) or not value or not all(isinstance(item, Value) for item in value):
            self.refuse("takes a list of tensors, and no constants among them")
        return value

    def number(self, place: int | None, *names: str, default: Any = _MISSING) -> float:
        value = self.get(place, *names, default=default)
        return self.spec.finite(value)

    def integer(self, place: int | None, *names: str, default: Any = _MISSING) -> int:
        (value,) = self.integers(place, *names, default=default)
        return value

    def integers(self, place: int | None, *names: str, default: Any = _MISSING) -> tuple[int, ...]:
        """Return an argument that is an integer or a list of integers."""
        value = self.get(place, *names, default=default)
        value = value.tolist() if isinstance(value, np.ndarray) and value.ndim <= 1 else value
        items = value if isinstance(value, list) else [value]
        items = [int(item) if isinstance(item, float) and item.is_integer() else item for item in items]
        if not 0 < len(items) <= MAX_AXES or not all(type(item) is int and abs(item) < 1 << 40 for item in items):
            self.refuse(f"takes {shown(value)} where only integers can be read")
        return tuple(items)

    def flag(self, *names: str) -> bool:
        value = self.get(None, *names, default=False)
        if value is not None and type(value) is not bool:
            self.refuse(f"takes {shown(value)} where only true or false can be read")
        return bool(value)

    def channels_first(self) -> bool:
        value = self.get(None, "data_format", default=None)
        known = {None: False, "channels_last": False, "NHWC": False, "channels_first": True, "NCHW": True}
        if not isinstance(value, str | None) or value not in known:
            self.refuse(f"has data_format = {shown(value)}, expected channels_last or channels_first")
        return known[value]


_OF_TENSORFLOW = ("TFOpLambda", "SlicingOpLambda")
"""Classes in which Keras 2 kept functions of TensorFlow; they have the name of the function."""

_METHODS = ("ClassMethod", "InstanceMethod", "InstanceProperty")
"""Classes in which Keras 2 kept methods of tensors."""

_NODES = frozenset(
    "Abs Add AddN AddV2 BiasAdd Cast ClipByValue ConcatV2 Div Elu Exp ExpandDims Identity LeakyRelu Log LogSoftmax Max "
    "Maximum Mean Min Minimum Mul Neg Pad PadV2 Pow RealDiv Relu Relu6 Reshape Rsqrt Sigmoid Softmax Softplus Sqrt Square "
    "SquaredDifference Squeeze StridedSlice Sub Sum Tanh Transpose".split()
)
"""Nodes of TensorFlow's graphs that mean what the operation of this name does."""


def operation_of(spec: LayerSpec, entry: Mapping[str, Any]) -> str | None:
    """Return which operation an entry of a model's list of layers is; None if it is a layer.

    Raises
    ------
    ModelFileError
        If it is code.
    """
    config, module = spec.config, entry.get("module")
    if spec.class_name == "Lambda":
        spec.refuse(f"holds program code, which is never run; {instead(spec)}")
    if spec.class_name in _OF_TENSORFLOW:
        function = config.get("function")
        if not isinstance(function, str):
            spec.refuse(f"names the function {shown(function)}, expected text")
        return _known(spec, function)
    if spec.class_name == "TensorFlowOpLayer":
        return _node(spec)[0]
    if spec.class_name in _METHODS:
        spec.refuse(f"is an operation on tensors that cannot be read; {instead(spec)}")
    # The sum of two tensors is an operation that shares its class name with the layer Add.
    bare = "inbound_nodes" in entry and set(config) == {"name"}
    is_operation = bare or (isinstance(module, str) and ".ops." in module)
    return _known(spec, spec.class_name) if is_operation else None


def _known(spec: LayerSpec, operation: str) -> str:
    if operation not in OPERATIONS:
        spec.refuse(f"is the operation {printable(operation, 60)}, which cannot be read; {instead(spec)}")
    return operation


def arguments_of(spec: LayerSpec, called: Arguments) -> Arguments:
    """Return all arguments of an operation: those of the call, and those that stand elsewhere in the file."""
    if spec.class_name in _OF_TENSORFLOW:
        return called
    if spec.class_name != "TensorFlowOpLayer":
        own = {name: value for name, value in spec.config.items() if name not in ("name", "trainable")}
        return Arguments(called.by_position, own | dict(called.by_name))
    operation, attributes = _node(spec)
    (first,) = called.by_position
    inputs = list(first) if isinstance(first, list) else [first]
    constants = spec.config.get("constants") or {}
    if not isinstance(constants, dict) or not all(isinstance(k, str) and k.isdecimal() for k in constants):
        spec.refuse(f"has the constants {shown(constants)}, expected an object")
    for place in sorted(constants, key=int):
        inputs.insert(int(place), constants[place])
    if operation in ("AddN", "ConcatV2"):
        n = len(inputs) - (operation == "ConcatV2")
        inputs = [inputs[:n], *inputs[n:]]
    return Arguments(tuple(inputs), attributes)


def _node(spec: LayerSpec) -> tuple[str, dict[str, Any]]:
    """Return the operation of a node of TensorFlow's graphs, and its attributes."""
    text = spec.config.get("node_def")
    try:
        node = parse_json(text, "node_def") if isinstance(text, str) else text
    except ModelFileError:
        node = None
    operation = node.get("op") if isinstance(node, dict) else None
    if not isinstance(operation, str) or operation not in _NODES:
        known = f" {printable(operation, 40)}" if isinstance(operation, str) else ""
        spec.refuse(f"is the operation{known} of a graph of TensorFlow, which cannot be read; {instead(spec)}")
    stored = node.get("attr")
    attributes = {}
    for name, value in stored.items() if isinstance(stored, dict) else ():
        if not isinstance(value, dict) or len(value) != 1:
            spec.refuse(f"has the attribute {printable(name, 40)} = {shown(value)}, which cannot be read")
        (kind, found), = value.items()
        if kind == "list":
            found = list(found.get("i", [])) if isinstance(found, dict) else found
        attributes[name] = _number_of(found)
    return operation, attributes


def _number_of(value: Any) -> Any:
    """Return a value in which 64-bit integers are text, as JSON of protocol buffers has them, with numbers."""
    if isinstance(value, list):
        return [_number_of(item) for item in value]
    is_integer = isinstance(value, str) and len(value) < 20 and value.lstrip("-").isdecimal()
    return int(value) if is_integer else value


Operation = Callable[[_Call, Steps], Value | list[Value]]


def program_of(spec: LayerSpec, operation: str, arguments: Arguments) -> Program:
    """Return the steps of one call of an operation.

    Raises
    ------
    ModelFileError
        If it is none that can be read, or is called with what cannot be.
    """
    call = _Call(spec, operation, arguments_of(spec, arguments))
    steps = Steps(np.float64 if spec.config.get("dtype") == "float64" else np.float32)
    try:
        outputs = OPERATIONS[operation](call, steps)
    except ModelFileError:
        raise
    except InputError as error:
        call.refuse(str(error))
    call.check_rest()
    return steps.program(*(outputs if isinstance(outputs, list) else [outputs]))


def _binary(kind: str, call: _Call, steps: Steps) -> Value:
    return _of_two(
        steps, kind, call.operand(0, "x1", "x", "a", "value"), call.operand(1, "x2", "y", "b", "bias")
    )


def _of_two(steps: Steps, kind: str, a: Value | Constant, b: Value | Constant) -> Value:
    if not isinstance(a, Value) and not isinstance(b, Value):
        raise InputError("takes no tensor")
    return steps.binary(kind, a, b)


def _bias_add(call: _Call, steps: Steps) -> Value:
    if call.channels_first():
        call.refuse("adds to channels that come first, which cannot be read")
    return _binary("add", call, steps)


def _sum_of_all(call: _Call, steps: Steps) -> Value:
    first, *others = call.tensors("inputs")
    for other in others:
        first = steps.binary("add", first, other)
    return first


def _squared_difference(call: _Call, steps: Steps) -> Value:
    return steps.activated(_binary("subtract", call, steps), "square")


def _power(call: _Call, steps: Steps) -> Value:
    x, exponent = call.tensor(0, "x1", "x"), call.operand(1, "x2", "y")
    if not isinstance(exponent, float):
        call.refuse("has an exponent that is no number")
    return steps.power(x, exponent)


def _activated(activation: Any, call: _Call, steps: Steps) -> Value:
    return steps.activated(call.tensor(0), activation)


def _gelu(call: _Call, steps: Steps) -> Value:
    x = call.tensor(0)
    return steps.activated(x, "gelu_tanh" if call.flag("approximate") else "gelu")


def _with_slope(call: _Call, steps: Steps) -> Value:
    x = call.tensor(0)
    return steps.activated(x, LeakyRelu(call.number(1, "negative_slope", "alpha", default=0.2)))


def _elu(call: _Call, steps: Steps) -> Value:
    x = call.tensor(0)
    return steps.activated(x, Elu(call.number(1, "alpha", default=1.0)))


def _keras_relu(call: _Call, steps: Steps) -> Value:
    x = call.tensor(0)
    top = call.get(None, "max_value", default=None)
    slope, threshold = (call.number(None, name, default=0.0) for name in ("negative_slope", "threshold"))
    return steps.activated(x, Relu(None if top is None else call.spec.finite(top), slope, threshold))


def _softmax(kind: Any, call: _Call, steps: Steps) -> Value:
    x = call.tensor(0, "logits")
    axis = call.get(1, "axis", default=-1)
    axes = (-1,) if axis is None else call.integers(1, "axis", default=-1)
    if 0 in axes:
        call.refuse("works over the axis of the samples")
    return steps.activated(x, kind(axes[0] if len(axes) == 1 else axes))


def _axes(call: _Call, place: int | None = 1) -> tuple[int, ...]:
    if call.get(place, "axis", "axes", "reduction_indices") is None:
        call.refuse("goes over all axes, with that of the samples")
    return call.integers(place, "axis", "axes", "reduction_indices")


def _reduced(kind: str, call: _Call, steps: Steps) -> Value:
    x = call.tensor(0)
    return steps.reduced(x, kind, _axes(call), keepdims=call.flag("keepdims", "keep_dims"))


def _variance(call: _Call, steps: Steps) -> Value:
    x = call.tensor(0)
    return steps.variance(x, _axes(call), keepdims=call.flag("keepdims", "keep_dims"))


def _deviation(call: _Call, steps: Steps) -> Value:
    return steps.activated(_variance(call, steps), "sqrt")


def _rsqrt(call: _Call, steps: Steps) -> Value:
    return steps.power(call.tensor(0), -0.5)


def _unit(call: _Call, steps: Steps) -> Value:
    x, axes = call.tensor(0), call.integers(1, "axis", "dim", default=-1)
    if call.number(None, "order", default=2) != 2:
        call.refuse("has an order other than 2")
    epsilon = call.get(None, "epsilon", default=None)
    return steps.layer(
        UnitNormalization, x, axis=axes, epsilon=1e-12 if epsilon is None else call.spec.finite(epsilon)
    )


def _passed_on(call: _Call, steps: Steps) -> Value:
    x, kind = call.tensor(0), call.get(1, "dtype", "DstT", default=None)
    if isinstance(kind, str) and not kind.removeprefix("DT_").lower().startswith(("float", "bfloat", "half")):
        call.refuse(f"makes {printable(kind, 20)} of its input")
    return steps.activated(x, "linear")


def _concatenated(call: _Call, steps: Steps) -> Value:
    return steps.joined(call.tensors("values", "xs"), call.integer(1, "axis", default=0))


def _stacked(call: _Call, steps: Steps) -> Value:
    xs, axis = call.tensors("values", "xs", "x"), call.integer(1, "axis", default=0)
    return steps.joined([steps.expanded(x, axis) for x in xs], axis)


def _reshaped(call: _Call, steps: Steps) -> Value:
    x, value = call.tensor(0), call.get(1, "newshape", "shape", "target_shape")
    sizes = value.tolist() if isinstance(value, np.ndarray) else value
    items = [-1 if size is None else size for size in sizes] if isinstance(sizes, list) else []
    items = [int(size) if isinstance(size, float) and size.is_integer() else size for size in items]
    is_known = all(type(size) is int and (size == -1 or 0 < size < 1 << 40) for size in items)
    if not 1 < len(items) <= MAX_AXES or not is_known or items[0] != -1:
        call.refuse(f"has the shape {shown(sizes)}, where -1 or null for the samples and sizes can be read")

    def target(shape: Shape) -> Shape:
        rest = tuple(items[1:])
        if -1 not in rest and math.prod(rest) != math.prod(shape):
            raise InputError(f"a shape of {rest} mixes samples of shape {shape}, which cannot be read")
        return rest

    return steps.reshaped(x, target)


def _transposed(call: _Call, steps: Steps) -> Value:
    x = call.tensor(0, "a")
    if call.get(1, "axes", "perm", default=None) is None:
        call.refuse("turns the axis of the samples around with all others")
    axes = call.integers(1, "axes", "perm")
    return steps.permuted(x, lambda rank: [axis % rank if -rank <= axis < rank else -1 for axis in axes])


def _swapped(call: _Call, steps: Steps) -> Value:
    x, first, second = call.tensor(0), call.integer(1, "axis1"), call.integer(2, "axis2")

    def order(rank: int) -> list[int]:
        axes = list(range(rank))
        axes[first], axes[second] = axes[second], axes[first]
        return axes

    return steps.permuted(x, partial(_in_range, order))


def _moved(call: _Call, steps: Steps) -> Value:
    x, source, target = call.tensor(0), call.integers(1, "source"), call.integers(2, "destination")

    def order(rank: int) -> list[int]:
        sizes = np.moveaxis(np.broadcast_to(0, tuple(range(1, rank + 1))), source, target).shape
        return [size - 1 for size in sizes]

    return steps.permuted(x, partial(_in_range, order))


def _in_range(order: Callable[[int], list[int]], rank: int) -> list[int]:
    try:
        return order(rank)
    except (IndexError, ValueError):
        raise InputError(f"axes are named that tensors of {rank} axes lack") from None


def _expanded(call: _Call, steps: Steps) -> Value:
    return steps.expanded(call.tensor(0), call.integer(1, "axis"))


def _squeezed(call: _Call, steps: Steps) -> Value:
    x, axis = call.tensor(0), call.get(1, "axis", "squeeze_dims", default=None)
    axes = None if axis is None or axis == [] else call.integers(1, "axis", "squeeze_dims")

    def target(shape: Shape) -> Shape:
        rank = len(shape) + 1
        gone = {index for index, size in enumerate(shape, 1) if size == 1}
        gone = gone if axes is None else {index % rank for index in axes}
        if not gone.issubset({index for index, size in enumerate(shape, 1) if size == 1}):
            raise InputError(f"axes {axes} of inputs of shape {shape} are not all of length 1")
        return tuple(size for index, size in enumerate(shape, 1) if index not in gone)

    return steps.reshaped(x, target)


def _item(call: _Call, steps: Steps) -> Value:
    x, key = call.tensor(0), call.get(1, "key", "slice_spec")
    return item_of(steps, x, key if isinstance(key, list) else [key])


def item_of(steps: Steps, x: Value, key: list[Any]) -> Value:
    """Add x[key], for slices, integers, an Ellipsis and None."""
    known = all(part is None or part is Ellipsis or type(part) is int or isinstance(part, slice) for part in key)
    if not known or key.count(Ellipsis) > 1 or len(key) > MAX_AXES:
        raise InputError(f"takes the part {shown(key)}, where only slices and integers can be read")
    if any(isinstance(part, slice) and part.step == 0 for part in key):
        raise InputError("takes a part with steps of 0")

    def full(rank: int) -> list[Any]:
        taken = sum(part is not None and part is not Ellipsis for part in key)
        if taken > rank:
            raise InputError(f"the part {shown(key)} is of more axes than tensors with {rank} axes have")
        at = key.index(Ellipsis) if Ellipsis in key else len(key)
        whole = [*key[:at], *[slice(None)] * (rank - taken), *key[at + 1 :]]
        if whole[0] not in (slice(None), slice(None, None, 1), slice(0, None, None), slice(0, None, 1)):
            raise InputError("a part of the samples is taken, which cannot be read")
        return whole[1:]

    def parts(shape: Shape) -> list[slice]:
        found = [part for part in full(len(shape) + 1) if part is not None]
        for part, size in zip(found, shape, strict=True):
            if type(part) is int and not -size <= part < size:
                raise InputError(f"index {part} lies outside of inputs of shape {shape}")
        return [
            slice(part, None if part == -1 else part + 1) if type(part) is int else part for part in found
        ]

    def target(shape: Shape) -> Shape:
        sizes = iter(shape)
        kept = list[int]()
        for part in full(len(shape) + 1):
            if part is None:
                kept.append(1)
            elif type(part) is int:
                next(sizes)
            else:
                kept.append(next(sizes))
        return tuple(kept)

    if any(isinstance(part, slice) and part != slice(None) for part in key[1:]) or any(type(part) is int for part in key):
        x = steps.part(x, parts)
    return steps.reshaped(x, target) if any(part is None or type(part) is int for part in key) else x


def _strided(call: _Call, steps: Steps) -> Value:
    """Add the part that a StridedSlice of TensorFlow's graphs takes."""
    x = call.tensor(0)
    begin, end, strides = (call.integers(place) for place in (1, 2, 3))
    masks = {name: call.integer(None, f"{name}_mask", default=0) for name in ("begin", "end", "ellipsis", "new_axis", "shrink_axis")}
    key = list[Any]()
    for k, (first, last, step) in enumerate(zip(begin, end, strides, strict=True)):
        has = {name: bool(mask >> k & 1) for name, mask in masks.items()}
        if has["ellipsis"]:
            key.append(Ellipsis)
        elif has["new_axis"]:
            key.append(None)
        elif has["shrink_axis"]:
            key.append(first)
        else:
            key.append(slice(None if has["begin"] else first, None if has["end"] else last, step))
    return item_of(steps, x, key)


def _flipped(call: _Call, steps: Steps) -> Value:
    x, axes = call.tensor(0), _axes(call)

    def parts(shape: Shape) -> list[slice]:
        rank = len(shape) + 1
        turned = {axis % rank for axis in axes}
        if 0 in turned:
            raise InputError("the samples are turned around, which cannot be read")
        return [slice(None, None, -1) if axis in turned else slice(None) for axis in range(1, rank)]

    return steps.part(x, parts)


def _padded(call: _Call, steps: Steps) -> Value:
    x, margins = call.tensor(0), call.get(1, "pad_width", "paddings")
    rows = margins.astype(int).tolist() if isinstance(margins, np.ndarray) else margins
    mode = str(call.get(2, "mode", default="constant")).lower()
    value = call.get(3, "constant_values", default=None)
    number = 0.0 if value is None else call.spec.finite(value)
    pairs = [tuple(row) for row in rows] if isinstance(rows, list) and all(isinstance(row, list) for row in rows) else []
    regular = all(len(pair) == 2 and all(type(n) is int and 0 <= n < 1 << 28 for n in pair) for pair in pairs)
    if len(pairs) < 2 or not regular or pairs[0] != (0, 0):
        call.refuse(f"has the margins {shown(rows)}, expected a pair for each axis, and none around the samples")
    if mode not in ("constant", "reflect", "edge"):
        call.refuse(f"pads by {printable(mode, 20)}, expected constant, reflect or edge")
    return steps.layer(Pad, x, margins=tuple(pairs[1:]), mode=mode, value=number)


def _clipped(call: _Call, steps: Steps) -> Value:
    x = call.tensor(0, "t")
    low = call.number(1, "x_min", "clip_value_min", "min_value")
    return steps.clipped(x, low, call.number(2, "x_max", "clip_value_max", "max_value"))


def _split(call: _Call, steps: Steps) -> list[Value]:
    x, where = call.tensor(0), call.integers(1, "indices_or_sections", "num_or_size_splits")
    axis, is_count = call.integer(2, "axis", default=0), not isinstance(call.get(1, "indices_or_sections", "num_or_size_splits"), list)
    if axis == 0:
        call.refuse("splits the samples")
    is_sizes = "num_or_size_splits" in call.arguments.by_name
    n = where[0] if is_count else len(where) + (not is_sizes)
    if not 0 < n <= MAX_AXES * 32:
        call.refuse(f"makes {n} parts")

    def parts(number: int, shape: Shape) -> list[slice]:
        index = axis % (len(shape) + 1) - 1
        size = shape[index] if 0 <= index < len(shape) else 0
        if is_count:
            ends = [size * k // n for k in range(n + 1)]
        else:
            ends = [0, *(np.cumsum(where).tolist() if is_sizes else [*where, size])]
        if (is_count and size % n) or size == 0 or ends != sorted(ends) or ends[-1] != size:
            raise InputError(f"inputs of shape {shape} cannot be split into {n} parts along axis {axis}")
        return [slice(ends[number], ends[number + 1]) if k == index else slice(None) for k in range(len(shape))]

    return [steps.part(x, partial(parts, number)) for number in range(n)]


def _multiplied(call: _Call, steps: Steps) -> Value:
    x, kernel = call.tensor(0, "x1", "a"), call.operand(1, "x2", "b")
    if not isinstance(kernel, np.ndarray) or kernel.ndim != 2:
        call.refuse("multiplies tensors as matrices, which can be read with a constant matrix only")
    matrix: Array = kernel.astype(steps.dtype)
    return steps.add(lambda name, _shapes: Dense(name, matrix), x)


def _grey(call: _Call, steps: Steps) -> Value:
    x = call.tensor(0)
    # Rec. 601, as TensorFlow has it.
    matrix = np.array([[0.2989], [0.5870], [0.1140]], steps.dtype)
    return steps.add(lambda name, _shapes: Dense(name, matrix), x)


def _responses(call: _Call, steps: Steps) -> Value:
    x, radius = call.tensor(0), call.integer(1, "depth_radius", default=5)
    size = 2 * radius + 1
    bias, alpha, beta = (
        call.number(place, name, default=value)
        for place, (name, value) in enumerate((("bias", 1.0), ("alpha", 1.0), ("beta", 0.5)), start=2)
    )
    # TensorFlow multiplies the sum of the squares, and not their mean.
    return steps.layer(LocalResponseNormalization, x, size=size, alpha=alpha * size, beta=beta, k=bias)


def _resized(call: _Call, steps: Steps) -> Value:
    x, size = call.tensor(0), call.integers(1, "size")
    kind = str(call.get(2, "interpolation", "method", default="bilinear")).lower()
    if len(size) != 2 or min(size) < 1:
        call.refuse(f"has the size {shown(list(size))}, expected a height and a width")
    data_format = "channels_first" if call.channels_first() else "channels_last"
    return steps.layer(
        Resizing,
        x,
        height=size[0],
        width=size[1],
        interpolation=kind,
        data_format=data_format,
        antialias=call.flag("antialias"),
    )


def _pooled(kind: Callable[..., Layer], call: _Call, steps: Steps) -> Value:
    x = call.tensor(0)
    window = _square(call, call.integers(1, "pool_size", "ksize"))
    strides = call.get(2, "strides", default=None)
    steps_ = window if strides is None else _square(call, call.integers(2, "strides"))
    padding = str(call.get(3, "padding", default="valid")).lower()
    if padding not in ("valid", "same"):
        call.refuse(f"has padding = {printable(padding, 20)}, expected valid or same")
    data_format = "channels_first" if call.channels_first() else "channels_last"
    return steps.layer(
        kind, x, pool_size=window, strides=steps_, padding=padding, data_format=data_format
    )


def _square(call: _Call, sizes: tuple[int, ...]) -> tuple[int, int]:
    inner = sizes * 2 if len(sizes) == 1 else sizes[1:3] if len(sizes) == 4 and sizes[::3] == (1, 1) else sizes
    if len(inner) != 2 or min(inner) < 1:
        call.refuse(f"has windows of {shown(list(sizes))}, expected those of images")
    return inner[0], inner[1]


def _named(names: Mapping[str, str]) -> dict[str, Operation]:
    """Return the operations that are an activation, by all their names."""
    return {name: partial(_activated, activation) for names_, activation in names.items() for name in names_.split()}


def _all(names: str, operation: Operation) -> dict[str, Operation]:
    return dict.fromkeys(names.split(), operation)


OPERATIONS: dict[str, Operation] = {
    **_all("Add math.add __operators__.add add AddV2", partial(_binary, "add")),
    **_all("Subtract math.subtract __operators__.sub subtract Sub", partial(_binary, "subtract")),
    **_all("Multiply math.multiply __operators__.mul multiply Mul", partial(_binary, "multiply")),
    **_all("Divide TrueDivide math.truediv math.divide __operators__.truediv divide truediv RealDiv Div",
           partial(_binary, "divide")),
    **_all("Maximum math.maximum maximum", partial(_binary, "maximum")),
    **_all("Minimum math.minimum minimum", partial(_binary, "minimum")),
    **_all("nn.bias_add BiasAdd", _bias_add),
    **_all("math.add_n AddN", _sum_of_all),
    **_all("math.squared_difference SquaredDifference", _squared_difference),
    **_all("Power math.pow __operators__.pow pow Pow", _power),
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
        "Squareplus": "squareplus",
        "SparsePlus": "sparse_plus",
        "SparseSigmoid": "sparse_sigmoid",
        "Exp math.exp exp": "exponential",
        "Log math.log": "log",
        "Absolute Abs math.abs abs": "abs",
        "Square math.square square": "square",
        "Sqrt math.sqrt sqrt": "sqrt",
        "Reciprocal math.reciprocal Inv": "reciprocal",
    }),
    **_all("Negative math.negative __operators__.neg negative Neg", lambda call, steps: steps.scaled(call.tensor(0), -1.0)),
    **_all("Gelu nn.gelu", _gelu),
    **_all("LeakyRelu nn.leaky_relu", _with_slope),
    **_all("Elu nn.elu Celu1", _elu),
    **_all("keras.activations.relu", _keras_relu),
    **_all("Softmax nn.softmax", partial(_softmax, Softmax)),
    **_all("LogSoftmax nn.log_softmax", partial(_softmax, LogSoftmax)),
    **{name: partial(_reduced, kind)
       for kind in ("mean", "sum", "max", "min")
       for name in (kind.capitalize(), f"math.reduce_{kind}", f"reduce_{kind}")},
    **_all("Amax", partial(_reduced, "max")),
    **_all("Amin", partial(_reduced, "min")),
    **_all("Var math.reduce_variance", _variance),
    **_all("Std math.reduce_std", _deviation),
    **_all("Rsqrt math.rsqrt", _rsqrt),
    **_all("Normalize math.l2_normalize nn.l2_normalize linalg.l2_normalize", _unit),
    **_all("Cast cast Identity identity StopGradient stop_gradient convert_to_tensor ConvertToTensor Copy", _passed_on),
    **_all("Concatenate concat ConcatV2", _concatenated),
    **_all("Stack stack Pack", _stacked),
    **_all("Reshape reshape", _reshaped),
    **_all("Transpose transpose compat.v1.transpose", _transposed),
    **_all("Swapaxes", _swapped),
    **_all("Moveaxis", _moved),
    **_all("ExpandDims expand_dims", _expanded),
    **_all("Squeeze squeeze compat.v1.squeeze", _squeezed),
    **_all("GetItem __operators__.getitem", _item),
    **_all("StridedSlice", _strided),
    **_all("Flip reverse", _flipped),
    **_all("Pad PadV2 pad compat.v1.pad MirrorPad", _padded),
    **_all("Clip clip_by_value ClipByValue", _clipped),
    **_all("Split split", _split),
    **_all("Matmul linalg.matmul matmul MatMul", _multiplied),
    **_all("Resize image.resize", _resized),
    **_all("keras.backend.batch_flatten", lambda call, steps: steps.layer(Flatten, call.tensor(0))),
    **_all("image.rgb_to_grayscale", _grey),
    **_all("nn.local_response_normalization", _responses),
    **_all("MaxPool nn.max_pool nn.max_pool2d compat.v1.nn.max_pool", partial(_pooled, MaxPooling2D)),
    **_all("AveragePool nn.avg_pool nn.avg_pool2d compat.v1.nn.avg_pool", partial(_pooled, AveragePooling2D)),
}  # fmt: skip
"""What can be read, by all names that files have for it."""
