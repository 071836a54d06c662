"""The command line: it parses, calls `probe.workflow`, and says what was written."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

import typer

from probe._errors import InputError
from probe.cli import maximize as maximizing
from probe.cli._generated import command_of, generated, option_name
from probe.cli._memory import is_lack_of_memory, is_of_a_killed_worker, remedy
from probe.cli._screen import one_line, put, put_warnings
from probe.cli._shared import (
    SAID,
    Activation,
    Architecture,
    BatchSize,
    Data,
    Epochs,
    FromLogits,
    Hidden,
    ImageShape,
    LearningRate,
    Mean,
    Model,
    Optimizer,
    Out,
    Output,
    Range,
    Seed,
    Std,
    WeightDecay,
    architecture_of,
    config_of,
    drawn_progress,
    path,
    reading_of,
    say,
    shape_of,
    units_of,
)
from probe.cli.maximize import maximize

__all__ = ["app", "run"]


def probe_command(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Say the version and exit.")] = False,  # noqa: FBT002
) -> None:
    """Look inside the hidden layers of trained networks, and test what they learned."""
    if version:
        from probe._version import __version__

        typer.echo(f"probe {__version__}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


def report(
    model: Annotated[
        Path | None,
        typer.Argument(
            help="Trained network in an HDF5 file; without, one is trained first.",
            parser=path,
            metavar="model",
            show_default=False,
        ),
    ] = None,
    data: Data = "mnist",
    pixel_range: Range = (0.0, 1.0),
    mean: Mean = None,
    std: Std = None,
    output: Output = None,
    from_logits: FromLogits = False,  # noqa: FBT002
    architecture: Architecture = None,
    out: Out = None,
    seed: Seed = 0,
) -> None:
    """Write the whole report: index.html, results.json, model.h5 and figures."""
    from probe import workflow

    with drawn_progress() as progress:
        written = workflow.report(
            model,
            data=data,
            reading=reading_of(architecture, pixel_range, output, mean, std, from_logits=from_logits),
            out=out,
            seed=seed,
            progress=progress,
        )
    say(written)


def train(
    data: Data = "mnist",
    hidden: Hidden = "16,16",
    activation: Activation = "sigmoid",
    output: Annotated[str, typer.Option(help="softmax or sigmoid.", metavar="NAME")] = "softmax",
    initialization: Annotated[
        str, typer.Option(help="auto, normal, scaled-normal, glorot or he.", metavar="NAME")
    ] = "auto",
    epochs: Epochs = 20,
    batch_size: BatchSize = 100,
    learning_rate: LearningRate = 1.0,
    cost: Annotated[str, typer.Option(help="cross-entropy or quadratic.", metavar="NAME")] = "cross-entropy",
    optimizer: Optimizer = "sgd",
    schedule: Annotated[
        str, typer.Option(help="Learning rate over the epochs: constant, step or cosine.", metavar="NAME")
    ] = "cosine",
    weight_decay: WeightDecay = 0.0,
    out: Out = None,
    seed: Seed = 0,
) -> None:
    """Train a network by gradient descent and keep it as model.h5, which Keras opens too."""
    from probe import workflow

    architecture = architecture_of(hidden, activation, output=output, initialization=initialization)
    config = config_of(
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        cost=cost,
        optimizer=optimizer,
        schedule=schedule,
        weight_decay=weight_decay,
    )
    with drawn_progress() as progress:
        written = workflow.train_model(architecture, config, data=data, out=out, seed=seed, progress=progress)
    say(written)


def inspect(
    model: Model,
    architecture: Architecture = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder to write inspect.txt to; none by default.",
            parser=path,
            metavar="FOLDER",
            show_default=False,
        ),
    ] = None,
    seed: Seed = 0,
) -> None:
    """Say what is in a model file: layers, shapes, parameters, origin. Nothing is random: --seed has no effect."""
    from probe import workflow

    kept = None if out is None else workflow.keep_inspection(model, out, architecture=architecture)
    put(workflow.inspect_model(model, architecture=architecture))
    if kept is not None:
        say(kept)


def weights(
    model: Model,
    layer: Annotated[
        str | None,
        typer.Option(help="Name of a dense or convolutional layer; all by default.", show_default=False),
    ] = None,
    units: Annotated[
        str | None,
        typer.Option(
            help="Only these units of the layer; only their weights are read.",
            metavar="FIRST:END",
            show_default=False,
        ),
    ] = None,
    image_shape: ImageShape = None,
    scale: Annotated[
        str | None,
        typer.Option(
            help="Full colour: shared, the largest weight of all units; robust, without outliers; unit, of each unit its "
            "own. By default shared, or robust where that leaves most units blank.",
            metavar="NAME",
            show_default=False,
        ),
    ] = None,
    architecture: Architecture = None,
    out: Out = None,
    seed: Seed = 0,
) -> None:
    """Draw the weights into every unit as images. Nothing here is random: --seed is only recorded."""
    from probe import workflow

    written = workflow.weights_model(
        model,
        layer=layer,
        units=units_of(units),
        image_shape=shape_of(image_shape),
        reading=reading_of(architecture),
        scale=scale,
        out=out,
        seed=seed,
    )
    say(written)


def convert(
    model: Model,
    to: Annotated[
        Path,
        typer.Argument(
            help="HDF5 file to write, .h5 or .hdf5.", parser=path, metavar="OUT", show_default=False
        ),
    ],
    pixel_range: Range = (0.0, 1.0),
    mean: Mean = None,
    std: Std = None,
    output: Output = None,
    from_logits: FromLogits = False,  # noqa: FBT002
    architecture: Architecture = None,
    seed: Seed = 0,
) -> None:
    """Write a network of any format that is read as an HDF5 file that Keras opens too. --seed has no effect."""
    from probe import workflow

    say(
        workflow.convert_model(
            model,
            to,
            reading=reading_of(architecture, pixel_range, output, mean, std, from_logits=from_logits),
        )
    )


_COMMANDS: dict[Callable[..., None], str] = {
    report: "Examples:  probe report   |   probe report my_model.h5 --data mnist --out reports/mine",
    train: "Examples:  probe train   |   probe train --hidden 128 --activation relu --learning-rate 0.1",
    inspect: "Example:  probe inspect reports/mnist/model.h5",
    weights: "Examples:  probe weights model.h5   |   probe weights big.h5 --layer hidden_1 --units 0:64",
    convert: "Example:  probe convert model.keras model.h5",
    maximize: maximizing.EXAMPLES,
}
"""Commands of their own, with what their help ends with; those of most analyses are made from the catalogue."""


def app(wanted: str | None = None) -> typer.Typer:
    """Return the command line; of commands from the catalogue only the `wanted` one has its options, or all without.

    An analysis is imported where its options are asked for.
    """
    made = typer.Typer(
        name="probe",
        help="Look inside the hidden layers of trained networks, and test what they learned.",
        epilog="Examples:  probe report   |   probe report my_model.h5 --data mnist   |   probe train --hidden 64",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    made.callback(invoke_without_command=True)(probe_command)
    for command, epilog in _COMMANDS.items():
        made.command(epilog=epilog)(command)
    for entry in generated():
        assert entry.command is not None
        whole = wanted in (None, entry.command.name)
        examples = "   |   ".join(f"probe {example}" for example in entry.command.examples)
        epilog = f"Example{'s' * (len(entry.command.examples) > 1)}:  {examples}"
        made.command(name=entry.command.name, epilog=epilog)(command_of(entry, whole=whole))
    return made


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit status.

    Bad input of any kind is one line on standard error and status 2; Ctrl-C is status 130.
    """
    try:
        with put_warnings():
            status = app(arguments[0] if arguments else "")(list(arguments), standalone_mode=False)
    except typer.TyperException as error:
        return _fail(_usage_message(error))
    except InputError as error:
        message = _as_option(str(error), arguments)
        return _fail(f"{message}. {remedy(arguments[0])}" if is_of_a_killed_worker(error) else message)
    except BrokenPipeError:
        # Whoever read what was said has enough; what is still to be flushed must find somewhere to go.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (MemoryError, OSError, OverflowError, RuntimeError, ValueError) as error:
        if is_lack_of_memory(error):
            return _fail(f"there is not enough memory for that. {remedy(arguments[0])}")
        if not isinstance(error, OSError):
            raise
        where = "" if error.filename is None else f"{error.filename}: "
        return _fail(f"{where}{error.strerror or error}")
    except (KeyboardInterrupt, typer.Abort):
        status = 130
    if status == 130:
        typer.echo("probe: interrupted before there was anything to keep", err=True)
    return 130 if status == SAID else status if isinstance(status, int) else 0


def _usage_message(error: typer.TyperException) -> str:
    """Return what Typer has to say, with the value that came where it knows it, and where to find help."""
    message = error.format_message() if hasattr(error, "format_message") else str(error)
    cause = error.__cause__
    if cause is not None and hasattr(cause, "errors"):
        message += f", got {cause.errors()[0]['input']!r}"
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "probe"
    return f"{message.rstrip('.')}. See {command} --help"


_SPELLED = {
    "architectures": "hidden",
    "images": "",
    "pixel_range": "range",
    "radius": "ball",
    "pixels": "shift",
}
"""Options whose name is not that of the argument, as `option_name` makes it."""


def _as_option(message: str, arguments: Sequence[str]) -> str:
    """Return `message` with the argument that it begins with spelled as an option of the command in use."""
    name, _, rest = message.partition(" ")
    command = typer.main.get_command(app(arguments[0])).commands.get(arguments[0])  # type: ignore[attr-defined]
    options = {option for parameter in command.params for option in parameter.opts} if command else set()
    option = f"--{option_name(_SPELLED.get(name, name))}"
    return f"{option} {rest}" if option in options and rest.startswith("must") else message


def _fail(message: str) -> int:
    put(f"probe: {one_line(message)}", err=True)
    return 2
