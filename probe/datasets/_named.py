"""Data sets that have a name: MNIST and digits, which come with the installation, and those of openml.org."""

from __future__ import annotations

import math
import threading
import warnings
import zlib
from contextlib import closing
from importlib import resources
from types import MappingProxyType
from typing import Any

import numpy as np

from probe._checks import MAX_NAME_LENGTH, DataFileError, InputError, IntArray
from probe._parallel import available_workers, in_threads
from probe.datasets._dataset import Images, Split
from probe.datasets._stored import (
    MAX_MESSAGE,
    MAX_UNNAMED_CLASSES,
    Stored,
    check_declared,
    refused_as_data_error,
    split_from_arrays,
)
from probe.safeh5 import printable

__all__ = ["MNIST_SHA256", "load_digits", "load_mnist", "load_openml"]

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
LARGEST_WHOLE = 2.0**53  # of the floats that stand for one integer each
OPENML_PARTS = 7  # 10,000 of 70,000: MNIST and its likes stand there with both parts in one table
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

    def unpack(piece_at: tuple[int, bytes], stop: threading.Event) -> None:
        start, compressed = piece_at
        levels = np.frombuffer(zlib.decompress(compressed, bufsize=math.prod(piece)), dtype=np.uint8)
        np.divide(levels.reshape(piece), LARGEST_LEVEL, out=pixels[start : start + piece[0]])

    pieces = list(zip(starts, packed, strict=True))
    stop = threading.Event()
    with closing(in_threads(unpack, pieces, workers=available_workers(2), stop=stop)) as unpacked:
        for _ in unpacked:
            pass
    return pixels


def load_digits() -> Split:
    """Return scikit-learn's 1,797 digits of 8 x 8; the last fifth of each class is the test set."""
    from sklearn.datasets import load_digits as load_bunch

    bunch = load_bunch()
    images = np.divide(bunch.images, DIGITS_MAXIMUM).astype(np.float32)
    names = tuple(str(name) for name in bunch.target_names)
    return split_from_arrays((images, bunch.target), None, names, "digits", parts=DIGITS_PARTS)


def load_openml(dataset: str) -> Split:
    """Return the split of OpenML's data set `dataset`, from scikit-learn's cache or the network.

    Raises
    ------
    DataFileError
        If it cannot be had, or if its table is not one of square gray images with class labels.
    """
    source = f"openml:{dataset}"
    if not dataset:
        raise InputError("openml: must be followed by the name of a data set, as in openml:Fashion-MNIST")
    table = _fetch(dataset)
    with refused_as_data_error(source):
        images = _square_images(table.data)
        labels, class_names = _encoded(table.target)
        return split_from_arrays((images, labels), None, class_names, source, parts=OPENML_PARTS)


def _fetch(dataset: str) -> Any:
    from sklearn.datasets import fetch_openml

    with warnings.catch_warnings():
        # It would announce a retry; the error that follows says all there is to say.
        warnings.filterwarnings("ignore", message="A network error occurred")
        try:
            return fetch_openml(dataset, as_frame=False, parser="liac-arff", n_retries=1, delay=1e-3)
        except OSError as error:
            raise DataFileError(
                f"openml:{dataset} is not in scikit-learn's cache, and openml.org cannot be reached "
                f"({_one_line(error)}). Connect to the network and try again, or pass 'mnist', 'digits' or a file"
            ) from None
        except Exception as error:
            # Unknown names, broken downloads and unfit tables come as many types of error.
            raise DataFileError(
                f"openml:{dataset} cannot be had from openml.org: {_one_line(error)} "
                "See https://www.openml.org for the names"
            ) from None


def _one_line(error: Exception) -> str:
    return printable(" ".join(str(error).split()), MAX_MESSAGE)


def _square_images(table: Stored) -> Images:
    if (
        not isinstance(table, np.ndarray)
        or table.ndim != 2
        or table.dtype.kind not in "uif"
        or not table.size
    ):
        raise InputError("must be a dense table of numbers, a row for each image")
    check_declared("the table", table.shape, table.dtype)
    n_features = table.shape[1]
    side = math.isqrt(n_features)
    if side * side != n_features:
        raise InputError(
            f"{n_features} features are no square gray image, and whether the channels of a color image come "
            "first or last is not written there; store it as HDF5 or NPZ with images (n, height, width, channels)"
        )
    low, high = float(table.min()), float(table.max())
    # Only an exact 255 tells the scale: values up to 16 are neither 0..1 nor dark images in 0..255.
    if not (low >= 0.0 and (high <= 1.0 or high == 255.0)):
        raise InputError(f"pixels must lie in [0, 1] or reach from 0 to 255, got {low:g} to {high:g}")
    pixels = np.divide(table, 1.0 if high <= 1.0 else 255.0).astype(np.float32)
    return pixels.reshape(-1, side, side)


def _encoded(target: Stored | None) -> tuple[IntArray, tuple[str, ...]]:
    if not isinstance(target, np.ndarray) or target.ndim != 1:
        raise InputError("must have one target column with the class of each image")
    classes, labels = np.unique(_class_of_each(target), return_inverse=True)
    if len(classes) > MAX_UNNAMED_CLASSES:
        raise InputError(f"must have at most {MAX_UNNAMED_CLASSES} classes as its target, got {len(classes)}")
    # Class 10 comes after class 9, not after class 1.
    order = sorted(range(len(classes)), key=lambda i: _number_or_text(str(classes[i])))
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order))
    return rank[labels], tuple(str(classes[i]) for i in order)


def _class_of_each(target: Stored) -> Stored:
    """Return the name of each image's class, or raise if some are missing or are no names of classes."""
    if target.dtype.kind == "f":
        if not np.isfinite(target).all():
            raise InputError("must have a class for each image, got targets that are NaN or infinite")
        if not np.array_equal(target, np.round(target)) or np.abs(target).max(initial=0) > LARGEST_WHOLE:
            raise InputError("must have classes as its target, got fractions")
        return target.astype(np.int64).astype(str)
    if target.dtype.kind == "O":
        # Each is looked at before NumPy makes all as long as the longest.
        for k, name in enumerate(target):
            if not isinstance(name, str) and not (isinstance(name, int) and abs(name) <= LARGEST_WHOLE):
                raise InputError(
                    f"must have a class for each image, but the target of number {k} is {printable(ascii(name))}"
                )
            if isinstance(name, str) and len(name) > MAX_NAME_LENGTH:
                raise InputError(f"must have names of classes as its target, got one of {len(name)} letters")
    elif target.dtype.kind not in "uibU":
        raise InputError(f"must have classes as its target, got {target.dtype}")
    return target.astype(str)


def _number_or_text(name: str) -> tuple[int, float, str]:
    try:
        return 0, float(name), name
    except ValueError:
        return 1, 0.0, name
