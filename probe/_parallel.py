"""Tasks in parallel threads that all end before the caller goes on, and BLAS held to one thread meanwhile."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, nullcontext
from contextvars import copy_context
from dataclasses import dataclass
from functools import lru_cache
from types import FrameType
from typing import Any, Generic, TypeVar, cast

from probe._errors import InputError

__all__ = [
    "available_workers",
    "free_workers",
    "gather",
    "in_threads",
    "in_turn",
    "interrupts_as",
    "single_threaded_blas",
]

Task = TypeVar("Task")
Returned = TypeVar("Returned")


class _BlasLimit:
    """The limit of one thread on a BLAS whose threads belong to the whole process.

    Holders may come and leave in any order, in any thread: the first one sets the limit, the last one takes it back.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._n_holders = 0
        self._before: list[tuple[Any, int]] = []

    def hold(self, libraries: Sequence[Any]) -> None:
        with self._lock:
            if self._n_holders == 0:
                shared = [library for library in libraries if not _is_limited_by_thread(library)]
                self._before = [(library, n) for library in shared if (n := library.num_threads) > 1]
                _set_threads([(library, 1) for library, _ in self._before])
            self._n_holders += 1

    @property
    def is_held(self) -> bool:
        return self._n_holders > 0

    def leave(self) -> None:
        with self._lock:
            self._n_holders -= 1
            if self._n_holders == 0:
                _set_threads(self._before)


def _is_limited_by_thread(library: Any) -> bool:
    return getattr(library, "threading_layer", "") == "openmp"


def _set_threads(numbers: Sequence[tuple[Any, int]]) -> None:
    """Set the number of threads of BLAS libraries, from whatever thread this is.

    Since 3.8 threadpoolctl ignores, without a word, every thread but the one that set a number first.
    """
    for library, n_threads in numbers:
        forget = getattr(library, "clear_controlling_thread", None)
        if forget is not None:
            forget(force=True)
        library.set_num_threads(n_threads)
        if forget is not None:
            forget(force=True)


_BLAS_LIMIT = _BlasLimit()


@lru_cache(maxsize=1)
def _blas(n_modules: int) -> tuple[Sequence[Any], Any]:
    """Return all BLAS libraries, and the controller of those where each thread has a limit of its own, or None.

    Finding them takes far longer than a small network's products. A further library comes with a module that is imported, so
    that they are looked for again after each.
    """
    from threadpoolctl import ThreadpoolController

    controller = ThreadpoolController().select(user_api="blas")
    libraries = controller.lib_controllers
    return libraries, controller if any(map(_is_limited_by_thread, libraries)) else None


@contextmanager
def single_threaded_blas() -> Iterator[None]:
    """Hold BLAS to one thread in the whole process, and in any case in the thread that enters.

    Blocks may nest and overlap in several threads: the limit that was there before the first one comes
    back when the last one ends. `threadpool_limits` alone does not do that: of two that overlap, the one
    that ends last puts back the limit of the other, or none has an effect but that of the first thread.
    No thread is started for it.
    A `threadpool_limits` block of another thread around all this stays in force.

    Examples
    --------
    >>> from threadpoolctl import threadpool_info
    >>> with single_threaded_blas():
    ...     {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}
    {1}
    """
    libraries, by_thread = _blas(len(sys.modules))
    _BLAS_LIMIT.hold(libraries)
    try:
        with nullcontext() if by_thread is None else by_thread.limit(limits=1):
            yield
    finally:
        _BLAS_LIMIT.leave()


def available_workers(most: int | None = None) -> int:
    """Return how many threads or processes may work at the same time: one for each core, `most` at most.

    One where no thread can be started, as in a browser (Pyodide): then nothing in this package starts one.
    """
    from joblib import cpu_count

    if not _threads_start():
        return 1
    return int(cpu_count()) if most is None else min(most, int(cpu_count()))


def free_workers() -> int:
    """Return how many threads may share a batch: as many as BLAS would use for it.

    That is one where BLAS is held to one thread: whoever holds it has shared out the work among the cores already.
    """
    if _BLAS_LIMIT.is_held:
        return 1
    return max((library.num_threads for library in _blas(len(sys.modules))[0]), default=1)


def _threads_start() -> bool:
    try:
        thread = threading.Thread(target=bool, daemon=True)
        thread.start()
    except RuntimeError:
        return False
    thread.join()
    return True


