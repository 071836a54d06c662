import re

import numpy as np
import pytest

import probe
from probe._checks import InputError
from probe.layers import ActivationLayer, Dense, Dropout, Flatten, Reshape


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
    with pytest.raises(InputError, match="weight images need a dense layer, but this network has none"):
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
