"""Against the real thing: Keras on its NumPy backend, and files that several versions of it wrote."""

from dataclasses import replace

import numpy as np
import pytest

from probe import InputError
from probe.kerasfile import read_provenance
from probe.layers import ActivationLayer, Add, Dense, Dropout, Flatten, Pad, Reshape
from probe.network import Network
from probe.storage import load_network, save_network


def dense(name, n_in, n_units, activation, dtype="f4"):
    rng = np.random.default_rng(n_in + n_units)
    kernel, bias = rng.normal(size=(n_in, n_units)), rng.normal(size=n_units)
    return Dense(name, kernel.astype(dtype), bias.astype(dtype), activation)


def assert_keras_agrees(keras, network, path):
    for other in (path, path.with_suffix(".keras")):
        model = keras.models.load_model(save_network(network, other, provenance={"seed": 0}))
        assert_same(model, network)
    return model


def assert_same(model, network):
    x = np.random.default_rng(1).random((7, *network.input_shape)).astype(network.dtype)
    np.testing.assert_allclose(model.predict(x, verbose=0), network.outputs(x), atol=1e-5)
    found = model(x)
    assert np.asarray(found).dtype == network.dtype


@pytest.mark.parametrize("output", ["softmax", "sigmoid", "linear"])
@pytest.mark.parametrize("hidden", ["sigmoid", "relu", "tanh", "gelu", "elu", "leaky_relu", "softplus"])
def test_keras_predicts_what_we_predict(keras, tmp_path, hidden, output):
    layers = (Flatten("flatten"), dense("hidden_1", 12, 8, hidden), dense("output", 8, 5, output))
    model = assert_keras_agrees(keras, Network(layers, (3, 4)), tmp_path / "a.h5")
    assert [layer.name for layer in model.layers] == ["flatten", "hidden_1", "output"]


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_keras_reads_every_kind_of_layer(keras, tmp_path, dtype):
    layers = (
        Reshape("rows", (4, -1)),
        dense("input", 6, 5, "tanh", dtype),
        Dropout("dropout", 0.5),
        Flatten("flatten"),
        dense("dense_10", 20, 5, "linear", dtype),
        ActivationLayer("relu", "relu"),
        dense("dense_2", 5, 3, "linear", dtype),
        ActivationLayer("softmax", "softmax"),
    )
    assert_keras_agrees(keras, Network(layers, (2, 4, 3)), tmp_path / "a.h5")


def test_keras_refuses_step_which_it_does_not_have(keras, tmp_path):
    path = save_network(Network((dense("output", 4, 3, "step"),), (4,)), tmp_path / "a.h5")
    with pytest.raises((TypeError, ValueError), match="step"):
        keras.models.load_model(path)
    assert load_network(path).layers[0].activation_name == "step"


def models(keras):
    k = keras.layers
    return {
        "flatten": [
            k.Input((5, 4)),
            k.Flatten(),
            k.Dense(7, activation="relu"),
            k.Dense(3, activation="softmax"),
        ],
        "dropout": [
            k.Input((4,)),
            k.Dense(6, activation="gelu"),
            k.Dropout(0.5),
            k.Dense(2, activation="sigmoid"),
        ],
        "no_bias": [k.Input((4,)), k.Dense(6, activation="tanh", use_bias=False), k.Dense(2)],
        "activation": [k.Input((4,)), k.Dense(6), k.Activation("softplus"), k.Dense(3), k.Softmax()],
        "classes": [k.Input((4,)), k.Dense(6), k.ReLU(), k.Dense(6), k.LeakyReLU(0.2), k.Dense(3), k.ELU()],
        "object": [k.Input((4,)), k.Dense(6, activation=k.LeakyReLU(negative_slope=0.2)), k.Dense(3)],
        "rows": [k.Input((4, 3)), k.Dense(2, activation="elu"), k.Reshape((-1,)), k.Dense(3)],
        "named": [k.Input((4,), name="été"), k.Dense(3, name="out put"), k.Dense(2, name="b" * 300)],
        "float64": [k.Input((4,), dtype="float64"), k.Dense(3, dtype="float64"), k.Dense(2, dtype="float64")],
        "half": [k.Input((4,)), k.Dense(3, dtype="mixed_float16"), k.Dense(2, dtype="float32")],
    }


