"""The B-trees that find members, messages and chunks."""

from __future__ import annotations

from collections.abc import Iterator

from probe.safeh5._source import UNDEFINED, DamagedError, Source, number

__all__ = ["old_tree_entries", "tree_records"]

_MOST_LEVELS = 32
_MOST_NODE_BYTES = 1 << 20

_STEPS = {5: 4, 8: 16}
"""Steps that each link and each attribute takes at least."""


def old_tree_entries(source: Source, address: int, kind: int, key_bytes: int) -> Iterator[tuple[bytes, int]]:
    """Yield key and address of every leaf below a node of a B-tree of version 1.

    Parameters
    ----------
    source : Source
        The file.
    address : int
        That of the root.
    kind : int
        0 for the members of a group, 1 for chunks.
    key_bytes : int
        Length of a key.
    """
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
    """Yield the records of a B-tree of version 2, in order.

    Parameters
    ----------
    source : Source
        The file.
    address : int
        That of the tree's header.
    kind : int
        What its records are, as in the format's specification, section III.A.2.
    """
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
