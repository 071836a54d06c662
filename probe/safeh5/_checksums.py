"""The two checksums of HDF5: Jenkins' lookup3 of structures, Fletcher's of chunks."""

from __future__ import annotations

import struct

import numpy as np

from probe.safeh5._source import DamagedError, Source

__all__ = ["checked", "has_fletcher32", "lookup3"]

_MASK = 0xFFFFFFFF
_PART = 1 << 12


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


def checked(source: Source, block: bytes) -> bytes:
    """Return `block` without the checksum at its end, which must be right."""
    source.count(len(block) // 4)
    if len(block) < 4 or lookup3(block[:-4]) != int.from_bytes(block[-4:], "little"):
        raise DamagedError("a checksum is wrong")
    return block[:-4]


def has_fletcher32(content: bytes | memoryview, stored: int) -> bool:
    """Return whether `stored` is the Fletcher checksum that HDF5 keeps of `content`.

    References
    ----------
    John G. Fletcher: An arithmetic checksum for serial transmissions. IEEE Transactions on Communications
    30(1), 1982. HDF5 takes 16-bit words, the higher byte first, and sums modulo 65535.
    """
    padded = bytes(content) + bytes(len(content) % 2)
    words = np.frombuffer(padded, ">u2")
    first = second = 0
    for start in range(0, len(words), _PART):
        part = words[start : start + _PART].astype(np.uint64)
        weights = np.arange(len(part), 0, -1, dtype=np.uint64)
        second = (second + len(part) * first + int(weights @ part)) % 0xFFFF
        first = (first + int(part.sum())) % 0xFFFF
    low, high = stored & 0xFFFF, stored >> 16
    # HDF5 before 1.6.3 stored the bytes of each half the other way round.
    swapped = ((low & 0xFF) << 8 | low >> 8), ((high & 0xFF) << 8 | high >> 8)
    return any((a % 0xFFFF, b % 0xFFFF) == (first, second) for a, b in ((low, high), swapped))
