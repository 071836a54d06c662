"""What each aten operation becomes: one function each, with the arguments of its schema (`self` and `input` are `x`).

References
----------
.. [1] aten/src/ATen/native/native_functions.yaml in https://github.com/pytorch/pytorch: the schemas.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from probe.imports._building import Operations, Value
from probe.imports.exported._pointwise import POINTWISE, SAME
from probe.imports.exported._reshaping import RESHAPING

__all__ = ["EXACT", "OPERATIONS"]

Sizes = Sequence[int] | int


def _several(sizes: Sizes, n_axes: int) -> list[int]:
    """Return a setting of one number for each of `n_axes` axes."""
    given = [sizes] if isinstance(sizes, int) else list(sizes)
    return given * n_axes if len(given) == 1 else given


def _axes_of_images(x: Value) -> int:
    return len(x.shape) - 1


def _weight(at: Operations, weight: Any) -> Any:
    if isinstance(weight, Value):
        at.refuse(
            "has weights that depend on the input",
            "pass a module whose weights are parameters or computed from them",
        )
    return weight


def convolution(
    at: Operations, x: Value, weight: Any, bias: Any = None, stride: Sizes = 1, padding: Any = 0, dilation: Sizes = 1,
    transposed: bool = False, output_padding: Sizes = 0, groups: int = 1,
) -> Value:  # fmt: skip
    _weight(at, weight), _weight(at, bias)
    n_axes = weight.ndim - 2
    if n_axes not in (1, 2) or len(x.shape) != n_axes + 1:
        at.refuse(
            f"gets values of shape {x.shape} and weights of shape {weight.shape}",
            "convolutions of images (n, channels, height, width) and of signals (n, channels, length) can be taken over",
        )
    steps = {"stride": _several(stride, n_axes), "dilation": _several(dilation, n_axes)}
    if transposed:
        more = _several(output_padding, n_axes)
        margins = _several(padding, n_axes)
        return at.conv_transpose(
            x, weight, bias, padding=margins, output_padding=more, groups=groups, **steps
        )
    around: Any = padding if isinstance(padding, str) else _several(padding, n_axes)
    return at.conv(x, weight, bias, padding=around, groups=groups, **steps)


def conv_transpose(
    at: Operations, x: Value, weight: Any, bias: Any = None, stride: Sizes = 1, padding: Sizes = 0,
    output_padding: Sizes = 0, groups: int = 1, dilation: Sizes = 1,
) -> Value:  # fmt: skip
    return convolution(at, x, weight, bias, stride, padding, dilation, True, output_padding, groups)


def linear(at: Operations, x: Value, weight: Any, bias: Any = None) -> Value:
    return at.linear(x, _weight(at, weight), _weight(at, bias))


def matmul(at: Operations, x: Value, other: Any = None, mat2: Any = None) -> Value:
    weight = other if mat2 is None else mat2
    if isinstance(x, np.ndarray) or isinstance(weight, Value):
        at.refuse(
            "multiplies what depends on the input", "only products with weights on the right are taken over"
        )
    return at.dense(x, weight)


def addmm(at: Operations, x: Any, mat1: Value, mat2: Any, beta: float = 1, alpha: float = 1) -> Value:
    if isinstance(x, Value) or x.ndim != 1 or (beta, alpha) != (1, 1):
        at.refuse("adds what is no bias to a product", "write x @ weight + bias")
    if isinstance(mat1, np.ndarray) or isinstance(mat2, Value):
        at.refuse(
            "multiplies what depends on the input", "only products with weights on the right are taken over"
        )
    return at.dense(mat1, mat2, x)


def max_pool(
    at: Operations, x: Value, kernel_size: Sizes, stride: Sizes = (), padding: Sizes = 0, dilation: Sizes = 1,
    ceil_mode: bool = False,
) -> Value:  # fmt: skip
    n = _axes_of_images(x)
    return at.max_pool(
        x,
        _several(kernel_size, n),
        stride=_several(stride, n) if stride else None,
        padding=_several(padding, n),
        dilation=_several(dilation, n),
        ceil_mode=ceil_mode,
    )


def avg_pool(
    at: Operations, x: Value, kernel_size: Sizes, stride: Sizes = (), padding: Sizes = 0, ceil_mode: bool = False,
    count_include_pad: bool = True, divisor_override: int | None = None,
) -> Any:  # fmt: skip
    n = _axes_of_images(x)
    window = _several(kernel_size, n)
    if divisor_override is not None and ceil_mode:
        at.refuse("has divisor_override and ceil_mode", "leave out one of them")
    pooled = at.avg_pool(
        x,
        window,
        stride=_several(stride, n) if stride else None,
        padding=_several(padding, n),
        ceil_mode=ceil_mode,
        count_include_pad=count_include_pad or divisor_override is not None,
    )
    return pooled if divisor_override is None else at.rescale(pooled, math.prod(window) / divisor_override)


def avg_pool_of_channels(
    at: Operations, x: Value, kernel_size: Sizes, stride: Sizes = (), padding: Sizes = 0, ceil_mode: bool = False,
    count_include_pad: bool = True, divisor_override: int | None = None,
) -> Any:  # fmt: skip
    """Return means over neighboring channels, as local response normalization takes them of (n, 1, channels, ...)."""
    window, steps = _several(kernel_size, 3), _several(stride or 1, 3)
    plain = (
        window[1:] == [1, 1] and steps == [1, 1, 1] and not any(_several(padding, 3)) and not divisor_override
    )
    if len(x.shape) != 4 or x.shape[0] != 1 or not plain:
        at.refuse("pools in three dimensions", "images have two")
    _, channels, height, width = x.shape
    image = at.reshape(x, (at.building.batch, 1, channels, height * width))
    pooled = at.avg_pool(image, (window[0], 1), stride=(1, 1))  # type: ignore[arg-type]
    return at.reshape(pooled, (at.building.batch, 1, pooled.shape[1], height, width))


def adaptive(kind: Any, pair: bool) -> Callable[..., Any]:
    def pool(at: Operations, x: Value, output_size: Sizes) -> Any:
        pooled = at.adaptive_pool(x, kind, _several(output_size, _axes_of_images(x)))
        return [pooled, None] if pair else pooled

    return pool


def batch_norm(
    at: Operations, x: Value, weight: Any = None, bias: Any = None, running_mean: Any = None, running_var: Any = None,
    training: bool = False, momentum: float = 0.1, eps: float = 1e-5, cudnn_enabled: bool = False,
) -> Value:  # fmt: skip
    # In training mode, or without running statistics.
    measured = (None, None) if training else (running_mean, running_var)
    return at.batch_norm(x, weight, bias, measured[0], measured[1], eps)


def instance_norm(
    at: Operations, x: Value, weight: Any = None, bias: Any = None, running_mean: Any = None, running_var: Any = None,
    use_input_stats: bool = True, momentum: float = 0.1, eps: float = 1e-5, cudnn_enabled: bool = False,
) -> Value:  # fmt: skip
    if use_input_stats:
        return at.instance_norm(x, weight, bias, eps)
    return at.batch_norm(x, weight, bias, running_mean, running_var, eps)


def layer_norm(
    at: Operations, x: Value, normalized_shape: Sequence[int], weight: Any = None, bias: Any = None, eps: float = 1e-5,
    cudnn_enable: bool = False,
) -> Value:  # fmt: skip
    if weight is None and bias is not None:
        weight = np.ones(tuple(normalized_shape), bias.dtype)
    return at.layer_norm(x, weight, bias, len(normalized_shape), eps)


def group_norm(
    at: Operations, x: Value, num_groups: int, weight: Any = None, bias: Any = None, eps: float = 1e-5,
    cudnn_enabled: bool = False,
) -> Value:  # fmt: skip
    return at.group_norm(x, num_groups, weight, bias, eps)


def native_group_norm(
    at: Operations,
    x: Value,
    weight: Any,
    bias: Any,
    N: int,
    C: int,
    HxW: int,
    group: int,
    eps: float,
) -> Any:
    return [at.group_norm(x, group, weight, bias, eps), None, None]


def dropout(at: Operations, x: Value, p: float = 0.5, train: bool = False) -> Value:
    if train:
        at.refuse(
            "is random at prediction too",
            "call module.eval(), and F.dropout(x, p, training=self.training) in forward",
        )
    return at.dropout(x, float(p))


def resize(mode: Any, exact: bool = False) -> Callable[..., Any]:
    def upsample(
        at: Operations, x: Value, output_size: Sequence[int] | None = None, align_corners: bool = False,
        scale_factors: Sequence[float] | None = None, scales: float | None = None, scales_h: float | None = None,
        scales_w: float | None = None,
    ) -> Value:  # fmt: skip
        size = x.shape[1:]
        given = scale_factors or [one for one in (scales, scales_h, scales_w) if one is not None]
        if output_size is None:
            output_size = [math.floor(n * factor) for n, factor in zip(size, given or (), strict=True)]
        for n, wanted, factor in zip(size, output_size, given, strict=False):
            if n * factor != wanted and not align_corners:
                at.refuse(
                    f"makes {wanted} of {n} pixels by a scale factor of {factor:g}",
                    "pass size=, or recompute_scale_factor=True",
                )
        coordinates = "asymmetric" if mode == "nearest" and not exact else "half_pixel"
        return at.resize(x, output_size, mode, "align_corners" if align_corners else coordinates)

    return upsample


def _first_of(operation: Callable[..., Any], n_results: int) -> Callable[..., Any]:
    """Return an operation that gives its result and others that nothing at prediction reads."""

    def several(at: Operations, **arguments: Any) -> list[Any]:
        return [operation(at, **arguments), *[None] * (n_results - 1)]

    return several


OPERATIONS: Mapping[str, Callable[..., Any]] = {
    **POINTWISE,
    **RESHAPING,
    **dict.fromkeys(("conv1d", "conv2d", "convolution", "_convolution", "conv2d.padding", "conv1d.padding"), convolution),
    **dict.fromkeys(("conv_transpose1d", "conv_transpose2d"), conv_transpose),
    "linear": linear,
    **dict.fromkeys(("matmul", "mm"), matmul),
    "addmm": addmm,
    **dict.fromkeys(("max_pool1d", "max_pool2d"), max_pool),
    "max_pool2d_with_indices": _first_of(max_pool, 2),
    **dict.fromkeys(("avg_pool1d", "avg_pool2d"), avg_pool),
    "avg_pool3d": avg_pool_of_channels,
    **dict.fromkeys(("adaptive_avg_pool1d", "adaptive_avg_pool2d", "_adaptive_avg_pool2d"), adaptive("mean", False)),
    **dict.fromkeys(("adaptive_max_pool1d", "adaptive_max_pool2d"), adaptive("max", True)),
    "batch_norm": batch_norm,
    **dict.fromkeys(
        ("_native_batch_norm_legit_no_training", "_native_batch_norm_legit", "native_batch_norm"),
        _first_of(batch_norm, 3),
    ),
    "_batch_norm_no_update": _first_of(batch_norm, 4),
    "instance_norm": instance_norm,
    "layer_norm": layer_norm,
    "native_layer_norm": _first_of(layer_norm, 3),
    "group_norm": group_norm,
    "local_response_norm": lambda at, x, **settings: at.local_response_norm(x, **settings),
    "native_group_norm": native_group_norm,
    **dict.fromkeys(("dropout", "feature_dropout", "alpha_dropout", "feature_alpha_dropout"), dropout),
    **dict.fromkeys(("upsample_nearest1d", "upsample_nearest2d"), resize("nearest")),
    **dict.fromkeys(("_upsample_nearest_exact1d", "_upsample_nearest_exact2d"), resize("nearest", True)),
    **dict.fromkeys(("upsample_linear1d", "upsample_bilinear2d"), resize("bilinear")),
    "upsample_bicubic2d": resize("bicubic_clamped"),
}  # fmt: skip
"""The operations by their names, those of one overload only as "name.overload"."""

EXACT = frozenset([*RESHAPING, *SAME, "getitem", "relu", "clamp", "clamp_min", "clamp_max", "clip", "maximum", "minimum",
                   "amax", "amin", "max", "min", "max_pool2d", "adaptive_max_pool2d", "upsample_nearest2d"])  # fmt: skip
"""Operations that give the same for integers as for real numbers."""
