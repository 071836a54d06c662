"""`probe compare`: two models of any kind on one page."""

import json
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

import probe
from probe.analyses.comparison import Comparison
from probe.cli import run
from probe.layers import Dense

FIXTURES = Path(__file__).parents[1] / "kerasfile" / "fixtures" / "keras3"


@pytest.fixture(scope="module")
def models(tmp_path_factory, trained):
    """Two files of one network, of which one has its hidden units in reverse order and one of them changed."""
    folder = tmp_path_factory.mktemp("models")
    first, second, _ = trained.dense_layers
    order = np.arange(first.n_units)[::-1]
    kernel = first.kernel[:, order].copy()
    kernel[:, 3] = kernel[::-1, 3]
    reversed_ = {
        first.name: replace(first, kernel=kernel, bias=first.bias[order]),
        second.name: replace(second, kernel=second.kernel[order]),
    }
    other = replace(trained, layers=tuple(reversed_.get(layer.name, layer) for layer in trained.layers))
    probe.save_network(trained, folder / "before.h5")
    probe.save_network(other, folder / "after.h5")
    return folder


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def found_in(folder):
    return json.loads((Path(folder) / "results.json").read_text())


class Marks(HTMLParser):
    def __init__(self, html):
        super().__init__()
        self.ids = []
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.ids.append(attributes.get("id"))


def test_two_models_are_compared_on_one_page(models, elsewhere, capsys):
    before, after = str(models / "before.h5"), str(models / "after.h5")
    assert run(["compare", before, after, "--data", "digits", "--out", "out"]) == 0
    assert "B is right more often than A: " in capsys.readouterr().out
    found = found_in("out")
    assert found["command"] == "probe compare"
    assert (found["model"], found["other"]) == (before, after)
    result = probe.load_result("out/results.h5", Comparison)
    first, second = result.layers
    assert first.pairs[:, 1].tolist() == list(range(11, -1, -1))
    assert (first.n_same, second.n_same) == (11, 9)
    assert first.pairs[first.changed[0], 1] == 3
    html = Path("out/index.html").read_text()
    assert "A: the network in before.h5; B: the network in after.h5; data: digits" in html
    assert "living" in Marks(html).ids
    assert {path.stem for path in Path("out/figures").iterdir()} >= {
        "comparison_units_1",
        "comparison_abilities",
    }
    # Nothing is replaced without being told to.
    assert run(["compare", before, before, "--data", "digits", "--out", "out"]) == 2
    assert "the other model was" in capsys.readouterr().err
    assert run(["compare", before, after, "--data", "digits", "--out", "out", "--overwrite"]) == 0


def test_the_same_file_twice_is_said_to_be_the_same(models, elsewhere):
    before = str(models / "before.h5")
    assert run(["compare", before, before, "--data", "digits"]) == 0
    (folder,) = (path for path in (elsewhere / "reports").iterdir() if path.is_dir())
    assert "A and B compute the same" in (folder / "index.html").read_text()
    assert found_in(folder)["results"]["comparison"]["is_same"] is True


def test_networks_without_hidden_layers_or_of_another_depth_are_compared_all_the_same(models, elsewhere):
    split = probe.load_dataset("digits")
    linear = probe.train(probe.MLP(()), split, probe.TrainingConfig(epochs=5)).network
    probe.save_network(linear, "linear.h5")
    assert run(["compare", str(models / "before.h5"), "linear.h5", "--data", "digits", "--out", "out"]) == 0
    html = Path("out/index.html").read_text()
    assert "B has no hidden layers, so there are no units to" in " ".join(html.split())
    assert "Without a counterpart in B: " in html


def test_a_convolution_from_keras_stands_beside_a_dense_network(models, elsewhere):
    cnn = str(FIXTURES / "digits_cnn.h5")
    line = ["compare", cnn, str(models / "before.h5"), "--data", "digits", "--images", "100", "--out", "out"]
    assert run(line) == 0
    found = found_in("out")
    assert [layer["first"] for layer in found["results"]["comparison"]["layers"]] == ["r1", "c2"]
    # A was trained on digits from 0 to 16, and is given digits from 0 to 1: the page says of which that is so.
    assert found["warnings"][0].startswith("A: the network is right on ")


def test_what_does_not_fit_names_the_file(models, elsewhere, capsys):
    few = probe.Network(
        (Dense("output", np.zeros((64, 3), "f4"), np.zeros(3, "f4"), "softmax"),), (64,), ("a", "b", "c")
    )
    probe.save_network(few, "few.h5")
    assert run(["compare", str(models / "before.h5"), "few.h5", "--data", "digits"]) == 2
    assert capsys.readouterr().err.startswith("probe: few.h5: the network has 3 classes, but 'digits' has 10")
    large = probe.Network((Dense("output", np.zeros((65, 10), "f4"), np.zeros(10, "f4"), "softmax"),), (65,))
    probe.save_network(large, "large.h5")
    assert run(["compare", "large.h5", str(models / "before.h5"), "--data", "digits"]) == 2
    assert "large.h5: the network takes inputs of shape (65,)" in capsys.readouterr().err
    assert not Path("reports").exists()
