"""Activations in all the spellings that Keras has: a name, a function, a layer inside a layer, a layer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from probe._checks import InputError, ModelFileError
from probe.kerasfile._printable import printable, shown
from probe.kerasfile._settings import MAX_AXES, LayerSpec, check_origin
from probe.layers import (
    ACTIVATIONS,
    LEAKY_RELU_SLOPE,
    Activation,
    ActivationLayer,
    Elu,
    LeakyRelu,
    Relu,
    Softmax,
)

__all__ = [
    "ACTIVATION_CLASSES",
    "activation_class",
    "activation_config",
    "activation_layer_config",
    "activation_setting",
]

MAX_FLOAT32 = float(np.finfo(np.float32).max)

_OTHER_NAMES = {
    "swish": "silu",
    "hard_swish": "hard_silu",
    # What TensorFlow before 2.13 called its own functions.
    "softmax_v2": "softmax",
    "log_softmax_v2": "log_softmax",
}

_NAMED = (*ACTIVATIONS, "softmax", "log_softmax")


def activation_setting(spec: LayerSpec) -> str | Activation:
    """Return the activation that `spec` has in its setting "activation"."""
    value = spec.config.get("activation")
    if isinstance(value, dict):
        return _from_object(spec, value)
    # Keras takes null for "linear".
    return "linear" if value is None else _known(spec, value)


def _known(spec: LayerSpec, name: object) -> str:
    found = _OTHER_NAMES.get(name, name) if isinstance(name, str) else name
    if not isinstance(found, str) or found not in _NAMED:
        spec.refuse(
            f"has the activation {shown(name)}, which cannot be read; "
            f"supported are {', '.join((*_NAMED, *_OTHER_NAMES))}"
        )
    # The two versions mean different functions by this name.
    return "hard_sigmoid_v2" if found == "hard_sigmoid" and spec.keras < 3 else found


def _from_object(spec: LayerSpec, value: dict[str, Any]) -> str | Activation:
    """Return the activation of a layer that was given another layer, or a function, as activation."""
    class_name, config = value.get("class_name"), value.get("config")
    if class_name == "function" and isinstance(config, str):
        check_origin(
            spec, value if value.get("registered_name") == "function" else value | {"class_name": config}
        )
        return _known(spec, config)
    if class_name not in tuple(ACTIVATION_CLASSES) or not isinstance(config, dict):
        spec.refuse(
            f"has an activation of class {shown(class_name)}, which cannot be read; "
            f"supported are {', '.join(ACTIVATION_CLASSES)}"
        )
    check_origin(spec, value)
    return activation_class(LayerSpec(class_name, spec.name, config, spec.keras))


def activation_class(spec: LayerSpec) -> str | Activation:
    """Return the activation that a layer of one of `ACTIVATION_CLASSES` is."""
    try:
        return ACTIVATION_CLASSES[spec.class_name](spec)
    except ModelFileError:
        raise
    except InputError as error:
        spec.refuse(f"has settings that cannot be read: {printable(error, 200)}")


def _relu(spec: LayerSpec) -> str | Activation:
    # It only cuts off, so that the largest of all is none.
    top = spec.number("max_value", 0, MAX_FLOAT32) if spec.has("max_value") else None
    # Null stands for the default: Keras 2 writes it so.
    slope = spec.number("negative_slope", 0) if spec.has("negative_slope") else 0.0
    threshold = spec.number("threshold", 0) if spec.has("threshold") else 0.0
    return "relu" if (top, slope, threshold) == (None, 0, 0) else Relu(top, slope, threshold)


def _leaky_relu(spec: LayerSpec) -> str | Activation:
    # Keras 2 calls it alpha, and rounds it to float32.
    key = "negative_slope" if "negative_slope" in spec.config else "alpha"
    slope = spec.number(key, 0.3)
    return "leaky_relu" if abs(slope - LEAKY_RELU_SLOPE) < 1e-8 else LeakyRelu(slope)


def _elu(spec: LayerSpec) -> str | Activation:
    alpha = spec.number("alpha", 1)
    return "elu" if alpha == 1 else Elu(alpha)


def _softmax(spec: LayerSpec) -> str | Activation:
    axis: Any = spec.config.get("axis", -1)
    axes = axis if isinstance(axis, list) else [axis]
    fits = 0 < len(axes) <= MAX_AXES and all(type(one) is int and one != 0 for one in axes)
    if not fits or len(set(axes)) != len(axes):
        spec.refuse(f"has axis = {shown(axis)}, expected axes other than that of the samples")
    return "softmax" if axes == [-1] else Softmax(tuple(axes) if len(axes) > 1 else axes[0])


def _thresholded_relu(spec: LayerSpec) -> str | Activation:
    return Relu(threshold=spec.number("theta", 1))


ACTIVATION_CLASSES: dict[str, Callable[[LayerSpec], str | Activation]] = {
    "ReLU": _relu,
    "LeakyReLU": _leaky_relu,
    "ELU": _elu,
    "Softmax": _softmax,
    "ThresholdedReLU": _thresholded_relu,
}
"""How to read the layers that are an activation, by Keras' name for the class."""


def _as_layer(activation: Activation) -> tuple[str, dict[str, object]] | None:
    """Return Keras' class and settings for an activation that takes settings; None for one with a name."""
    match activation:
        case Relu():
            return "ReLU", dict(activation.settings)
        case LeakyRelu():
            # Keras 3 takes Keras 2's name for the slope, but not the other way round.
            return "LeakyReLU", {"alpha": activation.negative_slope}
        case Elu():
            return "ELU", {"alpha": activation.alpha}
        case Softmax() if activation.axis != -1:
            axis = activation.axis
            return "Softmax", {"axis": list(axis) if isinstance(axis, tuple) else axis}
    if activation.name not in _NAMED or activation.settings:
        raise InputError(f"activation {activation.name} has no place in Keras' layout and is not stored")
    return None


def activation_config(activation: Activation) -> str | dict[str, object]:
    """Return what Keras writes for `activation` in the settings of the layer that has it.

    Examples
    --------
    >>> activation_config(LeakyRelu(0.1))
    {'module': 'keras.layers', 'class_name': 'LeakyReLU', 'config': {'name': 'activation', 'alpha': 0.1},
     'registered_name': None}
    """
    found = _as_layer(activation)
    if found is None:
        return activation.name
    # Keras 3 looks classes up by their module.
    return {
        "module": "keras.layers",
        "class_name": found[0],
        "config": {"name": "activation", **found[1]},
        "registered_name": None,
    }


def activation_layer_config(layer: ActivationLayer) -> tuple[str, dict[str, object]]:
    """Return Keras' class name and settings for a layer that is an activation.

    Examples
    --------
    >>> activation_layer_config(ActivationLayer("last", "softmax"))
    ('Activation', {'activation': 'softmax'})
    """
    return _as_layer(layer.activation) or ("Activation", {"activation": layer.activation.name})
