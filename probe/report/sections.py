"""Results in words: each function turns what an analysis found into a section of the page.

Every number that a sentence says stands in `Section.numbers` under the same meaning. The sentences say
what was measured on this network; a single network gives no interval, and none is claimed.
"""

from __future__ import annotations

from collections import Counter

import numpy as np

from probe.analyses.maximize import Maximization
from probe.analyses.noise import NoiseConfidence
from probe.analyses.weights import WeightImages
from probe.network import Network
from probe.report.page import Claim, Picture, Section, Table
from probe.training import TrainingHistory

__all__ = [
    "maximization_section",
    "noise_section",
    "training_section",
    "weights_section",
]

_DOUBTFUL = 0.5
"""Below this accuracy a page asks whether the network was meant for such images."""

_KINDS = {
    "real": "real test images",
    "uniform": "uniform noise",
    "gaussian": "Gaussian noise",
    "shuffled": "shuffled pixels",
    "norm-matched": "norm-matched uniform noise",
}


def training_section(
    network: Network, history: TrainingHistory | None, test_accuracy: float, data: str
) -> tuple[Section, Claim]:
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
        if test_accuracy < _DOUBTFUL:
            lead.append(
                "So few right answers may mean that it was trained on inputs of another range than [0, 1], or on other "
                "data: `--range LOW HIGH` says which range, `--data` which data."
            )
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
    )
    return Section("training", "The network", tuple(lead), pictures, numbers=numbers), claim


def weights_section(layers: tuple[WeightImages, ...]) -> tuple[Section, Claim]:
    """Return the weight images of every layer; `layers` begins with the first."""
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
            f"Layer '{result.layer}': {len(result.unit_names)} units, one colour scale from "
            f"−{result.scale:.3g} to +{result.scale:.3g}. " + _weights_caption(result),
            f"{len(result.images)} images of the weights into the units of layer {result.layer}.",
        )
        for place, result in enumerate(layers)
    )
    numbers = {
        result.layer: {"n_units": len(result.unit_names), "kind": result.kind, "scale": result.scale}
        for result in layers
    }
    if not layers:
        lead = ("No layer's weights can be laid out as images of the input.",)
    claim = Claim(
        "The weights of the hidden neurons look almost random, with loose patterns in the middle",
        "A picture, not a test: see for yourself which units have a pattern and which are speckle."
        if layers
        else lead[0],
        "weights",
    )
    return Section("weights", "What do the neurons look for?", lead, pictures, numbers=numbers), claim


def _weights_caption(result: WeightImages) -> str:
    planes = f" A row is one of them, an image for each of {result.planes} channels." * (result.planes > 1)
    return {
        "weights": "Each image is the weights from the pixels into one unit.",
        "expanded": "Expanded weights, down to the pixels, with the activations left out.",
        "kernels": "Each image is the kernel of one filter: what it looks for, wherever it is.",
        "maps": "The weights of each unit on the feature maps below it, which are not pixels.",
    }[result.kind] + planes


