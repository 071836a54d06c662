"""`NetworkClassifier` is a classifier like any other of scikit-learn, and `fit_many` the same as one after the other."""

import json
import os
import pickle
import subprocess
import sys
import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from scipy.special import expit, softmax
from sklearn.base import clone, is_classifier
from sklearn.datasets import load_breast_cancer, load_iris, load_wine
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.model_selection import GridSearchCV, ParameterGrid, cross_val_score, permutation_test_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import probe
from probe import InputError, NetworkClassifier, fit_many

X, Y = load_iris(return_X_y=True)
X = StandardScaler().fit_transform(X)
NAMES = np.array(["virginica", "setosa", "a b"])[Y]
WEIGHTS = np.random.default_rng(0).integers(0, 4, len(X)).astype(float)

QUICK = {"hidden": (5,), "epochs": 3, "batch_size": 20, "random_state": 0}


def quick(**more):
    return NetworkClassifier(**QUICK | more)


def alike(one, other, tolerance=1e-9):
    """Compare two fitted classifiers."""
    np.testing.assert_array_equal(one.classes_, other.classes_)
    np.testing.assert_allclose(one.predict_proba(X), other.predict_proba(X), rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(one.history_.cost, other.history_.cost, rtol=tolerance)


# What scikit-learn demands.


def test_it_passes_all_checks_of_scikit_learn_and_none_is_skipped():
    """In a process of its own: SciPy reads the variable, without which one check is skipped, when it is imported."""
    program = """
import json
from collections import Counter
from sklearn.utils.estimator_checks import check_estimator
import probe
done = check_estimator(probe.NetworkClassifier(), on_skip=None)
print(json.dumps(Counter(check["status"] for check in done)))
"""
    environment = os.environ | {"SCIPY_ARRAY_API": "1"}
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, env=environment
    )
    assert done.returncode == 0, done.stderr
    statuses = json.loads(done.stdout)
    assert statuses.keys() == {"passed"} and statuses["passed"] > 40


@parametrize_with_checks(
    [
        NetworkClassifier(output="sigmoid", cost="quadratic", hidden=(10,), learning_rate=3.0),
        NetworkClassifier(activation="relu", optimizer="nesterov", learning_rate=0.05, weight_decay=1e-4),
        NetworkClassifier(hidden=(), step_epochs=30, schedule="step"),
    ]
)
def test_other_settings_pass_them_too(estimator, check):
    check(estimator)


def test_it_is_a_classifier_with_parameters_named_as_those_of_networks_and_training():
    names = set(NetworkClassifier().get_params())
    ours = set(probe.MLP.__dataclass_fields__) | set(probe.TrainingConfig.__dataclass_fields__) - {
        "dtype",
        "buffer",
    }
    assert is_classifier(NetworkClassifier())
    assert names == ours | {"random_state", "warm_start"}
    changed = clone(NetworkClassifier(hidden=[3]).set_params(epochs=7))
    assert (changed.hidden, changed.epochs) == ([3], 7)
    assert "epochs" in changed._repr_html_() and repr(changed) == "NetworkClassifier(epochs=7, hidden=[3])"


# Where scikit-learn takes a classifier.


def test_a_grid_search_over_a_pipeline_with_string_labels_that_are_not_sorted():
    model = make_pipeline(StandardScaler(), NetworkClassifier(random_state=0))
    grid = {"networkclassifier__learning_rate": [0.001, 1.0], "networkclassifier__hidden": [(4,), (16,)]}
    search = GridSearchCV(model, grid, cv=3).fit(X * 100 + 7, NAMES)
    assert search.best_params_["networkclassifier__learning_rate"] == 1.0
    assert search.best_score_ > 0.9
    assert list(search.classes_) == ["a b", "setosa", "virginica"]
    assert search.best_estimator_[-1].network_.class_names == ("a b", "setosa", "virginica")
    assert set(search.predict(X * 100 + 7)) == set(NAMES)


def test_cross_validation_and_a_permutation_test_tell_labels_from_chance():
    model = NetworkClassifier(hidden=(8,), random_state=0)
    assert cross_val_score(model, X, NAMES, cv=3).mean() > 0.9
    score, permuted, p_value = permutation_test_score(model, X, Y, cv=3, n_permutations=19, random_state=0)
    assert score > 0.9 and permuted.mean() < 0.5 and p_value == 0.05


def test_two_classes_have_one_decision_value_that_orders_them():
    data, labels = load_breast_cancer(return_X_y=True)
    model = make_pipeline(StandardScaler(), NetworkClassifier(random_state=0)).fit(data, labels)
    decision, proba = model.decision_function(data), model.predict_proba(data)
    np.testing.assert_array_equal(decision > 0, model.predict(data) == 1)
    np.testing.assert_allclose(proba[:, 1], 1 / (1 + np.exp(-decision)), rtol=1e-9, atol=1e-12)
    assert roc_auc_score(labels, decision) > 0.99


