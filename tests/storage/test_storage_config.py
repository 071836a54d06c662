import json

import h5py
import pytest

from probe._checks import ModelFileError
from probe.storage import load_network, save_network
from probe.storage._keras_config import parse_model_config


def sequential(*layers, **settings):
    entries = [
        {"class_name": class_name, "config": {"name": f"l{place}", **config}}
        for place, (class_name, config) in enumerate(layers)
    ]
    return {"class_name": "Sequential", "config": {"layers": entries, **settings}}


INPUT = ("InputLayer", {"batch_shape": [None, 4]})
DENSE = ("Dense", {"units": 3})


@pytest.mark.parametrize("key", ["batch_shape", "batch_input_shape"])
def test_the_input_shape_of_keras_2_and_3_leaves_out_the_samples(key):
    for samples in (None, 7):
        model = sequential(("InputLayer", {key: [samples, 28, 28]}), DENSE)
        assert parse_model_config(json.dumps(model)).input_shape == (28, 28)


def test_the_input_shape_may_stand_in_the_first_layer_or_the_model():
    assert parse_model_config(
        json.dumps(sequential(("Dense", {"batch_input_shape": [None, 4]})))
    ).input_shape == (4,)
    assert parse_model_config(json.dumps(sequential(DENSE, build_input_shape=[1, 4]))).input_shape == (4,)


def test_before_keras_2_2_3_the_configuration_was_the_list_of_layers():
    model = sequential(("Dense", {"batch_input_shape": [None, 4]}))
    model["config"] = model["config"]["layers"]
    assert parse_model_config(json.dumps(model)).layers[0].class_name == "Dense"


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("", "not valid JSON"),
        ("{'class_name': 'Sequential'}", "not valid JSON"),
        ("[]", "not a JSON object"),
        ("[" * 101, "nested deeper than 100 levels"),
        ('{"a": NaN}', "holds NaN"),
        ('{"a": 1, "a": 2}', "names the same setting twice"),
        ('{"a": ' + "1" * 5000 + "}", "not valid JSON"),
        ('{"class_name": "Functional", "config": {}}', "describes a 'Functional' model; only Sequential"),
        ('{"class_name": "Sequential", "config": 3}', "no list of at most 2000 layers"),
        ('{"class_name": "Sequential", "config": {"layers": [3]}}', "describes layer 0 by 3"),
    ],
)
def test_text_that_is_no_model_is_refused(text, match):
    with pytest.raises(ModelFileError, match=match):
        parse_model_config(text)


@pytest.mark.parametrize(
    ("model", "match"),
    [
        (sequential(), "without layers"),
        (sequential(INPUT), "without layers"),
        (sequential(DENSE), "gives no input shape"),
        (sequential(DENSE, INPUT), "InputLayer behind other layers"),
        (sequential(("InputLayer", {"batch_shape": [None, None]}), DENSE), r"input shape \[None, None\]"),
        (sequential(("InputLayer", {"batch_shape": [None, True]}), DENSE), "every axis but the first"),
        (
            sequential(("InputLayer", {"batch_shape": [None, 10**5, 10**5]}), DENSE),
            "inputs of 10000000000 values",
        ),
        (sequential(INPUT, ("Dense", {"name": "l0"})), "shares its name"),
        (sequential(INPUT, ("Dense", {"name": "a\x1b[31m"})), "expected plain text"),
        (sequential(INPUT, ("Dense", {"name": 3})), "the name 3"),
        (sequential(INPUT, ("Dense", {"quantization_config": {}})), "is quantised"),
    ],
)
def test_models_that_make_no_sense_are_refused(model, match):
    with pytest.raises(ModelFileError, match=match):
        parse_model_config(json.dumps(model))


