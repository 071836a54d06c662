"""Configurations of strangers: every cost is counted before it is paid, and what nobody can compute is refused."""

import json
import time
import tracemalloc
from dataclasses import replace

import h5py
import numpy as np
import pytest
from keras_writing import (
    arrays,
    dense,
    entry,
    functional,
    inside,
    json_file,
    legacy_file,
    old_input,
    old_node,
    sequential,
)

from probe._checks import InputError, ModelFileError
from probe.cli import run
from probe.kerasfile import open_model, read_provenance
from probe.layers import Dense
from probe.network import Network
from probe.safeh5 import DEFAULT_LIMITS
from probe.storage import load_network, save_network

K, B = arrays((4, 3), (3,))
WEIGHTS = {"d": [("d/kernel:0", K), ("d/bias:0", B)]}


def refused(path, match, **settings):
    """Check that the file is refused with a short message, soon and in little memory."""
    tracemalloc.start()
    began = time.process_time()
    with pytest.raises(ModelFileError, match=match) as caught:
        load_network(path, **settings)
    seconds, peak = time.process_time() - began, tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    message = str(caught.value)
    assert message.startswith(str(path)) and message.isprintable() and len(message) < len(str(path)) + 400
    # Tracing takes most of the time.
    assert (seconds < 3, peak < 60 << 20) == (True, True), (seconds, peak)


def chain(*layers, shape=(4,)):
    return sequential(old_input("in", *shape), *layers, dense("d", 3))


def identity_calls(levels, calls, innermost):
    """Return models inside each other of which each calls the one inside `calls` times."""
    model, name = innermost, innermost["config"]["name"]
    for level in range(levels):
        nodes = [old_node((f"i{level}", 0, 0))] + [old_node((name, k, 0)) for k in range(1, calls)]
        layers = [old_input(f"i{level}", 4, inbound=[]), inside(model, nodes)]
        model, name = functional(layers, [[f"i{level}", 0, 0]], [[name, calls, 0]], f"m{level}"), f"m{level}"
    layers = [old_input("in", 4, inbound=[]), inside(model, [old_node(("in", 0, 0))])]
    layers.append(dense("d", 3, [old_node((name, 1, 0))]))
    return functional(layers, [["in", 0, 0]], [["d", 0, 0]])


IDENTITY = functional([old_input("i", 4, inbound=[])], [["i", 0, 0]], [["i", 0, 0]], "identity")


def fan_out(n, calls):
    """Return a model that reads `n` tensors, inside another that calls it `calls` times."""
    add = entry("Add", "sum", [old_node(*[("i", 0, 0)] * n)])
    inner = functional([old_input("i", 4, inbound=[]), add], [["i", 0, 0]], [["sum", 0, 0]], "inner")
    layers = [old_input("in", 4, inbound=[]), inside(inner, [old_node(("in", 0, 0))] * calls)]
    return functional(layers, [["in", 0, 0]], [["inner", calls, 0]])


def all_to_all(n):
    layers = [old_input("in", 4, inbound=[])]
    for k in range(n):
        reads = [("in", 0, 0), ("in", 0, 0), *((f"a{j}", 0, 0) for j in range(k))]
        layers.append(entry("Add", f"a{k}", [[list(read) for read in reads]]))
    return functional(layers, [["in", 0, 0]], [[f"a{n - 1}", 0, 0]])


