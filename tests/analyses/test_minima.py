"""Minima: known spectra, functions that alignment keeps, barriers that it takes away, verdicts on planted spreads."""

import sys
import threading
from dataclasses import replace

import numpy as np
import pytest
from result_checks import check_result
from scipy.optimize import minimize
from scipy.sparse.linalg import LinearOperator, eigsh

import probe
from probe._progress import silent
from probe.analyses.minima import (
    MinimaDesign,
    MinimaKey,
    MinimaStudy,
    aligned,
    connections,
    minima_of_kind,
    primary_estimates,
)
from probe.analyses.minima.connections import _likenesses
from probe.analyses.minima.polish import _Memory, polished
from probe.analyses.minima.results import (
    CLEARLY,
    WidthMinima,
    correlation,
    intervals,
    middle_range,
)
from probe.analyses.minima.spectrum import extreme_eigenvalues
from probe.analyses.minima.symmetry import null_directions
from probe.analyses.minima.trial import run_minima_trial
from probe.analyses.minima.verdicts import FEWEST_TO_CALL_EQUAL, verdicts_of
from probe.curvature import PopulationCost, vectors_of
from probe.layers import ACTIVATIONS
from probe.population import Population, initial_population

ODD = [name for name, activation in ACTIVATIONS.items() if activation.odd_about is not None]

CONFIG = probe.TrainingConfig(
    epochs=30, batch_size=40, learning_rate=1.0, weight_decay=1e-2, evaluation="end", schedule="cosine"
)


def design(**changes):
    fields = {
        "architectures": (probe.MLP((5,)),),
        "n_networks": 4,
        "n_samples": 200,
        "config": CONFIG,
        "polish": 400,
        "n_connected": 2,
    }
    return MinimaDesign(**fields | changes)


@pytest.fixture(scope="module")
def trial(digits):
    return run_minima_trial(design(), MinimaKey(0, 0, 4), digits)


def quadratic():
    """Least squares in disguise: near zero logits a sigmoid output's cross-entropy is a quadratic form."""
    rng = np.random.default_rng(0)
    axes = np.linalg.qr(rng.normal(size=(40, 40)))[0]
    wanted = np.geomspace(0.01, 8.0, 40)
    x = (axes @ np.diag(np.sqrt(wanted * 40))).T
    return PopulationCost(probe.MLP((), output="sigmoid"), x, np.zeros(40, int), 1), wanted / 4


@pytest.mark.parametrize("n_vectors", [60, 100])
def test_extreme_eigenvalues_are_those_that_scipy_finds(digits, monkeypatch, n_vectors):
    """Of networks together, in float32 and begun again; ARPACK takes one at a time, in float64."""
    monkeypatch.setattr(sys.modules[extreme_eigenvalues.__module__], "LANCZOS_VECTORS", n_vectors)
    data = digits.train.take(slice(0, 300))
    x = data.images.reshape(300, -1).astype(np.float64)
    function = PopulationCost(probe.MLP((12, 8), "tanh"), x, data.labels, 10, weight_decay=1e-3)
    vectors = np.random.default_rng(4).normal(size=(3, function.n_parameters)) * 0.3
    found = extreme_eigenvalues(function, vectors)
    for k, vector in enumerate(vectors):
        null, at = null_directions(function, vector), function.at(vector[None])

        def product(direction, null=null, at=at):
            inside = direction.ravel() - (null @ direction.ravel()) @ null
            image = at.product(inside[None])[0]
            return image - (null @ image) @ null

        operator = LinearOperator((len(vector),) * 2, matvec=product, dtype=np.float64)
        low, high = (eigsh(operator, 1, which=end, ncv=100)[0][0] for end in ("SA", "LA"))
        assert found.largest[k] == pytest.approx(high, rel=1e-4)
        assert low - 1e-9 <= found.smallest[k] <= low + 1e-4 * high
        assert found.residual[k] <= 1.1e-4 * (high - low)


