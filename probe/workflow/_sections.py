"""Analyses of one network as sections of a page: how each is run, and what its template reads."""

from __future__ import annotations

import inspect
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, nullcontext, suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from probe._checks import DivergedError, InputError
from probe._layout import input_layout
from probe._memory import give_back_memory
from probe._parallel import available_workers, in_threads, single_threaded_blas
from probe._progress import Progress, ProgressEvent, silent
from probe.analyses.drawing import RESTARTS, STEPS, drawing
from probe.analyses.landscape import affordable_looks
from probe.analyses.maximize import maximize
from probe.analyses.memorization import Memorization, memorization
from probe.analyses.minima import minima_of_kind
from probe.analyses.paths import ExpandedWeights, expanded_weights
from probe.ascent import affordable_ascents
from probe.catalogue import Analysis, function_of
from probe.controls import MEMORIZING, Controls, architecture_of, fewer_labels, gentle_rate, n_memorizable
from probe.datasets import Split
from probe.layers import DataFormat
from probe.network import Network
from probe.objectives import Objective
from probe.pages import Section
from probe.population import MLP
from probe.results import Record
from probe.training import DEFAULT_ARCHITECTURE, learning_rate_for, smaller_rates
from probe.workflow.maximize import class_objectives, unit_objectives
from probe.workflow.weights import weights_section

__all__ = [
    "Subject",
    "function_of",
    "in_report",
    "paths_section",
    "sections_about",
    "sections_of",
    "side_by_side",
]

_MOST_PICTURES = 16
"""Layers whose paths are drawn: the first ones."""

_N_MINIMA = 8
"""Networks whose ends are compared in a report."""

_LOOKING = 200_000_000_000
"""Multiplications that looking around one network may take in a report: some five seconds."""

_SLOW = 3_000_000
"""`Network.work` from which on a network is slow: less is done with it, and it is not trained with step activations."""

_N_CLASSIFIED = 1_000
"""Images that a slow network classifies for the section on its mistakes."""

_UNITS_SHOWN = 160
"""Hidden units that a report maximizes at most: the first of each layer."""


_LONGEST = ("landscape", "memorization", "weight_structure", "drawing", "minima", "concepts")
"""Analyses that take longest, which are begun first, so that none is left alone at the end."""


@dataclass(frozen=True, slots=True, eq=False)
class Subject:
    """What analyses are run on, and with which controls and seed."""

    network: Network | None
    split: Split
    controls: Controls | None = None
    seed: int = 0
    progress: Progress = silent
    other: Network | None = None


def sections_of(
    entry: Analysis, subject: Subject, options: Mapping[str, Any], note: str = ""
) -> tuple[Section, ...]:
    """Run an analysis with these arguments, and return the sections about it.

    Where an optional analysis cannot be done, its section says why.
    """
    if entry.name in _OWN:
        return (_OWN[entry.name](subject, options, note),)
    function = function_of(entry)
    arguments = [getattr(subject, need) for need in entry.needs if need != "controls"]
    known = inspect.signature(function).parameters
    shared = {name: getattr(subject, name) for name in ("controls", "seed", "progress") if name in known}
    try:
        result = function(*arguments, **shared, **options)
    except InputError as error:
        if not entry.optional:
            raise
        first = next(iter(entry.sections), entry.key)
        return (Section(key=first, facts={"why": str(error)}, note=note),)
    return sections_about(entry, result, note)


def side_by_side(
    todo: Sequence[tuple[Analysis, Mapping[str, Any], str]],
    on: Subject,
    add: Callable[[Section], None],
    beside: Mapping[str, Record] | None = None,
) -> list[Section]:
    """Run analyses, each with its arguments and its note as for `sections_of`, two at a time.

    Returns their sections, in the order of `todo`, the first of them with the results `beside`; `add` is called in this
    thread with each as soon as it is there.
    """
    ranks = {name: rank for rank, name in enumerate(_LONGEST)}
    turns = sorted(range(len(todo)), key=lambda index: ranks.get(todo[index][0].name, len(ranks)))
    stop, telling = threading.Event(), threading.Lock()

    def tell(event: ProgressEvent) -> None:
        # What is under way when the work is given up ends at its next step.
        if stop.is_set():
            raise KeyboardInterrupt
        with telling:
            on.progress(event)

    def analyzed(index: int, stop: threading.Event) -> list[Section]:
        entry, options, note = todo[index]
        found = list(sections_of(entry, replace(on, progress=tell), options, note))
        if beside and index == 0:
            found[0] = replace(found[0], results={**found[0].results, **beside})
        return found

    workers = available_workers(2)
    # One analysis has all threads of BLAS.
    limit = single_threaded_blas() if len(todo) > 1 else nullcontext()
    with limit, closing(in_threads(analyzed, turns, workers=workers, stop=stop)) as found:
        done = dict[int, list[Section]]()
        for turn, sections in found:
            give_back_memory()
            done[turns[turn]] = sections
            for section in sections:
                add(section)
    return [section for index in range(len(todo)) for section in done[index]]


