"""HDF5 and zip files that may come from anybody, read in pure Python within stated limits.

`open_file` opens an HDF5 file; nothing in it can crash the process, make it hang, take more memory than the
limits say, or make it open another file. The formats of HDF5 1.0 to 2.0 are read: old and new groups,
compact, contiguous and chunked arrays with every kind of index, deflate, shuffle and checksums, texts of fixed
and variable length. Links to elsewhere, virtual arrays, arrays in other files, other filters and shared message
tables are refused. `open_zip` opens a zip archive in the same way.

It needs NumPy, and of this project only the class of its errors.
"""

from probe.safeh5._file import File, Group, RefusedError, is_hdf5, open_bytes, open_file
from probe.safeh5._limits import DEFAULT_LIMITS, Limits, limits_of
from probe.safeh5._source import DamagedError, open_regular
from probe.safeh5._text import printable
from probe.safeh5._zip import Member, ZipArchive, ZipError, open_zip

__all__ = [
    "DEFAULT_LIMITS",
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
    "open_bytes",
    "open_file",
    "open_regular",
    "open_zip",
    "printable",
]