def maximization_section(
    network: Network, plain: Maximization, smooth: Maximization, units: Maximization | None
) -> tuple[Section, Claim]:
    """Return the inputs that maximise each class (without and with regularisers) and each hidden unit."""
    best = plain.best_restarts
    rows = np.arange(len(plain.names))
    confidences, predictions = plain.confidences[rows, best], plain.predictions[rows, best]
    hits = int((predictions == rows).sum())
    surest = float(confidences[predictions == rows].min()) if hits else None
    starts = float(np.median(plain.start_values))
    moved = bool((plain.best_values > plain.start_values.max(axis=1)).any())
    numbers: dict[str, object] = {
        "names": list(plain.names),
        "best_values": plain.best_values.tolist(),
        "confidences": confidences.tolist(),
        "predictions": [network.class_names[k] for k in predictions],
        "classified_as_intended": hits,
        "smallest_confidence_of_these": surest,
        "median_start_value": starts,
        "moved": moved,
        "n_restarts": plain.values.shape[1],
        "smooth": {
            "l2": smooth.l2,
            "total_variation": smooth.total_variation,
            "best_values": smooth.best_values.tolist(),
        },
    }
    found = f"The network puts {hits} of the {len(rows)} images that it likes best in the class they were made for"
    found += f", with a confidence of at least {_floored(surest)}." if surest is not None else "."
    lead: tuple[str, ...] = (
        "Gradient ascent on the pixels, from random images and inside [0, 1], towards the input that raises the logit "
        f"of a class most; the best of {plain.values.shape[1]} starts is shown. The logits climb from a median of "
        f"{starts:.1f} on the random images to between {plain.best_values.min():.1f} and "
        f"{plain.best_values.max():.1f}. {found}",
    )
    if not moved:
        lead = (
            "The gradient of the classes with respect to the pixels is zero, as it is behind step activations, so "
            "nothing climbs: the images below are the random ones that the ascent started from.",
        )
    pictures = [
        Picture(
            "maximize_classes",
            plain,
            "What each class wants most, without any help: the number is the logit reached. If these do not look "
            "like their class to you, the network is sure of something else than its shape.",
            "One image for each class that maximises its logit.",
        ),
        Picture(
            "maximize_classes_smooth",
            smooth,
            f"The same with a price on differences between neighbouring pixels (total variation, weight "
            f"{smooth.total_variation:g}) and on ink (L2, weight {smooth.l2:g}): the smoothness here is asked for, "
            f"not learned.",
            "One smoothed image for each class that maximises its logit.",
        ),
    ]
    if units is not None:
        pictures.append(
            Picture(
                "maximize_units",
                units,
                f"What {len(units.names)} hidden units or channels want most: layer:unit, and the pre-activation "
                "reached (of a channel, the mean over its map). For a first dense layer this is ink wherever its weight "
                "is positive.",
                "One image for each hidden unit that maximises its pre-activation.",
            )
        )
        numbers["units"] = {"names": list(units.names), "best_values": units.best_values.tolist()}
    claim = Claim(
        "The network recognises digits, but has no idea how to draw one",
        f"{found} Judge their shape yourself." if moved else lead[0],
        "maximize",
    )
    return Section("maximize", "Can it draw?", lead, tuple(pictures), numbers=numbers), claim


def noise_section(result: NoiseConfidence) -> tuple[Section, Claim]:
    """Return how confident the network is on noise, and whether confidence tells noise from real images."""
    rows, conditions = [], {}
    for condition in result.conditions:
        median = float(np.median(condition.confidences))
        rows.append(
            (
                _KINDS[condition.name],
                f"{median:.3f}",
                f"{condition.share_above:.1%}",
                f"{condition.entropy:.2f}",
                "" if condition.name == "real" else f"{condition.auroc:.3f}",
            )
        )
        conditions[condition.name] = {
            "median_confidence": median,
            "share_above": condition.share_above,
            "entropy_bits": condition.entropy,
            "class_shares": condition.class_shares.tolist(),
            "auroc": None if condition.name == "real" else condition.auroc,
        }
    real, uniform = result.conditions[0], result.condition("uniform")
    medians = float(np.median(real.confidences)), float(np.median(uniform.confidences))
    table = Table(
        f"{len(real.confidences):,} images of each kind. Share above: the share with a confidence above "
        f"{result.threshold:.4f}, the median of the correctly classified test images. Entropy of the predicted "
        f"classes: 0 bit if all noise is put in one class, {np.log2(len(result.class_names)):.2f} if spread evenly. "
        "AUROC: the probability that a real image gets a higher confidence than noise (0.5: confidence tells nothing; "
        "1: it tells them apart).",
        ("images", "median confidence", "share above", "entropy, bit", "AUROC"),
        tuple(rows),
    )
    lead = (
        "Nothing tells the network that an image is of none of its classes. Three separate questions: how confident is "
        "it on noise; in which classes does it put noise; and does its confidence, for what it is worth, still tell noise "
        "from real images?",
    )
    picture = Picture(
        "noise",
        result,
        "Left: examples. Middle: how the confidence is distributed; a tall bar at 1 in a row of noise is the network "
        "being sure of nonsense. Right: the classes that the images are put in.",
        "For real images and four kinds of noise: examples, a histogram of confidence, and predicted classes.",
    )
    claim = Claim(
        "Given pure noise, the network confidently names a digit",
        f"Median confidence {medians[1]:.3f} on uniform noise, {medians[0]:.3f} on test images; "
        f"{uniform.share_above:.1%} of the noise is above the median of right answers. As a detector of noise, "
        f"confidence has an AUROC of {uniform.auroc:.2f}.",
        "noise",
    )
    numbers = {
        "threshold": result.threshold,
        "n_images": len(real.confidences),
        "largest_entropy_bits": float(np.log2(len(result.class_names))),
        "conditions": conditions,
    }
    return Section("noise", "How sure is it of noise?", lead, (picture,), (table,), numbers), claim


def _floored(share: float) -> str:
    """Return `share` in per cent, rounded down, so that "at least" is true."""
    return f"{np.floor(share * 1000) / 10:.1f}%"


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
