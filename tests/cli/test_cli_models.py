"""The commands on models that others made: every container, convolutions, other ranges, several outputs."""

import json
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

import probe
from probe.cli import run
from probe.controls import MEMORIZING

FIXTURES = Path(__file__).parents[1] / "kerasfile" / "fixtures" / "keras3"


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def numbers(folder):
    return json.loads((Path(folder) / "results.json").read_text())


def said(capsys):
    return capsys.readouterr().err


@pytest.mark.parametrize(
    "name", ["cnn.keras", "digits_cnn.h5", "functional_residual.h5", "padding_bank.h5", "no_weights.keras"]
)
def test_inspect_lists_the_layers_of_any_model(name, capsys):
    assert run(["inspect", str(FIXTURES / name)]) == 0
    shown = capsys.readouterr().out
    for layer in probe.load_network(FIXTURES / name).layer_names:
        assert f"\n{layer} " in shown


def test_weights_alone_need_their_architecture(elsewhere, capsys):
    weights = elsewhere / "cnn.weights.h5"
    weights.write_bytes((FIXTURES / "cnn.weights.h5").read_bytes())
    assert run(["inspect", str(weights)]) == 2
    assert "pass its architecture as well (--architecture), a config.json or a .keras file" in said(capsys)
    assert run(["inspect", str(weights), "--architecture", str(FIXTURES / "cnn.keras")]) == 0
    assert run(["convert", str(weights), "whole.h5", "--architecture", str(FIXTURES / "cnn.keras")]) == 0
    x = np.random.default_rng(0).random((2, 12, 12, 3), np.float32)
    expected = probe.load_network(FIXTURES / "cnn.keras").outputs(x)
    np.testing.assert_array_equal(probe.load_network("whole.h5").outputs(x), expected)


def test_weights_of_every_layer_or_of_some_units(capsys):
    model = str(FIXTURES / "digits_cnn.h5")
    assert run(["weights", model, "--out", "all"]) == 0
    layers = numbers("all")["results"]["weights"]["layers"]
    kinds = {layer["layer"]: layer["kind"] for layer in layers}
    assert kinds == {"c1": "kernels", "c2": "kernels"}
    assert run(["weights", model, "--layer", "c2", "--units", "3:5", "--out", "some"]) == 0
    (layer,) = numbers("some")["results"]["weights"]["layers"]
    assert (layer["layer"], len(layer["unit_names"])) == ("c2", 2)
    for wrong, message in (
        (["--units", "0:4"], "--units must come with --layer"),
        (["--units", "4:2", "--layer", "c2"], "--units must be FIRST:END"),
        (["--units", "10:17", "--layer", "c2"], "10:17 are not among them"),
        (["--units", "0:2", "--layer", "p1"], "only those of Dense and ungrouped Conv2D"),
        (["--layer", "p1"], "layer 'p1' has no weights on units; pass one of 'c1', 'c2', 'digit'"),
    ):
        assert run(["weights", model, *wrong]) == 2
        assert message in said(capsys)


def test_channels_positions_and_ranges_are_maximized(capsys):
    model = str(FIXTURES / "digits_cnn.h5")
    for options, best in (
        (["--layer", "c1"], None),
        (["--layer", "c1", "--position", "2,3", "--range", "0", "16"], 16),
    ):
        assert (
            run(
                [
                    "maximize",
                    model,
                    *options,
                    "--restarts",
                    "2",
                    "--steps",
                    "60",
                    "--out",
                    "found",
                    "--overwrite",
                ]
            )
            == 0
        )
        found = numbers("found")["results"]["maximize_units"]
        assert len(found["objectives"]) == 8
        if best is not None:
            # A first convolution at one place, behind a Rescaling by 1/16: the sum of its positive weights.
            layer = probe.load_network(model).layer("c1")
            bound = np.maximum(layer.kernel, 0).sum(axis=(0, 1, 2)) + layer.bias
            np.testing.assert_allclose(np.max(found["values"], axis=1), bound, rtol=1e-4)
    assert run(["maximize", model, "--position", "2,3"]) == 2
    assert "position must come with a layer of feature maps" in said(capsys)


def test_the_range_decides_what_a_model_sees(capsys):
    model = str(FIXTURES / "digits_cnn.h5")
    shares = {}
    for low, high in ((0, 1), (0, 16)):
        assert (
            run(["noise", model, "--data", "digits", "--range", str(low), str(high), "--out", f"n{high}"])
            == 0
        )
        split = probe.load_dataset("digits")
        network = probe.load_network(model).with_input_range(low, high).with_input_shape((8, 8))
        shares[high] = float((network.predict(split.test.images) == split.test.labels).mean())
    # It was trained on digits from 0 to 16.
    assert shares[1] < 0.5 < 0.9 < shares[16]
    assert numbers("n1")["results"]["noise"] != numbers("n16")["results"]["noise"]
    assert run(["noise", model, "--data", "digits", "--range", "16", "0"]) == 2
    assert "range" in said(capsys)


