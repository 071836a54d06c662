"""What commands that are sweeps share: the data as workers find them, the backend, and the finished trials by key."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, TypeVar

from probe._progress import Progress
from probe.storage import OwnedFolder
from probe.sweep import Backend, Source, run_sweep

__all__ = ["AGAIN", "Backend", "Source", "swept"]


class _Named(Protocol):
    @property
    def name(self) -> str: ...


AnyKey = TypeVar("AnyKey", bound=_Named)
Task = TypeVar("Task")
Trial = TypeVar("Trial")

AGAIN = "run the same command again to go on"


def swept(
    folder: OwnedFolder,
    configuration: Mapping[str, object],
    tasks: Mapping[AnyKey, Task],
    function: Callable[[Task, threading.Event], Trial | None],
    kind: type[Trial],
    backend: Backend | None,
    progress: Progress,
    stage: str,
    note: Callable[[Sequence[Trial]], str],
    extent: Mapping[str, int] | None = None,
) -> tuple[dict[AnyKey, Trial], bool]:
    """Return the trials of a sweep that are done, by key, and whether it was interrupted."""
    backend = Backend() if backend is None else backend
    keys = {key.name: key for key in tasks}
    outcome = run_sweep(
        folder,
        configuration,
        {key.name: task for key, task in tasks.items()},
        function,
        kind,
        extent=extent,
        workers=backend.workers,
        backend=backend.name,
        scheduler=backend.scheduler,
        progress=progress,
        stage=stage,
        note=note,
    )
    done = {keys[name]: trial for name, trial in zip(outcome.names, outcome.results, strict=True)}
    return done, outcome.interrupted
