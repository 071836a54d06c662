"""What each kind of PyTorch module becomes.

A shape of three axes is that of images, (height, width, channels) here and (channels, height, width) there.
Shapes of one and two axes are the same in both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Literal, NoReturn

import numpy as np

from probe._checks import Array, InputError
from probe.layers import (
    Activation,
    AveragePooling2D,
    BatchNormalization,
    Conv2D,
    Dense,
    Dropout,
    Elu,
    Flatten,
    GlobalAveragePooling2D,
    GlobalMaxPooling2D,
    Layer,
    LayerNormalization,
    LeakyRelu,
    LogSoftmax,
    MaxPooling2D,
    Permute,
    PReLU,
    Reshape,
    Softmax,
    UpSampling2D,
    ZeroPadding2D,
    activation_named,
)

__all__ = ["BUILDERS", "IN_PASSING", "Module", "activation_of"]

Shape = tuple[int, ...]

_ABSENT: Any = object()

IN_PASSING = frozenset({"Identity"})
"""Modules that become no layer."""


@dataclass(frozen=True, slots=True)
class Module:
    """A PyTorch module and the name that its layer has."""

    module: Any
    name: str

    @property
    def kind(self) -> str:
        """The name of its class."""
        return type(self.module).__name__

    def __getattr__(self, name: str) -> Any:
        """Return a setting of the module."""
        return getattr(self.module, name)

    def refuse(self, problem: str) -> NoReturn:
        """Raise an error that names the module."""
        raise InputError(f"module '{self.name}' ({self.kind}) {problem}")

    def require(self, **settings: object) -> None:
        """Raise unless the module's settings have these values."""
        for name, wanted in settings.items():
            found = getattr(self.module, name)
            if found != wanted:
                self.refuse(f"has {name}={found!r}, which cannot be taken over; {wanted!r} can")

    def both(self, setting: str) -> tuple[Any, Any]:
        """Return a setting for the height and the width, as it is."""
        value = getattr(self.module, setting)
        first, second = value if isinstance(value, (tuple, list)) else (value, value)
        return first, second

    def pair(self, setting: str) -> tuple[int, int]:
        """Return a setting for the height and the width, as integers."""
        first, second = self.both(setting)
        return int(first), int(second)

    def images(self, shape: Shape) -> Shape:
        """Return `shape`, or raise unless it is that of images."""
        if len(shape) != 3:
            self.refuse(f"takes images, but gets shape {shape}; input_shape is (height, width, channels)")
        return shape

    def array(self, name: str, n_axes: int | None = None) -> Array | None:
        """Return a copy of one of the module's tensors as float32 or float64; None if it has none."""
        tensor = getattr(self.module, name, _ABSENT)
        if tensor is None:
            return None
        if tensor is _ABSENT:
            self.refuse(f"has no {name}: it was deleted")
        torch = import_module("torch")
        if type(tensor) not in (torch.Tensor, torch.nn.Parameter):
            self.refuse(f"has a {name} that is a {type(tensor).__name__}; a plain tensor is taken over")
        if tensor.is_meta:
            self.refuse(f"has no values in its {name}: it is on the meta device; load them first")
        if tensor.layout != torch.strided:
            self.refuse(f"has a {name} of layout {tensor.layout}; pass {name}.to_dense()")
        kind = str(tensor.dtype).removeprefix("torch.")
        if kind not in ("float16", "bfloat16", "float32", "float64"):
            self.refuse(f"has a {name} of type {kind}; float16, bfloat16, float32 and float64 are taken over")
        if n_axes is not None and tensor.ndim != n_axes:
            self.refuse(f"has a {name} of shape {tuple(tensor.shape)}; one of {n_axes} axes is taken over")
        if kind in ("float16", "bfloat16"):
            tensor = tensor.float()
        values: Array = np.array(tensor.numpy(force=True))
        if not np.isfinite(values).all():
            self.refuse(f"has a value in its {name} that is not finite")
        return values

    def weight(self, n_axes: int) -> Array:
        """Return the weights of a module that always has some."""
        weight = self.array("weight", n_axes)
        if weight is None:
            self.refuse("has no weight")
        return weight


