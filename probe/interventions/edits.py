"""Edits of networks: units silenced, cloned and flipped, weights pruned and moved at random."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from probe._checks import Array, InputError, check_integer, check_number
from probe._signatures import checked
from probe.layers import (
    ActivationLayer,
    Affine,
    Augmentation,
    Dense,
    Dropout,
    Flatten,
    Layer,
    Noise,
    Normalization,
    Permute,
    Rescaling,
    Reshape,
)
from probe.network import Network
from probe.safeh5 import printable

__all__ = [
    "EDITS",
    "MOST_EDITS",
    "Clone",
    "Edit",
    "Flip",
    "Prune",
    "Shake",
    "Silence",
    "apply_edits",
    "check_dense_chain",
    "deviates",
]

Floats = npt.NDArray[np.float64]

MOST_EDITS = 1_000
"""Most edits of a recipe."""

MOST_WORK = 2_000_000_000
"""Most parameters of a network times edits, some ten seconds: what a recipe costs is bounded."""

_FRONT = (Affine, Flatten, Reshape, Permute, Rescaling, Normalization)
"""Layers that may stand before the first dense one."""

_PASSING = (ActivationLayer, Augmentation, Dropout, Noise)
"""Layers that may stand anywhere: each unit by itself."""


@dataclass(frozen=True, slots=True)
class Edit:
    """A change of a chain of dense layers. Subclasses say which, and have the fields that a recipe gives.

    Attributes
    ----------
    op : str
        What recipes call it.
    """

    op: ClassVar[str] = ""

    def to_dict(self) -> dict[str, str | int | float]:
        """Return the edit as a recipe has it.

        Examples
        --------
        >>> Prune(0.5).to_dict()
        {'op': 'prune', 'share': 0.5}
        """
        return {"op": self.op, **{name: value for name, value in asdict(self).items() if value is not None}}

    def apply(self, network: Network) -> Network:
        """Return `network` after the edit.

        Raises
        ------
        InputError
            If it is no chain of dense layers, has no such layer or unit, or a value is outside its range.
        """
        raise NotImplementedError(type(self).__name__)


@dataclass(frozen=True, slots=True)
class _OfUnit(Edit):
    """An edit of one unit.

    Parameters
    ----------
    layer : str
        Name of a dense layer.
    unit : int
        Index of the unit, from 0.
    """

    layer: str
    unit: int

    def _own(self, network: Network) -> tuple[Dense, Floats, Floats | None]:
        """Return the layer, and copies of its kernel and bias."""
        (own,) = _chosen(network, self.layer)
        check_integer(f"unit of '{printable(self.layer, 60)}'", self.unit, minimum=0, maximum=own.n_units - 1)
        return own, own.kernel.astype(np.float64), None if own.bias is None else own.bias.astype(np.float64)

    def _reader(self, network: Network) -> Dense:
        """Return the dense layer that reads the layer."""
        names = [layer.name for layer in network.dense_layers]
        if self.layer == names[-1]:
            raise InputError(
                f"layer must be a hidden layer to {self.op} a unit of, got the last one, '{printable(self.layer, 60)}': "
                f"nothing reads its units. Pass one of {', '.join(names[:-1]) or 'a network with hidden layers'}"
            )
        return network.dense_layers[names.index(self.layer) + 1]


@checked
@dataclass(frozen=True, slots=True)
class Silence(_OfUnit):
    """Nothing reads the unit any more: its outgoing weights become zero."""

    op: ClassVar[str] = "silence"

    def apply(self, network: Network) -> Network:
        """Return `network` with the unit silenced."""
        self._own(network)
        reader = self._reader(network)
        kernel = reader.kernel.astype(np.float64)
        kernel[self.unit] = 0
        return _with(network, {reader.name: (kernel, reader.bias)})


@checked
@dataclass(frozen=True, slots=True)
class Clone(_OfUnit):
    """A copy of the unit becomes the layer's last one, and each has half of the outgoing weights: the function stays."""

    op: ClassVar[str] = "clone"

    def apply(self, network: Network) -> Network:
        """Return `network` with the unit there twice."""
        own, kernel, bias = self._own(network)
        reader = self._reader(network)
        outgoing = reader.kernel.astype(np.float64)
        outgoing[self.unit] /= 2
        wider = np.concatenate([kernel, kernel[:, self.unit, None]], axis=1)
        biases = None if bias is None else np.append(bias, bias[self.unit])
        changed = np.concatenate([outgoing, outgoing[self.unit, None]])
        return _with(network, {own.name: (wider, biases), reader.name: (changed, reader.bias)})


