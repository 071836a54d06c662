"""Dense layers, and layers that only activate or rearrange."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from probe._checks import Array, InputError, check_choice, check_integer
from probe._signatures import checked
from probe.layers._base import (
    DATA_FORMATS,
    DataFormat,
    Layer,
    Rearranging,
    Shape,
    check_axes,
    check_bias,
    check_variables,
    keep_activation,
    keep_arrays,
    sample_axis,
)
from probe.layers.activations import ACTIVATIONS, Activation, Pullback

__all__ = ["GLU", "ActivationLayer", "Dense", "Flatten", "PReLU", "Permute", "Reshape"]


@checked
@dataclass(frozen=True, slots=True, eq=False)
class Dense(Layer):
    """A fully connected layer: y = activation(x @ kernel + bias).

    Parameters
    ----------
    name : str
        The layer's name in its network.
    kernel : ndarray of shape (n_in, n_units), float32 or float64
        Weights.
    bias : ndarray of shape (n_units,), of the type of `kernel`, or None
        Biases; None for a layer without.
    activation_name : str or Activation
        A key of `probe.layers.ACTIVATIONS`, "softmax" or "log_softmax", or an activation with settings, such as
        `Relu(max_value=6.0)`. Kept as a name where that says it all; `activation` is the activation itself.

    Raises
    ------
    InputError
        If shapes or types do not fit, or there is no such activation.
    """

    is_affine = True
    kernel_axes: ClassVar[Mapping[str, tuple[int, ...]]] = {"kernel": (1,)}
    initial_values: ClassVar[Mapping[str, float]] = {"bias": 0.0}

    name: str
    kernel: Array
    bias: Array | None = None
    activation_name: str | Activation = "linear"

    def __post_init__(self) -> None:
        if self.kernel.ndim != 2 or 0 in self.kernel.shape:
            raise InputError(
                f"layer '{self.name}': kernel must have shape (n_in, n_units), got {self.kernel.shape}"
            )
        keep_arrays(self)
        check_bias(self, self.n_units, self.kernel)
        keep_activation(self)

    @property
    def n_units(self) -> int:
        """Number of units."""
        return int(self.kernel.shape[1])

    def own_channel_axis(self, shape: Shape) -> int:
        """Return the last axis, along which it reads and puts out."""
        return len(shape) - 1

    def pre_activation(self, x: Array) -> tuple[Array, Pullback]:
        """Return x @ kernel + bias for `x` of shape (n_samples, ..., n_in), and its pullback."""
        z = x @ self.kernel
        if self.bias is not None:
            z += self.bias
        return z, lambda dz: dz @ self.kernel.T

    def variable_gradients(self, x: Array, dz: Array) -> dict[str, Array]:
        """Return the gradients of the kernel and, if there is one, of the bias."""
        rows, deltas = x.reshape(-1, x.shape[-1]), dz.reshape(-1, dz.shape[-1])
        gradients = {"kernel": rows.T @ deltas, "bias": deltas.sum(axis=0)}
        return {name: gradients[name] for name in self.trainable}

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return `input_shape` with its last axis replaced by the number of units."""
        n_in = self.kernel.shape[0]
        if not input_shape or input_shape[-1] != n_in:
            raise InputError(f"layer '{self.name}' takes {n_in} inputs, but gets shape {input_shape}")
        return check_axes(self, (*input_shape[:-1], self.n_units))


