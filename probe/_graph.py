"""How the layers of a network are joined, and the ways forward and back through them."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Container, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from typing import NamedTuple, TypeVar

import numpy as np

from probe._channels import channel_axes
from probe._checks import Array, InputError, even_chunks
from probe._parallel import free_workers, in_turn, single_threaded_blas
from probe.layers import (
    Activation,
    ActivationLayer,
    Concatenate,
    Conv2D,
    Dense,
    Flatten,
    Layer,
    Merge,
    Pullback,
    Rescaling,
)
from probe.objectives import Stage

__all__ = [
    "Graph",
    "Node",
    "Pass",
    "Shape",
    "Wiring",
    "activated",
    "chain_of",
    "joined",
    "split_output",
    "with_second_unit",
]

Part = TypeVar("Part")
Returned = TypeVar("Returned")
Shape = tuple[int, ...]
Node = tuple[int, Stage]
"""An index in the order of evaluation, and which of a layer's two values."""

Wiring = tuple[tuple[str | int, ...], ...]
"""For each layer what it reads: names of layers before it, or k for the k-th input of the network."""

_BATCH_VALUES = 1 << 18
"""Most values of the widest layer at a time: 1 MiB in float32, which a cache holds. Longer batches are split."""

_MANY_WEIGHTS = 250_000
"""Weights of a matrix from which its product with a part of a batch takes milliseconds, and a second thread helps."""


class Pass(NamedTuple):
    """What one layer computed for a batch, and the ways back through its two parts."""

    pre_activation: Array
    activation: Array
    pre_activation_pullback: Pullback
    activation_pullback: Pullback


