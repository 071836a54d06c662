"""Reading HDF5 files that may be broken or hostile.

libhdf5 follows links and external storage into other files, loads filter plugins, allocates whatever a
file declares, and reads damaged strings into endless loops or crashes. Nothing can switch that off, so
every object is looked at before it is opened, and every value before it is read. Nothing is walked:
only names that the caller asks for are opened.

What remains is a bug in libhdf5 itself; only reading in a child process would contain that.
"""

from __future__ import annotations

import json
import math
import os
import re
import stat
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, NoReturn, TypeVar

import h5py
import numpy as np
import numpy.typing as npt

from probe._checks import InputError, ModelFileError

__all__ = ["GuardedFile", "open_guarded", "printable"]

MAX_FILE_BYTES = 4 << 30
"""Largest file that is opened; a model with its optimizer's state takes about three times its weights."""

MAX_TENSOR_BYTES = 512 << 20
"""Largest single array that is read."""

MAX_TOTAL_BYTES = 2 << 30
"""Largest sum of all arrays that are read from one file."""

MAX_CHUNK_BYTES = 64 << 20
"""Largest chunk of a chunked array: HDF5 allocates whole chunks, however small the array is."""

MAX_COMPRESSION = 200
"""Largest ratio of an array's bytes to its bytes on disk, beyond the first MiB. Weights reach about 1.1,
sparse images about 20; bombs reach 1,000 with one deflate and 1,000,000 with two."""

MAX_TEXT_BYTES = 16 << 20
"""Largest text attribute, such as a model's configuration."""

MAX_HEAP_BLOCK_BYTES = 64 << 20
"""Largest block of the heap that holds strings of variable length."""

MAX_HEAP_RECORDS = 1_000_000
"""Most strings of variable length in one file."""

MAX_STRINGS_BYTES = 1 << 30
"""Bound on a list of strings: many of its entries can point at one big string of the heap."""

MAX_DEPTH = 32
"""Most components in the name of an object."""

MAX_RANK = 8
"""Most axes of an array."""

PLAIN_FILTERS = frozenset({1, 2, 3})
"""Deflate, shuffle and checksum: the filters inside libhdf5 that have no history of memory errors."""

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

_HEAP_SIGNATURE = re.compile(rb"GCOL\x01")
_HEAP_HEADER = struct.Struct("<4sB3xQ")
_HEAP_RECORD = struct.Struct("<HH4xQ")

Node = TypeVar("Node", h5py.Group, h5py.Dataset)


def printable(text: object, limit: int = 80) -> str:
    r"""Return `text` for a message: on one line, without control characters, at most `limit` long.

    Examples
    --------
    >>> printable("dense\n\x1b[31m1")
    'dense??[31m1'
    """
    shown = "".join(c if c.isprintable() else "?" for c in str(text))
    return shown if len(shown) <= limit else shown[: limit - 3] + "..."


@contextmanager
def open_guarded(
    path: str | os.PathLike[str], error: type[InputError] = ModelFileError
) -> Iterator[GuardedFile]:
    """Open an HDF5 file for reading, after the checks that need no HDF5.

    Parameters
    ----------
    path : path
        The file.
    error : type of InputError
        Raised for everything that is wrong with the file, with the path in front of the message.

    Yields
    ------
    GuardedFile
        Its methods are the only way in which the file should be read.
    """
    shown = printable(os.fspath(path), 200)

    def refuse(problem: str) -> NoReturn:
        raise error(f"{shown} {problem}") from None

    try:
        longest = _check_file(Path(path), refuse)
    except (OSError, ValueError) as failure:
        if isinstance(failure, InputError):
            raise
        refuse(f"cannot be read: {getattr(failure, 'strerror', None) or printable(failure)}")
    with _without_plugins():
        try:
            root = h5py.File(path, "r")
        except _HDF5_ERRORS as failure:
            refuse(f"is a damaged HDF5 file: {printable(failure, 120)}. Save or copy it again")
        try:
            yield GuardedFile(shown, root, error, longest)
        finally:
            root.close()


