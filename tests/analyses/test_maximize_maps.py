"""Maximization in convolutional networks: channels, positions, other ranges, networks without classes."""

import numpy as np
import pytest

import probe
from probe._checks import InputError
from probe.layers import Conv2D, Dense, Flatten, MaxPooling2D


def normal(*shape, seed=3):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def convolutional():
    layers = (
        Conv2D("conv", normal(3, 3, 1, 4), normal(4), activation_name="relu"),
        MaxPooling2D("pool", (2, 2)),
        Flatten("flatten"),
        Dense("output", normal(36, 2), normal(2), "softmax"),
    )
    return probe.Network(layers, (8, 8, 1))


def test_a_position_of_a_first_convolution_is_maximized_by_its_kernels_sign():
    network = convolutional()
    kernel = network.layer("conv").kernel
    objectives = [probe.unit("conv", k, position=(2, 5)) for k in range(4)]
    found = probe.maximize(network, objectives, restarts=2, steps=50)
    for k in range(4):
        window = found.best_images[k][2:5, 5:8, 0]
        np.testing.assert_array_equal(window, (kernel[..., 0, k] > 0).astype(np.float32))
        best = np.maximum(kernel[..., 0, k], 0).sum() + network.layer("conv").bias[k]
        assert found.best_values[k] == pytest.approx(best, rel=1e-5)
    assert found.names[3] == "conv unit 3 at 2, 5"


def test_the_mean_of_a_channel_ends_at_least_where_a_full_search_of_corners_does():
    # A mean over a linear map is linear in the pixels: its maximizer has every pixel at 0 or 1, by sign.
    network = convolutional()
    gradient = network.input_gradient(np.zeros((1, 8, 8, 1), np.float32), probe.unit("conv", 1))[0]
    found = probe.maximize(network, [probe.unit("conv", 1)], restarts=1, steps=60)
    np.testing.assert_array_equal(found.best_images[0], (gradient > 0).astype(np.float32))


def test_a_network_without_classes_is_maximized_all_the_same():
    network = convolutional().truncate("pool")
    found = probe.maximize(network, [probe.unit("conv", 0)], restarts=2, steps=5)
    assert np.isnan(found.confidences).all()
    assert (found.predictions == -1).all()
    with pytest.raises(InputError, match=r"puts out \(3, 3, 4\), not one value for each class"):
        probe.maximize(network, [probe.class_logit(0)])


def test_another_range_is_searched_through_the_layer_in_front():
    layers = (Flatten("flatten"), Dense("output", normal(4, 3), normal(3), "softmax"))
    network = probe.Network(layers, (2, 2))
    found = probe.maximize(network.with_input_range(-1, 1), [probe.class_logit(0)], restarts=1)
    kernel = network.layer("output").kernel[:, 0]
    # The best corner of [-1, 1]^4 has the value sum |w| + b.
    assert found.best_values[0] == pytest.approx(
        np.abs(kernel).sum() + network.layer("output").bias[0], rel=1e-5
    )
    assert found.images.min() == 0.0
