"""Networks as JSON that the script of the page computes."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from probe import layers as kinds
from probe._checks import Array, InputError
from probe._signatures import checked
from probe.layers import Activation, Layer
from probe.network import Network
from probe.pages.page.arrays import encoded

__all__ = [
    "MOST_MULTIPLICATIONS",
    "MOST_WEIGHTS",
    "encoded_network",
    "why_not_alive",
]

MOST_WEIGHTS = 2_000_000
"""Weights of a network that is alive on the page: 10 MB of the file."""

MOST_MULTIPLICATIONS = 20_000_000
"""Multiplications that an input may cost on the page: 1.5 ns each, so at most 30 ms."""

_CONVOLUTIONS = (kinds.Conv2D, kinds.DepthwiseConv2D, kinds.SeparableConv2D)
_POOLS = (kinds.MaxPooling2D, kinds.AveragePooling2D)
_GLOBAL_POOLS = (kinds.GlobalMaxPooling2D, kinds.GlobalAveragePooling2D)
_WINDOWED = (*_CONVOLUTIONS, *_POOLS, *_GLOBAL_POOLS, kinds.ZeroPadding2D, kinds.Cropping2D)
_SCALES = (kinds.Affine, kinds.Rescaling, kinds.Normalization, kinds.BatchNormalization)
_MERGES = (kinds.Add, kinds.Concatenate)
_PASSING = (kinds.ActivationLayer, kinds.Augmentation, kinds.Dropout, kinds.Noise)
_REARRANGING = (kinds.Flatten, kinds.Permute, kinds.Reshape)
_KINDS = (kinds.Dense, *_WINDOWED, *_SCALES, *_MERGES, *_PASSING, *_REARRANGING)
"""The layers that the script computes: `layerKinds` in model_layers.js."""

_CALLED: dict[type[Layer], str] = {kinds.Affine: "rescaling", kinds.Augmentation: "noise"}
"""What the script calls a layer, where not as Python does."""

_PLAIN = {"linear", "log_softmax", "sigmoid", "silu", "softmax", "softplus", "step", "tanh"}
_FORMULAS: dict[str, dict[str, Any]] = {
    "relu": {},
    "leaky_relu": {"formula": "relu", "negative_slope": kinds.LEAKY_RELU_SLOPE},
    "relu6": {"formula": "relu", "max_value": 6.0},
    "elu": {},
    "celu": {"formula": "elu"},
    "selu": {"formula": "elu", "alpha": 1.6732632423543772, "scale": 1.0507009873554805},
}
"""The activations that the script computes beside the plain ones: `ACTIVATIONS` in model_layers.js has the formulas."""


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
        return f"it is of the kind {layer.keras_name.removeprefix('probe>')}"
    if activation.name not in _PLAIN and activation.name not in _FORMULAS:
        return f"its activation is {activation.name}"
    if activation.axes and (activation.axes not in ((-1,), (len(shape),)) or _is_first(layer)):
        return "its softmax is not over the last axis"
    if isinstance(layer, kinds.Add) and len(set(network.input_shapes_of(layer.name))) > 1:
        return "its inputs have different shapes"
    return ""


def _is_first(layer: Layer) -> bool:
    """Return whether a layer of images has the channels first."""
    return getattr(layer, "data_format", "") == "channels_first"


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
    layers = _Layers(network)
    for layer, read in zip(network.layers, network.wiring, strict=True):
        layers.add(layer, read)
    return {
        "input_shape": list(network.input_shape),
        "class_names": list(network.class_names),
        "one_unit": network.is_one_unit,
        "output": network.output_names[0],
        "head": network.head_name,
        "layers": layers.described,
    }


class _Layers:
    """The layers of a network as the script has them: images have their channels last.

    Where a layer of images has them first, so has what follows it and keeps the axes, and all of these have them last
    here. Before what reads the values in their order in Python stands a layer that permutes the axes. A separable
    convolution becomes two layers.
    """

    def __init__(self, network: Network) -> None:
        self._network = network
        self.described: list[dict[str, Any]] = []
        self._shapes: dict[str | int, Sequence[int]] = {0: network.input_shape}
        self._turned = dict[str | int, str | int]()
        """For names whose images have the channels first in Python: the layer that has them so here."""

    def add(self, layer: Any, read: Sequence[str | int]) -> None:
        """Append a layer, and what it needs before and behind it."""
        shape = self._network.layer_shapes[layer.name]
        if isinstance(layer, _WINDOWED):
            turns = _is_first(layer)
        else:
            keeps_axes = isinstance(layer, (*_SCALES, *_MERGES, *_PASSING)) and not layer.activation.axes
            turns = keeps_axes and any(source in self._turned for source in read)
        if not turns:
            self._append(layer, [self._channels_first(source) for source in read], shape)
            return
        sources = [self._channels_last(layer.name, source) for source in read]
        images = len(shape) == 3
        self._append(layer, sources, (*shape[1:], shape[0]) if images else shape, is_turned=images)
        if images:
            self._turned[layer.name] = layer.name

    def _channels_last(self, reader: str, source: str | int) -> str | int:
        """Return the layer that has the images of `source` with their channels last."""
        if source in self._turned:
            return source
        name = f"{reader}, channels last"
        while name in self._shapes:
            name += ", too"
        return self._permuted(name, source, (1, 2, 0))

    def _channels_first(self, source: str | int) -> str | int:
        """Return the layer that has the values of `source` in the order that they have in Python."""
        if source not in self._turned:
            return source
        if self._turned[source] == source:
            self._turned[source] = self._permuted(f"{source}, channels first", source, (2, 0, 1))
        return self._turned[source]

    def _permuted(self, name: str, source: str | int, order: Sequence[int]) -> str:
        shape = [self._shapes[source][axis] for axis in order]
        return self._described(name, "permute", [source], shape, {"order": list(order)})

    def _described(
        self,
        name: str,
        kind: str,
        inputs: Sequence[str | int],
        shape: Sequence[int],
        settings: Mapping[str, Any],
    ) -> str:
        described = {"name": name, "kind": kind, "inputs": list(inputs), "shape": list(shape), **settings}
        self.described.append(described)
        self._shapes[name] = described["shape"]
        return name

    def _append(
        self, layer: Any, inputs: list[str | int], shape: Sequence[int], *, is_turned: bool = False
    ) -> None:
        """Append one layer that reads `inputs`, images with their channels last if it is of such or turned."""
        shapes = [self._shapes[source] for source in inputs]
        own = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", type(layer).__name__).lower()
        kind = _CALLED.get(type(layer), own)
        settings = _settings(layer, shapes, shape, is_turned=is_turned)
        if isinstance(layer, kinds.SeparableConv2D):
            first = {**_depthwise(layer.depthwise_kernel), "windows": settings["windows"]}
            width = layer.pointwise_kernel.shape[2]
            name = f"{layer.name}, each channel"
            inputs = [self._described(name, "depthwise_conv2d", inputs, (*shape[:2], width), first)]
            settings = {"kernel": _float32(layer.pointwise_kernel[0, 0]), **_bias(layer)}
        if isinstance(layer, kinds.Flatten) and _is_first(layer) and len(shapes[0]) > 1:
            order = [*range(1, len(shapes[0])), 0]
            turned = [shapes[0][axis] for axis in order]
            inputs = [
                self._described(f"{layer.name}, channels last", "permute", inputs, turned, {"order": order})
            ]
        if hasattr(layer, "activation_name"):
            settings["activation"] = _activation(layer.activation, shape)
        self._described(layer.name, kind, inputs, shape, settings)


def _activation(activation: Activation, shape: Sequence[int]) -> str | dict[str, Any]:
    """Return an activation as its name, or as a name with settings and perhaps the formula that they belong to."""
    given = {
        name: value for name, value in activation.settings.items() if value is not None and name != "axis"
    }
    settings = _FORMULAS.get(activation.name, {}) | given
    if activation.axes and len(shape) > 1:
        settings = {"width": shape[-1]}
    return {"name": activation.name, **settings} if settings else activation.name


def _settings(
    layer: Any, shapes: Sequence[Sequence[int]], shape: Sequence[int], *, is_turned: bool
) -> dict[str, Any]:
    """Return what the script must know of a layer beside its name, kind, inputs, activation and shape.

    The shapes are those in the script; if the layer `is_turned`, the first axis in Python is the last of these.
    """
    if isinstance(layer, _SCALES):
        return _scale(layer, shapes[0], is_turned=is_turned)
    if isinstance(layer, kinds.Concatenate):
        axis = _axis(layer.axis, shape, is_turned=is_turned)
        return {"inner": [math.prod(each[axis:]) for each in shapes]}
    if isinstance(layer, kinds.Permute):
        return {"order": [axis - 1 for axis in layer.dims]}
    if isinstance(layer, kinds.Dense):
        return {"kernel": _float32(layer.kernel), **_bias(layer)}
    if not isinstance(layer, _WINDOWED):
        return {}
    settings: dict[str, Any] = {"windows": _windows(layer, shapes[0], shape)}
    if isinstance(layer, kinds.Conv2D):
        settings |= {"kernel": _float32(layer.kernel), "groups": layer.groups, **_bias(layer)}
    elif isinstance(layer, kinds.DepthwiseConv2D):
        settings |= {**_depthwise(layer.kernel), **_bias(layer)}
    return settings


def _axis(axis: int, shape: Sequence[int], *, is_turned: bool) -> int:
    """Return the index into `shape` of an axis that is counted with the samples' or from the last."""
    index = axis - 1 if axis > 0 else axis + len(shape)
    return (index - 1) % len(shape) if is_turned else index


