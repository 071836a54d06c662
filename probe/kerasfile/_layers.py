"""The layers of Keras that can be read and written: `KINDS`, by Keras' name for the class.

What a class of layer says of itself is enough for most. Here are those of which Keras writes more: the sizes of kernels,
arrays among the settings, several classes that are one here.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from probe._checks import Array
from probe._errors import InputError
from probe.kerasfile._config import MAX_AXES, LayerSpec, Shape
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
from probe.kerasfile._steps import STEP, StepSpec
from probe.layers import (
    LAYERS,
    ActivationLayer,
    AveragePooling2D,
    CenterCrop,
    Conv2D,
    Conv2DTranspose,
    Dense,
    DepthwiseConv2D,
    GroupNormalization,
    Layer,
    LayerNormalization,
    MaxPooling2D,
    Noise,
    Normalization,
    Resizing,
    SeparableConv2D,
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
        spec.refuse(f"is of a class that cannot be read; supported are {', '.join(sorted(KINDS))}")
    return kind


def _noise(kind: str) -> LayerKind:
    setting = Noise.KINDS[kind]
    default, maximum = (0.5, 1) if setting == "rate" else (0, None)
    readers: dict[str, Reader] = {
        "kind": lambda _spec, _shape: kind,
        "rate": lambda spec, _shape: positive(spec, setting, default, maximum),
    }
    if setting == "l1":
        readers["l2"] = lambda spec, _shape: positive(spec, "l2", 0)
    return LayerKind(Noise, readers, lambda layer, _settings: dict(layer.settings))


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


def _image(spec: LayerSpec, shape: Shape) -> tuple[int, int, int]:
    """Return (height, width, channels) of an input, wherever its channels are."""
    if len(shape) != 3:
        spec.refuse(f"takes images of three axes, but gets shape {shape}")
    return (*shape[1:], shape[0]) if _has_channels_first(spec) else shape


def _channels(spec: LayerSpec, shape: Shape) -> int:
    return _image(spec, shape)[2]


def _has_channels_first(spec: LayerSpec) -> bool:
    return spec.choice("data_format", ("channels_last", "channels_first")) == "channels_first"


def _groups(spec: LayerSpec, shape: Shape) -> int:
    channels, filters = _channels(spec, shape), count(spec, "filters")
    groups = count(spec, "groups", 1)
    if channels % groups or filters % groups:
        spec.refuse(
            f"has groups = {groups}, which divides not both {channels} channels and {filters} filters"
        )
    return groups


def _spans(spec: LayerSpec) -> Pair:
    """Return height and width of a window from end to end, with its dilation."""
    (rows, columns), (down, along) = spec.pair("kernel_size"), spec.pair("dilation_rate", 1)
    return (rows - 1) * down + 1, (columns - 1) * along + 1


def _windows(spec: LayerSpec, shape: Shape, spans: Pair, strides: Pair) -> tuple[Pair, Pair]:
    """Return how many windows there are along height and width, and how long the padded axes are."""
    *sizes, _ = _image(spec, shape)
    padding: Any = _padding(spec, shape)
    margins = ((0, 0), (0, 0)) if isinstance(padding, str) else padding
    sizes = [n + sum(around) for n, around in zip(sizes, margins, strict=True)]
    for n, span in zip(sizes, spans, strict=True):
        if padding != "same" and span > n:
            spec.refuse(f"has windows of {span} pixels, more than its input of shape {shape} has")
    inner = "same" if padding == "same" else "valid"
    rows, columns, _ = MaxPooling2D(spec.name, spans, strides, inner).output_shape((*sizes, 1))
    padded = [
        max(n, (number - 1) * stride + span) if padding == "same" else n
        for n, number, span, stride in zip(sizes, (rows, columns), spans, strides, strict=True)
    ]
    return (rows, columns), (padded[0], padded[1])


def _padding(spec: LayerSpec, _shape: Shape) -> str | tuple[Pair, Pair]:
    """Return the setting "padding": a name or, in a pooling of ours, counts of pixels."""
    if isinstance(spec.config.get("padding"), list) and spec.class_name.startswith("probe>"):
        return spec.margins("padding")
    return spec.choice("padding", ("valid", "same"))


def _formatted(spec: LayerSpec, size: Pair, channels: int) -> Shape:
    return (channels, *size) if _has_channels_first(spec) else (*size, channels)


def _convolved(spec: LayerSpec, shape: Shape, filters: int) -> Shape:
    """Return the shape of one output of a convolution."""
    return _formatted(spec, _windows(spec, shape, _spans(spec), spec.pair("strides", 1))[0], filters)


def _transpose_shape(spec: LayerSpec, shape: Shape) -> Shape:
    # The layer knows, and a kernel of few weights, far apart, reaches as far as one of many.
    spans = _spans(spec)
    kernel = np.zeros((*(min(span, 2) for span in spans), 1, 1), np.float32)
    settings = KINDS["Conv2DTranspose"].read(spec, shape) | {
        "dilation_rate": tuple(max(span - 1, 1) for span in spans),
        "data_format": "channels_last",
    }
    layer = Conv2DTranspose(spec.name, kernel, **settings)
    height, width, _ = layer.output_shape((*_image(spec, shape)[:2], 1))
    return _formatted(spec, (height, width), count(spec, "filters"))


def _convolution_buffer(spec: LayerSpec, shape: Shape) -> int:
    """Return the values of a padded image, or of the windows in one row of it."""
    counts, padded = _windows(spec, shape, _spans(spec), spec.pair("strides", 1))
    in_one_row = counts[1] * math.prod(spec.pair("kernel_size"))
    return max(math.prod(padded), in_one_row) * _channels(spec, shape)


def _depthwise_buffer(spec: LayerSpec, shape: Shape) -> int:
    """Return the values of a padded image, each channel as often as it has kernels."""
    _, padded = _windows(spec, shape, _spans(spec), spec.pair("strides", 1))
    return math.prod(padded) * _channels(spec, shape) * count(spec, "depth_multiplier", 1)


def _transpose_buffer(spec: LayerSpec, shape: Shape) -> int:
    """Return the values of all that the windows cover, before it is cut to the output."""
    covered = [
        (n - 1) * stride + max(span, stride)
        for n, span, stride in zip(_image(spec, shape), _spans(spec), spec.pair("strides", 1), strict=False)
    ]
    return math.prod(covered) * count(spec, "filters")


def _pooling_buffer(spec: LayerSpec, shape: Shape) -> int:
    """Return the values of a padded image, or what takes as much memory as the list of places in a window."""
    window = spec.pair("pool_size", 2)
    (rows, columns), (down, along) = window, _pooling_dilation(spec, shape)
    spans = (rows - 1) * down + 1, (columns - 1) * along + 1
    _, padded = _windows(spec, shape, spans, spec.pair("strides", window))
    return max(math.prod(padded) * _channels(spec, shape), math.prod(window) * PLACE_VALUES)


def _pooling_dilation(spec: LayerSpec, _shape: Shape = ()) -> Pair:
    return spec.pair("dilation_rate", 1) if spec.class_name.startswith("probe>") else (1, 1)


def _resizing_buffer(spec: LayerSpec, shape: Shape) -> int:
    """Return the values of an image that is resized along its height only, or of a matrix along an axis."""
    height, width, channels = _image(spec, shape)
    rows, columns = count(spec, "height"), count(spec, "width")
    # Padding to the aspect ratio of the output makes an axis as long as this, or leaves it.
    tall, wide = max(height, width * rows // columns + 1), max(width, height * columns // rows + 1)
    return max(rows * width * channels, rows * tall, columns * wide)


def _size(name: str) -> Reader:
    return lambda spec, _shape: count(spec, name)


_SIZES = {"height": _size("height"), "width": _size("width")}


def _write_resizing(layer: Resizing, settings: Settings) -> Settings:
    names = {
        name: value for name, value in settings.items() if name != "coordinates" or not layer.is_in_keras
    }
    return names | {"fill_mode": "constant"}


def _groups_of_channels(spec: LayerSpec, _shape: Shape) -> int:
    return -1 if spec.config.get("groups") == -1 else count(spec, "groups", 32)


def _unit_axes(spec: LayerSpec, shape: Shape) -> tuple[int, ...]:
    return spec.axes(len(shape), -1) or spec.refuse("has no axis to normalize over")


def _write_unit(_layer: Any, settings: Settings) -> Settings:
    return {"axis": settings["axis"]}


_POOLING: dict[str, Reader] = {"padding": _padding}


def _write_pooling(layer: Any, settings: Settings) -> Settings:
    return {
        name: value for name, value in settings.items() if name != "dilation_rate" or not layer.is_in_keras
    }


def _conv_variables(spec: LayerSpec, shape: Shape) -> Variables:
    n_in, filters = _channels(spec, shape) // _groups(spec, shape), count(spec, "filters")
    return {"kernel": (*spec.pair("kernel_size"), n_in, filters), "bias": (filters,)}


def _depthwise_variables(spec: LayerSpec, shape: Shape) -> Variables:
    n_in, multiplier = _channels(spec, shape), count(spec, "depth_multiplier", 1)
    return {"kernel": (*spec.pair("kernel_size"), n_in, multiplier), "bias": (n_in * multiplier,)}


def _separable_variables(spec: LayerSpec, shape: Shape) -> Variables:
    n_in, multiplier, filters = (
        _channels(spec, shape),
        count(spec, "depth_multiplier", 1),
        count(spec, "filters"),
    )
    return {
        "depthwise_kernel": (*spec.pair("kernel_size"), n_in, multiplier),
        "pointwise_kernel": (1, 1, n_in * multiplier, filters),
        "bias": (filters,),
    }


def _transpose_variables(spec: LayerSpec, shape: Shape) -> Variables:
    filters = count(spec, "filters")
    return {"kernel": (*spec.pair("kernel_size"), filters, _channels(spec, shape)), "bias": (filters,)}


def _write_sizes(layer: Any, settings: Settings, *names: str) -> Settings:
    kernel = next(iter(layer.variables.values()))
    sizes = {"filters": layer.n_filters, "depth_multiplier": kernel.shape[3]}
    return {"kernel_size": list(kernel.shape[:2]), **{name: sizes[name] for name in names}, **settings}


def _write_filters(layer: Any, settings: Settings) -> Settings:
    return _write_sizes(layer, settings, "filters")


def _named_twice(name: str, kind: LayerKind) -> dict[str, LayerKind]:
    """Return one kind under Keras' name and under ours, for settings that Keras lacks."""
    return {name: kind, f"probe>{name}": kind}


