"""Operators on images: convolution, pooling and normalization."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

import numpy as np

from probe.imports._building import Value
from probe.imports.onnx._call import Call, Operand

__all__ = ["IMAGES"]

Handler = Callable[[Call], Operand | list[Operand]]


def _window(call: Call, size: list[int]) -> list[int]:
    """Return the size of a window of as many axes as images have, which must be that of its kernel if it has one."""
    x = call.value()
    n_axes = len(x.shape) - 1
    if n_axes not in (1, 2):
        call.node.refuse(f"gets values of shape {x.shape}, which are no images (channels, height, width)")
    given = call.node.integers("kernel_shape")
    window = size or given
    if window is None or len(window) != n_axes or (given is not None and given != window):
        call.node.refuse(
            f"has windows of {given} for values of shape {x.shape} and kernels of {size or None}"
        )
    if any(not 0 < n <= call.most_values for n in window):
        call.node.refuse(f"has windows of {window}")
    return window


def _steps(call: Call, name: str, n_axes: int) -> list[int]:
    steps = call.node.integers(name) or [1] * n_axes
    if len(steps) != n_axes or min(steps) < 1 or max(steps) > call.most_values:
        call.node.refuse(f"has {name}={steps[:8]} for {n_axes} axes")
    return steps


def _padding(
    call: Call, window: list[int], strides: list[int], dilations: list[int], size: tuple[int, ...]
) -> list[int]:
    """Return the padding: all that comes before, axis by axis, then all that comes after."""
    n_axes = len(window)
    kind = call.node.text("auto_pad", "NOTSET")
    pads = call.node.integers("pads")
    if kind in ("", "NOTSET"):
        pads = pads or [0] * (2 * n_axes)
        if len(pads) != 2 * n_axes or min(pads) < 0 or max(pads) > call.most_values:
            call.node.refuse(f"has pads={pads[:8]} for {n_axes} axes")
        return pads
    if kind == "VALID":
        return [0] * (2 * n_axes)
    if kind not in ("SAME_UPPER", "SAME_LOWER"):
        call.node.refuse(f"has auto_pad={kind!r}, which is not read")
    reach = [(n - 1) * step + 1 for n, step in zip(window, dilations, strict=True)]
    totals = [
        max(0, (-(-n // stride) - 1) * stride + span - n)
        for n, stride, span in zip(size, strides, reach, strict=True)
    ]
    halves, rest = [total // 2 for total in totals], [total - total // 2 for total in totals]
    return halves + rest if kind == "SAME_UPPER" else rest + halves


def _conv(call: Call) -> Operand:
    x, kernel = call.value(), call.weight(1)
    if kernel.ndim not in (3, 4) or 0 in kernel.shape:
        call.node.refuse(f"has kernels of shape {kernel.shape}; only those of images and signals are read")
    window = _window(call, list(kernel.shape[2:]))
    strides, dilations = (_steps(call, name, len(window)) for name in ("strides", "dilations"))
    groups = call.node.integer("group", 1)
    if groups < 1 or len(kernel) % groups:
        call.node.refuse(f"has group={groups} for kernels of shape {kernel.shape}")
    pads = _padding(call, window, strides, dilations, x.shape[1:])
    _check_windows(call, window, strides, dilations, pads, len(kernel))
    return call.at.conv(
        x, kernel, call.constant(2), stride=strides, padding=pads, dilation=dilations, groups=groups
    )


def _check_windows(
    call: Call, window: list[int], strides: list[int], dilations: list[int], pads: list[int], channels: int
) -> None:
    """Refuse what puts out too much, or nothing, before anything is made of it."""
    n_axes = len(window)
    sizes = []
    for k, n in enumerate(call.value().shape[1:]):
        room = n + pads[k] + pads[k + n_axes] - (window[k] - 1) * dilations[k] - 1
        if room < 0:
            call.node.refuse(
                f"has windows of {window} that are larger than images of {call.value().shape[1:]}"
            )
        sizes.append(room // strides[k] + 1)
        # A convolution is zero there; a pool of nothing is no number.
        is_outside = pads[k] >= window[k] * dilations[k] or (sizes[-1] - 1) * strides[k] - pads[k] >= n
        if is_outside and "Pool" in call.node.op:
            call.node.refuse(f"has pads={pads}, so that windows of {window} lie in the padding alone")
    call.check_size(channels, *sizes)
    call.check_size(
        call.value().shape[0],
        *(n + pads[k] + pads[k + n_axes] for k, n in enumerate(call.value().shape[1:])),
    )


def _conv_transpose(call: Call) -> Operand:
    x, kernel = call.value(), call.weight(1)
    if kernel.ndim not in (3, 4) or 0 in kernel.shape:
        call.node.refuse(f"has kernels of shape {kernel.shape}; only those of images and signals are read")
    window = _window(call, list(kernel.shape[2:]))
    n_axes = len(window)
    strides, dilations = (_steps(call, name, n_axes) for name in ("strides", "dilations"))
    more = call.node.integers("output_padding") or [0] * n_axes
    if len(more) != n_axes or min(more) < 0:
        call.node.refuse(f"has output_padding={more[:8]} for {n_axes} axes")
    whole = [
        (n - 1) * s + (k - 1) * d + 1 + extra
        for n, s, k, d, extra in zip(x.shape[1:], strides, window, dilations, more, strict=True)
    ]
    call.check_size(kernel.shape[1] * call.node.integer("group", 1), *whole)
    kind, wanted = call.node.text("auto_pad", "NOTSET"), call.node.integers("output_shape")
    if wanted is not None or kind in ("SAME_UPPER", "SAME_LOWER"):
        wanted = wanted or [n * stride for n, stride in zip(x.shape[1:], strides, strict=True)]
        cut = [n - out for n, out in zip(whole, wanted[-n_axes:], strict=True)]
        # The odd row is cut off at the end for SAME_UPPER, and else at the start, as onnxruntime does.
        halves, rest = [n // 2 for n in cut], [n - n // 2 for n in cut]
        pads = halves + rest if kind == "SAME_UPPER" else rest + halves
    else:
        pads = _padding(call, window, strides, dilations, x.shape[1:])
    if min(pads) < 0:
        call.node.refuse(f"has output_shape={wanted}, more than its windows reach")
    return call.at.conv_transpose(
        x, kernel, call.constant(2),
        stride=strides, padding=pads, output_padding=more, dilation=dilations, groups=call.node.integer("group", 1),
    )  # fmt: skip


def _pool(kind: Literal["max", "mean"]) -> Handler:
    def make(call: Call) -> Operand:
        if len(call.value().shape) == 4:
            return _pool_of_channels(call, kind)
        x, window = call.value(), _window(call, [])
        strides, dilations = (_steps(call, name, len(window)) for name in ("strides", "dilations"))
        pads = _padding(call, window, strides, dilations, x.shape[1:])
        ceil_mode = bool(call.node.integer("ceil_mode", 0))
        _check_windows(call, window, strides, dilations, pads, x.shape[0])
        if kind == "max":
            call.node.require(storage_order=0)
            return call.at.max_pool(
                x, window, stride=strides, padding=pads, dilation=dilations, ceil_mode=ceil_mode
            )
        if set(dilations) != {1}:
            call.node.refuse(f"has dilations={dilations}, which are not read")
        counted = bool(call.node.integer("count_include_pad", 0))
        return call.at.avg_pool(
            x, window, stride=strides, padding=pads, count_include_pad=counted, ceil_mode=ceil_mode
        )

    return make


def _pool_of_channels(call: Call, kind: Literal["max", "mean"]) -> Operand:
    """Return the pooling along the channels of (1, channels, height, width), which a local response norm is part of."""
    node, x = call.node, call.value()
    window, pads = node.integers("kernel_shape") or [], node.integers("pads") or [0] * 6
    steps = (node.integers("strides") or [1, 1, 1]) + (node.integers("dilations") or [1, 1, 1])
    node.require(ceil_mode=0, auto_pad="NOTSET")
    if (
        len(window) != 3
        or window[1:] != [1, 1]
        or set(steps) != {1}
        or any(pads[1:3] + pads[4:])
        or kind == "max"
    ):
        node.refuse(f"has windows of {window} for values of shape {x.shape}; only those of images are read")
    n, channels, height, width = x.shape
    at, batch = call.at, call.at.building.batch
    if not 0 < window[0] <= channels or min(pads) < 0 or max(pads) >= window[0]:
        node.refuse(f"has pads={pads} and windows of {window} for values of shape {x.shape}")
    counted = bool(node.integer("count_include_pad", 0))
    flat = at.reshape(x, (batch, n, channels, height * width))
    assert isinstance(flat, Value)
    margins = pads[0], 0, pads[3], 0
    made = at.avg_pool(flat, (window[0], 1), stride=(1, 1), padding=margins, count_include_pad=counted)
    return at.reshape(made, (batch, n, made.shape[1], height, width))


def _global(kind: Literal["max", "mean"]) -> Handler:
    def make(call: Call) -> Operand:
        x = call.value()
        if len(x.shape) not in (2, 3):
            call.node.refuse(f"gets values of shape {x.shape}, which are no images (channels, height, width)")
        return call.at.adaptive_pool(x, kind, (1,) * (len(x.shape) - 1))

    return make


def _batch_normalization(call: Call) -> Operand:
    node = call.node
    node.require(training_mode=0, spatial=1)
    node.ignore("is_test", "momentum", "consumed_inputs")
    gamma, beta, mean, variance = (call.weight(index, 1) for index in (1, 2, 3, 4))
    return call.at.batch_norm(call.value(), gamma, beta, mean, variance, node.real("epsilon", 1e-5))


def _instance_normalization(call: Call) -> Operand:
    gamma, beta = (call.weight(index, 1) for index in (1, 2))
    return call.at.instance_norm(call.value(), gamma, beta, call.node.real("epsilon", 1e-5))


def _group_normalization(call: Call) -> Operand:
    x, groups = call.value(), call.node.integer("num_groups", 0)
    if groups < 1 or x.shape[0] % groups:
        call.node.refuse(f"has num_groups={groups} for values of shape {x.shape}")
    arrays = [call.weight(index, 1) for index in (1, 2)]
    if call.node.opset < 21:
        # One value for each group, then; one for each channel later.
        arrays = [
            np.repeat(array, x.shape[0] // groups) if len(array) == groups else array for array in arrays
        ]
    call.node.ignore("stash_type")
    gamma, beta = arrays
    return call.at.group_norm(x, groups, gamma, beta, call.node.real("epsilon", 1e-5))


def _layer_normalization(call: Call) -> Operand:
    x = call.value()
    first = call.axis(call.node.integer("axis", -1), x)
    if first == 0:
        call.node.refuse("works along the axis of the samples; keep that axis as it is")
    call.node.ignore("stash_type")
    n_axes = len(x.shape) + 1 - first
    sizes = x.shape[first - 1 :]
    arrays = [call.constant(index) for index in (1, 2)]
    for array in arrays:
        if array is not None and array.shape != sizes:
            call.node.refuse(f"has scales of shape {array.shape}, where {sizes} is needed")
    gamma, beta = arrays
    return call.at.layer_norm(x, gamma, beta, n_axes, call.node.real("epsilon", 1e-5))


def _lrn(call: Call) -> Operand:
    node = call.node
    size = node.integer("size", 1)
    return call.at.local_response_norm(
        call.value(), size, node.real("alpha", 1e-4), node.real("beta", 0.75), node.real("bias", 1.0)
    )


IMAGES: Mapping[str, Handler] = {
    "AveragePool": _pool("mean"),
    "BatchNormalization": _batch_normalization,
    "Conv": _conv,
    "ConvTranspose": _conv_transpose,
    "GlobalAveragePool": _global("mean"),
    "GlobalMaxPool": _global("max"),
    "GroupNormalization": _group_normalization,
    "InstanceNormalization": _instance_normalization,
    "LRN": _lrn,
    "LayerNormalization": _layer_normalization,
    "MaxPool": _pool("max"),
}
"""What makes layers of each operator, of every version of the set."""
