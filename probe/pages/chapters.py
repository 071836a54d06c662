"""The chapters of a page, in the order of the video: which question, what answers it, and what belongs to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from probe._signatures import checked
from probe.catalogue import ANALYSES

__all__ = ["CHAPTERS", "Chapter", "chapter_of"]


@checked
@dataclass(frozen=True, slots=True, kw_only=True)
class Chapter:
    """A question, and what belongs to it.

    Attributes
    ----------
    key : str
        Its anchor is `chapter-<key>`.
    question : str
        Its heading.
    sections : tuple of str
        Keys of the sections that say how we know, in the order of the page.
    claims : tuple of str
        Keys of the verdicts that answer it, the most telling one first.
    answers : mapping of str to str
        For each decision on the first of these, the answer in a sentence.
    stills : tuple of str
        Names of pictures that can stand for it: the first that there is does.
    play : str
        What the page's script may put in the place of the picture; "" for nothing.
    """

    key: str
    question: str
    sections: tuple[str, ...]
    claims: tuple[str, ...] = ()
    answers: Mapping[str, str] = field(default_factory=dict)
    stills: tuple[str, ...] = ()
    play: str = ""

    @property
    def commands(self) -> tuple[str, ...]:
        """The commands that run its sections, as they are typed.

        Examples
        --------
        >>> chapter_of("noise").commands
        ('probe noise MODEL', 'probe severity MODEL')
        """
        found = dict[str, None]()
        for entry in ANALYSES:
            if entry.command is not None and set(entry.sections or {entry.key: ""}).intersection(
                self.sections
            ):
                found[f"probe {entry.command.name}" + " MODEL" * ("network" in entry.needs)] = None
        return tuple(found)


CHAPTERS = (
    Chapter(
        key="learning",
        question="How does it learn?",
        sections=("training", "descent", "activations", "path"),
        claims=("continuous", "steepest"),
        answers={
            "supported": "By many small steps downhill, which work only if units can be more or less on.",
            "refuted": "By many small steps downhill, even where units are only on or off.",
            "inconclusive": "By many small steps downhill; whether units must be more or less on is open here.",
        },
        stills=("activations", "training", "descent", "path"),
        play="learning",
    ),
    Chapter(
        key="units",
        question="What do hidden units look for?",
        sections=("weights", "structure", "concepts", "paths", "unit"),
        claims=("edges", "random", "loops"),
        answers={
            "supported": "Most units of the first layer look for little edges.",
            "refuted": "Not for little edges, as one might hope.",
            "inconclusive": "Whether they look for little edges is open here.",
        },
        stills=("structure", "concepts_loops", "concepts", "weights_1"),
        play="units",
    ),
    Chapter(
        key="drawing",
        question="Can it draw?",
        sections=("maximize", "drawing"),
        claims=("drawing",),
        answers={
            "supported": "No: for most classes, what it draws could not be real, or others do not recognize it.",
            "refuted": "Yes: for most classes, what it draws could be real, and others recognize it.",
            "inconclusive": "That is open here: it draws some classes, and others not.",
        },
        stills=("drawing", "maximize_classes", "maximize_objectives", "maximize_units"),
        play="drawing",
    ),
    Chapter(
        key="noise",
        question="What does it say to noise?",
        sections=("noise", "severity"),
        claims=("noise",),
        answers={
            "supported": "It names a class, and is sure of it, for most images of pure noise.",
            "refuted": "It names a class, and is sure of it, for less than half of the images of pure noise.",
            "inconclusive": "It names a class, and is sure of it, for about half of the images of pure noise.",
        },
        stills=("noise", "noise_severity"),
        play="noise",
    ),
    Chapter(
        key="memorization",
        question="Does it learn, or memorize?",
        sections=("memorization", "study", "scores", "capacity"),
        claims=("random-labels", "slower"),
        answers={
            "supported": "It can do both: most such networks also learn random labels by heart.",
            "refuted": "Most such networks cannot learn all these random labels by heart.",
            "inconclusive": "Whether most such networks can learn random labels by heart is open here.",
        },
        stills=("memorization", "curves_1", "time_1", "scores", "capacity"),
        play="memorization",
    ),
    Chapter(
        key="landscape",
        question="Are some valleys better than others?",
        sections=("minima", "curvature", "connections", "surface"),
        claims=("minima",),
        answers={
            "supported": "No: at least nine in ten such networks end about equally good.",
            "refuted": "Yes: fewer than nine in ten such networks end about equally good.",
            "inconclusive": "Whether nine in ten such networks end about equally good is open here.",
        },
        stills=("costs", "surface"),
        play="landscape",
    ),
    Chapter(
        key="mistakes",
        question="Where is it wrong?",
        sections=("classification",),
        stills=("classification",),
    ),
)
"""In the order of the video."""


def chapter_of(key: str) -> Chapter | None:
    """Return the chapter that a section belongs to; None for a section that stands alone.

    Examples
    --------
    >>> chapter_of("severity").key, chapter_of("search")
    ('noise', None)
    """
    return next((chapter for chapter in CHAPTERS if key in chapter.sections), None)
