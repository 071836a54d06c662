"""The traps of Keras' layouts for which no recorded file is here, each in a file written by hand."""

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
    new_input,
    new_node,
    object_file,
    old_input,
    old_node,
    sequential,
)

from probe._checks import ModelFileError, ModelFileWarning
from probe.layers import (
    Add,
    BatchNormalization,
    Concatenate,
    Conv2D,
    Dense,
    DepthwiseConv2D,
    Flatten,
    Normalization,
)
from probe.network import Network
from probe.storage import load_network

pytestmark = pytest.mark.filterwarnings("error")


def assert_same(network, layers, *, wiring=(), outputs=(), shapes=((4,),)):
    """Assert that the file gave the network of these layers."""
    expected = Network(tuple(layers), shapes[0], (), wiring, outputs, tuple(shapes[1:]))
    assert network.layer_names == expected.layer_names
    assert network.wiring == expected.wiring
    assert network.output_names == expected.output_names
    rng = np.random.default_rng(1)
    inputs = tuple(rng.normal(size=(3, *shape)).astype("f4") for shape in shapes)
    x = inputs if len(inputs) > 1 else inputs[0]
    for found, other in zip(network.all_outputs(x), expected.all_outputs(x), strict=True):
        np.testing.assert_array_equal(found, other)


K1, B1, K2, B2 = arrays((4, 4), (4,), (4, 4), (4,))
"""Weights of two dense layers that only their places tell apart."""


@pytest.mark.parametrize("shown", [True, False])
def test_groups_are_called_after_classes_and_not_after_layers(tmp_path, shown):
    model = sequential(new_input("in", 4), dense("z", 4), dense("dense", 4))
    names = {"dense": "z", "dense_1": "dense"} if shown else {}
    path = object_file(tmp_path / "a.h5", {"dense": [K1, B1], "dense_1": [K2, B2]}, names=names)
    network = load_network(path, architecture=json_file(tmp_path / "config.json", model))
    assert_same(network, [Dense("z", K1, B1, "tanh"), Dense("dense", K2, B2, "tanh")])


def test_a_group_that_says_it_belongs_to_another_layer_is_refused(tmp_path):
    model = sequential(new_input("in", 4), dense("z", 4), dense("dense", 4))
    path = object_file(tmp_path / "a.h5", {"dense": [K1, B1], "dense_1": [K2, B2]}, names={"dense": "y"})
    with pytest.raises(ModelFileError, match=r"layer 'z'.* which belongs to 'y'"):
        load_network(path, architecture=json_file(tmp_path / "config.json", model))


def test_layers_are_found_by_name_though_the_alphabet_turns_them_round(tmp_path):
    model = sequential(old_input("in", 4), dense("z", 4), dense("a", 4))
    weights = {"z": [("z/kernel:0", K1), ("z/bias:0", B1)], "a": [("a_1/kernel:0", K2), ("a_1/bias:0", B2)]}
    network = load_network(legacy_file(tmp_path / "a.h5", model, weights))
    assert_same(network, [Dense("z", K1, B1, "tanh"), Dense("a", K2, B2, "tanh")])


def chunked(attributes, name, values):
    for part, value in enumerate(values):
        attributes[f"{name}{part}"] = np.array([value.encode()])


def fixed(attributes, name, values):
    attributes[name] = np.array([value.encode() for value in values])


@pytest.mark.parametrize("texts", [chunked, fixed])
@pytest.mark.parametrize("whole", [True, False])
def test_lists_of_names_may_be_bytes_and_in_pieces(tmp_path, texts, whole):
    model = sequential(old_input("in", 4), dense("a", 4), entry("Dropout", "d", rate=0.5), dense("b", 4))
    weights = {"a": [("kernel", K1), ("bias", B1)], "d": [], "b": [("kernel", K2), ("bias", B2)]}
    path = legacy_file(tmp_path / "a.h5", model, weights, texts=texts, whole=whole)
    config = json_file(tmp_path / "config.json", model)
    network = load_network(path, architecture=None if whole else config)
    np.testing.assert_array_equal(network.layer("b").kernel, K2)
    assert network.layer_names == ("a", "d", "b")


