"""Arrays: what a file says of one, and its values or some of its columns."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal, NoReturn

import numpy as np
import numpy.typing as npt

from probe.safeh5._chunks import OLD_TREE, SINGLE, TREE, Chunk, Index, chunks_of
from probe.safeh5._filters import KNOWN_FILTERS, Filter, parsed_filters, unfiltered
from probe.safeh5._headers import (
    DATASPACE,
    DATATYPE,
    EXTERNAL,
    FILTERS,
    LAYOUT,
    Message,
    Shape,
    Type,
    body_of,
    parsed_shape,
    parsed_type,
)
from probe.safeh5._source import UNDEFINED, DamagedError, Limits, Source, number, numbers
from probe.safeh5._text import printable

__all__ = [
    "Description",
    "Refuse",
    "check_array",
    "check_size",
    "check_storage",
    "contiguous_at",
    "described",
    "read_array",
    "read_bytes",
]

_COMPACT, _CONTIGUOUS, _CHUNKED, _VIRTUAL = 0, 1, 2, 3

_SHORT_ROW = 8192
"""Bytes of a row, beyond which reading a few of its columns by themselves beats reading it whole."""

_LARGE_CHUNK = 2 << 20
"""Bytes of a chunk that may be larger than its array: those of h5py have 1 MiB at most."""

_BLOCK = 8 << 20
"""Bytes of the blocks of rows that are read whole."""

_PLAIN_EDGES, _FILTERED_SINGLE = 1, 2

_SUPERBLOCK = 48
"""Bytes at the beginning of a file that are never those of an array."""


Refuse = Callable[[str], NoReturn]
"""Raises the file's error about one array."""


@dataclass(frozen=True, slots=True)
class Description:
    """What a file says of an array."""

    type: Type
    shape: Shape | None  # None for a data set without values
    owner: int  # address of the object
    filters: tuple[Filter, ...] = ()
    storage: Literal["inside", "contiguous", "chunked", "virtual", "external"] = "contiguous"
    content: bytes = b""  # the values of an array that is inside its header
    address: int = UNDEFINED  # of the values of a contiguous array
    n_stored: int = 0  # bytes of the values that are in one piece
    index: Index | None = None  # where the chunks are
    plain_edges: bool = False  # whether chunks that reach over the end of the array have no filters

    @property
    def n_bytes(self) -> int:
        """Bytes of all values."""
        return math.prod(self.shape or (0,)) * self.type.n_bytes

    @property
    def n_unpacked(self) -> int:
        """Bytes of all values and of what else is in their chunks."""
        return self.n_bytes if self.index is None else math.prod(self.index.counts) * self.index.n_bytes


def described(source: Source, messages: list[Message], owner: int) -> Description:
    """Return what the messages of the data set at the address `owner` say."""
    by_kind = {message.kind: message for message in messages}
    typed = parsed_type(body_of(source, by_kind[DATATYPE], DATATYPE))
    shape, largest = parsed_shape(source, body_of(source, by_kind[DATASPACE], DATASPACE))
    filters = parsed_filters(body_of(source, by_kind[FILTERS], FILTERS)) if FILTERS in by_kind else ()
    array = Description(typed, shape, owner, filters)
    if EXTERNAL in by_kind:
        return replace(array, storage="external")
    body = by_kind[LAYOUT].body
    version = number(body, 0, 1)
    if version in (1, 2):
        return _oldest_layout(source, body, array, largest)
    if version not in (3, 4, 5):
        raise DamagedError("an array is laid out in an unknown way")
    kind = number(body, 1, 1)
    if kind == _COMPACT:
        return _inside(array, body, 2, number(body, 2, 2))
    if kind == _CONTIGUOUS:
        address = source.offset(body, 2)
        if address < _SUPERBLOCK:
            raise DamagedError("an array lies over the beginning of the file")
        return replace(array, address=address, n_stored=source.length(body, 2 + source.offset_bytes))
    if kind == _VIRTUAL:
        return replace(array, storage="virtual")
    if kind != _CHUNKED:
        raise DamagedError("an array is laid out in an unknown way")
    if version > 3:
        return _newer_chunks(source, body, array, largest)
    sizes = numbers(body, 3 + source.offset_bytes, number(body, 2, 1), 4)
    return _chunked(array, largest, sizes, OLD_TREE, source.offset(body, 3))


