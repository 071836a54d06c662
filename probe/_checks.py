"""Checks of what callers pass in, and the one place for the wording of errors.

Every message says which argument, what rule it broke, what came, and what to do instead.
Bad input is refused, never repaired: nothing here resizes, clips or converts values.
"""

from __future__ import annotations

import math
import operator
import os
import re
import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Hashable, Iterable, Iterator
from contextlib import suppress
from difflib import get_close_matches
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from probe._errors import (
    DataFileError,
    DivergedError,
    InputError,
    ModelFileError,
    ModelFileWarning,
    ProbeWarning,
)

__all__ = [
    "Array",
    "DataFileError",
    "DivergedError",
    "InputError",
    "ModelFileError",
    "ModelFileWarning",
    "ProbeWarning",
    "brief",
    "check_choice",
    "check_class_names",
    "check_finite",
    "check_floats",
    "check_folder",
    "check_images",
    "check_indices",
    "check_input_shape",
    "check_integer",
    "check_labels",
    "check_number",
    "check_once",
    "check_rng",
    "check_shape",
    "check_sizes",
    "chunks",
    "frozen_copy",
    "generator",
    "is_path_like",
    "kept_seed",
    "readonly",
    "warn",
]

Array = npt.NDArray[np.floating]
IntArray = npt.NDArray[np.int64]
Scalar = TypeVar("Scalar", bound=np.generic)

MAX_NAME_LENGTH = 256  # the longest name of ImageNet's classes has 131 letters
TAG = re.compile(r"<[A-Za-z/!?]")


def warn(text: str) -> None:
    """Warn at the line that called into this package."""
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and str(frame.f_globals.get("__name__", "")).startswith("probe."):
        frame, level = frame.f_back, level + 1
    warnings.warn(text, ProbeWarning, stacklevel=level)


def brief(value: object, limit: int = 200) -> str:
    """Return the repr of `value` for a message, at most `limit` characters of it."""
    try:
        shown = repr(value)
    except Exception:  # a repr is anybody's code
        shown = f"a {type(value).__name__}"
    return shown if len(shown) <= limit else shown[: limit - 3] + "..."


def check_integer(name: str, value: object, *, minimum: int, maximum: int | None = None) -> int:
    """Return `value` as an int, or raise if it is no integer in [minimum, maximum]."""
    rule = (
        f"an integer of at least {minimum}" if maximum is None else f"an integer from {minimum} to {maximum}"
    )
    try:
        if isinstance(value, (bool, np.bool_, np.ndarray)):
            raise TypeError
        number = operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        raise InputError(f"{name} must be {rule}, got {brief(value)}") from None
    if number < minimum or (maximum is not None and number > maximum):
        raise InputError(f"{name} must be {rule}, got {brief(number)}")
    return number


def check_number(
    name: str,
    value: object,
    *,
    above: float | None = None,
    below: float | None = None,
    minimum: float | None = None,
    maximum: float | None = None,
) -> float:
    """Return `value` as a finite float within the bounds (`above` and `below` are exclusive), or raise."""
    bounds = (("above", above), ("below", below), ("at least", minimum), ("at most", maximum))
    limits = " and ".join(f"{words} {bound:g}" for words, bound in bounds if bound is not None)
    rule = f"a finite number {limits}".strip()
    try:
        # An array of one value would do with a warning, and a complex number lose its imaginary part with one.
        if isinstance(value, (bool, np.bool_, str, bytes, np.ndarray, np.complexfloating)):
            raise TypeError
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        raise InputError(f"{name} must be {rule}, got {brief(value)}") from None
    inside = (
        math.isfinite(number)
        and (above is None or number > above)
        and (below is None or number < below)
        and (minimum is None or number >= minimum)
        and (maximum is None or number <= maximum)
    )
    if not inside:
        raise InputError(f"{name} must be {rule}, got {number:g}")
    return number


def check_choice(name: str, value: object, choices: Iterable[str]) -> str:
    """Return `value` if it is one of `choices`, or raise and list them (with the nearest one)."""
    names = list(choices)
    if isinstance(value, str) and value in names:
        return value
    near = get_close_matches(value[:200], names, n=1) if isinstance(value, str) else ()
    hint = f" (did you mean {near[0]!r}?)" if near else ""
    raise InputError(f"{name} must be one of {', '.join(names)}; got {brief(value)}{hint}")


