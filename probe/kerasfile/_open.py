"""Which kind of file it is, by its content, and where in it the model and the weights are.

========================================  ==========================  ================================
file                                      architecture                weights
========================================  ==========================  ================================
HDF5, attribute `model_config`            that attribute              group `model_weights`
HDF5, attribute `layer_names`             elsewhere                   the file's root
HDF5, group `layers`                      elsewhere                   group `layers`
zip archive (.keras)                      member `config.json`        member `model.weights.h5`
zip archive with one model in it          in that model               in that model
========================================  ==========================  ================================

The suffix says nothing: a .keras that TensorFlow before 2.13 wrote is HDF5. What is none of these is named by
`probe.kerasfile._foreign`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from probe._checks import check_integer
from probe._errors import ModelFileError
from probe._signatures import checked
from probe.kerasfile._archives import Archive, Inner, is_archive, model_inside, open_archive, open_members
from probe.kerasfile._config import MAX_SIZE, last_net, naming, naming_file, parse_json, warn
from probe.kerasfile._file import ModelFile
from probe.kerasfile._foreign import foreign_file
from probe.kerasfile._models import NOTHING_SAID, Model, Said, parse_model
from probe.kerasfile._own import (
    class_names_of,
    film_group,
    meaning_of,
    meaning_of_archive,
    names_of_layers,
    provenance_of,
)
from probe.kerasfile._weights import has_object_weights, legacy_weights, object_weights
from probe.safeh5 import (
    DEFAULT_LIMITS,
    File,
    Group,
    Limits,
    is_hdf5,
    limits_of,
    open_bytes,
    open_file,
    printable,
)

__all__ = ["architecture_in", "model_in", "open_model", "read_provenance"]


@checked
@contextmanager
def open_model(
    path: str | os.PathLike[str],
    *,
    architecture: str | os.PathLike[str] | None = None,
    replace: Mapping[str, str] | None = None,
    input_shape: tuple[int, ...] | None = None,
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
    replace : mapping of str to str, optional
        For layers that hold code, or are not known, the expression that they compute, such as {"scale": "x / 127.5 - 1"}:
        x, numbers, + - * / and functions such as relu(x). It is parsed, and never evaluated.
    input_shape : tuple of int, optional
        Shape of one input, (height, width, channels), of a model that leaves sizes open.
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
            model = _opened(opened, path, where, _said(replace, input_shape), limits_of(limits))
        yield model


def _said(replace: Mapping[str, str] | None, input_shape: tuple[int, ...] | None) -> Said:
    if input_shape is not None:
        sizes = (check_integer("input_shape", size, minimum=1, maximum=MAX_SIZE) for size in input_shape)
        input_shape = tuple(sizes)
    return Said(dict(replace or {}), input_shape or None)


def _opened(
    opened: ExitStack, path: Path, architecture: Path | None, said: Said, limits: Limits
) -> ModelFile:
    """Return the model in a file that stays open until `opened` closes it."""
    # Of a file that is not there nothing else is of interest.
    other = None if architecture is None or not path.exists() else _model_of(architecture, said, limits)
    if is_archive(path):
        inner = model_inside(path, limits)
        if inner is not None:
            return _opened_inside(opened, path, inner, other, said, limits)
        _refuse_foreign(path)
        archive = opened.enter_context(open_archive(path, limits))
        return _archived(archive, path, other, said, limits)
    if not is_hdf5(path):
        _refuse_foreign(path)
    file = opened.enter_context(open_file(path, ModelFileError, limits))
    if file.has_attribute(file.root, "model_config"):
        model = model_in(file, file.root, other, said)
        labels = path.with_name("labels.txt")
        # Teachable Machine gives its files these names.
        if path.name == "keras_model.h5" and not model.class_names and labels.is_file():
            model.class_names = _class_names(model, _json_text(labels, limits), file.shown_path)
        return model
    return _weights_only(file, path, other, said, limits)


def _refuse_foreign(path: Path) -> None:
    """Raise if it is known which other kind of file this is."""
    foreign = foreign_file(path)
    if foreign is not None:
        raise ModelFileError(f"{printable(path, 200)} {foreign.text}")


def _archived(archive: Archive, path: Path, other: Model | None, said: Said, limits: Limits) -> ModelFile:
    file, model = archive.weights, other
    if model is None:
        keras = _version_of_archive(path, archive.metadata, limits)
        with naming(archive.shown_path):
            model = parse_model(archive.config, keras, limits, said=said)
    return ModelFile(
        file,
        model,
        partial(object_weights, file, file.root, model),
        class_names=class_names_of(file, file.root),
        own_names=names_of_layers(file, file.root) if other is None else {},
        provenance=provenance_of(file, file.root),
        meaning=meaning_of(file, file.root) or meaning_of_archive(archive.config),
        film=film_group(file, file.root) if other is None else None,
    )


def _opened_inside(
    opened: ExitStack, path: Path, inner: Inner, other: Model | None, said: Said, limits: Limits
) -> ModelFile:
    """Return the one model in a zip archive that is none itself."""
    shown_path = f"{printable(path, 200)}, {printable(inner.name, 100)}"
    if inner.is_archive:
        archive = opened.enter_context(open_members(inner.content, shown_path, limits))
        model = _archived(archive, path, other, said, limits)
    else:
        file = opened.enter_context(open_bytes(inner.content, shown_path, ModelFileError, limits))
        if not file.has_attribute(file.root, "model_config"):
            return _weights_only(file, path, other, said, limits)
        model = model_in(file, file.root, other, said)
    if inner.labels is not None and not model.class_names:
        model.class_names = _class_names(model, inner.labels, shown_path)
    return model


def _class_names(model: ModelFile, labels: str, shown_path: str) -> tuple[str, ...]:
    """Return the names in the lines of labels.txt, such as "0 cat"; () with a warning if they do not fit the outputs."""
    lines = [line.strip() for line in labels.splitlines() if line.strip()]
    numbered = [re.fullmatch(r"(\d{1,6})\s+(.+)", line) for line in lines]
    if all(found is not None and int(found[1]) == k for k, found in enumerate(numbered)):
        lines = [found[2] for found in numbered if found is not None]
    name = model.output_names[0]
    shape = next(layer.output_shape for layer in model.layers if layer.name == name)
    n = 2 if shape == (1,) else shape[-1]
    distinct = len(set(lines)) == len(lines) and all(
        line.isprintable() and len(line) < 1000 for line in lines
    )
    if len(model.output_names) > 1 or len(shape) != 1 or len(lines) != n or not distinct:
        warn(
            shown_path,
            f"labels.txt has {len(lines)} lines, which are no names of {n} classes and are not read",
        )
        return ()
    return tuple(lines)


def model_in(
    file: File, group: Group, architecture: Model | None = None, said: Said = NOTHING_SAID
) -> ModelFile:
    """Return the model that a group of an open file (or its root) holds whole, in Keras' older layout.

    Parameters
    ----------
    file : File
        As `probe.safeh5.open_file` gives it; it must stay open while the model is used.
    group : Group
        Such as `file.root`.
    architecture : Model, optional
        The architecture, if not that of the group.
    said : Said
        What the user says of the model.

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
            model = parse_model(text, keras or 2, file.limits, said=said)
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


