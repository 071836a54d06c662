"""The card of one unit of a model file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from probe._checks import InputError, check_integer
from probe._progress import Progress, silent
from probe.analyses.unit import UnitCard, unit_card
from probe.analyses.unit.addresses import addressed
from probe.controls import Controls, control_networks
from probe.datasets import DataSource
from probe.fitting import doubt_about
from probe.kerasfile import read_provenance
from probe.pages import Report, Section
from probe.recipes import recorded_recipe
from probe.results import Record
from probe.workflow._folder import destination, file_name, model_stem
from probe.workflow._owner import Owner
from probe.workflow._written import Written
from probe.workflow.models import READ_AS_IT_IS, Reading

__all__ = ["unit_model"]


def unit_model(
    model: Path,
    unit: str,
    *,
    data: str | DataSource = "mnist",
    n_networks: int = 0,
    minutes: float = 4.0,
    reading: Reading = READ_AS_IT_IS,
    out: Path | None = None,
    overwrite: bool = False,
    seed: int = 0,
    progress: Progress = silent,
) -> Written:
    """Write the card of one unit: a page, its picture and its numbers.

    Parameters
    ----------
    model, data, reading, overwrite, seed, progress
        As for all commands.
    unit : str
        The unit as LAYER:UNIT, counted from 0, such as hidden_1:4; or a class, such as class:3.
    n_networks : int
        Control networks of each kind (untrained, trained, trained on few and on random labels) that the unit is held
        against, at least 2; or 0 for none, which takes seconds.
    minutes : float
        Time for control networks of other layers than dense ones, about: where it does not suffice, they are trained on
        a part of the images, or networks of the video's shape take their place, and the page says so.
    out : Path, optional
        Folder for index.html, results.json, results.h5 and figures; reports/unit-<name> by default.

    Raises
    ------
    InputError
        If the model or the data cannot be read or do not fit each other, there is no such unit, or `out` cannot be
        written to.
    """
    check_integer("n_networks", n_networks, minimum=0)
    if n_networks == 1:
        raise InputError("n_networks must be 0, or at least 2, got 1")
    split = reading.split(data)
    network = reading.for_data(model, split)
    place, index = addressed(network, unit)
    owner = Owner("probe unit", seed, split, model).about(network)
    name = file_name(f"unit-{model_stem(model)}-{place.layer}-{index}")
    folder = destination(out, name, owner, ("index.html", "results.h5"), overwrite=overwrite)
    about, results = f"The network in {model.name}; data: {split.name}", dict[str, Record]()
    controls: Controls | None = None
    if n_networks:
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
        results["controls"] = controls.summary
        about += f"; beside it {controls.summary.sentence}"
    card = unit_card(network, split, unit, controls=controls, seed=seed, progress=progress)
    page = Report(
        title="What is this unit for?",
        subtitle=about,
        sections=(Section(key="unit", results={"unit": card, **results}),),
        warning=doubt_about(network),
    )
    written = folder.publish(
        page, facts={"model": str(model), "unit": card.address, "n_networks": n_networks}, progress=progress
    )
    return replace(written, summary=_summary(card))


def _summary(card: UnitCard) -> str:
    labels = dict.fromkeys(card.class_names[label] for label in card.most.labels)
    return (
        f"{card.address}: excited most by {', '.join(labels)}; without it {card.lost:.1p;} percentage points of accuracy "
        "are lost"
    )
