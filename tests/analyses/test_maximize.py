import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import probe
from probe._checks import InputError
from probe.analyses.maximize import Maximization
from probe.ascent import Ball, Fourier, Shift
from probe.ascent.regularization import total_variation as _total_variation
from probe.layers import Dense, Flatten

SHAPE = (2, 3)


def linear_network(kernel, shape=SHAPE, output="linear", dtype=np.float64):
    kernel = np.asarray(kernel, dtype)
    front = () if len(shape) == 1 else (Flatten("flatten"),)
    layers = (*front, Dense("output", kernel, np.zeros(kernel.shape[1], dtype), output))
    return probe.Network(layers, shape)


def kernel_of(seed):
    w = np.random.default_rng(seed).normal(size=(6, 2))
    return np.where(np.abs(w) < 0.05, 0.05, w)


def classes(n):
    return [probe.class_logit(k) for k in range(n)]


@given(seed=st.integers(0, 9999))
@settings(max_examples=15)
def test_the_maximizer_of_a_linear_unit_is_a_corner_of_the_box(seed):
    kernel = kernel_of(seed)
    found = probe.maximize(linear_network(kernel), classes(2), restarts=2, steps=60, seed=seed)
    for k in range(2):
        for image in found.images[k]:
            np.testing.assert_array_equal(image, (kernel[:, k] > 0).reshape(SHAPE))
        np.testing.assert_allclose(found.values[k], kernel[:, k].clip(0).sum(), rtol=1e-12)


@given(seed=st.integers(0, 9999), l2=st.floats(0.2, 3))
@settings(max_examples=15)
def test_with_l2_the_maximizer_is_the_scaled_and_clipped_weight(seed, l2):
    kernel = kernel_of(seed)
    found = probe.maximize(linear_network(kernel), classes(2), restarts=2, steps=200, l2=l2, seed=seed)
    for k in range(2):
        expected = np.clip(kernel[:, k] / (2 * l2), 0, 1).reshape(SHAPE)
        best = kernel[:, k] @ expected.ravel() - l2 * (expected**2).sum()
        np.testing.assert_allclose(found.traces[k, :, -1], best, rtol=0, atol=1e-5)
        for image in found.images[k]:
            np.testing.assert_allclose(image, expected, atol=5e-3)


def test_with_a_large_total_variation_the_image_is_even():
    found = probe.maximize(
        linear_network(kernel_of(0)), classes(1), restarts=1, steps=500, total_variation=100.0
    )
    assert np.ptp(found.images[0, 0]) < 0.02


@pytest.mark.parametrize(
    "regularizers", [{}, {"l2": 0.1}, {"total_variation": 0.05}, {"l2": 1, "total_variation": 1}]
)
def test_the_objective_never_falls(trained, regularizers):
    objectives = [*classes(10), probe.unit("hidden_1", 3), probe.unit("hidden_2", 8, stage="activation")]
    found = probe.maximize(trained, objectives, restarts=3, steps=50, **regularizers)
    assert found.traces.shape == (12, 3, 51)
    assert (np.diff(found.traces, axis=2) >= 0).all()
    assert (found.traces[..., -1] > found.traces[..., 0]).all()
    assert found.images.min() >= 0
    assert found.images.max() <= 1


def test_values_are_scored_on_exactly_the_images_returned(trained):
    objectives = [*classes(10), probe.unit("hidden_1", 3), probe.unit("hidden_2", 8, stage="activation")]
    found = probe.maximize(trained, objectives, restarts=3, steps=30, l2=0.1)
    batch = found.images.reshape(-1, 8, 8)
    repeated = [objective for objective in objectives for _ in range(3)]
    values = trained.objective_gradient(batch, repeated)[0].reshape(12, 3)
    np.testing.assert_array_equal(found.values, values)
    np.testing.assert_allclose(
        found.traces[..., -1], values - 0.1 * (batch**2).sum(axis=(1, 2)).reshape(12, 3), rtol=1e-4, atol=1e-4
    )
    proba = trained.predict_proba(batch)
    np.testing.assert_array_equal(found.confidences, proba.max(axis=1).reshape(12, 3))
    np.testing.assert_array_equal(found.predictions, trained.predict(batch).reshape(12, 3))


def test_without_regularizers_the_trace_runs_from_the_start_value_to_the_value(trained):
    found = probe.maximize(trained, classes(3), restarts=2, steps=5)
    np.testing.assert_allclose(found.traces[..., 0], found.start_values, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found.traces[..., -1], found.values, rtol=1e-5, atol=1e-6)


