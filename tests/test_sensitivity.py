"""Loss-sensitivity against finite differences, and critical samples against what is exactly known."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special

import probe
from probe import sensitivity
from probe._checks import InputError
from probe._stepper import Parameters, Stepper
from probe.layers import ActivationLayer, Dense, Dropout, Flatten
from probe.sensitivity import CriticalSamples, critical_samples, loss_sensitivity


def network(output="softmax", activation="tanh", scale=1.0):
    rng = np.random.default_rng(3)
    layers = (
        Flatten("flatten"),
        Dense("hidden", rng.normal(size=(6, 5)), rng.normal(size=5), activation),
        Dense("output", scale * rng.normal(size=(5, 3)), scale * rng.normal(size=3), output),
    )
    return probe.Network(layers, (2, 3))


def linear(kernel, bias=None, dtype=np.float64):
    kernel = np.asarray(kernel, dtype)
    bias = np.zeros(kernel.shape[1], dtype) if bias is None else np.asarray(bias, dtype)
    return probe.Network((Dense("output", kernel, bias, "softmax"),), kernel.shape[:1])


def examples(n=7, dtype=np.float64):
    rng = np.random.default_rng(5)
    return rng.random((n, 2, 3)).astype(dtype), rng.integers(3, size=n)


def costs_by_hand(net, images, labels, cost):
    """Return the cost of each example, from the weights and SciPy alone."""
    hidden, output = net.dense_layers
    z = np.tanh(images.reshape(len(images), -1) @ hidden.kernel + hidden.bias) @ output.kernel + output.bias
    target = np.eye(3)[labels]
    y = special.expit(z) if output.activation_name == "sigmoid" else special.softmax(z, axis=1)
    if cost == "quadratic":
        return np.square(y - target).sum(axis=1)
    if output.activation_name == "sigmoid":
        return -(target * np.log(y) + (1 - target) * np.log1p(-y)).sum(axis=1)
    return -(target * np.log(y)).sum(axis=1)


@pytest.mark.parametrize("output", ["softmax", "sigmoid", "linear"])
@pytest.mark.parametrize("cost", ["cross-entropy", "quadratic"])
def test_loss_sensitivity_is_the_l1_norm_of_the_derivative(output, cost, numeric_gradient):
    net, (images, labels) = network(output), examples()
    slopes = numeric_gradient(lambda x: float(costs_by_hand(net, x, labels, cost).sum()), images)
    found = loss_sensitivity(net, images, labels, cost=cost)
    assert found.shape == (7,)
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, np.abs(slopes).sum(axis=(1, 2)), rtol=1e-6)


def test_loss_sensitivity_does_not_depend_on_the_batch(monkeypatch):
    net, (images, labels) = network(), examples()
    whole = loss_sensitivity(net, images, labels)
    monkeypatch.setattr(sensitivity, "_BATCH", 3)
    np.testing.assert_allclose(loss_sensitivity(net, images, labels), whole, rtol=1e-12)
    alone = [loss_sensitivity(net, images[k : k + 1], labels[k : k + 1])[0] for k in range(7)]
    np.testing.assert_allclose(alone, whole, rtol=1e-12)


@pytest.mark.parametrize("cost", ["cross-entropy", "quadratic"])
def test_loss_sensitivity_is_that_of_the_training_engine(cost, digits):
    mlp = probe.MLP((7,), "relu", "sigmoid")
    config = probe.TrainingConfig(epochs=2, dtype="float64")
    population = probe.train_population(mlp, digits, config, n_networks=2).population
    images, labels = digits.test.images[:50], digits.test.labels[:50]
    stepper = Stepper(mlp, Parameters(population.weights, population.biases), 50)
    flat = np.column_stack([np.ones(50), images.reshape(50, -1)])
    engine = stepper.input_gradient_norms(flat, labels[None], cost)
    for k in range(2):
        found = loss_sensitivity(population.network(k), images, labels, cost=cost)
        np.testing.assert_allclose(found, engine[k], rtol=1e-10)


def test_loss_sensitivity_needs_the_taught_label_not_the_predicted_one(trained, digits):
    images, labels = digits.test.images, digits.test.labels
    right = trained.predict(images) == labels
    wrong = (labels + 1) % 10
    assert (
        loss_sensitivity(trained, images, wrong)[right].mean()
        > 5 * loss_sensitivity(trained, images, labels)[right].mean()
    )


def test_layers_after_the_logits_do_not_count():
    net, (images, labels) = network("linear"), examples()
    more = (*net.layers, ActivationLayer("softmax", "softmax"), Dropout("dropout", 0.5))
    found = loss_sensitivity(probe.Network(more, (2, 3)), images, labels)
    np.testing.assert_allclose(found, loss_sensitivity(network("softmax"), images, labels), rtol=1e-12)


def test_what_loss_sensitivity_cannot_take_is_refused():
    net, (images, labels) = network(), examples()
    with pytest.raises(InputError, match="cost must be one of cross-entropy, quadratic; got 'hinge'"):
        loss_sensitivity(net, images, labels, cost="hinge")
    with pytest.raises(InputError, match=re.escape("images must have shape (n, 2, 3), got (7, 6)")):
        loss_sensitivity(net, images.reshape(7, 6), labels)
    with pytest.raises(InputError, match=re.escape("labels must have shape (7,), one for each image")):
        loss_sensitivity(net, images, labels[:3])
    with pytest.raises(InputError, match=re.escape("labels must lie in [0, 3) for 3 classes, got 3")):
        loss_sensitivity(net, images, labels * 0 + 3)
    with pytest.raises(InputError, match="x must be float, got uint8"):
        loss_sensitivity(net, images.astype(np.uint8), labels)


@given(seed=st.integers(0, 9999), radius=st.floats(0.01, 0.5), noise=st.sampled_from([0.0, 0.2]))
@settings(max_examples=60)
def test_on_two_linear_classes_the_critical_samples_are_the_exact_ones(seed, radius, noise):
    rng = np.random.default_rng(seed)
    net, images = linear(rng.normal(size=(12, 2)), rng.normal(size=2)), rng.random((40, 12))
    kernel, logits = net.dense_layers[0].kernel, net.logits(images)
    # How much of the box a straight way to the boundary takes: critical up to 1.
    share = np.abs(logits[:, 1] - logits[:, 0]) / (radius * np.abs(kernel[:, 1] - kernel[:, 0]).sum())
    found = critical_samples(net, images, radius=radius, noise=noise, seed=seed)
    assert not found.is_critical[share > 1].any()
    assert found.is_critical[share < (0.999 if noise == 0 else 0.75)].all()
    if noise == 0:
        # A quarter of the radius in each step.
        near = found.is_critical & (np.abs(share * 4 - np.round(share * 4)) > 1e-6)
        np.testing.assert_array_equal(found.steps[near], np.ceil(share[near] * 4))


def found_and_possible(seed):
    """Return which of 40 images are found critical, and which can be, by the planes between five linear classes."""
    rng = np.random.default_rng(seed)
    net, images = linear(rng.normal(size=(8, 5))), rng.random((40, 8))
    kernel, logits = net.dense_layers[0].kernel, net.logits(images)
    own = logits.argmax(axis=1)
    margins = logits[np.arange(40), own][:, None] - logits
    reach = 0.1 * np.abs(kernel[:, own].T[:, None] - kernel.T).sum(axis=2)
    margins[np.arange(40), own] = np.inf
    possible = (margins < reach).any(axis=1)
    return critical_samples(net, images, radius=0.1, noise=0).is_critical, possible


@given(seed=st.integers(0, 9999))
@settings(max_examples=30)
def test_of_many_linear_classes_none_is_critical_that_cannot_be(seed):
    found, possible = found_and_possible(seed)
    assert not found[~possible].any()


def test_of_many_linear_classes_nearly_all_are_found_that_can_be():
    # Of one network alone there may be two, of which one is found.
    found, possible = np.transpose([found_and_possible(seed) for seed in range(50)], (1, 0, 2))
    assert possible.sum() > 200
    assert found.sum() >= 0.95 * possible.sum()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_what_is_found_lies_in_the_box_and_has_another_class(dtype, trained, digits):
    images = digits.test.images[:200].astype(dtype)
    found = critical_samples(trained, images, radius=0.05)
    assert 0.02 < found.ratio < 0.98
    assert found.ratio == found.is_critical.mean()
    own = images[found.is_critical]
    assert found.adversarial_images.shape == own.shape
    assert found.adversarial_images.dtype == trained.dtype
    distance = np.abs(found.adversarial_images.astype(np.float64) - own)
    assert distance.max() <= 0.05 + 1e-7
    assert distance.max() > 0.04
    np.testing.assert_array_equal(found.predictions, trained.predict(images))
    np.testing.assert_array_equal(found.adversarial_classes, trained.predict(found.adversarial_images))
    assert (found.adversarial_classes != found.predictions[found.is_critical]).all()
    np.testing.assert_array_equal(found.steps > 0, found.is_critical)
    assert found.steps.max() <= 20


def test_a_critical_sample_takes_the_steps_that_it_says(trained, digits):
    images = digits.test.images[:60]
    most = critical_samples(trained, images, radius=0.1, step=0.1, noise=0)
    assert len(np.unique(most.steps)) > 5
    for limit in (1, 4, 7):
        found = critical_samples(trained, images, radius=0.1, step=0.1, noise=0, max_steps=limit)
        np.testing.assert_array_equal(found.is_critical, most.is_critical & (most.steps <= limit))


def test_without_noise_an_image_does_not_depend_on_the_others(trained, digits, monkeypatch):
    images = digits.test.images[:30]
    together = critical_samples(trained, images, radius=0.05, noise=0)
    monkeypatch.setattr(sensitivity, "_BATCH", 7)
    apart = critical_samples(trained, images, radius=0.05, noise=0)
    assert 0 < together.ratio < 1
    np.testing.assert_array_equal(apart.steps, together.steps)
    np.testing.assert_allclose(apart.adversarial_images, together.adversarial_images, atol=1e-6)


def test_the_noise_follows_from_the_seed_alone(trained, digits):
    images = digits.test.images[:30]
    one, same, other = (
        critical_samples(trained, images, radius=0.05, seed=seed) for seed in (1, np.random.default_rng(1), 2)
    )
    np.testing.assert_array_equal(one.adversarial_images, same.adversarial_images)
    assert not np.array_equal(one.adversarial_images, other.adversarial_images)


def test_noise_alone_searches_too():
    images = np.random.default_rng(0).random((50, 4)) * 0.01
    net = linear([[1.0, 0.0]] * 4)
    assert critical_samples(net, images, radius=0.1, step=0).ratio > 0.7


def test_images_may_leave_the_range_of_pixels():
    # Only less than no ink makes this another class.
    found = critical_samples(linear([[1.0, 0.0]], [0.05, 0.0]), np.zeros((1, 1)), radius=0.1)
    assert found.ratio == 1
    assert found.adversarial_images[0, 0] < -0.05


def test_the_search_goes_on_where_softmax_saturates():
    images, _ = examples()
    plain, steep = (
        critical_samples(network(scale=scale), images, radius=0.3, noise=0) for scale in (1.0, 1e5)
    )
    assert loss_sensitivity(network(scale=1e5), images, plain.predictions).max() == 0
    assert plain.ratio > 0
    np.testing.assert_array_equal(steep.steps, plain.steps)


def test_a_constant_network_has_no_critical_samples(tmp_path):
    net = linear(np.zeros((4, 3)), [0.0, 1.0, 0.0])
    found = critical_samples(net, np.zeros((5, 4)), radius=10)
    assert found.ratio == 0
    assert found.adversarial_images.shape == (0, 4)
    np.testing.assert_array_equal(found.predictions, 1)
    loaded = probe.load_result(probe.save_result(found, tmp_path / "critical.h5"), CriticalSamples)
    assert loaded.ratio == 0


def test_a_result_is_read_only_and_loaded_as_it_was_saved(trained, digits, tmp_path):
    images = digits.test.images[:40]
    kept = images.copy()
    found = critical_samples(trained, images, radius=0.05)
    np.testing.assert_array_equal(images, kept)
    loaded = probe.load_result(probe.save_result(found, tmp_path / "critical.h5"), CriticalSamples)
    for name in ("is_critical", "predictions", "steps", "adversarial_images", "adversarial_classes"):
        np.testing.assert_array_equal(getattr(loaded, name), getattr(found, name))
        assert not getattr(found, name).flags.writeable
    assert loaded.radius == found.radius == 0.05


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"radius": 0}, r"radius must be a finite number above 0 and at most 1e\+09, got 0"),
        ({"radius": 1e308}, r"radius must be a finite number above 0 and at most 1e\+09, got 1e\+308"),
        ({"step": -1}, r"step must be a finite number at least 0 and at most 1e\+09, got -1"),
        ({"noise": np.nan}, r"noise must be a finite number at least 0 and at most 1e\+09, got nan"),
        ({"step": 0, "noise": 0}, "step and noise must not both be 0"),
        ({"max_steps": 0}, "max_steps must be an integer of at least 1, got 0"),
        ({"seed": -1}, "seed must be an integer of at least 0, got -1"),
    ],
)
def test_settings_outside_their_range_are_refused(arguments, message):
    with pytest.raises(InputError, match=message):
        critical_samples(network(), examples()[0], **arguments)


def test_images_and_networks_that_do_not_fit_are_refused():
    images, _ = examples()
    with pytest.raises(InputError, match=re.escape("images must have shape (n, 2, 3), got (0, 2, 3)")):
        critical_samples(network(), images[:0])
    with pytest.raises(InputError, match="images must be finite, but 1 of 42 values are not"):
        critical_samples(network(), np.where(np.arange(42).reshape(7, 2, 3) == 5, np.nan, images))
    with pytest.raises(InputError, match="x must be float, got uint8"):
        critical_samples(network(), np.ones((7, 2, 3), np.uint8))
    with pytest.raises(
        InputError, match="the network has one output behind softmax, which makes of it 1 whatever"
    ):
        critical_samples(linear(np.ones((4, 1))), np.ones((1, 4)))
