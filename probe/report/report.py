"""A report as a value: sections of results, each worded by a template; here it is drawn and rendered."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from importlib import resources
from typing import Any

import numpy as np
from markupsafe import Markup

from probe._progress import Progress, ProgressEvent, silent
from probe._signatures import checked
from probe.figures import picture
from probe.report._words import template
from probe.results import Record
from probe.stats import Decision, Verdict, holm

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

        def claim(
            statement: str,
            *,
            caller: Callable[[], Markup],
            picture: str | None = None,
            said: str = "",
            minute: str = "",
        ) -> Markup:
            found = caller().striptags()
            claims.append(Claim(statement, found, self.key, picture=picture, said=said, minute=minute))
            return Markup("")

        def verdict(verdict: Verdict, *, title: str | None = None, picture: str | None = None) -> Markup:
            statement = verdict.title if title is None else title
            claims.append(
                Claim(statement, verdict.sentence, self.key, verdict, picture, verdict.said, verdict.minute)
            )
            return Markup("")

        own = {"note": self.note, "picture": draw, "claim": claim, "verdict": verdict}
        words: Any = template(self.key).make_module({**self.results, **self.facts, **own})
        return RenderedSection(
            self.key, Markup(words.title).striptags(), Markup(words), tuple(claims), pictures
        )


@checked
@dataclass(frozen=True, slots=True)
class Claim:
    """A statement and what was found.

    Attributes
    ----------
    statement : str
        What is claimed.
    found : str
        What was found, in a sentence.
    section : str
        Key of the section that has the details.
    verdict : Verdict, optional
        What was decided of it, with its number and interval; none where something is only described.
    picture : str, optional
        Name of a picture of that section.
    said, minute : str
        The words of the video that it is about, and where they are said. A claim with such words is primary; all others
        are exploratory.
    p_holm : float in [0, 1]
        The verdict's p-value, adjusted for the primary claims of the page; NaN where nothing was tested, or the claim is
        exploratory.
    """

    statement: str
    found: str
    section: str
    verdict: Verdict | None = None
    picture: str | None = None
    said: str = ""
    minute: str = ""
    p_holm: float = np.nan

    @property
    def is_primary(self) -> bool:
        """Whether it is about words of the video."""
        return bool(self.said)

    @property
    def decision(self) -> Decision | None:
        """The verdict's decision, after the correction for the number of primary claims; None where there is none."""
        if self.verdict is None:
            return None
        return "inconclusive" if self.is_taken_away else self.verdict.decision

    @property
    def is_taken_away(self) -> bool:
        """Whether the test alone decides, and the correction takes that away."""
        if self.verdict is None or self.verdict.decision == "inconclusive":
            return False
        return self.p_holm >= 1 - self.verdict.interval.level

    def to_dict(self) -> dict[str, object]:
        """Return the claim as plain values; of its verdict the key and the decisions, before and after the correction."""
        return {
            "statement": self.statement,
            "said": self.said,
            "minute": self.minute,
            "found": self.found,
            "section": self.section,
            "picture": self.picture,
            "verdict": None if self.verdict is None else self.verdict.key,
            "decision": self.decision,
            "uncorrected": None if self.verdict is None else self.verdict.decision,
            "p_holm": self.p_holm,
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
    kept : str
        What is in which file beside the page, in words.
    warning : str
        What a reader must know before all else.
    """

    title: str
    subtitle: str
    sections: tuple[Section, ...]
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
        """The primary claims in the order of the video, corrected for their number; then all others."""
        claims = [claim for section in self.sections for claim in section.claims]
        primary = sorted((claim for claim in claims if claim.is_primary), key=_when)
        adjusted = holm(np.array([_p_value(claim) for claim in primary]))
        corrected = [replace(claim, p_holm=float(p)) for claim, p in zip(primary, adjusted, strict=True)]
        return *corrected, *(claim for claim in claims if not claim.is_primary)

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
        pictures, claims = self.pictures, self.claims
        primary = [claim for claim in claims if claim.is_primary]
        for number, claim in enumerate(primary, start=1):
            if claim.picture in pictures:
                numbers.setdefault(claim.picture, []).append(number)
        return template("page").render(
            page=self.report,
            primary=primary,
            others=claims[len(primary) :],
            sections=self.sections,
            thumbnails={name: _encoded(_thumbnail(pictures[name])) for name in numbers},
            thumbs=numbers,
            general=in_general(),
            origin=origin,
        )


@cache
def in_general() -> Mapping[str, str]:
    """Return what a recorded run of `probe robustness` says of claims about networks in general, by their keys.

    `scripts/record_robustness.py` writes the file.
    """
    recorded = resources.files("probe.report") / "general.json"
    sentences: dict[str, str] = json.loads(recorded.read_text(encoding="utf-8"))["sentences"]
    return sentences


def _when(claim: Claim) -> tuple[int, ...]:
    """Return minute and second of the video."""
    return tuple(int(part) for part in claim.minute.split(":"))


def _p_value(claim: Claim) -> float:
    return np.nan if claim.verdict is None else claim.verdict.p_value


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
