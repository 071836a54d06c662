"""A model file that is open: what its layers are, known at once, and their arrays, read when asked for."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from probe._checks import Array
from probe._errors import InputError
from probe.film import Film
from probe.kerasfile._config import LayerSpec, Shape, last_net, naming_file, warn
from probe.kerasfile._film import film_in
from probe.kerasfile._graph import Node, Path, flatten, renamed
from probe.kerasfile._keras1 import backend_of, check_backend, stored_kernel
from probe.kerasfile._kinds import NON_TRAINABLE, UNREAD
from probe.kerasfile._layers import kind_of
from probe.kerasfile._models import Model
from probe.kerasfile._own import Meaning, with_meaning
from probe.kerasfile._shapes import expected_variables, shapes_and_settings
from probe.kerasfile._weights import Expected, Found, warn_of_crowds
from probe.layers import Layer
from probe.network import Network
from probe.safeh5 import File, Group, listed, printable, shown

__all__ = ["LayerDescription", "ModelFile", "VariableDescription"]

HUGE = 1e30
"""Weights beyond this overflow somewhere in a network of float32."""

FLIPPED = ("Conv2D", "Conv2DTranspose")
"""Layers whose kernels the Theano backend of Keras 2 stored upside down and left to right."""

_NO_NAMES: Mapping[str, str] = {}


@dataclass(frozen=True, slots=True)
class VariableDescription:
    """One array of a layer, unread.

    Attributes
    ----------
    name : str
        Keras' name for it, such as "kernel".
    shape : tuple of int
    dtype : str
        What it is stored as, such as "float32" or "bfloat16".
    """

    name: str
    shape: Shape
    dtype: str


@dataclass(frozen=True, slots=True)
class LayerDescription:
    """One layer of a model file, unread.

    Attributes
    ----------
    name : str
        The name that it has in the network.
    class_name : str
        Keras' name for its class, or ours for one that Keras lacks.
    output_shape : tuple of int
        Shape of one output, without n_samples.
    variables : tuple of VariableDescription
        In Keras' order.
    activation : str
        Name of its activation; "linear" if it has none.
    """

    name: str
    class_name: str
    output_shape: Shape
    variables: tuple[VariableDescription, ...]
    activation: str

    @property
    def n_parameters(self) -> int:
        """Number of values in all variables."""
        return sum(math.prod(variable.shape) for variable in self.variables)


class ModelFile:
    """An open model file; `open_model` makes it.

    Attributes
    ----------
    class_names : tuple of str
        What the file calls the classes; () if it says nothing.
    layers : tuple of LayerDescription
        In the order of evaluation.
    meaning : {"logits", "quantities", "regression", ""}
        What the file says of its outputs: "logits" and "quantities" are said by the loss, of linear outputs only.
    input_names : tuple of str
        What the file calls the inputs; () if it does not say.
    input_shapes : tuple of tuple of int
        Shape of one input, for each input.
    output_names : tuple of str
        The layers whose outputs are the model's.
    provenance : mapping
        Where the network comes from, as `write_network` keeps it; empty if the file does not say.
    """

    def __init__(
        self,
        file: File,
        model: Model,
        find: Callable[[Expected], Found],
        *,
        class_names: tuple[str, ...] = (),
        backend: str = "",
        own_names: Mapping[str, str] = _NO_NAMES,
        provenance: Mapping[str, Any] = _NO_NAMES,
        meaning: Meaning = "",
        film: Group | None = None,
    ) -> None:
        self._file, self._film = file, film
        self.provenance = provenance
        self._backend = backend
        self._prepared: dict[Path, dict[str, Array | None]] = {}
        with naming_file(file):
            self._spec = renamed(flatten(model, file.limits), own_names)
            # Before any shape, so that the first complaint is about what matters most.
            for node in self._spec.nodes:
                kind_of(node.spec)
            self._shapes, self._settings = shapes_and_settings(self._spec, file.limits.activation_values)
            self._expected = expected_variables(self._spec, self._shapes)
            self._stored = find(self._expected)
            self._is_keras_1 = model.is_keras_1
            if model.is_keras_1:
                paths = [one.path for stored in self._stored.values() for one in stored.values()]
                self._backend = backend_of(paths)
                for node in self._spec.nodes:
                    check_backend(node.spec, self._backend)
        self._nodes = {node.spec.name: node for node in self._spec.nodes}
        self.class_names = class_names
        self.meaning = meaning
        self.input_names = _input_names(model)
        self.input_shapes = self._spec.input_shapes
        self.output_names = self._spec.outputs
        with naming_file(file):
            self.layers = tuple(self._description(node) for node in self._spec.nodes)
            # Before the first array is read: each alone may be below the limits, and all together not.
            file.check_claims([one for stored in self._stored.values() for one in stored.values()])
            warn_of_crowds(file, self._stored)

    def _description(self, node: Node) -> LayerDescription:
        variables = tuple(self._described(node, name) for name in self._names(node))
        activation = self._settings[node.spec.name].get("activation_name", "linear")
        return LayerDescription(
            node.spec.name,
            node.spec.class_name.removeprefix("probe>"),
            self._shapes[node.spec.name],
            variables,
            activation if isinstance(activation, str) else activation.name,
        )

    def _described(self, node: Node, name: str) -> VariableDescription:
        stored, expected = self._stored[node.path][name], self._stored_shape(node, name)
        place = _place(node.spec, name)
        shape, dtype = self._file.describe(stored.group, stored.path, place=place)
        if shape != expected:
            self._file.refuse(place, f"has shape {shape}, expected {expected}")
        return VariableDescription(name, self._expected[node.path][name], dtype)

    def _stored_shape(self, node: Node, name: str) -> Shape:
        """Return the shape that an array has in the file."""
        shape = self._expected[node.path][name]
        return stored_kernel(shape) if self._has_filters_first(node, name) else shape

    def _has_filters_first(self, node: Node, name: str) -> bool:
        """Return whether a kernel is stored as Keras 1 did where channels come first."""
        is_kernel = node.spec.class_name == "Conv2D" and name == "kernel"
        return self._is_keras_1 and is_kernel and node.spec.config.get("data_format") == "channels_first"

    @property
    def n_parameters(self) -> int:
        """Number of values in all variables; those of a layer that is called more than once count once."""
        return sum(
            math.prod(shape)
            for variables in self._expected.values()
            for name, shape in variables.items()
            if name not in UNREAD
        )

    def variable(self, layer: str, name: str, *, units: slice | None = None) -> Array:
        """Return one array of a layer, or only its columns for some units, and read no more than that.

        Parameters
        ----------
        layer : str
            The layer's name.
        name : str
            Keras' name for the array, such as "kernel".
        units : slice, optional
            Which entries of the array's last axis, which counts the units of a Dense or the filters of a
            Conv2D layer; without a step.

        Returns
        -------
        ndarray
            float32 or float64, read-only.

        Raises
        ------
        ModelFileError
            If the array is damaged, unsafe to read or holds NaN or infinities.
        InputError
            If there is no such layer or array.
        """
        self._file.renew()
        node = self._node(layer)
        names = self._names(node)
        if name not in names:
            raise InputError(f"layer '{layer}' has no array '{name}': it has {', '.join(names) or 'none'}")
        with last_net(self._file.shown_path, self._file.error):
            return self._array(node, name, units)

    def network(self, *, ending_at: str | None = None, units: slice | None = None) -> Network:
        """Return the network, with all its arrays, or the part of it that leads to one layer.

        Parameters
        ----------
        ending_at : str, optional
            Name of the layer; only the arrays of this layer and of those below it are read.
        units : slice, optional
            With `ending_at`: only these units or filters of the layer, which must be a Dense or an ungrouped
            Conv2D layer; only their weights are read.

        Raises
        ------
        ModelFileError
            If an array is damaged, unsafe to read or holds NaN or infinities.
        InputError
            If there is no such layer, or no such units.
        """
        self._file.renew()
        nodes, outputs, class_names = self._spec.nodes, self._spec.outputs, self.class_names
        if ending_at is not None:
            nodes, outputs = self._leading_to(ending_at), (ending_at,)
            class_names = class_names if outputs == self._spec.outputs and units is None else ()
        with naming_file(self._file):
            layers = [self._layer(node, units if node.spec.name == ending_at else None) for node in nodes]
            network = Network(
                tuple(layers),
                self._spec.input_shapes[0],
                class_names,
                tuple(node.sources for node in nodes),
                outputs,
                self._spec.input_shapes[1:],
                self.input_names,
            )
            is_whole = outputs == self._spec.outputs and units is None and not class_names
            return with_meaning(network, self.meaning) if is_whole else network

    def film(self) -> Film | None:
        """Return the network on its way through training; None if the file does not have that.

        Raises
        ------
        ModelFileError
            If it is damaged, or of another network.
        """
        if self._film is None:
            return None
        network = self.network()
        return film_in(self._file, self._film, network)

    def _leading_to(self, layer: str) -> tuple[Node, ...]:
        """Return the node of a layer and those that it depends on, in order."""
        needed = {self._node(layer).spec.name}
        for node in reversed(self._spec.nodes):
            if node.spec.name in needed:
                needed |= {source for source in node.sources if isinstance(source, str)}
        return tuple(node for node in self._spec.nodes if node.spec.name in needed)

    def _node(self, layer: str) -> Node:
        node = self._nodes.get(layer)
        if node is None:
            raise InputError(
                f"layer {shown(layer)} does not exist: the model has {listed(self._nodes)}. Pass one of these"
            )
        return node

    def _names(self, node: Node) -> list[str]:
        """Return the names of the arrays that the layer needs."""
        return [name for name in self._expected[node.path] if name not in UNREAD]

    def _layer(self, node: Node, units: slice | None) -> Layer:
        kind, settings = kind_of(node.spec), self._settings[node.spec.name]
        if units is not None:
            is_plain = (
                node.spec.class_name == "Conv2D"
                and node.spec.config.get("groups", 1) == 1
                and not self._is_keras_1
            )
            if node.spec.class_name != "Dense" and not is_plain:
                raise InputError(
                    f"units must be left out for layer '{node.spec.name}': only those of Dense and ungrouped Conv2D "
                    "layers are read one by one"
                )
        prepared = self._prepared.get(node.path) if units is None else None
        if prepared is None:
            prepared = kind.prepared({name: self._array(node, name, units) for name in self._names(node)})
            if units is None:
                self._prepared[node.path] = prepared
        return kind.build(node.spec, settings, prepared)

    def _array(self, node: Node, name: str, units: slice | None = None) -> Array:
        stored, shape = self._stored[node.path][name], self._stored_shape(node, name)
        place = _place(node.spec, name)
        values = self._file.array(stored.group, stored.path, shape=shape, place=place, columns=units)
        finite = np.isfinite(values)
        if not finite.all():
            count = int(values.size - np.count_nonzero(finite))
            self._file.refuse(place, f"has {count} of {values.size} values that are NaN or infinite")
        self._warn_of(name, values, place, self._settings[node.spec.name].get("epsilon", 1.0))
        if self._has_filters_first(node, name):
            values = values.transpose(2, 3, 1, 0)
        if self._backend == "theano" and name == "kernel" and node.spec.class_name in FLIPPED:
            values = values[::-1, ::-1]
        values = values.astype(np.float32) if values.dtype == np.float16 else values
        # Layers keep an array as it is, and so share it, only if it is read-only and nobody's view.
        values = values if values.base is None else values.copy()
        values.flags.writeable = False
        return values

    def _warn_of(self, name: str, values: Array, place: str, epsilon: float) -> None:
        largest = max(float(values.max()), -float(values.min()))
        if largest > HUGE:
            warn(
                self._file.shown_path, f"{place} has values up to {largest:.3g}, which overflow in a network"
            )
        if name in NON_TRAINABLE and name.endswith("variance") and values.min() < 0:
            warn(self._file.shown_path, f"{place} has negative values, down to {float(values.min()):.3g}")
        elif name == "moving_variance" and epsilon == 0 and values.min() == 0:
            warn(
                self._file.shown_path,
                f"{place} has zeros and epsilon is 0: outputs there are infinite or not a number",
            )


def _input_names(model: Model) -> tuple[str, ...]:
    """Return the names of the inputs, distinct ones, or () where the file has none."""
    if model.is_sequential:
        first = model.entries[:1]
        return tuple(entry.spec.name for entry in first if entry.is_input)
    return model.input_keys or tuple(reference.name for reference in model.inputs)


def _place(spec: LayerSpec, name: str) -> str:
    return f"layer '{printable(spec.name)}': {name}"