def test_where_lanczos_does_not_arrive_its_residual_says_so(digits, monkeypatch):
    module = sys.modules[extreme_eigenvalues.__module__]
    monkeypatch.setattr(module, "LANCZOS_VECTORS", 55)
    monkeypatch.setattr(module, "_RESTARTS", 0)
    data = digits.train.take(slice(0, 100))
    x = data.images.reshape(100, -1).astype(np.float64)
    function = PopulationCost(probe.MLP((4,), "tanh"), x, data.labels, 10, weight_decay=1e-3)
    vectors = np.random.default_rng(4).normal(size=(2, function.n_parameters)) * 0.3
    monkeypatch.setattr(module, "_TOLERANCE", 1e-12)
    found = extreme_eigenvalues(function, vectors)
    for k, vector in enumerate(vectors):
        exact = projected_spectrum(function, vector)
        assert np.abs(exact - found.smallest[k]).min() <= found.residual[k] + 1e-12
        assert found.smallest[k] >= exact[0] - 1e-12


def test_extreme_eigenvalues_are_those_of_a_known_spectrum():
    function, wanted = quadratic()
    found = extreme_eigenvalues(function, np.zeros((1, function.n_parameters)))
    hessian = function.at(np.zeros((function.n_parameters, function.n_parameters))).product(
        np.eye(function.n_parameters)
    )
    exact = np.linalg.eigvalsh(hessian)
    assert found.largest[0] == pytest.approx(exact[-1], rel=2e-4)
    assert found.largest[0] >= wanted[-1] * 0.998  # the bias couples, and can only raise it
    assert abs(found.smallest[0] - exact[0]) <= 2e-4 * exact[-1]
    assert found.residual[0] <= 5e-4 * exact[-1]


@pytest.mark.parametrize("hidden", [(3,), (8, 5), (15, 12)])
def test_extreme_eigenvalues_are_those_of_the_full_hessian(hidden):
    rng = np.random.default_rng(1)
    function = PopulationCost(probe.MLP(hidden, "tanh"), rng.normal(size=(60, 4)), rng.integers(0, 3, 60), 3)
    vectors = rng.normal(size=(3, function.n_parameters))
    found = extreme_eigenvalues(function, vectors)
    for k, vector in enumerate(vectors):
        exact = projected_spectrum(function, vector)
        assert found.largest[k] == pytest.approx(exact[-1], rel=1e-4)
        assert exact[0] - 1e-9 <= found.smallest[k] <= exact[0] + 1e-4 * exact[-1]
        assert np.abs(exact - found.smallest[k]).min() <= found.residual[k] + 1e-9


def hessian_at(function, vector):
    at = function.at(np.repeat(vector[None], function.n_parameters, axis=0))
    return at.product(np.eye(function.n_parameters))


def projected_spectrum(function, vector):
    """Return all eigenvalues of the full Hessian on what is at right angles to the directions of symmetry, by NumPy."""
    null = null_directions(function, vector)
    rest = np.linalg.svd(null)[2][len(null) :] if len(null) else np.eye(len(vector))
    return np.linalg.eigvalsh(rest @ hessian_at(function, vector) @ rest.T)


def test_the_smallest_eigenvalue_of_a_minimum_is_not_that_of_a_symmetry(trial, digits):
    """A constant added to all output biases changes no softmax: exactly zero, at every network whatsoever."""
    data = design().samples(digits)
    x = data.images.reshape(200, -1).astype(np.float64)
    function = PopulationCost(probe.MLP((5,)), x, data.labels, 10, weight_decay=1e-2)
    population = Population(probe.MLP((5,)), (8, 8), digits.train.class_names, trial.weights, trial.biases)
    vectors = vectors_of(population)
    full = np.linalg.eigvalsh(hessian_at(function, vectors[0]))
    assert abs(full[0]) < 1e-12
    exact = projected_spectrum(function, vectors[0])
    assert exact[0] > 1e-5  # a minimum, clearly above what the full Hessian says
    assert np.median(np.abs(exact - 1e-2)) < 2e-3
    found = extreme_eigenvalues(function, vectors[:1])
    assert exact[0] - 1e-12 <= found.smallest[0] <= exact[0] + 1e-4 * exact[-1]
    assert found.residual[0] <= 1.1e-4 * exact[-1]
    assert found.largest[0] == pytest.approx(exact[-1], rel=1e-4)
    assert (trial.smallest > 1e-5).all()