def in_report(entry: Analysis, subject: Subject) -> tuple[Mapping[str, Any], str]:
    """Return the arguments of an analysis in a report, and what to say where less is done with a slow network."""
    assert entry.report is not None
    options, network = dict[str, Any](entry.report), _network(subject)
    said, command = list[str](), "`probe landscape` does all"
    if entry.name == "landscape":
        usual = options["n_images"], options["n_directions"]
        options["n_images"], options["n_directions"] = affordable_looks(network, *usual, _LOOKING)
        if (options["n_images"], options["n_directions"]) != usual:
            said.append(f"{options['n_directions']} directions, {options['n_images']} images")
        if network.work > _SLOW:
            options["parts"] = ()
            said.append("no training with step activations")
    elif entry.name == "concepts" and network.work > _SLOW:
        options["n_images"] //= 2
        said, command = [f"{options['n_images']} images"], "`probe features` looks at more"
    elif entry.name == "classification" and network.work > _SLOW:
        options["n_images"] = min(_N_CLASSIFIED, len(subject.split.test))
        said, command = [f"{options['n_images']:,} images"], "`probe evaluate` takes all"
    return options, _reduced("; ".join(said), command) if said else ""


def _reduced(said: str, otherwise: str) -> str:
    return f"Reduced, for this network is slow: {said}. {otherwise}."


def sections_about(entry: Analysis, result: Record, note: str = "") -> tuple[Section, ...]:
    """Return the sections about the result of an analysis."""
    needs = entry.sections or {entry.key: ""}
    return tuple(
        Section(key=key, results={entry.key: result}, note=note)
        for key, attribute in needs.items()
        if not attribute or getattr(result, attribute)
    )


def _paths(subject: Subject, options: Mapping[str, Any], note: str) -> Section:
    """Return what is on the paths to every dense layer that has another below, down to the pixels."""
    network = _network(subject)
    results = []
    for layer in network.dense_layers[1:]:
        with suppress(InputError):
            results.append(
                expanded_weights(
                    network,
                    subject.split.test.images,
                    layer.name,
                    controls=subject.controls,
                    seed=subject.seed,
                    **options,
                )
            )
    return paths_section(results, note)


def paths_section(layers: Sequence[ExpandedWeights], note: str = "") -> Section:
    """Return the section about the expanded weights of several layers.

    A result is called after its layer, if that has a plain name, else by its number.
    """
    plain = re.compile(r"[A-Za-z0-9_-]{1,60}")
    results = {
        f"paths_{result.layer if plain.fullmatch(result.layer) else number}": result
        for number, result in enumerate(layers, start=1)
    }
    return Section(
        key="paths", results=results, facts={"paths": results, "n_drawn": _MOST_PICTURES}, note=note
    )


def _weights(subject: Subject, options: Mapping[str, Any], note: str) -> Section:
    # Where no layer says where the channels are, the data do: theirs are last.
    network = _network(subject)
    layout: DataFormat | None = None if input_layout(network) else "channels_last"
    return weights_section(network, layout=layout, note=note)


def _maximizations(subject: Subject, options: Mapping[str, Any], note: str) -> Section:
    """Return the maximizing images of the classes, plain and smoothed, and of the hidden units."""
    network = _network(subject)
    run = partial(maximize, network, seed=subject.seed, progress=subject.progress)
    classes, units = class_objectives(network), _hidden_objectives(network)
    n, restarts, steps = affordable_ascents(network, len(classes), 8, 300)
    of_classes: dict[str, Any] = {"restarts": restarts, "steps": steps}
    results = {
        "maximize_classes": run(classes[:n], **of_classes),
        "maximize_classes_smooth": run(classes[:n], **of_classes, l2=0.02, total_variation=0.05),
    }
    fewer = (n, restarts, steps) != (len(classes), 8, 300)
    said = f"{n:,} of {len(classes):,} classes, {restarts} starts, {steps} steps"
    if units:
        n, restarts, steps = affordable_ascents(network, len(units), 4, 200)
        spread = np.linspace(0, len(units) - 1, n).round().astype(int)
        results["maximize_units"] = run([units[index] for index in spread], restarts=restarts, steps=steps)
        if (n, restarts, steps) != (len(units), 4, 200):
            fewer = True
            said += f"; {n:,} of {len(units):,} units, {restarts} starts, {steps} steps"
    reduced = _reduced(said, "`probe maximize` takes as many as you choose")
    return Section(key="maximize", results=results, note=" ".join(filter(None, (note, reduced * fewer))))


