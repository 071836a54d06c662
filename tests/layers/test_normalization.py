import re

import numpy as np
import pytest

from probe._checks import InputError
from probe.layers import BatchNormalization, LayerNormalization, Normalization, PReLU, Rescaling

RNG = np.random.default_rng(29)
X = RNG.normal(size=(3, 4, 5, 2))
FOUR = RNG.normal(size=2), RNG.normal(size=2), RNG.normal(size=2), RNG.normal(size=2) ** 2


def test_batch_normalization_follows_its_formula_on_any_axis():
    gamma, beta, mean, variance = FOUR
    expected = (X - mean) / np.sqrt(variance + 1e-3) * gamma + beta
    np.testing.assert_allclose(BatchNormalization("b", *FOUR).forward(X)[0], expected, rtol=1e-12)
    for axis in (1, -3):
        moved = BatchNormalization("b", *FOUR, axis=axis).forward(np.moveaxis(X, -1, 1))[0]
        np.testing.assert_allclose(moved, np.moveaxis(expected, -1, 1), rtol=1e-12)


def test_batch_normalization_names_its_variables_in_keras_order():
    assert list(BatchNormalization("b", *FOUR).variables) == [
        "gamma",
        "beta",
        "moving_mean",
        "moving_variance",
    ]
    assert list(BatchNormalization("b", None, *FOUR[1:]).variables) == [
        "beta",
        "moving_mean",
        "moving_variance",
    ]
    assert BatchNormalization("b", *FOUR).n_parameters == 8


def test_a_negative_variance_gives_no_number_and_no_warning(recwarn):
    layer = BatchNormalization("b", None, None, np.zeros(2), np.array([1.0, -1.0]))
    y = layer.forward(np.ones((1, 2)))[0]
    np.testing.assert_array_equal(np.isnan(y), [[False, True]])
    assert not recwarn.list


@pytest.mark.parametrize("axis", [(-1,), (1, 2), (1, 2, 3)])
def test_layer_normalization_leaves_mean_zero_and_variance_one(axis):
    y = LayerNormalization("l", None, None, axis, epsilon=0.0).forward(X)[0]
    np.testing.assert_allclose(y.mean(axis=axis), 0, atol=1e-12)
    np.testing.assert_allclose(y.var(axis=axis), 1, rtol=1e-10)


def test_normalization_and_its_inverse_cancel_even_where_nothing_varies():
    mean, variance = RNG.normal(size=2), np.array([2.0, 0.0])
    there, back = (Normalization("n", mean, variance, invert=invert) for invert in (False, True))
    y = there.forward(X)[0]
    np.testing.assert_allclose(y[..., 1], (X[..., 1] - mean[1]) / 1e-7, rtol=1e-12)
    np.testing.assert_allclose(back.forward(y)[0], X, rtol=1e-10, atol=1e-10)


def test_rescaling_by_one_number_and_by_one_for_each_channel():
    np.testing.assert_allclose(Rescaling("r", 2.0, 1.0).forward(X)[0], 2 * X + 1)
    np.testing.assert_allclose(
        Rescaling("r", [2.0, 3.0], (0.0, 1.0)).forward(X)[0],
        np.stack([2 * X[..., 0], 3 * X[..., 1] + 1], axis=-1),
    )
    assert Rescaling("r", [2.0, 3.0]).scale == (2.0, 3.0)


def test_prelu_has_a_slope_for_each_value_and_none_at_zero():
    alpha = np.array([[0.5, 2.0]])
    layer = PReLU("p", alpha, shared_axes=(1,))
    y, pullback = layer.forward(np.array([[[-2.0, -2.0], [3.0, 0.0]]]))
    np.testing.assert_array_equal(y, [[[-1, -4], [3, 0]]])
    np.testing.assert_array_equal(pullback(np.ones_like(y)), [[[0.5, 2], [1, 0]]])


TWO = np.ones(2)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: BatchNormalization("n", TWO, None, TWO, np.ones(3)),
            "all arrays must have one shape (n,), got gamma",
        ),
        (
            lambda: BatchNormalization("n", None, None, TWO, TWO.astype("f4")),
            "moving_mean and moving_variance must both be float32 or both float64, got float64 and float32",
        ),
        (
            lambda: BatchNormalization("n", *[TWO] * 4, epsilon=-1),
            "must be a finite number at least 0, got -1",
        ),
        (
            lambda: BatchNormalization("n", *[TWO] * 4, axis=0).output_shape((2,)),
            "axis 0 must be one of 1 to 1",
        ),
        (
            lambda: BatchNormalization("n", *[TWO] * 4, axis=2).output_shape((2,)),
            "axis 2 must be one of 1 to 1",
        ),
        (
            lambda: BatchNormalization("n", *[TWO] * 4).output_shape((2, 3)),
            "has gamma of shape (2,), which does not fit inputs of shape (2, 3): it needs (3,)",
        ),
        (
            lambda: LayerNormalization("n", np.ones((2, 2)), None),
            "gamma must have one axis for each of (-1,)",
        ),
        (
            lambda: LayerNormalization("n", None, None, (1, -1)).output_shape((4,)),
            "axis (1, -1) names one axis twice for inputs of shape (4,)",
        ),
        (
            lambda: LayerNormalization("n", TWO, None).output_shape((3,)),
            "has gamma of shape (2,), which does not",
        ),
        (
            lambda: Normalization("n", TWO, np.ones(3)),
            "variance must have one axis for each of (-1,), as mean",
        ),
        (lambda: Normalization("n", TWO, -TWO), "variance must not be negative, got -1"),
        (lambda: Normalization("n", TWO, TWO, invert=None), "invert must be True or False, got None"),
        (
            lambda: Normalization("n", TWO, TWO).output_shape((3,)),
            "has mean of shape (2,), which does not fit",
        ),
        (lambda: Rescaling("n", "255"), "must be a finite number, got '255'"),
        (lambda: Rescaling("n", ()), "must hold at least one number"),
        (lambda: Rescaling("n", (1.0, 2.0)).output_shape((3,)), "has 2 values of scale, which do not fit"),
        (
            lambda: PReLU("n", TWO, shared_axes=(1,)),
            "alpha must have length 1 along the shared axes (1,), got",
        ),
        (lambda: PReLU("n", TWO, shared_axes=(2,)), "must be an integer from 1 to 1, got 2"),
        (
            lambda: PReLU("n", TWO).output_shape((3,)),
            "has alpha of shape (2,), which does not fit inputs of shape (3,): it needs (3,)",
        ),
    ],
)
def test_what_does_not_fit_is_refused_by_name(make, message):
    with pytest.raises(InputError, match=f"layer 'n'.*{re.escape(message)}"):
        make()
