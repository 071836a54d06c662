"""What is in a Markdown page: its links, its commands, its programs."""

import re
import shlex
from pathlib import Path

import typer

from probe.cli import app

ROOT = Path(__file__).resolve().parent.parent


def links(page):
    """Return what the page links to, but for addresses on the web and parts of a page."""
    return re.findall(r"\]\((?!https?:)([^)#]+)[^)]*\)", page.read_text(encoding="utf-8"))


def command_lines(page):
    """Return the command lines that call probe, without its name."""
    return re.findall(r"^    \.venv/bin/probe (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)


def check_command(line):
    """Raise unless a command line parses."""
    name, *arguments = shlex.split(line)
    command = typer.main.get_command(app()).commands[name]
    command.make_context(name, list(arguments))


def programs(page):
    """Return the blocks of Python."""
    return re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
