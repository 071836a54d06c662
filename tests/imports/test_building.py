"""A network from operations: layouts, names, folded activations, and refusals that say where."""

import time

import numpy as np
import pytest

from probe import InputError
from probe.imports._building import Building
from probe.layers import ActivationLayer, AveragePooling2D, Conv2D, MaxPooling2D

RNG = np.random.default_rng(0)


def test_the_network_takes_images_with_their_channels_last():
    building = Building("net")
    kernel = RNG.normal(size=(4, 2, 3, 3))
    x = building.input((2, 6, 7))
    y = building.at("conv", "conv2d").conv(x, kernel, None, padding=(1, 1))
    network = building.finish([building.at("flat", "flatten").flatten(y)])
    assert network.input_shape == (6, 7, 2) and network.layer_shapes["conv"] == (4, 6, 7)
    image = np.zeros((1, 6, 7, 2), np.float32)
    image[0, 3, 3, 1] = 1
    middle = network.outputs(image).reshape(4, 6, 7)[:, 2:5, 2:5]
    np.testing.assert_allclose(middle, kernel[:, 1, ::-1, ::-1], rtol=1e-6)


def test_an_activation_becomes_part_of_the_weights_in_front_unless_they_are_read_elsewhere():
    building = Building("net")
    x = building.input((3,))
    first = building.at("first", "linear").linear(x, np.eye(3))
    bent = building.at("bent", "relu").elementwise(first, "relu")
    second = building.at("second", "linear").linear(bent, np.eye(3))
    curved = building.at("curved", "tanh").elementwise(second, "tanh")
    network = building.finish([building.at("sum", "add").binary("add", second, curved)])
    assert network.layer_names == ("first", "second", "curved", "sum")
    assert network.layers[0].activation.name == "relu" and isinstance(network.layers[2], ActivationLayer)
    np.testing.assert_allclose(network.outputs(np.float32([[-1, 0, 2]])), [[0, 0, 2 + np.tanh(2)]], rtol=1e-6)


def test_names_are_distinct_and_layers_that_lead_nowhere_are_left_out():
    building = Building("net")
    x = building.input((3,))
    place = building.at("relu", "relu")
    y = place.elementwise(place.elementwise(x, "relu"), "relu")
    place.elementwise(y, "tanh")
    assert building.finish([y]).layer_names == ("relu", "relu_1")


def test_shared_weights_are_shared_arrays():
    building = Building("net")
    weight, place = RNG.normal(size=(3, 3)), building.at("twice", "linear")
    network = building.finish([place.linear(place.linear(building.input((3,)), weight), weight)])
    assert network.layers[0].kernel is network.layers[1].kernel


@pytest.mark.parametrize(
    ("size", "window", "stride", "padding", "ceil_mode", "expected"),
    [
        (8, 3, 2, 1, False, ((1, 0), (1, 0))),
        (7, 3, 2, 1, False, "same"),
        (8, 2, 2, 0, True, "valid"),
        (7, 2, 2, 0, True, "same"),
        (7, 3, 2, 0, True, "valid"),
        (4, 1, 3, 0, True, "valid"),
    ],
)
def test_windows_lie_where_padding_and_ceil_mode_say(size, window, stride, padding, ceil_mode, expected):
    for pool, kind in (("max_pool", MaxPooling2D), ("avg_pool", AveragePooling2D)):
        building = Building("net")
        x = building.input((1, size, size))
        settings = {"count_include_pad": False} if pool == "avg_pool" else {}
        y = getattr(building.at("pool", pool), pool)(
            x,
            (window, window),
            stride=(stride, stride),
            padding=(padding, padding),
            ceil_mode=ceil_mode,
            **settings,
        )
        layer = building.finish([y]).layers[-1]
        assert isinstance(layer, kind) and layer.padding == expected


def test_constants_are_computed_at_once():
    place = Building("net").at("folded", "add")
    folded = place.binary("multiply", place.transpose(np.ones((2, 3)), 0, 1), 2.0)
    np.testing.assert_array_equal(place.reduce(folded, "sum", [0]), [6, 6])
    np.testing.assert_array_equal(place.concat([folded, folded], 1).shape, (3, 4))


