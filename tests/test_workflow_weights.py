"""`probe weights`: bounded pictures of any number of layers, the numbers of all, scales, and layouts that are asked for."""

import json
import struct

import numpy as np
import pytest

import probe
from probe.cli import run
from probe.layers import Conv2D, Dense, Flatten, MaxPooling2D
from probe.workflow.models import for_shape


def normal(*shape):
    return np.random.default_rng(0).standard_normal(shape, np.float32)


def deep(n_layers, name="conv_{}"):
    layers = [Conv2D(name.format(k), normal(1, 1, 2, 2), normal(2)) for k in range(n_layers)]
    return probe.Network((*layers, Flatten("flatten"), Dense("output", normal(18, 2), normal(2))), (3, 3, 2))


@pytest.fixture
def written(tmp_path, monkeypatch):
    """Return what `probe weights` with some arguments wrote of a network."""
    monkeypatch.chdir(tmp_path)

    def call(network, *arguments):
        probe.save_network(network, tmp_path / "model.h5")
        assert run(["weights", "model.h5", "--out", "out", *arguments]) == 0
        pictures = sorted((tmp_path / "out" / "figures").iterdir())
        return pictures, json.loads((tmp_path / "out" / "results.json").read_text())

    return call


def test_the_first_16_layers_are_drawn_and_the_numbers_are_those_of_all(written, capsys):
    pictures, numbers = written(deep(20))
    assert len(pictures) == 16
    assert len(numbers["layers"]) == 21
    said = capsys.readouterr().out
    assert "the first 16 of 21 layers; --layer NAME draws another" in said
    network = deep(20)
    for name, found in numbers["layers"].items():
        images = probe.weight_images(network, name)
        np.testing.assert_allclose(found["norms"], images.norms, rtol=1e-6)
        assert found["n_units"] == len(found["units"]) == len(found["largest"]) == 2


def test_the_numbers_of_all_units_are_kept_where_not_all_are_drawn(written):
    network = probe.Network((Flatten("flatten"), Dense("wide", normal(16, 700), normal(700))), (4, 4))
    pictures, numbers = written(network)
    width, height = struct.unpack(">II", pictures[0].read_bytes()[16:24])
    assert max(width, height) <= 4000
    found = numbers["layers"]["wide"]
    assert len(found["norms"]) == 700
    order = np.argsort(-np.array(found["norms"]), kind="stable")[:512]
    assert found["picture"]["units"] == [str(k) for k in order]


@pytest.mark.parametrize("scale", ["shared", "robust", "unit", None])
def test_a_scale_is_drawn_and_recorded(written, scale):
    kernel = normal(16, 20)
    kernel[:, 0] *= 5000
    network = probe.Network((Flatten("flatten"), Dense("dense", kernel, normal(20))), (4, 4))
    pictures, numbers = written(network, *(["--scale", scale] if scale else []))
    picture = numbers["layers"]["dense"]["picture"]
    assert picture["scale"] == (scale or "robust")
    assert (picture["n_images"], picture["n_faint"]) == (20, 19)
    assert picture["n_clipped"] == (1 if picture["scale"] == "robust" else 0)
    assert len(pictures) == 1


def test_a_scale_that_there_is_not_is_refused(tmp_path, capsys):
    probe.save_network(deep(1), tmp_path / "model.h5")
    assert run(["weights", str(tmp_path / "model.h5"), "--scale", "log", "--out", str(tmp_path / "out")]) == 2
    assert "--scale must be" in capsys.readouterr().err
    assert not (tmp_path / "out" / "figures").exists()


def first(channels=3):
    """A network whose pooling layer says that the channels come first."""
    layers = (
        MaxPooling2D("pool", (1, 1), data_format="channels_first"),
        Flatten("flatten"),
        Dense("output", normal(channels * 20, 2), normal(2)),
    )
    return probe.Network(layers, (channels, 5, 4))


@pytest.mark.parametrize(("channels", "shape"), [(1, (5, 4)), (3, (5, 4, 3)), (4, (5, 4, 4))])
def test_a_network_with_the_channels_first_is_given_images_as_they_are(channels, shape):
    assert for_shape(first(channels), None).input_shape == shape


def test_a_layout_that_no_layer_says_is_asked_for(written, tmp_path, capsys):
    network = probe.Network((Flatten("flatten"), Dense("output", normal(60, 2), normal(2))), (3, 5, 4))
    probe.save_network(network, tmp_path / "model.h5")
    assert run(["weights", str(tmp_path / "model.h5"), "--out", str(tmp_path / "out")]) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "pass --image-shape 5,4,3 if first, --image-shape 3,5,4 if last" in said
    _, numbers = written(network, "--image-shape", "5,4,3")
    assert numbers["layers"]["output"]["shape"] == [2, 5, 4, 3]
    _, numbers = written(network, "--image-shape", "3,5,4")
    assert numbers["layers"]["output"]["shape"] == [8, 3, 5]


def test_layers_of_any_name_are_written_inside_the_folder(written, tmp_path):
    pictures, numbers = written(deep(2, r"..$x^2$ <b> שכבה {}"))
    assert [path.name for path in pictures] == ["weights_1.png", "weights_2.png", "weights_3.png"]
    assert len(numbers["layers"]) == 3
    assert {path.name for path in tmp_path.iterdir()} == {"model.h5", "out"}
