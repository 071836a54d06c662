"""The ascent: exact maximizers of linear units in every region, diversity, frames, and what is refused."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import probe
from probe._checks import InputError
from probe.ascent import Ball, Blurred, Box, Fourier, Pixels, _climb, ascend
from probe.ascent.regularization import likeness
from probe.layers import Dense, Flatten

REGIONS = [Box(-1.0, 2.0), Ball(1.2), Ball(0.9, box=None), Ball(1.0, center=0.5), Ball(20.0)]


def linear(kernel, shape=(2, 3)):
    layers = (Flatten("flatten"), Dense("output", kernel, np.zeros(kernel.shape[1])))
    return probe.Network(layers, shape)


@pytest.mark.parametrize("region", REGIONS, ids=lambda region: region.name)
@given(seed=st.integers(0, 9999))
@settings(max_examples=10)
def test_a_linear_unit_is_maximized_exactly_in_every_region(region, seed):
    kernel = np.random.default_rng(seed).normal(size=(6, 2))
    objectives = [probe.class_logit(0), probe.class_logit(1)]
    found = ascend(linear(kernel), objectives, restarts=2, steps=150, region=region)
    best = (region.farthest(kernel.T.copy()) * kernel.T).sum(axis=1)
    np.testing.assert_allclose(found.values, best[:, None] * np.ones(2), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("region", REGIONS, ids=lambda region: region.name)
@pytest.mark.parametrize("parameterization", [Pixels(), Fourier(), Blurred()], ids=lambda one: one.name)
def test_images_stay_in_the_region_and_scores_never_fall(trained, region, parameterization):
    objectives = [probe.class_logit(3), probe.unit("hidden_1", 2) - probe.unit("hidden_2", 1)]
    found = ascend(
        trained, objectives, restarts=2, steps=25, region=region, parameterization=parameterization, l2=0.01
    )
    assert (np.diff(found.traces, axis=2) >= 0).all()
    flat = found.images.reshape(4, -1)
    np.testing.assert_allclose(region.project(flat.copy()), flat, atol=1e-5)
    np.testing.assert_array_equal(
        found.values.ravel(),
        trained.objective_gradient(found.images.reshape(4, 8, 8), np.repeat(objectives, 2).tolist())[0],
    )


def test_the_slope_of_the_likeness_is_its_derivative(numeric_gradient):
    x = np.random.default_rng(0).random((6, 3, 2))
    expected = numeric_gradient(lambda at: float(likeness(at, 3, 0.5)[0].sum()), x)
    np.testing.assert_allclose(likeness(x, 3, 0.5)[1], expected, rtol=1e-6, atol=1e-9)


def test_the_likeness_is_the_mean_cosine_to_the_other_restarts():
    x = np.random.default_rng(0).random((6, 4))
    away = x - 0.5
    cosines = away @ away.T / np.outer(np.linalg.norm(away, axis=1), np.linalg.norm(away, axis=1))
    expected = [(cosines[k, group].sum() - 1) / 2 for group in ([0, 1, 2], [3, 4, 5]) for k in group]
    np.testing.assert_allclose(likeness(x, 3, 0.5)[0], expected)
    even = np.full((2, 4), 0.5)
    np.testing.assert_array_equal(likeness(even, 2, 0.5)[0], [0, 0])
    np.testing.assert_array_equal(likeness(even, 2, 0.5)[1], np.zeros((2, 4)))


def test_diversity_makes_restarts_differ_and_their_sum_never_falls(trained):
    objectives = [probe.class_logit(k) for k in range(5)]

    def alike(diversity):
        found = ascend(trained, objectives, restarts=4, steps=80, diversity=diversity)
        rises = np.diff(found.traces.sum(axis=1, dtype=np.float64), axis=1)
        assert rises.min() >= (0 if diversity == 0 else -1e-4)
        return likeness(found.images.reshape(20, -1), 4, 0.5)[0].mean()

    assert alike(20.0) < alike(0.0) - 0.2


def test_one_restart_is_like_no_other(trained):
    one, other = (
        ascend(trained, [probe.class_logit(0)], restarts=1, steps=10, diversity=d) for d in (0.0, 5.0)
    )
    np.testing.assert_array_equal(one.images, other.images)


def test_frames_run_from_the_start_to_the_end_of_the_best_restart(trained):
    objectives = [probe.class_logit(0), probe.class_logit(1)]
    found = ascend(trained, objectives, restarts=3, steps=50, keep=8)
    assert found.frames.steps[0] == 0
    assert found.frames.steps[-1] == 50
    assert (np.diff(found.frames.steps) > 0).all()
    assert (np.diff(found.frames.steps, 2) >= -1).all()
    for k, best in enumerate(found.best_restarts):
        np.testing.assert_array_equal(found.frames.images[k, -1], found.images[k, best])
        start = trained.objective_gradient(found.frames.images[k, :1], [objectives[k]])[0]
        np.testing.assert_allclose(start, found.start_values[k, best], rtol=1e-5)
        values = trained.objective_gradient(
            found.frames.images[k], [objectives[k]] * len(found.frames.steps)
        )[0]
        np.testing.assert_allclose(values, found.traces[k, best, found.frames.steps], rtol=1e-4, atol=1e-5)


def test_without_keeping_there_are_no_frames(trained):
    found = ascend(trained, [probe.class_logit(0)], steps=2)
    assert found.frames is None


def test_starts_are_of_every_brightness(trained):
    found = ascend(trained, [probe.class_logit(0)], restarts=8, steps=1, keep=2)
    assert found.frames.images.shape[1] == 2
    means = [
        ascend(trained, [probe.class_logit(0)], restarts=1, steps=1, seed=seed, keep=2)
        .frames.images[0, 0]
        .mean()
        for seed in range(12)
    ]
    assert min(means) < 0.15
    assert max(means) > 0.35


def test_a_network_of_float64_climbs_in_float64():
    assert ascend(linear(np.ones((6, 2))), [probe.class_logit(0)], steps=2).images.dtype == np.float64


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"objectives": probe.class_logit(0)}, "objectives must be a sequence of values, each an Objective or a Combi"),
        ({"objectives": ["class:3"]}, "objectives must be a sequence of values, each an Objective or a Combi"),
        ({"diversity": -1}, "diversity must be a finite number at least 0, got -1"),
        ({"keep": 1}, "keep must be an integer of at least 2, got 1"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(trained, arguments, message):
    with pytest.raises(InputError, match=re.escape(message)):
        ascend(trained, **({"objectives": [probe.class_logit(0)]} | arguments))


def test_images_that_nothing_moves_leave_the_batch_without_a_trace(trained, monkeypatch):
    objectives = [*(probe.unit("hidden_1", k) for k in range(12)), probe.class_logit(3)]
    sizes = []
    function = probe.Network.objective_function

    def counted(network, chosen):
        sizes.append(len(chosen))
        return function(network, chosen)

    monkeypatch.setattr(probe.Network, "objective_function", counted)
    left = ascend(trained, objectives, restarts=3, steps=120)
    assert sizes[0] == 39
    assert sizes[-1] <= 12
    monkeypatch.setattr(_climb, "_LOOK_EVERY", 1000)
    stayed = ascend(trained, objectives, restarts=3, steps=120)
    # The product of matrices rounds otherwise for another number of rows.
    np.testing.assert_allclose(left.values, stayed.values, rtol=1e-3)
    np.testing.assert_allclose(left.images[:12], stayed.images[:12], atol=1e-4)
    assert (np.diff(left.traces, axis=2) >= 0).all()
