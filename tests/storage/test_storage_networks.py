import json
import random
import subprocess
import sys
import time
from collections import OrderedDict

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from probe._checks import InputError, ModelFileError
from probe.layers import ACTIVATIONS, ActivationLayer, Dense, Dropout, Flatten, Reshape
from probe.network import Network
from probe.storage import load_network, read_provenance, save_network

finite = st.floats(-1e3, 1e3, width=32)
names = st.text(
    st.characters(exclude_categories=("C", "Z"), exclude_characters="/."), min_size=1, max_size=20
)


@st.composite
def multilayer_perceptrons(draw):
    dtype = draw(st.sampled_from(["f4", "f8"]))
    shape = draw(st.sampled_from([(1,), (5,), (2, 3), (2, 2, 1)]))
    widths = draw(st.lists(st.integers(1, 6), min_size=1, max_size=4))
    layer_names = draw(st.lists(names, min_size=len(widths) + 2, max_size=len(widths) + 2, unique=True))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    layers = [Flatten(layer_names[0]), Dropout(layer_names[1], draw(st.floats(0, 1)))]
    n_in = int(np.prod(shape))
    for name, width in zip(layer_names[2:], widths, strict=True):
        activation = draw(st.sampled_from([*ACTIVATIONS, "softmax"]))
        kernel, bias = rng.normal(size=(n_in, width)), rng.normal(size=width)
        layers.append(Dense(name, kernel.astype(dtype), bias.astype(dtype), activation))
        n_in = width
    class_names = draw(st.lists(st.text(max_size=8), min_size=n_in, max_size=n_in))
    return Network(tuple(layers), shape, tuple(class_names))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(network=multilayer_perceptrons())
def test_a_network_comes_back_the_same(tmp_path, network):
    loaded = load_network(save_network(network, tmp_path / "network.h5"))
    assert (loaded.layer_names, loaded.input_shape, loaded.class_names, loaded.dtype) == (
        network.layer_names,
        network.input_shape,
        network.class_names,
        network.dtype,
    )
    assert loaded.layers[1] == network.layers[1]
    for ours, theirs in zip(network.dense_layers, loaded.dense_layers, strict=True):
        assert ours.activation_name == theirs.activation_name
        np.testing.assert_array_equal(ours.kernel, theirs.kernel)
        np.testing.assert_array_equal(ours.bias, theirs.bias)
    x = np.random.default_rng(0).random((3, *network.input_shape)).astype(network.dtype)
    np.testing.assert_array_equal(network.outputs(x), loaded.outputs(x))


def test_every_kind_of_layer_comes_back(tmp_path):
    kernel = np.eye(4, dtype="f4")
    layers = (
        Reshape("reshape", (-1, 2)),
        Flatten("flatten"),
        Dense("dense", kernel, kernel[0], "step"),
        ActivationLayer("activation", "gelu"),
        Dropout("input", 0.25),
    )
    loaded = load_network(save_network(Network(layers, (4,)), tmp_path / "a.h5"))
    assert [type(layer) for layer in loaded.layers] == [type(layer) for layer in layers]
    assert loaded.layers[0] == layers[0] and loaded.layers[3:] == layers[3:]


def test_the_same_network_gives_the_same_bytes(tmp_path, small_network):
    paths = [
        save_network(small_network, tmp_path / name, provenance={"seed": 0}) for name in ("a.h5", "b.h5")
    ]
    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_provenance_comes_back(tmp_path, small_network):
    given = {
        "seed": np.int64(3),
        "cost": np.array([0.5, 0.25]),
        "config": OrderedDict(a=None),
        "note": "é\n\0",
    }
    path = save_network(small_network, tmp_path / "a.h5", provenance=given)
    assert read_provenance(path) == {"seed": 3, "cost": [0.5, 0.25], "config": {"a": None}, "note": "é\n\0"}


