"""The living network in a notebook: what the widget holds, and that it lives in a page that is not ours."""

import json

import numpy as np
import pytest
from browser import Opened, chromium  # noqa: F401

import probe
from probe.layers import Dense
from probe.network import Network

pytest.importorskip("anywidget", reason="anywidget is not installed")

NOTEBOOK = """<!DOCTYPE html><html lang="en"><head><title>Notebook</title></head><body><h1>Notebook</h1>
<div id="living"><p class="says">a cell of its own</p></div><div id="cell"></div><script type="module">
const file = URL.createObjectURL(new Blob([SOURCE], { type: "text/javascript" }));
const { default: widget } = await import(file);
const values = VALUES;
widget.render({ model: { get: (name) => values[name] }, el: document.getElementById("cell") });
</script></body></html>"""


def test_it_lives_in_a_page_that_is_not_ours(trained, digits, chromium, tmp_path):  # noqa: F811
    widget = trained.explore(digits)
    values = json.dumps({"payload": widget.payload, "style": widget.style}).replace("<", "\\u003c")
    source = json.dumps(widget._esm).replace("</", "<\\/")
    (tmp_path / "notebook.html").write_text(NOTEBOOK.replace("SOURCE", source).replace("VALUES", values))
    with Opened(chromium, tmp_path / "notebook.html") as opened:
        cell = opened.locator("#cell")
        cell.get_by_text("It says ").wait_for()
        assert opened.inner_text("#living") == "a cell of its own"
        cell.locator(".unit").nth(3).click()
        cell.locator(".card[open]").wait_for()
        assert "hidden_1, unit 3" in cell.locator(".card").inner_text()
        assert "#" not in opened.url
        cell.get_by_role("button", name="noise", exact=True).click()
        assert "drawn by chance" in cell.locator("#living").inner_text()
        assert opened.said == []
        # Nothing of the notebook looks otherwise for it.
        assert opened.evaluate("getComputedStyle(document.body).maxWidth") == "none"


def test_data_that_come_along_are_found(trained):
    assert trained.explore().payload["data"] == "digits"


def test_without_data_that_fit_it_says_what_to_pass():
    kernel = np.eye(5, 3, dtype=np.float32)
    network = Network((Dense("output", kernel, kernel[0, :3], "softmax"),), (5,), ("a", "b", "c"))
    with pytest.raises(probe.InputError, match=r"split must be given for a network of 3 classes from \(5,\)"):
        network.explore()


def test_a_network_that_the_page_cannot_compute_is_refused(trained, digits, monkeypatch):
    monkeypatch.setattr("probe.pages.page.encoding.MOST_WEIGHTS", 10)
    with pytest.raises(probe.InputError, match=r"one that the page computes. It has [\d,]+ weights"):
        trained.explore(digits)