COSTS = {
    "calls of a model without layers": (
        identity_calls(6, 100, IDENTITY),
        "calls models inside it more than 500 times",
    ),
    "calls of a Sequential without layers": (
        identity_calls(5, 100, sequential(old_input("i", 4), name="identity")),
        "calls models inside it more than 500 times",
    ),
    "calls of a layer": (
        identity_calls(4, 100, sequential(old_input("i", 4), entry("Dropout", "x", rate=0.5), name="one")),
        "calls layers more than 2000 times|calls models inside it more than 500 times",
    ),
    "tensors that calls read": (fan_out(1000, 100), "calls layers with more than 20000 tensors in all"),
    "tensors of a dense graph": (
        all_to_all(200),
        "is called with more tensors, with those of the layers before, than 20000",
    ),
    "outputs": (
        identity_calls(
            1, 900, IDENTITY | {"config": IDENTITY["config"] | {"output_layers": [["i", 0, 0]] * 200}}
        ),
        "calls layers with more than 20000 tensors in all",
    ),
    "layers": (
        chain(*(entry("Dropout", f"x{k}", rate=0.5) for k in range(1999))),
        "no list of at most 2000 layers|calls layers more than 2000 times",
    ),
    "layers of all models": (
        chain(
            *(
                sequential(old_input("i", 4), entry("Dropout", "x", rate=0.5), name=f"m{k}")
                for k in range(1900)
            )
        ),
        "lists more than 4000 layers in all models",
    ),
    "models without layers": (
        chain(*(sequential(name=f"m{k}") for k in range(1900))),
        "calls models inside it more than 500 times",
    ),
    "names": (
        chain(sequential(*(entry("Dropout", f"x{k}", rate=0.5) for k in range(1000)), name="L" * 100_000)),
        "gives its layers names of more than 1048576 letters in all",
    ),
    "long names": (
        chain(*(entry("Dropout", "L" * 2000 + str(k), rate=0.5) for k in range(1000))),
        "gives its layers names of more than 1048576 letters in all",
    ),
    "empty lists": (
        chain() | {"x": [[]] * 200_000},
        "has 600... brackets, commas and colons, more than the 300000",
    ),
    "the repr of a setting": (
        chain(entry("Dropout", "x", rate=[[0.1, []]] * 40_000)),
        r"has rate = \[\[0.1, \[\]\], ",
    ),
    "the repr of a name": (chain(entry("Dropout", [[1]] * 70_000)), r"gives layer 1 the name \[\[1\], "),
    "the repr of a class": (chain(entry([[1]] * 70_000, "x")), r"gives layer 1 the class \[\[1\], "),
    "the repr of a type": (
        chain(entry("Dropout", "x", rate=0.5, dtype=[[1]] * 70_000)),
        "'d' .* has no weights",
    ),
    "the name of a module": (
        chain(entry("Dropout", "x", rate=0.5) | {"module": "keras" + ".a" * 1_000_000}),
        "comes from the module 'keras.a",
    ),
    "numbers of a shared layer": (
        functional(
            [
                old_input("in", 30_000, inbound=[]),
                entry(
                    "Rescaling",
                    "r",
                    [old_node(("in", 0, 0)), old_node(("r", 0, 0)), old_node(("r", 1, 0))],
                    scale=[1.0] * 30_000,
                    offset=0.0,
                ),
            ],
            [["in", 0, 0]],
            [["r", 2, 0]],
        ),
        r"'r@1' \(Rescaling\) has more numbers in its settings, with those of the layers before",
    ),
    "a mean for very many values": (
        sequential(old_input("in", 1 << 25), entry("Normalization", "n", axis=-1, mean=0.0, variance=1.0)),
        "has a mean for 33554432 values in its settings, more than 4194304",
    ),
    "means for many values": (
        sequential(
            old_input("in", 1 << 20),
            *(entry("Normalization", f"n{k}", axis=-1, mean=0.0, variance=1.0) for k in range(50)),
        ),
        r"'n2' \(Normalization\) has more numbers in its settings",
    ),
}


@pytest.mark.parametrize("cost", COSTS)
def test_costs_are_counted_before_they_are_paid(tmp_path, cost):
    model, match = COSTS[cost]
    refused(legacy_file(tmp_path / "a.h5", model, {}), match)


def test_large_models_that_nobody_has_to_fear_are_read(tmp_path):
    model = chain(*(entry("Dropout", f"x{k}", rate=0.5) for k in range(1200)))
    path = legacy_file(tmp_path / "a.h5", model, {f"x{k}": [] for k in range(1200)} | WEIGHTS)
    assert len(load_network(path).layers) == 1201
    model = chain(sequential(name="empty"), sequential(old_input("i", 4), name="input"), dense("x", 4))
    weights = {"empty": [], "input": [], "x": [("k", np.eye(4, dtype="f4")), ("b", np.zeros(4, "f4"))]}
    assert load_network(legacy_file(tmp_path / "d.h5", model, weights | WEIGHTS)).layer_names == ("x", "d")
    model = identity_calls(2, 20, IDENTITY)
    path = legacy_file(tmp_path / "b.h5", model, {"in": [], "m1": []} | WEIGHTS)
    assert load_network(path).layer_names == ("d",)
    name = "L" * 100_000
    path = legacy_file(tmp_path / "c.h5", chain(entry("Dropout", name, rate=0.5)), WEIGHTS)
    assert load_network(path).layer_names == (name, "d")


