"""Inputs as the engine of training reads them: rows, in a byte each where they were made from bytes."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from probe._checks import Array, chunks

__all__ = ["Pixels"]


class Pixels:
    """Inputs as rows, taken out by batches.

    Images that were made from 8-bit pixels are kept as such: gathering a random minibatch is limited by
    memory, and a quarter of the bytes makes up for the conversion. The values are the same to the bit.
    A batch ends at the last column that is not zero in all of its rows, so columns that are rarely lit
    should come last: what is left out would add nothing to a product, and have no gradient.

    Parameters
    ----------
    values : ndarray of shape (n_samples, n_in), float
        Inputs.
    dtype : str
        Type of the batches.
    """

    def __init__(self, values: Array, dtype: str) -> None:
        self.shape = values.shape
        self._dtype = np.dtype(dtype)
        bytes_ = _as_bytes(values) if values.dtype == dtype else None
        self._stored = values.astype(dtype, copy=False) if bytes_ is None else bytes_
        self._widths = _widths(self._stored)
        self._by_width = np.argsort(self._widths, kind="stable")

    def __len__(self) -> int:
        return int(self.shape[0])

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
        """Go through all rows, the narrowest first, in parts of at most `size`.

        Yields
        ------
        rows : ndarray of shape (n,)
            Which rows these are.
        values : ndarray of shape (n, n_columns)
            Up to the last column that is lit in them; valid until the next part.
        """
        out = np.empty((min(size, len(self)), self.shape[1]), self._dtype)
        scratch = np.empty(out.shape, np.uint8)
        for part in chunks(len(self), size):
            rows = self._by_width[part]
            yield rows, self.gather(rows, out, scratch)


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
