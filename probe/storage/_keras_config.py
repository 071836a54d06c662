"""The `model_config` of a Keras file: checked text in, layer specifications out, and the way back.

The configuration is data. No class, module or function that it names is ever looked up, so it cannot run
code; a layer is known when `probe.storage._keras_layers` lists its class, and refused by name otherwise.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from probe._checks import ModelFileError
from probe.storage._guard import printable

__all__ = ["LayerSpec", "ModelSpec", "parse_model_config"]

MAX_JSON_DEPTH = 100
"""Most brackets inside each other; Keras' own files stay below 20."""

MAX_LAYERS = 2000
"""Most layers in one model."""

MAX_VALUES = 1 << 28
"""Most values that one input or one layer's output may have."""

_KERAS_MODULE = re.compile(r"(tf_keras|keras|tensorflow\.keras|tensorflow\.python\.keras|builtins)(\.\w+)*")


@dataclass(frozen=True, slots=True)
class LayerSpec:
    """One layer as its file describes it, with readers that refuse what does not fit.

    Attributes
    ----------
    class_name : str
        Such as "Dense".
    name : str
        The layer's name.
    config : mapping
        Its settings, by Keras' names.
    """

    class_name: str
    name: str
    config: Mapping[str, object]

    def refuse(self, problem: str) -> NoReturn:
        """Raise a ModelFileError that names the layer."""
        raise ModelFileError(f"layer '{printable(self.name)}' ({printable(self.class_name)}) {problem}")

    def integer(self, key: str, *, minimum: int, maximum: int) -> int:
        """Return the setting `key`, an integer from `minimum` to `maximum`."""
        value = self.config.get(key)
        if type(value) is not int or not minimum <= value <= maximum:
            self.refuse(f"has {key} = {_shown(value)}, expected an integer from {minimum} to {maximum}")
        return value

    def number(self, key: str, default: float) -> float:
        """Return the setting `key`, a finite number; `default` where it is not given."""
        value = self.config.get(key, default)
        if type(value) not in (int, float) or not math.isfinite(value):  # type: ignore[arg-type]
            self.refuse(f"has {key} = {_shown(value)}, expected a finite number")
        return float(value)  # type: ignore[arg-type]

    def boolean(self, key: str, default: bool) -> bool:  # noqa: FBT001
        """Return the setting `key`, true or false; `default` where it is not given."""
        value = self.config.get(key, default)
        if type(value) is not bool:
            self.refuse(f"has {key} = {_shown(value)}, expected true or false")
        return value

    def sizes(self, key: str) -> tuple[int, ...]:
        """Return the setting `key`, a list of positive integers, one of which may be -1."""
        value = self.config.get(key)
        sizes = tuple(value) if isinstance(value, list) else ()
        if not sizes or not all(type(size) is int and (size > 0 or size == -1) for size in sizes):
            self.refuse(f"has {key} = {_shown(value)}, expected a list of positive sizes, or -1")
        return sizes


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """A chain of layers as its file describes it.

    Attributes
    ----------
    input_shape : tuple of int
        Shape of one input.
    layers : tuple of LayerSpec
        In the order of evaluation, without the input layer.
    input_name : str or None
        Name of the input layer, if there is one.
    """

    input_shape: tuple[int, ...]
    layers: tuple[LayerSpec, ...]
    input_name: str | None = None


def parse_model_config(text: str) -> ModelSpec:
    """Read the text of a file's `model_config`.

    Raises
    ------
    ModelFileError
        If it is no JSON, describes no Sequential model, or describes one that makes no sense. The
        message does not name the file.

    Examples
    --------
    >>> spec = parse_model_config('''{"class_name": "Sequential", "config": {"layers": [
    ...     {"class_name": "InputLayer", "config": {"name": "in", "batch_shape": [null, 4]}},
    ...     {"class_name": "Dense", "config": {"name": "output", "units": 3}}]}}''')
    >>> spec.input_shape, [layer.name for layer in spec.layers]
    ((4,), ['output'])
    """
    model = _parse_json(text)
    if not isinstance(model, dict):
        raise ModelFileError("model_config is not a JSON object, as Keras writes it")
    class_name, config = model.get("class_name"), model.get("config")
    if class_name != "Sequential":
        raise ModelFileError(
            f"model_config describes a {_shown(class_name)} model; only Sequential models can be read"
        )
    # Before Keras 2.2.3 the configuration of a Sequential was the list of its layers.
    settings = config if isinstance(config, dict) else {"layers": config}
    entries = settings.get("layers")
    if not isinstance(entries, list) or len(entries) > MAX_LAYERS:
        raise ModelFileError(f"model_config has no list of at most {MAX_LAYERS} layers")
    specs = [_layer_spec(entry, place) for place, entry in enumerate(entries)]
    _check_names(specs)
    layers = tuple(spec for spec in specs if spec.class_name != "InputLayer")
    if not layers:
        raise ModelFileError("model_config describes a model without layers")
    input_name = specs[0].name if specs[0].class_name == "InputLayer" else None
    return ModelSpec(_input_shape(specs, settings), layers, input_name)