def _linear(module: Module, shape: Shape) -> Iterable[Layer]:
    if len(shape) == 3:
        module.refuse(f"gets images of shape {shape}; put a Flatten before it")
    yield Dense(module.name, module.weight(2).T, module.array("bias", 1))


def _conv2d(module: Module, shape: Shape) -> Iterable[Layer]:
    height, width, channels = module.images(shape)
    module.require(padding_mode="zeros")
    kernel = module.weight(4).transpose(2, 3, 1, 0)
    n_taken = kernel.shape[2] * int(module.groups)
    if channels != n_taken == height:
        module.refuse(
            f"takes images of {n_taken} channels, but gets {channels}; input_shape has the channels last: "
            f"pass {(*shape[1:], height)}"
        )
    bias = module.array("bias", 1)
    strides, dilation = module.pair("stride"), module.pair("dilation")
    padding: Literal["valid", "same"] = "valid"
    if isinstance(module.padding, str):
        padding = "same" if module.padding == "same" else "valid"
    else:
        margins = module.pair("padding")
        window = tuple((size - 1) * step + 1 for size, step in zip(kernel.shape, dilation, strict=False))
        if _is_same((height, width), window, strides, margins):
            padding = "same"
        else:
            yield from _zeros_around(module, margins)
    yield Conv2D(
        module.name, kernel, bias, strides=strides, padding=padding, dilation_rate=dilation,
        groups=int(module.groups)
    )  # fmt: skip


