"""What every layer is: a pre-activation and an activation, each with its way back, and what it says of itself."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from functools import cache
from typing import Any, ClassVar, Literal, Self

import numpy as np
import numpy.typing as npt

from probe._checks import Array, InputError, check_choice, check_integer, frozen_copy
from probe.layers.activations import Activation, Pullback, activation_from, shortest

__all__ = ["DataFormat", "ImageLayer", "Layer", "Rearranging"]

Pair = tuple[int, int]
Shape = tuple[int, ...]

DataFormat = Literal["channels_last", "channels_first"]
DATA_FORMATS = ("channels_last", "channels_first")

Padding = Literal["valid", "same"]
PADDINGS = ("valid", "same")


@cache
def _arguments(kind: type) -> tuple[str, ...]:
    """Return the names of the fields of a kind of layer; looking them up anew takes longer than a small layer's products."""
    return tuple(field.name for field in fields(kind)) if is_dataclass(kind) else ()


class Layer(ABC):
    """One step of a network: `activation(pre_activation(x))`.

    Subclasses are frozen dataclasses with a `name`. The two parts are apart so that a network can look at
    pre-activations (its logits are those of the last layer) and start a gradient at either. What kind of map the
    pre-activation is, a subclass says by the attributes below. All of them are promises: False where in doubt.

    Attributes
    ----------
    name : str
        The layer's name in its network.
    is_affine : bool
        It is an affine map of all that the layer reads.
    is_elementwise : bool
        Each value depends on nothing but the value at the same index of the input.
    is_monotone : bool
        No value falls where a value of the input rises.
    is_channelwise : bool
        It treats every channel alike and alone, and takes any number of them.
    selects : bool
        Each value that it puts out is the greatest of some of its input.
    rearranges : bool
        It holds the values that the layer reads and no others, perhaps in another order or shape.
    kernel_axes : mapping of str to tuple of int
        For each kernel, by name, the axes that count units or filters. The pre-activation is a sum of products of the
        values of a single kernel with those of the input, plus a bias; with several kernels one map after the other.
    initial_values : mapping of str to float
        What the variables are before training, by name. Kernels are drawn; others that are not here are settings.
    measured : frozenset of str
        The variables that are measured on data, not moved by gradient descent.
    is_in_keras : bool
        Whether Keras has a layer of this name and these settings.
    """

    __slots__ = ()

    name: str
    is_affine: ClassVar[bool] = False
    is_elementwise: ClassVar[bool] = False
    is_monotone: ClassVar[bool] = False
    is_channelwise: ClassVar[bool] = False
    selects: ClassVar[bool] = False
    rearranges: ClassVar[bool] = False
    kernel_axes: ClassVar[Mapping[str, tuple[int, ...]]] = {}
    initial_values: ClassVar[Mapping[str, float]] = {}
    measured: ClassVar[frozenset[str]] = frozenset()
    is_in_keras: ClassVar[bool] = True

    @property
    def keras_name(self) -> str:
        """Name of the layer's class in Keras, or of one registered as ours, such as "probe>Pad"."""
        name = type(self).__name__
        return name if self.is_in_keras else f"probe>{name}"

    @property
    def has_kernels(self) -> bool:
        """Whether it has weights between its inputs and its units or filters."""
        return bool(self.kernel_axes)

    @property
    def has_one_kernel(self) -> bool:
        """Whether the pre-activation is linear in all that is learned: a single kernel, and a bias."""
        return len(self.kernel_axes) == 1

    @property
    def scales(self) -> bool:
        """Whether it scales and shifts every value by itself, such as a normalization by constants."""
        return self.is_affine and self.is_elementwise and not self.rearranges

    @property
    def keeps_units(self) -> bool:
        """Whether its units or channels are those of its input, each at the same index."""
        return self.is_elementwise

    @property
    def passes_on(self) -> bool:
        """Whether it computes nothing: its output holds the values that it reads."""
        return self.rearranges and self.activation.name == "linear"

    @property
    def activation(self) -> Activation:
        """The activation that the layer's `activation_name` names, or is; the identity for a layer without."""
        return activation_from(getattr(self, "activation_name", "linear"))

    @property
    def variables(self) -> dict[str, Array]:
        """The layer's arrays by the names that Keras gives them, in Keras' order, without those that are None."""
        values = ((name, getattr(self, name)) for name in _arguments(type(self)))
        return {name: array for name, array in values if isinstance(array, np.ndarray)}

    def with_arrays(self, arrays: Mapping[str, Array]) -> Self:
        """Return the layer with some of its variables replaced by arrays of the same shapes and types, unchecked.

        The arrays are not copied; they must not change any more.
        """
        changed = object.__new__(type(self))
        for name in _arguments(type(self)):
            object.__setattr__(changed, name, arrays[name] if name in arrays else getattr(self, name))
        return changed

    @classmethod
    def variable_shapes(cls, input_shape: Shape, settings: Mapping[str, Any]) -> dict[str, Shape]:
        """Return the shapes of the variables of a layer with these settings, for inputs of `input_shape`.

        The reader of files asks before it reads an array. Variables that a layer may lack are among them. A layer
        with kernels says nothing: their sizes are none of its settings.
        """
        return {}

    @property
    def n_parameters(self) -> int:
        """Number of values in the layer's variables."""
        return sum(values.size for values in self.variables.values())

    @property
    def trainable(self) -> tuple[str, ...]:
        """The variables that gradient descent moves, by name: all that are not `measured`."""
        return tuple(name for name in self.variables if name not in self.measured)

    def variable_gradients(self, x: Array, dz: Array) -> dict[str, Array]:
        """Return the gradient with respect to each of `trainable`, summed over the samples.

        Parameters
        ----------
        x : ndarray of shape (n_samples, ...)
            What `pre_activation` was given.
        dz : ndarray of the shape of what `pre_activation` returned
            dC/dz of each sample.

        Returns
        -------
        dict of str to ndarray
            Of the shapes of the variables; {} for a layer that learns nothing.
        """
        if not self.trainable:
            return {}
        raise NotImplementedError(f"{type(self).__name__} says no gradients of its variables")

    def fans(self, kernel: str) -> tuple[int, int]:
        """Return how many values each unit reads through a kernel, and how many units read each value, as Keras counts.

        Parameters
        ----------
        kernel : str
            One of `kernel_axes`.
        """
        *window, n_in, n_out = self.variables[kernel].shape
        return math.prod(window) * n_in, math.prod(window) * n_out

    def n_multiplications(self, output_shape: Shape) -> int:
        """Return how many multiplications with weights one output of this shape costs."""
        axis = self.own_channel_axis(output_shape)
        n_units = 1 if axis is None else output_shape[axis]
        n_weights = sum(self.variables[name].size for name in self.kernel_axes)
        return n_weights * (math.prod(output_shape) // n_units)

    def with_activation(self, activation: str | Activation) -> Self:
        """Return the layer with another activation; itself if it is of a kind that has none."""
        if not hasattr(self, "activation_name"):
            return self
        changed: Any = self
        return replace(changed, activation_name=activation)  # type: ignore[no-any-return]

    def astype(self, dtype: npt.DTypeLike, made: dict[int, Array] | None = None) -> Self:
        """Return the layer with its arrays in another type; itself if it has none.

        Parameters
        ----------
        dtype : float32 or float64
            The type.
        made : dict of int to ndarray, optional
            Arrays that were made before, by the identity of what they replace: layers that share some share these.
        """
        made = {} if made is None else made
        layer: Any = self
        arrays = {}
        for name, values in self.variables.items():
            if id(values) not in made:
                made[id(values)] = frozen_copy(values.astype(dtype))
            arrays[name] = made[id(values)]
        return replace(layer, **arrays) if arrays else self

    def own_channel_axis(self, shape: Shape) -> int | None:
        """Return which axis of one input or output, of `shape`, is that of the channels by the layer's own settings.

        None for a layer that treats all axes alike. Where its channels are, `Network.channel_axis` says.
        """
        return None

    @abstractmethod
    def pre_activation(self, x: Array) -> tuple[Array, Pullback]:
        """Return the pre-activation of `x` (n_samples, ...) and the map from dC/dz to dC/dx."""

    @abstractmethod
    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape of one output for inputs of `input_shape`, both without n_samples.

        Raises
        ------
        InputError
            If the layer cannot take inputs of this shape.
        """

    def forward(self, x: Array) -> tuple[Array, Pullback]:
        """Return the output for `x` (n_samples, ...) and the map from dC/dy to dC/dx."""
        z, pre_activation_pullback = self.pre_activation(x)
        y, activation_pullback = self.activation.forward(z)
        return y, lambda dy: pre_activation_pullback(activation_pullback(dy))


class ImageLayer(Layer):
    """A layer of images, which computes with the channels last whatever its `data_format` is."""

    __slots__ = ()

    data_format: DataFormat

    def own_channel_axis(self, shape: Shape) -> int | None:
        """Return the axis that `data_format` names; None for what is no image."""
        if len(shape) != 3:
            return None
        return 0 if self.data_format == "channels_first" else 2

    def _check_format(self) -> None:
        check_choice(f"data_format of layer '{self.name}'", self.data_format, DATA_FORMATS)

    @abstractmethod
    def _pre_activation(self, x: Array) -> tuple[Array, Pullback]:
        """Do what `pre_activation` does for `x` of shape (n_samples, height, width, channels)."""

    @abstractmethod
    def _output_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Do what `output_shape` does for (height, width, channels)."""

    def pre_activation(self, x: Array) -> tuple[Array, Pullback]:
        """Return the pre-activation of `x`, images with the channels where `data_format` says; its pullback."""
        if self.data_format == "channels_last":
            return self._pre_activation(x)
        z, pullback = self._pre_activation(np.moveaxis(x, 1, -1))
        return np.moveaxis(z, -1, 1), lambda dz: np.moveaxis(pullback(np.moveaxis(dz, 1, -1)), -1, 1)

    def _variable_gradients(self, x: Array, dz: Array) -> dict[str, Array]:
        """Do what `variable_gradients` does for arrays with the channels last."""
        return {}

    def variable_gradients(self, x: Array, dz: Array) -> dict[str, Array]:
        """Return the gradient with respect to each of `trainable`; see `Layer.variable_gradients`."""
        if self.data_format == "channels_first":
            x, dz = np.moveaxis(x, 1, -1), np.moveaxis(dz, 1, -1)
        return self._variable_gradients(x, dz)

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape of one output for images of `input_shape`, without n_samples.

        Raises
        ------
        InputError
            If these are not images, or nothing is left of them.
        """
        last = self.data_format == "channels_last"
        if len(input_shape) != 3:
            axes = "(height, width, channels)" if last else "(channels, height, width)"
            raise InputError(f"layer '{self.name}' takes images {axes}, but gets shape {input_shape}")
        if last:
            return check_axes(self, self._output_shape(input_shape))
        shape = self._output_shape((*input_shape[1:], input_shape[0]))
        return check_axes(self, (shape[-1], *shape[:-1]))


class Rearranging(Layer):
    """A layer whose pre-activation is its input, or the values of its input in another order or shape."""

    __slots__ = ()

    is_affine = is_monotone = rearranges = True

    def pre_activation(self, x: Array) -> tuple[Array, Pullback]:
        """Return `x` itself."""
        return x, lambda dz: dz

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return `input_shape`."""
        return input_shape


def keep_arrays(layer: Layer) -> None:
    """Keep read-only copies of a layer's arrays, or raise unless all are float32 or all float64."""
    arrays = layer.variables
    kinds = {values.dtype for values in arrays.values()}
    if len(kinds) > 1 or not kinds <= {np.dtype(np.float32), np.dtype(np.float64)}:
        names = list(arrays)
        listed = names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
        rule = ("be float32 or float64", "both be float32 or both float64", "all be float32 or all float64")
        types = " and ".join(str(values.dtype) for values in arrays.values())
        raise InputError(f"layer '{layer.name}': {listed} must {rule[min(len(names), 3) - 1]}, got {types}")
    for name, values in arrays.items():
        object.__setattr__(layer, name, frozen_copy(values))


def keep_activation(layer: Layer) -> None:
    """Keep the `activation_name` of a layer as a name where that says it all, or raise if it is no activation."""
    object.__setattr__(layer, "activation_name", shortest(layer.activation))


def keep_pair(layer: Layer, setting: str, *, minimum: int) -> None:
    """Keep a setting of one integer for the height and one for the width, or raise."""
    value = getattr(layer, setting)
    if not isinstance(value, (tuple, list)) or len(value) != 2:
        raise InputError(f"layer '{layer.name}': {setting} must be two integers, got {value!r}")
    pair = tuple(check_integer(f"layer '{layer.name}': {setting}", size, minimum=minimum) for size in value)
    object.__setattr__(layer, setting, pair)


def sample_axis(layer: Layer, axis: int, n_axes: int) -> int:
    """Return `axis`, counted with the sample axis, as an index into the shape of one sample; raise if there is none."""
    index = axis - 1 if axis >= 0 else axis + n_axes
    if not 0 <= index < n_axes or axis == 0:
        raise InputError(
            f"layer '{layer.name}': axis {axis} must be one of 1 to {n_axes} or -{n_axes} to -1 "
            f"for inputs of {n_axes} axes (axis 0 is that of the samples)"
        )
    return index


def check_axes(layer: Layer, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return `shape`, or raise if the layer's activation works over an axis that outputs of it lack."""
    for axis in layer.activation.axes:
        sample_axis(layer, axis, len(shape))
    return shape


def check_variables(layer: Layer, input_shape: Shape) -> Shape:
    """Return `input_shape`, or raise unless the variables have the shapes that inputs of this shape ask for."""
    settings = {field.name: getattr(layer, field.name) for field in fields(layer)}  # type: ignore[arg-type]
    expected = layer.variable_shapes(input_shape, settings)
    for name, values in layer.variables.items():
        if values.shape != expected[name]:
            raise InputError(
                f"layer '{layer.name}' has {name} of shape {values.shape}, which does not fit inputs of shape "
                f"{input_shape}: it needs {expected[name]}"
            )
    return input_shape


def check_bias(layer: Layer, n_units: int, kernel: Array) -> None:
    """Raise unless there is one bias for each unit that `kernel` feeds, or none at all."""
    bias = layer.variables.get("bias")
    if bias is not None and bias.shape != (n_units,):
        raise InputError(
            f"layer '{layer.name}': bias must have shape ({n_units},) for a kernel of shape {kernel.shape}, "
            f"got {bias.shape}"
        )
