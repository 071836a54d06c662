import dataclasses
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
from probe.kerasfile import read_provenance
from probe.layers import (
    ACTIVATIONS,
    ActivationLayer,
    Add,
    Average,
    AveragePooling2D,
    BatchNormalization,
    Concatenate,
    Conv2D,
    Conv2DTranspose,
    Cropping2D,
    Dense,
    DepthwiseConv2D,
    Dropout,
    Elu,
    Flatten,
    GlobalAveragePooling2D,
    GlobalMaxPooling2D,
    LayerNormalization,
    LeakyRelu,
    Maximum,
    MaxPooling2D,
    Minimum,
    Multiply,
    Noise,
    Normalization,
    Permute,
    PReLU,
    Relu,
    Rescaling,
    Reshape,
    SeparableConv2D,
    Softmax,
    Subtract,
    UpSampling2D,
    ZeroPadding2D,
)
from probe.network import Network
from probe.storage import load_network, save_network

finite = st.floats(-1e3, 1e3, width=32)
names = st.text(
    st.characters(exclude_categories=("C", "Z"), exclude_characters="/."), min_size=1, max_size=20
)


shown = st.text(
    st.characters(categories=("L", "M", "N", "P", "S"), exclude_characters="<"), min_size=1, max_size=8
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
    # One unit stands for two classes, or for none.
    n_classes = n_in if n_in > 1 else 2 * (activation in ("sigmoid", "linear"))
    class_names = draw(st.lists(shown, min_size=n_classes, max_size=n_classes, unique=True))
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


def array(rng, *shape, dtype):
    return rng.normal(size=shape).astype(dtype) + np.asarray(2, dtype)


def vector_layers(rng, name, dtype):
    """Return one layer of each class that takes and gives four values in an axis."""
    return [
        Dense(name, array(rng, 4, 4, dtype=dtype), array(rng, 4, dtype=dtype), Relu(6.0, 0.1, 0.5)),
        Dense(name, array(rng, 4, 4, dtype=dtype), None, LeakyRelu(0.15)),
        BatchNormalization(name, None, *(abs(array(rng, 4, dtype=dtype)) for _ in range(3)), epsilon=0.01),
        LayerNormalization(name, array(rng, 4, dtype=dtype), None, axis=(-1,)),
        Normalization(name, array(rng, 4, dtype=dtype), abs(array(rng, 4, dtype=dtype)), invert=True),
        Normalization(name, np.asarray(0.3, dtype), np.asarray(4, dtype), axis=()),
        PReLU(name, array(rng, 4, dtype=dtype)),
        Rescaling(name, 1 / 3, (0.1, 0.2, 0.3, 0.4)),
        ActivationLayer(name, Softmax(1)),
        ActivationLayer(name, Elu(0.7)),
        ActivationLayer(name, "hard_silu"),
        Noise(name, "ActivityRegularization", 0.1, 0.2),
        Noise(name, "GaussianNoise", 1.5),
        Permute(name, (1,)),
    ]


def merges(name):
    return [layer(name) for layer in (Add, Subtract, Multiply, Average, Maximum, Minimum)]


@st.composite
def graphs(draw):
    """Draw a graph of layers that all give four values, with shared layers and several inputs and outputs."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    dtype = draw(st.sampled_from(["f4", "f8"]))
    n_inputs = draw(st.integers(1, 3))
    layers, wiring = [], []
    layer_names = draw(
        st.lists(st.text("ab/@0_", min_size=1, max_size=4), min_size=2, max_size=9, unique=True)
    )
    for name in layer_names:
        before = [st.sampled_from([layer.name for layer in layers])] if layers else []
        source = st.one_of(st.integers(0, n_inputs - 1), *before)
        kind = draw(st.sampled_from(["one", "merge", "shared"]))
        shared = [layer for layer in layers if layer.variables]
        if kind == "merge":
            layers.append(draw(st.sampled_from(merges(name))))
            wiring.append((draw(source), draw(source)))
            continue
        if kind == "shared" and shared:
            layers.append(dataclasses.replace(draw(st.sampled_from(shared)), name=name))
        else:
            layers.append(draw(st.sampled_from(vector_layers(rng, name, dtype))))
        wiring.append((draw(source),))
    outputs = draw(st.lists(st.sampled_from(layer_names), min_size=1, max_size=3, unique=True))
    return Network(tuple(layers), (4,), (), tuple(wiring), tuple(outputs), ((4,),) * (n_inputs - 1))


def settings_of(layer):
    found = {field.name: getattr(layer, field.name) for field in dataclasses.fields(layer) if field.init}
    return {name: value for name, value in found.items() if not isinstance(value, np.ndarray)}


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(network=graphs())
def test_a_graph_comes_back_the_same(tmp_path, network):
    loaded = load_network(save_network(network, tmp_path / "graph.h5"))
    assert_equal(loaded, network)
    rng = np.random.default_rng(0)
    inputs = tuple(rng.normal(size=(2, 4)).astype(network.dtype) for _ in network.input_shapes)
    x = inputs if len(inputs) > 1 else inputs[0]
    with np.errstate(all="ignore"):
        for found, expected in zip(loaded.all_outputs(x), network.all_outputs(x), strict=True):
            np.testing.assert_array_equal(found, expected, strict=True)


def assert_equal(loaded, network):
    assert (loaded.layer_names, loaded.wiring, loaded.output_names, loaded.input_shapes) == (
        network.layer_names,
        network.wiring,
        network.output_names,
        network.input_shapes,
    )
    assert (loaded.dtype, loaded.n_parameters) == (network.dtype, network.n_parameters)
    for ours, theirs in zip(network.layers, loaded.layers, strict=True):
        assert (type(theirs), settings_of(theirs)) == (type(ours), settings_of(ours))
        assert list(theirs.variables) == list(ours.variables)
        for name, values in ours.variables.items():
            np.testing.assert_array_equal(theirs.variables[name], values, strict=True)


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_every_layer_of_images_comes_back(tmp_path, data_format):
    rng = np.random.default_rng(0)

    def random(*shape):
        return array(rng, *shape, dtype="f4")

    last = data_format == "channels_last"
    shape, channels, image = ((9, 8, 4), -1, (1, 2)) if last else ((4, 9, 8), 1, (2, 3))
    form, b = {"data_format": data_format}, random(6)
    deep, point = random(2, 2, 4, 2), random(1, 1, 8, 6)
    layers = [
        Conv2D(
            "conv",
            random(3, 2, 2, 6),
            b,
            strides=(1, 2),
            padding="same",
            groups=2,
            activation_name="relu",
            **form,
        ),
        Conv2D("bare", random(3, 2, 4, 6), None, **form),
        DepthwiseConv2D("deep", random(2, 2, 4, 3), random(12), strides=(2, 2), **form),
        SeparableConv2D("apart", deep, point, b, dilation_rate=(2, 1), **form),
        Conv2DTranspose(
            "back", random(3, 3, 6, 4), b, strides=(2, 3), padding="same", output_padding=(1, 2), **form
        ),
        MaxPooling2D("max", (2, 3), (1, 2), "same", data_format),
        AveragePooling2D("mean", (2, 2), None, "valid", data_format),
        GlobalMaxPooling2D("most", keepdims=True, **form),
        GlobalAveragePooling2D("all", keepdims=False, **form),
        ZeroPadding2D("pad", ((0, 1), (2, 3)), data_format),
        Cropping2D("crop", ((0, 1), (2, 3)), data_format),
        UpSampling2D("up", (2, 3), data_format),
        Flatten("flat", data_format),
        BatchNormalization("norm", None, None, random(4), random(4), axis=channels),
        LayerNormalization("layer", None, random(9, 8), image),
        PReLU("slopes", random(1, *shape[1:]), (1,)),
        Permute("turn", (3, 1, 2)),
        Reshape("rows", (-1, 8)),
        Noise("drop", "SpatialDropout2D", 0.25),
        Concatenate("join", 1),
    ]
    names = tuple(layer.name for layer in layers)
    wiring = (*((0,) for _ in layers[:-1]), (0, 0))
    network = Network(tuple(layers), shape, (), wiring, names)
    assert_equal(load_network(save_network(network, tmp_path / "a.h5")), network)


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


@pytest.mark.parametrize("value", [float("nan"), np.array([np.inf]), object(), {1, 2}])
def test_provenance_that_json_cannot_express_is_refused(tmp_path, small_network, value):
    with pytest.raises(InputError, match="provenance must hold strings, finite numbers"):
        save_network(small_network, tmp_path / "a.h5", provenance={"value": value})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["", "a\nb", "a\0"])
def test_layer_names_that_cannot_be_stored_are_refused(tmp_path, name):
    network = Network((Dense(name, np.eye(2), np.zeros(2)),), (2,))
    with pytest.raises(InputError, match="cannot be stored"):
        save_network(network, tmp_path / "a.h5")


def test_names_that_keras_cannot_have_come_back(tmp_path):
    names = (
        ".",
        "..",
        "top_level_model_weights",
        "block/conv",
        "block_conv",
        "d@0",
        "d@1",
        "d",
        "block@conv",
    )
    layers = tuple(Dense(name, k * np.eye(2), np.zeros(2)) for k, name in enumerate(names, start=1))
    path = save_network(Network(layers, (2,)), tmp_path / "a.h5")
    loaded = load_network(path)
    assert loaded.layer_names == names
    assert [layer.kernel[0, 0] for layer in loaded.dense_layers] == list(range(1, 10))
    with h5py.File(path) as file:
        stored = list(file["model_weights"].attrs["layer_names"])
    assert len(set(stored)) == 9 and not any(set(name) & set("/@") or name in (".", "..") for name in stored)


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
save_network(network, sys.argv[1] + ".first")
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
            time.sleep(rng.uniform(0, 0.2))
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
