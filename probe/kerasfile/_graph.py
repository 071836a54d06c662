"""Models inside models made flat: one node for each call of each layer, in the order of evaluation."""

from __future__ import annotations

import heapq
import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from probe._errors import ModelFileError
from probe.kerasfile._calls import Call, Reference
from probe.kerasfile._config import LayerSpec, Shape
from probe.kerasfile._models import MAX_LAYERS, MAX_READS, Entry, Model, input_shapes
from probe.kerasfile._steps import Program, StepSpec
from probe.safeh5 import DEFAULT_LIMITS, Limits, listed, shown

__all__ = ["MAX_NAMES", "ModelSpec", "Node", "Path", "flatten", "renamed"]

MAX_MODEL_CALLS = 500
"""Most calls of models inside models: those that hold no layer add none to the count of these."""

MAX_NAMES = 1 << 20
"""Most letters in the names of all layers together, where those of the models around them are in front."""

Path = tuple[str, ...]
"""Names of the models around a layer, and its own."""

_Value = int
"""A tensor while the graph is built: the place of a node, or -1 - k for the k-th input."""


@dataclass(frozen=True, slots=True)
class Node:
    """One call of a layer, under its name in the network; `sources` are nodes by name, and inputs by number.

    The calls of a shared layer have the same `path`.
    """

    spec: LayerSpec
    path: Path
    sources: tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """A whole model without models inside: its nodes in the order of evaluation, and those whose values it gives."""

    input_shapes: tuple[Shape, ...]
    nodes: tuple[Node, ...]
    outputs: tuple[str, ...]


def flatten(model: Model, limits: Limits = DEFAULT_LIMITS) -> ModelSpec:
    """Return the graph of all calls in `model`.

    All is counted before it is built: a few models inside each other can call a layer 10**12 times.
    """
    shapes = input_shapes(model)
    for shape in shapes:
        if math.prod(shape) > limits.activation_values:
            raise ModelFileError(
                f"model_config gives inputs of {math.prod(shape)} values, more than the {limits.activation_values} "
                "that are computed with"
            )
    flattening = _Flattening()
    outputs = flattening.inside(model, (), [-1 - k for k in range(len(shapes))], call=0, n_calls=1)
    nodes = flattening.nodes
    names = [node.spec.name for node in nodes]
    counts = Counter(names)
    if len(counts) != len(names):
        twice = next(name for name, count in counts.items() if count > 1)
        raise ModelFileError(f"model_config gives the name {shown(twice)} to two layers")
    if min(outputs) < 0:
        raise ModelFileError("model_config describes a model that gives an input of its own as output")

    def named(node: Node) -> Node:
        values = (value for value in node.sources if isinstance(value, int))
        return replace(node, sources=tuple(names[value] if value >= 0 else -1 - value for value in values))

    return ModelSpec(shapes, tuple(map(named, nodes)), tuple(names[value] for value in outputs))


@dataclass(slots=True)
class _Flattening:
    """The nodes so far, and how much was counted. The sources of these nodes are all values."""

    nodes: list[Node] = field(default_factory=list)
    resolved: dict[int, tuple[list[tuple[str, int, Call]], list[Reference]]] = field(default_factory=dict)
    n_models: int = 0
    n_reads: int = 0
    n_letters: int = 0

    def inside(
        self, model: Model, path: Path, inputs: list[_Value], *, call: int, n_calls: int
    ) -> list[_Value]:
        """Add the layers of `model`, of `n_calls` calls the one number `call`, and return its outputs."""
        n_inputs = 1 if model.is_sequential else len(model.inputs)
        if len(inputs) != n_inputs:
            model.spec.refuse(f"is called with {len(inputs)} inputs, takes {n_inputs}")
        if model.is_sequential:
            for entry in model.entries:
                if not entry.is_input:
                    inputs = self.called(entry, path, inputs, call, n_calls)
            return inputs
        values: dict[tuple[str, int], list[_Value]] = {
            (reference.name, 0): [value] for reference, value in zip(model.inputs, inputs, strict=True)
        }
        entries = model.by_name
        # The models live as long as this does, so that none takes the place of another.
        if id(model) not in self.resolved:
            ends = [_resolved(model, reference) for reference in model.outputs]
            self.resolved[id(model)] = _in_order(model), ends
        order, ends = self.resolved[id(model)]
        for name, k, reads in order:
            self.count(n_reads=len(reads))
            entry = entries[name]
            tensors, n_own = [_value(values, read, entry) for read in reads], len(entry.calls)
            values[name, k] = self.called(entry, path, tensors, call * n_own + k, n_calls * n_own)
        self.count(n_reads=len(ends))
        return [_value(values, end, entries[end.name]) for end in ends]

    def called(self, entry: Entry, path: Path, inputs: list[_Value], call: int, n_calls: int) -> list[_Value]:
        """Add one call of a layer, or of all layers of a model, and return its outputs."""
        here = (*path, entry.spec.name)
        if entry.model is not None:
            self.count(n_models=1)
            return self.inside(entry.model, here, inputs, call=call, n_calls=n_calls)
        at = f"@{call}" if n_calls > 1 else ""
        if entry.programs:
            own = call % len(entry.programs)
            return self.run(entry.spec, entry.programs[own], here, inputs, own, at)
        return [self.node(entry.spec, here, at, inputs)]

    def run(
        self, spec: LayerSpec, program: Program, path: Path, inputs: list[_Value], own: int, at: str
    ) -> list[_Value]:
        """Add the steps of a call that is no layer in the file, and return its outputs."""
        made: list[_Value] = []
        last = len(program.steps) - 1
        for k, step in enumerate(program.steps):
            # What comes out has the name in the file.
            is_end = k == last and program.outputs == (last,)
            end = at if is_end else f"/{k + 1}{at}"
            reads = [made[index] if index >= 0 else inputs[-1 - index] for index in step.reads]
            described = StepSpec(spec.class_name, spec.name, {}, spec.keras, step)
            made.append(self.node(described, path, end, reads, (*path, f"{own}.{k}")))
        return [made[index] for index in program.outputs]

    def node(
        self, spec: LayerSpec, path: Path, end: str, inputs: list[_Value], key: Path | None = None
    ) -> _Value:
        """Add a node that is called after `path`, with `end` behind it; its weights are those of `key`."""
        if len(self.nodes) >= MAX_LAYERS:
            raise ModelFileError(f"model_config calls layers more than {MAX_LAYERS} times")
        self.count(n_letters=sum(map(len, path)))
        name = "/".join(path) + end
        self.nodes.append(Node(replace(spec, name=name), path if key is None else key, tuple(inputs)))
        return len(self.nodes) - 1

    def count(self, *, n_models: int = 0, n_reads: int = 0, n_letters: int = 0) -> None:
        """Add to what was counted, and refuse too much of it."""
        self.n_models += n_models
        self.n_reads += n_reads
        self.n_letters += n_letters
        if self.n_models > MAX_MODEL_CALLS:
            raise ModelFileError(f"model_config calls models inside it more than {MAX_MODEL_CALLS} times")
        if self.n_reads > MAX_READS:
            raise ModelFileError(f"model_config calls layers with more than {MAX_READS} tensors in all")
        if self.n_letters > MAX_NAMES:
            raise ModelFileError(
                f"model_config gives its layers names of more than {MAX_NAMES} letters in all"
            )


