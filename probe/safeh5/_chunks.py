"""Where the chunks of a chunked array are: the six ways in which HDF5 keeps an index of them."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import repeat
from typing import NamedTuple

from probe.safeh5._headers import Shape
from probe.safeh5._heaps import old_tree_entries, tree_records
from probe.safeh5._source import UNDEFINED, DamagedError, Source, number, numbers

__all__ = ["Chunk", "Index", "chunks_of"]

OLD_TREE, SINGLE, IMPLICIT, FIXED, EXTENSIBLE, TREE = 0, 1, 2, 3, 4, 5


class Chunk(NamedTuple):
    """One stored chunk."""

    start: Shape  # which chunk it is along each axis
    address: int
    n_bytes: int  # that it takes in the file
    skipped: int  # a bit for each filter that was not applied to it


@dataclass(frozen=True, slots=True)
class Index:
    """What the layout message says of a chunked array."""

    kind: int
    address: int
    chunk: Shape
    shape: Shape  # of the array
    largest: Shape  # that the array can get; -1 where nothing bounds it
    n_bytes: int  # of a chunk before all filters
    is_filtered: bool
    single: tuple[int, int] = (0, 0)  # bytes in the file and skipped filters of an only chunk with filters

    @property
    def counts(self) -> Shape:
        """Number of chunks along each axis."""
        return tuple(-(-n // step) for n, step in zip(self.shape, self.chunk, strict=True))

    @property
    def largest_counts(self) -> Shape:
        """Number of chunks along each axis of the largest array that it can get."""
        return tuple(-(-n // step) for n, step in zip(self.largest, self.chunk, strict=True))


def chunks_of(source: Source, index: Index) -> dict[Shape, Chunk]:
    """Return the chunks of an array by where they start; those that were never written are not among them."""
    counts = index.counts
    by_place: dict[Shape, Chunk] = {}
    if index.address == UNDEFINED:
        return by_place
    for chunk in _WALKS[index.kind](source, index):
        source.count(1 + len(counts))
        # Chunks beyond the end are left from an array that was once larger.
        if chunk.address == UNDEFINED or not all(k < n for k, n in zip(chunk.start, counts, strict=True)):
            continue
        if chunk.start in by_place:
            raise DamagedError("an array has one of its chunks twice")
        by_place[chunk.start] = chunk
    return by_place


def _old_tree(source: Source, index: Index) -> Iterator[Chunk]:
    rank = len(index.chunk)
    for key, address in old_tree_entries(source, index.address, 1, 16 + 8 * rank):
        corner = numbers(key, 8, rank, 8)
        if any(at % step for at, step in zip(corner, index.chunk, strict=True)):
            raise DamagedError("a chunk lies between others")
        start = tuple(at // step for at, step in zip(corner, index.chunk, strict=True))
        yield Chunk(start, address, number(key, 0, 4), number(key, 4, 4))


def _single(_source: Source, index: Index) -> Iterator[Chunk]:
    n_bytes, skipped = index.single if index.is_filtered else (index.n_bytes, 0)
    yield Chunk((0,) * len(index.chunk), index.address, n_bytes, skipped)


def _implicit(source: Source, index: Index) -> Iterator[Chunk]:
    # They lie in a row, also those of the largest array that it can get.
    n_bytes = math.prod(index.largest_counts) * index.n_bytes
    if -1 in index.largest or index.address + n_bytes > source.size:
        raise DamagedError("the chunks of an array reach beyond the end of the file")
    steps = [math.prod(index.largest_counts[axis + 1 :]) for axis in range(len(index.chunk))]
    for k in range(math.prod(index.counts)):
        start = _place(k, index.counts)
        row = sum(map(operator.mul, start, steps))
        yield Chunk(start, index.address + row * index.n_bytes, index.n_bytes, 0)


def _place(k: int, counts: Shape) -> Shape:
    position: list[int] = []
    for count in reversed(counts):
        k, at = divmod(k, count)
        position.append(at)
    return tuple(reversed(position))


def _tree(source: Source, index: Index) -> Iterator[Chunk]:
    rank = len(index.chunk)
    for record in tree_records(source, index.address, 11 if index.is_filtered else 10):
        at = len(record) - 8 * rank
        yield _element(source, index, record[:at], numbers(record, at, rank, 8))


def _element(source: Source, index: Index, block: bytes, start: Shape) -> Chunk:
    """Return the chunk that an element of an array of chunks stands for."""
    offset = source.offset_bytes
    if not index.is_filtered:
        return Chunk(start, source.offset(block, 0), index.n_bytes, 0)
    n_bytes = number(block, offset, len(block) - offset - 4)
    return Chunk(start, source.offset(block, 0), n_bytes, number(block, len(block) - 4, 4))


def _fixed(source: Source, index: Index) -> Iterator[Chunk]:
    offset, length = source.offset_bytes, source.length_bytes
    head = source.read_checked(index.address, 12 + length + offset)
    if head[:4] != b"FAHD" or head[4] != 0 or head[5] != index.is_filtered:
        raise DamagedError(f"there is no array of chunks at {index.address}")
    width, page = head[6], 1 << min(head[7], 40)
    n_elements, address = source.length(head, 8), source.offset(head, 8 + length)
    counts = index.largest_counts
    if address == UNDEFINED:
        return
    _check_width(source, index, width)
    if n_elements != math.prod(counts) or n_elements > source.size:
        raise DamagedError("an array of chunks has another size than the array")
    prefix = 6 + offset
    is_paged = n_elements > page
    n_pages = -(-n_elements // page)
    bits = -(-n_pages // 8) if is_paged else 0
    block = source.read_checked(address, prefix + bits + (0 if is_paged else n_elements * width) + 4)
    if block[:4] != b"FADB":
        raise DamagedError(f"there are no chunks at {address}")
    at = address + len(block) + 4
    for number_of_page in range(n_pages if is_paged else 1):
        source.count()
        first = number_of_page * page if is_paged else 0
        count = min(page, n_elements - first) if is_paged else n_elements
        if is_paged:
            is_written = block[prefix + number_of_page // 8] >> (7 - number_of_page % 8) & 1
            here, at = at, at + count * width + 4
            if not is_written:
                continue
            elements = source.read_checked(here, count * width + 4)
        else:
            elements = block[prefix:]
        for k, element in enumerate(_pieces(elements, 0, width, count), first):
            yield _element(source, index, element, _place(k, counts))


def _check_width(source: Source, index: Index, width: int) -> None:
    offset = source.offset_bytes
    if not (offset + 5 <= width <= offset + 12 if index.is_filtered else width == offset):
        raise DamagedError(f"an array of chunks has elements of {width} bytes")


def _extensible(source: Source, index: Index) -> Iterator[Chunk]:
    for k, element in enumerate(_Extensible(source, index).elements()):
        yield _element(source, index, element, _extended_place(k, index))


def _extended_place(k: int, index: Index) -> Shape:
    """Return which chunk is number `k`, where the axis without bound counts slowest."""
    free = index.largest.index(-1)
    counts = index.largest_counts[:free] + index.largest_counts[free + 1 :]
    k, rest = divmod(k, math.prod(counts))
    place = list(_place(rest, counts))
    place.insert(free, k)
    return tuple(place)


def _pieces(block: bytes, start: int, width: int, count: int) -> Iterator[bytes]:
    """Yield `count` pieces of `width` bytes from `start` on."""
    return (block[at : at + width] for at in range(start, start + count * width, width))


def _bits(block: bytes, first: int, count: int) -> bytes:
    """Return `count` bits of `block` from the bit `first` on, a byte for each; the highest bit comes first."""
    return bytes(block[k // 8] >> (7 - k % 8) & 1 for k in range(first, first + count))


class _Extensible:
    """An array of chunks that grows along one axis: an index block, blocks of elements, and blocks of those."""

    def __init__(self, source: Source, index: Index) -> None:
        self._source = source
        offset, length = source.offset_bytes, source.length_bytes
        head = source.read_checked(index.address, 16 + 6 * length + offset)
        if head[:4] != b"EAHD" or head[4] != 0 or head[5] != index.is_filtered:
            raise DamagedError(f"there is no array of chunks at {index.address}")
        self._width, n_bits, self._n_first, self._least, self._least_blocks = head[6:11]
        if index.largest.count(-1) != 1 or not (0 < n_bits <= 64 and head[11] <= n_bits):
            raise DamagedError("an array of chunks has sizes that make no sense")
        if not all(n and n & (n - 1) == 0 for n in (self._least, self._least_blocks)):
            raise DamagedError("an array of chunks has sizes that are no powers of two")
        _check_width(source, index, self._width)
        self._page = 1 << head[11]
        self._n_blocks_of_blocks = 1 + n_bits - (self._least.bit_length() - 1)
        self._n_used = source.length(head, 12 + 4 * length)
        self._offset_bytes = -(-n_bits // 8)
        self._index_block = source.offset(head, 12 + 6 * length)
        if self._n_used > source.size:
            raise DamagedError("an array of chunks says that it has more than the file")

    def elements(self) -> Iterator[bytes]:
        """Yield the elements in order; those that were never written refer to nothing."""
        source, left = self._source, self._n_used
        if not left or self._index_block == UNDEFINED:
            return
        offset, width = source.offset_bytes, self._width
        n_direct = 2 * (self._least_blocks - 1)
        n_direct_levels = 2 * (self._least_blocks.bit_length() - 1)
        n_indirect = max(0, self._n_blocks_of_blocks - n_direct_levels)
        start = 6 + offset
        n_bytes = start + self._n_first * width + (n_direct + n_indirect) * offset + 4
        block = source.read_checked(self._index_block, n_bytes)
        if block[:4] != b"EAIB":
            raise DamagedError(f"there are no chunks at {self._index_block}")
        yield from _pieces(block, start, width, min(left, self._n_first))
        left -= self._n_first
        at = start + self._n_first * width
        for level in range(self._n_blocks_of_blocks):
            if left <= 0:
                return
            n_blocks, n_elements = 1 << level // 2, (1 << (level + 1) // 2) * self._least
            if level < n_direct_levels:
                addresses = [source.offset(block, at + k * offset) for k in range(n_blocks)]
                written = [b""] * n_blocks
                at += n_blocks * offset
            else:
                addresses, written = self._addresses(source.offset(block, at), n_blocks, n_elements, left)
                at += offset
            for address, pages in zip(addresses, written, strict=True):
                if left <= 0:
                    return
                yield from self._block(address, n_elements, min(left, n_elements), pages)
                left -= n_elements

    def _addresses(
        self, address: int, n_blocks: int, n_elements: int, left: int
    ) -> tuple[list[int], list[bytes]]:
        """Return the addresses of the blocks of elements in a block of blocks, and which of their pages were written."""
        source = self._source
        if address == UNDEFINED:
            n_needed = min(n_blocks, -(-left // n_elements))
            return [UNDEFINED] * n_needed, [b""] * n_needed
        n_pages = n_elements // self._page if n_elements > self._page else 0
        bits = -(-n_pages // 8)
        start = 6 + source.offset_bytes + self._offset_bytes
        n_bytes = start + n_blocks * (bits + source.offset_bytes) + 4
        block = source.read_checked(address, n_bytes)
        if block[:4] != b"EASB":
            raise DamagedError(f"there are no blocks of chunks at {address}")
        at = start + n_blocks * bits
        return (
            [source.offset(block, at + k * source.offset_bytes) for k in range(n_blocks)],
            # The bits of all blocks follow each other, without a gap at the end of a block's.
            [_bits(block[start:at], k * n_pages, n_pages) for k in range(n_blocks)],
        )

    def _block(self, address: int, n_elements: int, n_wanted: int, written: bytes) -> Iterator[bytes]:
        source, width = self._source, self._width
        nothing = b"\xff" * width
        source.count(2 * n_wanted)
        if address == UNDEFINED:
            yield from repeat(nothing, n_wanted)
            return
        start = 6 + source.offset_bytes + self._offset_bytes
        if n_elements <= self._page:
            block = source.read_checked(address, start + n_elements * width + 4)
            if block[:4] != b"EADB":
                raise DamagedError(f"there are no chunks at {address}")
            yield from _pieces(block, start, width, n_wanted)
            return
        at = address + start + 4
        for page in range(-(-n_wanted // self._page)):
            count = min(self._page, n_wanted - page * self._page)
            if written[page]:
                block = source.read_checked(at, self._page * width + 4)
                yield from _pieces(block, 0, width, count)
            else:
                yield from repeat(nothing, count)
            at += self._page * width + 4


_WALKS = {
    OLD_TREE: _old_tree,
    SINGLE: _single,
    IMPLICIT: _implicit,
    FIXED: _fixed,
    EXTENSIBLE: _extensible,
    TREE: _tree,
}
