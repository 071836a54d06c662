"""The warm pool: the same results as in this process, and nothing left behind however it ends."""

import functools
import json
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import BrokenExecutor
from contextlib import closing
from multiprocessing.shared_memory import SharedMemory
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import probe
from probe import _processes
from probe._parallel import available_workers
from probe._processes import NoProcessError, _Memory, in_processes, place, submit
from probe.training import Shard, TrainingConfig, train_shards

ROOT = Path(__file__).parents[1]
CONFIG = TrainingConfig(epochs=6, batch_size=10)


def train(split, *, config=CONFIG, progress=None, n_networks=6, **more):
    return probe.train_population(
        probe.MLP((4,)), split, config, n_networks=n_networks, shard_size=2, progress=progress, **more
    )


def assert_same(one, other):
    for name in ("weights", "biases"):
        for mine, yours in zip(getattr(one.population, name), getattr(other.population, name), strict=True):
            np.testing.assert_array_equal(mine, yours)
    for name, values in one.history.arrays().items():
        if name != "seconds":
            np.testing.assert_array_equal(values, other.history.arrays()[name])


@pytest.fixture
def pids(in_processes):
    """The processes in which the test trains, as a set that is filled on the way."""
    return {submit(os.getpid).result() for _ in range(20)}


def work(task, worker):
    values, index = task
    worker.tell(index + 1, 0.5)
    return values.sum(), values.flags.writeable, os.getpid()


def settings(task, worker):
    from threadpoolctl import threadpool_info

    threads = {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}
    return threads, available_workers(), place(np.inf, None, 9), place(np.inf, 4, 9)


def waits(task, worker):
    Path(task).touch()
    return worker.wait(60)


def dies(task, worker):
    if task == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return task


def refuses(task, worker):
    raise probe.InputError("not this one")


def fails(task, worker):
    raise OSError("mine")


def leaks():
    return {path.name for path in Path("/dev/shm").glob("psm_*")}


def test_tasks_share_their_arrays_and_tell_how_far_they_are(in_processes):
    values, told, before = np.ones((500, 700), np.float32), [], leaks()
    tasks = [(values, index) for index in range(5)]
    with closing(in_processes_of(work, tasks, told=told.append)) as results:
        found = dict(results)
    assert sorted(found) == list(range(5))
    assert {(total, writeable) for total, writeable, _ in found.values()} == {(350_000, False)}
    assert os.getpid() not in {pid for *_, pid in found.values()}
    np.testing.assert_array_equal(told[-1], [[index + 1, 0.5] for index in range(5)])
    assert leaks() <= before
    assert submit(functools.partial(pow, 2), 3).result() == 8


def in_processes_of(function, tasks, *, stop=None, told=lambda told: None):
    return in_processes(function, tasks, workers=2, stop=stop or threading.Event(), told=told)


def test_a_worker_has_one_thread_and_starts_nothing_itself(in_processes):
    for _, (threads, n_workers, alone, asked) in in_processes_of(settings, [0, 1]):
        assert threads == {1}
        assert n_workers == 1
        assert alone == ("threads", 1)
        assert asked == ("threads", 4)


def test_stopped_tasks_are_told_and_waited_for(in_processes, tmp_path):
    stop = threading.Event()

    def look(told):
        if len(list(tmp_path.iterdir())) == 2:
            stop.set()

    tasks = [str(tmp_path / str(index)) for index in range(6)]
    assert sorted(in_processes_of(waits, tasks, stop=stop, told=look)) == [(0, True), (1, True)]
    assert len(list(tmp_path.iterdir())) == 2


def test_an_error_comes_through_and_the_pool_stays(pids):
    with pytest.raises(probe.InputError, match="not this one"):
        list(in_processes_of(refuses, [0, 1]))
    assert submit(os.getpid).result() in pids


@pytest.mark.parametrize("task", [0, threading.Lock()], ids=["no room", "no pickle"])
def test_where_processes_are_of_no_use_an_error_of_its_own_says_so(in_processes, monkeypatch, task):
    if task == 0:
        monkeypatch.setattr("probe._processes.shutil.disk_usage", lambda place: SimpleNamespace(free=0))
    with pytest.raises(NoProcessError, match="other processes cannot be used here"):
        list(in_processes_of(dies, [task, task]))


def test_an_error_of_a_task_is_not_taken_for_a_lack_of_processes(in_processes):
    with pytest.raises(OSError, match="mine"):
        list(in_processes_of(fails, [0, 1]))


