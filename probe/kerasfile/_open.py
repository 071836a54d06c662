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
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from probe._errors import ModelFileError
from probe._signatures import checked
from probe.kerasfile._config import last_net, naming, naming_file, parse_json, warn
from probe.kerasfile._file import ModelFile
from probe.kerasfile._models import Model, parse_model
from probe.kerasfile._own import (
    class_names_of,
    film_group,
    meaning_of,
    meaning_of_archive,
    names_of_layers,
    provenance_of,
)
from probe.kerasfile._weights import CONTAINERS, legacy_weights, object_weights
from probe.safeh5 import (
    DEFAULT_LIMITS,
    DamagedError,
    File,
    Group,
    Limits,
    ZipArchive,
    ZipError,
    is_hdf5,
    limits_of,
    listed,
    open_bytes,
    open_file,
    open_regular,
    open_zip,
    printable,
)

__all__ = ["is_archive", "model_in", "open_archive", "open_model", "read_provenance"]

CONFIG, METADATA, WEIGHTS = "config.json", "metadata.json", "model.weights.h5"

MAX_METADATA_BYTES = 64 << 10

_MAGIC = b"PK"
"""How every zip archive begins, also one without members."""


@dataclass(frozen=True, slots=True)
class Archive:
    """An open .keras archive."""

    config: str
    metadata: str | None
    weights: File


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
    path = Path(path)
    where = None if architecture is None else Path(architecture)
    with ExitStack() as opened:
        # Not around what the caller does with the model.
        with last_net(printable(path, 200)):
            model = _opened(opened, path, where, limits_of(limits))
        yield model


def _opened(opened: ExitStack, path: Path, architecture: Path | None, limits: Limits) -> ModelFile:
    """Return the model in a file that stays open until `opened` closes it."""
    other = None if architecture is None else _model_of(architecture, limits)
    if is_archive(path):
        archive = opened.enter_context(open_archive(path, limits))
        file, model = archive.weights, other
        if model is None:
            keras = _version_of_archive(path, archive.metadata, limits)
            with naming_file(file):
                model = parse_model(archive.config, keras, limits)
        find = partial(object_weights, file, file.root, model)
        return ModelFile(file, model, find, meaning=meaning_of_archive(archive.config))
    file = opened.enter_context(open_file(path, ModelFileError, limits))
    if file.has_attribute(file.root, "model_config"):
        return model_in(file, file.root, other)
    return _weights_only(file, path, other, limits)


def model_in(file: File, group: Group, architecture: Model | None = None) -> ModelFile:
    """Return the model that a group of an open file (or its root) holds whole, in Keras' older layout.

    Parameters
    ----------
    file : File
        As `probe.safeh5.open_file` gives it; it must stay open while the model is used.
    group : Group
        Such as `file.root`.
    architecture : Model, optional
        The architecture, if not that of the group.

    Raises
    ------
    InputError
        If there is no model, or a damaged one. It is the error of `file`.
    """
    if not file.has_attribute(group, "model_config"):
        file.refuse("the file" if group.name == "/" else group.name, _no_model(file, group))
    model = architecture
    if model is None:
        text, keras = _configuration(file, group)
        if keras is None:
            warn(
                file.shown_path, "does not say which version of Keras wrote it; it is read as one of Keras 2"
            )
        with naming_file(file):
            model = parse_model(text, keras or 2, file.limits)
    weights = file.group(group, "model_weights")
    return ModelFile(
        file,
        model,
        partial(legacy_weights, file, weights, model, replaced=architecture is not None),
        class_names=class_names_of(file, group),
        backend=_backend(file, group),
        # They are for the architecture that the file has itself.
        own_names=names_of_layers(file, group) if architecture is None else {},
        provenance=provenance_of(file, group),
        meaning=meaning_of(file, group),
        film=film_group(file, group) if architecture is None else None,
    )


def _configuration(file: File, group: Group) -> tuple[str, int | None]:
    """Return the configuration of the model in a group, and which Keras wrote it if that is known."""
    text = file.text(group, "model_config")
    said = file.has_attribute(group, "keras_version")
    return text, _major(file.text(group, "keras_version")) if said else None


def _backend(file: File, group: Group) -> str:
    return file.text(group, "backend") if file.has_attribute(group, "backend") else ""


def _weights_only(file: File, path: Path, model: Model | None, limits: Limits) -> ModelFile:
    root = file.root
    is_legacy = _has_legacy_weights(file, root)
    if model is None and (is_legacy or _has_object_weights(file, root)):
        beside = path.with_name(re.sub(r"(\.weights)?\.\w+$", "", path.name) + ".keras")
        if beside.is_file() and beside != path:
            model = _model_of(beside, limits)
    if model is None or not (is_legacy or _has_object_weights(file, root)):
        file.refuse("the file", _no_model(file, root))
    if is_legacy:
        return ModelFile(
            file, model, partial(legacy_weights, file, root, model), backend=_backend(file, root)
        )
    return ModelFile(file, model, partial(object_weights, file, root, model))


def _has_legacy_weights(file: File, group: Group) -> bool:
    return file.has_attribute(group, "layer_names") or file.has_attribute(group, "layer_names0")


