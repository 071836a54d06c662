import re

import numpy as np
import pytest

import probe
from probe._checks import InputError
from probe.layers import (
    ActivationLayer,
    Add,
    BatchNormalization,
    Conv2D,
    Dense,
    DepthwiseConv2D,
    Dropout,
    Flatten,
    GlobalAveragePooling2D,
    MaxPooling2D,
    Normalization,
    Permute,
    Rescaling,
    Reshape,
    SeparableConv2D,
)


def dense(name, n_in, n_units, activation="linear"):
    rng = np.random.default_rng(n_in + n_units)
    return Dense(name, rng.normal(size=(n_in, n_units)), rng.normal(size=n_units), activation)


def linear_network(shape=(2, 3), names=("a", "b")):
    n_in = int(np.prod(shape))
    layers = (
        Flatten("flatten"),
        dense("first_hidden", n_in, 5),
        dense("second", 5, 4),
        dense("output", 4, 2),
    )
    return probe.Network(layers, shape, names)


def jacobian(network, layer, index):
    x = np.zeros((1, *network.input_shape))
    return network.input_gradient(x, probe.unit(layer, index))[0]


@pytest.mark.parametrize("shape", [(2, 3), (3, 2), (2, 3, 3)])
@pytest.mark.parametrize("layer", ["first_hidden", "second", "output"])
def test_expanded_weights_are_the_jacobian_of_a_linear_network(shape, layer):
    network = linear_network(shape)
    found = probe.weight_images(network, layer)
    assert found.images.shape == (network.layer_shapes[layer][0], *shape)
    assert found.kind == ("weights" if layer == "first_hidden" else "expanded")
    for j, image in enumerate(found.images):
        np.testing.assert_allclose(image, jacobian(network, layer, j), rtol=1e-12, atol=1e-13)


def test_the_first_layers_images_are_its_kernel(trained):
    found = probe.weight_images(trained)
    np.testing.assert_array_equal(found.images, trained.dense_layers[0].kernel.T.reshape(-1, 8, 8))
    assert (found.layer, found.kind) == ("hidden_1", "weights")
    assert found.unit_names == tuple(str(j) for j in range(12))
    assert found.scale == np.abs(trained.dense_layers[0].kernel).max()
    assert isinstance(found.scale, float)


def test_units_of_the_last_layer_are_named_by_their_classes():
    network = linear_network()
    assert probe.weight_images(network, "output").unit_names == ("a", "b")
    assert probe.weight_images(network, "second").unit_names == ("0", "1", "2", "3")


def test_the_images_do_not_share_memory_with_the_network(trained):
    assert not np.shares_memory(probe.weight_images(trained).images, trained.dense_layers[0].kernel)


def test_layers_that_only_hand_on_do_not_count():
    first, last = dense("one", 6, 4), dense("output", 4, 2)
    plain = probe.Network((Flatten("f"), first, last), (2, 3))
    layers = (
        Reshape("r", (3, 2)),
        Flatten("f"),
        first,
        ActivationLayer("a", "relu"),
        Dropout("d", 0.5),
        last,
    )
    more = probe.Network(layers, (2, 3))
    for layer in ("one", "output"):
        np.testing.assert_array_equal(
            probe.weight_images(more, layer).images, probe.weight_images(plain, layer).images
        )


def test_a_network_of_rows_has_images_once_it_knows_their_shape():
    network = probe.Network((dense("output", 6, 2),), (6,))
    with pytest.raises(
        InputError, match=r"weight images need inputs of shape \(height, width\[, channels\]\)"
    ):
        probe.weight_images(network)
    assert probe.weight_images(network.for_images((2, 3))).images.shape == (2, 2, 3)


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        ("hidden_3", "layer 'hidden_3' does not exist: this network has 'flatten', 'first_hidden'"),
        (
            "flatten",
            "layer 'flatten' has no weights on units; pass one of 'first_hidden', 'second', 'output'",
        ),
    ],
)
def test_a_layer_without_weights_is_refused(layer, message):
    with pytest.raises(InputError, match=re.escape(message)):
        probe.weight_images(linear_network(), layer)


def test_a_network_without_dense_layers_is_refused():
    network = probe.Network((Flatten("f"),), (2, 3))
    with pytest.raises(
        InputError, match="weight images need a dense or convolutional layer, but this network has none"
    ):
        probe.weight_images(network)


@pytest.mark.parametrize("width", [2, 3])
def test_a_dense_layer_on_the_rows_of_an_image_has_no_weight_images(width):
    # Its kernel belongs to one row, not to the image; of 4 x 4 images it even has the size of one.
    layers = (dense("rows", 4, width), Flatten("f"), dense("output", 4 * width, 2))
    network = probe.Network(layers, (4, 4))
    for layer in ("rows", "output"):
        with pytest.raises(InputError, match="'rows'"):
            probe.weight_images(network, layer)