NORMAL = arrays((4,), (4,), (4,), (4,), (4,), (4,), (4,), (4,))
PARTS = ("gamma", "beta", "moving_mean", "moving_variance")


def normalized(trainable, inner=None):
    inner = sequential(
        dense("c1", 4),
        entry("BatchNormalization", "b1", trainable=trainable, axis=[1]),
        dense("c2", 4),
        entry("BatchNormalization", "b2", axis=-1),
        name="inner",
        **(inner or {}),
    )
    return sequential(old_input("in", 4), inside(inner), dense("last", 3))


K3, B3 = arrays((4, 3), (3,))
ALL = {
    "c1/kernel": K1,
    "c1/bias": B1,
    "c2/kernel": K2,
    "c2/bias": B2,
    **{f"b1/{part}": values for part, values in zip(PARTS, NORMAL, strict=False)},
    **{f"b2/{part}": values for part, values in zip(PARTS, NORMAL[4:], strict=True)},
}
KERNELS = ["c1/kernel", "c1/bias"], ["c2/kernel", "c2/bias"]
SCALES = ["b1/gamma", "b1/beta"], ["b2/gamma", "b2/beta"]
MOMENTS = (["b1/moving_mean", "b1/moving_variance"], ["b2/moving_mean", "b2/moving_variance"])
LEAVES = [*KERNELS[0], *SCALES[0], *MOMENTS[0], *KERNELS[1], *SCALES[1], *MOMENTS[1]]
TRAINED_FIRST = [*KERNELS[0], *SCALES[0], *KERNELS[1], *SCALES[1], *MOMENTS[0], *MOMENTS[1]]
FROZEN = [*KERNELS[0], *KERNELS[1], *SCALES[1], *SCALES[0], *MOMENTS[0], *MOMENTS[1]]


@pytest.mark.parametrize(
    ("order", "model", "version"),
    [
        (TRAINED_FIRST, normalized(trainable=True), "2.15.0"),
        (TRAINED_FIRST, normalized(trainable=True), "3.15.1"),
        (FROZEN, normalized(trainable=False), "2.15.0"),
        (FROZEN, normalized(trainable=False), "3.15.1"),
        # A frozen model around layers that are not.
        (LEAVES, normalized(trainable=True, inner={"trainable": False}), "3.15.1"),
        (TRAINED_FIRST, normalized(trainable=True, inner={"trainable": False}), "2.15.0"),
    ],
)
@pytest.mark.parametrize("scope", ["", "inner/"])
def test_a_model_inside_lists_what_is_trained_first(tmp_path, order, model, version, scope):
    weights = {
        "inner": [(f"{scope}{name}", ALL[name]) for name in order],
        "last": [("last/kernel", K3), ("last/bias", B3)],
    }
    network = load_network(legacy_file(tmp_path / "a.h5", model, weights, version=version))
    expected = [
        Dense("inner/c1", K1, B1, "tanh"),
        BatchNormalization("inner/b1", *NORMAL[:4], axis=1),
        Dense("inner/c2", K2, B2, "tanh"),
        BatchNormalization("inner/b2", *NORMAL[4:]),
        Dense("last", K3, B3, "tanh"),
    ]
    assert_same(network, expected)


def test_weights_of_a_model_inside_in_another_order_are_refused(tmp_path):
    order = [*KERNELS[1], *TRAINED_FIRST[2:4], *KERNELS[0], *TRAINED_FIRST[6:]]
    weights = {
        "inner": [(name, ALL[name]) for name in order],
        "last": [("last/kernel", K3), ("last/bias", B3)],
    }
    with pytest.raises(ModelFileError, match=r"layer 'inner'.*c2/kernel for 'inner/c1'"):
        load_network(legacy_file(tmp_path / "a.h5", normalized(trainable=True), weights))


def test_an_array_that_is_listed_twice_is_refused(tmp_path):
    weights = {"inner": [("kernel", K1), ("bias", B1)], "last": [("kernel", K3), ("bias", B3)]}
    model = sequential(old_input("in", 4), dense("inner", 4), dense("last", 3))
    path = legacy_file(tmp_path / "a.h5", model, weights)
    with h5py.File(path, "r+") as file:
        file["model_weights/inner"].attrs["weight_names"] = ["kernel", "kernel"]
    with pytest.raises(ModelFileError, match="lists one of its arrays twice"):
        load_network(path)


