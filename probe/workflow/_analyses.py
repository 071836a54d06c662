"""Any analysis and any study of the catalogue, from data and a model file to a folder with a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from probe._checks import InputError, ModelFileError, check_integer
from probe._progress import Progress, silent
from probe._signatures import check_arguments
from probe.catalogue import analysis_of, function_of, study_of
from probe.controls import control_networks
from probe.datasets import DataSource, Split
from probe.fitting import doubt_about
from probe.kerasfile import read_provenance
from probe.network import Network
from probe.pages import Draft, Report
from probe.pages.page.payload import payload
from probe.population import MLP
from probe.recipes import recorded_recipe
from probe.sweep import ANYWHERE, Backend, Source, run_study_in
from probe.workflow._folder import data_stem, destination, model_stem
from probe.workflow._owner import Owner
from probe.workflow._sections import Subject, sections_about, side_by_side
from probe.workflow._written import Written
from probe.workflow.models import READ_AS_IT_IS, Reading

__all__ = ["Backend", "analyze", "run_study"]

_AGAIN = "run the same command again to go on"


def analyze(
    name: str,
    model: Path | None = None,
    other: Path | None = None,
    *,
    data: str | DataSource = "mnist",
    n_networks: int | None = None,
    minutes: float = 4.0,
    options: Mapping[str, Any] | None = None,
    reading: Reading = READ_AS_IT_IS,
    out: Path | None = None,
    overwrite: bool = False,
    seed: int = 0,
    progress: Progress = silent,
) -> Written:
    """Write what an analysis finds: a page with its pictures, and its numbers.

    Parameters
    ----------
    name : str
        Name of an entry of the catalogue with a command, such as "noise_confidence".
    model, data, reading, overwrite, seed, progress
        As for all commands; the model for an analysis of a network only.
    other : Path, optional
        A second model file, for an analysis of two networks.
    n_networks : int, optional
        Control networks of each kind (untrained, trained, trained on few and on random labels), at least 2.
    minutes : float
        Time for control networks of other layers than dense ones, about: where it does not suffice, they are trained on
        a part of the images, or networks of the video's shape take their place, and the page says so.
    options : mapping, optional
        Further arguments of the analysis.
    out : Path, optional
        Folder for index.html, results.json, results.h5 and figures; reports/<name> by default.

    Raises
    ------
    InputError
        If the model or the data cannot be read or do not fit each other, an option is outside its range, or `out` cannot
        be written to.
    """
    entry = analysis_of(name)
    command, options = entry.command, dict(options or {})
    assert command is not None
    check_arguments(function_of(entry), options)
    analyses = [analysis_of(other) for other in command.analyses or (name,)]
    files = [file for file in (model, other) if file is not None]
    images_in: Literal["auto", "memory"] = (
        "auto" if all(analysis.by_parts for analysis in analyses) else "memory"
    )
    split = reading.split(data, images_in) if files else DataSource.of(data).split(images_in=images_in)
    networks = [_network(file, split, reading, files) for file in files]
    about, stem = "", data_stem(data)
    if files:
        stem = "-".join(map(model_stem, files))
        of_each = zip(("A: the", "B: the") if len(files) == 2 else ("The",), files, strict=True)
        about = "".join(f"{which} network in {file.name}; " for which, file in of_each)
    owner = Owner(f"probe {command.name}", seed, split, model, other).about(*networks)
    folder = destination(
        out, f"{command.name}-{stem}", owner, ("index.html", "results.h5"), overwrite=overwrite
    )
    facts: dict[str, object] = {
        name: str(file) for name, file in zip(("model", "other"), files, strict=False)
    }
    network, second = (*networks, None, None)[:2]
    controls, beside = None, ""
    if any("controls" in analysis.needs for analysis in analyses):
        n_networks = command.n_controls if n_networks is None else n_networks
        check_integer("n_networks", n_networks, minimum=2)
        assert network is not None and model is not None
        recipe = recorded_recipe(read_provenance(model))
        controls = control_networks(
            network,
            split,
            n_networks=n_networks,
            recipe=recipe,
            minutes=minutes,
            seed=seed,
            progress=progress,
        )
        beside = f"; beside it {controls.summary.sentence}"
        facts["n_networks"] = n_networks
    subject = Subject(network, split, controls, seed, progress, second)
    with Draft("full") as draft:
        if len(analyses) > 1:
            draft.prepare()
        todo = [
            # What cannot be done is an error where there is nothing else.
            (
                replace(analysis, optional=analysis.optional and len(analyses) > 1),
                options if analysis is entry else {},
                "",
            )
            for analysis in analyses
        ]
        sections = side_by_side(
            todo,
            subject,
            # While the pictures of one analysis are drawn there is nothing else to do.
            draft.add if len(todo) > 1 else lambda section: None,
            {} if controls is None else {"controls": controls.summary},
        )
        page = Report(
            title=command.title,
            subtitle=f"{about}data: {split.name}{beside}",
            sections=tuple(sections),
            warning=_doubts(networks),
        )
        if network is not None and second is not None:
            live = payload(network, split, page.results, other=second, has_training_images=False)
            page = replace(page, live=live)
        return folder.publish(page, facts=facts, draft=draft, progress=progress)


def _network(file: Path, split: Split, reading: Reading, files: Sequence[Path]) -> Network:
    """Return the network of a file for the data; of several files the error says which does not fit."""
    try:
        return reading.for_data(file, split)
    except ModelFileError:
        raise
    except InputError as error:
        raise InputError(f"{file}: {error}") if len(files) > 1 else error from None


def _doubts(networks: Sequence[Network]) -> str:
    """Return what is doubtful about the networks; of two, about which."""
    doubts = [doubt_about(network) for network in networks]
    if len(doubts) < 2:
        return "".join(doubts)
    return "; ".join(f"{which}: {doubt}" for which, doubt in zip("AB", doubts, strict=True) if doubt)


def run_study(
    name: str,
    architectures: tuple[MLP, ...] | None = None,
    *,
    data: str | DataSource = "mnist",
    options: Mapping[str, Any] | None = None,
    training: Mapping[str, Any] | None = None,
    backend: Backend = ANYWHERE,
    out: Path | None = None,
    overwrite: bool = False,
    seed: int = 0,
    progress: Progress = silent,
) -> Written:
    """Run the trials of a study that its folder does not hold yet, and write what all come to.

    Parameters
    ----------
    name : str
        Name of an entry of the catalogue with a study, such as "minima".
    data, overwrite, seed, progress
        As for all commands.
    architectures : tuple of MLP, optional
        Shapes of networks; those of the study by default.
    options : mapping, optional
        Further arguments of the study.
    training : mapping, optional
        Fields of `TrainingConfig` that are not as the study has them by default.
    backend : Backend
        Where to run it.
    out : Path, optional
        Folder for trials/*.h5, index.html, results.json, results.h5 and figures; reports/<name> by default.

    Raises
    ------
    InputError
        If the data do not suit the study, the folder holds another one or a larger one, or it cannot be written to.
    """
    entry = analysis_of(name)
    command, kind = entry.command, study_of(entry)
    assert command is not None
    source = Source.of(data)
    split = source.split()
    shapes = kind.default_architectures if architectures is None else architectures
    config = replace(kind.default_config(shapes), **(training or {}))
    study = kind.of(shapes, split, config, seed=seed, **(options or {}))
    owner = Owner(f"probe {command.name}", seed, split, is_study=True)
    name = f"{command.name}-{data_stem(data)}"
    folder = destination(out, name, owner, ("index.html", "results.h5"), overwrite=overwrite)
    done, interrupted = run_study_in(folder.owned, study, source, backend=backend, progress=progress)
    try:
        result = study.combine(done, split, progress)
    except KeyboardInterrupt:
        few = f"too few trials are done to say what they come to; {_AGAIN}"
        return Written((folder.path,), few, interrupted=True)
    early = f" (interrupted; {_AGAIN})" if interrupted else ""
    page = Report(
        title=command.title,
        subtitle=f"data: {split.name}, {len(split.train):,} training images{early}",
        sections=sections_about(entry, result),
        kept="every trial in trials",
    )
    facts = study.settings() | study.extent()
    return replace(folder.publish(page, facts=facts, progress=progress), interrupted=interrupted)
