"""Landscapes in words."""

from __future__ import annotations

import numpy as np

from probe.analyses.landscape import Components, Landscape, StepActivations
from probe.report.page import Claim, Picture, Section, Table

__all__ = ["landscape_sections"]

Part = tuple[Section, tuple[Claim, ...]]


def landscape_sections(result: Landscape) -> tuple[Part, ...]:
    """Return what was found on the way down, without slopes, on the path, and around the network."""
    steps = () if result.activations is None else (_activations(result, result.activations),)
    return _descent(result), *steps, (_path(result), ()), (_surface(result), ())


def _descent(result: Landscape) -> Part:
    found = result.descent
    trained = found.components[0]
    lead = (
        "The negative gradient is said to be the direction in which the cost falls most rapidly. Here the cost is measured "
        f"after steps of several lengths along it, and along {found.n_directions:,} random directions. What holds for "
        "short steps need not hold for long ones: how far the gradient stays ahead is measured too.",
    )
    pictures = (
        Picture(
            "descent",
            result,
            "Decrease of the cost against the length of the step: the negative gradient (blue) and all random directions "
            "(band). Where the blue line falls below the band, the step is too long for the slope to say anything.",
            "Two panels: the decrease of the cost along the negative gradient and along random directions.",
            view={"part": "descent"},
        ),
        Picture(
            "gradient",
            result,
            "The components of the gradient by size, as the video reads them: which weights matter most now. A curve that "
            "falls steeply says that few weights do.",
            "Sizes of the components of the gradient for each array of the network, and the largest by name.",
            view={"part": "gradient"},
        ),
    )
    table = Table(
        "The largest components of the negative gradient: what descent adds to these weights, up to the rate. Indices "
        "count inputs first, then units.",
        ("weight", "negative gradient"),
        tuple(
            (name, f"{value:+.2e}")
            for name, value in zip(trained.names, trained.values.tolist(), strict=True)
        ),
    )
    numbers = {
        "steps": found.steps,
        "lengths": found.lengths,
        "gradient_norm": found.gradient_norm,
        "cost": found.cost,
        "along_gradient": found.along_gradient,
        "best_random": found.along_random.max(axis=2),
        "n_directions": found.n_directions,
        "ahead_up_to": found.wins_up_to,
        "largest_components": dict(zip(trained.names, trained.values.tolist(), strict=True)),
        "components_for_90_percent": [_share(each) for each in found.components],
    }
    section = Section("descent", "Is it the steepest way down?", lead, pictures, (table,), numbers)
    verdict = found.verdict
    return section, (Claim(verdict.title, verdict.sentence, "descent", verdict, "descent"),)


def _share(components: Components) -> dict[str, int]:
    return {"components": components.n_for_most, "of": components.n_parameters}


def _activations(result: Landscape, found: StepActivations) -> Part:
    lead = (
        "A neuron that is either on or off has no slope: a small change of a weight changes nothing, or everything. What "
        "lies below it gets a gradient of zero, and descent cannot tell it where to go. What lies behind the last such "
        "neuron has a slope even then, which is why such a network still learns something; the grey curves show how far "
        "that alone gets with the network's own activations.",
    )
    slopes = Picture(
        "slopes",
        result,
        "Decrease of the cost when only the hidden layers move, along their negative gradient (blue) and along random "
        "directions (band): left with the network's own activations, right with steps. A blue line at zero beside a band "
        "that reaches above it: there is a way down, and the gradient does not know it.",
        "Two panels: the decrease of the cost along the negative gradient of the hidden layers and along random directions, "
        "with the network's activations and with steps.",
        view={"part": "slopes"},
    )
    picture = Picture(
        "activations",
        result,
        "Cost and accuracy on the way, for the same starts and minibatches: the network's own activations, steps, and own "
        "activations with only what lies behind the hidden layers trained.",
        "Curves of cost and accuracy against updates for three kinds of training.",
        view={"part": "activations"},
    )
    final = np.nan_to_num(found.accuracy[:, :, -1], nan=0.0)
    numbers = {
        "activation": found.activation,
        "learning_rates": dict(zip(found.kinds, found.learning_rates.tolist(), strict=True)),
        "updates": int(found.updates[-1]),
        "n_networks": final.shape[1],
        "test_accuracy": dict(zip(found.kinds, final.tolist(), strict=True)),
        "hidden_layers_moved": dict(zip(found.kinds, found.moved.tolist(), strict=True)),
        "hidden_gradient_zero": dict(zip(found.kinds, found.zero_share.tolist(), strict=True)),
        "steps": found.steps,
        "along_hidden_gradient": dict(zip(found.kinds, found.along_gradient.tolist(), strict=False)),
        "best_random_of_hidden": dict(zip(found.kinds, found.along_random[..., 2].tolist(), strict=False)),
    }
    section = Section("activations", "Could it learn with steps?", lead, (slopes, picture), numbers=numbers)
    verdict = found.verdict
    return section, (Claim(verdict.title, verdict.sentence, "activations", verdict, "activations"),)


def _path(result: Landscape) -> Section:
    found = result.path
    lead = (
        "A network of the same layers is trained from a fresh start. On the straight line from there to where it ends the "
        + ("cost never climbs above its ends" if found.rise == 0 else f"cost climbs by {found.rise:.3g}")
        + f". {found.explained.sum():.0%} of the path's variance lie in one plane. That alone would not make it simple: a "
        f"random walk with steps of the same lengths would have {found.random_walk.sum():.0%} in its plane.",
    )
    picture = Picture(
        "path",
        result,
        "Left: the cost on the straight line. Right: the path in the plane of its first two principal components; the "
        "colour is the cost on that plane, not under the path itself, which leaves the plane.",
        "The cost on a straight line, and a path on a coloured plane.",
        view={"part": "path"},
    )
    numbers = {
        "updates": int(found.updates[-1]),
        "learning_rate": found.learning_rate,
        "start_cost": float(found.cost[0]),
        "end_cost": float(found.cost[-1]),
        "rise_on_the_line": found.rise,
        "line": found.line,
        "line_cost": found.line_cost,
        "explained": found.explained,
        "explained_of_a_random_walk": found.random_walk,
    }
    return Section("path", "Which way did it go?", lead, (picture,), numbers=numbers)


def _surface(result: Landscape) -> Section:
    found = result.surface
    lead = (
        f"This network has a cost of {found.cost:.3g} and is right on {found.accuracy:.1%} of these {found.n_images:,} "
        f"training images. Around it the cost is measured on {len(found.planes)} planes and {len(found.lines)} lines of "
        "random directions. A picture of one plane says little about as many dimensions as there are parameters; the band "
        "over many says what a random direction shows. Directions are scaled filter by filter, so that networks of "
        "different weights can be compared; it does not follow that a bowl here is a minimum: only curvature can tell.",
    )
    picture = Picture(
        "surface",
        result,
        "Above: for each point of the plane the 5%, 50% and 95% quantile of the cost over planes. Below: the cost along "
        "single directions. A wide flat bottom is a network that bears small changes of its weights.",
        "Three coloured squares with the network in the middle, and a curve with a band.",
        view={"part": "surface"},
    )
    numbers = {
        "cost": found.cost,
        "accuracy": found.accuracy,
        "n_planes": len(found.planes),
        "n_lines": len(found.lines),
        "lines_lowest_here": found.lowest_share,
        "line_coordinates": found.line_coordinates,
        "line_cost_median": np.median(found.lines, axis=0),
        "line_cost_band": np.quantile(found.lines, [0.05, 0.95], axis=0),
    }
    return Section("surface", "What is around it?", lead, (picture,), numbers=numbers)
