"""Images that stay in a file: read by blocks of rows, for data that are larger than memory; and the digest of any images."""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

from probe._checks import DataFileError, InputError, IntArray, chunks
from probe._kept import frozen
from probe.safeh5 import DamagedError, open_regular, printable

__all__ = ["Images", "RowsOfFile", "StoredImages", "in_unit_range", "levels_of", "pixel_digest", "rows_of"]

Images = npt.NDArray[np.float32]

# 1024 MNIST images are 3 MB: a block stays in the cache while it is tested and hashed.
_DIGESTED = 1024

_SMALL = 256 << 20
"""Bytes as float32 up to which some of the images are read at once, to be an array like any other."""

_MOST = 4 << 30
"""Bytes as float32 that are never read at once."""


@dataclass(frozen=True, slots=True)
class RowsOfFile:
    """Where the rows of an array are in a file, one behind the other, and what the file was like when that was found."""

    path: Path
    offset: int
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    version: tuple[int, ...]

    @classmethod
    def of(
        cls, path: Path, before: os.stat_result, offset: int, dtype: np.dtype[Any], shape: tuple[int, ...]
    ) -> RowsOfFile:
        """Return where rows are in a file that was so before it was opened."""
        return cls(path.resolve(), offset, dtype, shape, _version(before))

    def read(self, rows: IntArray) -> npt.NDArray[Any]:
        """Return some rows, which are in rising order, as they are stored.

        Raises
        ------
        DataFileError
            If the file is gone, was cut off, or is another one by now.
        """
        values = np.empty((len(rows), *self.shape[1:]), self.dtype)
        memory = memoryview(values.reshape(-1).view(np.uint8))  # type: ignore[arg-type]
        width = math.prod(self.shape[1:]) * self.dtype.itemsize
        try:
            with open_regular(self.path, buffering=0) as file:
                if _version(os.fstat(file.fileno())) != self.version:
                    self._refuse("was changed since it was opened; load it again")
                for begin, end in _runs(rows):
                    file.seek(self.offset + int(rows[begin]) * width)
                    part = memory[begin * width : end * width]
                    while len(part):
                        count = file.readinto(part)  # type: ignore[attr-defined]
                        if not count:
                            self._refuse("was cut off while it was read")
                        part = part[count:]
        except (OSError, DamagedError) as error:
            self._refuse(f"cannot be read any more: {getattr(error, 'strerror', None) or error}")
        return values

    def _refuse(self, problem: str) -> NoReturn:
        raise DataFileError(f"{printable(self.path, 200)} {problem}") from None


