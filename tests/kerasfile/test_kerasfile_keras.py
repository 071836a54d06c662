"""Against the real thing: Keras on its NumPy backend, and files that several versions of it wrote."""

import numpy as np
import pytest

from probe.layers import ActivationLayer, Dense, Dropout, Flatten, Reshape
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
