"""Progress that shows itself: bars in a terminal or a notebook, nothing elsewhere."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from html import escape
from typing import Any, Literal

from probe._checks import InputError, brief
from probe._progress import Progress, ProgressEvent, silent
from probe.safeh5 import printable

__all__ = ["ShownProgress", "in_terminal", "shown"]

ShownProgress = Progress | Literal["auto"] | None
"""What public functions take: their own callable, "auto" for bars where somebody can see them, None for nothing."""

_AFTER_SECONDS = 0.5
"""What is done sooner needs no bar."""

_REDRAWN_SECONDS = 0.1
"""How often a notebook gets a new bar at most."""

_LONGEST = 600
"""Characters of an announcement that are shown."""


class _Calls:
    """How many calls are under way that show progress or were told not to: what they call shows none of its own."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._n_open = 0

    def enter(self) -> bool:
        """Return whether this call is the outermost."""
        with self._lock:
            self._n_open += 1
            return self._n_open == 1

    def leave(self) -> None:
        with self._lock:
            self._n_open -= 1


_CALLS = _Calls()


@contextmanager
def shown(progress: object) -> Iterator[Progress]:
    """Give the function to call with each event, for an argument of the kind `ShownProgress`.

    "auto" draws bars in a terminal (on standard error) and in a notebook once the work has lasted half a second, and
    removes them at its end. Nothing is drawn elsewhere, and nothing for what is called meanwhile.

    Raises
    ------
    InputError
        If `progress` is nothing of these.
    """
    is_auto = isinstance(progress, str) and progress == "auto"
    if not (is_auto or callable(progress) or progress is None):
        raise InputError(f'progress must be a function, None or "auto", got {brief(progress)}')
    is_outermost = _CALLS.enter()
    try:
        if callable(progress):
            yield progress
        elif is_auto and is_outermost:
            with _drawn() as drawing:
                yield drawing
        else:
            yield silent
    finally:
        _CALLS.leave()


@contextmanager
def _drawn() -> Iterator[Progress]:
    display = _notebook_display()
    if display is not None:
        bars = _NotebookBars(display)
        try:
            yield bars.draw
        finally:
            bars.close()
    elif _is_terminal():
        with in_terminal() as draw:
            yield _later(draw)
    else:
        yield silent


def _later(draw: Progress) -> Progress:
    began = time.monotonic()

    def late(event: ProgressEvent) -> None:
        if not event.total or time.monotonic() - began >= _AFTER_SECONDS:
            draw(event)

    return late


def _is_terminal() -> bool:
    return sys.stderr is not None and sys.stderr.isatty()


@contextmanager
def in_terminal() -> Iterator[Progress]:
    """Draw bars on standard error while the block runs."""
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    columns = (
        TextColumn("{task.description:<12}", markup=False),
        BarColumn(),
        TextColumn("{task.completed}/{task.total}", markup=False),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}", markup=False),
    )
    tasks: dict[str, Any] = {}
    # Without a thread of its own: each event draws. A console that thought it were a notebook would ask for widgets.
    console = Console(stderr=True, force_jupyter=False)
    with Bars(*columns, console=console, transient=True, auto_refresh=False) as bars:

        def draw(event: ProgressEvent) -> None:
            if not event.total:
                if event.note:
                    bars.print(printable(event.note, _LONGEST), markup=False, highlight=False)
                return
            if event.stage not in tasks:
                tasks[event.stage] = bars.add_task(event.stage, total=event.total, note="")
            bars.update(
                tasks[event.stage], completed=event.done, total=event.total, note=event.note, refresh=True
            )

        yield draw


class _NotebookBars:
    """One bar for each stage, in the output of the cell; gone at the end. What was announced stays."""

    def __init__(self, display: Callable[..., Any]) -> None:
        self._display, self._handle = display, None
        self._lock = threading.Lock()
        self._stages: dict[str, ProgressEvent] = {}
        self._began, self._drawn = time.monotonic(), -_REDRAWN_SECONDS

    def draw(self, event: ProgressEvent) -> None:
        with self._lock:
            if not event.total:
                if event.note:
                    self._display(_Html(f"<p>{escape(printable(event.note, _LONGEST))}</p>", event.note))
                return
            self._stages[event.stage] = event
            now = time.monotonic()
            if now - self._began >= _AFTER_SECONDS and now - self._drawn >= _REDRAWN_SECONDS:
                self._drawn = now
                self._show(_Html("".join(map(self._bar, self._stages.values())), ""))

    def close(self) -> None:
        """Remove the bars."""
        with self._lock:
            if self._handle is not None:
                self._show(_Html("", ""))

    def _show(self, content: _Html) -> None:
        if self._handle is None:
            self._handle = self._display(content, display_id=True)
        else:
            self._handle.update(content)

    def _bar(self, event: ProgressEvent) -> str:
        seconds = time.monotonic() - self._began
        left = seconds * (event.total - event.done) / event.done if event.done else 0
        note = ", ".join(filter(None, [event.note, f"{left:.0f} s left" if left >= 1 else ""]))
        return (
            f'<div><label>{escape(printable(event.stage))} <progress value="{event.done}" max="{event.total}"></progress> '
            f"{event.done}/{event.total} {escape(printable(note))}</label></div>"
        )


class _Html:
    """HTML as a notebook shows it, with the text that stands for it elsewhere."""

    def __init__(self, html: str, text: str) -> None:
        self._html, self._text = html, text

    def __repr__(self) -> str:
        return self._text

    def _repr_html_(self) -> str:
        return self._html


def _notebook_display() -> Callable[..., Any] | None:
    """Return what shows something in the output of a notebook's cell, or None outside notebooks."""
    # Nobody is in a notebook who has not imported IPython.
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    if shell is None or type(shell).__module__.startswith("IPython.terminal"):
        return None
    from IPython.display import display  # type: ignore[import-not-found, unused-ignore]

    shows: Callable[..., Any] = display
    return shows
