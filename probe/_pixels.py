"""Inputs as the engine of training reads them: rows, in a byte each where they were made from bytes."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from probe._checks import Array, chunks
from probe.datasets import StoredImages, in_unit_range

__all__ = ["AnyPixels", "Pixels", "StoredPixels", "lit_counts", "pixels_of"]

_PIECE = 1 << 26
"""Values of the rows that are gone through together, narrow ones first: all of MNIST. Others are read from a file so."""


class Pixels:
    """Inputs as rows, taken out by batches.

    Images that were made from 8-bit pixels are kept as such: gathering a random minibatch is limited by
    memory, and a quarter of the bytes makes up for the conversion. The values are the same to the bit.
    A batch ends at the last column that is not zero in all of its rows, so columns that are rarely lit
    should come last: what is left out would add nothing to a product, and have no gradient.

    Parameters
    ----------
    values : ndarray of shape (n_samples, n_in), float, or uint8 for 1/255 of them
        Inputs.
    dtype : str
        Type of the batches.
    """

    def __init__(self, values: npt.NDArray[Any], dtype: str) -> None:
        self.shape = values.shape
        self._dtype = np.dtype(dtype)
        if values.dtype == np.uint8 and dtype != "float32":
            values = in_unit_range(values)
        self._stored: npt.NDArray[Any] = values
        if values.dtype != np.uint8:
            bytes_ = _as_bytes(values) if values.dtype == dtype else None
            self._stored = values.astype(dtype, copy=False) if bytes_ is None else bytes_
        self._widths = _widths(self._stored)

    def __len__(self) -> int:
        return int(self.shape[0])

    def near(self, order: npt.NDArray[np.intp]) -> tuple[Pixels, npt.NDArray[np.intp]]:
        """Return inputs from which the rows `order` can be gathered, and where they are in it."""
        return self, order

    def gather(self, rows: npt.NDArray[np.intp], out: Array, scratch: npt.NDArray[np.uint8]) -> Array:
        """Return the chosen rows up to their last lit column, in the memory of `out`.

        `out` and `scratch` are memory for batches, of shape (batch_size, n_in).
        """
        width = int(self._widths[rows].max())
        if self._stored.dtype != np.uint8:
            return np.take(self._stored, rows, axis=0, out=out[: len(rows)], mode="clip")[:, :width]
        np.take(self._stored, rows, axis=0, out=scratch[: len(rows)], mode="clip")
        batch = out[: len(rows), :width]
        np.copyto(batch, scratch[: len(rows), :width])
        batch /= 255
        return batch

    def parts(self, size: int) -> Iterator[tuple[npt.NDArray[np.intp], Array]]:
        """Go through all rows in parts of at most `size`: in pieces as from a file, and in each the narrowest first.

        Yields
        ------
        rows : ndarray of shape (n,)
            Which rows these are.
        values : ndarray of shape (n, n_columns)
            Up to the last column that is lit in them; valid until the next part.
        """
        out = np.empty((min(size, len(self)), self.shape[1]), self._dtype)
        scratch = np.empty(out.shape, np.uint8)
        for piece in _pieces(self.shape):
            by_width = piece.start + np.argsort(self._widths[piece], kind="stable")
            for part in chunks(len(by_width), size):
                rows = by_width[part]
                yield rows, self.gather(rows, out, scratch)


class StoredPixels:
    """Some columns of inputs that stay in a file, which are read as they are needed, see `Pixels`."""

    def __init__(self, images: StoredImages, columns: npt.NDArray[np.intp], dtype: str) -> None:
        self.shape = len(images), len(columns)
        self._images, self._columns, self._dtype = images, columns, dtype

    def __len__(self) -> int:
        return self.shape[0]

    def near(self, order: npt.NDArray[np.intp]) -> tuple[Pixels, npt.NDArray[np.intp]]:
        """Return inputs, in memory, from which the rows `order` can be gathered, and where they are in it."""
        rows = np.sort(order)
        return self._read(rows), np.searchsorted(rows, order)

    def parts(self, size: int) -> Iterator[tuple[npt.NDArray[np.intp], Array]]:
        """Go through all rows, as `Pixels.parts` does of the same inputs in memory."""
        for piece in _pieces(self.shape):
            for rows, values in self._read(piece).parts(size):
                yield piece.start + rows, values

    def _read(self, rows: slice | npt.NDArray[np.intp]) -> Pixels:
        return Pixels(np.take(_flat(self._images.pixels(rows)), self._columns, axis=1), self._dtype)


AnyPixels = Pixels | StoredPixels


def pixels_of(values: Array | StoredImages, columns: npt.NDArray[np.intp], dtype: str) -> AnyPixels:
    """Return some columns of inputs, rows (n_samples, n_in) or images in a file."""
    if isinstance(values, StoredImages):
        return StoredPixels(values, columns, dtype)
    return Pixels(np.take(values, columns, axis=1), dtype)


def lit_counts(values: Array | StoredImages) -> npt.NDArray[np.intp]:
    """Return for each column in how many rows of such inputs it is not zero."""
    if not isinstance(values, StoredImages):
        return np.asarray(np.count_nonzero(values, axis=0))
    counts: npt.NDArray[np.intp] = np.zeros(math.prod(values.shape[1:]), np.intp)
    for part in values.blocks():
        counts += np.count_nonzero(_flat(values.pixels(part)), axis=0)
    return counts


def _flat(images: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return images.reshape(len(images), -1)


def _pieces(shape: tuple[int, ...]) -> Iterator[slice]:
    return (
        slice(part.start, min(part.stop, shape[0])) for part in chunks(shape[0], max(1, _PIECE // shape[1]))
    )


def _widths(rows: npt.NDArray[np.generic]) -> npt.NDArray[np.intp]:
    """Return for each row how many columns there are up to the last that is not zero, at least 1."""
    n_columns = rows.shape[1]
    widths = np.empty(len(rows), np.intp)
    for part in chunks(len(rows), 1000):
        lit = rows[part] != 0
        last = n_columns - lit[:, ::-1].argmax(axis=1)
        widths[part] = np.where(lit.any(axis=1), last, 1)
    return widths


def _as_bytes(values: Array) -> npt.NDArray[np.uint8] | None:
    """Return the 8-bit pixels that `values` are 1/255 of, or None if they are not."""
    stored = np.empty(values.shape, np.uint8)
    largest = values.dtype.type(255)
    for part in chunks(len(values), 1000):
        pixels = np.rint(values[part] * 255)
        in_range = ((pixels >= 0) & (pixels <= 255)).all()
        if not in_range or not np.array_equal(pixels / largest, values[part]):
            return None
        stored[part] = pixels
    return stored
