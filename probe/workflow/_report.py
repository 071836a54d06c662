"""The whole report: a network trained or loaded, every analysis of it, and the page about them."""

from __future__ import annotations

import math
import threading
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, cast

from probe._checks import check_integer
from probe._parallel import in_threads, single_threaded_blas
from probe._progress import Progress, ProgressEvent, silent
from probe.analyses.concepts import Concepts
from probe.analyses.landscape import cost_plane
from probe.analyses.maximize import Maximization
from probe.analyses.unit import unit_cards
from probe.catalogue import ANALYSES
from probe.controls import control_networks
from probe.datasets import DataSource, Split
from probe.film import Film
from probe.fitting import doubt_about, for_data
from probe.kerasfile import read_provenance
from probe.network import Network
from probe.recipes import RECIPES, Recipe, recorded_recipe
from probe.report import CHAPTERS, Report, Section
from probe.report.page.payload import payload
from probe.results import Record
from probe.storage import network_bytes
from probe.training import (
    DEFAULT_ARCHITECTURE,
    NetworkSummary,
    TrainingHistory,
    train,
)
from probe.workflow._folder import Folder, Written, data_stem, destination, model_stem
from probe.workflow._owner import Owner
from probe.workflow._sections import Subject, in_report, sections_of
from probe.workflow.models import READ_AS_IT_IS, Reading, kept_film
from probe.workflow.train import frames_of, recorded_history, training_provenance

__all__ = ["report"]

_CONTROLS = 12
"""Control networks of a report."""

_LONGEST = ("memorization", "concepts", "landscape", "drawing", "maximize", "noise_severity")
"""Analyses that take longest, which are begun first, so that none is left alone at the end."""


def report(
    model: Path | None = None,
    *,
    data: str | DataSource = "mnist",
    recipe: Literal["modern", "video"] = "modern",
    reading: Reading = READ_AS_IT_IS,
    minutes: float = 1.0,
    out: Path | None = None,
    seed: int = 0,
    progress: Progress = silent,
) -> Written:
    """Write the whole report on a model file, or on a network of the video's shape trained first.

    Parameters
    ----------
    model : Path, optional
        A model file; a network is trained without.
    data, reading, seed, progress
        As for all commands.
    recipe : {"modern", "video"}
        How the network is made and trained without a model file: as `probe train` does by default, or as for the video,
        with weights from N(0, 1), sigmoid outputs and quadratic cost, which takes several times as long.
    minutes : float
        Time for control networks of other layers than dense ones, about: where it does not suffice, they are trained on
        a part of the images, or networks of the video's shape take their place, and the page says so.
    out : Path, optional
        Folder for index.html, results.json, results.h5, model.h5 and figures; reports/<name> by default.

    Raises
    ------
    InputError
        If the model or the data cannot be read or do not fit each other, or `out` cannot be written to.
    """
    check_integer("--seed", seed, minimum=0)
    split = reading.split(data)
    name = data_stem(data) if model is None else model_stem(model)
    owner = Owner("probe report", seed, split, model)
    # The report may go beside the model, which is kept as it is then.
    beside = model is not None and out is not None and _is_same(out / _KEPT, model)
    folder = destination(out, name, owner, ("index.html",) if beside else ("index.html", _KEPT))
    if model is None:
        subject, interrupted = _trained(owner, split, RECIPES[recipe], progress)
        if interrupted:
            return _kept_only(folder, subject, "the network as it was; no report was made of it")
    else:
        subject = _loaded(model, split, reading)
    network = subject.network
    accuracy = float((network.predict(split.test.images) == split.test.labels).mean())
    try:
        sections = _sections(subject, accuracy, split, minutes, seed, progress)
    except KeyboardInterrupt:
        if model is not None:
            raise
        return _kept_only(folder, subject, "the trained network; no report was made of it")
    is_kept = model is not None and _is_same(folder.path / _KEPT, model)
    results = {name: result for section in sections for name, result in section.results.items()}
    page = Report(
        title="What did the hidden layers learn?",
        subtitle=f"{subject.origin}. It gets {accuracy:.2%} of {len(split.test):,} {split.name} test images right.",
        sections=sections,
        chapters=CHAPTERS,
        kept="the network in model.h5",
        warning=doubt_about(network),
        live=payload(network, split, results, recipe=recorded_recipe(subject.provenance), film=subject.film),
    )
    written = folder.publish(
        page,
        facts={"model": subject.origin},
        beside={} if is_kept else {_KEPT: _kept_bytes(subject)},
        progress=progress,
    )
    interrupted = any(getattr(result, "interrupted", False) for result in page.results.values())
    summary = f"{accuracy:.2%} of the test images right; {folder.seconds:.0f} s"
    return replace(written, summary=summary, interrupted=interrupted)


_KEPT = "model.h5"


def _is_same(kept: Path, model: Path) -> bool:
    try:
        return not kept.is_symlink() and kept.samefile(model)
    except OSError:
        return False


