"""Shapes, settings and variables of every layer of a model, from its configuration alone."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from probe.kerasfile._config import Shape
from probe.kerasfile._graph import ModelSpec, Node, Path
from probe.kerasfile._kinds import Settings
from probe.kerasfile._layers import MAX_CONSTANTS, kind_of
from probe.layers import Layer

__all__ = ["expected_variables", "shapes_and_settings"]

MAX_LISTED = 50_000
"""Most entries of all lists in the settings of layers, those of a shared layer once for each call."""


def _inputs(spec: ModelSpec, shapes: Mapping[str, Shape], node: Node) -> list[Shape]:
    return [
        spec.input_shapes[source] if isinstance(source, int) else shapes[source] for source in node.sources
    ]


def shapes_and_settings(spec: ModelSpec, most: int) -> tuple[dict[str, Shape], dict[str, Settings]]:
    """Return the shape of one output of every node, and its settings, from the configuration alone.

    Settings that make no sense are refused before any weight is looked at. Calls of one layer share them.
    """
    shapes: dict[str, Shape] = {}
    settings: dict[str, Settings] = {}
    known: dict[tuple[Path, Shape], Settings] = {}
    n_constants = n_listed = 0
    for node in spec.nodes:
        kind, inputs = kind_of(node.spec), _inputs(spec, shapes, node)
        key = node.path, inputs[0]
        if key not in known:
            known[key] = kind.read_for(node.spec, inputs)
            n_constants += sum(_n_constants(value) for value in known[key].values())
        n_listed += sum(len(value) for value in known[key].values() if isinstance(value, tuple))
        if n_constants > MAX_CONSTANTS or n_listed > MAX_LISTED:
            node.spec.refuse(
                "has more numbers in its settings, with those of the layers before, than are read"
            )
        settings[node.spec.name] = known[key]
        shapes[node.spec.name] = kind.shape_of(node.spec, known[key], inputs, most)
    return shapes, settings


def _n_constants(setting: object) -> int:
    """Return the number of values in a setting that is an array, or a layer made of some."""
    if isinstance(setting, Layer):
        return setting.n_parameters
    return setting.size if isinstance(setting, np.ndarray) else 0


def expected_variables(spec: ModelSpec, shapes: Mapping[str, Shape]) -> dict[Path, dict[str, Shape]]:
    """Return the shapes of the variables of every layer."""
    expected: dict[Path, dict[str, Shape]] = {}
    for node in spec.nodes:
        shapes_here = kind_of(node.spec).variable_shapes(node.spec, _inputs(spec, shapes, node)[0])
        if expected.setdefault(node.path, shapes_here) != shapes_here:
            node.spec.refuse("is called with inputs that need weights of different shapes")
    return expected