def test_a_killed_process_is_told_of_and_replaced(in_processes):
    with pytest.raises(BrokenExecutor):
        list(in_processes_of(dies, range(4)))
    assert sorted(in_processes_of(dies, [0, 1])) == [(0, 0), (1, 1)]


@pytest.mark.parametrize(
    ("seconds", "workers", "n_tasks", "warm", "gil", "expected"),
    [
        (1.0, None, 8, False, True, ("threads", 1)),
        (1.0, None, 8, True, True, ("processes", 2)),
        (60.0, None, 8, False, True, ("processes", 2)),
        (60.0, None, 1, False, True, ("threads", 1)),
        (60.0, 1, 8, True, True, ("threads", 1)),
        (60.0, 3, 8, False, True, ("processes", 3)),
        (0.1, 3, 8, True, True, ("threads", 3)),
        (1.0, None, 8, False, False, ("threads", 2)),
        (60.0, 3, 8, True, False, ("threads", 3)),
    ],
)
def test_where_work_is_done(monkeypatch, seconds, workers, n_tasks, warm, gil, expected):
    monkeypatch.setattr("probe._processes.available_workers", lambda most=None: min(2, most or 2))
    monkeypatch.setattr("probe._processes._POOL", SimpleNamespace(is_warm=warm))
    for name, value in (("_COLD_SECONDS", 4.0), ("_WARM_SECONDS", 0.3)):
        monkeypatch.setattr(f"probe._processes.{name}", value)
    monkeypatch.setattr(sys, "_is_gil_enabled", lambda: gil, raising=False)
    assert place(seconds, workers, n_tasks) == expected
    assert place(seconds, workers, n_tasks, size=10**9)[0] == "threads"


def test_where_no_thread_can_start_nothing_is_started(monkeypatch, no_threads):
    monkeypatch.setattr("probe._processes._COLD_SECONDS", 0.0)
    assert place(np.inf, None, 8) == ("threads", 1)
    assert place(np.inf, 4, 8)[0] == "threads"


def test_networks_are_those_of_one_process_and_of_threads_to_the_bit(small_digits, pids, monkeypatch):
    events = []
    there = train(small_digits, workers=2, progress=events.append)
    assert [event.done for event in events] == list(range(1, 19))
    assert {event.total for event in events} == {18}
    assert_same(there, train(small_digits, workers=1))
    monkeypatch.setattr("probe._processes._WARM_SECONDS", np.inf)
    assert_same(there, train(small_digits, workers=2))
    assert not any(weights.flags.writeable for weights in there.population.weights)


def test_all_that_a_shard_may_have_goes_along(small_digits, in_processes):
    rng, n = np.random.default_rng(0), len(small_digits.train)
    more = {
        "labels": rng.integers(10, size=(6, n)), "learning_rates": np.linspace(0.1, 1, 6),
        "sample_weights": rng.random((6, n)) < 0.7, "frames": 4,
    }  # fmt: skip
    there, here = (train(small_digits, workers=workers, **more) for workers in (2, 1))
    assert_same(there, here)
    for mine, yours in zip(there.films, here.films, strict=True):
        np.testing.assert_array_equal(mine.updates, yours.updates)
        np.testing.assert_array_equal(mine.parameters["output/kernel"], yours.parameters["output/kernel"])
    shard = Shard(here.population.take([0, 1]), small_digits, np.random.default_rng(1), dynamics="none")
    train_shards([shard, shard], CONFIG, workers=2)


def test_epochs_that_are_not_needed_count_as_done(small_digits, in_processes):
    few = probe.Split(small_digits.train.take(slice(0, 5)), small_digits.test, "few")
    events = []
    config = TrainingConfig(epochs=400, batch_size=5, learning_rate=1.0, stop="fitted")
    result = train(few, config=config, workers=2, progress=events.append)
    assert (result.fitted_epoch > 0).all()
    assert (events[-1].done, events[-1].total) == (1200, 1200)


def test_ctrl_c_keeps_the_epochs_done(small_digits, in_processes):
    assert threading.current_thread() is threading.main_thread()
    before = signal.signal(signal.SIGINT, signal.default_int_handler)

    def stop(event):
        if event.done == 20:
            signal.raise_signal(signal.SIGINT)

    try:
        result = train(
            small_digits, config=TrainingConfig(epochs=100_000, batch_size=10), workers=2, progress=stop
        )
    finally:
        signal.signal(signal.SIGINT, before)
    reached = np.isfinite(result.history.cost).sum(axis=1)
    assert result.interrupted
    assert 10 <= reached[:4].max() == result.history.n_epochs < 100_000
    assert (reached[4:] == 0).all()
    again = train(
        small_digits, config=TrainingConfig(epochs=int(reached[0]), batch_size=10), workers=1, n_networks=2
    )
    for mine, yours in zip(result.population.take([0, 1]).weights, again.population.weights, strict=True):
        np.testing.assert_array_equal(mine, yours)