def _drawing(subject: Subject, options: Mapping[str, Any], note: str) -> Section:
    """Return what the network draws, of fewer starts and steps where it is slow; or why it was not asked."""
    network, split = _network(subject), subject.split
    usual = {"restarts": RESTARTS, "steps": STEPS}
    if not options:
        n, restarts, steps = affordable_ascents(network, network.n_classes, RESTARTS, STEPS)
        if n < network.n_classes:
            command = f"`probe drawing --restarts {restarts} --steps {steps}`"
            why = f"an image of each of {network.n_classes:,} classes would take too long; {command} draws them all the same"
            return Section(key="drawing", facts={"why": why}, note=note)
        options = {"restarts": restarts, "steps": steps}
        if options != usual:
            reduced = _reduced(f"{restarts} starts, {steps} steps", "`probe drawing` takes more")
            note = " ".join(filter(None, (note, reduced)))
    given: dict[str, Any] = {"controls": subject.controls, "seed": subject.seed, "progress": subject.progress}
    result = drawing(network, split, **given, **options)
    return Section(key="drawing", results={"drawing": result}, note=note)


def _hidden_objectives(network: Network) -> list[Objective]:
    """Return the hidden units and channels to maximize: as many of each layer, `_UNITS_SHOWN` at most."""
    hidden = [layer.name for layer in network.layers if layer.has_kernels and layer.name != network.head_name]
    share = _UNITS_SHOWN // max(1, len(hidden))
    return [objective for name in hidden for objective in unit_objectives(network, [name], max(1, share))]


def _memorization(subject: Subject, options: Mapping[str, Any], note: str) -> Section:
    """Return the experiment on networks of the same shape, or on smaller ones that stand in for them."""
    own = architecture_of(_network(subject))
    architecture = DEFAULT_ARCHITECTURE if own is None else own
    train, n_pixels = subject.split.train, subject.split.train.images[0].size
    n_samples = n_memorizable(architecture.n_parameters(n_pixels, train.n_classes), len(train))
    shape = "They have the widths of the network on this page."
    if own is None:
        n_samples = fewer_labels(n_samples, n_pixels)
        widths = "-".join(map(str, architecture.hidden))
        why = "is no chain of dense layers with one kind of activation that gradient descent can train"
        shape = f"They have hidden layers of {widths} sigmoid units: the network on this page {why}."
    result = _memorized(architecture, subject, n_samples)
    return Section(key="memorization", results={"memorization": result}, note=shape)


def _memorized(architecture: MLP, subject: Subject, n_samples: int) -> Memorization:
    train = subject.split.train
    usual = learning_rate_for(architecture.activation, MEMORIZING.learning_rate)
    for learning_rate in smaller_rates(gentle_rate(usual, train.images)):
        config = replace(MEMORIZING, learning_rate=learning_rate)
        with suppress(DivergedError):
            result = memorization(
                architecture,
                subject.split,
                config,
                n_samples=n_samples,
                replicates=8,
                n_test=1000,
                seed=subject.seed,
                progress=subject.progress,
            )
            if not result.cells[0].diverged.any():
                return result
    raise DivergedError(
        f"networks of this shape diverge at learning_rate {config.learning_rate:g}, and at larger ones, when they are "
        "taught labels anew"
    )


def _minima(subject: Subject, options: Mapping[str, Any], note: str) -> Section:
    """Return where a few networks like this one end."""
    result = minima_of_kind(
        _network(subject), subject.split, n_networks=_N_MINIMA, seed=subject.seed, progress=subject.progress
    )
    few = "Reduced: `probe minima` trains 200 networks."
    return Section(key="minima", results={"minima": result}, note=few)


def _network(subject: Subject) -> Network:
    assert subject.network is not None
    return subject.network


_OWN: dict[str, Callable[[Subject, Mapping[str, Any], str], Section]] = {
    "weight_images": _weights,
    "expanded_weights": _paths,
    "drawing": _drawing,
    "maximize": _maximizations,
    "memorization": _memorization,
    "minima": _minima,
}
"""Analyses whose sections have several results, or choose their arguments by the network."""
