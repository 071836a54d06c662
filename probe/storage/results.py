"""Results of analyses and of training: a frozen dataclass in, the same dataclass out.

A result is an HDF5 group with the attributes `encoding-type` (the name of the dataclass) and
`encoding-version`. Each field is a member of the group: arrays are data sets; numbers, strings, None and
tuples or mappings of these are attributes in JSON; dataclasses, and tuples or mappings that hold arrays
or dataclasses, are groups again; networks are groups in Keras' layout.

A file never decides which class is made: the caller names the class, and the types of its fields say
the rest. So a new result needs nothing here.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import os
import types
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar, Union, get_args, get_origin

import numpy as np

from probe._checks import DataFileError, InputError, readonly
from probe._signatures import checked, origin_of
from probe._text import json_default
from probe.kerasfile import model_in, write_network, write_text_attribute
from probe.network import Network
from probe.safeh5 import DEFAULT_LIMITS, File, Group, open_bytes, open_file, printable
from probe.storage._atomic import hdf5_bytes, write_bytes

if TYPE_CHECKING:
    import h5py

__all__ = ["load_result", "result_bytes", "result_from_bytes", "results_bytes", "save_result"]

Result = TypeVar("Result")

ENCODING_VERSION = "1"
"""Version of the layout that this module describes; any other is refused."""

LIMITS = dataclasses.replace(DEFAULT_LIMITS, steps=10_000_000, text_bytes=64 << 20, json_tokens=4_000_000)
"""Results have more structure than models, and come from one's own studies: ten seconds of it are read."""

MAX_MEMBERS = 1_000_000
"""Most members of one tuple or mapping that is stored as a group."""

_TYPE, _VERSION, _KEYS, _LENGTH = "encoding-type", "encoding-version", "encoding-keys", "encoding-length"
_SCALARS = (bool, int, float, str, type(None))


@checked
def save_result(result: object, path: str | os.PathLike[str]) -> Path:
    """Write a result to an HDF5 file, at once or not at all.

    Parameters
    ----------
    result : dataclass instance
        Its fields hold arrays of numbers or bools, numbers, strings, None, networks, dataclasses of the
        same kind, and tuples or mappings (with string keys) of all these.
    path : path
        The file; it is replaced if it exists, and its folder is created if need be.

    Returns
    -------
    Path
        `path`.

    Raises
    ------
    InputError
        If `result` is no dataclass or a field holds something else, or the file cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> from probe.objectives import Objective, unit
    >>> path = save_result(unit("hidden_1", 4), Path(tempfile.mkdtemp()) / "objective.h5")
    >>> load_result(path, Objective)
    Objective(layer='hidden_1', index=4, stage='pre_activation', position=None)
    """
    return write_bytes(path, result_bytes(result))


@checked
def result_bytes(result: object) -> bytes:
    """Return the content of the file that holds `result`, for checksums and for writing it elsewhere.

    Equal results give equal bytes, for one version of HDF5: the file holds no times.

    Parameters
    ----------
    result : dataclass instance
        As for `save_result`.

    Raises
    ------
    InputError
        If `result` is no dataclass or a field holds something else.

    Examples
    --------
    >>> from probe.objectives import unit
    >>> result_bytes(unit("hidden_1", 4)) == result_bytes(unit("hidden_1", 4))
    True
    """
    _check_result(result)
    return hdf5_bytes(lambda file: _write_dataclass(file, result))


@checked
def results_bytes(results: Mapping[str, object]) -> bytes:
    """Return the content of a file that holds several results, each by its name; `load_result` reads one of them.

    Raises
    ------
    InputError
        If one is no dataclass, a field holds something else than `save_result` takes, or a name is empty or has a slash.
    """
    for name, result in results.items():
        _check_result(result)
        if not name or "/" in name:
            raise InputError(f"names of results must not be empty or have a slash, got {printable(name)}")

    def write(file: h5py.File) -> None:
        for name, result in results.items():
            _write_dataclass(file.create_group(name), result)

    return hdf5_bytes(write)


def _check_result(result: object) -> None:
    if not dataclasses.is_dataclass(result) or isinstance(result, type):
        raise InputError(f"result must be a dataclass of this project, got {type(result).__name__}")


@checked
def load_result(path: str | os.PathLike[str], kind: type[Result], *, name: str | None = None) -> Result:
    """Read a result that `save_result`, a command or the report wrote.

    Parameters
    ----------
    path : path
        The file.
    kind : type
        The dataclass that it holds.
    name : str, optional
        Which of the results of a results.h5; without, the only one of that kind.

    Returns
    -------
    kind
        Equal to what was saved; its arrays are read-only.

    Raises
    ------
    DataFileError
        If the file is missing, damaged or unsafe to read, or holds something else than a `kind`, or several of them.
    InputError
        If `kind` is no dataclass.
    """
    _check_kind(kind)
    with open_file(path, DataFileError, LIMITS) as file:
        return typing.cast(Result, _read_dataclass(file, _chosen(file, kind, name), kind))


