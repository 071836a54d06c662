from dataclasses import replace

import numpy as np
import pytest

from probe._checks import InputError
from probe.layers import Conv2D, Dense
from probe.network import Network
from probe.objectives import Combination, Objective, class_logit, direction, unit
from probe.storage import load_result, save_result


def test_a_class_is_the_last_layers_pre_activation():
    assert class_logit(3) == Objective(layer=None, index=3, stage="pre_activation")
    assert class_logit(3).name == "class 3"


def test_a_unit_is_its_pre_activation_unless_asked_otherwise():
    assert unit("hidden_1", 4) == Objective("hidden_1", 4, "pre_activation")
    assert unit("hidden_1", 4, stage="activation") == Objective("hidden_1", 4, "activation")
    assert unit("hidden_1", 4).name == "hidden_1 unit 4"


@pytest.mark.parametrize("index", [-1, 1.0, True, "1"])
def test_an_index_counts_from_zero(index):
    with pytest.raises(InputError, match=f"index must be an integer of at least 0, got {index!r}"):
        class_logit(index)


def test_an_unknown_stage_is_refused():
    with pytest.raises(InputError, match="stage must be one of pre_activation, activation; got 'output'"):
        unit("hidden_1", 0, stage="output")


def test_objectives_add_subtract_and_scale():
    three, eight, four = class_logit(3), class_logit(8), unit("hidden_1", 4)
    assert (three - eight).terms == ((1.0, three), (-1.0, eight))
    assert (2 * four).terms == (four * 2).terms == ((2.0, four),)
    assert (-four).terms == ((-1.0, four),)
    assert (0.5 * (three - eight) + four).terms == ((0.5, three), (-0.5, eight), (1.0, four))
    assert (three + three).terms == ((2.0, three),)
    assert (three - eight + eight).terms == ((1.0, three),)


def test_operators_leave_their_operands_alone():
    first, second = class_logit(3), 2 * class_logit(8)
    _ = first + second, first - second, -second, 3 * second, second.named("other")
    assert (first, second) == (class_logit(3), Combination(((2.0, class_logit(8)),)))


def test_a_combination_is_named_after_its_terms_or_as_asked():
    combination = -class_logit(3) + 2 * unit("hidden_1", 4) - 0.25 * class_logit(1)
    assert combination.name == "-class 3 + 2 hidden_1 unit 4 - 0.25 class 1"
    assert combination.named("odd").name == "odd"
    assert class_logit(3).named("three").name == "three"
    assert (combination.named("odd") + class_logit(0)).name.endswith("+ class 0")


def test_a_direction_is_the_sum_of_units_times_the_entries_of_the_vector():
    found = direction("hidden_1", [0, 2, -1], stage="activation")
    assert found.terms == (
        (2.0, unit("hidden_1", 1, stage="activation")),
        (-1.0, unit("hidden_1", 2, stage="activation")),
    )
    assert found.name == "direction in hidden_1"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: class_logit(3) - class_logit(3), "must not be 0 everywhere: all its terms cancel"),
        (lambda: 0 * class_logit(3), "must not be 0 everywhere"),
        (lambda: class_logit(3) * np.inf, "the factor of an objective must be a finite number, got inf"),
        (lambda: Combination(((1.0, "class 3"),)), "pairs of a weight and an Objective, got 'class 3'"),
        (lambda: direction("hidden_1", [0.0, 0.0]), "vector must not be 0 everywhere"),
        (lambda: direction("hidden_1", [[1.0]]), r"vector must have shape \(n,\), got \(1, 1\)"),
        (lambda: direction("hidden_1", [1.0, np.nan]), "vector must be finite"),
    ],
)
def test_what_is_no_objective_is_refused(make, message):
    with pytest.raises(InputError, match=message):
        make()


@pytest.mark.parametrize("other", [1, "class 3", None])
def test_only_objectives_add_up(other):
    with pytest.raises(TypeError):
        class_logit(3) + other
    with pytest.raises(TypeError):
        class_logit(3) * class_logit(8)


def objectives_of_all_kinds():
    return [
        class_logit(3) - class_logit(8),
        2 * unit("hidden_1", 4) - unit("hidden_2", 1, stage="activation") + 0.5 * class_logit(0),
        direction("hidden_1", np.arange(12) - 5.0),
        -unit("hidden_1", 4),
        class_logit(3),
    ]


def test_a_combination_has_the_value_and_the_gradient_of_its_terms(trained):
    x = np.random.default_rng(0).random((5, 8, 8)).astype(np.float32)
    objectives = objectives_of_all_kinds()
    values, gradients = trained.objective_gradient(x, objectives)
    for k, objective in enumerate(objectives):
        terms = objective.terms if isinstance(objective, Combination) else ((1.0, objective),)
        parts = [(w, trained.objective_gradient(x[k : k + 1], [term])) for w, term in terms]
        np.testing.assert_allclose(values[k], sum(w * found[0][0] for w, found in parts), rtol=1e-4)
        expected = sum(w * found[1][0] for w, found in parts)
        np.testing.assert_allclose(gradients[k], expected, rtol=1e-4, atol=1e-5)


def test_the_gradient_of_a_combination_is_its_derivative(trained, numeric_gradient):
    exact = replace(trained, layers=tuple(as_double(layer) for layer in trained.layers))
    x = np.random.default_rng(1).random((1, 8, 8))
    for objective in objectives_of_all_kinds():
        expected = numeric_gradient(lambda at: float(exact.objective_gradient(at, [objective])[0][0]), x)  # noqa: B023
        np.testing.assert_allclose(exact.input_gradient(x, objective), expected, rtol=1e-5, atol=1e-8)


def as_double(layer):
    if not isinstance(layer, Dense):
        return layer
    return replace(layer, kernel=layer.kernel.astype(float), bias=layer.bias.astype(float))


def test_the_values_of_all_objectives_are_those_one_by_one(trained):
    x = np.random.default_rng(2).random((7, 8, 8)).astype(np.float32)
    objectives = objectives_of_all_kinds()
    values = trained.objective_values(x, objectives)
    assert values.shape == (7, 5)
    for k, objective in enumerate(objectives):
        np.testing.assert_allclose(
            values[:, k], trained.objective_gradient(x, [objective] * 7)[0], rtol=1e-5, atol=1e-5
        )


def test_in_feature_maps_means_and_positions_add_up():
    kernel = np.random.default_rng(0).normal(size=(2, 2, 1, 3))
    network = Network((Conv2D("conv", kernel, np.zeros(3), data_format="channels_first"),), (1, 5, 4))
    x = np.random.default_rng(1).random((2, 1, 5, 4))
    maps = network.outputs(x)
    objective = unit("conv", 1) - 2 * unit("conv", 1, position=(2, 1)) + unit("conv", 0, position=(0, 0))
    expected = maps[:, 1].mean(axis=(1, 2)) - 2 * maps[:, 1, 2, 1] + maps[:, 0, 0, 0]
    np.testing.assert_allclose(network.objective_gradient(x, [objective] * 2)[0], expected)
    np.testing.assert_allclose(network.objective_values(x, [objective])[:, 0], expected)


def test_objectives_survive_a_file(tmp_path):
    found = 0.5 * class_logit(3) - unit("conv", 1, position=(2, 1))
    path = save_result(found, tmp_path / "objective.h5")
    assert load_result(path, Combination) == found
