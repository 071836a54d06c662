"""Folders that belong to probe: nothing inside them is followed elsewhere.

What a user typed, such as --out, is followed wherever it leads. The names below it are probe's own, and a folder
that comes from somebody else can hold a link under any of them. So inside such a folder a link is never followed:
a file is written under a new name and renamed, which replaces a link and leaves alone what it points to, and is
read or added to only if it is a regular file that was opened without following. Subfolders are opened one inside
the other, so that none can be exchanged for a link in between.
"""

from __future__ import annotations

import errno
import io
import os
import secrets
import stat
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal, cast

from probe._checks import InputError
from probe._signatures import checked
from probe.safeh5 import printable
from probe.storage._atomic import reason_of

__all__ = ["OwnedFolder"]

Kind = Literal["file", "folder", "link", "special"]

_AT = {os.open, os.mkdir, os.rename, os.stat, os.unlink} <= os.supports_dir_fd
"""Whether names can be looked up in a folder that is open; elsewhere paths are."""

_NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0)
_NO_WAIT = getattr(os, "O_NONBLOCK", 0)
_FOLDER = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0)
_BINARY = getattr(os, "O_BINARY", 0)

_LEFT = ".part"
"""How the name of a file ends that is being written."""


class OwnedFolder:
    """A folder in which all names are probe's own.

    Once it was created or written to it must stay the same folder: when it is removed or exchanged meanwhile, all
    that is done in it raises, and it is not made anew.

    Parameters
    ----------
    path : path
        As the user typed it. It need not exist.

    Examples
    --------
    >>> import tempfile
    >>> folder = OwnedFolder(Path(tempfile.mkdtemp()) / "out")
    >>> folder.write("figures/a.png", b"...").name
    'a.png'
    >>> folder.kind("figures"), folder.kind("b.png"), folder.read("figures/a.png")
    ('folder', None, b'...')
    """

    @checked
    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._root = _Root(self.path)
        self._inside: tuple[str, ...] = ()

    def inside(self, name: str) -> OwnedFolder:
        """Return a folder inside this one, which need not exist."""
        inner = OwnedFolder(self.path / name)
        inner._root, inner._inside = self._root, (*self._inside, *_parts(name))
        return inner

    def create(self) -> None:
        """Make the folder if need be, and keep to it from now on.

        Raises
        ------
        InputError
            If it cannot be made, or one on the way to it, inside an owned one, is a link.
        """
        with self._refused(self.path, "cannot be written to"), self._opened((), create=True):
            pass

    def release(self) -> None:
        """Let go of the folder, which is otherwise kept open as long as this object lives."""
        self._root.release()

    def kind(self, name: str) -> Kind | None:
        """Return what there is under `name`: None if nothing, or no folder that it could be in."""
        *folders, last = _parts(name)
        try:
            with self._opened(folders) as folder:
                return _kind_of(folder.stat(last))
        except OSError:
            return None

    def folders(self) -> list[str]:
        """Return the names of the folders inside it, in order; links are none."""
        return self._names("folder")

    def files(self) -> list[str]:
        """Return the names of the regular files in it, in order; links are none."""
        return self._names("file")

    def _names(self, kind: Kind) -> list[str]:
        try:
            with self._opened(()) as folder:
                return sorted(name for name in folder.names() if folder.kind(name) == kind)
        except OSError:
            return []

    def check(self, name: str, expected: Kind) -> None:
        """Raise unless there is nothing under `name`, or what is expected there."""
        actual = self.kind(name)
        if actual not in (None, expected):
            raise InputError(f"{self._shown(name)} {_SAID[actual]}. Remove it, or pass another --out")

    @contextmanager
    def open(self, name: str) -> Iterator[io.BufferedReader]:
        """Open a regular file for reading.

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        OSError
            If it is a link, a pipe or anything else but a regular file, or cannot be read.
        """
        *folders, last = _parts(name)
        with self._opened(folders) as folder, _regular(folder.open(last, os.O_RDONLY), "rb") as file:
            yield file

    def read(self, name: str, most: int | None = None) -> bytes:
        """Return the content of a regular file, or raise OSError, also if it has more than `most` bytes."""
        with self.open(name) as file:
            if most is not None and os.fstat(file.fileno()).st_size > most:
                raise OSError(errno.EFBIG, f"it has more than {most} bytes")
            return file.read()

    def write(self, name: str, content: bytes | memoryview) -> Path:
        """Write a file at once or not at all, and return its path. A link of that name is replaced.

        Raises
        ------
        InputError
            If it cannot be written, there is a folder of that name, a folder on the way to it is a link, or this
            folder was removed or exchanged since it was first written to.
        """
        *folders, last = _parts(name)
        part = f".{last[:200]}.{secrets.token_hex(4)}{_LEFT}"
        with self._refused(self.path / name), self._opened(folders, create=True) as folder:
            try:
                with os.fdopen(folder.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL), "wb") as file:
                    file.write(content)
                    file.flush()
                    os.fsync(file.fileno())
                folder.replace(part, last)
            finally:
                with suppress(OSError):
                    folder.unlink(part)
            folder.flush()
        return self.path / name

    def write_text(self, name: str, content: str) -> Path:
        """Write a file of UTF-8, as `write` does."""
        return self.write(name, content.encode())

    def append(self, name: str, line: bytes) -> None:
        """Add a line to an existing file that has no other name, after the end of a line that was cut off.

        Raises
        ------
        InputError
            As `write` does; also if the file is missing, a link, or has a second name somewhere.
        """
        *folders, last = _parts(name)
        with (
            self._refused(self.path / name),
            self._opened(folders) as folder,
            _regular(folder.open(last, os.O_RDWR | os.O_APPEND), "a+b") as file,
        ):
            if os.fstat(file.fileno()).st_nlink != 1:
                raise OSError(errno.EMLINK, "it has a second name elsewhere")
            if file.seek(0, os.SEEK_END) > 0:
                file.seek(-1, os.SEEK_END)
                line = line if file.read(1) == b"\n" else b"\n" + line
            file.write(line)
            file.flush()
            os.fsync(file.fileno())

    def own(self, name: str) -> None:
        """Let a file have no other name: one with a second name elsewhere is written anew.

        Raises
        ------
        InputError
            If it is a link or no regular file, or cannot be written.
        """
        self.check(name, "file")
        with self._refused(self.path / name), self.open(name) as file:
            content = file.read() if os.fstat(file.fileno()).st_nlink > 1 else None
        if content is not None:
            self.write(name, content)

    def remove(self, name: str) -> None:
        """Remove a file or a link, if there is one."""
        *folders, last = _parts(name)
        with suppress(OSError), self._opened(folders) as folder:
            folder.unlink(last)

    def remove_leftovers(self, *folders: str) -> None:
        """Remove what killed writers left here and in `folders`; nobody may be writing meanwhile."""
        for parts in ([], *map(_parts, folders)):
            with suppress(OSError), self._opened(parts) as folder:
                for name in folder.names():
                    if name.startswith(".") and name.endswith(_LEFT):
                        with suppress(OSError):
                            folder.unlink(name)

    @contextmanager
    def _opened(self, folders: list[str] | tuple[()], *, create: bool = False) -> Iterator[_Open]:
        """Open the folder inside this one, and each on the way from the root, which is followed as typed."""
        folder = self._root.open(create)
        try:
            for name in (*self._inside, *folders):
                folder = folder.into(name, create)
            yield folder
        finally:
            folder.close()

    @contextmanager
    def _refused(self, path: Path, what: str = "cannot be written") -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise InputError(
                f"{printable(path, 300)} {what}: {reason_of(error)}. Pass another --out"
            ) from None

    def _shown(self, name: str) -> str:
        return printable(self.path / name, 300)


