"""Models in zip archives: the .keras files of Keras 3, and archives with one model file in them."""

from __future__ import annotations

import io
import os
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from probe._errors import ModelFileError
from probe.safeh5 import (
    DEFAULT_LIMITS,
    DamagedError,
    File,
    Limits,
    ZipArchive,
    ZipError,
    limits_of,
    listed,
    open_bytes,
    open_regular,
    open_zip,
    printable,
)

__all__ = [
    "CONFIG",
    "MAX_METADATA_BYTES",
    "METADATA",
    "WEIGHTS",
    "Archive",
    "Inner",
    "is_archive",
    "model_inside",
    "open_archive",
    "open_members",
]

CONFIG, METADATA, WEIGHTS = "config.json", "metadata.json", "model.weights.h5"

MAX_METADATA_BYTES = 64 << 10

_MODEL_INSIDE = re.compile(
    r"(?!__MACOSX/)(?!.*(^|/)\._)(?!.*\.weights\.h5$).*\.(h5|hdf5|keras)", re.IGNORECASE
)
"""Names of model files in a zip archive; not those that macOS puts beside each."""

_MAGIC = b"PK"
"""How every zip archive begins, also one without members."""


@dataclass(frozen=True, slots=True)
class Archive:
    """An open .keras archive."""

    shown_path: str
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

    Nothing is ever extracted: three members are read into memory, and no more of each than the limits allow, whatever
    the archive says.
    """
    with open_members(Path(path), printable(os.fspath(path), 200), limits) as archive:
        yield archive


@contextmanager
def open_members(source: Path | bytes, shown_path: str, limits: Limits | None) -> Iterator[Archive]:
    """Open a .keras archive that is a file or lies in memory."""
    most = limits_of(limits)
    try:
        config, metadata, weights = _members(source, most)
    except ModelFileError as failure:
        between = ": " if str(failure).startswith("the ") else " "
        raise ModelFileError(f"{shown_path}{between}{failure}") from None
    except (DamagedError, OSError, ValueError) as failure:
        is_too_much = isinstance(failure, ZipError) and "more than the" in str(failure)
        again = "" if is_too_much else ". Save or copy it again"
        raise ModelFileError(
            f"{shown_path} is a damaged zip archive: {printable(failure, 200)}{again}"
        ) from None
    with open_bytes(weights, f"{shown_path}, {WEIGHTS}", ModelFileError, limits) as file:
        # What is wrong inside is said of the archive that the user knows.
        yield Archive(shown_path, config, metadata, file)


@dataclass(frozen=True, slots=True)
class Inner:
    """A model file in a zip archive, and the labels beside it."""

    name: str
    content: bytes
    labels: str | None

    @property
    def is_archive(self) -> bool:
        """Whether it is a .keras archive itself."""
        return self.content.startswith(_MAGIC)


def model_inside(path: Path, limits: Limits) -> Inner | None:
    """Return the one model file in a zip archive that is no model itself; None if there is none, or several."""
    try:
        if path.stat().st_size > limits.file_bytes:
            return None
        with open_zip(path, most_members=limits.archive_members) as archive:
            if CONFIG in archive.members:
                return None
            models = [name for name in archive.members if _MODEL_INSIDE.fullmatch(name)]
            if len(models) != 1:
                return None
            (name,) = models
            labels = f"{name.rpartition('/')[0]}/labels.txt".lstrip("/")
            text = _text(archive, labels, MAX_METADATA_BYTES, limits) if labels in archive.members else None
            return Inner(name, _content(archive, name, limits.archive_bytes, limits), text)
    except (ZipError, OSError):
        # What is wrong is said where the archive is read as a model.
        return None
    except ModelFileError as error:
        raise ModelFileError(f"{printable(path, 200)}: {error}") from None


def _members(source: Path | bytes, most: Limits) -> tuple[str, str | None, bytes]:
    """Return the configuration, what was kept about the file, and the weights. Errors do not name the archive."""
    size = len(source) if isinstance(source, bytes) else source.stat().st_size
    if size > most.file_bytes:
        raise ModelFileError(f"has {size} bytes, more than the {most.file_bytes} that are read")
    with ExitStack() as opened:
        if isinstance(source, bytes):
            archive = ZipArchive(io.BytesIO(source), most_members=most.archive_members)
        else:
            archive = opened.enter_context(open_zip(source, most_members=most.archive_members))
        members = archive.members
        # No model has names that lead out of the archive, and other programs may follow them.
        for name in members:
            parts = name.replace("\\", "/").rstrip("/").split("/")
            if any(part in ("", ".", "..") or ":" in part for part in parts):
                raise ModelFileError(
                    f"the member '{printable(name)}' has a path that leads out of the archive"
                )
        there = f"It has {listed(members, letters=40, none='nothing')}"
        if CONFIG not in members:
            raise ModelFileError(f"has no {CONFIG}; it is no model that Keras saved. {there}")
        if WEIGHTS not in members:
            raise ModelFileError(f"has no {WEIGHTS}; weights of another kind are not read. {there}")
        config = _text(archive, CONFIG, most.text_bytes, most)
        metadata = _text(archive, METADATA, MAX_METADATA_BYTES, most) if METADATA in members else None
        return config, metadata, _content(archive, WEIGHTS, most.archive_bytes, most)


def _content(archive: ZipArchive, name: str, most_bytes: int, most: Limits) -> bytes:
    member = archive.members[name]
    if member.n_bytes > 1 << 20 and member.n_bytes > most.compression * member.n_packed:
        raise ModelFileError(
            f"the member '{name}' takes {member.n_bytes} bytes but is stored in {member.n_packed}"
        )
    return archive.read(name, most_bytes).tobytes()


def _text(archive: ZipArchive, name: str, most_bytes: int, most: Limits) -> str:
    try:
        return _content(archive, name, most_bytes, most).decode()
    except UnicodeDecodeError:
        raise ModelFileError(f"the member '{name}' is no UTF-8 text") from None