@checked
@dataclass(frozen=True, slots=True)
class Flip(_OfUnit):
    """The unit's incoming weights and its bias change sign, and so does its pre-activation."""

    op: ClassVar[str] = "flip"

    def apply(self, network: Network) -> Network:
        """Return `network` with the unit's sign changed."""
        own, kernel, bias = self._own(network)
        kernel[:, self.unit] *= -1
        if bias is not None:
            bias[self.unit] *= -1
        return _with(network, {own.name: (kernel, bias)})


@checked
@dataclass(frozen=True, slots=True)
class Prune(Edit):
    """The smallest weights become zero; of equal ones those that come first, layer by layer and row by row.

    Parameters
    ----------
    share : float, in [0, 1]
        Share of all weights; biases are none.
    layer : str, optional
        Name of the dense layer whose weights these are; all dense layers by default.
    """

    op: ClassVar[str] = "prune"

    share: float
    layer: str | None = None

    def apply(self, network: Network) -> Network:
        """Return `network` with so many weights at zero."""
        check_number("share", self.share, minimum=0, maximum=1)
        layers = _chosen(network, self.layer)
        weights = _flat(layers)
        smallest = np.argsort(np.abs(weights), kind="stable")
        weights[smallest[: math.floor(self.share * len(weights) + 0.5)]] = 0
        return _with_weights(network, layers, weights)


@checked
@dataclass(frozen=True, slots=True)
class Shake(Edit):
    """Each weight moves by a normal deviate; recipes call it noise.

    Parameters
    ----------
    scale : float, in [0, 100]
        Standard deviation of the moves, as a share of that of the kernel's weights.
    seed : int, in [0, 2**32 - 1]
        The deviates follow from it, in the page too.
    layer : str, optional
        Name of the dense layer whose weights move; those of all dense layers by default.
    """

    op: ClassVar[str] = "noise"

    scale: float
    seed: int
    layer: str | None = None

    def apply(self, network: Network) -> Network:
        """Return `network` with its weights moved."""
        check_number("scale", self.scale, minimum=0, maximum=100)
        check_integer("seed", self.seed, minimum=0, maximum=2**32 - 1)
        layers = _chosen(network, self.layer)
        deviations = np.concatenate(
            [np.full(layer.kernel.size, layer.kernel.std(dtype=np.float64)) for layer in layers]
        )
        weights = _flat(layers)
        moves = self.scale * deviations * deviates(len(weights), self.seed)
        return _with_weights(network, layers, weights + moves)


EDITS: Mapping[str, type[Edit]] = {kind.op: kind for kind in (Silence, Clone, Flip, Prune, Shake)}
"""The edits by what recipes call them."""