def shared_model(node, make_input, shift_inside, shift_at_the_end, sequential_inside):
    """Return a model with two inputs that calls the same model on both, and then on what that gives."""
    if sequential_inside:
        inner = sequential(make_input("i", 4), dense("d", 4), name="enc")
    else:
        inner = functional(
            [make_input("i", 4, inbound=[]), dense("d", 4, [node(("i", 0, 0))])],
            [["i", 0, 0]],
            [["d", 0, 0]],
            name="enc",
        )
    layers = [
        make_input("b", 4, inbound=[]),
        make_input("a", 4, inbound=[]),
        inside(inner, [node(("a", 0, 0)), node(("b", 0, 0))]),
        entry("Subtract", "sub", [node(("enc", shift_inside, 0), ("enc", 1 + shift_inside, 0))]),
    ]
    ends = [["sub", 0, 0], ["enc", 1 + shift_at_the_end, 0], ["enc", shift_at_the_end, 0]]
    return functional(layers, [["a", 0, 0], ["b", 0, 0]], ends)


@pytest.mark.parametrize(
    ("version", "sequential_inside", "shift_inside", "shift_at_the_end"),
    [("2.15.0", False, 1, 1), ("2.15.0", True, 1, 1), ("3.15.1", False, 0, 1), ("3.15.1", True, 0, 0)],
)
def test_calls_of_a_shared_model_are_counted_as_each_version_counts_them(
    tmp_path, version, sequential_inside, shift_inside, shift_at_the_end
):
    node, make_input = (old_node, old_input) if version < "3" else (new_node, new_input)
    model = shared_model(node, make_input, shift_inside, shift_at_the_end, sequential_inside)
    weights = {"b": [], "a": [], "enc": [("d/kernel:0", K1), ("d/bias:0", B1)], "sub": []}
    network = load_network(legacy_file(tmp_path / "a.h5", model, weights, version=version))
    assert network.layer_names == ("enc/d@0", "enc/d@1", "sub")
    assert network.wiring == ((0,), (1,), ("enc/d@0", "enc/d@1"))
    assert network.output_names == ("sub", "enc/d@1", "enc/d@0")
    assert network.layers[0].kernel is network.layers[1].kernel
    assert network.n_parameters == 20


@pytest.mark.parametrize("version", ["2.15.0", "3.15.1"])
def test_the_calls_of_a_shared_layer_and_the_order_of_inputs_come_from_the_lists(tmp_path, version):
    node, make_input = (old_node, old_input) if version < "3" else (new_node, new_input)
    layers = [
        make_input("b_in", 4, inbound=[]),
        make_input("a_in", 4, inbound=[]),
        dense("sh", 4, [node(("a_in", 0, 0)), node(("b_in", 0, 0))]),
        entry("Concatenate", "cat", [node(("sh", 1, 0), ("sh", 0, 0))], axis=-1),
    ]
    model = functional(layers, [["a_in", 0, 0], ["b_in", 0, 0]], ["cat", 0, 0])
    weights = {"b_in": [], "a_in": [], "sh": [("kernel", K1), ("bias", B1)], "cat": []}
    network = load_network(legacy_file(tmp_path / "a.h5", model, weights, version=version))
    expected = [Dense("sh@0", K1, B1, "tanh"), Dense("sh@1", K1, B1, "tanh"), Concatenate("cat")]
    assert_same(
        network, expected, wiring=((0,), (1,), ("sh@1", "sh@0")), outputs=("cat",), shapes=((4,), (4,))
    )


def named_node(version, **tensors):
    """Return a call with tensors by name."""
    if version < "3":
        return {name: [*tensor, {}] for name, tensor in tensors.items()}
    described = {name: new_node(tensor)["args"][0] for name, tensor in tensors.items()}
    return {"args": [described], "kwargs": {}}