def _oldest_layout(source: Source, body: bytes, array: Description, largest: Shape | None) -> Description:
    rank, kind, at = number(body, 1, 1), number(body, 2, 1), 8
    address = UNDEFINED
    if kind != _COMPACT:
        address, at = source.offset(body, at), at + source.offset_bytes
    sizes = numbers(body, at, rank, 4)
    if kind == _CONTIGUOUS:
        return replace(array, address=address, n_stored=array.n_bytes)
    if kind == _CHUNKED:
        return _chunked(array, largest, sizes, OLD_TREE, address)
    if kind == _COMPACT:
        at += 4 * rank
        return _inside(array, body, at + 2, number(body, at, 4))
    raise DamagedError("an array is laid out in an unknown way")


def _inside(array: Description, body: bytes, at: int, n_bytes: int) -> Description:
    """Return an array whose values are in the message, two bytes behind `at`."""
    return replace(array, storage="inside", content=body[at + 2 : at + 2 + n_bytes], n_stored=n_bytes)


def _newer_chunks(source: Source, body: bytes, array: Description, largest: Shape | None) -> Description:
    flags, rank, width = number(body, 2, 1), number(body, 3, 1), number(body, 4, 1)
    if not 1 <= width <= 8:
        raise DamagedError(f"the sizes of chunks take {width} bytes")
    sizes = numbers(body, 5, rank, width)
    at = 5 + rank * width
    kind, at = number(body, at, 1), at + 1
    single = (0, 0)
    if kind == SINGLE and flags & _FILTERED_SINGLE:
        single = source.length(body, at), number(body, at + source.length_bytes, 4)
        at += source.length_bytes + 4
    # How the index is built is said again where the index is.
    at += {1: 0, 2: 0, 3: 1, 4: 5, TREE: 6}.get(kind, 0)
    chunked = _chunked(array, largest, sizes, kind, source.offset(body, at), single)
    return replace(chunked, plain_edges=bool(flags & _PLAIN_EDGES))


def _chunked(
    array: Description,
    largest: Shape | None,
    sizes: Shape,
    kind: int,
    address: int,
    single: tuple[int, int] = (0, 0),
) -> Description:
    if array.shape is None or largest is None:
        raise DamagedError("an array is laid out in an unknown way")
    if len(sizes) != len(array.shape) + 1 or not all(sizes) or sizes[-1] != array.type.n_bytes or kind > TREE:
        raise DamagedError("the chunks of an array do not fit its shape or type")
    n_bytes, filtered = math.prod(sizes), bool(array.filters)
    index = Index(kind, address, sizes[:-1], array.shape, largest, n_bytes, filtered, single)
    return replace(array, storage="chunked", index=index)


def check_storage(array: Description, limits: Limits, refuse: Refuse) -> None:
    """Refuse an array that is not plainly in this file."""
    if array.storage == "external":
        refuse("keeps its data in another file, which is not opened")
    if array.storage == "virtual":
        refuse("is put together from other data sets, which are not opened")
    filters = [one.number for one in array.filters]
    if not KNOWN_FILTERS.issuperset(filters) or len(set(filters)) != len(filters):
        refuse(f"uses the HDF5 filters {filters}; only deflate, shuffle and checksum are read")
    if array.shape is None:
        refuse("is empty")
    if len(array.shape) > limits.rank:
        refuse(f"has shape {printable(array.shape, 60)}, expected at most {limits.rank} axes")


def check_array(array: Description, kinds: str, limits: Limits, refuse: Refuse) -> None:
    """Refuse what is no plain array of numbers of these kinds (as in `numpy.dtype.kind`) in this file."""
    check_storage(array, limits, refuse)
    is_half = array.type.name == "bfloat16" and "f" in kinds
    if not is_half and (array.type.dtype is None or array.type.dtype.kind not in kinds):
        words = {"f": "float", "i": "integer", "u": "unsigned integer", "b": "bool"}
        refuse(f"holds {array.type.name}, expected {' or '.join(words[kind] for kind in kinds)} numbers")


