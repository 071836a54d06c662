"""Studies in their folders: what goes on, what grows, and what is refused before any work is done."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import asdict, fields, replace
from pathlib import Path

import numpy as np
import pytest

import probe
from probe import workflow
from probe.analyses.capacity import Capacity, CapacityDesign
from probe.analyses.capacity import study as capacity_module
from probe.analyses.memorization import Memorization, MemorizationDesign
from probe.analyses.scores import MemorizationScores, ScoresDesign
from probe.analyses.scores import study as scores_module
from probe.training import TrainingConfig

ROOT = Path(__file__).resolve().parents[2]
CONFIG = TrainingConfig(epochs=20, batch_size=20, learning_rate=0.3, stop="fitted")
STUDY = MemorizationDesign((probe.MLP((8,), "relu"),), (40,), replicates=2, config=CONFIG, n_test=100)
CAPACITY = CapacityDesign(
    (probe.MLP((4,), "relu"), probe.MLP((8,), "relu")),
    TrainingConfig(epochs=40, batch_size=20, optimizer="adam", schedule="cosine", stop="fitted"),
    rates=(0.03,),
    starts=1,
    replicates=2,
    updates=1,
    largest=100,
)
SCORES = ScoresDesign(probe.MLP((8,), "relu"), CONFIG, n_samples=40, n_networks=45, corruption=0.2)


def run_design(name, design, out, **more):
    """Run a study of the catalogue by its design."""
    options = {field.name: getattr(design, field.name) for field in fields(design)}
    shapes = options.pop("architectures", None) or (options.pop("architecture"),)
    training, seed = asdict(options.pop("config")), options.pop("seed")
    return workflow.run_study(
        name, shapes, training=training, options=options, data="digits", out=Path(out), seed=seed, **more
    )


def study(design=STUDY, out="m", **more):
    return run_design("memorization", design, out, **more)


def capacities(design=CAPACITY, out="c", **more):
    return run_design("capacity", design, out, **more)


def scores(design=SCORES, out="s", **more):
    return run_design("memorization_scores", design, out, **more)


def trials(folder):
    """Return content and time of every trial file of a folder."""
    found = sorted((Path(folder) / "trials").glob("*.h5"))
    return {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in found}


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch, undrawn):
    monkeypatch.chdir(tmp_path)
    return tmp_path


# More replicates.


@pytest.mark.parametrize(
    ("run", "design", "kind"), [(study, STUDY, Memorization), (capacities, CAPACITY, Capacity)]
)
def test_replicates_can_be_added_and_those_before_stay_as_they_are(run, design, kind):
    run(replace(design, replicates=2), "grown")
    before = trials("grown")
    run(replace(design, replicates=4), "grown")
    after = trials("grown")
    assert len(after) > len(before)
    assert {name: after[name] for name in before} == before
    run(replace(design, replicates=4), "whole")
    whole = trials("whole")
    assert {name: content for name, (content, _) in after.items()} == {
        name: content for name, (content, _) in whole.items()
    }
    assert Path("grown/results.h5").read_bytes() == Path("whole/results.h5").read_bytes()
    assert probe.load_result("grown/results.h5", kind).design.replicates == 4
    with pytest.raises(
        probe.InputError, match=r"replicates must be at least 4 in grown, .* got 3\. Pass another --out"
    ):
        run(replace(design, replicates=3), "grown")
    assert trials("grown") == after


def test_replicates_are_added_on_the_command_line_and_fewer_refused_by_name(capfd):
    from probe.cli import run

    command = [
        "memorize",
        "--data",
        "digits",
        "--hidden",
        "8",
        "--samples",
        "40",
        "--epochs",
        "5",
        "--out",
        "m",
    ]
    for replicates in (1, 3):
        assert run([*command, "--replicates", str(replicates)]) == 0
    capfd.readouterr()
    assert run([*command, "--replicates", "2"]) == 2
    message = capfd.readouterr().err
    assert message.startswith("probe: --replicates must be at least 3 in m")
    assert message.count("\n") == 1


def test_a_tuned_study_grows_without_another_pilot():
    tuned = replace(STUDY, rates=(0.1, 0.5), pilot_replicates=2)
    study(tuned)
    before = trials("m")
    assert sum(name.startswith("pilot-") for name in before) == 2
    study(replace(tuned, replicates=3))
    after = trials("m")
    assert before.items() <= after.items()
    assert after.keys() - before.keys() == {"a0-n0-r0002.h5"}


# What is refused, and when.


def test_a_changed_design_is_refused_before_the_pilot_runs():
    tuned = replace(STUDY, rates=(0.1, 0.5), pilot_replicates=2)
    study(tuned)
    events = []
    for changed, difference in (
        (replace(tuned, seed=1), "design.seed was 0, now 1"),
        (replace(tuned, rates=(0.1, 1.0)), "design.rates was [0.1, 0.5], now [0.1, 1.0]"),
        (replace(tuned, pilot_replicates=3), "design.pilot_replicates was 2, now 3"),
        (replace(tuned, replicates=1), "replicates must be at least 2 in m"),
    ):
        before = trials("m")
        with pytest.raises(probe.InputError, match=re.escape(difference)):
            study(changed, progress=events.append)
        assert trials("m") == before
    assert events == []


def test_a_study_without_tuning_is_not_gone_on_with_by_a_tuned_one():
    study()
    with pytest.raises(probe.InputError, match=r"design.rates was \[\], now \[0.1\]"):
        study(replace(STUDY, rates=(0.1,)))
    assert not any(name.startswith("pilot-") for name in trials("m"))


KINDS = {"memorization": study, "capacity": capacities, "memorization scores": scores}


@pytest.mark.parametrize("there", KINDS)
@pytest.mark.parametrize("asked", KINDS)
def test_a_folder_of_another_kind_of_study_is_refused_in_one_short_sentence(there, asked):
    if there == asked:
        return
    KINDS[there](out="m")
    before = Path("m/results.json").read_bytes()
    with pytest.raises(probe.InputError) as caught:
        KINDS[asked](out="m")
    assert str(caught.value) == f"out m holds another kind of study: {there}, not {asked}. Pass another --out"
    assert Path("m/results.json").read_bytes() == before


@pytest.mark.parametrize(
    ("run", "design", "message"),
    [
        (study, replace(STUDY, corruption=(0.0, 0.0)), "corruption must hold each value once, got 0 twice"),
        (capacities, replace(CAPACITY, rates=(0.1, 0.1)), "rates must hold each value once, got 0.1 twice"),
        (
            capacities,
            replace(CAPACITY, largest=2000),
            "from 2 to 1442, the number of training images, got 2000",
        ),
        (scores, replace(SCORES, n_samples=2000), "n_samples must be an integer from 2 to 1442, got 2000"),
    ],
)
def test_a_design_that_does_not_suit_is_refused_before_anything_is_written(run, design, message, elsewhere):
    with pytest.raises(probe.InputError, match=message):
        run(design)
    assert list(elsewhere.iterdir()) == []


def test_without_a_largest_number_a_search_is_limited_by_the_data(monkeypatch):
    monkeypatch.setattr(capacity_module, "_fitted_share", lambda *_: np.ones(1))
    written = capacities(replace(CAPACITY, largest=None))
    found = probe.load_result("c/results.h5", Capacity)
    assert (found.capacities == 1442).all()
    assert found.design.largest == 1442
    assert "64-4-10 relu: ≥ 1,442 (interval from 1,442 up; 2 of 2 searches never failed)" in written.summary
    numbers = json.loads(Path("c/results.json").read_text())["results"]["capacity"]
    assert numbers["is_lower_bound"][0] is True
    mean = numbers["intervals"][0]
    assert (mean["estimate"], mean["low"], mean["high"]) == (1442, 1442, None)


# Going on.


def test_a_search_goes_on_from_the_populations_that_are_trained(monkeypatch):
    capacities(out="whole")
    real, tried = capacity_module._fitted_share, []

    def counted(design, place, split, n, stop):
        tried.append((place.architecture, place.replicate, n))
        if len(tried) == 7:
            raise probe.InputError("the power failed")
        return real(design, place, split, n, stop)

    monkeypatch.setattr(capacity_module, "_fitted_share", counted)
    with pytest.raises(probe.InputError, match="the power failed"):
        capacities()
    assert len(trials("c")) == 6
    n_before = len(tried)
    capacities()
    assert not set(tried[:6]) & set(tried[n_before:])
    assert len(set(tried)) == len(trials("whole")) == len(tried) - 1
    assert Path("c/results.h5").read_bytes() == Path("whole/results.h5").read_bytes()


def test_a_search_on_disk_is_the_one_in_memory(digits):
    capacities(backend=workflow.Backend(workers=2))
    found = probe.load_result("c/results.h5", Capacity)
    settings = {
        name: getattr(CAPACITY, name) for name in ("rates", "starts", "replicates", "updates", "largest")
    }
    expected = probe.capacity(CAPACITY.architectures, digits, CAPACITY.config, **settings)
    for one, other in zip(found.trials, expected.trials, strict=True):
        for mine, theirs in zip(one, other, strict=True):
            np.testing.assert_array_equal(mine.tried, theirs.tried)
            np.testing.assert_array_equal(mine.fitted_share, theirs.fitted_share)


def test_scores_on_disk_are_those_in_memory_and_go_on(monkeypatch, digits):
    real, groups = scores_module._trained_answers, []

    def counted(group, stop, *, config):
        groups.append(len(group.masks))
        if len(groups) == 3:
            raise probe.InputError("the power failed")
        return real(group, stop, config=config)

    monkeypatch.setattr(scores_module, "_trained_answers", counted)
    with pytest.raises(probe.InputError, match="the power failed"):
        scores()
    before = trials("s")
    assert list(before) == ["networks-00000.h5", "networks-00020.h5"]
    scores()
    assert groups == [20, 20, 5, 5]
    assert {name: trials("s")[name] for name in before} == before
    found = probe.load_result("s/results.h5", MemorizationScores)
    expected = probe.memorization_scores(
        SCORES.architecture, digits, CONFIG, n_samples=40, n_networks=45, corruption=0.2
    )
    for name in MemorizationScores.__slots__:
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))


@pytest.mark.parametrize(
    ("run", "design"), [(capacities, CAPACITY), (scores, replace(SCORES, n_networks=80, share=0.975))]
)
def test_what_was_interrupted_too_early_for_a_result_is_kept(run, design):
    def interrupt(event):
        signal.raise_signal(signal.SIGINT)

    written = run(design, progress=interrupt)
    assert written.interrupted
    assert written.summary.endswith("run the same command again to go on")
    n_kept = len(trials(written.files[0]))
    assert n_kept > 0
    again = run(design)
    assert not again.interrupted
    assert again.files[0].name == "index.html"


def test_scores_killed_at_random_moments_end_like_undisturbed_ones(elsewhere):
    from probe.cli import run

    command = [
        "scores",
        "--data",
        "digits",
        "--hidden",
        "8",
        "--samples",
        "100",
        "--networks",
        "160",
        "--out",
    ]
    rng = np.random.default_rng(int.from_bytes(os.urandom(4), "big"))
    start = [sys.executable, "-m", "probe", *command]
    assert run([*command, "whole"]) == 0
    n_killed = 0
    for _ in range(3):
        process = subprocess.Popen(
            [*start, "s"],
            cwd=elsewhere,
            env=environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        n_before, deadline = n_trials("s"), time.monotonic() + 60
        while n_trials("s") <= n_before and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(rng.uniform(0, 0.1))
        process.kill()
        n_killed += process.wait() == -signal.SIGKILL
    assert n_killed >= 2
    assert run([*command, "s"]) == 0
    assert Path("s/results.h5").read_bytes() == Path("whole/results.h5").read_bytes()


def environment():
    return {**os.environ, "PYTHONPATH": str(ROOT)}


def n_trials(folder):
    return len(list((Path(folder) / "trials").glob("*.h5")))
