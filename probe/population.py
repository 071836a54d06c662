"""Populations: many equally shaped multilayer perceptrons, stacked along a first axis.

The notation of the textbook, z = W a + b: weights have shape (n_networks, n_out, n_in), activations
(n_networks, n_units, n_samples).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal

import numpy as np

from probe._checks import (
    Array,
    InputError,
    check_choice,
    check_class_names,
    check_integer,
    check_rng,
    check_shape,
    check_sizes,
    readonly,
)
from probe._signatures import checked
from probe.costs import OutputName
from probe.layers import ACTIVATIONS, Dense, Flatten, Layer
from probe.network import Network

__all__ = ["INITIALIZATIONS", "MLP", "Population", "initial_population"]

InitializationName = Literal["auto", "normal", "scaled-normal", "glorot", "he"]
INITIALIZATIONS = ("auto", "normal", "scaled-normal", "glorot", "he")


@checked
@dataclass(frozen=True, slots=True)
class MLP:
    """The architecture of a multilayer perceptron; the numbers of inputs and classes come from the data.

    Parameters
    ----------
    hidden : sequence of int
        Units of each hidden layer; empty for a network without one.
    activation : str
        A key of `probe.layers.ACTIVATIONS`: sigmoid, tanh, relu, leaky_relu, elu, gelu, softplus, linear
        or step.
    output : {"softmax", "sigmoid"}
        Activation of the last layer.
    initialization : {"auto", "normal", "scaled-normal", "glorot", "he"}
        Start of the weights. "normal" draws weights and biases from N(0, 1); "scaled-normal" weights from
        N(0, 1/n_in); "glorot" uniformly within sqrt(6/(n_in + n_out)); "he" from N(0, 2/n_in); the last three
        start with biases of zero. "auto" is "he" for rectifiers and "glorot" for the others.

    Raises
    ------
    InputError
        If a width is not positive or a name is unknown.

    References
    ----------
    .. [1] X. Glorot, Y. Bengio, "Understanding the difficulty of training deep feedforward neural
       networks", AISTATS 2010.
    .. [2] K. He et al., "Delving Deep into Rectifiers", ICCV 2015.

    Examples
    --------
    >>> MLP(hidden=(16, 16)).layer_sizes(784, 10)
    (784, 16, 16, 10)
    """

    hidden: Sequence[int] = (16, 16)
    activation: str = "sigmoid"
    output: OutputName = "softmax"
    initialization: InitializationName = "auto"

    def __post_init__(self) -> None:
        if isinstance(self.hidden, (int, str)):
            raise InputError(f"hidden must be a sequence of widths such as (16, 16), got {self.hidden!r}")
        widths = tuple(check_integer("each width in hidden", width, minimum=1) for width in self.hidden)
        object.__setattr__(self, "hidden", widths)
        check_choice("activation", self.activation, ACTIVATIONS)
        check_choice("output", self.output, ("softmax", "sigmoid"))
        check_choice("initialization", self.initialization, INITIALIZATIONS)

    def layer_sizes(self, n_in: int, n_classes: int) -> tuple[int, ...]:
        """Return the widths of all layers, from the inputs to the classes."""
        return (n_in, *self.hidden, n_classes)

    def n_parameters(self, n_in: int, n_classes: int) -> int:
        """Return the number of weights and biases of one network.

        Examples
        --------
        >>> MLP(hidden=(16, 16)).n_parameters(784, 10)
        13002
        """
        return sum((above + 1) * below for above, below in pairwise(self.layer_sizes(n_in, n_classes)))

    def named(self, n_in: int, n_classes: int) -> str:
        """Return a short name.

        Examples
        --------
        >>> MLP(hidden=(16, 16)).named(784, 10)
        '784-16-16-10 sigmoid'
        """
        return f"{'-'.join(map(str, self.layer_sizes(n_in, n_classes)))} {self.activation}"


@checked
@dataclass(frozen=True, slots=True, eq=False)
class Population:
    """Stacked weights and biases of `n_networks` multilayer perceptrons.

    Parameters
    ----------
    architecture : MLP
        What they have in common.
    input_shape : tuple of int
        Shape of one input, such as (28, 28).
    class_names : tuple of str
        One for each output.
    weights : tuple of ndarray of shape (n_networks, n_out, n_in)
        One for each layer.
    biases : tuple of ndarray of shape (n_networks, n_out)
        One for each layer.

    Raises
    ------
    InputError
        If the shapes are not those of the architecture, or there are fewer than two classes.
    """

    architecture: MLP
    input_shape: tuple[int, ...]
    class_names: tuple[str, ...]
    weights: tuple[Array, ...] = field(repr=False)
    biases: tuple[Array, ...] = field(repr=False)

    def __post_init__(self) -> None:
        check_sizes("input_shape", self.input_shape, "the shape of one input")
        check_class_names("class_names", self.class_names)
        if len(self.class_names) < 2:
            raise InputError(
                f"class_names must name at least 2 classes, for there is nothing to learn of {len(self.class_names)}; "
                f"got {self.class_names!r}"
            )
        sizes = self.architecture.layer_sizes(math.prod(self.input_shape), len(self.class_names))
        if len(self.weights) != len(sizes) - 1 or len(self.biases) != len(sizes) - 1:
            raise InputError(f"weights and biases must have {len(sizes) - 1} entries for layers {sizes}")
        n_networks = len(self.weights[0])
        for place, (n_in, n_out) in enumerate(pairwise(sizes)):
            check_shape(f"weights[{place}]", self.weights[place].shape, (n_networks, n_out, n_in))
            check_shape(f"biases[{place}]", self.biases[place].shape, (n_networks, n_out))
        object.__setattr__(self, "weights", tuple(readonly(w) for w in self.weights))
        object.__setattr__(self, "biases", tuple(readonly(b) for b in self.biases))

    @property
    def n_networks(self) -> int:
        """Number of members."""
        return len(self.weights[0])

    def __len__(self) -> int:
        return self.n_networks

    def network(self, index: int) -> Network:
        """Return member `index` (from 0, or from the end if negative) as a network."""
        check_integer("index", index, minimum=-self.n_networks, maximum=self.n_networks - 1)
        names = [f"hidden_{place + 1}" for place in range(len(self.weights) - 1)] + ["output"]
        activations = [self.architecture.activation] * (len(names) - 1) + [self.architecture.output]
        layers: list[Layer] = [] if len(self.input_shape) == 1 else [Flatten("flatten")]
        layers += [
            Dense(name, np.ascontiguousarray(w[index].T), b[index].copy(), activation)
            for name, w, b, activation in zip(names, self.weights, self.biases, activations, strict=True)
        ]
        return Network(tuple(layers), self.input_shape, self.class_names)


@checked
def initial_population(
    architecture: MLP,
    input_shape: tuple[int, ...],
    class_names: tuple[str, ...],
    *,
    rngs: Sequence[np.random.Generator],
    dtype: Literal["float32", "float64"] = "float32",
) -> Population:
    """Return untrained networks, member k drawn from `rngs[k]` alone.

    Parameters
    ----------
    architecture, input_shape, class_names
        As in `Population`.
    rngs : sequence of numpy.random.Generator
        One for each member; used and advanced.
    dtype : {"float32", "float64"}
        Type of all weights.
    """
    check_sizes("input_shape", input_shape, "the shape of one input")
    check_choice("dtype", dtype, ("float32", "float64"))
    for rng in rngs:
        check_rng(rng)
    sizes = architecture.layer_sizes(math.prod(input_shape), len(class_names))
    shapes = list(zip(sizes[1:], sizes[:-1], strict=True))
    weights = [np.empty((len(rngs), *shape), dtype) for shape in shapes]
    biases = [np.zeros((len(rngs), n_out), dtype) for n_out, _ in shapes]
    for member, rng in enumerate(rngs):
        for place, shape in enumerate(shapes):
            weights[place][member] = _draw_weights(architecture, shape, rng)
            if architecture.initialization == "normal":
                biases[place][member] = rng.standard_normal(shape[0])
    return Population(architecture, input_shape, class_names, tuple(weights), tuple(biases))


def _draw_weights(architecture: MLP, shape: tuple[int, int], rng: np.random.Generator) -> Array:
    n_out, n_in = shape
    kind = architecture.initialization
    if kind == "auto":
        kind = ACTIVATIONS[architecture.activation].initialization
    if kind == "glorot":
        limit = math.sqrt(6 / (n_in + n_out))
        return rng.uniform(-limit, limit, shape)
    scale = {"normal": 1.0, "scaled-normal": math.sqrt(1 / n_in), "he": math.sqrt(2 / n_in)}[kind]
    return rng.normal(0, scale, shape)
