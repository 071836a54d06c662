"""Images and labels in HDF5 files, which may come from anybody."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np

from probe._checks import DataFileError, InputError
from probe.datasets._dataset import Split
from probe.datasets._stored import (
    MAX_BYTES,
    UNIT_RANGE,
    Stored,
    check_declared,
    refused_as_data_error,
    split_from_keys,
)
from probe.safeh5 import DEFAULT_LIMITS, MAX_EXPANSION, File, is_hdf5, open_file

__all__ = ["is_hdf5", "read_hdf5"]

NAMES = "class_names"
MOST_NAMES = 1 << 16
FREE_BYTES = 64 << 20
LIMITS = replace(DEFAULT_LIMITS, tensor_bytes=MAX_BYTES, total_bytes=2 * MAX_BYTES)


def read_hdf5(path: Path, name: str, pixel_range: tuple[float, float] = UNIT_RANGE) -> Split:
    """Return the split in an HDF5 file.

    Only plain arrays directly in the root group are read: what a link, an external file or a virtual
    dataset points to may be any other file of the reader's.

    Raises
    ------
    DataFileError
        If the file is damaged, or holds something else, or arrays that break the rules.
    """
    with refused_as_data_error(str(path)), open_file(path, DataFileError, LIMITS) as file:
        keys = file.members(file.root)
        taken = 0

        def read(key: str) -> Stored:
            nonlocal taken
            shape, dtype = file.describe(file.root, key, kinds="fui", place=key)
            check_declared(key, shape, np.dtype("float32" if dtype == "bfloat16" else dtype))
            # Pixels become 4 bytes each, and labels 8.
            taken += math.prod(shape) * (4 if len(shape) > 1 else 8)
            if taken > max(FREE_BYTES, MAX_EXPANSION * file.size):
                raise InputError(
                    f"{key} would take {taken} bytes of memory from {file.size}; store it uncompressed"
                )
            return file.array(file.root, key, kinds="fui", place=key)

        return split_from_keys(keys, read, _class_names(file), name, pixel_range)


def _class_names(file: File) -> tuple[str, ...] | None:
    if file.has(file.root, NAMES):
        return file.string_array(file.root, NAMES, MOST_NAMES)
    if file.has_attribute(file.root, NAMES):
        return file.strings(file.root, NAMES, MOST_NAMES)
    return None
