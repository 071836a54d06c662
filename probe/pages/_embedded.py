"""What a page carries besides its words: its style, and its script with the numbers that this reads."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from importlib import resources

from markupsafe import Markup

from probe._text import plain

__all__ = ["embedded", "live_script", "live_style", "static_style"]


@cache
def static_style() -> Markup:
    """Return the style of a page without a script."""
    text = (resources.files("probe.pages.page") / "page.css").read_text(encoding="utf-8")
    return _raw(text, "</style")


def live_style() -> Markup:
    """Return the style of a page with a script."""
    from probe.pages.page import styles

    return _raw(styles(), "</style")


def live_script() -> Markup:
    """Return the script of a page."""
    from probe.pages.page import script

    return _raw(script(), "</script")


def embedded(live: Mapping[str, object]) -> Markup:
    r"""Return values as JSON that can stand in a page: no letter of it ends the element that it is in.

    Examples
    --------
    >>> print(embedded({"name": "</script>", "cost": float("nan")}))
    {"name":"\u003c/script>","cost":null}
    """
    text = json.dumps(plain(live), separators=(",", ":"), allow_nan=False)
    return Markup(text.replace("<", "\\u003c"))


def _raw(text: str, end: str) -> Markup:
    """Return our own text as it is; it must not end the element that it is in."""
    assert end not in text.lower()
    return Markup(text)
