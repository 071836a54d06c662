"""The living page: its script and style, as they are joined into one file, and what the script reads.

The script is ES modules without dependencies, of three kinds: `model*.js` (numbers), `view*.js` (drawing), `controls*.js`
(events). Each imports names of the others in lines of their own and exports on the line of the definition, so that
joining them is dropping these words; top-level names are distinct over all files.
"""

from __future__ import annotations

import re
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable

from probe.pages.page.arrays import encoded, encoded_images
from probe.pages.page.encoding import MOST_MULTIPLICATIONS, MOST_WEIGHTS, encoded_network, why_not_alive

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
"""Of script files, in the order in which they are joined."""

_STYLES = ("page.css", "live.css")

_HEAD = "// The files with their comments: probe/pages/page in hidden-layer-probe.\n"

_IMPORT = re.compile(r'^import [^;]* from "\./([\w.]+)";\n', re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(?:async )?(?:const|let|function|class)\b\*? (\w+))", re.MULTILINE)
_COMMENT = re.compile(r"^ *(?:/\*\*.*?\*/|//[^\n]*)\n", re.MULTILINE | re.DOTALL)


@cache
def script() -> str:
    """Return the script of the page: all files in one, without imports, exports and comments on lines of their own."""
    joined = "\n".join(map(_text, _in_order()))
    return _HEAD + _EXPORT.sub("", _COMMENT.sub("", _IMPORT.sub("", joined)))


@cache
def module() -> str:
    """Return the same as a module that exports what its files do, for a notebook and for Node.

    Examples
    --------
    >>> module().splitlines()[-1].startswith("export { ")
    True
    """
    names = [name for path in _in_order() for name in _EXPORT.findall(_text(path))]
    return f"{script()}export {{ {', '.join(names)} }};\n"


@cache
def styles() -> str:
    """Return the style sheet of the page: all files in one."""
    names = {path.name for path in _folder().iterdir()}
    return "\n".join(_text(name) for name in _STYLES if name in names)


def _in_order() -> list[str]:
    """Return the names of the script files: by kind, then by name, but each after those that it imports from."""
    names = sorted(path.name for path in _folder().iterdir() if path.name.endswith(".js"))
    ordered = list[str]()
    seen = set[str]()

    def add(name: str) -> None:
        if name in seen:
            return
        seen.add(name)
        for needed in _IMPORT.findall(_text(name)):
            add(needed)
        ordered.append(name)

    for kind in _KINDS:
        for name in names:
            if name.startswith(kind):
                add(name)
    return ordered


def _folder() -> Traversable:
    return resources.files(__name__)


def _text(name: str) -> str:
    return _folder().joinpath(name).read_text("utf-8")
