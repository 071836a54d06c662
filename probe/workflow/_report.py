"""The whole report: a network trained or loaded, every analysis of it, and the page about them."""

from __future__ import annotations

import math
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from probe._checks import DivergedError, check_integer
from probe._layout import input_layout
from probe._progress import Progress, silent
from probe.analyses.concepts import concepts
from probe.analyses.drawing import drawing
from probe.analyses.maximize import Maximization, maximize
from probe.analyses.memorization import Memorization, memorization
from probe.analyses.noise import noise_confidence, noise_severity
from probe.controls import architecture_of, control_networks
from probe.datasets import Split
from probe.fitting import doubt_about, for_data
from probe.kerasfile import read_provenance
from probe.layers import DataFormat
from probe.network import Network
from probe.objectives import Objective
from probe.population import MLP
from probe.report import Report
from probe.results import Record
from probe.storage import network_bytes
from probe.training import (
    DEFAULT_ARCHITECTURE,
    DEFAULT_TRAINING,
    NetworkSummary,
    TrainingConfig,
    TrainingHistory,
    enough_epochs,
    smaller_rates,
    train,
)
from probe.workflow._folder import Folder, Written, data_stem, destination, model_stem
from probe.workflow._owner import Owner
from probe.workflow._pages import Job, Part
from probe.workflow._reading import Reading
from probe.workflow.features import features_sections, paths_of, structure_of
from probe.workflow.models import READ_AS_IT_IS, class_objectives, unit_objectives, weights_section
from probe.workflow.train import recorded_history, training_provenance

__all__ = ["report"]

_MEMORIZATION_EPOCHS = 600
"""Enough for the video's network to fit 1,000 random labels of MNIST in all replicates that were tried."""

_CONTROLS, _CONCEPT_IMAGES, _PATH_IMAGES, _SEVERITY_IMAGES = 6, 1000, 300, 2000
"""The reduced form of what `probe features`, `drawing` and `noise --severity` do with 20 or 30 networks."""

_EFFORT = 0.25
"""Share of the epochs that they are trained for."""

_UNITS_SHOWN = 160
"""Hidden units that a report maximises at most: the first of each layer."""


def report(
    model: Path | None = None,
    *,
    data: str = "mnist",
    reading: Reading = READ_AS_IT_IS,
    out: Path | None = None,
    seed: int = 0,
    progress: Progress = silent,
) -> Written:
    """Write the whole report on a model file, or on a network of the video's shape trained first.

    Parameters
    ----------
    model : Path, optional
        A model file that `probe.load_network` reads; a network is trained without.
    data : str
        What `probe.load_dataset` takes: the data that the network was or will be trained on.
    reading : Reading
        What the model file does not say itself.
    out : Path, optional
        Folder for index.html, results.json, model.h5 and figures; reports/<name> by default.
    seed : int
        Everything random follows from it.
    progress : callable
        Called with progress events of every stage.

    Raises
    ------
    InputError
        If the model or the data cannot be read or do not fit each other, or `out` cannot be written to.
    """
    check_integer("--seed", seed, minimum=0)
    split = reading.split(data)
    name = data_stem(data) if model is None else model_stem(model)
    owner = Owner("probe report", seed, split, model)
    began = time.perf_counter()
    if model is None:
        folder = destination(out, name, owner, ("index.html", _KEPT))
        subject, interrupted = _trained(split, seed, progress)
        if interrupted:
            return _kept_only(folder, subject, "the network as it was; no report was made of it")
    else:
        subject = _loaded(model, split, reading)
        # The report may go beside the model, which is kept as it is then.
        beside = out is not None and _is_same(out / _KEPT, model)
        folder = destination(out, name, owner, ("index.html",) if beside else ("index.html", _KEPT))
    network = subject.network
    accuracy = float((network.predict(split.test.images) == split.test.labels).mean())
    try:
        parts, interrupted = _parts(subject, accuracy, split, seed, progress)
    except KeyboardInterrupt:
        if model is not None:
            raise
        return _kept_only(folder, subject, "the trained network; no report was made of it")
    is_kept = model is not None and _is_same(folder.path / _KEPT, model)
    page = Report(
        title="What did the hidden layers learn?",
        subtitle=f"{subject.origin}; data: {split.name}, {len(split.test):,} test images",
        sections=tuple(parts),
        kept="the network in model.h5",
    )
    published = Job(folder, split, began, doubt_about(network)).publish(
        page,
        facts={"model": subject.origin},
        beside={} if is_kept else {_KEPT: network_bytes(network, provenance=subject.provenance)},
        progress=progress,
    )
    right = f"{accuracy:.2%} of the test images right; {published.seconds:.0f} s"
    return published.written(right, interrupted=interrupted)


_KEPT = "model.h5"


def _is_same(kept: Path, model: Path) -> bool:
    try:
        return not kept.is_symlink() and kept.samefile(model)
    except OSError:
        return False


def _kept_only(folder: Folder, subject: _Subject, said: str) -> Written:
    """Keep the network of a report that was interrupted before there was more to keep."""
    folder.keep(
        {**subject.provenance, "interrupted": True, "verdicts": []},
        {_KEPT: network_bytes(subject.network, provenance=subject.provenance)},
    )
    return Written(tuple(folder.files), said, interrupted=True)


