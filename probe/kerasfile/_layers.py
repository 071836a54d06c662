"""The layers of Keras that can be read and written: one entry of `KINDS` for each class.

A new layer needs an entry there, and nothing else in this package.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from probe._checks import Array
from probe._errors import InputError
from probe.kerasfile._config import MAX_AXES, MAX_SIZE, LayerSpec, Shape
from probe.kerasfile._images import IMAGE_KINDS
from probe.kerasfile._kinds import (
    ACTIVATED,
    ACTIVATION_CLASSES,
    LayerKind,
    Reader,
    Settings,
    Variables,
    activation_class,
    activation_layer,
    activation_setting,
    bias_variable,
    biased,
    data_format,
)
from probe.layers import (
    ActivationLayer,
    Add,
    Average,
    BatchNormalization,
    Concatenate,
    Dense,
    Dropout,
    Flatten,
    Layer,
    LayerNormalization,
    Maximum,
    Minimum,
    Multiply,
    Noise,
    Normalization,
    Permute,
    PReLU,
    Rescaling,
    Reshape,
    Subtract,
)

__all__ = ["KINDS", "describe", "kind_of", "stored_variables"]

MAX_CONSTANTS = 1 << 22
"""Most values of a mean or a variance that stands in the settings."""


def kind_of(spec: LayerSpec) -> LayerKind:
    """Return how to read `spec`.

    Raises
    ------
    ModelFileError
        If the class is not among `KINDS`.
    """
    kind = KINDS.get(spec.class_name)
    if kind is None:
        spec.refuse(f"is of a class that cannot be read; supported are {', '.join(sorted(KINDS))}")
    return kind


def _units(spec: LayerSpec) -> int:
    return spec.integer("units", minimum=1, maximum=MAX_SIZE)


def _rate(spec: LayerSpec, key: str = "rate", maximum: float | None = 1) -> float:
    rate = spec.number(key, 0.5 if key == "rate" else 0)
    if rate < 0 or (maximum is not None and rate > maximum):
        limit = "from 0" if maximum is None else f"from 0 to {maximum:g}"
        spec.refuse(f"has {key} = {rate:g}, expected a number {limit}")
    return rate


def _dims(spec: LayerSpec, shape: Shape) -> Shape:
    dims = spec.sizes("dims")
    if sorted(dims) != list(range(1, len(shape) + 1)):
        spec.refuse(f"has dims = {list(dims)}, expected each of 1 to {len(shape)} once")
    return dims


def _noise(kind: str) -> LayerKind:
    setting = Noise.KINDS[kind]
    maximum = 1 if setting == "rate" else None
    readers: dict[str, Reader] = {
        "kind": lambda _spec, _shape: kind,
        "rate": lambda spec, _shape: _rate(spec, setting, maximum),
    }
    if setting == "l1":
        readers["l2"] = lambda spec, _shape: _rate(spec, "l2", None)
    return LayerKind(Noise, readers, lambda layer, _settings: dict(layer.settings))


def _scaled(spec: LayerSpec, shape: Shape) -> Variables:
    """Return the gamma and the beta that a layer has, if it scales and centers."""
    gamma = {"gamma": shape} if spec.boolean("scale", default=True) else {}
    return gamma | ({"beta": shape} if spec.boolean("center", default=True) else {})


def _epsilon(spec: LayerSpec, _shape: Shape) -> float:
    epsilon = spec.number("epsilon", 1e-3)
    if epsilon < 0:
        spec.refuse(f"has epsilon = {epsilon:g}, expected a number from 0")
    return epsilon


def _with_scale(variables: dict[str, Array]) -> Mapping[str, Array | None]:
    return {"gamma": None, "beta": None, **variables}


def _write_scale(layer: Any, settings: Settings) -> Settings:
    scale = {
        "epsilon": float(layer.epsilon),
        "center": layer.beta is not None,
        "scale": layer.gamma is not None,
    }
    return settings | scale


def _sizes(shape: Shape, axes: tuple[int, ...]) -> Shape:
    """Return the sizes of axes that are counted with that of the samples, or from the end."""
    return tuple(shape[axis] if axis < 0 else shape[axis - 1] for axis in axes)


def _batch_variables(spec: LayerSpec, shape: Shape) -> Variables:
    if spec.config.get("renorm"):
        spec.refuse("has renorm = True, which cannot be read")
    n = _sizes(shape, (spec.axis(len(shape)),))
    return {**_scaled(spec, n), "moving_mean": n, "moving_variance": n}


def _layer_variables(spec: LayerSpec, shape: Shape) -> Variables:
    if spec.config.get("rms_scaling"):
        spec.refuse("has rms_scaling = True, which cannot be read")
    return _scaled(spec, _sizes(shape, _layer_axes(spec, shape)))


def _layer_axes(spec: LayerSpec, shape: Shape) -> tuple[int, ...]:
    axes = spec.axes(len(shape), -1)
    if not axes:
        spec.refuse("has no axis to normalise over")
    return axes


class _NormalizationKind(LayerKind):
    """A Normalization, whose mean and variance are weights or stand in the settings."""

    __slots__ = ()

    def read(self, spec: LayerSpec, shape: Shape) -> Settings:
        """Return the settings, with the mean and the variance if they are not weights."""
        settings = LayerKind.read(self, spec, shape)
        if not _is_adapted(spec):
            settings |= {key: _constant(spec, key, shape) for key in ("mean", "variance")}
        return settings


def _is_adapted(spec: LayerSpec) -> bool:
    """Return whether the mean and the variance are weights; they stand in the settings otherwise."""
    has_mean, has_variance = spec.has("mean"), spec.has("variance")
    if has_mean != has_variance:
        spec.refuse("has only one of mean and variance in its settings")
    return not has_mean


def _normal_axes(spec: LayerSpec, shape: Shape) -> tuple[int, ...]:
    return spec.axes(len(shape), -1)


def _normal_variables(spec: LayerSpec, shape: Shape) -> Variables:
    if not _is_adapted(spec):
        return {}
    sizes = _sizes(shape, _normal_axes(spec, shape))
    return {"mean": sizes, "variance": sizes, "count": ()}


def _constant(spec: LayerSpec, key: str, shape: Shape) -> Array:
    """Return a mean or variance that stands in the settings, one number for each place on the axes."""
    axes = _normal_axes(spec, shape)
    sizes = _sizes(shape, axes)
    if math.prod(sizes) > MAX_CONSTANTS:
        spec.refuse(f"has a {key} for {math.prod(sizes)} values in its settings, more than {MAX_CONSTANTS}")
    places = {axis % (len(shape) + 1) for axis in axes}
    around = tuple(size if axis in places else 1 for axis, size in enumerate(shape, start=1))
    dtype = np.float64 if spec.config.get("dtype") == "float64" else np.float32
    flat, rank = _flat(spec, key, spec.config[key], math.prod(sizes))
    if key == "variance" and min(flat) < 0:
        spec.refuse(f"has a variance of {min(flat):g} in its settings, expected numbers from 0")
    try:
        # Keras broadcasts it against the inputs, whose first axis is that of the samples.
        values = np.broadcast_to(np.array(flat, dtype).reshape(rank), (1, *around)).reshape(sizes).copy()
    except ValueError:
        spec.refuse(f"has a {key} of shape {rank}, which does not fit inputs of shape {shape}")
    # Calls of one layer share it.
    values.flags.writeable = False
    return values


def _flat(spec: LayerSpec, key: str, value: object, at_most: int) -> tuple[list[float], Shape]:
    """Return the numbers in nested lists, row by row, and their shape."""
    shape: list[int] = []
    items = [value]
    while isinstance(items[0], list):
        sizes = {len(item) if isinstance(item, list) else -1 for item in items}
        if len(sizes) != 1 or not items[0] or len(shape) >= MAX_AXES:
            spec.refuse(f"has a {key} that is no regular array of numbers")
        shape.append(sizes.pop())
        if math.prod(shape) > at_most:
            spec.refuse(f"has a {key} of more than {at_most} values")
        items = [number for item in items for number in item]  # type: ignore[attr-defined]
    if not all(type(number) in (int, float) for number in items):
        spec.refuse(f"has a {key} that is no regular array of numbers")
    checked = LayerSpec(spec.class_name, spec.name, {key: items}).numbers(key, 0)
    assert isinstance(checked, tuple)
    return list(checked), tuple(shape)


def _shared_axes(spec: LayerSpec, shape: Shape) -> tuple[int, ...]:
    return spec.axes(len(shape), None, "shared_axes")


def _prelu_variables(spec: LayerSpec, shape: Shape) -> Variables:
    shared = {axis % (len(shape) + 1) for axis in _shared_axes(spec, shape)}
    return {"alpha": tuple(1 if axis in shared else size for axis, size in enumerate(shape, start=1))}


def _floats(value: float | tuple[float, ...]) -> float | list[float]:
    return list(value) if isinstance(value, tuple) else float(value)


def _same(_spec: LayerSpec, shape: Shape) -> Shape:
    return shape


_BATCH_NORMALIZATION = LayerKind(
    BatchNormalization,
    {"axis": lambda spec, shape: spec.axis(len(shape)), "epsilon": _epsilon},
    _write_scale,
    _batch_variables,
    _with_scale,
    _same,
)

KINDS: dict[str, LayerKind] = {
    "Dense": LayerKind(
        Dense,
        ACTIVATED,
        lambda layer, settings: {"units": layer.n_units, **settings},
        lambda spec, shape: {"kernel": (shape[-1], _units(spec)), **bias_variable(spec, _units(spec))},
        biased(lambda kernel: kernel.shape[1]),
        lambda spec, shape: (*shape[:-1], _units(spec)),
    ),
    **IMAGE_KINDS,
    "Flatten": LayerKind(Flatten, {"data_format": data_format}),
    "Reshape": LayerKind(Reshape, {"target_shape": lambda spec, _shape: spec.sizes("target_shape")}),
    "Permute": LayerKind(Permute, {"dims": _dims}),
    "BatchNormalization": _BATCH_NORMALIZATION,
    # TensorFlow 1.13 to 1.15 wrote these names.
    "BatchNormalizationV1": _BATCH_NORMALIZATION,
    "BatchNormalizationV2": _BATCH_NORMALIZATION,
    "LayerNormalization": LayerKind(
        LayerNormalization,
        {"axis": _layer_axes, "epsilon": _epsilon},
        _write_scale,
        _layer_variables,
        _with_scale,
        _same,
    ),
    "Normalization": _NormalizationKind(
        Normalization,
        {"axis": _normal_axes, "invert": lambda spec, _shape: spec.boolean("invert", default=False)},
        lambda _layer, settings: (
            settings | {"axis": settings["axis"] or None, "mean": None, "variance": None}
        ),
        _normal_variables,
        lambda variables: {name: values for name, values in variables.items() if name != "count"},
        _same,
    ),
    "Rescaling": LayerKind(
        Rescaling,
        {
            "scale": lambda spec, _shape: spec.numbers("scale", 1),
            "offset": lambda spec, _shape: spec.numbers("offset", 0),
        },
        lambda layer, _settings: {"scale": _floats(layer.scale), "offset": _floats(layer.offset)},
    ),
    "PReLU": LayerKind(
        PReLU,
        {"shared_axes": _shared_axes},
        lambda _layer, settings: {"shared_axes": settings["shared_axes"] or None},
        _prelu_variables,
        output_shape=_same,
    ),
    "Dropout": LayerKind(
        Dropout,
        {"rate": lambda spec, _shape: _rate(spec)},
        lambda layer, _settings: {"rate": float(layer.rate)},
    ),
    **{kind: _noise(kind) for kind in Noise.KINDS},
    "Activation": LayerKind(ActivationLayer, {"activation_name": activation_setting}),
    "Identity": LayerKind(ActivationLayer, {"activation_name": lambda _spec, _shape: "linear"}),
    **dict.fromkeys(ACTIVATION_CLASSES, LayerKind(ActivationLayer, {"activation_name": activation_class})),
    **{layer.__name__: LayerKind(layer) for layer in (Add, Subtract, Multiply, Average, Maximum, Minimum)},
    "Concatenate": LayerKind(Concatenate, {"axis": lambda spec, shape: spec.axis(len(shape))}),
}
"""How to read and write each class of layer, by Keras' name for it."""

