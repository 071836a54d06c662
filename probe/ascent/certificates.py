"""How high and how low an objective can get in a region: exactly where it is affine, and by intervals elsewhere."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from probe._checks import Array
from probe._signatures import checked
from probe.ascent._climb import checked_objectives
from probe.ascent.intervals import Range, activation_range, pre_activation_range
from probe.ascent.regions import UNIT_BOX, Region
from probe.layers import Dense
from probe.network import Network
from probe.objectives import AnyObjective, LayerTerms, Stage, Term, unit
from probe.results import Record

__all__ = ["Bounds", "certify"]

_ROUNDINGS = 8
"""Of how many units in the last place of the sum of absolute terms a bound allows a network's arithmetic to be off."""

_MOST_VALUES = 1 << 24
"""Most weights from the inputs to the units of a layer that are looked at one by one."""


class Bounds(Record):
    """Between what each objective lies, wherever in the region its image is.

    Attributes
    ----------
    lower, upper : ndarray of shape (n_objectives,), float64
        No image of the region has a value beyond; infinite where there is no bound.
    exact : ndarray of shape (n_objectives,), bool
        Whether some image reaches them, up to rounding: all of them affine objectives.
    unbounded_layers : tuple of str
        For each objective the first layer whose outputs have no bound; "" where both bounds are finite.
    """

    lower: npt.NDArray[np.float64]
    upper: npt.NDArray[np.float64]
    exact: npt.NDArray[np.bool_]
    unbounded_layers: tuple[str, ...]

    def shares(self, values: Array) -> npt.NDArray[np.float64]:
        """Return how far up `values` (n_objectives, ...) are: 0 at the lower bound, 1 at the upper; NaN without bounds.

        A value over a bound would say nothing where the bound is 0 or negative; a share of the range does.
        """
        extra = (slice(None), *[None] * (values.ndim - 1))
        lower, upper = self.lower[extra], self.upper[extra]
        span = upper - lower
        with np.errstate(invalid="ignore"):
            shares = (values - lower) / np.where(span > 0, span, 1)
        shares = np.where(span > 0, shares, 1.0)
        return np.where(np.isfinite(span), np.clip(shares, 0, 1), np.nan)


@checked
def certify(network: Network, objectives: Sequence[AnyObjective], region: Region = UNIT_BOX) -> Bounds:
    """Return the least and the greatest that each objective can be in `region`.

    An objective that is affine in the pixels, as every pre-activation of a first dense layer and every
    difference of two, has its extremes at images that are known: the bounds are exact. Deeper, intervals are
    carried from layer to layer: through kernels by the signs of their weights, through activations that rise by
    their ends. What terms in one layer have in common is kept, so that `class_logit(3) - class_logit(8)` has
    tighter bounds than its two terms. All is computed in float64; the bounds allow for the rounding of the
    network's own arithmetic.

    Parameters
    ----------
    network : Network
        Of one input.
    objectives : sequence of Objective or Combination
        At least one.
    region : Box or Ball
        Where images lie.

    Raises
    ------
    InputError
        If there is no objective, or the network has no such unit or class.

    References
    ----------
    .. [1] S. Gowal et al., "On the Effectiveness of Interval Bound Propagation for Training Verifiably Robust
       Models", 2018.

    Examples
    --------
    >>> from probe.layers import Dense
    >>> kernel = np.array([[1.0], [-2.0]], dtype=np.float32)
    >>> network = Network((Dense("output", kernel, np.zeros(1, np.float32)),), input_shape=(2,))
    >>> found = certify(network, [unit("output", 0)])
    >>> found.lower.round(3), found.upper.round(3), found.exact
    (array([-2.]), array([1.]), array([ True]))
    """
    chosen = checked_objectives(objectives)
    # Says what does not fit in the words of the network.
    network.objective_function(chosen)
    certifier = _Certifier(
        network.astype(np.float64), region, float(np.finfo(network.dtype).eps) * _ROUNDINGS
    )
    found = [certifier.bounds(objective) for objective in chosen]
    lower, upper = (np.array([one[end] for one in found], dtype=np.float64) for end in (0, 1))
    finite = np.isfinite(lower) & np.isfinite(upper)
    return Bounds(
        lower=lower,
        upper=upper,
        exact=np.array([certifier.is_affine(objective) for objective in chosen]),
        unbounded_layers=tuple(
            "" if fine else certifier.obstacle(one) for fine, one in zip(finite, chosen, strict=True)
        ),
    )


