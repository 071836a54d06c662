"""Concepts that images have or lack, computed from their pixels: loops, strokes, local edges, ink."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from probe._checks import Array, InputError, check_images, check_integer
from probe._signatures import checked
from probe.results import Record

__all__ = ["KINDS", "ImageConcepts", "image_concepts"]

KINDS = ("loop", "stroke", "edge", "ink")
"""What concepts are about."""

_INK = 0.5
"""Ink is what is at least this bright, relative to the brightest pixel of the image."""

_LEVELS = tuple(k / 10 for k in range(2, 10))
"""Brightness at which a rim may stand around a hole, relative to the brightest pixel of the image."""

_DEPTH = 0.2
"""How much darker than its rim a hole is. On handwritten digits such counts are right more often than those at one
threshold, which close small loops and open thin ones."""

_END = 0.4
"""Share of the ink's height, from the top or the bottom, in which the center of an upper or lower loop lies."""

_SMALLEST_HOLE = 1 / 400
"""Share of the image that a hole must have: two of MNIST's 784 pixels, one of 64. Smaller ones are gaps in a stroke."""

_RARE = 0.02
"""A concept that fewer images have, or lack, is left out."""

_STROKES = ("—", "/", "|", "\\")
"""Orientations, anticlockwise from the horizontal in steps of 45 degrees."""

_ROWS = {1: ("",), 2: ("top", "bottom"), 3: ("top", "", "bottom")}
_COLUMNS = {1: ("",), 2: ("left", "right"), 3: ("left", "", "right")}


class ImageConcepts(Record):
    """Which images have which concepts.

    Attributes
    ----------
    names : tuple of str
        Of the concepts, such as "loop", "lower loop", "mostly |", "| top left", "much ink".
    kinds : tuple of str
        Of each concept one of "loop", "stroke", "edge" and "ink".
    values : ndarray of shape (n_concepts, n_images), bool
        Whether an image has a concept.
    n_holes : ndarray of shape (n_images,), int64
        Holes: regions that ink encloses.
    left_out : tuple of str
        Concepts that fewer than 2% of the images have, or lack.
    """

    names: tuple[str, ...]
    kinds: tuple[str, ...]
    values: npt.NDArray[np.bool_]
    n_holes: npt.NDArray[np.int64]
    left_out: tuple[str, ...]


@checked
def image_concepts(images: Array, *, regions: int = 3) -> ImageConcepts:
    """Compute from pixels which images have loops, strokes of which orientation, which local edges, and much ink.

    Background is 0, and brightness is relative to the brightest pixel of each image. A hole is a region that pixels of
    some level enclose, in tenths from 0.2 to 0.9, and that is darker than that level by 0.2. Pixels of the region touch
    along sides, those of the rim along sides or corners; holes smaller than 1/400 of the image do not count. "upper
    loop" and "lower loop" have a hole whose center lies in the upper or lower two fifths of the rows with ink, which is
    what is at least 0.5 bright.

    Edges are gradients (Sobel), in four bins of 45 degrees by the direction along the edge. The stroke of an image is
    the orientation of least change in the structure tensor of the whole image [1]_. A local edge such as "| top left"
    is there where no other orientation has more gradient energy in that region of the image, and the median image has
    less of it; "much ink" where the mean pixel is above its median over the images.

    Parameters
    ----------
    images : ndarray of shape (n_images, height, width[, channels]), float, in [0, 1]
        Several channels are averaged. At least 3 x 3 pixels.
    regions : int
        The image is cut into regions x regions parts for local edges, from 1 to 3.

    Raises
    ------
    InputError
        If there are no such images, or `regions` is out of range.

    References
    ----------
    .. [1] J. Bigün, G. H. Granlund, "Optimal orientation detection of linear symmetry", ICCV 1987.

    Examples
    --------
    >>> import probe
    >>> test = probe.load_dataset("digits").test
    >>> found = image_concepts(test.images)
    >>> loops = found.values[found.names.index("loop")]
    >>> bool(loops[test.labels == 0].mean() > 0.9), bool(loops[test.labels == 1].mean() < 0.1)
    (True, True)
    """
    images = np.asarray(images)
    check_images("images", images)
    check_integer("regions", regions, minimum=1, maximum=3)
    if images.ndim not in (3, 4) or min(images.shape[1:3]) < 3:
        raise InputError(
            f"images must have shape (n, height, width[, channels]) with 3 x 3 pixels or more, got {images.shape}"
        )
    gray = (images if images.ndim == 3 else images.mean(axis=-1)).astype(np.float32, copy=False)
    n_holes, upper, lower = _holes(gray)
    found = {
        "loop": ("loop", n_holes > 0),
        "two loops": ("loop", n_holes > 1),
        "upper loop": ("loop", upper),
        "lower loop": ("loop", lower),
    }
    down, right = _gradients(gray)
    strokes = _stroke(down, right)
    found |= {f"mostly {sign}": ("stroke", strokes == k) for k, sign in enumerate(_STROKES)}
    found |= {name: ("edge", there) for name, there in _local_edges(down, right, regions).items()}
    ink = gray.mean(axis=(1, 2))
    found["much ink"] = ("ink", ink > np.median(ink))
    shares = {name: float(values.mean()) for name, (_, values) in found.items()}
    kept = [name for name, share in shares.items() if _RARE <= share <= 1 - _RARE]
    return ImageConcepts(
        names=tuple(kept),
        kinds=tuple(found[name][0] for name in kept),
        values=np.stack([found[name][1] for name in kept]) if kept else np.zeros((0, len(gray)), bool),
        n_holes=n_holes,
        left_out=tuple(name for name in found if name not in kept),
    )


