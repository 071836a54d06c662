"""Objectives as text."""

import re

import numpy as np
import pytest

import probe
from probe._checks import InputError
from probe.ascent import parse_objective
from probe.layers import Conv2D, Dense, Flatten
from probe.objectives import class_logit, unit


def zeros(*shape):
    return np.zeros(shape, np.float32)


@pytest.fixture(scope="module")
def network():
    layers = (
        Conv2D("block1-conv", zeros(3, 3, 1, 4), zeros(4), activation_name="relu"),
        Flatten("2*flat"),
        Dense("hidden_1", zeros(144, 5), zeros(5), "sigmoid"),
        Dense("hidden_11", zeros(5, 5), zeros(5), "sigmoid"),
        Dense("output", zeros(5, 3), zeros(3), "softmax"),
    )
    return probe.Network(layers, (8, 8, 1), ("T-shirt/top", "2", "Ankle boot"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("hidden_1:4", unit("hidden_1", 4)),
        ("hidden_11:4", unit("hidden_11", 4)),
        ("class:2", class_logit(1)),
        ("class:0", class_logit(0)),
        ("class:T-shirt/top", class_logit(0)),
        ("class:T-shirt/top-class:Ankle boot", class_logit(0) - class_logit(2)),
        ("class:T-shirt/top - 0.5*hidden_1:4", class_logit(0) - 0.5 * unit("hidden_1", 4)),
        ("  -2 * hidden_1:0 + 1e-1*class:2 ", -2 * unit("hidden_1", 0) + 0.1 * class_logit(1)),
        ("+hidden_1:1", unit("hidden_1", 1)),
        ("-.5*hidden_1:1", -0.5 * unit("hidden_1", 1)),
        ("block1-conv:3", unit("block1-conv", 3)),
        ("block1-conv:3@2,5", unit("block1-conv", 3, position=(2, 5))),
        ("block1-conv:3@2,5-block1-conv:1@0, 0", unit("block1-conv", 3, position=(2, 5))
         - unit("block1-conv", 1, position=(0, 0))),
        ("2*flat:7", unit("2*flat", 7)),
        ("2*2*flat:7", 2 * unit("2*flat", 7)),
    ],
)  # fmt: skip
def test_what_is_written_is_what_is_meant(network, text, expected):
    assert parse_objective(text, network) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "objective '' cannot be read: is empty"),
        ("class:9", "objective 'class:9' cannot be read at '9': there is no such class; the classes are T-shirt/top, 2,"),
        ("hidden_9:1", "expected class:NAME or LAYER:UNIT, where LAYER is one of block1-conv, 2*flat, hidden_1,"),
        ("hidden_1:5", "layer 'hidden_1' has units 0 to 4"),
        ("hidden_1:x", "cannot be read at 'x': expected the number of a unit of 'hidden_1'"),
        ("class:2 class:0", "cannot be read at 'class:0': expected + or -"),
        ("class:2 -", "expected class:NAME or LAYER:UNIT, such as class:3 or hidden_1:4"),
        ("3", "expected class:NAME or LAYER:UNIT, such as class:3 or hidden_1:4"),
        ("class:2 - class:2", "must not be 0 everywhere: all its terms cancel"),
        ("block1-conv:1@9,9", "position in layer 'block1-conv' must lie in a map of shape (6, 6), got (9, 9)"),
        ("block1-conv:1@", "cannot be read at '@': expected a position such as @3,3"),
        ("hidden_1:1@0,0", "position in layer 'hidden_1' must be None: it has no positions, got (0, 0)"),
        (3, "text must be a string, got 3"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_says_where_and_what_was_expected(network, text, message):
    with pytest.raises(InputError, match=re.escape(message)):
        parse_objective(text, network)


def test_a_network_without_classes_asks_for_a_unit(network):
    with pytest.raises(InputError, match="this network has no classes: name a unit as LAYER:UNIT"):
        parse_objective("class:0", network.truncate("block1-conv"))
