"""Tasks in parallel threads that all end before the caller goes on, and BLAS held to one thread meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, cast

from probe._errors import InputError

__all__ = ["gathered", "in_threads", "single_threaded_blas"]

Task = TypeVar("Task")
Returned = TypeVar("Returned")


class _BlasLimit:
    """The limit of one thread on a BLAS whose threads belong to the whole process.

    A thread of its own sets the limit and takes it back: since 3.8 threadpoolctl ignores, without a word,
    every thread but the one that set a limit first, and holders may leave in any order.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._n_holders = 0
        self._thread: threading.Thread | None = None
        self._done = threading.Event()

    def hold(self) -> None:
        with self._lock:
            if self._n_holders == 0:
                self._begin()
            self._n_holders += 1

    def leave(self) -> None:
        with self._lock:
            self._n_holders -= 1
            if self._n_holders == 0 and self._thread is not None:
                self._done.set()
                self._thread.join()

    def _begin(self) -> None:
        begun, self._done = threading.Event(), threading.Event()
        self._thread = threading.Thread(
            target=_limit_blas, args=(begun, self._done), name="probe-blas-limit", daemon=True
        )
        self._thread.start()
        begun.wait()


def _limit_blas(begun: threading.Event, done: threading.Event) -> None:
    from threadpoolctl import threadpool_limits

    try:
        with threadpool_limits(1, user_api="blas"):
            begun.set()
            done.wait()
    finally:
        begun.set()


_BLAS_LIMIT = _BlasLimit()


@contextmanager
def single_threaded_blas() -> Iterator[None]:
    """Hold BLAS to one thread in the whole process, and in any case in the thread that enters.

    Blocks may nest and overlap in several threads: the limit that was there before the first one comes
    back when the last one ends. `threadpool_limits` alone does not do that: of two that overlap, the one
    that ends last puts back the limit of the other, or none has an effect but that of the first thread.
    A `threadpool_limits` block of another thread around all this stays in force.

    Examples
    --------
    >>> from threadpoolctl import threadpool_info
    >>> with single_threaded_blas():
    ...     {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}
    {1}
    """
    from threadpoolctl import threadpool_limits

    _BLAS_LIMIT.hold()
    try:
        # Where BLAS is built on OpenMP, every thread has a limit of its own.
        with threadpool_limits(1, user_api="blas"):
            yield
    finally:
        _BLAS_LIMIT.leave()


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
    nothing is given for these. With one worker or one task, the calling thread does the work. Results come as pairs of
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


def gathered(
    function: Callable[[Task, threading.Event], Returned | None],
    tasks: Sequence[Task],
    *,
    workers: int,
    report: Callable[[dict[int, Returned]], None],
) -> dict[int, Returned]:
    """Return what `in_threads` gives, by the index of the task; after Ctrl-C, what was done until then.

    A task that returns None has given up and is left out. `report` is called with all that is done after each task.
    """
    done: dict[int, Returned] = {}
    try:
        with closing(in_threads(function, tasks, workers=workers, stop=threading.Event())) as finished:
            for index, result in finished:
                if result is not None:
                    done[index] = result
                    report(done)
    except KeyboardInterrupt:
        pass  # the caller sees from what is missing that it was interrupted
    return done


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
    if workers <= 1:
        return (calls(index, task) for index, task in enumerate(tasks))
    from joblib import Parallel, delayed

    parallel = Parallel(n_jobs=workers, backend="threading", return_as="generator_unordered", batch_size=1)
    outcomes: Generator[_Outcome[Returned] | None, None, None] = parallel(
        delayed(calls)(index, task) for index, task in enumerate(tasks)
    )
    return outcomes
