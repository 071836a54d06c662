"""Models as their configuration describes them: layers, models inside models, and the calls that join them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple, TypeGuard

from probe._errors import ModelFileError
from probe.kerasfile._config import MAX_AXES, LayerSpec, Shape, layer_spec, parse_json
from probe.safeh5 import DEFAULT_LIMITS, Limits, printable, shown

__all__ = [
    "MAX_LAYERS",
    "MAX_READS",
    "MODEL_CLASSES",
    "Call",
    "Entry",
    "Model",
    "Reference",
    "input_shapes",
    "parse_model",
]

MAX_LAYERS = 2000
"""Most layers in one model, those of models inside it and every call of a shared one counted."""

MAX_ENTRIES = 2 * MAX_LAYERS
"""Most layers that a configuration lists: inputs, and models themselves, are among them."""

MAX_READS = 20_000
"""Most tensors that all calls together read; a DenseNet of 201 layers that reads all before reads 2,000."""

MAX_MODELS = 8
"""Most models inside each other."""

MAX_INPUTS = 2000
"""Most tensors that one call reads."""

MODEL_CLASSES = ("Sequential", "Functional", "Model")
"""Classes that hold layers; Keras before 2.4 called a functional model "Model"."""

_IGNORED_ARGUMENTS = {"mask": (None,), "training": (None, False)}


class Reference(NamedTuple):
    """A tensor: output `tensor` of the call `node` of the layer `name`."""

    name: str
    node: int
    tensor: int


Call = tuple[Reference, ...]
"""The tensors that one call of a layer reads."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One layer of a model; `model` is what it holds if it is one itself, `calls` where a functional model calls it."""

    spec: LayerSpec
    model: Model | None
    calls: tuple[Call, ...]

    @property
    def is_input(self) -> bool:
        """Whether it is a place where the model takes an input."""
        return self.spec.class_name == "InputLayer"


@dataclass(frozen=True)
class Model:
    """A model, or a model inside another.

    Its layers are in the order of the file, which is not always that of evaluation. The tensors that it takes and
    gives are () for a Sequential model.
    """

    spec: LayerSpec
    entries: tuple[Entry, ...]
    inputs: Call
    outputs: Call

    @property
    def is_sequential(self) -> bool:
        """Whether its layers are a chain."""
        return self.spec.class_name == "Sequential"

    @cached_property
    def by_name(self) -> Mapping[str, Entry]:
        """The layers by their names."""
        return {entry.spec.name: entry for entry in self.entries}

    @cached_property
    def input_names(self) -> frozenset[str]:
        """Names of the layers that are the inputs of a functional model."""
        return frozenset(reference.name for reference in self.inputs)

    def leaves(self, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], LayerSpec]]:
        """Yield every layer that is no model and no input, also inside models, with the names on the way."""
        for entry in self.entries:
            here = (*path, entry.spec.name)
            if entry.model is not None:
                yield from entry.model.leaves(here)
            elif not entry.is_input:
                yield here, entry.spec


def parse_model(text: str, keras: int | None = None, limits: Limits = DEFAULT_LIMITS) -> Model:
    """Read the text of a model's configuration; `keras` is the major version that wrote it, if that is known.

    Examples
    --------
    >>> model = parse_model('''{"class_name": "Sequential", "config": {"layers": [
    ...     {"class_name": "InputLayer", "config": {"name": "in", "batch_shape": [null, 4]}},
    ...     {"class_name": "Dense", "config": {"name": "output", "units": 3}}]}}''')
    >>> [entry.spec.name for entry in model.entries]
    ['in', 'output']
    """
    described = parse_json(text, limits=limits)
    if not isinstance(described, dict):
        raise ModelFileError("model_config is not a JSON object, as Keras writes it")
    class_name = described.get("class_name")
    if class_name not in MODEL_CLASSES:
        raise ModelFileError(
            f"model_config describes a {shown(class_name)} model; only Sequential and Functional models "
            "can be read"
        )
    if keras is None:
        # Keras 3 renamed the setting; nothing else that both have differs so reliably.
        keras = 2 if '"batch_input_shape"' in text and '"batch_shape"' not in text else 3
    model = _Parsing(keras).model(described, "model", depth=1)
    if next(model.leaves(), None) is None:
        raise ModelFileError("model_config describes a model without layers")
    return model


