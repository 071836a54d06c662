"""What callers pass in as the inputs of a network: one array for each, in order, and checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from probe._checks import Array, InputError, check_finite, check_shape
from probe._graph import Shape

__all__ = ["Inputs", "checked_inputs", "listed"]

Inputs = Array | Sequence[Array] | Mapping[str, Array]
"""Inputs of a batch: one array, or one for each input of a network with several: in their order, or by name."""


def checked_inputs(
    x: Inputs, names: Sequence[str], shapes: Sequence[Shape], dtype: np.dtype[np.floating]
) -> tuple[Array, ...]:
    """Return one array of type `dtype` for each input.

    Raises
    ------
    InputError
        If there are more or fewer, or one is of another shape, not float, masked or not finite.
    """
    values_in_order = _in_order(x, names, shapes)
    arrays = tuple(
        _checked(values, shape, dtype) for values, shape in zip(values_in_order, shapes, strict=True)
    )
    if len({len(values) for values in arrays}) > 1:
        raise InputError(f"all inputs must hold as many samples, got {[len(values) for values in arrays]}")
    return arrays


def _in_order(x: Inputs, names: Sequence[str], shapes: Sequence[Shape]) -> Sequence[object]:
    if isinstance(x, Mapping):
        if set(x) != set(names):
            got = listed([str(name) for name in x]) or "none"
            raise InputError(f"x must hold one array for each of the inputs {listed(names)}, got {got}")
        return [x[name] for name in names]
    if len(names) == 1 and isinstance(x, list):
        # Keras takes a list of one array here; any other list holds the samples.
        is_array = len(x) == 1 and getattr(x[0], "ndim", 0) == 1 + len(shapes[0])
        return x if is_array else [x]
    arrays = x if isinstance(x, tuple | list) else (x,)
    if len(arrays) != len(names):
        raise InputError(f"x must be {len(names)} arrays, one for each input, got {len(arrays)}")
    return arrays


def _checked(x: object, shape: Shape, dtype: np.dtype[np.floating]) -> Array:
    if isinstance(x, np.ma.MaskedArray):
        raise InputError(
            "x must not be masked: fill in the values that are missing, or leave these samples out"
        )
    try:
        values = np.asarray(x)
    except ValueError as error:
        raise InputError(f"x must be an array of numbers: {error}") from None
    if not np.issubdtype(values.dtype, np.floating):
        hint = "; divide uint8 pixels by 255" * np.issubdtype(values.dtype, np.integer)
        raise InputError(f"x must be float, got {values.dtype}{hint}")
    check_shape("x", values.shape, (None, *shape))
    with np.errstate(over="ignore"):
        values = values.astype(dtype, copy=False)
    check_finite("x", values)
    return values


def listed(names: Sequence[str], limit: int = 40) -> str:
    """Return names for a message, the first ones if there are many."""
    return ", ".join(f"'{name}'" for name in names[:limit]) + (", ..." if len(names) > limit else "")
