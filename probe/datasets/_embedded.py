"""The data sets that come with the installation: no network, no path."""

from __future__ import annotations

import math
import zlib
from concurrent.futures import ThreadPoolExecutor
from importlib import resources
from types import MappingProxyType
from typing import Any

import numpy as np

from probe.datasets._dataset import Images, Split
from probe.datasets._stored import split_from_arrays

__all__ = ["MNIST_SHA256", "load_digits", "load_mnist"]

MNIST_SHA256 = MappingProxyType(
    {
        "images": "741c988805d008ac6e4c904b69001ba184c24b2c540a4ef403f4c71b676cf757",
        "labels": "1feba77c54802fa5339a11837ea4b2866434b83314ec45192930f1df69120c13",
        "test_images": "6d87418db22cc8025d05968bec9bd5c3932904b23485740db143a061a2c9d161",
        "test_labels": "ddeff807876a9661a1110d45c266c86239a3a1b7d37da0c3716a7a683c852ff5",
    }
)
"""SHA-256 of MNIST's four arrays, as uint8 bytes in C order: what `mnist.h5` must decode to."""

LARGEST_LEVEL = np.float32(255)
DIGITS_PARTS = 5
DIGITS_MAXIMUM = 16.0  # each pixel counts the ink in a 4 x 4 block of the scanned digit


def load_mnist() -> Split:
    """Return MNIST: 60,000 training and 10,000 test images of 28 x 28."""
    import h5py

    packed = resources.files("probe.datasets") / "mnist.h5"
    with resources.as_file(packed) as path, h5py.File(path, "r") as file:
        train = _pixels(file["images"]), file["labels"][()]
        test = _pixels(file["test_images"]), file["test_labels"][()]
        return split_from_arrays(train, test, tuple("0123456789"), "mnist")


def _pixels(dataset: Any) -> Images:
    """Return the pixels of a gzip-compressed uint8 array, divided by 255.

    Piece by piece and past HDF5's own decompression, which takes one core and a second array:
    here two threads share the work, and no more memory is touched than the result takes.
    """
    pixels = np.empty(dataset.shape, dtype=np.float32)
    piece = dataset.chunks
    starts = range(0, len(pixels), piece[0])
    packed = [dataset.id.read_direct_chunk((start, 0, 0))[1] for start in starts]

    def unpack(start: int, compressed: bytes) -> None:
        levels = np.frombuffer(zlib.decompress(compressed, bufsize=math.prod(piece)), dtype=np.uint8)
        np.divide(levels.reshape(piece), LARGEST_LEVEL, out=pixels[start : start + piece[0]])

    with ThreadPoolExecutor(max_workers=2) as threads:
        list(threads.map(unpack, starts, packed))
    return pixels


def load_digits() -> Split:
    """Return scikit-learn's 1,797 digits of 8 x 8; the last fifth of each class is the test set."""
    from sklearn.datasets import load_digits as load_bunch

    bunch = load_bunch()
    images = np.divide(bunch.images, DIGITS_MAXIMUM).astype(np.float32)
    names = tuple(str(name) for name in bunch.target_names)
    return split_from_arrays((images, bunch.target), None, names, "digits", parts=DIGITS_PARTS)
