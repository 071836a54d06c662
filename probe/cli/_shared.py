"""What the commands share: options, parsing, progress, and saying what was written."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from probe._errors import InputError
from probe.cli._screen import put

if TYPE_CHECKING:
    from probe._progress import Progress
    from probe.population import MLP
    from probe.training import TrainingConfig
    from probe.workflow import Reading, Written

MOST = 1_000_000
"""Greatest count that an option takes: more is a slip of the finger, and would fill the memory."""


def path(text: str) -> Path:
    """Return the path of an argument; an empty one would mean the working directory."""
    if not text or "\0" in text:
        raise typer.BadParameter("a path must not be empty or hold a NUL")
    return Path(text)


Model = Annotated[
    Path,
    typer.Argument(
        help="Trained network in an HDF5 file (Keras or probe).",
        parser=path,
        metavar="model",
        show_default=False,
    ),
]
Data = Annotated[
    str,
    typer.Option(
        help="Data: mnist, digits, openml:NAME, or a path to HDF5, NPZ or a folder of IDX files.",
        metavar="NAME|PATH",
    ),
]
Out = Annotated[
    Path | None,
    typer.Option(
        help="Folder to write to; reports/<name> by default.",
        parser=path,
        metavar="FOLDER",
        show_default=False,
    ),
]
Seed = Annotated[int, typer.Option(help="Everything random follows from it.")]
Hidden = Annotated[
    str, typer.Option(help="Units of each hidden layer, separated by commas.", metavar="N,N,...")
]
Activation = Annotated[
    str,
    typer.Option(
        help="sigmoid, tanh, relu, gelu, softplus, linear, or any other name in probe.layers.ACTIVATIONS.",
        metavar="NAME",
    ),
]
ImageShape = Annotated[
    str | None,
    typer.Option(
        help="For a network that takes a row of values: the image they are.",
        metavar="H,W",
        show_default=False,
    ),
]
Architecture = Annotated[
    Path | None,
    typer.Option(
        help="Layers of a file of weights only, or in place of the file's own: config.json, a .keras or a whole model.",
        parser=path,
        metavar="PATH",
        show_default=False,
    ),
]
Range = Annotated[
    tuple[float, float],
    typer.Option(
        "--range",
        help="Lowest and highest input that the network was trained on; float pixels of a data file that are not in "
        "[0, 1] lie in it too.",
        metavar="LOW HIGH",
    ),
]
Mean = Annotated[
    str | None,
    typer.Option(
        help="Mean of the pixels, of that range, that was subtracted from the inputs in training; one for each channel, "
        "or one.",
        metavar="M[,M,M]",
        show_default=False,
    ),
]
Std = Annotated[
    str | None,
    typer.Option(
        help="Standard deviation that they were divided by; with --mean.",
        metavar="S[,S,S]",
        show_default=False,
    ),
]
FromLogits = Annotated[
    bool,
    typer.Option(
        "--from-logits",
        help="The last layer is linear and puts out logits of classes; a single one is that of the second class.",
    ),
]
Output = Annotated[
    str | None,
    typer.Option(help="Layer to take for the output, for a network with several.", show_default=False),
]
Epochs = Annotated[int, typer.Option(help="Passes over the training data.")]
BatchSize = Annotated[int, typer.Option(help="Images in a minibatch.")]
LearningRate = Annotated[float, typer.Option(help="Step size of gradient descent.")]
Optimizer = Annotated[str, typer.Option(help="sgd, momentum, nesterov or adam.", metavar="NAME")]
WeightDecay = Annotated[float, typer.Option(help="Share of each weight added to its gradient.")]

SAID = 1130
"""Status of an interrupted command that has said what it kept. Typer gives 130 to one that has said nothing."""


def say(written: Written) -> None:
    put(written.summary)
    for path in written.files:
        put(f"wrote {path}")
    if written.interrupted:
        typer.echo("probe: interrupted; what was done is kept", err=True)
        raise typer.Exit(SAID)


def architecture_of(hidden: str, activation: str, **others: Any) -> MLP:
    from probe.population import MLP

    return MLP(hidden=integers("--hidden", hidden), activation=activation, **others)


READING: dict[str, tuple[Any, Any]] = {
    "pixel_range": (Range, (0.0, 1.0)),
    "mean": (Mean, None),
    "std": (Std, None),
    "output": (Output, None),
    "from_logits": (FromLogits, False),
    "architecture": (Architecture, None),
}
"""Options that say of a model file what it does not say itself, with their defaults: arguments of `reading_of`."""


RUNNING: dict[str, tuple[Any, Any]] = {
    "workers": (
        Annotated[
            int,
            typer.Option(
                help="Threads or processes that run trials at the same time. Results do not depend on it."
            ),
        ],
        1,
    ),
    "backend": (
        Annotated[
            str, typer.Option(help="threads, processes, or dask for a cluster (extra dask).", metavar="NAME")
        ],
        "threads",
    ),
    "scheduler": (
        Annotated[
            str | None,
            typer.Option(help="Address of the Dask scheduler.", metavar="ADDRESS", show_default=False),
        ],
        None,
    ),
}
"""Options that say where a study is run, with their defaults."""


def reading_of(
    architecture: Path | None,
    pixel_range: tuple[float, float] = (0.0, 1.0),
    output: str | None = None,
    mean: str | None = None,
    std: str | None = None,
    *,
    from_logits: bool = False,
) -> Reading:
    from probe.workflow import Reading

    means, deviations = (
        () if text is None else numbers(option, text) for option, text in (("--mean", mean), ("--std", std))
    )
    return Reading(architecture, pixel_range, output, means, deviations, from_logits)


def units_of(text: str | None) -> slice | None:
    if text is None:
        return None
    begin, colon, end = text.partition(":")
    if not (colon and begin.isdecimal() and end.isdecimal() and int(begin) < int(end)):
        raise InputError(f"--units must be FIRST:END, such as 0:64 for the first 64; got {text!r}")
    return slice(int(begin), int(end))


def shape_of(text: str | None) -> tuple[int, ...] | None:
    return None if text is None else integers("--image-shape", text)


def integers(option: str, text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(",")) if text.strip() else ()
    except ValueError:
        raise InputError(
            f"{option} must be integers separated by commas, such as 16,16; got {text!r}"
        ) from None


def names(option: str, text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(","))


def numbers(option: str, text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise InputError(
            f"{option} must be numbers separated by commas, such as 0,0.5,1; got {text!r}"
        ) from None


def config_of(**values: Any) -> TrainingConfig:
    from probe.training import TrainingConfig

    return TrainingConfig(**values)


@contextmanager
def drawn_progress() -> Iterator[Progress]:
    """Draw progress on standard error while the block runs; nothing if that is no terminal."""
    if not sys.stderr.isatty():
        yield lambda event: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description:<12}", markup=False),
        BarColumn(),
        TextColumn("{task.completed}/{task.total}", markup=False),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}", markup=False),
    )
    tasks: dict[str, Any] = {}
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:

        def draw(event: Any) -> None:
            if event.stage not in tasks:
                tasks[event.stage] = bars.add_task(event.stage, total=event.total, note="")
            bars.update(tasks[event.stage], completed=event.done, total=event.total, note=event.note)

        yield draw
