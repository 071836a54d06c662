"""What reaches the terminal: text that it can show, progress, warnings of this project, and what would need less memory."""

from __future__ import annotations

import logging
import sys
import warnings
import webbrowser
from collections.abc import Iterator
from concurrent.futures import BrokenExecutor
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from pathlib import Path

    from probe._progress import Progress
    from probe.workflow import Written

__all__ = [
    "LESS",
    "SAID",
    "drawn_progress",
    "is_lack_of_memory",
    "is_of_a_killed_worker",
    "one_line",
    "others_silenced",
    "put",
    "put_warnings",
    "remedy",
    "say",
    "shown_anywhere",
]

_MOST = 600
"""Characters of a message that are shown, of a longer one the first and the last."""


SAID = 1130
"""Status of an interrupted command that has said what it kept. Typer gives 130 to one that has said nothing."""


def say(written: Written, *, opened: bool = False) -> None:
    """Say what a command found and which files it wrote; its page may be opened in the browser."""
    put(written.summary)
    for path in written.files:
        put(f"wrote {path}")
    if opened:
        _open(written.page)
    if written.interrupted:
        typer.echo("probe: interrupted; what was done is kept", err=True)
        raise typer.Exit(SAID)


def _open(page: Path | None) -> None:
    if page is None:
        put("probe: there is no page to open; pass --out with the name of a folder", err=True)
    elif not webbrowser.open(page.resolve().as_uri()):
        put(f"probe: no browser could be started; open {page} in one", err=True)


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
            kind = getattr(_errors, name)
            if issubclass(kind, Warning):
                warnings.simplefilter("always", kind)
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


@contextmanager
def drawn_progress() -> Iterator[Progress]:
    """Draw progress on standard error while the block runs; if that is no terminal, say only what is announced."""
    from probe._bars import in_terminal, shown

    if sys.stderr.isatty():
        with in_terminal() as draw, shown(draw) as told:
            yield told
    else:
        with shown(
            lambda event: put(event.note, err=True) if event.note and not event.total else None
        ) as told:
            yield told


LESS = {
    "report": ("smaller --data",),
    "train": ("narrower layers in --hidden", "a smaller --batch-size"),
    "inspect": (),
    "unit": ("fewer --networks", "smaller --data"),
    "gallery": (),
    "weights": ("one layer at a time by --layer", "some of its units by --units"),
    "convert": (),
    "edit": (),
    "lesson": ("fewer --students", "smaller --data"),
    "cache": (),
    "features": ("fewer --networks", "smaller --data"),
    "evaluate": ("fewer --images",),
    "maximize": ("fewer --restarts", "one --objective at a time"),
    "drawing": ("fewer --networks", "fewer --restarts"),
    "noise": ("fewer --images",),
    "severity": ("fewer --networks", "fewer --images"),
    "memorize": ("--workers 1", "fewer --samples", "fewer --replicates", "narrower layers in --hidden"),
    "capacity": ("--workers 1", "a smaller --largest", "narrower layers in --hidden"),
    "scores": ("--workers 1", "fewer --samples", "fewer --networks", "narrower layers in --hidden"),
    "landscape": ("--workers 1", "a smaller --resolution", "fewer --directions"),
    "minima": ("--workers 1", "fewer --samples", "fewer --networks", "narrower layers in --hidden"),
    "compare": ("fewer --images", "smaller --data"),
    "robustness": ("--workers 1", "narrower layers in --hidden"),
    "verify": ("--workers 1", "a smaller --size", "fewer --networks"),
    "search": ("smaller --widths", "fewer --networks", "fewer --samples"),
}
"""By command: what to ask for instead. Each names an option that the command has."""

_SAID = (
    *("unable to allocate", "cannot allocate memory", "can't start new thread", "not enough memory"),
    *("maximum allowed dimension", "maximum allowed size", "array is too big", "too large to convert"),
)
"""What an error says that comes from a lack of memory, or of numbers for what is larger than any, and is no MemoryError."""


def is_lack_of_memory(error: BaseException) -> bool:
    """Return whether memory was lacking. NumPy's own error is a MemoryError; those of libraries only say so."""
    said = str(error).lower()
    return isinstance(error, MemoryError) or any(words in said for words in _SAID)


def is_of_a_killed_worker(error: BaseException) -> bool:
    """Return whether a worker of a pool or a cluster was killed, for which a lack of memory is the usual reason."""
    cause = error.__cause__
    return isinstance(cause, BrokenExecutor) or type(cause).__name__ == "KilledWorker"


def remedy(command: str) -> str:
    """Return what would help `command`, as a sentence without its full stop."""
    *first, last = LESS.get(command) or ("a machine with more",)
    ways = f"{', '.join(first)} or {last}" if first else last
    return f"What would help: {ways}"
