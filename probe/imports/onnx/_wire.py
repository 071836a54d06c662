"""The wire format of protobuf, read from a file within limits: fields, their numbers and where their bytes are.

Nothing is copied but what is asked for: a field that holds bytes is a stretch of the file, and whoever wants the
bytes says how many it takes at most.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Callable, Iterator
from typing import BinaryIO, NamedTuple, NoReturn

from probe.safeh5 import DamagedError, Limits

__all__ = ["BYTES", "FIXED32", "FIXED64", "VARINT", "Field", "Message", "Reader", "signed"]

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
"""How the value of a field is stored. The two kinds of groups (3 and 4) are older than ONNX."""

_BLOCK = 1 << 16
"""How much of the file is in memory at a time, in bytes."""

_LONGEST_VARINT = 10
"""Seven bits in each byte, 64 in all."""

_STEPS = 3
"""Steps of the limits that a field takes, of a microsecond each."""

_LONGEST_HEAD = 2 * _LONGEST_VARINT
"""A tag, and the length or the number behind it."""


class Field(NamedTuple):
    """One field of a message: a number, or a stretch of the file.

    Attributes
    ----------
    number : int
        Which field of its message it is.
    kind : int
        `VARINT`, `FIXED64`, `BYTES` or `FIXED32`.
    value : int
        The number as it is stored, unsigned; for `BYTES` 0.
    start, stop : int
        For `BYTES` where they are in the file.
    """

    number: int
    kind: int
    value: int
    start: int
    stop: int

    @property
    def size(self) -> int:
        """Number of bytes, for `BYTES`."""
        return self.stop - self.start


class Reader:
    """A file of protobuf, and an account of the fields that are read of it."""

    def __init__(self, file: BinaryIO, limits: Limits) -> None:
        self._file = file
        self.size = file.seek(0, io.SEEK_END)
        self.limits = limits
        self._steps_left = limits.steps
        self._base, self._block = 0, b""

    def content(self, start: int, stop: int) -> bytes:
        """Return the bytes from `start` to `stop`, all of them; the caller has bounded them."""
        first = start - self._base
        if first >= 0 and stop - self._base <= len(self._block):
            return self._block[first : stop - self._base]
        self._file.seek(start)
        content = self._file.read(stop - start)
        if len(content) != stop - start:
            raise DamagedError("it was cut off while it was read")
        return content

    def message(self, field: Field | None = None) -> Message:
        """Return the message in a field, or that which is the whole file."""
        if field is None:
            return Message(self, 0, self.size)
        if field.kind != BYTES:
            raise DamagedError("it has a number where a message must be")
        return Message(self, field.start, field.stop)

    def fields(self, start: int, stop: int) -> dict[int, list[Field]]:
        """Return the fields of the message that lies from `start` to `stop`, by number, in order."""
        found: dict[int, list[Field]] = {}
        at = start
        while at < stop:
            self._steps_left -= _STEPS
            if self._steps_left < 0:
                raise DamagedError(f"it has more than the {self.limits.steps // _STEPS} fields that are read")
            place = at - self._base
            if not 0 <= place <= len(self._block) - _LONGEST_HEAD:
                block = self.content(at, min(at + _BLOCK, self.size))
                self._base, self._block, place = at, block, 0
            field, at = self._field(place, stop)
            if field.number in found:
                found[field.number].append(field)
            else:
                found[field.number] = [field]
        if at > stop:
            raise DamagedError("a field is cut off")
        return found

    def _field(self, place: int, stop: int) -> tuple[Field, int]:
        """Return the field whose head is at `place` of the block, and where in the file the next one is."""
        block, base = self._block, self._base
        head, place = _varint(block, place)
        number, kind = head >> 3, head & 7
        if not 0 < number < 1 << 29:
            raise DamagedError(f"it has a field of number {number}")
        if kind == VARINT:
            value, place = _varint(block, place)
            return Field(number, kind, value, 0, 0), base + place
        if kind == BYTES:
            size, place = _varint(block, place)
            first = base + place
            if first + size > stop:
                raise DamagedError(
                    f"a field says that it has {size} bytes at {first}, but {max(0, stop - first)} are there"
                )
            return Field(number, kind, 0, first, first + size), first + size
        if kind not in (FIXED32, FIXED64):
            raise DamagedError(f"it has a field of the unknown kind {kind}")
        behind = place + (8 if kind == FIXED64 else 4)
        return Field(number, kind, int.from_bytes(block[place:behind], "little"), 0, 0), base + behind


def _varint(block: bytes, place: int) -> tuple[int, int]:
    """Return the number of seven bits in each byte that is at `place`, and where it ends."""
    first = block[place : place + 1]
    if first and first[0] < 128:
        return first[0], place + 1
    value = 0
    for k, byte in enumerate(block[place : place + _LONGEST_VARINT]):
        value |= (byte & 127) << 7 * k
        if byte < 128:
            if value >> 64:
                break
            return value, place + k + 1
    raise DamagedError("a number is cut off, or longer than 64 bits")


def signed(value: int) -> int:
    """Return the integer that 64 bits stand for."""
    return value - (1 << 64) if value >> 63 else value


class Message:
    """One message, read once: its fields by number, in order."""

    def __init__(self, reader: Reader, start: int, stop: int) -> None:
        self.reader = reader
        self._fields = reader.fields(start, stop)

    def all(self, number: int) -> list[Field]:
        """Return the fields of a number."""
        return self._fields.get(number, [])

    def last(self, number: int) -> Field | None:
        """Return the last field of a number, which is the one that counts; None if there is none."""
        fields = self.all(number)
        return fields[-1] if fields else None

    def messages(self, number: int) -> Iterator[Message]:
        """Yield the messages in the fields of a number."""
        return map(self.reader.message, self.all(number))

    def integer(self, number: int, default: int = 0) -> int:
        """Return a signed integer."""
        field = self.last(number)
        if field is None:
            return default
        if field.kind != VARINT:
            _wrong("an integer")
        return signed(field.value)

    def real(self, number: int) -> float:
        """Return a number of 32 bits."""
        field = self.last(number)
        if field is None:
            return 0.0
        if field.kind != FIXED32:
            _wrong("a number of 32 bits")
        return _real(field.value)

    def text(self, number: int) -> str:
        """Return a text, "" if there is none."""
        field = self.last(number)
        return "" if field is None else self._text(field)

    def texts(self, number: int) -> list[str]:
        """Return texts."""
        return [self._text(field) for field in self.all(number)]

    def integers(self, number: int) -> list[int]:
        """Return signed integers, packed into fields or each in a field of its own."""
        return [signed(value) for value in self._numbers(number, VARINT, _unpacked)]

    def reals(self, number: int) -> list[float]:
        """Return numbers of 32 bits, packed into fields or each in a field of its own."""
        return [_real(value) for value in self._numbers(number, FIXED32, _words)]

    def _numbers(self, number: int, kind: int, unpack: Callable[[bytes], Iterator[int]]) -> Iterator[int]:
        count = 0
        for field in self.all(number):
            if field.kind not in (kind, BYTES):
                _wrong("numbers")
            values = (field.value,) if field.kind == kind else unpack(self._bytes(field))
            for value in values:
                count += 1
                if count > self.reader.limits.members:
                    raise DamagedError(
                        f"a list has more than the {self.reader.limits.members} numbers that are read"
                    )
                yield value

    def _text(self, field: Field) -> str:
        try:
            return self._bytes(field).decode()
        except UnicodeDecodeError:
            raise DamagedError("a name in it is no UTF-8 text") from None

    def _bytes(self, field: Field) -> bytes:
        if field.kind != BYTES:
            _wrong("text")
        if field.size > self.reader.limits.text_bytes:
            raise DamagedError(
                f"a text or list in it has {field.size} bytes, more than the {self.reader.limits.text_bytes} "
                "that are read"
            )
        return self.reader.content(field.start, field.stop)


def _unpacked(content: bytes) -> Iterator[int]:
    place = 0
    while place < len(content):
        value, place = _varint(content, place)
        yield value


def _words(content: bytes) -> Iterator[int]:
    if len(content) % 4:
        raise DamagedError("a list of numbers is cut off")
    return (value for (value,) in struct.iter_unpack("<I", content))


def _real(value: int) -> float:
    return float(struct.unpack("<f", value.to_bytes(4, "little"))[0])


def _wrong(expected: str) -> NoReturn:
    raise DamagedError(f"a field holds another kind of value where {expected} must be")
