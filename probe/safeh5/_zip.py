"""Reading zip archives that may come from anybody. Nothing is extracted, and nothing is read on trust.

Stricter than `zipfile`: an archive that two programs could read differently is refused. Every count and size
is checked before anything is built or read for it.
"""

from __future__ import annotations

import os
import stat
import struct
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import BinaryIO

from probe.safeh5._filters import Bytes, read_stored, unpack, unpack_start
from probe.safeh5._source import DamagedError, open_regular
from probe.safeh5._text import printable

__all__ = ["Member", "ZipArchive", "ZipError", "open_zip"]

STORED, DEFLATED = 0, 8
NAME_BYTES = 1000
EXTRA_BYTES = 1024
DIRECTORY_BYTES = 1 << 20
START_BYTES = 1 << 16  # of packed bytes, to read the start of a member from

END = struct.Struct("<4s4H2IH")
END_MAGIC = b"PK\x05\x06"
END64 = struct.Struct("<4sQ2H2I4Q")
END64_MAGIC = b"PK\x06\x06"
LOCATOR64 = struct.Struct("<4sIQI")
LOCATOR64_MAGIC = b"PK\x06\x07"
ENTRY = struct.Struct("<4s6H3I5H2I")
ENTRY_MAGIC = b"PK\x01\x02"
LOCAL = struct.Struct("<4s5H3I2H")
LOCAL_MAGIC = b"PK\x03\x04"

ENCRYPTED = 1 << 0 | 1 << 6 | 1 << 13
PATCHED = 1 << 5
SIZES_FOLLOW = 1 << 3
UTF8 = 1 << 11
SATURATED16, SATURATED32 = 0xFFFF, 0xFFFFFFFF
SIZES64, OTHER_NAME = 0x0001, 0x7075  # kinds of extra fields


class ZipError(DamagedError):
    """A zip archive is damaged, or holds what is not read."""


@dataclass(frozen=True, slots=True)
class Member:
    """What the directory of an archive says of a member, checked against what stands before the member.

    Attributes
    ----------
    name : str
        As stored: printable, but it may be any path. It is a key, never a file's name.
    n_bytes, n_packed : int
        Sizes unpacked and packed.
    method : int
        0 for stored, 8 for deflated.
    crc : int
        CRC-32 of the content.
    offset, start : int
        Where the member and where its packed bytes begin in the file.
    """

    name: str
    n_bytes: int
    n_packed: int
    method: int
    crc: int
    offset: int
    start: int


class ZipArchive:
    """An open zip archive; `open_zip` makes it.

    Attributes
    ----------
    members : mapping of str to Member
        By name, in the order of the directory.
    """

    members: Mapping[str, Member]

    def __init__(self, file: BinaryIO, *, most_members: int = 1000) -> None:
        self._file = file
        n_members, offset, end = _directory(file, most_members)
        entries = _entries(_read_at(file, offset, end - offset), n_members)
        self.members = {entry.name: _located(file, entry, offset) for entry in entries}
        _check_apart(self.members.values())

    def start(self, name: str, n_bytes: int) -> bytes:
        """Return at most the first `n_bytes` of a member, without a check of the rest."""
        member = self.members[name]
        packed = _read_at(self._file, member.start, min(member.n_packed, max(n_bytes, START_BYTES)))
        if member.method == STORED:
            return packed[:n_bytes]
        with _named(member):
            return unpack_start(packed, n_bytes, "deflate")

    def read(self, name: str, most: int) -> Bytes:
        """Return the content of a member as an array of bytes.

        Raises
        ------
        ZipError
            If it has more than `most` bytes, is damaged, or does not have the size that the archive says.
        """
        member = self.members[name]
        with _named(member):
            if member.n_bytes > most:
                raise DamagedError(f"takes {member.n_bytes} bytes, more than the {most} that are read")
            self._file.seek(member.start)
            if member.method == STORED:
                content = read_stored(self._file, member.n_bytes)
            else:
                content = unpack(self._file, member.n_packed, member.n_bytes, "deflate")
            if zlib.crc32(content.data) != member.crc:
                raise DamagedError("is damaged: its checksum (CRC-32) is wrong")
        return content


