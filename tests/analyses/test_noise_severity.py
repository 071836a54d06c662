"""From images to noise in steps: every number against scikit-learn or a definition."""

from dataclasses import replace

import numpy as np
import pytest
from recipes_of_tests import quick_controls
from scipy.special import logsumexp
from sklearn.metrics import roc_auc_score

import probe
from probe.analyses.noise import SCORES, THRESHOLDS, confidence_limit, noise_severity
from probe.analyses.noise.confidence import Reader, Scores, temperatures_of
from probe.analyses.noise.severity import _partly_shuffled
from probe.datasets import uniform_noise


@pytest.fixture(scope="module")
def controls(trained, digits):
    return quick_controls(trained, digits, 6, epochs=20)


@pytest.fixture(scope="module")
def found(trained, digits, controls):
    return noise_severity(trained, digits, controls=controls, n_images=300, seed=2)


def condition_images(digits, n_images=300):
    """Return the images of every condition, drawn as the analysis draws them for seed 2."""
    from probe.analyses.noise.severity import _conditions

    image_rng, step_rng, _ = np.random.default_rng(2).spawn(3)
    conditions = _conditions(digits, n_images, image_rng, step_rng)
    return {(family, severity): images for family, severity, images in conditions}


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


def test_groups_are_their_networks(found, controls, digits):
    images = condition_images(digits)["gaussian", 1.0]
    place = found.index("gaussian")
    groups = controls.trained, controls.untrained, controls.few_labels, controls.random_label
    assert found.groups == ("trained", "untrained", "few-labels", "random-label")
    for row, group in enumerate(groups):
        for k in (0, 5):
            confidence = group.network(k).predict_proba(images).max(axis=1)
            assert found.confidence[row, k, place] == pytest.approx(confidence.mean(), abs=1e-5)
            assert found.share_above[row, k, place, 1] == pytest.approx((confidence >= 0.9).mean(), abs=1e-9)


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
    assert found.limit.shape == (6, 500)
    directions = uniform_noise(500, (8, 8), rng=np.random.default_rng(2).spawn(3)[2])
    np.testing.assert_allclose(found.own_limit, confidence_limit(trained, directions).confidences)
    network = controls.trained.network(3)
    np.testing.assert_allclose(found.limit[3], confidence_limit(network, directions).confidences)


def test_verdicts_are_counts_of_directions_and_of_networks(found):
    by_key = {verdict.key: verdict for verdict in found.verdicts}
    assert set(by_key) == {"limit", "trained", "labels"}
    uniform = found.index("uniform")
    trained, untrained, few, random = found.confidence[:, :, uniform]
    assert by_key["trained"].statistic == (trained > untrained).mean()
    assert by_key["labels"].statistic == (few > random).mean()
    assert [by_key[key].subject for key in by_key] == ["network", "kind", "kind"]
    assert by_key["trained"].decision == "supported"
    n_sure = (found.share_above[:, :, uniform, 1] > 0.5).sum(axis=1)
    assert f"are {n_sure[0]} after training and {n_sure[1]} before" in by_key["trained"].sentence.replace(
        "\n", " "
    )
    far = by_key["limit"]
    assert (far.decision, far.statistic, far.interval.n) == ("refuted", 0, 500)
    assert f"{found.own_limit.mean():.3f} on average" in far.sentence
    assert far.agreement.decisions == ("refuted",) * 6
    assert not any(verdict.is_primary for verdict in found.verdicts)


def test_groups_are_summed_up_as_counts(found):
    for summary, share, auroc in zip(found.summaries, found.share_above, found.auroc, strict=True):
        uniform = found.index("uniform")
        assert summary.n_sure["uniform noise"] == (share[:, uniform, 1] > 0.5).sum()
        assert summary.n_tells == (auroc[:, uniform] > 0.5).sum()


def test_labels_are_compared_only_where_the_permuted_ones_were_learned(trained, digits, controls):
    weak = replace(controls, summary=replace(controls.summary, memorized=np.full(6, 0.12)))
    verdicts = noise_severity(trained, digits, controls=weak, n_images=50).verdicts
    assert [verdict.key for verdict in verdicts] == ["limit", "trained"]


def test_the_meaning_of_labels_is_supported_where_permuted_ones_make_doubtful(trained, digits, controls):
    doubtful = replace(controls, random_label=controls.untrained)
    verdicts = noise_severity(trained, digits, controls=doubtful, n_images=100).verdicts
    assert verdicts[-1].key == "labels"
    assert (verdicts[-1].decision, verdicts[-1].statistic) == ("supported", 1)


@pytest.mark.parametrize(
    ("activation", "scale", "decision"),
    [("relu", 1, "supported"), ("sigmoid", 1, "refuted"), ("sigmoid", 500, "supported")],
)
def test_confidence_goes_to_one_behind_rectifiers_and_not_behind_units_that_saturate(
    digits, activation, scale, decision
):
    network = probe.train(
        probe.MLP(hidden=(12,), activation=activation), digits, probe.TrainingConfig(epochs=5), seed=0
    ).network
    last = network.layers[-1]
    sharp = replace(last, kernel=last.kernel * scale, bias=last.bias * scale)
    network = replace(network, layers=(*network.layers[:-1], sharp))
    (verdict,) = noise_severity(network, digits, n_images=20).verdicts
    assert (verdict.key, verdict.decision) == ("limit", decision)


def test_training_that_changes_nothing_is_not_what_makes_sure(trained, digits, controls):
    still = replace(controls, trained=controls.untrained, untrained=controls.trained)
    verdict = next(
        v for v in noise_severity(trained, digits, controls=still, n_images=50).verdicts if v.key == "trained"
    )
    assert (verdict.decision, verdict.statistic) == ("refuted", 0)


def test_without_controls_there_are_only_the_networks_own_numbers(trained, digits):
    found = noise_severity(trained, digits, n_images=50)
    assert [verdict.key for verdict in found.verdicts] == ["limit"]
    assert found.groups == ()
    assert found.summaries == ()
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
