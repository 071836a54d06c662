"""What a user says that a layer computes: an expression in place of code."""

import inspect
import json

import numpy as np
import pytest
from keras_writing import dense, entry, functional, legacy_file, old_input, old_node, sequential

import probe
from probe._errors import InputError, ModelFileError
from probe.cli import run
from probe.cli._commands import command_of
from probe.storage import load_network

LAMBDA = entry("Lambda", "scale", function=["4wE=", None, None], function_type="lambda")
RNG = np.random.default_rng(3)
K, B = RNG.normal(size=(4, 3)).astype("f4"), RNG.normal(size=3).astype("f4")
X = RNG.normal(size=(5, 4)).astype("f4") * 3


@pytest.fixture
def model(tmp_path):
    layers = sequential(old_input("in", 4), LAMBDA, dense("d", 3, activation="linear"))
    return legacy_file(tmp_path / "a.h5", layers, {"scale": [], "d": [("d/kernel:0", K), ("d/bias:0", B)]})


def relu(x):
    return np.maximum(x, 0)


@pytest.mark.parametrize(
    ("expression", "right"),
    [
        ("x / 127.5 - 1", lambda x: x / 127.5 - 1),
        ("(x - 128) / 128", lambda x: (x - 128) / 128),
        ("x", lambda x: x),
        ("-x", lambda x: -x),
        ("+x * -(2 + 1) / 4", lambda x: -0.75 * x),
        ("2 - x", lambda x: 2 - x),
        ("1 / (x * x + 1)", lambda x: 1 / (x * x + 1)),
        ("x ** 2 - 2 ** -1", lambda x: x**2 - 0.5),
        ("relu(x - 1) + 0.5 * x", lambda x: relu(x - 1) + 0.5 * x),
        ("tanh(x) * sigmoid(2 * x)", lambda x: np.tanh(x) / (1 + np.exp(-2 * x))),
        ("clip(x, -1, 2)", lambda x: np.clip(x, -1, 2)),
        ("maximum(x, 0.5) - minimum(x, 1 - x)", lambda x: np.maximum(x, 0.5) - np.minimum(x, 1 - x)),
        ("(x - [1, 2, 3, 4]) / [2, 2, 4, 8]", lambda x: (x - [1, 2, 3, 4]) / [2, 2, 4, 8]),
        ("abs(x) / 1e2", lambda x: np.abs(x) / 100),
        ("softmax(x)", lambda x: np.exp(x) / np.exp(x).sum(1, keepdims=True)),
    ],
)
def test_an_expression_takes_the_place_of_a_layer(model, expression, right):
    network = load_network(model, replace={"scale": expression})
    np.testing.assert_allclose(network.outputs(X), right(X.astype("f8")) @ K + B, rtol=1e-4, atol=1e-4)


def test_sums_and_products_of_numbers_are_one_layer(model):
    network = load_network(model, replace={"scale": "((x - 3) * 2 + 1) / 255 - 1"})
    assert network.layer_names == ("scale", "d")
    assert load_network(model, replace={"scale": "relu(x - 1) * 2"}).layer_names == (
        "scale/1",
        "scale/2",
        "scale",
        "d",
    )


@pytest.mark.parametrize(
    ("expression", "problem"),
    [
        ("", "is no expression"),
        ("x +", "is no expression"),
        ("3 * 4", "does not depend on x"),
        ("__import__('os').system('touch pwned')", "which is none of x, numbers"),
        ("x.T", "which is none of x, numbers"),
        ("x if x else 1", "which is none of x, numbers"),
        ("[y for y in x]", "which is none of x, numbers"),
        ("x @ x", "which is none of x, numbers"),
        ("y + 1", "has 'y', which is none of x"),
        ("open(x)", r"has open of 1 arguments; known are clip\(x, low, high\)"),
        ("relu(x, 2)", "has relu of 2 arguments"),
        ("relu(1)", "has relu of what does not depend on x"),
        ("x / 0", "divides by zero"),
        ("x / (1 - 1)", "divides by zero"),
        ("1 / 0 * x", "is no expression"),
        ("x + 1e400", "has a number that is none or too large"),
        ("x + 10 ** 400", "is no expression|has a number that is none or too large"),
        ("x ** x", "has a power other than of x with a number"),
        ("2 ** x", "has a power other than of x with a number"),
        ("x + True", "which is none of x, numbers"),
        ("(" * 220 + "x" + ")" * 220, "is no expression"),
        ("x" + " + x" * 200, "has more than 500 letters"),
    ],
)
def test_what_is_no_expression_is_refused_in_one_line(model, tmp_path, monkeypatch, expression, problem):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelFileError, match=problem) as caught:
        load_network(model, replace={"scale": expression})
    assert "\n" not in str(caught.value)
    assert "the replacement of layer 'scale'" in str(caught.value)
    assert not (tmp_path / "pwned").exists()


