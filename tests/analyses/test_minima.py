"""Minima: known spectra, functions that alignment keeps, barriers that it takes away, verdicts on planted spreads."""

import sys
import threading
from dataclasses import replace
from types import SimpleNamespace

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
from probe.analyses.minima.scaling import Scaling
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


@pytest.mark.parametrize(("hidden", "n_in"), [((11,), 4), ((11,), 5), ((9,), 6)])
def test_symmetries_may_leave_few_directions_to_many_parameters(hidden, n_in):
    """As of rectifiers that do not decay, each of which can be scaled: here they leave about a hundred."""
    rng = np.random.default_rng(2)
    function = PopulationCost(
        probe.MLP(hidden, "relu"), rng.normal(size=(60, n_in)), rng.integers(0, 4, 60), 4
    )
    assert function.n_parameters > 90
    vectors = rng.normal(size=(2, function.n_parameters))
    found = extreme_eigenvalues(function, vectors)
    for k, vector in enumerate(vectors):
        exact = projected_spectrum(function, vector)
        assert found.largest[k] == pytest.approx(exact[-1], rel=1e-4)
        assert found.smallest[k] == pytest.approx(exact[0], abs=1e-4 * exact[-1])


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
    rng = np.random.default_rng(2)  # of this start the first unit stays alive
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

    # Far from a minimum a start moved by 1e-9 may end in another one. Both ways are about as low on average.
    bottom, together = alone(vectors), polished(function, vectors, iterations=5000)
    assert np.abs(function.gradient(together)[1]).max() <= 1e-7
    assert function.costs(together).mean() == pytest.approx(function.costs(bottom).mean(), rel=0.03)
    # Near a minimum there is one way down.
    near = bottom + np.random.default_rng(0).normal(scale=1e-3, size=bottom.shape)
    again = polished(function, near, iterations=5000)
    assert np.abs(function.gradient(again)[1]).max() <= 1e-7
    np.testing.assert_allclose(function.costs(again), function.costs(bottom), rtol=1e-8)
    spectra = extreme_eigenvalues(function, again)
    other = extreme_eigenvalues(function, bottom)
    # A gradient of 1e-7 leaves them apart along directions that are nearly flat.
    np.testing.assert_allclose(spectra.largest, other.largest, rtol=1e-3)
    assert (np.abs(spectra.smallest - other.smallest) <= 1e-3 * other.largest).all()


def _cost_of_trained(split, hidden, weight_decay=1e-3):
    """Return the cost of three trained networks, and their parameters."""
    shape, config = probe.MLP(hidden), replace(CONFIG, epochs=100, batch_size=20, weight_decay=weight_decay)
    plan = design(architectures=(shape,), polish=0, curvature="none", n_connected=3, config=config)
    found = run_minima_trial(plan, MinimaKey(0, 0, 3), split)
    data = plan.samples(split)
    x = data.images.reshape(len(data), -1).astype(np.float64)
    function = PopulationCost(shape, x, data.labels, 10, weight_decay=weight_decay)
    start = Population(shape, split.train.image_shape, split.train.class_names, found.weights, found.biases)
    return function, vectors_of(start).astype(np.float64)


def test_slopes_are_the_same_in_scaled_coordinates(digits):
    function, vectors = _cost_of_trained(digits, (8, 6))
    scaling, index, rng = Scaling(function, vectors), np.array([2, 0]), np.random.default_rng(0)
    gradient, direction = function.gradient(vectors[index])[1], rng.normal(size=vectors[index].shape)
    scaled, way = scaling.gradients(index, gradient), scaling.directions(index, direction)
    np.testing.assert_allclose((scaled * direction).sum(axis=1), (gradient * way).sum(axis=1), rtol=1e-4)


def test_a_network_that_curves_nowhere_keeps_its_coordinates_but_for_their_directions():
    function = PopulationCost(probe.MLP(()), np.ones((5, 3)), np.zeros(5, np.int64), 2)
    vector = np.array([[0, 0, 0, 0, 0, 0, 1e4, 0]])  # sure of the first class
    gradient = np.random.default_rng(0).normal(size=vector.shape)
    scaled = Scaling(function, vector).gradients(np.array([0]), gradient)
    assert np.linalg.norm(scaled) == pytest.approx(np.linalg.norm(gradient), rel=1e-5)


