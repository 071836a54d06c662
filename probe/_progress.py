"""How long work tells its caller how far it is; libraries stay silent, the command line draws it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["Progress", "ProgressEvent", "silent"]


@dataclass(frozen=True, slots=True)
class ProgressEvent:
    """How far a piece of work is.

    Attributes
    ----------
    stage : str
        What is being done, such as "training".
    done, total : int
        Steps done, of how many.
    note : str
        A current figure, such as "cost 0.231"; may be empty.
    """

    stage: str
    done: int
    total: int
    note: str = ""


Progress = Callable[[ProgressEvent], None]


def silent(event: ProgressEvent) -> None:
    """Ignore `event`."""
