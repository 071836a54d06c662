"""Layers of a network: each forward returns the value and the way back.

A new layer is a frozen dataclass that derives from `Layer`, plus its lines in `probe.storage`.
"""

from probe.layers._base import Layer
from probe.layers.activations import (
    ACTIVATIONS,
    LEAKY_RELU_SLOPE,
    Activation,
    Elementwise,
    Pullback,
    Softmax,
    activation_named,
    softmax,
)
from probe.layers.core import ActivationLayer, Dense, Dropout, Flatten, Reshape

__all__ = [
    "ACTIVATIONS",
    "LEAKY_RELU_SLOPE",
    "Activation",
    "ActivationLayer",
    "Dense",
    "Dropout",
    "Elementwise",
    "Flatten",
    "Layer",
    "Pullback",
    "Reshape",
    "Softmax",
    "activation_named",
    "softmax",
]
