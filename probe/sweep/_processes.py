"""The trials of a sweep in processes of their own, which need not wait for each other's Python."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context, parent_process
from typing import Any, TypeVar

from probe._checks import InputError
from probe._parallel import single_threaded_blas
from probe.sweep.folder import GO_ON

__all__ = ["in_processes"]

Task = TypeVar("Task")
Result = TypeVar("Result")

_STOP: Any = None
"""In a worker: what tells its trial to give up. It has the methods of `threading.Event` that trials use."""


def in_processes(
    function: Callable[[Task, threading.Event], Result | None],
    tasks: Sequence[Task],
    keep: Callable[[int, Result], None],
    *,
    workers: int,
    stop: threading.Event,
) -> Generator[bool, None, None]:
    """Call `function` on each task, each worker in a process of its own, and keep the results as they come.

    However this ends, no process is left: trials under way are told to give up, and waited for. Where this process is
    killed, its workers end at once.

    Parameters
    ----------
    function : callable
        Called in a worker as ``function(task, stop)``; of a module that a fresh process can import.
    tasks : sequence
        At least one.
    keep : callable
        Called as ``keep(index, result)`` in this process.
    workers : int
        Processes.
    stop : threading.Event
        Once it is set no further task is started.

    Yields
    ------
    bool
        Whether a trial was kept; False for one that gave up.

    Raises
    ------
    InputError
        If a process died.
    """
    # Fresh processes: a copy of this one would hold its locks, and BLAS' threads would be gone.
    context = get_context("spawn")
    told = context.Event()
    pool = ProcessPoolExecutor(
        min(workers, len(tasks)), mp_context=context, initializer=_begin, initargs=(told,)
    )
    running: dict[Future[Result | None], int] = {}
    following = iter(enumerate(tasks))
    with pool:
        try:
            while True:
                while len(running) < workers and not stop.is_set():
                    index, task = next(following, (-1, None))
                    if task is None:
                        break
                    running[pool.submit(_computed, function, task)] = index
                if not running:
                    return
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    index, result = running.pop(future), future.result()
                    if result is not None:
                        keep(index, result)
                    yield result is not None
        except BrokenProcessPool as error:
            raise InputError(
                f"a process of this sweep died, perhaps for lack of memory; pass fewer --workers. {GO_ON}"
            ) from error
        finally:
            told.set()


def _begin(told: Any) -> None:
    """Begin a worker: Ctrl-C goes to all processes of a terminal, but the first one decides."""
    global _STOP
    _STOP = told
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """End this process once its parent is gone: there is nobody left to keep what it finds."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _computed(function: Callable[[Task, threading.Event], Result | None], task: Task) -> Result | None:
    with single_threaded_blas():
        return function(task, _STOP)
