"""A network with its channels first is the same network: every number about its units is that of its twin."""

from dataclasses import fields, is_dataclass

import numpy as np
import pytest
from subjects import ablated

import probe
from probe import InputError, Network
from probe._layout import hidden_ends, input_layout, map_layout
from probe.analyses.comparison.matching import layer_pairs
from probe.analyses.comparison.units import values_of
from probe.analyses.comparison.weights import comparable
from probe.analyses.concepts.units import layer_values
from probe.analyses.unit.measuring import by_unit
from probe.datasets import Dataset, Split
from probe.layers import (
    ActivationLayer,
    Add,
    BatchNormalization,
    Concatenate,
    Conv2D,
    Dense,
    Flatten,
    GlobalAveragePooling2D,
    GlobalMaxPooling2D,
    GroupNormalization,
    MaxPooling2D,
    Multiply,
    Permute,
    Rescaling,
    Reshape,
    UpSampling2D,
)

pytestmark = pytest.mark.filterwarnings("ignore::probe.ProbeWarning")  # networks that learned nothing

SHAPE, CLASSES = (10, 8, 3), ("a", "b", "c", "d")
UNITS = {
    "conv_1": 4, "bn_1": 4, "relu_1": 4, "conv_2": 6, "norm_2": 6, "relu_2": 6, "conv_3": 4, "bn_3": 4, "sum": 4,
    "relu_3": 4, "scaled": 4, "pool": 4, "both": 8, "dense": 5, "output": 4,
}  # fmt: skip


def normal(*shape, seed=0):
    return 0.4 * np.random.default_rng(seed).standard_normal(shape, np.float32)


def batch_norm(name, n, axis, seed):
    return BatchNormalization(
        name, 1 + normal(n), normal(n), normal(n, seed=seed), normal(n) ** 2 + 0.5, axis
    )


def network(data_format, *, flat=False, seed=0):
    """Return a residual network; with the channels first as the reader of PyTorch makes it, with the axes moved."""
    first = data_format == "channels_first"
    axis, images = (1 if first else -1), {"data_format": data_format}
    convs = {"padding": "same", **images}
    layers = {
        "conv_1": (Conv2D("conv_1", normal(3, 3, 3, 4, seed=seed), normal(4), **convs), 0),
        "bn_1": (batch_norm("bn_1", 4, axis, seed + 1), "conv_1"),
        "relu_1": (ActivationLayer("relu_1", "relu"), "bn_1"),
        "conv_2": (Conv2D("conv_2", normal(3, 3, 4, 6, seed=seed + 2), normal(6), **convs), "relu_1"),
        "norm_2": (GroupNormalization("norm_2", normal(6) + 1, normal(6), 2, axis), "conv_2"),
        "relu_2": (ActivationLayer("relu_2", "relu"), "norm_2"),
        "conv_3": (Conv2D("conv_3", normal(1, 1, 6, 4, seed=seed + 3), normal(4), **convs), "relu_2"),
        "bn_3": (batch_norm("bn_3", 4, axis, seed + 4), "conv_3"),
        "sum": (Add("sum"), "relu_1", "bn_3"),
        "relu_3": (ActivationLayer("relu_3", "relu"), "sum"),
        "scaled": (Rescaling("scaled", 2.0, 0.25), "relu_3"),
        "pool": (MaxPooling2D("pool", (2, 2), **images), "scaled"),
        "both": (Concatenate("both", axis), "pool", "pool"),
    }
    kernel = normal(8, 5, seed=seed + 5)
    if flat:
        kernel = normal(5, 4, 8, 5, seed=seed + 5) / 4
        kernel = (kernel.transpose(2, 0, 1, 3) if first else kernel).reshape(-1, 5)
    vector = Flatten("vector") if flat else GlobalAveragePooling2D("vector", **images)
    layers |= {
        "vector": (vector, "both"),
        "dense": (Dense("dense", kernel, normal(5), "relu"), "vector"),
        "output": (Dense("output", normal(5, 4, seed=seed + 6), normal(4), "softmax"), "dense"),
    }
    shape = (SHAPE[2], *SHAPE[:2]) if first else SHAPE
    wiring = tuple(read for _, *read in layers.values())
    made = Network(tuple(layer for layer, *_ in layers.values()), shape, CLASSES, wiring)
    return made.with_input_shape(SHAPE)