def has_loop(images: Array) -> npt.NDArray[np.bool_]:
    """Return which images (n_images, height, width[, channels]) enclose a hole, as `image_concepts` does for "loop"."""
    gray = images if images.ndim == 3 else images.mean(axis=-1)
    return np.asarray(_holes(gray.astype(np.float32, copy=False))[0] > 0)


def _holes(gray: Array) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Return how many holes each image has, whether one is in the upper part of the ink, and in the lower."""
    n, height, width = gray.shape
    brightest = gray.max(axis=(1, 2), keepdims=True)
    scaled = gray / np.where(brightest > 0, brightest, 1)
    hollow: npt.NDArray[np.bool_] = np.zeros(gray.shape, bool)
    for level in _LEVELS:
        # Rounding must not decide about pixels that are just as dark as is asked for.
        hollow |= np.asarray(_enclosed(scaled, level) & (scaled <= level - _DEPTH + 1e-6))
    labels, n_labels = _components(hollow)
    flat = labels.ravel()
    sizes = np.bincount(flat, minlength=n_labels + 1)
    image_of = np.zeros(n_labels + 1, np.int64)
    image_of[flat] = np.repeat(np.arange(n), height * width)
    rows = np.broadcast_to(np.arange(height, dtype=np.float64)[None, :, None], labels.shape)
    centers = np.bincount(flat, rows.ravel(), n_labels + 1) / np.maximum(sizes, 1)
    holes = 1 + np.flatnonzero(sizes[1:] >= _SMALLEST_HOLE * height * width)
    owners = image_of[holes]
    inked = np.asarray((scaled >= _INK).any(axis=2))
    top, bottom = inked.argmax(axis=1), height - 1 - inked[:, ::-1].argmax(axis=1)
    where = (centers[holes] - top[owners]) / np.maximum(bottom - top, 1)[owners]
    upper, lower = np.zeros(n, bool), np.zeros(n, bool)
    upper[owners[where <= _END]] = True
    lower[owners[where >= 1 - _END]] = True
    return np.bincount(owners, minlength=n), upper, lower


def _enclosed(scaled: Array, level: float) -> npt.NDArray[np.bool_]:
    """Return which pixels below `level` have no way to the border but across others."""
    # A frame of background joins all that touches the border.
    below = np.pad(scaled < level, ((0, 0), (1, 1), (1, 1)), constant_values=True)
    labels, n_labels = _components(below)
    inside = np.ones(n_labels + 1, bool)
    inside[0] = False
    inside[labels[:, 0, 0]] = False
    found: npt.NDArray[np.bool_] = inside[labels[:, 1:-1, 1:-1]]
    return found


def _components(mask: npt.NDArray[np.bool_]) -> tuple[npt.NDArray[np.int64], int]:
    """Return the parts of each image (n, height, width) that touch along sides, numbered through, and how many."""
    from scipy import ndimage

    sides = np.zeros((3, 3, 3), bool)
    sides[1] = ndimage.generate_binary_structure(2, 1)
    labels, n_labels = ndimage.label(mask, sides)
    return labels, n_labels


def _gradients(gray: Array) -> tuple[Array, Array]:
    """Return the derivatives downwards and to the right; beyond the border is background."""
    from scipy import ndimage

    down: Array = gray
    right: Array = gray
    for axis, kernel_down, kernel_right in ((1, [-1, 0, 1], [1, 2, 1]), (2, [1, 2, 1], [-1, 0, 1])):
        down = ndimage.correlate1d(down, kernel_down, axis=axis, mode="constant")
        right = ndimage.correlate1d(right, kernel_right, axis=axis, mode="constant")
    return down, right


def _stroke(down: Array, right: Array) -> npt.NDArray[np.int64]:
    """Return for each image in which of the four bins the orientation of least change lies."""
    rows, columns, mixed = (
        (a * b).sum(axis=(1, 2), dtype=np.float64) for a, b in ((down, down), (right, right), (down, right))
    )
    # Rows count downwards, angles anticlockwise: hence the sign. Along a stroke is across its gradient.
    across = np.arctan2(-2 * mixed, columns - rows) / 2
    return _bin(across + np.pi / 2)


def _bin(angle: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """Return the nearest of 0, 45, 90 and 135 degrees, as 0 to 3."""
    return np.asarray(np.rint(angle / (np.pi / 4)).astype(np.int64) % 4)


def _local_edges(down: Array, right: Array, regions: int) -> dict[str, npt.NDArray[np.bool_]]:
    """Return for each orientation in each region which images have such an edge there, (n_images,), by name."""
    energy = np.square(down) + np.square(right)
    orientation = _bin(np.arctan2(-down, right) + np.pi / 2)
    row_cuts, column_cuts = (
        np.rint(np.linspace(0, length, regions, endpoint=False)).astype(int) for length in energy.shape[1:]
    )
    sums = []
    for k in range(len(_STROKES)):
        by_row = np.add.reduceat(np.where(orientation == k, energy, 0), row_cuts, axis=1)
        sums.append(np.add.reduceat(by_row, column_cuts, axis=2))
    found = np.stack(sums)
    there = (found > np.median(found, axis=1, keepdims=True)) & (found == found.max(axis=0))
    return {
        f"{sign} {f'{row} {column}'.strip() or 'center'}": there[k, :, i, j]
        for k, sign in enumerate(_STROKES)
        for i, row in enumerate(_ROWS[regions])
        for j, column in enumerate(_COLUMNS[regions])
    }
