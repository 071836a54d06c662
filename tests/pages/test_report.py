"""The whole report, made once on digits and once on a model that Keras-like users bring, looked at through its HTML."""

import base64
import json
import os
import signal
from dataclasses import replace
from html.parser import HTMLParser
from importlib import import_module
from xml.etree import ElementTree

import h5py
import numpy as np
import pytest
from result_checks import verdicts_in

import probe
from probe import workflow
from probe.catalogue import analysis_of
from probe.controls import MEMORIZING
from probe.kerasfile import read_provenance
from probe.layers import Dense, Dropout
from probe.pages import CHAPTERS, Section
from probe.training import DEFAULT_TRAINING
from probe.workflow.train import recorded_history


class Reader(HTMLParser):
    """Collects what a test wants to know of a page."""

    def __init__(self):
        super().__init__()
        self.images, self.anchors, self.ids, self.resources, self.text, self.open = [], [], [], [], [], []
        self.classes, self.shown = [], []

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        if tag == "img":
            self.images.append(found)
        if tag == "a":
            self.anchors.append(found["href"])
        if "id" in found:
            self.ids.append(found["id"])
        if tag in ("link", "iframe", "img") or (tag == "script" and "src" in found):
            self.resources.append(found.get("src") or found.get("href") or "")
        if "class" in found:
            self.classes.append(found["class"])
        if tag not in ("a", "bdi", "code", "span", "strong"):
            self.shown.append("\n")
        if tag not in ("img", "meta", "br", "link", "input"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)
        if not {"style", "script", "title"} & set(self.open):
            self.shown.append(data)


def read(path):
    reader = Reader()
    reader.feed(path.read_text(encoding="utf-8"))
    assert reader.open == []
    return reader


@pytest.fixture(scope="module", autouse=True)
def shorter_experiment():
    """The whole report, with fewer epochs than a person would wait for, and fewer dots than one would look at."""

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(import_module("probe.workflow._sections"), "MEMORIZING", replace(MEMORIZING, epochs=60))
        patch.setattr(import_module("probe.workflow._sections"), "_N_MINIMA", 2)
        patch.setattr(import_module("probe.workflow._page"), "_CONTROLS", 3)
        patch.setitem(analysis_of("landscape").report, "n_directions", 20)
        patch.setitem(analysis_of("landscape").report, "updates", 100)
        patch.setitem(analysis_of("noise_severity").report, "n_images", 300)
        patch.setitem(analysis_of("concepts").report, "n_images", 200)
        patch.setattr(import_module("probe.training.config"), "_MOST_EPOCHS", 60)
        patch.setattr(import_module("probe.figures._style"), "DOTS", 80)
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("report")
    workflow.report(data="digits", out=out, seed=1)
    return out


@pytest.fixture(scope="module")
def page(folder):
    return read(folder / "index.html")


@pytest.fixture(scope="module")
def numbers(folder):
    return json.loads((folder / "results.json").read_text(encoding="utf-8"))


def test_the_page_needs_nothing_but_itself(page):
    assert page.resources
    assert all(resource.startswith("data:image/png;base64,") for resource in page.resources)


def test_every_picture_is_a_png_with_words_and_also_a_file(page, folder):
    files = {path.read_bytes() for path in (folder / "figures").glob("*.png")}
    assert len(files) == 32
    # Pictures that say less are files only.
    assert 15 < len(page.images) < 32
    assert len({image["src"] for image in page.images}) == len(page.images)
    for image in page.images:
        assert len(image["alt"]) > 20
        assert base64.b64decode(image["src"].partition(",")[2]) in files
    assert all(content.startswith(b"\x89PNG") for content in files)


def test_every_picture_is_drawn_in_lines_too(folder):
    names = {path.stem for path in (folder / "figures").glob("*.png")}
    drawings = list((folder / "figures").glob("*.svg"))
    assert {path.stem for path in drawings} == names
    for path in drawings:
        root = ElementTree.parse(path).getroot()
        assert root.tag == "{http://www.w3.org/2000/svg}svg"
        # Its letters are drawn: no font is asked for.
        assert next(root.iter("{http://www.w3.org/2000/svg}text"), None) is None