@pytest.mark.parametrize("version", ["2.15.0", "3.15.1"])
def test_inputs_and_outputs_may_have_names(tmp_path, version):
    node, make_input = (old_node, old_input) if version < "3" else (new_node, new_input)
    inner = functional(
        [
            make_input("one", 4, inbound=[]),
            make_input("two", 4, inbound=[]),
            entry("Subtract", "minus", [node(("one", 0, 0), ("two", 0, 0))]),
        ],
        {"p": ["one", 0, 0], "q": {"r": ["two", 0, 0]}},
        {"difference": ["minus", 0, 0]},
        name="block",
    )
    call = named_node(version, p=("left", 0, 0), q=("right", 0, 0))
    named = call if version < "3" else call["args"][0]
    named["q"] = {"r": named["q"]}
    layers = [
        make_input("left", 4, inbound=[]),
        make_input("right", 4, inbound=[]),
        inside(inner, [call]),
        dense("d", 4, [node(("block", 0 if version >= "3" else 1, 0))]),
    ]
    # The alphabet orders them, not the file.
    model = functional(
        layers, {"b": ["right", 0, 0], "a": ["left", 0, 0]}, {"y": ["d", 0, 0], "x": ["block", 1, 0]}
    )
    weights = {"left": [], "right": [], "block": [], "d": [("kernel", K1), ("bias", B1)]}
    network = load_network(legacy_file(tmp_path / "a.h5", model, weights, version=version))
    assert network.input_names == ("a", "b")
    assert network.output_names == ("block/minus", "d")
    assert network.wiring == ((0, 1), ("block/minus",))


@pytest.mark.parametrize("names", [("p",), ("p", "s"), ("p", "q", "s")])
def test_a_model_is_called_with_the_names_of_its_inputs(tmp_path, names):
    inner = functional(
        [
            old_input("one", 4, inbound=[]),
            old_input("two", 4, inbound=[]),
            entry("Subtract", "minus", [old_node(("one", 0, 0), ("two", 0, 0))]),
        ],
        {"p": ["one", 0, 0], "q": ["two", 0, 0]},
        [["minus", 0, 0]],
        name="block",
    )
    call = named_node("2", **dict.fromkeys(names, ("in", 0, 0)))
    model = functional(
        [old_input("in", 4, inbound=[]), inside(inner, [call])], [["in", 0, 0]], [["block", 1, 0]]
    )
    path = legacy_file(tmp_path / "a.h5", model, {"in": [], "block": []})
    with pytest.raises(ModelFileError, match=r"'block' .* tensors named 'p'.*, and takes 'p', 'q'"):
        load_network(path)


@pytest.mark.parametrize(
    ("class_name", "settings", "match"),
    [
        ("Dropout", {"rate": 0.5}, "'l' .Dropout. is called with training = True"),
        ("BatchNormalization", {"axis": -1}, "'l' .BatchNormalization. is called with training = True"),
        ("RandomFlip", {"mode": "horizontal"}, "'l' .RandomFlip. is called with training = True"),
        ("ReLU", {}, None),
    ],
)
@pytest.mark.parametrize("value", [True, 1])
def test_keras_2_trains_where_a_call_says_so(tmp_path, class_name, settings, match, value):
    layers = [
        old_input("in", 4, inbound=[]),
        entry(class_name, "l", [[["in", 0, 0, {"training": value}]]], **settings),
    ]
    path = legacy_file(
        tmp_path / "a.h5", functional(layers, [["in", 0, 0]], [["l", 0, 0]]), {"in": [], "l": []}
    )
    if match is None:
        assert load_network(path).layer_names == ("l",)
        return
    with pytest.raises(ModelFileError, match=match):
        load_network(path)


def test_booleans_may_be_numbers(tmp_path):
    (mean, variance) = arrays((4,), (4,))
    layer = entry("BatchNormalization", "bn", axis=[1], center=0, scale=0, trainable=0)
    model = sequential(old_input("in", 4), layer, dense("d", 4, use_bias=1))
    weights = {
        "bn": [("bn/moving_mean:0", mean), ("bn/moving_variance:0", variance)],
        "d": [("d/kernel:0", K1), ("d/bias:0", B1)],
    }
    network = load_network(legacy_file(tmp_path / "a.h5", model, weights))
    assert network.layers[0].gamma is None
    assert network.layers[0].beta is None
    np.testing.assert_array_equal(network.layers[1].bias, B1)


