"""What is derived from arrays, computed once and kept as long as they live, for all threads and whoever asks."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

import numpy as np
import numpy.typing as npt

__all__ = ["frozen", "kept", "kept_bytes"]

Value = TypeVar("Value")

_MOST_BYTES = 256 << 20
"""Bytes that all values together may take: MNIST's pixels five times. What was asked for first goes first."""


@dataclass(eq=False, slots=True)
class _Entry:
    lock: threading.Lock = field(default_factory=threading.Lock)
    values: list[Any] = field(default_factory=list)
    n_bytes: int = 0
    finalizers: list[weakref.finalize[..., Any]] = field(default_factory=list)


_ENTRIES: dict[Hashable, _Entry] = {}
_LOCK = threading.Lock()


def kept(arrays: tuple[npt.NDArray[Any], ...], key: Hashable, compute: Callable[[], Value]) -> Value:
    """Return `compute()`, or what it gave when it was asked for the same of the same arrays.

    Nothing is kept of arrays that can be written to. Who makes one read-only promises not to write to it by an older view
    either, nor to make it writable again. A value must not refer to the arrays, and says in `nbytes`
    what it takes; one without it takes next to nothing.

    Parameters
    ----------
    arrays : tuple of ndarray
        What the value depends on. Views of the same part of the same memory are the same array.
    key : hashable
        What is computed of them, with all else that it depends on.
    compute : callable
        Computes it. Threads that ask at the same time wait for the first.
    """
    owners = [_owner(array) for array in arrays]
    if any(owner.flags.writeable for owner in owners):
        return compute()
    places = [(a.__array_interface__["data"][0], a.dtype, a.shape, a.strides) for a in arrays]
    place = (key, *places)
    with _LOCK:
        entry = _ENTRIES.get(place)
        if entry is None:
            entry = _ENTRIES[place] = _Entry()
            for owner in owners:
                finalizer = weakref.finalize(owner, _drop, place)
                finalizer.atexit = False
                entry.finalizers.append(finalizer)
    with entry.lock:
        if not entry.values:
            value = compute()
            n_bytes = int(getattr(value, "nbytes", 0))
            if n_bytes > _MOST_BYTES:
                return value
            entry.values.append(value)
            entry.n_bytes = n_bytes
            _make_room()
        return cast(Value, entry.values[0])


def kept_bytes() -> int:
    """Return how many bytes are kept."""
    return sum(entry.n_bytes for entry in list(_ENTRIES.values()))


def frozen(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return `values`, to which nobody can write any more; for arrays that nobody else holds. Views are left alone."""
    if _owner(values) is values:
        values.flags.writeable = False
    return values


def _owner(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return the array whose memory this one is a part of."""
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array


def _make_room() -> None:
    with _LOCK:
        excess = kept_bytes() - _MOST_BYTES
        for place, entry in list(_ENTRIES.items()):
            if excess > 0 and entry.n_bytes:
                _drop(place)
                excess -= entry.n_bytes


def _drop(place: Hashable) -> None:
    """Keep nothing at a place; called from wherever one of its arrays goes, so without the lock."""
    entry = _ENTRIES.pop(place, None)
    for finalizer in entry.finalizers if entry else ():
        finalizer.detach()
