"""Labeled images as values: the input of every training run and every analysis; and their size changed."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from probe._checks import (
    Array,
    InputError,
    IntArray,
    check_class_names,
    check_images,
    check_indices,
    check_integer,
    check_labels,
    check_rng,
    chunks,
    readonly,
)
from probe._kept import frozen, kept
from probe._signatures import checked
from probe.datasets._blocks import Images, StoredImages, pixel_digest
from probe.safeh5 import printable

__all__ = ["AnyImages", "Dataset", "Images", "Split", "check_image_shape", "resized", "resized_images"]

if TYPE_CHECKING:
    # Who reads images is written for arrays. Those in a file say themselves what they do not do.
    AnyImages = Images
else:
    AnyImages = Images | StoredImages

RESIZING_BLOCK = 4096

CHANNELS = (1, 3, 4)  # gray, color, and color with opacity


@checked
@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Dataset:
    """Images with a class label each.

    The arrays are not copied. They are seen through read-only views. Images that `load_dataset` left in their file, because
    they are larger than memory, are read part by part. What training and `fingerprint` derive from images is kept as long
    as these, if nobody can write to them: those of `load_dataset`, and your own after ``images.setflags(write=False)``.

    Parameters
    ----------
    images : ndarray of shape (n_samples, height, width[, channels]), float32, in [0, 1]
        0 is background or black, 1 is full ink or full brightness.
    labels : ndarray of shape (n_samples,), integer, in [0, n_classes)
        Class of each image: its index in `class_names`. Stored as int64.
    class_names : tuple of str
        One distinct name for each class, of at most 256 characters that can be printed.

    Raises
    ------
    InputError
        If an array has the wrong type, shape or range, if the channels come first, or if class names
        repeat or cannot be shown.

    Examples
    --------
    >>> import numpy as np
    >>> from probe.datasets import Dataset
    >>> images = np.zeros((3, 2, 2), dtype=np.float32)
    >>> data = Dataset(images, np.array([0, 1, 1]), class_names=("cat", "dog"))
    >>> data
    Dataset(3 images of 2 x 2, 2 classes)
    >>> data.take([0, 2]).labels
    array([0, 1])
    """

    images: AnyImages
    labels: IntArray
    class_names: tuple[str, ...]

    def __post_init__(self) -> None:
        check_class_names("class_names", self.class_names)
        if not isinstance(self.images, StoredImages):
            _check_pixels(self.images)
            object.__setattr__(self, "images", readonly(self.images))
        _check_is_array("labels", self.labels)
        check_labels("labels", self.labels, len(self.images), len(self.class_names))
        object.__setattr__(self, "labels", readonly(self.labels.astype(np.int64, copy=False)))

    def __repr__(self) -> str:
        size = " x ".join(str(length) for length in self.image_shape)
        return f"Dataset({self.n_samples} images of {size}, {self.n_classes} classes)"

    def __len__(self) -> int:
        return self.n_samples

    def __reduce__(self) -> tuple[Any, ...]:
        # NumPy forgets the read-only flag in a pickle.
        return _restored, (self.images, self.labels, self.class_names)

    @property
    def n_samples(self) -> int:
        """Number of images."""
        return len(self.images)

    @property
    def image_shape(self) -> tuple[int, ...]:
        """Shape of one image: (height, width) or (height, width, channels)."""
        return self.images.shape[1:]

    @property
    def n_classes(self) -> int:
        """Number of classes, whether or not each of them occurs."""
        return len(self.class_names)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the images and labels, as 64 hexadecimal digits; the images' part is computed once.

        Equal data give equal fingerprints, on every machine. The hash runs over a line of text
        with the shapes and the way the pixels were taken, then the SHA-256 of the pixels and that
        of the labels (little-endian int64). Pixels that all are exactly k/255 are taken as the
        bytes k, all others as little-endian float32. Class names do not count.
        """
        stored = self.images
        encoding, pixels = (
            stored.digest()
            if isinstance(stored, StoredImages)
            else kept((stored,), "digest", lambda: pixel_digest(stored))
        )
        header = f"probe dataset 1: images {self.images.shape} {encoding}, labels {self.labels.shape} <i8\n"
        labels = hashlib.sha256(np.ascontiguousarray(self.labels, dtype="<i8").data)
        return hashlib.sha256(header.encode() + pixels + labels.digest()).hexdigest()

    def take(self, samples: slice | npt.ArrayLike) -> Dataset:
        """Return the data set of some samples, in the order asked for.

        Parameters
        ----------
        samples : slice, or array_like of shape (n_taken,), integer, in [0, n_samples)
            Which samples; at least one. An index may occur more than once.

        Returns
        -------
        Dataset
            With the same class names, even if a class no longer occurs. Of images in a file at most 256 MiB become an
            array; more stay there.

        Raises
        ------
        InputError
            If an index is out of range, or if no sample is taken.
        """
        chosen = samples if isinstance(samples, slice) else check_indices("samples", samples, self.n_samples)
        stored = self.images
        images = stored.take(chosen) if isinstance(stored, StoredImages) else frozen(stored[chosen])
        return Dataset(images, self.labels[chosen], self.class_names)

    def sample(self, n: int, *, rng: np.random.Generator) -> Dataset:
        """Return `n` samples drawn at random without replacement, in the order of this data set.

        Parameters
        ----------
        n : int
            From 1 to `n_samples`.
        rng : numpy.random.Generator
            Draws them.

        Raises
        ------
        InputError
            If there are fewer than `n`.
        """
        check_integer("n", n, minimum=1, maximum=self.n_samples)
        check_rng(rng)
        return self.take(np.sort(rng.choice(self.n_samples, n, replace=False)))

    def with_labels(self, labels: IntArray) -> Dataset:
        """Return the data set of the same images with other labels.

        Parameters
        ----------
        labels : ndarray of shape (n_samples,), integer, in [0, n_classes)
            The new label of each image.

        Returns
        -------
        Dataset
            With the same images and class names.

        Raises
        ------
        InputError
            If the labels do not fit the images or the classes.
        """
        return Dataset(self.images, labels, self.class_names)