def test_layers_are_evaluated_when_what_they_read_is_there(tmp_path):
    layers = [
        entry("Add", "sum", [old_node(("late", 0, 0), ("in", 0, 0))]),
        dense("late", 4, [old_node(("early", 0, 0))]),
        dense("early", 4, [old_node(("in", 0, 0))]),
        old_input("in", 4, inbound=[]),
    ]
    model = functional(layers, [["in", 0, 0]], [["sum", 0, 0]])
    weights = {
        "sum": [],
        "late": [("kernel", K1), ("bias", B1)],
        "early": [("kernel", K2), ("bias", B2)],
        "in": [],
    }
    network = load_network(legacy_file(tmp_path / "a.h5", model, weights))
    expected = [Dense("early", K2, B2, "tanh"), Dense("late", K1, B1, "tanh"), Add("sum")]
    assert_same(network, expected, wiring=((0,), ("early",), ("late", 0)))


def functional_object_model():
    inner = functional(
        [new_input("i", 4, inbound=[]), dense("d", 4, [new_node(("i", 0, 0))])],
        [["i", 0, 0]],
        [["d", 0, 0]],
        name="block",
    )
    layers = [
        new_input("in", 4, inbound=[]),
        dense("z", 4, [new_node(("in", 0, 0))]),
        inside(inner, [new_node(("z", 0, 0))]),
        entry("ReLU", "r", [new_node(("block", 0, 0))]),
        dense("dense", 3, [new_node(("r", 0, 0))]),
    ]
    return functional(layers, [["in", 0, 0]], [["dense", 0, 0]])


@pytest.mark.parametrize("windows", [False, True])
def test_inputs_count_among_the_groups_of_functional_models(tmp_path, windows):
    tree = {
        "input_layer": [],
        "dense": [K1, B1],
        "functional": {"input_layer": [], "dense": [K2, B2]},
        "re_lu": [],
        "dense_1": [K3, B3],
    }
    config = json_file(tmp_path / "config.json", functional_object_model())
    path = object_file(tmp_path / "a.weights.h5", tree, windows=windows)
    network = load_network(path, architecture=config)
    np.testing.assert_array_equal(network.layer("z").kernel, K1)
    np.testing.assert_array_equal(network.layer("block/d").kernel, K2)
    np.testing.assert_array_equal(network.layer("dense").kernel, K3)


@pytest.mark.parametrize("windows", [False, True])
@pytest.mark.parametrize("doubled", [True, False])
def test_tensorflow_2_12_to_2_14_counted_layers_once_or_twice(tmp_path, doubled, windows):
    inner = sequential(dense("d", 4), entry("Dropout", "drop", rate=0.1), name="inner")
    other = sequential(dense("e", 4), name="other")
    model = sequential(
        old_input("in", 4), dense("a", 4), inside(inner), dense("dense", 4), inside(other), dense("c", 3)
    )
    places = [f"_{k}" if k else "" for k in ((0, 2, 4) if doubled else (0, 1, 2))]
    E1, C1 = arrays((4, 4), (4,), seed=9)
    tree = {
        f"dense{places[0]}": [K1, B1],
        f"sequential{places[0]}": {"dense": [K2, B2], "dropout": []},
        f"dense{places[1]}": [E1, C1],
        f"sequential{places[1]}": {"dense": [K2 + 1, B2]},
        f"dense{places[2]}": [K3, B3],
    }
    path = object_file(
        tmp_path / "a.weights.h5", tree, container="_layer_checkpoint_dependencies", windows=windows
    )
    network = load_network(path, architecture=json_file(tmp_path / "config.json", model))
    for name, kernel in {"a": K1, "inner/d": K2, "dense": E1, "other/e": K2 + 1, "c": K3}.items():
        np.testing.assert_array_equal(network.layer(name).kernel, kernel)


def test_numbers_of_datasets_are_no_text(tmp_path):
    # Eleven arrays in a group: "10" comes before "2" in the alphabet, and no layer has so many.
    model = sequential(new_input("in", 4), dense("d", 4))
    path = object_file(tmp_path / "a.h5", {"dense": [K1, B1, *NORMAL, B2]})
    with pytest.raises(ModelFileError, match=r"layer 'd' \(Dense\) has 11 arrays in the file, expected 2"):
        load_network(path, architecture=json_file(tmp_path / "config.json", model))


