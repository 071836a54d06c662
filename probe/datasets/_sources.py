"""From a name or a path to a `Split`."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from difflib import get_close_matches
from pathlib import Path

from probe._checks import DataFileError, InputError, check_number
from probe.datasets._dataset import Split
from probe.datasets._formats import open_hdf5, open_idx, open_npz
from probe.datasets._named import load_digits, load_mnist, load_openml
from probe.datasets._stored import MAX_MESSAGE, UNIT_RANGE, ArrayFile, refused_as_data_error, split_in
from probe.safeh5 import DamagedError, is_hdf5, open_regular, printable

__all__ = ["is_named", "load_dataset"]

NAMED: dict[str, Callable[[], Split]] = {"mnist": load_mnist, "digits": load_digits}
OPENML_PREFIX = "openml:"


def load_dataset(
    name_or_path: str | os.PathLike[str], *, pixel_range: tuple[float, float] = UNIT_RANGE
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
          and, if the test set is given, `test_images`, `test_labels`; or with `x_train`,
          `y_train`, `x_test`, `y_test`, as Keras' ``mnist.npz``. Without a test set, the last
          sixth of each class becomes one. `class_names` (fixed-length strings) may name the classes,
          else labels are 0 to n - 1, and each of these numbers must have an image;
        - the path of a folder with MNIST's four IDX files, gzip or not.

        In files, images have shape (n, height, width[, channels]), channels last, as uint8 (divided by 255
        here) or float in `pixel_range`; labels have shape (n,), integer. Files may come from anybody: a large
        file that would expand more than 500 times is refused. A name comes before a file of the same name;
        write ``"./mnist"`` for the file.
    pixel_range : tuple of float
        The (lowest, highest) value that a float pixel of a file can have, such as (-1, 1); it is scaled
        to [0, 1]. Pixels outside this range are refused. Named data and uint8 pixels do not need it.

    Returns
    -------
    Split
        With `.train` and `.test`, images float32 in [0, 1], labels int64.

    Raises
    ------
    InputError
        If there is neither such a name nor such a file.
    DataFileError
        If the file is damaged or does not hold what is described above, or if OpenML cannot
        be reached.

    Examples
    --------
    >>> from probe.datasets import load_dataset
    >>> split = load_dataset("mnist")
    >>> split.train.images.shape, split.test.labels[:5]
    ((60000, 28, 28), array([7, 2, 1, 0, 4]))
    """
    if not isinstance(name_or_path, (str, os.PathLike)):
        raise InputError(f"data must be a name or a path, got {printable(repr(name_or_path))}")
    low_and_high = _checked_range(pixel_range)
    if not is_named(name_or_path):
        return _read_path(Path(name_or_path), low_and_high)
    name = str(name_or_path)
    return NAMED[name]() if name in NAMED else load_openml(name.removeprefix(OPENML_PREFIX))


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


def _read_path(path: Path, pixel_range: tuple[float, float]) -> Split:
    _check_exists(path)
    opened = _format_of(path, printable(path, MAX_MESSAGE))
    name = path.resolve().name or "idx" if path.is_dir() else path.stem
    with refused_as_data_error(str(path), DamagedError, OSError), opened(path) as file:
        return split_in(file, printable(name), pixel_range)


def _check_exists(path: Path) -> None:
    shown = printable(repr(str(path)), MAX_MESSAGE)
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        near = get_close_matches(str(path), NAMED, n=1)
        hint = f" (did you mean {near[0]!r}?)" if near else ""
        raise InputError(
            f"data must be one of {', '.join(NAMED)}, openml:NAME, or the path of an HDF5 file, an NPZ file or a "
            f"folder of IDX files; got {shown}, and no such file exists{hint}"
        ) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(f"data path {shown} cannot be looked up: {reason}") from None


def _format_of(path: Path, shown: str) -> Callable[[Path], AbstractContextManager[ArrayFile]]:
    """Return what opens files of the format that `path` has, or raise if it has none of them."""
    if path.is_dir():
        return open_idx
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
        problem = "is one gzip or IDX file; pass the folder that holds the four IDX files"
    else:
        problem = f"is neither HDF5 nor NPZ: it begins with {start!r}"
    raise DataFileError(f"{shown} {problem}")
