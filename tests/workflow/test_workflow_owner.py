"""Whose a folder is: that of one command on one network, and nothing is replaced without being told to."""

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import probe
from probe import workflow
from probe.cli import run
from probe.recipes import RECIPES
from probe.storage import OwnedFolder
from probe.workflow._folder import Folder, file_name, model_stem
from probe.workflow._owner import Owner, check_out, claimed

DATA = ["--data", "digits"]


@pytest.fixture(scope="module")
def trained_files(tmp_path_factory):
    """Two networks in files of the same name, in two folders."""
    folder = tmp_path_factory.mktemp("models")
    split = probe.load_dataset("digits")
    for name, seed in (("a", 0), ("b", 1)):
        network = probe.train(probe.MLP((6,)), split, probe.TrainingConfig(epochs=2), seed=seed).network
        probe.save_network(network, folder / name / "model.h5")
    return folder


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch, trained_files, undrawn):
    shutil.copytree(trained_files, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def state(folder):
    """Return all files of a folder with their content."""
    return {
        str(path.relative_to(folder)): path.read_bytes() for path in Path(folder).rglob("*") if path.is_file()
    }


def refused(arguments, capfd):
    """Run a command that must be refused in one line and change nothing, and return the line."""
    before = state(".")
    capfd.readouterr()
    assert run(arguments) == 2
    out, err = capfd.readouterr()
    # What is said of a network that has learned little is no refusal.
    err = "".join(line for line in err.splitlines(keepends=True) if not line.startswith("probe: warning: "))
    assert out == "" and err.count("\n") == 1 and err.startswith("probe: ")
    assert state(".") == before
    return err


COMMANDS = {
    "train": ["train", *DATA, "--hidden", "4", "--epochs", "1"],
    "weights": ["weights", "a/model.h5"],
    "maximize": ["maximize", "a/model.h5", "--restarts", "1", "--steps", "2", "--image-shape", "8,8"],
    "noise": ["noise", "a/model.h5", *DATA, "--images", "20"],
    "memorize": ["memorize", *DATA, "--hidden", "4", "--samples", "20", "--replicates", "1", "--epochs", "2"],
}


@pytest.mark.parametrize("first", COMMANDS)
def test_a_command_replaces_its_own_results_when_told_to_and_never_those_of_another(first, here, capfd):
    assert run([*COMMANDS[first], "--out", "there"]) == 0
    if first == "memorize":  # which goes on where it was
        assert run([*COMMANDS[first], "--out", "there"]) == 0
    else:
        said = refused([*COMMANDS[first], "--out", "there"], capfd)
        told = "Pass another --out, or --overwrite to replace them"
        assert f"probe: there holds results of probe {first}. {told}\n" == said
        assert run([*COMMANDS[first], "--out", "there", "--overwrite"]) == 0
    for second, arguments in COMMANDS.items():
        if second != first:
            said = refused([*arguments, "--out", "there", "--overwrite"], capfd)
            assert "there holds" in said and f"probe {second}" in said
            assert "Pass another --out" in said
    said = refused(["report", "a/model.h5", *DATA, "--out", "there"], capfd)
    assert "there holds" in said and "probe report would write over" in said


@pytest.mark.parametrize(
    ("changes", "difference"),
    [
        (["noise", "b/model.h5", *DATA], "the model was there/../a/model.h5, now b/model.h5"),
        (["noise", "a/model.h5", *DATA, "--seed", "1"], "--seed was 0, now 1"),
        (["noise", "a/model.h5", "--data", "other.npz"], "the data were 'digits', now 'other'"),
    ],
)
def test_results_of_another_model_seed_or_data_are_kept(here, capfd, changes, difference):
    rng = np.random.default_rng(0)
    np.savez("other.npz", images=rng.random((200, 8, 8)).astype(np.float32), labels=np.arange(200) % 10)
    assert run(["noise", "a/model.h5", *DATA, "--images", "20", "--out", "there"]) == 0
    said = refused([*changes, "--images", "20", "--out", "there"], capfd)
    assert os.path.normpath(difference) in said or difference.replace("there/../", "") in said
    assert "Pass another --out, or --overwrite to replace them" in said
    assert run([*changes, "--images", "20", "--out", "there", "--overwrite"]) == 0


def test_data_of_the_same_name_that_changed_are_other_data(here, capfd):
    for seed in (0, 1):
        rng = np.random.default_rng(seed)
        images = rng.random((200, 8, 8)).astype(np.float32)
        np.savez("mine.npz", images=images, labels=np.arange(200) % 10)
        arguments = ["noise", "a/model.h5", "--data", "mine.npz", "--images", "20", "--out", "there"]
        if seed == 0:
            assert run(arguments) == 0
        else:
            assert "the data were others of the name 'mine'" in refused(arguments, capfd)


def test_a_network_that_was_trained_otherwise_is_not_lost(here, capfd):
    arguments = ["train", *DATA, "--hidden", "4", "--epochs", "1", "--out", "t"]
    assert run(arguments) == 0
    said = refused([*arguments, "--epochs", "2", "--hidden", "4,4"], capfd)
    assert "hidden was [4], now [4, 4]" in said and "epochs was 1, now 2" in said


def test_another_network_in_the_file_of_the_same_name_is_another_network(here, capfd):
    assert run(["weights", "a/model.h5", "--out", "w"]) == 0
    network = probe.load_network("a/model.h5")
    found = json.loads(Path("w/results.json").read_text())
    assert found["model_file"] == "../a/model.h5" and found["fingerprints"] == [network.fingerprint]
    assert found["files"] == [
        "figures/weights_1.png",
        "figures/weights_1.svg",
        "figures/weights_2.png",
        "figures/weights_2.svg",
        "index.html",
        "results.h5",
    ]
    assert network.fingerprint in Path("w/index.html").read_text()
    shutil.copy("b/model.h5", "a/model.h5")
    assert "the network was another one" in refused(["weights", "a/model.h5", "--out", "w"], capfd)


def test_a_default_folder_that_another_network_has_gets_a_name_of_its_own(here, capfd):
    assert run(["weights", "a/model.h5"]) == 0
    first = state("reports/weights-a-model")
    shutil.copy("b/model.h5", "a/model.h5")
    assert run(["weights", "a/model.h5"]) == 0
    own = f"weights-a-model-{probe.load_network('b/model.h5').fingerprint[:8]}"
    assert {path.name for path in Path("reports").iterdir()} == {"weights-a-model", own, "index.html"}
    assert state("reports/weights-a-model") == first
    # There it is at home.
    assert f"reports/{own} holds results of probe weights." in refused(["weights", "a/model.h5"], capfd)
    assert run(["weights", "a/model.h5", "--overwrite"]) == 0
    assert state("reports/weights-a-model") == first


def test_a_part_of_a_network_has_a_folder_of_its_own(here):
    for units in ("0:2", "2:4"):
        assert run(["weights", "a/model.h5", "--layer", "hidden_1", "--units", units]) == 0
    names = {path.name for path in Path("reports").iterdir() if path.is_dir()}
    assert names == {f"weights-a-model-hidden_1-{units}" for units in ("0-2", "2-4")}


def test_a_report_beside_its_model_never_removes_it(here, monkeypatch):
    Path("r").mkdir()
    shutil.copy("a/model.h5", "r/model.h5")
    known = {"command": "probe report", "seed": 0, "files": ["model.h5", "figures/old.png"]}
    Path("r/results.json").write_text(json.dumps(known))
    owner = Owner("probe report", 0, None, Path("r/model.h5"))
    Folder(Path("r"), owner, overwrite=True).keep({"command": "probe report"}, {"index.html": b"page"})
    assert Path("r/model.h5").read_bytes() == Path("a/model.h5").read_bytes()


def test_a_folder_may_move_with_its_model(here, capfd):
    assert run(["weights", "a/model.h5", "--out", "w"]) == 0
    Path("moved").mkdir()
    Path("a").rename("moved/a")
    Path("w").rename("moved/w")
    os.chdir("moved")
    said = refused(["weights", str(Path("a/model.h5").resolve()), "--out", "w"], capfd)
    assert "w holds results of probe weights. Pass" in said


def test_what_an_earlier_run_left_is_removed_and_nothing_else(here):
    assert run(["weights", "a/model.h5", "--out", "w"]) == 0
    for mine in ("w/figures/mine.png", "w/notes.txt"):
        Path(mine).write_text("mine")
    # A list that somebody else wrote reaches nothing outside.
    Path("victim.png").write_text("mine")
    found = json.loads(Path("w/results.json").read_text())
    found["files"] += ["../victim.png", "figures/../../victim.png", "notes.txt", "/etc/passwd", 3, "a\0.png"]
    Path("w/results.json").write_text(json.dumps(found))
    assert run(["weights", "a/model.h5", "--layer", "output", "--out", "w", "--overwrite"]) == 0
    assert set(state("w")) == {
        "index.html",
        "results.json",
        "results.h5",
        "figures/weights_1.png",
        "figures/weights_1.svg",
        "figures/mine.png",
        "notes.txt",
    }
    assert Path("victim.png").read_text() == "mine"


# Files of the user's own.


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        (["report", "a/model.h5", *DATA], "index.html"),
        (["report", "a/model.h5", *DATA], "model.h5"),
        (["train", *DATA], "model.h5"),
        (["noise", "a/model.h5", *DATA], "results.h5"),
        (["severity", "a/model.h5", *DATA], "results.h5"),
        (["features", "a/model.h5", *DATA], "results.h5"),
        (["drawing", "a/model.h5", *DATA], "results.h5"),
        (["maximize", "a/model.h5"], "results.h5"),
        (["landscape", "a/model.h5", *DATA], "results.h5"),
        (["minima", *DATA], "results.h5"),
        (["search", *DATA], "results.h5"),
        (["memorize", *DATA], "results.h5"),
        (["capacity", *DATA], "index.html"),
        (["scores", *DATA], "results.h5"),
    ],
)
def test_a_file_of_the_users_own_is_refused_before_any_work(arguments, name, here, capfd):
    Path("mine").mkdir()
    (Path("mine") / name).write_text("mine")
    said = refused([*arguments, "--out", "mine"], capfd)
    assert f"mine holds {name}, and no results.json that says what of" in said


