import signal
import subprocess
import sys
import threading
import time
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from probe import _parallel
from probe._errors import InputError
from probe._parallel import free_workers, in_threads, in_turn, single_threaded_blas

ROOT = Path(__file__).parents[1]


def blas_threads():
    np.dot(np.ones((2, 2)), np.ones((2, 2)))
    return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}


@pytest.fixture
def two_blas_threads():
    before = blas_threads().pop()
    limit_blas(2)
    yield
    limit_blas(before)


def limit_blas(n_threads):
    # By a thread that ends, for threadpoolctl would ignore all others as long as it lives.
    thread = threading.Thread(target=threadpool_limits, args=(n_threads, "blas"))
    thread.start()
    thread.join()
    assert blas_threads() == {n_threads}


class Crew:
    """Tasks that count themselves, and wait until they are released or told to stop."""

    def __init__(self):
        self.running = self.started = 0
        self.most = 0
        self.lock = threading.Lock()
        self.release = threading.Event()

    def work(self, task, stop):
        with self.lock:
            self.running += 1
            self.started += 1
            self.most = max(self.most, self.running)
        try:
            if task == "fail":
                raise task_error
            deadline = time.monotonic() + 20
            while task == "wait" and not stop.is_set() and not self.release.is_set():
                assert time.monotonic() < deadline, "nobody told this task to stop"
                time.sleep(0.002)
            # Giving up takes a moment; whoever waits for the end of tasks must wait for this too.
            time.sleep(0.05 if stop.is_set() else 0)
            return task
        finally:
            with self.lock:
                self.running -= 1


task_error = RuntimeError("this task fails")


@pytest.mark.usefixtures("two_blas_threads")
def test_blas_has_one_thread_until_the_last_block_ends():
    with single_threaded_blas():
        assert blas_threads() == {1}
        with single_threaded_blas():
            assert blas_threads() == {1}
        assert blas_threads() == {1}
    assert blas_threads() == {2}
    first, second = single_threaded_blas(), single_threaded_blas()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert blas_threads() == {1}
    second.__exit__(None, None, None)
    assert blas_threads() == {2}


@pytest.mark.usefixtures("two_blas_threads")
def test_the_limit_comes_back_after_an_error():
    with pytest.raises(RuntimeError), single_threaded_blas():
        raise RuntimeError
    assert blas_threads() == {2}


@pytest.mark.usefixtures("two_blas_threads")
def test_threads_may_leave_in_any_order():
    entered, leave, left = threading.Barrier(2), threading.Event(), []

    def first():
        with single_threaded_blas():
            entered.wait(10)
            leave.wait(10)
        left.append(blas_threads())

    thread = threading.Thread(target=first)
    thread.start()
    with single_threaded_blas():
        entered.wait(10)
        leave.set()
        thread.join()
        assert left == [{1}] and blas_threads() == {1}
    assert blas_threads() == {2}


@pytest.mark.usefixtures("two_blas_threads")
def test_the_limit_comes_back_after_many_overlapping_threads():
    found = []

    def hold(seconds, stop):
        with single_threaded_blas():
            time.sleep(seconds)
            found.append(blas_threads())

    list(in_threads(hold, [0.001 * (k % 5) for k in range(40)], workers=4, stop=threading.Event()))
    assert found == [{1}] * 40 and blas_threads() == {2}


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_every_task_is_given_once_with_its_index(workers):
    results = in_threads(lambda x, stop: x * x, range(20), workers=workers, stop=threading.Event())
    assert sorted(results) == [(k, k * k) for k in range(20)]


@pytest.mark.parametrize("workers", [1, 3])
def test_no_tasks_give_nothing(workers):
    assert list(in_threads(lambda x, stop: x, [], workers=workers, stop=threading.Event())) == []


def test_results_come_as_tasks_end():
    crew = Crew()
    stop = threading.Event()
    results = in_threads(crew.work, ["wait", "quick"], workers=2, stop=stop)
    assert next(results) == (1, "quick")
    crew.release.set()
    assert list(results) == [(0, "wait")] and not stop.is_set()


@pytest.mark.parametrize("workers", [2, 3])
def test_as_many_tasks_run_at_the_same_time_as_there_are_workers(workers):
    crew = Crew()
    results = in_threads(crew.work, ["wait"] * 8, workers=workers, stop=threading.Event())
    timer = threading.Timer(0.3, crew.release.set)
    timer.start()
    assert len(list(results)) == 8 and crew.most == workers


