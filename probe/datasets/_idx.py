"""IDX, the format in which MNIST and its likes are published: four files in a folder, gzip or not."""

from __future__ import annotations

import gzip
import io
import math
import struct
import zlib
from pathlib import Path
from typing import IO

import numpy as np
import numpy.typing as npt

from probe._checks import DataFileError, InputError
from probe.datasets._dataset import Split
from probe.datasets._stored import (
    check_declared,
    listed,
    refused_as_data_error,
    split_from_arrays,
    unit_pixels,
)

__all__ = ["PARTS", "find_idx", "read_idx", "read_idx_folder"]

GZIP_MAGIC = b"\x1f\x8b"
UNSIGNED_BYTE = 0x08  # the only element type of the ones in the format that image sets use
UNREADABLE = (OSError, EOFError, zlib.error, struct.error, MemoryError)

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
        images, labels, test_images, test_labels = (read_idx(find_idx(folder, *part)) for part in PARTS)
        train = unit_pixels("train images", images), labels
        test = unit_pixels("t10k images", test_images), test_labels
        return split_from_arrays(train, test, None, name)


def read_idx(path: Path) -> npt.NDArray[np.uint8]:
    """Return the array of unsigned bytes in one IDX file, plain or gzip.

    Raises
    ------
    DataFileError
        If the file is no IDX file of unsigned bytes, or is shorter or longer than it says.
    """
    with refused_as_data_error(str(path), *UNREADABLE), _opened(path) as file:
        shape = _header(file)
        n_bytes = math.prod(shape)
        # One byte more than promised shows whether the file goes on, however much follows.
        content = file.read(n_bytes + 1)
        if len(content) != n_bytes:
            found = "more" if len(content) > n_bytes else str(len(content))
            raise InputError(f"is no whole IDX file: {n_bytes} bytes are promised for {shape}, {found} found")
        return np.frombuffer(content, dtype=np.uint8).reshape(shape)


def _opened(path: Path) -> IO[bytes]:
    with path.open("rb") as file:
        is_gzip = file.read(2) == GZIP_MAGIC
    return io.BufferedReader(gzip.open(path)) if is_gzip else path.open("rb")


def _header(file: IO[bytes]) -> tuple[int, ...]:
    magic = file.read(4)
    if len(magic) < 4 or magic[:2] != b"\0\0" or magic[3] not in (1, 2, 3, 4):
        raise InputError(f"is no IDX file: it begins with {magic!r}")
    if magic[2] != UNSIGNED_BYTE:
        raise InputError(f"must hold unsigned bytes (type 0x08), got type 0x{magic[2]:02x}")
    n_axes = magic[3]
    shape: tuple[int, ...] = struct.unpack(f">{n_axes}I", file.read(4 * n_axes))
    check_declared("the array", shape, np.dtype(np.uint8))
    return shape


def find_idx(folder: Path, part: str, kind: str, n_axes: int) -> Path:
    names = [f"{part}-{kind}{mark}idx{n_axes}-ubyte{end}" for mark in "-." for end in ("", ".gz")]
    for name in names:
        if (folder / name).is_file():
            return folder / name
    found = sorted(entry.name for entry in folder.iterdir())
    raise DataFileError(f"{folder} holds no {names[0]} (.gz or not); found {listed(found)}")
