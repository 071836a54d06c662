"""Names of layers and of classes, as far as the file has some."""

from __future__ import annotations

import re
from collections.abc import Mapping

from probe.imports.onnx._model import Node

__all__ = ["class_names_of", "layer_name"]

_KEYS = ("names", "class_names", "classes", "labels", "id2label", "categories", "class_labels")
"""Where writers put the names of classes among the properties of a file."""

_LONGEST = 64 << 10
"""Characters of a list of names: 1,000 classes take about 20,000."""

_LONGEST_NAME = 120
"""Characters of the name of a layer."""

_QUOTED = r"""(?:'([^'\\]*)'|"([^"\\]*)")"""
_ENTRY = re.compile(rf"\s*['\"]?(\d+)['\"]?\s*:\s*{_QUOTED}\s*,?")
_ITEM = re.compile(rf"\s*{_QUOTED}\s*,?")


def class_names_of(metadata: Mapping[str, str], n_classes: int) -> tuple[str, ...]:
    """Return the names of the classes that the properties of a file hold; () if they hold none for so many.

    Examples
    --------
    >>> class_names_of({"names": "{0: 'cat', 1: 'dog'}"}, 2)
    ('cat', 'dog')
    >>> class_names_of({"classes": "cat, dog"}, 2)
    ('cat', 'dog')
    """
    lowered = {key.lower(): text for key, text in metadata.items()}
    for key in _KEYS:
        text = lowered.get(key, "").strip()
        names = _listed(text) if 0 < len(text) <= _LONGEST else ()
        if len(names) == n_classes and len(set(names)) == n_classes and all(names):
            return names
    return ()


def _listed(text: str) -> tuple[str, ...]:
    """Return the names in a list of Python or JSON, in a dictionary by number, or between commas or line breaks."""
    inner = text[1:-1]
    if text.startswith("{") and text.endswith("}"):
        entries = _matches(_ENTRY, inner)
        keys = [match[1] for match in entries]
        names = [match[2] if match[2] is not None else match[3] for match in entries]
        if sorted(keys, key=lambda key: (len(key), key)) == [str(k) for k in range(len(keys))]:
            return tuple(name for _, name in sorted(zip(map(int, keys), names, strict=True)))
        return ()
    if text[0] in "[(" and text[-1] in "])":
        matches = _matches(_ITEM, inner)
        return tuple(match[1] if match[1] is not None else match[2] for match in matches)
    if text[0] in "[({":
        return ()
    parts = text.splitlines() if "\n" in text else text.split(",")
    return tuple(part.strip() for part in parts)


def _matches(pattern: re.Pattern[str], text: str) -> list[re.Match[str]]:
    """Return what matches one after the other, if that is all of the text; else nothing."""
    matches, place = [], 0
    while place < len(text) and (match := pattern.match(text, place)):
        matches.append(match)
        place = match.end()
    return matches if not text[place:].strip() else []


def layer_name(node: Node, weights: list[str]) -> str:
    """Return what a layer is called: by its weights where these have a name, as PyTorch gives them, else by its node.

    Parameters
    ----------
    node : Node
        The node.
    weights : list of str
        Names of the arrays among its inputs.
    """
    for weight in weights:
        stem, dot, part = weight.rpartition(".")
        if dot and part == "weight" and "::" not in weight:
            return _readable(stem)
    parts = [part for part in node.name.split("/") if part]
    if len(parts) > 1 and re.fullmatch(rf"{re.escape(node.op)}(_\d+)?", parts[-1]):
        parts = parts[:-1] if node.op in ("Conv", "Gemm", "MatMul", "ConvTranspose") else parts
    return _readable("/".join(parts) or node.op)


def _readable(name: str) -> str:
    """Return a name that every file and screen takes."""
    letters = "".join(letter if letter.isprintable() and letter != ":" else "_" for letter in name)
    return letters[-_LONGEST_NAME:].strip("/ ") or "layer"
