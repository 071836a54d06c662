"""Sweeps on a Dask cluster of real processes on this machine."""

from __future__ import annotations

import json
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from test_sweep import (
    CONFIGURATION,
    ROOT,
    N,
    Task,
    Wave,
    contents,
    finished,
    log,
    python,
    started,
    sweep,
    tasks,
    undisturbed,  # noqa: F401  # a fixture
    undisturbed_folder,  # noqa: F401  # a fixture
    wait_until,
    wave,
)
from threadpoolctl import threadpool_info

import probe
import probe.sweep._dask
from probe._checks import InputError, ProbeWarning
from probe.sweep import run_sweep
from probe.sweep.folder import GO_ON

pytest.importorskip("distributed")


class Cluster:
    """A scheduler and workers without nannies, each a process of its own."""

    def __init__(self, folder: Path, n_workers: int, **environment: str) -> None:
        self.folder = folder
        self.address = f"tcp://127.0.0.1:{free_port()}"
        self.workers: list[subprocess.Popen[bytes]] = []
        self.environment = {
            **os.environ,
            "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests' / 'sweep'}",
            "DASK_DISTRIBUTED__WORKER__MEMORY__TERMINATE": "false",
            **environment,
        }
        port = self.address.rpartition(":")[2]
        # Workers start meanwhile: they try to connect until the scheduler is there.
        self.scheduler = self.start("dask_scheduler", "--host", "127.0.0.1", "--port", port, "--no-dashboard")
        for _ in range(n_workers):
            self.add_worker()

    def add_worker(self, **environment: str) -> subprocess.Popen[bytes]:
        options = ["--no-nanny", "--nthreads", "1", "--no-dashboard", "--host", "127.0.0.1"]
        folder = ["--local-directory", str(self.folder)]
        self.workers.append(self.start("dask_worker", self.address, *options, *folder, **environment))
        return self.workers[-1]

    def start(self, program: str, *arguments: str, **environment: str) -> subprocess.Popen[bytes]:
        with (self.folder / "cluster.log").open("ab") as file:
            return subprocess.Popen(
                [sys.executable, "-m", f"distributed.cli.{program}", *arguments],
                env={**self.environment, **environment},
                cwd=self.folder,
                stdout=file,
                stderr=file,
            )

    def close(self) -> None:
        for process in (*self.workers, self.scheduler):
            process.kill()
            process.wait()


def free_port() -> int:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return server.getsockname()[1]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """Two workers, for tests that leave them alive."""
    cluster = Cluster(tmp_path_factory.mktemp("cluster"), 2)
    yield cluster
    cluster.close()


@pytest.fixture
def short_waits(monkeypatch):
    monkeypatch.setattr(probe.sweep._dask, "CONNECT_SECONDS", 0.5)


def on_cluster(cluster: Cluster, folder: Path, trials: dict[str, Task], function=wave, **options: object):
    return sweep(folder, trials, function, backend="dask", scheduler=cluster.address, **options)


def one_blas_thread(task: Task, stop: threading.Event) -> Wave | None:
    limits = {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}
    log(task.log, f"blas {limits}")
    return wave(task, stop)


def fails(task: Task, stop: threading.Event) -> Wave | None:
    log(task.log, f"start {task.seed}")
    raise InputError("networks diverged") if task.seed == 1 else RuntimeError("no such luck")


def fails_once(task: Task, stop: threading.Event) -> Wave | None:
    if started(task.log).count(task.seed) == 0:
        log(task.log, f"start {task.seed}")
        raise MemoryError
    return wave(task, stop)


def kills_its_worker(task: Task, stop: threading.Event) -> Wave | None:
    os.kill(os.getpid(), signal.SIGKILL)
    return None


def test_dask_gives_what_threads_give(tmp_path, cluster, undisturbed):  # noqa: F811
    events = []
    trials = tasks(tmp_path / "log", N)
    outcome = on_cluster(cluster, tmp_path / "out", trials, one_blas_thread, progress=events.append)
    assert contents(tmp_path / "out") == undisturbed
    assert (outcome.names, outcome.n_run, outcome.interrupted) == (tuple(trials), N, False)
    assert [result.seed for result in outcome.results] == list(range(N))
    assert [event.done for event in events] == list(range(1, N + 1))
    assert (tmp_path / "log").read_text().count("blas {1}\n") == N


