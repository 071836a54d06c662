"""What an ONNX file says: nodes, arrays, inputs and outputs. Numbers of fields are those of onnx.proto.

Arrays stay in the file until they are asked for, and every size is compared with what the file holds before it is
taken.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

from probe._errors import ModelFileError, printable
from probe.imports.onnx._wire import BYTES, Message, Reader
from probe.safeh5 import DamagedError

__all__ = ["DTYPES", "DamagedError", "Graph", "Input", "Node", "Tensor", "read_graph"]

AnyArray = npt.NDArray[Any]

MOST_NODES = 10_000
"""The largest image classifiers have about 3,000, most of them arithmetic on shapes."""

DTYPES: dict[int, str] = {
    1: "<f4", 2: "u1", 3: "i1", 4: "<u2", 5: "<i2", 6: "<i4", 7: "<i8", 9: "?", 10: "<f2", 11: "<f8", 12: "<u4",
    13: "<u8", 16: "bfloat16",
}  # fmt: skip
"""The types of values that are read, by TensorProto.DataType."""

_LISTS = {1: 4, 11: 10, 7: 7, 12: 11, 13: 11}
"""The field that holds the values of a type where they are not raw; 5 for all others."""

_EXTERNAL = (
    "keeps its values in another file, which is not opened; put all into one: "
    "onnx.save(onnx.load('x.onnx'), 'one.onnx'), or torch.onnx.export(..., external_data=False)"
)


class Tensor:
    """An array in the file, such as the weights of a layer."""

    def __init__(self, message: Message) -> None:
        self._message = message
        self.name = message.text(8)
        self.shape = tuple(message.integers(1))
        self.kind = message.integer(2)
        limits = message.reader.limits
        if len(self.shape) > limits.rank or any(size < 0 for size in self.shape):
            raise DamagedError(f"the array {quoted(self.name)} has the shape {str(self.shape)[:80]}")

    def array(self) -> AnyArray:
        """Read the values: float32, float64 or an integer type; half precision becomes float32."""
        message, what = self._message, f"the array {quoted(self.name)}"
        if message.all(13) or message.integer(14):
            raise DamagedError(f"{what} {_EXTERNAL}")
        kind = self.kind
        if kind not in DTYPES:
            raise DamagedError(f"{what} has values of the type {kind} of ONNX, which are not read")
        is_bfloat = DTYPES[kind] == "bfloat16"
        dtype = np.dtype("<u2" if is_bfloat else DTYPES[kind])
        count = math.prod(self.shape)
        if count * dtype.itemsize > message.reader.limits.tensor_bytes:
            raise DamagedError(
                f"{what} of shape {self.shape} takes {count * dtype.itemsize} bytes, more than the "
                f"{message.reader.limits.tensor_bytes} that are read"
            )
        raw = message.last(9)
        if raw is not None:
            values = np.frombuffer(self._stored([raw], count * dtype.itemsize, what), dtype)
        elif kind in (1, 11):
            stored = [entry for entry in message.all(_LISTS[kind]) if entry.kind == BYTES]
            if len(stored) == len(message.all(_LISTS[kind])):
                values = np.frombuffer(self._stored(stored, count * dtype.itemsize, what), dtype)
            else:
                values = np.array(message.reals(_LISTS[kind]), dtype)
        else:
            values = _varints(message, _LISTS.get(kind, 5), count, dtype, what)
        if values.size != count:
            raise DamagedError(f"{what} has {values.size} values, but the shape {self.shape}")
        values = values.reshape(self.shape)
        if is_bfloat:
            return (values.astype(np.uint32) << 16).view(np.float32)
        return values.astype(np.float32 if kind == 10 else dtype.newbyteorder("="), copy=False)

    def _stored(self, fields: list[Any], n_bytes: int, what: str) -> bytes:
        stored = sum(one.size for one in fields)
        if stored != n_bytes or any(one.kind != BYTES for one in fields):
            raise DamagedError(f"{what} of shape {self.shape} must have {n_bytes} bytes, but has {stored}")
        reader = self._message.reader
        return b"".join(reader.content(one.start, one.stop) for one in fields)


def _varints(message: Message, number: int, count: int, dtype: np.dtype[Any], what: str) -> AnyArray:
    """Return the integers of a list; a number of 16 bits stands for the bits of one in half precision."""
    stored = message.all(number)
    if sum(entry.size if entry.kind == BYTES else 1 for entry in stored) < count:
        raise DamagedError(f"{what} has fewer values than its shape")
    values = np.empty(count, np.uint16 if dtype.kind == "f" else dtype)
    done = 0
    for entry in stored:
        if entry.kind != BYTES:
            block = np.array([entry.value], np.uint64)
            done = _put(values, done, block, what)
            continue
        start = entry.start
        while start < entry.stop:
            content = message.reader.content(start, min(start + (1 << 18), entry.stop))
            block, used = _decoded(content)
            done = _put(values, done, block, what)
            start += used
    return values[:done].view(dtype) if dtype.kind == "f" else values[:done]


def _put(values: AnyArray, done: int, block: AnyArray, what: str) -> int:
    if done + len(block) > len(values):
        raise DamagedError(f"{what} has more values than its shape")
    values[done : done + len(block)] = block.view(np.int64).astype(values.dtype)
    return done + len(block)


def _decoded(content: bytes) -> tuple[AnyArray, int]:
    """Return the whole numbers of seven bits in each byte at the start of `content`, and their bytes."""
    block = np.frombuffer(content, np.uint8)
    ends = np.flatnonzero(block < 128)
    starts = np.concatenate([[0], ends[:-1] + 1]) if len(ends) else ends
    sizes = ends + 1 - starts
    if not len(ends) or sizes.max() > 10:
        raise DamagedError("a number is cut off, or longer than 64 bits")
    values = np.zeros(len(ends), np.uint64)
    for k in range(int(sizes.max())):
        there = sizes > k
        values[there] |= (block[starts[there] + k] & 127).astype(np.uint64) << np.uint64(7 * k)
    return values, int(ends[-1]) + 1


class Node:
    """One operation of the graph, and an account of which of its settings were asked for.

    Attributes
    ----------
    op, domain, name : str
        Its operator, the set that has it ("" for ONNX's own), and its name or that of its first output.
    inputs, outputs : list of str
        Names of values; "" for one that is left out.
    opset : int
        Version of the set of operators.
    """

    def __init__(self, message: Message, versions: dict[str, int]) -> None:
        self.inputs, self.outputs = message.texts(1), message.texts(2)
        self.op, self.domain = message.text(4), message.text(7)
        self.domain = "" if self.domain == "ai.onnx" else self.domain
        self.name = message.text(3) or next((name for name in self.outputs if name), self.op)
        self.opset = versions.get(self.domain, 0)
        self._attributes: dict[str, Message] = {}
        for attribute in message.messages(5):
            name = attribute.text(1)
            if name in self._attributes:
                self.refuse(f"has the attribute {quoted(name)} twice")
            self._attributes[name] = attribute
        self._asked: set[str] = set()

    def refuse(self, problem: str) -> NoReturn:
        """Raise an error that names the node and its operator."""
        where = f" of {quoted(self.domain)}" if self.domain else ""
        raise ModelFileError(f"node {quoted(self.name)} ({printable(self.op, 40)}{where}) {problem}")

    def _attribute(self, name: str, number: int) -> Message | None:
        self._asked.add(name)
        attribute = self._attributes.get(name)
        if attribute is not None and attribute.all(21):
            self.refuse(f"has the attribute {quoted(name)} of a function, which is not read")
        # Some writers leave the type of attributes out.
        return attribute if attribute is not None and (attribute.all(number) or number in (7, 8, 9)) else None

    def has(self, name: str) -> bool:
        """Return whether it has an attribute."""
        return name in self._attributes

    def integer(self, name: str, default: int) -> int:
        """Return an attribute that is an integer."""
        attribute = self._attribute(name, 3)
        return default if attribute is None else attribute.integer(3)

    def real(self, name: str, default: float) -> float:
        """Return an attribute that is a number."""
        attribute = self._attribute(name, 2)
        return default if attribute is None else attribute.real(2)

    def text(self, name: str, default: str) -> str:
        """Return an attribute that is a text."""
        attribute = self._attribute(name, 4)
        return default if attribute is None else attribute.text(4)

    def integers(self, name: str) -> list[int] | None:
        """Return an attribute that is a list of integers; None if there is none."""
        attribute = self._attribute(name, 8)
        return None if attribute is None else attribute.integers(8)

    def reals(self, name: str) -> list[float] | None:
        """Return an attribute that is a list of numbers; None if there is none."""
        attribute = self._attribute(name, 7)
        return None if attribute is None else attribute.reals(7)

    def texts(self, name: str) -> list[str]:
        """Return an attribute that is a list of texts; [] if there is none."""
        attribute = self._attribute(name, 9)
        return [] if attribute is None else attribute.texts(9)

    def tensor(self, name: str) -> Tensor | None:
        """Return an attribute that is an array; None if there is none."""
        attribute = self._attribute(name, 5)
        return None if attribute is None else Tensor(next(iter(attribute.messages(5))))

    def require(self, **settings: int | float | str) -> None:
        """Raise unless each of these attributes has this value, or is not there."""
        for name, value in settings.items():
            read = {int: self.integer, float: self.real, str: self.text}[type(value)]
            found = read(name, value)  # type: ignore[operator]
            if found != value:
                self.refuse(f"has {name}={printable(found, 40)}; only {value} is read")

    def ignore(self, *names: str) -> None:
        """Say of attributes that they do not matter at prediction."""
        self._asked.update(names)

    def check_all_asked(self) -> None:
        """Raise if it has an attribute that nobody asked for: what it does is not known then."""
        for name in self._attributes:
            if name not in self._asked:
                self.refuse(f"has the attribute {quoted(name)}, which is not read")


@dataclass(frozen=True, slots=True)
class Input:
    """An input or output of the graph.

    Attributes
    ----------
    name : str
        Its name.
    kind : int
        Type of its values, as in `DTYPES`; 0 if it is no array.
    shape : tuple of (int or str), or None
        Sizes; the name of an axis, perhaps "", where its size is open; None if nothing is said.
    """

    name: str
    kind: int
    shape: tuple[int | str, ...] | None


@dataclass(frozen=True, slots=True)
class Graph:
    """All of a file that counts."""

    nodes: list[Node]
    arrays: dict[str, Tensor]
    inputs: list[Input]
    outputs: list[Input]
    metadata: dict[str, str] = field(default_factory=dict)
    writer: str = ""


def read_graph(reader: Reader) -> Graph:
    """Read all of a file but its arrays.

    Raises
    ------
    DamagedError
        If it is no ONNX file, is damaged, or has more than the limits.
    """
    model = reader.message()
    if not model.all(7) or not model.all(8):
        raise DamagedError("it has no graph, or names no set of operators")
    if model.all(25):
        names = ", ".join(quoted(function.text(1)) for function in list(model.messages(25))[:3])
        raise DamagedError(f"it has functions of its own ({names}); write them out with onnx.inliner")
    versions: dict[str, int] = {}
    for used in model.messages(8):
        domain = used.text(1)
        versions["" if domain == "ai.onnx" else domain] = used.integer(2)
    graph = next(model.messages(7))
    if len(model.all(7)) > 1:
        raise DamagedError("it has several graphs")
    if graph.all(15):
        raise DamagedError("it has sparse arrays, which are not read")
    if len(graph.all(1)) > MOST_NODES:
        raise DamagedError(f"it has {len(graph.all(1))} nodes, more than the {MOST_NODES} that are read")
    arrays: dict[str, Tensor] = {}
    for message in graph.messages(5):
        tensor = Tensor(message)
        if tensor.name in arrays:
            raise DamagedError(f"it has two arrays of the name {quoted(tensor.name)}")
        arrays[tensor.name] = tensor
    nodes = [Node(message, versions) for message in graph.messages(1)]
    metadata = {entry.text(1): entry.text(2) for entry in model.messages(14)}
    inputs, outputs = (list(_inputs(graph.messages(number))) for number in (11, 12))
    return Graph(nodes, arrays, inputs, outputs, metadata, model.text(2))


def _inputs(messages: Iterator[Message]) -> Iterator[Input]:
    for message in messages:
        kind, shape = 0, None
        for type_ in message.messages(2):
            for tensor in type_.messages(1):
                kind = tensor.integer(1)
                for sizes in tensor.messages(2):
                    dims = list(sizes.messages(1))
                    shape = tuple(dim.integer(1) if dim.all(1) else dim.text(2) for dim in dims)
        yield Input(message.text(1), kind, shape)


def quoted(name: str) -> str:
    """Return a name of the file for a message."""
    return f"'{printable(name, 60)}'"
