"""What was done to bytes before they were stored, undone, and never further than they were declared to go.

Chunks of arrays: deflate, shuffle and checksum, and no other filter. Whole files and members of archives: deflate and gzip.
"""

from __future__ import annotations

import zlib
from typing import BinaryIO, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from probe.safeh5._source import DamagedError, number, numbers

__all__ = [
    "KNOWN_FILTERS",
    "MAX_EXPANSION",
    "Bytes",
    "Filter",
    "parsed_filters",
    "read_stored",
    "unfiltered",
    "unpack",
    "unpack_start",
]

DEFLATE, SHUFFLE, CHECKSUM = 1, 2, 3
KNOWN_FILTERS = frozenset({DEFLATE, SHUFFLE, CHECKSUM})

_MOST_FILTERS = 32

_PART = 1 << 12

Bytes = npt.NDArray[np.uint8]
Packing = Literal["deflate", "gzip"]

FREE_BYTES = 8 << 20
MAX_EXPANSION = 500
"""How often its packed size something may take, beyond `FREE_BYTES`. Zeros reach 1,030; MNIST's digits 5, with
a black border to 64 x 64 pixels 24, to 256 x 256 pixels 270, and as float64 560: these can be stored unpacked."""

MOST_PACKED = 1 << 20  # beyond twice what it takes: deflate adds 5 bytes to each 64 KiB that it cannot pack
PIECE = 1 << 16
WINDOW_BITS = {"deflate": -zlib.MAX_WBITS, "gzip": zlib.MAX_WBITS | 16}
# bgzip cuts at 64 KiB and ends with an empty part. A million empty parts would only take time.
SPARE_PARTS, PART_BYTES = 16, 1 << 15


class Filter(NamedTuple):
    """One filter, by its registered number, with its settings."""

    number: int
    settings: tuple[int, ...]