def pair(**settings):
    return network("channels_last", **settings), network("channels_first", **settings)


def some(n=120):
    """Return images with a bright row that says their class."""

    def drawn(seed):
        rng = np.random.default_rng(seed)
        labels = rng.integers(0, len(CLASSES), n)
        images = 0.3 * rng.random((n, *SHAPE), np.float32)
        images[np.arange(n), 2 * labels] = 1
        return Dataset(images, labels, CLASSES)

    return Split(drawn(0), drawn(1), "things")


IMAGES = some(20).test.images


def check_alike(first, second, where="", tolerance=2e-3):
    """Raise unless two results hold the same."""
    assert type(first) is type(second), where
    if isinstance(first, np.ndarray) and np.issubdtype(first.dtype, np.inexact):
        np.testing.assert_allclose(first, second, rtol=tolerance, atol=tolerance, err_msg=where)
    elif isinstance(first, np.ndarray):
        np.testing.assert_array_equal(first, second, err_msg=where)
    elif isinstance(first, float):
        assert first == pytest.approx(second, rel=tolerance, abs=tolerance, nan_ok=True), where
    elif is_dataclass(first):
        # A convolution reads the input in one network and the moved axes in the other.
        for field in (field for field in fields(first) if field.name != "reads"):
            check_alike(getattr(first, field.name), getattr(second, field.name), f"{where}.{field.name}")
    elif isinstance(first, dict):
        check_alike(list(first), list(second), where)
        for key, value in first.items():
            check_alike(value, second[key], f"{where}[{key!r}]")
    elif isinstance(first, (tuple, list)):
        assert len(first) == len(second), where
        for k, (one, other) in enumerate(zip(first, second, strict=True)):
            check_alike(one, other, f"{where}[{k}]")
    else:
        assert first == second, where


def test_the_twins_compute_the_same_and_have_the_same_units():
    last, first = pair(flat=True)
    np.testing.assert_allclose(last.logits(IMAGES), first.logits(IMAGES), rtol=1e-4, atol=1e-4)
    for each, axis in ((last, 2), (first, 0)):
        assert {name: each.n_units(name) for name in UNITS} == UNITS
        maps = [name for name in UNITS if len(each.layer_shapes[name]) == 3]
        assert len(maps) == 13 and {each.channel_axis(name) for name in maps} == {axis}
        assert input_layout(each) == "channels_last"
    assert hidden_ends(last) == hidden_ends(first)
    assert first.unit_names("relu_3") == ("0", "1", "2", "3")
    assert last.n_multiplications == first.n_multiplications


@pytest.mark.parametrize("name", UNITS)
def test_units_have_the_same_values_gradients_and_effects(name):
    last, first = pair(flat=True)
    means = [by_unit(each, name, each.activations(IMAGES)[name]) for each in (last, first)]
    assert means[0].shape == (20, UNITS[name])
    check_alike(*means)
    check_alike(*(layer_values(each, (name,), IMAGES)[name].units for each in (last, first)))
    unit = UNITS[name] - 1
    position = None if last.layer_shapes[name] == (UNITS[name],) else (1, 3)
    for at in (None, position):
        objective = probe.unit(name, unit, position=at)
        check_alike(*(each.input_gradient(IMAGES, objective) for each in (last, first)))
    if name != "output":
        for each in (last, first):
            without = each.logits_without(IMAGES, name, [0, unit], np.array([0.1, 0.3]))
            expected = [
                ablated(each, name, k, constant).logits(IMAGES) for k, constant in ((0, 0.1), (unit, 0.3))
            ]
            check_alike(without, np.stack(expected))
    with pytest.raises(InputError, match=f"must be from 0 to {unit}, got {unit + 1}"):
        first.input_gradient(IMAGES, probe.unit(name, unit + 1))


def test_cards_of_units():
    last, first = (probe.unit_cards(each, some(), most_units=3, seed=0) for each in pair(flat=True))
    assert [layer.n_units_in_layer for layer in first.layers] == [4, 6, 4, 5, 4]
    check_alike(last, first)


def test_concepts():
    check_alike(
        *(
            probe.concepts(
                each, some(), layers=("relu_1", "relu_2", "conv_3"), n_permutations=19, n_rotations=19
            )
            for each in pair()
        )
    )


