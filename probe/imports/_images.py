"""Operations on images and signals with the channels first: convolution, pooling, resizing."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, cast

import numpy as np

from probe._checks import Array
from probe.imports._assembly import Place, Shape, Value
from probe.layers import (
    AveragePooling2D,
    Concatenate,
    Conv2D,
    Conv2DTranspose,
    Cropping2D,
    DepthwiseConv2D,
    GlobalAveragePooling2D,
    GlobalMaxPooling2D,
    MaxPooling2D,
    Reduce,
    Reshape,
    Resizing,
    Slice,
    UpSampling2D,
    ZeroPadding2D,
)
from probe.safeh5 import DEFAULT_LIMITS

__all__ = ["ImageOperations"]

Pair = tuple[int, int]
Margins = tuple[Pair, Pair]

_MOST_SHARES = 128
"""Rows and columns of adaptive pooling by windows of several sizes, each of which becomes a layer."""

_FIRST: Literal["channels_first"] = "channels_first"


class ImageOperations(Place):
    """What takes (channels, height, width), or (channels, length) as images of one row."""

    __slots__ = ()

    def conv(
        self,
        x: Value,
        kernel: Array,
        bias: Array | None = None,
        *,
        stride: Sequence[int] = (1, 1),
        padding: Sequence[int] | Literal["valid", "same"] = (0, 0),
        dilation: Sequence[int] = (1, 1),
        groups: int = 1,
    ) -> Value:
        """Return the correlation with kernels (filters, channels / groups, rows, columns).

        `padding` is one number for both sides of each axis, or (top, left, bottom, right).
        """
        if kernel.ndim == 3:
            return self._as_signal(
                self.conv,
                x,
                kernel[:, :, None],
                bias,
                stride=stride,
                padding=padding,
                dilation=dilation,
                groups=groups,
            )
        channels, *size = self.images(x)
        if channels != kernel.shape[1] * groups:
            self.refuse(
                f"takes {kernel.shape[1] * groups} channels, but gets shape {x.shape}",
                "the shape of the input has the channels last, (height, width, channels)",
            )
        window = tuple((n - 1) * step + 1 for n, step in zip(kernel.shape[2:], dilation, strict=True))
        way, x = self._padded(x, size, window, _pair(stride), padding)
        settings = {
            "strides": _pair(stride),
            "padding": way,
            "dilation_rate": _pair(dilation),
            "data_format": _FIRST,
        }
        array = self.building.array
        offsets = None if bias is None else array(bias)
        if groups > 1 and groups == channels:
            each = array(
                kernel, "depthwise",
                lambda k: k.reshape(channels, -1, *k.shape[2:]).transpose(2, 3, 0, 1),
            )  # fmt: skip
            return self.add(DepthwiseConv2D(self.free(), each, offsets, **settings), x)  # type: ignore[arg-type]
        filters = array(kernel, "filters last", lambda k: k.transpose(2, 3, 1, 0))
        return self.add(Conv2D(self.free(), filters, offsets, groups=groups, **settings), x)  # type: ignore[arg-type]

    def _padded(
        self, x: Value, size: Sequence[int], window: Shape, strides: Pair, padding: Sequence[int] | str
    ) -> tuple[Literal["valid", "same"], Value]:
        """Return the padding that a convolution has, and its input with zeros around where that does not say it."""
        if isinstance(padding, str):
            return cast(Literal["valid", "same"], padding), x
        margins = _margins(padding)
        if _is_same(size, window, strides, margins):
            return "same", x
        return "valid", self._zeros_around(x, margins)

    def _zeros_around(self, x: Value, margins: Margins) -> Value:
        if not any(sum(margins, ())):
            return x
        return self.add(ZeroPadding2D(self.free("padding"), margins, data_format=_FIRST), x)

    def conv_transpose(
        self,
        x: Value,
        kernel: Array,
        bias: Array | None = None,
        *,
        stride: Sequence[int] = (1, 1),
        padding: Sequence[int] = (0, 0),
        output_padding: Sequence[int] = (0, 0),
        dilation: Sequence[int] = (1, 1),
        groups: int = 1,
    ) -> Value:
        """Return the way back through a convolution with kernels (channels, filters / groups, rows, columns).

        `padding` is cut off: one number for both sides of each axis, or (top, left, bottom, right).
        """
        if kernel.ndim == 3:
            return self._as_signal(
                self.conv_transpose, x, kernel[:, :, None], bias,
                stride=stride, padding=padding, output_padding=output_padding, dilation=dilation, groups=groups,
            )  # fmt: skip
        n_channels, *size = self.images(x)
        if groups > 1:
            parts = zip(self._groups(x, groups), np.split(kernel, groups), strict=True)
            biases = [None] * groups if bias is None else np.split(bias, groups)
            made = [
                self.conv_transpose(
                    part, kernels, own,
                    stride=stride, padding=padding, output_padding=output_padding, dilation=dilation,
                )
                for (part, kernels), own in zip(parts, biases, strict=True)
            ]  # fmt: skip
            return self.add(Concatenate(self.free("groups"), axis=1), *made)
        if n_channels != len(kernel):
            self.refuse(f"takes {len(kernel)} channels, but gets shape {x.shape}")
        margins, more = _margins(padding), _pair(output_padding)
        strides = _pair(stride)
        # What a window leaves open before the next one is the layer's own; more than that is added as zeros are.
        y = self.add(
            Conv2DTranspose(
                self.free(),
                self.building.array(kernel, "channels last", lambda k: k.transpose(2, 3, 1, 0)),
                None if bias is None else self.building.array(bias),
                strides=strides,
                padding="valid",
                output_padding=more if all(m < s for m, s in zip(more, strides, strict=True)) else None,
                dilation_rate=_pair(dilation),
                data_format=_FIRST,
            ),
            x,
        )
        expected = tuple(
            (n - 1) * s + (k - 1) * d + 1 + extra
            for n, s, k, d, extra in zip(size, strides, kernel.shape[2:], dilation, more, strict=True)
        )
        if y.shape[1:] != expected:
            self.refuse(f"has output_padding={more}, which cannot be taken over with stride={strides}")
        if not any(sum(margins, ())):
            return y
        return self.add(Cropping2D(self.free("cropping"), margins, data_format=_FIRST), y)

    def _groups(self, x: Value, groups: int) -> list[Value]:
        n = x.shape[0] // groups
        rest = (None,) * (len(x.shape) - 1)
        steps = (1,) * len(x.shape)
        return [
            self.add(Slice(self.free("group"), (k * n, *rest), ((k + 1) * n, *rest), steps), x)
            for k in range(groups)
        ]

    def max_pool(
        self,
        x: Value,
        window: Sequence[int],
        *,
        stride: Sequence[int] | None = None,
        padding: Sequence[int] = (0, 0),
        dilation: Sequence[int] = (1, 1),
        ceil_mode: bool = False,
    ) -> Value:
        """Return the greatest value of each window; what is outside of the image does not count."""
        if len(x.shape) == 2:
            return self._as_signal(
                self.max_pool,
                x,
                window,
                stride=stride,
                padding=padding,
                dilation=dilation,
                ceil_mode=ceil_mode,
            )
        size, steps = self.images(x)[1:], _pair(stride or window)
        rows, columns = ((n - 1) * step + 1 for n, step in zip(window, dilation, strict=True))
        margins = _reached(size, (rows, columns), steps, _margins(padding), ceil_mode)
        self._check_frame(x, margins)
        way = _simple(size, (rows, columns), steps, margins)
        layer = MaxPooling2D(self.free(), _pair(window), steps, way, _FIRST, dilation_rate=_pair(dilation))
        return self.add(layer, x)

    def avg_pool(
        self,
        x: Value,
        window: Sequence[int],
        *,
        stride: Sequence[int] | None = None,
        padding: Sequence[int] = (0, 0),
        count_include_pad: bool = True,
        ceil_mode: bool = False,
    ) -> Value:
        """Return the mean of each window; `count_include_pad` counts the zeros of the padding as pixels."""
        if len(x.shape) == 2:
            return self._as_signal(
                self.avg_pool, x, window,
                stride=stride, padding=padding, count_include_pad=count_include_pad, ceil_mode=ceil_mode,
            )  # fmt: skip
        size, steps = self.images(x)[1:], _pair(stride or window)
        margins = _margins(padding)
        if count_include_pad and any(sum(margins, ())):
            x = self._zeros_around(x, margins)
            inner = _reached(size, _pair(window), steps, margins, ceil_mode)
            size = x.shape[1:]
            # Windows of ceil_mode that reach beyond the padding count what is inside of it.
            extra = [max(0, after - given) for (_, after), (_, given) in zip(inner, margins, strict=True)]
            margins = ((0, extra[0]), (0, extra[1]))
        else:
            margins = _reached(size, _pair(window), steps, margins, ceil_mode)
        self._check_frame(x, margins)
        way = _simple(size, _pair(window), steps, margins)
        return self.add(AveragePooling2D(self.free(), _pair(window), steps, way, _FIRST), x)

    def _check_frame(self, x: Value, margins: Margins) -> None:
        """Refuse images that would have too many values with their margins."""
        channels, *size = x.shape
        whole = math.prod(n + sum(around) for n, around in zip(size, margins, strict=True))
        if channels * whole > DEFAULT_LIMITS.activation_values:
            self.refuse(f"has margins of {margins} around images of shape {x.shape}, more than are computed")

    def adaptive_pool(
        self, x: Value, kind: Literal["mean", "max"], output_size: Sequence[int | None]
    ) -> Value:
        """Return images of `output_size`, each pixel the mean or maximum of its share; None keeps a size."""
        if len(x.shape) == 2:
            return self._as_signal(self.adaptive_pool, x, kind, output_size)
        size = self.images(x)[1:]
        rows, columns = (n if out is None else int(out) for n, out in zip(size, output_size, strict=True))
        if (rows, columns) == size:
            return x
        if (rows, columns) == (1, 1):
            whole = GlobalMaxPooling2D if kind == "max" else GlobalAveragePooling2D
            return self.add(whole(self.free(), keepdims=True, data_format=_FIRST), x)
        if size[0] % rows == 0 == size[1] % columns:
            layer = MaxPooling2D if kind == "max" else AveragePooling2D
            window = size[0] // rows, size[1] // columns
            return self.add(layer(self.free(), window, window, "valid", _FIRST), x)
        if rows % size[0] == 0 == columns % size[1]:
            return self.add(UpSampling2D(self.free(), (rows // size[0], columns // size[1]), _FIRST), x)
        if rows + columns > _MOST_SHARES:
            self.refuse(f"makes {rows} x {columns} pixels of {size[0]} x {size[1]}, by windows of several sizes",
                        "choose sizes that divide each other")  # fmt: skip
        for axis, wanted in ((2, rows), (3, columns)):
            x = self._shares(x, kind, axis, wanted)
        return x

    def _shares(self, x: Value, kind: Literal["mean", "max"], axis: int, wanted: int) -> Value:
        """Return `x` with `wanted` shares along an axis, of several lengths."""
        n, open_ = x.shape[axis - 1], [None] * len(x.shape)
        parts = []
        for k in range(wanted):
            starts: list[int | None] = [*open_]
            stops: list[int | None] = [*open_]
            starts[axis - 1], stops[axis - 1] = k * n // wanted, -(-(k + 1) * n // wanted)
            part = self.add(Slice(self.free("part"), tuple(starts), tuple(stops), (1,) * len(x.shape)), x)
            parts.append(self.add(Reduce(self.free("share"), kind, (axis,), keepdims=True), part))
        return self.add(Concatenate(self.free("shares"), axis=axis), *parts) if wanted > 1 else parts[0]

    def resize(
        self,
        x: Value,
        size: Sequence[int],
        mode: Literal["nearest", "bilinear", "bicubic"],
        coordinates: str = "half_pixel",
    ) -> Value:
        """Return images of `size`; `coordinates` as those of `Resizing`."""
        if len(x.shape) == 2:
            return self._as_signal(self.resize, x, size, mode, coordinates)
        height, width = self.images(x)[1:]
        rows, columns = (int(n) for n in size)
        if (rows, columns) == (height, width):
            return x
        whole = rows % height == 0 == columns % width
        if mode == "nearest" and whole and coordinates in ("half_pixel", "asymmetric"):
            return self.add(UpSampling2D(self.free(), (rows // height, columns // width), _FIRST), x)
        if max(rows * height, columns * width) > DEFAULT_LIMITS.activation_values:
            self.refuse(f"makes {rows} x {columns} pixels of {height} x {width}, more than are computed")
        return self.add(Resizing(self.free(), rows, columns, mode, coordinates, data_format=_FIRST), x)  # type: ignore[arg-type]

    def _as_signal(self, operation: object, x: Value, *args: object, **settings: object) -> Value:
        """Return what an operation on images makes of signals (channels, length), as images of one row."""
        channels, length = self.images(x, 2)
        rows = self.add(Reshape(self.free("row"), (channels, 1, length)), x)

        def widened(key: str, value: object) -> object:
            if key in ("padding", "output_padding") and not isinstance(value, str):
                one = [int(n) for n in value]  # type: ignore[attr-defined]
                return (0, *one) if len(one) == 1 else (0, one[0], 0, one[1])
            return (1, *value) if isinstance(value, tuple | list) else value

        y = operation(  # type: ignore[operator]
            rows,
            *(widened("", value) for value in args),
            **{key: widened(key, value) for key, value in settings.items()},
        )
        return self.add(Reshape(self.free("signal"), (y.shape[0], y.shape[2])), y)


def _pair(sizes: Sequence[int]) -> Pair:
    first, second = (int(size) for size in sizes)
    return first, second


def _margins(padding: Sequence[int]) -> Margins:
    """Return ((top, bottom), (left, right)) for (rows, columns) or (top, left, bottom, right)."""
    sizes = [int(size) for size in padding]
    top, left, bottom, right = sizes * 2 if len(sizes) == 2 else sizes
    return (top, bottom), (left, right)


def _is_same(size: Sequence[int], window: Sequence[int], strides: Pair, margins: Margins) -> bool:
    """Return whether Keras' padding "same" is that of `margins` for images of this size."""
    for n, span, stride, (before, after) in zip(size, window, strides, margins, strict=True):
        n_windows = -(-n // stride)
        total = max((n_windows - 1) * stride + span - n, 0)
        if before != total // 2 or n_windows != (n + before + after - span) // stride + 1:
            return False
    return True


def _simple(
    size: Sequence[int], window: Pair, strides: Pair, margins: Margins
) -> Literal["valid", "same"] | Margins:
    """Return `margins` by a name where there is one."""
    if not any(sum(margins, ())):
        return "valid"
    return "same" if _is_same(size, window, strides, margins) else margins


def _reached(size: Sequence[int], window: Pair, strides: Pair, margins: Margins, ceil_mode: bool) -> Margins:  # noqa: FBT001
    """Return the margins that windows reach into, with those that PyTorch's `ceil_mode` adds at the end."""
    reached = []
    for n, span, stride, (before, after) in zip(size, window, strides, margins, strict=True):
        room = n + before + after - span
        count = (-(-room // stride) if ceil_mode else room // stride) + 1
        if ceil_mode and (count - 1) * stride >= n + before:
            count -= 1
        reached.append((before, max(0, (count - 1) * stride + span - n - before)))
    return reached[0], reached[1]
