"""Sweeps on threads: what is kept, what runs again, and what is refused."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

import probe.sweep.folder
from probe._checks import Array, InputError
from probe._progress import ProgressEvent
from probe.storage import load_result
from probe.sweep import SweepOutcome, run_sweep

ROOT = Path(__file__).parents[2]
N = 12
"""Trials of most sweeps here."""

CONFIGURATION = {"epochs": 150, "data": {"name": "digits", "noise": None}, "rates": (0.1, 1.0)}


@dataclass(frozen=True, slots=True, eq=False)
class Wave:
    values: Array
    seed: int


@dataclass(frozen=True, slots=True)
class Task:
    """Seed of a trial; how long it takes, where it logs its start, and how many numbers it gives."""

    seed: int
    log: Path
    seconds: float = 0.0
    size: int = 30


def wave(task: Task, stop: threading.Event) -> Wave | None:
    log(task.log, f"start {task.seed}")
    if stop.wait(task.seconds):
        log(task.log, f"gave-up {task.seed}")
        return None
    rng = np.random.default_rng(task.seed)
    return Wave(rng.normal(size=(task.size, N)) @ rng.normal(size=N), task.seed)


def waits_for_release(task: Task, stop: threading.Event) -> Wave | None:
    result = wave(task, stop)
    if task.seed >= 4:
        wait_until(task.log.with_name("release").exists)
    return result


def log(path: Path, line: str) -> None:
    with path.open("a") as file:
        file.write(line + "\n")


def started(path: Path) -> list[int]:
    lines = path.read_text().splitlines() if path.exists() else []
    return [int(line.split()[1]) for line in lines if line.startswith("start")]


def tasks(log: Path, n: int = 4, **options: object) -> dict[str, Task]:
    return {f"seed-{seed}": Task(seed, log, **options) for seed in range(n)}


def sweep(folder: Path, trials: dict[str, Task], function=wave, **options: object) -> SweepOutcome[Wave]:
    return run_sweep(folder, CONFIGURATION, trials, function, Wave, **options)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((folder / "trials").iterdir())}


@pytest.fixture(scope="session")
def undisturbed_folder(tmp_path_factory):
    """The folder of a sweep of `N` trials that nothing disturbed."""
    folder = tmp_path_factory.mktemp("undisturbed")
    sweep(folder / "out", tasks(folder / "log", N))
    return folder / "out"


@pytest.fixture
def undisturbed(undisturbed_folder):
    """The content of its trial files."""
    return contents(undisturbed_folder)


def python(script: str, *arguments: object, **options: object) -> subprocess.Popen[str]:
    """Run a script in which all names of this module and SIGINT are as in a shell."""
    head = (
        "import signal, sys, time, os\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\nfrom test_sweep import *\n"
    )
    return subprocess.Popen(
        [sys.executable, "-c", head + script, *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests' / 'sweep'}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


_RACE = re.compile(
    r"[^\n]*tornado\.application - ERROR [^\n]*functools\.partial\(<function sync.*?"
    r"NameError: cannot access free variable 'future'[^\n]*\n",
    re.DOTALL,
)


def finished(process: subprocess.Popen[str]) -> str:
    """Return the output of a script that must end well and say nothing else."""
    try:
        out, err = process.communicate(timeout=100)
    finally:
        process.kill()
    # Ctrl-C can meet distributed before it has the future that it would cancel; it logs that, and goes on.
    assert (process.returncode, _RACE.sub("", err)) == (0, "")
    return out


def wait_until(condition, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.005)


# What a sweep gives


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_results_come_in_the_order_of_the_trials_and_are_kept(tmp_path, undisturbed, workers):
    trials = tasks(tmp_path / "log", N)
    outcome = sweep(tmp_path / "out", trials, workers=workers)
    assert outcome.names == tuple(trials)
    assert [result.seed for result in outcome.results] == list(range(N))
    assert (outcome.n_run, outcome.n_reused, outcome.n_damaged, outcome.interrupted) == (N, 0, 0, False)
    assert contents(tmp_path / "out") == undisturbed
    kept = load_result(tmp_path / "out" / "trials" / "seed-7.h5", Wave)
    np.testing.assert_array_equal(kept.values, outcome.results[7].values)
    np.testing.assert_array_equal(kept.values, wave(trials["seed-7"], threading.Event()).values)


def test_a_second_run_reuses_everything(tmp_path):
    trials = tasks(tmp_path / "log")
    first = sweep(tmp_path / "out", trials)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*.h5")}
    second = sweep(tmp_path / "out", trials)
    assert (second.n_run, second.n_reused, second.n_damaged) == (0, 4, 0)
    assert started(tmp_path / "log") == [0, 1, 2, 3]
    for one, other in zip(first.results, second.results, strict=True):
        np.testing.assert_array_equal(one.values, other.values)
    assert before == {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*.h5")}


def test_more_trials_of_the_same_configuration_can_be_added(tmp_path):
    sweep(tmp_path / "out", tasks(tmp_path / "log", 2))
    outcome = sweep(tmp_path / "out", tasks(tmp_path / "log", 5))
    assert (outcome.n_reused, outcome.n_run) == (2, 3) and started(tmp_path / "log") == [0, 1, 2, 3, 4]


def test_an_extent_grows_and_never_shrinks(tmp_path):
    out = tmp_path / "out"
    sweep(out, tasks(tmp_path / "log", 2), extent={"replicates": 2})
    first = json.loads((out / "sweep.json").read_text())
    assert sweep(out, tasks(tmp_path / "log", 5), extent={"replicates": 5}).n_run == 3
    assert json.loads((out / "sweep.json").read_text()) == first | {"extent": {"replicates": 5}}
    with pytest.raises(
        InputError, match=r"replicates must be at least 5 in .*out, .* can only grow; got 4. Pass"
    ):
        sweep(out, tasks(tmp_path / "log", 4), extent={"replicates": 4})
    assert sweep(out, tasks(tmp_path / "log", 5), extent={"replicates": 5}).n_reused == 5
    assert started(tmp_path / "log") == [0, 1, 2, 3, 4]


def test_a_damaged_extent_is_refused(tmp_path):
    sweep(tmp_path / "out", tasks(tmp_path / "log"), extent={"replicates": 4})
    path = tmp_path / "out" / "sweep.json"
    path.write_text(path.read_text().replace('"replicates": 4', '"replicates": "four"'))
    with pytest.raises(InputError, match=r"sweep\.json is damaged"):
        sweep(tmp_path / "out", tasks(tmp_path / "log"), extent={"replicates": 4})


def test_another_kind_of_study_is_refused_in_one_short_sentence(tmp_path):
    trials = tasks(tmp_path / "log")
    run_sweep(tmp_path / "out", {**CONFIGURATION, "experiment": "waves"}, trials, wave, Wave)
    with pytest.raises(InputError) as caught:
        run_sweep(tmp_path / "out", {"experiment": "tides", "moon": 1}, trials, wave, Wave)
    expected = f"out {tmp_path / 'out'} holds another kind of study: waves, not tides. Pass another --out"
    assert str(caught.value) == expected


def test_progress_counts_reused_trials_at_once_and_shows_the_note(tmp_path):
    sweep(tmp_path / "out", dict(list(tasks(tmp_path / "log").items())[1:3]))
    events = []
    sweep(
        tmp_path / "out",
        tasks(tmp_path / "log"),
        progress=events.append,
        stage="waves",
        note=lambda results: "seeds " + ",".join(str(result.seed) for result in results),
    )
    assert events == [
        ProgressEvent("waves", 2, 4, "seeds 1,2"),
        ProgressEvent("waves", 3, 4, "seeds 0,1,2"),
        ProgressEvent("waves", 4, 4, "seeds 0,1,2,3"),
    ]


@pytest.mark.parametrize("workers", [1, 3])
def test_progress_goes_up_by_one(tmp_path, workers):
    events = []
    sweep(tmp_path / "out", tasks(tmp_path / "log", 12), workers=workers, progress=events.append)
    assert [(event.done, event.total, event.stage, event.note) for event in events] == [
        (k, 12, "trials", "") for k in range(1, 13)
    ]


def test_the_manifest_says_what_the_sweep_is_of(tmp_path):
    sweep(tmp_path / "out", tasks(tmp_path / "log"))
    manifest = json.loads((tmp_path / "out" / "sweep.json").read_text())
    assert manifest["configuration"] == {**CONFIGURATION, "rates": [0.1, 1.0]}
    text = json.dumps(manifest["configuration"], sort_keys=True, separators=(",", ":"))
    assert manifest["fingerprint"] == hashlib.sha256(text.encode()).hexdigest()
    assert manifest["probe"] == probe.__version__
    lines = [json.loads(line) for line in (tmp_path / "out" / "trials.jsonl").read_text().splitlines()]
    files = contents(tmp_path / "out")
    assert {line["name"] + ".h5": line["sha256"] for line in lines} == {
        name: hashlib.sha256(content).hexdigest() for name, content in files.items()
    }


def test_files_do_not_depend_on_the_time_of_day(tmp_path, monkeypatch):
    sweep(tmp_path / "a", tasks(tmp_path / "log"))
    time.sleep(1.1)
    sweep(tmp_path / "b", tasks(tmp_path / "log"))
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    for name in ("sweep.json", "trials.jsonl"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


# What is refused


@pytest.mark.parametrize(
    ("changes", "difference"),
    [
        ({"epochs": 100}, "epochs was 150, now 100. Pass another --out"),
        ({"epochs": 150.0}, "epochs was 150, now 150.0. Pass"),
        ({"data": {"name": "mnist", "noise": 0.5}}, 'data.name was "digits", now "mnist"; data.noise was null, now 0.5.'),
        ({"seed": 3}, "seed was not set, now 3. Pass"),
        ({"rates": (0.1,)}, "rates was [0.1, 1.0], now [0.1]. Pass"),
        ({"data": None}, 'data was {"name": "digits", "noise": null}, now null.'),
        ({"epochs": "absent"}, 'epochs was 150, now "absent". Pass'),
    ],
)  # fmt: skip
def test_a_changed_configuration_is_refused_with_each_difference(tmp_path, changes, difference):
    trials = tasks(tmp_path / "log")
    sweep(tmp_path / "out", trials)
    before = contents(tmp_path / "out")
    with pytest.raises(InputError) as caught:
        run_sweep(tmp_path / "out", {**CONFIGURATION, **changes}, trials, wave, Wave)
    assert f"out {tmp_path / 'out'} holds a sweep of another configuration: " in str(caught.value)
    assert difference in str(caught.value) and "\n" not in str(caught.value)
    assert contents(tmp_path / "out") == before and len(started(tmp_path / "log")) == 4


def test_an_entry_that_went_away_is_a_difference(tmp_path):
    sweep(tmp_path / "out", tasks(tmp_path / "log"))
    with pytest.raises(InputError, match="epochs was 150, now not set; rates was"):
        run_sweep(tmp_path / "out", {"data": CONFIGURATION["data"]}, tasks(tmp_path / "log"), wave, Wave)


def test_numpy_numbers_and_the_order_of_entries_are_no_difference(tmp_path):
    sweep(tmp_path / "out", tasks(tmp_path / "log"))
    same = {"rates": [0.1, np.float64(1.0)], "data": CONFIGURATION["data"], "epochs": np.int64(150)}
    assert run_sweep(tmp_path / "out", same, tasks(tmp_path / "log"), wave, Wave).n_reused == 4


def test_another_version_of_probe_goes_on(tmp_path, monkeypatch):
    monkeypatch.setattr(probe.sweep.folder, "__version__", "0.0.1")
    sweep(tmp_path / "out", tasks(tmp_path / "log"))
    monkeypatch.undo()
    assert '"0.0.1"' in (tmp_path / "out" / "sweep.json").read_text()
    assert sweep(tmp_path / "out", tasks(tmp_path / "log")).n_reused == 4


def test_a_configuration_that_json_does_not_hold_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"configuration must hold values that JSON holds: .*type set"):
        run_sweep(tmp_path / "out", {"seeds": {1, 2}}, tasks(tmp_path / "log"), wave, Wave)


@pytest.mark.parametrize("damage", [b"", b"{}", b"[1]", b"\xff", "epochs"])
def test_a_damaged_manifest_is_refused(tmp_path, damage):
    sweep(tmp_path / "out", tasks(tmp_path / "log"))
    path = tmp_path / "out" / "sweep.json"
    path.write_bytes(path.read_bytes().replace(b"150", b"151") if damage == "epochs" else damage)
    with pytest.raises(InputError, match=r"sweep\.json is damaged: no configuration .* Pass another --out"):
        sweep(tmp_path / "out", tasks(tmp_path / "log"))


def test_another_layout_is_refused(tmp_path):
    sweep(tmp_path / "out", tasks(tmp_path / "log"))
    path = tmp_path / "out" / "sweep.json"
    path.write_text(path.read_text().replace('"layout": 1', '"layout": 2'))
    with pytest.raises(InputError, match="has layout 2, expected 1; go on with the version of probe"):
        sweep(tmp_path / "out", tasks(tmp_path / "log"))


def test_trials_without_a_manifest_are_refused(tmp_path):
    sweep(tmp_path / "out", tasks(tmp_path / "log"))
    (tmp_path / "out" / "sweep.json").unlink()
    with pytest.raises(InputError, match=r"holds trials, but no sweep\.json that says of what"):
        sweep(tmp_path / "out", tasks(tmp_path / "log"))


@pytest.mark.parametrize("name", ["", "../a", "a/b", ".hidden", "a\nb", "a" * 101, "é"])
def test_names_that_cannot_be_files_are_refused(tmp_path, name):
    with pytest.raises(InputError, match="names of trials must be 1 to 100 letters"):
        sweep(tmp_path / "out", {name: Task(0, tmp_path / "log")})
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"workers": 0}, "workers must be an integer of at least 1, got 0"),
        (
            {"backend": "thread"},
            r"backend must be one of threads, processes, dask; got 'thread' .did you mean 'threads'",
        ),
        ({"backend": "dask"}, r"needs the address of its scheduler\. Pass --scheduler tcp://"),
        (
            {"scheduler": "tcp://x:1"},
            r"scheduler is for backend 'dask', got 'tcp://x:1' with backend 'threads'",
        ),
    ],
)
def test_arguments_are_checked_before_anything_is_written(tmp_path, options, message):
    with pytest.raises(InputError, match=message):
        sweep(tmp_path / "out", tasks(tmp_path / "log"), **options)
    assert not list(tmp_path.iterdir())


def test_a_sweep_of_no_trials_is_refused(tmp_path):
    with pytest.raises(InputError, match="trials must hold at least one trial, got none"):
        sweep(tmp_path / "out", {})


def test_a_result_of_another_kind_is_refused(tmp_path):
    with pytest.raises(InputError, match="trial 'seed-0' must give a Wave, got Task"):
        sweep(tmp_path / "out", tasks(tmp_path / "log"), lambda task, stop: task)
    assert not (tmp_path / "out" / "trials").exists()


@pytest.mark.parametrize("workers", [1, 2])
def test_an_error_of_a_trial_ends_the_sweep_and_keeps_the_others(tmp_path, workers):
    def fails(task, stop):
        if task.seed == 2:
            raise InputError("networks diverged")
        return wave(task, stop)

    with pytest.raises(InputError, match="networks diverged"):
        sweep(tmp_path / "out", tasks(tmp_path / "log", N, seconds=0.01), fails, workers=workers)
    outcome = sweep(tmp_path / "out", tasks(tmp_path / "log", N))
    assert 1 <= outcome.n_reused <= 5 and outcome.n_reused + outcome.n_run == N


# Damage


def run_again(folder: Path, log: Path, undisturbed: dict[str, bytes]) -> tuple[SweepOutcome[Wave], list[int]]:
    """Run a sweep of N again; return the outcome and the trials that it started."""
    n_before = len(started(log))
    outcome = sweep(folder, tasks(log, N))
    assert contents(folder) == undisturbed
    assert [result.seed for result in outcome.results] == list(range(N))
    return outcome, started(log)[n_before:]


@pytest.fixture
def whole(tmp_path, undisturbed_folder):
    return shutil.copytree(undisturbed_folder, tmp_path / "out")


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def lengthen(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"\0")


def empty(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize("damage", [flip, truncate, lengthen, empty])
def test_a_damaged_trial_is_found_and_runs_again(tmp_path, whole, undisturbed, damage):
    damage(whole / "trials" / "seed-5.h5")
    outcome, ran = run_again(whole, tmp_path / "log", undisturbed)
    assert (outcome.n_damaged, outcome.n_run, outcome.n_reused, ran) == (1, 1, N - 1, [5])
    assert run_again(whole, tmp_path / "log", undisturbed)[0].n_damaged == 0


def test_a_deleted_trial_runs_again(tmp_path, whole, undisturbed):
    (whole / "trials" / "seed-5.h5").unlink()
    outcome, ran = run_again(whole, tmp_path / "log", undisturbed)
    assert (outcome.n_damaged, outcome.n_run, ran) == (0, 1, [5])


def test_trials_that_were_swapped_run_again(tmp_path, whole, undisturbed):
    one, other = whole / "trials" / "seed-5.h5", whole / "trials" / "seed-6.h5"
    one.rename(whole / "x")
    other.rename(one)
    (whole / "x").rename(other)
    outcome, ran = run_again(whole, tmp_path / "log", undisturbed)
    assert (outcome.n_damaged, ran) == (2, [5, 6])


def test_a_trial_without_a_line_is_not_trusted(tmp_path, whole, undisturbed):
    lines = (whole / "trials.jsonl").read_text().splitlines(keepends=True)
    (whole / "trials.jsonl").write_text("".join(lines[:5] + lines[6:]))
    outcome, ran = run_again(whole, tmp_path / "log", undisturbed)
    assert (outcome.n_damaged, ran) == (1, [5])


@pytest.mark.parametrize("n_lost", [1, 2, 40])
def test_a_torn_line_is_no_line_and_swallows_none(tmp_path, whole, undisturbed, n_lost):
    path = whole / "trials.jsonl"
    path.write_bytes(path.read_bytes()[:-n_lost])
    (whole / "trials" / f"seed-{N - 1}.h5").unlink()
    outcome, ran = run_again(whole, tmp_path / "log", undisturbed)
    assert (outcome.n_run, ran) == (1, [N - 1])
    assert run_again(whole, tmp_path / "log", undisturbed)[1] == []


def test_a_line_without_a_file_was_under_way(tmp_path, whole, undisturbed):
    (whole / "trials" / "seed-5.h5").unlink()
    with (whole / "trials.jsonl").open("a") as file:
        file.write(json.dumps({"name": "seed-5", "sha256": "0" * 64}) + "\n")
    outcome, ran = run_again(whole, tmp_path / "log", undisturbed)
    assert (outcome.n_damaged, ran) == (0, [5])
    assert run_again(whole, tmp_path / "log", undisturbed)[1] == []


@pytest.mark.parametrize(
    "junk", [b"null\n", b"[]\n", b"{}\n", b"\xff\xfe\n", b"\n\n", b'{"name": "seed-5"}\n']
)
def test_lines_that_say_nothing_are_passed_over(tmp_path, whole, undisturbed, junk):
    path = whole / "trials.jsonl"
    path.write_bytes(junk + path.read_bytes() + junk)
    assert run_again(whole, tmp_path / "log", undisturbed)[1] == []


def test_what_a_killed_writer_left_is_removed(tmp_path, whole):
    leftovers = [whole / "trials" / ".seed-1.h5.0123abcd.part", whole / ".sweep.json.0123abcd.part"]
    for path in leftovers:
        path.write_bytes(b"half")
    sweep(whole, tasks(tmp_path / "log", N))
    assert not any(path.exists() for path in leftovers)


@dataclass(frozen=True, slots=True, eq=False)
class Other:
    values: Array


def test_an_intact_trial_of_another_class_is_refused(tmp_path, whole):
    with pytest.raises(
        InputError, match=r"seed-0\.h5.* holds a Wave, expected a Other; .*pass another --out"
    ):
        run_sweep(whole, CONFIGURATION, tasks(tmp_path / "log", N), wave, Other)


# Killed


KILLED = """
folder, log_path, n_kills, seed = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
rng = np.random.default_rng(seed)
trials = tasks(log_path, 60, seconds=0.01)
n_killed = 0
for _ in range(n_kills):
    finished_before = {path.stem for path in folder.glob("trials/*.h5")}
    n_before = len(started(log_path))
    child = os.fork()
    if child == 0:
        sweep(folder, trials, workers=2)
        os._exit(0)
    # Long enough for a few trials, by how far the child comes and not by the clock.
    goal = n_before + rng.integers(0, 5)
    while len(started(log_path)) < goal and os.waitpid(child, os.WNOHANG) == (0, 0):
        time.sleep(0.0005)
    time.sleep(rng.uniform(0, 0.01))
    try:
        os.kill(child, signal.SIGKILL)
        n_killed += os.waitpid(child, 0)[1] == signal.SIGKILL
    except (ProcessLookupError, ChildProcessError):
        pass
    again = {f"seed-{seed}" for seed in started(log_path)[n_before:]} & finished_before
    assert not again, f"finished trials ran again: {again}"
