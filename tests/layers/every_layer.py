"""A layer of every kind and setting, with the shapes of what it reads."""

from dataclasses import fields
from itertools import product

import numpy as np

from probe.layers import (
    GLU,
    ActivationLayer,
    AdaptiveAveragePooling2D,
    Add,
    Affine,
    Augmentation,
    Average,
    AveragePooling1D,
    AveragePooling2D,
    BatchNormalization,
    Broadcast,
    CenterCrop,
    Concatenate,
    Conv1D,
    Conv1DTranspose,
    Conv2D,
    Conv2DTranspose,
    Cropping1D,
    Cropping2D,
    Dense,
    DepthwiseConv1D,
    DepthwiseConv2D,
    Divide,
    Dropout,
    Flatten,
    GlobalAveragePooling1D,
    GlobalAveragePooling2D,
    GlobalMaxPooling1D,
    GlobalMaxPooling2D,
    GroupNormalization,
    LayerNormalization,
    LeakyRelu,
    LocallyConnected2D,
    LocalResponseNormalization,
    Maximum,
    MaxPooling1D,
    MaxPooling2D,
    Minimum,
    Multiply,
    Noise,
    Normalization,
    Pad,
    Permute,
    PReLU,
    Reduce,
    Rescaling,
    Reshape,
    Resizing,
    SeparableConv1D,
    SeparableConv2D,
    Slice,
    Softmax,
    Subtract,
    UnitNormalization,
    UpSampling1D,
    UpSampling2D,
    ZeroPadding1D,
    ZeroPadding2D,
)


def values(*shape):
    return np.asarray(np.random.default_rng(sum(shape) * 100 + len(shape)).normal(size=shape))