def test_an_error_in_progress_ends_the_shards_and_is_raised(small_digits, in_processes):
    def fail(event):
        if event.done == 3:
            raise RuntimeError("the screen is full")

    with pytest.raises(RuntimeError, match="the screen is full"):
        train(small_digits, config=TrainingConfig(epochs=100_000, batch_size=10), workers=2, progress=fail)


def test_shards_of_a_killed_process_are_trained_here(small_digits, pids):
    events = []

    def kill(event):
        events.append(event)
        if len(events) == 5:
            os.kill(min(pids), signal.SIGKILL)

    config = TrainingConfig(epochs=40, batch_size=2)
    found = train(small_digits, config=config, workers=2, progress=kill)
    assert_same(found, train(small_digits, config=config, workers=1))
    assert (events[-1].done, events[-1].total) == (120, 120)
    assert not found.interrupted


def test_without_room_for_shared_memory_shards_are_trained_here(small_digits, in_processes, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=1000))
    monkeypatch.setattr(_processes, "submit", None)
    assert_same(train(small_digits, workers=2), train(small_digits, workers=1))


def test_a_study_is_that_of_one_process(digits, in_processes):
    def found(workers):
        events = []
        result = probe.memorization(
            probe.MLP((8,), "relu"), digits, TrainingConfig(epochs=4, batch_size=50), n_samples=60, replicates=3,
            workers=workers, progress=events.append,
        )  # fmt: skip
        assert [event.done for event in events if event.stage == "memorizing"] == [1, 2, 3]
        return result

    there, here = found(2), found(1)
    np.testing.assert_array_equal(there.cells[0].train_accuracy, here.cells[0].train_accuracy)
    assert json.dumps(there.to_dict()) == json.dumps(here.to_dict())


def script(tmp_path, code, *arguments):
    path = tmp_path / "script.py"
    path.write_text(code)
    return subprocess.Popen(
        [sys.executable, "-W", "default", str(path), *arguments],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


BEGIN = """
import threading, time
import numpy as np
import probe
from probe import _processes
_processes._COLD_SECONDS = _processes._WARM_SECONDS = 0
_processes.available_workers = lambda most=None: min(2, most or 2)
"""


def test_a_script_needs_no_guard_and_leaves_nothing(tmp_path):
    before = leaks()
    code = """
def double(task, worker):
    return 2 * task

print(sorted(_processes.in_processes(double, [1, 2, 3], workers=2, stop=threading.Event())))
split = probe.load_dataset("digits")
config = probe.TrainingConfig(epochs=2)
found = probe.train_population(probe.MLP((4,)), split, config, n_networks=4, shard_size=2, workers=2, progress=None)
print(found.history.n_epochs, _processes._POOL.is_warm)
"""
    said, complaints = script(tmp_path, BEGIN + code).communicate(timeout=300)
    assert (said, complaints) == ("[(0, 2), (1, 4), (2, 6)]\n2 True\n", "")
    assert leaks() <= before


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="processes are looked for in /proc")
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_processes_end_with_their_parent(tmp_path, how):
    before = leaks()
    code = """
split = probe.load_dataset("digits")
config = probe.TrainingConfig(epochs=10**6)
tell = lambda event: print("on the way", flush=True)
probe.train_population(probe.MLP((4,)), split, config, n_networks=4, shard_size=2, workers=2, progress=tell)
"""
    parent = script(tmp_path, BEGIN + code)
    try:
        assert parent.stdout.readline() == "on the way\n"
        children = Path(f"/proc/{parent.pid}/task/{parent.pid}/children").read_text().split()
        parent.send_signal(how)
    finally:
        parent.stdout.close()
        parent.wait(timeout=60)
    assert len(children) >= 2
    end = time.monotonic() + 30
    while (leaks() - before or any(is_alive(pid) for pid in children)) and time.monotonic() < end:
        time.sleep(0.1)
    assert not [pid for pid in children if is_alive(pid)]
    assert leaks() <= before


def is_alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_memory_that_something_still_looks_at_goes_without_an_error():
    memory = _Memory(create=True, size=80)
    memory.unlink()
    seen = memory.buf.toreadonly()
    with pytest.raises(BufferError):
        SharedMemory.__del__(memory)
    memory.__del__()
    seen.release()
    memory.close()