def _chosen(file: File, kind: type, name: str | None) -> Group:
    """Return the group of a file that holds the result: its root, or the one by a name or of a kind."""
    root, groups, kinds = file.root, dict[str, Group](), dict[str, str]()
    for member in file.members(root):
        group = file.group(root, member) if file.is_group(root, member) else root
        if group is not root and file.has_attribute(group, _TYPE):
            groups[member], kinds[member] = group, file.text(group, _TYPE)
    kinds = {member: held for member, held in kinds.items() if held not in ("tuple", "mapping")}
    if name is None and (file.has_attribute(root, _TYPE) or not kinds):
        return root
    suitable = [
        known for known, held in kinds.items() if known == name or (name is None and held == kind.__name__)
    ]
    if len(suitable) == 1:
        return groups[suitable[0]]
    results = ", ".join(f"{printable(known, 60)} ({printable(held, 60)})" for known, held in kinds.items())
    if suitable:
        file.refuse("/", f"holds several: {results}; pass name=")
    wanted = f"a {kind.__name__}" if name is None else f"a result {printable(name)}"
    raise file.refusal("/", f"holds {results or 'no results'}, expected {wanted}")


@checked
def result_from_bytes(content: bytes, kind: type[Result], shown: str) -> Result:
    """Return the result in the content of a file that `save_result` wrote; messages call it `shown`.

    Raises
    ------
    DataFileError
        If it is damaged or unsafe to read, or holds something else than a `kind`.
    InputError
        If `kind` is no dataclass.
    """
    _check_kind(kind)
    with open_bytes(content, shown, DataFileError, LIMITS) as file:
        return typing.cast(Result, _read_dataclass(file, file.root, kind))


def _check_kind(kind: object) -> None:
    if not dataclasses.is_dataclass(kind):
        raise InputError(f"kind must be a dataclass of this project, got {printable(kind)}")


def _write_dataclass(group: h5py.Group, value: Any) -> None:
    write_text_attribute(group, _TYPE, type(value).__name__)
    write_text_attribute(group, _VERSION, ENCODING_VERSION)
    for field in dataclasses.fields(value):
        if field.init:
            _write(group, field.name, getattr(value, field.name), f"{type(value).__name__}.{field.name}")


def _write(group: h5py.Group, name: str, value: Any, place: str) -> None:
    """Write `value` as the member or attribute `name` of `group`."""
    if isinstance(value, np.generic):
        value = value.item()
    if _is_plain(value):
        write_text_attribute(group, name, json.dumps(value, default=json_default))
    elif isinstance(value, np.ndarray):
        if value.dtype.kind not in "fiub" or value.dtype.itemsize > 8:
            raise InputError(
                f"{place} is an array of {value.dtype}; a result can hold arrays of numbers and bools"
            )
        group.create_dataset(name, data=value)
    elif isinstance(value, Network):
        write_network(group.create_group(name), value)
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        _write_dataclass(group.create_group(name), value)
    elif isinstance(value, tuple):
        _write_members(group.create_group(name), "tuple", value, place)
    elif isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
        member = group.create_group(name)
        write_text_attribute(member, _KEYS, json.dumps(list(value)))
        _write_members(member, "mapping", tuple(value.values()), place)
    else:
        raise InputError(
            f"{place} is of type {type(value).__name__}; a result can hold arrays, numbers, strings, None, "
            "dataclasses, networks, and tuples or mappings of these"
        )


def _write_members(group: h5py.Group, kind: str, values: tuple[Any, ...], place: str) -> None:
    write_text_attribute(group, _TYPE, kind)
    write_text_attribute(group, _LENGTH, str(len(values)))
    for index, value in enumerate(values):
        _write(group, str(index), value, f"{place}[{index}]")


def _is_plain(value: object) -> bool:
    """Return whether `value` is one that JSON holds: scalars, and tuples and mappings of them."""
    if isinstance(value, tuple):
        return all(_is_plain(item) for item in value)
    if isinstance(value, Mapping):
        return all(isinstance(key, str) and _is_plain(item) for key, item in value.items())
    return isinstance(value, (*_SCALARS, np.bool_, np.integer, np.floating))


def _read_dataclass(file: File, group: Group, kind: type) -> Any:
    if not file.has_attribute(group, _TYPE):
        file.refuse(group.name, f"holds no result: it has no attribute '{_TYPE}', expected a {kind.__name__}")
    actual = file.text(group, _TYPE)
    if actual != kind.__name__:
        file.refuse(group.name, f"holds a {printable(actual)}, expected a {kind.__name__}")
    version = file.text(group, _VERSION)
    if version != ENCODING_VERSION:
        file.refuse(
            group.name,
            f"has {_VERSION} {printable(version, 20)}, expected {ENCODING_VERSION}; "
            "read it with the version of probe that wrote it",
        )
    hints = _hints(kind)
    fields = [field.name for field in dataclasses.fields(kind) if field.init]
    values = {name: _read(file, group, name, hints[name]) for name in fields}
    try:
        return kind(**values)
    except (ArithmeticError, LookupError, TypeError, ValueError) as error:
        file.refuse(group.name, f"does not hold a {kind.__name__}: {printable(error, 300)}")


