import threading
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import pytest

from probe._checks import InputError
from probe.results import Record
from probe.storage import OwnedFolder
from probe.study import Study, run_study
from probe.sweep import Source, run_study_in


@contextmanager
def opened(path):
    folder = OwnedFolder(path)
    try:
        yield folder
    finally:
        folder.release()


@dataclass(frozen=True)
class Step:
    number: int

    @property
    def name(self):
        return f"step-{self.number:03d}"


class Sum(Record):
    total: int


@dataclass(frozen=True)
class Sums(Study):
    """Adds up numbers in two rounds: the second has as many trials as the first came to."""

    n_first: int = 3
    ended_by: int | None = None

    name, stage, trial = "sums", "adding", Sum

    def keys(self, done, split):
        first = [Step(k) for k in range(self.n_first)]
        if not all(key in done for key in first):
            return first
        return first + [Step(100 + k) for k in range(sum(done[key].total for key in first))]

    def given(self, key, done):
        return sum(trial.total for trial in done.values()) if key.number >= 100 else 0

    def run(self, key, given, split, stop):
        return None if key.number == self.ended_by else Sum(total=given + key.number)

    def combine(self, done, split, progress):
        if not done:
            raise KeyboardInterrupt
        return {key.number: trial.total for key, trial in done.items()}

    def settings(self):
        return {"n_first": self.n_first}


WHOLE = {0: 0, 1: 1, 2: 2, 100: 103, 101: 104, 102: 105}


@pytest.mark.parametrize("workers", [1, 2])
def test_trials_are_run_round_after_round(workers, digits):
    events = []
    assert run_study(Sums(), digits, workers=workers, progress=events.append) == WHOLE
    assert [(event.stage, event.done, event.total) for event in events][-1] == ("adding", 6, 6)
    assert events[0].total == 3


def test_a_study_that_is_interrupted_comes_to_what_is_done(digits):
    assert run_study(Sums(ended_by=101), digits) == {k: WHOLE[k] for k in (0, 1, 2, 100, 102)}
    with pytest.raises(KeyboardInterrupt):
        run_study(Sums(n_first=1, ended_by=0), digits)


def test_workers_are_checked(digits):
    with pytest.raises(InputError, match="workers must be an integer of at least 1, got 0"):
        run_study(Sums(), digits, workers=0)


def test_in_a_folder_it_goes_on_where_it_was_ended(tmp_path):
    source = Source.of("digits")
    with opened(tmp_path / "out") as folder:
        done, interrupted = run_study_in(folder, Sums(ended_by=101), source)
        assert interrupted
        assert len(done) == 4
        before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.h5")}
        done, interrupted = run_study_in(folder, Sums(), source)
        assert not interrupted
        assert {key.number: trial.total for key, trial in done.items()} == WHOLE
        assert {path: path.stat().st_mtime_ns for path in before} == before
        with pytest.raises(InputError, match="n_first"):
            run_study_in(folder, Sums(n_first=2), source)


def test_memory_and_folder_come_to_the_same(digits, tmp_path):
    events = []
    with opened(tmp_path / "out") as folder:
        done, _ = run_study_in(folder, Sums(), Source.of("digits"), progress=events.append)
    assert Sums().combine(done, digits, None) == run_study(Sums(), digits)
    assert (events[-1].done, events[-1].total) == (6, 6)


def test_a_stop_reaches_a_trial(digits):
    seen = []

    @dataclass(frozen=True)
    class Watching(Sums):
        def run(self, key, given, split, stop):
            seen.append(isinstance(stop, threading.Event))
            return Sum(total=int(np.int64(0)))

    run_study(Watching(), digits)
    assert all(seen)
