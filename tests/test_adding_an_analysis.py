"""The guide is true: what it says makes an analysis, in a copy of the package, and nothing else is needed."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
GUIDE = ROOT / "docs" / "guides" / "adding-an-analysis.md"
FILE = re.compile(r"^`([\w/]+\.(?:py|html))`:\n\n```\w+\n(.*?)^```", re.MULTILINE | re.DOTALL)
ENTRY = re.compile(r"^`probe/catalogue.py`:\n\n```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
# The whole report takes its time: here it has the new analysis and what the page cannot do without.
REPORT = """
import sys
from pathlib import Path
from probe import catalogue, workflow
kept = ("weight_images", "weight_structure", "unit_activity")
catalogue.ANALYSES = tuple(entry for entry in catalogue.ANALYSES if entry.name in kept)
workflow.report(Path(sys.argv[1]), data="digits", out=Path("report"))
"""


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """Return a copy of the package, its tests and its documentation with the analysis of the guide."""
    folder = tmp_path_factory.mktemp("copy")
    unneeded = shutil.ignore_patterns("__pycache__")
    for name in ("probe", "tests", "docs"):
        shutil.copytree(ROOT / name, folder / name, ignore=unneeded)
    (folder / "reports").symlink_to(ROOT / "reports")
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, folder / name)
    text = GUIDE.read_text(encoding="utf-8")
    files = [(path, content) for path, content in FILE.findall(text) if path != "probe/catalogue.py"]
    assert len(files) == 5
    for path, content in files:
        assert not (folder / path).exists()
        (folder / path).write_text(content, encoding="utf-8")
    catalogue = folder / "probe" / "catalogue.py"
    (entry,) = ENTRY.findall(text)
    code, count = re.subn(
        r"\n\)\n\n\ndef ", lambda end: f"\n{entry.rstrip()}{end[0]}", catalogue.read_text(), count=1
    )
    assert count == 1
    catalogue.write_text(code)
    return folder


def python(copy, *arguments):
    environment = os.environ | {"PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, *arguments], cwd=copy, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.fixture(scope="module")
def model(copy):
    options = (
        "--hidden",
        "4",
        "--activation",
        "relu",
        "--learning-rate",
        "0.1",
        "--epochs",
        "2",
        "--out",
        "train",
    )
    python(copy, "-m", "probe", "train", "--data", "digits", *options)
    return "train/model.h5"


def test_it_is_a_public_name_and_a_command(copy):
    assert "unit_activity" in python(copy, "-c", "import probe; print(probe.unit_activity)")
    assert "activity" in python(copy, "-m", "probe", "--help")
    shown = " ".join(python(copy, "-m", "probe", "activity", "--help").split())
    assert "--images N Test images to use, drawn at random." in shown
    assert "--range" in shown


def test_its_command_writes_a_page_and_its_numbers(copy, model):
    python(copy, "-m", "probe", "activity", model, "--data", "digits", "--images", "50", "--out", "activity")
    found = json.loads((copy / "activity" / "results.json").read_text())
    assert len(found["results"]["activity"]["share_on"]) == 4
    assert "Are all units used?" in (copy / "activity" / "index.html").read_text()
    assert (copy / "activity" / "figures" / "activity.png").is_file()


def test_it_is_in_the_report(copy, model):
    python(copy, "-c", REPORT, model)
    found = json.loads((copy / "report" / "results.json").read_text())
    assert found["results"]["activity"]["layer"] == "hidden_1"
    assert '<section class="part" id="activity">' in (copy / "report" / "index.html").read_text()


def test_it_is_in_the_documentation(copy):
    python(copy, "docs/generate.py")
    assert "`probe activity MODEL`" in (copy / "docs" / "commands.md").read_text(encoding="utf-8")


def test_its_tests_and_the_contract_hold(copy):
    files = ("tests/analyses/test_activity.py", "tests/figures/test_figures_activity.py")
    shown = python(copy, "-m", "pytest", "-n", "0", "-p", "no:cacheprovider", *files)
    assert "passed" in shown or "[100%]" in shown
