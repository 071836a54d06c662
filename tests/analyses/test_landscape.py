"""Landscapes: known answers on linear networks, steps without slopes, paths that are what they are said to be."""

import sys
from dataclasses import replace

import numpy as np
import pytest
from result_checks import check_result

import probe
from probe._progress import silent
from probe.analyses.landscape import affordable_looks, primary_estimates
from probe.analyses.landscape.activations import _verdict as steps_verdict
from probe.analyses.landscape.directions import measure_many_lines, unit_directions
from probe.analyses.landscape.path import (
    Look,
    _walk_shares,
    affordable_updates,
    hidden_activation,
    records,
    with_activation,
)
from probe.analyses.landscape.plane import principal
from probe.analyses.landscape.steepness import STEEPEST, steepness
from probe.layers import ActivationLayer, Conv2D, Dense, Flatten, MaxPooling2D
from probe.parameters import ParameterSpace
from probe.training import reinitialized

TINY = {"n_networks": 6, "n_directions": 60, "updates": 80, "resolution": 5, "n_planes": 2, "n_lines": 20}

FEWER = TINY | {"n_networks": 3, "n_directions": 10, "n_lines": 5}
"""For convolutions, of which each evaluation takes longer."""


@pytest.fixture(scope="module")
def found(trained, digits):
    return probe.landscape(trained, digits, **TINY, n_images=150)


def convolutional(activation="relu"):
    rng = np.random.default_rng(0)

    def draw(*shape):
        return (rng.normal(size=shape) / np.sqrt(np.prod(shape[:-1]))).astype(np.float32)

    layers = (
        Conv2D("conv", draw(3, 3, 1, 3), np.zeros(3, np.float32), activation_name=activation),
        MaxPooling2D("pool"),
        Flatten("flatten"),
        Dense("hidden", draw(27, 6), np.zeros(6, np.float32), activation),
        Dense("output", draw(6, 10), np.zeros(10, np.float32), "softmax"),
    )
    return probe.Network(layers, (8, 8, 1)).with_input_shape((8, 8))


def test_the_gradient_is_ahead_of_random_directions_at_short_steps(found):
    descent = found.descent
    assert descent.verdict.decision == "supported"
    assert (descent.along_gradient[:, 0] > descent.along_random[:, 0].max(axis=1)).all()
    assert (descent.wins_up_to > 0).all()
    # To first order the cost falls by the step times the length of the gradient.
    first = descent.steps[0] * descent.lengths * descent.gradient_norm
    np.testing.assert_allclose(descent.along_gradient[1:, 0], first[1:], rtol=0.1)


def test_random_directions_fall_as_often_as_they_rise_where_the_cost_is_straight(found):
    share = (found.descent.along_random[1:, 0] > 0).mean()
    assert 0.35 < share < 0.65


def test_long_steps_along_the_gradient_are_not_better(found):
    assert (found.descent.along_gradient[:, -1] < found.descent.along_gradient.max(axis=1)).all()


def test_components_are_those_of_the_gradient(found, trained, digits):
    space = ParameterSpace(trained)
    components = found.descent.components[0]
    assert components.n_parameters == space.n_parameters
    assert [len(sizes) for sizes in components.sizes] == [np.prod(part.shape) for part in space.parts]
    squares = np.sort(np.concatenate([sizes.astype(float) ** 2 for sizes in components.sizes]))[::-1]
    n = components.n_for_most
    assert squares[:n].sum() >= 0.9 * squares.sum() > squares[: n - 1].sum()
    assert np.abs(components.values[0]) == pytest.approx(np.sqrt(squares[0]), rel=1e-5)
    assert found.descent.gradient_norm[0] == pytest.approx(np.sqrt(squares.sum()), rel=1e-4)


def test_the_named_component_is_where_it_says():
    network = convolutional()
    rng = np.random.default_rng(0)
    split = probe.load_dataset("digits")
    data = split.train.take(slice(0, 50))
    space = ParameterSpace(network)
    gradient = space.gradient(data.images, data.labels)[1]
    index = int(rng.integers(space.n_parameters))
    layer, _, rest = space.named(index).partition(" ")
    variable, _, place = rest.partition("[")
    part = next(p for p in space.parts if (p.layer, p.variable) == (layer, variable))
    where = tuple(int(k) for k in place.rstrip("]").split(","))
    assert gradient[part.place].reshape(part.shape)[where] == gradient[index]


