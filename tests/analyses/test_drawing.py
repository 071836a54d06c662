"""Whether networks can draw: judges of known images, and networks that are known to draw or not to."""

from dataclasses import replace

import numpy as np
import pytest
from recipes_of_tests import quick_controls
from sklearn.metrics import pairwise_distances

import probe
from probe.analyses.drawing import analysis, drawing, primary_estimates
from probe.layers import Dense, Flatten
from probe.network import Network


@pytest.fixture(scope="module")
def mnist():
    split = probe.load_dataset("mnist")
    return probe.Split(split.train.take(slice(0, 10_000)), split.test.take(slice(0, 1_500)), "mnist")


@pytest.fixture(params=["mnist", "digits"])
def data(request):
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="module")
def controls(trained, digits):
    return quick_controls(trained, digits, 7, epochs=20)


@pytest.fixture(scope="module")
def found(trained, digits, controls):
    return drawing(trained, digits, controls=controls, restarts=2, steps=40)


def class_means(split):
    train = split.train
    return np.stack([train.images[train.labels == k].mean(axis=0) for k in range(10)])


def reading(weights, split):
    """Return a network without hidden layers whose classes read images with these weights."""
    kernel = weights.reshape(10, -1).T.astype(np.float32)
    layers = Flatten("flatten"), Dense("output", kernel, np.zeros(10, np.float32), "softmax")
    return Network(layers, split.train.image_shape)


def share_drawn_as_anything(split, images, labels=None):
    """Return the share that counts as drawn, as their own class or, without labels, as whatever they pass for."""
    jury = analysis._jury(split, 0)
    if labels is not None:
        return jury.judge("real", images, labels).drawn.mean()
    drawn = [jury.judge("real", images, np.full(len(images), k)).drawn for k in range(10)]
    return np.any(drawn, axis=0).mean()


def no_digits(split, kind):
    rng, shape = np.random.default_rng(1), split.train.image_shape
    chosen = split.train.sample(600, rng=rng).images
    if kind == "black":
        return np.zeros((1, *shape), np.float32)
    if kind == "gray":
        return np.stack([np.full(shape, level, np.float32) for level in (0.05, 0.1, 0.3, 0.5, 1.0)])
    if kind == "dot":
        dots, size = np.zeros((20, *shape), np.float32), shape[0] // 7
        for dot in dots:
            top, left = rng.integers(shape[0] - size, size=2)
            dot[top : top + size, left : left + size] = 1
        return dots
    if kind == "mean of all":
        return split.train.images.mean(axis=0, keepdims=True)
    if kind == "class means":
        return class_means(split).astype(np.float32)
    if kind == "averages of five":
        return chosen.reshape(120, 5, *shape).mean(axis=1)
    return (chosen[:300] + chosen[300:]) / 2


@pytest.mark.parametrize(
    "kind",
    ["black", "gray", "dot", "mean of all", "class means", "averages of five", "averages of two"],
)
def test_what_shows_no_digit_does_not_count_as_drawn_whatever_was_meant(data, kind):
    assert share_drawn_as_anything(data, no_digits(data, kind)) <= 0.05


def test_held_out_digits_count_as_drawn(data):
    chosen = data.test.sample(min(800, len(data.test)), rng=np.random.default_rng(3))
    assert share_drawn_as_anything(data, chosen.images, chosen.labels) >= 0.9
    wrong = (chosen.labels + 1) % 10
    assert share_drawn_as_anything(data, chosen.images, wrong) <= 0.1


def known(split, name):
    """Return a network of which it is known whether it can draw."""
    means = class_means(split)
    if name == "class means against a threshold":
        return reading(means - 0.5, split)
    if name == "class means":
        return reading(means, split)
    if name == "linear softmax":
        return analysis._linear_softmax(split)
    rng = np.random.default_rng(0)
    layers = (
        Flatten("flatten"),
        Dense("hidden", rng.normal(0, 0.05, (784, 16)), np.zeros(16), "sigmoid"),
        Dense("output", rng.normal(0, 0.3, (16, 10)), np.zeros(10), "softmax"),
    )
    return Network(layers, (28, 28))


@pytest.mark.parametrize(
    ("name", "decision"),
    [
        ("class means against a threshold", "refuted"),
        # Their weights are never negative: they like every pixel best that is ever lit.
        ("class means", "supported"),
        ("linear softmax", "supported"),
        ("untrained", "supported"),
    ],
)
@pytest.mark.filterwarnings("ignore::probe.ProbeWarning")
def test_networks_that_are_known_to_draw_or_not_get_their_verdict(mnist, name, decision):
    network = known(mnist, name)
    estimate = primary_estimates(network, mnist)["drawing"]
    assert analysis.DRAWS.decision(estimate) == decision


def test_how_large_the_weights_are_does_not_change_what_is_drawn(mnist):
    means = class_means(mnist)
    shares = [
        primary_estimates(reading(scale * (means - means.mean(axis=0)), mnist), mnist)["drawing"].interval
        for scale in (1.0, 8.0)
    ]
    assert shares[0] == shares[1]
    assert shares[0].estimate >= 0.3


