"""Operations on tensors: of Keras 3 against Keras itself, of Keras 2 against what TensorFlow computed."""

import json
from pathlib import Path

import numpy as np
import pytest
from keras_writing import entry, functional, legacy_file, new_input, new_node, old_input

from probe._errors import ModelFileError
from probe.network import Network
from probe.storage import load_network, save_network

SAMPLE = Path(__file__).parent / "fixtures" / "keras2_tf221" / "operations.npz"
C = np.linspace(0.5, 2, 4).astype("f4")

KERAS_3 = {
    "x / 255": lambda ops, x: x / 255.0,
    "2 - x": lambda ops, x: 2.0 - x,
    "2 / (x + 9)": lambda ops, x: 2.0 / (x + 9.0),
    "x * array": lambda ops, x: x * C,
    "x - array": lambda ops, x: ops.subtract(x, C),
    "x / array": lambda ops, x: ops.divide(x, C),
    "array with samples": lambda ops, x: x + np.full((1, 3, 6, 4), 2.0, "f4"),
    "-x": lambda ops, x: -x,
    "abs": lambda ops, x: ops.abs(x),
    "x ** 3": lambda ops, x: x**3,
    "x ** 1.5": lambda ops, x: (ops.abs(x) + 0.1) ** 1.5,
    "square": lambda ops, x: ops.square(x),
    "sqrt": lambda ops, x: ops.sqrt(x + 9.0),
    "rsqrt": lambda ops, x: ops.rsqrt(x + 9.0),
    "reciprocal": lambda ops, x: ops.reciprocal(x + 9.0),
    "broadcast": lambda ops, x: x * ops.mean(x, [1, 2], keepdims=True) - x,
    "with itself": lambda ops, x: x * x + x,
    "quotient": lambda ops, x: x / (ops.abs(x) + 4.0),
    "maximum": lambda ops, x: ops.maximum(x, 0.1),
    "minimum": lambda ops, x: ops.minimum(0.1, x),
    "clip": lambda ops, x: ops.clip(x, -0.3, 0.4),
    "pad": lambda ops, x: ops.pad(x, [[0, 0], [1, 2], [0, 1], [0, 0]], constant_values=2.0),
    "mirror": lambda ops, x: ops.pad(x, [[0, 0], [1, 2], [0, 1], [0, 0]], "reflect"),
    "x[:, 1:, ::2, :3]": lambda ops, x: x[:, 1:, ::2, :3],
    "x[..., ::-1]": lambda ops, x: x[..., ::-1],
    "x[:, 2]": lambda ops, x: x[:, 2],
    "x[:, :, -1, None]": lambda ops, x: x[:, :, -1, None],
    "concatenate": lambda ops, x: ops.concatenate([x, x * 2, x], -1),
    "stack": lambda ops, x: ops.stack([x, -x], axis=2),
    "split": lambda ops, x: ops.concatenate(ops.split(x, [1, 3], axis=-1)[::-1], 1 - 2),
    "reshape": lambda ops, x: ops.reshape(x, (-1, 18, 4)),
    "transpose": lambda ops, x: ops.transpose(x, (0, 3, 1, 2)),
    "swapaxes": lambda ops, x: ops.swapaxes(x, 1, -1),
    "moveaxis": lambda ops, x: ops.moveaxis(x, -1, 1),
    "expand, squeeze": lambda ops, x: ops.squeeze(ops.expand_dims(ops.expand_dims(x, -1), 1), 1),
    "flip": lambda ops, x: ops.flip(x, axis=-1),
    "mean": lambda ops, x: ops.mean(x, [1, 2]),
    "sum": lambda ops, x: ops.sum(x, 3, keepdims=True),
    "max": lambda ops, x: ops.max(x, axis=1),
    "min": lambda ops, x: ops.min(x, axis=-2),
    "var": lambda ops, x: ops.var(x, -1),
    "std": lambda ops, x: ops.std(x, -1),
    "softmax": lambda ops, x: ops.softmax(x, axis=1),
    "log_softmax": lambda ops, x: ops.log_softmax(x),
    "relu6": lambda ops, x: ops.relu6(3 * x),
    "leaky_relu": lambda ops, x: ops.leaky_relu(x, 0.1),
    "elu": lambda ops, x: ops.elu(x, 0.5),
    "celu": lambda ops, x: ops.celu(x, 0.5),
    "gelu": lambda ops, x: ops.gelu(x, approximate=False),
    "gelu by tanh": lambda ops, x: ops.gelu(x),
    "hard_sigmoid": lambda ops, x: ops.hard_sigmoid(x),
    "silu": lambda ops, x: ops.silu(x),
    "glu": lambda ops, x: ops.glu(x),
    "exp, log": lambda ops, x: ops.log(ops.exp(x) + 1.0),
    "log1p, expm1": lambda ops, x: ops.expm1(ops.log1p(ops.abs(x))),
    "normalize": lambda ops, x: ops.normalize(x, -1),
    "matmul": lambda ops, x: ops.matmul(x, np.arange(12.0, dtype="f4").reshape(4, 3)),
    "cast": lambda ops, x: ops.cast(x, "float32"),
    "resize": lambda ops, x: ops.image.resize(x, (5, 4)),
    "max_pool": lambda ops, x: ops.max_pool(x, 2, 2, "same"),
    "average_pool": lambda ops, x: ops.average_pool(x, 2, 1, "valid"),
}


