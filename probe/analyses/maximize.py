"""Inputs that maximize classes, units, channels or sums of them, beside how high they can get and what real images do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from probe._bars import ShownProgress
from probe._checks import Array, check_images, check_integer, generator
from probe._signatures import checked
from probe.ascent import (
    PIXELS,
    UNIT_BOX,
    Ascent,
    Ball,
    Blurred,
    Bounds,
    Box,
    Fourier,
    Pixels,
    Shift,
    ascend,
    certify,
)
from probe.datasets import Dataset
from probe.fitting import warn_of_images
from probe.network import Network
from probe.objectives import AnyObjective, Combination, Objective
from probe.results import Columns, Record, Result

__all__ = ["Maximization", "TopImages", "maximize"]

Number = TypeVar("Number", bound=np.generic)

_SAME = 0.1
"""Images are one optimum below this RMS difference of pixels: that of a binary image with 1% of its pixels flipped."""

_PROVEN = 1e-4
"""A value is at its upper bound if it is no farther from it than this share of the way between the bounds."""

_LATE, _SETTLED = 0.1, 1e-3
"""An ascent has settled if the last tenth of its steps gave less than a thousandth of its whole rise."""


class TopImages(Record):
    """The real images on which objectives are greatest.

    Attributes
    ----------
    images : ndarray of shape (n_objectives, n_top, *input_shape), in [0, 1]
        In order, the greatest first.
    values : ndarray of shape (n_objectives, n_top)
        The objective on them.
    indices : ndarray of shape (n_objectives, n_top), int64
        Which of the images they are.
    n_images : int
        How many were looked at.
    medians : ndarray of shape (n_objectives,)
        The median of the objective over all of these.
    """

    images: Array
    values: Array
    indices: npt.NDArray[np.int64]
    n_images: int
    medians: Array


class Maximization(Ascent, Result):
    """The images found, for every objective and restart: an `Ascent`, and what is known of where it ended.

    Attributes
    ----------
    objectives : tuple of Objective or Combination
        What was maximized.
    names : tuple of str
        A label for each objective.
    confidences : ndarray of shape (n_objectives, n_restarts), in [0, 1]
        The network's largest output on `images`; NaN for a network without classes.
    predictions : ndarray of shape (n_objectives, n_restarts), int64
        The class that the network puts them in; -1 for a network without classes.
    l2, total_variation, diversity : float
        Weights of the regularizers.
    bounds : Bounds
        Between what each objective lies, wherever in the region its image is.
    settled : ndarray of shape (n_objectives, n_restarts), bool
        Whether the last tenth of the steps gave less than a thousandth of the whole rise.
    n_optima : ndarray of shape (n_objectives,), int64
        Groups of end images: a chain of images joins those of a group, each less than 0.1 from the next in the root of
        the mean squared difference of pixels (a binary image with 1% of its pixels flipped is 0.1 away). Ascents that
        have not settled may count apart.
    parameterization : Pixels, Fourier or Blurred
    transform : Shift or None
    region : Box or Ball
    top : TopImages or None
        The real images on which each objective is greatest, where images were passed.
    """

    objectives: tuple[Objective | Combination, ...]
    names: tuple[str, ...]
    confidences: Array
    predictions: npt.NDArray[np.int64]
    l2: float
    total_variation: float
    diversity: float
    bounds: Bounds
    settled: npt.NDArray[np.bool_]
    n_optima: npt.NDArray[np.int64]
    parameterization: Pixels | Fourier | Blurred
    transform: Shift | None
    region: Box | Ball
    top: TopImages | None = None

    @property
    def best_images(self) -> Array:
        """Image of the best restart for each objective, of shape (n_objectives, *input_shape)."""
        return self._best(self.images)

    @property
    def best_values(self) -> Array:
        """Value on the image of the best restart for each objective, of shape (n_objectives,)."""
        return self._best(self.values)

    @property
    def best_confidences(self) -> Array:
        """The network's largest output on the best image of each objective; NaN for a network without classes."""
        return self._best(self.confidences)

    @property
    def best_predictions(self) -> npt.NDArray[np.int64]:
        """The class that the network puts the best image of each objective in; -1 for a network without classes."""
        return self._best(self.predictions)

    @property
    def reached(self) -> npt.NDArray[np.float64]:
        """How far up the best values are, (n_objectives,): 0 at the lower bound, 1 at the upper; NaN without bounds."""
        return self.bounds.shares(self.best_values)

    @property
    def n_proven(self) -> int:
        """Objectives whose best image is proven to be the highest there is: it is at the upper bound."""
        return int((self.reached > 1 - _PROVEN).sum())

    @property
    def median_start_value(self) -> float:
        """Median of `start_values`."""
        return float(np.median(self.start_values))

    @property
    def moved(self) -> bool:
        """Whether some best image has a greater value than all images that its ascents started from."""
        return bool((self.best_values > self.start_values.max(axis=1)).any())

    @property
    def n_as_intended(self) -> int:
        """Best images of a class that the network puts in that class."""
        return int(self._as_intended.sum())

    @property
    def least_confidence_as_intended(self) -> float:
        """Least of their `best_confidences`; NaN if there are none."""
        return float(self.best_confidences[self._as_intended].min()) if self.n_as_intended else np.nan

    @property
    def n_above_real(self) -> int | None:
        """Objectives that are higher on the best image than on every real one; None without real images."""
        return None if self.top is None else int((self.best_values > self.top.values[:, 0]).sum())

    @property
    def _as_intended(self) -> npt.NDArray[np.bool_]:
        classes = [isinstance(each, Objective) and each.layer is None for each in self.objectives]
        indices = [getattr(each, "index", -1) for each in self.objectives]
        return np.asarray(classes & (self.best_predictions == indices))

    def _best(self, values: npt.NDArray[Number]) -> npt.NDArray[Number]:
        return values[np.arange(len(values)), self.best_restarts]

    def columns(self) -> Columns:
        """Return one row for each objective: what its best image reaches."""
        names = ("best_values", "reached", "n_optima", "best_confidences", "best_predictions")
        columns: Columns = {"objective": self.names, "upper_bound": self.bounds.upper}
        columns |= {name: getattr(self, name) for name in names}
        return columns if self.top is None else columns | {"best_real_value": self.top.values[:, 0]}


