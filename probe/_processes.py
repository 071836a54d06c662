"""A pool of processes that stays warm, for work that in threads would wait for Python: its data are in shared memory."""

from __future__ import annotations

import atexit
import errno
import gc
import math
import multiprocessing
import os
import pickle
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Future, wait
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.shared_memory import SharedMemory
from typing import Any, Final, Literal, TypeVar

import numpy as np
import numpy.typing as npt

from probe._errors import InputError
from probe._memory import give_back_memory
from probe._parallel import available_workers

__all__ = ["NO_PROCESS", "NoProcessError", "Told", "Worker", "in_processes", "place", "submit"]

Task = TypeVar("Task")
Returned = TypeVar("Returned")

Told = npt.NDArray[np.float64]
"""What workers tell on the way, of shape (n_tasks, 2): a count that grows, and a number to it. See `Worker.tell`."""


class NoProcessError(InputError):
    """No process can be started here, or what it is to do cannot be sent to it."""


NO_PROCESS: Final = (BrokenExecutor, NoProcessError)
"""What is raised where no process can be used, or one was killed."""

_COLD_SECONDS, _WARM_SECONDS = 4.0, 0.3
"""Seconds of work on one core from which processes pay: before they are started, which takes 1.5 s, and after."""

_LARGE = 200_000_000
"""Multiplications of a step, in which BLAS takes fifty times as long as Python."""

_ENVIRONMENT = {
    "LOKY_MAX_CPU_COUNT": "1",  # whoever asks there how many workers pay is told one
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "BLIS_NUM_THREADS": "1",
    "VECLIB_MAXIMUM_THREADS": "1",
}

_LOOK_SECONDS = 0.05
"""How often it is looked at what workers tell."""

_ALIGNMENT = 64
"""Bytes from one part of shared memory to the next."""

_ROOM_LEFT = 1 << 20
"""Bytes of shared memory that are left to others."""


def place(
    seconds: float, workers: int | None, n_tasks: int, *, size: int = 0
) -> tuple[Literal["threads", "processes"], int]:
    """Return where tasks are best done, and how many at the same time.

    Parameters
    ----------
    seconds : float
        What all take one core, about.
    workers : int, optional
        How many are wanted. Without, as many as there are cores if the work is long enough, or one.
    n_tasks : int
        How many there are.
    size : int
        Multiplications of a step, with no more of which threads would wait for each other's Python.

    Returns
    -------
    where : {"threads", "processes"}
        Processes where the work is long and threads would wait for each other: not where BLAS does the work, nor on
        free-threaded Python. Threads in a worker itself.
    workers : int
        As wanted, or found.
    """
    waiting = size < _LARGE and getattr(sys, "_is_gil_enabled", lambda: True)()
    is_long = seconds > (_COLD_SECONDS if waiting and not _POOL.is_warm else _WARM_SECONDS)
    if workers is None:
        workers = available_workers(n_tasks) if is_long else 1
    may_start = waiting and not multiprocessing.current_process().daemon
    if is_long and may_start and min(workers, n_tasks) > 1 and available_workers() > 1:
        return "processes", workers
    return "threads", workers


def submit(function: Callable[..., Returned], *args: Any) -> Future[Returned]:
    """Call `function` in a process of the pool, which is started at the first call and lasts as long as this process.

    Function and arguments go there by pickle, also those that a script or a notebook defines. BLAS has one thread there.

    Raises
    ------
    NoProcessError
        If no process can be started.
    """
    with _or_no_process(OSError, ImportError):
        return _POOL.submit(function, *args)


@contextmanager
def _or_no_process(*errors: type[Exception]) -> Iterator[None]:
    """Raise what says that other processes are of no use here."""
    try:
        yield
    except errors as error:
        message = f"other processes cannot be used here ({error}); let threads do the work"
        raise NoProcessError(message) from error


