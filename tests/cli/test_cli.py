"""The command line: nonsense gets one line and status 2; Ctrl-C keeps what is done."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from functools import wraps
from importlib import import_module

import h5py
import numpy as np
import pytest

import probe
from probe import workflow
from probe.analyses.capacity import Capacity
from probe.cli import run
from probe.controls import MEMORIZING


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    split = probe.load_dataset("digits")
    trained = probe.train(probe.MLP(hidden=(6,)), split, probe.TrainingConfig(epochs=3))
    return probe.save_network(trained.network, tmp_path_factory.mktemp("model") / "small.h5")


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    folder = tmp_path / "cwd"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


NONSENSE = [
    (["landscape", "missing.h5"], "missing.h5 does not exist"),
    (["landscape"], "Missing"),
    (["minima", "--hidden", "8", "--hidden", "8"], "--hidden must hold each value once"),
    (["minima", "--networks", "1"], "--networks must be an integer of at least 2, got 1"),
    (["minima", "--samples", "many"], "got 'many'"),
    (["minima", "--samples", "60001"], "--samples must be an integer from 2 to 60000, got 60001"),
    (["minima", "--margin", "2"], "--margin must be a finite number above 0 and below 1, got 2"),
    (["minima", "--curvature", "all"], "--curvature must be one of extremes, none"),
    (["minima", "--connected", "1"], "--connected must be 0 or at least 2, got 1"),
    (["minima", "--polish", "-1"], "--polish must be an integer of at least 0, got -1"),
    (["minima", "--backend", "gpu"], "--backend must be one of threads, processes, dask"),
    (["minima", "--activation", "step"], "--polish must be 0"),
    (["search", "--widths", "x"], "--widths must be integers separated by commas"),
    (["search", "--rates", "0"], "above 0, got 0"),
    (["search", "--costs", "hinge"], "hinge"),
    (["bogus"], "No such command"),
    (["train", "--epochs", "abc"], "got 'abc'"),
    (["train", "--epochs", "0"], "--epochs must be an integer of at least 1, got 0"),
    (["train", "--batch-size", "-5"], "--batch-size must be an integer of at least 1, got -5"),
    (["train", "--learning-rate", "0"], "--learning-rate must be a finite number above 0, got 0"),
    (["train", "--learning-rate", "nan"], "--learning-rate must be a finite number above 0"),
    (["train", "--weight-decay", "-1"], "--weight-decay must be"),
    (["train", "--hidden", "16,x"], "--hidden must be integers separated by commas"),
    (["train", "--hidden", "0"], "each width in hidden must be an integer of at least 1, got 0"),
    (["train", "--activation", "sigmod"], "did you mean 'sigmoid'?"),
    (["train", "--optimizer", "lbfgs"], "--optimizer must be one of sgd, momentum, nesterov, adam"),
    (["train", "--cost", "hinge"], "--cost must be one of cross-entropy, quadratic"),
    (["train", "--wrong", "1"], "No such option: --wrong"),
    (["report", "--data", "mnits"], "did you mean 'mnist'?"),
    (["report", "--seed", "-1"], "--seed must be an integer of at least 0, got -1"),
    (["report", "missing.h5"], "missing.h5 does not exist"),
    (["inspect"], "Missing"),
    (["memorize", "--samples", "1"], "--samples must be an integer of at least 2, got 1"),
    (["memorize", "--samples", "60001"], "--samples must be an integer from 2 to 60000, got 60001"),
    (
        ["memorize", "--corruption", "0,2"],
        "--corruption must be a finite number at least 0 and at most 1, got 2",
    ),
    (["memorize", "--corruption", "much"], "--corruption must be numbers separated by commas"),
    (
        ["memorize", "--label-corruption", "swap"],
        "--label-corruption must be one of permute, uniform; got 'swap'",
    ),
    (["memorize", "--input-corruption", "blur"], "--input-corruption must be one of none, pixel-permutation"),
    (["memorize", "--rates", "0"], "--rates must be a finite number above 0, got 0"),
    (["memorize", "--dynamics", "none"], "--dynamics must be one of examples, sensitivity; got 'none'"),
    (["memorize", "--capacity"], "No such option: --capacity"),
    (["capacity", "--corruption", "0.5"], "No such option: --corruption"),
    (["scores", "--input-corruption", "gaussian"], "No such option: --input-corruption"),
    (
        ["capacity", "--data", "digits", "--largest", "2000"],
        "--largest must be an integer from 2 to 1442, the number of training images, got 2000",
    ),
    (["scores", "--data", "digits", "--samples", "2000"], "--samples must be an integer from 2 to 1442"),
    (["memorize", "--corruption", "0.5,0.5"], "--corruption must hold each value once, got 0.5 twice"),
    (["memorize", "--corruption", "0,1,0.0"], "--corruption must hold each value once, got 0 twice"),
    (["memorize", "--samples", "40,40"], "--samples must hold each value once, got 40 twice"),
    (
        ["memorize", "--input-corruption", "none,none"],
        "--input-corruption must hold each value once, got none twice",
    ),
    (["memorize", "--rates", "0.1,0.1"], "--rates must hold each value once, got 0.1 twice"),
    (["memorize", "--hidden", "8", "--hidden", "8"], "--hidden must hold each value once, got 8 relu twice"),
    (["capacity", "--hidden", "8", "--hidden", "8"], "--hidden must hold each value once"),
    (["scores", "--hidden", "8", "--hidden", "9"], "--hidden must be one, got 2"),
    (["memorize", "--scheduler", "tcp://127.0.0.1:1"], "scheduler is for backend 'dask'"),
    (["memorize", "--backend", "mpi"], "--backend must be one of threads, processes, dask; got 'mpi'"),
    (["memorize", "--backend", "dask"], "scheduler"),
    (["memorize", "--workers", "0"], "--workers must be an integer of at least 1, got 0"),
    (["memorize", "--data", "digits", "--replicates", "0"], "--replicates must be an integer of at least 1"),
    (["maximize", "MODEL", "--steps", "0"], "--steps must be an integer of at least 1"),
    (["maximize", "MODEL", "--restarts", "-1"], "--restarts must be an integer of at least 1"),
    (["maximize", "MODEL", "--layer", "hidden_7"], "layer 'hidden_7' does not exist"),
    (["maximize", "MODEL", "--l2", "-1"], "--l2 must be a finite number at least 0"),
    (["weights", "MODEL", "--layer", "flatten"], "pass one of 'hidden_1', 'output'"),
    (["noise", "MODEL"], "takes inputs of shape (8, 8), but the images have shape (28, 28)"),
    (["noise", "MODEL", "--data", "digits", "--images", "0"], "--images must be an integer from 1 to"),
    (["report", "MODEL", "--data", "mnist"], "takes inputs of shape (8, 8)"),
    (["train", "--data", "digits", "--out", "/dev/null/x"], "--out /dev/null/x cannot be written to"),
]


@pytest.mark.parametrize(("arguments", "expected"), NONSENSE, ids=[" ".join(a) for a, _ in NONSENSE])
def test_nonsense_gets_one_line_and_status_2(arguments, expected, model, elsewhere, capfd):
    status = run([str(model) if a == "MODEL" else a for a in arguments])
    out, err = capfd.readouterr()
    assert status == 2
    assert out == ""
    assert err.startswith("probe: ")
    assert err.count("\n") == 1
    assert expected in err
    assert list(elsewhere.iterdir()) == []


def broken(kind, folder, model):
    path = folder / f"{kind}.h5"
    if kind == "empty":
        path.touch()
    elif kind == "text":
        path.write_text("not HDF5 at all " * 100)
    elif kind == "truncated":
        path.write_bytes(model.read_bytes()[:3000])
    elif kind == "data":
        with h5py.File(path, "w") as file:
            file["images"] = np.zeros((3, 8, 8))
    elif kind == "nan":
        path.write_bytes(model.read_bytes())
        with h5py.File(path, "r+") as file:
            group = file["model_weights"]["hidden_1"]
            name = next(n for n in group.attrs["weight_names"] if "kernel" in str(n))
            group[name if isinstance(name, str) else name.decode()][0, 0] = np.nan
    elif kind == "folder":
        path.mkdir()
    return path


@pytest.mark.parametrize("kind", ["empty", "text", "truncated", "data", "nan", "folder"])
@pytest.mark.parametrize("command", ["inspect", "weights", "report"])
def test_a_broken_model_file_gets_one_line_and_status_2(kind, command, model, tmp_path, elsewhere, capfd):
    path = broken(kind, tmp_path, model)
    assert run([command, str(path)]) == 2
    out, err = capfd.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert path.name in err
    assert list(elsewhere.iterdir()) == []


def test_data_with_labels_outside_the_classes_are_refused(model, tmp_path, elsewhere, capfd):
    images = np.random.default_rng(0).random((30, 8, 8)).astype(np.float32)
    np.savez(tmp_path / "bad.npz", images=images, labels=np.repeat([0, 1, -3], 10))
    assert run(["noise", str(model), "--data", str(tmp_path / "bad.npz")]) == 2
    assert "-3" in capfd.readouterr().err
    assert list(elsewhere.iterdir()) == []


def test_training_that_diverges_is_named_and_leaves_no_model(elsewhere, capfd):
    arguments = ["--activation", "relu", "--learning-rate", "1e30", "--epochs", "2", "--out", "here"]
    assert run(["train", "--data", "digits", *arguments]) == 2
    assert "diverged in epoch 1" in capfd.readouterr().err
    assert not list(elsewhere.rglob("*.h5"))


def test_train_writes_what_inspect_weights_maximize_and_noise_read(elsewhere, capfd):
    common = ["--seed", "3", "--out"]
    assert run(["train", "--data", "digits", "--hidden", "5", "--epochs", "40", *common, "t"]) == 0
    written = capfd.readouterr().out
    for name in ("model.h5", "results.json", "figures/training.png"):
        assert (elsewhere / "t" / name).is_file()
        assert f"wrote t/{name}" in written
    model = "t/model.h5"
    assert run(["inspect", model]) == 0
    shown = capfd.readouterr().out
    assert "hidden_1" in shown
    assert "385 parameters" in shown
    assert "seed: 3" in shown
    assert run(["weights", model, *common, "w"]) == 0
    assert run(["maximize", model, "--layer", "hidden_1", "--steps", "20", *common, "m"]) == 0
    assert run(["noise", model, "--data", "digits", *common, "n"]) == 0
    found = json.loads((elsewhere / "m" / "results.json").read_text())
    assert np.shape(found["results"]["maximize_units"]["values"]) == (5, 4)
    assert found["seed"] == 3
    noise = json.loads((elsewhere / "n" / "results.json").read_text())["results"]["noise"]
    names = ["real", "uniform", "gaussian", "shuffled", "norm-matched"]
    assert [condition["name"] for condition in noise["conditions"]] == names


def test_memorize_keeps_a_result_that_loads(elsewhere):
    from probe._text import plain
    from probe.analyses.memorization import Memorization

    arguments = [
        "--data",
        "digits",
        "--hidden",
        "64",
        "--samples",
        "100",
        "--replicates",
        "2",
        "--epochs",
        "100",
    ]
    assert run(["memorize", *arguments, "--out", "m"]) == 0
    result = probe.load_result(elsewhere / "m" / "results.h5", Memorization)
    assert result.n_replicates == 2
    numbers = json.loads((elsewhere / "m" / "results.json").read_text())
    (cell,) = numbers["results"]["memorization"]["cells"]
    final = result.cells[0].train_accuracy[1, :, -1].tolist()
    assert cell["final_accuracy"]["train"][1] == final
    verdicts = numbers["results"]["memorization"]["verdicts"]
    assert verdicts == plain([verdict.to_dict() for verdict in result.verdicts])
    assert len(list((elsewhere / "m" / "trials").glob("*.h5"))) == 2
    assert "<title>Does it learn, or memorize?" in (elsewhere / "m" / "index.html").read_text()


MEMORIZE = ["memorize", "--data", "digits", "--hidden", "8", "--samples", "40", "--epochs", "20"]


def test_memorize_goes_on_where_it_was_and_refuses_another_design(elsewhere, capfd):
    assert run([*MEMORIZE, "--replicates", "2", "--out", "m"]) == 0
    (elsewhere / "m" / "trials" / "a0-n0-r0001.h5").unlink()
    kept = (elsewhere / "m" / "trials" / "a0-n0-r0000.h5").stat().st_mtime_ns
    before = (elsewhere / "m" / "results.h5").read_bytes()
    assert run([*MEMORIZE, "--replicates", "2", "--out", "m"]) == 0
    assert (elsewhere / "m" / "trials" / "a0-n0-r0000.h5").stat().st_mtime_ns == kept
    assert (elsewhere / "m" / "results.h5").read_bytes() == before
    capfd.readouterr()
    assert run([*MEMORIZE, "--replicates", "2", "--epochs", "30", "--out", "m"]) == 2
    message = capfd.readouterr().err
    assert "epochs was 20, now 30" in message
    assert message.count("\n") == 1


def test_a_folder_of_the_name_of_the_data_does_not_hide_them(elsewhere):
    for _ in range(2):
        assert run([*MEMORIZE, "--replicates", "1", "--out", "digits"]) == 0


def test_memorize_takes_every_factor(elsewhere, undrawn):
    factors = [
        "--corruption",
        "0,0.5",
        "--label-corruption",
        "uniform",
        "--input-corruption",
        "none,gaussian",
        "--rates",
        "0.1,0.5",
    ]
    more = [
        "--weight-decay",
        "0,0.001",
        "--hidden",
        "4,4",
        "--replicates",
        "2",
        "--dynamics",
        "sensitivity",
        "--workers",
        "2",
    ]
    assert run([*MEMORIZE, *factors, *more, "--out", "m"]) == 0
    found = json.loads((elsewhere / "m" / "results.json").read_text())["results"]["memorization"]
    assert [cell["architecture"] for cell in found["cells"]] == ["64-8-10 relu", "64-4-4-10 relu"]
    conditions = found["cells"][0]["conditions"]
    assert len(conditions) == 8
    assert {condition["weight_decay"] for condition in conditions} == {0, 0.001}
    assert {condition["inputs"] for condition in conditions} == {"none", "gaussian"}
    assert {condition["learning_rate"] for condition in conditions} <= {0.1, 0.5}
    ratios = found["cells"][0]["critical_ratio"]
    assert [len(of_condition) for of_condition in ratios] == [2] * 8
    assert all(0 <= ratio <= 1 for of_condition in ratios for ratio in of_condition)
    assert len(list((elsewhere / "m" / "trials").glob("pilot-*.h5"))) == 6


def test_capacity_and_scores_are_studies_of_their_own(elsewhere, undrawn):
    common = ["--data", "digits", "--hidden", "4", "--epochs", "4"]
    assert run(["capacity", *common, "--largest", "10", "--replicates", "2", "--out", "c"]) == 0
    numbers = json.loads((elsewhere / "c" / "results.json").read_text())["results"]["capacity"]
    assert numbers["architectures"] == ["64-4-10 relu"]
    assert len(numbers["capacities"][0]) == 2
    result = probe.load_result(elsewhere / "c" / "results.h5", Capacity)
    assert result.capacities.tolist() == numbers["capacities"]
    few = ["--networks", "20", "--samples", "50", "--corruption", "0.2"]
    assert run(["scores", *common, *few, "--out", "s"]) == 0
    scores = json.loads((elsewhere / "s" / "results.json").read_text())["results"]["scores"]
    assert len(scores["scores"]) == 50
    assert scores["corruption"] == 0.2


@pytest.mark.parametrize("name", ["report", "train", "inspect", "weights", "maximize", "noise", "memorize"])
def test_every_command_has_help_with_an_example_and_a_seed(name, capfd):
    assert run([name, "--help"]) == 0
    text = capfd.readouterr().out
    assert f"probe {name}" in text.split("Example", 1)[1]
    if name != "inspect":
        assert "--seed" in text
        assert "--out" in text


def test_the_number_of_networks_is_named_as_the_option_of_the_command(elsewhere, capsys):
    probe.save_network(probe.train(probe.MLP((4,)), probe.load_dataset("digits"), probe.TrainingConfig(epochs=1)).network,
                       "m.h5")  # fmt: skip
    for command in (["drawing", "m.h5"], ["features", "m.h5"], ["severity", "m.h5"]):
        assert run([*command, "--data", "digits", "--networks", "1"]) == 2
        assert "--networks must be an integer of at least 2, got 1" in capsys.readouterr().err


def test_objectives_are_named_on_the_command_line(elsewhere):
    split = probe.load_dataset("digits")
    network = probe.train(probe.MLP((6,)), split, probe.TrainingConfig(epochs=2)).network
    probe.save_network(network, "m.h5")
    wanted = [
        "--objective",
        "class:3 - class:8",
        "--objective",
        "hidden_1:4",
        "--image-shape",
        "8,8",
        "--restarts",
        "2",
    ]
    assert run(["maximize", "m.h5", *wanted, "--steps", "20", "--animation", "gif", "--out", "up"]) == 0
    found = json.loads((elsewhere / "up" / "results.json").read_text())
    assert len(found["results"]["maximize_objectives"]["objectives"]) == 2
    (animation,) = (elsewhere / "up" / "figures").glob("*.gif")
    assert animation.read_bytes().startswith(b"GIF8")


def test_noise_severity_runs_from_the_command_line(elsewhere):
    split = probe.load_dataset("digits")
    probe.save_network(probe.train(probe.MLP((6,)), split, probe.TrainingConfig(epochs=2)).network, "m.h5")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("probe.training.config._MOST_EPOCHS", 2)
        arguments = [
            "severity",
            "m.h5",
            "--data",
            "digits",
            "--networks",
            "2",
            "--images",
            "60",
            "--out",
            "l",
        ]
        assert run(arguments) == 0
    found = json.loads((elsewhere / "l" / "results.json").read_text())
    assert set(found["results"]) == {"noise", "severity", "controls"}
    keys = [verdict["key"] for verdict in found["results"]["severity"]["verdicts"]]
    assert len(keys) == len(set(keys)) == 3 and keys[0] == "limit"
    assert len(found["results"]["noise"]["verdicts"]) == 5
    page = (elsewhere / "l" / "index.html").read_text()
    assert '<section class="part" id="noise">' in page and '<section class="part" id="severity">' in page


def test_ctrl_c_keeps_the_epochs_done(elsewhere):
    command = [
        sys.executable,
        "-m",
        "probe",
        "train",
        "--epochs",
        "100000",
        "--data",
        "digits",
        "--out",
        "kept",
    ]
    for seconds in (3, 12, 48):  # a busy machine may not have begun to train before
        process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        try:
            time.sleep(seconds)
            process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=60)
        finally:
            process.kill()
        if "what was done is kept" in err:
            break
    assert process.returncode == 130, err
    assert "what was done is kept" in err
    assert "Traceback" not in err
    found = json.loads((elsewhere / "kept" / "results.json").read_text())
    n_epochs = len(found["results"]["training"]["cost"])
    assert 0 < n_epochs < 100_000
    assert found["interrupted"] is True
    assert probe.load_network(elsewhere / "kept" / "model.h5").n_classes == 10


def test_help_loads_neither_matplotlib_nor_scikit_learn():
    code = (
        "import sys; from probe.cli import run; run(['--help']); "
        "print([m for m in ('numpy', 'matplotlib', 'sklearn', 'h5py', 'scipy') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ
    )
    assert done.stdout.splitlines()[-1] == "[]"


def test_a_report_beside_the_model_leaves_the_model_as_it_was(elsewhere, monkeypatch, undrawn):
    monkeypatch.setattr(
        import_module("probe.workflow._sections"), "MEMORIZING", replace(MEMORIZING, epochs=5)
    )
    monkeypatch.setattr(import_module("probe.workflow._page"), "_CONTROLS", 2)
    monkeypatch.setattr(import_module("probe.training.config"), "_MOST_EPOCHS", 5)
    monkeypatch.setattr(import_module("probe.controls.layered"), "_MOST_VALUES", 1e6)
    split = probe.load_dataset("digits")
    trained = probe.train(probe.MLP(hidden=(6,)), split, probe.TrainingConfig(epochs=3))
    probe.save_network(trained.network, "model.h5", provenance={"note": "mine"})
    before = (elsewhere / "model.h5").read_bytes()
    assert run(["report", "model.h5", "--data", "digits", "--out", "."]) == 0
    assert (elsewhere / "index.html").is_file()
    assert (elsewhere / "model.h5").read_bytes() == before


def test_a_model_of_other_classes_is_refused(elsewhere, capfd):
    images = np.random.default_rng(0).random((60, 8, 8)).astype(np.float32)
    labels = np.arange(60) % 2
    np.savez("pets.npz", images=images, labels=labels, class_names=np.array(["cat", "dog"]))
    np.savez("cars.npz", images=images, labels=labels, class_names=np.array(["car", "bus"]))
    trained = probe.train(
        probe.MLP(hidden=()), probe.load_dataset("pets.npz"), probe.TrainingConfig(epochs=1)
    )
    probe.save_network(trained.network, "pets.h5")
    assert run(["noise", "pets.h5", "--data", "cars.npz"]) == 2
    assert "the network's classes are cat, dog, but those of 'cars" in capfd.readouterr().err


@pytest.mark.parametrize("shape", ["-8,-8", "64", "8,9", "a,b"])
def test_an_image_shape_that_is_none_is_refused(shape, elsewhere, capfd):
    from probe.layers import Dense

    kernel = np.ones((64, 3), np.float32)
    probe.save_network(probe.Network((Dense("output", kernel, kernel[0], "softmax"),), (64,)), "flat.h5")
    assert run(["weights", "flat.h5", f"--image-shape={shape}"]) == 2
    err = capfd.readouterr().err
    assert err.count("\n") == 1
    assert "Traceback" not in err
    assert [path.name for path in elsewhere.iterdir()] == ["flat.h5"]


def test_more_than_fits_into_memory_is_one_line(capfd):
    assert run(["train", "--data", "digits", "--hidden", "100000000000"]) == 2
    assert "not enough memory" in capfd.readouterr().err


def test_ctrl_c_before_there_is_anything_says_so(elsewhere, monkeypatch, capfd):
    @wraps(workflow.analyze)
    def interrupted(*arguments, **settings):
        raise KeyboardInterrupt

    monkeypatch.setattr("probe.workflow.analyze", interrupted)
    assert run(["search", "--data", "digits"]) == 130
    assert "interrupted before there was anything to keep" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("command", "option"), [("drawing", "--restarts"), ("drawing", "--steps"), ("severity", "--images")]
)
def test_an_option_out_of_its_range_is_refused_before_control_networks_are_trained(
    command, option, model, elsewhere, capfd, monkeypatch
):
    monkeypatch.setattr("probe.workflow._analyses.control_networks", None)
    assert run([command, str(model), "--data", "digits", option, "0"]) == 2
    assert f"{option} must be an integer of at least" in capfd.readouterr().err
    assert list(elsewhere.iterdir()) == []
