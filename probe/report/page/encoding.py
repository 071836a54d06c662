"""What the script of the page reads: arrays, networks and images as JSON."""

from __future__ import annotations

import base64
import math
import re
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from probe import layers as kinds
from probe._checks import Array, InputError, check_integer
from probe._signatures import checked
from probe.datasets import Dataset
from probe.layers import Layer, Softmax
from probe.network import Network

__all__ = [
    "MOST_MULTIPLICATIONS",
    "MOST_WEIGHTS",
    "encoded",
    "encoded_images",
    "encoded_network",
    "why_not_alive",
]

MOST_WEIGHTS = 2_000_000
"""Weights of a network that is alive on the page: 10 MB of the file."""

MOST_MULTIPLICATIONS = 20_000_000
"""Multiplications that an input may cost on the page: about 30 ms in a browser, where a frame is 16."""

_CONVOLUTIONS = (kinds.Conv2D, kinds.DepthwiseConv2D, kinds.SeparableConv2D)
_POOLS = (kinds.MaxPooling2D, kinds.AveragePooling2D)
_GLOBAL_POOLS = (kinds.GlobalMaxPooling2D, kinds.GlobalAveragePooling2D)
_MARGINS = (kinds.ZeroPadding2D, kinds.Cropping2D)
_SCALES = (kinds.Rescaling, kinds.Normalization, kinds.BatchNormalization)
_PASSING = (kinds.ActivationLayer, kinds.Dropout, kinds.Noise, kinds.Reshape)
_MERGES = (kinds.Add, kinds.Average)
_KINDS = (
    kinds.Dense, *_CONVOLUTIONS, *_POOLS, *_GLOBAL_POOLS, *_MARGINS, *_SCALES, *_PASSING, *_MERGES,
    kinds.Concatenate, kinds.Flatten, kinds.Permute,
)  # fmt: skip
"""The layers that the script computes: `layerKinds` in model_layers.js."""

_ACTIVATIONS = frozenset(
    {
        "celu",
        "elu",
        "exponential",
        "gelu",
        "hard_sigmoid",
        "hard_tanh",
        "leaky_relu",
        "linear",
        "relu",
        "relu6",
        "selu",
    }
    | {"sigmoid", "silu", "softmax", "softplus", "softsign", "step", "tanh"}
)
"""The activations that the script computes: `ACTIVATIONS` in model_layers.js."""

_LEVELS = (255, 16)
"""Pixels that are all k/255, or k/16 as scikit-learn's digits are, are stored exactly."""


@checked
def encoded(array: npt.NDArray[Any], *, scale: float | None = None) -> dict[str, Any]:
    """Return an array as JSON holds it: type, shape and compressed bytes, row-major.

    Parameters
    ----------
    array : ndarray
        Of any shape; bool, integers of up to 32 bits or floats.
    scale : float, optional
        What the script multiplies stored values by.

    Raises
    ------
    InputError
        If the script has no such type of array.

    Examples
    --------
    >>> encoded(np.array([[0, 51, 255]], np.uint8), scale=1 / 255)["shape"]
    [1, 3]
    """
    kind = array.dtype
    if kind.kind not in "buif" or (kind.kind in "ui" and kind.itemsize > 4) or kind.itemsize > 8:
        raise InputError(f"array must be bool, an integer of up to 32 bits or a float, got {kind}")
    stored = np.ascontiguousarray(array, kind.newbyteorder("<"))
    packed = base64.b64encode(zlib.compress(stored.tobytes(), 9)).decode()
    described: dict[str, Any] = {"dtype": kind.name, "shape": list(array.shape)}
    return described | ({} if scale is None else {"scale": scale}) | {"zlib": packed}


@checked
def encoded_images(dataset: Dataset, n: int, budget: int) -> dict[str, Any]:
    """Return the first images of a data set, as many as fit.

    Parameters
    ----------
    dataset : Dataset
        Where they are from.
    n : int
        How many at most, at least 1.
    budget : int
        Characters that they may take, at least 1; a single image is returned even if it takes more.

    Returns
    -------
    dict
        "pixels" and "labels" as `encoded` arrays, and "exact": whether the pixels are those of the data set, or these
        rounded to 8 bits.
    """
    check_integer("n", n, minimum=1)
    check_integer("budget", budget, minimum=1)
    n = min(n, len(dataset))
    while True:
        images = dataset.images[:n]
        levels, stored, exact = _in_bytes(images)
        pixels = encoded(stored, scale=1 / levels)
        size = len(pixels["zlib"])
        if size <= budget or n == 1:
            break
        # A little less than what would fit if all images were alike.
        n = max(1, min(n - 1, int(0.98 * n * budget / size)))
    kind = np.uint8 if dataset.n_classes <= 256 else np.int32
    return {"pixels": pixels, "labels": encoded(dataset.labels[:n].astype(kind)), "exact": exact}