@checked
def maximize(
    network: Network,
    objectives: Sequence[AnyObjective],
    *,
    restarts: int = 4,
    steps: int = 200,
    l2: float = 0.0,
    total_variation: float = 0.0,
    diversity: float = 0.0,
    parameterization: Pixels | Fourier | Blurred = PIXELS,
    transform: Shift | None = None,
    region: Box | Ball = UNIT_BOX,
    images: Dataset | Array | None = None,
    n_top: int = 5,
    frames: int | None = None,
    seed: int | np.random.Generator = 0,
    progress: ShownProgress = "auto",
) -> Maximization:
    """Find inputs in a region, [0, 1] by default, that maximize each objective.

    All objectives and restarts climb in one batch. A step follows the gradient inside the region. If it does not raise
    the regularized objective

        objective(x) - l2 * sum(x²) - total_variation * TV(x) - diversity * likeness(x)

    the image stays as it is, and the next step is half as long. Otherwise the next step is longer. TV is the sum over
    pixels of the length of the gradient between neighbors, rounded off below 0.01. The likeness is the mean
    cosine between an image and the other restarts of its objective, each less the region's center.

    Parameters
    ----------
    network : Network
        Its inputs are taken to range over [0, 1]; for another range pass `network.with_input_range(low, high)`. A network
        whose first layers were made for another range gets a `probe.ProbeWarning`.
    objectives : sequence of Objective or Combination
        From `probe.class_logit`, `probe.unit` and `probe.direction`, their sums, differences and multiples; at least one.
    restarts : int
        Random starts for each objective, at least 1. Each start is noise of another brightness.
    steps : int
        Steps of each ascent, at least 1.
    l2 : float
        Weight of the L2 penalty, at least 0. It keeps images dark.
    total_variation : float
        Weight of the total variation penalty, at least 0. It keeps images smooth, and needs inputs of shape
        (height, width[, channels]).
    diversity : float
        Weight of the similarity penalty, at least 0. It keeps the restarts of an objective apart.
    parameterization : Pixels, Fourier or Blurred
        Variables of the ascent: single pixels, Fourier coefficients, or an image that is blurred.
    transform : Shift, optional
        Shifts that the objective is averaged over during the ascent. `values` are measured without them.
    region : Box or Ball
        Allowed images.
    images : Dataset or ndarray of shape (n_images, *input_shape), in [0, 1], optional
        Real images. Those with the largest value of each objective are kept.
    n_top : int
        Real images to keep for each objective, at least 1.
    frames : int, optional
        Images of the ascent to keep, about, at least 2.
    seed : int or numpy.random.Generator
        Draws the starting images.
    progress : callable, "auto" or None
        Called with a `ProgressEvent` after each step.

    Raises
    ------
    InputError
        If an argument is outside its range, or the network has no such unit or class.

    References
    ----------
    .. [1] D. Erhan et al., "Visualizing Higher-Layer Features of a Deep Network", 2009.
    .. [2] K. Simonyan, A. Vedaldi, A. Zisserman, "Deep Inside Convolutional Networks", 2013 (l2).
    .. [3] A. Mahendran, A. Vedaldi, "Understanding Deep Image Representations by Inverting Them",
       CVPR 2015 (total variation).
    .. [4] C. Olah, A. Mordvintsev, L. Schubert, "Feature Visualization", Distill, 2017 (Fourier, diversity).
    .. [5] J. Borowski et al., "Exemplary Natural Images Explain CNN Activations Better than State-of-the-Art
       Feature Visualization", ICLR 2021 (the real images beside).

    Examples
    --------
    >>> from probe.layers import Dense
    >>> kernel = np.array([[1.0], [-2.0]], dtype=np.float32)
    >>> network = Network((Dense("output", kernel, np.zeros(1, np.float32)),), input_shape=(2,))
    >>> found = maximize(network, [Objective("output", 0)], restarts=3)
    >>> found.best_images, found.reached.round(3), found.n_optima
    (array([[1., 0.]], dtype=float32), array([1.]), array([1]))
    """
    assert callable(progress)
    if frames is not None:
        check_integer("frames", frames, minimum=2)
    check_integer("n_top", n_top, minimum=1)
    real = None if images is None else np.asarray(getattr(images, "images", images))
    if real is not None:
        check_images("images", real, network.input_shape)
    # Without images: what the region holds, from all dark to all light.
    ends = np.stack([np.zeros(network.input_shape), np.ones(network.input_shape)])
    warn_of_images(network, ends if images is None else images)
    climbed = ascend(
        network,
        objectives,
        restarts=restarts,
        steps=steps,
        parameterization=parameterization,
        transform=transform,
        region=region,
        l2=l2,
        total_variation=total_variation,
        diversity=diversity,
        seed=generator(seed),
        progress=progress,
        keep=frames,
    )
    chosen = tuple(objectives)
    confidences, predictions = _classified(network, climbed.images)
    return Maximization(
        **{field.name: getattr(climbed, field.name) for field in fields(Ascent)},
        objectives=chosen,
        names=tuple(_label(objective, network) for objective in chosen),
        confidences=confidences,
        predictions=predictions,
        l2=float(l2),
        total_variation=float(total_variation),
        diversity=float(diversity),
        bounds=certify(network, chosen, region),
        settled=_settled(climbed.traces),
        n_optima=np.array([_n_groups(images_of_one) for images_of_one in climbed.images]),
        parameterization=parameterization,
        transform=transform,
        region=region,
        top=None if real is None else _top(network, chosen, real, n_top),
    )


