"""Networks fitted to data: whether shapes and classes fit, and inputs lie in the range that was trained on."""

from __future__ import annotations

import re
import weakref
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy.special import bdtrc

from probe._checks import Array, InputError, warn
from probe.datasets import Dataset, Split
from probe.layers import Layer, Normalization, Rescaling
from probe.network import Network

__all__ = ["class_names_for", "doubt_about", "fitted", "for_data", "for_images_of", "warn_of_images"]

_MOST_IMAGES, _FEWEST_IMAGES = 1000, 20
"""Test images that a network is tried on."""

_WORK = 5_000_000_000
"""Multiplications of this trial, about a second; fewer images are taken for a network that needs more."""

_LEVEL, _GUESSED = 0.001, 0.9
"""Level of the tests: whether a network guesses on this share of the images, and whether another scaling does better."""

_GOOD = 0.9
"""From this accuracy on no other scaling is tried."""

_FEWER, _TIED = 0.75, 0.01
"""Share of the errors that a scaling to be named leaves at most; accuracies this close tie, and the first is named."""

_FLAT, _STEEP = 1 / 8, 64
"""Spread of what leading layers make of the images, beside the usual, from which they were made for another range."""

_OURS = re.compile(r"(range|standardized)(_\d+)?")
"""Names of the layers that `Network.with_input_range` and `Network.with_standardized_input` put in front."""

_MNIST, _IMAGENET = ("0.1307", "0.3081"), ("0.485,0.456,0.406", "0.229,0.224,0.225")
"""Means and deviations that gray and color images are often standardized with."""


@dataclass(frozen=True, slots=True)
class _Known:
    """The test images that a network was fitted to, and what is doubtful about it; "" if nothing is."""

    images: weakref.ref[Array]
    doubt: str


_KNOWN: weakref.WeakKeyDictionary[Network, _Known] = weakref.WeakKeyDictionary()
"""Networks that `fitted` returned: an analysis that is given one of them does not warn once more."""


def fitted(network: Network, split: Split) -> Network:
    """Return `network` for the images and classes of `split`, with a logit for each class.

    Everything that takes a network and data calls this. A network that was returned by it is returned at once.

    Parameters
    ----------
    network : Network
        Of one input, and with classes. One unit for two classes becomes two, see `Network.with_two_logits`.
    split : Split
        The data that it was trained on.

    Returns
    -------
    Network
        With inputs of the image shape, and the class names of the data.

    Raises
    ------
    InputError
        If shapes or classes do not fit, or the network has no classes.

    Warns
    -----
    ProbeWarning
        If the network is right about as often as one that guesses on nine test images of ten (by the binomial
        distribution, at a level of 0.001), if one of the usual scalings of its inputs makes it right far more
        often, or if its first layers were made for another range.

    Examples
    --------
    >>> import probe
    >>> split = probe.load_dataset("digits")
    >>> network = probe.train(probe.MLP(hidden=(16,)), split, probe.TrainingConfig(epochs=10)).network
    >>> fitted(network, split).input_shape
    (8, 8)
    """
    prepared = for_data(network, split)
    two = prepared.with_two_logits()
    if two is not prepared:
        _KNOWN[two] = _KNOWN[prepared]
    return two


def for_data(network: Network, split: Split) -> Network:
    """Return `network` as `fitted` does, but with the units that it has."""
    known = _KNOWN.get(network)
    if known is not None and known.images() is split.test.images:
        return network
    network.check_classes("; pass --output with a layer that does (network.truncate)")
    if network.more_input_shapes:
        raise InputError(
            f"the network takes {len(network.input_shapes)} inputs, but the data has one image for each"
        )
    prepared = network.with_input_shape(split.train.image_shape)
    prepared = replace(prepared, class_names=class_names_for(prepared, split))
    doubt = _doubt(prepared, split.train, split.test)
    _KNOWN[prepared] = _Known(weakref.ref(split.test.images), doubt)
    if doubt:
        warn(doubt)
    return prepared


