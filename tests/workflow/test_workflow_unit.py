"""The card of a unit from file to files: the command, what it writes, and what it is held against."""

import json

import numpy as np
import pytest

import probe
from probe._checks import InputError
from probe.analyses.unit import UnitCard
from probe.cli import run
from probe.workflow import unit_model


@pytest.fixture(scope="module")
def model(trained, tmp_path_factory):
    return probe.save_network(trained, tmp_path_factory.mktemp("model") / "digits.h5")


def test_a_card_is_a_page_a_picture_and_numbers(model, trained, digits, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert run(["unit", str(model), "hidden_1:4", "--data", "digits"]) == 0
    (folder,) = (path for path in (tmp_path / "reports").iterdir() if path.is_dir())
    assert folder.name.startswith("unit-") and folder.name.endswith("digits-hidden_1-4")
    assert {path.name for path in folder.rglob("*.*")} == {
        "index.html", "results.json", "results.h5", "unit.png", "unit.svg",
    }  # fmt: skip
    said = capsys.readouterr().out
    assert (
        said.startswith("hidden_1:4: excited most by ") and "percentage points of accuracy are lost" in said
    )
    numbers = json.loads((folder / "results.json").read_text())
    card = probe.unit_card(trained, digits, "hidden_1:4")
    assert (numbers["unit"], numbers["n_networks"], numbers["command"]) == ("hidden_1:4", 0, "probe unit")
    found = numbers["results"]["unit"]
    assert found["most"]["indices"] == card.most.indices.tolist()
    assert found["lost"]["estimate"] == pytest.approx(card.lost.estimate)
    kept = probe.load_result(folder / "results.h5", UnitCard)
    np.testing.assert_array_equal(kept.weights, card.weights)
    np.testing.assert_allclose(kept.favorite, card.favorite, atol=1e-6)
    page = " ".join((folder / "index.html").read_text().split())
    assert "mean ablation" in page and "no control networks were trained" in page


def test_a_class_is_a_unit_and_stands_among_control_networks(model, tmp_path, undrawn):
    written = unit_model(model, "class:3", data="digits", n_networks=2, out=tmp_path / "out")
    numbers = json.loads((tmp_path / "out" / "results.json").read_text())
    assert numbers["unit"] == "output:3" and written.summary.startswith("output:3: ")
    standing = numbers["results"]["unit"]["standing"]
    assert (standing["n_networks"], standing["n_units"]) == (2, 20)
    assert numbers["results"]["controls"]["kind"] == "64-12-9-10 sigmoid"
    page = " ".join((tmp_path / "out" / "index.html").read_text().split())
    assert "length of the weights" in page and "trained alike" in page


def test_what_is_wrong_is_said_before_networks_are_trained(model, tmp_path, monkeypatch):
    def trains(*arguments, **options):
        raise AssertionError

    monkeypatch.setattr("probe.workflow.unit.control_networks", trains)
    for unit, n_networks, why in (
        ("hidden_1:99", 2, "unit must be hidden_1:0 to hidden_1:11"),
        ("hidden_1:1", 1, "n_networks must be 0, or at least 2"),
    ):
        with pytest.raises(InputError, match=why):
            unit_model(model, unit, data="digits", n_networks=n_networks, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_card_of_another_unit_may_take_the_place_of_one(model, tmp_path, undrawn):
    for unit in ("hidden_1:1", "hidden_2:1"):
        unit_model(model, unit, data="digits", out=tmp_path / "out", overwrite=unit == "hidden_2:1")
    assert json.loads((tmp_path / "out" / "results.json").read_text())["unit"] == "hidden_2:1"