@pytest.mark.parametrize("content", ["", "[", "[" * 100_000, "[]", "null", "\0", '{"command": NaN}', "{}"])
def test_a_results_file_of_something_else_is_kept(content, here, capfd):
    Path("mine").mkdir()
    Path("mine/results.json").write_text(content)
    assert "mine holds" in refused(["weights", "a/model.h5", "--out", "mine"], capfd)


def test_what_a_strangers_results_file_says_can_be_printed(here, capfd):
    Path("mine").mkdir()
    odd = "\x1b[31m‮" + "x" * 5000
    for found in (
        {"command": odd},
        {"command": "probe noise", "seed": odd, "data": {"name": odd}, "model_file": odd},
    ):
        Path("mine/results.json").write_text(json.dumps(found))
        said = refused(["noise", "a/model.h5", *DATA, "--out", "mine"], capfd)
        assert said.rstrip("\n").isprintable() and len(said) < 1000


def test_pictures_in_a_folder_that_is_a_link_are_refused_before_any_work(here, capfd):
    Path("elsewhere").mkdir()
    Path("mine").mkdir()
    Path("mine/figures").symlink_to("../elsewhere")
    assert "figures is a symbolic link" in refused(["weights", "a/model.h5", "--out", "mine"], capfd)


def test_a_picture_that_was_there_is_not_written_over(here, capfd):
    Path("mine/figures").mkdir(parents=True)
    Path("mine/figures/weights_1.png").write_text("mine")
    assert "weights_1.png exists already" in refused(["weights", "a/model.h5", "--out", "mine"], capfd)


