from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import special
from sklearn.metrics import log_loss

from probe.costs import apply_output, cost_values, label_positions, logit_gradient, logit_gradient_product

SHAPE = (2, 3, 4)  # networks, classes, samples
LABELS = np.array([[0, 2, 1, 1], [1, 1, 0, 2]])
COMBINATIONS = list(product(("cross-entropy", "quadratic"), ("softmax", "sigmoid")))

Logits = hnp.arrays(np.float64, SHAPE, elements=st.floats(-10, 10))
Labels = hnp.arrays(np.int64, (2, 4), elements=st.integers(0, 2))


def targets(labels, n_classes=3):
    return np.eye(n_classes)[labels].transpose(0, 2, 1)


def outputs_of(output, logits):
    return special.softmax(logits, axis=1) if output == "softmax" else special.expit(logits)


def by_hand(cost, output, logits, labels):
    """Costs from their definitions in the outputs, in float64."""
    y, t = outputs_of(output, logits), targets(labels)
    if cost == "quadratic":
        return ((y - t) ** 2).sum(axis=1)
    if output == "softmax":
        return -(t * np.log(y)).sum(axis=1)
    return -(t * np.log(y) + (1 - t) * np.log1p(-y)).sum(axis=1)


@given(labels=Labels)
def test_positions_point_at_the_true_classes(labels):
    values = np.random.default_rng(0).normal(size=SHAPE)
    found = values.reshape(-1)[label_positions(labels, SHAPE)]
    for network, sample in np.ndindex(labels.shape):
        assert found[network, sample] == values[network, labels[network, sample], sample]


def test_shared_labels_are_those_of_every_network():
    shared = label_positions(LABELS[:1], SHAPE)
    np.testing.assert_array_equal(shared, label_positions(np.repeat(LABELS[:1], 2, axis=0), SHAPE))


@pytest.mark.parametrize("output", ["softmax", "sigmoid"])
@given(logits=Logits)
@settings(max_examples=30)
def test_outputs_are_scipys(output, logits):
    given_logits = logits.copy()
    found = apply_output(output, given_logits)
    assert found is given_logits
    np.testing.assert_allclose(found, outputs_of(output, logits), rtol=1e-12)


@pytest.mark.parametrize(("cost", "output"), COMBINATIONS)
@given(logits=Logits, labels=Labels)
@settings(max_examples=40)
def test_costs_follow_their_definitions(cost, output, logits, labels):
    kept = logits.copy()
    found = cost_values(cost, output, logits, label_positions(labels, SHAPE))
    np.testing.assert_array_equal(logits, kept)
    np.testing.assert_allclose(found, by_hand(cost, output, logits, labels), rtol=1e-9, atol=1e-12)


@given(logits=Logits, labels=Labels)
@settings(max_examples=15)
def test_the_softmax_cross_entropy_is_scikit_learns(logits, labels):
    found = cost_values("cross-entropy", "softmax", logits, label_positions(labels, SHAPE))
    for network in range(2):
        proba = special.softmax(logits[network], axis=0).T
        expected = log_loss(labels[network], proba, labels=[0, 1, 2])
        assert found[network].mean() == pytest.approx(expected, rel=1e-9)


@given(logits=Logits, labels=Labels)
@settings(max_examples=15)
def test_the_sigmoid_cross_entropy_is_a_sum_of_scikit_learns_binary_ones(logits, labels):
    found = cost_values("cross-entropy", "sigmoid", logits, label_positions(labels, SHAPE))
    truth = targets(labels).astype(int)
    for network in range(2):
        expected = sum(
            log_loss(truth[network, k], special.expit(logits[network, k]), labels=[0, 1]) for k in range(3)
        )
        assert found[network].mean() == pytest.approx(expected, rel=1e-9)


def test_the_quadratic_cost_has_no_factor_of_one_half():
    # Sigmoid outputs of 1/2 each, so that each of three classes is off by 1/2.
    found = cost_values(
        "quadratic", "sigmoid", np.zeros((1, 3, 1)), label_positions(np.array([[1]]), (1, 3, 1))
    )
    np.testing.assert_array_equal(found, [[0.75]])


@pytest.mark.parametrize(("cost", "output"), COMBINATIONS)
@given(logits=Logits, labels=Labels)
@settings(max_examples=15)
def test_the_gradient_is_the_derivative_of_the_cost(numeric_gradient, cost, output, logits, labels):
    positions = label_positions(labels, SHAPE)
    expected = numeric_gradient(lambda z: float(cost_values(cost, output, z, positions).sum()), logits)
    found = logit_gradient(cost, output, logits, positions)
    assert found is logits
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(("cost", "output"), COMBINATIONS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_extreme_logits_have_finite_costs_and_gradients(cost, output, dtype):
    logits = np.array([[[1e4, -1e4, 1e30, -90]], [[-1e4, 1e4, 0, 90]], [[0, 0, -1e30, 5]]], dtype)
    logits = np.ascontiguousarray(logits.transpose(1, 0, 2))
    for label in range(3):
        positions = label_positions(np.full((1, 4), label), logits.shape)
        # The training loop mutes the overflow in exp, which leads to the right limit.
        with np.errstate(over="ignore"):
            costs = cost_values(cost, output, logits, positions)
            gradient = logit_gradient(cost, output, logits.copy(), positions)
        assert costs.dtype == gradient.dtype == dtype
        assert np.isfinite(costs).all()
        assert np.isfinite(gradient).all()


@pytest.mark.parametrize(("cost", "output"), COMBINATIONS)
@given(logits=hnp.arrays(np.float32, SHAPE, elements=st.floats(-20, 20, width=32)), labels=Labels)
@settings(max_examples=100)
def test_no_cost_is_negative(cost, output, logits, labels):
    assert (cost_values(cost, output, logits, label_positions(labels, SHAPE)) >= 0).all()


def test_a_small_quadratic_cost_is_precise():
    # Outputs of 1 - d and d, for small d: the cost is 2 d**2.
    logits = np.array([[[5.0], [-5.0]]], np.float32)
    d = float(special.expit(np.float64(-5.0)))
    found = cost_values("quadratic", "sigmoid", logits, label_positions(np.array([[0]]), logits.shape))
    np.testing.assert_allclose(found, 2 * d**2, rtol=1e-4)


@pytest.mark.parametrize(("cost", "output"), COMBINATIONS)
@given(logits=Logits, direction=Logits, labels=Labels)
@settings(max_examples=30)
def test_the_product_is_the_derivative_of_the_gradient(cost, output, logits, direction, labels):
    positions = label_positions(labels, SHAPE)
    step = 1e-6

    def gradient(at):
        return logit_gradient(cost, output, at.copy(), positions)

    expected = (gradient(logits + step * direction) - gradient(logits - step * direction)) / (2 * step)
    outputs = apply_output(output, logits.copy())
    found = logit_gradient_product(cost, output, outputs, positions, direction)
    np.testing.assert_allclose(found, expected, atol=2e-8)