@dataclass(frozen=True, slots=True, eq=False)
class Graph:
    """The layers of a network by their indices in the order of evaluation.

    Attributes
    ----------
    layers : tuple of Layer
        In the order of evaluation.
    sources : tuple of tuple of int
        For each layer the indices that it reads; -1 - k stands for the k-th input of the network.
    shapes : dict of str to tuple of int
        Shape of one output of each layer, by name, in order.
    channel_axes : dict of int to int
        Which axis of one output counts units or channels, by index; see `probe._channels.channel_axes`.
    postponed : dict of int to int
        Layers whose activation can as well come after the one layer that reads them, and that layer: the greatest of
        some values is the same before and after a function that never falls, and there are fewer of them after.
    multiplies_little : bool
        Whether its products are small: kernels go over windows, or no matrix has many weights. Then BLAS is held to one
        thread: two would wait for each other in each product, which takes up to fifty times as long where other work is
        done as well.
    """

    layers: tuple[Layer, ...]
    sources: tuple[tuple[int, ...], ...]
    shapes: Mapping[str, Shape]
    channel_axes: Mapping[int, int]
    postponed: Mapping[int, int] = field(default_factory=dict)
    multiplies_little: bool = False

    def ancestors(self, indices: Iterable[int], known: Container[int] = ()) -> list[int]:
        """Return `indices` and all indices that they depend on, in the order of evaluation; not beyond `known` ones.

        Examples
        --------
        >>> Graph((), ((-1,), (0,), (0,), (1, 2)), {}, {}).ancestors([2])
        [0, 2]
        """
        ancestors: set[int] = set()
        open_ = [*indices]
        while open_:
            index = open_.pop()
            if index >= 0 and index not in ancestors and index not in known:
                ancestors.add(index)
                open_ += self.sources[index]
        return sorted(ancestors)

    def beside(self, index: int, above: int) -> list[int]:
        """Return which other layers are read on all ways from the layer `index` up to `above`."""
        depending = {index}
        for each in self.ancestors([above]):
            if depending.intersection(self.sources[each]):
                depending.add(each)
        read = {source for each in depending - {index} for source in self.sources[each] if source >= 0}
        return sorted(read - depending)

    def last_readers(self, indices: Sequence[int]) -> dict[int, list[int]]:
        """Return for each of `indices` what none of the later ones reads any more."""
        last = {source: index for index in indices for source in self.sources[index]}
        released: dict[int, list[int]] = {index: [] for index in indices}
        for source, index in last.items():
            released[index].append(source)
        return released

    def parts(self, n_samples: int) -> Iterator[slice]:
        """Split a batch so that the widest layer's output is not too large."""
        largest = max(map(math.prod, self.shapes.values()))
        size = max(1, _BATCH_VALUES // largest)
        return even_chunks(n_samples, size)

    def values(
        self, inputs: Sequence[Array], nodes: Sequence[Node], known: Mapping[int, Array] | None = None
    ) -> dict[Node, Array]:
        """Return what the layers at some indices compute; other values are given up on the way.

        What layers put out that are `known`, by index, is taken as it is.
        """
        given = {**{-1 - k: values for k, values in enumerate(inputs)}, **(known or {})}
        indices = self.ancestors((index for index, _ in nodes), known or ())
        later = self.postponed_without([*(index for index, _ in nodes), *(known or ())])
        done_with = self.last_readers(indices)

        def of_part(rows: slice) -> dict[Node, Array]:
            live, found = {source: values[rows] for source, values in given.items()}, dict[Node, Array]()
            for index in indices:
                layer = self.layers[index]
                z = layer.pre_activation(*(live[source] for source in self.sources[index]))[0]
                z, live[index] = self.finished(index, z, later)
                computed: dict[Node, Array] = {
                    (index, "pre_activation"): z,
                    (index, "activation"): live[index],
                }
                found.update((node, values) for node, values in computed.items() if node in nodes)
                for source in done_with[index]:
                    del live[source]
            return found

        parts = list(self.shared(of_part, self.parts(len(inputs[0]))))
        return {
            node: parts[0][node] if len(parts) == 1 else np.concatenate([part[node] for part in parts])
            for node in nodes
        }

    def shared(self, function: Callable[[Part], Returned], parts: Iterable[Part]) -> Iterator[Returned]:
        """Give what `function` returns for each of the parts of a batch; all cores share them."""
        parts = list(parts)
        workers = free_workers() if len(parts) > 1 else 1
        with self.held():
            yield from in_turn(function, parts, workers=workers)

    def held(self) -> AbstractContextManager[None]:
        """Hold BLAS to one thread where that pays."""
        return single_threaded_blas() if self.multiplies_little else nullcontext()

    def postponed_without(self, indices: Iterable[int]) -> dict[int, int]:
        """Return which layers may leave their activation to the layer that reads them; not those at `indices`."""
        asked = set(indices)
        return {index: reader for index, reader in self.postponed.items() if index not in asked}

    def finished(self, index: int, z: Array, later: Mapping[int, int]) -> tuple[Array, Array]:
        """Return what a layer computes before and after its activation, from `z`, and with what others left to it."""
        source = self.sources[index][0]
        if later.get(source) == index:
            z = activated(self.layers[source], z)[0]
        return z, z if index in later else activated(self.layers[index], z)[0]

    def passes(self, inputs: Sequence[Array], indices: Collection[int]) -> dict[int, Pass]:
        """Go forward to `indices`; return what each layer on the way computed, with its ways back.

        Other layers may leave their activation to the layer that reads them, see `postponed`.
        """
        passes: dict[int, Pass] = {}
        later = self.postponed_without(indices)
        with self.held():
            for index in self.ancestors(indices):
                layer, read = self.layers[index], self.sources[index]
                z, pre_activation_pullback = layer.pre_activation(
                    *(passes[source].activation if source >= 0 else inputs[-1 - source] for source in read)
                )
                if later.get(read[0]) == index:
                    z, below = activated(self.layers[read[0]], z)
                    pre_activation_pullback = _chained(below, pre_activation_pullback)
                y, activation_pullback = (z, _same) if index in later else activated(layer, z)
                passes[index] = Pass(z, y, pre_activation_pullback, activation_pullback)
        return passes

    def input_gradient(self, passes: Mapping[int, Pass], seeds: Mapping[Node, Array]) -> Array:
        """Return the gradient with respect to the first input, from gradients at some indices and stages."""
        arrived = dict[int, Array]()
        with self.held():
            for _ in self._arrivals(passes, seeds, arrived, lambda source: True):
                pass
        return arrived[-1]

    def parameter_gradients(
        self,
        passes: Mapping[int, Pass],
        inputs: Sequence[Array],
        seeds: Mapping[Node, Array],
        learning: Container[str] | None = None,
    ) -> list[tuple[Array, Array]]:
        """Return each array that a layer learns, with its gradient; an array of several layers once for each.

        Left out are layers that are not in `learning`, and those whose gradients steps make zero.
        """
        learns, above = set[int](), set[int]()
        for index in sorted(passes):
            layer = self.layers[index]
            if layer.activation.name == "step" and (index, "pre_activation") not in seeds:
                continue
            if layer.trainable and (learning is None or layer.name in learning):
                learns.add(index)
            if index in learns or any(source in above for source in self.sources[index]):
                above.add(index)
        found = list[tuple[Array, Array]]()
        with self.held():
            for index, gradient in self._arrivals(passes, seeds, {}, above.__contains__):
                if index in learns:
                    layer = self.layers[index]
                    (source,) = self.sources[index]
                    x = passes[source].activation if source >= 0 else inputs[-1 - source]
                    variables = layer.variables
                    for name, variable_gradient in layer.variable_gradients(x, gradient).items():
                        found.append((variables[name], variable_gradient))
        return found

    def _arrivals(
        self,
        passes: Mapping[int, Pass],
        seeds: Mapping[Node, Array],
        arrived: dict[int, Array],
        wanted: Callable[[int], bool],
    ) -> Iterator[tuple[int, Array]]:
        """Go back from the last layer; give each index with the gradient at its pre-activation.

        What arrives below is added up in `arrived`; gradients go on to the sources that are `wanted`.
        """

        def add(index: int, gradient: Array) -> None:
            arrived[index] = gradient if index not in arrived else arrived[index] + gradient

        for index in sorted(passes, reverse=True):
            if (index, "activation") in seeds:
                add(index, seeds[index, "activation"])
            gradient = arrived.pop(index, None)
            if gradient is not None:
                gradient = passes[index].activation_pullback(gradient)
            seed = seeds.get((index, "pre_activation"))
            if seed is not None:
                gradient = seed if gradient is None else gradient + seed
            if gradient is None:
                continue
            yield index, gradient
            sources = self.sources[index]
            if not any(map(wanted, sources)):
                continue
            below = passes[index].pre_activation_pullback(gradient)
            parts = below if isinstance(self.layers[index], Merge) else (below,)
            for source, part in zip(sources, parts, strict=True):
                if wanted(source):
                    add(source, part)


def activated(layer: Layer, z: Array) -> tuple[Array, Pullback]:
    """Return the activation of `z` and its pullback; `z` itself where the layer has none."""
    if layer.activation.name == "linear":
        return z, _same
    return layer.activation.forward(z)


def _same(dy: Array) -> Array:
    return dy


def _chained(first: Pullback, then: Pullback) -> Pullback:
    return lambda dy: then(first(dy))


def _postponed(layers: Sequence[Layer], sources: Sequence[Sequence[int]]) -> dict[int, int]:
    """Return `Graph.postponed`."""
    readers: dict[int, list[int]] = {}
    for index, read in enumerate(sources):
        for source in read:
            readers.setdefault(source, []).append(index)
    return {
        index: readers[index][0]
        for index, layer in enumerate(layers)
        if len(readers.get(index, ())) == 1
        and layers[readers[index][0]].selects
        and layer.activation.name != "linear"
        and layer.activation.turning_point == -math.inf
        and _is_defined_below_zero(layer.activation)
    }


def _is_defined_below_zero(activation: Activation) -> bool:
    with np.errstate(all="ignore"):
        return bool(np.isfinite(activation.forward(np.array([[-1.5]]))[0]).all())


def chain_of(layers: Sequence[Layer]) -> Wiring:
    """Return the wiring in which each layer reads the one before, and the first the network's input."""
    return ((0,), *((layer.name,) for layer in layers[:-1]))


def joined(layers: Sequence[Layer], wiring: Wiring, input_shapes: Sequence[Shape]) -> Graph:
    """Return the graph of `layers`, which are in the order of evaluation.

    Raises
    ------
    InputError
        If names repeat, a layer reads what is not there yet, or shapes do not fit.
    """
    if len(wiring) != len(layers):
        raise InputError(f"wiring must say for each of {len(layers)} layers what it reads, got {len(wiring)}")
    indices: dict[str, int] = {}
    sources: list[tuple[int, ...]] = []
    shapes: dict[str, Shape] = {}
    for index, (layer, read) in enumerate(zip(layers, wiring, strict=True)):
        if layer.name in indices:
            raise InputError(f"layer names must be distinct, but '{layer.name}' occurs twice")
        if not read or (len(read) > 1 and not isinstance(layer, Merge)):
            raise InputError(f"layer '{layer.name}' takes one input, but wiring gives it {len(read)}")
        inputs = []
        for source in read:
            if isinstance(source, int) and 0 <= source < len(input_shapes):
                inputs.append((-1 - source, input_shapes[source]))
            elif isinstance(source, str) and source in indices:
                inputs.append((indices[source], shapes[source]))
            else:
                raise InputError(f"layer '{layer.name}' reads {source!r}, which does not come before it")
        sources.append(tuple(index for index, _ in inputs))
        shapes[layer.name] = layer.output_shape(*(shape for _, shape in inputs))
        indices[layer.name] = index
    by_index = dict(enumerate(shapes.values())) | {-1 - k: shape for k, shape in enumerate(input_shapes)}
    axes = channel_axes(layers, sources, by_index)
    kernels = [layer.variables[name] for layer in layers for name in layer.kernel_axes]
    multiplies_little = any(kernel.ndim > 2 for kernel in kernels) or all(
        kernel.size < _MANY_WEIGHTS for kernel in kernels
    )
    return Graph(tuple(layers), tuple(sources), shapes, axes, _postponed(layers, sources), multiplies_little)


def with_second_unit(
    layers: Sequence[Layer], sources: Sequence[Sequence[int]], head: int, output: int
) -> tuple[Layer, ...] | None:
    """Return `layers` with units of -z/2 and z/2 in place of the last one, of z, and softmax behind them.

    The pre-activation of the layer `head` is z. None is returned where layers between the last weights and the output
    mix channels or bend them.
    """
    index, on_the_way = output, list[int]()
    while _takes_two_channels(layers[index]) and sources[index][0] >= 0:
        on_the_way.append(index)
        index = sources[index][0]
    last = layers[index]
    bends = any(layers[k].activation.name != "linear" for k in (index, *on_the_way) if k != head)
    first = any(getattr(layers[k], "data_format", "") == "channels_first" for k in (index, *on_the_way))
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
