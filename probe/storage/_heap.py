"""The bytes of an HDF5 file on their way to libhdf5: blocks of its text heap are checked as they are read.

Strings of variable length lie in blocks that start with `GCOL`. libhdf5 walks the records of a block; one
whose lengths are wrong makes it walk for ever, beyond the reach of Ctrl-C and of alarms. Searching a file of
some GB for such blocks takes seconds, so they are caught when libhdf5 asks for one.
"""

from __future__ import annotations

import io
import re
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

from probe.storage._limits import Limits
from probe.storage._printable import printable

__all__ = ["WatchedFile"]

_SIGNATURE = re.compile(rb"GCOL")
_HEADER = struct.Struct("<4sB3xQ")
_RECORD = struct.Struct("<HH4xQ")


class WatchedFile(io.RawIOBase):
    """A file as libhdf5 sees it, through h5py's driver for Python files.

    Nothing raises while libhdf5 reads, since its way back from an exception is not safe: what must not be
    read becomes zeros, which libhdf5 refuses, and `problem` says why.

    Parameters
    ----------
    file : binary file
        Where the bytes are.
    limits : Limits
        Sizes of the heap.

    Attributes
    ----------
    problem : str or None
        What was wrong with the first bytes that were refused; None if none were.
    """

    def __init__(self, file: BinaryIO, limits: Limits) -> None:
        self._file = file
        self._limits = limits
        self._size = file.seek(0, io.SEEK_END)
        self._at = 0
        self._longest = 0
        self._n_strings = 1
        self.problem: str | None = None

    @contextmanager
    def expecting(self, n_strings: int) -> Iterator[None]:
        """Let `n_strings` strings be read in the block, each of which can be the longest of the heap.

        Raises
        ------
        ValueError
            If that is too much text already.
        """
        self._n_strings = n_strings
        try:
            self._check_text()
            yield
        finally:
            self._n_strings = 1

    def _check_text(self) -> None:
        if self._n_strings * self._longest > self._limits.strings_bytes:
            raise ValueError("it declares more text than is read")

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def tell(self) -> int:
        """Return the place of the next byte."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move to `offset`, counted from the start, from here or from the end."""
        self._at = offset + (0, self._at, self._size)[whence]
        return self._at

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Fill `buffer`, with zeros where there is nothing or nothing that may be read."""
        wanted = len(buffer)
        at, self._at = self._at, self._at + wanted
        found = 0
        try:
            found = self._read(buffer, at)
            self._check(buffer, at)
        except (OSError, ValueError) as error:
            self.problem = self.problem or printable(getattr(error, "strerror", None) or error, 120)
            found = 0
        if found < wanted:
            buffer[found:] = bytes(wanted - found)
        return wanted

    def _read(self, buffer: memoryview, at: int) -> int:
        """Read from `at` into `buffer`; return how many bytes there were."""
        if at < 0:
            raise ValueError(f"it refers to byte {at}")
        wanted = max(0, min(len(buffer), self._size - at))
        self._file.seek(at)
        found = 0
        while found < wanted:
            # Many rows of a few columns each are read one by one: a view for each would cost a third more.
            rest = buffer if found == 0 and wanted == len(buffer) else buffer[found:wanted]
            count = self._file.readinto(rest)  # type: ignore[attr-defined]
            if not count:
                break
            found += count
        if found < wanted:
            raise ValueError("it was cut off while it was read")
        return found

    def _check(self, buffer: memoryview, at: int) -> None:
        # Blocks are read from their start; but a copy of one may be inside something else, as in an image of
        # libhdf5's cache, from which it would be taken unread. Only there the version counts.
        for match in _SIGNATURE.finditer(buffer):
            place = match.start()
            if place == 0 or bytes(buffer[place + 4 : place + 5]) == b"\x01":
                self._longest = max(self._longest, self._longest_in_block(at + place))
        self._check_text()

    def _longest_in_block(self, at: int) -> int:
        """Return the length of the longest string in the heap block at `at`, or raise if it is broken."""
        header = bytearray(_HEADER.size)
        found = self._read(memoryview(header), at)
        size = _HEADER.unpack(header)[2] if found == len(header) else 0
        if not _HEADER.size <= size <= self._limits.heap_block_bytes:
            raise ValueError(f"its text block at byte {at} has size {size}")
        block = bytearray(min(size, max(0, self._size - at)))
        if self._read(memoryview(block), at) != size:
            raise ValueError(f"its text block at byte {at} is cut off")
        longest = records = 0
        place = _HEADER.size
        while place + _RECORD.size <= size:
            index, _, length = _RECORD.unpack_from(block, place)
            end = place + length if index == 0 else place + _RECORD.size + -(-length // 8) * 8
            records += 1
            if end > size or (index == 0 and end != size) or records > self._limits.heap_records:
                raise ValueError(f"its text block at byte {at} has a broken record")
            longest, place = max(longest, length if index else 0), end
        return longest
