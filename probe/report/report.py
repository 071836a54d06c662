"""A report as a value: sections of results, each worded by a template; here it is drawn and rendered."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from markupsafe import Markup

from probe._progress import Progress, ProgressEvent, silent
from probe._signatures import checked
from probe.figures import picture
from probe.report._words import template
from probe.results import Record
from probe.stats import Verdict

__all__ = ["Claim", "Rendered", "RenderedSection", "Report", "Section"]


@checked
@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Section:
    """A part of a page: a template and what it reads.

    Attributes
    ----------
    key : str
        Its anchor, and its template: `probe/report/templates/<key>.html`.
    results : mapping of str to Record
        What the template reads, by the names under which results.json and results.h5 keep them.
    facts : mapping
        What else the template reads.
    note : str
        What to say after the lead, such as that the section is a reduced form.
    """

    key: str
    results: Mapping[str, Record] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)
    note: str = ""

    def rendered(self) -> RenderedSection:
        """Return the section in words and pictures."""
        claims, pictures = list[Claim](), dict[str, bytes]()

        def draw(
            name: str, result: Record, *, alt: object, caller: Callable[[], Markup], **view: Any
        ) -> Markup:
            png = pictures[name] = picture(result, **view)
            html = template("_figure").render(name=name, png=_encoded(png), alt=alt, caption=caller())
            return Markup(html)

        def claim(statement: str, *, caller: Callable[[], Markup], picture: str | None = None) -> Markup:
            claims.append(Claim(statement, caller().striptags(), self.key, None, picture))
            return Markup("")

        def verdict(verdict: Verdict, *, title: str | None = None, picture: str | None = None) -> Markup:
            statement = verdict.title if title is None else title
            claims.append(Claim(statement, verdict.sentence, self.key, verdict, picture))
            return Markup("")

        own = {"note": self.note, "picture": draw, "claim": claim, "verdict": verdict}
        words: Any = template(self.key).make_module({**self.results, **self.facts, **own})
        return RenderedSection(
            self.key, Markup(words.title).striptags(), Markup(words), tuple(claims), pictures
        )


@checked
@dataclass(frozen=True, slots=True)
class Claim:
    """A statement of the video and what was found.

    Attributes
    ----------
    statement : str
        What is claimed.
    found : str
        What was found, in a sentence.
    section : str
        Key of the section that has the details.
    verdict : Verdict, optional
        The decision over networks, its number and interval; none where one network is only described.
    picture : str, optional
        Name of a picture of that section.
    """

    statement: str
    found: str
    section: str
    verdict: Verdict | None = None
    picture: str | None = None

    def to_dict(self) -> dict[str, object]:
        """Return the claim as plain values; of its verdict the key and the decision."""
        return {
            "statement": self.statement,
            "found": self.found,
            "section": self.section,
            "picture": self.picture,
            "verdict": None if self.verdict is None else self.verdict.key,
            "decision": None if self.verdict is None else self.verdict.decision,
        }


@dataclass(frozen=True, slots=True, eq=False)
class RenderedSection:
    """A section in words: HTML, with the claims that it makes and its pictures as PNG by name."""

    key: str
    title: str
    html: Markup
    claims: tuple[Claim, ...]
    pictures: Mapping[str, bytes]


@checked
@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Report:
    """A whole page.

    Attributes
    ----------
    title, subtitle : str
    sections : tuple of Section
        In the order of the page.
    heads : (str, str)
        What stands over its claims and over what was found.
    kept : str
        What is in which file beside the page, in words.
    warning : str
        What a reader must know before all else.
    """

    title: str
    subtitle: str
    sections: tuple[Section, ...]
    heads: tuple[str, str] = ("Said in the video", "Found")
    kept: str = ""
    warning: str = ""

    @property
    def results(self) -> dict[str, Record]:
        """The results of all sections by name."""
        return {name: result for section in self.sections for name, result in section.results.items()}

    def rendered(self, progress: Progress = silent) -> Rendered:
        """Return the report in words and pictures; `progress` is called after each section."""
        done = []
        for section in self.sections:
            done.append(section.rendered())
            progress(ProgressEvent("drawing", len(done), len(self.sections)))
        return Rendered(self, tuple(done))


@dataclass(frozen=True, slots=True, eq=False)
class Rendered:
    """A report in words and pictures; all but the foot of its page."""

    report: Report
    sections: tuple[RenderedSection, ...]

    @property
    def claims(self) -> tuple[Claim, ...]:
        """What stands at the head of the page."""
        return tuple(claim for section in self.sections for claim in section.claims)

    @property
    def pictures(self) -> dict[str, bytes]:
        """All pictures as PNG by name."""
        return {name: png for section in self.sections for name, png in section.pictures.items()}

    def html(self, origin: Mapping[str, str]) -> str:
        """Return one self-contained HTML document; `origin` is what its foot says of how it was made.

        It loads nothing and runs no scripts: a content security policy allows its own style and pictures only. Text is
        escaped; names and words that are read from the right cannot turn the order of what is around them.
        """
        numbers: dict[str, list[int]] = {}
        pictures = self.pictures
        for number, claim in enumerate(self.claims, start=1):
            if claim.picture in pictures:
                numbers.setdefault(claim.picture, []).append(number)
        return template("page").render(
            page=self.report,
            claims=self.claims,
            sections=self.sections,
            thumbnails={name: _encoded(_thumbnail(pictures[name])) for name in numbers},
            thumbs=numbers,
            judged=any(claim.verdict is not None for claim in self.claims),
            origin=origin,
        )


def _encoded(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")


def _thumbnail(png: bytes) -> bytes:
    """Return a picture as a small JPEG, for the table of claims."""
    from PIL import Image

    image = Image.open(io.BytesIO(png)).convert("RGB")
    image.thumbnail((264, 192), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    image.save(buffer, format="JPEG", quality=80, optimize=True)
    return buffer.getvalue()