def test_each_chapter_has_one_answer_and_one_picture_and_all_else_is_folded(page):
    chapters = [chapter.key for chapter in CHAPTERS]
    assert [name.partition("-")[2] for name in page.ids if name.startswith("chapter-")] == chapters
    for kind in ("chapter", "answer", "asked", "how"):
        assert page.classes.count(kind) == len(chapters), kind
    # That of the head, too.
    assert page.classes.count("still") == len(chapters) + 1
    assert 10 <= page.classes.count("claim") <= 12


def test_it_is_short(page):
    assert len("".join(page.shown).split()) <= 2550


def test_every_claim_leads_to_a_section(page):
    anchors = {anchor.removeprefix("#") for anchor in page.anchors}
    assert anchors <= set(page.ids)
    sections = {anchor for anchor in anchors if not anchor.startswith("picture-")}
    assert sections == {
        "training",
        "structure",
        "concepts",
        "paths",
        "drawing",
        "noise",
        "severity",
        "memorization",
        "descent",
        "activations",
        "minima",
    }


def test_the_numbers_on_the_page_are_those_of_results_json(page, numbers):
    text = " ".join("".join(page.text).split())
    results = numbers["results"]
    noise, memory = results["noise"]["conditions"], results["memorization"]
    n_test = numbers["data"]["n_test"]
    assert (
        f"It gets {results['network']['test_accuracy']:.2%} of {n_test:,} digits test images right." in text
    )
    assert f"puts {results['maximize_classes']['n_as_intended']} of the 10 images" in text
    for condition in noise:
        assert f"{condition['median']:.3f}" in text
        assert f"{condition['entropy']:.2f}" in text
    for kind in ("train", "test"):
        for final in memory["cells"][0]["final_accuracy"][kind]:
            assert f"{np.median(final):.1%}" in text
    assert f"Seed{numbers['seed']}" in text.replace(" ", "")
    assert numbers["data"]["fingerprint"] in text
    judged = [claim for claim in numbers["claims"] if claim["verdict"]]
    assert len(judged) >= 4
    for claim in judged:
        assert "".join(claim["statement"].split()) in "".join(text.split())
    for name in (
        "structure",
        "concepts",
        "noise",
        "severity",
        "drawing",
        "memorization",
        "landscape",
        "minima",
    ):
        found = list(verdicts_in(results[name]))
        assert found, name
        for verdict in found:
            assert {"key", "title", "decision", "interval", "null", "sentence"} <= set(verdict)
            assert (verdict["key"], verdict["decision"]) in {(c["verdict"], c["decision"]) for c in judged}


def test_the_numbers_are_those_of_the_network_kept(folder, numbers):
    split, network = probe.load_dataset("digits"), probe.load_network(folder / "model.h5")
    accuracy = (network.predict(split.test.images) == split.test.labels).mean()
    assert numbers["results"]["network"]["test_accuracy"] == accuracy
    assert accuracy > 0.85
    again = probe.noise_confidence(network, split, seed=1)
    found = next(each for each in numbers["results"]["noise"]["conditions"] if each["name"] == "uniform")
    assert found["auroc"] == again.condition("uniform").auroc
    images = probe.weight_images(network)
    assert numbers["results"]["weights"]["layers"][0]["scale"] == images.scale
    kept = probe.load_result(folder / "results.h5", type(images), name="weights_1")
    np.testing.assert_array_equal(kept.images, images.images)
    assert numbers["data"]["fingerprint"] == split.fingerprint


def test_no_part_file_is_left(folder):
    assert not list(folder.rglob("*.part"))


def test_the_same_seed_gives_the_same_report(folder, numbers, tmp_path):
    workflow.report(data="digits", out=tmp_path, seed=1)
    again = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))
    # What a clock said is not of the seed.
    assert again["results"]["training"].pop("seconds") and numbers["results"]["training"].pop("seconds")
    assert again["results"] == numbers["results"]
    for picture in (folder / "figures").glob("*.png"):
        assert (tmp_path / "figures" / picture.name).read_bytes() == picture.read_bytes()


