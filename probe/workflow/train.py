"""Training one network, and what its model file says of it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from probe._checks import InputError
from probe._parallel import available_workers
from probe._progress import WORTH_SAYING, Progress, announcement, lasting, silent
from probe._text import plain
from probe.datasets import DataSource, Split
from probe.film import affordable_frames
from probe.fitting import doubt_about, for_data
from probe.kerasfile import read_provenance
from probe.network import Network
from probe.pages import Report, Section
from probe.population import MLP
from probe.recipes import recorded_recipe
from probe.storage import network_bytes, save_network
from probe.training import (
    DEFAULT_ARCHITECTURE,
    DEFAULT_TRAINING,
    NetworkSummary,
    TrainingConfig,
    TrainingHistory,
    TrainingResult,
    images_worth,
    layered_training,
    seconds_per_image,
    train,
)
from probe.workflow._folder import data_stem, destination, run_facts
from probe.workflow._owner import Owner
from probe.workflow._written import Written
from probe.workflow.models import MODEL_FILES, Reading, check_model_file

__all__ = ["frames_of", "recorded_history", "train_model", "training_provenance"]


def train_model(
    architecture: Mapping[str, Any] | None = None,
    training: Mapping[str, Any] | None = None,
    *,
    like: Path | None = None,
    data: str | DataSource = "mnist",
    pixel_range: tuple[float, float] = (0.0, 1.0),
    out: Path | None = None,
    overwrite: bool = False,
    seed: int = 0,
    progress: Progress = silent,
) -> Written:
    """Train one network, and write it with a page about the training.

    Parameters
    ----------
    architecture : mapping, optional
        Fields of `MLP` that are not as in `DEFAULT_ARCHITECTURE`; none with `like`.
    training : mapping, optional
        Fields of `TrainingConfig` that are not as they are by default: as in `DEFAULT_TRAINING`; with `like` as the file
        records them, or else as in `probe.training.layered_training`.
    like : Path, optional
        Model file whose layers the network has, whatever they are, in place of an architecture. Its weights are drawn anew.
        It is trained as the file records, if it does; else by the defaults, with 3 epochs for the 60,000 images of MNIST,
        more for fewer images (at most 100) and fewer for more.
    data, overwrite, seed, progress
        As for all commands.
    pixel_range : (float, float)
        Range of the inputs of that model, such as 0 255; images of the data have [0, 1].
    out : Path, optional
        Folder for index.html, model.h5, results.json, results.h5 and figures; reports/train-<data> by default. Or a model
        file, which ends in .h5, .hdf5 or .keras, to write that alone.

    Raises
    ------
    InputError
        If the data or the model cannot be read or do not fit each other, training diverges, or `out` cannot be written to.
    """
    reading = Reading(pixel_range=pixel_range)
    split = reading.split(data, "auto")
    shape: MLP | Network = replace(DEFAULT_ARCHITECTURE, **(architecture or {}))
    config = DEFAULT_TRAINING
    if like is not None:
        if architecture:
            raise InputError(
                "--hidden, --activation, --output and --initialization must be left out with --like, "
                "which says what the layers are"
            )
        shape = reading.network(like, split.train.image_shape)
        recipe = recorded_recipe(read_provenance(like))
        config = layered_training(len(split.train)) if recipe is None else recipe.config
        config = replace(config, evaluation="epoch")
    config = replace(config, **(training or {}))
    shown = {"architecture": asdict(shape)} if isinstance(shape, MLP) else {}
    settings = plain(shown | {"config": asdict(config)})
    assert isinstance(settings, dict)
    owner = Owner("probe train", seed, split, like, settings=settings)
    file = out if out is not None and out.suffix.lower() in MODEL_FILES and not out.is_dir() else None
    if file is not None:
        check_model_file(file, "--out", overwrite=overwrite, read=like)
    else:
        name, files = f"train-{data_stem(data)}", ("index.html", "model.h5", "results.h5")
        folder = destination(out, name, owner, files, overwrite=overwrite)
    frames = frames_of(shape, split)
    if isinstance(shape, Network):
        progress(announcement(_time_of(shape, split, config, frames)))
    result = train(shape, split, config, seed=seed, frames=frames, progress=progress)
    if result.diverged_epoch:
        raise InputError(
            f"training diverged in epoch {result.diverged_epoch} at --learning-rate {config.learning_rate:g}; "
            f"pass a smaller one"
        )
    if not result.history.n_epochs:
        raise KeyboardInterrupt
    provenance = training_provenance(owner, shape, config, result)
    accuracy = float(result.history.test_accuracy[-1])
    summary = f"{accuracy:.2%} of the test images right; epochs trained: {result.history.n_epochs}"
    network = for_data(result.network, split)
    if file is not None:
        kept = save_network(result.network, file, provenance=provenance, film=result.film)
        return Written((kept,), summary, result.interrupted)
    folder.owner = owner.about(result.network)
    facts = {name: fact for name, fact in provenance.items() if name != "history"}
    summed = NetworkSummary.of(network, split.name, accuracy)
    page = Report(
        title="How did it learn?",
        subtitle=f"A network of {network.n_parameters:,} parameters, trained with seed {seed}; data: {split.name}"
        + " (interrupted)" * result.interrupted,
        sections=(Section(key="training", results={"network": summed, "training": result.history}),),
        kept="the network in model.h5",
        warning=doubt_about(network),
    )
    beside = {"model.h5": network_bytes(result.network, provenance=provenance, film=result.film)}
    written = folder.publish(page, facts=facts, beside=beside, progress=progress)
    return replace(written, summary=summary, interrupted=result.interrupted)


def _time_of(network: Network, split: Split, config: TrainingConfig, frames: int | None) -> str:
    """Return about how long the training takes, and how it would be shorter; "" if it is short."""
    network = network.with_input_shape(split.train.image_shape)
    each = seconds_per_image(network, split, config.batch_size)
    seconds = each * images_worth(split, config, frames) / available_workers()
    return f"training: {lasting(seconds)}; fewer --epochs for less" if seconds >= WORTH_SAYING else ""


def frames_of(architecture: MLP | Network, split: Split) -> int | None:
    """Return how many moments the film in the model file of such a network has; None where it is too large for one."""
    if isinstance(architecture, Network):
        return affordable_frames(architecture.n_parameters)
    n_parameters = architecture.n_parameters(math.prod(split.train.image_shape), split.train.n_classes)
    return affordable_frames(n_parameters)


def training_provenance(
    owner: Owner, architecture: MLP | Network, config: TrainingConfig, result: TrainingResult
) -> dict[str, object]:
    """Return what a model file says of its origin; of a network of any layers its layers say what it is."""
    history = {name: values.tolist() for name, values in result.history.arrays().items()}
    shape = {"architecture": asdict(architecture)} if isinstance(architecture, MLP) else {}
    facts = (
        run_facts(owner)
        | shape
        | {
            "config": asdict(config),
            "history": history,
            "interrupted": result.interrupted,
        }
    )
    recorded = plain(facts)
    assert isinstance(recorded, dict)
    return recorded


def recorded_history(provenance: Mapping[str, object]) -> TrainingHistory | None:
    """Return the training history that a model file of ours holds, or None."""
    found = provenance.get("history")
    if not isinstance(found, dict) or set(found) != {field.name for field in fields(TrainingHistory)}:
        return None
    columns = {
        name: np.array([np.nan if v is None else v for v in values], dtype=np.float64)
        for name, values in found.items()
        if isinstance(values, list) and all(v is None or isinstance(v, int | float) for v in values)
    }
    lengths = {len(values) for values in columns.values()}
    if len(columns) != len(found) or len(lengths) != 1 or 0 in lengths:
        return None
    return TrainingHistory(**columns)