def test_the_prediction_is_the_networks_where_outputs_saturate():
    # Both sigmoids are 1 in float32; the logits, 30 and 60, tell the classes apart.
    network = linear_network([[30, 60]], (1,), "sigmoid", np.float32)
    found = probe.maximize(network, [probe.class_logit(1)], restarts=1, steps=40)
    assert network.predict(found.images[0])[0] == 1
    assert found.predictions[0, 0] == 1


def test_the_best_of_the_restarts_is_picked(trained):
    found = probe.maximize(trained, classes(10), restarts=4, steps=5)
    for k in range(10):
        best = int(np.argmax(found.values[k]))
        assert found.best_restarts[k] == best
        assert found.best_values[k] == found.values[k, best]
        np.testing.assert_array_equal(found.best_images[k], found.images[k, best])


def test_an_objective_is_named_by_its_class_or_unit():
    layers = (
        Flatten("f"),
        Dense("h", np.ones((6, 3)), np.zeros(3)),
        Dense("output", np.ones((3, 2)), np.zeros(2)),
    )
    network = probe.Network(layers, SHAPE, ("cat", "dog"))
    found = probe.maximize(network, [probe.class_logit(1), probe.unit("h", 2)], restarts=1, steps=1)
    assert found.names == ("dog", "h unit 2")


def test_one_objective_more_does_not_change_how_the_first_climbs(trained):
    few = probe.maximize(trained, classes(2), restarts=2, steps=10, seed=4)
    many = probe.maximize(trained, classes(5), restarts=2, steps=10, seed=4)
    np.testing.assert_allclose(few.images, many.images[:2], atol=1e-4)


def test_another_seed_is_another_start(trained):
    one, other = (probe.maximize(trained, classes(1), restarts=1, steps=1, seed=seed) for seed in (0, 1))
    assert not np.array_equal(one.images, other.images)


def test_every_step_is_reported(trained):
    events = []
    probe.maximize(trained, classes(1), restarts=1, steps=7, progress=events.append)
    assert [(event.stage, event.done, event.total) for event in events] == [
        ("maximizing", step, 7) for step in range(1, 8)
    ]


@pytest.mark.parametrize("shape", [(1, 1), (3, 4), (3, 2, 3)])
def test_the_slope_of_the_total_variation_is_its_derivative(shape, numeric_gradient):
    x = np.random.default_rng(0).random((2, *shape))
    expected = numeric_gradient(lambda at: float(_total_variation(at)[0].sum()), x)
    np.testing.assert_allclose(_total_variation(x)[1], expected, rtol=1e-6, atol=1e-8)


def test_the_total_variation_of_an_edge_is_its_height_times_its_length():
    x = np.zeros((1, 5, 6))
    x[:, :, 3:] = 0.8
    assert _total_variation(x)[0][0] == pytest.approx(5 * (np.hypot(0.8, 0.01) - 0.01))
    assert _total_variation(np.full((1, 5, 6), 0.3))[0][0] == pytest.approx(0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"objectives": []}, "objectives must hold at least one, such as probe.class_logit(0), got none"),
        ({"objectives": [probe.class_logit(10)]}, "class must be from 0 to 9, got 10"),
        ({"objectives": [probe.unit("hidden_9", 0)]}, "layer 'hidden_9' does not exist"),
        ({"restarts": 0}, "restarts must be an integer of at least 1, got 0"),
        ({"steps": 0}, "steps must be an integer of at least 1, got 0"),
        ({"l2": -1}, "l2 must be a finite number at least 0, got -1"),
        ({"total_variation": np.nan}, "total_variation must be a finite number at least 0, got nan"),
    ],
)
def test_what_does_not_fit_is_refused(trained, arguments, message):
    arguments = {"objectives": [probe.class_logit(0)]} | arguments
    with pytest.raises(InputError, match=re.escape(message)):
        probe.maximize(trained, **arguments)


def test_total_variation_needs_images():
    network = linear_network(np.ones((6, 1)), (6,))
    with pytest.raises(
        InputError, match=r"total_variation needs images, but the network takes inputs of \(6,\)"
    ):
        probe.maximize(network, classes(1), total_variation=0.1)


def test_a_first_layer_is_proven_to_be_maximized_and_has_one_optimum(trained):
    found = probe.maximize(trained, [probe.unit("hidden_1", k) for k in range(12)], restarts=4)
    assert found.bounds.exact.all()
    np.testing.assert_allclose(found.reached, 1, atol=1e-4)
    np.testing.assert_array_equal(found.n_optima, 1)
    assert found.settled.all()


