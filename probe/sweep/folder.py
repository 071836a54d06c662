"""The folder of a sweep: its configuration, one file for each finished trial, and their checksums.

- `sweep.json`: the configuration, its SHA-256, the version of probe that began the sweep, and its extent: how
  many trials were asked for, which may grow.
- `trials/<name>.h5`: the result of one trial, as `save_result` writes it.
- `trials.jsonl`: one line ``{"name": ..., "sha256": ...}`` for each trial file, only ever appended to.
- `.lock`: held by the process that writes here. The system lets go of it when that process ends.

A trial is finished when its file has the checksum of its last line. The line is on disk before the file
gets its name, so a writer that is killed leaves a line without a file, which says nothing, or both. A
file that does not fit its line was damaged afterward, and its trial runs again; so does one that is a link or a pipe.

The folder may come from somebody else. No link in it is followed (see `OwnedFolder`), and no line or manifest is believed
beyond its size and form.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar

from probe._checks import InputError, check_folder, check_integer
from probe._text import json_default
from probe._version import __version__
from probe.safeh5 import printable
from probe.storage import OwnedFolder, result_bytes, result_from_bytes

__all__ = ["SweepFolder", "check_counts", "check_name", "locked"]

Result = TypeVar("Result")

GO_ON = "Running the same command again goes on from the trials that are finished"
"""What every error says that ends a sweep from outside."""

_LAYOUT = 1
"""Version of the layout that this module describes; any other is refused."""

_ABSENT: Any = object()
"""In place of a value that a configuration does not have."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._=+-]{0,99}")

MANIFEST = "sweep.json"
"""The file that makes a folder a sweep."""

_LINES, _TRIALS, _LOCK = "trials.jsonl", "trials", ".lock"

_MOST_MANIFEST, _MOST_LINES, _LINE = 1 << 22, 1 << 26, 1000
"""Most bytes of a manifest, of all lines and of one line; what is longer was not written here."""

_DEPTH = 32
"""Most levels of a configuration."""

_DIFFERENCES = 8
"""Differences between two configurations that are listed."""

KIND = "experiment"
"""Entry of a configuration that says, in a few words, what kind of study it is of."""


def check_counts(extent: Mapping[str, int] | None) -> None:
    """Raise unless each entry of an extent is a number of trials, networks or the like."""
    for name, count in (extent or {}).items():
        check_integer(f"extent[{name!r}]", count, minimum=0)


