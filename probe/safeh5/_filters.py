"""What was done to chunks before they were stored, undone: deflate, shuffle and checksum, and no other filter."""

from __future__ import annotations

import zlib
from typing import NamedTuple

import numpy as np

from probe.safeh5._checksums import has_fletcher32
from probe.safeh5._source import DamagedError, number

__all__ = ["KNOWN_FILTERS", "Filter", "parsed_filters", "unfiltered"]

DEFLATE, SHUFFLE, CHECKSUM = 1, 2, 3
KNOWN_FILTERS = frozenset({DEFLATE, SHUFFLE, CHECKSUM})

_MOST_FILTERS = 32


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
    found = []
    for _ in range(n_filters):
        which, at = number(block, at, 2), at + 2
        name_bytes = 0
        if version == 1 or which >= 256:
            name_bytes, at = number(block, at, 2), at + 2
        n_settings, at = number(block, at + 2, 2), at + 4
        at += -(-name_bytes // 8) * 8 if version == 1 else name_bytes
        found.append(Filter(which, tuple(number(block, at + 4 * k, 4) for k in range(n_settings))))
        at += 4 * n_settings + (4 * (n_settings % 2) if version == 1 else 0)
    return tuple(found)


def unfiltered(stored: bytes, filters: tuple[Filter, ...], skipped: int, n_bytes: int) -> bytes | memoryview:
    """Return the `n_bytes` bytes of a chunk as they were before the filters.

    Whatever the chunk says, little more than `n_bytes` are ever made of it.
    """
    content: bytes | memoryview = stored
    for place in reversed(range(len(filters))):
        if skipped >> place & 1:
            continue
        which = filters[place].number
        if which == DEFLATE:
            # Checksums that were taken before add 4 bytes each.
            content = _inflated(content, n_bytes + 4 * len(filters))
        elif which == CHECKSUM:
            if len(content) < 4 or not has_fletcher32(content[:-4], int.from_bytes(content[-4:], "little")):
                raise DamagedError("the checksum of a chunk is wrong")
            content = content[:-4]
        elif which == SHUFFLE:
            content = _unshuffled(content, filters[place].settings)
    if len(content) != n_bytes:
        raise DamagedError(f"a chunk of {n_bytes} bytes holds {len(content)}")
    return content


def _inflated(content: bytes | memoryview, most: int) -> bytes:
    stream = zlib.decompressobj()
    try:
        found = stream.decompress(content, most + 1)
    except zlib.error as error:
        raise DamagedError(f"a chunk cannot be inflated: {error}") from None
    if len(found) > most:
        raise DamagedError("a chunk inflates to more than its size")
    if not stream.eof or stream.unused_data:
        raise DamagedError("a chunk is cut off, or has something behind it")
    return found


def _unshuffled(content: bytes | memoryview, settings: tuple[int, ...]) -> bytes | memoryview:
    width = settings[0] if settings else 0
    if not 0 < width <= 1 << 16:
        raise DamagedError(f"the bytes of a chunk are shuffled in steps of {width}")
    n_values = len(content) // width
    if width == 1 or n_values < 2:
        return content
    values = np.frombuffer(content, np.uint8)
    whole = values[: n_values * width].reshape(width, n_values).T
    rest = values[n_values * width :]
    return (
        np.concatenate([whole.reshape(-1), rest]).data
        if len(rest)
        else np.ascontiguousarray(whole).reshape(-1).data
    )