AXES = {
    "input": (
        sequential(old_input("in", *[1] * 64, 4), dense("d", 3)),
        "gives inputs of 65 axes, more than the 31",
    ),
    "very long input": (
        sequential(old_input("in", *[1] * 100_000), dense("d", 3)),
        "gives inputs of 100000 axes",
    ),
    "Reshape": (chain(entry("Reshape", "x", target_shape=[1] * 64 + [4])), "target_shape with 65 entries"),
    "Permute": (chain(entry("Permute", "x", dims=list(range(1, 100_000)))), "dims with 99999 entries"),
    "Softmax": (chain(entry("Softmax", "x", axis=list(range(1, 100_000)))), r"has axis = \[1, 2, 3, "),
    "Softmax as activation": (
        chain(
            dense("x", 4, activation={"class_name": "Softmax", "config": {"axis": list(range(1, 100_000))}})
        ),
        r"has axis = \[1, 2, 3, ",
    ),
    "LayerNormalization": (
        chain(entry("LayerNormalization", "x", axis=[1] * 100_000)),
        "axis with 100000 entries",
    ),
    "BatchNormalization": (
        chain(entry("BatchNormalization", "x", axis=[1] * 100_000)),
        r"has axis = \[1, 1, ",
    ),
    "Normalization": (
        chain(entry("Normalization", "x", axis=[1] * 100_000, mean=0.0, variance=1.0)),
        "axis with 100000 entries",
    ),
    "PReLU": (chain(entry("PReLU", "x", shared_axes=[1] * 100_000)), "shared_axes with 100000 entries"),
    "ZeroPadding2D": (
        chain(entry("ZeroPadding2D", "x", padding=[[1, 1]] * 50_000)),
        r"padding = \[\[1, 1\], \[1, 1\]",
    ),
    "Cropping2D": (
        chain(entry("Cropping2D", "x", cropping=[[0] * 100_000] * 2)),
        r"cropping = \[\[0, 0, 0, ",
    ),
    "Conv2D": (
        chain(entry("Conv2D", "x", filters=1, kernel_size=[1] * 100_000), shape=(4, 4, 1)),
        r"kernel_size = \[1, 1, 1, ",
    ),
    "mean": (
        chain(
            entry("Normalization", "x", axis=-1, mean=json.loads("[" * 50 + "0.5" + "]" * 50), variance=1.0)
        ),
        "has a mean that is no regular array",
    ),
}


@pytest.mark.parametrize("place", AXES)
def test_axes_that_no_array_can_have_are_refused(tmp_path, place):
    model, match = AXES[place]
    refused(legacy_file(tmp_path / "a.h5", model, {}), match)


def test_arrays_of_many_axes_are_computed_with(tmp_path):
    model = chain(entry("Reshape", "x", target_shape=[1] * 30 + [4]), entry("Flatten", "f"))
    network = load_network(legacy_file(tmp_path / "a.h5", model, {"x": [], "f": []} | WEIGHTS))
    assert network.outputs(np.ones((2, 4), "f4")).shape == (2, 3)


