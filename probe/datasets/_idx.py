"""The four IDX files of MNIST and of sets like it, such as EMNIST. They may come from anybody."""

from __future__ import annotations

import glob
import math
import os
import re
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt

from probe._checks import DataFileError, InputError, IntArray
from probe.datasets._stored import (
    MAX_MESSAGE,
    ArrayFile,
    Stored,
    check_declared,
    listed,
    refused_as_data_error,
)
from probe.safeh5 import DamagedError, open_regular, printable, read_stored, unpack, unpack_start

__all__ = ["IDX_PARTS", "find_idx", "idx_sets", "open_idx", "read_idx"]

LAST_CHARACTER = 0x10FFFF
IDX_PARTS = {
    "images": ("train", "images", 3),
    "labels": ("train", "labels", 1),
    "test_images": ("t10k", "images", 3),
    "test_labels": ("t10k", "labels", 1),
}
IDX_NAME = re.compile(
    r"(?P<set>.*?)(?:train|t10k|test)-(?:images|labels)[-.]idx[13]-ubyte(?:\.gz)?", re.DOTALL
)
TRANSPOSED = "emnist-"
MAX_MAPPING_BYTES = 1 << 16
GZIP_MAGIC = b"\x1f\x8b"
UNSIGNED_BYTE = 0x08  # the only element type of the ones in the format that image sets use
MAX_IDX_HEADER_BYTES = 20
START_BYTES = 1 << 16  # of a packed file, to read the header from


@contextmanager
def open_idx(path: Path) -> Iterator[ArrayFile]:
    """Open the four files of MNIST or of a set like it, gzip or not: those in a folder, or those beside one of them.

    Accepted names are `train-images-idx3-ubyte` and `train-images.idx3-ubyte`, likewise for labels (`idx1`) and for the
    test set (`t10k` or `test`), each with or without `.gz`, and with the name of the set in front of it.

    The images of EMNIST lie on their side against those of MNIST, mirrored: they are turned upright here. Its
    `emnist-balanced-mapping.txt` names the classes.

    References
    ----------
    G. Cohen, S. Afshar, J. Tapson, A. van Schaik, "EMNIST: an extension of MNIST to handwritten letters", 2017,
    arXiv:1702.05373. On the orientation: https://github.com/pytorch/vision/issues/8783.
    """
    folder = path if path.is_dir() else path.parent
    prefix = _prefix(path)
    test = "test" if any(folder.glob(f"{glob.escape(prefix)}test-*")) else "t10k"
    parts = {
        key: (f"{prefix}{test if part == 't10k' else part}", kind, n)
        for key, (part, kind, n) in IDX_PARTS.items()
    }
    paths = {key: find_idx(folder, *part) for key, part in parts.items()}
    shown = {key: f"{part.removeprefix(prefix)} {kind}" for key, (part, kind, _) in parts.items()}
    mapping = folder / f"{prefix}mapping.txt"
    numbers, names = _mapping(mapping) if mapping.exists() else (None, None)

    def read(key: str) -> Stored:
        array = read_idx(paths[key])
        if key.endswith("images") and prefix.startswith(TRANSPOSED) and array.ndim == 3:
            return np.ascontiguousarray(array.swapaxes(1, 2))
        if key.endswith("labels") and numbers is not None:
            return _renumbered(shown[key], array, numbers)
        return array

    yield ArrayFile(paths, read, names, shown, prefix.rstrip("-_. "))


def idx_sets(folder: Path) -> list[str]:
    """Return what the names of IDX files in a folder begin with; "" for those of MNIST."""
    return sorted({found["set"] for entry in folder.iterdir() if (found := IDX_NAME.fullmatch(entry.name))})


def _prefix(path: Path) -> str:
    """Return what the names of the files of a set begin with: the only set of a folder, or that of the file."""
    if not path.is_dir():
        found = IDX_NAME.fullmatch(path.name)
        if found is None:
            raise InputError(
                "is one gzip or IDX file; pass the folder that holds the four IDX files, called as MNIST's are"
            )
        return found["set"]
    sets = idx_sets(path)
    if len(sets) > 1:
        raise InputError(
            f"holds several sets, {listed(sets)}; pass one file of the set that you mean, such as "
            f"{sets[0]}train-images-idx3-ubyte in it"
        )
    return sets[0] if sets else ""


def _mapping(path: Path) -> tuple[IntArray, tuple[str, ...]]:
    """Return the labels that a mapping file of EMNIST lists and the characters that each stands for."""
    with open_regular(path) as file:
        text = file.read(MAX_MAPPING_BYTES + 1)
    rows = [row.split() for row in text.splitlines() if row.strip()]
    is_plain = len(text) <= MAX_MAPPING_BYTES and all(
        len(row) > 1 and all(word.isdigit() and len(word) < 8 and int(word) <= LAST_CHARACTER for word in row)
        for row in rows
    )
    named = {int(row[0]): "".join(chr(int(code)) for code in row[1:]) for row in rows} if is_plain else {}
    if not named or len(named) < len(rows):
        raise InputError(
            f"{printable(path.name, 80)} must have a line for each class: its label, and the codes of its characters"
        )
    return np.array(sorted(named), np.int64), tuple(named[label] for label in sorted(named))


def _renumbered(shown: str, labels: Stored, numbers: IntArray) -> IntArray:
    """Return labels as indices into the `numbers` that the mapping lists: those of EMNIST's letters begin with 1."""
    unknown = np.setdiff1d(labels, numbers)
    if unknown.size:
        raise InputError(f"{shown} must be labels that the mapping file lists, got {unknown[0]}")
    return np.searchsorted(numbers, labels)


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
        shape = _shape(
            unpack_start(start, MAX_IDX_HEADER_BYTES, "gzip") if is_gzip else start[:MAX_IDX_HEADER_BYTES]
        )
        size = os.fstat(file.fileno()).st_size
        file.seek(0)
        n_header, n_values = 4 + 4 * len(shape), math.prod(shape)
        if is_gzip:
            return unpack(file, size, n_header + n_values, "gzip")[n_header:].reshape(shape)
        if size != n_header + n_values:
            actual = "more" if size > n_header + n_values else str(size - n_header)
            raise InputError(
                f"is no whole IDX file: {n_values} bytes are promised for {shape}, {actual} found"
            )
        return read_stored(file, size)[n_header:].reshape(shape)


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
    """Return the path of one of the four files, or raise DataFileError if it is not there."""
    names = [f"{part}-{kind}{mark}idx{n_axes}-ubyte{end}" for mark in "-." for end in ("", ".gz")]
    # One that is no regular file is refused when it is opened, unless another is there.
    for is_there in (Path.is_file, Path.exists):
        for name in names:
            if is_there(folder / name):
                return folder / name
    entries = sorted(entry.name for entry in folder.iterdir())
    raise DataFileError(
        f"{printable(folder, MAX_MESSAGE)} holds no {names[0]} (.gz or not); "
        f"found {printable(listed(entries), MAX_MESSAGE)}"
    )