def _in_bytes(images: Array) -> tuple[int, npt.NDArray[np.uint8], bool]:
    """Return pixels as k of k/levels, and whether that is exact."""
    for levels in _LEVELS:
        stored = np.rint(images * levels).astype(np.uint8)
        if np.array_equal(stored / np.float32(levels), images):
            return levels, stored, True
    return 255, np.rint(images * 255).astype(np.uint8), False


@checked
def why_not_alive(network: Network) -> str:
    """Return in a sentence why the page cannot compute a network; "" where it can.

    Examples
    --------
    >>> import probe
    >>> why_not_alive(probe.train(probe.MLP((4,)), probe.load_dataset("digits"), probe.TrainingConfig(epochs=1)).network)
    ''
    """
    if network.more_input_shapes or len(network.output_names) > 1:
        return "It takes several inputs or has several outputs, and this page computes networks with one of each."
    if not network.n_classes:
        return "Its outputs stand for no classes."
    for layer in network.layers:
        reason = _why_not(network, layer)
        if reason:
            return f"This page does not compute layer '{layer.name}': {reason}."
    for what, size, most in (
        ("weights", network.n_parameters, MOST_WEIGHTS),
        ("multiplications for each image", network.n_multiplications, MOST_MULTIPLICATIONS),
    ):
        if size > most:
            return f"It has {size:,} {what}, and this page computes networks of at most {most:,}."
    return ""


def _why_not(network: Network, layer: Layer) -> str:
    """Return in a few words why the script cannot compute a layer; "" where it can."""
    activation, shape = layer.activation, network.layer_shapes[layer.name]
    if not isinstance(layer, _KINDS):
        return f"it is of the kind {layer.keras_name}"
    if activation.name not in _ACTIVATIONS:
        return f"its activation is {activation.name}"
    if isinstance(activation, Softmax) and activation.axes not in ((-1,), (len(shape),)):
        return "its softmax is not over the last axis"
    if isinstance(layer, _MERGES) and len(set(network.input_shapes_of(layer.name))) > 1:
        return "its inputs have different shapes"
    return ""


@checked
def encoded_network(network: Network) -> dict[str, Any]:
    """Return a network as JSON that the script computes it from.

    Parameters
    ----------
    network : Network
        One for which `why_not_alive` has nothing to say.

    Returns
    -------
    dict
        "input_shape", "class_names", "one_unit" (whether one output tells two classes apart), "output" (the name of the
        layer that puts out), "head" (of the one whose pre-activations are the logits) and "layers": for each "name",
        "kind" (its class in Keras, such as "max_pooling2d"), "inputs" (names of layers, 0 for the input), "shape" (of
        one output), "activation" where it has one, and its settings and `encoded` arrays, which are float32.

    Raises
    ------
    InputError
        If the page cannot compute it.
    """
    reason = why_not_alive(network)
    if reason:
        raise InputError(reason)
    return {
        "input_shape": list(network.input_shape),
        "class_names": list(network.class_names),
        "one_unit": network.is_one_unit,
        "output": network.output_names[0],
        "head": network.head_name,
        "layers": [
            _encoded_layer(network, layer, read)
            for layer, read in zip(network.layers, network.wiring, strict=True)
        ],
    }


def _encoded_layer(network: Network, layer: Layer, read: Sequence[str | int]) -> dict[str, Any]:
    shape, shapes = network.layer_shapes[layer.name], network.input_shapes_of(layer.name)
    described: dict[str, Any] = {
        "name": layer.name,
        "kind": re.sub(r"(?<=[a-z])(?=[A-Z])", "_", type(layer).__name__).lower(),
        "inputs": list(read),
        "shape": list(shape),
    }
    if hasattr(layer, "activation_name"):
        described["activation"] = _encoded_activation(layer, shape)
    return described | _settings(layer, shapes, shape)