n_before = len(started(log_path))
finished_before = {path.stem for path in folder.glob("trials/*.h5")}
outcome = sweep(folder, trials, workers=2)
assert not {f"seed-{seed}" for seed in started(log_path)[n_before:]} & finished_before
assert outcome.n_reused == len(finished_before) and outcome.n_damaged == 0
print(n_killed, outcome.n_reused, outcome.n_run, [result.seed for result in outcome.results])
"""


def test_killed_at_twenty_random_moments_it_ends_like_an_undisturbed_one(tmp_path):
    seed = int.from_bytes(os.urandom(4), "big")
    process = python(KILLED, tmp_path / "out", tmp_path / "log", 20, seed)
    n_killed, n_reused, n_run, *_ = finished(process).replace("[", "").split()
    assert int(n_killed) >= 15, seed
    assert int(n_reused) + int(n_run) == 60 and int(n_reused) > 0, seed
    sweep(tmp_path / "undisturbed", tasks(tmp_path / "other-log", 60))
    assert contents(tmp_path / "out") == contents(tmp_path / "undisturbed")
    assert not list((tmp_path / "out").rglob("*.part"))


KILL_POINTS = """
import builtins
folder, log_path = Path(sys.argv[1]), Path(sys.argv[2])
steps = 0

def deadly(function, limit):
    def call(*arguments, **options):
        global steps
        steps += 1
        if steps == limit:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*arguments, **options)
    return call

