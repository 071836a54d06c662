"""The wheel and the sdist hold everything; installed in an empty environment, the main job runs from anywhere."""

import json
import os
import re
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
NEEDED = (
    "probe/datasets/mnist.h5",
    "probe/datasets/MNIST-LICENSE.md",
    "probe/pages/page/model.js",
    "probe/pages/templates/page.html",
    "probe/pages/page/page.css",
    "probe/py.typed",
)


CLEAN = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    out = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return next(out.glob("*.whl")), next(out.glob("*.tar.gz"))


def test_both_archives_hold_the_data_and_the_template(built):
    wheel, sdist = built
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    assert set(NEEDED) <= names
    assert not [name for name in names if name.startswith(("tests", "scripts", "reports"))]
    with tarfile.open(sdist) as archive:
        members = {member.name.partition("/")[2] for member in archive.getmembers()}
    assert {*NEEDED, "README.md", "LICENSE", "CHANGELOG.md", "pyproject.toml"} <= members
    assert wheel.name.startswith("hidden_layer_probe-")


def test_both_can_be_published_and_their_description_stands_by_itself(built):
    checked = subprocess.run(
        [sys.executable, "-m", "twine", "check", "--strict", *map(str, built)], capture_output=True, text=True
    )
    assert checked.returncode == 0, checked.stdout
    with zipfile.ZipFile(built[0]) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith("/METADATA")]
        head, _, description = archive.read(name).decode().partition("\n\n")
    assert "Typing :: Typed" in head and "License-Expression: MIT" in head
    # Beside it there are no pages, no pictures and no clone.
    assert re.findall(r"\]\((?!https?://)", description) == [] and "![" not in description
    assert ".venv" not in description and "pip install hidden-layer-probe && probe report" in description
    for heading in ("## Start", "## Your own model", "### 3. Import a function", "## License"):
        assert f"\n{heading}\n" in description


USER = """
import numpy as np
import probe

split = probe.load_dataset("digits")
result: probe.TrainingResult = probe.train(probe.MLP(hidden=(4,)), split, probe.TrainingConfig(epochs=1), progress="auto")
network: probe.Network = result.network
noise = probe.noise_confidence(network, split, n_images=20, seed=0)
share: float = noise.accuracy
rows: dict[str, object] = noise.to_dict()
rows_of_pixels = split.train.images.reshape(len(split.train), -1)
classifier: probe.NetworkClassifier = probe.NetworkClassifier(hidden=(4,), epochs=1).fit(rows_of_pixels, split.train.labels)
for verdict in noise.verdicts:
    decision: str = verdict.decision
page = probe.report(network, split, progress=None)
page.save("report.html")
reveal_type(probe.memorization(probe.MLP((4,)), split).cells[0].test_accuracy)
probe.train("no architecture", split)
"""


@pytest.fixture(scope="module")
def installed(built, tmp_path_factory):
    """The Python of an environment that holds the wheel and what it needs."""
    folder = tmp_path_factory.mktemp("installed") / "env"
    venv.create(folder)
    python = folder / "bin" / "python"
    # The pip of the tests, as a second one takes seconds; and what is not imported need not be compiled.
    pip = [sys.executable, "-m", "pip", "--python", str(python)]
    install = [*pip, "install", "--quiet", "--no-compile", str(built[0])]
    done = subprocess.run(install, capture_output=True, text=True, check=False, env=CLEAN)
    assert done.returncode == 0, done.stderr
    return python


def test_the_types_of_the_public_api_are_seen_from_outside(installed, tmp_path):
    (tmp_path / "user.py").write_text(USER)
    (tmp_path / "mypy.ini").write_text("[mypy]\n")
    mypy = [sys.executable, "-m", "mypy", "--strict", "--config-file", "mypy.ini"]
    found = subprocess.run(
        [*mypy, "--python-executable", str(installed), "user.py"],
        cwd=tmp_path,
        env=CLEAN,
        capture_output=True,
        text=True,
        check=False,
    )
    # One line is wrong on purpose, and one asks what a type is.
    assert found.stdout.count("error:") == 1, found.stdout
    wrong = len(USER.splitlines())
    assert f'user.py:{wrong}: error: Argument 1 to "train" has incompatible type "str"' in found.stdout
    assert "Revealed type" in found.stdout and "ndarray" in found.stdout


def test_the_main_job_runs_from_an_empty_environment_in_another_folder(installed, tmp_path):
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    command = [str(installed.parent / "probe"), "report"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=CLEAN, cwd=folder)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    found = json.loads((folder / "reports" / "mnist" / "results.json").read_text(encoding="utf-8"))
    assert found["results"]["network"]["test_accuracy"] >= 0.95
    assert found["data"]["n_train"] == 60_000
    size = (folder / "reports" / "mnist" / "index.html").stat().st_size
    assert 100_000 < size < 4_000_000