SCALED = {
    "scale": ("Rescaling", {"scale": 1e308, "offset": 0.0}, r"has scale = 1e\+308, expected a finite number"),
    "one scale of several": ("Rescaling", {"scale": [1, 1, 1, -1e39], "offset": 0.0}, r"has scale = -1e\+39"),
    "large integer": ("Rescaling", {"scale": 10**60, "offset": 0.0}, "has scale = 1000"),
    "offset": ("Rescaling", {"scale": 1.0, "offset": 1e39}, r"has offset = 1e\+39"),
    "epsilon": ("BatchNormalization", {"axis": [1], "epsilon": 1e308}, r"has epsilon = 1e\+308"),
    "epsilon of layers": ("LayerNormalization", {"axis": [1], "epsilon": 1e39}, r"has epsilon = 1e\+39"),
    "negative epsilon": (
        "BatchNormalization",
        {"axis": [1], "epsilon": -1.0},
        "has epsilon = -1, expected a number",
    ),
    "mean": ("Normalization", {"axis": -1, "mean": [1e39] * 4, "variance": [1.0] * 4}, r"has mean = 1e\+39"),
    "variance": ("Normalization", {"axis": -1, "mean": 0.0, "variance": 1e39}, r"has variance = 1e\+39"),
    "negative variance": (
        "Normalization",
        {"axis": -1, "mean": [0.0] * 4, "variance": [1.0, -1.0, 1.0, 1.0]},
        "has a variance of -1 in its settings, expected numbers from 0",
    ),
    "slope": ("LeakyReLU", {"alpha": 1e300}, r"has alpha = 1e\+300"),
    "slope of ReLU": ("ReLU", {"negative_slope": -1e300}, r"has negative_slope = -1e\+300"),
    "threshold": ("ReLU", {"threshold": 1e300}, r"has threshold = 1e\+300"),
    "theta": ("ThresholdedReLU", {"theta": 1e300}, r"has theta = 1e\+300"),
    "alpha": ("ELU", {"alpha": 1e300}, r"has alpha = 1e\+300"),
    "largest value": ("ReLU", {"max_value": 1e39}, r"has max_value = 1e\+39, .* at most 3.4e\+38"),
    "rate": ("Dropout", {"rate": 1e300}, r"has rate = 1e\+300"),
    "yes": ("Rescaling", {"scale": True, "offset": 0.0}, "has scale = True, expected a finite number"),
}


@pytest.mark.parametrize("setting", SCALED)
def test_numbers_that_overflow_are_refused(tmp_path, setting):
    class_name, config, match = SCALED[setting]
    model = chain(entry(class_name, "x", **config))
    refused(legacy_file(tmp_path / "a.h5", model, {}), rf"'x' \({class_name}\) {match}")


def test_the_largest_numbers_that_do_not_overflow_are_read(tmp_path):
    rescaled = entry("Rescaling", "r", scale=1 / 255, offset=-1e5)
    model = chain(rescaled, entry("ReLU", "x", max_value=float(np.finfo("f4").max), threshold=1e-30))
    network = load_network(legacy_file(tmp_path / "a.h5", model, {"r": [], "x": []} | WEIGHTS))
    assert np.isfinite(network.logits(np.ones((1, 4), "f4"))).all()


WINDOW = {"strides": [1, 1], "data_format": "channels_last"}
FAR = {"kernel_size": [2, 2], "dilation_rate": [1 << 15, 1 << 15], "padding": "same", **WINDOW}
SPACE = {
    "UpSampling2D": ({"size": [8000, 8000], "interpolation": "nearest"}, r"puts out \(32000, 32000, 1\)"),
    "ZeroPadding2D": ({"padding": [[0, 1 << 28], [0, 0]]}, r"puts out \(268435460, 4, 1\)"),
    "MaxPooling2D": ({"pool_size": [1 << 28] * 2, "padding": "same", **WINDOW}, "needs an array of"),
    "AveragePooling2D": ({"pool_size": [1 << 14] * 2, "padding": "same", **WINDOW}, "needs an array of"),
    "Conv2D": ({"filters": 1, **FAR}, "needs an array of 1074003984 values for one input"),
    "DepthwiseConv2D": (FAR, "needs an array of 1074003984 values"),
    "SeparableConv2D": ({"filters": 1, **FAR}, "needs an array of 1074003984 values"),
    "Conv2DTranspose": ({"filters": 1, **FAR}, "needs an array of 1074003984 values"),
    "Dense": ({"units": 1 << 28}, r"puts out \(4, 4, 268435456\)"),
    "Reshape": ({"target_shape": [1 << 40, 1 << 40, -1]}, "cannot reshape"),
}


