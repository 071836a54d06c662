"""A network from the graph of an ONNX file: which nodes count, what each reads, and what is in the way."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping

import numpy as np

from probe._checks import Array, InputError, ModelFileError
from probe.imports._building import Building, Value
from probe.imports._safetensors import check_fitting
from probe.imports.onnx._call import Call, Erf, Operand
from probe.imports.onnx._constants import FOLDED, GROWTH, Budget, fold
from probe.imports.onnx._elementwise import ELEMENTWISE
from probe.imports.onnx._images import IMAGES
from probe.imports.onnx._layout import batch_of, graph_input
from probe.imports.onnx._model import AnyArray, Graph, Input, Node, quoted
from probe.imports.onnx._names import class_names_of, layer_name
from probe.imports.onnx._shaping import SHAPING
from probe.imports.onnx._sizes import SIZES
from probe.layers import ActivationLayer, Concatenate, Permute, Rescaling
from probe.network import Network
from probe.safeh5 import Limits

__all__ = ["Construction"]

OPERATORS: Mapping[str, Callable[[Call], Operand | list[Operand]]] = {
    **ELEMENTWISE,
    **IMAGES,
    **SHAPING,
    **SIZES,
}

MOST_LAYERS = 3000
"""Nodes that become layers; the largest classifiers have about 1,000."""

NO_LIMIT = 1 << 60
"""More bytes than there are: the file is one's own."""

_REALS = (1, 10, 11, 16)
"""Types of outputs that are no labels."""

_HALVES = (10, 16)

_EXACT = {
    "Clip", "Concat", "DepthToSpace", "Expand", "Flatten", "Gather", "Identity", "Max", "MaxPool", "Min", "Pad", "ReduceMax",
    "ReduceMin", "Relu", "Reshape", "Shape", "Size", "Slice", "SpaceToDepth", "Split", "Squeeze", "Transpose", "Unsqueeze",
}  # fmt: skip
"""Operators that give the same for integers as for real numbers."""

_COMMUTING = {
    "Abs", "Add", "Clip", "Div", "Elu", "Exp", "Gelu", "HardSigmoid", "HardSwish", "LeakyRelu", "Max", "Min", "Mish", "Mul",
    "Neg", "Pow", "Relu", "Selu", "Sigmoid", "Softplus", "Softsign", "Sqrt", "Sub", "Sum", "Tanh",
}  # fmt: skip
"""Operators that treat every number alone."""

_REMEDIES = {
    "DequantizeLinear": "quantized models are not read; export it without quantization",
    "QuantizeLinear": "quantized models are not read; export it without quantization",
    "DynamicQuantizeLinear": "quantized models are not read; export it without quantization",
    "QLinearConv": "quantized models are not read; export it without quantization",
    "ConvInteger": "quantized models are not read; export it without quantization",
    "If": "branches are not read; export it with fixed sizes, or simplify it with onnxsim",
    "Loop": "loops are not read",
}


