"""The JSON in which Keras describes a model: checked text in, settings that refuse what does not fit out.

The configuration is data. No class, module or function that it names is ever looked up, so it cannot run
code; a layer is known when `probe.kerasfile._layers` lists its class, and refused by name otherwise.
"""

from __future__ import annotations

import json
import math
import re
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NoReturn

from probe._errors import InputError, ModelFileError, ModelFileWarning
from probe.safeh5 import DEFAULT_LIMITS, DamagedError, File, Limits, check_json, printable, shown

__all__ = [
    "MAX_AXES",
    "MAX_SIZE",
    "LayerSpec",
    "Shape",
    "check_origin",
    "instead",
    "last_net",
    "layer_spec",
    "naming",
    "naming_file",
    "parse_json",
    "warn",
]

MAX_AXES = 31
"""Most axes of one input or one output: with that of the samples NumPy computes safely with 32."""

MAX_NUMBER = 1e30
"""Largest number that a setting may have: what is beyond overflows somewhere in a network of float32."""

MAX_SIZE = 1 << 28
"""Largest size, stride or count that a setting may have."""

Shape = tuple[int, ...]

MAX_DIGITS = 100
"""Most characters of one number; Python's own numbers have up to 24."""

_KERAS_MODULE = re.compile(r"(tf_keras|keras|tensorflow\.keras|tensorflow\.python\.keras|builtins)(\.\w+)*")
_MAX_MODULE = 200
"""Most letters of the name of a module."""


@contextmanager
def naming_file(file: File) -> Iterator[None]:
    """Put the name of the file in front of errors that do not know it."""
    with naming(file.shown_path, file.error):
        yield


@contextmanager
def naming(shown_path: str, error: type[Exception] = ModelFileError) -> Iterator[None]:
    """Put `shown_path` in front of errors that do not know it; see also `last_net`."""
    with last_net(shown_path, error):
        try:
            yield
        except InputError as failure:
            if str(failure).startswith(shown_path):
                raise
            # Errors of a file have cut what it says; those of layers and networks have not.
            most = 1000 if isinstance(failure, ModelFileError) else 300
            kind = type(failure) if isinstance(failure, error) else error
            raise kind(f"{shown_path}: {printable(failure, most)}") from None


@contextmanager
def last_net(shown_path: str, error: type[Exception] = ModelFileError) -> Iterator[None]:
    """Make errors of the file of all exceptions that no check foresaw: no content of a file ends in a traceback."""
    try:
        yield
    except (InputError, Warning):
        raise
    except MemoryError:
        raise error(f"{shown_path} holds a model that takes more memory than there is") from None
    except Exception as failure:
        problem = f"{type(failure).__name__}: {printable(failure, 120)}"
        raise error(f"{shown_path} cannot be read ({problem})") from failure


def warn(shown_path: str, problem: str) -> None:
    """Warn of something odd in a file that can be read all the same."""
    between = " " if problem.startswith(("has no ", "does not ")) else ": "
    warnings.warn(f"{shown_path}{between}{printable(problem, 300)}", ModelFileWarning, stacklevel=3)


def parse_json(text: str, what: str = "model_config", limits: Limits = DEFAULT_LIMITS) -> Any:
    """Return what the JSON `text` holds.

    Examples
    --------
    >>> parse_json('{"units": 3}')
    {'units': 3}
    """
    try:
        check_json(text, what, limits)
    except DamagedError as error:
        raise ModelFileError(str(error)) from None

    def refuse(problem: str) -> NoReturn:
        raise ModelFileError(f"{what} {problem}") from None

    def unique_keys(pairs: list[tuple[str, object]]) -> dict[str, object]:
        unique = dict(pairs)
        if len(unique) != len(pairs):
            refuse("names the same setting twice")
        return unique

    def integer(digits: str) -> int:
        if len(digits) > MAX_DIGITS:
            refuse(f"holds a number of {len(digits)} digits, more than the {MAX_DIGITS} that are read")
        return int(digits)

    def number(digits: str) -> float:
        if len(digits) > MAX_DIGITS:
            refuse(f"holds a number of {len(digits)} characters, more than the {MAX_DIGITS} that are read")
        value = float(digits)
        if not math.isfinite(value):
            refuse(f"holds {digits}, which is no finite number")
        return value

    try:
        return json.loads(
            text,
            parse_constant=lambda constant: refuse(f"holds {constant}, which is no number"),
            parse_int=integer,
            parse_float=number,
            object_pairs_hook=unique_keys,
        )
    except ModelFileError:
        raise
    except (ValueError, RecursionError) as error:
        refuse(f"is not valid JSON: {printable(error, 120)}")


