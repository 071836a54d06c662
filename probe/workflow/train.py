"""Training one network, and what its model file says of it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path

import numpy as np

from probe._checks import InputError
from probe._progress import Progress, silent
from probe._text import plain
from probe.datasets import Split, load_dataset
from probe.film import affordable_frames
from probe.population import MLP
from probe.storage import network_bytes, results_bytes
from probe.training import (
    DEFAULT_ARCHITECTURE,
    DEFAULT_TRAINING,
    TrainingConfig,
    TrainingHistory,
    TrainingResult,
    train,
)
from probe.workflow._folder import Written, data_stem, destination, drawn, run_facts
from probe.workflow._owner import Owner

__all__ = ["frames_of", "recorded_history", "train_model", "training_provenance"]


def train_model(
    architecture: MLP = DEFAULT_ARCHITECTURE,
    config: TrainingConfig = DEFAULT_TRAINING,
    *,
    data: str = "mnist",
    out: Path | None = None,
    seed: int = 0,
    progress: Progress = silent,
) -> Written:
    """Train one network, and write it with a picture of the training.

    Parameters
    ----------
    architecture : MLP
        Its shape.
    config : TrainingConfig
        How it is trained.
    data, seed, progress
        As for all commands.
    out : Path, optional
        Folder for model.h5, results.json, results.h5 and figures; reports/train-<data> by default.

    Raises
    ------
    InputError
        If the data cannot be read, training diverges, or `out` cannot be written to.
    """
    split = load_dataset(data)
    settings = plain({"architecture": asdict(architecture), "config": asdict(config)})
    assert isinstance(settings, dict)
    owner = Owner("probe train", seed, split, settings=settings)
    folder = destination(out, f"train-{data_stem(data)}", owner, ("model.h5", "results.h5"))
    result = train(
        architecture,
        split,
        config,
        seed=seed,
        frames=frames_of(architecture, split),
        progress=progress,
    )
    if result.diverged_epoch:
        raise InputError(
            f"training diverged in epoch {result.diverged_epoch} at --learning-rate {config.learning_rate:g}; "
            f"pass a smaller one"
        )
    provenance = training_provenance(owner, architecture, config, result)
    facts = {name: fact for name, fact in provenance.items() if name != "history"}
    folder.keep(
        facts | {"results": {"training": result.history.to_dict()}},
        {
            "model.h5": network_bytes(result.network, provenance=provenance, film=result.film),
            "results.h5": results_bytes({"training": result.history}),
            "figures/training.png": drawn(result),
        },
    )
    accuracy = float(result.history.test_accuracy[-1])
    return Written(
        tuple(folder.files),
        f"{accuracy:.2%} of the test images right; epochs trained: {result.history.n_epochs}",
        result.interrupted,
    )


def frames_of(architecture: MLP, split: Split) -> int | None:
    """Return how many moments the film in the model file of such a network has; None where it is too large for one."""
    n_parameters = architecture.n_parameters(math.prod(split.train.image_shape), split.train.n_classes)
    return affordable_frames(n_parameters)


def training_provenance(
    owner: Owner, architecture: MLP, config: TrainingConfig, result: TrainingResult
) -> dict[str, object]:
    """Return what a model file says of its origin."""
    history = {name: values.tolist() for name, values in result.history.arrays().items()}
    facts = run_facts(owner) | {
        "architecture": asdict(architecture),
        "config": asdict(config),
        "history": history,
        "interrupted": result.interrupted,
    }
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
