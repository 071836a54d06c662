"""Reading .keras archives, which are zip files that may come from anybody.

Nothing is ever extracted: three members are read into memory, and no more of each than the limits allow,
whatever the archive says.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn, Protocol

from probe._checks import ModelFileError
from probe.safeh5 import (
    DEFAULT_LIMITS,
    DamagedError,
    File,
    Limits,
    ZipArchive,
    ZipError,
    limits_of,
    open_bytes,
    open_regular,
    open_zip,
    printable,
)

__all__ = ["Archive", "is_archive", "open_archive"]

CONFIG, METADATA, WEIGHTS = "config.json", "metadata.json", "model.weights.h5"

MAX_METADATA_BYTES = 64 << 10

_MAGIC = b"PK"
"""How every zip archive begins, also one without members."""


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
        with open_regular(path) as file:
            return file.read(2) == _MAGIC
    except (DamagedError, OSError, ValueError):
        return False


@contextmanager
def open_archive(path: str | os.PathLike[str], limits: Limits | None = DEFAULT_LIMITS) -> Iterator[Archive]:
    """Open a .keras archive for reading.

    Parameters
    ----------
    path : path
        The archive.
    limits : Limits or None
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
    most = limits_of(limits)

    def refuse(problem: str) -> NoReturn:
        between = ": " if problem.startswith("the ") else " "
        raise ModelFileError(f"{shown}{between}{problem}") from None

    try:
        size = Path(path).stat().st_size
        if size > most.file_bytes:
            refuse(f"has {size} bytes, more than the {most.file_bytes} that are read")
        with open_zip(path, most_members=most.archive_members) as archive:
            _check_paths(archive, refuse)
            if CONFIG not in archive.members:
                refuse(f"has no {CONFIG}; it is no model that Keras saved. It has {_listed(archive)}")
            if WEIGHTS not in archive.members:
                refuse(f"has no {WEIGHTS}; weights of another kind are not read. It has {_listed(archive)}")
            config = _text(archive, CONFIG, most.text_bytes, most, refuse)
            metadata = None
            if METADATA in archive.members:
                metadata = _text(archive, METADATA, MAX_METADATA_BYTES, most, refuse)
            weights = _content(archive, WEIGHTS, most.archive_bytes, most, refuse)
    except (DamagedError, OSError, ValueError) as failure:
        if isinstance(failure, ModelFileError):
            raise
        again = (
            ""
            if isinstance(failure, ZipError) and "more than the" in str(failure)
            else ". Save or copy it again"
        )
        refuse(f"is a damaged zip archive: {printable(failure, 200)}{again}")
    with open_bytes(weights, f"{shown}, {WEIGHTS}", ModelFileError, limits) as file:
        # What is wrong inside is said of the archive that the user knows.
        yield Archive(config, metadata, file)


def _check_paths(archive: ZipArchive, refuse: _Refuse) -> None:
    """Refuse names that lead out of the archive: no model has them, and other programs may follow them."""
    for name in archive.members:
        parts = name.replace("\\", "/").rstrip("/").split("/")
        if any(part in ("", ".", "..") or ":" in part for part in parts):
            refuse(f"the member '{printable(name)}' has a path that leads out of the archive")


def _content(archive: ZipArchive, name: str, most_bytes: int, most: Limits, refuse: _Refuse) -> bytes:
    member = archive.members[name]
    if member.n_bytes > 1 << 20 and member.n_bytes > most.compression * member.n_packed:
        refuse(f"the member '{name}' takes {member.n_bytes} bytes but is stored in {member.n_packed}")
    return archive.read(name, most_bytes).tobytes()


def _text(archive: ZipArchive, name: str, most_bytes: int, most: Limits, refuse: _Refuse) -> str:
    try:
        return _content(archive, name, most_bytes, most, refuse).decode()
    except UnicodeDecodeError:
        refuse(f"the member '{name}' is no UTF-8 text")


def _listed(archive: ZipArchive) -> str:
    names = [f"'{printable(name, 40)}'" for name in list(archive.members)[:8]]
    return (", ".join(names) or "nothing") + (", ..." if len(archive.members) > 8 else "")
