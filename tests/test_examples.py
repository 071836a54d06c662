"""The notebooks in `examples` run as they stand, show pictures, and are kept without outputs."""

import os
from pathlib import Path

import pytest

nbclient = pytest.importorskip("nbclient")
nbformat = pytest.importorskip("nbformat")
pytest.importorskip("ipykernel")

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "examples").glob("*.ipynb"))
EVERY = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)

SHOWN = {"01-first-steps": 6, "02-your-own-keras-cnn": 4, "03-a-memorization-study": 7, "04-a-lecture": 6}
"""Pictures that each notebook shows at least."""


def test_each_notebook_is_here():
    assert {path.stem for path in NOTEBOOKS} == set(SHOWN)


@EVERY
def test_a_notebook_is_kept_without_outputs(path):
    for cell in nbformat.read(path, 4).cells:
        assert not cell.get("outputs") and cell.get("execution_count") is None
        assert "metadata" not in cell or not cell.metadata


@EVERY
def test_a_notebook_runs_and_shows_its_pictures(path, tmp_path):
    notebook = nbformat.read(path, 4)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))
        patch.delenv("KERAS_BACKEND", raising=False)
        client = nbclient.NotebookClient(
            notebook, timeout=600, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}
        )
        client.execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert not [output for output in outputs if output.output_type == "error"]
    # A warning in an example is a fault of the example.
    assert [output.text for output in outputs if output.get("name") == "stderr"] == []
    data = [output.data for output in outputs if "data" in output]
    shown = [values for values in data if "image/png" in values or "<img" in values.get("text/html", "")]
    assert len(shown) >= SHOWN[path.stem]
