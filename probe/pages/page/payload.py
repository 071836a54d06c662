"""All that the script of the page reads, made of a network, its data and what analyses found."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from probe._checks import Array
from probe._text import plain
from probe.analyses.comparison import Comparison
from probe.analyses.drawing import Drawing
from probe.analyses.landscape import CostPlane
from probe.analyses.maximize import Maximization
from probe.analyses.memorization import Memorization
from probe.analyses.noise import NoiseSeverity
from probe.analyses.unit import UnitCards
from probe.datasets import Split
from probe.film import Film
from probe.network import Network
from probe.pages.page.arrays import encoded, encoded_images
from probe.pages.page.encoding import encoded_network, why_not_alive
from probe.recipes import Recipe
from probe.results import Record

__all__ = ["payload"]

N_TEST, N_TRAIN = 1000, 5000
"""Images on the page, at most."""

_TEST_BUDGET, _TRAIN_BUDGET = 400_000, 1_200_000
"""Characters that they may take."""


def payload(
    network: Network,
    split: Split,
    results: Mapping[str, Record],
    *,
    recipe: Recipe | None = None,
    film: Film | None = None,
    other: Network | None = None,
    has_training_images: bool = True,
) -> dict[str, Any]:
    """Return what the living parts of a page are made of.

    Parameters
    ----------
    network : Network
        The network of the page.
    split : Split
        Its data: some images of both parts come along.
    results : mapping of str to Record
        What the page is about, by name; what is known of it is alive, the rest is only kept for the download.
    recipe : Recipe, optional
        How the network was trained, where that is known.
    film : Film, optional
        Its training.
    other : Network, optional
        A second network for the same images, alive beside the first.
    has_training_images : bool
        Whether training images come along, for a page with something to train.

    Returns
    -------
    dict
        Values that JSON can hold. Where the page cannot compute the network, only "why", in a sentence, and the results.
    """
    found: dict[str, Any] = {"results": _download(results), "noun": split.noun, "data": split.name}
    why = why_not_alive(network)
    if why:
        return found | {"why": why}
    found |= {
        "network": encoded_network(network),
        "images": {"test": encoded_images(split.test, N_TEST, _TEST_BUDGET)},
        "pixels": {"mean": float(split.test.images.mean()), "std": float(split.test.images.std())},
    }
    if has_training_images:
        found["images"]["train"] = encoded_images(split.train, N_TRAIN, _TRAIN_BUDGET)
    if recipe is not None:
        found["recipe"] = {
            "initialization": recipe.initialization,
            "cost": recipe.config.cost,
            "batch_size": recipe.config.batch_size,
            "learning_rate": recipe.config.learning_rate,
        }
    if film is not None:
        found["film"] = _film(film)
    if other is not None and not why_not_alive(other):
        found["other"] = {"network": encoded_network(other), "order": _order(results)}
    for name, part in _PARTS.items():
        if name in results:
            found |= part(results[name])
    return found


def _download(results: Mapping[str, Record]) -> dict[str, Any]:
    """Return all results as the page offers them: compressed JSON."""
    text = json.dumps(plain({name: result.to_dict() for name, result in results.items()}), allow_nan=False)
    return encoded(np.frombuffer(text.encode(errors="backslashreplace"), np.uint8))


def _film(film: Film) -> dict[str, Any]:
    kernels = {name: values for name, values in film.parameters.items() if values.ndim > 2}
    first = next(iter(kernels))
    return {
        "layer": first.rpartition("/")[0],
        "updates": film.updates.tolist(),
        "cost": _floats(film.cost),
        "accuracy": _floats(film.test_accuracy),
        "kernel": encoded(kernels[first].astype(np.float16)),
    }


def _cards(cards: UnitCards) -> dict[str, Any]:
    found = cards.page_data()
    images = found["images"]
    for layer in found["layers"].values():
        if layer["favorites"] is not None:
            layer["favorites"] = encoded(layer["favorites"], scale=1 / 255)
    return {
        "pool": encoded(images["pixels"], scale=images["scale"]),
        "concepts": found["concept_names"],
        "cards": _jsonable(found["layers"]),
    }


def _jsonable(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return encoded(value if value.dtype.itemsize <= 4 else value.astype(np.int32))
    if isinstance(value, Mapping):
        return {name: _jsonable(each) for name, each in value.items()}
    return plain(value)


def _favorites(found: Maximization) -> dict[str, Any]:
    """Return the favorite images of the classes."""
    images = encoded(np.rint(found.best_images * 255).astype(np.uint8), scale=1 / 255)
    return {
        "favorites": {
            "images": images,
            "values": _floats(found.best_values),
            "upper": _floats(found.bounds.upper),
        }
    }


def _limit(found: NoiseSeverity) -> dict[str, Any]:
    mean = found.own_mean_limit
    return {} if mean is None else {"limit": mean}


def _ratios(found: Memorization) -> dict[str, Any]:
    """Return how many times as many updates the most corrupted labels took as true ones, for each pair of networks."""
    cell = found.cells[0]
    reference = cell.references[-1]
    if reference is None:
        return {}
    late, early = cell.updates[[-1, reference], :, -1]
    ratios = (late / early)[np.isfinite(late) & np.isfinite(early)]
    config = found.design.config
    settings = {
        "learningRate": config.learning_rate,
        "batchSize": config.batch_size,
        "optimizer": config.optimizer,
        "momentum": config.momentum,
    }
    return {"memorization": {"ratios": _floats(ratios), "n_samples": cell.n_samples, "settings": settings}}


def _judges(found: Drawing) -> dict[str, Any]:
    """Return of each class how many of its optimized images could be real, and how many each judge recognizes."""
    own = found.kinds[0]
    right = (own.judged == own.intended) & (own.judged >= 0)
    classes = [own.intended == k for k in range(found.n_classes)]
    return {
        "drawing": {
            "n_images": [int(of.sum()) for of in classes],
            "plausible": [int(own.plausible[of].sum()) for of in classes],
            "judges": list(found.judges),
            "recognized": [[int(judge[of].sum()) for of in classes] for judge in right],
        }
    }


def _plane(found: CostPlane) -> dict[str, Any]:
    n_updates = len(found.updates)
    return {
        "plane": {
            "axes": [encoded(axis.astype(np.float32)) for axis in found.axes],
            "cost": encoded(found.cost.astype(np.float32)),
            "path": encoded(found.projected.astype(np.float32)) if n_updates else None,
            "updates": found.updates.tolist(),
            "path_cost": _floats(found.path_cost),
            "explained": _floats(found.explained),
        }
    }


def _order(results: Mapping[str, Record]) -> dict[str, list[int]]:
    """Return in which order the units of the second network stand beside those of the first that do the same."""
    orders = {}
    compared = [result for result in results.values() if isinstance(result, Comparison)]
    for layer in (layer for result in compared for layer in result.layers):
        matched = layer.pairs[:, 1].tolist()
        orders[layer.second] = matched + [unit for unit in range(layer.n_second) if unit not in matched]
    return orders


_PARTS: Mapping[str, Callable[..., dict[str, Any]]] = {
    "network": lambda found: {"accuracy": found.test_accuracy},
    "cards": _cards,
    "maximize_classes": _favorites,
    "severity": _limit,
    "memorization": _ratios,
    "plane": _plane,
    "drawing": _judges,
}
"""What of which result is alive, by the names that results have in results.json."""


def _floats(values: Array | Sequence[float]) -> list[float | None]:
    """Return numbers as JSON has them: None for what is not finite, which the script reads as no number."""
    return [float(f"{value:.6g}") if math.isfinite(value) else None for value in np.asarray(values).tolist()]