def summed(network: Network, x):
    """Return the sum of the outputs and its gradient, in the precision of `x`, which networks without weights lack."""
    values, ways_back = {0: x}, []
    for layer, sources in zip(network.layers, network.wiring, strict=True):
        values[layer.name], pullback = layer.forward(*[values[source] for source in sources])
        ways_back.append((layer.name, sources, pullback))
    outputs = values[network.output_names[0]]
    gradients = {network.output_names[0]: np.ones_like(outputs)}
    for name, sources, pullback in reversed(ways_back):
        if name in gradients:
            parts = pullback(gradients[name])
            for source, part in zip(sources, parts if isinstance(parts, tuple) else (parts,), strict=True):
                gradients[source] = gradients.get(source, 0) + part
    return float(outputs.sum()), gradients[0]


@pytest.mark.filterwarnings("ignore:.*HDF5 file.*")
@pytest.mark.parametrize("name", KERAS_3)
def test_operations_are_what_keras_computes(keras, tmp_path, name):
    inputs = keras.Input((3, 6, 4))
    model = keras.Model(inputs, keras.layers.Flatten()(KERAS_3[name](keras.ops, inputs)))
    x = np.random.default_rng(0).normal(size=(2, 3, 6, 4)).astype("f4")
    expected = np.asarray(model(x))
    for ending in ("keras", "h5"):
        model.save(tmp_path / f"a.{ending}")
        network = load_network(tmp_path / f"a.{ending}")
        np.testing.assert_allclose(network.outputs(x), expected, rtol=1e-5, atol=1e-5)
    wide, direction = x.astype("f8"), np.random.default_rng(1).normal(size=x.shape)
    above, below = (summed(network, wide + sign * 1e-6 * direction)[0] for sign in (1, -1))
    slope = float((summed(network, wide)[1] * direction).sum())
    assert slope == pytest.approx((above - below) / 2e-6, rel=1e-4, abs=1e-4)


def tensorflow_file(tmp_path):
    with np.load(SAMPLE) as sample:
        config = json.loads(sample["config"].tobytes())
        expected = {name: sample[name] for name in sample.files if name != "config"}
    names = [layer["name"] for layer in config["config"]["layers"]]
    return legacy_file(tmp_path / "a.h5", config, dict.fromkeys(names, ())), expected


def test_functions_of_tensorflow_are_what_it_computes(tmp_path):
    path, expected = tensorflow_file(tmp_path)
    x = expected.pop("x")
    network = load_network(path)
    assert set(network.output_names) == set(expected)
    outputs = network.activations(x)
    for name, values in expected.items():
        np.testing.assert_allclose(outputs[name], values, rtol=1e-5, atol=2e-5, err_msg=name)


def test_what_operations_became_is_stored_and_read_again(tmp_path, keras):
    inputs = keras.Input((3, 6, 4))
    parts = keras.ops.split(inputs / 255.0, 2, axis=-1)
    joined = keras.ops.stack(
        [parts[0] - C[:2], keras.ops.mean(parts[1], 1, keepdims=True) * parts[0]], axis=1
    )
    model = keras.Model(inputs, keras.layers.Flatten()(joined[:, 1, ::2]))
    model.save(tmp_path / "a.keras")
    network = load_network(tmp_path / "a.keras")
    again = load_network(save_network(network, tmp_path / "b.h5"))
    x = np.random.default_rng(0).normal(size=(2, 3, 6, 4)).astype("f4")
    assert again.layer_names == network.layer_names
    np.testing.assert_array_equal(again.outputs(x), network.outputs(x))


