"""What commands that are sweeps share: the data as workers find them, the backend, and the finished trials by key."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal, Protocol, TypeVar

from probe._checks import InputError
from probe._progress import Progress
from probe.datasets import Split, is_named, load_dataset
from probe.storage import OwnedFolder
from probe.sweep import run_sweep

__all__ = ["AGAIN", "Backend", "Source", "swept"]


class _Named(Protocol):
    @property
    def name(self) -> str: ...


AnyKey = TypeVar("AnyKey", bound=_Named)
Task = TypeVar("Task")
Trial = TypeVar("Trial")

AGAIN = "run the same command again to go on"


@dataclass(frozen=True, slots=True)
class Backend:
    """Where the trials of a sweep are run.

    Attributes
    ----------
    workers : int
        Threads or processes, at least 1; on a cluster its own workers count.
    name : {"threads", "processes", "dask"}
    scheduler : str, optional
        Address of the Dask scheduler, such as "tcp://127.0.0.1:8786".
    """

    workers: int = 1
    name: Literal["threads", "processes", "dask"] = "threads"
    scheduler: str | None = None


@dataclass(frozen=True, slots=True)
class Source:
    """The data of a trial, as a worker finds them: by name, and checked against the fingerprint."""

    data: str
    fingerprint: str

    @classmethod
    def of(cls, data: str) -> Source:
        """Return the source for `data`; a path is made absolute, because workers start elsewhere."""
        located = data if is_named(data) else str(Path(data).resolve())
        return cls(located, _loaded(located)[1])

    def split(self) -> Split:
        split, fingerprint = _loaded(self.data)
        if fingerprint != self.fingerprint:
            raise InputError(
                f"the data '{self.data}' of this worker are not those that the sweep was started with"
            )
        return split


@lru_cache(maxsize=2)
def _loaded(data: str) -> tuple[Split, str]:
    split = load_dataset(data)
    return split, split.fingerprint


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