def test_bounds_hold_for_every_value_found(trained):
    objectives = [*classes(10), *(probe.unit("hidden_2", k) for k in range(9)), -probe.class_logit(0)]
    found = probe.maximize(trained, objectives, restarts=3, steps=60)
    assert (found.values <= found.bounds.upper[:, None]).all()
    assert (found.values >= found.bounds.lower[:, None]).all()
    assert ((found.reached > 0.5) & (found.reached <= 1)).all()


def two_hills():
    """A network of one pixel pair with an optimum at each of two corners."""
    layers = (
        Flatten("flatten"),
        Dense("hidden", np.array([[4.0, -4.0], [-4.0, 4.0]]), np.zeros(2), "relu"),
        Dense("output", np.ones((2, 1)), np.zeros(1)),
    )
    return probe.Network(layers, (1, 2))


def test_optima_that_differ_are_counted():
    found = probe.maximize(two_hills(), [probe.unit("output", 0)], restarts=16, steps=60)
    np.testing.assert_array_equal(found.n_optima, 2)
    np.testing.assert_allclose(found.values, 4, atol=1e-6)
    corners = {tuple(image.ravel().round(3)) for image in found.images[0]}
    assert corners == {(0, 1), (1, 0)}


def test_an_ascent_that_was_cut_short_has_not_settled(trained):
    assert not probe.maximize(trained, classes(3), restarts=2, steps=3).settled.any()


def test_the_top_images_are_those_with_the_greatest_values(trained, digits):
    objectives = [*classes(3), probe.class_logit(3) - probe.class_logit(8), -probe.unit("hidden_1", 2)]
    found = probe.maximize(trained, objectives, restarts=1, steps=2, images=digits.test, n_top=4)
    images = digits.test.images
    for k, objective in enumerate(objectives):
        values = trained.objective_gradient(images, [objective] * len(images))[0]
        np.testing.assert_allclose(found.top.values[k], np.sort(values)[::-1][:4], rtol=1e-5)
        np.testing.assert_array_equal(found.top.images[k], images[found.top.indices[k]])
        assert found.top.medians[k] == pytest.approx(np.median(values), rel=1e-4, abs=1e-5)
    assert found.top.n_images == len(images)
    few = probe.maximize(trained, classes(1), steps=1, images=images[:2], n_top=4)
    assert few.top.images.shape == (1, 2, 8, 8)
    assert probe.maximize(trained, classes(1), steps=1).top is None


def test_everything_survives_a_file(trained, digits, tmp_path):
    objectives = [probe.class_logit(3) - 0.5 * probe.unit("hidden_1", 2), probe.class_logit(0)]
    found = probe.maximize(
        trained,
        objectives,
        restarts=2,
        steps=5,
        parameterization=Fourier(),
        transform=Shift(1),
        region=Ball(4.0),
        images=digits.test.images[:20],
        frames=3,
        diversity=0.5,
    )
    kept = probe.load_result(probe.save_result(found, tmp_path / "found.h5"), Maximization)
    assert kept.objectives == found.objectives
    assert kept.names == ("class 3 - 0.5 hidden_1 unit 2", "0")
    assert (kept.parameterization, kept.transform, kept.region) == (Fourier(), Shift(1), Ball(4.0))
    np.testing.assert_array_equal(kept.frames.images, found.frames.images)
    np.testing.assert_array_equal(kept.top.images, found.top.images)
    np.testing.assert_array_equal(kept.bounds.upper, found.bounds.upper)
    batch = [objective for objective in kept.objectives for _ in range(2)]
    rescored = trained.objective_gradient(kept.images.reshape(-1, 8, 8), batch)[0]
    np.testing.assert_array_equal(rescored.reshape(2, 2), found.values)
    np.testing.assert_array_equal(kept.frames.images[0, -1], kept.best_images[0])


def test_a_difference_of_classes_is_named_by_them():
    network = linear_network(np.ones((6, 2)) * [1, 2])
    network = probe.Network(network.layers, SHAPE, ("cat", "dog"))
    found = probe.maximize(network, [probe.class_logit(0) - probe.class_logit(1)], restarts=1, steps=1)
    assert found.names == ("class cat - class dog",)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"frames": 1}, "frames must be an integer of at least 2, got 1"),
        ({"n_top": 0}, "n_top must be an integer of at least 1, got 0"),
        ({"images": np.zeros((2, 3, 3))}, "images must have shape (n, 8, 8), got (2, 3, 3)"),
        ({"diversity": -1}, "diversity must be a finite number at least 0, got -1"),
    ],
)
def test_new_settings_that_do_not_fit_are_refused(trained, arguments, message):
    with pytest.raises(InputError, match=re.escape(message)):
        probe.maximize(trained, [probe.class_logit(0)], **arguments)
