"""Reading HDF5 files that may be broken or hostile.

libhdf5 follows links and external storage into other files, loads filter plugins, allocates whatever a
file declares, and reads damaged strings into endless loops or crashes. Nothing can switch that off, so
every object is looked at before it is opened, and every value before it is read. Nothing is walked:
only names that the caller asks for are opened.

What remains is a bug in libhdf5 itself; only reading in a child process would contain that.
"""

from __future__ import annotations

import atexit
import io
import json
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, NoReturn, TypeVar

import h5py
import numpy as np
import numpy.typing as npt

from probe._checks import InputError, ModelFileError
from probe.storage._arrays import check_array, check_size, column_range, read_array
from probe.storage._heap import WatchedFile
from probe.storage._limits import DEFAULT_LIMITS, Limits
from probe.storage._printable import printable
from probe.storage._references import SEARCHED_BYTES, check_references

__all__ = ["GuardedFile", "guarded_bytes", "open_guarded", "printable"]

_SIGNATURE = b"\x89HDF\r\n\x1a\n"

_HDF5_ERRORS = (
    OSError,
    LookupError,
    RuntimeError,
    ValueError,
    TypeError,
    ArithmeticError,
    MemoryError,
    AttributeError,
    NotImplementedError,
)
"""What h5py raises on damaged files; all of these were met in fuzzing."""

Node = TypeVar("Node", h5py.Group, h5py.Dataset)


@contextmanager
def open_guarded(
    path: str | os.PathLike[str],
    error: type[InputError] = ModelFileError,
    limits: Limits = DEFAULT_LIMITS,
) -> Iterator[GuardedFile]:
    """Open an HDF5 file for reading, after the checks that need no HDF5.

    Parameters
    ----------
    path : path
        The file.
    error : type of InputError
        Raised for everything that is wrong with the file, with the path in front of the message.
    limits : Limits
        How much is read.

    Yields
    ------
    GuardedFile
        Its methods are the only way in which the file should be read.
    """
    shown = printable(os.fspath(path), 200)

    def refuse(problem: str) -> NoReturn:
        raise error(f"{shown} {problem}") from None

    try:
        file = _opened_file(Path(path), refuse, limits)
    except InputError:
        raise
    except (OSError, ValueError) as failure:
        refuse(f"cannot be read: {getattr(failure, 'strerror', None) or printable(failure)}")
    with file, _guarded(file, shown, error, limits) as guarded:
        yield guarded


@contextmanager
def guarded_bytes(
    content: bytes, shown: str, error: type[InputError] = ModelFileError, limits: Limits = DEFAULT_LIMITS
) -> Iterator[GuardedFile]:
    """Open the content of an HDF5 file that is in memory, as `open_guarded` opens a file.

    HDF5 follows links and external storage from there too, so nothing is checked less.
    """
    with _guarded(io.BytesIO(content), shown, error, limits) as guarded:
        yield guarded


@contextmanager
def _guarded(file: BinaryIO, shown: str, error: type[InputError], limits: Limits) -> Iterator[GuardedFile]:
    base = _start_of_hdf5(file)
    if base is None:
        file.seek(0)
        start = file.read(8)
        raise error(f"{shown} is not an HDF5 file: it starts with {start!r}.{_hint(start)}")
    try:
        if file.seek(0, io.SEEK_END) <= SEARCHED_BYTES:
            check_references(file, base)
    except ValueError as failure:
        raise error(f"{shown} is a damaged HDF5 file: {failure}. Save or copy it again") from None
    watched = WatchedFile(file, limits)
    with _without_plugins():
        try:
            root = h5py.File(watched, "r")
        except _HDF5_ERRORS as failure:
            problem = watched.problem or printable(failure, 120)
            raise error(f"{shown} is a damaged HDF5 file: {problem}. Save or copy it again") from None
        # An HDF5 file that is open on Python's way out crashes the interpreter: its bytes come from Python.
        atexit.register(root.close)
        try:
            yield GuardedFile(shown, root, error, watched, limits, limits.total_bytes)
        finally:
            root.close()
            atexit.unregister(root.close)


