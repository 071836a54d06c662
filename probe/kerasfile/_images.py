"""How Keras' layers of images are read and written: convolutions, pooling, padding."""

from __future__ import annotations

import math
from typing import Any

from probe.kerasfile._kinds import (
    LayerKind,
    Settings,
    Variables,
    activated,
    biased,
    data_format,
    settings_activated,
)
from probe.kerasfile._settings import MAX_SIZE, LayerSpec, Shape
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
from probe.layers._images import window_padding

__all__ = ["IMAGE_KINDS"]

PADDINGS = ("valid", "same")

PLACE_VALUES = 64
"""Values of float32 that take as much memory as one place in a window: three slices."""


def _image(spec: LayerSpec, shape: Shape) -> tuple[int, int, int]:
    """Return (height, width, channels) of an input, wherever its channels are."""
    if len(shape) != 3:
        spec.refuse(f"takes images of three axes, but gets shape {shape}")
    return shape if data_format(spec) == "channels_last" else (*shape[1:], shape[0])


def _formatted(spec: LayerSpec, height: int, width: int, channels: int) -> Shape:
    if data_format(spec) == "channels_last":
        return height, width, channels
    return channels, height, width


def _windowed(spec: LayerSpec) -> Settings:
    return {
        "strides": spec.pair("strides", 1),
        "padding": spec.choice("padding", PADDINGS),
        "data_format": data_format(spec),
    }


def _dilated(spec: LayerSpec, _shape: Shape) -> Settings:
    return {**_windowed(spec), "dilation_rate": spec.pair("dilation_rate", 1), **activated(spec)}


def _write_dilated(layer: Any) -> Settings:
    return {
        "strides": list(layer.strides),
        "padding": layer.padding,
        "data_format": layer.data_format,
        "dilation_rate": list(layer.dilation_rate),
        **settings_activated(layer),
    }


def _spans(spec: LayerSpec) -> tuple[int, int]:
    """Return height and width of a window from end to end, with its dilation."""
    (rows, columns), (down, along) = spec.pair("kernel_size"), spec.pair("dilation_rate", 1)
    return (rows - 1) * down + 1, (columns - 1) * along + 1


def _windows(
    spec: LayerSpec, shape: Shape, spans: tuple[int, int], strides: tuple[int, int]
) -> list[tuple[int, int]]:
    """Return for the height and the width how many windows there are, and how long the padded axis is."""
    found = []
    for n, window, stride in zip(_image(spec, shape), spans, strides, strict=False):
        count, *padding = window_padding(n, window, stride, spec.choice("padding", PADDINGS))
        if count <= 0:
            spec.refuse(f"has windows of {window} pixels, more than its input of shape {shape} has")
        found.append((count, n + sum(padding)))
    return found


def _convolved(spec: LayerSpec, shape: Shape, filters: int) -> Shape:
    """Return the shape of one output of a convolution."""
    rows, columns = _windows(spec, shape, _spans(spec), spec.pair("strides", 1))
    return _formatted(spec, rows[0], columns[0], filters)


def _convolution_buffer(spec: LayerSpec, shape: Shape) -> int:
    """Return the values of a padded image, or of the windows in one row of it."""
    rows, columns = _windows(spec, shape, _spans(spec), spec.pair("strides", 1))
    channels = _image(spec, shape)[2]
    return max(rows[1] * columns[1], columns[0] * math.prod(spec.pair("kernel_size"))) * channels


def _depthwise_buffer(spec: LayerSpec, shape: Shape) -> int:
    """Return the values of a padded image, each channel as often as it has kernels."""
    rows, columns = _windows(spec, shape, _spans(spec), spec.pair("strides", 1))
    return rows[1] * columns[1] * _image(spec, shape)[2] * _multiplier(spec)


def _transpose_buffer(spec: LayerSpec, shape: Shape) -> int:
    """Return the values of all that the windows cover, before it is cut to the output."""
    covered = [
        (n - 1) * stride + max(window, stride)
        for n, window, stride in zip(_image(spec, shape), _spans(spec), spec.pair("strides", 1), strict=False)
    ]
    return math.prod(covered) * _filters(spec)