SAMPLES = {
    "mnist": ("probe report", None),
    "landscape": ("probe landscape", "mnist/model.h5"),
    "valleys": ("probe minima", None),
    "search": ("probe search", None),
}


@pytest.mark.parametrize("name", SAMPLES)
def test_the_samples_can_be_written_anew(name):
    command, model = SAMPLES[name]
    reports = Path(__file__).resolve().parents[2] / "reports" / "samples"
    owner = Owner(command, 0, probe.load_dataset("mnist"), None if model is None else reports / model)
    assert claimed(OwnedFolder(reports / name), owner, ("index.html",), overwrite=True) is not None


# Names.


def test_models_of_one_name_have_folders_of_their_own(here):
    for model in ("a/model.h5", "b/model.h5"):
        assert run(["weights", model]) == 0
    assert {path.name for path in Path("reports").iterdir() if path.is_dir()} == {
        "weights-a-model",
        "weights-b-model",
    }
    os.chdir("a")
    assert run(["weights", "model.h5"]) == 0
    assert {path.name for path in Path("reports").iterdir()} == {"weights-model", "index.html"}


def test_models_whose_folders_have_one_name_are_told_apart(here, capfd):
    for place in ("x", "y"):
        shutil.copytree("a", f"{place}/a")
    assert run(["weights", "x/a/model.h5"]) == 0
    assert "the model was x/a/model.h5, now y/a/model.h5" in refused(["weights", "y/a/model.h5"], capfd)


