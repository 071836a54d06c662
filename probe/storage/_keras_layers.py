"""The layers of Keras that can be read and written: one entry of `KINDS` for each class.

A new layer needs an entry there and, if networks have it as a layer of its own, one case in
`describe` and one in `weights_of`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from probe._checks import Array, ModelFileError
from probe.layers import (
    ACTIVATIONS,
    LEAKY_RELU_SLOPE,
    ActivationLayer,
    Dense,
    Dropout,
    Flatten,
    Layer,
    Reshape,
)
from probe.storage._guard import printable
from probe.storage._keras_config import MAX_VALUES, LayerSpec

__all__ = ["KINDS", "LayerKind", "describe", "kind_of", "weights_of"]

Shape = tuple[int, ...]

MAX_UNITS = MAX_VALUES
"""Most units of a dense layer; the kernel's own size is checked against the file before it is read."""


class LayerKind(NamedTuple):
    """How layers of one Keras class are read.

    Attributes
    ----------
    variables : callable
        Maps the specification and the input shape to the shapes of the variables, by name, in the
        order in which Keras stores them.
    build : callable
        Maps the specification, the input shape and the variables to the layer.
    """

    variables: Callable[[LayerSpec, Shape], dict[str, Shape]]
    build: Callable[[LayerSpec, Shape, Mapping[str, Array]], Layer]


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


def _no_variables(_spec: LayerSpec, _shape: Shape) -> dict[str, Shape]:
    return {}


def _dense_variables(spec: LayerSpec, shape: Shape) -> dict[str, Shape]:
    units = spec.integer("units", minimum=1, maximum=MAX_UNITS)
    bias = {"bias": (units,)} if spec.boolean("use_bias", default=True) else {}
    return {"kernel": (shape[-1], units), **bias}


def _build_dense(spec: LayerSpec, _shape: Shape, variables: Mapping[str, Array]) -> Layer:
    kernel = variables["kernel"]
    bias = variables.get("bias")
    if bias is None:
        bias = np.zeros(kernel.shape[1], kernel.dtype)
    # Both are widened to the wider of the two, which loses nothing.
    dtype = np.result_type(kernel, bias)
    name = _activation_setting(spec)
    return Dense(spec.name, kernel.astype(dtype, copy=False), bias.astype(dtype, copy=False), name)


def _build_flatten(spec: LayerSpec, shape: Shape, _variables: Mapping[str, Array]) -> Layer:
    if spec.config.get("data_format", "channels_last") != "channels_last" and len(shape) > 1:
        spec.refuse("has data_format 'channels_first'; only 'channels_last' can be read")
    return Flatten(spec.name)


def _build_reshape(spec: LayerSpec, _shape: Shape, _variables: Mapping[str, Array]) -> Layer:
    return Reshape(spec.name, spec.sizes("target_shape"))


def _build_dropout(spec: LayerSpec, _shape: Shape, _variables: Mapping[str, Array]) -> Layer:
    rate = spec.number("rate", default=0.5)
    if not 0 <= rate <= 1:
        spec.refuse(f"has rate = {rate:g}, expected a number from 0 to 1")
    return Dropout(spec.name, rate)


def _build_activation(spec: LayerSpec, _shape: Shape, _variables: Mapping[str, Array]) -> Layer:
    return ActivationLayer(spec.name, _activation_setting(spec))


def _activation_setting(spec: LayerSpec) -> str:
    """Return the name of the activation that `spec` has in its setting "activation"."""
    value = spec.config.get("activation", "linear")
    if isinstance(value, dict):
        return _activation_object(spec, value)
    # Keras takes null for "linear".
    return "linear" if value is None else _known_activation(spec, value)


def _known_activation(spec: LayerSpec, name: object) -> str:
    supported = [*ACTIVATIONS, "softmax"]
    if not isinstance(name, str) or name not in supported:
        spec.refuse(
            f"has the activation {printable(repr(name), 60)}, which cannot be read; "
            f"supported are {', '.join(supported)}"
        )
    return name


def _activation_object(spec: LayerSpec, value: Mapping[str, Any]) -> str:
    """Return the activation of a layer that was given another layer, or a function, as activation."""
    class_name, config = value.get("class_name"), value.get("config")
    if class_name == "function":
        return _known_activation(spec, config)
    if class_name not in tuple(_ACTIVATION_CLASSES) or not isinstance(config, dict):
        spec.refuse(
            f"has an activation of class {printable(repr(class_name), 60)}, which cannot be read; "
            f"supported are {', '.join(_ACTIVATION_CLASSES)}"
        )
    return _ACTIVATION_CLASSES[class_name](LayerSpec(class_name, spec.name, config), None)


