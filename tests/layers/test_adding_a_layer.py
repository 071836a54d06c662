"""The recipe of docs/adding-a-layer.md, as it stands there: its layer works wherever layers do."""

import re
import sys
import types
from dataclasses import dataclass
from pathlib import Path

import every_layer
import numpy as np
import pytest
import test_layer_traits
import test_layers_contract

import probe
from probe.analyses.noise.limit import confidence_limit
from probe.ascent import certify
from probe.kerasfile import _layers as reader
from probe.layers import Dense, Dropout, Flatten
from probe.parameters import ParameterSpace
from probe.training import reinitialized

PAGE = Path(__file__).parents[2] / "docs" / "adding-a-layer.md"


@pytest.fixture
def recipe(monkeypatch):
    """Return the layer's class and its test case, as the page has them."""
    code, case = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    module = types.ModuleType("toy_layer")
    monkeypatch.setitem(sys.modules, "toy_layer", module)
    exec(compile(code, str(PAGE), "exec"), module.__dict__)
    return module.Gain, eval(f"{{{case}}}", {"Gain": module.Gain, **vars(every_layer)})


@pytest.fixture
def network(recipe):
    kind, _ = recipe
    draw = np.random.default_rng(0).normal
    layers = (
        Flatten("flatten"),
        Dense("hidden", draw(size=(12, 5)).astype("f4"), draw(size=5).astype("f4"), "relu"),
        kind("gain", draw(size=5).astype("f4")),
        Dense("output", draw(size=(5, 3)).astype("f4"), draw(size=3).astype("f4"), "softmax"),
    )
    return probe.Network(layers, (3, 4))


def test_it_keeps_the_contract_of_all_layers(recipe, monkeypatch, numeric_gradient):
    ((name, (layer, shape)),) = recipe[1].items()
    monkeypatch.setitem(every_layer.ALONE, name, (layer, shape))
    for module in (every_layer.EVERYTHING, test_layer_traits.CASES):
        monkeypatch.setitem(module, name, (layer, (shape,)))
    contract, traits = test_layers_contract, test_layer_traits
    contract.test_the_pullback_is_the_derivative(name, numeric_gradient)
    contract.test_the_gradient_of_what_is_learned_is_the_derivative(name, numeric_gradient)
    contract.test_the_output_has_the_promised_shape(name)
    contract.test_each_sample_is_alone_and_no_input_is_touched(name)
    contract.test_variables_have_the_shapes_that_the_class_promises(name)
    contract.test_variables_are_read_only(name)
    traits.test_affine_layers_are_those_whose_values_mix_as_their_inputs_do(name)
    traits.test_elementwise_layers_are_those_where_a_value_moves_only_its_own(name)
    traits.test_every_variable_is_drawn_or_starts_at_a_value_or_is_a_setting()


def test_networks_compute_with_it_and_show_it(network, numeric_gradient):
    x = np.random.default_rng(1).random((4, 3, 4))
    exact, objective = network.astype(np.float64), probe.class_logit(1)
    np.testing.assert_allclose(
        exact.input_gradient(x, objective),
        numeric_gradient(lambda at: float(exact.logits(at)[:, 1].sum()), x),
        atol=1e-7,
    )
    assert "  gain     Gain     (5,)                   5" in repr(network).splitlines()


def test_bounds_and_the_limit_know_what_it_is(network):
    x = np.random.default_rng(1).random((500, 3, 4)).astype("f4")
    objectives = [probe.class_logit(k) for k in range(3)]
    bounds = certify(network, objectives)
    logits = network.logits(x)
    assert np.isfinite(bounds.lower).all() and np.isfinite(bounds.upper).all()
    assert (logits >= bounds.lower).all() and (logits <= bounds.upper).all()
    limit = confidence_limit(network, x[:5])
    far = network.logits(1e5 * x[:5])
    np.testing.assert_allclose(far, limit.constants + 1e5 * limit.slopes, rtol=1e-4)


def test_weight_images_and_untrained_networks_go_through_it(network):
    _, hidden, gain, output = network.layers
    found = probe.weight_images(network, "output")
    expected = (hidden.kernel @ (gain.gain[:, None] * output.kernel)).T.reshape(3, 3, 4)
    assert found.kind == "expanded"
    np.testing.assert_allclose(found.images, expected, rtol=1e-5)
    np.testing.assert_array_equal(reinitialized(network, rng=np.random.default_rng(0)).layers[2].gain, 1)
    assert network.n_parameters == ParameterSpace(network).n_parameters == 12 * 5 + 5 + 5 + 18


def test_files_keep_it(recipe, network, tmp_path, monkeypatch):
    # As the reader does with every class of `probe.layers.LAYERS`.
    monkeypatch.setitem(reader.KINDS, "Gain", reader.kind_for(recipe[0]))
    probe.save_network(network, tmp_path / "toy.h5")
    again = probe.load_network(tmp_path / "toy.h5")
    np.testing.assert_array_equal(again.layer("gain").gain, network.layer("gain").gain)
    x = np.random.default_rng(1).random((4, 3, 4)).astype("f4")
    np.testing.assert_array_equal(again.logits(x), network.logits(x))


def test_what_a_class_does_not_say_enough_of_needs_an_entry(recipe, monkeypatch):
    @dataclass(frozen=True)
    class Strange(Dropout):
        seed: int | None = None

    with pytest.raises(TypeError, match=r"setting seed of type int \| None cannot be read by its type"):
        reader.kind_for(Strange)
    monkeypatch.setattr(recipe[0], "is_elementwise", False)
    with pytest.raises(TypeError, match="Gain has arrays: KINDS must say what shape it puts out"):
        reader.kind_for(recipe[0])
    assert "seed" in reader.kind_for(Strange, {"seed": lambda spec, shape: None}).settings
