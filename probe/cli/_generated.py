"""Commands made from the catalogue: their options are parameters of the analysis, in the words of its docstring."""

from __future__ import annotations

import inspect
import re
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Annotated, Any, Literal

import typer

from probe._errors import InputError
from probe.catalogue import ANALYSES, Analysis, Need, analysis_of
from probe.cli._shared import (
    MOST,
    READING,
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

__all__ = ["Option", "command_of", "generated", "option_name", "options_of", "parameter_texts"]


@dataclass(frozen=True, slots=True)
class Option:
    """An option of a command that is a parameter of a function.

    `parse` turns what was typed into the argument; `None` is never parsed.
    """

    name: str
    kind: Any
    default: Any
    text: str
    metavar: str | None
    parse: Callable[[str, Any], Any]

    @property
    def spelled(self) -> str:
        """Return how it is typed."""
        return f"--{option_name(self.name)}"

    def parameter(self) -> inspect.Parameter:
        """Return the parameter of the function that Typer makes a command of."""
        settings = typer.Option(
            self.spelled, help=self.text, metavar=self.metavar, show_default=self.default not in (None, "")
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
    """Return parameters of a function as options, with its defaults and the words of its docstring."""
    hints, texts = typing.get_type_hints(function), parameter_texts(function)
    signature = inspect.signature(function).parameters
    return [_option(name, hints[name], signature[name].default, texts[name]) for name in parameters]


def _option(name: str, hint: Any, default: Any, text: str) -> Option:
    kinds = [kind for kind in typing.get_args(hint) if kind is not type(None)]
    if type(None) in typing.get_args(hint) and len(kinds) == 1:
        hint = kinds[0]
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin is Literal:
        return Option(name, str, default, _with_choices(text, inner), "NAME", lambda _, value: value)
    if origin in (tuple, typing.get_origin(Sequence[int])):
        item = inner[0]
        parse = integers if item is int else numbers if item is float else names
        shown = (
            None
            if default is None
            else ",".join(f"{value:g}" if item is float else str(value) for value in default)
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
    analyses = [analysis_of(name) for name in command.analyses or (entry.name,)]
    options = options_of(function_of(entry), entry.options) if whole else []
    needs = {need for analysis in analyses for need in analysis.needs}

    def run(**values: Any) -> None:
        from probe import workflow

        chosen = {
            option.name: option.parse(option.spelled, values[option.name])
            for option in options
            if values[option.name] is not None
        }
        with drawn_progress() as progress:
            written = workflow.analyze(
                entry.name,
                values.get("model"),
                data=values["data"],
                reading=reading_of(**{name: values[name] for name in READING})
                if "network" in needs
                else None,
                n_controls=values.get("networks"),
                options=chosen,
                out=values["out"],
                seed=values["seed"],
                progress=progress,
            )
        say(written)

    shown = _parameters(needs, command.n_controls, options) if whole else []
    run.__name__, run.__doc__ = command.name, command.help
    run.__signature__ = inspect.Signature(shown)  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in shown}
    return run


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
