"""What the values of a network can be if its inputs lie between bounds: intervals, layer by layer.

Every interval holds all values that occur, and more: what two values have to do with each other is forgotten
between layers. A kind of layer is one function of `_through`; layers that none knows could put out anything.

References
----------
.. [1] S. Gowal et al., "On the Effectiveness of Interval Bound Propagation for Training Verifiably Robust
   Models", 2018.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import reduce, singledispatch
from typing import Any, NamedTuple

import numpy as np

from probe._checks import Array
from probe.layers import (
    GLU,
    Activation,
    ActivationLayer,
    Conv1D,
    Conv2D,
    DepthwiseConv1D,
    DepthwiseConv2D,
    Divide,
    GroupNormalization,
    Layer,
    LayerNormalization,
    LogSoftmax,
    Multiply,
    PReLU,
    SeparableConv1D,
    SeparableConv2D,
    Softmax,
    Subtract,
    UnitNormalization,
)

__all__ = ["Range", "activation_range", "pre_activation_range"]


class Range(NamedTuple):
    """The least and the greatest that values can be, arrays of one shape (1, ...)."""

    low: Array
    high: Array

    @property
    def is_finite(self) -> bool:
        """Whether every end is a finite number."""
        return bool(np.isfinite(self.low).all() and np.isfinite(self.high).all())


def pre_activation_range(layer: Layer, read: Sequence[Range]) -> Range:
    """Return the range of a layer's pre-activations from those of what it reads."""
    return _settled(_through(layer, *read))


def activation_range(layer: Layer, before: Range) -> Range:
    """Return the range of a layer's outputs from that of its pre-activations."""
    activation = layer.activation
    if activation.name == "linear":
        return before
    return _settled(_activated(activation, before))


def _settled(found: Range) -> Range:
    """Return a range in which what is no number, as 0 times infinity, could be anything."""
    low, high = found
    return Range(np.where(np.isnan(low), -np.inf, low), np.where(np.isnan(high), np.inf, high))


@singledispatch
def _through(layer: Any, *read: Range) -> Range:
    """Return the range after a layer that says what it is by its attributes; without bounds if that is too little."""
    if layer.is_monotone:
        return Range(*(layer.pre_activation(*ends)[0] for ends in zip(*read, strict=True)))
    if layer.has_one_kernel:
        return _weighted(layer, *read)
    if layer.scales:
        first, second = (layer.pre_activation(*ends)[0] for ends in zip(*read, strict=True))
        return Range(np.minimum(first, second), np.maximum(first, second))
    shape = (1, *layer.output_shape(*(one.low.shape[1:] for one in read)))
    return Range(np.full(shape, -np.inf), np.full(shape, np.inf))


def _weighted(layer: Any, read: Range) -> Range:
    """Return the range after a map with a kernel: positive weights take one end, negative ones the other."""
    layer = layer.astype(np.float64)
    (name,) = layer.kernel_axes
    kernel = layer.variables[name]
    rising = replace(layer, **{name: np.maximum(kernel, 0)})
    without = {"bias": None} if "bias" in layer.variables else {}
    falling = replace(layer, **{name: np.minimum(kernel, 0)}, **without)
    with np.errstate(invalid="ignore"):
        return Range(
            rising.pre_activation(read.low)[0] + falling.pre_activation(read.high)[0],
            rising.pre_activation(read.high)[0] + falling.pre_activation(read.low)[0],
        )


@_through.register
def _(layer: SeparableConv2D, read: Range) -> Range:
    first = DepthwiseConv2D(
        layer.name,
        layer.depthwise_kernel,
        strides=layer.strides,
        padding=layer.padding,
        dilation_rate=layer.dilation_rate,
        data_format=layer.data_format,
    )
    second = Conv2D(layer.name, layer.pointwise_kernel, layer.bias, data_format=layer.data_format)
    return _weighted(second, _weighted(first, read))


@_through.register
def _(layer: SeparableConv1D, read: Range) -> Range:
    first = DepthwiseConv1D(
        layer.name,
        layer.depthwise_kernel,
        strides=layer.strides,
        padding=layer.padding,
        dilation_rate=layer.dilation_rate,
        data_format=layer.data_format,
    )
    second = Conv1D(layer.name, layer.pointwise_kernel, layer.bias, data_format=layer.data_format)
    return _weighted(second, _weighted(first, read))


@_through.register
def _(_layer: Subtract, first: Range, second: Range) -> Range:
    return Range(first.low - second.high, first.high - second.low)


@_through.register
def _(_layer: Multiply, *read: Range) -> Range:
    def product(one: Range, other: Range) -> Range:
        with np.errstate(invalid="ignore"):
            ends = [a * b for a in one for b in other]
        return Range(reduce(np.minimum, ends), reduce(np.maximum, ends))

    return reduce(product, read)