@pytest.mark.parametrize("weight_decay", [1e-3, 0.0])
def test_curvature_differs_less_in_scaled_coordinates(digits, weight_decay):
    function, vectors = _cost_of_trained(digits, (8, 6), weight_decay)
    n = function.n_parameters
    scaling = Scaling(function, vectors[:1]).directions(np.zeros(n, int), np.eye(n))
    hessian = function.at(np.tile(vectors[:1], (n, 1))).product(np.eye(n))
    spreads = [
        np.ptp(np.quantile(np.log10(np.abs(np.linalg.eigvalsh(each)) + 1e-12), [0.25, 1]))
        for each in (hessian, scaling @ hessian @ scaling.T)
    ]
    assert spreads[1] < spreads[0] - 0.5


def test_scaled_coordinates_save_a_third_of_the_steps(digits, monkeypatch):
    function, vectors = _cost_of_trained(digits, (16,))
    gradient, counted = PopulationCost.gradient, []

    def counting(self, at):
        counted.append(len(at))
        return gradient(self, at)

    monkeypatch.setattr(PopulationCost, "gradient", counting)
    ends = polished(function, vectors, iterations=5000)
    assert np.abs(gradient(function, ends)[1]).max() <= 1e-7
    n_scaled = sum(counted)
    counted.clear()
    plain = SimpleNamespace(
        gradients=lambda index, values: values.astype(np.float32), directions=lambda index, values: values
    )
    monkeypatch.setattr("probe.analyses.minima.polish.Scaling", lambda *_: plain)
    others = polished(function, vectors, iterations=5000)
    assert n_scaled < 2 / 3 * sum(counted)
    np.testing.assert_allclose(function.costs(ends), function.costs(others), rtol=0.03)


def test_the_memory_of_steps_is_the_bfgs_matrix_of_the_textbook():
    """The two loops, against the update of the whole inverse written out."""
    rng = np.random.default_rng(3)
    root = rng.normal(size=(12, 12))
    hessian, memory = root @ root.T + np.eye(12), _Memory(12)
    pairs = [(step, hessian @ step) for step in rng.normal(size=(7, 12))]
    for step, change in pairs:
        memory.add(step, change)
    inverse = np.eye(12) * (pairs[-1][0] @ pairs[-1][1]) / (pairs[-1][1] @ pairs[-1][1])
    for step, change in pairs:
        along = step @ change
        turn = np.eye(12) - np.outer(step, change) / along
        inverse = turn @ inverse @ turn.T + np.outer(step, step) / along
    gradient = rng.normal(size=12)
    np.testing.assert_allclose(memory.direction(gradient), -inverse @ gradient, rtol=1e-4, atol=1e-5)


def test_polishing_ends_when_it_is_told_to():
    function, _ = quadratic()
    stop = threading.Event()
    stop.set()
    assert polished(function, np.ones((1, function.n_parameters)), iterations=5, stop=stop) is None


def test_a_trial_measures_what_its_networks_do(trial, digits):
    few = design().samples(digits)
    assert len(few) == 200
    population = Population(probe.MLP((5,)), (8, 8), digits.train.class_names, trial.weights, trial.biases)
    assert len(population) == 2  # as many as are connected
    for k in range(2):
        network = population.network(k)
        for data, accuracy in ((few, trial.train_accuracy), (digits.test, trial.test_accuracy)):
            right = network.predict(data.images.astype(np.float64)) == data.labels
            assert accuracy[k] == pytest.approx(right.mean())
    halves = design().halves(digits.test)
    assert sorted(np.concatenate([half.labels for half in halves])) == sorted(digits.test.labels)
    shares = np.array([len(half) for half in halves]) / len(digits.test)
    np.testing.assert_allclose(trial.half_cost @ shares, trial.test_cost)


