"""Models inside models made flat: one node for each call of each layer, in the order of evaluation."""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from probe._checks import ModelFileError
from probe.storage._keras_config import LayerSpec, Shape, shown
from probe.storage._keras_models import MAX_LAYERS, Call, Entry, Model, Reference, input_shapes

__all__ = ["ModelSpec", "Node", "Path", "flatten"]

Path = tuple[str, ...]
"""Names of the models around a layer, and its own."""

_Value = int
"""A tensor while the graph is built: the place of a node, or -1 - k for the k-th input."""


@dataclass(frozen=True, slots=True)
class Node:
    """One call of one layer.

    Attributes
    ----------
    spec : LayerSpec
        The layer, under the name that it has in the network: its path, and "@k" where it is called often.
    path : tuple of str
        Which layer of the file it is; the calls of a shared layer have the same.
    sources : tuple of str or int
        Names of the nodes that it reads, or k for the k-th input of the network.
    """

    spec: LayerSpec
    path: Path
    sources: tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """A whole model as its file describes it, without models inside.

    Attributes
    ----------
    input_shapes : tuple of tuple of int
        Shape of one input, for each input.
    nodes : tuple of Node
        In the order of evaluation.
    outputs : tuple of str
        Names of the nodes whose values the model gives.
    """

    input_shapes: tuple[Shape, ...]
    nodes: tuple[Node, ...]
    outputs: tuple[str, ...]


def flatten(model: Model) -> ModelSpec:
    """Return the graph of all calls in `model`.

    Raises
    ------
    ModelFileError
        If calls form a loop, read what does not exist, or are too many.
    """
    shapes = input_shapes(model)
    flattening = _Flattening()
    outputs = flattening.inside(model, (), [-1 - k for k in range(len(shapes))], call=0, n_calls=1)
    nodes = flattening.nodes
    names = [node.spec.name for node in nodes]
    if len(set(names)) != len(names):
        twice = next(name for place, name in enumerate(names) if name in names[:place])
        raise ModelFileError(f"model_config gives the name {shown(twice)} to two layers")
    if min(outputs) < 0:
        raise ModelFileError("model_config describes a model that gives an input of its own as output")

    def source(value: _Value) -> str | int:
        return names[value] if value >= 0 else -1 - value

    named = tuple(Node(node.spec, node.path, tuple(map(source, node.sources))) for node in nodes)
    return ModelSpec(shapes, named, tuple(names[value] for value in outputs))


class _Open(NamedTuple):
    spec: LayerSpec
    path: Path
    sources: tuple[_Value, ...]


@dataclass(slots=True)
class _Flattening:
    nodes: list[_Open] = field(default_factory=list)

    def inside(
        self, model: Model, path: Path, inputs: list[_Value], *, call: int, n_calls: int
    ) -> list[_Value]:
        """Add the layers of `model`, of `n_calls` calls the one number `call`, and return its outputs."""
        if len(inputs) != model.n_inputs:
            model.spec.refuse(f"is called with {len(inputs)} inputs, takes {model.n_inputs}")
        if model.is_sequential:
            for entry in model.entries:
                if not entry.is_input:
                    inputs = self.called(entry, path, inputs, call, n_calls)
            return inputs
        values: dict[tuple[str, int], list[_Value]] = {
            (reference.name, 0): [value] for reference, value in zip(model.inputs, inputs, strict=True)
        }
        entries = {entry.spec.name: entry for entry in model.entries}
        for name, k, reads in _in_order(model, entries):
            entry, read = entries[name], [_value(values, found, entries[name]) for found in reads]
            n_own = len(entry.calls)
            values[name, k] = self.called(entry, path, read, call * n_own + k, n_calls * n_own)
        ends = [_resolved(model, entries, reference, at_the_end=True) for reference in model.outputs]
        return [_value(values, end, entries[end.name]) for end in ends]

    def called(self, entry: Entry, path: Path, inputs: list[_Value], call: int, n_calls: int) -> list[_Value]:
        """Add one call of a layer, or of all layers of a model, and return its outputs."""
        here = (*path, entry.spec.name)
        if entry.model is not None:
            return self.inside(entry.model, here, inputs, call=call, n_calls=n_calls)
        name = "/".join(here) + (f"@{call}" if n_calls > 1 else "")
        if len(self.nodes) >= MAX_LAYERS:
            raise ModelFileError(f"model_config calls layers more than {MAX_LAYERS} times")
        self.nodes.append(_Open(replace(entry.spec, name=name), here, tuple(inputs)))
        return [len(self.nodes) - 1]


def _value(values: dict[tuple[str, int], list[_Value]], at: Reference, reader: Entry) -> _Value:
    found = values.get((at.name, at.node), [])
    if at.tensor >= len(found):
        reader.spec.refuse(f"reads output {at.tensor} of '{at.name}', which does not exist")
    return found[at.tensor]


def _in_order(model: Model, entries: dict[str, Entry]) -> list[tuple[str, int, Call]]:
    """Return all calls of a functional model so that each comes after those it reads, else as in the file."""
    calls = [
        (entry.spec.name, k, tuple(_resolved(model, entries, read, reader=entry) for read in call))
        for entry in model.entries
        for k, call in enumerate(entry.calls)
    ]
    places = {(name, k): place for place, (name, k, _) in enumerate(calls)}
    waiting = [0] * len(calls)
    readers: list[list[int]] = [[] for _ in calls]
    for place, (_, _, reads) in enumerate(calls):
        for read in {(found.name, found.node) for found in reads} & places.keys():
            waiting[place] += 1
            readers[places[read]].append(place)
    ready = [place for place, count in enumerate(waiting) if not count]
    order: list[int] = []
    while ready:
        order.append(heapq.heappop(ready))
        for reader in readers[order[-1]]:
            waiting[reader] -= 1
            if not waiting[reader]:
                heapq.heappush(ready, reader)
    if len(order) < len(calls):
        stuck = next(calls[place][0] for place, count in enumerate(waiting) if count)
        raise ModelFileError(f"model_config describes a loop through layer {shown(stuck)}")
    return [calls[place] for place in order]


def _resolved(
    model: Model,
    entries: dict[str, Entry],
    reference: Reference,
    *,
    reader: Entry | None = None,
    at_the_end: bool = False,
) -> Reference:
    """Return `reference` with the number of the call that it means, checked."""
    who = reader.spec if reader is not None else model.spec
    entry = entries.get(reference.name)
    if entry is None:
        who.refuse(f"reads {shown(reference.name)}, which model_config does not describe")
    if entry.is_input:
        if reference.name not in (found.name for found in model.inputs):
            who.refuse(f"reads {shown(reference.name)}, which is not among the inputs of its model")
        return reference._replace(node=0)
    node = reference.node
    if entry.model is not None and len(entry.calls) == 1:
        node = 0
    elif entry.model is not None and _counts_from_one(entry, at_the_end=at_the_end):
        # The first node of a model is that of its own inputs and outputs.
        node -= 1
    if not 0 <= node < len(entry.calls):
        who.refuse(f"reads call {reference.node} of '{entry.spec.name}', which has {len(entry.calls)}")
    return reference._replace(node=node)


def _counts_from_one(entry: Entry, *, at_the_end: bool) -> bool:
    if entry.spec.keras < 3:
        return True
    return at_the_end and entry.spec.class_name != "Sequential"
