"""Maximizing from file to files: what is written, that it is scored anew, and what is refused."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import probe
from probe._checks import InputError
from probe.analyses.maximize import Maximization
from probe.ascent import Ball, Blurred, Shift
from probe.workflow.maximize import maximize_model


@pytest.fixture(scope="module")
def model(trained, tmp_path_factory):
    return probe.save_network(trained, tmp_path_factory.mktemp("model") / "digits.h5")


def test_objectives_are_named_on_the_command_line_and_scored_anew_on_what_was_saved(model, trained, tmp_path):
    written = maximize_model(
        model, objectives=["class:3 - class:8", "hidden_1:4"], data="digits", options={"n_top": 3, "steps": 20},
        animation="gif",
        out=tmp_path / "out",
    )  # fmt: skip
    names = {str(path.relative_to(tmp_path / "out")) for path in written.files}
    assert names == {
        str(Path("figures") / "maximize_objectives.png"),
        str(Path("figures") / "maximize_objectives.svg"),
        str(Path("figures") / "maximize_objectives.gif"),
        "index.html",
        "results.h5",
        "results.json",
    }
    numbers = json.loads((tmp_path / "out" / "results.json").read_text())
    kept = probe.load_result(tmp_path / "out" / "results.h5", Maximization)
    images = kept.images.reshape(-1, 8, 8)
    logits = trained.logits(images)
    np.testing.assert_allclose(
        np.ravel(numbers["rescored"])[:4], (logits[:, 3] - logits[:, 8])[:4], rtol=1e-5
    )
    ((name, found),) = numbers["results"].items()
    assert name == "maximize_objectives"
    assert numbers["rescored"] == found["values"]
    assert found["names"] == ["class 3 - class 8", "hidden_1 unit 4"]
    assert found["bounds"]["exact"] == [False, True]
    assert np.shape(found["top"]["values"]) == (2, 3)
    assert found["top"]["n_images"] == len(probe.load_dataset("digits").test)
    assert "the 3 real images with the greatest value" in " ".join(
        (tmp_path / "out" / "index.html").read_text().split()
    )
    assert numbers["data"]["name"] == "digits"
    assert "scored anew on the saved images: the same" in written.summary
    with Image.open(tmp_path / "out" / "figures" / "maximize_objectives.gif") as picture:
        assert picture.n_frames > 5


def test_classes_are_the_default_and_settings_are_passed_on(model, tmp_path):
    maximize_model(
        model, options={"steps": 5, "restarts": 2, "diversity": 0.5}, parameterization="blurred", shift=1, ball=3.0,
        image_shape=(8, 8), out=tmp_path / "out",
    )  # fmt: skip
    kept = probe.load_result(tmp_path / "out" / "results.h5", Maximization)
    assert kept.names == tuple("0123456789")
    assert (kept.parameterization, kept.transform, kept.region) == (Blurred(), Shift(1), Ball(3.0))
    assert kept.diversity == 0.5
    assert kept.top is None
    assert (tmp_path / "out" / "figures" / "maximize_classes.png").exists()
    numbers = json.loads((tmp_path / "out" / "results.json").read_text())
    found = numbers["results"]["maximize_classes"]
    assert found["region"]["name"] == "the ball of radius 3 around 0 in the box [0, 1]"
    assert found["transform"]["name"] == "shifts by up to 1 pixel"
    assert "Data" not in (tmp_path / "out" / "index.html").read_text()


def test_a_layer_is_maximized_unit_by_unit(model, tmp_path):
    maximize_model(model, layer="hidden_2", options={"steps": 5}, out=tmp_path / "out")
    kept = probe.load_result(tmp_path / "out" / "results.h5", Maximization)
    assert len(kept.names) == 9
    assert (tmp_path / "out" / "figures" / "maximize_units.png").exists()


def test_a_network_without_classes_is_searched_for_real_images_all_the_same(trained, tmp_path):
    model = probe.save_network(trained.truncate("hidden_1"), tmp_path / "part.h5")
    maximize_model(
        model, objectives=["hidden_1:0"], data="digits", options={"steps": 5}, out=tmp_path / "out"
    )
    kept = probe.load_result(tmp_path / "out" / "results.h5", Maximization)
    assert kept.top.images.shape == (1, 5, 8, 8)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"objectives": ["class:3"], "layer": "hidden_1"}, "objectives must not come with a layer or a position"),
        ({"objectives": ["class:33"]}, "there is no such class"),
        ({"position": (1, 1)}, "position must come with a layer of feature maps"),
        ({"animation": "apng"}, "animation must be one of none, gif; got 'apng'"),
        ({"parameterization": "wavelets"}, "parameterization must be one of pixels, fourier, blurred; got"),
        ({"ball": 0.0}, "radius must be a finite number above 0, got 0"),
        ({"shift": -1}, "pixels must be an integer of at least 0, got -1"),
        ({"data": "digits", "image_shape": (4, 16)}, "image_shape must be that of 'digits', (8, 8), or be left out"),
        ({"options": {"steps": 0}}, "steps must be an integer of at least 1, got 0"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_and_nothing_is_written(model, tmp_path, arguments, message):
    with pytest.raises(InputError, match=re.escape(message)):
        maximize_model(model, out=tmp_path / "out", **arguments)
    assert not (tmp_path / "out").exists() or not list((tmp_path / "out").iterdir())
