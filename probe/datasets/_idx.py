"""IDX, the format in which MNIST and its likes are published: four files in a folder, gzip or not."""

from __future__ import annotations

import math
import os
import struct
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from probe._checks import DataFileError, InputError
from probe.datasets._dataset import Split
from probe.datasets._stored import (
    MAX_MESSAGE,
    check_declared,
    listed,
    refused_as_data_error,
    split_from_arrays,
    unit_pixels,
)
from probe.safeh5 import DamagedError, open_regular, printable, read_stored, unpack, unpack_start

__all__ = ["PARTS", "find_idx", "read_idx", "read_idx_folder"]

GZIP_MAGIC = b"\x1f\x8b"
UNSIGNED_BYTE = 0x08  # the only element type of the ones in the format that image sets use
MAX_HEADER_BYTES = 20
START_BYTES = 1 << 16  # of a packed file, to read the header from

PARTS = (("train", "images", 3), ("train", "labels", 1), ("t10k", "images", 3), ("t10k", "labels", 1))


def read_idx_folder(folder: Path, name: str) -> Split:
    """Return the split in a folder that holds the four files of MNIST or of a set like it.

    Accepted names are `train-images-idx3-ubyte` and `train-images.idx3-ubyte`, likewise for
    labels (`idx1`) and for the test set (`t10k`), each with or without `.gz`.

    Raises
    ------
    DataFileError
        If a file is missing, damaged, or does not fit the others.
    """
    with refused_as_data_error(str(folder), OSError):
        paths = [find_idx(folder, *part) for part in PARTS]
        labels, test_labels = read_idx(paths[1]), read_idx(paths[3])
        train = unit_pixels("train images", read_idx(paths[0])), labels
        test = unit_pixels("t10k images", read_idx(paths[2])), test_labels
        return split_from_arrays(train, test, None, name)


def read_idx(path: Path) -> npt.NDArray[np.uint8]:
    """Return the array of unsigned bytes in one IDX file, plain or gzip.

    Raises
    ------
    DataFileError
        If the file is no IDX file of unsigned bytes, or is shorter or longer than it says.
    """
    with refused_as_data_error(str(path), DamagedError, OSError), open_regular(path) as file:
        start = file.read(START_BYTES)
        is_gzip = start.startswith(GZIP_MAGIC)
        shape = _shape(unpack_start(start, MAX_HEADER_BYTES, "gzip") if is_gzip else start[:MAX_HEADER_BYTES])
        size = os.fstat(file.fileno()).st_size
        file.seek(0)
        n_header, n_bytes = 4 + 4 * len(shape), math.prod(shape)
        if is_gzip:
            content = unpack(file, size, n_header + n_bytes, "gzip")
        else:
            content = _whole(file, size, n_header + n_bytes, shape)
        return content[n_header:].reshape(shape)


def _whole(file: BinaryIO, size: int, n_bytes: int, shape: tuple[int, ...]) -> npt.NDArray[np.uint8]:
    if size != n_bytes:
        n_header = 4 + 4 * len(shape)
        found = "more" if size > n_bytes else str(size - n_header)
        raise InputError(
            f"is no whole IDX file: {n_bytes - n_header} bytes are promised for {shape}, {found} found"
        )
    return read_stored(file, n_bytes)


def _shape(header: bytes) -> tuple[int, ...]:
    if len(header) < 4 or header[:2] != b"\0\0" or header[3] not in (1, 2, 3, 4):
        raise InputError(f"is no IDX file: it begins with {header[:4]!r}")
    if header[2] != UNSIGNED_BYTE:
        raise InputError(f"must hold unsigned bytes (type 0x08), got type 0x{header[2]:02x}")
    n_axes = header[3]
    if len(header) < 4 + 4 * n_axes:
        raise DamagedError(f"ends within its header, which has {4 + 4 * n_axes} bytes for {n_axes} axes")
    shape: tuple[int, ...] = struct.unpack_from(f">{n_axes}I", header, 4)
    check_declared("the array", shape, np.dtype(np.uint8))
    return shape


def find_idx(folder: Path, part: str, kind: str, n_axes: int) -> Path:
    names = [f"{part}-{kind}{mark}idx{n_axes}-ubyte{end}" for mark in "-." for end in ("", ".gz")]
    # One that is no regular file is refused when it is opened, unless another is there.
    for is_there in (Path.is_file, Path.exists):
        for name in names:
            if is_there(folder / name):
                return folder / name
    found = sorted(entry.name for entry in folder.iterdir())
    raise DataFileError(
        f"{printable(folder, MAX_MESSAGE)} holds no {names[0]} (.gz or not); "
        f"found {printable(listed(found), MAX_MESSAGE)}"
    )