def in_processes(
    function: Callable[[Task, Worker], Returned],
    tasks: Sequence[Task],
    *,
    workers: int,
    stop: threading.Event,
    told: Callable[[Told], None] = lambda told: None,
) -> Generator[tuple[int, Returned], None, None]:
    """Call `function` on each task in processes, as `in_threads` does, and give the results as they come.

    Arrays in the tasks are written to shared memory once, whatever the number of workers; there they are read-only.
    However this ends, no task runs any more when it has ended, unless a second Ctrl-C did not wait for them.

    Parameters
    ----------
    function : callable
        ``function(task, worker)``: it should return soon once ``worker.is_set()``, as `stop` is then.
    tasks : sequence
        What it is called on. What tasks share goes once.
    workers : int
        How many are under way at the same time, at least 1.
    stop : threading.Event
        Once set, by whomever, no further task is started.
    told : callable
        Called in this thread, now and then and at the end, with what workers have told until then.

    Yields
    ------
    index : int
        Of a task.
    result
        What was returned for it.

    Raises
    ------
    BrokenExecutor, NoProcessError
        `NO_PROCESS`: if one was killed, perhaps for lack of memory; none can be started, or the tasks do not go there.
    BaseException
        What `function` raised, the first if several did.
    """
    with _or_no_process(OSError, ImportError, TypeError, AttributeError, pickle.PicklingError):
        job = _Job((function, tasks), len(tasks))
    running: dict[Future[Returned], int] = {}
    waiting = iter(range(len(tasks)))
    try:
        while True:
            while len(running) < workers and not stop.is_set():
                index = next(waiting, None)
                if index is None:
                    break
                running[submit(_run, job.address, index)] = index
            if not running:
                return
            done = wait(running, _LOOK_SECONDS, FIRST_COMPLETED).done
            told(job.told)
            for future in done:
                yield running.pop(future), future.result()
            if stop.is_set():
                job.stop()
    finally:
        job.stop()
        try:
            wait(running)
        finally:
            job.end()


class _Pool:
    """The processes of this one, once they are started."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Know nothing of any processes: in a copy of this one they are not its own."""
        self._lock = threading.Lock()
        self._executor: Any = None
        self._lifeline: Any = None

    @property
    def is_warm(self) -> bool:
        return self._executor is not None

    def submit(self, function: Callable[..., Returned], *args: Any) -> Future[Returned]:
        with self._lock:
            if self._executor is not None:
                # It is broken after a process died.
                with suppress(BrokenExecutor):
                    return self._submitted(function, *args)
            self._executor = self._started()
            return self._submitted(function, *args)

    def _submitted(self, function: Callable[..., Returned], *args: Any) -> Future[Returned]:
        future: Future[Returned] = self._executor.submit(_called, function, *args)
        return future

    def _started(self) -> Any:
        # Not joblib's own pool, which ends where others ask for one with other options.
        from joblib.externals.loky import ProcessPoolExecutor
        from joblib.externals.loky.backend import get_context

        context = get_context("loky")
        held, self._lifeline = context.Pipe(duplex=False)
        return ProcessPoolExecutor(
            available_workers(), context=context, initializer=_begin, initargs=(held,), env=_ENVIRONMENT
        )


_POOL = _Pool()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_POOL.forget)


class _Memory(SharedMemory):
    """Shared memory at which something, such as a cache, may still look when its process ends."""

    def __del__(self) -> None:
        with suppress(OSError, BufferError):
            self.close()


@dataclass(frozen=True, slots=True)
class _Address:
    """Where workers find a job: shared memory, and what is where in it."""

    name: str
    n_tasks: int
    parts: tuple[slice, ...]

    def opened(self) -> _Opened:
        """Return the job, in a worker. What it is made of lies in the shared memory, read-only."""
        memory = _Memory(self.name)
        assert memory.buf is not None
        view = memory.buf.toreadonly()
        pickled, *buffers = (view[part] for part in self.parts)
        function, tasks = pickle.loads(pickled, buffers=buffers)
        return _Opened(self, memory, function, tasks, _numbers(memory, self.n_tasks))


@dataclass(frozen=True, slots=True)
class _Opened:
    """A job in a worker."""

    address: _Address
    memory: SharedMemory
    function: Callable[[Any, Worker], Any]
    tasks: Sequence[Any]
    numbers: Told


def _numbers(memory: SharedMemory, n_tasks: int) -> Told:
    """Return what is told each way: a row for each task, by its worker; and one to all: stop, and it is over."""
    return np.ndarray((n_tasks + 1, 2), np.float64, memory.buf)


