"""The values that a page is made of, and the page as HTML."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from math import isfinite
from typing import TYPE_CHECKING, Any

from probe._signatures import checked
from probe.report._text import isolated, visible
from probe.report.report import Claim
from probe.stats import Verdict

if TYPE_CHECKING:
    from jinja2 import Template

__all__ = ["Claim", "Page", "Picture", "Section", "Table", "measured", "render"]


@checked
@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """A figure with its words.

    Attributes
    ----------
    name : str
        File name without ending.
    result : object
        What `probe.plot` draws.
    caption : str
        What to see.
    alt : str
        What is there, for those who cannot see it.
    view : mapping
        Further arguments of `probe.plot`, such as the part of a result with several figures.
    """

    name: str
    result: object
    caption: str
    alt: str
    view: Mapping[str, Any] = field(default_factory=dict)


@checked
@dataclass(frozen=True, slots=True)
class Table:
    """A table whose first column heads its rows."""

    caption: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@checked
@dataclass(frozen=True, slots=True, eq=False)
class Section:
    """A part of the page.

    Attributes
    ----------
    key : str
        Its anchor, and its key in results.json.
    title : str
        A question or statement.
    lead : tuple of str
        Paragraphs before everything else.
    pictures : tuple of Picture
    tables : tuple of Table
    numbers : mapping
        Every number that the section says, for results.json.
    """

    key: str
    title: str
    lead: tuple[str, ...]
    pictures: tuple[Picture, ...] = ()
    tables: tuple[Table, ...] = ()
    numbers: Mapping[str, object] = field(default_factory=dict)


@checked
@dataclass(frozen=True, slots=True, eq=False)
class Page:
    """A whole report.

    `heads` stand over its claims and over what was found; `kept` says in which file beside the page its
    subject is; `warning` what a reader must know before all else.
    """

    title: str
    subtitle: str
    claims: tuple[Claim, ...]
    sections: tuple[Section, ...]
    provenance: Mapping[str, str]
    heads: tuple[str, str] = ("Said in the video", "Found on this network")
    kept: str = "the network in model.h5"
    warning: str = ""


@checked
def render(page: Page, pictures: Mapping[str, bytes], thumbnails: Mapping[str, bytes] | None = None) -> str:
    """Return `page` as one self-contained HTML document.

    It loads nothing and runs no scripts: a content security policy allows its own style and pictures only. Text is
    escaped; names in quotation marks, cells of tables and words that are read from the right cannot turn the order of
    what is around them.

    Parameters
    ----------
    page : Page
        What to say.
    pictures : mapping
        PNG bytes by `Picture.name`.
    thumbnails : mapping, optional
        JPEG bytes by `Picture.name`: small pictures to stand beside the claims.
    """
    small = {} if thumbnails is None else thumbnails
    places: dict[str, list[int]] = {}
    for number, claim in enumerate(page.claims, start=1):
        if claim.picture in small:
            places.setdefault(str(claim.picture), []).append(number)
    return _template().render(
        page=page,
        pictures=_encoded(pictures),
        thumbnails=_encoded({name: small[name] for name in places}),
        thumbs=places,
        judged=any(claim.verdict is not None for claim in page.claims),
    )


def _encoded(pictures: Mapping[str, bytes]) -> dict[str, str]:
    return {name: base64.b64encode(content).decode("ascii") for name, content in pictures.items()}


def measured(verdict: Verdict) -> str:
    r"""Return a verdict's number with its interval; nothing where it has none.

    Examples
    --------
    >>> from probe.stats import Interval
    >>> measured(Verdict("c", "supported", 0.25, Interval(0.25, -0.125, 0.375, 0.95, 20), "null", "sentence"))
    '0.25 (−0.125\xa0to\xa00.375)'
    """
    if not isfinite(verdict.statistic):
        return ""
    ends = verdict.interval.low, verdict.interval.high
    number = _signed(verdict.statistic)
    if not all(map(isfinite, ends)):
        return number
    # No line ends inside the brackets.
    return f"{number} ({_signed(ends[0])}\N{NO-BREAK SPACE}to\N{NO-BREAK SPACE}{_signed(ends[1])})"


def _signed(value: float) -> str:
    return f"{value:.3g}".replace("-", "−")


def _fingerprint(text: str) -> str:
    """Return what a content security policy calls an element with this text."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")


@cache
def _template() -> Template:
    from jinja2 import Environment, StrictUndefined

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters.update(
        measured=measured, isolated=isolated, visible=visible, fingerprint=_fingerprint
    )
    return environment.from_string(files("probe.report").joinpath("page.html").read_text(encoding="utf-8"))


@dataclass(frozen=True, slots=True, eq=False)
class OldSection:
    """A section that is not worded by a template yet."""

    section: Section
    claims: tuple[Claim, ...]

    @property
    def key(self) -> str:
        return self.section.key

    @property
    def results(self) -> dict[str, Any]:
        return {}

    def rendered(self) -> Any:
        from markupsafe import Markup, escape

        from probe.figures import picture
        from probe.report._words import template
        from probe.report.report import RenderedSection

        pictures, html = {}, [f"<p>{isolated(line)}</p>" for line in self.section.lead]
        for each in self.section.pictures:
            pictures[each.name] = picture(each.result, **each.view)
            png = base64.b64encode(pictures[each.name]).decode()
            html.append(
                template("_figure").render(name=each.name, png=png, alt=each.alt, caption=each.caption)
            )
        for table in self.section.tables:
            head = "".join(
                f'<th scope="col"><bdi>{escape(visible(cell))}</bdi></th>' for cell in table.header
            )
            html.append(f"<div class='scroll'><table><caption>{isolated(table.caption)}</caption>")
            html.append(f"<thead><tr>{head}</tr></thead><tbody>")
            for first, *others in table.rows:
                cells = "".join(f"<td><bdi>{escape(visible(cell))}</bdi></td>" for cell in others)
                html.append(f'<tr><th scope="row"><bdi>{escape(visible(first))}</bdi></th>{cells}</tr>')
            html.append("</tbody></table></div>")
        return RenderedSection(self.key, self.section.title, Markup("\n".join(html)), self.claims, pictures)
