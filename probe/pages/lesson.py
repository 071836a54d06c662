"""A lesson as a value: questions with their answers, a worksheet for each student, and a key for the teacher."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from markupsafe import Markup

from probe._checks import InputError
from probe._signatures import checked
from probe.pages._pixels import image_uri, is_color, weights_uri
from probe.pages._words import template

__all__ = ["Item", "Lesson", "Question", "Worksheet", "image_uri", "is_color", "weights_uri"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A question that a reader answers before the page does.

    Attributes
    ----------
    key : str
        Name for programs, and for links.
    heading : str
        The question, short.
    ask : str
        What the reader guesses, in a sentence or two.
    guesses : tuple of str
        What may be answered.
    found : int
        Index of the guess that was found to be right.
    answer : str
        What was found, in a sentence.
    number : str
        The number that decides, with its interval.
    how : str
        How it was found, in more words.
    said, minute : str
        The words of the video, and where they are said.
    command : str
        The command that asks it in full.
    pictures : tuple of Markup
        Pictures as data URIs.
    caption : str
        What they show.
    """

    key: str
    heading: str
    ask: str
    guesses: tuple[str, ...]
    found: int
    answer: str
    number: str
    how: str
    said: str
    minute: str
    command: str
    pictures: tuple[Markup, ...] = ()
    caption: str = ""

    def __post_init__(self) -> None:
        if not 0 <= self.found < len(self.guesses):
            raise InputError(
                f"found must be the index of one of {len(self.guesses)} guesses, got {self.found}"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """An image that a network named.

    Attributes
    ----------
    picture : Markup
        As a data URI.
    label : str
        Name of its class; "" for noise.
    named : str
        Name of the class that the network says.
    confidence : float, in [0, 1]
        The network's.
    strongest : tuple of int
        Units of the first hidden layer that it excites most: with the largest sums of weights times pixels, from 1.
    """

    picture: Markup
    label: str
    named: str
    confidence: float
    strongest: tuple[int, ...] = ()

    @property
    def is_right(self) -> bool:
        """Whether the network says its class."""
        return self.label == self.named

    @property
    def said(self) -> str:
        """What it is, and what the network says, in words."""
        wrong = "" if self.is_right else ", wrong"
        return f"'{self.label}': it says '{self.named}' ({self.confidence:.0%}){wrong}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Worksheet:
    """What one student gets, and the answers to it.

    Attributes
    ----------
    number : int
        Of the student, from 1.
    units : tuple of Markup
        The weights into the first hidden units, 16 at most, as data URIs.
    n_units : int
        All units of that layer.
    items : tuple of Item
        Images to name.
    noise : Item
        The noise that the network is surest of, out of some.
    favorites : tuple of (str, Markup, float)
        Classes with the image that the network likes best, and its confidence in that.
    accuracy : float, in [0, 1]
        Share of the test images that the network puts in the right class.
    n_sure : int
        How many of the noise images it is at least 90% sure of.
    file : str
        The network's file.
    """

    number: int
    units: tuple[Markup, ...]
    n_units: int
    items: tuple[Item, ...]
    noise: Item
    favorites: tuple[tuple[str, Markup, float], ...]
    accuracy: float
    n_sure: int
    file: str

    @property
    def n_certain(self) -> int:
        """How many of its favorites the network is at least 99% sure of."""
        return sum(confidence >= 0.99 for _, _, confidence in self.favorites)


@checked
@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Lesson:
    """A lesson.

    Attributes
    ----------
    questions : tuple of Question
    left_out : tuple of str
        Why a question could not be asked of these data, a sentence each.
    sheets : tuple of Worksheet
        One for each student.
    data, noun : str
        Name of the data, and what one image is called.
    class_names : tuple of str
    kind : str
        What the networks are, such as "784-16-16-10 sigmoid".
    training : str
        How they were trained, in words.
    n_train, n_test, n_noise : int
        Training and test images, and noise images that each network saw.
    image_shape : tuple of int
        Of one image.
    seed : int
    index : str
        Address of the index of reports that the lesson is in; "" if there is none.
    """

    questions: tuple[Question, ...]
    left_out: tuple[str, ...]
    sheets: tuple[Worksheet, ...]
    data: str
    noun: str
    class_names: tuple[str, ...]
    kind: str
    training: str
    n_train: int
    n_test: int
    n_noise: int
    image_shape: tuple[int, ...]
    seed: int
    index: str = ""

    @property
    def is_color(self) -> bool:
        """Whether the images are drawn in color."""
        return is_color(self.image_shape)

    @property
    def noise_names(self) -> tuple[str, ...]:
        """The classes that the networks say of the noise that they are surest of, with how many of them do."""
        counts = Counter(sheet.noise.named for sheet in self.sheets)
        return tuple(f"'{name}' ({count} of {len(self.sheets)})" for name, count in counts.most_common())

    @property
    def accuracies(self) -> tuple[float, float]:
        """The lowest and the highest accuracy of the students' networks."""
        found = [sheet.accuracy for sheet in self.sheets]
        return min(found), max(found)

    def page(self) -> str:
        """Return the lesson as one HTML document: guesses, and answers that are shown once a guess is made."""
        return self._rendered("lesson")

    def worksheets(self) -> str:
        """Return the worksheets as one HTML document, which prints to two pages of A4 for each student."""
        return self._rendered("worksheets")

    def key(self) -> str:
        """Return the answers for the teacher as one HTML document."""
        return self._rendered("lesson_key")

    def _rendered(self, name: str) -> str:
        return template(name).render(lesson=self)
