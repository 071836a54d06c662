"""Object headers: the messages that say what an object is, its type and its shape among them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from probe.safeh5._source import DamagedError, Source, number, numbers

__all__ = ["Message", "Shape", "Type", "body_of", "messages_at", "parsed_shape", "parsed_type"]

DATASPACE, LINK_INFO, DATATYPE, LINK, EXTERNAL, LAYOUT = 0x01, 0x02, 0x03, 0x06, 0x07, 0x08
FILTERS, ATTRIBUTE, CONTINUATION, SYMBOL_TABLE, ATTRIBUTE_INFO = 0x0B, 0x0C, 0x10, 0x11, 0x15
DRIVER, SHARED_TABLE, CACHE_IMAGE = 0x14, 0x0F, 0x18

_ONCE = frozenset({DATASPACE, LINK_INFO, DATATYPE, EXTERNAL, LAYOUT, FILTERS, SYMBOL_TABLE, ATTRIBUTE_INFO})
_READ = _ONCE | {LINK, ATTRIBUTE, CONTINUATION}

_SHARED = 0x02
_COMMITTED = 2
_OLDER, _NEWER = 16, 7

_INTEGER, _FLOAT, _STRING, _OPAQUE, _ENUM, _VARIABLE = 0, 1, 3, 5, 8, 9

_CLASSES = {
    2: "times",
    4: "bit fields",
    6: "compound values",
    7: "references",
    10: "arrays",
    11: "complex numbers",
}

_FLOATS = {
    # (sign, exponent's place and bits, mantissa's place and bits, bias) of the formats that NumPy has
    (15, 10, 5, 0, 10, 15): "f2",
    (31, 23, 8, 0, 23, 127): "f4",
    (63, 52, 11, 0, 52, 1023): "f8",
    (15, 7, 8, 0, 7, 127): "bfloat16",
}

_PADDINGS = {1: b"\0", 2: b" "}

_MOST_AXES = 32


Shape = tuple[int, ...]


class Message(NamedTuple):
    """One message of an object header; its kind is as in the format's specification, section IV.A.2."""

    kind: int
    flags: int
    body: bytes


def messages_at(source: Source, address: int) -> list[Message]:
    """Return all messages of the object whose header is at `address`, those of its continuations too."""
    start = source.read(address, 6)
    if start[:4] == b"OHDR":
        return _newer(source, address)
    if start[0] == 1:
        return _older(source, address)
    raise DamagedError(f"there is no object at {address}")


def body_of(source: Source, message: Message, kind: int) -> bytes:
    """Return what a message says, also where it is that of a committed object."""
    return shared_body(source, message.body, kind) if message.flags & _SHARED else message.body


def shared_body(source: Source, reference: bytes, kind: int) -> bytes:
    """Return the message of a committed datatype that `reference` refers to."""
    version, place = number(reference, 0, 1), number(reference, 1, 1)
    if version not in (1, 2, 3) or place not in ((_COMMITTED,) if version == 3 else (0, _COMMITTED)):
        raise DamagedError("it shares messages in a table, which is not read")
    address = source.offset(reference, 8 if version == 1 else 2)
    if (address, kind) in source.shared:
        return source.shared[address, kind]
    for message in messages_at(source, address):
        if message.kind == kind and not message.flags & _SHARED:
            source.shared[address, kind] = message.body
            return message.body
    raise DamagedError(f"there is no such message at {address} as another object refers to")


def _older(source: Source, address: int) -> list[Message]:
    prefix = source.read(address, _OLDER)
    n_messages, n_bytes = number(prefix, 2, 2), number(prefix, 8, 4)
    blocks = _Blocks(source, address + _OLDER, n_bytes)
    messages: list[Message] = []
    while blocks.left and len(messages) < n_messages:
        block = blocks.pop()
        at = 0
        while at + 8 <= len(block) and len(messages) < n_messages:
            length = number(block, at + 2, 2)
            message = Message(number(block, at, 2), block[at + 4], block[at + 8 : at + 8 + length])
            _add(source, message, length, messages, blocks)
            at += 8 + length
    if len(messages) < n_messages:
        raise DamagedError(f"the object at {address} has fewer messages than it says")
    return messages


