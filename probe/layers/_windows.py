"""Windows of images, their correlation with kernels and its adjoint: the operations of all layers of images.

Images are unfolded into windows a few at a time, into one buffer that stays in the processor's cache, and
multiplied by the kernel as a matrix: fast, and bounded in memory whatever the batch is.

Images `x` have the shape (n_samples, height, width, channels), with their padding; kernels (rows, columns,
channels / groups, filters); values `z` and gradients `dz` (n_samples, n_rows, n_columns, filters), one for each window
and filter. Where each channel has kernels of its own, these are (rows, columns, channels, multiplier), and
channels * multiplier is the number of filters. `frame` is the height and width of the padded images.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from probe._checks import Array, InputError, even_chunks
from probe.layers._base import Layer, Pair, Shape

_BLOCK_BYTES = 1 << 20
"""Size of the buffer in which windows are unfolded, unless a single row of windows needs more: what a cache holds."""


_SIDE_BY_SIDE = 16
"""Values of a row of a window, below which windows are unfolded by the places in them."""


def window_padding(n: int, window: int, stride: int, padding: str | Pair) -> tuple[int, int, int]:
    """Return how many windows fit along an axis of length `n`, and the padding before and after it.

    "same" places ceil(n / stride) windows and pads the odd pixel after. A pair is the padding itself.

    Examples
    --------
    >>> window_padding(10, 3, 2, "same")
    (5, 0, 1)
    """
    if padding != "same":
        before, after = (0, 0) if isinstance(padding, str) else padding
        return (n + before + after - window) // stride + 1, before, after
    n_windows = -(-n // stride)
    total = max((n_windows - 1) * stride + window - n, 0)
    return n_windows, total // 2, total - total // 2


def windows_of(
    layer: Layer, shape: tuple[int, ...], window: Pair, strides: Pair, padding: str | tuple[Pair, Pair]
) -> tuple[Pair, tuple[Pair, Pair]]:
    """Return the numbers of windows along the height and the width and the padding of each, or raise for none."""
    along: tuple[str | Pair, str | Pair] = (padding, padding) if isinstance(padding, str) else padding
    (rows, top, bottom), (columns, left, right) = (
        window_padding(n, size, stride, each)
        for n, size, stride, each in zip(shape, window, strides, along, strict=False)
    )
    if min(rows, columns) <= 0:
        raise InputError(
            f"layer '{layer.name}' needs images of at least {window[0]} x {window[1]}, "
            f"but gets {shape[0]} x {shape[1]}"
        )
    return (rows, columns), ((top, bottom), (left, right))


def padded(x: Array, margins: tuple[Pair, Pair], value: float = 0) -> Array:
    """Return images `x` (n_samples, height, width, channels) with margins of `value`; `x` itself for none."""
    (top, bottom), (left, right) = margins
    if top == bottom == left == right == 0:
        return x
    n_samples, height, width, channels = x.shape
    around = np.full((n_samples, height + top + bottom, width + left + right, channels), value, x.dtype)
    around[:, top : top + height, left : left + width] = x
    return around


def inside(x: Array, margins: tuple[Pair, Pair]) -> Array:
    """Return images without their margins."""
    (top, bottom), (left, right) = margins
    return x[:, top : x.shape[1] - bottom, left : x.shape[2] - right]


Pixels = tuple[slice, slice, slice]


def window_offsets(
    window: Pair, strides: Pair, dilation_rate: Pair, n_windows: Pair
) -> Iterator[tuple[Pair, Pixels]]:
    """Yield each offset (i, j) in a window, row by row, and the pixels that all windows have there.

    `x[pixels]` of padded images `x` has shape (n_samples, *n_windows, channels).
    """
    for i in range(window[0]):
        for j in range(window[1]):
            corner = i * dilation_rate[0], j * dilation_rate[1]
            yield (i, j), (slice(None), *(
                slice(start, start + (count - 1) * stride + 1, stride)
                for start, count, stride in zip(corner, n_windows, strides, strict=True)
            ))  # type: ignore[misc] # fmt: skip


def reach(kernel_shape: tuple[int, ...], dilation_rate: Pair) -> Pair:
    """Return height and width of a window from end to end, with its dilation."""
    return (
        (kernel_shape[0] - 1) * dilation_rate[0] + 1,
        (kernel_shape[1] - 1) * dilation_rate[1] + 1,
    )


def correlate(
    x: Array,
    kernel: Array,
    strides: Pair = (1, 1),
    dilation_rate: Pair = (1, 1),
    groups: int = 1,
    bias: Array | None = None,
) -> Array:
    """Return the sum of kernel times window for every window of padded images, plus a bias."""
    span = reach(kernel.shape, dilation_rate)
    n_windows = tuple(
        (n - size) // stride + 1 for n, size, stride in zip(x.shape[1:3], span, strides, strict=True)
    )
    dtype = np.result_type(x, kernel)
    z = np.empty((len(x), *n_windows, kernel.shape[3]), dtype)
    for seen, made in _groups(kernel.shape, groups):
        matrix = np.ascontiguousarray(kernel[..., made], dtype).reshape(-1, kernel.shape[3] // groups)
        # Whole rows of windows at a time: additions of a few values each would take several times as long.
        along = None if bias is None else bias[None, made].repeat(n_windows[1], axis=0).ravel()
        for samples, rows, unfolded in _unfolded(x[..., seen], kernel.shape, strides, dilation_rate, dtype):
            product = z[samples, rows, :, made]
            whole = product.flags.c_contiguous
            values = np.matmul(unfolded, matrix, out=product.reshape(-1, matrix.shape[1]) if whole else None)
            if along is not None:
                lines = values.reshape(-1, len(along))
                lines += along
            if not whole:
                product[...] = values.reshape(product.shape)
    return z


def _groups(kernel_shape: Shape, groups: int) -> Iterator[tuple[slice, slice]]:
    """Yield the channels that each group of filters sees, and its filters."""
    inputs, outputs = kernel_shape[2], kernel_shape[3] // groups
    for group in range(groups):
        yield slice(group * inputs, (group + 1) * inputs), slice(group * outputs, (group + 1) * outputs)


def _windows_in(x: Array, kernel_shape: Shape, strides: Pair, dilation_rate: Pair) -> Array:
    """Return all windows of padded images as a view: (n_samples, n_rows, n_columns, rows, columns, channels).

    In place of `sliding_window_view`, which takes as long as the product of a small batch.
    """
    along = zip(x.shape[1:3], reach(kernel_shape, dilation_rate), strides, strict=True)
    n_windows = tuple((n - size) // stride + 1 for n, size, stride in along)
    sample, row, column, channel = x.strides
    return np.lib.stride_tricks.as_strided(
        x,
        (len(x), *n_windows, *kernel_shape[:3]),
        (
            sample,
            row * strides[0],
            column * strides[1],
            row * dilation_rate[0],
            column * dilation_rate[1],
            channel,
        ),
        writeable=False,
    )


def _unfolded(
    x: Array, kernel_shape: Shape, strides: Pair, dilation_rate: Pair, dtype: np.dtype[np.generic]
) -> Iterator[tuple[slice, slice, Array]]:
    """Yield blocks of the windows of padded images: their samples, their rows, and each window as a row of a matrix.

    The matrix is overwritten by the next block.
    """
    windows = _windows_in(x, kernel_shape, strides, dilation_rate)
    n_in = math.prod(kernel_shape[:3])
    # Few values lie side by side in a window of one channel, but many along a row of windows.
    by_offset = kernel_shape[1] * kernel_shape[2] < _SIDE_BY_SIDE
    buffer = np.empty(0, dtype)
    row_bytes = windows.shape[2] * n_in * dtype.itemsize
    for samples, rows in _blocks(len(windows), windows.shape[1], row_bytes):
        block = windows[samples, rows]
        if buffer.size < block.size:
            buffer = np.empty(block.size, dtype)
        unfolded = buffer[: block.size]
        if by_offset:
            turned = block.transpose(3, 4, 5, 0, 1, 2)
            np.copyto(unfolded.reshape(turned.shape), turned)
            yield samples, rows, unfolded.reshape(n_in, -1).T
        else:
            np.copyto(unfolded.reshape(block.shape), block)
            yield samples, rows, unfolded.reshape(-1, n_in)


def spread(
    dz: Array,
    kernel: Array,
    frame: Pair,
    strides: Pair = (1, 1),
    dilation_rate: Pair = (1, 1),
    groups: int = 1,
) -> Array:
    """Return the adjoint of `correlate`: each value of `dz` times the kernel, added up where windows overlap."""
    rows, columns, inputs, filters = kernel.shape
    dtype = np.result_type(dz, kernel)
    x = np.zeros((len(dz), *frame, inputs * groups), dtype)
    transposed = np.ascontiguousarray(kernel.transpose(0, 1, 3, 2), dtype)
    part = np.empty((0, inputs), dtype)
    row_bytes = dz.shape[2] * (2 * inputs + filters // groups) * dtype.itemsize
    for samples, taken in _blocks(len(dz), dz.shape[1], row_bytes):
        n_windows = taken.stop - taken.start, dz.shape[2]
        block = x[samples, taken.start * strides[0] :]
        for seen, made in _groups(kernel.shape, groups):
            values = np.ascontiguousarray(dz[samples, taken, :, made], dtype).reshape(-1, filters // groups)
            if len(part) != len(values):
                part = np.empty((len(values), inputs), dtype)
            for offset, pixels in window_offsets((rows, columns), strides, dilation_rate, n_windows):
                np.matmul(values, transposed[offset][made], out=part)
                target = block[pixels][..., seen]
                target += part.reshape(target.shape)
    return x


def correlate_pullback(
    dz: Array,
    kernel: Array,
    shape: tuple[int, ...],
    margins: tuple[Pair, Pair],
    strides: Pair,
    dilation_rate: Pair,
    groups: int,
) -> Array:
    """Return dC/dx of images of `shape` (height, width, ...) that had `margins` when they were correlated."""
    height, width = shape[:2]
    (top, bottom), (left, right) = margins
    # With steps of one it is a correlation too, with the kernel turned round: faster unless dz is much deeper.
    if strides == (1, 1) and groups == 1 and kernel.shape[3] < 2 * kernel.shape[2]:
        down, along = (size - 1 for size in reach(kernel.shape, dilation_rate))
        rows, columns = dz.shape[1:3]
        turned = kernel[::-1, ::-1].transpose(0, 1, 3, 2)
        around = (down - top, height + top - rows), (along - left, width + left - columns)
        return correlate(padded(dz, around), turned, (1, 1), dilation_rate)
    frame = height + top + bottom, width + left + right
    x = spread(dz, kernel, frame, strides, dilation_rate, groups)
    return x[:, top : top + height, left : left + width]


def correlate_each(x: Array, kernel: Array, strides: Pair, dilation_rate: Pair, n_windows: Pair) -> Array:
    """Return the correlation of each channel with kernels of its own."""
    rows, columns, channels, multiplier = kernel.shape
    weights = kernel.reshape(rows, columns, -1)
    z = np.zeros((len(x), *n_windows, channels * multiplier), np.result_type(x, kernel))
    for samples in _some_images(z):
        repeated, target = _repeated(x[samples], multiplier), z[samples]
        part = np.empty_like(target)
        for offset, pixels in window_offsets((rows, columns), strides, dilation_rate, n_windows):
            target += np.multiply(repeated[pixels], weights[offset], out=part)
    return z


def _some_images(values: Array) -> Iterator[slice]:
    """Split images into a few at a time, as many as stay in a cache with what is computed of them."""
    return even_chunks(len(values), max(1, _BLOCK_BYTES // 4 // max(1, values[:1].nbytes)))


def _repeated(x: Array, multiplier: int) -> Array:
    return x if multiplier == 1 else np.repeat(x, multiplier, axis=-1)


def spread_each(dz: Array, kernel: Array, frame: Pair, strides: Pair, dilation_rate: Pair) -> Array:
    """Return the adjoint of `correlate_each`: images of shape (n_samples, *frame, channels)."""
    rows, columns, channels, multiplier = kernel.shape
    weights = kernel.reshape(rows, columns, -1)
    n_windows = dz.shape[1], dz.shape[2]
    x = np.empty((len(dz), *frame, channels), np.result_type(dz, kernel))
    for samples in _some_images(dz):
        gradient = dz[samples]
        repeated = np.zeros((len(gradient), *frame, channels * multiplier), x.dtype)
        part = np.empty(gradient.shape, x.dtype)
        for offset, pixels in window_offsets((rows, columns), strides, dilation_rate, n_windows):
            target = repeated[pixels]
            target += np.multiply(gradient, weights[offset], out=part)
        each = repeated.reshape(len(gradient), *frame, channels, multiplier)
        x[samples] = each[..., 0] if multiplier == 1 else each.sum(axis=-1)
    return x


def kernel_gradient(
    x: Array,
    dz: Array,
    kernel_shape: tuple[int, ...],
    strides: Pair = (1, 1),
    dilation_rate: Pair = (1, 1),
    groups: int = 1,
) -> Array:
    """Return the gradient of `correlate` with respect to its kernel, summed over samples and windows."""
    dtype = np.result_type(x, dz)
    gradient = np.zeros((math.prod(kernel_shape[:3]), kernel_shape[3]), dtype)
    for seen, made in _groups(kernel_shape, groups):
        for samples, rows, unfolded in _unfolded(x[..., seen], kernel_shape, strides, dilation_rate, dtype):
            values = dz[samples, rows, :, made].reshape(len(unfolded), -1)
            gradient[:, made] += unfolded.T @ values
    return gradient.reshape(kernel_shape)


def each_kernel_gradient(
    x: Array, dz: Array, kernel_shape: tuple[int, ...], strides: Pair, dilation_rate: Pair
) -> Array:
    """Return the gradient of `correlate_each` with respect to its kernel, summed over samples and windows."""
    rows, columns, channels, multiplier = kernel_shape
    gradient = np.empty(kernel_shape, np.result_type(x, dz))
    deltas = dz.reshape(*dz.shape[:3], channels, multiplier)
    for offset, pixels in window_offsets((rows, columns), strides, dilation_rate, dz.shape[1:3]):
        gradient[offset] = np.einsum("nrsc,nrscm->cm", x[pixels], deltas)
    return gradient


def summed(dz: Array) -> Array:
    """Return the sum over all axes but that of the channels; as a product, since there may be few channels."""
    rows = dz.reshape(-1, dz.shape[-1])
    return np.ones(len(rows), dz.dtype) @ rows


def _blocks(n_samples: int, n_rows: int, row_bytes: int) -> Iterator[tuple[slice, slice]]:
    """Yield samples and rows in blocks of about `_BLOCK_BYTES`: whole samples, or some rows of one."""
    most = max(1, _BLOCK_BYTES // max(1, row_bytes))
    if most >= n_rows:
        step = max(1, most // max(1, n_rows))
        for start in range(0, n_samples, step):
            yield slice(start, min(start + step, n_samples)), slice(0, n_rows)
        return
    for sample in range(n_samples):
        for start in range(0, n_rows, most):
            yield slice(sample, sample + 1), slice(start, min(start + most, n_rows))
