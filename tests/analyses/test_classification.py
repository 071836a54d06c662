"""What a network takes for what: every number against scikit-learn, and what is kept against the network."""

import numpy as np
import pytest
from scipy.special import expit, softmax
from scipy.stats import binomtest
from sklearn.metrics import (
    confusion_matrix,
    log_loss,
    precision_recall_fscore_support,
    top_k_accuracy_score,
)

import probe
from probe.layers import Dense, Flatten
from probe.network import Network


def split_of(images, labels, names):
    data = probe.Dataset(images.astype("f4"), np.asarray(labels, np.int64), names)
    return probe.Split(data, data, "made")


@pytest.fixture(scope="module")
def found(trained, digits):
    return probe.classification(trained, digits)


def test_numbers_of_classes_are_those_of_scikit_learn(found, trained, digits):
    labels, named = digits.test.labels, trained.predict(digits.test.images)
    np.testing.assert_array_equal(found.confusion, confusion_matrix(labels, named, labels=range(10)))
    precision, recall, f1, support = precision_recall_fscore_support(labels, named, zero_division=np.nan)
    for ours, theirs in ((found.precision, precision), (found.recall, recall), (found.f1, f1)):
        np.testing.assert_allclose(ours, theirs)
    np.testing.assert_array_equal(found.columns()["n_images"], support)
    interval = binomtest(int((labels == named).sum()), len(labels)).proportion_ci(method="exact")
    assert (found.accuracy.low, found.accuracy.high) == pytest.approx((interval.low, interval.high))
    outputs = softmax(trained.logits(digits.test.images).astype(float), axis=1)
    assert found.log_loss == pytest.approx(log_loss(labels, outputs))
    assert found.brier_score == pytest.approx(((outputs - np.eye(10)[labels]) ** 2).sum(axis=1).mean())
    assert found.top_5_accuracy == pytest.approx(top_k_accuracy_score(labels, outputs, k=5))


def test_the_images_that_are_kept_are_the_surest_mistakes_and_their_kin(found, trained, digits):
    outputs = softmax(trained.logits(digits.test.images).astype(float), axis=1)
    confidences, named = outputs.max(axis=1), outputs.argmax(axis=1)
    is_wrong = named != digits.test.labels
    assert (
        found.n_wrong == is_wrong.sum() and found.n_sure_and_wrong == (is_wrong & (confidences >= 0.9)).sum()
    )
    for kept, among, best in (
        (found.wrong, confidences[is_wrong], -1),
        (found.surest, confidences[~is_wrong], -1),
        (found.least_sure, confidences, 1),
    ):
        expected = np.sort(among)[::best][: len(kept.labels)]
        np.testing.assert_allclose(kept.confidences, expected, rtol=1e-5)
        np.testing.assert_array_equal(kept.images, digits.test.images[kept.indices])
        np.testing.assert_array_equal(kept.labels, digits.test.labels[kept.indices])
        np.testing.assert_array_equal(kept.predictions, named[kept.indices])
    label, other, n = found.most_confused[0]
    errors = found.confusion - np.diag(np.diag(found.confusion))
    assert n == errors.max() == errors[int(label), int(other)]


def test_bins_are_those_of_the_definition(found, trained, digits):
    outputs = softmax(trained.logits(digits.test.images).astype(float), axis=1)
    confidences = outputs.max(axis=1)
    hits = outputs.argmax(axis=1) == digits.test.labels
    calibration, error = found.calibration, 0.0
    for k, (low, high) in enumerate(zip(np.arange(15) / 15, np.arange(1, 16) / 15, strict=True)):
        inside = (confidences >= low) & ((confidences < high) | (k == 14))
        assert calibration.counts[k] == inside.sum()
        if not inside.any():
            assert np.isnan([calibration.confidences[k], calibration.accuracies[k], calibration.low[k]]).all()
            continue
        assert calibration.confidences[k] == pytest.approx(confidences[inside].mean())
        interval = binomtest(int(hits[inside].sum()), int(inside.sum())).proportion_ci(method="exact")
        assert (calibration.low[k], calibration.high[k]) == pytest.approx((interval.low, interval.high))
        error += inside.mean() * abs(hits[inside].mean() - confidences[inside].mean())
    assert calibration.error == pytest.approx(error)


