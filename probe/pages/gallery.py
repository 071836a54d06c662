"""An index of reports as a page: small pictures, and what was decided of the same claims in each."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from markupsafe import Markup

from probe.pages._embedded import static_style
from probe.pages._words import template
from probe.stats import Decision

__all__ = ["GENERATOR", "Entry", "gallery_page", "thumbnail"]

GENERATOR = "probe gallery"
"""What the page says that it was made by: such a page may be written anew."""

_SIZE = (480, 300)
"""Pixels of a small picture: twice as many as it is shown with."""

_MOST_PIXELS = 1 << 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What the gallery shows of a report; all of it may come from strangers.

    Attributes
    ----------
    name : str
        The way to its folder.
    link : str
        Relative address of its page.
    title, about, data, created : str
    test_accuracy : float or None
    decisions : mapping of str to tuple of str
        What was decided of each claim, by its key; several where it was judged several times.
    statements : mapping of str to str
        The claims in words, by their keys.
    primary : tuple of str
        Keys of the claims that are about words of the video, in the order of the page.
    picture : bytes
        A small picture as JPEG; empty without.
    """

    name: str
    link: str
    title: str
    about: str = ""
    data: str = ""
    created: str = ""
    test_accuracy: float | None = None
    decisions: dict[str, tuple[Decision, ...]] = field(default_factory=dict)
    statements: dict[str, str] = field(default_factory=dict)
    primary: tuple[str, ...] = ()
    picture: bytes = b""

    @property
    def image(self) -> Markup:
        """The picture as an address that needs no file."""
        return Markup("data:image/jpeg;base64,") + base64.b64encode(self.picture).decode("ascii")

    @property
    def counts(self) -> dict[str, int]:
        """How many claims were decided in which way."""
        every = [decision for decisions in self.decisions.values() for decision in decisions]
        return {decision: every.count(decision) for decision in dict.fromkeys(every)}


def gallery_page(title: str, entries: Sequence[Entry], n_left_out: int, made: str) -> str:
    """Return the page about some reports; `n_left_out` folders hold none.

    It loads nothing and runs no script. Text is escaped.
    """
    primary = {key: entry.statements[key] for entry in reversed(entries) for key in entry.primary}
    order = [key for entry in entries for key in entry.primary]
    claims = {key: primary[key] for key in dict.fromkeys(order)}
    rows = [entry for entry in entries if entry.decisions.keys() & claims.keys()]
    return template("gallery").render(
        document=static_style(),
        title=title,
        entries=entries,
        claims=claims,
        rows=rows,
        n_left_out=n_left_out,
        made=made,
        generator=GENERATOR,
    )


@lru_cache(256)
def thumbnail(png: bytes) -> bytes:
    """Return the upper part of a picture as a small JPEG; empty if it is no PNG that can be read, or too large."""
    from PIL import Image

    try:
        with Image.open(io.BytesIO(png), formats=["PNG"]) as image:
            if image.width * image.height > _MOST_PIXELS:
                return b""
            width, height = _SIZE
            upper = image.crop((0, 0, image.width, min(image.height, max(1, image.width * height // width))))
            upper = upper.convert("RGBA")
            shown = Image.new("RGB", upper.size, "white")
            shown.paste(upper, mask=upper)
    except Exception:  # Pillow raises errors of many kinds for files that are damaged
        return b""
    shown.thumbnail(_SIZE, Image.Resampling.LANCZOS, reducing_gap=2.0)
    buffer = io.BytesIO()
    shown.save(buffer, format="JPEG", quality=75, optimize=True)
    return buffer.getvalue()