def test_noise_and_its_severity_do_not_share_a_folder(here, monkeypatch):
    seen = []
    monkeypatch.setattr(
        "probe.workflow._analyses.destination", lambda out, name, *_, **more: seen.append(name) or 1 / 0
    )
    for command in ("noise", "severity"):
        with pytest.raises(ZeroDivisionError):
            run([command, "a/model.h5", *DATA])
    assert seen == ["noise-a-model", "severity-a-model"]


def test_a_hidden_model_file_has_a_visible_folder(here):
    assert model_stem(Path(".h5")) == "h5"
    assert model_stem(Path("...h5")) == "model"


@pytest.mark.parametrize("name", ["x.h5", "x.HDF5", "x.keras", "a/x.json", "x.html", "x.png"])
@pytest.mark.parametrize("command", [*COMMANDS, "inspect"])
def test_a_folder_is_not_called_like_a_file(command, name, here, capfd):
    if command == "train" and name.endswith((".h5", ".HDF5", ".keras")):
        pytest.skip("train writes such a file")
    arguments = COMMANDS.get(command, ["inspect", "a/model.h5"])
    said = refused([*arguments, "--out", name], capfd)
    assert (
        f"--out must name a folder, which holds the files that are written, got {name}, the name of a file"
        in said
    )
    assert f"such as --out {Path(name).with_suffix('')}" in said


@pytest.mark.parametrize("command", [*COMMANDS, "inspect"])
def test_an_existing_file_is_no_folder(command, here, capfd):
    arguments = COMMANDS.get(command, ["inspect", "a/model.h5"])
    Path("file").write_text("mine")
    assert "--out must name a folder, got the file file" in refused([*arguments, "--out", "file"], capfd)


def test_a_folder_with_a_dot_in_its_name_is_one(here):
    Path("v1.h5").mkdir()
    for name in ("v1.2", "v1.h5", ".hidden"):
        assert check_out(Path(name)) == Path(name)


@pytest.mark.parametrize(
    "name", ["../../x", "a/b", "/etc/x", "a\0b", "\x1b[31m", "\ud800", "x" * 300, ".", "..", ""]
)
def test_names_from_model_files_make_files_in_the_folder_only(name, here):
    folder = OwnedFolder(Path("out"))
    written = folder.write(f"figures/{file_name(f'paths_{name}')}.png", b"x")
    assert written.parent == Path("out/figures") and written.name.isascii() and written.name.isprintable()
    assert file_name("paths_a/b") != file_name("paths_a_b") == "paths_a_b"


def test_a_layer_name_leads_nowhere(here):
    split = probe.load_dataset("digits")
    network = probe.train(probe.MLP((6, 5)), split, probe.TrainingConfig(epochs=1)).network
    result = probe.expanded_weights(network, split.test.images[:20], "hidden_2")
    from dataclasses import replace

    from probe.pages import Report, Section

    odd = replace(result, layer="../../../elsewhere")
    owner = Owner("probe features", 0, split)
    folder = Folder(Path("deep/down/out"), owner)
    results = {f"paths_{odd.layer}": odd}
    section = Section(key="paths", results=results, facts={"paths": results, "n_drawn": 1})
    folder.publish(Report(title="t", subtitle="s", sections=(section,)))
    assert not Path("deep/elsewhere.png").exists() and not list(Path("..").glob("elsewhere*"))
    assert {path.parent.name for path in Path("deep").rglob("paths_*")} == {"figures"}
    kept = probe.load_result("deep/down/out/results.h5", type(odd))
    np.testing.assert_array_equal(kept.expanded, odd.expanded)


# What is written when.


def test_a_folder_that_is_removed_before_the_page_is_written_is_told(here, monkeypatch):
    from probe.analyses.memorization import study

    real = study.memorization_of

    def removed(*arguments):
        shutil.rmtree("m")
        return real(*arguments)

    monkeypatch.setattr(study, "memorization_of", removed)
    assert run([*COMMANDS["memorize"], "--out", "m"]) == 2
    assert not Path("m").exists()


