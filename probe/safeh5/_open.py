"""Opening an HDF5 file that may be broken or hostile: its signature, its superblock, its root.

libhdf5 has no part in it: crafted files crash it, make it loop beyond the reach of Ctrl-C, and make it open other
files and run plugins, and nothing can switch that off. This reader is Python: the worst that a file can do to it
is to be refused.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

from probe.safeh5._file import DAMAGE, File, Group, RefusedError, reason_of
from probe.safeh5._headers import CACHE_IMAGE, DRIVER, SHARED_TABLE, messages_at
from probe.safeh5._source import (
    DEFAULT_LIMITS,
    UNDEFINED,
    DamagedError,
    Limits,
    Source,
    limits_of,
    open_regular,
)
from probe.safeh5._text import printable

__all__ = ["is_hdf5", "open_bytes", "open_file"]

_SIGNATURE = b"\x89HDF\r\n\x1a\n"


def is_hdf5(path: str | os.PathLike[str]) -> bool:
    """Return whether a regular file has the signature of HDF5; False if it cannot be read."""
    try:
        file = open_regular(path)
    except (DamagedError, OSError, ValueError):
        return False
    with file:
        return _start(file) is not None


@contextmanager
def open_file(
    path: str | os.PathLike[str],
    error: type[Exception] = RefusedError,
    limits: Limits | None = DEFAULT_LIMITS,
) -> Iterator[File]:
    """Open an HDF5 file for reading.

    Parameters
    ----------
    path : path
        The file.
    error : type of Exception
        Raised for everything that is wrong with the file, with the path in front of the message.
    limits : Limits or None
        How much is read; None for a file of one's own: as much as there is.

    Yields
    ------
    File
        Open until the block ends. Its methods are the ways in which the file can be read.

    Raises
    ------
    RefusedError
        Or `error`: if the file is missing, empty, larger than the limits, no regular file, no HDF5 file, damaged, or
        one part of several. What is wrong deeper inside is said by the methods, as the same error.
    """
    shown, most = printable(os.fspath(path), 200), limits_of(limits)
    try:
        file = open_regular(path, buffering=0)
    except FileNotFoundError:
        raise error(f"{shown} does not exist. Pass the path of a file that does") from None
    except DamagedError as failure:
        problem = str(failure).removeprefix("it ")
        raise error(f"{shown} {problem}. Pass the path of a file") from None
    except (OSError, ValueError) as failure:
        reason = getattr(failure, "strerror", None) or printable(failure)
        raise error(f"{shown} cannot be read: {reason}") from None
    with file:
        n_bytes = file.seek(0, io.SEEK_END)
        if n_bytes == 0:
            raise error(f"{shown} is empty (0 bytes). Save it again")
        if n_bytes > most.file_bytes:
            raise error(f"{shown} has {n_bytes} bytes, more than the {most.file_bytes} that are read")
        yield _opened(file, shown, error, most)


@contextmanager
def open_bytes(
    content: bytes, shown: str, error: type[Exception] = RefusedError, limits: Limits | None = DEFAULT_LIMITS
) -> Iterator[File]:
    """Open the content of an HDF5 file that is in memory, as `open_file` opens a file.

    Parameters
    ----------
    content : bytes
        All of the file.
    shown : str
        What messages call it, such as a path.
    error : type of Exception
        Raised for everything that is wrong with the file.
    limits : Limits or None
        How much is read; None for content of one's own.
    """
    with io.BytesIO(content) as file:
        yield _opened(file, shown, error, limits_of(limits))


def _opened(file: BinaryIO, shown: str, error: type[Exception], limits: Limits) -> File:
    base = _start(file)
    if base is None:
        file.seek(0)
        start = file.read(8)
        hint = "Pass a model that was saved as HDF5 (.h5)"
        if start.startswith(b"PK\x03\x04"):
            hint = "It is a zip archive, perhaps a .keras file; save the model as .h5 instead"
        raise error(f"{shown} is not an HDF5 file: it starts with {start!r}. {hint}")
    try:
        source = Source(file, base, limits)
        root = Group("/", _root(source))
    except DAMAGE as failure:
        problem = reason_of(failure)
        raise error(f"{shown} is a damaged HDF5 file: {problem}. Save or copy it again") from None
    return File(shown, root, error, limits, source)


def _root(source: Source) -> int:
    """Read the superblock; return the address of the root group."""
    head = source.read(0, 16)
    version = head[8]
    if version > 3:
        raise DamagedError(f"its superblock has version {version}")
    older = version < 2
    source.offset_bytes, source.length_bytes = (head[13], head[14]) if older else (head[9], head[10])
    if source.offset_bytes not in (2, 4, 8) or source.length_bytes not in (2, 4, 8):
        raise DamagedError("its addresses have an unknown length")
    offset = source.offset_bytes
    if older:
        at = 24 + 4 * (version == 1)
        block = source.read(0, at + 5 * offset + source.length_bytes)
        end, driver = (source.offset(block, at + k * offset) for k in (2, 3))
        root = source.offset(block, at + 4 * offset + source.length_bytes)
    else:
        block = source.read_checked(0, 16 + 4 * offset)
        if version == 3 and block[11] & 1:
            raise DamagedError("it was not closed by the program that wrote it")
        extension, end, root = (source.offset(block, 12 + k * offset) for k in (1, 2, 3))
        kinds = set()
        if extension != UNDEFINED:
            kinds = {message.kind for message in messages_at(source, extension)}
        if kinds & {CACHE_IMAGE, SHARED_TABLE}:
            raise DamagedError("it keeps structure in a table or cache, which is not read")
        driver = extension if DRIVER in kinds else UNDEFINED
    if driver != UNDEFINED:
        raise DamagedError("it is one of several files that belong together")
    if end > source.size:
        raise DamagedError(f"it says that it has {end} bytes, but has {source.size}: it was cut off")
    return root


def _start(file: BinaryIO) -> int | None:
    """Return where HDF5's signature is: at the start, or after a block of the user's; None if nowhere."""
    size = file.seek(0, io.SEEK_END)
    address = 0
    while address < size:
        file.seek(address)
        if file.read(len(_SIGNATURE)) == _SIGNATURE:
            return address
        address = max(512, 2 * address)
    return None
