"""Models as their configuration describes them: layers, models inside models, and the calls that join them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from probe._errors import InputError, ModelFileError
from probe.kerasfile._calls import (
    MAX_INPUTS,
    Call,
    flattened,
    is_reference,
    operation_call,
    plain_call,
    reference,
)
from probe.kerasfile._config import MAX_AXES, LayerSpec, Shape, layer_spec, parse_json
from probe.kerasfile._expressions import replacement
from probe.kerasfile._keras1 import is_keras_1, translated
from probe.kerasfile._operations import operation_of, program_of
from probe.kerasfile._steps import Program
from probe.safeh5 import DEFAULT_LIMITS, Limits, listed, shown

__all__ = [
    "MAX_LAYERS",
    "MAX_READS",
    "MODEL_CLASSES",
    "NOTHING_SAID",
    "Entry",
    "Model",
    "OpenShapeError",
    "Said",
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

MODEL_CLASSES = ("Sequential", "Functional", "Model")
"""Classes that hold layers; Keras before 2.4 called a functional model "Model"."""


class OpenShapeError(ModelFileError):
    """A file leaves the shape of its inputs open, and nobody said it."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One layer of a model.

    Attributes
    ----------
    spec : LayerSpec
        What the file says of it.
    model : Model or None
        What it holds if it is a model itself.
    calls : tuple of Call
        Where a functional model calls it.
    programs : tuple of Program
        Of what is no layer in the file, what it computes in each call.
    """

    spec: LayerSpec
    model: Model | None
    calls: tuple[Call, ...]
    programs: tuple[Program, ...] = ()

    @property
    def is_input(self) -> bool:
        """Whether it is a place where the model takes an input."""
        return self.spec.class_name == "InputLayer"


@dataclass(frozen=True)
class Model:
    """A model, or a model inside another.

    Its layers are in the order of the file, which is not always that of evaluation. The tensors that it takes and
    gives are () for a Sequential model; `input_keys` are the names of the inputs where they are given by name.
    """

    spec: LayerSpec
    entries: tuple[Entry, ...]
    inputs: Call
    outputs: Call
    is_keras_1: bool = False
    given_shape: Shape | None = None
    input_keys: tuple[str, ...] = ()

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


@dataclass(frozen=True, slots=True)
class Said:
    """What the user says of a model that its file does not say.

    Attributes
    ----------
    replace : mapping of str to str
        For layers by name, the expression that they compute, such as "x / 255".
    input_shape : tuple of int or None
        Shape of one input, where the file leaves sizes open.
    """

    replace: Mapping[str, str] = field(default_factory=dict)
    input_shape: Shape | None = None


NOTHING_SAID = Said()


def parse_model(
    text: str,
    keras: int | None = None,
    limits: Limits = DEFAULT_LIMITS,
    *,
    said: Said = NOTHING_SAID,
    problems: list[str] | None = None,
) -> Model:
    """Read the text of a model's configuration.

    Parameters
    ----------
    text : str
        The configuration.
    keras : int, optional
        The major version of Keras that wrote it, if that is known.
    limits : Limits
        How much is read.
    said : Said
        What the user says of the model.
    problems : list of str, optional
        Gets what is wrong with each layer, in place of an error at the first. Such a model is not one to compute with.

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
    parsing = _Parsing(keras, said, problems)
    if is_keras_1(keras, text):
        parsing.is_keras_1, parsing.keras = True, 2
    model = replace(parsing.model(described, "model", depth=1), given_shape=said.input_shape)
    if next(model.leaves(), None) is None:
        raise ModelFileError("model_config describes a model without layers")
    unused = said.replace.keys() - parsing.replaced
    if unused:
        there = [path[-1] for path, _ in model.leaves()]
        raise ModelFileError(
            f"has no layer {listed(sorted(unused))} to replace: it has {listed(there)}. Pass one of these to --replace"
        )
    return model


