"""Objectives: the logit of a class, a unit, a channel, or sums of these, whose gradient with respect to the input is taken.

Objectives are values: `class_logit(3) - class_logit(8)`, `2 * unit("hidden_1", 4)`, `-unit("hidden_1", 4)`
and `direction("hidden_1", vector)` are objectives like any other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from probe._checks import (
    Array,
    InputError,
    check_choice,
    check_floats,
    check_integer,
    check_number,
    check_shape,
)
from probe._signatures import checked

__all__ = ["AnyObjective", "Combination", "Objective", "Stage", "class_logit", "direction", "unit"]

Stage = Literal["pre_activation", "activation"]


class _Algebra:
    """Sums, differences and multiples of objectives."""

    __slots__ = ()

    @property
    def _terms(self) -> tuple[tuple[float, Objective], ...]:
        raise NotImplementedError

    def __add__(self, other: AnyObjective) -> Combination:
        return Combination((*self._terms, *other._terms)) if isinstance(other, _Algebra) else NotImplemented

    def __sub__(self, other: AnyObjective) -> Combination:
        return self + -other if isinstance(other, _Algebra) else NotImplemented

    def __neg__(self) -> Combination:
        return -1 * self

    def __mul__(self, factor: float) -> Combination:
        if isinstance(factor, _Algebra):
            return NotImplemented
        weight = check_number("the factor of an objective", factor)
        return Combination(tuple((weight * own, objective) for own, objective in self._terms))

    __rmul__ = __mul__

    def named(self, label: str) -> Combination:
        """Return the same objective with another name."""
        return Combination(self._terms, label)


@checked
@dataclass(frozen=True, slots=True)
class Objective(_Algebra):
    """One number that a network computes from an input.

    Attributes
    ----------
    layer : str or None
        Name of the layer; None stands for the last one, whose pre-activations are the logits.
    index : int
        The unit in the layer, from 0; in a layer of feature maps the channel.
    stage : {"pre_activation", "activation"}
        Which value of the unit.
    position : tuple of int or None
        In a layer of feature maps, the (row, column) to take; None for the mean over all.
    """

    layer: str | None
    index: int
    stage: Stage = "pre_activation"
    position: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        check_integer("index", self.index, minimum=0)
        check_choice("stage", self.stage, ("pre_activation", "activation"))
        if self.position is not None:
            at = tuple(check_integer("position", index, minimum=0) for index in self.position)
            object.__setattr__(self, "position", at)

    @property
    def name(self) -> str:
        """A short label, such as "class 3" or "hidden_1 unit 4"."""
        label = f"class {self.index}" if self.layer is None else f"{self.layer} unit {self.index}"
        if self.position is not None:
            label += f" at {', '.join(str(index) for index in self.position)}"
        return label if self.stage == "pre_activation" else f"{label} after activation"

    @property
    def _terms(self) -> tuple[tuple[float, Objective], ...]:
        return ((1.0, self),)


@checked
@dataclass(frozen=True, slots=True)
class Combination(_Algebra):
    """A weighted sum of objectives.

    Parameters
    ----------
    terms : tuple of (float, Objective)
        Weights and objectives. Weights of the same objective are added; a sum of 0 is left out.
    label : str
        Its name; "" to name it after its terms.

    Raises
    ------
    InputError
        If a weight is not a finite number, or all terms cancel.

    Examples
    --------
    >>> (class_logit(3) - 0.5 * class_logit(8)).name
    'class 3 - 0.5 class 8'
    >>> (2 * unit("hidden_1", 4)).named("bright").name
    'bright'
    """

    terms: tuple[tuple[float, Objective], ...]
    label: str = ""

    def __post_init__(self) -> None:
        weights: dict[Objective, float] = {}
        for weight, objective in self.terms:
            if not isinstance(objective, Objective):
                raise InputError(f"terms must hold pairs of a weight and an Objective, got {objective!r}")
            checked_weight = check_number(f"the weight of '{objective.name}'", weight)
            weights[objective] = weights.get(objective, 0.0) + checked_weight
        terms = tuple((weight, objective) for objective, weight in weights.items() if weight != 0)
        if not terms:
            raise InputError("an objective must not be 0 everywhere: all its terms cancel")
        object.__setattr__(self, "terms", terms)

    @property
    def name(self) -> str:
        """The label, or the terms with their weights."""
        return self.named_with(lambda objective: objective.name)

    def named_with(self, name_of: Callable[[Objective], str]) -> str:
        """Return the label, or the terms with their weights, each called what `name_of` says."""
        if self.label:
            return self.label
        return reduce(_joined, ((weight, name_of(objective)) for weight, objective in self.terms), "")

    @property
    def _terms(self) -> tuple[tuple[float, Objective], ...]:
        return self.terms


AnyObjective = Objective | Combination
"""One value of a network, or a weighted sum of several."""


def _joined(before: str, term: tuple[float, str]) -> str:
    weight, name = term
    size = "" if abs(weight) == 1 else f"{abs(weight):g} "
    if not before:
        return f"{'-' if weight < 0 else ''}{size}{name}"
    return f"{before} {'-' if weight < 0 else '+'} {size}{name}"


def class_logit(index: int) -> Objective:
    """Return the objective "logit of class `index`": the last layer's pre-activation, before softmax.

    Examples
    --------
    >>> class_logit(3).name
    'class 3'
    """
    return Objective(layer=None, index=index)


@checked
def unit(
    layer: str,
    index: int,
    *,
    stage: Stage = "pre_activation",
    position: tuple[int, ...] | None = None,
) -> Objective:
    """Return the objective "unit `index` of `layer`"; in a layer of feature maps, channel `index`.

    The pre-activation is the default. A monotone activation has the same maximizer, but its slope vanishes where it
    saturates, and gradient ascent would stop there.

    Parameters
    ----------
    layer : str
        Name of the layer.
    index : int
        The unit, or the channel of a layer whose outputs are feature maps.
    stage : {"pre_activation", "activation"}
        Which value of the unit.
    position : tuple of int, optional
        Where in the feature map, as (row, column); the mean over all positions without.

    Examples
    --------
    >>> unit("hidden_1", 4).name
    'hidden_1 unit 4'
    >>> unit("conv2d", 4, position=(3, 3)).name
    'conv2d unit 4 at 3, 3'
    """
    return Objective(layer=layer, index=index, stage=stage, position=position)


@checked
def direction(
    layer: str,
    vector: npt.ArrayLike,
    *,
    stage: Stage = "pre_activation",
    position: tuple[int, ...] | None = None,
) -> Combination:
    """Return the objective "projection of `layer` on `vector`": the sum of its units, each times its entry.

    Parameters
    ----------
    layer : str
        Name of the layer.
    vector : array_like of shape (n_units,), or (n_channels,) for feature maps
        Finite, and not zero everywhere. It is not normalized.
    stage, position
        As in `unit`.

    Raises
    ------
    InputError
        If `vector` has another number of axes, or is not finite or zero everywhere.

    Examples
    --------
    >>> direction("hidden_1", [0.0, 1.0, -1.0]).terms[0]
    (1.0, Objective(layer='hidden_1', index=1, stage='pre_activation', position=None))
    """
    weights = check_floats("vector", vector)
    check_shape("vector", weights.shape, (None,))
    units: Sequence[int] = [int(k) for k in np.flatnonzero(weights)]
    if not units:
        raise InputError("vector must not be 0 everywhere")
    terms = tuple((float(weights[k]), unit(layer, k, stage=stage, position=position)) for k in units)
    return Combination(terms, f"direction in {layer}")


Term = tuple[int, float, Objective]
"""A weight in a sum, what it weighs, and first the row of the batch whose objective the sum is."""


class LayerTerms(NamedTuple):
    """The terms that the objectives of a batch have in one layer and stage, one entry of each array for each term."""

    rows: npt.NDArray[np.intp]
    channels: npt.NDArray[np.intp]
    positions: npt.NDArray[np.intp]
    """Which position of a feature map, row by row; -1 for the mean over all."""
    weights: Array
    axis: int
    """The axis of channels in one output of the layer."""
    distinct: bool
    """Whether no row is there twice, so that all can be written at once."""

    @classmethod
    def of(
        cls, layer: str, shape: tuple[int, ...], axis: int, terms: Sequence[Term], *, is_last: bool
    ) -> LayerTerms:
        """Check the terms against the layer's output of `shape`, whose channels are along `axis`.

        Raises
        ------
        InputError
            If there is no such unit, channel or position.
        """
        n_channels, grid = shape[axis], shape[:axis] + shape[axis + 1 :]
        what = "class" if is_last else f"{'channel' if grid else 'unit'} of layer '{layer}'"
        positions = []
        for _, _, objective in terms:
            if objective.index >= n_channels:
                raise InputError(f"{what} must be from 0 to {n_channels - 1}, got {objective.index}")
            at = objective.position
            if at is None:
                positions.append(-1 if grid else 0)
            elif len(at) != len(grid) or any(index >= size for index, size in zip(at, grid, strict=True)):
                wanted = f"must lie in a map of shape {grid}" if grid else "must be None: it has no positions"
                raise InputError(f"position in layer '{layer}' {wanted}, got {at}")
            else:
                positions.append(int(np.ravel_multi_index(at, grid)))
        rows = np.array([row for row, _, _ in terms])
        weights = np.array([weight for _, weight, _ in terms])
        channels = np.array([objective.index for _, _, objective in terms])
        return cls(rows, channels, np.array(positions), weights, axis, len(set(rows)) == len(rows))

    def add_values(self, output: Array, values: Array) -> Array:
        """Add each row's terms to `values` (n_samples,); return their gradient with respect to the layer's `output`."""
        by_channel = np.moveaxis(output, 1 + self.axis, 1)
        maps = by_channel[self.rows, self.channels].reshape(len(self.rows), -1)
        n_positions = maps.shape[1]
        is_mean = self.positions < 0
        at = maps[np.arange(len(maps)), self.positions]
        terms = np.where(is_mean, maps.mean(axis=1), at) * self.weights.astype(output.dtype)
        slopes = np.where(
            is_mean[:, None], 1 / n_positions, np.arange(n_positions) == self.positions[:, None]
        )
        slopes *= self.weights[:, None]
        slopes = slopes.reshape(len(self.rows), *by_channel.shape[2:]).astype(output.dtype)
        gradient = np.zeros(output.shape, output.dtype)
        # A view on freshly made memory: what is written to it is written to `gradient`.
        gradient_by_channel = np.moveaxis(gradient, 1 + self.axis, 1)
        if self.distinct:
            values[self.rows] += terms
            gradient_by_channel[self.rows, self.channels] = slopes
        else:
            np.add.at(values, self.rows, terms)
            np.add.at(gradient_by_channel, (self.rows, self.channels), slopes)
        return gradient

    def add_all_values(self, output: Array, values: Array) -> None:
        """Add the terms for every sample to `values` (n_samples, n_objectives); a row of the batch is a column here."""
        maps = np.moveaxis(output, 1 + self.axis, 1)
        maps = maps.reshape(*maps.shape[:2], -1)
        means = maps.mean(axis=2) if (self.positions < 0).any() else maps[:, :, 0]
        for column, channel, position, weight in zip(
            self.rows, self.channels, self.positions, self.weights.astype(output.dtype), strict=True
        ):
            term = means[:, channel] if position < 0 else maps[:, channel, position]
            values[:, column] += term * weight
