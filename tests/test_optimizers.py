import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probe.optimizers import OPTIMIZERS, SGD, Adam, Momentum, Nesterov

EVERY = pytest.mark.parametrize("name", OPTIMIZERS)


def run(optimizer, gradients, rate, start):
    """Return the parameters after each update; `gradients` are arrays or functions of the parameter."""
    parameter, state, path = start.copy(), optimizer.init(start), []
    for update, gradient in enumerate(gradients, start=1):
        value = gradient(parameter) if callable(gradient) else gradient.copy()
        parameter = parameter + optimizer.update(value, state, rate, update)
        path.append(parameter)
    return np.array(path)


def random_gradients(seed, n=6, size=4):
    return list(np.random.default_rng(seed).normal(size=(n, size)))


# The contract: what every optimizer does.


@EVERY
def test_no_gradient_from_the_start_is_no_change(name):
    start = np.array([1.0, -2.0])
    path = run(OPTIMIZERS[name](), [np.zeros(2)] * 3, 0.5, start)
    np.testing.assert_array_equal(path, [start] * 3)


@EVERY
def test_a_rate_of_zero_is_no_change(name):
    start = np.array([1.0, -2.0, 0.5, 3.0])
    path = run(OPTIMIZERS[name](), random_gradients(0), 0.0, start)
    np.testing.assert_array_equal(path, [start] * 6)


@EVERY
@given(seed=st.integers(0, 999), first=st.floats(1e-3, 1), second=st.floats(1e-3, 1))
@settings(max_examples=20)
def test_an_array_of_rates_is_each_part_with_its_own(name, seed, first, second):
    gradients, start = random_gradients(seed), np.arange(4.0)
    together = run(OPTIMIZERS[name](), gradients, np.array([first, first, second, second]), start)
    for part, rate in ((slice(0, 2), first), (slice(2, 4), second)):
        alone = run(OPTIMIZERS[name](), [g[part] for g in gradients], rate, start[part])
        np.testing.assert_array_equal(together[:, part], alone)


@EVERY
def test_the_first_step_goes_downhill(name):
    gradient = np.array([3.0, -0.2, 1e-3])
    (first,) = run(OPTIMIZERS[name](), [gradient], 0.1, np.zeros(3))
    assert (np.sign(first) == -np.sign(gradient)).all()


@EVERY
def test_a_convex_quadratic_is_solved(name):
    curvature, solution = np.array([1.0, 0.3]), np.array([0.7, -1.2])
    rate = 0.02 if name == "adam" else 0.2
    path = run(OPTIMIZERS[name](), [lambda w: curvature * (w - solution)] * 600, rate, np.zeros(2))
    np.testing.assert_allclose(path[-1], solution, atol=1e-3)


@EVERY
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_type_and_shape_stay(name, dtype):
    optimizer, parameter = OPTIMIZERS[name](), np.zeros((2, 3), dtype)
    state = optimizer.init(parameter)
    change = optimizer.update(np.ones((2, 3), dtype), state, 0.1, 1)
    assert change.dtype == dtype
    assert change.shape == (2, 3)
    assert all(part.dtype == dtype and part.shape == (2, 3) for part in state)


@EVERY
def test_the_state_of_two_parameters_are_apart(name):
    optimizer, parameter = OPTIMIZERS[name](), np.zeros(2)
    one, two = optimizer.init(parameter), optimizer.init(parameter)
    optimizer.update(np.ones(2), one, 0.1, 1)
    assert all((part == 0).all() for part in two)


# Each against its paper, written here again.


@given(seed=st.integers(0, 999), rate=st.floats(1e-3, 1))
def test_sgd_subtracts_the_gradient_times_the_rate(seed, rate):
    gradients = random_gradients(seed)
    path = run(SGD(), gradients, rate, np.zeros(4))
    np.testing.assert_allclose(path, -rate * np.cumsum(gradients, axis=0), rtol=1e-12, atol=1e-14)


