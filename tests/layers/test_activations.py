import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import special

from probe._checks import InputError
from probe.layers import ACTIVATIONS, LEAKY_RELU_SLOPE, Softmax, activation_named, softmax

KINKED = ("relu", "leaky_relu", "step")

# Written from the definitions, in float64, with SciPy's special functions.
CLOSED_FORMS = {
    "sigmoid": special.expit,
    "tanh": np.tanh,
    "relu": lambda z: np.where(z > 0, z, 0.0),
    "leaky_relu": lambda z: np.where(z > 0, z, 0.2 * z),
    "elu": lambda z: np.where(z > 0, z, np.expm1(np.minimum(z, 0))),
    "gelu": lambda z: 0.5 * z * special.erfc(-z / np.sqrt(2)),
    "softplus": lambda z: np.maximum(z, 0) + np.log1p(np.exp(-np.abs(z))),
    "linear": lambda z: z,
    "step": lambda z: np.heaviside(z, 0.0),
}

Z = hnp.arrays(np.float64, hnp.array_shapes(max_dims=3, max_side=4), elements=st.floats(-8, 8))


def away_from_kink(z):
    return np.where(np.abs(z) < 1e-3, 1e-3, z)


def test_every_activation_has_a_closed_form_here():
    assert set(CLOSED_FORMS) == set(ACTIVATIONS)
    assert all(name == activation.name for name, activation in ACTIVATIONS.items())


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.filterwarnings("error")
def test_values_and_slopes_follow_the_closed_form_far_out_without_warnings(name, dtype):
    z = np.concatenate([[-1e4, -700, -100, -89, -20, 20, 89, 100, 700, 1e4], np.linspace(-12, 12, 97)])
    z = z.astype(dtype)
    y, pullback = ACTIVATIONS[name].forward(z)
    expected = CLOSED_FORMS[name](z.astype(np.float64))
    assert y.dtype == dtype
    tolerance = 40 * np.finfo(dtype).eps
    np.testing.assert_allclose(y, expected, rtol=tolerance, atol=tolerance)
    slope = pullback(np.ones_like(z))
    assert slope.dtype == dtype
    assert np.isfinite(slope).all()


@pytest.mark.parametrize("name", [name for name in ACTIVATIONS if name != "step"])
@given(z=Z, seed=st.integers(0, 2**32 - 1))
@settings(max_examples=25)
def test_the_pullback_is_the_derivative(name, z, seed):
    z = away_from_kink(z)
    dy = np.random.default_rng(seed).normal(size=z.shape)
    forward = ACTIVATIONS[name].forward
    step = 1e-5
    expected = dy * (forward(z + step)[0] - forward(z - step)[0]) / (2 * step)
    np.testing.assert_allclose(forward(z)[1](dy), expected, rtol=1e-6, atol=1e-8)


@given(z=Z)
@settings(max_examples=25)
def test_a_step_has_no_slope(z):
    y, pullback = ACTIVATIONS["step"].forward(z)
    assert set(np.unique(y)) <= {0.0, 1.0}
    assert not pullback(np.ones_like(z)).any()


@pytest.mark.parametrize("name", KINKED)
def test_at_the_kink_the_value_and_the_slope_are_those_from_the_left(name):
    y, pullback = ACTIVATIONS[name].forward(np.zeros(1))
    assert y == 0
    assert pullback(np.ones(1)) == (LEAKY_RELU_SLOPE if name == "leaky_relu" else 0)


@pytest.mark.parametrize("name", ACTIVATIONS)
@given(z=Z, dtype=st.sampled_from([np.float32, np.float64]))
@settings(max_examples=25)
def test_in_place_is_the_same_to_the_bit(name, z, dtype):
    activation = ACTIVATIONS[name]
    z = z.astype(dtype)
    apart = activation.value(z.copy(), np.empty_like(z))
    slope = activation.slope(z.copy(), apart.copy(), np.empty_like(z))
    shared = z.copy()
    y = activation.value(shared, shared if activation.slope_from_output else np.empty_like(z))
    np.testing.assert_array_equal(y, apart)
    np.testing.assert_array_equal(shared, apart if activation.slope_from_output else z)
    np.testing.assert_array_equal(activation.slope(shared, y, np.empty_like(z)), slope)


@pytest.mark.parametrize("name", [*ACTIVATIONS, "softmax"])
def test_neither_way_touches_its_argument(name):
    z = np.linspace(-2, 2, 6).reshape(2, 3)
    dy = np.arange(6.0).reshape(2, 3)
    kept = z.copy(), dy.copy()
    activation_named(name).forward(z)[1](dy)
    np.testing.assert_array_equal(z, kept[0])
    np.testing.assert_array_equal(dy, kept[1])


@given(z=hnp.arrays(np.float64, (3, 4), elements=st.floats(-1e3, 1e3)), axis=st.sampled_from([0, 1, -1]))
@settings(max_examples=50)
def test_softmax_is_scipys(z, axis):
    np.testing.assert_allclose(
        softmax(z, axis, np.empty_like(z)), special.softmax(z, axis=axis), rtol=1e-12, atol=1e-300
    )


@pytest.mark.filterwarnings("error")
def test_softmax_of_huge_logits_is_a_distribution():
    z = np.array([[1e38, -1e38, 0], [1e30, 1e30, -1e30]], np.float32)
    y = softmax(z, 1, z)
    assert y is z
    np.testing.assert_array_equal(y, np.array([[1, 0, 0], [0.5, 0.5, 0]], np.float32))


@given(z=hnp.arrays(np.float64, (2, 3), elements=st.floats(-5, 5)), seed=st.integers(0, 99))
@settings(max_examples=25)
def test_the_pullback_of_softmax_is_its_derivative(numeric_gradient, z, seed):
    dy = np.random.default_rng(seed).normal(size=z.shape)
    expected = numeric_gradient(lambda at: float((dy * special.softmax(at, axis=-1)).sum()), z)
    np.testing.assert_allclose(Softmax().forward(z)[1](dy), expected, rtol=1e-6, atol=1e-8)


def test_an_unknown_activation_is_refused_with_the_nearest():
    assert activation_named("softmax") == Softmax()
    with pytest.raises(
        InputError, match=r"activation must be one of sigmoid, .*softmax; got 'rely' .*'relu'"
    ):
        activation_named("rely")