def _encoded_activation(layer: Layer, shape: Sequence[int]) -> str | dict[str, Any]:
    """Return an activation as its name, or as a name with settings."""
    activation = layer.activation
    settings = {
        name: value for name, value in activation.settings.items() if value is not None and name != "axis"
    }
    if activation.name == "softmax":
        settings["width"] = shape[-1]
    if activation.name == "leaky_relu":
        settings.setdefault("negative_slope", kinds.LEAKY_RELU_SLOPE)
    return {"name": activation.name, **settings} if settings else activation.name


def _settings(layer: Any, shapes: Sequence[Sequence[int]], shape: Sequence[int]) -> dict[str, Any]:
    """Return what the script must know of a layer beside its name, kind, inputs, activation and shape."""
    channels_first = {"channels_first": True} if layer.channels_first else {}
    if isinstance(layer, _SCALES):
        return _scale(layer, shapes[0])
    if isinstance(layer, kinds.Concatenate):
        axis = layer.axis - 1 if layer.axis > 0 else layer.axis + len(shape)
        return {"inner": [math.prod(each[axis:]) for each in shapes]}
    if isinstance(layer, kinds.Permute):
        return {"order": [axis - 1 for axis in layer.dims]}
    if isinstance(layer, kinds.Flatten):
        return {"order": [*range(1, len(shapes[0])), 0]} if channels_first and len(shapes[0]) > 1 else {}
    if isinstance(layer, kinds.Dense):
        return _arrays(layer)
    if isinstance(layer, (*_CONVOLUTIONS, *_POOLS, *_GLOBAL_POOLS, *_MARGINS)):
        groups = {"groups": layer.groups} if isinstance(layer, kinds.Conv2D) else {}
        return {**_arrays(layer), **groups, **channels_first, "windows": _windows(layer, shapes[0], shape)}
    return {}


def _arrays(layer: Layer) -> dict[str, Any]:
    return {name: encoded(values.astype(np.float32)) for name, values in layer.variables.items()}


def _scale(layer: Any, shape: Sequence[int]) -> dict[str, Any]:
    """Return a scale and an offset for each index along an axis, and how many values come after the axis."""
    inner = 1
    if isinstance(layer, kinds.BatchNormalization):
        gamma, beta = (
            (1.0 if layer.gamma is None else layer.gamma),
            (0.0 if layer.beta is None else layer.beta),
        )
        scale = np.asarray(gamma / np.sqrt(layer.moving_variance.astype(np.float64) + layer.epsilon))
        offset = np.asarray(beta - layer.moving_mean * scale)
        inner = math.prod(shape[(layer.axis - 1 if layer.axis > 0 else layer.axis + len(shape)) + 1 :])
    else:
        # An affine map of each value by itself: two points say what it is.
        probe = np.stack([np.zeros(shape), np.ones(shape)])
        offset, ends = layer.pre_activation(probe)[0]
        scale = ends - offset
    return {
        "scale": encoded(scale.astype(np.float32)),
        "offset": encoded(offset.astype(np.float32)),
        "inner": inner,
    }


def _windows(layer: Any, shape: Sequence[int], output_shape: Sequence[int]) -> dict[str, list[int]]:
    """Return what windows of an image a layer looks at: their size, steps and number, and the margins before the image."""
    size, grid = (each[1:] if layer.channels_first else each[:2] for each in (shape, output_shape))
    window, strides, dilation, margins = [1, 1], [1, 1], [1, 1], [0, 0]
    if isinstance(layer, _CONVOLUTIONS):
        window = next(iter(layer.variables.values())).shape[:2]
        strides, dilation = layer.strides, layer.dilation_rate
    elif isinstance(layer, _POOLS):
        window = layer.pool_size
        strides = layer.pool_size if layer.strides is None else layer.strides
    elif isinstance(layer, _GLOBAL_POOLS):
        window, grid = size, [1, 1]
    if isinstance(layer, kinds.ZeroPadding2D):
        margins = [before for before, _ in layer.padding]
    elif isinstance(layer, kinds.Cropping2D):
        margins = [-before for before, _ in layer.cropping]
    elif getattr(layer, "padding", "valid") == "same":
        margins = [
            max((count - 1) * stride + (n - 1) * step + 1 - length, 0) // 2
            for count, stride, n, step, length in zip(grid, strides, window, dilation, size, strict=True)
        ]
    found = {"size": window, "strides": strides, "dilation": dilation, "margins": margins, "grid": grid}
    return {name: [int(value) for value in values] for name, values in found.items()}
