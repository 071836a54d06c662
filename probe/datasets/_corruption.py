"""Data made wrong on purpose: noise, to measure how sure a network is, and wrong labels and pixels to memorize.

All images lie in [0, 1], the range of real images, so that a network cannot tell noise by its range.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Literal, get_args

import numpy as np

from probe._checks import (
    Array,
    InputError,
    IntArray,
    check_choice,
    check_images,
    check_integer,
    check_labels,
    check_number,
    check_rng,
    chunks,
)
from probe._kept import frozen
from probe._signatures import checked
from probe.datasets._blocks import StoredImages
from probe.datasets._dataset import AnyImages, Dataset, Images, Split

__all__ = [
    "INPUT_CORRUPTIONS",
    "LABEL_CORRUPTIONS",
    "InputCorruption",
    "LabelCorruption",
    "corrupted_inputs",
    "gaussian_noise",
    "norm_matched_noise",
    "permuted_labels",
    "pixel_shuffled",
    "redrawn_labels",
    "uniform_noise",
]

LabelCorruption = Literal["permute", "uniform"]
LABEL_CORRUPTIONS: tuple[LabelCorruption, ...] = get_args(LabelCorruption)

InputCorruption = Literal["none", "pixel-permutation", "pixel-shuffle", "gaussian"]
INPUT_CORRUPTIONS: tuple[InputCorruption, ...] = get_args(InputCorruption)

# Saturation is exact in real numbers; in floats the last free pixel may exceed 1 by rounding.
ROUNDING = 1e-12

MEASURED = 1 << 22  # pixels whose mean is taken at once: 16 MB


@checked
def uniform_noise(n_samples: int, image_shape: tuple[int, ...], *, rng: np.random.Generator) -> Images:
    """Return images whose pixels are independent and uniform in [0, 1).

    Parameters
    ----------
    n_samples : int
        Number of images, at least 1.
    image_shape : tuple of int
        (height, width) or (height, width, channels).
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    ndarray of shape (n_samples, *image_shape), float32, in [0, 1)

    Raises
    ------
    InputError
        If a size is no positive integer.

    Examples
    --------
    >>> import numpy as np
    >>> uniform_noise(2, (28, 28), rng=np.random.default_rng(0)).shape
    (2, 28, 28)
    """
    check_rng(rng)
    n = check_integer("n_samples", n_samples, minimum=1)
    if not isinstance(image_shape, tuple) or len(image_shape) not in (2, 3):
        raise InputError(
            f"image_shape must be (height, width) or (height, width, channels), got {image_shape!r}"
        )
    sizes = tuple(check_integer("each length in image_shape", length, minimum=1) for length in image_shape)
    return rng.random((n, *sizes), dtype=np.float32)


@checked
def gaussian_noise(n_samples: int, images_like: AnyImages, *, rng: np.random.Generator) -> Images:
    """Return images of independent normal pixels with the mean and deviation of real pixels, clipped.

    One mean and one standard deviation are taken over all pixels of all reference images. Clipping
    to [0, 1] is part of the definition: values below 0 become 0, values above 1 become 1, so that
    mean and deviation of the noise differ from those of the reference (a third of the pixels of
    MNIST's noise are 0, for instance).

    Parameters
    ----------
    n_samples : int
        Number of images, at least 1.
    images_like : ndarray of shape (n, height, width[, channels]), float, in [0, 1]
        Reference images; or those of a `Dataset` that stay in a file.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    ndarray of shape (n_samples, height, width[, channels]), float32, in [0, 1]

    Raises
    ------
    InputError
        If `n_samples` is no positive integer, or the reference is no array of images in [0, 1].

    Examples
    --------
    >>> import numpy as np
    >>> like = np.full((5, 4, 4), 0.25)
    >>> gaussian_noise(3, like, rng=np.random.default_rng(0)).mean()
    np.float32(0.25)
    """
    check_rng(rng)
    n = check_integer("n_samples", n_samples, minimum=1)
    if not isinstance(images_like, StoredImages):
        _check_reference("images_like", images_like)
    mean, deviation = _moments(images_like)
    noise = rng.standard_normal((n, *images_like.shape[1:]), dtype=np.float32)
    return np.asarray(np.clip(mean + deviation * noise, 0.0, 1.0))


def _moments(images: AnyImages) -> tuple[np.float32, np.float32]:
    """Return mean and standard deviation of all pixels, by parts: the same of images in memory and in a file."""
    n_pixels = math.prod(images.shape)
    parts = list(chunks(len(images), max(1, MEASURED // math.prod(images.shape[1:]))))
    mean = sum(float(images[part].sum(dtype=np.float64)) for part in parts) / n_pixels
    squares = sum(float(np.square(images[part] - mean, dtype=np.float64).sum()) for part in parts)
    return np.float32(mean), np.float32(math.sqrt(squares / n_pixels))


@checked
def pixel_shuffled(images: Array, *, rng: np.random.Generator) -> Images:
    """Return each image with its pixels in its own random order.

    An image keeps its pixel values and loses its shapes. The channels of a pixel move together.

    Parameters
    ----------
    images : ndarray of shape (n_samples, height, width[, channels]), float, in [0, 1]
        Images to shuffle.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    ndarray of the shape of `images`, float32, in [0, 1]

    Raises
    ------
    InputError
        If `images` is no array of images in [0, 1].

    Examples
    --------
    >>> import numpy as np
    >>> image = np.array([[[0.0, 0.25], [0.5, 1.0]]])
    >>> np.sort(pixel_shuffled(image, rng=np.random.default_rng(0)), axis=None)
    array([0.  , 0.25, 0.5 , 1.  ], dtype=float32)
    """
    check_rng(rng)
    _check_reference("images", images)
    n_samples, height, width = images.shape[:3]
    pixels = images.astype(np.float32, copy=False).reshape(n_samples, height * width, -1)
    orders = rng.permuted(np.tile(np.arange(height * width), (n_samples, 1)), axis=1)
    return np.take_along_axis(pixels, orders[:, :, None], axis=1).reshape(images.shape)


@checked
def norm_matched_noise(images: Array, *, rng: np.random.Generator) -> Images:
    """Return uniform noise in which image i has the Euclidean norm of `images[i]`.

    Uniform noise u in (0, 1] is scaled to the norm. Where the scale would lift pixels above 1 (images
    brighter than uniform noise; digits are darker), the pixels become min(s * u, 1), with the one s
    that gives the norm. Every norm of an image in [0, 1] is reached.

    Parameters
    ----------
    images : ndarray of shape (n_samples, height, width[, channels]), float, in [0, 1]
        Images whose norms to match.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    ndarray of the shape of `images`, float32, in [0, 1]

    Raises
    ------
    InputError
        If `images` is no array of images in [0, 1].

    Examples
    --------
    >>> import numpy as np
    >>> images = np.full((2, 4, 4), 0.5)
    >>> noise = norm_matched_noise(images, rng=np.random.default_rng(0))
    >>> np.linalg.norm(noise.reshape(2, -1), axis=1).round(5)
    array([2., 2.], dtype=float32)
    """
    check_rng(rng)
    _check_reference("images", images)
    flat = images.reshape(len(images), -1)
    squared_norms = np.einsum("ij,ij->i", flat, flat, dtype=np.float64)
    # In (0, 1], not [0, 1): a pixel that is exactly 0 could not be lifted to reach the norm.
    noise = 1.0 - rng.random(flat.shape)
    scales = np.sqrt(squared_norms / np.einsum("ij,ij->i", noise, noise))
    outside = scales * noise.max(axis=1) > 1.0
    scales[outside] = _saturating_scales(noise[outside], squared_norms[outside])
    matched: Images = np.minimum(scales[:, None] * noise, 1.0).astype(np.float32)
    return matched.reshape(images.shape)


def _saturating_scales(noise: Array, squared_norms: Array) -> Array:
    """Return the scale s of each row for which min(s * row, 1) has the given squared norm.

    If the k largest pixels are saturated, k + s**2 * (sum of squares of the others) is the squared
    norm. The k sought is the smallest for which the largest pixel of the others stays within 1.
    """
    falling = -np.sort(-noise, axis=1)
    rest = np.cumsum(falling[:, ::-1] ** 2, axis=1)[:, ::-1]
    saturated = np.arange(noise.shape[1])
    scales = np.sqrt(np.maximum(squared_norms[:, None] - saturated, 0.0) / rest)
    first = np.argmax(scales * falling <= 1.0 + ROUNDING, axis=1)
    return np.asarray(np.take_along_axis(scales, first[:, None], axis=1)[:, 0])


def _check_reference(name: str, images: Array) -> None:
    if images.ndim not in (3, 4):
        raise InputError(f"{name} must have shape (n, height, width) or with channels, got {images.shape}")
    check_images(name, images)


@checked
def permuted_labels(labels: IntArray, *, rng: np.random.Generator, fraction: float = 1.0) -> IntArray:
    """Return labels with a random part of them shuffled among their samples.

    The number of samples in each class stays the same. So a network gains no more from the class frequencies than
    it gains with the true labels. By chance some samples keep their label: about one in ten, for ten equally
    frequent classes.

    Parameters
    ----------
    labels : ndarray of shape (n_samples,), integer
        The true labels.
    rng : numpy.random.Generator
        Source of randomness: which samples take part, and their permutation.
    fraction : float in [0, 1], default 1
        Share of the samples that take part; ``round(fraction * n_samples)`` of them.

    Returns
    -------
    ndarray of shape (n_samples,), int64
        A new array, with the class counts of `labels`.

    Raises
    ------
    InputError
        If `labels` is not a row of integers, or `fraction` lies outside [0, 1].

    References
    ----------
    Zhang, Bengio, Hardt, Recht, Vinyals: Understanding deep learning requires rethinking
    generalization. ICLR 2017. There labels are drawn anew; here they are permuted.

    Examples
    --------
    >>> import numpy as np
    >>> labels = np.array([0, 0, 1, 1, 2, 2])
    >>> permuted = permuted_labels(labels, rng=np.random.default_rng(0))
    >>> np.bincount(permuted)
    array([2, 2, 2])
    """
    chosen = _chosen(labels, rng, fraction)
    permuted = labels.astype(np.int64)
    permuted[chosen] = permuted[rng.permutation(chosen)]
    return permuted


@checked
def redrawn_labels(
    labels: IntArray, n_classes: int, *, rng: np.random.Generator, fraction: float = 1.0
) -> IntArray:
    """Return labels with a random part of them replaced by random classes, all equally likely.

    By chance one in `n_classes` of these keeps its true label.

    Parameters
    ----------
    labels : ndarray of shape (n_samples,), integer
        The true labels.
    n_classes : int
        Classes to draw from, at least 1.
    rng : numpy.random.Generator
        Source of randomness: which samples take part, and their labels.
    fraction : float in [0, 1], default 1
        Share of the samples that take part; ``round(fraction * n_samples)`` of them.

    Returns
    -------
    ndarray of shape (n_samples,), int64

    Raises
    ------
    InputError
        If `labels` is not a row of integers in [0, n_classes), or `fraction` lies outside [0, 1].

    References
    ----------
    Zhang, Bengio, Hardt, Recht, Vinyals: Understanding deep learning requires rethinking
    generalization. ICLR 2017.

    Examples
    --------
    >>> import numpy as np
    >>> labels = np.zeros(6, dtype=np.int64)
    >>> redrawn_labels(labels, 10, rng=np.random.default_rng(0), fraction=0.5)
    array([0, 0, 1, 0, 0, 8])
    """
    check_integer("n_classes", n_classes, minimum=1, maximum=2**31)
    chosen = _chosen(labels, rng, fraction)
    if len(labels):
        check_labels("labels", labels, len(labels), n_classes)
    redrawn = labels.astype(np.int64)
    redrawn[chosen] = rng.integers(n_classes, size=len(chosen))
    return redrawn


def _chosen(labels: IntArray, rng: np.random.Generator, fraction: float) -> IntArray:
    """Return the samples that take part. With the same generator, those of a smaller part are among them."""
    check_rng(rng)
    share = check_number("fraction", fraction, minimum=0.0, maximum=1.0)
    if labels.ndim != 1 or not np.issubdtype(labels.dtype, np.integer):
        raise InputError(
            f"labels must be integers of shape (n_samples,), got {labels.dtype} of shape {labels.shape}"
        )
    return rng.permutation(len(labels))[: round(share * len(labels))]


@checked
def corrupted_inputs(split: Split, kind: InputCorruption, *, rng: np.random.Generator) -> Split:
    """Return `split` with the structure of its images destroyed, and the labels left as they are.

    Parameters
    ----------
    split : Split
        What to corrupt.
    kind : {"none", "pixel-permutation", "pixel-shuffle", "gaussian"}
        "pixel-permutation" permutes the pixels of all images in the same way, the test images too. To a network
        without convolutions this is the same task. "pixel-shuffle" permutes the pixels of each training image in
        its own way. "gaussian" replaces each training image by noise of the same mean and deviation (see
        `gaussian_noise`). The last two leave the test images as they are.
    rng : numpy.random.Generator
        Source of randomness.

    Raises
    ------
    InputError
        If there is no such kind.

    References
    ----------
    Zhang, Bengio, Hardt, Recht, Vinyals: Understanding deep learning requires rethinking
    generalization. ICLR 2017.

    Examples
    --------
    >>> import numpy as np
    >>> from probe.datasets import load_dataset
    >>> split = load_dataset("digits")
    >>> shuffled = corrupted_inputs(split, "pixel-shuffle", rng=np.random.default_rng(0))
    >>> bool(np.array_equal(shuffled.test.images, split.test.images))
    True
    """
    check_choice("kind", kind, INPUT_CORRUPTIONS)
    check_rng(rng)
    images = split.train.images
    if kind == "none":
        return split
    if kind == "pixel-permutation":
        order = rng.permutation(images.shape[1] * images.shape[2])
        return replace(split, train=_moved(split.train, order), test=_moved(split.test, order))
    if kind == "pixel-shuffle":
        return replace(split, train=replace(split.train, images=frozen(pixel_shuffled(images, rng=rng))))
    noise = gaussian_noise(len(images), images, rng=rng)
    return replace(split, train=replace(split.train, images=frozen(noise)))


def _moved(dataset: Dataset, order: IntArray) -> Dataset:
    """Return the images with pixel `order[k]` at place k; the channels of a pixel stay together."""
    shape = dataset.images.shape
    pixels = dataset.images.reshape(shape[0], shape[1] * shape[2], -1)
    return replace(dataset, images=frozen(np.take(pixels, order, axis=1)).reshape(shape))
