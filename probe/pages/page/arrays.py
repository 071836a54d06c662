"""Arrays and images as JSON that the script of the page decodes."""

from __future__ import annotations

import base64
import zlib
from typing import Any

import numpy as np
import numpy.typing as npt

from probe._checks import Array, InputError, check_integer
from probe._signatures import checked
from probe.datasets import Dataset

__all__ = ["encoded", "encoded_images"]

_LEVEL = 7
"""Of compression: the highest makes digits 0.6% smaller and takes ten times as long."""

_LEVELS = (255, 16)
"""Pixels that are all k/255, or k/16 as scikit-learn's digits are, are stored exactly."""


@checked
def encoded(array: npt.NDArray[Any], *, scale: float | None = None) -> dict[str, Any]:
    """Return an array as JSON holds it: type, shape and compressed bytes, row-major.

    Parameters
    ----------
    array : ndarray
        Of any shape; bool, integers of up to 32 bits or floats.
    scale : float, optional
        What the script multiplies stored values by.

    Raises
    ------
    InputError
        If the script has no such type of array.

    Examples
    --------
    >>> encoded(np.array([[0, 51, 255]], np.uint8), scale=1 / 255)["shape"]
    [1, 3]
    """
    kind = array.dtype
    if kind.kind not in "buif" or (kind.kind in "ui" and kind.itemsize > 4) or kind.itemsize > 8:
        raise InputError(f"array must be bool, an integer of up to 32 bits or a float, got {kind}")
    stored = np.ascontiguousarray(array, kind.newbyteorder("<"))
    packed = base64.b64encode(zlib.compress(stored.tobytes(), _LEVEL)).decode()
    described: dict[str, Any] = {"dtype": kind.name, "shape": list(array.shape)}
    return described | ({} if scale is None else {"scale": scale}) | {"zlib": packed}


@checked
def encoded_images(dataset: Dataset, n: int, budget: int) -> dict[str, Any]:
    """Return the first images of a data set, as many as fit.

    Parameters
    ----------
    dataset : Dataset
        Where they are from.
    n : int
        How many at most, at least 1.
    budget : int
        Characters that they may take, at least 1; a single image is returned even if it takes more.

    Returns
    -------
    dict
        "pixels" and "labels" as `encoded` arrays; "exact": whether the pixels are those of the data set, or these rounded to
        8 bits; and "frame": where the ink of such images lies, so that a drawing can be made like them. Its "box" is the
        larger of height and width of what is not 0, its "center" the row and column of the center of mass, counted in
        pixels from the top left corner; both are medians.
    """
    check_integer("n", n, minimum=1)
    check_integer("budget", budget, minimum=1)
    n = min(n, len(dataset))
    while True:
        images = dataset.images[:n]
        levels, stored, exact = _in_bytes(images)
        pixels = encoded(stored, scale=1 / levels)
        size = len(pixels["zlib"])
        if size <= budget or n == 1:
            break
        # A little less than what would fit if all images were alike.
        n = max(1, min(n - 1, int(0.98 * n * budget / size)))
    kind = np.uint8 if dataset.n_classes <= 256 else np.int32
    return {
        "pixels": pixels,
        "labels": encoded(dataset.labels[:n].astype(kind)),
        "exact": exact,
        "frame": _frame(images),
    }


def _frame(images: Array) -> dict[str, Any]:
    """Return the side of the box that ink lies in, and the center of its mass."""
    ink = images.reshape(*images.shape[:3], -1).sum(axis=3, dtype=np.float64)
    ink = ink[ink.any(axis=(1, 2))]
    if not len(ink):
        return {}
    sides, centers = [], []
    for axis in (2, 1):
        along = ink.sum(axis=axis)
        lit = along > 0
        n = along.shape[1]
        sides.append(n - lit.argmax(axis=1) - lit[:, ::-1].argmax(axis=1))
        centers.append(float(np.median(along @ (np.arange(n) + 0.5) / along.sum(axis=1))))
    return {"box": float(np.median(np.maximum(*sides))), "center": centers}


def _in_bytes(images: Array) -> tuple[int, npt.NDArray[np.uint8], bool]:
    """Return pixels as k of k/levels, and whether that is exact."""
    for levels in _LEVELS:
        stored = np.rint(images * levels).astype(np.uint8)
        if np.array_equal(stored / np.float32(levels), images):
            return levels, stored, True
    return 255, np.rint(images * 255).astype(np.uint8), False
