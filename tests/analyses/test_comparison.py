"""Two networks compared: what is planted in a copy is found, and what cannot be matched is said."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

import probe
from probe._progress import silent
from probe.analyses.comparison import ALPHA, compare_networks
from probe.analyses.comparison.abilities import abilities_of
from probe.analyses.comparison.analysis import _apart
from probe.analyses.comparison.matching import layer_pairs
from probe.analyses.comparison.units import aligned_layers, cka_of, rows_of, values_of
from probe.analyses.robustness import CLAIMS, primary_estimates
from probe.fitting import fitted
from probe.layers import Conv2D, Dense, Flatten, MaxPooling2D
from probe.network import Network
from probe.stats import Interval
from probe.training import reinitialized

sys.path.append(str(Path(__file__).parents[2] / "scripts"))
from compare_planted import is_found, planted

KINDS = {"sigmoid": 0.5, "tanh": 0.5, "relu": 0.1}


def trained_network(split, hidden, activation="sigmoid", epochs=15, seed=0, **more):
    config = probe.TrainingConfig(epochs=epochs, batch_size=20, learning_rate=KINDS[activation], **more)
    return fitted(probe.train(probe.MLP(hidden, activation), split, config, seed=seed).network, split)


@pytest.fixture(scope="module")
def networks(digits):
    return {kind: trained_network(digits, (16, 16), kind) for kind in KINDS}


def matched(first, second, split, seed=0, n_null=99):
    return layer_pairs((first, second), split.test.images, n_null, np.random.default_rng(seed), silent)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("trial", range(20))
def test_order_signs_scales_and_a_changed_unit_are_found(kind, trial, networks, digits):
    rng = np.random.default_rng(trial)
    truth = planted(networks[kind], rng)
    _, pairs, _, _ = matched(networks[kind], truth.network, digits)
    assert is_found(pairs, truth)


@pytest.mark.parametrize("kind", KINDS)
def test_planting_does_not_change_the_function_but_for_the_changed_unit(kind, networks, digits):
    """The plants are what they say: with its old weights back the copy computes what the network does."""
    network, truth = networks[kind], planted(networks[kind], np.random.default_rng(3))
    dense, copies = network.dense_layers, truth.network.dense_layers
    k = truth.layer
    kernel = copies[k].kernel.copy()
    below = np.arange(kernel.shape[0]) if k == 0 else truth.orders[k - 1]
    gains = np.ones(kernel.shape[0]) if k == 0 else truth.gains[k - 1]
    old = dense[k].kernel[below, truth.orders[k][truth.unit]] * truth.gains[k][truth.unit] / gains
    assert not np.allclose(kernel[:, truth.unit], old)
    kernel[:, truth.unit] = old
    layers = tuple(
        replace(each, kernel=kernel) if each is copies[k] else each for each in truth.network.layers
    )
    same = replace(truth.network, layers=layers)
    images = digits.test.images
    logits = network.logits(images)
    # Constants in the bias of the changed unit's own layer stay as planted.
    np.testing.assert_allclose(same.logits(images), logits, atol=2e-4 * np.abs(logits).max())


def test_a_network_is_the_same_as_itself(networks, digits):
    found = compare_networks(networks["tanh"], networks["tanh"], digits, n_null=99)
    assert found.is_same and found.logit_change == 0
    for layer in found.layers:
        assert layer.n_same == layer.n_matched == 16
        np.testing.assert_array_equal(layer.pairs[:, 0], layer.pairs[:, 1])
        np.testing.assert_allclose(layer.similarity, 1, atol=1e-6)
        assert layer.cka == pytest.approx(1, abs=1e-6)
    assert found.abilities.only_one == 0 and np.isnan(found.abilities.p_value)
    assert found.abilities.agreement.estimate == 1
    better, agrees, counterparts = found.verdicts
    assert (better.decision, agrees.decision, counterparts.decision) == (
        "inconclusive",
        "supported",
        "supported",
    )
    assert not any(claim.is_decided for claim in found.claims)


def test_untrained_networks_have_no_counterparts(networks, digits):
    """Where nothing was learned, about as many pairs are matched as the rate of false discoveries allows."""
    n_matched = n_pairs = 0
    for seed in range(10):
        pair = [
            reinitialized(networks["sigmoid"], rng=np.random.default_rng([seed, side])) for side in (0, 1)
        ]
        _, layers, _, _ = matched(*pair, digits, seed=seed, n_null=199)
        n_matched += sum(layer.n_matched for layer in layers)
        n_pairs += sum(len(layer.pairs) for layer in layers)
        p_values = np.concatenate([layer.p_values for layer in layers])
        # The better of two ways to be alike by chance: not smaller than uniform.
        assert (p_values <= 0.05).mean() < 0.2
    assert n_matched / n_pairs <= ALPHA


def test_likeness_is_that_of_correlations_and_counts_places(networks, digits):
    first, second = networks["sigmoid"], networks["relu"]
    _, layers, cka, n_null = matched(first, second, digits)
    images = digits.test.images
    for layer in layers:
        values = first.activations(images)[layer.first], second.activations(images)[layer.second]
        with np.errstate(invalid="ignore"):
            expected = np.corrcoef(values[0].T, values[1].T)[:16, 16:]
        live = values[1].std(axis=0) > 1e-6
        np.testing.assert_allclose(layer.correlations[:, live], expected[:, live], atol=1e-5)
        assert (np.abs(layer.similarity) <= 1 + 1e-9).all()
        assert (layer.permuted < 1) and (layer.chance < 1).all()
    centered = [
        each[:500] - each[:500].mean(axis=0)
        for each in (first.activations(images)["hidden_1"], second.activations(images)["hidden_2"])
    ]
    a, b = (each.astype(np.float64) for each in centered)
    expected = np.linalg.norm(a.T @ b) ** 2 / (np.linalg.norm(a.T @ a) * np.linalg.norm(b.T @ b))
    assert cka[0, 1] == pytest.approx(expected, abs=1e-6)
    assert n_null == 99


def test_cka_does_not_see_rotations_and_holds_for_more_features_than_images(digits):
    rng = np.random.default_rng(0)
    network = Network(
        (Flatten("flat"), Dense("hidden", rng.normal(size=(64, 400))), Dense("output", np.eye(400)[:, :10])),
        (8, 8),
    )
    (values,) = values_of(network, digits.test.images[:100])
    rows = rows_of(values)
    assert rows.shape == (100, 100)
    turned = replace(values, values=values.values @ np.linalg.qr(rng.normal(size=(400, 400)))[0])
    assert cka_of(rows, rows_of(turned)) == pytest.approx(1)
    noise = replace(values, values=rng.normal(size=values.values.shape))
    gram = [
        each.reshape(100, -1) - each.reshape(100, -1).mean(axis=0) for each in (values.values, noise.values)
    ]
    products = [each @ each.T for each in gram]
    expected = (products[0] * products[1]).sum() / np.prod([np.linalg.norm(each) for each in products])
    assert cka_of(rows, rows_of(noise)) == pytest.approx(expected)


def test_other_widths_leave_units_alone(networks, digits):
    wide = trained_network(digits, (24, 9), seed=4)
    _, layers, _, _ = matched(networks["sigmoid"], wide, digits)
    first, second = layers
    assert (first.n_first, first.n_second, len(first.pairs)) == (16, 24, 16)
    assert (second.n_first, second.n_second, len(second.pairs)) == (16, 9, 9)
    for layer in layers:
        assert len(np.unique(layer.pairs[:, 0])) == len(np.unique(layer.pairs[:, 1])) == len(layer.pairs)
        assert len(layer.unmatched_first) == layer.n_first - layer.n_matched
        assert len(layer.unmatched_second) == layer.n_second - layer.n_matched
    assert first.first_images.shape == first.second_images.shape == (16, 8, 8)


def test_units_added_to_a_copy_are_the_ones_that_are_alone(networks, digits):
    network, rng = networks["tanh"], np.random.default_rng(1)
    flatten, hidden, second, output = network.layers
    order = rng.permutation(20)
    kernel = np.hstack([hidden.kernel, rng.normal(size=(64, 4)).astype("f4")])[:, order]
    bias = np.concatenate([hidden.bias, np.zeros(4, "f4")])[order]
    above = np.vstack([second.kernel, np.zeros((4, 16), "f4")])[order]
    wider = replace(
        network,
        layers=(flatten, replace(hidden, kernel=kernel, bias=bias), replace(second, kernel=above), output),
    )
    _, layers, _, _ = matched(network, wider, digits)
    assert layers[0].n_same == layers[1].n_same == 16
    np.testing.assert_array_equal(order[layers[0].pairs[:, 1]], layers[0].pairs[:, 0])
    assert set(order[layers[0].unmatched_second]) == {16, 17, 18, 19}


def test_other_depths_leave_layers_alone(networks, digits):
    shallow = trained_network(digits, (16,), seed=2)
    found = compare_networks(networks["sigmoid"], shallow, digits, n_null=99)
    (pair,) = found.layers
    assert pair.second == "hidden_1" and found.cka.shape == (2, 1)
    assert found.alone_first == tuple({"hidden_1", "hidden_2"} - {pair.first}) and found.alone_second == ()
    assert pair.first == ("hidden_1", "hidden_2")[int(found.cka[:, 0].argmax())]


def test_a_network_without_hidden_layers_has_no_units_to_match(networks, digits):
    linear = trained_network(digits, ())
    found = compare_networks(networks["sigmoid"], linear, digits, n_null=99)
    assert found.layers == () and found.second_layers == () and found.n_null == 0
    assert found.verdicts[2].decision == "inconclusive"
    assert found.alone_first == ("hidden_1", "hidden_2")
    assert found.abilities.n_images == len(digits.test)
    assert found.columns()["similarity"] == []


def test_training_with_weight_decay_leaves_likeness_meaningful(networks, digits):
    decayed = trained_network(digits, (16, 16), weight_decay=1e-3)
    other = trained_network(digits, (16, 16), weight_decay=1e-3, seed=9)
    (first, _), (apart, _) = (
        matched(networks["sigmoid"], network, digits)[1] for network in (decayed, other)
    )
    # From the same start units stay more alike than from another one, though no weights are the same.
    assert first.median_similarity > apart.median_similarity
    assert first.n_matched > apart.n_matched
    assert first.n_same == apart.n_same == 0
    assert (np.abs(first.similarity) <= 1).all() and (first.chance > 0).all()
    np.testing.assert_array_equal(first.pairs[:, 0], first.pairs[:, 1])


def convolutional(rng, data_format="channels_last", activation="relu"):
    kernels = rng.normal(size=(3, 3, 1, 6)) / 3, rng.normal(size=(3, 3, 6, 5)) / 7
    head = rng.normal(size=(20, 10))
    return (
        Conv2D("c1", kernels[0], np.zeros(6), activation_name=activation),
        Conv2D("c2", kernels[1], np.zeros(5), activation_name=activation, padding="same"),
        MaxPooling2D("pool", (3, 3)),
        Flatten("flat"),
        Dense("output", head, np.zeros(10), "softmax"),
    )


def test_channels_in_another_order_are_found_down_to_the_dense_layer(digits):
    rng = np.random.default_rng(5)
    c1, c2, pool, flat, output = convolutional(rng)
    orders, scales = (
        (rng.permutation(6), rng.permutation(5)),
        (rng.uniform(0.5, 2, 6), rng.uniform(0.5, 2, 5)),
    )
    first = replace(c1, kernel=c1.kernel[..., orders[0]] * scales[0])
    second = replace(c2, kernel=c2.kernel[:, :, orders[0]][..., orders[1]] / scales[0][:, None] * scales[1])
    head = output.kernel.reshape(2, 2, 5, 10)[:, :, orders[1]] / scales[1][:, None]
    shuffled = (first, second, pool, flat, replace(output, kernel=head.reshape(20, 10)))
    networks = [Network(layers, (8, 8, 1)) for layers in ((c1, c2, pool, flat, output), shuffled)]
    with pytest.warns(probe.ProbeWarning):
        networks = [fitted(network, digits) for network in networks]
    logits = [network.logits(digits.test.images) for network in networks]
    np.testing.assert_allclose(*logits, atol=1e-9)
    _, found, _, _ = matched(*networks, digits)
    for layer, order, scale in zip(found, orders, scales, strict=True):
        np.testing.assert_array_equal(order[layer.pairs[:, 1]], layer.pairs[:, 0])
        assert layer.is_same.all()
        np.testing.assert_allclose(layer.scales * scale[layer.pairs[:, 1]], 1, rtol=1e-5)
    assert found[0].first_images.shape == (6, 3, 3)
    assert len(found[1].drawn) == 0


def test_a_convolution_and_a_dense_layer_are_compared_by_what_they_do(networks, digits):
    with pytest.warns(probe.ProbeWarning):
        network = fitted(Network(convolutional(np.random.default_rng(6)), (8, 8, 1)), digits)
    _, layers, _, _ = matched(networks["relu"], network, digits)
    assert np.isnan(layers[0].weight_similarity).all() and np.isfinite(layers[0].similarity).all()
    assert layers[0].n_same == 0 and len(layers[0].drawn) == 0


def test_layers_keep_their_order_when_they_are_put_together():
    similarity = np.random.default_rng(0).random((3, 5))
    pairs = aligned_layers(similarity)
    from itertools import combinations

    best = max(sum(similarity[i, j] for i, j in enumerate(chosen)) for chosen in combinations(range(5), 3))
    assert sum(similarity[pair] for pair in pairs) == pytest.approx(best)
    assert aligned_layers(similarity.T) == [(j, i) for i, j in pairs]
    assert aligned_layers(np.zeros((0, 2))) == []


def test_abilities_are_counted_and_tested_as_scipy_does(networks, digits):
    first, second = networks["sigmoid"], networks["relu"]
    found = abilities_of((first, second), digits.test)
    said = first.predict(digits.test.images), second.predict(digits.test.images)
    right = [each == digits.test.labels for each in said]
    expected = [
        (right[0] & right[1]).sum(),
        (right[0] & ~right[1]).sum(),
        (~right[0] & right[1]).sum(),
        (~right[0] & ~right[1]).sum(),
    ]
    assert found.totals.tolist() == expected
    assert found.accuracies == pytest.approx((right[0].mean(), right[1].mean()))
    assert found.p_value == pytest.approx(
        stats.binomtest(int(expected[2]), int(expected[1] + expected[2])).pvalue
    )
    assert found.difference.estimate == pytest.approx(right[1].mean() - right[0].mean())
    assert (found.difference.low > 0 or found.difference.high < 0) == (found.p_value < 0.05)
    assert found.agreement.estimate == pytest.approx((said[0] == said[1]).mean())
    shares = [np.bincount(each, minlength=10) / len(digits.test) for each in said]
    assert found.chance == pytest.approx((shares[0] * shares[1]).sum())
    rng, labels = np.random.default_rng(0), digits.test.labels
    shuffled = []
    for _ in range(200):
        other = said[1].copy()
        for label in range(10):
            members = np.flatnonzero(labels == label)
            other[members] = said[1][rng.permutation(members)]
        shuffled.append((said[0] == other).mean())
    assert found.chance_within == pytest.approx(np.mean(shuffled), abs=0.005)
    for images, names, wrong in (
        (found.first_images, found.first_names, 2),
        (found.second_images, found.second_names, 1),
    ):
        for image, (true, *answers) in zip(images, names, strict=True):
            (row,) = np.flatnonzero((digits.test.images == image).all(axis=(1, 2)))[:1]
            assert digits.test.class_names[labels[row]] == true
            assert answers[wrong - 1] != true == answers[2 - wrong]


def test_the_claims_are_those_of_each_network_alone(networks, digits):
    found = compare_networks(networks["sigmoid"], networks["relu"], digits, n_null=99, seed=0)
    assert {claim.key for claim in found.claims} <= CLAIMS.keys() and len(found.claims) >= 4
    seed = int(np.random.default_rng(0).spawn(3)[0].integers(2**31))
    for name, side in (("sigmoid", "first"), ("relu", "second")):
        alone = primary_estimates(networks[name], digits, seed=seed)
        for claim in found.claims:
            assert getattr(claim, side) == alone[claim.key].interval
            assert getattr(claim, f"{side}_decision") == CLAIMS[claim.key].decision(alone[claim.key])


def test_the_interval_of_a_difference_is_that_of_newcombe():
    """Shares of 56/70 and 48/80 (Newcombe 1998): with Wilson's intervals 0.0524 to 0.3339."""
    first, second = Interval(0.6, 0.4904, 0.7004, 0.95, 80), Interval(0.8, 0.6921, 0.8773, 0.95, 70)
    found = _apart(first, second)
    assert (found.low, found.high) == pytest.approx((0.0524, 0.3339), abs=5e-4)


def test_what_does_not_fit_is_refused_and_said_of_which(networks, digits, trained):
    other = trained_network(probe.load_dataset("digits"), (4,))
    few = Network(
        (Flatten("f"), Dense("output", np.zeros((64, 3), "f4"), np.zeros(3, "f4"), "softmax")), (8, 8)
    )
    large = Network((Flatten("f"), Dense("output", np.zeros((9, 10), "f4"))), (3, 3))
    with pytest.raises(probe.InputError, match=r"second must be a network for 'digits'.*3 classes"):
        compare_networks(other, few, digits)
    with pytest.raises(probe.InputError, match=r"first must be a network for 'digits'.*\(3, 3\)"):
        compare_networks(large, other, digits)
    with pytest.raises(probe.InputError, match="n_images must be an integer of at least 20"):
        compare_networks(other, other, digits, n_images=5)
    with pytest.raises(probe.InputError, match="n_null must be an integer of at least 99"):
        compare_networks(other, other, digits, n_null=20)