def _parts(
    subject: _Subject, accuracy: float, split: Split, seed: int, progress: Progress
) -> tuple[list[Any], bool]:
    """Return the sections of the page, and whether Ctrl-C cut an experiment short."""
    from probe.report.report import Section

    network = subject.network
    others = control_networks(
        network, split, n_networks=_CONTROLS, effort=_EFFORT, seed=seed, progress=progress
    )
    structure = structure_of(network, split, others, seed=seed, progress=progress)
    found = concepts(network, split, controls=others, n_images=_CONCEPT_IMAGES, seed=seed, progress=progress)
    paths = paths_of(network, split, others, n_images=_PATH_IMAGES, seed=seed)
    maximized = _maximizations(network, seed, progress)
    drawn = drawing(network, split, controls=others, seed=seed, progress=progress)
    noise = noise_confidence(network, split, seed=seed)
    severity = noise_severity(
        network, split, controls=others, n_images=_SEVERITY_IMAGES, seed=seed, progress=progress
    )
    memory, note = _memorization_for(network, split, seed, progress)
    shorter = f"Reduced, to keep the report short: the intervals are over {others.sentence} There are, trained for longer, "
    # Where no layer says where the channels are, the data do: theirs are last.
    layout: DataFormat | None = None if input_layout(network) else "channels_last"
    summary: dict[str, Record] = {"network": NetworkSummary.of(network, split.name, accuracy)}
    if subject.history is not None:
        summary["training"] = subject.history
    parts = [
        Section(key="training", results=summary),
        weights_section(network, layout=layout, is_tested=not isinstance(structure, str)),
        *features_sections(structure, found, paths, note=f"{shorter}20 in `probe features`."),
        Section(key="maximize", results=maximized),
        Section(key="drawing", results={"drawing": drawn}, note=f"{shorter}20 in `probe drawing`."),
        Section(key="noise", results={"noise": noise}),
        Section(
            key="severity", results={"severity": severity}, note=f"{shorter}30 in `probe noise --severity`."
        ),
        Section(key="memorization", results={"memorization": memory}, note=note),
    ]
    return parts, memory.interrupted


def _reduced(by_what: str, against: str, part: Part) -> Part:
    """Return a part that says that it is a reduced form."""
    section, claims = part
    return replace(section, lead=(*section.lead, by_what + against)), claims


@dataclass(frozen=True, slots=True, eq=False)
class _Subject:
    """The network that a report is about, and where it comes from."""

    network: Network
    history: TrainingHistory | None
    provenance: dict[str, object]
    origin: str


def _trained(split: Split, seed: int, progress: Progress) -> tuple[_Subject, bool]:
    """Return a network of the video's shape, and whether Ctrl-C cut its training short."""
    config = replace(DEFAULT_TRAINING, epochs=enough_epochs(len(split.train)))
    result = train(DEFAULT_ARCHITECTURE, split, config, seed=seed, progress=progress)
    provenance = training_provenance("probe report", seed, split, DEFAULT_ARCHITECTURE, config, result)
    sizes = DEFAULT_ARCHITECTURE.layer_sizes(math.prod(split.train.image_shape), split.train.n_classes)
    origin = f"A {'-'.join(map(str, sizes))} network, trained with seed {seed}"
    # What Ctrl-C cut short is kept, and not looked at.
    network = result.network if result.interrupted else for_data(result.network, split)
    return _Subject(network, result.history, provenance, origin), result.interrupted


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
    return _Subject(network, history, provenance, origin)


def _maximizations(network: Network, seed: int, progress: Progress) -> dict[str, Maximization]:
    """Return the maximizing images of the classes, plain and smoothed, and of the hidden units."""
    run = partial(maximize, network, seed=seed, progress=progress)
    classes, units = class_objectives(network), _hidden_objectives(network)
    maximized = {
        "maximize_classes": run(classes, restarts=8, steps=300),
        "maximize_classes_smooth": run(classes, restarts=8, steps=300, l2=0.02, total_variation=0.05),
    }
    return maximized | ({"maximize_units": run(units, restarts=4, steps=200)} if units else {})


def _hidden_objectives(network: Network) -> list[Objective]:
    """Return the hidden units and channels to maximise: as many of each layer, `_UNITS_SHOWN` at most."""
    hidden = [layer.name for layer in network.layers if layer.has_kernels and layer.name != network.head_name]
    share = _UNITS_SHOWN // max(1, len(hidden))
    return [found for name in hidden for found in unit_objectives(network, [name], max(1, share))]


def _memorization_for(
    network: Network, split: Split, seed: int, progress: Progress
) -> tuple[Memorization, str]:
    """Return the experiment on networks of the same shape, and a sentence on that."""
    architecture, note = _shape_for_memorization(network)
    n_samples = min(1000, len(split.train))
    run = partial(
        memorization, architecture, split, n_samples=n_samples, replicates=5, n_test=1000, seed=seed
    )
    rate = 0.5 if architecture.activation == "sigmoid" else 0.1
    for learning_rate in smaller_rates(rate):
        config = TrainingConfig(
            epochs=_MEMORIZATION_EPOCHS, batch_size=20, learning_rate=learning_rate, stop="fitted"
        )
        with suppress(DivergedError):
            found = run(config, progress=progress)
            if not found.cells[0].diverged.any():
                return found, note
    raise DivergedError(
        f"networks of this shape diverge at learning_rate {config.learning_rate:g}, and at larger ones, when they are "
        "taught labels anew"
    )


def _shape_for_memorization(network: Network) -> tuple[MLP, str]:
    """Return the shape of the networks of the experiment, and a sentence on that."""
    copied = architecture_of(network)
    if copied is not None:
        note = f"They have the widths of the network on this page, {copied.activation} units and softmax outputs."
        return copied, note
    widths = "-".join(map(str, DEFAULT_ARCHITECTURE.hidden))
    why = "is no chain of dense layers with one kind of activation that gradient descent can train"
    note = f"They have hidden layers of {widths} sigmoid units: the network on this page {why}."
    return DEFAULT_ARCHITECTURE, note
