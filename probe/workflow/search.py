"""A search for the network that does best on some data."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from probe._checks import check_integer
from probe._progress import Progress, silent
from probe.analyses.search import search
from probe.costs import CostName
from probe.datasets import Split, load_dataset
from probe.report.report import Report, Section
from probe.workflow._folder import Written, data_stem, destination
from probe.workflow._owner import Owner
from probe.workflow._pages import Job

__all__ = ["search_data"]

_UPDATES, _TIMES = 100, 9
"""Minibatches of the first rung, at least, and how many times as long the finalists are trained, by default."""


def search_data(
    *,
    data: str = "mnist",
    widths: Sequence[int] = (4, 16, 64),
    depths: Sequence[int] = (1, 2, 3),
    activations: Sequence[str] = ("sigmoid", "tanh", "relu"),
    costs: Sequence[CostName] = ("cross-entropy", "quadratic"),
    rates: Sequence[float] = (0.1, 0.3, 1.0),
    n_networks: int = 5,
    first_epochs: int | None = None,
    epochs: int | None = None,
    batch_size: int = 100,
    n_samples: int | None = None,
    out: Path | None = None,
    seed: int = 0,
    progress: Progress = silent,
) -> Written:
    """Write which network a search chose, and what it is worth beside the video's.

    Parameters are those of `probe.analyses.search.search`, but for small data all are trained longer where nobody says
    how long: after a dozen minibatches there is little to choose by.

    Raises
    ------
    InputError
        If the data cannot be read, an argument is outside its range, or `out` cannot be written to.
    """
    split = load_dataset(data)
    check_integer("batch_size", batch_size, minimum=1)
    if first_epochs is None:
        first_epochs = _enough(split, n_samples, batch_size) if epochs is None else 1
    owner = Owner("probe search", seed, split)
    job = Job(destination(out, f"search-{data_stem(data)}", owner, ("index.html", "results.h5")), split)
    result = search(
        split,
        widths=widths,
        depths=depths,
        activations=activations,
        costs=costs,
        rates=rates,
        n_networks=n_networks,
        first_epochs=first_epochs,
        epochs=_TIMES * first_epochs if epochs is None else epochs,
        batch_size=batch_size,
        n_samples=n_samples,
        seed=seed,
        progress=progress,
    )
    page = Report(
        title="Which architecture does best?",
        subtitle=f"Successive halving, beginning with {result.rungs[0].n_candidates}; data: {split.name}",
        sections=(Section(key="search", results={"search": result}),),
        heads=("Asked", "Found"),
    )
    return job.publish(page, progress=progress).written(
        f"{result.chosen.label} at learning rate {result.chosen.learning_rate:g}: {result.chosen.test:.2%} of the test "
        f"images right, the video's network {result.videos.test:.2%}",
        f"{result.verdict.title}: {result.verdict.decision}",
    )


def _enough(split: Split, n_samples: int | None, batch_size: int) -> int:
    """Return the epochs that make enough minibatches of the images that are used; one where there are many."""
    used = len(split.train) if n_samples is None else n_samples
    return max(1, math.ceil(_UPDATES * batch_size / max(used, 1)))