@pytest.mark.parametrize("class_name", SPACE)
def test_layers_that_need_more_memory_than_the_limit_are_refused(tmp_path, class_name):
    config, match = SPACE[class_name]
    model = chain(entry(class_name, "x", **config), shape=(4, 4, 1))
    refused(legacy_file(tmp_path / "a.h5", model, {}), f"layer 'x'.*{match}")


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_the_limit_is_that_of_the_caller(tmp_path, data_format):
    model = chain(
        entry("MaxPooling2D", "x", pool_size=[9, 9], padding="same", strides=[1, 1], data_format=data_format),
        entry("GlobalMaxPooling2D", "g", data_format=data_format),
        shape=(8, 8, 4) if data_format == "channels_last" else (4, 8, 8),
    )
    path = legacy_file(tmp_path / "a.h5", model, {"x": [], "g": []} | WEIGHTS)
    # 81 places in a window, with 64 values' memory each, are more than 16 x 16 x 4 padded values.
    load_network(path, limits=replace(DEFAULT_LIMITS, activation_values=81 * 64))
    limits = replace(DEFAULT_LIMITS, activation_values=81 * 64 - 1)
    refused(path, r"'x' \(MaxPooling2D\) needs an array of 5184 values for one input", limits=limits)
    limits = replace(DEFAULT_LIMITS, activation_values=255)
    refused(path, "gives inputs of 256 values, more than the 255 that", limits=limits)
    refused(path, "has 84 brackets", limits=replace(DEFAULT_LIMITS, json_tokens=10))


def with_own(path, **texts):
    """Return a file in which `/probe` has these texts."""
    legacy_file(
        path,
        chain(dense("x", 4)),
        {"x": [("k", K[:, :1] @ K[:1, [0, 1, 2, 2]]), ("b", np.zeros(4, "f4"))]} | WEIGHTS,
    )
    with h5py.File(path, "r+") as file:
        group = file.create_group("probe")
        for name, text in (texts | {"encoding-version": "1"}).items():
            group.attrs.create(name, text, dtype=h5py.string_dtype())
    return path


OWN = [
    ("class_names", '["a", "b", "a"]', "class_names that are there twice: 'a'"),
    ("class_names", '["a", "b", ""]', r"class_names that cannot be shown: \[''\]"),
    ("class_names", '["a", "b\\nc", "d"]', r"cannot be shown: \['b\\nc'\]"),
    ("class_names", '["a", "\\u001b[2J", "d"]', "cannot be shown"),
    ("class_names", '["a", "\\u202eb", "d"]', "cannot be shown"),
    ("class_names", '["a", "\\ud800", "d"]', "half of a character"),
    ("class_names", '["a", "b", 3]', "no list of strings"),
    ("class_names", '{"a": 1}', "no list of strings"),
    ("class_names", '["a", NaN, "b"]', "holds NaN"),
    ("class_names", '["a", "b"]', "class_names must name 3 outputs, got 2"),
    ("class_names", json.dumps([f"c{k}" for k in range(100_000)]), "must name 3 outputs, got 100000"),
    ("class_names", json.dumps([f"c{k}" for k in range(310_000)]), "has 310001 brackets"),
    ("class_names", json.dumps(["a", "b", "c" * 2_000_000]), "of 2000002 letters, more than the 1048576"),
    ("class_names", "a, b, c", "attribute 'class_names' of /probe is not valid JSON"),
    ("own_names", '{"x": "y", "d": "y"}', "own_names that are there twice: 'y'"),
    ("own_names", '{"x": "y", "x": "z", "d": "w"}', "names the same setting twice"),
    ("own_names", '{"x": "y"}', "own_names that are not for the layers of this model, as of 'd'"),
    ("own_names", '{"x": "y", "d": "z", "e": "w"}', "not for the layers of this model, as of 'e'"),
    ("own_names", '{"d": "z", "x": "y"}', "own_names that list 'z' before what it reads"),
    ("own_names", '{"x": "\\u200b", "d": "z"}', "own_names that cannot be shown"),
    ("own_names", '{"x": 3, "d": "z"}', "no mapping of names"),
    ("own_names", json.dumps({"x": "y" * 2_000_000, "d": "z"}), "of 2000001 letters"),
    ("provenance", "[" * 100_000 + "]" * 100_000, "nested deeper than 100 levels"),
    ("provenance", '{"a":' * 900 + "1" + "}" * 900, "nested deeper than 100 levels"),
    ("provenance", '{"seed": NaN}', "holds NaN"),
    ("provenance", '{"seed": 1e999}', "holds 1e999"),
    ("provenance", '{"seed": ' + "9" * 4000 + "}", "a number of 4000 digits"),
    ("provenance", '{"x": [' + "[]," * 200_000 + "[]]}", "has 600007 brackets"),
    ("provenance", '{"<b>": "\\ud800"}', "half of a character"),
    ("provenance", "[]", "a provenance that is no JSON object"),
]