def test_weights_of_dark_pixels_are_zero_at_a_minimum_with_weight_decay(trial, digits):
    dark = ~(design().samples(digits).images.reshape(200, -1) != 0).any(axis=0)
    assert dark.any()
    assert (trial.weights[0][:, :, dark] == 0).all()
    assert (trial.weights[0][:, :, ~dark] != 0).all()


def test_a_network_is_the_same_whatever_else_is_trained(trial, digits):
    other = run_minima_trial(design(n_networks=8), MinimaKey(0, 0, 4), digits)
    np.testing.assert_array_equal(other.test_cost, trial.test_cost)
    assert len({key.name for key in design(n_networks=25).keys}) == 3
    more, fewer = set(design(n_networks=30).keys), set(design(n_networks=20).keys)
    assert fewer < more


@pytest.mark.parametrize("activation", [*ODD, "relu", "gelu"])
def test_alignment_keeps_what_networks_compute(digits, activation):
    rngs = np.random.default_rng(0).spawn(3)
    drawn = initial_population(
        probe.MLP((7, 6), activation), (8, 8), digits.train.class_names, rngs=rngs, dtype="float64"
    )
    data = digits.train.take(slice(0, 80))
    turned = aligned(drawn, 0, data)
    images = digits.test.images[:30].astype(np.float64)
    for k in range(3):
        np.testing.assert_allclose(
            turned.network(k).logits(images), drawn.network(k).logits(images), rtol=1e-9, atol=1e-9
        )
    np.testing.assert_array_equal(turned.weights[0][0], drawn.weights[0][0])
    assert not np.array_equal(turned.weights[0][1], drawn.weights[0][1])


@pytest.mark.parametrize(("activation", "signs"), [("tanh", True), ("sigmoid", True), ("relu", False)])
def test_a_shuffled_network_is_found_again(digits, activation, signs):
    """A copy whose units are shuffled, and turned where that changes nothing, is aligned to the original."""
    rng = np.random.default_rng(5)
    config = probe.TrainingConfig(epochs=8, batch_size=20, learning_rate=0.3, dtype="float64")
    one = probe.train_population(probe.MLP((7, 6), activation), digits, config, n_networks=1).population
    weights, biases = [w[0].copy() for w in one.weights], [b[0].copy() for b in one.biases]
    for layer, n in ((0, 7), (1, 6)):
        order = rng.permutation(n)
        turn = rng.choice([-1.0, 1.0], n) if signs else np.ones(n)
        weights[layer], biases[layer] = weights[layer][order] * turn[:, None], biases[layer][order] * turn
        above = weights[layer + 1][:, order]
        if activation == "sigmoid":
            biases[layer + 1] = biases[layer + 1] + above[:, turn < 0].sum(axis=1)
        weights[layer + 1] = above * turn
    both = Population(
        one.architecture,
        one.input_shape,
        one.class_names,
        tuple(np.stack([w[0], v]) for w, v in zip(one.weights, weights, strict=True)),
        tuple(np.stack([b[0], v]) for b, v in zip(one.biases, biases, strict=True)),
    )
    data = digits.train.take(slice(0, 200))
    turned = vectors_of(aligned(both, 0, data))
    np.testing.assert_allclose(turned[1], turned[0], atol=1e-9)
    found = connections(both, data, updates=20)
    assert found.before[0, 1] > 0.01
    assert found.after[0, 1] < 1e-9
    assert found.function_change < 1e-10


def test_units_are_matched_by_the_correlations_of_numpy(trial, digits):
    data = digits.train.take(slice(0, 150))
    population = Population(probe.MLP((5,)), (8, 8), digits.train.class_names, trial.weights, trial.biases)
    hidden = [
        population.network(k).activations(data.images.astype(np.float64))["hidden_1"].T for k in range(2)
    ]
    expected = np.corrcoef(hidden[1], hidden[0])[:5, 5:]
    np.testing.assert_allclose(_likenesses(population, 1, data)[0][0], expected, atol=1e-9)


def test_images_a_few_at_a_time_give_the_same_alignment(trial, digits, monkeypatch):
    data = digits.train.take(slice(0, 150))
    population = Population(probe.MLP((5,)), (8, 8), digits.train.class_names, trial.weights, trial.biases)
    whole = aligned(population, 0, data)
    monkeypatch.setattr(sys.modules[aligned.__module__], "_BLOCK", 40)
    parts = aligned(population, 0, data)
    np.testing.assert_array_equal(vectors_of(parts), vectors_of(whole))


