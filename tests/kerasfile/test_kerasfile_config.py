import json

import h5py
import pytest

from probe._checks import InputError, ModelFileError
from probe.kerasfile._graph import flatten
from probe.kerasfile._layers import kind_of
from probe.kerasfile._models import parse_model
from probe.layers import Elu, LeakyRelu, Relu, Softmax
from probe.storage import load_network, save_network


def sequential(*layers, **settings):
    entries = [
        {"class_name": class_name, "config": {"name": f"l{place}", **config}}
        for place, (class_name, config) in enumerate(layers)
    ]
    return {"class_name": "Sequential", "config": {"layers": entries, **settings}}


def parse_model_config(text):
    return flatten(parse_model(text))


def functional(*layers, inputs=(("a", 0, 0),), outputs=(("d", 0, 0),), **settings):
    """Return a functional model; layers are (name, inbound nodes) of one unit each, None for an input."""
    entries = [
        {"class_name": "InputLayer", "config": {"name": name, "batch_shape": [None, 4]}, "inbound_nodes": []}
        if nodes is None
        else {"class_name": "Dense", "config": {"name": name, "units": 4}, "inbound_nodes": nodes}
        for name, nodes in layers
    ]
    config = {"layers": entries, "input_layers": list(inputs), "output_layers": list(outputs)}
    return {"class_name": "Functional", "config": config | settings}


INPUT = ("InputLayer", {"batch_shape": [None, 4]})
DENSE = ("Dense", {"units": 3})


@pytest.mark.parametrize("key", ["batch_shape", "batch_input_shape"])
def test_the_input_shape_of_keras_2_and_3_leaves_out_the_samples(key):
    for samples in (None, 7):
        model = sequential(("InputLayer", {key: [samples, 28, 28]}), DENSE)
        assert parse_model_config(json.dumps(model)).input_shapes == ((28, 28),)


def test_the_input_shape_may_stand_in_the_first_layer_or_the_model():
    first = sequential(("Dense", {"batch_input_shape": [None, 4]}))
    whole = sequential(DENSE, build_input_shape=[1, 4])
    inner = {"layers": [{"class_name": "Sequential", "config": first["config"] | {"name": "inner"}}]}
    for model in (first, whole, {"class_name": "Sequential", "config": inner}):
        assert parse_model_config(json.dumps(model)).input_shapes == ((4,),)


