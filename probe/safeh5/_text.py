"""Text from files in messages."""

from __future__ import annotations

__all__ = ["MESSAGE_LETTERS", "printable"]

MESSAGE_LETTERS = 300
"""Most letters of a file's content that a message holds."""


def printable(text: object, limit: int = 80) -> str:
    r"""Return `text` for a message: on one line, without control characters, at most `limit` long.

    Examples
    --------
    >>> printable("dense\n\x1b[31m1")
    'dense??[31m1'
    """
    letters = text if isinstance(text, str) else str(text)
    shown = "".join(c if c.isprintable() else "?" for c in letters[: limit + 1])
    return shown if len(letters) <= limit else shown[: limit - 3] + "..."
