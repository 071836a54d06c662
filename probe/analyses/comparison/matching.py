"""Hidden layers of two networks beside each other, with their units matched and held against chance."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from probe._checks import Array
from probe._matching import Pairs, best_pairs
from probe._progress import Progress, ProgressEvent
from probe.analyses.comparison.results import ALPHA, LayerPair
from probe.analyses.comparison.units import (
    N_ORDERS,
    Values,
    cka_of,
    correlated,
    permuted_best,
    rows_of,
    shared_layers,
    untrained_values,
    values_of,
)
from probe.analyses.comparison.weights import (
    Comparable,
    Ends,
    Gains,
    comparable,
    compared,
    drawn,
    exact_gains,
    gains_of,
    has_scale,
)
from probe.layers import Activation
from probe.network import Network

__all__ = ["layer_pairs"]

Floats = npt.NDArray[np.float64]
Networks = tuple[Network, Network]

_SURE = 1e-12
"""Units that are the same are worth as much as a correlation of 1 less this."""

_MOST_DRAWN = 32
"""Pairs whose weights are kept as images: all, or half of them the most alike and half those that changed most."""

_WORK = 5e10
"""Multiplications of all untrained networks of a kind; fewer are drawn of a network that needs more, 99 at least."""

_FEWEST = 99

STAGE = "untrained networks"


@dataclass(frozen=True, slots=True, eq=False)
class _Matched:
    """Two layers with the units that go best together."""

    first: Values
    second: Values
    correlations: Floats
    pairs: Pairs
    exact: Floats  # (n_pairs,): gains of pairs with the same weights, NaN for all others

    @classmethod
    def of(cls, first: Values, second: Values, exact: Floats) -> _Matched:
        """Return the layers with the pairs that say most of each other; units with the same weights come first."""
        correlations = correlated(first, second)
        signed = first.is_signed or second.is_signed
        is_exact = np.isfinite(exact)

        def gain(likeness: Floats) -> Floats:
            return _shared_information(likeness) + is_exact * _shared_information(np.ones(1))

        pairs = best_pairs(correlations, signed=signed, gain=gain)
        return cls(first, second, correlations, pairs, exact[pairs.first, pairs.second])

    @property
    def signed(self) -> bool:
        return self.first.is_signed or self.second.is_signed

    @property
    def strength(self) -> Floats:
        """Correlation of each pair, of its absolute value where signs are a symmetry."""
        found = self.correlations[self.pairs.first, self.pairs.second]
        return np.asarray(np.abs(found) if self.signed else found)

    @property
    def same(self) -> Gains:
        """How those units of the second that have the same weights become those of the first."""
        known = np.isfinite(self.exact)
        gain = np.where(known, self.exact, 1.0)
        return Gains(self.pairs, gain, np.zeros(len(gain)), known)


@dataclass(frozen=True, slots=True, eq=False)
class _Chance:
    """What two layers reach by chance."""

    limit: Floats
    p_values: Floats
    permuted: float
    cka_permuted: float
    cka_untrained: float


def _shared_information(correlations: Floats) -> Floats:
    """Return what one unit says of the other, if both are normal: a pair that is the same outweighs several that are alike.

    Below zero, where the other says nothing that counts, the correlation itself.
    """
    squares = np.minimum(correlations.clip(0) ** 2, 1 - _SURE)
    return np.where(correlations > 0, -0.5 * np.log1p(-squares), correlations)


def layer_pairs(
    networks: Networks, images: Array, n_null: int, rng: np.random.Generator, progress: Progress
) -> tuple[tuple[list[str], list[str]], tuple[LayerPair, ...], Floats, int]:
    """Return the names of all hidden layers, the pairs of them, the similarity of all, and the untrained networks taken."""
    first, second = (values_of(network, images) for network in networks)
    rows = [rows_of(values) for values in first], [rows_of(values) for values in second]
    cka = np.array([[cka_of(one, other) for other in rows[1]] for one in rows[0]])
    cka = cka.reshape(len(first), len(second))
    shared = shared_layers(first, second, cka)
    ends: Ends = [(first[i].end, second[j].end) for i, j in shared]
    layers = [comparable(networks, (first[i].layer, second[j].layer), ends) for i, j in shared]
    inputs, matched = _inputs(images), list[_Matched]()
    for (i, j), weights in zip(shared, layers, strict=True):
        exact = np.full((first[i].n_units, second[j].n_units), np.nan)
        if weights is not None:
            below = inputs(weights) if weights.source is None else matched[weights.source].same
            signed = first[i].is_signed or second[j].is_signed
            scaled = has_scale(_activations(networks, first[i], second[j]))
            exact = exact_gains(weights, below, signed=signed, scaled=scaled)
        matched.append(_Matched.of(first[i], second[j], exact))
    work = max(network.n_multiplications for network in networks) * len(images)
    n_null = int(min(n_null, max(_FEWEST, _WORK // work)))
    chances = _chances(networks, images, matched, shared, rows, n_null, rng, progress) if shared else []
    found = _layers(networks, images, matched, chances, layers, [float(cka[i, j]) for i, j in shared])
    names = [values.end for values in first], [values.end for values in second]
    return names, found, cka, n_null if shared else 0


def _inputs(images: Array) -> Callable[[Comparable], Gains]:
    """Return what gives the pixels that a layer reads, of which those count that vary, or its channels."""
    varies = np.ptp(images, axis=0).ravel() > 0

    def inputs(layers: Comparable) -> Gains:
        n_read = layers.kernels[0].shape[1]
        return Gains.alike(varies if len(varies) == n_read else np.ones(n_read, np.bool_))

    return inputs


def _activations(networks: Networks, first: Values, second: Values) -> tuple[Activation, Activation]:
    return networks[0].layer(first.end).activation, networks[1].layer(second.end).activation


def _chances(
    networks: Networks,
    images: Array,
    matched: Sequence[_Matched],
    shared: Sequence[tuple[int, int]],
    rows: tuple[list[Floats], list[Floats]],
    n_null: int,
    rng: np.random.Generator,
    progress: Progress,
) -> list[_Chance]:
    """Return what pairs of layers reach when one network learned nothing, or sees the images in any order."""
    best: tuple[list[list[Floats]], list[list[Floats]]] = [[] for _ in shared], [[] for _ in shared]
    cka: tuple[list[list[float]], list[list[float]]] = [[] for _ in shared], [[] for _ in shared]
    streams = rng.spawn(3)
    # Units of the first beside an untrained second, and the other way round.
    for side in (0, 1):
        untrained = untrained_values(networks[1 - side], images, n_null, streams[side])
        for k, values in enumerate(untrained):
            for at, (pair, layers) in enumerate(zip(matched, shared, strict=True)):
                own, other = (pair.first, pair.second)[side], values[layers[1 - side]]
                likeness = correlated(own, other)
                best[side][at].append((np.abs(likeness) if pair.signed else likeness).max(axis=1))
                if k < N_ORDERS:
                    cka[side][at].append(cka_of(rows[side][layers[side]], rows_of(other)))
            if (k + 1) % 10 == 0 or k + 1 == n_null:
                progress(ProgressEvent(STAGE, side * n_null + k + 1, 2 * n_null))
    found = []
    for at, (pair, layers) in enumerate(zip(matched, shared, strict=True)):
        units = [np.stack(best[side][at])[:, pair.pairs[side]] for side in (0, 1)]
        p_values = [(1 + (null >= pair.strength).sum(axis=0)) / (1 + n_null) for null in units]
        one, other_rows = rows[0][layers[0]], rows[1][layers[1]]
        orders = (streams[2].permutation(len(other_rows)) for _ in range(N_ORDERS))
        reordered = [cka_of(one, other_rows[order]) for order in orders]
        found.append(
            _Chance(
                limit=np.maximum(*(np.quantile(null, 1 - ALPHA, axis=0) for null in units)),
                p_values=np.maximum(*p_values),
                permuted=permuted_best(pair.first, pair.second, signed=pair.signed, rng=streams[2]),
                cka_permuted=float(np.quantile(reordered, 1 - ALPHA)),
                cka_untrained=max(float(np.quantile(cka[side][at], 1 - ALPHA)) for side in (0, 1)),
            )
        )
    return found


def _layers(
    networks: Networks,
    images: Array,
    matched: Sequence[_Matched],
    chances: Sequence[_Chance],
    layers: Sequence[Comparable | None],
    cka: Sequence[float],
) -> tuple[LayerPair, ...]:
    """Return what is known of each pair of layers."""
    from scipy.stats import false_discovery_control

    heads = networks[0].head_name, networks[1].head_name
    output = comparable(networks, heads, [(pair.first.end, pair.second.end) for pair in matched])
    readers = [*layers, output]
    q_values = [np.asarray(false_discovery_control(chance.p_values)) for chance in chances]
    gains: dict[int, Gains] = {len(matched): Gains.alike(np.ones(networks[0].n_units(heads[0]), np.bool_))}
    # From the last layer down: what reads a layer helps to tell its signs.
    for k in reversed(range(len(matched))):
        pair, chance = matched[k], chances[k]
        above = next(
            ((each, gains[at]) for at, each in enumerate(readers) if each and each.source == k), None
        )
        is_known = (q_values[k] <= ALPHA) & (pair.strength > chance.permuted) | np.isfinite(pair.exact)
        activations = _activations(networks, pair.first, pair.second)
        gains[k] = gains_of(
            (pair.first, pair.second), activations, pair.pairs, pair.strength, pair.exact, above, is_known
        )
    inputs, found = _inputs(images), list[LayerPair]()
    for k, weights in enumerate(layers):
        below = (
            None if weights is None else inputs(weights) if weights.source is None else gains[weights.source]
        )
        found.append(_layer(networks, matched[k], chances[k], q_values[k], cka[k], weights, below, gains[k]))
    return tuple(found)


def _layer(
    networks: Networks,
    pair: _Matched,
    chance: _Chance,
    q_values: Floats,
    cka: float,
    weights: Comparable | None,
    below: Gains | None,
    own: Gains,
) -> LayerPair:
    n_pairs = len(pair.pairs.first)
    cosine, change, other = np.full(n_pairs, np.nan), np.full(n_pairs, np.nan), np.nan
    if weights is not None and below is not None and below.is_known.any():
        cosine, change, other = compared(weights, below, own)
    signs = np.sign(own.gain)
    found = LayerPair(
        first=pair.first.end,
        second=pair.second.end,
        n_first=pair.first.n_units,
        n_second=pair.second.n_units,
        correlations=pair.correlations,
        pairs=np.stack(pair.pairs[:2], axis=1).astype(np.int64),
        signs=signs,
        scales=np.abs(own.gain),
        similarity=signs * pair.correlations[pair.pairs.first, pair.pairs.second],
        chance=chance.limit,
        p_values=chance.p_values,
        q_values=q_values,
        permuted=chance.permuted,
        weight_similarity=cosine,
        weight_change=change,
        weight_chance=other,
        cka=cka,
        cka_permuted=chance.cka_permuted,
        cka_untrained=chance.cka_untrained,
        drawn=np.zeros(0, np.int64),
        first_images=np.zeros((0, 1, 1), np.float32),
        second_images=np.zeros((0, 1, 1), np.float32),
        planes=1,
    )
    chosen = found.changed
    if n_pairs > _MOST_DRAWN:
        chosen = np.concatenate([chosen[: _MOST_DRAWN // 2], chosen[-_MOST_DRAWN // 2 :]])
    chosen = np.sort(chosen)
    names = pair.first.layer, pair.second.layer
    first, second, planes = drawn(networks, names, own, chosen)
    return replace(
        found,
        drawn=chosen if len(first) else found.drawn,
        first_images=first,
        second_images=second,
        planes=planes,
    )
