import re
from dataclasses import replace

import numpy as np
import pytest
from recipes_of_tests import quick_controls
from scipy.special import expit, logsumexp, softmax
from sklearn.metrics import roc_auc_score

import probe
from probe._checks import InputError
from probe.analyses.noise import CONFIDENT, noise_severity, primary_estimates
from probe.analyses.noise.confidence import noise_images
from probe.layers import Conv2D, Dense, Flatten
from probe.training import reinitialized, train_network

NAMES = ("real", "uniform", "gaussian", "shuffled", "norm-matched")


@pytest.fixture(scope="module")
def found(trained, digits):
    return probe.noise_confidence(trained, digits, seed=0)


def images_of(split, n_images, seed=0):
    """Return the images of each kind, as the analysis draws them, and the test images among them."""
    return noise_images(split, n_images, np.random.default_rng(seed).spawn(1)[0])


def constant_network(logits, output="softmax"):
    bias = np.asarray(logits, np.float32)
    kernel = np.zeros((64, len(bias)), np.float32)
    return probe.Network((Flatten("flatten"), Dense("output", kernel, bias, output)), (8, 8))


def test_the_conditions_stand_in_their_order(found, digits):
    assert tuple(condition.name for condition in found.conditions) == NAMES
    assert [condition.n_images for condition in found.conditions] == [len(digits.test)] + [2000] * 4
    assert found.condition("shuffled") is found.conditions[3]
    assert found.class_names == digits.train.class_names


def test_the_figures_of_real_images_are_those_of_the_network(found, trained, digits):
    proba = trained.predict_proba(digits.test.images)
    correct = trained.predict(digits.test.images) == digits.test.labels
    real = found.condition("real")
    np.testing.assert_allclose(real.confidences, proba.max(axis=1), rtol=1e-5)
    assert found.accuracy == correct.mean()
    assert found.threshold == pytest.approx(np.median(proba.max(axis=1)[correct]))
    assert np.isnan(real.auroc)
    np.testing.assert_allclose(
        real.class_shares, np.bincount(proba.argmax(axis=1), minlength=10) / len(proba)
    )


@pytest.mark.parametrize("name", NAMES)
def test_shares_and_entropy_follow_from_the_outputs(found, name):
    condition = found.condition(name)
    shares = condition.class_shares
    assert condition.share_confident == (condition.confidences >= 0.9).mean()
    assert shares.shape == (10,)
    assert shares.sum() == pytest.approx(1)
    assert condition.entropy == pytest.approx(-sum(p * np.log2(p) for p in shares if p > 0))


@pytest.mark.parametrize("name", NAMES[1:])
def test_the_auroc_counts_pairs_of_a_real_and_another_image(found, name):
    real, other = found.condition("real").confidences, found.condition(name).confidences
    wins = (real[:, None] > other).mean() + 0.5 * (real[:, None] == other).mean()
    assert found.condition(name).auroc == pytest.approx(wins, abs=1e-12)
    truth = np.repeat([1, 0], [len(real), len(other)])
    assert found.condition(name).auroc == pytest.approx(roc_auc_score(truth, np.concatenate([real, other])))


def test_the_examples_are_of_their_kind(found, digits):
    assert found.examples.shape == (5, 10, 8, 8)
    assert found.examples.min() >= 0
    assert found.examples.max() <= 1
    real, shuffled, matched = (found.examples[k].reshape(10, -1) for k in (0, 3, 4))
    np.testing.assert_array_equal(found.examples[0], digits.test.images[:10])
    np.testing.assert_array_equal(np.sort(shuffled, axis=1), np.sort(real, axis=1))
    assert not np.array_equal(shuffled, real)
    np.testing.assert_allclose(np.linalg.norm(matched, axis=1), np.linalg.norm(real, axis=1), rtol=1e-5)
    assert found.examples[1].mean() == pytest.approx(0.5, abs=0.05)


def test_the_confidences_are_those_of_the_examples(found, trained):
    for k, condition in enumerate(found.conditions):
        proba = trained.predict_proba(found.examples[k]).max(axis=1)
        np.testing.assert_allclose(condition.confidences[:10], proba, rtol=1e-5)


def test_a_network_that_always_says_the_same_cannot_tell(digits):
    found = probe.noise_confidence(constant_network([0, 0, 0, 2] + [0] * 6), digits)
    expected = np.exp(2) / (np.exp(2) + 9)
    assert found.threshold == pytest.approx(expected, rel=1e-6)
    for condition in found.conditions[1:]:
        assert condition.auroc == 0.5
        assert condition.entropy == 0
        assert condition.share_confident == 0
        np.testing.assert_array_equal(condition.class_shares, np.eye(10)[3])
    assert found.accuracy == (digits.test.labels == 3).mean()