@given(seed=st.integers(0, 999), rate=st.floats(1e-3, 1), decay=st.floats(0, 1))
@settings(max_examples=40)
def test_momentum_is_polyaks_heavy_ball(seed, rate, decay):
    # x[t+1] = x[t] - rate * g[t] + decay * (x[t] - x[t-1])
    gradients = random_gradients(seed)
    positions = [np.zeros(4), np.zeros(4)]
    for gradient in gradients:
        positions.append(positions[-1] - rate * gradient + decay * (positions[-1] - positions[-2]))
    path = run(Momentum(decay), gradients, rate, np.zeros(4))
    np.testing.assert_allclose(path, positions[2:], rtol=1e-10, atol=1e-12)


@given(seed=st.integers(0, 999), decay=st.floats(0.1, 0.95))
@settings(max_examples=40)
def test_nesterov_is_sutskevers_lookahead(seed, decay):
    # v[t+1] = decay * v[t] - rate * grad(x[t] + decay * v[t]); x[t+1] = x[t] + v[t+1]. What the optimizer
    # moves is the point that looks ahead, x + decay * v.
    rate, curvature = 0.1, np.array([1.0, 0.5, 2.0, 0.1])
    solution = np.random.default_rng(seed).normal(size=4)
    x, v, ahead = np.zeros(4), np.zeros(4), []
    for _ in range(6):
        v = decay * v - rate * curvature * (x + decay * v - solution)
        x = x + v
        ahead.append(x + decay * v)
    path = run(Nesterov(decay), [lambda w: curvature * (w - solution)] * 6, rate, np.zeros(4))
    np.testing.assert_allclose(path, ahead, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("kind", [Momentum, Nesterov])
def test_no_momentum_is_plain_descent(kind):
    gradients = random_gradients(3)
    np.testing.assert_allclose(
        run(kind(0.0), gradients, 0.1, np.zeros(4)), run(SGD(), gradients, 0.1, np.zeros(4)), rtol=1e-12
    )


@given(
    seed=st.integers(0, 999),
    rate=st.floats(1e-4, 0.1),
    beta_1=st.floats(0, 0.99),
    beta_2=st.floats(0, 0.999),
)
@settings(max_examples=40)
def test_adam_is_algorithm_1_of_its_paper(seed, rate, beta_1, beta_2):
    gradients, epsilon = random_gradients(seed), 1e-7
    w, m, v, expected = np.zeros(4), 0.0, 0.0, []
    for t, g in enumerate(gradients, start=1):
        m = beta_1 * m + (1 - beta_1) * g
        v = beta_2 * v + (1 - beta_2) * g**2
        m_hat, v_hat = m / (1 - beta_1**t), v / (1 - beta_2**t)
        w = w - rate * m_hat / (np.sqrt(v_hat) + epsilon)
        expected.append(w)
    path = run(Adam(beta_1, beta_2, epsilon), gradients, rate, np.zeros(4))
    np.testing.assert_allclose(path, expected, rtol=1e-9, atol=1e-12)


def test_momentum_and_nesterov_are_scikit_learns():
    from sklearn.neural_network._stochastic_optimizers import SGDOptimizer

    gradients = random_gradients(5)
    for kind, nesterov in ((Momentum, False), (Nesterov, True)):
        theirs = SGDOptimizer([np.zeros(4)], 0.1, momentum=0.8, nesterov=nesterov)
        parameter, expected = np.zeros(4), []
        for gradient in gradients:
            (update,) = theirs._get_updates([gradient])
            parameter = parameter + update
            expected.append(parameter)
        np.testing.assert_allclose(run(kind(0.8), gradients, 0.1, np.zeros(4)), expected, rtol=1e-12)


def test_adam_is_scikit_learns():
    # Epsilon stands at another place there, so it has to be small.
    from sklearn.neural_network._stochastic_optimizers import AdamOptimizer

    gradients = random_gradients(6)
    theirs = AdamOptimizer([np.zeros(4)], 0.01, 0.9, 0.999, 1e-12)
    parameter, expected = np.zeros(4), []
    for gradient in gradients:
        (update,) = theirs._get_updates([gradient])
        parameter = parameter + update
        expected.append(parameter)
    found = run(Adam(0.9, 0.999, 1e-12), gradients, 0.01, np.zeros(4))
    np.testing.assert_allclose(found, expected, rtol=1e-6)
