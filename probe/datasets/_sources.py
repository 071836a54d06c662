"""From a name or a path to a `Split`."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import partial
from pathlib import Path
from typing import Any, get_args

import numpy as np

from probe._checks import (
    DataFileError,
    InputError,
    brief,
    check_choice,
    check_class_names,
    check_number,
    check_sizes,
)
from probe.datasets._dataset import Split, resized
from probe.datasets._formats import open_hdf5, open_npz
from probe.datasets._idx import idx_sets, open_idx
from probe.datasets._named import load_digits, load_mnist, load_openml
from probe.datasets._pictures import open_pictures
from probe.datasets._stored import (
    MAX_MESSAGE,
    UNIT_RANGE,
    ArrayFile,
    ImagesIn,
    check_declared,
    named,
    refused_as_data_error,
    split_in,
)
from probe.safeh5 import DamagedError, is_hdf5, open_regular, printable

__all__ = ["DataSource", "is_named", "load_dataset"]

NAMED: dict[str, Callable[[], Split]] = {"mnist": load_mnist, "digits": load_digits}
OPENML_PREFIX = "openml:"
PICTURES = (b"\x89PNG", b"\xff\xd8\xff", b"GIF8")
TABLES = (".csv", ".tsv")


def load_dataset(
    name_or_path: str | os.PathLike[str],
    *,
    pixel_range: tuple[float, float] = UNIT_RANGE,
    class_names: Sequence[str] | None = None,
    image_size: tuple[int, int] | None = None,
    images_in: ImagesIn = "auto",
) -> Split:
    """Load images and labels by name, or from a file or folder of your own.

    Parameters
    ----------
    name_or_path : str or path
        One of

        - ``"mnist"``: 60,000 + 10,000 handwritten digits of 28 x 28, part of this package;
        - ``"digits"``: scikit-learn's 1,797 digits of 8 x 8; the last fifth of each class, in the
          file's order, is the test set;
        - ``"openml:NAME"``: a table of square gray images from openml.org, with pixels in [0, 1]
          or from 0 to 255; needs the network the first time, scikit-learn's cache later. The last
          seventh of each class is the test set;
        - the path of an HDF5 or NPZ file (told apart by their content) with `images`, `labels`
          and, if the test set is given, `test_images`, `test_labels`; with `x_train`, `y_train`,
          `x_test`, `y_test`, as Keras' ``mnist.npz`` and ``cifar10.npz``; or with `train_images`, `train_labels`,
          `test_images`, `test_labels`, as MedMNIST's files, whose `val_images` are left out. Without a test set,
          the last sixth of each class becomes one. Labels are names of classes, which are sorted, or numbers.
          `class_names` (fixed-length strings) may name the classes, else numbers are 0 to n - 1, and each must
          have an image;
        - the path of a folder with MNIST's four IDX files, gzip or not, or those of EMNIST, whose images are turned
          upright; or one of the files, if the folder has several sets;
        - the path of a folder of pictures (PNG, JPEG, GIF, BMP, PGM, PPM), with a folder for each class, or with a CSV
          table of two columns, file and class. If there are folders or tables `train` and `test` (or `val`), these
          are the two parts, else the last sixth of each class, in the order of the names or rows, is the test set.

        In files, images have shape (n, height, width[, channels]), channels last, as uint8 (divided by 255
        here) or float in `pixel_range`; labels have shape (n,) or (n, 1). Files may come from anybody: a large
        file that would expand more than 500 times is refused. A name comes before a file of the same name;
        write ``"./mnist"`` for the file.
    pixel_range : tuple of float
        The (lowest, highest) value that a float pixel of a file can have, such as (-1, 1); it is scaled
        to [0, 1]. Pixels outside this range are refused. Named data and uint8 pixels do not need it.
    class_names : sequence of str, optional
        Names of the classes. The names that the data have, in another order, put the classes in this order, such as that
        of a network's outputs; further names are classes without images. New names, as many, take the place of
        the old ones in their order. Numbers without names are named in their order.
    image_size : tuple of int, optional
        Height and width to resize all images to. Each new pixel is the mean over the area of the old ones that it
        covers; what is not of the same shape is stretched. Pictures of a folder must be of one size without it.
    images_in : {"auto", "memory", "file"}
        Whether images are read into memory or stay in their HDF5 file and are read part by part, as training and
        `probe.noise_confidence` do. "auto" leaves those in the file that would take more than 4 GiB as float32. Such an
        array must be contiguous, neither chunked nor compressed, and the file must not change.

    Returns
    -------
    Split
        With `.train` and `.test`, images float32 in [0, 1], labels int64.

    Raises
    ------
    InputError
        If there is neither such a name nor such a file, or the names or the size do not suit the data, or the images of
        no HDF5 file should stay in it.
    DataFileError
        If the file is damaged or does not hold what is described above, or if OpenML cannot
        be reached.

    Warns
    -----
    ProbeWarning
        If there is a validation set beside a test set: it is left out.

    Examples
    --------
    >>> from probe.datasets import load_dataset
    >>> split = load_dataset("mnist")
    >>> split.train.images.shape, split.test.labels[:5]
    ((60000, 28, 28), array([7, 2, 1, 0, 4]))
    >>> load_dataset("digits", class_names="zero one two three four five six seven eight nine".split(), image_size=(4, 4))
    Split(train=Dataset(1442 images of 4 x 4, 10 classes), test=Dataset(355 images of 4 x 4, 10 classes),
          name='digits 4 x 4')
    """
    if not isinstance(name_or_path, (str, os.PathLike)):
        raise InputError(f"data must be a name or a path, got {printable(repr(name_or_path))}")
    low_and_high, size = _checked_range(pixel_range), _checked_size(image_size)
    names = None if class_names is None else _checked_names(class_names)
    check_choice("images_in", images_in, get_args(ImagesIn))
    if is_named(name_or_path):
        _check_can_stay(images_in, None)
        name = str(name_or_path)
        split = NAMED[name]() if name in NAMED else load_openml(name.removeprefix(OPENML_PREFIX))
    else:
        split = _read_path(Path(name_or_path), low_and_high, names, size, images_in)
    if names is not None and names != split.train.class_names:
        split = named(split, names)
    if size is None:
        return split
    for part in (split.train, split.test):
        check_declared(
            "image_size must be smaller: images",
            (len(part), *size, *part.image_shape[2:]),
            np.dtype(np.float32),
        )
    return resized(split, size)


@dataclass(frozen=True, slots=True)
class DataSource:
    """Data as the user of a command names them: where they are, and what they do not say themselves.

    Parameters
    ----------
    data : str
        Data: mnist, digits, openml:NAME, or the path of an HDF5 file, an NPZ file, a folder of IDX files or a folder of
        pictures.
    classes : tuple of str, optional
        Names of the classes, separated by commas: those of the data in the order that you want, or new ones.
    image_size : tuple of int, optional
        Height and width to resize the images to.
    """

    data: str
    classes: tuple[str, ...] | None = None
    image_size: tuple[int, ...] | None = None

    @classmethod
    def of(cls, data: str | DataSource) -> DataSource:
        """Return the source that a name or a path is, or the source itself."""
        return cls(data) if isinstance(data, str) else data

    def located(self) -> DataSource:
        """Return the same source with an absolute path, for a process that starts elsewhere."""
        return self if is_named(self.data) else replace(self, data=str(Path(self.data).resolve()))

    def split(self, pixel_range: tuple[float, float] = UNIT_RANGE, images_in: ImagesIn = "memory") -> Split:
        """Return the data; see `load_dataset`. What is larger than memory is refused, unless `images_in` is "auto"."""
        size: Any = self.image_size
        return load_dataset(
            self.data,
            pixel_range=pixel_range,
            class_names=self.classes,
            image_size=size,
            images_in=images_in,
        )


def is_named(name_or_path: str | os.PathLike[str]) -> bool:
    """Return whether `load_dataset` takes this for a name; all else is a path."""
    return isinstance(name_or_path, str) and (name_or_path in NAMED or name_or_path.startswith(OPENML_PREFIX))


def _checked_range(pixel_range: object) -> tuple[float, float]:
    if not isinstance(pixel_range, (tuple, list)) or len(pixel_range) != 2:
        raise InputError(f"pixel_range must be two numbers, (low, high), got {printable(repr(pixel_range))}")
    low, high = (check_number("pixel_range", bound) for bound in pixel_range)
    if not low < high:
        raise InputError(f"pixel_range must be from low to high, got {low:g} to {high:g}")
    if not math.isfinite(high - low):
        raise InputError(f"pixel_range from {low:g} to {high:g} is too wide for any pixel")
    return low, high


def _checked_size(image_size: object) -> tuple[int, int] | None:
    if image_size is None:
        return None
    size = check_sizes("image_size", image_size, "(height, width)")
    if len(size) != 2:
        raise InputError(f"image_size must be two numbers, (height, width), got {brief(image_size)}")
    return size[0], size[1]


def _checked_names(class_names: object) -> tuple[str, ...]:
    if not isinstance(class_names, (tuple, list)):
        raise InputError(
            f"class_names must be a tuple or list of strings, one for each class, got {brief(class_names)}"
        )
    return check_class_names("class_names", tuple(class_names))


def _read_path(
    path: Path,
    pixel_range: tuple[float, float],
    class_names: tuple[str, ...] | None,
    image_size: tuple[int, int] | None,
    images_in: ImagesIn,
) -> Split:
    _check_exists(path)
    name = path.resolve().name or "idx" if path.is_dir() else path.stem
    with refused_as_data_error(str(path), DamagedError, OSError):
        opened = _format_of(path, printable(path, MAX_MESSAGE), image_size)
        _check_can_stay(images_in, opened)
        if opened is open_hdf5:
            opened = partial(open_hdf5, images_in=images_in)
        with opened(path) as file:
            return split_in(file, printable(name), pixel_range, class_names)


def _check_can_stay(images_in: ImagesIn, opened: object) -> None:
    """Raise if images should stay in a file that is read as a whole."""
    if images_in == "file" and opened is not open_hdf5:
        raise InputError(
            "images_in='file' needs an HDF5 file, and this is none; leave it out, or store the images as HDF5"
        )


def _check_exists(path: Path) -> None:
    shown = printable(repr(str(path)), MAX_MESSAGE)
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        near = get_close_matches(str(path), NAMED, n=1)
        hint = f" (did you mean {near[0]!r}?)" if near else ""
        raise InputError(
            f"data must be one of {', '.join(NAMED)}, openml:NAME, or the path of an HDF5 file, an NPZ file, a folder of "
            f"pictures or a folder of IDX files; got {shown}, and no such file exists{hint}"
        ) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(f"data path {shown} cannot be looked up: {reason}") from None


def _format_of(
    path: Path, shown: str, image_size: tuple[int, int] | None
) -> Callable[[Path], AbstractContextManager[ArrayFile]]:
    """Return what opens files of the format that `path` has, or raise if it has none of them."""
    if path.is_dir():
        return open_idx if idx_sets(path) else partial(open_pictures, image_size=image_size)
    try:
        with open_regular(path) as file:
            start = file.read(8)
    except OSError as error:
        raise DataFileError(f"{shown} cannot be opened: {error.strerror}") from None
    except DamagedError:
        raise DataFileError(
            f"{shown} is neither a file nor a folder. Pass a regular HDF5 or NPZ file"
        ) from None
    if start.startswith(b"PK"):
        return open_npz
    if is_hdf5(path):
        return open_hdf5
    if not start:
        problem = "is empty (0 bytes); expected an HDF5 or NPZ file with images and labels"
    elif start.startswith(b"\x93NUMPY"):
        problem = "is a single NPY array; store images and labels together with numpy.savez"
    elif start.startswith((b"\x1f\x8b", b"\0\0\x08")):
        return open_idx
    elif start.startswith(PICTURES):
        problem = "is one picture; pass the folder that holds a folder of pictures for each class"
    elif path.suffix.lower() in TABLES:
        problem = (
            "is a table of text. If its columns are pixels, store it as NPZ: numpy.savez('data.npz', images=pixels.reshape"
            "(-1, 28, 28).astype('uint8'), labels=labels), and pass that; if they are names of files and classes, pass "
            "the folder that the table and the pictures are in"
        )
    else:
        problem = f"is neither HDF5 nor NPZ: it begins with {start!r}"
    raise DataFileError(f"{shown} {problem}")