def _float32(values: Array) -> dict[str, Any]:
    return encoded(values.astype(np.float32))


def _bias(layer: Any) -> dict[str, Any]:
    return {} if layer.bias is None else {"bias": _float32(layer.bias)}


def _depthwise(kernel: Array) -> dict[str, Any]:
    """Return a depthwise kernel as that of a convolution with a group for each channel."""
    rows, columns, channels, multiplier = kernel.shape
    return {"kernel": _float32(kernel.reshape(rows, columns, 1, channels * multiplier)), "groups": channels}


def _scale(layer: Any, shape: Sequence[int], *, is_turned: bool) -> dict[str, Any]:
    """Return a scale and an offset for each index along an axis, and how many values come after the axis."""
    inner = 1
    if isinstance(layer, kinds.BatchNormalization):
        gamma, beta = (
            (1.0 if layer.gamma is None else layer.gamma),
            (0.0 if layer.beta is None else layer.beta),
        )
        scale = np.asarray(gamma / np.sqrt(layer.moving_variance.astype(np.float64) + layer.epsilon))
        offset = np.asarray(beta - layer.moving_mean * scale)
        inner = math.prod(shape[_axis(layer.axis, shape, is_turned=is_turned) + 1 :])
    else:
        # An affine map of each value by itself: its values at 0 and 1 say what it is.
        own_shape = (shape[-1], *shape[:-1]) if is_turned else shape
        ends = layer.pre_activation(np.stack([np.zeros(own_shape), np.ones(own_shape)]))[0]
        offset, end = np.moveaxis(ends, 1, -1) if is_turned else ends
        scale = end - offset
    return {"scale": _float32(scale), "offset": _float32(offset), "inner": inner}


