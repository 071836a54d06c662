"""How Keras' layers of images are read and written: convolutions, pooling, padding."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from probe.kerasfile._config import MAX_SIZE, LayerSpec, Shape
from probe.kerasfile._kinds import (
    ACTIVATED,
    LayerKind,
    Reader,
    Settings,
    Variables,
    bias_variable,
    biased,
    data_format,
)
from probe.layers import (
    AveragePooling2D,
    Conv2D,
    Conv2DTranspose,
    Cropping2D,
    DepthwiseConv2D,
    GlobalAveragePooling2D,
    GlobalMaxPooling2D,
    MaxPooling2D,
    SeparableConv2D,
    UpSampling2D,
    ZeroPadding2D,
)

__all__ = ["IMAGE_KINDS"]

Pair = tuple[int, int]

PLACE_VALUES = 64
"""Values of float32 that take as much memory as one place in a window: three slices."""


def _image(spec: LayerSpec, shape: Shape) -> tuple[int, int, int]:
    """Return (height, width, channels) of an input, wherever its channels are."""
    if len(shape) != 3:
        spec.refuse(f"takes images of three axes, but gets shape {shape}")
    return shape if data_format(spec) == "channels_last" else (*shape[1:], shape[0])


def _channels(spec: LayerSpec, shape: Shape) -> int:
    return _image(spec, shape)[2]


def _strides(spec: LayerSpec, _shape: Shape = ()) -> Pair:
    return spec.pair("strides", 1)


def _padding(spec: LayerSpec, _shape: Shape = ()) -> str:
    return spec.choice("padding", ("valid", "same"))


def _dilation(spec: LayerSpec, _shape: Shape = ()) -> Pair:
    return spec.pair("dilation_rate", 1)


def _filters(spec: LayerSpec) -> int:
    return spec.integer("filters", minimum=1, maximum=MAX_SIZE)


def _multiplier(spec: LayerSpec) -> int:
    return spec.integer("depth_multiplier", minimum=1, maximum=MAX_SIZE, default=1)


def _groups(spec: LayerSpec, shape: Shape) -> int:
    channels, filters = _channels(spec, shape), _filters(spec)
    groups = spec.integer("groups", minimum=1, maximum=MAX_SIZE, default=1)
    if channels % groups or filters % groups:
        spec.refuse(
            f"has groups = {groups}, which divides not both {channels} channels and {filters} filters"
        )
    return groups


def _output_padding(spec: LayerSpec, _shape: Shape = ()) -> Pair | None:
    return spec.pair("output_padding", minimum=0) if spec.has("output_padding") else None


def _spans(spec: LayerSpec) -> Pair:
    """Return height and width of a window from end to end, with its dilation."""
    (rows, columns), (down, along) = spec.pair("kernel_size"), _dilation(spec)
    return (rows - 1) * down + 1, (columns - 1) * along + 1


def _windows(spec: LayerSpec, shape: Shape, spans: Pair, strides: Pair) -> tuple[Pair, Pair]:
    """Return how many windows there are along height and width, and how long the padded axes are."""
    *sizes, _ = _image(spec, shape)
    padding = _padding(spec)
    for n, span in zip(sizes, spans, strict=True):
        if padding == "valid" and span > n:
            spec.refuse(f"has windows of {span} pixels, more than its input of shape {shape} has")
    rows, columns, _ = MaxPooling2D(spec.name, spans, strides, padding).output_shape((*sizes, 1))  # type: ignore[arg-type]
    padded = [
        n if padding == "valid" else max(n, (count - 1) * stride + span)
        for n, count, span, stride in zip(sizes, (rows, columns), spans, strides, strict=True)
    ]
    return (rows, columns), (padded[0], padded[1])


def _formatted(spec: LayerSpec, size: Pair, channels: int) -> Shape:
    return (*size, channels) if data_format(spec) == "channels_last" else (channels, *size)


def _convolved(spec: LayerSpec, shape: Shape, filters: int) -> Shape:
    """Return the shape of one output of a convolution."""
    return _formatted(spec, _windows(spec, shape, _spans(spec), _strides(spec))[0], filters)


def _transpose_shape(spec: LayerSpec, shape: Shape) -> Shape:
    # The layer knows, and a kernel of few weights, far apart, reaches as far as one of many.
    spans = _spans(spec)
    kernel = np.zeros((*(min(span, 2) for span in spans), 1, 1), np.float32)
    settings: Any = {
        "strides": _strides(spec),
        "padding": _padding(spec),
        "output_padding": _output_padding(spec),
    }
    dilation = max(spans[0] - 1, 1), max(spans[1] - 1, 1)
    layer = Conv2DTranspose(spec.name, kernel, kernel[0, 0, 0], **settings, dilation_rate=dilation)
    height, width, _ = layer.output_shape((*_image(spec, shape)[:2], 1))
    return _formatted(spec, (height, width), _filters(spec))


def _convolution_buffer(spec: LayerSpec, shape: Shape) -> int:
    """Return the values of a padded image, or of the windows in one row of it."""
    counts, padded = _windows(spec, shape, _spans(spec), _strides(spec))
    in_one_row = counts[1] * math.prod(spec.pair("kernel_size"))
    return max(math.prod(padded), in_one_row) * _channels(spec, shape)


def _depthwise_buffer(spec: LayerSpec, shape: Shape) -> int:
    """Return the values of a padded image, each channel as often as it has kernels."""
    _, padded = _windows(spec, shape, _spans(spec), _strides(spec))
    return math.prod(padded) * _channels(spec, shape) * _multiplier(spec)


def _transpose_buffer(spec: LayerSpec, shape: Shape) -> int:
    """Return the values of all that the windows cover, before it is cut to the output."""
    covered = [
        (n - 1) * stride + max(span, stride)
        for n, span, stride in zip(_image(spec, shape), _spans(spec), _strides(spec), strict=False)
    ]
    return math.prod(covered) * _filters(spec)


def _pool_size(spec: LayerSpec, _shape: Shape = ()) -> Pair:
    return spec.pair("pool_size", 2)


def _pool_strides(spec: LayerSpec, _shape: Shape = ()) -> Pair | None:
    # Null stands for windows side by side, here as there.
    return _strides(spec) if spec.has("strides") else None


def _pooling_buffer(spec: LayerSpec, shape: Shape) -> int:
    """Return the values of a padded image, or what takes as much memory as the list of places in a window."""
    window = _pool_size(spec)
    _, padded = _windows(spec, shape, window, _pool_strides(spec) or window)
    return max(math.prod(padded) * _channels(spec, shape), math.prod(window) * PLACE_VALUES)


def _conv_variables(spec: LayerSpec, shape: Shape) -> Variables:
    n_in = _channels(spec, shape) // _groups(spec, shape)
    return {
        "kernel": (*spec.pair("kernel_size"), n_in, _filters(spec)),
        **bias_variable(spec, _filters(spec)),
    }


def _depthwise_variables(spec: LayerSpec, shape: Shape) -> Variables:
    n_in, multiplier = _channels(spec, shape), _multiplier(spec)
    kernel = (*spec.pair("kernel_size"), n_in, multiplier)
    return {"kernel": kernel, **bias_variable(spec, n_in * multiplier)}


def _separable_variables(spec: LayerSpec, shape: Shape) -> Variables:
    n_in, multiplier, filters = _channels(spec, shape), _multiplier(spec), _filters(spec)
    return {
        "depthwise_kernel": (*spec.pair("kernel_size"), n_in, multiplier),
        "pointwise_kernel": (1, 1, n_in * multiplier, filters),
        **bias_variable(spec, filters),
    }


def _transpose_variables(spec: LayerSpec, shape: Shape) -> Variables:
    filters = _filters(spec)
    return {
        "kernel": (*spec.pair("kernel_size"), filters, _channels(spec, shape)),
        **bias_variable(spec, filters),
    }


def _write_filters(layer: Any, settings: Settings) -> Settings:
    height, width, *_ = layer.kernel.shape
    return {"filters": layer.n_filters, "kernel_size": [height, width], **settings}


def _write_depthwise(layer: Any, settings: Settings) -> Settings:
    height, width, _, multiplier = layer.kernel.shape
    return {"kernel_size": [height, width], "depth_multiplier": multiplier, **settings}


def _write_separable(layer: Any, settings: Settings) -> Settings:
    height, width, _, multiplier = layer.depthwise_kernel.shape
    sizes = {"filters": layer.n_filters, "kernel_size": [height, width], "depth_multiplier": multiplier}
    return {**sizes, **settings}


def _interpolation(spec: LayerSpec, _shape: Shape) -> str:
    return spec.choice("interpolation", ("nearest",))


_WINDOWED: dict[str, Reader] = {"strides": _strides, "padding": _padding, "data_format": data_format}
_CONVOLVED: dict[str, Reader] = {**_WINDOWED, "dilation_rate": _dilation, **ACTIVATED}
_POOLED: dict[str, Reader] = {"pool_size": _pool_size, **_WINDOWED, "strides": _pool_strides}
_POOLED_WHOLE: dict[str, Reader] = {
    "keepdims": lambda spec, _shape: spec.boolean("keepdims", default=False),
    "data_format": data_format,
}

IMAGE_KINDS: dict[str, LayerKind] = {
    "Conv2D": LayerKind(
        Conv2D,
        {**_CONVOLVED, "groups": _groups},
        _write_filters,
        _conv_variables,
        biased(lambda kernel: kernel.shape[3]),
        lambda spec, shape: _convolved(spec, shape, _filters(spec)),
        _convolution_buffer,
    ),
    "DepthwiseConv2D": LayerKind(
        DepthwiseConv2D,
        _CONVOLVED,
        _write_depthwise,
        _depthwise_variables,
        biased(lambda kernel: kernel.shape[2] * kernel.shape[3]),
        lambda spec, shape: _convolved(spec, shape, _channels(spec, shape) * _multiplier(spec)),
        _depthwise_buffer,
    ),
    "SeparableConv2D": LayerKind(
        SeparableConv2D,
        _CONVOLVED,
        _write_separable,
        _separable_variables,
        biased(lambda kernel: kernel.shape[3]),
        lambda spec, shape: _convolved(spec, shape, _filters(spec)),
        _depthwise_buffer,
    ),
    "Conv2DTranspose": LayerKind(
        Conv2DTranspose,
        {**_CONVOLVED, "output_padding": _output_padding},
        _write_filters,
        _transpose_variables,
        biased(lambda kernel: kernel.shape[2]),
        _transpose_shape,
        _transpose_buffer,
    ),
    **{
        layer.__name__: LayerKind(layer, _POOLED, buffer=_pooling_buffer)
        for layer in (MaxPooling2D, AveragePooling2D)
    },
    **{
        layer.__name__: LayerKind(layer, _POOLED_WHOLE)
        for layer in (GlobalMaxPooling2D, GlobalAveragePooling2D)
    },
    "ZeroPadding2D": LayerKind(
        ZeroPadding2D, {"padding": lambda spec, _shape: spec.margins("padding"), "data_format": data_format}
    ),
    "Cropping2D": LayerKind(
        Cropping2D, {"cropping": lambda spec, _shape: spec.margins("cropping"), "data_format": data_format}
    ),
    "UpSampling2D": LayerKind(
        UpSampling2D,
        {
            "size": lambda spec, _shape: spec.pair("size", 2),
            "data_format": data_format,
            "interpolation": _interpolation,
        },
    ),
}
"""How to read and write each class of image layers, by Keras' name for it."""
