"""The script's numbers are Python's: arrays, networks, costs, training."""

from pathlib import Path

import numpy as np
import pytest
from layers.every_layer import EVERYTHING, conv, separable, values
from nodes import needs_node, run_node

import probe
from probe.datasets import Dataset
from probe.layers import (
    Activation,
    ActivationLayer,
    Add,
    Affine,
    AveragePooling2D,
    BatchNormalization,
    Concatenate,
    Conv2D,
    Dense,
    DepthwiseConv2D,
    Dropout,
    Elu,
    Flatten,
    GlobalAveragePooling2D,
    GlobalMaxPooling2D,
    LeakyRelu,
    MaxPooling2D,
    Relu,
    ZeroPadding2D,
    activation_named,
)
from probe.network import Network
from probe.report.page import encoded, encoded_network, why_not_alive
from probe.report.page.encoding import _FORMULAS, _PLAIN

pytestmark = needs_node
ROOT = Path(__file__).resolve().parents[2]

FORWARD = """
  const network = new Network(given.network), n = given.x.shape[0];
  const found = { head: [], p: [], predicted: [], layers: {} };
  for (const { name } of network.layers) found.layers[name] = [];
  for (let i = 0; i < n; i++) {
    network.forward(row(given.x, i));
    found.head.push(network.head.z.slice());
    found.p.push(network.probabilities().slice());
    found.predicted.push(network.predicted());
    if (given.all) for (const { name, a } of network.layers) found.layers[name].push(a.slice());
  }
  return found;
"""


def forward(network, x, folder, *, every_layer=True):
    """Return what the script computes: logits, probabilities, classes and the activations of all layers."""
    given = {"network": encoded_network(network), "x": encoded(x), "all": every_layer}
    return run_node(folder, FORWARD, **given)


def check_forward(network, x, folder, *, every_layer=True, tolerance=1e-4):
    found = forward(network, x, folder, every_layer=every_layer)
    expected = network.logits(x).reshape(len(x), -1)
    np.testing.assert_allclose(
        np.reshape(found["head"], expected.shape), expected, rtol=tolerance, atol=tolerance
    )
    np.testing.assert_allclose(found["p"], network.predict_proba(x), atol=tolerance)
    ordered = np.sort(expected, axis=1)
    clear = np.full(len(x), True) if network.is_one_unit else ordered[:, -1] - ordered[:, -2] > 2 * tolerance
    assert np.array_equal(np.array(found["predicted"])[clear], network.predict(x)[clear])
    assert clear.mean() > 0.9
    if every_layer:
        shapes = {layer["name"]: layer["shape"] for layer in encoded_network(network)["layers"]}
        for name, expected in network.activations(x).items():
            ours = np.array(found["layers"][name])
            if shapes[name] != list(expected.shape[1:]):
                expected = np.moveaxis(expected, 1, -1)
            np.testing.assert_allclose(ours, expected.reshape(ours.shape), rtol=tolerance, atol=tolerance)


def classifier(layers, input_shape, n_classes=3, seed=0, **settings):
    """Return a network of these layers and a softmax layer behind them."""
    body = Network((*layers, Flatten("all values")), input_shape, **settings)
    n_in = body.layer_shapes["all values"][0]
    rng = np.random.default_rng(seed)
    kernel = rng.normal(0, n_in**-0.5, (n_in, n_classes)).astype(np.float32)
    last = Dense("classes", kernel, rng.normal(size=n_classes).astype(np.float32), "softmax")
    return Network((*body.layers, last), input_shape, wiring=(*body.wiring, ("all values",)))


def inputs(network, n=6, seed=1):
    return np.random.default_rng(seed).normal(size=(n, *network.input_shape)).astype(np.float32)


