"""Operators on images: convolution, pooling, normalization, padding, resizing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

import numpy as np

from probe.imports._building import Value
from probe.imports.onnx._call import Call, Operand
from probe.imports.onnx._constants import axes_of

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
        call.node.refuse(f"has windows of {given} for values of shape {x.shape} and kernels of {size or None}")
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
            call.node.refuse(f"has windows of {window} that are larger than images of {call.value().shape[1:]}")
        sizes.append(room // strides[k] + 1)
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
        x, window = call.value(), _window(call, [])
        strides, dilations = (_steps(call, name, len(window)) for name in ("strides", "dilations"))
        pads = _padding(call, window, strides, dilations, x.shape[1:])
        ceil_mode = bool(call.node.integer("ceil_mode", 0))
        _check_windows(call, window, strides, dilations, pads, x.shape[0])
        if any(pad >= n for pad, n in zip(pads, [*window, *window], strict=True)):
            call.node.refuse(f"has pads={pads}, as large as its windows of {window}")
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
    for name in ("is_test", "momentum", "consumed_inputs"):
        node.integer(name, 0) if name == "is_test" else node.integers(name) if "in" in name else node.real(name, 0)
    arrays = [call.weight(index, 1) for index in (1, 2, 3, 4)]
    return call.at.batch_norm(call.value(), *arrays, epsilon=node.real("epsilon", 1e-5))


def _instance_normalization(call: Call) -> Operand:
    arrays = [call.weight(index, 1) for index in (1, 2)]
    return call.at.instance_norm(call.value(), *arrays, epsilon=call.node.real("epsilon", 1e-5))


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
    call.node.integer("stash_type", 1)
    return call.at.group_norm(x, groups, *arrays, epsilon=call.node.real("epsilon", 1e-5))


def _layer_normalization(call: Call) -> Operand:
    x = call.value()
    first = call.axis(call.node.integer("axis", -1), x)
    if first == 0:
        call.node.refuse("works along the axis of the samples; keep that axis as it is")
    call.node.integer("stash_type", 1)
    n_axes = len(x.shape) + 1 - first
    sizes = x.shape[first - 1 :]
    arrays = [call.constant(index) for index in (1, 2)]
    for array in arrays:
        if array is not None and array.shape != sizes:
            call.node.refuse(f"has scales of shape {array.shape}, where {sizes} is needed")
    return call.at.layer_norm(x, *arrays, n_axes=n_axes, epsilon=call.node.real("epsilon", 1e-5))  # type: ignore[misc]


def _lrn(call: Call) -> Operand:
    node = call.node
    size = node.integer("size", 1)
    return call.at.local_response_norm(
        call.value(), size, node.real("alpha", 1e-4), node.real("beta", 0.75), node.real("bias", 1.0)
    )


def _pad(call: Call) -> Operand:
    x, node = call.value(), call.node
    n_axes = len(x.shape) + 1
    mode = node.text("mode", "constant")
    if node.opset < 11:
        pads, number = node.integers("pads") or node.integers("paddings"), node.real("value", 0.0)
    else:
        pads, number = call.numbers(1), call.number(2) or 0.0
    axes = [call.axis(axis, x) for axis in axes_of(node, call.values, 3) or range(n_axes)]  # type: ignore[arg-type]
    if pads is None or len(pads) != 2 * len(axes):
        node.refuse(f"has {pads} to pad values of shape {x.shape} with")
    margins = [(0, 0)] * n_axes
    for k, axis in enumerate(axes):
        margins[axis] = pads[k], pads[k + len(axes)]
    if margins[0] != (0, 0):
        node.refuse("pads the axis of the samples; keep that axis as it is")
    if mode not in ("constant", "reflect", "edge"):
        node.refuse(f"has mode={mode!r}, which is not read")
    call.check_size(
        *(max(0, n + before + after) for n, (before, after) in zip(x.shape, margins[1:], strict=True))
    )
    return call.at.pad(x, margins[1:], mode, number)  # type: ignore[arg-type]


_COORDINATES = {
    "half_pixel": "half_pixel",
    "pytorch_half_pixel": "half_pixel",
    "align_corners": "align_corners",
    "asymmetric": "asymmetric",
}
_MODES = {"nearest": "nearest", "linear": "bilinear", "bilinear": "bilinear", "cubic": "bicubic"}


def _resize(call: Call) -> Operand:
    x, node = call.value(), call.node
    mode = node.text("mode", "nearest")
    scales, sizes = _sizes_of(call)
    full = (1, *x.shape)
    axes = [call.axis(axis, x) for axis in node.integers("axes") or range(len(full))]
    given = sizes if sizes is not None else scales
    if given is None or len(given) != len(axes):
        node.refuse(f"has {given} for the sizes of values of shape {x.shape}")
    wanted = list(full)
    for axis, n in zip(axes, given, strict=True):
        # The number of samples stays as it is, whatever it is.
        if axis and not (0 < n * (1 if sizes is not None else full[axis]) <= call.most_values):
            node.refuse(f"makes {given} of values of shape {x.shape}")
        if axis:
            wanted[axis] = int(n) if sizes is not None else int(np.floor(full[axis] * n))
    if mode not in _MODES or wanted[1] != full[1] or min(wanted) < 1:
        node.refuse(f"makes {tuple(wanted[1:])} of {x.shape} with mode={mode!r}; only heights and widths change")
    call.check_size(*wanted[1:])
    coordinates = _coordinates(call, mode, tuple(wanted), full)
    if scales is not None:
        _check_scales(call, scales, axes, tuple(wanted), full, coordinates)
    return call.at.resize(x, wanted[2:], _MODES[mode], coordinates)  # type: ignore[arg-type]


def _sizes_of(call: Call) -> tuple[list[float] | None, list[int] | None]:
    """Return the factors, or the sizes, that a Resize or an Upsample names."""
    node = call.node
    if node.op == "Upsample":
        scales = node.reals("scales")
        if scales is None:
            scales = [float(scale) for scale in call.weight(1).reshape(-1)]
        return scales, None
    index = 1 if node.opset < 11 else 2
    array, sizes = call.constant(index), call.numbers(3) if node.opset > 10 else None
    node.require(antialias=0, exclude_outside=0, keep_aspect_ratio_policy="stretch")
    node.real("extrapolation_value", 0.0)
    if array is not None and array.size:
        return [float(scale) for scale in array.reshape(-1)], None
    return None, sizes


def _coordinates(call: Call, mode: str, wanted: tuple[int, ...], full: tuple[int, ...]) -> str:
    node = call.node
    if node.op == "Upsample" or node.opset < 11:
        return "asymmetric"
    kind = node.text("coordinate_transformation_mode", "half_pixel")
    nearest = node.text("nearest_mode", "round_prefer_floor")
    cubic = node.real("cubic_coeff_a", -0.75)
    if kind not in _COORDINATES or (kind == "pytorch_half_pixel" and 1 in wanted[2:]):
        node.refuse(f"has coordinate_transformation_mode={kind!r}, which is not read")
    if mode == "cubic" and not np.isclose(cubic, -0.75):
        node.refuse(f"has cubic_coeff_a={cubic:g}; only -0.75 is read")
    if mode == "nearest":
        whole = all(big % small == 0 for big, small in zip(wanted, full, strict=True))
        # Where each pixel becomes several, no place lies halfway: all roundings say the same.
        if whole and (kind, nearest) in (
            ("asymmetric", "floor"), ("half_pixel", "round_prefer_floor"), ("half_pixel", "round_prefer_ceil"),
            ("pytorch_half_pixel", "round_prefer_floor"),
        ):  # fmt: skip
            return "asymmetric"
        if (kind, nearest) not in (("asymmetric", "floor"), ("half_pixel", "round_prefer_ceil")):
            node.refuse(f"has nearest_mode={nearest!r} with {kind!r}, which is not read for these sizes")
    return _COORDINATES[kind]


def _check_scales(
    call: Call,
    scales: list[float],
    axes: list[int],
    wanted: tuple[int, ...],
    full: tuple[int, ...],
    coordinates: str,
) -> None:
    """Refuse factors that are not those between the sizes: they would be the ones that count."""
    if coordinates == "align_corners":
        return
    for axis, scale in zip(axes, scales, strict=True):
        if axis and not np.isclose(scale, wanted[axis] / full[axis], rtol=1e-5):
            call.node.refuse(f"makes {wanted[axis]} of {full[axis]} by the factor {scale:g}; only exact ones are read")


def _depth_to_space(call: Call) -> Operand:
    x, block = call.value(), call.node.integer("blocksize", 1)
    mode = call.node.text("mode", "DCR")
    channels, rows, columns = _image(call, x)
    if block < 1 or channels % (block * block) or mode not in ("DCR", "CRD"):
        call.node.refuse(f"has blocksize={block} and mode={mode!r} for values of shape {x.shape}")
    n, at = channels // (block * block), call.at
    batch = at.building.batch
    if mode == "DCR":
        y = at.permute(at.reshape(x, (batch, block, block, n, rows, columns)), (0, 3, 4, 1, 5, 2))
    else:
        y = at.permute(at.reshape(x, (batch, n, block, block, rows, columns)), (0, 1, 4, 2, 5, 3))
    return at.reshape(y, (batch, n, rows * block, columns * block))


def _space_to_depth(call: Call) -> Operand:
    x, block = call.value(), call.node.integer("blocksize", 1)
    channels, rows, columns = _image(call, x)
    if block < 1 or rows % block or columns % block:
        call.node.refuse(f"has blocksize={block} for values of shape {x.shape}")
    at, batch = call.at, call.at.building.batch
    y = at.reshape(x, (batch, channels, rows // block, block, columns // block, block))
    y = at.permute(y, (0, 3, 5, 1, 2, 4))
    return at.reshape(y, (batch, channels * block * block, rows // block, columns // block))


def _image(call: Call, x: Value) -> tuple[int, int, int]:
    if len(x.shape) != 3:
        call.node.refuse(f"gets values of shape {x.shape}, which are no images (channels, height, width)")
    channels, rows, columns = x.shape
    return channels, rows, columns


IMAGES: Mapping[str, Handler] = {
    "AveragePool": _pool("mean"),
    "BatchNormalization": _batch_normalization,
    "Conv": _conv,
    "ConvTranspose": _conv_transpose,
    "DepthToSpace": _depth_to_space,
    "GlobalAveragePool": _global("mean"),
    "GlobalMaxPool": _global("max"),
    "GroupNormalization": _group_normalization,
    "InstanceNormalization": _instance_normalization,
    "LRN": _lrn,
    "LayerNormalization": _layer_normalization,
    "MaxPool": _pool("max"),
    "Pad": _pad,
    "Resize": _resize,
    "SpaceToDepth": _space_to_depth,
    "Upsample": _resize,
}
"""What makes layers of each operator, of every version of the set."""