@pytest.mark.parametrize(("name", "text", "match"), OWN)
def test_what_only_this_project_writes_is_checked_like_the_configuration(tmp_path, name, text, match):
    path = with_own(tmp_path / "a.h5", **{name: text})
    refused(path, match)
    if name == "provenance":
        with pytest.raises(ModelFileError, match=match):
            read_provenance(path)


def test_names_may_be_any_text_that_can_be_shown(tmp_path):
    names = ("<script>alert(1)</script>"[:8], "[/red]", "\U0001f9e0 é $\\frac{1}{$")
    path = with_own(
        tmp_path / "a.h5", class_names=json.dumps(["a b", *names[1:]]), own_names='{"x": "d", "d": "../x"}'
    )
    network = load_network(path)
    assert network.class_names == ("a b", *names[1:]) and network.layer_names == ("d", "../x")


@pytest.mark.parametrize(
    ("names", "match"),
    [
        (("a", "b", "a"), "class_names must"),
        (("a", "b\n", "c"), r"class.name.* '?b"),
        (("a", "b", "c" * 2_000_000), "has 2000000 characters, more than 256"),
    ],
)
def test_what_could_not_be_read_again_is_not_written(tmp_path, names, match):
    with pytest.raises(InputError, match=match):
        save_network(Network((Dense("d", K, B),), (4,), names), tmp_path / "a.h5")
    with pytest.raises(
        InputError, match=r"provenance is nested deeper.*; store long lists of numbers as arrays"
    ):
        save_network(
            Network((Dense("d", K, B),), (4,)),
            tmp_path / "a.h5",
            provenance={"a": json.loads("[" * 99 + "]" * 99)} | {"b": json.loads("[" * 101 + "]" * 101)},
        )
    assert not (tmp_path / "a.h5").exists()


def test_calls_of_a_layer_share_what_the_file_does_not_hold(tmp_path):
    square = np.eye(4, dtype="f4")
    layers = [
        old_input("in", 4, inbound=[]),
        dense("x", 4, [old_node(("in", 0, 0)), old_node(("n", 0, 0))], use_bias=False),
        entry(
            "Normalization",
            "n",
            [old_node(("x", 0, 0)), old_node(("x", 1, 0))],
            axis=-1,
            mean=[0.0] * 4,
            variance=1.0,
        ),
    ]
    model = functional(layers, [["in", 0, 0]], [["n", 1, 0]])
    network = load_network(
        legacy_file(tmp_path / "a.h5", model, {"in": [], "x": [("x/kernel:0", square)], "n": []})
    )
    first, second = (network.layer(f"x@{k}") for k in range(2))
    assert first.kernel is second.kernel and first.bias is second.bias
    first, second = (network.layer(f"n@{k}") for k in range(2))
    assert first.mean is second.mean and first.variance is second.variance


LAMBDA = entry("Lambda", "scale", function=["4wE=", None, None], function_type="lambda")


@pytest.mark.parametrize("name", ["scale", "rescaling"])
def test_another_architecture_takes_the_place_of_the_files_own(tmp_path, name):
    path = legacy_file(tmp_path / "a.h5", chain(LAMBDA), {"scale": []} | WEIGHTS)
    refused(path, r"'scale' \(Lambda\) holds program code, .*--replace scale='.*--architecture")
    model = chain(entry("Rescaling", name, scale=0.5, offset=-1.0))
    network = load_network(path, architecture=json_file(tmp_path / "config.json", model))
    x = np.random.default_rng(0).normal(size=(2, 4)).astype("f4")
    np.testing.assert_allclose(network.outputs(x), np.tanh((x / 2 - 1) @ K + B), rtol=1e-5)


def test_another_architecture_is_of_the_same_weights(tmp_path):
    path = legacy_file(tmp_path / "a.h5", chain(), WEIGHTS)
    other = json_file(tmp_path / "config.json", sequential(old_input("in", 4), dense("e", 3)))
    refused(path, "layer_names lists 'd', unknown to model_config: 'e'", architecture=other)
    other = json_file(tmp_path / "config.json", sequential(old_input("in", 4), dense("d", 5)))
    refused(path, r"kernel has shape \(4, 3\), expected \(4, 5\)", architecture=other)
    other = json_file(tmp_path / "config.json", chain(dense("x", 4)))
    refused(path, r"'x' \(Dense\) has no weights in the file", architecture=other)


