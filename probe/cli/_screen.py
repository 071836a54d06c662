"""What reaches the terminal: text that it can show, and warnings of this project only."""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import typer

__all__ = ["one_line", "others_silenced", "put", "put_warnings", "shown_anywhere"]

_MOST = 600
"""Characters of a message that are shown, of a longer one the first and the last."""


def put(text: str, *, err: bool = False) -> None:
    """Show lines of text. What is no printable character, and may come from a file, is shown as ``?``."""
    typer.echo("\n".join(map(_clean, text.split("\n"))), err=err)


def one_line(text: str) -> str:
    """Return a message in one line that any terminal can show; of a very long one the middle is left out."""
    line = _clean(" ".join(text.split()))
    return line if len(line) <= _MOST else f"{line[: _MOST // 2]} ... {line[-_MOST // 2 :]}"


def _clean(line: str) -> str:
    # Terminal escapes and marks that turn the direction of text are not printable, nor are lone surrogates.
    return "".join(c if c.isprintable() else "?" for c in line)


@contextmanager
def put_warnings() -> Iterator[None]:
    """Show each warning of this project in one line on standard error while the block runs."""
    with warnings.catch_warnings():
        others = warnings.showwarning

        def show(message: Warning | str, category: type[Warning], *where: Any) -> None:
            if _is_ours(category):
                put(f"probe: warning: {one_line(str(message))}", err=True)
            else:
                others(message, category, *where)

        from probe import _errors

        for name in _errors.__all__:
            found = getattr(_errors, name)
            if issubclass(found, Warning):
                warnings.simplefilter("always", found)
        warnings.showwarning = show  # type: ignore[assignment]
        yield


def _is_ours(category: type[Warning]) -> bool:
    return category.__module__ == "probe._errors"


@contextmanager
def others_silenced() -> Iterator[None]:
    """Keep warnings and log lines of libraries off the screen while the block runs, in worker processes too.

    Around a command only: whoever calls the library sees them all.
    """
    quiet = logging.NullHandler()
    logging.getLogger().addHandler(quiet)
    # Processes that are started get these options.
    sys.warnoptions.append("ignore")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        sys.warnoptions.remove("ignore")
        logging.getLogger().removeHandler(quiet)


def shown_anywhere() -> None:
    """Let standard output and error show text that their encoding does not have, as escapes."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError, ValueError):
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
