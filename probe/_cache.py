"""What commands computed before, kept in a folder: a file for each value, named by all that it depends on.

A value of the same name is equal to the bit to one computed anew, so nothing that is found depends on the cache. The
name is a hash of what went in, of the sources of this package, and of the libraries and the processor's kernels that
compute: after any change to these, values are made anew. Files that cannot be read or written are no errors.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import os
import platform
import re
import stat
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np

from probe._checks import DataFileError, InputError
from probe._parallel import single_threaded_blas
from probe._version import __version__
from probe.datasets import Dataset, Split, StoredImages
from probe.storage import OwnedFolder, result_bytes, result_from_bytes

__all__ = ["MOST_BYTES", "Kept", "cache_folder", "cached", "caching", "digest", "kept", "kept_files"]

Value = TypeVar("Value")

MOST_BYTES = 1 << 29
"""Bytes of all files; beyond, those that were used longest ago are removed."""

_LARGEST = MOST_BYTES // 8
"""Bytes of one file."""

_HEAD = b"probe cache 1\n"
_NAME = re.compile(r"[a-z-]+-[0-9a-f]{64}\.kept")
_LEFT = re.compile(r"\.[a-z-]+-[0-9a-f]{64}\.kept\.[0-9a-f]+\.part")

_ABANDONED = 3600
"""Seconds after which a file that was not written to its end never will be."""

_folder: Path | None = None


def cache_folder() -> Path | None:
    """Return the folder that commands keep values in; None where PROBE_CACHE is "off", or nobody is at home.

    It is PROBE_CACHE, or else "probe" in the user's folder for caches, which XDG_CACHE_HOME names on every system.
    """
    named = os.environ.get("PROBE_CACHE", "")
    if named:
        return None if named.lower() == "off" else Path(named).absolute()
    shared = Path(os.environ.get("XDG_CACHE_HOME", ""))
    if shared.is_absolute():
        return shared / "probe"
    try:
        home = Path.home()
    except RuntimeError:
        return None
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local", "probe", "Cache")
    return home / ("Library/Caches" if sys.platform == "darwin" else ".cache") / "probe"


@contextmanager
def caching(folder: Path | None) -> Iterator[None]:
    """Keep values in a folder while the block runs, in all threads; None for none."""
    global _folder
    before, _folder = _folder, folder
    try:
        yield
    finally:
        _folder = before


def cached() -> bool:
    """Return whether values are kept now."""
    return _folder is not None


def kept(kind: type[Value], name: str, make: Callable[[], Value], *depends: object) -> Value:
    """Return what `make` makes of `depends`, or made of them before.

    Parameters
    ----------
    kind : type
        The dataclass that `make` returns; see `probe.save_result` for what it may hold.
    name : str
        What it is, in lower case.
    make : callable
        Called without arguments where there is no such value yet, with one thread of BLAS: the last digits depend on
        their number.
    *depends
        All that the value depends on, as `digest` takes it.
    """
    place = Kept(kind, name, *depends)
    found = place.load()
    if found is not None:
        return found
    with single_threaded_blas():
        return place.save(make())


class Kept(Generic[Value]):
    """The place of one value; where nothing is cached it is always empty.

    Its `key` names all that the value depends on; "" where nothing is cached.
    """

    def __init__(self, kind: type[Value], name: str, *depends: object) -> None:
        self._kind, self._folder, self.key = kind, _folder, ""
        if _folder is not None:
            try:
                self.key = digest(name, _surroundings(), *depends)
            except TypeError:  # something that nobody thought of, such as a layer with a function in it
                self._folder = None
        self._name = f"{name}-{self.key}.kept"

    def load(self) -> Value | None:
        """Return the value; None if there is none, or no whole one."""
        if self._folder is None:
            return None
        try:
            content = OwnedFolder(self._folder).read(self._name, _LARGEST)
            head = self._head(content[len(_HEAD) + 128 :])
            if not content.startswith(head):
                return None
            value = result_from_bytes(content[len(head) :], self._kind, self._name)
        except (OSError, DataFileError):
            return None
        with suppress(OSError):  # it was used now
            os.utime(self._folder / self._name)
        return value

    def save(self, value: Value) -> Value:
        """Keep the value if that is possible, and return it."""
        if self._folder is not None:
            content = result_bytes(value)
            if len(content) <= _LARGEST:
                with suppress(InputError):
                    OwnedFolder(self._folder).write(self._name, self._head(content) + content)
                _bound(self._folder)
        return value

    def _head(self, content: bytes) -> bytes:
        return _HEAD + self.key.encode() + hashlib.sha256(content).hexdigest().encode()


def kept_files(folder: Path) -> list[tuple[Path, os.stat_result]]:
    """Return the files of a cache and what is known of them, those used longest ago first; no others that are there."""
    found = []
    with suppress(OSError):
        for path in folder.iterdir():
            with suppress(OSError):
                status = path.lstat()
                if stat.S_ISREG(status.st_mode) and (
                    _NAME.fullmatch(path.name)
                    or (_LEFT.fullmatch(path.name) and time.time() - status.st_mtime > _ABANDONED)
                ):
                    found.append((path, status))
    return sorted(found, key=lambda each: each[1].st_mtime_ns)


def _bound(folder: Path) -> None:
    """Remove files until the rest are few enough bytes."""
    files = kept_files(folder)
    size = sum(status.st_size for _, status in files)
    for path, status in files:
        is_left = path.name.startswith(".")
        if size > MOST_BYTES or is_left:
            with suppress(OSError):
                path.unlink()
            size -= status.st_size


def digest(*values: object) -> str:
    """Return a hash of values: numbers, texts, arrays, data sets, generators, dataclasses, and sequences of these."""
    into = hashlib.sha256()
    _add(into, values)
    return into.hexdigest()


def _add(into: Any, value: object) -> None:
    if value is None or isinstance(value, (bool, int, float, str, np.generic)):
        text = f"{type(value).__name__} {value!r}"
        into.update(f"{len(text)} {text}\n".encode(errors="surrogatepass"))
    elif isinstance(value, np.ndarray) and value.dtype.kind not in "OMmV":
        into.update(f"array {value.dtype.str} {value.shape}\n".encode())
        into.update(np.ascontiguousarray(value).data)
    elif isinstance(value, Dataset):
        # Images in a file are shuffled a buffer at a time, and give other networks.
        in_file = value.images.bytes_each if isinstance(value.images, StoredImages) else 0
        _add(into, (value.fingerprint, value.class_names, in_file))
    elif isinstance(value, Split):
        _add(into, (value.train, value.test))
    elif isinstance(value, np.random.Generator):
        seed: Any = value.bit_generator.seed_seq  # what it spawns depends on it
        _add(into, (value.bit_generator.state, seed.state))
    elif isinstance(value, Mapping):
        _add(into, tuple(value.items()))
    elif isinstance(value, (tuple, list)):
        into.update(f"{len(value)} values\n".encode())
        for each in value:
            _add(into, each)
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        _add(into, type(value).__qualname__)
        _add(into, tuple(getattr(value, field.name) for field in dataclasses.fields(value)))
    else:
        raise TypeError(f"nothing can be kept that depends on a {type(value).__name__}")


@functools.cache
def _surroundings() -> str:
    """Return a hash of what computes: this package's sources, libraries, and the kernels of this processor."""
    import scipy.linalg  # noqa: F401  # its BLAS counts in every command, whether it is loaded by now or not
    from threadpoolctl import threadpool_info

    root = Path(__file__).parent
    sources = [
        (path.relative_to(root).as_posix(), hashlib.sha256(path.read_bytes()).hexdigest())
        for path in sorted(root.rglob("*.py"))
    ]
    blas = sorted(
        str([pool.get(key) for key in ("internal_api", "version", "architecture")])
        for pool in threadpool_info()
        if pool["user_api"] == "blas"
    )
    versions = []
    for package in ("numpy", "scipy", "scikit-learn"):
        with suppress(PackageNotFoundError):
            versions.append(version(package))
    return digest(
        sources, __version__, blas, versions, sys.version, platform.machine(), _processor_features()
    )


def _processor_features() -> str:
    """Return which instructions NumPy uses here: its functions differ in their last digit between them."""
    core: Any = getattr(np, "_core", None) or np.core
    return str(sorted(name for name, has in core._multiarray_umath.__cpu_features__.items() if has))
