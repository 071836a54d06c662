"""The command line: it parses, calls `probe.workflow`, and says what was written."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from probe._errors import InputError
from probe.cli._commands import COMMANDS, command_of
from probe.cli._options import option_name
from probe.cli._screen import (
    SAID,
    is_lack_of_memory,
    is_of_a_killed_worker,
    one_line,
    put,
    put_warnings,
    remedy,
)

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


def app(wanted: str | None = None) -> typer.Typer:
    """Return the command line; only the `wanted` command has its options, or all if none is named.

    What a command runs is imported where its options are asked for.
    """
    made = typer.Typer(
        name="probe",
        help="Look inside the hidden layers of trained networks, and test what they learned.",
        epilog="Examples:  probe report   |   probe report my_model.h5 --data mnist   |   probe train --hidden 64",
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    made.callback(invoke_without_command=True)(probe_command)
    for name, line in COMMANDS.items():
        examples = "   |   ".join(f"probe {example}" for example in line.examples)
        epilog = f"Example{'s' * (len(line.examples) > 1)}:  {examples}"
        made.command(name=name, epilog=epilog)(command_of(name, whole=wanted in (None, name)))
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


_OTHERWISE = {
    "architectures": "hidden",
    "class_names": "classes",
    "images": "",
    "radius": "ball",
    "pixels": "shift",
}
"""Arguments of functions below that are options of another name."""


def _as_option(message: str, arguments: Sequence[str]) -> str:
    """Return `message` with the argument that it begins with spelled as an option of the command in use."""
    name, _, rest = message.partition(" ")
    command = typer.main.get_command(app(arguments[0])).commands.get(arguments[0])  # type: ignore[attr-defined]
    options = {option for parameter in command.params for option in parameter.opts} if command else set()
    option = f"--{option_name(_OTHERWISE.get(name, name))}"
    return f"{option} {rest}" if option in options and rest.startswith("must") else message


def _fail(message: str) -> int:
    put(f"probe: {one_line(message)}", err=True)
    return 2
