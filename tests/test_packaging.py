"""The wheel and the sdist hold everything; installed in an empty environment, the main job runs from anywhere."""

import json
import os
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


def test_the_main_job_runs_from_an_empty_environment_in_another_folder(built, tmp_path):
    wheel, _ = built
    venv.create(tmp_path / "env")
    scripts = tmp_path / "env" / "bin"
    clean = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    # The pip of the tests, as a second one takes seconds; and what is not imported need not be compiled.
    pip = [sys.executable, "-m", "pip", "--python", str(scripts / "python")]
    install = [*pip, "install", "--quiet", "--no-compile", str(wheel)]
    done = subprocess.run(install, capture_output=True, text=True, check=False, env=clean)
    assert done.returncode == 0, done.stderr
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    command = [str(scripts / "probe"), "report"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=clean, cwd=folder)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    found = json.loads((folder / "reports" / "mnist" / "results.json").read_text(encoding="utf-8"))
    assert found["results"]["network"]["test_accuracy"] >= 0.95
    assert found["data"]["n_train"] == 60_000
    size = (folder / "reports" / "mnist" / "index.html").stat().st_size
    assert 100_000 < size < 4_000_000
