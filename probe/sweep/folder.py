"""The folder of a sweep: its configuration, one file for each finished trial, and their checksums.

- `sweep.json`: the configuration, its SHA-256, the version of probe that began the sweep, and its extent: how
  many trials were asked for, which may grow.
- `trials/<name>.h5`: the result of one trial, as `save_result` writes it.
- `trials.jsonl`: one line ``{"name": ..., "sha256": ...}`` for each trial file, only ever appended to.
- `.lock`: held by the process that writes here. The system lets go of it when that process ends.

A trial is finished when its file has the checksum of its last line. The line is on disk before the file
gets its name, so a writer that is killed leaves a line without a file, which says nothing, or both. A
file that does not fit its line was damaged afterwards, and its trial runs again.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar

import numpy as np

from probe._checks import InputError, check_folder, check_integer
from probe._signatures import checked
from probe._version import __version__
from probe.storage import load_result, result_bytes, write_bytes, write_text

__all__ = ["SweepFolder", "check_counts", "check_name", "check_sweep", "locked"]

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

KIND = "experiment"
"""Entry of a configuration that says, in a few words, what kind of study it is of."""


@checked
def check_sweep(
    folder: Path, configuration: Mapping[str, object], extent: Mapping[str, int] | None = None
) -> None:
    """Raise if `folder` holds a sweep that these settings could not go on with. Writes nothing.

    Parameters
    ----------
    folder : path
        Where a sweep may be kept.
    configuration : mapping
        Settings that are known already, some of those that `run_sweep` will get; the others are not compared.
    extent : mapping, optional
        As for `run_sweep`.

    Raises
    ------
    InputError
        If it holds a sweep of another configuration or of a larger extent, or one that cannot be read.
    """
    path = folder / MANIFEST
    check_counts(extent)
    if path.exists():
        manifest = _read_manifest(path)
        known = _plain(configuration)
        was = {key: value for key, value in manifest.configuration.items() if key in known}
        _check_same(folder, was, known)
        _check_extent(folder, manifest.extent, extent or {})


def check_counts(extent: Mapping[str, int] | None) -> None:
    """Raise unless each entry of an extent is a number of trials, networks or the like."""
    for name, count in (extent or {}).items():
        check_integer(f"extent[{name!r}]", count, minimum=0)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold `folder`, which is created if need be, against every other process that runs a sweep in it.

    Raises
    ------
    InputError
        If another process holds it, or it cannot be written to.
    """
    from filelock import FileLock, Timeout

    check_folder("out", folder)
    lock = FileLock(folder / ".lock", timeout=0)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout:
        raise InputError(
            f"out {folder} is in use by another process that runs a sweep in it. "
            "Wait until it has ended, or pass another --out"
        ) from None
    except OSError as error:
        raise InputError(
            f"out {folder} cannot be written to: {error.strerror or error}. Pass another --out"
        ) from None
    try:
        yield
    finally:
        lock.release()