def _value(values: dict[tuple[str, int], list[_Value]], at: Reference, reader: Entry) -> _Value:
    outputs = values.get((at.name, at.node), [])
    if at.tensor >= len(outputs):
        reader.spec.refuse(f"reads output {at.tensor} of {shown(at.name)}, which does not exist")
    return outputs[at.tensor]


def _in_order(model: Model) -> list[tuple[str, int, Call]]:
    """Return all calls of a functional model so that each comes after those it reads, else as in the file."""
    calls = [
        (entry.spec.name, k, tuple(_resolved(model, read, entry) for read in call))
        for entry in model.entries
        for k, call in enumerate(entry.calls)
    ]
    indices = {(name, k): index for index, (name, k, _) in enumerate(calls)}
    waiting = [0] * len(calls)
    readers: list[list[int]] = [[] for _ in calls]
    for index, (_, _, reads) in enumerate(calls):
        for read in {(read.name, read.node) for read in reads} & indices.keys():
            waiting[index] += 1
            readers[indices[read]].append(index)
    ready = [index for index, count in enumerate(waiting) if not count]
    order: list[int] = []
    while ready:
        order.append(heapq.heappop(ready))
        for reader in readers[order[-1]]:
            waiting[reader] -= 1
            if not waiting[reader]:
                heapq.heappush(ready, reader)
    if len(order) < len(calls):
        stuck = next(calls[index][0] for index, count in enumerate(waiting) if count)
        raise ModelFileError(f"model_config describes a loop through layer {shown(stuck)}")
    return [calls[index] for index in order]


def _resolved(model: Model, reference: Reference, reader: Entry | None = None) -> Reference:
    """Return `reference` with the number of the call that it means, checked; without a reader, of an output."""
    who = model.spec if reader is None else reader.spec
    entry = model.by_name.get(reference.name)
    if entry is None:
        who.refuse(f"reads {shown(reference.name)}, which model_config does not describe")
    if entry.is_input:
        if reference.name not in model.input_names:
            who.refuse(f"reads {shown(reference.name)}, which is not among the inputs of its model")
        return reference._replace(node=0)
    node = reference.node
    if entry.model is not None and len(entry.calls) == 1:
        node = 0
    elif entry.model is not None:
        is_functional_output = reader is None and entry.spec.class_name != "Sequential"
        # The first node of a model is that of its own inputs and outputs; Keras 3 counts it here only.
        node -= entry.spec.keras < 3 or is_functional_output
    if not 0 <= node < len(entry.calls):
        who.refuse(f"reads call {reference.node} of {shown(entry.spec.name)}, which has {len(entry.calls)}")
    return reference._replace(node=node)


def renamed(spec: ModelSpec, own_names: Mapping[str, str]) -> ModelSpec:
    """Return `spec` with the names and the order of `own_names`, which has the names of the file as keys."""
    if not own_names:
        return spec
    names = {node.spec.name for node in spec.nodes}
    if own_names.keys() != names:
        other = listed(own_names.keys() ^ names, limit=4)
        raise ModelFileError(f"/probe has own_names that are not for the layers of this model, as of {other}")
    order = {name: k for k, name in enumerate(own_names)}

    def own(node: Node) -> Node:
        sources = (own_names[source] if isinstance(source, str) else source for source in node.sources)
        return Node(replace(node.spec, name=own_names[node.spec.name]), node.path, tuple(sources))

    nodes = tuple(map(own, sorted(spec.nodes, key=lambda node: order[node.spec.name])))
    before: set[str | int] = set(range(len(spec.input_shapes)))
    for node in nodes:
        if not before.issuperset(node.sources):
            raise ModelFileError(
                f"/probe has own_names that list {shown(node.spec.name)} before what it reads"
            )
        before.add(node.spec.name)
    return ModelSpec(spec.input_shapes, nodes, tuple(own_names[name] for name in spec.outputs))
