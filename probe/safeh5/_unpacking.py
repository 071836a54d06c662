"""Unpacking files that may come from anybody, never further than they were declared to go."""

from __future__ import annotations

import zlib
from typing import BinaryIO, Literal

import numpy as np
import numpy.typing as npt

from probe.safeh5._source import DamagedError

__all__ = ["MOST_EXPANSION", "Bytes", "begun", "stored", "unpacked"]

Bytes = npt.NDArray[np.uint8]
Packing = Literal["deflate", "gzip"]

FREE_BYTES = 8 << 20
MOST_EXPANSION = 500
"""How often its packed size something may take, beyond `FREE_BYTES`. Zeros reach 1,030; MNIST's digits 5, with
a black border to 64 x 64 pixels 24, to 256 x 256 pixels 270, and as float64 560: these can be stored unpacked."""

MOST_PACKED = 1 << 20  # beyond twice what it takes: deflate adds 5 bytes to each 64 KiB that it cannot pack
PIECE = 1 << 16
WINDOW_BITS = {"deflate": -zlib.MAX_WBITS, "gzip": zlib.MAX_WBITS | 16}
# bgzip cuts at 64 KiB and ends with an empty part. A million empty parts would only take time.
SPARE_PARTS, PART_BYTES = 16, 1 << 15


def stored(file: BinaryIO, n_bytes: int) -> Bytes:
    """Return the next `n_bytes` of a file, which are not packed."""
    content = np.empty(n_bytes, dtype=np.uint8)
    if file.readinto(content.data) != n_bytes:  # type: ignore[attr-defined]
        raise DamagedError("ends too early")
    return content


def begun(packed: bytes, n_bytes: int, packing: Packing) -> bytes:
    """Return at most the first `n_bytes` of what begins with these packed bytes."""
    try:
        return zlib.decompressobj(WINDOW_BITS[packing]).decompress(packed, n_bytes)
    except zlib.error as error:
        raise DamagedError(f"is damaged: {error}") from None


def unpacked(file: BinaryIO, n_packed: int, n_bytes: int, packing: Packing) -> Bytes:
    """Return the `n_bytes` that the next `n_packed` bytes of a file were declared to hold.

    Memory is taken as it is filled: a short file that declares much costs little.

    Raises
    ------
    DamagedError
        If they hold more or less, are damaged, or would expand as only a decompression bomb does.
    """
    if n_bytes > max(FREE_BYTES, MOST_EXPANSION * n_packed):
        raise DamagedError(
            f"would expand from {n_packed} to {n_bytes} bytes, more than {MOST_EXPANSION} times; "
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