def test_connections_are_symmetric_and_the_curve_is_no_higher_than_where_it_began(trial, digits):
    data = design().samples(digits)
    population = Population(probe.MLP((5,)), (8, 8), digits.train.class_names, trial.weights, trial.biases)
    found = connections(population, data, weight_decay=1e-2, updates=300)
    for matrix in (found.before, found.after, found.curved):
        np.testing.assert_array_equal(matrix, matrix.T)
        assert (np.diag(matrix) == 0).all()
        assert (matrix >= 0).all()
    assert found.after[0, 1] <= found.before[0, 1]
    assert found.curves.mean() <= found.lines_after.mean() + 1e-3
    np.testing.assert_allclose(found.lines_before[0, [0, -1]], found.costs, rtol=1e-9)
    np.testing.assert_allclose(found.lines_after[0, [0, -1]], found.costs, rtol=1e-9)
    np.testing.assert_allclose(found.costs, trial.train_cost[:2], rtol=1e-9)
    np.testing.assert_array_equal(found.disjoint, [[0], [1]])


GUESSING = float(np.log(10))


def width(
    spread, n=200, name="w", n_parameters=100, failed=0, seed=0, cost_spread=0.02, noise=0.0, minima=None
):
    """Networks of planted quality; `noise` is of the halves' accuracies, `minima` how many of them are minima."""
    rng = np.random.default_rng(seed)
    nothing = np.full(n, np.nan)
    quality = rng.normal(size=n)
    diverged = np.arange(n) < failed
    values = {
        "train_cost": 1 + cost_spread * rng.normal(size=n),
        "test_cost": 1 + cost_spread * quality,
        "half_cost": 1 + cost_spread * (quality[:, None] + 0.5 * rng.normal(size=(n, 2))),
        "train_accuracy": nothing,
        "test_accuracy": 0.9 + spread * quality,
        "half_accuracy": 0.9 + spread * quality[:, None] + noise * rng.normal(size=(n, 2)),
        "gradient_norm": nothing,
        "trained_norm": nothing,
        "smallest": nothing,
        "largest": nothing,
        "residual": nothing,
        "is_diverged": diverged,
    }
    if minima is not None:
        values |= {"largest": np.ones(n), "residual": np.zeros(n), "gradient_norm": np.zeros(n)}
        values["smallest"] = np.where(np.arange(n) < minima, 0.0, -0.1)
    for key in ("train_cost", "test_cost", "half_cost", "test_accuracy", "half_accuracy"):
        values[key][diverged] = np.nan
    return WidthMinima(
        name=name, hidden=(5,), n_parameters=n_parameters, **values, **intervals(values, 10, GUESSING)
    )


def judged(*widths):
    return verdicts_of(widths, 0.02, GUESSING)


def test_verdicts_find_planted_spreads():
    # The middle 90% of a normal distribution are 3.29 deviations wide.
    (small,) = judged(width(0.003))
    (large,) = judged(width(0.012))
    (between,) = judged(width(0.00608))
    assert (small.decision, large.decision, between.decision) == ("supported", "refuted", "inconclusive")
    assert (small.key, small.said, small.minute) == ("minima", "actually of equal quality", "19:43")
    assert small.statistic > 0.98
    assert "declared equal before: 2 points" in small.sentence


def test_networks_are_counted_that_lie_within_the_margin():
    accuracy = np.array([0.90, 0.905, 0.908, 0.895, 0.902, 0.898, 0.85, 0.93])
    found = replace(width(0.0, n=8), test_accuracy=accuracy)
    by_hand = [abs(one - np.median(np.delete(accuracy, k))) <= 0.01 for k, one in enumerate(accuracy)]
    assert by_hand.count(True) == 6
    assert found.within(0.02).interval.estimate == 6 / 8
    assert "6 of 8 networks lie within 1 point of the median test accuracy" in judged(found)[0].sentence


