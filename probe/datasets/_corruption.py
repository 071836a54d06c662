"""Labels and pixels made wrong on purpose, to test whether a network can memorize them."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np

from probe._checks import (
    InputError,
    IntArray,
    check_choice,
    check_integer,
    check_labels,
    check_number,
    check_rng,
)
from probe._signatures import checked
from probe.datasets._dataset import Dataset, Split
from probe.datasets._noise import gaussian_noise, pixel_shuffled

__all__ = [
    "INPUT_CORRUPTIONS",
    "LABEL_CORRUPTIONS",
    "InputCorruption",
    "LabelCorruption",
    "corrupted_inputs",
    "permuted_labels",
    "redrawn_labels",
]

LabelCorruption = Literal["permute", "uniform"]
LABEL_CORRUPTIONS = ("permute", "uniform")

InputCorruption = Literal["none", "pixel-permutation", "pixel-shuffle", "gaussian"]
INPUT_CORRUPTIONS = ("none", "pixel-permutation", "pixel-shuffle", "gaussian")


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
        return replace(split, train=replace(split.train, images=pixel_shuffled(images, rng=rng)))
    noise = gaussian_noise(len(images), images, rng=rng)
    return replace(split, train=replace(split.train, images=noise))


def _moved(dataset: Dataset, order: IntArray) -> Dataset:
    """Return the images with pixel `order[k]` at place k; the channels of a pixel stay together."""
    shape = dataset.images.shape
    pixels = dataset.images.reshape(shape[0], shape[1] * shape[2], -1)
    return replace(dataset, images=pixels[:, order].reshape(shape))