def for_images_of(network: Network, split: Split) -> Network:
    """Return `network` for the images of `split`, for what needs no classes; it warns as far as it can.

    Raises
    ------
    InputError
        If shapes do not fit.
    """
    if network.n_classes == split.train.n_classes:
        return for_data(network, split)
    prepared = network.with_input_shape(split.train.image_shape)
    warn_of_images(prepared, split.test)
    return prepared


def doubt_about(network: Network) -> str:
    """Return what `fitted` warned of when it returned `network`; "" if nothing."""
    known = _KNOWN.get(network)
    return "" if known is None else known.doubt


def warn_of_images(network: Network, images: Dataset | Array) -> None:
    """Warn as `fitted` does, for images that may have no labels: then only the network's first layers are looked at.

    Nothing is said of a network that `fitted` returned.
    """
    if network in _KNOWN or not len(images):
        return
    if isinstance(images, Dataset):
        if network.n_classes == images.n_classes:
            doubt = _doubt(network, images, images)
            if doubt:
                warn(doubt)
            return
        images = images.images
    contradiction = _contradiction(network, images[:: max(1, len(images) // 100)])
    if contradiction is not None:
        remedy = contradiction.remedy.phrase(_without_ours(network)[1])
        warn(f"the network may be given inputs of another range: {contradiction.sentence}; try it {remedy}")


def class_names_for(network: Network, split: Split) -> tuple[str, ...]:
    """Return the class names of the data, or raise if they are not those of the network."""
    ours, theirs = network.class_names, split.train.class_names
    if len(ours) != len(theirs):
        unit = " (of one unit)" * network.is_one_unit
        raise InputError(
            f"the network has {len(ours)} classes{unit}, but '{split.name}' has {len(theirs)}; "
            "pass the data that it was trained on (--data)"
        )
    if ours != theirs and not all(name.isdigit() for name in ours):
        advice = (
            "in the order of the network"
            if set(ours) == set(theirs)
            else "if they are the same by other names"
        )
        raise InputError(
            f"the network's classes are {', '.join(ours)}, but those of '{split.name}' {', '.join(theirs)}; pass --classes "
            f"(class_names in Python) with its names {advice}"
        )
    return theirs


@dataclass(frozen=True, slots=True)
class _Scaling:
    """A scaling of images in [0, 1]: options and method for it, and the layer that does it; None for no scaling."""

    options: str
    call: str
    layer: Layer | None

    def phrase(self, replaced: str) -> str:
        """Return "with" these options, in place of the layers `replaced`."""
        if self.layer is None:
            return f"without its layer {replaced}"
        return f"with {self.options} ({self.call})" + f" in place of its layer {replaced}" * bool(replaced)

    @classmethod
    def to_range(cls, low: float, high: float) -> _Scaling:
        """Return the scaling to [low, high]."""
        return cls(
            f"--range {low:g} {high:g}",
            f"network.with_input_range({low:g}, {high:g})",
            Rescaling("tried", high - low, low),
        )

    @classmethod
    def standardizing(cls, mean: str, std: str) -> _Scaling:
        """Return the scaling with means and deviations, numbers separated by commas."""
        means, deviations = (np.array([float(one) for one in text.split(",")]) for text in (mean, std))
        layer = Rescaling("tried", tuple(1 / deviations), tuple(-means / deviations))
        shown = (f"({text.replace(',', ', ')})" if "," in text else text for text in (mean, std))
        return cls(
            f"--mean {mean} --std {std}", f"network.with_standardized_input({', '.join(shown)})", layer
        )


_AS_THEY_ARE = _Scaling("", "", None)


@dataclass(frozen=True, slots=True)
class _Contradiction:
    """What the first layers say against the range of the images, and the scaling that they were made for."""

    sentence: str
    remedy: _Scaling


@dataclass(frozen=True, slots=True)
class _Trial:
    """Which of some test images a network classifies right."""

    hits: npt.NDArray[np.bool_]
    chance: float
    """How often it would be right if its answers had nothing to do with the images."""

    @classmethod
    def of(cls, network: Network, test: Dataset) -> _Trial:
        with np.errstate(all="ignore"):
            named = network.predict(test.images)
        shares = (np.bincount(k, minlength=test.n_classes) / len(test) for k in (named, test.labels))
        return cls(named == test.labels, float(np.multiply(*shares).sum()))

    @property
    def right(self) -> float:
        return float(self.hits.mean())

    @property
    def is_near_chance(self) -> bool:
        """Whether one that guesses on `_GUESSED` of the images is as often right, with a probability of `_LEVEL`."""
        guessing = 1 - _GUESSED * (1 - self.chance)
        n_right = int(self.hits.sum())
        as_good = 1.0 if n_right == 0 else float(bdtrc(n_right - 1, len(self.hits), guessing))
        # So few images that even all right could be guessed say nothing.
        return self.right < (1 + self.chance) / 2 and as_good > _LEVEL

    def is_remedied_by(self, other: _Trial, n_tried: int) -> bool:
        """Whether `other`, the best of `n_tried`, is right far more often, and not by chance."""
        won, lost = int(np.sum(other.hits & ~self.hits)), int(np.sum(self.hits & ~other.hits))
        by_chance = 1.0 if won == 0 else float(bdtrc(won - 1, won + lost, 0.5))
        fewer = 1 - other.right <= _FEWER * (1 - self.right)
        far = fewer or (self.is_near_chance and not other.is_near_chance)
        return far and by_chance < _LEVEL / n_tried


def _doubt(network: Network, train: Dataset, test: Dataset) -> str:
    """Return what speaks against the range of the inputs, in a sentence; "" if nothing does."""
    test = _sample(network, test)
    as_it_is = _Trial.of(network, test)
    contradiction = _contradiction(network, test.images)
    if as_it_is.right >= _GOOD and not as_it_is.is_near_chance and contradiction is None:
        return ""
    bare, replaced = _without_ours(network)
    scalings = _scalings(train, contradiction) + [_AS_THEY_ARE] * bool(replaced)
    trials = {scaling: _Trial.of(_behind(scaling, bare), test) for scaling in scalings}
    most = max(trial.right for trial in trials.values())
    best = next(scaling for scaling, trial in trials.items() if trial.right >= most - _TIED)
    said = f"the network is right on {as_it_is.right:.0%} of {len(test):,} test images"
    said += ", near chance" * as_it_is.is_near_chance
    why = "" if contradiction is None else f"; {contradiction.sentence}"
    if as_it_is.is_remedied_by(trials[best], len(trials)):
        return f"{said}; {best.phrase(replaced)} it is right on {trials[best].right:.0%}{why}"
    if contradiction is not None:
        meant = trials[contradiction.remedy]
        if as_it_is.is_near_chance or meant.right > as_it_is.right:
            shown = f"is right on {meant.right:.0%}" if meant.right > as_it_is.right else "would fit"
            return f"{said}{why}; {contradiction.remedy.phrase(replaced)} it {shown}"
    if as_it_is.is_near_chance:
        return (
            f"{said}, and the usual scalings of its inputs do not help. Unless it learned nothing of these classes, it "
            "was trained on other inputs (--range LOW HIGH, --mean M --std S), on other data, or with the classes in "
            "another order"
        )
    return ""


def _sample(network: Network, test: Dataset) -> Dataset:
    """Return some of the test images, the same at each call: fewer for a network that costs much."""
    n = min(len(test), max(_FEWEST_IMAGES, min(_MOST_IMAGES, _WORK // network.n_multiplications)))
    return test.sample(n, rng=np.random.default_rng(0))


def _scalings(train: Dataset, contradiction: _Contradiction | None) -> list[_Scaling]:
    """Return the scalings to try, the one that the network's first layers ask for among them."""
    is_color = len(train.image_shape) == 3 and train.image_shape[2] == 3
    scalings = [
        _Scaling.to_range(0, 255),
        _Scaling.to_range(-1, 1),
        _Scaling.standardizing(*(_IMAGENET if is_color else _MNIST)),
    ]
    some = train.images[:: max(1, len(train) // 10_000)]
    mean, deviation = (float(value(some, dtype=np.float64)) for value in (np.mean, np.std))
    if deviation > 0:
        scalings.append(_Scaling.standardizing(f"{mean:.4g}", f"{deviation:.4g}"))
    if contradiction is not None and contradiction.remedy not in scalings:
        scalings.append(contradiction.remedy)
    return scalings


def _behind(scaling: _Scaling, network: Network) -> Network:
    """Return `network` with the scaling in front of it."""
    if scaling.layer is None:
        return network
    names = (f"tried_{k}" for k in range(len(network.layers) + 1))
    free = next(name for name in names if name not in network.layer_names)
    return network.behind(replace(scaling.layer, name=free))  # type: ignore[type-var]


def _leading(network: Network) -> list[Layer]:
    """Return the layers in front that scale or rearrange the images, in order."""
    leading = list[Layer]()
    for layer in network.layers:
        source = leading[-1].name if leading else 0
        readers = sum(source in read for read in network.wiring)
        if network.wiring[len(leading)] != (source,) or readers != 1:
            break
        if not (layer.scales or layer.passes_on):
            break
        leading.append(layer)
    return leading


def _is_ours(layer: Layer) -> bool:
    return isinstance(layer, Rescaling | Normalization) and _OURS.fullmatch(layer.name) is not None


def _without_ours(network: Network) -> tuple[Network, str]:
    """Return `network` without the layers that adapt it to a range or to a standardization, and their names."""
    names = [layer.name for layer in _leading(network) if _is_ours(layer)]
    for name in names:
        network = network.without(name)
    return network, " and ".join(f"'{name}'" for name in names)


def _contradiction(network: Network, images: Array) -> _Contradiction | None:
    """Return what layers in front that scale say against the range of `images`; None if there are none, or nothing."""
    leading = _leading(network)
    scaling = [layer for layer in leading if layer.scales]
    if not scaling or _is_ours(scaling[-1]) or np.ptp(images) == 0:
        return None
    values = _scaled(leading, images)
    if _fits(scaling[-1], values, images):
        return None
    sentence = (
        f"its layer '{scaling[-1].name}' makes of images from {np.min(images):.3g} to {np.max(images):.3g} values from "
        f"{values.min():.3g} to {values.max():.3g}, so it was made for another range"
    )
    theirs = _scaled([layer for layer in leading if not _is_ours(layer)], images)
    if _fits(scaling[-1], theirs, images):
        return _Contradiction(sentence, _AS_THEY_ARE)
    to_minus_one = isinstance(scaling[-1], Rescaling) and float(theirs.mean()) < -0.25
    high = (2 if to_minus_one else 1) / max(_spread(scaling[-1], theirs, images)[0], 1e-12)
    usual = [each for each in (255, 65535) if 0.5 < high / each < 2]
    return _Contradiction(sentence, _Scaling.to_range(0, usual[0] if usual else float(f"{high:.2g}")))


def _scaled(layers: Iterable[Layer], images: Array) -> Array:
    """Return what layers one behind the other make of images."""
    values: Array = np.asarray(images, dtype=np.float64)
    with np.errstate(all="ignore"):
        for layer in layers:
            values = layer.pre_activation(values)[0]
    return values


def _spread(last: Layer, values: Array, images: Array) -> tuple[float, float]:
    """Return how wide values are beside what is usual after the scaling layer `last`: all, and the middle 98%."""
    # Rescaled inputs are as wide as before, or twice as wide; normalized ones have a deviation of 1.
    usual = float(np.ptp(images)) / (1.0 if isinstance(last, Rescaling) else float(np.std(images)))
    return float(np.ptp(values)) / usual, float(np.ptp(np.quantile(values, [0.01, 0.99]))) / usual


def _fits(last: Layer, values: Array, images: Array) -> bool:
    whole, middle = _spread(last, values, images)
    return whole >= _FLAT and (isinstance(last, Rescaling) or middle <= _STEEP)