@checked
def apply_edits(network: Network, edits: Sequence[Edit]) -> Network:
    """Return `network` after all `edits`, each applied to what the one before left.

    Parameters
    ----------
    network : Network
        A chain of dense layers. Activations, dropout and noise may stand between them, and before the first one layers
        that scale or rearrange the image.
    edits : sequence of Edit
        At most 1,000, and fewer for a network of more than 2,000,000 parameters.

    Returns
    -------
    Network
        Each edit is computed in float64, and rounded to the type of the network.

    Raises
    ------
    InputError
        If the network is no such chain, an edit does not fit it, or there are too many.

    Examples
    --------
    >>> from probe.layers import Dense
    >>> kernel = np.array([[1.0, -3.0], [2.0, 4.0]], dtype=np.float32)
    >>> network = Network((Dense("hidden", kernel, activation_name="relu"), Dense("output", kernel)), (2,))
    >>> edited = apply_edits(network, [Clone("hidden", 1), Silence("hidden", 0)])
    >>> edited.layer("hidden").kernel
    array([[ 1., -3., -3.],
           [ 2.,  4.,  4.]], dtype=float32)
    >>> edited.layer("output").kernel
    array([[0., 0.],
           [1., 2.],
           [1., 2.]], dtype=float32)
    """
    check_dense_chain(network)
    n = len(edits)
    if n > MOST_EDITS or n * network.n_parameters > MOST_WORK:
        most = min(MOST_EDITS, MOST_WORK // network.n_parameters)
        raise InputError(f"edits must be at most {most:,} for this network, got {n:,}")
    for number, edit in enumerate(edits, start=1):
        try:
            network = edit.apply(network)
        except InputError as error:
            raise InputError(f"edit {number} ({edit.op}): {error}") from None
    return network


def check_dense_chain(network: Network) -> None:
    """Raise unless `network` is a chain of dense layers that can be edited."""
    dense = network.dense_layers
    first = network.layers.index(dense[0]) if dense else 0
    bad = next(
        (
            layer.name
            for index, layer in enumerate(network.layers)
            if not isinstance(layer, (Dense, *_PASSING, *(_FRONT if index < first else ())))
        ),
        None,
    )
    shared = len({id(layer.kernel) for layer in dense}) < len(dense)
    vectors = all(len(network.input_shapes_of(layer.name)[0]) == 1 for layer in dense)
    if bad is not None or not dense or shared or not vectors or not network.is_chain:
        why = f": layer '{printable(bad, 60)}' is none" if bad is not None else ""
        raise InputError(
            f"edits need a chain of dense layers, each with weights of its own and reading a vector, with nothing but "
            f"activations and dropout between them{why}"
        )


def deviates(n: int, seed: int) -> Floats:
    """Return `n` normal deviates that any language computes alike: Mulberry32's bits by Box and Muller's formula.

    References
    ----------
    .. [1] G. E. P. Box, M. E. Muller, "A note on the generation of random normal deviates", 1958.

    Examples
    --------
    >>> deviates(2, 4294967295)
    array([0.17357399, 0.43423345])
    """
    k = np.arange(1, 2 * -(-n // 2) + 1, dtype=np.uint64).astype(np.uint32)
    with np.errstate(over="ignore"):
        t = np.uint32(seed) + k * np.uint32(0x6D2B79F5)
        t = (t ^ (t >> 15)) * (t | np.uint32(1))
        t ^= t + (t ^ (t >> 7)) * (t | np.uint32(61))
    bits = (t ^ (t >> 14)).astype(np.float64)
    first, second = (bits[0::2] + 1) / 2**32, bits[1::2] / 2**32
    radius, angle = np.sqrt(-2 * np.log(first)), 2 * np.pi * second
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1).ravel()[:n]


def _chosen(network: Network, layer: str | None) -> tuple[Dense, ...]:
    """Return the dense layer of a name, or all of them."""
    if layer is None:
        return network.dense_layers
    found = tuple(dense for dense in network.dense_layers if dense.name == layer)
    if not found:
        names = ", ".join(dense.name for dense in network.dense_layers)
        raise InputError(f"layer must be one of {printable(names, 200)}; got {printable(layer, 60)!r}")
    return found


def _flat(layers: Sequence[Dense]) -> Floats:
    return np.concatenate([layer.kernel.astype(np.float64).ravel() for layer in layers])


def _with_weights(network: Network, layers: Sequence[Dense], weights: Floats) -> Network:
    ends = np.cumsum([layer.kernel.size for layer in layers])[:-1]
    kernels = np.split(weights, ends)
    changed = {
        layer.name: (kernel.reshape(layer.kernel.shape), layer.bias)
        for layer, kernel in zip(layers, kernels, strict=True)
    }
    return _with(network, changed)


def _with(network: Network, changed: Mapping[str, tuple[Array, Array | None]]) -> Network:
    """Return `network` with other kernels and biases, in the type of the layer, by the layers' names."""

    def of(layer: Layer) -> Layer:
        if not isinstance(layer, Dense) or layer.name not in changed:
            return layer
        kernel, bias = changed[layer.name]
        dtype = layer.kernel.dtype
        with np.errstate(over="ignore"):
            typed = kernel.astype(dtype), None if bias is None else bias.astype(dtype)
        if not np.isfinite(typed[0]).all():
            raise InputError(f"weights of '{printable(layer.name, 60)}' overflow. Pass a smaller scale")
        return replace(layer, kernel=typed[0], bias=typed[1])

    return replace(network, layers=tuple(map(of, network.layers)))
