"""Small pictures for pages and paper, one block of dots for each pixel, as PNG with a palette in a data URI."""

from __future__ import annotations

import base64
import io

import numpy as np
import numpy.typing as npt
from markupsafe import Markup

from probe._checks import Array

__all__ = ["image_uri", "is_color", "weights_uri"]

_BLUE, _ORANGE = np.array([0x00, 0x72, 0xB2]), np.array([0xD5, 0x5E, 0x00])
"""Of positive and of negative weights, as everywhere."""

_LEVELS = 8
"""Shades of each sign."""

_DOTS = 128
"""Dots along the longer side of a picture of weights, about: two to six for each pixel."""

Codes = npt.NDArray[np.uint8]


def is_color(shape: tuple[int, ...]) -> bool:
    """Return whether images of a shape (height, width[, channels]) are drawn in color."""
    return len(shape) == 3 and shape[2] == 3


def image_uri(image: Array) -> Markup:
    """Return an image (height, width[, channels]) in [0, 1]; gray ones as ink on paper."""
    levels = np.rint(image * 255).astype(np.uint8)
    if is_color(image.shape):
        return _uri(levels, "RGB")
    gray = levels if image.ndim == 2 else levels.mean(axis=2).astype(np.uint8)
    return _uri(255 - gray, "L")


def weights_uri(weights: Array, limit: float) -> Markup:
    """Return weights (height, width[, channels]), those of the channels summed, in colors that are full at `limit`.

    Negative weights are hatched, so that paper without colors shows the sign too.
    """
    plane = weights if weights.ndim == 2 else weights.sum(axis=2)
    block = int(np.clip(round(_DOTS / max(plane.shape)), 2, 6))
    shades = np.rint(np.clip(plane / limit, -1, 1) * _LEVELS).astype(np.int64)
    dots = shades.repeat(block, axis=0).repeat(block, axis=1)
    rows, columns = np.indices(dots.shape)
    dots[(dots < 0) & ((rows + columns) % block == 0)] = 0
    shares = np.abs(np.arange(-_LEVELS, _LEVELS + 1)) / _LEVELS
    full = np.where(np.arange(-_LEVELS, _LEVELS + 1)[:, None] < 0, _ORANGE, _BLUE)
    palette = np.rint(255 + shares[:, None] * (full - 255)).astype(np.uint8)
    return _uri((dots + _LEVELS).astype(np.uint8), "P", palette)


def _uri(codes: Codes, mode: str, palette: Codes | None = None) -> Markup:
    from PIL import Image

    picture = Image.fromarray(codes, "L" if mode == "P" else mode)
    if palette is not None:
        picture.putpalette(palette.tobytes())
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG", optimize=True)
    return Markup("data:image/png;base64,") + base64.b64encode(buffer.getvalue()).decode("ascii")