def test_predictions_are_the_networks_where_outputs_saturate(digits):
    # Both sigmoids are 1 in float32; the logits, 30 and 60, tell the classes apart.
    network = constant_network([30, 60] + [0] * 8, "sigmoid")
    found = probe.noise_confidence(network, digits)
    assert found.accuracy == (network.predict(digits.test.images) == digits.test.labels).mean()
    np.testing.assert_array_equal(found.condition("uniform").class_shares, np.eye(10)[1])


def test_fewer_images_are_drawn_from_all_of_them(trained, digits):
    found = probe.noise_confidence(trained, digits, n_images=7)
    shown = {image.tobytes() for image in found.examples[0]}
    places = [k for k, image in enumerate(digits.test.images) if image.tobytes() in shown]
    assert len(places) == 7
    assert places[-1] > 20
    proba = trained.predict_proba(digits.test.images[places])
    np.testing.assert_allclose(found.condition("real").confidences, proba.max(axis=1), rtol=1e-5)


def test_confidences_that_round_to_one_are_still_told_apart():
    rng = np.random.default_rng(0)
    images = np.zeros((400, 8, 8), np.float32)
    labels = np.arange(400) % 2
    images[labels == 0, :4] = images[labels == 1, 4:] = 1
    images *= rng.random((400, 1, 1), dtype=np.float32) * 0.5 + 0.5
    data = probe.Dataset(images, labels, ("upper", "lower"))
    side = np.repeat([[5, -5], [-5, 5]], 32, axis=0).astype(np.float32)
    layers = (Flatten("flatten"), Dense("output", side, np.zeros(2, np.float32), "softmax"))
    found = probe.noise_confidence(probe.Network(layers, (8, 8)), probe.Split(data, data, "halves"))
    assert found.threshold == 1.0
    assert found.condition("uniform").auroc > 0.99


def test_another_seed_draws_other_noise(trained, digits):
    one, other = (probe.noise_confidence(trained, digits, n_images=9, seed=seed) for seed in (0, 1))
    for k in range(5):
        assert not np.array_equal(one.examples[k], other.examples[k])


def test_a_network_that_is_never_right_has_no_threshold(digits):
    labels = digits.test.labels
    wrong = probe.Split(digits.train, digits.test.take(np.flatnonzero(labels != 3)), "no threes")
    with pytest.raises(InputError, match="the network classifies no test image right"):
        probe.noise_confidence(constant_network([0, 0, 0, 2] + [0] * 6), wrong)


@pytest.mark.parametrize("n_images", [0, 1_000_001, 1.0])
def test_a_number_of_images_that_there_is_not_is_refused(trained, digits, n_images):
    with pytest.raises(InputError, match=f"n_images must be an integer from 1 to 1000000, got {n_images}"):
        probe.noise_confidence(trained, digits, n_images=n_images)


def test_data_that_do_not_fit_the_network_are_refused(trained, digits):
    with pytest.raises(InputError, match="the network has 2 classes, but 'digits' has 10"):
        probe.noise_confidence(constant_network([0, 1]), digits)
    wide = probe.Dataset(np.zeros((10, 4, 16), np.float32), np.arange(10), digits.train.class_names)
    with pytest.raises(
        InputError, match=re.escape("inputs of shape (8, 8), but the images have shape (4, 16)")
    ):
        probe.noise_confidence(trained, probe.Split(wide, wide, "wide"))


@pytest.mark.parametrize("name", NAMES)
def test_the_share_confident_counts_what_is_at_or_above_each_threshold(found, name):
    condition = found.condition(name)
    expected = [(condition.confidences >= limit).mean() for limit in (0.5, 0.9, 0.99)]
    np.testing.assert_array_equal(condition.shares_confident, expected)


@pytest.mark.parametrize("output", ["softmax", "sigmoid"])
def test_every_score_is_held_against_real_images_by_its_own_definition(trained, digits, output):
    network = replace(
        trained, layers=(*trained.layers[:-1], replace(trained.layers[-1], activation_name=output))
    )
    found = probe.noise_confidence(network, digits, seed=0)
    noise = images_of(digits, 2000)[0]["uniform"]
    logits = np.concatenate([network.logits(x) for x in (digits.test.images, noise)]).astype(np.float64)
    truth = np.repeat([1, 0], [len(digits.test), len(noise)])
    probabilities = softmax(logits, axis=1) if output == "softmax" else expit(logits)
    scores = probabilities.max(axis=1), logits.max(axis=1), logsumexp(logits, axis=1)
    expected = [roc_auc_score(truth, score) for score in scores]
    condition = found.condition("uniform")
    np.testing.assert_allclose(condition.score_aurocs, expected, atol=1e-6)
    assert condition.score_aurocs[0] == condition.auroc
    assert np.isnan(found.condition("real").score_aurocs).all()