class SweepFolder(Generic[Result]):
    """Trials on disk, for the process that holds the lock; its threads may share one object.

    Parameters
    ----------
    folder : path
        An existing folder.
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
        read, or it cannot be written to.
    """

    def __init__(
        self,
        folder: Path,
        configuration: Mapping[str, object],
        kind: type[Result],
        extent: Mapping[str, int] | None = None,
    ) -> None:
        self._folder, self._kind = folder, kind
        self._lock = threading.Lock()
        self._open(_plain(configuration), dict(extent or {}))
        self._remove_leftovers()
        self._checksums = self._read_checksums()

    def state(self, name: str) -> Literal["finished", "missing", "damaged"]:
        """Return whether the file of a trial is there and is what was written."""
        try:
            with self._trial(name).open("rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
        except FileNotFoundError:
            return "missing"
        except OSError:
            return "damaged"
        return "finished" if found == self._checksums.get(name) else "damaged"

    def load(self, name: str) -> Result:
        """Return the result of a trial that is finished.

        Raises
        ------
        InputError
            If the file holds something else than it should, as another version of probe may have written.
        """
        try:
            return load_result(self._trial(name), self._kind)
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
            write_bytes(self._trial(name), content)
        except InputError as error:
            raise InputError(f"{error}. {GO_ON}") from None
        return self.load(name)

    @property
    def _manifest(self) -> Path:
        return self._folder / MANIFEST

    @property
    def _lines(self) -> Path:
        return self._folder / "trials.jsonl"

    def _trial(self, name: str) -> Path:
        return self._folder / "trials" / f"{name}.h5"

    def _open(self, configuration: dict[str, Any], extent: dict[str, int]) -> None:
        if self._manifest.exists():
            found = _read_manifest(self._manifest)
            _check_same(self._folder, found.configuration, configuration)
            _check_extent(self._folder, found.extent, extent)
            if found.extent != {**found.extent, **extent}:
                grown = _Manifest(configuration, {**found.extent, **extent}, found.version)
                write_text(self._manifest, grown.text())
        elif self._lines.exists() or (self._folder / "trials").exists():
            raise InputError(
                f"out {self._folder} holds trials, but no sweep.json that says of what. Pass another --out"
            )
        else:
            write_text(self._manifest, _Manifest(configuration, extent, __version__).text())
        if not self._lines.exists():
            write_bytes(self._lines, b"")

    def _remove_leftovers(self) -> None:
        """Remove what killed writers left; nobody else can be writing while the lock is held."""
        for folder in (self._folder, self._folder / "trials"):
            for part in folder.glob(".*.part"):
                with suppress(OSError):
                    part.unlink()

    def _read_checksums(self) -> dict[str, str]:
        checksums = {}
        for line in self._lines.read_bytes().splitlines():
            # A line that a killed writer or a full disk cut off is no line.
            with suppress(ValueError, KeyError, TypeError):
                entry = json.loads(line)
                checksums[str(entry["name"])] = str(entry["sha256"])
        return checksums

    def _append(self, name: str, checksum: str) -> None:
        line = json.dumps({"name": name, "sha256": checksum}).encode() + b"\n"
        try:
            with self._lock, self._lines.open("a+b") as file:
                if file.tell() > 0:
                    file.seek(-1, 2)
                    # A line that was cut off must not swallow this one.
                    line = line if file.read(1) == b"\n" else b"\n" + line
                file.write(line)
                file.flush()
                os.fsync(file.fileno())
                self._checksums[name] = checksum
        except OSError as error:
            raise InputError(f"{self._lines} cannot be written: {error.strerror or error}") from None


def check_name(name: str) -> None:
    """Raise unless `name` can name a trial: it becomes the name of a file."""
    if not _NAME.fullmatch(name):
        raise InputError(
            "names of trials must be 1 to 100 letters, digits and . _ = + -, the first a letter or digit; "
            f"got {name!r}"
        )


def _plain(configuration: Mapping[str, object]) -> dict[str, Any]:
    """Return `configuration` as it comes out of JSON, so that what was stored compares equal to it."""

    def value_of(value: object) -> object:
        if isinstance(value, Mapping):
            return dict(value)
        if isinstance(value, np.generic):
            return value.item()
        raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")

    try:
        plain: dict[str, Any] = json.loads(json.dumps(dict(configuration), default=value_of))
    except (TypeError, ValueError) as error:
        raise InputError(f"configuration must hold values that JSON holds: {error}") from None
    return plain


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


def _read_manifest(path: Path) -> _Manifest:
    try:
        manifest = json.loads(path.read_bytes())
        layout, configuration = manifest["layout"], manifest["configuration"]
        extent, version = manifest.get("extent", {}), str(manifest["probe"])
        intact = isinstance(configuration, dict) and manifest["fingerprint"] == _fingerprint(configuration)
        intact = intact and all(type(number) is int for number in extent.values())
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        intact = False
    if not intact:
        raise InputError(f"{path} is damaged: no configuration with its fingerprint. Pass another --out")
    if layout != _LAYOUT:
        raise InputError(
            f"{path} has layout {layout!r}, expected {_LAYOUT}; "
            "go on with the version of probe that wrote it, or pass another --out"
        )
    return _Manifest(configuration, extent, version)


def _check_same(folder: Path, was: dict[str, Any], now: dict[str, Any]) -> None:
    kinds = was.get(KIND), now.get(KIND)
    if None not in kinds and kinds[0] != kinds[1]:
        # Of two kinds of study every setting differs: a list of them would say less.
        raise InputError(
            f"out {folder} holds another kind of study: {kinds[0]}, not {kinds[1]}. Pass another --out"
        )
    differences = list(_differences(was, now, ""))
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
            yield f"{prefix}{key} was {_shown(old)}, now {_shown(new)}"


def _shown(value: object) -> str:
    if value is _ABSENT:
        return "not set"
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
