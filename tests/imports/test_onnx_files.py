"""Files of PyTorch (both exporters), Keras and scikit-learn against onnxruntime and PyTorch, and their layouts."""

from pathlib import Path

import numpy as np
import pytest
from onnx_writing import chain, graph, model, node, value

from probe import ModelFileError
from probe.imports.onnx import is_onnx, onnx_obstacles, read_onnx
from probe.layers import Conv2D, Dense
from probe.storage import load_network, save_network
from probe.workflow.models import inspect_model

FIXTURES = Path(__file__).parent / "fixtures" / "onnx"
NAMES = sorted(path.stem for path in FIXTURES.glob("*.onnx"))
RNG = np.random.default_rng(0)


def normal(*shape):
    return RNG.normal(size=shape).astype(np.float32)


@pytest.fixture(scope="module")
def expected():
    with np.load(FIXTURES / "expected.npz") as stored:
        return dict(stored)


@pytest.fixture
def write(tmp_path):
    def written(content, name="model.onnx"):
        path = tmp_path / name
        path.write_bytes(content)
        return path

    return written


@pytest.mark.parametrize("name", NAMES)
def test_outputs_are_those_of_onnxruntime(name, expected):
    network = load_network(FIXTURES / f"{name}.onnx")
    np.testing.assert_allclose(
        network.outputs(expected[f"{name}/x"]), expected[f"{name}/y"], rtol=1e-5, atol=1e-5
    )