def test_a_file_of_keras_has_no_provenance_and_numbers_for_class_names(hostile):
    assert read_provenance(hostile / "ok_userblock.h5") == {}
    assert load_network(hostile / "ok_userblock.h5").class_names == ("0", "1", "2")


@pytest.mark.parametrize("value", [float("nan"), np.array([np.inf]), object(), {1, 2}])
def test_provenance_that_json_cannot_express_is_refused(tmp_path, small_network, value):
    with pytest.raises(InputError, match="provenance must hold strings, finite numbers"):
        save_network(small_network, tmp_path / "a.h5", provenance={"value": value})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a\nb", "a\0", "top_level_model_weights"])
def test_layer_names_that_cannot_be_stored_are_refused(tmp_path, name):
    network = Network((Dense(name, np.eye(2), np.zeros(2)),), (2,))
    with pytest.raises(InputError, match="cannot be stored"):
        save_network(network, tmp_path / "a.h5")


def test_a_network_with_nan_is_not_stored(tmp_path):
    network = Network((Dense("output", np.full((2, 2), np.nan), np.zeros(2)),), (2,))
    with pytest.raises(InputError, match="layer 'output': kernel has 4 of 4 values that are NaN"):
        save_network(network, tmp_path / "a.h5")
    assert not list(tmp_path.iterdir())


def test_a_destination_that_cannot_be_written_is_refused(small_network):
    with pytest.raises(InputError, match=r"/dev/null/a\.h5 cannot be written: its parent is not a folder"):
        save_network(small_network, "/dev/null/a.h5")


def test_hdf5_without_a_model_says_what_it_found(tmp_path):
    path = tmp_path / "data.h5"
    with h5py.File(path, "w") as file:
        file["images"], file["labels"] = np.zeros(3), np.zeros(3)
    with pytest.raises(
        ModelFileError, match=r"holds no model: it has 'images', 'labels', expected .*model_config"
    ):
        load_network(path)
    with h5py.File(path, "a") as file:
        file.create_group("layers")
    with pytest.raises(ModelFileError, match="holds only weights"):
        load_network(path)


def test_weights_that_do_not_chain_are_refused(tmp_path, small_network):
    path = save_network(small_network, tmp_path / "a.h5")
    with h5py.File(path, "r+") as file:
        group = file["model_weights/output/output"]
        del group["kernel"]
        group["kernel"] = np.ones((6, 3), "f4")
    with pytest.raises(ModelFileError, match=r"layer 'output': kernel has shape \(6, 3\), expected \(5, 3\)"):
        load_network(path)


@pytest.mark.parametrize(
    ("edit", "match"),
    [
        (
            lambda f: f["model_weights"].attrs.__setitem__("layer_names", ["output", "hidden"]),
            "not in the order",
        ),
        (
            lambda f: f["model_weights"].attrs.__setitem__("layer_names", ["hidden"]),
            "'output'.*does not list it",
        ),
        (lambda f: f["model_weights"].attrs.__delitem__("layer_names"), "no attribute 'layer_names'"),
        (lambda f: f.__delitem__("model_weights"), "/model_weights is missing: / has 'probe'"),
        (lambda f: f.__delitem__("model_weights/hidden"), "/model_weights/hidden is missing"),
        (
            lambda f: f["model_weights/hidden"].attrs.__setitem__(
                "weight_names", ["hidden/bias", "hidden/kernel"]
            ),
            "lists its bias where its kernel is expected",
        ),
        (lambda f: f["probe"].attrs.__setitem__("encoding-version", "2"), "encoding-version 2, expected 1"),
        (lambda f: f["probe"].attrs.__setitem__("class_names", "[1, 2, 3]"), "no list of strings"),
        (lambda f: f["probe"].attrs.__setitem__("class_names", '["a"]'), "class_names must name 3 outputs"),
        (lambda f: f["probe"].attrs.__setitem__("class_names", "["), "not valid JSON"),
        (lambda f: f.attrs.__setitem__("model_config", 3), "'model_config' of / is no text"),
    ],
)
def test_files_that_contradict_themselves_are_refused(tmp_path, small_network, edit, match):
    path = save_network(small_network, tmp_path / "a.h5")
    with h5py.File(path, "r+") as file:
        edit(file)
    with pytest.raises(ModelFileError, match=match):
        load_network(path)


