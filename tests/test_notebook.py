"""What a notebook shows, in a real kernel."""

import base64
import io
import os
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

nbclient = pytest.importorskip("nbclient")
nbformat = pytest.importorskip("nbformat")
pytest.importorskip("ipykernel")

ROOT = Path(__file__).parents[1]

BEGIN = """
import probe
split = probe.load_dataset("digits")
network = probe.train(probe.MLP(hidden=(8,)), split, probe.TrainingConfig(epochs=3)).network
weights = probe.weight_images(network)
"""


@pytest.fixture(scope="module")
def run():
    """Run cells in a fresh kernel, and return the outputs of each."""

    def outputs(*cells):
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))
            nbclient.NotebookClient(notebook, timeout=300, kernel_name="python3").execute()
        return [cell.outputs for cell in notebook.cells]

    return outputs


def pictures(outputs):
    """Return the pictures that a cell shows, as arrays."""
    data = [output["data"] for output in outputs if "data" in output]
    found = [values["image/png"] for values in data if "image/png" in values]
    found += [
        png
        for values in data
        for png in re.findall(r"data:image/png;base64,([^\"]+)", values.get("text/html", ""))
    ]
    return [np.asarray(Image.open(io.BytesIO(base64.b64decode(png))).convert("L")) for png in found]


def assert_drawn(picture):
    assert min(picture.shape) > 200 and np.unique(picture).size > 20


@pytest.fixture(scope="module")
def cells(run):
    codes = {
        "begin": BEGIN,
        "last line": "probe.plot(weights)",
        "method": "weights.plot(cmap='PuOr')",
        "result": "weights",
        "loop": "for layer in ('hidden_1', 'output'):\n    probe.plot(probe.weight_images(network, layer))",
        "kept": "kept = probe.plot(weights)\nkept",
        "file": "import io\nprobe.plot(weights).savefig(io.BytesIO())",
        "none": "1 + 1",
        "axes": "from matplotlib.figure import Figure\nweights.plot(ax=Figure().subplots());",
        "network": "network",
        "inline": "%matplotlib inline\nprobe.plot(weights)",
        "inline loop": "for _ in range(2):\n    probe.plot(weights)",
        "long": "deeper = probe.train_population(probe.MLP((100,)), split, probe.TrainingConfig(epochs=60), n_networks=8)",
    }
    return dict(zip(codes, run(*codes.values()), strict=True))


@pytest.mark.parametrize("name", ["last line", "method", "result", "kept", "inline"])
def test_what_stands_last_in_a_cell_shows_its_picture_once(cells, name):
    (picture,) = pictures(cells[name])
    assert_drawn(picture)


@pytest.mark.parametrize("name", ["loop", "inline loop"])
def test_every_picture_of_a_loop_is_shown(cells, name):
    shown = pictures(cells[name])
    assert len(shown) == 2
    for picture in shown:
        assert_drawn(picture)


@pytest.mark.parametrize("name", ["begin", "file", "none", "axes"])
def test_nothing_else_shows_a_picture(cells, name):
    assert pictures(cells[name]) == []


def test_a_picture_has_the_size_that_it_is_read_at(cells):
    (output,) = cells["last line"]
    assert output["metadata"]["image/png"]["width"] < 1000


def test_a_network_says_what_it_is(cells):
    (output,) = cells["network"]
    assert "hidden_1" in output["data"]["text/html"]


def test_long_work_shows_a_bar_and_leaves_nothing(cells):
    (output,) = cells["long"]
    assert output["data"]["text/html"] == ""