def test_a_sweep_goes_on_from_one_backend_to_the_other(tmp_path, cluster, undisturbed):  # noqa: F811
    sweep(tmp_path / "out", tasks(tmp_path / "log", 4), workers=2)
    assert on_cluster(cluster, tmp_path / "out", tasks(tmp_path / "log", 8)).n_reused == 4
    assert sweep(tmp_path / "out", tasks(tmp_path / "log", N)).n_reused == 8
    assert contents(tmp_path / "out") == undisturbed
    assert sorted(started(tmp_path / "log")) == list(range(N))


def test_few_trials_are_on_the_cluster_at_the_same_time(tmp_path, cluster, monkeypatch):
    most = []
    submit = probe.sweep._dask._Flight._submit

    def counted(flight, *arguments):
        submit(flight, *arguments)
        most.append(len(flight._in_flight))

    monkeypatch.setattr(probe.sweep._dask._Flight, "_submit", counted)
    assert on_cluster(cluster, tmp_path / "out", tasks(tmp_path / "log", 30)).n_run == 30
    assert 2 <= max(most) <= 4


def test_nothing_is_logged_and_the_levels_come_back(tmp_path, cluster, capfd):
    before = {name: logging.getLogger(name).level for name in ("distributed", "distributed.client")}
    on_cluster(cluster, tmp_path / "out", tasks(tmp_path / "log"))
    assert capfd.readouterr() == ("", "")
    assert before == {name: logging.getLogger(name).level for name in before}


def test_what_is_finished_needs_no_cluster(tmp_path):
    sweep(tmp_path / "out", tasks(tmp_path / "log"))
    gone = f"tcp://127.0.0.1:{free_port()}"
    assert run_sweep(
        tmp_path / "out", CONFIGURATION, tasks(tmp_path / "log"), wave, Wave, backend="dask", scheduler=gone
    ).n_reused == 4  # fmt: skip


def test_an_input_error_of_a_trial_is_raised_at_once(tmp_path, cluster):
    with pytest.raises(InputError, match=r"^networks diverged$"):
        on_cluster(cluster, tmp_path / "out", {"seed-1": Task(1, tmp_path / "log")}, fails)
    assert started(tmp_path / "log") == [1]


def test_other_errors_of_a_trial_are_raised_after_it_was_tried_again(tmp_path, cluster):
    with pytest.raises(RuntimeError, match=r"no such luck"):
        on_cluster(cluster, tmp_path / "out", {"seed-0": Task(0, tmp_path / "log")}, fails)
    assert started(tmp_path / "log") == [0, 0, 0]


def test_a_trial_that_fails_once_is_tried_again(tmp_path, cluster):
    assert on_cluster(cluster, tmp_path / "out", tasks(tmp_path / "log", 2), fails_once).n_run == 2


def test_a_write_that_fails_stops_the_trials_under_way(tmp_path, cluster, monkeypatch):
    def full(folder, name, content):
        raise InputError(f"{folder.path / name} cannot be written: No space left on device")

    sweep(tmp_path / "out", tasks(tmp_path / "other-log", 1))
    trials = tasks(tmp_path / "log", 5, seconds=60)
    trials["seed-1"] = Task(1, tmp_path / "log")
    monkeypatch.setattr(probe.storage.OwnedFolder, "write", full)
    with pytest.raises(InputError, match=r"No space left on device\. Running the same command again"):
        on_cluster(cluster, tmp_path / "out", trials)
    wait_until(lambda: (tmp_path / "log").read_text().count("gave-up") == len(started(tmp_path / "log")) - 1)
    monkeypatch.undo()
    again = on_cluster(cluster, tmp_path / "out", tasks(tmp_path / "log"))
    assert (again.n_reused, again.n_run) == (1, 3)


INTERRUPTED = """
trials = tasks(Path(sys.argv[2]), 12)
trials = {name: replace(task, seconds=0.01 if task.seed < 5 else 60) for name, task in trials.items()}
outcome = sweep(Path(sys.argv[1]), trials, backend="dask", scheduler=sys.argv[3])
print(outcome.interrupted, outcome.n_run)
"""


