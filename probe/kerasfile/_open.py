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
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from probe._checks import InputError, ModelFileError, ModelFileWarning
from probe._signatures import checked
from probe.kerasfile._archive import is_archive, open_archive
from probe.kerasfile._file import ModelFile
from probe.kerasfile._graph import MAX_NAMES
from probe.kerasfile._json import parse_json
from probe.kerasfile._loss import Meaning, meaning_of_archive, meaning_of_training
from probe.kerasfile._models import Model, parse_model
from probe.kerasfile._naming import last_net, naming, naming_file
from probe.kerasfile._printable import listed, printable, shown
from probe.kerasfile._weights import CONTAINERS, legacy_weights, object_weights
from probe.safeh5 import DEFAULT_LIMITS, File, Group, Limits, is_hdf5, limits_of, open_file

__all__ = ["model_of_group", "open_model", "probe_group", "read_class_names", "read_own"]

ENCODING_VERSION = "1"
"""Version of the group `/probe`; a higher one is refused."""


@checked
@contextmanager
def open_model(
    path: str | os.PathLike[str],
    *,
    architecture: str | os.PathLike[str] | None = None,
    limits: Limits | None = DEFAULT_LIMITS,
) -> Iterator[ModelFile]:
    """Open a model file and read its description, but none of its weights.

    Parameters
    ----------
    path : path
        A whole model (.h5, .keras), or the weights of one (.weights.h5).
    architecture : path, optional
        Where the architecture is: a `config.json`, or a file with a whole model. By default that of the file;
        for a file that holds only weights, a .keras beside it with the same stem. A whole model can be given
        another one too, such as one with a Rescaling where the file has a Lambda.
    limits : Limits or None
        What is read at most; None for a file of one's own: as much as there is.

    Yields
    ------
    ModelFile
        It can be used until the block ends.

    Raises
    ------
    ModelFileError
        If the file is missing, damaged, unsafe to read or no such model.
    """
    path = _path("path", path)
    where = None if architecture is None else _path("architecture", architecture)
    with ExitStack() as opened:
        # Not around what the caller does with the model.
        with last_net(printable(path, 200)):
            model = _opened(opened, path, where, limits_of(limits))
        yield model


def _path(name: str, value: object) -> Path:
    try:
        return Path(value)  # type: ignore[arg-type]
    except TypeError:
        raise InputError(f"{name} must be a path, got {type(value).__name__}") from None


def _opened(opened: ExitStack, path: Path, architecture: Path | None, limits: Limits) -> ModelFile:
    """Return the model in a file that stays open until `opened` closes it."""
    given = None if architecture is None else _given(architecture, limits)
    if is_archive(path):
        archive = opened.enter_context(open_archive(path, limits))
        model = given
        if model is None:
            keras = _version_of_archive(path, archive.metadata, limits)
            model = _parsed(archive.weights, archive.config, keras)
        find = partial(object_weights, archive.weights, archive.weights.root, model)
        return ModelFile(archive.weights, model, find, meaning=meaning_of_archive(archive.config))
    file = opened.enter_context(open_file(path, ModelFileError, limits))
    if file.has_attribute(file.root, "model_config"):
        return model_of_group(file, file.root, given)
    return _weights_only(file, path, given, limits)


def model_of_group(file: File, group: Group, given: Model | None = None) -> ModelFile:
    """Return the model that a group (or file) holds whole, in Keras' older layout.

    Its architecture is that of the group, or the `given` one.

    Raises
    ------
    InputError
        If there is none. It is the error of `file`.
    """
    if not file.has_attribute(group, "model_config"):
        file.refuse("the file" if group.name == "/" else str(group.name), _no_model(file, group))
    model = _own_model(file, group) if given is None else given
    backend = file.text(group, "backend") if file.has_attribute(group, "backend") else ""
    weights = file.group(group, "model_weights")
    return ModelFile(
        file,
        model,
        partial(legacy_weights, file, weights, model, replaced=given is not None),
        class_names=read_class_names(file, group),
        backend=backend,
        # They are for the architecture that the file has itself.
        own_names=_own_names(file, group) if given is None else {},
        provenance=read_own(file, group),
        meaning=_meaning(file, group),
    )


def _own_model(file: File, group: Group) -> Model:
    text, keras = file.text(group, "model_config"), 2
    if file.has_attribute(group, "keras_version"):
        keras = _major(file.text(group, "keras_version"))
    else:
        _warn(file.shown_path, "does not say which version of Keras wrote it; it is read as one of Keras 2")
    return _parsed(file, text, keras)


def _weights_only(file: File, path: Path, given: Model | None, limits: Limits) -> ModelFile:
    root = file.root
    legacy = file.has_attribute(root, "layer_names") or file.has_attribute(root, "layer_names0")
    if not legacy and not any(file.has(root, name) for name in CONTAINERS):
        file.refuse("the file", _no_model(file, root))
    beside = _beside(path) if given is None else None
    model = given if beside is None else _given(beside, limits)
    if model is None:
        file.refuse("the file", _no_model(file, root))
    if legacy:
        backend = file.text(root, "backend") if file.has_attribute(root, "backend") else ""
        return ModelFile(file, model, partial(legacy_weights, file, root, model), backend=backend)
    return ModelFile(file, model, partial(object_weights, file, root, model))