def test_with_steps_the_hidden_layers_stand_still_and_learn_less(found):
    steps = found.activations
    assert steps.kinds == ("own", "step", "output only")
    assert (steps.zero_share[1] == 1).all()
    assert (steps.moved[1] == 0).all()
    assert (steps.moved[2] == 0).all()
    assert (steps.moved[0] > 0).all()
    assert (steps.zero_share[0] < 0.9).all()
    assert np.isfinite(steps.cost).all()
    assert steps.verdict.interval.n == 6
    assert steps.own_zero_share == 1
    assert (steps.verdict.key, steps.verdict.subject, steps.verdict.minute) == ("continuous", "kind", "10:09")


def test_with_steps_the_gradient_points_nowhere_though_there_is_a_way_down(found):
    steps = found.activations
    own, step = steps.along_gradient
    assert (step == 0).all()
    best = steps.along_random[..., 2]
    assert (best[1].max(axis=1) > 1e-3).all()
    # With slopes the gradient of the hidden layers is ahead of all random directions in them, at short steps.
    assert (own[:, 0] > best[0, :, 0]).all()
    assert (np.diff(steps.along_random, axis=-1) >= 0).all()
    assert (steps.steps == found.descent.steps).all()
    assert steps.n_directions == 60


def test_only_the_hidden_layers_move_where_their_slopes_are_compared(trained):
    space = ParameterSpace(trained)
    moved = [part.place for part in space.parts if part.layer == "hidden_2"]
    drawn = unit_directions(space, 5, np.random.default_rng(0), moved)
    np.testing.assert_allclose(np.linalg.norm(drawn, axis=1), 1, rtol=1e-6)
    inside = np.zeros(space.n_parameters, bool)
    for place in moved:
        inside[place] = True
    assert (drawn[:, ~inside] == 0).all()
    assert (drawn[:, inside] != 0).all()


def test_directions_are_drawn_a_few_at_a_time_with_the_same_result(trained, digits, monkeypatch):
    data = digits.train.take(slice(0, 40))
    sizes = []

    def measured():
        rng = np.random.default_rng(3)
        space = ParameterSpace(trained)

        def draw(n):
            sizes.append(n)
            return unit_directions(space, n, rng)

        return measure_many_lines(space, Look(data, "cross-entropy", 1, silent), draw, 7, [0.1, 1.0])

    whole = measured()
    monkeypatch.setattr(
        sys.modules[unit_directions.__module__], "_VALUES", 3 * ParameterSpace(trained).n_parameters
    )
    parts = measured()
    assert sizes == [7, 3, 3, 1]
    np.testing.assert_array_equal(parts.cost, whole.cost)
    np.testing.assert_array_equal(parts.accuracy, whole.accuracy)


@pytest.mark.parametrize(
    "hidden", [(), (Dense("hidden", np.eye(64, 5, dtype=np.float32), np.zeros(5, np.float32)),)]
)
def test_without_hidden_activations_there_is_nothing_to_replace(digits, hidden):
    rng = np.random.default_rng(0)
    n_in = 5 if hidden else 64
    last = Dense(
        "output", rng.normal(size=(n_in, 10)).astype(np.float32), np.zeros(10, np.float32), "softmax"
    )
    network = probe.Network((Flatten("flatten"), *hidden, last), (8, 8))
    found = probe.landscape(network, digits, **TINY, n_images=50)
    assert found.activations is None
    assert [verdict.title[:12] for verdict in found.verdicts] == ["The negative"]


def test_enough_descent_shows_that_slopes_are_needed(trained, digits):
    found = probe.landscape(trained, digits, **TINY | {"updates": 1200, "n_directions": 2}, n_images=100)
    assert found.activations.verdict.decision == "supported"
    assert found.activations.accuracy[0, :, -1].min() > found.activations.accuracy[1, :, -1].max()


def test_the_path_begins_at_the_start_and_ends_at_the_origin(found):
    path = found.path
    assert path.updates[0] == 0
    assert path.updates[-1] == 80
    np.testing.assert_allclose(path.projected[-1], 0, atol=1e-5)
    for k, place in ((0, 0.0), (-1, 1.0)):
        there = np.abs(path.line - place).argmin()
        assert path.line_cost[there] == pytest.approx(path.cost[k], rel=1e-4)
        assert path.line_accuracy[there] == pytest.approx(path.accuracy[k], abs=0.011)
    assert path.cost[-1] < path.cost[0]
    # Its end is in the plane.
    at = [np.abs(axis).argmin() for axis in path.axes]
    assert path.plane_cost[at[1], at[0]] == pytest.approx(path.cost[-1], rel=0.2)