def check_class_names(name: str, names: object) -> tuple[str, ...]:
    """Return `names`, or raise unless they are a tuple of distinct strings that can be shown on any page.

    Names with control characters, terminal escapes, lone surrogates, or characters that are invisible or turn
    the direction of the text are refused, and so are names with HTML tags and names of more than 256 letters.
    """
    rule = f"{name} must be a tuple of strings, one for each class"
    if not isinstance(names, tuple):
        raise InputError(f"{rule}, got {type(names).__name__}")
    if not names:
        raise InputError(f"{rule}, got none")
    for k, text in enumerate(names):
        if not isinstance(text, str):
            raise InputError(f"{rule}, but the name of class {k} is {type(text).__name__}")
        problem = _unfit_to_show(text)
        if problem:
            raise InputError(
                f"{name} must be plain text, but the name of class {k}, {text[:40]!a}, {problem}"
            )
    if len(set(names)) < len(names):
        repeated = next(text for text, count in Counter(names).items() if count > 1)
        raise InputError(f"{name} must be distinct, but {repeated!r} occurs {names.count(repeated)} times")
    return names


def _unfit_to_show(text: str) -> str:
    """Return what is wrong with a name that is to be shown, or nothing."""
    if len(text) > MAX_NAME_LENGTH:
        return f"has {len(text)} characters, more than {MAX_NAME_LENGTH}"
    if not text.strip():
        return "is empty"
    if not text.isprintable():
        return "has characters that cannot be printed"
    return "has an HTML tag" if TAG.search(text) else ""


def check_once(name: str, values: Iterable[Hashable]) -> None:
    """Raise if a value is there twice, and say which."""
    seen: set[Hashable] = set()
    for value in values:
        if not isinstance(value, Hashable):
            raise InputError(f"{name} must hold plain values, got {brief(value)}")
        if value in seen:
            raise InputError(f"{name} must hold each value once, got {_shown(value)} twice")
        seen.add(value)


def _shown(value: object) -> str:
    """Return a level of a factor in few letters; an architecture as the command line has it."""
    if isinstance(value, float):
        return f"{value:g}"
    hidden = getattr(value, "hidden", None)
    return (
        str(value) if hidden is None else f"{','.join(map(str, hidden))} {getattr(value, 'activation', '')}"
    )


def check_shape(name: str, found: tuple[int, ...], expected: tuple[int | None, ...]) -> None:
    """Raise unless `found` equals `expected`, where None stands for any length of at least 1."""
    fits = len(found) == len(expected) and all(
        (size is None and got > 0) or size == got for got, size in zip(found, expected, strict=True)
    )
    if not fits:
        wanted = ", ".join("n" if size is None else str(size) for size in expected)
        wanted += "," if len(expected) == 1 else ""
        raise InputError(f"{name} must have shape ({wanted}), got {tuple(found)}")


def check_sizes(name: str, value: object, rule: str, *, max_axes: int = 32) -> tuple[int, ...]:
    """Return `value` as a tuple of 1 to `max_axes` positive integers, or raise and say the `rule`."""
    if isinstance(value, (tuple, list)) and 1 <= len(value) <= max_axes:
        with suppress(InputError):
            return tuple(check_integer(name, size, minimum=1) for size in value)
    raise InputError(f"{name} must be a tuple of positive integers, {rule}, got {brief(value)}")


def check_input_shape(shape: object) -> None:
    """Raise unless `shape` is a shape of one input, or None where the caller says none."""
    if shape is not None:
        check_sizes("input_shape", shape, "the shape of one input")


def check_finite(name: str, values: Array) -> None:
    """Raise if any value is NaN or infinite, and say how many and where the first one is."""
    # One sum is several times as fast as a look at each; that of large numbers may overflow.
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite(values.sum()):
            return
    finite = np.isfinite(values)
    if not finite.all():
        first = tuple(int(i) for i in np.argwhere(~finite)[0])
        count = int(finite.size - np.count_nonzero(finite))
        raise InputError(
            f"{name} must be finite, but {count} of {values.size} values are not, the first at {first}"
        )


def check_floats(name: str, values: object, *, largest: float = 1e100) -> npt.NDArray[np.float64]:
    """Return an array, or nested sequences of numbers, as float64 of at most `largest` in size, or raise."""
    plain = np.empty(0, object)
    with suppress(TypeError, ValueError, OverflowError):
        plain = np.asarray(values)
    if plain.dtype.kind not in "iuf" or isinstance(values, np.ma.MaskedArray):
        raise InputError(f"{name} must be an array of real numbers, got {brief(values)}")
    floats = plain.astype(np.float64)
    check_finite(name, floats)
    if floats.size and np.abs(floats).max() > largest:
        raise InputError(f"{name} must be of at most {largest:g} in size, got {np.abs(floats).max():g}")
    return floats


def check_images(name: str, images: Array, image_shape: tuple[int, ...] | None = None) -> None:
    """Raise unless `images` is float32 or float64 in [0, 1] of shape (n, *image_shape)."""
    if images.dtype not in (np.float32, np.float64):
        raise InputError(
            f"{name} must be float32 or float64 in [0, 1], got {images.dtype}; divide uint8 pixels by 255"
        )
    if image_shape is not None:
        check_shape(name, images.shape, (None, *image_shape))
    if images.size == 0:
        raise InputError(f"{name} must hold at least one image, got shape {images.shape}")
    low, high = float(images.min()), float(images.max())
    if not (low >= 0.0 and high <= 1.0):
        check_finite(name, images)
        raise InputError(f"{name} must lie in [0, 1], got values from {low:g} to {high:g}; scale them first")


