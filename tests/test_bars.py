"""Progress that shows itself: in a terminal and in a notebook, once, and nowhere else."""

import inspect
import os
import pty
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

import probe
from probe import _bars
from probe._bars import shown
from probe._progress import ProgressEvent, announcement, silent
from probe._signatures import checked

ROOT = Path(__file__).parents[1]


class Cell:
    """A notebook's cell: what it shows, and how often that changed."""

    def __init__(self):
        self.shown, self.n_updates = [], 0

    def display(self, content, display_id=False):
        self.shown.append(content)
        if display_id:
            place = len(self.shown) - 1
            return SimpleNamespace(update=lambda content: self._update(place, content))
        return None

    def _update(self, place, content):
        self.n_updates += 1
        self.shown[place] = content


@pytest.fixture
def cell(monkeypatch):
    made = Cell()
    monkeypatch.setattr(_bars, "_notebook_display", lambda: made.display)
    monkeypatch.setattr(_bars, "_AFTER_SECONDS", 0)
    monkeypatch.setattr(_bars, "_REDRAWN_SECONDS", 0)
    return made


def test_every_public_function_with_progress_shows_it_by_itself():
    functions = [
        value for value in (getattr(probe, name) for name in probe.__all__) if inspect.isfunction(value)
    ]
    found = {f.__name__: inspect.signature(f).parameters.get("progress") for f in functions}
    with_progress = {name: parameter for name, parameter in found.items() if parameter is not None}
    assert len(with_progress) >= 18
    for name, parameter in with_progress.items():
        assert parameter.default == "auto", name
        assert parameter.kind is inspect.Parameter.KEYWORD_ONLY, name


def test_outside_terminals_and_notebooks_there_is_nothing(small_digits, capfd):
    probe.train(probe.MLP((8,)), small_digits, probe.TrainingConfig(epochs=3))
    with shown("auto") as progress:
        assert progress is silent
    assert capfd.readouterr() == ("", "")


def test_a_notebook_shows_a_bar_for_each_stage_and_none_at_the_end(cell):
    with shown("auto") as progress:
        progress(ProgressEvent("training", 1, 4, "cost <b>"))
        progress(ProgressEvent("drawing", 0, 2))
        html = cell.shown[0]._repr_html_()
        assert 'value="1" max="4"' in html and "1/4 cost &lt;b&gt;" in html
        assert 'value="0" max="2"' in html
        progress(announcement("this takes about 3 minutes"))
    assert [repr(content) for content in cell.shown] == ["", "this takes about 3 minutes"]
    assert cell.shown[0]._repr_html_() == ""


def test_a_real_training_is_shown_in_a_notebook(cell, small_digits):
    probe.train(probe.MLP((8,)), small_digits, probe.TrainingConfig(epochs=3))
    assert len(cell.shown) == 1 and cell.n_updates == 3


def test_a_bar_goes_also_after_an_error(cell):
    with pytest.raises(ZeroDivisionError), shown("auto") as progress:
        progress(ProgressEvent("training", 1, 4))
        raise ZeroDivisionError
    assert cell.shown[0]._repr_html_() == ""
    with shown("auto") as progress:
        assert progress is not silent


def test_what_is_quick_shows_no_bar(cell, monkeypatch):
    monkeypatch.setattr(_bars, "_AFTER_SECONDS", 60)
    with shown("auto") as progress:
        progress(ProgressEvent("training", 1, 4))
    assert cell.shown == []


@pytest.mark.parametrize("outer", ["auto", None, lambda event: None])
def test_what_is_called_within_shows_nothing_of_its_own(cell, outer):
    with shown(outer), shown("auto") as inner:
        assert inner is silent
        there = []

        def within():
            with shown("auto") as progress:
                there.append(progress)

        thread = threading.Thread(target=within)
        thread.start()
        thread.join()
        assert there == [silent]
    assert cell.shown == []


def test_a_function_of_ones_own_is_called_and_none_is_silent(small_digits):
    events = []
    probe.train(probe.MLP((4,)), small_digits, probe.TrainingConfig(epochs=2), progress=events.append)
    assert [event.done for event in events] == [1, 2]
    probe.train(probe.MLP((4,)), small_digits, probe.TrainingConfig(epochs=2), progress=None)


@pytest.mark.parametrize("nonsense", ["never", 3, True])
def test_nonsense_is_refused(small_digits, nonsense):
    with pytest.raises(probe.InputError, match=r'progress must be a function, None or "auto", got '):
        probe.train(probe.MLP((4,)), small_digits, progress=nonsense)


def test_a_function_without_auto_gets_what_it_is_given():
    @checked
    def work(progress=silent):
        return progress

    assert work() is silent


CODE = """
import time, probe
from probe._bars import shown
from probe._progress import ProgressEvent
with shown("auto") as progress:
    time.sleep(0.6)
    for done in (1, 2):
        progress(ProgressEvent("training", done, 2, "cost 0.5"))
"""


def test_a_terminal_shows_a_bar(tmp_path):
    ours, theirs = pty.openpty()
    environment = os.environ | {"PYTHONPATH": str(ROOT), "TERM": "xterm", "COLUMNS": "100"}
    run = subprocess.run([sys.executable, "-c", CODE], stderr=theirs, stdout=subprocess.PIPE, env=environment)
    os.close(theirs)
    said = os.read(ours, 100_000).decode()
    os.close(ours)
    assert run.returncode == 0 and run.stdout == b""
    assert "training" in said and "2/2" in said and "cost 0.5" in said


def test_a_shell_of_a_terminal_is_no_notebook(monkeypatch):
    shell = type("Shell", (), {"__module__": "IPython.terminal.interactiveshell"})()
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    assert _bars._notebook_display() is None
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: None))
    assert _bars._notebook_display() is None