def test_principal_components_are_those_of_scikit_learn():
    from sklearn.decomposition import PCA

    path = np.random.default_rng(0).normal(size=(9, 40)).cumsum(axis=0)
    components, seen, shares = principal(path)
    theirs = PCA(2).fit(path)
    np.testing.assert_allclose(shares, theirs.explained_variance_ratio_, rtol=1e-9)
    np.testing.assert_allclose(np.abs(components @ theirs.components_.T), np.eye(2), atol=1e-9)
    assert seen[0, 0] <= 0 <= seen[0, 1]


def test_a_random_walk_has_the_shares_known_for_it():
    """6 / (pi^2 k^2) of the variance in component k, for many equal steps (Antognini and Sohl-Dickstein 2018)."""
    shares = _walk_shares(np.ones(80), 800, np.random.default_rng(0))
    np.testing.assert_allclose(shares, 6 / np.pi**2 / np.array([1, 4]), atol=0.05)


def test_the_surface_is_the_network_in_its_middle(found, trained, digits):
    surface = found.surface
    middle = len(surface.coordinates) // 2
    np.testing.assert_allclose(surface.planes[:, middle, middle], surface.cost, rtol=1e-5)
    np.testing.assert_allclose(surface.lines[:, len(surface.line_coordinates) // 2], surface.cost, rtol=1e-5)
    assert surface.planes.shape == (2, 5, 5)
    assert surface.lines.shape == (20, 41)
    assert np.median(surface.lines[:, 0]) > 2 * surface.cost
    assert 0 <= surface.lowest_share <= 1


def test_it_says_keeps_and_plots_itself(found):
    check_result(found)
    columns = found.columns()
    assert len(columns["step"]) == 3 * 7
    np.testing.assert_array_equal(columns["best_random"][:7], found.descent.along_random[0].max(axis=1))
    numbers = found.to_dict()
    assert numbers["surface"]["line_median"] == np.median(found.surface.lines, axis=0).tolist()
    assert numbers["activations"]["final_accuracy"] == found.activations.accuracy[:, :, -1].tolist()


def test_workers_and_repetition_change_nothing(found, trained, digits):
    again = probe.landscape(trained, digits, **TINY, n_images=150, workers=2)
    np.testing.assert_array_equal(again.descent.along_random, found.descent.along_random)
    np.testing.assert_array_equal(again.surface.planes, found.surface.planes)
    np.testing.assert_array_equal(again.activations.accuracy, found.activations.accuracy)
    np.testing.assert_array_equal(again.path.plane_cost, found.path.plane_cost)


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_a_convolutional_network_has_all_parts(digits, activation):
    found = probe.landscape(convolutional(activation), digits, **FEWER, n_images=60)
    assert found.activations.activation == activation
    assert (found.activations.moved[1] == 0).all()
    assert found.path.cost[-1] < found.path.cost[0]
    assert (found.descent.along_gradient[1:, 0] > 0).all()
    assert np.isfinite(found.surface.lines).all()


def test_a_network_that_has_steps_is_held_against_sigmoids(digits):
    found = probe.landscape(convolutional("step"), digits, **FEWER, n_images=60)
    assert found.activations.activation == "sigmoid"
    # All that moves is the output layer.
    assert found.descent.along_gradient[1:, 0].min() > 0


def test_activations_are_replaced_in_front_of_the_output_only():
    network = convolutional()
    assert hidden_activation(network) == "relu"
    stepped = with_activation(network, "step")
    assert hidden_activation(stepped) == "step"
    assert stepped.output_name == "softmax"
    alone = probe.Network((Dense("a", np.eye(2), np.zeros(2)), ActivationLayer("act", "tanh"),
                           Dense("b", np.eye(2), np.zeros(2))), (2,))  # fmt: skip
    assert hidden_activation(with_activation(alone, "step")) == "step"


def test_costly_networks_get_fewer_updates():
    small = probe.Network((Dense("output", np.zeros((64, 10)), np.zeros(10)),), (64,))
    assert affordable_updates(small, 2000) == 2000
    large = probe.Network((Dense("hidden", np.zeros((784, 9000), np.float32)),), (784,))
    assert affordable_updates(large, 2000) == 5_000_000_000 // (784 * 9000)
    assert affordable_updates(large, 20) == 20


def test_multiplications_are_counted_by_hand():
    assert convolutional().n_multiplications == 9 * 3 * 36 + 27 * 6 + 6 * 10
    kernel, bias = np.zeros((3, 3, 2, 5), np.float32), np.zeros(5, np.float32)
    last, first = (
        probe.Network((Conv2D("conv", kernel, bias, data_format=order),), shape)
        for order, shape in (("channels_last", (8, 10, 2)), ("channels_first", (2, 8, 10)))
    )
    assert last.n_multiplications == first.n_multiplications == 9 * 2 * 5 * 6 * 8


def test_costly_networks_are_looked_at_with_fewer_images_and_then_fewer_directions():
    def dense(n_units):
        return probe.Network((Dense("output", np.zeros((784, n_units)), np.zeros(n_units)),), (784,))

    assert affordable_looks(dense(10), 500, 1000) == (500, 1000)
    images, directions_left = affordable_looks(dense(2000), 500, 1000)
    assert 100 < images < 500
    assert directions_left == 1000
    images, directions_left = affordable_looks(dense(20_000), 500, 1000)
    assert images == 50
    assert 30 < directions_left < 1000
    assert affordable_looks(dense(10**4), 500, 1000, 5 * 10**10) == (50, 30)
    assert affordable_looks(dense(10**4), 20, 25, 10**10) == (20, 25)


def test_a_rate_that_is_too_large_does_not_speak_against_slopes(digits):
    """Pixels up to 255 make the usual rate diverge; with a smaller one the network learns."""
    rng = np.random.default_rng(0)
    layers = [Flatten("flatten")]
    for name, a, b, act in (("one", 64, 16, "relu"), ("two", 16, 16, "relu"), ("output", 16, 10, "softmax")):
        layers.append(
            Dense(name, rng.normal(size=(a, b)).astype(np.float32) / 8, np.zeros(b, np.float32), act)
        )
    network = probe.Network(tuple(layers), (8, 8)).with_input_range(0, 255)
    found = probe.landscape(network, digits, **TINY | {"updates": 1600, "n_directions": 2}, n_images=60)
    steps = found.activations
    assert steps.learning_rates[0] < 0.1
    assert (steps.cost[0, :, -1] < 0.1 * steps.cost[0, :, 0]).all()
    assert steps.verdict.decision != "refuted"


def test_where_the_network_learns_nothing_nothing_is_said_of_slopes():
    accuracy = np.full((3, 6, 2), 0.1)
    accuracy[1, :, -1] = 0.5
    accuracy[0, :, -1] = np.nan
    cost = np.full((3, 6, 2), 2.3)
    cost[0, :, -1] = np.nan
    verdict = steps_verdict("relu", cost, accuracy, np.zeros((3, 6)), 1.0, 0.1)
    assert verdict.decision == "inconclusive"
    assert "6 runs diverged and count as guessing" in verdict.sentence
    assert "10.0% with relu" in verdict.sentence
    assert "which decides nothing" in verdict.sentence


def test_slopes_are_those_of_the_gradient_and_none_is_steeper(found, trained, digits):
    steepness = found.descent.steepness
    assert steepness.slopes[0] == pytest.approx(1, abs=1e-6)
    assert (steepness.slopes[1:] < 1).all()
    assert steepness.error < 1e-6
    verdict = found.descent.verdict
    assert (verdict.key, verdict.decision, verdict.said) == (
        "steepest",
        "supported",
        "the direction to step that decreases the function most quickly",
    )
    assert verdict.statistic == max(*steepness.slopes[1:], *steepness.random_slopes)
    assert verdict.interval.n == 60 + 3
    assert verdict.p_value == pytest.approx(2 * 0.5**63)


def test_named_directions_have_the_cosines_of_numpy(trained, digits):
    """The slope along a direction of length 1 is its cosine with the gradient; of signs it is mean / root mean square."""
    data = digits.train
    found = steepness(trained, data, cost="cross-entropy", n_directions=3, rng=np.random.default_rng(0))
    gradient = ParameterSpace(trained.astype(np.float64)).gradient(data.images, data.labels)[1]
    length = np.linalg.norm(gradient)
    assert found.gradient_norm == pytest.approx(length)
    n_moving = (gradient != 0).sum()
    assert found.slopes[1] == pytest.approx(np.abs(gradient).sum() / np.sqrt(n_moving) / length, rel=1e-5)


def test_each_metric_has_a_steepest_direction_of_its_own(found):
    by_metric = found.descent.steepness.by_metric
    np.testing.assert_allclose(np.diag(by_metric), 1, rtol=1e-9)
    off = by_metric.copy()
    np.fill_diagonal(off, 0)
    assert (off < 1).all()
    assert found.descent.steepness.steepest == ("gradient", "sign", "diagonal", "Adam")


def test_the_best_random_direction_is_where_the_dimension_alone_puts_it(digits):
    """Over many networks of any cost: the expected largest of k normal values over the root of the dimension."""
    rng = np.random.default_rng(0)
    data = digits.train.take(slice(0, 20))
    found = []
    for _ in range(20):
        kernel = rng.normal(size=(64, 10)).astype(np.float32)
        network = probe.Network((Flatten("f"), Dense("o", kernel, kernel[0] * 0, "softmax")), (8, 8))
        found.append(steepness(network, data, cost="cross-entropy", n_directions=100, rng=rng))
    drawn = rng.normal(size=(4000, 100)).max(axis=1).mean() / np.sqrt(650)
    assert found[0].expected_best == pytest.approx(drawn, rel=0.02)
    assert np.mean([each.best_random for each in found]) == pytest.approx(drawn, rel=0.1)


def test_a_steeper_direction_would_refute_it(found):
    planted = replace(found.descent.steepness, random_slopes=np.array([0.1, 1.2]))
    assert planted.verdict.decision == "refuted"
    assert planted.verdict.statistic == 1.2


def test_where_the_gradient_is_zero_there_is_no_steepest_direction(digits):
    kernel = np.zeros((64, 10), np.float32)
    bias = np.array([1e4, *[0.0] * 9], np.float32)
    network = probe.Network((Flatten("flatten"), Dense("output", kernel, bias, "softmax")), (8, 8))
    data = digits.train.take(np.flatnonzero(digits.train.labels == 0))
    flat = steepness(network, data, cost="cross-entropy", n_directions=5, rng=np.random.default_rng(0))
    assert (flat.verdict.decision, flat.gradient_norm, flat.estimate) == ("inconclusive", 0.0, None)
    assert "no direction leads down" in flat.verdict.sentence


@pytest.mark.filterwarnings("ignore:the network is right on")
def test_the_estimates_of_a_network_decide_as_its_verdict_does(trained, digits):
    for network in (trained, reinitialized(trained, rng=np.random.default_rng(0)), convolutional()):
        estimates = primary_estimates(network, digits, n_directions=30, n_images=60)
        assert set(estimates) == {"steepest"}
        assert STEEPEST.decision(estimates["steepest"]) == "supported"
        assert 0 < estimates["steepest"].interval.estimate < 1


def test_only_what_was_asked_for_is_looked_at(trained, digits):
    found = probe.landscape(trained, digits, **TINY, n_images=50, parts=("descent", "activations"))
    assert (found.path, found.surface) == (None, None)
    assert [verdict.key for verdict in found.verdicts] == ["steepest", "continuous"]
    with pytest.raises(probe.InputError, match="nothing to show: the path was not asked for"):
        probe.plot(found, part="path")
    alone = probe.landscape(trained, digits, **TINY, n_images=50, parts=("descent",))
    np.testing.assert_array_equal(alone.descent.along_random, found.descent.along_random)
    assert alone.activations is None


def test_looks_at_a_path_are_ever_rarer():
    stops = records(100, 11)
    assert stops[0] == 0
    assert stops[-1] == 100
    assert (np.diff(np.diff(stops)) >= -1).all()


def test_fresh_starts_are_of_the_networks_layers(trained):
    start = reinitialized(trained, rng=np.random.default_rng(0))
    assert ParameterSpace(start).parts == ParameterSpace(trained).parts


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"n_networks": 1}, "n_networks must be an integer of at least 2"),
        ({"n_directions": 0}, "n_directions must be an integer of at least 1"),
        ({"resolution": 4}, "resolution must be odd"),
        ({"updates": 1}, "updates must be an integer of at least 2"),
        ({"workers": 0}, "workers must be an integer of at least 1"),
        ({"parts": ("valley",)}, "parts must be one of descent, activations, path, surface"),
        ({"cost": "hinge"}, "cost must be one of cross-entropy, quadratic"),
        ({"n_images": 0}, "n_images must be an integer of at least 1"),
    ],
)
def test_what_does_not_fit_is_refused(trained, digits, wrong, message):
    with pytest.raises(probe.InputError, match=message):
        probe.landscape(trained, digits, **TINY | wrong)
