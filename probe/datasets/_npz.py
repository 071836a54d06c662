"""Images and labels in NPZ files (a zip archive of NumPy arrays), which may come from anybody."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path
from typing import IO, Any

import numpy as np

from probe._checks import InputError
from probe.datasets._dataset import Split
from probe.datasets._stored import (
    UNIT_RANGE,
    Stored,
    check_declared,
    check_declared_names,
    refused_as_data_error,
    split_from_keys,
)

__all__ = ["ZIP_MAGIC", "read_npz"]

ZIP_MAGIC = b"PK"
MEMBER_SUFFIX = ".npy"
# RuntimeError: an encrypted member; NotImplementedError (its subclass): an unknown compression.
UNREADABLE = (zipfile.BadZipFile, zlib.error, OSError, EOFError, RuntimeError, ValueError, MemoryError)


def read_npz(path: Path, name: str, pixel_range: tuple[float, float] = UNIT_RANGE) -> Split:
    """Return the split in an NPZ file, as `numpy.savez` writes it. No pickle is ever opened.

    Raises
    ------
    DataFileError
        If the file is damaged, or holds something else, or arrays that break the rules.
    """
    with refused_as_data_error(str(path), *UNREADABLE), zipfile.ZipFile(path) as archive:
        keys = [
            member.removesuffix(MEMBER_SUFFIX)
            for member in archive.namelist()
            if member.endswith(MEMBER_SUFFIX)
        ]
        class_names = _class_names(archive) if "class_names" in keys else None
        return split_from_keys(keys, lambda key: _array(archive, key), class_names, name, pixel_range)


def _array(archive: zipfile.ZipFile, key: str) -> Stored:
    # The header is read twice, because its promise is checked before memory is taken for it.
    with archive.open(key + MEMBER_SUFFIX) as member:
        check_declared(key, *_header(key, member))
    return _read(archive, key)


def _read(archive: zipfile.ZipFile, key: str) -> Stored:
    with archive.open(key + MEMBER_SUFFIX) as member:
        return np.asarray(np.lib.format.read_array(member, allow_pickle=False))


def _header(key: str, member: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[Any]]:
    version = np.lib.format.read_magic(member)
    if version == (1, 0):
        shape, _, dtype = np.lib.format.read_array_header_1_0(member)
    elif version == (2, 0):
        shape, _, dtype = np.lib.format.read_array_header_2_0(member)
    else:
        # NumPy writes version 3 for structured types with non-Latin field names only.
        raise InputError(f"{key} must hold numbers, got an array of NPY version {version}")
    return shape, dtype


def _class_names(archive: zipfile.ZipFile) -> tuple[str, ...]:
    with archive.open("class_names" + MEMBER_SUFFIX) as member:
        check_declared_names(*_header("class_names", member))
    names = _read(archive, "class_names").tolist()
    return tuple(name.decode() if isinstance(name, bytes) else name for name in names)
