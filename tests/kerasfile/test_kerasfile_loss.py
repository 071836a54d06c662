"""What a file's loss says of its outputs: logits, quantities, or nothing."""

import json

import h5py
import numpy as np
import pytest

from probe._checks import InputError
from probe.kerasfile import open_model
from probe.kerasfile._own import meaning_of_archive, meaning_of_training
from probe.layers import Dense
from probe.network import Network
from probe.storage import load_network, save_network


def said(loss):
    """Return what both containers say of a loss, which is the same."""
    text = json.dumps({"loss": loss, "metrics": None})
    found = meaning_of_training(text)
    archive = json.dumps({"class_name": "Sequential", "config": {}, "compile_config": {"loss": loss}})
    assert meaning_of_archive(archive) == found
    return found


def described(class_name, **config):
    return {"module": "keras.losses", "class_name": class_name, "config": config, "registered_name": None}


@pytest.mark.parametrize(
    ("loss", "expected"),
    [
        ("mse", "quantities"),
        ("mean_squared_error", "quantities"),
        ("MeanAbsoluteError", "quantities"),
        (["mae"], "quantities"),
        ({"output": "huber"}, "quantities"),
        (described("LogCosh", name="log_cosh"), "quantities"),
        ({"module": "builtins", "class_name": "function", "config": "mean_squared_error"}, "quantities"),
        (described("BinaryCrossentropy", from_logits=True), "logits"),
        ({"output": described("BinaryCrossentropy", from_logits=True)}, "logits"),
        (described("SparseCategoricalCrossentropy", from_logits=True), "logits"),
        (described("BinaryCrossentropy", from_logits=False), ""),
        (described("BinaryCrossentropy", from_logits="yes"), ""),
        (described("BinaryCrossentropy"), ""),
        ("binary_crossentropy", ""),
        ("hinge", ""),
        ("my_own", ""),
        (None, ""),
        ([], ""),
        (["mse", "mse"], ""),
        ({"a": "mse", "b": "mse"}, ""),
        (7, ""),
        ({"class_name": ["mse"]}, ""),
        ({"class_name": "function", "config": {"class_name": "mse"}}, ""),
        (described("BinaryCrossentropy") | {"config": [1]}, ""),
    ],
)
def test_what_losses_say(loss, expected):
    assert said(loss) == expected


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", '"mse"', '{"loss": "mse"' + " " * 70_000 + "}", "[" * 2000, '{"loss": NaN}'],
)
def test_other_text_says_nothing(text):
    assert meaning_of_training(text) == ""
    assert meaning_of_archive(text) == ""
    if len(text) < 70_000:
        assert meaning_of_archive(f'{{"compile_config": {text or 0}}}') == ""


def model(keras, units, activation):
    keras.utils.set_random_seed(0)
    layers = [keras.layers.Input((4,)), keras.layers.Dense(3, "tanh"), keras.layers.Dense(units, activation)]
    return keras.Sequential(layers)


@pytest.mark.parametrize("suffix", ["h5", "keras"])
@pytest.mark.parametrize(
    ("units", "activation", "loss", "n_classes", "is_regression"),
    [
        (1, "sigmoid", "binary_crossentropy", 2, False),
        (1, "sigmoid", None, 2, False),
        (1, "sigmoid", "mse", 2, False),
        (1, None, "BinaryCrossentropy", 2, False),
        (1, None, "mse", 0, True),
        (1, None, "mae", 0, True),
        (1, "relu", "mse", 0, True),
        (1, None, None, 0, False),
        (1, None, "binary_crossentropy", 0, False),
        (3, None, "mse", 0, True),
        (3, None, "CategoricalCrossentropy", 3, False),
        (3, None, None, 3, False),
        (3, "softmax", "mse", 3, False),
        (3, "sigmoid", "binary_crossentropy", 3, False),
    ],
)
def test_keras_says_what_its_outputs_are(
    keras, tmp_path, suffix, units, activation, loss, n_classes, is_regression
):
    made = model(keras, units, activation)
    if loss is not None:
        made.compile("sgd", getattr(keras.losses, loss)(from_logits=True) if loss[0].isupper() else loss)
    path = tmp_path / f"model.{suffix}"
    made.save(path)
    network = load_network(path)
    assert (network.n_classes, network.is_regression) == (n_classes, is_regression)
    x = np.random.default_rng(0).normal(size=(40, 4)).astype("f4")
    expected = np.asarray(made(x))
    np.testing.assert_allclose(network.outputs(x), expected, atol=1e-6)
    if units == 1 and n_classes == 2:
        p = expected[:, 0] if activation else 1 / (1 + np.exp(-expected[:, 0]))
        np.testing.assert_array_equal(network.predict(x), p > 0.5)
        np.testing.assert_allclose(network.predict_proba(x), np.stack([1 - p, p], axis=1), atol=1e-6)
    # Written and read again it says the same.
    again = load_network(save_network(network, tmp_path / "again.h5"))
    assert (again.n_classes, again.is_regression) == (n_classes, is_regression)
    # Keras opens what was written, with its one unit.
    np.testing.assert_allclose(keras.models.load_model(tmp_path / "again.h5")(x), expected, atol=1e-6)


def test_the_loss_is_that_of_the_whole_model_only(keras, tmp_path):
    made = model(keras, 2, None)
    made.compile("sgd", "mse")
    made.save(tmp_path / "a.keras")
    with open_model(tmp_path / "a.keras") as file:
        assert file.meaning == "quantities"
        assert file.network().is_regression
        part = file.network(ending_at=file.layers[0].name)
        assert part.n_classes == 3 and not part.is_regression
        assert file.network(ending_at=file.layers[1].name, units=slice(0, 1)).is_regression is False


@pytest.mark.parametrize(
    "value",
    [b"\xff\xfe", "{", np.arange(4), "x" * 100_000, np.float64(3)],
    ids=["bytes", "json", "numbers", "long", "number"],
)
def test_a_loss_that_cannot_be_read_does_no_harm(tmp_path, small_network, value):
    path = save_network(small_network, tmp_path / "a.h5")
    with h5py.File(path, "r+") as file:
        file.attrs["training_config"] = value
    assert load_network(path).n_classes == 3


def test_inputs_keep_their_names(keras, tmp_path):
    a, b = keras.layers.Input((2,), name="left"), keras.layers.Input((3,), name="right")
    both = keras.layers.Concatenate()([a, b])
    made = keras.Model([a, b], keras.layers.Dense(2, "softmax")(both))
    x = {"left": np.ones((5, 2), "f4"), "right": np.full((5, 3), 2, "f4")}
    expected = np.asarray(made([x["left"], x["right"]]))
    for suffix in ("h5", "keras"):
        made.save(tmp_path / f"a.{suffix}")
        network = load_network(tmp_path / f"a.{suffix}")
        assert network.input_names == ("left", "right")
        for given in (x, dict(reversed(x.items())), [*x.values()], tuple(x.values())):
            np.testing.assert_allclose(network.outputs(given), expected, atol=1e-6)
        kept = load_network(save_network(network, tmp_path / "kept.h5"))
        assert kept.input_names == ("left", "right")
        np.testing.assert_allclose(kept.outputs(x), expected, atol=1e-6)


def test_names_of_inputs_that_cannot_be_stored_are_refused(tmp_path):
    network = Network((Dense("d", np.ones((2, 2), "f4"), np.zeros(2, "f4")),), (2,), input_names=("a\x1b",))
    with pytest.raises(InputError, match=r"input name .* cannot be stored"):
        save_network(network, tmp_path / "a.h5")