def _newer(source: Source, address: int) -> list[Message]:
    prefix = source.read(address, _NEWER)
    version, flags = prefix[4], prefix[5]
    if version != 2 or flags & 0xC0:
        raise DamagedError(f"the object at {address} has a header of an unknown version")
    before = 6 + 16 * bool(flags & 0x20) + 4 * bool(flags & 0x10)
    width = 1 << (flags & 3)
    start = source.read(address, before + width)
    n_bytes = number(start, before, width)
    blocks = _Blocks(source, address, before + width + n_bytes + 4)
    messages: list[Message] = []
    head = 6 if flags & 4 else 4
    n_read = 0
    while blocks.left:
        block = source.checked(blocks.pop())
        if n_read and block[:4] != b"OCHK":
            raise DamagedError("a header is continued where there is none")
        at, n_read = (4 if n_read else before + width), n_read + 1
        # What is left at the end may be too short for a message.
        while at + head <= len(block):
            length = number(block, at + 1, 2)
            message = Message(block[at], block[at + 3], block[at + head : at + head + length])
            _add(source, message, length, messages, blocks)
            at += head + length
    return messages


class _Blocks:
    """The blocks of one header that are still to be read; each is read once."""

    def __init__(self, source: Source, address: int, n_bytes: int) -> None:
        self._source = source
        self._known = [(address, address + n_bytes)]
        self.left = [(address, n_bytes)]

    def add(self, address: int, n_bytes: int) -> None:
        """Take a block in that continues the header."""
        end = address + n_bytes
        if any(address < known_end and start < end for start, known_end in self._known):
            raise DamagedError("a header is continued in itself")
        self._source.count(len(self._known))
        self._known.append((address, end))
        self.left.append((address, n_bytes))

    def pop(self) -> bytes:
        """Return the next block."""
        address, n_bytes = self.left.pop(0)
        if n_bytes > self._source.limits.structure_bytes:
            raise DamagedError(f"a header takes {n_bytes} bytes")
        return self._source.read(address, n_bytes)


