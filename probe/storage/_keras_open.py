"""Which kind of file it is, by its content, and where in it the model and the weights are.

========================================  ==========================  ================================
file                                      architecture                weights
========================================  ==========================  ================================
HDF5, attribute `model_config`            that attribute              group `model_weights`
HDF5, attribute `layer_names`             elsewhere                   the file's root
HDF5, group `layers`                      elsewhere                   group `layers`
zip archive (.keras)                      member `config.json`        member `model.weights.h5`
========================================  ==========================  ================================

The suffix says nothing: a .keras that TensorFlow before 2.13 wrote is HDF5.
"""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import h5py

from probe._checks import InputError, ModelFileError, ModelFileWarning
from probe._signatures import checked
from probe.storage._archive import is_archive, open_archive
from probe.storage._guard import GuardedFile, open_guarded, printable
from probe.storage._keras_config import parse_json
from probe.storage._keras_file import ModelFile, naming_file
from probe.storage._keras_models import MAX_LAYERS, Model, parse_model
from probe.storage._keras_weights import CONTAINERS, legacy_weights, object_weights
from probe.storage._limits import DEFAULT_LIMITS, Limits

__all__ = ["model_of_group", "open_model", "probe_group", "read_class_names", "read_own"]

ENCODING_VERSION = "1"
"""Version of the group `/probe`; a higher one is refused."""

MAX_NAMES = MAX_LAYERS
"""Most names of layers that a file can map to those that they had."""