def test_a_real_interrupt_stops_the_trials_on_the_workers(tmp_path, cluster):
    process = python(INTERRUPTED, tmp_path / "out", tmp_path / "log", cluster.address)
    wait_until(lambda: len(started(tmp_path / "log")) == 7)
    wait_until(lambda: len(list((tmp_path / "out" / "trials").glob("*.h5"))) == 5)
    process.send_signal(signal.SIGINT)
    begin = time.monotonic()
    assert finished(process) == "True 5\n" and time.monotonic() - begin < 15
    assert (tmp_path / "log").read_text().count("gave-up") == 2 and len(started(tmp_path / "log")) == 7
    again = on_cluster(cluster, tmp_path / "out", tasks(tmp_path / "log", 12))
    assert (again.n_reused, again.n_run) == (5, 7)


def ends_all_the_same(task: Task, stop: threading.Event) -> Wave | None:
    log(task.log, "under-way 0")
    assert stop.wait(60)
    return wave(replace(task, seconds=0), threading.Event())


def test_trials_that_end_in_spite_of_an_interrupt_are_kept(tmp_path, cluster):
    script = (
        "from test_sweep_dask import ends_all_the_same\n"
        "outcome = sweep(Path(sys.argv[1]), tasks(Path(sys.argv[2]), 12), ends_all_the_same, "
        "backend='dask', scheduler=sys.argv[3])\n"
        "print(outcome.interrupted, outcome.n_run)"
    )
    process = python(script, tmp_path / "out", tmp_path / "log", cluster.address)
    wait_until(lambda: (tmp_path / "log").exists() and (tmp_path / "log").read_text().count("under-way") == 2)
    process.send_signal(signal.SIGINT)
    assert finished(process) == "True 2\n"


def test_a_killed_worker_costs_nothing_but_time(tmp_path, undisturbed):  # noqa: F811
    cluster = Cluster(tmp_path, 2)
    try:

        def kill(event):
            if event.done == 3:
                # Both workers have begun another trial by then, and neither has ended it.
                time.sleep(0.2)
                cluster.workers[0].kill()

        trials = tasks(tmp_path / "log", N, seconds=0.6)
        outcome = on_cluster(cluster, tmp_path / "out", trials, progress=kill)
        assert outcome.n_run == N and not outcome.interrupted
        assert contents(tmp_path / "out") == undisturbed
        assert len(started(tmp_path / "log")) > N, "no trial was under way on the killed worker"
    finally:
        cluster.close()


def test_a_trial_that_kills_its_workers_is_given_up_in_one_line(tmp_path):
    cluster = Cluster(tmp_path, 1, DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES="0")
    try:
        with pytest.raises(InputError) as caught:
            on_cluster(cluster, tmp_path / "out", tasks(tmp_path / "log", 1), kills_its_worker)
    finally:
        cluster.close()
    message = (
        "a Dask worker died each of the 1 times that it ran the same trial; workers may need more memory. "
    )
    assert str(caught.value) == message + GO_ON


def test_a_sweep_without_any_worker_says_so_and_ends(tmp_path, monkeypatch):
    monkeypatch.setattr(probe.sweep._dask, "ALONE_SECONDS", 2.0)
    monkeypatch.setattr(probe.sweep._dask, "_LOOK_SECONDS", 0.2)
    cluster = Cluster(tmp_path, 1)

    def kill(event):
        cluster.workers[0].kill()

    try:
        begin = time.monotonic()
        with (
            pytest.warns(ProbeWarning, match="all workers of the Dask cluster are gone; waiting 2 s for one"),
            pytest.raises(InputError, match=r"are gone, and none came within 2 s\. Running the same command"),
        ):
            on_cluster(cluster, tmp_path / "out", tasks(tmp_path / "log", 9, seconds=0.2), progress=kill)
        assert time.monotonic() - begin < 30
    finally:
        cluster.close()
    n_kept = len(contents(tmp_path / "out"))
    assert 1 <= n_kept <= 2
    assert sweep(tmp_path / "out", tasks(tmp_path / "log", 9)).n_reused == n_kept


def test_a_worker_that_comes_back_in_time_goes_on(tmp_path, monkeypatch):
    monkeypatch.setattr(probe.sweep._dask, "_LOOK_SECONDS", 0.2)
    cluster = Cluster(tmp_path, 1)

    def exchange(event):
        if event.done == 1:
            cluster.workers[0].kill()
            threading.Timer(1.0, cluster.add_worker).start()

    try:
        with pytest.warns(ProbeWarning, match="all workers of the Dask cluster are gone"):
            outcome = on_cluster(
                cluster, tmp_path / "out", tasks(tmp_path / "log", 4, seconds=0.2), progress=exchange
            )
        assert outcome.n_run == 4
    finally:
        cluster.close()


