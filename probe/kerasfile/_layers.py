"""The layers of Keras that can be read and written: `KINDS`, by Keras' name for the class.

What a class of layer says of itself is enough for most. Here are those of which Keras writes more: the sizes of kernels,
arrays among the settings, several classes that are one here.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping

import numpy as np

from probe._checks import Array
from probe._errors import InputError
from probe.kerasfile._config import MAX_AXES, MAX_SIZE, LayerSpec, Shape, instead
from probe.kerasfile._fields import field_of
from probe.kerasfile._images import IMAGES
from probe.kerasfile._kinds import (
    ACTIVATION_CLASSES,
    LayerKind,
    Reader,
    Settings,
    Variables,
    activation_class,
    activation_layer,
    activation_setting,
    kind_for,
    positive,
)
from probe.kerasfile._ours import OURS, count
from probe.kerasfile._signals import SIGNALS
from probe.kerasfile._steps import STEP, StepSpec
from probe.layers import (
    LAYERS,
    ActivationLayer,
    Affine,
    Augmentation,
    Dense,
    GroupNormalization,
    Layer,
    LayerNormalization,
    Noise,
    Normalization,
    Resizing,
    UnitNormalization,
)

__all__ = ["KINDS", "MAX_CONSTANTS", "describe", "kind_of"]

MAX_CONSTANTS = 1 << 22
"""Most values of all arrays that stand in the settings of layers."""

PLACE_VALUES = 64
"""Values of float32 that take as much memory as one place in a window: three slices."""

Pair = tuple[int, int]


def kind_of(spec: LayerSpec) -> LayerKind:
    """Return how to read `spec`, or raise if its class is not among `KINDS`."""
    if isinstance(spec, StepSpec):
        return STEP
    kind = KINDS.get(spec.class_name)
    if kind is None:
        field = field_of(spec.class_name)
        if field is not None:
            spec.refuse(f"is a layer for {field}, and not of image classifiers, which alone are read")
        spec.refuse(f"is of a class that cannot be read; {instead(spec)}")
    return kind


def _noise(kind: str) -> LayerKind:
    setting = Noise.KINDS[kind]
    default, maximum = (0.5, 1) if setting == "rate" else (0, 1 if setting == "drop_path_rate" else None)
    readers: dict[str, Reader] = {
        "kind": lambda _spec, _shape: kind,
        "rate": lambda spec, _shape: positive(spec, setting, default, maximum),
    }
    if setting == "l1":
        readers["l2"] = lambda spec, _shape: positive(spec, "l2", 0)
    return LayerKind(Noise, readers, lambda layer, _settings: dict(layer.settings))


def _augmentation(kind: str) -> LayerKind:
    readers: dict[str, Reader] = {
        "kind": lambda _spec, _shape: kind,
        "settings": lambda spec, _shape: json.dumps(
            {key: value for key, value in spec.config.items() if key not in _OF_EVERY_LAYER}
        ),
    }
    return LayerKind(Augmentation, readers, lambda layer, _settings: json.loads(layer.settings))


_OF_EVERY_LAYER = ("name", "dtype", "trainable", "batch_input_shape", "batch_shape", "build_config")
"""Settings that are not of one kind of layer."""


def _cropped(spec: LayerSpec, shape: Shape) -> bool:
    """Return True for a RandomCrop at prediction: it resizes and crops to the aspect ratio, if Keras 2 wrote it."""
    size = (
        spec.integer("height", minimum=1, maximum=MAX_SIZE),
        spec.integer("width", minimum=1, maximum=MAX_SIZE),
    )
    if spec.keras >= 3 and size != (
        shape[1:] if spec.config.get("data_format") == "channels_first" else shape[:2]
    ):
        spec.refuse(
            f"crops images of shape {shape} to {size[0]} x {size[1]}, which at prediction versions of Keras 3 do in "
            "different ways; put a CenterCrop or a Resizing in its place (--architecture)"
        )
    return True


class _LayerScaleKind(LayerKind):
    """The LayerScale of Keras' ConvNeXt: its gamma is the scale here."""

    __slots__ = ()

    def prepared(self, variables: Mapping[str, Array]) -> dict[str, Array | None]:
        """Return the scale."""
        return LayerKind.prepared(self, {"scale": variables["gamma"]})


def _layer_scale_variables(spec: LayerSpec, shape: Shape) -> Variables:
    n = count(spec, "projection_dim")
    if n not in (1, shape[-1]):
        spec.refuse(f"has projection_dim = {n}, which does not fit inputs of shape {shape}")
    return {"gamma": (n,)}


def _layer_axes(spec: LayerSpec, shape: Shape) -> tuple[int, ...]:
    axes = spec.axes(len(shape), -1)
    if not axes:
        spec.refuse("has no axis to normalize over")
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