def _is_same(size: Shape, window: Shape, strides: Shape, margins: Shape) -> bool:
    """Return whether Keras' padding "same" is that of `margins` on both sides of images of this size."""
    for n, span, stride, margin in zip(size, window, strides, margins, strict=True):
        n_windows = -(-n // stride)
        total = max((n_windows - 1) * stride + span - n, 0)
        if total != 2 * margin or n_windows != (n + 2 * margin - span) // stride + 1:
            return False
    return True


def _zeros_around(module: Module, margins: tuple[int, int]) -> Iterable[Layer]:
    if any(margins):
        rows, columns = margins
        yield ZeroPadding2D(f"{module.name}_padding", ((rows, rows), (columns, columns)))


def _max_pooling(module: Module, shape: Shape) -> Iterable[Layer]:
    module.require(return_indices=False)
    window, strides = module.pair("kernel_size"), module.pair("stride")
    if module.pair("dilation") != (1, 1):
        module.require(dilation=1)
    padding = _pooling_padding(module, shape, window, strides)
    yield MaxPooling2D(module.name, window, strides, padding)


def _average_pooling(module: Module, shape: Shape) -> Iterable[Layer]:
    module.require(divisor_override=None)
    window, strides, margins = module.pair("kernel_size"), module.pair("stride"), module.pair("padding")
    if module.count_include_pad and any(margins):
        _check_whole(module, shape, window, strides, margins)
        yield from _zeros_around(module, margins)
        yield AveragePooling2D(module.name, window, strides)
    else:
        yield AveragePooling2D(module.name, window, strides, _pooling_padding(module, shape, window, strides))


def _pooling_padding(module: Module, shape: Shape, window: Shape, strides: Shape) -> Literal["valid", "same"]:
    """Return the padding of a pooling whose windows leave out what is outside the image."""
    margins = module.pair("padding")
    _check_whole(module, shape, window, strides, margins)
    if not any(margins):
        return "valid"
    if not _is_same(shape[:2], window, strides, margins):
        module.refuse(
            f"has padding={module.padding!r}, which for images of {shape[0]} x {shape[1]} is not that of "
            "'same'; it cannot be taken over"
        )
    return "same"


def _check_whole(module: Module, shape: Shape, window: Shape, strides: Shape, margins: Shape) -> None:
    """Raise if `ceil_mode` would put windows that reach beyond the image."""
    sizes = zip(module.images(shape), window, strides, margins, strict=False)
    if module.ceil_mode and any((n + 2 * margin - span) % stride for n, span, stride, margin in sizes):
        module.refuse(f"has ceil_mode=True, which adds windows to images of {shape[0]} x {shape[1]}")


def _adaptive_pooling(module: Module, shape: Shape) -> Iterable[Layer]:
    """Yield a pooling of windows that are equal, as they are where the sizes divide."""
    is_max = module.kind == "AdaptiveMaxPool2d"
    if is_max:
        module.require(return_indices=False)
    sizes = module.images(shape)[:2]
    wanted = zip(sizes, module.both("output_size"), strict=True)
    rows, columns = (n if out is None else int(out) for n, out in wanted)
    if sizes[0] % rows or sizes[1] % columns:
        module.refuse(f"makes {rows} x {columns} of {sizes[0]} x {sizes[1]}, with windows of several sizes")
    if (rows, columns) == (1, 1):
        yield (GlobalMaxPooling2D if is_max else GlobalAveragePooling2D)(module.name, keepdims=True)
    else:
        window = sizes[0] // rows, sizes[1] // columns
        yield (MaxPooling2D if is_max else AveragePooling2D)(module.name, window)


def _batch_normalization(module: Module, shape: Shape) -> Iterable[Layer]:
    mean, variance = module.array("running_mean"), module.array("running_var")
    if mean is None or variance is None:
        module.refuse("has no running statistics, and normalizes each batch by itself")
    wanted = (3,) if module.kind == "BatchNorm2d" else (1, 2)
    if len(shape) not in wanted:
        module.refuse(f"gets shape {shape}")
    # Of (n, channels, length) it is the axis after that of the samples; of images it is last here.
    axis = 1 if len(shape) == 2 else -1
    gamma, beta = module.array("weight"), module.array("bias")
    yield BatchNormalization(module.name, gamma, beta, mean, variance, axis, float(module.eps))


def _layer_normalization(module: Module, shape: Shape) -> Iterable[Layer]:
    if len(shape) == 3 or tuple(module.normalized_shape) != shape[-1:]:
        module.refuse(f"with normalized_shape={tuple(module.normalized_shape)} gets shape {shape}")
    gamma, beta = module.array("weight"), module.array("bias")
    yield LayerNormalization(module.name, gamma, beta, epsilon=float(module.eps))


def _flatten(module: Module, shape: Shape) -> Iterable[Layer]:
    if module.start_dim != 1 or module.end_dim not in (-1, len(shape)):
        module.refuse(
            f"goes from axis {module.start_dim} to {module.end_dim}; only from 1 to -1 is taken over"
        )
    # The channels come first in the order that the weights behind it expect.
    if len(shape) == 3 and shape[2] > 1 and shape[:2] != (1, 1):
        yield Permute(f"{module.name}_order", (3, 1, 2))
    yield Flatten(module.name)


def _unflatten(module: Module, shape: Shape) -> Iterable[Layer]:
    sizes = tuple(int(size) for size in module.unflattened_size)
    if len(shape) != 1 or module.dim not in (1, -1) or len(sizes) not in (2, 3):
        module.refuse(
            f"makes {sizes} of axis {module.dim} of shape {shape}; only images of one axis are taken over"
        )
    yield Reshape(module.name, sizes)
    if len(sizes) == 3:
        yield Permute(f"{module.name}_order", (2, 3, 1))


def _zero_padding(module: Module, shape: Shape) -> Iterable[Layer]:
    module.images(shape)
    module.require(value=0.0)
    left, right, top, bottom = (int(size) for size in module.padding)
    if min(left, right, top, bottom) < 0:
        module.refuse(f"has padding={module.padding!r}; only positive ones are taken over")
    yield ZeroPadding2D(module.name, ((top, bottom), (left, right)))


def _upsampling(module: Module, shape: Shape) -> Iterable[Layer]:
    module.images(shape)
    module.require(mode="nearest", size=None)
    if module.both("scale_factor") != module.pair("scale_factor"):
        module.refuse(f"has scale_factor={module.scale_factor!r}; only integers are taken over")
    yield UpSampling2D(module.name, module.pair("scale_factor"))


def _dropout(module: Module, _shape: Shape) -> Iterable[Layer]:
    yield Dropout(module.name, float(module.p))


def _prelu(module: Module, shape: Shape) -> Iterable[Layer]:
    alpha = module.weight(1)
    # The axis of the channels is the first there, and of images the last here.
    place = len(shape) - 1 if len(shape) != 2 else 0
    if len(alpha) not in (1, shape[place]):
        module.refuse(f"has {len(alpha)} slopes, but gets shape {shape}")
    sizes = [1] * len(shape)
    shared = [axis for axis in range(1, len(shape) + 1) if axis - 1 != place or len(alpha) == 1]
    sizes[place] = len(alpha)
    yield PReLU(module.name, alpha.reshape(sizes), tuple(shared))


BUILDERS: Mapping[str, Callable[[Module, Shape], Iterable[Layer]]] = {
    "AdaptiveAvgPool2d": _adaptive_pooling,
    "AdaptiveMaxPool2d": _adaptive_pooling,
    "AvgPool2d": _average_pooling,
    "BatchNorm1d": _batch_normalization,
    "BatchNorm2d": _batch_normalization,
    "Conv2d": _conv2d,
    "Flatten": _flatten,
    "LayerNorm": _layer_normalization,
    "Linear": _linear,
    "MaxPool2d": _max_pooling,
    "PReLU": _prelu,
    "Unflatten": _unflatten,
    "Upsample": _upsampling,
    "ZeroPad2d": _zero_padding,
    **dict.fromkeys(
        ("AlphaDropout", "Dropout", "Dropout1d", "Dropout2d", "Dropout3d", "FeatureAlphaDropout"), _dropout
    ),
}
"""What makes the layers of a module that gets inputs of a shape."""

_NAMED: Mapping[str, tuple[str, dict[str, object]]] = {
    "CELU": ("celu", {"alpha": 1.0}),
    "GELU": ("gelu", {"approximate": "none"}),
    "Hardshrink": ("hard_shrink", {"lambd": 0.5}),
    "Hardsigmoid": ("hard_sigmoid", {}),
    "Hardswish": ("hard_silu", {}),
    "Hardtanh": ("hard_tanh", {"min_val": -1.0, "max_val": 1.0}),
    "LogSigmoid": ("log_sigmoid", {}),
    "Mish": ("mish", {}),
    "ReLU": ("relu", {}),
    "ReLU6": ("relu6", {}),
    "SELU": ("selu", {}),
    "SiLU": ("silu", {}),
    "Sigmoid": ("sigmoid", {}),
    "Softplus": ("softplus", {"beta": 1.0, "threshold": 20.0}),
    "Softshrink": ("soft_shrink", {"lambd": 0.5}),
    "Softsign": ("softsign", {}),
    "Tanh": ("tanh", {}),
    "Tanhshrink": ("tanh_shrink", {}),
}
"""The activations by name, and the settings that they must have to be these."""


def activation_of(module: Module, shape: Shape) -> Activation | None:
    """Return the activation that a module is; None if it is none that is known."""
    if module.kind in _NAMED:
        name, settings = _NAMED[module.kind]
        module.require(**settings)
        return activation_named(name)
    match module.kind:
        case "LeakyReLU":
            return LeakyRelu(float(module.negative_slope))
        case "ELU":
            return Elu(float(module.alpha))
        case "Softmax":
            return Softmax(_axis(module, shape))
        case "LogSoftmax":
            return LogSoftmax(_axis(module, shape))
    return None


def _axis(module: Module, shape: Shape) -> int:
    """Return the axis of a softmax, counted from the last."""
    n_axes = len(shape)
    dim = module.dim
    if dim is None and n_axes == 1:
        return -1
    if not isinstance(dim, int) or not (1 <= dim <= n_axes or -n_axes <= dim <= -1):
        module.refuse(f"is over axis {dim} of samples of {n_axes} axes")
    place = dim - 1 if dim > 0 else dim + n_axes
    if n_axes == 3:
        place = (2, 0, 1)[place]
    return place - n_axes
