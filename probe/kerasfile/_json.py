"""JSON from files: counted before it is parsed, since Python takes up to 25 times the size of the text for it."""

from __future__ import annotations

import json
import math
from typing import Any, NoReturn

from probe._checks import ModelFileError
from probe.kerasfile._printable import printable
from probe.safeh5 import DEFAULT_LIMITS, DamagedError, Limits, check_json

__all__ = ["parse_json"]

MAX_DIGITS = 100
"""Most characters of one number; Python's own numbers have up to 24."""


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
    try:
        check_json(text, what, limits)
    except DamagedError as error:
        raise ModelFileError(str(error)) from None

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