def test_before_keras_2_2_3_the_configuration_was_the_list_of_layers():
    model = sequential(("Dense", {"batch_input_shape": [None, 4]}))
    model["config"] = model["config"]["layers"]
    assert parse_model_config(json.dumps(model)).nodes[0].spec.class_name == "Dense"


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("", "not valid JSON"),
        ("{'class_name': 'Sequential'}", "not valid JSON"),
        ("[]", "not a JSON object"),
        ("[" * 101, "nested deeper than 100 levels"),
        ('{"a": NaN}', "holds NaN"),
        ('{"a": 1, "a": 2}', "names the same setting twice"),
        ('{"a": ' + "1" * 5000 + "}", "holds a number of 5000 digits, more than the 100"),
        (
            '{"class_name": "MyModel", "config": {}}',
            "describes a 'MyModel' model; only Sequential and Functional",
        ),
        ('{"class_name": "Functional", "config": {}}', "no list of at most 2000 layers"),
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
        (sequential(INPUT, ("Dense", {"quantization_config": {}})), "is quantized"),
        (sequential(INPUT, ("Dense", {"dtype": "int8_from_float32"})), "is quantized"),
        (
            sequential(("InputLayer", {"batch_shape": [None, 4], "sparse": True}), DENSE),
            "takes sparse inputs",
        ),
        (functional(("a", None), ("d", [[["d", 0, 0, {}]]])), "a loop through layer 'd'"),
        (functional(("a", None), ("d", [[["e", 0, 0]]]), ("e", [[["d", 0, 0]]])), "a loop through layer 'd'"),
        (functional(("a", None), ("d", [[["b", 0, 0]]])), "reads 'b', which model_config does not describe"),
        (functional(("a", None), ("d", [[["a", 0, 1]]])), "reads output 1 of 'a', which does not exist"),
        (functional(("a", None), ("d", [[["a", 0, 0]]]), outputs=[("d", 1, 0)]), "reads call 1 of 'd'"),
        (functional(("a", None), ("d", [[["a", 0, 0, {"y": 1}]]])), "is called with y = 1"),
        (functional(("a", None), ("d", [{"x": ["a", 0, 0]}])), "tensors named 'x', and takes such without"),
        (functional(("a", None), ("d", [[["a", True, 0]]])), "refers to a tensor as"),
        (functional(("a", None), ("d", [[["a", -1, 0]]])), "refers to a tensor as"),
        (functional(("a", None), ("d", [[[["a", 0, 0]]]])), "refers to a tensor as"),
        (functional(("a", None), ("d", [{"args": [], "kwargs": {}}])), "expected one tensor or one list"),
        (functional(("a", None), ("d", [{"args": [3], "kwargs": {}}])), "is called with 3"),
        (functional(("a", None), ("d", [{"args": [[]], "kwargs": {}}])), "is called with 0 tensors"),
        (functional(("a", None), ("d", [7])), "is called with 7"),
        (functional(("a", None), ("d", 7)), "has inbound_nodes = 7"),
        (functional(("a", None), ("d", [[["a", 0, 0]]]), inputs=[("d", 0, 0)]), "not layers of inputs"),
        (functional(("a", None), ("d", [[["a", 0, 0]]]), input_layers={"x": 1}), "refers to a tensor as 1"),
        (functional(("a", None), ("d", [[["a", 0, 0]]]), outputs=[("a", 0, 0)]), "gives an input of its own"),
        (
            functional(("a", None), ("b", None), ("d", [[["b", 0, 0]]])),
            "reads 'b', which is not among the inputs",
        ),
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
            r"layer 'hidden' \(Conv9D\) is of a class that cannot be read; say what it computes ",
        ),
        ({"registered_name": "my>Dense"}, "registered as 'my>Dense': a custom layer"),
        ({"module": "os.path"}, "the module 'os.path': a custom layer"),
        ({"config": {"units": True}}, "has units = True, expected an integer"),
        ({"config": {"units": 0}}, "has units = 0"),
        ({"config": {"units": 6}}, r"kernel has shape \(4, 5\), expected \(4, 6\)"),
        ({"config": {"use_bias": "no"}}, "use_bias = 'no', expected true or false"),
        ({"config": {"use_bias": 2}}, "use_bias = 2, expected true or false"),
        ({"config": {"use_bias": False}}, r"has 2 arrays in the file, expected 1 \(kernel\)"),
        (
            {"config": {"activation": "soft_sigmoid"}},
            "activation 'soft_sigmoid', which cannot be read; .* sigmoid",
        ),
        ({"config": {"activation": 7}}, "activation 7"),
        ({"config": {"activation": {"class_name": "X", "config": {}}}}, "activation of class 'X'"),
        ({"config": {"activation": {"class_name": ["ReLU"], "config": {}}}}, "activation of class"),
        ({"config": {"activation": {"class_name": "function", "config": "exec"}}}, "activation 'exec'"),
        (
            {"config": {"activation": {"class_name": "ReLU", "config": {}, "registered_name": "my>ReLU"}}},
            "registered as 'my>ReLU'",
        ),
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
    ("activation", "expected"),
    [
        (None, "linear"),
        ("swish", "silu"),
        ("hard_swish", "hard_silu"),
        ("log_softmax_v2", "log_softmax"),
        ({"class_name": "function", "config": "tanh"}, "tanh"),
        ({"class_name": "function", "config": "relu6", "registered_name": "function"}, "relu6"),
        ({"class_name": "ReLU", "config": {"max_value": None, "threshold": 0.0}}, "relu"),
        ({"class_name": "ReLU", "config": {"negative_slope": 0.2}}, Relu(negative_slope=0.2)),
        ({"class_name": "ReLU", "config": {"max_value": 6.0, "threshold": 1}}, Relu(6.0, 0.0, 1.0)),
        ({"class_name": "LeakyReLU", "config": {"alpha": 0.20000000298023224}}, "leaky_relu"),
        ({"class_name": "LeakyReLU", "config": {"negative_slope": 0.2}}, "leaky_relu"),
        ({"class_name": "LeakyReLU", "config": {}}, LeakyRelu(0.3)),
        ({"class_name": "ELU", "config": {"alpha": 1.0}}, "elu"),
        ({"class_name": "ELU", "config": {"alpha": 0.5}}, Elu(0.5)),
        ({"class_name": "Softmax", "config": {"axis": [-1]}}, "softmax"),
        ({"class_name": "Softmax", "config": {"axis": 1}}, Softmax(1)),
    ],
)
def test_activations_may_be_given_as_objects(tmp_path, small_network, activation, expected):
    path = save_network(small_network, tmp_path / "model.h5")
    edit(path, lambda layers: layers[1]["config"].update(activation=activation))
    network = load_network(path)
    assert network.dense_layers[0].activation_name == expected
    again = load_network(save_network(network, tmp_path / "again.h5"))
    assert again.dense_layers[0].activation_name == expected


