"""The dynamics of a shard: what happened to every example while networks learned it."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

from probe._checks import Array
from probe.results import Record
from probe.stats import gini

__all__ = ["DynamicsKind", "DynamicsRecorder", "ExampleDynamics"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Rows = npt.NDArray[np.intp]

DynamicsKind = Literal["none", "examples", "sensitivity"]


class ExampleDynamics(Record):
    """What happened to every example, judged after every epoch.

    Attributes
    ----------
    true_accuracy : ndarray of shape (n_networks, config.epochs), in [0, 1]
        On the training images and their true labels, whatever labels were taught; NaN where not reached.
    half_accuracy : ndarray of shape (n_networks, config.epochs, 2), in [0, 1]
        On the test images at even and at odd indices: to choose on one half and measure on the other.
    first_learned : ndarray of shape (n_networks, n_samples), int32
        Epoch (from 1) after which the example was first classified as taught; 0 for never.
    forgetting : ndarray of shape (n_networks, n_samples), int32
        Forgetting events: how often an example was right after one epoch and wrong after the next.
    margin : ndarray of shape (n_networks, n_samples), float32
        Logit of the label taught less the largest other logit, at the end; NaN if the network diverged.
    sensitivity : ndarray of shape (n_networks, n_samples), float32, or None
        Loss-sensitivity: the L1 norm of the gradient of the example's cost with respect to its pixels in
        [0, 1], averaged over the epochs that the network was trained for.
    sensitivity_gini : ndarray of shape (n_networks, config.epochs), in [0, 1), or None
        Gini coefficient, over the samples, of the loss-sensitivity after each epoch by itself; NaN where the
        network was not trained any more, and where no gradient was left.

    References
    ----------
    .. [1] M. Toneva et al., "An Empirical Study of Example Forgetting during Deep Neural Network
       Learning", ICLR 2019.
    .. [2] D. Arpit et al., "A Closer Look at Memorization in Deep Networks", ICML 2017.
    """

    true_accuracy: Floats
    half_accuracy: Floats
    first_learned: npt.NDArray[np.int32]
    forgetting: npt.NDArray[np.int32]
    margin: npt.NDArray[np.float32]
    sensitivity: npt.NDArray[np.float32] | None
    sensitivity_gini: Floats | None


class DynamicsRecorder:
    """Records the dynamics of a shard while it is trained.

    Parameters
    ----------
    labels : ndarray of shape (n_networks, n_samples), int64
        What each network is taught.
    true_labels : ndarray of shape (n_samples,), int64
        The labels of the data set.
    test_labels : ndarray of shape (n_test,), int64
        Likewise for the test images.
    epochs : int
        Most epochs that will be trained.
    """

    def __init__(self, labels: Ints, true_labels: Ints, test_labels: Ints, epochs: int) -> None:
        n_networks, n_samples = labels.shape
        self._labels, self._true_labels, self._test_labels = labels, true_labels, test_labels
        # The two halves of the test images, as places where there is an image at all.
        self._half = np.arange(len(test_labels)) % 2
        self._half_sizes = np.maximum(np.bincount(self._half, minlength=2), 1)
        self.curves: dict[str, Floats] = {
            "true_accuracy": np.full((n_networks, epochs), np.nan),
            "half_accuracy": np.full((n_networks, epochs, 2), np.nan),
        }
        self._first_learned = np.zeros((n_networks, n_samples), np.int32)
        self._forgetting = np.zeros((n_networks, n_samples), np.int32)
        self._was_right = np.zeros((n_networks, n_samples), np.bool_)
        self._margin = np.full((n_networks, n_samples), np.nan, np.float32)
        self._sensitivity = np.zeros((n_networks, n_samples), np.float32)
        self._n_measured = np.zeros(n_networks, np.int64)
        self._norms = np.zeros((0, n_samples), np.float32)
        # No curve of `curves`, for those are held at their last values after a network is done.
        self._sensitivity_gini = np.full((n_networks, epochs), np.nan)
        self._members = np.arange(n_networks)
        self._predicted = np.zeros((n_networks, n_samples), np.int64)
        self._half_right = np.zeros((n_networks, 2))

    def open_epoch(self, members: Ints) -> None:
        """Begin the evaluation after an epoch of the networks `members`."""
        self._members = members
        self._half_right[:] = 0
        self._norms = self._norms[:0]

    def see_train(self, rows: Rows, logits: Array, predicted: Ints) -> None:
        """Note what the networks say of some training images."""
        self._predicted[: len(predicted)][:, rows] = predicted

    def see_test(self, rows: Rows, logits: Array, predicted: Ints) -> None:
        """Note what the networks say of some test images."""
        right = predicted == self._test_labels[rows]
        for half in (0, 1):
            self._half_right[: len(right), half] += right[:, self._half[rows] == half].sum(axis=1)

    def see_sensitivity(self, rows: Rows, norms: Array) -> None:
        """Add the gradient norms (n_networks, n) of some training images."""
        self._sensitivity[np.ix_(self._members, rows)] += norms
        if len(self._norms) == 0:
            self._norms = np.zeros((len(norms), self._labels.shape[1]), np.float32)
        self._norms[:, rows] = norms

    def close_epoch(self, epoch: int, finite: npt.NDArray[np.bool_]) -> None:
        """Enter what was seen, for networks that have not diverged, after `epoch` (from 0)."""
        members = self._members[finite]
        predicted = self._predicted[: len(finite)][finite]
        self.curves["true_accuracy"][members, epoch] = (predicted == self._true_labels).mean(axis=1)
        half_right = self._half_right[: len(finite)][finite]
        self.curves["half_accuracy"][members, epoch] = half_right / self._half_sizes
        right = predicted == self._labels[members]
        was_right, first = self._was_right[members], self._first_learned[members]
        first[right & (first == 0)] = epoch + 1
        self._first_learned[members] = first
        self._forgetting[members] += was_right & ~right
        self._was_right[members] = right
        self._n_measured[members] += 1
        if len(self._norms):
            self._sensitivity_gini[members, epoch] = _known_gini(self._norms[finite])

    def see_final(self, rows: Rows, logits: Array, predicted: Ints) -> None:
        """Note the margins of some training images in all networks as they are at the end."""
        labels = self._labels[:, rows][:, None, :]
        taught = np.take_along_axis(logits, labels, axis=1)[:, 0]
        others = logits.copy()
        np.put_along_axis(others, labels, -np.inf, axis=1)
        self._margin[:, rows] = taught - others.max(axis=1)

    def dynamics(self, diverged: npt.NDArray[np.bool_], kind: DynamicsKind) -> ExampleDynamics:
        """Return what was recorded."""
        self._margin[diverged] = np.nan
        sensitivity, sensitivity_gini = None, None
        if kind == "sensitivity":
            n_measured = np.maximum(self._n_measured, 1).astype(np.float32)
            sensitivity = (self._sensitivity / n_measured[:, None]).astype(np.float32)
            sensitivity_gini = self._sensitivity_gini
        return ExampleDynamics(
            **self.curves,
            first_learned=self._first_learned,
            forgetting=self._forgetting,
            margin=self._margin,
            sensitivity=sensitivity,
            sensitivity_gini=sensitivity_gini,
        )


def _known_gini(norms: Array) -> Floats:
    """Return the Gini coefficient of each row; NaN where a value is not finite."""
    known = np.isfinite(norms).all(axis=1)
    coefficients = np.full(len(norms), np.nan)
    if known.any():
        coefficients[known] = gini(norms[known].astype(np.float64))
    return coefficients
