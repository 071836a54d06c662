"""Operators that pad and resize images, or move pixels between channels and places."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from probe.imports._building import Value
from probe.imports.onnx._call import Call, Operand
from probe.imports.onnx._constants import axes_of
from probe.layers._interpolation import nearest_pixels

__all__ = ["SIZES"]

Handler = Callable[[Call], Operand | list[Operand]]


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
_NEAREST: Mapping[str, Callable[..., Any]] = {
    "half_pixel": lambda at, n, size, scale: (at + np.float32(0.5)) / scale - np.float32(0.5),
    "pytorch_half_pixel": lambda at, n, size, scale: (at + np.float32(0.5)) / scale - np.float32(0.5),
    "tf_half_pixel_for_nn": lambda at, n, size, scale: (at + np.float32(0.5)) / scale,
    "asymmetric": lambda at, n, size, scale: at / scale,
    "align_corners": lambda at, n, size, scale: at * np.float32(n - 1) / np.float32(max(size - 1, 1)),
}
"""Where each pixel lies among `n` others."""

_ROUNDINGS: Mapping[str, Callable[..., Any]] = {
    "floor": np.floor,
    "ceil": np.ceil,
    "round_prefer_floor": lambda places: np.ceil(places - np.float32(0.5)),
    "round_prefer_ceil": lambda places: np.floor(places + np.float32(0.5)),
}

_MODES = {"nearest": "nearest", "linear": "bilinear", "bilinear": "bilinear", "cubic": "bicubic_clamped"}


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
        node.refuse(
            f"makes {tuple(wanted[1:])} of {x.shape} with mode={mode!r}; only heights and widths change"
        )
    call.check_size(*wanted[1:])
    coordinates = _coordinates(call, mode, tuple(wanted), full)
    if mode == "nearest":
        factors = dict(zip(axes, scales or (), strict=False))
        coordinates = _rounded(call, tuple(wanted), full, factors)
    elif scales is not None:
        _check_scales(call, scales, axes, tuple(wanted), full)
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
    node.ignore("nearest_mode")
    cubic = node.real("cubic_coeff_a", -0.75)
    if kind not in (_NEAREST if mode == "nearest" else _COORDINATES) or (
        kind == "pytorch_half_pixel" and 1 in wanted[2:]
    ):
        node.refuse(f"has coordinate_transformation_mode={kind!r}, which is not read")
    if mode == "cubic" and not np.isclose(cubic, -0.75):
        node.refuse(f"has cubic_coeff_a={cubic:g}; only -0.75 is read")
    return _COORDINATES.get(kind, kind)


def _rounded(call: Call, wanted: tuple[int, ...], full: tuple[int, ...], factors: Mapping[int, float]) -> str:
    """Return the coordinates of a Resizing that takes the same pixels as a nearest Resize, or refuse.

    Places are computed in float32, as onnxruntime does: which pixel is nearest may depend on it.
    """
    node = call.node
    if node.op == "Upsample" or node.opset < 11:
        kind, rounding = "asymmetric", ""
    else:
        kind = node.text("coordinate_transformation_mode", "half_pixel")
        rounding = node.text("nearest_mode", "round_prefer_floor")
    if rounding not in ("", *_ROUNDINGS):
        node.refuse(f"has nearest_mode={rounding!r}, which is not read")
    pixels = []
    for axis in range(2, len(full)):
        n, size = full[axis], wanted[axis]
        # The first sets of operators took the next pixel where images become smaller.
        round_ = _ROUNDINGS[rounding or ("ceil" if size < n else "floor")]
        places = _NEAREST[kind](
            np.arange(size, dtype=np.float32), n, size, np.float32(factors.get(axis, size / n))
        )
        pixels.append(np.clip(round_(places), 0, n - 1))
    for coordinates in ("asymmetric", "half_pixel", "align_corners"):
        known = [nearest_pixels(n, size, coordinates) for n, size in zip(full[2:], wanted[2:], strict=True)]
        if all(map(np.array_equal, known, pixels)):
            break
    else:
        node.refuse(
            f"has nearest_mode={rounding!r} with {kind!r}, which is not read for {wanted[2:]} pixels of {full[2:]}"
        )
    return coordinates


def _check_scales(
    call: Call,
    scales: list[float],
    axes: list[int],
    wanted: tuple[int, ...],
    full: tuple[int, ...],
) -> None:
    """Refuse factors that are not those between the sizes: they would be the ones that count."""
    for axis, scale in zip(axes, scales, strict=True):
        if axis and not np.isclose(scale, wanted[axis] / full[axis], rtol=1e-5):
            call.node.refuse(
                f"makes {wanted[axis]} of {full[axis]} by the factor {scale:g}; only exact ones are read"
            )


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


SIZES: Mapping[str, Handler] = {
    "DepthToSpace": _depth_to_space,
    "Pad": _pad,
    "Resize": _resize,
    "SpaceToDepth": _space_to_depth,
    "Upsample": _resize,
}
"""What makes layers of each operator, of every version of the set."""
