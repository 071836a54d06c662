"""From digits to noise in steps, over networks and their nulls; and what the control networks say of the claims."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Annotated, Any

import numpy as np

from probe._checks import Array, InputError, check_integer, generator
from probe._progress import Progress, ProgressEvent, silent
from probe._signatures import AtLeast, checked
from probe.analyses.noise.confidence import Reader, Scores, temperatures_of
from probe.analyses.noise.limit import confidence_limit
from probe.analyses.noise.results import GROUPS, KINDS, NOISE, THRESHOLDS, NoiseCondition, NoiseSeverity
from probe.controls import Controls
from probe.datasets import Split, gaussian_noise, norm_matched_noise, pixel_shuffled, uniform_noise
from probe.fitting import fitted
from probe.network import Network
from probe.stats import Difference, Verdict, paired_difference
from probe.stats.auroc import paired_aurocs

__all__ = ["noise_severity"]

_FAR_SCALES = (2.0, 4.0, 16.0, 64.0)
_DIRECTIONS = 500
_N_CONDITIONS = 15

_CONFIDENT = THRESHOLDS.index(0.9)
_CERTAIN = 0.99
"""Mean limit from which confidence counts as going to 1."""

_MEMORIZED = 0.5
"""Mean share of random labels from which networks count as having learned them, so that they are a control."""


@checked
def noise_severity(
    network: Network,
    split: Split,
    *,
    controls: Controls | None = None,
    n_images: Annotated[int, AtLeast(10)] = 10_000,
    seed: int | np.random.Generator = 0,
    progress: Progress = silent,
) -> NoiseSeverity:
    """Measure confidence from digits to noise and beyond, of a network, its controls and three nulls.

    The nulls say where confidence on noise comes from: untrained networks, networks trained on random labels, and the
    trained ones with their logits divided by the temperature that fits their confidence to their accuracy.

    Parameters
    ----------
    network : Network
        A network that was trained on such data.
    split : Split
        Data. The test images are used; the temperature is fitted on half of them.
    controls : Controls, optional
        From `probe.control_networks`. The verdicts are about them.
    n_images : int
        Images of each condition, at least 10. If there are fewer test images, they are used several times.
    seed : int or numpy.random.Generator
        Draws the images.
    progress : callable
        Called after each condition.

    Raises
    ------
    InputError
        If shapes or classes do not fit, or an argument is outside its range.

    References
    ----------
    .. [1] D. Hendrycks, K. Gimpel, "A Baseline for Detecting Misclassified and Out-of-Distribution
       Examples in Neural Networks", ICLR 2017 (maximum softmax, AUROC).
    .. [2] C. Guo et al., "On Calibration of Modern Neural Networks", ICML 2017 (temperature, calibration error).
    .. [3] W. Liu et al., "Energy-based Out-of-distribution Detection", NeurIPS 2020.
    .. [4] D. Hendrycks et al., "Scaling Out-of-Distribution Detection for Real-World Settings", ICML 2022
       (maximum logit).

    Examples
    --------
    >>> import probe
    >>> split = probe.load_dataset("digits")
    >>> network = probe.train(probe.MLP(hidden=(16,)), split).network
    >>> result = noise_severity(network, split, n_images=100)
    >>> result.own_confidence.shape == (len(result.conditions),)
    True
    """
    check_integer("n_images", n_images, minimum=10, maximum=1_000_000)
    network = fitted(network, split)
    condition_rng, half_rng, direction_rng = generator(seed).spawn(3)
    half = half_rng.permutation(len(split.test))
    fit, rest = (split.test.take(np.sort(part)) for part in np.array_split(half, 2))
    readers = [Reader(lambda x: network.logits(x).T[None], network.output_name)]
    if controls is not None:
        controls.check_of(network)
        output = controls.trained.architecture.output
        populations = controls.trained, controls.untrained, controls.random_label
        readers += [Reader(population.logits, output) for population in populations]
    temperatures = [temperatures_of(reader, fit.images, fit.labels) for reader in readers[:2]]
    # The network at hand, then the groups in their order.
    sources: list[tuple[Reader, tuple[Array | None, ...]]] = [(readers[0], (None,))]
    if controls is not None:
        sources += [(readers[1], (None, temperatures[1])), (readers[2], (None,)), (readers[3], (None,))]
    conditions, table, real = list[NoiseCondition](), list[list[_Found]](), list[Scores]()
    for step, (family, severity, images) in enumerate(_conditions(split, n_images, condition_rng)):
        conditions.append(NoiseCondition(family=family, severity=severity, examples=images[:8].copy()))
        scores = [each for reader, scales in sources for each in reader.scores(images, *scales)]
        if step == 0:
            real = [each.ordered() for each in scores]
        table.append([_found_in(each, ordered) for each, ordered in zip(scores, real, strict=True)])
        progress(ProgressEvent("from images to noise", step + 1, _N_CONDITIONS))
    errors = [
        reader.calibration_error(rest.images, rest.labels, scale)
        for reader, scales in sources
        for scale in scales
    ]
    own_scaled_error = readers[0].calibration_error(rest.images, rest.labels, temperatures[0])

    def stacked(field: str, groups: slice) -> Array:
        """Return a field (n_groups, n_conditions, n_networks, ...) of these sources."""
        return np.stack([[getattr(found[group], field) for found in table] for group in range(5)[groups]])

    directions = uniform_noise(_DIRECTIONS, split.test.image_shape, rng=direction_rng)
    own = slice(0, 1)
    result = NoiseSeverity(
        conditions=tuple(conditions),
        n_images=n_images,
        own_confidence=stacked("confidence", own)[0, :, 0],
        own_share_above=stacked("share_above", own)[0, :, 0],
        own_auroc=np.moveaxis(stacked("auroc", own)[0, :, :, 0], 0, 1),
        own_ece=float(errors[0][0]),
        own_scaled_ece=float(own_scaled_error[0]),
        own_temperature=float(temperatures[0][0]),
        own_limit=_limits(network, directions),
    )
    if controls is None:
        return result
    limit = [_limits(member, directions).mean() for member in controls.trained.networks()]
    groups = slice(1, 5)
    auroc = stacked("auroc", groups)
    result = replace(
        result,
        groups=GROUPS,
        confidence=stacked("confidence", groups).transpose(0, 2, 1),
        share_above=stacked("share_above", groups).transpose(0, 2, 1, 3),
        auroc=auroc[:, :, 0].transpose(0, 2, 1),
        score_auroc=auroc[0].transpose(1, 2, 0),
        ece=np.stack(errors[1:]),
        temperatures=temperatures[1],
        limit=np.array(limit),
    )
    chance = float(np.bincount(split.train.labels).max() / len(split.train))
    return replace(result, verdicts=_verdicts(result, controls, chance))


def _conditions(split: Split, n_images: int, rng: np.random.Generator) -> Iterator[tuple[str, float, Array]]:
    """Return family, severity and images of every condition, real images first."""
    test = split.test.images
    chosen = rng.permutation(len(test))[: min(n_images, len(test))]
    images = np.resize(test[chosen], (n_images, *test.shape[1:]))
    noise = uniform_noise(n_images, test.shape[1:], rng=rng)
    yield "real", 0.0, images
    for share in (0.25, 0.5, 0.75):
        yield "blend", share, ((1 - share) * images + share * noise).astype(np.float32)
    yield "uniform", 1.0, noise
    shuffled = pixel_shuffled(images, rng=rng)
    for share in (0.25, 0.5, 0.75):
        yield "shuffle", share, _partly_shuffled(images, share, rng)
    yield "shuffled", 1.0, shuffled
    yield "gaussian", 1.0, gaussian_noise(n_images, test, rng=rng)
    yield "norm-matched", 1.0, norm_matched_noise(images, rng=rng)
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


def _verdicts(result: NoiseSeverity, controls: Controls, chance: float) -> tuple[Verdict, ...]:
    """Return the verdicts over the networks of `result`; `chance` is the share of the commonest training label."""
    verdicts = [
        *(_confident(result, kind, controls.caveat) for kind in NOISE),
        _learned(result, controls.caveat),
        _meant(result, controls, chance),
        _tells(result, controls.caveat),
        _scaled(result, controls.caveat),
    ]
    if np.isfinite(result.limit).all():
        verdicts.append(_far(result, controls.caveat))
    return tuple(verdicts)


_HALF_CONFIDENT: dict[str, Any] = {
    "above": 0.5,
    "null": f"half of the images get a confidence of {THRESHOLDS[_CONFIDENT]:g} or more",
    "statistic_name": "share of images",
    "unit": "share",
}


def _confident(result: NoiseSeverity, kind: str, caveat: str) -> Verdict:
    index, name = result.index(kind), KINDS[kind]
    share = _over_networks(result.share_above[0, :, index, _CONFIDENT])
    return share.verdict(
        key=f"confident/{kind}",
        title=f"Given {name}, the network confidently names a class",
        sentence=(
            f"{share:.0%} of {result.n_images:,} images of {name} get a confidence of at least "
            f"{THRESHOLDS[_CONFIDENT]:g}, in this network {result.own_share_above[index, _CONFIDENT]:.0%}; the mean maximum "
            f"softmax is {result.confidence[0, :, index].mean():.2f}.{caveat}"
        ),
        **_HALF_CONFIDENT,
    )


def _learned(result: NoiseSeverity, caveat: str) -> Verdict:
    confidence = result.confidence[:, :, result.index("uniform")]
    difference = _over_networks(confidence[0] - confidence[GROUPS.index("untrained")])
    return difference.verdict(
        key="trained",
        title="It is training that makes the network sure of noise",
        statistic_name="difference of mean confidences",
        null="as much confidence on uniform noise as before training",
        sentence=f"On uniform noise the mean maximum softmax is {difference:.3f} above that of the same networks' starts."
        + caveat,
    )


def _meant(result: NoiseSeverity, controls: Controls, chance: float) -> Verdict:
    confidence = result.confidence[:, :, result.index("uniform")]
    shuffled = confidence[GROUPS.index("random-label")]
    difference = _over_networks(confidence[0] - shuffled)
    learned, decision = float(controls.memorized.mean()), difference.decision()
    weak = decision == "supported" and learned < _MEMORIZED
    hardly = (
        " So they hardly learned them, and cannot say what fitting random labels would do." if weak else ""
    )
    return difference.verdict(
        key="labels",
        title="It is the meaning of the labels that makes the network sure of noise, and not training as such",
        decision="inconclusive" if weak else decision,
        statistic_name="difference of mean confidences",
        null="as much confidence on uniform noise as after training on random labels",
        sentence=(
            f"On uniform noise the mean maximum softmax is {difference:.3f} above that of the same networks trained on "
            f"random labels, {shuffled.mean():.2f}. They put out {learned:.1%} of these labels; always naming the commonest "
            f"gives {chance:.1%}.{hardly}{controls.caveat}"
        ),
    )


def _tells(result: NoiseSeverity, caveat: str) -> Verdict:
    noise = [result.index(kind) for kind in NOISE]
    auroc = _over_networks(result.auroc[0][:, noise].mean(axis=1))
    logit, energy = result.score_auroc[1:][:, :, noise].mean(axis=(1, 2))
    return auroc.verdict(
        key="detects",
        title="Its confidence tells noise from digits all the same",
        above=0.5,
        statistic_name="AUROC",
        null="an AUROC of 0.5, real images being positive",
        sentence=(
            f"Over four kinds of noise the AUROC of the maximum softmax is {auroc:.3f}; of the maximum logit {logit:.2f}, "
            f"of the energy {energy:.2f}.{caveat}"
        ),
    )


def _scaled(result: NoiseSeverity, caveat: str) -> Verdict:
    scaled = GROUPS.index("temperature-scaled")
    shares = result.share_above[:, :, result.index("uniform"), _CONFIDENT]
    share, errors = _over_networks(shares[scaled]), result.ece.mean(axis=1)
    return share.verdict(
        key="calibrated",
        title="Given uniform noise, it is confident even after its temperature was fitted",
        sentence=(
            f"With the temperature that fits confidence to accuracy on test images (median "
            f"{np.median(result.temperatures):.2f}, calibration error {errors[0]:.3f} before and {errors[scaled]:.3f} "
            f"after), {share:.0%} of uniform noise gets at least {THRESHOLDS[_CONFIDENT]:g}; {shares[0].mean():.0%} "
            f"before.{caveat}"
        ),
        **_HALF_CONFIDENT,
    )


def _far(result: NoiseSeverity, caveat: str) -> Verdict:
    limit, own = _over_networks(result.limit), result.own_mean_limit
    of_this = "" if own is None else f", of this network {own:.3f}"
    return limit.verdict(
        key="limit",
        title="Far away from the data, confidence goes to 1",
        above=_CERTAIN,
        statistic_name="limit of the mean confidence",
        null=f"a mean limit of {_CERTAIN:g} along directions of uniform noise",
        sentence=(
            f"The exact limit of the confidence, as uniform noise is scaled to infinity, is {limit:.3f} on "
            f"average{of_this}. Layers of rectifiers end in a linear region, where it is 1; sigmoids saturate.{caveat}"
        ),
    )


def _over_networks(values: Array) -> Difference:
    return paired_difference(np.asarray(values, np.float64))


@dataclass(frozen=True, slots=True, eq=False)
class _Found:
    """Of networks on images of one kind: confidence (n_networks,), shares (n_networks, 3), AUROCs (3, n_networks)."""

    confidence: Array
    share_above: Array
    auroc: Array


def _found_in(scores: Scores, real: Scores) -> _Found:
    """Return what `scores` say of images, beside those of real images, which are `ordered`."""
    confidence = scores.confidence
    pairs = (
        (real.log_odds, scores.log_odds),
        (real.largest, scores.largest),
        (real.energy, scores.energy),
    )
    return _Found(
        confidence.mean(axis=1),
        np.stack([(confidence >= limit).mean(axis=1) for limit in THRESHOLDS], axis=1),
        np.stack([paired_aurocs(*pair) for pair in pairs]),
    )
