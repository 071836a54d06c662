"""The plane through a network for its page: costs against networks measured one by one, axes against an SVD."""

from dataclasses import replace

import numpy as np
import pytest

import probe
from probe.analyses.landscape import cost_plane
from probe.analyses.landscape.plane import principal
from probe.layers import Conv2D, Dense, Flatten, Reshape
from probe.network import Network
from probe.parameters import ParameterSpace


@pytest.fixture(scope="module")
def filmed(digits):
    config = probe.TrainingConfig(epochs=6, batch_size=20, learning_rate=0.7)
    return probe.train(probe.MLP((6, 5)), digits, config, seed=3, frames=12)


@pytest.fixture(scope="module")
def plane(filmed, digits):
    return cost_plane(filmed.network, digits, film=filmed.film, resolution=7, n_images=60, seed=1)


def images_of(digits):
    return digits.train.sample(60, rng=np.random.default_rng(1).spawn(2)[0])


def path_of(film):
    return np.stack([ParameterSpace(film.network(k)).vector for k in range(len(film))])


def test_axes_are_the_principal_components_of_the_path(filmed, plane):
    path = path_of(filmed.film).astype(float)
    _, lengths, components = np.linalg.svd(path - path.mean(axis=0), full_matrices=False)
    np.testing.assert_allclose(plane.explained, (lengths**2 / (lengths**2).sum())[:2], rtol=1e-4)
    seen = (path - path[-1]) @ components[:2].T
    np.testing.assert_allclose(np.abs(plane.projected), np.abs(seen), atol=1e-4)
    assert plane.kind == "path" and (plane.updates == filmed.film.updates).all()
    assert (plane.projected[-1] == 0).all()
    # The path comes from the left and from above, and lies inside.
    assert plane.projected[0, 0] < 0 < plane.projected[0, 1]
    for axis, along in zip(plane.axes, plane.projected.T, strict=True):
        assert axis[0] < along.min() and along.max() < axis[-1]


def test_costs_are_those_of_the_networks_there(filmed, plane, digits):
    path, data = path_of(filmed.film), images_of(digits)
    space = ParameterSpace(filmed.network)
    directions, _, _ = principal(path)
    for j, i in ((0, 0), (3, 3), (6, 2)):
        point = path[-1] + plane.axes[0][i] * directions[0] + plane.axes[1][j] * directions[1]
        cost, _ = space.measure(data.images, data.labels, point.astype("f4"))
        assert plane.cost[j, i] == pytest.approx(cost, rel=1e-4)
    for k in (0, 4, -1):
        cost, _ = ParameterSpace(filmed.film.network(k)).measure(data.images, data.labels)
        assert plane.path_cost[k] == pytest.approx(cost, rel=1e-5)


def test_without_a_film_the_network_is_in_the_middle_of_a_random_plane(filmed, digits):
    plane = cost_plane(filmed.network, digits, resolution=5, n_images=60, seed=1)
    data = images_of(digits)
    cost, _ = ParameterSpace(filmed.network).measure(data.images, data.labels)
    assert plane.kind == "random" and plane.cost[2, 2] == pytest.approx(cost, rel=1e-5)
    assert plane.cost[0, 0] > cost
    assert np.isnan(plane.explained).all() and plane.projected.shape == (0, 2) and len(plane.path_cost) == 0
    again = cost_plane(filmed.network, digits, resolution=5, n_images=60, seed=1)
    np.testing.assert_array_equal(plane.cost, again.cost)
    other = cost_plane(filmed.network, digits, resolution=5, n_images=60, seed=2)
    assert not np.allclose(plane.cost, other.cost)


def test_networks_of_any_layers_have_a_random_plane(digits):
    rng = np.random.default_rng(0)
    layers = (
        Reshape("image", (8, 8, 1)),
        Conv2D("conv", rng.normal(size=(3, 3, 1, 2)).astype("f4"), np.zeros(2, "f4"), activation_name="relu"),
        Flatten("flat"),
        Dense("output", rng.normal(size=(72, 10)).astype("f4") / 9, np.zeros(10, "f4"), "softmax"),
    )
    with pytest.warns(probe.ProbeWarning):
        plane = cost_plane(Network(layers, (8, 8)), digits, resolution=3, n_images=20)
    assert np.isfinite(plane.cost).all()


def test_costly_networks_are_measured_at_fewer_points(digits):
    from probe.analyses.landscape.plane import _affordable

    cheap, costly = (
        Network(
            (Flatten("f"), Dense("a", np.zeros((64, n), "f4"), np.zeros(n, "f4")),
             Dense("b", np.zeros((n, 10), "f4"), np.zeros(10, "f4"))), (8, 8)
        )
        for n in (20, 20_000)
    )  # fmt: skip
    assert _affordable(cheap, 31, 200) == (31, 200)
    resolution, n_images = _affordable(costly, 31, 200)
    assert resolution % 2 == 1 and 11 <= resolution < 31 and n_images == 50
    assert _affordable(costly, 5, 20) == (5, 20)


def test_a_network_that_never_moved_has_a_plane(filmed, digits):
    film = filmed.film
    still = {name: np.repeat(values[-1:], len(film), axis=0) for name, values in film.parameters.items()}
    plane = cost_plane(
        filmed.network, digits, film=replace(film, parameters=still), resolution=3, n_images=20
    )
    assert (plane.projected == 0).all() and (plane.explained == 0).all()
    assert np.ptp(plane.cost) == 0


def test_what_does_not_fit_is_refused(filmed, digits, trained):
    with pytest.raises(probe.InputError, match="resolution must be odd"):
        cost_plane(filmed.network, digits, resolution=4)
    with pytest.raises(probe.InputError, match="n_images must be an integer of at least 1, got 0"):
        cost_plane(filmed.network, digits, n_images=0)
    with pytest.raises(probe.InputError, match=r"shape \(12, 64, 12\), got \(12, 64, 6\)"):
        cost_plane(trained, digits, film=filmed.film)


def test_it_is_kept(plane, tmp_path):
    kept = probe.load_result(plane.save(tmp_path / "plane.h5"), type(plane))
    np.testing.assert_array_equal(kept.cost, plane.cost)
    assert kept.to_dict()["kind"] == "path"