def node(operation, *, attributes=None, constants=None):
    definition = {"name": "op", "op": operation, "input": ["in"], "attr": attributes or {}}
    return {"node_def": json.dumps(definition), "constants": constants or {}}


@pytest.mark.parametrize(
    ("settings", "right"),
    [
        (node("RealDiv", constants={"1": 255.0}), lambda x: x / 255),
        (node("Sub", constants={"0": 1.0}), lambda x: 1 - x),
        (node("Relu6", attributes={"T": {"type": "DT_FLOAT"}}), lambda x: np.clip(x, 0, 6)),
        (
            node("Mean", constants={"1": [1]}, attributes={"keep_dims": {"b": True}}),
            lambda x: x.mean(1, keepdims=True),
        ),
        (node("Reshape", constants={"1": [-1, 8]}), lambda x: x.reshape(-1, 8)),
        (
            node(
                "StridedSlice",
                constants={"1": [0, 1, 0], "2": [0, 3, 0], "3": [1, 1, 1]},
                attributes={"begin_mask": {"i": "1"}, "end_mask": {"i": "1"}, "shrink_axis_mask": {"i": "4"}},
            ),
            lambda x: x[:, 1:3, 0],
        ),
    ],
)
def test_nodes_of_tensorflows_graphs_are_read(tmp_path, settings, right):
    operation = entry("TensorFlowOpLayer", "op", [[["in", 0, 0, {}]]], **settings) | {
        "name": "tf_op_layer_op"
    }
    flat = entry("Flatten", "flat", [[["tf_op_layer_op", 0, 0, {}]]])
    model = functional([old_input("in", 4, 2, inbound=[]), operation, flat], [["in", 0, 0]], [["flat", 0, 0]])
    path = legacy_file(
        tmp_path / "a.h5", model, {"in": [], "tf_op_layer_op": [], "flat": []}, version="2.4.0"
    )
    x = np.random.default_rng(0).normal(size=(3, 4, 2)).astype("f4") * 5
    np.testing.assert_allclose(load_network(path).outputs(x), right(x).reshape(3, -1), rtol=1e-6)


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        (
            node("Sub", constants={"9" * 5000: 1.0}),
            r"has the constants .*, expected those of inputs by their numbers",
        ),
        (node("Cast", attributes={"DstT": {"type": 3}}), "is the operation Cast, which makes 3 of its input"),
        (
            node("Cast", attributes={"DstT": {"type": "DT_HALF"}}),
            "makes 'DT_HALF' of its input, where float32 and",
        ),
        (node("Cast", attributes={"DstT": {"type": "DT_UINT8"}}), "makes 'DT_UINT8' of its input"),
        (node("Squeeze", attributes={"squeeze_dims": {"list": {"i": ["--5"]}}}), "--5"),
        (
            node("StridedSlice", constants={"1": [0, 1], "2": [0], "3": [1, 1]}),
            r"begins at \[0, 1\], ends at \[0\] and has the steps",
        ),
    ],
)
def test_nodes_that_make_no_sense_are_refused_by_name(tmp_path, settings, problem):
    operation = entry("TensorFlowOpLayer", "op", [[["in", 0, 0, {}]]], **settings)
    model = functional([old_input("in", 4, 2, inbound=[]), operation], [["in", 0, 0]], [["op", 0, 0]])
    path = legacy_file(tmp_path / "a.h5", model, {"in": [], "op": []}, version="2.4.0")
    with pytest.raises(ModelFileError, match=problem) as caught:
        load_network(path)
    assert "layer 'op'" in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("class_name", "settings", "called", "problem"),
    [
        ("Einsum", {}, {}, "is the operation Einsum, which cannot be read; say what it computes"),
        ("Mean", {"axis": None, "keepdims": False}, {}, "goes over all axes, with that of the samples"),
        ("Mean", {"axis": 0, "keepdims": False}, {}, "axis 0"),
        ("Mean", {"axis": 1, "keepdims": False, "where": [1]}, {}, r"is called with where = \[1\]"),
        ("Transpose", {"axes": None}, {}, "turns the axis of the samples around"),
        ("Transpose", {"axes": [1, 0]}, {}, "moves the axis of the samples"),
        ("Reshape", {"newshape": [2, -1]}, {}, "where -1 or null for the samples"),
        ("Reshape", {"newshape": [-1, 3]}, {}, "mixes samples"),
        ("Pad", {"pad_width": [[1, 0], [0, 0]], "mode": "constant"}, {}, "none around the samples"),
        ("Split", {"indices_or_sections": 3, "axis": 1}, {}, "cannot be split into 3 parts"),
        ("Clip", {"x_min": 2, "x_max": 1}, {}, "low of clip must be no more than high"),
        ("Softmax", {"axis": 0}, {}, "works over the axis of the samples"),
    ],
)
def test_operations_that_are_not_read_say_why(tmp_path, class_name, settings, called, problem):
    operation = entry(class_name, "op", [new_node(("in", 0, 0), **called)]) | {
        "module": "keras.src.ops.numpy"
    }
    operation["config"] = {"name": "op"} | settings
    model = functional([new_input("in", 4, inbound=[]), operation], [["in", 0, 0]], [["op", 0, 0]])
    path = legacy_file(tmp_path / "a.h5", model, {"in": []}, version="3.15.1")
    with pytest.raises(ModelFileError, match=problem) as caught:
        load_network(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("class_name", "settings"),
    [
        ("Resize", {"size": [1 << 22, 1]}),
        ("Resize", {"size": [1, 1 << 13], "pad_to_aspect_ratio": True}),
        ("MaxPool", {"pool_size": [1 << 20, 1 << 20], "padding": "same"}),
    ],
)
def test_operations_on_images_are_counted_before_memory_is_taken(tmp_path, class_name, settings):
    operation = entry(class_name, "op", [new_node(("in", 0, 0))]) | {
        "module": "keras.src.ops.image", "config": {"name": "op"} | settings
    }  # fmt: skip
    model = functional([new_input("in", 4096, 4, 1, inbound=[]), operation], [["in", 0, 0]], [["op", 0, 0]])
    with pytest.raises(ModelFileError, match=r"layer 'op' .*needs an array of \d+ values for one input"):
        load_network(legacy_file(tmp_path / "a.h5", model, {"in": []}, version="3.15.1"))


