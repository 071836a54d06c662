"""What a file says beside its model: what probe keeps in the group `/probe`, and what the loss says of the outputs.

The loss is a hint and nothing more: what is not understood says nothing, and is no error.
"""

from __future__ import annotations

from collections import Counter
from typing import Any, Literal

from probe._errors import InputError, ModelFileError
from probe.kerasfile._config import naming_file, parse_json
from probe.kerasfile._graph import MAX_NAMES
from probe.network import Network
from probe.safeh5 import File, Group, listed, printable, shown

__all__ = [
    "ENCODING_VERSION",
    "Meaning",
    "class_names_of",
    "film_group",
    "meaning_of",
    "meaning_of_archive",
    "meaning_of_training",
    "names_of_layers",
    "provenance_of",
    "with_meaning",
]

ENCODING_VERSION = "1"
"""Version of the group `/probe`; a higher one is refused."""

Meaning = Literal["logits", "quantities", "regression", ""]
"""What a loss says of outputs without an activation; "regression" is our own word for whatever outputs."""

MAX_CHARACTERS = 64 << 10
"""Longest description of a training that is looked at. Keras writes a few thousand characters."""

_CROSS_ENTROPIES = {
    "binarycrossentropy",
    "binaryfocalcrossentropy",
    "categoricalcrossentropy",
    "categoricalfocalcrossentropy",
    "sparsecategoricalcrossentropy",
}

_OF_QUANTITIES = {
    "huber",
    "logcosh",
    "mae",
    "mape",
    "meanabsoluteerror",
    "meanabsolutepercentageerror",
    "meansquarederror",
    "meansquaredlogarithmicerror",
    "mse",
    "msle",
    "poisson",
}
"""Names of losses, as strings or classes, without underscores and in small letters."""


def _group(file: File, parent: Group) -> Group | None:
    """Return the group in which probe keeps what Keras has no place for, if there is one."""
    if not file.has(parent, "probe"):
        return None
    group = file.group(parent, "probe")
    version = file.text(group, "encoding-version")
    if version != ENCODING_VERSION:
        file.refuse(
            group.name,
            f"has encoding-version {printable(version, 20)}, expected {ENCODING_VERSION}; "
            "read it with the version of probe that wrote it",
        )
    return group


def _json(file: File, parent: Group, name: str) -> tuple[Group, Any] | None:
    """Return our group and what its attribute `name` holds; None if the file has no such attribute."""
    group = _group(file, parent)
    if group is None or not file.has_attribute(group, name):
        return None
    with naming_file(file):
        return group, parse_json(file.text(group, name), f"attribute '{name}' of {group.name}", file.limits)


def provenance_of(file: File, parent: Group) -> dict[str, Any]:
    """Return the provenance that was written with the network; {} if there is none."""
    stored = _json(file, parent, "provenance")
    if stored is None:
        return {}
    if not isinstance(stored[1], dict):
        file.refuse("/probe", "has a provenance that is no JSON object")
    return stored[1]


def film_group(file: File, parent: Group) -> Group | None:
    """Return the group that holds the film of the network's training, if there is one."""
    group = _group(file, parent)
    return None if group is None or not file.has(group, "film") else file.group(group, "film")


def class_names_of(file: File, parent: Group) -> tuple[str, ...]:
    """Return the names of the classes that the file has; () if it has none."""
    stored = _json(file, parent, "class_names")
    if stored is None:
        return ()
    group, names = stored
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        file.refuse(group.name, "has class_names that are no list of strings")
    _check_names(file, group, "class_names", names)
    return tuple(names)


def names_of_layers(file: File, parent: Group) -> dict[str, str]:
    """Return the names that layers had which Keras cannot call so, by the names that they have in the file."""
    stored = _json(file, parent, "own_names")
    if stored is None:
        return {}
    group, names = stored
    if not isinstance(names, dict) or not all(isinstance(name, str) for name in names.values()):
        file.refuse(group.name, "has own_names that are no mapping of names")
    _check_names(file, group, "own_names", list(names.values()))
    return names


def _check_names(file: File, group: Group, what: str, names: list[str]) -> None:
    """Refuse names that cannot be shown, or that are given twice."""
    bad = [name for name in names if not name or not name.isprintable()]
    if bad:
        file.refuse(group.name, f"has {what} that cannot be shown: {shown(bad)}; expected plain text")
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        file.refuse(group.name, f"has {what} that are there twice: {listed(twice)}; each must be there once")
    letters = sum(map(len, names))
    if letters > MAX_NAMES:
        file.refuse(group.name, f"has {what} of {letters} letters, more than the {MAX_NAMES} that are read")


def meaning_of(file: File, parent: Group) -> Meaning:
    """Return what the outputs are, by our own word or by the loss; "" where nothing readable says it."""
    group = _group(file, parent)
    if group is not None and file.has_attribute(group, "outputs"):
        return "regression" if file.text(group, "outputs") == "regression" else ""
    try:
        if file.has_attribute(parent, "training_config"):
            return meaning_of_training(file.text(parent, "training_config"))
    except ModelFileError:
        pass  # it is not needed to read the model
    return ""


def meaning_of_training(text: str) -> Meaning:
    """Return what the attribute `training_config` of an HDF5 file says."""
    if len(text) > MAX_CHARACTERS:
        return ""
    training = _parsed(text)
    return _meaning(training.get("loss")) if isinstance(training, dict) else ""


def meaning_of_archive(config: str) -> Meaning:
    """Return what `config.json` of a .keras archive says, a text that was read as a model before."""
    if '"compile_config"' not in config:
        return ""
    model = _parsed(config)
    compiled = model.get("compile_config") if isinstance(model, dict) else None
    return _meaning(compiled.get("loss")) if isinstance(compiled, dict) else ""


def with_meaning(network: Network, meaning: Meaning) -> Network:
    """Return `network` with its outputs taken for what they are, where they have no activation that says it."""
    if meaning == "regression":
        return network.for_regression()
    shapes = [network.layer_shapes[name] for name in network.output_names]
    if len(shapes) > 1 or len(shapes[0]) != 1:
        return network
    if meaning == "logits" and network.output_name == "linear":
        return network.for_logits()
    if meaning == "quantities" and network.output_name not in ("log_softmax", "sigmoid", "softmax"):
        return network.for_regression()
    return network


def _parsed(text: str) -> Any:
    try:
        return parse_json(text, "the training")
    except InputError:
        return None


def _meaning(loss: object) -> Meaning:
    """Return what a loss says: its name, Keras' description of an object or function, or one of these for one output."""
    if isinstance(loss, list) and len(loss) == 1:
        (loss,) = loss
    if isinstance(loss, dict) and len(loss) == 1 and "class_name" not in loss:
        (loss,) = loss.values()
    settings: object = {}
    if isinstance(loss, dict):
        settings = loss.get("config")
        loss = settings if loss.get("class_name") == "function" else loss.get("class_name")
    name = loss.replace("_", "").lower() if isinstance(loss, str) else ""
    if name in _OF_QUANTITIES:
        return "quantities"
    is_from_logits = isinstance(settings, dict) and settings.get("from_logits") is True
    return "logits" if name in _CROSS_ENTROPIES and is_from_logits else ""