def _pooling_buffer(spec: LayerSpec, shape: Shape) -> int:
    """Return the values of a padded image, or what takes as much memory as the list of places in a window."""
    window = spec.pair("pool_size", 2)
    strides = spec.pair("strides", 1) if spec.has("strides") else window
    rows, columns = _windows(spec, shape, window, strides)
    return max(rows[1] * columns[1] * _image(spec, shape)[2], math.prod(window) * PLACE_VALUES)


def _filters(spec: LayerSpec) -> int:
    return spec.integer("filters", minimum=1, maximum=MAX_SIZE)


def _groups(spec: LayerSpec, channels: int, filters: int) -> int:
    groups = spec.integer("groups", minimum=1, maximum=MAX_SIZE, default=1)
    if channels % groups or filters % groups:
        spec.refuse(
            f"has groups = {groups}, which divides not both {channels} channels and {filters} filters"
        )
    return groups


def _bias(spec: LayerSpec, n_units: int) -> Variables:
    return {"bias": (n_units,)} if spec.boolean("use_bias", default=True) else {}


def _conv_variables(spec: LayerSpec, shape: Shape) -> Variables:
    filters, channels = _filters(spec), _image(spec, shape)[2]
    n_in = channels // _groups(spec, channels, filters)
    return {"kernel": (*spec.pair("kernel_size"), n_in, filters), **_bias(spec, filters)}


def _conv_settings(spec: LayerSpec, shape: Shape) -> Settings:
    groups = _groups(spec, _image(spec, shape)[2], _filters(spec))
    return {**_dilated(spec, shape), "groups": groups}


def _write_conv(layer: Any) -> Settings:
    height, width, _, filters = layer.kernel.shape
    return {
        "filters": filters,
        "kernel_size": [height, width],
        **_write_dilated(layer),
        "groups": layer.groups,
    }


def _multiplier(spec: LayerSpec) -> int:
    return spec.integer("depth_multiplier", minimum=1, maximum=MAX_SIZE, default=1)


def _depthwise_variables(spec: LayerSpec, shape: Shape) -> Variables:
    n_in, multiplier = _image(spec, shape)[2], _multiplier(spec)
    return {"kernel": (*spec.pair("kernel_size"), n_in, multiplier), **_bias(spec, n_in * multiplier)}


def _depthwise_shape(spec: LayerSpec, shape: Shape) -> Shape:
    return _convolved(spec, shape, _image(spec, shape)[2] * _multiplier(spec))


def _write_depthwise(layer: Any) -> Settings:
    height, width, _, multiplier = layer.kernel.shape
    return {"kernel_size": [height, width], "depth_multiplier": multiplier, **_write_dilated(layer)}


def _separable_variables(spec: LayerSpec, shape: Shape) -> Variables:
    n_in, multiplier, filters = _image(spec, shape)[2], _multiplier(spec), _filters(spec)
    return {
        "depthwise_kernel": (*spec.pair("kernel_size"), n_in, multiplier),
        "pointwise_kernel": (1, 1, n_in * multiplier, filters),
        **_bias(spec, filters),
    }


def _write_separable(layer: Any) -> Settings:
    height, width, _, multiplier = layer.depthwise_kernel.shape
    return {
        "filters": layer.pointwise_kernel.shape[3],
        "kernel_size": [height, width],
        "depth_multiplier": multiplier,
        **_write_dilated(layer),
    }


def _transpose_variables(spec: LayerSpec, shape: Shape) -> Variables:
    filters = _filters(spec)
    n_in = _image(spec, shape)[2]
    return {"kernel": (*spec.pair("kernel_size"), filters, n_in), **_bias(spec, filters)}


def _output_padding(spec: LayerSpec) -> tuple[int, int] | None:
    return spec.pair("output_padding", minimum=0) if spec.has("output_padding") else None


def _transpose_settings(spec: LayerSpec, shape: Shape) -> Settings:
    return {**_dilated(spec, shape), "output_padding": _output_padding(spec)}


