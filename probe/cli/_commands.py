"""The commands: each calls a function of `probe.workflow`, whose parameters are its options."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from functools import partial
from operator import itemgetter
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from probe._errors import InputError
from probe.catalogue import ANALYSES, Analysis, analysis_of, function_of, study_of
from probe.cli._options import Option, integers, options_of, parsed, path
from probe.cli._screen import drawn_progress, say

__all__ = ["COMMANDS", "CommandLine", "command_of", "training_options"]


@dataclass(frozen=True, slots=True)
class CommandLine:
    """A command.

    Attributes
    ----------
    help : str
        What it does.
    examples : tuple of str
        Command lines without `probe`.
    function : str
        The function of `probe.workflow` that it calls.
    entry : Analysis, optional
        The entry of the catalogue that it is about.
    """

    help: str
    examples: tuple[str, ...]
    function: str
    entry: Analysis | None = None


COMMANDS = {
    "report": CommandLine(
        "Write the whole report: index.html, results.json, model.h5 and figures.",
        ("report", "report my_model.h5 --data mnist --out reports/mine"),
        "report",
    ),
    "train": CommandLine(
        "Train a network by gradient descent and keep it as model.h5, which Keras opens too.",
        (
            "train",
            "train --hidden 128 --activation relu --learning-rate 0.1 --out wide.h5",
            "train --like my_cnn.h5 --epochs 3",
        ),
        "train_model",
    ),
    "inspect": CommandLine(
        "Say what a file is, whether it opens, and what is in it or in the way: layers, shapes, parameters, origin. "
        "Nothing is random: --seed has no effect.",
        ("inspect reports/mnist/model.h5", "inspect somebodys.h5 --why"),
        "inspect_model",
    ),
    "weights": CommandLine(
        "Draw the weights into every unit as images. Nothing is random: --seed is only recorded.",
        ("weights model.h5", "weights big.h5 --layer hidden_1 --units 0:64"),
        "weights_model",
    ),
    "convert": CommandLine(
        "Convert a model file of any format that probe reads to an HDF5 or a .keras file, which Keras opens too. Nothing is "
        "random: --seed has no effect.",
        ("convert model.keras model.h5", "convert model.onnx model.keras"),
        "convert_model",
    ),
    "edit": CommandLine(
        "Write a network after the edits of a recipe, as the page of a report saves them, as a file that Keras opens too. "
        "--seed has no effect: the recipe has its own.",
        ("edit model.h5 recipe.json --out edited.h5",),
        "edit_model",
    ),
    "gallery": CommandLine(
        "Write an index of the reports in a folder: index.html. Nothing is random: --seed has no effect.",
        ("gallery reports",),
        "gallery",
    ),
    "maximize": CommandLine(
        "Find the inputs that maximize every class, the units of a layer, or sums of these, and bounds on what is "
        "possible.",
        (
            "maximize model.h5",
            'maximize model.h5 --objective "class:3 - class:8" --objective "hidden_1:4"',
        ),
        "maximize_model",
        analysis_of("maximize"),
    ),
    "unit": CommandLine(
        "Draw the card of one unit: its weights, the images that excite it most, what it tells, what is lost without it.",
        (
            "unit model.h5 hidden_1:4",
            "unit model.h5 class:3 --data digits --networks 12",
        ),
        "unit_model",
    ),
    "lesson": CommandLine(
        "Write a lesson for a class: a page of questions to guess at, worksheets to print with a network for each student, "
        "and the teacher's key.",
        ("lesson --students 30", "lesson --data digits --students 4"),
        "lesson",
    ),
    "cache": CommandLine(
        "Say where commands keep what they computed from data alone, and how much is there; with clear remove it. It saves "
        "time only: no result depends on it. Nothing is random: --seed has no effect.",
        ("cache", "cache clear"),
        "cache",
    ),
} | {
    entry.command.name: CommandLine(
        entry.command.help, entry.command.examples, "run_study" if entry.study else "analyze", entry
    )
    for entry in ANALYSES
    if entry.command is not None
}
"""All commands, in the order of `probe --help`."""


@dataclass(frozen=True, slots=True)
class _Part:
    """Parameters of a command that together make one argument of the function that it calls."""

    parameters: Sequence[inspect.Parameter]
    argument: Callable[[Mapping[str, Any]], Any]


def command_of(name: str, *, whole: bool) -> Callable[..., None]:
    """Return the function that Typer makes a command of; without options unless it is `whole`.

    Only for a whole command the function that it calls is imported.
    """
    line = COMMANDS[name]
    parts = _parts(line) if whole else {}

    def called(**values: Any) -> None:
        opened = values.get(_OPEN, False)
        arguments = {argument: part.argument(values) for argument, part in parts.items()}
        if "learning_rate" in arguments.get("training", {}) and arguments.get("options", {}).get("rates"):
            raise InputError("--learning-rate must be left out with --rates, which it is chosen from")
        function = _function(line.function)
        from probe._cache import cache_folder, caching

        if "progress" in inspect.signature(function).parameters:
            with drawn_progress() as progress, caching(cache_folder()):
                written = function(**arguments, progress=progress)
        else:
            written = function(**arguments)
        say(written, opened=opened)

    parameters = [parameter for part in parts.values() for parameter in part.parameters]
    if "seed" not in parts:
        parameters += _shared("seed", 0).parameters
    if line.function not in _WITHOUT_PAGE:
        parameters += _shared(_OPEN, False).parameters  # noqa: FBT003
    called.__name__, called.__doc__ = name, line.help
    called.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    called.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return called


def training_options(names: Sequence[str], config: Any, of_like: Any = None) -> list[Option]:
    """Return fields of a training configuration as options that are left out where nothing is typed.

    Help shows what they are then: as in `config`, and with --like as in `of_like`.
    """
    alone = options_of(type(config), names, config)
    with_like = options_of(type(config), names, of_like or config)
    return [
        replace(
            option,
            default=None,
            shown=option.default_text + ("" if same else f"; with --like {other.default_text}"),
        )
        for option, other in zip(alone, with_like, strict=True)
        for same in [option.default == other.default]
    ]


def _function(name: str) -> Callable[..., Any]:
    from probe import workflow

    function: Callable[..., Any] = getattr(workflow, name)
    return function


def _parts(line: CommandLine) -> dict[str, _Part]:
    """Return the arguments of the function of a command, in the order in which help shows their options."""
    function, entry = _function(line.function), line.entry
    hints: dict[str, Any] = typing.get_type_hints(function)
    from probe.training import DEFAULT_ARCHITECTURE, DEFAULT_TRAINING, layered_training

    left_out = {"progress", *(_unneeded(entry) if entry else ())}
    parts: dict[str, _Part] = {}
    for name, parameter in inspect.signature(function).parameters.items():
        if name in left_out:
            continue
        if entry is not None and name in _OF_ENTRY:
            parts[name] = _OF_ENTRY[name](entry)
        elif name in ("model", "other") and entry is not None:
            parts[name] = _shared(name, inspect.Parameter.empty)
        elif name == "data":
            parts[name] = _data(parameter.default)
        elif name in _SHARED:
            parts[name] = _shared(name, parameter.default)
        elif name == "training":
            parts[name] = _together(
                training_options(_FIELDS["config"], DEFAULT_TRAINING, layered_training(_N_MNIST))
            )
        elif name == "architecture":
            parts[name] = _together(training_options(_FIELDS[name], DEFAULT_ARCHITECTURE))
        elif is_dataclass(hints[name]):
            parts[name] = _fields(name, hints[name], parameter.default)
        else:
            (option,) = options_of(function, [name])
            parts[name] = _Part([option.parameter()], partial(_typed, option, parameter.default))
    return parts


def _unneeded(entry: Analysis) -> list[str]:
    """Return the arguments of `analyze` that the analyses of an entry do without."""
    names = (entry.command and entry.command.analyses) or (entry.name,)
    needs = {need for name in names for need in analysis_of(name).needs}
    unneeded = {"network": ["model", "reading"], "other": ["other"], "controls": ["n_networks", "minutes"]}
    return [argument for need, arguments in unneeded.items() if need not in needs for argument in arguments]


def _together(options: Sequence[Option], make: Callable[..., Any] = dict) -> _Part:
    """Return options that `make` makes one argument of."""
    return _Part([option.parameter() for option in options], lambda values: make(**parsed(options, values)))


def _fields(name: str, kind: Any, default: Any) -> _Part:
    names = _FIELDS.get(name) or [field.name for field in fields(kind)]
    return _together(options_of(kind, names, default), kind)


def _data(default: str | None) -> _Part:
    """Return the options that say which data a command takes, and what these do not say themselves."""
    from probe.datasets import DataSource

    options = options_of(DataSource, [field.name for field in fields(DataSource)], DataSource(default or ""))
    options[0] = replace(options[0], default=default)

    def make(data: str | None = None, **more: Any) -> Any:
        if data is None and more:
            raise InputError("--classes and --image-size must come with --data, which they are about")
        return DataSource(data, **more) if data is not None and more else data

    return _together(options, make)


def _typed(option: Option, default: Any, values: Mapping[str, Any]) -> Any:
    return parsed([option], values).get(option.name, default)


def _n_networks(entry: Analysis) -> _Part:
    assert entry.command is not None
    (option,) = options_of(_function("analyze"), ["n_networks"])
    return _together([replace(option, default=entry.command.n_controls)], lambda n_networks: n_networks)


def _architectures(entry: Analysis) -> _Part:
    """Return the widths of the networks of a study, which may be given several times, and their activation.

    None of a study that is about certain networks.
    """
    from probe.population import MLP

    shapes = study_of(entry).default_architectures
    if not shapes:
        return _Part((), lambda values: None)
    hidden = Option(
        "hidden",
        list[str],
        None,
        "Units of each hidden layer, separated by commas. Repeat it for further networks.",
        "N,N,...",
        lambda option, texts: [integers(option, text) for text in texts],
        shown=" ".join(",".join(map(str, shape.hidden)) for shape in shapes),
    )
    options = [hidden, *options_of(MLP, ["activation"], shapes[0])]

    def make(activation: str, hidden: Sequence[Sequence[int]] = ()) -> tuple[MLP, ...]:
        return tuple(MLP(widths, activation) for widths in hidden or [shape.hidden for shape in shapes])

    return _together(options, make)


def _training(entry: Analysis) -> _Part:
    study = study_of(entry)
    return _together(training_options(entry.training, study.default_config(study.default_architectures)))


_OF_ENTRY: dict[str, Callable[[Analysis], _Part]] = {
    "name": lambda entry: _Part((), lambda values: entry.name),
    "n_networks": _n_networks,
    "architectures": _architectures,
    "options": lambda entry: _together(options_of(function_of(entry), entry.options)),
    "training": _training,
}
"""Arguments that follow from the entry of the catalogue."""


def _shared(name: str, default: Any) -> _Part:
    """Return an argument that means the same in all commands."""
    kind, settings = _SHARED["optional model" if (name, default) == ("model", None) else name]
    parameter = inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[kind, settings]
    )
    return _Part([parameter], itemgetter(name))


def _file(text: str, metavar: str) -> Any:
    return typer.Argument(help=text, parser=path, metavar=metavar, show_default=False)


_OPEN = "opened"
"""Whether the page is shown at the end: of every command that may write one."""

_WITHOUT_PAGE = ("convert_model", "edit_model", "cache")

_SHARED: dict[str, tuple[Any, Any]] = {
    "model": (Path, _file("Trained network: .h5, .keras, .onnx, .pt2 or .safetensors.", "model")),
    "optional model": (
        Path | None,
        _file(
            "Trained network: .h5, .keras, .onnx, .pt2 or .safetensors. By default one is trained first.",
            "model",
        ),
    ),
    "unit": (
        str,
        typer.Argument(
            help="Unit as LAYER:UNIT, counted from 0, such as hidden_1:4; or a class, such as class:3.",
            metavar="unit",
            show_default=False,
        ),
    ),
    "other": (Path, _file("The network to compare it with.", "other")),
    "folder": (Path, _file("Folder with reports.", "DIR")),
    "to": (Path, _file("File to write: .h5, .hdf5 or .keras.", "OUT")),
    "edits": (Path, _file("Recipe of edits in JSON, as the page of a report saves it.", "edits")),
    "action": (
        Literal["show", "clear"],
        typer.Argument(help="What to do with it.", metavar="[show|clear]", show_default="show"),
    ),
    "overwrite": (bool, typer.Option("--overwrite", help="Replace results that are there already.")),
    "seed": (int, typer.Option(help="Seed of everything random.", metavar="N")),
    _OPEN: (bool, typer.Option("--open", help="Open the page in the browser.")),
}
"""Type and settings of the arguments that mean the same in all commands."""

_N_MNIST = 60_000
"""Images of the data that `probe train` takes by default: the epochs with --like depend on how many there are."""

_FIELDS = {
    "architecture": ("hidden", "activation", "output", "initialization"),
    "source": ("architecture", "replace", "input_shape"),
    "config": (
        "epochs",
        "batch_size",
        "learning_rate",
        "cost",
        "optimizer",
        "schedule",
        "weight_decay",
        "buffer",
    ),
}
"""Of an argument that is a dataclass, the fields that are options, where these are not all."""
