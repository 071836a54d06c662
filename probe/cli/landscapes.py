"""`probe landscape` and `probe minima`: the cost around one network, and where many networks end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from probe._errors import InputError
from probe.cli._shared import (
    MOST,
    Activation,
    Data,
    Out,
    Seed,
    architecture_of,
    drawn_progress,
    say,
)

if TYPE_CHECKING:
    from probe.training import TrainingConfig

__all__ = ["EXAMPLES", "minima"]

EXAMPLES = {
    "landscape": "Example:  probe landscape model.h5 --data mnist",
    "minima": "Examples:  probe minima   |   probe minima --hidden 4 --hidden 16 --workers 2 --backend processes",
}
"""What the help of each command ends with."""

Cost = Annotated[str, typer.Option(help="cross-entropy or quadratic.", metavar="NAME")]
Workers = Annotated[
    int, typer.Option(help="Threads or processes that work at the same time. Results do not depend on it.")
]


def minima(
    data: Data = "mnist",
    hidden: Annotated[
        list[str] | None,
        typer.Option(
            help="Units of each hidden layer, separated by commas; give it again for further kinds. 16,16 by default.",
            metavar="N,N,...",
            show_default=False,
        ),
    ] = None,
    activation: Activation = "sigmoid",
    networks: Annotated[
        int, typer.Option(help="Networks of each kind. More can be added later.", max=MOST)
    ] = 200,
    samples: Annotated[
        str | None,
        typer.Option(
            help="Training images, the same for all networks; or all. 2000 by default, or all where there are fewer.",
            metavar="N|all",
            show_default=False,
        ),
    ] = None,
    epochs: Annotated[int | None, typer.Option(help="150 by default.", show_default=False)] = None,
    batch_size: Annotated[int | None, typer.Option(help="100 by default.", show_default=False)] = None,
    learning_rate: Annotated[
        float | None,
        typer.Option(help="1 for sigmoid, 0.1 for others by default.", show_default=False),
    ] = None,
    cost: Cost = "cross-entropy",
    weight_decay: Annotated[
        float | None,
        typer.Option(help="0.001 by default; without, there may be no minimum.", show_default=False),
    ] = None,
    polish: Annotated[int, typer.Option(help="Most iterations of L-BFGS after training; 0 for none.")] = 2000,
    curvature: Annotated[
        str, typer.Option(help="extremes (of each Hessian's eigenvalues) or none.", metavar="NAME")
    ] = "extremes",
    margin: Annotated[
        float, typer.Option(help="Range of test accuracies' middle 90% that counts as equal.")
    ] = 0.02,
    connected: Annotated[
        int | None,
        typer.Option(
            help="Networks of each kind between which barriers are measured; 0 for none. 8 by default.",
            show_default=False,
        ),
    ] = None,
    workers: Workers = 1,
    backend: Annotated[
        str, typer.Option(help="threads, processes, or dask for a cluster (extra dask).", metavar="NAME")
    ] = "threads",
    scheduler: Annotated[
        str | None, typer.Option(help="Address of the Dask scheduler.", metavar="ADDRESS", show_default=False)
    ] = None,
    out: Out = None,
    seed: Seed = 0,
) -> None:
    """Train many networks from different starts, and compare where they end: costs, curvature, what lies between.

    It can be killed at any moment: the same command goes on from there, also with more --networks.
    """
    from probe import workflow
    from probe.analyses.minima import MOST_SAMPLES, MinimaDesign

    design = MinimaDesign(
        tuple(architecture_of(text, activation) for text in hidden or ["16,16"]),
        networks,
        None if samples is None else _samples(samples),
        _config(activation, epochs, batch_size, learning_rate, cost, weight_decay),
        polish,
        curvature,
        margin,
        min(8, networks) if connected is None else connected,
        seed,
    )
    with drawn_progress() as progress:
        written = workflow.minima(
            design,
            data=data,
            most_samples=MOST_SAMPLES if samples is None else None,
            out=out,
            backend=workflow.Backend(workers, backend, scheduler),  # type: ignore[arg-type]
            progress=progress,
        )
    say(written)


def _samples(text: str) -> int | None:
    if text == "all":
        return None
    try:
        return int(text)
    except ValueError:
        raise InputError(f"--samples must be a number of images or all, got {text!r}") from None


def _config(
    activation: str,
    epochs: int | None,
    batch_size: int | None,
    learning_rate: float | None,
    cost: str,
    weight_decay: float | None,
) -> TrainingConfig:
    """Return how networks are trained: as by default where nothing else is said."""
    from dataclasses import replace

    from probe.analyses.minima import MINIMA_CONFIG
    from probe.training import learning_rate_for

    rate = learning_rate_for(activation, MINIMA_CONFIG.learning_rate)
    given = {"epochs": epochs, "batch_size": batch_size, "weight_decay": weight_decay}
    return replace(
        MINIMA_CONFIG,
        cost=cost,  # type: ignore[arg-type]
        learning_rate=rate if learning_rate is None else learning_rate,
        **{name: value for name, value in given.items() if value is not None},  # type: ignore[arg-type]
    )
