"""Running the trials of a sweep that are not finished yet: on threads, in processes, or on a Dask cluster."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import BrokenExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass, is_dataclass
from functools import partial
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar, cast

from probe._checks import InputError, brief, check_choice, check_integer
from probe._parallel import in_threads, single_threaded_blas
from probe._processes import Worker, in_processes
from probe._progress import Progress, ProgressEvent, silent
from probe._signatures import checked
from probe.storage import OwnedFolder
from probe.sweep._dask import on_dask
from probe.sweep.folder import GO_ON, SweepFolder, check_counts, check_name, locked

__all__ = ["SweepOutcome", "run_sweep"]

Task = TypeVar("Task")
Result = TypeVar("Result")


Computed = Callable[..., Generator[bool, None, None]]
"""Computes tasks somewhere: `computed(function, tasks, keep, stop=stop)`, as `on_dask` does."""

_ADDRESS = re.compile(r"([a-z]+://)?[^\s\x00]+:\d{1,5}/?")


@dataclass(frozen=True, slots=True, eq=False)
class SweepOutcome(Generic[Result]):
    """The finished trials of a sweep.

    Attributes
    ----------
    names : tuple of str
        Which trials are finished, in the order in which `run_sweep` got them.
    results : tuple
        Their results, in the same order.
    n_reused : int
        How many were finished before.
    n_run : int
        How many were finished now.
    n_damaged : int
        How many files did not hold what had been written to them, so that their trials had to run again.
    interrupted : bool
        Whether Ctrl-C or a trial that gave up ended the sweep early.
    """

    names: tuple[str, ...]
    results: tuple[Result, ...]
    n_reused: int
    n_run: int
    n_damaged: int
    interrupted: bool


def _no_note(results: Sequence[object]) -> str:
    return ""


@checked
def run_sweep(
    folder: Path | OwnedFolder,
    configuration: Mapping[str, object],
    trials: Mapping[str, Task],
    function: Callable[[Task, threading.Event], Result | None],
    kind: type[Result],
    *,
    extent: Mapping[str, int] | None = None,
    workers: int = 1,
    backend: Literal["threads", "processes", "dask"] = "threads",
    scheduler: str | None = None,
    prepare: Callable[[], None] | None = None,
    progress: Progress = silent,
    stage: str = "trials",
    note: Callable[[Sequence[Result]], str] = _no_note,
) -> SweepOutcome[Result]:
    """Compute the trials that `folder` does not hold yet, keep each, and return all.

    It can be killed at any moment: called again it goes on, and no trial that was finished runs twice.
    BLAS is held to one thread, so that neither workers nor backends change a result.

    Parameters
    ----------
    folder : path or OwnedFolder
        Where the sweep is kept; created if need be. One process at a time can run a sweep in it. A path is followed
        wherever it leads; in the folder itself no link is followed.
    configuration : mapping
        All settings that the trials follow from, as values that JSON holds; mappings may nest. An entry
        "experiment" says what kind of study it is: a folder of another kind is refused in one sentence.
    trials : mapping
        A task for each trial, by its name. The names become names of files. Tasks go to Dask by pickle.
    function : callable
        Computes one trial: ``function(task, stop)`` returns its result. It should look at `stop` now and
        then, and return None to give up once it is set. None ends the sweep as Ctrl-C does. For Dask it
        must be a function of a module that the workers can import. The same holds for processes.
    kind : type
        The dataclass of the results, which `probe.storage.save_result` must be able to write.
    extent : mapping, optional
        Settings that only say how many trials there are, such as ``{"replicates": 20}``: they may be larger
        than those the folder was begun with, and smaller ones are refused by name.
    workers : int
        Threads or processes that compute trials, at least 1. On Dask its workers decide.
    backend : {"threads", "processes", "dask"}
        Where trials are computed. The files are written by this process in any case. Processes take a second or two to
        start, stay for the next sweep, and do not wait for each other: of small networks two train twice as many as one.
    scheduler : str, optional
        Address of the Dask scheduler, such as "tcp://127.0.0.1:8786"; with `backend="dask"` only.
    prepare : callable, optional
        Called on each worker of a Dask cluster, and in other processes, before trials, with what they share, such as data;
        goes there by pickle, to processes in shared memory.
    progress : callable
        Called with a `ProgressEvent` once for all reused trials, and after each trial.
    stage : str
        What progress events say is being done.
    note : callable
        Gives the note of progress events from the results so far, in the order of `trials`.

    Returns
    -------
    SweepOutcome
        Its results are as read from the files. After Ctrl-C, the trials finished until then.

    Raises
    ------
    InputError
        If an argument is outside its range, the folder holds another sweep, is in use, cannot be written to
        or was removed meanwhile, the disk is full, or the cluster cannot be used. What was finished stays
        finished.
    KeyboardInterrupt
        If Ctrl-C came before any trial was finished.

    Examples
    --------
    >>> import tempfile
    >>> from probe.objectives import Objective, unit
    >>> def trial(index, stop):
    ...     return None if stop.is_set() else unit("hidden_1", index)
    >>> folder = Path(tempfile.mkdtemp())
    >>> run_sweep(folder, {"layer": "hidden_1"}, {"unit-0": 0}, trial, Objective).n_run
    1
    >>> outcome = run_sweep(folder, {"layer": "hidden_1"}, {"unit-0": 0, "unit-1": 1}, trial, Objective)
    >>> outcome.n_reused, outcome.n_run, [objective.index for objective in outcome.results]
    (1, 1, [0, 1])
    """
    _check_arguments(trials, kind, workers, backend, scheduler)
    check_counts(extent)
    owned = folder if isinstance(folder, OwnedFolder) else OwnedFolder(folder)
    with ExitStack() as held:
        if owned is not folder:
            held.callback(owned.release)
        held.enter_context(locked(owned))
        store = SweepFolder(owned, configuration, kind, extent)
        run = _Run(store, trials, function)
        interrupted = False
        try:
            run.reuse()
            if scheduler is not None:
                computed: Computed = partial(on_dask, scheduler=scheduler, prepare=prepare)
            else:
                computed = partial(_on_threads, workers=workers)
                if backend == "processes":
                    computed = partial(_in_processes, workers=workers, prepare=prepare)
            with closing(run.finish(computed)) as reports:
                for n_done in reports:
                    progress(ProgressEvent(stage, n_done, len(trials), note(run.finished()[1])))
        except KeyboardInterrupt:
            interrupted = True
        store.check_there()
        names, results = run.finished()
        interrupted = interrupted or run.gave_up
        if interrupted and not results:
            raise KeyboardInterrupt
        return SweepOutcome(
            names, results, run.n_reused, len(results) - run.n_reused, run.n_damaged, interrupted
        )


class _Run(Generic[Task, Result]):
    """One call of `run_sweep`: what is finished, and what is missing."""

    def __init__(
        self,
        store: SweepFolder[Result],
        trials: Mapping[str, Task],
        function: Callable[[Task, threading.Event], Result | None],
    ) -> None:
        self._store, self._trials, self._function = store, trials, function
        self._stop = threading.Event()
        self._results: dict[str, Result] = {}
        self.n_reused = self.n_damaged = 0
        self.gave_up = False

    def reuse(self) -> None:
        """Read the trials that are finished."""
        for name in self._trials:
            state = self._store.state(name)
            if state == "finished":
                self._results[name] = self._store.load(name)
                self.n_reused += 1
            elif state == "damaged":
                self.n_damaged += 1

    def finished(self) -> tuple[tuple[str, ...], tuple[Result, ...]]:
        """Return names and results of the finished trials, in order."""
        names = tuple(name for name in self._trials if name in self._results)
        return names, tuple(self._results[name] for name in names)

    def finish(self, computed: Computed) -> Generator[int, None, None]:
        """Compute what is missing by `computed`; give the number of finished trials as it grows."""
        missing = [name for name in self._trials if name not in self._results]
        if self.n_reused:
            yield self.n_reused
        if not missing:
            return

        def keep(index: int, result: Result) -> None:
            self._results[missing[index]] = self._store.keep(missing[index], result)

        tasks, n_done = [self._trials[name] for name in missing], self.n_reused
        with closing(computed(self._function, tasks, keep, stop=self._stop)) as outcomes:
            for is_kept in outcomes:
                if is_kept:
                    n_done += 1
                    yield n_done
                else:
                    # A trial that gave up ends the others.
                    self.gave_up = True
                    self._stop.set()


def _on_threads(
    function: Callable[[Task, threading.Event], Result | None],
    tasks: Sequence[Task],
    keep: Callable[[int, Result], None],
    *,
    workers: int,
    stop: threading.Event,
) -> Generator[bool, None, None]:
    """Call `function` on each task on threads, as `_in_processes` does in processes."""

    def compute(index: int, stop: threading.Event) -> bool:
        with single_threaded_blas():
            result = function(tasks[index], stop)
        if result is None:
            stop.set()
            return False
        # Each thread keeps its own results: Ctrl-C in the main thread then loses none that is computed.
        keep(index, result)
        return True

    with (
        single_threaded_blas(),
        closing(in_threads(compute, range(len(tasks)), workers=workers, stop=stop)) as outcomes,
    ):
        for _, is_kept in outcomes:
            yield is_kept


def _in_processes(
    function: Callable[[Task, threading.Event], Result | None],
    tasks: Sequence[Task],
    keep: Callable[[int, Result], None],
    *,
    workers: int,
    stop: threading.Event,
    prepare: Callable[[], None] | None,
) -> Generator[bool, None, None]:
    """Call `function` on each task in processes, as `on_dask` does on a cluster; `prepare` goes there once.

    However this ends, no trial goes on: those under way are told to give up, and waited for. An InputError is raised if a
    process died.
    """
    work: list[Any] = [(function, task, prepare) for task in tasks]
    try:
        with closing(in_processes(_computed, work, workers=workers, stop=stop)) as outcomes:
            for index, result in outcomes:
                if result is not None:
                    keep(index, result)
                yield result is not None
    except BrokenExecutor as error:
        raise InputError(
            f"a process of this sweep died, perhaps for lack of memory; pass fewer --workers. {GO_ON}"
        ) from error


def _computed(
    work: tuple[Callable[[Task, threading.Event], Result | None], Task, Callable[[], None] | None],
    worker: Worker,
) -> Result | None:
    function, task, prepare = work
    if prepare is not None:
        prepare()
    return function(task, cast(threading.Event, worker))


def _check_arguments(
    trials: Mapping[str, Any], kind: object, workers: int, backend: str, scheduler: str | None
) -> None:
    if not trials:
        raise InputError("trials must hold at least one trial, got none")
    for name in trials:
        check_name(name)
    if not is_dataclass(kind):
        raise InputError(f"kind must be the dataclass of a result, got {brief(kind)}")
    check_integer("workers", workers, minimum=1)
    check_choice("backend", backend, ("threads", "processes", "dask"))
    if backend == "dask" and scheduler is None:
        raise InputError(
            "backend 'dask' needs the address of its scheduler. Pass --scheduler tcp://<host>:8786"
        )
    if scheduler is not None and not _ADDRESS.fullmatch(scheduler):
        raise InputError(
            f"scheduler must be an address such as tcp://127.0.0.1:8786, which `dask scheduler` prints; got {scheduler!r}"
        )
    if backend != "dask" and scheduler is not None:
        raise InputError(
            f"scheduler is for backend 'dask', got {scheduler!r} with backend '{backend}'. Pass --backend dask"
        )