@dataclass(frozen=True, slots=True)
class LayerSpec:
    """One layer as its file describes it, with readers that refuse what does not fit."""

    class_name: str
    name: str
    config: Mapping[str, object]
    keras: int = field(default=3)

    def refuse(self, problem: str) -> NoReturn:
        """Raise a ModelFileError that names the layer."""
        raise ModelFileError(f"layer '{printable(self.name)}' ({printable(self.class_name)}) {problem}")

    def has(self, key: str) -> bool:
        """Return whether the setting `key` is there and not null."""
        return self.config.get(key) is not None

    def integer(self, key: str, *, minimum: int, maximum: int, default: int | None = None) -> int:
        """Return the setting `key`, an integer from `minimum` to `maximum`."""
        value = self.config.get(key, default)
        if type(value) is not int or not minimum <= value <= maximum:
            self.refuse(f"has {key} = {shown(value)}, expected an integer from {minimum} to {maximum}")
        return value

    def number(self, key: str, default: float, maximum: float = MAX_NUMBER) -> float:
        """Return the setting `key`, a number from -`maximum` to `maximum`; `default` where it is not given."""
        return self._number(key, self.config.get(key, default), maximum)

    def numbers(self, key: str, default: float) -> float | tuple[float, ...]:
        """Return the setting `key`, a number or a list of numbers, as `number` returns one."""
        value = self.config.get(key, default)
        if isinstance(value, list) and value:
            return tuple(self._number(key, item) for item in value)
        return self._number(key, value)

    def finite(self, value: object) -> float:
        """Return a constant that the layer is called with, a number."""
        return self._number("a constant", value)

    def boolean(self, key: str, default: bool) -> bool:  # noqa: FBT001
        """Return the setting `key`, true or false, also as 1 or 0; `default` where it is not given."""
        value = self.config.get(key, default)
        if type(value) not in (bool, int) or value not in (0, 1):
            self.refuse(f"has {key} = {shown(value)}, expected true or false")
        return bool(value)

    def choice(self, key: str, choices: tuple[str, ...]) -> str:
        """Return the setting `key`, one of `choices`; the first where it is null or not given."""
        value = self.config.get(key)
        if value is None:
            return choices[0]
        if not isinstance(value, str) or value not in choices:
            self.refuse(f"has {key} = {shown(value)}, expected {' or '.join(choices)}")
        return value

    def sizes(self, key: str) -> tuple[int, ...]:
        """Return the setting `key`, a list of positive integers, one of which may be -1."""
        value = self.config.get(key)
        sizes = tuple(self._listed(key, value, MAX_AXES)) if isinstance(value, list) else ()
        if not sizes or not all(type(size) is int and (size > 0 or size == -1) for size in sizes):
            self.refuse(f"has {key} = {shown(value)}, expected a list of positive sizes, or -1")
        return sizes

    def pair(
        self, key: str, default: int | tuple[int, int] | None = None, minimum: int = 1
    ) -> tuple[int, int]:
        """Return the setting `key`, an integer for both axes of an image or a list of two."""
        value: Any = self.config.get(key)
        value = default if value is None else value
        sizes = value[:3] if isinstance(value, (list, tuple)) else [value, value]
        if len(sizes) != 2 or not all(type(size) is int and minimum <= size <= MAX_SIZE for size in sizes):
            self.refuse(f"has {key} = {shown(value)}, expected one or two integers from {minimum}")
        return sizes[0], sizes[1]

    def margins(self, key: str) -> tuple[tuple[int, int], tuple[int, int]]:
        """Return the setting `key`, pixels at ((top, bottom), (left, right)), also given as one or two."""
        value: Any = self.config.get(key)
        per_axis = value[:3] if isinstance(value, list) else [value, value]
        sides = [side[:3] if isinstance(side, list) else [side, side] for side in per_axis]
        counts = [count for side in sides for count in side]
        regular = len(sides) == 2 and all(len(side) == 2 for side in sides)
        if not regular or not all(type(count) is int and 0 <= count <= MAX_SIZE for count in counts):
            self.refuse(f"has {key} = {shown(value)}, expected counts of pixels, from 0")
        return (counts[0], counts[1]), (counts[2], counts[3])

    def axis(self, rank: int, default: int = -1, key: str = "axis") -> int:
        """Return the setting `key`, one axis of arrays with `rank` axes behind that of the samples.

        It is counted with the axis of the samples, or from the end. Keras 2 writes it as a list.
        """
        value = self.config.get(key, default)
        value = value[0] if isinstance(value, list) and len(value) == 1 else value
        if type(value) is not int or value == 0 or not -rank <= value <= rank:
            self.refuse(f"has {key} = {shown(value)}, expected an axis of arrays with {rank + 1} axes")
        return value

    def axes(self, rank: int, default: object, key: str = "axis") -> tuple[int, ...]:
        """Return the setting `key`, distinct axes as `axis` has one, in the order of arrays; () for null."""
        setting = self.config.get(key, default)
        value = [] if setting is None else self._listed(key, setting, MAX_AXES)
        if not all(type(axis) is int and axis != 0 and -rank <= axis <= rank for axis in value):
            self.refuse(f"has {key} = {shown(value)}, expected axes of arrays with {rank + 1} axes")
        axes = tuple(sorted(value, key=lambda axis: int(axis) % (rank + 1)))
        if len({axis % (rank + 1) for axis in axes}) != len(axes):
            self.refuse(f"has {key} = {shown(value)}, which names an axis twice")
        return axes

    def _listed(self, key: str, value: object, most: int) -> list[Any]:
        """Return a setting that is one value or a list of at most `most`, as a list."""
        entries = value if isinstance(value, list) else [value]
        if len(entries) > most:
            self.refuse(f"has {key} with {len(entries)} entries, expected at most {most}")
        return entries

    def _number(self, key: str, value: object, maximum: float = MAX_NUMBER) -> float:
        # False for NaN, and exact for integers of any size.
        if not isinstance(value, (int, float)) or isinstance(value, bool) or not abs(value) <= maximum:
            self.refuse(f"has {key} = {shown(value)}, expected a finite number of at most {maximum:.3g}")
        return float(value)


