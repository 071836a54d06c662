"""Layers that Keras does not have, which files hold under names such as "probe>Pad": this reader alone knows them."""

from __future__ import annotations

from typing import Any

from probe.kerasfile._config import MAX_AXES, MAX_SIZE, LayerSpec, Shape
from probe.kerasfile._kinds import LayerKind, Reader, Settings, Variables, kind_for, positive
from probe.layers import (
    Affine,
    Broadcast,
    Divide,
    LocalResponseNormalization,
    Pad,
    Reduce,
    Slice,
    UnitNormalization,
)
from probe.safeh5 import shown

__all__ = ["OURS", "count"]


def count(spec: LayerSpec, key: str, default: int | None = None) -> int:
    """Return the setting `key`, an integer from 1."""
    return spec.integer(key, minimum=1, maximum=MAX_SIZE, default=default)


def _integers(key: str, minimum: int, *, may_be_null: bool = False, may_be_empty: bool = False) -> Reader:
    """Return a reader of a list of integers from `minimum`."""

    def read(spec: LayerSpec, _shape: Shape) -> tuple[Any, ...]:
        value: Any = spec.config.get(key)
        fits = isinstance(value, list) and len(value) <= MAX_AXES and (may_be_empty or len(value) > 0)
        if not fits or not all(
            (one is None and may_be_null) or (type(one) is int and minimum <= one <= MAX_SIZE)
            for one in value
        ):
            spec.refuse(f"has {key} = {shown(value)}, expected a list of integers from {minimum}")
        return tuple(value)

    return read


def _margins(spec: LayerSpec, _shape: Shape) -> tuple[tuple[int, int], ...]:
    value: Any = spec.config.get("margins")
    pairs: list[Any] = value if isinstance(value, list) and len(value) <= MAX_AXES else [None]
    for pair in pairs:
        sizes = pair if isinstance(pair, list) and len(pair) == 2 else [None]
        if not all(type(size) is int and 0 <= size <= MAX_SIZE for size in sizes):
            spec.refuse(
                f"has margins = {shown(value)}, expected counts before and after for each axis, from 0"
            )
    return tuple((before, after) for before, after in pairs)


def _axes(spec: LayerSpec, shape: Shape) -> tuple[int, ...]:
    axes = spec.axes(len(shape), None, "axes")
    if not axes:
        spec.refuse("has no axes to reduce")
    return axes


def _affine_variables(spec: LayerSpec, shape: Shape) -> Variables:
    """Return the shapes of scale and shift, which go with inputs of `shape`."""
    found: Variables = {}
    for name in Affine.initial_values:
        key = f"{name}_shape"
        if not spec.has(key):
            continue
        sizes = _integers(key, 1, may_be_empty=True)(spec, shape)
        at_end = shape[len(shape) - len(sizes) :] if len(sizes) <= len(shape) else ()
        if len(at_end) != len(sizes) or any(a not in (1, b) for a, b in zip(sizes, at_end, strict=True)):
            spec.refuse(f"has {key} = {list(sizes)}, which does not fit inputs of shape {shape}")
        found[name] = sizes
    if not found:
        spec.refuse("has neither scale_shape nor shift_shape")
    return found


def _write_affine(layer: Any, settings: Settings) -> Settings:
    return settings | {f"{name}_shape": list(values.shape) for name, values in layer.variables.items()}


OURS: dict[str, LayerKind] = {
    "probe>Affine": kind_for(Affine, write=_write_affine, variables=_affine_variables),
    "probe>Broadcast": kind_for(Broadcast, {"shape": _integers("shape", 1)}),
    "probe>Divide": kind_for(Divide),
    "probe>LocalResponseNormalization": kind_for(
        LocalResponseNormalization, {"size": lambda spec, _shape: count(spec, "size")}
    ),
    "probe>Pad": kind_for(Pad, {"margins": _margins}),
    "probe>Reduce": kind_for(Reduce, {"axes": _axes}),
    "probe>Slice": kind_for(
        Slice,
        {
            "starts": _integers("starts", -MAX_SIZE, may_be_null=True),
            "stops": _integers("stops", -MAX_SIZE, may_be_null=True),
            "steps": _integers("steps", -MAX_SIZE),
        },
    ),
    "probe>UnitNormalization": kind_for(
        UnitNormalization, {"epsilon": lambda spec, _shape: positive(spec, "epsilon", 1e-24)}
    ),
}
"""How to read and write each of them, by the name that stands in files."""
