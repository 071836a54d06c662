"""`probe weights`: bounded pictures of any number of layers, the numbers of all, scales, and layouts that are asked for."""

import json
import struct

import numpy as np
import pytest
from result_checks import check_result, words

import probe
from probe.analyses.weights import WeightImages
from probe.cli import run
from probe.layers import Conv2D, Dense, Flatten, MaxPooling2D
from probe.workflow.models import for_shape
from probe.workflow.weights import weights_section


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
        assert run(["weights", "model.h5", "--out", "out", "--overwrite", *arguments]) == 0
        pictures = sorted((tmp_path / "out" / "figures").glob("*.png"))
        return pictures, json.loads((tmp_path / "out" / "results.json").read_text())["results"]

    return call


def layers_of(numbers):
    return {layer["layer"]: layer for layer in numbers["weights"]["layers"]}


def test_the_first_16_layers_are_drawn_and_the_numbers_are_those_of_all(written, capsys):
    pictures, numbers = written(deep(20))
    assert len(pictures) == 16
    assert len(layers_of(numbers)) == 21
    said = capsys.readouterr().out
    assert "the first 16 of 21 layers; --layer NAME draws another" in said
    network = deep(20)
    for name, found in layers_of(numbers).items():
        images = probe.weight_images(network, name)
        np.testing.assert_allclose(found["norms"], images.norms, rtol=1e-6)
        largest = images.largest.reshape(2, -1).max(axis=1)
        np.testing.assert_array_equal(found["largest"], largest.astype(float))
        assert (len(found["unit_names"]), found["shape"]) == (2, list(images.images.shape))


def test_the_numbers_of_all_units_are_kept_where_not_all_are_drawn(written):
    network = probe.Network((Flatten("flatten"), Dense("wide", normal(16, 700), normal(700))), (4, 4))
    pictures, numbers = written(network)
    width, height = struct.unpack(">II", pictures[0].read_bytes()[16:24])
    assert max(width, height) <= 4000
    found = layers_of(numbers)["wide"]
    assert len(found["norms"]) == 700
    order = np.argsort(-np.array(found["norms"]), kind="stable")[:512]
    assert found["picture"]["units"] == [str(k) for k in order]


def test_images_are_kept_up_to_a_total_size_and_all_are_drawn(written, monkeypatch, tmp_path):
    network = deep(3)
    size = probe.weight_images(network, "conv_0").images.nbytes
    monkeypatch.setattr("probe.workflow.weights._MOST_BYTES", 2 * size)
    pictures, numbers = written(network)
    assert (len(pictures), len(layers_of(numbers))) == (4, 4)
    assert set(numbers) == {"weights", "weights_1", "weights_2"}
    kept = probe.load_result(tmp_path / "out" / "results.h5", WeightImages, name="weights_2")
    np.testing.assert_array_equal(kept.images, probe.weight_images(network, "conv_1").images)
    check_result(kept)
    section = weights_section(network, layout="channels_last", is_tested=True)
    assert set(section.results) == set(numbers)
    rendered = section.rendered()
    assert rendered.claims == ()
    assert list(rendered.pictures.values()) == [picture.read_bytes() for picture in pictures]


def test_words_on_weights_say_how_many_layers_are_drawn_and_what_is_there_to_see(undrawn):
    section = weights_section(deep(17), layout="channels_last", is_tested=False)
    said, (claim,) = words(section), section.rendered().claims
    assert "The first 16 of 18 layers are drawn. probe weights MODEL --layer NAME draws another." in said
    assert "A filter of a convolution looks at a small window" in said
    assert "Layer 'conv_0': 2 units. Each image is the kernel of one filter" in said
    assert "Of each there is an image for each of 2 channels." in said
    assert claim.picture == "weights_1" and claim.found.startswith("A picture, not a test")


def test_a_network_without_weight_images_is_told_so():
    layers = (Dense("hidden", normal(4, 3), normal(3)), Dense("output", normal(3, 2), normal(2)))
    section = weights_section(probe.Network(layers, (4,)), layout=None, is_tested=False)
    (claim,) = section.rendered().claims
    assert claim.found == "No layer's weights can be laid out as images of the input."
    assert claim.found in words(section) and claim.picture is None


@pytest.mark.parametrize("scale", ["shared", "robust", "unit", None])
def test_a_scale_is_drawn_and_recorded(written, scale):
    kernel = normal(16, 20)
    kernel[:, 0] *= 5000
    network = probe.Network((Flatten("flatten"), Dense("dense", kernel, normal(20))), (4, 4))
    pictures, numbers = written(network, *(["--scale", scale] if scale else []))
    picture = layers_of(numbers)["dense"]["picture"]
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
    assert layers_of(numbers)["output"]["shape"] == [2, 5, 4, 3]
    _, numbers = written(network, "--image-shape", "3,5,4")
    assert layers_of(numbers)["output"]["shape"] == [8, 3, 5]


def test_layers_of_any_name_are_written_inside_the_folder(written, tmp_path):
    pictures, numbers = written(deep(2, r"..$x^2$ <b> שכבה {}"))
    assert [path.name for path in pictures] == ["weights_1.png", "weights_2.png", "weights_3.png"]
    assert len(layers_of(numbers)) == 3
    assert {path.name for path in tmp_path.iterdir()} == {"model.h5", "out"}
