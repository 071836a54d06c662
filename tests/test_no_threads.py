"""Where no thread and no process can start, as in a browser, all of it runs in the one thread that there is."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import probe
from probe._parallel import available_workers

ROOT = Path(__file__).parents[1]

REFUSING = """
import _thread, os, subprocess, sys, threading

def refuse(*args, **kwargs):
    raise RuntimeError("can't start new thread")

_thread.start_new_thread = _thread.start_joinable_thread = threading.Thread.start = refuse
threading._start_new_thread = threading._start_joinable_thread = refuse

def refuse_processes(*args, **kwargs):
    raise OSError("there are no processes here")

os.fork = os.posix_spawn = subprocess.Popen.__init__ = refuse_processes
"""
"""Python that takes threads and processes away before anything of ours is imported."""


def refusing(code, folder):
    run = subprocess.run(
        [sys.executable, "-W", "error::RuntimeWarning", "-c", REFUSING + code],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert run.returncode == 0, run.stderr
    return run.stdout


def test_without_threads_there_is_one_worker(no_threads):
    assert available_workers() == available_workers(3) == 1


def test_a_population_and_a_network_of_any_layers_train_as_with_threads(digits, no_threads_in):
    def trained():
        config = probe.TrainingConfig(epochs=2)
        population = probe.train_population(
            probe.MLP((200, 200)), digits, config, n_networks=3, shard_size=1
        ).population
        start = population.network(0)
        return *population.weights, probe.train(start, digits, config).network.layers[-1].kernel

    with_threads = trained()
    with no_threads_in():
        without = trained()
    for one, other in zip(with_threads, without, strict=True):
        np.testing.assert_array_equal(one, other)


def test_one_worker_starts_no_thread_where_threads_can_start(digits, no_threads_in):
    config = probe.TrainingConfig(epochs=1)
    with no_threads_in(AssertionError("a thread was started")):
        probe.train_population(probe.MLP((8,)), digits, config, n_networks=4, shard_size=2, workers=1)
        probe.train(probe.MLP((8,)), digits, config)


def test_the_whole_report_is_written(tmp_path):
    shorter = "import probe.workflow._page as page\npage._CONTROLS = 2\n"
    command = ["report", "--data", "digits", "--out", "out"]
    refusing(f"{shorter}from probe.cli import run\nsys.exit(run({command!r}))", tmp_path)
    results = json.loads((tmp_path / "out/results.json").read_text())
    assert len(results["claims"]) > 15
    assert len(list((tmp_path / "out/figures").glob("*.png"))) > 20


def test_the_data_are_the_same(tmp_path):
    said = refusing("import probe; print(probe.load_dataset('mnist').fingerprint)", tmp_path)
    assert said.strip() == probe.load_dataset("mnist").fingerprint


@pytest.mark.parametrize("workers", [1, 4])
def test_a_study_in_a_folder_runs_in_this_thread(tmp_path, workers):
    command = ["memorize", "--data", "digits", "--hidden", "8", "--samples", "40", "--corruption", "0,1"]
    command += ["--replicates", "2", "--epochs", "3", "--out", "study", "--workers", str(workers)]
    refusing(f"from probe.cli import run\nsys.exit(run({command!r}))", tmp_path)
    assert (tmp_path / "study/index.html").is_file()
