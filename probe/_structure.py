"""What a network is made of: its layers, how they are joined, and what its outputs stand for."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass, field, fields, replace
from itertools import chain, count
from typing import Self

import numpy as np

from probe._checks import Array, InputError, check_class_names, check_once, check_sizes
from probe._errors import printable
from probe._graph import Graph, Shape, Wiring, chain_of, joined
from probe._inputs import listed
from probe._signatures import checked
from probe._text import html_table, plain, shortened, text_table
from probe.layers import Dense, Layer

__all__ = ["Structure"]

_ROWS_SHOWN, _LONGEST_NAME = 18, 40
"""Rows of layers and letters of a name that `repr` shows at most."""


@dataclass(frozen=True, slots=True, eq=False, repr=False, weakref_slot=True)
class Structure:
    """The fields of a `Network`, and what follows from them without any input."""

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

    def with_layers(self, layers: tuple[Layer, ...]) -> Self:
        """Return the network with layers of the same kinds, names and shapes, unchecked."""
        changed = object.__new__(type(self))
        for one in fields(self):
            object.__setattr__(changed, one.name, getattr(self, one.name))
        object.__setattr__(changed, "layers", layers)
        object.__setattr__(changed, "_graph", replace(self._graph, layers=layers))
        return changed

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

    def __repr__(self) -> str:
        lines = text_table(self._table, to_right=[3])
        return "\n".join([self._title(), *(f"  {line}" for line in lines)])

    def _repr_html_(self) -> str:
        return html_table(self._title(), self._table, to_right=[3])

    @property
    def _table(self) -> list[tuple[str, ...]]:
        """The layers in rows below a head; the middle of many is left out."""
        rows: list[tuple[str, ...]] = [
            (
                printable(layer.name, _LONGEST_NAME),
                layer.keras_name,
                str(self._graph.shapes[layer.name]),
                f"{layer.n_parameters:,}" if layer.variables else "",
                "" if layer.activation.name == "linear" else layer.activation.name,
            )
            for layer in self.layers
        ]
        return [("layer", "kind", "output shape", "parameters", "activation"), *shortened(rows, _ROWS_SHOWN)]

    def _title(self) -> str:
        inputs, outputs = (
            str(shapes[0]) if len(shapes) == 1 else f"{len(shapes)} {what}"
            for what, shapes in (
                ("inputs", self.input_shapes),
                ("outputs", [self._graph.shapes[name] for name in self.output_names]),
            )
        )
        classes = f", {self.n_classes} classes" * (self.n_classes > 0)
        return f"Network from {inputs} to {outputs}{classes}, {self.n_parameters:,} parameters"

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
            for source in self.wiring[self._index(layer)]
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
        work = (layer.n_multiplications(self.layer_shapes[layer.name]) for layer in self.layers)
        return max(1, sum(work))

    @property
    def work(self) -> int:
        """How long an input takes, in multiplications: putting out a value takes as long as some 80 of them."""
        return self.n_multiplications + 80 * sum(map(math.prod, self.layer_shapes.values()))

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the layers, how they are joined, and all that they learned, as 64 hexadecimal digits.

        Computed at each call. Equal networks have equal fingerprints, on every machine and in whichever format they were
        stored. Names of layers and classes do not count.
        """
        index = {name: k for k, name in enumerate(self.layer_names)}
        digest = hashlib.sha256()
        for layer, reads in zip(self.layers, self.wiring, strict=True):
            arrays = layer.variables
            settings = {
                one.name: getattr(layer, one.name)
                for one in fields(layer)  # type: ignore[arg-type]
                if one.name != "name" and one.name not in arrays
            }
            sources = [-1 - source if isinstance(source, int) else index[source] for source in reads]
            shapes = {name: [values.dtype.name, values.shape] for name, values in arrays.items()}
            facts = [layer.keras_name, plain(settings), sources, plain(shapes)]
            digest.update(f"{json.dumps(facts, default=repr)}\n".encode())
            for values in arrays.values():
                digest.update(np.ascontiguousarray(values, values.dtype.newbyteorder("<")).data)
        ends = [self.input_shapes, [index[name] for name in self.output_names], self.is_regression]
        digest.update(f"probe network 1: {json.dumps(ends)}\n".encode())
        return digest.hexdigest()

    @property
    def dtype(self) -> np.dtype[np.floating]:
        """float32, or float64 where some weights are."""
        return np.result_type(np.float32, *(array.dtype for array in self._variables()))

    def _variables(self) -> list[Array]:
        arrays = {id(array): array for layer in self.layers for array in layer.variables.values()}
        return list(arrays.values())

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
        """Index of the layer whose pre-activations are the logits."""
        index = self._output_index()
        while self.layers[index].passes_on and self._graph.sources[index][0] >= 0:
            index = self._graph.sources[index][0]
        return self._output_index() if self.layers[index].passes_on else index

    def _output_index(self) -> int:
        if len(self.output_names) > 1:
            raise InputError(
                f"this network has {len(self.output_names)} outputs: {listed(self.output_names)}. Pass "
                f"network.truncate('{self.output_names[0]}'), or --output on the command line, to choose one"
            )
        return self.layer_names.index(self.output_names[0])

    @checked
    def layer(self, name: str) -> Layer:
        """Return the layer called `name`.

        Raises
        ------
        InputError
            If there is none; the message lists those that there are.
        """
        return self.layers[self._index(name)]

    @property
    def channel_axes(self) -> dict[str | int, int]:
        """Which axis of one output counts units or channels, by layer, and of the k-th input by k.

        Layers of convolutions and the like say it, and those between them have it from these. Where no layer says it,
        there is none.
        """
        axes = self._graph.channel_axes.items()
        return {self.layer_names[index] if index >= 0 else -1 - index: axis for index, axis in axes}

    @checked
    def channel_axis(self, layer: str) -> int:
        """Return which axis of one output of `layer` counts its units or channels: of maps the last if no layer says it.

        Raises
        ------
        InputError
            If there is no such layer, or its outputs are neither a vector nor feature maps.

        Examples
        --------
        >>> from probe import Network
        >>> from probe.layers import Add, MaxPooling2D, Permute
        >>> layers = Permute("first", (3, 1, 2)), MaxPooling2D("max", data_format="channels_first"), Add("sum")
        >>> network = Network(layers, (8, 6, 3), wiring=((0,), ("first",), ("max", "max")))
        >>> network.layer_shapes["sum"], network.channel_axis("sum"), network.n_units("sum")
        ((3, 4, 3), 0, 3)
        """
        shape = self._graph.shapes[self.layer(layer).name]
        axis = self._graph.channel_axes.get(self._index(layer), 2 if len(shape) == 3 else None)
        if axis is None:
            raise InputError(
                f"layer '{layer}' has outputs of shape {shape}; pass a layer of units or of feature maps"
            )
        return axis

    @checked
    def n_units(self, layer: str) -> int:
        """Return how many units `layer` has, or channels if its outputs are feature maps.

        Raises
        ------
        InputError
            If there is no such layer.
        """
        axis = self.channel_axis(layer)
        return self._graph.shapes[layer][axis]

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

    def _index(self, name: str) -> int:
        if name in self._graph.shapes:
            return self.layer_names.index(name)
        raise InputError(
            f"layer '{name}' does not exist: this network has {listed(self.layer_names)}. Pass one of these"
        )

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
        shape = self.layer_shapes[self.layer_names[self._output_index()]]
        if not self.n_classes:
            raise InputError(
                _why_no_classes(shape, self.output_name, advice, is_regression=self.is_regression)
            )

    def _free_name(self, name: str) -> str:
        candidates = chain([name], (f"{name}_{k}" for k in count(2)))
        return next(candidate for candidate in candidates if candidate not in self.layer_names)

    def _single_input(self) -> None:
        if self.more_input_shapes:
            raise InputError(
                f"this network takes {len(self.input_shapes)} inputs; gradients and analyses need a network of one"
            )


def _why_no_classes(shape: Shape, activation: str, advice: str, *, is_regression: bool) -> str:
    """Return why outputs of `shape` behind `activation` stand for no classes, and what to do."""
    if is_regression:
        return (
            f"the network is a regression: its outputs, {shape}, are quantities and not classes. If they are logits of "
            "classes, call network.for_logits(), or pass --from-logits on the command line"
        )
    if shape == (1,) and activation == "linear":
        return (
            "the network has one linear output, which can be the logit of the second of two classes or a regression. If "
            "it is a logit, call network.for_logits(), or pass --from-logits on the command line; a regression has no "
            "classes"
        )
    if shape == (1,):
        always = ", which makes of it 1 whatever the input" * (activation == "softmax")
        return (
            f"the network has one output behind {activation}{always}; two classes need one sigmoid unit, one logit or two "
            "outputs"
        )
    return f"the network puts out {shape}, not one value for each class{advice}"
