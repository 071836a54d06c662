"""What a network says infinitely far away: the exact limit of its output as an input is scaled without end."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from probe._checks import Array, InputError, check_finite, check_shape
from probe._signatures import checked
from probe.layers import ACTIVATIONS, Activation, GlobalMaxPooling2D, Layer, MaxPooling2D
from probe.network import Network
from probe.results import Columns, Result

__all__ = ["ConfidenceLimit", "confidence_limit"]

_ROUNDING = 1e-11
"""Slopes of this size, relative to the largest of a layer, are zero but for rounding."""


class ConfidenceLimit(Result):
    """Where a network's output goes along each direction.

    Far enough away each logit is a straight line, ``constants + slopes * t``; the outputs have the limits below.

    Attributes
    ----------
    slopes, constants : ndarray of shape (n_directions, n_classes), float64
        Of the logits for the input ``t * direction``, in the limit t to infinity.
    outputs : ndarray of shape (n_directions, n_classes), in [0, 1]
        Limits of the network's outputs.
    confidences : ndarray of shape (n_directions,), in [0, 1]
        The largest of these: 1 where the logits drift apart, less where they saturate or rise together.
    classes : ndarray of shape (n_directions,), int64
        Its class.
    saturated : ndarray of shape (n_directions,), bool
        Whether no logit changes any more.
    """

    slopes: Array
    constants: Array
    outputs: Array
    confidences: Array
    classes: npt.NDArray[np.int64]
    saturated: npt.NDArray[np.bool_]

    def columns(self) -> Columns:
        """Return one row for each direction."""
        return {name: getattr(self, name) for name in ("confidences", "classes", "saturated")}


@checked
def confidence_limit(network: Network, directions: Array) -> ConfidenceLimit:
    """Return the exact limit of the output for ``t * direction`` as t goes to infinity.

    Every value in the network becomes a straight line in t: constants and slopes go through the layers together. A
    rectifier keeps or drops a line by the sign of its slope (of its constant, where the slope is zero); a sigmoid
    turns a line into 0 or 1, and a value that does not change into its own. So networks of rectifiers end in a linear
    region, where their softmax goes to one class, and networks of sigmoids saturate at a finite limit.

    Parameters
    ----------
    network : Network
        With classes, of one input; of layers that are affine, max pooling without overlap, and activations that
        approach straight lines.
    directions : ndarray of shape (n_directions, *input_shape), float
        Along which inputs are scaled, from zero: any finite values.

    Raises
    ------
    InputError
        If a layer or an activation has no such limit, or directions do not fit.

    References
    ----------
    .. [1] M. Hein, M. Andriushchenko, J. Bitterwolf, "Why ReLU networks yield high-confidence predictions far away
       from the training data and how to mitigate the problem", CVPR 2019.

    Examples
    --------
    >>> from probe.layers import Dense
    >>> kernel = np.array([[1.0, -1.0]])
    >>> network = Network((Dense("output", kernel, np.zeros(2), "softmax"),), input_shape=(1,))
    >>> confidence_limit(network, np.array([[2.0], [0.0]])).confidences
    array([1. , 0.5])
    """
    network.check_classes()
    network = network.with_two_logits()
    directions = np.asarray(directions, dtype=np.float64)
    check_shape("directions", directions.shape, (None, *network.input_shape))
    check_finite("directions", directions)
    if network.more_input_shapes:
        raise InputError("the network must have one input")
    head = network.truncate(network.head_name)
    lines: dict[object, tuple[Array, Array]] = {0: (np.zeros_like(directions), directions)}
    for layer, read in zip(head.layers, head.wiring, strict=True):
        constants, slopes = _through(layer, [lines[source] for source in read])
        if layer.name != head.head_name:
            constants, slopes = _bent(layer.activation, constants, slopes, layer.name)
        lines[layer.name] = constants, slopes
    constants, slopes = (values.reshape(len(directions), -1) for values in lines[head.head_name])
    outputs = _outputs(network.output_name, constants, slopes)
    return ConfidenceLimit(
        slopes=slopes,
        constants=constants,
        outputs=outputs,
        confidences=outputs.max(axis=1),
        classes=outputs.argmax(axis=1),
        saturated=(slopes == 0).all(axis=1),
    )


def _through(layer: Layer, read: list[tuple[Array, Array]]) -> tuple[Array, Array]:
    """Return constants and slopes of the layer's pre-activations."""
    constants, slopes = [c for c, _ in read], [s for _, s in read]
    if isinstance(layer, MaxPooling2D | GlobalMaxPooling2D):
        return _pooled(layer, constants[0], slopes[0])
    if not layer.is_affine:
        raise InputError(
            f"the limit needs layers that are affine or pool, but '{layer.name}' is a {type(layer).__name__}"
        )
    # Without its bias where it has one: to add it and take it away again would cost the last digit.
    bare = replace(layer, bias=None) if "bias" in layer.variables else layer  # type: ignore[type-var]
    found = bare.pre_activation(*slopes)[0] - bare.pre_activation(*(np.zeros_like(s) for s in slopes))[0]
    # Slopes that are zero but for rounding are set to zero.
    return layer.pre_activation(*constants)[0], np.where(np.abs(found) <= _rounding(found), 0.0, found)