@checked
@contextmanager
def open_model(
    path: str | os.PathLike[str],
    *,
    architecture: str | os.PathLike[str] | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> Iterator[ModelFile]:
    """Open a model file and read its description, but none of its weights.

    Parameters
    ----------
    path : path
        A whole model (.h5, .keras), or the weights of one (.weights.h5).
    architecture : path, optional
        Where the architecture is, if the file holds only weights: a `config.json`, or a file with a whole
        model. By default a .keras beside the file with the same stem.
    limits : Limits
        What is read at most.

    Yields
    ------
    ModelFile
        It can be used until the block ends.

    Raises
    ------
    ModelFileError
        If the file is missing, damaged, unsafe to read or no such model.
    """
    path = Path(path)
    if is_archive(path):
        with open_archive(path, limits) as archive:
            model = _parsed(archive.weights, archive.config, _version_of_archive(path, archive.metadata))
            find = partial(object_weights, archive.weights, archive.weights.root, model)
            yield ModelFile(archive.weights, model, find)
        return
    with open_guarded(path, limits=limits) as file:
        if file.has_attribute(file.root, "model_config"):
            yield model_of_group(file, file.root)
        else:
            yield _weights_only(file, path, architecture, limits)


def model_of_group(file: GuardedFile, group: h5py.Group) -> ModelFile:
    """Return the model that a group (or file) holds whole, in Keras' older layout.

    Raises
    ------
    InputError
        If there is none. It is the error of `file`.
    """
    if not file.has_attribute(group, "model_config"):
        file.refuse("the file" if group.name == "/" else str(group.name), _no_model(file, group))
    text = file.text(group, "model_config")
    keras = 2
    if file.has_attribute(group, "keras_version"):
        keras = _major(file.text(group, "keras_version"))
    else:
        _warn(file.shown_path, "does not say which version of Keras wrote it; it is read as one of Keras 2")
    backend = file.text(group, "backend") if file.has_attribute(group, "backend") else ""
    model = _parsed(file, text, keras)
    weights = file.group(group, "model_weights")
    return ModelFile(
        file,
        model,
        partial(legacy_weights, file, weights, model),
        class_names=read_class_names(file, group),
        backend=backend,
        own_names=_own_names(file, group),
        provenance=read_own(file, group),
    )


def _weights_only(
    file: GuardedFile, path: Path, architecture: str | os.PathLike[str] | None, limits: Limits
) -> ModelFile:
    root = file.root
    legacy = file.has_attribute(root, "layer_names") or file.has_attribute(root, "layer_names0")
    if not legacy and not any(file.has(root, name) for name in CONTAINERS):
        file.refuse("the file", _no_model(file, root))
    where = _beside(path) if architecture is None else Path(architecture)
    if where is None:
        file.refuse("the file", _no_model(file, root))
    text, keras = _architecture(where, limits)
    with _naming(where):
        model = parse_model(text, keras)
    if legacy:
        backend = file.text(root, "backend") if file.has_attribute(root, "backend") else ""
        return ModelFile(file, model, partial(legacy_weights, file, root, model), backend=backend)
    return ModelFile(file, model, partial(object_weights, file, root, model))


def _beside(path: Path) -> Path | None:
    """Return the .keras file of the same stem, if there is one."""
    stem = re.sub(r"(\.weights)?\.\w+$", "", path.name)
    found = path.with_name(f"{stem}.keras")
    return found if found.is_file() and found != path else None


def _architecture(path: Path, limits: Limits) -> tuple[str, int | None]:
    """Return the configuration of the model in a file, and which Keras wrote it if that is known."""
    if is_archive(path):
        with open_archive(path, limits) as archive:
            return archive.config, _version_of_archive(path, archive.metadata)
    if not path.is_file() or not h5py.is_hdf5(path):
        return _json_text(path, limits), None
    with open_guarded(path, limits=limits) as file:
        if not file.has_attribute(file.root, "model_config"):
            file.refuse("the file", "holds no architecture; pass a config.json or a file with a whole model")
        version = None
        if file.has_attribute(file.root, "keras_version"):
            version = _major(file.text(file.root, "keras_version"))
        return file.text(file.root, "model_config"), version


def _json_text(path: Path, limits: Limits) -> str:
    shown = printable(path, 200)
    if not path.is_file():
        raise ModelFileError(f"{shown} does not exist, or is no file. Pass a config.json or a .keras file")
    if path.stat().st_size > limits.text_bytes:
        raise ModelFileError(f"{shown} has more than the {limits.text_bytes} bytes that are read as text")
    try:
        return path.read_text("utf-8")
    except (OSError, ValueError) as error:
        raise ModelFileError(f"{shown} cannot be read as text: {printable(error)}") from None


def _version_of_archive(path: Path, metadata: str | None) -> int:
    if metadata is None:
        _warn(printable(path, 200), "has no metadata.json; it is read as one of Keras 3")
        return 3
    with _naming(path):
        found = parse_json(metadata, "metadata.json")
        version = found.get("keras_version") if isinstance(found, dict) else None
        if not isinstance(version, str):
            raise ModelFileError("metadata.json names no keras_version")
    return _major(version)


def _major(version: str) -> int:
    """Return 2 or 3; what is not readable counts as 2, as no version at all does."""
    found = re.match(r"\d{1,3}", version)
    return max(2, int(found[0])) if found else 2


def _parsed(file: GuardedFile, text: str, keras: int) -> Model:
    with naming_file(file):
        return parse_model(text, keras)


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    try:
        yield
    except InputError as error:
        raise ModelFileError(f"{printable(path, 200)}: {printable(error, 1000)}") from None


def _warn(shown: str, problem: str) -> None:
    warnings.warn(f"{shown} {problem}", ModelFileWarning, stacklevel=3)


def _no_model(file: GuardedFile, group: h5py.Group) -> str:
    weights_only = any(file.has(group, name) for name in CONTAINERS)
    if weights_only or file.has_attribute(group, "layer_names") or file.has_attribute(group, "layer_names0"):
        return (
            "holds only weights, without the model they belong to; pass its architecture as well (--architecture), "
            "a config.json or a .keras file, or save the whole model: model.save('x.h5')"
        )
    return (
        f"holds no model: it has {file.names(group)}, expected the attribute 'model_config' "
        "and the group 'model_weights', as model.save('x.h5') writes them"
    )


def probe_group(file: GuardedFile, parent: h5py.Group) -> h5py.Group | None:
    """Return the group in which probe keeps what Keras has no place for, if there is one."""
    if not file.has(parent, "probe"):
        return None
    group = file.group(parent, "probe")
    version = file.text(group, "encoding-version")
    if version != ENCODING_VERSION:
        file.refuse(
            str(group.name),
            f"has encoding-version {printable(version, 20)}, expected {ENCODING_VERSION}; "
            "read it with the version of probe that wrote it",
        )
    return group


def read_own(file: GuardedFile, parent: h5py.Group) -> dict[str, Any]:
    """Return the provenance that `save_network` kept, or {} if there is none."""
    group = probe_group(file, parent)
    if group is None or not file.has_attribute(group, "provenance"):
        return {}
    found = file.json(group, "provenance")
    if not isinstance(found, dict):
        file.refuse("/probe", "has a provenance that is no JSON object")
    return found


def read_class_names(file: GuardedFile, parent: h5py.Group) -> tuple[str, ...]:
    """Return the names of the classes that the file has; () if it has none."""
    group = probe_group(file, parent)
    if group is None or not file.has_attribute(group, "class_names"):
        return ()
    names = file.json(group, "class_names")
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        file.refuse(str(group.name), "has class_names that are no list of strings")
    return tuple(names)


def _own_names(file: GuardedFile, parent: h5py.Group) -> dict[str, str]:
    """Return the names that layers had which Keras cannot call so, by the names that they have in the file."""
    group = probe_group(file, parent)
    if group is None or not file.has_attribute(group, "own_names"):
        return {}
    names = file.json(group, "own_names")
    if not isinstance(names, dict) or not all(
        isinstance(name, str) and name and name.isprintable() for name in names.values()
    ):
        file.refuse(str(group.name), "has own_names that are no mapping of names")
    return names
