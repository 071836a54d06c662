"""What a model's loss says of its outputs: whether they are logits, or quantities and no classes.

The loss is a hint and nothing more: what is not understood says nothing, and is no error.
"""

from __future__ import annotations

from typing import Any, Literal

from probe._checks import InputError, ModelFileError
from probe.kerasfile._json import parse_json
from probe.network import Network

__all__ = ["Meaning", "meaning_of_archive", "meaning_of_training", "with_meaning"]

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


def meaning_of_training(text: str) -> Meaning:
    """Return what the attribute `training_config` of an HDF5 file says."""
    if len(text) > MAX_CHARACTERS:
        return ""
    found = _parsed(text)
    return _meaning(found.get("loss")) if isinstance(found, dict) else ""


def meaning_of_archive(config: str) -> Meaning:
    """Return what `config.json` of a .keras archive says, a text that was read as a model before."""
    if '"compile_config"' not in config:
        return ""
    found = _parsed(config)
    compiled = found.get("compile_config") if isinstance(found, dict) else None
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
    except (InputError, ModelFileError):
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