@pytest.mark.filterwarnings("ignore:.*HDF5 file.*")
@pytest.mark.parametrize(
    "name",
    ["flatten", "dropout", "no_bias", "activation", "classes", "object", "rows", "named", "float64", "half"],
)
def test_we_predict_what_keras_predicts(keras, tmp_path, name):
    keras.utils.set_random_seed(0)
    model = keras.Sequential(models(keras)[name])
    for weight in model.weights:
        weight.assign(np.random.default_rng(len(weight.path)).normal(size=weight.shape))
    model.save(tmp_path / "a.h5")
    network = load_network(tmp_path / "a.h5")
    assert network.layer_names == tuple(layer.name for layer in model.layers)
    x = np.random.default_rng(1).random((7, *network.input_shape)).astype(network.dtype)
    tolerance = 1e-2 if name == "half" else 1e-5
    np.testing.assert_allclose(network.outputs(x), model.predict(x, verbose=0), atol=tolerance)


@pytest.mark.parametrize("seed", range(6))
def test_branches_of_equal_layers_are_not_exchanged_in_an_archive(keras, tmp_path, seed):
    """All layers have one shape, so that whatever stands in the wrong place would go unnoticed but for the outputs."""
    rng = np.random.default_rng(seed)
    layers, wiring, values = [], [], [0]
    for k in range(12):
        if k % 3 == 2:
            layers.append(Add(f"sum_{k}"))
            wiring.append(tuple(rng.choice(np.array(values, object), 2, replace=False)))
        else:
            layers.append(dense(f"layer_{int(rng.integers(1e6))}_{k}", 4, 4, "tanh"))
            layers[-1] = replace(layers[-1], kernel=rng.normal(size=(4, 4)).astype("f4"))
            wiring.append((values[int(rng.integers(len(values)))],))
        values.append(layers[-1].name)
    read = {source for reads in wiring for source in reads}
    ends = [layer.name for layer in layers if layer.name not in read]
    layers.append(Add("output"))
    wiring.append((*ends, values[1]))
    network = Network(tuple(layers), (4,), wiring=tuple(wiring))
    path = save_network(network, tmp_path / "a.keras")
    assert_same(keras.models.load_model(path), network)
    again = load_network(path)
    assert (again.layer_names, again.wiring) == (network.layer_names, network.wiring)
    assert again.fingerprint == network.fingerprint
    assert path.read_bytes() == save_network(network, tmp_path / "b.keras").read_bytes()


def test_names_classes_and_origin_are_in_an_archive_too(tmp_path):
    layers = (Flatten("a/flat"), dense("dense@1", 12, 2, "softmax"))
    network = Network(layers, (3, 4), ("cat", "dog"))
    path = save_network(network, tmp_path / "a.keras", provenance={"seed": 3})
    again = load_network(path)
    assert (again.layer_names, again.class_names) == (("a/flat", "dense@1"), ("cat", "dog"))
    assert read_provenance(path) == {"seed": 3}
    regression = Network((dense("output", 3, 2, "linear"),), (3,)).for_regression()
    assert load_network(save_network(regression, tmp_path / "r.keras")).is_regression


@pytest.mark.parametrize(
    ("layers", "why"),
    [
        ((dense("output", 4, 3, "step"),), r"it has no 'output' \(activation step\); write an \.h5 file"),
        (
            (Pad("pad", ((1, 1),)), dense("output", 6, 3, "hard_sigmoid_v2")),
            r"'pad' \(probe>Pad\), 'output' \(activation hard_sigmoid_v2\)",
        ),
    ],
)
def test_what_keras_lacks_is_not_written_to_an_archive(tmp_path, layers, why):
    with pytest.raises(InputError, match=why):
        save_network(Network(layers, (4,)), tmp_path / "a.keras")
    assert not list(tmp_path.iterdir())


def test_layers_that_lead_to_no_output_are_not_written_to_an_archive(tmp_path):
    layers = (dense("output", 4, 3, "softmax"), dense("aside", 4, 3, "relu"))
    network = Network(layers, (4,), wiring=((0,), (0,)), output_names=("output",))
    with pytest.raises(
        InputError, match=r"layers that lead to an output, and 'aside' do not; write an \.h5 file"
    ):
        save_network(network, tmp_path / "a.keras")
