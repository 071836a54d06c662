"""JSON from files: counted before it is parsed, since Python takes up to 25 times the size of the text for it."""

from __future__ import annotations

import json
import math
import re
from itertools import accumulate
from typing import Any, NoReturn

from probe._checks import ModelFileError
from probe.safeh5 import DEFAULT_LIMITS, Limits
from probe.storage._printable import printable, shown

__all__ = ["check_json", "parse_json"]

MAX_JSON_DEPTH = 100
"""Most brackets inside each other; Keras' own files stay below 20, nested models below 60."""

MAX_DIGITS = 100
"""Most characters of one number; Python's own numbers have up to 24."""

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


def parse_json(text: str, what: str = "model_config", limits: Limits = DEFAULT_LIMITS) -> Any:
    """Return what the JSON `text` holds.

    Raises
    ------
    ModelFileError
        If it is too large, nested too deep or no JSON, or holds a setting twice, numbers that are none, or
        text that cannot be written. The message calls it `what`.

    Examples
    --------
    >>> parse_json('{"units": 3}')
    {'units': 3}
    """
    check_json(text, what, limits)

    def refuse(problem: str) -> NoReturn:
        raise ModelFileError(f"{what} {problem}") from None

    def unique_keys(pairs: list[tuple[str, object]]) -> dict[str, object]:
        unique = dict(pairs)
        if len(unique) != len(pairs):
            refuse("names the same setting twice")
        return unique

    def integer(digits: str) -> int:
        if len(digits) > MAX_DIGITS:
            refuse(f"holds a number of {len(digits)} digits, more than the {MAX_DIGITS} that are read")
        return int(digits)

    def number(digits: str) -> float:
        if len(digits) > MAX_DIGITS:
            refuse(f"holds a number of {len(digits)} characters, more than the {MAX_DIGITS} that are read")
        value = float(digits)
        if not math.isfinite(value):
            refuse(f"holds {digits}, which is no finite number")
        return value

    try:
        return json.loads(
            text,
            parse_constant=lambda constant: refuse(f"holds {constant}, which is no number"),
            parse_int=integer,
            parse_float=number,
            object_pairs_hook=unique_keys,
        )
    except ModelFileError:
        raise
    except (ValueError, RecursionError) as error:
        refuse(f"is not valid JSON: {printable(error, 120)}")


def check_json(text: str, what: str, limits: Limits = DEFAULT_LIMITS) -> None:
    """Raise a ModelFileError if `text` is larger than the limits, nested too deep, or has half characters."""
    if len(text) > limits.text_bytes:
        raise ModelFileError(
            f"{what} has {len(text)} characters, more than the {limits.text_bytes} that are read"
        )
    tokens = sum(map(text.count, _TOKENS))
    if tokens > limits.json_tokens:
        raise ModelFileError(
            f"{what} has {tokens} brackets, commas and colons, more than the {limits.json_tokens} that are read"
        )
    blanks = sum(map(text.count, _BLANKS))
    if blanks > MAX_BLANKS + 100 * tokens:
        raise ModelFileError(f"{what} has {blanks} spaces and line breaks, more than any writer puts there")
    _check_depth(text, what)
    _check_characters(text, what)


def _check_depth(text: str, what: str) -> None:
    # Brackets inside strings count too; no model of Keras comes near the limit either way.
    steps = map(_STEPS.__getitem__, _BRACKETS.findall(text))
    if max(accumulate(steps), default=0) > MAX_JSON_DEPTH:
        raise ModelFileError(f"{what} is nested deeper than {MAX_JSON_DEPTH} levels")


def _check_characters(text: str, what: str) -> None:
    half = next((found[1] for found in _ESCAPES.finditer(text) if found[1]), None)
    try:
        text.encode()
    except UnicodeEncodeError as error:
        half = shown(text[error.start])
    if half is not None:
        raise ModelFileError(f"{what} holds half of a character ({half}), which is no text")