def test_an_interrupted_report_may_be_made_again(here, monkeypatch, capfd):
    from importlib import import_module

    module = import_module("probe.workflow._report")

    def interrupted(*arguments, **more):
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "page_of", interrupted)
    config = replace(RECIPES["modern"].config, epochs=1)
    monkeypatch.setitem(RECIPES, "modern", replace(RECIPES["modern"], config=config, adapts=False))
    assert run(["report", *DATA, "--out", "r"]) == 130
    assert "r holds results of probe report" in refused(["report", *DATA, "--out", "r"], capfd)
    assert run(["report", *DATA, "--out", "r", "--overwrite"]) == 130
    assert set(state("r")) == {"model.h5", "results.json"}
    assert json.loads(Path("r/results.json").read_text())["interrupted"] is True


def test_claims_name_the_files_of_before(here):
    owner = Owner("probe weights", 0, None, Path("a/model.h5"))
    folder = OwnedFolder(Path("w"))
    assert claimed(folder, owner, ()) is None
    workflow.weights_model(Path("a/model.h5"), out=Path("w"))
    files = {f"figures/weights_{k}.{kind}" for k in (1, 2) for kind in ("png", "svg")}
    assert set(claimed(folder, owner, (), overwrite=True)) == files | {"index.html", "results.h5"}


# Converting and inspecting.


@pytest.mark.parametrize("name", ["out", "out.json", "out.h5.gz", "out.weights"])
@pytest.mark.parametrize("command", ["convert", "train"])
def test_only_what_keras_opens_under_that_name_is_converted_to(command, name, here, capfd):
    if command == "train":
        assert run([*COMMANDS["train"], "--out", "file.h5"]) == 0
        assert probe.load_network("file.h5").n_classes == 10 and not Path("reports").exists()
        return
    said = refused(["convert", "a/model.h5", name], capfd)
    told = "must end in .h5, .hdf5 or .keras, for Keras goes by the ending of what is written"
    assert f"{told}; got {name}" in said
    assert f"Pass {Path(name).with_suffix('.h5')}" in said


@pytest.mark.parametrize("name", ["c.h5", "c.HDF5", "c.keras"])
def test_a_model_file_is_replaced_only_when_told_to(name, here, capfd):
    origin = probe.load_network("a/model.h5").fingerprint
    assert run(["convert", "a/model.h5", name]) == 0
    assert probe.load_network(name).fingerprint == origin
    for command in (["convert", "b/model.h5", name], [*COMMANDS["train"], "--out", name]):
        assert f"{name} exists already. Pass another name, or --overwrite" in refused(command, capfd)
        assert run([*command, "--overwrite"]) == 0
        assert probe.load_network(name).fingerprint != origin
    said = refused(["convert", name, name, "--overwrite"], capfd)
    assert f"OUT must be another file than the model that is read, {name}" in said


def test_what_a_model_file_says_of_its_origin_is_in_a_keras_archive_too(here, capfd):
    assert run([*COMMANDS["train"], "--out", "t.keras"]) == 0
    assert run(["convert", "t.keras", "t.h5"]) == 0
    capfd.readouterr()
    said = []
    for name in ("t.keras", "t.h5"):
        assert run(["inspect", name]) == 0
        said.append(capfd.readouterr().out)
    assert "film of the training: " in said[0] and "  after 1 epochs: cost " in said[0]
    assert said[1].replace("  converted_from: t.keras\n", "") == said[0]


def test_a_link_that_the_user_typed_is_followed(here):
    Path("real.h5").symlink_to("target.h5")
    assert run(["convert", "a/model.h5", "real.h5"]) == 0
    assert Path("real.h5").is_symlink() and probe.load_network("target.h5").n_classes == 10


def test_an_inspection_has_a_page(here, capfd):
    assert run(["inspect", "a/model.h5", "--out", "i"]) == 0
    text = Path("i/inspect.txt").read_text()
    assert text.startswith("layer ") and text in capfd.readouterr().out
    page = Path("i/index.html").read_text()
    assert "<h1>What is in this file?</h1>" in page and text.splitlines()[-1].strip() in page
    assert "figures/" not in page
    said = refused(["inspect", "b/model.h5", "--out", "i"], capfd)
    assert "the model was a/model.h5, now b/model.h5" in said
    Path("bad.h5").write_text("no model")
    assert run(["inspect", "bad.h5", "--why", "--out", "i", "--overwrite"]) == 0
    assert "it does not open" in Path("i/index.html").read_text()
