"""Aten operations that move, join and cut values."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from probe.imports._building import Operations
from probe.imports.exported._constants import CONSTANTS

__all__ = ["RESHAPING"]


_MOST_PARTS = 1024


def _full(at: Operations, x: Any) -> tuple[int, ...]:
    """Return a shape with the samples."""
    return x.shape if isinstance(x, np.ndarray) else (at.building.batch, *(x.repeated or x.shape))


def _check_count(at: Operations, count: int) -> None:
    if count > _MOST_PARTS:
        at.refuse(f"makes {count} parts, each of which would be a layer", f"at most {_MOST_PARTS} are made")


def view(at: Operations, x: Any, size: Any = None, shape: Any = None) -> Any:
    return at.reshape(x, size if shape is None else shape)


def view_as(at: Operations, x: Any, other: Any) -> Any:
    return at.reshape(x, _full(at, other))


def flatten(at: Operations, x: Any, start_dim: int = 0, end_dim: int = -1) -> Any:
    return at.flatten(x, start_dim, end_dim)


def unflatten(at: Operations, x: Any, dim: int, sizes: Sequence[int]) -> Any:
    shape = _full(at, x)
    index = dim % len(shape)
    known = int(np.prod([size for size in sizes if size != -1]))
    filled = [shape[index] // known if size == -1 else size for size in sizes]
    return at.reshape(x, (*shape[:index], *filled, *shape[index + 1 :]))


def squeeze(at: Operations, x: Any, dim: Any = None) -> Any:
    return at.squeeze(x, [dim] if isinstance(dim, int) else dim)


def transpose(at: Operations, x: Any, dim0: int, dim1: int) -> Any:
    return at.transpose(x, dim0, dim1)


def t(at: Operations, x: Any) -> Any:
    return at.transpose(x, 0, 1) if len(_full(at, x)) > 1 else x


def cut(
    at: Operations, x: Any, dim: int = 0, start: int | None = None, end: int | None = None, step: int = 1
) -> Any:
    return at.slice(x, dim, start, end, step)


def narrow(at: Operations, x: Any, dim: int, start: int, length: int) -> Any:
    n = _full(at, x)[dim]
    first = start % n
    return at.slice(x, dim, first, first + length)


def split(at: Operations, x: Any, split_size: Any, dim: int = 0) -> Any:
    if not isinstance(split_size, int):
        return at.split(x, split_size, dim)
    n = _full(at, x)[dim]
    _check_count(at, -(-n // split_size))
    return at.split(x, [min(split_size, n - first) for first in range(0, n, split_size)], dim)


def chunk(at: Operations, x: Any, chunks: int, dim: int = 0) -> Any:
    return split(at, x, -(-_full(at, x)[dim] // chunks), dim)


def unbind(at: Operations, x: Any, dim: int = 0) -> Any:
    _check_count(at, _full(at, x)[dim])
    return [at.select(x, dim, index) for index in range(_full(at, x)[dim])]


def index_select(at: Operations, x: Any, dim: int, index: Any) -> Any:
    return at.take(x, dim, np.asarray(index).reshape(-1).tolist())


def flip(at: Operations, x: Any, dims: Sequence[int]) -> Any:
    for dim in dims:
        x = at.slice(x, dim, None, None, -1)
    return x


def index(at: Operations, x: Any, indices: Sequence[Any]) -> Any:
    chosen = [axis for axis, one in enumerate(indices) if one is not None]
    if (
        len(chosen) != 1
        or np.ndim(indices[chosen[0]]) != 1
        or np.asarray(indices[chosen[0]]).dtype.kind != "i"
    ):
        at.refuse("takes values at places that are no list of indices along one axis", "write it with slices")
    return index_select(at, x, chosen[0], indices[chosen[0]])


def stack(at: Operations, tensors: Sequence[Any], dim: int = 0) -> Any:
    return at.concat([at.unsqueeze(one, dim) for one in tensors], dim)


def repeat(at: Operations, x: Any, repeats: Sequence[int]) -> Any:
    _check_count(at, max(repeats, default=1))
    return at.repeat(x, repeats)


def pixel_shuffle(at: Operations, x: Any, upscale_factor: int) -> Any:
    n, channels, height, width = _full(at, x)
    r = upscale_factor
    parts = at.reshape(x, (n, channels // r**2, r, r, height, width))
    return at.reshape(at.permute(parts, (0, 1, 4, 2, 5, 3)), (n, channels // r**2, height * r, width * r))


def pixel_unshuffle(at: Operations, x: Any, downscale_factor: int) -> Any:
    n, channels, height, width = _full(at, x)
    r = downscale_factor
    parts = at.reshape(x, (n, channels, height // r, r, width // r, r))
    return at.reshape(at.permute(parts, (0, 1, 3, 5, 2, 4)), (n, channels * r**2, height // r, width // r))


def channel_shuffle(at: Operations, x: Any, groups: int) -> Any:
    n, channels, *rest = _full(at, x)
    parts = at.reshape(x, (n, groups, channels // groups, *rest))
    return at.reshape(at.transpose(parts, 1, 2), (n, channels, *rest))


def pad(
    at: Operations, x: Any, pad: Sequence[int], mode: str = "constant", value: float | None = None
) -> Any:
    """Return margins; `pad` has two numbers for each axis, from the last on."""
    known = {"constant": "constant", "reflect": "reflect", "replicate": "edge"}
    if mode not in known:
        at.refuse(f"pads by mode={mode!r}", "constant, reflect and replicate can be taken over")
    margins = [(0, 0)] * (len(x.shape) + 1)
    for k in range(len(pad) // 2):
        margins[-1 - k] = (int(pad[2 * k]), int(pad[2 * k + 1]))
    if margins[0] != (0, 0):
        at.refuse("pads the axis of the samples", "keep that axis as it is")
    return at.pad(x, margins[1:], known[mode], float(value or 0))  # type: ignore[arg-type]


def _padded(mode: str) -> Callable[..., Any]:
    return lambda at, x, padding: pad(at, x, padding, mode)


def new_full(at: Operations, x: Any, size: Sequence[int], fill_value: float = 0.0) -> Any:
    return CONSTANTS["full"](size, fill_value)


RESHAPING: Mapping[str, Callable[..., Any]] = {
    **dict.fromkeys(("view", "reshape", "_unsafe_view", "view_copy", "_reshape_copy"), view),
    **dict.fromkeys(("view_as", "reshape_as"), view_as),
    "flatten": flatten,
    "unflatten": unflatten,
    "squeeze": squeeze,
    "unsqueeze": lambda at, x, dim: at.unsqueeze(x, dim),
    "permute": lambda at, x, dims: at.permute(x, dims),
    **dict.fromkeys(("transpose", "swapaxes", "swapdims"), transpose),
    "t": t,
    "expand": lambda at, x, size: at.expand(x, size),
    "expand_as": lambda at, x, other: at.expand(x, _full(at, other)),
    "broadcast_to": lambda at, x, size: at.expand(x, size),
    **dict.fromkeys(("cat", "concat"), lambda at, tensors, dim=0: at.concat(tensors, dim)),
    "stack": stack,
    "slice": cut,
    "narrow": narrow,
    "select": lambda at, x, dim, index: at.select(x, dim, index),
    "split": split,
    "split_with_sizes": lambda at, x, split_sizes, dim=0: at.split(x, split_sizes, dim),
    "chunk": chunk,
    "unbind": unbind,
    "index_select": index_select,
    "index": index,
    "flip": flip,
    "repeat": repeat,
    "tile": lambda at, x, dims: repeat(at, x, dims),
    "pixel_shuffle": pixel_shuffle,
    "pixel_unshuffle": pixel_unshuffle,
    "channel_shuffle": channel_shuffle,
    "native_channel_shuffle": channel_shuffle,
    "pad": pad,
    "constant_pad_nd": pad,
    "sym_size": lambda at, x, dim: _full(at, x)[dim],
    **dict.fromkeys(("new_zeros", "new_full"), new_full),
    "new_ones": lambda at, x, size: new_full(at, x, size, 1.0),
    "zeros_like": lambda at, x: new_full(at, x, _full(at, x)),
    "ones_like": lambda at, x: new_full(at, x, _full(at, x), 1.0),
    **dict.fromkeys(("reflection_pad1d", "reflection_pad2d"), _padded("reflect")),
    **dict.fromkeys(("replication_pad1d", "replication_pad2d"), _padded("replicate")),
}
"""What becomes reshaping, joining, cutting and padding; see `OPERATIONS`."""