@pytest.mark.parametrize("power", [10**400, 1e300, "2", None, [1, [2]], True])
def test_constants_that_are_no_numbers_are_refused(tmp_path, power):
    operation = entry("Power", "op", [{"args": [*new_node(("in", 0, 0))["args"], power], "kwargs": {}}])
    operation |= {"module": "keras.src.ops.numpy", "config": {"name": "op"}}
    model = functional([new_input("in", 4, inbound=[]), operation], [["in", 0, 0]], [["op", 0, 0]])
    with pytest.raises(ModelFileError, match=r"layer 'op' \(Power\)|holds a number of 401 digits"):
        load_network(legacy_file(tmp_path / "a.h5", model, {"in": []}, version="3.15.1"))


@pytest.mark.filterwarnings("ignore:.*HDF5 file.*")
def test_training_of_a_call_means_nothing_at_prediction(keras, tmp_path):
    inputs = keras.Input((6, 7, 2))
    smaller = keras.layers.CenterCrop(4, 4)(keras.layers.Resizing(5, 6)(inputs))
    model = keras.Model(inputs, keras.layers.Dropout(0.5)(smaller, training=True))
    model.save(tmp_path / "a.keras")
    x = np.random.default_rng(0).normal(size=(2, 6, 7, 2)).astype("f4")
    expected = model.predict(x, verbose=0)
    np.testing.assert_allclose(load_network(tmp_path / "a.keras").outputs(x), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.filterwarnings("ignore:.*HDF5 file.*")
def test_epsilon_bounds_the_length_of_vectors_in_keras(keras, tmp_path):
    inputs = keras.Input((3,))
    keras.Model(inputs, keras.ops.normalize(inputs, -1, epsilon=0.5)).save(tmp_path / "a.keras")
    x = np.array([[0.1, 0, 0], [0, 0.6, 0.8]], "f4")
    np.testing.assert_allclose(
        load_network(tmp_path / "a.keras").outputs(x), [[0.2, 0, 0], [0, 0.6, 0.8]], atol=1e-6
    )
