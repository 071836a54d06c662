"""References to strings that claim more than there is, found before libhdf5 takes memory for them.

A string of variable length is referred to by its length, the address of a block of the text heap, and an
index in the block. libhdf5 takes memory for the length that the reference says, up to 4 GiB, before it finds
that the string in the block is shorter. Small files are searched for such references; for large ones that
would take too long, and their size bounds what they can claim less well.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np

__all__ = ["SEARCHED_BYTES", "check_references"]

SEARCHED_BYTES = 64 << 20
"""Largest file that is searched, which takes about 6 ms for each MiB."""

_PART = 1 << 22
"""Bytes searched at a time."""

_SIGNATURE = re.compile(rb"GCOL\x01")
_HEADER = struct.Struct("<4sB3xQ")
_RECORD = struct.Struct("<HH4xQ")
_REFERENCE = struct.Struct("<IQI")

_VIRTUAL = (b"\x04\x03", b"\x05\x03")
"""What stands in front of a reference to the list of sources of a virtual data set, which has no length."""


def check_references(file: BinaryIO, base: int) -> None:
    """Raise if a reference to a string in `file` says that it is longer than it is.

    What looks like a reference by chance, and is none, would need the address of a block in front of an index
    of it. Broken blocks are left to others.

    Parameters
    ----------
    file : binary file
        An HDF5 file.
    base : int
        The byte at which it begins, behind the user block if there is one.

    Raises
    ------
    ValueError
        If one does.
    """
    blocks = {
        part_at + match.start() - base: None
        for part_at, part in _parts(file, 4)
        for match in _SIGNATURE.finditer(part)
    }
    lengths = {address: _lengths(file, address + base) for address in blocks if address >= 0}
    if not lengths:
        return
    addresses = np.array(sorted(lengths), np.uint64)
    for part_at, part in _parts(file, 15):
        for shift in range(8):
            values = np.frombuffer(part, "<u8", (len(part) - shift) // 8, shift)
            # Most are larger than any address, so that few are looked up.
            near = np.flatnonzero(values <= addresses[-1])
            for place in near[np.isin(values[near], addresses)]:
                at = shift + 8 * int(place)
                if at < 4 or at + 12 > len(part) or part[at - 2 : at] in _VIRTUAL:
                    continue
                length, address, index = _REFERENCE.unpack_from(part, at - 4)
                known = lengths[address].get(index)
                if known is not None and length > known:
                    raise ValueError(
                        f"at byte {part_at + at - 4} it says that a text of {known} bytes has {length}"
                    )


def _parts(file: BinaryIO, overlap: int) -> Iterator[tuple[int, bytes]]:
    """Go through a file in parts, each with the last bytes of the one before; yield where it begins, and it."""
    kept, position = b"", 0
    file.seek(0)
    while chunk := file.read(_PART):
        part = kept + chunk
        yield position - len(kept), part
        position += len(chunk)
        kept = part[-overlap:]
        file.seek(position)


def _lengths(file: BinaryIO, at: int) -> dict[int, int]:
    """Return the lengths of the strings in the heap block at `at`, by index, as far as it is sound."""
    file.seek(at)
    header = file.read(_HEADER.size)
    size = _HEADER.unpack(header)[2] if len(header) == _HEADER.size else 0
    block = file.read(max(0, min(size, SEARCHED_BYTES) - _HEADER.size))
    found: dict[int, int] = {}
    place = 0
    while place + _RECORD.size <= len(block):
        index, _, length = _RECORD.unpack_from(block, place)
        if index == 0 or length > len(block) - place - _RECORD.size:
            break
        found[index] = length
        place += _RECORD.size + -(-length // 8) * 8
    return found