@contextmanager
def locked(folder: OwnedFolder) -> Iterator[None]:
    """Hold `folder`, which is created if need be, against every other process that runs a sweep in it.

    Raises
    ------
    InputError
        If another process holds it, or it cannot be written to.
    """
    from filelock import FileLock, Timeout

    check_folder("out", folder.path)
    folder.create()
    # Taking the lock empties the file, also one that is called otherwise elsewhere.
    folder.check(_LOCK, "file")
    if folder.kind(_LOCK) == "file":
        folder.own(_LOCK)
    lock = FileLock(folder.path / _LOCK, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise InputError(
            f"out {folder.path} is in use by another process that runs a sweep in it. "
            "Wait until it has ended, or pass another --out"
        ) from None
    except OSError as error:
        raise InputError(
            f"out {folder.path} cannot be written to: {error.strerror or error}. Pass another --out"
        ) from None
    try:
        yield
    finally:
        lock.release()


class SweepFolder(Generic[Result]):
    """Trials on disk, for the process that holds the lock; its threads may share one object.

    Parameters
    ----------
    folder : OwnedFolder
        A folder that was created.
    configuration : mapping
        All that the trials follow from, as values that JSON holds.
    kind : type
        The dataclass of the results.
    extent : mapping, optional
        Numbers that say how many trials there are; they may be larger than before, and are kept then.

    Raises
    ------
    InputError
        If the folder holds a sweep of another configuration or of a larger extent, or one that cannot be
        read, or it cannot be written to, or links lead out of it.
    """

    def __init__(
        self,
        folder: OwnedFolder,
        configuration: Mapping[str, object],
        kind: type[Result],
        extent: Mapping[str, int] | None = None,
    ) -> None:
        self._folder, self._kind = folder, kind
        self._lock = threading.Lock()
        self._open(_plain(configuration), dict(extent or {}))
        # Nobody else can be writing while the lock is held.
        folder.remove_leftovers(_TRIALS)
        self._checksums = self._read_checksums()

    def state(self, name: str) -> Literal["finished", "missing", "damaged"]:
        """Return whether the file of a trial is there and is what was written."""
        try:
            with self._folder.open(_trial(name)) as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
        except FileNotFoundError:
            return "missing"
        except OSError:
            return "damaged"
        return "finished" if digest == self._checksums.get(name) else "damaged"

    def load(self, name: str) -> Result:
        """Return the result of a trial that is finished.

        Raises
        ------
        InputError
            If the file holds something else than it should, as another version of probe may have written.
        """
        path = self._folder.path / _trial(name)
        try:
            # What is open is read: another file could get the name meanwhile.
            content = self._folder.read(_trial(name))
        except OSError:
            raise InputError(f"{path} was removed while the study ran. {GO_ON}") from None
        try:
            return result_from_bytes(content, self._kind, printable(path, 200))
        except InputError as error:
            raise InputError(f"{error}; as its checksum holds, pass another --out") from None

    def keep(self, name: str, result: Result) -> Result:
        """Write the result of a trial, and return it as it can be read again.

        Raises
        ------
        InputError
            If `result` is not of the kind of this sweep, or cannot be written.
        """
        if not isinstance(result, self._kind):
            raise InputError(f"trial '{name}' must give a {self._kind.__name__}, got {type(result).__name__}")
        # In memory first: HDF5 itself never meets a full disk, and the checksum is of what was meant.
        content = result_bytes(result)
        try:
            self._append(name, hashlib.sha256(content).hexdigest())
            self._folder.write(_trial(name), content)
        except InputError as error:
            raise InputError(f"{error}. {GO_ON}") from None
        return self.load(name)

    def check_there(self) -> None:
        """Raise if the folder or its manifest is gone, as after somebody emptied it: what was kept is lost then."""
        if self._folder.kind(MANIFEST) != "file":
            raise InputError(
                f"out {self._folder.path} was emptied or removed while the study ran in it, and what it held is lost. "
                "Run the command again"
            )

    def _open(self, configuration: dict[str, Any], extent: dict[str, int]) -> None:
        folder = self._folder
        folder.check(MANIFEST, "file")
        folder.check(_LINES, "file")
        folder.check(_TRIALS, "folder")
        if folder.kind(MANIFEST) is not None:
            before = _read_manifest(folder)
            _check_same(folder.path, before.configuration, configuration)
            _check_extent(folder.path, before.extent, extent)
            if before.extent != {**before.extent, **extent}:
                grown = _Manifest(configuration, {**before.extent, **extent}, before.version)
                folder.write_text(MANIFEST, grown.text())
        elif folder.kind(_LINES) is not None or folder.kind(_TRIALS) is not None:
            raise InputError(
                f"out {folder.path} holds trials, but no sweep.json that says of what. Pass another --out"
            )
        else:
            folder.write_text(MANIFEST, _Manifest(configuration, extent, __version__).text())
        if folder.kind(_LINES) is None:
            folder.write(_LINES, b"")
        folder.own(_LINES)

    def _read_checksums(self) -> dict[str, str]:
        checksums = {}
        try:
            content = self._folder.read(_LINES, _MOST_LINES)
        except OSError as error:
            raise InputError(
                f"{self._folder.path / _LINES} cannot be read: {error.strerror}. Pass another --out"
            ) from None
        for line in content.splitlines():
            # A line that a killed writer or a full disk cut off is no line, nor is one that was never written here.
            with suppress(ValueError, KeyError, TypeError, RecursionError):
                entry = json.loads(line) if len(line) <= _LINE else {}
                name, checksum = entry["name"], entry["sha256"]
                if isinstance(name, str) and isinstance(checksum, str):
                    checksums[name] = checksum
        return checksums

    def _append(self, name: str, checksum: str) -> None:
        line = json.dumps({"name": name, "sha256": checksum}).encode() + b"\n"
        with self._lock:
            self._folder.append(_LINES, line)
            self._checksums[name] = checksum


def _trial(name: str) -> str:
    return f"{_TRIALS}/{name}.h5"


def check_name(name: str) -> None:
    """Raise unless `name` can name a trial: it becomes the name of a file."""
    if not _NAME.fullmatch(name):
        raise InputError(
            "names of trials must be 1 to 100 letters, digits and . _ = + -, the first a letter or digit; "
            f"got {name!r}"
        )


def _plain(configuration: Mapping[str, object]) -> dict[str, Any]:
    """Return `configuration` as it comes out of JSON, so that what was stored compares equal to it."""
    try:
        read: dict[str, Any] = json.loads(json.dumps(dict(configuration), default=json_default))
    except (TypeError, ValueError) as error:
        raise InputError(f"configuration must hold values that JSON holds: {error}") from None
    return read


def _canonical(value: object) -> str:
    # As text, in which NaN equals NaN, 1 is not 1.0 and True is not 1.
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def _fingerprint(configuration: Mapping[str, Any]) -> str:
    return hashlib.sha256(_canonical(configuration).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class _Manifest:
    """What is in a `sweep.json`; `version` is that of the probe that began the sweep."""

    configuration: dict[str, Any]
    extent: dict[str, int]
    version: str

    def text(self) -> str:
        entries = {
            "layout": _LAYOUT,
            "probe": self.version,
            "fingerprint": _fingerprint(self.configuration),
            "configuration": self.configuration,
            "extent": self.extent,
        }
        return json.dumps(entries, indent=2) + "\n"


def _read_manifest(folder: OwnedFolder) -> _Manifest:
    path = folder.path / MANIFEST
    try:
        manifest = json.loads(folder.read(MANIFEST, _MOST_MANIFEST))
        layout, configuration = manifest["layout"], manifest["configuration"]
        extent, version = manifest.get("extent", {}), str(manifest["probe"])
        intact = isinstance(configuration, dict) and not _is_deep(manifest)
        intact = intact and manifest["fingerprint"] == _fingerprint(configuration)
        intact = intact and all(type(number) is int for number in extent.values())
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        intact = False
    if not intact:
        raise InputError(f"{path} is damaged: no configuration with its fingerprint. Pass another --out")
    if layout != _LAYOUT:
        raise InputError(
            f"{path} has layout {printable(layout, 20)}, expected {_LAYOUT}; "
            "go on with the version of probe that wrote it, or pass another --out"
        )
    return _Manifest(configuration, extent, version)


def _is_deep(value: object) -> bool:
    """Return whether lists and mappings of `value` go deeper than any that is written here."""
    level = [value]
    for _ in range(_DEPTH):
        outer = [item for item in level if isinstance(item, dict | list)]
        level = [inner for item in outer for inner in (item.values() if isinstance(item, dict) else item)]
    return bool(level)


def _check_same(folder: Path, was: dict[str, Any], now: dict[str, Any]) -> None:
    kinds = was.get(KIND), now.get(KIND)
    if None not in kinds and kinds[0] != kinds[1]:
        # Of two kinds of study every setting differs: a list of them would say less.
        raise InputError(
            f"out {folder} holds another kind of study: {printable(kinds[0])}, not {kinds[1]}. Pass another --out"
        )
    differences = list(_differences(was, now, ""))
    if len(differences) > _DIFFERENCES:
        differences[_DIFFERENCES:] = [f"and {len(differences) - _DIFFERENCES} more"]
    if differences:
        raise InputError(
            f"out {folder} holds a sweep of another configuration: {'; '.join(differences)}. "
            "Pass another --out, or the same settings as before to go on"
        )


def _check_extent(folder: Path, was: Mapping[str, int], now: Mapping[str, int]) -> None:
    for name, number in now.items():
        if number < was.get(name, 0):
            raise InputError(
                f"{name} must be at least {was[name]} in {folder}, which holds a study of so many and can only grow; "
                f"got {number}. Pass another --out for fewer"
            )


def _differences(was: dict[str, Any], now: dict[str, Any], prefix: str) -> Iterator[str]:
    """Say which entries differ, those in mappings as "outer.inner"."""
    for key in {**was, **now}:
        old, new = was.get(key, _ABSENT), now.get(key, _ABSENT)
        if isinstance(old, dict) and isinstance(new, dict):
            yield from _differences(old, new, f"{prefix}{key}.")
        elif (old is _ABSENT) != (new is _ABSENT) or _canonical(old) != _canonical(new):
            yield f"{printable(prefix + key)} was {_shown(old)}, now {_shown(new)}"


def _shown(value: object) -> str:
    if value is _ABSENT:
        return "not set"
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