for limit in range(1, 1000):
    out = folder / str(limit)
    child = os.fork()
    if child == 0:
        for owner, name in [(os, "fsync"), (os, "close"), (os, "open"), (os, "mkdir"), (os, "replace"), (os, "unlink"),
                            (os, "fdopen"), (Path, "open"), (Path, "mkdir")]:
            setattr(owner, name, deadly(getattr(owner, name), limit))
        sweep(out, tasks(log_path.with_name(f"log-{limit}"), 2))
        os._exit(0)
    if os.waitpid(child, 0)[1] == 0:
        break
    log_file = log_path.with_name(f"log-{limit}")
    finished_before = {path.stem for path in out.glob("trials/*.h5")}
    n_before = len(started(log_file))
    outcome = sweep(out, tasks(log_file, 2))
    assert (outcome.n_reused, outcome.n_damaged) == (len(finished_before), 0), limit
    assert not {f"seed-{seed}" for seed in started(log_file)[n_before:]} & finished_before, limit
print(limit)
"""


def test_killed_before_any_step_on_disk_nothing_is_lost(tmp_path, undisturbed):
    n_points = int(finished(python(KILL_POINTS, tmp_path, tmp_path / "log")))
    assert 20 < n_points < 900, n_points
    expected = {name: undisturbed[name] for name in ("seed-0.h5", "seed-1.h5")}
    for limit in range(1, n_points):
        assert contents(tmp_path / str(limit)) == expected, limit


# Two processes


def test_a_second_process_is_refused_and_harms_nothing(tmp_path, undisturbed):
    script = (
        "print(sweep(Path(sys.argv[1]), tasks(Path(sys.argv[2]), N), waits_for_release, workers=2).n_run)"
    )
    process = python(script, tmp_path / "out", tmp_path / "log")
    try:
        wait_until(lambda: len(started(tmp_path / "log")) == 6)
        begin = time.monotonic()
        with pytest.raises(
            InputError, match=r"out .*/out is in use by another process .* pass another --out"
        ):
            sweep(tmp_path / "out", tasks(tmp_path / "log", N))
        assert time.monotonic() - begin < 5 and process.poll() is None
    finally:
        (tmp_path / "release").touch()
        out = finished(process)
    assert out == f"{N}\n" and sorted(started(tmp_path / "log")) == list(range(N))
    assert contents(tmp_path / "out") == undisturbed


def test_a_second_sweep_in_another_thread_is_refused(tmp_path):
    def again(task, stop):
        with pytest.raises(InputError, match="is in use by another process"):
            sweep(tmp_path / "out", {"a": task})
        return wave(task, stop)

    assert sweep(tmp_path / "out", tasks(tmp_path / "log", 3), again, workers=2).n_run == 3


def test_the_lock_goes_with_a_killed_process(tmp_path):
    script = "sweep(Path(sys.argv[1]), tasks(Path(sys.argv[2]), 2, seconds=60))"
    process = python(script, tmp_path / "out", tmp_path / "log")
    wait_until(lambda: started(tmp_path / "log"))
    process.kill()
    process.communicate()
    assert sweep(tmp_path / "out", tasks(tmp_path / "log", 2)).n_run == 2


# Disks


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("step", ["line", "file"])
def test_a_full_disk_is_told_and_the_sweep_goes_on_later(tmp_path, undisturbed, monkeypatch, workers, step):
    real, n_calls = os.fsync, []

    def full(descriptor):
        name = str(Path(f"/proc/self/fd/{descriptor}").readlink())
        n_calls.append(name)
        if len(n_calls) > 20 and name.endswith("trials.jsonl" if step == "line" else ".part"):
            raise OSError(errno.ENOSPC, "No space left on device")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(InputError) as caught:
        sweep(tmp_path / "out", tasks(tmp_path / "log", N), workers=workers)
    monkeypatch.undo()
    message = str(caught.value)
    assert "cannot be written: No space left on device" in message and "\n" not in message
    assert message.endswith("Running the same command again goes on from the trials that are finished")
    assert len(started(tmp_path / "log")) < N
    n_kept = len(contents(tmp_path / "out"))
    outcome, ran = run_again(tmp_path / "out", tmp_path / "log", undisturbed)
    assert (outcome.n_reused, outcome.n_damaged, len(ran)) == (n_kept, 0, N - n_kept) and n_kept > 3


LIMITED = """
import resource
folder, log_path = Path(sys.argv[1]), Path(sys.argv[2])
trials = {name: replace(task, size=30 if task.seed < 3 else 5000) for name, task in tasks(log_path, 5).items()}
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY))
try:
    sweep(folder, trials, workers=int(sys.argv[3]))
