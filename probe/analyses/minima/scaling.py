"""Coordinates in which the cost curves about alike in all directions: steps downhill are few in them.

In the parameters themselves the curvature differs by a factor of thousands, from the weights of pixels that are hardly ever
lit to the biases of the outputs. Here each layer is turned to the eigenvectors of its Kronecker factors and measured by the
root of its curvature there, as they are at the start.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import numpy.typing as npt

from probe._checks import Array
from probe.curvature import PopulationCost, layers_of

__all__ = ["Scaling"]

_LEAST = 1e-4
"""Curvature that is taken for the least, as a share of the greatest."""

_DAMPING = 5
"""Times the weight decay that are taken for the least, too. The factors are those of the start: with less damping
networks that begin far from a minimum take longer than without scaling, with more the gain is less."""


class Scaling:
    """Coordinates for each of some networks.

    Parameters
    ----------
    function : PopulationCost
        The cost.
    vectors : ndarray of shape (n_networks, n_parameters)
        Where its curvature counts.
    """

    def __init__(self, function: PopulationCost, vectors: Array) -> None:
        self._sizes = function.sizes
        self._inputs, self._outputs, curvatures = list[Array](), list[Array](), list[Array]()
        for factors in function.kronecker_factors(vectors):
            (of_inputs, inputs), (of_outputs, outputs) = map(np.linalg.eigh, factors)
            self._inputs.append(inputs.astype(np.float32))
            self._outputs.append(outputs.astype(np.float32))
            curvatures.append(of_outputs[:, :, None] * of_inputs[:, None])
        greatest = np.max([curvature.max(axis=(1, 2)) for curvature in curvatures], axis=0)
        # Networks that are sure to the last bit curve nowhere: their coordinates stay as they are.
        greatest = np.where(greatest > 0, greatest, 1 / _LEAST)
        least = np.maximum(_LEAST * greatest, _DAMPING * function.weight_decay)[:, None, None]
        self._lengths = [
            (1 / np.sqrt(np.maximum(curvature, 0) + least)).astype(np.float32) for curvature in curvatures
        ]

    def gradients(self, index: npt.NDArray[np.intp], gradients: Array) -> Array:
        """Return gradients (n, n_parameters) of the networks `index` in these coordinates, (n, n_parameters) as well."""
        parts = []
        for layer, (weights, biases) in enumerate(zip(*layers_of(gradients, self._sizes), strict=True)):
            inputs, outputs, lengths = self._of(layer, index)
            values = np.concatenate([biases[:, :, None], weights], axis=2).astype(np.float32)
            turned = np.matmul(outputs.transpose(0, 2, 1), _times(values, inputs))
            parts.append((turned * lengths).reshape(len(turned), -1))
        return np.concatenate(parts, axis=1)

    def directions(self, index: npt.NDArray[np.intp], directions: Array) -> Array:
        """Return directions (n, n_parameters) in these coordinates as those of the parameters of the networks `index`."""
        found, begin = np.empty_like(directions), 0
        into = zip(*layers_of(found, self._sizes), strict=True)
        for layer, ((n_in, n_out), (weights, biases)) in enumerate(
            zip(pairwise(self._sizes), into, strict=True)
        ):
            inputs, outputs, lengths = self._of(layer, index)
            end = begin + (1 + n_in) * n_out
            turned = directions[:, begin:end].reshape(lengths.shape) * lengths
            values = _times(np.matmul(outputs, turned), inputs.transpose(0, 2, 1))
            biases[:], weights[:] = values[:, :, 0], values[:, :, 1:]
            begin = end
        return found

    def _of(self, layer: int, index: npt.NDArray[np.intp]) -> tuple[Array, Array, Array]:
        inputs = self._inputs[layer]
        return (
            inputs if layer == 0 else inputs[index],
            self._outputs[layer][index],
            self._lengths[layer][index],
        )


def _times(values: Array, matrices: Array) -> Array:
    """Return the products of matrices (n, n_out, n_in) with others (n, n_in, n_in), or with the one of all."""
    if len(matrices) != 1:
        return np.asarray(np.matmul(values, matrices))
    return np.asarray(values.reshape(-1, values.shape[2]) @ matrices[0]).reshape(values.shape)
