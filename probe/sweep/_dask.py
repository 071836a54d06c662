"""The trials of a sweep on a Dask cluster: few in flight, workers that may die, and a way to stop them.

Workers know no files: they get function and task, and send back what the function returned.
"""

from __future__ import annotations

import logging
import socket
import threading
import time
import uuid
import warnings
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any, Generic, TypeVar

from probe._checks import InputError, ProbeWarning
from probe._parallel import single_threaded_blas
from probe._version import __version__
from probe.sweep.folder import GO_ON

__all__ = ["on_dask"]

Task = TypeVar("Task")
Result = TypeVar("Result")

CONNECT_SECONDS = 8.0
"""How long scheduler and first worker may take to answer before the sweep is refused."""

ALONE_SECONDS = 60.0
"""How long all workers may be gone before the sweep ends."""

_LOOK_SECONDS, _POLL_SECONDS = 2.0, 0.02
"""How often it is asked whether there are workers, and whether a trial has ended."""

GIVE_UP_SECONDS = 20.0
"""How long trials under way may take to give up after Ctrl-C, until they are left to themselves."""

_PER_THREAD = 2
"""Trials in flight for each thread of the cluster: one under way, and one that waits at its side."""

_RETRIES = 2
"""How often a trial runs again after an error that is not an `InputError`, such as a full memory."""


def on_dask(
    function: Callable[[Task, threading.Event], Result | None],
    tasks: Sequence[Task],
    keep: Callable[[int, Result], None],
    *,
    scheduler: str,
    stop: threading.Event,
    prepare: Callable[[], None] | None = None,
) -> Generator[bool, None, None]:
    """Call `function` on each task on the workers of a cluster, and keep the results as they come, one at a time.

    `prepare` is called on each worker once, before its first trial, also on one that comes later; what it brings along,
    such as data, travels once to each.

    It yields for each trial that ends whether it gave a result, or gave up. A trial whose worker dies runs again on
    another one. On an error, on Ctrl-C, on `close()` and once `stop` is set, the trials under way are told to give up,
    and those that end all the same are kept. An InputError is raised if `distributed` is not installed, the scheduler
    or its workers do not answer, a worker has another version of probe, workers keep dying, or all are gone and none
    comes back.
    """
    # A thread keeps the results: Ctrl-C, which hits the main thread, cannot tear a result that is here.
    with _client(scheduler) as client, ThreadPoolExecutor(1) as keeper:
        _check_workers(client, scheduler)
        flight = _Flight(client, function, tasks)
        try:
            if prepare is not None:
                flight.prepare(prepare)
            while not stop.is_set() and (landed := flight.next()) is not None:
                index, result = landed
                if result is not None:
                    keeper.submit(keep, index, result).result()
                yield result is not None
        finally:
            # What cannot be kept any more was not finished; the sweep ends for another reason already.
            with suppress(InputError):
                for index, result in flight.give_up():
                    keeper.submit(keep, index, result).result()
            if prepare is not None:
                flight.forget()


class _Flight(Generic[Task, Result]):
    """The trials of one sweep that are on the cluster, and those that are still to go."""

    def __init__(
        self,
        client: Any,
        function: Callable[[Task, threading.Event], Result | None],
        tasks: Sequence[Task],
    ) -> None:
        from distributed import as_completed

        self._client, self._function = client, function
        self._waiting = list(enumerate(tasks))[::-1]
        self._token = uuid.uuid4().hex
        self._in_flight: dict[Any, int] = {}
        self._completed = as_completed(loop=client.loop)

    def prepare(self, function: Callable[[], None]) -> None:
        """Call `function` on all workers there are, and on each that comes; the scheduler keeps it for these."""
        from distributed import WorkerPlugin

        class Preparation(WorkerPlugin):  # type: ignore[misc]
            def setup(self, worker: Any) -> None:
                function()

        with _unanswered():
            self._client.register_plugin(Preparation(), name=self._token)

    def next(self) -> tuple[int, Result | None] | None:
        """Return the next trial that ends, or None if all have."""
        self._fill()
        if not self._in_flight:
            return None
        self._await()
        future = next(self._completed)
        return self._in_flight.pop(future), _returned(future)

    def _await(self) -> None:
        """Return once a trial has ended, or raise once all workers are gone for long."""
        look, gone = time.monotonic() + _LOOK_SECONDS, 0.0
        while not self._completed.has_ready():
            time.sleep(_POLL_SECONDS)
            now = time.monotonic()
            if now < look:
                continue
            look = now + _LOOK_SECONDS
            if self._n_threads():
                gone = 0.0
            elif not gone:
                gone = now
                said = (
                    f"all workers of the Dask cluster are gone; waiting {ALONE_SECONDS:g} s for one to come"
                )
                warnings.warn(said, ProbeWarning, stacklevel=2)
            elif now - gone > ALONE_SECONDS:
                raise InputError(
                    f"all workers of the Dask cluster are gone, and none came within {ALONE_SECONDS:g} s. {GO_ON}"
                )

    def _n_threads(self) -> int:
        """Return the threads of all workers there are now: they come and go."""
        with _unanswered():
            return sum(self._client.nthreads().values())

    def give_up(self) -> Generator[tuple[int, Result], None, None]:
        """Tell the trials under way to give up, wait for them, and give the results of those that did not."""
        from distributed import wait

        if not self._in_flight:
            return
        # A cluster that does not answer any more must neither hide why the sweep ends nor hold it up.
        with suppress(Exception):
            if self._client.status != "running":
                return
            if self._client.nthreads():
                self._client.run(_stop_here, self._token, on_error="ignore")
                with self._client.as_current():
                    wait(list(self._in_flight), timeout=GIVE_UP_SECONDS)
        for future, index in self._in_flight.items():
            result = future.result() if future.status == "finished" else None
            if result is not None and not isinstance(result, InputError):
                yield index, result
        with suppress(Exception):
            self._client.cancel(list(self._in_flight))

    def forget(self) -> None:
        """Let the scheduler forget what workers were prepared by."""
        with suppress(Exception):
            if self._client.status == "running":
                self._client.unregister_worker_plugin(self._token)

    def _fill(self) -> None:
        # If all are gone, one trial waits for the next to come.
        n_threads = max(1, self._n_threads())
        with _unanswered():
            while self._waiting and len(self._in_flight) < _PER_THREAD * n_threads:
                self._submit(*self._waiting.pop())

    def _submit(self, index: int, task: Task) -> None:
        future = self._client.submit(
            _compute,
            self._function,
            task,
            self._token,
            __version__,
            pure=False,
            retries=_RETRIES,
        )
        self._in_flight[future] = index
        self._completed.add(future)