@pytest.mark.parametrize(
    ("class_name", "config", "match"),
    [
        ("ReLU", {"max_value": -6.0}, "max_value"),
        ("ReLU", {"threshold": "x"}, "threshold = 'x', expected a finite number"),
        ("LeakyReLU", {"alpha": [0.5]}, r"alpha = \[0.5\], expected a finite number"),
        ("Softmax", {"axis": 0}, "axis = 0, expected axes other than that of the samples"),
        ("Softmax", {"axis": [1, 1]}, r"axis = \[1, 1\]"),
        ("Softmax", {"axis": 2}, "axis 2"),
        ("Dropout", {"rate": 2}, "rate = 2, expected a number from 0 to 1"),
        ("GaussianNoise", {"stddev": -1}, "stddev = -1, expected a number from 0"),
        ("Reshape", {"target_shape": [3, 2]}, "cannot reshape"),
        ("Reshape", {"target_shape": "big"}, "target_shape = 'big'"),
        ("Flatten", {"data_format": "channels_middle"}, "expected channels_last or channels_first"),
        ("Permute", {"dims": [2]}, r"dims = \[2\], expected each of 1 to 1 once"),
        ("Concatenate", {"axis": 1}, "Concatenate.*input|'new'"),
        ("BatchNormalization", {"renorm": True}, "renorm = True"),
        ("BatchNormalization", {"axis": 3}, "axis = 3, expected an axis of arrays with 2 axes"),
        ("BatchNormalization", {"axis": [0]}, "axis = 0, expected an axis"),
        ("LayerNormalization", {"rms_scaling": True}, "rms_scaling = True"),
        ("LayerNormalization", {"axis": []}, "no axis to normalize over"),
        ("Normalization", {"axis": [1, -1]}, "names an axis twice"),
        ("Conv2D", {"filters": 1, "kernel_size": 3}, r"takes images of three axes, but gets shape \(4,\)"),
        ("Rescaling", {"scale": {"class_name": "x"}}, "expected a finite number"),
    ],
)
def test_settings_that_make_no_sense_are_refused_in_words(tmp_path, small_network, class_name, config, match):
    path = save_network(small_network, tmp_path / "model.h5")
    new = {"class_name": class_name, "config": {"name": "new", **config}}
    edit(path, lambda layers: layers.insert(1, new))
    with pytest.raises(ModelFileError, match=rf"(?s)'new'.*{match}"):
        load_network(path)


IMAGE = ("InputLayer", {"batch_shape": [None, 6, 6, 4]})