def check_labels(name: str, labels: IntArray, n_samples: int, n_classes: int) -> None:
    """Raise unless `labels` holds `n_samples` integers in [0, n_classes)."""
    if not np.issubdtype(labels.dtype, np.integer):
        raise InputError(f"{name} must be integers in [0, {n_classes}), got {labels.dtype}")
    if labels.shape != (n_samples,):
        raise InputError(f"{name} must have shape ({n_samples},), one for each image, got {labels.shape}")
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= n_classes:
        wrong = low if low < 0 else high
        raise InputError(f"{name} must lie in [0, {n_classes}) for {n_classes} classes, got {wrong}")


def check_indices(name: str, indices: npt.ArrayLike, length: int) -> IntArray:
    """Return `indices` as int64, or raise unless it is a list of at least one index in [0, length)."""
    array = np.asarray(indices)
    if array.dtype == np.bool_:
        raise InputError(f"{name} must be integer indices, got a mask; pass np.flatnonzero(mask)")
    if array.ndim != 1 or array.size == 0 or not np.issubdtype(array.dtype, np.integer):
        raise InputError(
            f"{name} must be a slice or a list of at least one integer index, "
            f"got {array.dtype} of shape {array.shape}"
        )
    low, high = int(array.min()), int(array.max())
    if low < 0 or high >= length:
        raise InputError(f"{name} must lie in [0, {length}), got {low if low < 0 else high}")
    return array.astype(np.int64, copy=False)


def check_rng(rng: object) -> None:
    """Raise unless `rng` is a NumPy random generator."""
    if not isinstance(rng, np.random.Generator):
        raise InputError(
            f"rng must be a numpy.random.Generator, such as numpy.random.default_rng(0), got {brief(rng)}"
        )


def generator(seed: object) -> np.random.Generator:
    """Return the random generator that `seed` stands for, or raise if it is neither an integer nor one."""
    if isinstance(seed, np.random.Generator):
        return seed
    return np.random.default_rng(check_integer("seed", seed, minimum=0))


def kept_seed(seed: object) -> int:
    """Return the number that a design keeps to be run again from: `seed` itself, or one drawn from a generator."""
    if isinstance(seed, np.random.Generator):
        return int(seed.integers(2**63))
    return check_integer("seed", seed, minimum=0)


def is_path_like(value: object) -> bool:
    """Return whether `value` is a path as text, and one that a file system can have."""
    if not isinstance(value, (str, os.PathLike)):
        return False
    try:
        text = os.fspath(value)
        os.fsencode(text)
    except (TypeError, ValueError):
        return False
    return isinstance(text, str) and bool(text) and "\0" not in text


def check_folder(name: str, folder: Path) -> Path:
    """Return `folder`, or raise if it is no folder that files can be written to. Creates nothing."""
    try:
        # Of a name that no file can have, pathlib says that there is none, or the system what is wrong with it.
        with suppress(FileNotFoundError):
            folder.stat()
        existing = next(path for path in (folder, *folder.absolute().parents) if path.exists())
        with tempfile.TemporaryFile(dir=existing):
            pass
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(
            f"{name} {folder} cannot be written to: {reason}. Pass a folder you may write to"
        ) from None
    return folder


def chunks(length: int, size: int) -> Iterator[slice]:
    """Return slices of `size` that go through `length` elements, the last perhaps shorter.

    Examples
    --------
    >>> list(chunks(5, 2))
    [slice(0, 2, None), slice(2, 4, None), slice(4, 6, None)]
    """
    return (slice(begin, begin + size) for begin in range(0, length, size))


def even_chunks(length: int, most: int) -> Iterator[slice]:
    """Return the fewest slices of `most` at most that go through `length` elements, about equally long.

    Examples
    --------
    >>> list(even_chunks(10, 4))
    [slice(0, 4, None), slice(4, 8, None), slice(8, 12, None)]
    >>> list(even_chunks(9, 8))
    [slice(0, 5, None), slice(5, 10, None)]
    """
    n_parts = max(1, -(-length // most))
    return chunks(length, max(1, -(-length // n_parts)))


def readonly(values: npt.NDArray[Scalar]) -> npt.NDArray[Scalar]:
    """Return a view of `values` that refuses writes; for arrays that nobody else holds."""
    view = values.view()
    view.flags.writeable = False
    return view


def frozen_copy(values: npt.NDArray[Scalar]) -> npt.NDArray[Scalar]:
    """Return `values` as an array that nobody can write to: a copy, unless it is one already."""
    if not values.flags.writeable and values.base is None:
        return values
    copy = values.copy()
    # Not a read-only view of it: such a copy is known again, and shared instead of copied once more.
    copy.flags.writeable = False
    return copy
