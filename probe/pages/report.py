"""A report as a value: sections of results, put together to a page of chapters."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from importlib import resources
from typing import Literal, Self

import numpy as np

from probe._progress import Progress, silent
from probe._signatures import checked
from probe.pages._drawing import Drawing, Easel
from probe.pages._embedded import embedded, live_script, live_style, static_style
from probe.pages._paged import head_picture, paged
from probe.pages._words import template
from probe.pages.chapters import Chapter
from probe.pages.section import Claim, RenderedSection, Section
from probe.results import Record
from probe.stats import holm

__all__ = ["Draft", "Rendered", "Report"]

MOST_CLAIMS = 12
"""Claims in the head of a page, at most."""


@checked
@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Report:
    """A whole page.

    Attributes
    ----------
    title, subtitle : str
    sections : tuple of Section
        In the order of the page; those of a chapter are put together.
    chapters : tuple of Chapter
        Those that the page has in any case, and in which order. What was not run names the command that runs it.
    kept : str
        What is in which file beside the page, in words.
    warning : str
        What a reader must know before all else.
    index : str
        Address of the index of reports that it is in; "" if there is none.
    live : mapping of str to object
        What the page's script reads, as values that JSON holds. The page has no script without.
    """

    title: str
    subtitle: str
    sections: tuple[Section, ...]
    chapters: tuple[Chapter, ...] = ()
    kept: str = ""
    warning: str = ""
    index: str = ""
    live: Mapping[str, object] = field(default_factory=dict)

    @property
    def results(self) -> dict[str, Record]:
        """The results of all sections by name."""
        return {name: result for section in self.sections for name, result in section.results.items()}

    def rendered(self, progress: Progress = silent, draft: Draft | None = None) -> Rendered:
        """Return the report in words and pictures; `progress` is called after each picture.

        What is in the `draft` already is taken from there.
        """
        if draft is None:
            # Of a whole report the commands say the rest.
            with Draft("brief" if self.chapters else "full") as own:
                return self.rendered(progress, own)
        return Rendered(self, draft.rendered(self.sections, progress))


class Draft:
    """Sections of a page that is still made: in a `with` block, after which no process draws for it any more.

    Parameters
    ----------
    length : {"full", "brief"}
        As of `Section.worded`.
    """

    def __init__(self, length: Literal["full", "brief"]) -> None:
        self._length, self._easel = length, Easel()
        self._worded: dict[Section, tuple[RenderedSection, dict[str, Drawing]]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._easel.close()

    def prepare(self) -> None:
        """Let processes get ready to draw, where sections will come soon."""
        self._easel.prepare()

    def add(self, section: Section) -> None:
        """Put a section in words, and let its pictures be drawn meanwhile."""
        self._easel.begin(self._in_words(section)[1].values())

    def rendered(self, sections: Sequence[Section], progress: Progress) -> tuple[RenderedSection, ...]:
        """Return sections in words and pictures; `progress` is called after each picture."""
        worded = [self._in_words(section) for section in sections]
        drawings = [drawing for _, some in worded for drawing in some.values()]
        pictures = iter(self._easel.drawn(drawings, progress))
        return tuple(words.illustrated({name: next(pictures) for name in some}) for words, some in worded)

    def _in_words(self, section: Section) -> tuple[RenderedSection, dict[str, Drawing]]:
        if section not in self._worded:
            self._worded[section] = section.worded(self._length)
        return self._worded[section]


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

    @property
    def vectors(self) -> dict[str, bytes]:
        """All pictures as SVG by name."""
        return {name: svg for section in self.sections for name, svg in section.vectors.items()}

    def html(self, origin: Mapping[str, str]) -> str:
        """Return one self-contained HTML document; `origin` is what its foot says of how it was made.

        It loads nothing, and runs nothing but its own script where it has live data: a content security policy allows
        its own style, script and pictures only. Text is escaped; names and words that are read from the right cannot
        turn the order of what is around them.
        """
        claims, live = self.claims, self.report.live
        primary = [claim for claim in claims if claim.is_primary]
        return template("page").render(
            page=self.report,
            style=live_style() if live else static_style(),
            script=live_script() if live else "",
            data=embedded(live) if live else "",
            primary=primary[:MOST_CLAIMS],
            n_primary=len(primary),
            still=head_picture(self.report.chapters, self.sections),
            chapters=paged(self.report.chapters, self.sections, claims),
            general=in_general(),
            has_pictures=bool(self.pictures),
            origin=origin,
        )


@cache
def in_general() -> Mapping[str, str]:
    """Return what a recorded run of `probe robustness` says of claims about networks in general, by their keys.

    `scripts/record_robustness.py` writes the file.
    """
    recorded = resources.files("probe.pages") / "general.json"
    sentences: dict[str, str] = json.loads(recorded.read_text(encoding="utf-8"))["sentences"]
    return sentences


def _when(claim: Claim) -> tuple[int, ...]:
    """Return minute and second of the video."""
    return tuple(int(part) for part in claim.minute.split(":"))


def _p_value(claim: Claim) -> float:
    return np.nan if claim.verdict is None else claim.verdict.p_value
