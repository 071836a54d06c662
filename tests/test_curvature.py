"""Gradients and Hessian-vector products of populations, against automatic differentiation and closed forms."""

import warnings
from itertools import pairwise, product

import numpy as np
import pytest
from scipy.optimize import check_grad

import probe
from probe.curvature import PopulationCost, population_of, vectors_of
from probe.parameters import ParameterSpace
from probe.population import initial_population

ACTIVATIONS = ("sigmoid", "tanh", "gelu", "softplus", "elu", "linear")
COMBINATIONS = list(product(("cross-entropy", "quadratic"), ("softmax", "sigmoid")))
N_IN, N_CLASSES = 4, 3


def data(n=25):
    rng = np.random.default_rng(3)
    return rng.normal(size=(n, N_IN)), rng.integers(0, N_CLASSES, n)


def function(hidden=(3, 2), activation="tanh", output="softmax", cost="cross-entropy", decay=0.0):
    return PopulationCost(probe.MLP(hidden, activation, output), *data(), N_CLASSES, cost, decay)


def vectors(of, n_networks=2):
    return np.random.default_rng(9).normal(size=(n_networks, of.n_parameters))


def full_hessian(of, vector):
    at = of.at(np.repeat(vector[None], of.n_parameters, axis=0))
    return at.product(np.eye(of.n_parameters))