def test_arrays_of_every_type_are_decoded(tmp_path):
    rng = np.random.default_rng(0)
    arrays = {
        name: rng.integers(0, 100, (3, 4)).astype(name)
        for name in ("bool", "uint8", "int8", "uint16", "int16", "int32", "uint32", "float32", "float64")
    }
    arrays["float16"] = np.array([0, -1.5, 2.0**-24, -(2.0**-15), 65504, np.inf, -np.inf, 0.1], np.float16)
    arrays["empty"] = np.zeros((0, 3), np.float32)
    found = run_node(
        tmp_path, "return given.arrays;", arrays={name: encoded(each) for name, each in arrays.items()}
    )
    for name, expected in arrays.items():
        finite = [np.inf if value is None else value for value in found[name]["values"]]
        assert found[name]["shape"] == list(expected.shape)
        assert np.array_equal(np.abs(np.reshape(finite, expected.shape)), np.abs(expected))


@pytest.mark.parametrize("levels", [255, 16])
def test_scaled_bytes_are_the_pixels_of_python(tmp_path, levels):
    stored = np.arange(levels + 1, dtype=np.uint8)
    found = run_node(tmp_path, "return given.x.values;", x=encoded(stored, scale=1 / levels))
    assert np.array_equal(np.array(found, np.float32), stored / np.float32(levels))


def test_arrays_are_decoded_wherever_they_are(tmp_path):
    given = [{"deep": [encoded(np.arange(3, dtype=np.int32)), None, "text", 1.5]}]
    found = run_node(tmp_path, "return given.given;", given=given)
    assert found == [{"deep": [{"values": [0, 1, 2], "shape": [3]}, None, "text", 1.5]}]


def test_1000_digits_through_the_network_of_the_sample_report(tmp_path):
    images = probe.load_dataset("mnist").test.images[:1000]
    network = probe.load_network(ROOT / "reports" / "samples" / "mnist" / "model.h5").with_input_shape(
        (28, 28)
    )
    check_forward(network, images, tmp_path)


@pytest.mark.parametrize("activation", ["sigmoid", "relu", "tanh", "step"])
def test_trained_networks_of_digits(tmp_path, activation):
    split = probe.load_dataset("digits")
    config = probe.TrainingConfig(epochs=5, learning_rate=0.1)
    network = probe.train(probe.MLP((16, 12), activation, initialization="he"), split, config).network
    check_forward(network, split.test.images, tmp_path)


def every_case():
    cases = {key: (layer, shapes[0]) for key, (layer, shapes) in EVERYTHING.items() if len(shapes) == 1}
    for name, made in {
        "conv": conv(data_format="channels_first", padding="same", strides=(2, 1)),
        "separable": separable(data_format="channels_first", dilation_rate=(1, 2)),
        "max": MaxPooling2D("max", data_format="channels_first"),
        "average": AveragePooling2D("average", data_format="channels_first", padding="same"),
        "global": GlobalAveragePooling2D("global", data_format="channels_first"),
        "global, kept": GlobalMaxPooling2D("global", keepdims=True, data_format="channels_first"),
        "padding": ZeroPadding2D("pad", ((1, 2), (0, 1)), data_format="channels_first"),
    }.items():
        cases[f"{name}, channels first"] = made, (2, 5, 6)
    return cases


CASES = every_case()


@pytest.mark.parametrize("part", range(6))
def test_every_layer_of_a_kind_that_is_alive(tmp_path, part):
    names = list(CASES)[part::6]
    given, expected = {}, {}
    for name in names:
        layer, shape = CASES[name]
        network = classifier([layer], shape)
        if not why_not_alive(network):
            given[name] = {"network": encoded_network(network), "x": encoded(inputs(network)), "all": False}
            expected[name] = network.predict_proba(inputs(network)), network.logits(inputs(network))
    assert len(given) > len(names) / 3
    body = f"const run = (given) => {{ {FORWARD} }}; const all = {{}};"
    body += "for (const name in given.cases) all[name] = run(given.cases[name]); return all;"
    found = run_node(tmp_path, body, cases=given)
    for name, (probabilities, logits) in expected.items():
        np.testing.assert_allclose(found[name]["head"], logits, rtol=1e-4, atol=1e-4, err_msg=name)
        np.testing.assert_allclose(found[name]["p"], probabilities, atol=1e-4, err_msg=name)


