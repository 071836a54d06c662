"""Layers that move, cut or repeat values and compute nothing."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from probe._checks import Array, InputError, check_choice, check_integer
from probe._signatures import checked
from probe.layers._base import Pair, Rearranging, keep_pair
from probe.layers._images import DATA_FORMATS, DataFormat, ImageLayer
from probe.layers.activations import Pullback

__all__ = ["Cropping2D", "Flatten", "Permute", "Reshape", "UpSampling2D", "ZeroPadding2D"]


@checked
@dataclass(frozen=True, slots=True)
class Flatten(Rearranging):
    """All axes but the first in one, row by row: (n_samples, height, width) to (n_samples, height*width).

    Parameters
    ----------
    name : str
        The layer's name in its network.
    data_format : {"channels_last", "channels_first"}
        "channels_first" moves the first axis of each input last before it flattens, as Keras does.
    """

    name: str
    data_format: DataFormat = "channels_last"

    def __post_init__(self) -> None:
        check_choice(f"data_format of layer '{self.name}'", self.data_format, DATA_FORMATS)

    def pre_activation(self, x: Array) -> tuple[Array, Pullback]:
        """Return `x` as (n_samples, n), and its pullback."""
        if self.data_format == "channels_last" or x.ndim == 1:
            shape = x.shape
            return x.reshape(len(x), math.prod(shape[1:])), lambda dz: dz.reshape(shape)
        moved = np.moveaxis(x, 1, -1)
        shape = moved.shape
        return moved.reshape(len(x), math.prod(shape[1:])), lambda dz: np.moveaxis(dz.reshape(shape), -1, 1)

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the number of values of one input, as a shape."""
        return (math.prod(input_shape),)


