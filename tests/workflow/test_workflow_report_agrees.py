"""A report and the commands of its analyses say the same of a network, and of the networks beside it."""

import json
from html import unescape

import pytest
from result_checks import verdicts_in

import probe
from probe.recipes import RECIPES
from probe.workflow import analyze, report, train_model


def verdicts_of(folder):
    results = json.loads((folder / "results.json").read_text())["results"]
    return {(name, one["key"]): one for name, result in results.items() for one in verdicts_in(result)}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A model that records a short recipe, its report, and the commands on the same model with more controls."""
    folder, seed = tmp_path_factory.mktemp("agree"), 1
    config = {"epochs": 20, "batch_size": 20, "learning_rate": 1.0}
    train_model({"hidden": (12, 9)}, config, data="digits", out=folder / "trained", seed=seed)
    model = folder / "trained" / "model.h5"
    report(model, data="digits", out=folder / "report", seed=seed)
    for name in ("weight_structure", "drawing", "noise_confidence", "noise_severity"):
        n_networks = None if name == "noise_confidence" else 14
        analyze(name, model, data="digits", n_networks=n_networks, out=folder / name, seed=seed)
    return folder


def test_no_decision_and_no_number_of_the_network_differs(folders):
    reported = verdicts_of(folders / "report")
    compared = set()
    for name in ("weight_structure", "drawing", "noise_confidence", "noise_severity"):
        for key, there in verdicts_of(folders / name).items():
            here = reported.get(key)
            if here is None:
                continue
            compared.add(key)
            assert here["decision"] == there["decision"], key
            if here["said"] and here["subject"] == "network":
                assert here["statistic"] == pytest.approx(there["statistic"], nan_ok=True), key
                assert here["interval"] == there["interval"], key
            elif here["interval"]["low"] is not None and there["interval"]["low"] is not None:
                # Over more networks or images an interval may be narrower, and it stays where it was.
                assert here["interval"]["low"] <= there["interval"]["high"], key
                assert there["interval"]["low"] <= here["interval"]["high"], key
    assert {name for name, _ in compared} >= {"structure", "concepts", "drawing", "noise"}
    assert len(compared) >= 10


def test_the_networks_beside_it_are_the_same(folders):
    reported, features = verdicts_of(folders / "report"), verdicts_of(folders / "weight_structure")
    for key in (("structure", "random"), ("structure", "edges")):
        few, many = reported[key]["agreement"], features[key]["agreement"]
        assert (few["n"], many["n"]) == (12, 14)
        assert many["statistics"][:12] == pytest.approx(few["statistics"])
        assert many["decisions"][:12] == few["decisions"]


def test_a_report_says_by_which_recipe_the_networks_beside_it_were_trained(folders):
    results = json.loads((folders / "report" / "results.json").read_text())["results"]
    assert results["controls"]["config"]["epochs"] == 20
    assert results["controls"]["config"]["batch_size"] == 20
    assert (
        "its own recipe, which its file records: 20 epochs of batches of 20"
        in results["controls"]["sentence"]
    )
    assert "20 epochs of batches of 20" in (folders / "report" / "index.html").read_text()


def test_the_claims_at_the_head_are_the_videos(folders):
    claims = json.loads((folders / "report" / "results.json").read_text())["claims"]
    primary = [claim for claim in claims if claim["said"]]
    assert len(primary) <= 12
    assert {claim["verdict"] for claim in primary} == {
        None,
        "steepest",
        "continuous",
        "random",
        "edges",
        "loops",
        "noise",
        "drawing",
        "random-labels",
        "slower",
        "minima",
    }
    assert [claim["minute"] for claim in primary] == sorted(
        (claim["minute"] for claim in primary), key=lambda minute: [int(part) for part in minute.split(":")]
    )


def test_the_videos_recipe_can_be_the_subject(tmp_path, monkeypatch):
    from probe.workflow import _page, _report

    short = {
        name: probe.recipes.Recipe(
            name=name,
            sentence=one.sentence,
            initialization=one.initialization,
            output=one.output,
            config=probe.TrainingConfig(epochs=2, batch_size=20, cost=one.config.cost),
            adapts=False,
        )
        for name, one in RECIPES.items()
    }
    monkeypatch.setattr(_report, "RECIPES", short)
    monkeypatch.setattr(_page, "_sections", lambda *arguments: ())
    written = report(data="digits", recipe="video", out=tmp_path / "video")
    recorded = probe.kerasfile.read_provenance(tmp_path / "video" / "model.h5")
    assert recorded["architecture"]["initialization"] == "normal"
    assert recorded["architecture"]["output"] == "sigmoid"
    assert recorded["config"]["cost"] == "quadratic"
    assert "by the video's recipe" in unescape((tmp_path / "video" / "index.html").read_text())
    assert written.files