def test_which_layers_are_alive():
    alive = set()
    for layer, shape in CASES.values():
        reason = why_not_alive(classifier([layer], shape))
        kind = type(layer).__name__
        sentence = f"This page does not compute layer '{layer.name}': it is of the kind {kind}."
        assert reason in ("", sentence)
        alive |= {kind} if not reason else set()
    assert alive == {
        "ActivationLayer", "Affine", "Augmentation", "AveragePooling2D", "BatchNormalization", "Conv2D", "Cropping2D",
        "Dense", "DepthwiseConv2D", "Dropout", "Flatten", "GlobalAveragePooling2D", "GlobalMaxPooling2D", "MaxPooling2D",
        "Noise", "Normalization", "Permute", "Rescaling", "Reshape", "SeparableConv2D", "ZeroPadding2D",
    }  # fmt: skip


ACTIVATIONS: list[str | Activation] = sorted({*_PLAIN, *_FORMULAS})
ACTIVATIONS += [Relu(6.0, 0.1, 0.5), Relu(threshold=1.0), LeakyRelu(), Elu(0.5)]


def test_every_activation(tmp_path):
    x = np.linspace(-8, 8, 401, dtype=np.float32)[None]
    given, expected = [], []
    for activation in ACTIVATIONS:
        network = classifier([ActivationLayer("a", activation)], (401,))
        given.append({"network": encoded_network(network), "x": encoded(x), "all": True})
        expected.append(network.activations(x)["a"])
    body = f"const run = (given) => {{ {FORWARD} }}; return given.cases.map((each) => run(each).layers.a);"
    for name, found, values_ in zip(
        ACTIVATIONS, run_node(tmp_path, body, cases=given), expected, strict=True
    ):
        np.testing.assert_allclose(found, values_, rtol=1e-5, atol=1e-6, err_msg=str(name))


def test_no_other_activation_is_alive():
    named = {
        name
        for name in [*probe.layers.ACTIVATIONS, *probe.layers.FUNCTIONS, "softmax", "log_softmax"]
        if not why_not_alive(classifier([ActivationLayer("a", activation_named(name))], (4,)))
    }
    assert named == {*_PLAIN, *_FORMULAS}


def test_layers_that_read_several(tmp_path):
    shape = (6, 5, 3)
    layers = (
        Conv2D("left", values(3, 3, 3, 4), values(4), padding="same", activation_name="relu"),
        DepthwiseConv2D("right", values(3, 3, 3, 2), values(6), padding="same"),
        Conv2D("narrow", values(1, 1, 6, 4), None),
        BatchNormalization("bn", values(4), values(4), values(4), values(4) ** 2),
        Add("sum"),
        Concatenate("both"),
        Concatenate("below", 1),
        Dropout("dropout", 0.5),
        MaxPooling2D("pool", (2, 2), padding="same"),
    )
    wiring = (
        (0,),
        (0,),
        ("right",),
        ("narrow",),
        ("left", "bn"),
        ("sum", "right"),
        ("both", "both"),
        ("below",),
        ("dropout",),
        ("pool",),
    )
    network = classifier(layers, shape, wiring=wiring)
    check_forward(network, inputs(network), tmp_path)


