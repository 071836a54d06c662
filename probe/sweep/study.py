"""Studies in a folder: they can be killed at any moment, and go on."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, Literal, TypeVar

from probe._checks import InputError, check_integer
from probe._processes import NoProcessError, place
from probe._progress import Progress, ProgressEvent, silent
from probe.datasets import DataSource, Split
from probe.storage import OwnedFolder
from probe.study import Key, Study
from probe.sweep.run import run_sweep

__all__ = ["ANYWHERE", "Backend", "Source", "run_study_in"]

AnyKey = TypeVar("AnyKey", bound=Key)
Trial = TypeVar("Trial")
Found = TypeVar("Found")


@dataclass(frozen=True, slots=True)
class Backend:
    """Where the trials of a study are run.

    Parameters
    ----------
    workers : int, optional
        Trials that run at the same time, at least 1; as many as there are cores without, or one if all is quickly done.
        The result does not depend on it.
    backend : {"auto", "threads", "processes", "dask"}
        Where trials run: in threads, in processes, or on a Dask cluster (extra dask), whose own workers count; "auto"
        takes processes where they pay.
    scheduler : str, optional
        Address of the Dask scheduler, such as tcp://127.0.0.1:8786.
    """

    workers: int | None = None
    backend: Literal["auto", "threads", "processes", "dask"] = "auto"
    scheduler: str | None = None


ANYWHERE = Backend()


_SENT: dict[str, Split] = {}
"""On a worker of a cluster: the data that came there, by fingerprint."""

_MOST_SENT = 2
"""Data sets that a worker keeps: those of the latest studies."""


def _receive(split: Split, fingerprint: str) -> None:
    _SENT.pop(fingerprint, None)
    _SENT[fingerprint] = split
    while len(_SENT) > _MOST_SENT:
        del _SENT[next(iter(_SENT))]


@dataclass(frozen=True, slots=True)
class Source:
    """The data of a trial, as a worker finds them: those that were sent, or by name, checked against the fingerprint."""

    data: DataSource
    fingerprint: str

    @classmethod
    def of(cls, data: str | DataSource) -> Source:
        """Return the source for `data`; a path is made absolute, because workers start elsewhere."""
        located = DataSource.of(data).located()
        return cls(located, _loaded(located)[1])

    def split(self) -> Split:
        """Return the data."""
        if self.fingerprint in _SENT:
            return _SENT[self.fingerprint]
        split, fingerprint = _loaded(self.data)
        if fingerprint != self.fingerprint:
            raise InputError(
                f"the data '{self.data.data}' of this worker are not those that the study was started with"
            )
        return split


@lru_cache(maxsize=2)
def _loaded(data: DataSource) -> tuple[Split, str]:
    split = data.split()
    return split, split.fingerprint


@dataclass(frozen=True, slots=True)
class _Task:
    """A trial, as it is sent to a worker."""

    source: Source
    study: Study[Any, Any, Any]
    key: Any
    given: Any


def _trial(task: _Task, stop: threading.Event) -> Any:
    return task.study.run(task.key, task.given, task.source.split(), stop)


def run_study_in(
    folder: OwnedFolder,
    study: Study[AnyKey, Trial, Found],
    source: Source,
    *,
    backend: Backend = ANYWHERE,
    progress: Progress = silent,
) -> tuple[dict[AnyKey, Trial], bool]:
    """Run the trials of a study that its folder does not hold yet.

    Parameters
    ----------
    folder : OwnedFolder
        Each trial is kept in it as a file once it is done.
    study : Study
        What to run.
    source : Source
        The data.
    backend : Backend
        Where to run it.
    progress : callable
        Called with a `ProgressEvent` after each trial.

    Returns
    -------
    trials : dict
        The trials that are done, by their keys, as read from the files.
    interrupted : bool
        Whether Ctrl-C ended the work early.

    Raises
    ------
    InputError
        As `run_sweep` does.
    KeyboardInterrupt
        If Ctrl-C came before any trial was done.
    """
    if backend.workers is not None:
        check_integer("workers", backend.workers, minimum=1)
    split = source.split()
    done: dict[AnyKey, Trial] = {}
    while missing := [key for key in study.keys(done, split) if key not in done]:
        try:
            finished, interrupted = _finished(folder, study, missing, done, split, source, backend, progress)
        except KeyboardInterrupt:
            if not done:
                raise
            return done, True
        done |= finished
        if interrupted:
            return done, True
    return done, False


def _finished(
    folder: OwnedFolder,
    study: Study[AnyKey, Trial, Found],
    keys: Sequence[AnyKey],
    before: Mapping[AnyKey, Trial],
    split: Split,
    source: Source,
    backend: Backend,
    progress: Progress,
) -> tuple[dict[AnyKey, Trial], bool]:
    """Return the trials of `keys` that are done, and whether the work was interrupted."""

    def shifted(event: ProgressEvent) -> None:
        n = len(before)
        progress(ProgressEvent(event.stage, event.done + n, event.total + n, event.note))

    def note(trials: Sequence[Trial]) -> str:
        return study.note([*before.values(), *trials])

    where, workers = place(study.seconds(keys, split), backend.workers, len(keys))
    sweep = partial(
        run_sweep,
        folder,
        {"experiment": study.name, "data": source.fingerprint} | study.settings(),
        {key.name: _Task(source, study, key, study.given(key, before)) for key in keys},
        _trial,
        study.trial,
        extent=study.extent(),
        workers=workers,
        scheduler=backend.scheduler,
        prepare=partial(_receive, split, source.fingerprint),
        progress=shifted,
        stage=study.stage,
        note=note,
    )
    try:
        outcome = sweep(backend=where if backend.backend == "auto" else backend.backend)
    except NoProcessError:
        if backend.backend != "auto":
            raise
        outcome = sweep(backend="threads")
    by_name = {key.name: key for key in keys}
    finished = {by_name[name]: trial for name, trial in zip(outcome.names, outcome.results, strict=True)}
    return finished, outcome.interrupted
