"""From arrays as files hold them to a `Split`: keys, pixel types, size limits, class names, a test set.

Shared by all formats and by OpenML, so that all refuse the same things in the same words.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from probe._checks import DataFileError, InputError, IntArray, check_class_names, warn
from probe._kept import frozen
from probe.datasets._blocks import StoredImages, rows_of
from probe.datasets._dataset import Dataset, Images, Split, check_image_shape
from probe.safeh5 import printable

__all__ = [
    "UNIT_RANGE",
    "ArrayFile",
    "ImagesIn",
    "check_declared",
    "last_of_each_class",
    "listed",
    "named",
    "refused_as_data_error",
    "split_from_arrays",
    "split_in",
]

Stored = npt.NDArray[Any]
ImagesIn = Literal["auto", "memory", "file"]

FILE_PARTS = 6  # 1/6 to test on: 10,000 of 60,000, as in MNIST's training file
MAX_BYTES = 4 * 2**30  # of one array as float32: 23 times MNIST, and still in the memory of a laptop
UNIT_RANGE = (0.0, 1.0)
MAX_AXES = 8
MAX_NUMBER_BYTES = 8  # float64; the 16 bytes of a longdouble mean something else on every machine
MAX_UNNAMED_CLASSES = 1000  # more are hardly classes: identifiers, or floats that were rounded
MAX_MESSAGE = 300
MAX_SHOWN = 10  # names in a message
# Training and test labels must be numbered alike, also where a class occurs in one of them only.
ALL_NUMBERED = "numpy.searchsorted(numpy.unique(all_labels), labels)"
MAX_VALUES = 6  # labels in a message that says them twice

LAYOUTS: tuple[tuple[str, ...], ...] = (
    ("images", "labels", "test_images", "test_labels"),
    ("x_train", "y_train", "x_test", "y_test"),
    ("train_images", "train_labels", "test_images", "test_labels"),
    ("images", "labels"),
)
EXPECTED = (
    "images and labels (test_images and test_labels may follow), or x_train, y_train, x_test and y_test, or the "
    "keys of MedMNIST"
)
FIRST_KEYS = tuple(layout[0] for layout in LAYOUTS[:3])
LEFT_OUT = "val_images"


@dataclass(frozen=True, slots=True)
class ArrayFile:
    """An open file of named arrays.

    `read` returns the array of one of the `keys`, after `check_declared`; labels may be the names of classes, a tuple, and
    images may stay in the file.
    Class names may be missing. `shown` has what errors call an array, where its user does not know the key. `name` is
    what the data are called, where it is not the name of the path.
    """

    keys: Collection[str]
    read: Callable[[str], Any]
    class_names: tuple[str, ...] | None = None
    shown: Mapping[str, str] = field(default_factory=dict)
    name: str = ""


@contextmanager
def refused_as_data_error(source: str, *unreadable: type[Exception]) -> Iterator[None]:
    """Turn what goes wrong inside into one DataFileError line that names `source`."""
    shown = printable(source, MAX_MESSAGE)
    try:
        yield
    except DataFileError:
        raise
    except InputError as error:
        raise DataFileError(f"{shown}: {printable(error, MAX_MESSAGE)}") from None
    except MemoryError:
        raise DataFileError(
            f"{shown} does not fit into the memory that is free; store fewer or smaller images in it"
        ) from None
    except unreadable as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DataFileError(f"{shown} cannot be read: {printable(reason, MAX_MESSAGE)}") from None


def listed(names: Collection[str], *, limit: int = MAX_SHOWN) -> str:
    """Return the names quoted and in a row, or how many there are more than `limit`."""
    if not names:
        return "nothing"
    shown = ", ".join(repr(name) for name in list(names)[:limit])
    return shown if len(names) <= limit else f"{shown} and {len(names) - limit} more"


def check_declared(name: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    """Raise if an array is not numeric or too large, judged by what the file says, before it is read."""
    if dtype.kind not in "uif":
        raise InputError(f"{name} must hold numbers, got {printable(dtype)}")
    if dtype.itemsize > MAX_NUMBER_BYTES:
        raise InputError(f"{name} must hold numbers of at most 64 bits, got {dtype}; store float32 or uint8")
    if len(shape) > MAX_AXES:
        raise InputError(f"{name} has {len(shape)} axes, more than any image or row of labels")
    # An axis of no length must not hide that the others are beyond all bounds.
    n_bytes = math.prod(max(length, 1) for length in shape) * max(
        dtype.itemsize, np.dtype(np.float32).itemsize
    )
    if n_bytes > MAX_BYTES:
        raise InputError(
            f"{name} of shape {shape} would take {n_bytes / 2**30:.1f} GiB of memory, "
            f"more than the {MAX_BYTES / 2**30:g} GiB allowed; store a part of it. Training and noise tests take all of it, "
            "from HDF5"
        )


def split_in(
    file: ArrayFile, name: str, pixel_range: tuple[float, float], class_names: tuple[str, ...] | None = None
) -> Split:
    """Return the split that a file holds, under one of the accepted sets of keys.

    Numbered classes that have no names in the file have `class_names`.
    """
    keys = set(file.keys)
    layout = next((names for names in LAYOUTS if keys.issuperset(names)), None)
    if layout is None:
        raise InputError(f"expected {EXPECTED}; found {listed(sorted(keys))}")
    alone = {"test_images", "test_labels"} & keys
    if layout == ("images", "labels") and alone:
        raise InputError(f"test_images and test_labels must come together; found only {alone.pop()}")
    present = [key for key in FIRST_KEYS if key in keys]
    if len(present) > 1:
        raise InputError(
            f"both {present[0]} and {present[1]} are there, and which is meant is not guessed; keep one of them"
        )
    arrays = {key: file.read(key) for key in layout[::2]}
    labels = {key: file.read(key) for key in layout[1::2]}
    names = _sorted_names(labels) if file.class_names is None else file.class_names
    # Before the images take four times the memory.
    rows = [
        _label_row(file.shown.get(key, key), _numbered(key, column, labels, names))
        for key, column in labels.items()
    ]
    if LEFT_OUT in keys and layout[0] == "train_images":
        warn(
            f"{LEFT_OUT} and val_labels are left out: networks are trained on train_images and tested on test_images"
        )
    parts = [
        (_unit_pixels(file.shown.get(key, key), arrays.pop(key), pixel_range), row)
        for key, row in zip(layout[::2], rows, strict=True)
    ]
    return split_from_arrays(
        parts[0],
        parts[1] if len(parts) == 2 else None,
        class_names if names is None else names,
        file.name or name,
    )


def _sorted_names(labels: Mapping[str, Stored | tuple[str, ...]]) -> tuple[str, ...] | None:
    """Return the classes that labels name, in the order in which NumPy, scikit-learn and Keras number them.

    None if labels are numbers.
    """
    if not any(isinstance(column, tuple) for column in labels.values()):
        return None
    names = sorted({name for column in labels.values() if isinstance(column, tuple) for name in column})
    if len(names) > MAX_UNNAMED_CLASSES:
        raise InputError(
            f"labels name {len(names)} classes; more than {MAX_UNNAMED_CLASSES} need class_names in the file"
        )
    return tuple(names)


def _numbered(
    key: str,
    column: Stored | tuple[str, ...],
    labels: Mapping[str, Stored | tuple[str, ...]],
    names: tuple[str, ...] | None,
) -> Stored:
    """Return labels that are names of classes as numbers, and others as they are."""
    if not isinstance(column, tuple):
        if any(isinstance(other, tuple) for other in labels.values()):
            raise InputError(f"{key} must be names of classes as the other labels are, got {column.dtype}")
        return column
    assert names is not None
    index = {name: number for number, name in enumerate(names)}
    unknown = sorted(set(column) - set(index))
    if unknown:
        raise InputError(
            f"{key} must name classes that class_names has, but {listed(unknown, limit=MAX_VALUES)} are not among them"
        )
    return np.array([index[name] for name in column], np.int64)


def named(split: Split, class_names: tuple[str, ...]) -> Split:
    """Return `split` with its classes in the order of `class_names`, or with these names if they are new.

    Raises
    ------
    InputError
        If they are neither all names of the data nor as many new ones.
    """
    check_class_names("class_names", class_names)
    own = split.train.class_names
    missing = [name for name in own if name not in set(class_names)]
    if missing and (len(missing) < len(own) or len(own) != len(class_names)):
        raise InputError(
            f"class_names must have all {len(own)} names of the data, in any order, or be {len(own)} new ones; got "
            f"{len(class_names)} without {listed(missing, limit=MAX_VALUES)}"
        )
    rank = {name: index for index, name in enumerate(own if missing else class_names)}
    numbers = np.array([rank[name] for name in own], np.int64)
    train, test = (
        Dataset(part.images, numbers[part.labels], class_names) for part in (split.train, split.test)
    )
    return Split(train, test, split.name)


def _unit_pixels(name: str, pixels: Any, pixel_range: tuple[float, float]) -> Any:
    """Return uint8 pixels divided by 255, or float pixels scaled from `pixel_range` to [0, 1], as float32."""
    check_image_shape(name, pixels.shape)
    if isinstance(pixels, StoredImages) and 0 not in pixels.shape:
        return pixels.converted_by(partial(_unit_pixels, name, pixel_range=pixel_range))
    if pixels.dtype == np.uint8:
        return np.divide(pixels, np.float32(255), dtype=np.float32)
    rule = f"{name} must be uint8, or float in"
    if not pixels.size:
        raise InputError(f"{rule} [0, 1], got {pixels.dtype}; store at least one image first")
    low, high = float(pixels.min()), float(pixels.max())
    if pixels.dtype.kind == "f" and low >= pixel_range[0] and high <= pixel_range[1]:
        return _scaled(pixels, pixel_range)
    actual = f"{pixels.dtype} from {low:g} to {high:g}"
    if not (math.isfinite(low) and math.isfinite(high)):
        advice = "replace the pixels that are NaN or infinite"
    elif pixel_range != UNIT_RANGE:
        raise InputError(f"{rule} the stated range [{pixel_range[0]:g}, {pixel_range[1]:g}], got {actual}")
    else:
        advice = "divide them by 255" if low >= 0.0 and 1.0 < high <= 255.0 else "scale them to [0, 1]"
    raise InputError(f"{rule} [0, 1], got {actual}; {advice} first")


def _scaled(pixels: Stored, pixel_range: tuple[float, float]) -> Images:
    if pixel_range == UNIT_RANGE:
        return pixels.astype(np.float32)
    low, high = pixel_range
    # Rounding must not lift a pixel out of [0, 1].
    scaled = np.clip((pixels.astype(np.float64) - low) / (high - low), 0.0, 1.0)
    return scaled.astype(np.float32)


def split_from_arrays(
    train: tuple[Images, Stored],
    test: tuple[Images, Stored] | None,
    class_names: tuple[str, ...] | None,
    name: str,
    *,
    parts: int = FILE_PARTS,
) -> Split:
    """Return the split of these arrays; without `test`, every class's last 1/parts is split off."""
    sets = {"labels": train} if test is None else {"labels": train, "test labels": test}
    for key, (images, labels) in sets.items():
        if labels.shape != (len(images),) and len(images):
            raise InputError(
                f"{key} must have shape ({len(images)},), one for each image, got {labels.shape}"
            )
    if class_names is None:
        class_names = _numbered_classes([labels for _, labels in sets.values()])
    for images, _ in sets.values():
        if isinstance(images, np.ndarray):
            frozen(images)
    data = Dataset(*train, class_names)
    if test is None:
        for_training, for_test = last_of_each_class(data.labels, parts=parts)
        train_part, test_part = (
            Dataset(rows_of(data.images, part), data.labels[part], class_names)
            for part in (for_training, for_test)
        )
        return Split(train_part, test_part, name)
    try:
        test_data = Dataset(*test, class_names)
    except InputError as error:
        raise InputError(f"test {error}") from None
    return Split(data, test_data, name)