def _add(source: Source, message: Message, length: int, messages: list[Message], blocks: _Blocks) -> None:
    source.count(1 + length // 64)
    if len(message.body) != length:
        raise DamagedError("a message is cut off")
    if message.kind in _ONCE and any(message.kind == other.kind for other in messages):
        raise DamagedError("an object has two messages of one kind")
    # The bodies of other messages are not kept; in older headers their number counts.
    messages.append(message if message.kind in _READ else Message(message.kind, message.flags, b""))
    if message.kind == CONTINUATION:
        blocks.add(source.offset(message.body, 0), source.length(message.body, source.offset_bytes))


@dataclass(frozen=True, slots=True)
class Type:
    """The type of the values of an array or attribute."""

    name: str  # for messages: "float32", "bfloat16", "strings", "compound values"
    n_bytes: int  # of one value
    dtype: np.dtype[Any] | None = None  # of its bytes in NumPy; None for texts and for what is not read
    is_text: bool = False
    is_variable: bool = False  # of variable length, in the heap of the file
    padding: bytes = b""  # what follows a string of fixed length; b"" if it ends at its first null


def parsed_type(block: bytes) -> Type:
    """Return the type that a datatype message describes."""
    kind, version, bits, n_bytes = block[0] & 15, block[0] >> 4, number(block, 1, 3), number(block, 4, 4)
    if version not in range(1, 6) or not n_bytes:
        raise DamagedError("a type is of an unknown version or has no bytes")
    if kind == _INTEGER:
        return _integer(block, bits, n_bytes)
    if kind == _FLOAT:
        return _float(block, bits, n_bytes)
    if kind == _STRING:
        return Type("strings", n_bytes, is_text=True, padding=_PADDINGS.get(bits & 15, b""))
    if kind == _OPAQUE:
        # bfloat16, as h5py writes it.
        return Type("bfloat16", 2, np.dtype("V2")) if n_bytes == 2 else Type("opaque values", n_bytes)
    if kind == _ENUM:
        return _enum(block, bits, n_bytes, version)
    if kind == _VARIABLE:
        text = bits & 15 == 1
        return Type("strings" if text else "rows of variable length", n_bytes, is_text=text, is_variable=True)
    return Type(_CLASSES.get(kind, "values of an unknown type"), n_bytes)


def _integer(block: bytes, bits: int, n_bytes: int) -> Type:
    if (number(block, 8, 2), number(block, 10, 2)) != (0, 8 * n_bytes) or n_bytes not in (1, 2, 4, 8):
        return Type("integers of an odd size", n_bytes)
    dtype = np.dtype(f"{'>' if bits & 1 else '<'}{'i' if bits & 8 else 'u'}{n_bytes}")
    return Type(str(dtype.newbyteorder("=")), n_bytes, dtype)


def _float(block: bytes, bits: int, n_bytes: int) -> Type:
    layout = (bits >> 8 & 0xFF, *block[12:16], number(block, 16, 4))
    name = _FLOATS.get(layout)
    size = 2 if name == "bfloat16" else int((name or "f0")[1:])
    whole = (number(block, 8, 2), number(block, 10, 2)) == (0, 8 * n_bytes)
    # Two bits of the order of bytes: the higher one is that of the VAX. Mantissas have their first bit implied.
    if name is None or size != n_bytes or not whole or bits & 0x40 or bits >> 4 & 3 != 2:
        return Type("floats of an unusual format", n_bytes)
    order = ">" if bits & 1 else "<"
    if name == "bfloat16":
        return (
            Type(name, 2, np.dtype(f"{order}u2")) if order == "<" else Type("floats of an unusual format", 2)
        )
    dtype = np.dtype(order + name)
    return Type(str(dtype.newbyteorder("=")), n_bytes, dtype)


def _enum(block: bytes, bits: int, n_bytes: int, version: int) -> Type:
    """Return bool for the enumeration that h5py makes of it."""
    base = block[8:]
    if bits & 0xFFFF != 2 or n_bytes != 1 or base[0] & 15 != _INTEGER:
        return Type("enumerated values", n_bytes)
    names = base[12:]
    step = (6, 5) if version >= 3 else (8, 8)
    two = names[: step[0]].rstrip(b"\0"), names[step[0] : sum(step)].rstrip(b"\0")
    values = names[sum(step) : sum(step) + 2]
    if (two, values) in (((b"FALSE", b"TRUE"), b"\0\1"), ((b"TRUE", b"FALSE"), b"\1\0")):
        return Type("bool", 1, np.dtype(bool))
    return Type("enumerated values", n_bytes)


def parsed_shape(source: Source, block: bytes) -> tuple[Shape | None, Shape | None]:
    """Return the shape that a dataspace message describes, None if it is empty; and the largest that it can get.

    An axis without bound has the largest size -1.
    """
    version, rank, flags = number(block, 0, 1), number(block, 1, 1), number(block, 2, 1)
    if version not in (1, 2) or rank > _MOST_AXES:
        raise DamagedError("a shape is of an unknown version or has too many axes")
    if version == 2 and number(block, 3, 1) == 2:
        return None, None
    at, width = (8 if version == 1 else 4), source.length_bytes
    shape = numbers(block, at, rank, width)
    if not flags & 1:
        return shape, shape
    unbounded = (1 << 8 * width) - 1
    largest = numbers(block, at + rank * width, rank, width)
    return shape, tuple(-1 if size == unbounded else size for size in largest)