@pytest.mark.parametrize(
    ("class_name", "config", "match"),
    [
        (
            "Conv2D",
            {"filters": 2, "kernel_size": [3, 3, 3]},
            r"kernel_size = \[3, 3, 3\], expected one or two",
        ),
        ("Conv2D", {"filters": 2, "kernel_size": 0}, "kernel_size = 0"),
        ("Conv2D", {"filters": 2, "kernel_size": 3, "strides": [0, 1]}, r"strides = \[0, 1\]"),
        (
            "Conv2D",
            {"filters": 2, "kernel_size": 3, "padding": "causal"},
            "padding = 'causal', expected valid or same",
        ),
        ("Conv2D", {"filters": 2, "kernel_size": 7}, "windows of 7 pixels, more than its input"),
        ("Conv2D", {"filters": 2, "kernel_size": 3, "groups": 3}, "groups = 3, which divides not both"),
        ("Conv2D", {"filters": 10**12, "kernel_size": 1}, "filters = 1000000000000"),
        ("MaxPooling2D", {"pool_size": True}, "pool_size = True"),
        ("ZeroPadding2D", {"padding": [[1, 2], 3, 4]}, "padding = .* expected counts of pixels"),
        ("ZeroPadding2D", {"padding": 10**6}, "more than 67108864 values"),
        ("Cropping2D", {"cropping": 3}, "nothing is left"),
        ("UpSampling2D", {"interpolation": "area"}, "interpolation = 'area', expected nearest"),
        ("Dense", {"units": 10**9}, "units = 1000000000"),
    ],
)
def test_settings_of_image_layers_are_checked_before_any_weight(class_name, config, match):
    spec = parse_model_config(json.dumps(sequential(IMAGE, (class_name, {"name": "new"} | config))))
    node = spec.nodes[0].spec
    with pytest.raises(InputError, match=rf"'new'.*{match}"):
        kind = kind_of(node)
        kind.shape_of(node, kind.read(node, spec.input_shapes[0]), spec.input_shapes, 1 << 26)
        kind.variables(node, spec.input_shapes[0])


def test_a_graph_that_doubles_is_refused_before_it_is_computed(tmp_path, small_network):
    entries = [("a", None)]
    model = functional(*entries)
    layers = model["config"]["layers"]
    before = "a"
    for k in range(40):
        node = [[[before, 0, 0, {}], [before, 0, 0, {}]]]
        layers.append(
            {"class_name": "Concatenate", "config": {"name": f"c{k}", "axis": -1}, "inbound_nodes": node}
        )
        before = f"c{k}"
    model["config"]["output_layers"] = [[before, 0, 0]]
    path = save_network(small_network, tmp_path / "a.h5")
    with h5py.File(path, "r+") as file:
        file.attrs["model_config"] = json.dumps(model)
    with pytest.raises(
        ModelFileError, match=r"layer 'c24' \(Concatenate\) puts out \(134217728,\), more than"
    ):
        load_network(path)


def test_models_that_are_called_twice_inside_each_other_are_counted(tmp_path):
    # 2 ** 12 calls of one layer, from 12 levels of two calls each.
    model = functional(("a", None), ("d", [[["a", 0, 0]]]))
    for level in range(7):
        nodes = [[["a", 0, 0]], [[f"m{level}", 1, 0]], [[f"m{level}", 2, 0]]]
        inner = model | {"inbound_nodes": nodes}
        inner["config"] = inner["config"] | {"name": f"m{level}"}
        model = functional(("a", None), outputs=[(f"m{level}", 3, 0)])
        model["config"]["layers"].append(inner)
    with pytest.raises(ModelFileError, match="calls models inside it more than 500 times"):
        flatten(parse_model(json.dumps(model), keras=2))


def test_models_inside_each_other_have_a_limit():
    model = sequential(INPUT, DENSE)
    for _ in range(8):
        model = {
            "class_name": "Sequential",
            "config": {"layers": [model | {"config": model["config"] | {"name": "m"}}]},
        }
    with pytest.raises(ModelFileError, match="lies inside 8 other models"):
        parse_model(json.dumps(model))
