"""From images to noise in steps, and beyond: of a network, and of what training and labels make of its kind."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Annotated

import numpy as np

from probe._bars import ShownProgress
from probe._checks import Array, InputError, check_integer, generator
from probe._progress import ProgressEvent
from probe._signatures import AtLeast, checked
from probe.analyses.noise.confidence import Reader, Scores, noise_images
from probe.analyses.noise.limit import confidence_limit
from probe.analyses.noise.results import (
    CONFIDENT,
    GROUPS,
    N_IMAGES,
    THRESHOLDS,
    NoiseCondition,
    NoiseSeverity,
)
from probe.controls import Controls
from probe.datasets import Split, uniform_noise
from probe.fitting import fitted
from probe.network import Network
from probe.stats import Claim, Estimate, Verdict, count_estimate

__all__ = ["noise_severity"]

_FAR_SCALES = (2.0, 4.0, 16.0, 64.0)
_DIRECTIONS = 500
_N_CONDITIONS = 15

_CERTAIN = 1 - 1e-6
"""Limit from which confidence counts as going to 1: all but rounding, and units that saturate at huge weights."""

_MEMORIZED = 0.5
"""Mean share of random labels from which networks count as having learned them, so that they are a control."""

FAR = Claim(
    key="limit",
    title="Far away from the data, its confidence goes to 1",
    statistic_name="share of directions in which the limit is 1",
    unit="share",
    replicate="directions",
    null="half of the directions of uniform noise",
    threshold=0.5,
    reason="most directions: it is nearly all of them where units are rectifiers, and none where they saturate",
)

TRAINED = Claim(
    key="trained",
    title="It is training that makes such networks sure of noise",
    statistic_name="share of networks that are surer of uniform noise after training",
    unit="share",
    replicate="networks",
    null="as many are surer before",
    threshold=0.5,
    reason="what networks give that training changes at random",
    subject="kind",
)

LABELS = Claim(
    key="labels",
    title="It is the meaning of the labels that makes such networks sure of noise",
    statistic_name="share of networks that are surer of uniform noise with own labels than with permuted ones",
    unit="share",
    replicate="networks",
    null="as many are surer with permuted labels",
    threshold=0.5,
    reason="what networks give to which labels are all the same",
    subject="kind",
)


@checked
def noise_severity(
    network: Network,
    split: Split,
    *,
    controls: Controls | None = None,
    n_images: Annotated[int, AtLeast(10)] = N_IMAGES,
    seed: int | np.random.Generator = 0,
    progress: ShownProgress = "auto",
) -> NoiseSeverity:
    """Measure confidence from images to noise and beyond, of a network and of its controls.

    The controls say where confidence on noise comes from: trained networks beside their starts, and networks that learned a
    few images by heart, with their own labels beside permuted ones.

    Parameters
    ----------
    network : Network
        A network that was trained on such data.
    split : Split
        Data. The test images are used.
    controls : Controls, optional
        From `probe.control_networks`.
    n_images : int
        Images of each condition, at least 10. If there are fewer test images, they are used several times.
    seed : int or numpy.random.Generator
        Draws the images: those of noise are the images of `noise_confidence` with this seed.
    progress : callable, "auto" or None
        Called after each condition.

    Raises
    ------
    InputError
        If shapes or classes do not fit, or an argument is outside its range.

    References
    ----------
    .. [1] D. Hendrycks, K. Gimpel, "A Baseline for Detecting Misclassified and Out-of-Distribution
       Examples in Neural Networks", ICLR 2017 (maximum softmax, AUROC).
    .. [2] W. Liu et al., "Energy-based Out-of-distribution Detection", NeurIPS 2020.
    .. [3] D. Hendrycks et al., "Scaling Out-of-Distribution Detection for Real-World Settings", ICML 2022
       (maximum logit).
    .. [4] M. Hein, M. Andriushchenko, J. Bitterwolf, "Why ReLU networks yield high-confidence predictions far away
       from the training data and how to mitigate the problem", CVPR 2019 (the limit).

    Examples
    --------
    >>> import probe
    >>> split = probe.load_dataset("digits")
    >>> network = probe.train(probe.MLP(hidden=(16,)), split).network
    >>> result = noise_severity(network, split, n_images=100)
    >>> result.own_confidence.shape == (len(result.conditions),)
    True
    """
    assert callable(progress)
    check_integer("n_images", n_images, minimum=10, maximum=1_000_000)
    network = fitted(network, split)
    image_rng, step_rng, direction_rng = generator(seed).spawn(3)
    readers = [Reader.of(network)]
    if controls is not None:
        controls.check_of(network)
        groups = (controls.trained, controls.untrained, controls.few_labels, controls.random_label)
        readers += [Reader(group.logits, group.network(0).output_name) for group in groups]
    conditions, table, real = list[NoiseCondition](), list[list[_Found]](), list[Scores]()
    for step, (family, severity, images) in enumerate(_conditions(split, n_images, image_rng, step_rng)):
        conditions.append(NoiseCondition(family=family, severity=severity, examples=images[:8].copy()))
        scores = [reader.scores(images) for reader in readers]
        if step == 0:
            real = [each.ordered() for each in scores]
        table.append([_found_in(each, ordered) for each, ordered in zip(scores, real, strict=True)])
        progress(ProgressEvent("from images to noise", step + 1, _N_CONDITIONS))
    directions = uniform_noise(_DIRECTIONS, split.test.image_shape, rng=direction_rng)
    # (n_readers, n_networks, n_conditions, ...) of the groups; the network at hand is a group of one.
    confidence, share_above, auroc = (
        [np.stack([found[k][field] for found in table], axis=1) for k in range(len(readers))]
        for field in range(3)
    )
    result = NoiseSeverity(
        conditions=tuple(conditions),
        n_images=n_images,
        own_confidence=confidence[0][0],
        own_share_above=share_above[0][0],
        own_auroc=auroc[0][0].T,
        own_limit=_limits(network, directions),
    )
    if controls is not None:
        result = replace(
            result,
            groups=tuple(GROUPS),
            confidence=np.stack(confidence[1:]),
            share_above=np.stack(share_above[1:]),
            auroc=np.stack(auroc[1:])[..., 0],
            limit=np.stack([_limits(member, directions) for member in controls.trained.networks()]),
        )
    return replace(result, verdicts=_verdicts(result, controls))


def _conditions(
    split: Split, n_images: int, image_rng: np.random.Generator, step_rng: np.random.Generator
) -> Iterator[tuple[str, float, Array]]:
    """Return family, severity and images of every condition, real images first."""
    kinds, _ = noise_images(split, n_images, image_rng)
    images, noise = kinds["real"], kinds["uniform"]
    yield "real", 0.0, images
    for share in (0.25, 0.5, 0.75):
        yield "blend", share, ((1 - share) * images + share * noise).astype(np.float32)
    yield "uniform", 1.0, noise
    for share in (0.25, 0.5, 0.75):
        yield "shuffle", share, _partly_shuffled(images, share, step_rng)
    for kind in ("shuffled", "gaussian", "norm-matched"):
        yield kind, 1.0, kinds[kind]
    for scale in _FAR_SCALES:
        yield "norm", scale, noise * np.float32(scale)


def _partly_shuffled(images: Array, share: float, rng: np.random.Generator) -> Array:
    """Return images in each of which a share of the pixels, chosen at random, move on around a random cycle."""
    n_pixels = images.shape[1] * images.shape[2]
    pixels = images.reshape(len(images), n_pixels, -1)
    n_moved = round(share * n_pixels)
    moving = np.argsort(rng.random((len(images), n_pixels), dtype=np.float32), axis=1)[:, :n_moved]
    result = pixels.copy()
    moved = np.take_along_axis(pixels, moving[:, :, None], axis=1)
    np.put_along_axis(result, np.roll(moving, 1, axis=1)[:, :, None], moved, axis=1)
    return result.reshape(images.shape)


def _limits(network: Network, directions: Array) -> Array:
    """Return the limits of the confidence along directions; none where a layer has no limit."""
    try:
        return confidence_limit(network, directions).confidences
    except InputError:
        return np.empty(0)


def _verdicts(result: NoiseSeverity, controls: Controls | None) -> tuple[Verdict, ...]:
    verdicts = list[Verdict]()
    if result.own_limit.size:
        has_others = controls is not None and controls.copies
        verdicts.append(_far(result, result.limit if has_others else result.limit[:0]))
    if controls is not None:
        verdicts.append(_learned(result, controls.caveat))
        # Networks that hardly learned their random labels cannot say what learning these does.
        if controls.summary.memorized.mean() >= _MEMORIZED:
            verdicts.append(_meant(result, controls))
    return tuple(verdicts)


def _far(result: NoiseSeverity, others: Array) -> Verdict:
    def certain(limits: Array) -> Estimate:
        return count_estimate(int((limits >= _CERTAIN).sum()), len(limits))

    own = certain(result.own_limit)
    return FAR.verdict(
        own,
        f"As uniform noise is scaled to infinity, the confidence goes to 1 in {own.interval.estimate:.0%} of "
        f"{own.interval.n} directions; its exact limit is {result.own_limit.mean():.3f} on average.",
        others=[certain(limits) for limits in others if limits.size],
    )


def _learned(result: NoiseSeverity, caveat: str) -> Verdict:
    found, sure = _surer(result, "trained", "untrained")
    return TRAINED.verdict(
        found,
        f"{_counted(found)} networks trained like this one are surer of uniform noise than at their start. Sure of most of "
        f"it are {sure['trained']} after training and {sure['untrained']} before.{caveat}",
    )


def _meant(result: NoiseSeverity, controls: Controls) -> Verdict:
    found, sure = _surer(result, "few-labels", "random-label")
    return LABELS.verdict(
        found,
        f"Of {controls.summary.n_random_labels:,} images {_counted(found)} networks are surer of uniform noise when they "
        f"learned the labels than when they learned them permuted, of which they put out "
        f"{controls.summary.memorized.mean():.0%}. Sure of most of it are {sure['few-labels']} and "
        f"{sure['random-label']}.{controls.caveat}",
    )


def _surer(result: NoiseSeverity, one: str, other: str) -> tuple[Estimate, dict[str, int]]:
    """Return in how many pairs of networks that of group `one` is surer of uniform noise; how many are sure of most."""
    uniform, confident = result.index("uniform"), THRESHOLDS.index(CONFIDENT)
    rows = {name: result.groups.index(name) for name in (one, other)}
    confidence = result.confidence[:, :, uniform]
    n_surer = int((confidence[rows[one]] > confidence[rows[other]]).sum())
    shares = result.share_above[:, :, uniform, confident]
    sure = {name: int((shares[row] > 0.5).sum()) for name, row in rows.items()}
    return count_estimate(n_surer, result.n_networks), sure


def _counted(found: Estimate) -> str:
    return f"{round(found.interval.estimate * found.interval.n)} of {found.interval.n}"


_Found = tuple[Array, Array, Array]
"""Of networks on images of one kind: confidence (n_networks,), shares (n_networks, 3), AUROCs (n_networks, 3)."""


def _found_in(scores: Scores, real: Scores) -> _Found:
    """Return what `scores` say of images, beside those of real images, which are `ordered`."""
    confidence = scores.confidence
    shares = np.stack([(confidence >= limit).mean(axis=1) for limit in THRESHOLDS], axis=1)
    return confidence.mean(axis=1), shares, scores.aurocs_below(real).T
