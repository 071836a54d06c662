import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import special

from probe._checks import InputError
from probe.layers import (
    ACTIVATIONS,
    LEAKY_RELU_SLOPE,
    ActivationLayer,
    Elu,
    LeakyRelu,
    LogSoftmax,
    Relu,
    Softmax,
    activation_from,
    activation_named,
    softmax,
)

# Where the slope, or its slope, jumps.
KINKS = {
    "relu": (0,),
    "leaky_relu": (0,),
    "step": (0,),
    "selu": (0,),
    "relu6": (0, 6),
    "hard_sigmoid": (-3, 3),
    "hard_sigmoid_v2": (-2.5, 2.5),
    "hard_silu": (-3, 3),
    "hard_tanh": (-1, 1),
    "hard_shrink": (-0.5, 0.5),
    "soft_shrink": (-0.5, 0.5),
    "sparse_sigmoid": (-1, 1),
    "sparse_plus": (-1, 1),
}

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
    "relu6": lambda z: np.minimum(np.maximum(z, 0), 6),
    "selu": lambda z: (
        1.0507009873554805 * np.where(z > 0, z, 1.6732632423543772 * np.expm1(np.minimum(z, 0)))
    ),
    "celu": lambda z: np.where(z > 0, z, np.expm1(np.minimum(z, 0))),
    "silu": lambda z: z * special.expit(z),
    "mish": lambda z: z * np.tanh(np.logaddexp(0, z)),
    "softsign": lambda z: z / (1 + np.abs(z)),
    "squareplus": lambda z: np.where(z > 0, (z + np.hypot(z, 2)) / 2, 2 / (np.abs(z) + np.hypot(z, 2))),
    "exponential": np.exp,
    "log_sigmoid": special.log_expit,
    "hard_sigmoid": lambda z: np.minimum(np.maximum(z + 3, 0), 6) / 6,
    "hard_sigmoid_v2": lambda z: np.minimum(np.maximum(0.2 * z + 0.5, 0), 1),
    "hard_silu": lambda z: z * np.minimum(np.maximum(z + 3, 0), 6) / 6,
    "hard_tanh": lambda z: np.minimum(np.maximum(z, -1), 1),
    "tanh_shrink": lambda z: z - np.tanh(z),
    "hard_shrink": lambda z: np.where(np.abs(z) > 0.5, z, 0.0),
    "soft_shrink": lambda z: np.sign(z) * np.maximum(np.abs(z) - 0.5, 0),
    "sparse_plus": lambda z: np.where(z > 1, z, np.where(z > -1, (z + 1) ** 2 / 4, 0.0)),
    "sparse_sigmoid": lambda z: np.where(z > 1, 1.0, np.where(z > -1, (z + 1) / 2, 0.0)),
}

Z = hnp.arrays(np.float64, hnp.array_shapes(max_dims=3, max_side=4), elements=st.floats(-8, 8))


def away_from_kinks(name, z):
    for kink in KINKS.get(name, (0,)):
        z = np.where(np.abs(z - kink) < 1e-3, kink + 1e-3, z)
    return z


def test_every_activation_has_a_closed_form_here():
    assert set(CLOSED_FORMS) == set(ACTIVATIONS)
    assert all(name == activation.name for name, activation in ACTIVATIONS.items())


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.filterwarnings("error")
def test_values_and_slopes_follow_the_closed_form_far_out_without_warnings(name, dtype):
    z = np.concatenate([[-1e4, -700, -100, -89, -20, 20, 89, 100, 700, 1e4], np.linspace(-12, 12, 97)])
    if name == "exponential":  # has no limit
        z = z[z < 80]
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
    z = away_from_kinks(name, z)
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


@pytest.mark.parametrize("name", ["relu", "leaky_relu", "step", "relu6"])
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


@pytest.mark.parametrize("name", [*ACTIVATIONS, "softmax", "log_softmax"])
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


def test_the_two_hard_sigmoids_are_not_the_same():
    z = np.array([2.0])
    assert ACTIVATIONS["hard_sigmoid"].forward(z)[0] == pytest.approx(5 / 6)
    assert ACTIVATIONS["hard_sigmoid_v2"].forward(z)[0] == pytest.approx(0.9)


def test_exponential_that_overflows_is_infinite_without_a_warning(recwarn):
    assert ACTIVATIONS["exponential"].forward(np.array([1e4], np.float32))[0] == np.inf
    assert not recwarn.list


WITH_SETTINGS = [
    Relu(),
    Relu(max_value=1.5),
    Relu(negative_slope=0.1),
    Relu(1.5, 0.1, 0.2),
    Relu(max_value=1.0, threshold=2.0),
    LeakyRelu(),
    LeakyRelu(-0.5),
    Elu(0.4),
    Softmax(1),
    Softmax((1, 2)),
    LogSoftmax(),
    LogSoftmax((1, -1)),
]


@pytest.mark.parametrize("activation", WITH_SETTINGS, ids=repr)
def test_the_pullback_of_an_activation_with_settings_is_its_derivative(activation, numeric_gradient):
    rng = np.random.default_rng(5)
    z = rng.normal(size=(2, 3, 4)) * 2
    y, pullback = activation.forward(z)
    dy = rng.normal(size=z.shape)
    expected = numeric_gradient(lambda at: float((dy * activation.forward(at)[0]).sum()), z)
    np.testing.assert_allclose(pullback(dy), expected, rtol=1e-6, atol=1e-8)
    assert y.shape == z.shape


