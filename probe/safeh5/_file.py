"""An open HDF5 file that may be broken or hostile, and the checked ways to read it.

Nothing is walked: only names that the caller asks for are opened, only by hard links, and everything is looked at
before it is read.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, partial
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

from probe._errors import InputError
from probe.safeh5._arrays import (
    Description,
    check_array,
    check_size,
    check_storage,
    contiguous_at,
    read_array,
    read_bytes,
)
from probe.safeh5._headers import Shape, Type
from probe.safeh5._heaps import GlobalHeap
from probe.safeh5._objects import Attribute, Object
from probe.safeh5._source import DamagedError, Limits, Source, number
from probe.safeh5._text import check_json, listed, printable

__all__ = ["DAMAGE", "File", "Group", "RefusedError", "reason_of"]

DAMAGE = (DamagedError, OSError, ArithmeticError, LookupError, ValueError, MemoryError, RecursionError)
"""What reading a damaged file can raise; all but the first two are a last net."""


class RefusedError(InputError):
    """A file is missing, damaged, unsafe to read, or holds something else than it should."""


@dataclass(frozen=True, slots=True)
class Group:
    """A group of an open file: its name in the file, and where it is."""

    name: str
    address: int


def reason_of(failure: Exception) -> str:
    """Return what an error says, or what it is, for a message."""
    return printable(failure if str(failure) else type(failure).__name__, 120)


class File:
    """An open HDF5 file and the checked ways to read it; `open_file` makes it.

    Arguments called `group`, `parent` or `node` are groups that these methods returned, or `root`; names are those of
    members, or paths below a group. Every method raises the error that the file was opened with if what it looks at
    is missing, damaged, or beyond the limits.

    Attributes
    ----------
    shown_path : str
        What messages call the file.
    root : Group
        The group in which everything else is.
    error : type of Exception
        What is raised for everything that is wrong with the file.
    limits : Limits
        How much is read.
    size : int
        Bytes of the file.
    """

    def __init__(
        self, shown_path: str, root: Group, error: type[Exception], limits: Limits, source: Source
    ) -> None:
        self.shown_path = shown_path
        self.root = root
        self.error = error
        self.limits = limits
        self.size = source.size
        self._bytes_left = limits.total_bytes
        self._source = source
        self._strings = GlobalHeap(source)
        self._object = cache(partial(Object, source))
        self._claims: dict[int, str] = {}
        self._claimed = 0
        with self._readable("/"):
            if self._object(root.address).kind != "group":
                raise DamagedError("its root is no group")

    def refusal(self, place: str, problem: str) -> Exception:
        """Return the file's error: the path, the place in the file, the problem."""
        return self.error(f"{self.shown_path}: {printable(place, 160)} {problem}")

    def refuse(self, place: str, problem: str) -> NoReturn:
        """Raise the file's error."""
        raise self.refusal(place, problem) from None

    def names(self, group: Group, limit: int = 8) -> str:
        """Return the first names in `group` for a message."""
        return listed(self.members(group), limit, letters=40, none="nothing")

    def members(self, group: Group) -> tuple[str, ...]:
        """Return the names of all members of `group`."""
        with self._readable(group.name):
            return tuple(self._object(group.address).members)

    def has(self, group: Group, name: str) -> bool:
        """Return whether `group` has a member called `name`; does not open it."""
        with self._readable(_joined(group, name)):
            return name in self._object(group.address).members

    def is_group(self, parent: Group, name: str) -> bool:
        """Return whether `parent` has a group called `name`, by a hard link."""
        place = _joined(parent, name)
        with self._readable(place):
            return self.has(parent, name) and self._object(self._child(parent, name, place)).kind == "group"

    def group(self, parent: Group, name: str) -> Group:
        """Return the group at `name`, a path relative to `parent`, opened by hard links only."""
        place = _joined(parent, name)
        return Group(place, self._address(parent, name, "group", place))

    def has_attribute(self, node: Group, name: str) -> bool:
        """Return whether `node` has an attribute called `name`; does not read it."""
        with self._readable(node.name):
            return name in self._object(node.address).attributes

    def text(self, node: Group, name: str) -> str:
        """Return the attribute `name` of `node`, which must be one string."""
        attribute = self._attribute(node, name)
        place = _attribute(node, name)
        if attribute.shape != ():
            self.refuse(place, f"has shape {printable(attribute.shape, 60)}, expected a single string")
        return self._texts(attribute.type, attribute.content, 1, place, self.limits.text_bytes)[0]

    def json(self, node: Group, name: str) -> Any:
        """Return what the attribute `name` of `node` holds, one JSON text: dicts, lists, strings, numbers and None."""
        text = self.text(node, name)
        try:
            check_json(text, "it", self.limits)
            return json.loads(text)
        except (DamagedError, ValueError, RecursionError) as error:
            self.refuse(_attribute(node, name), f"is not valid JSON: {printable(error, 120)}")

    def strings(self, node: Group, name: str, at_most: int) -> tuple[str, ...]:
        """Return the attribute `name` of `node`, a list of at most `at_most` strings.

        Lists that Keras had to split over `name0`, `name1`, ... are put together.
        """
        if self.has_attribute(node, name):
            return self._string_list(node, name, at_most)
        joined: tuple[str, ...] = ()
        for part in range(at_most + 1):
            if not self.has_attribute(node, f"{name}{part}"):
                break
            joined += self._string_list(node, f"{name}{part}", at_most - len(joined))
        else:
            self.refuse(_attribute(node, name), f"is split in more than {at_most} parts")
        if not joined and not self.has_attribute(node, f"{name}0"):
            self.refuse(node.name, f"has no attribute '{name}'; the file is incomplete")
        return joined

    def array(
        self,
        group: Group,
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

        Returns
        -------
        ndarray
            Of the type that is stored, in native byte order.

        Raises
        ------
        RefusedError
            Or the error of the file: if it is no such array, was not written to the end, takes more than the limits,
            or has no such columns.
        """
        place = place or _joined(group, name)
        described = self._checked(group, name, kinds, place)
        if shape is not None and described.shape != tuple(shape):
            self.refuse(place, f"has shape {described.shape}, expected {tuple(shape)}")
        wanted = self._column_range(columns, described.shape or (), place)
        refuse = partial(self.refuse, place)
        with self._readable(place):
            self._bytes_left -= check_size(described, wanted, self._bytes_left, self.limits, refuse)
            return read_array(self._source, described, wanted, refuse)

    def string_array(self, group: Group, name: str, at_most: int) -> tuple[str, ...]:
        """Return the array at `name`, a path relative to `group`, a list of at most `at_most` strings."""
        place = _joined(group, name)
        stored, refuse = self._stored(group, name, place), partial(self.refuse, place)
        with self._readable(place):
            check_storage(stored, self.limits, refuse)
            if not stored.type.is_text:
                refuse(f"holds {stored.type.name}, expected strings")
            if stored.shape is None or len(stored.shape) != 1 or stored.shape[0] > at_most:
                refuse(
                    f"has shape {printable(stored.shape, 60)}, expected a list of at most {at_most} strings"
                )
            if stored.n_bytes > self.limits.strings_bytes:
                refuse("declares more text than is read")
            check_size(stored, None, self._bytes_left, self.limits, refuse)
            content = read_bytes(self._source, stored, refuse)
        return self._texts(stored.type, content, stored.shape[0], place, self.limits.strings_bytes)

    def is_text(self, group: Group, name: str) -> bool:
        """Return whether the array at `name`, a path relative to `group`, holds strings."""
        return self._stored(group, name, _joined(group, name)).type.is_text

    def describe(
        self, group: Group, name: str, *, kinds: str = "f", place: str | None = None
    ) -> tuple[Shape, str]:
        """Return shape and type of the array at `name`, checked as `array` would, and read nothing of it.

        The type is named as NumPy does, or "bfloat16".
        """
        described = self._checked(group, name, kinds, place or _joined(group, name))
        assert described.shape is not None
        return described.shape, described.type.name

    def contiguous(
        self, group: Group, name: str, *, kinds: str = "f", place: str | None = None
    ) -> tuple[int, np.dtype[Any], Shape]:
        """Return where in the file the values of an array begin, their type and the shape, for a caller who reads them.

        The array at `name` is checked as `array` would, but for its size: all its bytes are in the file, as they are.
        """
        place = place or _joined(group, name)
        described = self._checked(group, name, kinds, place)
        assert described.shape is not None and described.type.dtype is not None
        with self._readable(place):
            offset = contiguous_at(self._source, described, partial(self.refuse, place))
        return offset, described.type.dtype, described.shape

    def check_claims(self, arrays: Sequence[tuple[Group, str]]) -> None:
        """Refuse a file whose arrays, each a group and a path below it, share their bytes or claim far too many.

        One array under many names, and small ones that unfold to the largest size each, would otherwise take
        gigabytes from a file of kilobytes, all below the limits of a single array.
        """
        for group, name in arrays:
            place = _joined(group, name)
            stored = self._stored(group, name, place)
            if self._claims.get(stored.owner) == place:
                continue
            if stored.owner in self._claims:
                self.refuse(place, f"is the same array as {printable(self._claims[stored.owner])}")
            self._claims[stored.owner] = place
            self._claimed += stored.n_unpacked
        if self._claimed > max(self.limits.compression * self.size, 16 << 20):
            self.refuse(
                "the file", f"has arrays that take {self._claimed} bytes, but itself only {self.size}"
            )

    def renew(self) -> None:
        """Open new accounts of steps and bytes, for another request of the caller."""
        self._source.renew()
        self._bytes_left = self.limits.total_bytes

    def _stored(self, group: Group, name: str, place: str) -> Description:
        address = self._address(group, name, "dataset", place)
        with self._readable(place):
            return self._object(address).array

    def _checked(self, group: Group, name: str, kinds: str, place: str) -> Description:
        stored = self._stored(group, name, place)
        check_array(stored, kinds, self.limits, partial(self.refuse, place))
        return stored

    def _address(self, parent: Group, name: str, kind: str, place: str) -> int:
        """Return the address of the object of some kind at `name`, a path below `parent`."""
        parts = name.split("/", self.limits.depth)
        if len(parts) > self.limits.depth or any(part in ("", ".", "..") or "\0" in part for part in parts):
            self.refuse(place, f"has the path '{printable(name)}', which no writer of models uses")
        node = parent
        with self._readable(place):
            for part in parts:
                if self._object(node.address).kind != "group":
                    self.refuse(place, "lies inside something that is no group")
                node = Group(_joined(node, part), self._child(node, part, place))
            actual = self._object(node.address).kind
        if actual != kind:
            self.refuse(place, f"is a {actual}, expected a {kind}")
        return node.address

    def _child(self, node: Group, part: str, place: str) -> int:
        members = self._object(node.address).members
        if part not in members:
            self.refuse(place, f"is missing: {printable(node.name)} has {self.names(node)}")
        address = members[part]
        if address is None:
            self.refuse(place, "is a link to another place or file, which is not followed")
        return address

    def _attribute(self, node: Group, name: str) -> Attribute:
        if not self.has_attribute(node, name):
            self.refuse(node.name, f"has no attribute '{name}'; the file is incomplete")
        value = self._object(node.address).attributes[name]
        place = _attribute(node, name)
        if not value.type.is_text:
            self.refuse(place, "is no text")
        if value.shape is None:
            self.refuse(place, "is empty")
        return value

    def _string_list(self, node: Group, name: str, at_most: int) -> tuple[str, ...]:
        place = _attribute(node, name)
        # Keras stores an empty list as an empty list of numbers.
        if self._object(node.address).attributes[name].shape == (0,):
            return ()
        value = self._attribute(node, name)
        assert value.shape is not None
        if len(value.shape) != 1 or value.shape[0] > at_most:
            self.refuse(place, f"has shape {value.shape}, expected a list of at most {at_most} strings")
        return self._texts(value.type, value.content, value.shape[0], place, self.limits.strings_bytes)

    def _texts(self, kind: Type, content: bytes, count: int, place: str, most: int) -> tuple[str, ...]:
        """Return `count` strings from their bytes, or from the references to them."""
        width = kind.n_bytes
        with self._readable(place):
            if len(content) < count * width:
                raise DamagedError("its values are cut off")
            items = [content[k * width : (k + 1) * width] for k in range(count)]
            if kind.is_variable:
                if width != 8 + self._source.offset_bytes:
                    raise DamagedError("it refers to strings in an unknown way")
                if sum(number(item, 0, 4) for item in items) > most:
                    self.refuse(place, f"is longer than {most} bytes")
                items = [self._string(item) for item in items]
            elif count * width > most:
                self.refuse(place, f"is longer than {most} bytes")
        try:
            return tuple(_trimmed(item, kind).decode("utf-8") for item in items)
        except UnicodeDecodeError:
            self.refuse(place, "is no UTF-8 text")

    def _string(self, reference: bytes) -> bytes:
        """Return the string in the heap that 4 bytes of length, an address and an index refer to."""
        offset = self._source.offset_bytes
        length, index = number(reference, 0, 4), number(reference, 4 + offset, 4)
        return self._strings.item(self._source.offset(reference, 4), index, length) if length else b""

    def _column_range(self, columns: slice | None, shape: Shape, place: str) -> range | None:
        """Return the columns, entries of the last axis of `shape`; None for all of them."""
        if columns is None:
            return None
        n_columns = shape[-1] if shape else 0
        begin = 0 if columns.start is None else columns.start
        end = n_columns if columns.stop is None else columns.stop
        if columns.step not in (None, 1) or not 0 <= begin < end <= n_columns:
            raise self.error(f"{place} has columns 0 to {n_columns}; {begin}:{end} are not among them")
        return range(begin, end)

    @contextmanager
    def _readable(self, place: str) -> Iterator[None]:
        try:
            yield
        except self.error:
            raise
        except DAMAGE as failure:
            self.refuse(place, f"cannot be read, the file is damaged: {reason_of(failure)}")


def _trimmed(item: bytes, kind: Type) -> bytes:
    """Return a string without what pads it; one that ends at a null, without what is behind it."""
    return item.split(b"\0", 1)[0] if kind.padding == b"" else item.rstrip(kind.padding)


def _joined(group: Group, name: str) -> str:
    return f"{group.name.rstrip('/')}/{name}"


def _attribute(node: Group, name: str) -> str:
    return f"attribute '{name}' of {node.name}"