def robust(split, radius):
    """Return a network trained on images that are moved by this much to where it is most wrong."""
    rng, size = np.random.default_rng(0), 64
    x, labels = split.train.images.reshape(len(split.train), -1), split.train.labels
    first = rng.normal(size=(x.shape[1], size)) * np.sqrt(2 / x.shape[1])
    second = rng.normal(size=(size, 10)) * np.sqrt(2 / size)
    first, second = first.astype(np.float32), second.astype(np.float32)

    def errors(images, taught):
        hidden = np.maximum(images @ first, 0)
        logits = hidden @ second
        outputs = np.exp(logits - logits.max(axis=1, keepdims=True))
        off = outputs / outputs.sum(axis=1, keepdims=True) - np.eye(10, dtype=np.float32)[taught]
        return hidden, off, (off @ second.T) * (hidden > 0)

    for epoch in range(20):
        order = rng.permutation(len(x))
        for begin in range(0, len(x), 20):
            rows = order[begin : begin + 20]
            images, taught = x[rows], labels[rows]
            for _ in range(5 if radius else 0):
                uphill = errors(images, taught)[2] @ first.T
                images = images + radius / 2 * uphill / (np.linalg.norm(uphill, axis=1, keepdims=True) + 1e-9)
                off = images - x[rows]
                off *= np.minimum(1, radius / (np.linalg.norm(off, axis=1, keepdims=True) + 1e-9))
                images = np.clip(x[rows] + off, 0, 1)
            hidden, off, below = errors(images, taught)
            rate = 0.1 * (1 - epoch / 20) / len(rows)
            second -= rate * hidden.T @ off
            first -= rate * images.T @ below
    layers = (
        Flatten("flatten"),
        Dense("hidden", first, np.zeros(size, np.float32), "relu"),
        Dense("output", second, np.zeros(10, np.float32), "softmax"),
    )
    return Network(layers, split.train.image_shape)


def test_a_network_trained_on_the_worst_images_draws_more_than_a_plain_one(digits):
    plain, hardened = (drawing(robust(digits, radius), digits).artists[0] for radius in (0.0, 1.0))
    assert hardened.smoothed.drawn_share > plain.smoothed.drawn_share
    assert hardened.n_drawn > plain.n_drawn == 0


def test_digits_are_plausible_and_recognized_and_noise_is_neither(found):
    real, means, noise, shuffled = (found.kind(name) for name in ("real", "class means", "noise", "shuffled"))
    assert real.plausible.mean() > 0.9
    assert real.agreement.min() > 0.8
    assert means.agreement.min() > 0.9
    assert means.drawn_share == 0
    for control in (noise, shuffled):
        assert control.drawn_share == 0
        assert control.agreement.max() < 0.3
    np.testing.assert_allclose(np.median(real.percentiles, axis=0), 0.5, atol=0.12)


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


def test_a_class_is_drawn_where_most_images_of_one_ascent_are(found):
    own = found.artists[0]
    is_drawn = np.zeros(20, bool)
    is_drawn[[0, 1, 2, 6, 7]] = True  # both of classes 0 and 3, one of two of class 1
    right = np.tile(own.plain.intended, (3, 1))
    plain = replace(own.plain, plausible=is_drawn, judged=right)
    smoothed = replace(own.smoothed, plausible=np.roll(is_drawn, 2), judged=right)
    artist = replace(own, plain=plain, smoothed=smoothed)
    np.testing.assert_array_equal(np.flatnonzero(artist.draws), [0, 1, 3, 4])
    assert artist.n_drawn == 4


def test_the_verdict_is_of_this_network_and_others_stand_beside_it(found, trained, digits, controls):
    own, untrained, random, _ = found.artists
    assert [artist.name for artist in found.artists] == ["network", "untrained", "random-label", "linear"]
    draws, *_ = found.verdicts
    assert (draws.key, draws.subject, draws.is_primary) == ("drawing", "network", True)
    assert draws.title == "The network has no idea how to draw a digit"
    assert (draws.statistic, draws.interval.n) == (own.n_drawn / 10, 10)
    assert draws.agreement.statistics == tuple(found.classes_drawn / 10)
    assert len(found.classes_drawn) == 7
    assert draws.decision == "supported"  # small sigmoid networks draw speckle
    alone = drawing(controls.untrained.network(0), digits, restarts=2, steps=40).artists[0]
    np.testing.assert_array_equal(alone.plain.images, untrained.plain.images)
    np.testing.assert_array_equal(alone.smoothed.drawn, untrained.smoothed.drawn)
    assert not np.array_equal(random.plain.images, untrained.plain.images)


def test_estimates_are_those_of_the_verdict(trained, digits):
    whole = drawing(trained, digits).verdicts[0].interval
    assert primary_estimates(trained, digits)["drawing"].interval == whole


def test_hidden_layers_are_held_against_a_network_without(found, trained, digits):
    by_key = {verdict.key: verdict for verdict in found.verdicts}
    own, linear = found.artists[0], found.artists[-1]
    assert ("hidden" in by_key) == bool(own.n_drawn or linear.n_drawn)
    right = np.tile(own.plain.intended, (3, 1))
    every = replace(own.plain, plausible=own.plain.plausible | True, judged=right)
    nothing = replace(own.plain, plausible=own.plain.plausible & False)
    artists = (
        replace(own, plain=every),
        *found.artists[1:3],
        replace(linear, plain=nothing, smoothed=nothing),
    )
    result = analysis._with_verdicts(replace(found, artists=artists), [], is_deep=True)
    assert [verdict.decision for verdict in result.verdicts] == ["refuted", "supported"]
    assert result.verdicts[1].statistic == 1
    assert len(analysis._with_verdicts(result, [], is_deep=False).verdicts) == 1
    assert analysis._has_hidden_layers(trained)
    assert not analysis._has_hidden_layers(analysis._linear_softmax(digits))


def test_without_controls_the_network_is_judged_alone(trained, digits):
    found = drawing(trained, digits, restarts=1, steps=5)
    assert found.verdicts[0].agreement is None
    assert found.classes_drawn.size == 0
    assert (found.kind("optimized").judged[2] == -1).all()
    assert [artist.name for artist in found.artists] == ["network", "linear"]


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