@functools.cache
def _hints(kind: type) -> dict[str, Any]:
    return typing.get_type_hints(kind)


def _read(file: File, group: Group, name: str, hint: Any) -> Any:
    """Read the member or attribute `name` of `group`, which must fit the type `hint`."""
    place = f"{group.name.rstrip('/')}/{name}"
    if file.has_attribute(group, name):
        return _fitted(file, file.json(group, name), hint, place)
    for option in _options(hint):
        if origin_of(option) is np.ndarray:
            # Nothing else that a field can hold is a data set.
            if not file.is_group(group, name):
                # One array under many names would take its memory many times.
                file.check_claims([(group, name)])
                return readonly(file.array(group, name, kinds="fiub", place=place))
        elif file.has(group, name) and file.is_group(group, name):
            member = file.group(group, name)
            if _matches(file, member, option):
                return _read_group(file, member, option)
    raise file.refusal(place, f"is missing or does not fit the type {_in_words(hint)}")


def _matches(file: File, member: Group, option: Any) -> bool:
    origin = origin_of(option)
    if origin is Network:
        return file.has_attribute(member, "model_config")
    if not file.has_attribute(member, _TYPE):
        return False
    if origin is tuple:
        return file.text(member, _TYPE) == "tuple"
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return file.text(member, _TYPE) == "mapping"
    return dataclasses.is_dataclass(origin) and file.text(member, _TYPE) == getattr(origin, "__name__", None)


def _read_group(file: File, member: Group, option: Any) -> Any:
    origin = origin_of(option)
    if origin is Network:
        return model_in(file, member).network()
    if dataclasses.is_dataclass(origin):
        return _read_dataclass(file, member, typing.cast(type, origin))
    length = _length(file, member)
    if origin is tuple:
        hints = _item_hints(file, option, length, member.name)
        return tuple(_read(file, member, str(index), hint) for index, hint in enumerate(hints))
    keys = file.json(member, _KEYS)
    if not isinstance(keys, list) or len(keys) != length or not all(isinstance(key, str) for key in keys):
        file.refuse(member.name, f"has {_KEYS} that do not fit its {length} members")
    hint = _value_hint(option)
    return {key: _read(file, member, str(index), hint) for index, key in enumerate(keys)}


def _length(file: File, member: Group) -> int:
    text = file.text(member, _LENGTH)
    if not text.isascii() or not text.isdigit() or len(text) > 7 or int(text) > MAX_MEMBERS:
        file.refuse(member.name, f"has {_LENGTH} {printable(text, 20)}, expected a count of members")
    return int(text)


def _fitted(file: File, value: Any, hint: Any, place: str) -> Any:
    """Return a value from JSON in the type `hint`, or refuse it."""
    for option in _options(hint):
        origin = origin_of(option)
        if origin is Any or (origin is Literal and value in get_args(option)):
            return value
        if origin is type(None) and value is None:
            return None
        if origin in (tuple, Sequence) and isinstance(value, list):
            hints = _item_hints(file, option, len(value), place)
            return tuple(_fitted(file, item, hint, place) for item, hint in zip(value, hints, strict=True))
        if isinstance(origin, type) and issubclass(origin, Mapping) and isinstance(value, dict):
            return {key: _fitted(file, item, _value_hint(option), place) for key, item in value.items()}
        # An int is a float to Python's typing, a bool is no int to this project.
        if type(value) is origin or (origin is float and type(value) is int):
            return value
    raise file.refusal(place, f"holds {printable(repr(value), 60)}, expected {_in_words(hint)}")


def _item_hints(file: File, option: Any, length: int, place: str) -> tuple[Any, ...]:
    """Return the type of each of the `length` items of a tuple of type `option`."""
    arguments = get_args(option) or (Any, ...)
    if origin_of(option) is Sequence:
        arguments = (*arguments[:1], ...)
    if arguments[-1] is Ellipsis:
        return (arguments[0],) * length
    if len(arguments) != length:
        file.refuse(place, f"holds {length} items, expected {len(arguments)}")
    return arguments


def _value_hint(option: Any) -> Any:
    """Return the type of the values of a mapping of type `option`."""
    return (*get_args(option), Any, Any)[1]


def _options(hint: Any) -> tuple[Any, ...]:
    """Return the members of a union, or the type itself."""
    return get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)


def _in_words(hint: Any) -> str:
    return printable(getattr(hint, "__name__", None) if isinstance(hint, type) else hint, 80)
