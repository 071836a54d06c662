"""Images scaled to another size."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from probe._checks import Array, InputError, check_integer, chunks
from probe._signatures import checked
from probe.datasets._dataset import Dataset, Split

__all__ = ["resized"]

_BLOCK = 4096


@checked
def resized(split: Split, shape: tuple[int, int]) -> Split:
    """Return `split` with images of `shape`: each new pixel is the mean over the area of the old ones that it covers.

    Parameters
    ----------
    split : Split
        Of images (height, width) or (height, width, channels).
    shape : (int, int)
        New height and width, each at least 1.

    Returns
    -------
    Split
        Its name says the size.

    Raises
    ------
    InputError
        If `shape` is no pair of positive integers.

    Examples
    --------
    >>> import probe
    >>> small = resized(probe.load_dataset("digits"), (4, 4))
    >>> small.train.image_shape, small.name
    ((4, 4), 'digits 4 x 4')
    """
    if len(shape) != 2:
        raise InputError(f"shape must be a height and a width, got {shape}")
    height, width = (check_integer("each of shape", size, minimum=1) for size in shape)
    return Split(
        _resized(split.train, height, width),
        _resized(split.test, height, width),
        f"{split.name} {height} x {width}",
    )


def _resized(data: Dataset, height: int, width: int) -> Dataset:
    rows, columns = _shares(data.image_shape[0], height), _shares(data.image_shape[1], width)
    images = np.empty((len(data), height, width, *data.image_shape[2:]), np.float32)
    for part in chunks(len(data), _BLOCK):
        along = np.moveaxis(np.tensordot(data.images[part], rows, axes=(1, 1)), -1, 1)
        images[part] = np.moveaxis(np.tensordot(along, columns, axes=(2, 1)), -1, 2)
    # A mean of values in [0, 1] may leave it in the last digit.
    return replace(data, images=np.clip(images, 0, 1, out=images))


def _shares(before: int, after: int) -> Array:
    """Return how much of each new pixel each old one is, of shape (after, before); rows sum to one."""
    edges = np.linspace(0, before, after + 1)
    places = np.arange(before)
    low = np.maximum(edges[:-1, None], places)
    high = np.minimum(edges[1:, None], places + 1)
    covered = np.maximum(high - low, 0)
    return np.asarray(covered / covered.sum(axis=1, keepdims=True), np.float32)
