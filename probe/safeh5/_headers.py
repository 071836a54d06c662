"""Object headers: the messages that say what an object is."""

from __future__ import annotations

from typing import NamedTuple

from probe.safeh5._source import DamagedError, Source, number

__all__ = ["Message", "body_of", "messages_at"]

DATASPACE, LINK_INFO, DATATYPE, LINK, EXTERNAL, LAYOUT = 0x01, 0x02, 0x03, 0x06, 0x07, 0x08
FILTERS, ATTRIBUTE, CONTINUATION, SYMBOL_TABLE, ATTRIBUTE_INFO = 0x0B, 0x0C, 0x10, 0x11, 0x15
DRIVER, SHARED_TABLE, CACHE_IMAGE = 0x14, 0x0F, 0x18

_ONCE = frozenset({DATASPACE, LINK_INFO, DATATYPE, EXTERNAL, LAYOUT, FILTERS, SYMBOL_TABLE, ATTRIBUTE_INFO})
_READ = _ONCE | {LINK, ATTRIBUTE, CONTINUATION}

_SHARED = 0x02
_COMMITTED = 2
_OLDER, _NEWER = 16, 7


class Message(NamedTuple):
    """One message of an object header.

    Attributes
    ----------
    kind : int
        Its type, as in the format's specification, section IV.A.2.
    flags : int
    body : bytes
    """

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
