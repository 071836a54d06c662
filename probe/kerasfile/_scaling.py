"""How Keras' layers that scale and shift are read and written: normalisations, rescaling, PReLU."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from probe._checks import Array
from probe.kerasfile._kinds import LayerKind, Settings, Variables
from probe.kerasfile._settings import MAX_AXES, LayerSpec, Shape
from probe.layers import BatchNormalization, LayerNormalization, Normalization, PReLU, Rescaling

__all__ = ["SCALING_KINDS"]

MAX_CONSTANTS = 1 << 22
"""Most values of a mean or a variance that stands in the settings."""


def _scaled(spec: LayerSpec, shape: Shape) -> Variables:
    """Return the gamma and the beta that a layer has, if it scales and centres."""
    gamma = {"gamma": shape} if spec.boolean("scale", default=True) else {}
    return gamma | ({"beta": shape} if spec.boolean("center", default=True) else {})


def _epsilon(spec: LayerSpec) -> float:
    epsilon = spec.number("epsilon", 1e-3)
    if epsilon < 0:
        spec.refuse(f"has epsilon = {epsilon:g}, expected a number from 0")
    return epsilon


def _with_scale(_spec: LayerSpec, _settings: Settings, found: dict[str, Array]) -> Mapping[str, Array | None]:
    return {"gamma": None, "beta": None, **found}


def _write_scale(layer: Any) -> Settings:
    return {
        "epsilon": float(layer.epsilon),
        "center": layer.beta is not None,
        "scale": layer.gamma is not None,
    }


def _batch_variables(spec: LayerSpec, shape: Shape) -> Variables:
    if spec.config.get("renorm"):
        spec.refuse("has renorm = True, which cannot be read")
    axis = spec.axis(len(shape))
    n = (shape[axis] if axis < 0 else shape[axis - 1],)
    return {**_scaled(spec, n), "moving_mean": n, "moving_variance": n}


def _batch_settings(spec: LayerSpec, shape: Shape) -> Settings:
    return {"axis": spec.axis(len(shape)), "epsilon": _epsilon(spec)}


def _write_batch(layer: Any) -> Settings:
    return {"axis": layer.axis, **_write_scale(layer)}


def _axis_sizes(shape: Shape, axes: tuple[int, ...]) -> Shape:
    return tuple(shape[axis] if axis < 0 else shape[axis - 1] for axis in axes)


def _layer_variables(spec: LayerSpec, shape: Shape) -> Variables:
    if spec.config.get("rms_scaling"):
        spec.refuse("has rms_scaling = True, which cannot be read")
    return _scaled(spec, _axis_sizes(shape, _layer_axes(spec, shape)))


def _layer_axes(spec: LayerSpec, shape: Shape) -> tuple[int, ...]:
    axes = spec.axes(len(shape), -1)
    if not axes:
        spec.refuse("has no axis to normalise over")
    return axes


def _layer_settings(spec: LayerSpec, shape: Shape) -> Settings:
    return {"axis": _layer_axes(spec, shape), "epsilon": _epsilon(spec)}


def _write_layer(layer: Any) -> Settings:
    return {"axis": list(layer.axis), **_write_scale(layer)}


def _adapted(spec: LayerSpec) -> bool:
    """Return whether the mean and the variance are weights; they stand in the settings otherwise."""
    given = [spec.has(key) for key in ("mean", "variance")]
    if given[0] != given[1]:
        spec.refuse("has only one of mean and variance in its settings")
    return not given[0]


def _normal_variables(spec: LayerSpec, shape: Shape) -> Variables:
    if not _adapted(spec):
        return {}
    sizes = _axis_sizes(shape, spec.axes(len(shape), -1))
    return {"mean": sizes, "variance": sizes, "count": ()}


def _normal_settings(spec: LayerSpec, shape: Shape) -> Settings:
    settings: Settings = {
        "axis": spec.axes(len(shape), -1),
        "invert": spec.boolean("invert", default=False),
    }
    if not _adapted(spec):
        settings |= {key: _constant(spec, key, shape) for key in ("mean", "variance")}
    return settings


def _constant(spec: LayerSpec, key: str, shape: Shape) -> Array:
    """Return a mean or variance that stands in the settings, one number for each place on the kept axes."""
    axes = spec.axes(len(shape), -1)
    sizes = _axis_sizes(shape, axes)
    if math.prod(sizes) > MAX_CONSTANTS:
        spec.refuse(f"has a {key} for {math.prod(sizes)} values in its settings, more than {MAX_CONSTANTS}")
    kept = {axis % (len(shape) + 1) for axis in axes}
    around = tuple(size if axis in kept else 1 for axis, size in enumerate(shape, start=1))
    dtype = np.float64 if spec.config.get("dtype") == "float64" else np.float32
    flat, rank = _flat(spec, key, spec.config[key], math.prod(sizes))
    if key == "variance" and min(flat) < 0:
        spec.refuse(f"has a variance of {min(flat):g} in its settings, expected numbers from 0")
    try:
        given = np.array(flat, dtype).reshape(rank)
        # Keras broadcasts it against the inputs, whose first axis is that of the samples.
        values = np.broadcast_to(given, (1, *around)).reshape(sizes).copy()
    except ValueError:
        spec.refuse(f"has a {key} of shape {rank}, which does not fit inputs of shape {shape}")
    # Calls of one layer share it.
    values.flags.writeable = False
    return values


def _flat(spec: LayerSpec, key: str, value: object, at_most: int) -> tuple[list[float], Shape]:
    """Return the numbers in nested lists, row by row, and their shape."""
    shape: list[int] = []
    found = [value]
    while isinstance(found[0], list):
        sizes = {len(item) if isinstance(item, list) else -1 for item in found}
        if len(sizes) != 1 or not found[0] or len(shape) >= MAX_AXES:
            spec.refuse(f"has a {key} that is no regular array of numbers")
        shape.append(sizes.pop())
        if math.prod(shape) > at_most:
            spec.refuse(f"has a {key} of more than {at_most} values")
        found = [number for item in found for number in item]  # type: ignore[attr-defined]
    if not all(type(number) in (int, float) for number in found):
        spec.refuse(f"has a {key} that is no regular array of numbers")
    checked = LayerSpec(spec.class_name, spec.name, {key: found}).numbers(key, 0)
    assert isinstance(checked, tuple)
    return list(checked), tuple(shape)


def _read_variables(_spec: LayerSpec, _settings: Settings, found: dict[str, Array]) -> dict[str, Array]:
    return {name: values for name, values in found.items() if name != "count"}


def _write_normal(layer: Any) -> Settings:
    return {"axis": list(layer.axis) or None, "invert": layer.invert, "mean": None, "variance": None}


def _shared_axes(spec: LayerSpec, shape: Shape) -> tuple[int, ...]:
    return spec.axes(len(shape), None, "shared_axes")


def _prelu_variables(spec: LayerSpec, shape: Shape) -> Variables:
    shared = {axis % (len(shape) + 1) for axis in _shared_axes(spec, shape)}
    return {"alpha": tuple(1 if axis in shared else size for axis, size in enumerate(shape, start=1))}


def _listed(value: float | tuple[float, ...]) -> float | list[float]:
    return list(value) if isinstance(value, tuple) else float(value)


def _same(_spec: LayerSpec, shape: Shape) -> Shape:
    return shape


_BATCH_NORMALIZATION = LayerKind(
    BatchNormalization, _batch_settings, _write_batch, _batch_variables, _with_scale, _same
)

SCALING_KINDS: dict[str, LayerKind] = {
    "BatchNormalization": _BATCH_NORMALIZATION,
    # TensorFlow 1.13 to 1.15 wrote these names.
    "BatchNormalizationV1": _BATCH_NORMALIZATION,
    "BatchNormalizationV2": _BATCH_NORMALIZATION,
    "LayerNormalization": LayerKind(
        LayerNormalization, _layer_settings, _write_layer, _layer_variables, _with_scale, _same
    ),
    "Normalization": LayerKind(
        Normalization, _normal_settings, _write_normal, _normal_variables, _read_variables, _same
    ),
    "Rescaling": LayerKind(
        Rescaling,
        lambda spec, _shape: {"scale": spec.numbers("scale", 1), "offset": spec.numbers("offset", 0)},
        lambda layer: {"scale": _listed(layer.scale), "offset": _listed(layer.offset)},
    ),
    "PReLU": LayerKind(
        PReLU,
        lambda spec, shape: {"shared_axes": _shared_axes(spec, shape)},
        lambda layer: {"shared_axes": list(layer.shared_axes) or None},
        _prelu_variables,
        output_shape=_same,
    ),
}
"""How to read and write each class of layers that scale and shift, by Keras' name for it."""