def test_maps_with_the_channels_first_have_them_last_on_the_page(tmp_path):
    def residual(data_format):
        first = data_format == "channels_first"
        images, axis = {"data_format": data_format}, (1 if first else -1)
        width = (slice(None), None, None) if first else (slice(None),)
        layers = (
            Conv2D("left", values(3, 3, 3, 4), values(4), padding="same", **images),
            BatchNormalization("bn", values(4), values(4), values(4), values(4) ** 2, axis=axis),
            ActivationLayer("relu", "relu"),
            Conv2D("right", values(3, 3, 3, 4), None, padding="same", **images),
            Add("sum"),
            ActivationLayer("tanh", "tanh"),
            Affine("affine", values(4)[width], values(4)[width]),
            Dropout("dropout", 0.5),
            Concatenate("both", axis),
            Concatenate("twice", 3 if first else 2),
        )
        wiring = (
            (0,), ("left",), ("bn",), (0,), ("relu", "right"), ("sum",), ("tanh",), ("affine",), ("dropout", "sum"),
            ("both", "both"), ("twice",),
        )  # fmt: skip
        network = classifier(layers, (3, 6, 5) if first else (6, 5, 3), wiring=wiring)
        return network.with_input_shape((6, 5, 3))

    last, first = residual("channels_last"), residual("channels_first")
    x = inputs(last)
    check_forward(first, x, tmp_path)
    (tmp_path / "last").mkdir()
    ours, theirs = forward(first, x, tmp_path)["layers"], forward(last, x, tmp_path / "last")["layers"]
    shapes = {layer["name"]: layer["shape"] for layer in encoded_network(first)["layers"]}
    for name in last.layer_names[:-2]:
        assert shapes[name] == list(last.layer_shapes[name])
        np.testing.assert_allclose(ours[name], theirs[name], rtol=1e-5, atol=1e-5)


def test_channels_first_through_several_layers(tmp_path):
    layers = (
        Conv2D(
            "conv1",
            values(3, 3, 3, 4),
            values(4),
            padding="same",
            activation_name="relu",
            data_format="channels_first",
        ),
        BatchNormalization("bn", values(4), values(4), values(4), values(4) ** 2, axis=1),
        MaxPooling2D("pool", (2, 2), data_format="channels_first"),
        Conv2D("conv2", values(2, 2, 4, 5), values(5), data_format="channels_first"),
        Dropout("dropout", 0.1),
    )
    network = classifier(layers, (3, 8, 6))
    check_forward(network, inputs(network), tmp_path)


FIXTURES = ROOT / "tests" / "kerasfile" / "fixtures"
FILES = [
    ROOT / "tests" / "mnist_cnn.h5",
    *(path for path in sorted(FIXTURES.glob("keras*/*.h5")) if "weights" not in path.name),
]


def classifiers_of(network):
    """Return classifiers made of a network: itself, or the way to each of its outputs with a softmax layer behind it."""
    if network.n_classes:
        return [network]
    parts = [network.truncate(name) for name in network.output_names]
    return [
        classifier(part.layers, part.input_shape, wiring=(*part.wiring, (part.layers[-1].name,)))
        for part in parts
    ]


def test_networks_of_keras_files(tmp_path):
    given, networks = [], []
    for path in FILES:
        for network in classifiers_of(probe.load_network(path)):
            if not why_not_alive(network):
                networks.append((path, network))
                given.append(
                    {"network": encoded_network(network), "x": encoded(inputs(network, 5)), "all": False}
                )
    assert len(networks) > 60
    assert {path.name for path, _ in networks} >= {
        "mnist_cnn.h5",
        "digits_cnn.h5",
        "padding_bank.h5",
        "functional_residual.h5",
    }
    body = f"const run = (given) => {{ {FORWARD} }}; return given.cases.map(run);"
    for (path, network), found in zip(networks, run_node(tmp_path, body, cases=given), strict=True):
        where = f"{path.name} to {network.layers[-3:]}"
        np.testing.assert_allclose(
            found["p"], network.predict_proba(inputs(network, 5)), atol=1e-4, err_msg=where
        )


def test_images_of_another_shape_and_range(tmp_path):
    network = probe.load_network(ROOT / "tests" / "mnist_cnn.h5").with_input_shape((28, 28))
    network = network.with_input_range(-1, 1)
    images = probe.load_dataset("mnist").test.images[:30]
    check_forward(network, images, tmp_path)


