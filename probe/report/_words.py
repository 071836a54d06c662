"""What templates say numbers, names and counts with, and how their text becomes HTML."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Sequence
from functools import cache
from math import floor, isfinite, isnan
from typing import TYPE_CHECKING, Any

from markupsafe import Markup, escape

from probe.figures import parts_of
from probe.report._text import isolated, own, visible
from probe.stats import Verdict

if TYPE_CHECKING:
    from jinja2 import Environment, Template

__all__ = ["measured", "template"]


def measured(verdict: Verdict) -> str:
    r"""Return a verdict's number with its interval; nothing where it has none.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> from probe.stats import Interval
    >>> measured(SimpleNamespace(interval=Interval(0.25, -0.125, 0.375, 0.95, 20)))
    '0.25 (−0.125\xa0to\xa00.375)'
    """
    if not isfinite(verdict.interval.estimate):
        return ""
    # No line ends inside the brackets.
    number, _, ends = f"{verdict.interval:.3g;}".replace("-", "−").partition(" ")
    return f"{number} {ends.replace(' ', chr(0xA0))}".strip()


def formatted(value: object, spec: str) -> str:
    """Return a number, or an interval, as `format` writes it: `{{ share | fmt(".1%") }}`; "–" for NaN."""
    return "–" if value != value else format(value, spec)


def counted(n: int, noun: str, plural: str = "") -> str:
    """Return a count with its noun.

    Examples
    --------
    >>> counted(1, "unit"), counted(1200, "unit"), counted(2, "class", "classes")
    ('1 unit', '1,200 units', '2 classes')
    """
    return f"{n:,} {noun if n == 1 else plural or noun + 's'}"


def listed(items: Sequence[object], spec: str = "", last: str = "and") -> Markup:
    """Return "a, b and c" of values, each formatted; or "a, b, c" where `last` is empty.

    Examples
    --------
    >>> print(listed(["a", "b", "c"]), "|", listed([0.5, 1.0], ".0%", last=""))
    a, b and c | 50%, 100%
    """
    shown = [item if isinstance(item, Markup) else isolated(format(item, spec)) for item in items]
    if not last or len(shown) < 2:
        return Markup(", ").join(shown)
    return Markup(", ").join(shown[:-1]) + Markup(f" {escape(last)} ") + shown[-1]


def each(values: Iterable[object], template: str) -> list[str]:
    """Return values in a pattern each, for cells of a table: `{{ row("all", shares | each("{:.1%}")) }}`; "–" for NaN."""
    return ["–" if value != value else template.format(value) for value in values]


def flat(cells: Iterable[object]) -> list[object]:
    """Return the cells of a row, those in lists too."""
    return [item for cell in cells for item in (cell if isinstance(cell, list | tuple) else [cell])]


def floored(share: float) -> str:
    """Return `share` in per cent, rounded down, so that "at least" is true; "–" for NaN.

    Examples
    --------
    >>> floored(0.99996)
    '99.9%'
    """
    return "–" if isnan(share) else f"{floor(share * 1000) / 10:.1f}%"


def named(text: object) -> Markup:
    """Return a name, such as a layer's, in quotation marks; it cannot turn the order of the words around it."""
    return Markup("'") + own(visible(str(text))) + Markup("'")


def attribute(text: object) -> Markup:
    """Return text for an attribute or a title: no elements in it."""
    return escape(visible(str(text)))


def cell(value: object) -> Markup:
    """Return the content of an element of its own: whatever is in it cannot turn the order of words outside."""
    return value if isinstance(value, Markup) else attribute(value)


def fingerprint(text: str) -> str:
    """Return what a content security policy calls an element with this text."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")


@cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined, Undefined

    def shown(value: object) -> object:
        return value if isinstance(value, Markup | Undefined) else isolated(value)

    environment = Environment(
        loader=PackageLoader("probe.report"),
        autoescape=True,
        finalize=shown,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "attribute": attribute,
        "cell": cell,
        "counted": counted,
        "each": each,
        "fingerprint": fingerprint,
        "flat": flat,
        "floored": floored,
        "fmt": formatted,
        "listed": listed,
        "measured": measured,
        "name": named,
    }
    tables: Any = environment.get_template("_tables.html").module
    environment.globals |= {
        "table": tables.table,
        "head": tables.head,
        "row": tables.row,
        "parts_of": parts_of,
    }
    return environment


def template(name: str) -> Template:
    """Return the template `templates/<name>.html`. Whatever it writes out is escaped and kept in its place."""
    return _environment().get_template(f"{name}.html")
