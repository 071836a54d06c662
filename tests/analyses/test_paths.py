from dataclasses import replace

import numpy as np
import pytest

import probe
from probe.controls import Controls, ControlsSummary
from probe.layers import BatchNormalization, Conv2D, Dense, Flatten
from probe.network import Network
from probe.population import Population, initial_population


def dense(name, kernel, activation="linear"):
    kernel = np.asarray(kernel, np.float64)
    return Dense(name, kernel, np.linspace(-0.3, 0.4, kernel.shape[1]), activation)


def chain(first, second, activation="linear", between=()):
    return Network((dense("hidden", first, activation), *between, dense("output", second)), (len(first),))


def inputs(n_in, n=40):
    return np.random.default_rng(3).random((n, n_in))


def test_a_linear_network_is_its_expanded_weights_whatever_the_images():
    rng = np.random.default_rng(0)
    found = probe.expanded_weights(chain(rng.normal(size=(6, 4)), rng.normal(size=(4, 3))), inputs(6))
    np.testing.assert_allclose(found.jacobian, found.expanded, rtol=1e-10)
    np.testing.assert_allclose(found.similarity, 1)
    np.testing.assert_allclose(found.variation, 0, atol=1e-12)


def test_the_sums_over_paths_and_what_cancels_are_counted_by_hand():
    # Unit 0: two paths of +2 and -2 from the first input, of +1 and +1 from the second.
    first, second = [[2.0, -2.0], [1.0, 1.0]], [[1.0, 1.0], [1.0, -1.0]]
    found = probe.expanded_weights(chain(first, second), inputs(2))
    np.testing.assert_allclose(found.expanded, [[0, 2], [4, 0]])
    np.testing.assert_allclose(found.cancellation, [4 / 6, 2 / 6])


def test_random_signs_cancel_as_sums_of_signs_do():
    # The mean of |s1 + ... + s4| over random signs is 1.5: 1 - 1.5 / 4 of four equal paths cancel.
    found = probe.expanded_weights(chain(np.ones((5, 4)), np.ones((4, 30))), inputs(5))
    assert found.chance_cancellation.mean() == pytest.approx(1 - 1.5 / 4, abs=0.01)
    np.testing.assert_allclose(found.cancellation, 0, atol=1e-12)


def test_the_jacobian_is_the_mean_of_differences(numeric_gradient):
    rng = np.random.default_rng(1)
    network = chain(rng.normal(size=(5, 4)), rng.normal(size=(4, 3)), "tanh")
    x = inputs(5, 12)
    found = probe.expanded_weights(network, x)
    for unit in range(3):
        slopes = numeric_gradient(lambda each, unit=unit: network.logits(each)[:, unit].sum(), x)
        np.testing.assert_allclose(found.jacobian[unit], slopes.mean(axis=0), atol=1e-7)
        lost = 1 - np.abs(slopes.mean(axis=0)).sum() / np.abs(slopes).mean(axis=0).sum()
        assert found.variation[unit] == pytest.approx(lost, abs=1e-6)


def test_a_negative_scale_between_layers_turns_the_sign_of_its_paths_only():
    first, second = [[1.0, 1.0]] * 3, [[1.0], [1.0]]
    gamma, zero, one = (np.array(values, np.float64) for values in ([2, -1], [0, 0], [1, 1]))
    between = BatchNormalization("scale", gamma, zero, zero, one, epsilon=1e-12)
    found = probe.expanded_weights(chain(first, second, between=(between,)), inputs(3))
    np.testing.assert_allclose(found.expanded, 1)
    np.testing.assert_allclose(found.cancellation, 2 / 3)


def test_inputs_that_never_change_do_not_count():
    first, second = [[5.0, -5.0], [1.0, 1.0]], [[1.0], [1.0]]
    x = inputs(2)
    x[:, 0] = 0
    found = probe.expanded_weights(chain(first, second), x)
    assert found.active.tolist() == [False, True]
    np.testing.assert_allclose(found.cancellation, 0, atol=1e-12)


def test_dead_units_have_no_likeness_and_no_number():
    rng = np.random.default_rng(0)
    first = -np.abs(rng.normal(size=(4, 3)))
    network = Network(
        (Dense("hidden", first, np.full(3, -1.0), "relu"), dense("output", np.ones((3, 2)))), (4,)
    )
    found = probe.expanded_weights(network, inputs(4))
    assert np.isnan(found.similarity).all()
    assert np.isnan(found.variation).all()
    nothing = probe.expanded_weights(chain(np.zeros((4, 3)), np.ones((3, 2))), inputs(4))
    assert np.isnan(nothing.cancellation).all()


def test_a_hidden_layer_of_a_trained_network_on_its_images(trained, digits):
    found = probe.expanded_weights(trained, digits.test.images, "hidden_2", n_images=100)
    assert (found.layer, found.n_images, found.unit_names[-1]) == ("hidden_2", 100, "8")
    kernels = [layer.kernel for layer in trained.dense_layers]
    np.testing.assert_allclose(
        found.expanded.reshape(9, 64), (kernels[0] @ kernels[1]).T, rtol=2e-4, atol=1e-6
    )
    # Sigmoid units with slopes of one sign: on such a network the two pictures are alike.
    assert found.similarity.min() > 0.5
    assert not found.active.all()