def _transpose_shape(spec: LayerSpec, shape: Shape) -> Shape:
    *image, _ = _image(spec, shape)
    sizes = []
    for axis, n in enumerate(image):
        stride = spec.pair("strides", 1)[axis]
        window = (spec.pair("kernel_size")[axis] - 1) * spec.pair("dilation_rate", 1)[axis] + 1
        extra, same = _output_padding(spec), spec.choice("padding", PADDINGS) == "same"
        if extra is None:
            sizes.append(n * stride if same else n * stride + max(window - stride, 0))
        else:
            overlap = 2 * (window // 2) if same else 0
            sizes.append((n - 1) * stride + window - overlap + extra[axis])
    return _formatted(spec, sizes[0], sizes[1], _filters(spec))


def _write_transpose(layer: Any) -> Settings:
    height, width, filters, _ = layer.kernel.shape
    extra = layer.output_padding
    return {
        "filters": filters,
        "kernel_size": [height, width],
        **_write_dilated(layer),
        "output_padding": None if extra is None else list(extra),
    }


def _pooling(spec: LayerSpec, _shape: Shape) -> Settings:
    # Null stands for windows side by side, here as there.
    strides = {} if spec.has("strides") else {"strides": None}
    return {"pool_size": spec.pair("pool_size", 2), **_windowed(spec), **strides}


def _write_pooling(layer: Any) -> Settings:
    return {
        "pool_size": list(layer.pool_size),
        "strides": None if layer.strides is None else list(layer.strides),
        "padding": layer.padding,
        "data_format": layer.data_format,
    }


def _global_pooling(spec: LayerSpec, _shape: Shape) -> Settings:
    return {"keepdims": spec.boolean("keepdims", default=False), "data_format": data_format(spec)}


def _write_global_pooling(layer: Any) -> Settings:
    return {"keepdims": layer.keepdims, "data_format": layer.data_format}


def _up_sampling(spec: LayerSpec, _shape: Shape) -> Settings:
    spec.choice("interpolation", ("nearest",))
    return {"size": spec.pair("size", 2), "data_format": data_format(spec)}


def _margins(setting: str, layer: type[ZeroPadding2D | Cropping2D]) -> LayerKind:
    def read(spec: LayerSpec, _shape: Shape) -> Settings:
        return {setting: spec.margins(setting), "data_format": data_format(spec)}

    def write(layer: Any) -> Settings:
        margins = [list(side) for side in getattr(layer, setting)]
        return {setting: margins, "data_format": layer.data_format}

    return LayerKind(layer, read, write)


IMAGE_KINDS: dict[str, LayerKind] = {
    "Conv2D": LayerKind(
        Conv2D,
        _conv_settings,
        _write_conv,
        _conv_variables,
        biased(lambda kernel: kernel.shape[3]),
        lambda spec, shape: _convolved(spec, shape, _filters(spec)),
        buffer=_convolution_buffer,
    ),
    "DepthwiseConv2D": LayerKind(
        DepthwiseConv2D,
        _dilated,
        _write_depthwise,
        _depthwise_variables,
        biased(lambda kernel: kernel.shape[2] * kernel.shape[3]),
        _depthwise_shape,
        {"depthwise_kernel": "kernel"},
        _depthwise_buffer,
    ),
    "SeparableConv2D": LayerKind(
        SeparableConv2D,
        _dilated,
        _write_separable,
        _separable_variables,
        biased(lambda kernel: kernel.shape[3]),
        lambda spec, shape: _convolved(spec, shape, _filters(spec)),
        buffer=_depthwise_buffer,
    ),
    "Conv2DTranspose": LayerKind(
        Conv2DTranspose,
        _transpose_settings,
        _write_transpose,
        _transpose_variables,
        biased(lambda kernel: kernel.shape[2]),
        _transpose_shape,
        buffer=_transpose_buffer,
    ),
    "MaxPooling2D": LayerKind(MaxPooling2D, _pooling, _write_pooling, buffer=_pooling_buffer),
    "AveragePooling2D": LayerKind(AveragePooling2D, _pooling, _write_pooling, buffer=_pooling_buffer),
    "GlobalMaxPooling2D": LayerKind(GlobalMaxPooling2D, _global_pooling, _write_global_pooling),
    "GlobalAveragePooling2D": LayerKind(GlobalAveragePooling2D, _global_pooling, _write_global_pooling),
    "ZeroPadding2D": _margins("padding", ZeroPadding2D),
    "Cropping2D": _margins("cropping", Cropping2D),
    "UpSampling2D": LayerKind(
        UpSampling2D,
        _up_sampling,
        lambda layer: {
            "size": list(layer.size),
            "data_format": layer.data_format,
            "interpolation": layer.interpolation,
        },
    ),
}
"""How to read and write each class of image layers, by Keras' name for it."""