def test_the_interval_over_images_is_about_the_auroc(found):
    for condition in found.conditions[1:]:
        interval = condition.auroc_over_images
        assert interval.estimate == pytest.approx(condition.auroc)
        assert 0 < interval.low < condition.auroc < interval.high < 1
    assert found.condition("real").auroc_over_images is None


def test_a_network_made_too_sure_has_a_temperature_and_is_calibrated_by_it(trained, digits):
    last = trained.layers[-1]
    sure = replace(last, kernel=last.kernel * 6, bias=last.bias * 6)
    plain = probe.noise_confidence(trained, digits)
    found = probe.noise_confidence(replace(trained, layers=(*trained.layers[:-1], sure)), digits)
    assert found.temperature == pytest.approx(6 * plain.temperature, rel=0.02)
    assert found.scaled_calibration_error == pytest.approx(plain.scaled_calibration_error, abs=0.005)
    assert found.calibration_error > found.scaled_calibration_error


def test_a_constant_confidence_is_as_wrong_as_it_is_far_from_the_accuracy(digits):
    found = probe.noise_confidence(constant_network([np.log(9 * 9.0), *[0.0] * 9]), digits, seed=3)
    order = np.random.default_rng(3).spawn(2)[1].permutation(len(digits.test))
    half = digits.test.labels[np.array_split(order, 2)[1]]
    assert found.calibration_error == pytest.approx(0.9 - (half == 0).mean(), abs=1e-6)


def test_a_single_image_has_no_calibration(trained, digits):
    right = np.flatnonzero(trained.predict(digits.test.images) == digits.test.labels)[:1]
    found = probe.noise_confidence(trained, replace(digits, test=digits.test.take(right)))
    numbers = found.calibration_error, found.temperature, found.scaled_calibration_error, found.scaled_share
    assert np.isnan(numbers).all()
    assert next(each for each in found.verdicts if each.key == "detects").decision == "inconclusive"


def sharpened(network, factor):
    """Return the network with all logits multiplied."""
    last = network.layers[-1]
    sharp = replace(last, kernel=last.kernel * factor, bias=last.bias * factor)
    return replace(network, layers=(*network.layers[:-1], sharp))


def convolutional(digits):
    rng = np.random.default_rng(0)
    layers = (
        Conv2D(
            "conv", rng.normal(0, 0.4, (3, 3, 1, 6)).astype("f4"), np.zeros(6, "f4"), activation_name="relu"
        ),
        Flatten("flatten"),
        Dense("output", rng.normal(0, 0.1, (216, 10)).astype("f4"), np.zeros(10, "f4"), "softmax"),
    )
    start = probe.Network(layers, (8, 8, 1), digits.train.class_names)
    images = [data.images[..., None] for data in (digits.train, digits.test)]
    split = replace(
        digits,
        train=replace(digits.train, images=images[0]),
        test=replace(digits.test, images=images[1]),
    )
    config = probe.TrainingConfig(epochs=4, batch_size=20, learning_rate=3e-3, optimizer="adam")
    return train_network(start, split, config, rng=rng).network, split


def doubtful_of_noise(digits):
    """Return a network that learned to say of noise what it cannot know: each class as often as any other."""
    rng = np.random.default_rng(0)
    noise = rng.random((1000, 8, 8), dtype=np.float32)
    images = np.concatenate([digits.train.images, noise])
    labels = np.concatenate([digits.train.labels, rng.integers(10, size=1000)])
    split = replace(digits, train=probe.Dataset(images, labels, digits.train.class_names))
    config = probe.TrainingConfig(epochs=10, batch_size=20, learning_rate=0.1)
    return probe.train(probe.MLP(hidden=(32,), activation="relu"), split, config, seed=0).network


def verdicts_of(network, split):
    return {verdict.key: verdict for verdict in probe.noise_confidence(network, split).verdicts}


def test_an_untrained_network_is_not_sure_of_noise(trained, digits):
    untrained = reinitialized(trained, rng=np.random.default_rng(1))
    verdict = verdicts_of(untrained, digits)["noise"]
    assert (verdict.decision, verdict.statistic) == ("refuted", 0)
    assert verdict.title == "Given pure noise, the network confidently names a digit"


def test_a_network_made_sure_of_noise_is_and_one_made_doubtful_is_not(trained, digits):
    sure, doubtful = (
        verdicts_of(sharpened(trained, 100), digits),
        verdicts_of(sharpened(trained, 0.05), digits),
    )
    for key in ("noise", "noise/gaussian", "noise/shuffled", "noise/norm-matched"):
        assert sure[key].decision == "supported"
        assert (doubtful[key].decision, doubtful[key].statistic) == ("refuted", 0)
    # Doubt of everything does not tell noise from digits any worse.
    assert doubtful["detects"].statistic == pytest.approx(sure["detects"].statistic, abs=0.1)


