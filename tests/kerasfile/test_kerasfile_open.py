"""Which kind of file it is, what it tells before its weights are read, and what is odd about it."""

import shutil
import tracemalloc
from dataclasses import replace

import h5py
import numpy as np
import pytest
from keras_writing import (
    arrays,
    dense,
    entry,
    json_file,
    legacy_file,
    new_input,
    object_file,
    old_input,
    sequential,
)

from probe._checks import InputError, ModelFileError, ModelFileWarning
from probe.kerasfile import open_model, read_provenance
from probe.layers import Dense
from probe.network import Network
from probe.safeh5 import DEFAULT_LIMITS
from probe.storage import load_network, save_network

K, B = arrays((4, 3), (3,))


def test_a_description_needs_no_weights(fixtures):
    with open_model(fixtures / "keras3" / "functional_residual.keras") as model:
        layers = {layer.name: layer for layer in model.layers}
        network = model.network()
    assert model.input_shapes == ((8, 8, 3),) and model.output_names == ("head",)
    assert list(layers) == list(network.layer_names)
    assert {name: layer.output_shape for name, layer in layers.items()} == network.layer_shapes
    assert {name: layer.n_parameters for name, layer in layers.items()} == {
        layer.name: layer.n_parameters for layer in network.layers
    }
    stem = layers["stem"]
    assert (stem.class_name, [(v.name, v.shape, v.dtype) for v in stem.variables]) == (
        "Conv2D",
        [("kernel", (3, 3, 3, 4), "float32"), ("bias", (4,), "float32")],
    )
    assert [v.name for v in layers["stem_bn"].variables][2:] == ["moving_mean", "moving_variance"]


def test_the_type_on_disk_is_described(fixtures):
    for name, dtype in {"mlp_bfloat16": "bfloat16", "mlp_float16": "float16"}.items():
        with open_model(fixtures / "keras3" / f"{name}.h5") as model:
            assert {variable.dtype for layer in model.layers for variable in layer.variables} == {dtype}


def test_the_count_of_a_normalization_is_not_among_the_variables(fixtures):
    with open_model(fixtures / "keras3" / "reshape_norm.keras") as model:
        assert [variable.name for variable in model.layers[0].variables] == ["mean", "variance"]


@pytest.mark.parametrize("name", ["keras3/mlp.h5", "keras3/mlp.keras", "keras3/mlp_bfloat16.h5"])
def test_some_units_are_the_columns_of_all(fixtures, name):
    with open_model(fixtures / name) as model:
        layer = model.layers[0].name
        whole = model.variable(layer, "kernel")
        np.testing.assert_array_equal(
            model.variable(layer, "kernel", units=slice(1, 4)), whole[:, 1:4], strict=True
        )
        np.testing.assert_array_equal(
            model.variable(layer, "bias", units=slice(2, 3)), model.variable(layer, "bias")[2:3]
        )
        np.testing.assert_array_equal(whole, model.network().dense_layers[0].kernel)
        assert not whole.flags.writeable
        with pytest.raises(InputError, match=f"layer 'x' does not exist: the model has '{layer}'"):
            model.variable("x", "kernel")
        with pytest.raises(InputError, match=f"layer '{layer}' has no array 'x': it has kernel, bias"):
            model.variable(layer, "x")
        with pytest.raises(InputError):
            model.variable(layer, "kernel", units=slice(0, 1000))


def test_some_units_of_a_large_layer_take_little_memory(tmp_path):
    kernel = np.random.default_rng(0).normal(size=(2000, 4000)).astype("f4")
    network = Network((Dense("output", kernel, kernel[0]),), (2000,))
    path = save_network(network, tmp_path / "a.h5")
    with h5py.File(path, "r+") as file:
        del file["model_weights/output/output/kernel"]
        file["model_weights/output/output"].create_dataset("kernel", data=kernel, chunks=(256, 64))
    with open_model(path) as model:
        tracemalloc.start()
        found = model.variable("output", "kernel", units=slice(64, 128))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    np.testing.assert_array_equal(found, kernel[:, 64:128])
    assert peak < 5 * found.nbytes


def test_an_array_of_another_shape_is_refused_when_the_file_is_opened(tmp_path):
    model = sequential(old_input("in", 4), dense("d", 4))
    path = legacy_file(tmp_path / "a.h5", model, {"d": [("kernel", K), ("bias", B)]})
    match = r"layer 'd': kernel has shape \(4, 3\), expected \(4, 4\)"
    with pytest.raises(ModelFileError, match=match), open_model(path):
        pass


@pytest.mark.parametrize("suffix", [".h5", ".keras", ".weights.h5", ".txt"])
def test_the_suffix_says_nothing(fixtures, tmp_path, suffix):
    for name in ("keras3/mlp.h5", "keras3/mlp.keras", "keras2_tf212/mlp.keras"):
        path = shutil.copyfile(fixtures / name, tmp_path / f"model{suffix}")
        assert load_network(path).layer_names[0] == "hidden_a"
        assert read_provenance(path) == {}


