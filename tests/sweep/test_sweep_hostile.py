"""Sweeps in folders that somebody prepared or took away: nothing outside is touched, and it ends in one line."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from contextlib import chdir, redirect_stderr, redirect_stdout, suppress
from pathlib import Path

import pytest
from test_sweep import (
    CONFIGURATION,
    ROOT,
    N,
    contents,
    run_again,
    started,
    sweep,
    tasks,
    undisturbed,  # noqa: F401  # a fixture
    undisturbed_folder,  # noqa: F401  # a fixture
    wave,
    whole,  # noqa: F401  # a fixture
)

from probe._checks import InputError
from probe.cli import run
from probe.sweep import run_sweep


@pytest.fixture
def victim(tmp_path):
    path = tmp_path / "elsewhere" / "victim"
    path.parent.mkdir()
    path.write_text("mine")
    return path


def untouched(victim: Path) -> bool:
    return victim.read_text() == "mine" and [path.name for path in victim.parent.iterdir()] == ["victim"]


# Links


def fifo(target: Path, path: Path) -> None:
    os.mkfifo(path)


def device(target: Path, path: Path) -> None:
    path.symlink_to("/dev/zero")


@pytest.mark.parametrize("kind", [os.symlink, os.link, fifo, device])
def test_a_trial_that_is_no_file_of_its_own_runs_again(tmp_path, whole, undisturbed, victim, kind):  # noqa: F811
    (whole / "trials" / "seed-5.h5").unlink()
    kind(victim, whole / "trials" / "seed-5.h5")
    done = []

    def work():
        outcome, ran = run_again(whole, tmp_path / "log", undisturbed)
        done.append((outcome.n_damaged, ran))

    worker = threading.Thread(target=work, daemon=True)
    worker.start()
    worker.join(30)
    assert done == [(1, [5])]
    assert untouched(victim) and not (whole / "trials" / "seed-5.h5").is_symlink()


def test_a_link_to_an_intact_trial_is_not_followed(tmp_path, whole, undisturbed):  # noqa: F811
    trial = whole / "trials" / "seed-5.h5"
    trial.rename(tmp_path / "intact.h5")
    trial.symlink_to(tmp_path / "intact.h5")
    assert run_again(whole, tmp_path / "log", undisturbed)[1] == [5]
    assert (tmp_path / "intact.h5").read_bytes() == undisturbed["seed-5.h5"]


@pytest.mark.parametrize("name", ["trials.jsonl", "sweep.json", ".lock", "trials"])
def test_a_link_in_place_of_what_a_sweep_reads_is_refused(tmp_path, whole, victim, name):  # noqa: F811
    path = whole / name
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    path.symlink_to(victim.parent if name == "trials" else victim)
    with pytest.raises(InputError, match=f"{name} is a symbolic link, and none is followed there") as caught:
        sweep(whole, tasks(tmp_path / "log", N))
    assert "\n" not in str(caught.value)
    assert untouched(victim) and started(tmp_path / "log") == []


def test_a_lock_that_has_another_name_elsewhere_does_not_empty_it(tmp_path, whole, victim):  # noqa: F811
    (whole / ".lock").unlink()
    os.link(victim, whole / ".lock")
    sweep(whole, tasks(tmp_path / "log", N))
    assert untouched(victim)


def test_lines_that_have_another_name_elsewhere_are_copied_first(tmp_path, whole, undisturbed):  # noqa: F811
    other = tmp_path / "backup.jsonl"
    os.link(whole / "trials.jsonl", other)
    before = other.read_bytes()
    (whole / "trials" / "seed-5.h5").unlink()
    assert run_again(whole, tmp_path / "log", undisturbed)[1] == [5]
    assert other.read_bytes() == before and len((whole / "trials.jsonl").read_bytes()) > len(before)


# Content


LINE = b'{"name": "seed-5", "sha256": %s}\n'


@pytest.mark.parametrize(
    "junk",
    [
        b"[" * 900 + b"]" * 900 + b"\n",
        b"[" * 100_000 + b"]" * 100_000 + b"\n",
        b'{"name":' * 900 + b"1" + b"}" * 900 + b"\n",
        LINE % (b"[" * 400 + b"]" * 400),
        LINE % b"NaN",
        LINE % b"1e999",
        LINE % (b"9" * 5000),
        LINE % b'{"a": 1}',
        b'{"name": "seed-5", "name": [], "sha256": "", "sha256": null}\n',
        b'{"name": "seed-5", "sha256": "' + b"x" * 3_000_000 + b'"}\n',
        b'"\\ud800"\n\0\n\x1b[31m\n',
        b'{"name": "seed-5", "sha',
    ],
    ids=lambda junk: junk[:12].decode(errors="replace") + str(len(junk)),
)
def test_lines_that_nobody_wrote_here_say_nothing(tmp_path, whole, undisturbed, junk):  # noqa: F811
    path = whole / "trials.jsonl"
    path.write_bytes(path.read_bytes() + junk)
    outcome, ran = run_again(whole, tmp_path / "log", undisturbed)
    assert (outcome.n_damaged, ran) == (0, [])


def test_lines_without_end_are_refused(tmp_path, whole):  # noqa: F811
    os.truncate(whole / "trials.jsonl", 1 << 40)
    with pytest.raises(InputError, match=r"trials\.jsonl cannot be read: it has more than \d+ bytes"):
        sweep(whole, tasks(tmp_path / "log", N))


def manifest(folder: Path, configuration: object, **more: object) -> None:
    text = json.dumps(configuration, sort_keys=True, separators=(",", ":"))
    entries = json.loads((folder / "sweep.json").read_text()) | {
        "configuration": configuration,
        "fingerprint": hashlib.sha256(text.encode()).hexdigest(),
    }
    (folder / "sweep.json").write_text(json.dumps(entries | more))


def nested(levels: int) -> object:
    value: object = {}
    for _ in range(levels):
        value = {"a": value}
    return value


@pytest.mark.parametrize(
    "content",
    [
        b"[" * 100_000,
        b'{"layout": 1, "configuration": ' + b'{"a":' * 900 + b"1" + b"}" * 901,
        b'{"layout": ' + b"9" * 5000 + b"}",
        b"\0" * (1 << 23),
        b'{"layout": 1, "layout": NaN}',
    ],
    ids=["levels", "900 levels", "digits", "large", "twice"],
)
def test_a_manifest_that_nobody_wrote_here_is_damaged(tmp_path, whole, content):  # noqa: F811
    (whole / "sweep.json").write_bytes(content)
    with pytest.raises(InputError, match=r"sweep\.json is damaged"):
        sweep(whole, tasks(tmp_path / "log", N))


def test_a_manifest_with_a_true_fingerprint_but_many_levels_is_damaged(tmp_path, whole):  # noqa: F811
    manifest(whole, CONFIGURATION | {"x": nested(300)})
    with pytest.raises(InputError, match=r"sweep\.json is damaged"):
        sweep(whole, tasks(tmp_path / "log", N))


def test_what_a_manifest_says_can_be_printed_and_is_short(tmp_path, whole):  # noqa: F811
    odd = {f"\x1b[31m{k}‮\ud800": "\x1b[2J" * 1000 for k in range(1000)}
    manifest(whole, {**CONFIGURATION, **odd, "experiment": "[/red]\x1b[31m" + "x" * 10_000})
    for changes in ({}, {"experiment": "minima"}):
        with pytest.raises(InputError) as caught:
            run_sweep(whole, {**CONFIGURATION, **changes}, tasks(tmp_path / "log", N), wave, type(None))
        assert str(caught.value).isprintable() and len(str(caught.value)) < 1500


# Folders that are taken away


@pytest.mark.parametrize("how", ["removed", "emptied", "exchanged", "moved"])
@pytest.mark.parametrize("workers", [1, 2])
def test_a_folder_that_is_taken_away_ends_the_sweep(tmp_path, how, workers):
    out = tmp_path / "out"

    def take(event):
        if event.done != 3:
            return
        if how == "moved":
            out.rename(tmp_path / "moved")
            return
        # Another thread may be writing into it.
        while True:
            for path in out.iterdir():
                shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)
            if how == "emptied":
                break
            with suppress(OSError):
                out.rmdir()
                break
        if how == "exchanged":
            out.mkdir()

    with pytest.raises(
        InputError, match=r"removed or exchanged|emptied or removed|No such|was removed while"
    ) as caught:
        sweep(out, tasks(tmp_path / "log", N, seconds=0.02), workers=workers, progress=take)
    assert "\n" not in str(caught.value)
    assert len(started(tmp_path / "log")) < N
    # A trial under way in another thread may still be written into a folder that is only emptied: it is the same folder.
    if how != "emptied" or workers == 1:
        assert not (out / "trials").exists()


def test_a_folder_that_is_taken_away_at_the_end_is_told(tmp_path):
    out = tmp_path / "out"

    def take(event):
        if event.done == N:
            shutil.rmtree(out)

    with pytest.raises(InputError, match=r"emptied or removed while .*, and what it held is lost"):
        sweep(out, tasks(tmp_path / "log", N), progress=take)
    assert not out.exists()


# The command


STUDY = ["memorize", "--data", "digits", "--hidden", "4", "--samples", "40", "--replicates", "2"]
STUDY += ["--epochs", "8", "--out", "study"]


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """A finished study."""
    folder = tmp_path_factory.mktemp("study")
    assert command(folder).returncode == 0
    return folder / "study"


def command(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    out, err = io.StringIO(), io.StringIO()
    with chdir(folder), redirect_stdout(out), redirect_stderr(err):
        status = run([*(arguments or STUDY)])
    return subprocess.CompletedProcess(arguments, status, out.getvalue(), err.getvalue())


REPLACED = ["trials/a0-n0-r0001.h5", "results.json", "results.h5", "index.html", "figures/curves_1.png"]
REFUSED = ["trials.jsonl", "sweep.json", ".lock", "trials", "figures"]


def test_no_link_in_a_study_is_followed(study, tmp_path, victim, undrawn):
    """All the files of a study at once, and one by one those that are refused."""
    shutil.copytree(study, tmp_path / "study")
    for name in REPLACED:
        path = tmp_path / "study" / name
        path.unlink()
        path.symlink_to(victim)
    done = command(tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert untouched(victim)
    for name in REPLACED:
        assert not (tmp_path / "study" / name).is_symlink()
    for name in REFUSED:
        path, kept = tmp_path / "study" / name, tmp_path / "kept"
        path.rename(kept)
        path.symlink_to(victim.parent if kept.is_dir() else victim)
        done = command(tmp_path)
        assert done.returncode == 2 and f"{name} is a symbolic link" in done.stderr, name
        assert done.stderr.count("\n") == 1 and untouched(victim), name
        path.unlink()
        kept.rename(path)
    assert command(tmp_path).returncode == 0


def test_hard_links_to_files_elsewhere_leave_them_as_they_are(study, tmp_path, victim, undrawn):
    shutil.copytree(study, tmp_path / "study")
    for name in (*REPLACED[1:], "trials.jsonl", "trials/a0-n0-r0001.h5"):
        path = tmp_path / "study" / name
        path.unlink()
        os.link(victim, path)
    assert command(tmp_path).returncode == 0
    assert untouched(victim)


def test_a_study_whose_folder_is_removed_ends_with_an_error(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-m", "probe", *STUDY, "--replicates", "400", "--epochs", "60"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    try:
        while not list(tmp_path.glob("study/trials/*.h5")):
            assert process.poll() is None
        while (tmp_path / "study").exists():
            shutil.rmtree(tmp_path / "study", ignore_errors=True)
        out, err = process.communicate(timeout=60)
    finally:
        process.send_signal(signal.SIGKILL)
    assert process.returncode == 2 and out == ""
    assert err.count("\n") == 1 and "removed" in err
    assert not (tmp_path / "study").exists()


def test_links_in_place_of_trials_of_a_pilot_are_not_followed(tmp_path, victim, undrawn):
    tuned = (*STUDY, "--rates", "0.1,0.3")
    assert command(tmp_path, *tuned).returncode == 0
    pilot = tmp_path / "study" / "trials" / "pilot-a0-n0-r0000.h5"
    before = pilot.read_bytes()
    pilot.unlink()
    pilot.symlink_to(victim)
    assert command(tmp_path, *tuned).returncode == 0
    assert untouched(victim)
    assert not pilot.is_symlink() and pilot.read_bytes() == before


def test_contents_of_an_undisturbed_sweep_are_the_same_everywhere(tmp_path, undisturbed):  # noqa: F811
    sweep(tmp_path / "out", tasks(tmp_path / "log", N))
    assert contents(tmp_path / "out") == undisturbed
