"""Regions: projections are the nearest points, and the farthest points are those of linear programs."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize

from probe._checks import InputError
from probe.ascent import Ball, Box

REGIONS = {
    "box": Box(),
    "wide box": Box(-2.0, 3.0),
    "ball": Ball(1.5, box=None),
    "ball around gray": Ball(0.8, center=0.5, box=None),
    "ball in box": Ball(1.5),
    "small ball in box": Ball(0.4),
    "ball in box around gray": Ball(1.1, center=0.5),
    "ball around the box": Ball(10.0),
}


def inside(region, x, slack=1e-9):
    box = region if isinstance(region, Box) else region.box
    fits = box is None or ((x >= box.low - slack) & (x <= box.high + slack)).all()
    return fits and (isinstance(region, Box) or np.linalg.norm(x - region.center) <= region.radius + slack)


@pytest.mark.parametrize("name", REGIONS)
@given(seed=st.integers(0, 9999))
def test_a_projection_is_the_nearest_image_of_the_region(name, seed):
    # The nearest point p of a convex set is the one with (x - p) @ (q - p) <= 0 for every q of the set.
    region, rng = REGIONS[name], np.random.default_rng(seed)
    x = rng.normal(0.5, rng.choice([0.1, 1, 5]), size=(3, 2, 4))
    found = region.project(x.copy())
    others = region.project(rng.normal(0.5, 2, size=(50, 2, 4)))
    for before, after in zip(x, found, strict=True):
        assert inside(region, after)
        assert ((before - after) * (others - after)).sum(axis=(1, 2)).max() <= 1e-9
    np.testing.assert_allclose(region.project(found.copy()), found, atol=1e-12)


@pytest.mark.parametrize("name", REGIONS)
@given(seed=st.integers(0, 9999))
def test_no_image_of_the_region_is_farther_along_the_weights(name, seed):
    region, rng = REGIONS[name], np.random.default_rng(seed)
    weights = rng.normal(size=(4, 6)) * (rng.random((4, 6)) < 0.8)
    found = region.farthest(weights)
    others = region.project(rng.normal(0.5, 3, size=(200, 6)))
    for w, end in zip(weights, found, strict=True):
        assert inside(region, end)
        assert (others @ w).max() <= end @ w + 1e-9


@pytest.mark.parametrize("name", ["ball in box", "small ball in box", "ball in box around gray"])
def test_the_farthest_image_is_that_of_a_numeric_optimizer(name):
    region = REGIONS[name]
    for seed in range(5):
        w = np.random.default_rng(seed).normal(size=5)
        ball = {"type": "ineq", "fun": lambda x: region.radius**2 - ((x - region.center) ** 2).sum()}
        start = np.full(5, max(region.center, 0.01))
        peer = minimize(lambda x, w=w: -w @ x, start, bounds=[(0, 1)] * 5, constraints=[ball], tol=1e-12)
        assert w @ region.farthest(w[None])[0] == pytest.approx(-peer.fun, abs=1e-6)


def test_a_ball_alone_is_projected_along_the_radius():
    np.testing.assert_allclose(Ball(2.0, center=1.0, box=None).project(np.array([[4.0, 5.0]])), [[2.2, 2.6]])


def test_float32_images_stay_float32():
    for region in REGIONS.values():
        x = np.random.default_rng(0).normal(size=(3, 5)).astype(np.float32)
        assert region.project(x.copy()).dtype == region.farthest(x).dtype == np.float32


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Box(1, 0), "low must be a finite number below 0, got 1"),
        (lambda: Box(0, np.inf), "high must be a finite number, got inf"),
        (lambda: Ball(0), "radius must be a finite number above 0, got 0"),
        (lambda: Ball(1, center=2), "center must lie in the box [0, 1], got 2"),
    ],
)
def test_what_is_no_region_is_refused(make, message):
    with pytest.raises(InputError, match=re.escape(message)):
        make()


def test_regions_have_names():
    assert Ball(5).name == "the ball of radius 5 around 0 in the box [0, 1]"
    assert Ball(5, box=None).name == "the ball of radius 5 around 0"