def _rounding(slopes: Array) -> Array:
    """Return for each sample below what size its slopes, or differences of them, are rounding."""
    largest = np.abs(slopes).reshape(len(slopes), -1).max(axis=1)
    return np.asarray(_ROUNDING * largest.reshape(-1, *[1] * (slopes.ndim - 1)))


def _pooled(layer: MaxPooling2D | GlobalMaxPooling2D, constants: Array, slopes: Array) -> tuple[Array, Array]:
    """Return the line that is the highest in the end in each window: of the greatest slopes the greatest constant."""
    if isinstance(layer, MaxPooling2D) and layer.strides not in (None, layer.pool_size):
        raise InputError(
            f"the limit needs max pooling without overlap, but '{layer.name}' has strides {layer.strides}"
        )
    if not layer.is_in_keras:
        raise InputError(
            f"the limit needs max pooling of windows that lie side by side, but '{layer.name}' has other ones: "
            f"{layer}"
        )
    highest = layer.pre_activation(slopes)[0]
    # Without overlap each place belongs to one window at most.
    shape = slopes.shape
    if isinstance(layer, GlobalMaxPooling2D):
        axes = (1, 2) if layer.data_format == "channels_last" else (2, 3)
        spread = np.broadcast_to(slopes.max(axis=axes, keepdims=True), shape)
    else:
        spread = _spread(layer, highest, shape)
    among = np.where(slopes >= spread - _rounding(slopes), constants, -np.inf)
    return layer.pre_activation(among)[0], highest


def _spread(layer: MaxPooling2D, highest: Array, shape: tuple[int, ...]) -> Array:
    """Return for each place of an input the value of its window; infinity where it is in none."""
    axes = (1, 2) if layer.data_format == "channels_last" else (2, 3)
    found, out = highest, np.full(shape, np.inf)
    offsets = []
    for axis, size in zip(axes, layer.pool_size, strict=True):
        found = np.repeat(found, size, axis=axis)
        missing = found.shape[axis] - shape[axis]
        offsets.append(max(0, missing) // 2)  # "same" pads the smaller half in front
    inner = [slice(None)] * len(shape)
    outer = [slice(None)] * len(shape)
    for axis, offset in zip(axes, offsets, strict=True):
        length = min(shape[axis], found.shape[axis] - offset)
        inner[axis], outer[axis] = slice(offset, offset + length), slice(0, length)
    out[tuple(outer)] = found[tuple(inner)]
    return out


def _bent(activation: Activation, constants: Array, slopes: Array, name: str) -> tuple[Array, Array]:
    """Return the lines behind an activation."""
    if activation.asymptotes is None:
        raise InputError(
            f"the limit needs activations that approach straight lines, but that of '{name}' is {activation.name}"
        )
    if activation.name == "linear":
        return constants, slopes
    # exp overflows where it is 1 / exp that counts.
    with np.errstate(over="ignore", under="ignore"):
        here = activation.forward(constants)[0]
    found_constants, found_slopes = here, np.zeros_like(slopes)
    for sign, (slope, constant) in zip((-1.0, 1.0), activation.asymptotes, strict=True):
        beyond = slopes * sign > 0
        found_constants = np.where(beyond, slope * constants + constant, found_constants)
        found_slopes = np.where(beyond, slope * slopes, found_slopes)
    return found_constants, found_slopes


def _outputs(output: str, constants: Array, slopes: Array) -> Array:
    from scipy.special import softmax

    if output == "softmax":
        leading = slopes >= slopes.max(axis=1, keepdims=True) - _rounding(slopes)
        return np.asarray(softmax(np.where(leading, constants, -np.inf), axis=1))
    if output == "sigmoid":
        settled = ACTIVATIONS["sigmoid"].forward(constants)[0]
        return np.where(slopes > 0, 1.0, np.where(slopes < 0, 0.0, settled))
    raise InputError(f"the network's output must be softmax or sigmoid to have a confidence, got {output}")
