"""What each command needs less memory with."""

from __future__ import annotations

from concurrent.futures import BrokenExecutor

__all__ = ["LESS", "is_lack_of_memory", "is_of_a_killed_worker", "remedy"]

LESS = {
    "report": ("smaller --data",),
    "train": ("narrower layers in --hidden", "a smaller --batch-size"),
    "inspect": (),
    "weights": ("one layer at a time by --layer", "some of its units by --units"),
    "convert": (),
    "features": ("fewer --networks", "smaller --data"),
    "maximize": ("fewer --restarts", "one --objective at a time"),
    "drawing": ("fewer --networks", "fewer --restarts"),
    "noise": ("fewer --images",),
    "severity": ("fewer --networks", "fewer --images"),
    "memorize": ("--workers 1", "fewer --samples", "fewer --replicates", "narrower layers in --hidden"),
    "capacity": ("--workers 1", "a smaller --largest", "narrower layers in --hidden"),
    "scores": ("--workers 1", "fewer --samples", "fewer --networks", "narrower layers in --hidden"),
    "landscape": ("--workers 1", "a smaller --resolution", "fewer --directions"),
    "minima": ("--workers 1", "fewer --samples", "fewer --networks", "narrower layers in --hidden"),
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