@pytest.mark.parametrize("output", ["softmax", "sigmoid"])
def test_probabilities_sum_to_one_and_keep_the_order_of_the_network_s(output):
    model = quick(output=output).fit(X, Y)
    ours, theirs = model.predict_proba(X), model.network_.predict_proba(X)
    np.testing.assert_allclose(ours.sum(axis=1), 1)
    np.testing.assert_allclose(ours, theirs / theirs.sum(axis=1, keepdims=True), rtol=1e-9)


@pytest.mark.parametrize("kind", [sparse.csr_array, sparse.csc_matrix, sparse.coo_array])
def test_sparse_inputs_give_what_dense_ones_do(kind):
    positive = MinMaxScaler().fit_transform(X)
    dense, thin = quick().fit(positive, Y), quick().fit(kind(positive), Y)
    np.testing.assert_array_equal(dense.predict_proba(positive), thin.predict_proba(kind(positive)))


@pytest.mark.parametrize("n_classes", [2, 3])
def test_of_sigmoid_outputs_too_the_probability_follows_from_the_decision_function(n_classes):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(200, 4)), rng.integers(0, n_classes, 200)
    model = NetworkClassifier(hidden=(6,), output="sigmoid", cost="quadratic", epochs=5, random_state=0).fit(
        x, y
    )
    far = rng.normal(scale=30, size=(300, 4))
    decision, proba = model.decision_function(far), model.predict_proba(far)
    if n_classes == 2:
        np.testing.assert_allclose(proba[:, 1], expit(decision), rtol=1e-12)
    else:
        np.testing.assert_allclose(proba, softmax(decision, axis=1), rtol=1e-12)
    outputs = expit(model.network_.logits(far.astype("f4")).astype("f8"))
    np.testing.assert_allclose(proba, outputs / outputs.sum(axis=1, keepdims=True), rtol=1e-4)


def test_names_of_columns_are_kept_and_held_to():
    table = pd.DataFrame(X, columns=list("abcd"))
    model = quick().fit(table, Y)
    assert list(model.feature_names_in_) == list("abcd")
    with pytest.raises(ValueError, match="feature names should match"):
        model.predict(table[list("dcba")])


def test_a_fitted_one_goes_through_a_pickle_and_goes_on():
    model = quick().fit(X, Y)
    alike(pickle.loads(pickle.dumps(model)).partial_fit(X, Y), model.partial_fit(X, Y))


def test_the_type_of_the_inputs_is_that_of_the_training():
    assert quick().fit(X.astype(np.float32), Y).network_.dtype == np.float32
    assert (
        quick().fit(X, Y).network_.dtype == quick().fit((X * 10).astype(int), Y).network_.dtype == np.float64
    )


# The network, and what was recorded.


def test_every_analysis_works_on_the_network():
    split = probe.load_dataset("digits")
    rows = split.train.images.reshape(len(split.train), -1)
    model = NetworkClassifier(random_state=0).fit(rows, split.train.labels)
    network = model.network_.with_input_shape((8, 8))
    assert network.class_names == split.train.class_names
    test = split.test.images.reshape(len(split.test), -1)
    np.testing.assert_array_equal(network.predict(split.test.images), model.predict(test))
    assert model.score(test, split.test.labels) > 0.85
    assert probe.weight_images(network).images.shape == (16, 8, 8)
    assert probe.noise_confidence(network, split, n_images=50).conditions[0].n_images > 0


def test_the_history_is_that_of_the_weighted_training_data():
    model = quick().fit(X, Y, WEIGHTS)
    assert model.n_iter_ == model.history_.n_epochs == 3
    expected = log_loss(Y, model.predict_proba(X), sample_weight=WEIGHTS)
    assert model.history_.cost[-1] == pytest.approx(expected)
    assert model.history_.train_accuracy[-1] == pytest.approx(model.score(X, Y, WEIGHTS))
    assert np.isnan(model.history_.test_accuracy).all()


def test_a_classifier_that_has_fitted_everything_stops():
    model = NetworkClassifier(epochs=500, stop="fitted", until=0.9, random_state=0).fit(X, Y)
    assert model.n_iter_ == model.history_.n_epochs < 500
    assert (model.history_.train_accuracy >= 0.9).tolist() == [False] * (model.n_iter_ - 1) + [True]