def _beside(path: Path) -> Path | None:
    """Return the .keras file of the same stem, if there is one."""
    stem = re.sub(r"(\.weights)?\.\w+$", "", path.name)
    found = path.with_name(f"{stem}.keras")
    return found if found.is_file() and found != path else None


def _given(path: Path, limits: Limits) -> Model:
    """Return the architecture in a file."""
    text, keras = _architecture(path, limits)
    with naming(printable(path, 200)):
        return parse_model(text, keras, limits)


def _architecture(path: Path, limits: Limits) -> tuple[str, int | None]:
    """Return the configuration of the model in a file, and which Keras wrote it if that is known."""
    if is_archive(path):
        with open_archive(path, limits) as archive:
            return archive.config, _version_of_archive(path, archive.metadata, limits)
    if not path.is_file() or not is_hdf5(path):
        return _json_text(path, limits), None
    with open_file(path, ModelFileError, limits) as file:
        if not file.has_attribute(file.root, "model_config"):
            file.refuse("the file", "holds no architecture; pass a config.json or a file with a whole model")
        version = None
        if file.has_attribute(file.root, "keras_version"):
            version = _major(file.text(file.root, "keras_version"))
        return file.text(file.root, "model_config"), version


def _json_text(path: Path, limits: Limits) -> str:
    shown_path = printable(path, 200)
    if not path.is_file():
        raise ModelFileError(
            f"{shown_path} does not exist, or is no file. Pass a config.json or a .keras file"
        )
    if path.stat().st_size > limits.text_bytes:
        raise ModelFileError(
            f"{shown_path} has more than the {limits.text_bytes} bytes that are read as text"
        )
    try:
        return path.read_text("utf-8")
    except (OSError, ValueError) as error:
        raise ModelFileError(f"{shown_path} cannot be read as text: {printable(error)}") from None


def _version_of_archive(path: Path, metadata: str | None, limits: Limits) -> int:
    if metadata is None:
        _warn(printable(path, 200), "has no metadata.json; it is read as one of Keras 3")
        return 3
    with naming(printable(path, 200)):
        found = parse_json(metadata, "metadata.json", limits)
        version = found.get("keras_version") if isinstance(found, dict) else None
        if not isinstance(version, str):
            raise ModelFileError("metadata.json names no keras_version")
    return _major(version)


def _major(version: str) -> int:
    """Return 2 or 3; what is not readable counts as 2, as no version at all does."""
    found = re.match(r"\d{1,3}", version)
    return max(2, int(found[0])) if found else 2


def _parsed(file: File, text: str, keras: int) -> Model:
    with naming_file(file):
        return parse_model(text, keras, file.limits)


def _warn(shown_path: str, problem: str) -> None:
    warnings.warn(f"{shown_path} {problem}", ModelFileWarning, stacklevel=3)


def _no_model(file: File, group: Group) -> str:
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


def probe_group(file: File, parent: Group) -> Group | None:
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


def _json(file: File, group: Group, name: str) -> Any:
    with naming_file(file):
        return parse_json(file.text(group, name), f"attribute '{name}' of {group.name}", file.limits)


def read_own(file: File, parent: Group) -> dict[str, Any]:
    """Return the provenance that `save_network` kept, or {} if there is none."""
    group = probe_group(file, parent)
    if group is None or not file.has_attribute(group, "provenance"):
        return {}
    found = _json(file, group, "provenance")
    if not isinstance(found, dict):
        file.refuse("/probe", "has a provenance that is no JSON object")
    return found


def read_class_names(file: File, parent: Group) -> tuple[str, ...]:
    """Return the names of the classes that the file has; () if it has none."""
    group = probe_group(file, parent)
    if group is None or not file.has_attribute(group, "class_names"):
        return ()
    names = _json(file, group, "class_names")
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        file.refuse(str(group.name), "has class_names that are no list of strings")
    _check_names(file, group, "class_names", names)
    return tuple(names)


def _meaning(file: File, group: Group) -> Meaning:
    """Return what the outputs are, by our own word or by the loss; "" where nothing readable says it."""
    own = probe_group(file, group)
    if own is not None and file.has_attribute(own, "outputs"):
        return "regression" if file.text(own, "outputs") == "regression" else ""
    try:
        if file.has_attribute(group, "training_config"):
            return meaning_of_training(file.text(group, "training_config"))
    except ModelFileError:
        pass  # it is not needed to read the model
    return ""


def _own_names(file: File, parent: Group) -> dict[str, str]:
    """Return the names that layers had which Keras cannot call so, by the names that they have in the file."""
    group = probe_group(file, parent)
    if group is None or not file.has_attribute(group, "own_names"):
        return {}
    names = _json(file, group, "own_names")
    if not isinstance(names, dict) or not all(isinstance(name, str) for name in names.values()):
        file.refuse(str(group.name), "has own_names that are no mapping of names")
    _check_names(file, group, "own_names", list(names.values()))
    return names


def _check_names(file: File, group: Group, what: str, names: list[str]) -> None:
    """Refuse names that cannot be shown, or that are given twice."""
    bad = [name for name in names if not name or not name.isprintable()]
    if bad:
        file.refuse(str(group.name), f"has {what} that cannot be shown: {shown(bad)}; expected plain text")
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        file.refuse(
            str(group.name), f"has {what} that are there twice: {listed(twice)}; each must be there once"
        )
    letters = sum(map(len, names))
    if letters > MAX_NAMES:
        file.refuse(
            str(group.name), f"has {what} of {letters} letters, more than the {MAX_NAMES} that are read"
        )
