"""What every layer is: a linear part and an activation, each with its way back."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from probe._checks import Array, InputError, check_integer, frozen_copy
from probe.layers._activation import Activation, Pullback
from probe.layers.activations import ACTIVATIONS, activation_from, shortest

__all__ = ["Layer", "Merge", "NoWeights"]

Pair = tuple[int, int]


class Layer(ABC):
    """One step of a network: `activation(linear(x))`.

    Subclasses are frozen dataclasses with a `name`. The two parts are apart so that a network can look at
    pre-activations (its logits are those of the last layer) and start a gradient at either.
    """

    __slots__ = ()

    name: str

    @property
    def activation(self) -> Activation:
        """The activation after the linear part; the identity unless a layer says otherwise."""
        return ACTIVATIONS["linear"]

    @property
    def variables(self) -> dict[str, Array]:
        """The layer's arrays by the names that Keras gives them, in Keras' order; {} for a layer of none."""
        return {}

    @property
    def n_parameters(self) -> int:
        """Number of values in the layer's variables."""
        return sum(values.size for values in self.variables.values())

    @property
    def learned(self) -> tuple[str, ...]:
        """The variables that gradient descent moves, by name; those measured on data are left out."""
        return tuple(self.variables)

    def variable_gradients(self, x: Array, dz: Array) -> dict[str, Array]:
        """Return the gradient with respect to each of `learned`, summed over the samples.

        Parameters
        ----------
        x : ndarray of shape (n_samples, ...)
            What `linear` was given.
        dz : ndarray of the shape of what `linear` returned
            dC/dz of each sample.

        Returns
        -------
        dict of str to ndarray
            Of the shapes of the variables; {} for a layer that learns nothing.
        """
        if not self.learned:
            return {}
        raise NotImplementedError(f"{type(self).__name__} says no gradients of its variables")

    @abstractmethod
    def linear(self, x: Array) -> tuple[Array, Pullback]:
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
        z, linear_pullback = self.linear(x)
        y, activation_pullback = self.activation.forward(z)
        return y, lambda dy: linear_pullback(activation_pullback(dy))


class Merge(Layer):
    """A layer of several inputs, which it takes one by one; its pullback returns one gradient for each.

    Attributes
    ----------
    n_inputs_min : int
        The least number of inputs.
    n_inputs_max : int or None
        The greatest number of inputs; None for any.
    """

    __slots__ = ()

    n_inputs_min: ClassVar[int] = 2
    n_inputs_max: ClassVar[int | None] = None

    @abstractmethod
    def linear(self, *xs: Array) -> tuple[Array, Pullback]:
        """Return the value for inputs `xs` (n_samples, ...), and the map from dC/dz to a tuple of the dC/dx."""

    @abstractmethod
    def output_shape(self, *input_shapes: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape of one output for inputs of these shapes, all without n_samples.

        Raises
        ------
        InputError
            If there are too few or too many inputs, or their shapes do not go together.
        """

    def forward(self, *xs: Array) -> tuple[Array, Pullback]:
        """Return the output for inputs `xs` (n_samples, ...), and the map from dC/dy to a tuple of the dC/dx."""
        return self.linear(*xs)


class NoWeights(Layer):
    """A layer that passes its input on."""

    __slots__ = ()

    def linear(self, x: Array) -> tuple[Array, Pullback]:
        """Return `x` itself."""
        return x, lambda dz: dz

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return `input_shape`."""
        return input_shape


def keep_arrays(layer: Layer, arrays: Mapping[str, Array]) -> None:
    """Keep read-only copies of a layer's arrays, or raise unless all are float32 or all float64."""
    kinds = {values.dtype for values in arrays.values()}
    if len(kinds) > 1 or not kinds <= {np.dtype(np.float32), np.dtype(np.float64)}:
        names = list(arrays)
        listed = names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
        rule = ("be float32 or float64", "both be float32 or both float64", "all be float32 or all float64")
        found = " and ".join(str(values.dtype) for values in arrays.values())
        raise InputError(f"layer '{layer.name}': {listed} must {rule[min(len(names), 3) - 1]}, got {found}")
    for name, values in arrays.items():
        object.__setattr__(layer, name, frozen_copy(np.asarray(values)))


def keep_activation(layer: Layer, given: str | Activation) -> Activation:
    """Keep the `activation_name` of a layer, as a name where that says it all, and return the activation."""
    activation = activation_from(given)
    object.__setattr__(layer, "activation_name", shortest(activation))
    return activation


def keep_pair(layer: Layer, setting: str, value: object, *, minimum: int) -> None:
    """Keep a setting of one integer for the height and one for the width, or raise."""
    if not isinstance(value, (tuple, list)) or len(value) != 2:
        raise InputError(f"layer '{layer.name}': {setting} must be two integers, got {value!r}")
    pair = tuple(check_integer(f"layer '{layer.name}': {setting}", size, minimum=minimum) for size in value)
    object.__setattr__(layer, setting, pair)


def sample_axis(layer: Layer, axis: int, n_axes: int) -> int:
    """Return `axis`, counted with the sample axis, as an index into the shape of one of the samples.

    Raises
    ------
    InputError
        If inputs of `n_axes` axes, without that of the samples, have no such axis.
    """
    place = axis - 1 if axis >= 0 else axis + n_axes
    if not 0 <= place < n_axes or axis == 0:
        raise InputError(
            f"layer '{layer.name}': axis {axis} must be one of 1 to {n_axes} or -{n_axes} to -1 "
            f"for inputs of {n_axes} axes (axis 0 is that of the samples)"
        )
    return place


def check_axes(layer: Layer, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return `shape`, or raise if the layer's activation works over an axis that outputs of it lack."""
    for axis in layer.activation.axes:
        sample_axis(layer, axis, len(shape))
    return shape


def check_bias(layer: Layer, bias: Array, n_units: int, kernel: tuple[int, ...], used: object) -> None:
    """Raise unless there is one bias for each unit, of zero where the layer does not use them."""
    if bias.shape != (n_units,):
        raise InputError(
            f"layer '{layer.name}': bias must have shape ({n_units},) for a kernel of shape {kernel}, "
            f"got {bias.shape}"
        )
    if not isinstance(used, (bool, np.bool_)):
        raise InputError(f"layer '{layer.name}': use_bias must be True or False, got {used!r}")
    if not used and bias.any():
        raise InputError(f"layer '{layer.name}': bias must be zero where use_bias is False")
