"""Files of arrays with images and labels: HDF5 and NPZ. They may come from anybody.

A format is a context manager: it opens a path and gives an `ArrayFile`, which checks what an array says of itself
before it is read. What all formats share is in `_stored`; how a path is looked up, in `_sources`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from probe._checks import DataFileError, InputError
from probe.datasets._blocks import RowsOfFile, StoredImages
from probe.datasets._stored import (
    MAX_BYTES,
    ArrayFile,
    ImagesIn,
    Stored,
    check_declared,
)
from probe.safeh5 import (
    DEFAULT_LIMITS,
    MAX_EXPANSION,
    ZipArchive,
    open_file,
    open_zip,
    printable,
)

__all__ = ["open_hdf5", "open_npz"]

NAMES = "class_names"
LABELS = ("labels", "test_labels", "y_train", "y_test", "train_labels")  # which may be names of classes
MAX_CLASSES = 2**16
MAX_NAME_BYTES = 2**24
MAX_TEXT_LABELS = 2**22
MAX_TEXT_BYTES = 2**27
LAST_CHARACTER = 0x10FFFF
SURROGATES = (0xD800, 0xDFFF)

HDF5_LIMITS = replace(
    DEFAULT_LIMITS,
    tensor_bytes=MAX_BYTES,
    total_bytes=2 * MAX_BYTES,
    strings_bytes=MAX_TEXT_BYTES,
    steps=2_000_000,  # a label of variable length takes a few
)
FREE_BYTES = 64 << 20

NPY, NPY_MAGIC = ".npy", b"\x93NUMPY"
MAX_HEADER_BYTES = 10_000  # as in NumPy

# A header is a Python dictionary. Nothing of Python is used to read it: literals can be costly to evaluate.
ENTRY = re.compile(
    r"\s*(?P<quote>['\"])(?P<key>descr|fortran_order|shape)(?P=quote)\s*:\s*"
    r"(?:(?P<mark>['\"])(?P<descr>[<>=|]?[biufcmMOSUV]\d{0,10}(?:\[\w{1,4}\])?)(?P=mark)"
    r"|(?P<fortran_order>True|False)|\((?P<shape>[\dL,\s]*)\))\s*(?P<end>,\s*\}|,|\})",
    re.ASCII,
)
SHAPE = re.compile(r"\s*|(?:\s*\d{1,19}L?\s*,)+(?:\s*\d{1,19}L?)?\s*", re.ASCII)  # L: written by Python 2


@contextmanager
def open_hdf5(path: Path, images_in: ImagesIn = "auto") -> Iterator[ArrayFile]:
    """Open an HDF5 file, whose images may stay in it.

    Only plain arrays directly in the root group are read: what a link, an external file or a virtual
    dataset points to may be any other file of the reader's.
    """
    before = path.stat()
    with open_file(path, DataFileError, HDF5_LIMITS) as file:
        keys, taken = file.members(file.root), 0

        def read(key: str) -> Stored | StoredImages | tuple[str, ...]:
            nonlocal taken
            if key in LABELS and file.is_text(file.root, key):
                return file.string_array(file.root, key, MAX_TEXT_LABELS)
            shape, dtype = file.describe(file.root, key, kinds="fui", place=key)
            n_bytes = 4 * math.prod(shape)
            if key not in LABELS and (images_in == "file" or (images_in == "auto" and n_bytes > MAX_BYTES)):
                shown = f"{key} ({n_bytes / 2**30:,.1f} GiB in memory)"
                found = file.contiguous(file.root, key, kinds="fui", place=shown)
                return StoredImages(RowsOfFile.of(path, before, *found))
            check_declared(key, shape, np.dtype("float32" if dtype == "bfloat16" else dtype))
            # Pixels become 4 bytes each, and labels 8.
            taken += math.prod(shape) * (4 if len(shape) > 1 else 8)
            if taken > max(FREE_BYTES, MAX_EXPANSION * file.size):
                raise InputError(
                    f"{key} would take {taken} bytes of memory from {file.size}; store it uncompressed"
                )
            return file.array(file.root, key, kinds="fui", place=key)

        names = None
        if NAMES in keys:
            names = file.string_array(file.root, NAMES, MAX_CLASSES)
        elif file.has_attribute(file.root, NAMES):
            names = file.strings(file.root, NAMES, MAX_CLASSES)
        yield ArrayFile(keys, read, names)


class _Header(NamedTuple):
    """What an NPY array says of itself, and the number of bytes in which it does."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    order: Literal["C", "F"]
    n_bytes: int