class Construction:
    """A network in the making.

    Attributes
    ----------
    problems : list of str
        What is in the way, one line for each node.
    """

    def __init__(
        self,
        graph: Graph,
        shown: str,
        file_bytes: int,
        limits: Limits,
        tensors: Mapping[str, AnyArray] | None = None,
    ) -> None:
        self._graph, self._limits = graph, limits
        if tensors is not None:
            shapes = {name: tensor.shape for name, tensor in graph.arrays.items()}
            # Integers are shapes, axes and the like: they are of the graph, and may stay as they are.
            check_fitting(tensors, shapes, {name for name in shapes if graph.arrays[name].kind in _REALS})
        self._tensors = tensors or {}
        self.problems: list[str] = []
        most = GROWTH + 4 * file_bytes
        self._budget = Budget(
            limits.total_bytes if limits.total_bytes > NO_LIMIT else min(most, limits.total_bytes)
        )
        self._known: dict[str, Operand] = {}
        self._broken: set[str] = set()
        self._integers: set[str] = set()
        kinds = [one.kind for one in graph.inputs] + [one.kind for one in graph.arrays.values()]
        self._is_half = not set(kinds).isdisjoint(_HALVES)
        self._names: Counter[str] = Counter()
        self._shown = shown

    def network(self, input_shape: tuple[int, ...] | None) -> Network:
        """Return the network, or raise if anything is in the way.

        Raises
        ------
        ModelFileError
            If something is.
        """
        makers = self._makers()
        chosen, class_names = self._outputs(makers)
        nodes = self._needed(chosen, makers)
        for node in nodes:
            if not self._is_known(node):
                self.problems.append(self._unknown(node))
        inputs = self._inputs(nodes)
        _check_count(nodes, {one.name for one in inputs})
        building = self._building(inputs, input_shape)
        for node in nodes:
            self._run(node, building, chosen)
        if self.problems:
            more = len(self.problems) - 1
            rest = f" ({more} more: probe inspect --why lists them)" if more else ""
            raise ModelFileError(f"{self.problems[0]}{rest}")
        return self._finished(building, chosen, class_names)

    def _outputs(self, makers: dict[str, Node]) -> tuple[list[str], tuple[str, ...]]:
        """Return the outputs that count, and the names of the classes if a node has them."""
        chosen, names = [], []
        for output in self._graph.outputs:
            maker = makers.get(output.name)
            if maker is not None and maker.op == "ZipMap":
                names = maker.texts("classlabels_strings") or list(
                    map(str, maker.integers("classlabels_int64s") or [])
                )
                chosen.append(maker.inputs[0] if maker.inputs else "")
            elif output.kind in (0, *_REALS):
                chosen.append(output.name)
        if not chosen or len(set(chosen)) != len(chosen):
            raise ModelFileError("it has no outputs of numbers, or one of them twice")
        return chosen, tuple(names)

    def _makers(self) -> dict[str, Node]:
        makers: dict[str, Node] = {}
        taken = {one.name for one in self._graph.inputs} | set(self._graph.arrays)
        for node in self._graph.nodes:
            for name in node.outputs:
                if name and (name in makers or name in taken):
                    node.refuse(f"puts out {quoted(name)}, which another node, input or array is called")
                if name:
                    makers[name] = node
        return makers

    def _needed(self, wanted: list[str], makers: dict[str, Node]) -> list[Node]:
        """Return the nodes that outputs need, each behind all that it reads; not every writer sorts them."""
        ordered: dict[int, Node] = {}
        under_way: set[int] = set()
        open_ = [(node, False) for name in wanted if (node := makers.get(name)) is not None]
        while open_:
            node, is_ready = open_.pop()
            if is_ready:
                ordered[id(node)] = node
            elif id(node) not in ordered:
                if id(node) in under_way:
                    node.refuse("reads what depends on what it puts out: the graph has a loop")
                under_way.add(id(node))
                open_.append((node, True))
                front = [maker for name in reversed(node.inputs) if (maker := makers.get(name)) is not None]
                open_ += [(one, False) for one in front if id(one) not in ordered]
        return list(ordered.values())

    def _inputs(self, nodes: list[Node]) -> list[Input]:
        read = {name for node in nodes for name in node.inputs}
        given = [one for one in self._graph.inputs if one.name not in self._graph.arrays and one.name in read]
        if not given:
            raise ModelFileError("its outputs depend on no input")
        return given

    def _building(self, inputs: list[Input], input_shape: tuple[int, ...] | None) -> Building:
        dtype = np.float64 if any(one.kind == 11 for one in inputs) else np.float32
        building = Building(self._shown, batch=batch_of(self._graph, inputs), dtype=dtype)
        for one in inputs:
            value = graph_input(building, self._graph, one, input_shape if len(inputs) == 1 else None)
            if math.prod(value.shape) > self._limits.activation_values:
                raise ModelFileError(
                    f"the input {quoted(one.name)} takes {value.shape}, more than the "
                    f"{self._limits.activation_values} values that are read"
                )
            self._known[one.name] = value
            if one.kind not in _REALS:
                self._integers.add(one.name)
        return building

    @staticmethod
    def _is_known(node: Node) -> bool:
        return _full_name(node) in OPERATORS or (not node.domain and node.op in FOLDED)

    @staticmethod
    def _unknown(node: Node) -> str:
        remedy = _REMEDIES.get(node.op, "export it without that operator, or write it as others")
        try:
            node.refuse(f"is an operator that is not read; {remedy}")
        except ModelFileError as error:
            return str(error)

    def _run(self, node: Node, building: Building, chosen: list[str]) -> None:
        """Make of one node what it puts out, or note what is in the way."""
        if not self._is_known(node) or self._broken.intersection(node.inputs):
            self._broken.update(node.outputs)
            return
        try:
            made = self._made(node, building, chosen)
        except InputError as error:
            self.problems.append(str(error).removeprefix(f"{self._shown}: "))
            self._broken.update(node.outputs)
            return
        self._known.update(zip(node.outputs, made, strict=False))

    def _made(self, node: Node, building: Building, chosen: list[str]) -> list[Operand]:
        values = [self._read(node, name) for name in node.inputs]
        arrays = [value for value in values if isinstance(value, np.ndarray)]
        if (
            not node.domain
            and node.op in FOLDED
            and len(arrays) == sum(value is not None for value in values)
        ):
            return list(fold(node, values, self._budget))  # type: ignore[arg-type]
        name = _full_name(node)
        if name not in OPERATORS:
            node.refuse("depends on the image; it is read for constants only")
        self._check_type(node)
        called = self._free_name(layer_name(node, [one for one in node.inputs if one in self._graph.arrays]))
        at = building.at(called, f"node {quoted(node.name)} ({node.op})")
        is_last = any(output in chosen for output in node.outputs)
        inner, order = _inside_of_order(building, node, values)
        call = Call(node, at, inner, self._limits.activation_values, is_last)
        try:
            made = OPERATORS[name](call)
        except (ArithmeticError, IndexError, TypeError, ValueError) as error:
            if isinstance(error, InputError):
                raise
            node.refuse(f"has settings or arrays that do not go together: {str(error)[:120]}")
        node.check_all_asked()
        results = made if isinstance(made, list) else [made]
        if order is not None:
            place = building.at(self._free_name(f"{called}_order"), at.operation)
            results = [place.permute(result, order) for result in results]  # type: ignore[arg-type]
        for result in results:
            if isinstance(result, Value):
                call.check_size(*result.shape)
        return results

    def _check_type(self, node: Node) -> None:
        """Refuse what differs from the same in real numbers, and note what puts out integers."""
        if node.op == "Cast":
            if node.integer("to", 1) in _HALVES and not self._is_half:
                node.refuse("rounds values that depend on the image to half precision; export it in float32")
        elif node.op != "Scaler" and not self._integers.isdisjoint(node.inputs):
            if node.op not in _EXACT:
                node.refuse(
                    "computes in integers, whose results wrap around or are cut off; cast the image to float first"
                )
            self._integers.update(node.outputs)

    def _read(self, node: Node, name: str) -> Operand:
        if not name:
            return None
        if name not in self._known:
            if name not in self._graph.arrays:
                node.refuse(f"reads {quoted(name)}, which no node puts out")
            stored = self._tensors.get(name)
            self._known[name] = self._graph.arrays[name].array() if stored is None else stored
        return self._known[name]

    def _free_name(self, name: str) -> str:
        self._names[name] += 1
        count = self._names[name]
        if count == 1:
            return name
        free = f"{name}_{count - 1}"
        return self._free_name(free) if free in self._names else free

    def _finished(self, building: Building, chosen: list[str], class_names: tuple[str, ...]) -> Network:
        outputs: list[Value] = []
        for name in chosen:
            value = self._known.get(name)
            value = value.value(building.at(name, "output")) if isinstance(value, Erf) else value
            if not isinstance(value, Value):
                raise ModelFileError(f"the output {quoted(name)} is no value that depends on an input")
            value = building.at(name, "output").solid(value)
            if len(value.shape) > 1 and value.shape.count(1) >= len(value.shape) - 1:
                # Classes in images of one pixel: the outputs of a classifier are a vector.
                value = building.at("classes", "output").flatten(value)
                assert isinstance(value, Value)
            outputs.append(value)
        if len(outputs) > 1:
            return building.finish(outputs)
        output = _one_unit(building, outputs[0]) or outputs[0]
        n_classes = max(output.shape[0], 2) if len(output.shape) == 1 else 0
        names = (
            class_names if len(class_names) == n_classes else class_names_of(self._graph.metadata, n_classes)
        )
        if output.shape == (1,) and output is outputs[0] and not _is_sigmoid(building, output):
            names = ()
        network = building.finish([output], names)
        return network if output is outputs[0] else network.with_two_logits()