def last_of_each_class(labels: IntArray, *, parts: int) -> tuple[IntArray, IntArray]:
    """Return the indices of samples to train on, and of the last 1/parts of every class to test on.

    Of a class with n samples the last n // parts are test samples, and at least one if n > 1. The
    last ones and not random ones, because many files hold their test part at the end (the last
    seventh of each class of OpenML's Fashion-MNIST is its official test set) and neighbors
    in a file are often alike (one writer's digits), so that a random choice would leak.
    """
    is_test = np.zeros(len(labels), dtype=np.bool_)
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        n_test = max(len(members) // parts, 1) if len(members) > 1 else 0
        is_test[members[len(members) - n_test :]] = True
    if not is_test.any():
        raise InputError("no test set can be split off, because no class has two images; pass a test set too")
    return np.flatnonzero(~is_test), np.flatnonzero(is_test)


def _label_row(name: str, labels: Stored) -> Stored:
    """Return labels as one row; Keras' CIFAR-10 and MedMNIST have them as a column."""
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim > 1:
        raise InputError(
            f"{name} must have shape (n_samples,), got {labels.shape}; store labels.argmax(axis=1) if they are one-hot. "
            "An image can have one class only"
        )
    if not np.issubdtype(labels.dtype, np.integer):
        raise InputError(f"{name} must be integers, got {labels.dtype}")
    if labels.size == 0:
        raise InputError(f"{name} must hold at least one label, got shape {labels.shape}")
    return labels


def _numbered_classes(label_arrays: list[Stored]) -> tuple[str, ...]:
    """Return "0", "1" and so on for labels without names, or raise if a class would have no image at all."""
    lowest = min(int(labels.min()) for labels in label_arrays)
    highest = max(int(labels.max()) for labels in label_arrays)
    n_classes = max(highest + 1, 1)
    if lowest < 0:
        raise InputError(
            f"labels must lie in [0, {n_classes}) for {n_classes} classes, got {lowest}; "
            "leave images without a class out, and number the classes from 0"
        )
    if highest >= MAX_UNNAMED_CLASSES:
        raise InputError(
            f"labels go up to {highest}; more than {MAX_UNNAMED_CLASSES} classes need class_names. "
            f"Fewer are numbered from 0 without gaps: store {ALL_NUMBERED}, for the test set too"
        )
    occurring = np.zeros(n_classes, dtype=np.bool_)
    for labels in label_arrays:
        occurring[np.unique(labels).astype(np.int64)] = True
    if not occurring.all():
        raise InputError(_gap(np.flatnonzero(occurring).tolist(), np.flatnonzero(~occurring).tolist()))
    return tuple(str(label) for label in range(n_classes))


def _gap(values: list[int], missing: list[int]) -> str:
    are = ", ".join(map(str, values)) if len(values) <= MAX_VALUES else f"{values[0]} to {values[-1]}"
    empty = f"class {missing[0]}" if len(missing) == 1 else f"{len(missing)} classes, the first {missing[0]},"
    if values == list(range(values[0], values[-1] + 1)):
        numbered = f"labels - {values[0]}"
    elif len(values) <= MAX_VALUES:
        numbered = f"numpy.searchsorted({values}, labels)"
    else:
        numbered = ALL_NUMBERED
    return (
        f"labels are {are}; without class_names they must be 0 to n - 1, and {empty} would have no image. "
        f"Store {numbered}, for the test set too; or name all {values[-1] + 1} classes in class_names (HDF5, NPZ)"
    )