@checked
@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """Images to train on and images to test on.

    Parameters
    ----------
    train, test : Dataset
        With the same image shape and the same class names.
    name : str
        Name of the data in reports.

    Raises
    ------
    InputError
        If the two parts do not belong together, or if the name is empty.

    Examples
    --------
    >>> from probe.datasets import load_dataset
    >>> load_dataset("mnist")
    Split(train=Dataset(60000 images of 28 x 28, 10 classes),
          test=Dataset(10000 images of 28 x 28, 10 classes), name='mnist')
    """

    train: Dataset
    test: Dataset
    name: str

    def __post_init__(self) -> None:
        for key, part in (("train", self.train), ("test", self.test)):
            if not isinstance(part, Dataset):
                raise InputError(f"{key} must be a Dataset, got {type(part).__name__}")
        if not isinstance(self.name, str) or not self.name or not self.name.isprintable():
            raise InputError(
                f"name must be a non-empty string that can be printed, got {printable(ascii(self.name))}"
            )
        if self.train.image_shape != self.test.image_shape:
            raise InputError(
                f"test images must have the shape of the training images, {self.train.image_shape}, "
                f"got {self.test.image_shape}"
            )
        if self.train.class_names != self.test.class_names:
            raise InputError(
                f"test data must have the class names of the training data, {printable(self.train.class_names)}, "
                f"got {printable(self.test.class_names)}"
            )

    @property
    def noun(self) -> str:
        """What one image is called: "digit" where it is gray and the classes are the ten digits, else "image"."""
        is_digit = self.train.class_names == tuple("0123456789") and len(self.train.image_shape) == 2
        return "digit" if is_digit else "image"

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the two fingerprints, training first, as 64 hexadecimal digits."""
        both = f"probe split 1: {self.train.fingerprint} {self.test.fingerprint}\n"
        return hashlib.sha256(both.encode()).hexdigest()


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
    height, width = (check_integer("each of shape", size, minimum=1) for size in shape)
    return Split(
        _resized(split.train, height, width),
        _resized(split.test, height, width),
        f"{split.name} {height} x {width}",
    )


def _resized(data: Dataset, height: int, width: int) -> Dataset:
    return replace(data, images=frozen(resized_images(data.images, height, width)))


def _restored(images: AnyImages, labels: IntArray, class_names: tuple[str, ...]) -> Dataset:
    """Return a data set from a pickle, to whose arrays nobody else can write."""
    return Dataset(images if isinstance(images, StoredImages) else frozen(images), labels, class_names)


def resized_images(images: Images, height: int, width: int) -> Images:
    """Return images of another height and width, see `resized`; those that have it already as they are."""
    if images.shape[1:3] == (height, width):
        return images
    rows, columns = _shares(images.shape[1], height), _shares(images.shape[2], width)
    made = np.empty((len(images), height, width, *images.shape[3:]), np.float32)
    for part in chunks(len(images), RESIZING_BLOCK):
        along = np.moveaxis(np.tensordot(images[part], rows, axes=(1, 1)), -1, 1)
        made[part] = np.moveaxis(np.tensordot(along, columns, axes=(2, 1)), -1, 2)
    # A mean of values in [0, 1] may leave it in the last digit.
    return np.clip(made, 0, 1, out=made)


@lru_cache(maxsize=16)
def _shares(before: int, after: int) -> Array:
    """Return how much of each new pixel each old one is, of shape (after, before); rows sum to one."""
    edges = np.linspace(0, before, after + 1)
    places = np.arange(before)
    low = np.maximum(edges[:-1, None], places)
    high = np.minimum(edges[1:, None], places + 1)
    covered = np.maximum(high - low, 0)
    return np.asarray(covered / covered.sum(axis=1, keepdims=True), np.float32)


def _check_is_array(name: str, values: object) -> None:
    if not isinstance(values, np.ndarray):
        raise InputError(f"{name} must be a NumPy array, got {type(values).__name__}")
    if isinstance(values, np.ma.MaskedArray):
        raise InputError(
            f"{name} must be a plain array, got a masked one; use {name}.filled(0) or leave images out"
        )


def _check_pixels(images: Images) -> None:
    _check_is_array("images", images)
    check_image_shape("images", images.shape)
    check_images("images", images)
    if images.dtype != np.float32:
        raise InputError(f"images must be float32, got {images.dtype}; convert with astype(np.float32)")


def check_image_shape(name: str, shape: tuple[int, ...]) -> None:
    """Raise unless this is the shape of gray images or of images with their channels last."""
    if len(shape) not in (3, 4):
        raise InputError(
            f"{name} must have shape (n_samples, height, width) or (n_samples, height, width, channels), "
            f"got {shape}; reshape them first"
        )
    # PyTorch's (n, 3, 32, 32) would pass for images 3 pixels high with 32 channels.
    if len(shape) == 4 and shape[1] in CHANNELS and min(shape[2:]) > max(CHANNELS):
        n_channels = "channel" if shape[1] == 1 else "channels"
        raise InputError(
            f"{name} must have their channels last, (n_samples, height, width, channels), but {shape} has "
            f"{shape[1]} {n_channels} first; use numpy.moveaxis(images, 1, -1)"
        )