def _inside_of_order(
    building: Building, node: Node, values: list[Operand]
) -> tuple[list[Operand], tuple[int, ...] | None]:
    """Return what a node that treats every number alone reads, before its axes were put in another order, and the order.

    So activations and biases come behind the layer with weights, and orders for the next one cancel: Keras' files
    have the channels last between any two layers. The values as they are, and None, where there is no such order.
    """
    orders = {_order_of(building, value) for value in values if isinstance(value, Value)}
    if node.op not in _COMMUTING or len(orders) != 1 or None in orders:
        return values, None
    (order,) = orders
    assert order is not None
    inner: list[Operand] = []
    for value in values:
        if isinstance(value, Value):
            made = building.before(value)
            assert made is not None
            inner.append(made[1])
        elif isinstance(value, np.ndarray) and value.size > 1:
            full = value.reshape((1,) * (len(order) - value.ndim) + value.shape)
            if full.ndim != len(order):
                return values, None
            inner.append(np.transpose(full, np.argsort(order)))
        elif isinstance(value, np.ndarray) and not _is_part_of_gelu(value):
            inner.append(value)
        else:
            return values, None
    return inner, order


def _order_of(building: Building, value: Value) -> tuple[int, ...] | None:
    """Return the order of the axes that a value was put in; None if it was not, or is an image that came in."""
    made = building.before(value)
    if made is None or not isinstance(made[0], Permute) or isinstance(made[1].source, int) or value.repeated:
        return None
    return (0, *made[0].dims)


