"""What templates say numbers, names and counts with, and how their text becomes HTML.

What files say can neither turn the order of the words around it nor break the page.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from math import floor, isfinite, isnan
from typing import TYPE_CHECKING, Any, Literal
from unicodedata import bidirectional, category

from markupsafe import Markup, escape

from probe.figures import parts_of
from probe.stats import Verdict

if TYPE_CHECKING:
    from jinja2 import Environment, Template

__all__ = ["isolated", "template"]

_QUOTED = re.compile(r"(?<![\w'])'([^'\n]+)'(?!\w)")
"""A name in a sentence, and no apostrophe."""

_RANGE = re.compile(r"\(([0-9.]+)%? to (?=[0-9.])")
"""The lower end of an interval without negative numbers."""

_KINDS = {"R": "R", "AL": "R", "AN": "R", "NSM": "N", "L": "L"}
"""Of bidirectional classes: R, read from the right; N, marks on another letter; L, read from the left; others are "-"."""

_RUN = re.compile("R(?:[^L]*[RN])?")
"""Words that are read from the right, in the kinds of their letters."""


def measured(verdict: Verdict, length: Literal["full", "brief"] = "full") -> str:
    """Return a verdict's number with its interval and, in full, what that is over; nothing where it has none.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> from probe.stats import Interval
    >>> measured(SimpleNamespace(interval=Interval(0.25, -0.125, 0.375, 0.95, 20), unit="", replicate="networks"))
    '0.25 (−0.125 to 0.375, 20 networks)'
    >>> share = SimpleNamespace(interval=Interval(0.25, 0.07, 0.52, 0.95, 16), unit="share", replicate="units")
    >>> measured(share), measured(share, "brief")
    ('25% (7–52%, 16 units)', '25% (7–52%)')
    """
    if not isfinite(verdict.interval.estimate):
        return ""
    spec = ".0%" if verdict.unit == "share" else ".3g"
    said = f"{verdict.interval:{spec};{verdict.replicate if length == 'full' else ''}}"
    return _RANGE.sub(r"(\1–", said.replace("-0%", "0%")).replace("-", "−")


def fmt(value: object, spec: str) -> str:
    """Return a number, or an interval, as `format` writes it: `{{ share | fmt(".1%") }}`; "–" for NaN."""
    return "–" if value != value else format(value, spec)


def each(values: Iterable[object], template: str) -> list[str]:
    """Return values in a pattern each, for cells of a table: `{{ row("all", shares | each("{:.1%}")) }}`; "–" for NaN."""
    return ["–" if value != value else template.format(value) for value in values]


def floored(share: float) -> str:
    """Return `share` in per cent, rounded down, so that "at least" is true; "–" for NaN.

    Examples
    --------
    >>> floored(0.99996)
    '99.9%'
    """
    return "–" if isnan(share) else f"{floor(share * 1000) / 10:.1f}%"


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
    if last and len(shown) > 1:
        shown[-2:] = [Markup(f" {escape(last)} ").join(shown[-2:])]
    return Markup(", ").join(shown)


def flat(cells: Iterable[object]) -> list[object]:
    """Return the cells of a row, those in lists too."""
    return [item for cell in cells for item in (cell if isinstance(cell, list | tuple) else [cell])]


def name(text: object) -> Markup:
    """Return a name, such as a layer's, in quotation marks; it cannot turn the order of the words around it."""
    return Markup("'{}'").format(_own(visible(str(text))))


def attribute(text: object) -> Markup:
    """Return text for an attribute or a title: no elements in it."""
    return escape(visible(str(text)))


def cell(value: object) -> Markup:
    """Return the content of an element of its own: whatever is in it cannot turn the order of words outside."""
    return value if isinstance(value, Markup) else attribute(value)


def fingerprint(text: str) -> str:
    """Return what a content security policy calls an element with this text."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")


def visible(text: str) -> str:
    r"""Return `text` with what cannot be seen written out: controls, marks of direction, halves of characters.

    Examples
    --------
    >>> visible("a\u202eb\x1b[31m"), visible("two\nlines")
    ('a\\u202eb\\x1b[31m', 'two\nlines')
    """
    # Most text has none of this.
    if text.isprintable():
        return text
    return "".join(
        letter
        if letter in "\n\t" or category(letter) not in ("Cc", "Cf", "Cs")
        else letter.encode("unicode_escape").decode("ascii")
        for letter in text
    )


def isolated(text: object) -> Markup:
    """Return text as HTML, with names in quotation marks and words read from the right in elements of their own.

    Examples
    --------
    >>> print(isolated("layer 'conv_1' & the network's 2 units"))
    layer &#39;<bdi>conv_1</bdi>&#39; &amp; the network&#39;s 2 units
    """
    shown = visible(str(text))
    return _with_own(shown, (quoted.span(1) for quoted in _QUOTED.finditer(shown)), _turned)


def _turned(text: str) -> Markup:
    """Return text with each run of words that are read from the right in an element of its own."""
    if text.isascii():
        return escape(text)
    kinds = "".join(_KINDS.get(bidirectional(letter), "-") for letter in text)
    return _with_own(text, (run.span() for run in _RUN.finditer(kinds)), escape)


def _with_own(text: str, spans: Iterable[tuple[int, int]], outside: Callable[[str], Markup]) -> Markup:
    """Return text with the parts at these spans in elements of their own."""
    parts, done = list[Markup](), 0
    for start, end in spans:
        parts += [outside(text[done:start]), _own(text[start:end])]
        done = end
    return Markup("").join([*parts, outside(text[done:])])


def _own(text: str) -> Markup:
    """Return text as an element of its own: it cannot turn the order of the words around it."""
    return Markup("<bdi>{}</bdi>").format(text)


@cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined, Undefined

    def shown(value: object) -> object:
        return value if isinstance(value, Markup | Undefined) else isolated(value)

    environment = Environment(
        loader=PackageLoader("probe.pages"),
        autoescape=True,
        finalize=shown,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters = (attribute, cell, counted, each, fingerprint, flat, floored, fmt, listed, measured, name)
    environment.filters |= {filter_.__name__: filter_ for filter_ in filters}
    tables: Any = environment.get_template("_tables.html").module
    environment.globals |= {word: getattr(tables, word) for word in ("table", "head", "row")}
    environment.globals["parts_of"] = parts_of
    return environment


def template(name: str) -> Template:
    """Return the template `templates/<name>.html`. Whatever it writes out is escaped and kept in its place."""
    return _environment().get_template(f"{name}.html")