@_through.register
def _(_layer: Divide, first: Range, second: Range) -> Range:
    with np.errstate(divide="ignore", invalid="ignore"):
        ends = [a / b for a in first for b in second]
    around_zero = (second.low <= 0) & (second.high >= 0)
    least, most = reduce(np.minimum, ends), reduce(np.maximum, ends)
    return Range(np.where(around_zero, -np.inf, least), np.where(around_zero, np.inf, most))


@_through.register
def _(layer: GLU, read: Range) -> Range:
    (low, low_gates), (high, high_gates) = (np.split(end, 2, layer.axis) for end in read)
    gates = activation_range(ActivationLayer(layer.name, "sigmoid"), Range(low_gates, high_gates))
    return _through(Multiply(layer.name), Range(low, high), gates)


@_through.register
def _(layer: PReLU, read: Range) -> Range:
    # With a negative slope it falls to 0 and then rises.
    return _lowest_at(lambda z: layer.pre_activation(z)[0], 0.0, read)


@_through.register
def _(layer: LayerNormalization, read: Range) -> Range:
    shape = read.low.shape[1:]
    n = math.prod(shape[axis - 1 if axis > 0 else axis] for axis in layer.axis)
    return _normalized(layer, read.low.shape, n, layer.axis)


@_through.register
def _(layer: GroupNormalization, read: Range) -> Range:
    shape = read.low.shape
    n_groups = shape[layer.axis] if layer.groups == -1 else layer.groups
    return _normalized(layer, shape, math.prod(shape[1:]) // n_groups, (layer.axis,))


def _normalized(
    layer: LayerNormalization | GroupNormalization, shape: tuple[int, ...], n: int, axes: tuple[int, ...]
) -> Range:
    """Return the range of values that are normalized `n` at a time, then scaled and shifted along `axes`."""
    # Of n values of mean 0 and mean square 1 none is beyond the root of n - 1; epsilon only lessens it.
    most = np.full(shape, np.sqrt(n - 1))
    layer = layer.astype(np.float64)
    gamma, beta = (
        np.float64(default) if values is None else _in_place(values, axes, len(shape) - 1)
        for values, default in ((layer.gamma, 1.0), (layer.beta, 0.0))
    )
    return Range(beta - np.abs(gamma) * most, beta + np.abs(gamma) * most)


@_through.register
def _(_layer: UnitNormalization, read: Range) -> Range:
    return Range(np.full(read.low.shape, -1.0), np.ones(read.low.shape))


def _in_place(values: Array, axes: tuple[int, ...], n_axes: int) -> Array:
    """Return `values`, one axis for each of `axes`, in a shape that broadcasts with samples of `n_axes`."""
    shape = [1] * (n_axes + 1)
    places = sorted(axis if axis > 0 else n_axes + 1 + axis for axis in axes)
    for place, size in zip(places, values.shape, strict=True):
        shape[place] = size
    return values.reshape(shape)


def _activated(activation: Activation, before: Range) -> Range:
    def value(z: Array) -> Array:
        with np.errstate(over="ignore", invalid="ignore"):
            return activation.forward(np.ascontiguousarray(z))[0]

    if isinstance(activation, Softmax | LogSoftmax):
        return _shares(activation, before)
    if activation.turning_point is None:
        return Range(np.full_like(before.low, -np.inf), np.full_like(before.high, np.inf))
    if activation.turning_point == -np.inf:
        return Range(value(before.low), value(before.high))
    return _lowest_at(value, activation.turning_point, before)


def _lowest_at(value: Any, place: float, before: Range) -> Range:
    """Return the range of a function that falls (or rises) up to `place` and rises after it."""
    ends = value(before.low), value(before.high)
    middle = value(np.clip(place, before.low, before.high))
    return Range(np.minimum(np.minimum(*ends), middle), np.maximum(*ends))


def _shares(activation: Softmax | LogSoftmax, before: Range) -> Range:
    """Return the range of a softmax: a share is least where its own value is least and all others are greatest."""
    least, most = (
        -_log_rivals(own, others, activation.axes)
        for own, others in ((before.low, before.high), (before.high, before.low))
    )
    return Range(least, most) if isinstance(activation, LogSoftmax) else Range(np.exp(least), np.exp(most))


def _log_rivals(own: Array, others: Array, axes: tuple[int, ...]) -> Array:
    """Return for each value the logarithm of the sum of all shares as multiples of its own, over `axes`."""
    from scipy.special import logsumexp

    last = range(-len(axes), 0)
    own, others = (np.moveaxis(values, axes, last) for values in (own, others))
    shape = own.shape
    n = int(np.prod(shape[-len(axes) :]))
    with np.errstate(invalid="ignore"):
        leads = others.reshape(-1, 1, n) - own.reshape(-1, n, 1)
        leads[:, range(n), range(n)] = 0
        found = logsumexp(leads, axis=2)
    return np.moveaxis(found.reshape(shape), last, axes)
