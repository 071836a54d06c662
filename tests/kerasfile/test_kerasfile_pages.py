"""The pages of documentation about files: their programs run, and they name all that is public."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from probe import kerasfile, safeh5
from probe.storage import save_network

DOCS = Path(__file__).parents[2] / "docs"


def blocks(page):
    return re.findall(r"^```python\n(.*?)^```", (DOCS / page).read_text("utf-8"), re.DOTALL | re.MULTILINE)


@pytest.fixture
def files(tmp_path, monkeypatch, fixtures, small_network):
    """Go to a folder with the files that the pages name."""
    monkeypatch.chdir(tmp_path)
    save_network(small_network, tmp_path / "model.h5")
    for name in ("big.h5", "my_own.h5"):
        shutil.copy(tmp_path / "model.h5", tmp_path / name)
    shutil.copy(fixtures / "keras3" / "cnn.keras", tmp_path / "model.keras")
    np.savez(tmp_path / "data.npz", x=np.arange(3))


def test_the_programs_about_hdf5_and_zip_run(files):
    first, second, third = blocks("safeh5.md")
    names = {}
    exec(first.replace("    file.array(weights", "    found = file.array(weights"), names)
    assert names["found"].shape == (4, 2)
    exec(second, names)
    exec(third, names)


def test_the_programs_about_models_run(files, small_network):
    reading, writing = blocks("kerasfile.md")
    names = {"network": small_network}
    exec(reading, names)
    assert names["model"].output_names == ("dense",)
    exec(writing, names)
    assert kerasfile.read_provenance("model.h5") == {"seed": 0}
    with kerasfile.open_model("model.h5") as model:
        assert model.network().class_names == ("a", "b", "c")


@pytest.mark.parametrize(("package", "page"), [(safeh5, "safeh5.md"), (kerasfile, "kerasfile.md")])
def test_a_page_names_every_module_and_no_other(package, page):
    text = (DOCS / page).read_text("utf-8")
    table = text[text.index("## How it is built") :]
    modules = {path.stem for path in Path(package.__file__).parent.glob("_*.py")} - {"__init__"}
    assert set(re.findall(r"`(_\w+)`", table)) == modules


def test_the_page_names_everything_public_in_safeh5():
    text = (DOCS / "safeh5.md").read_text("utf-8")
    assert [name for name in safeh5.__all__ if f"`{name}`" not in text] == []


def test_reading_a_model_imports_no_h5py(files):
    program = (
        "import sys, probe\nwith probe.open_model('model.h5') as m: m.network()\nprint('h5py' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout == "False\n"
