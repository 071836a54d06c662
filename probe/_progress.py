"""How long work tells its caller how far it is; libraries stay silent, the command line draws it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["WORTH_SAYING", "Progress", "ProgressEvent", "announcement", "lasting", "silent"]


@dataclass(frozen=True, slots=True)
class ProgressEvent:
    """How far a piece of work is.

    Attributes
    ----------
    stage : str
        What is being done, such as "training".
    done, total : int
        Steps done, of how many; of none for an announcement.
    note : str
        A current figure, such as "cost 0.231", or what is announced; may be empty.
    """

    stage: str
    done: int
    total: int
    note: str = ""


Progress = Callable[[ProgressEvent], None]


def silent(event: ProgressEvent) -> None:
    """Ignore `event`."""


WORTH_SAYING = 20.0
"""Seconds of work that its caller is told of beforehand."""


def announcement(said: str) -> ProgressEvent:
    """Return what tells the caller something before work begins, such as how long it takes."""
    return ProgressEvent("announcement", 0, 0, said)


def lasting(seconds: float) -> str:
    """Return a time as it can be known beforehand.

    Examples
    --------
    >>> lasting(20), lasting(100), lasting(10_000)
    ('less than a minute', 'about 2 minutes', 'about 3 hours')
    """
    if seconds < 50:
        return "less than a minute"
    n, unit = (seconds / 60, "minute") if seconds < 5400 else (seconds / 3600, "hour")
    return f"about {max(1, round(n))} {unit}{'s' * (round(n) > 1)}"
