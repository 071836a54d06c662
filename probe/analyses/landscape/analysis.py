"""A network's landscape: the surface around it, and everything together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from probe._bars import ShownProgress
from probe._checks import InputError, check_choice, check_integer, check_once, generator
from probe._parallel import available_workers, single_threaded_blas
from probe._progress import ProgressEvent
from probe._signatures import checked
from probe.analyses.landscape.activations import LOOKED, StepActivations, step_activations
from probe.analyses.landscape.descent import Descent, affordable_looks, descent
from probe.analyses.landscape.directions import measure_many_lines
from probe.analyses.landscape.path import Look, TrainingPath, training_path
from probe.analyses.landscape.plane import filter_directions
from probe.analyses.landscape.steepness import steepness
from probe.costs import CostName
from probe.datasets import Dataset, Split
from probe.fitting import fitted
from probe.network import Network
from probe.parameters import ParameterSpace
from probe.planes import measure_plane
from probe.results import Columns, Record, Result
from probe.stats import Estimate, Verdict
from probe.training import reinitialized

__all__ = ["PARTS", "Landscape", "LossSurface", "Part", "landscape", "primary_estimates"]

Floats = npt.NDArray[np.float64]

Part = Literal["descent", "activations", "path", "surface"]
PARTS: tuple[Part, ...] = get_args(Part)

_N_IMAGES, _N_DIRECTIONS = 500, 1000

_LINE = np.linspace(-1.0, 1.0, 41)


class LossSurface(Record):
    """The cost around a network, in random directions in which each filter is as long as the network's.

    Attributes
    ----------
    coordinates : ndarray of shape (n,)
        Places along each direction; 0 is the network.
    planes : ndarray of shape (n_planes, n, n)
        Costs on planes of two directions each.
    line_coordinates : ndarray of shape (m,)
        Places along the lines.
    lines, line_accuracy : ndarray of shape (n_lines, m)
        Costs and accuracies along single directions.
    cost, accuracy : float
        At the network itself.
    n_images : int
        Training images that all this is measured on.
    """

    coordinates: Floats
    planes: Floats
    line_coordinates: Floats
    lines: Floats
    line_accuracy: Floats
    cost: float
    accuracy: float
    n_images: int

    @property
    def lowest_share(self) -> float:
        """Share of the lines on which no point is lower than the network by more than rounding."""
        return float((~(self.lines < self.cost * (1 - 1e-5))).all(axis=1).mean())

    @property
    def line_median(self) -> Floats:
        """Median cost over the lines at each of `line_coordinates`."""
        return np.asarray(np.median(self.lines, axis=0))

    @property
    def line_band(self) -> Floats:
        """The middle 90% of the costs there, (2, m)."""
        return np.asarray(np.quantile(self.lines, [0.05, 0.95], axis=0))


class Landscape(Result):
    """The cost around and along the way of one network.

    Attributes
    ----------
    descent : Descent
        The negative gradient against other directions.
    activations : StepActivations or None
        What gradient descent does without slopes; None for a network without a hidden layer that has any, or where it was
        not asked for.
    path : TrainingPath or None
        The way down, and the straight line; None where it was not asked for.
    surface : LossSurface or None
        What is around the network; None where it was not asked for.
    """

    descent: Descent
    activations: StepActivations | None
    path: TrainingPath | None
    surface: LossSurface | None

    @property
    def verdicts(self) -> tuple[Verdict, ...]:
        """On the steepest direction, and on continuous activations where there are any."""
        steps = () if self.activations is None else (self.activations.verdict,)
        return (self.descent.verdict, *steps)

    def columns(self) -> Columns:
        """Return one row for each network and length of the step; network 0 is the one looked at."""
        descent = self.descent
        n_networks, n_steps = descent.along_gradient.shape
        return {
            "network": np.repeat(np.arange(n_networks), n_steps),
            "step": np.tile(descent.steps, n_networks),
            "along_gradient": descent.along_gradient.ravel(),
            "best_random": descent.best_random.ravel(),
        }


@checked
def landscape(
    network: Network,
    split: Split,
    *,
    parts: Sequence[Part] = PARTS,
    cost: CostName = "cross-entropy",
    n_networks: int = 6,
    n_directions: int | None = None,
    updates: int = 2000,
    resolution: int = 31,
    n_planes: int = 8,
    n_lines: int = 100,
    n_images: int | None = None,
    workers: int | None = None,
    seed: int | np.random.Generator = 0,
    progress: ShownProgress = "auto",
) -> Landscape:
    """Look at the cost around a network and on the way to where gradient descent ends.

    At the network the slope along the negative gradient is held against those along random directions, and along the
    directions that are the steepest where the length of a step is measured in another way. At the network and at fresh
    starts of its layers it is held against random directions at longer steps. The starts are trained with their own
    activations and with steps. One is followed on its way: along the straight line from start to end, and in the plane of
    its first two principal components [1]_, whose shares are held against those of a random walk [2]_. Around the
    network itself the cost is measured in random directions in which every filter is as long as the network's, and biases
    do not move [3]_.

    Parameters
    ----------
    network : Network
        A network with one input and one output value for each class.
    split : Split
        Data.
    parts : sequence of {"descent", "activations", "path", "surface"}
        What to look at. Directions ("descent") are always compared, the others take longer.
    cost : {"cross-entropy", "quadratic"}
        Cost to measure. Outputs other than sigmoid are taken as the softmax of the logits.
    n_networks : int
        Fresh starts to train, at least 2. At least six are needed for a decision on continuous activations.
    n_directions : int, optional
        Random directions at each network, at least 1; by default 1,000, or fewer (at least 30) for a slow network.
    updates : int
        Updates of the path, at least 2; a slow network gets fewer. Each start with step activations gets a quarter.
    resolution : int
        Points along each side of a plane, at least 3; odd, so that the network is one of them.
    n_planes : int
        Random planes through the network, at least 1.
    n_lines : int
        Random lines through the network, at least 1.
    n_images : int, optional
        Training images to average the cost over, at least 1, drawn at random; by default 500, or fewer (at least 50)
        for a slow network.
    workers : int, optional
        Threads that work at the same time; as many as there are cores without. The result does not depend on it.
    seed : int or numpy.random.Generator
        Everything random follows from it.
    progress : callable, "auto" or None
        Called with a `ProgressEvent` on the way.

    Raises
    ------
    InputError
        If the network does not fit the data, has no parameters, or an argument is outside its range.
    DivergedError
        If gradient descent diverges at every rate that is tried.

    References
    ----------
    .. [1] I. J. Goodfellow, O. Vinyals, A. M. Saxe, "Qualitatively characterizing neural network optimization
       problems", ICLR 2015.
    .. [2] J. Antognini, J. Sohl-Dickstein, "PCA of high dimensional random walks with comparison to neural network
       training", NeurIPS 2018.
    .. [3] H. Li et al., "Visualizing the Loss Landscape of Neural Nets", NeurIPS 2018.

    Examples
    --------
    >>> import probe
    >>> split = probe.load_dataset("digits")
    >>> network = probe.train(probe.MLP(hidden=(8,)), split, probe.TrainingConfig(epochs=5)).network
    >>> found = landscape(network, split, n_networks=2, n_directions=20, updates=60, resolution=5, n_images=100)
    >>> found.surface.planes.shape, found.descent.along_random.shape
    ((8, 5, 5), (3, 7, 20))
    """
    assert callable(progress)
    for part in parts:
        check_choice("parts", part, PARTS)
    check_once("parts", parts)
    check_integer("n_networks", n_networks, minimum=2)
    asked = (
        _N_IMAGES if n_images is None else check_integer("n_images", n_images, minimum=1),
        _N_DIRECTIONS if n_directions is None else check_integer("n_directions", n_directions, minimum=1),
    )
    network = fitted(network, split)
    affordable = affordable_looks(network, *asked)
    n_images = affordable[0] if n_images is None else n_images
    n_directions = affordable[1] if n_directions is None else n_directions
    check_integer("updates", updates, minimum=2)
    workers = available_workers() if workers is None else workers
    check_integer("workers", workers, minimum=1)
    check_integer("n_planes", n_planes, minimum=1)
    check_integer("n_lines", n_lines, minimum=1)
    if check_integer("resolution", resolution, minimum=3) % 2 == 0:
        raise InputError(f"resolution must be odd, so that the network is in the middle, got {resolution}")
    start_rng, image_rng, descent_rng, step_rng, path_rng, surface_rng = generator(seed).spawn(6)
    starts = [reinitialized(network, rng=rng) for rng in start_rng.spawn(n_networks)]
    look = Look(_some(split.train, n_images, image_rng), cost, workers, progress)
    test = _some(split.test, 4 * n_images, image_rng)
    # The threads share the work; those of BLAS would wait for each other.
    with single_threaded_blas():
        return Landscape(
            descent=descent([network, *starts[:LOOKED]], look, n_directions=n_directions, rng=descent_rng),
            activations=step_activations(
                network,
                starts,
                Split(split.train, test, split.name),
                look,
                updates=max(2, updates // 4),
                n_directions=n_directions,
                rng=step_rng,
            )
            if "activations" in parts
            else None,
            path=training_path(starts[0], split.train, look, updates=updates, rng=path_rng)
            if "path" in parts
            else None,
            surface=_surface(network, look, resolution, n_planes, n_lines, surface_rng)
            if "surface" in parts
            else None,
        )


@checked
def primary_estimates(
    network: Network,
    split: Split,
    *,
    cost: CostName = "cross-entropy",
    n_directions: int = 100,
    n_images: int = 500,
    seed: int | np.random.Generator = 0,
) -> dict[str, Estimate]:
    """Return what decides the claims of the video about one network, by key: "steepest".

    Parameters
    ----------
    network : Network
        A network with one input and one output value for each class.
    split : Split
        Data.
    cost : {"cross-entropy", "quadratic"}
        As in `landscape`.
    n_directions, n_images : int
        Random directions, and training images to average the cost over.
    seed : int or numpy.random.Generator
        Draws both.

    Returns
    -------
    dict of str to Estimate
        Without "steepest" where the gradient is zero.
    """
    check_integer("n_directions", n_directions, minimum=1)
    check_integer("n_images", n_images, minimum=1)
    rng = generator(seed)
    found = steepness(
        fitted(network, split),
        _some(split.train, n_images, rng),
        cost=cost,
        n_directions=n_directions,
        rng=rng,
    )
    return {} if found.estimate is None else {found.verdict.key: found.estimate}


def _some(data: Dataset, n: int, rng: np.random.Generator) -> Dataset:
    """Return `n` of the images, drawn at random, or all where there are no more."""
    return data if len(data) <= n else data.sample(n, rng=rng)


def _surface(
    network: Network, look: Look, resolution: int, n_planes: int, n_lines: int, rng: np.random.Generator
) -> LossSurface:
    """Measure `n_planes` planes of `resolution` squared points and `n_lines` lines through the network."""
    space, images, labels = ParameterSpace(network, look.cost), look.data.images, look.data.labels
    # An odd number has the network itself in the middle.
    coordinates = np.linspace(-1.0, 1.0, resolution)
    grid = np.stack(np.meshgrid(coordinates, coordinates), axis=-1)
    planes = np.empty((n_planes, resolution, resolution))
    for k in range(n_planes):
        planes[k] = measure_plane(
            space, images, labels, filter_directions(space, 2, rng), grid, workers=look.workers
        ).cost
        look.progress(ProgressEvent("surface", k + 1, n_planes))
    lines = measure_many_lines(space, look, lambda n: filter_directions(space, n, rng), n_lines, _LINE)
    cost_here, accuracy = space.measure(images, labels)
    return LossSurface(
        coordinates=coordinates,
        planes=planes,
        line_coordinates=_LINE,
        lines=lines.cost,
        line_accuracy=lines.accuracy,
        cost=cost_here,
        accuracy=accuracy,
        n_images=len(images),
    )