def conv(name="conv", kernel=(3, 2), channels=2, filters=4, **settings):
    groups = settings.get("groups", 1)
    return Conv2D(name, values(*kernel, channels // groups, filters), values(filters), **settings)


def depthwise(kernel=(3, 2), channels=2, multiplier=2, **settings):
    return DepthwiseConv2D(
        "depthwise", values(*kernel, channels, multiplier), values(channels * multiplier), **settings
    )


def separable(kernel=(3, 2), channels=2, multiplier=2, **settings):
    return SeparableConv2D(
        "separable",
        values(*kernel, channels, multiplier),
        values(1, 1, channels * multiplier, 3),
        values(3),
        **settings,
    )


def transpose(kernel=(3, 2), channels=2, filters=3, **settings):
    return Conv2DTranspose("transpose", values(*kernel, filters, channels), values(filters), **settings)


def connected(size, channels, kernel=(3, 2), strides=(1, 1), filters=3, **settings):
    rows, columns = ((n - window) // step + 1 for n, window, step in zip(size, kernel, strides, strict=True))
    weights = values(rows * columns, kernel[0] * kernel[1] * channels, filters)
    biases = values(rows, columns, filters)
    return LocallyConnected2D("own", weights, biases, kernel_size=kernel, strides=strides, **settings)


IMAGE = (5, 6, 2)
SIGNAL = (6, 2)
STEPS = {
    f"{padding} {strides} {dilation}": {"padding": padding, "strides": strides, "dilation_rate": dilation}
    for padding, strides, dilation in product(("valid", "same"), ((1, 1), (2, 1), (2, 3)), ((1, 1), (2, 2)))
}
POOLS = {
    f"{padding} {size} {strides}": {"padding": padding, "pool_size": size, "strides": strides}
    for padding, size, strides in product(("valid", "same"), ((2, 2), (3, 2)), (None, (1, 1), (3, 1)))
}
ALONE = {
    **{f"conv {key}": (conv(**steps), IMAGE) for key, steps in STEPS.items()},
    **{f"conv groups {key}": (conv(groups=2, **steps), IMAGE) for key, steps in STEPS.items()},
    **{f"depthwise {key}": (depthwise(**steps), IMAGE) for key, steps in STEPS.items()},
    **{f"separable {key}": (separable(**steps), IMAGE) for key, steps in STEPS.items()},
    **{f"transpose {key}": (transpose(**steps), (3, 4, 2)) for key, steps in STEPS.items()},
    "conv, far more filters than channels": (conv(channels=2, filters=9, padding="same"), IMAGE),
    "conv, one pixel": (conv(kernel=(1, 1), strides=(2, 2)), IMAGE),
    "conv, activation with settings": (conv(activation_name=LeakyRelu(0.1)), IMAGE),
    "conv, no bias": (Conv2D("c", values(2, 2, 2, 3), None), IMAGE),
    "depthwise, no bias": (DepthwiseConv2D("d", values(2, 2, 2, 3), None), IMAGE),
    "separable, no bias": (SeparableConv2D("s", values(2, 2, 2, 3), values(1, 1, 6, 3), None), IMAGE),
    "transpose, no bias": (Conv2DTranspose("t", values(2, 2, 3, 2), None, padding="same"), IMAGE),
    "dense, no bias": (Dense("d", values(4, 3), None), (4,)),
    **{
        f"transpose, output padding, {padding}": (
            transpose(strides=(3, 2), padding=padding, output_padding=(2, 1)),
            (3, 4, 2),
        )
        for padding in ("valid", "same")
    },
    "transpose, kernel within its stride": (transpose(kernel=(1, 2), strides=(3, 3)), (3, 4, 2)),
    **{f"max {key}": (MaxPooling2D("max", **pool), IMAGE) for key, pool in POOLS.items()},
    **{f"average {key}": (AveragePooling2D("average", **pool), IMAGE) for key, pool in POOLS.items()},
    "max, margins and steps within": (
        MaxPooling2D("max", (2, 2), (2, 1), ((1, 0), (1, 2)), dilation_rate=(2, 3)), IMAGE),
    "average, margins": (AveragePooling2D("average", (3, 2), (2, 2), ((2, 1), (0, 1))), IMAGE),
    "global max": (GlobalMaxPooling2D("max"), IMAGE),
    "global max, kept": (GlobalMaxPooling2D("max", keepdims=True), IMAGE),
    "global average": (GlobalAveragePooling2D("average"), IMAGE),
    "global average, kept": (GlobalAveragePooling2D("average", keepdims=True), IMAGE),
    "zero padding": (ZeroPadding2D("pad", ((1, 0), (2, 3))), IMAGE),
    "cropping": (Cropping2D("crop", ((1, 0), (2, 1))), IMAGE),
    "cropping of nothing": (Cropping2D("crop"), IMAGE),
    "upsampling": (UpSampling2D("up", (2, 3)), IMAGE),
    "batch normalization": (
        BatchNormalization("bn", values(2), values(2), values(2), values(2) ** 2), IMAGE),
    "batch normalization, no gamma, axis 1": (
        BatchNormalization("bn", None, values(5), values(5), values(5) ** 2, axis=1), IMAGE),
    "batch normalization, no beta": (
        BatchNormalization("bn", values(4), None, values(4), values(4) ** 2, epsilon=0.1), (4,)),
    "layer normalization": (LayerNormalization("ln", values(2), values(2)), IMAGE),
    "layer normalization, two axes, no gamma": (
        LayerNormalization("ln", None, values(5, 6), axis=(1, 2)), IMAGE),
    "layer normalization, nothing learned": (LayerNormalization("ln", None, None, axis=(-1, 1)), IMAGE),
    "normalization": (Normalization("n", values(2), values(2) ** 2), IMAGE),
    "normalization by one mean": (Normalization("n", values(), np.asarray(values() ** 2), axis=()), IMAGE),
    "normalization, two axes, inverted": (
        Normalization("n", values(5, 2), values(5, 2) ** 2, axis=(1, 3), invert=True), IMAGE),
    "group normalization": (GroupNormalization("gn", values(4), values(4), groups=2), (3, 4)),
    "group normalization, no gamma, axis 1": (GroupNormalization("gn", None, values(6), 3, 1), (6, 2, 2)),
    "group normalization, each channel, nothing learned": (GroupNormalization("gn", None, None, -1), IMAGE),
    "unit normalization": (UnitNormalization("un"), IMAGE),
    "unit normalization, two axes": (UnitNormalization("un", (1, 2), 0.5), IMAGE),
    "local response": (LocalResponseNormalization("lrn", 3, 0.5, 0.75, 2.0), (3, 2, 5)),
    "local response, even": (LocalResponseNormalization("lrn", 4, 0.5, 0.75), (3, 2, 5)),
    "local response, all": (LocalResponseNormalization("lrn", 40, 2.0, 0.5), (3, 2, 5)),
    "affine": (Affine("a", values(2), values(6, 1)), IMAGE),
    "affine, no shift": (Affine("a", values(5, 1, 2)), IMAGE),
    "affine, no scale": (Affine("a", shift=values(1, 5, 6, 2)[0]), IMAGE),
    "affine, one of each": (Affine("a", values(), values()), (3, 4)),
    "rescaling": (Rescaling("r", 1 / 255, -0.5), IMAGE),
    "rescaling of channels": (Rescaling("r", (2.0, 3.0), (0.0, 1.0)), IMAGE),
    "prelu": (PReLU("p", values(5, 6, 2)), IMAGE),
    "prelu, shared": (PReLU("p", values(1, 1, 2), shared_axes=(1, 2)), IMAGE),
    "permute": (Permute("p", (3, 1, 2)), IMAGE),
    "flatten, channels first": (Flatten("f", "channels_first"), IMAGE),
    **{
        f"reduce, {kind}, {axes}": (Reduce("r", kind, axes, keepdims), IMAGE)
        for kind, (axes, keepdims) in product(
            ("mean", "sum", "max", "min"), (((1, 2), False), ((-1,), True), ((1, 2, 3), False)))
    },
    "slice": (Slice("s", (1, None, -1), (None, -1, None), (2, 3, 1)), IMAGE),
    "slice, turned round": (Slice("s", (None, None, None), (None, None, None), (1, 1, -1)), IMAGE),
    **{
        f"pad, {mode}": (Pad("p", ((0, 0), (2, 1), (1, 0)), mode, 0.5 * (mode == "constant")), IMAGE)
        for mode in ("constant", "reflect", "edge")
    },
    "broadcast": (Broadcast("b", (3, 5, 4, 2)), (5, 1, 2)),
    "broadcast of a number": (Broadcast("b", (2, 3)), (1,)),
    **{
        f"resizing, {how}, {where}": (Resizing("r", 7, 4, how, where), IMAGE)
        for how, where in product(
            ("bilinear", "nearest", "bicubic", "bicubic_clamped"), ("half_pixel", "align_corners", "asymmetric"))
    },
    "resizing, lanczos": (Resizing("r", 7, 4, "lanczos3"), IMAGE),
    "resizing, cropped": (Resizing("r", 7, 3, crop_to_aspect_ratio=True), IMAGE),
    "resizing, padded": (Resizing("r", 3, 6, pad_to_aspect_ratio=True, fill_value=0.5), IMAGE),
    "resizing, against aliasing": (Resizing("r", 2, 3, antialias=True), IMAGE),
    "center crop": (CenterCrop("c", 2, 3), IMAGE),
    "center crop, larger": (CenterCrop("c", 8, 3), IMAGE),
    "adaptive average": (AdaptiveAveragePooling2D("a", (2, 4)), IMAGE),
    "upsampling, bilinear": (UpSampling2D("up", (2, 3), interpolation="bilinear"), IMAGE),
    "locally connected": (connected((5, 6), 2), IMAGE),
    "locally connected, steps": (connected((5, 6), 2, strides=(2, 3), activation_name="tanh"), IMAGE),
    "locally connected, no bias": (
        LocallyConnected2D("own", values(30, 2, 3), kernel_size=(1, 1)), IMAGE),
    "glu": (GLU("g"), (3, 4)),
    "glu, axis 1": (GLU("g", 1), (4, 3)),
    **{
        f"conv of signals, {padding}, {strides}, {dilation}": (
            Conv1D("c", values(3, 2 // groups, 4), values(4), padding=padding, strides=strides,
                   dilation_rate=dilation, groups=groups, activation_name="tanh"), SIGNAL)
        for padding, (strides, dilation, groups) in product(
            ("valid", "same", "causal"), ((1, 1, 1), (2, 1, 2), (1, 2, 1)))
    },
    "depthwise of signals": (DepthwiseConv1D("d", values(3, 2, 2), values(4), padding="same", strides=2), SIGNAL),
    "separable of signals": (SeparableConv1D("s", values(3, 2, 2), values(1, 4, 3), values(3)), SIGNAL),
    "transpose of signals": (Conv1DTranspose("t", values(3, 4, 2), values(4), strides=2, output_padding=1), SIGNAL),
    "max of signals": (MaxPooling1D("m", 3, 2, "same"), SIGNAL),
    "average of signals": (AveragePooling1D("a"), SIGNAL),
    "global max of signals": (GlobalMaxPooling1D("m"), SIGNAL),
    "global average of signals, kept": (GlobalAveragePooling1D("a", keepdims=True), SIGNAL),
    "padding of signals": (ZeroPadding1D("z", (1, 2)), SIGNAL),
    "cropping of signals": (Cropping1D("c", (1, 2)), SIGNAL),
    "upsampling of signals": (UpSampling1D("u", 3), SIGNAL),
    "augmentation": (Augmentation("a", "RandomFlip"), IMAGE),
    "noise": (Noise("noise", "GaussianNoise", 0.3), IMAGE),
    "dense": (Dense("d", values(4, 3), values(3)), (4,)),
    "dense on maps": (Dense("d", values(2, 3), values(3)), IMAGE),
    "dropout": (Dropout("d", 0.5), IMAGE),
    "activation": (ActivationLayer("a", "tanh"), IMAGE),
    "reshape": (Reshape("r", (6, 10)), IMAGE),
    "conv, softmax over the channels": (conv(activation_name=Softmax(-1)), IMAGE),
}  # fmt: skip
SHAPES = ((2, 3, 2), (2, 3, 2), (2, 3, 2))
TOGETHER = {
    **{
        f"{kind.__name__.lower()} of {count}": (kind("merge"), SHAPES[:count])
        for kind, count in product((Add, Multiply, Average, Maximum, Minimum), (2, 3))
    },
    **{
        f"{kind.__name__.lower()}, repeated along an axis": (kind("merge"), ((2, 3, 2), (1, 1, 2)))
        for kind in (Add, Subtract, Multiply, Average, Maximum, Minimum)
    },
    **{
        f"{kind.__name__.lower()}, other axes": (kind("merge"), ((3, 1), (2, 1, 4)))
        for kind in (Add, Subtract, Multiply, Divide, Average, Maximum, Minimum)
    },
    "subtract": (Subtract("merge"), SHAPES[:2]),
    "divide": (Divide("merge"), SHAPES[:2]),
    "concatenate": (Concatenate("merge"), ((2, 3, 2), (2, 3, 1), (2, 3, 4))),
    "concatenate, axis 1": (Concatenate("merge", 1), ((2, 3), (4, 3))),
}


def inputs(shapes, n_samples=2, dtype=np.float64):
    rng = np.random.default_rng(11)
    return [rng.normal(size=(n_samples, *shape)).astype(dtype) for shape in shapes]


EVERYTHING = {key: (layer, (shape,)) for key, (layer, shape) in ALONE.items()} | TOGETHER


def arguments(layer):
    """Return what a layer was made of, by name."""
    return {field.name: getattr(layer, field.name) for field in fields(layer) if field.init}


def changed(layer, name, values):
    return type(layer)(**(arguments(layer) | {name: values}))