def test_the_architecture_may_be_in_any_file_with_a_model(fixtures, tmp_path):
    weights = shutil.copyfile(fixtures / "keras3" / "mlp.weights.h5", tmp_path / "x.weights.h5")
    expected = load_network(fixtures / "keras3" / "mlp.h5")
    for architecture in ("mlp.h5", "mlp.keras"):
        network = load_network(weights, architecture=fixtures / "keras3" / architecture)
        np.testing.assert_array_equal(network.dense_layers[0].kernel, expected.dense_layers[0].kernel)
    with pytest.raises(ModelFileError, match=r"holds only weights, .* pass its architecture as well"):
        load_network(weights)
    shutil.copyfile(fixtures / "keras3" / "mlp.keras", tmp_path / "x.keras")
    assert load_network(weights).layer_names == expected.layer_names


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (None, "does not exist"),
        (b"", "not valid JSON"),
        (b"\xff\xfe", "cannot be read as text"),
        (b"{}", "describes a None model"),
        (b'{"class_name": "Sequential", "config": {"layers": []}}', "without layers"),
    ],
)
def test_an_architecture_that_is_none_is_named(fixtures, tmp_path, content, match):
    path = tmp_path / "config.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ModelFileError, match=f"config.json.*{match}"):
        load_network(fixtures / "keras3" / "mlp.weights.h5", architecture=path)


def test_an_architecture_larger_than_the_limit_is_refused(fixtures, tmp_path):
    path = json_file(tmp_path / "config.json", sequential(new_input("in", 4), dense("d", 3)))
    limits = replace(DEFAULT_LIMITS, text_bytes=10)
    with pytest.raises(ModelFileError, match=r"config.json has more than the 10 bytes"):
        load_network(fixtures / "keras3" / "mlp.weights.h5", architecture=path, limits=limits)


def test_weights_alone_are_no_architecture(fixtures):
    weights = fixtures / "keras3" / "mlp.weights.h5"
    with pytest.raises(ModelFileError, match="holds no architecture"):
        load_network(weights, architecture=weights)


def test_the_architecture_of_another_model_is_refused(fixtures):
    weights = fixtures / "keras3" / "cnn.weights.h5"
    with pytest.raises(ModelFileError, match=r"cnn\.weights\.h5: layer"):
        load_network(weights, architecture=fixtures / "keras3" / "functional_residual.keras")


def test_limits_can_be_raised_and_lowered(tmp_path, small_network):
    path = save_network(small_network, tmp_path / "a.h5")
    with pytest.raises(ModelFileError, match="more than"):
        load_network(path, limits=replace(DEFAULT_LIMITS, tensor_bytes=50))


@pytest.mark.parametrize(
    ("values", "match"),
    [(np.full((4, 3), 3e38, "f4"), "layer 'd': kernel has values up to 3e[+]38"), (K, None)],
)
def test_weights_that_overflow_are_read_with_a_warning(tmp_path, recwarn, values, match):
    model = sequential(old_input("in", 4), dense("d", 3))
    load_network(legacy_file(tmp_path / "a.h5", model, {"d": [("kernel", values), ("bias", B)]}))
    assert [w.category for w in recwarn] == ([ModelFileWarning] if match else [])
    if match:
        with pytest.warns(ModelFileWarning, match=match):
            load_network(tmp_path / "a.h5")


def test_a_negative_variance_is_read_with_a_warning(tmp_path):
    model = sequential(old_input("in", 3), entry("BatchNormalization", "bn", scale=False, center=False))
    weights = {"bn": [("moving_mean", B), ("moving_variance", -B)]}
    with pytest.warns(ModelFileWarning, match="layer 'bn': moving_variance has negative values, down to -"):
        load_network(legacy_file(tmp_path / "a.h5", model, weights))


def test_a_variance_of_zero_is_read_with_a_warning_where_nothing_is_added_to_it(tmp_path):
    for epsilon in (0.0, 1e-3):
        layer = entry("BatchNormalization", "bn", scale=False, center=False, epsilon=epsilon)
        weights = {"bn": [("moving_mean", B), ("moving_variance", 0 * B)]}
        path = legacy_file(tmp_path / f"{epsilon}.h5", sequential(old_input("in", 3), layer), weights)
        if epsilon:
            assert np.isfinite(load_network(path).outputs(np.ones((1, 3), "f4"))).all()
        else:
            with pytest.warns(
                ModelFileWarning, match="layer 'bn': moving_variance has zeros and epsilon is 0"
            ):
                load_network(path)


def test_a_variable_under_a_foreign_name_is_read_with_a_warning(tmp_path):
    model = sequential(old_input("in", 3), entry("BatchNormalization", "bn", scale=False, center=False))
    weights = {"bn": [("kernel", B), ("bias", B)]}
    with pytest.warns(ModelFileWarning, match="layer 'bn' calls its") as caught:
        load_network(legacy_file(tmp_path / "a.h5", model, weights))
    assert ["moving_mean 'kernel'" in str(w.message) for w in caught] == [True, False]


def test_groups_with_many_members_are_read_with_a_warning(tmp_path):
    model = sequential(old_input("in", 4), dense("d", 3))
    path = legacy_file(tmp_path / "a.h5", model, {"d": [("d/kernel", K), ("d/bias", B)]})
    with h5py.File(path, "r+") as file:
        for k in range(300):
            file[f"model_weights/d/d/more_{k}"] = file["model_weights/d/d/bias"]
    with pytest.warns(ModelFileWarning, match="/model_weights/d/d has 302 members"):
        load_network(path)


def test_a_model_without_group_of_weights_is_refused(tmp_path):
    model = sequential(new_input("in", 4), dense("d", 3))
    path = object_file(tmp_path / "a.weights.h5", {})
    with h5py.File(path, "r+") as file:
        del file["layers"]
        file.create_group("_layer_checkpoint_dependencies")
    with pytest.raises(ModelFileError, match=r"layer 'd'.* has no weights in the file"):
        load_network(path, architecture=json_file(tmp_path / "config.json", model))