@contextmanager
def interrupts_as(stop: threading.Event) -> Iterator[None]:
    """Let Ctrl-C set `stop` while the block runs, for work in the main thread that ends cleanly then.

    A second Ctrl-C raises KeyboardInterrupt as usual; so does the first where Ctrl-C has another meaning already, or this
    is not the main thread.
    """
    is_main = threading.current_thread() is threading.main_thread()
    if not is_main or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return

    def told(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        stop.set()

    signal.signal(signal.SIGINT, told)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def in_threads(
    function: Callable[[Task, threading.Event], Returned],
    tasks: Sequence[Task],
    *,
    workers: int,
    stop: threading.Event,
) -> Generator[tuple[int, Returned], None, None]:
    """Call `function` on each task, several at the same time, and give the results as they come.

    However this ends, no task runs any more when it has ended: an error, Ctrl-C or an early `close()`
    sets `stop`, and waits until the tasks under way have returned. So wrap it in `contextlib.closing`
    where the loop over it can fail. A second Ctrl-C while waiting does not wait any longer.

    `function(task, stop)` should return soon once `stop` is set. Then, whoever sets it, no further task is started, and
    nothing is given for these. With one worker or one task, and where no thread can be started, the calling thread does the
    work. Results come as pairs of
    the index of a task and what was returned, in any order.

    Raises
    ------
    InputError
        If `workers` is less than 1.
    BaseException
        What `function` raised, the first if several did.

    Examples
    --------
    >>> squares = in_threads(lambda x, stop: x * x, [1, 2, 3], workers=2, stop=threading.Event())
    >>> sorted(squares)
    [(0, 1), (1, 4), (2, 9)]
    """
    if workers < 1:
        raise InputError(f"workers must be an integer of at least 1, got {workers}")
    calls = _Calls(function, stop)
    outcomes: Generator[_Outcome[Returned] | None, None, None] | None = None
    try:
        outcomes = _outcomes(calls, tasks, min(workers, len(tasks)))
        for outcome in outcomes:
            if outcome is None:
                continue
            if outcome.error is not None:
                raise outcome.error
            yield outcome.index, outcome.result
    except BaseException:
        stop.set()
        calls.wait()
        # Run to its end, which is near as nothing is started any more: closed early, joblib would warn.
        for _ in outcomes or ():
            pass
        raise


def in_turn(
    function: Callable[[Task], Returned], tasks: Iterable[Task], *, workers: int = 1
) -> Iterator[Returned]:
    """Give what `function` returns for short tasks, in their order: so many threads do as many tasks at a time.

    For parts of one computation, such as a batch, of which no more results are held than that. Each task has NumPy's
    settings for errors of the caller.

    Examples
    --------
    >>> list(in_turn(lambda x: x * x, [1, 2, 3], workers=2))
    [1, 4, 9]
    """
    left = list(tasks)
    if len(left) < 2:
        yield from map(function, left)
        return
    with single_threaded_blas():
        if workers < 2 or not _threads_start():
            yield from map(function, left)
            return
        with ThreadPoolExecutor(workers) as pool:
            for begin in range(0, len(left), workers):
                started = [
                    pool.submit(copy_context().run, function, task) for task in left[begin : begin + workers]
                ]
                for one in started:
                    yield one.result()


def gather(
    results: Generator[tuple[int, Returned | None], None, None],
    tasks: Sequence[Task],
    done: dict[Task, Returned],
    report: Callable[[], None],
) -> None:
    """Keep in `done`, by the task, what `in_threads` and its like give; after Ctrl-C, what was done until then.

    A task that returns None has given up and is left out. `report` is called after each task that is kept.
    """
    try:
        with closing(results):
            for index, result in results:
                if result is not None:
                    done[tasks[index]] = result
                    report()
    except KeyboardInterrupt:
        pass  # the caller sees from what is missing that it was interrupted


@dataclass(frozen=True, slots=True)
class _Outcome(Generic[Returned]):
    """What one call returned; or what it raised, and then `result` means nothing."""

    index: int
    result: Returned
    error: BaseException | None = None


class _Calls(Generic[Task, Returned]):
    """Calls a function on tasks, and knows how many calls are under way."""

    def __init__(self, function: Callable[[Task, threading.Event], Returned], stop: threading.Event) -> None:
        self._function, self._stop = function, stop
        self._n_running = 0
        self._changed = threading.Condition()

    def __call__(self, index: int, task: Task) -> _Outcome[Returned] | None:
        with self._changed:
            # Seen under the lock: after `wait` no call can begin.
            if self._stop.is_set():
                return None
            self._n_running += 1
        try:
            return _Outcome(index, self._function(task, self._stop))
        except BaseException as error:
            self._stop.set()
            # As a value, for an exception such as SystemExit would end joblib's thread without a word.
            return _Outcome(index, cast(Any, None), error)
        finally:
            with self._changed:
                self._n_running -= 1
                self._changed.notify_all()

    def wait(self) -> None:
        """Return when no call is under way. Call it only once `stop` is set."""
        with self._changed:
            self._changed.wait_for(lambda: self._n_running == 0)


def _outcomes(
    calls: _Calls[Task, Returned], tasks: Sequence[Task], workers: int
) -> Generator[_Outcome[Returned] | None, None, None]:
    if workers <= 1 or not _threads_start():
        return (calls(index, task) for index, task in enumerate(tasks))
    from joblib import Parallel, delayed

    parallel = Parallel(n_jobs=workers, backend="threading", return_as="generator_unordered", batch_size=1)
    outcomes: Generator[_Outcome[Returned] | None, None, None] = parallel(
        delayed(calls)(index, task) for index, task in enumerate(tasks)
    )
    return outcomes
