"""Commands made from the catalogue: their options are parameters of the analysis, in the words of its docstring."""

from __future__ import annotations

import inspect
import re
import types
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from probe._errors import InputError
from probe.catalogue import ANALYSES, Analysis, Need, analysis_of
from probe.cli._shared import (
    MOST,
    READING,
    RUNNING,
    Activation,
    Data,
    Model,
    Out,
    Seed,
    drawn_progress,
    integers,
    names,
    numbers,
    reading_of,
    say,
)

if TYPE_CHECKING:
    from probe.training import TrainingConfig

__all__ = [
    "Option",
    "command_of",
    "generated",
    "option_name",
    "options_of",
    "parameter_texts",
    "parsed",
    "training_options",
]


@dataclass(frozen=True, slots=True)
class Option:
    """An option of a command that is a parameter of a function.

    Attributes
    ----------
    name : str
        Of the parameter.
    kind : type
        Of what is typed.
    default : object
        What it is where nothing is typed; None leaves the parameter out.
    text : str
        Its help.
    metavar : str
    parse : callable
        `parse(option, typed)` is the argument.
    shown : str
        The default that help shows where `default` is None.
    """

    name: str
    kind: Any
    default: Any
    text: str
    metavar: str
    parse: Callable[[str, Any], Any]
    shown: str = ""

    @property
    def spelled(self) -> str:
        """How it is typed."""
        return f"--{option_name(self.name)}"

    def parameter(self) -> inspect.Parameter:
        """Return the parameter of the function that Typer makes a command of."""
        settings = typer.Option(
            self.spelled,
            help=self.text,
            metavar=self.metavar,
            show_default=self.shown or self.default not in (None, ""),
        )
        kind = self.kind if self.default is not None else self.kind | None
        return inspect.Parameter(
            self.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=self.default,
            annotation=Annotated[kind, settings],
        )


def option_name(parameter: str) -> str:
    """Return what the option of a parameter is called.

    Examples
    --------
    >>> option_name("n_images"), option_name("batch_size")
    ('images', 'batch-size')
    """
    return parameter.removeprefix("n_").replace("_", "-")


def options_of(function: Callable[..., Any], parameters: Sequence[str]) -> list[Option]:
    """Return parameters of a function, or fields of a dataclass, as options, with the words of its docstring."""
    hints, texts = typing.get_type_hints(function), parameter_texts(function)
    signature = inspect.signature(function).parameters
    return [_option(name, hints[name], signature[name].default, texts[name]) for name in parameters]


def training_options(names: Sequence[str], config: TrainingConfig) -> list[Option]:
    """Return fields of a training configuration as options that are left out where nothing is typed."""
    from probe.training import TrainingConfig

    return [
        replace(option, default=None, shown=_shown(getattr(config, option.name)))
        for option in options_of(TrainingConfig, names)
    ]