def _relu(spec: LayerSpec, _shape: Shape | None) -> str:
    if spec.config.get("max_value") is not None:
        spec.refuse(f"has max_value = {spec.number('max_value', 0):g}; only ReLU without one can be read")
    if spec.number("threshold", default=0) != 0:
        spec.refuse(
            f"has threshold = {spec.number('threshold', 0):g}; only ReLU with threshold 0 can be read"
        )
    slope = spec.number("negative_slope", default=0)
    return "relu" if slope == 0 else _sloped(spec, slope)


def _leaky_relu(spec: LayerSpec, _shape: Shape | None) -> str:
    # Keras 2 calls it alpha, and rounds it to float32.
    key = "negative_slope" if "negative_slope" in spec.config else "alpha"
    return _sloped(spec, spec.number(key, default=0.3))


def _sloped(spec: LayerSpec, slope: float) -> str:
    if abs(slope - LEAKY_RELU_SLOPE) > 1e-6:
        spec.refuse(f"has the slope {slope:g} below zero; only {LEAKY_RELU_SLOPE:g} can be read")
    return "leaky_relu"


def _elu(spec: LayerSpec, _shape: Shape | None) -> str:
    alpha = spec.number("alpha", default=1)
    if alpha != 1:
        spec.refuse(f"has alpha = {alpha:g}; only ELU with alpha 1 can be read")
    return "elu"


def _softmax(spec: LayerSpec, shape: Shape | None) -> str:
    axis = spec.config.get("axis", -1)
    axis = axis[0] if isinstance(axis, list) and len(axis) == 1 else axis
    # Axes are counted with that of the samples, which `shape` leaves out.
    last = (-1,) if shape is None else (-1, len(shape))
    if type(axis) is not int or axis not in last:
        spec.refuse(f"has axis = {printable(repr(axis), 60)}; only softmax over the last axis can be read")
    return "softmax"


_ACTIVATION_CLASSES: dict[str, Callable[[LayerSpec, Shape | None], str]] = {
    "ReLU": _relu,
    "LeakyReLU": _leaky_relu,
    "ELU": _elu,
    "Softmax": _softmax,
}


def _activation_class(to_name: Callable[[LayerSpec, Shape | None], str]) -> LayerKind:
    def build(spec: LayerSpec, shape: Shape, _variables: Mapping[str, Array]) -> Layer:
        return ActivationLayer(spec.name, to_name(spec, shape))

    return LayerKind(_no_variables, build)


KINDS: dict[str, LayerKind] = {
    "Dense": LayerKind(_dense_variables, _build_dense),
    "Flatten": LayerKind(_no_variables, _build_flatten),
    "Reshape": LayerKind(_no_variables, _build_reshape),
    "Dropout": LayerKind(_no_variables, _build_dropout),
    "Activation": LayerKind(_no_variables, _build_activation),
    **{class_name: _activation_class(to_name) for class_name, to_name in _ACTIVATION_CLASSES.items()},
}
"""How to read each class of layer that can be read, by Keras' name for it."""


def describe(layer: Layer) -> tuple[str, dict[str, object]]:
    """Return Keras' class name for `layer`, and its settings without the name and the type.

    Raises
    ------
    ModelFileError
        If Keras' layout has no place for such a layer.

    Examples
    --------
    >>> describe(Reshape("rows", (4, -1)))
    ('Reshape', {'target_shape': [4, -1]})
    """
    match layer:
        case Dense():
            return "Dense", {
                "units": layer.n_units,
                "activation": layer.activation_name,
                "use_bias": True,
            }
        case Flatten():
            return "Flatten", {"data_format": "channels_last"}
        case Reshape():
            return "Reshape", {"target_shape": list(layer.target_shape)}
        case ActivationLayer():
            return "Activation", {"activation": layer.activation_name}
        case Dropout():
            return "Dropout", {"rate": float(layer.rate)}
    raise ModelFileError(f"layer '{layer.name}' is a {type(layer).__name__}, which cannot be stored")


def weights_of(layer: Layer) -> dict[str, Array]:
    """Return the variables of `layer` by Keras' names, in Keras' order; empty for a layer without.

    Examples
    --------
    >>> list(weights_of(Dense("output", np.ones((2, 1)), np.zeros(1))))
    ['kernel', 'bias']
    """
    if isinstance(layer, Dense):
        return {"kernel": layer.kernel, "bias": layer.bias}
    return {}