def check_size(
    array: Description, columns: range | None, bytes_left: int, limits: Limits, refuse: Refuse
) -> int:
    """Refuse an array that takes too much to read; return the bytes that it takes."""
    assert array.shape is not None
    shape, whole, index = array.shape, array.n_bytes, array.index
    size = whole if columns is None else math.prod(shape[:-1]) * len(columns) * array.type.n_bytes
    if size > min(limits.tensor_bytes, bytes_left):
        refuse(f"of shape {shape} takes {size} bytes, more than is read from one file")
    if index is None:
        is_written = array.n_stored >= whole and (array.storage == "inside" or array.address != UNDEFINED)
    else:
        is_written = index.address != UNDEFINED
    if whole and not is_written:
        refuse(f"of shape {shape} was never written; the file is incomplete")
    if index is None:
        return size
    # Chunks are unpacked whole, however little of them is in the array.
    if index.n_bytes > min(limits.chunk_bytes, max(_LARGE_CHUNK, 8 * whole)):
        refuse(f"has chunks of shape {index.chunk}, too large to read")
    n_chunks = math.prod(map(len, _ranges(index, columns)))
    if n_chunks > limits.chunks + whole // 256:
        refuse(f"has chunks of shape {index.chunk}, too many to read")
    if n_chunks * index.n_bytes > bytes_left:
        refuse(f"of shape {shape} unpacks to more bytes than are read from one file")
    return max(size, n_chunks * index.n_bytes)


def contiguous_at(source: Source, array: Description, refuse: Refuse) -> int:
    """Return where in the file the values of an array begin that lie there as they are, one behind the other."""
    if array.storage != "contiguous" or array.filters or array.type.name == "bfloat16":
        refuse(
            f"of shape {array.shape} is {array.storage} {array.type.name}, and only contiguous numbers can be read part by "
            "part. Write it again with h5py: new.create_dataset(name, old.shape, old.dtype), without chunks or compression, "
            "and then new[name][a:b] = old[a:b] for one part after the other"
        )
    if array.n_stored < array.n_bytes or array.address == UNDEFINED:
        refuse(f"of shape {array.shape} was never written; the file is incomplete")
    source.extents.take([(array.address, array.n_bytes)], array.owner)
    return source.place(array.address, array.n_bytes)


def read_array(source: Source, array: Description, columns: range | None, refuse: Refuse) -> npt.NDArray[Any]:
    """Return the array or its columns, in native byte order; bfloat16 as float32."""
    dtype = array.type.dtype
    assert dtype is not None and array.shape is not None
    shape = array.shape if columns is None else (*array.shape[:-1], len(columns))
    # Before memory is taken for the values.
    chunks = [] if array.index is None else _stored_chunks(source, array, array.index, columns, refuse)
    values = np.empty(shape, dtype)
    if not values.size:
        pass
    elif array.index is not None:
        _read_chunks(source, array, array.index, chunks, values, 0 if columns is None else columns.start)
    elif array.storage == "inside":
        whole = np.frombuffer(array.content, dtype, math.prod(array.shape)).reshape(array.shape)
        values[...] = whole if columns is None else whole[..., columns.start : columns.stop]
    else:
        source.extents.take([(array.address, array.n_bytes)], array.owner)
        if columns is None:
            source.read_into(array.address, _as_bytes(values))
        else:
            _read_columns(source, array.address, array.shape[-1], columns, values)
    if array.type.name == "bfloat16":
        # bfloat16 is the upper half of a float32.
        return (values.view("<u2").astype(np.uint32) << 16).view(np.float32)
    return values.astype(values.dtype.newbyteorder("="), copy=False)


def read_bytes(source: Source, array: Description, refuse: Refuse) -> bytes:
    """Return the bytes of all values, whatever their type."""
    raw = Type("bytes", array.type.n_bytes, np.dtype(f"V{array.type.n_bytes}"))
    return read_array(source, replace(array, type=raw), None, refuse).tobytes()


def _as_bytes(values: npt.NDArray[Any]) -> memoryview:
    return memoryview(values.reshape(-1).view(np.uint8))  # type: ignore[arg-type]