@pytest.mark.parametrize(
    ("activation", "output", "weight_decay", "n_null"),
    [
        ("tanh", "softmax", 0.0, 1),
        ("tanh", "sigmoid", 0.0, 0),
        ("relu", "softmax", 0.0, 1 + 3 + 2),
        ("leaky_relu", "sigmoid", 0.0, 3 + 2),
        ("relu", "softmax", 1e-2, 1),
        ("linear", "softmax", 0.0, 1 + 9 + 4),
    ],
)
def test_directions_of_symmetry_change_no_cost(activation, output, weight_decay, n_null):
    """They are null directions of the network, so the cost is the same along the whole way, on any data."""
    rng = np.random.default_rng(2)
    function = PopulationCost(
        probe.MLP((3, 2), activation, output),
        rng.normal(size=(40, 4)),
        rng.integers(0, 3, 40),
        3,
        weight_decay=weight_decay,
    )
    vector = rng.normal(size=function.n_parameters)
    null = null_directions(function, vector)
    assert len(null) == n_null
    np.testing.assert_allclose(null @ null.T, np.eye(n_null), atol=1e-12)
    gradient = function.gradient(vector[None])[1]
    assert np.abs(null @ gradient[0]).max(initial=0) < 1e-12 < np.linalg.norm(gradient)


@pytest.mark.parametrize("factor", [0.5, 3.0])
def test_a_scaled_rectifier_is_the_same_network_and_its_direction_is_flat_at_a_minimum(factor):
    rng = np.random.default_rng(9)  # of this start the first unit stays alive
    x, labels = np.abs(rng.normal(size=(80, 3))), rng.integers(0, 2, 80)
    function = PopulationCost(probe.MLP((2,), "relu"), x, labels, 2)
    vector = polished(function, rng.normal(size=(1, function.n_parameters)), iterations=2000)[0]
    scaled = vector.copy()
    scaled[[0, 1, 2, 6]] *= factor  # the weights and the bias of the first unit
    scaled[[8, 10]] /= factor  # what reads it
    assert function.costs(scaled[None])[0] == pytest.approx(function.costs(vector[None])[0], rel=1e-12)
    assert np.linalg.norm(function.gradient(vector[None])[1]) < 1e-6
    null = null_directions(function, vector)
    assert np.abs(null @ hessian_at(function, vector)).max() < 1e-6
    exact = projected_spectrum(function, vector)
    found = extreme_eigenvalues(function, vector[None])
    assert found.smallest[0] == pytest.approx(exact[0], abs=1e-9)
    assert found.largest[0] == pytest.approx(exact[-1], rel=1e-9)


def test_pixels_that_are_dark_in_all_images_are_no_flat_directions(digits):
    found = run_minima_trial(
        design(config=replace(CONFIG, weight_decay=0.0), polish=20, n_networks=2), MinimaKey(0, 0, 2), digits
    )
    data = design().samples(digits)
    x = data.images.reshape(200, -1).astype(np.float64)
    lit = (x != 0).any(axis=0)
    assert not lit.all()
    narrow = PopulationCost(probe.MLP((5,)), x[:, lit], data.labels, 10)
    vector = np.concatenate([found.weights[0][0][:, lit].ravel(), *(p[0].ravel() for p in (
        found.biases[0], found.weights[1], found.biases[1]))])  # fmt: skip
    exact = projected_spectrum(narrow, vector)
    assert found.smallest[0] == pytest.approx(exact[0], abs=1e-4 * exact[-1])


def test_a_saddle_has_a_clearly_negative_eigenvalue(digits):
    """Two units that are the same sit on the ridge between two minima; at zero weights everything is flat."""
    data = digits.train.take(slice(0, 100))
    x = data.images.reshape(100, -1).astype(float)
    function = PopulationCost(probe.MLP((2,), "tanh"), x, data.labels, 10)
    vector = np.random.default_rng(0).normal(size=(1, function.n_parameters)) * 0.3
    first, second, out = slice(0, 64), slice(64, 128), slice(130, 150)
    vector[0, second], vector[0, 129] = vector[0, first], vector[0, 128]
    vector[0, out] = np.repeat(vector[0, out][::2], 2)
    found = extreme_eigenvalues(function, vector)
    assert found.smallest[0] < -(found.residual[0] + CLEARLY * found.largest[0])


