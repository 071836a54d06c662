"""The commands on networks of one unit for two classes, on inputs in another range, and on classes with names."""

import json
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import probe
from probe.analyses.noise import NoiseConfidence
from probe.cli import run
from probe.controls import MEMORIZING
from probe.layers import Dense, Rescaling


@pytest.fixture(scope="module")
def folder(tmp_path_factory, digits):
    """Even and odd digits, a network of one unit for them, its logit, a regression, and one behind a rescaling."""
    folder = tmp_path_factory.mktemp("classes")
    arrays = {}
    for prefix, part, n in (("", digits.train, 500), ("test_", digits.test, 150)):
        arrays |= {f"{prefix}images": part.images[:n], f"{prefix}labels": part.labels[:n] % 2}
    np.savez(folder / "parity.npz", **arrays)
    split = probe.load_dataset(folder / "parity.npz")
    config = probe.TrainingConfig(epochs=15, batch_size=20, learning_rate=0.5)
    two = probe.train(probe.MLP(hidden=(8,)), split, config).network
    last = two.layers[-1]
    weights = np.diff(last.kernel, axis=1), np.diff(last.bias)
    own, linear = (
        probe.Network((*two.layers[:-1], Dense("output", *weights, name)), (8, 8))
        for name in ("sigmoid", "linear")
    )
    for name, network in {
        "unit": own,
        "logit": linear,
        "named": probe.Network(linear.layers, (8, 8), ("even", "odd")),
        "values": linear.for_regression(),
        "bytes": own.behind(Rescaling("rescaling", 1 / 255)),
        "standard": own.behind(Rescaling("back", 0.3081 / 16, 0.1307)),
    }.items():
        probe.save_network(network, folder / f"{name}.h5")
    return folder


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def results(name):
    return json.loads((Path(name) / "results.json").read_text())


COMMANDS = {
    "noise": ["noise", "MODEL", "--data", "DATA", "--images", "100"],
    "features": ["features", "MODEL", "--data", "DATA", "--networks", "2"],
    "drawing": ["drawing", "MODEL", "--data", "DATA", "--networks", "2", "--restarts", "1", "--steps", "20"],
    "landscape": ["landscape", "MODEL", "--data", "DATA", "--networks", "2", "--directions", "5", "--updates", "20",
                  "--resolution", "3"],
    "maximize": ["maximize", "MODEL", "--data", "DATA", "--restarts", "1", "--steps", "20"],
    "report": ["report", "MODEL", "--data", "DATA"],
}  # fmt: skip


def arguments(folder, command, model, *more):
    places = {"MODEL": str(folder / f"{model}.h5"), "DATA": str(folder / "parity.npz")}
    return [places.get(each, each) for each in COMMANDS[command]] + ["--out", "out", *more]


REDUCED = {
    "_sections": {"MEMORIZING": replace(MEMORIZING, epochs=3), "_UNITS_SHOWN": 2},
    "_page": {"_CONTROLS": 2},
}


@pytest.mark.parametrize("command", ["noise", "maximize"])
def test_commands_take_one_unit_for_two_classes(folder, command, capsys):
    assert run(arguments(folder, command, "unit")) == 0
    assert "warning" not in capsys.readouterr().err
    found = results("out")
    assert found["warnings"] == []
    assert found["data"]["class_names"] == ["0", "1"]
    if command == "maximize":
        classes = found["results"]["maximize_classes"]
        assert classes["names"] == ["0", "1"]
        assert np.ravel(classes["predictions"]).tolist() == [0, 1]
    assert "Read this first" not in Path("out/index.html").read_text()


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_say_on_screen_and_page_that_the_range_is_another(folder, command, monkeypatch, capsys):
    """The network is one of one unit here too."""
    for module, values in REDUCED.items():
        for name, value in values.items():
            monkeypatch.setattr(import_module(f"probe.workflow.{module}"), name, value)
    assert run(arguments(folder, command, "bytes")) == 0
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1 and lines[0].startswith("probe: warning: the network is right on ")
    assert "; with --range 0 255 (network.with_input_range(0, 255)) it is right on " in lines[0]
    assert results("out")["warnings"] == [lines[0].removeprefix("probe: warning: ")]
    page = Path("out/index.html").read_text()
    assert "Read this first:" in page
    assert "with --range 0 255 (network.with_input_range(0, 255)) it is right on" in page
    if command == "report":
        kept = probe.load_network("out/model.h5")
        assert kept.is_one_unit and kept.n_parameters == 64 * 8 + 8 + 8 + 1
        assert results("out")["results"]["network"]["n_parameters"] == kept.n_parameters


@pytest.mark.parametrize(
    ("model", "options"),
    [
        ("bytes", ["--range", "0", "255"]),
        # (x - mean) / std, and then times std plus mean in the network's own first layer.
        ("standard", ["--mean", "0.1307", "--std", "0.01925625"]),
        ("standard", ["--range", "0", "255", "--mean", "33.3285", "--std", "4.91034375"]),
    ],
)
def test_what_was_said_of_the_inputs_makes_the_network_what_it_is(folder, model, options, capsys, undrawn):
    assert run(arguments(folder, "noise", "unit")) == 0
    expected = results("out")["results"]["noise"]
    capsys.readouterr()
    assert run(arguments(folder, "noise", model, *options, "--out", "said")) == 0
    assert capsys.readouterr().err == ""
    assert results("said")["results"]["noise"]["threshold"] == pytest.approx(expected["threshold"], rel=1e-3)