_SAID: dict[Kind | None, str] = {
    "file": "is a file, where a folder is expected",
    "folder": "is a folder, where a file is expected",
    "link": "is a symbolic link, and none is followed there",
    "special": "is a pipe, a socket or a device",
}


_GONE = "the folder was removed or exchanged while it was in use"


class _Root:
    """The path that the user typed, and which folder it was when it was first created or written to."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._known: tuple[int, int] | None = None
        self._lock = threading.Lock()
        self.release: Callable[[], object] = lambda: None

    def open(self, create: bool) -> _Open:  # noqa: FBT001
        with self._lock:
            if create and self._known is None:
                try:
                    self.path.mkdir(parents=True, exist_ok=True)
                except FileExistsError:
                    raise NotADirectoryError(errno.ENOTDIR, "it is not a folder") from None
                except NotADirectoryError:
                    raise NotADirectoryError(errno.ENOTDIR, "its parent is not a folder") from None
            try:
                folder = _Open(self.path, os.open(self.path, _FOLDER) if _AT else None)
            except OSError:
                if self._known is None:
                    raise
                raise FileNotFoundError(errno.ENOENT, _GONE) from None
            if self._known not in (None, folder.identity()):
                folder.close()
                raise FileNotFoundError(errno.ENOENT, _GONE)
            if create and self._known is None:
                self._known = folder.identity()
                self.release = folder.held(self)
            return folder


class _Open:
    """A folder that is open: names in it are looked up in it and nowhere else."""

    def __init__(self, path: Path, descriptor: int | None) -> None:
        self._path, self._at = path, descriptor

    def into(self, name: str, create: bool) -> _Open:  # noqa: FBT001
        """Return the folder `name` of this one, which is closed if that succeeds."""
        if create:
            with suppress(FileExistsError):
                os.mkdir(self._place(name), dir_fd=self._at)
        if _kind_of(self.stat(name)) != "folder":
            raise NotADirectoryError(errno.ENOTDIR, f"{name} {_SAID[_kind_of(self.stat(name))]}")
        inner = _Open(self._path / name, None)
        if self._at is not None:
            inner._at = os.open(name, _FOLDER | _NO_FOLLOW, dir_fd=self._at)
        self.close()
        return inner

    def identity(self) -> tuple[int, int]:
        """Return what tells this folder from any other."""
        status = self._path.stat() if self._at is None else os.fstat(self._at)
        return status.st_dev, status.st_ino

    def held(self, owner: object) -> Callable[[], object]:
        """Keep the folder open as long as `owner` lives: no other one gets its identity then. Return what lets go."""
        return (lambda: None) if self._at is None else weakref.finalize(owner, os.close, os.dup(self._at))

    def open(self, name: str, flags: int) -> int:
        return os.open(self._place(name), flags | _NO_FOLLOW | _NO_WAIT | _BINARY, 0o666, dir_fd=self._at)

    def stat(self, name: str) -> os.stat_result:
        return os.stat(self._place(name), dir_fd=self._at, follow_symlinks=False)

    def kind(self, name: str) -> Kind | None:
        """Return what there is under a name; None if it is gone."""
        try:
            return _kind_of(self.stat(name))
        except OSError:
            return None

    def replace(self, name: str, other: str) -> None:
        os.replace(self._place(name), self._place(other), src_dir_fd=self._at, dst_dir_fd=self._at)

    def unlink(self, name: str) -> None:
        os.unlink(self._place(name), dir_fd=self._at)

    def names(self) -> list[str]:
        return os.listdir(self._path if self._at is None else self._at)  # noqa: PTH208  # of the open folder

    def flush(self) -> None:
        """Make renames durable, where a folder can be opened."""
        if self._at is not None:
            with suppress(OSError):
                os.fsync(self._at)

    def close(self) -> None:
        if self._at is not None:
            os.close(self._at)
            self._at = None

    def _place(self, name: str) -> str:
        return name if self._at is not None else str(self._path / name)


@contextmanager
def _regular(descriptor: int, mode: Literal["rb", "a+b"]) -> Iterator[io.BufferedReader]:
    """Give the file of a descriptor if it is a regular one; asked after opening, it cannot be exchanged."""
    with os.fdopen(descriptor, mode) as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "it is not a regular file")
        yield cast(io.BufferedReader, file)


def _kind_of(status: os.stat_result) -> Kind:
    mode = status.st_mode
    if stat.S_ISLNK(mode):
        return "link"
    if stat.S_ISDIR(mode):
        return "folder"
    return "file" if stat.S_ISREG(mode) else "special"


def _parts(name: str) -> list[str]:
    """Return the parts of a name inside an owned folder, or raise if it leads elsewhere."""
    parts = name.split("/")
    if any(part in ("", ".", "..") or "\0" in part or os.sep in part for part in parts):
        raise InputError(f"a file in a folder of results cannot be called {printable(name)!r}")
    return parts