def test_a_network_that_learned_to_doubt_noise_is_not_sure_of_it_and_tells_it_from_digits(digits):
    verdicts = verdicts_of(doubtful_of_noise(digits), digits)
    assert (verdicts["noise"].decision, verdicts["detects"].decision) == ("refuted", "supported")
    assert verdicts["noise"].statistic < 0.05
    assert verdicts["detects"].statistic > 0.9


def test_a_convolutional_network_is_judged_by_what_it_says_itself(digits):
    network, split = convolutional(digits)
    found = probe.noise_confidence(network, split)
    noise = images_of(split, 2000)[0]["uniform"]
    share = (network.predict_proba(noise).max(axis=1) >= 0.9).mean()
    assert found.accuracy > 0.85
    verdict = found.verdicts[0]
    assert verdict.statistic == pytest.approx(share)
    assert verdict.decision == ("supported" if share > 0.5 else "refuted")


def surer_of_ink(digits):
    """Return a network that is the surer of "3" the more ink there is, of which noise has more than digits."""
    means = np.stack([digits.train.images[digits.train.labels == k].mean(axis=0) for k in range(10)])
    kernel, bias = 0.1 * (means - means.mean(axis=0)).reshape(10, 64).T, np.zeros(10)
    kernel[:, 3] += 0.8
    bias[3] = -0.8 * 26
    layers = Flatten("flatten"), Dense("output", kernel.astype("f4"), bias.astype("f4"), "softmax")
    return probe.Network(layers, (8, 8), digits.train.class_names)


def test_a_network_surer_of_noise_than_of_digits_is_told_that_it_cannot_tell_them(digits):
    verdict = verdicts_of(surer_of_ink(digits), digits)["detects"]
    assert verdict.title == "Its confidence tells noise from digits all the same"
    assert verdict.statistic < 0.2
    assert verdict.decision == "refuted"
    assert "surer of uniform noise than of real digits" in verdict.sentence


def test_the_video_is_quoted_once(found):
    said = [verdict.key for verdict in found.verdicts if verdict.is_primary]
    assert said == ["noise"]
    assert {verdict.subject for verdict in found.verdicts} == {"network"}


def test_controls_stand_beside_the_network_and_do_not_decide(trained, digits):
    controls = quick_controls(trained, digits, 6)
    sure = sharpened(trained, 100)
    verdict = probe.noise_confidence(sure, digits, controls=controls).verdicts[0]
    shares = [
        primary_estimates(network, digits)["noise"].interval.estimate
        for network in controls.trained.networks()
    ]
    assert verdict.decision == "supported"
    assert verdict.agreement.statistics == tuple(shares)
    assert verdict.agreement.is_unusual == (sum(share > 0.5 for share in shares) == 0)
    assert verdict.interval == verdicts_of(sure, digits)["noise"].interval


@pytest.mark.parametrize("seed", [0, 3])
def test_one_network_and_seed_have_one_answer_everywhere(trained, digits, seed):
    found = probe.noise_confidence(trained, digits, seed=seed)
    severity = noise_severity(trained, digits, seed=seed)
    interval = found.verdicts[0].interval
    assert primary_estimates(trained, digits, seed=seed)["noise"].interval == interval
    for kind in NAMES[1:]:
        place, condition = severity.index(kind), found.condition(kind)
        np.testing.assert_array_equal(severity.own_share_above[place], condition.shares_confident)
    assert severity.own_share_above[severity.index("uniform"), 1] == interval.estimate
    assert interval.estimate == found.condition("uniform").share_confident


def test_classes_are_named_with_their_shares(found):
    condition = found.condition("uniform")
    most = int(condition.class_shares.argmax())
    assert f"{condition.class_shares[most]:.0%} are called '{most}'" in found.verdicts[0].sentence
    even = replace(condition, class_shares=np.full(20, 0.05))
    assert even.called(tuple(map(str, range(20)))) == "No class is named for a tenth of them."


def test_the_temperature_scales_the_confidence_on_noise(trained, digits):
    sure = sharpened(trained, 6)
    found = probe.noise_confidence(sure, digits)
    noise = images_of(digits, 2000)[0]["uniform"]
    scaled = softmax(sure.logits(noise).astype(np.float64) / found.temperature, axis=1).max(axis=1)
    assert found.scaled_share == pytest.approx((scaled >= CONFIDENT).mean(), abs=1e-3)
    assert found.scaled_share < found.condition("uniform").share_confident
