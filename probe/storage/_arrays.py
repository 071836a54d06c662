"""Reading one array of an HDF5 file: what must be known of it first, and which part of it is wanted."""

from __future__ import annotations

import itertools
import math
import zlib
from collections.abc import Iterator
from typing import Any, NoReturn, Protocol

import h5py
import numpy as np
import numpy.typing as npt

from probe._checks import InputError
from probe.storage._limits import Limits
from probe.storage._printable import printable

__all__ = ["Refuse", "check_array", "check_size", "column_range", "read_array"]

DEFLATE, SHUFFLE, CHECKSUM = 1, 2, 3
PLAIN_FILTERS = frozenset({DEFLATE, SHUFFLE, CHECKSUM})
"""The filters inside libhdf5 that have no history of memory errors."""

_SHORT_ROW = 8192
"""Bytes of a row, beyond which reading a few of its columns by themselves beats reading it whole."""

_BLOCK = 8 << 20
"""Bytes of the blocks of rows that are read whole."""


class Refuse(Protocol):
    """Raises the file's error about one array."""

    def __call__(self, problem: str) -> NoReturn: ...


def check_array(dataset: h5py.Dataset, kinds: str, limits: Limits, refuse: Refuse) -> None:
    """Refuse what is no plain array of numbers of these kinds (as in `numpy.dtype.kind`) in this file."""
    creation = dataset.id.get_create_plist()
    if dataset.external or creation.get_external_count():
        refuse("keeps its data in another file, which is not opened")
    if dataset.is_virtual or creation.get_layout() == h5py.h5d.VIRTUAL:
        refuse("is put together from other data sets, which are not opened")
    filters = _filters(dataset)
    if not PLAIN_FILTERS.issuperset(filters) or len(set(filters)) != len(filters):
        refuse(f"uses the HDF5 filters {filters}; only deflate, shuffle and checksum are read")
    dtype = dataset.dtype
    bfloat16 = "f" in kinds and dtype.kind == "V" and dtype.itemsize == 2 and dtype.fields is None
    plain = dtype.kind in kinds and dtype.itemsize <= 8 and dtype.subdtype is None
    if not (plain or bfloat16):
        refuse(f"holds {printable(dtype, 40)}, expected {_in_words(kinds)} numbers")
    if dataset.shape is None or len(dataset.shape) > limits.rank:
        refuse(f"has shape {printable(dataset.shape, 60)}, expected at most {limits.rank} axes")


def column_range(columns: slice | None, shape: tuple[int, ...], place: str) -> range | None:
    """Return the columns, entries of the last axis of `shape`; None for all of them.

    Raises
    ------
    InputError
        If they are not there.
    """
    if columns is None:
        return None
    n_columns = shape[-1] if shape else 0
    begin = 0 if columns.start is None else columns.start
    end = n_columns if columns.stop is None else columns.stop
    if columns.step not in (None, 1) or not 0 <= begin < end <= n_columns:
        raise InputError(f"{place} has columns 0 to {n_columns}; {begin}:{end} are not among them")
    return range(begin, end)


def check_size(
    dataset: h5py.Dataset, columns: range | None, bytes_left: int, limits: Limits, refuse: Refuse
) -> int:
    """Refuse an array that was never written or takes too much to read; return the bytes that are wanted."""
    shape, itemsize = dataset.shape, dataset.dtype.itemsize
    whole = math.prod(shape) * itemsize
    size = whole if columns is None else math.prod(shape[:-1]) * len(columns) * itemsize
    if size > min(limits.tensor_bytes, bytes_left):
        refuse(f"of shape {shape} takes {size} bytes, more than is read from one file")
    stored = dataset.id.get_storage_size()
    if whole and not stored:
        refuse(f"of shape {shape} was never written; the file is incomplete")
    if whole > 1 << 20 and whole > limits.compression * stored:
        refuse(f"of shape {shape} takes {whole} bytes but is stored in {stored}")
    if dataset.chunks:
        if math.prod(dataset.chunks) * itemsize > limits.chunk_bytes:
            refuse(f"has chunks of shape {dataset.chunks}, too large to read")
        if math.prod(map(len, _chunk_starts(dataset, columns))) > limits.chunks:
            refuse(f"has chunks of shape {dataset.chunks}, too many to read")
        if DEFLATE in _filters(dataset):
            _check_inflated(dataset, columns, refuse)
    return int(size)


