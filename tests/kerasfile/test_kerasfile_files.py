"""Files that several versions of Keras wrote, with the numbers that they computed."""

import re
import warnings
from pathlib import Path

import numpy as np
import pytest

from probe.network import Network
from probe.objectives import Objective, class_logit
from probe.storage import load_network

FIXTURES = Path(__file__).parent / "fixtures"
FILES = sorted(
    str(path.relative_to(FIXTURES)) for path in FIXTURES.rglob("*") if path.suffix in (".h5", ".keras")
)
ENDINGS = re.compile(r"(\.weights\.h5|_no_optimizer\.h5|_weightsonly_legacy\.h5|_v3zip\.keras|\.keras|\.h5)$")
WITHOUT_ARCHITECTURE = re.compile(r"(\.weights|_weightsonly_legacy)\.h5$")


def test_every_kind_of_file_is_there():
    assert len(FILES) > 60
    assert {Path(name).parent.name for name in FILES} == {
        "keras3",
        "keras305",
        "keras2_tf215",
        "keras2_tf212",
    }


def opened(name):
    """Return the network of a file and what was recorded of it."""
    path = FIXTURES / name
    stem = ENDINGS.sub("", name)
    architecture = None
    if WITHOUT_ARCHITECTURE.search(name):
        candidates = (FIXTURES / f"{stem}{ending}" for ending in (".keras", "_v3zip.keras", ".h5"))
        architecture = next(path for path in candidates if path.exists())
    with np.load(FIXTURES / f"{stem}.npz", allow_pickle=False) as file:
        recorded = dict(file)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return load_network(path, architecture=architecture), recorded


def precision(name):
    return 1e-2 if "bfloat16" in name else 1e-3 if "float16" in name else 1e-5


def numbered(recorded, letter):
    if letter in recorded:
        return (recorded[letter],)
    return tuple(recorded[f"{letter}{k}"] for k in range(len(recorded)) if f"{letter}{k}" in recorded)


@pytest.mark.parametrize("name", FILES)
def test_outputs_and_hidden_values_are_those_that_keras_computed(name):
    network, recorded = opened(name)
    inputs = tuple(x.astype(network.dtype) for x in numbered(recorded, "x"))
    x = inputs if len(inputs) > 1 else inputs[0]
    for found, expected in zip(network.all_outputs(x), numbered(recorded, "y"), strict=True):
        np.testing.assert_allclose(found, expected, atol=precision(name), rtol=0)
    if "logits" in recorded:
        np.testing.assert_allclose(network.logits(x), recorded["logits"], atol=precision(name) * 3, rtol=0)
    activations, pre_activations = network.activations(x), network.pre_activations(x)
    known = [layer for layer in recorded["act_names"] if layer in activations]
    # Inputs are no layers here, and a model inside another is its last layer.
    assert set(activations) == set(known)
    tolerance = max(1e-4, precision(name))
    for layer in known:
        np.testing.assert_allclose(activations[layer], recorded[f"act__{layer}"], atol=tolerance, rtol=0)
        if f"pre__{layer}" in recorded:
            expected = recorded[f"pre__{layer}"]
            np.testing.assert_allclose(pre_activations[layer], expected, atol=tolerance, rtol=1e-5)


WITH_GRADIENTS = [
    name
    for name in FILES
    if np.load(FIXTURES / f"{ENDINGS.sub('', name)}.npz").keys() >= {"grad_logits"} and "float" not in name
]


@pytest.mark.parametrize("name", WITH_GRADIENTS)
def test_gradients_are_those_that_keras_computed(name):
    network, recorded = opened(name)
    x = recorded["x"].astype(network.dtype)
    for k, expected in enumerate(recorded["grad_logits"]):
        found = network.input_gradient(x, class_logit(k))
        np.testing.assert_allclose(found, expected, atol=1e-4 * np.abs(expected).max(), rtol=0)


@pytest.mark.parametrize("name", [name for name in WITH_GRADIENTS if "nested" not in name])
def test_gradients_of_hidden_layers_are_those_that_keras_computed(name):
    network, recorded = opened(name)
    hidden = [key.removeprefix("hgrad__") for key in recorded if key.startswith("hgrad__")]
    activations = network.activations(recorded["x"].astype(network.dtype))
    for layer in hidden:
        place = network.layer_names.index(layer)
        rest = Network(network.layers[place + 1 :], network.layer_shapes[layer])
        for k, expected in enumerate(recorded[f"hgrad__{layer}"]):
            found = rest.input_gradient(activations[layer], class_logit(k))
            np.testing.assert_allclose(found, expected, atol=1e-4 * np.abs(expected).max(), rtol=0)


def test_the_files_with_gradients_have_what_makes_them_differ():
    names = {Path(name).stem for name in WITH_GRADIENTS}
    # Pooled windows with equal pixels, folded and missing scales, models inside models, branches.
    assert names >= {"digits_cnn", "cnn_bn", "nested_sequential", "functional_residual"}


def test_a_unit_in_a_layer_of_maps_has_a_gradient_too():
    network, recorded = opened("keras3/digits_cnn.h5")
    x = recorded["x"].astype(network.dtype)
    assert np.isfinite(network.input_gradient(x, Objective("c1", 2))).all()


def test_weights_alone_take_the_keras_file_beside_them():
    path = FIXTURES / "keras3" / "mlp.weights.h5"
    ours, whole = load_network(path), load_network(FIXTURES / "keras3" / "mlp.h5")
    for layer, other in zip(ours.dense_layers, whole.dense_layers, strict=True):
        np.testing.assert_array_equal(layer.kernel, other.kernel)


@pytest.mark.parametrize("name", ["keras3/mlp", "keras2_tf215/mlp", "keras2_tf212/nested_sequential"])
def test_all_files_of_one_model_give_the_same_network(name):
    networks = [opened(file)[0] for file in FILES if ENDINGS.sub("", file) == name]
    assert len(networks) > 1
    for network in networks[1:]:
        assert network.layer_names == networks[0].layer_names
        for layer, other in zip(network.layers, networks[0].layers, strict=True):
            assert layer.variables.keys() == other.variables.keys()
            for variable, values in layer.variables.items():
                np.testing.assert_array_equal(values, other.variables[variable])
