"""Folders of pictures: which files there are and of what class, by folders or by a table (CSV), before any is opened.

Links are not followed: what they point to may be any other file of the reader's.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable, Iterator
from itertools import zip_longest
from pathlib import Path
from typing import NamedTuple

from probe._checks import InputError
from probe.datasets._stored import listed
from probe.safeh5 import open_regular, printable

__all__ = ["ENDINGS", "Listing", "Picture", "listing_of"]

ENDINGS = frozenset({".png", ".jpg", ".jpeg", ".gif", ".bmp", ".pgm", ".ppm"})
"""Of the names of files that are taken for pictures. What a picture is shows in its content."""

MAX_PICTURES = 1 << 20
MAX_CSV_BYTES = 128 << 20
MAX_CLASSES = 1 << 16
MAX_DIGITS = 18
SHOWN = 80  # letters of the name of a file in a message

PARTS = {
    "train": "train",
    "training": "train",
    "test": "test",
    "testing": "test",
    "val": "val",
    "valid": "val",
    "validation": "val",
}
"""Names of folders and tables that are no classes but parts of the data."""

JUNK = frozenset({"__MACOSX", "Thumbs.db", "desktop.ini"})
"""What computers leave beside pictures, as they do names that begin with a dot."""

COLUMNS = "two columns, the name of a file and its class, separated by a comma"


class Picture(NamedTuple):
    """A file, and the name of its class."""

    path: Path
    label: str


class Listing(NamedTuple):
    """The pictures of a folder: those to train on, and those to test on if they are apart."""

    train: list[Picture]
    test: list[Picture] | None
    class_names: tuple[str, ...]
    left_out: str  # the name of a part that is not used, or nothing


def listing_of(folder: Path) -> Listing:
    """Return what a folder of pictures lists.

    It has a folder for each class, or a CSV table; or it has folders or tables `train` and `test` (or `val`) of that kind.

    Raises
    ------
    InputError
        If it has neither, or something that is not meant to be there.
    OSError
        If something in it cannot be listed.
    """
    entries = _entries(folder)
    tables = [path for path in entries if _is_table(path)]
    parts = _parts(tables or [path for path in entries if path.is_dir()])
    place = parts.get("test", parts.get("val"))
    train = _pictures(parts.get("train", folder))
    test = None if place is None else _pictures(place)
    labels = {picture.label for picture in train}
    if len(labels) > MAX_CLASSES:
        raise InputError(f"at most {MAX_CLASSES} classes are read, got {len(labels)}")
    for picture in test or ():
        if picture.label not in labels:
            raise InputError(
                f"{_shown(picture.path, folder)} is of the class {_quoted(picture.label)}, which no picture to train on "
                f"has: they have {listed(sorted(labels), limit=4)}. Give the class the same name in both"
            )
    left_out = parts["val"].name if {"test", "val"} <= parts.keys() else ""
    return Listing(train, test, _in_order(labels, parts.get("train", folder)), left_out)


def _in_order(labels: set[str], place: Path) -> tuple[str, ...]:
    """Return the names of classes in the order in which other tools number them.

    Those that train on folders go by the letters of the names, so that '10' comes before '2'; tables of numbers have
    numbers.
    """
    is_table = _is_table(place) or any(map(_is_table, _entries(place)))
    if is_table and all(label.isdecimal() and len(label) < MAX_DIGITS for label in labels):
        return tuple(sorted(labels, key=lambda label: (int(label), label)))
    return tuple(sorted(labels))


def _parts(places: Iterable[Path]) -> dict[str, Path]:
    """Return which folders or tables are parts of the data, if one of them is `train`.

    A folder of pictures is no part: vehicles have a class called train.
    """
    parts: dict[str, Path] = {}
    for path in places:
        part = PARTS.get(path.name.lower().removesuffix(".csv"))
        if part is None or not (_is_table(path) or any(map(_is_listed, _entries(path)))):
            continue
        if part in parts:
            raise InputError(
                f"{_quoted(parts[part].name)} and {_quoted(path.name)} are the same part of the data; keep one"
            )
        parts[part] = path
    return parts if "train" in parts else {}


def _pictures(place: Path) -> list[Picture]:
    """Return the pictures that a place lists: in the order of its table; or by name, one of each class at a time.

    So the first pictures are of all classes.
    """
    if _is_table(place):
        return _counted(_in_table(place))
    entries = _entries(place)
    tables = [path for path in entries if _is_table(path)]
    if len(tables) > 1:
        raise InputError(
            f"{_quoted(place.name)} holds {len(tables)} tables, and which one is meant is not guessed; keep one, or call "
            "them train.csv and test.csv"
        )
    if tables:
        return _counted(_in_table(tables[0]))
    folders = [path for path in entries if path.is_dir()]
    pictures = [path.name for path in entries if _is_picture(path)]
    if not folders or pictures:
        found = f"the picture {_quoted(pictures[0])}" if pictures else listed([path.name for path in entries])
        raise InputError(
            f"{_quoted(place.name)} must hold a folder of pictures for each class, a CSV table of {COLUMNS}, or MNIST's "
            f"IDX files; found {found}"
        )
    by_turns = zip_longest(*(_counted(_in_class(folder)) for folder in folders))
    return _counted(picture for turn in by_turns for picture in turn if picture is not None)


def _in_class(folder: Path) -> Iterator[Picture]:
    entries = _entries(folder)
    if not entries:
        raise InputError(
            f"the folder of the class {_quoted(folder.name)} is empty; remove it, or put pictures in it"
        )
    for path in entries:
        if not _is_picture(path):
            kind = "a folder" if path.is_dir() else f"no picture ({', '.join(sorted(ENDINGS))})"
            raise InputError(
                f"the folder of the class {_quoted(folder.name)} must hold pictures only, but "
                f"{_quoted(path.name)} in it is {kind}; move it away"
            )
        yield Picture(path, folder.name)


def _in_table(table: Path) -> Iterator[Picture]:
    """Yield what the rows of a CSV table list; the first one may be a heading."""
    shown, folder = printable(table.name, SHOWN), table.parent
    whole, seen = folder.resolve(), set[str]()
    for number, row in enumerate(_rows(table), 1):
        if not row:
            continue
        if len(row) != 2:
            raise InputError(
                f"{shown} must have {COLUMNS}, but row {number} has {len(row)}: {printable(','.join(row), SHOWN)}"
            )
        name, label = (cell.strip() for cell in row)
        path = folder / name
        if number == 1 and not _is_picture(path):
            continue
        if name in seen:
            raise InputError(f"{shown} must list each file once, but {_quoted(name)} is there twice")
        seen.add(name)
        # A path that leads elsewhere, by itself or through a link.
        if not path.exists():
            raise InputError(
                f"{shown} lists {_quoted(name)} in row {number}, which is not in the folder of the table"
            )
        if path.resolve() != whole / os.path.normpath(name) or not path.resolve().is_relative_to(whole):
            raise InputError(
                f"{shown} must list files in its folder, but {_quoted(name)} in row {number} is a link or leads out of it"
            )
        yield Picture(path, label)
    if not seen:
        raise InputError(f"{shown} lists no pictures; it must have {COLUMNS}")


def _rows(table: Path) -> Iterator[list[str]]:
    shown = printable(table.name, SHOWN)
    with open_regular(table) as file:
        size = os.fstat(file.fileno()).st_size
        if size > MAX_CSV_BYTES:
            raise InputError(
                f"{shown} has {size} bytes, more than the {MAX_CSV_BYTES} of a table that are read"
            )
        try:
            text = file.read(MAX_CSV_BYTES).decode("utf-8-sig")
        except UnicodeDecodeError:
            raise InputError(f"{shown} must be text in UTF-8; save it so") from None
    try:
        yield from csv.reader(io.StringIO(text, newline=""), strict=True)
    except csv.Error as error:
        raise InputError(f"{shown} is no table that can be read: {error}") from None


def _entries(folder: Path) -> list[Path]:
    """Return what is in a folder, in the order of the names; what begins with a dot is not looked at."""
    entries = []
    with os.scandir(folder) as found:
        for entry in found:
            if entry.name.startswith(".") or entry.name in JUNK:
                continue
            if entry.is_symlink():
                raise InputError(
                    f"{_quoted(entry.name)} in {printable(folder.name, SHOWN)} is a link to another place, which is not "
                    "followed; copy the pictures themselves (cp -rL)"
                )
            entries.append(entry.name)
            if len(entries) > MAX_PICTURES:
                raise InputError(
                    f"at most {MAX_PICTURES} pictures are read; {printable(folder.name, SHOWN)} has more"
                )
    return [folder / name for name in sorted(entries)]


def _counted(pictures: Iterable[Picture]) -> list[Picture]:
    found = []
    for picture in pictures:
        found.append(picture)
        if len(found) > MAX_PICTURES:
            raise InputError(f"at most {MAX_PICTURES} pictures are read; store fewer")
    return found


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in ENDINGS and not path.is_dir()


def _is_listed(path: Path) -> bool:
    return path.is_dir() or _is_table(path)


def _is_table(path: Path) -> bool:
    return path.suffix.lower() == ".csv" and not path.is_dir()


def _shown(path: Path, folder: Path) -> str:
    return printable(path.relative_to(folder).as_posix(), SHOWN)


def _quoted(name: str) -> str:
    return f"'{printable(name, SHOWN)}'"