def test_data_outside_the_stated_range_are_refused(elsewhere, capsys):
    split = probe.load_dataset("digits")
    model = str(FIXTURES / "digits_cnn.h5")
    images = split.train.images[:400] * 2 - 1
    np.savez(elsewhere / "signed.npz", images=images, labels=split.train.labels[:400])
    assert run(["noise", model, "--data", "signed.npz", "--range", "-1", "1", "--out", "ok"]) == 0
    assert run(["noise", model, "--data", "signed.npz", "--range", "0", "1", "--out", "no"]) == 2
    assert "must be uint8, or float in [0, 1], got float32 from -1 to 1" in said(capsys)
    assert run(["noise", model, "--data", "signed.npz", "--range", "-0.5", "2", "--out", "no"]) == 2
    assert "float in the stated range [-0.5, 2], got float32 from -1 to 1" in said(capsys)
    assert not (elsewhere / "no").exists()


def test_one_of_several_outputs_is_chosen(capsys):
    model = str(FIXTURES / "padding_bank.h5")
    assert run(["maximize", model, "--out", "none"]) == 2
    assert "has 66 outputs" in said(capsys)
    assert run(["maximize", model, "--output", "gap", "--steps", "5", "--out", "gap"]) == 0
    assert (
        len(numbers("gap")["results"]["maximize_classes"]["objectives"])
        == probe.load_network(model).layer_shapes["gap"][0]
    )
    assert run(["maximize", model, "--output", "conv_groups2", "--out", "none"]) == 2
    assert "not one value for each class; pass --layer" in said(capsys)
    assert run(["noise", model, "--data", "digits"]) == 2
    assert "has 66 outputs" in said(capsys)
    assert run(["report", model, "--data", "digits", "--output", "conv_groups2"]) == 2
    assert "not one value for each class; pass --output" in said(capsys)


@pytest.mark.parametrize(
    "name", ["functional_residual.keras", "nested_sequential.h5", "activation_layers.h5", "mlp_bfloat16.h5"]
)
def test_what_is_converted_computes_the_same(name):
    assert run(["convert", str(FIXTURES / name), "kept.h5"]) == 0
    before, after = probe.load_network(FIXTURES / name), probe.load_network("kept.h5")
    assert after.layer_names == before.layer_names
    x = np.random.default_rng(0).random((2, *before.input_shape), np.float32)
    for a, b in zip(before.all_outputs(x), after.all_outputs(x), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_convolutional_network_is_reported_on(monkeypatch, undrawn):
    # The experiment on memorization and the controls are other tests'; here they take most of the minute.
    monkeypatch.setattr(
        import_module("probe.workflow._sections"), "MEMORIZING", replace(MEMORIZING, epochs=3)
    )
    monkeypatch.setattr(import_module("probe.workflow._page"), "_CONTROLS", 2)
    monkeypatch.setattr(import_module("probe.training.config"), "_MOST_EPOCHS", 5)
    monkeypatch.setattr(import_module("probe.controls.layered"), "_MOST_VALUES", 1e6)
    model = str(FIXTURES / "digits_cnn.h5")
    assert run(["report", model, "--data", "digits", "--range", "0", "16", "--out", "page"]) == 0
    found = numbers("page")
    assert found["results"]["network"]["test_accuracy"] > 0.9
    assert [layer["layer"] for layer in found["results"]["weights"]["layers"]] == ["c1", "c2"]
    page = Path("page/index.html").read_text()
    assert "2 Conv2D, 1 BatchNormalization and 1 Dense layers" in page
    assert "A filter of a convolution looks at a small window" in page
    assert "expanded weights" not in page
    # What was imported is kept, with the layers that scale and lay out the images.
    kept = probe.load_network("page/model.h5")
    assert kept.layer_names[:3] == ("images", "range", "rescaling")


def test_a_fresh_network_is_trained_like_that_of_a_file(capsys):
    model = str(FIXTURES / "digits_cnn.h5")
    train = ["train", "--data", "digits", "--like"]
    assert run([*train, model, "--range", "0", "16", "--epochs", "1", "--out", "twin"]) == 0
    like, twin = probe.load_network(model), probe.load_network("twin/model.h5")
    assert twin.layer_names[-len(like.layers) :] == like.layer_names
    assert not np.array_equal(twin.layer("c1").kernel, like.layer("c1").kernel)
    # What the file records is repeated.
    assert run([*train, "twin/model.h5", "--out", "again"]) == 0
    assert json.loads(Path("again/results.json").read_text())["config"]["epochs"] == 1
    assert run([*train, model, "--hidden", "3", "--out", "other"]) == 2
    assert (
        "--activation, --output and --initialization must be left out with --like" in capsys.readouterr().err
    )
