"""The order in which a network sees the data: all of them shuffled, or a buffer of them at a time."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from probe._checks import chunks
from probe.datasets import Dataset, StoredImages
from probe.training.config import BLOCKS, TrainingConfig

__all__ = ["buffer_of", "shuffled"]

_BUFFER_BYTES = 1 << 27
"""Bytes, as they are in the file, of the images that are shuffled together where nothing else is said."""


def buffer_of(config: TrainingConfig, data: Dataset) -> int | None:
    """Return how many samples are shuffled together; None for all of them."""
    if config.buffer is not None or not isinstance(data.images, StoredImages):
        return config.buffer
    return _BUFFER_BYTES // data.images.bytes_each


def shuffled(
    n_samples: int, buffer: int | None, batch_size: int, rng: np.random.Generator
) -> Iterator[npt.NDArray[np.int64]]:
    """Return the indices of all samples in random order, a buffer of them at a time.

    Blocks of a sixteenth of the buffer, which begin somewhere else each time, come in random order. Sixteen of them at a
    time are shuffled together. All but the last buffer have whole minibatches.

    Examples
    --------
    >>> order = list(shuffled(100, 32, 2, np.random.default_rng(0)))
    >>> [len(part) for part in order]
    [32, 32, 32, 4]
    >>> np.array_equal(np.sort(np.concatenate(order)), np.arange(100))
    True
    """
    if buffer is None or buffer >= n_samples:
        yield rng.permutation(n_samples)
        return
    block = max(1, buffer // (BLOCKS * batch_size)) * batch_size
    shift = rng.integers(n_samples)
    # The last block is shorter, and comes last: another part of the data each time.
    blocks = np.append(rng.permutation(n_samples // block), n_samples // block)
    for part in chunks(len(blocks), BLOCKS):
        members = (blocks[part, None] * block + np.arange(block)).reshape(-1)
        members = members[members < n_samples]
        if len(members):
            yield (rng.permutation(members) + shift) % n_samples
