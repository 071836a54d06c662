"""What a deeper unit reads of the input: along all paths as if the network were linear, and as it is on data."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from functools import partial

import numpy as np

from probe._cache import kept
from probe._checks import Array, InputError, check_finite, check_integer, check_shape, generator
from probe._signatures import checked
from probe.controls import Controls
from probe.fitting import warn_of_images
from probe.layers import Dense, Layer
from probe.network import Network
from probe.results import Columns, Result
from probe.stats import Claim, Estimate, Verdict, mean_estimate

__all__ = ["ExpandedWeights", "expanded_weights"]

FAITHFUL = Claim(
    key="faithful",
    title="Expanded weights show what a deeper unit reads",
    statistic_name="cosine with the mean Jacobian",
    unit="",
    replicate="units",
    null="a mean cosine of 0.71 with the mean Jacobian",
    threshold=math.sqrt(0.5),
    reason="the square of the cosine is the part that both pictures share: above 0.71 it is most of them",
)

CANCELS = Claim(
    key="cancels",
    title="Paths cancel each other more than by chance",
    statistic_name="difference of shares that cancel",
    unit="share",
    replicate="units",
    null="as much cancels as when each weight keeps its size and gets a random sign",
    threshold=0.0,
    reason="no difference from random signs",
)

_SIGN_DRAWS = 200
"""Random signs for the kernels; the mean over them is known to a few thousandths."""


class ExpandedWeights(Result):
    """Expanded weights of a dense layer beside its data-averaged Jacobian.

    Attributes
    ----------
    layer : str
        Name of the layer.
    unit_names : tuple of str
        One for each unit: the class names for the last layer, else "0", "1", ...
    expanded : ndarray of shape (n_units, *input_shape)
        The product of all kernels from the input to the layer: for each unit and input the sum, over all paths
        between them, of the products of the weights on the path.
    jacobian : ndarray of shape (n_units, *input_shape)
        Derivative of each unit's pre-activation with respect to the input, averaged over the images.
    similarity : ndarray of shape (n_units,), in [-1, 1]
        Cosine between the two over the active inputs: 1 where expanded weights show what moves the unit on these
        images, up to a factor; NaN where one of them is zero.
    cancellation : ndarray of shape (n_units,), in [0, 1]
        How much of the sum over paths cancels: 1 - sum |sum over paths| / sum of all |paths|, over the active
        inputs. 0 where all paths to an input have one sign, 1 where nothing is left; NaN where there is no path.
    chance_cancellation : ndarray of shape (n_units,), in [0, 1]
        Its mean when every weight keeps its size and gets a random sign.
    variation : ndarray of shape (n_units,), in [0, 1]
        How much the Jacobians of single images differ: 1 - sum |mean| / sum of mean |.|, over the active inputs. 0
        where each image has the same, as in a linear network; NaN where all are zero.
    active : ndarray of shape input_shape, bool
        Inputs that are not the same in all images. Elsewhere plain gradient descent leaves the first layer's
        weights as they started, if the value is zero.
    n_images : int
        Images that the Jacobian is averaged over.
    verdicts : tuple of Verdict
        Over the units: whether expanded weights show what they read, and whether more cancels than with random signs. The
        trained control networks stand beside it, each measured in the layer that has the same place. Empty for the first
        dense layer, whose Jacobian is its weights.
    """

    layer: str
    unit_names: tuple[str, ...]
    expanded: Array
    jacobian: Array
    similarity: Array
    cancellation: Array
    chance_cancellation: Array
    variation: Array
    active: Array
    n_images: int
    verdicts: tuple[Verdict, ...] = ()

    @property
    def mean_cosine(self) -> float:
        """Mean of `similarity` over the units that have one; NaN where none has."""
        return _nanmean(self.similarity)

    @property
    def mean_cancellation(self) -> float:
        """Mean of `cancellation`, likewise."""
        return _nanmean(self.cancellation)

    @property
    def mean_chance_cancellation(self) -> float:
        """Mean of `chance_cancellation`, likewise."""
        return _nanmean(self.chance_cancellation)

    @property
    def mean_variation(self) -> float:
        """Mean of `variation`, likewise."""
        return _nanmean(self.variation)

    def columns(self) -> Columns:
        """Return one row for each unit."""
        names = ("similarity", "cancellation", "chance_cancellation", "variation")
        return {"unit": self.unit_names} | {name: getattr(self, name) for name in names}


def _nanmean(values: Array) -> float:
    return float(np.nanmean(values)) if np.isfinite(values).any() else np.nan


@checked
def expanded_weights(
    network: Network,
    images: Array,
    layer: str = "last",
    *,
    controls: Controls | None = None,
    n_images: int = 1000,
    seed: int | np.random.Generator = 0,
) -> ExpandedWeights:
    """Compare what a layer would read if the network were linear with what it reads on images.

    Expanded weights leave out the activations between the layers. Two measures say whether this is a fair picture of
    a unit: their cosine with the mean Jacobian, and how much of the sum over paths cancels. Where much cancels, small
    changes of the activations have large effects.

    Parameters
    ----------
    network : Network
        A network of one input. From the input to `layer` it may have dense layers, and layers that rearrange or scale.
    images : ndarray of shape (n, *input_shape), float
        Images like those that the network was trained on.
    layer : str
        Name of a dense layer, or "last" for the one that gives the logits.
    controls : Controls, optional
        From `probe.control_networks`. They are measured where they have the layers of this network.
    n_images : int
        Images to average over, at least 1, drawn at random.
    seed : int or numpy.random.Generator
        Draws the images and the random signs.

    Raises
    ------
    InputError
        If there is no such layer, it is not dense, or another layer is on the way; or the images do not fit.

    References
    ----------
    .. [1] C. Voss et al., "Visualizing Weights", Distill 2021 (expanded weights).

    Examples
    --------
    >>> import probe
    >>> split = probe.load_dataset("digits")
    >>> network = probe.train(probe.MLP(hidden=(5,)), split, probe.TrainingConfig(epochs=1)).network
    >>> expanded_weights(network, split.test.images, n_images=50).jacobian.shape
    (10, 8, 8)
    """
    check_integer("n_images", n_images, minimum=1)
    images = _checked(network, images)
    warn_of_images(network, images)
    name = network.head_name if layer == "last" else layer
    layers = _layers_down_from(network, name)
    if controls is not None:
        controls.check_of(network)
    rng = generator(seed)
    active = (images != images[:1]).any(axis=0)
    if not active.any():  # also where there is one image, or none
        raise InputError("images must differ from each other, but every input is the same in all of them")
    if len(images) > n_images:
        images = images[np.sort(rng.choice(len(images), n_images, replace=False))]
    measured = _measured(network, name, layers, images, active, rng)
    verdicts: tuple[Verdict, ...] = ()
    if any(isinstance(layer, Dense) for layer in layers[1:]):
        others = list[dict[str, Estimate]]()
        if controls is not None and controls.like_it:
            place = [each.name for each in network.dense_layers].index(name)
            depends = controls.like_it, place, images, active, rng
            beside = kept(_Beside, "paths", partial(_of_members, *depends), *depends)
            others = [beside.estimates(k) for k in range(len(controls.like_it))]
        verdicts = _verdicts(_estimates(measured), others)
    return ExpandedWeights(
        layer=name,
        unit_names=network.unit_names(name),
        **measured,
        active=active,
        n_images=len(images),
        verdicts=verdicts,
    )


def _measured(
    network: Network,
    name: str,
    layers: Sequence[Layer],
    images: Array,
    active: Array,
    rng: np.random.Generator,
) -> dict[str, Array]:
    """Return a layer's fields of `ExpandedWeights`, from `expanded` to `variation`."""
    expanded = _paths(network, layers, lambda kernel: kernel)
    sizes = _paths(network, layers, np.abs, scaled=np.abs)
    jacobian, mean_size = _jacobian(network, name, images)
    chance = np.mean(
        [
            1 - _share(_paths(network, layers, lambda kernel: _randomly_signed(kernel, rng)), sizes, active)
            for _ in range(_SIGN_DRAWS)
        ],
        axis=0,
    )
    return {
        "expanded": expanded,
        "jacobian": jacobian,
        "similarity": _cosine(expanded[:, active], jacobian[:, active]),
        "cancellation": 1 - _share(expanded, sizes, active),
        "chance_cancellation": chance,
        "variation": 1 - _share(jacobian, mean_size, active),
    }