def test_few_networks_call_nothing_equal_but_can_refute_it():
    (verdict,) = judged(width(0.0001, n=FEWEST_TO_CALL_EQUAL - 1))
    assert verdict.decision == "inconclusive"
    assert "Fewer than 36 networks cannot support this, even if all lie there" in verdict.sentence
    assert judged(width(0.0001, n=FEWEST_TO_CALL_EQUAL))[0].decision == "supported"
    assert judged(width(0.0001, n=8))[0].decision == "inconclusive"
    assert judged(width(0.05, n=8))[0].decision == "refuted"


def test_networks_that_are_just_unequal_are_hardly_ever_called_equal():
    """Of the same spread as the margin: at most one in twenty may be called equal."""
    wrong = [judged(width(0.02 / 3.29, n=40, seed=seed))[0].decision == "supported" for seed in range(200)]
    assert sum(wrong) <= 10


@pytest.mark.parametrize(("n", "failed"), [(200, 40), (200, 170), (50, 49)])
def test_failed_runs_count_as_outside(n, failed):
    (verdict,) = judged(width(0.001, n=n, failed=failed))
    assert verdict.decision == "refuted"
    assert f"{failed} runs failed and count as outside" in verdict.sentence


def test_what_is_no_minimum_is_not_called_one():
    for found, noun, said in (
        (width(0.001), "low-loss points", "was not measured"),
        (width(0.001, minima=200), "minima", "200 of 200 are minima"),
        (width(0.001, minima=150), "low-loss points", "150 of 200 are minima"),
    ):
        (verdict,) = judged(found)
        assert verdict.title.startswith(f"The {noun} that networks w reach")
        assert said in verdict.sentence
        assert found.is_minimum.sum() + found.is_negative.sum() in (0, 200)


def test_the_verdict_on_accuracy_says_whether_its_differences_are_real():
    for noise, words in (
        (0.0, "the differences are real"),
        (0.05, "most of the differences are of the test"),
        (0.01, "how many of the differences are of the test images is open"),
    ):
        assert words in judged(width(0.01, noise=noise))[0].sentence
    assert "is not known" in judged(width(0.01, n=2))[0].sentence
    alike = width(0.0)
    assert np.isnan(alike.split_half_accuracy.estimate)
    assert "accuracy does not tell them apart" in judged(alike)[0].sentence


def test_small_networks_that_spread_more_are_found():
    narrow = width(0.003, n_parameters=10, cost_spread=0.06, name="narrow")
    wide = width(0.003, n_parameters=1000, cost_spread=0.01, seed=1, name="wide")
    assert judged(narrow, wide)[-1].decision == "supported"
    turned = judged(replace(narrow, n_parameters=1000), replace(wide, n_parameters=10))
    assert turned[-1].decision == "refuted"
    same = replace(width(0.003, seed=2, name="same"), n_parameters=5)
    assert judged(same, width(0.003, seed=3))[-1].decision == "inconclusive"


def test_a_spread_without_a_poor_network_is_none_of_poor_minima():
    narrow = width(0.003, n_parameters=10, cost_spread=0.0004)
    wide = width(0.003, n_parameters=1000, cost_spread=0.0001, seed=1)
    verdict = judged(narrow, wide)[-1]
    assert verdict.interval.low > 2
    assert verdict.decision == "inconclusive"
    assert "are 0.0% and 0.0%" in verdict.sentence


def test_small_networks_that_fail_are_poor():
    narrow = width(0.003, n_parameters=10, failed=80)
    verdict = judged(narrow, width(0.003, n_parameters=1000, seed=1))[-1]
    assert verdict.decision == "supported"
    assert "count as guessing: 80 and 0" in verdict.sentence
    assert narrow.relative_deviation.estimate > 0.2


def test_statistics_are_numpys():
    rng = np.random.default_rng(0)
    one, other = rng.normal(size=(2, 50))
    assert correlation(one, other) == pytest.approx(np.corrcoef(one, other)[0, 1])
    assert correlation(np.ones(5), np.arange(5.0)) == 0
    assert middle_range(np.arange(101.0)) == pytest.approx(90.0)