def _top(network: Network, objectives: tuple[AnyObjective, ...], images: Array, n_top: int) -> TopImages:
    """Return the images on which each objective is greatest; the first ones of equals."""
    values = network.objective_values(images, objectives).T
    order = np.argsort(-values, axis=1, kind="stable")[:, :n_top]
    return TopImages(
        images=images[order],
        values=np.take_along_axis(values, order, axis=1),
        indices=order.astype(np.int64),
        n_images=len(images),
        medians=np.median(values, axis=1),
    )


def _settled(traces: Array) -> npt.NDArray[np.bool_]:
    """Return which ascents (..., n_steps + 1) gained less than a thousandth in the last tenth of their steps."""
    late = -max(1, round(_LATE * (traces.shape[-1] - 1))) - 1
    end = traces[..., -1]
    return np.asarray(end - traces[..., late] <= _SETTLED * np.abs(end - traces[..., 0]))


def _n_groups(images: Array) -> int:
    """Return how many groups images (n, ...) form: those are in one that a chain of near ones joins."""
    from scipy.sparse.csgraph import connected_components

    flat = images.reshape(len(images), -1).astype(np.float64)
    # One image at a time: all differences at once would be n times as many values as the images.
    near = [np.square(flat - one).mean(axis=1) < _SAME**2 for one in flat]
    return int(connected_components(np.array(near), directed=False)[0])


def _classified(network: Network, images: Array) -> tuple[Array, npt.NDArray[np.int64]]:
    """Return the largest output for images (n, m, ...) and its class; NaN and -1 where the network has no classes."""
    n, m, *shape = images.shape
    if not network.n_classes:
        return np.full((n, m), np.nan, network.dtype), np.full((n, m), -1)
    x = images.reshape(n * m, *shape)
    return network.predict_proba(x).max(axis=1).reshape(n, m), network.predict(x).reshape(n, m)


def _label(objective: AnyObjective, network: Network) -> str:
    if isinstance(objective, Objective):
        return network.class_names[objective.index] if objective.layer is None else objective.name
    return objective.named_with(
        lambda term: f"class {network.class_names[term.index]}" if term.layer is None else term.name
    )
