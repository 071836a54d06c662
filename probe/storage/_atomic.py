"""Files that a user named, whole or absent: written beside their destination, flushed to disk, renamed over it.

Whoever reads the destination sees the old file or the new one, also when the writer is killed. A killed
writer leaves its `.<name>.<random>.part` behind; nothing reads such a file. Links in a path that a user named are
followed; for files inside a folder of probe's own see `OwnedFolder`, which follows none.
"""

from __future__ import annotations

import io
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from probe._checks import InputError
from probe._signatures import checked
from probe.safeh5 import printable

if TYPE_CHECKING:
    import h5py

__all__ = ["hdf5_bytes", "reason_of", "write_atomically", "write_bytes", "write_text"]


@checked
@contextmanager
def write_atomically(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a temporary path to write to, which becomes `path` if the block succeeds.

    Missing folders are created. A symbolic link is followed: the file that it points to is replaced.

    Parameters
    ----------
    path : path
        The destination: a file, or nothing yet.

    Yields
    ------
    Path
        An empty file in the folder of the destination, to write to and to close.

    Raises
    ------
    InputError
        If the destination cannot be written: its folder cannot be created or written to, it is a folder
        or a device, or the disk is full. Any OSError of the block counts as such.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "numbers.txt"
    >>> with write_atomically(path) as part:
    ...     _ = part.write_text("1 2 3")
    ...     path.exists()
    False
    >>> path.read_text()
    '1 2 3'
    """
    destination = Path(os.path.realpath(path))
    part = destination.with_name(f".{destination.name[:200]}.{secrets.token_hex(4)}.part")
    try:
        _prepare(destination)
        part.touch(exist_ok=False)
        yield part
        _flush(part)
        part.replace(destination)
        # Makes the rename itself durable; systems where folders cannot be opened do without.
        with suppress(OSError):
            _flush(destination.parent)
    except OSError as error:
        raise InputError(
            f"{printable(os.fspath(path), 300)} cannot be written: {reason_of(error)}. "
            "Pass a path in a folder you may write to"
        ) from None
    finally:
        with suppress(OSError):
            part.unlink()


@checked
def write_bytes(path: str | os.PathLike[str], content: bytes) -> Path:
    """Write `content` to `path` at once or not at all, and return the path.

    Raises
    ------
    InputError
        If the destination cannot be written.
    """
    with write_atomically(path) as part:
        part.write_bytes(content)
    return Path(path)


@checked
def write_text(path: str | os.PathLike[str], content: str) -> Path:
    """Write `content` as UTF-8 to `path` at once or not at all, and return the path.

    Raises
    ------
    InputError
        If the destination cannot be written.
    """
    return write_bytes(path, content.encode())


def hdf5_bytes(write: Callable[[h5py.File], None]) -> bytes:
    """Return the content of an HDF5 file that `write` fills; what is equal gives equal bytes, without times."""
    import h5py  # 0.05 s that reading does without

    memory = io.BytesIO()
    with h5py.File(memory, "w") as file:
        write(file)
    return memory.getvalue()


def _prepare(destination: Path) -> None:
    # Renaming over a device such as /dev/null would replace the device itself.
    if destination.is_dir():
        raise IsADirectoryError(0, "it is a folder")
    if destination.exists() and not destination.is_file():
        raise OSError(0, "it is not a regular file")
    try:
        destination.parent.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        raise NotADirectoryError(0, "its parent is not a folder") from None


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def reason_of(error: OSError) -> str:
    """Return what the system says of an error, in one line."""
    return " ".join((error.strerror or str(error)).split())[:200]