def read_array(dataset: h5py.Dataset, columns: range | None) -> npt.NDArray[Any]:
    """Return the array or its columns, in native byte order; bfloat16 as float32."""
    values = np.asarray(dataset[()] if columns is None else _read_columns(dataset, columns))
    if values.dtype.kind == "V":
        # bfloat16 is the upper half of a float32.
        return (values.view("<u2").astype(np.uint32) << 16).view(np.float32)
    return values.astype(values.dtype.newbyteorder("="), copy=False)


def _read_columns(dataset: h5py.Dataset, columns: range) -> npt.NDArray[Any]:
    wanted = slice(columns.start, columns.stop)
    shape = dataset.shape
    row_bytes = shape[-1] * dataset.dtype.itemsize
    # libhdf5 reads a contiguous array row by row, at some microseconds for each.
    if dataset.chunks or len(shape) < 2 or row_bytes > _SHORT_ROW:
        return np.asarray(dataset[..., wanted])
    found = np.empty((*shape[:-1], len(columns)), dataset.dtype)
    for block in _blocks(shape[:-1], max(1, _BLOCK // row_bytes)):
        found[block] = dataset[block][..., wanted]
    return found


def _blocks(shape: tuple[int, ...], n_most: int) -> Iterator[tuple[int | slice, ...]]:
    """Yield indices that cover an array of `shape`, each of at most `n_most` entries that lie together.

    Examples
    --------
    >>> list(_blocks((2, 5), 4))
    [(0, slice(0, 4, None)), (0, slice(4, 5, None)), (1, slice(0, 4, None)), (1, slice(4, 5, None))]
    >>> list(_blocks((3, 2), 4))
    [(slice(0, 2, None),), (slice(2, 3, None),)]
    """
    inner = math.prod(shape[1:])
    if len(shape) > 1 and inner > n_most:
        for k in range(shape[0]):
            for block in _blocks(shape[1:], n_most):
                yield (k, *block)
        return
    step = max(1, n_most // max(1, inner))
    for start in range(0, shape[0], step):
        yield (slice(start, min(start + step, shape[0])),)


def _check_inflated(dataset: h5py.Dataset, columns: range | None, refuse: Refuse) -> None:
    """Refuse chunks that inflate to more than a chunk: libhdf5 would inflate them whole, whatever it takes."""
    size = math.prod(dataset.chunks) * dataset.dtype.itemsize
    deflate = 1 << _filters(dataset).index(DEFLATE)
    for start in itertools.product(*_chunk_starts(dataset, columns)):
        chunk = dataset.id.get_chunk_info_by_coord(start)
        if chunk.byte_offset is None or chunk.filter_mask & deflate:
            continue
        # Deflate adds 5 bytes to each 16 kB that it cannot compress, and some at both ends.
        if chunk.size > size + size // 1000 + 1024:
            refuse(f"has a chunk of {size} bytes that is stored in {chunk.size}")
        _, stored = dataset.id.read_direct_chunk(start)
        try:
            # 4 bytes for a checksum.
            inflated = len(zlib.decompressobj().decompress(stored, size + 5))
        except zlib.error as error:
            refuse(f"has a chunk that cannot be inflated: {error}")
        if inflated > size + 4:
            refuse(f"has a chunk that inflates to more than its {size} bytes")


def _chunk_starts(dataset: h5py.Dataset, columns: range | None) -> list[range]:
    """Return, for each axis, where the chunks start in which the columns are."""
    starts = [range(0, n, step) for n, step in zip(dataset.shape, dataset.chunks, strict=True)]
    if columns is not None:
        step = dataset.chunks[-1]
        starts[-1] = range(columns.start // step * step, columns.stop, step)
    return starts


def _filters(dataset: h5py.Dataset) -> list[int]:
    creation = dataset.id.get_create_plist()
    return [creation.get_filter(i)[0] for i in range(creation.get_nfilters())]


def _in_words(kinds: str) -> str:
    words = {"f": "float", "i": "integer", "u": "unsigned integer", "b": "bool"}
    return " or ".join(words[kind] for kind in kinds)