@pytest.mark.parametrize("address", ["", "\0", "x" * 50, "tcp://", "tcp://x", "a b:1"])
def test_an_address_that_is_none_is_refused_before_anything_is_written(tmp_path, address):
    with pytest.raises(
        InputError, match=r"scheduler must be an address such as tcp://127\.0\.0\.1:8786, .* got"
    ):
        sweep(tmp_path / "out", tasks(tmp_path / "log"), backend="dask", scheduler=address)
    assert not (tmp_path / "out").exists()


def test_a_scheduler_that_dies_ends_the_sweep_in_one_line(tmp_path, monkeypatch):
    cluster = Cluster(tmp_path, 1)

    def kill(event):
        cluster.scheduler.kill()

    import dask

    try:
        with (
            dask.config.set({"distributed.comm.timeouts.connect": "2s"}),
            pytest.raises(
                InputError, match=r"scheduler does not answer any more, and the trials under way are lost"
            ),
        ):
            on_cluster(cluster, tmp_path / "out", tasks(tmp_path / "log", 9, seconds=0.2), progress=kill)
    finally:
        cluster.close()
    assert 1 <= len(contents(tmp_path / "out")) <= 2


def test_workers_with_another_probe_or_none_are_refused(tmp_path):
    cluster = Cluster(tmp_path, 0)
    message = r"worker tcp://127\.0\.0\.1:\d+ of the Dask cluster has probe {}, expected " + probe.__version__
    try:
        (tmp_path / "sitecustomize.py").write_text(
            'import probe._version\nprobe._version.__version__ = "0.0.9"\n'
        )
        path = cluster.environment["PYTHONPATH"]
        worker = cluster.add_worker(PYTHONPATH=f"{tmp_path}{os.pathsep}{path}")
        with pytest.raises(
            InputError, match=message.format(r"0\.0\.9") + ".* Install the same version there"
        ):
            on_cluster(cluster, tmp_path / "out", tasks(tmp_path / "log"))
        worker.kill()
        worker.wait()
        (tmp_path / "old" / "probe").mkdir(parents=True)
        (tmp_path / "old" / "probe" / "__init__.py").touch()
        cluster.add_worker(PYTHONPATH=str(tmp_path / "old"))
        with pytest.raises(InputError, match=message.format("of no version that has sweeps")):
            on_cluster(cluster, tmp_path / "out", tasks(tmp_path / "log"))
        assert not (tmp_path / "log").exists()
    finally:
        cluster.close()


def test_a_worker_that_comes_later_with_another_version_is_refused(tmp_path):
    found = probe.sweep._dask._compute(wave, Task(0, tmp_path / "log"), "token", "0.0.9")
    assert isinstance(found, InputError) and not (tmp_path / "log").exists()
    assert str(found) == (
        f"a worker of the Dask cluster has probe {probe.__version__}, expected 0.0.9 as here. "
        "Install the same version there"
    )


@pytest.mark.usefixtures("short_waits")
def test_a_scheduler_without_workers_is_refused(tmp_path):
    cluster = Cluster(tmp_path, 0)
    try:
        wait_until(lambda: b"Scheduler at" in (tmp_path / "cluster.log").read_bytes())
        with pytest.raises(
            InputError, match=rf"at '{cluster.address}' has no workers. Start one with `dask worker"
        ):
            on_cluster(cluster, tmp_path / "out", tasks(tmp_path / "log"))
    finally:
        cluster.close()


@pytest.mark.usefixtures("short_waits")
@pytest.mark.parametrize("address", ["tcp://127.0.0.1:1", "nonsense://x:1", "tcp://127.0.0.1:99999"])
def test_a_scheduler_that_does_not_answer_is_refused_in_one_line(tmp_path, address, capfd):
    begin = time.monotonic()
    with pytest.raises(
        InputError, match=r"the Dask scheduler at .* does not answer: .*Start one with"
    ) as caught:
        sweep(tmp_path / "out", tasks(tmp_path / "log"), backend="dask", scheduler=address)
    assert "\n" not in str(caught.value) and time.monotonic() - begin < 8
    assert "IO loop" not in {thread.name for thread in threading.enumerate()}, "a client was left behind"
    assert capfd.readouterr().err == ""
    assert sweep(tmp_path / "out", tasks(tmp_path / "log")).n_run == 4


