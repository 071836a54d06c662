"""Sweeps in processes: the same results as on threads, and no process left however they end."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from test_sweep import N, Task, contents, started, sweep, tasks, undisturbed, undisturbed_folder, wave

import probe
from probe._checks import InputError

__all__ = ["undisturbed", "undisturbed_folder"]


def dies(task: Task, stop: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def refuses(task: Task, stop: object) -> None:
    raise InputError("not this one")


def gives_up(task: Task, stop: object) -> object:
    return None if task.seed == 3 else wave(task, stop)


def test_results_are_those_of_threads(tmp_path, undisturbed):
    trials = tasks(tmp_path / "log", N)
    outcome = sweep(tmp_path / "out", trials, workers=2, backend="processes")
    assert outcome.names == tuple(trials)
    assert (outcome.n_run, outcome.interrupted) == (N, False)
    assert contents(tmp_path / "out") == undisturbed
    assert sorted(started(tmp_path / "log")) == list(range(N))
    again = sweep(tmp_path / "out", trials, workers=2, backend="processes")
    assert (again.n_run, again.n_reused) == (0, N)


def test_an_interrupt_tells_trials_under_way_to_give_up(tmp_path):
    def interrupt(event):
        if event.done == 3:
            raise KeyboardInterrupt

    trials = {
        name: replace(task, seconds=60 * (task.seed >= 3))
        for name, task in tasks(tmp_path / "log", N).items()
    }
    outcome = sweep(tmp_path / "out", trials, workers=2, backend="processes", progress=interrupt)
    assert outcome.interrupted
    assert outcome.n_run == len(contents(tmp_path / "out")) == 3
    assert len(started(tmp_path / "log")) <= 5
    assert sweep(tmp_path / "out", tasks(tmp_path / "log", N), workers=1).n_run == N - 3


def test_a_trial_that_gives_up_ends_the_sweep(tmp_path):
    outcome = sweep(tmp_path / "out", tasks(tmp_path / "log", 6), gives_up, workers=2, backend="processes")
    assert outcome.interrupted
    assert "seed-3" not in outcome.names


@pytest.mark.parametrize(
    ("function", "message"),
    [(dies, "a process of this sweep died.* fewer --workers"), (refuses, "not this one")],
)
def test_errors_come_through_and_the_next_sweep_runs(tmp_path, function, message, undisturbed):
    with pytest.raises(InputError, match=message):
        sweep(tmp_path / "out", tasks(tmp_path / "log"), function, workers=2, backend="processes")
    sweep(tmp_path / "again", tasks(tmp_path / "log", N), workers=2, backend="processes")
    assert contents(tmp_path / "again") == undisturbed


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_sweep_takes_its_workers_along(tmp_path, how):
    script = tmp_path / "killed.py"
    script.write_text(
        "import sys\n"
        f"sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "from dataclasses import replace\nfrom pathlib import Path\nfrom test_sweep import sweep, tasks\n"
        "if __name__ == '__main__':\n"
        "    here = Path(sys.argv[1])\n"
        "    trials = {n: replace(t, seconds=100) for n, t in tasks(here / 'log', 4).items()}\n"
        "    sweep(here / 'out', trials, workers=2, backend='processes')\n"
    )
    process = subprocess.Popen([sys.executable, str(script), str(tmp_path)])
    try:
        end = time.monotonic() + 60
        while len(started(tmp_path / "log")) < 2 and time.monotonic() < end:
            time.sleep(0.1)
        workers = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        process.send_signal(how)
        process.wait(timeout=30)
    finally:
        process.kill()
    assert len(workers) >= 2
    end = time.monotonic() + 30
    while any(alive(pid) for pid in workers) and time.monotonic() < end:
        time.sleep(0.1)
    assert not [pid for pid in workers if alive(pid)]


def test_processes_have_no_scheduler(tmp_path):
    with pytest.raises(probe.InputError, match="with backend 'processes'"):
        sweep(tmp_path / "out", tasks(tmp_path / "log"), backend="processes", scheduler="tcp://x:1")
