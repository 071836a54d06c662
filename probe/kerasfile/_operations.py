"""Operations on tensors, by the names that files give them: `program_of` makes layers of one call.

Keras 3 names the class of an operation (`keras.src.ops`), Keras 2 a function of TensorFlow (TFOpLambda, SlicingOpLambda)
or a node of its graphs (TensorFlowOpLayer). Each is looked up in `OPERATIONS`; none is ever called.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from probe._errors import InputError, ModelFileError
from probe.kerasfile._arithmetic import ARITHMETIC
from probe.kerasfile._called import OperationCall
from probe.kerasfile._calls import Arguments
from probe.kerasfile._config import LayerSpec, instead, parse_json
from probe.kerasfile._layers import KINDS
from probe.kerasfile._rearranging import REARRANGING
from probe.kerasfile._steps import Program, Steps
from probe.safeh5 import printable, shown

__all__ = ["operation_of", "program_of"]

OPERATIONS = ARITHMETIC | REARRANGING
"""What can be read, by all names that files have for it."""

_OF_TENSORFLOW = ("TFOpLambda", "SlicingOpLambda")
"""Classes in which Keras 2 kept functions of TensorFlow; they have the name of the function."""

_PLACE, _INTEGER = re.compile(r"\d{1,3}", re.ASCII), re.compile(r"-?\d{1,19}", re.ASCII)

_METHODS = ("ClassMethod", "InstanceMethod", "InstanceProperty")
"""Classes in which Keras 2 kept methods of tensors."""

_NODES = frozenset(
    [
        "Abs",
        "Add",
        "AddN",
        "AddV2",
        "BiasAdd",
        "Cast",
        "ClipByValue",
        "ConcatV2",
        "Div",
        "Elu",
        "Exp",
        "ExpandDims",
        "Identity",
        "LeakyRelu",
        "Log",
        "LogSoftmax",
        "Max",
        "Maximum",
        "Mean",
        "Min",
        "Minimum",
        "Mul",
        "Neg",
        "Pad",
        "PadV2",
        "Pow",
        "RealDiv",
        "Relu",
        "Relu6",
        "Reshape",
        "Rsqrt",
        "Sigmoid",
        "Softmax",
        "Softplus",
        "Sqrt",
        "Square",
        "SquaredDifference",
        "Squeeze",
        "StridedSlice",
        "Sub",
        "Sum",
        "Tanh",
        "Transpose",
    ]
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
    # The sum of two tensors is an operation that shares its class name with the layer Add, which has a type.
    in_graph = module is None and "inbound_nodes" in entry
    has_settings = "trainable" in config or "dtype" in config
    bare = in_graph and (set(config) == {"name"} or (spec.class_name in OPERATIONS and not has_settings))
    unknown = in_graph and spec.class_name in OPERATIONS and spec.class_name not in KINDS
    is_operation = bare or unknown or (isinstance(module, str) and ".ops." in module)
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
    if not isinstance(constants, dict) or not all(map(_PLACE.fullmatch, constants)):
        spec.refuse(f"has the constants {shown(constants)}, expected those of inputs by their numbers")
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
    node = node if isinstance(node, dict) else {}
    operation = node.get("op")
    if not isinstance(operation, str) or operation not in _NODES:
        known = f" {printable(operation, 40)}" if isinstance(operation, str) else ""
        spec.refuse(
            f"is the operation{known} of a graph of TensorFlow, which cannot be read; {instead(spec)}"
        )
    stored = node.get("attr")
    attributes = {}
    for name, value in stored.items() if isinstance(stored, dict) else ():
        if not isinstance(value, dict) or len(value) != 1:
            spec.refuse(f"has the attribute {printable(name, 40)} = {shown(value)}, which cannot be read")
        ((kind, found),) = value.items()
        if kind == "list":
            found = list(found.get("i", [])) if isinstance(found, dict) else found
        attributes[name] = _number_of(found)
    return operation, attributes


def _number_of(value: Any) -> Any:
    """Return a value in which 64-bit integers are text, as JSON of protocol buffers has them, with numbers."""
    if isinstance(value, list):
        return [_number_of(item) for item in value]
    return int(value) if isinstance(value, str) and _INTEGER.fullmatch(value) else value


def program_of(spec: LayerSpec, operation: str, arguments: Arguments) -> Program:
    """Return the steps of one call of an operation.

    Raises
    ------
    ModelFileError
        If it is none that can be read, or is called with what cannot be.
    """
    call = OperationCall(spec, operation, arguments_of(spec, arguments))
    steps = Steps(np.float64 if spec.config.get("dtype") == "float64" else np.float32)
    try:
        outputs = OPERATIONS[operation](call, steps)
    except ModelFileError:
        raise
    except InputError as error:
        call.refuse(str(error))
    call.check_rest()
    return steps.program(*(outputs if isinstance(outputs, list) else [outputs]))