class _Job:
    """What workers are to do, in shared memory."""

    def __init__(self, content: object, n_tasks: int) -> None:
        import cloudpickle

        buffers: list[pickle.PickleBuffer] = []
        pickled = cloudpickle.dumps(content, protocol=5, buffer_callback=buffers.append)
        raw = [memoryview(pickled), *(buffer.raw() for buffer in buffers)]
        parts, end = list[slice](), 16 * (n_tasks + 1)
        for part in raw:
            begin = -(-end // _ALIGNMENT) * _ALIGNMENT
            end = begin + part.nbytes
            parts.append(slice(begin, end))
        _check_room(end)
        self._memory = SharedMemory(create=True, size=end)
        assert self._memory.buf is not None
        for part, there in zip(raw, parts, strict=True):
            self._memory.buf[there] = part
        self._numbers = _numbers(self._memory, n_tasks)
        self._numbers[:] = 0
        self.address = _Address(self._memory.name, n_tasks, tuple(parts))

    @property
    def told(self) -> Told:
        return self._numbers[:-1].copy()

    def stop(self) -> None:
        self._numbers[-1, 0] = 1

    def end(self) -> None:
        """Give the memory back; workers that still look at it keep it until their next job."""
        self._numbers[-1] = 1
        del self._numbers
        self._memory.close()
        self._memory.unlink()


def _check_room(n_bytes: int) -> None:
    """Raise where shared memory is a file system with too little room, as in a container: writing to it would kill us."""
    with suppress(FileNotFoundError):
        if shutil.disk_usage("/dev/shm").free < n_bytes + _ROOM_LEFT:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/dev/shm")


class Worker:
    """What a task in another process sees of this one: whether it should give up, and where to tell how far it is."""

    def __init__(self, numbers: Told, index: int) -> None:
        self._numbers, self._index = numbers, index

    def is_set(self) -> bool:
        """Return whether the task should give up, as `threading.Event.is_set`."""
        return bool(self._numbers[-1, 0])

    def wait(self, timeout: float = math.inf) -> bool:
        """Wait until the task should give up, or so many seconds; return whether it should, as `threading.Event.wait`."""
        end = time.monotonic() + timeout
        while not self.is_set() and (left := end - time.monotonic()) > 0:
            time.sleep(min(left, _LOOK_SECONDS))
        return self.is_set()

    def tell(self, count: float, number: float) -> None:
        """Tell how far the task is: a count that grows, and any number to it."""
        self._numbers[self._index] = count, number


_OPENED: dict[str, _Opened] = {}
"""In a worker: the jobs under way, and the latest."""

_HELD: list[SharedMemory] = []
"""In a worker: memory of earlier jobs that something still looks at, such as a cache."""


def _called(function: Callable[..., Returned], *args: Any) -> Returned:
    """Call a function, in a worker, with nothing left in memory of jobs that are over."""
    _forget([name for name, job in _OPENED.items() if job.numbers[-1, 1]])
    try:
        return function(*args)
    finally:
        give_back_memory()


def _run(address: _Address, index: int) -> Any:
    """Do one task of a job, in a worker."""
    if address.name not in _OPENED:
        _OPENED[address.name] = address.opened()
    job = _OPENED[address.name]
    return job.function(job.tasks[index], Worker(job.numbers, index))


def _forget(names: Sequence[str]) -> None:
    """Let go of jobs."""
    _HELD.extend([_OPENED.pop(name).memory for name in names])
    _close_held()
    if _HELD:
        gc.collect()
        _close_held()


def _close_held() -> None:
    for memory in tuple(_HELD):
        with suppress(BufferError):
            memory.close()
            _HELD.remove(memory)


def _begin(lifeline: Any) -> None:
    """Begin a worker: Ctrl-C goes to all processes of a terminal, but the first one decides."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, args=(lifeline,), daemon=True).start()
    atexit.register(lambda: _forget(tuple(_OPENED)))
    from joblib.externals.loky import process_executor

    # It would take shared memory for a leak, and end the worker.
    process_executor._MAX_MEMORY_LEAK_SIZE = sys.maxsize


def _end_with_parent(lifeline: Any) -> None:
    """End this process once its parent is gone: there is nobody left to keep what it finds."""
    with suppress(EOFError, OSError):
        lifeline.recv()
    os._exit(1)
