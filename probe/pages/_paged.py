"""Sections put together to chapters: what answers each question, and which picture stands for it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from probe.pages.chapters import CHAPTERS, Chapter, chapter_of
from probe.pages.section import Claim, RenderedSection

__all__ = ["ChapterPage", "head_picture", "paged"]

_HEAD = "weights_1"
"""The picture at the head of a whole report."""


@dataclass(frozen=True, slots=True, eq=False)
class ChapterPage:
    """A chapter of one page.

    Attributes
    ----------
    chapter : Chapter
    sections : tuple of (RenderedSection, Markup)
        With what of each stands in the details.
    answer : str
        Its answer in a sentence; "" where the statement of `claim` is the answer.
    claim : Claim, optional
        What the answer rests on; none where nothing is claimed.
    findings : tuple of Claim
        The exploratory claims of its sections.
    still : Markup
        The figure that stands for it; empty where it has none.
    commands : tuple of str
        What says it in full.
    """

    chapter: Chapter
    sections: tuple[tuple[RenderedSection, Markup], ...]
    answer: str
    claim: Claim | None
    findings: tuple[Claim, ...]
    still: Markup
    commands: tuple[str, ...]


def head_picture(chapters: Sequence[Chapter], sections: Iterable[RenderedSection]) -> Markup:
    """Return the figure at the head of a whole report; an empty one on other pages, and where there is none."""
    if not chapters:
        return Markup("")
    return _still(sections, [_HEAD])


def paged(
    chapters: Sequence[Chapter], sections: Sequence[RenderedSection], claims: Sequence[Claim]
) -> tuple[ChapterPage, ...]:
    """Return the chapters of a page: those of `chapters`, and all others that it has sections of.

    Parameters
    ----------
    chapters : sequence of Chapter
        Those that are there in any case, and name the commands that say them in full.
    sections : sequence of RenderedSection
    claims : sequence of Claim
        All of the page, corrected for their number.
    """
    own = [
        Chapter(key=each.key, question=each.title, sections=(each.key,))
        for each in sections
        if chapter_of(each.key) is None
    ]
    present = tuple(section.key for section in sections)
    used = {_HEAD} if head_picture(chapters, sections) else set[str]()
    return tuple(
        _page(
            chapter,
            [section for key in chapter.sections for section in sections if section.key == key],
            [claim for claim in claims if claim.section in chapter.sections],
            used,
            chapter.commands if chapter in chapters else (),
        )
        for chapter in (*CHAPTERS, *own)
        if chapter in chapters or set(present).intersection(chapter.sections)
    )


def _page(
    chapter: Chapter,
    sections: Sequence[RenderedSection],
    claims: Sequence[Claim],
    used: set[str],
    commands: tuple[str, ...],
) -> ChapterPage:
    claim, answer = _answer(chapter, claims)
    pictures = {name for section in sections for name in section.pictures} - used
    wanted = [*chapter.stills, *([claim.picture] if claim and claim.picture else []), *sorted(pictures)]
    chosen = next((name for name in wanted if name in pictures), "")
    return ChapterPage(
        chapter,
        tuple((section, section.parted({chosen, *used})[0]) for section in sections),
        answer,
        claim,
        tuple(each for each in claims if not each.is_primary),
        _still(sections, [chosen]),
        commands,
    )


def _answer(chapter: Chapter, claims: Sequence[Claim]) -> tuple[Claim | None, str]:
    """Return the claim that a chapter's answer rests on, and the answer in words where the chapter has some."""
    by_key = {claim.verdict.key: claim for claim in reversed(claims) if claim.verdict is not None}
    for number, key in enumerate(chapter.claims):
        if key in by_key:
            claim = by_key[key]
            assert claim.decision is not None
            return claim, chapter.answers[claim.decision] if number == 0 else ""
    judged = [claim for claim in claims if claim.verdict is not None]
    return next(iter([*judged, *claims]), None), ""


def _still(sections: Iterable[RenderedSection], names: Sequence[str]) -> Markup:
    """Return the figure of the first of these pictures that there is; an empty one where there is none."""
    found = {name: figure for section in sections for name, figure in section.parted(names)[1].items()}
    return next((found[name] for name in names if name in found), Markup(""))
