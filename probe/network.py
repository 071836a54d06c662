"""A trained network as a value: a graph of layers, with its logits, activations and input gradients.

Keras semantics: samples first, `x` of shape (n_samples, *input_shape), dense kernels (n_in, n_units).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, count

import numpy as np
import numpy.typing as npt

from probe._checks import (
    Array,
    InputError,
    check_class_names,
    check_number,
    check_once,
    check_sizes,
)
from probe._graph import Graph, Seat, Shape, Wiring, chain_of, joined
from probe._heads import split_output, why_no_classes, with_second_unit
from probe._inputs import Inputs, checked_inputs, listed
from probe._signatures import checked
from probe.layers import (
    ACTIVATIONS,
    Dense,
    Flatten,
    Layer,
    Normalization,
    Permute,
    Pullback,
    Rescaling,
    Reshape,
    softmax,
)
from probe.objectives import AnyObjective, Combination, LayerTerms, Objective, Stage, Term, unit

__all__ = ["Inputs", "Network"]


@checked
@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Network:
    """A graph of layers.

    Parameters
    ----------
    layers : tuple of Layer
        In the order of evaluation, with distinct names. A layer that is called more than once is here more
        than once, under several names and with the same arrays.
    input_shape : tuple of int
        Shape of one input, such as (28, 28).
    class_names : tuple of str, optional
        One for each output; "0", "1", ... by default. A single sigmoid output is the probability of the second
        of two classes, and has two names. Two names for a single linear output say that it is the logit of the
        second class; without names it has no classes.
    wiring : tuple of tuple of (str or int), optional
        For each layer what it reads: names of layers, or k for the k-th input of the network. By default
        each layer reads the one before.
    output_names : tuple of str, optional
        The layers whose outputs are the network's; the last layer by default.
    more_input_shapes : tuple of tuple of int
        Shapes of the second input and the following; none by default. The analyses need a single input.
    input_names : tuple of str, optional
        One for each input; "input_1", "input_2", ... by default.
    is_regression : bool
        Whether the outputs are quantities and no classes; there are no class names then.

    Raises
    ------
    InputError
        If names repeat, a layer reads what is not there, shapes do not fit, or the number of class names
        is not that of the classes.

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
    input_shape: Shape
    class_names: tuple[str, ...] = ()
    wiring: Wiring = ()
    output_names: tuple[str, ...] = ()
    more_input_shapes: tuple[Shape, ...] = ()
    input_names: tuple[str, ...] = ()
    is_regression: bool = False
    _graph: Graph = field(init=False, repr=False)

    def __post_init__(self) -> None:
        for name, values in (("layers", self.layers), ("output_names", self.output_names)):
            object.__setattr__(self, name, tuple(values))
        object.__setattr__(self, "wiring", tuple(tuple(read) for read in self.wiring))
        shapes = tuple(
            check_sizes("input_shape", shape, "the shape of one input") for shape in self.input_shapes
        )
        object.__setattr__(self, "input_shape", shapes[0])
        object.__setattr__(self, "more_input_shapes", shapes[1:])
        if not self.layers:
            raise InputError("a network must have at least one layer")
        if not self.wiring:
            object.__setattr__(self, "wiring", chain_of(self.layers))
        if not self.output_names:
            object.__setattr__(self, "output_names", (self.layers[-1].name,))
        object.__setattr__(self, "_graph", joined(self.layers, self.wiring, self.input_shapes))
        for name in self.output_names:
            self.layer(name)
        if not self.input_names:
            names = tuple(f"input_{k}" for k in range(1, len(self.input_shapes) + 1))
            object.__setattr__(self, "input_names", names)
        if len(self.input_names) != len(self.input_shapes):
            raise InputError(
                f"input_names must name {len(self.input_shapes)} inputs, got {len(self.input_names)} names"
            )
        check_once("input_names", self.input_names)
        n_classes = self._count_classes()
        if not self.class_names:
            object.__setattr__(self, "class_names", tuple(str(k) for k in range(n_classes)))
        if self.class_names:
            check_class_names("class_names", self.class_names)
        if len(self.class_names) != n_classes:
            two = " (the single output is that of the second of two classes)" * self._is_single
            named = f"{n_classes} {'classes' if self._is_single else 'outputs'}"
            raise InputError(f"class_names must name {named}{two}, got {len(self.class_names)} names")

    def _count_classes(self) -> int:
        if (
            len(self.output_names) > 1
            or len(self.layer_shapes[self.output_names[0]]) != 1
            or self.is_regression
        ):
            return 0
        if not self._is_single:
            return self.layer_shapes[self.output_names[0]][0]
        # Of a linear output only the one who made it knows what it is.
        known = self.output_name == "sigmoid" or (self.output_name == "linear" and len(self.class_names) > 0)
        return 2 if known else 0

    @property
    def _is_single(self) -> bool:
        """Whether the network has one output, of one value for each input."""
        return len(self.output_names) == 1 and self.layer_shapes[self.output_names[0]] == (1,)

    @property
    def is_one_unit(self) -> bool:
        """Whether a single output tells two classes apart: the probability of the second, or its logit."""
        return self._is_single and self.n_classes == 2

    @property
    def input_shapes(self) -> tuple[Shape, ...]:
        """Shape of one input, for each input."""
        return (self.input_shape, *self.more_input_shapes)

    @property
    def layer_names(self) -> tuple[str, ...]:
        """Names of the layers, in order."""
        return tuple(self._graph.shapes)

    @property
    def layer_shapes(self) -> dict[str, Shape]:
        """Shape of one output of each layer, by name."""
        return dict(self._graph.shapes)

    @checked
    def input_shapes_of(self, layer: str) -> tuple[Shape, ...]:
        """Return the shapes of what `layer` reads, each without n_samples."""
        shapes = self._graph.shapes
        return tuple(
            self.input_shapes[source] if isinstance(source, int) else shapes[source]
            for source in self.wiring[self._place(layer)]
        )

    @property
    def is_chain(self) -> bool:
        """Whether each layer reads the one before and the last one is the output."""
        return self.wiring == chain_of(self.layers) and self.output_names == (self.layers[-1].name,)

    @property
    def dense_layers(self) -> tuple[Dense, ...]:
        """The layers that are dense, in order; the last is usually the output."""
        return tuple(layer for layer in self.layers if isinstance(layer, Dense))

    @property
    def n_classes(self) -> int:
        """Number of classes; 0 where the outputs stand for none.

        That is the number of values that the network puts out, 2 for a single sigmoid unit, and 0 for a regression,
        for outputs that are no vector, for several outputs, and where nobody said what a single linear output is.
        """
        return len(self.class_names)

    @property
    def n_parameters(self) -> int:
        """Number of weights, biases and other values that were learned or measured; shared ones count once."""
        return sum(array.size for array in self._variables())

    @property
    def n_multiplications(self) -> int:
        """How many multiplications with weights an input costs; at least 1."""
        work = 0
        for layer in self.layers:
            shape = self.layer_shapes[layer.name]
            positions = shape[1:] if layer.channels_first else shape[:-1]
            work += sum(layer.variables[name].size * math.prod(positions) for name in layer.kernel_axes)
        return max(1, work)

    @property
    def dtype(self) -> np.dtype[np.floating]:
        """float32, or float64 where some weights are."""
        return np.result_type(np.float32, *(array.dtype for array in self._variables()))

    def _variables(self) -> list[Array]:
        found = {id(array): array for layer in self.layers for array in layer.variables.values()}
        return list(found.values())

    @property
    def output_name(self) -> str:
        """Name of the activation of the output layer, such as "softmax"."""
        return self.layers[self._head].activation.name

    @property
    def head_name(self) -> str:
        """Name of the layer whose pre-activations are the logits."""
        return self.layers[self._head].name

    @property
    def _head(self) -> int:
        """Place of the layer whose pre-activations are the logits."""
        place = self._output_place()
        while self.layers[place].passes_on and self._graph.sources[place][0] >= 0:
            place = self._graph.sources[place][0]
        return self._output_place() if self.layers[place].passes_on else place

    def _output_place(self) -> int:
        if len(self.output_names) > 1:
            raise InputError(
                f"this network has {len(self.output_names)} outputs: {listed(self.output_names)}. Pass "
                f"network.truncate('{self.output_names[0]}'), or --output on the command line, to choose one"
            )
        return self.layer_names.index(self.output_names[0])

    @checked
    def with_input_shape(self, image_shape: Shape) -> Network:
        """Return this network for images of `image_shape`.

        Itself if that is its input shape. If it takes the same number of values in one axis, or the same
        image with an axis of one channel more or less, a layer in front reshapes the image row by row; if
        it takes the channels first, a layer in front moves them there.

        Raises
        ------
        InputError
            If images of this shape do not fit.
        """
        ours, theirs = self.input_shape, image_shape
        if ours == theirs:
            return self
        name = self._free_name("images")
        if len(ours) == 1 and ours[0] == math.prod(theirs) and min(theirs) > 0:
            return self.behind(Flatten(name), theirs)
        if ours in ((*theirs, 1), (1, *theirs)) or theirs in ((*ours, 1), (1, *ours)):
            return self.behind(Reshape(name, ours), theirs)
        if len(theirs) == 3 and ours == (theirs[2], *theirs[:2]):
            return self.behind(Permute(name, (3, 1, 2)), theirs)
        raise InputError(f"the network takes inputs of shape {ours}, but the images have shape {theirs}")

    @checked
    def with_input_range(self, low: float, high: float) -> Network:
        """Return this network for images in [0, 1], if it was trained on inputs in [low, high].

        A layer in front scales the images, so that everything that draws, optimises or perturbs images
        in [0, 1] does what it should. The network itself if the range is [0, 1].

        Raises
        ------
        InputError
            If `low` is not below `high`.

        Examples
        --------
        >>> kernel = np.eye(2, dtype=np.float32)
        >>> network = Network((Dense("output", kernel, kernel[0] * 0),), input_shape=(2,))
        >>> network.with_input_range(-1, 1).logits(np.array([[0.0, 1.0]], dtype=np.float32))
        array([[-1.,  1.]], dtype=float32)
        """
        low, high = check_number("low", low), check_number("high", high)
        if not low < high:
            raise InputError(f"the range of the inputs must be from low to high, got {low:g} to {high:g}")
        if (low, high) == (0, 1):
            return self
        return self.behind(Rescaling(self._free_name("range"), high - low, low))

    def with_standardized_input(
        self, mean: float | tuple[float, ...], std: float | tuple[float, ...]
    ) -> Network:
        """Return this network for images in [0, 1], if it was trained on (image - mean) / std.

        Parameters
        ----------
        mean, std : float or tuple of float
            What the pixels were standardised with, for pixels in [0, 1]: one number, or one for each channel.

        Raises
        ------
        InputError
            If a number is not finite, `std` is not above 0, or the images do not have as many channels.

        Examples
        --------
        >>> kernel = np.eye(2, dtype=np.float32)
        >>> network = Network((Dense("output", kernel, kernel[0] * 0),), input_shape=(2,))
        >>> network.with_standardized_input(0.5, 0.25).logits(np.array([[0.0, 1.0]], dtype=np.float32))
        array([[-2.,  2.]], dtype=float32)
        """
        means, deviations = (
            np.array([check_number(name, one, **bounds) for one in np.atleast_1d(np.asarray(value, object))])
            for name, value, bounds in (("mean", mean, {}), ("std", std, {"above": 0}))
        )
        n_channels = max(len(means), len(deviations))
        if {len(means), len(deviations)} - {1, n_channels}:
            raise InputError(
                f"mean and std must have as many numbers as each other, got {len(means)} and {len(deviations)}"
            )
        name = self._free_name("standardized")
        if n_channels == 1:
            scale = float(1 / deviations[0])
            return self.behind(Rescaling(name, scale, float(-means[0] * scale)))
        shape = self.input_shape
        # Channels come first only where the last axis cannot be theirs.
        places = ([3] if shape[2] in (1, 3) else [3, 1]) if len(shape) == 3 else []
        axis = next((place for place in places if shape[place - 1] == n_channels), None)
        if axis is None:
            raise InputError(
                f"mean and std must be one number, or one for each channel; got {n_channels}, but the network takes "
                f"inputs of shape {shape}"
            )
        means, variances = (
            np.broadcast_to(values, n_channels).astype(self.dtype) for values in (means, deviations**2)
        )
        return self.behind(Normalization(name, means, variances, (axis,)))

    def for_logits(self) -> Network:
        """Return this network as a classifier, if its linear outputs are logits.

        A single output is the logit of the second of two classes. For a network whose file does not say so; what
        it computes stays the same.

        Raises
        ------
        InputError
            If the outputs are not linear, or no vector.

        Examples
        --------
        >>> kernel = np.array([[1.0], [-2.0]], dtype=np.float32)
        >>> network = Network((Dense("output", kernel, np.zeros(1, np.float32)),), input_shape=(2,))
        >>> network.n_classes, network.for_logits().n_classes
        (0, 2)
        >>> network.for_logits().predict(np.array([[1.0, 0.0], [0.0, 1.0]], dtype=np.float32))
        array([1, 0])
        """
        shape = self.layer_shapes[self.layer_names[self._output_place()]]
        if self.output_name != "linear" or len(shape) != 1:
            raise InputError(
                f"logits are linear outputs in one axis, but this network puts out {shape} of {self.output_name}; "
                "leave out --from-logits, or network.for_logits()"
            )
        names = self.class_names or tuple(str(k) for k in range(max(2, shape[0])))
        return replace(self, class_names=names, is_regression=False)

    def for_regression(self) -> Network:
        """Return this network as one whose outputs are quantities and no classes."""
        return replace(self, class_names=(), is_regression=True)

    def with_two_logits(self) -> Network:
        """Return the network with an output for each class that decides as this one does, if this has one unit.

        From the logit z of the second class come the logits -z/2 and z/2, and softmax makes of them 1 - p and p
        with p = sigmoid(z). This way both classes have something to maximise, and their difference is z. Layers
        keep their names; the last one with weights gets a second unit. Any other network is returned as it is.

        Examples
        --------
        >>> kernel = np.array([[1.0], [-2.0]], dtype=np.float32)
        >>> network = Network((Dense("output", kernel, kernel[0] * 0, "sigmoid"),), input_shape=(2,))
        >>> network.with_two_logits().logits(np.ones((1, 2), dtype=np.float32))
        array([[ 0.5, -0.5]], dtype=float32)
        """
        if not self.is_one_unit:
            return self
        output = self._output_place()
        layers = with_second_unit(self.layers, self._graph.sources, self._head, output)
        if layers is not None:
            return replace(self, layers=layers)
        names = [self._free_name(name) for name in ("first_logit", "second_logit", "logits", "classes")]
        layers, wiring = split_output(self.layers, self._head, self.layer_names[output], names)
        return replace(self, layers=layers, wiring=(*self.wiring, *wiring), output_names=(layers[-1].name,))

    @checked
    def truncate(self, layer: str) -> Network:
        """Return the part of this network that leads to `layer`, with the layer's output as its own.

        Raises
        ------
        InputError
            If there is no such layer.

        Examples
        --------
        >>> kernel = np.eye(2, dtype=np.float32)
        >>> layers = Dense("hidden", kernel, kernel[0], "relu"), Dense("output", kernel, kernel[0])
        >>> Network(layers, input_shape=(2,)).truncate("hidden").layer_names
        ('hidden',)
        """
        places = self._graph.ancestors([self._place(layer)])
        is_output = self.output_names == (layer,)
        return Network(
            tuple(self.layers[place] for place in places),
            self.input_shape,
            self.class_names if is_output else (),
            tuple(self.wiring[place] for place in places),
            (layer,),
            self.more_input_shapes,
            self.input_names,
            self.is_regression and is_output,
        )

    def behind(self, first: Layer, input_shape: Shape | None = None) -> Network:
        """Return this network with `first` between its input, of `input_shape`, and all that reads it.

        Raises
        ------
        InputError
            If the network takes several inputs, or `first` does not fit.
        """
        self._single_input()
        input_shape = self.input_shape if input_shape is None else input_shape
        wiring = (tuple(first.name if source == 0 else source for source in read) for read in self.wiring)
        return replace(self, layers=(first, *self.layers), input_shape=input_shape, wiring=((0,), *wiring))

    def without(self, layer: str) -> Network:
        """Return this network without `layer`: what read it reads what it read.

        Raises
        ------
        InputError
            If there is no such layer, it reads several, it is an output, or shapes do not fit then.
        """
        place = self._place(layer)
        if len(self.wiring[place]) > 1 or layer in self.output_names:
            raise InputError(f"layer '{layer}' must have one input and be no output, to be left out")
        (source,) = self.wiring[place]
        wiring = [tuple(source if name == layer else name for name in read) for read in self.wiring]
        return replace(
            self,
            layers=self.layers[:place] + self.layers[place + 1 :],
            wiring=tuple(wiring[:place] + wiring[place + 1 :]),
        )

    def _free_name(self, name: str) -> str:
        candidates = chain([name], (f"{name}_{k}" for k in count(2)))
        return next(candidate for candidate in candidates if candidate not in self.layer_names)

    @checked
    def layer(self, name: str) -> Layer:
        """Return the layer called `name`.

        Raises
        ------
        InputError
            If there is none; the message lists those that there are.
        """
        return self.layers[self._place(name)]

    @checked
    def n_units(self, layer: str) -> int:
        """Return how many units `layer` has, or channels if its outputs are feature maps.

        Raises
        ------
        InputError
            If there is no such layer.
        """
        found, shape = self.layer(layer), self.layer_shapes[layer]
        return shape[found.channel_axis(shape)]

    def unit_names(self, layer: str) -> tuple[str, ...]:
        """Return what the units or channels of `layer` are called: after the classes where they are these, or numbers.

        The single unit of a classifier is called after the second class, whose probability it gives.
        """
        n_units = self.n_units(layer)
        if len(self.output_names) == 1 and layer == self.head_name:
            if n_units == self.n_classes:
                return self.class_names
            if self.is_one_unit and n_units == 1:
                return self.class_names[1:]
        return tuple(str(k) for k in range(n_units))

    def _place(self, name: str) -> int:
        if name in self._graph.shapes:
            return self.layer_names.index(name)
        raise InputError(
            f"layer '{name}' does not exist: this network has {listed(self.layer_names)}. Pass one of these"
        )

    def logits(self, x: Inputs) -> Array:
        """Return the pre-activations of the output layer, of shape (n_samples, *shape of its output), for `x`.

        That is the last layer that computes something: a Dropout or a Flatten after it does not count.

        Parameters
        ----------
        x : ndarray of shape (n_samples, *input_shape), float
            Inputs, finite and in the range that the network was trained on; if there are several inputs, a tuple or
            list of arrays in their order, or a mapping from `input_names`.
        """
        head = self._head
        values = self._graph.values(self._inputs(x), [(head, "pre_activation")])[head, "pre_activation"]
        return self.after_head(values)[0]

    def logits_vjp(self, x: Array) -> tuple[Array, Pullback]:
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
        >>> logits, pullback = network.logits_vjp(np.ones((1, 2), dtype=np.float32))
        >>> logits, pullback(np.array([[1, -1]], dtype=np.float32))
        (array([[ 3., -1.]], dtype=float32), array([[1., 3.]], dtype=float32))
        """
        self._single_input()
        head = self._head
        passes = self._graph.passes(self._inputs(x), [head])
        logits, to_head = self.after_head(passes[head].pre_activation)

        def to_inputs(gradient: Array) -> Array:
            return self._graph.input_gradient(passes, {(head, "pre_activation"): to_head(gradient)})

        return logits, to_inputs

    def after_head(self, values: Array) -> tuple[Array, Pullback]:
        """Return the logits from the pre-activations of the layer `head_name`, and the way back to these."""
        pullbacks = list[Pullback]()
        for place in self._tail():
            values, pullback = self.layers[place].pre_activation(values)
            pullbacks.append(pullback)

        def to_head(gradient: Array) -> Array:
            for pullback in reversed(pullbacks):
                gradient = pullback(gradient)
            return gradient

        return values, to_head

    def parameter_vjp(self, x: Array) -> tuple[Array, Callable[[Array], list[tuple[Array, Array]]]]:
        """Return the logits for `x`, and the way back from them to all that the network learned.

        Parameters
        ----------
        x : ndarray of shape (n_samples, *input_shape), float
            Inputs, in the range that the network was trained on.

        Returns
        -------
        logits : ndarray of shape (n_samples, n_classes)
            The same as from `logits`.
        pullback : callable
            Maps dC/dlogits, of the shape of `logits`, to pairs of an array of the network and the gradient of
            the sum of C over the samples with respect to it. An array that several layers share comes once for
            each of them: its gradient is the sum.
        """
        self._single_input()
        head, inputs = self._head, self._inputs(x)
        passes = self._graph.passes(inputs, [head])
        logits, to_head = self.after_head(passes[head].pre_activation)

        def to_learned(gradient: Array) -> list[tuple[Array, Array]]:
            seeds: dict[Seat, Array] = {(head, "pre_activation"): to_head(gradient)}
            return list(self._graph.parameter_gradients(passes, inputs, seeds))

        return logits, to_learned

    def outputs(self, x: Inputs) -> Array:
        """Return what the network puts out, of shape (n_samples, ...); Keras' `predict`."""
        place = self._output_place()
        return self._graph.values(self._inputs(x), [(place, "activation")])[place, "activation"]

    def all_outputs(self, x: Inputs) -> tuple[Array, ...]:
        """Return what each output of the network puts out, each of shape (n_samples, ...)."""
        seats: list[Seat] = [(self._place(name), "activation") for name in self.output_names]
        found = self._graph.values(self._inputs(x), seats)
        return tuple(found[seat] for seat in seats)

    def predict_proba(self, x: Array) -> Array:
        """Return the outputs in [0, 1], of shape (n_samples, n_classes).

        Those of a softmax layer sum to one; those of a sigmoid layer need not. For any other last
        activation these are the softmax of the logits. A single unit that puts out p, or the logit of p, gives
        1 - p and p.
        """
        self.check_classes()
        if self.is_one_unit:
            p = self._second_class(x)
            return np.stack([1 - p, p], axis=1)
        if self.output_name in ("softmax", "sigmoid"):
            return self.outputs(x)
        logits = self.logits(x)
        return softmax(logits, -1, np.empty_like(logits))

    def predict(self, x: Array) -> npt.NDArray[np.int64]:
        """Return the class with the largest logit for each input, of shape (n_samples,).

        Of a single unit that is 1 where the probability of the second class is above 0.5.
        """
        self.check_classes()
        if self.is_one_unit:
            return (self._second_class(x) > 0.5).astype(np.int64)
        return np.asarray(self.logits(x).argmax(axis=1), dtype=np.int64)

    def _second_class(self, x: Array) -> Array:
        """Return the probability of the second class (n_samples,) that a single unit gives."""
        if self.output_name == "sigmoid":
            return self.outputs(x)[:, 0]
        return ACTIVATIONS["sigmoid"].forward(self.logits(x)[:, 0])[0]

    def check_classes(self, advice: str = "") -> None:
        """Raise unless the outputs stand for classes, and say what they are.

        Parameters
        ----------
        advice : str
            What else to do where the outputs are no vector.

        Raises
        ------
        InputError
            If there are no classes.
        """
        shape = self.layer_shapes[self.layer_names[self._output_place()]]
        if not self.n_classes:
            raise InputError(
                why_no_classes(shape, self.output_name, advice, is_regression=self.is_regression)
            )

    def activations(self, x: Inputs) -> dict[str, Array]:
        """Return every layer's output for `x`, by layer name, in order.

        Each array has shape (n_samples, *shape of the layer's output).
        """
        return self._all_values(x, "activation")

    def pre_activations(self, x: Inputs) -> dict[str, Array]:
        """Return what every layer computes for `x` before its activation, by layer name, in order."""
        return self._all_values(x, "pre_activation")

    def _all_values(self, x: Inputs, stage: Stage) -> dict[str, Array]:
        found = self._graph.values(self._inputs(x), [(place, stage) for place in range(len(self.layers))])
        return {name: found[place, stage] for place, name in enumerate(self.layer_names)}

    @checked
    def input_gradient(self, x: Array, objective: AnyObjective) -> Array:
        """Return the gradient of `objective` with respect to `x`, of the shape of `x`.

        Raises
        ------
        InputError
            If the network has no such layer, unit or class.
        """
        return self.objective_gradient(x, [objective] * len(np.atleast_1d(x)))[1]

    @checked
    def objective_gradient(self, x: Array, objectives: Sequence[AnyObjective]) -> tuple[Array, Array]:
        """Return the value of `objectives[i]` at `x[i]`, and its gradient with respect to `x[i]`.

        One sweep serves all objectives, whichever layers they are in.

        Parameters
        ----------
        x : ndarray of shape (n_samples, *input_shape), float
            Inputs.
        objectives : sequence of Objective or Combination, of length n_samples
            One for each input.

        Returns
        -------
        values : ndarray of shape (n_samples,)
        gradients : ndarray of the shape of `x`
        """
        self._single_input()
        inputs = self._inputs(x)
        if len(objectives) != len(inputs[0]):
            raise InputError(
                f"objectives must be one for each of {len(inputs[0])} inputs, got {len(objectives)}"
            )
        return self.objective_function(objectives)(inputs[0])

    @checked
    def objective_function(
        self, objectives: Sequence[AnyObjective]
    ) -> Callable[[Array], tuple[Array, Array]]:
        """Return the function of `x` that `objective_gradient` computes, to be called many times.

        Parameters
        ----------
        objectives : sequence of Objective or Combination, of length n_samples
            One for each input.

        Returns
        -------
        callable
            Maps `x`, of shape (n_samples, *input_shape) and of the network's type, to values and gradients.

        Raises
        ------
        InputError
            If the network takes several inputs, or has no such layer, unit or class.

        Examples
        --------
        >>> from probe.objectives import class_logit
        >>> kernel = np.array([[1.0, 0.0], [2.0, -1.0]], dtype=np.float32)
        >>> network = Network((Dense("output", kernel, kernel[0] * 0, "softmax"),), input_shape=(2,))
        >>> difference = network.objective_function([class_logit(0) - class_logit(1)])
        >>> difference(np.ones((1, 2), dtype=np.float32))
        (array([4.], dtype=float32), array([[1., 3.]], dtype=float32))
        """
        self._single_input()
        parts = [(rows, self._seats(objectives[rows])) for rows in self._graph.parts(len(objectives))]

        def evaluated(x: Array) -> tuple[Array, Array]:
            if len(parts) == 1:
                return self._part_gradient((x,), parts[0][1])
            values, gradients = np.empty(len(x), self.dtype), np.empty_like(x)
            for rows, seats in parts:
                values[rows], gradients[rows] = self._part_gradient((x[rows],), seats)
            return values, gradients

        return evaluated

    @checked
    def objective_values(self, x: Array, objectives: Sequence[AnyObjective]) -> Array:
        """Return the value of every objective for every input, of shape (n_samples, n_objectives).

        Parameters
        ----------
        x : ndarray of shape (n_samples, *input_shape), float
            Inputs.
        objectives : sequence of Objective or Combination
            What to compute.

        Raises
        ------
        InputError
            If the network takes several inputs, or has no such layer, unit or class.
        """
        self._single_input()
        (x,) = self._inputs(x)
        values = np.zeros((len(x), len(objectives)), self.dtype)
        # Those that one objective has in one layer sit in the row of that objective, here a column.
        seats = self._seats(objectives)
        for rows in self._graph.parts(len(x)):
            found = self._graph.values((x[rows],), list(seats))
            for key, seat in seats.items():
                seat.add_all_values(found[key], values[rows])
        return values

    def _part_gradient(
        self, inputs: tuple[Array, ...], seats: Mapping[Seat, LayerTerms]
    ) -> tuple[Array, Array]:
        passes = self._graph.passes(inputs, [place for place, _ in seats])
        values = np.zeros(len(inputs[0]), self.dtype)
        gradients: dict[Seat, Array] = {}
        for (place, stage), seat in seats.items():
            found: Array = getattr(passes[place], stage)
            gradients[place, stage] = seat.add_values(found, values)
        return values, self._graph.input_gradient(passes, gradients)

    def _seats(self, objectives: Sequence[AnyObjective]) -> dict[Seat, LayerTerms]:
        """Return for each (place, stage) that has terms of objectives where they sit in the batch."""
        found: dict[Seat, list[Term]] = {}
        terms = [(row, *term) for row, given in enumerate(objectives) for term in self.terms_of(given)]
        for term in terms:
            objective = term[2]
            place = self._head if objective.layer is None else self._place(objective.layer)
            found.setdefault((place, objective.stage), []).append(term)
        return {
            (place, stage): LayerTerms.of(self.layers[place], self._graph.shapes[self.layers[place].name], chosen,
                                     is_last=place == self._head)
            for (place, stage), chosen in found.items()
        }  # fmt: skip

    def terms_of(self, objective: AnyObjective) -> tuple[tuple[float, Objective], ...]:
        """Return the weights and terms of `objective`; of a one-unit classifier with its unit in place of classes.

        Raises
        ------
        InputError
            If the network has no classes, but a term is one, or a single unit has no such class.

        Examples
        --------
        >>> from probe.objectives import class_logit
        >>> kernel = np.array([[1.0], [-2.0]], dtype=np.float32)
        >>> network = Network((Dense("output", kernel, kernel[0] * 0, "sigmoid"),), input_shape=(2,))
        >>> network.terms_of(class_logit(0))
        ((-0.5, Objective(layer='output', index=0, stage='pre_activation', position=None)),)
        """
        terms = objective.terms if isinstance(objective, Combination) else ((1.0, objective),)
        if any(term.layer is None for _, term in terms):
            self.check_classes()
        if not self.is_one_unit:
            return terms
        return tuple(
            (weight, term) if term.layer is not None else self._unit_term(weight, term)
            for weight, term in terms
        )

    def _unit_term(self, weight: float, term: Objective) -> tuple[float, Objective]:
        """Return the logit of one of two classes, as `with_two_logits` has it, as a multiple of the single unit."""
        if term.index > 1:
            raise InputError(f"class must be from 0 to 1, got {term.index}")
        if term.stage != "pre_activation":
            raise InputError("the classes of a single unit have logits only; pass network.with_two_logits()")
        return weight * (term.index - 0.5), unit(self.head_name, 0)

    def _tail(self) -> list[int]:
        """Return the places after the head, up to the output: layers that pass their input on."""
        place, found = self._output_place(), list[int]()
        while place != self._head:
            found.append(place)
            place = self._graph.sources[place][0]
        return found[::-1]

    def _single_input(self) -> None:
        if self.more_input_shapes:
            raise InputError(
                f"this network takes {len(self.input_shapes)} inputs; gradients and analyses need a network of one"
            )

    def _inputs(self, x: Inputs) -> tuple[Array, ...]:
        return checked_inputs(x, self.input_names, self.input_shapes, self.dtype)
