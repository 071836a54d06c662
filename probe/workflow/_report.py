"""The whole report: a network trained or loaded, every analysis of it, and the page about them."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Literal

from probe._checks import check_integer
from probe._progress import Progress, silent
from probe.datasets import DataSource, Split
from probe.fitting import for_data
from probe.kerasfile import read_provenance
from probe.pages import Draft
from probe.recipes import RECIPES, Recipe, recorded_recipe
from probe.storage import network_bytes
from probe.training import (
    DEFAULT_ARCHITECTURE,
    train,
)
from probe.workflow._folder import Folder, data_stem, destination, model_stem
from probe.workflow._owner import Owner
from probe.workflow._page import PageSubject, page_of
from probe.workflow._written import Written
from probe.workflow.models import READ_AS_IT_IS, Reading, kept_film
from probe.workflow.train import frames_of, recorded_history, training_provenance

__all__ = ["report"]


def report(
    model: Path | None = None,
    *,
    data: str | DataSource = "mnist",
    recipe: Literal["modern", "video"] = "modern",
    reading: Reading = READ_AS_IT_IS,
    minutes: float = 1.0,
    out: Path | None = None,
    overwrite: bool = False,
    seed: int = 0,
    progress: Progress = silent,
) -> Written:
    """Write the whole report on a model file, or on a network of the video's shape trained first.

    Parameters
    ----------
    model : Path, optional
        A model file; a network is trained without.
    data, reading, overwrite, seed, progress
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
    loaded = None if model is None else _loaded(model, split, reading)
    owner = owner if loaded is None else owner.about(loaded.network)
    # The report may go beside the model, which is kept as it is then.
    beside = model is not None and out is not None and _is_same(out / _KEPT, model)
    files = ("index.html",) if beside else ("index.html", _KEPT)
    folder = destination(out, name, owner, files, overwrite=overwrite)
    with Draft("brief") as draft:
        draft.prepare()
        if loaded is None:
            subject, interrupted = _trained(owner, split, RECIPES[recipe], progress)
            folder.owner = owner.about(subject.network)
            if interrupted:
                return _kept_only(folder, subject, "the network as it was; no report was made of it")
        else:
            subject = loaded
        is_kept = model is not None and _is_same(folder.path / _KEPT, model)
        try:
            page = page_of(
                subject,
                split,
                draft,
                minutes=minutes,
                kept="the network in model.h5",
                seed=seed,
                progress=progress,
            )
        except KeyboardInterrupt:
            if model is not None:
                raise
            return _kept_only(folder, subject, "the trained network; no report was made of it")
        written = folder.publish(
            page,
            facts={"model": subject.origin},
            beside={} if is_kept else {_KEPT: _kept_bytes(subject)},
            draft=draft,
            progress=progress,
        )
    interrupted = any(getattr(result, "interrupted", False) for result in page.results.values())
    summary = f"{subject.accuracy(split):.2%} of the test images right; {folder.seconds:.0f} s"
    return replace(written, summary=summary, interrupted=interrupted)


_KEPT = "model.h5"


def _is_same(kept: Path, model: Path) -> bool:
    try:
        return not kept.is_symlink() and kept.samefile(model)
    except OSError:
        return False


def _kept_only(folder: Folder, subject: PageSubject, said: str) -> Written:
    """Keep the network of a report that was interrupted before there was more to keep."""
    folder.keep(
        {**subject.provenance, "interrupted": True},
        {_KEPT: _kept_bytes(subject)},
    )
    return Written(tuple(folder.files), said, interrupted=True)


def _kept_bytes(subject: PageSubject) -> bytes:
    return network_bytes(subject.network, provenance=subject.provenance, film=subject.film)


def _trained(owner: Owner, split: Split, recipe: Recipe, progress: Progress) -> tuple[PageSubject, bool]:
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
    recorded = recorded_recipe(provenance)
    return PageSubject(network, result.history, recorded, origin, result.film, provenance), result.interrupted


def _loaded(model: Path, split: Split, reading: Reading) -> PageSubject:
    network = reading.for_data(model, split)
    provenance = read_provenance(model)
    data = provenance.get("data")
    trained_on = data.get("fingerprint") if isinstance(data, dict) else None
    elsewhere = trained_on is not None and trained_on != split.fingerprint
    origin = f"The network in {model.name}" + (
        ", which was trained on other data than these" if elsewhere else ""
    )
    history = None if elsewhere else recorded_history(provenance)
    film = kept_film(model, network, reading)
    return PageSubject(network, history, recorded_recipe(provenance), origin, film, provenance)
