"""What analyses rely on in a network that comes from scikit-learn: logits, types, gradients, files."""

import warnings

import numpy as np
import pytest
from scipy.special import logit
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier

from probe import InputError, from_sklearn
from probe.storage import load_network, save_network

X = np.random.default_rng(0).normal(size=(60, 12))


def fitted(n_classes, *, hidden=(7, 5), x=X, **settings):
    model = MLPClassifier(hidden, max_iter=5, random_state=0, **settings)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(x, np.arange(60) % n_classes)


def test_two_classes_have_two_outputs_and_the_margin_that_sklearn_decides_by():
    model = fitted(2)
    network = from_sklearn(model)
    assert network.n_classes == 2 and network.output_name == "softmax"
    logits = network.logits(X)
    assert logits.shape == (60, 2)
    np.testing.assert_array_equal(logits[:, 0], -logits[:, 1])
    margin = logit(model.predict_proba(X)[:, 1])
    np.testing.assert_allclose(logits[:, 1] - logits[:, 0], margin, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(network.outputs(X), model.predict_proba(X), rtol=1e-12)
    np.testing.assert_array_equal(network.predict(X), model.predict(X))


def test_differences_of_logits_are_those_of_the_log_probabilities():
    model = fitted(4)
    logits, expected = from_sklearn(model).logits(X), model.predict_log_proba(X)
    np.testing.assert_allclose(logits - logits[:, :1], expected - expected[:, :1], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_the_type_is_that_of_the_fit(dtype, n_classes):
    x = X.astype(dtype)
    model = fitted(n_classes, x=x)
    network = from_sklearn(model)
    assert network.dtype == model.coefs_[0].dtype == dtype
    assert network.outputs(x).dtype == dtype
    np.testing.assert_allclose(network.outputs(x), model.predict_proba(x), rtol=1e-5)


def test_a_classifier_without_hidden_layers_is_its_output():
    model = fitted(3, hidden=())
    network = from_sklearn(model)
    assert network.layer_names == ("output",)
    np.testing.assert_allclose(network.outputs(X), model.predict_proba(X), rtol=1e-12)


def test_a_model_of_partial_fits_has_all_classes_that_were_announced():
    model = MLPClassifier((3,), random_state=0).partial_fit(X, np.arange(60) % 2, classes=[0, 1, 2])
    assert from_sklearn(model).class_names == ("0", "1", "2")


@pytest.mark.parametrize("activation", ["logistic", "tanh"])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_the_gradients_are_those_of_finite_differences(activation, n_classes):
    network = from_sklearn(fitted(n_classes, activation=activation))
    rng = np.random.default_rng(1)
    x, step = X[:4], 1e-6 * rng.normal(size=(4, 12))
    logits, pullback = network.logits_vjp(x)
    weights = rng.normal(size=logits.shape)
    found = (pullback(weights) * step).sum(axis=1)
    expected = (weights * (network.logits(x + step) - network.logits(x - step))).sum(axis=1) / 2
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-12)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_a_file_keeps_the_outputs(tmp_path, n_classes):
    network = from_sklearn(fitted(n_classes), (3, 4))
    again = load_network(save_network(network, tmp_path / "a.h5"))
    images = X.reshape(-1, 3, 4)
    np.testing.assert_array_equal(again.outputs(images), network.outputs(images))
    assert again.layer_names == network.layer_names


def test_the_model_is_left_as_it_was():
    model = fitted(2)
    before = [values.copy() for values in (*model.coefs_, *model.intercepts_)]
    from_sklearn(model).outputs(X)
    for values, old in zip((*model.coefs_, *model.intercepts_), before, strict=True):
        np.testing.assert_array_equal(values, old)
        assert values.flags.writeable


@pytest.mark.parametrize("setting", ["coefs_", "intercepts_"])
def test_weights_that_are_not_finite_are_refused(setting):
    model = fitted(3)
    getattr(model, setting)[1].flat[0] = np.nan
    with pytest.raises(InputError, match=rf"{setting}\[1\] of the model must be finite, but 1 of"):
        from_sklearn(model)
