"""`probe memorize`: a study, a search for capacities, or scores of examples."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from probe._errors import InputError
from probe.cli._shared import (
    MOST,
    Activation,
    Data,
    Epochs,
    LearningRate,
    Optimizer,
    Out,
    Seed,
    architecture_of,
    config_of,
    drawn_progress,
    integers,
    numbers,
    one,
    say,
)

if TYPE_CHECKING:
    from probe._progress import Progress
    from probe.population import MLP
    from probe.workflow import Backend, Written

__all__ = ["EXAMPLES", "memorize"]

EXAMPLES = (
    "Examples:  probe memorize   |   probe memorize --hidden 128 --samples 5000 --corruption 0,0.25,0.5,0.75,1 "
    "--replicates 20   |   probe memorize --capacity --hidden 4 --hidden 16,16   |   probe memorize --scores 200"
)

_STUDY = ("corruption", "labels", "inputs", "weight_decay", "tune", "rates", "sensitivity")
_NOT_FOR = {
    "--capacity": {*_STUDY, "learning_rate", "optimizer"},
    "--scores": {*_STUDY, "replicates"} - {"corruption", "weight_decay"},
}
"""Options that mean nothing to the other two studies."""


def memorize(
    context: typer.Context,
    data: Data = "mnist",
    hidden: Annotated[
        list[str] | None,
        typer.Option(
            help="Units of each hidden layer, separated by commas; give it again for further networks. 64 by default.",
            metavar="N,N,...",
            show_default=False,
        ),
    ] = None,
    activation: Activation = "relu",
    samples: Annotated[
        str | None,
        typer.Option(
            help="Training images, or several numbers; 1000 by default. With --capacity the most tried: 10000, or all.",
            metavar="N,...",
            show_default=False,
        ),
    ] = None,
    corruption: Annotated[
        str, typer.Option(help="Shares of the labels to corrupt, from 0 to 1.", metavar="SHARE,...")
    ] = "0,1",
    labels: Annotated[
        str, typer.Option(help="How: permute (keeps the class counts) or uniform.", metavar="NAME")
    ] = "permute",
    inputs: Annotated[
        str,
        typer.Option(
            help="What is done to the images: none, pixel-permutation, pixel-shuffle, gaussian.",
            metavar="NAME,...",
        ),
    ] = "none",
    replicates: Annotated[
        int | None,
        typer.Option(
            help="Networks for each condition; 5 by default, 3 with --capacity. More can be added later.",
            max=MOST,
            show_default=False,
        ),
    ] = None,
    epochs: Epochs = 300,
    batch_size: Annotated[
        int | None,
        typer.Option(help="Images in a minibatch; 50 by default, 100 with --capacity.", show_default=False),
    ] = None,
    learning_rate: LearningRate = 0.1,
    optimizer: Optimizer = "sgd",
    weight_decay: Annotated[
        str,
        typer.Option(help="Shares of each weight added to its gradient, to compare.", metavar="SHARE,..."),
    ] = "0",
    tune: Annotated[  # noqa: FBT002
        bool,
        typer.Option("--tune", help="Give every condition the learning rate of --rates that suits it best."),
    ] = False,
    rates: Annotated[
        str, typer.Option(help="Learning rates that --tune chooses from.", metavar="RATE,...")
    ] = "0.03,0.1,0.3",
    sensitivity: Annotated[  # noqa: FBT002
        bool, typer.Option("--sensitivity", help="Measure loss-sensitivity and critical sample ratio too.")
    ] = False,
    capacity: Annotated[  # noqa: FBT002
        bool, typer.Option("--capacity", help="Find how many random labels each network fits.")
    ] = False,
    scores: Annotated[
        int | None,
        typer.Option(
            help="Score every example by this many networks, each trained on 70% of them; 60 epochs of momentum by default.",
            metavar="NETWORKS",
            max=MOST,
            show_default=False,
        ),
    ] = None,
    workers: Annotated[
        int,
        typer.Option(
            help="Threads or processes that run trials at the same time. Results do not depend on it."
        ),
    ] = 1,
    backend: Annotated[
        str, typer.Option(help="threads, processes, or dask for a cluster (extra dask).", metavar="NAME")
    ] = "threads",
    scheduler: Annotated[
        str | None, typer.Option(help="Address of the Dask scheduler.", metavar="ADDRESS", show_default=False)
    ] = None,
    out: Out = None,
    seed: Seed = 0,
) -> None:
    """Train networks on true and corrupted labels, and judge the claims about memorisation.

    It can be killed at any moment: the same command goes on from there, also with more --replicates.
    """
    if capacity and scores is not None:
        raise InputError("--capacity and --scores are two studies; pass one of them")
    if tune is False and _given(context, "rates"):
        raise InputError("--rates goes with --tune; pass both or neither")
    if tune and _given(context, "learning_rate"):
        raise InputError("--learning-rate does not go with --tune, which takes its rates from --rates")
    values = dict(context.params)
    with drawn_progress() as progress:
        if capacity:
            _refuse(context, "--capacity")
            written = _capacity(values, progress)
        elif scores is not None:
            _refuse(context, "--scores")
            written = _scores(context, progress)
        else:
            written = _study(values, progress)
    say(written)


def _study(values: dict[str, Any], progress: Progress) -> Written:
    from probe import workflow
    from probe.analyses.memorization import MemorizationDesign

    design = MemorizationDesign(
        architectures=_architectures(values),
        n_samples=(1000,) if values["samples"] is None else integers("--samples", values["samples"]),
        corruption=numbers("--corruption", values["corruption"]),
        label_corruption=values["labels"],
        input_corruption=tuple(part.strip() for part in values["inputs"].split(",")),
        weight_decay=numbers("--weight-decay", values["weight_decay"]),
        replicates=_or(values["replicates"], 5),
        config=config_of(
            epochs=values["epochs"],
            batch_size=_or(values["batch_size"], 50),
            learning_rate=values["learning_rate"],
            optimizer=values["optimizer"],
            stop="fitted",
        ),
        rates=numbers("--rates", values["rates"]) if values["tune"] else (),
        dynamics="sensitivity" if values["sensitivity"] else "examples",
        seed=values["seed"],
    )
    return workflow.memorize(
        design, data=values["data"], out=values["out"], backend=_backend(values), progress=progress
    )


def _capacity(values: dict[str, Any], progress: Progress) -> Written:
    from dataclasses import replace

    from probe import workflow
    from probe.analyses.capacity import CAPACITY_CONFIG, CapacityDesign

    design = CapacityDesign(
        architectures=_architectures(values),
        config=replace(CAPACITY_CONFIG, epochs=values["epochs"], batch_size=_or(values["batch_size"], 100)),
        replicates=_or(values["replicates"], 3),
        largest=None if values["samples"] is None else _one_integer("--samples", values["samples"]),
        seed=values["seed"],
    )
    return workflow.memorize_capacity(
        design, data=values["data"], out=values["out"], backend=_backend(values), progress=progress
    )


def _scores(context: typer.Context, progress: Progress) -> Written:
    from dataclasses import replace

    from probe import workflow
    from probe.analyses.scores import SCORES_CONFIG, ScoresDesign

    values = context.params
    corruption = values["corruption"] if _given(context, "corruption") else "0"

    names = ("epochs", "batch_size", "learning_rate", "optimizer")
    given = {name: values[name] for name in names if _given(context, name)}
    decay = one("--weight-decay", numbers("--weight-decay", values["weight_decay"]))
    design = ScoresDesign(
        architecture=one("--hidden", _architectures(values)),
        config=replace(SCORES_CONFIG, weight_decay=decay, **given),
        n_samples=_one_integer("--samples", _or(values["samples"], "1000")),
        n_networks=values["scores"],
        corruption=one("--corruption", numbers("--corruption", corruption)),
        seed=values["seed"],
    )
    return workflow.memorize_scores(
        design, data=values["data"], out=values["out"], backend=_backend(values), progress=progress
    )


def _architectures(values: dict[str, Any]) -> tuple[MLP, ...]:
    return tuple(architecture_of(text, values["activation"]) for text in values["hidden"] or ["64"])


def _backend(values: dict[str, Any]) -> Backend:
    from probe import workflow

    return workflow.Backend(values["workers"], values["backend"], values["scheduler"])


def _or(value: Any, default: Any) -> Any:
    return default if value is None else value


def _one_integer(option: str, text: str) -> int:
    return one(option, integers(option, text))


def _given(context: typer.Context, name: str) -> bool:
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def _refuse(context: typer.Context, by: str) -> None:
    """Raise if an option was given that means nothing to the study that the option `by` asks for."""
    for parameter in context.command.params:
        if parameter.name in _NOT_FOR[by] and _given(context, parameter.name):
            raise InputError(f"{parameter.opts[0]} does not go with {by}; leave one of them out")