@dataclass(slots=True)
class _Parsing:
    """The configuration of one file, and how much of it was read."""

    keras: int
    n_entries: int = field(default=0)
    n_reads: int = field(default=0)

    def model(self, described: Mapping[str, Any], name: str, depth: int) -> Model:
        config = described.get("config")
        # Before Keras 2.2.3 the configuration of a Sequential was the list of its layers.
        settings: dict[str, Any] = config if isinstance(config, dict) else {"layers": config}
        spec = LayerSpec(described["class_name"], name, settings, self.keras)
        layers = settings.get("layers")
        if not isinstance(layers, list) or len(layers) > MAX_LAYERS:
            raise ModelFileError(f"model_config has no list of at most {MAX_LAYERS} layers")
        if depth > MAX_MODELS:
            spec.refuse(f"lies inside {MAX_MODELS} other models, more than are read")
        self.n_entries += len(layers)
        if self.n_entries > MAX_ENTRIES:
            raise ModelFileError(f"model_config lists more than {MAX_ENTRIES} layers in all models")
        entries = tuple(self.entry(entry, index, depth) for index, entry in enumerate(layers))
        _check_names(entries)
        if spec.class_name == "Sequential":
            if any(entry.is_input for entry in entries[1:]):
                raise ModelFileError("model_config has an InputLayer behind other layers")
            return Model(spec, entries, (), ())
        inputs, outputs = (_ends(spec, settings, key) for key in ("input_layers", "output_layers"))
        names = [reference.name for reference in inputs]
        known = {entry.spec.name for entry in entries if entry.is_input}
        if len(set(names)) != len(names) or not known.issuperset(names):
            spec.refuse(f"has input_layers {shown(names)}, which are not layers of inputs")
        return Model(spec, entries, inputs, outputs)

    def entry(self, entry: object, index: int, depth: int) -> Entry:
        named = entry
        if isinstance(entry, dict) and isinstance(entry.get("config"), list):
            named = entry | {"config": {"name": entry.get("name", f"sequential_{index}")}}
        spec = layer_spec(named, f"layer {index}", self.keras)
        assert isinstance(entry, dict)
        model = self.model(entry, spec.name, depth + 1) if spec.class_name in MODEL_CLASSES else None
        nodes = entry.get("inbound_nodes", [])
        if not isinstance(nodes, list) or len(nodes) > MAX_LAYERS:
            spec.refuse(f"has inbound_nodes = {shown(nodes)}, expected a list of at most {MAX_LAYERS}")
        if spec.class_name == "InputLayer":
            nodes = []
            for key in ("sparse", "ragged"):
                if spec.config.get(key):
                    spec.refuse(f"takes {key} inputs, which cannot be read")
        return Entry(spec, model, tuple(self.call(spec, node) for node in nodes))

    def call(self, spec: LayerSpec, node: object) -> Call:
        reads = _call(spec, node)
        self.n_reads += len(reads)
        if self.n_reads > MAX_READS:
            spec.refuse(f"is called with more tensors, with those of the layers before, than {MAX_READS}")
        return reads


def _check_names(entries: tuple[Entry, ...]) -> None:
    seen: set[str] = set()
    for entry in entries:
        if entry.spec.name in seen:
            entry.spec.refuse("shares its name with another layer")
        seen.add(entry.spec.name)


def _ends(spec: LayerSpec, settings: Mapping[str, Any], key: str) -> Call:
    """Return the tensors that a functional model lists as its inputs or outputs."""
    ends = settings.get(key)
    # Keras 3 writes a single one bare.
    listed = [ends] if _is_reference(ends) else ends
    if not isinstance(listed, list) or not listed or len(listed) > MAX_INPUTS:
        spec.refuse(f"has {key} = {shown(ends)}, expected a list of [name, node, tensor]")
    return tuple(_reference(spec, end) for end in listed)


