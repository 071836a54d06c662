"""Where a file keeps what is many: B-trees of members and chunks, heaps of names, strings and messages."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from probe.safeh5._source import UNDEFINED, DamagedError, Source, number

__all__ = ["FractalHeap", "GlobalHeap", "local_heap", "old_tree_entries", "tree_records"]

_MOST_LEVELS = 32
_MOST_NODE_BYTES = 1 << 20

_STEPS = {5: 4, 8: 16}
"""Steps that each link and each attribute takes at least."""

_MANAGED, _HUGE, _TINY = 0, 1, 2
_MOST_ROWS = 64
_NOTHING_FREE = 1
_LONGEST_TINY = 16


def old_tree_entries(source: Source, address: int, kind: int, key_bytes: int) -> Iterator[tuple[bytes, int]]:
    """Yield key and address of each leaf of a B-tree of version 1: kind 0 for members of a group, 1 for chunks."""
    yield from _old_node(source, address, kind, key_bytes, None, set())


def _old_node(
    source: Source, address: int, kind: int, key_bytes: int, level: int | None, known: set[int]
) -> Iterator[tuple[bytes, int]]:
    if address in known:
        raise DamagedError(f"the node of a tree at {address} is below two others")
    known.add(address)
    head = source.read(address, 8 + 2 * source.offset_bytes)
    own_level, n_entries = head[5], number(head, 6, 2)
    # Levels fall on the way down, so that no node can be below itself.
    if head[:4] != b"TREE" or head[4] != kind or own_level != (own_level if level is None else level):
        raise DamagedError(f"there is no such node of a tree at {address}")
    if own_level > _MOST_LEVELS:
        raise DamagedError(f"a tree has {own_level} levels")
    step = key_bytes + source.offset_bytes
    source.count(n_entries)
    block = source.read(address + len(head), n_entries * step)
    for at in range(0, len(block), step):
        child = source.offset(block, at + key_bytes)
        if own_level:
            yield from _old_node(source, child, kind, key_bytes, own_level - 1, known)
        else:
            yield block[at : at + key_bytes], child


def tree_records(source: Source, address: int, kind: int) -> Iterator[bytes]:
    """Yield the records of a B-tree of version 2, in order; kinds are as in the specification, section III.A.2."""
    offset, length = source.offset_bytes, source.length_bytes
    head = source.read_checked(address, 22 + offset + length)
    if head[:4] != b"BTHD" or head[4] != 0 or head[5] != kind:
        raise DamagedError(f"there is no such tree at {address}")
    node_bytes, record_bytes, depth = number(head, 6, 4), number(head, 10, 2), number(head, 12, 2)
    root, n_records = source.offset(head, 16), number(head, 16 + offset, 2)
    if not (record_bytes and record_bytes + 10 <= node_bytes <= _MOST_NODE_BYTES and depth <= _MOST_LEVELS):
        raise DamagedError(f"a tree has {depth} levels of nodes of {node_bytes} bytes for {record_bytes}")
    if root == UNDEFINED:
        return
    # Each takes some steps: what is too much is refused before the first of them.
    source.count(0, reserved=_STEPS.get(kind, 1) * source.length(head, 18 + offset))
    # Most records in a node of each level, and in all of it and below it; and the bytes that count them.
    most = [(node_bytes - 10) // record_bytes]
    below, widths = most[0], [0]
    width = _count_bytes(most[0])
    for _ in range(depth):
        widths.append(offset + width + (_count_bytes(below) if len(widths) > 1 else 0))
        most.append((node_bytes - 10 - widths[-1]) // (record_bytes + widths[-1]))
        below = (most[-1] + 1) * below + most[-1]

    def records(address: int, n_records: int, level: int) -> Iterator[bytes]:
        """Yield the records of a node and of those below it."""
        if not 0 <= n_records <= most[level]:
            raise DamagedError(f"a node of a tree has {n_records} records")
        source.count(n_records)
        end = 6 + n_records * record_bytes
        pointers = (n_records + 1) * widths[level] if level else 0
        block = source.read_checked(address, end + pointers + 4)
        if block[:4] != (b"BTIN" if level else b"BTLF") or block[4] != 0 or block[5] != kind:
            raise DamagedError(f"there is no such node of a tree at {address}")
        for k in range(n_records + 1):
            if level:
                at = end + k * widths[level]
                yield from records(source.offset(block, at), number(block, at + offset, width), level - 1)
            if k < n_records:
                yield block[6 + k * record_bytes : 6 + (k + 1) * record_bytes]

    yield from records(root, n_records, depth)


def _count_bytes(most: int) -> int:
    return (max(1, most).bit_length() - 1) // 8 + 1


def local_heap(source: Source, address: int) -> bytes:
    """Return the names of a group's local heap, each with a null behind it."""
    head = source.read(address, 8 + 2 * source.length_bytes + source.offset_bytes)
    if head[:4] != b"HEAP" or head[4] != 0:
        raise DamagedError(f"there is no heap of names at {address}")
    n_bytes = source.length(head, 8)
    if n_bytes > source.limits.structure_bytes:
        raise DamagedError(f"a heap of names takes {n_bytes} bytes")
    names = source.read(source.offset(head, 8 + 2 * source.length_bytes), n_bytes)
    # A list of free blocks that leads out of the heap, or back, was written by no library.
    free, known = source.length(head, 8 + source.length_bytes), set[int]()
    while free not in (_NOTHING_FREE, (1 << 8 * source.length_bytes) - 1):
        source.count(2)
        if free in known or free + 2 * source.length_bytes > len(names):
            raise DamagedError("the free blocks of a heap of names form no list")
        known.add(free)
        free = source.length(names, free)
    return names