def test_a_missing_group_is_named_with_what_is_there(tmp_path):
    model = sequential(new_input("in", 4), dense("a", 4), dense("b", 4))
    path = object_file(tmp_path / "a.h5", {"dense": [K1, B1]})
    with pytest.raises(ModelFileError, match=r"layer 'b'.*group 'dense_1': /layers has 'dense'"):
        load_network(path, architecture=json_file(tmp_path / "config.json", model))


def test_normalization_with_constants_has_no_weights(tmp_path):
    model = sequential(
        new_input("in", 2, 3),
        entry("Normalization", "n1", axis=[-1], mean=[1.0, 2.0, 3.0], variance=[[1.0, 4.0, 9.0]]),
        entry("Normalization", "n2", axis=[], mean=0.5, variance=4, invert=True),
        entry("Normalization", "n3", axis=[1, 2], mean=[[1, 2, 3], [4, 5, 6]], variance=2.0),
        entry("Flatten", "f"),
    )
    path = legacy_file(tmp_path / "a.h5", model, {"n1": [], "n2": [], "n3": [], "f": []}, version="3.15.1")
    ones = np.ones((2, 3), "f4")
    expected = [
        Normalization("n1", np.array([1, 2, 3], "f4"), np.array([1, 4, 9], "f4")),
        Normalization("n2", np.array(0.5, "f4"), np.array(4, "f4"), axis=(), invert=True),
        Normalization("n3", np.array([[1, 2, 3], [4, 5, 6]], "f4"), 2 * ones, axis=(1, 2)),
        Flatten("f"),
    ]
    assert_same(load_network(path), expected, shapes=((2, 3),))


@pytest.mark.parametrize(
    ("mean", "match"),
    [
        ([1.0, 2.0], "does not fit inputs"),
        ([[1.0], [2.0, 3.0]], "no regular array"),
        ([1.0, "x", 2.0], "no regular array"),
        ([1.0] * 4, "more than 3 values"),
        ([], "no regular array"),
        (None, "only one of mean and variance"),
        ([1.0, 2.0, float("inf")], "holds Infinity"),
        ([1.0, 2.0, 10**99], "expected a finite number"),
        ([1.0, 2.0, 10**400], "a number of 401 digits"),
    ],
)
def test_constants_that_do_not_fit_are_refused(tmp_path, mean, match):
    model = sequential(new_input("in", 3), entry("Normalization", "n", axis=-1, mean=mean, variance=1.0))
    path = legacy_file(tmp_path / "a.h5", model, {"n": []}, version="3.15.1")
    with pytest.raises(ModelFileError, match=match):
        load_network(path)


def test_quantized_layers_are_refused(tmp_path):
    policy = {"class_name": "QuantizedDTypePolicy", "config": {"name": "int8_from_float32"}}
    model = sequential(new_input("in", 4), dense("d", 4, dtype=policy))
    variables = [("kernel", K1.astype("i1")), ("bias", B1), ("kernel_scale", B1)]
    with pytest.raises(ModelFileError, match=r"layer 'd'.* is quantized"):
        load_network(legacy_file(tmp_path / "a.h5", model, {"d": variables}, version="3.15.1"))
    model = sequential(new_input("in", 4), dense("d", 4))
    with pytest.raises(ModelFileError, match=r"layer 'd'.* has 3 arrays"):
        load_network(legacy_file(tmp_path / "a.h5", model, {"d": variables}, version="3.15.1"))


@pytest.mark.parametrize("module", [None, "keras.src.ops.numpy"])
def test_an_operation_is_told_from_the_layer_of_its_name(tmp_path, module):
    both = new_node(("in", 0, 0), ("in", 0, 0))
    operation = entry("Add", "add", [both | {"args": both["args"][0]}])
    operation["config"] = {"name": "add"} if module is None else {"name": "add", "trainable": True}
    if module is not None:
        operation["module"] = module
    model = functional([new_input("in", 4, inbound=[]), operation], [["in", 0, 0]], [["add", 0, 0]])
    network = load_network(legacy_file(tmp_path / "a.h5", model, {"in": []}, version="3.15.1"))
    x = np.arange(4, dtype="f4")[None]
    np.testing.assert_array_equal(network.outputs(x), 2 * x)