def _parse_json(text: str) -> Any:
    _check_depth(text)
    try:
        return json.loads(text, parse_constant=_refuse_constant, object_pairs_hook=_unique_keys)
    except ModelFileError:
        raise
    except (ValueError, RecursionError) as error:
        raise ModelFileError(f"model_config is not valid JSON: {printable(error, 120)}") from None


def _check_depth(text: str) -> None:
    # Brackets inside strings count too; no model of Keras comes near the limit either way.
    depth = 0
    for bracket in re.findall(r"[\[\]{}]", text):
        depth += 1 if bracket in "[{" else -1
        if depth > MAX_JSON_DEPTH:
            raise ModelFileError(f"model_config is nested deeper than {MAX_JSON_DEPTH} levels")


def _refuse_constant(constant: str) -> NoReturn:
    raise ModelFileError(f"model_config holds {constant}, which is no number")


def _unique_keys(pairs: list[tuple[str, object]]) -> dict[str, object]:
    unique = dict(pairs)
    if len(unique) != len(pairs):
        raise ModelFileError("model_config names the same setting twice")
    return unique


def _layer_spec(entry: object, place: int) -> LayerSpec:
    if not isinstance(entry, dict) or not isinstance(entry.get("config"), dict):
        raise ModelFileError(f"model_config describes layer {place} by {_shown(entry)}, not by an object")
    config = entry["config"]
    class_name, name = entry.get("class_name"), config.get("name")
    if not isinstance(class_name, str):
        raise ModelFileError(f"model_config gives layer {place} the class {_shown(class_name)}")
    if not isinstance(name, str) or not name or not name.isprintable():
        raise ModelFileError(f"model_config gives layer {place} the name {_shown(name)}, expected plain text")
    spec = LayerSpec(class_name, name, config)
    if class_name == "Lambda":
        spec.refuse("holds program code, which is never run; save the model without Lambda layers")
    _check_origin(spec, entry)
    if config.get("quantization_config") is not None:
        spec.refuse("is quantised; save the model before quantising it")
    return spec


def _check_origin(spec: LayerSpec, entry: Mapping[str, object]) -> None:
    """Refuse a class that only shares its name with one of Keras."""
    registered, module = entry.get("registered_name"), entry.get("module")
    if registered not in (None, spec.class_name, f"Keras>{spec.class_name}"):
        spec.refuse(f"is registered as {_shown(registered)}; custom layers cannot be read")
    if module is not None and not (isinstance(module, str) and _KERAS_MODULE.fullmatch(module)):
        spec.refuse(f"comes from the module {_shown(module)}; custom layers cannot be read")


def _check_names(specs: list[LayerSpec]) -> None:
    seen: set[str] = set()
    for spec in specs:
        if spec.name in seen:
            spec.refuse("shares its name with another layer")
        seen.add(spec.name)


def _input_shape(specs: list[LayerSpec], settings: Mapping[str, object]) -> tuple[int, ...]:
    if any(spec.class_name == "InputLayer" for spec in specs[1:]):
        raise ModelFileError("model_config has an InputLayer behind other layers")
    given = [specs[0].config.get(key) for key in ("batch_shape", "batch_input_shape")]
    shape = next((shape for shape in (*given, settings.get("build_input_shape")) if shape is not None), None)
    if shape is None:
        raise ModelFileError("model_config gives no input shape; build the model before saving it")
    sizes = tuple(shape[1:]) if isinstance(shape, list) else ()
    if not sizes or not all(type(size) is int and size > 0 for size in sizes):
        raise ModelFileError(
            f"model_config gives the input shape {_shown(shape)}; every axis but the first must have a size"
        )
    if math.prod(sizes) > MAX_VALUES:
        raise ModelFileError(f"model_config gives inputs of {math.prod(sizes)} values, more than are read")
    return sizes


def _shown(value: object) -> str:
    return printable(repr(value), 60)
