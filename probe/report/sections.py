"""Results in words: each function turns what an analysis found into a section of the page.

Every number that a sentence says stands in `Section.numbers` under the same meaning. The sentences say
what was measured on this network; a single network gives no interval, and none is claimed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from probe.analyses.weights import WeightImages
from probe.figures.weights import page_of, scale_of, words
from probe.network import Network
from probe.report.page import Claim, Picture, Section
from probe.training import TrainingHistory

__all__ = [
    "training_section",
    "weights_numbers",
    "weights_section",
]

_MOST_PICTURES = 16
"""Layers whose weights are drawn on a page: the first ones."""


def training_section(
    network: Network, history: TrainingHistory | None, test_accuracy: float, data: str
) -> tuple[Section, tuple[Claim, ...]]:
    """Return what the network is and how well it classifies test data."""
    lead = [
        f"The network has {network.n_parameters:,} parameters in {_layers_in_words(network)}. It puts "
        f"{test_accuracy:.2%} of the test images in the right class."
    ]
    numbers: dict[str, object] = {
        "n_parameters": network.n_parameters,
        "layer_widths": list(_widths(network)),
        "test_accuracy": test_accuracy,
    }
    pictures: tuple[Picture, ...] = ()
    if history is None:
        lead.append("It was trained elsewhere; the file does not hold how.")
    else:
        cost, train = float(history.cost[-1]), float(history.train_accuracy[-1])
        numbers |= {
            "n_epochs": history.n_epochs,
            "final_cost": cost,
            "final_train_accuracy": train,
            "final_test_accuracy": float(history.test_accuracy[-1]),
        }
        caption = (
            f"Gradient descent over {history.n_epochs} epochs. Left: the cost on the training data ends at "
            f"{cost:.4f}. Right: accuracy on the training data ends at {train:.1%}, on test images that were never "
            f"trained on at {history.test_accuracy[-1]:.1%}."
        )
        pictures = (Picture("training", history, caption, "Curves of cost and of accuracy over the epochs."),)
    claim = Claim(
        "A small network, trained by gradient descent, recognises about 96% of unseen digits",
        f"{test_accuracy:.2%} of {data} test images ({network.n_parameters:,} parameters).",
        "training",
        picture="training" if pictures else None,
    )
    return Section("training", "The network", tuple(lead), pictures, numbers=numbers), (claim,)


def weights_section(results: Iterable[WeightImages]) -> tuple[Section, tuple[Claim, ...]]:
    """Return the weight images of the first layers, and the numbers of all; `results` begins with the first."""
    layers, numbers = list[WeightImages](), dict[str, object]()
    for result in results:
        numbers[result.layer] = weights_numbers(result)
        if len(layers) < _MOST_PICTURES:
            layers.append(result)
    n_layers = len(numbers)
    kinds = {result.kind for result in layers}
    lead: tuple[str, ...] = (
        "Red weights raise a unit when there is ink at the pixel, blue ones lower it. Look for the little edges and "
        "loops that one might hope for. Under plain gradient descent, pixels that are never lit in the training data "
        "keep the weights they started with: texture there says nothing about what was learned. Three colour channels "
        "are drawn as red, green and blue, with zero as grey.",
    )
    if "expanded" in kinds:
        lead += (
            "Deeper units do not see pixels. Their images are expanded weights, the product of all kernels on the way: "
            "what the unit would read if the activations in between were linear.",
        )
    if "kernels" in kinds:
        lead += (
            "A filter of a convolution looks at a small window, everywhere in the image with the same weights. Filters "
            "of a first convolution read pixels; deeper ones read the channels below, one small image for each.",
        )
    pictures = tuple(
        Picture(
            f"weights_{place + 1}",
            result,
            f"Layer '{result.layer}': {len(result.unit_names):,} units. {_weights_caption(result)} {words(result)}",
            f"Images of the weights into the units of layer {result.layer}.",
        )
        for place, result in enumerate(layers)
    )
    if len(layers) < n_layers:
        lead += (
            f"The first {len(layers)} of {n_layers} layers are drawn. `probe weights MODEL --layer NAME` draws another.",
        )
    if not layers:
        lead = ("No layer's weights can be laid out as images of the input.",)
    claim = Claim(
        "The weights of the hidden neurons look almost random, with loose patterns in the middle",
        "A picture, not a test: see for yourself which units have a pattern and which are speckle."
        if layers
        else lead[0],
        "weights",
        picture="weights_1" if layers else None,
    )
    return Section("weights", "What do the neurons look for?", lead, pictures, numbers=numbers), (claim,)


def weights_numbers(result: WeightImages, scale: str | None = None) -> dict[str, object]:
    """Return the numbers of all units of a layer, and of the picture that `probe.plot(result, scale=scale)` is."""
    colors, page = scale_of(result, scale), page_of(result)
    return {
        "n_units": len(result.unit_names),
        "kind": result.kind,
        "scale": result.scale,
        "shape": list(result.images.shape),
        "units": list(result.unit_names),
        "norms": result.norms,
        "largest": result.largest.reshape(len(result.unit_names), -1).max(axis=1),
        "picture": {
            "scale": colors.kind,
            "limit": colors.limit,
            "n_images": len(result.images),
            "n_faint": colors.n_faint,
            "n_clipped": int(colors.clipped.sum()),
            "units": [result.unit_names[k] for k in page.units.tolist()],
        },
    }


def _weights_caption(result: WeightImages) -> str:
    planes = f" Of each there is an image for each of {result.planes} channels." * (result.planes > 1)
    return {
        "weights": "Each image is the weights from the pixels into one unit.",
        "expanded": "Expanded weights, down to the pixels, with the activations left out.",
        "kernels": "Each image is the kernel of one filter: what it looks for, wherever it is.",
        "maps": "The weights of each unit on the feature maps below it, which are not pixels.",
    }[result.kind] + planes


def _layers_in_words(network: Network) -> str:
    """Return the layers that have parameters, in words: widths where all are dense, else how many of each kind."""
    kinds = Counter(type(layer).__name__ for layer in network.layers if layer.variables)
    if kinds.keys() <= {"Dense"}:
        return f"layers of {' – '.join(map(str, _widths(network)))} units"
    *first, last = (f"{count} {kind}" for kind, count in kinds.items())
    return f"{', '.join(first)} and {last} layers" if first else f"{last} layers"


def _widths(network: Network) -> tuple[int, ...]:
    dense = network.dense_layers
    first = (int(dense[0].kernel.shape[0]),) if dense else ()
    return (*first, *(layer.n_units for layer in dense))