except InputError as error:
    print(error)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
print(len(contents(folder)), len(list(folder.rglob("*.part"))))
outcome = sweep(folder, trials)
print(outcome.n_reused, outcome.n_run, outcome.n_damaged)
"""


@pytest.mark.parametrize("workers", [1, 2])
def test_a_real_limit_of_the_system_is_told_and_harms_nothing(tmp_path, workers):
    out = finished(python(LIMITED, tmp_path / "out", tmp_path / "log", workers))
    message, counts, rerun = out.splitlines()
    assert (
        message.startswith(f"{tmp_path}/out/trials/seed-") and "cannot be written: File too large." in message
    )
    assert message.endswith("Running the same command again goes on from the trials that are finished")
    n_kept = int(counts.split()[0])
    assert counts == f"{n_kept} 0" and rerun == f"{n_kept} {5 - n_kept} 0" and 1 <= n_kept <= 3


def test_a_disk_that_is_really_full(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = shutil.which("mount") and not subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", str(disk)], capture_output=True, check=False
    ).returncode  # fmt: skip
    if not mounted:
        pytest.skip("mounting needs root")
    try:
        trials = tasks(tmp_path / "log", 12, size=5000)
        for workers in (1, 2):
            with pytest.raises(InputError, match=r"No space left on device.* Running the same command again"):
                sweep(disk / "out", trials, workers=workers)
        n_kept = len(contents(disk / "out"))
        assert 1 <= n_kept < 12 and not list(disk.rglob("*.part"))
        subprocess.run(["mount", "-o", "remount,size=2m", str(disk)], check=True)
        outcome = sweep(disk / "out", trials)
        assert (outcome.n_reused, outcome.n_run, outcome.n_damaged) == (n_kept, 12 - n_kept, 0)
        sweep(tmp_path / "out", trials)
        assert contents(disk / "out") == contents(tmp_path / "out")
    finally:
        subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.parametrize("place", ["/proc/no-such/out", "/dev/null/out", "file", "file/out"])
def test_a_folder_that_cannot_be_written_is_named(tmp_path, place):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=f"out .*{place} cannot be written to: .*Pass a") as caught:
        sweep(tmp_path / place, tasks(tmp_path / "log"))
    assert "\n" not in str(caught.value) and not (tmp_path / "log").exists()


# Ctrl-C


@pytest.mark.parametrize("workers", [1, 2])
def test_an_interrupt_keeps_what_is_finished(tmp_path, undisturbed, workers):
    def interrupt(event):
        if event.done == 5:
            raise KeyboardInterrupt

    trials = {
        name: replace(task, seconds=60 * (task.seed >= 6))
        for name, task in tasks(tmp_path / "log", N).items()
    }
    outcome = sweep(tmp_path / "out", trials, workers=workers, progress=interrupt)
    n_kept = len(contents(tmp_path / "out"))
    assert outcome.interrupted and outcome.n_run == len(outcome.results) == n_kept and n_kept in (5, 6)
    assert list(outcome.names) == [f"seed-{result.seed}" for result in outcome.results]
    assert len(started(tmp_path / "log")) <= 6 + workers
    again, _ = run_again(tmp_path / "out", tmp_path / "log", undisturbed)
    assert (again.n_reused, again.interrupted) == (n_kept, False)


def test_an_interrupt_before_anything_is_finished_is_raised(tmp_path):
    def interrupt(task, stop):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sweep(tmp_path / "out", tasks(tmp_path / "log"), interrupt)
    assert sweep(tmp_path / "out", tasks(tmp_path / "log")).n_run == 4


@pytest.mark.parametrize("workers", [1, 2])
def test_a_trial_that_gives_up_by_itself_ends_the_sweep_as_an_interrupt_does(tmp_path, workers):
    def gives_up(task, stop):
        return None if task.seed == 3 else wave(task, stop)

    outcome = sweep(tmp_path / "out", tasks(tmp_path / "log", N, seconds=0.01), gives_up, workers=workers)
    assert outcome.interrupted and 2 <= outcome.n_run <= 6
    assert "seed-3" not in outcome.names
    with pytest.raises(KeyboardInterrupt):
        sweep(tmp_path / "other", {"a": Task(3, tmp_path / "log")}, gives_up)


INTERRUPTED = """
trials = tasks(Path(sys.argv[2]), 12)
trials = {name: replace(task, seconds=0.01 if task.seed < 5 else 60) for name, task in trials.items()}
outcome = sweep(Path(sys.argv[1]), trials, workers=int(sys.argv[3]))
print(outcome.interrupted, outcome.n_run, threading.active_count() <= 3)
"""


@pytest.mark.parametrize("workers", [1, 2])
def test_a_real_interrupt_ends_the_trials_under_way(tmp_path, workers):
    process = python(INTERRUPTED, tmp_path / "out", tmp_path / "log", workers)
    wait_until(lambda: len(started(tmp_path / "log")) == 5 + workers)
    time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    begin = time.monotonic()
    assert finished(process) == "True 5 True\n" and time.monotonic() - begin < 10
    gave_up = (tmp_path / "log").read_text().count("gave-up")
    assert gave_up == (2 if workers == 2 else 0)
    again = sweep(tmp_path / "out", tasks(tmp_path / "log", 12))
    assert (again.n_reused, again.n_run) == (5, 7)