def layer_spec(entry: object, place: str, keras: int, *, is_replaced: bool = False) -> LayerSpec:
    """Return the specification in one entry of a model's list of layers; `place` is what messages call it.

    Where the user says what the layer computes, it may be any.
    """
    if not isinstance(entry, dict) or not isinstance(entry.get("config"), dict):
        raise ModelFileError(f"model_config describes {place} by {shown(entry)}, not by an object")
    config = entry["config"]
    class_name = entry.get("class_name")
    # The name stands beside the configuration too, where functional models have it.
    name = config.get("name", entry.get("name"))
    if class_name == "TensorFlowOpLayer":
        # It has another name for itself.
        name = entry.get("name", name)
    if not isinstance(class_name, str):
        raise ModelFileError(f"model_config gives {place} the class {shown(class_name)}")
    if not isinstance(name, str) or not name or not name.isprintable():
        raise ModelFileError(f"model_config gives {place} the name {shown(name)}, expected plain text")
    spec = LayerSpec(class_name, name, config, keras)
    if not is_replaced:
        check_origin(spec, entry)
        _check_precision(spec)
    return spec


def check_origin(spec: LayerSpec, entry: Mapping[str, object]) -> None:
    """Refuse a class that only shares its name with one of Keras."""
    class_name = entry.get("class_name")
    registered, module = entry.get("registered_name"), entry.get("module")
    if registered not in (None, class_name, f"Keras>{class_name}"):
        spec.refuse(
            f"is registered as {shown(registered)}: a custom layer, whose code is not in the file; {instead(spec)}"
        )
    known = isinstance(module, str) and len(module) <= _MAX_MODULE and _KERAS_MODULE.fullmatch(module)
    if module is not None and not known:
        spec.refuse(
            f"comes from the module {shown(module)}: a custom layer, whose code is not in the file; {instead(spec)}"
        )


def _check_precision(spec: LayerSpec) -> None:
    policy = spec.config.get("dtype")
    policy_class = policy.get("class_name") if isinstance(policy, dict) else policy
    quantized = isinstance(policy_class, str) and policy_class.startswith(("Quantized", "int8", "float8"))
    if quantized or spec.has("quantization_config"):
        spec.refuse("is quantized; save the model before quantizing it")


def instead(spec: LayerSpec) -> str:
    """Return what to do about a layer without weights that cannot be read."""
    name = printable(spec.name, 60)
    return (
        f"say what it computes (--replace {name}='x / 127.5 - 1', if that is it; crop and resize are known too), or "
        "build the same model with layers such as Rescaling in its place and pass its config.json (--architecture)"
    )