@pytest.mark.parametrize("activation", WITH_SETTINGS, ids=repr)
def test_an_activation_with_settings_keeps_the_type(activation):
    z = np.linspace(-3, 3, 24, dtype=np.float32).reshape(2, 3, 4)
    y, pullback = activation.forward(z)
    assert y.dtype == pullback(np.ones_like(z)).dtype == np.float32


@pytest.mark.parametrize(
    ("activation", "values"),
    [
        (Relu(), [0, 0, 0, 0.1, 2]),
        (Relu(1.5, 0.1, 0.2), [-0.22, -0.12, -0.02, -0.01, 1.5]),
        (LeakyRelu(), [-0.6, -0.3, 0, 0.1, 2]),
        (Elu(2.0), [2 * np.expm1(-2), 2 * np.expm1(-1), 0, 0.1, 2]),
    ],
)
def test_rectifiers_follow_their_definitions(activation, values):
    np.testing.assert_allclose(activation.forward(np.array([-2, -1, 0, 0.1, 2]))[0], values, rtol=1e-12)


@given(
    z=hnp.arrays(np.float64, (2, 3, 4), elements=st.floats(-50, 50)), axis=st.sampled_from([1, (1, 2), -1])
)
@settings(max_examples=25)
def test_log_softmax_is_scipys(z, axis):
    np.testing.assert_allclose(
        LogSoftmax(axis).forward(z)[0], special.log_softmax(z, axis=axis), rtol=1e-12, atol=1e-12
    )


@given(z=hnp.arrays(np.float64, (2, 3, 4), elements=st.floats(-50, 50)))
@settings(max_examples=25)
def test_softmax_over_several_axes_sums_to_one_over_them_together(z):
    y = Softmax((1, 2)).forward(z)[0]
    np.testing.assert_allclose(y.sum(axis=(1, 2)), 1, rtol=1e-12)
    np.testing.assert_allclose(
        y.reshape(2, 12), special.softmax(z.reshape(2, 12), axis=1), rtol=1e-12, atol=1e-300
    )


def test_settings_have_the_names_that_keras_gives_them():
    assert Relu(6.0).settings == {"max_value": 6.0, "negative_slope": 0.0, "threshold": 0.0}
    assert LeakyRelu(0.25).settings == {"negative_slope": 0.25}
    assert Elu(0.5).settings == {"alpha": 0.5}
    assert Softmax().settings == LogSoftmax().settings == ACTIVATIONS["tanh"].settings == {}
    assert Softmax((1, 2)).settings == {"axis": (1, 2)}


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Relu(max_value=-1.0), "max_value of relu must be a finite number at least 0, got -1"),
        (lambda: Relu(negative_slope=np.nan), "negative_slope of relu must be a finite number at least 0"),
        (lambda: Relu(threshold=None), "threshold of relu must be a finite number at least 0, got None"),
        (lambda: LeakyRelu("steep"), "negative_slope of leaky_relu must be a finite number, got 'steep'"),
        (lambda: Elu(np.inf), "alpha of elu must be a finite number, got inf"),
        (lambda: Softmax(()), r"axis of softmax must name at least one axis, got \(\)"),
        (lambda: LogSoftmax(0.5), "axis of log_softmax must be an integer"),
        (
            lambda: activation_from(7),
            r"activation must be a name or an activation such as Softmax\(\), got 7",
        ),
    ],
)
def test_settings_that_make_no_sense_are_refused(make, message):
    with pytest.raises(InputError, match=message):
        make()


def test_a_layer_keeps_the_name_of_an_activation_that_it_says_all_of():
    assert ActivationLayer("a", ACTIVATIONS["tanh"]).activation_name == "tanh"
    assert ActivationLayer("a", Softmax()).activation_name == "softmax"
    assert ActivationLayer("a", Softmax(1)).activation_name == Softmax(1)
    assert ActivationLayer("a", LeakyRelu(0.2)).activation == LeakyRelu(0.2)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_the_curvature_is_the_derivative_of_the_slope(name, dtype):
    activation = ACTIVATIONS[name]
    z = np.linspace(-7.03, 7.11, 401)
    kinks = np.array(KINKS.get(name, ()) + ((0,) if name in ("elu", "celu") else ()), float)
    z = z[(np.abs(z[:, None] - kinks) > 1e-3).all(axis=1)] if kinks.size else z

    def slope(at):
        return activation.slope(at.copy(), activation.value(at.copy(), np.empty_like(at)), np.empty_like(at))

    expected = (slope(z + 1e-6) - slope(z - 1e-6)) / 2e-6
    at = z.astype(dtype)
    y = activation.value(at, np.empty_like(at))
    found = activation.curvature(y if activation.slope_from_output else at, y, np.empty_like(at))
    assert found.dtype == dtype
    rough = dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=1e-5 if rough else 1e-7, atol=1e-5 if rough else 1e-8)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_the_curvature_far_out_is_finite_and_without_warnings(name):
    activation = ACTIVATIONS[name]
    far = 80 if name == "exponential" else 1e4
    z = np.array([-far, -90, -20, 20, far], np.float32).clip(-far, far)
    with np.errstate(over="ignore"):
        y = activation.value(z.copy(), np.empty_like(z))
    found = activation.curvature(y if activation.slope_from_output else z, y, np.empty_like(z))
    assert np.isfinite(found).all()