@pytest.mark.parametrize("shape", [(4, 5), (4, 5, 3)])
@pytest.mark.parametrize("kind", ["one unit", "sigmoid", "linear"])
def test_every_kind_of_output_and_of_image(shape, kind):
    rng = np.random.default_rng(0)
    images, labels = rng.random((200, *shape)), rng.integers(0, 2, 200)
    n_in, n_out = int(np.prod(shape)), 1 if kind == "one unit" else 2
    kernel = rng.normal(size=(n_in, n_out)).astype("f4")
    output = Dense("output", kernel, None, "sigmoid" if kind == "one unit" else kind)
    network = Network((Flatten("flatten"), output), shape, ("cat", "dog"))
    z = images.reshape(200, -1).astype("f4") @ kernel
    outputs = {
        "one unit": lambda: np.hstack([1 - expit(z), expit(z)]),
        "sigmoid": lambda: expit(z),
        "linear": lambda: softmax(z, axis=1),
    }[kind]()
    with pytest.warns(probe.ProbeWarning, match="near chance"):
        found = probe.classification(network, split_of(images, labels, ("cat", "dog")))
    np.testing.assert_array_equal(found.confusion, confusion_matrix(labels, outputs.argmax(axis=1)))
    np.testing.assert_allclose(found.least_sure.confidences[0], outputs.max(axis=1).min(), rtol=1e-4)
    shares = outputs / outputs.sum(axis=1, keepdims=True)
    assert found.log_loss == pytest.approx(log_loss(labels, shares.astype(float)), rel=1e-4)
    assert found.wrong.images.shape[1:] == shape and np.isnan(found.top_5_accuracy)
    # Answers that have nothing to do with the images.
    assert found.chance == pytest.approx(0.5, abs=0.05)


def test_confidence_that_rounds_to_one_is_still_put_in_order():
    images = np.linspace(0.1, 1, 40).reshape(40, 1, 1)
    kernel = np.array([[-200.0, 200.0]], "f4")
    network = Network((Flatten("flatten"), Dense("output", kernel, None, "softmax")), (1, 1), ("a", "b"))
    found = probe.classification(network, split_of(images, np.ones(40), ("a", "b")))
    assert found.surest.indices.tolist() == list(range(39, 29, -1))
    assert found.n_wrong == 0 and len(found.wrong.images) == 0 and found.most_confused == ()
    assert np.isnan(found.recall[0]) and found.recall[1] == 1
    assert set(found.plot().axes[0].get_title(loc="left").split()) == {"The", "least", "sure", "answers"}


def test_some_of_the_images_are_drawn_at_random(trained, digits):
    found = [probe.classification(trained, digits, n_images=50, seed=seed) for seed in (0, 0, 1)]
    assert [one.n_images for one in found] == [50, 50, 50]
    np.testing.assert_array_equal(found[0].wrong.indices, found[1].wrong.indices)
    assert not np.array_equal(found[0].least_sure.indices, found[2].least_sure.indices)
    np.testing.assert_array_equal(found[0].surest.labels, digits.test.labels[found[0].surest.indices])
    with pytest.raises(probe.InputError, match="n_images must be an integer from 1 to 355, got 356"):
        probe.classification(trained, digits, n_images=356)


def test_its_summary_begins_with_the_accuracy_and_its_interval(found):
    assert found.summary().splitlines()[1] == f"accuracy: {found.accuracy:.2%;images}"
    assert f"brier_score: {found.brier_score:.6g}" in found.summary()