def _read_columns(
    source: Source, address: int, row_length: int, columns: range, values: npt.NDArray[Any]
) -> None:
    """Fill `values` with some columns of a contiguous array."""
    rows = values.reshape(-1, len(columns))
    n_rows, item = len(rows), values.itemsize
    row_bytes = row_length * item
    if row_bytes > _SHORT_ROW:
        view = _as_bytes(rows)
        width = len(columns) * item
        for k in range(n_rows):
            at = address + k * row_bytes + columns.start * item
            source.read_into(at, view[k * width : (k + 1) * width])
        return
    step = max(1, _BLOCK // row_bytes)
    block = np.empty((min(step, n_rows), row_length), values.dtype)
    for start in range(0, n_rows, step):
        part = block[: min(step, n_rows - start)]
        source.read_into(address + start * row_bytes, _as_bytes(part))
        rows[start : start + len(part)] = part[:, columns.start : columns.stop]


def _stored_chunks(
    source: Source, array: Description, index: Index, columns: range | None, refuse: Refuse
) -> list[Chunk]:
    """Return the chunks that are wanted; refuse an array that lacks some, or claims too much."""
    if not array.n_bytes:
        return []
    stored, ranges = chunks_of(source, index), _ranges(index, columns)
    n_wanted = math.prod(map(len, ranges))
    # Before they are listed: a few bytes can declare millions.
    chunks = list(stored.values())
    if n_wanted <= len(stored):
        chunks = [stored[start] for start in itertools.product(*ranges) if start in stored]
    if len(chunks) < n_wanted:
        refuse(
            f"of shape {array.shape} was not written to the end: {len(chunks)} of {n_wanted} chunks are there; "
            "the file is incomplete"
        )
    source.extents.take([(chunk.address, chunk.n_bytes) for chunk in chunks], array.owner)
    n_bytes, n_stored = len(chunks) * index.n_bytes, sum(chunk.n_bytes for chunk in chunks)
    if n_bytes > 1 << 20 and n_bytes > source.limits.compression * n_stored:
        refuse(f"of shape {array.shape} takes {n_bytes} bytes but is stored in {n_stored}")
    return chunks


def _ranges(index: Index, columns: range | None) -> list[range]:
    """Return which chunks are wanted along each axis."""
    ranges = [range(n) for n in index.counts]
    if columns is not None:
        step = index.chunk[-1]
        ranges[-1] = range(columns.start // step, -(-columns.stop // step))
    return ranges


def _read_chunks(
    source: Source,
    array: Description,
    index: Index,
    chunks: list[Chunk],
    values: npt.NDArray[Any],
    first_column: int,
) -> None:
    for chunk in chunks:
        corner = tuple(k * step for k, step in zip(chunk.start, index.chunk, strict=True))
        ends = tuple(min(at + step, n) for at, step, n in zip(corner, index.chunk, index.shape, strict=True))
        sizes = tuple(end - at for at, end in zip(corner, ends, strict=True))
        filters = () if array.plain_edges and sizes != index.chunk else array.filters
        tile = np.frombuffer(_content(source, chunk, index.n_bytes, filters), values.dtype)
        into = [slice(at, end) for at, end in zip(corner, ends, strict=True)]
        part = [slice(0, size) for size in sizes]
        # `values` begin at a column of the array.
        first, last = max(corner[-1], first_column), min(ends[-1], first_column + values.shape[-1])
        into[-1] = slice(first - first_column, last - first_column)
        part[-1] = slice(first - corner[-1], last - corner[-1])
        values[tuple(into)] = tile.reshape(index.chunk)[tuple(part)]


def _content(source: Source, chunk: Chunk, n_bytes: int, filters: tuple[Filter, ...]) -> bytes | memoryview:
    """Return the `n_bytes` bytes of a chunk."""
    # Deflate adds 5 bytes to each 16 kB that it cannot compress, and some at both ends.
    if chunk.n_bytes > n_bytes + n_bytes // 1000 + 1024:
        raise DamagedError(f"a chunk of {n_bytes} bytes is stored in {chunk.n_bytes}")
    if chunk.address < _SUPERBLOCK:
        raise DamagedError("a chunk lies over the beginning of the file")
    source.count(2)
    return unfiltered(source.content(chunk.address, chunk.n_bytes), filters, chunk.skipped, n_bytes)