def _windows(layer: Any, shape: Sequence[int], output_shape: Sequence[int]) -> dict[str, list[int]]:
    """Return what windows of an image a layer looks at: their size, steps and number, and the margins before the image."""
    grid = output_shape[:2]
    window, strides, dilation, margins = (1, 1), (1, 1), (1, 1), [0, 0]
    if isinstance(layer, _CONVOLUTIONS):
        window = next(iter(layer.variables.values())).shape[:2]
        strides, dilation = layer.strides, layer.dilation_rate
    elif isinstance(layer, _POOLS):
        window = layer.pool_size
        strides = layer.pool_size if layer.strides is None else layer.strides
        dilation = getattr(layer, "dilation_rate", dilation)
    elif isinstance(layer, _GLOBAL_POOLS):
        window, grid = (shape[0], shape[1]), (1, 1)
    padding = getattr(layer, "padding", "valid")
    if isinstance(layer, kinds.Cropping2D):
        margins = [-before for before, _ in layer.cropping]
    elif not isinstance(padding, str):
        margins = [before for before, _ in padding]
    elif padding == "same":
        margins = [
            max((count - 1) * stride + (n - 1) * step + 1 - length, 0) // 2
            for count, stride, n, step, length in zip(grid, strides, window, dilation, shape[:2], strict=True)
        ]
    found = {"size": window, "strides": strides, "dilation": dilation, "margins": margins, "grid": grid}
    return {name: [int(value) for value in values] for name, values in found.items()}