def test_a_square_dense_layer_on_the_rows_of_an_image_has_no_weight_images():
    layers = (dense("rows", 4, 4), Flatten("f"), dense("output", 16, 2))
    with pytest.raises(InputError, match="'rows'"):
        probe.weight_images(probe.Network(layers, (4, 4)))


def normal(*shape, seed=3):
    return np.random.default_rng(seed).normal(size=shape)


def convolutional(channels=1):
    layers = (
        Conv2D("conv_1", normal(3, 3, channels, 6), normal(6), activation_name="relu"),
        MaxPooling2D("pool", (2, 2)),
        DepthwiseConv2D("depthwise", normal(2, 2, 6, 2), normal(12)),
        SeparableConv2D("separable", normal(2, 2, 12, 1), normal(1, 1, 12, 5), normal(5)),
        Dropout("drop", 0.2),
        Flatten("flatten"),
        dense("output", 10, 2, "softmax"),
    )
    return probe.Network(layers, (10, 8, channels) if channels > 1 else (10, 8, 1))


@pytest.mark.parametrize(
    ("channels", "shape", "planes"), [(1, (6, 3, 3), 1), (3, (6, 3, 3, 3), 1), (2, (12, 3, 3), 2)]
)
def test_kernels_are_images_for_each_filter_and_channel_or_in_colour(channels, shape, planes):
    network = convolutional(channels)
    found = probe.weight_images(network)
    assert (found.layer, found.kind, found.planes, found.images.shape) == ("conv_1", "kernels", planes, shape)
    kernel = network.layer("conv_1").kernel
    if channels == 3:
        np.testing.assert_array_equal(found.images[4], kernel[..., 4])
    else:
        np.testing.assert_array_equal(found.images[4 * planes + planes - 1], kernel[..., planes - 1, 4])
    assert found.names[-1] == ("5" if planes == 1 else "5:1")
    assert found.scale == np.abs(kernel).max()


def test_depthwise_kernels_have_a_channel_each():
    network = convolutional()
    found = probe.weight_images(network, "depthwise")
    # Keras' output channel 5 of multiplier 2 is channel 2, copy 1.
    np.testing.assert_array_equal(found.images[5], network.layer("depthwise").kernel[..., 2, 1])
    assert probe.weight_images(network, "separable").images.shape == (12, 2, 2)


def test_a_dense_layer_above_convolutions_is_shown_on_the_maps_that_it_reads():
    network = convolutional()
    assert network.layer_shapes["separable"] == (2, 1, 5)
    found = probe.weight_images(network, "output")
    assert (found.kind, found.planes, found.images.shape) == ("maps", 5, (10, 2, 1))
    kernel = network.layer("output").kernel.reshape(2, 1, 5, 2)
    np.testing.assert_array_equal(found.images[5 + 3], kernel[:, :, 3, 1])
    assert found.names[8] == "1:3"


def test_a_dense_layer_on_channel_means_has_no_images():
    layers = (
        Conv2D("conv", normal(3, 3, 1, 4), normal(4)),
        GlobalAveragePooling2D("mean"),
        dense("output", 4, 2),
    )
    with pytest.raises(InputError, match="layer 'output' reads 4 values of 'mean' that are no feature maps"):
        probe.weight_images(probe.Network(layers, (5, 5, 1)), "output")


def test_expanded_weights_take_the_scales_of_normalisations_along():
    scales = (normal(5), normal(5), normal(5), normal(5) ** 2)
    layers = (
        Rescaling("rescaling", 1 / 255, 0.0),
        Normalization("standardised", normal(8), normal(8) ** 2, (1,)),
        Permute("turned", (2, 1)),
        Flatten("flatten"),
        dense("first_hidden", 48, 5),
        BatchNormalization("scaled", *scales),
        dense("output", 5, 2),
    )
    network = probe.Network(layers, (8, 6))
    found = probe.weight_images(network, "output")
    # The Jacobian without what lies below the first dense layer, which only rearranges.
    inner = probe.Network(layers[2:], (8, 6))
    for j, image in enumerate(found.images):
        np.testing.assert_allclose(image, jacobian(inner, "output", j), rtol=1e-12)
    first = probe.weight_images(network)
    np.testing.assert_array_equal(first.images[1], layers[4].kernel[:, 1].reshape(6, 8).T)


def test_branches_have_no_expanded_weights():
    layers = (Flatten("flatten"), dense("a", 6, 4), dense("b", 6, 4), Add("sum"), dense("output", 4, 2))
    wiring = ((0,), ("flatten",), ("flatten",), ("a", "b"), ("sum",))
    network = probe.Network(layers, (2, 3), wiring=wiring)
    assert probe.weight_images(network, "b").kind == "weights"
    with pytest.raises(InputError, match="'sum'"):
        probe.weight_images(network, "output")