@checked
@dataclass(frozen=True, slots=True)
class Reshape(Rearranging):
    """One input in another shape, row by row.

    Parameters
    ----------
    name : str
        The layer's name in its network.
    target_shape : tuple of int
        Shape of one output, without n_samples; one entry may be -1.
    """

    name: str
    target_shape: tuple[int, ...]

    def pre_activation(self, x: Array) -> tuple[Array, Pullback]:
        """Return `x` in the target shape, and its pullback."""
        shape = x.shape
        target = self.output_shape(shape[1:])
        return x.reshape(len(x), *target), lambda dz: dz.reshape(shape)

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the target shape, with -1 filled in."""
        sizes = [size for size in self.target_shape if size != -1]
        n_in, known, open_axes = math.prod(input_shape), math.prod(sizes), self.target_shape.count(-1)
        fits = open_axes <= 1 and min(sizes, default=1) > 0
        if not fits or (n_in % known if open_axes else n_in != known):
            raise InputError(f"layer '{self.name}' cannot reshape {input_shape} to {self.target_shape}")
        return tuple(n_in // known if size == -1 else size for size in self.target_shape)


@checked
@dataclass(frozen=True, slots=True)
class Permute(Rearranging):
    """The axes of each input in another order.

    Parameters
    ----------
    name : str
        The layer's name in its network.
    dims : tuple of int
        For each axis of the output the axis of the input, counted from 1 as in Keras (0 is the samples').

    Raises
    ------
    InputError
        If `dims` does not hold each of 1 to n once.

    Examples
    --------
    >>> Permute("swap", (2, 1)).output_shape((28, 14))
    (14, 28)
    """

    name: str
    dims: tuple[int, ...]

    def __post_init__(self) -> None:
        dims = tuple(self.dims)
        for axis in dims:
            check_integer(f"dims of layer '{self.name}'", axis, minimum=1)
        if sorted(dims) != list(range(1, len(dims) + 1)):
            raise InputError(f"layer '{self.name}': dims must hold each of 1 to {len(dims)} once, got {dims}")
        object.__setattr__(self, "dims", dims)

    def pre_activation(self, x: Array) -> tuple[Array, Pullback]:
        """Return `x` with its axes in the new order, and its pullback."""
        order = (0, *self.dims)
        return x.transpose(order), lambda dz: dz.transpose(np.argsort(order))

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return `input_shape` in the new order."""
        if len(input_shape) != len(self.dims):
            raise InputError(
                f"layer '{self.name}' takes inputs of {len(self.dims)} axes, but gets shape {input_shape}"
            )
        return tuple(input_shape[axis - 1] for axis in self.dims)


def _keep_margins(layer: ZeroPadding2D | Cropping2D, setting: str, value: object) -> None:
    """Keep ((top, bottom), (left, right)), or raise."""
    pairs = tuple(tuple(pair) if isinstance(pair, (tuple, list)) else () for pair in value) if isinstance(
        value, (tuple, list)
    ) else ()  # fmt: skip
    if len(pairs) != 2 or any(len(pair) != 2 for pair in pairs):
        raise InputError(
            f"layer '{layer.name}': {setting} must be ((top, bottom), (left, right)), got {value!r}"
        )
    margins = tuple(
        tuple(check_integer(f"layer '{layer.name}': {setting}", size, minimum=0) for size in pair)
        for pair in pairs
    )
    object.__setattr__(layer, setting, margins)


@checked
@dataclass(frozen=True, slots=True)
class ZeroPadding2D(ImageLayer):
    """Rows and columns of zeros around each image.

    Parameters
    ----------
    name : str
        The layer's name in its network.
    padding : ((top, bottom), (left, right)), int
        Number of rows and columns on each side; at least 0.
    data_format : {"channels_last", "channels_first"}
        Which axis of an image is that of the channels.
    """

    is_affine = is_monotone = is_channelwise = True

    name: str
    padding: tuple[Pair, Pair] = ((1, 1), (1, 1))
    data_format: DataFormat = "channels_last"

    def __post_init__(self) -> None:
        self._check_format()
        _keep_margins(self, "padding", self.padding)

    def _pre_activation(self, x: Array) -> tuple[Array, Pullback]:
        (top, _), (left, _) = self.padding
        _, height, width, _ = x.shape
        inside = np.s_[:, top : top + height, left : left + width]
        z = np.zeros((len(x), *self._output_shape(x.shape[1:])), x.dtype)
        z[inside] = x
        return z, lambda dz: dz[inside]

    def _output_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        height, width, channels = shape
        return height + sum(self.padding[0]), width + sum(self.padding[1]), channels


@checked
@dataclass(frozen=True, slots=True)
class Cropping2D(ImageLayer):
    """Each image without its outer rows and columns.

    Parameters
    ----------
    name : str
        The layer's name in its network.
    cropping : ((top, bottom), (left, right)), int
        Number of rows and columns cut off on each side; at least 0.
    data_format : {"channels_last", "channels_first"}
        Which axis of an image is that of the channels.
    """

    is_affine = is_monotone = is_channelwise = True

    name: str
    cropping: tuple[Pair, Pair] = ((0, 0), (0, 0))
    data_format: DataFormat = "channels_last"

    def __post_init__(self) -> None:
        self._check_format()
        _keep_margins(self, "cropping", self.cropping)

    def _pre_activation(self, x: Array) -> tuple[Array, Pullback]:
        (top, _), (left, _) = self.cropping
        height, width, _ = self._output_shape(x.shape[1:])
        inside = np.s_[:, top : top + height, left : left + width]
        shape = x.shape

        def pullback(dz: Array) -> Array:
            dx = np.zeros(shape, dz.dtype)
            dx[inside] = dz
            return dx

        return x[inside], pullback

    def _output_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        height, width = shape[0] - sum(self.cropping[0]), shape[1] - sum(self.cropping[1])
        if min(height, width) <= 0:
            raise InputError(
                f"layer '{self.name}' crops {self.cropping} off images of {shape[0]} x {shape[1]}: nothing is left"
            )
        return height, width, shape[2]


@checked
@dataclass(frozen=True, slots=True)
class UpSampling2D(ImageLayer):
    """Each pixel repeated in both directions.

    Parameters
    ----------
    name : str
        The layer's name in its network.
    size : (int, int)
        How many rows and columns each pixel becomes; at least 1.
    data_format : {"channels_last", "channels_first"}
        Which axis of an image is that of the channels.
    interpolation : {"nearest"}
        Kept for the file; there is no other.
    """

    is_affine = is_monotone = is_channelwise = True

    name: str
    size: Pair = (2, 2)
    data_format: DataFormat = "channels_last"
    interpolation: Literal["nearest"] = "nearest"

    def __post_init__(self) -> None:
        self._check_format()
        keep_pair(self, "size", self.size, minimum=1)
        check_choice(f"interpolation of layer '{self.name}'", self.interpolation, ["nearest"])

    def _pre_activation(self, x: Array) -> tuple[Array, Pullback]:
        rows, columns = self.size
        n_samples, height, width, channels = x.shape
        tiles = (n_samples, height, rows, width, columns, channels)
        z = np.broadcast_to(x[:, :, None, :, None], tiles).reshape(
            n_samples, height * rows, width * columns, channels
        )
        return z, lambda dz: dz.reshape(tiles).sum(axis=(2, 4))

    def _output_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        return shape[0] * self.size[0], shape[1] * self.size[1], shape[2]