@dataclass(frozen=True, slots=True, eq=False)
class _Beside:
    """What decides the claims of each control network, (n_networks, n_units)."""

    similarity: Array
    cancellation: Array
    chance_cancellation: Array

    def estimates(self, index: int) -> dict[str, Estimate]:
        return _estimates({field.name: getattr(self, field.name)[index] for field in fields(self)})


def _of_members(
    members: Sequence[Network], place: int, images: Array, active: Array, rng: np.random.Generator
) -> _Beside:
    """Measure the dense layer at `place` of control networks."""
    found = []
    for member in members:
        name = member.dense_layers[place].name
        layers = _layers_down_from(member, name)
        found.append(_measured(member, name, layers, images.astype(member.dtype), active, rng))
    return _Beside(*(np.array([each[field.name] for each in found]) for field in fields(_Beside)))


def _estimates(measured: dict[str, Array]) -> dict[str, Estimate]:
    """Return what decides each claim, over the units that have a value; a claim without two such units is left out."""
    values = {
        FAITHFUL.key: measured["similarity"],
        CANCELS.key: measured["cancellation"] - measured["chance_cancellation"],
    }
    known = {key: each[~np.isnan(each)].astype(np.float64) for key, each in values.items()}
    return {key: mean_estimate(each) for key, each in known.items() if len(each) > 1}


