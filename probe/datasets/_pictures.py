"""Folders of pictures as arrays: each picture is decoded by Pillow, within limits, and as it looks, or it is refused."""

from __future__ import annotations

import io
import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from probe._checks import InputError, warn
from probe.datasets._dataset import resized_images
from probe.datasets._folders import SHOWN, listing_of
from probe.datasets._stored import ArrayFile, check_declared
from probe.safeh5 import MAX_EXPANSION, DamagedError, open_regular, printable

__all__ = ["open_pictures"]

Levels = npt.NDArray[np.uint8]

FORMATS = ("PNG", "JPEG", "GIF", "BMP", "PPM")
"""Formats of Pillow. Others need libraries that crafted files crash more often (TIFF, WebP), or run programs (EPS)."""

GRAY, COLOR = ("1", "L", "LA"), ("P", "RGB", "RGBA", "PA")
"""Modes of Pillow, which say what a pixel is. A palette is of colors."""

MAX_PIXELS = 1 << 26
MAX_FILE_BYTES = 256 << 20
FREE_BYTES = 64 << 20  # of all pictures together, before they must be worth the bytes of their files
MAX_SCANS = 100  # of a JPEG file. Progressive ones have about 10; each takes the time of the whole picture.
START_OF_SCAN = b"\xff\xda"
PNG_DEPTH = 24  # the byte of a PNG file that says how many bits a value has
OPAQUE = 255


@contextmanager
def open_pictures(folder: Path, image_size: tuple[int, int] | None) -> Iterator[ArrayFile]:
    """Open a folder of pictures, see `listing_of`; with `image_size`, (height, width), each is resized to it."""
    listing = listing_of(folder)
    if listing.left_out:
        part = printable(listing.left_out, SHOWN)
        warn(f"the pictures of '{part}' are left out: networks are trained on train and tested on test")
    rank = {name: index for index, name in enumerate(listing.class_names)}
    pictures = [*listing.train, *(listing.test or ())]
    labels = np.array([rank[picture.label] for picture in pictures])
    images, n_train = _images(folder, [picture.path for picture in pictures], image_size), len(listing.train)
    arrays: dict[str, npt.NDArray[Any]] = {"images": images[:n_train], "labels": labels[:n_train]}
    if listing.test is not None:
        arrays |= {"test_images": images[n_train:], "test_labels": labels[n_train:]}
    yield ArrayFile(arrays, arrays.__getitem__, listing.class_names)


def _images(folder: Path, paths: Sequence[Path], image_size: tuple[int, int] | None) -> Levels:
    """Return the pixels of all pictures: (n, height, width), or (n, height, width, 3) if any of them has colors."""

    def shown(path: Path) -> str:
        return printable(path.relative_to(folder).as_posix(), SHOWN)

    images = np.empty((0, 0, 0), np.uint8)
    n_packed = n_unpacked = 0
    with warnings.catch_warnings():
        # Pillow's, of what is odd in files.
        warnings.simplefilter("ignore")
        for index, path in enumerate(paths):
            try:
                levels, n_bytes = _read(path, MAX_EXPANSION * n_packed + FREE_BYTES - n_unpacked)
            except (InputError, DamagedError) as error:
                raise type(error)(f"{shown(path)} {error}") from None
            n_packed, n_unpacked = n_packed + n_bytes, n_unpacked + levels.size
            if image_size is not None:
                levels = _resized(levels, image_size)
            if not index:
                check_declared("the pictures", (len(paths), *levels.shape), levels.dtype)
                images = np.empty((len(paths), *levels.shape), np.uint8)
            if levels.shape[:2] != images.shape[1:3]:
                raise InputError(
                    f"pictures must have one size, but {shown(paths[0])} is {_size(images[0])} and {shown(path)} "
                    f"{_size(levels)}. Resize them with --image-size 32,32 (image_size=(32, 32) in Python), or another "
                    "height and width"
                )
            if levels.ndim == 3 and images.ndim == 3:
                # The first in color: the gray ones before it look the same in color.
                check_declared("the pictures", (len(paths), *levels.shape), levels.dtype)
                images = np.repeat(images[..., None], 3, axis=-1)
            images[index] = levels if levels.ndim == images.ndim - 1 else levels[..., None]
    return images


