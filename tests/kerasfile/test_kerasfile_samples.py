"""Every hostile or broken sample, in a process of its own: what becomes of it, how fast, and in how much memory."""

import json
import subprocess
import sys

import pytest

from probe.cli import run

LOAD_ALL = """
import json, resource, sys, time, warnings
from pathlib import Path
import probe
from probe import ModelFileError

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

folder = Path(sys.argv[1])
probe.load_network(folder / "ok_valid.h5"), probe.load_network(folder / "ok_valid.keras")
for name in sys.argv[2:]:
    baseline, began = peak(), time.perf_counter()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            probe.load_network(folder / name)
            found, message = ("flag" if caught else "ok"), str(caught[0].message) if caught else ""
        except ModelFileError as error:
            found, message = "refuse", str(error)
    seconds, megabytes = time.perf_counter() - began, peak() - baseline
    print(json.dumps([name, found, message, seconds, megabytes]), flush=True)
"""

REFUSED_ALL_THE_SAME = {"nan_inf_weights.h5"}
"""Files that could be read with a warning, but are refused: weights that are not finite compute nothing."""


@pytest.fixture(scope="module")
def outcomes(hostile):
    names = sorted(json.loads((hostile / "MANIFEST.json").read_text()))
    # The relative targets of links and of external storage exist in this folder.
    found = subprocess.run(
        [sys.executable, "-c", LOAD_ALL, str(hostile), *names],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        cwd=hostile,
    )
    assert found.returncode == 0, found.stderr[-2000:]
    return {name: rest for name, *rest in map(json.loads, found.stdout.splitlines())}


def test_every_sample_gets_its_verdict(hostile, outcomes):
    expected = {
        name: entry["expect"] for name, entry in json.loads((hostile / "MANIFEST.json").read_text()).items()
    }
    assert len(expected) > 60
    assert outcomes.keys() == expected.keys()
    for name, (found, message, *_) in outcomes.items():
        wanted = "refuse" if name in REFUSED_ALL_THE_SAME else expected[name]
        assert wanted in ("any", found), (name, wanted, found, message)


def test_refusals_are_fast_small_and_on_one_line(outcomes):
    for name, (found, message, seconds, megabytes) in outcomes.items():
        assert (seconds < 0.5, megabytes < 100) == (True, True), (name, seconds, megabytes)
        if found == "refuse":
            assert name in message and message.isprintable(), (name, message)


@pytest.mark.parametrize(
    "name", ["lambda.h5", "zip_symlink.keras", "crash_hang_global_heap.h5", "victim_secret.txt"]
)
@pytest.mark.parametrize("command", ["inspect", "weights"])
def test_the_command_line_says_one_line_and_exits_with_2(hostile, capsys, name, command):
    assert run([command, str(hostile / name)]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("probe: ") and said.err.count("\n") == 1
