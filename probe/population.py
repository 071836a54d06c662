"""Populations: many equally shaped multilayer perceptrons, stacked along a first axis.

The notation of the textbook, z = W a + b: weights have shape (n_networks, n_out, n_in), activations
(n_networks, n_units, n_samples).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal

import numpy as np
import numpy.typing as npt

from probe import _stepper
from probe._checks import (
    Array,
    InputError,
    check_choice,
    check_class_names,
    check_indices,
    check_integer,
    check_rng,
    check_shape,
    check_sizes,
    chunks,
    readonly,
)
from probe._inputs import checked_inputs
from probe._pixels import AnyPixels, Pixels, StoredPixels
from probe._signatures import checked
from probe._text import html_table, shortened, text_table
from probe.costs import CostName, Evaluation, OutputName
from probe.datasets import Dataset, StoredImages
from probe.layers import ACTIVATIONS, Dense, Flatten, Layer
from probe.network import Network

__all__ = [
    "INITIALIZATIONS",
    "MLP",
    "Evaluation",
    "Population",
    "initial_population",
]

InitializationName = Literal["auto", "normal", "scaled-normal", "glorot", "he"]
INITIALIZATIONS = ("auto", "normal", "scaled-normal", "glorot", "he")

_SAMPLES = 500
"""Inputs at a time in `Population.logits`."""

_ROWS_SHOWN = 6
"""Layers that `repr` lists; of more the ones in the middle are left out."""


@checked
@dataclass(frozen=True, slots=True)
class MLP:
    """The architecture of a multilayer perceptron. The data say how many inputs and classes it has.

    Parameters
    ----------
    hidden : sequence of int
        Units of each hidden layer; empty for a network without hidden layers.
    activation : str
        Activation of the hidden layers, a key of `probe.layers.ACTIVATIONS`: celu, elu, exponential, gelu, hard_shrink,
        hard_sigmoid, hard_sigmoid_v2, hard_silu, hard_tanh, leaky_relu, linear, log_sigmoid, mish, relu, relu6, selu,
        sigmoid, silu, soft_shrink, softplus, softsign, sparse_plus, sparse_sigmoid, squareplus, step, tanh or
        tanh_shrink. Below a step nothing is learned: its slope is zero.
    output : {"softmax", "sigmoid"}
        Activation of the last layer.
    initialization : {"auto", "normal", "scaled-normal", "glorot", "he"}
        How the first weights are drawn. "normal": weights and biases from N(0, 1). "scaled-normal": weights from
        N(0, 1/n_in). "glorot": weights uniformly within sqrt(6/(n_in + n_out)). "he": weights from N(0, 2/n_in).
        The last three start with biases of zero. "auto" is "he" for elu, gelu, leaky_relu, relu and softplus, and
        "glorot" for all others, as Keras' default is.

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
@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Population:
    """Stacked weights and biases of `n_networks` multilayer perceptrons.

    Parameters
    ----------
    architecture : MLP
        Their common architecture.
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

    Examples
    --------
    >>> rngs = np.random.default_rng(0).spawn(3)
    >>> networks = initial_population(MLP((16,)), (8, 8), ("no", "yes"), rngs=rngs)
    >>> networks
    Population of 3 networks 64-16-2 sigmoid, 1,074 parameters each, float32
    layer     units  activation  parameters
    hidden_1     16  sigmoid          1,040
    output        2  softmax             34
    >>> networks.take([0, 2]).logits(np.zeros((5, 8, 8))).shape
    (2, 2, 5)
    """

    architecture: MLP
    input_shape: tuple[int, ...]
    class_names: tuple[str, ...]
    weights: tuple[Array, ...]
    biases: tuple[Array, ...]

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
        for layer, (n_in, n_out) in enumerate(pairwise(sizes)):
            check_shape(f"weights[{layer}]", self.weights[layer].shape, (n_networks, n_out, n_in))
            check_shape(f"biases[{layer}]", self.biases[layer].shape, (n_networks, n_out))
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
        layers: list[Layer] = [] if len(self.input_shape) == 1 else [Flatten("flatten")]
        layers += [
            Dense(name, np.ascontiguousarray(w[index].T), b[index].copy(), activation)
            for (name, activation), w, b in zip(self._layers, self.weights, self.biases, strict=True)
        ]
        return Network(tuple(layers), self.input_shape, self.class_names)

    def networks(self) -> Iterator[Network]:
        """Return the members as networks, made one at a time."""
        return map(self.network, range(len(self)))

    def take(self, members: slice | npt.ArrayLike) -> Population:
        """Return the population of some members, in the order asked for.

        Parameters
        ----------
        members : slice, or array_like of shape (n_taken,), integer, in [0, n_networks)
            Which networks; an index may occur more than once.

        Raises
        ------
        InputError
            If an index is out of range, or none is named.
        """
        chosen = members if isinstance(members, slice) else check_indices("members", members, len(self))
        return replace(
            self,
            weights=tuple(w[chosen] for w in self.weights),
            biases=tuple(b[chosen] for b in self.biases),
        )

    def logits(self, x: Array) -> Array:
        """Return the logits of all members, in the type of the weights or of `x`, whichever is the wider.

        Parameters
        ----------
        x : ndarray of shape (n_samples, *input_shape), float
            Inputs, shared by all networks.

        Returns
        -------
        ndarray of shape (n_networks, n_classes, n_samples)
        """
        rows = self._rows(x)
        parts = [self._forward(rows[part], memory=lambda z: z)[0][-1] for part in chunks(len(rows), _SAMPLES)]
        return np.concatenate(parts, axis=2)

    def activations(self, x: Array) -> tuple[Array, ...]:
        """Return the activations of the hidden layers of all members, in the type that `logits` has.

        Parameters
        ----------
        x : ndarray of shape (n_samples, *input_shape), float
            Inputs, shared by all networks.

        Returns
        -------
        tuple of ndarray of shape (n_networks, n_units, n_samples)
            One for each hidden layer.
        """
        return tuple(self._forward(self._rows(x), memory=np.empty_like)[1])

    @checked
    def evaluate(self, data: Dataset, cost: CostName = "cross-entropy") -> Evaluation:
        """Return each member's mean cost and accuracy on `data`.

        Parameters
        ----------
        data : Dataset
            Of the population's image shape and number of classes.
        cost : {"cross-entropy", "quadratic"}
            See `probe.costs.cost_values`.
        """
        check_choice("cost", cost, ("cross-entropy", "quadratic"))
        ours, theirs = (self.input_shape, len(self.class_names)), (data.image_shape, data.n_classes)
        if ours != theirs:
            raise InputError(
                f"data must have the population's inputs of {ours[0]} and {ours[1]} classes, "
                f"got images of {theirs[0]} and {theirs[1]} classes"
            )
        images, dtype = data.images, str(self.weights[0].dtype)
        pixels: AnyPixels
        if isinstance(images, StoredImages):
            pixels = StoredPixels(images, np.arange(math.prod(self.input_shape)), dtype)
        else:
            pixels = Pixels(self._rows(images), dtype)
        labels = data.labels[None]
        # Weights just short of divergence overflow here as they do in training.
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            parameters = _stepper.Parameters(self.weights, self.biases)
            return _stepper.evaluate(self.architecture, parameters, pixels, labels, cost)

    def __repr__(self) -> str:
        return "\n".join((self._title, *text_table(self._table, to_right=(1, 3))))

    def _repr_html_(self) -> str:
        return html_table(self._title, self._table, to_right=(1, 3))

    @property
    def _title(self) -> str:
        n_in, n_classes = math.prod(self.input_shape), len(self.class_names)
        return (
            f"Population of {len(self)} network{'s' * (len(self) != 1)} {self.architecture.named(n_in, n_classes)}, "
            f"{self.architecture.n_parameters(n_in, n_classes):,} parameters each, {self.weights[0].dtype}"
        )

    @property
    def _table(self) -> list[tuple[str, ...]]:
        """The layers in rows below a head; the middle of many is left out."""
        rows: list[tuple[str, ...]] = [
            (name, f"{w.shape[1]}", activation, f"{w[0].size + b[0].size:,}")
            for (name, activation), w, b in zip(self._layers, self.weights, self.biases, strict=True)
        ]
        return [("layer", "units", "activation", "parameters"), *shortened(rows, _ROWS_SHOWN)]

    @property
    def _layers(self) -> list[tuple[str, str]]:
        """Names and activations."""
        names = [f"hidden_{layer}" for layer in range(1, len(self.weights))]
        return [(name, self.architecture.activation) for name in names] + [
            ("output", self.architecture.output)
        ]

    def _rows(self, x: Array) -> Array:
        is_wide = getattr(x, "dtype", None) == np.float64
        dtype = np.dtype(np.float64) if is_wide else self.weights[0].dtype
        (inputs,) = checked_inputs(x, ("x",), (self.input_shape,), dtype)
        return inputs.reshape(len(inputs), -1)

    def _forward(self, rows: Array, memory: Callable[[Array], Array]) -> tuple[list[Array], list[Array]]:
        """Return what `_stepper.forward` does, with one product for the first layers of all networks."""
        first = self.weights[0]
        product = (first.reshape(-1, first.shape[2]) @ rows.T).reshape(len(first), -1, len(rows))
        return _stepper.forward(self.architecture, self.weights, self.biases, product, memory)


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
        for layer, shape in enumerate(shapes):
            weights[layer][member] = _draw_weights(architecture, shape, rng)
            if architecture.initialization == "normal":
                biases[layer][member] = rng.standard_normal(shape[0])
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