@dataclass(slots=True)
class GuardedFile:
    """An open HDF5 file and the checked ways to read it.

    `group` arguments are groups that these methods returned, or `root`.
    """

    shown_path: str
    root: h5py.File
    error: type[InputError]
    watched: WatchedFile
    limits: Limits
    bytes_left: int

    def refusal(self, place: str, problem: str) -> InputError:
        """Return the file's error: the path, the place in the file, the problem."""
        return self.error(f"{self.shown_path}: {printable(place, 160)} {problem}")

    def refuse(self, place: str, problem: str) -> NoReturn:
        """Raise the file's error."""
        raise self.refusal(place, problem) from None

    def names(self, group: h5py.Group, limit: int = 8) -> str:
        """Return the first names in `group` for a message; reads no member."""
        with self._readable(group.name):
            found = [printable(name, 40) for name, _ in zip(group, range(limit + 1), strict=False)]
        shown = ", ".join(f"'{name}'" for name in found[:limit]) or "nothing"
        return shown + (", ..." if len(found) > limit else "")

    def has(self, group: h5py.Group, name: str) -> bool:
        """Return whether `group` has a member called `name`; does not open it."""
        with self._readable(_joined(group, name)):
            return name in group

    def count(self, group: h5py.Group) -> int:
        """Return how many members `group` has; opens none."""
        with self._readable(group.name):
            return len(group)

    def is_group(self, parent: h5py.Group, name: str) -> bool:
        """Return whether `parent` has a group called `name`, by a hard link."""
        return self.has(parent, name) and type(self._child(parent, name, _joined(parent, name))) is h5py.Group

    def group(self, parent: h5py.Group, name: str) -> h5py.Group:
        """Return the group at `name`, a path relative to `parent`, opened by hard links only."""
        return self._open(parent, name, h5py.Group)

    def has_attribute(self, node: h5py.Group, name: str) -> bool:
        """Return whether `node` has an attribute called `name`; does not read it."""
        with self._readable(node.name):
            return bool(h5py.h5a.exists(node.id, name.encode()))

    def text(self, node: h5py.Group, name: str) -> str:
        """Return the attribute `name` of `node`, which must be one string."""
        attribute = self._string_attribute(node, name)
        place = f"attribute '{name}' of {node.name}"
        if attribute.shape != ():
            self.refuse(place, f"has shape {attribute.shape}, expected a single string")
        if (
            not attribute.get_type().is_variable_str()
            and attribute.get_storage_size() > self.limits.text_bytes
        ):
            self.refuse(place, f"is longer than {self.limits.text_bytes} bytes")
        with self._readable(place), self.watched.expecting(1):
            value = node.attrs[name]
            text = value.decode() if isinstance(value, bytes) else str(value)
        if len(text) > self.limits.text_bytes:
            self.refuse(place, f"is longer than {self.limits.text_bytes} characters")
        return text

    def json(self, node: h5py.Group, name: str) -> Any:
        """Return the attribute `name` of `node`, which must be one JSON document."""
        text = self.text(node, name)
        try:
            return json.loads(text)
        except (ValueError, RecursionError) as error:
            self.refuse(f"attribute '{name}' of {node.name}", f"is not valid JSON: {printable(error, 120)}")

    def strings(self, node: h5py.Group, name: str, at_most: int) -> tuple[str, ...]:
        """Return the attribute `name` of `node`, a list of at most `at_most` strings.

        Lists that Keras had to split over `name0`, `name1`, ... are put together.
        """
        if self.has_attribute(node, name):
            return self._string_list(node, name, at_most)
        found: tuple[str, ...] = ()
        for part in range(at_most + 1):
            if not self.has_attribute(node, f"{name}{part}"):
                break
            found += self._string_list(node, f"{name}{part}", at_most - len(found))
        else:
            self.refuse(f"attribute '{name}' of {node.name}", f"is split in more than {at_most} parts")
        if not found and not self.has_attribute(node, f"{name}0"):
            self.refuse(str(node.name), f"has no attribute '{name}'; the file is incomplete")
        return found

    def array(
        self,
        group: h5py.Group,
        name: str,
        *,
        kinds: str = "f",
        shape: Sequence[int] | None = None,
        place: str | None = None,
        columns: slice | None = None,
    ) -> npt.NDArray[Any]:
        """Return the array at `name`, a path relative to `group`, in native byte order.

        Parameters
        ----------
        kinds : str
            The kinds of number allowed, as in `numpy.dtype.kind`. With "f", bfloat16 is read as float32.
        shape : sequence of int, optional
            The shape that it must have.
        place : str, optional
            What messages call it.
        columns : slice, optional
            Which entries of the last axis, from a first to an end; nothing else is read.

        Raises
        ------
        InputError
            If `columns` are not there.
        """
        place = place or _joined(group, name)
        dataset = self._checked(group, name, kinds, place)
        if shape is not None and dataset.shape != tuple(shape):
            self.refuse(place, f"has shape {dataset.shape}, expected {tuple(shape)}")
        wanted = column_range(columns, dataset.shape, place)
        with self._readable(place):
            self.bytes_left -= check_size(
                dataset, wanted, self.bytes_left, self.limits, partial(self.refuse, place)
            )
            return read_array(dataset, wanted)

    def describe(
        self, group: h5py.Group, name: str, *, kinds: str = "f", place: str | None = None
    ) -> tuple[tuple[int, ...], np.dtype[Any]]:
        """Return shape and type of the array at `name`, checked as `array` would, and read nothing of it."""
        place = place or _joined(group, name)
        dataset = self._checked(group, name, kinds, place)
        with self._readable(place):
            return tuple(dataset.shape), dataset.dtype

    def _checked(self, group: h5py.Group, name: str, kinds: str, place: str) -> h5py.Dataset:
        dataset = self._open(group, name, h5py.Dataset, place)
        with self._readable(place):
            check_array(dataset, kinds, self.limits, partial(self.refuse, place))
        return dataset

    def _open(self, parent: h5py.Group, name: str, kind: type[Node], place: str | None = None) -> Node:
        place = place or _joined(parent, name)
        parts = name.split("/")
        if len(parts) > self.limits.depth or any(part in ("", ".", "..") or "\0" in part for part in parts):
            self.refuse(place, f"has the path '{printable(name)}', which no writer of models uses")
        node: Any = parent
        for part in parts:
            node = self._child(node, part, place)
        if type(node) is not kind:
            self.refuse(place, f"is a {type(node).__name__.lower()}, expected a {kind.__name__.lower()}")
        return node

    def _child(self, node: object, part: str, place: str) -> Any:
        if type(node) not in (h5py.Group, h5py.File):
            self.refuse(place, "lies inside something that is no group")
        assert isinstance(node, h5py.Group)
        with self._readable(place):
            if part not in node:
                self.refuse(place, f"is missing: {printable(node.name)} has {self.names(node)}")
            # Looking at the link does not open what it points to; node[part] would.
            if type(node.get(part, getlink=True)) is not h5py.HardLink:
                self.refuse(place, "is a link to another place or file, which is not followed")
            return node[part]

    def _string_list(self, node: h5py.Group, name: str, at_most: int) -> tuple[str, ...]:
        place = f"attribute '{name}' of {node.name}"
        with self._readable(place):
            attribute = h5py.h5a.open(node.id, name.encode())
            # Keras stores an empty list as an empty list of numbers.
            if attribute.shape == (0,):
                return ()
        attribute = self._string_attribute(node, name)
        if len(attribute.shape) != 1 or attribute.shape[0] > at_most:
            self.refuse(place, f"has shape {attribute.shape}, expected a list of at most {at_most} strings")
        if (
            not attribute.get_type().is_variable_str()
            and attribute.get_storage_size() > self.limits.strings_bytes
        ):
            self.refuse(place, "declares more text than is read")
        with self._readable(place), self.watched.expecting(attribute.shape[0]):
            values = list(node.attrs[name])
            return tuple(v.decode() if isinstance(v, bytes) else str(v) for v in values)

    def _string_attribute(self, node: h5py.Group, name: str) -> Any:
        place = f"attribute '{name}' of {node.name}"
        if not self.has_attribute(node, name):
            self.refuse(str(node.name), f"has no attribute '{name}'; the file is incomplete")
        with self._readable(place):
            attribute = h5py.h5a.open(node.id, name.encode())
            # Reading a damaged type crashes the interpreter, so its class is looked at first.
            if attribute.get_type().get_class() != h5py.h5t.STRING:
                self.refuse(place, "is no text")
            if attribute.shape is None:
                self.refuse(place, "is empty")
            return attribute

    @contextmanager
    def _readable(self, place: object) -> Iterator[None]:
        problem = None
        try:
            yield
        except InputError:
            raise
        except _HDF5_ERRORS as failure:
            problem = printable(failure, 120)
        # Bytes that could not be read are zeros to libhdf5, which takes them where any will do.
        problem = self.watched.problem or problem
        if problem is not None:
            self.refuse(str(place), f"cannot be read, the file is damaged: {problem}")


