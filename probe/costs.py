"""Costs of a population's outputs, and their gradients with respect to the logits.

Layout of a population: logits and outputs have shape (n_networks, n_classes, n_samples). Labels are given
as `positions`, the flat indices of each sample's true class in such an array (see `label_positions`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from probe._checks import Array, readonly
from probe.layers import ACTIVATIONS, softmax

__all__ = [
    "CostName",
    "Evaluation",
    "OutputName",
    "apply_output",
    "cost_values",
    "label_positions",
    "logit_gradient",
    "logit_gradient_product",
]

CostName = Literal["cross-entropy", "quadratic"]
OutputName = Literal["softmax", "sigmoid"]
Positions = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """Mean cost and accuracy of networks on a data set; the arrays have one entry for each network or point.

    Attributes
    ----------
    cost : ndarray, float64
        Mean cost over the samples, in [0, inf) or NaN.
    accuracy : ndarray, float64
        Share of samples whose largest logit is that of the label, in [0, 1].
    """

    cost: npt.NDArray[np.float64]
    accuracy: npt.NDArray[np.float64]

    def __post_init__(self) -> None:
        object.__setattr__(self, "cost", readonly(self.cost))
        object.__setattr__(self, "accuracy", readonly(self.accuracy))


def label_positions(labels: npt.NDArray[np.int64], shape: tuple[int, int, int]) -> Positions:
    """Return where the true classes stand in a flattened array of `shape`.

    Parameters
    ----------
    labels : ndarray of shape (n_networks or 1, n_samples), int64
        Classes; a first axis of 1 means that all networks share them.
    shape : tuple of int
        (n_networks, n_classes, n_samples).

    Returns
    -------
    ndarray of shape (n_networks, n_samples), int64

    Examples
    --------
    >>> label_positions(np.array([[1, 0]]), (2, 2, 2))
    array([[2, 1],
           [6, 5]])
    """
    n_networks, n_classes, n_samples = shape
    networks = np.arange(n_networks)[:, None] * (n_classes * n_samples)
    return networks + labels * n_samples + np.arange(n_samples)


def apply_output(output: OutputName, logits: Array) -> Array:
    """Turn `logits` (n_networks, n_classes, n_samples) into outputs, in place, and return them."""
    if output == "softmax":
        return softmax(logits, 1, logits)
    return ACTIVATIONS["sigmoid"].value(logits, logits)


def logit_gradient(cost: CostName, output: OutputName, logits: Array, positions: Positions) -> Array:
    """Turn `logits` into the gradient of each sample's cost with respect to them, in place.

    Returns
    -------
    ndarray of shape (n_networks, n_classes, n_samples)
        `logits` itself, overwritten.
    """
    outputs = apply_output(output, logits)
    if cost == "cross-entropy":
        # For both outputs the slope of the output cancels against that of the logarithm.
        outputs.reshape(-1)[positions] -= 1
        return outputs
    error = 2 * outputs
    error.reshape(-1)[positions] -= 2
    if output == "sigmoid":
        outputs *= 1 - outputs
        outputs *= error
        return outputs
    error -= (error * outputs).sum(axis=1, keepdims=True)
    outputs *= error
    return outputs


def logit_gradient_product(
    cost: CostName, output: OutputName, outputs: Array, positions: Positions, direction: Array
) -> Array:
    """Return the derivative of each sample's `logit_gradient` when its logits move along `direction`.

    Parameters
    ----------
    cost, output : str
        Names, see above.
    outputs : ndarray of shape (n_networks, n_classes, n_samples)
        What `apply_output` makes of the logits.
    positions : ndarray of shape (n_networks, n_samples), int64
        From `label_positions`.
    direction : ndarray of the shape of `outputs`
        Change of the logits.

    Returns
    -------
    ndarray of the shape of `outputs`
        Each sample's Hessian of the cost with respect to its logits, times its direction.
    """
    if output == "sigmoid":
        slope = outputs * (1 - outputs)
        moved: Array = slope * direction
    else:
        moved = direction - (outputs * direction).sum(axis=1, keepdims=True)
        moved *= outputs
    if cost == "cross-entropy":
        return moved
    error = outputs.copy()
    error.reshape(-1)[positions] -= 1
    if output == "sigmoid":
        # The derivative of 2 (s - t) s' with s' = s (1 - s).
        moved *= 2 * slope + 2 * error * (1 - 2 * outputs)
        return moved
    # The derivative of p (e - sum(e p)) with e = 2 (p - t).
    error *= 2
    centered = error - (error * outputs).sum(axis=1, keepdims=True)
    change = 2 * moved
    change -= (change * outputs + error * moved).sum(axis=1, keepdims=True)
    moved *= centered
    moved += outputs * change
    return moved


def cost_values(cost: CostName, output: OutputName, logits: Array, positions: Positions) -> Array:
    """Return the cost of every sample in every network.

    `quadratic` is the sum over the outputs of (output - target)², without a factor 1/2, as in the video;
    `cross-entropy` is -log of the true class' softmax, or for sigmoid outputs the sum over the outputs of
    the binary cross-entropies. Both come from the logits, so that no finite logits give an infinite cost.

    Parameters
    ----------
    cost, output : str
        Names, see above.
    logits : ndarray of shape (n_networks, n_classes, n_samples)
        Left as they are.
    positions : ndarray of shape (n_networks, n_samples), int64
        From `label_positions`.

    Returns
    -------
    ndarray of shape (n_networks, n_samples), in [0, inf)
    """
    if cost == "cross-entropy":
        true_logits = logits.reshape(-1)[positions]
        if output == "sigmoid":
            return np.asarray(np.logaddexp(logits, logits.dtype.type(0)).sum(axis=1) - true_logits)
        largest = logits.max(axis=1)
        log_sum = np.log(np.exp(logits - largest[:, None]).sum(axis=1)) + largest
        return np.asarray(log_sum - true_logits)
    outputs = apply_output(output, logits.copy())
    outputs.reshape(-1)[positions] -= 1
    return np.asarray(np.square(outputs).sum(axis=1))
