"""One place for results: every command writes a page, pages and their index link to each other, and --open shows them."""

import json
import threading
from pathlib import Path

import numpy as np
import pytest
from test_workflow_gallery import Page

import probe
from probe.catalogue import ANALYSES
from probe.cli import run
from probe.cli._commands import COMMANDS
from probe.storage import OwnedFolder
from probe.workflow import _gallery
from probe.workflow._gallery import index_above, refresh

DATA = ["--data", "digits"]

SHORT = {
    "report": ["report", "model.h5", *DATA],
    "train": ["train", *DATA, "--hidden", "4", "--epochs", "1"],
    "inspect": ["inspect", "model.h5", "--out", "reports/inspected"],
    "weights": ["weights", "model.h5"],
    "maximize": ["maximize", "model.h5", *DATA, "--restarts", "1", "--steps", "2"],
    "unit": ["unit", "model.h5", "hidden_1:1", *DATA],
    "lesson": ["lesson", *DATA, "--students", "1"],
    "features": ["features", "model.h5", *DATA, "--networks", "2"],
    "evaluate": ["evaluate", "model.h5", *DATA],
    "drawing": ["drawing", "model.h5", *DATA, "--networks", "2", "--restarts", "1", "--steps", "2"],
    "noise": ["noise", "model.h5", *DATA, "--images", "300"],
    "severity": ["severity", "model.h5", *DATA, "--networks", "2", "--images", "20"],
    "memorize": ["memorize", *DATA, "--hidden", "4", "--samples", "20", "--replicates", "1", "--epochs", "2"],
    "capacity": ["capacity", *DATA, "--hidden", "2", "--largest", "4", "--replicates", "1", "--epochs", "2"],
    "scores": ["scores", *DATA, "--hidden", "2", "--samples", "20", "--networks", "20", "--epochs", "2"],
    "landscape": ["landscape", "model.h5", *DATA, "--networks", "2", "--directions", "4", "--updates", "4",
                  "--resolution", "3"],
    "minima": ["minima", *DATA, "--hidden", "2", "--networks", "2", "--samples", "40", "--epochs", "2"],
    "robustness": ["robustness", "--datasets", "digits", "--hidden", "4", "--recipes", "modern", "--lengths", "0.1",
                   "--replicates", "2", *DATA],
    "verify": ["verify", *DATA, "--rows", "zhang-theorem", "--networks", "3"],
    "compare": ["compare", "model.h5", "model.h5", *DATA, "--images", "20"],
    "search": ["search", *DATA, "--widths", "2", "--depths", "1", "--activations", "relu", "--networks", "2",
               "--samples", "200", "--first-epochs", "1", "--epochs", "2"],
}  # fmt: skip

WRITES_NO_PAGE = {"cache", "convert", "edit", "gallery"}
"""Two write a model file, one the index itself, and one nothing."""


@pytest.fixture(scope="module")
def guessing(digits):
    """A network that learned nothing."""
    return probe.train(probe.MLP((6,)), digits, probe.TrainingConfig(epochs=1, learning_rate=1e-6)).network


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch, guessing, undrawn):
    probe.save_network(guessing, tmp_path / "model.h5")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_every_command_is_among_these():
    assert SHORT.keys() | WRITES_NO_PAGE == COMMANDS.keys()


NEEDS_NETWORK = {"report", "maximize", "unit"} | {
    entry.command.name for entry in ANALYSES if entry.command is not None and "network" in entry.needs
}


@pytest.mark.parametrize("name", [name for name in SHORT if name != "report"])
def test_every_command_writes_a_page_that_links_to_an_index_that_links_to_it(name, here, no_browser, capfd):
    assert run([*SHORT[name], "--open"]) == 0
    (folder,) = (path for path in Path("reports").iterdir() if path.is_dir())
    page = folder / "index.html"
    assert no_browser == [page.resolve().as_uri()]
    assert "../index.html" in Page(page).links
    index = Page(Path("reports/index.html"))
    assert index.links[0] == f"{folder.name}/index.html"
    results = json.loads((folder / "results.json").read_text())
    assert results["command"] == f"probe {name}" and results["title"] in index.text
    said = capfd.readouterr().err
    if name in NEEDS_NETWORK:
        # Whatever else is on the page: of a network that guesses nothing is true.
        assert "near chance" in said
        assert "Read this first:" in Page(page).text and "near chance" in Page(page).text
    elif name == "train":
        assert "near chance" in said and "near chance" in Page(page).text


