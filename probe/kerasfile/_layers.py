"""The layers of Keras that can be read and written: one entry of `KINDS` for each class.

A new layer needs an entry there, and nothing else in this package.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from probe._checks import Array, InputError
from probe.kerasfile._activations import (
    ACTIVATION_CLASSES,
    activation_class,
    activation_layer_config,
    activation_setting,
)
from probe.kerasfile._images import IMAGE_KINDS
from probe.kerasfile._kinds import (
    LayerKind,
    Settings,
    Variables,
    activated,
    biased,
    data_format,
    settings_activated,
)
from probe.kerasfile._scaling import SCALING_KINDS
from probe.kerasfile._settings import MAX_SIZE, LayerSpec, Shape
from probe.layers import (
    ActivationLayer,
    Add,
    Average,
    Concatenate,
    Dense,
    Dropout,
    Flatten,
    Layer,
    Maximum,
    Minimum,
    Multiply,
    Noise,
    Normalization,
    Permute,
    Reshape,
    Subtract,
)

__all__ = ["KINDS", "describe", "kind_of", "stored_variables"]


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


def _dense_variables(spec: LayerSpec, shape: Shape) -> Variables:
    bias = {"bias": (_units(spec),)} if spec.boolean("use_bias", default=True) else {}
    return {"kernel": (shape[-1], _units(spec)), **bias}


def _rate(spec: LayerSpec, key: str = "rate", maximum: float | None = 1) -> float:
    rate = spec.number(key, 0.5 if key == "rate" else 0)
    if rate < 0 or (maximum is not None and rate > maximum):
        limit = "from 0" if maximum is None else f"from 0 to {maximum:g}"
        spec.refuse(f"has {key} = {rate:g}, expected a number {limit}")
    return rate


def _dims(spec: LayerSpec, shape: Shape) -> Settings:
    dims = spec.sizes("dims")
    if sorted(dims) != list(range(1, len(shape) + 1)):
        spec.refuse(f"has dims = {list(dims)}, expected each of 1 to {len(shape)} once")
    return {"dims": dims}


def _noise(kind: str) -> LayerKind:
    setting = Noise.KINDS[kind]
    maximum = 1 if setting == "rate" else None

    def read(spec: LayerSpec, _shape: Shape) -> Settings:
        rates = {"rate": _rate(spec, setting, maximum)}
        return {"kind": kind, **rates, **({"l2": _rate(spec, "l2", None)} if setting == "l1" else {})}

    return LayerKind(Noise, read, lambda layer: dict(layer.settings))


def _linear(_spec: LayerSpec, _shape: Shape) -> Settings:
    return {"activation_name": "linear"}


KINDS: dict[str, LayerKind] = {
    "Dense": LayerKind(
        Dense,
        lambda spec, _shape: activated(spec),
        lambda layer: {"units": layer.n_units, **settings_activated(layer)},
        _dense_variables,
        biased(lambda kernel: kernel.shape[1]),
        lambda spec, shape: (*shape[:-1], _units(spec)),
    ),
    **IMAGE_KINDS,
    "Flatten": LayerKind(
        Flatten,
        lambda spec, _shape: {"data_format": data_format(spec)},
        lambda layer: {"data_format": layer.data_format},
    ),
    "Reshape": LayerKind(
        Reshape,
        lambda spec, _shape: {"target_shape": spec.sizes("target_shape")},
        lambda layer: {"target_shape": list(layer.target_shape)},
    ),
    "Permute": LayerKind(Permute, _dims, lambda layer: {"dims": list(layer.dims)}),
    **SCALING_KINDS,
    "Dropout": LayerKind(
        Dropout, lambda spec, _shape: {"rate": _rate(spec)}, lambda layer: {"rate": float(layer.rate)}
    ),
    **{kind: _noise(kind) for kind in Noise.KINDS},
    "Activation": LayerKind(
        ActivationLayer, lambda spec, _shape: {"activation_name": activation_setting(spec)}
    ),
    "Identity": LayerKind(ActivationLayer, _linear),
    **dict.fromkeys(
        ACTIVATION_CLASSES,
        LayerKind(ActivationLayer, lambda spec, _shape: {"activation_name": activation_class(spec)}),
    ),
    **{layer.__name__: LayerKind(layer) for layer in (Add, Subtract, Multiply, Average, Maximum, Minimum)},
    "Concatenate": LayerKind(
        Concatenate,
        lambda spec, shape: {"axis": spec.axis(len(shape))},
        lambda layer: {"axis": layer.axis},
    ),
}
"""How to read and write each class of layer, by Keras' name for it."""

_CLASS_NAMES: dict[type[Layer], str] = {}
for _name, _kind in KINDS.items():
    _CLASS_NAMES.setdefault(_kind.layer, _name)


def describe(layer: Layer) -> tuple[str, dict[str, object]]:
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
        return activation_layer_config(layer)
    if isinstance(layer, Noise):
        return layer.kind, KINDS[layer.kind].write(layer)
    class_name = _CLASS_NAMES.get(type(layer))
    if class_name is None:
        raise InputError(f"layer '{layer.name}' is a {type(layer).__name__}, which cannot be stored")
    return class_name, KINDS[class_name].write(layer)


def stored_variables(layer: Layer) -> dict[str, np.ndarray[Any, Any] | Array]:
    """Return what Keras stores of `layer`: its variables, and for a Normalization the count of batches.

    Examples
    --------
    >>> list(stored_variables(Dense("output", np.ones((2, 1)), np.zeros(1))))
    ['kernel', 'bias']
    """
    found: dict[str, Any] = dict(layer.variables)
    return found | {"count": np.int64(0)} if isinstance(layer, Normalization) else found