def test_a_constant_can_stand_in_front_and_among_values():
    building = Building("net", batch=2)
    x = building.input((3,))
    place = building.at("less", "rsub")
    less = place.binary("subtract", np.float64([1, 2, 3]), place.binary("divide", 4.0, x))
    joined = building.at("joined", "cat").concat([less, np.tile([7.0, 8.0], (2, 1))], 1)
    network = building.finish([joined])
    np.testing.assert_allclose(network.outputs(np.float32([[1, 2, 4]])), [[-3, 0, 2, 7, 8]], rtol=1e-6)


def test_axes_that_are_repeated_cost_nothing_where_they_are_broadcast():
    building = Building("net")
    x = building.input((2, 3, 3))
    means = building.at("mean", "mean").reduce(x, "mean", [2, 3], True)
    wide = building.at("wide", "expand").expand(means, (-1, -1, 3, 3))
    product = building.at("product", "mul").binary("multiply", x, wide)
    assert building.finish([product]).layer_names == ("channels_first", "mean", "product")
    alone = building.finish([building.at("alone", "relu").flatten(wide)])
    assert alone.layer_shapes["alone"] == (18,)


@pytest.mark.parametrize(
    ("operate", "match"),
    [
        (lambda place, x: place.reduce(x, "mean", [0]), "works along the axis of the samples"),
        (lambda place, x: place.reshape(x, (-1, 6)), "mixes the samples of a batch; keep the first axis"),
        (lambda place, x: place.permute(x, (1, 0, 2, 3)), "moves the axis of the samples"),
        (lambda place, x: place.linear(x, np.ones((3, 4))), r"values of shape \(2, 4, 3\) with weights of shape"),
        (lambda place, x: place.batch_norm(x, None, None, None, None), "normalizes each batch by itself; call"),
        (lambda place, x: place.binary("add", x, place.reduce(x, "mean", [2, 3])), "joins samples of shapes"),
        (lambda place, x: place.conv(x, np.ones((3, 3, 1, 1))), "takes 3 channels, but gets shape"),
        (lambda place, x: place.conv(x, np.full((3, 2, 1, 1), np.nan)), "values that are not finite"),
    ],
)  # fmt: skip
def test_refusals_name_the_operation_and_its_line(operate, match):
    building = Building("net.pt2")
    x = building.input((2, 4, 3))
    with pytest.raises(InputError, match=f"^net.pt2: .*{match}"):
        operate(building.at("block/odd", "aten.odd", "net.py, line 3"), x)


def test_layers_with_channels_are_those_of_the_image():
    building = Building("net")
    y = building.at("conv", "conv2d").conv(building.input((4, 5, 5)), np.ones((8, 1, 3, 3)), groups=4)
    network = building.finish([y])
    last = network.layers[-1]
    assert type(last).__name__ == "DepthwiseConv2D" and last.data_format == "channels_first"
    assert network.channel_axis(last.name) == 0
    assert not isinstance(network.layers[-1], Conv2D)


def test_layers_are_counted_and_names_are_found_at_once():
    building = Building("net")
    x = building.input((2, 3, 3))
    began = time.process_time()
    with pytest.raises(InputError, match="net: it becomes more than the 5,000 layers that are made"):
        for _ in range(6000):
            x = building.at("relu", "relu").elementwise(x, "relu")
    assert time.process_time() - began < 1
    assert building.free_name("relu") == "relu_4999" == building.free_name("relu")


def test_margins_and_sizes_that_take_too_much_are_refused():
    building = Building("net")
    x = building.input((2, 6, 6))
    at = building.at("big", "op")
    for pool in (at.max_pool, at.avg_pool):
        with pytest.raises(InputError, match=r"net: .* more than "):
            pool(x, (10**9, 10**9), stride=(1, 1), padding=(10**8 * 5, 10**8 * 5))
    tall = building.input((1, 10_000, 1), given=(10_000,))
    with pytest.raises(
        InputError, match="net: op makes 20001 x 1 pixels of 10000 x 1, more than are computed"
    ):
        building.at("tall", "op").resize(tall, (20_001, 1), "bilinear")