@dataclass(slots=True)
class _Parsing:
    """The configuration of one file, and how much of it was read."""

    keras: int
    said: Said
    problems: list[str] | None
    is_keras_1: bool = False
    n_entries: int = 0
    n_reads: int = 0
    replaced: set[str] = field(default_factory=set)

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
            return Model(spec, entries, (), (), self.is_keras_1)
        input_keys, inputs = _ends(spec, settings, "input_layers")
        _, outputs = _ends(spec, settings, "output_layers")
        names = [reference.name for reference in inputs]
        known = {entry.spec.name for entry in entries if entry.is_input}
        if len(set(names)) != len(names) or not known.issuperset(names):
            spec.refuse(f"has input_layers {shown(names)}, which are not layers of inputs")
        return Model(spec, entries, inputs, outputs, self.is_keras_1, input_keys=input_keys)

    def entry(self, entry: object, index: int, depth: int) -> Entry:
        named = entry
        if isinstance(entry, dict) and isinstance(entry.get("config"), list):
            named = entry | {"config": {"name": entry.get("name", f"sequential_{index}")}}
        if self.problems is None:
            return self.checked_entry(entry, named, index, depth)
        try:
            return self.checked_entry(entry, named, index, depth)
        except InputError as error:
            self.problems.append(str(error))
            return Entry(LayerSpec("", f"layer {index}", {}), None, ())

    def checked_entry(self, entry: object, named: object, index: int, depth: int) -> Entry:
        is_replaced = isinstance(named, dict) and self.name_of(named) in self.said.replace
        if self.is_keras_1 and not is_replaced:
            named = translated(named)
        spec = layer_spec(named, f"layer {index}", self.keras, is_replaced=is_replaced)
        assert isinstance(named, dict)
        assert isinstance(entry, dict)
        nodes = named.get("inbound_nodes", [])
        if not isinstance(nodes, list) or len(nodes) > MAX_LAYERS:
            spec.refuse(f"has inbound_nodes = {shown(nodes)}, expected a list of at most {MAX_LAYERS}")
        if is_replaced:
            self.replaced.add(spec.name)
            program = replacement(spec.name, self.said.replace[spec.name])
            calls = tuple(self.counted(spec, operation_call(spec, node)[0]) for node in nodes)
            if any(len(call) != 1 for call in calls):
                spec.refuse("reads several tensors, and can be replaced only where it reads one, x")
            return Entry(spec, None, calls, (program,) * max(len(calls), 1))
        operation = operation_of(spec, named)
        if operation is not None:
            found = [operation_call(spec, node) for node in nodes]
            calls = tuple(self.counted(spec, call) for call, _ in found)
            return Entry(spec, None, calls, tuple(program_of(spec, operation, called) for _, called in found))
        model = self.model(entry, spec.name, depth + 1) if spec.class_name in MODEL_CLASSES else None
        if spec.class_name == "InputLayer":
            nodes = []
            for key in ("sparse", "ragged"):
                if spec.config.get(key):
                    spec.refuse(f"takes {key} inputs, which cannot be read")
        keys = () if model is None else model.input_keys
        return Entry(spec, model, tuple(self.counted(spec, plain_call(spec, node, keys)) for node in nodes))

    def name_of(self, entry: Mapping[str, Any]) -> object:
        config = entry.get("config")
        name = config.get("name", entry.get("name")) if isinstance(config, dict) else None
        return name if isinstance(name, str) else None

    def counted(self, spec: LayerSpec, reads: Call) -> Call:
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


def _ends(spec: LayerSpec, settings: Mapping[str, Any], key: str) -> tuple[tuple[str, ...], Call]:
    """Return the names of the inputs or outputs of a functional model, () if not all have one, and their tensors."""
    ends = settings.get(key)
    # Keras 3 writes a single one bare.
    found = flattened(ends, is_reference)
    if not isinstance(ends, list | dict) or not 0 < len(found) <= MAX_INPUTS:
        spec.refuse(f"has {key} = {shown(ends)}, expected a list of [name, node, tensor]")
    names = tuple(name for name, _ in found)
    has_names = all(names) and len(set(names)) == len(names) and all(map(str.isprintable, names))
    return names if has_names else (), tuple(reference(spec, end) for _, end in found)


def input_shapes(model: Model) -> tuple[Shape, ...]:
    """Return the shape of one input, without the axis of the samples, for each input of `model`, or raise."""
    given = model.given_shape
    if model.is_sequential:
        return (_checked(_sequential_shape(model), given),)
    shapes = [_given(model.by_name[reference.name].spec) for reference in model.inputs]
    if given is not None and len(shapes) > 1:
        raise ModelFileError(f"takes {len(shapes)} inputs, and no input shape can be given to it")
    return tuple(_checked(shape, given) for shape in shapes)


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


def _checked(shape: object, given: Shape | None) -> Shape:
    """Return the shape of one input, with the sizes of `given` where the file leaves them open."""
    if shape is None and given is not None:
        return given
    if shape is None:
        raise OpenShapeError(
            "model_config gives no input shape; say it: --input-shape 224,224,3, or build the model before saving it"
        )
    if isinstance(shape, list) and len(shape) - 1 > MAX_AXES:
        raise ModelFileError(
            f"model_config gives inputs of {len(shape) - 1} axes, more than the {MAX_AXES} that are computed with"
        )
    # The file of a model that was built by calling it has the number of samples of that call.
    sizes = tuple(shape[1:]) if isinstance(shape, list) else ()
    if not sizes or not all(size is None or (type(size) is int and size > 0) for size in sizes):
        raise ModelFileError(
            f"model_config gives the input shape {shown(shape)}; every axis but the first must have a size"
        )
    if given is None:
        if None in sizes:
            example = ",".join("224" if size is None else str(size) for size in sizes)
            raise OpenShapeError(
                f"model_config gives the input shape {shown(shape)}, with open axes; say their sizes, such as "
                f"--input-shape {example}"
            )
        return sizes
    for fitted in (given, (*given[-1:], *given[:-1]), (*given, 1), (1, *given)):
        if len(fitted) == len(sizes) and all(
            size in (None, own) for size, own in zip(sizes, fitted, strict=True)
        ):
            return fitted
    raise ModelFileError(
        f"model_config gives the input shape {shown(shape)}, which an input shape of {','.join(map(str, given))} "
        "does not fit"
    )
