"""Layers of signals, (steps, channels): each does what its twin does with images that have one row."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, ClassVar

import numpy as np

from probe._checks import Array, InputError
from probe._signatures import checked
from probe.layers._base import (
    DataFormat,
    ImageLayer,
    Layer,
    Padding,
    Pair,
    check_axes,
    keep_activation,
    keep_arrays,
)
from probe.layers.activations import Pullback
from probe.layers.resampling import UpSampling2D
from probe.layers.resizing import (
    AveragePooling2D,
    Cropping2D,
    GlobalAveragePooling2D,
    GlobalMaxPooling2D,
    MaxPooling2D,
    ZeroPadding2D,
)

__all__ = [
    "AveragePooling1D",
    "Cropping1D",
    "GlobalAveragePooling1D",
    "GlobalMaxPooling1D",
    "MaxPooling1D",
    "SignalLayer",
    "UpSampling1D",
    "ZeroPadding1D",
]


def _pair(value: Any) -> Any:
    return None if value is None else (1, value)


_OF_TWINS: dict[str, Callable[[Any], Any]] = {
    "pool_size": _pair,
    "strides": _pair,
    "dilation_rate": _pair,
    "size": _pair,
    "output_padding": lambda value: None if value is None else (0, value),
    "cropping": lambda value: ((0, 0), value),
    # Causal padding is added before.
    "padding": lambda value: (
        {"causal": "valid"}.get(value, value) if isinstance(value, str) else ((0, 0), value)
    ),
    "activation_name": lambda _value: "linear",
}
"""What a twin has in place of a setting."""


class SignalLayer(Layer):
    """A layer of signals, of shape (steps, channels), or (channels, steps) if `data_format` is "channels_first".

    Attributes
    ----------
    twin_kind : type of ImageLayer
        The class of the layer that does the same with images.
    """

    __slots__ = ()

    twin_kind: ClassVar[type[ImageLayer]]
    data_format: DataFormat

    def _twin(self) -> Any:
        """Return the layer of images with one row that does the same, without the activation."""
        layer: Any = self
        settings = {}
        for argument in fields(layer):
            value = getattr(self, argument.name)
            if argument.name in self.kernel_axes:
                value = value[None]
            settings[argument.name] = _OF_TWINS.get(argument.name, lambda same: same)(value)
        return self.twin_kind(**settings)

    @property
    def _rows(self) -> int:
        """The axis of the rows in images of the twin."""
        return 2 if self.channels_first else 1

    @property
    def channels_first(self) -> bool:
        """Whether the first axis of its signals is that of the channels."""
        return self.data_format == "channels_first"

    def own_channel_axis(self, shape: tuple[int, ...]) -> int:
        """Return the axis that `data_format` names."""
        return 0 if self.channels_first else len(shape) - 1

    def _keep(self) -> None:
        """Keep arrays and activation, or raise for those, and for settings, that do not fit."""
        for name in self.kernel_axes:
            shape = self.variables[name].shape
            if len(shape) != 3 or 0 in shape:
                raise InputError(f"layer '{self.name}': {name} must have three axes, got shape {shape}")
        keep_arrays(self)
        if hasattr(self, "activation_name"):
            keep_activation(self)
        self._twin()

    def _led(self, x: Array) -> tuple[Array, int]:
        """Return `x` with what comes before its first step, and how many steps that is."""
        return x, 0

    def pre_activation(self, x: Array) -> tuple[Array, Pullback]:
        """Return the pre-activation of `x`, signals with the channels where `data_format` says; its pullback."""
        led, n_before = self._led(x)
        z, pullback = self._twin().pre_activation(np.expand_dims(led, self._rows))
        shape, steps = z.shape, -1 if self.channels_first else 1

        def to_signals(dz: Array) -> Array:
            dx: Array = pullback(dz.reshape(shape)).squeeze(self._rows)
            return np.delete(dx, np.s_[:n_before], steps) if n_before else dx

        return (z.squeeze(self._rows) if z.ndim == 4 else z), to_signals

    def variable_gradients(self, x: Array, dz: Array) -> dict[str, Array]:
        """Return the gradient with respect to each of `trainable`; see `Layer.variable_gradients`."""
        led, gradient = (np.expand_dims(each, self._rows) for each in (self._led(x)[0], dz))
        found = self._twin().variable_gradients(led, gradient)
        return {name: values.reshape(self.variables[name].shape) for name, values in found.items()}

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape of one output for signals of `input_shape`, without n_samples.

        Raises
        ------
        InputError
            If these are not signals, or nothing is left of them.
        """
        if len(input_shape) != 2:
            axes = "(channels, steps)" if self.channels_first else "(steps, channels)"
            raise InputError(f"layer '{self.name}' takes signals {axes}, but gets shape {input_shape}")
        row = self._rows - 1
        image = (*input_shape[:row], 1, *input_shape[row:])
        shape: tuple[int, ...] = self._twin().output_shape(self._led_shape(image))
        return check_axes(self, (*shape[:row], *shape[row + 1 :]) if len(shape) == 3 else shape)

    def _led_shape(self, image: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape of an image of one row with what comes before its first step."""
        return image


@dataclass(frozen=True, slots=True)
class _Pooling(SignalLayer):
    """What the two poolings of windows have in common."""

    name: str
    pool_size: int = 2
    strides: int | None = None
    padding: Padding = "valid"
    data_format: DataFormat = "channels_last"

    def __post_init__(self) -> None:
        self._keep()


@checked
@dataclass(frozen=True, slots=True)
class MaxPooling1D(_Pooling):
    """The greatest value of each window of a signal, for each channel; settings as in `MaxPooling2D`, of one axis."""

    is_monotone = is_channelwise = selects = True
    twin_kind = MaxPooling2D


@checked
@dataclass(frozen=True, slots=True)
class AveragePooling1D(_Pooling):
    """The mean of each window of a signal, for each channel; settings as in `AveragePooling2D`, of one axis."""

    is_affine = is_monotone = is_channelwise = True
    twin_kind = AveragePooling2D


@dataclass(frozen=True, slots=True)
class _GlobalPooling(SignalLayer):
    """What the two poolings of whole signals have in common."""

    name: str
    keepdims: bool = False
    data_format: DataFormat = "channels_last"

    def __post_init__(self) -> None:
        self._keep()


@checked
@dataclass(frozen=True, slots=True)
class GlobalMaxPooling1D(_GlobalPooling):
    """The greatest value of each channel of a signal; settings as in `GlobalMaxPooling2D`."""

    is_monotone = is_channelwise = selects = True
    twin_kind = GlobalMaxPooling2D


@checked
@dataclass(frozen=True, slots=True)
class GlobalAveragePooling1D(_GlobalPooling):
    """The mean of each channel of a signal; settings as in `GlobalMaxPooling2D`."""

    is_affine = is_monotone = is_channelwise = True
    twin_kind = GlobalAveragePooling2D


@dataclass(frozen=True, slots=True)
class Stretching(SignalLayer):
    """What the layers have in common that add steps or take some away: Keras has them with the channels last."""

    is_affine = is_monotone = is_channelwise = True

    @property
    def is_in_keras(self) -> bool:  # type: ignore[override]
        """Whether the channels are last."""
        return not self.channels_first

    def __post_init__(self) -> None:
        self._keep()


@checked
@dataclass(frozen=True, slots=True)
class ZeroPadding1D(Stretching):
    """Steps of zeros around each signal: `padding` before and after, at least 0."""

    twin_kind = ZeroPadding2D

    name: str
    padding: Pair = (1, 1)
    data_format: DataFormat = "channels_last"


@checked
@dataclass(frozen=True, slots=True)
class Cropping1D(Stretching):
    """Each signal without its outer steps: `cropping` before and after, at least 0."""

    twin_kind = Cropping2D

    name: str
    cropping: Pair = (1, 1)
    data_format: DataFormat = "channels_last"


@checked
@dataclass(frozen=True, slots=True)
class UpSampling1D(Stretching):
    """Each step repeated `size` times, at least 1."""

    twin_kind = UpSampling2D

    name: str
    size: int = 2
    data_format: DataFormat = "channels_last"
