"""JSON in files, counted before it is parsed: Python takes up to 25 times the size of the text for it."""

from __future__ import annotations

import re
from itertools import accumulate

from probe.safeh5._limits import Limits
from probe.safeh5._source import DamagedError

__all__ = ["check_json"]

MAX_JSON_DEPTH = 100
"""Most brackets inside each other; Keras' own files stay below 20, nested models below 60."""

MAX_BLANKS = 1 << 20
"""Most spaces and line breaks, beside 100 for each token: that many are indentation."""

_TOKENS = "[]{}:,\\"
_BLANKS = " \n\t\r"
_BRACKETS = re.compile(r"[\[\]{}]")
_STEPS = {"[": 1, "{": 1, "]": -1, "}": -1}

# A surrogate is half of a character; two of them, as JSON escapes them, are one.
_ESCAPES = re.compile(
    r"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)", re.S
)


def check_json(text: str, what: str, limits: Limits) -> None:
    """Raise a DamagedError if `text` is larger than the limits, nested too deep, or has half characters."""
    if len(text) > limits.text_bytes:
        raise DamagedError(
            f"{what} has {len(text)} characters, more than the {limits.text_bytes} that are read"
        )
    tokens = sum(map(text.count, _TOKENS))
    if tokens > limits.json_tokens:
        raise DamagedError(
            f"{what} has {tokens} brackets, commas and colons, more than the {limits.json_tokens} that are read"
        )
    blanks = sum(map(text.count, _BLANKS))
    if blanks > MAX_BLANKS + 100 * tokens:
        raise DamagedError(f"{what} has {blanks} spaces and line breaks, more than any writer puts there")
    _check_depth(text, what)
    _check_characters(text, what)


def _check_depth(text: str, what: str) -> None:
    # Brackets inside strings count too; no model of Keras comes near the limit either way.
    steps = map(_STEPS.__getitem__, _BRACKETS.findall(text))
    if max(accumulate(steps), default=0) > MAX_JSON_DEPTH:
        raise DamagedError(f"{what} is nested deeper than {MAX_JSON_DEPTH} levels")


def _check_characters(text: str, what: str) -> None:
    half = next((found[1] for found in _ESCAPES.finditer(text) if found[1]), None)
    try:
        text.encode()
    except UnicodeEncodeError as error:
        half = ascii(text[error.start])
    if half is not None:
        raise DamagedError(f"{what} holds half of a character ({half}), which is no text")