def test_a_model_that_takes_rows_of_values_is_reported_on_without_its_history(tmp_path, undrawn):
    split = probe.load_dataset("digits")
    trained = probe.train(
        probe.MLP(hidden=(12,), activation="relu"), split, probe.TrainingConfig(epochs=40, learning_rate=0.1)
    )
    hidden, output = trained.network.dense_layers
    layers = (hidden, Dropout("dropout", 0.2), Dense("logits", output.kernel, output.bias, "softmax"))
    flat = probe.Network(layers, input_shape=(64,))
    path = probe.save_network(flat, tmp_path / "my <model> & more.h5")
    workflow.report(path, data="digits", out=tmp_path / "out")
    text = (tmp_path / "out" / "index.html").read_text(encoding="utf-8")
    assert "my &lt;model&gt; &amp; more.h5" in text
    assert "<model>" not in text
    assert "It was trained elsewhere" in text
    assert "They have the widths of the network on this page" in text
    found = json.loads((tmp_path / "out" / "results.json").read_text(encoding="utf-8"))
    assert found["results"]["memorization"]["cells"][0]["architecture"] == "64-12-10 relu"
    assert found["results"]["network"]["test_accuracy"] == pytest.approx(trained.history.test_accuracy[-1])


def test_a_model_of_ours_brings_its_history(folder, tmp_path):
    provenance = read_provenance(folder / "model.h5")
    history = recorded_history(provenance)
    assert history.test_accuracy[-1] > 0.85
    assert history.n_epochs == len(provenance["history"]["cost"])
    with h5py.File(folder / "model.h5") as file:
        assert "probe" in file


def test_ctrl_c_in_training_keeps_the_network_and_makes_no_page(tmp_path):
    def interrupt(event):
        if event.stage == "training" and event.done == 3:
            os.kill(os.getpid(), signal.SIGINT)

    written = workflow.report(data="digits", out=tmp_path, progress=interrupt)
    assert written.interrupted
    assert sorted(path.name for path in written.files) == ["model.h5", "results.json"]
    assert probe.load_network(tmp_path / "model.h5").n_classes == 10


def test_fewer_updates_are_made_up_by_more_epochs(folder):
    config = read_provenance(folder / "model.h5")["config"]
    assert config["epochs"] > DEFAULT_TRAINING.epochs
    assert np.isfinite(config["learning_rate"])


def test_the_slowdown_is_said_with_its_interval_where_all_networks_got_there():
    split = probe.load_dataset("digits")
    architecture = probe.MLP(hidden=(64,), activation="relu")
    config = probe.TrainingConfig(epochs=1000, batch_size=20, learning_rate=0.2, stop="fitted")
    result = probe.memorization(architecture, split, config, n_samples=100, replicates=3)
    fits, *judged = Section(key="memorization", results={"memorization": result}).rendered().claims
    found = result.slowdown().interval
    assert 1 < found.low < found.estimate < found.high
    said = f"took {found.estimate:.1f} ({found.low:.1f} to {found.high:.1f}) times as many updates"
    assert any(said in each.found and each.verdict is not None for each in judged)
    assert "3 of 3 networks fitted all random labels" in fits.found


def test_networks_that_did_not_get_there_are_counted():
    split = probe.load_dataset("digits")
    config = probe.TrainingConfig(epochs=1, batch_size=100, learning_rate=1e-6)
    result = probe.memorization(probe.MLP(hidden=(4,)), split, config, n_samples=100, replicates=2)
    section = Section(key="memorization", results={"memorization": result}).rendered()
    fits, slower = section.claims[:2]
    assert "0 of 2 networks fitted all random labels" in fits.found
    assert "2 of 2 networks did not fit true labels within 1 updates" in slower.found
    assert "<td><bdi>0 of 2</bdi></td>" in section.html
