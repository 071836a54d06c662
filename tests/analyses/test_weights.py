import re

import numpy as np
import pytest

import probe
from probe._checks import InputError
from probe.analyses.weights import images_of_layers
from probe.layers import (
    ActivationLayer,
    Add,
    BatchNormalization,
    Conv1D,
    Conv2D,
    Dense,
    DepthwiseConv2D,
    Dropout,
    Flatten,
    GlobalAveragePooling2D,
    GlobalMaxPooling1D,
    LocallyConnected2D,
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
    assert probe.weight_images(network.with_input_shape((2, 3))).images.shape == (2, 2, 3)


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
def test_kernels_are_images_for_each_filter_and_channel_or_in_color(channels, shape, planes):
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


def test_expanded_weights_take_the_scales_of_normalizations_along():
    scales = (normal(5), normal(5), normal(5), normal(5) ** 2)
    layers = (
        Rescaling("rescaling", 1 / 255, 0.0),
        Normalization("standardized", normal(8), normal(8) ** 2, (1,)),
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


def channels_first(*, turned=False):
    """A network of images (2, 9, 7) with the channels first, and a dense layer on 4 maps of 3 x 2."""
    layers = [
        Conv2D("conv", normal(3, 3, 2, 4), normal(4), data_format="channels_first"),
        BatchNormalization("scaled", *(np.ones(4, np.float32),) * 4, axis=1),
        MaxPooling2D("pool", (2, 2), data_format="channels_first"),
        ActivationLayer("rectified", "relu"),
        Dropout("drop", 0.2),
        *([Permute("turned", (2, 3, 1))] if turned else []),
        Flatten("flatten"),
        dense("output", 24, 3, "softmax"),
    ]
    return probe.Network(tuple(layers), (2, 9, 7))


def test_maps_with_the_channels_first_are_shown_as_such():
    network = channels_first()
    found = probe.weight_images(network, "output")
    assert (found.kind, found.planes, found.images.shape) == ("maps", 4, (12, 3, 2))
    kernel = network.layer("output").kernel
    np.testing.assert_array_equal(found.images, kernel.T.reshape(3, 4, 3, 2).reshape(12, 3, 2))
    # What is moved last in front of the dense layer is read from where it was.
    kernel = channels_first(turned=True).layer("output").kernel
    found = probe.weight_images(channels_first(turned=True), "output")
    np.testing.assert_array_equal(
        found.images, kernel.T.reshape(3, 3, 2, 4).transpose(0, 3, 1, 2).reshape(12, 3, 2)
    )


def test_a_unit_is_moved_by_what_its_images_show():
    """The image of a unit and channel is the gradient of the unit with respect to that map: no matter the layout."""
    for network in (channels_first(), channels_first(turned=True)):
        found = probe.weight_images(network, "output")
        top = probe.Network(network.layers[-3:], network.layer_shapes["rectified"])
        if network.layers[-3].name != "turned":
            top = probe.Network(network.layers[-2:], network.layer_shapes["drop"])
        x = np.zeros((1, *top.input_shape))
        for unit in range(3):
            gradient = top.input_gradient(x, probe.unit("output", unit))[0]
            np.testing.assert_allclose(found.images[4 * unit : 4 * unit + 4], gradient, rtol=1e-12)


def test_kernels_do_not_depend_on_the_layout():
    found = probe.weight_images(channels_first(), "conv")
    kernel = channels_first().layer("conv").kernel
    assert (found.planes, found.images.shape) == (2, (8, 3, 3))
    np.testing.assert_array_equal(found.images[5], kernel[:, :, 1, 2])


def test_inputs_with_the_channels_first_are_shown_as_their_pixels():
    layers = (
        dense("output", 3 * 5 * 4, 2),
        MaxPooling2D("pool", (1, 1), data_format="channels_first"),
    )
    # A pooling layer says where the channels are; the dense layer reads the pixels themselves.
    network = probe.Network(
        (layers[1], Flatten("flatten"), layers[0]),
        (3, 5, 4),
        wiring=((0,), (0,), ("flatten",)),
        output_names=("output",),
    )
    found = probe.weight_images(network, "output")
    kernel = network.layer("output").kernel
    assert found.images.shape == (2, 5, 4, 3)
    np.testing.assert_array_equal(found.images, np.moveaxis(kernel.T.reshape(2, 3, 5, 4), 1, 3))


def test_a_layout_that_no_layer_says_is_asked_for():
    network = probe.Network((Flatten("flatten"), dense("output", 3 * 5 * 4, 2)), (3, 5, 4))
    with pytest.raises(
        InputError, match=r"layout must be given for inputs of shape \(3, 5, 4\): 'channels_first' if"
    ):
        probe.weight_images(network)
    kernel = network.layer("output").kernel
    first = probe.weight_images(network, layout="channels_first").images
    np.testing.assert_array_equal(first, np.moveaxis(kernel.T.reshape(2, 3, 5, 4), 1, 3))
    last = probe.weight_images(network, layout="channels_last")
    assert last.images.shape == (8, 3, 5)
    with pytest.raises(InputError, match="layout must be one of"):
        probe.weight_images(network, layout="first")
    with pytest.raises(
        InputError, match="layout must be 'channels_first', as the layers of this network say"
    ):
        list(images_of_layers(channels_first(), layout="channels_last"))


def test_norms_and_largest_weights_are_those_of_each_unit():
    found = probe.weight_images(convolutional(2), "conv_1")
    kernel = convolutional(2).layer("conv_1").kernel
    np.testing.assert_allclose(found.norms, np.sqrt((kernel**2).sum(axis=(0, 1, 2))))
    np.testing.assert_allclose(found.largest.reshape(6, 2), np.abs(kernel).max(axis=(0, 1)).T)


def test_the_images_of_all_layers_come_one_layer_at_a_time():
    network = convolutional()
    found = images_of_layers(network)
    assert next(found).layer == "conv_1"
    assert [result.layer for result in found] == ["depthwise", "separable", "output"]


def test_kernels_of_signals_are_images_of_one_row():
    kernel = np.random.default_rng(0).normal(size=(3, 8, 6)).astype("f4")
    network = probe.Network(
        (Conv1D("signal", kernel), GlobalMaxPooling1D("most"), Dense("out", np.ones((6, 2), "f4"))), (9, 8)
    )
    found = probe.weight_images(network, "signal")
    assert (found.kind, found.planes, found.images.shape) == ("kernels", 8, (48, 1, 3))
    np.testing.assert_array_equal(found.images.reshape(6, 8, 3), kernel.transpose(2, 1, 0))


def test_weights_without_a_place_are_no_images():
    layer = LocallyConnected2D("own", np.ones((9, 8, 2), "f4"), kernel_size=(2, 2))
    with pytest.raises(InputError, match="layer 'own' has other weights at each place of the image"):
        probe.weight_images(probe.Network((layer,), (4, 4, 2)), "own")