@contextmanager
def open_npz(path: Path) -> Iterator[ArrayFile]:
    """Open an NPZ file, a zip archive of arrays, as `numpy.savez` writes it. No pickle is ever opened."""
    with open_zip(path) as archive:

        def read(key: str) -> Stored | tuple[str, ...]:
            header = _header(archive, key)
            if key in LABELS and header.dtype.kind in "US":
                return text(key, header, MAX_TEXT_LABELS, MAX_TEXT_BYTES)
            check_declared(key, header.shape, header.dtype)
            return _content(archive, key, header)

        def text(key: str, header: _Header, most: int, most_bytes: int) -> tuple[str, ...]:
            _check_declared_text(key, header.shape, header.dtype, most, most_bytes)
            return _as_text(key, _content(archive, key, header))

        keys = [name.removesuffix(NPY) for name in archive.members if name.endswith(NPY)]
        if archive.members and not keys:
            raise InputError(
                "is a zip archive without arrays (.npy); unpack it, and pass the folder that it makes"
            )
        names = None
        if NAMES in keys:
            names = text(NAMES, _header(archive, NAMES), MAX_CLASSES, MAX_NAME_BYTES)
        yield ArrayFile(keys, read, names)


def _check_declared_text(
    key: str, shape: tuple[int, ...], dtype: np.dtype[Any], most: int, most_bytes: int
) -> None:
    """Raise if names of classes are no row of strings or too many, before they are read."""
    n_names = math.prod(shape)
    if len(shape) != 1 or dtype.kind not in "US":
        raise InputError(
            f"{key} must be one row of fixed-length strings, as numpy.char.encode(names) gives, "
            f"got {printable(dtype)} of shape {printable(shape)}"
        )
    if n_names > most:
        raise InputError(f"{key} must be at most {most} strings, got {n_names}")
    if n_names * dtype.itemsize > most_bytes:
        raise InputError(f"{key} take more than {most_bytes >> 20} MiB, got {dtype} of shape {shape}")


def _as_text(key: str, stored: Stored) -> tuple[str, ...]:
    """Return names of classes that are stored as a row of fixed-length strings: UTF-8, or NumPy's Unicode."""
    if stored.dtype.kind == "S":
        try:
            return tuple(name.decode() for name in stored.tolist())
        except UnicodeDecodeError as error:
            raise InputError(f"{key} must be text in UTF-8: {error}") from None
    # NumPy makes strings of any numbers; Python must not see those that are no characters.
    codes = np.ascontiguousarray(stored).view(stored.dtype.byteorder.replace("|", "=") + "u4")
    if ((codes > LAST_CHARACTER) | ((codes >= SURROGATES[0]) & (codes <= SURROGATES[1]))).any():
        raise InputError(f"{key} hold numbers that are no characters of Unicode")
    return tuple(stored.tolist())


def _content(archive: ZipArchive, key: str, header: _Header) -> Stored:
    n_bytes = math.prod(header.shape) * header.dtype.itemsize
    n_stored = archive.members[key + NPY].n_bytes - header.n_bytes
    if n_stored != n_bytes:
        raise InputError(
            f"{key} of shape {header.shape} takes {n_bytes} bytes as {header.dtype}, but {n_stored} are there"
        )
    content = archive.read(key + NPY, header.n_bytes + n_bytes)[header.n_bytes :]
    if not n_bytes:
        return np.empty(header.shape, header.dtype)
    return content.view(header.dtype).reshape(header.shape, order=header.order)


def _header(archive: ZipArchive, key: str) -> _Header:
    start = archive.start(key + NPY, 12 + MAX_HEADER_BYTES)
    if len(start) < 12 or not start.startswith(NPY_MAGIC):
        raise InputError(f"{key} is no NPY array: it begins with {start[:8]!r}")
    version = start[6], start[7]
    if version not in ((1, 0), (2, 0)):
        # NumPy writes version 3 for structured types with non-Latin field names only.
        raise InputError(f"{key} must hold numbers, got an array of NPY version {version}")
    first = 10 if version == (1, 0) else 12
    length = int.from_bytes(start[8:first], "little")
    if length > MAX_HEADER_BYTES:
        raise InputError(
            f"{key} has a header of {length} bytes, more than the {MAX_HEADER_BYTES} that are read"
        )
    text = start[first : first + length]
    if len(text) < length:
        raise InputError(f"{key} is cut off: its header has {len(text)} of {length} bytes")
    return _parsed(key, text.decode("latin-1").rstrip(), first + length)


def _parsed(key: str, text: str, n_bytes: int) -> _Header:
    """Return what the header says that NumPy wrote, or raise if it describes no plain array."""
    entries: dict[str, str] = {}
    at, is_open = 1, text[:1] == "{"
    while is_open and (entry := ENTRY.match(text, at)):
        # The value must be of the kind that its key has.
        if entry["key"] in entries or entry[entry["key"]] is None:
            break
        entries[entry["key"]] = entry[entry["key"]]
        at, is_open = entry.end(), "}" not in entry["end"]
    if len(entries) < 3 or at != len(text) or is_open or not SHAPE.fullmatch(entries["shape"]):
        raise InputError(
            f"{key} must be a plain array of numbers, got one with the header {printable(text, 120)}"
        )
    shape = tuple(int(length) for length in re.findall(r"\d+", entries["shape"]))
    try:
        dtype = np.dtype(entries["descr"])
    except (TypeError, ValueError):
        raise InputError(
            f"{key} must hold numbers, got {entries['descr']!r}, which is no type of NumPy's"
        ) from None
    return _Header(shape, dtype, "F" if entries["fortran_order"] == "True" else "C", n_bytes)
