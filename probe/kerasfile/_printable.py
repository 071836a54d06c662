"""Text and values from files in messages: on one line, without control characters, and short."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

from probe.safeh5 import printable

__all__ = ["listed", "printable", "shown"]


def shown(value: object, limit: int = 60) -> str:
    """Return a value of a file for a message, as `repr` has it; no more of a long one is looked at than is shown.

    Examples
    --------
    >>> shown({"units": [1, None]})
    "{'units': [1, None]}"
    >>> shown([0.5] * 1_000_000, limit=20)
    '[0.5, 0.5, 0.5, 0...'
    """
    found, length = [], 0
    for piece in _pieces(value, limit):
        found.append(piece)
        length += len(piece)
        if length > limit:
            break
    return printable("".join(found), limit)


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


def listed(names: Iterable[str], limit: int = 8) -> str:
    """Return the first of `names` for a message, in quotes; "none" if there is none.

    Examples
    --------
    >>> listed(["a", "b", "c"], limit=2)
    "'a', 'b', ..."
    """
    first = list(islice(names, limit + 1))
    found = ", ".join(f"'{printable(name, 24)}'" for name in first[:limit]) or "none"
    return found + (", ..." if len(first) > limit else "")