@contextmanager
def open_zip(path: str | os.PathLike[str], *, most_members: int = 1000) -> Iterator[ZipArchive]:
    """Open a zip archive for reading.

    Parameters
    ----------
    path : path
        The archive, a regular file.
    most_members : int
        How many members it may have.

    Yields
    ------
    ZipArchive
        Open until the block ends. Nothing of it has been unpacked.

    Raises
    ------
    ZipError
        If it is damaged, has more than `most_members` members or one twice, or has encrypted, overlapping,
        linked or oddly compressed members. The message does not name the archive.
    OSError
        If the file cannot be opened.

    Examples
    --------
    >>> import tempfile, zipfile
    >>> with tempfile.NamedTemporaryFile(suffix=".zip") as file:
    ...     with zipfile.ZipFile(file, "w") as written:
    ...         written.writestr("a.txt", "some text")
    ...     with open_zip(file.name) as archive:
    ...         list(archive.members), archive.read("a.txt", most=1000).tobytes()
    (['a.txt'], b'some text')
    """
    with open_regular(path) as file:
        yield ZipArchive(file, most_members=most_members)


@contextmanager
def _named(member: Member) -> Iterator[None]:
    """Say of which member an error is."""
    try:
        yield
    except ZipError:
        raise
    except DamagedError as error:
        raise ZipError(f"{_shown(member.name)} {error}") from None


def _shown(name: str) -> str:
    return f"the member '{printable(name)}'"


def _read_at(file: BinaryIO, offset: int, n_bytes: int) -> bytes:
    file.seek(offset)
    content = file.read(n_bytes)
    if len(content) < n_bytes:
        raise ZipError("the archive is cut off")
    return content


def _directory(file: BinaryIO, most_members: int) -> tuple[int, int, int]:
    """Return the number of members, and where the directory begins and ends."""
    at, fields = _end(file)
    disk, directory_disk, n_here, n_members, n_bytes, offset = fields
    locator = _read_at(file, at - LOCATOR64.size, LOCATOR64.size) if at >= LOCATOR64.size else b""
    if locator.startswith(LOCATOR64_MAGIC):
        _, _, at64, n_disks = LOCATOR64.unpack(locator)
        if n_disks > 1 or at64 != at - LOCATOR64.size - END64.size:
            raise ZipError("the end of the archive (zip64) is damaged")
        magic, rest, _, _, *fields64 = END64.unpack(_read_at(file, at64, END64.size))
        agree = all(
            short in (long, saturated)
            for short, long, saturated in zip(
                fields, fields64, (*[SATURATED16] * 4, SATURATED32, SATURATED32), strict=True
            )
        )
        if magic != END64_MAGIC or rest != END64.size - 12 or not agree:
            raise ZipError("the end of the archive (zip64) is damaged")
        at, (disk, directory_disk, n_here, n_members, n_bytes, offset) = at64, fields64
    if disk or directory_disk or n_here != n_members:
        raise ZipError("the archive is one volume of several; join them first")
    if n_members > most_members:
        raise ZipError(f"the archive has {n_members} members, more than the {most_members} that are read")
    if n_bytes > DIRECTORY_BYTES:
        raise ZipError(
            f"the directory of the archive takes {n_bytes} bytes, more than the {DIRECTORY_BYTES} that are read"
        )
    if offset + n_bytes != at:
        raise ZipError("the directory of the archive is not where its end says")
    return n_members, offset, at


def _end(file: BinaryIO) -> tuple[int, list[int]]:
    """Return where the last record of the archive is, and its numbers."""
    size = file.seek(0, os.SEEK_END)
    first = max(size - END.size - SATURATED16, 0)
    tail = _read_at(file, first, size - first)
    at = tail.rfind(END_MAGIC)
    if 0 <= at <= len(tail) - END.size:
        _, *fields, n_comment = END.unpack_from(tail, at)
        # A comment may follow. One that holds the four letters again makes two archives of one file.
        if at + END.size + n_comment == len(tail):
            return first + at, fields
    raise ZipError("it is no zip archive, or is cut off: the end of the archive is missing")


def _entries(directory: bytes, n_members: int) -> Iterator[Member]:
    """Yield what the directory says; `start` is not known yet."""
    at, seen = 0, set()
    for _ in range(n_members):
        if at + ENTRY.size > len(directory) or directory[at : at + 4] != ENTRY_MAGIC:
            raise ZipError("the directory of the archive is damaged")
        (_, _, _, flags, method, _, _, crc, n_packed, n_bytes, n_name, n_extra, n_comment, disk, _, external,
         offset) = ENTRY.unpack_from(directory, at)  # fmt: skip
        at += ENTRY.size
        raw, extra = directory[at : at + n_name], directory[at + n_name : at + n_name + n_extra]
        at += n_name + n_extra + n_comment
        if at > len(directory):
            raise ZipError("the directory of the archive is damaged")
        name = _name(raw, flags)
        if name in seen:
            raise ZipError(f"{_shown(name)} is there twice")
        seen.add(name)
        fields = _extra_fields(name, extra)
        if OTHER_NAME in fields and fields[OTHER_NAME][5:] != name.encode():
            raise ZipError(f"{_shown(name)} has another name as well")
        n_bytes, n_packed, offset = _sizes64(name, fields, (n_bytes, n_packed, offset))
        _check_kind(name, flags, method, external >> 16)
        if disk:
            raise ZipError(f"{_shown(name)} is in another volume of the archive; join them first")
        if method == STORED and n_packed != n_bytes:
            raise ZipError(f"{_shown(name)} is stored as it is, but in {n_packed} bytes instead of {n_bytes}")
        yield Member(name, n_bytes, n_packed, method, crc, offset, start=0)
    if at != len(directory):
        raise ZipError("the directory of the archive is longer than its members")