@pytest.mark.parametrize(
    "name", [name for name in NAMES if name.startswith("torch") and "signal" not in name]
)
def test_input_gradients_are_those_of_pytorch(name, expected):
    network = load_network(FIXTURES / f"{name}.onnx")
    logits, pullback = network.logits_vjp(expected[f"{name}/x"])
    weights = np.broadcast_to(np.linspace(-1, 1, logits.shape[1], dtype=np.float32), logits.shape)
    dz = network.layers[-1].activation.forward(logits)[1](weights)
    np.testing.assert_allclose(pullback(dz), expected[f"{name}/dx"], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_what_came_in_goes_out(name, expected, tmp_path):
    network = load_network(FIXTURES / f"{name}.onnx")
    again = load_network(save_network(network, tmp_path / "model.h5"))
    assert (again.layer_names, again.class_names) == (network.layer_names, network.class_names)
    x = expected[f"{name}/x"]
    np.testing.assert_array_equal(again.outputs(x), network.outputs(x))


def test_hidden_values_are_those_of_onnxruntime(expected):
    name = "torch_residual_opset11"
    values = load_network(FIXTURES / f"{name}.onnx").activations(expected[f"{name}/x"])
    for layer, output in (("c1", ".Relu"), ("Relu_1", ".Relu_1"), ("pool/MaxPool", ".pool.MaxPool")):
        np.testing.assert_allclose(
            values[layer], expected[f"{name}/hidden{output}_output_0"], rtol=1e-4, atol=1e-4
        )


def test_layers_are_called_as_in_pytorch_and_activations_are_theirs():
    network = load_network(FIXTURES / "torch_residual_dynamo.onnx")
    assert network.input_shape == (9, 10, 3) and {"c1", "c2", "fc"} <= set(network.layer_names)
    assert network.layer("c1").activation.name == "relu" and isinstance(network.layer("fc"), Dense)


def test_classes_are_those_of_scikit_learn():
    assert load_network(FIXTURES / "sklearn_names.onnx").class_names[:3] == ("eight", "five", "four")
    two = load_network(FIXTURES / "sklearn_two_classes.onnx")
    assert two.class_names == ("one", "zero") and [layer.keras_name for layer in two.layers] == [
        "Dense",
        "Dense",
    ]


def test_biases_that_are_added_behind_become_those_of_the_layer(write):
    nodes = [
        node("Conv", ["x", "w"], ["c"]), node("Add", ["c", "b"], ["d"]), node("Relu", ["d"], ["r"]),
        node("Reshape", ["r", "s"], ["f"]), node("MatMul", ["f", "v"], ["m"]), node("Add", ["m", "a"], ["y"]),
    ]  # fmt: skip
    arrays = {
        "w": normal(2, 1, 3, 3),
        "b": normal(2, 1, 1),
        "s": np.int64([-1, 8]),
        "v": normal(8, 3),
        "a": normal(3),
    }
    network = read_onnx(write(chain(nodes, ("n", 1, 4, 4), arrays)))
    conv, _, dense = network.layers[1:]
    assert isinstance(conv, Conv2D) and conv.activation.name == "relu"
    np.testing.assert_array_equal(conv.bias, arrays["b"].ravel())
    np.testing.assert_array_equal(dense.bias, arrays["a"])


@pytest.mark.parametrize(
    ("shape", "nodes", "expected"),
    [
        (("n", 3, 8, 8), [node("Flatten", ["x"], ["y"])], (8, 8, 3)),
        (("n", 8, 8, 3), [node("Flatten", ["x"], ["y"])], (8, 8, 3)),
        (("n", 8, 6, 5), [node("Transpose", ["x"], ["t"], perm=[0, 3, 1, 2]), node("Flatten", ["t"], ["y"])], (8, 6,
            5)),
        (("n", 5, 8, 3), [node("GlobalAveragePool", ["x"], ["y"])], (8, 3, 5)),
        (("n", 28, 28), [node("Flatten", ["x"], ["y"])], (28, 28)),
        ((1, 1, 4, 4), [node("Flatten", ["x"], ["y"])], (4, 4, 1)),
    ],
)  # fmt: skip
def test_channels_are_found_by_what_reads_the_image_and_by_its_shape(write, shape, nodes, expected):
    assert read_onnx(write(chain(nodes, shape))).input_shape == expected


def test_open_axes_are_filled_or_asked_for(write):
    path = write(chain([node("GlobalAveragePool", ["x"], ["y"])], ("n", 3, "h", "w")))
    with pytest.raises(
        ModelFileError, match=r"input 'x' has open axes, \(n, 3, h, w\); say .*--input-shape 224,224,3"
    ):
        read_onnx(path)
    assert read_onnx(path, input_shape=(6, 7, 3)).input_shape == (6, 7, 3)
    with pytest.raises(ModelFileError, match=r"\(6, 7, 2\) does not fit"):
        read_onnx(path, input_shape=(6, 7, 2))


def test_another_shape_of_as_many_values_can_be_given(write):
    path = write(chain([node("MatMul", ["x", "w"], ["y"])], ("n", 16), {"w": normal(16, 2)}))
    network = read_onnx(path, input_shape=(4, 4))
    x = normal(3, 4, 4)
    np.testing.assert_allclose(network.outputs(x), read_onnx(path).outputs(x.reshape(3, 16)))
    with pytest.raises(ModelFileError, match=r"\(3, 4\) does not fit"):
        read_onnx(path, input_shape=(3, 4))


def test_a_file_for_one_sample_takes_several(write):
    nodes = [node("Reshape", ["x", "s"], ["f"]), node("MatMul", ["f", "w"], ["y"])]
    arrays = {"s": np.int64([1, 16]), "w": normal(16, 2)}
    x = normal(5, 4, 4, 1)
    for first in (1, "n"):
        network = read_onnx(write(chain(nodes, (first, 1, 4, 4), arrays)))
        np.testing.assert_allclose(network.outputs(x), x.reshape(5, 16) @ arrays["w"], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "metadata",
    [
        {"names": "{0: 'cat', 1: \"dog's\", 2: 'ox'}"},
        {"classes": '["cat", "dog\'s", "ox"]'},
        {"Labels": "cat\ndog's\nox\n"},
        {"class_names": "cat, dog's, ox"},
        {"id2label": '{"0": "cat", "1": "dog\'s", "2": "ox"}'},
    ],
)
def test_names_of_classes_are_those_in_the_properties(write, metadata):
    path = write(chain([node("Softmax", ["x"], ["y"])], metadata=metadata))
    assert read_onnx(path).class_names == ("cat", "dog's", "ox")


def test_names_for_another_number_of_classes_are_not_taken(write):
    for text in ("a, b", "{0: 'a', 2: 'b', 1: 'c', 1: 'd'}", "a, a, b", "['a', 'b', 'c' 'd'", "{}"):
        assert read_onnx(
            write(chain([node("Softmax", ["x"], ["y"])], metadata={"names": text}))
        ).class_names == ("0", "1", "2")


def test_labels_are_left_out_whatever_makes_them(write):
    nodes = [node("Softmax", ["x"], ["p"]), node("TreeEnsemble", ["p"], ["label"], domain="elsewhere")]
    outputs = [value("label", ("n",), 7), value("p", ("n", 3))]
    assert read_onnx(write(model(graph(nodes, [value("x", ("n", 3))], outputs, {})))).output_names == ("p",)


def test_all_that_is_in_the_way_is_listed(write):
    nodes = [
        node("Foo", ["x"], ["a"], "first", domain="my.ops"),
        node("MatMul", ["x", "x"], ["b"], "second"),
        node("QLinearConv", ["x"], ["c"], "third"),
        node("Sum", ["a", "b", "c"], ["y"], "last"),
    ]
    path = write(chain(nodes))
    found = onnx_obstacles(path)
    assert len(found) == 3 and all(line.startswith(f"{path}: node '") for line in found)
    assert any("'first' (Foo of 'my.ops') is an operator that is not read" in line for line in found)
    assert any("'third' (QLinearConv)" in line and "quantized" in line for line in found)
    assert any("'second' (MatMul) multiplies two values that depend on the image" in line for line in found)
    with pytest.raises(ModelFileError, match=r"\(2 more: probe inspect --why lists them\)"):
        read_onnx(path)
    text = inspect_model(path, why=True).summary
    assert text.startswith(f"{path} is an ONNX model\nit does not open:\n") and text.count("node '") == 3
    assert onnx_obstacles(write(chain([node("Relu", ["x"], ["y"])]))) == ()


def test_files_are_told_by_their_content(write, tmp_path):
    assert is_onnx(write(chain([node("Relu", ["x"], ["y"])]), "model.bin"))
    for content in (
        b"",
        b"\x08\x08",
        b"\x89HDF\r\n\x1a\n",
        b"PK\x03\x04",
        b"\x08\x01\x12\x02ab",
        b"<!DOCTYPE html>",
    ):
        assert not is_onnx(write(content))
    assert not is_onnx(tmp_path / "no.onnx") and not is_onnx(tmp_path)


def test_double_precision_stays(write):
    path = write(model(graph([node("MatMul", ["x", "w"], ["y"])], [value("x", ("n", 3), 11)], [value("y", None, 11)],
                             {"w": np.eye(3)})))  # fmt: skip
    assert read_onnx(path).dtype == np.float64


def test_half_precision_becomes_float32(write):
    weights = normal(3, 2).astype(np.float16)
    network = read_onnx(write(chain([node("MatMul", ["x", "w"], ["y"])], arrays={"w": weights})))
    assert network.dtype == np.float32
    np.testing.assert_array_equal(network.layers[0].kernel, weights.astype(np.float32))


def test_orders_between_layers_that_have_the_channels_last_cancel(write):
    # As Keras writes them: each layer moves the channels first, and last again.
    first, last = {"perm": [0, 3, 1, 2]}, {"perm": [0, 2, 3, 1]}
    nodes = [
        node("Transpose", ["x"], ["t"], **first), node("Conv", ["t", "w"], ["c"]), node("Transpose", ["c"], ["l"], **last),
        node("Add", ["l", "b"], ["d"]), node("Tanh", ["d"], ["r"]), node("Transpose", ["r"], ["u"], **first),
        node("Conv", ["u", "v"], ["e"]), node("Transpose", ["e"], ["y"], **last),
    ]  # fmt: skip
    arrays = {"w": normal(4, 3, 2, 2), "b": normal(4), "v": normal(2, 4, 3, 3)}
    network = read_onnx(write(chain(nodes, ("n", 5, 5, 3), arrays)))
    assert [type(layer).__name__ for layer in network.layers] == ["Permute", "Conv2D", "Conv2D", "Permute"]
    assert network.layers[1].activation.name == "tanh"
    np.testing.assert_array_equal(network.layers[1].bias, arrays["b"])