_SPECIAL: dict[str, LayerKind] = {
    **OURS,
    "Dense": kind_for(
        Dense,
        write=lambda layer, settings: {"units": layer.n_units, **settings},
        variables=lambda spec, shape: {
            "kernel": (shape[-1], count(spec, "units")),
            "bias": (count(spec, "units"),),
        },
        output_shape=lambda spec, shape: (*shape[:-1], count(spec, "units")),
    ),
    "Conv2D": kind_for(
        Conv2D,
        {"groups": _groups},
        write=_write_filters,
        variables=_conv_variables,
        output_shape=lambda spec, shape: _convolved(spec, shape, count(spec, "filters")),
        buffer=_convolution_buffer,
    ),
    "DepthwiseConv2D": kind_for(
        DepthwiseConv2D,
        write=lambda layer, settings: _write_sizes(layer, settings, "depth_multiplier"),
        variables=_depthwise_variables,
        output_shape=lambda spec, shape: _convolved(
            spec, shape, _channels(spec, shape) * count(spec, "depth_multiplier", 1)
        ),
        buffer=_depthwise_buffer,
    ),
    "SeparableConv2D": kind_for(
        SeparableConv2D,
        write=lambda layer, settings: _write_sizes(layer, settings, "filters", "depth_multiplier"),
        variables=_separable_variables,
        output_shape=lambda spec, shape: _convolved(spec, shape, count(spec, "filters")),
        buffer=_depthwise_buffer,
    ),
    "Conv2DTranspose": kind_for(
        Conv2DTranspose,
        write=_write_filters,
        variables=_transpose_variables,
        output_shape=_transpose_shape,
        buffer=_transpose_buffer,
    ),
    **_named_twice(
        "MaxPooling2D",
        kind_for(
            MaxPooling2D,
            {**_POOLING, "dilation_rate": _pooling_dilation},
            write=_write_pooling,
            buffer=_pooling_buffer,
        ),
    ),
    **_named_twice("AveragePooling2D", kind_for(AveragePooling2D, _POOLING, buffer=_pooling_buffer)),
    **_named_twice("Resizing", kind_for(Resizing, _SIZES, write=_write_resizing, buffer=_resizing_buffer)),
    "CenterCrop": kind_for(CenterCrop, _SIZES, buffer=_resizing_buffer),
    "GroupNormalization": kind_for(
        GroupNormalization, {"groups": _groups_of_channels}, output_shape=lambda _spec, shape: shape
    ),
    "UnitNormalization": LayerKind(UnitNormalization, {"axis": _unit_axes}, _write_unit),
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
    "Activation": LayerKind(ActivationLayer, {"activation_name": activation_setting}),
    "Identity": LayerKind(ActivationLayer, {"activation_name": lambda _spec, _shape: "linear"}),
    **dict.fromkeys(ACTIVATION_CLASSES, LayerKind(ActivationLayer, {"activation_name": activation_class})),
}

_TOLD = {kind.layer for kind in _SPECIAL.values()}

KINDS = _SPECIAL | {name: kind_for(layer) for name, layer in LAYERS.items() if layer not in _TOLD}
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