def _is_part_of_gelu(number: Array) -> bool:
    return bool(np.isclose(number.reshape(-1), [0.5**0.5, 2**0.5], rtol=1e-4).any())


def _check_count(nodes: list[Node], dependent: set[str]) -> None:
    """Raise if more nodes than are read depend on the inputs, before anything is made of them."""
    count = 0
    for node in nodes:
        if node.op not in ("Shape", "Size") and not dependent.isdisjoint(node.inputs):
            dependent.update(node.outputs)
            count += 1
    if count > MOST_LAYERS:
        raise ModelFileError(
            f"it has {count} nodes that depend on the image, more than the {MOST_LAYERS} that are read"
        )


def _full_name(node: Node) -> str:
    return f"{node.domain}.{node.op}" if node.domain else node.op


def _is_sigmoid(building: Building, value: Value) -> bool:
    before = building.before(value)
    return (
        before is not None
        and isinstance(before[0], ActivationLayer)
        and before[0].activation.name == "sigmoid"
    )


def _one_unit(building: Building, value: Value) -> Value | None:
    """Return p where an output is [1 - p, p] and p that of one sigmoid unit, as scikit-learn's are; else None."""
    made = building.made_by(value)
    if made is None or not isinstance(made[0], Concatenate) or len(made[1]) != 2:
        return None
    first, second = made[1]
    before = building.before(first)
    if before is None or not isinstance(before[0], Rescaling) or before[1].source != second.source:
        return None
    is_rest = (before[0].scale, before[0].offset) == (-1, 1)
    return second if is_rest and second.shape == (1,) and _is_sigmoid(building, second) else None