@checked
@dataclass(frozen=True, slots=True)
class ActivationLayer(Rearranging):
    """An activation as a layer of its own.

    Parameters
    ----------
    name : str
        The layer's name in its network.
    activation_name : str or Activation
        As in `Dense`.

    Examples
    --------
    >>> import numpy as np
    >>> from probe.layers import LeakyRelu
    >>> ActivationLayer("leaky", LeakyRelu(0.5)).forward(np.array([[-2.0, 3.0]]))[0]
    array([[-1.,  3.]])
    """

    is_elementwise = is_channelwise = True

    name: str
    activation_name: str | Activation

    def __post_init__(self) -> None:
        keep_activation(self)

    @property
    def keras_name(self) -> str:
        """Name of the layer's class in Keras."""
        return "Activation"

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return `input_shape`."""
        return check_axes(self, input_shape)


@checked
@dataclass(frozen=True, slots=True, eq=False)
class PReLU(Layer):
    """A rectifier with a slope of its own for each value: x above zero, alpha * x below.

    Parameters
    ----------
    name : str
        The layer's name in its network.
    alpha : ndarray of the shape of one input, 1 along the shared axes, float32 or float64
        Slopes below zero; at zero the slope is 0, as in Keras.
    shared_axes : tuple of int
        The axes along which all values share one slope, counted from 1 (0 is that of the samples).

    Raises
    ------
    InputError
        If shapes or types do not fit.

    References
    ----------
    .. [1] K. He, X. Zhang, S. Ren, J. Sun, "Delving Deep into Rectifiers", ICCV 2015.
    """

    is_elementwise = True
    initial_values: ClassVar[Mapping[str, float]] = {"alpha": 0.0}

    name: str
    alpha: Array
    shared_axes: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        keep_arrays(self)
        axes = tuple(
            check_integer(f"shared_axes of layer '{self.name}'", axis, minimum=1, maximum=self.alpha.ndim)
            for axis in self.shared_axes
        )
        object.__setattr__(self, "shared_axes", axes)
        if 0 in self.alpha.shape or any(self.alpha.shape[axis - 1] != 1 for axis in axes):
            raise InputError(
                f"layer '{self.name}': alpha must have length 1 along the shared axes {axes}, "
                f"got shape {self.alpha.shape}"
            )

    def pre_activation(self, x: Array) -> tuple[Array, Pullback]:
        """Return the rectified `x` (n_samples, ...), and its pullback."""
        slope = np.where(
            x > 0, self.alpha.dtype.type(1), np.where(x < 0, self.alpha, self.alpha.dtype.type(0))
        )
        return x * slope, lambda dz: dz * slope

    def variable_gradients(self, x: Array, dz: Array) -> dict[str, Array]:
        """Return the gradient of the slopes."""
        below = dz * np.minimum(x, 0)
        shared = (0, *self.shared_axes)
        return {"alpha": below.sum(axis=shared, keepdims=True)[0]}

    @classmethod
    def variable_shapes(cls, input_shape: Shape, settings: Mapping[str, Any]) -> dict[str, Shape]:
        """Return the shape of the slopes."""
        shared = {axis % (len(input_shape) + 1) for axis in settings["shared_axes"]}
        shape = (1 if axis in shared else size for axis, size in enumerate(input_shape, start=1))
        return {"alpha": tuple(shape)}

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return `input_shape`."""
        return check_variables(self, input_shape)


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

    def own_channel_axis(self, shape: Shape) -> int | None:
        """Return the first axis if that is moved last; else what it reads may have its channels anywhere."""
        return 0 if self.data_format == "channels_first" else None

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


@checked
@dataclass(frozen=True, slots=True)
class GLU(Layer):
    """A gated linear unit: along one axis the first half times the sigmoid of the second.

    Parameters
    ----------
    name : str
        The layer's name in its network.
    axis : int
        The axis that is halved, counted with that of the samples (which is 0) or from the last (-1).

    References
    ----------
    .. [1] Y. Dauphin, A. Fan, M. Auli, D. Grangier, "Language Modeling with Gated Convolutional Networks", ICML 2017.

    Examples
    --------
    >>> import numpy as np
    >>> GLU("gate").forward(np.array([[3.0, 5.0, 0.0, 99.0]]))[0]
    array([[1.5, 5. ]])
    """

    is_in_keras = False

    name: str
    axis: int = -1

    def __post_init__(self) -> None:
        check_integer(f"axis of layer '{self.name}'", self.axis, minimum=-32, maximum=32)

    def pre_activation(self, x: Array) -> tuple[Array, Pullback]:
        """Return the product of the halves of `x` (n_samples, ...), and its pullback."""
        axis = sample_axis(self, self.axis, x.ndim - 1) + 1
        values, gates = np.split(x, 2, axis)
        shares, gate_pullback = ACTIVATIONS["sigmoid"].forward(gates)

        def pullback(dz: Array) -> Array:
            return np.concatenate([dz * shares, gate_pullback(dz * values)], axis)

        return values * shares, pullback

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return `input_shape` with half the length along the axis."""
        index = sample_axis(self, self.axis, len(input_shape))
        if input_shape[index] % 2:
            raise InputError(f"layer '{self.name}' halves axis {self.axis}, but gets shape {input_shape}")
        return (*input_shape[:index], input_shape[index] // 2, *input_shape[index + 1 :])