def test_weights_are_read_by_the_lists_and_not_by_the_alphabet(tmp_path):
    layers = tuple(Dense(f"dense_{k}", np.full((1, 1), k, "f4"), np.zeros(1, "f4")) for k in range(1, 13))
    loaded = load_network(save_network(Network(layers, (1,)), tmp_path / "a.h5"))
    assert [float(layer.kernel[0, 0]) for layer in loaded.dense_layers] == list(range(1, 13))


@pytest.mark.parametrize("dtype", ["f2", "bfloat16"])
def test_half_precision_is_widened_to_float32(tmp_path, small_network, dtype):
    path = save_network(small_network, tmp_path / "a.h5")
    with h5py.File(path, "r+") as file:
        for name in ("kernel", "bias"):
            group = file["model_weights/hidden/hidden"]
            values = group[name][()]
            del group[name]
            half = values.astype("f2") if dtype == "f2" else (values.view("u4") >> 16).astype("u2").view("V2")
            group.create_dataset(name, data=half)
    kernel = load_network(path).dense_layers[0].kernel
    assert kernel.dtype == np.float32
    np.testing.assert_allclose(kernel, small_network.dense_layers[0].kernel, rtol=1e-2)


def test_layer_names_too_long_for_one_attribute_are_read(tmp_path, small_network):
    # As Keras splits them: fixed-width byte strings over several attributes.
    path = save_network(small_network, tmp_path / "a.h5")
    with h5py.File(path, "r+") as file:
        attributes = file["model_weights"].attrs
        del attributes["layer_names"]
        attributes["layer_names0"], attributes["layer_names1"] = np.array([b"hidden"]), np.array([b"output"])
        attributes = file["model_weights/hidden"].attrs
        attributes["weight_names"] = np.array([b"hidden/kernel", b"hidden/bias"])
    assert load_network(path).layer_names == small_network.layer_names


WRITER = """
import sys
import numpy as np
from probe.layers import Dense
from probe.network import Network
from probe.storage import save_network
kernel = np.random.default_rng(0).normal(size=(2000, 1000)).astype("f4")
network = Network((Dense("output", kernel, kernel[0]),), (2000,))
print("ready", flush=True)
while True:
    save_network(network, sys.argv[1])
"""


def test_a_killed_writer_leaves_no_file_or_a_whole_one(tmp_path):
    seen, rng = {"absent": 0, "whole": 0, "interrupted": 0}, random.Random(0)
    for attempt in range(8):
        folder = tmp_path / str(attempt)
        folder.mkdir()
        path = folder / "network.h5"
        writer = subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE)
        try:
            assert writer.stdout.readline() == b"ready\n"
            time.sleep(rng.uniform(0, 0.06))
        finally:
            writer.kill()
            writer.wait()
            writer.stdout.close()
        seen["interrupted"] += any(other.suffix == ".part" for other in folder.iterdir())
        if path.exists():
            assert load_network(path).n_parameters == 2_001_000
        seen["whole" if path.exists() else "absent"] += 1
    # Otherwise the writer was never caught in the act and the test proves nothing.
    assert seen["interrupted"] > 0, seen


def test_the_layout_is_that_of_keras(tmp_path, small_network):
    with h5py.File(save_network(small_network, tmp_path / "a.h5")) as file:
        assert json.loads(file.attrs["model_config"])["class_name"] == "Sequential"
        assert list(file["model_weights"].attrs["layer_names"]) == ["hidden", "output"]
        assert file["model_weights/hidden/hidden/kernel"].shape == (4, 5)
        assert file["probe"].attrs["encoding-type"] == "network"