def test_what_does_not_fit_is_refused(trained, digits):
    images = digits.test.images
    with pytest.raises(probe.InputError, match="layer 'hidden_7' does not exist"):
        probe.expanded_weights(trained, images, "hidden_7")
    with pytest.raises(probe.InputError, match="'flatten' must be dense; pass one of 'hidden_1'"):
        probe.expanded_weights(trained, images, "flatten")
    with pytest.raises(probe.InputError, match="images must have shape"):
        probe.expanded_weights(trained, images[:, :4])
    with pytest.raises(probe.InputError, match="must differ"):
        probe.expanded_weights(trained, images[:1])
    with pytest.raises(probe.InputError, match="divide uint8"):
        probe.expanded_weights(trained, (images * 16).astype(np.uint8))
    kernel = np.ones((3, 3, 1, 2), np.float32)
    layers = (
        Conv2D("conv", kernel, np.zeros(2, np.float32)),
        Flatten("flat"),
        dense("output", np.ones((72, 2))),
    )
    with pytest.raises(probe.InputError, match="'conv' is a Conv2D"):
        probe.expanded_weights(Network(layers, (8, 8, 1)), images[..., None])


def controls_of(make, n=8, shape=(6,)):
    """Return control networks whose trained members are what `make` turns a population of random networks into."""
    rng = np.random.default_rng(0)
    architecture = probe.MLP(hidden=(5, 4), activation="linear")
    names = ("a", "b", "c")
    start = initial_population(architecture, shape, names, rngs=rng.spawn(n))
    trained = Population(architecture, shape, names, tuple(make(w) for w in start.weights), start.biases)
    ones = np.ones(n)
    summary = ControlsSummary(
        test_accuracy=ones,
        train_accuracy=ones,
        memorized=ones,
        n_random_labels=50,
        recipe="any",
        config=probe.TrainingConfig(),
        kind=architecture.named(shape[0], 3),
        copies=True,
        note="",
        target=np.nan,
    )
    return Controls(untrained=start, trained=trained, few_labels=start, random_label=start, summary=summary)


def test_a_network_all_of_whose_paths_have_one_sign_cancels_less_than_chance():
    controls = controls_of(np.abs)
    network = chain(np.abs(np.random.default_rng(1).normal(size=(6, 9))), np.ones((9, 8)))
    found = probe.expanded_weights(network, inputs(6))
    shown, cancels = found.verdicts
    assert (shown.decision, cancels.decision) == ("supported", "refuted")
    assert shown.statistic == pytest.approx(1, abs=1e-5)  # linear networks are their expanded weights
    assert cancels.statistic == pytest.approx((found.cancellation - found.chance_cancellation).mean())
    assert (cancels.interval.n, cancels.replicate, cancels.subject) == (8, "units", "network")
    assert f"{cancels.statistic:+.3f}" in cancels.sentence
    assert cancels.agreement is None
    assert not shown.is_primary and not cancels.is_primary
    beside = probe.expanded_weights(controls.trained.network(0), inputs(6), "hidden_2", controls=controls)
    each = [probe.expanded_weights(controls.trained.network(k), inputs(6), "hidden_2") for k in range(8)]
    by_hand = [(one.cancellation - one.chance_cancellation).mean() for one in each]
    np.testing.assert_allclose(beside.verdicts[1].agreement.statistics, by_hand, atol=0.03)


def test_an_untrained_network_cancels_as_much_as_chance():
    rng = np.random.default_rng(0)
    cancels = probe.expanded_weights(
        chain(rng.normal(size=(9, 16)), rng.normal(size=(16, 10))), inputs(9)
    ).verdicts[1]
    assert abs(cancels.statistic) < 0.05
    assert cancels.decision == "inconclusive"


def test_where_activations_turn_signs_the_picture_of_expanded_weights_is_refuted():
    """Half of the units are never active on these inputs: paths through them weigh much, and move nothing."""
    rng = np.random.default_rng(0)
    first = np.concatenate([rng.random((6, 8)), -10 * rng.random((6, 8))], axis=1)
    found = probe.expanded_weights(chain(first, rng.normal(size=(16, 10)), "relu"), inputs(6))
    assert found.verdicts[0].decision == "refuted"
    assert found.verdicts[0].statistic < 0.5


def test_the_first_layer_gets_no_verdicts_and_dead_units_decide_nothing():
    controls = controls_of(np.abs)
    network = controls.trained.network(0)
    assert probe.expanded_weights(network, inputs(6), "hidden_1", controls=controls).verdicts == ()
    summary = replace(controls.summary, copies=False)
    other = replace(controls, summary=summary)
    assert {v.agreement for v in probe.expanded_weights(network, inputs(6), controls=other).verdicts} == {
        None
    }
    dead = probe.expanded_weights(chain(np.zeros((4, 3)), np.ones((3, 2))), inputs(4))
    assert [verdict.decision for verdict in dead.verdicts] == ["inconclusive"] * 2
