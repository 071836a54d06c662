"""A figure as PNG: the last place that bounds what a picture takes, whatever was drawn."""

from __future__ import annotations

import gc
import io
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from probe.figures._style import DOTS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["MAX_PIXELS", "png_of", "quietly"]

MAX_PIXELS = 4000
"""Height and width of a picture, at most."""


def png_of(figure: Figure) -> bytes:
    """Return a figure as PNG, at most `MAX_PIXELS` high and wide, and free what it holds.

    A figure that is larger at the usual number of dots an inch gets fewer: it is whole, and smaller.
    """
    buffer = io.BytesIO()
    dots = min(DOTS, MAX_PIXELS / max(figure.get_size_inches()))
    with quietly():
        figure.savefig(buffer, format="png", dpi=dots, metadata={"Software": None})
    for axes in figure.axes:  # `figure.clear()` would make each of them anew first
        axes.remove()
    # Figures and their axes refer to each other: without this they stay until there is no memory left.
    gc.collect()
    return buffer.getvalue()


@contextmanager
def quietly() -> Iterator[None]:
    """Keep the warnings of NumPy and matplotlib about what is drawn off the user's screen."""
    logger = logging.getLogger("matplotlib")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
