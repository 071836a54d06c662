"""The living page: its script and style, as they are joined into one file, and what the script reads.

The script is ES modules without dependencies, of three kinds: `model*.js` (numbers), `view*.js` (drawing), `controls*.js`
(events). Each imports names of the others in lines of their own and exports on the line of the definition, so that
joining them is dropping these words.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cache
from importlib import resources

from probe.report.page.encoding import (
    MOST_MULTIPLICATIONS,
    MOST_WEIGHTS,
    encoded,
    encoded_images,
    encoded_network,
    why_not_alive,
)

__all__ = [
    "MOST_MULTIPLICATIONS",
    "MOST_WEIGHTS",
    "encoded",
    "encoded_images",
    "encoded_network",
    "module",
    "script",
    "styles",
    "why_not_alive",
]

_KINDS = ("model", "view", "controls")
"""Of script files, in the order in which they are joined: each reads names of those before it."""

_STYLES = ("page.css", "live.css")

_IMPORT = re.compile(r"^import\b[^;]*;\n", re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(?:async |const |let |function|class )+\*? ?(\w+))", re.MULTILINE)


@cache
def script() -> str:
    """Return the script of the page: all files in one, without imports and exports."""
    return _EXPORT.sub("", _joined(_script_names()))


@cache
def module() -> str:
    """Return the same as a module that exports what its files do, for a notebook and for Node.

    Examples
    --------
    >>> module().splitlines()[-1].startswith("export {")
    True
    """
    names = re.findall(
        r"^export (?:async )?(?:const|let|function|class)\*? (\w+)", _joined(_script_names()), re.MULTILINE
    )
    return f"{script()}export {{ {', '.join(names)} }};\n"


@cache
def styles() -> str:
    """Return the style sheet of the page: all files in one."""
    folder = resources.files(__name__)
    return _joined(name for name in _STYLES if folder.joinpath(name).is_file())


def _script_names() -> Sequence[str]:
    """Return the script files that there are, each after the ones that it imports from, else by name."""
    names = sorted(path.name for path in resources.files(__name__).iterdir() if path.name.endswith(".js"))
    needs = {name: re.findall(r'^import .* from "\./(\S+)";$', _text(name), re.MULTILINE) for name in names}
    ordered = list[str]()

    def add(name: str) -> None:
        if name not in ordered:
            for needed in needs[name]:
                add(needed)
            ordered.append(name)

    for kind in _KINDS:
        for name in names:
            if name.startswith(kind):
                add(name)
    return ordered


def _joined(names: Iterator[str] | Sequence[str]) -> str:
    return _IMPORT.sub("", "\n".join(map(_text, names)))


def _text(name: str) -> str:
    return resources.files(__name__).joinpath(name).read_text("utf-8")
