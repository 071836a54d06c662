"""What values are: their types and their shapes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from probe.safeh5._source import DamagedError, Source, number

__all__ = ["Shape", "Type", "parsed_shape", "parsed_type"]

Shape = tuple[int, ...]

_INTEGER, _FLOAT, _STRING, _OPAQUE, _ENUM, _VARIABLE = 0, 1, 3, 5, 8, 9

_CLASSES = {
    2: "times",
    4: "bit fields",
    6: "compound values",
    7: "references",
    10: "arrays",
    11: "complex numbers",
}

_FLOATS = {
    # (sign, exponent's place and bits, mantissa's place and bits, bias) of the formats that NumPy has
    (15, 10, 5, 0, 10, 15): "f2",
    (31, 23, 8, 0, 23, 127): "f4",
    (63, 52, 11, 0, 52, 1023): "f8",
    (15, 7, 8, 0, 7, 127): "bfloat16",
}

_PADDINGS = {1: b"\0", 2: b" "}

_MOST_AXES = 32


@dataclass(frozen=True, slots=True)
class Type:
    """The type of the values of an array or attribute.

    Attributes
    ----------
    name : str
        What messages call it, such as "float32", "bfloat16", "strings" or "compound values".
    n_bytes : int
        Bytes of one value.
    dtype : numpy.dtype or None
        The type that its bytes have in NumPy; None for texts and for what is not read.
    is_text : bool
        Whether the values are strings.
    is_variable : bool
        Whether they are of variable length, in the heap of the file.
    padding : bytes
        What follows a string of fixed length; b"" if it ends at its first null.
    """

    name: str
    n_bytes: int
    dtype: np.dtype[Any] | None = None
    is_text: bool = False
    is_variable: bool = False
    padding: bytes = b""


def parsed_type(block: bytes) -> Type:
    """Return the type that a datatype message describes."""
    kind, version, bits, n_bytes = block[0] & 15, block[0] >> 4, number(block, 1, 3), number(block, 4, 4)
    if version not in range(1, 6) or not n_bytes:
        raise DamagedError("a type is of an unknown version or has no bytes")
    if kind == _INTEGER:
        return _integer(block, bits, n_bytes)
    if kind == _FLOAT:
        return _float(block, bits, n_bytes)
    if kind == _STRING:
        return Type("strings", n_bytes, is_text=True, padding=_PADDINGS.get(bits & 15, b""))
    if kind == _OPAQUE:
        # bfloat16, as h5py writes it.
        return Type("bfloat16", 2, np.dtype("V2")) if n_bytes == 2 else Type("opaque values", n_bytes)
    if kind == _ENUM:
        return _enum(block, bits, n_bytes, version)
    if kind == _VARIABLE:
        text = bits & 15 == 1
        return Type("strings" if text else "rows of variable length", n_bytes, is_text=text, is_variable=True)
    return Type(_CLASSES.get(kind, "values of an unknown type"), n_bytes)


def _integer(block: bytes, bits: int, n_bytes: int) -> Type:
    if (number(block, 8, 2), number(block, 10, 2)) != (0, 8 * n_bytes) or n_bytes not in (1, 2, 4, 8):
        return Type("integers of an odd size", n_bytes)
    dtype = np.dtype(f"{'>' if bits & 1 else '<'}{'i' if bits & 8 else 'u'}{n_bytes}")
    return Type(str(dtype.newbyteorder("=")), n_bytes, dtype)


def _float(block: bytes, bits: int, n_bytes: int) -> Type:
    layout = (bits >> 8 & 0xFF, *block[12:16], number(block, 16, 4))
    name = _FLOATS.get(layout)
    size = 2 if name == "bfloat16" else int((name or "f0")[1:])
    whole = (number(block, 8, 2), number(block, 10, 2)) == (0, 8 * n_bytes)
    # Two bits of the order of bytes: the higher one is that of the VAX. Mantissas have their first bit implied.
    if name is None or size != n_bytes or not whole or bits & 0x40 or bits >> 4 & 3 != 2:
        return Type("floats of an unusual format", n_bytes)
    order = ">" if bits & 1 else "<"
    if name == "bfloat16":
        return (
            Type(name, 2, np.dtype(f"{order}u2")) if order == "<" else Type("floats of an unusual format", 2)
        )
    dtype = np.dtype(order + name)
    return Type(str(dtype.newbyteorder("=")), n_bytes, dtype)


def _enum(block: bytes, bits: int, n_bytes: int, version: int) -> Type:
    """Return bool for the enumeration that h5py makes of it."""
    base = block[8:]
    if bits & 0xFFFF != 2 or n_bytes != 1 or base[0] & 15 != _INTEGER:
        return Type("enumerated values", n_bytes)
    names = base[12:]
    step = (6, 5) if version >= 3 else (8, 8)
    two = names[: step[0]].rstrip(b"\0"), names[step[0] : sum(step)].rstrip(b"\0")
    values = names[sum(step) : sum(step) + 2]
    if (two, values) in (((b"FALSE", b"TRUE"), b"\0\1"), ((b"TRUE", b"FALSE"), b"\1\0")):
        return Type("bool", 1, np.dtype(bool))
    return Type("enumerated values", n_bytes)


def parsed_shape(source: Source, block: bytes) -> tuple[Shape | None, Shape | None]:
    """Return the shape that a dataspace message describes, None if it is empty; and the largest that it can get.

    An axis without bound has the largest size -1.
    """
    version, rank, flags = number(block, 0, 1), number(block, 1, 1), number(block, 2, 1)
    if version not in (1, 2) or rank > _MOST_AXES:
        raise DamagedError("a shape is of an unknown version or has too many axes")
    if version == 2 and number(block, 3, 1) == 2:
        return None, None
    at, width = (8 if version == 1 else 4), source.length_bytes
    shape = tuple(number(block, at + k * width, width) for k in range(rank))
    if not flags & 1:
        return shape, shape
    most = tuple(number(block, at + (rank + k) * width, width) for k in range(rank))
    unbounded = (1 << 8 * width) - 1
    return shape, tuple(-1 if size == unbounded else size for size in most)
