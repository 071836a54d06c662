"""Layers of a network: each forward returns the value and the way back.

A new layer is a frozen dataclass that derives from `Layer` and says what it is, here and to the reader of files: see
docs/adding-a-layer.md. Settings have the names that Keras gives them, and mean what they mean there.
"""

from inspect import isabstract

from probe.layers._base import DataFormat, ImageLayer, Layer
from probe.layers.activations import (
    ACTIVATIONS,
    FUNCTIONS,
    LEAKY_RELU_SLOPE,
    Activation,
    Elementwise,
    LogSoftmax,
    Pullback,
    Softmax,
    activation_from,
    activation_named,
    softmax,
)
from probe.layers.convolution import Conv2D, Conv2DTranspose, DepthwiseConv2D, SeparableConv2D
from probe.layers.core import GLU, ActivationLayer, Dense, Flatten, Permute, PReLU, Reshape
from probe.layers.group_normalization import GroupNormalization, LocalResponseNormalization, UnitNormalization
from probe.layers.locally_connected import LocallyConnected2D
from probe.layers.merging import (
    Add,
    Average,
    Concatenate,
    Divide,
    Maximum,
    Merge,
    Minimum,
    Multiply,
    Subtract,
)
from probe.layers.noise import Augmentation, Dropout, Noise
from probe.layers.normalization import BatchNormalization, LayerNormalization, Normalization
from probe.layers.parametric import Clip, Elu, LeakyRelu, Power, Relu
from probe.layers.resampling import AdaptiveAveragePooling2D, CenterCrop, Resizing, UpSampling2D
from probe.layers.resizing import (
    AveragePooling2D,
    Cropping2D,
    GlobalAveragePooling2D,
    GlobalMaxPooling2D,
    MaxPooling2D,
    ZeroPadding2D,
)
from probe.layers.scaling import Affine, Rescaling
from probe.layers.shaping import Broadcast, Pad, Reduce, Slice
from probe.layers.signal_convolution import Conv1D, Conv1DTranspose, DepthwiseConv1D, SeparableConv1D
from probe.layers.signals import (
    AveragePooling1D,
    Cropping1D,
    GlobalAveragePooling1D,
    GlobalMaxPooling1D,
    MaxPooling1D,
    UpSampling1D,
    ZeroPadding1D,
)

__all__ = [
    "ACTIVATIONS",
    "FUNCTIONS",
    "GLU",
    "LAYERS",
    "LEAKY_RELU_SLOPE",
    "Activation",
    "ActivationLayer",
    "AdaptiveAveragePooling2D",
    "Add",
    "Affine",
    "Augmentation",
    "Average",
    "AveragePooling1D",
    "AveragePooling2D",
    "BatchNormalization",
    "Broadcast",
    "CenterCrop",
    "Clip",
    "Concatenate",
    "Conv1D",
    "Conv1DTranspose",
    "Conv2D",
    "Conv2DTranspose",
    "Cropping1D",
    "Cropping2D",
    "DataFormat",
    "Dense",
    "DepthwiseConv1D",
    "DepthwiseConv2D",
    "Divide",
    "Dropout",
    "Elementwise",
    "Elu",
    "Flatten",
    "GlobalAveragePooling1D",
    "GlobalAveragePooling2D",
    "GlobalMaxPooling1D",
    "GlobalMaxPooling2D",
    "GroupNormalization",
    "ImageLayer",
    "Layer",
    "LayerNormalization",
    "LeakyRelu",
    "LocalResponseNormalization",
    "LocallyConnected2D",
    "LogSoftmax",
    "MaxPooling1D",
    "MaxPooling2D",
    "Maximum",
    "Merge",
    "Minimum",
    "Multiply",
    "Noise",
    "Normalization",
    "PReLU",
    "Pad",
    "Permute",
    "Power",
    "Pullback",
    "Reduce",
    "Relu",
    "Rescaling",
    "Reshape",
    "Resizing",
    "SeparableConv1D",
    "SeparableConv2D",
    "Slice",
    "Softmax",
    "Subtract",
    "UnitNormalization",
    "UpSampling1D",
    "UpSampling2D",
    "ZeroPadding1D",
    "ZeroPadding2D",
    "activation_from",
    "activation_named",
    "softmax",
]

LAYERS: dict[str, type[Layer]] = {
    name: kind
    for name, kind in globals().items()
    if isinstance(kind, type) and issubclass(kind, Layer) and not isabstract(kind)
}
"""The classes of layers that there are, by name: what the reader of Keras' files knows."""