def _verdicts(own: dict[str, Estimate], others: list[dict[str, Estimate]]) -> tuple[Verdict, ...]:
    """Return the verdicts about the network at hand."""
    words = {
        FAITHFUL: (
            "Between expanded weights and the mean Jacobian the cosine is {mean:.3f}, averaged over {n} units: a part of "
            "{part:.0%} of both pictures is the same."
        ),
        CANCELS: "The share that cancels exceeds that with random signs by {mean:+.3f}, averaged over {n} units.",
    }
    verdicts = []
    for claim, sentence in words.items():
        if claim.key not in own:
            verdicts.append(claim.undecided("No two units have a path from the input that moves them."))
            continue
        found = own[claim.key].interval
        said = sentence.format(mean=found.estimate, n=found.n, part=max(0.0, found.estimate) ** 2)
        same = [other[claim.key] for other in others if claim.key in other]
        verdicts.append(claim.verdict(own[claim.key], said, others=same))
    return tuple(verdicts)


def _checked(network: Network, images: Array) -> Array:
    images = np.asarray(images)
    check_shape("images", images.shape, (None, *network.input_shape))
    if not np.issubdtype(images.dtype, np.floating):
        raise InputError(f"images must be float, got {images.dtype}; divide uint8 pixels by 255")
    check_finite("images", images)
    return images.astype(network.dtype, copy=False)


def _layers_down_from(network: Network, name: str) -> list[Layer]:
    """Return the dense layer `name` and all layers below it, the nearest first, or raise if one is of no such kind."""
    chain = network.truncate(name)
    if not chain.is_chain or chain.more_input_shapes:
        raise InputError(f"expanded weights need a chain of layers, but branches lead to '{name}'")
    target = network.layer(name)
    if not isinstance(target, Dense):
        dense = ", ".join(f"'{each.name}'" for each in network.dense_layers)
        raise InputError(
            f"layer '{name}' must be dense; pass one of {dense or 'none: this network has none'}"
        )
    for below in chain.layers:
        vector = not isinstance(below, Dense) or len(chain.input_shapes_of(below.name)[0]) == 1
        if not (isinstance(below, Dense) or below.rearranges or below.scales) or not vector:
            raise InputError(
                f"expanded weights need dense layers on vectors down to the input, but '{below.name}' is a "
                f"{type(below).__name__} on {chain.input_shapes_of(below.name)[0]}"
            )
    return list(chain.layers[::-1])


def _paths(
    network: Network,
    layers: Sequence[Layer],
    kernel_of: Callable[[Array], Array],
    *,
    scaled: Callable[[Array], Array] = lambda rows: rows,
) -> Array:
    """Return the sums over all paths from the input to each unit of `layers[0]`: (n_units, *input_shape).

    `kernel_of` says what is taken for each kernel, `scaled` what for the rows behind each scale.
    """
    rows: Array = np.eye(network.n_units(layers[0].name), dtype=network.dtype)
    for layer in layers:
        if isinstance(layer, Dense):
            rows = rows @ kernel_of(layer.kernel).T
        else:
            (shape,) = network.input_shapes_of(layer.name)
            rows = scaled(layer.pre_activation(np.zeros((len(rows), *shape), rows.dtype))[1](rows))
    return rows.reshape(-1, *network.input_shape)


def _randomly_signed(kernel: Array, rng: np.random.Generator) -> Array:
    signs = rng.integers(0, 2, kernel.shape, np.int8).astype(kernel.dtype) * 2 - 1
    signed: Array = kernel * signs
    return signed


def _jacobian(network: Network, name: str, images: Array) -> tuple[Array, Array]:
    """Return the mean Jacobian of the layer's pre-activations over images, and the mean of its sizes."""
    part = network.truncate(name)
    logits, pullback = part.logits_vjp(images)
    mean, size = [], []
    for unit in range(logits.shape[1]):
        gradient = np.zeros_like(logits)
        gradient[:, unit] = 1
        found = pullback(gradient)
        mean.append(found.mean(axis=0))
        size.append(np.abs(found).mean(axis=0))
    return np.stack(mean), np.stack(size)


def _share(sums: Array, sizes: Array, active: Array) -> Array:
    """Return sum |sums| / sum |sizes| over the active inputs, for each unit; NaN where all sizes are zero."""
    left = np.abs(sums[:, active]).sum(axis=1, dtype=np.float64)
    whole = sizes[:, active].sum(axis=1, dtype=np.float64)
    found = np.full(len(left), np.nan)
    # A sum of rounded products may exceed the sum of their sizes in the last digit.
    np.divide(left, whole, out=found, where=whole > 0)
    return np.asarray(np.minimum(found, 1.0))


def _cosine(one: Array, other: Array) -> Array:
    """Return the cosine between the rows of two matrices; NaN where a row is zero."""
    one, other = one.astype(np.float64), other.astype(np.float64)
    lengths = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    found = np.full(len(one), np.nan)
    np.divide((one * other).sum(axis=1), lengths, out=found, where=lengths > 0)
    return np.asarray(np.clip(found, -1.0, 1.0))