def parsed_filters(block: bytes) -> tuple[Filter, ...]:
    """Return the filters that a pipeline message lists, in the order in which they were applied."""
    version, n_filters = number(block, 0, 1), number(block, 1, 1)
    if version not in (1, 2) or n_filters > _MOST_FILTERS:
        raise DamagedError("a list of filters is of an unknown version or too long")
    at = 8 if version == 1 else 2
    filters = []
    for _ in range(n_filters):
        which, at = number(block, at, 2), at + 2
        name_bytes = 0
        if version == 1 or which >= 256:
            name_bytes, at = number(block, at, 2), at + 2
        n_settings, at = number(block, at + 2, 2), at + 4
        at += -(-name_bytes // 8) * 8 if version == 1 else name_bytes
        filters.append(Filter(which, numbers(block, at, n_settings, 4)))
        at += 4 * n_settings + (4 * (n_settings % 2) if version == 1 else 0)
    return tuple(filters)


def unfiltered(stored: bytes, filters: tuple[Filter, ...], skipped: int, n_bytes: int) -> bytes | memoryview:
    """Return the `n_bytes` bytes of a chunk as they were before the filters.

    Whatever the chunk says, little more than `n_bytes` are ever made of it.
    """
    content: bytes | memoryview = stored
    for index in reversed(range(len(filters))):
        if skipped >> index & 1:
            continue
        which = filters[index].number
        if which == DEFLATE:
            # Checksums that were taken before add 4 bytes each.
            content = _inflated(content, n_bytes + 4 * len(filters))
        elif which == CHECKSUM:
            if len(content) < 4 or not has_fletcher32(content[:-4], int.from_bytes(content[-4:], "little")):
                raise DamagedError("the checksum of a chunk is wrong")
            content = content[:-4]
        elif which == SHUFFLE:
            content = _unshuffled(content, filters[index].settings)
    if len(content) != n_bytes:
        raise DamagedError(f"a chunk of {n_bytes} bytes holds {len(content)}")
    return content


def _inflated(content: bytes | memoryview, most: int) -> bytes:
    stream = zlib.decompressobj()
    try:
        unpacked = stream.decompress(content, most + 1)
    except zlib.error as error:
        raise DamagedError(f"a chunk cannot be inflated: {error}") from None
    if len(unpacked) > most:
        raise DamagedError("a chunk inflates to more than its size")
    if not stream.eof or stream.unused_data:
        raise DamagedError("a chunk is cut off, or has something behind it")
    return unpacked


def _unshuffled(content: bytes | memoryview, settings: tuple[int, ...]) -> bytes | memoryview:
    width = settings[0] if settings else 0
    if not 0 < width <= 1 << 16:
        raise DamagedError(f"the bytes of a chunk are shuffled in steps of {width}")
    n_values = len(content) // width
    if width == 1 or n_values < 2:
        return content
    values = np.frombuffer(content, np.uint8)
    unshuffled, end = values.copy(), n_values * width
    unshuffled[:end].reshape(n_values, width)[...] = values[:end].reshape(width, n_values).T
    return unshuffled.data


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


def read_stored(file: BinaryIO, n_bytes: int) -> Bytes:
    """Return the next `n_bytes` of a file, which are not packed."""
    content = np.empty(n_bytes, dtype=np.uint8)
    if file.readinto(content.data) != n_bytes:  # type: ignore[attr-defined]
        raise DamagedError("ends too early")
    return content


def unpack_start(packed: bytes, n_bytes: int, packing: Packing) -> bytes:
    """Return at most the first `n_bytes` of what begins with these packed bytes."""
    try:
        return zlib.decompressobj(WINDOW_BITS[packing]).decompress(packed, n_bytes)
    except zlib.error as error:
        raise DamagedError(f"is damaged: {error}") from None


def unpack(file: BinaryIO, n_packed: int, n_bytes: int, packing: Packing) -> Bytes:
    """Return the `n_bytes` that the next `n_packed` bytes of a file were declared to hold.

    Memory is taken as it is filled: a short file that declares much costs little.

    Raises
    ------
    DamagedError
        If they hold more or less, are damaged, or would expand as only a decompression bomb does.
    """
    if n_bytes > max(FREE_BYTES, MAX_EXPANSION * n_packed):
        raise DamagedError(
            f"would expand from {n_packed} to {n_bytes} bytes, more than {MAX_EXPANSION} times; "
            "store it without compression"
        )
    if n_packed > 2 * n_bytes + MOST_PACKED:
        raise DamagedError(f"has {n_packed} bytes for the {n_bytes} that it was declared to hold")
    content = np.empty(n_bytes, dtype=np.uint8)
    try:
        _unpack_into(content.data, file, n_packed, packing)
    except zlib.error as error:
        raise DamagedError(f"is damaged: {error}") from None
    return content


def _unpack_into(content: memoryview, file: BinaryIO, n_packed: int, packing: Packing) -> None:
    part, n_parts, filled, left = zlib.decompressobj(WINDOW_BITS[packing]), 1, 0, n_packed
    packed = b""
    while True:
        if not packed and left:
            packed = file.read(min(left, PIECE))
            left = left - len(packed) if packed else 0
        # One byte more than declared shows whether it goes on, however much follows.
        piece = part.decompress(packed, min(len(content) - filled + 1, 16 * PIECE))
        if len(piece) > len(content) - filled:
            raise DamagedError(f"holds more than the {len(content)} bytes that it was declared to hold")
        content[filled : filled + len(piece)] = piece
        filled += len(piece)
        packed = part.unused_data if part.eof else part.unconsumed_tail
        if part.eof:
            if packing == "deflate" or not (packed or left):
                break
            part, n_parts = zlib.decompressobj(WINDOW_BITS[packing]), n_parts + 1
            if n_parts > SPARE_PARTS + len(content) // PART_BYTES:
                raise DamagedError(f"is cut into more than {n_parts - 1} parts")
        elif not (piece or packed or left):
            raise DamagedError(f"ends too early, after {filled} of {len(content)} bytes")
    if filled < len(content):
        raise DamagedError(f"holds {filled} of the {len(content)} bytes that it was declared to hold")
    if packed or left:
        raise DamagedError("goes on after its end")