def test_colour_images(tmp_path):
    layers = (
        Conv2D("conv", values(3, 3, 3, 4), values(4), activation_name="relu"),
        MaxPooling2D("pool"),
    )
    network = classifier(layers, (12, 10, 3), n_classes=20).with_standardized_input(
        (0.4, 0.5, 0.6), (0.2, 0.3, 0.1)
    )
    check_forward(network, inputs(network), tmp_path)


@pytest.mark.parametrize("activation", ["sigmoid", "linear"])
def test_one_unit_tells_two_classes_apart(tmp_path, activation):
    rng = np.random.default_rng(0)
    layers = (
        Dense("hidden", rng.normal(size=(6, 5)).astype(np.float32), None, "tanh"),
        Dense("output", rng.normal(size=(5, 1)).astype(np.float32), np.ones(1, np.float32), activation),
    )
    check_forward(
        Network(layers, (6,), ("no", "yes")), inputs(Network(layers, (6,), ("no", "yes")), 50), tmp_path
    )


def test_several_sigmoid_outputs(tmp_path):
    layer = Dense("output", values(6, 4).astype(np.float32), values(4).astype(np.float32), "sigmoid")
    network = Network((layer,), (6,))
    check_forward(network, inputs(network, 40), tmp_path)


def test_linear_outputs_are_read_as_logits(tmp_path):
    layer = Dense("output", values(6, 4).astype(np.float32), values(4).astype(np.float32))
    network = Network((layer, Dropout("dropout", 0.5)), (6,))
    check_forward(network, inputs(network, 40), tmp_path)


def test_contributions_sum_to_the_pre_activation(tmp_path):
    split = probe.load_dataset("digits")
    network = probe.train(probe.MLP((16,)), split, probe.TrainingConfig(epochs=5)).network
    body = """
      const network = new Network(given.network);
      return [0, 1, 2].map((i) => {
        network.forward(row(given.x, i));
        return [network.contributions("hidden_1", 3), network.contributions("output", 9)];
      });
    """
    x = split.test.images[:3]
    found = run_node(tmp_path, body, network=encoded_network(network), x=encoded(x))
    z = network.pre_activations(x)
    hidden = network.activations(x)["hidden_1"]
    for i, (first, last) in enumerate(found):
        for ours, name, unit, read in ((first, "hidden_1", 3, x[i].ravel()), (last, "output", 9, hidden[i])):
            layer = network.layer(name)
            np.testing.assert_allclose(ours["products"], read * layer.kernel[:, unit], atol=1e-6)
            np.testing.assert_array_equal(np.float32(ours["weights"]), layer.kernel[:, unit])
            assert ours["bias"] == pytest.approx(float(layer.bias[unit]))
            assert ours["sum"] == pytest.approx(float(z[name][i, unit]), abs=1e-5)


def test_a_network_that_is_too_large_is_not_alive():
    network = Network(
        (Flatten("f"), Dense("output", np.zeros((3_000_000, 1), np.float32), None, "sigmoid")), (3_000_000, 1)
    )
    assert (
        why_not_alive(network)
        == "It has 3,000,000 weights, and this page computes networks of at most 2,000,000."
    )
    with pytest.raises(probe.InputError, match="3,000,000 weights"):
        encoded_network(network)
    layer = Conv2D("conv", np.zeros((3, 3, 1, 512), np.float32), padding="same")
    large = classifier([layer, GlobalAveragePooling2D("mean")], (100, 100, 1))
    assert "46,081,536 multiplications for each image" in why_not_alive(large)


def test_accuracy_on_a_dataset(tmp_path):
    split = probe.load_dataset("digits")
    network = probe.train(probe.MLP((16,)), split, probe.TrainingConfig(epochs=5)).network
    test: Dataset = split.test
    body = "return new Network(given.network).accuracy(given.images, given.labels.values);"
    given = {"images": encoded(test.images), "labels": encoded(test.labels.astype(np.uint8))}
    found = run_node(tmp_path, body, network=encoded_network(network), **given)
    assert found == pytest.approx(float((network.predict(test.images) == test.labels).mean()))