class _Certifier:
    """What is known of a network in float64 whose inputs lie in a region."""

    def __init__(self, network: Network, region: Region, rounding: float) -> None:
        self._network, self._region, self._rounding = network, region, rounding
        self._affine: dict[tuple[str, Stage], bool] = {}
        self._ranges: dict[tuple[str, Stage], Range] = {}

    def bounds(self, objective: AnyObjective) -> tuple[float, float]:
        """Return the least and the greatest value of `objective`, rounding allowed for."""
        low = high = size = 0.0
        if self.is_affine(objective):
            low, high, size = (float(ends[0]) for ends in self._extremes([objective]))
        else:
            for name, stage, terms in self._grouped(objective):
                found = self._part(name, stage, terms)
                low, high, size = low + found[0], high + found[1], size + found[2]
        slack = self._rounding * size
        return low - slack, high + slack

    def is_affine(self, objective: AnyObjective) -> bool:
        """Return whether `objective` is an affine function of the pixels."""
        return all(self._is_affine(name, stage) for name, stage, _ in self._grouped(objective))

    def obstacle(self, objective: AnyObjective) -> str:
        """Return the first layer on the way to `objective` whose outputs have no bound; "" if all have."""
        names = {name for name, _, _ in self._grouped(objective)}
        for name in reversed(self._network.layer_names):
            if name in names:
                names |= {source for source in self._sources(name) if isinstance(source, str)}
        for name in self._network.layer_names:
            if name in names and not self._range(name, "activation").is_finite:
                return name
        return ""

    def _grouped(self, objective: AnyObjective) -> list[tuple[str, Stage, list[Term]]]:
        """Return the terms of `objective` by the layer and stage that they are in."""
        found: dict[tuple[str, Stage], list[Term]] = {}
        for weight, term in self._network.terms_of(objective):
            name = self._network.head_name if term.layer is None else term.layer
            found.setdefault((name, term.stage), []).append((0, weight, term))
        return [(name, stage, parts) for (name, stage), parts in found.items()]

    def _sources(self, name: str) -> tuple[str | int, ...]:
        return self._network.wiring[self._network.layer_names.index(name)]

    def _is_affine(self, name: str, stage: Stage) -> bool:
        if (name, stage) not in self._affine:
            layer = self._network.layer(name)
            here = layer.is_affine and all(
                isinstance(source, int) or self._is_affine(source, "activation")
                for source in self._sources(name)
            )
            self._affine[name, "pre_activation"] = here
            self._affine[name, "activation"] = here and layer.activation.name == "linear"
        return self._affine[name, stage]

    def _extremes(self, objectives: Sequence[AnyObjective]) -> tuple[Array, Array, Array]:
        """Return the extremes (n,) of affine objectives, and the sums of their absolute terms."""
        n, shape = len(objectives), self._network.input_shape
        origin = np.zeros((n, *shape))
        values, weights = self._network.objective_function(objectives)(origin)

        def reached(direction: Array) -> Array:
            ends = self._region.farthest(direction)
            return np.asarray(np.einsum("ni,ni->n", weights.reshape(n, -1), ends.reshape(n, -1)))

        most = max(abs(self._region.low), abs(self._region.high))
        size = np.abs(values) + most * np.abs(weights).reshape(n, -1).sum(axis=1)
        return values + reached(-weights), values + reached(weights), size

    def _part(self, name: str, stage: Stage, terms: list[Term]) -> tuple[float, float, float]:
        """Return the bounds of the terms in one layer and stage, and the sum of their absolute values."""
        layer, shape = self._network.layer(name), self._network.layer_shapes[name]
        axis = self._network.channel_axis(name)
        in_layer = LayerTerms.of(name, shape, axis, terms, is_last=terms[0][2].layer is None)
        weights = in_layer.add_values(np.zeros((1, *shape)), np.zeros(1))
        offset, found = 0.0, self._range(name, stage)
        source = self._sources(name)[0]
        if stage == "pre_activation" and layer.is_affine and len(self._sources(name)) == 1:
            # The terms as one affine function of what the layer reads.
            below = self._range(source, "activation") if isinstance(source, str) else self._pixels()
            base, pullback = layer.pre_activation(np.zeros_like(below.low))
            offset, weights, found = float((weights * base).sum()), pullback(weights), below
        rising, falling = np.maximum(weights, 0), np.minimum(weights, 0)
        with np.errstate(invalid="ignore"):
            low = offset + np.where(weights == 0, 0, rising * found.low + falling * found.high).sum()
            high = offset + np.where(weights == 0, 0, rising * found.high + falling * found.low).sum()
            widest = np.maximum(np.abs(found.low), np.abs(found.high))
            size = abs(offset) + np.where(weights == 0, 0, np.abs(weights) * widest).sum()
        low, high = (-np.inf if np.isnan(low) else low), (np.inf if np.isnan(high) else high)
        return float(low), float(high), float(size)

    def _pixels(self) -> Range:
        shape = (1, *self._network.input_shape)
        return Range(np.full(shape, self._region.low), np.full(shape, self._region.high))

    def _range(self, name: str, stage: Stage) -> Range:
        """Return between what every value of a layer lies."""
        if (name, stage) not in self._ranges:
            layer = self._network.layer(name)
            below = [
                self._range(source, "activation") if isinstance(source, str) else self._pixels()
                for source in self._sources(name)
            ]
            before = pre_activation_range(layer, below)
            if isinstance(layer, Dense) and self._is_affine(name, "pre_activation"):
                before = self._tightened(name, before)
            self._ranges[name, "pre_activation"] = before
            self._ranges[name, "activation"] = activation_range(layer, before)
        return self._ranges[name, stage]

    def _tightened(self, name: str, found: Range) -> Range:
        """Return the range of a dense layer's pre-activations with each unit's own extremes in the region.

        In a box the intervals are these already, unless the layer before mixes the pixels.
        """
        shape = self._network.layer_shapes[name]
        n_units = math.prod(shape)
        if len(shape) != 1 or n_units * math.prod(self._network.input_shape) > _MOST_VALUES:
            return found
        low, high, _ = self._extremes([unit(name, k) for k in range(n_units)])
        return Range(np.maximum(found.low, low), np.minimum(found.high, high))
