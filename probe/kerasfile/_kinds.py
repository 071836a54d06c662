"""What reading and writing one class of Keras layer takes, and what many classes have in common."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from probe._checks import Array
from probe.kerasfile._activations import activation_config, activation_setting
from probe.kerasfile._settings import MAX_AXES, LayerSpec, Shape
from probe.layers import Layer, Merge

__all__ = [
    "NON_TRAINABLE",
    "UNREAD",
    "LayerKind",
    "Settings",
    "Variables",
    "activated",
    "biased",
    "data_format",
    "settings_activated",
]

Settings = dict[str, Any]
Variables = dict[str, Shape]

UNREAD = frozenset({"count"})
"""Variables that are in files and that no layer needs: how many batches a Normalization has seen."""

NON_TRAINABLE = frozenset({"moving_mean", "moving_variance", "mean", "variance", "count"})
"""Variables that Keras lists behind all others of a model."""


def _none(_spec: LayerSpec, _shape: Shape) -> Variables:
    return {}


def _no_settings(_spec: LayerSpec, _shape: Shape) -> Settings:
    return {}


def _as_they_are(_spec: LayerSpec, _settings: Settings, arrays: dict[str, Array]) -> dict[str, Array]:
    return arrays


@dataclass(frozen=True, slots=True)
class LayerKind:
    """How layers of one class are read and written.

    Attributes
    ----------
    layer : type of Layer
        The class here.
    settings : callable
        Maps the specification and the shape of one input to the arguments of `layer`, without the arrays.
    write : callable
        Maps a layer to Keras' settings.
    variables : callable
        Maps the specification and the shape of one input to the shapes of the variables, by name, in the
        order in which Keras stores them.
    arrays : callable
        Maps the specification, the settings and the variables to the arrays that `layer` takes.
    output_shape : callable, optional
        Maps the specification and the shape of one input to that of one output, without any array; for
        layers without variables the layer itself knows.
    other_names : mapping
        Names that some version of Keras has for a variable.
    buffer : callable, optional
        Maps the specification and the shape of one input to the number of values in the largest array that the
        layer needs on the way to one output, if that can be more than its input and its output have.
    """

    layer: type[Layer]
    settings: Callable[[LayerSpec, Shape], Settings] = _no_settings
    write: Callable[[Any], Settings] = lambda _layer: {}
    variables: Callable[[LayerSpec, Shape], Variables] = _none
    arrays: Callable[[LayerSpec, Settings, dict[str, Array]], Mapping[str, Array | None]] = _as_they_are
    output_shape: Callable[[LayerSpec, Shape], Shape] | None = None
    other_names: Mapping[str, str] | None = None
    buffer: Callable[[LayerSpec, Shape], int] | None = None

    def prepared(
        self, spec: LayerSpec, settings: Settings, variables: Mapping[str, Array]
    ) -> dict[str, Array | None]:
        """Return the arrays that the layer takes, read-only, which calls of one layer can share."""
        # All are widened to the widest, which loses nothing.
        dtype = np.result_type(*variables.values()) if variables else np.dtype(np.float32)
        widened = {name: values.astype(dtype, copy=False) for name, values in variables.items()}
        found = dict(self.arrays(spec, settings, widened))
        for values in found.values():
            if values is not None:
                values.flags.writeable = False
        return found

    def build(self, spec: LayerSpec, settings: Settings, prepared: Mapping[str, Array | None]) -> Layer:
        """Return the layer that `spec` describes, with its settings and what `prepared` returned."""
        return self.layer(name=spec.name, **prepared, **settings)  # type: ignore[call-arg]

    def shape_of(self, spec: LayerSpec, settings: Settings, shapes: Sequence[Shape], most: int) -> Shape:
        """Return the shape of one output for inputs of `shapes`, and allocate nothing.

        Outputs and arrays on the way of more than `most` values are refused.
        """
        if not issubclass(self.layer, Merge) and len(shapes) != 1:
            spec.refuse(f"is called with {len(shapes)} inputs, takes one")
        if self.output_shape is not None:
            shape = self.output_shape(spec, shapes[0])
        else:
            shape = self.build(spec, settings, {}).output_shape(*shapes)
        if not shape or min(shape) <= 0:
            spec.refuse(f"puts out {_short(shape)}, which holds no value")
        if len(shape) > MAX_AXES:
            spec.refuse(
                f"puts out arrays of {len(shape)} axes, more than the {MAX_AXES} that are computed with"
            )
        if math.prod(shape) > most:
            spec.refuse(f"puts out {_short(shape)}, more than {most} values")
        needed = self.buffer(spec, shapes[0]) if self.buffer is not None else 0
        if needed > most:
            spec.refuse(f"needs an array of {needed} values for one input, more than {most}")
        return shape


def _short(shape: Shape) -> str:
    return str(shape) if len(shape) <= 4 else f"arrays of {len(shape)} axes"


def data_format(spec: LayerSpec) -> Literal["channels_last", "channels_first"]:
    """Return the setting "data_format"; null stands for channels_last."""
    return spec.choice("data_format", ("channels_last", "channels_first"))  # type: ignore[return-value]


def activated(spec: LayerSpec) -> Settings:
    """Return the settings of every layer with weights and an activation."""
    return {"activation_name": activation_setting(spec), "use_bias": spec.boolean("use_bias", default=True)}


def settings_activated(layer: Any) -> Settings:
    """Return what Keras writes for the settings of every layer with weights and an activation."""
    return {"activation": activation_config(layer.activation), "use_bias": bool(layer.use_bias)}


def biased(
    n_units: Callable[[Array], int],
) -> Callable[[LayerSpec, Settings, dict[str, Array]], dict[str, Array]]:
    """Return how to give a layer a bias of zeros where the file has none; `n_units` looks at the last kernel."""

    def arrays(_spec: LayerSpec, _settings: Settings, found: dict[str, Array]) -> dict[str, Array]:
        kernel = list(found.values())[-1]
        return found if "bias" in found else {**found, "bias": np.zeros(n_units(kernel), kernel.dtype)}

    return arrays
