"""Text from files in messages."""

from __future__ import annotations

__all__ = ["printable"]


def printable(text: object, limit: int = 80) -> str:
    r"""Return `text` for a message: on one line, without control characters, at most `limit` long.

    Examples
    --------
    >>> printable("dense\n\x1b[31m1")
    'dense??[31m1'
    """
    shown = "".join(c if c.isprintable() else "?" for c in str(text))
    return shown if len(shown) <= limit else shown[: limit - 3] + "..."