def test_the_oldest_configurations_are_lists_with_the_shape_in_the_first_layer(tmp_path):
    layers = [dense("a", 4, batch_input_shape=[None, 4]), dense("b", 3)]
    weights = {"a": [("a/kernel:0", K1), ("a/bias:0", B1)], "b": [("b/kernel:0", K3), ("b/bias:0", B3)]}
    model = {"class_name": "Sequential", "config": layers}
    path = legacy_file(tmp_path / "a.h5", model, weights, version=None, texts=fixed)
    with pytest.warns(ModelFileWarning, match="does not say which version of Keras"):
        network = load_network(path)
    assert_same(network, [Dense("a", K1, B1, "tanh"), Dense("b", K3, B3, "tanh")])


def test_a_list_may_be_inside_a_model_too(tmp_path):
    inner = {"class_name": "Sequential", "name": "in1", "config": [dense("a", 4)]}
    model = sequential(old_input("in", 4), inner, dense("b", 3))
    weights = {"in1": [("a/kernel:0", K1), ("a/bias:0", B1)], "b": [("kernel", K3), ("bias", B3)]}
    assert load_network(legacy_file(tmp_path / "a.h5", model, weights)).layer_names == ("in1/a", "b")


def test_theano_stored_kernels_turned_round(tmp_path):
    kernel, bias, depthwise = arrays((3, 2, 2, 4), (4,), (2, 2, 4, 1))
    model = sequential(
        old_input("in", 6, 5, 2),
        entry("Conv2D", "c", filters=4, kernel_size=[3, 2], use_bias=True),
        entry("DepthwiseConv2D", "w", kernel_size=[2, 2], use_bias=False),
        entry("Flatten", "f"),
    )
    weights = {
        "c": [("c/kernel", kernel[::-1, ::-1]), ("c/bias", bias)],
        "w": [("w/depthwise_kernel", depthwise)],
        "f": [],
    }
    path = legacy_file(tmp_path / "a.h5", model, weights, version="2.3.1", backend="theano")
    expected = [
        Conv2D("c", kernel, bias),
        DepthwiseConv2D("w", depthwise, None),
        Flatten("f"),
    ]
    assert_same(load_network(path), expected, shapes=((6, 5, 2),))


@pytest.mark.parametrize(("version", "name"), [("2.15.0", "hard_sigmoid_v2"), ("3.0.5", "hard_sigmoid")])
def test_the_version_says_which_hard_sigmoid_is_meant(tmp_path, version, name):
    model = sequential(old_input("in", 4), dense("a", 4, activation="hard_sigmoid"))
    weights = {"a": [("kernel", K1), ("bias", B1)]}
    network = load_network(legacy_file(tmp_path / "a.h5", model, weights, version=version))
    assert_same(network, [Dense("a", K1, B1, name)])


@pytest.mark.parametrize("key", ["batch_shape", "batch_input_shape"])
def test_an_architecture_without_version_shows_it_by_its_settings(tmp_path, key):
    model = sequential(
        entry("InputLayer", "in", **{key: [None, 4]}), dense("a", 4, activation="hard_sigmoid")
    )
    path = object_file(tmp_path / "a.weights.h5", {"dense": [K1, B1]})
    network = load_network(path, architecture=json_file(tmp_path / "config.json", model))
    assert network.layers[0].activation.name == (
        "hard_sigmoid" if key == "batch_shape" else "hard_sigmoid_v2"
    )


def test_names_of_tensorflow_with_slashes_are_paths(tmp_path):
    model = sequential(old_input("in", 4), dense("Conv/expand", 4), dense("Conv", 3))
    weights = {
        "Conv/expand": [("Conv/expand/kernel:0", K1), ("Conv/expand/bias:0", B1)],
        "Conv": [("Conv/kernel:0", K3), ("Conv/bias:0", B3)],
    }
    network = load_network(legacy_file(tmp_path / "a.h5", model, weights))
    assert_same(network, [Dense("Conv/expand", K1, B1, "tanh"), Dense("Conv", K3, B3, "tanh")])