def _call(spec: LayerSpec, node: object) -> Call:
    """Return what one of a layer's inbound nodes reads, as Keras 2 or Keras 3 writes it."""
    if isinstance(node, dict):
        arguments = node.get("args")
        if not isinstance(arguments, list) or len(arguments) != 1:
            spec.refuse(f"is called with {shown(arguments)}, expected one tensor or one list of tensors")
        _check_arguments(spec, node.get("kwargs"))
        tensors = arguments[0] if isinstance(arguments[0], list) else arguments
        reads = [_keras_tensor(spec, tensor) for tensor in tensors]
    else:
        if not isinstance(node, list):
            spec.refuse(f"is called with {shown(node)}, expected a list of [name, node, tensor]")
        tensors = [node] if _is_reference(node) else node
        reads = [_reference(spec, tensor) for tensor in tensors]
        for tensor in tensors:
            _check_arguments(spec, tensor[3] if len(tensor) == 4 else {})
    if not 0 < len(reads) <= MAX_INPUTS:
        spec.refuse(f"is called with {len(reads)} tensors, expected 1 to {MAX_INPUTS}")
    return tuple(reads)


def _is_reference(value: object) -> TypeGuard[list[Any]]:
    return isinstance(value, list) and len(value) in (3, 4) and isinstance(value[0], str)


def _reference(spec: LayerSpec, value: object) -> Reference:
    if not _is_reference(value) or not all(type(k) is int and 0 <= k <= MAX_LAYERS for k in value[1:3]):
        spec.refuse(f"refers to a tensor as {shown(value)}, expected [name, node, tensor]")
    return Reference(*value[:3])


def _keras_tensor(spec: LayerSpec, value: object) -> Reference:
    config = value.get("config") if isinstance(value, dict) else None
    if not isinstance(value, dict) or value.get("class_name") != "__keras_tensor__":
        spec.refuse(f"is called with {shown(value)}, which is no tensor of the model")
    return _reference(spec, config.get("keras_history") if isinstance(config, dict) else None)


def _check_arguments(spec: LayerSpec, arguments: object) -> None:
    """Refuse arguments of a call that could change what the layer computes."""
    if not isinstance(arguments, dict):
        spec.refuse(f"is called with the arguments {shown(arguments)}, expected an object")
    for key, value in arguments.items():
        if not any(value is ignored for ignored in _IGNORED_ARGUMENTS.get(key, ())):
            spec.refuse(f"is called with {printable(key, 40)} = {shown(value)}, which cannot be read")


def input_shapes(model: Model) -> tuple[Shape, ...]:
    """Return the shape of one input, without the axis of the samples, for each input of `model`, or raise."""
    if model.is_sequential:
        return (_checked(_sequential_shape(model)),)
    return tuple(_checked(_given(model.by_name[reference.name].spec)) for reference in model.inputs)


def _given(spec: LayerSpec) -> object:
    for key in ("batch_shape", "batch_input_shape"):
        if spec.has(key):
            return spec.config[key]
    return None


def _sequential_shape(model: Model) -> object:
    first = model.entries[0]
    shape = _given(first.spec)
    if shape is None and first.model is not None:
        # A model without an input of its own takes that of the model which it starts with.
        inner = first.model
        shape = _sequential_shape(inner) if inner.is_sequential and inner.entries else None
        if shape is None and len(inner.inputs) == 1:
            shape = _given(inner.by_name[inner.inputs[0].name].spec)
    return model.spec.config.get("build_input_shape") if shape is None else shape


def _checked(shape: object) -> Shape:
    if shape is None:
        raise ModelFileError("model_config gives no input shape; build the model before saving it")
    if isinstance(shape, list) and len(shape) - 1 > MAX_AXES:
        raise ModelFileError(
            f"model_config gives inputs of {len(shape) - 1} axes, more than the {MAX_AXES} that are computed with"
        )
    # The file of a model that was built by calling it has the number of samples of that call.
    sizes = tuple(shape[1:]) if isinstance(shape, list) else ()
    if not sizes or not all(type(size) is int and size > 0 for size in sizes):
        raise ModelFileError(
            f"model_config gives the input shape {shown(shape)}; every axis but the first must have a size"
        )
    return sizes