def _kept_only(folder: Folder, subject: _Subject, said: str) -> Written:
    """Keep the network of a report that was interrupted before there was more to keep."""
    folder.keep(
        {**subject.provenance, "interrupted": True},
        {_KEPT: _kept_bytes(subject)},
    )
    return Written(tuple(folder.files), said, interrupted=True)


def _kept_bytes(subject: _Subject) -> bytes:
    return network_bytes(subject.network, provenance=subject.provenance, film=subject.film)


def _sections(
    subject: _Subject, accuracy: float, split: Split, minutes: float, seed: int, progress: Progress
) -> tuple[Section, ...]:
    """Return the sections of the page: the network, and what each analysis of the catalogue finds of it."""
    recipe = recorded_recipe(subject.provenance)
    controls = control_networks(
        subject.network,
        split,
        n_networks=_CONTROLS,
        recipe=recipe,
        minutes=minutes,
        seed=seed,
        progress=progress,
    )
    on = Subject(subject.network, split, controls, seed, progress)
    summary: dict[str, Record] = {
        "network": NetworkSummary.of(subject.network, split.name, accuracy),
        "controls": controls.summary,
    }
    cost = "cross-entropy" if recipe is None else recipe.config.cost
    summary["plane"] = cost_plane(subject.network, split, film=subject.film, cost=cost, seed=seed)
    if subject.history is not None:
        summary["training"] = subject.history
    sections = {section.key: section for section in _side_by_side(on)}
    found = {name: result for section in sections.values() for name, result in section.results.items()}
    cards = unit_cards(
        subject.network,
        split,
        controls=controls,
        favorites=[result for result in found.values() if isinstance(result, Maximization)],
        concepts=cast("Concepts | None", found.get("concepts")),
        seed=seed,
    )
    weights, is_tested = sections["weights"], bool(sections["structure"].results)
    sections["weights"] = replace(
        weights,
        results={**weights.results, "cards": cards},
        facts={**weights.facts, "is_tested": is_tested},
    )
    beside = f"Beside it stand {controls.summary.sentence}"
    return Section(key="training", results=summary, note=beside), *sections.values()


def _side_by_side(on: Subject) -> list[Section]:
    """Return the sections of all analyses of the report, in the order of the catalogue; two are done at a time."""
    entries = [entry for entry in ANALYSES if entry.report is not None]
    ranks = {name: rank for rank, name in enumerate(_LONGEST)}
    turns = sorted(range(len(entries)), key=lambda index: ranks.get(entries[index].name, len(ranks)))
    stop, drawing = threading.Event(), threading.Lock()

    def tell(event: ProgressEvent) -> None:
        # What is under way when the work is given up ends at its next step.
        if stop.is_set():
            raise KeyboardInterrupt
        with drawing:
            on.progress(event)

    def analyzed(index: int, stop: threading.Event) -> tuple[Section, ...]:
        entry = entries[index]
        return sections_of(entry, replace(on, progress=tell), *in_report(entry, on))

    with single_threaded_blas(), closing(in_threads(analyzed, turns, workers=2, stop=stop)) as found:
        done = {turns[turn]: sections for turn, sections in found}
    return [section for index in range(len(entries)) for section in done[index]]


@dataclass(frozen=True, slots=True, eq=False)
class _Subject:
    """The network that a report is about, and where it comes from."""

    network: Network
    history: TrainingHistory | None
    provenance: dict[str, object]
    origin: str
    film: Film | None


def _trained(owner: Owner, split: Split, recipe: Recipe, progress: Progress) -> tuple[_Subject, bool]:
    """Return a network of the video's shape, and whether Ctrl-C cut its training short."""
    architecture = recipe.architecture(DEFAULT_ARCHITECTURE)
    config = recipe.training(architecture.activation, len(split.train))
    frames = frames_of(architecture, split)
    result = train(architecture, split, config, seed=owner.seed, frames=frames, progress=progress)
    provenance = training_provenance(owner, architecture, config, result)
    sizes = architecture.layer_sizes(math.prod(split.train.image_shape), split.train.n_classes)
    made = "" if recipe.name == "modern" else f" by the {recipe.name}'s recipe"
    origin = f"A {'-'.join(map(str, sizes))} network, trained{made} with seed {owner.seed}"
    # What Ctrl-C cut short is kept, and not looked at.
    network = result.network if result.interrupted else for_data(result.network, split)
    return _Subject(network, result.history, provenance, origin, result.film), result.interrupted


def _loaded(model: Path, split: Split, reading: Reading) -> _Subject:
    network = reading.for_data(model, split)
    provenance = read_provenance(model)
    data = provenance.get("data")
    trained_on = data.get("fingerprint") if isinstance(data, dict) else None
    elsewhere = trained_on is not None and trained_on != split.fingerprint
    origin = f"The network in {model.name}" + (
        ", which was trained on other data than these" if elsewhere else ""
    )
    history = None if elsewhere else recorded_history(provenance)
    return _Subject(network, history, provenance, origin, kept_film(model, network, reading))