def test_comparison_of_networks():
    last, first = (
        layer_pairs(networks, IMAGES, 19, np.random.default_rng(0), lambda event: None)
        for networks in zip(pair(), pair(seed=7), strict=True)
    )
    assert [layer.n_first for layer in first[1]] == [4, 6, 4, 5]
    check_alike(last, first)


def test_weights_and_places_to_compare():
    last, first = pair(flat=True)
    check_alike(*(values_of(each, IMAGES) for each in (last, first)))
    turned = network("channels_first", flat=True)
    for name in ("conv_2", "conv_3", "output"):
        ends = [(end, end) for end in hidden_ends(first).values()]
        check_alike(*(comparable((each, each), (name, name), ends) for each in (last, first)))
    kernel = normal(4 * 10 * 8, 2)
    by_pixel = kernel.reshape(4, 80, 2).transpose(1, 0, 2)
    for data_format, rows in (("channels_last", kernel), ("channels_first", by_pixel.reshape(-1, 2))):
        layers = (*turned.truncate("relu_1").layers, Flatten("flat", data_format), Dense("out", rows))
        short = Network(layers, SHAPE)
        found = comparable((short, short), ("out", "out"), [("relu_1", "relu_1")])
        np.testing.assert_array_equal(found.kernels[0], by_pixel)


def test_maximization_weights_and_certificates():
    objectives = [probe.unit("relu_1", 3), probe.unit("bn_3", 1, position=(2, 5)), probe.unit("dense", 0)]
    last, first = (probe.maximize(each, objectives, restarts=2, steps=5, seed=0) for each in pair(flat=True))
    check_alike(last, first)
    for name in ("conv_1", "conv_2", "dense"):
        check_alike(*(probe.weight_images(each, name) for each in pair(flat=True)))
    assert map_layout(pair()[1], "both") == "channels_first"


FIRST = {"data_format": "channels_first"}


@pytest.mark.parametrize(
    ("layers", "wiring", "shape", "expected"),
    [
        # What reads a layer says it where nothing below does: behind a Reshape, and of the input.
        (
            [Reshape("a", (1, 9, 7)), Rescaling("b", 2.0), Conv2D("c", normal(3, 3, 1, 2), None, **FIRST)],
            None, (9, 7), {"a": 0, "b": 0, "c": 0},
        ),
        ([Permute("a", (2, 3, 1)), ActivationLayer("b", "relu"), MaxPooling2D("c")], None, (3, 9, 7), {0: 0, "a": 2}),
        # The gates of squeeze and excitation, first among what is multiplied.
        (
            [
                MaxPooling2D("a", **FIRST), GlobalMaxPooling2D("b", **FIRST), Reshape("c", (3, 1, 1)),
                ActivationLayer("d", "sigmoid"), Multiply("e"), ActivationLayer("f", "relu"),
            ],
            ((0,), ("a",), ("b",), ("c",), ("d", "a"), ("e",)), (3, 9, 7),
            {"c": 0, "d": 0, "e": 0, "f": 0},
        ),
        # ConvNeXt: the axes are moved, and dense layers read the last.
        (
            [
                MaxPooling2D("a", **FIRST), Permute("b", (2, 3, 1)), Dense("c", normal(3, 4)),
                ActivationLayer("d", "gelu"), Dense("e", normal(4, 3)), Permute("f", (3, 1, 2)), Add("g"),
            ],
            ((0,), ("a",), ("b",), ("c",), ("d",), ("e",), ("a", "f")), (3, 9, 7),
            {"a": 0, "b": 2, "d": 2, "f": 0, "g": 0},
        ),
        ([UpSampling2D("a", **FIRST), Flatten("b"), Reshape("c", (4, 7, 27))], None, (3, 9, 7), {"a": 0, "b": 0, "c": None}),
        ([ActivationLayer("a", "relu"), Flatten("b", **FIRST)], None, (3, 9, 7), {0: 0, "a": 0}),
    ],
)  # fmt: skip
def test_layers_that_do_not_say_it_have_the_axis_of_those_around_them(layers, wiring, shape, expected):
    axes = Network(tuple(layers), shape, wiring=wiring or ()).channel_axes
    assert {name: axes.get(name) for name in expected} == expected