def _has_object_weights(file: File, group: Group) -> bool:
    return any(file.has(group, name) for name in CONTAINERS)


def _model_of(path: Path, limits: Limits) -> Model:
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
        return _configuration(file, file.root)


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
    shown_path = printable(path, 200)
    if metadata is None:
        warn(shown_path, "has no metadata.json; it is read as one of Keras 3")
        return 3
    with naming(shown_path):
        described = parse_json(metadata, "metadata.json", limits)
        version = described.get("keras_version") if isinstance(described, dict) else None
        if not isinstance(version, str):
            raise ModelFileError("metadata.json names no keras_version")
    return _major(version)


def _major(version: str) -> int:
    """Return 2 or 3; what is not readable counts as 2, as no version at all does."""
    digits = re.match(r"\d{1,3}", version)
    return max(2, int(digits[0])) if digits else 2


def _no_model(file: File, group: Group) -> str:
    if _has_object_weights(file, group) or _has_legacy_weights(file, group):
        return (
            "holds only weights, without the model they belong to; pass its architecture as well (--architecture), "
            "a config.json or a .keras file, or save the whole model: model.save('x.h5')"
        )
    return (
        f"holds no model: it has {file.names(group)}, expected the attribute 'model_config' "
        "and the group 'model_weights', as model.save('x.h5') writes them"
    )


@checked
def read_provenance(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Return the provenance that was written into the file with its network; empty if it has none.

    Raises
    ------
    ModelFileError
        If the file is missing, damaged or unsafe to read.
    """
    if is_archive(path):
        return {}
    with last_net(printable(path, 200)), open_file(path, ModelFileError) as file:
        return provenance_of(file, file.root)


def is_archive(path: str | os.PathLike[str]) -> bool:
    """Return whether the file begins as a zip archive does; False if it cannot be read."""
    try:
        with open_regular(path) as file:
            return file.read(2) == _MAGIC
    except (DamagedError, OSError, ValueError):
        return False


@contextmanager
def open_archive(path: str | os.PathLike[str], limits: Limits | None = DEFAULT_LIMITS) -> Iterator[Archive]:
    """Open a .keras archive for reading.

    Nothing is ever extracted: three members are read into memory, and no more of each than the limits allow, whatever
    the archive says.
    """
    shown_path, most = printable(os.fspath(path), 200), limits_of(limits)
    try:
        config, metadata, weights = _members(Path(path), most)
    except ModelFileError as failure:
        between = ": " if str(failure).startswith("the ") else " "
        raise ModelFileError(f"{shown_path}{between}{failure}") from None
    except (DamagedError, OSError, ValueError) as failure:
        is_too_much = isinstance(failure, ZipError) and "more than the" in str(failure)
        again = "" if is_too_much else ". Save or copy it again"
        raise ModelFileError(
            f"{shown_path} is a damaged zip archive: {printable(failure, 200)}{again}"
        ) from None
    with open_bytes(weights, f"{shown_path}, {WEIGHTS}", ModelFileError, limits) as file:
        # What is wrong inside is said of the archive that the user knows.
        yield Archive(config, metadata, file)


def _members(path: Path, most: Limits) -> tuple[str, str | None, bytes]:
    """Return the configuration, what was kept about the file, and the weights. Errors do not name the archive."""
    size = path.stat().st_size
    if size > most.file_bytes:
        raise ModelFileError(f"has {size} bytes, more than the {most.file_bytes} that are read")
    with open_zip(path, most_members=most.archive_members) as archive:
        members = archive.members
        # No model has names that lead out of the archive, and other programs may follow them.
        for name in members:
            parts = name.replace("\\", "/").rstrip("/").split("/")
            if any(part in ("", ".", "..") or ":" in part for part in parts):
                raise ModelFileError(
                    f"the member '{printable(name)}' has a path that leads out of the archive"
                )
        there = f"It has {listed(members, letters=40, none='nothing')}"
        if CONFIG not in members:
            raise ModelFileError(f"has no {CONFIG}; it is no model that Keras saved. {there}")
        if WEIGHTS not in members:
            raise ModelFileError(f"has no {WEIGHTS}; weights of another kind are not read. {there}")
        config = _text(archive, CONFIG, most.text_bytes, most)
        metadata = _text(archive, METADATA, MAX_METADATA_BYTES, most) if METADATA in members else None
        return config, metadata, _content(archive, WEIGHTS, most.archive_bytes, most)


def _content(archive: ZipArchive, name: str, most_bytes: int, most: Limits) -> bytes:
    member = archive.members[name]
    if member.n_bytes > 1 << 20 and member.n_bytes > most.compression * member.n_packed:
        raise ModelFileError(
            f"the member '{name}' takes {member.n_bytes} bytes but is stored in {member.n_packed}"
        )
    return archive.read(name, most_bytes).tobytes()


def _text(archive: ZipArchive, name: str, most_bytes: int, most: Limits) -> str:
    try:
        return _content(archive, name, most_bytes, most).decode()
    except UnicodeDecodeError:
        raise ModelFileError(f"the member '{name}' is no UTF-8 text") from None