def by_jax(of):
    """Return the cost as a function of one vector, written for JAX from the definitions."""
    jax = pytest.importorskip("jax")
    jnp = jax.numpy
    values = {
        "sigmoid": jax.nn.sigmoid,
        "tanh": jnp.tanh,
        "gelu": lambda z: jax.nn.gelu(z, approximate=False),
        "softplus": jax.nn.softplus,
        "elu": jax.nn.elu,
        "linear": lambda z: z,
    }
    sizes, end, places = of.sizes, 0, []
    for n_in, n_out in pairwise(sizes):
        places.append((end, end + n_in * n_out, n_in, n_out))
        end += (n_in + 1) * n_out

    def cost(vector):
        a, decay = jnp.asarray(of.x), 0.0
        for place, (begin, middle, n_in, n_out) in enumerate(places):
            w = vector[begin:middle].reshape(n_out, n_in)
            decay = decay + (w * w).sum()
            a = a @ w.T + vector[middle : middle + n_out]
            if place < len(places) - 1:
                a = values[of.architecture.activation](a)
        target = jnp.eye(N_CLASSES)[of.labels]
        if of.cost == "quadratic":
            out = jax.nn.softmax(a) if of.architecture.output == "softmax" else jax.nn.sigmoid(a)
            each = ((out - target) ** 2).sum(axis=1)
        elif of.architecture.output == "softmax":
            each = -(jax.nn.log_softmax(a) * target).sum(axis=1)
        else:
            log, other = jax.nn.log_sigmoid(a), jax.nn.log_sigmoid(-a)
            each = -(log * target + other * (1 - target)).sum(axis=1)
        return each.mean() + of.weight_decay / 2 * decay

    return jax, cost


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize(("cost", "output"), COMBINATIONS)
def test_cost_gradient_and_full_hessian_are_those_of_automatic_differentiation(cost, output, activation):
    of = function((3, 2), activation, output, cost, decay=0.01)
    jax, theirs = by_jax(of)
    vector = vectors(of)[1]
    with jax.enable_x64(True) if hasattr(jax, "enable_x64") else jax.experimental.enable_x64():
        value = np.asarray(theirs(vector))
        # Products with the unit vectors: JAX compiles far less for them than for the whole Hessian.
        gradient, product = jax.linearize(jax.grad(theirs), vector)
        hessian = np.stack([product(unit) for unit in np.eye(of.n_parameters)])
    at = of.at(vector[None])
    np.testing.assert_allclose(at.cost[0], value, rtol=1e-10)
    np.testing.assert_allclose(at.gradient[0], gradient, rtol=1e-8, atol=1e-11)
    ours = full_hessian(of, vector)
    np.testing.assert_allclose(ours, hessian, rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(ours, ours.T, atol=1e-12)


@pytest.mark.parametrize("hidden", [(), (3,), (3, 2), (4, 3, 2)])
def test_products_are_differences_of_gradients_at_any_depth(hidden):
    of = function(hidden, "sigmoid")
    at, direction, step = vectors(of), vectors(of)[::-1], 1e-6
    expected = (of.gradient(at + step * direction)[1] - of.gradient(at - step * direction)[1]) / (2 * step)
    np.testing.assert_allclose(of.at(at).product(direction), expected, atol=1e-8)


@pytest.mark.parametrize("activation", ["relu", "leaky_relu", "step"])
def test_piecewise_linear_networks_have_the_curvature_of_their_pieces(activation):
    of = function((5,), activation)
    at, direction, step = vectors(of), vectors(of)[::-1], 1e-7
    expected = (of.gradient(at + step * direction)[1] - of.gradient(at - step * direction)[1]) / (2 * step)
    np.testing.assert_allclose(of.at(at).product(direction), expected, atol=1e-6)


def test_scipys_check_of_the_gradient():
    of = function()
    start = vectors(of)[0]
    error = check_grad(
        lambda v: float(of.costs(v[None])[0]), lambda v: of.gradient(v[None])[1][0], start, epsilon=1e-7
    )
    assert error < 1e-5


def test_logistic_regression_at_zero_has_the_spectrum_of_its_inputs():
    """At zero weights and sigmoid outputs the Hessian is a quarter of the second moments of the inputs."""
    rng = np.random.default_rng(0)
    axes = np.linalg.qr(rng.normal(size=(N_IN, N_IN)))[0]
    wanted = np.array([0.1, 1.0, 3.0, 8.0])
    x = (axes @ np.diag(np.sqrt(wanted * N_IN))).T
    of = PopulationCost(probe.MLP((), output="sigmoid"), x, np.zeros(N_IN, int), 1)
    hessian = full_hessian(of, np.zeros(of.n_parameters))[:N_IN, :N_IN]
    np.testing.assert_allclose(np.linalg.eigvalsh(hessian), wanted / 4, rtol=1e-10)
    np.testing.assert_allclose(hessian, axes @ np.diag(wanted / 4) @ axes.T, atol=1e-12)


def test_members_are_alone_and_parts_make_no_difference(monkeypatch):
    of = function(decay=0.1)
    at, direction = vectors(of, 5), vectors(of, 5)[::-1]
    together = of.at(at)
    for k in range(5):
        one = of.at(at[k : k + 1])
        np.testing.assert_allclose(one.cost[0], together.cost[k], rtol=1e-12)
        np.testing.assert_allclose(one.gradient[0], together.gradient[k], rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(
            one.product(direction[k : k + 1])[0], together.product(direction)[k], rtol=1e-9, atol=1e-12
        )
    whole = together.product(direction)
    monkeypatch.setattr("probe.curvature._VALUES", 1)
    monkeypatch.setattr("probe.curvature._FEWEST_SAMPLES", 4)
    np.testing.assert_allclose(of.at(at).product(direction), whole, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(of.costs(at), together.cost, rtol=1e-12)
    np.testing.assert_allclose(of.gradient(at)[1], together.gradient, rtol=1e-9, atol=1e-12)


def test_a_vector_is_the_network_that_it_was_taken_from(digits):
    rngs = np.random.default_rng(0).spawn(3)
    train = digits.train
    population = initial_population(
        probe.MLP((6, 5)), train.image_shape, train.class_names, rngs=rngs, dtype="float64"
    )
    taken = vectors_of(population)
    back = population_of(taken, population)
    for ours, theirs in zip(
        (*back.weights, *back.biases), (*population.weights, *population.biases), strict=True
    ):
        np.testing.assert_array_equal(ours, theirs)
    x = train.images[:50].reshape(50, -1).astype(np.float64)
    of = PopulationCost(population.architecture, x, train.labels[:50], 10)
    costs, gradients = of.gradient(taken)
    for k in range(3):
        space = ParameterSpace(population.network(k))
        cost, gradient = space.gradient(train.images[:50].astype(np.float64), train.labels[:50])
        assert costs[k] == pytest.approx(cost, rel=1e-10)
        for part in space.parts:
            ours = gradient[part.place].reshape(part.shape).T.reshape(-1)
            np.testing.assert_allclose(gradients[k, part.place], ours, rtol=1e-6, atol=1e-10)


def test_what_does_not_fit_is_refused():
    x, labels = data()
    with pytest.raises(probe.InputError, match=r"vectors must have shape \(n, 25\)"):
        PopulationCost(probe.MLP((2, 2)), x, labels, 3).at(np.zeros((1, 4)))
    with pytest.raises(probe.InputError, match="x must be float32 or float64"):
        PopulationCost(probe.MLP((3,)), labels[:, None], labels, 3)
    with pytest.raises(probe.InputError, match="weight_decay must be a finite number at least 0"):
        PopulationCost(probe.MLP((3,)), x, labels, 3, weight_decay=-1.0)
    of = function()
    with pytest.raises(probe.InputError, match="directions must have shape"):
        of.at(vectors(of)).product(vectors(of)[:1])


def test_saturated_units_give_no_warning():
    function = PopulationCost(probe.MLP((3,)), np.ones((4, 2)), np.array([0, 1, 0, 1]), 2)
    far = np.full((1, function.n_parameters), -1e4)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        cost, gradient = function.gradient(far)
    assert np.isfinite(cost).all()
    assert np.isfinite(gradient).all()


def test_kronecker_factors_make_the_hessian_of_each_layer_where_all_images_are_one():
    """With activations that do not curve nothing but the draws of classes lies between them."""
    x = np.repeat(data()[0][:1], 40_000, axis=0)
    of = PopulationCost(probe.MLP((3, 2), "linear"), x, np.zeros(len(x), np.int64), N_CLASSES)
    vector = 0.5 * vectors(of, 1)
    hessian, end = full_hessian(of, vector[0]), 0
    for (inputs,), (outputs,) in of.kronecker_factors(vector):
        n_in, n_out = len(inputs) - 1, len(outputs)
        weights, biases = slice(end, end + n_in * n_out), slice(end + n_in * n_out, end + (n_in + 1) * n_out)
        for place, expected in ((weights, np.kron(outputs, inputs[1:, 1:])), (biases, outputs)):
            block = hessian[place, place]
            np.testing.assert_allclose(expected, block, atol=0.03 * np.abs(block).max())
        end = biases.stop


def test_the_first_of_kronecker_factors_are_mean_products_of_activations():
    of = function((5, 6), "sigmoid")
    population = initial_population(
        of.architecture, (N_IN,), ("a", "b", "c"), rngs=np.random.default_rng(0).spawn(2), dtype="float64"
    )
    factors = of.kronecker_factors(vectors_of(population))
    below = [of.x[None], *(a.transpose(0, 2, 1) for a in population.activations(of.x))]
    for (inputs, outputs), values in zip(factors, below, strict=True):
        with_one = np.concatenate([np.ones_like(values[:, :, :1]), values], axis=2)
        np.testing.assert_allclose(inputs, with_one.transpose(0, 2, 1) @ with_one / len(of.x), rtol=1e-10)
        assert len(outputs) == 2
