"""Inputs as the engine of training reads them: rows, in a byte each where they were made from bytes."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from probe._checks import Array, chunks
from probe.datasets import StoredImages, in_unit_range, levels_of

__all__ = ["AnyPixels", "Pixels", "StoredPixels", "lit_counts", "pixels_of"]

_ROWS = 250
"""Rows that are gone through together where they are prepared: few enough to stay in the cache."""

_PIECE = 1 << 26
"""Values of the rows that are gone through together, narrow ones first: all of MNIST. Others are read from a file so."""


class Pixels:
    """Inputs as rows behind a column of ones, taken out by batches.

    Images that were made from 8-bit pixels are kept as such: gathering a random minibatch is limited by
    memory, and a quarter of the bytes makes up for the conversion. The values are the same to the bit.
    A batch ends at the last column that is not zero in all of its rows, so columns that are rarely lit
    should come last: what is left out would add nothing to a product, and have no gradient.
    The ones are what biases are multiplied by.

    Parameters
    ----------
    values : ndarray of shape (n_samples, n_in), float, or uint8 for 1/255 of them
        Inputs.
    dtype : str
        Type of the batches.
    columns : ndarray of int, optional
        Which columns, in which order; all without.
    """

    def __init__(
        self, values: npt.NDArray[Any], dtype: str, columns: npt.NDArray[np.intp] | None = None
    ) -> None:
        self._dtype = np.dtype(dtype)
        if values.dtype == np.uint8 and dtype != "float32":
            values = in_unit_range(values)
        if values.dtype != np.uint8:
            levels = _as_bytes(values) if values.dtype == dtype else None
            values = values.astype(dtype, copy=False) if levels is None else levels
        if columns is not None:
            values = np.take(values, columns, axis=1)
        widths = _widths(values)
        # Rows lie as they are evaluated: in pieces as from a file, and in each the narrowest first.
        self._pieces = list(_pieces(values.shape))
        self._rows = np.arange(len(values))
        for piece in self._pieces:
            self._rows[piece] = piece.start + np.argsort(widths[piece], kind="stable")
        self._widths = 1 + widths[self._rows]
        self._stored = np.empty((len(values), 1 + values.shape[1]), values.dtype)
        self._stored[:, 0] = 255 if values.dtype == np.uint8 else 1
        for part in chunks(len(values), _ROWS):
            self._stored[part, 1:] = values[self._rows[part]]
        self._places = np.empty_like(self._rows)
        self._places[self._rows] = np.arange(len(self._rows))

    def __len__(self) -> int:
        return len(self._stored)

    @property
    def nbytes(self) -> int:
        """Bytes of memory that they take."""
        return sum(part.nbytes for part in (self._stored, self._widths, self._rows, self._places))

    def near(self, order: npt.NDArray[np.intp]) -> tuple[Pixels, npt.NDArray[np.intp]]:
        """Return inputs from which the rows `order` can be gathered, and their places in it."""
        return self, self._places[order]

    def batches(self, places: npt.NDArray[np.intp], size: int) -> Iterator[Array]:
        """Go through what stands at `places`, `size` at a time, each batch up to its last lit column.

        Yields
        ------
        ndarray of shape (n, 1 + n_columns)
            Ones, then the inputs; valid until the next batch.
        """
        starts = range(0, len(places), size)
        widths = np.maximum.reduceat(self._widths[places], starts).tolist() if len(places) else []
        memory = self._memory(min(size, len(places)))
        scratch = np.empty((min(size, len(places)), self._stored.shape[1]), self._stored.dtype)
        for start, width in zip(starts, widths, strict=True):
            chosen = places[start : start + size]
            rows = scratch[: len(chosen)]
            np.take(self._stored, chosen, axis=0, out=rows, mode="clip")
            yield self._floats(rows[:, :width], memory)

    def parts(self, size: int) -> Iterator[tuple[npt.NDArray[np.intp], Array]]:
        """Go through all rows in parts of at most `size`, each up to the last column that is lit in it.

        Yields
        ------
        rows : ndarray of shape (n,)
            Which rows these are.
        values : ndarray of shape (n, 1 + n_columns)
            As from `batches`.
        """
        memory = self._memory(min(size, len(self)))
        for piece in self._pieces:
            for start in range(piece.start, piece.stop, size):
                part = slice(start, min(start + size, piece.stop))
                values = self._stored[part, : self._widths[part.stop - 1]]
                yield self._rows[part], self._floats(values, memory)

    def _memory(self, size: int) -> Array:
        return np.empty(size * self._stored.shape[1], self._dtype)

    def _floats(self, stored: npt.NDArray[Any], memory: Array) -> Array:
        """Return stored values as they are computed with, in `memory` if they are bytes."""
        if stored.dtype != np.uint8:
            return stored
        batch = memory[: stored.size].reshape(stored.shape)
        np.copyto(batch, stored)
        batch /= 255
        return batch


class StoredPixels:
    """Some columns of inputs that stay in a file, which are read as they are needed, see `Pixels`."""

    def __init__(self, images: StoredImages, columns: npt.NDArray[np.intp], dtype: str) -> None:
        self.shape = len(images), len(columns)
        self._images, self._columns, self._dtype = images, columns, dtype

    def __len__(self) -> int:
        return self.shape[0]

    def near(self, order: npt.NDArray[np.intp]) -> tuple[Pixels, npt.NDArray[np.intp]]:
        """Return inputs, in memory, from which the rows `order` can be gathered, and their places in it."""
        rows = np.sort(order)
        return self._read(rows).near(np.searchsorted(rows, order))

    def parts(self, size: int) -> Iterator[tuple[npt.NDArray[np.intp], Array]]:
        """Go through all rows, as `Pixels.parts` does of the same inputs in memory."""
        for piece in _pieces(self.shape):
            for rows, values in self._read(piece).parts(size):
                yield piece.start + rows, values

    def _read(self, rows: slice | npt.NDArray[np.intp]) -> Pixels:
        return Pixels(_flat(self._images.pixels(rows)), self._dtype, self._columns)


AnyPixels = Pixels | StoredPixels


def pixels_of(values: Array | StoredImages, columns: npt.NDArray[np.intp], dtype: str) -> AnyPixels:
    """Return some columns of inputs, rows (n_samples, n_in) or images in a file."""
    if isinstance(values, StoredImages):
        return StoredPixels(values, columns, dtype)
    return Pixels(values, dtype, columns)


def lit_counts(values: npt.NDArray[Any] | StoredImages) -> npt.NDArray[np.intp]:
    """Return for each column in how many rows of such inputs it is not zero."""
    counts = np.zeros(math.prod(values.shape[1:]), np.intp)
    if isinstance(values, StoredImages):
        for part in values.blocks():
            counts += lit_counts(_flat(values.pixels(part)))
        return counts
    for part in chunks(len(values), 255):  # as many as a byte can count
        counts += np.add.reduce((values[part] != 0).view(np.uint8), axis=0, dtype=np.uint8)
    return counts


def _flat(images: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return images.reshape(len(images), -1)


def _pieces(shape: tuple[int, ...]) -> Iterator[slice]:
    return (
        slice(part.start, min(part.stop, shape[0])) for part in chunks(shape[0], max(1, _PIECE // shape[1]))
    )


def _widths(rows: npt.NDArray[np.generic]) -> npt.NDArray[np.intp]:
    """Return for each row how many columns there are up to the last that is not zero."""
    n_columns = rows.shape[1]
    widths = np.empty(len(rows), np.intp)
    for part in chunks(len(rows), _ROWS):
        lit = rows[part] != 0
        widths[part] = np.where(lit.any(axis=1), n_columns - lit[:, ::-1].argmax(axis=1), 0)
    return widths


def _as_bytes(values: Array) -> npt.NDArray[np.uint8] | None:
    """Return the 8-bit pixels that `values` are 1/255 of, or None if they are not."""
    stored = np.empty(values.shape, np.uint8)
    for part in chunks(len(values), _ROWS):
        levels = levels_of(values[part])
        if levels is None:
            return None
        stored[part] = levels
    return stored