class GlobalHeap:
    """The strings of variable length of a file; each block of them is looked at once."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._blocks: dict[int, dict[int, tuple[int, int]]] = {}

    def item(self, address: int, index: int, length: int) -> bytes:
        """Return the first `length` bytes of an item of the block at `address`; there must be as many."""
        if address not in self._blocks:
            self._blocks[address] = self._items(address)
        place, n_bytes = self._blocks[address].get(index, (0, -1))
        if length > n_bytes:
            raise DamagedError("a string is longer than what its heap holds of it")
        return self._source.read(place, length)

    def _items(self, address: int) -> dict[int, tuple[int, int]]:
        source = self._source
        head = source.read(address, 8 + source.length_bytes)
        if head[:4] != b"GCOL" or head[4] != 1:
            raise DamagedError(f"there are no strings at {address}")
        end = source.length(head, 8)
        if end > source.limits.structure_bytes:
            raise DamagedError(f"a block of strings takes {end} bytes")
        records: dict[int, tuple[int, int]] = {}
        # Everything in such a block begins at a multiple of 8.
        at = width = -(-len(head) // 8) * 8
        while at + width <= end:
            record = source.read(address + at, width)
            index, n_bytes = number(record, 0, 2), source.length(record, 8)
            if index == 0:
                # What is free comes last, and reaches to the end.
                if at + n_bytes != end:
                    raise DamagedError(f"the strings at {address} have a broken record")
                break
            source.count(4)
            at += width
            if at + n_bytes > end or index in records:
                raise DamagedError(f"the strings at {address} have a broken record")
            records[index] = (address + at, n_bytes)
            at += -(-n_bytes // 8) * 8
        return records


@dataclass(frozen=True, slots=True)
class _Table:
    """The doubling table of a fractal heap: rows of `width` blocks, each row from the third on of blocks twice as large."""

    width: int
    first: int
    largest: int

    def size(self, row: int) -> int:
        """Return the bytes of each block of a row."""
        return self.first << max(0, row - 1)

    @property
    def n_direct(self) -> int:
        """Number of rows whose blocks hold objects; blocks of later rows hold rows again."""
        return self.largest.bit_length() - self.first.bit_length() + 2

    def start(self, row: int, column: int) -> int:
        """Return where a block starts, counted from the first."""
        return (self.first * self.width << row - 1 if row else 0) + column * self.size(row)

    def place(self, offset: int) -> tuple[int, int]:
        """Return row and column of the block in which `offset` is."""
        row = (offset // (self.first * self.width)).bit_length()
        return row, (offset - self.start(row, 0)) // self.size(row)

    def n_rows(self, n_bytes: int) -> int:
        """Return how many rows a block of rows has that spans `n_bytes`."""
        return n_bytes.bit_length() - (self.first * self.width).bit_length() + 1


class FractalHeap:
    """A heap of objects of any size, found by identifiers that hold where they are."""

    def __init__(self, source: Source, address: int) -> None:
        self._source = source
        offset, length = source.offset_bytes, source.length_bytes
        at = 14 + 10 * length + 2 * offset
        head = source.read(address, at + 12 + 2 * length + offset)
        if head[:4] != b"FRHP" or head[4] != 0:
            raise DamagedError(f"there is no fractal heap at {address}")
        if number(head, 7, 2):
            raise DamagedError("it compresses a heap of messages, which is not read")
        head = source.checked(head)
        self.id_bytes = number(head, 5, 2)
        self._is_checked = bool(head[9] & 2)
        self._huge = source.offset(head, 14 + length)
        if self._huge != UNDEFINED and source.read(self._huge, 4) != b"BTHD":
            raise DamagedError("a fractal heap has no tree of its large objects")
        width, first = number(head, at, 2), source.length(head, at + 2)
        largest, n_bits = source.length(head, at + 2 + length), number(head, at + 2 + 2 * length, 2)
        if not (_is_power(width) and _is_power(first) and _is_power(largest) and first <= largest):
            raise DamagedError("a fractal heap has sizes that are no powers of two")
        if largest > source.limits.structure_bytes or not largest.bit_length() <= n_bits <= 64:
            raise DamagedError(f"a fractal heap has blocks of {largest} bytes in {n_bits} bits")
        self._table = _Table(width, first, largest)
        self._root = source.offset(head, at + 6 + 2 * length)
        self._n_rows = number(head, at + 6 + 2 * length + offset, 2)
        self._offset_bytes = -(-n_bits // 8)
        self._length_bytes = min((largest.bit_length() + 6) // 8, _count_bytes(number(head, 10, 4)))
        self._head = 5 + offset + self._offset_bytes
        self._blocks: dict[int, bytes] = {}
        self._rows: dict[tuple[int, int], list[int]] = {}

    def item(self, identifier: bytes) -> bytes:
        """Return the object that `identifier` stands for."""
        self._source.count(4)
        if len(identifier) != self.id_bytes:
            raise DamagedError("a heap is asked for an object by an identifier of another length")
        version, kind = identifier[0] >> 6, identifier[0] >> 4 & 3
        if version == 0 and kind == _MANAGED:
            return self._managed(
                number(identifier, 1, self._offset_bytes),
                number(identifier, 1 + self._offset_bytes, self._length_bytes),
            )
        if version == 0 and kind == _HUGE:
            return self._large(identifier[1:])
        if version == 0 and kind == _TINY:
            # Where identifiers are long, 12 bits hold the length.
            long = self.id_bytes > _LONGEST_TINY + 1
            length = (
                number(identifier, 1, 1) | (identifier[0] & 15) << 8 if long else identifier[0] & 15
            ) + 1
            content = identifier[1 + long : 1 + long + length]
            if len(content) == length:
                return content
        raise DamagedError("a heap is asked for an object of an unknown kind")

    @cached_property
    def _large_objects(self) -> dict[int, tuple[int, int]]:
        """Addresses and lengths of the objects that have no block, by their keys."""
        source, length = self._source, self._source.length_bytes
        at = source.offset_bytes
        return {
            number(record, at + length, length): (source.offset(record, 0), source.length(record, at))
            for record in tree_records(source, self._huge, kind=1)
        }

    def _large(self, identifier: bytes) -> bytes:
        source, length = self._source, self._source.length_bytes
        if self.id_bytes > source.offset_bytes + length:
            place, n_bytes = source.offset(identifier, 0), source.length(identifier, source.offset_bytes)
        else:
            key = number(identifier, 0, min(length, len(identifier)))
            place, n_bytes = self._large_objects.get(key, (UNDEFINED, 0))
        if n_bytes > source.limits.structure_bytes:
            raise DamagedError(f"a heap holds an object of {n_bytes} bytes")
        return source.read(place, n_bytes)

    def _managed(self, offset: int, length: int) -> bytes:
        address, start, n_bytes, n_rows = self._root, 0, self._table.first, self._n_rows
        while n_rows:
            row, column = self._table.place(offset - start)
            if row >= n_rows:
                raise DamagedError("an object of a heap lies behind its blocks")
            addresses = self._addresses(address, n_rows)
            n_bytes = self._table.size(row)
            address, start = (
                addresses[row * self._table.width + column],
                start + self._table.start(row, column),
            )
            n_rows = 0 if row < self._table.n_direct else self._table.n_rows(n_bytes)
        block, at = self._block(address, start, n_bytes), offset - start
        head = self._head + 4 * self._is_checked
        self._source.count(length // 64)
        if at < head or at + length > n_bytes:
            raise DamagedError("an object of a heap lies outside of its block")
        return block[at : at + length]

    def _block(self, address: int, start: int, n_bytes: int) -> bytes:
        if address not in self._blocks:
            block = self._source.read(address, n_bytes)
            stored = number(block, 5 + self._source.offset_bytes, self._offset_bytes)
            if block[:4] != b"FHDB" or stored != start:
                raise DamagedError(f"there is no block of a heap at {address}")
            self._source.count(n_bytes // 64)
            self._blocks[address] = block
        return self._blocks[address]

    def _addresses(self, address: int, n_rows: int) -> list[int]:
        """Return the addresses in a block of rows."""
        key = (address, n_rows)
        if key not in self._rows:
            offset, count = self._source.offset_bytes, n_rows * self._table.width
            if n_rows > _MOST_ROWS:
                raise DamagedError(f"a heap has a block of {n_rows} rows")
            self._source.count(count)
            block = self._source.read_checked(address, self._head + count * offset + 4)
            if block[:4] != b"FHIB":
                raise DamagedError(f"there are no rows of a heap at {address}")
            self._rows[key] = [self._source.offset(block, self._head + k * offset) for k in range(count)]
        return self._rows[key]


def _is_power(value: int) -> bool:
    return value > 0 and value & (value - 1) == 0