@dataclass(slots=True)
class GuardedFile:
    """An open HDF5 file and the checked ways to read it.

    `group` arguments are groups that these methods returned, or `root`.
    """

    shown_path: str
    root: h5py.File
    error: type[InputError]
    longest_string: int
    bytes_left: int = field(default=MAX_TOTAL_BYTES)

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
        if not attribute.get_type().is_variable_str() and attribute.get_storage_size() > MAX_TEXT_BYTES:
            self.refuse(place, f"is longer than {MAX_TEXT_BYTES} bytes")
        with self._readable(place):
            value = node.attrs[name]
            text = value.decode() if isinstance(value, bytes) else str(value)
        if len(text) > MAX_TEXT_BYTES:
            self.refuse(place, f"is longer than {MAX_TEXT_BYTES} characters")
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
        """
        place = place or _joined(group, name)
        dataset = self._open(group, name, h5py.Dataset, place)
        with self._readable(place):
            self._check_storage(dataset, place)
            self._check_type(dataset, kinds, place)
            if shape is not None and dataset.shape != tuple(shape):
                self.refuse(place, f"has shape {dataset.shape}, expected {tuple(shape)}")
            self._check_size(dataset, place)
            values = np.asarray(dataset[()])
        if values.dtype.kind == "V":
            # bfloat16 is the upper half of a float32.
            return (values.view("<u2").astype(np.uint32) << 16).view(np.float32)
        return values.astype(values.dtype.newbyteorder("="), copy=False)

    def _open(self, parent: h5py.Group, name: str, kind: type[Node], place: str | None = None) -> Node:
        place = place or _joined(parent, name)
        parts = name.split("/")
        if len(parts) > MAX_DEPTH or any(part in ("", ".", "..") or "\0" in part for part in parts):
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
        stored = attribute.shape[0] * self.longest_string
        if not attribute.get_type().is_variable_str():
            stored = attribute.get_storage_size()
        if stored > MAX_STRINGS_BYTES:
            self.refuse(place, "declares more text than a list of names can hold")
        with self._readable(place):
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

    def _check_storage(self, dataset: h5py.Dataset, place: str) -> None:
        creation = dataset.id.get_create_plist()
        if dataset.external or creation.get_external_count():
            self.refuse(place, "keeps its data in another file, which is not opened")
        if dataset.is_virtual or creation.get_layout() == h5py.h5d.VIRTUAL:
            self.refuse(place, "is put together from other data sets, which are not opened")
        filters = [creation.get_filter(i)[0] for i in range(creation.get_nfilters())]
        if not PLAIN_FILTERS.issuperset(filters) or len(set(filters)) != len(filters):
            self.refuse(
                place, f"uses the HDF5 filters {filters}; only deflate, shuffle and checksum are read"
            )

    def _check_type(self, dataset: h5py.Dataset, kinds: str, place: str) -> None:
        dtype = dataset.dtype
        bfloat16 = "f" in kinds and dtype.kind == "V" and dtype.itemsize == 2 and dtype.fields is None
        plain = dtype.kind in kinds and dtype.itemsize <= 8 and dtype.subdtype is None
        if not (plain or bfloat16):
            self.refuse(place, f"holds {printable(dtype, 40)}, expected {_in_words(kinds)} numbers")

    def _check_size(self, dataset: h5py.Dataset, place: str) -> None:
        shape, itemsize = dataset.shape, dataset.dtype.itemsize
        if shape is None or len(shape) > MAX_RANK:
            self.refuse(place, f"has shape {printable(shape, 60)}, expected at most {MAX_RANK} axes")
        size = math.prod(shape) * itemsize
        if size > min(MAX_TENSOR_BYTES, self.bytes_left):
            self.refuse(place, f"of shape {shape} takes {size} bytes, more than is read from one file")
        stored = dataset.id.get_storage_size()
        if size and not stored:
            self.refuse(place, f"of shape {shape} was never written; the file is incomplete")
        if size > 1 << 20 and size > MAX_COMPRESSION * stored:
            self.refuse(place, f"of shape {shape} takes {size} bytes but is stored in {stored}")
        if dataset.chunks and math.prod(dataset.chunks) * itemsize > MAX_CHUNK_BYTES:
            self.refuse(place, f"has chunks of shape {dataset.chunks}, too large to read")
        self.bytes_left -= size

    @contextmanager
    def _readable(self, place: object) -> Iterator[None]:
        try:
            yield
        except InputError:
            raise
        except _HDF5_ERRORS as failure:
            self.refuse(str(place), f"cannot be read, the file is damaged: {printable(failure, 120)}")


def _joined(group: h5py.Group, name: str) -> str:
    return f"{str(group.name).rstrip('/')}/{name}"


def _in_words(kinds: str) -> str:
    words = {"f": "float", "i": "integer", "u": "unsigned integer", "b": "bool"}
    return " or ".join(words[kind] for kind in kinds)


def _check_file(path: Path, refuse: Any) -> int:
    """Check what can be checked without HDF5; return the length of the longest string in the heap."""
    try:
        status = path.stat()
    except FileNotFoundError:
        refuse("does not exist. Pass the path of an HDF5 file")
    if stat.S_ISDIR(status.st_mode):
        refuse("is a folder. Pass the path of an HDF5 file")
    if not stat.S_ISREG(status.st_mode):
        refuse("is not a regular file. Pass the path of an HDF5 file")
    if status.st_size == 0:
        refuse("is empty (0 bytes). Save it again")
    if status.st_size > MAX_FILE_BYTES:
        refuse(f"has {status.st_size} bytes, more than the {MAX_FILE_BYTES} that are read")
    with path.open("rb") as file:
        start = file.read(8)
        if not h5py.is_hdf5(path):
            refuse(f"is not an HDF5 file: it starts with {start!r}.{_hint(start)}")
        try:
            return max((_longest_in_block(file, offset) for offset in _heap_blocks(file)), default=0)
        except ValueError as problem:
            refuse(f"is a damaged HDF5 file: {problem}. Save or copy it again")
    raise AssertionError


def _hint(start: bytes) -> str:
    if start.startswith(b"PK\x03\x04"):
        return " It is a zip archive, perhaps a .keras file; save the model as .h5 instead"
    return " Pass a model that was saved as HDF5 (.h5)"


def _heap_blocks(file: BinaryIO) -> list[int]:
    """Return where the blocks of the global heap start, which hold the strings of variable length."""
    found: list[int] = []
    kept, position = b"", 0
    file.seek(0)
    while chunk := file.read(1 << 24):
        window = kept + chunk
        found += [position - len(kept) + match.start() for match in _HEAP_SIGNATURE.finditer(window)]
        kept, position = window[-4:], position + len(chunk)
        if len(found) > MAX_HEAP_RECORDS:
            raise ValueError("it has too many blocks of text")
    return found


def _longest_in_block(file: BinaryIO, offset: int) -> int:
    """Return the length of the longest string in the heap block at `offset`.

    libhdf5 walks the records of a block; a free-space record that does not end with the block makes it
    walk for ever, beyond the reach of Ctrl-C and of alarms.
    """
    file.seek(offset)
    header = file.read(_HEAP_HEADER.size)
    size = _HEAP_HEADER.unpack(header)[2] if len(header) == _HEAP_HEADER.size else 0
    if not _HEAP_HEADER.size <= size <= MAX_HEAP_BLOCK_BYTES:
        raise ValueError(f"its text block at byte {offset} has size {size}")
    block = file.read(size - _HEAP_HEADER.size)
    if len(block) != size - _HEAP_HEADER.size:
        raise ValueError(f"its text block at byte {offset} is cut off")
    longest = at = records = 0
    while at + _HEAP_RECORD.size <= len(block):
        index, _, length = _HEAP_RECORD.unpack_from(block, at)
        end = at + length if index == 0 else at + _HEAP_RECORD.size + -(-length // 8) * 8
        records += 1
        if end > len(block) or (index == 0 and end != len(block)) or records > MAX_HEAP_RECORDS:
            raise ValueError(f"its text block at byte {offset} has a broken record")
        longest, at = max(longest, length if index else 0), end
    return longest


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
