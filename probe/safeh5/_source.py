"""The bytes of a file, read at addresses that the file itself gives: never more than is there, nor than the limits say."""

from __future__ import annotations

import io
import os
import stat
import struct
from bisect import bisect
from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import BinaryIO

from probe._errors import InputError

__all__ = [
    "DEFAULT_LIMITS",
    "UNDEFINED",
    "DamagedError",
    "Limits",
    "Source",
    "limits_of",
    "number",
    "numbers",
    "open_regular",
]

UNDEFINED = 0xFFFFFFFFFFFFFFFF
"""The address of nothing."""

_MASK = 0xFFFFFFFF


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What is read of one file at most; more of anything is refused.

    The defaults admit every model that this machine could compute with, and keep the time and the memory
    that a hostile file can claim small. For a bigger model: `replace(DEFAULT_LIMITS, tensor_bytes=8 << 30)`.
    Functions that take limits also take None, for files of one's own: then nothing is limited.

    Attributes
    ----------
    file_bytes : int
        Largest file that is opened. Opening one reads little of it, whatever its size.
    steps : int
        Work on the structure of the file (its messages, names, nodes, 4 bytes under a checksum), besides one
        step for every 32 bytes of the file. A step takes about a microsecond.
    structure_bytes : int
        Longest piece of structure, such as a header or a heap of names.
    members : int
        Most members of a group, and most attributes of an object.
    tensor_bytes : int
        Largest single array, or part of one, that is read.
    total_bytes : int
        Largest sum of all that is read from one file.
    chunk_bytes : int
        Largest chunk of a chunked array.
    chunks : int
        Most chunks of one array, besides one for every 256 bytes of it.
    compression : int
        Largest ratio of an array's bytes to its bytes on disk, beyond the first MiB. Weights reach about
        1.1, sparse images about 20; bombs reach 1,000 with one deflate and 1,000,000 with two.
    rank : int
        Most axes of an array.
    text_bytes : int
        Longest text, such as a model's configuration; those of Keras have about 1 KB for each layer.
    strings_bytes : int
        Longest list of strings, all of them together.
    json_tokens : int
        Most brackets, commas, colons and escapes in one JSON text; those of Keras have about 120 for each
        layer. Each can take some 80 bytes of memory.
    activation_values : int
        Most values that one layer of a model puts out for one input, or needs in one array on the way.
    depth : int
        Most components in the name of an object.
    archive_bytes : int
        Largest weights of a .keras archive, which are read into memory whole.
    archive_members : int
        Most members of a zip archive.

    Examples
    --------
    >>> from dataclasses import replace
    >>> replace(DEFAULT_LIMITS, tensor_bytes=1 << 20).tensor_bytes
    1048576
    """

    file_bytes: int = 64 << 30
    steps: int = 300_000
    structure_bytes: int = 16 << 20
    members: int = 1 << 16
    tensor_bytes: int = 512 << 20
    total_bytes: int = 2 << 30
    chunk_bytes: int = 64 << 20
    chunks: int = 1 << 12
    compression: int = 200
    rank: int = 8
    text_bytes: int = 4 << 20
    strings_bytes: int = 16 << 20
    json_tokens: int = 300_000
    activation_values: int = 1 << 26
    depth: int = 32
    archive_bytes: int = 1 << 30
    archive_members: int = 1000

    def __post_init__(self) -> None:
        for limit in fields(self):
            value = getattr(self, limit.name)
            if type(value) is not int or value < 1:
                raise InputError(f"limit {limit.name} must be an integer of at least 1, got {value!r}")


DEFAULT_LIMITS = Limits()
"""What is read unless the caller says otherwise."""

_NO_LIMITS = Limits(**{limit.name: 1 << 62 for limit in fields(Limits)})


def limits_of(limits: Limits | None) -> Limits:
    """Return `limits`, or for None limits that nothing reaches."""
    return _NO_LIMITS if limits is None else limits


class DamagedError(Exception):
    """A file is no regular one, or its bytes break the rules of its format; the message says how."""


def lookup3(block: bytes) -> int:
    """Return Bob Jenkins' lookup3 hash (`hashlittle`, started from 0) of `block`, 32 bits.

    References
    ----------
    Bob Jenkins: lookup3.c, May 2006, public domain. https://burtleburtle.net/bob/c/lookup3.c

    Examples
    --------
    >>> hex(lookup3(b"Four score and seven years ago"))
    '0x17770551'
    """
    n_bytes = len(block)
    a = b = c = (0xDEADBEEF + n_bytes) & _MASK
    if not n_bytes:
        return c
    last = (n_bytes - 1) // 12 * 3
    words: tuple[int, ...] = struct.unpack(f"<{last + 3}I", block + bytes(4 * last + 12 - n_bytes))
    for k in range(0, last, 3):
        a, b, c = a + words[k], b + words[k + 1], (c + words[k + 2]) & _MASK
        a = ((a - c) & _MASK) ^ _rotated(c, 4)
        c = (c + b) & _MASK
        b = ((b - a) & _MASK) ^ _rotated(a, 6)
        a = (a + c) & _MASK
        c = ((c - b) & _MASK) ^ _rotated(b, 8)
        b = (b + a) & _MASK
        a = ((a - c) & _MASK) ^ _rotated(c, 16)
        c = (c + b) & _MASK
        b = ((b - a) & _MASK) ^ _rotated(a, 19)
        a = (a + c) & _MASK
        c = ((c - b) & _MASK) ^ _rotated(b, 4)
        b = (b + a) & _MASK
    a, b, c = (a + words[-3]) & _MASK, (b + words[-2]) & _MASK, (c + words[-1]) & _MASK
    for bits in (14, 11, 25, 16, 4, 14, 24):
        # In turn c, a and b take this step, each from the one changed before it.
        c = ((c ^ b) - _rotated(b, bits)) & _MASK
        a, b, c = b, c, a
    return b


def _rotated(value: int, bits: int) -> int:
    return (value << bits | value >> (32 - bits)) & _MASK


class Extents:
    """The stretches of a file that hold values; no byte belongs to two of them."""

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._known: dict[int, tuple[int, object]] = {}

    def take(self, stretches: Iterable[tuple[int, int]], owner: object) -> None:
        """Take stretches, each an address and a number of bytes, for `owner`, who may take the same ones again."""
        for start, n_bytes in sorted(stretches):
            if self._known.get(start) == (n_bytes, owner):
                continue
            place = bisect(self._starts, start)
            before = self._starts[place - 1] if place else None
            over_before = before is not None and before + self._known[before][0] > start
            if over_before or (place < len(self._starts) and self._starts[place] < start + n_bytes):
                raise DamagedError("two arrays, or two chunks of one, lie over each other")
            self._starts.insert(place, start)
            self._known[start] = (n_bytes, owner)


class Source:
    """A file that is read by address, counted from `base`, and an account of the work that it asks for."""

    def __init__(self, file: BinaryIO, base: int, limits: Limits) -> None:
        self._file = file
        self.base = base
        self.size = file.seek(0, io.SEEK_END)
        self.limits = limits
        self.renew()
        self.extents = Extents()
        # Messages that other objects refer to, by address and kind.
        self.shared: dict[tuple[int, int], bytes] = {}
        # How long addresses and lengths are; the superblock says it.
        self.offset_bytes = self.length_bytes = 8

    def renew(self) -> None:
        """Open a new account of steps, for another request of the caller."""
        self._steps_left = self.limits.steps + self.size // 32

    def count(self, n_steps: int = 1, *, reserved: int = 0) -> None:
        """Take `n_steps` off the account before they are taken; `reserved` more must be left after them."""
        self._steps_left -= n_steps
        if self._steps_left < reserved:
            raise DamagedError("it has more structure than is read")

    def read(self, address: int, n_bytes: int) -> bytes:
        """Return `n_bytes` bytes of structure from `address`; all of them, or it is an error."""
        self.count(3 + n_bytes // 64)
        return self.content(address, n_bytes)

    def read_checked(self, address: int, n_bytes: int) -> bytes:
        """Return structure as `read` does, without the checksum at its end, which must be right."""
        return self.checked(self.read(address, n_bytes))

    def checked(self, block: bytes) -> bytes:
        """Return `block` without the checksum at its end, which must be right."""
        self.count(len(block) // 4)
        if len(block) < 4 or lookup3(block[:-4]) != int.from_bytes(block[-4:], "little"):
            raise DamagedError("a checksum is wrong")
        return block[:-4]

    def content(self, address: int, n_bytes: int) -> bytes:
        """Return `n_bytes` bytes of values from `address`; the caller has bounded them."""
        self._check(address, n_bytes)
        self._file.seek(self.base + address)
        block = self._file.read(n_bytes)
        if len(block) != n_bytes:
            raise DamagedError("it was cut off while it was read")
        return block

    def read_into(self, address: int, buffer: memoryview) -> None:
        """Fill `buffer` with the bytes from `address`."""
        self._check(address, len(buffer))
        self._file.seek(self.base + address)
        done = 0
        while done < len(buffer):
            count = self._file.readinto(buffer[done:])  # type: ignore[attr-defined]
            if not count:
                raise DamagedError("it was cut off while it was read")
            done += count

    def place(self, address: int, n_bytes: int) -> int:
        """Return where in the file `n_bytes` bytes at `address` are; all of them, or it is an error."""
        self._check(address, n_bytes)
        return self.base + address

    def _check(self, address: int, n_bytes: int) -> None:
        if n_bytes < 0 or self.base + address + n_bytes > self.size:
            raise DamagedError(f"it refers to {n_bytes} bytes at {address}, which it does not have")

    def offset(self, block: bytes, at: int) -> int:
        """Return the address that is stored in `block` at `at`; `UNDEFINED` if it is none."""
        stored = block[at : at + self.offset_bytes]
        if len(stored) != self.offset_bytes:
            raise DamagedError("an address is cut off")
        if stored == b"\xff" * self.offset_bytes:
            return UNDEFINED
        return int.from_bytes(stored, "little")

    def length(self, block: bytes, at: int) -> int:
        """Return the length that is stored in `block` at `at`."""
        return number(block, at, self.length_bytes)


def number(block: bytes, at: int, n_bytes: int) -> int:
    """Return the unsigned number of `n_bytes` bytes that is stored in `block` at `at`."""
    stored = block[at : at + n_bytes]
    if len(stored) != n_bytes:
        raise DamagedError("a number is cut off")
    return int.from_bytes(stored, "little")


def numbers(block: bytes, at: int, count: int, n_bytes: int) -> tuple[int, ...]:
    """Return `count` unsigned numbers of `n_bytes` bytes each that are stored in `block` from `at` on."""
    return tuple(number(block, at + k * n_bytes, n_bytes) for k in range(count))


def open_regular(path: str | os.PathLike[str], *, buffering: int = -1) -> BinaryIO:
    """Open a file for reading. A folder, a pipe or a device is refused, and never waited for.

    Raises
    ------
    DamagedError
        If it is no regular file.
    OSError
        If it is missing or cannot be opened.
    """
    # What is open is looked at, and not what has the name: that can change in between.
    no_wait = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    descriptor = os.open(path, os.O_RDONLY | no_wait)
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        os.close(descriptor)
        raise DamagedError("it is a folder" if stat.S_ISDIR(mode) else "it is not a regular file")
    return os.fdopen(descriptor, "rb", buffering=buffering)
