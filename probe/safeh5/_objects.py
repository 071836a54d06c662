"""The objects of a file: groups with their members, arrays, and the attributes of both."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from typing import Literal, NamedTuple, TypeVar

from probe.safeh5._arrays import Description, described
from probe.safeh5._headers import (
    ATTRIBUTE,
    ATTRIBUTE_INFO,
    DATASPACE,
    DATATYPE,
    LAYOUT,
    LINK,
    LINK_INFO,
    SYMBOL_TABLE,
    Message,
    Shape,
    Type,
    messages_at,
    parsed_shape,
    parsed_type,
    shared_body,
)
from probe.safeh5._heaps import FractalHeap, local_heap, old_tree_entries, tree_records
from probe.safeh5._source import UNDEFINED, DamagedError, Source, number

__all__ = ["Attribute", "Object"]

Item = TypeVar("Item")

_SOFT_LINK_CACHED = 2
_HARD, _SHARED = 0, 0x02
_MOST_NAME_BYTES = 1 << 16
_LINKS_BY_NAME, _ATTRIBUTES_BY_NAME = 5, 8


Link = tuple[str, int | None]
"""A name in a group, and the address of an object; None if it leads to another name or file."""


class Attribute(NamedTuple):
    """An attribute, its value as bytes; `shape` is None if it is empty."""

    name: str
    type: Type
    shape: Shape | None
    content: bytes


class Object:
    """What the header at an address says; each thing is read when it is first asked for."""

    def __init__(self, source: Source, address: int) -> None:
        self._source = source
        self._address = address

    @cached_property
    def _messages(self) -> list[Message]:
        return messages_at(self._source, self._address)

    @property
    def kind(self) -> Literal["group", "dataset", "datatype"]:
        """What it is."""
        kinds = {message.kind for message in self._messages}
        if kinds & {SYMBOL_TABLE, LINK_INFO}:
            return "group"
        if {DATASPACE, DATATYPE, LAYOUT} <= kinds:
            return "dataset"
        if DATATYPE in kinds:
            return "datatype"
        raise DamagedError("an object is neither group nor data set nor type")

    @cached_property
    def members(self) -> dict[str, int | None]:
        """Addresses of the members of a group by name, None for a link to elsewhere."""
        source, members = self._source, dict[str, int | None]()
        kinds = {message.kind for message in self._messages}
        if SYMBOL_TABLE in kinds and kinds & {LINK, LINK_INFO}:
            raise DamagedError("a group keeps its members in two ways")
        for name, address in _in_one_way(source, self._messages, _links, "a group keeps its members"):
            source.count()
            if name in members:
                raise DamagedError("a group has two members of one name")
            if len(members) >= source.limits.members:
                raise DamagedError(f"a group has more than the {source.limits.members} members that are read")
            members[name] = address
        return members

    @cached_property
    def attributes(self) -> dict[str, Attribute]:
        """The attributes by name."""
        source, attributes = self._source, dict[str, Attribute]()
        for attribute in _in_one_way(source, self._messages, _attributes, "an object keeps its attributes"):
            if len(attributes) >= source.limits.members or attribute.name in attributes:
                raise DamagedError("an object has too many attributes, or two of one name")
            attributes[attribute.name] = attribute
        return attributes

    @cached_property
    def array(self) -> Description:
        """What is said of the array that a data set holds."""
        return described(self._source, self._messages, self._address)


def _in_one_way(
    source: Source, messages: list[Message], read: Callable[[Source, Message], Iterable[Item]], what: str
) -> Iterator[Item]:
    """Yield what `read` makes of the messages; those that have something must all be of one kind."""
    kinds: set[int] = set()
    for message in messages:
        for item in read(source, message):
            kinds.add(message.kind)
            if len(kinds) > 1:
                raise DamagedError(f"{what} in two ways")
            yield item


def _links(source: Source, message: Message) -> Iterator[Link]:
    if message.kind == LINK:
        yield _link(source, message.body)
    elif message.kind == SYMBOL_TABLE:
        yield from _symbols(source, message.body)
    elif message.kind == LINK_INFO:
        for heap, record in _dense(source, message.body, 2 + 8 * (message.body[1] & 1), _LINKS_BY_NAME):
            yield _link(source, heap.item(record[4:]))


def _dense(source: Source, body: bytes, at: int, kind: int) -> Iterator[tuple[FractalHeap, bytes]]:
    """Yield each record of a tree, and the heap that holds what it refers to; `body` refers to both at `at`."""
    heap, tree = source.offset(body, at), source.offset(body, at + source.offset_bytes)
    if heap != UNDEFINED:
        opened = FractalHeap(source, heap)
        for record in tree_records(source, tree, kind):
            yield opened, record


def _link(source: Source, body: bytes) -> Link:
    """Return the link that a link message describes."""
    source.count(4)
    version, flags = number(body, 0, 1), number(body, 1, 1)
    if version != 1:
        raise DamagedError("a link is of an unknown version")
    at = 2
    kind = _HARD
    if flags & 8:
        kind, at = number(body, at, 1), at + 1
    at += 8 * bool(flags & 4) + bool(flags & 16)
    width = 1 << (flags & 3)
    length, at = number(body, at, width), at + width
    if length > _MOST_NAME_BYTES:
        raise DamagedError(f"a name takes {length} bytes")
    name = body[at : at + length]
    if len(name) != length:
        raise DamagedError("a name is cut off")
    address = source.offset(body, at + length) if kind == _HARD else None
    return name.decode("utf-8"), address


def _symbols(source: Source, body: bytes) -> list[Link]:
    """Return the links of an older group, whose names are in a heap of its own."""
    tree, heap = source.offset(body, 0), source.offset(body, source.offset_bytes)
    names = local_heap(source, heap)
    links: list[Link] = []
    step = source.length_bytes + source.offset_bytes + 24
    for _, address in old_tree_entries(source, tree, 0, source.length_bytes):
        head = source.read(address, 8)
        n_symbols = number(head, 6, 2)
        if head[:4] != b"SNOD" or head[4] != 1:
            raise DamagedError(f"there are no members of a group at {address}")
        if len(links) + n_symbols > source.limits.members:
            raise DamagedError(f"a group has more than the {source.limits.members} members that are read")
        source.count(n_symbols)
        block = source.read(address + 8, n_symbols * step)
        for at in range(0, len(block), step):
            begin, at_address = source.length(block, at), at + source.length_bytes
            end = names.find(b"\0", begin)
            if begin >= len(names) or end < 0:
                raise DamagedError("a name lies outside of its heap")
            source.count((end - begin) // 64)
            is_soft = number(block, at_address + source.offset_bytes, 4) == _SOFT_LINK_CACHED
            target = None if is_soft else source.offset(block, at_address)
            links.append((names[begin:end].decode("utf-8"), target))
    return links


def _attributes(source: Source, message: Message) -> Iterator[Attribute]:
    if message.kind == ATTRIBUTE:
        _check_own(message.flags)
        yield _attribute(source, message.body)
    elif message.kind == ATTRIBUTE_INFO:
        at = 2 + 2 * (message.body[1] & 1)
        for heap, record in _dense(source, message.body, at, _ATTRIBUTES_BY_NAME):
            _check_own(record[8])
            yield _attribute(source, heap.item(record[:8]))


def _check_own(flags: int) -> None:
    if flags & _SHARED:
        raise DamagedError("it shares attributes in a table, which is not read")


def _attribute(source: Source, body: bytes) -> Attribute:
    source.count(16)
    version, flags = number(body, 0, 1), number(body, 1, 1)
    if version not in (1, 2, 3):
        raise DamagedError("an attribute is of an unknown version")
    lengths = [number(body, 2 + 2 * k, 2) for k in range(3)]
    at = 9 if version == 3 else 8
    parts: list[bytes] = []
    for length in lengths:
        parts.append(body[at : at + length])
        if len(parts[-1]) != length:
            raise DamagedError("an attribute is cut off")
        at += -(-length // 8) * 8 if version == 1 else length
    name, typed, shaped = parts
    if version > 1 and flags & 1:
        typed = shared_body(source, typed, DATATYPE)
    if version > 1 and flags & 2:
        shaped = shared_body(source, shaped, DATASPACE)
    shape, _ = parsed_shape(source, shaped)
    return Attribute(name.split(b"\0", 1)[0].decode("utf-8"), parsed_type(typed), shape, body[at:])
