"""Reading .keras archives, which are zip files that may come from anybody.

Nothing is ever extracted: three members are read into memory, each after checks of what the archive says
of it, and no more of it than the limits allow whatever the archive says.
"""

from __future__ import annotations

import os
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn, Protocol

from probe._checks import InputError, ModelFileError
from probe.safeh5 import DEFAULT_LIMITS, File, Limits, open_bytes, printable

__all__ = ["Archive", "is_archive", "open_archive"]

CONFIG, METADATA, WEIGHTS = "config.json", "metadata.json", "model.weights.h5"

MAX_METADATA_BYTES = 64 << 10

_MAGIC = b"PK\x03\x04"

_ZIP_ERRORS = (
    zipfile.BadZipFile,
    zlib.error,
    OSError,
    EOFError,
    LookupError,
    RuntimeError,
    ValueError,
    MemoryError,
    NotImplementedError,
    struct.error,
)
"""What zipfile raises on damaged archives."""


class _Refuse(Protocol):
    """Raises the error of the archive."""

    def __call__(self, problem: str) -> NoReturn: ...


@dataclass(frozen=True, slots=True)
class Archive:
    """An open .keras archive.

    Attributes
    ----------
    config : str
        The architecture, JSON that nobody has looked at.
    metadata : str or None
        What was kept about the file, JSON as well; None if there is none.
    weights : File
        The weights, open for reading.
    """

    config: str
    metadata: str | None
    weights: File


def is_archive(path: str | os.PathLike[str]) -> bool:
    """Return whether the file begins as a zip archive does; False if it cannot be read."""
    try:
        if not stat.S_ISREG(Path(path).stat().st_mode):
            return False
        with Path(path).open("rb") as file:
            return file.read(4) == _MAGIC
    except (OSError, ValueError):
        return False


@contextmanager
def open_archive(path: str | os.PathLike[str], limits: Limits = DEFAULT_LIMITS) -> Iterator[Archive]:
    """Open a .keras archive for reading.

    Parameters
    ----------
    path : path
        The archive.
    limits : Limits
        How much of it is read.

    Yields
    ------
    Archive

    Raises
    ------
    ModelFileError
        If the archive is damaged, has members that no model has, or declares or holds more than the limits.
    """
    shown = printable(os.fspath(path), 200)

    def refuse(problem: str) -> NoReturn:
        between = ": " if problem.startswith("the ") else " "
        raise ModelFileError(f"{shown}{between}{problem}") from None

    try:
        size = Path(path).stat().st_size
        if size > limits.file_bytes:
            refuse(f"has {size} bytes, more than the {limits.file_bytes} that are read")
        with zipfile.ZipFile(path) as archive:
            members = _members(archive, refuse, limits)
            if CONFIG not in members:
                refuse(f"has no {CONFIG}; it is no model that Keras saved. It has {_listed(members)}")
            if WEIGHTS not in members:
                refuse(f"has no {WEIGHTS}; weights of another kind are not read. It has {_listed(members)}")
            config = _text(archive, members[CONFIG], limits.text_bytes, limits, refuse)
            metadata = None
            if METADATA in members:
                metadata = _text(archive, members[METADATA], MAX_METADATA_BYTES, limits, refuse)
            weights = _content(archive, members[WEIGHTS], limits.archive_bytes, limits, refuse)
    except InputError:
        raise
    except _ZIP_ERRORS as failure:
        refuse(f"is a damaged zip archive: {printable(failure, 120)}. Save or copy it again")
    with open_bytes(weights, f"{shown}, {WEIGHTS}", ModelFileError, limits) as file:
        # What is wrong inside is said of the archive that the user knows.
        yield Archive(config, metadata, file)


def _members(archive: zipfile.ZipFile, refuse: _Refuse, limits: Limits) -> dict[str, zipfile.ZipInfo]:
    """Return the members by name, after checks of all that the directory says of them."""
    infos = archive.infolist()
    if len(infos) > limits.archive_members:
        refuse(f"has {len(infos)} members, more than the {limits.archive_members} that are read")
    found: dict[str, zipfile.ZipInfo] = {}
    for info in infos:
        name = f"the member '{printable(info.filename)}'"
        # zipfile cuts names at a null byte; the original is what other readers may see.
        parts = info.orig_filename.replace("\\", "/").rstrip("/").split("/")
        if any(part in ("", ".", "..") or ":" in part or "\0" in part for part in parts):
            refuse(f"{name} has a path that leads out of the archive")
        if stat.S_ISLNK(info.external_attr >> 16):
            refuse(f"{name} is a symbolic link, which is not followed")
        if info.filename in found:
            refuse(f"{name} is there twice")
        if info.flag_bits & 1:
            refuse(f"{name} is encrypted")
        found[info.filename] = info
    return found


def _content(
    archive: zipfile.ZipFile, info: zipfile.ZipInfo, most: int, limits: Limits, refuse: _Refuse
) -> bytes:
    """Return the content of a member of at most `most` bytes."""
    name = f"the member '{info.filename}'"
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        refuse(f"{name} is compressed by method {info.compress_type}; only stored and deflated ones are read")
    if info.file_size > most:
        refuse(f"{name} takes {info.file_size} bytes, more than the {most} that are read")
    if info.file_size > 1 << 20 and info.file_size > limits.compression * info.compress_size:
        refuse(f"{name} takes {info.file_size} bytes but is stored in {info.compress_size}")
    with archive.open(info) as member:
        content = member.read(info.file_size + 1)
    if len(content) != info.file_size:
        refuse(f"{name} does not have the {info.file_size} bytes that the archive says")
    return content


def _text(archive: zipfile.ZipFile, info: zipfile.ZipInfo, most: int, limits: Limits, refuse: _Refuse) -> str:
    try:
        return _content(archive, info, most, limits, refuse).decode()
    except UnicodeDecodeError:
        refuse(f"the member '{info.filename}' is no UTF-8 text")


def _listed(members: dict[str, zipfile.ZipInfo]) -> str:
    names = [f"'{printable(name, 40)}'" for name in list(members)[:8]]
    return (", ".join(names) or "nothing") + (", ..." if len(members) > 8 else "")