def test_curvature_of_nothing_is_zero(digits):
    """Where all hidden units are dead and outputs are saturated, ARPACK finds no direction to go."""
    data = digits.train.take(slice(0, 30))
    x = data.images.reshape(30, -1).astype(float)
    function = PopulationCost(probe.MLP((8,), "relu"), x, data.labels * 0, 10, "quadratic")
    vector = np.zeros((1, function.n_parameters))
    vector[0, 64 * 8 : 64 * 8 + 8] = -1.0  # biases below zero: dead units
    vector[0, -10:] = np.array([1e3, *[0.0] * 9])
    found = extreme_eigenvalues(function, vector)
    assert function.n_parameters > 100
    assert (found.smallest[0], found.largest[0], found.residual[0]) == pytest.approx((0, 0, 0), abs=1e-9)


def test_polishing_goes_down_to_where_the_gradient_is_small(trial):
    assert (trial.gradient_norm < 0.02 * trial.trained_norm).all()
    assert (trial.smallest > -1e-3 * trial.largest).all()
    assert not trial.is_diverged.any()


def test_polishing_agrees_with_scikit_learn_where_there_is_one_minimum(digits):
    from sklearn.linear_model import LogisticRegression

    data = digits.train.take(slice(0, 150))
    x, decay = data.images.reshape(150, -1).astype(float), 1e-2
    function = PopulationCost(probe.MLP(()), x, data.labels, 10, weight_decay=decay)
    found = polished(function, np.zeros((1, function.n_parameters)), iterations=500)
    theirs = LogisticRegression(C=1 / (decay * 150), tol=1e-9, max_iter=5000).fit(x, data.labels)
    np.testing.assert_allclose(found[0].reshape(-1)[:640].reshape(10, 64), theirs.coef_, atol=2e-3)


@pytest.mark.parametrize(
    ("hidden", "activation", "rate"),
    [((5,), "sigmoid", 1.0), ((8,), "gelu", 0.1), ((8, 6), "sigmoid", 1.0), ((8, 6), "tanh", 0.1)],
)
def test_networks_end_in_the_minima_that_scipy_finds_one_by_one(digits, hidden, activation, rate):
    shape = probe.MLP(hidden, activation)
    plan = design(
        architectures=(shape,),
        polish=0,
        curvature="none",
        n_connected=4,
        config=replace(CONFIG, learning_rate=rate),
    )
    found = run_minima_trial(plan, MinimaKey(0, 0, 4), digits)
    start = Population(shape, (8, 8), digits.train.class_names, found.weights, found.biases)
    data = plan.samples(digits)
    x = data.images.reshape(200, -1).astype(np.float64)
    function = PopulationCost(shape, x, data.labels, 10, weight_decay=1e-2)
    vectors = vectors_of(start).astype(np.float64)
    settings = {"maxiter": 5000, "maxcor": 50, "maxfun": 20_000, "ftol": 0.0, "gtol": 1e-7}

    def alone(points):
        def cost(point):
            return [each[0] for each in function.gradient(point[None])]

        return np.stack(
            [minimize(cost, point, jac=True, method="L-BFGS-B", options=settings).x for point in points]
        )

    # Far from a minimum a start moved by 1e-9 may end in another one. Then both ways are about as low.
    bottom, together = alone(vectors), polished(function, vectors, iterations=5000)
    assert np.abs(function.gradient(together)[1]).max() <= 1e-7
    np.testing.assert_allclose(function.costs(together), function.costs(bottom), rtol=0.03)
    # Near a minimum there is one way down.
    near = bottom + np.random.default_rng(0).normal(scale=1e-3, size=bottom.shape)
    again = polished(function, near, iterations=5000)
    assert np.abs(function.gradient(again)[1]).max() <= 1e-7
    np.testing.assert_allclose(function.costs(again), function.costs(bottom), rtol=1e-8)