def test_only_layers_that_are_there_and_read_one_tensor_are_replaced(model, tmp_path):
    with pytest.raises(
        ModelFileError, match=r"has no layer 'scales' to replace: it has 'scale', 'd'\. Pass one of these"
    ):
        load_network(model, replace={"scale": "x", "scales": "x"})
    with pytest.raises(ModelFileError, match=r"layer 'd'.* has 2 arrays in the file, expected 0"):
        load_network(model, replace={"scale": "x", "d": "x"})
    with pytest.raises(InputError, match="replace must be a mapping"):
        load_network(model, replace={"scale": 3})
    custom = entry("Mine", "op", [old_node(("in", 0, 0), ("in", 0, 0))]) | {"module": "mine"}
    layers = [old_input("in", 4, inbound=[]), custom]
    path = legacy_file(
        tmp_path / "b.h5", functional(layers, [["in", 0, 0]], [["op", 0, 0]]), {"in": [], "op": []}
    )
    with pytest.raises(ModelFileError, match=r"comes from the module 'mine': a custom layer.*--replace op="):
        load_network(path)
    with pytest.raises(ModelFileError, match="reads several tensors"):
        load_network(path, replace={"op": "x"})


def test_a_custom_layer_is_replaced_wherever_it_is_called(tmp_path):
    custom = entry("Mine", "op", [old_node(("in", 0, 0)), old_node(("op", 0, 0))]) | {"module": "mine"}
    layers = [old_input("in", 4, inbound=[]), custom]
    path = legacy_file(
        tmp_path / "b.h5", functional(layers, [["in", 0, 0]], [["op", 1, 0]]), {"in": [], "op": []}
    )
    network = load_network(path, replace={"op": "2 * x + 1"})
    np.testing.assert_allclose(network.outputs(X), 4 * X + 3, rtol=1e-5)
    assert network.layer_names == ("op@0", "op@1")


def test_parts_of_images_can_be_taken(tmp_path):
    layers = sequential(old_input("in", 8, 6, 3), LAMBDA)
    path = legacy_file(tmp_path / "a.h5", layers, {"scale": []})
    x = RNG.random((2, 8, 6, 3)).astype("f4")
    cropped = load_network(path, replace={"scale": "crop(x, 1, 2, 0, 3) * 2"})
    np.testing.assert_allclose(cropped.outputs(x), 2 * x[:, 1:6, :3], rtol=1e-6)
    assert load_network(path, replace={"scale": "resize(x, 4, 5)"}).outputs(x).shape == (2, 4, 5, 3)
    middle = load_network(path, replace={"scale": "center_crop(x, 4, 4)"}).outputs(x)
    np.testing.assert_array_equal(middle, x[:, 2:6, 1:5])
    aligned = load_network(path, replace={"scale": "resize_align_corners(x, 15, 6)"}).outputs(x)
    np.testing.assert_allclose(aligned[:, ::2], x, rtol=1e-6)
    np.testing.assert_allclose(aligned[:, 1::2], (x[:, 1:] + x[:, :-1]) / 2, rtol=1e-5)
    from_the_corner = load_network(path, replace={"scale": "resize_asymmetric(x, 4, 6)"}).outputs(x)
    np.testing.assert_allclose(from_the_corner, x[:, ::2], rtol=1e-6)


def test_every_command_that_reads_a_model_takes_replacements(model, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run(["inspect", str(model)]) == 2
    problem = capsys.readouterr().err
    assert "'scale' (Lambda) holds program code" in problem
    assert "--replace scale=" in problem
    assert run(["inspect", str(model), "--replace", "scale=x / 127.5 - 1"]) == 0
    assert "scale" in capsys.readouterr().out
    assert run(["convert", str(model), "b.h5", "--replace", "scale=x / 2"]) == 0
    np.testing.assert_allclose(probe.load_network("b.h5").outputs(X), X / 2 @ K + B, rtol=1e-4, atol=1e-5)
    assert run(["inspect", str(model), "--replace", "scale"]) == 2
    assert (
        "--replace must be NAME=FORMULA, such as scale='x / 127.5 - 1'; got 'scale'"
        in capsys.readouterr().err
    )
    for command in ("report", "maximize", "weights", "noise", "unit", "edit", "inspect", "convert"):
        parameters = inspect.signature(command_of(command, whole=True)).parameters
        assert {"architecture", "replace", "input_shape"} <= parameters.keys()


def test_the_architecture_of_another_file_is_replaced_too(model, tmp_path):
    other = tmp_path / "config.json"
    other.write_text(json.dumps(sequential(old_input("in", 4), LAMBDA, dense("d", 3, activation="tanh"))))
    network = load_network(model, architecture=other, replace={"scale": "x / 2"})
    np.testing.assert_allclose(network.outputs(X), np.tanh(X / 2 @ K + B), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("expression", ["x * [1, 2] ** 2", "x * 2 ** [1, 2]"])
def test_powers_of_lists_are_refused(model, expression):
    with pytest.raises(ModelFileError, match="has a power of or with a list"):
        load_network(model, replace={"scale": expression})
