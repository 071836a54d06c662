"""The documentation is true: its parts that follow from the code are generated, its commands parse, its programs run."""

import importlib.util
import os
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
from documents import ROOT, check_command, command_lines, links, programs

import probe
from probe.catalogue import ANALYSES

DOCS = ROOT / "docs"
PAGES = sorted([*DOCS.rglob("*.md"), ROOT / "CONTRIBUTING.md"])
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]
TOUR = DOCS / "tour.md"


@pytest.fixture(scope="module")
def generate():
    spec = importlib.util.spec_from_file_location("generate", DOCS / "generate.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_command_reference_is_the_generated_one(generate):
    text = (DOCS / "commands.md").read_text(encoding="utf-8")
    assert "<!-- generated: commands -->" in text, "commands.md has lost the marks around its table"
    for name in generate.commands():
        assert f"| `probe {name}" in text
    assert text == generate.generated(text), "run: python docs/generate.py"


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_every_generated_part_is_what_the_code_and_the_results_say(page, generate):
    text = page.read_text(encoding="utf-8")
    assert text.count("<!-- generated: ") == text.count("<!-- end -->") == len(generate.BLOCK.findall(text))
    assert text == generate.generated(text), "run: python docs/generate.py"


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_every_page_and_file_that_it_links_exists(page):
    for link in links(page):
        assert (page.parent / link).is_file(), link


@pytest.mark.parametrize("line", sorted({line for page in PAGES for line in command_lines(page)}))
def test_every_command_is_one_that_exists(line):
    check_command(line)


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_no_placeholder_is_left(page):
    assert not re.findall(r"@[A-Z_]+@", page.read_text(encoding="utf-8"))


def test_the_reference_has_every_public_name():
    text = "".join(page.read_text(encoding="utf-8") for page in (DOCS / "api").glob("*.md"))
    documented = set(re.findall(r"^\.\. auto\w+:: probe\.(\w+)$", text, re.MULTILINE))
    assert set(probe.__all__) - documented == {"__version__"}
    modules = set(re.findall(r"^\.\. automodule:: probe\.analyses\.(\w+)$", text, re.MULTILINE))
    assert modules == {entry.module for entry in ANALYSES}


def test_the_first_program_is_the_one_that_test_public_runs():
    tested = (
        (ROOT / "tests" / "test_public.py").read_text(encoding="utf-8").replace("{{", "{").replace("}}", "}")
    )
    assert programs(TOUR)[0].replace("mnist", "{data}") in tested


SMALLER = {
    "n_samples=[500, 1000]": "n_samples=[40, 60]",
    "replicates=10": "replicates=2",
    "split, corruption=0.2)": "split, corruption=0.2, n_samples=40, n_networks=20)",
    "split, n_networks=6)": "split, n_networks=2, n_directions=5, updates=8, n_planes=1, n_lines=3, n_images=30)",
    "n_networks=20, polish=300)": "n_networks=2, n_samples=60, polish=5)",
    "(8, 32), depths=(1, 2), n_networks=6)": "(4,), depths=(1,), costs=('quadratic',), n_networks=2, epochs=3)",
    '(4,), activation="relu"), split)': '(4,), activation="relu"), split, replicates=1, starts=1, updates=100, largest=40)',
}


def test_the_second_program_runs_as_it_stands_but_for_its_sizes():
    _, program, _ = programs(TOUR)
    for large, small in SMALLER.items():
        assert program.count(large) == 1, large
        program = program.replace(large, small)
    split = probe.load_dataset("digits")
    network = probe.train(probe.MLP(hidden=(8,)), split, probe.TrainingConfig(epochs=1)).network
    names = {"probe": probe, "split": split, "network": network, "x": split.test.images[:20]}
    exec(program, names)
    assert len(names["study"].cells) == 4
    assert names["study"].cells[0].test_accuracy.shape[:2] == (3, 2)
    assert names["study"].verdicts[0].decision in ("supported", "refuted", "inconclusive")
    assert names["scores"].is_corrupted.any()
    assert 0 <= names["nearby"] <= 1


def test_the_third_program_runs_as_it_stands(tmp_path, monkeypatch):
    _, _, program = programs(TOUR)
    shutil.copy(ROOT / "tests/kerasfile/fixtures/keras3/cnn.keras", tmp_path)
    split = probe.load_dataset("digits")
    wide = probe.train(probe.MLP(hidden=(80,)), split, probe.TrainingConfig(epochs=1)).network
    probe.save_network(wide, tmp_path / "big.h5")
    monkeypatch.chdir(tmp_path)
    names = {"probe": probe, "x": np.random.default_rng(0).random((3, 12, 12, 3), np.float32)}
    exec(program, names)
    assert names["kernels"].images.shape == (6, 3, 3, 3)
    assert names["channels"].best_images.shape == (6, 12, 12, 3)
    assert names["features"].shape == (3, 12, 12, 6)
    assert names["place"].values.shape == (1, 4)


@pytest.mark.parametrize(
    ("page", "shown"),
    [
        ("start.md", "WeightImages("),
        ("guides/memorization.md", "Memorization: "),
        ("guides/comparing.md", "Interval("),
        ("guides/own-model.md", "bee"),
        ("guides/scikit-learn.md", "p-value"),
    ],
)
def test_the_programs_of_a_guide_run_as_they_stand(page, shown, tmp_path):
    if page == "guides/own-model.md":
        pytest.importorskip("torch")
    program = "\n".join(programs(DOCS / page))
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"KERAS_BACKEND": "numpy"},
    )
    assert done.returncode == 0, done.stderr
    assert shown in done.stdout


def test_the_programs_about_files_run_as_they_stand(tmp_path, monkeypatch):
    split = probe.load_dataset("digits")
    network = probe.train(probe.MLP(hidden=(8,)), split, probe.TrainingConfig(epochs=30)).network
    probe.save_network(network, tmp_path / "big.h5")
    folder = tmp_path / "reports" / "first-noise"
    folder.mkdir(parents=True)
    from probe.storage import results_bytes

    (folder / "results.h5").write_bytes(results_bytes({"noise": probe.noise_confidence(network, split)}))
    monkeypatch.chdir(tmp_path)
    names = {}
    exec("\n".join(programs(DOCS / "files.md")), names)
    assert names["noise"].condition("uniform").n_images == 2_000
    assert names["network"].layer_names == network.layer_names
