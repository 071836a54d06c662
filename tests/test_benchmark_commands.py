"""The commands that are timed are commands that exist, and what is said of a run is true."""

import sys
import time
from pathlib import Path

import pytest
import typer

import probe
from probe.cli import app
from probe.cli._commands import COMMANDS

sys.path.append(str(Path(__file__).parents[1] / "scripts"))
from benchmark_commands import LINES, commands, family, measured, memory_of, sampled_memory

EXCEPT = {"edit", "cache"}
"""They take a moment: one edits as a recipe says that someone saved in a page, the other looks into a folder."""


@pytest.mark.parametrize("line", LINES, ids=lambda line: line.name)
def test_each_is_a_command_with_options_that_it_has(line, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    name, *arguments = line.arguments.split()
    for argument in arguments:
        if argument.endswith(".h5"):
            Path(argument).parent.mkdir(exist_ok=True)
            Path(argument).touch()
    command = typer.main.get_command(app(name)).commands[name]
    assert command.make_context(name, arguments).params


def test_every_command_is_timed():
    assert {line.arguments.split()[0] for line in LINES} == set(COMMANDS) - EXCEPT


def test_a_run_is_seen_from_outside(tmp_path):
    config = probe.TrainingConfig(epochs=1)
    split = probe.load_dataset("digits")
    probe.save_network(probe.train(probe.MLP((4,)), split, config).network, tmp_path / "model.h5")
    began = time.perf_counter()
    run = measured(
        ["noise", "model.h5", "--data", "digits", "--images", "50", "--out", "out"], tmp_path, tmp_path
    )
    assert 0 < run.wall < time.perf_counter() - began
    assert run.cpu > 0.2 and 3e7 < run.peak < 3e9
    assert sum(run.stages.values()) < run.wall
    assert run.stages["drawing"] > 0
    assert (tmp_path / "out" / "index.html").exists()
    with pytest.raises(SystemExit, match="nothere"):
        measured(["noise", "nothere.h5"], tmp_path, tmp_path)
    with pytest.raises(SystemExit, match="no such command here: nonsense"):
        commands({}, ["nonsense"], 1)


def test_memory_of_a_process_counts_those_that_it_started(tmp_path):
    import os
    import subprocess

    code = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'x = bytearray(10**8); input()'])"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE) as process:
        with sampled_memory(process.pid) as peak:
            end = time.monotonic() + 20
            while peak[0] < 1e8 and time.monotonic() < end:
                time.sleep(0.05)
        assert len(list(family(process.pid))) == 2
        process.stdin.close()
    assert 1e8 < peak[0] < 3e8
    assert memory_of([os.getpid()]) > 1e7 and memory_of([0]) == 0
