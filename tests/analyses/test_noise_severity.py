"""From images to noise in steps: every number against scikit-learn or a definition."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import logsumexp
from sklearn.metrics import roc_auc_score

import probe
from probe.analyses.noise import GROUPS, SCORES, THRESHOLDS, confidence_limit, noise_severity
from probe.analyses.noise.confidence import Reader, Scores, temperatures_of
from probe.analyses.noise.severity import _partly_shuffled


@pytest.fixture(scope="module")
def controls(trained, digits):
    return probe.control_networks(
        trained, digits, n_networks=6, config=probe.TrainingConfig(epochs=20, batch_size=20)
    )


@pytest.fixture(scope="module")
def found(trained, digits, controls):
    return noise_severity(trained, digits, controls=controls, n_images=300, seed=2)


def condition_images(digits, n_images=300):
    """Return the images of every condition, drawn as the analysis draws them for seed 2."""
    from probe.analyses.noise.severity import _conditions

    rng = np.random.default_rng(2).spawn(3)[0]
    return {(family, severity): images for family, severity, images in _conditions(digits, n_images, rng)}


def test_every_rung_is_what_it_says(digits):
    images = condition_images(digits)
    real, uniform = images["real", 0.0], images["uniform", 1.0]
    np.testing.assert_allclose(images["blend", 0.25], 0.75 * real + 0.25 * uniform, atol=1e-6)
    np.testing.assert_allclose(images["norm", 4.0], 4 * uniform, rtol=1e-6)
    for share in (0.25, 0.5, 0.75):
        moved = images["shuffle", share]
        np.testing.assert_array_equal(np.sort(moved.reshape(300, -1)), np.sort(real.reshape(300, -1)))
        assert (moved != real).reshape(300, -1).mean() <= share
    assert uniform.min() >= 0 and uniform.max() <= 1


def test_partial_shuffles_move_pixels_and_keep_their_channels_together():
    images = np.random.default_rng(0).random((5, 10, 10, 3)).astype(np.float32)
    moved = _partly_shuffled(images, 0.4, np.random.default_rng(1))
    same = (moved == images).all(axis=-1).reshape(5, -1).sum(axis=1)
    assert (same >= 60).all() and (same < 75).all()
    pixels = {tuple(pixel) for pixel in images[0].reshape(-1, 3)}
    assert {tuple(pixel) for pixel in moved[0].reshape(-1, 3)} == pixels


def test_scores_and_their_aurocs_are_those_of_scikit_learn(found, trained, digits):
    images = condition_images(digits)
    real = trained.logits(images["real", 0.0]).astype(np.float64)
    for family, severity in (("uniform", 1.0), ("shuffle", 0.5), ("norm", 16.0)):
        noise = trained.logits(images[family, severity]).astype(np.float64)
        logits = np.concatenate([real, noise])
        positive = np.repeat([1, 0], 300)
        place = found.index(family, severity)
        probabilities = np.exp(logits - logsumexp(logits, axis=1, keepdims=True))
        scores = probabilities.max(axis=1), logits.max(axis=1), logsumexp(logits, axis=1)
        for k in range(len(SCORES)):
            assert found.own_auroc[k, place] == pytest.approx(roc_auc_score(positive, scores[k]), abs=2e-4)
        confidence = scores[0][300:]
        assert found.own_confidence[place] == pytest.approx(confidence.mean(), abs=1e-5)
        for k, limit in enumerate(THRESHOLDS):
            assert found.own_share_above[place, k] == pytest.approx((confidence >= limit).mean(), abs=1e-9)


def test_stacked_networks_say_what_each_says_alone(controls, digits):
    x = digits.test.images[:40]
    for population in (controls.trained, controls.untrained):
        together = population.logits(x)
        for k in range(6):
            np.testing.assert_allclose(together[k].T, population.network(k).logits(x), rtol=1e-4, atol=1e-4)


def test_arms_are_their_networks(found, controls, digits):
    images = condition_images(digits)["gaussian", 1.0]
    place = found.index("gaussian")
    populations = controls.trained, controls.untrained, controls.random_label
    for group, population in zip((0, 2, 3), populations, strict=True):
        for k in (0, 5):
            confidence = population.network(k).predict_proba(images).max(axis=1)
            assert found.confidence[group, k, place] == pytest.approx(confidence.mean(), abs=1e-5)
    network, temperature = controls.trained.network(4), found.temperatures[4]
    logits = network.logits(images).astype(np.float64) / temperature
    scaled = np.exp(logits - logsumexp(logits, axis=1, keepdims=True)).max(axis=1)
    assert found.confidence[GROUPS.index("temperature-scaled"), 4, place] == pytest.approx(
        scaled.mean(), abs=1e-5
    )


def test_the_calibration_error_is_that_of_its_definition():
    rng = np.random.default_rng(0)
    logits, labels = rng.normal(size=(1, 500, 4)) * 3, rng.integers(0, 4, 500)
    reader = Reader(lambda x: logits[:, x].transpose(0, 2, 1), "softmax")
    found = reader.calibration_error(np.arange(500), labels)[0]
    p = np.exp(logits[0] - logsumexp(logits[0], axis=1, keepdims=True))
    confidence, right = p.max(axis=1), p.argmax(axis=1) == labels
    expected = 0.0
    for low in np.arange(15) / 15:
        inside = (confidence >= low) & (confidence < low + 1 / 15)
        if inside.any():
            expected += inside.mean() * abs(confidence[inside].mean() - right[inside].mean())
    assert found == pytest.approx(expected, abs=1e-9)


def test_the_temperature_is_the_one_that_logits_were_multiplied_by(trained, digits):
    layers = list(trained.layers)
    layers[-1] = replace(layers[-1], kernel=layers[-1].kernel * 5, bias=layers[-1].bias * 5)
    sure = replace(trained, layers=tuple(layers))
    plain, scaled = (noise_severity(network, digits, n_images=20) for network in (trained, sure))
    assert scaled.own_temperature == pytest.approx(5 * plain.own_temperature, rel=0.02)
    assert scaled.own_scaled_ece == pytest.approx(plain.own_scaled_ece, abs=0.005)
    assert scaled.own_ece > plain.own_scaled_ece


def test_scores_keep_apart_what_rounds_to_one():
    logits = np.array([[[40.0, 90.0], [0.0, 0.0], [0.0, 0.0]]], dtype=np.float32)
    found = Scores.of(logits, "softmax")
    np.testing.assert_array_equal(found.confidence, 1)
    np.testing.assert_allclose(found.log_odds, [[40 - np.log(2), 90 - np.log(2)]], rtol=1e-6)
    np.testing.assert_allclose(found.energy, [[40, 90]])


def test_classes_that_are_equally_likely_share_the_confidence():
    found = Scores.of(np.array([[[3.0], [3.0], [-np.inf]]]), "softmax")
    np.testing.assert_allclose(
        [found.confidence, found.log_odds, found.energy], [[[0.5]], [[0]], [[3 + np.log(2)]]]
    )


def test_sigmoid_outputs_have_the_temperature_of_their_own_cross_entropy():
    rng = np.random.default_rng(1)
    logits = rng.normal(size=(1, 3, 20_000))
    labels = np.zeros(20_000, dtype=np.int64)
    wanted = rng.random(20_000) < 1 / (1 + np.exp(-logits[0, 0]))
    # Class 0 is true as often as its sigmoid says; the others are never so sure that it matters.
    logits[0, 1:] = -50
    chosen = logits[:, :, wanted] * 4
    reader = Reader(lambda x: chosen[:, :, x], "sigmoid")
    temperature = temperatures_of(reader, np.arange(wanted.sum()), labels[wanted])[0]
    other = np.logaddexp(0, chosen[0] / temperature).sum(axis=0) - chosen[0, 0] / temperature
    for factor in (0.9, 1.1):
        worse = (
            np.logaddexp(0, chosen[0] / temperature / factor).sum(axis=0)
            - chosen[0, 0] / temperature / factor
        )
        assert worse.mean() > other.mean()


def test_the_limit_is_that_of_each_network(found, controls, trained):
    assert found.own_limit.shape == (500,)
    assert found.limit.shape == (6,)
    from probe.datasets import uniform_noise

    directions = uniform_noise(500, (8, 8), rng=np.random.default_rng(2).spawn(3)[2])
    assert found.own_limit.mean() == pytest.approx(confidence_limit(trained, directions).confidences.mean())
    network = controls.trained.network(3)
    assert found.limit[3] == pytest.approx(confidence_limit(network, directions).confidences.mean())


def test_verdicts_are_over_networks_and_say_their_numbers(found, controls):
    by_claim = {verdict.title: verdict for verdict in found.verdicts}
    assert len(by_claim) == len(found.verdicts) == 9
    assert all(verdict.interval.n == 6 for verdict in found.verdicts)
    confident = by_claim["Given uniform noise, the network confidently names a class"]
    assert confident.statistic == pytest.approx(found.share_above[0, :, found.index("uniform"), 1].mean())
    assert f"in this network {found.own_share_above[found.index('uniform'), 1]:.0%};" in confident.sentence
    far = by_claim["Far away from the data, confidence goes to 1"]
    assert f"of this network {found.own_limit.mean():.3f}." in far.sentence
    tells = by_claim["Its confidence tells noise from digits all the same"]
    places = [found.index(kind) for kind in ("uniform", "gaussian", "shuffled", "norm-matched")]
    assert tells.statistic == pytest.approx(found.auroc[0][:, places].mean())
    assert by_claim["Far away from the data, confidence goes to 1"].decision == "refuted"


@pytest.mark.parametrize(("memorized", "decision"), [(0.12, "inconclusive"), (0.9, "supported")])
def test_random_labels_are_a_control_only_where_they_were_learned(
    trained, digits, controls, memorized, decision
):
    other = replace(controls, random_label=controls.untrained, memorized=np.full(6, memorized))
    result = noise_severity(trained, digits, controls=other, n_images=100)
    verdict = next(v for v in result.verdicts if v.title.startswith("It is the meaning of the labels"))
    place = result.index("uniform")
    assert verdict.decision == decision
    assert ("hardly learned" in verdict.sentence) == (decision == "inconclusive")
    assert verdict.statistic == pytest.approx(
        (result.confidence[0] - result.confidence[3])[:, place].mean(), abs=1e-6
    )
    chance = max(np.bincount(digits.train.labels)) / len(digits.train)
    assert (
        f"They put out {memorized:.1%} of these labels; always naming the commonest gives {chance:.1%}."
        in (verdict.sentence)
    )


def test_networks_that_are_sure_of_everything_support_the_claims(trained, digits, controls):
    last = [w * 200 if place == 2 else w for place, w in enumerate(controls.trained.weights)]
    sure = replace(controls, trained=replace(controls.trained, weights=tuple(last)))
    verdicts = {
        v.title: v.decision for v in noise_severity(trained, digits, controls=sure, n_images=100).verdicts
    }
    assert verdicts["Given uniform noise, the network confidently names a class"] == "supported"
    assert verdicts["It is training that makes the network sure of noise"] == "supported"
    assert verdicts["Far away from the data, confidence goes to 1"] == "supported"


def test_without_controls_there_are_only_the_networks_own_numbers(trained, digits):
    found = noise_severity(trained, digits, n_images=50)
    assert found.verdicts == ()
    assert found.groups == ()
    assert np.isfinite(found.own_auroc).all()


def test_more_images_than_the_data_have_are_used_again(trained, small_digits):
    assert noise_severity(trained, small_digits, n_images=500).n_images == 500


def test_what_does_not_fit_is_refused(trained, digits, found):
    with pytest.raises(probe.InputError, match="n_images must be"):
        noise_severity(trained, digits, n_images=3)
    with pytest.raises(probe.InputError, match="family and severity must be one of real 0"):
        found.index("imagined")
    with pytest.raises(probe.InputError, match="the network has 5 classes, but 'digits' has 10"):
        layer = replace(
            trained.layers[-1], kernel=trained.layers[-1].kernel[:, :5], bias=trained.layers[-1].bias[:5]
        )
        noise_severity(probe.Network((*trained.layers[:-1], layer), (8, 8)), digits)
