import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from probe import InputError, from_sklearn, from_torch

X = np.random.default_rng(0).normal(size=(60, 12))


def fitted(y, **settings):
    with pytest.warns(ConvergenceWarning):
        return MLPClassifier((7, 5), max_iter=5, random_state=0, **settings).fit(X, y)


@pytest.mark.parametrize("activation", ["identity", "logistic", "tanh", "relu"])
@pytest.mark.parametrize("names", [("a", "b", "c"), (0, 1), (3, 5, 8, 9)])
def test_a_classifier_of_sklearn_keeps_its_probabilities_and_classes(activation, names):
    model = fitted(np.array(names)[np.arange(60) % len(names)], activation=activation)
    network = from_sklearn(model)
    assert network.layer_names == ("hidden_1", "hidden_2", "output") and network.input_shape == (12,)
    assert network.class_names == tuple(map(str, names))
    np.testing.assert_allclose(network.outputs(X), model.predict_proba(X), rtol=1e-10)
    found = np.array(network.class_names)[network.predict(X)]
    np.testing.assert_array_equal(found, model.predict(X).astype(str))


def test_the_inputs_of_a_classifier_can_be_images():
    model = fitted(np.arange(60) % 3)
    network = from_sklearn(model, (3, 4))
    assert network.layer_names[0] == "flatten"
    np.testing.assert_allclose(network.outputs(X.reshape(-1, 3, 4)), model.predict_proba(X), rtol=1e-10)
    with pytest.raises(InputError, match=r"input_shape must have 12 values, .* got \(3, 5\)"):
        from_sklearn(model, (3, 5))
    with pytest.raises(InputError, match="input_shape must be a tuple of positive integers"):
        from_sklearn(model, (3, -4))


def test_the_weights_are_copies():
    model = fitted(np.arange(60) % 3)
    network = from_sklearn(model)
    before = network.outputs(X)
    model.coefs_[0][:] = 0
    np.testing.assert_array_equal(network.outputs(X), before)


def test_what_is_no_fitted_classifier_is_refused():
    with pytest.raises(InputError, match="model must be a scikit-learn MLPClassifier, got MLPRegressor"):
        from_sklearn(MLPRegressor())
    with pytest.raises(InputError, match="got Pipeline; pass the classifier in it"):
        from_sklearn(make_pipeline(StandardScaler(), MLPClassifier()))
    with pytest.raises(InputError, match="must be fitted"):
        from_sklearn(MLPClassifier())
    with pytest.raises(InputError, match="several labels"):
        from_sklearn(fitted(np.random.default_rng(0).integers(2, size=(60, 3))))


def test_without_torch_there_is_a_sentence(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "torch.nn", None)
    with pytest.raises(InputError, match="PyTorch cannot be imported"):
        from_torch(object(), (3,))