def _joined(group: h5py.Group, name: str) -> str:
    return f"{str(group.name).rstrip('/')}/{name}"


def _opened_file(path: Path, refuse: Any, limits: Limits) -> BinaryIO:
    """Open a file for reading if it is one that HDF5 can be in."""
    try:
        status = path.stat()
    except FileNotFoundError:
        refuse("does not exist. Pass the path of an HDF5 file")
    # Before it is opened: opening a pipe waits for somebody to write to it.
    if stat.S_ISDIR(status.st_mode):
        refuse("is a folder. Pass the path of an HDF5 file")
    if not stat.S_ISREG(status.st_mode):
        refuse("is not a regular file. Pass the path of an HDF5 file")
    if status.st_size == 0:
        refuse("is empty (0 bytes). Save it again")
    if status.st_size > limits.file_bytes:
        refuse(f"has {status.st_size} bytes, more than the {limits.file_bytes} that are read")
    return path.open("rb", buffering=0)


def _start_of_hdf5(file: BinaryIO) -> int | None:
    """Return where HDF5's signature is: at the start, or after a block of the user's; None if nowhere."""
    size = file.seek(0, os.SEEK_END)
    place = 0
    while place < size:
        file.seek(place)
        if file.read(len(_SIGNATURE)) == _SIGNATURE:
            return place
        place = max(512, 2 * place)
    return None


def _hint(start: bytes) -> str:
    if start.startswith(b"PK\x03\x04"):
        return " It is a zip archive, perhaps a .keras file; save the model as .h5 instead"
    return " Pass a model that was saved as HDF5 (.h5)"


@contextmanager
def _without_plugins() -> Iterator[None]:
    # HDF5 looks for filter plugins, shared libraries whose code it runs, when this is not set.
    before = os.environ.get("HDF5_PLUGIN_PRELOAD")
    os.environ["HDF5_PLUGIN_PRELOAD"] = "::"
    try:
        yield
    finally:
        if before is None:
            del os.environ["HDF5_PLUGIN_PRELOAD"]
        else:
            os.environ["HDF5_PLUGIN_PRELOAD"] = before