def test_split_halves_tell_real_differences_from_the_sample():
    real = width(0.01)
    assert real.split_half.low > 0.6
    assert abs(real.train_test.estimate) < 0.25


def test_the_whole_study(digits):
    plan = design(architectures=(probe.MLP((2,)), probe.MLP((9,))), n_networks=12, polish=30)
    trials = {key: run_minima_trial(plan, key, digits) for key in plan.keys}
    found = MinimaStudy(plan).combine(trials, digits, silent)
    assert found.cells == ("64-2-10 sigmoid", "64-9-10 sigmoid")
    assert [len(w.test_cost) for w in found.widths] == [12, 12]
    assert np.median(found.widths[1].test_cost) < np.median(found.widths[0].test_cost)
    assert len(found.verdicts) == 3
    assert found.widths[0].connections.before.shape == (2, 2)
    assert not found.interrupted
    check_result(found)
    columns = found.columns()
    assert columns["architecture"] == [name for name in found.cells for _ in range(12)]
    np.testing.assert_array_equal(columns["test_cost"][12:], found.widths[1].test_cost)
    assert found.widths[1].medians["largest"] == np.median(found.widths[1].largest)
    one = {key: trial for key, trial in trials.items() if key.first == 0}
    assert MinimaStudy(plan).combine(one, digits, silent).interrupted
    with pytest.raises(KeyboardInterrupt):
        MinimaStudy(plan).combine({}, digits, silent)


def test_networks_that_diverge_are_counted(digits):
    wild = design(
        config=replace(CONFIG, learning_rate=1e30), n_networks=3, architectures=(probe.MLP((4,), "relu"),)
    )
    found = probe.minima(
        wild.architectures, digits, wild.config, n_networks=3, n_samples=100, polish=5, n_connected=0
    )
    assert found.widths[0].n_failed == 3
    assert found.widths[0].spread.estimate == 0
    assert (found.verdicts[0].decision, found.verdicts[0].statistic) == ("inconclusive", 0.0)
    assert "3 runs failed" in found.verdicts[0].sentence
    assert "is not known" in found.verdicts[0].sentence


def test_a_few_networks_of_the_kind_of_a_given_one(digits):
    start = probe.train(
        probe.MLP((6,), "tanh"), digits, probe.TrainingConfig(epochs=1, learning_rate=0.1)
    ).network
    found = minima_of_kind(start, digits, n_networks=3, seed=2)
    assert (found.cells, found.polish, found.n_train) == (("64-6-10 tanh",), 0, len(digits.train))
    estimate = primary_estimates(start, digits, n_networks=3, seed=2)["minima"]
    assert estimate.interval == found.verdicts[0].interval
    assert found.widths[0].test_accuracy.min() > 0.85  # trained to the end


def test_a_study_without_polish_and_curvature_says_so(digits):
    found = probe.minima(
        probe.MLP((4,)), digits, CONFIG, n_networks=2, n_samples=80, polish=0, curvature="none", n_connected=0
    )
    assert found.widths[0].n_measured == 0
    assert found.widths[0].connections is None
    np.testing.assert_array_equal(found.widths[0].gradient_norm, found.widths[0].trained_norm)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"n_networks": 1}, "n_networks must be an integer of at least 2"),
        ({"margin": 0.0}, "margin must be a finite number above 0"),
        ({"curvature": "all"}, "curvature must be one of extremes, none"),
        ({"n_connected": 1}, "n_connected must be 0 or at least 2"),
        ({"n_connected": 5}, "n_connected must be an integer from 0 to 4"),
        ({"n_connected": 51, "n_networks": 60}, "n_connected must be an integer from 0 to 50"),
        ({"architectures": ()}, "architectures must hold at least one"),
        ({"architectures": (probe.MLP((3,), "step"),)}, "polish must be 0"),
    ],
)
def test_what_does_not_fit_is_refused(wrong, message):
    with pytest.raises(probe.InputError, match=message):
        design(**wrong)


def test_too_many_samples_are_refused(small_digits):
    with pytest.raises(probe.InputError, match="n_samples must be an integer from 2 to 200"):
        design(n_samples=201).check_fits(small_digits)
