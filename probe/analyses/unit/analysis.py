"""The card of a unit: what it reads, what excites it, what it tells, and what the network loses without it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from probe._bars import ShownProgress
from probe._checks import Array, InputError, IntArray, check_integer, generator
from probe._parallel import single_threaded_blas
from probe._progress import Progress, ProgressEvent
from probe._signatures import checked
from probe.analyses.concepts.pixels import image_concepts
from probe.analyses.concepts.results import Concepts
from probe.analyses.concepts.within import FEWEST, FEWEST_CLASSES, Sample
from probe.analyses.maximize import Maximization
from probe.analyses.unit.addresses import addressed, listed
from probe.analyses.unit.card import Standing, UnitCard
from probe.analyses.unit.favorites import Favorite, favorites_of, images_of, maximized
from probe.analyses.unit.measuring import Place, Ranks, places, products, unit_values, weights_of
from probe.analyses.unit.results import LayerCards, UnitCards
from probe.analyses.unit.standing import Ruler, standings
from probe.controls import Controls
from probe.datasets import Dataset, Split
from probe.fitting import for_data
from probe.network import Network

__all__ = ["unit_card", "unit_cards"]

_LOOKED_AT, _ABLATED, _CONCEPT_IMAGES = 10_000, 2_000, 1_000
"""Test images that are looked through, on which accuracy without units is measured, and in which concepts are sought."""

_WORK, _FEWEST = 4_000_000_000, 100
"""Multiplications that are spent on each of these, and the fewest images."""

_OTHER_IMAGES = 1e-3
"""Difference of AUROCs that comes from other images, not from rounding."""

_WORK_BESIDE = 20_000_000_000
"""Multiplications that are spent on all control networks, on each of these; what takes more is left out there."""


@checked
def unit_card(
    network: Network,
    split: Split,
    unit: str = "first",
    *,
    controls: Controls | None = None,
    seed: int | np.random.Generator = 0,
    progress: ShownProgress = "auto",
) -> UnitCard:
    """Return the card of one unit, or of one channel of a convolution.

    Parameters
    ----------
    network : Network
        A network that was trained on such data.
    split : Split
        Data. Its test images are looked through.
    unit : str
        The layer and the number of the unit from 0, such as "hidden_1:4"; a class, such as "class:3"; or "first".
    controls : Controls, optional
        From `probe.control_networks`. The unit is held against all units of its layer in these networks.
    seed : int or numpy.random.Generator
        Draws test images where there are very many, and the start of the favorite image.
    progress : callable, "auto" or None
        Called after each layer.

    Raises
    ------
    InputError
        If shapes or classes do not fit, or there is no such unit.

    References
    ----------
    .. [1] A. Morcos et al., "On the importance of single directions for generalization", ICLR 2018 (ablation).

    Examples
    --------
    >>> import probe
    >>> split = probe.load_dataset("digits")
    >>> network = probe.train(probe.MLP(hidden=(8,)), split, probe.TrainingConfig(epochs=5)).network
    >>> card = unit_card(network, split, "hidden_1:4")
    >>> card.weights.shape, card.most.images.shape, bool(card.favorite_value > card.most.values[0])
    ((8, 8), (10, 8, 8), True)
    >>> abs(card.products_sum + card.bias - card.pre_activation) < 1e-5
    True
    """
    assert callable(progress)
    network = for_data(network, split)
    place, index = addressed(network, unit)
    found = _cards(network, split, {place: np.array([index])}, controls, None, None, seed, progress)
    return found.card(f"{place.layer}:{index}")


@checked
def unit_cards(
    network: Network,
    split: Split,
    *,
    layers: Sequence[str] | None = None,
    most_units: int = 64,
    controls: Controls | None = None,
    favorites: Sequence[Maximization] | None = None,
    concepts: Concepts | None = None,
    seed: int | np.random.Generator = 0,
    progress: ShownProgress = "auto",
) -> UnitCards:
    """Return the cards of all units of dense layers, the output too, and of all channels of convolutions.

    Without a unit means: its activation is replaced by its mean over the images (of an output its logit), and accuracy
    is measured anew; this is mean ablation. The mean and not zero, because zero is no neutral value: a sigmoid unit may
    never be near it, and the layers above would miss a constant that they got used to, along with what the unit tells.
    What other units tell too is not lost, so that a unit may carry much and its loss be small.

    Parameters
    ----------
    network : Network
        A network that was trained on such data.
    split : Split
        Data. Its test images are looked through: 10,000 at most, for accuracy 2,000, for concepts 1,000, drawn at random;
        fewer for networks that take long.
    layers : sequence of str, optional
        Names of layers with weights; all by default.
    most_units : int
        Units of a layer that get a card at most: the first ones.
    controls : Controls, optional
        From `probe.control_networks`. Units are held against all units of their layer in these networks: which unit is
        which cannot be said across networks.
    favorites : sequence of Maximization, optional
        What was found of the units already, by `probe.maximize`. Units that are not among its objectives get no favorite
        image. By default gradient ascent looks for all.
    concepts : Concepts, optional
        What `probe.concepts` found with the same seed; without, what stays below chance is not known.
    seed : int or numpy.random.Generator
        Draws test images where there are very many, and starts of favorite images.
    progress : callable, "auto" or None
        Called after each layer.

    Raises
    ------
    InputError
        If shapes, classes or layers do not fit, or `concepts` is not of this network, split and seed.

    References
    ----------
    .. [1] A. Morcos et al., "On the importance of single directions for generalization", ICLR 2018 (ablation).

    Examples
    --------
    >>> import probe
    >>> split = probe.load_dataset("digits")
    >>> network = probe.train(probe.MLP(hidden=(8,)), split, probe.TrainingConfig(epochs=5)).network
    >>> cards = unit_cards(network, split, favorites=())
    >>> cards.n_cards, cards.addresses[-1], cards.layers[0].lost_by_class.shape
    (18, 'output:9', (8, 10))
    """
    assert callable(progress)
    check_integer("most_units", most_units, minimum=1)
    network = for_data(network, split)
    known = {place.layer: place for place in places(network)}
    for name in () if layers is None else layers:
        if name not in known:
            raise InputError(f"layers must be with weights, got '{name}'; this network has {listed(network)}")
    chosen = {
        place: np.arange(min(network.n_units(name), most_units))
        for name, place in known.items()
        if layers is None or name in layers
    }
    if not chosen:
        raise InputError("layers must name at least one")
    return _cards(network, split, chosen, controls, favorites, concepts, seed, progress)


def _cards(
    network: Network,
    split: Split,
    chosen: dict[Place, IntArray],
    controls: Controls | None,
    favorites: Sequence[Maximization] | None,
    concepts: Concepts | None,
    seed: int | np.random.Generator,
    progress: Progress,
) -> UnitCards:
    if controls is not None:
        controls.check_of(network)
    # The first draws what `probe.concepts` draws with this seed.
    concept_rng, look_rng, ablate_rng, ascent_rng = generator(seed).spawn(4)
    missing = list[str]()
    with single_threaded_blas():  # many small products, for which a second thread would only wait
        where = tuple(chosen)
        n_looked = min(_LOOKED_AT, max(_FEWEST, _WORK // network.n_multiplications))
        looked, which = _some(split.test, n_looked, look_rng)
        values = unit_values(network, where, looked.images)
        ablated, _ = _some(split.test, _n_ablated(network, chosen), ablate_rng)
        n_images = _CONCEPT_IMAGES if concepts is None else concepts.n_images
        sample, names = _sample(split.test, n_images, concept_rng, missing)
        if favorites is None:
            favorites = (maximized(network, chosen, ascent_rng),)
        liked = favorites_of(network, favorites)
        if controls is None:
            missing.append(
                "Where it stands among other networks is not known: no control networks were trained."
            )
        elif not controls.copies:
            missing.append(f"Where it stands among other networks is not known.{controls.caveat}")
        ruler = Ruler.of(network, where, split, sample, ablated)
        measured = ruler(network, tuple(chosen.values()))
        limits = [_limit(concepts, place, chosen[place], measured.aurocs[k]) for k, place in enumerate(where)]
        ranked: Sequence[Standing | None] = [None] * len(where)
        if controls is not None and controls.copies:
            beside = _beside(ruler, network, 3 * len(controls), missing)
            kept = [
                [ruler.statistics(k).index(name) for name in beside.statistics(k)] for k in range(len(where))
            ]
            ranked = standings(beside, measured.tables, kept, controls)
        rows = [Ranks.of(some[:, chosen[place]]) for place, some in zip(where, values, strict=True)]
        pool = np.unique(np.concatenate([ranks.indices for ranks in rows]))
        done = []
        for k, place in enumerate(where):
            about = measured.lost[k], measured.aurocs[k], limits[k], ranked[k]
            done.append(
                _layer(network, place, chosen[place], rows[k], pool, looked.images, ablated, about, liked)
            )
            progress(ProgressEvent("making cards", len(done), len(where)))
    if any(np.isnan(layer.favorite_values).any() for layer in done):
        missing.append("For some units no favorite image was looked for.")
    return UnitCards(
        layers=tuple(done),
        images=looked.images[pool],
        indices=which[pool],
        labels=looked.labels[pool],
        n_looked_at=len(looked),
        concept_names=names,
        accuracy=float(measured.right.mean()),
        n_by_class=np.bincount(ablated.labels, minlength=split.test.n_classes),
        class_names=network.class_names,
        noun=split.noun,
        missing=tuple(missing),
    )


def _some(data: Dataset, n: int, rng: np.random.Generator) -> tuple[Dataset, IntArray]:
    """Return all images, or `n` of them at random, in their order; and which they are."""
    if len(data) <= n:
        return data, np.arange(len(data))
    which = np.sort(rng.choice(len(data), n, replace=False))
    return data.take(which), which


def _n_ablated(network: Network, chosen: dict[Place, IntArray]) -> int:
    """Return on how many images accuracy without each unit is measured."""
    work = sum(_work_above(network, place) * len(units) for place, units in chosen.items())
    return min(_ABLATED, max(_FEWEST, _WORK // max(1, work)))


def _beside(ruler: Ruler, network: Network, n_networks: int, missing: list[str]) -> Ruler:
    """Return what units of control networks are measured with: without what would take too long."""
    known = [places(network)[index] for index in ruler.indices]
    work = sum(_work_above(network, place) * network.n_units(place.layer) for place in known)
    n_data, n_sample = (0 if each is None else len(each) for each in (ruler.data, ruler.sample))
    if work * n_data * n_networks > _WORK_BESIDE:
        missing.append("What is lost without units of control networks was not measured: it would take long.")
        ruler = replace(ruler, data=None)
    if network.n_multiplications * n_sample * n_networks > _WORK_BESIDE:
        missing.append("What concepts units of control networks tell was not measured: it would take long.")
        ruler = replace(ruler, sample=None)
    return ruler


def _work_above(network: Network, place: Place) -> int:
    """Return the multiplications that an image costs once more if a unit of a layer changes."""
    if not network.is_chain:
        return network.n_multiplications
    return network.n_multiplications - network.truncate(place.end).n_multiplications + 1


def _sample(
    test: Dataset, n: int, rng: np.random.Generator, missing: list[str]
) -> tuple[Sample | None, tuple[str, ...]]:
    """Return images and the concepts that are varied enough in them, and the names of these."""
    some = test.sample(n, rng=rng) if len(test) > n else test
    try:
        found = image_concepts(some.images)
    except InputError as error:
        missing.append(f"What concepts it tells is not known: {error}.")
        return None, ()
    sample = Sample(some.images, some.labels, found.values)
    kept = sample.mixed(FEWEST).sum(axis=1) >= FEWEST_CLASSES
    if not kept.any():
        missing.append(
            "What concepts it tells is not known: images of one class do not differ enough in any."
        )
        return None, ()
    return sample.only(kept), tuple(name for name, keep in zip(found.names, kept, strict=True) if keep)


def _layer(
    network: Network,
    place: Place,
    units: IntArray,
    ranks: Ranks,
    pool: IntArray,
    images: Array,
    data: Dataset,
    measured: tuple[npt.NDArray[np.int8], Array | None, Array | None, Standing | None],
    liked: dict[tuple[str, int], Favorite],
) -> LayerCards:
    target = network.layer(place.layer)
    kind, weights = weights_of(network, place.layer, units)
    made = products(network, place.layer, units, images[ranks.most[:, 0]])
    source = network.wiring[network.layer_names.index(place.layer)][0]
    bias, names = target.variables.get("bias"), network.unit_names(place.end)
    kernel = next(iter(target.variables[name] for name in target.kernel_axes))
    lost, auroc, limit, standing = measured
    low, high = _interval(lost)
    own = [liked.get((place.layer, int(k))) for k in units]
    return LayerCards(
        layer=place.layer,
        kind=target.keras_name,
        activation=network.layer(place.end).activation.name,
        is_output=place.is_output,
        n_units_in_layer=network.n_units(place.layer),
        units=units.astype(np.int64),
        names=tuple(names[k] for k in units),
        weights_kind=kind,
        weights=weights,
        weights_limit=float(np.abs(kernel).max()),
        reads="" if isinstance(source, int) else source,
        biases=np.zeros(len(units)) if bias is None else bias[units],
        products=made.values,
        positions=made.positions,
        sums=made.sums,
        pre_activations=made.pre_activations,
        favorites=images_of(own, network.input_shape),
        favorite_values=np.array([np.nan if one is None else one.value for one in own]),
        favorite_lower=np.array([np.nan if one is None else one.lower for one in own]),
        favorite_upper=np.array([np.nan if one is None else one.upper for one in own]),
        most=np.searchsorted(pool, ranks.most),
        least=np.searchsorted(pool, ranks.least),
        most_values=ranks.most_values,
        least_values=ranks.least_values,
        medians=ranks.medians,
        auroc=auroc,
        permuted_limit=limit,
        lost=lost.mean(axis=1),
        lost_low=low,
        lost_high=high,
        lost_by_class=_by_class(lost, data),
        standing=standing,
    )


def _limit(concepts: Concepts | None, place: Place, units: IntArray, auroc: Array | None) -> Array | None:
    """Return what AUROCs of a layer stay below by chance, if `concepts` are those of these units on these images."""
    if concepts is None or auroc is None:
        return None
    found = next((layer for layer in concepts.layers if layer.layer == place.end), None)
    if found is None:
        return None
    fits = len(found.auroc) > units.max() and found.auroc.shape[1] == auroc.shape[1]
    # Values that differ by rounding change places, of a dead unit all of them; those of other images are far off.
    if not fits or np.median(np.abs(found.auroc[units] - auroc)) > _OTHER_IMAGES:
        raise InputError(
            "concepts must be those of this network, these data and this seed: probe.concepts(network, split, seed=seed)"
        )
    return found.permuted_limit


def _interval(lost: npt.NDArray[np.int8]) -> tuple[Array, Array]:
    """Return the 95% intervals (n_units,) of the means of `lost` (n_units, n_images).

    Half an image more is right with the unit only, half a one without it only, so that an interval has a width also where
    none changed. A. Agresti, Y. Min, "Simple improved confidence intervals for comparing matched proportions", 2005.
    """
    n = lost.shape[1] + 2
    more, fewer = (lost > 0).sum(axis=1) + 0.5, (lost < 0).sum(axis=1) + 0.5
    middle = (more - fewer) / n
    half = 1.96 * np.sqrt((more + fewer) - n * middle**2) / n
    return middle - half, middle + half


def _by_class(lost: npt.NDArray[np.int8], data: Dataset) -> Array:
    """Return the means of `lost` (n_units, n_images) over the images of each class; NaN where there is none."""
    classes = np.arange(data.n_classes)[:, None] == data.labels
    counts = classes.sum(axis=1)
    return np.asarray(
        np.where(counts > 0, lost.astype(np.float64) @ classes.T / np.maximum(counts, 1), np.nan)
    )
