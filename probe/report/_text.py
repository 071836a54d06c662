"""Text of a page as HTML: what files say can neither turn the order of the words around it nor break the page."""

from __future__ import annotations

import re
from unicodedata import bidirectional, category

from markupsafe import Markup, escape

__all__ = ["isolated", "own", "visible"]

_QUOTED = re.compile(r"(?<![\w'])'([^'\n]+)'(?!\w)")
"""A name in a sentence, and no apostrophe."""

_TURNING = {"R", "AL", "AN"}
"""Bidirectional classes of letters and digits that are read from the right."""


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
    found, done, shown = list[Markup](), 0, visible(str(text))
    for name in _QUOTED.finditer(shown):
        found += [_turned(shown[done : name.start(1)]), own(name[1])]
        done = name.end(1)
    return Markup("").join([*found, _turned(shown[done:])])


def own(text: str) -> Markup:
    """Return text as an element of its own: it cannot turn the order of the words around it."""
    return Markup("<bdi>") + escape(text) + Markup("</bdi>")


def _turned(text: str) -> Markup:
    """Return text with each run of words that are read from the right in an element of its own."""
    if text.isascii():
        return escape(text)
    classes = [bidirectional(letter) for letter in text]
    found, start, place = list[Markup](), 0, 0
    while place < len(text):
        if classes[place] not in _TURNING:
            place += 1
            continue
        end = last = place
        while end < len(text) and classes[end] != "L":
            last = end if classes[end] in _TURNING or classes[end] == "NSM" else last
            end += 1
        found += [escape(text[start:place]), own(text[place : last + 1])]
        start = place = last + 1
    return Markup("").join([*found, escape(text[start:])])
