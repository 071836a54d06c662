"""HDF5 and zip files that may come from anybody, read in pure Python within stated limits.

`open_file` opens an HDF5 file; nothing in it can crash the process, make it hang, take more memory than the limits
say, or make it open another file. `open_zip` opens a zip archive in the same way. What cannot be read safely is
refused, with an error that names the file, the place in it and the rule. `docs/safeh5.md` says what is read and why.

The package needs NumPy, and of this project only the class of its errors.

Examples
--------
>>> import io, h5py
>>> memory = io.BytesIO()
>>> with h5py.File(memory, "w") as written:
...     written["layer/kernel"] = [[1.0, 2.0], [3.0, 4.0]]
...     written.attrs["title"] = "a network"
>>> with open_bytes(memory.getvalue(), "network.h5") as file:
...     file.text(file.root, "title"), file.describe(file.root, "layer/kernel")
...     file.array(file.root, "layer/kernel", columns=slice(1, 2)).tolist()
...     file.array(file.root, "layer/bias")
Traceback (most recent call last):
probe.safeh5._file.RefusedError: network.h5: /layer/bias is missing: /layer has 'kernel'
"""

from probe.safeh5._file import File, Group, RefusedError
from probe.safeh5._filters import MAX_EXPANSION, read_stored, unpack, unpack_start
from probe.safeh5._open import is_hdf5, open_bytes, open_file
from probe.safeh5._source import DEFAULT_LIMITS, DamagedError, Limits, limits_of, open_regular
from probe.safeh5._text import check_json, listed, printable, shown
from probe.safeh5._zip import Member, ZipArchive, ZipError, open_zip

__all__ = [
    "DEFAULT_LIMITS",
    "MAX_EXPANSION",
    "DamagedError",
    "File",
    "Group",
    "Limits",
    "Member",
    "RefusedError",
    "ZipArchive",
    "ZipError",
    "check_json",
    "is_hdf5",
    "limits_of",
    "listed",
    "open_bytes",
    "open_file",
    "open_regular",
    "open_zip",
    "printable",
    "read_stored",
    "shown",
    "unpack",
    "unpack_start",
]
