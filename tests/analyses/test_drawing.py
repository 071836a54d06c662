from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import pairwise_distances

import probe
from probe.analyses.drawing import drawing
from probe.layers import Dense, Flatten
from probe.network import Network


@pytest.fixture(scope="module")
def controls(trained, digits):
    return probe.control_networks(
        trained, digits, n_networks=7, config=probe.TrainingConfig(epochs=20, batch_size=20)
    )


@pytest.fixture(scope="module")
def found(trained, digits, controls):
    return drawing(trained, digits, controls=controls, restarts=2, steps=40)


def templates(split, sharpness=1.0):
    """Return a network whose classes' maximizers in the box are the lit pixels of the class means."""
    means = np.stack([split.train.images[split.train.labels == k].mean(axis=0) for k in range(10)])
    kernel = sharpness * (np.where(means > 0.35, 1.0, -1.0)).reshape(10, -1).T.astype(np.float32)
    layers = Flatten("flatten"), Dense("output", kernel, np.zeros(10, np.float32), "softmax")
    return Network(layers, split.train.image_shape)


def test_digits_are_plausible_and_recognized_and_noise_is_neither(found):
    real, means, noise, shuffled = (found.kind(name) for name in ("real", "class means", "noise", "shuffled"))
    assert real.plausible.mean() > 0.8
    assert real.agreement.min() > 0.85
    assert means.agreement.min() > 0.9
    for control in (noise, shuffled):
        assert control.plausible.mean() < 0.1
        assert control.agreement.max() < 0.3
    np.testing.assert_allclose(np.median(real.percentiles, axis=0), 0.5, atol=0.12)


def test_a_network_that_draws_templates_is_recognized_by_the_judges(digits):
    found = drawing(templates(digits), digits, restarts=1, steps=60)
    drawn = found.kind("optimized")
    assert set(np.unique(drawn.images)) <= {0.0, 1.0}
    assert drawn.agreement[:2].min() >= 0.8
    assert np.isnan(drawn.agreement[2])
    # Solid strokes vary less between neighbors than noise does.
    assert drawn.percentiles[:, 3].mean() < found.kind("noise").percentiles[:, 3].mean() - 0.2


def test_percentiles_are_shares_of_held_out_images(found, digits):
    """Few images, so all of them are references: distances by scikit-learn, counted by hand."""
    train, test = (d.images.reshape(len(d), -1) for d in (digits.train, digits.test))
    usual = pairwise_distances(test, train).min(axis=1)
    drawn = found.kind("optimized")
    mine = pairwise_distances(drawn.images.reshape(len(drawn.images), -1), train).min(axis=1)
    by_hand = (usual[None] < mine[:, None]).mean(axis=1)
    np.testing.assert_allclose(drawn.percentiles[:, 0], by_hand, atol=0.01)
    ink = (test.mean(axis=1)[None] < drawn.images.reshape(len(drawn.images), -1).mean(axis=1)[:, None]).mean(
        axis=1
    )
    np.testing.assert_allclose(drawn.percentiles[:, 2], ink, atol=0.01)


def test_the_nearest_image_is_the_nearest(found, digits):
    train = digits.train.images.reshape(len(digits.train), -1)
    best = found.kind("optimized").images[found.best_indices].reshape(10, -1)
    place = pairwise_distances(best, train).argmin(axis=1)
    np.testing.assert_array_equal(found.nearest.reshape(10, -1), train[place])
    np.testing.assert_array_equal(found.nearest_classes, digits.train.labels[place])


def test_the_best_are_those_of_the_highest_logit(found, trained):
    drawn = found.kind("optimized")
    logits = trained.logits(drawn.images)[np.arange(20), drawn.intended].reshape(10, 2)
    np.testing.assert_allclose(found.values, logits, rtol=1e-4)
    np.testing.assert_array_equal(found.best, logits.argmax(axis=1))


def test_other_networks_judge_by_most_votes(found, controls):
    real = found.kind("real")
    votes = np.stack([controls.trained.network(k).predict(real.images) for k in range(7)])
    by_hand = [np.bincount(seen, minlength=10).argmax() for seen in votes.T]
    np.testing.assert_array_equal(real.judged[2], by_hand)


def test_each_control_draws_for_itself_and_the_verdicts_are_over_controls(found, controls, digits):
    assert found.plausible_share.shape == found.recognized_share.shape == (7,)
    alone = drawing(controls.trained.network(3), digits, controls=controls, restarts=2, steps=40).kind(
        "optimized"
    )
    assert found.plausible_share[3] == pytest.approx(alone.plausible.mean())
    assert found.recognized_share[3] == pytest.approx(alone.agreement[:2].mean())
    draws, recognized = found.verdicts
    assert draws.statistic == pytest.approx(found.plausible_share.mean())
    assert recognized.interval.n == 7
    assert draws.decision == "supported"  # small sigmoid networks draw speckle


def test_networks_that_draw_refute_the_claim(digits, controls, monkeypatch):
    """Controls that are handed real digits instead of what they climb to."""
    chosen = np.stack([digits.test.images[digits.test.labels == k][:2] for k in range(10)])

    class Handed:
        images, values = chosen, np.zeros((10, 2), np.float32)

    monkeypatch.setattr("probe.analyses.drawing.analysis.ascend", lambda *args, **kwargs: Handed)
    few = replace(controls, trained=controls.trained)
    draws, recognized = drawing(controls.trained.network(0), digits, controls=few, restarts=2).verdicts
    assert draws.decision == "refuted"
    assert recognized.decision == "supported"


def test_without_controls_there_is_no_verdict_and_no_vote(trained, digits):
    found = drawing(trained, digits, restarts=1, steps=5)
    assert found.verdicts == ()
    assert (found.kind("optimized").judged[2] == -1).all()


def test_what_does_not_fit_is_refused(trained, small_digits):
    wrong = probe.Dataset(np.zeros((20, 6, 6), np.float32), np.arange(20) % 10, tuple("0123456789"))
    with pytest.raises(
        probe.InputError, match=r"takes inputs of shape \(8, 8\), but the images have shape \(6, 6\)"
    ):
        drawing(trained, probe.Split(wrong, wrong, "other"))
    with pytest.raises(probe.InputError, match="restarts must be"):
        drawing(trained, small_digits, restarts=0)
    with pytest.raises(probe.InputError, match="name must be one of optimized"):
        drawing(trained, small_digits, restarts=1, steps=1).kind("imagined")
