"""Tensors in .safetensors files: eight bytes that say how long a JSON header is, the header, and raw data.

References
----------
.. [1] https://github.com/huggingface/safetensors: the format.
"""

from __future__ import annotations

import io
import math
import os
from collections.abc import Collection, Mapping
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from probe._errors import ModelFileError
from probe.kerasfile import last_net, parse_json
from probe.safeh5 import DEFAULT_LIMITS, DamagedError, Limits, limits_of, open_regular, printable, shown

__all__ = ["check_fitting", "is_safetensors", "read_tensors"]

_PREFIX = 8

_METADATA = "__metadata__"

_DTYPES = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2", "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "i1",
    "U8": "u1", "BOOL": "?",
}  # fmt: skip


def is_safetensors(path: str | os.PathLike[str]) -> bool:
    """Return whether a file begins as .safetensors files do: with the length of a header, and a brace."""
    try:
        with open_regular(path) as file:
            start = file.read(_PREFIX + 1)
            n_bytes = file.seek(0, io.SEEK_END)
            return start[_PREFIX:] == b"{" and _PREFIX + int.from_bytes(start[:_PREFIX], "little") <= n_bytes
    except (DamagedError, OSError, ValueError):
        return False


def read_tensors(
    path: str | os.PathLike[str], *, limits: Limits | None = DEFAULT_LIMITS
) -> dict[str, npt.NDArray[np.generic]]:
    """Read the tensors in a .safetensors file; nothing in it can run.

    Parameters
    ----------
    path : path
        The file.
    limits : Limits or None
        What is read at most; None for a file of one's own.

    Returns
    -------
    dict of str to ndarray
        By name, in the order of the data. float16 and bfloat16 become float32.

    Raises
    ------
    ModelFileError
        If the file is missing or damaged, tensors overlap or do not fit into it, or one is of a type that is not read.
    """
    shown_path, most = printable(os.fspath(path), 200), limits_of(limits)
    with last_net(shown_path):
        try:
            with open_regular(path) as file:
                return _tensors(file, most)
        except ModelFileError as error:
            raise ModelFileError(f"{shown_path}: {error}") from None
        except OSError as error:
            raise ModelFileError(f"{shown_path} cannot be read: {error.strerror}") from None
        except DamagedError as error:
            raise ModelFileError(f"{shown_path}: {error}") from None


def _tensors(file: BinaryIO, limits: Limits) -> dict[str, npt.NDArray[np.generic]]:
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    n_header = int.from_bytes(file.read(_PREFIX), "little")
    if size < _PREFIX or n_header > size - _PREFIX:
        raise ModelFileError("it is cut off, or no .safetensors file: its header would end behind its end")
    if n_header > limits.text_bytes:
        raise ModelFileError(
            f"its header has {n_header} bytes, more than the {limits.text_bytes} that are read"
        )
    try:
        header = parse_json(file.read(n_header).decode(), "its header", limits)
    except UnicodeDecodeError:
        raise ModelFileError("its header is no UTF-8 text") from None
    if not isinstance(header, dict):
        raise ModelFileError("its header is no JSON object")
    room = size - _PREFIX - n_header
    if room > limits.total_bytes:
        raise ModelFileError(
            f"its tensors take {room} bytes, more than the {limits.total_bytes} that are read"
        )
    places = sorted(
        (_place(name, said, limits) for name, said in header.items() if name != _METADATA),
        key=lambda place: place[3:],
    )
    end = 0
    for name, _, _, first, last in places:
        if first != end:
            between = "overlap" if first < end else "leave bytes between them"
            raise ModelFileError(f"the data of its tensors {between}, at '{printable(name)}'")
        end = last
    if end != room:
        raise ModelFileError(
            f"its tensors take {end} bytes, but it has {room}; it is cut off or longer than they are"
        )
    return {name: _read(file, kind, shape, last - first) for name, kind, shape, first, last in places}


def _place(name: str, said: Any, limits: Limits) -> tuple[str, str, tuple[int, ...], int, int]:
    """Return name, type and shape of a tensor, and where its data begin and end."""
    shown_name = printable(name)
    kind, shape, offsets = (
        (said.get(key) for key in ("dtype", "shape", "data_offsets"))
        if isinstance(said, Mapping)
        else (None, None, None)
    )
    if not isinstance(kind, str) or kind not in _DTYPES:
        known = ", ".join(_DTYPES)
        raise ModelFileError(f"'{shown_name}' is of type {shown(kind)}; {known} are read")
    for what, numbers in (("shape", shape), ("data_offsets", offsets)):
        if not isinstance(numbers, list) or any(type(number) is not int or number < 0 for number in numbers):
            raise ModelFileError(
                f"'{shown_name}' has {what} {shown(numbers)}, expected integers of at least 0"
            )
    assert isinstance(shape, list) and isinstance(offsets, list)
    if len(shape) > limits.rank or len(offsets) != 2:
        raise ModelFileError(f"'{shown_name}' has {len(shape)} axes and {len(offsets)} offsets, expected at most "
                             f"{limits.rank} axes and 2 offsets")  # fmt: skip
    n_bytes = math.prod(shape) * np.dtype(_DTYPES[kind]).itemsize
    if offsets[1] - offsets[0] != n_bytes:
        raise ModelFileError(
            f"'{shown_name}' of shape {shown(shape)} takes {shown(n_bytes)} bytes as {kind}, but has those from "
            f"{shown(offsets[0])} to {shown(offsets[1])}"
        )
    if max(n_bytes, math.prod(size or 1 for size in shape)) > limits.tensor_bytes:
        raise ModelFileError(
            f"'{shown_name}' of shape {shown(shape)} takes {n_bytes} bytes, more than the {limits.tensor_bytes} that are "
            "read, or has larger axes"
        )
    return name, kind, tuple(shape), offsets[0], offsets[1]


def _read(file: BinaryIO, kind: str, shape: tuple[int, ...], n_bytes: int) -> npt.NDArray[np.generic]:
    content = file.read(n_bytes)
    if len(content) != n_bytes:
        raise ModelFileError("it was cut off while it was read")
    values = np.frombuffer(content, _DTYPES[kind]).reshape(shape)
    if kind == "BF16":
        return (values.astype(np.uint32) << 16).view(np.float32)
    return values.astype(np.float32) if kind == "F16" else values


def check_fitting(
    tensors: Mapping[str, npt.NDArray[np.generic]],
    shapes: Mapping[str, tuple[int, ...]],
    needed: Collection[str],
) -> None:
    """Raise and list what does not fit unless tensors have the names and shapes of an architecture.

    Parameters
    ----------
    tensors : mapping of str to ndarray
        What a file holds.
    shapes : mapping of str to tuple of int
        What the architecture knows.
    needed : collection of str
        Names among `shapes` that must be there.
    """
    wrong = [f"'{printable(name)}' is missing" for name in shapes if name in needed and name not in tensors]
    wrong += [
        f"'{printable(name)}' has shape {tensors[name].shape} instead of {shape}"
        for name, shape in shapes.items()
        if name in tensors and tensors[name].shape != shape
    ]
    wrong += [f"'{printable(name)}' is not in it" for name in tensors if name not in shapes]
    if wrong:
        more = f", and {len(wrong) - 5} more" if len(wrong) > 5 else ""
        raise ModelFileError(f"the tensors are not those of this architecture: {', '.join(wrong[:5])}{more}")