def test_one_that_diverges_warns_and_keeps_the_last_network_with_numbers():
    with pytest.warns(
        ConvergenceWarning, match=r"diverged in epoch 1, .*; scale the inputs, .* learning_rate=1e\+06"
    ):
        model = quick(activation="relu", learning_rate=1e6).fit((X * 1e20).astype(np.float32), Y)
    assert np.isfinite(model.predict_proba(X)).all()


def test_one_that_learned_nothing_of_large_inputs_says_so():
    wine = load_wine(return_X_y=True)
    with pytest.warns(
        ConvergenceWarning, match="is right as often, and inputs reach 1.68e\\+03; scale the inputs"
    ):
        NetworkClassifier(random_state=0).fit(*wine)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        NetworkClassifier(random_state=0, learning_rate=1e-6).fit(X, Y)
        make_pipeline(StandardScaler(), NetworkClassifier(random_state=0)).fit(*wine)
        quick().partial_fit(X[:50], Y[:50], classes=[0, 1, 2])


# Going on.


def test_passes_over_the_data_one_by_one_are_the_same_as_many():
    whole = quick(epochs=4, schedule="constant").fit(X, Y)
    begun = quick(schedule="constant").partial_fit(X, Y, classes=[2, 0, 1])
    for _ in range(3):
        begun.partial_fit(X, Y)
    alike(whole, begun)
    again = quick(epochs=2, schedule="constant", warm_start=True).fit(X, Y)
    alike(whole, again.fit(X, Y))
    assert not np.allclose(
        whole.predict_proba(X), quick(epochs=2, schedule="constant").fit(X, Y).fit(X, Y).predict_proba(X)
    )


def test_partial_fit_needs_the_classes_once_and_need_not_see_them_all():
    with pytest.raises(ValueError, match="classes must be passed on the first call"):
        quick().partial_fit(X, Y)
    model = quick().partial_fit(X[:60], NAMES[:60], classes=np.unique(NAMES))
    assert model.predict_proba(X).shape == (150, 3)
    with pytest.raises(InputError, match=r"y must hold the classes that came before, \['a b', .*, got other"):
        model.partial_fit(X[:1], ["other"])


def test_going_on_with_other_layers_is_refused():
    model = quick(warm_start=True).fit(X, Y)
    for change in ({"hidden": (6,)}, {"activation": "tanh"}, {"output": "sigmoid"}):
        with pytest.raises(
            InputError, match=r"must be those of the network that is there, .*; clone the estimator"
        ):
            pickle.loads(pickle.dumps(model)).set_params(**change).fit(X, Y)


# Weights of samples.


def test_weights_of_zero_leave_samples_out_and_equal_ones_say_nothing():
    counts = WEIGHTS > 0
    alike(quick().fit(X, Y, counts.astype(float)), quick().fit(X[counts], Y[counts]))
    alike(quick().fit(X, Y, np.full(len(X), 0.2)), quick().fit(X, Y))


def test_a_whole_weight_is_a_sample_many_times_where_a_minibatch_holds_all():
    many = WEIGHTS.astype(int)
    repeated = quick(batch_size=1000).fit(X.repeat(many, axis=0), Y.repeat(many))
    alike(quick(batch_size=1000).fit(X, Y, WEIGHTS), repeated)
    alike(quick(batch_size=1000).fit(X, Y, WEIGHTS / 7), repeated)


def test_in_minibatches_weights_move_the_classes_nearly_as_repetition_does():
    """Of a network without hidden layers the cost has one minimum, which says what the weights mean."""
    more = np.where(Y == 1, 5, 1)
    kind = quick(hidden=(), epochs=300, learning_rate=0.5, weight_decay=0.01)
    plain, weighted = kind.fit(X, Y).predict_proba(X), clone(kind).fit(X, Y, more).predict_proba(X)
    repeated = clone(kind).fit(X.repeat(more, axis=0), Y.repeat(more)).predict_proba(X)
    assert np.abs(weighted - repeated).mean() < 0.01 < 0.05 < np.abs(weighted - plain).mean()


# What is refused.


@pytest.mark.parametrize(
    ("change", "labels", "weights", "message"),
    [
        ({}, np.zeros(150), None, "y must hold at least 2 classes, got one class: 0"),
        ({}, np.where(Y == 0, "<b>", "b"), None, "classes in y must be plain text, but the name of class 0"),
        ({}, Y, -WEIGHTS, "the smallest sample_weight must be a finite number at least 0, got -3"),
        ({}, Y, 0 * WEIGHTS, "sample_weight must have a weight above zero, got zeros only"),
        ({}, Y, WEIGHTS[1:], r"sample_weight must have shape \(150,\), got \(149,\)"),
        ({"hidden": 5}, Y, None, r"hidden must be a sequence of widths such as \(16, 16\), got 5"),
        ({"epochs": 0}, Y, None, "epochs must be an integer of at least 1, got 0"),
        ({"optimizer": "adma"}, Y, None, r"optimizer must be one of .* \(did you mean 'adam'\?\)"),
    ],
)
def test_what_cannot_be_learned_from_is_refused(change, labels, weights, message):
    with pytest.raises(InputError, match=message):
        quick(**change).fit(X, labels, weights)


