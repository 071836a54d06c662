"""How local is what a network learned? Loss-sensitivity of examples, and critical samples near images.

Both are after Arpit et al.; one network at one moment. Averages over epochs and over replicates are the
caller's, and so is the Gini coefficient of the sensitivities (`probe.stats.gini`).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from probe._checks import (
    Array,
    InputError,
    check_choice,
    check_finite,
    check_integer,
    check_labels,
    check_number,
    check_shape,
    chunks,
    generator,
)
from probe._signatures import checked
from probe.costs import CostName, OutputName, label_positions, logit_gradient
from probe.fitting import warn_of_images
from probe.network import Network
from probe.results import Columns, Result

__all__ = ["CriticalSamples", "critical_samples", "loss_sensitivity"]

Ints = npt.NDArray[np.int64]

_LARGEST = 1e9
"""Radius, step and noise at most: their products are numbers of every type of weights."""

_BATCH = 500
"""Images at a time: enough for fast products, and with 784 pixels 1.6 MB each array of them."""


@checked
def loss_sensitivity(
    network: Network, images: Array, labels: Ints, *, cost: CostName = "cross-entropy"
) -> Array:
    """Return how much the cost of each example reacts to its pixels: the L1 norm of the gradient.

    The loss-sensitivity of [1]_, section 3.2, is the mean of this over the course of training.

    Parameters
    ----------
    network : Network
        Of softmax or sigmoid outputs. With any other output the logits are taken for those of a softmax, as
        by `Network.predict_proba`.
    images : ndarray of shape (n_samples, *input_shape), float, in [0, 1]
        The examples.
    labels : ndarray of shape (n_samples,), integer
        What each is taught as: the labels trained on, be they true or not.
    cost : {"cross-entropy", "quadratic"}
        As in `TrainingConfig`.

    Returns
    -------
    ndarray of shape (n_samples,), in [0, inf)
        Sum over the pixels of |d cost / d pixel|, per unit of a pixel's range [0, 1], in the type of the
        network. Divide by 255 for pixels from 0 to 255.

    Raises
    ------
    InputError
        If the images or labels do not fit the network, or there is no such cost.

    References
    ----------
    .. [1] D. Arpit et al., "A Closer Look at Memorization in Deep Networks", ICML 2017.

    Examples
    --------
    >>> from probe.layers import Dense
    >>> kernel = np.array([[1.0, 0.0], [0.0, 2.0]], dtype=np.float32)
    >>> network = Network((Dense("output", kernel, kernel[0] * 0, "softmax"),), input_shape=(2,))
    >>> image = np.array([[0.5, 0.25]], dtype=np.float32)
    >>> loss_sensitivity(network, image, np.array([0]))  # both outputs are 1/2: 1/2 * 1 + 1/2 * 2
    array([1.5], dtype=float32)
    """
    check_choice("cost", cost, ("cross-entropy", "quadratic"))
    network.check_classes()
    network = network.with_two_logits()
    images, labels = np.asarray(images), np.asarray(labels)
    check_shape("images", images.shape, (None, *network.input_shape))
    warn_of_images(network, images)
    check_labels("labels", labels, len(images), network.n_classes)
    output: OutputName = "sigmoid" if network.output_name == "sigmoid" else "softmax"
    sensitivity = np.empty(len(images), network.dtype)
    for part in chunks(len(images), _BATCH):
        logits, pullback = network.logits_vjp(images[part])
        stacked = np.ascontiguousarray(logits.T)[None]
        positions = label_positions(labels[None, part], (1, *logits.T.shape))
        gradient = pullback(logit_gradient(cost, output, stacked, positions)[0].T)
        sensitivity[part] = np.abs(gradient).reshape(len(gradient), -1).sum(axis=1)
    return sensitivity


class CriticalSamples(Result):
    """Which images have another predicted class close by.

    Attributes
    ----------
    is_critical : ndarray of shape (n_samples,), bool
        Whether an image of another predicted class was found in the box around it.
    predictions : ndarray of shape (n_samples,), int64
        Class predicted for the image itself.
    steps : ndarray of shape (n_samples,), int64
        Steps until the class changed; 0 where it did not.
    adversarial_images : ndarray of shape (n_critical, *input_shape)
        For each critical image, in order, the one of another class; no pixel of it differs from the image's
        by more than `radius` (up to the rounding of the type), but it may lie outside [0, 1].
    adversarial_classes : ndarray of shape (n_critical,), int64
        Classes predicted for these.
    radius : float
        Half the side of the box, for pixels in [0, 1].
    """

    is_critical: npt.NDArray[np.bool_]
    predictions: Ints
    steps: Ints
    adversarial_images: Array
    adversarial_classes: Ints
    radius: float

    @property
    def ratio(self) -> float:
        """Critical sample ratio: the share of the images that are critical, in [0, 1]."""
        return float(self.is_critical.mean())

    def columns(self) -> Columns:
        """Return one row for each image."""
        return {name: getattr(self, name) for name in ("is_critical", "predictions", "steps")}


@checked
def critical_samples(
    network: Network,
    images: Array,
    *,
    radius: float = 0.01,
    step: float = 0.25,
    noise: float = 0.2,
    max_steps: int = 20,
    seed: int | np.random.Generator = 0,
) -> CriticalSamples:
    """Search near each image for one that the network puts in another class.

    Langevin adversarial sample search (LASS), [1]_, algorithm 1. From the image on, every step adds

        radius * (step * sign(gradient) + noise * standard normal numbers)

    and puts pixels that are more than `radius` away from the image's back to that distance, until another
    class is predicted. What is found is proof; what is not found may still be there.

    The gradient is that of the largest other logit less the logit of the class predicted for the image.
    The authors' code climbs the cross-entropy of that class, which points the same way with two classes,
    but vanishes in floating point where softmax saturates. As there, images may leave [0, 1]: what is asked
    is where the function changes, not what can be seen. Images that are done leave the batch.

    Parameters
    ----------
    network : Network
        Of at least two outputs.
    images : ndarray of shape (n_samples, *input_shape), float, in [0, 1]
        Where to search, finite.
    radius : float
        Half the side of the box (the L-infinity ball), in units of pixels in [0, 1]; above 0, at most 1e9. The paper says
        0.3 for pixels from 0 to 255, which is 0.3/255 = 0.0012 here. It is to be chosen such that the ratio
        is near neither 0 nor 1, see the notes.
    step, noise : float
        The paper's alpha and beta, but as shares of the radius; from 0 to 1e9, and not both 0. The paper's
        0.25 and 0.2 stand beside a radius of 0.3: as shares they are 0.83 and 0.67.
    max_steps : int
        Most steps for each image, at least 1.
    seed : int or numpy.random.Generator
        Draws the noise.

    Raises
    ------
    InputError
        If an argument is outside its range or does not fit the network.

    Notes
    -----
    The ratio depends on the radius more than on all else. Measured on 500 MNIST test images, the mean of three
    ReLU networks trained on 1,000 digits to at least 99.8% of the labels (784-16-16-10 with true and with random
    labels, then 784-128-10):

    ====== ========== ============ ======== ==========
    radius 16-16 true 16-16 random 128 true 128 random
    ====== ========== ============ ======== ==========
    0.0012      0.021        0.225    0.023      0.169
    0.003       0.061        0.527    0.045      0.379
    0.01        0.216        0.919    0.165      0.865
    0.03        0.577        0.997    0.445      1.000
    0.1         0.994        0.999    0.986      1.000
    ====== ========== ============ ======== ==========

    Between 20 steps and 200 it changed by 0.004 at most, with the paper's shares by 0.02.

    References
    ----------
    .. [1] D. Arpit et al., "A Closer Look at Memorization in Deep Networks", ICML 2017.

    Examples
    --------
    >>> from probe.layers import Dense
    >>> kernel = np.eye(2, dtype=np.float32)
    >>> network = Network((Dense("output", kernel, kernel[0] * 0, "softmax"),), input_shape=(2,))
    >>> images = np.array([[0.5, 0.45], [0.9, 0.1]], dtype=np.float32)
    >>> found = critical_samples(network, images, radius=0.1, noise=0)
    >>> found.is_critical, found.ratio
    (array([ True, False]), 0.5)
    """
    check_number("radius", radius, above=0, maximum=_LARGEST)
    check_number("step", step, minimum=0, maximum=_LARGEST)
    check_number("noise", noise, minimum=0, maximum=_LARGEST)
    if step == 0 and noise == 0:
        raise InputError("step and noise must not both be 0, for then nothing moves; got 0 and 0")
    check_integer("max_steps", max_steps, minimum=1)
    rng = generator(seed)
    network.check_classes()
    network = network.with_two_logits()
    images = np.asarray(images)
    check_shape("images", images.shape, (None, *network.input_shape))
    check_finite("images", images)
    warn_of_images(network, images)
    parts = [
        _search(network, images[part], radius, step, noise, max_steps, rng)
        for part in chunks(len(images), _BATCH)
    ]
    arrays = ("is_critical", "predictions", "steps", "adversarial_images", "adversarial_classes")
    joined = {name: np.concatenate([getattr(part, name) for part in parts]) for name in arrays}
    return CriticalSamples(**joined, radius=float(radius))


def _search(
    network: Network,
    images: Array,
    radius: float,
    step: float,
    noise: float,
    max_steps: int,
    rng: np.random.Generator,
) -> CriticalSamples:
    """Return what `critical_samples` does, for one batch."""
    predictions = network.predict(images)
    images = images.astype(network.dtype, copy=False)
    x, rows = images.copy(), np.arange(len(images))
    classes, steps = predictions.copy(), np.zeros(len(images), np.int64)
    for n_steps in range(max_steps + 1):
        logits, pullback = network.logits_vjp(x[rows])
        classes[rows] = logits.argmax(axis=1)
        changed = classes[rows] != predictions[rows]
        steps[rows[changed]] = n_steps
        if changed.all() or n_steps == max_steps:
            break
        direction = np.sign(pullback(_toward_runner_up(logits, predictions[rows])))[~changed]
        rows = rows[~changed]
        distance = x[rows] - images[rows] + radius * step * direction
        if noise > 0:
            distance += radius * noise * rng.standard_normal(distance.shape, network.dtype)
        x[rows] = images[rows] + np.clip(distance, -radius, radius)
    is_critical = steps > 0
    return CriticalSamples(
        is_critical=is_critical,
        predictions=predictions,
        steps=steps,
        adversarial_images=x[is_critical],
        adversarial_classes=classes[is_critical],
        radius=radius,
    )


def _toward_runner_up(logits: Array, predictions: Ints) -> Array:
    """Return the gradient, with respect to the logits, of the largest other one less that of the class predicted."""
    rows, others = np.arange(len(logits)), logits.copy()
    others[rows, predictions] = -np.inf
    gradient = np.zeros_like(logits)
    gradient[rows, others.argmax(axis=1)] = 1
    gradient[rows, predictions] = -1
    return gradient
