"""Options of commands: parameters of a function, in the words of its docstring."""

from __future__ import annotations

import csv
import inspect
import re
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from probe._errors import InputError

__all__ = ["Option", "integers", "option_name", "options_of", "parsed", "path"]

_MOST = 1_000_000
"""Greatest count that an option takes: more is a slip of the finger, and would fill the memory."""

_SPELLED = {"edited": "out", "objectives": "objective", "pixel_range": "range"}
"""Options that are not called after their parameter."""

_METAVARS = {
    "data": "NAME|PATH",
    "edited": "OUT",
    "image_shape": "H,W",
    "image_size": "H,W",
    "input_shape": "H,W[,C]",
    "mean": "M[,M,M]",
    "objectives": "TERMS",
    "out": "FOLDER",
    "pixel_range": "LOW HIGH",
    "position": "ROW,COLUMN",
    "scheduler": "ADDRESS",
    "std": "S[,S,S]",
}
"""What stands for the values of some options in the help; the others have one by their type."""


@dataclass(frozen=True, slots=True)
class Option:
    """An option of a command that is a parameter of a function.

    Attributes
    ----------
    name : str
        Name of the parameter.
    kind : type
        Type of what is typed.
    default : object
        Value where nothing is typed; None leaves the parameter out.
    text : str
        Help.
    metavar : str or None
        What stands for the value in the help; None for a flag.
    parse : callable
        `parse(option, typed)` is the argument.
    shown : str
        The default that help shows where `default` is None.
    """

    name: str
    kind: Any
    default: Any
    text: str
    metavar: str | None
    parse: Callable[[str, Any], Any]
    shown: str = ""

    @property
    def spelled(self) -> str:
        """How it is typed."""
        return f"--{option_name(self.name)}"

    @property
    def default_text(self) -> str:
        """The default as it is typed; "" for none."""
        if self.default is None:
            return ""
        return f"{self.default:g}" if isinstance(self.default, float) else str(self.default)

    def parameter(self) -> inspect.Parameter:
        """Return the parameter of the function that Typer makes a command of."""
        settings = typer.Option(
            self.spelled,
            help=self.text,
            metavar=self.metavar,
            parser=path if self.kind is Path else None,
            show_default=self.shown or (self.default not in (None, "") and self.kind is not bool),
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
    return _SPELLED.get(parameter, parameter.removeprefix("n_").replace("_", "-"))


def options_of(
    function: Callable[..., Any], parameters: Sequence[str], defaults: object = None
) -> list[Option]:
    """Return parameters of a function, or fields of a dataclass, as options, with the words of its docstring.

    Their defaults are those of the function, or the values that `defaults` has.
    """
    hints, texts = typing.get_type_hints(function), parameter_texts(function)
    signature = inspect.signature(function).parameters
    return [
        _option(
            name,
            hints[name],
            signature[name].default if defaults is None else getattr(defaults, name),
            texts[name],
        )
        for name in parameters
    ]


def parsed(options: Sequence[Option], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments that were typed, or are defaults."""
    return {
        option.name: option.parse(option.spelled, values[option.name])
        for option in options
        if values[option.name] is not None
    }


def _option(name: str, hint: Any, default: Any, text: str) -> Option:
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        # Without None; of a value or several, several.
        hint = [kind for kind in typing.get_args(hint) if kind is not type(None)][-1]
        default = (default,) if typing.get_origin(hint) and isinstance(default, int) else default
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    item = inner[0] if inner else None
    if Literal in (origin, typing.get_origin(item)):
        choices = inner if origin is Literal else typing.get_args(item)
        text += f" One of {', '.join(choices)}."
    kind: Any = hint
    metavar: str | None = "NAME"
    parse: Callable[[str, Any], Any] = _as_it_is
    if origin is Mapping:
        kind, metavar, parse, default = list[str], "NAME=FORMULA", _assignments, None
    elif origin is list:
        default = None
    elif origin is Literal:
        kind = str
    elif origin is typing.get_origin(Sequence[int]) or (origin is tuple and Ellipsis in inner):
        kind, (metavar, parse) = str, _SEVERAL.get(item, ("NAME,...", _names))
        default = ",".join(f"{one:g}" if item is float else str(one) for one in default or ()) or None
    elif hint in _KINDS:
        kind, metavar, parse = _KINDS[hint]
    elif origin is not tuple:
        raise TypeError(f"no option can be made of {name}, which is a {hint}")
    return Option(name, kind, default, text, _METAVARS.get(name, metavar), parse)


def parameter_texts(function: Callable[..., Any]) -> dict[str, str]:
    """Return what the docstring of a function says of each parameter, in one line each and without marks of code."""
    _, _, rest = inspect.getdoc(function).partition("\nParameters\n----------\n")  # type: ignore[union-attr]
    section = re.split(r"\n\n[A-Z][a-z]+\n-{3,}\n", rest)[0]
    texts: dict[str, str] = {}
    for heading, body in re.findall(r"^(\S.*?) : .*\n((?:[ ]{4}.*\n?|\n)+)", section + "\n", re.MULTILINE):
        for name in heading.split(", "):
            texts[name] = re.sub(r"`{1,2}([^`]+)`{1,2}", r"\1", " ".join(body.split()))
    return texts


def path(text: str) -> Path:
    """Return the path that was typed; an empty one would mean the working directory."""
    if not text or "\0" in text:
        raise typer.BadParameter("a path must not be empty or hold a NUL")
    return Path(text)


def integers(option: str, text: str) -> tuple[int, ...]:
    """Return integers separated by commas; none for no text."""
    try:
        return tuple(int(part) for part in text.split(",")) if text.strip() else ()
    except ValueError:
        raise InputError(
            f"{option} must be integers separated by commas, such as 16,16; got {text!r}"
        ) from None


def _numbers(option: str, text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise InputError(
            f"{option} must be numbers separated by commas, such as 0,0.5,1; got {text!r}"
        ) from None


def _names(option: str, text: str) -> tuple[str, ...]:
    # A name with a comma in it is put in quotation marks.
    return tuple(part.strip() for part in next(csv.reader([text], skipinitialspace=True))) if text else ()


def _assignments(option: str, texts: Sequence[str]) -> dict[str, str]:
    pairs = [text.partition("=") for text in texts]
    wrong = [
        text
        for text, (name, sign, formula) in zip(texts, pairs, strict=True)
        if not (name and sign and formula.strip())
    ]
    if wrong:
        raise InputError(f"{option} must be NAME=FORMULA, such as scale='x / 127.5 - 1'; got {wrong[0]!r}")
    return {name: formula for name, _, formula in pairs}


def _count(option: str, value: int) -> int:
    if value > _MOST:
        raise InputError(f"{option} must be at most {_MOST:,}, got {value:,}")
    return value


def _units(option: str, text: str) -> slice:
    begin, colon, end = text.partition(":")
    if not (colon and begin.isdecimal() and end.isdecimal() and int(begin) < int(end)):
        raise InputError(f"{option} must be FIRST:END, such as 0:64 for the first 64; got {text!r}")
    return slice(int(begin), int(end))


def _as_it_is(option: str, value: Any) -> Any:
    return value


_KINDS: dict[Any, tuple[Any, str | None, Callable[[str, Any], Any]]] = {
    int: (int, "N", _count),
    float: (float, "X", _as_it_is),
    str: (str, "NAME", _as_it_is),
    bool: (bool, None, _as_it_is),
    Path: (Path, "PATH", _as_it_is),
    slice: (str, "FIRST:END", _units),
}
"""By the type of a parameter: the type of what is typed, what stands for it in the help, and how it is read."""

_SEVERAL: dict[Any, tuple[str, Callable[[str, str], Any]]] = {
    int: ("N,N,...", integers),
    float: ("X,X,...", _numbers),
}
"""By the type of the items of a parameter: what stands for them in the help, and how they are read."""