@contextmanager
def _unanswered() -> Iterator[None]:
    try:
        yield
    except OSError:
        raise InputError(_LOST) from None


_LOST = f"the Dask scheduler does not answer any more, and the trials under way are lost. {GO_ON}"

_STOPS: dict[str, threading.Event] = {}
"""On a worker: the wish to stop of each sweep that has trials there."""


def _compute(
    function: Callable[[Task, threading.Event], Result | None], task: Task, token: str, version: str
) -> Result | InputError | None:
    """Compute one trial, on a worker. An `InputError` is returned: raised, it would be tried again."""
    if version != __version__:
        # Again here, for a worker may have come after the first check.
        return InputError(_other_version("a worker", __version__, version))
    stop = _STOPS.setdefault(token, threading.Event())
    if stop.is_set():
        return None
    with single_threaded_blas():
        try:
            return function(task, stop)
        except InputError as error:
            return error


def _stop_here(token: str) -> None:
    """Tell all trials of a sweep on this worker to give up, also those that have not begun."""
    _STOPS.setdefault(token, threading.Event()).set()


def _version_here() -> str:
    return __version__


def _other_version(worker: str, found: str, expected: str) -> str:
    return (
        f"{worker} of the Dask cluster has probe {found}, expected {expected} as here. "
        "Install the same version there"
    )


def _returned(future: Any) -> Any:
    """Return what a trial returned on its worker, or raise what ended it."""
    from distributed.scheduler import KilledWorker

    if future.status in ("cancelled", "lost"):
        raise InputError(_LOST)
    try:
        result = future.result()
    except KilledWorker as error:
        raise InputError(
            f"a Dask worker died each of the {error.allowed_failures + 1} times that it ran the same trial; "
            f"workers may need more memory. {GO_ON}"
        ) from error
    if isinstance(result, InputError):
        raise result
    return result


@contextmanager
def _client(scheduler: str) -> Iterator[Any]:
    """Connect to the scheduler, without the log lines of distributed."""
    try:
        from distributed import Client
    except ImportError:
        raise InputError(
            "backend 'dask' needs the package distributed: pip install 'hidden-layer-probe[dask]'"
        ) from None
    with _quiet():
        try:
            # First without a Client: one that cannot connect leaves a thread and errors in its finaliser.
            _await_answer(scheduler)
            client = Client(scheduler, timeout=CONNECT_SECONDS, set_as_default=False)
        except (OSError, ValueError, OverflowError, NotImplementedError) as error:
            reason = " ".join(str(error).split())[:200]
            raise InputError(
                f"the Dask scheduler at {scheduler!r} does not answer: {reason}. "
                "Start one with `dask scheduler` and pass the address that it prints to --scheduler"
            ) from None
        try:
            yield client
        finally:
            with suppress(Exception):
                client.close()


def _await_answer(address: str) -> None:
    """Return once something at `address` answers as a scheduler would, or raise what is wrong."""
    from distributed.comm import get_address_host_port, parse_address

    host, port = get_address_host_port(address)
    deadline = time.monotonic() + CONNECT_SECONDS
    while True:
        try:
            with socket.create_connection((host, port), timeout=CONNECT_SECONDS) as connection:
                # Dask speaks first. Of a server that waits to be spoken to, a Client would wait for ever.
                if parse_address(address)[0] == "tcp" and not connection.recv(1):
                    raise OSError("something else than a Dask scheduler listens there")
            return
        except ConnectionRefusedError:
            # The scheduler may have been started a moment ago.
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def _check_workers(client: Any, scheduler: str) -> None:
    """Raise unless there are workers, all with the version of probe that runs here."""
    try:
        client.wait_for_workers(1, timeout=CONNECT_SECONDS)
    except TimeoutError:
        raise InputError(
            f"the Dask scheduler at {scheduler!r} has no workers. Start one with `dask worker {scheduler}`"
        ) from None
    expected = __version__
    for worker, found in client.run(_version_here, on_error="return").items():
        if found != expected:
            known = found if isinstance(found, str) else "of no version that has sweeps"
            raise InputError(_other_version(f"worker {worker}", known, expected))


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep distributed from logging: what goes wrong is told by errors."""
    names = [name for name in logging.root.manager.loggerDict if name.split(".")[0] == "distributed"]
    levels = {logger: logger.level for logger in map(logging.getLogger, names)}
    try:
        for logger in levels:
            logger.setLevel(logging.CRITICAL + 1)
        yield
    finally:
        for logger, level in levels.items():
            logger.setLevel(level)
