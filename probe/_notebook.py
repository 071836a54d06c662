"""What a notebook shows by itself."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, Protocol

__all__ = ["displayed", "shown_at_the_end"]


class Seen(Protocol):
    """What knows whether anybody has seen it."""

    is_seen: bool


_WAITING: list[Seen] = []
"""What the cell under way has made."""


def displayed() -> Callable[..., Any] | None:
    """Return what shows something in the output of a notebook's cell, or None outside notebooks."""
    if _shell() is None:
        return None
    from IPython.display import display  # type: ignore[import-not-found, unused-ignore]

    shows: Callable[..., Any] = display
    return shows


def shown_at_the_end(made: Seen) -> None:
    """In a notebook, show `made` at the end of the cell, unless it was seen by then: as its last line, or in a file."""
    shell = _shell()
    if shell is None:
        return
    if _show_waiting not in shell.events.callbacks["post_run_cell"]:
        shell.events.register("post_run_cell", _show_waiting)
    _WAITING.append(made)


def _show_waiting(*result: object) -> None:
    waiting, display = _WAITING.copy(), displayed()
    _WAITING.clear()
    for made in waiting:
        if display is not None and not made.is_seen:
            display(made)


def _shell() -> Any:
    """Return the shell of a notebook; None in a terminal, and where there is none."""
    # Nobody is in a notebook who has not imported IPython.
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    in_terminal = type(shell).__module__.startswith("IPython.terminal")
    return None if in_terminal else shell