def _normal_variables(spec: LayerSpec, shape: Shape) -> Variables:
    if not _is_adapted(spec):
        return {}
    return {**Normalization.variable_shapes(shape, {"axis": spec.axes(len(shape), -1)}), "count": ()}


def _constant(spec: LayerSpec, key: str, shape: Shape) -> Array:
    """Return a mean or variance that stands in the settings, one number for each place on the axes."""
    axes = spec.axes(len(shape), -1)
    sizes = Normalization.variable_shapes(shape, {"axis": axes})[key]
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


def _groups_of_channels(spec: LayerSpec, _shape: Shape) -> int:
    return -1 if spec.config.get("groups") == -1 else count(spec, "groups", 32)


def _grouped_shape(spec: LayerSpec, shape: Shape) -> Shape:
    settings = KINDS["GroupNormalization"].read(spec, shape)
    return GroupNormalization(spec.name, None, None, **settings).output_shape(shape)


def _unit_axes(spec: LayerSpec, shape: Shape) -> tuple[int, ...]:
    axes = spec.axes(len(shape), -1)
    if len(axes) != 1 and (spec.keras >= 3 or not axes):
        spec.refuse(
            f"has {len(axes)} axes, over which Keras 3 takes no length of vectors; put a Rescaling or a "
            "LayerNormalization in its place (--architecture)"
        )
    return axes


_SPECIAL: dict[str, LayerKind] = {
    **OURS,
    **IMAGES,
    **SIGNALS,
    "Dense": kind_for(
        Dense,
        write=lambda layer, settings: {"units": layer.n_units, **settings},
        variables=lambda spec, shape: {
            "kernel": (shape[-1], count(spec, "units")),
            "bias": (count(spec, "units"),),
        },
        output_shape=lambda spec, shape: (*shape[:-1], count(spec, "units")),
    ),
    "GroupNormalization": kind_for(
        GroupNormalization, {"groups": _groups_of_channels}, output_shape=_grouped_shape
    ),
    "UnitNormalization": LayerKind(
        UnitNormalization,
        # Keras 2 bounds the squared length, Keras 3 the length.
        {"axis": _unit_axes, "epsilon": lambda spec, _shape: 1e-12 if spec.keras < 3 else 1e-24},
        lambda _layer, settings: {"axis": settings["axis"]},
    ),
    "LayerNormalization": kind_for(
        LayerNormalization, {"axis": _layer_axes}, output_shape=lambda _spec, shape: shape
    ),
    "Normalization": _NormalizationKind(
        Normalization,
        kind_for(Normalization).settings,
        lambda _layer, settings: {**settings, "mean": None, "variance": None},
        _normal_variables,
        lambda _spec, shape: shape,
    ),
    **{kind: _noise(kind) for kind in Noise.KINDS},
    "probe>StochasticDepth": _noise("StochasticDepth"),
    **{kind: _augmentation(kind) for kind in Augmentation.KINDS},
    "RandomCrop": LayerKind(
        Resizing,
        {
            **{key: IMAGES["CenterCrop"].settings[key] for key in ("height", "width", "data_format")},
            "crop_to_aspect_ratio": _cropped,
        },
        buffer=IMAGES["CenterCrop"].buffer,
    ),
    "LayerScale": _LayerScaleKind(
        Affine, variables=_layer_scale_variables, output_shape=lambda _spec, shape: shape
    ),
    "Activation": LayerKind(ActivationLayer, {"activation_name": activation_setting}),
    "Identity": LayerKind(ActivationLayer, {"activation_name": lambda _spec, _shape: "linear"}),
    **dict.fromkeys(ACTIVATION_CLASSES, LayerKind(ActivationLayer, {"activation_name": activation_class})),
}

_TOLD = {kind.layer for kind in _SPECIAL.values()}

KINDS = _SPECIAL | {
    name if layer.is_in_keras else f"probe>{name}": kind_for(layer)
    for name, layer in LAYERS.items()
    if layer not in _TOLD
}
"""How to read and write each class of layer, by Keras' name for it."""

# TensorFlow 1.13 to 1.15 wrote these names.
for _name in ("BatchNormalizationV1", "BatchNormalizationV2"):
    KINDS[_name] = KINDS["BatchNormalization"]


def describe(layer: Layer) -> tuple[str, Settings]:
    """Return Keras' class name for `layer`, and its settings without the name and the type.

    Examples
    --------
    >>> from probe.layers import Reshape
    >>> describe(Reshape("rows", (4, -1)))
    ('Reshape', {'target_shape': [4, -1]})
    """
    if isinstance(layer, ActivationLayer):
        return activation_layer(layer.activation)
    kind = KINDS.get(layer.keras_name)
    if kind is None or kind.layer is not type(layer):
        raise InputError(f"layer '{layer.name}' is a {type(layer).__name__}, which cannot be stored")
    return layer.keras_name, kind.written(layer)