@pytest.mark.parametrize("name", ["mlp.h5", "mlp.keras", "mlp.weights.h5"])
def test_an_architecture_that_is_given_is_never_ignored(fixtures, tmp_path, name):
    path = fixtures / "keras3" / name
    for architecture in (tmp_path / "missing.json", tmp_path):
        with pytest.raises(ModelFileError, match="does not exist, or is no file"):
            load_network(path, architecture=architecture)
    with pytest.raises(ModelFileError, match=r"config\.json: model_config is not valid JSON"):
        (tmp_path / "config.json").write_text("{")
        load_network(path, architecture=tmp_path / "config.json")
    network = load_network(path, architecture=fixtures / "keras3" / "mlp.h5")
    assert network.layer_names == load_network(fixtures / "keras3" / "mlp.h5").layer_names
    with pytest.raises(InputError, match="architecture must be a path that a file can have or None, got 3"):
        load_network(path, architecture=3)
    with pytest.raises(InputError, match="path must be a path that a file can have, got 3"):
        load_network(3)


def test_the_command_line_says_that_an_architecture_does_not_exist(fixtures, tmp_path, capsys):
    missing = tmp_path / "missing.json"
    for name in ("mlp.h5", "mlp.keras", "mlp.weights.h5"):
        assert run(["inspect", str(fixtures / "keras3" / name), "--architecture", str(missing)]) == 2
        assert capsys.readouterr().err.startswith(f"probe: {missing} does not exist")


def test_the_architecture_of_an_archive_can_be_replaced(fixtures):
    other = fixtures / "keras3" / "mlp.keras"
    network = load_network(fixtures / "keras3" / "mlp.keras", architecture=fixtures / "keras3" / "mlp.h5")
    assert network.layer_names == load_network(other).layer_names
    with pytest.raises(ModelFileError, match=r"cnn\.keras, model\.weights\.h5: layer"):
        load_network(fixtures / "keras3" / "cnn.keras", architecture=other)


@pytest.mark.parametrize("class_name", ["ClassMethod", "InstanceMethod", "InstanceProperty"])
def test_methods_of_tensors_are_said_to_be_such(tmp_path, class_name):
    operation = entry(class_name, "op", [["in", 0, 0, {"y": 255.0, "name": None}]], function="math.truediv")
    layers = [old_input("in", 4, inbound=[]), operation, dense("d", 3, [old_node(("op", 0, 0))])]
    path = legacy_file(tmp_path / "a.h5", functional(layers, [["in", 0, 0]], [["d", 0, 0]]), WEIGHTS)
    refused(path, r"is an operation on tensors that cannot be read; say what it computes \(--replace op=")


def test_what_no_check_foresees_names_the_file(tmp_path, monkeypatch):
    path = legacy_file(tmp_path / "a.h5", chain(), WEIGHTS)
    for error in (KeyError("x"), RecursionError("deep"), OverflowError(), TypeError("y" * 1000)):

        def fails(*_arguments, error=error):
            raise error

        with monkeypatch.context() as patched:
            patched.setattr("probe.kerasfile._file.flatten", fails)
            refused(path, rf"cannot be read \({type(error).__name__}")
        with monkeypatch.context() as patched, open_model(path) as model:
            patched.setattr("probe.kerasfile._kinds.LayerKind.build", fails)
            with pytest.raises(ModelFileError, match=rf"a.h5 cannot be read \({type(error).__name__}"):
                model.network()
    with monkeypatch.context() as patched:
        patched.setattr("probe.kerasfile._file.flatten", lambda *_: (_ for _ in ()).throw(MemoryError()))
        refused(path, "holds a model that takes more memory than there is")


def test_errors_of_the_caller_are_not_those_of_the_file(tmp_path):
    path = legacy_file(tmp_path / "a.h5", chain(), WEIGHTS)
    with pytest.raises(KeyError, match="mine"), open_model(path):
        raise KeyError("mine")
    with pytest.raises(InputError) as caught, open_model(path) as model:
        model.network(ending_at="x")
    assert str(caught.value) == "layer 'x' does not exist: the model has 'd'. Pass one of these"