def _weights_only(file: File, path: Path, model: Model | None, said: Said, limits: Limits) -> ModelFile:
    root = file.root
    is_legacy = _has_legacy_weights(file, root)
    if model is None and (is_legacy or has_object_weights(file, root)):
        beside = path.with_name(re.sub(r"(\.weights)?\.\w+$", "", path.name) + ".keras")
        if beside.is_file() and beside != path:
            model = _model_of(beside, said, limits)
    if model is None or not (is_legacy or has_object_weights(file, root)):
        file.refuse("the file", _no_model(file, root))
    if is_legacy:
        return ModelFile(
            file, model, partial(legacy_weights, file, root, model), backend=_backend(file, root)
        )
    return ModelFile(file, model, partial(object_weights, file, root, model))


def _has_legacy_weights(file: File, group: Group) -> bool:
    return file.has_attribute(group, "layer_names") or file.has_attribute(group, "layer_names0")


def _model_of(path: Path, said: Said, limits: Limits) -> Model:
    """Return the architecture in a file."""
    text, keras = architecture_in(path, limits)
    with naming(printable(path, 200)):
        return parse_model(text, keras, limits, said=said)


def architecture_in(path: Path, limits: Limits) -> tuple[str, int | None]:
    """Return the configuration of the model in a file, and which Keras wrote it if that is known."""
    if is_archive(path):
        inner = model_inside(path, limits)
        shown_path = printable(path, 200)
        if inner is not None and not inner.is_archive:
            with open_bytes(inner.content, shown_path, ModelFileError, limits) as file:
                return _configuration_of(file)
        opened = (
            open_archive(path, limits) if inner is None else open_members(inner.content, shown_path, limits)
        )
        with opened as archive:
            return archive.config, _version_of_archive(path, archive.metadata, limits)
    if not path.is_file() or not is_hdf5(path):
        return _json_text(path, limits), None
    with open_file(path, ModelFileError, limits) as file:
        return _configuration_of(file)


def _configuration_of(file: File) -> tuple[str, int | None]:
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
    """Return the number in front; what is not readable counts as 2, as no version at all does."""
    digits = re.match(r"\d{1,3}", version)
    return max(1, int(digits[0])) if digits else 2


def _no_model(file: File, group: Group) -> str:
    if has_object_weights(file, group) or _has_legacy_weights(file, group):
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
    if foreign_file(path) is not None:
        return {}
    if is_archive(path):
        with last_net(printable(path, 200)), open_archive(path) as archive:
            return provenance_of(archive.weights, archive.weights.root)
    with last_net(printable(path, 200)), open_file(path, ModelFileError) as file:
        return provenance_of(file, file.root)