def _name(raw: bytes, flags: int) -> str:
    if len(raw) > NAME_BYTES:
        raise ZipError(f"a member has a name of {len(raw)} bytes, more than the {NAME_BYTES} that are read")
    try:
        name = raw.decode("utf-8" if flags & UTF8 else "cp437")
    except UnicodeDecodeError:
        raise ZipError(f"a member has a name that is no UTF-8 text: {printable(raw)}") from None
    if not name or not name.isprintable():
        raise ZipError(f"a member has a name that is empty or cannot be printed: '{printable(name)}'")
    return name


def _check_kind(name: str, flags: int, method: int, mode: int) -> None:
    if flags & ENCRYPTED:
        raise ZipError(f"{_shown(name)} is encrypted; store it without a password")
    if flags & PATCHED:
        raise ZipError(f"{_shown(name)} is a patch of another file")
    if method not in (STORED, DEFLATED):
        raise ZipError(
            f"{_shown(name)} is compressed by method {method}; only stored and deflated members are read"
        )
    if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise ZipError(f"{_shown(name)} is a link, a pipe or a device")


def _extra_fields(name: str, extra: bytes) -> dict[int, bytes]:
    fields: dict[int, bytes] = {}
    at = 0
    while at < len(extra):
        kind, length = struct.unpack_from("<HH", extra, at) if at + 4 <= len(extra) else (0, len(extra))
        content = extra[at + 4 : at + 4 + length]
        if len(content) < length or kind in fields:
            raise ZipError(f"{_shown(name)} has damaged extra fields")
        fields[kind] = content
        at += 4 + length
    return fields


def _sizes64(name: str, fields: dict[int, bytes], sizes: tuple[int, ...]) -> list[int]:
    """Return the sizes, those too large for 32 bits from the extra field that holds them."""
    content = fields.get(SIZES64, b"")
    values, at = [], 0
    for size in sizes:
        if size == SATURATED32 and SIZES64 in fields:
            if at + 8 > len(content):
                raise ZipError(f"{_shown(name)} has damaged extra fields")
            size = struct.unpack_from("<Q", content, at)[0]
            at += 8
        values.append(size)
    return values


def _located(file: BinaryIO, entry: Member, end: int) -> Member:
    """Return the member with its start, after a comparison with what stands before its content."""
    name = _shown(entry.name)
    if entry.offset + LOCAL.size > end:
        raise ZipError(f"{name} would begin behind the end of the archive")
    magic, _, flags, method, _, _, crc, n_packed, n_bytes, n_name, n_extra = LOCAL.unpack(
        _read_at(file, entry.offset, LOCAL.size)
    )
    if magic != LOCAL_MAGIC:
        raise ZipError(f"{name} is not where the directory says")
    if n_extra > EXTRA_BYTES:
        raise ZipError(
            f"{name} has {n_extra} bytes of extra fields, more than the {EXTRA_BYTES} that are read"
        )
    rest = _read_at(file, entry.offset + LOCAL.size, n_name + n_extra)
    n_bytes, n_packed = _sizes64(entry.name, _extra_fields(entry.name, rest[n_name:]), (n_bytes, n_packed))
    same = n_name <= NAME_BYTES and _name(rest[:n_name], flags) == entry.name and method == entry.method
    if not flags & SIZES_FOLLOW:
        same = same and (crc, n_packed, n_bytes) == (entry.crc, entry.n_packed, entry.n_bytes)
    if not same or flags & ENCRYPTED:
        raise ZipError(f"{name} is described in two ways that do not agree")
    start = entry.offset + LOCAL.size + n_name + n_extra
    if start + entry.n_packed > end:
        raise ZipError(f"{name} would end behind the end of the archive")
    return replace(entry, start=start)


def _check_apart(members: Iterable[Member]) -> None:
    in_order = sorted(members, key=lambda member: member.offset)
    for before, after in pairwise(in_order):
        if after.offset < before.start + before.n_packed:
            raise ZipError(f"{_shown(after.name)} overlaps {_shown(before.name)}")