def test_nothing_is_predicted_before_the_fit():
    for method in ("predict", "predict_proba", "decision_function"):
        with pytest.raises(NotFittedError):
            getattr(NetworkClassifier(), method)(X)


# Many at once.

MEMBERS = st.fixed_dictionaries(
    {
        "hidden": st.sampled_from([(5,), (3, 4)]),
        "learning_rate": st.sampled_from([0.1, 0.5, 1.0]),
        "random_state": st.sampled_from([0, 1]),
        "batch_size": st.sampled_from([40, 150]),
        "optimizer": st.sampled_from(["sgd", "momentum"]),
        "epochs": st.sampled_from([2, 3]),
    }
)


@given(st.lists(MEMBERS, min_size=1, max_size=6), st.booleans(), st.booleans())
@settings(max_examples=25, deadline=None, derandomize=True)
def test_many_are_the_same_as_each_by_itself(members, labels_differ, are_weighted):
    estimators = [NetworkClassifier(**member) for member in members]
    rng = np.random.default_rng(0)
    ys = [rng.permutation(NAMES) if labels_differ else NAMES for _ in members]
    weights = WEIGHTS if are_weighted else None
    fitted = fit_many(estimators, X, ys if labels_differ else NAMES, weights)
    for estimator, labels, one in zip(estimators, ys, fitted, strict=True):
        assert not hasattr(estimator, "network_")
        alike(one, clone(estimator).fit(X, labels, weights), tolerance=1e-7)
        assert one.get_params() == estimator.get_params()


def test_a_grid_of_many_is_the_grid_of_a_search():
    grid = {"learning_rate": [0.01, 1.0], "hidden": [(4,), (8,)], "random_state": [0]}
    train, test = np.arange(0, 150, 2), np.arange(1, 150, 2)
    search = GridSearchCV(NetworkClassifier(), grid, cv=[(train, test)], refit=False).fit(X, Y)
    models = fit_many([NetworkClassifier(**point) for point in ParameterGrid(grid)], X[train], Y[train])
    scores = [model.score(X[test], Y[test]) for model in models]
    np.testing.assert_allclose(scores, search.cv_results_["mean_test_score"])


def test_those_without_a_seed_differ_and_share_the_order():
    from probe.estimator import _fits

    shards, train_shards = [], _fits.train_shards
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            _fits,
            "train_shards",
            lambda found, *more, **rest: shards.append(found) or train_shards(found, *more, **rest),
        )
        one, other, *_ = fit_many([quick(random_state=None)] * 20, X, Y)
    assert [len(shard.start) for shard in shards[0]] == [16, 4]
    assert not np.allclose(one.network_.layers[0].kernel, other.network_.layers[0].kernel)


def test_sparse_tables_with_names_and_members_that_end_early_are_the_same_too():
    table = pd.DataFrame(MinMaxScaler().fit_transform(X), columns=list("abcd"))
    members = [quick(epochs=200, learning_rate=rate, stop="fitted", until=0.9) for rate in (0.01, 1.0)]
    slow, fast = fit_many(members, table, Y)
    assert fast.n_iter_ < slow.n_iter_ == 200
    assert fast.n_iter_ == clone(members[1]).fit(table, Y).n_iter_
    assert list(fast.feature_names_in_) == list(slow.feature_names_in_) == list("abcd")
    thin = fit_many(members, sparse.csr_array(table), Y)[1]
    np.testing.assert_array_equal(
        thin.network_.logits(table.to_numpy()), fast.network_.logits(table.to_numpy())
    )


@pytest.mark.parametrize(
    ("estimators", "labels", "message"),
    [
        ([], Y, "estimators must hold at least one NetworkClassifier"),
        ([quick(), 3], Y, "estimators must be a sequence of values, each a NetworkClassifier"),
        ([quick()], [Y, Y], "y must have a row for each of 1 estimators, got 2"),
        ([quick(), quick(epochs=0)], Y, "epochs must be an integer of at least 1, got 0"),
        ([quick()], Y[1:], "inconsistent numbers of samples"),
    ],
)
def test_what_cannot_be_fitted_together_is_refused(estimators, labels, message):
    with pytest.raises(InputError, match=message):
        fit_many(estimators, X, labels)
