"""What was changed by hand in a model of another library is refused, and the rest is compared with it."""

import warnings

import numpy as np
import pytest
import scipy.sparse
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier

from probe import InputError, from_sklearn
from probe.imports import _sklearn, _untouched

X = np.random.default_rng(0).normal(size=(60, 12))


def fitted(names=("a", "b", "c"), kind=MLPClassifier, **settings):
    model = kind((7, 5), max_iter=5, random_state=0, **settings)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(X, np.array(names)[np.arange(60) % len(names)])


class Flipped(MLPClassifier):
    def predict_proba(self, x):
        return super().predict_proba(x)[:, ::-1]


@pytest.mark.parametrize(
    "method", ["predict", "predict_proba", "_forward_pass_fast", "_forward_pass", "_predict"]
)
def test_a_method_of_the_classifier_itself_is_refused(method):
    model = fitted()
    setattr(model, method, lambda x, *_, **__: x)
    with pytest.raises(InputError, match=f"model has a {method} of its own, code that is not read"):
        from_sklearn(model)


@pytest.mark.parametrize("method", ["predict_proba", "_forward_pass_fast"])
def test_a_method_that_was_put_into_the_class_is_refused(method, monkeypatch):
    model = fitted()
    monkeypatch.setattr(MLPClassifier, method, MLPClassifier.score)
    with pytest.raises(InputError, match=f"model has a {method} of its own"):
        from_sklearn(model)


def test_a_subclass_is_refused():
    with pytest.raises(
        InputError, match="must be a scikit-learn MLPClassifier, got Flipped, a subclass of it"
    ):
        from_sklearn(fitted(kind=Flipped))


def test_what_the_library_computes_otherwise_is_found(monkeypatch):
    from sklearn.neural_network import _multilayer_perceptron

    model = fitted()
    monkeypatch.setitem(_multilayer_perceptron.ACTIVATIONS, "relu", lambda x: np.tanh(x, out=x))
    with pytest.raises(
        InputError, match=r"model and what was taken over differ by up to [\d.e-]+ for inputs from 0"
    ):
        from_sklearn(model)


def set_first(setting, make):
    def change(model):
        getattr(model, setting)[0] = make(getattr(model, setting)[0])

    return change


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda m: setattr(m, "out_activation_", "identity"), "'softmax' as its out_activation_ .* got 'identity'"),
        (lambda m: setattr(m, "out_activation_", "logistic"), "several labels"),
        (lambda m: setattr(m, "out_activation_", None), "out_activation_ for 3 outputs, got None"),
        (lambda m: setattr(m, "activation", "swish"), "activation of the model must be one of identity, logistic"),
        (lambda m: setattr(m, "activation", ["relu"]), r"activation of the model must be one of .* got \['relu'\]"),
        (lambda m: setattr(m, "n_layers_", 2), "model "),
        (lambda m: setattr(m, "classes_", m.classes_[::-1]), "its predict says 'a' where classes_ says 'c'|says"),
        (lambda m: setattr(m, "classes_", np.array(["a", "b", "a"])), "must be distinct, but 'a' occurs 2 times"),
        (lambda m: setattr(m, "classes_", np.array(["a", "b"])), "class_names must name 3 outputs, got 2"),
        (lambda m: setattr(m, "classes_", np.array(["a", "\ud800", "c"])), "cannot be printed"),
        (lambda m: setattr(m, "classes_", np.array(["a", "<img src=x>", "c"])), "has an HTML tag"),
        (lambda m: setattr(m, "classes_", np.array(["a", "\x1b[2J", "c"])), "cannot be printed"),
        (lambda m: setattr(m, "coefs_", None), "coefs_ of the model must be a list of arrays, got None"),
        (lambda m: setattr(m, "coefs_", []), "coefs_ of the model must be a list"),
        (lambda m: m.intercepts_.pop(), "must be as many, got 3 and 2"),
        (lambda m: delattr(m, "intercepts_"), "has no intercepts_"),
        (lambda m: delattr(m, "classes_"), "has no classes_"),
        (set_first("coefs_", scipy.sparse.csr_matrix), r"coefs_\[0\] of the model must be .* got csr_matrix float64"),
        (set_first("coefs_", lambda w: w[0]), r"coefs_\[0\] of the model must have 2 axes, got shape \(7,\)"),
        (set_first("coefs_", lambda w: w.astype(complex)), "got ndarray complex128"),
        (set_first("coefs_", lambda w: w.astype(int)), "got ndarray int64"),
        (set_first("coefs_", np.ma.masked_array), "got MaskedArray"),
        (set_first("coefs_", lambda w: None), "got NoneType"),
        (set_first("intercepts_", lambda w: w[:, None]), "must have 1 axes"),
        (set_first("intercepts_", lambda w: w[:-1]), "bias must have shape"),
        (set_first("coefs_", lambda w: w[:, :-1]), "bias must have shape|takes"),
    ],
)  # fmt: skip
def test_a_classifier_that_was_changed_is_refused(change, match):
    model = fitted()
    change(model)
    with pytest.raises(InputError, match=match):
        from_sklearn(model)


@pytest.mark.parametrize("names", [("a", "b"), ("a", "b", "c")])
def test_an_activation_that_was_changed_is_that_of_the_probabilities(names):
    model = fitted(names)
    model.activation = "tanh"
    np.testing.assert_allclose(from_sklearn(model).outputs(X), model.predict_proba(X), rtol=1e-10)


def test_class_names_of_numbers_and_comparisons_are_names():
    assert from_sklearn(fitted(("<=50K", ">50K"))).class_names == ("<=50K", ">50K")


@pytest.mark.parametrize("shape", [12, "12", (), (3.0, 4), (True, 12), (3, -4), ((3,), 4), object()])
def test_an_input_shape_that_is_none_is_refused(shape):
    with pytest.raises(InputError, match="input_shape must be a tuple of positive integers"):
        from_sklearn(fitted(), shape)


def test_a_fit_to_a_table_warns_of_nothing():
    model = fitted()
    model.feature_names_in_ = np.array([f"column {k}" for k in range(12)], dtype=object)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        from_sklearn(model)


def test_imports_leave_the_global_random_numbers_alone():
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    from_sklearn(fitted())
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002


def test_wrappers_of_the_library_itself_are_no_change():
    assert _untouched.changed_method(fitted(), _sklearn.METHODS) is None
