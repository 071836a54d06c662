"""The last layers of a network: what its outputs stand for, and two logits in place of one unit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from probe._graph import Shape
from probe.layers import (
    ActivationLayer,
    Concatenate,
    Conv2D,
    Dense,
    Flatten,
    Layer,
    Rescaling,
)

__all__ = ["split_output", "why_no_classes", "with_second_unit"]


def why_no_classes(shape: Shape, activation: str, advice: str, *, is_regression: bool) -> str:
    """Return why outputs of `shape` behind `activation` stand for no classes, and what to do."""
    if is_regression:
        return (
            f"the network is a regression: its outputs, {shape}, are quantities and not classes. If they are logits of "
            "classes, call network.for_logits(), or pass --from-logits on the command line"
        )
    if shape == (1,) and activation == "linear":
        return (
            "the network has one linear output, which can be the logit of the second of two classes or a regression. If "
            "it is a logit, call network.for_logits(), or pass --from-logits on the command line; a regression has no "
            "classes"
        )
    if shape == (1,):
        always = ", which makes of it 1 whatever the input" * (activation == "softmax")
        return (
            f"the network has one output behind {activation}{always}; two classes need one sigmoid unit, one logit or two "
            "outputs"
        )
    return f"the network puts out {shape}, not one value for each class{advice}"


def with_second_unit(
    layers: Sequence[Layer], sources: Sequence[Sequence[int]], head: int, output: int
) -> tuple[Layer, ...] | None:
    """Return `layers` with units of -z/2 and z/2 in place of the last one, of z, and softmax behind them.

    Parameters
    ----------
    layers : sequence of Layer
        Of the network, in the order of evaluation.
    sources : sequence of sequence of int
        For each layer the indices that it reads.
    head, output : int
        Indices of the layer whose pre-activation is z, and of the output.

    Returns
    -------
    tuple of Layer or None
        None where layers between the last weights and the output mix channels or bend them.
    """
    index, on_the_way = output, list[int]()
    while _takes_two_channels(layers[index]) and sources[index][0] >= 0:
        on_the_way.append(index)
        index = sources[index][0]
    last = layers[index]
    bends = any(layers[k].activation.name != "linear" for k in (index, *on_the_way) if k != head)
    first = any(layers[k].channels_first for k in (index, *on_the_way))
    readers = [k for k, read in enumerate(sources) if set(read) & {index, *on_the_way}]
    if not isinstance(last, Dense | Conv2D) or bends or first or sorted(readers) != sorted(on_the_way):
        return None
    halves = {name: np.concatenate([-v / 2, v / 2], axis=-1) for name, v in last.variables.items()}
    changed = [*layers]
    changed[index] = replace(last, **halves)  # type: ignore[arg-type]
    changed[head] = changed[head].with_activation("softmax")
    return tuple(changed)


def split_output(
    layers: Sequence[Layer], head: int, output: str, names: Sequence[str]
) -> tuple[tuple[Layer, ...], tuple[tuple[str, ...], ...]]:
    """Return `layers` with four more that make -z/2 and z/2 of their output z, and what these four read."""
    first, second, both, classes = names
    changed = [*layers]
    changed[head] = changed[head].with_activation("linear")
    more = (
        Rescaling(first, -0.5),
        Rescaling(second, 0.5),
        Concatenate(both),
        ActivationLayer(classes, "softmax"),
    )
    return (*changed, *more), ((output,), (output,), (first, second), (both,))


def _takes_two_channels(layer: Layer) -> bool:
    """Return whether a layer does with two channels what it does with one, if its activation is linear."""
    return (layer.is_channelwise and layer.is_affine) or isinstance(layer, Flatten)
