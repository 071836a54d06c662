"""Weights of two networks in the terms of one: the order, the signs and the scales of the other's units undone."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from probe._checks import Array, InputError
from probe._layout import hidden_ends
from probe._matching import HOMOGENEOUS, Pairs, mirror
from probe.analyses.comparison.results import SAME
from probe.analyses.comparison.units import Values
from probe.analyses.weights import weight_images
from probe.layers import Activation, Conv2D, Dense, Flatten, Layer, Permute, Reshape
from probe.network import Network

__all__ = [
    "Comparable",
    "Ends",
    "Gains",
    "comparable",
    "compared",
    "drawn",
    "exact_gains",
    "gains_of",
    "has_scale",
]

Floats = npt.NDArray[np.float64]

_TAIL = 0.95


@dataclass(frozen=True, slots=True, eq=False)
class Gains:
    """How the units of a layer of the second network become those of the first: a_first = gain a_second + constant.

    Attributes
    ----------
    pairs : Pairs
        Which unit goes with which.
    gain, constant : ndarray of shape (n_pairs,)
    is_known : ndarray of shape (n_pairs,), bool
        Which pairs count for the layer above: those that are more alike than chance.
    """

    pairs: Pairs
    gain: Floats
    constant: Floats
    is_known: npt.NDArray[np.bool_]

    @classmethod
    def alike(cls, is_known: npt.NDArray[np.bool_]) -> Gains:
        """Return those of the same units in the same order, such as pixels or classes."""
        n, same = len(is_known), np.arange(len(is_known))
        return cls(Pairs(same, same, np.ones(n)), np.ones(n), np.zeros(n), is_known)


@dataclass(frozen=True, slots=True, eq=False)
class Comparable:
    """Two layers whose kernels have one shape, and the layers that they read.

    Attributes
    ----------
    kernels : tuple of ndarray
        Of both, (n_places, n_in, n_units): n_in counts units or channels of what is read.
    biases : tuple of ndarray of shape (n_units,)
    source : int or None
        Index of the pair of hidden layers that both read; None for the input.
    """

    kernels: tuple[Floats, Floats]
    biases: tuple[Floats, Floats]
    source: int | None


Ends = list[tuple[str, str]]
"""Of each pair of hidden layers the layers that put their units out."""


def comparable(networks: tuple[Network, Network], names: tuple[str, str], ends: Ends) -> Comparable | None:
    """Return two layers by their names, or None if their weights are not on the same things."""
    layers = networks[0].layer(names[0]), networks[1].layer(names[1])
    if not _is_of_one_kind(*layers):
        return None
    ways = [
        _way_down(network, name, {pair[k] for pair in ends})
        for k, (network, name) in enumerate(zip(networks, names, strict=True))
    ]
    if not _is_alike(ways[0].between, ways[1].between):
        return None
    read = ways[0].source, ways[1].source
    if None in read or (read != ("", "") and read not in ends):
        return None
    source = None if read == ("", "") else ends.index((str(read[0]), str(read[1])))
    first, second = (
        _by_source(network, layer, way) for network, layer, way in zip(networks, layers, ways, strict=True)
    )
    if first is None or second is None or first.shape[0] != second.shape[0]:
        return None
    if source is None and first.shape[1] != second.shape[1]:
        return None
    return Comparable((first, second), (_bias(layers[0], first), _bias(layers[1], second)), source)


def _is_of_one_kind(first: Layer, second: Layer) -> bool:
    """Whether both are dense, or convolutions that read the same places."""
    if isinstance(first, Dense) and isinstance(second, Dense):
        return True
    if not (isinstance(first, Conv2D) and isinstance(second, Conv2D)):
        return False
    settings = ("strides", "padding", "dilation_rate", "groups")
    same = all(getattr(first, name) == getattr(second, name) for name in settings)
    return same and first.kernel.shape[:2] == second.kernel.shape[:2]


@dataclass(frozen=True, slots=True, eq=False)
class _Way:
    """What a layer reads: the end of a hidden layer, "" for the input, None for anything else; and what is between."""

    source: str | None
    between: tuple[Layer, ...]


def _way_down(network: Network, name: str, ends: set[str]) -> _Way:
    between, at = list[Layer](), name
    while True:
        read = _read(network, at)
        if len(read) > 1:
            return _Way(None, ())
        if isinstance(read[0], int):
            return _Way("", tuple(between))
        if read[0] in ends:
            return _Way(read[0], tuple(between))
        at = read[0]
        between.append(network.layer(at))


def _read(network: Network, name: str) -> tuple[str | int, ...]:
    return network.wiring[network.layer_names.index(name)]


def _is_alike(first: tuple[Layer, ...], second: tuple[Layer, ...]) -> bool:
    """Whether layers do the same: they are of one class, with the same settings and arrays, whatever their names."""
    return len(first) == len(second) and all(
        type(one) is type(other)
        and all(
            np.array_equal(getattr(one, field.name), getattr(other, field.name))
            for field in fields(one)  # type: ignore[arg-type]
            if field.name != "name"
        )
        for one, other in zip(first, second, strict=True)
    )


def _by_source(network: Network, layer: Layer, way: _Way) -> Floats | None:
    """Return a kernel as (n_places, n_in, n_units), n_in the units or channels of what is read; None if these are mixed."""
    kernel = layer.variables["kernel"].astype(np.float64)
    if isinstance(layer, Conv2D):
        by_channel = kernel.reshape(-1, *kernel.shape[2:])
        return by_channel if way.source == "" or _n_units(network, way) == by_channel.shape[1] else None
    if way.source == "":
        return kernel[None]
    if any(isinstance(each, Permute | Reshape) for each in way.between):
        return None
    flattened = [each for each in way.between if isinstance(each, Flatten)]
    shape: tuple[int, ...] = (len(kernel),)
    axis = 0
    if flattened:
        (shape,), (read,) = network.input_shapes_of(flattened[0].name), _read(network, flattened[0].name)
        axis = network.channel_axes.get(read, len(shape) - 1)
        if flattened[0].data_format == "channels_first":
            shape, axis = (*shape[1:], shape[0]), (axis or len(shape)) - 1
    found: Floats = np.moveaxis(kernel.reshape(*shape, -1), axis, -2)
    found = found.reshape(-1, *found.shape[-2:])
    return found if found.shape[1] == _n_units(network, way) else None


def _n_units(network: Network, way: _Way) -> int:
    return network.n_units(str(way.source))


def _bias(layer: Layer, kernel: Floats) -> Floats:
    return np.asarray(layer.variables.get("bias", np.zeros(kernel.shape[2])), np.float64)


def has_scale(activations: tuple[Activation, Activation]) -> bool:
    """Return whether the scale of a unit is a symmetry of both networks."""
    return all(each.name in HOMOGENEOUS and not each.settings for each in activations)


def exact_gains(layers: Comparable, below: Gains, *, signed: bool, scaled: bool) -> Floats:
    """Return the gains (n_first, n_second) of units with the same weights, up to sign and scale; NaN for all others.

    On the units below that are known. Without biases, which hold the constants of those that are not.
    """
    known = below.is_known
    first, second = layers.kernels
    second = second[:, below.pairs.second[known]] / below.gain[known][:, None]
    rows = [kernel.reshape(-1, kernel.shape[2]).T for kernel in (first[:, below.pairs.first[known]], second)]
    lengths = [np.linalg.norm(each, axis=1) for each in rows]
    scale = np.multiply.outer(*lengths)
    if not known.any():
        return np.full(scale.shape, np.nan)
    cosines = np.divide(rows[0] @ rows[1].T, scale, out=np.zeros_like(scale), where=scale > 0)
    ratios = np.divide.outer(lengths[0], np.where(lengths[1] > 0, lengths[1], 1))
    is_exact = (np.abs(cosines) if signed else cosines) > 1 - SAME**2 / 2
    if not scaled:
        is_exact &= np.abs(ratios - 1) < SAME
        ratios = np.ones_like(ratios)
    return np.where(is_exact, np.sign(cosines) * ratios, np.nan)


def gains_of(
    pair: tuple[Values, Values],
    activations: tuple[Activation, Activation],
    pairs: Pairs,
    similarity: Floats,
    exact: Floats,
    above: tuple[Comparable, Gains] | None,
    is_known: npt.NDArray[np.bool_],
) -> Gains:
    """Return how the units of the second become those of the first.

    Signs and scales are those of the weights where these are the same, and else of the activations; or, for units that what
    reads them shows better, those of the weights out of them: a unit that has new weights into it still has its old ones
    out of it.
    """
    scaled = has_scale(activations)
    signed = any(values.is_signed for values in pair)
    gain = pairs.signs.copy()
    if scaled:
        deviations = [
            values.values[..., units].std(axis=(0, 1), dtype=np.float64)
            for values, units in zip(pair, pairs[:2], strict=True)
        ]
        is_alive = (deviations[0] > 0) & (deviations[1] > 0)
        gain[is_alive] *= (deviations[0] / np.where(is_alive, deviations[1], 1))[is_alive]
    if above is not None:
        out, other = _outgoing(*above, pairs)
        lengths = np.linalg.norm(out, axis=1), np.linalg.norm(other, axis=1)
        product = lengths[0] * lengths[1]
        cosine = np.divide((out * other).sum(axis=1), product, out=np.zeros(len(out)), where=product > 0)
        is_clearer = (np.abs(cosine) if signed else cosine) > np.abs(similarity)
        sign = np.where(signed & (cosine < 0), -1.0, 1.0)
        scale = lengths[1] / np.where(lengths[0] > 0, lengths[0], 1) if scaled else 1.0
        gain = np.where(is_clearer, sign * scale, gain)
    gain = np.where(np.isfinite(exact), exact, gain)
    constants = [each for each in map(mirror, reversed(activations)) if each is not None]
    return Gains(pairs, gain, np.where(gain < 0, constants[0] if constants else 0.0, 0.0), is_known)


def _outgoing(layers: Comparable, gains: Gains, pairs: Pairs) -> tuple[Floats, Floats]:
    """Return the weights out of the units of both, in the terms of the first, (n_pairs, ...)."""
    first, second = layers.kernels
    known = gains.is_known
    out = first[:, pairs.first][..., gains.pairs.first[known]]
    other = second[:, pairs.second][..., gains.pairs.second[known]] * gains.gain[known]
    return np.moveaxis(out, 1, 0).reshape(len(pairs.first), -1), np.moveaxis(other, 1, 0).reshape(
        len(pairs.first), -1
    )


def compared(layers: Comparable, below: Gains, own: Gains) -> tuple[Floats, Floats, float]:
    """Return cosine and relative difference of the weights of each pair, and what the cosine of other units exceeds."""
    first, second = layers.kernels
    shift = below.constant / below.gain
    bias = layers.biases[1] - np.einsum("pju,j->u", second[:, below.pairs.second], shift)
    known = below.is_known
    turned = second[:, below.pairs.second[known]] / below.gain[known][:, None]
    rows = [
        np.vstack([kernel[..., units].reshape(-1, len(units)), one[None, units]]).T
        for kernel, one, units in (
            (first[:, below.pairs.first[known]], layers.biases[0], own.pairs.first),
            (turned, bias, own.pairs.second),
        )
    ]
    rows[1] = rows[1] * own.gain[:, None]
    lengths = [np.linalg.norm(each, axis=1) for each in rows]
    scale = np.multiply.outer(*lengths)
    cosines = np.divide(rows[0] @ rows[1].T, scale, out=np.zeros_like(scale), where=scale > 0)
    difference = np.linalg.norm(rows[0] - rows[1], axis=1)
    change = np.divide(
        difference, lengths[0], out=np.where(difference > 0, np.inf, 0.0), where=lengths[0] > 0
    )
    others = np.abs(cosines[~np.eye(len(cosines), dtype=np.bool_)])
    return cosines.diagonal().copy(), change, float(np.quantile(others, _TAIL)) if len(others) else np.nan


def drawn(
    networks: tuple[Network, Network], names: tuple[str, str], own: Gains, chosen: npt.NDArray[np.int64]
) -> tuple[Array, Array, int]:
    """Return the weights of some pairs as images, those of the second in the terms of the first; empty if there are none.

    Weights on hidden channels are left out: their order is another one in each network.
    """
    nothing = np.zeros((0, 1, 1), np.float32), np.zeros((0, 1, 1), np.float32), 1
    try:
        first, second = (weight_images(network, name) for network, name in zip(networks, names, strict=True))
    except InputError:
        return nothing
    is_hidden = first.kind in ("kernels", "maps") and any(
        hidden_ends(network).keys() & _below(network, name)
        for network, name in zip(networks, names, strict=True)
    )
    if is_hidden or first.images.shape[1:] != second.images.shape[1:] or first.planes != second.planes:
        return nothing
    picked = [
        result.images.reshape(-1, result.planes, *result.images.shape[1:])[units[chosen]]
        for result, units in zip((first, second), own.pairs[:2], strict=True)
    ]
    turned = picked[1] * own.gain[chosen].astype(picked[1].dtype).reshape(-1, *(1,) * (picked[1].ndim - 1))
    shape = (-1, *first.images.shape[1:])
    return picked[0].reshape(shape), turned.reshape(shape), first.planes


def _below(network: Network, name: str) -> set[str]:
    """Return the layers that `name` depends on."""
    return set(network.truncate(name).layer_names) - {name}