def test_a_page_elsewhere_links_to_no_index_and_writes_none(here):
    assert run([*SHORT["noise"], "--out", "elsewhere/n"]) == 0
    assert "../index.html" not in Page(Path("elsewhere/n/index.html")).links
    assert {path.name for path in Path("elsewhere").iterdir()} == {"n"} and not Path("reports").exists()
    # Where an index is, it is kept up to date, also from further down.
    assert run(["gallery", "elsewhere"]) == 0
    assert run([*SHORT["weights"], "--out", "elsewhere/deep/w"]) == 0
    assert "../../index.html" in Page(Path("elsewhere/deep/w/index.html")).links
    links = Page(Path("elsewhere/index.html")).links
    assert {"deep/w/index.html", "n/index.html"} <= set(links)


def test_a_page_of_the_users_own_in_place_of_the_index_is_kept(here):
    Path("reports").mkdir()
    Path("reports/index.html").write_text("mine")
    assert run(SHORT["weights"]) == 0
    assert Path("reports/index.html").read_text() == "mine"
    assert "../index.html" not in Page(Path("reports/weights-model/index.html")).links


def test_results_are_kept_where_the_index_cannot_be_written(here, monkeypatch):
    real = OwnedFolder.write

    def refused(self, name, content):
        if self.path.name == "reports":
            raise probe.InputError("disk full")
        return real(self, name, content)

    monkeypatch.setattr(OwnedFolder, "write", refused)
    assert run(SHORT["weights"]) == 0
    assert not Path("reports/index.html").exists() and Path("reports/weights-model/index.html").exists()


def test_whoever_writes_the_index_last_has_seen_all_reports(here, monkeypatch):
    """Another command finishes between what one reads and what it writes: its report must not be lost."""
    assert run([*SHORT["weights"], "--out", "reports/one"]) == 0
    made, later = _gallery._made, threading.Event()

    def overtaken(owned):
        found = made(owned)
        if not later.is_set():
            later.set()
            assert run([*SHORT["noise"], "--out", "reports/two"]) == 0
        return found

    monkeypatch.setattr(_gallery, "_made", overtaken)
    refresh(Path("reports/one"))
    assert {"one/index.html", "two/index.html"} <= set(Page(Path("reports/index.html")).links)


def test_the_nearest_index_is_the_one(here):
    assert index_above(Path("reports/a")) == here / "reports"
    assert index_above(Path("a")) is None and index_above(Path("reports")) is None
    Path("reports/b/c").mkdir(parents=True)
    assert run(["gallery", "reports/b"]) == 0
    assert index_above(Path("reports/b/c")) == here / "reports" / "b"


def test_what_cannot_be_opened_is_said(here, monkeypatch, capfd):
    monkeypatch.setattr("webbrowser.open", lambda address: False)
    assert run([*SHORT["weights"], "--open"]) == 0
    assert (
        "no browser could be started; open reports/weights-model/index.html in one" in capfd.readouterr().err
    )
    for arguments in (["inspect", "model.h5"], [*SHORT["train"], "--out", "x.h5"]):
        assert run([*arguments, "--open"]) == 0
        assert "there is no page to open; pass --out with the name of a folder" in capfd.readouterr().err


def test_a_network_that_learned_says_nothing_of_chance(here, trained, capfd):
    probe.save_network(trained, "good.h5")
    assert run(["evaluate", "good.h5", *DATA]) == 0
    out, err = capfd.readouterr()
    assert err == "" and "images) are put in their class" in out
    found = probe.load_result(
        "reports/evaluate-good/results.h5", probe.analyses.classification.Classification
    )
    split = probe.load_dataset("digits")
    np.testing.assert_array_equal(found.confusion, probe.classification(trained, split).confusion)