def test_one_worker_is_the_calling_thread():
    threads = in_threads(lambda x, stop: threading.get_ident(), [0, 1], workers=1, stop=threading.Event())
    assert {ident for _, ident in threads} == {threading.get_ident()}


def test_the_number_of_workers_is_checked():
    with pytest.raises(InputError, match="workers must be an integer of at least 1, got 0"):
        list(in_threads(lambda x, stop: x, [0], workers=0, stop=threading.Event()))


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("tasks", [["wait", "fail", *["wait"] * 20], ["fail"] * 20])
def test_an_error_stops_the_others_and_waits_for_them(tasks):
    crew, stop = Crew(), threading.Event()
    with pytest.raises(RuntimeError, match="this task fails"):
        list(in_threads(crew.work, tasks, workers=2, stop=stop))
    assert stop.is_set() and crew.running == 0 and crew.started <= 4


def test_an_error_with_one_worker_ends_it():
    crew, stop = Crew(), threading.Event()
    with pytest.raises(RuntimeError, match="this task fails"):
        list(in_threads(crew.work, ["a", "fail", "b"], workers=1, stop=stop))
    assert stop.is_set() and crew.started == 2


def test_an_exit_in_a_task_reaches_the_caller():
    def leave(task, stop):
        raise SystemExit(3)

    with pytest.raises(SystemExit, match="3"):
        list(in_threads(leave, [1, 2, 3], workers=2, stop=threading.Event()))


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError])
def test_an_error_of_the_consumer_stops_the_tasks_and_waits_for_them(error):
    crew, stop = Crew(), threading.Event()
    results = in_threads(crew.work, ["quick", *["wait"] * 20], workers=2, stop=stop)
    with pytest.raises(error), closing(results):
        for _ in results:
            assert not stop.is_set()
            raise error
    assert stop.is_set() and crew.running == 0 and crew.started <= 4


def test_a_stop_from_outside_ends_it_without_an_error():
    crew, stop = Crew(), threading.Event()
    threading.Timer(0.1, stop.set).start()
    results = list(in_threads(crew.work, ["wait"] * 20, workers=2, stop=stop))
    assert results and len(results) == crew.started <= 3 and crew.running == 0


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_parts_come_in_their_order_with_the_settings_of_the_caller(workers):
    def inverse(x):
        assert _parallel._BLAS_LIMIT.is_held
        time.sleep(0.01 * (x == 0))
        return 1 / np.float64(x)

    with np.errstate(divide="ignore"):
        assert list(in_turn(inverse, range(4), workers=workers)) == [np.inf, 1, 1 / 2, 1 / 3]
    assert not _parallel._BLAS_LIMIT.is_held


@pytest.mark.parametrize("workers", [1, 2])
def test_an_error_in_a_part_comes_to_the_caller(workers):
    with pytest.raises(ZeroDivisionError):
        list(in_turn(lambda x: 1 // x, [2, 1, 0], workers=workers))
    assert not _parallel._BLAS_LIMIT.is_held


@pytest.mark.usefixtures("two_blas_threads")
def test_a_batch_is_shared_by_as_many_threads_as_blas_would_use():
    assert free_workers() == 2
    with single_threaded_blas():
        assert free_workers() == 1


SCRIPT = """
import signal, sys, threading, time
from contextlib import closing
from probe._parallel import in_threads
signal.signal(signal.SIGINT, signal.default_int_handler)
running = set()

def work(task, stop):
    try:
        running.add(task)
        if len(running) == workers:
            print("ready", flush=True)
        while not stop.wait(0.01):
            pass
        time.sleep(0.1)
    finally:
        running.discard(task)

workers, stop = int(sys.argv[1]), threading.Event()
try:
    with closing(in_threads(work, range(50), workers=workers, stop=stop)) as results:
        for _ in results:
            pass
except KeyboardInterrupt:
    print("stopped", stop.is_set(), len(running), flush=True)
"""


@pytest.mark.parametrize("workers", [1, 2])
def test_a_real_interrupt_ends_all_tasks_first(workers):
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(workers)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
    finally:
        process.kill()
    assert (out, err) == ("stopped True 0\n", "")