def _shown(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def parsed(options: Sequence[Option], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments that were typed, or are defaults."""
    return {
        option.name: option.parse(option.spelled, values[option.name])
        for option in options
        if values[option.name] is not None
    }


def _option(name: str, hint: Any, default: Any, text: str) -> Option:
    if isinstance(hint, types.UnionType):
        # Without None; of a value or several, several.
        hint = [kind for kind in typing.get_args(hint) if kind is not type(None)][-1]
        default = (default,) if typing.get_origin(hint) and isinstance(default, int) else default
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin is Literal:
        return Option(name, str, default, _with_choices(text, inner), "NAME", lambda _, value: value)
    if origin in (tuple, typing.get_origin(Sequence[int])):
        item = inner[0]
        parse = integers if item is int else numbers if item is float else names
        shown = (
            ",".join(f"{value:g}" if item is float else str(value) for value in default) if default else None
        )
        if typing.get_origin(item) is Literal:
            text = _with_choices(text, typing.get_args(item))
        return Option(name, str, shown, text, {int: "N,N,...", float: "X,X,..."}.get(item, "NAME,..."), parse)
    if hint not in (int, float, str):
        raise TypeError(f"no option can be made of {name}, which is a {hint}")
    count: Callable[[str, Any], Any] = _checked_count if hint is int else lambda _, value: value
    return Option(name, hint, default, text, {int: "N", float: "X", str: "NAME"}[hint], count)


def _checked_count(option: str, value: int) -> int:
    if value > MOST:
        raise InputError(f"{option} must be at most {MOST:,}, got {value:,}")
    return value


def _with_choices(text: str, choices: Sequence[str]) -> str:
    return f"{text} One of {', '.join(choices)}."


def parameter_texts(function: Callable[..., Any]) -> dict[str, str]:
    """Return what the docstring of a function says of each parameter, in one line each."""
    _, _, rest = inspect.getdoc(function).partition("\nParameters\n----------\n")  # type: ignore[union-attr]
    section = re.split(r"\n\n[A-Z][a-z]+\n-{3,}\n", rest)[0]
    texts: dict[str, str] = {}
    for heading, body in re.findall(r"^(\S.*?) : .*\n((?:[ ]{4}.*\n?|\n)+)", section + "\n", re.MULTILINE):
        for name in heading.split(", "):
            texts[name] = _plain(" ".join(body.split()))
    return texts


def _plain(text: str) -> str:
    """Return numpydoc text for a screen: parameters as options, no marks of code."""
    return re.sub(r"`{1,2}([^`]+)`{1,2}", r"\1", text)


def function_of(entry: Analysis) -> Callable[..., Any]:
    """Return the function of an analysis."""
    function: Callable[..., Any] = getattr(import_module(f"probe.analyses.{entry.module}"), entry.name)
    return function


def generated() -> list[Analysis]:
    """Return the entries that have a command made here."""
    return [entry for entry in ANALYSES if entry.command is not None]


def command_of(entry: Analysis, *, whole: bool) -> Callable[..., None]:
    """Return the function that Typer makes the command of an entry of; without options unless it is `whole`.

    Only of a whole command is the analysis imported.
    """
    command = entry.command
    assert command is not None
    run: Callable[..., None] = _nothing
    parameters: list[inspect.Parameter] = []
    if whole and entry.study:
        run, parameters = _study_command(entry)
    elif whole:
        run, parameters = _analysis_command(entry)

    def called(**values: Any) -> None:
        run(**values)

    called.__name__, called.__doc__ = command.name, command.help
    called.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    called.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return called


def _nothing(**values: Any) -> None:
    raise AssertionError("a command without options is not run")


def _analysis_command(entry: Analysis) -> tuple[Callable[..., None], list[inspect.Parameter]]:
    command = entry.command
    assert command is not None
    analyses = [analysis_of(name) for name in command.analyses or (entry.name,)]
    options = options_of(function_of(entry), entry.options)
    needs = {need for analysis in analyses for need in analysis.needs}

    def run(**values: Any) -> None:
        from probe import workflow

        with drawn_progress() as progress:
            written = workflow.analyze(
                entry.name,
                values.get("model"),
                data=values["data"],
                reading=reading_of(**{name: values[name] for name in READING})
                if "network" in needs
                else None,
                n_controls=values.get("networks"),
                options=parsed(options, values),
                out=values["out"],
                seed=values["seed"],
                progress=progress,
            )
        say(written)

    return run, _parameters(needs, command.n_controls, options)


def _study_command(entry: Analysis) -> tuple[Callable[..., None], list[inspect.Parameter]]:
    """Return what runs a study, and its parameters: shapes of networks, the study's own, training, and where to run."""
    from probe.population import MLP

    module = import_module(f"probe.analyses.{entry.module}")
    study = getattr(module, entry.study)
    options = options_of(function_of(entry), entry.options)
    training = training_options(entry.training, study.default_config(study.default_architectures))
    first = study.default_architectures[0]

    def run(**values: Any) -> None:
        from probe import workflow

        shapes = values["hidden"] or [
            ",".join(map(str, shape.hidden)) for shape in study.default_architectures
        ]
        chosen, trained = parsed(options, values), parsed(training, values)
        if chosen.get("rates") and "learning_rate" in trained:
            raise InputError("--learning-rate must be left out with --rates, which it is chosen from")
        with drawn_progress() as progress:
            written = workflow.run_study(
                entry.name,
                tuple(MLP(integers("--hidden", shape), values["activation"]) for shape in shapes),
                training=trained,
                options=chosen,
                data=values["data"],
                backend=workflow.Backend(values["workers"], values["backend"], values["scheduler"]),
                out=values["out"],
                seed=values["seed"],
                progress=progress,
            )
        say(written)

    hidden = typer.Option(
        help="Units of each hidden layer, separated by commas; give it again for further networks.",
        metavar="N,N,...",
        show_default=" ".join(",".join(map(str, shape.hidden)) for shape in study.default_architectures),
    )
    before: dict[str, tuple[Any, Any]] = {
        "data": (Data, "mnist"),
        "hidden": (Annotated[list[str] | None, hidden], None),
        "activation": (Activation, first.activation),
    }
    after = RUNNING | {"out": (Out, None), "seed": (Seed, 0)}
    own = [option.parameter() for option in (*options, *training)]
    return run, [*_shared(before), *own, *_shared(after)]


def _parameters(needs: set[Need], n_controls: int, options: Sequence[Option]) -> list[inspect.Parameter]:
    """Return the parameters of a command, in the order in which help shows them."""
    shared: dict[str, tuple[Any, Any]] = {"data": (Data, "mnist")}
    if "network" in needs:
        shared = {"model": (Model, inspect.Parameter.empty)} | shared
    if "controls" in needs:
        from probe.controls import control_networks

        text = parameter_texts(control_networks)["n_networks"]
        shared["networks"] = (Annotated[int, typer.Option(help=text, metavar="N", max=MOST)], n_controls)
    ending = (READING if "network" in needs else {}) | {"out": (Out, None), "seed": (Seed, 0)}
    return [*_shared(shared), *(option.parameter() for option in options), *_shared(ending)]


def _shared(parameters: Mapping[str, tuple[Any, Any]]) -> Iterator[inspect.Parameter]:
    for name, (annotation, default) in parameters.items():
        yield inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
