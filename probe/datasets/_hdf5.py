"""Images and labels in HDF5 files, which may come from anybody."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

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

__all__ = ["is_hdf5", "read_hdf5"]

# What h5py raises on damaged files, depending on where the damage is.
UNREADABLE = (OSError, RuntimeError, KeyError, ValueError, TypeError, MemoryError)


def is_hdf5(path: Path) -> bool:
    """Return whether the file has the signature of HDF5."""
    import h5py

    return bool(h5py.is_hdf5(path))


def read_hdf5(path: Path, name: str, pixel_range: tuple[float, float] = UNIT_RANGE) -> Split:
    """Return the split in an HDF5 file.

    Only plain datasets directly in the root group are read: what a link, an external file or a
    virtual dataset points to may be any other file of the reader's.

    Raises
    ------
    DataFileError
        If the file is damaged, or holds something else, or arrays that break the rules.
    """
    import h5py

    with refused_as_data_error(str(path), *UNREADABLE), h5py.File(path, "r") as file:
        return split_from_keys(
            list(file), lambda key: _array(file, key), _class_names(file), name, pixel_range
        )


def _array(file: Any, key: str) -> Stored:
    dataset = _plain_dataset(file, key)
    check_declared(key, dataset.shape, dataset.dtype)
    return np.asarray(dataset[()])


def _plain_dataset(file: Any, key: str) -> Any:
    import h5py

    if not isinstance(file.get(key, getlink=True), h5py.HardLink):
        raise InputError(f"{key} is a link, and links are not followed; store the array itself")
    dataset = file[key]
    if not isinstance(dataset, h5py.Dataset):
        raise InputError(f"{key} must be an array, got a {type(dataset).__name__.lower()}")
    if dataset.external or dataset.is_virtual:
        raise InputError(
            f"{key} keeps its numbers in other files, which are not opened; store them in this one"
        )
    if dataset.shape is None:
        raise InputError(f"{key} is empty")
    return dataset


def _class_names(file: Any) -> tuple[str, ...] | None:
    # `in list(file)`, because `in file` follows a link, into another file if it leads there.
    if "class_names" in list(file):
        dataset = _plain_dataset(file, "class_names")
        return _names(dataset, lambda: dataset[()])
    if "class_names" in file.attrs:
        return _names(file.attrs.get_id("class_names"), lambda: file.attrs["class_names"])
    return None


def _names(stored: Any, read: Callable[[], Stored]) -> tuple[str, ...]:
    # Not of variable length: from a damaged heap of such strings HDF5 2.0 never returns, and no
    # signal interrupts it.
    check_declared_names(stored.shape, stored.dtype)
    return tuple(name.decode() for name in read().tolist())
