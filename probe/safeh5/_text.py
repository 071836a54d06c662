"""Text from files: shown in messages, short and on one line; JSON, counted before it is parsed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import accumulate, islice

from probe._errors import printable
from probe.safeh5._source import DamagedError, Limits

__all__ = ["check_json", "listed", "printable", "shown"]

MAX_JSON_DEPTH = 100
"""Most brackets inside each other; Keras' own files stay below 20, nested models below 60."""

MAX_BLANKS = 1 << 20
"""Most spaces and line breaks, beside 100 for each token: that many are indentation."""

_TOKENS = "[]{}:,\\"
_BLANKS = " \n\t\r"
_STRINGS = re.compile(r'"(?:[^"\\]++|\\.)*+"|\\.', re.S)
"""Strings, and escapes outside of them, so that no quotation mark is looked at from two sides."""

_BRACKETS = re.compile(r"[\[\]{}]")
_STEPS = {"[": 1, "{": 1, "]": -1, "}": -1}

# A surrogate is half of a character; two of them, as JSON escapes them, are one.
_ESCAPES = re.compile(
    r"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)", re.S
)


def shown(value: object, limit: int = 60) -> str:
    """Return a value of a file for a message, as `repr` has it; no more of a long one is looked at than is shown.

    Examples
    --------
    >>> shown({"units": [1, None]})
    "{'units': [1, None]}"
    >>> shown([0.5] * 1_000_000, limit=20)
    '[0.5, 0.5, 0.5, 0...'
    """
    pieces, length = [], 0
    for piece in _pieces(value, limit):
        pieces.append(piece)
        length += len(piece)
        if length > limit:
            break
    return printable("".join(pieces), limit)


def _pieces(value: object, limit: int) -> Iterator[str]:
    """Yield what `repr` returns, piece by piece."""
    if isinstance(value, str):
        yield repr(value[: limit + 1])
    elif isinstance(value, dict):
        yield "{"
        for k, (key, item) in enumerate(value.items()):
            yield f"{', ' if k else ''}{shown(key, limit)}: "
            yield from _pieces(item, limit)
        yield "}"
    elif isinstance(value, list):
        yield "["
        for k, item in enumerate(value):
            yield ", " if k else ""
            yield from _pieces(item, limit)
        yield "]"
    else:
        yield repr(value)


def listed(names: Iterable[str], limit: int = 8, *, letters: int = 24, none: str = "none") -> str:
    """Return the first of `names` for a message, in quotes, at most `letters` of each; `none` if there is none.

    Examples
    --------
    >>> listed(["a", "b", "c"], limit=2)
    "'a', 'b', ..."
    """
    first = list(islice(names, limit + 1))
    quoted = ", ".join(f"'{printable(name, letters)}'" for name in first[:limit]) or none
    return quoted + (", ..." if len(first) > limit else "")


def check_json(text: str, what: str, limits: Limits) -> None:
    """Raise unless JSON `text` can be parsed in little time and memory; whether it is JSON, the parser says.

    Parameters
    ----------
    text : str
        The text.
    what : str
        What messages call it.
    limits : Limits
        How much text, and how many tokens.

    Raises
    ------
    DamagedError
        If it is larger than the limits, nested too deep, or has halves of characters.

    Examples
    --------
    >>> check_json("[" * 1000, "config.json", Limits())
    Traceback (most recent call last):
    probe.safeh5._source.DamagedError: config.json is nested deeper than 100 levels
    """
    if len(text) > limits.text_bytes:
        raise DamagedError(
            f"{what} has {len(text)} characters, more than the {limits.text_bytes} that are read"
        )
    bare = _STRINGS.sub("", text)
    tokens = sum(map(bare.count, _TOKENS)) + text.count("\\u")
    if tokens > limits.json_tokens:
        raise DamagedError(
            f"{what} has {tokens} brackets, commas and colons, more than the {limits.json_tokens} that are read"
        )
    blanks = sum(map(text.count, _BLANKS))
    if blanks > MAX_BLANKS + 100 * tokens:
        raise DamagedError(f"{what} has {blanks} spaces and line breaks, more than any writer puts there")
    steps = map(_STEPS.__getitem__, _BRACKETS.findall(bare))
    if max(accumulate(steps), default=0) > MAX_JSON_DEPTH:
        raise DamagedError(f"{what} is nested deeper than {MAX_JSON_DEPTH} levels")
    half = next((escape[1] for escape in _ESCAPES.finditer(text) if escape[1]), None)
    try:
        text.encode()
    except UnicodeEncodeError as error:
        half = ascii(text[error.start])
    if half is not None:
        raise DamagedError(f"{what} holds half of a character ({half}), which is no text")
