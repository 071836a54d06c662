"""A section of a page: results, worded by a template; the claims that it makes and its pictures."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from markupsafe import Markup

from probe._signatures import checked
from probe.pages._drawing import Drawing, Drawn, Easel
from probe.pages._words import attribute, template
from probe.results import Record
from probe.stats import Decision, Verdict

__all__ = ["Claim", "RenderedSection", "Section"]


@checked
@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Section:
    """A part of a page: a template and what it reads.

    Attributes
    ----------
    key : str
        Its anchor, and its template: `probe/pages/templates/<key>.html`.
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
        words, drawings = self.worded()
        with Easel() as easel:
            return words.illustrated(dict(zip(drawings, easel.drawn([*drawings.values()]), strict=True)))

    def worded(self, length: Literal["full", "brief"] = "full") -> tuple[RenderedSection, dict[str, Drawing]]:
        """Return the section in words, and what is to be drawn into it, by name.

        A brief one leaves out large tables, and pictures that are aside; these are drawn all the same.
        """
        claims, drawings = list[Claim](), dict[str, Drawing]()

        def draw(
            name: str,
            result: Record,
            *,
            alt: object,
            caller: Callable[[], Markup],
            aside: bool = False,
            **view: Any,
        ) -> Markup:
            drawings[name] = Drawing(result, view)
            if aside and length == "brief":
                return Markup("")
            number = list(drawings).index(name)
            return Markup(template("_figure").render(name=name, number=number, alt=alt, caption=caller()))

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

        own = {
            "note": self.note,
            "brief": length == "brief",
            "picture": draw,
            "claim": claim,
            "verdict": verdict,
        }
        words: Any = template(self.key).make_module({**self.results, **self.facts, **own})
        title = Markup(words.title).striptags()
        return RenderedSection(self.key, title, Markup(words), tuple(claims)), drawings


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
    """A section in words: HTML, with the claims that it makes and its pictures by name, as PNG and as SVG."""

    key: str
    title: str
    html: Markup
    claims: tuple[Claim, ...]
    pictures: Mapping[str, bytes] = field(default_factory=dict)
    vectors: Mapping[str, bytes] = field(default_factory=dict)

    def illustrated(self, drawn: Mapping[str, Drawn]) -> RenderedSection:
        """Return the section with its pictures, in the order of `worded`."""
        in_order = [*drawn.values()]

        def filled(place: re.Match[str]) -> str:
            return f'src="data:image/png;base64,{_encoded(in_order[int(place[1])].png)}"'

        return replace(
            self,
            html=Markup(_PLACE.sub(filled, self.html)),
            pictures={name: each.png for name, each in drawn.items()},
            vectors={name: each.svg for name, each in drawn.items()},
        )

    def parted(self, names: Collection[str]) -> tuple[Markup, dict[str, Markup]]:
        """Return the section without the figures of these names, and these by name."""
        taken, shown = dict[str, Markup](), {str(attribute(name)): name for name in names}

        def left(figure: re.Match[str]) -> str:
            if figure[1] not in shown:
                return figure[0]
            taken[shown[figure[1]]] = Markup(figure[0].replace("<figure", '<figure class="still"', 1))
            return ""

        return Markup(_FIGURE.sub(left, self.html)), taken


# No text of a page has a "<" or a quotation mark of its own: what looks like this is ours.
_PLACE = re.compile(r'data-picture="([0-9]+)"')
_FIGURE = re.compile(r'<figure id="picture-([^"]+)">.*?</figure>\n?', re.DOTALL)


def _encoded(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")
