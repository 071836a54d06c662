"""Layers of images as Keras describes them: sizes, windows, and how much memory they take on their way."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from probe.kerasfile._config import LayerSpec, Shape
from probe.kerasfile._kinds import LayerKind, Reader, Settings, Variables, kind_for
from probe.kerasfile._ours import count
from probe.layers import (
    AdaptiveAveragePooling2D,
    AveragePooling2D,
    CenterCrop,
    Conv2D,
    Conv2DTranspose,
    DepthwiseConv2D,
    LocallyConnected2D,
    MaxPooling2D,
    Resizing,
    SeparableConv2D,
    UpSampling2D,
)

__all__ = ["IMAGES"]

PLACE_VALUES = 64
"""Values of float32 that take as much memory as one place in a window: three slices."""

MATRIX_VALUES = 16
"""Values of float32 that take as much memory as one entry of a matrix that resizes, while it is made."""

Pair = tuple[int, int]


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
    pooling = MaxPooling2D(spec.name, spans, strides, "same" if padding == "same" else "valid")
    rows, columns, _ = pooling.output_shape((*sizes, 1))
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
    settings = IMAGES["Conv2DTranspose"].read(spec, shape) | {
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
    return max(rows * width * channels, MATRIX_VALUES * max(rows * tall, columns * wide))


def _adaptive_buffer(spec: LayerSpec, shape: Shape) -> int:
    """Return the values of an image that is pooled along its height only, or of a matrix along an axis."""
    height, width, channels = _image(spec, shape)
    rows, columns = spec.pair("output_size")
    return max(rows * width * channels, MATRIX_VALUES * max(rows * height, columns * width))


def _upsampling_buffer(spec: LayerSpec, shape: Shape) -> int:
    """Return the values of a matrix along an axis, which all but "nearest" need."""
    if spec.config.get("interpolation", "nearest") == "nearest":
        return 0
    sizes = zip(_image(spec, shape), spec.pair("size", 2), strict=False)
    return MATRIX_VALUES * max(n * n * factor for n, factor in sizes)


def _size(name: str) -> Reader:
    return lambda spec, _shape: count(spec, name)


_SIZES = {"height": _size("height"), "width": _size("width")}


def _write_resizing(layer: Resizing, settings: Settings) -> Settings:
    names = {
        name: value for name, value in settings.items() if name != "coordinates" or not layer.is_in_keras
    }
    return names | {"fill_mode": "constant"}


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
    sizes = {"filters": layer.n_filters, "depth_multiplier": kernel.shape[-1]}
    return {"kernel_size": list(kernel.shape[:-2]), **{name: sizes[name] for name in names}, **settings}


def _write_filters(layer: Any, settings: Settings) -> Settings:
    return _write_sizes(layer, settings, "filters")


def _write_depthwise(layer: Any, settings: Settings) -> Settings:
    return _write_sizes(layer, settings, "depth_multiplier")


def _write_separable(layer: Any, settings: Settings) -> Settings:
    return _write_sizes(layer, settings, "filters", "depth_multiplier")


def _connected_windows(spec: LayerSpec, shape: Shape) -> Pair:
    """Return how many windows a LocallyConnected2D has along height and width, of the kind that can be read."""
    if spec.integer("implementation", minimum=1, maximum=3, default=1) != 1:
        spec.refuse(
            "has implementation = 2 or 3, which stores weights otherwise; save it with implementation = 1"
        )
    if _has_channels_first(spec):
        spec.refuse("has its channels first, which orders weights otherwise; save it with the channels last")
    return _windows(spec, shape, spec.pair("kernel_size"), spec.pair("strides", 1))[0]


def _connected_variables(spec: LayerSpec, shape: Shape) -> Variables:
    rows, columns = _connected_windows(spec, shape)
    filters = count(spec, "filters")
    n_in = math.prod(spec.pair("kernel_size")) * _channels(spec, shape)
    return {"kernel": (rows * columns, n_in, filters), "bias": (rows, columns, filters)}


def _write_connected(layer: Any, settings: Settings) -> Settings:
    return {"filters": layer.n_filters, "padding": "valid", "implementation": 1, **settings}


def _named_twice(name: str, kind: LayerKind) -> dict[str, LayerKind]:
    """Return one kind under Keras' name and under ours, for settings that Keras lacks."""
    return {name: kind, f"probe>{name}": kind}


IMAGES: dict[str, LayerKind] = {
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
        write=_write_depthwise,
        variables=_depthwise_variables,
        output_shape=lambda spec, shape: _convolved(
            spec, shape, _channels(spec, shape) * count(spec, "depth_multiplier", 1)
        ),
        buffer=_depthwise_buffer,
    ),
    "SeparableConv2D": kind_for(
        SeparableConv2D,
        write=_write_separable,
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
    "UpSampling2D": kind_for(UpSampling2D, buffer=_upsampling_buffer),
    "AdaptiveAveragePooling2D": kind_for(
        AdaptiveAveragePooling2D,
        {"output_size": lambda spec, _shape: spec.pair("output_size")},
        buffer=_adaptive_buffer,
    ),
    "LocallyConnected2D": kind_for(
        LocallyConnected2D,
        {"kernel_size": lambda spec, _shape: spec.pair("kernel_size")},
        write=_write_connected,
        variables=_connected_variables,
        output_shape=lambda spec, shape: _formatted(
            spec, _connected_windows(spec, shape), count(spec, "filters")
        ),
        buffer=lambda spec, shape: (
            math.prod(_connected_windows(spec, shape))
            * math.prod(spec.pair("kernel_size"))
            * _channels(spec, shape)
        ),
    ),
}
"""How to read and write each of them, by the name that stands in files."""