def test_float_data_in_0_to_1_stay_what_they_are_in_any_range(folder, digits, capsys):
    # The range is that of the network; pixels in [0, 1] are images already.
    assert run(arguments(folder, "noise", "bytes", "--range", "0", "255")) == 0
    assert probe.load_result("out/results.h5", NoiseConfidence).examples[0].max() == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--mean", "0.5"], "--mean and --std must come together: inputs are (pixel - mean) / std"),
        (["--std", "0.5"], "--mean and --std must come together"),
        (["--mean", "0.5", "--std", "0"], "--std must be a finite number above 0, got 0"),
        (
            ["--mean", "a", "--std", "1"],
            "--mean must be numbers separated by commas, such as 0,0.5,1; got 'a'",
        ),
        (["--mean", "0.1,0.2", "--std", "1"], "must be one number, or one for each channel; got 2"),
        (
            ["--from-logits"],
            "logits are linear outputs in one axis, but this network puts out (1,) of sigmoid",
        ),
    ],
)
def test_options_that_do_not_fit_are_refused(folder, options, message, capsys):
    assert run(arguments(folder, "noise", "unit", *options)) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("unit", "classes: 2 (one sigmoid unit)\n"),
        (
            "logit",
            "one linear output: a regression, or the logit of the second of two classes (then pass --from-logits)",
        ),
        ("named", "classes: 2 (one logit): even, odd\n"),
        ("values", "regression: 1 output\n"),
    ],
)
def test_inspect_says_what_the_outputs_are(folder, model, said, capsys):
    assert run(["inspect", str(folder / f"{model}.h5")]) == 0
    assert said in capsys.readouterr().out


@pytest.mark.parametrize("command", ["noise", "features", "drawing", "landscape", "report", "maximize"])
def test_commands_say_why_there_are_no_classes(folder, command, capsys):
    assert run(arguments(folder, command, "logit")) == 2
    assert (
        "can be the logit of the second of two classes or a regression. If it is a logit"
        in capsys.readouterr().err
    )
    assert run(arguments(folder, command, "values")) == 2
    assert "the network is a regression: its outputs, (1,), are quantities" in capsys.readouterr().err


def test_a_logit_is_taken_where_it_is_said_to_be_one(folder, capsys):
    assert run(arguments(folder, "noise", "unit")) == 0
    expected = results("out")["results"]["noise"]
    assert run(arguments(folder, "noise", "logit", "--from-logits", "--out", "said")) == 0
    assert results("said")["results"]["noise"] == expected
    model = str(folder / "logit.h5")
    assert run(["convert", model, "said.h5", "--from-logits"]) == 0
    assert probe.load_network("said.h5").class_names == ("0", "1")
    capsys.readouterr()
    assert run(["inspect", "said.h5"]) == 0
    assert "classes: 2 (one logit)\n" in capsys.readouterr().out


def test_units_can_be_maximized_of_what_has_no_classes(folder):
    for model in ("unit", "values"):
        assert (
            run(
                ["maximize", str(folder / f"{model}.h5"), "--layer", "output", "--steps", "3", "--out", model]
            )
            == 0
        )
        assert results(model)["results"]["maximize_units"]["names"] == ["output unit 0"]
    assert run(arguments(folder, "maximize", "unit", "--objective", "class:1 - class:0")) == 0
    assert results("out")["results"]["maximize_objectives"]["names"] == ["class 1 - class 0"]


def test_weights_are_drawn_of_the_one_unit(folder):
    assert run(["weights", str(folder / "unit.h5"), "--layer", "output", "--out", "out"]) == 0
    assert len(results("out")["results"]["weights"]["layers"][0]["unit_names"]) == 1


def test_names_of_folders_reach_the_results_and_the_page(tmp_path, capsys):
    """Also in another order, resized, and of a network trained on them."""
    rng, names = np.random.default_rng(0), ("Blåbär", "a long name, with $x^2$ & <", "wolf")
    for label, name in enumerate(names):
        (tmp_path / "pets" / name).mkdir(parents=True)
        for index in range(12):
            levels = rng.integers(0, 50, (6 + index % 3, 8, 3), np.uint8)
            levels[..., label] += 150
            Image.fromarray(levels).save(tmp_path / "pets" / name / f"{index:02}.png")
    options = [
        "--data",
        "pets",
        "--image-size",
        "4,5",
        "--classes",
        'wolf,"a long name, with $x^2$ & <",Blåbär',
    ]
    assert run(["train", *options, "--hidden", "4", "--out", "trained"]) == 0
    assert run(["noise", "trained/model.h5", *options, "--images", "50", "--out", "out"]) == 0
    found = results("out")
    assert found["data"]["class_names"] == list(names[::-1])
    assert found["data"]["image_shape"] == [4, 5, 3] and found["data"]["name"] == "pets 4 x 5"
    assert probe.load_network("trained/model.h5").class_names == names[::-1]
    assert found["results"]["noise"]["class_names"] == list(names[::-1])
    # In the order of the folders the classes are not those of the network.
    assert run(["noise", "trained/model.h5", *options[:4], "--out", "other"]) == 2
    said = "; pass --classes (class_names in Python) with its names in the order of the network"
    assert said in capsys.readouterr().err


def test_a_study_takes_named_and_resized_data(tmp_path):
    options = ["--data", "digits", "--image-size", "4,4", "--classes", "A,B,C,D,E,F,G,H,I,J"]
    few = ["--replicates", "1", "--samples", "40", "--epochs", "2", "--hidden", "3", "--workers", "2"]
    assert run(["memorize", *options, *few, "--backend", "processes", "--out", "out"]) == 0
    assert results("out")["data"]["class_names"] == list("ABCDEFGHIJ")
    assert results("out")["data"]["image_shape"] == [4, 4]