@pytest.mark.parametrize(
    ("entry", "match"),
    [
        ({"class_name": "Lambda", "config": {"function": "x"}}, r"\(Lambda\) holds program code"),
        (
            {"class_name": "Conv9D"},
            r"layer 'hidden' \(Conv9D\) is of a class that cannot be read; supported are ",
        ),
        ({"registered_name": "my>Dense"}, "registered as 'my>Dense'; custom layers"),
        ({"module": "os.path"}, "the module 'os.path'; custom layers"),
        ({"config": {"units": True}}, "has units = True, expected an integer"),
        ({"config": {"units": 0}}, "has units = 0"),
        ({"config": {"units": 6}}, r"kernel has shape \(4, 5\), expected \(4, 6\)"),
        ({"config": {"use_bias": "no"}}, "use_bias = 'no', expected true or false"),
        ({"config": {"use_bias": False}}, r"has 2 arrays in the file, expected 1 \(kernel\)"),
        (
            {"config": {"activation": "hard_sigmoid"}},
            "activation 'hard_sigmoid', which cannot be read; .* sigmoid",
        ),
        ({"config": {"activation": 7}}, "activation 7"),
        ({"config": {"activation": {"class_name": "X", "config": {}}}}, "activation of class 'X'"),
        ({"config": {"activation": {"class_name": ["ReLU"], "config": {}}}}, "activation of class"),
        ({"class_name": "Flatten"}, r"has 2 arrays in the file, expected 0"),
        ({"config": {"name": "other"}}, "layer_names lists 'hidden', unknown to model_config"),
    ],
)
def test_layers_that_do_not_fit_are_refused_by_name(tmp_path, small_network, entry, match):
    path = save_network(small_network, tmp_path / "model.h5")
    edit(path, lambda layers: layers[1].update(entry, config=layers[1]["config"] | entry.get("config", {})))
    with pytest.raises(ModelFileError, match=match) as caught:
        load_network(path)
    assert str(caught.value).startswith(f"{path}: ") and "\n" not in str(caught.value)


def edit(path, change):
    with h5py.File(path, "r+") as file:
        model = json.loads(file.attrs["model_config"])
        change(model["config"]["layers"])
        file.attrs["model_config"] = json.dumps(model)


@pytest.mark.parametrize(
    ("activation", "name"),
    [
        (None, "linear"),
        ({"class_name": "function", "config": "tanh"}, "tanh"),
        ({"class_name": "ReLU", "config": {"max_value": None, "threshold": 0.0}}, "relu"),
        ({"class_name": "ReLU", "config": {"negative_slope": 0.2}}, "leaky_relu"),
        ({"class_name": "LeakyReLU", "config": {"alpha": 0.20000000298023224}}, "leaky_relu"),
        ({"class_name": "LeakyReLU", "config": {"negative_slope": 0.2}}, "leaky_relu"),
        ({"class_name": "ELU", "config": {"alpha": 1.0}}, "elu"),
        ({"class_name": "Softmax", "config": {"axis": [-1]}}, "softmax"),
    ],
)
def test_activations_may_be_given_as_objects(tmp_path, small_network, activation, name):
    path = save_network(small_network, tmp_path / "model.h5")
    edit(path, lambda layers: layers[1]["config"].update(activation=activation))
    assert load_network(path).dense_layers[0].activation_name == name


@pytest.mark.parametrize(
    ("class_name", "config", "match"),
    [
        ("ReLU", {"max_value": 6.0}, "max_value = 6; only ReLU without one"),
        ("ReLU", {"threshold": 0.5}, "threshold = 0.5; only ReLU with threshold 0"),
        ("ReLU", {"negative_slope": 0.1}, "slope 0.1 below zero; only 0.2"),
        ("LeakyReLU", {}, "slope 0.3 below zero; only 0.2"),
        ("ELU", {"alpha": 0.5}, "alpha = 0.5; only ELU with alpha 1"),
        ("Softmax", {"axis": 0}, "axis = 0; only softmax over the last axis"),
        ("Dropout", {"rate": 2}, "rate = 2, expected a number from 0 to 1"),
        ("Reshape", {"target_shape": [3, 2]}, "cannot reshape"),
        ("Reshape", {"target_shape": "big"}, "target_shape = 'big'"),
        ("Flatten", {"data_format": "channels_first"}, "channels_first"),
    ],
)
def test_settings_that_change_the_function_are_refused_in_words(
    tmp_path, small_network, class_name, config, match
):
    path = save_network(small_network, tmp_path / "model.h5")
    edit(
        path, lambda layers: layers.insert(1, {"class_name": class_name, "config": {"name": "new", **config}})
    )
    if class_name == "Flatten":
        edit(path, lambda layers: layers[0]["config"].update(batch_input_shape=[None, 2, 2]))
    with pytest.raises(ModelFileError, match=rf"layer 'new'.*{match}"):
        load_network(path)