def _size(levels: Levels) -> str:
    return f"{levels.shape[0]} x {levels.shape[1]}"


def _resized(levels: Levels, image_size: tuple[int, int]) -> Levels:
    """Return a picture of another size, in whole levels as pictures have them."""
    if levels.shape[:2] == image_size:
        return levels
    means: npt.NDArray[np.float32] = resized_images(
        np.divide(levels, np.float32(OPAQUE), dtype=np.float32)[None], *image_size
    )
    rounded: Levels = np.rint(means[0] * OPAQUE).astype(np.uint8)
    return rounded


def _read(path: Path, most: int) -> tuple[Levels, int]:
    """Return a picture of at most `most` pixels beyond what its file may expand to, and the bytes of the file."""
    with open_regular(path) as file:
        n_bytes = os.fstat(file.fileno()).st_size
        if n_bytes > MAX_FILE_BYTES:
            raise InputError(
                f"has {n_bytes} bytes, more than the {MAX_FILE_BYTES} of a picture that are read"
            )
        return _decoded(file.read(n_bytes), most + MAX_EXPANSION * n_bytes), n_bytes


def _decoded(content: bytes, most: int) -> Levels:
    """Return a picture as it looks, upright and by its palette: (height, width) if it is gray, else (height, width, 3).

    Raises
    ------
    DamagedError
        If it cannot be decoded.
    InputError
        If it is whole, but what it looks like depends on something else, or it has more than `most` pixels.
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as picture:
            _check_header(picture, content, most)
            upright = ImageOps.exif_transpose(picture)
            has_alpha = "A" in upright.mode or "transparency" in upright.info
            if has_alpha and upright.convert("RGBA").getchannel("A").getextrema()[0] != OPAQUE:
                raise InputError(
                    "has transparent pixels, and what is behind them is not guessed; lay it on a background first"
                )
            levels: Levels = np.asarray(upright.convert("L" if upright.mode in GRAY else "RGB"))
    except (InputError, DamagedError, MemoryError):
        raise
    except UnidentifiedImageError:
        formats = ", ".join(FORMATS)
        raise DamagedError(f"is no picture of a format that is read ({formats}); save it as PNG") from None
    except Exception as error:
        # Decoders raise errors of all types.
        reason = printable(" ".join(str(error).split()) or type(error).__name__, SHOWN)
        raise DamagedError(f"cannot be decoded: {reason}") from None
    return levels


def _check_header(picture: Any, content: bytes, most: int) -> None:
    """Raise, before any pixel is decoded, if a picture is too large or there is more than one way to look at it."""
    width, height = picture.size
    if width * height > MAX_PIXELS:
        raise InputError(
            f"has {height} x {width} pixels, more than the {MAX_PIXELS} that are read; store it smaller"
        )
    if width * height > most:
        raise InputError(
            f"would expand from {len(content)} bytes to {height} x {width} pixels, more than {MAX_EXPANSION} times"
        )
    if picture.format in ("JPEG", "MPO") and content.count(START_OF_SCAN) > MAX_SCANS:
        raise DamagedError(f"has more than {MAX_SCANS} scans; save it anew")
    # A second picture in a JPEG file (MPO) is a preview or a depth map, and not the next of an animation.
    if picture.format != "MPO" and getattr(picture, "is_animated", False):
        raise InputError("is animated; save one picture of it as PNG")
    if picture.mode[0] in "IF" or _largest(picture, content) > OPAQUE:
        raise InputError(
            "has more than 8 bits for a value, of whose scale one cannot be sure; save it with 8, or store all as NPZ "
            "with floats in [0, 1]"
        )
    if picture.mode not in GRAY + COLOR:
        raise InputError(f"has colors of the kind {printable(picture.mode, 20)}; save it as RGB or gray")


def _largest(picture: Any, content: bytes) -> int:
    """Return the largest value that the pixels of a file can have; Pillow would scale it without a word."""
    if picture.format == "PNG":
        return int(2 ** content[PNG_DEPTH] - 1)
    arguments = picture.tile[0].args if picture.format == "PPM" else ()
    return int(arguments[1]) if len(arguments) == 2 and isinstance(arguments, tuple) else 0
