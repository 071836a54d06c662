"""Opening an ONNX file that may be broken or hostile, and reading the network in it."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from probe._checks import check_input_shape
from probe._errors import InputError, ModelFileError, printable
from probe._signatures import checked
from probe.imports.onnx._model import AnyArray, read_graph
from probe.imports.onnx._network import Construction
from probe.imports.onnx._wire import BYTES, VARINT, Reader
from probe.network import Network
from probe.safeh5 import DEFAULT_LIMITS, DamagedError, Limits, limits_of, open_regular

__all__ = ["is_onnx", "onnx_obstacles", "read_onnx"]

_NEXT = {
    number << 3 | kind
    for number, kind in (
        (2, BYTES),
        (3, BYTES),
        (4, BYTES),
        (5, VARINT),
        (6, BYTES),
        (7, BYTES),
        (8, BYTES),
        (14, BYTES),
    )
}
"""How the second field of a model may begin."""


_OTHERS = {
    b"version https://": "a pointer of Git LFS to one; fetch the file itself: git lfs pull",
    b"<!doctype html": "a web page; download the file itself, such as with the button 'Download raw file'",
    b"<html": "a web page; download the file itself, such as with the button 'Download raw file'",
}
"""What is saved as a model by mistake."""


@checked
def read_onnx(
    path: str | os.PathLike[str],
    *,
    tensors: Mapping[str, AnyArray] | None = None,
    input_shape: tuple[int, ...] | None = None,
    limits: Limits | None = DEFAULT_LIMITS,
) -> Network:
    """Read the image classifier in an ONNX file.

    Neither onnx nor onnxruntime is needed; nothing in the file is run, and no other file is opened. Layers that
    take images have their channels first, as in the file; the network itself takes them last. Outputs that are labels
    are left out, and probabilities are taken.

    Parameters
    ----------
    path : path
        The file.
    tensors : mapping of str to ndarray, optional
        Other weights, by the names of the initializers.
    input_shape : tuple of int, optional
        Shape of one input, such as (224, 224, 3), for a file that leaves it open; or another shape of as many values,
        such as (28, 28) for one that takes 784. The number of samples is open always.
    limits : Limits or None
        What is read at most; None for a file of one's own: as much as there is.

    Returns
    -------
    Network
        With the names of the classes if the file has them among its properties. Linear outputs are no classes by
        themselves: `Network.for_logits`.

    Raises
    ------
    ModelFileError
        If the file is missing, damaged or no ONNX file, keeps its weights in another one, has open axes and no
        `input_shape` is given, or has something that is not read. The message names the file, the node and its
        operator; `onnx_obstacles` names all of them.
    """
    check_input_shape(input_shape)
    shown = printable(os.fspath(path), 200)
    with _opened(path, shown, limits_of(limits), tensors) as construction:
        return construction.network(input_shape)


@checked
def onnx_obstacles(
    path: str | os.PathLike[str],
    *,
    input_shape: tuple[int, ...] | None = None,
    limits: Limits | None = DEFAULT_LIMITS,
) -> tuple[str, ...]:
    """Return what keeps an ONNX file from being read, one line for each node; () if nothing does.

    Parameters
    ----------
    path, input_shape, limits
        As for `read_onnx`.
    """
    check_input_shape(input_shape)
    shown = printable(os.fspath(path), 200)
    construction = None
    try:
        with _opened(path, shown, limits_of(limits)) as construction:
            construction.network(input_shape)
    except ModelFileError as error:
        found = [] if construction is None else construction.problems
        return tuple(f"{shown}: {problem}" for problem in found) or (str(error),)
    return ()


@contextmanager
def _opened(
    path: str | os.PathLike[str],
    shown: str,
    limits: Limits,
    tensors: Mapping[str, AnyArray] | None = None,
) -> Iterator[Construction]:
    """Yield the network in the making of a file; errors get its name."""
    try:
        file = open_regular(path, buffering=0)
    except FileNotFoundError:
        raise ModelFileError(f"{shown} does not exist. Pass the path of an ONNX file") from None
    except (DamagedError, OSError, ValueError) as failure:
        reason = getattr(failure, "strerror", None) or printable(failure).removeprefix("it ")
        raise ModelFileError(f"{shown} cannot be read: {reason}") from None
    with file:
        size = file.seek(0, io.SEEK_END)
        if size > limits.file_bytes:
            raise ModelFileError(f"{shown} has {size} bytes, more than the {limits.file_bytes} that are read")
        file.seek(0)
        start = file.read(64).lstrip().lower()
        for sign, hint in _OTHERS.items():
            if start.startswith(sign):
                raise ModelFileError(f"{shown} is no ONNX file, but {hint}")
        try:
            reader = Reader(file, limits)
            yield Construction(read_graph(reader), shown, reader.size, limits, tensors)
        except DamagedError as failure:
            raise ModelFileError(f"{shown} cannot be read as ONNX: {failure}") from None
        except InputError as failure:
            problem = str(failure).removeprefix(f"{shown}: ")
            raise ModelFileError(f"{shown}: {problem}") from None


@checked
def is_onnx(path: str | os.PathLike[str]) -> bool:
    """Return whether a regular file begins as ONNX files do; False if it cannot be read.

    They have no signature. What is looked at are the first fields: a version of the format, and those of a model.
    """
    try:
        with open_regular(path, buffering=0) as file:
            start = file.read(3)
            # Version 1 would be that of a SavedModel of TensorFlow, and ONNX's own are from 3 on.
            return len(start) == 3 and start[0] == 8 and 3 <= start[1] < 64 and start[2] in _NEXT
    except (DamagedError, OSError, ValueError):
        return False