class StoredImages:
    """Images of a `Dataset` that stay in their file.

    It has the shape of an array and is indexed like one, along the first axis: what is asked for is read. Everything
    else that arrays do is refused, with what to do: the code that wants it was written for images in memory.

    Parameters
    ----------
    place : RowsOfFile
        Where they are.
    converted : callable, optional
        Makes float32 images in [0, 1] of some that were read, or raises an `InputError`; None for 8-bit pixels.
    rows : ndarray of int64, optional
        Which rows of the file they are; all without.
    """

    __slots__ = ("__weakref__", "_converted", "_digest", "_place", "_rows")

    dtype = np.dtype(np.float32)

    def __init__(
        self,
        place: RowsOfFile,
        converted: Callable[[npt.NDArray[Any]], Images] | None = None,
        rows: IntArray | None = None,
    ) -> None:
        self._place, self._converted, self._rows = place, converted, rows
        self._digest: tuple[str, bytes] | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        return StoredImages, (self._place, self._converted, self._rows)

    def __repr__(self) -> str:
        return f"images {self.shape} that stay in their file (take some with split.test.sample(n, rng=rng), as an array)"

    def __len__(self) -> int:
        return self._place.shape[0] if self._rows is None else len(self._rows)

    @property
    def shape(self) -> tuple[int, ...]:
        """(n_samples, height, width[, channels])."""
        return (len(self), *self._place.shape[1:])

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self._place.shape)

    @property
    def bytes_each(self) -> int:
        """Bytes of one image in the file."""
        return math.prod(self._place.shape[1:]) * self._place.dtype.itemsize

    @property
    def are_bytes(self) -> bool:
        """Whether the file has 8-bit pixels."""
        return bool(self._place.dtype == np.uint8)

    def __getitem__(self, samples: int | slice | IntArray) -> npt.NDArray[Any]:
        """Return some of the images as an array."""
        if isinstance(samples, int | np.integer):
            one: npt.NDArray[Any] = self[np.arange(len(self))[[samples]]][0]
            return one
        return in_unit_range(self.pixels(samples))

    def pixels(self, samples: slice | IntArray) -> npt.NDArray[Any]:
        """Return some of the images: their 8-bit pixels, or else float32 in [0, 1]."""
        rows = self._rows_at(samples)
        if 4 * len(rows) * math.prod(self.shape[1:]) > _MOST:
            self._refuse()
        order = None if (rows[1:] >= rows[:-1]).all() else np.argsort(rows, kind="stable")
        stored = self._place.read(rows if order is None else rows[order])
        pixels = stored
        if self._converted is not None:
            pixels = self._converted(stored) if len(rows) else stored.astype(np.float32)
        if order is None:
            return pixels
        back = np.empty_like(order)
        back[order] = np.arange(len(order))
        return pixels[back]

    def rows(self, samples: slice | IntArray) -> StoredImages:
        """Return some of the images as ones that stay in the file."""
        return StoredImages(self._place, self._converted, self._rows_at(samples))

    def take(self, samples: slice | IntArray) -> StoredImages | npt.NDArray[Any]:
        """Return some of the images: an array, unless they are many."""
        some = self.rows(samples)
        return some if 4 * math.prod(some.shape) > _SMALL else some[:]

    def converted_by(self, converted: Callable[[npt.NDArray[Any]], Images]) -> StoredImages:
        """Return images that `converted` makes of the stored ones; all are looked at, if they are no 8-bit pixels."""
        if self.are_bytes:
            return self
        images = StoredImages(self._place, converted, self._rows)
        for part in images.blocks():
            images[part]
        return images

    def blocks(self) -> Iterator[slice]:
        """Return slices of a few megabytes that go through all images."""
        return chunks(len(self), max(1, (8 << 20) // self.bytes_each))

    def digest(self) -> tuple[str, bytes]:
        """Return `pixel_digest` of these images, which is found once: it reads all."""
        if self._digest is None:
            self._digest = pixel_digest(self)
        return self._digest

    def _rows_at(self, samples: slice | IntArray) -> IntArray:
        if self._rows is not None:
            return self._rows[samples]
        n = len(self)
        if isinstance(samples, slice):
            return np.arange(*samples.indices(n))
        rows = np.flatnonzero(samples) if samples.dtype == np.bool_ else samples.astype(np.int64)
        if rows.size and not -n <= rows.min() <= rows.max() < n:
            raise IndexError(f"samples must lie in [0, {n}), got {rows.min()} to {rows.max()}")
        return rows % n

    def _refuse(self) -> NoReturn:
        raise InputError(
            f"the {len(self):,} images stay in {printable(self._place.path, 200)}, because they are larger than memory. "
            "Training and noise tests read them part by part; all else needs an array. Take some, such as "
            "split.train.sample(60_000, rng=rng), or store fewer in a file"
        )

    def __eq__(self, other: object) -> NoReturn:
        self._refuse()

    __hash__ = object.__hash__

    def __array__(self, *args: object, **kwargs: object) -> NoReturn:
        self._refuse()

    def __getattr__(self, name: str) -> Any:
        # Python and NumPy ask for what begins with an underscore whether it is there.
        if name.startswith("_"):
            raise AttributeError(name)
        self._refuse()


def rows_of(images: StoredImages | npt.NDArray[Any], samples: slice | IntArray) -> Any:
    """Return some of the images, which stay in the file if these do."""
    return images.rows(samples) if isinstance(images, StoredImages) else frozen(images[samples])


def in_unit_range(pixels: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return 8-bit pixels divided by 255, as float32, and others as they are."""
    return np.divide(pixels, np.float32(255), dtype=np.float32) if pixels.dtype == np.uint8 else pixels


def pixel_digest(images: StoredImages | Images) -> tuple[str, bytes]:
    """Return how pixels are taken for their SHA-256, "k/255" or "<f4", and this; see `Dataset.fingerprint`."""
    # Bytes are a quarter of the floats: it is the hashing, not the test for k/255, that takes time.
    digest = hashlib.sha256()
    for part in chunks(len(images), _DIGESTED):
        levels = _levels(images, part)
        if levels is None:
            break
        digest.update(np.ascontiguousarray(levels).data)
    else:
        return "k/255", digest.digest()
    digest = hashlib.sha256()
    for part in chunks(len(images), _DIGESTED):
        digest.update(np.ascontiguousarray(images[part], dtype="<f4").data)
    return "<f4", digest.digest()


def _levels(images: StoredImages | Images, part: slice) -> npt.NDArray[np.uint8] | None:
    """Return `levels_of` some of the images."""
    if isinstance(images, StoredImages) and images.are_bytes:
        return images.pixels(part)
    return levels_of(images[part])


def levels_of(pixels: npt.NDArray[Any]) -> npt.NDArray[np.uint8] | None:
    """Return the 8-bit pixels that floats are exactly 1/255 of, in their type; None if they are not."""
    largest = pixels.dtype.type(255)
    with np.errstate(over="ignore", invalid="ignore"):
        levels = (pixels * largest + pixels.dtype.type(0.5)).astype(np.uint8)
    return levels if np.array_equal(np.divide(levels, largest, dtype=pixels.dtype), pixels) else None


def _runs(rows: IntArray) -> Iterator[tuple[int, int]]:
    """Return begin and end of each run of rows that follow each other."""
    edges = np.flatnonzero(np.diff(rows) != 1) + 1
    return zip([0, *edges.tolist()], [*edges.tolist(), len(rows)], strict=True) if len(rows) else iter(())


def _version(status: os.stat_result) -> tuple[int, ...]:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns
