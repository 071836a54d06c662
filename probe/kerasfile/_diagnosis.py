"""What a file is, whether it opens as a model of Keras, and all that is in the way: `diagnose`."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from probe._errors import InputError, ModelFileError
from probe._signatures import checked
from probe.kerasfile._archives import is_archive, model_inside
from probe.kerasfile._config import LayerSpec, last_net
from probe.kerasfile._foreign import foreign_file
from probe.kerasfile._keras1 import is_keras_1
from probe.kerasfile._kinds import activation_setting
from probe.kerasfile._layers import kind_of
from probe.kerasfile._models import Model, Said, parse_model
from probe.kerasfile._open import architecture_in, open_model
from probe.safeh5 import DEFAULT_LIMITS, is_hdf5, printable

__all__ = ["Diagnosis", "diagnose"]


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What a file is.

    Attributes
    ----------
    what : str
        The kind of file, such as "a Keras model (HDF5), written by Keras 2".
    problems : tuple of str
        All that is in the way, each with what to do, without the name of the file; () if it opens.
    """

    what: str
    problems: tuple[str, ...]


@checked
def diagnose(
    path: str | os.PathLike[str],
    *,
    architecture: str | os.PathLike[str] | None = None,
    replace: Mapping[str, str] | None = None,
    input_shape: tuple[int, ...] | None = None,
) -> Diagnosis:
    """Return what a file is, and what is in the way of reading it as a model of Keras.

    Parameters
    ----------
    path, architecture, replace, input_shape
        As for `open_model`.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "model.tflite"
    >>> _ = path.write_bytes(bytes([28, 0, 0, 0]) + b"TFL3" + bytes(64))
    >>> found = diagnose(path)
    >>> found.what, len(found.problems)
    ('a TensorFlow Lite model', 1)
    """
    path = Path(path)
    try:
        with open_model(path, architecture=architecture, replace=replace, input_shape=input_shape):
            return Diagnosis(_kind(path), ())
    except InputError as error:
        problem = str(error)
    foreign = foreign_file(path)
    if foreign is not None:
        return Diagnosis(foreign.what, (foreign.remedy, *foreign.lines))
    source = path if architecture is None else Path(architecture)
    problems = _problems(source, Said(dict(replace or {}), input_shape))
    # The first is that of the error, which knows more than the layers alone.
    shown_path = printable(path, 200)
    first = problem.removeprefix(shown_path).lstrip(",: ")
    return Diagnosis(_kind(path), tuple(problems) or (first,))


def _kind(path: Path) -> str:
    """Return which kind of file this is, of those that are read."""
    if not is_archive(path) and not is_hdf5(path):
        return "no file that is known"
    try:
        with last_net(printable(path, 200)):
            inner = model_inside(path, DEFAULT_LIMITS) if is_archive(path) else None
            text, keras = architecture_in(path, DEFAULT_LIMITS)
    except InputError:
        if is_archive(path):
            return "a zip archive"
        return "an HDF5 file without a model in it"
    if inner is not None:
        return f"a zip archive with a Keras model in it, {printable(inner.name, 100)}"
    layout = ".keras" if is_archive(path) else "HDF5"
    version = "1.x" if is_keras_1(keras, text) else str(keras) if keras is not None else ""
    return f"a Keras model ({layout})" + (f", written by Keras {version}" if version else "")


def _problems(path: Path, said: Said) -> list[str]:
    """Return what is wrong with each layer of the architecture in a file, whatever the others are."""
    problems: list[str] = []
    try:
        with last_net(printable(path, 200)):
            text, keras = architecture_in(path, DEFAULT_LIMITS)
            model = parse_model(text, keras, said=said, problems=problems)
            problems += [problem for spec in _layers(model) if (problem := _problem(spec)) is not None]
    except InputError:
        pass  # it is what opening the file says, too
    return list(dict.fromkeys(problems))


def _layers(model: Model) -> Iterator[LayerSpec]:
    """Yield every layer that was read, also inside models."""
    for entry in model.entries:
        if entry.model is not None:
            yield from _layers(entry.model)
        elif not entry.is_input and not entry.programs and entry.spec.class_name:
            yield entry.spec


def _problem(spec: LayerSpec) -> str | None:
    """Return what is wrong with the class or the activation of a layer."""
    try:
        if kind_of(spec).settings.get("activation_name") is activation_setting:
            activation_setting(spec, ())
    except ModelFileError as error:
        return str(error)
    return None