@pytest.mark.usefixtures("short_waits")
def test_a_port_of_something_else_is_refused(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"tcp://127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(InputError, match=f"the Dask scheduler at '{address}' does not answer: "):
            sweep(tmp_path / "out", tasks(tmp_path / "log"), backend="dask", scheduler=address)


def test_dask_that_is_not_installed_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(
        InputError, match=r"needs the package distributed: pip install 'hidden-layer-probe\[dask\]'"
    ):
        sweep(tmp_path / "out", tasks(tmp_path / "log"), backend="dask", scheduler="tcp://127.0.0.1:1")


def test_nothing_of_dask_is_loaded_for_threads():
    script = (
        "print(json.dumps([name for name in sys.modules if name.split('.')[0] in ('dask', 'distributed')]))"
    )
    out = subprocess.run(
        [sys.executable, "-c", f"import json, sys, probe.sweep\n{script}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert json.loads(out) == []


def test_data_that_only_we_have_reach_workers_that_come_later_too(tmp_path, monkeypatch, undrawn):
    """Workers of other machines have no file of ours: what they need is sent to each once."""
    from probe import workflow

    split = probe.load_dataset("digits")
    data = tmp_path / "ours.npz"
    parts = {"images": split.train, "test_images": split.test}
    arrays = {key: part.images for key, part in parts.items()}
    labels = {"labels": split.train.labels, "test_labels": split.test.labels}
    np.savez(data, **arrays, **labels)
    design = {"n_samples": 40, "corruption": (0, 1), "replicates": 8}
    study = {"name": "memorization", "architectures": (probe.MLP((8,), "relu"),), "options": design}
    study |= {"training": {"epochs": 40, "batch_size": 10}, "data": str(data), "seed": 3}
    workflow.run_study(**study, out=tmp_path / "threads")
    hidden = tmp_path / "elsewhere.npz"
    (tmp_path / "cluster").mkdir()
    cluster = Cluster(tmp_path / "cluster", 1)
    try:
        one = cluster.workers[0]

        def told(event):
            # The file goes once it was read here, then the worker that has its data; another one takes its place.
            if data.exists():
                data.rename(hidden)
            if event.done == 2:
                one.kill()
                cluster.add_worker()

        backend = workflow.Backend(backend="dask", scheduler=cluster.address)
        monkeypatch.setattr(probe.sweep._dask, "_PER_THREAD", 1)
        workflow.run_study(**study, out=tmp_path / "dask", backend=backend, progress=told)
    finally:
        cluster.close()
    assert contents(tmp_path / "threads") == contents(tmp_path / "dask")


def test_a_memorization_study_on_a_cluster_is_the_one_on_threads(tmp_path, monkeypatch, cluster, undrawn):
    from probe.cli import run

    monkeypatch.chdir(tmp_path)
    study = ["memorize", "--data", "digits", "--hidden", "8", "--samples", "40", "--epochs", "20"]
    study += ["--corruption", "0,0.5,1", "--replicates", "4", "--seed", "3"]
    assert run([*study, "--out", "threads", "--workers", "2"]) == 0
    assert run([*study, "--out", "dask", "--backend", "dask", "--scheduler", cluster.address]) == 0
    trials = sorted(path.name for path in (tmp_path / "threads" / "trials").glob("*.h5"))
    assert len(trials) == 4
    for name in trials:
        one, other = ((tmp_path / folder / "trials" / name).read_bytes() for folder in ("threads", "dask"))
        assert one == other
    assert (tmp_path / "threads" / "results.h5").read_bytes() == (
        tmp_path / "dask" / "results.h5"
    ).read_bytes()


def test_scores_and_capacities_on_a_cluster_are_those_on_threads(tmp_path, cluster, undrawn):
    from test_workflow_memorize import CAPACITY, SCORES, run_design

    from probe import workflow

    backend = workflow.Backend(backend="dask", scheduler=cluster.address)
    for name, design in (("capacity", CAPACITY), ("memorization_scores", SCORES)):
        threads, dask = (tmp_path / name / where for where in ("threads", "dask"))
        run_design(name, design, threads)
        run_design(name, design, dask, backend=backend)
        assert contents(threads) == contents(dask)
        assert (threads / "results.h5").read_bytes() == (dask / "results.h5").read_bytes()
