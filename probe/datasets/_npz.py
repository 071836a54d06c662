"""Images and labels in NPZ files (a zip archive of NumPy arrays), which may come from anybody."""

from __future__ import annotations

import math
import re
import struct
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from probe._checks import InputError
from probe.datasets._dataset import Split
from probe.datasets._stored import (
    UNIT_RANGE,
    Stored,
    check_declared,
    check_declared_names,
    names_as_text,
    refused_as_data_error,
    split_from_keys,
)
from probe.safeh5 import DamagedError, ZipArchive, open_zip, printable

__all__ = ["ZIP_MAGIC", "read_npz"]

ZIP_MAGIC = b"PK"
MEMBER_SUFFIX = ".npy"
NPY_MAGIC = b"\x93NUMPY"
MAX_HEADER_BYTES = 10_000  # as in NumPy

# A header is a Python dictionary. Nothing of Python is used to read it: literals can be costly to evaluate.
ENTRY = re.compile(
    r"\s*(?P<quote>['\"])(?P<key>descr|fortran_order|shape)(?P=quote)\s*:\s*"
    r"(?:(?P<mark>['\"])(?P<dtype>[<>=|]?[biufcmMOSUV]\d{0,10}(?:\[\w{1,4}\])?)(?P=mark)"
    r"|(?P<order>True|False)|\((?P<shape>[\dL,\s]*)\))\s*(?P<end>,\s*\}|,|\})",
    re.ASCII,
)
SHAPE = re.compile(r"\s*|(?:\s*\d{1,19}L?\s*,)+(?:\s*\d{1,19}L?)?\s*", re.ASCII)  # L: written by Python 2
FORM = {"descr": "dtype", "fortran_order": "order", "shape": "shape"}


class _Header(NamedTuple):
    """What an array says of itself, and the number of bytes in which it does."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    order: str  # C or F
    n_bytes: int


def read_npz(path: Path, name: str, pixel_range: tuple[float, float] = UNIT_RANGE) -> Split:
    """Return the split in an NPZ file, as `numpy.savez` writes it. No pickle is ever opened.

    Raises
    ------
    DataFileError
        If the file is damaged, or holds something else, or arrays that break the rules.
    """
    with refused_as_data_error(str(path), DamagedError, OSError), open_zip(path) as archive:
        keys = [
            member.removesuffix(MEMBER_SUFFIX) for member in archive.members if member.endswith(MEMBER_SUFFIX)
        ]
        class_names = _class_names(archive) if "class_names" in keys else None
        return split_from_keys(keys, lambda key: _array(archive, key), class_names, name, pixel_range)


def _array(archive: ZipArchive, key: str) -> Stored:
    header = _header(archive, key)
    check_declared(key, header.shape, header.dtype)
    return _content(archive, key, header)


def _class_names(archive: ZipArchive) -> tuple[str, ...]:
    header = _header(archive, "class_names")
    check_declared_names(header.shape, header.dtype)
    return names_as_text(_content(archive, "class_names", header))


def _content(archive: ZipArchive, key: str, header: _Header) -> Stored:
    n_bytes = math.prod(header.shape) * header.dtype.itemsize
    found = archive.members[key + MEMBER_SUFFIX].n_bytes - header.n_bytes
    if found != n_bytes:
        raise InputError(
            f"{key} of shape {header.shape} takes {n_bytes} bytes as {header.dtype}, but {found} are there"
        )
    content = archive.read(key + MEMBER_SUFFIX, header.n_bytes + n_bytes)[header.n_bytes :]
    if not n_bytes:
        return np.empty(header.shape, header.dtype)
    return content.view(header.dtype).reshape(header.shape, order="F" if header.order == "F" else "C")


def _header(archive: ZipArchive, key: str) -> _Header:
    start = archive.start(key + MEMBER_SUFFIX, 12 + MAX_HEADER_BYTES)
    if len(start) < 12 or not start.startswith(NPY_MAGIC):
        raise InputError(f"{key} is no NPY array: it begins with {start[:8]!r}")
    version = start[6], start[7]
    if version not in ((1, 0), (2, 0)):
        # NumPy writes version 3 for structured types with non-Latin field names only.
        raise InputError(f"{key} must hold numbers, got an array of NPY version {version}")
    first, length = (
        (10, struct.unpack_from("<H", start, 8)[0])
        if version == (1, 0)
        else (12, struct.unpack_from("<I", start, 8)[0])
    )
    if length > MAX_HEADER_BYTES:
        raise InputError(
            f"{key} has a header of {length} bytes, more than the {MAX_HEADER_BYTES} that are read"
        )
    text = start[first : first + length]
    if len(text) < length:
        raise InputError(f"{key} is cut off: its header has {len(text)} of {length} bytes")
    return _parsed(key, text.decode("latin-1"), first + length)


def _parsed(key: str, text: str, n_bytes: int) -> _Header:
    """Return what the header says that NumPy wrote, or raise if it describes no plain array."""
    found: dict[str, str] = {}
    at, rest = 1, text.rstrip()
    while rest[:1] == "{" and len(found) < len(FORM) and (entry := ENTRY.match(rest, at)):
        value = entry[FORM[entry["key"]]]
        if value is None or entry["key"] in found:
            break
        found[entry["key"]] = value
        at = entry.end()
        if "}" in entry["end"]:
            break
    if len(found) < len(FORM) or at != len(rest) or rest[-1] != "}" or not SHAPE.fullmatch(found["shape"]):
        raise InputError(
            f"{key} must be a plain array of numbers, got one with the header {printable(rest, 120)}"
        )
    shape = tuple(int(length) for length in re.findall(r"\d+", found["shape"]))
    return _Header(
        shape, _dtype(key, found["descr"]), "F" if found["fortran_order"] == "True" else "C", n_bytes
    )


def _dtype(key: str, text: str) -> np.dtype[Any]:
    try:
        return np.dtype(text)
    except (TypeError, ValueError):
        raise InputError(f"{key} must hold numbers, got {text!r}, which is no type of NumPy's") from None