_CLASS_NAMES: dict[type[Layer], str] = {}
for _name, _kind in KINDS.items():
    _CLASS_NAMES.setdefault(_kind.layer, _name)


def describe(layer: Layer) -> tuple[str, Settings]:
    """Return Keras' class name for `layer`, and its settings without the name and the type.

    Raises
    ------
    InputError
        If Keras' layout has no place for such a layer.

    Examples
    --------
    >>> describe(Reshape("rows", (4, -1)))
    ('Reshape', {'target_shape': [4, -1]})
    """
    if isinstance(layer, ActivationLayer):
        return activation_layer(layer.activation)
    class_name = layer.kind if isinstance(layer, Noise) else _CLASS_NAMES.get(type(layer))
    if class_name is None:
        raise InputError(f"layer '{layer.name}' is a {type(layer).__name__}, which cannot be stored")
    return class_name, KINDS[class_name].written(layer)


def stored_variables(layer: Layer) -> dict[str, np.ndarray[Any, Any] | Array]:
    """Return what Keras stores of `layer`: its variables, and for a Normalization the count of batches.

    Examples
    --------
    >>> list(stored_variables(Dense("output", np.ones((2, 1)), np.zeros(1))))
    ['kernel', 'bias']
    """
    count: dict[str, Any] = {"count": np.int64(0)} if isinstance(layer, Normalization) else {}
    return dict(layer.variables) | count
