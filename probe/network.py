"""A trained network as a value: a chain of layers, with its logits, activations and input gradients.

Keras semantics: samples first, `x` of shape (n_samples, *input_shape), dense kernels (n_in, n_units).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain, count
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from probe._checks import Array, InputError, check_shape
from probe.layers import Dense, Flatten, Layer, Pullback, Reshape, softmax
from probe.objectives import Objective

__all__ = ["Network"]


class _Pass(NamedTuple):
    """What one layer computed for a batch, and the ways back through its two parts."""

    pre_activation: Array
    activation: Array
    linear_pullback: Pullback
    activation_pullback: Pullback


@dataclass(frozen=True, slots=True, eq=False)
class Network:
    """A chain of layers.

    Parameters
    ----------
    layers : tuple of Layer
        In the order of evaluation, with distinct names.
    input_shape : tuple of int
        Shape of one input, such as (28, 28).
    class_names : tuple of str, optional
        One for each output; "0", "1", ... by default.

    Raises
    ------
    InputError
        If names repeat, shapes do not chain, or the number of class names is not that of the outputs.

    Examples
    --------
    >>> kernel = np.eye(2, dtype=np.float32)
    >>> network = Network((Dense("output", kernel, kernel[0], "softmax"),), input_shape=(2,))
    >>> network.logits(np.array([[0.5, 2.0]], dtype=np.float32))
    array([[1.5, 2. ]], dtype=float32)
    >>> network.predict(np.array([[0.5, 2.0]], dtype=np.float32))
    array([1])
    """

    layers: tuple[Layer, ...]
    input_shape: tuple[int, ...]
    class_names: tuple[str, ...] = ()
    _shapes: dict[str, tuple[int, ...]] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "layers", tuple(self.layers))
        shapes: dict[str, tuple[int, ...]] = {}
        shape = self.input_shape
        for layer in self.layers:
            if layer.name in shapes:
                raise InputError(f"layer names must be distinct, but '{layer.name}' occurs twice")
            shape = shapes[layer.name] = layer.output_shape(shape)
        if not self.layers or len(shape) != 1:
            raise InputError(f"a network must end in one value for each class, got outputs of shape {shape}")
        object.__setattr__(self, "_shapes", shapes)
        if not self.class_names:
            object.__setattr__(self, "class_names", tuple(str(k) for k in range(shape[0])))
        if len(self.class_names) != shape[0]:
            raise InputError(f"class_names must name {shape[0]} outputs, got {len(self.class_names)} names")

    @property
    def layer_names(self) -> tuple[str, ...]:
        """Names of the layers, in order."""
        return tuple(self._shapes)

    @property
    def layer_shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of one output of each layer, by name."""
        return dict(self._shapes)

    @property
    def dense_layers(self) -> tuple[Dense, ...]:
        """The layers that are dense, in order; the last is usually the output."""
        return tuple(layer for layer in self.layers if isinstance(layer, Dense))

    @property
    def n_classes(self) -> int:
        """Number of outputs."""
        return len(self.class_names)

    @property
    def n_parameters(self) -> int:
        """Number of weights and biases."""
        return sum(layer.kernel.size + layer.bias.size for layer in self.dense_layers)

    @property
    def dtype(self) -> np.dtype[np.floating]:
        """float32, or float64 where some weights are."""
        return np.result_type(np.float32, *(layer.kernel.dtype for layer in self.dense_layers))

    @property
    def output_name(self) -> str:
        """Name of the activation of the output layer, such as "softmax"."""
        return self.layers[self._head].activation.name

    @property
    def _head(self) -> int:
        """Place of the layer whose pre-activations are the logits."""
        computing = (
            place
            for place, layer in enumerate(self.layers)
            if isinstance(layer, Dense) or layer.activation.name != "linear"
        )
        return max(computing, default=len(self.layers) - 1)

    def for_images(self, image_shape: tuple[int, ...]) -> Network:
        """Return this network for images of `image_shape`.

        Itself if that is its input shape. If it takes the same number of values in one axis, or the same
        image with an axis of one channel more or less, a layer in front reshapes the image row by row.

        Raises
        ------
        InputError
            If images of this shape do not fit.
        """
        if image_shape == self.input_shape:
            return self
        ours, theirs = self.input_shape, image_shape
        flat = len(ours) == 1 and ours[0] == math.prod(theirs) and min(theirs) > 0
        if not flat and (*ours, 1) != theirs and ours != (*theirs, 1):
            raise InputError(f"the network takes inputs of shape {ours}, but the images have shape {theirs}")
        candidates = chain(["images"], (f"images_{k}" for k in count(2)))
        name = next(candidate for candidate in candidates if candidate not in self.layer_names)
        first: Layer = Flatten(name) if flat else Reshape(name, ours)
        return Network((first, *self.layers), theirs, self.class_names)

    def layer(self, name: str) -> Layer:
        """Return the layer called `name`.

        Raises
        ------
        InputError
            If there is none; the message lists those that there are.
        """
        for layer in self.layers:
            if layer.name == name:
                return layer
        names = ", ".join(f"'{known}'" for known in self.layer_names)
        raise InputError(f"layer '{name}' does not exist: this network has {names}. Pass one of these")

    def logits(self, x: Array) -> Array:
        """Return the pre-activations of the output layer, of shape (n_samples, n_classes), for `x`.

        That is the last layer that computes something: a Dropout after it does not count.

        Parameters
        ----------
        x : ndarray of shape (n_samples, *input_shape), float
            Inputs, in the range that the network was trained on.
        """
        y = self._input(x)
        for layer in self.layers[: self._head]:
            y = layer.forward(y)[0]
        return self.layers[self._head].linear(y)[0]

    def logits_with_pullback(self, x: Array) -> tuple[Array, Pullback]:
        """Return the logits for `x`, and the way back from them to the inputs.

        Parameters
        ----------
        x : ndarray of shape (n_samples, *input_shape), float
            Inputs, in the range that the network was trained on.

        Returns
        -------
        logits : ndarray of shape (n_samples, n_classes)
            The same as from `logits`.
        pullback : callable
            Maps dC/dlogits, of the shape of `logits`, to dC/dx, of the shape of `x`: for any cost C of a
            sample's logits the gradients of all samples in one sweep.

        Examples
        --------
        >>> kernel = np.array([[1.0, 0.0], [2.0, -1.0]], dtype=np.float32)
        >>> network = Network((Dense("output", kernel, kernel[0] * 0, "softmax"),), input_shape=(2,))
        >>> logits, pullback = network.logits_with_pullback(np.ones((1, 2), dtype=np.float32))
        >>> logits, pullback(np.array([[1, -1]], dtype=np.float32))
        (array([[ 3., -1.]], dtype=float32), array([[1., 3.]], dtype=float32))
        """
        y, pullbacks = self._input(x), list[Pullback]()
        for layer in self.layers[: self._head]:
            y, pullback = layer.forward(y)
            pullbacks.append(pullback)
        logits, pullback = self.layers[self._head].linear(y)
        pullbacks.append(pullback)

        def to_inputs(gradient: Array) -> Array:
            for pullback in reversed(pullbacks):
                gradient = pullback(gradient)
            return gradient

        return logits, to_inputs

    def outputs(self, x: Array) -> Array:
        """Return what the last layer puts out, of shape (n_samples, n_classes); Keras' `predict`."""
        return self.layers[self._head].activation.forward(self.logits(x))[0]

    def predict_proba(self, x: Array) -> Array:
        """Return the outputs in [0, 1], of shape (n_samples, n_classes).

        Those of a softmax layer sum to one; those of a sigmoid layer need not. For any other last
        activation these are the softmax of the logits.
        """
        activation = self.layers[self._head].activation
        logits = self.logits(x)
        if self.output_name in ("softmax", "sigmoid"):
            return activation.forward(logits)[0]
        return softmax(logits, -1, np.empty_like(logits))

    def predict(self, x: Array) -> npt.NDArray[np.int64]:
        """Return the class with the largest logit for each input, of shape (n_samples,)."""
        return np.asarray(self.logits(x).argmax(axis=1), dtype=np.int64)

    def activations(self, x: Array) -> dict[str, Array]:
        """Return every layer's output for `x`, by layer name, in order.

        Each array has shape (n_samples, *shape of the layer's output).
        """
        y, found = self._input(x), {}
        for layer in self.layers:
            y = found[layer.name] = layer.forward(y)[0]
        return found

    def input_gradient(self, x: Array, objective: Objective) -> Array:
        """Return the gradient of `objective` with respect to `x`, of the shape of `x`.

        Raises
        ------
        InputError
            If the network has no such layer, unit or class.
        """
        return self.objective_gradient(x, [objective] * len(x))[1]

    def objective_gradient(self, x: Array, objectives: Sequence[Objective]) -> tuple[Array, Array]:
        """Return the value of `objectives[i]` at `x[i]`, and its gradient with respect to `x[i]`.

        One sweep serves all objectives, whichever layers they are in.

        Parameters
        ----------
        x : ndarray of shape (n_samples, *input_shape), float
            Inputs.
        objectives : sequence of Objective, of length n_samples
            One for each input.

        Returns
        -------
        values : ndarray of shape (n_samples,)
        gradients : ndarray of the shape of `x`
        """
        y = self._input(x)
        if len(objectives) != len(y):
            raise InputError(f"objectives must be one for each of {len(y)} inputs, got {len(objectives)}")
        seats = self._seats(objectives)
        passes: list[_Pass] = []
        for layer in self.layers[: 1 + max(place for place, _ in seats)]:
            z, linear_pullback = layer.linear(y)
            y, activation_pullback = layer.activation.forward(z)
            passes.append(_Pass(z, y, linear_pullback, activation_pullback))

        values = np.empty(len(x), self.dtype)
        for (place, stage), (rows, units) in seats.items():
            values[rows] = getattr(passes[place], stage)[rows, units]

        def seeded(gradient: Array | None, place: int, stage: str) -> Array | None:
            if (place, stage) not in seats:
                return gradient
            if gradient is None:
                gradient = np.zeros_like(passes[place].pre_activation)
            gradient[seats[place, stage]] += 1
            return gradient

        gradient: Array | None = None
        for place in reversed(range(len(passes))):
            gradient = seeded(gradient, place, "activation")
            if gradient is not None:
                gradient = passes[place].activation_pullback(gradient)
            gradient = seeded(gradient, place, "pre_activation")
            assert gradient is not None  # the sweep starts at the deepest objective
            gradient = passes[place].linear_pullback(gradient)
        assert gradient is not None
        return values, gradient

    def _seats(
        self, objectives: Sequence[Objective]
    ) -> dict[tuple[int, str], tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]]:
        """Return for each (layer, stage) that has objectives their rows in the batch and their units."""
        found: dict[tuple[int, str], tuple[list[int], list[int]]] = {}
        for row, objective in enumerate(objectives):
            place = self._head
            if objective.layer is not None:
                place = self.layers.index(self.layer(objective.layer))
            rows, units = found.setdefault((place, objective.stage), ([], []))
            rows.append(row)
            units.append(objective.index)
        for (place, _), (_, units) in found.items():
            self._check_units(self.layer_names[place], max(units), is_last=place == self._head)
        return {seat: (np.array(rows), np.array(units)) for seat, (rows, units) in found.items()}

    def _check_units(self, layer: str, largest: int, *, is_last: bool) -> None:
        shape = self._shapes[layer]
        if len(shape) != 1:
            raise InputError(f"layer '{layer}' has outputs of shape {shape}; pass a layer of units")
        if largest >= shape[0]:
            what = "class" if is_last else f"unit of layer '{layer}'"
            raise InputError(f"{what} must be from 0 to {shape[0] - 1}, got {largest}")

    def _input(self, x: Array) -> Array:
        x = np.asarray(x)
        if not np.issubdtype(x.dtype, np.floating):
            raise InputError(f"x must be float, got {x.dtype}; divide uint8 pixels by 255")
        check_shape("x", x.shape, (None, *self.input_shape))
        return x.astype(self.dtype, copy=False)
